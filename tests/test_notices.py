"""Notices on their way: who is told, how, when and how often, against a mail server and a group of this machine."""

from __future__ import annotations

import email
import email.policy
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from zoneinfo import ZoneInfo

import pytest
from aiosmtpd.controller import Controller
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from core.kernel import clock
from core.kernel.database import transaction
from core.kernel.errors import InvalidData, NotAllowed
from core.kernel.outbox import Outbox
from core.notices import kinds, preferences, robots, sending, smtp, take_up, transport
from core.notices.models import FAILED, PENDING, SENT, VOID, Delivery, NoticePreference, Robot
from core.notices.preferences import Habits, end_of_quiet, next_digest
from core.records.models import Notice, Record
from core.records.services import comment, notify
from core.rules import ticks
from core.users.models import User, UserPosition
from tests.casework import INTAKE, make_office
from tests.helpers import as_system, make_user

MORNING = datetime(2026, 3, 10, 2, 0, tzinfo=UTC)  # 10:00 in Shanghai, a Tuesday


class Sink:
    """Keeps mails; ``refuse`` gives its answer to a recipient."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], email.message.EmailMessage]] = []
        self.refuse = {}

    async def handle_RCPT(self, _server, _session, envelope, address, _options):
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server, _session, envelope):
        self.mails.append(
            (envelope.rcpt_tos, email.message_from_bytes(envelope.content, policy=email.policy.default))
        )
        return "250 OK"

    def to(self, address: str) -> list[email.message.EmailMessage]:
        return [mail for people, mail in self.mails if people == [address]]


@dataclass
class Group:
    """Keeps what groups were told; ``answer`` is what they say."""

    url: str = ""
    told: list[tuple[str, dict]] = field(default_factory=list)
    answer: tuple[int, dict] = (200, {"errcode": 0, "code": 0})

    @property
    def text(self) -> str:
        return json.dumps(self.told, ensure_ascii=False)


@contextmanager
def settings(app, **values):
    before = app.extensions["settings"]
    app.extensions["settings"] = replace(before, **values)
    try:
        yield
    finally:
        app.extensions["settings"] = before


@pytest.fixture(scope="module")
def mail_server():
    sink = Sink()
    server = Controller(sink, hostname="127.0.0.1", port=0)
    server.port = free_port()
    server.start()
    yield sink, f"smtp://127.0.0.1:{server.port}?from=notice@huacheng.example"
    server.stop()


def free_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture
def post(whole_app, mail_server):
    """A mail server that takes everything."""
    sink, url = mail_server
    sink.mails.clear()
    sink.refuse.clear()
    with settings(whole_app, smtp=url, base_url="https://service.example.cn"):
        yield sink


@pytest.fixture
def group(whole_app, monkeypatch):
    """A machine that plays WeCom, DingTalk, Feishu and a web address."""
    heard = Group()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.told.append((self.path, json.loads(body)))
            status, said = heard.answer
            content = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    heard.url = f"http://127.0.0.1:{server.server_port}"
    with settings(whole_app, outgoing_allow=("127.0.0.1",), base_url="https://service.example.cn"):
        made = transport._plugins()
        monkeypatch.setattr(made.wecom, "notify_url", heard.url + "/wecom?key={key}")
        monkeypatch.setattr(made.dingtalk, "notify_url", heard.url + "/ding?access_token={token}")
        monkeypatch.setattr(made.feishu, "notify_url", heard.url + "/feishu/{token}/")
        yield heard
    server.shutdown()
    server.server_close()


@pytest.fixture
def office(app, frozen_clock):
    frozen_clock(MORNING)
    return furnished()


@pytest.fixture
def sqlite_office(sqlite_app, frozen_clock):
    frozen_clock(MORNING)
    return furnished()


def furnished():
    made = make_office()
    with as_system() as work:
        for user, address in ((made.desk, "desk@huacheng.example"), (made.technician, "wang@huacheng.example")):
            row = work.get_one(User, user.id)
            row.email, row.locale = address, "en"
    return made


def tell(office, kind="assigned", text="", people=None, number=None) -> int:
    """Put a notice into people's inboxes and return the record's id."""
    record_id = number or office.new_case()
    with office.at_desk() as work, transaction():
        notify(work.get_one(Record, record_id), kind, people or [office.technician.id], text)
    return record_id


def sent_round(app) -> int:
    with app.app_context():
        return sending.run()


def deliveries(*columns):
    with as_system() as work:
        return [tuple(row) for row in work.execute(select(*columns).order_by(Delivery.id))]


def states():
    return deliveries(Delivery.kind, Delivery.channel, Delivery.state)


def prefer(user, habits=Habits(), **wishes) -> None:
    """Keep a person's wishes about e-mails, by kind."""
    from tests.helpers import in_scope

    with in_scope([], actor=user):
        chosen = {(code.replace("__", "."), kinds.EMAIL): mode for code, mode in wishes.items()}
        preferences.save_mine(chosen, habits, "Asia/Shanghai")


