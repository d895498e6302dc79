"""What must happen elsewhere is written in the same transaction and delivered after it, at least once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from flask import current_app
from sqlalchemy import CursorResult, ForeignKey, Index, String, Text, delete, literal_column, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from . import clock, leases
from .database import Base, BigId, Json, UtcDateTime, insert_once, session, system_scope, transaction
from .ids import uuid7

PENDING, DONE, DEAD = "pending", "done", "dead"
MAX_TRIES = 8
# What a killed process had in hand comes again after this; while a process lives it renews its leases.
LEASE = timedelta(seconds=30)
MOST_SENT = 100  # of one transaction; the sweeper finds the rest
# app.extensions: what takes the ids of messages that are due right after their commit (the queue's door).
SENDER = "outbox_sender"
log = logging.getLogger(__name__)

# Told of every event (core.kernel.extensions.Event) beside the plugins; rooms above add themselves at assembly.
# They must bear repetition, like ``event_committed``.
listeners: list[Callable[[Any], object]] = []

Handler = Callable[["Outbox"], object]

_wakers: list[Callable[[], object]] = []


class GiveUp(Exception):
    """Raised by a handler: trying again would be no use; the text says why, for people."""


class NotNow(Exception):
    """Raised by a handler: this process is leaving; whoever comes next takes the message, with no try counted."""


class Outbox(Base):
    """One message to deliver. ``key`` is unique: publishing twice under one key delivers once."""

    __tablename__ = "core_outbox"
    __global__ = "written by the kernel inside the caller's transaction; read by the job runner only"
    __table_args__ = (
        Index(
            "ix_core_outbox_pending",
            "next_try_at",
            "id",
            sqlite_where=text("state = 'pending'"),
            postgresql_where=text("state = 'pending'"),
        ),
        Index(
            "ix_core_outbox_dead",
            "unit_id",
            "id",
            sqlite_where=text("state = 'dead'"),
            postgresql_where=text("state = 'dead'"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    key: Mapped[str] = mapped_column(String(120), unique=True)
    topic: Mapped[str] = mapped_column(String(60))
    unit_id: Mapped[int | None] = mapped_column(ForeignKey("core_unit.id"))
    payload: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    state: Mapped[str] = mapped_column(String(10), default=PENDING)
    tries: Mapped[int] = mapped_column(default=0)
    next_try_at: Mapped[datetime] = mapped_column(UtcDateTime)
    error: Mapped[str] = mapped_column(Text, default="")


# Written out, not bound: only so do the databases know that the partial indexes serve.
IS_PENDING = Outbox.state == literal_column(f"'{PENDING}'")
IS_DEAD = Outbox.state == literal_column(f"'{DEAD}'")


@dataclass
class _Published:
    """What one transaction published, told once after its commit."""

    due: list[Outbox | int] = field(default_factory=list)

    def __call__(self) -> None:
        for waker in tuple(_wakers):
            waker()
        sender = current_app.extensions.get(SENDER)
        if sender is None or not self.due:
            return
        try:
            sender([one if isinstance(one, int) else one.id for one in self.due[:MOST_SENT]])
        except Exception:  # the queue is a convenience: the sweeper finds what it was not told
            log.exception("the queue was not told")


def publish(
    topic: str, unit_id: int | None, payload: dict[str, Any], key: str = "", at: datetime | None = None
) -> None:
    """Put a message into the present transaction. ``key`` makes it idempotent: the first one stays.

    ``at``: deliver it no sooner. Write it as the last thing of the transaction: the job runner is told after the
    commit.
    """
    moment = clock.now()
    row = {
        "key": key or uuid7().hex,
        "topic": topic,
        "unit_id": unit_id,
        "payload": payload,
        "created_at": moment,
        "next_try_at": at or moment,
    }
    told = _published()
    if not key:
        message = Outbox(**row)
        session().add(message)
        found: Outbox | int = message
    elif not insert_once(Outbox, row):
        return
    else:
        found = session().scalars(select(Outbox.id).where(Outbox.key == key)).one()
    if at is None or at <= moment:
        told.due.append(found)


def _published() -> _Published:
    calls = session().info.setdefault("after_commit", [])
    told = next((call for call in calls if isinstance(call, _Published)), None)
    if told is None:
        told = _Published()
        calls.append(told)
    return told


def on_publish(waker: Callable[[], object]) -> Callable[[], None]:
    """Let ``waker`` be called after each commit that published something (in this process).

    Call what is returned to end that.
    """
    _wakers.append(waker)
    return lambda: _wakers.remove(waker)


def due(limit: int = 100, since: timedelta = timedelta(0), apart_from: Collection[str] = ()) -> list[int]:
    """Return the ids of messages that have been due for ``since``, the oldest first; without some topics."""
    statement = select(Outbox.id).where(IS_PENDING, Outbox.next_try_at <= clock.now() - since)
    if apart_from:
        statement = statement.where(Outbox.topic.not_in(apart_from))
    with system_scope("outbox", read_only=True) as work:
        return list(work.scalars(statement.order_by(Outbox.next_try_at, Outbox.id).limit(limit)))


def deliver_pending(handler: Handler, limit: int = 100, dead: Handler | None = None) -> int:
    """Deliver due messages to ``handler``; return how many were tried. See ``deliver_one``."""
    return sum(deliver_one(message_id, handler, dead) for message_id in due(limit))


def deliver_one(message_id: int, handler: Handler, dead: Handler | None = None) -> bool:
    """Deliver one message if it is due and nobody else has it in hand; return whether it was tried.

    It is leased first, so that a killed worker's message comes again after the lease and two workers do not
    take the same one. A failure is tried again with growing waits, ``MAX_TRIES`` times; then the message is
    dead, and ``dead`` is told.
    """
    with system_scope("outbox") as work:
        message = _claim(message_id)
        if message is None:
            return False
        if message.tries > MAX_TRIES:
            _failed(message, TimeoutError("every worker that took it died"), dead)
            return True
        try:
            with leases.keeper.hold(message_id, LEASE.total_seconds(), _renewal(message)):
                handler(message)
        except NotNow:
            work.rollback()
            _put_back(message)
        except Exception as error:
            work.rollback()
            _failed(message, error, dead)
        else:  # together with what the handler wrote in this session, if it did
            _mark(message, state=DONE, error="")
        finally:
            _forget_signs(message_id)
    return True


def _claim(message_id: int) -> Outbox | None:
    """Take a message for the length of a lease; None: not due, or in somebody's hands."""
    work, moment = session(), clock.now()
    if leases.keeper.holds(message_id) or (_on_sqlite() and leases.is_alive(message_id, LEASE.total_seconds())):
        return None
    claim = (
        update(Outbox)
        .where(Outbox.id == message_id, Outbox.state == PENDING, Outbox.next_try_at <= moment)
        .values(next_try_at=moment + LEASE, tries=Outbox.tries + 1)
        .returning(Outbox)
    )
    with transaction():
        message = work.scalars(claim, execution_options={"synchronize_session": False}).one_or_none()
    if message is not None:
        work.expunge(message)
    return message


