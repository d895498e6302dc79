"""The words of a case: channels, natures, urgencies, severities. Codes are stored, labels shown."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

CHANNELS = (
    ("phone", _l("Telephone")),
    ("wechat", _l("WeChat")),
    ("online", _l("Online chat")),
    ("email", _l("E-mail")),
    ("visit", _l("Visit in person")),
    ("letter", _l("Letter")),
    ("portal", _l("Portal")),
)
NATURES = (
    ("repair", _l("Repair")),
    ("replacement", _l("Replacement")),
    ("return", _l("Return or exchange")),
    ("inquiry", _l("Inquiry")),
    ("complaint", _l("Complaint")),
    ("opinion", _l("Opinion or suggestion")),
    ("presale", _l("Before the sale")),
    ("other", _l("Other")),
)
URGENCIES = (("normal", _l("Normal")), ("urgent", _l("Urgent")))
SEVERITIES = (
    ("general", _l("General")),
    ("serious", _l("Serious")),
    ("major", _l("Major")),
)
# About the use of what was bought, or no request for service at all: answered, not repaired.
TALK = frozenset({"inquiry", "opinion", "presale", "other"})
REPAIRS = frozenset({"repair", "replacement"})
FAULT_TYPES = (
    ("quality", _l("Product quality")),
    ("wear", _l("Normal wear")),
    ("installation", _l("Installation")),
    ("misuse", _l("Misuse")),
    ("outside", _l("Outside cause")),
    ("unknown", _l("Not known yet")),
)
IMPACTS = (
    ("none", _l("Still in full use")),
    ("partly", _l("Part of it does not work")),
    ("stopped", _l("Out of use")),
    ("danger", _l("Danger to people or property")),
)
# The classes of section 4 of the regulations on delivery and service, in their order.
PRODUCT_CLASSES = tuple((code, _l("Product class %(code)s", code=code)) for code in ("4.1", "4.2", "4.3", "4.4"))
PRESALE_ITEMS = (
    ("adviser", _l("A technical adviser was named")),
    ("drawings", _l("Free drawings with plan and budget")),
    ("tailored", _l("Fitted to the customer's need")),
    ("site", _l("Site checked against the drawings")),
    ("materials", _l("Materials explained")),
)
# Priority of a record (1 first): urgent before normal (R01-4.2).
PRIORITY = {"urgent": 1, "normal": 3}

CONFIRMATIONS = (
    ("phone", _l("By telephone")),
    ("online", _l("Online")),
    ("signature", _l("Signature")),
    ("seal", _l("Signature and seal")),
    ("silence", _l("No objection within the time limit")),
)
RATINGS = tuple(
    (str(n), label)
    for n, label in (
        (5, _l("5 – very satisfied")),
        (4, _l("4 – satisfied")),
        (3, _l("3 – acceptable")),
        (2, _l("2 – dissatisfied")),
        (1, _l("1 – very dissatisfied")),
    )
)
WAIT_REASONS = (
    ("customer", _l("Waiting for the customer")),
    ("parts", _l("Waiting for parts")),
    ("approval", _l("Waiting for approval")),
    ("weather", _l("Weather or site conditions")),
    ("other", _l("Other reason")),
)
CALL_RESULTS = (
    ("no_answer", _l("No answer")),
    ("off", _l("Phone switched off")),
    ("busy", _l("Busy")),
    ("wrong_number", _l("Wrong number")),
    ("call_back", _l("Asked to be called back")),
)
LEVELS = (("superior", _l("Superior")), ("gm", _l("General manager")))

# What is odd about an imported history: taken as it is, flagged, never refused.
HISTORY_FLAGS = {
    "response_after_contact": _l("First response later than the contact"),
    "contact_after_done": _l("Completed before the customer was contacted"),
    "arrival_before_forward": _l("Arrived before the request was forwarded"),
    "arrival_before_contact": _l("Arrived before the customer was contacted"),
    "before_received": _l("A time before the request was received"),
    "unknown_customer": _l("Customer number not on file"),
    "confirmed_before_done": _l("Confirmed before completion"),
    "in_future": _l("A time in the future"),
    "rated_unconfirmed": _l("Rated without a confirmation by the customer"),
}
