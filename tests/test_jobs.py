"""Jobs: done in the scope of whoever started them, at least once, watched, cancelled, recurring."""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from core.jobs import letters, recurring, runner, work
from core.kernel import clock, jobs, leases, outbox
from core.kernel.database import fetch, session, transaction
from core.kernel.errors import Conflict, InvalidData, NotAllowed, NotFound, ScopeError
from core.kernel.i18n import current_locale
from core.kernel.jobs import CANCELLED, DONE, FAILED, RUNNING, WAITING, Job, JobRun, Periodic, PeriodicRun
from core.kernel.outbox import DEAD, MAX_TRIES, PENDING, Outbox
from core.units.models import Setting, Unit
from tests.helpers import as_system, in_scope, make_unit, make_user, switch_off, switch_on

MONDAY = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)  # 09:00 in Shanghai


@pytest.fixture
def declare(app, monkeypatch):
    """Declare jobs and recurring work for one test; only these are known in it."""
    known = {}
    monkeypatch.setitem(app.extensions, "jobs", known)

    def add(*declared):
        jobs.register(app, declared)

    return add


def start(unit, user, name="t.do", payload=None, key="", title="导出客户"):
    with in_scope(unit, actor=user):
        return jobs.start(name, unit.id, payload or {}, title, key).id


def deliver(app, at=None):
    with app.app_context(), clock.frozen(at or clock.now()):
        return outbox.deliver_pending(runner.deliver, dead=work.gave_up)


def run_of(run_id):
    with as_system() as held:
        return held.get(JobRun, run_id)


def message():
    with as_system() as held:
        return held.scalars(select(Outbox)).one()


# --- doing it ------------------------------------------------------------------------------------


def test_a_watched_job_runs_as_its_starter_and_keeps_what_it_answers(app, declare):
    unit, other = make_unit(), make_unit()
    user = make_user(unit, ["customer.view"], locale="en")
    seen = {}

    def do(job):
        scope = session().info["scope"]
        seen.update(actor=scope.actor_id, units=scope.read, may=scope.may("customer.view", unit.id))
        seen.update(locale=current_locale(), word=str(NotFound.title), payload=dict(job.payload), key=job.key)
        job.progress(1, 2, "half")
        return {"rows": 7}

    declare(Job("t.do", "Do", do))
    run_id = start(unit, user, payload={"a": 1}, key="once")
    assert start(unit, user, payload={"a": 2}, key="once") == run_id
    with pytest.raises(Conflict):
        start(unit, make_user(unit), key="once")
    with pytest.raises(Conflict):  # nor does a stranger learn of it
        start(other, make_user(other), key="once")
    assert run_of(run_id).state == WAITING
    deliver(app)
    run = run_of(run_id)
    assert (run.state, run.result, run.error) == (DONE, {"rows": 7}, "")
    assert run.started_at and run.finished_at
    assert seen["actor"] == user.id and seen["units"] == {unit.id} and seen["may"]
    assert (seen["payload"], seen["key"]) == ({"a": 1}, "once")
    assert message().state == outbox.DONE


def test_the_language_is_the_starter_s_in_every_session_the_job_opens(sqlite_app, monkeypatch):
    unit = make_unit()
    user = make_user(unit)
    said = []

    def do(job):
        said.append(str(NotAllowed.title))
        with as_system():
            said.append(str(NotAllowed.title))

    monkeypatch.setitem(sqlite_app.extensions, "jobs", {"t.do": Job("t.do", "Do", do)})
    run_id = start(unit, user)
    with as_system() as held:
        held.get(JobRun, run_id).locale = "zh"
    deliver(sqlite_app)
    assert said[0] == said[1] == "您没有执行此操作的权限" or all("权限" in one for one in said)


