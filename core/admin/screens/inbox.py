"""A person's inbox and next actions."""

from __future__ import annotations

from flask import g, redirect, request
from flask_admin import expose
from flask_babel import lazy_gettext as _l

from core.admin import dashboard
from core.admin.cases import words
from core.admin.categories import WORK
from core.admin.urls import local_path
from core.admin.views import Answer, Screen
from core.kernel import clock
from core.kernel.database import transaction
from core.kernel.extensions import AdminEntry
from core.kernel.ids import read_id
from core.records.services import read_notices

MOST = 200


class InboxScreen(Screen):
    """What happened to a person's records: assigned, chased, mentioned, followed."""

    icon = "bell"

    @expose("/")
    def index(self) -> Answer:
        """Show the inbox; ``all=1`` shows what was read too."""
        everything = request.args.get("all") == "1"
        rows = dashboard.notices(g.actor.id, MOST, unread=not everything)
        return self.render("my/inbox.html", rows=rows, everything=everything, notice_words=words.NOTICES)

    @expose("/read", methods=("POST",))
    def read(self) -> Answer:
        """Mark one notice, or all, as read; then go on to the notice's record."""
        given = request.form.get("id")
        number = read_id(given) if given else None
        with transaction():
            read_notices([number or 0] if given else None)
        return redirect(local_path(request.form.get("back"), self.get_url(".index")))


class ReminderScreen(Screen):
    """A person's open next actions in all units."""

    icon = "clock"

    @expose("/")
    def index(self) -> Answer:
        """List the open ones, soonest first."""
        return self.render("my/reminders.html", rows=dashboard.reminders(g.actor.id, MOST), now=clock.now())


def admin_views() -> list[AdminEntry]:
    return [
        AdminEntry(InboxScreen(name=_l("Inbox"), endpoint="inbox", url="/admin/inbox"), WORK, 20),
        AdminEntry(ReminderScreen(name=_l("Reminders"), endpoint="reminders", url="/admin/reminders"), WORK, 30),
    ]
