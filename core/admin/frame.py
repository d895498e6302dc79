"""Assembly of the frame: Flask-Admin, every screen of core and plugins, template helpers, static files."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from flask import Blueprint, Flask, g
from flask_admin import Admin
from flask_babel import get_locale
from flask_babel import lazy_gettext as _l

from core.kernel.extensions import AdminEntry

from . import screens
from .categories import WORK
from .clauses import draw_clause
from .dashboard import inbox_count
from .format import FILTERS, draw_badge, draw_icon, draw_rows, kept, ui_url
from .menu import Menu, MenuEntry
from .notices import notice_url
from .screens.home import HomeScreen
from .urls import page_url
from .views import Gated, may_here

HERE = Path(__file__).parent


def init_app(app: Flask, plugin_entries: Iterable[tuple[str, Iterable[AdminEntry]]] = ()) -> Menu:
    """Build the frame: core's screens, then ``plugin_entries``, as (plugin name, its entries).

    All installed plugins' screens are registered here, once; each is gated per unit at run time.

    Raises:
        TypeError: a plugin's view is not one of our base views, so nothing would gate it.
    """
    admin = Admin(app, name=_l("After-sales"), index_view=HomeScreen(), csp_nonce_generator=_nonce)
    menu = Menu()
    menu.add(MenuEntry(admin.index_view, WORK, 0))
    for entry in _core_entries():
        _register(admin, menu, entry, "")
    for plugin, entries in plugin_entries:
        for entry in entries:
            _register(admin, menu, entry, plugin)
    app.extensions["suite_menu"] = menu
    app.register_blueprint(Blueprint("ui", __name__, static_folder="static", static_url_path="/ui"))
    app.jinja_env.filters.update(FILTERS)
    app.jinja_env.globals.update(
        ui_url=ui_url,
        draw_rows=draw_rows,
        kept=kept,
        draw_badge=draw_badge,
        draw_icon=draw_icon,
        draw_clause=draw_clause,
        page_url=page_url,
        get_locale=get_locale,
        suite_menu=menu.groups,
        suite_menu_key=menu.key,
        suite_bottom=menu.bottom,
        may_here=may_here,
        inbox_count=inbox_count,
        notice_url=notice_url,
    )
    return menu


def _core_entries() -> Iterator[AdminEntry]:
    """Yield the entries of every module in ``core.admin.screens`` (each has ``admin_views()``)."""
    for found in pkgutil.iter_modules(screens.__path__):
        module = importlib.import_module(f"{screens.__name__}.{found.name}")
        yield from getattr(module, "admin_views", tuple)()


def _register(admin: Admin, menu: Menu, entry: AdminEntry, plugin: str) -> None:
    view = entry.view
    if not isinstance(view, Gated):
        raise TypeError(f"{type(view).__name__}: screens derive from Screen, ListScreen or UnitModelView")
    if plugin:
        view.plugin = plugin
    admin.add_view(view)
    menu.add(MenuEntry(view, entry.category, entry.weight, entry.seldom))


def _nonce() -> str:
    return str(getattr(g, "csp_nonce", ""))