def make_robot(office, kind="wecom", told=("assigned", "broken"), **values) -> Robot:
    urls = {
        "wecom": "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa",
        "dingtalk": "https://oapi.dingtalk.com/robot/send?access_token=0123456789abcdef0123456789abcdef",
        "feishu": "https://open.feishu.cn/open-apis/bot/v2/hook/01234567-89ab-cdef-0123-456789abcdef",
    }
    given = {
        "name": "售后群",
        "kind": kind,
        "locale": "en",
        "url": urls.get(kind, ""),
        "kinds": list(told),
        "active": True,
        **values,
    }
    with office.at_desk(), transaction():
        return robots.save_robot(office.unit.id, given)


# --- mails -----------------------------------------------------------------------------------------


def test_a_notice_becomes_one_mail_in_its_reader_s_language(app, office, post):
    chinese = make_user(office.unit, email="li@huacheng.example", locale="zh")
    record_id = tell(office, "chased", "客户又催了\nBcc: evil@example.com")
    tell(office, "chased", "催", [chinese.id, office.desk.id], record_id)
    sent_round(app)
    assert sent_round(app) == 0, "nothing goes out twice"
    # The desk wrote the notices itself and is told of none.
    assert [people for people, _mail in post.mails] == [["wang@huacheng.example"], ["li@huacheng.example"]]
    assert post.mails[1][1]["Subject"].endswith("客户催单")
    mail = post.mails[0][1]
    with as_system() as work:
        number = work.get_one(Record, record_id).number
    assert mail["Subject"] == f"[{number}] Customer chased"
    assert (mail["From"], mail["Bcc"], mail["Auto-Submitted"]) == (
        "notice@huacheng.example",
        None,
        "auto-generated",
    )
    text = mail.get_body(("plain",)).get_content()
    assert f"https://service.example.cn/admin/record/{record_id}" in text
    assert "客户又催了" in text and "2026-03-10 10:00" in text
    html = mail.get_body(("html",)).get_content()
    assert f'href="https://service.example.cn/admin/record/{record_id}"' in html and 'lang="en"' in html
    assert states() == [("chased", "email", SENT)] * 2
    assert post.mails[0][1]["Message-ID"] != post.mails[1][1]["Message-ID"]


def test_a_mail_s_html_shows_what_people_wrote_as_text(sqlite_app, sqlite_office, post):
    tell(sqlite_office, "mention", "<img src=x onerror=alert(1)> & <b>")
    sent_round(sqlite_app)
    html = post.mails[0][1].get_body(("html",)).get_content()
    assert "<img" not in html and "&lt;img src=x" in html


@pytest.mark.parametrize(
    "bad", ["a@b\nBcc: x@y", "a b@c.cn", "a@b.cn,c@d.cn", "<a@b.cn>, c@d.cn", "", "张@a.cn", "@"]
)
def test_an_address_that_is_none_makes_no_header(bad):
    assert not smtp.is_address(bad)
    with pytest.raises(InvalidData):
        smtp.compose(bad, "s", "t", sender="s@h.cn")


