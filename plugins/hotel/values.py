"""Words and plain values of the hotel. Codes stand in the database; labels are for people."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

# --- places by category (R06-2) ------------------------------------------------------------------

ROOMS, CATERING, MEETING, ENTERTAINMENT, OTHER = "rooms", "catering", "meeting", "entertainment", "other"
CATEGORIES = (
    (ROOMS, _l("Guest rooms")),
    (CATERING, _l("Catering")),
    (MEETING, _l("Meetings")),
    (ENTERTAINMENT, _l("Entertainment")),
    (OTHER, _l("Other hotel services")),
)

# --- room states, as every hotel's board has them ------------------------------------------------

VC, VD, OC, OD, OOO, OOS = "VC", "VD", "OC", "OD", "OOO", "OOS"
ROOM_STATES = (
    (VC, _l("Vacant clean")),
    (VD, _l("Vacant dirty")),
    (OC, _l("Occupied clean")),
    (OD, _l("Occupied dirty")),
    (OOO, _l("Out of order")),
    (OOS, _l("Out of service")),
)
# What changed a room's state.
ARRIVED, DEPARTED, MOVED, CLEANED, DIRTIED, CHECKED = (
    "arrived",
    "departed",
    "moved",
    "cleaned",
    "dirtied",
    "checked",
)
BLOCKED, UNBLOCKED, CLOSED_DOWN, OPENED, DND, CORRECTED = (
    "blocked",
    "unblocked",
    "closed",
    "opened",
    "dnd",
    "corrected",
)
ROOM_EVENTS = (
    (ARRIVED, _l("Guest arrived")),
    (DEPARTED, _l("Guest departed")),
    (MOVED, _l("Guest changed room")),
    (CLEANED, _l("Room cleaned")),
    (DIRTIED, _l("Room to be cleaned")),
    (CHECKED, _l("Room checked")),
    (BLOCKED, _l("Room blocked by a defect")),
    (UNBLOCKED, _l("Room free again")),
    (CLOSED_DOWN, _l("Room closed")),
    (OPENED, _l("Room open again")),
    (DND, _l("Do not disturb")),
    (CORRECTED, _l("Room state corrected")),
)

EXPECTED, IN_HOUSE, GONE, NO_SHOW, CANCELLED = "expected", "in_house", "departed", "no_show", "cancelled"
STAY_STATES = (
    (EXPECTED, _l("Expected")),
    (IN_HOUSE, _l("In house")),
    (GONE, _l("Departed")),
    (NO_SHOW, _l("Did not come")),
    (CANCELLED, _l("Stay cancelled")),
)

# --- cleaning ------------------------------------------------------------------------------------

DEPARTURE, STAYOVER, DEEP, EXTRA = "departure", "stayover", "deep", "extra"
CLEANINGS = (
    (DEPARTURE, _l("After departure")),
    (STAYOVER, _l("During a stay")),
    (DEEP, _l("Deep cleaning")),
    (EXTRA, _l("Extra cleaning")),
)
TODO, DOING, DONE, PASSED, REDO, SKIPPED, DROPPED = "todo", "doing", "done", "passed", "redo", "skipped", "dropped"
CLEANING_STATES = (
    (TODO, _l("To be cleaned")),
    (DOING, _l("Being cleaned")),
    (DONE, _l("Cleaned, not checked")),
    (PASSED, _l("Cleaned and checked")),
    (REDO, _l("To be done again")),
    (SKIPPED, _l("Skipped")),
    (DROPPED, _l("Off the list")),
)
SKIPS = (
    (DND, _l("Do not disturb")),
    ("refused", _l("The guest does not want it")),
    ("blocked", _l("Room blocked by a defect")),
    ("staff", _l("Nobody free")),
)

# --- work orders (D9) ----------------------------------------------------------------------------

INSPECTION, PATROL, COMPLAINT, STAFF, GUEST = "inspection", "patrol", "complaint", "staff", "guest"
SOURCES = (
    (INSPECTION, _l("Inspection round")),
    (PATROL, _l("Patrol")),
    (COMPLAINT, _l("Complaint")),
    (STAFF, _l("Staff")),
    (GUEST, _l("Guest, by the code in the room")),
)
# As the core's inspections say it.
MINOR, FUNCTION, SAFETY = "minor", "function", "safety"
SEVERITIES = ((MINOR, _l("Small defect")), (FUNCTION, _l("Does not work")), (SAFETY, _l("Danger")))
BLOCKING = (FUNCTION, SAFETY)
ORDER_KINDS = (
    ("repair", _l("Repair")),
    ("cleaning", _l("Cleaning")),
    ("supply", _l("Something missing")),
    ("other", _l("Work of another kind")),
)
# What a defect is about. The checklists' items have the same keys, so that the same defect is known again.
DEFECTS = (
    ("door", _l("Door and lock")),
    ("window", _l("Window and curtain")),
    ("light", _l("Light and sockets")),
    ("aircon", _l("Air conditioning")),
    ("water", _l("Water, basin and shower")),
    ("toilet", _l("Toilet and drain")),
    ("tv", _l("Television and telephone")),
    ("network", _l("Network")),
    ("furniture", _l("Bed and furniture")),
    ("appliance", _l("Kettle, fridge and other devices")),
    ("fire", _l("Smoke detector, sprinkler, escape plan")),
    ("wall", _l("Wall, floor and ceiling")),
    ("clean", _l("Cleanliness")),
    ("linen", _l("Linen and towels")),
    ("supplies", _l("Supplies")),
    ("other", _l("Something else")),
)
OPEN, ASSIGNED, CHECKED_STATE, CLOSED = "open", "assigned", "checked", "closed"
ORDER_STATES = (
    (OPEN, _l("Order open")),
    (ASSIGNED, _l("Order assigned")),
    (DONE, _l("Done, to be checked")),
    (CHECKED_STATE, _l("Checked, guest to be told")),
    (CLOSED, _l("Order closed")),
    (CANCELLED, _l("Order cancelled")),
)

# --- complaints ----------------------------------------------------------------------------------

ANSWERED, SOLVED = "answered", "solved"
COMPLAINT_STATES = (
    (OPEN, _l("Complaint open")),
    (ANSWERED, _l("Guest answered")),
    (SOLVED, _l("Complaint solved")),
    (CLOSED, _l("Complaint closed")),
    (CANCELLED, _l("Complaint cancelled")),
)
CHANNELS = (
    ("desk", _l("At the desk")),
    ("phone", _l("By phone")),
    (GUEST, _l("By the code in the room")),
    ("platform", _l("Booking platform")),
    ("staff", _l("Told to staff")),
)
CAUSES = (
    ("facility", _l("Facility")),
    ("clean", _l("Cleanliness")),
    ("noise", _l("Noise")),
    ("service", _l("Service of the staff")),
    ("food", _l("Food and drink")),
    ("bill", _l("Bill")),
    ("safety", _l("Safety and security")),
    ("other", _l("Other cause")),
)
COMPENSATIONS = (
    ("none", _l("No compensation")),
    ("gift", _l("Small gift")),
    ("discount", _l("Discount")),
    ("refund", _l("Refund")),
    ("upgrade", _l("Better room")),
    ("voucher", _l("Voucher")),
)

# --- catering ------------------------------------------------------------------------------------

BREAKFAST, LUNCH, DINNER, NIGHT = "breakfast", "lunch", "dinner", "night"
MEALS = (
    (BREAKFAST, _l("Breakfast")),
    (LUNCH, _l("Lunch")),
    (DINNER, _l("Dinner")),
    (NIGHT, _l("Late meal")),
)
RECEIVED, ACCEPTED, REFUSED = "received", "accepted", "refused"
FOOD_STATES = (
    (RECEIVED, _l("Food arrived")),
    (ACCEPTED, _l("Food accepted")),
    (REFUSED, _l("Food refused")),
    (CANCELLED, _l("Food receipt cancelled")),
)
# How an ingredient is stored, and so how cold it must arrive.
AMBIENT, CHILLED, FROZEN = "ambient", "chilled", "frozen"
STORAGES = ((AMBIENT, _l("Room temperature")), (CHILLED, _l("Chilled food")), (FROZEN, _l("Frozen food")))
PROCESSING = (
    ("thaw", _l("Thawing")),
    ("prepare", _l("Preparing")),
    ("cook", _l("Cooking")),
    ("cool", _l("Cooling")),
    ("hold", _l("Keeping warm")),
)

# --- meetings, shifts ----------------------------------------------------------------------------

PLANNED, READY, HELD = "planned", "ready", "held"
MEETING_STATES = (
    (PLANNED, _l("Meeting planned")),
    (READY, _l("Room prepared")),
    (HELD, _l("Meeting over")),
    (CANCELLED, _l("Meeting cancelled")),
)
LAYOUTS = (
    ("theatre", _l("Theatre")),
    ("classroom", _l("Classroom")),
    ("u_shape", _l("U shape")),
    ("board", _l("Boardroom")),
    ("banquet", _l("Banquet")),
    ("other", _l("As described")),
)
WRITING, HANDED, TAKEN = "writing", "handed", "taken"
SHIFT_STATES = (
    (WRITING, _l("Shift under way")),
    (HANDED, _l("Handed over, to be taken")),
    (TAKEN, _l("Shift taken over")),
    (CANCELLED, _l("Shift cancelled")),
)
SHIFTS = (("early", _l("Early shift")), ("late", _l("Late shift")), ("night", _l("Night shift")))
DEPARTMENTS = (
    ("front_desk", _l("Front desk")),
    ("housekeeping", _l("Housekeeping")),
    ("engineering", _l("Engineering")),
    ("catering", _l("Catering")),
)
