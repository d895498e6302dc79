"""How screens speak of compliance: the filters in the address, links to the obligations behind a number."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from flask import g, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.admin.cases.words import unit_name
from core.admin.clauses import said
from core.admin.views import enabled_plugins
from core.kernel.database import current_scope, session
from core.kernel.errors import InvalidData
from core.kernel.fields import Choices
from core.rules import compliance
from core.rules.clauses import KINDS
from core.rules.compliance import OVERDUE, PENDING, Question
from core.rules.kinds import DeadlineRule
from core.rules.obligation_models import EXCUSED, LATE, MET, PAUSED, VOID
from core.rules.registry import current_rules
from core.rules.rulebook import current_rulebook
from core.units.models import Unit
from core.users import positions
from core.users.models import User
from core.users.services import staff_names

# (words, tone, sign) of how an obligation stands.
STANDINGS: Mapping[str, tuple[Any, str, str]] = {
    MET: (_l("Met in time"), "good", "check"),
    LATE: (_l("Done late"), "bad", "warn"),
    OVERDUE: (_l("Overdue"), "bad", "warn"),
    EXCUSED: (_l("Excused"), "neutral", "flag"),
    PENDING: (_l("Running"), "info", "clock"),
    PAUSED: (_l("Paused"), "paused", "pause"),
    VOID: (_l("No longer needed"), "neutral", "cross"),
}
# Which standings stand behind a number of the page.
BEHIND = {"late": (LATE, OVERDUE), "counted": (MET, LATE, OVERDUE)}
# Words of the address beside the period: the page's filters, and those of the list behind it.
_FILTERS = ("regulation", "clause", "kind", "position", "person")


@dataclass(frozen=True)
class Asked:
    """What the address asks for; ``errors`` says beside which field something was not understood."""

    question: Question
    below: bool
    chosen: Mapping[str, str]
    errors: Mapping[str, str] = field(default_factory=dict)

    def query(self, **changes: str) -> str:
        """Return the query string of this state with some words changed; '' drops one."""
        words = {
            "first": self.question.first,
            "last": self.question.last,
            "below": "1" if self.below else "",
            **self.chosen,
            **changes,
        }
        return urlencode({name: value for name, value in words.items() if value})


def read() -> Asked:
    """Read the filters from the address; what does not fit is told, and the usual is shown instead."""
    unit_id = g.unit.id
    errors: dict[str, str] = {}
    first, last = request.args.get("first", "")[:7], request.args.get("last", "")[:7]
    try:
        first, last = compliance.months_of(unit_id, first, last)
    except InvalidData as bad:
        errors = {name: str(texts[0]) for name, texts in bad.errors.items()}
        first, last = compliance.months_of(unit_id)
    known = {name: {str(code) for code, _label in choices(name)} for name in _FILTERS}
    chosen = {name: request.args.get(name, "") for name in _FILTERS}
    chosen = {name: value for name, value in chosen.items() if value in known[name]}
    below = request.args.get("below") == "1"
    clauses = compliance.clauses_that(**{name: chosen.get(name, "") for name in _FILTERS if name != "person"})
    person = int(chosen["person"]) if "person" in chosen else None
    question = Question(compliance.units_for(unit_id, below), first, last, clauses, person)
    return Asked(question, below, chosen, errors)


def choices(name: str) -> Choices:
    """Return the choices of a filter, for the current unit."""
    if name == "position":
        return positions.choices()
    if name == "person":
        return people_choices()
    clauses = timed_clauses()
    if name == "clause":
        return [(one.id, f"{one.id} {said(one.title)}") for one in clauses]
    if name == "kind":
        return [(code, label) for code, label in KINDS.items() if any(one.kind == code for one in clauses)]
    book = current_rulebook()
    ids = sorted({one.regulation for one in clauses})
    return [(one, f"{one} {said(book.regulations[one].title)}") for one in ids]


def timed_clauses() -> list[Any]:
    """Return the clauses of the current unit that give obligations."""
    if "timed_clauses" not in g:
        bound = {one.clause for one in current_rules().of(DeadlineRule, enabled_plugins())}
        g.timed_clauses = [one for one in current_rulebook().in_force(enabled_plugins()) if one.id in bound]
    found: list[Any] = g.timed_clauses
    return found


def people_choices() -> Choices:
    """Return the unit's staff, and whoever else the address names."""
    if "people_choices" not in g:
        found = dict(staff_names(g.unit.id))
        asked = [*request.args.getlist("person"), *request.args.getlist("f_person")]
        others = {int(one) for one in asked if one.isascii() and one.isdigit() and len(one) < 19} - found.keys()
        g.people_choices = [(str(key), name) for key, name in (found | names_of(others)).items()]
    known: Choices = g.people_choices
    return known


def names_of(ids: Iterable[int | None]) -> dict[int, str]:
    """Return the names of users by id."""
    wanted = {one for one in ids if one}
    if not wanted:
        return {}
    return dict(session().execute(select(User.id, User.name).where(User.id.in_(wanted))).all())


def unit_names(ids: Iterable[int]) -> dict[int, str]:
    """Return the names of units by id, in the reader's language, in the order of the tree."""
    rows = session().scalars(select(Unit).where(Unit.id.in_(set(ids))).order_by(Unit.path))
    return {one.id: unit_name(one) for one in rows}


def periods(unit_id: int) -> list[tuple[Any, str, str]]:
    """Return the usual periods: (words, first month, last month)."""
    now = compliance.this_month(unit_id)
    year = int(now[:4])
    return [
        (_("This month"), now, now),
        (_("Last 3 months"), compliance.months_back(now, 2), now),
        (_("This year"), f"{year}-01", now),
        (_("Last year"), f"{year - 1}-01", f"{year - 1}-12"),
    ]


def month_choices(unit_id: int, *also: str) -> list[str]:
    """Return the months one may choose, the present one first; ``also`` those that are chosen."""
    now = compliance.this_month(unit_id)
    return sorted({*(compliance.months_back(now, n) for n in range(compliance.MOST_MONTHS)), *also}, reverse=True)


def behind(asked: Asked, name: str = "", **narrower: Any) -> str:
    """Return the address of the obligations behind a number: ``name`` as in ``Figures``, '' all.

    ``narrower``: ``clause``, ``unit``, ``person``, ``position``, ``month``.
    """
    question = asked.question
    first, last = question.first, question.last
    if month := narrower.pop("month", ""):
        first = last = month
    chosen = {**asked.chosen, **{key: str(value) for key, value in narrower.items()}}
    words: list[tuple[str, str]] = [
        ("f_begun", f"{first}-01..{last}-{monthrange(int(last[:4]), int(last[5:]))[1]}")
    ]
    if asked.below:
        words += [("units", "all")]
        if "unit" not in chosen and set(question.units) != set(current_scope().permissions):
            words += [("f_unit", str(one)) for one in question.units]
    words += [(f"f_{key}", value) for key, value in chosen.items()]
    words += [("f_standing", code) for code in BEHIND.get(name, (name,)) if name]
    return f"{url_for('obligations.index_view')}?{urlencode(words)}"


def chips(asked: Asked) -> list[tuple[Any, str, str]]:
    """Return (label, value, query string without it) of each filter in force."""
    found = []
    for name, value in asked.chosen.items():
        shown = next((str(label) for code, label in choices(name) if str(code) == value), value)
        found.append((LABELS[name], shown, asked.query(**{name: ""})))
    return found


LABELS: Mapping[str, Any] = {
    "regulation": _l("Regulation"),
    "clause": _l("Clause"),
    "kind": _l("Kind"),
    "position": _l("Position"),
    "person": _l("Person"),
}
