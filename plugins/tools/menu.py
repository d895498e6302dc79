"""The plugin's part of the side bar: what is opened every day, and a folded group for all the rest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import AdminEntry

MORE = _l("Tools: lists and set-up")
FIRST = 120
# By daily use: one's own, the desk, where things are, what waits for somebody.
DAILY = (
    "tools_own",
    "tools_desk",
    "tools_tool",
    "tools_people",
    "tools_loans",
    "tools_ledger",
    "tools_handovers",
    "tools_applications",
    "tools_incidents",
    "tools_counts",
    "tools_purchase",
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
