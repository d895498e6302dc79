"""How screens speak of clause settings: values and differences in words, forms, what holds here and where from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from flask import g
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select

from core.admin.cases.words import unit_name
from core.admin.clauses import bounds_words, said, value_words
from core.kernel.database import session
from core.kernel.fields import Choices, Field
from core.rules import settings
from core.rules.clauses import Clause, Parameter
from core.rules.effective import Effective
from core.rules.obligation_models import PENDING, Obligation
from core.rules.setting_models import (
    IN_FORCE,
    KEEP,
    OPEN_RECORDS,
    REFUSED,
    STATE_WORDS,
    WAITING,
    WITHDRAWN,
    ClauseSetting,
)
from core.units.facts import unit_facts
from core.units.models import Unit

COUNTED = 1000
INHERIT, ON, OFF = "inherit", "on", "off"
HOLDS: Mapping[str, bool | None] = {INHERIT: None, ON: True, OFF: False}
TONES = {WAITING: "warn", IN_FORCE: "good", REFUSED: "bad", WITHDRAWN: "paused"}
UNIT_WORDS: Mapping[tuple[str, str], Any] = {
    ("minute", "calendar"): _l("minutes"),
    ("minute", "working"): _l("working minutes"),
    ("hour", "calendar"): _l("hours"),
    ("hour", "working"): _l("working hours"),
    ("day", "calendar"): _l("calendar days"),
    ("day", "working"): _l("working days"),
    ("month", "calendar"): _l("months"),
    ("year", "calendar"): _l("years"),
}


@dataclass(frozen=True)
class Here:
    """One thing a clause says in the unit today: in words, with who set it ('' where nobody did)."""

    title: str
    help: str
    value: str
    source: str
    own: bool
    usual: str
    bounds: str


@dataclass(frozen=True)
class Line:
    """One version in words, for lists: what it changed as (title, before, after)."""

    row: ClauseSetting
    unit: str
    state: tuple[Any, str]
    changes: list[tuple[str, str, str]]
    may_withdraw: bool


def on_words(holds: bool) -> str:
    return _("on") if holds else _("off")


def said_value(one: Parameter, value: Any, positions: Mapping[str, str]) -> str:
    """Say any value of a parameter as people would; a choice there is no more is said by its code."""
    if one.type == "choice" and value not in one.choices:
        return str(value)
    return value_words(replace(one, default=value), positions)


def changes(
    found: Iterable[settings.Difference], positions: Mapping[str, str], *, of: Clause | None = None
) -> list[tuple[str, str, str]]:
    """Say what differs: (what, before, after). ``of`` puts a clause's number in front."""
    lead = f"{of.id} " if of else ""
    return [
        (
            lead + (said(one.parameter.title) if one.parameter else _("On or off")),
            said_value(one.parameter, one.before, positions) if one.parameter else on_words(one.before),
            said_value(one.parameter, one.after, positions) if one.parameter else on_words(one.after),
        )
        for one in found
    ]


def here(clause: Clause, now: Effective, positions: Mapping[str, str]) -> tuple[Here, list[Here]]:
    """Return whether a clause is on in the current unit, and each of its values, with where that comes from."""
    names = unit_names({one.unit_id for one in now.sources.values()})

    def made(key: str, title: str, value: str, one: Parameter | None) -> Here:
        version = now.sources.get(key)
        usual = value_words(one, positions) if one else ""
        return Here(
            title,
            said(one.help) if one else "",
            value,
            names.get(version.unit_id, _("a unit above")) if version else "",
            version is not None and version.unit_id == g.unit.id,
            usual,
            bounds_words(one) if one else "",
        )

    rows = [
        made(one.name, said(one.title), said_value(one, now.values[one.name], positions), one)
        for one in clause.parameters
    ]
    return made("", _("On or off"), on_words(now.holds), None), rows