def test_a_reason_people_can_read_is_told_and_not_tried_again(app, declare):
    unit = make_unit()
    user = make_user(unit)

    def do(job):
        with transaction() as held:
            held.add(Setting(unit_id=unit.id, room="core", key="half", value={}))
            held.flush()
            raise InvalidData({"file": ["No such column", "Too long"]})

    declare(Job("t.do", "Do", do))
    run_id = start(unit, user)
    deliver(app)
    assert (run_of(run_id).state, run_of(run_id).error) == (FAILED, "No such column; Too long")
    assert message().state == outbox.DONE
    with as_system() as held:
        assert held.scalars(select(Setting).where(Setting.key == "half")).all() == []


def test_an_unwatched_job_s_reason_lands_among_the_dead_letters_at_once(app, declare):
    unit = make_unit()
    declare(Job("t.do", "Do", lambda job: require_nothing(InvalidData({"x": "wrong"}))))
    with in_scope(unit, actor=make_user(unit)), transaction():
        jobs.enqueue("t.do", unit.id, {}, "k")
        jobs.enqueue("t.do", unit.id, {}, "k")  # one key, one message
    assert deliver(app) == 1
    assert (message().state, message().error, message().tries) == (DEAD, "wrong", 1)


def require_nothing(error):
    raise error


def test_a_crash_is_tried_again_and_then_told(app, declare):
    unit = make_unit()
    user = make_user(unit)
    calls = []
    declare(Job("t.do", "Do", lambda job: calls.append(job.key) or 1 / 0))
    run_id = start(unit, user)
    moment = MONDAY.replace(year=2030)
    deliver(app, moment)
    assert run_of(run_id).state == WAITING  # for its next try
    waits = []
    for _turn in range(MAX_TRIES + 2):
        waits.append(message().next_try_at - moment)
        moment = max(message().next_try_at, moment)
        deliver(app, moment)
    assert len(calls) == MAX_TRIES and len(set(calls)) == 1
    assert waits[:4] == [timedelta(seconds=2**n) for n in (1, 2, 3, 4)]
    assert (message().state, run_of(run_id).state) == (DEAD, FAILED)
    assert "ZeroDivisionError" in message().error and "ZeroDivision" not in run_of(run_id).error
    calls.clear()
    with as_system() as held:
        letters.retry(held.scalars(select(Outbox)).all())
    assert (run_of(run_id).state, message().tries, message().state) == (WAITING, 0, PENDING)
    app.extensions["jobs"]["t.do"] = Job("t.do", "Do", lambda job: {"well": True})
    deliver(app, moment + timedelta(hours=9))
    assert (run_of(run_id).state, run_of(run_id).result) == (DONE, {"well": True})


def test_a_job_that_kills_every_worker_is_told_too(app, declare):
    unit = make_unit()
    user = make_user(unit)

    class Killed(BaseException):
        pass

    declare(Job("t.do", "Do", lambda job: require_nothing(Killed())))
    run_id = start(unit, user)
    moment = MONDAY.replace(year=2030)
    for _turn in range(MAX_TRIES + 1):
        moment += timedelta(hours=2)
        try:
            deliver(app, moment)
        except Killed:
            assert run_of(run_id).state == RUNNING
    assert (message().state, run_of(run_id).state) == (DEAD, FAILED)


# --- rights --------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["left", "moved", "switched off"])
def test_who_may_not_any_more_is_told_so(sqlite_app, monkeypatch, how):
    app = sqlite_app
    unit, other = make_unit(), make_unit()
    user = make_user(unit)
    ran = []
    plugin = "products" if how == "switched off" else ""
    monkeypatch.setitem(app.extensions, "jobs", {"t.do": Job("t.do", "Do", ran.append, plugin=plugin)})
    switch_on(unit, "products")
    run_id = start(unit, user)
    with as_system() as held:
        person = held.merge(user)
        if how == "left":
            person.active = False
        elif how == "moved":
            from core.users.models import UserPosition

            held.scalars(select(UserPosition).where(UserPosition.user_id == user.id)).one().unit_id = other.id
    if how == "switched off":
        switch_off(unit, "products")
    deliver(app)
    run = run_of(run_id)
    assert run.state == FAILED and not ran
    assert ("switched off" if how == "switched off" else "has left") in run.error


