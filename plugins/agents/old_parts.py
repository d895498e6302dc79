"""The register of old parts (旧件): what was taken out, and whether it was handed in. Services flush, never commit.

Entered by hand, and by itself where a case has to do with an agent: when a replaced part is recorded, and when the
bill of an agent has parts. A part stands once on a case, whichever of the two came first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    Fact,
    Field,
    InvalidData,
    NotFound,
    Panel,
    Record,
    clean,
    fetch,
    fetch_visible,
    local_day,
    may,
    normalise,
    require,
    session,
)

from . import bearing, orders, values
from .models import CaseAgent, OldPart
from .rights import HANDLE, VIEW
from .values import EXPECTED, RECEIVED

MOST = 200
CHUNK = 500
_PARTS = "parts"  # of a plan: number, quantity, one a line
NUMBER = Field("case", "text", _l("Case number"), True, max_length=60)
FIELDS = (
    Field("part", "text", _l("Part"), True, max_length=120),
    Field("serial", "text", _l("Serial number"), max_length=60),
    Field(
        "quantity",
        "decimal",
        _l("Quantity"),
        minimum=Decimal("0.001"),
        maximum=Decimal("999999"),
        default=Decimal(1),
    ),
    Field("state", "choice", _l("State"), True, values.OLD_PART_STATES, default=EXPECTED),
    Field("received_on", "date", _l("Handed in on"), help=_l("Empty: today, where it was handed in")),
    Field("place", "text", _l("Place"), max_length=60),
    Field("note", "text", _l("Note"), max_length=300),
)
HAND_IN_FIELDS = (FIELDS[4], FIELDS[5])


# --- reading -------------------------------------------------------------------------------------


def of_records(record_ids: Sequence[int]) -> dict[int, list[OldPart]]:
    """Return the old parts of cases, in one select for each few hundred."""
    found: dict[int, list[OldPart]] = {}
    ids = sorted(set(record_ids))
    for start in range(0, len(ids), CHUNK):
        rows = select(OldPart).where(OldPart.record_id.in_(ids[start : start + CHUNK])).order_by(OldPart.id)
        for one in session().scalars(rows):
            found.setdefault(one.record_id, []).append(one)
    return found


def get(raw_id: object) -> OldPart:
    """Return an old part by an id from a request (raises NotFound)."""
    return fetch(OldPart, raw_id)


def case_of(unit_id: int, number: str) -> Record:
    """Return the unit's case of a number.

    Raises:
        InvalidData: under ``case``: there is none, or not for this actor.
    """
    wanted = select(Record).where(Record.unit_id == unit_id, Record.type == "case")
    record = session().scalars(wanted.where(Record.number == normalise(number).strip().upper())).first()
    try:
        return fetch_visible(record.id if record else 0)
    except NotFound:
        raise InvalidData({"case": _l("There is no case of this number")}) from None


# --- entering ------------------------------------------------------------------------------------


def register(record: Record, raw: Mapping[str, Any]) -> OldPart:
    """Say that a part taken out on a case is to be handed in, or was (``HANDLE``).

    Raises:
        NotAllowed. InvalidData: beside the field; handed in on a day to come, or not handed in but with a day.
    """
    require(HANDLE, record.unit_id)
    row = OldPart(unit_id=record.unit_id, record_id=record.id, **_read(record.unit_id, raw))
    session().add(row)
    session().flush()
    return row


def change(row: OldPart, raw: Mapping[str, Any]) -> OldPart:
    """Correct an old part, or say what became of it (``HANDLE``).

    Raises: as ``register``.
    """
    require(HANDLE, row.unit_id)
    for name, value in _read(row.unit_id, raw).items():
        setattr(row, name, value)
    session().flush()
    return row


def hand_in(row: OldPart, raw: Mapping[str, Any]) -> OldPart:
    """Say that an old part was handed in, on which day (today) and where it lies now (``HANDLE``)."""
    given = clean(HAND_IN_FIELDS, raw)
    place = given["place"] or row.place
    return change(row, {**values_of(row), **given, "place": place, "state": RECEIVED})


def values_of(row: OldPart) -> dict[str, Any]:
    """Return what the form of an old part starts with."""
    return {one.name: getattr(row, one.name) for one in FIELDS}


def _read(unit_id: int, raw: Mapping[str, Any]) -> dict[str, Any]:
    given = clean(FIELDS, raw)
    today = local_day(unit_id)
    for name in ("serial", "place", "note"):
        given[name] = given[name] or ""
    given["quantity"] = given["quantity"] or Decimal(1)
    if given["state"] == RECEIVED:
        given["received_on"] = given["received_on"] or today
    if given["received_on"] and given["received_on"] > today:
        raise InvalidData({"received_on": _l("This day is still to come")})
    if given["state"] != RECEIVED:
        given["received_on"] = None
    return given


# --- by itself -----------------------------------------------------------------------------------


def follow(record: Record, transition: str, facts: Sequence[Fact]) -> None:
    """Register what a case took out (a part of the hook ``record_transitioned``), if it has to do with an agent."""
    if transition == "agents:bill":
        for part, quantity in _billed(record):
            _expect(record, part, "", quantity)
        return
    for fact in facts:
        if fact.kind == "part_replaced" and _concerns_an_agent(record):
            _expect(record, str(fact.data.get("part") or ""), str(fact.data.get("old_serial") or ""), Decimal(1))


def _concerns_an_agent(record: Record) -> bool:
    return orders.current_of(record) is not None or bearing.agent_of(record) is not None


def _billed(record: Record) -> list[tuple[str, Decimal]]:
    """Return number and quantity of the parts on the bill of a case, whose lines the bill has checked."""
    row = session().get(CaseAgent, record.id)
    text = str((row.plan if row is not None else {}).get(_PARTS) or "")
    found = []
    for line in text.splitlines():
        cells = [normalise(one).strip() for one in line.replace("，", ",").split(",")]
        try:
            quantity = Decimal(cells[1]) if len(cells) > 1 and cells[1] else Decimal(1)
        except InvalidOperation:
            quantity = Decimal(1)
        if cells[0]:
            found.append((cells[0], quantity))
    return found


def _expect(record: Record, part: str, serial: str, quantity: Decimal) -> None:
    """Add a part that is to be handed in, unless it stands on the case already."""
    name = part.strip()[:120]
    if not name:
        return
    held = [one for one in of_records([record.id]).get(record.id, ()) if one.part.casefold() == name.casefold()]
    if any(one.serial == serial for one in held):
        return
    without = next((one for one in held if not one.serial and one.state == EXPECTED), None)
    if without is not None and serial:
        # The bill came first; now its number is known.
        without.serial = serial
        return
    if held and not serial:
        return
    unit_id = record.unit_id
    session().add(OldPart(unit_id=unit_id, record_id=record.id, part=name, serial=serial, quantity=quantity))
    session().flush()


# --- the box of a case ---------------------------------------------------------------------------


def of_case(record: Record) -> list[Panel]:
    """The old parts of a case, for staff."""
    if record.type != "case" or not may(VIEW, record.unit_id):
        return []
    rows = of_records([record.id]).get(record.id, [])
    if not rows:
        return []
    from .screens_orders import part_badge, part_url

    context = {"rows": rows[:MOST], "badge": part_badge, "url": part_url}
    return [Panel("old_parts", _l("Old parts"), "agents/old_parts_case.html", context, 49)]
