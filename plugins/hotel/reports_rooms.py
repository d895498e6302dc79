"""Reports: occupancy by day, cleaning by person and day, rooms out of order."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import func, or_, select

from core.sdk import Place, Report, ReportColumn, Unit, clock, report_periods, session

from . import cleaning_list, days, values
from .models import Cleaning, HotelPlace, RoomEvent, Stay
from .rights import VIEW

Rows = Iterator[Mapping[str, Any]]


def _units(ids: Sequence[int]) -> dict[int, str]:
    return {unit.id: str(unit) for unit in session().scalars(select(Unit).where(Unit.id.in_(ids)))}


def _days(first: date, last: date) -> Iterator[date]:
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


# --- occupancy -------------------------------------------------------------------------------------------


def _occupancy(units: Sequence[int], wanted: Mapping[str, Any]) -> Rows:
    """Count the nights of each hotel day: guests who slept here, of the rooms there are now."""
    period = report_periods.of(wanted, units[0])
    names, rooms = _units(units), _rooms(units)
    for unit_id in units:
        if not rooms.get(unit_id):
            continue
        nights, guests, came, left = _nights(unit_id, period.first, period.last)
        for day in _days(period.first, min(period.last, days.hotel_day(unit_id))):
            yield {
                "day": day.isoformat(),
                "unit": names[unit_id],
                "rooms": rooms[unit_id],
                "nights": nights[day],
                "guests": guests[day],
                "arrivals": came[day],
                "departures": left[day],
            }


def _rooms(units: Sequence[int]) -> dict[int, int]:
    counted = (
        select(HotelPlace.unit_id, func.count())
        .join(Place, Place.id == HotelPlace.place_id)
        .where(HotelPlace.unit_id.in_(units), HotelPlace.category == values.ROOMS, Place.active)
        .group_by(HotelPlace.unit_id)
    )
    return {row[0]: row[1] for row in session().execute(counted)}


def _nights(unit_id: int, first: date, last: date) -> tuple[Counter[date], ...]:
    """Add stays up by the days they have in common, then by day: a year has far fewer pairs than stays."""
    pairs = (
        select(Stay.arrives_on, Stay.departs_on, Stay.state, func.count(), func.sum(Stay.guests))
        .where(Stay.unit_id == unit_id, Stay.state.in_((values.IN_HOUSE, values.GONE)))
        .where(Stay.arrives_on <= last, Stay.arrives_on >= first - timedelta(days=366), Stay.departs_on >= first)
        .group_by(Stay.arrives_on, Stay.departs_on, Stay.state)
    )
    nights: Counter[date] = Counter()
    guests: Counter[date] = Counter()
    came: Counter[date] = Counter()
    left: Counter[date] = Counter()
    today = days.hotel_day(unit_id)
    for begins, ends, state, count, people in session().execute(pairs):
        came[begins] += count
        if state == values.GONE:
            left[ends] += count
        # Who should have left and is still here sleeps here all the same.
        over = ends if state == values.GONE else max(ends, today + timedelta(days=1))
        for day in _days(max(begins, first), min(over - timedelta(days=1), last)):
            nights[day] += count
            guests[day] += int(people)
    return nights, guests, came, left


OCCUPANCY = Report(
    code="hotel.occupancy",
    title=_l("Occupancy by day"),
    permission=VIEW,
    columns=(
        ReportColumn("day", _l("Hotel day")),
        ReportColumn("unit", _l("Unit")),
        ReportColumn("rooms", _l("Rooms"), "number", total=True),
        ReportColumn("nights", _l("Rooms slept in"), "number", total=True),
        ReportColumn("share", _l("Occupancy"), "percent", share=("nights", "rooms")),
        ReportColumn("guests", _l("Guests"), "number", total=True),
        ReportColumn("arrivals", _l("Arrivals"), "number", total=True),
        ReportColumn("departures", _l("Departures"), "number", total=True),
    ),
    rows=_occupancy,
    filters=report_periods.fields(),
    group_by=("unit",),
    chart=("day", "nights"),
    help=_l("By hotel days, of the rooms there are now."),
)


# --- cleaning --------------------------------------------------------------------------------------------


def _cleaned(units: Sequence[int], wanted: Mapping[str, Any]) -> Rows:
    """List what each person cleaned on each hotel day, with the time it took and the workload."""
    period = report_periods.of(wanted, units[0])
    done = (
        select(
            Cleaning.unit_id,
            Cleaning.hotel_day,
            Cleaning.done_by,
            Cleaning.kind,
            Cleaning.state,
            Cleaning.begun_at,
            Cleaning.done_at,
        )
        .where(Cleaning.unit_id.in_(units), Cleaning.hotel_day.between(period.first, period.last))
        .where(Cleaning.state.in_((values.DONE, values.PASSED, values.SKIPPED)))
    )
    sums: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    seconds: dict[tuple[Any, ...], float] = defaultdict(float)
    weigh = {unit_id: cleaning_list.points(unit_id) for unit_id in units}
    for row in session().execute(done):
        key = (row.hotel_day, row.unit_id, row.done_by)
        if row.state == values.SKIPPED:
            sums[key]["skipped"] += 1
            continue
        sums[key][row.kind] += 1
        sums[key]["count"] += 1
        sums[key]["passed"] += row.state == values.PASSED
        sums[key]["points"] += weigh[row.unit_id][row.kind]
        if row.begun_at and row.done_at:
            seconds[key] += (row.done_at - row.begun_at).total_seconds()
    names, people = _units(units), cleaning_list.names_of(key[2] for key in sums)
    for day, unit_id, person in sorted(sums, key=lambda one: (one[0], one[1], one[2] or 0)):
        found = sums[day, unit_id, person]
        yield {
            "person": people.get(person, "—"),
            "day": day,
            "unit": names[unit_id],
            **{kind: found[kind] for kind, _label in values.CLEANINGS},
            **{name: found[name] for name in ("count", "passed", "skipped", "points")},
            "minutes": Decimal(round(seconds[day, unit_id, person] / 60)),
        }


CLEANED = Report(
    code="hotel.cleaned",
    title=_l("Cleaning by person and day"),
    permission=VIEW,
    columns=(
        ReportColumn("person", _l("Housekeeper")),
        ReportColumn("day", _l("Hotel day"), "date"),
        ReportColumn("unit", _l("Unit")),
        *(ReportColumn(kind, label, "number", total=True) for kind, label in values.CLEANINGS),
        ReportColumn("count", _l("Rooms cleaned"), "number", total=True),
        ReportColumn("passed", _l("Checked and passed"), "number", total=True),
        ReportColumn("skipped", _l("Skipped"), "number", total=True),
        ReportColumn("points", _l("Workload (points)"), "number", total=True),
        ReportColumn("minutes", _l("Minutes from begin to end"), "number", total=True),
    ),
    rows=_cleaned,
    filters=report_periods.fields(),
    group_by=("person", "day", "unit"),
    chart=("person", "count"),
    help=_l("Whoever said that a room is clean counts, not whom it was given to."),
)


# --- out of order ----------------------------------------------------------------------------------------


def _blocked(units: Sequence[int], wanted: Mapping[str, Any]) -> Rows:
    """Add up how long each room could not be sold, out of order or out of service, within the period."""
    period = report_periods.of(wanted, units[0])
    names = _units(units)
    for unit_id in units:
        start = days.begins(unit_id, period.first)
        end = min(days.begins(unit_id, period.last + timedelta(days=1)), clock.now())
        spells = _spells(unit_id, start, end)
        rooms = select(Place.id, Place.code).where(Place.id.in_(list(spells)))
        for place_id, code in sorted(session().execute(rooms), key=lambda row: row.code):
            found = spells[place_id]
            hours = {
                state: sum((until - since).total_seconds() for one, since, until in found if one == state) / 3600
                for state in _NOT_SOLD
            }
            yield {
                "room": code,
                "unit": names[unit_id],
                "times": len(found),
                **{state: Decimal(hours[state]).quantize(Decimal("0.1")) for state in _NOT_SOLD},
            }


_NOT_SOLD = (values.OOO, values.OOS)
Spell = tuple[str, datetime, datetime]


def _spells(unit_id: int, start: datetime, end: datetime) -> dict[int, list[Spell]]:
    """Return the spells out of order or service by room, cut to the period."""
    turns = (
        select(RoomEvent.place_id, RoomEvent.at, RoomEvent.before, RoomEvent.after)
        .where(RoomEvent.unit_id == unit_id, RoomEvent.hotel_day >= days.hotel_day(unit_id, start))
        .where(RoomEvent.at < end, RoomEvent.before != RoomEvent.after)
        .where(or_(RoomEvent.before.in_(_NOT_SOLD), RoomEvent.after.in_(_NOT_SOLD)))
        .order_by(RoomEvent.place_id, RoomEvent.id)
    )
    found: dict[int, list[Spell]] = {}
    under_way: dict[int, tuple[str, datetime]] = {}
    turned: set[int] = set()
    for place_id, at, before, after in session().execute(turns):
        if before in _NOT_SOLD:
            state, since = under_way.pop(place_id, (before, start))
            found.setdefault(place_id, []).append((state, max(since, start), max(at, start)))
        if after in _NOT_SOLD:
            under_way[place_id] = (after, at)
        turned.add(place_id)
    # What has been so since before the period has no turn in it.
    rest = select(HotelPlace.place_id, HotelPlace.state, HotelPlace.state_since).where(
        HotelPlace.unit_id == unit_id, HotelPlace.state.in_(_NOT_SOLD)
    )
    for row in session().execute(rest):
        if row.place_id not in turned and (row.state_since is None or row.state_since < start):
            under_way[row.place_id] = (row.state, start)
    for place_id, (state, since) in under_way.items():
        if since < end:
            found.setdefault(place_id, []).append((state, max(since, start), end))
    return found


BLOCKED = Report(
    code="hotel.blocked",
    title=_l("Rooms that could not be sold"),
    permission=VIEW,
    columns=(
        ReportColumn("room", _l("Room")),
        ReportColumn("unit", _l("Unit")),
        ReportColumn("times", _l("Times"), "number", total=True),
        ReportColumn(values.OOO, _l("Hours out of order"), "number", total=True),
        ReportColumn(values.OOS, _l("Hours out of service"), "number", total=True),
    ),
    rows=_blocked,
    filters=report_periods.fields(),
    group_by=("unit",),
    chart=("room", values.OOO),
    help=_l("Blocked by a defect, or taken out of service by decision; only the time within the period."),
)


def reports() -> list[Report]:
    """Return the reports."""
    return [OCCUPANCY, CLEANED, BLOCKED]
