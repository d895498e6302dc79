"""Mails become cases and replies, once each, and nobody writes into a case that is not theirs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from unittest import mock

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import DataError

from core.customers.models import Customer
from core.customers.services import create_customer
from core.kernel import clock
from core.kernel.database import transaction
from core.kernel.errors import InvalidData, NotAllowed, NotFound, Refused
from core.mail import intake, judge, store
from core.records.attachments import attachments_of
from core.records.engine import detail_of, perform
from core.records.models import Notice
from tests.casework import INTAKE, make_office, reading
from tests.helpers import in_scope, make_user
from tests.mails import CUSTOMER, letter, make_mail_office

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000a49444154789c63000100000500010d0a2db40000000049454e44ae426082"
)


def test_a_mail_becomes_a_case_and_its_answer_a_reply(app: Flask) -> None:
    post = make_mail_office()
    arrived = clock.now() - timedelta(hours=2)
    raw = letter(
        "空调不制冷。\n请联系 13112355344\n\n-- \n李娜",
        files=(
            ("铭牌.png", PNG, "image/png"),
            ("../../etc/run.exe", b"MZ\x90\x00" * 50, "application/x-msdownload"),
        ),
        Message_ID="<first@customer.cn>",
    )
    assert post.take(raw, arrived) == "case"
    (record,) = post.records()
    assert record.title == "空调报修"
    assert abs((record.received_at - arrived).total_seconds()) < 1
    with reading() as work:
        case = detail_of(record)
        assert (case.channel, case.contact_name) == ("email", "李娜")
        assert case.contact_digits == "13112355344"
        assert case.description == "空调报修\n空调不制冷。\n请联系 13112355344"
        customer = work.scalars(select(Customer).where(Customer.id == record.customer_id)).one()
        assert (customer.name, customer.email) == ("李娜", CUSTOMER)
        assert [one.name for one in attachments_of(record.id)] == ["铭牌.png"]
    facts = post.facts(record.id)
    assert facts[0].data["to_ask"] == ["product_text"]
    assert any("run.exe" in one.note for one in facts if one.kind == "comment")
    # Fetched a second time, under whatever number: nothing more.
    assert post.take(raw, arrived) == intake.DUPLICATE
    assert post.take(b"Received: from elsewhere\r\n" + raw, arrived) == intake.DUPLICATE
    assert len(post.records()) == 1

    post.office.do(record.id, ("classify", {"nature": "repair", "urgency": "normal"}), "assign")
    answer = letter(
        "明天下午可以\n\n在 2026年11月20日，客服 <service@example.cn> 写道：\n> 何时方便？",
        subject="回复：空调报修",
        In_Reply_To="<first@customer.cn>",
    )
    assert post.take(answer) == "reply"
    fact = post.facts(record.id)[-1]
    assert (fact.kind, fact.note, fact.visible_to_customer) == ("customer_reply", "明天下午可以", True)
    with reading() as work:
        told = work.scalars(select(Notice).where(Notice.kind == "customer_reply")).one()
        assert (told.user_id, told.text) == (post.office.technician.id, "明天下午可以")
    # The same customer about something new: the one on file.
    assert post.take(letter("洗衣机漏水", subject="洗衣机")) == "case"
    first, second = post.records()
    assert first.customer_id == second.customer_id


def test_two_mails_under_one_id_are_two_mails(sqlite_app: Flask) -> None:
    post = make_mail_office()
    assert post.take(letter("甲", subject="一", Message_ID="<same@x.cn>")) == "case"
    assert post.take(letter("乙", subject="二", Message_ID="<same@x.cn>")) == "case"
    assert [one.title for one in post.records()] == ["一", "二"]
    assert post.take(letter("乙", subject="二", Message_ID="<same@x.cn>")) == intake.DUPLICATE


def test_a_guessed_number_lets_nobody_in(app: Flask) -> None:
    post = make_mail_office()
    case_id = post.office.new_case()
    number = post.records()[0].number
    before = len(post.facts(case_id))
    assert post.take(letter("请把地址改成…", subject=f"Re: [{number}]", sender="x@evil.cn")) == "quarantined"
    assert post.last().reason == f"stranger: {number}"
    assert post.take(letter("我也来说", subject="无", sender="x@evil.cn", In_Reply_To="<unknown@x.cn>")) == "case"
    assert len(post.facts(case_id)) == before
    # Of another unit the number means nothing at all.
    other = make_office()
    foreign = other.new_case()
    with reading() as work:
        from core.records.models import Record

        foreign_number = work.scalars(select(Record.number).where(Record.id == foreign)).one()
    assert post.take(letter("您好", subject=f"[{foreign_number}]", sender="y@evil.cn")) == "case"
    # The customer's own address on file may.
    with post.office.at_desk() as work, transaction():
        customer = work.scalars(select(Customer).where(Customer.id == post.records()[0].customer_id)).one()
        customer.email = "Ma.Lin@Customer.cn"
    assert (
        post.take(letter("补充：型号是 LN-24", subject=f"回复: {number}", sender="ma.lin@customer.cn")) == "reply"
    )
    assert post.facts(case_id)[-1].note == "补充：型号是 LN-24"


def test_whoever_was_not_in_a_conversation_is_looked_at(sqlite_app: Flask) -> None:
    post = make_mail_office()
    assert post.take(letter(Message_ID="<a@customer.cn>", Cc="colleague@customer.cn")) == "case"
    case_id = post.records()[0].id
    assert post.take(letter("我来补充", sender="colleague@customer.cn", References="<a@customer.cn>")) == "reply"
    assert post.take(letter("哈哈", sender="x@evil.cn", References="<a@customer.cn>")) == "quarantined"
    assert post.last().reason.startswith("stranger_thread")
    assert [one.kind for one in post.facts(case_id)].count("customer_reply") == 1


def test_what_is_over_stays_over_and_its_head_is_told(sqlite_app: Flask) -> None:
    post = make_mail_office()
    head = post.office.staff("service_leader")
    assert post.take(letter(Message_ID="<a@customer.cn>")) == "case"
    case_id = post.records()[0].id
    post.office.do(case_id, "cancel")
    assert post.take(letter("又坏了", subject="Re: 空调报修", In_Reply_To="<a@customer.cn>")) == "reply"
    assert post.records()[0].state == "cancelled"
    with reading() as work:
        assert head.id in set(work.scalars(select(Notice.user_id).where(Notice.kind == "customer_reply")))


def test_machines_get_neither_case_nor_answer(sqlite_app: Flask) -> None:
    post = make_mail_office(acknowledge=True)
    for headers in (
        {"Auto_Submitted": "auto-replied"},
        {"X_Autoreply": "yes"},
        {"Return_Path": "<>"},
        {"Precedence": "bulk"},
        {"subject": "自动回复: 我在休假"},
        {"sender": "MAILER-DAEMON@mx.cn"},
        {"sender": "service@example.cn"},
    ):
        assert post.take(letter(str(headers), **headers)) == "ignored", headers
    assert post.records() == []
    assert {one.reason for one in post.mails()} == {"auto_reply", "bulk", "bounce", "own"}


def test_a_flood_is_put_aside(sqlite_app: Flask) -> None:
    post = make_mail_office()
    at = clock.now() - timedelta(hours=3)
    with mock.patch.object(intake, "MOST_FROM_ONE", 2):
        states = [post.take(letter(f"{n}", subject=f"{n}"), at) for n in range(3)]
        assert states == ["case", "case", "quarantined"]
        assert post.take(letter("其他人", sender="z@other.cn"), at) == "case"
        assert post.take(letter("一小时后", subject="后"), at + timedelta(hours=2)) == "case"
    assert [one.reason for one in post.mails()][2] == "too_many"


def test_a_fault_loses_nothing_and_stops_nobody(app: Flask) -> None:
    post = make_mail_office()
    raw = letter()
    with mock.patch.object(intake, "register_case", side_effect=ZeroDivisionError):
        assert post.take(raw) == "quarantined"
    assert post.last().reason == "failed: ZeroDivisionError"
    with reading():
        assert store.read(post.last().sha256) == raw
    # A crash in the middle of the transaction: as if it had never been taken, then taken once.
    second = letter("第二封", subject="第二封")
    with (
        mock.patch.object(intake, "_tell", side_effect=KeyboardInterrupt),
        mock.patch.object(intake.outgoing, "acknowledge", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        post.take(second)
    assert len(post.mails()) == 1 and post.records() == []
    assert post.take(second) == "case"
    assert [one.title for one in post.records()] == ["第二封"]
    # By hand the first one becomes what it should have been.
    with post.office.at_desk(), transaction():
        record = intake.take_as_case(post.mails()[0].id)
    assert record.title == "空调报修"
    with post.office.at_desk(), pytest.raises(Refused), transaction():
        intake.take_as_case(post.mails()[0].id)


def test_what_the_database_refuses_is_put_aside_and_blocks_nobody(app: Flask) -> None:
    post = make_mail_office()
    for nul in ("\0", "=?utf-8?q?=00?="):
        raw = letter(f"来自 {len(nul)}", sender="x@evil.cn").replace(b"x@evil.cn", f"<{nul}x@evil.cn>".encode(), 1)
        assert post.take(raw) in ("case", "quarantined")
    refused = DataError("insert", {}, Exception("no such character"))
    with mock.patch.object(intake, "_decide", side_effect=[refused, ("quarantined", "failed: DataError")]):
        assert post.take(letter("第三封")) == "quarantined"
    last = post.last()
    assert (last.sender, last.subject, last.reason) == ("", "", "failed: DataError")
    with app.app_context():
        assert store.read(last.sha256) == letter("第三封")
    assert post.take(letter("第四封")) == "case"


def test_what_was_put_aside_is_dealt_with_by_who_may(sqlite_app: Flask) -> None:
    post = make_mail_office()
    case_id = post.office.new_case()
    number = post.records()[0].number
    post.take(letter("补充说明", subject=number, sender="new@address.cn"))
    aside = post.last().id
    with in_scope(post.office.unit, {"mail.view"}, make_user(post.office.unit)), pytest.raises(NotAllowed):
        intake.attach_to(aside, number)
    other = make_office()
    with other.at_desk(), pytest.raises(NotFound):
        intake.attach_to(aside, number)
    with post.office.at_desk():
        with pytest.raises(InvalidData):
            intake.attach_to(aside, "GD-NO-000000-0000")
        intake.attach_to(aside, number.lower())
    fact = post.facts(case_id)[-1]
    assert (fact.kind, fact.note, fact.data["unknown_sender"]) == ("customer_reply", "补充说明", True)
    # From then on that address takes part.
    assert post.take(letter("再补充", subject=f"Re: {number}", sender="new@address.cn")) == "reply"


def test_a_case_by_mail_is_completed_later(sqlite_app: Flask) -> None:
    """Without a phone the case is there all the same, and says what is still to be asked."""
    post = make_mail_office()
    post.take(letter("坏了", subject="坏了"))
    record = post.records()[0]
    assert post.facts(record.id)[0].data["to_ask"] == ["contact_phone", "product_text"]
    with post.office.at_desk():
        perform(record.id, "classify", {"nature": "repair", "urgency": "normal"})


def test_a_known_customer_is_found_by_a_contact_too(sqlite_app: Flask) -> None:
    from core.customers.models import CustomerContact

    post = make_mail_office()
    with post.office.at_desk() as work, transaction():
        company = create_customer(
            post.office.unit.id, {"name": "盟新科技有限公司", "phone": INTAKE["contact_phone"]}
        )
        company.contacts.append(
            CustomerContact(unit_id=post.office.unit.id, name="李娜", email="Li.Na@customer.cn")
        )
        work.flush()
        key = company.id
    post.take(letter("坏了", subject="坏了"))
    (record,) = post.records()
    assert record.customer_id == key
    with reading():
        assert detail_of(record).contact_digits == INTAKE["contact_phone"]


def test_an_old_mail_counts_from_the_limit_of_the_unit(sqlite_app: Flask) -> None:
    post = make_mail_office()
    assert post.take(letter(), clock.now() - timedelta(days=200)) == "case"
    age = clock.now() - post.records()[0].received_at
    assert timedelta(days=29) < age <= timedelta(days=30)
    assert post.take(letter("未来", subject="未来"), clock.now() + timedelta(days=9)) == "case"
    assert post.records()[1].received_at <= clock.now()


def test_a_mail_nobody_can_read_is_kept_as_it_is(sqlite_app: Flask) -> None:
    post = make_mail_office()
    for number, raw in enumerate((b"", b"\x00" * 3000, b"From: x\n\n", b"\xff\xfe\n\n\x00")):
        assert post.take(raw) in ("quarantined", "ignored"), number
    assert all(one.message_id == judge.name_of(store_read(one.sha256)) for one in post.mails())


def store_read(sha256: str) -> bytes:
    with reading():
        return store.read(sha256)


def test_many_workers_take_a_mail_once(app: Flask) -> None:
    post = make_mail_office()
    raws = [letter(f"第{n}封", subject=f"报修{n}") for n in range(3)]
    with ThreadPoolExecutor(4) as crew:
        states = list(crew.map(post.take, raws * 4))
    assert sorted(states) == ["case"] * 3 + [intake.DUPLICATE] * 9
    assert sorted(one.title for one in post.records()) == ["报修0", "报修1", "报修2"]
    with reading() as work:
        assert len(work.scalars(select(Customer)).all()) == 1