def test_work_that_nobody_started_reaches_its_unit_alone(app, declare):
    unit, other = make_unit(), make_unit()
    found = []

    def do(job):
        scope = session().info["scope"]
        found.append((scope.may("anything", unit.id), scope.may("anything", other.id), scope.actor_id))
        with pytest.raises(ScopeError), transaction() as held:
            held.add(Setting(unit_id=other.id, room="core", key="x", value={}))
            held.flush()
        with transaction() as held:
            held.add(Setting(unit_id=unit.id, room="core", key="x", value={}))

    declare(Job("t.do", "Do", do))
    with as_system():
        jobs.enqueue("t.do", unit.id, {})
    deliver(app)
    assert message().state == outbox.DONE, message().error
    assert found == [(True, False, None)]
    with as_system() as held:
        assert list(held.scalars(select(Setting.unit_id).where(Setting.key == "x"))) == [unit.id]


# --- progress, cancelling, leases ----------------------------------------------------------------


def test_waiting_work_is_cancelled_at_once(app, declare):
    unit = make_unit()
    user = make_user(unit)
    ran = []
    declare(Job("t.do", "Do", ran.append))
    run_id = start(unit, user)
    with in_scope(unit, actor=user):
        jobs.cancel(fetch(JobRun, run_id))
        with pytest.raises(Conflict):
            jobs.cancel(fetch(JobRun, run_id, query=select(JobRun).execution_options(populate_existing=True)))
    deliver(app)
    assert run_of(run_id).state == CANCELLED and not ran


def test_running_work_stops_at_its_next_progress_even_while_it_writes(app, declare, monkeypatch):
    """The job holds SQLite's write lock: progress and the wish to stop pass beside it."""
    monkeypatch.setattr(work, "PAUSE", 0.0)
    unit = make_unit()
    user = make_user(unit)
    seen = []

    def do(job):
        with transaction() as held:
            held.add(Setting(unit_id=unit.id, room="core", key="half", value={}))
            held.flush()
            job.progress(3, 10, "三")
            with in_another_thread(app) as look:
                seen.append(look(lambda: jobs.progress_of(jobs.find(run_id))))
                look(lambda: jobs.cancel(jobs.find(run_id)))
            job.progress(4, 10)
            seen.append("went on")

    declare(Job("t.do", "Do", do))
    run_id = start(unit, user)
    deliver(app)
    assert seen == [jobs.Progress(3, 10, "三")]
    assert run_of(run_id).state == CANCELLED
    with as_system() as held:
        assert held.scalars(select(Setting).where(Setting.key == "half")).all() == []
    assert not list((app.extensions["settings"].data_dir / "jobs").glob(f"{run_id}.*"))


@contextmanager
def in_another_thread(app):
    def look(call):
        answers = []

        def act():
            from core.kernel.database import system_scope

            with app.app_context(), system_scope("test"):
                answers.append(call())

        thread = threading.Thread(target=act)
        thread.start()
        thread.join(20)
        return answers[0]

    yield look


