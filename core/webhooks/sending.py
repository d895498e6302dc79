"""From an event to an answer: who is told, the signature, the tries, and when a webhook is given up.

One delivery per webhook and event, however often the event comes. A delivery is taken by counting its try, so that
two workers do not send it at the same time; what a killed worker had in hand is sent again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import CursorResult, delete, select, update
from sqlalchemy.orm import joinedload

from core.kernel import clock, outgoing
from core.kernel.database import fetch, insert_once, session, transaction
from core.kernel.errors import AppError
from core.kernel.extensions import Event
from core.kernel.jobs import Job, Periodic, Work, enqueue
from core.kernel.secrets import unseal
from core.records.models import Notice, Record
from core.records.services import put_notices
from core.units.facts import unit_facts
from core.users.models import Position
from core.users.services import holders

from .models import Webhook, WebhookDelivery
from .services import FAILED, JOB, MANAGE, PENDING, SECRET_MARK, SENT, message, wants

TIMEOUT = 10.0
LEASE = timedelta(seconds=30)
# A day and an hour between the first try and the last.
WAITS = tuple(timedelta(seconds=one) for one in (10, 60, 300, 1800, 7200, 18_000, 28_800, 36_000))
MAX_TRIES = len(WAITS) + 1
MAX_FAILURES = 10  # deliveries given up in a row
GONE = 410  # the receiver says: never again
KEEP = timedelta(days=30)
OVERDUE = timedelta(minutes=10)
OFF_NOTICE = "webhook.off"


def on_event(event: Event) -> None:
    """Make a delivery for each webhook of the event's unit that wants it. Bears repetition.

    Works in the session of whoever tells (the job runner's, which holds SQLite's write lock already).
    """
    if event.unit_id is None:
        return
    wanted = select(Webhook).where(Webhook.unit_id == event.unit_id, Webhook.active)
    told = [one.id for one in session().scalars(wanted) if wants(one, event.topic)]
    if not told:
        return
    # The number alone may come again where old messages were dropped; not together with the moment.
    key = f"{event.id}:{event.at.isoformat()}"
    with transaction():
        data = _data(event)
        for webhook_id in told:
            _deliver_once(webhook_id, key, event, data)


def _data(event: Event) -> dict[str, Any]:
    """Return what is told of an event: names of things that the API knows, nothing about people."""
    found: dict[str, Any] = {"unit": unit_facts(cast(int, event.unit_id)).code}
    wanted = select(Record).where(Record.id == event.payload.get("record_id"), Record.unit_id == event.unit_id)
    record = session().scalars(wanted).first() if event.payload.get("record_id") else None
    if record is not None:
        found["record"] = {
            "uid": str(record.uid),
            "number": record.number,
            "type": record.type,
            "state": record.state,
        }
    return found


def _deliver_once(webhook_id: int, key: str, event: Event, data: dict[str, Any]) -> None:
    moment = clock.now()
    row = {
        "unit_id": event.unit_id,
        "webhook_id": webhook_id,
        "event_key": key,
        "topic": event.topic,
        "payload": message(event.topic, event.at.isoformat(), data),
        "state": PENDING,
        "tries": 0,
        "answer": "",
        "created_at": moment,
        "next_try_at": moment,
    }
    if not insert_once(WebhookDelivery, row):
        return
    mine = (WebhookDelivery.webhook_id == webhook_id, WebhookDelivery.event_key == key)
    delivery_id = session().scalars(select(WebhookDelivery.id).where(*mine)).one()
    enqueue(JOB, event.unit_id, {"delivery": delivery_id})


# --- one try --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Taken:
    """A delivery in hand: all that is needed without the database."""

    id: int
    webhook_id: int
    url: str
    secret: str
    payload: dict[str, Any]
    tries: int


@dataclass(frozen=True)
class _Outcome:
    status: int | None
    text: str

    @property
    def good(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def send(work: Work) -> None:
    """Try one delivery; keep what came of it and see to the next try."""
    taken = _take(int(work.payload["delivery"]))
    if taken is not None:
        _keep(taken, _try(taken))


def _take(delivery_id: int) -> _Taken | None:
    """Count a try and lease the delivery; None: nothing to do, or another worker is at it."""
    moment = clock.now()
    with transaction() as work:
        found = select(WebhookDelivery).options(joinedload(WebhookDelivery.webhook))
        row = work.scalars(found.where(WebhookDelivery.id == delivery_id)).first()
        if row is None or row.state != PENDING:
            return None
        if row.next_try_at > moment:
            # In another worker's hands, which may have died with it.
            enqueue(JOB, row.unit_id, {"delivery": row.id}, at=row.next_try_at)
            return None
        if not row.webhook.active:
            row.state, row.answer = FAILED, _("The webhook is switched off")
            return None
        mine = (WebhookDelivery.id == row.id, WebhookDelivery.tries == row.tries)
        leased = update(WebhookDelivery).where(*mine, WebhookDelivery.state == PENDING)
        values = {"tries": row.tries + 1, "next_try_at": moment + LEASE}
        claimed = work.execute(leased.values(values).execution_options(synchronize_session=False))
        if not cast("CursorResult[Any]", claimed).rowcount:
            return None
        hook = row.webhook
        return _Taken(row.id, hook.id, hook.url, unseal(hook.secret), dict(row.payload), row.tries + 1)


def _try(taken: _Taken) -> _Outcome:
    body = json.dumps(taken.payload, ensure_ascii=False, separators=(",", ":")).encode()
    stamp = int(clock.now().timestamp())
    try:
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "webhook-id": taken.payload["id"],
            "webhook-timestamp": str(stamp),
            "webhook-signature": sign(taken.secret, taken.payload["id"], stamp, body),
        }
        answer = outgoing.post(taken.url, body, headers, TIMEOUT)
    except AppError as error:
        return _Outcome(None, "; ".join(str(one) for one in error.texts()))
    return _Outcome(answer.status, answer.text)


def sign(secret: str, message_id: str, stamp: int, body: bytes) -> str:
    """Return the signature of a message: HMAC-SHA256 over id, time (seconds since 1970) and body.

    Raises:
        AppError: the secret cannot be read (the deployment's key is another one).
    """
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_MARK), validate=True)
    except binascii.Error:
        key = b""
    if not key:
        raise AppError(_l("The secret cannot be read; give the webhook a new one"))
    made = hmac.new(key, f"{message_id}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(made).decode()}"


def _keep(taken: _Taken, outcome: _Outcome) -> None:
    moment = clock.now()
    last = taken.tries >= MAX_TRIES or outcome.status == GONE
    with transaction() as work:
        row = fetch(WebhookDelivery, taken.id)
        if row.state != PENDING or row.tries != taken.tries:
            return  # somebody sent it again meanwhile: that try counts
        row.status, row.answer = outcome.status, outcome.text[:500]
        if outcome.good:
            row.state, row.sent_at = SENT, moment
            _count(taken.webhook_id, 0)
        elif last:
            row.state = FAILED
            _given_up(taken.webhook_id, at_once=outcome.status == GONE)
        else:
            row.next_try_at = moment + WAITS[taken.tries - 1]
            enqueue(JOB, row.unit_id, {"delivery": row.id}, at=row.next_try_at)
        work.flush()


def _count(webhook_id: int, failures: Any) -> None:
    """Keep how many deliveries were given up in a row; bookkeeping, so no version and no audit entry."""
    change = update(Webhook).where(Webhook.id == webhook_id, Webhook.failures != failures)
    options = {"audited": "bookkeeping", "synchronize_session": False}
    session().execute(change.values(failures=failures), execution_options=options)


def _given_up(webhook_id: int, *, at_once: bool) -> None:
    _count(webhook_id, Webhook.failures + 1)
    hook = (
        session()
        .scalars(select(Webhook).where(Webhook.id == webhook_id).execution_options(populate_existing=True))
        .one()
    )
    if not hook.active or not (at_once or hook.failures >= MAX_FAILURES):
        return
    hook.active = False
    moment = clock.now()
    put_notices(
        Notice(user_id=one, unit_id=hook.unit_id, kind=OFF_NOTICE, text=hook.name, at=moment)
        for one in _keepers(hook.unit_id)
    )


def _keepers(unit_id: int) -> set[int]:
    codes = [one.code for one in session().scalars(select(Position)) if MANAGE in one.permissions]
    return {user_id for code in codes for user_id, _name in holders(code, unit_id)}


# --- housekeeping ---------------------------------------------------------------------------------


def tidy(unit_id: int) -> None:
    """Drop a unit's old deliveries, and wake those that nobody has in hand though their time has come."""
    moment = clock.now()
    mine = WebhookDelivery.unit_id == unit_id
    with transaction() as work:
        old = delete(WebhookDelivery).where(mine, WebhookDelivery.created_at < moment - KEEP)
        work.execute(old.where(WebhookDelivery.state != PENDING))
        slept = select(WebhookDelivery.id).where(mine, WebhookDelivery.state == PENDING)
        for delivery_id in list(work.scalars(slept.where(WebhookDelivery.next_try_at < moment - OVERDUE))):
            enqueue(JOB, unit_id, {"delivery": delivery_id})


JOBS = (
    Job(JOB, _l("Send to a webhook"), send),
    Periodic("webhooks.tidy", _l("Tidy the log of webhooks"), tidy, timedelta(hours=1)),
)