@given(st.text(max_size=120), st.text(max_size=120), st.text(max_size=80))
def test_no_text_makes_a_header(subject, text, name):
    """Whatever is in subject, body or a file's name, a mail has the headers we gave it and no others."""
    made = smtp.compose("a@b.cn", subject, text, text, [(name, b"x", "text/plain\r\nX: y")], sender="s@h.cn")
    read = email.message_from_bytes(made.as_bytes(), policy=email.policy.default)
    assert set(read.keys()) == {"From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"}
    assert read["To"] == "a@b.cn"
    parts = [part.get_content_type() for part in read.walk()]
    assert parts[-3:] == ["text/plain", "text/html", "application/octet-stream"]


@pytest.mark.parametrize(
    "header",
    [{"X-A\n": "1"}, {"X-A": "1\r\nBcc: x@y.cn"}, {"Bcc": "a@b.cn"}, {"to": "a@b.cn"}, {"Content-Type": "x"}],
)
def test_headers_of_callers_are_checked_too(header):
    with pytest.raises(InvalidData):
        smtp.compose("a@b.cn", "s", "t", headers=header, sender="s@h.cn")


def test_long_message_ids_stay_whole():
    ids = {name: f"<{letter * 120}@x.cn>" for name, letter in (("In-Reply-To", "a"), ("Message-ID", "b"))}
    made = smtp.compose("a@b.cn", "s", "t", headers=ids, sender="s@h.cn").as_bytes().decode()
    assert all(f"{name}: {value}\r\n" in made for name, value in ids.items())


def test_what_is_refused_for_good_is_given_up_and_what_is_not_is_tried_again(app, office, post):
    post.refuse = {"wang@huacheng.example": "450 try later"}
    tell(office)
    sent_round(app)
    first = deliveries(Delivery.state, Delivery.tries, Delivery.error, Delivery.next_try_at)
    assert first == [(PENDING, 1, "450 try later", MORNING + timedelta(minutes=2))]
    assert sent_round(app) == 0
    post.refuse = {"wang@huacheng.example": "550 no such user"}
    with clock.frozen(MORNING + timedelta(minutes=3)):
        sent_round(app)
        assert deliveries(Delivery.state, Delivery.tries, Delivery.error) == [(FAILED, 2, "550 no such user")]
        post.refuse = {}
        assert sent_round(app) == 0
        with office.at_desk() as work, transaction():
            sending.send_again(work.scalars(select(Delivery)).one())
        with office.on_the_road() as work, pytest.raises(NotAllowed):
            sending.send_again(work.scalars(select(Delivery)).one())
        sent_round(app)
    assert deliveries(Delivery.state, Delivery.error) == [(SENT, "")] and len(post.mails) == 1


def test_a_mail_server_that_is_away_is_asked_once_a_batch_and_given_up_in_the_end(
    sqlite_app, sqlite_office, monkeypatch
):
    asked = []
    real = smtp._connect
    monkeypatch.setattr(smtp, "_connect", lambda given: asked.append(given) or real(given))
    record_id = tell(sqlite_office)
    tell(sqlite_office, number=record_id, kind="chased")
    moment = MORNING
    with settings(sqlite_app, smtp=f"smtp://127.0.0.1:{free_port()}"):
        for tries in range(1, sending.MAX_TRIES + 1):
            with clock.frozen(moment):
                assert sent_round(sqlite_app) == 2
            assert len(asked) == tries
            moment += sending.wait_after(tries)
    assert {(state, "refused" in error) for state, error in deliveries(Delivery.state, Delivery.error)} == {
        (FAILED, True)
    }


def test_without_a_mail_server_nothing_waits_for_one(sqlite_app, sqlite_office):
    tell(sqlite_office)
    sent_round(sqlite_app)
    assert states() == []
    with as_system() as work:
        assert work.scalars(select(Notice.id).where(Notice.told_at.is_(None))).all() == []


def test_who_is_gone_or_lost_the_unit_is_told_nothing_even_of_what_waits(app, office, post):
    other = make_user(office.unit, (), email="li@huacheng.example")
    gone = make_user(office.unit, (), email="gone@huacheng.example", active=False)
    tell(office, people=[other.id, office.technician.id, gone.id])
    with app.app_context():
        take_up.take_up()
    with as_system() as work:
        work.get_one(User, office.technician.id).active = False
        held = update(UserPosition).where(UserPosition.user_id == other.id)
        work.execute(
            held.values(valid_to=MORNING.date() - timedelta(days=2)), execution_options={"audited": "test"}
        )
    sent_round(app)
    tell(office, people=[other.id, office.technician.id])
    sent_round(app)
    assert post.mails == []
    assert deliveries(Delivery.state, Delivery.error) == [(VOID, sending.GONE)] * 2


