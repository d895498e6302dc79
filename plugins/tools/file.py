"""The file: kinds, sets, stores, places, and tools as they are registered. Services flush, never commit."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from flask_babel import lazy_gettext as _l
from sqlalchemy import func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload

from core.sdk import (
    Choices,
    Field,
    InvalidData,
    Record,
    RecordType,
    Refusal,
    Refused,
    accounts,
    add_months,
    append_fact,
    clean,
    clock,
    create_record,
    current_locale,
    detail_of,
    draw,
    effective,
    fetch,
    label_uid,
    local_day,
    lock,
    money_math,
    normalise,
    perform,
    publish,
    read_id,
    require,
    session,
    tell_of_fact,
    transaction,
)

from . import custody, flow, parties, values
from .models import Handover, HandoverLine, Kind, Kit, KitLine, Party, Place, Stock, Tool
from .rights import KEEP

FIXED_ASSET_CLAUSE = "R15-16"
MOST_YUAN, MOST_MONTHS, MOST_PIECES = Decimal("99999999.99"), 1200, 999
MOST_KINDS_IN_KIT = 100
_BLANKS = re.compile(r"\s+")
_LINES = re.compile(r"[\n;；]+")
_LINE = re.compile(r"(?P<kind>.+?)(?:\s*[,，:：×*xX\t]\s*(?P<quantity>[0-9]{1,3}))?")
# A keyboard in Chinese mode turns what a scan gun types into these.
_AS_SCANNED = str.maketrans("：／。、？＝＆～＿＃", ":/./?=&~_#")

ACTIVE = Field("active", "bool", _l("In use"), default=True)
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
        maximum=MOST_YUAN,
    ),
    Field(
        "life_months",
        "int",
        _l("Service life (months)"),
        minimum=Decimal(0),
        maximum=Decimal(MOST_MONTHS),
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
STORE_FIELDS = (
    Field("name", "text", _l("Name"), True, max_length=120),
    Field("user_id", "text", _l("Keeper"), True, max_length=60),
    Field("contact", "text", _l("Contact"), max_length=120),
)
DEPARTMENT_FIELDS = (
    Field("name", "text", _l("Name"), True, max_length=120),
    Field(
        "user_id",
        "text",
        _l("Signs for it"),
        max_length=60,
        help=_l("Leave empty if nobody there signs in here: they sign on paper"),
    ),
    Field("contact", "text", _l("Contact"), max_length=120),
)
REPAIRER_FIELDS = (
    Field("name", "text", _l("Name"), True, max_length=120),
    Field("contact", "text", _l("Contact"), max_length=120),
)
PLACE_FIELDS = (
    Field("store", "text", _l("Tool store"), max_length=120),
    Field("name", "text", _l("Shelf, cabinet or bay"), True, max_length=80),
)
CODE = Field(
    "code",
    "text",
    _l("Tool number"),
    max_length=40,
    help=_l("As it stands on the tool. Leave empty to draw one"),
)
KIND = Field("kind", "text", _l("Kind of tool"), True, max_length=80)
STORE = Field("store", "text", _l("Tool store"), max_length=120)
PLACE = Field("place", "text", _l("Place"), max_length=80, help=_l("Shelf, cabinet or bay in the store"))
PLAIN_FIELDS = (
    Field("name", "text", _l("Name"), max_length=120, help=_l("Empty: as its kind")),
    Field("model", "text", _l("Brand and model"), max_length=80),
    Field("serial", "text", _l("Serial number"), max_length=60),
    Field("maker", "text", _l("Maker"), max_length=80),
    Field("supplier", "text", _l("Supplier"), max_length=120),
    Field(
        "price",
        "decimal",
        _l("Price with tax (yuan)"),
        minimum=Decimal(0),
        maximum=MOST_YUAN,
        help=_l("What was paid; compensation goes by it"),
    ),
    Field("bought_on", "date", _l("Bought on")),
    Field(
        "life_months",
        "int",
        _l("Service life (months)"),
        minimum=Decimal(1),
        maximum=Decimal(MOST_MONTHS),
        help=_l("Empty: as its kind"),
    ),
    Field("maintainer", "text", _l("Maintainer"), max_length=60),
    Field("maintain_on", "date", _l("Next maintenance")),
    Field("calibrate_on", "date", _l("Calibrated until")),
    Field("note", "long", _l("Note"), max_length=2000),
)
FIELDS = (CODE, KIND, STORE, PLACE, *PLAIN_FIELDS)
EDIT_FIELDS = (CODE, KIND, *PLAIN_FIELDS)
_DETAILS = ("name", "model", "serial", "maker", "supplier", "price", "bought_on", "life_months", "maintain_on")


def search_text(record: Record, detail: Any) -> str:
    """Return the words a tool is found by."""
    kind = detail.kind
    words = (detail.code, detail.name, detail.model, detail.serial, detail.maker, detail.supplier)
    return " ".join(one for one in (*words, kind.name if kind else "", record.title) if one)


# --- numbers and choices -------------------------------------------------------------------------


def tidy_code(text: object) -> str:
    """Return a number as it is stored and compared: plain letters and digits, capitals, no blanks."""
    return _BLANKS.sub("", normalise(str(text or "")).translate(_AS_SCANNED)).upper()


def as_scanned(text: object) -> str:
    """Return what a scan gun meant to type, whatever the keyboard made of its marks."""
    return " ".join(normalise(str(text or "")).translate(_AS_SCANNED).split())


def fold(text: object) -> str:
    """Return what a name is compared by, whatever the case and blanks."""
    return _BLANKS.sub("", normalise(str(text or ""))).casefold()


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


def store_choices(unit_id: int) -> Choices:
    """Return the stores in use as (id, name)."""
    return [(str(one.id), one.name) for one in parties.stores(unit_id)]


def place_choices(unit_id: int, store_id: int | None = None) -> Choices:
    """Return the places in use as (id, "store / place"), of one store by their name alone."""
    wanted = select(Place).join(Place.store).where(Place.unit_id == unit_id, Place.active, Party.active)
    if store_id is not None:
        found = session().scalars(wanted.where(Place.store_id == store_id).order_by(Place.name))
        return [(str(one.id), one.name) for one in found]
    found = session().scalars(wanted.options(joinedload(Place.store)).order_by(Party.name, Place.name))
    return [(str(one.id), f"{one.store.name} / {one.name}") for one in found]


def staff_choices(unit_id: int) -> Choices:
    """Return the people who work in the unit today as (id, name)."""
    return [(str(key), name) for key, name in accounts.staff_names(unit_id)]


def staff_id(unit_id: int, text: str, field: str) -> int:
    """Find a person of the unit's staff by id, user name or full name.

    Raises:
        InvalidData: under ``field``: nobody, or several, of this name work here.
    """
    staff = accounts.staff_of(unit_id)
    key, wanted = read_id(text), fold(text)
    found = [one.id for one in staff if one.id == key]
    found = found or [one.id for one in staff if one.username.casefold() == wanted]
    found = found or [one.id for one in staff if fold(one.name) == wanted]
    if len(found) > 1:
        raise InvalidData({field: _l("Several people here have this name; give the user name")})
    if not found:
        raise InvalidData({field: _l("This person does not work in the unit")})
    return found[0]


class _Form:
    """Reads a form so that everything that is wrong with it is said at once."""

    def __init__(self, fields: Sequence[Field], raw: Mapping[str, Any]) -> None:
        self.errors: dict[str, Any] = {}
        try:
            self.given = clean(fields, raw)
        except InvalidData as bad:
            self.errors |= bad.errors
            rest = [one for one in fields if one.name not in bad.errors]
            self.given = {one.name: None for one in fields} | clean(rest, raw)

    def try_(self, name: str, read: Callable[[Any], Any]) -> Any:
        """Return what ``read`` makes of a field that was given; None where it was not, or does not fit."""
        value = self.given[name]
        if value is None or value == "" or name in self.errors:
            return None
        try:
            return read(value)
        except InvalidData as bad:
            self.errors |= {name: bad.texts()}
            return None

    def bad(self, name: str, text: Any) -> None:
        """Say what is wrong with a field, unless something was said already."""
        self.errors.setdefault(name, text)

    def finish(self) -> None:
        """Pass if nothing is wrong.

        Raises:
            InvalidData: beside each field.
        """
        if self.errors:
            raise InvalidData(self.errors)


def _price(value: Any) -> Decimal:
    return money_math.exact(value, "price")


def _put(row: Any, given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        setattr(row, name, value)


def _active(form: _Form, row: Any, raw: Mapping[str, Any]) -> bool:
    if "active" not in raw:
        return True if row is None else bool(row.active)
    return bool(clean((ACTIVE,), raw)["active"])


# --- kinds ---------------------------------------------------------------------------------------


def save_kind(unit_id: int, raw: Mapping[str, Any], row: Kind | None = None) -> Kind:
    """Add or change a kind of tool (``KEEP``); a new one without a number draws it (``K001``).

    Raises:
        NotAllowed, InvalidData: beside the field; a name or number that is taken; a kind that has numbered tools
        (or small parts) already does not become the other.
    """
    require(KEEP, unit_id)
    form = _Form(KIND_FIELDS, raw)
    given = dict(form.given)
    given["price"] = form.try_("price", _price)
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
    given["active"] = _active(form, row, raw)
    form.finish()
    if row is None:
        row = Kind(unit_id=unit_id, **{**given, "code": given["code"] or _draw_kind(unit_id)})
        session().add(row)
    else:
        _put(row, given)
    session().flush()
    return row


def _kind_code(unit_id: int, form: _Form, row: Kind | None) -> str:
    code = tidy_code(form.given["code"])
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
    wanted = fold(text)
    if not wanted:
        return None
    named = or_(Kind.code == tidy_code(text), plain == wanted, english == wanted)
    found = session().scalars(mine.where(named).order_by(Kind.id)).all()
    return next((one for one in found if one.code == tidy_code(text)), found[0] if found else None)


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
    form = _Form(KIT_FIELDS, raw)
    wanted = form.try_("lines", lambda text: read_lines(unit_id, text)) or {}
    name = " ".join((form.given["name"] or "").split())
    taken = select(Kit.id).where(Kit.unit_id == unit_id, Kit.name == name)
    other = session().scalars(taken).first()
    if name and other is not None and (row is None or other != row.id):
        form.bad("name", _l("There is a set of this name already"))
    active = _active(form, row, raw)
    form.finish()
    given = {"name": name, "standard": bool(form.given["standard"]), "active": active}
    if row is None:
        row = Kit(unit_id=unit_id, lines=[], **given)
        session().add(row)
    else:
        _put(row, given)
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


# --- stores, departments, repairers, places ----------------------------------------------------------


def save_store(unit_id: int, raw: Mapping[str, Any], row: Party | None = None) -> Party:
    """Add or change a store with its named keeper (R32-3.1; ``KEEP``).

    Raises:
        NotAllowed, InvalidData: beside the field: a name that is taken, a keeper who is not staff or may not keep
        tools. Refused: put out of use while it holds tools or small parts, or a hand-over is open.
    """
    return _save_party(unit_id, values.STORE, STORE_FIELDS, raw, row)


def save_department(unit_id: int, raw: Mapping[str, Any], row: Party | None = None) -> Party:
    """Add or change another department that borrows (R35-4.8a; ``KEEP``); raises as ``save_store``."""
    return _save_party(unit_id, values.DEPARTMENT, DEPARTMENT_FIELDS, raw, row)


def save_repairer(unit_id: int, raw: Mapping[str, Any], row: Party | None = None) -> Party:
    """Add or change a repairer (``KEEP``); raises as ``save_store``."""
    return _save_party(unit_id, values.REPAIRER, REPAIRER_FIELDS, raw, row)


def _save_party(
    unit_id: int, kind: str, fields: Sequence[Field], raw: Mapping[str, Any], row: Party | None
) -> Party:
    require(KEEP, unit_id)
    form = _Form(fields, raw)
    given: dict[str, Any] = {
        "name": " ".join((form.given["name"] or "").split()),
        "contact": form.given["contact"] or "",
    }
    if "user_id" in form.given:
        given["user_id"] = form.try_("user_id", lambda text: staff_id(unit_id, text, "user_id"))
    if kind == values.STORE and given["user_id"] and not accounts.who_may(KEEP, unit_id, [given["user_id"]]):
        form.bad("user_id", _l("This person may not keep tools here; give them a position that does"))
    if given["name"] and _name_taken(unit_id, kind, given["name"], row):
        form.bad("name", _l("There is one of this name already"))
    if given["name"] and read_id(given["name"]) is not None:
        form.bad("name", _l("A name of digits only would be taken for a number"))
    given["active"] = _active(form, row, raw)
    form.finish()
    if row is None:
        row = Party(unit_id=unit_id, kind=kind, **given)
        session().add(row)
    else:
        if row.active and not given["active"]:
            _refuse_while_holding(row)
        _put(row, given)
    session().flush()
    return row


def _name_taken(unit_id: int, kind: str, name: str, row: Party | None) -> bool:
    plain = func.lower(func.replace(Party.name, " ", ""))
    found = select(Party.id).where(Party.unit_id == unit_id, Party.kind == kind, plain == fold(name))
    other = session().scalars(found).first()
    return other is not None and (row is None or other != row.id)


def _refuse_while_holding(party: Party) -> None:
    """What a party holds would be with nobody: it is handed over first."""
    found = []
    count = custody.balance(party.id)
    if count:
        text = _l("%(count)d tools are still there; hand them over first", count=count)
        found.append(Refusal("tools.holds_tools", text))
    parts = select(Stock.id).where(Stock.party_id == party.id, Stock.quantity > 0).limit(1)
    if session().scalars(parts).first() is not None:
        found.append(Refusal("tools.holds_parts", _l("Small parts are still there; hand them over first")))
    waiting = (
        select(HandoverLine.id)
        .join(Handover, Handover.id == HandoverLine.handover_id)
        .where(or_(Handover.giver_id == party.id, Handover.taker_id == party.id))
        .where(HandoverLine.state == values.OPEN_LINE)
        .limit(1)
    )
    if session().scalars(waiting).first() is not None:
        found.append(Refusal("tools.handover_open", _l("A hand-over is not answered yet")))
    if found:
        raise Refused(found)


def find_store(unit_id: int, text: object) -> Party:
    """Return a store in use by id or name; the only one there is for an empty text.

    Raises:
        InvalidData: under ``store``: none of this name, out of use, or there are several and none was named.
    """
    known = parties.stores(unit_id)
    wanted, key = fold(text), read_id(text)
    if not wanted:
        if len(known) == 1:
            return known[0]
        text = _l("Which store?") if known else _l("There is no tool store yet; enter one first")
        raise InvalidData({"store": text})
    found = next((one for one in known if one.id == key or fold(one.name) == wanted), None)
    if found is None:
        raise InvalidData({"store": _l("There is no such store in use here")})
    return found


def save_place(unit_id: int, raw: Mapping[str, Any], row: Place | None = None) -> Place:
    """Add or change a place of a store (R33-4.1; ``KEEP``); the store of a place does not change.

    Raises:
        NotAllowed, InvalidData: beside the field: an unknown store, a name the store has already.
        Refused: put out of use while tools belong there.
    """
    require(KEEP, unit_id)
    form = _Form(PLACE_FIELDS, raw)
    try:
        store = row.store if row is not None else find_store(unit_id, form.given["store"])
    except InvalidData as bad:
        form.errors |= bad.errors
        store = None
    name = " ".join((form.given["name"] or "").split())
    if store is not None and name:
        other = _place_named(store.id, name)
        if other is not None and (row is None or other.id != row.id):
            form.bad("name", _l("The store has a place of this name already"))
    active = _active(form, row, raw)
    form.finish()
    if row is None:
        row = Place(unit_id=unit_id, store_id=store.id if store else 0, name=name, active=active)
        session().add(row)
    else:
        _use_place(row, active)
        row.name = name
    session().flush()
    return row


def _use_place(row: Place, active: bool) -> None:
    if row.active and not active:
        used = (
            select(Tool.id)
            .join(Record, Record.id == Tool.id)
            .where(Tool.place_id == row.id, Record.category == "open")
            .limit(1)
        )
        if session().scalars(used).first() is not None:
            raise Refused([Refusal("tools.place_used", _l("Tools belong there; give them another place first"))])
    row.active = active


def _place_named(store_id: int, text: object) -> Place | None:
    plain = func.lower(func.replace(Place.name, " ", ""))
    found = select(Place).where(Place.store_id == store_id, plain == fold(text))
    return session().scalars(found).first()


def places_of(store_id: int) -> Sequence[Place]:
    """Return the places of a store, those in use first."""
    mine = select(Place).where(Place.store_id == store_id).order_by(Place.active.desc(), Place.name)
    return session().scalars(mine.limit(1000)).all()


def find_place(unit_id: int, store: Party, text: object) -> Place:
    """Return a place in use of a store by id or name.

    Raises:
        InvalidData: under ``place``: unknown, of another store, or out of use.
    """
    key = read_id(text)
    mine = select(Place).where(Place.unit_id == unit_id)
    found = session().scalars(mine.where(Place.id == key)).first() if key is not None else None
    found = found or _place_named(store.id, text)
    if found is None:
        raise InvalidData({"place": _l("The store has no place of this name")})
    if found.store_id != store.id:
        raise InvalidData({"place": _l("This place belongs to another store")})
    if not found.active:
        raise InvalidData({"place": _l("This place is out of use")})
    return found


# --- tools ---------------------------------------------------------------------------------------


def register(unit_id: int, raw: Mapping[str, Any]) -> Record:
    """Register a tool in a store (``KEEP``): ``FIELDS``; it waits for acceptance by inspection (R32-2.3).

    Its number is unique in the unit (R32-3.2), whatever the case, blanks and width of its letters; without one it
    is drawn (``GJ00001``). Its asset class goes by the price (R15-16). The store holds it from now on.

    Raises:
        NotAllowed, InvalidData: beside the field.
    """
    require(KEEP, unit_id)
    form = _Form(FIELDS, raw)
    given = _read_tool(unit_id, form, None)
    store = _store(unit_id, form)
    place = form.try_("place", lambda text: find_place(unit_id, store, text)) if store else None
    form.finish()
    now = clock.now()
    with transaction():
        code = given.pop("code") or draw_code(unit_id)
        kind: Kind = given.pop("kind_row")
        maintain_on = given.pop("maintain_on") or _first_maintenance(unit_id, kind)
        detail = Tool(
            code=code,
            kind_id=kind.id,
            place_id=place.id if place else None,
            asset_class=asset_class(unit_id, given["price"]),
            maintain_on=maintain_on,
            custody_seq=0,
            **given,
        )

        def then(_made: Record) -> None:
            custody.begin(detail, store, now)

        record = create_record(
            TYPE,
            unit_id,
            detail,
            title=detail.name,
            customer_id=None,
            received_at=now,
            permission=KEEP,
            facts=[("registered", {"store": store.name})],
            number=code,
            then=then,
        )
        publish("record.registered", unit_id, {"record_id": record.id, "type": flow.CODE})
    return record


def register_accepted(unit_id: int, raw: Mapping[str, Any], result: str) -> Record:
    """Register a tool and accept it at once; ``result``: what was inspected. Raises as ``register``."""
    with transaction():
        record = register(unit_id, raw)
        return perform(record.id, "accept", {"result": result})


def _store(unit_id: int, form: _Form) -> Any:
    try:
        return find_store(unit_id, form.given["store"])
    except InvalidData as bad:
        form.errors |= bad.errors
        return None


def _first_maintenance(unit_id: int, kind: Kind) -> date | None:
    return add_months(local_day(unit_id), kind.maintain_months) if kind.maintain_months else None


def _read_tool(unit_id: int, form: _Form, tool: Tool | None) -> dict[str, Any]:
    """Check what registration and correction have in common; what is wrong is noted in the form."""
    kind = form.try_("kind", lambda text: _kind(unit_id, text, tool))
    given = {name: form.given[name] for name in _DETAILS}
    given = {name: "" if value is None and name in _TEXTS else value for name, value in given.items()}
    given["price"] = form.try_("price", _price)
    given["calibrate_on"], given["note"] = form.given["calibrate_on"], form.given["note"] or ""
    given["maintainer_id"] = form.try_("maintainer", lambda text: staff_id(unit_id, text, "maintainer"))
    given["code"] = _tool_code(unit_id, form, tool)
    given["serial"] = tidy_code(given["serial"])
    given["kind_row"] = kind
    given["name"] = " ".join(given["name"].split()) or (kind.name if kind else "")
    _check_days(unit_id, form)
    if kind is not None and given["serial"]:
        _check_serial(unit_id, form, kind, given["serial"], tool)
    return given


_TEXTS = frozenset({"name", "model", "serial", "maker", "supplier"})


def _kind(unit_id: int, text: str, tool: Tool | None) -> Kind:
    found = find_kind(unit_id, text)
    if found is None:
        raise InvalidData({"kind": _l("There is no such kind of tool here")})
    if tool is not None and found.id == tool.kind_id:
        return found
    if not found.active:
        raise InvalidData({"kind": _l("This kind of tool is out of use")})
    if found.category == values.CONSUMABLE:
        raise InvalidData({"kind": _l("Of this kind quantities are kept, no numbered tools")})
    return found


def _tool_code(unit_id: int, form: _Form, tool: Tool | None) -> str:
    code = tidy_code(form.given["code"])
    if "code" in form.errors or not code:
        return tool.code if tool is not None else ""
    if tool is not None and code == tool.code:
        return code
    if tool is not None and tool.custody_seq > 1:
        form.bad("code", _l("It was handed over under its number, which stays"))
    elif (other := by_code(unit_id, code)) is not None:
        form.bad("code", _l("“%(name)s” has the number %(number)s already", name=other.name, number=code))
    return code


def _check_days(unit_id: int, form: _Form) -> None:
    bought, today = form.given["bought_on"], local_day(unit_id)
    if bought is not None and bought > today:
        form.bad("bought_on", _l("This date lies in the future"))
    for name in ("bought_on", "maintain_on", "calibrate_on"):
        day = form.given[name]
        if day is not None and not 1950 <= day.year <= 2200:
            form.bad(name, _l("This date is too far away"))


def _check_serial(unit_id: int, form: _Form, kind: Kind, serial: str, tool: Tool | None) -> None:
    """A maker gives a number once; two makers may give the same one."""
    mine = (
        select(Tool)
        .join(Tool.record)
        .where(Tool.unit_id == unit_id, Tool.serial == serial, Tool.kind_id == kind.id)
        .where(Record.state != values.CANCELLED)
    )
    other = next((one for one in session().scalars(mine) if tool is None or one.id != tool.id), None)
    if other is not None:
        form.bad("serial", _l("%(number)s has this serial number already", number=other.code))


def draw_code(unit_id: int) -> str:
    """Draw the next free number of a tool; numbers that a list brought along are passed over."""
    while True:
        code = f"{TYPE.prefix}{draw(unit_id, flow.CODE):05d}"
        if by_code(unit_id, code) is None:
            return code


def asset_class(unit_id: int, price: Decimal | None) -> str:
    """Return the asset class by the price (R15-16): above the limit a fixed asset; '' without a price, or while
    the clause is off."""
    found = effective(unit_id, FIXED_ASSET_CLAUSE)
    if price is None or not found.holds:
        return ""
    return values.FIXED_ASSET if price > Decimal(found.values["limit"]) else values.LOW_VALUE


def edit(record: Record, raw: Mapping[str, Any]) -> Record:
    """Correct the details of a tool (``KEEP``): ``EDIT_FIELDS``; which changed is on its timeline.

    Its number changes only while it was never handed over.

    Raises:
        NotFound, NotAllowed, InvalidData: beside the field. Refused: the tool is no longer on the books.
    """
    with transaction():
        locked = lock(record.id)
        require(KEEP, locked.unit_id)
        tool: Tool = detail_of(locked)
        if not locked.is_open:
            raise Refused([Refusal("tools.closed", _l("This tool is no longer on the books"))])
        form = _Form(EDIT_FIELDS, raw)
        given = _read_tool(locked.unit_id, form, tool)
        form.finish()
        given["kind_id"] = given.pop("kind_row").id
        given["asset_class"] = asset_class(locked.unit_id, given["price"])
        changed = sorted(name for name, value in given.items() if getattr(tool, name) != value)
        if not changed:
            return locked
        _put(tool, given)
        locked.title, locked.number = tool.name[:200], tool.code
        fact = append_fact(locked, flow.WORKFLOW.fact_kinds["edited"], at=clock.now(), data={"fields": changed})
        session().flush()
        tell_of_fact(locked, fact)
        return locked


def relocate(record: Record, raw: Mapping[str, Any]) -> Record:
    """Give a tool another place (``KEEP``): ``PLACE`` of the store that holds it; empty: none.

    Of a tool in somebody's hands it is where it goes when it comes back.

    Raises:
        NotFound, NotAllowed, InvalidData: under ``place``. Refused: no longer on the books.
    """
    with transaction():
        locked = lock(record.id)
        require(KEEP, locked.unit_id)
        tool: Tool = detail_of(locked)
        if not locked.is_open:
            raise Refused([Refusal("tools.closed", _l("This tool is no longer on the books"))])
        text = clean((PLACE,), raw)["place"]
        place = find_place(locked.unit_id, home_of(tool), text) if text else None
        if (place.id if place else None) == tool.place_id:
            return locked
        tool.place = place
        note = place.name if place else ""
        fact = append_fact(locked, flow.WORKFLOW.fact_kinds["relocated"], at=clock.now(), note=note)
        session().flush()
        tell_of_fact(locked, fact)
        return locked


def home_of(tool: Tool) -> Party:
    """Return the store a tool belongs to: the one that holds it, or held it last."""
    for one in custody.history(tool.id):
        if one.party.kind == values.STORE:
            return one.party
    return find_store(tool.unit_id, "")


def life_of(tool: Tool, clause_months: int) -> int:
    """Return the service life of a tool in months: its own, else its kind's, else the clause's; 0: no end."""
    if tool.life_months is not None:
        return tool.life_months
    return clause_months if tool.kind.life_months is None else tool.kind.life_months


def get_tool(raw_id: object) -> Tool:
    """Return a tool by an id from a request (raises NotFound)."""
    return fetch(Tool, raw_id)


# --- finding -------------------------------------------------------------------------------------


def by_code(unit_id: int, code: str) -> Tool | None:
    """Return the unit's tool of exactly this number (as ``tidy_code`` writes it)."""
    return session().scalars(select(Tool).where(Tool.unit_id == unit_id, Tool.code == code)).first()


