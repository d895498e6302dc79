"""Words and plain values of tool custody. Codes stand in the database; labels are for people."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

# --- parties: who can hold a tool ----------------------------------------------------------------

STORE, PERSON, DEPARTMENT, REPAIRER, SCRAP = "store", "person", "department", "repairer", "scrap"
PARTY_KINDS = (
    (STORE, _l("Tool store")),
    (PERSON, _l("Person")),
    (DEPARTMENT, _l("Other department")),
    (REPAIRER, _l("Repairer")),
    (SCRAP, _l("Disposed of")),
)

# --- states of a tool (D6) -----------------------------------------------------------------------

NEW, IN_STORE, ISSUED, ON_LOAN, IN_REPAIR = "new", "in_store", "issued", "on_loan", "in_repair"
DEFECTIVE, LOST, RETIRED, SCRAPPED, CANCELLED = "defective", "lost", "retired", "scrapped", "cancelled"
TOOL_STATES = (
    (NEW, _l("Waiting for acceptance")),
    (IN_STORE, _l("In the store")),
    (ISSUED, _l("Issued to a person")),
    (ON_LOAN, _l("On loan")),
    (IN_REPAIR, _l("At the repairer")),
    (DEFECTIVE, _l("Defective")),
    (LOST, _l("Lost")),
    (RETIRED, _l("Retired")),
    (SCRAPPED, _l("Disposed of")),
    (CANCELLED, _l("Entered by mistake")),
)
# A tool in one of these is somebody's: it stands on a balance.
IN_HANDS = (NEW, IN_STORE, ISSUED, ON_LOAN, IN_REPAIR, DEFECTIVE, LOST, RETIRED)

FIXED_ASSET, LOW_VALUE = "fixed_asset", "low_value"
ASSET_CLASSES = ((FIXED_ASSET, _l("Fixed asset")), (LOW_VALUE, _l("Low-value tool")))
COMMON, SPECIAL, POWER, TEST, EQUIPMENT, CONSUMABLE = (
    "common",
    "special",
    "power",
    "test",
    "equipment",
    "consumable",
)
CATEGORIES = (
    (COMMON, _l("Common tool")),
    (SPECIAL, _l("Special tool")),
    (POWER, _l("Power tool")),
    (TEST, _l("Test instrument")),
    (EQUIPMENT, _l("Production equipment")),
    (CONSUMABLE, _l("Small parts, by quantity")),
)

# --- hand-overs ----------------------------------------------------------------------------------

# Given for good (personal set), taken for a job, borrowed, brought back, lent on by a holder, handed to a
# successor, between stores, to and from a repairer, for disposal, and: is this with you (an imported list)?
ISSUE, USE, LOAN, RETURN, LEND = "issue", "use", "loan", "return", "lend"
TRANSFER, MOVE, REPAIR, REPAIRED, DISPOSE, OPENING = "transfer", "move", "repair", "repaired", "dispose", "opening"
HANDOVER_KINDS = (
    (ISSUE, _l("Issue to a person")),
    (USE, _l("Taken for a job")),
    (LOAN, _l("Loan")),
    (RETURN, _l("Return to the store")),
    (LEND, _l("Lent on to a colleague")),
    (TRANSFER, _l("Handed to a successor")),
    (MOVE, _l("Between stores")),
    (REPAIR, _l("To the repairer")),
    (REPAIRED, _l("Back from the repairer")),
    (DISPOSE, _l("For disposal")),
    (OPENING, _l("To be confirmed (existing list)")),
)
# Kinds of giver and receiver that a kind of hand-over has.
ENDS = {
    ISSUE: ((STORE,), (PERSON,)),
    USE: ((STORE,), (PERSON,)),
    LOAN: ((STORE,), (PERSON, DEPARTMENT)),
    RETURN: ((PERSON, DEPARTMENT), (STORE, PERSON)),  # to the colleague who lent it on, or to a store
    LEND: ((PERSON,), (PERSON,)),
    TRANSFER: ((PERSON,), (PERSON,)),
    MOVE: ((STORE,), (STORE,)),
    REPAIR: ((STORE,), (REPAIRER,)),
    REPAIRED: ((REPAIRER,), (STORE,)),
    DISPOSE: ((STORE,), (SCRAP,)),
    OPENING: ((STORE,), (PERSON, DEPARTMENT)),
}
WITH_DUE = (USE, LOAN, LEND)  # these name the moment by which the tool is back
OFFERED, DONE, REFUSED, WITHDRAWN = "offered", "done", "refused", "withdrawn"
HANDOVER_STATES = (
    (OFFERED, _l("Waiting for an answer")),
    (DONE, _l("Handed over")),
    (REFUSED, _l("Refused")),
    (WITHDRAWN, _l("Withdrawn")),
)
OPEN_LINE, ACCEPTED_LINE, REFUSED_LINE = "open", "accepted", "refused"
LINE_STATES = (
    (OPEN_LINE, _l("Not answered yet")),
    (ACCEPTED_LINE, _l("Taken over")),
    (REFUSED_LINE, _l("Refused")),
    (WITHDRAWN, _l("Withdrawn")),
)
# How a side said yes: signed in on their own device, by PIN on the keeper's device, on paper (people outside).
OWN_DEVICE, BY_PIN, ON_PAPER = "own", "pin", "paper"
MEANS = (
    (OWN_DEVICE, _l("Said so themselves, signed in")),
    (BY_PIN, _l("With PIN on the keeper's device")),
    (ON_PAPER, _l("Signed on paper")),
)
SOUND, WORN, DAMAGED, INCOMPLETE = "sound", "worn", "damaged", "incomplete"
CONDITIONS = (
    (SOUND, _l("Sound")),
    (WORN, _l("Worn")),
    (DAMAGED, _l("Damaged")),
    (INCOMPLETE, _l("Incomplete")),
)

# --- applications --------------------------------------------------------------------------------

A_NEW, A_ADDITIONAL, A_REPLACE, A_WEAR_PART = "new", "additional", "replace", "wear_part"
A_BORROW, A_LEND, A_TAKE_OUT = "borrow", "lend", "take_out"
APPLICATION_KINDS = (
    (A_NEW, _l("New tool for work")),
    (A_ADDITIONAL, _l("Additional tool")),
    (A_REPLACE, _l("Old for new")),
    (A_WEAR_PART, _l("Wear part")),
    (A_BORROW, _l("Borrow a tool")),
    (A_LEND, _l("Lend on to a colleague")),
    (A_TAKE_OUT, _l("Take a tool out")),
)
ASKED, GRANTED, REJECTED, FULFILLED = "asked", "granted", "rejected", "fulfilled"
APPLICATION_STATES = (
    (ASKED, _l("Waiting for the decision")),
    (GRANTED, _l("Granted")),
    (FULFILLED, _l("Carried out")),
    (REJECTED, _l("Rejected")),
    (CANCELLED, _l("Taken back")),
)

# --- incidents -----------------------------------------------------------------------------------

DEFECT, DAMAGE, LOSS, ACCIDENT, BREACH = "defect", "damage", "loss", "accident", "breach"
INCIDENT_KINDS = (
    (DEFECT, _l("Defect or fault")),
    (DAMAGE, _l("Damage")),
    (LOSS, _l("Loss")),
    (ACCIDENT, _l("Accident")),
    (BREACH, _l("Breach of the rules")),
)
REPORTED, JUDGED, CHARGED, CLOSED, REFUND = "reported", "judged", "charged", "closed", "refund"
INCIDENT_STATES = (
    (REPORTED, _l("Reported")),
    (JUDGED, _l("Judged")),
    (CHARGED, _l("To be compensated")),
    (REFUND, _l("To be paid back")),
    (CLOSED, _l("Incident closed")),
    (CANCELLED, _l("Entered by mistake")),
)
# Causes: who answers, and by which clause.
NATURAL, EXTERNAL, CARELESS, MISUSE, UNKNOWN = "natural", "external", "careless", "misuse", "unknown"
CAUSES = (
    (NATURAL, _l("Natural wear")),
    (EXTERNAL, _l("Not by a person: theft, accident, force majeure")),
    (CARELESS, _l("Carelessness of the holder")),
    (MISUSE, _l("Wrong use")),
    (UNKNOWN, _l("Not known")),
)
PRIVATE_LENDING, PRIVATE_USE, TAKEN_OUT, PRIVATE_DISPOSAL = "lending", "private_use", "taken_out", "disposal"
DISMANTLED, DISCLOSED, OTHER_BREACH = "dismantled", "disclosed", "other"
BREACHES = (
    (PRIVATE_LENDING, _l("Lent privately")),
    (PRIVATE_USE, _l("Used privately")),
    (TAKEN_OUT, _l("Taken out without permission")),
    (PRIVATE_DISPOSAL, _l("Disposed of or sold privately")),
    (DISMANTLED, _l("Taken apart without permission")),
    (DISCLOSED, _l("Information given to outsiders")),
    (OTHER_BREACH, _l("Other")),
)
# How a compensation is settled.
CASH, IN_KIND, FROM_PAY = "cash", "in_kind", "pay"
SETTLEMENTS = ((CASH, _l("Paid")), (IN_KIND, _l("The same tool bought")), (FROM_PAY, _l("Deducted from pay")))

# --- counts, services, purchase, clearance -------------------------------------------------------

EXPECTED, FOUND, MISSING, EXTRA, MOVED = "expected", "found", "missing", "extra", "moved"
COUNT_RESULTS = (
    (EXPECTED, _l("Not counted yet")),
    (FOUND, _l("Found")),
    (MISSING, _l("Missing at the count")),
    (EXTRA, _l("Not expected here")),
    (MOVED, _l("Handed over meanwhile")),
)
COUNTING, COUNTED = "counting", "counted"
COUNT_STATES = (
    (COUNTING, _l("Being counted")),
    (COUNTED, _l("Waiting for the second signature")),
    (CLOSED, _l("Count finished")),
    (CANCELLED, _l("Count cancelled")),
)
MAINTENANCE, CALIBRATION, OVERHAUL, REPAIR_DONE = "maintenance", "calibration", "overhaul", "repair"
SERVICES = (
    (MAINTENANCE, _l("Maintenance")),
    (CALIBRATION, _l("Calibration")),
    (OVERHAUL, _l("Overhaul")),
    (REPAIR_DONE, _l("Repair")),
)
DRAFT, PRICED, APPROVED, ORDERED, RECEIVED = "draft", "priced", "approved", "ordered", "received"
PURCHASE_STATES = (
    (DRAFT, _l("Draft")),
    (PRICED, _l("Prices checked")),
    (APPROVED, _l("Purchase approved")),
    (ORDERED, _l("Ordered")),
    (RECEIVED, _l("Goods received")),
    (CANCELLED, _l("Purchase cancelled")),
)
BY_NEED, YEARLY, MONTHLY = "need", "yearly", "monthly"
PURCHASE_KINDS = (
    (BY_NEED, _l("By need")),
    (MONTHLY, _l("From the month's losses and wear")),
    (YEARLY, _l("Plan of the year")),
)
LEAVER, POST_CHANGE = "leaver", "post_change"
CLEARANCE_KINDS = ((LEAVER, _l("Leaves the company")), (POST_CHANGE, _l("Changes post")))
OPEN, SETTLED, WITH_OPEN_ITEMS = "open", "settled", "open_items"
CLEARANCE_STATES = (
    (OPEN, _l("Being cleared")),
    (SETTLED, _l("Cleared")),
    (WITH_OPEN_ITEMS, _l("Left with open items")),
    (CANCELLED, _l("Clearance cancelled")),
)
# What a permit allows: use after training (R33-2.1), or personal keeping of special tools (R15-17).
USE_PERMIT, KEEP_PERMIT = "use", "keep"
PERMITS = ((USE_PERMIT, _l("May use")), (KEEP_PERMIT, _l("Registered keeper")))