def test_a_notice_costs_its_writer_one_statement_however_many_there_are(app, office, count_queries):
    record_id = office.new_case()

    def statements(kind: str, times: int) -> list[str]:
        with office.at_desk() as work:
            record = work.get_one(Record, record_id)
            with count_queries() as seen, transaction():
                for _turn in range(times):
                    notify(record, kind, [office.technician.id])
                work.flush()
        return seen

    assert sorted(one.split()[2] for one in statements("assigned", 1)) == ["core_notice", "core_outbox"]
    assert len([one for one in statements("chased", 3) if "core_outbox" in one]) == 1
    with as_system() as work:
        assert len(work.scalars(select(Outbox).where(Outbox.topic == "job")).all()) == 2


def test_the_job_runner_sends_what_a_step_brought(app, office, post):
    from core.jobs.runner import run_once

    record_id = office.new_case()
    office.do(record_id, ("forward", {"position": "after_sales"}), "classify", "assign")
    run_once(app, tidy=False)
    assert [mail["Subject"].partition("] ")[2] for mail in post.to("wang@huacheng.example")] == ["Assigned to you"]


def test_the_sources_are_all_there(sqlite_office):
    """Assignment, due soon, late, approval wanted, mention, customer reply: each with its words and a default."""
    for code in ("assigned", "due_soon", "broken", "approval.asked", "mention", "customer_reply"):
        assert kinds.kind(code).email == kinds.NOW and kinds.kind(code).group != kinds.kind("?").group
    with sqlite_office.at_desk():
        record_id = sqlite_office.new_case()
        comment(record_id, f"@{sqlite_office.technician.username} 看一下")
    with as_system() as work:
        assert work.scalars(select(Notice.kind)).all() == ["mention"]


# --- wishes ------------------------------------------------------------------------------------------


def test_one_s_own_wish_counts_before_one_s_position_s_and_that_before_the_usual(app, office, post):
    position = office.staff("after_sales")
    with as_system() as work:
        row = work.get_one(User, position.id)
        row.email, row.locale = "zhao@huacheng.example", "en"
        work.add(NoticePreference(position="after_sales", kind="assigned", channel="email", mode="off"))
        work.add(NoticePreference(position="after_sales", kind="mention", channel="email", mode="off"))
        work.add(NoticePreference(position="after_sales", kind="chased", channel="inbox", mode="off"))
    prefer(position, mention="now")
    people = [position.id, office.technician.id]
    record_id = tell(office, "assigned", people=people)
    tell(office, "mention", people=people, number=record_id)
    tell(office, "chased", people=people, number=record_id)
    sent_round(app)
    assert len(post.to("wang@huacheng.example")) == 3
    assert [m["Subject"].partition("] ")[2] for m in post.to("zhao@huacheng.example")] == [
        "You were mentioned",
        "Customer chased",
    ]
    with as_system() as work:
        unread = select(Notice.kind).where(Notice.user_id == position.id, Notice.read_at.is_(None))
        assert work.scalars(unread.order_by(Notice.id)).all() == ["assigned", "mention"]


@pytest.mark.parametrize(
    ("wishes", "habits", "field"),
    [
        ({("nonsense", "email"): "now"}, Habits(), "email.nonsense"),
        ({("assigned", "smoke"): "now"}, Habits(), "smoke.assigned"),
        ({("assigned", "email"): "always"}, Habits(), "email.assigned"),  # not urgent
        ({("assigned", "inbox"): "digest"}, Habits(), "inbox.assigned"),
        ({}, Habits(time(22), None), "quiet_to"),
        ({}, Habits(None, time(7)), "quiet_from"),
        ({}, Habits(time(7), time(7)), "quiet_to"),
    ],
)
def test_wishes_that_make_no_sense_change_nothing(sqlite_office, wishes, habits, field):
    with sqlite_office.at_desk(), pytest.raises(InvalidData) as caught:
        preferences.save_mine({("mention", "email"): "off"} | wishes, habits, "UTC")
    assert set(caught.value.errors) == {field}
    with sqlite_office.at_desk():
        assert (preferences.my_wishes(), preferences.my_habits()) == ({}, Habits())


