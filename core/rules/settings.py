"""Setting clauses in a unit: versions by effective date, planned, agreed to where asked, inherited below.

A version holds everything the unit itself sets for the clause from its first day until the next one begins; what it
leaves out is inherited. Versions that were stored are never rewritten: a correction is a further version, and one
that has not begun may be withdrawn. The past is open only at a unit's first set-up (``may_begin``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import joinedload

from core.kernel import clock
from core.kernel.access import require
from core.kernel.audit import plain
from core.kernel.database import current_scope, fetch, session, transaction
from core.kernel.errors import InvalidData, NotFound, Refusal, Refused
from core.kernel.fields import REQUIRED, Choices, Field, clean
from core.kernel.i18n import current_locale
from core.records.engine import answered_before, remember_answer
from core.records.models import Record
from core.units.facts import local_day, unit_facts
from core.units.models import Unit
from core.units.settings import SettingSpec, declare, setting
from core.users import positions

from . import approvals, releases
from .approval_models import AGREED, REJECTED, Approval
from .approval_models import WITHDRAWN as APPROVAL_WITHDRAWN
from .clauses import Clause, Parameter
from .clocks import MOST
from .effective import Effective, Version, forget, line_at, resolve, upgraded, versions_of
from .rulebook import current_rulebook
from .setting_models import APPLY, IN_FORCE, KEEP, REFUSED, WAITING, WITHDRAWN, ClauseSetting

CHANGE = "rules.settings"
APPROVAL = "rules.settings_approval"
NOBODY = "none"
SUBJECT = "setting"
STANDING = (WAITING, IN_FORCE)
FIRST_YEAR, LAST_YEAR = 1990, 2100
MOST_ROWS = 50
# Of two values whose names end so, the first may not be greater than the second.
ORDERED = (("least", "most"), ("target", "limit"), ("amount", "cap"), ("per_day", "cap"), ("first", "last"))
# How long units of time are, where two durations by one clock can be compared: in minutes, or in months.
_MINUTES = {"minute": 1, "hour": 60, "day": 1440}
_MONTHS = {"month": 1, "year": 12}
YES_NO: Choices = (("1", _l("Yes")), ("0", _l("No")))


def _approvers() -> Choices:
    return [(NOBODY, _l("Nobody: a change needs no agreement")), *positions.choices()]


declare(
    (
        SettingSpec(
            Field(APPROVAL, "choice", _l("Who agrees to changes of clauses"), choices=_approvers, default=NOBODY),
            _l("Regulations"),
        ),
    )
)


@dataclass(frozen=True)
class Row:
    """One row of a plan: from ``first`` to ``last`` (None: from then on) the unit sets this."""

    first: date
    last: date | None
    holds: bool | None
    values: Mapping[str, Any]


# --- writing ---------------------------------------------------------------------------------------


def set_clause(
    unit_id: int,
    clause_id: str,
    raw: Mapping[str, Any],
    *,
    starts_on: object,
    reason: str,
    open_records: str = KEEP,
    holds: bool | None = None,
    key: str = "",
) -> ClauseSetting:
    """Set a clause in a unit from a day on (of the unit's zone).

    ``raw`` holds the values set here by the parameter's name; one left out or empty is inherited. ``holds``
    switches the clause on or off, None inherits. ``open_records`` says what becomes of obligations that run when
    the version begins. ``key`` makes a retry harmless. Where the unit asks for agreement the version waits for it.

    Raises:
        NotAllowed: without ``rules.settings`` in the unit.
        NotFound: no installed rulebook has the clause.
        InvalidData: under the parameter's name, ``starts_on``, ``reason``, ``open_records`` or ``values``.
    """
    with transaction():
        require(CHANGE, unit_id)
        clause = _known(clause_id)
        asked = {"raw": dict(raw), "starts_on": str(starts_on), "holds": holds, "open": open_records}
        answer = answered_before(unit_id, key, f"clause:{clause_id}", asked)
        if answer:
            return fetch(ClauseSetting, answer["setting"])
        _lock(unit_id)
        errors = _wrong_about(reason, open_records)
        values = _collect(errors, lambda: read_values(clause, raw)) or {}
        first = _collect(errors, lambda: _read_day("starts_on", starts_on))
        if first is not None:
            errors |= _wrong_day(unit_id, clause, first)
        if errors:
            raise InvalidData(errors)
        assert first is not None
        row = _add(unit_id, clause, Row(first, None, holds, values), reason, open_records)
        remember_answer(unit_id, key, {"setting": row.id})
        return row


def plan_versions(
    unit_id: int, clause_id: str, rows: Sequence[Mapping[str, Any]], *, reason: str, open_records: str = KEEP
) -> list[ClauseSetting]:
    """Set a clause for several spans of days at once: rows of ``from``, ``to``, ``holds`` and ``values``.

    The rows may stand in any order, but follow each other without overlap and without gap; only the last may leave
    ``to`` out. After a last row with an end the unit inherits again.

    Raises:
        NotAllowed, NotFound: as ``set_clause``.
        InvalidData: under ``rows`` or ``rows.2.from``; every mistake is named, and nothing is written.
    """
    with transaction():
        require(CHANGE, unit_id)
        clause = _known(clause_id)
        _lock(unit_id)
        errors = _wrong_about(reason, open_records)
        planned = _collect(errors, lambda: _read_plan(clause, rows)) or []
        if planned and (wrong := _wrong_day(unit_id, clause, planned[0].first)):
            errors["rows"] = wrong["starts_on"]
        if errors:
            raise InvalidData(errors)
        last = planned[-1].last
        if last is not None:
            planned.append(Row(last + timedelta(days=1), None, None, {}))
        return [_add(unit_id, clause, one, reason, open_records) for one in planned]


def withdraw_setting(setting_id: object) -> ClauseSetting:
    """Take back a version that has not begun, or that still waits for agreement.

    Raises:
        NotAllowed: without ``rules.settings`` in the unit.
        NotFound: malformed, unknown or foreign id.
        Refused: it has begun, or was taken back before.
    """
    with transaction():
        row = fetch(ClauseSetting, setting_id)
        require(CHANGE, row.unit_id)
        _lock(row.unit_id)
        if not may_withdraw(row):
            told = _l("This version holds already or is no longer planned; set a new one instead")
            raise Refused([Refusal("begun", told, row.clause)])
        if row.state == WAITING and row.approval_id is not None:
            approvals.withdraw(row.approval_id)
        row.state = WITHDRAWN
        session().flush()
        forget()
        return row


def may_withdraw(row: ClauseSetting) -> bool:
    """Tell whether a version may still be taken back: it waits, or its first day lies ahead."""
    return row.state == WAITING or (row.state == IN_FORCE and row.starts_on > local_day(row.unit_id))


def may_begin(unit_id: int, clause_id: str, day: date) -> bool:
    """Tell whether a version may begin on a day.

    Today and later always. Earlier only at a unit's first set-up: it has no version of the clause yet, and neither
    it nor a unit below has a record received from that day on, so that nothing already judged changes.
    """
    if day >= local_day(unit_id):
        return True
    own = select(ClauseSetting.id).where(*_of(unit_id, clause_id), ClauseSetting.state.in_(STANDING))
    if session().scalar(own.limit(1)) is not None:
        return False
    zone = unit_facts(unit_id).timezone
    below = select(Unit.id).where(Unit.path.startswith(unit_facts(unit_id).path, autoescape=True))
    since = datetime.combine(day, time(), ZoneInfo(zone))
    received = select(Record.id).where(Record.unit_id.in_(below), Record.received_at >= since)
    return session().scalar(received.limit(1), execution_options=_ABOVE) is None


def _add(unit_id: int, clause: Clause, planned: Row, reason: str, open_records: str) -> ClauseSetting:
    _check_worth(unit_id, clause, planned)
    position = setting(unit_id, APPROVAL)
    row = ClauseSetting(
        unit_id=unit_id,
        clause=clause.id,
        starts_on=planned.first,
        holds=planned.holds,
        values=dict(planned.values),
        schema=clause.schema,
        reason=reason.strip(),
        open_records=open_records,
        state=IN_FORCE if position == NOBODY else WAITING,
        created_at=clock.now(),
        created_by=current_scope().actor_id,
    )
    session().add(row)
    session().flush()
    forget()
    _check_together(unit_id, clause, planned.first, row)
    if row.state == WAITING:
        _ask(row, clause, position)
    elif planned.first <= local_day(unit_id):
        releases.release_in_scope(row)
    return row


def _ask(row: ClauseSetting, clause: Clause, position: str) -> None:
    asked = approvals.ask(
        row.unit_id,
        clause=clause.id,
        subject=f"{SUBJECT}:{row.id}",
        title={code: f"{clause.id} {words}" for code, words in clause.title.items()},
        position=position,
        reason=row.reason,
        data={"starts_on": plain(row.starts_on), "holds": row.holds, "values": dict(row.values)},
    )
    row.approval_id = asked.id
    session().flush()


def decided(approval: Approval) -> None:
    """Let a version that waited come into force, or not (called by the approval's decision).

    One agreed to after its first day begins on the day of the agreement; where a later version holds by then, it
    never comes into force.
    """
    row = fetch(ClauseSetting, approval.subject.partition(":")[2])
    if row.state != WAITING:
        return
    if approval.state in (REJECTED, APPROVAL_WITHDRAWN):
        row.state = REFUSED if approval.state == REJECTED else WITHDRAWN
    elif approval.state == AGREED:
        _come_into_force(row)
    session().flush()
    forget()


def _come_into_force(row: ClauseSetting) -> None:
    today = local_day(row.unit_id)
    if row.starts_on < today:
        later = (ClauseSetting.starts_on > row.starts_on, ClauseSetting.starts_on <= today)
        held = select(ClauseSetting.id).where(
            *_of(row.unit_id, row.clause), *later, ClauseSetting.state == IN_FORCE
        )
        if session().scalar(held.limit(1)) is not None:
            row.state = WITHDRAWN
            return
        row.starts_on = today
    row.state = IN_FORCE
    session().flush()
    forget()
    if row.starts_on <= today:
        releases.release_in_scope(row)


approvals.handlers[SUBJECT] = decided


# --- checking --------------------------------------------------------------------------------------


def read_values(clause: Clause, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Check values by the clause's parameters; return those that are set, as they are stored.

    Raises:
        InvalidData: each message under its parameter's name, also for one the clause does not have.
    """
    names = {one.name for one in clause.parameters}
    errors: dict[str, Any] = {name: _l("The clause has no such value") for name in raw if name not in names}
    found: dict[str, Any] = {}
    for one in clause.parameters:
        given = raw.get(one.name)
        if given is None or given == "":
            continue
        try:
            found[one.name] = plain(_read_value(one, given))
        except InvalidData as bad:
            errors |= bad.errors
    if errors:
        raise InvalidData(errors)
    return found


def _read_value(one: Parameter, given: Any) -> Any:
    if isinstance(given, bool):
        if one.type != "bool":
            raise InvalidData({one.name: _l("Please enter a number") if one.type in _NUMBERS else _NO_CHOICE})
        return given
    value = clean([field_of(one)], {one.name: given if isinstance(given, str) else str(given)})[one.name]
    if value is None:
        raise InvalidData({one.name: REQUIRED})
    return value == "1" if one.type == "bool" else value


_NUMBERS = ("int", "decimal", "duration")
_NO_CHOICE = _l("Please choose one of the list")


def field_of(one: Parameter, name: str = "", label: Any = "") -> Field:
    """Return a parameter as a field of a form, with its bounds and choices; nothing in it is needed."""
    least, most = one.minimum, one.maximum
    if one.type == "duration":
        least = max(least or Decimal(0), Decimal(0))
        longest = Decimal(MOST[one.unit])
        most = longest if most is None else min(most, longest)
    kinds = {"duration": "int", "bool": "choice", "position": "choice"}
    return Field(
        name or one.name,
        kinds.get(one.type, one.type),
        label or _in_words(one.title),
        choices=_choices_of(one),
        max_length=200,
        minimum=least,
        maximum=most,
    )


def _choices_of(one: Parameter) -> Choices:
    if one.type == "bool":
        return YES_NO
    if one.type == "position":
        return _positions()
    return [(code, _in_words(words)) for code, words in one.choices.items()]


def _positions() -> Choices:
    """Return the positions of the deployment, and those shipped that it has not been given yet."""
    held = positions.choices()
    codes = {code for code, _ in held}
    shipped = [one for one in positions.POSITIONS if one.code not in codes and not one.exclusion_group]
    return [*held, *((one.code, _in_words({"zh": one.title, "en": one.title_en})) for one in shipped)]


def _in_words(words: Mapping[str, str]) -> str:
    return words.get(current_locale()) or words.get("zh", "")


def _read_plan(clause: Clause, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    if not isinstance(rows, list | tuple) or not rows:
        raise InvalidData({"rows": _l("The plan has no rows")})
    if len(rows) > MOST_ROWS:
        raise InvalidData({"rows": _l("At most %(count)d rows", count=MOST_ROWS)})
    errors: dict[str, Any] = {}
    found: list[Row] = []
    for number, raw in enumerate(rows, 1):
        try:
            found.append(_read_row(clause, raw))
        except InvalidData as bad:
            errors |= {f"rows.{number}.{name}": texts for name, texts in bad.errors.items()}
    if not errors:
        found.sort(key=lambda one: one.first)
        if broken := list(_breaks(found)):
            errors["rows"] = broken
    if errors:
        raise InvalidData(errors)
    return found


def _read_row(clause: Clause, raw: object) -> Row:
    if not isinstance(raw, Mapping):
        raise InvalidData({"row": _l("A row has from, to, holds and values")})
    known = {"from", "to", "holds", "values"}
    errors: dict[str, Any] = {name: _l("Unknown word") for name in raw if name not in known}
    first = _collect(errors, lambda: _read_day("from", raw.get("from")))
    last = _collect(errors, lambda: _read_day("to", raw["to"])) if raw.get("to") else None
    if first and last and last < first:
        errors["to"] = _l("The end lies before the beginning")
    holds = raw.get("holds")
    if holds not in (None, True, False):
        errors["holds"] = _l("Write true, false or nothing")
    values = raw.get("values") or {}
    if not isinstance(values, Mapping):
        errors["values"] = _l("Write the values by name")
        values = {}
    read = _collect(errors, lambda: read_values(clause, values))
    if errors or first is None or read is None:
        raise InvalidData(errors)
    return Row(first, last, holds, read)


def _breaks(rows: Sequence[Row]) -> Iterable[Any]:
    """Name the days on which two rows hold, or none."""
    for one, following in pairwise(rows):
        day_before = following.first - timedelta(days=1)
        if one.last is None or one.last >= following.first:
            until = following.last if one.last is None else min(one.last, following.last or one.last)
            yield _l(
                "Two rows hold from %(first)s to %(last)s",
                first=following.first,
                last=until or _l("further notice"),
            )
        elif one.last < day_before:
            gap = one.last + timedelta(days=1)
            yield _l("No row holds from %(first)s to %(last)s", first=gap, last=day_before)


def _wrong_about(reason: object, open_records: object) -> dict[str, Any]:
    errors: dict[str, Any] = {}
    try:
        clean([Field("reason", "long", "", True, max_length=1000)], {"reason": reason})
    except InvalidData as bad:
        errors |= bad.errors
    if open_records not in (KEEP, APPLY):
        errors["open_records"] = _NO_CHOICE
    return errors


def _wrong_day(unit_id: int, clause: Clause, first: date) -> dict[str, Any]:
    """Say what stands against a version that begins on a day."""
    if not may_begin(unit_id, clause.id, first):
        return {
            "starts_on": _l(
                "A change holds from today on at the earliest. An earlier day is possible only when the unit sets "
                "this clause for the first time and has no records from then on"
            )
        }
    later = select(ClauseSetting.starts_on).where(
        *_of(unit_id, clause.id), ClauseSetting.state.in_(STANDING), ClauseSetting.starts_on >= first
    )
    day = session().scalar(later.order_by(ClauseSetting.starts_on).limit(1))
    if day is None:
        return {}
    if day == first:
        return {"starts_on": _l("Another version begins on %(day)s; choose a later day", day=day)}
    return {
        "starts_on": _l("A version that begins on %(day)s is planned already; withdraw it first", day=day),
    }


def _check_worth(unit_id: int, clause: Clause, planned: Row) -> None:
    """A version must change what the unit itself sets."""
    before = own_version(unit_id, clause.id, planned.first)
    own = (before.holds, dict(before.values)) if before else (None, {})
    if own == (planned.holds, dict(planned.values)):
        raise InvalidData({"values": _l("Nothing would change: this is how the unit sets the clause already")})


def _check_together(unit_id: int, clause: Clause, day: date, row: ClauseSetting) -> None:
    """Values must fit each other, also those that are inherited."""
    if errors := clashes(clause, preview(unit_id, clause, day, row).values, row.values):
        raise InvalidData(errors)


def clashes(clause: Clause, values: Mapping[str, Any], own: Iterable[str]) -> dict[str, Any]:
    """Say which values contradict each other, under the name of one that is set here."""
    found: dict[str, Any] = {}
    named = {one.name: one for one in clause.parameters}
    for low, high in ORDERED:
        for name in named:
            other = name.removesuffix(low) + high
            if not name.endswith(low) or other not in named:
                continue
            sizes = _size(named[name], values[name]), _size(named[other], values[other])
            if sizes[0][0] != sizes[1][0] or sizes[0][1] <= sizes[1][1]:
                continue
            told = _l(
                "“%(less)s” may not be more than “%(more)s”",
                less=_in_words(named[name].title),
                more=_in_words(named[other].title),
            )
            found[name if name in own else other] = told
    return found


def _size(one: Parameter, value: Any) -> tuple[Any, Decimal]:
    """Return (what it is measured in, how much): only like is compared with like."""
    if one.type not in _NUMBERS:
        return (one.name, ""), Decimal(0)
    number = Decimal(str(value))
    if one.type != "duration":
        return (one.type, one.unit), number
    if one.unit in _MONTHS:
        return "months", number * _MONTHS[one.unit]
    if one.clock == "working" and one.unit == "day":
        return "working days", number
    return (one.clock, "minutes"), number * _MINUTES[one.unit]


def _collect(errors: dict[str, Any], read: Any) -> Any:
    """Return what ``read`` answers, or keep its mistakes and return None."""
    try:
        return read()
    except InvalidData as bad:
        errors |= bad.errors
        return None


def _read_day(name: str, given: object) -> date:
    day: date = clean([Field(name, "date", "", True)], {name: given})[name]
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise InvalidData({name: _l("This date is too far away")})
    return day


def _known(clause_id: str) -> Clause:
    found = current_rulebook().clauses.get(clause_id)
    if found is None:
        raise NotFound(_l("There is no clause %(id)s", id=str(clause_id)[:40]))
    return found


def _lock(unit_id: int) -> None:
    """Two people who set clauses of one unit at the same moment wait for each other."""
    held = select(Unit.id).where(Unit.id == unit_id).with_for_update(key_share=True)
    if session().scalar(held) is None:
        raise NotFound()


def _of(unit_id: int, clause_id: str) -> tuple[ColumnElement[bool], ...]:
    return (ClauseSetting.unit_id == unit_id, ClauseSetting.clause == clause_id)


# --- reading ---------------------------------------------------------------------------------------

_ABOVE = {"unscoped": "clause settings are inherited"}


@dataclass(frozen=True)
class Difference:
    """One thing that differs: the parameter (None: on or off), its value before and after."""

    parameter: Parameter | None
    before: Any
    after: Any


def own_version(unit_id: int, clause_id: str, day: date) -> Version | None:
    """Return the version of the unit itself that holds (or is agreed to hold) on a day."""
    found = [
        one
        for one in versions_of(unit_id)
        if (one.unit_id, one.clause) == (unit_id, clause_id) and one.starts_on <= day
    ]
    return found[-1] if found else None


def preview(unit_id: int, clause: Clause, day: date, row: ClauseSetting | Version | None = None) -> Effective:
    """Return what a clause says on a day, with a further version where one is given."""
    versions = [one for one in versions_of(unit_id) if row is None or one.id != row.id]
    if row is not None:
        versions.append(
            Version(row.id, row.unit_id, row.clause, row.starts_on, row.holds, row.values, row.schema),
        )
        versions.sort(key=lambda one: (one.starts_on, one.id))
    return resolve(clause, line_at(unit_id, day), versions, day)


def difference(clause: Clause, before: Effective | None, after: Effective) -> list[Difference]:
    """Compare two readings of a clause; None stands for what holds without anybody setting anything."""
    if before is None:
        before = resolve(clause, (), (), date.min)
    found = [Difference(None, before.holds, after.holds)] if before.holds != after.holds else []
    return found + [
        Difference(one, before.values[one.name], after.values[one.name])
        for one in clause.parameters
        if before.values[one.name] != after.values[one.name]
    ]


BEFORE, PARENT, USUAL = "before", "parent", "usual"


def differences(row: ClauseSetting, against: str = BEFORE) -> list[Difference]:
    """Compare a version, on its first day, with what was before, with the unit above, or with the usual values."""
    clause = _known(row.clause)
    after = preview(row.unit_id, clause, row.starts_on, row)
    if against == USUAL:
        return difference(clause, None, after)
    line = line_at(row.unit_id, row.starts_on)
    if against == PARENT:
        return difference(clause, resolve(clause, line[:-1], versions_of(row.unit_id), row.starts_on), after)
    others = [one for one in versions_of(row.unit_id) if one.id != row.id]
    return difference(clause, resolve(clause, line, others, row.starts_on), after)


def history(unit_id: int, clause_id: str) -> Sequence[ClauseSetting]:
    """Return every version of a clause in a unit and in those above it, the latest first day first."""
    wanted = (
        select(ClauseSetting)
        .where(ClauseSetting.unit_id.in_(unit_facts(unit_id).line), ClauseSetting.clause == clause_id)
        .options(joinedload(ClauseSetting.author))
    )
    rows = wanted.order_by(ClauseSetting.starts_on.desc(), ClauseSetting.id.desc())
    return session().scalars(rows, execution_options=_ABOVE).all()


def set_here(unit_id: int, clause_id: str = "") -> Sequence[ClauseSetting]:
    """Return the versions of the unit itself (of one clause) that hold, are planned or wait, by clause and day."""
    own = (
        select(ClauseSetting)
        .where(ClauseSetting.unit_id == unit_id, ClauseSetting.state.in_(STANDING))
        .options(joinedload(ClauseSetting.author))
    )
    if clause_id:
        own = own.where(ClauseSetting.clause == clause_id)
    return session().scalars(own.order_by(ClauseSetting.clause, ClauseSetting.starts_on, ClauseSetting.id)).all()


def own_values(unit_id: int, clause: Clause, day: date) -> tuple[bool | None, dict[str, Any]]:
    """Return what the unit itself sets on a day, in the clause's present shape: what its form starts with."""
    version = own_version(unit_id, clause.id, day)
    return (version.holds, upgraded(clause, version)) if version else (None, {})
