"""Takes warranty terms over from a spreadsheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import Choices, Importer, InvalidData, Plan, Row, SheetColumn, session
from plugins.products import services as products

from . import rights, term_table, values
from .models import Term

# Words of the files beside the labels of both languages; small letters.
_SCOPES = {
    "整机": values.SET,
    "成套": values.SET,
    "整套": values.SET,
    "set": values.SET,
    "complete set": values.SET,
}
_SCOPES |= {"关键件": values.KEY_PART, "关键部件": values.KEY_PART, "主要部件": values.KEY_PART}
_SCOPES |= {"key part": values.KEY_PART}
_STARTS = {
    "购买": values.PURCHASE,
    "购买日期": values.PURCHASE,
    "销售": values.PURCHASE,
    "purchase": values.PURCHASE,
}
_STARTS |= {"移交": values.HANDOVER, "交接": values.HANDOVER, "验收": values.HANDOVER, "hand-over": values.HANDOVER}
_STARTS |= {"交付": values.DELIVERY, "交货": values.DELIVERY, "送达": values.DELIVERY, "delivery": values.DELIVERY}
_ACTIONS = {"保修": values.REPAIR, "免费维修": values.REPAIR, "维修": values.REPAIR, "free repair": values.REPAIR}
_ACTIONS |= {"换货": values.EXCHANGE, "包换": values.EXCHANGE, "exchange": values.EXCHANGE}
_ACTIONS |= {"退货": values.RETURN, "包退": values.RETURN, "return": values.RETURN}
_CLASSES = {"自有": "own", "自产": "own", "本公司销售": "own", "own": "own", "代理": "agent", "代理商": "agent"}
_CLASSES |= {"合作方": "partner", "竞品": "competitor"}
_YES = {"", "1", "是", "启用", "在用", "yes", "true"}
_NO = {"0", "否", "停用", "no", "false"}
_DAYS = ("valid_from", "valid_to")


class TermImporter(Importer):
    """A unit's own terms (保修期规定): a row for each; the name says which is which."""

    key = "warranty-terms"
    title = _l("Warranty terms")
    permission = rights.TERMS
    columns = (
        SheetColumn("name", _l("Name"), ("名称", "规定名称", "保修期名称", "name"), required=True),
        SheetColumn(
            "months", _l("Term (months)"), ("月数", "保修月数", "期限(月)", "保修期(月)", "months"), required=True
        ),
        SheetColumn("scope", _l("What is covered"), ("保修范围", "范围", "scope"), help=_l("Empty: complete set")),
        SheetColumn("part", _l("Key part"), ("关键件", "关键部件", "部件", "part")),
        SheetColumn("start", _l("Counted from"), ("起算", "起算日", "start"), help=_l("Empty: purchase")),
        SheetColumn("action", _l("What is owed"), ("责任", "承担方式", "action"), help=_l("Empty: free repair")),
        SheetColumn("sold_class", _l("Product class"), ("销售方", "class")),
        SheetColumn("category", _l("Category"), ("类别", "产品分类", "category")),
        SheetColumn("model", _l("Model"), ("型号", "产品型号", "model")),
        SheetColumn("valid_from", _l("Valid from"), ("生效日期", "起始日期", "from")),
        SheetColumn("valid_to", _l("Valid until"), ("失效日期", "截止日期", "to")),
        SheetColumn("active", _l("In use"), ("启用", "在用", "active")),
        SheetColumn("note", _l("Note"), ("备注", "note")),
    )

    def check_rows(self, unit_id: int, rows: Sequence[Row], memory: dict[str, Any]) -> list[Plan]:
        known = memory.setdefault("known", {})
        if not known:
            known |= _known(unit_id)
        held = term_table.terms_named(unit_id, {row.values.get("name", "") for row in rows})
        return [_plan(row, held, known, memory.setdefault("seen", {})) for row in rows]

    def apply_rows(self, unit_id: int, plans: Sequence[Plan], memory: dict[str, Any]) -> None:
        rows = [plan.values for plan in plans if plan.action in ("create", "update")]
        held = term_table.terms_named(unit_id, {row["name"] for row in rows})
        for given in rows:
            term = held.get(given["name"]) or Term(unit_id=unit_id)
            for name, value in _from_json(given).items():
                setattr(term, name, value)
            session().add(term)
        session().flush()


