"""A person's inbox and next actions."""

from __future__ import annotations

from flask import g, redirect, request
from flask_admin import expose
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from core.admin import dashboard
from core.admin.categories import WORK
from core.admin.urls import local_path
from core.admin.views import Answer, Screen
from core.kernel import clock
from core.kernel.database import session, transaction
from core.kernel.extensions import AdminEntry
from core.kernel.ids import read_id
from core.notices import kinds
from core.notices.models import Delivery
from core.records.models import Notice
from core.records.services import read_notices

from . import notices

MOST = 200


class InboxScreen(Screen):
    """What happened to a person's records: assigned, chased, mentioned, followed."""

    icon = "bell"

    @expose("/")
    def index(self) -> Answer:
        """Show the inbox; ``all=1`` shows what was read too."""
        everything = request.args.get("all") == "1"
        rows = dashboard.notices(g.actor.id, MOST, unread=not everything)
        return self.render("my/inbox.html", rows=rows, everything=everything, notice_title=kinds.title)

    @expose("/sent/")
    def sent(self) -> Answer:
        """Show what was sent to the person by e-mail, and what waits for their digest."""
        mine = select(Delivery).where(Delivery.user_id == g.actor.id).order_by(Delivery.id.desc()).limit(MOST)
        rows = session().scalars(mine.options(joinedload(Delivery.notice).joinedload(Notice.record))).all()
        return self.render(
            "my/sent.html", rows=rows, notice_title=kinds.title, badge_of=notices.state_badge, reason=notices.reason
        )

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
