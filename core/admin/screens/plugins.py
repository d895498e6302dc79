"""The plugin matrix (功能模块): units by plugins, with the switches."""

from __future__ import annotations

from flask import flash, redirect, request
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.admin.cases.words import unit_name
from core.admin.categories import SETTINGS
from core.admin.views import Answer, Screen
from core.kernel.database import current_scope, fetch, transaction
from core.kernel.errors import NotFound, Refused
from core.kernel.extensions import AdminEntry
from core.units import switches
from core.units.models import Unit
from core.units.switches import SWITCH
from core.users.permissions import units_where


class PluginScreen(Screen):
    """Switches plugins on and off, unit by unit; it takes effect at the next request in every process."""

    permission = SWITCH
    icon = "plugin"

    @expose("/")
    def index(self) -> Answer:
        """Show the matrix of the units where the actor may switch."""
        matrix = switches.plugin_matrix(units_where(SWITCH))
        return self.render("admin/plugins.html", matrix=matrix, unit_name=unit_name)

    @expose("/switch/", methods=("POST",))
    def switch_view(self) -> Answer:
        """Switch one plugin in one unit; what stands against it is asked about first."""
        unit = fetch(Unit, request.form.get("unit"))
        if not current_scope().may(SWITCH, unit.id):
            raise NotFound()
        plugin, on = request.form.get("plugin", ""), request.form.get("on") == "1"
        title = _title(plugin)
        insisted = request.form.get("insist") == "1"
        try:
            with transaction():
                if on:
                    switches.enable(unit, plugin, with_dependencies=insisted)
                else:
                    switches.disable(unit, plugin, confirmed=insisted)
        except Refused as bad:
            return self._ask(unit, plugin, on, title, bad)
        word = (
            _("%(plugin)s is now on in %(unit)s.")
            if on
            else _("%(plugin)s is now off in %(unit)s. Its data is kept.")
        )
        flash(word % {"plugin": title, "unit": unit_name(unit)}, "good")
        return redirect(self.get_url(".index"))

    def _ask(self, unit: Unit, plugin: str, on: bool, title: str, bad: Refused) -> Answer:
        fatal = any(r.code == "fatal" for r in bad.refusals)
        page = self.render(
            "admin/plugin_ask.html",
            unit=unit,
            unit_name=unit_name(unit),
            plugin=plugin,
            title=title,
            on=on,
            refusals=bad.refusals,
            fatal=fatal,
            back=self.get_url(".index"),
        )
        return page, 409


def _title(plugin: str) -> str:
    found = next((p for p in switches.plugin_matrix([]).plugins if p.name == plugin), None)
    if found is None:
        raise NotFound()
    return found.title


def admin_views() -> list[AdminEntry]:
    """Return the plugin matrix for the menu."""
    return [AdminEntry(PluginScreen(name=_l("Plugins"), endpoint="plugins", url="plugins"), SETTINGS, 15)]
