"""How one wants to be told, how positions are told, group robots, and the log of what was sent to whom."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import time
from typing import Any

from flask import flash, g, redirect, request, url_for
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, select
from sqlalchemy.orm import joinedload, load_only

from core.admin.categories import CONNECTIONS, WORK
from core.admin.forms import reason_text
from core.admin.listing import (
    BulkAction,
    Filter,
    ListColumn,
    ListContext,
    ListSpec,
    Ordering,
    QuickFilter,
    among,
    between,
)
from core.admin.views import Answer, ListScreen, Screen, UnitModelView
from core.kernel.database import fetch, session
from core.kernel.errors import AppError, InvalidData, NotFound
from core.kernel.extensions import AdminEntry
from core.kernel.fields import Field, label_of
from core.notices import kinds, preferences, robots, sending, transport, wiring
from core.notices.models import FAILED, PENDING, SENT, VOID, Delivery, Robot
from core.notices.preferences import Habits, Wishes, default_mode
from core.users import positions
from core.users.models import User

STATES: Mapping[str, tuple[Any, str]] = {
    PENDING: (_l("Waiting to be sent"), "info"),
    SENT: (_l("Sent"), "good"),
    FAILED: (_l("Given up"), "bad"),
    VOID: (_l("Not needed any more"), "neutral"),
}
WAYS: Mapping[str, Any] = {
    kinds.EMAIL: _l("By e-mail"),
    kinds.DIGEST: _l("Daily digest"),
    "robot": _l("Group robot"),
}
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


# --- how one is told -------------------------------------------------------------------------------


class MyNoticesScreen(Screen):
    """A person's own wishes: kind by kind and channel by channel, quiet hours, the digest."""

    icon = "bell"

    def is_visible(self) -> bool:
        """Keep it out of the menu: it belongs to the account, and the inbox leads here."""
        return False

    @expose("/", methods=("GET", "POST"))
    def index(self) -> Answer:
        """Show the wishes, or keep them."""
        wishes, habits, problems = preferences.my_wishes(), preferences.my_habits(), {}
        if request.method == "POST":
            wishes = _given_wishes()
            try:
                habits = _given_habits()
                preferences.save_mine(wishes, habits, g.unit.timezone)
            except InvalidData as bad:
                problems = bad.errors
            else:
                flash(_("Saved."), "good")
                return redirect(self.get_url(".index"))
        held = g.actor.positions.get(g.unit.id, frozenset())
        defaults = preferences.position_defaults()
        page = self.render(
            "my/notice_settings.html",
            groups=kinds.grouped(),
            channels=kinds.CHANNELS,
            modes=kinds.MODES,
            wishes=wishes,
            usual=lambda one, channel: default_mode(one.code, channel, held, defaults),
            habits=habits,
            given=request.form,
            problems=problems,
            user=fetch(User, g.actor.id),
        )
        return (page, 422) if problems else page


class PositionNoticesScreen(Screen):
    """How the holders of positions are told unless they say otherwise; for the whole deployment."""

    permission = preferences.ADMIN
    icon = "bell"

    @expose("/", methods=("GET", "POST"))
    def index(self) -> Answer:
        """Show or keep what one position is told."""
        known = positions.choices()
        chosen = request.values.get("position", "") or (known[0][0] if known else "")
        if known and chosen not in dict(known):
            raise NotFound()
        if request.method == "POST":
            try:
                preferences.save_position(chosen, _given_wishes(), g.unit.id)
            except InvalidData as bad:
                flash(reason_text(bad), "bad")
            else:
                flash(_("Saved."), "good")
            return redirect(self.get_url(".index", position=chosen))
        return self.render(
            "admin/notice_defaults.html",
            known=known,
            chosen=chosen,
            groups=kinds.grouped(),
            channels=kinds.CHANNELS,
            modes=kinds.MODES,
            wishes=preferences.position_defaults().get(chosen, {}),
            usual=lambda one, channel: one.usual(channel),
            problems={},
        )


def _given_wishes() -> Wishes:
    """Read the table: ``email.assigned=off``; what is left empty is no wish."""
    found: Wishes = {}
    for channel in kinds.CHANNELS:
        for one in kinds.kinds():
            mode = request.form.get(f"{channel}.{one.code}", "")
            if mode:
                found[one.code, channel] = mode
    return found


def _given_habits() -> Habits:
    times = {name: _time(name) for name in ("quiet_from", "quiet_to", "digest_at")}
    return Habits(times["quiet_from"], times["quiet_to"], times["digest_at"] or preferences.DIGEST_AT)


