"""Kinds of tools and the sets made of them. Services flush, never commit."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload

from core.sdk import (
    Choices,
    Field,
    InvalidData,
    Refusal,
    Refused,
    current_locale,
    draw,
    normalise,
    read_id,
    require,
    session,
)

from . import forms, parties, values
from .models import Kind, Kit, KitLine, Party, Stock, Tool
from .rights import KEEP

MOST_KINDS_IN_KIT, MOST_PIECES = 100, 999
_LINES = re.compile(r"[\n;；]+")
_LINE = re.compile(r"(?P<kind>.+?)(?:\s*[,，:：×*xX\t]\s*(?P<quantity>[0-9]{1,3}))?")
KIND_FIELDS = (
    Field("name", "text", _l("Name"), True, max_length=80),
    Field("name_en", "text", _l("Name in English"), max_length=80),
    Field("code", "text", _l("Code"), max_length=30, help=_l("Leave empty to draw one")),
    Field("category", "choice", _l("Category"), True, values.CATEGORIES, default=values.COMMON),
    Field("measure", "text", _l("Counted in"), max_length=10, help=_l("Such as piece, roll, pair")),
    Field(
        "price",
        "decimal",
        _l("Usual price (yuan)"),
        minimum=Decimal(0),
        maximum=forms.MOST_YUAN,
    ),
    Field(
        "life_months",
        "int",
        _l("Service life (months)"),
        minimum=Decimal(0),
        maximum=Decimal(forms.MOST_MONTHS),
        help=_l("Empty: as the clause says; 0: it has no end"),
    ),
    Field("needs_permit", "bool", _l("Needs a permit"), help=_l("Only who was trained on it gets one")),
    Field(
        "maintain_months",
        "int",
        _l("Maintained every (months)"),
        minimum=Decimal(0),
        maximum=Decimal(120),
        help=_l("Empty or 0: not planned"),
    ),
    Field(
        "calibrate_months",
        "int",
        _l("Calibrated every (months)"),
        minimum=Decimal(0),
        maximum=Decimal(120),
        help=_l("Empty or 0: not planned"),
    ),
    Field(
        "low_stock",
        "int",
        _l("At least in the stores"),
        minimum=Decimal(0),
        maximum=Decimal(99999),
        help=_l("Fewer are pointed out; empty or 0: never"),
    ),
    Field("note", "long", _l("Note"), max_length=2000),
)
KIT_FIELDS = (
    Field("name", "text", _l("Name"), True, max_length=80),
    Field("standard", "bool", _l("Standard set"), help=_l("What each technician gets one of")),
    Field(
        "lines",
        "long",
        _l("What belongs to it"),
        True,
        max_length=4000,
        help=_l("A kind a line, by name or number, then a comma and how many"),
    ),
)


def kind_label(kind: Kind) -> str:
    """Return the name of a kind in the language of whoever reads it."""
    return kind.name_en if kind.name_en and str(current_locale()).startswith("en") else kind.name


def kind_choices(unit_id: int, *, counted: bool | None = None) -> Choices:
    """Return the kinds in use as (id, name); ``counted``: only those kept by quantity (False: only numbered)."""
    wanted = select(Kind).where(Kind.unit_id == unit_id, Kind.active).order_by(Kind.name)
    if counted is not None:
        by_quantity = Kind.category == values.CONSUMABLE
        wanted = wanted.where(by_quantity if counted else ~by_quantity)
    return [(str(one.id), f"{kind_label(one)} ({one.code})") for one in session().scalars(wanted)]


def save_kind(unit_id: int, raw: Mapping[str, Any], row: Kind | None = None) -> Kind:
    """Add or change a kind of tool (``KEEP``); a new one without a number draws it (``K001``).

    Raises:
        NotAllowed, InvalidData: beside the field; a name or number that is taken; a kind that has numbered tools
        (or small parts) already does not become the other.
    """
    require(KEEP, unit_id)
    form = forms.Form(KIND_FIELDS, raw)
    given = dict(form.given)
    given["price"] = form.try_("price", forms.read_price)
    given["code"] = _kind_code(unit_id, form, row)
    for name in ("name_en", "measure", "note"):
        given[name] = given[name] or ""
    for name in ("maintain_months", "calibrate_months", "low_stock"):
        given[name] = given[name] or 0
    given["needs_permit"] = bool(given["needs_permit"])
    if given["name"] and read_id(given["name"]) is not None:
        form.bad("name", _l("A name of digits only would be taken for a number"))
    if given["name"]:
        given["name"] = " ".join(given["name"].split())
        other = find_kind(unit_id, given["name"])
        if other is not None and (row is None or other.id != row.id):
            form.bad("name", _l("%(number)s has this name already", number=other.code))
    if row is not None and given["category"] and _sort_changed(row, given["category"]):
        form.bad("category", _l("There are tools or quantities of this kind already; make another kind"))
    given["active"] = forms.read_active(form, row, raw)
    form.finish()
    if row is None:
        row = Kind(unit_id=unit_id, **{**given, "code": given["code"] or _draw_kind(unit_id)})
        session().add(row)
    else:
        forms.put(row, given)
    session().flush()
    return row


def _kind_code(unit_id: int, form: forms.Form, row: Kind | None) -> str:
    code = forms.tidy_code(form.given["code"])
    if not code:
        return row.code if row is not None else ""
    if read_id(code) is not None:
        form.bad("code", _l("A number needs a letter in it"))
    other = session().scalars(select(Kind).where(Kind.unit_id == unit_id, Kind.code == code)).first()
    if other is not None and (row is None or other.id != row.id):
        form.bad("code", _l("%(name)s has this number already", name=other.name))
    return code


def _sort_changed(row: Kind, category: str) -> bool:
    """Tell whether a kind would change between numbered tools and quantities while there are some."""
    if (row.category == values.CONSUMABLE) == (category == values.CONSUMABLE):
        return False
    numbered = session().scalars(select(Tool.id).where(Tool.kind_id == row.id).limit(1)).first()
    counted = (
        session().scalars(select(Stock.id).where(Stock.kind_id == row.id, Stock.quantity > 0).limit(1)).first()
    )
    return numbered is not None or counted is not None


def _draw_kind(unit_id: int) -> str:
    while True:
        code = f"K{draw(unit_id, 'tools_kind'):03d}"
        taken = select(Kind.id).where(Kind.unit_id == unit_id, Kind.code == code)
        if session().scalars(taken).first() is None:
            return code


def find_kind(unit_id: int, text: object) -> Kind | None:
    """Return the unit's kind of this id, number or name (any spelling of case and blanks), in use or not."""
    mine = select(Kind).where(Kind.unit_id == unit_id)
    key = read_id(text)
    if key is not None:
        return session().scalars(mine.where(Kind.id == key)).first()
    plain = func.lower(func.replace(Kind.name, " ", ""))
    english = func.lower(func.replace(Kind.name_en, " ", ""))
    wanted = forms.fold(text)
    if not wanted:
        return None
    named = or_(Kind.code == forms.tidy_code(text), plain == wanted, english == wanted)
    found = session().scalars(mine.where(named).order_by(Kind.id)).all()
    return next((one for one in found if one.code == forms.tidy_code(text)), found[0] if found else None)


