"""Purchase plans (采购计划, R02-8): proposed from what sells and what is there, approved, turned into orders."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select

from core.sdk import (
    Field,
    InvalidData,
    NotFound,
    Record,
    RecordType,
    Refusal,
    Refused,
    Unit,
    add_months,
    answered_before,
    append_fact,
    clean,
    clock,
    create_record,
    detail_of,
    effective,
    local_day,
    lock,
    open_task,
    perform,
    publish,
    remember_answer,
    require,
    session,
    tell_of_fact,
    transaction,
)

from . import goods, orders, values
from .models import Lot, Movement, Plan, PlanLine, Product
from .order_flow import PLAN, PLAN_FLOW, plan_lines
from .rights import BUY

CLAUSE = "R02-8"
WHOLE_UNIT = "unit"  # the subject of recurring work that is about the unit itself
USUAL_DAYS = 30  # where the clause does not hold: sales looked at, and how long the stock should last
MOST_LINES = 2000
LINE_NAMES = ("product", "quantity", "supplier")
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")
FIELDS = (
    Field("month", "text", _l("Month"), True, max_length=7, help=_l("Such as 2026-11")),
    Field("note", "long", _l("Note"), max_length=2000),
    Field(
        "lines",
        "long",
        _l("What is to be bought"),
        max_length=200_000,
        help=_l("One a line: product, quantity, supplier. Left empty: proposed from sales and stock"),
    ),
)
LINE_FIELDS = (
    Field("product", "text", _l("Product"), True, max_length=80, help=_l("Bar code or model")),
    Field("quantity", "int", _l("Quantity"), True, minimum=Decimal(0), maximum=Decimal(goods.MOST_PIECES)),
    Field("supplier", "text", _l("Supplier"), max_length=120),
)


class Figures(NamedTuple):
    """What there is of a product and what sells, in pieces."""

    in_stock: int = 0
    on_order: int = 0
    sold: int = 0


# --- what there is and what sells --------------------------------------------------------------------


def figures(unit_id: int) -> dict[int, Figures]:
    """Return of each product what is in stock, on order and will sell in the days that the stock should last.

    Three selects. What sells is judged by the last days, as many as the clause says (R02-8).
    """
    stock = (
        select(Lot.model_id, func.sum(Lot.stock - Lot.held))
        .where(Lot.unit_id == unit_id, Lot.state.in_((values.ACCEPTED, values.ON_SALE)))
        .group_by(Lot.model_id)
    )
    days, cover = _days(unit_id)
    since = clock.now() - timedelta(days=days)
    sales = (
        select(Movement.model_id, func.sum(-Movement.quantity))
        .where(Movement.unit_id == unit_id, Movement.kind.in_(("sell", "exchange", "back")), Movement.at >= since)
        .group_by(Movement.model_id)
    )
    held = {key: int(count) for key, count in session().execute(stock)}
    sold = {key: max(0, -(-int(count) * cover // days)) for key, count in session().execute(sales)}
    coming = orders.on_order(unit_id)
    return {key: Figures(held.get(key, 0), coming.get(key, 0), sold.get(key, 0)) for key in {*held, *sold, *coming}}


def _days(unit_id: int) -> tuple[int, int]:
    found = effective(unit_id, CLAUSE)
    if not found.holds:
        return USUAL_DAYS, USUAL_DAYS
    return int(found.values["days"]), int(found.values["cover"])


def proposed(product: Product, found: Figures) -> int:
    """Return how many pieces one should order: up to the level of the sheet, at least what will sell.

    Nothing while what is there and what comes lies above the level at which one orders again and above what sells.
    """
    there = found.in_stock + found.on_order
    if there > product.reorder_at and there >= found.sold:
        return 0
    return max(0, max(product.reorder_to, found.sold) - there)


def proposal(unit_id: int) -> list[dict[str, Any]]:
    """Return the lines of a plan for what is short, for the products in use."""
    known = figures(unit_id)
    wanted = select(Product).where(Product.unit_id == unit_id, Product.active).order_by(Product.id)
    found = []
    for product in session().scalars(wanted):
        mine = known.get(product.model_id, Figures())
        count = proposed(product, mine)
        if count:
            line = {"model_id": product.model_id, "supplier_id": product.supplier_id, **mine._asdict()}
            found.append({**line, "proposed": count, "quantity": count})
    return found[:MOST_LINES]


# --- drafting --------------------------------------------------------------------------------------


def register(unit_id: int, raw: Mapping[str, Any], *, key: str = "") -> Record:
    """Draft the plan of a month (``FIELDS``, permission ``BUY``); without lines they are proposed.

    Raises:
        NotAllowed. InvalidData: beside the field. Refused: there is a plan of this month.
    """
    require(BUY, unit_id)
    given = clean(FIELDS, {**raw, "lines": raw["lines"] if isinstance(raw.get("lines"), str) else None})
    month = read_month(given["month"])
    with transaction():
        held = answered_before(unit_id, key, "store.plan", raw)
        if held:
            return session().get_one(Record, held["record"])
        session().execute(select(Unit.id).where(Unit.id == unit_id).with_for_update(key_share=True))
        other = plan_of(unit_id, month)
        if other is not None:
            text = _l(
                "There is a plan for %(month)s already: %(number)s", month=f"{month:%Y-%m}", number=other.number
            )
            raise Refused([Refusal("month", text)])
        lines = _lines(unit_id, raw.get("lines")) if raw.get("lines") else proposal(unit_id)
        record = create_record(
            PLAN_TYPE,
            unit_id,
            Plan(month=month, note=given["note"] or ""),
            title=str(_("Purchase plan of %(month)s", month=f"{month:%Y-%m}")),
            customer_id=None,
            received_at=clock.now(),
            permission=BUY,
            facts=[("registered", {})],
            then=lambda made: _put(made, lines),
        )
        publish("record.registered", unit_id, {"record_id": record.id, "type": PLAN})
        remember_answer(unit_id, key, {"record": record.id})
        return record


def change(record_id: object, raw: Mapping[str, Any]) -> Record:
    """Change a draft and replace its lines (``FIELDS`` but the month).

    Raises:
        NotFound, NotAllowed. InvalidData: as ``register``. Refused: it is no draft any more.
    """
    with transaction():
        record = _locked(record_id)
        if record.state != values.DRAFT:
            raise Refused([Refusal("not_draft", _l("Only a draft is changed; take it back to the draft first"))])
        detail: Plan = detail_of(record)
        if "note" in raw:
            detail.note = clean(FIELDS[1:2], raw)["note"] or ""
        if "lines" in raw:
            lines = _lines(record.unit_id, raw["lines"] or ())
            for one in plan_lines(record.id):
                session().delete(one)
            session().flush()
            _put(record, lines)
        fact = append_fact(record, PLAN_FLOW.fact_kinds["changed"], at=clock.now())
        session().flush()
        tell_of_fact(record, fact)
        return record


def _locked(record_id: object) -> Record:
    record = lock(record_id)
    if record.type != PLAN:
        raise NotFound()
    require(BUY, record.unit_id)
    return record


def _put(record: Record, lines: Sequence[Mapping[str, Any]]) -> None:
    session().add_all(PlanLine(unit_id=record.unit_id, plan_id=record.id, **one) for one in lines)
    session().flush()


def read_month(text: str) -> date:
    """Return the first day of a month such as 2026-11.

    Raises:
        InvalidData: under ``month``.
    """
    if not _MONTH.fullmatch(text) or not 1950 <= int(text[:4]) <= 2200:
        raise InvalidData({"month": _l("A month such as 2026-11")})
    return date(int(text[:4]), int(text[5:]), 1)


def plan_of(unit_id: int, month: date) -> Record | None:
    """Return the plan of a month that was not cancelled, or None."""
    wanted = select(Record).join(Plan, Plan.id == Record.id).where(Plan.unit_id == unit_id, Plan.month == month)
    return session().scalars(wanted.where(Record.state != values.CANCELLED).limit(1)).first()


def next_month(unit_id: int) -> str:
    """Return the month one plans for: the next one."""
    return f"{add_months(local_day(unit_id).replace(day=1), 1):%Y-%m}"


def _lines(unit_id: int, given: Any) -> list[dict[str, Any]]:
    """Read the lines of a plan, each product once; what there is and what sells is noted with each.

    Raises:
        InvalidData: under ``lines``, every line that is wrong.
    """
    raws = goods.split_lines(given, LINE_NAMES) if isinstance(given, str) else given
    if not isinstance(raws, list | tuple) or not all(isinstance(one, Mapping) for one in raws):
        raise InvalidData({"lines": _l("A list of lines is expected")})
    if len(raws) > MOST_LINES:
        raise InvalidData({"lines": _l("At most %(count)d lines", count=MOST_LINES)})
    known = goods.find_models(unit_id, [str(one.get("product") or "") for one in raws])
    sheets, there = goods.sheets_of(unit_id, known.values()), figures(unit_id)
    found: list[dict[str, Any]] = []
    errors: list[str] = []
    for place, raw in enumerate(raws, start=1):
        try:
            line = _line(unit_id, raw, known, sheets, there)
            if any(one["model_id"] == line["model_id"] for one in found):
                raise InvalidData({"product": _l("“%(code)s” stands here twice", code=raw.get("product"))})
            found.append(line)
        except InvalidData as bad:
            errors.append(orders.wrong_line(place, bad))
    if errors:
        raise InvalidData({"lines": " ".join(errors)})
    return found


def _line(
    unit_id: int,
    raw: Mapping[str, Any],
    known: Mapping[str, int],
    sheets: Mapping[int, Product],
    there: Mapping[int, Figures],
) -> dict[str, Any]:
    given = clean(LINE_FIELDS, {**raw, "product": str(raw.get("product") or "")})
    model_id = known.get(str(raw.get("product") or ""))
    if model_id is None:
        raise InvalidData({"product": _l("There is no product “%(code)s”", code=given["product"])})
    sheet, mine = sheets.get(model_id), there.get(model_id, Figures())
    supplier_id = sheet.supplier_id if sheet is not None else None
    if given["supplier"]:
        supplier_id = orders.find_supplier(unit_id, given["supplier"])
        if supplier_id is None:
            text = _l("There is no supplier “%(name)s” on the register", name=given["supplier"])
            raise InvalidData({"supplier": text})
    count = proposed(sheet, mine) if sheet is not None else 0
    line = {"model_id": model_id, "supplier_id": supplier_id, **mine._asdict()}
    return {**line, "proposed": count, "quantity": given["quantity"]}


def form_values(detail: Plan) -> dict[str, Any]:
    """Return what the form of a draft starts with."""
    from .models import Supplier

    lines = plan_lines(detail.id)
    codes = goods.codes_of(detail.unit_id, [one.model_id for one in lines])
    wanted = select(Supplier.id, Supplier.name).where(Supplier.id.in_({one.supplier_id for one in lines}))
    names = {row.id: row.name for row in session().execute(wanted)}
    texts = [
        ", ".join((codes[one.model_id], str(one.quantity), names.get(one.supplier_id or 0, ""))).rstrip(", ")
        for one in lines
    ]
    return {"month": f"{detail.month:%Y-%m}", "note": detail.note, "lines": "\n".join(texts)}


# --- turning it into orders --------------------------------------------------------------------------


def make_orders(record_id: object) -> list[Record]:
    """Draft an order for every supplier of an approved plan (``BUY``); lines that have one are left alone.

    Raises:
        NotFound, NotAllowed. Refused: not approved, or nothing is left with a supplier.
    """
    with transaction():
        record = _locked(record_id)
        if record.state != values.APPROVED:
            raise Refused([Refusal("not_approved", _l("Only an approved plan is ordered from"))])
        by_supplier: dict[int, list[PlanLine]] = defaultdict(list)
        open_lines = [one for one in plan_lines(record.id) if one.quantity and one.order_id is None]
        for one in open_lines:
            if one.supplier_id is not None:
                by_supplier[one.supplier_id].append(one)
        if not by_supplier:
            raise Refused([Refusal("nothing", _l("No line is left that names a supplier"))])
        codes = goods.codes_of(record.unit_id, [one.model_id for one in open_lines])
        made = [_order(record, key, lines, codes) for key, lines in sorted(by_supplier.items())]
        data = {"orders": "、".join(one.number for one in made)}
        fact = append_fact(record, PLAN_FLOW.fact_kinds["ordered"], at=clock.now(), data=data)
        session().flush()
        tell_of_fact(record, fact)
        if all(one.order_id or not one.quantity for one in plan_lines(record.id)):
            perform(record.id, "finish", permitted=True)
        return made


def _order(record: Record, supplier_id: int, lines: Sequence[PlanLine], codes: Mapping[int, str]) -> Record:
    wanted = [{"product": codes[one.model_id], "quantity": one.quantity} for one in lines]
    raw = {"supplier": str(supplier_id), "note": record.number, "lines": wanted}
    made = orders.register(record.unit_id, raw)
    for one in lines:
        one.order_id = made.id
    session().flush()
    return made


def after_step(record: Record, transition: str) -> None:
    """The approval of a plan is the recurring work of its clause (R02-8)."""
    if record.type != PLAN or transition != "approve":
        return
    task = open_task(record.unit_id, CLAUSE, WHOLE_UNIT, local_day(record.unit_id))
    if task is not None:
        said = str(_("Purchase plan %(number)s", number=record.number))
        perform(task.id, "finish", {"result": said}, permitted=True)


def _search_text(record: Record, detail: Plan) -> str:
    return "\n".join(part for part in (record.number, record.title, detail.note[:500]) if part)


PLAN_TYPE = RecordType(
    PLAN, _l("Purchase plan of the store"), "CJ", Plan, PLAN_FLOW, _search_text, intake=FIELDS, register=register
)
