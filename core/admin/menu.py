"""The side bar: groups of screens, each shown only where its plugin is on and its permission is held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import g

from .categories import is_folded, weight_of


@dataclass(frozen=True)
class MenuEntry:
    """One screen in the menu. ``view`` is a Flask-Admin view; ``weight`` orders inside the group.

    ``seldom``: set up once or looked up now and then; a group of nothing but such starts folded.
    """

    view: Any
    category: Any
    weight: int = 50
    seldom: bool = False


@dataclass(frozen=True)
class MenuItem:
    """One line of the side bar. ``count``: how much waits there, 0 shows nothing."""

    title: Any
    url: str
    icon: str
    active: bool
    count: int = 0


@dataclass(frozen=True)
class MenuGroup:
    """One group of the side bar. ``folded``: it starts closed; the one in use never does."""

    title: Any
    items: list[MenuItem]
    folded: bool


@dataclass
class Menu:
    """Every registered screen, in order; what a person sees of it is worked out once for each request."""

    entries: list[MenuEntry] = field(default_factory=list)

    def add(self, entry: MenuEntry) -> None:
        self.entries.append(entry)
        # Sorted here, once, by the untranslated words.
        self.entries.sort(key=lambda e: (weight_of(e.category), str(e.category), e.weight))

    def groups(self) -> list[MenuGroup]:
        """Return the groups that have anything for this person in this unit."""
        found: dict[str, list[MenuEntry]] = {}
        for entry in self._shown():
            found.setdefault(str(entry.category), []).append(entry)
        return [_group(entries) for entries in found.values()]

    def key(self) -> tuple[Any, ...]:
        """Return what this request's side bar depends on beside the language: the screens, and which is open."""
        return tuple((entry.view.endpoint, _is_active(entry.view), _count(entry.view)) for entry in self._shown())

    def _shown(self) -> list[MenuEntry]:
        if "menu_shown" not in g:
            g.menu_shown = [e for e in self.entries if e.view.is_accessible() and e.view.is_visible()]
        shown: list[MenuEntry] = g.menu_shown
        return shown

    def bottom(self) -> list[MenuItem]:
        """Return the three places of a phone's bottom bar: those that ask for it, else the first.

        A plugin's daily ones (``bottom_first``) come before the core's own.
        """
        seen = [entry.view for entry in self._shown()]
        wanted = [v for v in seen if getattr(v, "on_bottom_bar", False)]
        wanted.sort(key=lambda v: not getattr(v, "bottom_first", False))
        return [_item(view) for view in (wanted or seen)[:3]]


def _group(entries: Sequence[MenuEntry]) -> MenuGroup:
    category, items = entries[0].category, [_item(entry.view) for entry in entries]
    seldom = is_folded(category) or all(entry.seldom for entry in entries)
    return MenuGroup(category, items, seldom and not any(item.active for item in items))


def _item(view: Any) -> MenuItem:
    url = view.get_url(f"{view.endpoint}.{view._default_view}")
    return MenuItem(view.name, url, _icon(view), _is_active(view), _count(view))


def _is_active(view: Any) -> bool:
    return bool(getattr(view, "is_active", lambda: False)())


def _count(view: Any) -> int:
    return int(getattr(view, "waiting_count", int)())


def _icon(view: Any) -> str:
    return getattr(view, "icon", "") or "dot"