def delete_kind(row: Kind) -> None:
    """Delete a kind that nothing refers to (``KEEP``); one in use can only be put out of use.

    Raises:
        NotAllowed. Refused: it is in use.
    """
    require(KEEP, row.unit_id)
    _delete(row, _l("This kind is in use; put it out of use instead"))


def _delete(row: Any, text: Any) -> None:
    work = session()
    try:
        with work.begin_nested():
            work.delete(row)
            work.flush()
    except IntegrityError:
        raise Refused([Refusal("tools.in_use", text)]) from None


# --- sets ----------------------------------------------------------------------------------------


def save_kit(unit_id: int, raw: Mapping[str, Any], row: Kit | None = None) -> Kit:
    """Add or change a set of tools (``KEEP``): ``KIT_FIELDS``, its lines as "kind, quantity" one a line.

    Raises:
        NotAllowed, InvalidData: beside the field: a name that is taken, an unknown kind, one kind twice.
    """
    require(KEEP, unit_id)
    form = forms.Form(KIT_FIELDS, raw)
    wanted = form.try_("lines", lambda text: read_lines(unit_id, text)) or {}
    name = " ".join((form.given["name"] or "").split())
    taken = select(Kit.id).where(Kit.unit_id == unit_id, Kit.name == name)
    other = session().scalars(taken).first()
    if name and other is not None and (row is None or other != row.id):
        form.bad("name", _l("There is a set of this name already"))
    active = forms.read_active(form, row, raw)
    form.finish()
    given = {"name": name, "standard": bool(form.given["standard"]), "active": active}
    if row is None:
        row = Kit(unit_id=unit_id, lines=[], **given)
        session().add(row)
    else:
        forms.put(row, given)
    session().flush()
    _set_lines(row, wanted)
    return row


