"""What a clause says in a unit at a time: on or off, and the value of each parameter, with where it comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import select

from core.kernel import clock
from core.kernel.database import session
from core.units.facts import unit_facts
from core.units.models import Unit, UnitParent

from .clauses import Clause, Parameter
from .clocks import CALENDAR, MIDNIGHT, Term
from .rulebook import current_rulebook
from .setting_models import IN_FORCE, ClauseSetting


@dataclass(frozen=True)
class Version:
    """A version of a clause setting, as it was read."""

    id: int
    unit_id: int
    clause: str
    starts_on: date
    holds: bool | None
    values: Mapping[str, Any]
    schema: int = 1


@dataclass(frozen=True)
class Effective:
    """What holds.

    ``sources`` names for each parameter (and ``""`` for on or off) the version that set it, where one did;
    ``versions`` are the ids of those versions, in order.
    """

    clause: Clause
    holds: bool
    values: Mapping[str, Any]
    sources: Mapping[str, Version]

    @property
    def versions(self) -> tuple[int, ...]:
        return tuple(sorted({one.id for one in self.sources.values()}))

    def term(self, name: str) -> Term:
        """Return the parameter ``name`` (a duration) as a term.

        Further parameters of C0 shape it where the clause has them: ``day_end``, ``roll_rest_day``.
        """
        return term_of(self.clause.parameter(name), self.values)


def term_of(parameter: Parameter, values: Mapping[str, Any]) -> Term:
    """Return a duration parameter, set to a value, as a term."""
    return Term(
        Decimal(values[parameter.name]),
        parameter.unit,
        values.get(f"{parameter.name}_clock", parameter.clock or CALENDAR),
        day_end=values.get("day_end", MIDNIGHT),
        roll=bool(values.get("roll_rest_day", False)),
    )


def effective(unit_id: int, clause: Clause | str, at: datetime | None = None) -> Effective:
    """Return what a clause says in a unit at a moment (default: now), along the unit tree as it was then.

    Raises:
        LookupError: no such clause.
    """
    one = current_rulebook().clauses[clause] if isinstance(clause, str) else clause
    kept: dict[Any, Effective] = session().info.setdefault("effective", {})
    if (lasting := kept.get((unit_id, one.id))) is not None:
        return lasting
    day = clock.day_in(unit_facts(unit_id).timezone, at)
    key: tuple[Any, ...] = (unit_id, one.id, day)
    if key not in kept:
        if all(version.clause != one.id for version in versions_of(unit_id)):
            key = (unit_id, one.id)  # nobody ever set it: the same on every day
        kept[key] = resolve(one, line_at(unit_id, day), versions_of(unit_id), day)
    return kept[key]


def never_on(unit_id: int) -> frozenset[str]:
    """Return the clauses that are off in a unit and that nobody ever set there or above."""
    kept: dict[int, frozenset[str]] = session().info.setdefault("clauses_never_on", {})
    if unit_id not in kept:
        book = current_rulebook()
        touched = {one.clause for one in versions_of(unit_id)}
        off = (one for one in book.clauses.values() if not (one.on and book.regulations[one.regulation].on))
        kept[unit_id] = frozenset(one.id for one in off if one.id not in touched)
    return kept[unit_id]


def holds(unit_id: int, clause_id: str, at: datetime | None = None) -> bool:
    """Tell whether a clause is on in a unit; one that no installed rulebook knows is not."""
    one = current_rulebook().clauses.get(clause_id)
    return one is not None and effective(unit_id, one, at).holds


def resolve(clause: Clause, line: Sequence[int], versions: Sequence[Version], day: date) -> Effective:
    """Work out a clause along ``line`` (unit ids from the root down) on a day; pure."""
    book = current_rulebook()
    switched = clause.on and book.regulations[clause.regulation].on
    values = {one.name: one.default for one in clause.parameters}
    sources: dict[str, Version] = {}
    for unit_id in line:
        version = _latest(versions, unit_id, clause.id, day)
        if version is None:
            continue
        if version.holds is not None:
            switched = version.holds
            sources[""] = version
        for name, value in upgraded(clause, version).items():
            values[name] = value
            sources[name] = version
    return Effective(clause, switched, values, sources)


def _latest(versions: Sequence[Version], unit_id: int, clause: str, day: date) -> Version | None:
    found = None
    for one in versions:  # in order of their first day
        if one.unit_id == unit_id and one.clause == clause and one.starts_on <= day:
            found = one
    return found


# (clause, schema) -> a function from values of that shape to values of the next: stored versions stay as they are.
upgrades: dict[tuple[str, int], Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {}


def upgraded(clause: Clause, version: Version) -> dict[str, Any]:
    """Return a version's values in the clause's present shape; parameters the clause has no more are left out."""
    values = version.values
    for schema in range(version.schema, clause.schema):
        if upgrade := upgrades.get((clause.id, schema)):
            values = upgrade(values)
    found = {}
    for one in clause.parameters:
        if one.name in values:
            value = values[one.name]
            found[one.name] = Decimal(str(value)) if one.type == "decimal" else value
    return found


def line_at(unit_id: int, day: date) -> tuple[int, ...]:
    """Return the ids from the root to the unit, as the tree was on a day (before that: as it first was)."""
    parents = _parents()
    if unit_id not in parents:
        return unit_facts(unit_id).line
    line = [unit_id]
    while (above := _parent_on(parents.get(line[-1], ()), day)) is not None and above not in line:
        line.append(above)
    return tuple(reversed(line))


def _parent_on(entries: Sequence[tuple[date, int | None]], day: date) -> int | None:
    found = entries[0][1] if entries else None
    for since, parent in entries:
        if since <= day:
            found = parent
    return found


def _parents() -> Mapping[int, list[tuple[date, int | None]]]:
    info = session().info
    if "unit_parents" not in info:
        rows = session().execute(
            select(UnitParent.unit_id, UnitParent.valid_from, UnitParent.parent_id).order_by(
                UnitParent.unit_id, UnitParent.valid_from
            )
        )
        found: dict[int, list[tuple[date, int | None]]] = {}
        for row in rows:
            found.setdefault(row.unit_id, []).append((row.valid_from, row.parent_id))
        info["unit_parents"] = found
    known: Mapping[int, list[tuple[date, int | None]]] = info["unit_parents"]
    return known


def versions_of(unit_id: int) -> Sequence[Version]:
    """Return the versions in force of a unit and of every unit that was ever above it, by their first day."""
    units = {unit_id, *unit_facts(unit_id).line}
    parents = _parents()
    todo = list(units)
    while todo:
        for _, above in parents.get(todo.pop(), ()):
            if above is not None and above not in units:
                units.add(above)
                todo.append(above)
    kept: dict[frozenset[int], list[Version]] = session().info.setdefault("clause_versions", {})
    key = frozenset(units)
    if key not in kept:
        kept[key] = _read(key)
    return kept[key]


def _read(units: frozenset[int]) -> list[Version]:
    row = ClauseSetting
    rows = session().execute(
        select(row.id, row.unit_id, row.clause, row.starts_on, row.holds, row.values, row.schema)
        .where(row.unit_id.in_(units), row.state == IN_FORCE)
        .order_by(row.starts_on, row.id),
        # What a unit above has set holds below it even for people who may not see that unit.
        execution_options={"unscoped": "clause settings are inherited"},
    )
    return [Version(*one) for one in rows]


class Source(NamedTuple):
    """A version of a setting with the unit that made it, as an obligation's explanation names it."""

    id: int
    starts_on: date
    values: Mapping[str, Any]
    holds: bool | None
    path: str
    unit: str
    unit_en: str


def sources(ids: Iterable[int]) -> list[Source]:
    """Return versions of settings by their ids, those of the nearest unit last."""
    wanted = sorted(set(ids))
    if not wanted:
        return []
    row = ClauseSetting
    rows = session().execute(
        select(row.id, row.starts_on, row.values, row.holds, Unit.path, Unit.name, Unit.name_en)
        .join(Unit, Unit.id == row.unit_id)
        .where(row.id.in_(wanted))
        .order_by(Unit.path, row.starts_on),
        execution_options={"unscoped": "clause settings are inherited"},
    )
    return [Source(*one) for one in rows]


def forget() -> None:
    """Drop what this session has kept: settings or the tree have changed."""
    for name in ("effective", "clause_versions", "clauses_never_on", "unit_parents"):
        session().info.pop(name, None)
