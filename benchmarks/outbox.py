"""The outbox: messages published and done in a second, against the same rows written and changed by raw SQL."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sqlalchemy import create_engine, text

from core.jobs.queue import Queue
from core.kernel import jobs, outbox
from core.kernel.database import prepare_engine, system_scope, transaction

from .scene import Scene

JOB = "bench.nothing"
WORKERS = 2
Row = tuple[str, float, float, str]


def measure(place: Scene, count: int) -> list[Row]:
    """Return (what, ours, floor, unit): publishing, delivering in one thread, and through the queue."""
    jobs.register(place.app, [jobs.Job(JOB, "Nothing", lambda _work: None)])
    inserted, updated = floor(place, count)
    with place.app.app_context():
        published = rate(count, lambda: publish(place, count))
        alone = rate(count, lambda: deliver(count))
        publish(place, count)
        queued = rate(count, lambda: through_queue(place, count))
        together = rate(count, lambda: both(place, count))
    return [
        ("publishing a message", published, inserted, "a second"),
        ("delivering, one thread", alone, updated, "a second"),
        ("delivering through the queue, two threads", queued, updated, "a second"),
        ("publishing and delivering at the same time", together, 1 / (1 / inserted + 1 / updated), "a second"),
    ]


def rate(count: int, call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return count / (time.perf_counter() - start)


def publish(place: Scene, count: int) -> None:
    """Publish each message in a transaction of its own."""
    for _number in range(count):
        with system_scope("benchmark"), transaction():
            jobs.enqueue(JOB, place.unit_id, {})


def deliver(count: int) -> None:
    from core.jobs.runner import deliver as handler

    done = 0
    while done < count:
        done += outbox.deliver_pending(handler)


def through_queue(place: Scene, count: int) -> None:
    """Send what is due and let threads do it, as ``flask serve`` does."""
    with _Consumed(place, count) as (queue, finished):
        ids = outbox.due(count)
        for start in range(0, len(ids), 100):
            queue.send(ids[start : start + 100])
        finished.wait(600)


def both(place: Scene, count: int) -> None:
    with _Consumed(place, count) as (queue, finished):
        place.app.extensions[outbox.SENDER] = queue.send
        try:
            publish(place, count)
        finally:
            del place.app.extensions[outbox.SENDER]
        finished.wait(600)


class _Consumed:
    """A queue in a file, with threads that do what is sent; tells when ``count`` messages are done."""

    def __init__(self, place: Scene, count: int) -> None:
        self.place, self.left = place, count
        self.queue, self.finished, self.lock = (
            Queue(place.app.extensions["settings"]),
            threading.Event(),
            threading.Lock(),
        )

    def __enter__(self) -> tuple[Queue, threading.Event]:
        self.queue.consume(self._done, WORKERS)
        return self.queue, self.finished

    def __exit__(self, *_: object) -> None:
        self.queue.stop(30)

    def _done(self, message_id: int) -> None:
        from core.jobs.runner import deliver as handler

        with self.place.app.app_context():
            tried = outbox.deliver_one(message_id, handler)
        with self.lock:
            self.left -= tried
            if self.left <= 0:
                self.finished.set()


def floor(place: Scene, count: int) -> tuple[float, float]:
    """Insert rows like the outbox's one by one, then claim and finish each: two updates, a commit after each."""
    engine = create_engine(place.url)
    prepare_engine(engine)
    with engine.begin() as conn:
        conn.execute(text("CREATE TABLE bench_outbox AS SELECT * FROM core_outbox WHERE 1 = 0"))
        conn.execute(text("CREATE UNIQUE INDEX bench_outbox_id ON bench_outbox (id)"))
        conn.execute(text("CREATE UNIQUE INDEX bench_outbox_key ON bench_outbox (key)"))
        conn.execute(text("CREATE INDEX bench_due ON bench_outbox (next_try_at, id) WHERE state = 'pending'"))
    insert = text(
        "INSERT INTO bench_outbox (id, key, topic, unit_id, payload, created_at, state, tries, next_try_at, error) "
        "VALUES (:id, :key, 'job', :unit, '{}', CURRENT_TIMESTAMP, 'pending', 0, CURRENT_TIMESTAMP, '')"
    )
    claim = text("UPDATE bench_outbox SET tries = tries + 1 WHERE id = :id AND state = 'pending'")
    finish = text("UPDATE bench_outbox SET state = 'done' WHERE id = :id")

    def write() -> None:
        for number in range(count):
            with engine.begin() as conn:
                conn.execute(insert, {"id": number, "key": str(number), "unit": place.unit_id})

    def change() -> None:
        for number in range(count):
            for statement in (claim, finish):
                with engine.begin() as conn:
                    conn.execute(statement, {"id": number})

    rates = rate(count, write), rate(count, change)
    engine.dispose()
    return rates
