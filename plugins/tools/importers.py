"""Taking over an existing list of tools. Whoever it names as a holder is asked: is this with you?"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    Importer,
    InvalidData,
    Plan,
    Record,
    Row,
    SheetColumn,
    accounts,
    clean,
    holds,
    local_day,
    normalise,
    read_id,
    search,
    session,
)

from . import file, flow, forms, handovers, holders, kinds, parties, values
from .models import Kind, Party, Place, Tool
from .rights import KEEP

CHUNK = 500
MOST_ON_ONE = 200  # lines of one question: a holder reads them on a phone
NEW_KIND = "new_kinds"
_MONEY = re.compile(r"[¥￥$元圆,，\s]|RMB|CNY|人民币", re.I)
_DATE = re.compile(r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*日?(?:\s+0?0:00(?::00)?)?")
_PLAIN_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})")
# 李师傅（lishifu）
_NAMED = re.compile(r"(.+?)[(（\[【]\s*(.+?)\s*[)）\]】]")
# Said of a tool that nobody has.
_IN_STORE = frozenset({"", "-", "—", "/", "无", "库存", "在库", "仓库", "none", "instore", "store"})
_FIELDS = tuple(one for one in file.FIELDS if one.name not in ("price", "bought_on", "calibrate_on", "maintainer"))


class ToolImporter(Importer):
    """The existing list of tools (工具清单): a row for each. They are in use, so they count as accepted.

    A tool with a holder stays in its store until that person says that it is with them: one question for each
    holder. A kind that is not on file is made; the preview says which.
    """

    key = "tools-list"
    title = _l("Existing list of tools")
    permission = KEEP
    note_labels = {NEW_KIND: _l("New kinds of tools")}
    columns = (
        SheetColumn(
            "code",
            _l("Tool number"),
            ("工具编号", "编号", "资产编号", "工具号", "number", "tool number"),
            help=_l("Leave empty to draw one"),
        ),
        SheetColumn(
            "kind",
            _l("Kind of tool"),
            ("工具种类", "种类", "类别", "工具类别", "分类", "kind", "type"),
            required=True,
        ),
        SheetColumn("name", _l("Name"), ("名称", "工具名称", "品名", "name")),
        SheetColumn("model", _l("Brand and model"), ("型号", "品牌型号", "规格型号", "规格", "model")),
        SheetColumn("serial", _l("Serial number"), ("序列号", "出厂编号", "机身号", "serial")),
        SheetColumn("price", _l("Price with tax (yuan)"), ("单价", "价格", "原价", "购入价", "金额", "price")),
        SheetColumn("bought_on", _l("Bought on"), ("购买日期", "购入日期", "采购日期", "入库日期", "bought on")),
        SheetColumn("supplier", _l("Supplier"), ("供应商", "采购渠道", "supplier")),
        SheetColumn("store", _l("Tool store"), ("工具房", "仓库", "库房", "store")),
        SheetColumn("place", _l("Place"), ("存放位置", "位置", "货位", "架位", "place", "shelf")),
        SheetColumn(
            "holder",
            _l("Held by"),
            ("领用人", "持有人", "使用人", "保管人", "责任人", "借用人", "holder"),
            help=_l("Name or user name; they are asked to confirm. Empty: in the store"),
        ),
        SheetColumn("life_months", _l("Service life (months)"), ("使用年限（月）", "使用寿命", "life")),
        SheetColumn("calibrate_on", _l("Calibrated until"), ("校准有效期", "检定有效期", "calibrated until")),
        SheetColumn("note", _l("Note"), ("备注", "说明", "note")),
    )

    def check_rows(self, unit_id: int, rows: Sequence[Row], memory: dict[str, Any]) -> list[Plan]:
        book = memory.get("book") or memory.setdefault("book", _read_book(unit_id))
        book.codes = _on_file(unit_id, Tool.code, [forms.tidy_code(row.values.get("code")) for row in rows])
        book.serials = _on_file(unit_id, Tool.serial, [forms.tidy_code(row.values.get("serial")) for row in rows])
        notes = memory.setdefault("notes", {})
        return [_plan(row, book, notes) for row in rows]

    def apply_rows(self, unit_id: int, plans: Sequence[Plan], memory: dict[str, Any]) -> None:
        opening: dict[tuple[int, str], list[int]] = memory.setdefault("opening", {})
        for plan in plans:
            given = dict(plan.values)
            holder, store_id = given.pop("holder"), given["store"]
            if kinds.find_kind(unit_id, given["kind"]) is None:
                kinds.save_kind(unit_id, {"name": given["kind"], "category": values.COMMON})
            record = file.register_accepted(unit_id, given, str(_("Taken over from the existing list")))
            if holder:
                opening.setdefault((int(store_id), holder), []).append(record.id)

    def finish(self, unit_id: int, memory: dict[str, Any]) -> None:
        """Ask every holder once whether the tools are with them; until they say so, the store has them."""
        for (store_id, holder), tools in memory.get("opening", {}).items():
            sort, _colon, key = holder.partition(":")
            taker_id = parties.person(unit_id, int(key)).id if sort == values.PERSON else int(key)
            for start in range(0, len(tools), MOST_ON_ONE):
                raw = {
                    "kind": values.OPENING,
                    "giver_id": store_id,
                    "taker_id": taker_id,
                    "tools": tools[start : start + MOST_ON_ONE],
                    "purpose": str(_("Taken over from the existing list")),
                }
                handovers.offer(unit_id, raw)

    def undone(
        self, unit_id: int, removed: Mapping[str, Sequence[int]], restored: Mapping[str, Sequence[int]]
    ) -> None:
        """Take what was removed out of the search index."""
        for code in (flow.CODE, handovers.CODE):
            search.remove(code, removed.get(Record.__tablename__, ()))


# --- what is known -------------------------------------------------------------------------------


@dataclass
class _Book:
    """What the unit has, in plain values, for judging rows without asking for each."""

    today: date
    kinds: dict[str, tuple[str, str, bool]]  # name or number, folded -> name, category, in use
    stores: dict[str, int]
    places: dict[int, dict[str, bool]]  # store -> name, folded -> in use
    people: dict[str, set[str]]  # word -> "person:ID" or "department:ID"
    codes: dict[str, list[int]] = field(default_factory=dict)
    serials: dict[str, list[int]] = field(default_factory=dict)
    kind_ids: dict[str, int] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)  # "code:X" -> line
    made: set[str] = field(default_factory=set)
    placed: bool = False  # R32-3.1 holds: every tool has a place where its store has places


def _read_book(unit_id: int) -> _Book:
    kinds: dict[str, tuple[str, str, bool]] = {}
    ids: dict[str, int] = {}
    for kind in session().scalars(select(Kind).where(Kind.unit_id == unit_id)):
        for word in (kind.name_en, kind.name, kind.code):
            if word:
                kinds[forms.fold(word)] = (kind.name, kind.category, kind.active)
                ids[forms.fold(word)] = kind.id
    stores = {forms.fold(one.name): one.id for one in parties.stores(unit_id)}
    places: dict[int, dict[str, bool]] = {}
    for row in session().execute(select(Place.store_id, Place.name, Place.active).where(Place.unit_id == unit_id)):
        places.setdefault(row.store_id, {})[forms.fold(row.name)] = row.active
    people: dict[str, set[str]] = {}
    for user in accounts.staff_of(unit_id):
        for word in {forms.fold(user.name), forms.fold(user.username)}:
            people.setdefault(word, set()).add(f"{values.PERSON}:{user.id}")
    departments = select(Party.id, Party.name).where(
        Party.unit_id == unit_id, Party.kind == values.DEPARTMENT, Party.active
    )
    for one in session().execute(departments):
        people.setdefault(forms.fold(one.name), set()).add(f"{values.DEPARTMENT}:{one.id}")
    return _Book(
        local_day(unit_id), kinds, stores, places, people, kind_ids=ids, placed=holds(unit_id, holders.KEPT_CLAUSE)
    )


def _on_file(unit_id: int, column: Any, wanted: Iterable[str]) -> dict[str, list[int]]:
    """Return the kinds of the tools that have these numbers already, by number."""
    texts = sorted({one for one in wanted if one})
    found: dict[str, list[int]] = {}
    for start in range(0, len(texts), CHUNK):
        some = select(column, Tool.kind_id).where(Tool.unit_id == unit_id, column.in_(texts[start : start + CHUNK]))
        for text, kind_id in session().execute(some):
            found.setdefault(text, []).append(kind_id)
    return found


# --- judging a row -------------------------------------------------------------------------------


def _plan(row: Row, book: _Book, notes: dict[str, int]) -> Plan:
    cells = {one.name: row.values.get(one.name, "") for one in ToolImporter.columns}
    code = forms.tidy_code(cells["code"])
    plan = Plan(row.line, "create", label=code or cells["name"] or cells["kind"])
    errors: dict[str, Any] = {}
    given = _read(cells, book, errors)
    _check_number("code", code, row.line, (), book.seen, errors)
    kind, new = _kind(cells["kind"], book, errors)
    serial = forms.tidy_code(cells["serial"])
    if serial and kind:
        known = [one for one in book.serials.get(serial, ()) if one == book.kind_ids.get(forms.fold(kind))]
        _check_number("serial", f"{forms.fold(kind)} {serial}", row.line, known, book.seen, errors)
    store_id = _store(cells, book, errors)
    holder = _holder(cells["holder"], book, errors)
    if code in book.codes and not errors.get("code"):
        if book.kind_ids.get(forms.fold(kind)) in book.codes[code]:
            plan.action, plan.warnings = "same", [_l("It is on file already; nothing is changed")]
            return plan
        errors["code"] = _l("A tool of another kind has this number already")
    plan.errors = list(errors.items())
    if errors:
        return plan
    plan.values = {**given, "code": code, "kind": kind, "store": str(store_id), "holder": holder}
    if new and forms.fold(kind) not in book.made:
        book.made.add(forms.fold(kind))
        notes[NEW_KIND] = notes.get(NEW_KIND, 0) + 1
    if new:
        plan.warnings = [_l("The kind “%(name)s” is not on file; it will be made", name=kind)]
    return plan


def _check_number(
    name: str,
    text: str,
    line: int,
    known: Collection[Any],
    seen: dict[str, int],
    errors: dict[str, Any],
) -> None:
    if not text:
        return
    first = seen.setdefault(f"{name}:{text}", line)
    if first != line:
        errors.setdefault(name, _l("Line %(line)d has this number already", line=first))
    elif known:
        errors.setdefault(name, _l("A tool of this kind has this serial number already"))


def _read(cells: Mapping[str, str], book: _Book, errors: dict[str, Any]) -> dict[str, Any]:
    """Read what a row says of the tool itself; what is wrong goes into ``errors`` by column."""
    raw: dict[str, Any] = {name: cells.get(name, "") for name in _PLAIN}
    try:
        given = clean(_FIELDS, {**raw, "kind": cells["kind"] or "-"})
    except InvalidData as bad:
        errors |= {name: texts[0] for name, texts in bad.errors.items()}
        given = {}
    found = {name: str(given.get(name) or "") for name in _PLAIN}
    for name, read in (("price", read_price), ("bought_on", read_date), ("calibrate_on", read_date)):
        try:
            value = read(cells[name])
        except InvalidData as bad:
            errors[name] = bad.texts()[0]
            continue
        found[name] = "" if value is None else str(value)
    if "bought_on" not in errors and found["bought_on"] > book.today.isoformat():
        errors["bought_on"] = _l("This date lies in the future")
    return found


_PLAIN = ("name", "model", "serial", "supplier", "place", "life_months", "note")


def _kind(text: str, book: _Book, errors: dict[str, Any]) -> tuple[str, bool]:
    """Return the kind's name as it is on file, or as it will be made (True)."""
    name = " ".join(normalise(text).split())
    if not name:
        errors.setdefault("kind", _l("Please fill this in"))
        return "", False
    known = book.kinds.get(forms.fold(name))
    if known is None:
        if read_id(name) is not None:
            errors.setdefault("kind", _l("A name of digits only would be taken for a number"))
        return name, True
    if not known[2]:
        errors.setdefault("kind", _l("This kind of tool is out of use"))
    elif known[1] == values.CONSUMABLE:
        errors.setdefault("kind", _l("Of this kind quantities are kept, no numbered tools"))
    return known[0], False