def lines(rows: Sequence[ClauseSetting], clauses: Mapping[str, Clause], positions: Mapping[str, str]) -> list[Line]:
    """Return versions in words; those of clauses that are not installed any more without their values."""
    names = unit_names({row.unit_id for row in rows})
    return [
        Line(
            row,
            names.get(row.unit_id, _("a unit above")),
            _state(row),
            changes(settings.differences(row), positions) if row.clause in clauses else [],
            row.unit_id == g.unit.id and settings.may_withdraw(row),
        )
        for row in rows
    ]


def _state(row: ClauseSetting) -> tuple[Any, str]:
    if row.state == IN_FORCE and row.starts_on > settings.local_day(row.unit_id):
        return _l("planned"), "info"
    return STATE_WORDS[row.state], TONES[row.state]


def unit_names(ids: Iterable[int]) -> dict[int, str]:
    """Return the names of units in the reader's language."""
    wanted = set(ids)
    if not wanted:
        return {}
    return {one.id: unit_name(one) for one in session().scalars(select(Unit).where(Unit.id.in_(wanted)))}


def open_count(clause_id: str) -> str:
    """Count the open obligations of a clause in the current unit and below it, up to a limit."""
    below = select(Unit.id).where(Unit.path.startswith(unit_facts(g.unit.id).path, autoescape=True))
    some = (
        select(Obligation.id)
        .where(Obligation.clause == clause_id, Obligation.unit_id.in_(below), Obligation.state.in_(PENDING))
        .limit(COUNTED + 1)
        .subquery()
    )
    count = session().scalar(select(func.count()).select_from(some)) or 0
    return f"{COUNTED}+" if count > COUNTED else str(count)


# --- the form --------------------------------------------------------------------------------------


def form_fields(clause: Clause, inherited: Effective, positions: Mapping[str, str]) -> list[Field]:
    """Return the form that sets a clause; parameters are called ``p_`` and their name."""
    above = on_words(inherited.holds)
    holds: Choices = (
        (INHERIT, _("as inherited: %(value)s", value=above)),
        (ON, _("on in this unit")),
        (OFF, _("off in this unit")),
    )
    count = open_count(clause.id)
    return [
        Field("holds", "choice", _l("On or off"), True, holds, default=INHERIT),
        *(_parameter_field(one, inherited.values[one.name], positions) for one in clause.parameters),
        Field(
            "starts_on",
            "date",
            _l("In force from"),
            True,
            help=_l("A day of the unit's time zone; today at the earliest"),
        ),
        Field(
            "open_records",
            "choice",
            _l("Records that are open then"),
            True,
            tuple(OPEN_RECORDS.items()),
            default=KEEP,
            help=_l("Time limits running now under this clause, here and below: %(count)s", count=count),
        ),
        Field("reason", "long", _l("Reason"), True, max_length=1000),
    ]


def title_with_unit(one: Parameter) -> str:
    """Name a parameter with what it is counted in, as above a field."""
    measure = str(UNIT_WORDS.get((one.unit, one.clock), one.unit)) if one.unit else ""
    return _("%(title)s (%(unit)s)", title=said(one.title), unit=measure) if measure else said(one.title)


def _parameter_field(one: Parameter, inherited: Any, positions: Mapping[str, str]) -> Field:
    label = title_with_unit(one)
    bounds = bounds_words(one) if one.type in ("int", "decimal", "duration") else ""
    told = [_("Empty means inherited: %(value)s", value=said_value(one, inherited, positions))]
    told += [_("possible: %(bounds)s", bounds=bounds)] if bounds else []
    told += [said(one.help)] if one.help else []
    return replace(settings.field_of(one, f"p_{one.name}", label), help=_("; ").join(told))


def form_values(clause: Clause, day: date) -> dict[str, Any]:
    """Return what the form starts with: what the unit sets itself."""
    holds, own = settings.own_values(g.unit.id, clause, day)
    shown = {
        f"p_{name}": ("1" if value else "0") if isinstance(value, bool) else value for name, value in own.items()
    }
    words = next(code for code, meaning in HOLDS.items() if meaning is holds)
    return {"holds": words, "starts_on": day, "open_records": KEEP, **shown}
