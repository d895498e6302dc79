"""The file of tools: how they are registered, corrected and found. Services flush, never commit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from core.sdk import (
    Field,
    InvalidData,
    Record,
    RecordType,
    Refusal,
    Refused,
    add_months,
    append_fact,
    clean,
    clock,
    create_record,
    detail_of,
    draw,
    effective,
    fetch,
    label_uid,
    local_day,
    lock,
    normalise,
    perform,
    publish,
    require,
    session,
    tell_of_fact,
    transaction,
)

from . import custody, flow, forms, holders, kinds, values
from .models import Kind, Party, Tool
from .rights import KEEP

FIXED_ASSET_CLAUSE = "R15-16"
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
        maximum=forms.MOST_YUAN,
        help=_l("What was paid; compensation goes by it"),
    ),
    Field("bought_on", "date", _l("Bought on")),
    Field(
        "life_months",
        "int",
        _l("Service life (months)"),
        minimum=Decimal(1),
        maximum=Decimal(forms.MOST_MONTHS),
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


def register(unit_id: int, raw: Mapping[str, Any]) -> Record:
    """Register a tool in a store (``KEEP``): ``FIELDS``; it waits for acceptance by inspection (R32-2.3).

    Its number is unique in the unit (R32-3.2), whatever the case, blanks and width of its letters; without one it
    is drawn (``GJ00001``). Its asset class goes by the price (R15-16). The store holds it from now on, under its
    keeper and in a place of its own where the store has places (R32-3.1).

    Raises:
        NotAllowed, InvalidData: beside the field.
    """
    require(KEEP, unit_id)
    form = forms.Form(FIELDS, raw)
    given = _read_tool(unit_id, form, None)
    store = _store(unit_id, form)
    place = form.try_("place", lambda text: holders.find_place(unit_id, store, text)) if store else None
    if store and place is None and holders.lacks_place(unit_id, store):
        form.bad("place", holders.NO_PLACE)
    form.finish()
    now = clock.now()
    with transaction():
        holders.name_keeper(store)
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


def _store(unit_id: int, form: forms.Form) -> Any:
    try:
        return holders.find_store(unit_id, form.given["store"])
    except InvalidData as bad:
        form.errors |= bad.errors
        return None


def _first_maintenance(unit_id: int, kind: Kind) -> date | None:
    return add_months(local_day(unit_id), kind.maintain_months) if kind.maintain_months else None


def _read_tool(unit_id: int, form: forms.Form, tool: Tool | None) -> dict[str, Any]:
    """Check what registration and correction have in common; what is wrong is noted in the form."""
    kind = form.try_("kind", lambda text: _kind(unit_id, text, tool))
    given = {name: form.given[name] for name in _DETAILS}
    given = {name: "" if value is None and name in _TEXTS else value for name, value in given.items()}
    given["price"] = form.try_("price", forms.read_price)
    given["calibrate_on"], given["note"] = form.given["calibrate_on"], form.given["note"] or ""
    given["maintainer_id"] = form.try_("maintainer", lambda text: forms.staff_id(unit_id, text, "maintainer"))
    given["code"] = _tool_code(unit_id, form, tool)
    given["serial"] = forms.tidy_code(given["serial"])
    given["kind_row"] = kind
    given["name"] = " ".join(given["name"].split()) or (kind.name if kind else "")
    _check_days(unit_id, form)
    if kind is not None and given["serial"]:
        _check_serial(unit_id, form, kind, given["serial"], tool)
    return given


_TEXTS = frozenset({"name", "model", "serial", "maker", "supplier"})


def _kind(unit_id: int, text: str, tool: Tool | None) -> Kind:
    found = kinds.find_kind(unit_id, text)
    if found is None:
        raise InvalidData({"kind": _l("There is no such kind of tool here")})
    if tool is not None and found.id == tool.kind_id:
        return found
    if not found.active:
        raise InvalidData({"kind": _l("This kind of tool is out of use")})
    if found.category == values.CONSUMABLE:
        raise InvalidData({"kind": _l("Of this kind quantities are kept, no numbered tools")})
    return found


def _tool_code(unit_id: int, form: forms.Form, tool: Tool | None) -> str:
    code = forms.tidy_code(form.given["code"])
    if "code" in form.errors or not code:
        return tool.code if tool is not None else ""
    if tool is not None and code == tool.code:
        return code
    if tool is not None and tool.custody_seq > 1:
        form.bad("code", _l("It was handed over under its number, which stays"))
    elif (other := by_code(unit_id, code)) is not None:
        form.bad("code", _l("“%(name)s” has the number %(number)s already", name=other.name, number=code))
    return code


def _check_days(unit_id: int, form: forms.Form) -> None:
    bought, today = form.given["bought_on"], local_day(unit_id)
    if bought is not None and bought > today:
        form.bad("bought_on", _l("This date lies in the future"))
    for name in ("bought_on", "maintain_on", "calibrate_on"):
        day = form.given[name]
        if day is not None and not 1950 <= day.year <= 2200:
            form.bad(name, _l("This date is too far away"))


def _check_serial(unit_id: int, form: forms.Form, kind: Kind, serial: str, tool: Tool | None) -> None:
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
        form = forms.Form(EDIT_FIELDS, raw)
        given = _read_tool(locked.unit_id, form, tool)
        form.finish()
        given["kind_id"] = given.pop("kind_row").id
        given["asset_class"] = asset_class(locked.unit_id, given["price"])
        changed = sorted(name for name, value in given.items() if getattr(tool, name) != value)
        if not changed:
            return locked
        forms.put(tool, given)
        locked.title, locked.number = tool.name[:200], tool.code
        fact = append_fact(locked, flow.WORKFLOW.fact_kinds["edited"], at=clock.now(), data={"fields": changed})
        session().flush()
        tell_of_fact(locked, fact)
        return locked


def relocate(record: Record, raw: Mapping[str, Any]) -> Record:
    """Give a tool another place (``KEEP``): ``PLACE`` of the store that holds it; empty: none (not under R32-3.1).

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
        store = home_of(tool)
        place = holders.find_place(locked.unit_id, store, text) if text else None
        if place is None and holders.lacks_place(locked.unit_id, store):
            raise InvalidData({"place": holders.NO_PLACE})
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
    return holders.find_store(tool.unit_id, "")


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
    uid = label_uid(forms.as_scanned(said))
    if uid is not None:
        return _by_uid(unit_id, uid)
    code = forms.tidy_code(said)
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