def _store(cells: Mapping[str, str], book: _Book, errors: dict[str, Any]) -> int:
    wanted = forms.fold(cells["store"])
    if not wanted and len(book.stores) == 1:
        found = next(iter(book.stores.values()))
    else:
        found = book.stores.get(wanted, 0)
    if not found:
        text = _l("There is no such store in use here") if wanted else _l("Which store?")
        errors.setdefault("store", text)
        return 0
    place = forms.fold(cells["place"])
    if not place and book.placed and any(book.places.get(found, {}).values()):
        errors.setdefault("place", holders.NO_PLACE)
    elif place and not book.places.get(found, {}).get(place):
        errors.setdefault("place", _l("The store has no place of this name in use"))
    return found


def _holder(text: str, book: _Book, errors: dict[str, Any]) -> str:
    """Return who is to be asked, as "person:ID" or "department:ID"; '' for a tool in the store."""
    wanted = forms.fold(text)
    if wanted in _IN_STORE or wanted in book.stores:
        return ""
    found = book.people.get(wanted, set())
    named = _NAMED.fullmatch(normalise(text))
    if not found and named is not None:
        first, second = (book.people.get(forms.fold(part), set()) for part in named.groups())
        found = first & second or second or first
    if len(found) > 1:
        errors.setdefault("holder", _l("Several people here have this name; give the user name"))
    elif not found:
        errors.setdefault("holder", _l("Nobody of this name works in the unit"))
    return next(iter(found)) if len(found) == 1 else ""


