"""The plugin's part of the side bar: what is opened every day, and a folded group for all the rest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import AdminEntry

MORE = _l("Store: lists and set-up")
FIRST = 200
# By daily use.
DAILY: tuple[str, ...] = (
    "store_check",
    "store_issues",
    "store_lots",
    "store_removals",
    "store_receivings",
    "store_orders",
    "store_prices",
    "store_objections",
    "store_showroom",
)


def entries(views: Iterable[Any], daily_title: Any) -> list[AdminEntry]:
    """Return the entries of the menu: the daily ones in their order, the others as they come, folded."""
    found = []
    for place, view in enumerate(views, start=FIRST):
        if view.endpoint in DAILY:
            found.append(AdminEntry(view, daily_title, FIRST + DAILY.index(view.endpoint)))
        else:
            found.append(AdminEntry(view, MORE, place, seldom=True))
    return found
