"""Taking over the register of suppliers and deliveries from spreadsheets. Importing twice changes nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    Importer,
    InvalidData,
    Plan,
    Record,
    Row,
    SheetColumn,
    clean,
    local_day,
    normalise,
    read_company_code,
    search,
    session,
)

from . import goods, receiving, receiving_flow, suppliers
from .models import Receiving, Supplier
from .rights import BUY, RECEIVE

CHUNK = 500
_DATE = re.compile(r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*日?(?:\s+0?0:00(?::00)?)?")
_PLAIN_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})")
_NOTHING = ("", "-", "—", "/", "无")


def read_day(text: str) -> date | None:
    """Read a date as office files carry it (2026-07-19, 2026/7/19, 2026年7月19日, 20260719); empty is None.

    Raises:
        InvalidData: under ``date``: anything else, or an impossible day.
    """
    plain = normalise(text).replace("／", "/").replace("．", ".")
    if plain in _NOTHING:
        return None
    match = _DATE.fullmatch(plain) or _PLAIN_DATE.fullmatch(plain)
    if match is not None:
        year, month, day = (int(part) for part in match.groups())
        try:
            if 1950 <= year <= 2200:
                return date(year, month, day)
        except ValueError:
            pass  # said below
    raise InvalidData({"date": _l("This is not a date")})


def _days(cells: Mapping[str, str], names: Sequence[str], errors: dict[str, Any]) -> dict[str, Any]:
    """Read the dates of a row; what is none goes into ``errors`` by column."""
    found: dict[str, Any] = {}
    for name in names:
        try:
            day = read_day(cells.get(name, ""))
        except InvalidData as bad:
            errors[name] = bad.texts()[0]
            continue
        found[name] = day.isoformat() if day else ""
    return found


class SupplierImporter(Importer):
    """The register of suppliers (供应商库): a row for each; those on file already are left alone."""

    key = "store-suppliers"
    title = _l("Register of suppliers")
    permission = BUY
    columns = (
        SheetColumn(
            "name",
            _l("Name of the supplier"),
            ("供应商", "供应商名称", "单位名称", "公司名称", "supplier"),
            required=True,
        ),
        SheetColumn("uscc", _l("Unified social credit code"), ("统一社会信用代码", "信用代码", "税号", "uscc")),
        SheetColumn("contact", _l("Contact person"), ("联系人", "contact")),
        SheetColumn("phone", _l("Phone"), ("电话", "联系电话", "手机", "phone")),
        SheetColumn("address", _l("Address"), ("地址", "address")),
        SheetColumn("supplies", _l("What it supplies"), ("供应品类", "经营范围", "主营", "供应商品", "supplies")),
        SheetColumn("licence", _l("Number of the licence"), ("许可证号", "经营许可证", "生产许可证", "licence")),
        SheetColumn("licence_until", _l("Licence valid until"), ("许可证有效期", "有效期至", "licence until")),
    )

    def check_rows(self, unit_id: int, rows: Sequence[Row], memory: dict[str, Any]) -> list[Plan]:
        seen: dict[str, int] = memory.setdefault("seen", {})
        known = _known_suppliers(unit_id, rows)
        return [_supplier_plan(row, known, seen) for row in rows]

    def apply_rows(self, unit_id: int, plans: Sequence[Plan], memory: dict[str, Any]) -> None:
        for plan in plans:
            suppliers.register(unit_id, plan.values, imported=True)

    def undone(
        self, unit_id: int, removed: Mapping[str, Sequence[int]], restored: Mapping[str, Sequence[int]]
    ) -> None:
        """Take what was removed out of the search index."""
        search.remove(suppliers.CODE, removed.get(Record.__tablename__, ()))


def _tidy(text: str) -> str:
    return " ".join(normalise(text).split())


def _known_suppliers(unit_id: int, rows: Sequence[Row]) -> set[str]:
    """Return the names and codes of these rows that are on file, a few statements a batch."""
    names = sorted({_tidy(row.values.get("name", "")) for row in rows} - {""})
    codes = sorted({re.sub(r"[\s-]", "", row.values.get("uscc", "")).upper() for row in rows} - {""})
    found: set[str] = set()
    for column, wanted in ((Supplier.name, names), (Supplier.uscc, codes)):
        for start in range(0, len(wanted), CHUNK):
            some = select(column).where(Supplier.unit_id == unit_id, column.in_(wanted[start : start + CHUNK]))
            found |= set(session().scalars(some))
    return found


def _supplier_plan(row: Row, known: set[str], seen: dict[str, int]) -> Plan:
    cells = {one.name: row.values.get(one.name, "") for one in SupplierImporter.columns}
    name = _tidy(cells["name"])
    plan = Plan(row.line, "create", label=name)
    errors: dict[str, Any] = {}
    given: dict[str, Any] = {**cells, "name": name, **_days(cells, ("licence_until",), errors)}
    try:
        clean(suppliers.FIELDS, {**given, "licence_until": given.get("licence_until", "")})
    except InvalidData as bad:
        errors |= {key: texts[0] for key, texts in bad.errors.items() if key not in errors}
    if cells["uscc"]:
        try:
            given["uscc"] = read_company_code(cells["uscc"])
        except InvalidData as bad:
            errors["uscc"] = bad.texts()[0]
    for key in ("name", "uscc"):
        text = given[key]
        first = seen.setdefault(f"{key}:{text}", row.line) if text else row.line
        if first != row.line:
            errors.setdefault(key, _l("Line %(line)d has this already", line=first))
    if name in known and not errors:
        plan.action, plan.warnings = "same", [_l("It is on file already; nothing is changed")]
    elif given["uscc"] and given["uscc"] in known:
        errors.setdefault("uscc", _l("A supplier with this code is on the register already"))
    plan.errors, plan.values = list(errors.items()), given
    return plan


class DeliveryImporter(Importer):
    """Deliveries (到货单): a row for each batch, rows of one supplier and note are one delivery.

    They come in as arrived, to be inspected. A note that was entered already is left alone.
    """

    key = "store-deliveries"
    title = _l("Deliveries to be inspected")
    permission = RECEIVE
    columns = (
        SheetColumn("supplier", _l("Supplier"), ("供应商", "供应商名称", "supplier"), required=True),
        SheetColumn(
            "delivery_note", _l("Number of the delivery note"), ("送货单号", "单号", "delivery note"), required=True
        ),
        SheetColumn(
            "product", _l("Product"), ("条码", "商品编码", "商品条码", "型号", "product", "barcode"), required=True
        ),
        SheetColumn(
            "expected", _l("Pieces on the delivery note"), ("数量", "件数", "送货数量", "quantity"), required=True
        ),
        SheetColumn("batch", _l("Batch number"), ("批号", "生产批次", "批次", "batch")),
        SheetColumn("made_on", _l("Produced on"), ("生产日期", "produced on")),
        SheetColumn("shelf_days", _l("Shelf life (days)"), ("保质期", "保质期（天）", "shelf life")),
        SheetColumn("best_before", _l("Printed best-before date"), ("到期日", "有效期至", "best before")),
    )

    def check_rows(self, unit_id: int, rows: Sequence[Row], memory: dict[str, Any]) -> list[Plan]:
        known = goods.find_models(unit_id, [row.values.get("product", "") for row in rows])
        held = _suppliers_of(unit_id, rows)
        notes = _notes_of(unit_id, set(held.values()))
        today = local_day(unit_id)
        return [_delivery_plan(row, known, held, notes, today) for row in rows]

    def apply_rows(self, unit_id: int, plans: Sequence[Plan], memory: dict[str, Any]) -> None:
        waiting: dict[str, list[Any]] = memory.setdefault("deliveries", {})
        for plan in plans:
            given = dict(plan.values)
            key = f"{given.pop('supplier')}:{given.pop('delivery_note')}"
            waiting.setdefault(key, []).append(given)

    def finish(self, unit_id: int, memory: dict[str, Any]) -> None:
        """Enter the deliveries: one for each supplier and note, at most a page of lines each."""
        for key, lines in memory.get("deliveries", {}).items():
            supplier, _colon, note = key.partition(":")
            for start in range(0, len(lines), receiving.MOST_LINES):
                part = "" if start == 0 else f" ({start // receiving.MOST_LINES + 1})"
                some = lines[start : start + receiving.MOST_LINES]
                raw = {"supplier": supplier, "delivery_note": f"{note}{part}", "lines": some, "arrived": "1"}
                receiving.register(unit_id, raw)

    def undone(
        self, unit_id: int, removed: Mapping[str, Sequence[int]], restored: Mapping[str, Sequence[int]]
    ) -> None:
        """Take what was removed out of the search index."""
        search.remove(receiving_flow.CODE, removed.get(Record.__tablename__, ()))


def _suppliers_of(unit_id: int, rows: Sequence[Row]) -> dict[str, int]:
    names = sorted({_tidy(row.values.get("supplier", "")) for row in rows} - {""})
    found: dict[str, int] = {}
    for start in range(0, len(names), CHUNK):
        some = select(Supplier.name, Supplier.id).where(
            Supplier.unit_id == unit_id, Supplier.name.in_(names[start : start + CHUNK])
        )
        found |= {row.name: row.id for row in session().execute(some)}
    return found


def _notes_of(unit_id: int, supplier_ids: set[int]) -> set[tuple[int, str]]:
    """Return the delivery notes of suppliers that were entered already."""
    wanted = select(Receiving.supplier_id, Receiving.delivery_note).where(
        Receiving.unit_id == unit_id, Receiving.supplier_id.in_(supplier_ids), Receiving.void.is_(False)
    )
    return {(row.supplier_id, row.delivery_note) for row in session().execute(wanted) if row.delivery_note}


def _delivery_plan(
    row: Row, known: Mapping[str, int], held: Mapping[str, int], notes: set[tuple[int, str]], today: date
) -> Plan:
    cells = {one.name: row.values.get(one.name, "") for one in DeliveryImporter.columns}
    note, supplier = _tidy(cells["delivery_note"])[:60], _tidy(cells["supplier"])
    plan = Plan(row.line, "create", label=f"{note} {cells['product']}")
    errors: dict[str, Any] = {}
    for name in ("delivery_note", "supplier"):
        if not _tidy(cells[name]):
            errors[name] = _l("Please fill this in")
    supplier_id = held.get(supplier)
    if supplier and supplier_id is None:
        errors["supplier"] = _l("There is no supplier “%(name)s” on the register", name=supplier)
    if supplier_id is not None and (supplier_id, note) in notes:
        plan.action, plan.warnings = "same", [_l("This delivery note was entered already; nothing is changed")]
        return plan
    given: dict[str, Any] = {
        **{name: cells[name] for name in ("product", "expected", "batch")},
        "shelf_days": re.sub(r"\s*(天|日|days?)$", "", cells["shelf_days"], flags=re.I),
        **_days(cells, ("made_on", "best_before"), errors),
    }
    try:
        receiving.read_line(given, known, today)
    except InvalidData as bad:
        errors |= {key: texts[0] for key, texts in bad.errors.items() if key not in errors}
    plan.errors = list(errors.items())
    plan.values = {**given, "supplier": str(supplier_id or ""), "delivery_note": note}
    return plan


def importers() -> list[Importer]:
    """Return what can be taken over from spreadsheets."""
    return [SupplierImporter(), DeliveryImporter()]
