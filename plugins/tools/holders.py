"""Who holds tools beside the staff: stores, their places, departments, repairers. Services flush, never commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import func, or_, select
from sqlalchemy.orm import joinedload

from core.sdk import (
    Choices,
    Field,
    InvalidData,
    Record,
    Refusal,
    Refused,
    accounts,
    current_scope,
    holds,
    read_id,
    require,
    session,
)

from . import custody, forms, parties, values
from .models import Handover, HandoverLine, Party, Place, Stock, Tool
from .rights import KEEP

KEPT_CLAUSE = "R32-3.1"
NO_PLACE = _l("Say where in the store it is kept")
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


# --- stores, departments, repairers ------------------------------------------------------------------


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
    form = forms.Form(fields, raw)
    given: dict[str, Any] = {
        "name": " ".join((form.given["name"] or "").split()),
        "contact": form.given["contact"] or "",
    }
    if "user_id" in form.given:
        given["user_id"] = form.try_("user_id", lambda text: forms.staff_id(unit_id, text, "user_id"))
    if kind == values.STORE and given["user_id"] and not accounts.who_may(KEEP, unit_id, [given["user_id"]]):
        form.bad("user_id", _l("This person may not keep tools here; give them a position that does"))
    if given["name"] and _name_taken(unit_id, kind, given["name"], row):
        form.bad("name", _l("There is one of this name already"))
    if given["name"] and read_id(given["name"]) is not None:
        form.bad("name", _l("A name of digits only would be taken for a number"))
    given["active"] = forms.read_active(form, row, raw)
    form.finish()
    if row is None:
        row = Party(unit_id=unit_id, kind=kind, **given)
        session().add(row)
    else:
        if row.active and not given["active"]:
            _refuse_while_holding(row)
        forms.put(row, given)
    session().flush()
    return row


def _name_taken(unit_id: int, kind: str, name: str, row: Party | None) -> bool:
    plain = func.lower(func.replace(Party.name, " ", ""))
    found = select(Party.id).where(Party.unit_id == unit_id, Party.kind == kind, plain == forms.fold(name))
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
    wanted, key = forms.fold(text), read_id(text)
    if not wanted:
        if len(known) == 1:
            return known[0]
        text = _l("Which store?") if known else _l("There is no tool store yet; enter one first")
        raise InvalidData({"store": text})
    found = next((one for one in known if one.id == key or forms.fold(one.name) == wanted), None)
    if found is None:
        raise InvalidData({"store": _l("There is no such store in use here")})
    return found


# --- places ------------------------------------------------------------------------------------------


def save_place(unit_id: int, raw: Mapping[str, Any], row: Place | None = None) -> Place:
    """Add or change a place of a store (R33-4.1; ``KEEP``); the store of a place does not change.

    Raises:
        NotAllowed, InvalidData: beside the field: an unknown store, a name the store has already.
        Refused: put out of use while tools belong there.
    """
    require(KEEP, unit_id)
    form = forms.Form(PLACE_FIELDS, raw)
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
    active = forms.read_active(form, row, raw)
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
    found = select(Place).where(Place.store_id == store_id, plain == forms.fold(text))
    return session().scalars(found).first()


def places_of(store_id: int) -> Sequence[Place]:
    """Return the places of a store, those in use first."""
    mine = select(Place).where(Place.store_id == store_id).order_by(Place.active.desc(), Place.name)
    return session().scalars(mine.limit(1000)).all()


def lacks_place(unit_id: int, store: Party) -> bool:
    """Tell whether a tool of a store without a place breaks R32-3.1: the store is divided into places."""
    if not holds(unit_id, KEPT_CLAUSE):
        return False
    mine = select(Place.id).where(Place.store_id == store.id, Place.active)
    return session().scalars(mine.limit(1)).first() is not None


def name_keeper(store: Party) -> None:
    """R32-3.1: a store nobody was named for (the first one of a unit) is kept by whoever registers tools in it."""
    actor = current_scope().actor_id
    if store.user_id is None and actor is not None and holds(store.unit_id, KEPT_CLAUSE):
        store.user_id = actor
        session().flush()


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
