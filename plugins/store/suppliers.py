"""The register of suppliers (供应商库, R02-7a) and their assessments (R02-7b, R05-2.1, R05-2.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, or_, select

from core.sdk import (
    Fact,
    Field,
    InvalidData,
    NotFound,
    Record,
    RecordType,
    Step,
    Unit,
    add_months,
    answered_before,
    append_fact,
    clean,
    clock,
    create_record,
    current_scope,
    detail_of,
    effective,
    holds,
    local_day,
    lock,
    open_task,
    perform,
    publish,
    read_company_code,
    remember_answer,
    require,
    session,
    tell_of_fact,
    transaction,
)

from . import values
from .models import Assessment, Supplier
from .rights import BUY
from .supplier_flow import CODE, WORKFLOW

REGISTER_CLAUSE, ASSESS_CLAUSE, WATCH_CLAUSE, CHOICE_CLAUSE = "R02-7a", "R02-7b", "R05-2.2", "R05-2.1"
USUAL_MONTHS = 12  # where no clause says how long an assessment is good for
CONDITIONAL = "conditional"
FIELDS = (
    Field("name", "text", _l("Name of the supplier"), True, max_length=120),
    Field("uscc", "text", _l("Unified social credit code"), max_length=30),
    Field("contact", "text", _l("Contact person"), max_length=60),
    Field("phone", "text", _l("Phone"), max_length=30),
    Field("address", "text", _l("Address"), max_length=200),
    Field("supplies", "text", _l("What it supplies"), max_length=200, clause=REGISTER_CLAUSE),
    Field("licence", "text", _l("Number of the licence"), max_length=60, clause=REGISTER_CLAUSE),
    Field("licence_until", "date", _l("Licence valid until")),
)
_NAMES = tuple(one.name for one in FIELDS)


def in_use(held: int | None = None) -> ColumnElement[bool]:
    """Return the condition of suppliers that may be chosen, and of the one that is chosen already."""
    open_ones = select(Record.id).where(
        Record.id == Supplier.id, Record.type == CODE, Record.state.in_((values.CANDIDATE, values.QUALIFIED))
    )
    return or_(open_ones.exists(), Supplier.id == held) if held else open_ones.exists()


# --- the register ----------------------------------------------------------------------------------


def register(unit_id: int, raw: Mapping[str, Any], *, key: str = "", imported: bool = False) -> Record:
    """Put a supplier on the register (``FIELDS``, permission ``BUY``); it is a candidate until it was assessed.

    ``imported``: taken over from an existing register, which may leave out what a clause asks for.

    Raises:
        NotAllowed. InvalidData: beside the field: a name or credit code that another supplier has, a code that is
        none, a phone that is none.
    """
    require(BUY, unit_id)
    given = _read(raw, holds(unit_id, REGISTER_CLAUSE) and not imported)
    with transaction():
        held = answered_before(unit_id, key, "store.supplier", raw)
        if held:
            return session().get_one(Record, held["record"])
        _one_after_the_other(unit_id)
        _refuse_taken(unit_id, given, 0)
        record = create_record(
            TYPE,
            unit_id,
            Supplier(**given),
            title=given["name"],
            customer_id=None,
            received_at=clock.now(),
            permission=BUY,
            facts=[("registered", {})],
        )
        publish("record.registered", unit_id, {"record_id": record.id, "type": CODE})
        remember_answer(unit_id, key, {"record": record.id})
        return record


def change(record_id: object, raw: Mapping[str, Any]) -> Record:
    """Correct what the register says of a supplier (``FIELDS``).

    Raises:
        NotFound, NotAllowed. InvalidData: as ``register``.
    """
    with transaction():
        record = lock(record_id)
        if record.type != CODE:
            raise NotFound()
        require(BUY, record.unit_id)
        detail = detail_of(record)
        wanted = holds(record.unit_id, REGISTER_CLAUSE)
        given = _read({**form_values(detail), **raw}, wanted)
        _one_after_the_other(record.unit_id)
        _refuse_taken(record.unit_id, given, record.id)
        for name, value in given.items():
            setattr(detail, name, value)
        record.title = given["name"]
        fact = append_fact(record, WORKFLOW.fact_kinds["changed"], at=clock.now())
        session().flush()
        tell_of_fact(record, fact)
        return record


def _read(raw: Mapping[str, Any], complete: bool) -> dict[str, Any]:
    given = clean(FIELDS, raw)
    errors: dict[str, Any] = {}
    given = {name: given[name] if name == "licence_until" else given[name] or "" for name in _NAMES}
    given["name"] = " ".join(given["name"].split())
    if given["uscc"]:
        try:
            given["uscc"] = read_company_code(given["uscc"])
        except InvalidData as bad:
            errors["uscc"] = bad.texts()[0]
    if complete:
        missing = [name for name in ("supplies", "licence") if not given[name]]
        text = _l("Please fill this in (clause %(clause)s)", clause=REGISTER_CLAUSE)
        errors |= dict.fromkeys(missing, text)
    if given["phone"] and sum(one.isdigit() for one in given["phone"]) < 5:
        errors["phone"] = _l("This is no phone number")
    if errors:
        raise InvalidData(errors)
    return given


def _one_after_the_other(unit_id: int) -> None:
    """Suppliers of a unit are entered one after the other, so that no name is there twice."""
    session().execute(select(Unit.id).where(Unit.id == unit_id).with_for_update(key_share=True))


def _refuse_taken(unit_id: int, given: Mapping[str, Any], besides: int) -> None:
    mine = select(Supplier.id).where(Supplier.unit_id == unit_id, Supplier.id != besides)
    errors: dict[str, Any] = {}
    if session().scalar(mine.where(Supplier.name == given["name"]).limit(1)) is not None:
        errors["name"] = _l("A supplier of this name is on the register already")
    if given["uscc"] and session().scalar(mine.where(Supplier.uscc == given["uscc"]).limit(1)) is not None:
        errors["uscc"] = _l("A supplier with this code is on the register already")
    if errors:
        raise InvalidData(errors)


def form_values(detail: Supplier) -> dict[str, Any]:
    """Return what the form of a supplier starts with."""
    return {name: getattr(detail, name) for name in _NAMES}


def by_name(unit_id: int, name: str) -> Supplier | None:
    """Return the unit's supplier of a name (or credit code), or None."""
    plain = " ".join(name.split())
    found = select(Supplier).where(Supplier.unit_id == unit_id, or_(Supplier.name == plain, Supplier.uscc == plain))
    return session().scalars(found.limit(1)).first() if plain else None


