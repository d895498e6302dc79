"""Words and plain values of the store. Codes stand in the database; labels are for people."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

DRAFT, CANCELLED, OPEN, CLOSED, DONE = "draft", "cancelled", "open", "closed", "done"

# --- suppliers -----------------------------------------------------------------------------------

CANDIDATE, QUALIFIED, SUSPENDED, ENDED = "candidate", "qualified", "suspended", "ended"
SUPPLIER_STATES = (
    (CANDIDATE, _l("Not assessed yet")),
    (QUALIFIED, _l("Qualified supplier")),
    (SUSPENDED, _l("Suspended supplier")),
    (ENDED, _l("No longer a supplier")),
)
# What a supplier is assessed by (R02-7b, R05-2.1), each 0 to 100.
CRITERIA = (
    ("quality", _l("Quality")),
    ("delivery", _l("Delivery on time")),
    ("price", _l("Price level")),
    ("service", _l("Service of the supplier")),
    ("reputation", _l("Reputation")),
)
VERDICTS = (
    (QUALIFIED, _l("Qualified")),
    ("conditional", _l("Qualified with conditions")),
    ("refused", _l("Not qualified")),
)

# --- release of products (R02-4) -----------------------------------------------------------------

RELEASED, WITHDRAWN = "released", "withdrawn"
RELEASE_STATES = (
    (DRAFT, _l("Papers being collected")),
    (RELEASED, _l("Released for sale")),
    (WITHDRAWN, _l("Withdrawn from sale")),
    (CANCELLED, _l("Release cancelled")),
)
PAPERS = (
    ("licence", _l("Production licence")),
    ("certificate", _l("Product certificate (3C and the like)")),
    ("test", _l("Test report")),
    ("standard", _l("Standard it is made to")),
    ("import", _l("Import papers")),
    ("other", _l("Other paper")),
)

# --- purchase ------------------------------------------------------------------------------------

APPROVED, ORDERED, RECEIVED = "approved", "ordered", "received"
PLAN_STATES = (
    (DRAFT, _l("Plan being drafted")),
    (APPROVED, _l("Plan approved")),
    (DONE, _l("Plan carried out")),
    (CANCELLED, _l("Plan cancelled")),
)
ORDER_STATES = (
    (DRAFT, _l("Order being drafted")),
    (ORDERED, _l("Ordered from the supplier")),
    (RECEIVED, _l("Order received")),
    (CANCELLED, _l("Purchase order cancelled")),
)

# --- receiving, batches (D10) ----------------------------------------------------------------------

EXPECTED, CHECKED = "expected", "checked"
RECEIVING_STATES = (
    (EXPECTED, _l("Delivery expected")),
    (RECEIVED, _l("Goods arrived, to be inspected")),
    (CHECKED, _l("Inspected and counted")),
    (CANCELLED, _l("Delivery cancelled")),
)
QUARANTINE, ACCEPTED, ON_SALE, HELD, EXPIRED, GONE = "quarantine", "accepted", "on_sale", "held", "expired", "gone"
LOT_STATES = (
    (QUARANTINE, _l("Not inspected yet")),
    (ACCEPTED, _l("In stock, not on sale")),
    (ON_SALE, _l("On sale")),
    (HELD, _l("Held")),
    (EXPIRED, _l("Expired")),
    (GONE, _l("Nothing left")),
)
MOVEMENTS = (
    ("receive", _l("Received into stock")),
    ("sell", _l("Sold")),
    ("exchange", _l("Given in exchange")),
    ("use", _l("Used in the store")),
    ("back", _l("Brought back by a customer")),
    ("remove", _l("Taken off the shelf")),
    ("return", _l("Sent back to the supplier")),
    ("scrap", _l("Destroyed")),
    ("count", _l("Difference at a count")),
    ("opening", _l("Stock at the start")),
)
SALE, EXCHANGE, USE = "sale", "exchange", "use"
ISSUE_KINDS = ((SALE, _l("Sale")), (EXCHANGE, _l("Exchange")), (USE, _l("Own use")))
ISSUED, TAKEN_BACK = "issued", "taken_back"
ISSUE_STATES = ((ISSUED, _l("Goods issued")), (TAKEN_BACK, _l("All taken back")))

# --- quality objections, removals ------------------------------------------------------------------

RAISED, DECIDED = "raised", "decided"
OBJECTION_STATES = (
    (RAISED, _l("Objection raised")),
    (DECIDED, _l("Objection decided")),
    (CLOSED, _l("Objection settled")),
    (CANCELLED, _l("Objection withdrawn")),
)
FOUND_AT = (
    ("receiving", _l("When goods arrived")),
    ("shelf", _l("On the shelf")),
    ("customer", _l("By a customer")),
    ("count", _l("At a count")),
)
DECISIONS = (
    ("return", _l("Back to the supplier")),
    ("replace", _l("The supplier replaces it")),
    ("scrap", _l("Destroy it")),
    ("release", _l("Nothing wrong: release it")),
)
REMOVED = "removed"
REMOVAL_STATES = (
    (OPEN, _l("To be taken off the shelf")),
    (REMOVED, _l("Off the shelf")),
    (CANCELLED, _l("Removal not needed")),
)
REMOVAL_REASONS = (
    ("near", _l("Expires soon")),
    ("expired", _l("Shelf life is over")),
    ("stopped", _l("Batch stopped")),
    ("papers", _l("Papers are missing or out of date")),
)
REMOVED_TO = (
    ("promote", _l("Sold off before the date")),
    ("return", _l("Back to the supplier")),
    ("scrap", _l("Destroyed")),
    ("hold", _l("Set apart and sealed")),
)

# --- prices, displays, counts ----------------------------------------------------------------------

PRICE_STATES = (
    (DRAFT, _l("Prices being proposed")),
    (APPROVED, _l("Prices approved")),
    (CANCELLED, _l("Price change cancelled")),
)
SHOWROOM_STATES = (
    (OPEN, _l("Showroom task open")),
    (DONE, _l("Showroom task done")),
    (CANCELLED, _l("Showroom task cancelled")),
)
SHOWROOM_KINDS = (
    ("receive", _l("Receive exhibits")),
    ("deliver", _l("Deliver exhibits")),
    ("dismantle", _l("Dismantle exhibits")),
    ("install", _l("Install exhibits")),
    ("repair", _l("Repair exhibits")),
    ("maintain", _l("Maintain exhibits")),
    ("rearrange", _l("Rearrange exhibits")),
    ("season", _l("Change for the season")),
)
COUNTING, COUNTED = "counting", "counted"
COUNT_STATES = (
    (COUNTING, _l("Stock being counted")),
    (COUNTED, _l("Differences to be decided")),
    (CLOSED, _l("Stock count closed")),
    (CANCELLED, _l("Stock count cancelled")),
)
