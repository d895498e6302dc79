"""The hand-over book (交接班): what a shift leaves open goes on to the next, taken by somebody else (JD-8)."""

from __future__ import annotations

from collections.abc import Mapping
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
    Unit,
    accounts,
    answered_before,
    clean,
    clock,
    create_record,
    current_scope,
    detail_of,
    fetch,
    label_of,
    lock,
    make_workflow,
    perform,
    pins,
    publish,
    remember_answer,
    require,
    require_clause,
    session,
    speaking,
    transaction,
)

from . import days, house, values
from .models import Shift
from .rights import REPORT, VIEW
from .values import CANCELLED, HANDED, TAKEN, WRITING

CODE, TAKE_OVER, CLAUSE = "hotel_shift", "hotel.shift_take", "JD-8"
MOST_ENTRIES = 200
LONGEST = 500
FIELDS = (
    Field("department", "choice", _l("Department"), True, values.DEPARTMENTS),
    Field("shift", "choice", _l("Shift"), True, values.SHIFTS),
)
TEXT = Field("text", "text", _l("What the next shift has to know"), True, max_length=LONGEST)
ENTRY_FIELDS = (TEXT, Field("open", "bool", _l("Still to be done")))


class Taking(NamedTuple):
    """Who hands a shift over, and who wants to take it."""

    giver_id: int | None
    taker_id: int


def register(unit_id: int, raw: Mapping[str, Any], *, key: str = "") -> Record:
    """Begin a shift of the present hotel day (``REPORT``): ``FIELDS``. What the last one left open stands in it.

    Raises:
        NotAllowed. InvalidData: beside the field. Refused: this shift of the day is in the book already.
    """
    require(REPORT, unit_id)
    given = clean(FIELDS, raw)
    day = days.hotel_day(unit_id)
    with transaction():
        before = answered_before(unit_id, key, "hotel.shift", dict(raw))
        if before is not None:
            return fetch(Record, before["record"])
        house.take_turns(unit_id)
        held = select(Record.number).join(Shift, Shift.id == Record.id)
        same = Shift.department == given["department"], Shift.shift == given["shift"], Shift.hotel_day == day
        number = session().scalars(held.where(Shift.unit_id == unit_id, *same)).first()
        if number is not None:
            text = _l("This shift is in the book already: %(number)s", number=number)
            raise Refused([Refusal("there", text)])
        detail = Shift(
            department=given["department"],
            shift=given["shift"],
            hotel_day=day,
            entries=_carried(unit_id, given["department"]),
            giver_id=current_scope().actor_id,
        )
        record = create_record(
            TYPE,
            unit_id,
            detail,
            title=_title(unit_id, detail),
            customer_id=None,
            received_at=clock.now(),
            permission=REPORT,
            facts=[("registered", {"carried": len(detail.entries)})],
        )
        publish("record.registered", unit_id, {"record_id": record.id, "type": CODE})
        remember_answer(unit_id, key, {"record": record.id})
        return record


def _title(unit_id: int, detail: Shift) -> str:
    """Return what a shift is called, in the unit's language."""
    with speaking(session().scalar(select(Unit.locale).where(Unit.id == unit_id)) or "zh"):
        words = label_of(values.DEPARTMENTS, detail.department), label_of(values.SHIFTS, detail.shift)
        return " · ".join((*(str(one) for one in words), detail.hotel_day.isoformat()))


def _carried(unit_id: int, department: str) -> list[dict[str, Any]]:
    """Return what the department's last shift left open."""
    last = (
        select(Shift)
        .join(Record, Record.id == Shift.id)
        .where(Shift.unit_id == unit_id, Shift.department == department, Record.state != CANCELLED)
        .order_by(Shift.id.desc())
    )
    found = session().scalars(last.limit(1)).first()
    return [{**one, "carried": True} for one in found.entries if one["open"]] if found is not None else []


# --- entries -----------------------------------------------------------------------------------------


def add_entry(record_id: object, raw: Mapping[str, Any], *, key: str = "") -> Record:
    """Write something into a shift that is under way (``REPORT``): ``ENTRY_FIELDS``; the server stamps it.

    Raises:
        NotFound, NotAllowed. InvalidData: beside the field. Refused: the shift is handed over; the book is full.
    """
    given = clean(ENTRY_FIELDS, raw)
    with transaction():
        record, shift = _writing(record_id)
        if answered_before(record.unit_id, key, f"hotel.entry:{record.id}", dict(raw)):
            return record
        if len(shift.entries) >= MOST_ENTRIES:
            raise Refused([Refusal("full", _l("At most %(count)d entries", count=MOST_ENTRIES))])
        made = {"text": given["text"], "open": given["open"], "carried": False, **_stamp()}
        shift.entries = [*shift.entries, made]
        session().flush()
        remember_answer(record.unit_id, key, {"record": record.id})
        return record


