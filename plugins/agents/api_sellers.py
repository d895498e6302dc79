"""Sellers of items over the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import ApiResource, Field, InvalidData, session
from plugins.products import services as products

from . import sellers, values
from .models import Agent, Seller
from .rights import KEEP, VIEW

PLAIN = ("item_id", "sold_on", "document", "source", "outside", "current", "reason", "entered_at")


def resources() -> list[ApiResource]:
    """Return the collection."""
    return [
        ApiResource(
            path="sellers",
            title=_l("Sellers of items"),
            model=Seller,
            permission=VIEW,
            write_permission=KEEP,
            read={
                "item_id": "integer",
                "serial": "string",
                "agent": "string",
                "agent_name": "string",
                "sold_on": "date",
                "document": "string",
                "source": "string",
                "outside": "boolean",
                "current": "boolean",
                "reason": "string",
                "entered_at": "moment",
            },
            show=_show,
            filters={"item_id": Seller.item_id, "current": Seller.current, "outside": Seller.outside},
            fields=(Field("serial", "text", _l("Serial number"), True, max_length=60), *sellers.FIELDS),
            create=_create,
        )
    ]


def _show(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    """One mapping per row, with serial numbers and agents in a statement each."""
    serials = products.serials_of(list({row.item_id for row in rows}))
    wanted = select(Agent.id, Agent.code, Agent.name).where(Agent.id.in_({row.agent_id for row in rows}))
    agents = {one.id: one for one in session().execute(wanted)}
    return [
        {
            **{name: getattr(row, name) for name in PLAIN},
            "serial": serials.get(row.item_id, ""),
            "agent": agents[row.agent_id].code,
            "agent_name": agents[row.agent_id].name,
        }
        for row in rows
    ]


def _create(unit_id: int, given: Mapping[str, Any]) -> Seller:
    """Say who sold an item; saying the same again answers what is there.

    Raises:
        InvalidData: beside the field.
    """
    item = products.find_item(unit_id, given.get("serial"))
    if item is None:
        raise InvalidData({"serial": _l("No item with this serial number")})
    return sellers.set_seller(item, given, values.BY_HAND)
