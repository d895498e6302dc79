"""Every word a scenario file may use. docs/rehearsal.md explains them; a test compares the two."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from flask_babel import lazy_gettext as _l
from sqlalchemy import inspect

from core.kernel import importing
from core.kernel.fields import Field
from core.records.models import Record
from core.records.types import record_type, record_types, words_of
from core.rules import charge_models as money
from core.rules import obligation_models as owed
from core.rules.approval_models import STATES as APPROVAL_STATES
from core.rules.charges import MOVES
from core.rules.kinds import GateRule
from core.rules.registry import current_rules
from core.rules.rulebook import current_rulebook
from core.users.positions import POSITIONS

TOP = ("title", "shows", "begins", "unit", "units", "actors", "by", "customers", "steps", "variants")
VARIANT = ("title", "shows", "unit", "units", "actors", "by", "customers", "steps")
UNIT = (
    "code",
    "name",
    "kind",
    "timezone",
    "parent",
    "profile",
    "plugins",
    "clauses",
    "settings",
    "hours",
    "holidays",
    "days",
)
ACTOR = ("position", "unit", "name")
CLAUSE = ("on", "from", "open_records", "reason")
OPEN_RECORDS = ("keep", "apply")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
HOURS = (*WEEKDAYS, "every_day", "weekdays", "makeup")
OWN_DAYS = ("from", "to", "hours", "reason")

LOOK = "look"  # a step without a verb: nothing is done, only expectations are checked
NONE = "none"
COMMON = ("at", "by", "expect")
# Each verb, with the words that may stand beside it.
VERBS: Mapping[str, tuple[str, ...]] = {
    "create": ("as", "in", "with"),
    "perform": ("on", "with", "happened"),
    "fact": ("on", "with", "happened", "note"),
    "attach": ("on", "kind"),
    "link": ("on", "to"),
    "find": ("as", "of", "clause", "in"),
    "ask": ("on", "step", "reason"),
    "approve": ("on", "reason", "amount"),
    "reject": ("on", "reason"),
    "send_back": ("on", "reason"),
    "excuse": ("on", "reason"),
    "set": ("in", "with", "turn", "from", "open_records", "reason"),
    "import": ("in", "file", "rows", "duplicates"),
    "charge": ("on", "clause", "reason", "amount"),
    "tick": (),
}
_BESIDE_A_LOOK = ("on",)
STEP_WORDS = frozenset({*VERBS, *COMMON, *_BESIDE_A_LOOK, *(word for listed in VERBS.values() for word in listed)})
NEEDED: Mapping[str, tuple[str, ...]] = {"link": ("to",), "excuse": ("reason",)}
ON_RECORD = frozenset({"perform", "fact", "attach", "link", "ask", "excuse", "charge"})
CLAUSE_HERE = ("turn", "from", "open_records", "reason")
# How the words beside a verb are read; those not named here are read by the verb itself.
OPTIONS: Mapping[str, str] = {
    "happened": "moment",
    "to": "record",
    "of": "record",
    "clause": "clause",
    "reason": "text",
    "step": "text",
    "note": "text",
    "kind": "text",
    "duplicates": "duplicates",
    "amount": "money",
}
WHAT: Mapping[str, Any] = {
    "create": _l("The record type"),
    "perform": _l("The step"),
    "fact": _l("The kind of fact"),
    "attach": _l("The file"),
    "link": _l("The role"),
    "find": _l("The record type"),
    "ask": _l("The clause"),
    "approve": _l("The clause"),
    "reject": _l("The clause"),
    "send_back": _l("The clause"),
    "excuse": _l("The clause"),
    "set": _l("The clause"),
    "import": _l("The kind of file"),
    "charge": _l("The step of a charge"),
}


class Named(NamedTuple):
    """A name in form input that stands for the id of an actor, a customer or a unit."""

    kind: str
    name: str


def beside(verb: str) -> tuple[str, ...]:
    """Return the words that may stand beside a verb."""
    return VERBS.get(verb, _BESIDE_A_LOOK)


def known_after(verb: str, kind: str) -> Collection[str] | None:
    """Return what may follow a verb, for a record type where it matters; None: anything."""
    if verb == "create":
        return [one.code for one in record_types() if one.register]
    if verb == "find":
        return [one.code for one in record_types()]
    if verb in ("ask", "approve", "reject", "send_back", "excuse", "set"):
        return current_rulebook().clauses
    if verb == "import":
        return list(importing.importers())
    if verb == "charge":
        return [*MOVES, "waive"]
    if not kind or record_type(kind) is None:
        return None
    if verb == "perform":
        return words_of(kind).transitions
    if verb == "fact":
        return [one.code for one in words_of(kind).fact_kinds.values() if one.enterable]
    return None


def fields_of(verb: str, kind: str, what: str) -> Mapping[str, Field] | None:
    """Return the fields of the form behind a verb, by name; None: any data."""
    found = record_type(kind)
    if verb == "create" and found is not None:
        return {one.name: one for one in found.intake}
    if verb == "perform" and found is not None:
        step = words_of(kind).transitions.get(what)
        return {one.name: one for one in step.fields} if step else None
    return None


# --- expectations ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spec:
    """An expectation: its words and how each is read. ``short``: the word meant where only a value stands.

    ``none`` instead of words says that nothing of the kind is there, where ``may_be_none``. ``free``: its words
    are those of the record.
    """

    words: Mapping[str, str]
    short: str = ""
    needed: tuple[str, ...] = ()
    may_be_none: bool = False
    free: bool = False


EXPECTED: Mapping[str, Spec] = {
    "refused": Spec(
        {"because": "clause_or_code", "clause": "clause", "code": "refusal_code", "says": "text"}, "because"
    ),
    "invalid": Spec({"field": "text", "clause": "clause", "says": "text"}, "field"),
    "state": Spec({"is": "state"}, "is"),
    "category": Spec({"is": "category"}, "is"),
    "field": Spec({}, free=True),
    "fact": Spec(
        {"kind": "fact", "at": "moment", "by": "actor", "note": "text", "count": "whole"}, "kind", ("kind",)
    ),
    "obligation": Spec(
        {
            "clause": "clause",
            "state": "obligation_state",
            "due": "moment",
            "target": "moment",
            "started": "moment",
            "ended": "moment",
            "late_by": "duration",
            "responsible": "actor",
            "provisional": "yes_no",
            "episode": "whole",
        },
        "clause",
        ("clause",),
    ),
    "charge": Spec(
        {
            "clause": "clause",
            "code": "text",
            "label": "text",
            "payer": "text",
            "amount": "money",
            "state": "charge_state",
        },
        "clause",
        may_be_none=True,
    ),
    "total": Spec({"payer": "text", "amount": "money"}, needed=("amount",)),
    "penalty": Spec(
        {
            "clause": "clause",
            "broken": "clause",
            "amount": "money",
            "least": "money",
            "most": "money",
            "against": "actor",
            "state": "penalty_state",
        },
        "clause",
        may_be_none=True,
    ),
    "approval": Spec(
        {"clause": "clause", "position": "position", "amount": "money", "state": "approval_state"},
        "clause",
        may_be_none=True,
    ),
    "task": Spec({"clause": "clause", "state": "text", "due": "day", "count": "whole"}, "clause", ("clause",)),
    "next_due": Spec({"is": "moment"}, "is", may_be_none=True),
    "assignee": Spec({"is": "actor"}, "is", may_be_none=True),
    "imported": Spec({}, free=True),
}
OF_RECORD = frozenset(
    {
        "state",
        "category",
        "field",
        "fact",
        "obligation",
        "charge",
        "total",
        "penalty",
        "next_due",
        "assignee",
    }
)
OF_STEP = frozenset({"refused", "invalid", "imported"})
OVERDUE, ABSENT = "overdue", "none"
CHOICES: Mapping[str, Collection[str]] = {
    "category": ("open", "paused", "solved", "closed", "cancelled"),
    "obligation_state": (owed.OPEN, owed.PAUSED, OVERDUE, owed.MET, owed.LATE, owed.EXCUSED, owed.VOID, ABSENT),
    "charge_state": money.CHARGE_STATES,
    "penalty_state": money.PENALTY_STATES,
    "approval_state": APPROVAL_STATES,
    "duplicates": ("skip", "create", "merge"),
}
IMPORT_COUNTS = ("rows", "create", "update", "same", "duplicate", "skip", "merge", "error", "warning")
# Why an approval is refused.
APPROVAL_CODES = ("wrong_role", "own", "returned", "decided")
# Columns of a record's head that a file may name under ``field``.
HEAD = ("number", "title", "state", "category", "priority", "owner_position", "escalated", "chase_count")


def listed(reading: str, kind: str) -> tuple[Collection[str], Any]:
    """Return the words a value must be one of, and what they are, for a record type where it matters."""
    flow = words_of(kind) if kind and record_type(kind) else None
    if reading in ("clause", "clause_or_code"):
        return current_rulebook().clauses, _l("The clause")
    if reading == "refusal_code":
        return refusal_codes(), _l("The reason")
    if reading == "position":
        return [one.code for one in POSITIONS], _l("The position")
    if reading == "state":
        return flow.states if flow else (), _l("The state")
    if reading == "fact":
        return flow.fact_kinds if flow else (), _l("The kind of fact")
    return CHOICES[reading], _l("The word")


def free_words(word: str, kind: str) -> Collection[str] | None:
    """Return the words of an expectation whose words are those of the record; None: any."""
    if word == "imported":
        return IMPORT_COUNTS
    found = record_type(kind)
    if found is None:
        return None
    own = [one.key for one in inspect(found.detail).column_attrs if one.key not in ("id", "unit_id")]
    return [*own, *(name for name in HEAD if hasattr(Record, name))]


def refusal_codes() -> Collection[str]:
    """Return every code a refusal may carry: of guards, gates, and the engine's own."""
    flows = [words_of(one.code) for one in record_types()]
    guards = {guard.code for flow in flows for step in flow.transitions.values() for guard in step.guards}
    gates = {one.code for one in current_rules().rules if isinstance(one, GateRule)}
    return {"state", "permission", "not_found", *APPROVAL_CODES, *guards, *gates}
