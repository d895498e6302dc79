"""A past year's service log becomes finished cases, with their facts at the times the log gives.

History is taken as it is: what is odd about a row is flagged, never refused by a guard. Only a row that cannot be
read (no number, an impossible time) is left out and reported.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext as _l
from sqlalchemy import insert, select

from core.customers.models import Customer
from core.kernel import clock, import_changes, search
from core.kernel.access import require
from core.kernel.database import Base, current_scope, session, transaction
from core.kernel.errors import InvalidData
from core.kernel.fields import normalise
from core.kernel.ids import uuid7
from core.kernel.importing import CREATE, ERROR, SAME, Importer, Plan, Row
from core.kernel.sheets import Column
from core.records.models import CLOSED, SOLVED, Fact, Record
from core.rules.obligation_models import Obligation
from core.rules.obligations import recompute
from core.units.facts import unit_facts

from . import vocabulary as words
from .models import Case
from .services import CASE, title_of
from .workflow import CASE_WORKFLOW

SOURCE = "service_log"
PERMISSION = "case.import"

COLUMNS = (
    Column("number", _l("Case number"), ("工单号", "工单编号"), required=True),
    Column("received", _l("Received at"), ("受理时间", "报修时间"), required=True),
    Column("channel", _l("Channel"), ("渠道", "受理渠道")),
    Column("customer", _l("Customer number"), ("客户编号",)),
    Column("serial", _l("Serial number"), ("序列号", "机号")),
    Column("nature", _l("Nature"), ("类别", "性质")),
    Column("urgency", _l("Urgency"), ("紧急程度",)),
    Column("description", _l("What is wrong"), ("问题描述", "故障描述")),
    Column("responded", _l("First response at"), ("首次响应时间",)),
    Column("forwarded", _l("Forwarded at"), ("转交时间",)),
    Column("contacted", _l("Customer contacted at"), ("联系用户时间", "联系客户时间")),
    Column("distance", _l("Distance (km)"), ("路程(公里)", "路程")),
    Column("arrived", _l("Arrived at"), ("到达时间",)),
    Column("solved", _l("Completed at"), ("完成时间",), required=True),
    Column("confirmed", _l("Confirmed by the customer at"), ("客户确认时间",)),
    Column("rating", _l("Rating"), ("评分",)),
)
REQUIRED = tuple(column.name for column in COLUMNS if column.required)
# Column of a time -> the kind of fact it becomes; those after "received" may stand in any order.
TIMES = {
    "received": "registered",
    "responded": "responded",
    "forwarded": "forwarded",
    "contacted": "contacted",
    "arrived": "arrived",
    "solved": "solved",
    "confirmed": "confirmed",
}
_CHANNELS = {
    "电话": "phone",
    "微信": "wechat",
    "在线": "online",
    "邮件": "email",
    "来访": "visit",
    "来函": "letter",
    "门户": "portal",
}
_NATURES = {
    "维修": "repair",
    "更换": "replacement",
    "退货": "return",
    "退换": "return",
    "咨询": "inquiry",
    "投诉": "complaint",
    "其他": "other",
}
_URGENCIES = {"一般": "normal", "紧急": "urgent"}
# A date alone is midnight: that is how spreadsheets hand over 00:00.
_TIME = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?:[ T]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?)?")

# Flag -> (column that comes too early, column it should follow).
ORDER_FLAGS = {
    "response_after_contact": ("contacted", "responded"),
    "contact_after_done": ("solved", "contacted"),
    "arrival_before_forward": ("arrived", "forwarded"),
    "arrival_before_contact": ("arrived", "contacted"),
    "confirmed_before_done": ("confirmed", "solved"),
}


@dataclass(frozen=True)
class Past:
    """One readable row of the log. ``times`` maps a column name to a moment in UTC."""

    number: str
    times: Mapping[str, datetime]
    channel: str
    customer: str
    serial: str
    nature: str
    urgency: str
    description: str
    distance: Decimal | None
    rating: int | None
    flags: tuple[str, ...]


@dataclass
class Result:
    """What a batch did: cases made, and numbers that were there already (left as they are)."""

    created: int = 0
    present: list[str] = field(default_factory=list)
    flags: Counter[str] = field(default_factory=Counter)


# --- reading a row -----------------------------------------------------------------------------


def read_row(raw: Mapping[str, Any], *, timezone: str) -> Past:
    """Read one row, keyed by our column names; wall-clock times are those of ``timezone``.

    Raises:
        InvalidData: with a message per column; order of times, unknown customers and the like are no errors.
    """
    given = {name: _plain(raw.get(name)) for name in (c.name for c in COLUMNS)}
    errors: dict[str, Any] = {name: _l("Please fill this in") for name in REQUIRED if not given[name]}
    times = {}
    for name in TIMES:
        if not given[name]:
            continue
        moment = _moment(given[name], timezone)
        if moment is None:
            errors[name] = _l("“%(text)s” is not a date and time that exists", text=given[name][:30])
        else:
            times[name] = moment
    known = {
        "channel": _word(_CHANNELS, given["channel"], "phone"),
        "nature": _word(_NATURES, given["nature"], ""),
        "urgency": _word(_URGENCIES, given["urgency"], ""),
    }
    errors |= {
        name: _l("“%(text)s” is not known here", text=given[name][:30]) for name, v in known.items() if v is None
    }
    distance, rating = _number(given["distance"], 20000), _number(given["rating"], 5)
    if given["distance"] and distance is None:
        errors["distance"] = _l("Please enter a number")
    if given["rating"] and (rating is None or rating != int(rating) or rating < 1):
        errors["rating"] = _l("Please enter a whole number from 1 to 5")
    if len(given["number"]) > 40:
        errors["number"] = _l("At most %(count)d characters", count=40)
    if errors:
        raise InvalidData(errors)
    return Past(
        number=given["number"].upper(),
        times=times,
        channel=known["channel"] or "",
        customer=given["customer"],
        serial=given["serial"].upper()[:60],
        nature=known["nature"] or "",
        urgency=known["urgency"] or "",
        description=given["description"][:4000],
        distance=distance,
        rating=int(rating) if rating is not None else None,
        flags=flags_of(times, rated=rating is not None, now=clock.now()),
    )


def flags_of(times: Mapping[str, datetime], *, rated: bool, now: datetime) -> tuple[str, ...]:
    """Name what is odd about the times of a row (codes of ``HISTORY_FLAGS``). Equal times are in order."""
    found = [
        flag
        for flag, (early, late) in ORDER_FLAGS.items()
        if early in times and late in times and times[early] < times[late]
    ]
    if any(moment < times["received"] for moment in times.values()):
        found.append("before_received")
    if any(moment > now for moment in times.values()):
        found.append("in_future")
    if rated and "confirmed" not in times:
        found.append("rated_unconfirmed")
    return tuple(found)


def count_as_written(rows: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Count the order flags over a whole file by its time texts as they stand, unreadable dates included.

    ``2025-02-30 10:00`` is no date, but as written it still comes before ``2025-03-01 09:00``.
    """
    found: Counter[str] = Counter()
    for row in rows:
        text = {name: _plain(row.get(name)) for name in TIMES}
        for flag, (early, late) in ORDER_FLAGS.items():
            found[flag] += bool(text[early] and text[late] and text[early] < text[late])
    return found


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return normalise(str(value))


