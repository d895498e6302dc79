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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from flask import Flask, current_app

log = logging.getLogger(__name__)


@dataclass
class _Held:
    renew: Callable[[], object]
    since: float = field(default_factory=time.monotonic)


class Keeper:
    """One thread per process that renews what has been in hand for a third of a lease; it ends when idle."""

    def __init__(self) -> None:
        self._held: dict[int, _Held] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def holds(self, message_id: int) -> bool:
        """Tell whether this process has the message in hand."""
        return message_id in self._held

    @contextmanager
    def hold(self, message_id: int, seconds: float, renew: Callable[[], object]) -> Iterator[None]:
        """Call ``renew`` every third of ``seconds`` inside the block, in the keeper's thread."""
        with self._lock:
            self._held[message_id] = _Held(renew)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, args=(seconds / 6,), name="leases", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._held.pop(message_id, None)

    def _run(self, pause: float) -> None:
        idle = 0
        while True:
            time.sleep(pause)
            with self._lock:
                old = [one for one in self._held.values() if time.monotonic() - one.since > 2 * pause]
                idle = 0 if self._held else idle + 1
                if idle > 2:
                    self._thread = None
                    return
            for one in old:
                self._renew(one)

    @staticmethod
    def _renew(one: _Held) -> None:
        try:
            one.renew()
        except Exception:  # the next turn tries again; two more come before the lease ends
            log.exception("a lease could not be renewed")
        one.since = time.monotonic()


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
