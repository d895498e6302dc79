"""Screens of notices: settings, positions, robots, the log; what they show, refuse and keep."""

from __future__ import annotations

from datetime import time

import pytest
from flask import Flask
from sqlalchemy import select

from core.kernel import clock
from core.kernel.database import transaction
from core.notices import robots
from core.notices.models import FAILED, PENDING, SENT, Delivery, NoticeHabits, NoticePreference, Robot
from core.records.models import Record
from core.records.services import notify
from tests.casework import Office, make_office
from tests.helpers import as_system, login, make_user

KEY = "693a91f6-7abc-4bc4-97a0-0ec2aaaaaaaa"
WECOM = f"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key={KEY}"


@pytest.fixture
def office(sqlite_app: Flask) -> Office:
    return make_office()


@pytest.fixture
def desk(sqlite_app, office):
    return login(sqlite_app.test_client(), office.desk)


def make_delivery(office: Office, **values) -> int:
    now = clock.now()
    with office.at_desk() as work, transaction():
        notify(work.get_one(Record, office.new_case()), "assigned", [office.technician.id])
    with as_system() as work:
        from core.records.models import Notice

        notice = work.scalars(select(Notice.id).order_by(Notice.id.desc())).first()
        usual = {
            "channel": "email",
            "kind": "assigned",
            "subject": "[KH-1] 派工",
            "body": "正文 <b>",
            "state": FAILED,
        }
        keys = {"key": f"n{notice}", "created_at": now, "next_try_at": now, "unit_id": office.unit.id}
        row = Delivery(**usual | keys | {"notice_id": notice, "user_id": office.technician.id, "tries": 8} | values)
        work.add(row)
        work.flush()
        return row.id


def test_one_s_settings_are_kept_and_follow_the_position_again_when_emptied(office, desk):
    page = desk.get("/admin/my-notices/").get_data(as_text=True)
    assert 'name="email.broken"' in page and 'value="always"' in page
    wish = {"email.broken": "always", "inbox.comment": "off", "quiet_from": "22:00", "quiet_to": "07:00"}
    assert desk.post("/admin/my-notices/", data=wish | {"digest_at": "18:30"}).status_code == 302
    with as_system() as work:
        kept = {(row.kind, row.channel, row.mode) for row in work.scalars(select(NoticePreference))}
        habits = work.get_one(NoticeHabits, office.desk.id)
        assert (habits.quiet_from, habits.quiet_to, habits.digest_at) == (time(22), time(7), time(18, 30))
    assert kept == {("broken", "email", "always"), ("comment", "inbox", "off")}
    assert 'value="22:00"' in desk.get("/admin/my-notices/").get_data(as_text=True)
    desk.post("/admin/my-notices/", data={})
    with as_system() as work:
        assert work.scalars(select(NoticePreference)).all() == []


@pytest.mark.parametrize(
    "bad",
    [
        {"quiet_from": "25:00", "quiet_to": "07:00"},
        {"quiet_from": "22:00"},
        {"digest_at": "noon"},
        {"email.assigned": "always"},
        {"inbox.assigned": "digest"},
    ],
)
def test_bad_input_is_shown_beside_its_field_and_keeps_what_was(office, desk, bad):
    desk.post("/admin/my-notices/", data={"email.mention": "off"})
    answer = desk.post("/admin/my-notices/", data={"email.mention": "now"} | bad)
    assert answer.status_code == 422 and 'aria-invalid="true"' in answer.get_data(as_text=True)
    with as_system() as work:
        assert work.scalars(select(NoticePreference.mode)).all() == ["off"]


