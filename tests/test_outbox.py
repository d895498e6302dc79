"""The outbox and the job runner: at least once, whatever is killed, and never for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from core.jobs import runner
from core.jobs.queue import Queue, packed, unpacked
from core.jobs.runner import Runner, run_once
from core.kernel import clock, outbox
from core.kernel.database import transaction
from core.kernel.extensions import Unavailable
from core.kernel.outbox import DEAD, DONE, LEASE, MAX_TRIES, PENDING, Outbox
from core.records.models import Idempotency
from tests.helpers import as_system, make_unit


class Killed(BaseException):
    """Stands for the end of the process: no handler of ours catches it."""


def publish(*texts: str, unit_id: int | None = None) -> None:
    with as_system():
        for text in texts:
            outbox.publish("record.close", unit_id, {"text": text}, key=text)


def states() -> dict[str, tuple[str, int]]:
    with as_system() as work:
        return {m.key: (m.state, m.tries) for m in work.scalars(select(Outbox))}


def deliver(app, handler: Callable[[Outbox], None]) -> int:
    with app.app_context():
        return outbox.deliver_pending(handler)


def test_each_message_is_delivered_once(app):
    publish("a", "b", "c")
    seen: list[str] = []
    assert deliver(app, lambda m: seen.append(m.key)) == 3
    assert deliver(app, lambda m: seen.append(m.key)) == 0
    assert seen == ["a", "b", "c"]
    assert states() == dict.fromkeys("abc", (DONE, 1))


def test_what_is_rolled_back_is_never_published(app):
    with pytest.raises(ZeroDivisionError), as_system(), transaction():
        outbox.publish("record.close", None, {})
        raise ZeroDivisionError
    assert states() == {}


def test_a_killed_worker_s_message_comes_again_after_its_lease(app):
    publish("a", "b")
    seen: list[str] = []

    def die_on_a(message: Outbox) -> None:
        seen.append(message.key)
        if len(seen) == 1:
            raise Killed

    with pytest.raises(Killed):
        deliver(app, die_on_a)
    assert states()["a"] == (PENDING, 1)
    deliver(app, die_on_a)
    assert seen == ["a", "b"]  # a is leased to the dead worker
    with clock.frozen(clock.now() + LEASE + timedelta(seconds=1)):
        deliver(app, die_on_a)
    assert seen == ["a", "b", "a"]
    assert {s for s, _ in states().values()} == {DONE}


def test_a_failing_handler_leaves_no_half_done_work_and_is_tried_again(app):
    unit = make_unit()
    publish("a")

    def fail(message: Outbox) -> None:
        from core.kernel.database import session

        session().add(_remembered(unit.id, "half"))
        session().flush()
        raise ValueError("no")

    deliver(app, fail)
    with as_system() as work:
        message = work.scalars(select(Outbox)).one()
        assert (message.state, message.error) == (PENDING, "ValueError: no")
        assert message.next_try_at > clock.now()
        assert work.scalars(select(Idempotency)).all() == []


def test_a_database_error_in_a_handler_is_a_failure_like_any_other(app):
    publish("a")

    def fail(message: Outbox) -> None:
        from core.kernel.database import session

        session().add(_remembered(999_999, "x"))  # no such unit
        session().flush()

    deliver(app, fail)
    assert states()["a"] == (PENDING, 1)


def test_a_message_that_never_succeeds_is_laid_aside(app):
    publish("a", "b")
    moment = clock.now()

    def fail_on_a(message: Outbox) -> None:
        if message.key == "a":
            raise ValueError("no")

    for _turn in range(MAX_TRIES + 3):
        moment += timedelta(hours=2)
        with clock.frozen(moment):
            deliver(app, fail_on_a)
    assert states() == {"a": (DEAD, MAX_TRIES), "b": (DONE, 1)}


def test_a_message_that_kills_every_worker_is_laid_aside(app):
    publish("a")
    moment, deaths = clock.now(), 0

    def die(_message: Outbox) -> None:
        raise Killed

    for _turn in range(MAX_TRIES + 3):
        moment += timedelta(hours=2)
        try:
            with clock.frozen(moment):
                deliver(app, die)
        except Killed:
            deaths += 1
    assert deaths == MAX_TRIES
    assert states()["a"][0] == DEAD


def test_several_workers_share_the_messages(app):
    publish(*(f"m{n}" for n in range(20)))
    seen: list[str] = []

    def work() -> None:
        while deliver(app, lambda m: seen.append(m.key)):
            pass

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(seen) == sorted(f"m{n}" for n in range(20))


def _remembered(unit_id: int, key: str) -> Idempotency:
    return Idempotency(unit_id=unit_id, actor_id=0, key=key, action="x", fingerprint="", answer={}, at=clock.now())


def test_a_round_drops_what_is_older_than_a_week(app):
    unit = make_unit()
    with clock.frozen(clock.now() - timedelta(days=8)):
        publish("old")
        with as_system() as work:
            work.add(_remembered(unit.id, "old"))
        assert run_once(app, tidy=False).messages == 1
    publish("new")
    with as_system() as work:
        work.add(_remembered(unit.id, "new"))
    done = run_once(app)
    assert (done.messages, done.dropped) == (1, 2)
    assert list(states()) == ["new"]
    with as_system() as work:
        assert list(work.scalars(select(Idempotency.key))) == ["new"]


def test_old_messages_not_delivered_are_kept(app):
    with clock.frozen(clock.now() - timedelta(days=80)):
        publish("old")
    with app.app_context():
        assert runner.drop_old() == 0
    assert states()["old"] == (PENDING, 0)


def test_a_round_seals_the_audit_trail(app):
    make_unit()  # units are audited
    assert run_once(app).sealed > 0
    assert run_once(app).sealed == 0


class FakeHooks:
    """Answers ``event_committed`` for one plugin, failing the first ``failures`` times."""

    def __init__(self, failures: int = 0) -> None:
        self.failures, self.events = failures, []

    def event_committed(self, event):
        self.events.append(event)
        if len(self.events) <= self.failures:
            return [("one", Unavailable("one", "event_committed"))]
        return [("one", None)]


def test_events_reach_the_plugins_of_the_unit_until_they_take_them(app, monkeypatch):
    unit = make_unit()
    hooks, asked = FakeHooks(failures=1), []
    monkeypatch.setattr(runner, "enabled_plugins", lambda unit_id: asked.append(unit_id) or frozenset({"one"}))
    monkeypatch.setattr(runner, "hooks_for", lambda enabled: hooks)
    publish("a", unit_id=unit.id)
    run_once(app)
    assert states()["a"] == (PENDING, 1)
    with clock.frozen(clock.now() + timedelta(minutes=1)):
        run_once(app)
    assert states()["a"] == (DONE, 2)
    assert asked == [unit.id, unit.id]
    assert {(e.topic, e.unit_id, e.payload["text"]) for e in hooks.events} == {("record.close", unit.id, "a")}
    assert len({e.id for e in hooks.events}) == 1  # the same id, so that a handler knows the repetition


def test_messages_without_a_unit_reach_no_plugin(app, monkeypatch):
    monkeypatch.setattr(runner, "hooks_for", lambda enabled: pytest.fail("asked"))
    publish("a")
    assert run_once(app).messages == 1


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_the_thread_wakes_when_something_is_published_and_stops_cleanly(app):
    jobs = Runner(app, pause=60).start()
    try:
        assert wait_for(lambda: jobs._tidied is not None)
        publish("a")
        assert wait_for(lambda: states()["a"][0] == DONE, 5)  # long before the pause of a minute ends
    finally:
        began = time.monotonic()
        assert jobs.stop()
    assert time.monotonic() - began < 5
    assert not outbox._wakers


def test_the_thread_survives_a_failing_round(app, monkeypatch, caplog):
    rounds = []
    monkeypatch.setattr(runner.audit, "seal_pending", lambda: rounds.append(1) or 1 / 0)
    jobs = Runner(app, pause=0.05).start()
    try:
        assert wait_for(lambda: len(rounds) > 2)
    finally:
        assert jobs.stop()
    assert "a round of background work failed" in caplog.text


def test_stopping_leaves_the_rest_for_the_next_runner(app, monkeypatch):
    publish(*(f"m{n}" for n in range(5)))
    assert run_once(app, stopping=lambda: True) == runner.Round()
    assert run_once(app).messages == 5


@pytest.mark.parametrize("store", ["redis://127.0.0.1:1/0", "postgresql://nobody@127.0.0.1:1/x", "broken file", ""])
def test_whatever_the_queue_is_work_is_done_and_nothing_fails(sqlite_app, tmp_path, monkeypatch, store):
    if store == "broken file":
        (tmp_path / "queue.db").write_bytes(b"no database at all " * 100)
    settings = replace(
        sqlite_app.extensions["settings"], data_dir=tmp_path, jobs_store="" if store == "broken file" else store
    )
    queue = Queue(settings)
    monkeypatch.setitem(sqlite_app.extensions, outbox.SENDER, queue.send)
    publish("a")
    assert (queue.waiting() is None) == ("://" in store)
    running = Runner(sqlite_app, pause=0.05, queue=queue).start()
    try:
        publish("b")
        assert wait_for(lambda: {s for s, _ in states().values()} == {DONE}, 20), states()
    finally:
        assert running.stop()
    assert {tries for _, tries in states().values()} == {1}


def test_only_ids_come_out_of_the_queue():
    assert unpacked(packed(17)) == 17
    for hostile in (b"", b"\x80\x04.", b"[1]", b"true", b"-1", b"1e3", b'{"a":1}', b"9" * 40):
        assert unpacked(hostile) == 0