# --- assessments -----------------------------------------------------------------------------------


def keep_assessment(step: Step) -> None:
    """Keep the assessment that a step enters, and how long it is good for (the step ``assess``).

    Raises:
        InvalidData: beside the field: a day in the future, a next assessment before this one or later than the
        clause's interval allows, a verdict that the points do not carry.
    """
    unit_id, given = step.record.unit_id, step.values
    today = local_day(unit_id)
    on = given["on"] or today
    latest = _good_until(unit_id, on)
    until = given["valid_until"] or latest
    score = _score(given)
    errors: dict[str, Any] = {}
    if on > today:
        errors["on"] = _l("This date lies in the future")
    newest = newest_assessment(step.record.id)
    if newest is not None and on < newest.on:
        errors["on"] = _l("There is an assessment of %(day)s already", day=newest.on)
    if until <= on:
        errors["valid_until"] = _l("The next assessment comes after this one")
    elif until > latest:
        errors["valid_until"] = _l("At the latest on %(day)s (clause %(clause)s)", day=latest, clause=ASSESS_CLAUSE)
    chosen = effective(unit_id, CHOICE_CLAUSE)
    if given["verdict"] != "refused" and chosen.holds and score < Decimal(str(chosen.values["least"])):
        errors["verdict"] = _l(
            "With %(score)s points no supplier is qualified: %(least)s at least (clause %(clause)s)",
            score=score,
            least=chosen.values["least"],
            clause=CHOICE_CLAUSE,
        )
    if errors:
        raise InvalidData(errors)
    good = given["verdict"] != "refused"
    row = Assessment(unit_id=unit_id, supplier_id=step.record.id, on=on, score=score, verdict=given["verdict"])
    for code, _label in values.CRITERIA:
        setattr(row, code, given[code])
    row.valid_until, row.note = (until if good else None), given["note"] or ""
    row.at, row.by_id = clock.now(), current_scope().actor_id
    session().add(row)
    detail: Supplier = step.detail
    detail.score, detail.qualified_until = score, row.valid_until
    step.values.update(on=on, score=score, valid_until=row.valid_until)


