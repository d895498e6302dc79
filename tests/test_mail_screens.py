"""The screens of e-mail: mailboxes without their passwords, mails put aside, replies, all for who may."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from unittest import mock

from flask import Flask
from sqlalchemy import select

from core.admin.cases.mails import address_key
from core.customers.models import Customer
from core.customers.services import erase_customer
from core.jobs import runner
from core.kernel import clock, outbox
from core.kernel.database import transaction
from core.kernel.secrets import unseal
from core.mail import fetching, outgoing, store
from core.mail.models import Mail, Mailbox
from core.users.models import User
from tests.casework import ALL
from tests.helpers import as_system, current, login, make_user
from tests.mails import BOX, CUSTOMER, MailOffice, letter, mailbox, make_mail_office

FORM = {
    "name": "客服邮箱", "address": "service@example.cn", "host": "8.8.8.8", "port": "993", "security": "ssl",
    "username": "service", "password": "very-secret", "folder": "INBOX", "active": "1",
}  # fmt: skip


def english(post: MailOffice, permissions: Iterable[str]) -> User:
    """Add somebody who reads English, whose words these tests look for."""
    return make_user(post.office.unit, permissions, locale="en")


def test_a_mailbox_is_set_up_tried_and_never_tells_its_password(sqlite_app: Flask) -> None:
    post = make_mail_office()
    client = login(sqlite_app.test_client(), english(post, {"mail.admin"}))
    bad = client.post("/admin/mailboxes/new/", data={**FORM, "host": "127.0.0.1", "address": "nobody"})
    assert bad.status_code == 422 and "inner network" in bad.text and "not an e-mail address" in bad.text
    assert client.post("/admin/mailboxes/new/", data=FORM).status_code == 302
    with as_system() as work:
        row = work.scalars(select(Mailbox).order_by(Mailbox.id.desc())).first()
        assert row is not None and row.password != "very-secret" and unseal(row.password) == "very-secret"
        key = row.id
    for page in (f"details/?id={key}", f"edit/?id={key}", ""):
        shown = client.get(f"/admin/mailboxes/{page}")
        assert shown.status_code == 200 and "very-secret" not in shown.text and row.password not in shown.text
    kept = {**FORM, "password": "", "name": "改名", "version": "1"}
    assert client.post(f"/admin/mailboxes/edit/?id={key}", data=kept).status_code == 302
    with current().app_context():
        assert unseal(mailbox(key).password) == "very-secret" and mailbox(key).name == "改名"
    with mock.patch.object(fetching, "try_out", side_effect=fetching.Failed("it sleeps")):
        told = client.post("/admin/mailboxes/test/", data={"id": key}, follow_redirects=True)
    assert "it sleeps" in told.text
    with mock.patch.object(fetching, "try_out", return_value=7):
        assert "7" in client.post("/admin/mailboxes/test/", data={"id": key}, follow_redirects=True).text
    nobody = login(sqlite_app.test_client(), english(post, {"mail.view"}))
    assert nobody.get("/admin/mailboxes/").status_code == 403
    assert nobody.post("/admin/mailboxes/test/", data={"id": key}).status_code == 403


def test_what_was_put_aside_is_looked_at_as_text(sqlite_app: Flask) -> None:
    post = make_mail_office()
    case_id = post.office.new_case()
    number = post.records()[0].number
    evil = "<script>alert(1)</script> 补充"
    post.take(
        letter(evil, subject=f"{number} <b>x</b>", sender="x@evil.cn", files=(('a".exe', b"MZ", "application/x"),))
    )
    key = post.last().id
    reader = login(sqlite_app.test_client(), english(post, {"mail.view"}))
    shown = reader.get(f"/admin/mails/details/?id={key}").text
    assert "<script>alert" not in shown and "&lt;script&gt;alert(1)" in shown and number in shown
    assert "x@evil.cn" not in shown and "x***@evil.cn" in shown  # without the right to see personal data
    assert reader.get(f"/admin/mails/raw/?id={key}").status_code == 403 and "/mails/raw/" not in shown
    seer = login(sqlite_app.test_client(), english(post, {"mail.view", "customer.pii"}))
    assert "/mails/raw/" in seer.get(f"/admin/mails/details/?id={key}").text
    raw = seer.get(f"/admin/mails/raw/?id={key}")
    assert (
        raw.headers["Content-Disposition"].startswith("attachment") and raw.mimetype == "application/octet-stream"
    )
    for action in ("take", "ignore", "again"):
        assert reader.post(f"/admin/mails/{action}/", data={"id": key}).status_code == 403, action
    boss = login(sqlite_app.test_client(), english(post, ALL))
    assert "x@evil.cn" in boss.get("/admin/mails/?quick=aside").text
    wrong = boss.post("/admin/mails/attach/", data={"id": key, "number": "GD-1"})
    assert wrong.status_code == 422 and "no record of this number" in wrong.text
    assert boss.post("/admin/mails/attach/", data={"id": key, "number": number}).status_code == 302
    page = boss.get(f"/admin/record/{case_id}").text
    assert "an address not on file" in page and "补充" in page and "<script>alert" not in page
    assert boss.post("/admin/mails/ignore/", data={"id": key}, follow_redirects=True).status_code == 200
    assert post.last().state == "reply"


def key_of(address: str) -> str:
    with current().app_context():
        return address_key(address)


def ours(post: MailOffice) -> str:
    """Put a mail of ours on the first record, which others may answer; return its id."""
    with as_system() as work:
        record, name = post.records()[0], "ours@example.cn"
        common = {"unit_id": record.unit_id, "mailbox_id": post.mailbox_id, "record_id": record.id}
        work.add(Mail(**common, message_id=name, direction="out", state="sent", sender=BOX, at=clock.now()))
    return name


def test_staff_reply_from_the_case(sqlite_app: Flask) -> None:
    post = make_mail_office()
    post.take(letter())
    record = post.records()[0]
    boss_user = english(post, ALL)
    boss = login(sqlite_app.test_client(), boss_user)
    assert f"/admin/reply/{record.id}" in boss.get(f"/admin/record/{record.id}").text
    assert CUSTOMER in boss.get(f"/admin/reply/{record.id}").text
    receiver = key_of(CUSTOMER)
    silent = boss.post(f"/admin/reply/{record.id}", data={"to": receiver, "text": "您好"})
    assert silent.status_code == 422 and "No mail server is set up" in silent.text
    before = sqlite_app.extensions["settings"]
    sqlite_app.extensions["settings"] = replace(before, smtp="smtp://127.0.0.1:1")
    try:
        post.take(letter("我也想知道", subject="Re: 空调", sender="x@evil.cn", In_Reply_To=f"<{ours(post)}>"))
        assert post.last().state == "reply"  # and its writer stands first in the list by now
        data = {"to": receiver, "text": "您好", "key": "k", "files": (io.BytesIO(b"one"), "a.txt")}
        assert boss.post(f"/admin/reply/{record.id}", data=data).status_code == 302
        assert boss.post(f"/admin/reply/{record.id}", data={"to": "7", "text": "x"}).status_code == 422
    finally:
        sqlite_app.extensions["settings"] = before
    assert (post.last().state, post.last().recipients, post.last().direction) == ("pending", [CUSTOMER], "out")
    # Whoever wrote it may leave before the mail server answers; it goes out all the same.
    with as_system() as work:
        work.get_one(User, boss_user.id).active = False
    with current().app_context(), mock.patch.object(outgoing.smtp, "opened"):
        outbox.deliver_pending(runner.deliver)
    assert post.last().state == "sent"
    nobody = login(sqlite_app.test_client(), english(post, {"case.view"}))
    assert nobody.get(f"/admin/reply/{record.id}").status_code == 403
    assert "/admin/reply/" not in nobody.get(f"/admin/record/{record.id}").text


def test_erasing_a_customer_erases_the_mails(sqlite_app: Flask) -> None:
    post = make_mail_office()
    post.take(letter(subject="自动回复: 外出", Auto_Submitted="auto-replied"))
    beside = post.last()
    assert (beside.state, beside.record_id) == ("ignored", None)
    post.take(letter())
    digest = post.last().sha256
    with post.office.at_desk() as work, transaction():
        customer = work.scalars(select(Customer)).one()
        erase_customer(customer, "本人要求")
    row: Mail = post.last()
    assert (row.sender, row.subject, row.recipients, row.sha256) == ("", "", [], "")
    aside = post.mails()[0]
    assert (aside.id, aside.sender, aside.sha256) == (beside.id, "", "")
    with current().app_context():
        assert store.read(digest) == b"" == store.read(beside.sha256)
    boss = login(sqlite_app.test_client(), english(post, ALL))
    assert "no longer kept" in boss.get(f"/admin/mails/details/?id={row.id}").text


def test_the_command_line_takes_a_mail_from_a_file(sqlite_app: Flask, tmp_path: Path) -> None:
    post = make_mail_office()
    runner = sqlite_app.test_cli_runner()
    file = tmp_path / "mail.eml"
    file.write_bytes(letter())
    assert runner.invoke(args=["mail", "replay", str(file)]).output.strip() == "case"
    assert runner.invoke(args=["mail", "replay", str(file)]).output.strip() == "duplicate"
    with mock.patch.object(fetching, "check", return_value=fetching.Checked({"case": 2})):
        assert "case 2" in runner.invoke(args=["mail", "check"]).output
    assert len(post.records()) == 1
