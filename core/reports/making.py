"""From a declared report and its filters to lines: rows, subtotals, the total, and the numbers of the chart.

Rows come one by one and are counted as they come. Sums are exact: whole numbers and decimals, never floats.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, cast
from zoneinfo import ZoneInfo

from flask import current_app
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.kernel.access import may, require
from core.kernel.database import session
from core.kernel.errors import AppError, InvalidData, NotFound
from core.kernel.extensions import Report, ReportColumn
from core.kernel.fields import clean
from core.rules.compliance import percent
from core.units.facts import unit_facts
from core.units.models import Unit
from core.units.switches import enabled_plugins
from core.users.permissions import units_where

MOST_ROWS = 100_000
MOST_SHOWN = 500
MOST_BARS = 10
ROW, SUBTOTAL, TOTAL = "row", "subtotal", "total"


class TooMuch(AppError):
    """A report has more rows than is of use; the text says what to do."""

    status = 422
    code = "too_much"


@dataclass(frozen=True)
class Ask:
    """What somebody wants to see: a report, the units it covers, cleaned filters, the column to group by."""

    report: Report
    unit_id: int
    units: tuple[int, ...]
    values: Mapping[str, Any]
    group: str = ""

    @property
    def columns(self) -> list[ReportColumn]:
        """The columns as they are shown: the one grouped by comes first."""
        return sorted(self.report.columns, key=lambda one: one.code != self.group)


@dataclass(frozen=True)
class Line:
    """One line: a row, the subtotal of a group, or the total."""

    kind: str
    cells: tuple[Any, ...]


@dataclass
class Table:
    """A report as a screen shows it: the first lines with every subtotal and the total, and the chart."""

    columns: Sequence[ReportColumn]
    lines: list[Line] = field(default_factory=list)
    rows: int = 0
    left_out: int = 0
    chart: list[tuple[str, Any]] = field(default_factory=list)


# --- which there are --------------------------------------------------------------------------------


def declared() -> Sequence[Report]:
    """Return every report of this deployment, the core's first."""
    return cast("Sequence[Report]", current_app.extensions.get("reports", ()))


def usable(unit_id: int) -> list[Report]:
    """Return the reports the actor may see in a unit."""
    enabled = enabled_plugins(unit_id)
    on = (one for one in declared() if not one.plugin or one.plugin in enabled)
    return [one for one in on if may(one.permission, unit_id)]


def find(code: object, unit_id: int) -> Report:
    """Return a report by its code.

    Raises:
        NotFound: none of that code here, or its plugin is off.
        NotAllowed: the actor may not see it here.
    """
    found = next((one for one in declared() if one.code == code), None)
    if found is None or (found.plugin and found.plugin not in enabled_plugins(unit_id)):
        raise NotFound()
    require(found.permission, unit_id)
    return found


def units_below(report: Report, unit_id: int) -> tuple[int, ...]:
    """Return the unit and those below it where the actor may see the report and its plugin is on."""
    line = select(Unit.id).where(
        Unit.path.startswith(unit_facts(unit_id).path, autoescape=True), Unit.id != unit_id
    )
    held = units_where(report.permission)
    under = sorted(one for one in session().scalars(line) if one in held)
    on = [one for one in under if not report.plugin or report.plugin in enabled_plugins(one)]
    return (unit_id, *on)


def ask(report: Report, unit_id: int, raw: Mapping[str, Any], *, group: str = "", below: bool = False) -> Ask:
    """Check what is wanted of a report. A filter that is not given takes its default.

    Raises:
        NotAllowed: the actor may not see the report in the unit.
        InvalidData: filters that do not fit, with every message.
    """
    require(report.permission, unit_id)
    given = {one.name: raw.get(one.name) or one.default for one in report.filters}
    values = clean(report.filters, given, timezone=unit_facts(unit_id).timezone)
    if group and group not in report.group_by:
        raise InvalidData({"group": _l("Please choose one of the list")})
    units = units_below(report, unit_id) if below else (unit_id,)
    return Ask(report, unit_id, units, values, group)


# --- lines ------------------------------------------------------------------------------------------


