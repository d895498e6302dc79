"""The permissions of tool custody."""

# See tools, the ledger and people's cards; one's own tools need no permission at all but ``tools.own``.
VIEW, OWN = "tools.view", "tools.own"
# The keeper's work: the file, issue, return, counts; purchasing; a supervisor's word (incidents, take-outs).
KEEP, BUY, DECIDE = "tools.keep", "tools.buy", "tools.decide"
# Maintain and calibrate; compensation and deductions from pay; clearance of leavers.
MAINTAIN, MONEY, CLEAR = "tools.maintain", "tools.money", "tools.clear"
# See what was deducted from whose pay: reading only, so that a token that reads may hold it.
VIEW_MONEY = "tools.view_money"