def test_a_job_longer_than_its_lease_is_not_taken_twice(app, declare, monkeypatch):
    monkeypatch.setattr(outbox, "LEASE", timedelta(seconds=0.6))
    unit = make_unit()
    user = make_user(unit)
    calls, tried = [], []

    def do(job):
        calls.append(job.key)
        end = time.monotonic() + 1.5
        with transaction() as held:  # on SQLite nobody can renew a row meanwhile
            held.add(Setting(unit_id=unit.id, room="core", key="long", value={}))
            held.flush()
            while time.monotonic() < end:
                tried.append(others.wait(0.1))

    def other_worker():
        """Another process: it knows nothing of what this one has in hand."""
        while not others.is_set():
            with app.app_context():
                key = run_key()
                if not leases_of_others(key):
                    outbox.deliver_one(key, runner.deliver)
            others.wait(0.1)

    def run_key():
        from core.kernel.database import system_scope

        with system_scope("test", read_only=True) as held:
            return held.scalars(select(Outbox.id)).one()

    def leases_of_others(key):
        """Claim as another process would: the database and the signs of life decide, not this process's memory."""
        monkeypatch.setattr(leases.keeper, "holds", lambda _id: False)
        return False

    others = threading.Event()
    declare(Job("t.do", "Do", do))
    run_id = start(unit, user)
    thread = threading.Thread(target=lambda: (time.sleep(0.7), other_worker()))
    thread.start()
    deliver(app)
    others.set()
    thread.join(20)
    assert len(calls) == 1 and len(tried) > 5
    assert (run_of(run_id).state, message().state, message().tries) == (DONE, outbox.DONE, 1)


def test_a_leaving_process_lays_long_work_down_for_the_next(app, declare, monkeypatch):
    leaving = threading.Event()
    monkeypatch.setattr(work, "leaving", leaving)
    unit = make_unit()
    user = make_user(unit)
    calls = []

    def do(job):
        calls.append(1)
        if len(calls) == 1:
            leaving.set()
        job.progress(1, 2)
        return {"calls": len(calls)}

    declare(Job("t.do", "Do", do))
    run_id = start(unit, user)
    deliver(app)
    assert (run_of(run_id).state, message().state, message().tries) == (WAITING, PENDING, 0)
    leaving.clear()
    deliver(app)
    assert run_of(run_id).result == {"calls": 2}


def test_what_ended_long_ago_is_forgotten(sqlite_app, monkeypatch):
    unit = make_unit()
    user = make_user(unit)
    monkeypatch.setitem(sqlite_app.extensions, "jobs", {"t.do": Job("t.do", "Do", lambda job: None)})
    old, fresh = (start(unit, user, key=key) for key in ("old", "fresh"))
    deliver(sqlite_app)
    with as_system() as held:
        held.get(JobRun, old).finished_at = clock.now() - timedelta(days=91)
    with sqlite_app.app_context():
        runner.drop_old()
    assert run_of(old) is None and run_of(fresh) is not None


# --- files ---------------------------------------------------------------------------------------


def test_results_lie_under_their_hash_for_a_week(sqlite_app, tmp_path):
    unit = make_unit()
    source = tmp_path / "x"
    source.write_bytes(b"abc")
    with in_scope(unit):
        kept = jobs.keep_result(source, '../..\\客户:"导出".xlsx')
        assert kept["file"] == "客户导出.xlsx" and kept["size"] == 3
        run = JobRun(result=kept)
        path = jobs.result_file(run)
        assert path is not None and path.read_bytes() == b"abc" and source.exists()
        assert jobs.keep_result(b"abc", "\x00\n/")["sha256"] == kept["sha256"]
        assert jobs.keep_result(b"", "\x00\n/")["file"] == "result"
        for bad in ("", "../../secret_key", "a" * 63 + "/", None, 5):
            assert jobs.result_file(JobRun(result={"sha256": bad})) is None
        old = (clock.now() - timedelta(days=8)).timestamp()
        os.utime(path, (old, old))
        assert jobs.purge_results() == 1
        assert jobs.result_file(run) is None


# --- recurring work ------------------------------------------------------------------------------


def due(app, at):
    with app.app_context(), clock.frozen(at):
        return recurring.publish_due()


