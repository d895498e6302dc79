"""Webhooks of the unit: the addresses that are told, their secrets, and the log of what was sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import flash, g, redirect, request, url_for
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, select
from sqlalchemy.orm import joinedload

from core.admin.categories import CONNECTIONS
from core.admin.forms import form_from_fields, reason_text
from core.admin.listing import BulkAction, Filter, ListColumn, ListSpec, Ordering, QuickFilter, among, between
from core.admin.views import Answer, ListScreen, UnitModelView
from core.kernel.database import session
from core.kernel.errors import Conflict, InvalidData, Refused
from core.kernel.extensions import AdminEntry
from core.kernel.fields import Choices, Field, label_of
from core.webhooks import services
from core.webhooks.models import Webhook, WebhookDelivery
from core.webhooks.services import FAILED, MANAGE, PENDING, SENT, STATES

_TONES = {PENDING: "info", SENT: "good", FAILED: "bad"}


def _url(row: Webhook) -> str:
    return url_for("webhooks.edit_view", id=row.id)


def _state(row: Webhook) -> tuple[Any, str]:
    if not row.active:
        return _("Off"), "bad" if row.failures else "neutral"
    return (_("In trouble"), "warn") if row.failures else (_("In use"), "good")


def _topics(row: Webhook) -> str:
    known = services.topics()
    return _(", ").join(str(label_of(known, one)) for one in row.topics)


WEBHOOKS = ListSpec(
    name="webhooks",
    title=_l("Webhooks"),
    model=Webhook,
    columns=(
        ListColumn("name", _l("Name"), lambda row: row.name, link=_url, card="title"),
        ListColumn("state", _l("State"), _state, "badge", card="badge"),
        ListColumn("url", _l("Address"), lambda row: row.url),
        ListColumn("topics", _l("Told of"), _topics),
        ListColumn("failures", _l("Given up in a row"), lambda row: row.failures or "", "number"),
    ),
    orderings=(Ordering("id", _l("Newest first"), (Webhook.id,)),),
    empty=_l("No webhooks yet. Add the address of a program that is to be told when records move."),
)


def _chosen() -> Choices:
    """Return the unit's webhooks by id, for the filter of the log."""
    rows = session().execute(select(Webhook.id, Webhook.name).where(Webhook.unit_id == g.unit.id).limit(100))
    return [(str(row.id), row.name) for row in rows]


def _base() -> Select[Any]:
    return select(WebhookDelivery).options(joinedload(WebhookDelivery.webhook))


def _by_webhook(statement: Select[Any], codes: list[str], _context: Any) -> Select[Any]:
    return statement.where(WebhookDelivery.webhook_id.in_([int(one) for one in codes]))


def _topic(row: WebhookDelivery) -> str:
    return _("Test message") if row.topic == services.PING else str(label_of(services.topics(), row.topic))


def _said(row: WebhookDelivery) -> str:
    return f"{row.status or ''} {' '.join(row.answer.split())[:120]}".strip()


LOG = ListSpec(
    name="webhook_log",
    title=_l("Log of webhooks"),
    model=WebhookDelivery,
    base=_base,
    columns=(
        ListColumn("at", _l("When"), lambda row: row.created_at, "moment", card="title"),
        ListColumn("state", _l("State"), lambda row: (STATES[row.state], _TONES[row.state]), "badge", card="badge"),
        ListColumn("webhook", _l("Webhook"), lambda row: row.webhook.name),
        ListColumn("topic", _l("Event"), _topic),
        ListColumn("record", _l("Record"), lambda row: _record(row).get("number", ""), "code"),
        ListColumn("said", _l("Answer"), _said),
        ListColumn("tries", _l("Tries"), lambda row: row.tries, "number"),
        ListColumn("next", _l("Next try"), lambda row: _next_try(row), "moment"),
        ListColumn("message", _l("Message id"), lambda row: row.payload.get("id", ""), "code", visible=False),
    ),
    orderings=(Ordering("id", _l("Newest first"), (WebhookDelivery.id,)),),
    filters=(
        Filter("webhook", _l("Webhook"), "choice", _by_webhook, _chosen),
        Filter("state", _l("State"), "choice", among(WebhookDelivery.state), tuple(STATES.items())),
        Filter("at", _l("When"), "dates", between(WebhookDelivery.created_at)),
    ),
    quick=(QuickFilter("failed", STATES[FAILED], lambda s, _c: s.where(WebhookDelivery.state == FAILED)),),
    actions=(
        BulkAction("again", _l("Send again"), lambda row, _values: services.send_again(row), permission=MANAGE),
    ),
    empty=_l("Nothing was sent yet. What happens from now on is sent and kept here for 30 days."),
)


