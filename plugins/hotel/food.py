"""Receipts of food (食材验收, R06-13): what arrived, line by line, and what of it was accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    FactKind,
    Field,
    Guard,
    InvalidData,
    Record,
    RecordType,
    Refusal,
    Refused,
    State,
    Step,
    Transition,
    answered_before,
    clean,
    clock,
    create_record,
    fetch,
    local_day,
    lock,
    make_workflow,
    publish,
    remember_answer,
    require,
    require_clause,
    session,
    transaction,
    unit_facts,
)

from . import house, values
from .models import Food, FoodLine
from .rights import CATERING, VIEW
from .values import ACCEPTED, CANCELLED, RECEIVED, REFUSED

CODE, LINE_GATE, CLAUSE = "hotel_food", "hotel.food_line", "R06-13"
MOST_LINES = 100
FIELDS = (
    Field("supplier", "text", _l("Supplier"), True, max_length=120),
    Field("delivery_note", "text", _l("Delivery note"), max_length=60),
    Field("arrived_at", "moment", _l("Arrived at"), help=_l("Empty: now")),
    house.place_field(_l("Kitchen or store")),
)
LINE_FIELDS = (
    Field("item", "text", _l("Ingredient"), True, max_length=80),
    Field("quantity", "decimal", _l("Quantity"), True, minimum=Decimal("0.001"), maximum=Decimal(1000000)),
    Field("measure", "text", _l("Measure"), max_length=10),
    Field("price", "decimal", _l("Price (yuan)"), minimum=Decimal(0), maximum=Decimal(10000000)),
    Field("made_on", "date", _l("Made on")),
    Field("expires_on", "date", _l("Expires on")),
    Field("storage", "choice", _l("Stored"), choices=values.STORAGES, default=values.AMBIENT),
    Field("degrees", "decimal", _l("Temperature (℃)"), minimum=Decimal(-60), maximum=Decimal(100)),
    Field("papers", "bool", _l("Has its papers")),
    Field("looks_good", "bool", _l("Looks and smells good")),
    Field("note", "text", _l("Note"), max_length=200),
)
LINES = Field("lines", "long", _l("Ingredients"), max_length=20000)


class Looked(NamedTuple):
    """A line that is to be accepted, and the day it is."""

    line: FoodLine
    day: date


# --- registering ---------------------------------------------------------------------------------


def register(unit_id: int, raw: Mapping[str, Any], *, key: str = "") -> Record:
    """Enter what arrived (``CATERING``): ``FIELDS``, and ``lines``, a list of mappings (``LINE_FIELDS``).

    Raises:
        NotAllowed. InvalidData: beside the field; of lines under ``lines``, saying which; the delivery note of this
            supplier was entered before.
    """
    require(CATERING, unit_id)
    given = clean(FIELDS, raw, timezone=unit_facts(unit_id).timezone)
    now, day = clock.now(), local_day(unit_id)
    arrived = given["arrived_at"] or now
    if arrived > now:
        raise InvalidData({"arrived_at": _l("This time has not come yet")})
    place = house.find_place(unit_id, given["place"])
    lines = _read_lines(raw.get("lines"), day)
    with transaction():
        before = answered_before(unit_id, key, "hotel.food", dict(raw))
        if before is not None:
            return fetch(Record, before["record"])
        house.take_turns(unit_id)
        _check_new(unit_id, given["supplier"], given["delivery_note"])
        detail = Food(
            supplier=given["supplier"],
            delivery_note=given["delivery_note"] or "",
            arrived_at=arrived,
            place_id=place.id if place is not None else None,
        )
        record = create_record(
            TYPE,
            unit_id,
            detail,
            title=f"{given['supplier']} · {lines[0]['item']}{' …' if len(lines) > 1 else ''}",
            customer_id=None,
            received_at=now,
            permission=CATERING,
            facts=[("registered", {"lines": len(lines)})],
            then=lambda made: session().add_all(FoodLine(unit_id=unit_id, food_id=made.id, **one) for one in lines),
        )
        session().flush()
        publish("record.registered", unit_id, {"record_id": record.id, "type": CODE})
        remember_answer(unit_id, key, {"record": record.id})
        return record


def _read_lines(listed: object, day: date) -> list[dict[str, Any]]:
    if not isinstance(listed, Sequence) or isinstance(listed, str | bytes) or not listed:
        raise InvalidData({"lines": _l("Please enter at least one ingredient")})
    if len(listed) > MOST_LINES:
        raise InvalidData({"lines": _l("At most %(count)d lines", count=MOST_LINES)})
    found: list[dict[str, Any]] = []
    wrong: list[Any] = []
    for number, one in enumerate(listed, start=1):
        try:
            found.append(_read_line(one if isinstance(one, Mapping) else {}, day))
        except InvalidData as bad:
            labels = {field.name: field.label for field in LINE_FIELDS}
            wrong += [
                _l("Line %(number)d, %(field)s: %(text)s", number=number, field=labels[name], text=text)
                for name, texts in bad.errors.items()
                for text in texts
            ]
    if wrong:
        raise InvalidData({"lines": wrong})
    return found


def _read_line(raw: Mapping[str, Any], day: date) -> dict[str, Any]:
    given = clean(LINE_FIELDS, raw)
    made, expires = given["made_on"], given["expires_on"]
    if made is not None and made > day:
        raise InvalidData({"made_on": _l("This day has not come yet")})
    if made is not None and expires is not None and expires < made:
        raise InvalidData({"expires_on": _l("It cannot expire before it was made")})
    for name, places in (("quantity", "0.001"), ("price", "0.01"), ("degrees", "0.1")):
        if given[name] is not None:
            given[name] = given[name].quantize(Decimal(places))
    texts = {name: given[name] or "" for name in ("measure", "note")}
    return {**given, **texts, "storage": given["storage"] or values.AMBIENT}


def _check_new(unit_id: int, supplier: str, note: str | None) -> None:
    """The same delivery is entered once; a receipt that was cancelled does not count."""
    if not note:
        return
    same = Food.unit_id == unit_id, Food.supplier == supplier, Food.delivery_note == note
    held = select(Record.number).join(Food, Food.id == Record.id).where(*same, Record.state != CANCELLED)
    number = session().scalars(held.limit(1)).first()
    if number is not None:
        text = _l("Receipt %(number)s is of this delivery note already", number=number)
        raise InvalidData({"delivery_note": text})


def lines_of(food_id: int) -> list[FoodLine]:
    """Return the lines of a receipt in their order."""
    return list(session().scalars(select(FoodLine).where(FoodLine.food_id == food_id).order_by(FoodLine.id)))


# --- judging -------------------------------------------------------------------------------------


def problem(looked: Any, said: Mapping[str, Any]) -> Any:
    """R06-13: return why an ingredient is not good enough to be accepted, or None."""
    line, day = looked
    left = (line.expires_on - day).days if line.expires_on is not None else None
    if left is not None and left < int(said["days"]):
        if left < 0:
            return _l("%(item)s expired on %(day)s", item=line.item, day=line.expires_on)
        return _l("%(item)s expires too soon: %(day)s", item=line.item, day=line.expires_on)
    if not line.papers:
        return _l("%(item)s has no papers", item=line.item)
    if not line.looks_good:
        return _l("%(item)s does not look or smell good", item=line.item)
    return _too_warm(line, said)


def _too_warm(line: FoodLine, said: Mapping[str, Any]) -> Any:
    if line.storage not in (values.CHILLED, values.FROZEN):
        return None
    if line.degrees is None:
        return _l("The temperature of %(item)s was not measured", item=line.item)
    most = Decimal(said[line.storage])
    if line.degrees <= most:
        return None
    return _l(
        "%(item)s is too warm: %(degrees)s ℃, at most %(most)s", item=line.item, degrees=line.degrees, most=most
    )


def judge(line_id: object, verdict: str, note: str = "") -> FoodLine:
    """Accept or refuse one ingredient while the receipt is open (``CATERING``).

    Raises:
        NotFound, NotAllowed. InvalidData: another verdict. Refused: the receipt is closed; R06-13 forbids it.
    """
    if verdict not in (ACCEPTED, REFUSED):
        raise InvalidData({"verdict": _l("Please choose one of the list")})
    with transaction():
        line = fetch(FoodLine, line_id)
        require(CATERING, line.unit_id)
        record = lock(line.food_id)
        session().refresh(line)
        if record.state != RECEIVED:
            raise Refused([Refusal("closed", _l("This receipt is closed already"))])
        if verdict == ACCEPTED:
            require_clause(LINE_GATE, line.unit_id, Looked(line, local_day(line.unit_id)), record)
        line.verdict = verdict
        if note:
            line.note = note[:200]
        session().flush()
        return line


def cannot_be_accepted(step: Step, said: Mapping[str, Any]) -> Any:
    """R06-13 for a whole receipt: the first of its ingredients that is not good enough."""
    day = local_day(step.record.unit_id)
    kept = (one for one in lines_of(step.record.id) if one.verdict != REFUSED)
    return next((found for one in kept if (found := problem(Looked(one, day), said))), None)


def _something_left(step: Step) -> Any:
    if any(one.verdict != REFUSED for one in lines_of(step.record.id)):
        return None
    return _l("Every ingredient is refused; refuse the receipt")


def _nothing_accepted(step: Step) -> Any:
    if any(one.verdict == ACCEPTED for one in lines_of(step.record.id)):
        return _l("Something of it is accepted already; accept the receipt instead")
    return None


def _decide(verdict: str) -> Any:
    def write(step: Step) -> None:
        for one in lines_of(step.record.id):
            one.verdict = one.verdict or verdict

    return write


_OPEN = frozenset({RECEIVED})
_REASON = Field("reason", "long", _l("Reason"), True, max_length=500)
_CATEGORIES = {RECEIVED: "open", CANCELLED: "cancelled"}
WORKFLOW = make_workflow(
    RECEIVED,
    tuple(State(code, label, _CATEGORIES.get(code, "closed")) for code, label in values.FOOD_STATES),
    (
        Transition(
            "accept",
            _l("Accept what is not refused"),
            _OPEN,
            ACCEPTED,
            CATERING,
            "accepted",
            guards=(Guard("nothing_left", _something_left),),
            apply=_decide(ACCEPTED),
            tone="primary",
            weight=10,
        ),
        Transition(
            "refuse",
            _l("Refuse all of it"),
            _OPEN,
            REFUSED,
            CATERING,
            "refused",
            (_REASON,),
            (Guard("accepted", _nothing_accepted),),
            apply=_decide(REFUSED),
            note="reason",
            tone="danger",
            weight=20,
        ),
        Transition(
            "cancel",
            _l("Entered by mistake"),
            _OPEN,
            CANCELLED,
            CATERING,
            "cancelled",
            (_REASON,),
            note="reason",
            weight=90,
        ),
    ),
    (
        FactKind("registered", _l("Food arrived"), 0, words=(("lines", _l("Kinds of ingredient"), ()),)),
        FactKind("accepted", _l("Food accepted"), 30),
        FactKind("refused", _l("Food refused"), 30),
        FactKind("cancelled", _l("Entered by mistake"), 90),
    ),
)


def search_text(record: Record, detail: Food) -> str:
    """Return the words a receipt is found by."""
    return "\n".join(part for part in (record.number, record.title, detail.delivery_note) if part)


TYPE = RecordType(
    CODE,
    _l("Receipt of food"),
    "SC",
    Food,
    WORKFLOW,
    search_text,
    intake=(*FIELDS, LINES),
    register=register,
    readers=(VIEW,),
)
