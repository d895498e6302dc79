"""The first page after signing in."""

from __future__ import annotations

from typing import Any

from flask_admin import AdminIndexView, expose
from flask_babel import lazy_gettext as _l

from core.admin import dashboard
from core.admin.views import Answer, Gated


class HomeScreen(Gated, AdminIndexView):
    """The dashboard at /admin/: tiles of the core and of the unit's plugins."""

    icon = "home"

    def __init__(self) -> None:
        super().__init__(name=_l("My work"), endpoint="admin", url="/admin")

    @expose("/")
    def index(self) -> Answer:
        return self.render("admin/home.html", **self.context())

    def context(self) -> dict[str, Any]:
        return dashboard.context()