def settle_entry(record_id: object, index: int) -> Record:
    """Mark an open entry as done (``REPORT``); done already, nothing changes.

    Raises:
        NotFound: no such shift or entry. NotAllowed. Refused: the shift is handed over.
    """
    with transaction():
        record, shift = _writing(record_id)
        if not 0 <= index < len(shift.entries):
            raise InvalidData({"entry": _l("There is no such entry")})
        entry = shift.entries[index]
        if entry["open"]:
            done = {**entry, "open": False, "done_at": _stamp()["at"], "done_by": _stamp()["by"]}
            shift.entries = [*shift.entries[:index], done, *shift.entries[index + 1 :]]
            session().flush()
        return record


def _writing(record_id: object) -> tuple[Record, Shift]:
    record = lock(fetch(Record, record_id).id)
    require(REPORT, record.unit_id)
    shift = detail_of(record)
    if not isinstance(shift, Shift):
        raise InvalidData({"entry": _l("There is no such entry")})
    session().refresh(shift)
    if record.state != WRITING:
        raise Refused([Refusal("handed", _l("This shift is handed over already"))])
    return record, shift


def _stamp() -> dict[str, Any]:
    return {"at": clock.now().isoformat(), "by": current_scope().actor_id}


# --- handing over ------------------------------------------------------------------------------------


def take(record_id: object, *, proof: pins.Proof | None = None, key: str = "") -> Record:
    """Take a shift over: the actor (``REPORT``), or on somebody's device who proved to be there by their PIN.

    Raises:
        NotFound, NotAllowed. Refused: not handed over; giver and taker are one person (JD-8).
    """
    with transaction():
        record = fetch(Record, record_id)
        require(REPORT, record.unit_id)
        taker = proof.user_id if proof is not None else current_scope().actor_id
        if taker is None or taker not in {one.id for one in accounts.staff_of(record.unit_id)}:
            raise InvalidData({"taker": _l("This person does not work in the unit")})
        if proof is not None and taker not in accounts.who_may(REPORT, record.unit_id, [taker]):
            raise InvalidData({"taker": _l("This person may not keep the book")})
        return perform(record.id, "take", {"taker": taker}, key=key, permitted=True)


def _giving(step: Step) -> None:
    step.detail.giver_id, step.detail.handed_at = current_scope().actor_id, clock.now()


def _taking(step: Step) -> None:
    taker = step.values["taker"]
    require_clause(TAKE_OVER, step.record.unit_id, Taking(step.detail.giver_id, taker), step.record)
    step.detail.taker_id, step.detail.taken_at = taker, clock.now()


def same_person(taking: Any, _said: Mapping[str, Any]) -> Any:
    """JD-8: who hands a shift over does not take it."""
    if taking.giver_id != taking.taker_id:
        return None
    return _l("Who hands a shift over does not take it; somebody else does")


def _not_empty(step: Step) -> Any:
    return None if step.detail.entries else _l("Write at least one line, if only that nothing happened")


_WRITING, _HANDED = frozenset({WRITING}), frozenset({HANDED})
_REASON = Field("reason", "long", _l("Reason"), True, max_length=500)
_CATEGORIES = {WRITING: "open", HANDED: "open", TAKEN: "closed"}
WORKFLOW = make_workflow(
    WRITING,
    tuple(State(code, label, _CATEGORIES.get(code, "cancelled")) for code, label in values.SHIFT_STATES),
    (
        Transition(
            "hand",
            _l("Hand the shift over"),
            _WRITING,
            HANDED,
            REPORT,
            "handed",
            guards=(Guard("empty", _not_empty),),
            apply=_giving,
            tone="primary",
            weight=10,
        ),
        Transition(
            "take",
            _l("Take the shift over"),
            _HANDED,
            TAKEN,
            house.BY_SERVICE,
            "taken",
            (Field("taker", "user", _l("Shift taken over by"), True),),
            apply=_taking,
            kept=("taker",),
            weight=20,
        ),
        Transition("back", _l("Write on"), _HANDED, WRITING, REPORT, "back", weight=30),
        Transition(
            "cancel",
            _l("Entered by mistake"),
            _WRITING,
            CANCELLED,
            REPORT,
            "cancelled",
            (_REASON,),
            note="reason",
            weight=90,
        ),
    ),
    (
        FactKind("registered", _l("Shift begun"), 0, words=(("carried", _l("Open from the last shift"), ()),)),
        FactKind("handed", _l("Shift handed over"), 20),
        FactKind("back", _l("Written on"), 25),
        FactKind("taken", _l("Shift taken over"), 30),
        FactKind("cancelled", _l("Entered by mistake"), 90),
    ),
)


def search_text(record: Record, detail: Shift) -> str:
    """Return the words a shift is found by: its entries, too."""
    return "\n".join((record.number, record.title, *(one["text"] for one in detail.entries)))


TYPE = RecordType(
    CODE, _l("Shift"), "JB", Shift, WORKFLOW, search_text, intake=FIELDS, register=register, readers=(VIEW, REPORT)
)
