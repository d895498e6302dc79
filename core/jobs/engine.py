"""Huey, set to our use: JSON instead of pickle, no signal handlers, no results, no schedule of its own.

Everything that recurs or waits for its time stands in our tables, so Huey's scheduler has nothing to do.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huey import PostgresHuey, RedisHuey, SqliteHuey
from huey.consumer import Consumer, Scheduler, Worker
from huey.registry import Message
from huey.serializer import Serializer
from huey.storage import SqliteStorage

from . import queue as ours

if TYPE_CHECKING:
    from .queue import Queue


class _Ids(Serializer):  # type: ignore[misc]
    """Writes nothing but the id of a message."""

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self.name = name

    def serialize(self, data: Any) -> bytes:
        return ours.packed(data.args[0])

    def deserialize(self, data: bytes) -> Any:
        return Message(id=None, name=self.name, args=(ours.unpacked(bytes(data)),), kwargs={})


class _Worker(Worker):  # type: ignore[misc]
    """Looks for work at once when this process has sent some, else every half second (or when the store calls)."""

    seen = 0

    def loop(self, now: Any = None) -> None:
        queue: Queue = self.huey.queue
        if queue.resting():
            self.stop_flag.wait(ours.SLOWEST)
            return
        try:
            task = self.huey.dequeue()
        except Exception as error:  # whatever the store's driver raises
            queue.broke(error)
            return
        if task is not None:
            self.huey.execute(task, now)
        elif not self.huey.storage.blocking and not self.stop_flag.is_set():
            self.seen = queue.news.wait(self.seen, ours.SLOWEST)


class _NoScheduler(Scheduler):  # type: ignore[misc]
    def loop(self, now: Any = None) -> None:
        self.stop_flag.wait(60)


class _Consumer(Consumer):  # type: ignore[misc]
    worker_class = _Worker
    scheduler_class = _NoScheduler

    def _set_signal_handlers(self) -> None:
        """None: the server or the worker command has its own."""


class _Ours:
    """What our three kinds of Huey share."""

    queue: Queue
    task_of: Any
    storage: Any

    def attach(self, queue: Queue) -> Any:
        self.queue = queue
        self.task_of = self.task(name=ours.TASK)(queue.deliver)  # type: ignore[attr-defined]
        self.serializer.name = self._registry.task_to_string(self.task_of.task_class)  # type: ignore[attr-defined]
        return self

    def send(self, message_id: int) -> None:
        self.storage.enqueue(ours.packed(message_id))
        self.queue.news.tell()

    def started(self, threads: int) -> Any:
        consumer = _Consumer(self, workers=max(1, threads), periodic=False)
        consumer.start()
        return consumer

    def is_revoked(self, *_: Any, **__: Any) -> bool:
        """Never: cancelling is done in our own tables. Huey would look into the store for each task."""
        return False


class _SqliteStorage(SqliteStorage):  # type: ignore[misc]
    """A power cut may lose what was sent, never the file: the outbox knows what was not done."""

    def _create_connection(self) -> sqlite3.Connection:
        conn: sqlite3.Connection = super()._create_connection()
        conn.execute("pragma synchronous=normal")
        return conn


class _Sqlite(_Ours, SqliteHuey):  # type: ignore[misc]
    storage_class = _SqliteStorage


class _Redis(_Ours, RedisHuey):  # type: ignore[misc]
    pass


class _Postgres(_Ours, PostgresHuey):  # type: ignore[misc]
    pass


def sqlite(queue: Queue, path: Path) -> Any:
    """Open a store in a file of its own. A file that is broken is laid aside, and a new one begun."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _sqlite(queue, path)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:  # not a database, or a damaged one
        for ending in ("", "-wal", "-shm"):
            held = path.with_name(path.name + ending)
            if held.exists():
                held.replace(held.with_name(f"broken-{held.name}"))
        return _sqlite(queue, path)


def _sqlite(queue: Queue, path: Path) -> Any:
    return _Sqlite(ours.NAME, results=False, serializer=_Ids(), filename=str(path), timeout=2).attach(queue)


def redis(queue: Queue, url: str) -> Any:
    """Open a store in a Redis server."""
    from redis import ConnectionPool

    pool = ConnectionPool.from_url(url, socket_connect_timeout=1, socket_timeout=5)
    made = _Redis(ours.NAME, results=False, serializer=_Ids(), connection_pool=pool).attach(queue)
    made.storage.conn.ping()
    return made


def postgres(queue: Queue, url: str) -> Any:
    """Open a store in a PostgreSQL database, in tables of its own."""
    scheme, _colons, rest = url.partition("://")
    dsn = f"{scheme.partition('+')[0]}://{rest}"
    return _Postgres(
        ours.NAME, results=False, serializer=_Ids(), dsn=dsn, table_prefix="shouhou_queue", connect_timeout=2
    ).attach(queue)