def test_positions_are_set_by_those_who_may_only(sqlite_app, office, desk):
    given = {"position": "finance", "email.comment": "off"}
    assert desk.post("/admin/notice-defaults/", data=given).status_code == 302
    assert desk.get("/admin/notice-defaults/?position=finance").status_code == 200
    assert desk.get("/admin/notice-defaults/?position=nobody").status_code == 404
    with as_system() as work:
        row = work.scalars(select(NoticePreference)).one()
        assert (row.position, row.user_id, row.kind, row.mode) == ("finance", None, "comment", "off")
    make_office()  # a unit where the desk holds nothing
    assert desk.post("/admin/notice-defaults/", data=given).status_code == 403
    plain = login(sqlite_app.test_client(), make_user(office.unit, ["case.view"]))
    for address in ("/admin/notice-defaults/", "/admin/robots/", "/admin/notice-log/"):
        assert plain.get(address).status_code == 403


def test_a_robot_s_address_is_taken_and_never_shown_again(office, desk):
    given = {"name": "售后群", "kind": "wecom", "url": WECOM, "locale": "zh", "kinds": ["assigned"], "active": "1"}
    bad = desk.post("/admin/robots/new/", data=given | {"url": "http://127.0.0.1/x"})
    assert bad.status_code == 422 and "qyapi.weixin.qq.com" in bad.get_data(as_text=True)
    assert desk.post("/admin/robots/new/", data=given).status_code == 302
    with as_system() as work:
        made = work.scalars(select(Robot)).one()
    pages = [f"/admin/robots/{path}" for path in ("", f"details/?id={made.id}", f"edit/?id={made.id}")]
    assert not [one for one in pages if KEY in desk.get(one).get_data(as_text=True)]
    kept = desk.post(
        f"/admin/robots/edit/?id={made.id}", data=given | {"url": "", "name": "新名", "version": str(made.version)}
    )
    assert kept.status_code == 302
    with as_system() as work:
        row = work.scalars(select(Robot)).one()
        assert (row.name, robots.address_of(row).token) == ("新名", KEY)


def test_another_unit_s_robots_and_messages_are_not_there(sqlite_app, office):
    other = make_office()
    with office.at_desk(), transaction():
        given = {"name": "售后群", "kind": "wecom", "url": WECOM, "kinds": [], "active": True}
        robot = robots.save_robot(office.unit.id, given).id
    message = make_delivery(office)
    stranger = login(sqlite_app.test_client(), other.desk)
    assert "售后群" not in stranger.get("/admin/robots/").get_data(as_text=True)
    assert stranger.get(f"/admin/robots/details/?id={robot}").status_code == 404
    assert stranger.post("/admin/robots/test/", data={"id": robot}).status_code == 404
    assert stranger.get(f"/admin/notice-log/message/?id={message}").status_code == 404
    stranger.post("/admin/notice-log/action/", data={"action": "again", "id": message})
    with as_system() as work:
        assert work.get_one(Delivery, message).state == FAILED


def test_the_log_shows_what_went_wrong_and_sends_again(sqlite_app, office, desk, count_queries):
    message = make_delivery(office, error="550 no such user", address="wa***@huacheng.example")
    page = desk.get("/admin/notice-log/").get_data(as_text=True)
    assert "550 no such user" in page and "wa***@huacheng.example" in page and "师傅" in page
    shown = desk.get(f"/admin/notice-log/message/?id={message}").get_data(as_text=True)
    assert "正文 &lt;b&gt;" in shown
    assert desk.post("/admin/notice-log/action/", data={"action": "again", "id": message}).status_code == 302
    with as_system() as work:
        row = work.get_one(Delivery, message)
        assert (row.state, row.tries) == (PENDING, 0)

    def statements() -> int:
        with count_queries() as seen:
            desk.get("/admin/notice-log/?units=all")
        return len(seen)

    few = statements()
    for _turn in range(6):
        make_delivery(office, state=SENT)
    assert statements() == few


def test_everybody_sees_what_was_mailed_to_them_and_nobody_else_s(sqlite_app, office, desk):
    make_delivery(office, state=SENT, address="wa***@huacheng.example")
    number = office.do(office.new_case()).number.rpartition("-")[0]
    mine = login(sqlite_app.test_client(), office.technician).get("/admin/inbox/sent/").get_data(as_text=True)
    assert number in mine and "wa***@huacheng.example" in mine
    assert "wa***" not in desk.get("/admin/inbox/sent/").get_data(as_text=True)
