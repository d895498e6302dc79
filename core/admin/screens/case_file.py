"""Making the case file (案卷) of a case: a piece of work with a page of its own."""

from __future__ import annotations

from flask import redirect, request, url_for
from flask_admin import expose
from flask_babel import lazy_gettext as _l

from core.admin.categories import SERVICE
from core.admin.views import Answer, Screen
from core.documents import case_file
from core.kernel.database import transaction
from core.kernel.extensions import AdminEntry
from core.kernel.i18n import LOCALES, current_locale


class CaseFileScreen(Screen):
    """Starts the work. Who may is decided by the case's own unit."""

    def is_visible(self) -> bool:
        return False

    @expose("/")
    def index(self) -> Answer:
        return redirect(url_for("records.index_view"))

    @expose("/<record_id>", methods=("POST",))
    def make(self, record_id: str) -> Answer:
        """Begin to make a case file, then show how far it is."""
        asked = request.form.get("locale", "")
        locale = asked if asked in LOCALES else current_locale()
        with transaction():
            run = case_file.start(record_id, locale, request.url_root)
        return redirect(url_for("jobs.run_view", id=run.id))


def admin_views() -> list[AdminEntry]:
    """Return the screen; it isn't in the menu."""
    return [
        AdminEntry(CaseFileScreen(name=_l("Case file"), endpoint="case_file", url="/admin/case-file"), SERVICE, 99)
    ]
