"""Places: buildings, floors, rooms, halls, shelves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.kernel.database import session
from core.kernel.extensions import ApiResource
from core.kernel.fields import Field
from core.places import services
from core.places.models import Place

from .. import plugged
from ..operations import Operation

NAMES = ("code", "name", "name_en", "kind", "sort", "note", "active", "depth", "version")
ACTIVE = Field("active", "bool", _l("In use"), default=True)


def _show(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    """One mapping per place; names and codes of what is around them in a statement each."""
    names = services.full_names_of(rows)
    around = {row.parent_id for row in rows if row.parent_id}
    found = session().execute(select(Place.id, Place.code).where(Place.id.in_(around))) if around else ()
    codes = {row.id: row.code for row in found}
    return [
        {
            **{name: getattr(row, name) for name in NAMES},
            "parent": codes.get(row.parent_id, ""),
            "parent_id": row.parent_id,
            "full_name": names[row.id],
        }
        for row in rows
    ]


def _create(unit_id: int, given: Mapping[str, Any]) -> Place:
    place = services.create_place(unit_id, given)
    if given.get("active") is False:
        services.close_place(place)
    return place


def _change(place: Place, given: Mapping[str, Any]) -> None:
    plain = {name: value for name, value in given.items() if name != "active"}
    if given.get("active") is True and not place.active:
        services.reopen_place(place)
    if plain:
        services.change_place(place, plain)
    if given.get("active") is False and place.active:
        services.close_place(place)


PLACES = ApiResource(
    path="places",
    title=_l("Places"),
    model=Place,
    permission=services.VIEW,
    write_permission=services.EDIT,
    read={
        **dict.fromkeys(("code", "name", "name_en", "kind", "note", "parent", "full_name"), "string"),
        **dict.fromkeys(("sort", "depth", "version", "parent_id"), "integer"),
        "active": "boolean",
    },
    show=_show,
    filters={
        "code": Place.code,
        "kind": Place.kind,
        "parent_id": Place.parent_id,
        "active": Place.active,
    },
    fields=(*services.FIELDS, ACTIVE),
    create=_create,
    change=_change,
)


def operations() -> list[Operation]:
    """Return the operations of places."""
    return plugged.operations(PLACES)