def lines(wanted: Ask, most: int = MOST_ROWS) -> Iterator[Line]:
    """Yield the lines of a report in order.

    Raises:
        TooMuch: more than ``most`` rows.
        InvalidData: filters that do not fit together.
    """
    columns = wanted.columns
    rows = _limited(wanted.report.rows(wanted.units, wanted.values), most)
    whole = Sums(columns)
    if wanted.group:
        for name, some in _groups(rows, wanted.group).items():
            part = Sums(columns)
            for row in some:
                yield Line(ROW, _cells(columns, row))
                part.add(row)
            whole.join(part)
            if part.columns:
                yield Line(SUBTOTAL, part.cells(_("%(name)s: subtotal", name="" if name is None else name)))
    else:
        for row in rows:
            yield Line(ROW, _cells(columns, row))
            whole.add(row)
    if whole.columns:
        yield Line(TOTAL, whole.cells(_("Total")))


def table(wanted: Ask, most: int = MOST_SHOWN) -> Table:
    """Return a report for a screen: at most ``most`` rows, but every subtotal, and sums over all of them.

    Raises:
        TooMuch, InvalidData: as ``lines``.
    """
    found = Table(wanted.columns)
    bars: dict[str, Any] = {}
    for line in lines(wanted):
        if line.kind == ROW:
            found.rows += 1
            _draw(bars, wanted, line)
            if found.rows > most:
                found.left_out += 1
                continue
        found.lines.append(line)
    found.chart = _largest(bars)
    return found


def _limited(rows: Iterable[Mapping[str, Any]], most: int) -> Iterator[Mapping[str, Any]]:
    for count, row in enumerate(rows, 1):
        if count > most:
            raise TooMuch(_l("More than %(count)d rows. Narrow the filters, or take a shorter period.", count=most))
        yield row


def _groups(rows: Iterable[Mapping[str, Any]], group: str) -> dict[Any, list[Mapping[str, Any]]]:
    found: dict[Any, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row.get(group), []).append(row)
    return found


def _cells(columns: Sequence[ReportColumn], row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(_share(row, one.share) if one.share else row.get(one.code) for one in columns)


def _share(row: Mapping[str, Any], share: tuple[str, str]) -> Decimal | None:
    part, whole = (row.get(one) or 0 for one in share)
    return Decimal(part) / Decimal(whole) if whole else None


class Sums:
    """What the summed columns come to so far."""

    def __init__(self, columns: Sequence[ReportColumn]) -> None:
        self.shown = columns
        self.columns = [one.code for one in columns if one.total]
        self.values: dict[str, Any] = dict.fromkeys(self.columns, 0)

    def add(self, row: Mapping[str, Any]) -> None:
        """Take a row in."""
        for code in self.columns:
            value = row.get(code)
            if isinstance(value, float):
                raise TypeError(f"column {code}: sums are made of whole numbers and decimals")
            self.values[code] += value or 0

    def join(self, other: Sums) -> None:
        """Take the sums of a group in."""
        self.add(other.values)

    def cells(self, label: str) -> tuple[Any, ...]:
        """Return the line of these sums; its first cell is the label."""
        found = list(_cells(self.shown, self.values))
        return (label, *found[1:])


def _draw(bars: dict[str, Any], wanted: Ask, line: Line) -> None:
    if wanted.report.chart is None:
        return
    places = {one.code: place for place, one in enumerate(wanted.columns)}
    label, value = (line.cells[places[code]] for code in wanted.report.chart)
    text = str(label) if label not in (None, "") else "—"
    bars[text] = bars.get(text, 0) + (value or 0)


def _largest(bars: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the largest bars in the order of the rows, and what is left of the others as one."""
    if len(bars) <= MOST_BARS:
        return list(bars.items())
    kept = set(sorted(bars, key=lambda one: bars[one], reverse=True)[: MOST_BARS - 1])
    rest = sum(value for label, value in bars.items() if label not in kept)
    return [*((label, value) for label, value in bars.items() if label in kept), (_("Everything else"), rest)]


# --- words ------------------------------------------------------------------------------------------


def cell_text(value: Any, kind: str, zone: str) -> str:
    """Say a value as screens and prints show it."""
    if value is None or value == "":
        return "—"
    if kind == "percent":
        return percent(Decimal(value))
    if kind == "money":
        return f"{Decimal(value):,.2f}"
    if isinstance(value, datetime):
        return value.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")
    if isinstance(value, date):
        return value.isoformat()
    return str(value)
