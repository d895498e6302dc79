"""The seller of an item, on its page."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import Panel, label_of, may
from core.sdk_web import page_url

from . import sellers, values
from .models import Seller
from .rights import KEEP, VIEW

ITEMS = "products:item"


def detail_panels(subject: str, row: Any) -> list[Panel]:
    """Who sold the item, and how that is known."""
    if subject != ITEMS or not may(VIEW, row.unit_id):
        return []
    history = sellers.history_of(row.id)
    theirs = row.sold_class in sellers.KIND_OF
    unsettled = sellers.is_unsettled(row)
    if not (theirs or unsettled or history):
        return []
    current = next((one for one in history if one.current), None)
    context = {
        "current": current,
        "facts": _facts(current) if current is not None else [],
        "agent_url": page_url("agents_agent.details_view", id=current.agent_id) if current is not None else "",
        "text": row.seller,
        "holders": _holders(row) if current is not None and current.outside else [],
        "outside": current is not None and current.outside,
        "odd_class": current is not None and not theirs and not unsettled,
        "unsettled": unsettled,
        "earlier": [one for one in history if not one.current],
        "set_url": page_url("agents_sellers.set_view", item=row.id) if theirs and may(KEEP, row.unit_id) else "",
    }
    return [Panel("seller", _l("Seller"), "agents/seller_panel.html", context, 15)]


def _facts(seller: Seller) -> list[tuple[Any, Any]]:
    return [
        (_l("Sold on"), seller.sold_on),
        (_l("Sales record"), seller.document),
        (_l("Known from"), label_of(values.SOURCES, seller.source)),
        (_l("Reason"), seller.reason),
    ]


def _holders(item: Any) -> list[str]:
    """Return the names of the agents in whose region the item is used."""
    places = sellers.places_of([item.customer_id]).get(item.customer_id or 0, ())
    return [agent.name for agent in sellers.holders_of(places, sellers.agents_with_regions(item.unit_id))]