def test_recurring_work_is_done_once_a_unit_where_its_plugin_is_on(app, declare):
    east, west, _closed = make_unit(), make_unit(timezone="Asia/Urumqi"), make_unit(active=False)
    switch_on(east, "products")
    done = []
    declare(
        Periodic("t.hourly", "Hourly", lambda unit_id: done.append(("hourly", unit_id, scope_units()))),
        Periodic("t.night", "Night", lambda unit_id: done.append(("night", unit_id, scope_units())), hour=10),
        Periodic("products.x", "X", lambda unit_id: done.append(("x", unit_id, scope_units())), plugin="products"),
    )
    assert due(app, MONDAY) == 3  # 9 o'clock in the east, 7 in the west
    assert due(app, MONDAY + timedelta(minutes=59)) == 0
    deliver(app, MONDAY + timedelta(minutes=59))
    assert sorted(done) == sorted(
        [("hourly", east.id, {east.id}), ("hourly", west.id, {west.id}), ("x", east.id, {east.id})]
    )
    done.clear()
    switch_off(east, "products")
    assert due(app, MONDAY + timedelta(minutes=61)) == 3  # 10 o'clock in the east
    deliver(app, MONDAY + timedelta(minutes=61))
    assert {(one[0], one[1]) for one in done} == {("hourly", east.id), ("hourly", west.id), ("night", east.id)}
    assert due(app, MONDAY + timedelta(minutes=119)) == 0
    assert due(app, MONDAY + timedelta(minutes=185)) == 3  # and in the west


def scope_units():
    return session().info["scope"].write


def test_many_schedulers_take_each_period_once(app, declare):
    unit = make_unit()
    declare(*(Periodic(f"t.{n}", "T", lambda unit_id: None) for n in range(6)))
    taken, gate = [], threading.Barrier(4)

    def schedule():
        gate.wait()
        taken.append(due(app, MONDAY))

    threads = [threading.Thread(target=schedule) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(taken) == 6
    with as_system() as held:
        assert len(held.scalars(select(Outbox)).all()) == 6
        assert {row.unit_id for row in held.scalars(select(PeriodicRun))} == {unit.id}


def test_a_failure_of_recurring_work_is_kept_tried_again_and_stops_nobody(app, declare):
    bad, good = make_unit(), make_unit()
    done = []

    def do(unit_id):
        if unit_id == bad.id and len(done) < 3:
            done.append("bad")
            raise ValueError("no table")
        done.append(unit_id)

    declare(Periodic("t.do", "T", do))
    due(app, MONDAY)
    deliver(app, MONDAY)
    assert good.id in done
    assert errors() == {bad.id: "ValueError: no table", good.id: ""}
    moment = MONDAY
    for _turn in range(4):
        moment += timedelta(minutes=1)
        deliver(app, moment)
    assert errors() == {bad.id: "", good.id: ""} and bad.id in done


def errors():
    with as_system() as held:
        return {row.unit_id: row.error for row in held.scalars(select(PeriodicRun))}


def test_periods_do_not_pile_up_while_one_is_not_done(app, declare):
    make_unit()
    declare(Periodic("t.do", "T", lambda unit_id: 1 / 0, every=timedelta(minutes=5)))
    moment = MONDAY
    for _turn in range(6):
        due(app, moment)
        deliver(app, moment)
        moment += timedelta(minutes=5)
    with as_system() as held:
        assert len(held.scalars(select(Outbox)).all()) == 1
    for _turn in range(22):  # a dead letter makes way for the next period's
        due(app, moment)
        deliver(app, moment)
        moment += timedelta(minutes=30)
    with as_system() as held:
        assert len(held.scalars(select(Outbox)).all()) == 1


def test_a_unit_scope_is_closed_to_every_other_unit(app):
    from core.kernel.database import unit_scope

    unit, other = make_unit(), make_unit()
    with as_system() as held:
        held.add(Setting(unit_id=other.id, room="core", key="x", value={}))
    with app.app_context(), unit_scope(unit.id, "test") as held:
        assert held.scalars(select(Setting).where(Setting.unit_id == other.id)).all() == []
        assert held.scalars(select(Unit)).first() is not None
        scope = held.info["scope"]
        assert not scope.is_system and scope.may("x.y", unit.id) and not scope.may("x.y", other.id)
