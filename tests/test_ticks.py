"""What time brings by itself: warnings, breaches, confirmation by silence; nothing twice, whoever runs it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from core.cases import silence
from core.jobs.runner import Runner
from core.kernel import clock
from core.kernel.database import system_scope
from core.records.models import Fact, Notice, Record
from core.rules import ticks, unit_report
from core.rules.obligation_models import Breach, Obligation
from core.users.models import User
from tests.casework import make_office, reading, shape
from tests.helpers import current, make_user

MONDAY = datetime(2025, 11, 3, 3, tzinfo=UTC)  # 11:00 in Shanghai


@pytest.fixture
def office(app):
    return make_office()


def at(**later: float) -> datetime:
    return MONDAY + timedelta(**later)


def tick(moment: datetime) -> ticks.Ticked:
    with current().app_context():
        return ticks.tick(moment)


def notices(kind: str) -> list[tuple[int, str]]:
    with reading() as work:
        rows = work.execute(select(Notice.user_id, Notice.text).where(Notice.kind == kind).order_by(Notice.id))
        return [(row.user_id, row.text) for row in rows]


def assigned_case(office) -> int:
    with clock.frozen(MONDAY):
        key = office.new_case()
        office.do(key, "contact", "classify", "assign")
    return key


def together(*calls) -> None:
    gate = threading.Barrier(len(calls))

    def run(call) -> None:
        gate.wait()
        call()

    threads = [threading.Thread(target=run, args=(one,)) for one in calls]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)


def head_of(office) -> User:
    from core.users.models import Position
    from tests.helpers import as_system

    with as_system() as work:
        position = work.scalars(select(Position).where(Position.code == "service_leader")).one()
    return make_user(office.unit, position=position, name="主管")


def open_obligation(key: int, clause: str) -> Obligation:
    with reading() as work:
        own = select(Obligation).where(Obligation.record_id == key, Obligation.clause == clause)
        return work.scalars(own).one()


# --- warnings and breaches -------------------------------------------------------------------------


@pytest.mark.clause("R01-4.4")
def test_who_is_responsible_is_warned_once_and_told_of_the_breach(office):
    leader = head_of(office)
    key = assigned_case(office)
    limit = open_obligation(key, "R01-4.4")
    tick(limit.warn_at - timedelta(seconds=1))
    before = [one for one in notices("due_soon") if "R01-4.4" in one[1]]
    tick(limit.warn_at)
    tick(limit.warn_at + timedelta(minutes=1))
    warned = [one for one in notices("due_soon") if "R01-4.4" in one[1]]
    assert before == [] and [who for who, _text in warned] == [office.technician.id]

    tick(limit.due_at)  # the last second is still in time
    assert not [one for one in notices("broken") if "R01-4.4" in one[1]]
    tick(limit.due_at + timedelta(seconds=1))
    tick(limit.due_at + timedelta(hours=1))
    told = [who for who, text in notices("broken") if "R01-4.4" in text]
    assert sorted(told) == sorted([office.technician.id, leader.id])
    with reading() as work:
        breach = work.scalars(select(Breach).where(Breach.record_id == key, Breach.clause == "R01-4.4")).one()
    assert (breach.due_at, breach.responsible_id) == (limit.due_at, office.technician.id)


def test_what_was_done_in_time_is_never_announced(office):
    key = assigned_case(office)
    with clock.frozen(at(hours=1)):
        office.do(key, "accept", "start", "solve")
    tick(at(days=30))
    with reading() as work:
        assert work.scalars(select(Breach.clause).where(Breach.clause == "R01-4.4")).all() == []


def test_what_is_over_already_is_not_also_warned_of(office):
    key = assigned_case(office)
    tick(open_obligation(key, "R01-4.4").due_at + timedelta(days=1))
    assert [text for _who, text in notices("due_soon") if "R01-4.4" in text] == []
    assert open_obligation(key, "R01-4.4").warned_at is not None


def test_several_rounds_at_once_announce_everything_once(office):
    keys = [assigned_case(office) for _ in range(6)]
    late = open_obligation(keys[0], "R01-4.4").due_at + timedelta(minutes=1)
    together(*[lambda: tick(late)] * 4)
    with reading() as work:
        counts = work.execute(
            select(Notice.record_id, Notice.user_id, Notice.text, func.count())
            .where(Notice.kind == "broken")
            .group_by(Notice.record_id, Notice.user_id, Notice.text)
        ).all()
        clauses = work.execute(select(Breach.record_id, Breach.clause)).all()
    assert {count for *_rest, count in counts} == {1}
    assert {key for key, clause in clauses if clause == "R01-4.4"} == set(keys)


def test_a_round_and_a_step_at_once_do_not_block_each_other(office):
    keys = [assigned_case(office) for _ in range(5)]
    late = open_obligation(keys[0], "R01-4.4").due_at + timedelta(minutes=1)

    def work() -> None:
        with clock.frozen(late + timedelta(seconds=1)):
            for key in keys:
                office.do(key, ("chase", {"reason": "还没来"}), "accept")

    together(lambda: tick(late), work)
    with reading() as found:
        states = set(found.scalars(select(Record.state).where(Record.id.in_(keys))))
        broken = set(found.scalars(select(Breach.record_id).where(Breach.clause == "R01-4.4")))
    assert states == {"accepted"}
    assert broken == set(keys)


def test_one_broken_record_keeps_nobody_waiting(office, monkeypatch, caplog):
    first, second = assigned_case(office), assigned_case(office)
    real = ticks.obligations.announce

    def announce(record_id, *rest):
        if record_id == first:
            raise RuntimeError("odd")
        return real(record_id, *rest)

    monkeypatch.setattr(ticks.obligations, "announce", announce)
    tick(at(days=60))
    with reading() as work:
        assert set(work.scalars(select(Breach.record_id))) == {second}
    monkeypatch.undo()
    tick(at(days=60))
    with reading() as work:
        assert set(work.scalars(select(Breach.record_id))) == {first, second}


def test_one_kind_of_work_that_fails_does_not_stop_the_others(office, monkeypatch, caplog):
    def broken() -> int:
        raise RuntimeError("odd")

    ran = []
    monkeypatch.setattr(ticks, "WORK", [ticks.Work("a", broken), ticks.Work("b", lambda: ran.append(1) or 7)])
    found = tick(MONDAY)
    assert (found.failed, found.done) == (("a",), {"b": 7})


def test_work_that_need_not_be_done_every_minute_waits(app, monkeypatch):
    ran: list[datetime] = []
    often = ticks.Work("often", lambda: 0)
    seldom = ticks.Work("seldom", lambda: ran.append(clock.now()) or 0, timedelta(minutes=10))
    monkeypatch.setattr(ticks, "WORK", [often, seldom])
    last: dict[str, datetime] = {}
    for minute in range(25):
        with clock.frozen(at(minutes=minute)), app.app_context():
            ticks.tick(last=last)
    assert ran == [at(minutes=0), at(minutes=10), at(minutes=20)]


def test_the_runner_ticks_about_once_a_minute(app, monkeypatch):
    ran: list[datetime] = []
    monkeypatch.setattr(ticks, "WORK", [ticks.Work("one", lambda: ran.append(clock.now()) or 0)])
    runner = Runner(app)
    for seconds in (0, 2, 30, 59, 61, 90, 125):
        with clock.frozen(at(seconds=seconds)):
            runner._round()
    assert ran == [at(), at(seconds=61), at(seconds=125)]


def test_a_round_by_hand(app):
    answer = app.test_cli_runner().invoke(args=["rules", "tick", "--json"])
    assert answer.exit_code == 0, answer.output
    assert '"breaches": 0' in answer.output


# --- silence ---------------------------------------------------------------------------------------


def sent_case(office) -> int:
    """S11: solved and told to the customer on Monday at 11."""
    with clock.frozen(MONDAY):
        key = office.new_case()
        office.do(key, "contact", "classify", "assign", "accept", "start", "solve", "send_result")
    return key


@pytest.mark.clause("R03-3.5")
def test_silence_confirms_when_the_seventh_day_ends(office):
    key = sent_case(office)
    end = datetime(2025, 11, 10, 16, tzinfo=UTC)  # 2025-11-11 00:00 in Shanghai
    assert tick(end - timedelta(seconds=1)).done["silence"] == 0
    assert shape(key)["record"]["state"] == "solved"
    assert tick(end + timedelta(hours=5)).done["silence"] == 1
    found = shape(key)
    assert found["record"]["state"] == "confirmed"
    assert (found["case"]["confirmed_by"], found["case"]["rating"]) == ("silence", None)
    with reading() as work:
        fact = work.scalars(select(Fact).where(Fact.record_id == key, Fact.kind == "confirmed")).one()
    assert (fact.at, fact.actor_id, fact.data["means"]) == (end, None, "silence")
    assert tick(end + timedelta(days=1)).done["silence"] == 0


def test_a_customer_who_is_not_satisfied_is_not_silent(office):
    key = sent_case(office)
    with clock.frozen(at(days=2)):
        office.do(key, "rework", "solve")
    assert tick(at(days=20)).done["silence"] == 0
    assert shape(key)["record"]["state"] == "solved"


def test_silence_is_the_units_choice(office):
    office.set("case.silence_confirms", False)
    key = sent_case(office)
    assert tick(at(days=20)).done["silence"] == 0
    assert shape(key)["record"]["state"] == "solved"


def test_the_days_of_silence_are_the_units(office):
    office.set("case.silence_days", 2)
    sent_case(office)
    assert tick(at(days=2)).done["silence"] == 0
    assert tick(at(days=3)).done["silence"] == 1


def test_two_rounds_confirm_by_silence_once(office):
    key = sent_case(office)
    together(*[lambda: tick(at(days=9))] * 3)
    with reading() as work:
        kinds = work.scalars(select(Fact.kind).where(Fact.record_id == key)).all()
    assert kinds.count("confirmed") == 1


def test_a_case_that_refuses_leaves_the_others_alone(office, monkeypatch):
    first, second = sent_case(office), sent_case(office)
    real = silence.perform

    def perform(record_id, *rest, **named):
        if record_id == first:
            raise silence.AppError("odd")
        return real(record_id, *rest, **named)

    monkeypatch.setattr(silence, "perform", perform)
    with clock.frozen(at(days=9)), current().app_context(), system_scope("test"):
        assert silence.confirm_silent(office.unit.id) == 1
    assert (shape(first)["record"]["state"], shape(second)["record"]["state"]) == ("solved", "confirmed")


def test_a_round_and_a_report_read_no_whole_table(sqlite_app, count_queries):
    office = make_office()
    assigned_case(office)
    with count_queries() as seen:
        tick(at(days=30))
        with clock.frozen(at(days=30)), office.at_desk():
            unit_report.report(office.unit.id, unit_report.span_of("month", at().date()))
    asked = {one for one in seen if one.startswith("SELECT") and "core_obligation" in one}
    assert len(asked) >= 4
    with reading() as work:
        for one in asked:
            plan = work.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {one}", (None,) * one.count("?"))
            told = [row[-1] for row in plan]
            assert not [line for line in told if line.startswith("SCAN core_obligation")], (one, told)
