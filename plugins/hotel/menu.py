"""The plugin's part of the side bar: what is opened every day, and a folded group for all the rest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import AdminEntry

MORE = _l("Hotel: lists and set-up")
FIRST = 160
# By daily use.
DAILY: tuple[str, ...] = (
    "hotel_board",
    "hotel_cleaning",
    "hotel_stays",
    "hotel_orders",
    "hotel_complaints",
    "hotel_meetings",
    "hotel_shifts",
    "hotel_foods",
    "hotel_dashboard",
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