def test_what_positions_are_told_is_set_by_whoever_administers_all_units(sqlite_office):
    unit = sqlite_office.unit.id
    with sqlite_office.at_desk():
        preferences.save_position("finance", {("comment", "email"): "off"}, unit)
        preferences.save_position("finance", {("changed", "email"): "now"}, unit)
        assert preferences.position_defaults() == {"finance": {("changed", "email"): "now"}}
        with pytest.raises(InvalidData):
            preferences.save_position("nobody", {}, unit)
    with sqlite_office.on_the_road(), pytest.raises(NotAllowed):
        preferences.save_position("finance", {}, unit)
    make_office()
    with sqlite_office.at_desk(), pytest.raises(NotAllowed):  # there is a unit now where they may not
        preferences.save_position("finance", {}, unit)


CLOCKS = st.times().map(lambda one: one.replace(microsecond=0))
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))
ZONES = st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"])


@given(MOMENTS, CLOCKS, CLOCKS, ZONES)
def test_quiet_hours_hold_until_they_are_over(moment, start, end, zone):
    """Inside them the answer is their end, ahead of now and less than a day away; outside there is none."""
    over = end_of_quiet(moment, Habits(start, end), zone)
    now = moment.astimezone(ZoneInfo(zone)).time()
    inside = (start <= now < end) if start < end else (start != end and (now >= start or now < end))
    assert (over is not None) == inside
    if over is not None:
        assert moment < over <= moment + timedelta(hours=25)
        assert end_of_quiet(over, Habits(start, end), zone) is None or zone != "Asia/Shanghai"


@given(MOMENTS, CLOCKS, ZONES)
def test_the_next_digest_is_ahead_and_within_a_day(moment, at, zone):
    assert moment < next_digest(moment, at, zone) <= moment + timedelta(hours=25)


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2026-03-10T13:59", None),  # 21:59 in Shanghai
        ("2026-03-10T14:00", "2026-03-10T23:00"),
        ("2026-03-10T15:59", "2026-03-10T23:00"),
        ("2026-03-10T16:00", "2026-03-10T23:00"),  # past midnight there
        ("2026-03-10T22:59", "2026-03-10T23:00"),
        ("2026-03-10T23:00", None),
    ],
)
def test_quiet_hours_across_midnight(at, until):
    night = Habits(time(22), time(7))
    found = end_of_quiet(datetime.fromisoformat(at + "+00:00"), night, "Asia/Shanghai")
    assert found == (until and datetime.fromisoformat(until + "+00:00"))


def test_at_night_only_what_one_lets_through_comes(app, office, post):
    prefer(office.technician, Habits(time(22), time(7)), broken="always")
    night = datetime(2026, 3, 10, 15, 30, tzinfo=UTC)  # 23:30
    with clock.frozen(night):
        record_id = tell(office, "assigned")
        tell(office, "broken", number=record_id)
        sent_round(app)
        assert [mail["Subject"].partition("] ")[2] for mail in post.to("wang@huacheng.example")] == [
            "A time limit was missed"
        ]
    with clock.frozen(night + timedelta(hours=7, minutes=29)):
        assert sent_round(app) == 0
    with clock.frozen(night + timedelta(hours=7, minutes=31)):
        assert sent_round(app) == 1
    assert len(post.mails) == 2


