"""Purchase plans (采购计划): drafted by need, from a month's losses, for a year, or because of an application.

What arrives is taken in by ``receipts``. Lines change only while a plan is a draft; what was agreed to about other
lines counts no more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    Field,
    InvalidData,
    NotFound,
    Record,
    RecordType,
    Refusal,
    Refused,
    Unit,
    append_fact,
    clean,
    clock,
    create_record,
    detail_of,
    fetch,
    lock,
    money_math,
    open_task,
    perform,
    publish,
    require,
    session,
    tell_of_fact,
    transaction,
)
from core.sdk import local_day as day_of_unit

from . import kinds, values
from .models import Application, Kind, Purchase, PurchaseLine
from .purchase_flow import CODE, WORKFLOW, forget_agreements, lines_of
from .rights import BUY

# The recurring work that a plan of a kind carries out, when it is approved.
YEAR_CLAUSE, MONTH_CLAUSE = "R32-2.1", "R35-4.9"
WHOLE_UNIT = "unit"  # the subject of recurring work that is about the unit itself
ADDITIONAL = "R35-4.4"
MOST_LINES = 100
MOST_OF_KIND = 100_000
_MOST_PRICE = Decimal("9999999.99")
_PARTS = re.compile(r"[,，;；\t]")
_PERIODS = {
    values.BY_NEED: re.compile(r"(\d{4}(-(0[1-9]|1[0-2]))?)?"),
    values.MONTHLY: re.compile(r"\d{4}-(0[1-9]|1[0-2])"),
    values.YEARLY: re.compile(r"\d{4}"),
}
_LINES = Field(
    "lines",
    "long",
    _l("What is to be bought"),
    max_length=20_000,
    help=_l("One a line: kind, quantity, price, who offered it at what price"),
)
FIELDS = (
    Field("kind", "choice", _l("Kind"), True, values.PURCHASE_KINDS, default=values.BY_NEED),
    Field("period", "text", _l("Period"), max_length=7, help=_l("A month such as 2026-11, or a year")),
    Field("reason", "long", _l("Reason"), max_length=2000),
    Field("budget", "decimal", _l("Budget (yuan)"), minimum=Decimal(0), maximum=_MOST_PRICE),
    _LINES,
)
LINE_FIELDS = (
    Field("kind", "text", _l("Kind of tool"), True, max_length=80),
    Field("what", "text", _l("Brand and model"), max_length=120),
    Field("quantity", "int", _l("Quantity"), True, minimum=Decimal(1), maximum=Decimal(MOST_OF_KIND)),
    Field("price", "decimal", _l("Price (yuan)"), minimum=Decimal(0), maximum=_MOST_PRICE),
    Field("quote", "text", _l("Who offered it at what price"), max_length=300),
    Field("reason", "text", _l("Reason"), max_length=300),
)


# --- drafting ------------------------------------------------------------------------------------


def register(unit_id: int, raw: Mapping[str, Any], *, application: Application | None = None) -> Record:
    """Draft a plan with its lines (``BUY``): ``FIELDS``; ``lines`` as text or as mappings (``LINE_FIELDS``).

    Raises:
        NotAllowed. InvalidData: beside the field; of lines under ``lines``, saying which. Refused: there is a plan
        of this kind for the period.
    """
    require(BUY, unit_id)
    given, lines = _read(unit_id, raw)
    detail = Purchase(
        kind=given["kind"],
        period=given["period"],
        reason=given["reason"] or "",
        budget=given["budget"],
        application_id=application.id if application is not None else None,
    )

    def then(made: Record) -> None:
        session().add_all(PurchaseLine(unit_id=unit_id, purchase_id=made.id, **one) for one in lines)
        session().flush()

    with transaction():
        if given["kind"] != values.BY_NEED:
            require_only(unit_id, given["kind"], given["period"])
        record = create_record(
            TYPE,
            unit_id,
            detail,
            title=_title(unit_id, given, lines),
            customer_id=None,
            received_at=clock.now(),
            permission=BUY,
            facts=[("registered", {})],
            then=then,
        )
        publish("record.registered", unit_id, {"record_id": record.id, "type": CODE})
    return record


def change(record_id: object, raw: Mapping[str, Any]) -> Record:
    """Change a draft and replace its lines (``FIELDS``); what was agreed about it counts no more.

    Raises:
        NotFound, NotAllowed. InvalidData: as ``register``. Refused: it is no draft any more.
    """
    with transaction():
        record = _draft(record_id)
        detail = detail_of(record)
        # The kind says which period it is for and which work it carries out; it stays.
        given, lines = _read(
            record.unit_id, {**raw, "kind": detail.kind, "period": raw.get("period", detail.period)}
        )
        if detail.kind != values.BY_NEED:
            require_only(record.unit_id, detail.kind, given["period"], record.id)
        detail.period, detail.reason, detail.budget = given["period"], given["reason"] or "", given["budget"]
        for one in lines_of(record.id):
            session().delete(one)
        session().flush()
        session().add_all(PurchaseLine(unit_id=record.unit_id, purchase_id=record.id, **one) for one in lines)
        record.title = _title(record.unit_id, given, lines)
        return _changed(record)


def save_line(record_id: object, raw: Mapping[str, Any], line_id: object = None) -> PurchaseLine:
    """Add a line to a draft, or change one (``LINE_FIELDS``).

    Raises:
        NotFound, NotAllowed, InvalidData. Refused: it is no draft any more, or has too many lines.
    """
    with transaction():
        record = _draft(record_id)
        values_of = _line(record.unit_id, raw)
        held = lines_of(record.id)
        if line_id is None and len(held) >= MOST_LINES:
            raise Refused([Refusal("lines", _l("At most %(count)d lines", count=MOST_LINES))])
        line = _line_of(record, line_id) if line_id is not None else None
        if line is None:
            line = PurchaseLine(unit_id=record.unit_id, purchase_id=record.id, **values_of)
            session().add(line)
        else:
            for name, value in values_of.items():
                setattr(line, name, value)
        session().flush()
        _changed(record)
        return line


def remove_line(record_id: object, line_id: object) -> None:
    """Take a line out of a draft.

    Raises:
        NotFound, NotAllowed. Refused: it is no draft any more.
    """
    with transaction():
        record = _draft(record_id)
        session().delete(_line_of(record, line_id))
        session().flush()
        _changed(record)


def _draft(record_id: object) -> Record:
    record = lock(record_id)
    if record.type != CODE:
        raise NotFound()
    require(BUY, record.unit_id)
    if record.state != values.DRAFT:
        raise Refused([Refusal("not_draft", _l("Only a draft is changed; take it back to the draft first"))])
    return record


def _line_of(record: Record, line_id: object) -> PurchaseLine:
    mine: Any = select(PurchaseLine).where(PurchaseLine.purchase_id == record.id)
    return fetch(PurchaseLine, line_id, query=mine)


def _changed(record: Record) -> Record:
    forget_agreements(record, _l("The plan is being changed"))
    fact = append_fact(record, WORKFLOW.fact_kinds["changed"], at=clock.now())
    session().flush()
    tell_of_fact(record, fact)
    return record


def require_only(unit_id: int, kind: str, period: str, besides: int = 0) -> None:
    """Pass if a month or a year has no other plan; plans of a unit are drafted one after the other.

    Raises:
        Refused: naming the other plan.
    """
    session().execute(select(Unit.id).where(Unit.id == unit_id).with_for_update(key_share=True))
    other = plan_of(unit_id, kind, period, besides)
    if other is not None:
        text = _l("There is a plan for %(period)s already: %(number)s", period=period, number=other.number)
        raise Refused([Refusal("period", text)])


def plan_of(unit_id: int, kind: str, period: str, besides: int = 0) -> Record | None:
    """Return the plan of a kind for a period that was not cancelled, or None."""
    wanted = (
        select(Record)
        .join(Purchase, Purchase.id == Record.id)
        .where(Purchase.unit_id == unit_id, Purchase.kind == kind, Purchase.period == period)
        .where(Record.state != values.CANCELLED, Record.id != besides)
    )
    return session().scalars(wanted.limit(1)).first()


# --- reading the form ----------------------------------------------------------------------------


def _read(unit_id: int, raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    listed = raw.get("lines")
    plain = {name: value for name, value in raw.items() if name != "lines"}
    text = listed if isinstance(listed, str) else None
    given = clean(FIELDS, {**plain, "kind": plain.get("kind") or values.BY_NEED, "lines": text})
    given["period"] = given["period"] or ""
    errors: dict[str, Any] = {}
    if not _PERIODS[given["kind"]].fullmatch(given["period"]):
        errors["period"] = _l("A month such as 2026-11, or for the plan of a year the year")
    if given["budget"] is not None:
        try:
            given["budget"] = money_math.exact(given["budget"], "budget")
        except InvalidData as bad:
            errors |= bad.errors
    lines: list[dict[str, Any]] = []
    try:
        lines = _lines(unit_id, _split(given["lines"]) if text is not None else listed or ())
    except InvalidData as bad:
        errors |= bad.errors
    if errors:
        raise InvalidData(errors)
    return given, lines


def _split(text: str | None) -> list[dict[str, str]]:
    """Read lines of text: kind, quantity, price, offer; what is left out is empty."""
    names = ("kind", "quantity", "price", "quote")
    found = []
    for row in (text or "").splitlines():
        if row.strip():
            parts = [part.strip() for part in _PARTS.split(row, 3)]
            found.append(dict(zip(names, parts, strict=False)))
    return found


def _lines(unit_id: int, raws: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    if len(raws) > MOST_LINES:
        raise InvalidData({"lines": _l("At most %(count)d lines", count=MOST_LINES)})
    found, errors = [], []
    for place, raw in enumerate(raws, start=1):
        try:
            found.append(_line(unit_id, raw))
        except InvalidData as bad:
            words = "; ".join(str(one) for one in bad.errors.values())
            errors.append(_("Line %(place)d: %(words)s", place=place, words=words))
    if errors:
        raise InvalidData({"lines": " ".join(errors)})
    return found


def _line(unit_id: int, raw: Mapping[str, Any]) -> dict[str, Any]:
    given = clean(LINE_FIELDS, raw)
    errors: dict[str, Any] = {}
    kind = kinds.find_kind(unit_id, given["kind"])
    if kind is None:
        errors["kind"] = _l("There is no kind of tool “%(name)s”", name=given["kind"])
    elif not kind.active:
        errors["kind"] = _l("“%(name)s” is out of use", name=kind.name)
    price = given["price"]
    if price is not None:
        try:
            price = money_math.exact(price, "price")
        except InvalidData as bad:
            errors |= bad.errors
    if errors or kind is None:
        raise InvalidData(errors)
    texts = {name: given[name] or "" for name in ("what", "quote", "reason")}
    return {"kind_id": kind.id, "quantity": given["quantity"], "price": price, **texts}


def form_values(detail: Purchase) -> dict[str, Any]:
    """Return what the form of a draft starts with."""
    plain = {name: getattr(detail, name) for name in ("kind", "period", "reason", "budget")}
    return {**plain, "lines": "\n".join(_as_text(one) for one in lines_of(detail.id))}


def _as_text(line: PurchaseLine) -> str:
    price = "" if line.price is None else f"{line.price:f}"
    return ", ".join((line.kind.code, str(line.quantity), price, line.quote)).rstrip(", ")


def _title(unit_id: int, given: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> str:
    """Name a plan by what it buys."""
    ids = {one["kind_id"] for one in lines}
    names = {row.id: row.name for row in session().scalars(select(Kind).where(Kind.id.in_(ids)))} if ids else {}
    listed = "、".join(f"{names[one['kind_id']]} × {one['quantity']}" for one in lines)
    return " ".join(part for part in (given["period"], listed) if part)[:200] or str(TYPE.title)


# --- because of an application -------------------------------------------------------------------


def of_application(application_id: object) -> Record | None:
    """Return the plan that was drafted because of an application and not cancelled, or None."""
    wanted = select(Record).join(Purchase, Purchase.id == Record.id)
    mine = Purchase.application_id == application_id, Record.state != values.CANCELLED
    return session().scalars(wanted.where(*mine).limit(1)).first()


def from_application(application_id: object) -> Record:
    """Draft the plan of an additional tool whose application the manager granted (R35-4.4, R35-5.1).

    Raises:
        NotFound, NotAllowed. Refused: it is not granted, or there is a plan for it already.
    """
    with transaction():
        record = lock(application_id)
        asked = detail_of(record)
        if not isinstance(asked, Application):
            raise NotFound()
        require(BUY, record.unit_id)
        if record.state != values.GRANTED:
            raise Refused([Refusal("not_granted", _l("The application is not granted"), ADDITIONAL)])
        before = of_application(record.id)
        if before is not None:
            text = _l("There is a plan for this application already: %(number)s", number=before.number)
            raise Refused([Refusal("planned", text)])
        line = {
            "kind": asked.kind_of_tool.code,
            "quantity": asked.quantity - asked.fulfilled,
            "price": asked.kind_of_tool.price,
            "reason": asked.reason[:300],
        }
        raw = {"kind": values.BY_NEED, "reason": record.number, "lines": [line]}
        return register(record.unit_id, raw, application=asked)


# --- the work that a plan carries out ------------------------------------------------------------


def after_step(record: Record, transition: str) -> None:
    """Finish the year's task (R32-2.1) when the plan of a year is approved (hook ``record_transitioned``)."""
    if record.type != CODE or transition != "approve":
        return
    detail = detail_of(record)
    if detail.kind == values.YEARLY:
        finish_task(record.unit_id, YEAR_CLAUSE, str(_("Purchase plan %(number)s", number=record.number)))


def finish_task(unit_id: int, clause: str, result: str) -> bool:
    """Finish the open task of a recurring clause of the unit; tell whether there was one."""
    task = open_task(unit_id, clause, WHOLE_UNIT, day_of_unit(unit_id))
    if task is None:
        return False
    perform(task.id, "finish", {"result": result}, permitted=True)
    return True


def _search_text(record: Record, detail: Purchase) -> str:
    parts = (record.number, record.title, detail.period, detail.supplier, detail.reason[:500])
    return "\n".join(part for part in parts if part)


TYPE = RecordType(
    CODE, _l("Purchase plan"), "CG", Purchase, WORKFLOW, _search_text, intake=FIELDS, register=register
)
