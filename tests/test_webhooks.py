"""Webhooks: told once, signed, tried for a day, sent again, never towards inner addresses."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from core.jobs import runner
from core.kernel import clock
from core.kernel.audit import Audit
from core.kernel.database import system_scope
from core.kernel.errors import InvalidData, NotAllowed, Refused
from core.kernel.extensions import Event
from core.kernel.jobs import Work
from core.kernel.settings import ROOT
from core.records.models import Notice, Record
from core.webhooks import sending, services
from core.webhooks.models import Webhook, WebhookDelivery
from tests.casework import Office, make_office, reading
from tests.helpers import as_system, in_scope, login, make_unit, make_user
from tests.receivers import Saying, listening

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nthanks"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"
GONE = b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"
START = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def reachable(whole_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(whole_app.extensions["settings"], outgoing_allow=("127.0.0.1",))
    monkeypatch.setitem(whole_app.extensions, "settings", settings)


@pytest.fixture
def receiver() -> Iterator[tuple[Saying, str]]:
    said = Saying(OK)
    with listening(said) as port:
        yield said, f"http://127.0.0.1:{port}/hook"


def add(office: Office, url: str, *topics: str) -> tuple[int, str]:
    values = {"name": "ERP", "url": url, "topics": list(topics) or ["record.*"], "active": True}
    with office.at_desk():
        row, secret = services.create(office.unit.id, values)
        return row.id, secret


def deliveries() -> list[WebhookDelivery]:
    with reading() as work:
        return list(work.scalars(select(WebhookDelivery).order_by(WebhookDelivery.id)))


def hook(webhook_id: int) -> Webhook:
    with reading() as work:
        return work.scalars(select(Webhook).where(Webhook.id == webhook_id)).one()


def run(app: Flask) -> None:
    runner.run_once(app, tidy=False)


def parts(request: bytes) -> tuple[dict[str, str], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    lines = [one.decode().split(": ", 1) for one in head.split(b"\r\n")[1:]]
    return {name.lower(): value for name, value in lines}, body


def test_a_step_is_told_once_signed_and_without_the_customer(app: Flask, receiver: tuple[Saying, str]) -> None:
    said, url = receiver
    office = make_office()
    other = make_office()
    webhook_id, secret = add(office, url)
    add(other, url)  # another unit's: hears nothing of this one
    add(office, url, "record.cancel")  # wants something else
    case = office.new_case()
    run(app)
    (request,) = said.heard
    headers, body = parts(request)
    told = json.loads(body)
    with reading() as work:
        record = work.scalars(select(Record).where(Record.id == case)).one()
    assert told["type"] == "record.registered"
    assert told["data"] == {
        "unit": office.unit.code,
        "record": {"uid": str(record.uid), "number": record.number, "type": "case", "state": record.state},
    }
    assert set(told) == {"id", "type", "timestamp", "data"}
    for personal in ("马林", "13112355344", "盟新", "文三路", "点火"):
        assert personal not in body.decode()
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    right = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{right}"
    assert headers["webhook-id"] == told["id"]
    (kept,) = deliveries()
    assert (kept.webhook_id, kept.state, kept.status, kept.answer, kept.tries) == (
        webhook_id,
        services.SENT,
        200,
        "thanks",
        1,
    )


def test_an_event_that_comes_again_is_sent_once(app: Flask, receiver: tuple[Saying, str]) -> None:
    said, url = receiver
    office = make_office()
    add(office, url)
    event = Event(7, "record.close", office.unit.id, {}, START)
    with as_system():
        for _turn in range(2):
            sending.on_event(event)
        sending.on_event(Event(8, "record.close", None, {}, START))
        sending.on_event(Event(9, "other.topic", office.unit.id, {}, START))
    run(app)
    run(app)
    assert len(said.heard) == 1
    # The same number again, after old messages were dropped, is another event.
    with as_system():
        sending.on_event(replace(event, at=START + timedelta(days=9)))
    run(app)
    assert len(said.heard) == 2


def test_two_workers_with_the_same_delivery_send_it_once(app: Flask, receiver: tuple[Saying, str]) -> None:
    said, url = receiver
    office = make_office()
    add(office, url)
    with as_system():
        sending.on_event(Event(7, "record.close", office.unit.id, {}, START))
    (row,) = deliveries()
    start = threading.Barrier(4)

    def work() -> None:
        start.wait(10)
        with app.app_context(), system_scope("test"):
            sending.send(Work("key", office.unit.id, {"delivery": row.id}))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(20)
    assert len(said.heard) == 1
    assert deliveries()[0].state == services.SENT


def test_tries_go_on_for_a_day_then_it_can_be_sent_again(sqlite_app: Flask, receiver: tuple[Saying, str]) -> None:
    said, url = receiver
    said.answer = BUSY
    office = make_office()
    webhook_id, _secret = add(office, url)
    with clock.frozen(START):
        with as_system():
            sending.on_event(Event(7, "record.close", office.unit.id, {}, START))
        run(sqlite_app)
        run(sqlite_app)
    assert len(said.heard) == 1
    moment = START
    for wait in sending.WAITS:
        (row,) = deliveries()
        assert row.state == services.PENDING and row.next_try_at == moment + wait
        with clock.frozen(moment + wait - timedelta(seconds=1)):
            run(sqlite_app)
        moment += wait
        before = len(said.heard)
        with clock.frozen(moment):
            run(sqlite_app)
        assert len(said.heard) == before + 1
    assert timedelta(hours=20) < moment - START < timedelta(hours=36)
    (row,) = deliveries()
    assert (row.state, row.status, row.answer, row.tries) == (services.FAILED, 503, "busy", sending.MAX_TRIES)
    assert hook(webhook_id).failures == 1
    ids = {parts(one)[0]["webhook-id"] for one in said.heard}
    assert len(ids) == 1
    said.answer = OK
    with clock.frozen(moment + timedelta(days=1)):
        with office.at_desk() as work:
            services.send_again(work.scalars(select(WebhookDelivery)).one())
        run(sqlite_app)
    (row,) = deliveries()
    assert (row.state, row.tries) == (services.SENT, 1)
    assert {parts(one)[0]["webhook-id"] for one in said.heard} == ids
    found = hook(webhook_id)
    assert (found.failures, found.version) == (0, 1)  # counting does not disturb whoever has the form open


def test_a_killed_worker_loses_nothing(sqlite_app: Flask, receiver: tuple[Saying, str]) -> None:
    said, url = receiver
    office = make_office()
    add(office, url)
    with clock.frozen(START):
        with as_system():
            sending.on_event(Event(7, "record.close", office.unit.id, {}, START))
        with as_system():
            assert sending._take(deliveries()[0].id) is not None  # and dies with it
        run(sqlite_app)
        assert said.heard == []
    with clock.frozen(START + timedelta(minutes=5)):
        run(sqlite_app)
    assert len(said.heard) == 1


def test_many_lost_messages_switch_it_off_and_its_keepers_are_told(
    sqlite_app: Flask, receiver: tuple[Saying, str]
) -> None:
    said, url = receiver
    said.answer = GONE
    office = make_office()
    gone_id, _secret = add(office, url)
    with as_system():
        sending.on_event(Event(1, "record.close", office.unit.id, {}, START))
    run(sqlite_app)
    assert not hook(gone_id).active  # 410: the receiver wants no more
    said.answer = BUSY
    busy_id, _secret = add(office, url)
    with as_system():
        for number in range(sending.MAX_FAILURES + 1):
            sending.on_event(Event(10 + number, "record.close", office.unit.id, {}, START))
    with as_system() as work:
        for row in work.scalars(select(WebhookDelivery).where(WebhookDelivery.webhook_id == busy_id)):
            row.tries = sending.MAX_TRIES - 1
    run(sqlite_app)
    found = hook(busy_id)
    assert (found.active, found.failures) == (False, sending.MAX_FAILURES)
    assert len(said.heard) == 1 + sending.MAX_FAILURES  # the last of them was not even tried
    with reading() as work:
        told = list(work.execute(select(Notice.user_id, Notice.kind).where(Notice.unit_id == office.unit.id)))
    assert told == [(office.desk.id, sending.OFF_NOTICE)] * 2
    with office.at_desk() as work, pytest.raises(Refused):
        services.send_again(work.scalars(select(WebhookDelivery)).first())
    values = {"name": "ERP", "url": url, "topics": ["record.*"], "active": True}
    with office.at_desk():
        assert services.change(busy_id, values).failures == 0


def test_inner_addresses_are_refused_when_saved_and_when_sent(
    sqlite_app: Flask, receiver: tuple[Saying, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said, url = receiver
    office = make_office()
    webhook_id, _secret = add(office, url)
    bare = replace(sqlite_app.extensions["settings"], outgoing_allow=())
    monkeypatch.setitem(sqlite_app.extensions, "settings", bare)
    for bad in (url, "http://169.254.169.254/", "http://localhost/", "ftp://example.com/", "http://[::1]/"):
        with pytest.raises(InvalidData) as refused:
            add(office, bad)
        assert list(refused.value.errors) == ["url"]
        values = {"name": "ERP", "url": bad, "topics": ["record.*"], "active": True}
        with office.at_desk(), pytest.raises(InvalidData):
            services.change(webhook_id, values)
    with as_system():
        sending.on_event(Event(1, "record.close", office.unit.id, {}, START))
    run(sqlite_app)
    (row,) = deliveries()
    assert said.heard == [] and row.status is None and row.answer
    assert row.state == services.PENDING


def test_rights_units_and_the_secret_that_is_never_shown_again(
    sqlite_app: Flask, receiver: tuple[Saying, str]
) -> None:
    _said, url = receiver
    client = sqlite_app.test_client()
    office = make_office()
    stranger = make_user(make_unit(), {services.MANAGE})
    with office.on_the_road("case.view"), pytest.raises(NotAllowed):
        services.create(office.unit.id, {"name": "x", "url": url, "topics": ["record.*"], "active": True})
    login(client, office.desk, unit=office.unit)
    form = {"name": "ERP", "url": url, "topics": ["record.registered", "record.close"], "active": "1"}
    shown = client.post("/admin/webhooks/new/", data=form).get_data(as_text=True)
    secret = re.search(r"whsec_[A-Za-z0-9+/=]+", shown)[0]  # type: ignore[index]
    with reading() as work:
        row = work.scalars(select(Webhook)).one()
        trail = " ".join(str(one.__dict__) for one in work.scalars(select(Audit)))
    assert row.topics == ["record.registered", "record.close"]
    assert secret not in row.secret and secret not in trail and row.secret not in trail
    page = client.get(f"/admin/webhooks/edit/?id={row.id}").get_data(as_text=True)
    assert secret not in page and row.secret not in page
    assert client.get(f"/admin/webhooks/edit/?id={row.id}").headers["Cache-Control"] == "no-store"
    rotated = client.post("/admin/webhooks/secret/", data={"id": row.id}).get_data(as_text=True)
    assert "whsec_" in rotated and secret not in rotated
    assert client.post("/admin/webhooks/test/", data={"id": row.id}).status_code == 302
    log = client.get(f"/admin/webhook-log/?f_webhook={row.id}").get_data(as_text=True)
    assert "测试消息" in log
    run(sqlite_app)
    (sent,) = deliveries()
    assert (sent.topic, sent.state) == (services.PING, services.SENT)
    client.post("/admin/webhook-log/action/", data={"action": "again", "id": sent.id})
    assert deliveries()[0].state == services.PENDING
    bad = client.post("/admin/webhooks/new/", data={**form, "url": "http://10.0.0.1/", "topics": ["no.such"]})
    assert bad.status_code == 422
    client.post("/sign-out")
    login(client, stranger)
    for address in (f"/admin/webhooks/edit/?id={row.id}", "/admin/webhooks/edit/?id=abc"):
        assert client.get(address).status_code == 404
    for address in ("secret", "test"):
        assert client.post(f"/admin/webhooks/{address}/", data={"id": row.id}).status_code in (403, 404)


def test_old_deliveries_go_and_lost_ones_are_woken(app: Flask, receiver: tuple[Saying, str]) -> None:
    said, url = receiver
    office = make_office()
    add(office, url)
    with as_system():
        for number in (1, 2):
            sending.on_event(Event(number, "record.close", office.unit.id, {}, START))
    run(app)
    with as_system() as work:
        old, asleep = work.scalars(select(WebhookDelivery).order_by(WebhookDelivery.id))
        old.created_at = clock.now() - sending.KEEP - timedelta(days=1)
        asleep.state, asleep.next_try_at = services.PENDING, clock.now() - timedelta(hours=1)
    with in_scope(office.unit):
        sending.tidy(office.unit.id)
    run(app)
    (row,) = deliveries()
    assert (row.id, row.state) == (asleep.id, services.SENT)
    assert len(said.heard) == 3
    with reading() as work:
        assert work.scalar(select(func.count()).select_from(WebhookDelivery)) == 1


def test_the_verification_in_the_handbook_works(sqlite_app: Flask, receiver: tuple[Saying, str]) -> None:
    said, url = receiver
    office = make_office()
    webhook_id, secret = add(office, url)
    with office.at_desk():
        services.ping(webhook_id)
    run(sqlite_app)
    headers, body = parts(said.heard[0])
    text = Path(ROOT / "docs" / "webhooks.md").read_text("utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.S)[1]  # type: ignore[index]
    given: dict[str, Any] = {}
    exec(code, given)
    assert given["message"](secret, headers, body)["type"] == "ping"
    for change in ({"webhook-id": "msg_other"}, {"webhook-timestamp": "1"}, {"webhook-signature": "v1,AAAA"}):
        with pytest.raises(ValueError):
            given["message"](secret, {**headers, **change}, body)
    with pytest.raises(ValueError):
        given["message"](secret, headers, body + b" ")