def _set_lines(kit: Kit, wanted: Mapping[int, int]) -> None:
    session().refresh(kit, ["lines"])
    held = {one.kind_id: one for one in kit.lines}
    for kind_id, line in held.items():
        if kind_id not in wanted:
            kit.lines.remove(line)
    for kind_id, quantity in wanted.items():
        if kind_id in held:
            held[kind_id].quantity = quantity
        else:
            kit.lines.append(KitLine(unit_id=kit.unit_id, kind_id=kind_id, quantity=quantity))
    session().flush()


def read_lines(unit_id: int, text: str) -> dict[int, int]:
    """Return how many of which kind (id) a text of lines "kind, quantity" names; without a quantity one.

    Raises:
        InvalidData: under ``lines``: nothing, an unknown kind or one out of use, one twice, a number out of bounds.
    """
    found: dict[int, int] = {}
    for line in (one.strip() for one in _LINES.split(text or "")):
        if not line:
            continue
        match = _LINE.fullmatch(normalise(line))
        kind = find_kind(unit_id, match["kind"].strip(" ,，")) if match else None
        if match is None or kind is None or not kind.active:
            raise InvalidData({"lines": _l("No kind of tool is called “%(name)s”", name=line)})
        quantity = int(match["quantity"] or 1)
        if kind.id in found:
            raise InvalidData({"lines": _l("“%(name)s” is named twice", name=kind.name)})
        if not 1 <= quantity <= MOST_PIECES:
            raise InvalidData({"lines": _l("1 to %(count)d of a kind", count=MOST_PIECES)})
        found[kind.id] = quantity
    if not found:
        raise InvalidData({"lines": _l("Name at least one kind")})
    if len(found) > MOST_KINDS_IN_KIT:
        raise InvalidData({"lines": _l("At most %(count)d kinds", count=MOST_KINDS_IN_KIT)})
    return found


def lines_of(kit_ids: Sequence[int]) -> dict[int, list[KitLine]]:
    """Return the lines of sets with their kinds, by set."""
    found: dict[int, list[KitLine]] = {}
    wanted = select(KitLine).where(KitLine.kit_id.in_(kit_ids)).options(joinedload(KitLine.kind))
    for line in session().scalars(wanted.order_by(KitLine.id)):
        found.setdefault(line.kit_id, []).append(line)
    return found


def lines_text(lines: Sequence[KitLine]) -> str:
    """Return lines as they are entered."""
    return "\n".join(f"{one.kind.name}, {one.quantity}" for one in lines)


def delete_kit(row: Kit) -> None:
    """Delete a set with its lines (``KEEP``); what was issued stays as it is.

    Raises:
        NotAllowed. Refused: something refers to it.
    """
    require(KEEP, row.unit_id)
    session().refresh(row, ["lines"])
    _delete(row, _l("This set is in use; put it out of use instead"))


# --- a new unit ----------------------------------------------------------------------------------

# Name, English name, category, counted in, of the kinds of R35-1.
_STANDARD_KINDS = (
    ("电动螺丝刀", "Electric screwdriver", values.POWER, "把"),
    ("网线钳", "Cable plier", values.SPECIAL, "把"),
    ("测线仪", "Cable tester", values.TEST, "台"),
    ("背包", "Backpack", values.COMMON, "个"),
    ("鞋套", "Shoe covers", values.CONSUMABLE, "双"),
    ("胶布", "Tape", values.CONSUMABLE, "卷"),
    ("剥线钳", "Wire stripper", values.COMMON, "把"),
    ("测电笔", "Test pen", values.TEST, "支"),
    ("一字螺丝刀", "Flat screwdriver", values.COMMON, "把"),
    ("螺丝刀", "Screwdriver", values.COMMON, "把"),
    ("尖嘴钳", "Needle-nose plier", values.COMMON, "把"),
)
_FIRST_STORE, _FIRST_KIT = "工具房", "个人标配"


def set_up(unit_id: int) -> None:
    """Give a unit its first store and the standard kinds and set (R35-1); again, it changes nothing."""
    if not parties.stores(unit_id, active=False):
        session().add(Party(unit_id=unit_id, kind=values.STORE, name=_FIRST_STORE))
    if session().scalars(select(Kind.id).where(Kind.unit_id == unit_id).limit(1)).first() is not None:
        session().flush()
        return
    kinds = [
        Kind(
            unit_id=unit_id,
            code=_draw_kind(unit_id),
            name=name,
            name_en=english,
            category=category,
            measure=measure,
            needs_permit=category == values.POWER,
        )
        for name, english, category, measure in _STANDARD_KINDS
    ]
    session().add_all(kinds)
    session().flush()
    kit = Kit(unit_id=unit_id, name=_FIRST_KIT, standard=True)
    kit.lines = [KitLine(unit_id=unit_id, kind_id=one.id, quantity=1) for one in kinds]
    session().add(kit)
    session().flush()
