"""The queue of work that is due: Huey, with a store of its own. It only carries ids of the outbox.

The outbox is the truth. What the store loses, the sweeper sends again; without a store the runner does the work
itself. So nothing here may fail a commit or a request.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

from flask import Flask

from core.kernel import outbox
from core.kernel.settings import Settings

NAME = "shouhou"
TASK = "outbox"
FILE = "queue.db"
PATIENCE = 10.0  # seconds without a try after the store has failed, so that nobody waits for it again and again
SLOWEST = 0.5  # seconds between two looks into a store that cannot call us
log = logging.getLogger(__name__)


class Queue:
    """One deployment's queue. It is opened at first use, and again after it has failed."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._huey: Any = None
        self._lock = threading.Lock()
        self._rest_until = 0.0
        self._deliver: Callable[[int], object] = _nobody
        self._consumer: Any = None
        self.news = _News()

    def send(self, ids: Sequence[int]) -> bool:
        """Put ids of messages into the queue; return whether that worked. Never raises."""
        return self._tried(lambda huey: [huey.send(one) for one in ids]) is not None

    def waiting(self) -> int | None:
        """Return how much waits in the queue; None: it does not answer. Never raises."""
        return cast("int | None", self._tried(lambda huey: huey.pending_count()))

    def consume(self, deliver: Callable[[int], object], threads: int) -> bool:
        """Let ``threads`` threads of this process call ``deliver`` with every id; return whether they do by now.

        Called again it replaces threads that died.
        """
        self._deliver = deliver
        if self._consumer is None:
            self._consumer = self._tried(lambda huey: huey.started(threads))
        elif not self._consumer.stop_flag.is_set():
            self._consumer.check_worker_health()
        return self._consumer is not None

    def stop(self, timeout: float) -> bool:
        """Take nothing new; return whether what was in hand was finished within ``timeout`` seconds."""
        if self._consumer is None:
            return True
        self._consumer.stop_flag.set()
        self.news.tell()
        end = time.monotonic() + timeout
        threads = [thread for _worker, thread in self._consumer.worker_threads]
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def deliver(self, message_id: int) -> None:
        self._deliver(message_id)

    def broke(self, error: Exception) -> None:
        """Note that the store failed; said once for each rest, not for each message."""
        with self._lock:
            if time.monotonic() < self._rest_until:
                return
            self._rest_until = time.monotonic() + PATIENCE
        log.warning("the queue of background work does not answer (the outbox goes on without): %s", error)

    def resting(self) -> bool:
        return time.monotonic() < self._rest_until

    def _tried(self, call: Callable[[Any], Any]) -> Any:
        if self.resting():
            return None
        try:
            with self._lock:
                if self.resting():  # somebody else has just tried in vain
                    return None
                if self._huey is None:
                    self._huey = _open(self)
            return call(self._huey)
        except Exception as error:  # whatever the store's driver raises
            self.broke(error)
            return None


class _News:
    """Wakes threads of this process that wait for work; none is missed between a look and the wait."""

    def __init__(self) -> None:
        self._count = 0
        self._condition = threading.Condition()

    def tell(self) -> None:
        with self._condition:
            self._count += 1
            self._condition.notify_all()

    def wait(self, seen: int, seconds: float) -> int:
        """Wait until there is more than what was ``seen``, at most ``seconds``; return what is there."""
        with self._condition:
            self._condition.wait_for(lambda: self._count != seen, seconds)
            return self._count


def attach(app: Flask) -> Queue:
    """Give an application its queue: what it commits from now on is sent there."""
    queue = app.extensions.get("job_queue")
    if queue is None:
        queue = app.extensions["job_queue"] = Queue(app.extensions["settings"])
        app.extensions[outbox.SENDER] = queue.send
    return cast(Queue, queue)


def _nobody(message_id: int) -> None:
    raise RuntimeError(f"nobody delivers message {message_id}")


# --- Huey ----------------------------------------------------------------------------------------


def _open(queue: Queue) -> Any:
    """Open the store that the settings name. Huey is loaded here: a quarter of a second that not all pay."""
    from . import engine

    url = queue.settings.jobs_store
    kind = urlsplit(url).scheme.partition("+")[0]
    if not kind:
        return engine.sqlite(queue, queue.settings.data_dir / FILE)
    if kind in ("redis", "rediss", "unix"):
        return engine.redis(queue, url)
    return engine.postgres(queue, url)


def packed(message_id: int) -> bytes:
    """Write an id for the store. Not pickled: whoever gets at the store must not run code here."""
    return json.dumps(message_id).encode()


def unpacked(data: bytes) -> int:
    """Read an id; 0, which no message has, for anything else."""
    try:
        found = json.loads(data)
    except ValueError:
        return 0
    return found if type(found) is int and 0 < found < 2**63 else 0