def _renewal(message: Outbox) -> Callable[[], object]:
    message_id, tries = message.id, message.tries
    if _on_sqlite():
        return leases.in_app(lambda: leases.touch(message_id))

    def renew() -> None:
        with system_scope("lease"), transaction() as work:
            held = (Outbox.id == message_id, Outbox.state == PENDING, Outbox.tries == tries)
            work.execute(update(Outbox).where(*held).values(next_try_at=clock.now() + LEASE))

    return leases.in_app(renew)


def _forget_signs(message_id: int) -> None:
    if _on_sqlite():
        leases.forget(message_id)


def _on_sqlite() -> bool:
    return session().get_bind().dialect.name == "sqlite"


def _mark(message: Outbox, **values: Any) -> bool:
    """Write how a try ended, unless somebody has taken the message since; done counts in any case."""
    mine = () if values.get("state") == DONE else (Outbox.tries == message.tries,)
    with transaction() as work:
        done = work.execute(update(Outbox).where(Outbox.id == message.id, *mine).values(**values))
        return cast("CursorResult[Any]", done).rowcount > 0


def _put_back(message: Outbox) -> None:
    _mark(message, next_try_at=clock.now(), tries=message.tries - 1)


def _failed(message: Outbox, error: Exception, dead: Handler | None) -> None:
    final = isinstance(error, GiveUp) or message.tries >= MAX_TRIES
    words = str(error) if isinstance(error, GiveUp) else f"{type(error).__name__}: {error}"
    if not isinstance(error, GiveUp):
        log.warning("message %d (%s), try %d", message.id, message.topic, message.tries, exc_info=error)
    wait = timedelta(seconds=min(3600, 2**message.tries))
    marked = _mark(
        message,
        state=DEAD if final else PENDING,
        next_try_at=clock.now() + wait,
        error=words.replace("\x00", "")[:500],
    )
    if final and marked and dead is not None:
        dead(message)


def again(message_ids: Sequence[int]) -> int:
    """Try dead messages anew, as if they came for the first time; return how many. Inside a transaction."""
    moment = clock.now()
    told = _published()
    told.due.extend(message_ids)
    done = session().execute(
        update(Outbox)
        .where(Outbox.id.in_(message_ids), Outbox.state == DEAD)
        .values(state=PENDING, tries=0, next_try_at=moment, error="")
    )
    return cast("CursorResult[Any]", done).rowcount


def drop(message_ids: Sequence[int]) -> int:
    """Take dead messages away for good; return how many. Inside a transaction."""
    done = session().execute(delete(Outbox).where(Outbox.id.in_(message_ids), Outbox.state == DEAD))
    return cast("CursorResult[Any]", done).rowcount


def purge_delivered(older_than: timedelta) -> int:
    """Drop delivered messages older than ``older_than``; return the count."""
    with system_scope("outbox"), transaction() as work:
        gone = work.execute(
            delete(Outbox).where(Outbox.state == DONE, Outbox.created_at < clock.now() - older_than)
        )
        return int(cast("CursorResult[Any]", gone).rowcount)
