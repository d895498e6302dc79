"""Work outside requests: declared by the core and by plugins, started in a transaction, done by the job runner.

A job is an outbox message of topic ``job``: what a transaction starts is done after it commits, at least once. What
people watch also has a row of its own (``JobRun``), which the page ``jobs.run_view`` shows with its progress.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from flask import Flask, current_app
from flask_babel import get_locale
from sqlalchemy import ForeignKey, Index, String, Text, select
from sqlalchemy.orm import Mapped, mapped_column

from . import clock
from .database import Base, BigId, Json, UnitScoped, UtcDateTime, current_scope, transaction
from .errors import AppError, NotFound
from .ids import uuid7
from .outbox import publish

TOPIC = "job"
WAITING, RUNNING, DONE, FAILED, CANCELLED = "waiting", "running", "done", "failed", "cancelled"


class Cancelled(AppError):
    """Somebody asked to stop the work; what it did so far was rolled back or is complete in itself."""


@dataclass(frozen=True)
class Job:
    """A kind of work. ``name`` is ``room.verb`` (of a plugin: its name first).

    ``run(work)`` does it, in the scope and language of whoever started it, and may answer a JSON mapping,
    kept as the result. It is called at least once: a second call with the same ``work.key`` must change
    nothing more.
    """

    name: str
    title: Any
    run: Callable[[Work], Mapping[str, Any] | None]
    plugin: str = ""


@dataclass(frozen=True)
class Periodic:
    """Work that recurs: ``run(unit_id)`` once per unit in which the plugin is on, in a scope of that unit alone.

    ``every`` is the least time between two runs; with ``hour`` it runs once a day, after that hour there.
    """

    name: str
    title: Any
    run: Callable[[int], object]
    every: timedelta = timedelta(hours=1)
    hour: int | None = None
    plugin: str = ""


@dataclass
class Work:
    """One piece of work as its ``run`` sees it. ``key`` is the same however often it comes."""

    key: str
    unit_id: int | None
    payload: Mapping[str, Any]
    run_id: int | None = None
    report: Callable[[int, int, str], None] = field(default=lambda _done, _total, _text: None, repr=False)

    def progress(self, done: int, total: int = 0, text: Any = "") -> None:
        """Say how far the work is (``total`` 0: unknown). Call it often, outside ``transaction()`` or inside.

        Raises:
            Cancelled: somebody asked to stop.
        """
        self.report(done, total, str(text))


class JobRun(UnitScoped, Base):
    """One piece of work that people watch: imports, exports, statements, batch prints."""

    __tablename__ = "core_job"
    __table_args__ = (
        Index("ix_core_job_unit", "unit_id", "id"),
        Index("ix_core_job_actor", "actor_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    key: Mapped[str] = mapped_column(String(120), unique=True)
    job: Mapped[str] = mapped_column(String(80))
    title: Mapped[str] = mapped_column(String(200))
    payload: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    locale: Mapped[str] = mapped_column(String(10), default="zh")
    state: Mapped[str] = mapped_column(String(10), default=WAITING)
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    text: Mapped[str] = mapped_column(String(200), default="")
    cancel_asked: Mapped[bool] = mapped_column(default=False)
    # What the job answered; {"file": name, "sha256": ..., "url": ...} offers a download or a page to go on to.
    result: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    error: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class PeriodicRun(UnitScoped, Base):
    """When a unit's recurring work was last taken: whoever moves it on does the work, the others find it moved."""

    __tablename__ = "core_periodic"

    unit_id: Mapped[int] = mapped_column(ForeignKey("core_unit.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    period: Mapped[str] = mapped_column(String(40), default="")
    taken_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    done_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str] = mapped_column(Text, default="")


def register(app: Flask, jobs: Iterable[Job | Periodic]) -> None:
    """Make jobs known to the application; called at assembly.

    Raises:
        ValueError: two share a name.
    """
    known = app.extensions.setdefault("jobs", {})
    for one in jobs:
        if one.name in known:
            raise ValueError(f"two jobs are called {one.name}")
        known[one.name] = one


def declared() -> Mapping[str, Job | Periodic]:
    """Return every declared job by name."""
    return cast("Mapping[str, Job | Periodic]", current_app.extensions.get("jobs", {}))


def job(name: str) -> Job:
    """Return a declared job.

    Raises:
        NotFound: none of that name.
    """
    found = declared().get(name)
    if not isinstance(found, Job):
        raise NotFound()
    return found


def enqueue(name: str, unit_id: int | None, payload: Mapping[str, Any], key: str = "") -> None:
    """Let a job be done after the present transaction, unwatched. ``key`` makes it idempotent."""
    job(name)
    envelope = {"job": name, "payload": dict(payload), "actor": current_scope().actor_id, "locale": _locale()}
    publish(TOPIC, unit_id, envelope, key)


def start(name: str, unit_id: int, payload: Mapping[str, Any], title: Any, key: str = "") -> JobRun:
    """Let a watched job be done after the present transaction; return its row, for ``jobs.run_view``.

    A second start under the same ``key`` answers the first one's row.
    """
    job(name)
    with transaction() as work:
        held = work.scalars(select(JobRun).where(JobRun.key == key)).first() if key else None
        if held is not None:
            return held
        run = JobRun(
            unit_id=unit_id,
            key=key or uuid7().hex,
            job=name,
            title=str(title)[:200],
            payload=dict(payload),
            actor_id=current_scope().actor_id,
            locale=_locale(),
            created_at=clock.now(),
        )
        work.add(run)
        work.flush()
        publish(TOPIC, unit_id, {"job": name, "run": run.id}, f"job:{run.key}")
        return run


def _locale() -> str:
    return "en" if str(get_locale() or "zh").startswith("en") else "zh"