def _time(name: str) -> time | None:
    text = request.form.get(name, "").strip()[:5]
    if not text:
        return None
    if not _CLOCK.fullmatch(text):
        raise InvalidData({name: _l("Please enter a time such as 22:00")})
    return time.fromisoformat(text)


# --- robots ------------------------------------------------------------------------------------------


def _kinds_text(row: Robot) -> str:
    words = dict(kinds.for_robots())
    return _(", ").join(str(words.get(one, one)) for one in row.kinds)


def _robot_url(row: Robot) -> str:
    return url_for("robots.details_view", id=row.id)


ROBOTS = ListSpec(
    name="robots",
    title=_l("Group robots"),
    model=Robot,
    columns=(
        ListColumn("name", _l("Name"), lambda row: row.name, link=_robot_url, card="title"),
        ListColumn("kind", _l("Kind"), lambda row: label_of(list(transport.KINDS.items()), row.kind)),
        ListColumn("address", _l("Address"), robots.masked, "code"),
        ListColumn("kinds", _l("Told of"), _kinds_text),
        ListColumn("active", _l("In use"), lambda row: row.active, "bool"),
    ),
    orderings=(Ordering("id", _l("Newest first"), (Robot.id,)),),
    empty=_l("No robots yet. Add the robot of your WeCom, DingTalk or Feishu group and say what it is told of."),
)


class RobotScreen(UnitModelView):
    """The unit's group robots: added, changed, tried out, switched off."""

    title = _l("Group robots")
    permission = create_permission = edit_permission = robots.ADMIN
    icon = "chat"
    create_label = _l("New robot")
    details_template = "admin/robot.html"

    def list_spec(self) -> ListSpec:
        return ROBOTS

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        kept = _l("Leave it empty to keep the present one") if row else ""
        secret = {"attributes": {"autocomplete": "off"}}
        return (
            Field("name", "text", _l("Name"), True, max_length=80),
            Field("kind", "choice", _l("Kind"), True, list(transport.KINDS.items())),
            Field(
                "url",
                "text",
                _l("Address"),
                row is None,
                max_length=500,
                help=kept,
                options=secret | {"wide": True},
            ),
            Field(
                "secret",
                "text",
                _l("Signing secret"),
                max_length=200,
                help=_l("Of DingTalk and Feishu robots that are protected by a signature"),
                options=secret,
            ),
            Field("locale", "choice", _l("Language"), True, (("zh", "中文"), ("en", "English")), default="zh"),
            Field("kinds", "many", _l("Told of"), choices=kinds.for_robots),
            Field("active", "bool", _l("In use"), default=True),
        )

    def form_values(self, row: Any) -> dict[str, Any]:
        return {name: getattr(row, name) for name in ("name", "kind", "locale", "kinds", "active")}

    def details(self, row: Any) -> dict[str, Any]:
        latest = (
            select(Delivery)
            .where(Delivery.unit_id == row.unit_id, Delivery.robot_id == row.id)
            .order_by(Delivery.id.desc())
            .limit(10)
        )
        facts = [
            (_("Kind"), label_of(list(transport.KINDS.items()), row.kind)),
            (_("Address"), robots.masked(row)),
            (_("Told of"), _kinds_text(row) or "—"),
            (_("In use"), _("Yes") if row.active else _("No")),
        ]
        return {
            "facts": facts,
            "latest": session().scalars(latest).all(),
            "badge_of": state_badge,
            "title_of": kinds.title,
        }

    def create(self, values: dict[str, Any]) -> Any:
        return robots.save_robot(g.unit.id, values)

    def update(self, row: Any, values: dict[str, Any]) -> None:
        robots.save_robot(row.unit_id, values, row)

    @expose("/test/", methods=("POST",))
    def test_view(self) -> Answer:
        """Send a test message and say how it went."""
        row = self.get_one(request.form.get("id"))
        try:
            went = robots.test(row)
        except AppError as bad:
            flash(reason_text(bad), "bad")
        else:
            if went.state == SENT:
                flash(_("The test message was sent. Look whether it has arrived in the group."), "good")
            else:
                flash(_("The test message was not taken: %(why)s", why=went.error), "bad")
        return redirect(self.get_url(".details_view", id=row.id))


# --- the log -----------------------------------------------------------------------------------------


def reason(row: Delivery) -> Any:
    """Return why a message was not sent (yet), in the reader's language where it is one of ours."""
    return sending.REASONS.get(row.error, row.error)


