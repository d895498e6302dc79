"""API: product sheets, suppliers and their assessments, releases, plans, orders, deliveries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import ApiResource, Field, InvalidData, Record, session
from plugins.products import services as products

from . import goods, inspecting, orders, plans, receiving, releases, suppliers
from .models import (
    Assessment,
    OrderLine,
    Paper,
    Plan,
    PlanLine,
    Product,
    PurchaseOrder,
    Receiving,
    ReceivingLine,
    Release,
    Supplier,
)
from .rights import BUY, QUALITY, RECEIVE, VIEW

_HEAD = {"id": "integer", "number": "string", "state": "string"}
PRODUCT_FIELDS = (
    Field("product", "text", _l("Product"), True, max_length=80, help=_l("Model code")),
    *(Field(one.name, "text", one.label) if one.name == "supplier_id" else one for one in goods.FIELDS),
)


def resources() -> list[ApiResource]:
    """Return the collections."""
    return [_products(), _suppliers(), _assessments(), _releases(), _plans(), _orders(), _deliveries()]


def _heads(rows: Sequence[Any]) -> dict[int, dict[str, Any]]:
    """Return id, number and state of records by id, in one select for a page."""
    wanted = select(Record.id, Record.number, Record.state).where(Record.id.in_([row.id for row in rows]))
    return {row.id: {"id": row.id, "number": row.number, "state": row.state} for row in session().execute(wanted)}


def _by(column: Any, model: Any, ids: Iterable[int]) -> dict[int, list[Any]]:
    """Return rows of lines by what they belong to, in one select."""
    found: dict[int, list[Any]] = defaultdict(list)
    for one in session().scalars(select(model).where(column.in_(list(ids))).order_by(model.id)):
        found[getattr(one, column.key)].append(one)
    return found


def _codes(ids: Iterable[int]) -> dict[int, str]:
    model = products.Model
    rows = session().execute(select(model.id, model.code).where(model.id.in_(set(ids))))
    return {row.id: row.code for row in rows}


def _created(
    model: Any, register: Callable[[int, Mapping[str, Any]], Record]
) -> Callable[[int, Mapping[str, Any]], Any]:
    return lambda unit_id, given: session().get_one(model, register(unit_id, given).id)


# --- products ------------------------------------------------------------------------------------


def _products() -> ApiResource:
    return ApiResource(
        path="products",
        title=_l("Products of the store"),
        model=Product,
        permission=VIEW,
        write_permission=BUY,
        read={
            "id": "integer",
            "product": "string",
            "barcode": "string",
            "measure": "string",
            "shelf_days": "integer",
            "dated": "boolean",
            "reorder_at": "integer",
            "reorder_to": "integer",
            "supplier": "integer",
            "active": "boolean",
        },
        show=_show_products,
        filters={"barcode": Product.barcode},
        fields=PRODUCT_FIELDS,
        create=_create_product,
        change=_change_product,
    )


def _show_products(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    codes = _codes(row.model_id for row in rows)
    plain = ("id", "barcode", "measure", "shelf_days", "dated", "reorder_at", "reorder_to", "active")
    return [
        {
            **{name: getattr(row, name) for name in plain},
            "product": codes[row.model_id],
            "supplier": row.supplier_id,
        }
        for row in rows
    ]


def _create_product(unit_id: int, given: Mapping[str, Any]) -> Product:
    model_id = goods.find_models(unit_id, [given.get("product") or ""]).get(given.get("product") or "")
    return goods.save(unit_id, {**given, "model_id": str(model_id or "")})


def _change_product(row: Product, given: Mapping[str, Any]) -> Product:
    return goods.save(row.unit_id, {**goods.form_values(row), **given}, row)


# --- suppliers -----------------------------------------------------------------------------------


def _suppliers() -> ApiResource:
    plain = {one.name: "date" if one.kind == "date" else "string" for one in suppliers.FIELDS}
    return ApiResource(
        path="suppliers",
        title=_l("Suppliers"),
        model=Supplier,
        permission=VIEW,
        write_permission=BUY,
        read={**_HEAD, **plain, "qualified_until": "date", "score": "string"},
        show=lambda rows: _with_heads(rows, (*plain, "qualified_until", "score")),
        filters={"name": Supplier.name, "uscc": Supplier.uscc},
        fields=suppliers.FIELDS,
        create=_created(Supplier, suppliers.register),
        change=_change_supplier,
    )


def _with_heads(rows: Sequence[Any], names: Sequence[str]) -> list[Mapping[str, Any]]:
    heads = _heads(rows)
    return [{**heads[row.id], **{name: getattr(row, name) for name in names}} for row in rows]


def _change_supplier(row: Supplier, given: Mapping[str, Any]) -> Supplier:
    suppliers.change(row.id, given)
    return row


def _assessments() -> ApiResource:
    plain = ("id", "on", "quality", "delivery", "price", "service", "reputation", "score", "verdict", "valid_until")
    kinds = {"on": "date", "valid_until": "date", "score": "string", "verdict": "string"}
    return ApiResource(
        path="assessments",
        title=_l("Assessments of suppliers"),
        model=Assessment,
        permission=VIEW,
        read={"supplier": "integer", **{name: kinds.get(name, "integer") for name in plain}, "note": "string"},
        show=lambda rows: [
            {"supplier": row.supplier_id, **{name: getattr(row, name) for name in (*plain, "note")}} for row in rows
        ],
        filters={"supplier": Assessment.supplier_id},
    )


# --- releases ------------------------------------------------------------------------------------


def _releases() -> ApiResource:
    return ApiResource(
        path="releases",
        title=_l("Releases for sale"),
        model=Release,
        permission=VIEW,
        write_permission=QUALITY,
        read={**_HEAD, "product": "string", "released_at": "moment", "ended_at": "moment", "papers": "objects"},
        show=_show_releases,
        fields=releases.FIELDS,
        create=_created(Release, releases.register),
    )


def _show_releases(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    heads, codes = _heads(rows), _codes(row.model_id for row in rows)
    papers = _by(Paper.release_id, Paper, [row.id for row in rows])
    names = ("id", "kind", "number", "issuer", "valid_from", "valid_until", "struck_at")
    return [
        {
            **heads[row.id],
            "product": codes[row.model_id],
            "released_at": row.released_at,
            "ended_at": row.ended_at,
            "papers": [{name: getattr(one, name) for name in names} for one in papers[row.id]],
        }
        for row in rows
    ]


# --- plans, orders ---------------------------------------------------------------------------------


def _plans() -> ApiResource:
    return ApiResource(
        path="plans",
        title=_l("Purchase plans"),
        model=Plan,
        permission=VIEW,
        write_permission=BUY,
        read={**_HEAD, "month": "date", "note": "string", "lines": "objects"},
        show=_show_plans,
        filters={"month": Plan.month},
        fields=plans.FIELDS,
        create=_created(Plan, plans.register),
        change=_changed(plans.change),
    )


def _changed(change: Callable[[object, Mapping[str, Any]], Record]) -> Callable[[Any, Mapping[str, Any]], Any]:
    def run(row: Any, given: Mapping[str, Any]) -> Any:
        change(row.id, given)
        return row

    return run


def _show_plans(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    heads, lines = _heads(rows), _by(PlanLine.plan_id, PlanLine, [row.id for row in rows])
    codes = _codes(one.model_id for listed in lines.values() for one in listed)
    names = ("id", "in_stock", "on_order", "sold", "proposed", "quantity")
    return [
        {
            **heads[row.id],
            "month": row.month,
            "note": row.note,
            "lines": [
                {
                    **{name: getattr(one, name) for name in names},
                    "product": codes[one.model_id],
                    "supplier": one.supplier_id,
                    "order": one.order_id,
                }
                for one in lines[row.id]
            ],
        }
        for row in rows
    ]


def _orders() -> ApiResource:
    return ApiResource(
        path="orders",
        title=_l("Purchase orders"),
        model=PurchaseOrder,
        permission=VIEW,
        write_permission=BUY,
        read={
            **_HEAD,
            "supplier": "integer",
            "expected_on": "date",
            "standard_met": "boolean",
            "note": "string",
            "lines": "objects",
        },
        show=_show_orders,
        filters={"supplier": PurchaseOrder.supplier_id},
        fields=orders.FIELDS,
        create=_created(PurchaseOrder, orders.register),
        change=_changed(orders.change),
    )


def _show_orders(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    heads, lines = _heads(rows), _by(OrderLine.order_id, OrderLine, [row.id for row in rows])
    codes = _codes(one.model_id for listed in lines.values() for one in listed)
    names = ("id", "quantity", "price", "received")
    return [
        {
            **heads[row.id],
            "supplier": row.supplier_id,
            **{name: getattr(row, name) for name in ("expected_on", "standard_met", "note")},
            "lines": [
                {**{name: getattr(one, name) for name in names}, "product": codes[one.model_id]}
                for one in lines[row.id]
            ],
        }
        for row in rows
    ]


# --- deliveries ----------------------------------------------------------------------------------


def _deliveries() -> ApiResource:
    return ApiResource(
        path="deliveries",
        title=_l("Deliveries"),
        model=Receiving,
        permission=VIEW,
        write_permission=RECEIVE,
        read={
            **_HEAD,
            "supplier": "integer",
            "order": "integer",
            "delivery_note": "string",
            "expected_on": "date",
            "arrived_at": "moment",
            "checked_at": "moment",
            "lines": "objects",
        },
        show=_show_deliveries,
        filters={"supplier": Receiving.supplier_id, "order": Receiving.order_id},
        fields=(*receiving.FIELDS, RESULTS),
        create=_created(Receiving, receiving.register),
        change=_change_delivery,
    )


RESULTS = Field(
    "results",
    "long",
    _l("What was counted"),
    max_length=40_000,
    help=_l("A list: id of the line, counted, accepted, refused, fault, batch and its dates"),
)


def _change_delivery(row: Receiving, given: Mapping[str, Any]) -> Receiving:
    results = given.get("results")
    rest = {name: value for name, value in given.items() if name != "results"}
    if rest:
        receiving.change(row.id, rest)
    if results is not None:
        if not isinstance(results, list | tuple) or not all(isinstance(one, Mapping) for one in results):
            raise InvalidData({"results": _l("A list of lines is expected")})
        inspecting.inspect(row.id, results)
    return row


def _show_deliveries(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    heads, lines = _heads(rows), _by(ReceivingLine.receiving_id, ReceivingLine, [row.id for row in rows])
    codes = _codes(one.model_id for listed in lines.values() for one in listed)
    plain = ("delivery_note", "expected_on", "arrived_at", "checked_at")
    return [
        {
            **heads[row.id],
            "supplier": row.supplier_id,
            "order": row.order_id,
            **{name: getattr(row, name) for name in plain},
            "lines": [_line(one, codes) for one in lines[row.id]],
        }
        for row in rows
    ]


def _line(one: ReceivingLine, codes: Mapping[int, str]) -> dict[str, Any]:
    names = ("id", "expected", "counted", "accepted", "refused", "fault")
    dates = ("batch", "made_on", "shelf_days", "best_before")
    found = {name: getattr(one, name) for name in (*names, *dates)}
    return {**found, "product": codes[one.model_id], "lot": one.lot_id}
