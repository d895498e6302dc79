"""Webhooks of a unit: who is told of what, with which secret; and sending again what did not arrive."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l

from core.kernel import clock, outgoing
from core.kernel.access import require
from core.kernel.database import current_scope, fetch, release, session, transaction
from core.kernel.errors import Conflict, Refusal, Refused
from core.kernel.fields import Choices, Field
from core.kernel.ids import uuid7
from core.kernel.jobs import enqueue
from core.kernel.secrets import seal
from core.records.types import record_types, words_of

from .models import Webhook, WebhookDelivery

MANAGE = "webhook.admin"
PENDING, SENT, FAILED = "pending", "sent", "failed"
STATES = {PENDING: _l("Waiting"), SENT: _l("Delivered"), FAILED: _l("Given up")}
PING = "ping"
EVERY_RECORD = "record.*"
JOB = "webhooks.send"
SECRET_MARK = "whsec_"  # noqa: S105 - how a secret begins, not one


def topic_groups() -> list[tuple[Any, Choices]]:
    """Return what a webhook may be told of, by heading; a step that two types share stands with the first."""
    seen: set[str] = set()
    groups: list[tuple[Any, Choices]] = [
        (
            "",
            [
                (EVERY_RECORD, _l("Everything that happens to records")),
                ("record.registered", _l("A record was registered")),
            ],
        )
    ]
    for kind in record_types():
        steps = [(f"record.{one.name}", one.label) for one in words_of(kind.code).transitions.values()]
        groups.append((kind.title, [one for one in steps if one[0] not in seen]))
        seen.update(code for code, _label in steps)
    return groups


def topics() -> Choices:
    """Return every topic a webhook may be told of, with its label."""
    return [one for _heading, choices in topic_groups() for one in choices]


FIELDS = (
    Field("name", "text", _l("Name"), True, max_length=80),
    Field(
        "url",
        "text",
        _l("Address"),
        True,
        max_length=outgoing.LONGEST,
        help=_l("The program that is to be told, such as https://erp.example.com/hooks/service"),
        options={"wide": True},
    ),
    Field("topics", "many", _l("Told of"), True, topics, options={"groups": topic_groups}),
    Field("active", "bool", _l("In use"), default=True),
)


def wants(webhook: Webhook, topic: str) -> bool:
    """Tell whether a webhook is to be told of a topic."""
    return any(topic == one or (one.endswith("*") and topic.startswith(one[:-1])) for one in webhook.topics)


def create(unit_id: int, values: Mapping[str, Any]) -> tuple[Webhook, str]:
    """Add a webhook; return it with its secret, which is shown this once.

    Raises:
        NotAllowed: the actor may not manage webhooks of the unit.
        InvalidData: the address is not to be called.
    """
    require(MANAGE, unit_id)
    _check(values["url"])
    secret = _new_secret()
    with transaction() as work:
        row = Webhook(
            unit_id=unit_id,
            secret=seal(secret),
            created_at=clock.now(),
            created_by=current_scope().actor_id,
            **_columns(values),
        )
        work.add(row)
        work.flush()
    return row, secret


def change(webhook_id: object, values: Mapping[str, Any], version: str | None = None) -> Webhook:
    """Change a webhook; switched on again, it begins with a clean slate.

    Raises:
        NotFound, NotAllowed: as ever.
        InvalidData: the address is not to be called.
        Conflict: somebody changed it since ``version``.
    """
    _mine(webhook_id)
    _check(values["url"])
    with transaction():
        row = _mine(webhook_id)
        if version and version != str(row.version):
            raise Conflict()
        for name, value in _columns(values).items():
            setattr(row, name, value)
        if row.active:
            row.failures = 0
        session().flush()
    return row


def rotate(webhook_id: object) -> tuple[Webhook, str]:
    """Give a webhook a new secret, which is shown this once; the old one signs nothing any more.

    Raises:
        NotFound, NotAllowed: as ever.
    """
    secret = _new_secret()
    with transaction():
        row = _mine(webhook_id)
        row.secret = seal(secret)
        session().flush()
    return row, secret


def ping(webhook_id: object) -> WebhookDelivery:
    """Send a test message to a webhook.

    Raises:
        NotFound, NotAllowed: as ever.
        Refused: it is switched off.
    """
    with transaction() as work:
        row = _mine(webhook_id)
        _refuse_if_off(row)
        key = f"ping:{uuid7().hex}"
        moment = clock.now()
        delivery = WebhookDelivery(
            unit_id=row.unit_id,
            webhook_id=row.id,
            event_key=key,
            topic=PING,
            payload=message(PING, moment.isoformat(), {}),
            created_at=moment,
            next_try_at=moment,
        )
        work.add(delivery)
        work.flush()
        enqueue(JOB, row.unit_id, {"delivery": delivery.id}, in_own_name=False)
    return delivery


def send_again(delivery: WebhookDelivery) -> None:
    """Send a delivery again from the beginning, under the same id, whether it arrived before or not.

    Raises:
        NotAllowed: the actor may not manage webhooks of the unit.
        Refused: the webhook is switched off, or the delivery is on its way anyhow.
    """
    require(MANAGE, delivery.unit_id)
    with transaction() as work:
        _refuse_if_off(delivery.webhook)
        if delivery.state == PENDING:
            raise Refused([Refusal("pending", _l("This is on its way already"))])
        delivery.state, delivery.tries, delivery.next_try_at = PENDING, 0, clock.now()
        delivery.status, delivery.answer, delivery.sent_at = None, "", None
        work.flush()
        enqueue(JOB, delivery.unit_id, {"delivery": delivery.id}, in_own_name=False)


def message(topic: str, at: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is sent: small, and without personal data; whoever may know more asks the API."""
    return {"id": f"msg_{uuid7().hex}", "type": topic, "timestamp": at, "data": dict(data)}


def _mine(webhook_id: object) -> Webhook:
    row = fetch(Webhook, webhook_id)
    require(MANAGE, row.unit_id)
    return row


def _check(url: str) -> None:
    release()  # a name server may take its time, and nobody should wait for the database meanwhile
    outgoing.check_address(url)


def _columns(values: Mapping[str, Any]) -> dict[str, Any]:
    chosen: Sequence[str] = values["topics"]
    kept = [EVERY_RECORD] if EVERY_RECORD in chosen else list(dict.fromkeys(chosen))
    return {"name": values["name"], "url": values["url"], "topics": kept, "active": bool(values["active"])}


def _refuse_if_off(row: Webhook) -> None:
    if not row.active:
        raise Refused([Refusal("off", _l("The webhook is switched off"))])


def _new_secret() -> str:
    return SECRET_MARK + base64.b64encode(secrets.token_bytes(32)).decode()