def _score(given: Mapping[str, Any]) -> Decimal:
    points = [Decimal(given[code]) for code, _label in values.CRITERIA]
    return (sum(points, Decimal(0)) / len(points)).quantize(Decimal("0.01"), ROUND_HALF_UP)


def _good_until(unit_id: int, day: date) -> date:
    """Return until when an assessment of a day is good: the interval of R02-7b."""
    found = effective(unit_id, ASSESS_CLAUSE)
    amount = int(Decimal(str(found.values.get("interval", USUAL_MONTHS)))) if found.holds else USUAL_MONTHS
    unit = found.clause.parameter("interval").unit if found.holds else "month"
    return add_months(day, amount * (12 if unit == "year" else 1))


def after_step(record: Record, transition: str, facts: Sequence[Fact]) -> None:
    """An assessment makes a supplier qualified or suspended, and finishes the recurring work about it."""
    if record.type != CODE or transition != "assess":
        return
    verdict = next((one.data.get("verdict") for one in facts if one.kind == "assessed"), "")
    perform(record.id, "refuse" if verdict == "refused" else "qualify", permitted=True)
    for clause in (ASSESS_CLAUSE, WATCH_CLAUSE):
        task = open_task(record.unit_id, clause, subject_of(record.id), local_day(record.unit_id))
        if task is not None:
            perform(
                task.id, "finish", {"result": str(_("Assessment of %(name)s", name=record.title))}, permitted=True
            )


def subject_of(supplier_id: int) -> str:
    """Return the key of a supplier in recurring work."""
    return f"supplier:{supplier_id}"


def to_assess(unit_id: int) -> list[tuple[str, str, int | None]]:
    """Return the suppliers that are assessed again and again: those one buys from, and suspended ones."""
    wanted = (
        select(Supplier.id, Supplier.name)
        .join(Record, Record.id == Supplier.id)
        .where(Supplier.unit_id == unit_id, Record.state.in_((values.QUALIFIED, values.SUSPENDED)))
        .order_by(Supplier.id)
    )
    return [(subject_of(row.id), row.name, None) for row in session().execute(wanted)]


def newest_assessment(supplier_id: int) -> Assessment | None:
    """Return the newest assessment of a supplier, or None."""
    return next(iter(assessments(supplier_id, 1)), None)


def assessments(supplier_id: int, limit: int = 20) -> list[Assessment]:
    """Return the assessments of a supplier, newest first."""
    wanted = select(Assessment).where(Assessment.supplier_id == supplier_id)
    return list(session().scalars(wanted.order_by(Assessment.on.desc(), Assessment.id.desc()).limit(limit)))


# --- asked by orders and deliveries ------------------------------------------------------------------


def not_qualified(supplier_id: int) -> Any:
    """Return why one does not buy from a supplier, or None (R02-7a, R05-2.1)."""
    found = session().execute(select(Record.state, Record.title).where(Record.id == supplier_id)).one()
    if found.state == values.QUALIFIED:
        return None
    words = dict(values.SUPPLIER_STATES)[found.state]
    return _l("%(name)s is no qualified supplier: %(state)s", name=found.title, state=words)


def overdue(unit_id: int, supplier_id: int) -> Any:
    """Return why a supplier has to be assessed first, or None (R02-7b)."""
    row = session().get_one(Supplier, supplier_id)
    if row.qualified_until is None:
        return _l("%(name)s has not been assessed", name=row.name)
    if row.qualified_until < local_day(unit_id):
        return _l("The assessment of %(name)s ran out on %(day)s", name=row.name, day=row.qualified_until)
    return None


def search_text(record: Record, detail: Supplier) -> str:
    """Return the words a supplier is found by."""
    words = (record.number, detail.name, detail.uscc, detail.contact, detail.supplies)
    return "\n".join(one for one in words if one)


TYPE = RecordType(CODE, _l("Supplier"), "GY", Supplier, WORKFLOW, search_text, intake=FIELDS, register=register)
