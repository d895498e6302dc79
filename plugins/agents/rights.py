"""The permissions of agents and settlement."""

# Staff: see file and statements; keep the file, contracts and sellers; notices, requests and bills of cases.
VIEW, KEEP, HANDLE = "agents.view", "agents.keep", "agents.handle"
# Make, send and review statements; approve them; enter payments.
SETTLE, APPROVE, FINANCE = "agents.settle", "agents.approve", "agents.finance"
# An agent's own people: their pages only.
OWN = "agents.own"
