"""The job runner: sees that the outbox is delivered, seals the audit trail, does what time brings, tidies up.

``flask serve`` runs it in threads, ``flask worker`` alone; any number of them may run at the same time.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from flask import Flask
from sqlalchemy import CursorResult, delete

from core.kernel import audit, clock, importing, jobs, outbox
from core.kernel.database import system_scope, transaction
from core.kernel.extensions import Event, Unavailable
from core.kernel.hooks import hooks_for
from core.kernel.outbox import Outbox
from core.records.models import Idempotency
from core.rules import ticks
from core.units.switches import enabled_plugins
from core.users import sign_in

from . import recurring
from . import work as jobs_room
from .queue import Queue, attach
from .sweeper import Sweeper, held_up

PAUSE = 2.0  # seconds between two rounds when nothing was published in this process
TICK_EVERY = timedelta(minutes=1)
TIDY_EVERY = timedelta(hours=1)
KEEP = timedelta(days=7)
KEEP_RUNS = timedelta(days=90)
# Seconds a process that must end waits for what is in hand, then for long work to leave off at its next progress.
FINISH, LEAVE_OFF = 20.0, 10.0
# Short work that has waited so long is done by the scheduler: long work may have all the threads.
HELD_UP, HELP_OUT = timedelta(seconds=10), 20
MAX_ROUNDS = 50  # of 100 messages; then the audit gets its turn again
log = logging.getLogger(__name__)


class NotDelivered(Exception):
    """At least one plugin could not take an event; the message comes again."""


@dataclass(frozen=True)
class Round:
    """What one round did: messages tried, audit entries sealed, old rows dropped."""

    messages: int = 0
    sealed: int = 0
    dropped: int = 0


def run_once(
    app: Flask, *, deliver_too: bool = True, tidy: bool = True, stopping: Callable[[], bool] = lambda: False
) -> Round:
    """Do everything that is due now and return. ``stopping`` is asked between batches."""
    with app.app_context():
        messages = _drain(stopping) if deliver_too else 0
        sealed = 0 if stopping() else audit.seal_pending()
        dropped = drop_old() if tidy and not stopping() else 0
    return Round(messages, sealed, dropped)


def _drain(stopping: Callable[[], bool]) -> int:
    total = 0
    for _turn in range(MAX_ROUNDS):
        count = 0 if stopping() else outbox.deliver_pending(deliver, dead=jobs_room.gave_up)
        if not count:
            break
        total += count
    return total


def deliver(message: Outbox) -> None:
    """Tell the plugins that are on in the message's unit what happened there.

    Raises:
        NotDelivered: naming the plugins that failed; the others must bear the repetition.
    """
    if message.topic in (jobs.TOPIC, jobs.WATCHED):
        jobs_room.run_message(message)
        return
    if message.topic == jobs.PERIODIC:
        recurring.run_message(message)
        return
    if message.unit_id is None:
        return
    event = Event(message.id, message.topic, message.unit_id, message.payload, message.created_at)
    results = hooks_for(enabled_plugins(message.unit_id)).event_committed(event=event)
    failed = [plugin for plugin, result in results if isinstance(result, Unavailable)]
    for listener in outbox.listeners:
        listener(event)
    if failed:
        raise NotDelivered(", ".join(failed))


def drop_old(keep: timedelta = KEEP) -> int:
    """Drop delivered messages and remembered request keys older than ``keep``; return how many rows.

    Old sign-in attempts and the files of old imports go as well.
    """
    importing.remove_old_files()
    importing.purge_changes()
    jobs.purge_results()
    sign_in.forget_old_tries()
    jobs.purge_runs(KEEP_RUNS)
    messages = outbox.purge_delivered(keep)
    with system_scope("tidy"), transaction() as work:
        gone = work.execute(delete(Idempotency).where(Idempotency.at < clock.now() - keep))
        return messages + int(cast("CursorResult[Any]", gone).rowcount)


class Runner:
    """The scheduler: what time brings, the audit seals, tidying up, and the outbox.

    With a ``queue`` it lets ``threads`` threads do what is sent there and sends again what was lost on the way.
    Without one, or while its store does not answer, it delivers the outbox itself: when something was published in
    this process, else every two seconds.
    """

    def __init__(
        self, app: Flask, pause: float | None = None, queue: Queue | None = None, threads: int = 2
    ) -> None:
        self.app = app
        self.pause = PAUSE if pause is None else pause
        self.queue = queue
        self.threads = threads
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._tidied: datetime | None = None
        self._ticked: datetime | None = None
        self._last_done: dict[str, datetime] = {}
        self._sweeper = Sweeper(queue) if queue else None

    def start(self) -> Runner:
        """Run in a thread of this process. Call it after the server has forked."""
        self._thread = threading.Thread(target=self.run, name="jobs", daemon=True)
        self._thread.start()
        return self

    def ask_to_stop(self) -> None:
        """Take nothing new; does not wait, so a signal handler may call it."""
        self._stopped.set()
        self._wake.set()

    def stop(self, timeout: float = 10.0, patience: float = 0.0) -> bool:
        """Finish what is in hand, then end; return whether all ended within ``timeout`` and ``patience`` seconds.

        After ``timeout`` long work is asked to leave off at its next progress. What was not done stays in the
        outbox for the next runner.
        """
        self.ask_to_stop()
        if self._all_ended(timeout):
            return True
        jobs_room.leaving.set()
        return self._all_ended(patience)

    def _all_ended(self, timeout: float) -> bool:
        end = time.monotonic() + timeout
        idle = self.queue is None or self.queue.stop(timeout)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(max(0.0, end - time.monotonic()))
            return idle and not self._thread.is_alive()
        return idle

    def run(self) -> None:
        """Run in the present thread until it is asked to stop."""
        # With a queue its threads are told; the scheduler need not look after each commit.
        forget = outbox.on_publish(self._wake.set) if self.queue is None else _nothing
        try:
            while not self._stopped.is_set():
                self._wake.clear()
                if self._stopped.is_set():  # its wake may have been the one just cleared
                    break
                self._round()
                self._wake.wait(self.pause)
        finally:
            forget()

    def _round(self) -> None:
        now = clock.now()
        tidy = self._tidied is None or now - self._tidied >= TIDY_EVERY
        try:
            self._work(tidy)
        except Exception:  # a locked or absent database must not end the runner; the next round tries again
            log.exception("a round of background work failed")
            return
        if tidy:
            self._tidied = now
        self._tick(now)

    def _work(self, tidy: bool) -> None:
        if self._sweeper is None or self.queue is None:
            run_once(self.app, tidy=tidy, stopping=self._stopped.is_set)
            return
        self.queue.consume(self._deliver, self.threads)
        with self.app.app_context():
            if not self._sweeper.sweep():
                _drain(self._stopped.is_set)
            for message_id in held_up(HELD_UP, HELP_OUT):
                if not self._stopped.is_set():
                    self._deliver(message_id)
        run_once(self.app, deliver_too=False, tidy=tidy, stopping=self._stopped.is_set)

    def _deliver(self, message_id: int) -> None:
        """Do what the queue asks for, in one of its threads."""
        try:
            with self.app.app_context():
                outbox.deliver_one(message_id, deliver, jobs_room.gave_up)
        except Exception:  # the database does not answer: the message comes again after its lease
            log.exception("message %d could not be delivered", message_id)

    def _tick(self, now: datetime) -> None:
        """Let time do its work about once a minute; the events it brings are delivered in the next round."""
        if self._stopped.is_set() or (self._ticked is not None and now - self._ticked < TICK_EVERY):
            return
        self._ticked = now
        with self.app.app_context():
            ticks.tick(last=self._last_done, stopping=self._stopped.is_set)
            try:
                recurring.publish_due()
            except Exception:  # as above; the next minute tries again
                log.exception("recurring work could not be looked at")


def _nothing() -> None:
    pass


def run_worker(app: Flask, threads: int) -> None:
    """Run alone until SIGTERM or Ctrl+C (``flask worker``)."""
    runner = Runner(app, queue=attach(app), threads=threads)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: runner.ask_to_stop())
    runner.run()
    runner.stop(FINISH, LEAVE_OFF)