def _known(unit_id: int) -> dict[str, Any]:
    """The unit's categories and models by their names, and the words of the choices."""
    return {
        "category": {str(label): key for key, label in products.category_choices(unit_id)},
        "model": {str(label).partition(" ")[0]: key for key, label in products.model_choices(unit_id)},
        "scope": _words(term_table.SCOPES, _SCOPES),
        "start": _words(values.STARTS, _STARTS),
        "action": _words(values.ACTIONS, _ACTIONS),
        "sold_class": _words(term_table.SOLD_CLASSES, _CLASSES),
    }


def _words(choices: Choices, more: Mapping[str, str]) -> dict[str, str]:
    codes = {code: code for code, _label in choices}
    return {**{str(label).lower(): code for code, label in choices}, **codes, **more}


def _plan(row: Row, held: Mapping[str, Term], known: Mapping[str, Any], seen: dict[str, int]) -> Plan:
    plan = Plan(row.line, "create", label=row.values.get("name", ""))
    try:
        given = _read(row.values, known)
    except InvalidData as bad:
        plan.errors = [(name, text) for name, texts in bad.errors.items() for text in texts]
        return plan
    plan.values, plan.label = _to_json(given), given["name"]
    line = seen.setdefault(given["name"], row.line)
    if line != row.line:
        plan.errors.append(("name", _l("Line %(line)d has this name already", line=line)))
    term = held.get(given["name"])
    if term is not None:
        same = all(getattr(term, name) == value for name, value in given.items())
        plan.action, plan.target = "same" if same else "update", term.id
    return plan


def _read(cells: Mapping[str, str], known: Mapping[str, Any]) -> dict[str, Any]:
    errors: dict[str, Any] = {}
    raw: dict[str, Any] = {name: cells.get(name, "") for name in ("name", "part", "note")}
    raw["months"] = cells.get("months", "").removesuffix(".0").removesuffix("个月").removesuffix("月")
    raw["scope"] = _word(cells, "scope", known, errors) or values.SET
    raw["start"] = _word(cells, "start", known, errors) or values.PURCHASE
    raw["action"] = _word(cells, "action", known, errors) or values.REPAIR
    raw["sold_class"] = _word(cells, "sold_class", known, errors)
    raw["category_id"] = _named(cells, "category", known, errors)
    raw["model_id"] = _named(cells, "model", known, errors)
    raw |= {name: _day(cells, name, errors) for name in _DAYS}
    raw["active"] = _yes(cells, errors)
    choices = {name: [(key, key) for key in known[name].values()] for name in ("category", "model")}
    try:
        given = term_table.read_term(term_table.term_fields(choices["category"], choices["model"]), raw)
    except InvalidData as bad:
        # The columns of the file are named otherwise than the inputs of the form.
        names = {"category_id": "category", "model_id": "model"}
        raise InvalidData({**{names.get(n, n): texts for n, texts in bad.errors.items()}, **errors}) from None
    if errors:
        raise InvalidData(errors)
    return given


def _word(cells: Mapping[str, str], name: str, known: Mapping[str, Any], errors: dict[str, Any]) -> str:
    text = cells.get(name, "").strip()
    if text and text.lower() not in known[name]:
        errors[name] = _l("“%(text)s” is not known here", text=text)
    return str(known[name].get(text.lower(), ""))


def _named(cells: Mapping[str, str], name: str, known: Mapping[str, Any], errors: dict[str, Any]) -> str:
    text = cells.get(name, "").strip()
    if text and text not in known[name]:
        errors[name] = _l("“%(text)s” is not in the product file", text=text)
    return str(known[name].get(text, ""))


def _day(cells: Mapping[str, str], name: str, errors: dict[str, Any]) -> str:
    try:
        day = products.fields.read_date(cells.get(name, ""))
    except ValueError:
        errors[name] = _l("This is not a date")
        return ""
    return day.isoformat() if day else ""


def _yes(cells: Mapping[str, str], errors: dict[str, Any]) -> str:
    text = cells.get("active", "").strip().lower()
    if text not in _YES | _NO:
        errors["active"] = _l("Write yes or no")
    return "1" if text in _YES else ""


def _to_json(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in given.items()}


def _from_json(given: Mapping[str, Any]) -> dict[str, Any]:
    days = {name: date.fromisoformat(given[name]) if given[name] else None for name in _DAYS}
    return {**given, **days}


def importers() -> list[Importer]:
    """Return them for the hook."""
    return [TermImporter()]
