"""What must happen elsewhere is written in the same transaction and delivered after it, at least once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, ForeignKey, Index, String, Text, delete, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from . import clock
from .database import Base, BigId, Json, UtcDateTime, after_commit, session, system_scope, transaction
from .ids import uuid7

PENDING, DONE, DEAD = "pending", "done", "dead"
MAX_TRIES = 8
LEASE = timedelta(minutes=2)

# Told of every event (core.kernel.extensions.Event) beside the plugins; rooms above add themselves at assembly.
# They must bear repetition, like ``event_committed``.
listeners: list[Callable[[Any], object]] = []

_wakers: list[Callable[[], object]] = []


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


def publish(
    topic: str, unit_id: int | None, payload: dict[str, Any], key: str = "", at: datetime | None = None
) -> None:
    """Put a message into the present transaction. ``key`` makes it idempotent; default: unique.

    ``at``: deliver it no sooner. Write it as the last thing of the transaction: it wakes the job runner after
    the commit.
    """
    moment = clock.now()
    session().add(
        Outbox(
            key=key or uuid7().hex,
            topic=topic,
            unit_id=unit_id,
            payload=payload,
            created_at=moment,
            next_try_at=at or moment,
        )
    )
    after_commit(_wake)


def on_publish(waker: Callable[[], object]) -> Callable[[], None]:
    """Let ``waker`` be called after each commit that published something (in this process).

    Call what is returned to end that.
    """
    _wakers.append(waker)
    return lambda: _wakers.remove(waker)


def _wake() -> None:
    for waker in tuple(_wakers):
        waker()


def deliver_pending(handler: Callable[[Outbox], None], limit: int = 100) -> int:
    """Deliver due messages to ``handler``; return how many were tried.

    Each message is leased first, so that a killed worker's messages come again after the lease
    and two workers do not take the same one. A failure is retried later, with growing waits,
    and is marked dead after ``MAX_TRIES``.
    """
    with system_scope("outbox", read_only=True):
        ids = session().scalars(
            select(Outbox.id)
            .where(Outbox.state == PENDING, Outbox.next_try_at <= clock.now())
            .order_by(Outbox.next_try_at, Outbox.id)
            .limit(limit)
        )
        due = list(ids)
    return sum(_deliver(message_id, handler) for message_id in due)


def _deliver(message_id: int, handler: Callable[[Outbox], None]) -> int:
    moment = clock.now()
    with system_scope("outbox") as work:
        with transaction():
            claimed = cast(
                "CursorResult[Any]",
                work.execute(
                    update(Outbox)
                    .where(Outbox.id == message_id, Outbox.state == PENDING, Outbox.next_try_at <= moment)
                    .values(next_try_at=moment + LEASE, tries=Outbox.tries + 1)
                ),
            )
        if not claimed.rowcount:
            return 0
        message = work.scalars(select(Outbox).where(Outbox.id == message_id)).one()
        work.expunge(message)
        work.rollback()
        if message.tries > MAX_TRIES:
            _failed(message_id, message.tries, TimeoutError("every worker that took it died"))
            return 1
        try:
            handler(message)
        except Exception as error:
            work.rollback()
            _failed(message_id, message.tries, error)
        else:
            with transaction():
                work.execute(update(Outbox).where(Outbox.id == message_id).values(state=DONE, error=""))
    return 1


def _failed(message_id: int, tries: int, error: Exception) -> None:
    with transaction() as work:
        work.execute(
            update(Outbox)
            .where(Outbox.id == message_id)
            .values(
                state=DEAD if tries >= MAX_TRIES else PENDING,
                next_try_at=clock.now() + timedelta(seconds=min(3600, 2**tries)),
                error=f"{type(error).__name__}: {error}"[:500],
            )
        )


def purge_delivered(older_than: timedelta) -> int:
    """Drop delivered messages older than ``older_than``; return the count."""
    with system_scope("outbox"), transaction() as work:
        gone = work.execute(
            delete(Outbox).where(Outbox.state == DONE, Outbox.created_at < clock.now() - older_than)
        )
        return int(cast("CursorResult[Any]", gone).rowcount)