def find_tool(unit_id: int, text: object) -> Tool:
    """Return the tool that was scanned or typed: the link of our label, its number, or its serial number.

    What a scan gun types is understood with full-width letters, in small letters, and with Chinese marks for the
    colons and strokes of a link.

    Raises:
        InvalidData: under ``code``, naming what was scanned: nothing, another thing's label, an unknown number,
        or a serial number of several tools.
    """
    said = " ".join(normalise(str(text or "")).split())[:200]
    if not said:
        raise InvalidData({"code": _l("Scan or type the number of a tool")})
    uid = label_uid(as_scanned(said))
    if uid is not None:
        return _by_uid(unit_id, uid)
    code = tidy_code(said)
    mine = select(Tool).where(Tool.unit_id == unit_id).options(joinedload(Tool.kind))
    found = session().scalars(mine.where(Tool.code == code)).first()
    if found is not None:
        return found
    serials = session().scalars(mine.where(Tool.serial == code, Tool.serial != "").order_by(Tool.id).limit(3)).all()
    if len(serials) > 1:
        names = "、".join(one.code for one in serials)
        raise InvalidData(
            {"code": _l("Several tools have the serial number %(text)s: %(numbers)s", text=said, numbers=names)}
        )
    if not serials:
        raise InvalidData({"code": _l("No tool has the number %(text)s", text=said)})
    return serials[0]


def _by_uid(unit_id: int, uid: UUID) -> Tool:
    record = session().scalars(select(Record).where(Record.uid == uid, Record.unit_id == unit_id)).first()
    if record is None:
        raise InvalidData({"code": _l("This label is of nothing in this unit")})
    mine = select(Tool).where(Tool.id == record.id).options(joinedload(Tool.kind))
    found = session().scalars(mine).first()
    if found is None:
        raise InvalidData({"code": _l("This label is of %(number)s, which is no tool", number=record.number)})
    return found


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


TYPE = RecordType(
    flow.CODE,
    _l("Tool"),
    "GJ",
    Tool,
    flow.WORKFLOW,
    search_text=search_text,
    intake=FIELDS,
    register=register,
)