def state_badge(row: Delivery) -> tuple[Any, str]:
    """Return how far a message is, and the colour of it."""
    return STATES.get(row.state, (row.state, "neutral"))


def _whom(row: Delivery) -> str:
    if row.robot is not None:
        return row.robot.name
    return row.user.name if row.user else ""


def _log() -> Select[Any]:
    return select(Delivery).options(
        joinedload(Delivery.user).options(load_only(User.name)),
        joinedload(Delivery.robot).options(load_only(Robot.name)),
    )


def _by_person(statement: Select[Any], text: str, _context: ListContext) -> Select[Any]:
    named = select(User.id).where(User.name.startswith(text, autoescape=True))
    return statement.where(Delivery.user_id.in_(named))


def _again(row: Delivery, _values: dict[str, Any]) -> None:
    sending.send_again(row)
    wiring.wake()


def _message_url(row: Delivery) -> str:
    return url_for("notice_log.message", id=row.id)


LOG = ListSpec(
    name="notice_log",
    title=_l("Sent messages"),
    model=Delivery,
    base=_log,
    columns=(
        ListColumn(
            "kind", _l("Kind of notice"), lambda row: kinds.title(row.kind), link=_message_url, card="title"
        ),
        ListColumn("state", _l("State"), lambda row: state_badge(row), "badge", card="badge"),
        ListColumn("whom", _l("Sent to"), _whom),
        ListColumn("channel", _l("Way"), lambda row: WAYS.get(row.channel, row.channel)),
        ListColumn("address", _l("Address"), lambda row: row.address),
        ListColumn("subject", _l("Subject line"), lambda row: row.subject),
        ListColumn("created", _l("When"), lambda row: row.created_at, "moment", order="newest"),
        ListColumn("sent", _l("Sent at"), lambda row: row.sent_at, "moment"),
        ListColumn("error", _l("Reason"), reason),
        ListColumn("tries", _l("Tries"), lambda row: row.tries, "number", visible=False),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Delivery.id,)),),
    filters=(
        Filter("state", _l("State"), "choice", among(Delivery.state), [(c, w) for c, (w, _t) in STATES.items()]),
        Filter("channel", _l("Way"), "choice", among(Delivery.channel), list(WAYS.items())),
        Filter(
            "kind",
            _l("Kind of notice"),
            "choice",
            among(Delivery.kind),
            lambda: [(one.code, one.title) for one in kinds.kinds()] + [(kinds.TEST, kinds.title(kinds.TEST))],
        ),
        Filter("created", _l("When"), "dates", between(Delivery.created_at)),
    ),
    quick=(
        QuickFilter("failed", _l("Given up"), lambda s, _c: s.where(Delivery.state == FAILED)),
        QuickFilter("pending", _l("Waiting to be sent"), lambda s, _c: s.where(Delivery.state == PENDING)),
    ),
    actions=(BulkAction("again", _l("Send again"), _again, sending.LOG),),
    search=_by_person,
    search_hint=_l("Name of the person"),
    empty=_l("Nothing was sent yet. Mails need a mail server in the deployment's settings, groups a robot."),
)


class LogScreen(ListScreen):
    """What was sent to whom, when, by which way, and how it went."""

    permission = sending.LOG
    model = Delivery
    icon = "send"

    def list_spec(self) -> ListSpec:
        return LOG

    def row_url(self, row: Delivery) -> str:
        return _message_url(row)

    @expose("/message/")
    def message(self) -> Answer:
        """Show one message as it was sent."""
        row = fetch(Delivery, request.args.get("id"), query=_log())
        if not g.actor.may(sending.LOG, row.unit_id):
            raise NotFound()
        return self.render(
            "admin/message.html", row=row, badge_of=state_badge, ways=WAYS, whom=_whom, reason=reason
        )


def admin_views() -> list[AdminEntry]:
    """Return the screens for the menu."""
    mine = MyNoticesScreen(name=_l("My notice settings"), endpoint="my_notices", url="/admin/my-notices")
    preset = PositionNoticesScreen(
        name=_l("Notices by position"), endpoint="notice_defaults", url="notice-defaults"
    )
    return [
        AdminEntry(mine, WORK, 35),
        AdminEntry(RobotScreen(Robot, endpoint="robots", url="/admin/robots"), CONNECTIONS, 20),
        AdminEntry(preset, CONNECTIONS, 10),
        AdminEntry(LogScreen(name=_l("Sent messages"), endpoint="notice_log", url="notice-log"), CONNECTIONS, 30),
    ]