def _moment(text: str, timezone: str) -> datetime | None:
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    try:
        year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
        wall = datetime(year, month, day, hour, minute, second, tzinfo=ZoneInfo(timezone))
    except ValueError:
        return None
    return wall.astimezone(UTC) if 1950 <= wall.year <= 2200 else None


def _word(known: Mapping[str, str], text: str, default: str) -> str | None:
    return known.get(text) if text else default


def _number(text: str, maximum: int) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() and 0 <= number <= maximum else None


# --- writing -----------------------------------------------------------------------------------


def numbers_on_file(unit_id: int, numbers: Sequence[str]) -> set[str]:
    """Return which of these case numbers the unit has already."""
    found = select(Record.number).where(
        Record.unit_id == unit_id, Record.type == CASE.code, Record.number.in_(numbers)
    )
    return set(session().scalars(found))


def customers_by_number(unit_id: int, numbers: Iterable[str]) -> dict[str, Customer]:
    """Find a unit's customers by number; a merged one leads to the customer it was merged into."""
    wanted = sorted({n for n in numbers if n})
    work = session()
    found = {
        c.number: c
        for c in work.scalars(select(Customer).where(Customer.unit_id == unit_id, Customer.number.in_(wanted)))
    }
    merged = {c.merged_into_id for c in found.values() if c.merged_into_id}
    if merged:
        kept = {c.id: c for c in work.scalars(select(Customer).where(Customer.id.in_(merged)))}
        found = {n: kept.get(c.merged_into_id or 0, c) for n, c in found.items()}
    return found