def _record(row: WebhookDelivery) -> dict[str, Any]:
    found: dict[str, Any] = row.payload.get("data", {}).get("record") or {}
    return found


def _next_try(row: WebhookDelivery) -> Any:
    return row.next_try_at if row.state == PENDING and row.tries else None


class WebhookScreen(UnitModelView):
    """Webhooks: added, changed, tried, given a new secret."""

    title = _l("Webhooks")
    permission = create_permission = edit_permission = MANAGE
    icon = "send"
    create_label = _l("New webhook")
    list_template = "admin/webhooks.html"
    form_template = "admin/webhook_form.html"

    def list_spec(self) -> ListSpec:
        return WEBHOOKS

    def row_url(self, row: Any) -> str:
        return str(self.get_url(".edit_view", id=row.id))

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        return services.FIELDS

    @expose("/new/", methods=("GET", "POST"))
    def create_view(self) -> Answer:
        """Show the form of a new webhook, or add it and show its secret, this once."""
        form = form_from_fields(services.FIELDS, {"active": True}, timezone=g.unit.timezone)
        if request.method == "POST" and form.validate_on_submit():
            try:
                row, secret = services.create(g.unit.id, form.cleaned)
            except InvalidData as bad:
                form.show(bad)
            else:
                return self._secret(row, secret)
        return self._form_page(form, None)

    @expose("/edit/", methods=("GET", "POST"))
    def edit_view(self) -> Answer:
        """Show a webhook, or change it."""
        row = self.get_one(request.args.get("id"))
        form = form_from_fields(services.FIELDS, self.form_values(row), timezone=g.unit.timezone)
        if request.method != "POST" or not form.validate_on_submit():
            return self._form_page(form, row)
        try:
            services.change(row.id, form.cleaned, request.form.get("version"))
        except InvalidData as bad:
            form.show(bad)
        except Conflict:
            form.problems.append(Conflict.title)
            return self._form_page(form, row, 409)
        else:
            flash(_("Saved."), "good")
            return redirect(self.get_url(".index_view"))
        return self._form_page(form, self.get_one(request.args.get("id")))

    @expose("/secret/", methods=("POST",))
    def secret_view(self) -> Answer:
        """Give a webhook a new secret and show it, this once."""
        return self._secret(*services.rotate(request.form.get("id")))

    @expose("/test/", methods=("POST",))
    def test_view(self) -> Answer:
        """Send a test message; what comes of it stands in the log."""
        try:
            delivery = services.ping(request.form.get("id"))
        except Refused as bad:
            flash(reason_text(bad), "bad")
            return redirect(self.get_url(".index_view"))
        flash(_("A test message is on its way. Reload to see what came of it."), "good")
        return redirect(url_for("webhook_log.index_view", f_webhook=delivery.webhook_id))

    def _secret(self, row: Webhook, secret: str) -> Answer:
        return self.render("admin/webhook_secret.html", row=row, secret=secret, edit=_url(row))


class WebhookLog(ListScreen):
    """Every delivery: what was sent, what was answered; any of them can be sent again."""

    model = WebhookDelivery
    permission = MANAGE
    icon = "list"
    list_template = "admin/webhooks.html"

    def is_visible(self) -> bool:
        """Reached from the list of webhooks."""
        return False

    def list_spec(self) -> ListSpec:
        return LOG


def admin_views() -> list[AdminEntry]:
    log = WebhookLog(name=_l("Log of webhooks"), endpoint="webhook_log", url="/admin/webhook-log")
    return [
        AdminEntry(WebhookScreen(Webhook, endpoint="webhooks", url="/admin/webhooks"), CONNECTIONS, 60),
        AdminEntry(log, CONNECTIONS, 61),
    ]