def read_price(text: str) -> Decimal | None:
    """Read an amount as office files carry it (¥1,200.50, 1200元, １２００); empty is None.

    Raises:
        InvalidData: under ``price``: no number, negative, too large, or with parts of a cent.
    """
    plain = _MONEY.sub("", normalise(text)).replace("．", ".")
    if plain in ("", "-", "—", "/"):
        return None
    try:
        found = Decimal(plain)
    except InvalidOperation:
        raise InvalidData({"price": _l("Please enter a number")}) from None
    if not found.is_finite() or found < 0 or found > forms.MOST_YUAN:
        raise InvalidData({"price": _l("From 0 to %(most)s", most=forms.MOST_YUAN)})
    if found != round(found, 2):
        raise InvalidData({"price": _l("At most %(count)d digits after the point", count=2)})
    return found


def read_date(text: str) -> date | None:
    """Read a date as office files carry it (2023-07-19, 2023/7/19, 2023.7.19, 2023年7月19日, 20230719).

    Empty is None.

    Raises:
        InvalidData: under ``date``: anything else, an impossible day, or a year outside 1950 to 2200.
    """
    plain = normalise(text).replace("／", "/").replace("．", ".")
    if plain in ("", "-", "—", "/"):
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


def importers() -> list[Importer]:
    """Return what can be taken over from spreadsheets."""
    return [ToolImporter()]
