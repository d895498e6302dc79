"""The one search box: customers and cases of the core, and whatever plugins search."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from flask import current_app, g, redirect, request, url_for
from flask_admin import expose
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.admin.categories import WORK
from core.admin.views import Answer, Screen, may_here
from core.customers import services as customers
from core.kernel import search
from core.kernel.database import session
from core.kernel.extensions import AdminEntry, Hit, SearchSource
from core.kernel.fields import normalise
from core.places import services as places
from core.records.models import Record
from core.records.types import record_types
from core.users.permissions import units_where

log = logging.getLogger(__name__)
SUGGESTED, LISTED = 5, 20


@dataclass(frozen=True)
class Group:
    """What one source found."""

    label: Any
    hits: Sequence[Hit]
    failed: bool = False


class SearchScreen(Screen):
    """Results as a page, and as a small list under the box while typing."""

    icon = "search"

    def is_visible(self) -> bool:
        """The box in the top bar leads here; the menu need not."""
        return False

    @expose("/")
    def index(self) -> Answer:
        """Show what was found, by source."""
        text = _typed()
        exact = numbered(text)
        if exact is not None:
            return redirect(url_for("record.page", record_id=exact))
        return self.render("admin/search.html", text=text, groups=find(text, LISTED) if text else [])

    @expose("/suggest/")
    def suggest(self) -> Answer:
        """Answer the list under the box."""
        return self.render(
            "admin/suggest.html", groups=[group for group in find(_typed(), SUGGESTED) if group.hits]
        )


def _typed() -> str:
    return normalise(request.args.get("q", ""))[:60]


def find(text: str, limit: int) -> list[Group]:
    """Ask every source the actor may use. A source of a plugin that fails says so; the others still answer."""
    if not text:
        return []
    core = (
        ("case.view", _l("Cases"), _cases),
        ("customer.view", _l("Customers"), _customers),
        (places.VIEW, _l("Places"), _places),
    )
    groups = [Group(label, ask(permission, text, limit)) for permission, label, ask in core if may_here(permission)]
    return [*groups, *(_ask_plugin(source, text, limit) for source in _sources())]


def _customers(permission: str, text: str, limit: int) -> list[Hit]:
    found = customers.lookup(units_where(permission), text, limit)
    return [
        Hit(c["name"], "  ".join(filter(None, (c["number"], c["phone"], c["address"]))), _customer(c["id"]))
        for c in found
    ]


def _places(permission: str, text: str, limit: int) -> list[Hit]:
    found = places.find(units_where(permission), text, limit)
    names = places.full_names_of(found)
    return [Hit(one.code, names[one.id], url_for("places.details_view", id=one.id)) for one in found]


def numbered(text: str) -> int | None:
    """Return the record whose number was typed whole, if the actor may see it."""
    found = select(Record.id).where(
        Record.unit_id.in_(units_where("case.view")),
        Record.type.in_([kind.code for kind in record_types()]),
        Record.number == text.upper(),
    )
    return session().scalars(found.limit(1)).first() if text else None


def _customer(key: int) -> str:
    return url_for("customers.details_view", id=key)


def _cases(permission: str, text: str, limit: int) -> list[Hit]:
    ids = [hit.entity_id for hit in search.search(units_where(permission), "case", text, limit)]
    rows = session().scalars(select(Record).where(Record.id.in_(ids)).order_by(Record.id.desc())) if ids else ()
    return [Hit(row.number, row.title, url_for("record.page", record_id=row.id)) for row in rows]


def _sources() -> list[SearchSource]:
    declared = current_app.extensions["search_sources"]
    return [source for plugin, source in declared if plugin in g.unit.enabled and may_here(source.permission)]


def _ask_plugin(source: SearchSource, text: str, limit: int) -> Group:
    ask: Callable[..., Sequence[Hit]] = source.find
    try:
        return Group(source.label, ask(g.unit, text, limit))
    except Exception:
        log.exception("search source %s failed", source.code)
        return Group(source.label, (), failed=True)


def admin_views() -> list[AdminEntry]:
    """Return the search screen; it isn't in the menu."""
    return [AdminEntry(SearchScreen(name=_l("Search"), endpoint="search", url="search"), WORK, 90)]