def test_the_digest_is_one_mail_a_day_of_what_is_still_unread(app, office, post):
    prefer(office.technician, Habits(digest_at=time(18)), assigned="digest", mention="digest")
    record_id = tell(office, "assigned")
    for text in ("一", "二", "三"):
        tell(office, "mention", text, number=record_id)
    tell(office, "comment", "已读", number=record_id)
    with as_system() as work:
        work.execute(update(Notice).where(Notice.text == "已读").values(read_at=clock.now()))
    assert sent_round(app) == 0
    evening = datetime(2026, 3, 10, 10, 1, tzinfo=UTC)
    with clock.frozen(evening):
        assert sent_round(app) == 1
        assert sent_round(app) == 0
    (mail,) = post.to("wang@huacheng.example")
    assert mail["Subject"] == "Your digest: 4 notices"
    text = mail.get_body(("plain",)).get_content()
    assert "(3)" in text and "(1)" in text and "已读" not in text
    assert sorted(states()) == sorted(
        [("assigned", "digest", SENT), ("comment", "digest", VOID), *[("mention", "digest", SENT)] * 3]
    )
    with clock.frozen(evening + timedelta(days=1)):
        assert sent_round(app) == 0, "never an empty one"
    assert len(post.mails) == 1


def test_a_new_hour_of_the_digest_holds_for_what_waits(sqlite_app, sqlite_office, post):
    prefer(sqlite_office.technician, assigned="digest")
    tell(sqlite_office, "assigned")
    sent_round(sqlite_app)
    assert deliveries(Delivery.next_try_at) == [(datetime(2026, 3, 11, 0, 0, tzinfo=UTC),)]
    with sqlite_office.on_the_road():
        preferences.save_mine({("assigned", "email"): "digest"}, Habits(digest_at=time(12)), "Asia/Shanghai")
    assert deliveries(Delivery.next_try_at) == [(datetime(2026, 3, 10, 4, 0, tzinfo=UTC),)]


# --- several at once ---------------------------------------------------------------------------------