def take_over(unit_id: int, rows: Sequence[Past], *, source: str = SOURCE) -> Result:
    """Write finished cases, in one transaction; numbers already on file are left as they are.

    ``source`` says in the facts where they come from. Give at most a few thousand rows at a time.

    Raises:
        NotAllowed: the actor may not import cases here.
    """
    require(PERMISSION, unit_id)
    with transaction() as work:
        present = numbers_on_file(unit_id, [row.number for row in rows])
        fresh = list({row.number: row for row in rows if row.number not in present}.values())
        result = Result(present=[row.number for row in rows if row.number in present])
        if not fresh:
            return result
        customers = customers_by_number(unit_id, (row.customer for row in fresh))
        heads = [_head(unit_id, row, customers.get(row.customer)) for row in fresh]
        ids = work.scalars(insert(Record).returning(Record.id, sort_by_parameter_order=True), heads).all()
        import_changes.created(Record, unit_id, ids)
        details = [
            _detail(unit_id, key, row, customers.get(row.customer)) for key, row in zip(ids, fresh, strict=True)
        ]
        work.execute(insert(Case), details)
        facts = [f for key, row in zip(ids, fresh, strict=True) for f in _facts(unit_id, key, row, source)]
        work.execute(insert(Fact), facts)
        texts = [_search_text(h, row, customers.get(row.customer)) for h, row in zip(heads, fresh, strict=True)]
        recompute(record_ids=ids)
        search.put_many(CASE.code, [(key, unit_id, t) for key, t in zip(ids, texts, strict=True)], fresh=True)
        result.created = len(fresh)
        for one in details:
            result.flags.update(f for f in one["history_flags"].split(",") if f)
        return result


def _head(unit_id: int, row: Past, customer: Customer | None) -> dict[str, Any]:
    confirmed = row.times.get("confirmed")
    return {
        "uid": uuid7(),
        "unit_id": unit_id,
        "type": CASE.code,
        "number": row.number,
        "title": title_of(row.description) or row.number,
        "state": "closed" if confirmed else "solved",
        "category": CLOSED if confirmed else SOLVED,
        "customer_id": customer.id if customer else None,
        "priority": words.PRIORITY.get(row.urgency, 3),
        "received_at": row.times["received"],
        "entered_at": clock.now(),
        "closed_at": confirmed,
        "fact_seq": len(_events(row)),
        "version": 1,
    }


def _detail(unit_id: int, record_id: int, row: Past, customer: Customer | None) -> dict[str, Any]:
    flags = row.flags if customer else (*row.flags, "unknown_customer")
    return {
        "id": record_id,
        "unit_id": unit_id,
        "channel": row.channel,
        "nature": row.nature,
        "urgency": row.urgency,
        "description": row.description,
        "serial_text": row.serial,
        "contact_name": customer.name[:60] if customer else "",
        "distance_km": row.distance,
        "rating": row.rating,
        "history_flags": ",".join(flags),
    }


def _events(row: Past) -> list[tuple[datetime, str, dict[str, Any]]]:
    """List the facts of a row by time and rank, as (at, kind, data)."""
    events: list[tuple[datetime, str, dict[str, Any]]] = [(at, TIMES[name], {}) for name, at in row.times.items()]
    confirmed = row.times.get("confirmed")
    if confirmed:
        events.append((confirmed, "archived", {"state": "closed"}))
        if row.rating is not None:
            events.append((confirmed, "rated", {"rating": row.rating}))
    kinds = CASE_WORKFLOW.fact_kinds
    return sorted(events, key=lambda e: (e[0], kinds[e[1]].rank))


