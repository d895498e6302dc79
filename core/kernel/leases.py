"""Who has which message of the outbox in hand: leases are renewed while their process lives, and end with it.

On PostgreSQL the lease is the row's ``next_try_at``. On SQLite a long job may hold the one write lock for longer
than a lease, so there a file beside the data tells that somebody lives; its age is the age of the last sign.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from flask import Flask, current_app

log = logging.getLogger(__name__)


IDLE = 5.0  # seconds without anything in hand after which the thread ends


@dataclass
class _Held:
    renew: Callable[[], object]
    every: float
    next_at: float


class Keeper:
    """One thread per process that renews what has been in hand for a third of a lease; it ends when idle."""

    def __init__(self) -> None:
        self._held: dict[int, _Held] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._looks_at = 0.0

    def holds(self, message_id: int) -> bool:
        """Tell whether this process has the message in hand."""
        return message_id in self._held

    @contextmanager
    def hold(self, message_id: int, seconds: float, renew: Callable[[], object]) -> Iterator[None]:
        """Call ``renew`` every third of ``seconds`` inside the block, in the keeper's thread."""
        every = seconds / 3
        held = _Held(renew, every, time.monotonic() + every)
        with self._changed:
            self._held[message_id] = held
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
                self._thread.start()
            elif held.next_at < self._looks_at:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._held.pop(message_id, None)

    def _run(self) -> None:
        while True:
            with self._changed:
                now = time.monotonic()
                self._looks_at = min((one.next_at for one in self._held.values()), default=now + IDLE)
                was_idle = not self._held
                self._changed.wait(max(0.0, self._looks_at - now))
                if was_idle and not self._held and time.monotonic() >= self._looks_at:
                    self._thread = None
                    return
                due = [one for one in self._held.values() if one.next_at <= time.monotonic()]
            for one in due:
                self._renew(one)

    @staticmethod
    def _renew(one: _Held) -> None:
        try:
            one.renew()
        except Exception:  # the next turn tries again; another comes before the lease ends
            log.exception("a lease could not be renewed")
        one.next_at = time.monotonic() + one.every


keeper = Keeper()


def touch(message_id: int) -> None:
    """Give a sign of life for a message in hand (SQLite)."""
    path = _file(message_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def is_alive(message_id: int, seconds: float) -> bool:
    """Tell whether somebody gave a sign of life within ``seconds`` (SQLite)."""
    try:
        return time.time() - _file(message_id).stat().st_mtime < seconds
    except OSError:
        return False


def forget(message_id: int) -> None:
    """Take the signs of life away (SQLite)."""
    _file(message_id).unlink(missing_ok=True)


def in_app(call: Callable[[], object]) -> Callable[[], object]:
    """Bind ``call`` to the present application, for the keeper's thread."""
    app = cast(Flask, cast(Any, current_app)._get_current_object())

    def bound() -> object:
        with app.app_context():
            return call()

    return bound


def _file(message_id: int) -> Path:
    return Path(current_app.extensions["settings"].data_dir) / "leases" / str(int(message_id))