def test_two_takers_at_once_tell_everybody_once(app, office, post, monkeypatch):
    """Four threads take up, write digests and send at the same time; each notice is told once."""
    monkeypatch.setattr(take_up, "BATCH", 7)
    monkeypatch.setattr(sending, "BATCH", 5)
    people = [make_user(office.unit, (), email=f"p{n}@huacheng.example") for n in range(6)]
    prefer(people[0], assigned="digest")
    record_id = office.new_case()
    for _turn in range(6):
        tell(office, "assigned", people=[one.id for one in people], number=record_id)
    errors = []
    start = threading.Barrier(4)

    def work() -> None:
        start.wait()
        try:
            with clock.frozen(MORNING):
                sent_round(app)
            start.wait()
            with clock.frozen(MORNING + timedelta(days=1)):
                sent_round(app)
        except Exception as error:
            errors.append(error)
            start.abort()

    threads = [threading.Thread(target=work) for _turn in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert errors == []
    assert [len(post.to(f"p{n}@huacheng.example")) for n in range(6)] == [1, 6, 6, 6, 6, 6]
    assert set(deliveries(Delivery.state, Delivery.tries)) == {(SENT, 1)}


def test_what_a_killed_worker_held_comes_again_after_its_lease(app, office, post, monkeypatch):
    class Killed(BaseException):
        pass

    def die(*_args, **_options):
        raise Killed

    tell(office)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(smtp.Post, "send", die)
        sent_round(app)
    assert sent_round(app) == 0 and post.mails == []
    with clock.frozen(MORNING + sending.LEASE + timedelta(seconds=1)):
        assert sent_round(app) == 1
    assert len(post.mails) == 1


def test_time_wakes_what_waited(app, office, post):
    from core.jobs.runner import run_once

    prefer(office.technician, Habits(time(9), time(11)))
    tell(office)
    run_once(app, tidy=False)
    assert post.mails == []
    with clock.frozen(MORNING + timedelta(hours=1, minutes=1)):
        with app.app_context():
            assert ticks.tick().done["notices"] == 1
        run_once(app, tidy=False)
    assert len(post.mails) == 1


def test_old_news_is_not_told_and_the_log_is_dropped_in_time(sqlite_app, sqlite_office, post):
    tell(sqlite_office)
    with clock.frozen(MORNING + timedelta(days=4)):
        sent_round(sqlite_app)
        assert states() == []
        tell(sqlite_office)
        sent_round(sqlite_app)
    sqlite_office.set("notice.keep_days", 30)
    for days, left in ((33, 1), (35, 0)):
        with clock.frozen(MORNING + timedelta(days=days)), as_system():
            sending.purge(sqlite_office.unit.id)
        assert len(states()) == left


# --- groups ------------------------------------------------------------------------------------------

SECRETS = ("盟新", "马林", "13112355344", "文三路", "壁挂炉", "点火", "E1", "师傅", "前台", "很急")


@pytest.mark.parametrize("kind", ["wecom", "dingtalk", "feishu", "webhook"])
def test_a_group_is_told_nothing_of_the_customer(sqlite_app, sqlite_office, group, kind):
    """Kind, number, state, time limit, unit and link; no name, phone, address, title or text."""
    told = [code for code, _words in kinds.for_robots()]
    url = {"url": f"{group.url}/hook"} if kind == "webhook" else {}
    make_robot(sqlite_office, kind, told, **url)
    record_id = sqlite_office.new_case()
    sqlite_office.do(record_id, ("forward", {"position": "after_sales"}), "classify", "assign")
    for code in told:
        tell(sqlite_office, code, "马林 13112355344 很急", number=record_id)
    sent_round(sqlite_app)
    with as_system() as work:
        record = work.get_one(Record, record_id)
        kept = work.scalars(select(Delivery.body)).all()
    assert len(group.told) == 1 and record.number in group.text
    assert f"https://service.example.cn/admin/record/{record_id}" in group.text
    assert [one for one in (*SECRETS, record.title, *INTAKE.values()) if one in group.text + "".join(kept)] == []
    assert set(deliveries(Delivery.state)) == {(SENT,)}


def test_a_group_is_told_once_however_many_people_an_event_concerns(app, office, group):
    make_robot(office)
    record_id = tell(office, people=[make_user(office.unit).id for _turn in range(5)])
    tell(office, "mention", number=record_id)
    sent_round(app)
    assert [body["text"]["content"].count("Assigned") for _path, body in group.told] == [1]
    assert len(states()) == 1


def test_another_unit_s_group_is_told_nothing(sqlite_app, sqlite_office, group):
    make_robot(make_office())
    tell(sqlite_office)
    sent_round(sqlite_app)
    assert group.told == []


def test_many_events_go_into_one_message_and_the_next_waits_its_turn(app, office, group):
    make_robot(office)
    for _turn in range(40):
        tell(office)
    sent_round(app)
    (message,) = [text["text"]["content"] for _path, text in group.told]
    assert len(message.encode()) <= 2048 and "more" in message
    tell(office)
    assert sent_round(app) == 0, "four seconds between two messages"
    with clock.frozen(MORNING + robots.GAP):
        assert sent_round(app) == 1
    assert len(group.told) == 2
    assert set(deliveries(Delivery.state)) == {(SENT,)}


def test_a_robot_that_answers_200_and_means_no_is_heard(app, office, group):
    """apprise alone would call this sent."""
    make_robot(office)
    tell(office)
    group.answer = (200, {"errcode": 93000, "errmsg": "invalid webhook url"})
    sent_round(app)
    ((state, error),) = deliveries(Delivery.state, Delivery.error)
    assert state == PENDING and "93000" in error
    group.answer = (200, {"errcode": 0})
    with clock.frozen(MORNING + timedelta(minutes=3)):
        sent_round(app)
    assert deliveries(Delivery.state) == [(SENT,)]


def test_dingtalk_and_feishu_messages_are_signed(sqlite_app, sqlite_office, group):
    import base64
    import hashlib
    import hmac
    from urllib.parse import parse_qs, urlsplit

    make_robot(sqlite_office, "dingtalk", secret="SECabc123def456")
    make_robot(sqlite_office, "feishu", secret="feishuSecret123")
    tell(sqlite_office)
    sent_round(sqlite_app)
    told = {urlsplit(path).path.split("/")[1]: (path, body) for path, body in group.told}
    query = parse_qs(urlsplit(told["ding"][0]).query)
    stamp = query["timestamp"][0]
    wanted = hmac.new(b"SECabc123def456", f"{stamp}\nSECabc123def456".encode(), hashlib.sha256).digest()
    assert base64.b64decode(query["sign"][0]) == wanted
    _path, body = told["feishu"]
    wanted = hmac.new(f"{body['timestamp']}\nfeishuSecret123".encode(), b"", hashlib.sha256).digest()
    assert base64.b64decode(body["sign"]) == wanted and body["msg_type"] == "text"


@pytest.mark.parametrize(
    ("kind", "url", "secret", "field"),
    [
        ("wecom", "https://qyapi.weixin.qq.com.evil.example/send?key=693a91f6aaaa", "", "url"),
        ("wecom", "http://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=693a91f6aaaa", "", "url"),
        ("wecom", "https://user@qyapi.weixin.qq.com/cgi-bin/webhook/send?key=693a91f6aaaa", "", "url"),
        ("wecom", "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=../../x", "", "url"),
        ("wecom", "https://qyapi.weixin.qq.com/send?key=693a91f6aaaa", "abcdefgh1", "secret"),
        ("dingtalk", "https://oapi.dingtalk.com/robot/send?access_token=0123456789abcdef", "a b\r\nc", "secret"),
        ("dingtalk", "https://[::1", "", "url"),
        ("feishu", "https://open.feishu.cn/open-apis/other/0123456789", "", "url"),
        ("webhook", "http://127.0.0.1/hook", "", "url"),
        ("webhook", "http://169.254.169.254/latest/meta-data", "", "url"),
        ("webhook", "file:///etc/passwd", "", "url"),
        ("webhook", "", "", "url"),
    ],
)
def test_addresses_that_are_not_a_robot_s_are_refused(sqlite_office, kind, url, secret, field):
    with pytest.raises(InvalidData) as caught:
        make_robot(sqlite_office, kind, url=url, secret=secret)
    assert set(caught.value.errors) == {field}
    with as_system() as work:
        assert work.scalars(select(Robot.id)).all() == []


def test_a_robot_s_address_is_sealed_masked_and_never_in_the_audit_trail(sqlite_app, sqlite_office):
    from core.kernel.audit import Audit

    made = make_robot(sqlite_office, "dingtalk", secret="SECabc123def456")
    assert "0123456789abcdef" not in made.address and "SECabc" not in made.address
    with sqlite_app.app_context():
        assert robots.masked(made) == "oapi.dingtalk.com …cdef"
        assert robots.address_of(made).secret == "SECabc123def456"
    with sqlite_office.at_desk() as work, transaction():
        row = work.get_one(Robot, made.id)
        robots.save_robot(
            row.unit_id, {"name": "改名", "kind": "dingtalk", "url": "", "kinds": [], "active": True}, row
        )
        assert robots.address_of(row).token == "0123456789abcdef0123456789abcdef"
    with as_system() as work:
        trail = [str((e.before, e.after, e.detail)) for e in work.scalars(select(Audit))]
    assert "改名" in "".join(trail) and made.address not in "".join(trail)
    with sqlite_office.on_the_road(), pytest.raises(NotAllowed):
        robots.save_robot(made.unit_id, {"name": "x", "kind": "wecom"})


def test_a_test_message_says_how_it_went(sqlite_app, sqlite_office, group):
    made = make_robot(sqlite_office)
    with sqlite_office.at_desk() as work:
        assert robots.test(work.get_one(Robot, made.id)).state == SENT
        with pytest.raises(InvalidData):
            robots.test(work.get_one(Robot, made.id))
    group.answer = (500, {})
    with clock.frozen(MORNING + robots.GAP), sqlite_office.at_desk() as work:
        went = robots.test(work.get_one(Robot, made.id))
        assert (went.state, "500" in went.error) == (FAILED, True)


def test_a_robot_switched_off_is_told_no_more(sqlite_app, sqlite_office, group):
    made = make_robot(sqlite_office)
    tell(sqlite_office)
    with sqlite_app.app_context():
        take_up.take_up()
    with as_system() as work:
        work.get_one(Robot, made.id).active = False
    sent_round(sqlite_app)
    tell(sqlite_office)
    sent_round(sqlite_app)
    assert group.told == [] and deliveries(Delivery.state, Delivery.error) == [(VOID, sending.ROBOT_OFF)]
