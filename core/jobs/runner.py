"""The job runner: delivers the outbox, seals the audit trail, does what time brings, drops what is not needed.

``flask serve`` runs it in a thread, ``flask worker`` alone; any number of them may run at the same time.
"""

from __future__ import annotations

import logging
import signal
import threading
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

from . import work as jobs_room

PAUSE = 2.0  # seconds between two rounds when nothing was published in this process
TICK_EVERY = timedelta(minutes=1)
TIDY_EVERY = timedelta(hours=1)
KEEP = timedelta(days=7)
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


def run_once(app: Flask, *, tidy: bool = True, stopping: Callable[[], bool] = lambda: False) -> Round:
    """Do everything that is due now and return. ``stopping`` is asked between batches."""
    with app.app_context():
        messages = _drain(stopping)
        sealed = 0 if stopping() else audit.seal_pending()
        dropped = drop_old() if tidy and not stopping() else 0
    return Round(messages, sealed, dropped)


def _drain(stopping: Callable[[], bool]) -> int:
    total = 0
    for _turn in range(MAX_ROUNDS):
        count = 0 if stopping() else outbox.deliver_pending(deliver)
        if not count:
            break
        total += count
    return total


def deliver(message: Outbox) -> None:
    """Tell the plugins that are on in the message's unit what happened there.

    Raises:
        NotDelivered: naming the plugins that failed; the others must bear the repetition.
    """
    if message.topic == jobs.TOPIC:
        jobs_room.run_message(message)
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
    sign_in.forget_old_tries()
    messages = outbox.purge_delivered(keep)
    with system_scope("tidy"), transaction() as work:
        gone = work.execute(delete(Idempotency).where(Idempotency.at < clock.now() - keep))
        return messages + int(cast("CursorResult[Any]", gone).rowcount)


class Runner:
    """The loop: a round when something was published in this process, else every two seconds."""

    def __init__(self, app: Flask, pause: float = PAUSE) -> None:
        self.app = app
        self.pause = pause
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._tidied: datetime | None = None
        self._ticked: datetime | None = None
        self._last_done: dict[str, datetime] = {}

    def start(self) -> Runner:
        """Run in a thread of this process. Call it after the server has forked."""
        self._thread = threading.Thread(target=self.run, name="jobs", daemon=True)
        self._thread.start()
        return self

    def stop(self, timeout: float = 10.0) -> bool:
        """Finish the message in hand, then end; return whether it ended within ``timeout`` seconds.

        What was not delivered stays in the outbox for the next runner.
        """
        self._stopped.set()
        self._wake.set()
        if self._thread is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def run(self) -> None:
        """Run in the present thread until ``stop`` is called."""
        forget = outbox.on_publish(self._wake.set)
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
            run_once(self.app, tidy=tidy, stopping=self._stopped.is_set)
        except Exception:  # a locked or absent database must not end the runner; the next round tries again
            log.exception("a round of background work failed")
            return
        if tidy:
            self._tidied = now
        self._tick(now)

    def _tick(self, now: datetime) -> None:
        """Let time do its work about once a minute; the events it brings are delivered in the next round."""
        if self._stopped.is_set() or (self._ticked is not None and now - self._ticked < TICK_EVERY):
            return
        self._ticked = now
        with self.app.app_context():
            ticks.tick(last=self._last_done, stopping=self._stopped.is_set)


def run_worker(app: Flask) -> None:
    """Run alone until SIGTERM or Ctrl+C (``flask worker``)."""
    runner = Runner(app)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: runner.stop())
    runner.run()