def _facts(unit_id: int, record_id: int, row: Past, source: str) -> list[dict[str, Any]]:
    actor, moment = current_scope().actor_id, clock.now()
    return [
        {
            "record_id": record_id,
            "unit_id": unit_id,
            "seq": seq,
            "kind": kind,
            "at": at,
            "entered_at": moment,
            "actor_id": actor,
            "visible_to_customer": CASE_WORKFLOW.fact_kinds[kind].visible_to_customer,
            "note": "",
            "data": {**data, "source": source},
        }
        for seq, (at, kind, data) in enumerate(_events(row), start=1)
    ]


def _search_text(head: Mapping[str, Any], row: Past, customer: Customer | None) -> str:
    parts = (head["number"], head["title"], row.serial, customer.name if customer else "", row.description[:500])
    return "\n".join(p for p in parts if p)


# --- the importer ------------------------------------------------------------------------------


class ServiceLogImporter(Importer):
    """Takes a service log over by screen and by ``flask import service-log``; a second time changes nothing."""

    key = "service-log"
    title = _l("Service log of finished cases")
    permission = PERMISSION
    columns = COLUMNS
    note_labels = words.HISTORY_FLAGS
    # Numbered things are cancelled, never deleted: only a case that nobody has touched since goes again.
    along: ClassVar[Mapping[type[Base], Sequence[type[Base]]]] = {Record: (Obligation, Fact, Case)}

    def check_rows(self, unit_id: int, rows: Sequence[Row], memory: dict[str, Any]) -> list[Plan]:
        """Judge a batch: new, on file already, or unreadable; what is odd becomes a warning."""
        zone = unit_facts(unit_id).timezone
        on_file = numbers_on_file(unit_id, [row.values.get("number", "").upper() for row in rows])
        customers = customers_by_number(unit_id, (row.values.get("customer", "") for row in rows))
        notes = memory.setdefault("notes", Counter())
        notes.update(count_as_written(row.values for row in rows))
        return [_plan(row, zone, on_file, customers, memory.setdefault("lines", {}), notes) for row in rows]

    def apply_rows(self, unit_id: int, plans: Sequence[Plan], memory: dict[str, Any]) -> None:
        """Write a batch of planned rows."""
        take_over(unit_id, [_from_json(plan.values) for plan in plans])

    def undone(
        self, unit_id: int, removed: Mapping[str, Sequence[int]], restored: Mapping[str, Sequence[int]]
    ) -> None:
        """Take the removed cases out of the search index."""
        search.remove(CASE.code, removed.get(Record.__tablename__, ()))


def _plan(
    row: Row,
    zone: str,
    on_file: Collection[str],
    customers: Mapping[str, Customer],
    lines: dict[str, int],
    notes: Counter[str],
) -> Plan:
    number = row.values.get("number", "").upper()
    try:
        past = read_row(row.values, timezone=zone)
    except InvalidData as bad:
        return Plan(
            row.line, ERROR, label=number, errors=[(n, t) for n, texts in bad.errors.items() for t in texts]
        )
    if lines.setdefault(number, row.line) != row.line:
        twice = _l("This number stands in line %(line)d already", line=lines[number])
        return Plan(row.line, ERROR, label=number, errors=[("number", twice)])
    if number in on_file:
        return Plan(row.line, SAME, label=number)
    flags = past.flags if past.customer in customers else (*past.flags, "unknown_customer")
    notes.update(flag for flag in flags if flag not in ORDER_FLAGS)
    warnings = [words.HISTORY_FLAGS[flag] for flag in flags]
    return Plan(row.line, CREATE, _to_json(past), f"{number} {title_of(past.description)}", warnings=warnings)


def _to_json(past: Past) -> dict[str, Any]:
    return {
        **asdict(past),
        "times": {name: at.isoformat() for name, at in past.times.items()},
        "distance": None if past.distance is None else str(past.distance),
    }


def _from_json(values: Mapping[str, Any]) -> Past:
    return Past(
        **{
            **values,
            "times": {name: datetime.fromisoformat(at) for name, at in values["times"].items()},
            "distance": None if values["distance"] is None else Decimal(values["distance"]),
            "flags": tuple(values["flags"]),
        }
    )
