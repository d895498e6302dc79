"""Work outside requests: declared by the core and by plugins, started in a transaction, done by the job runner.

A job is an outbox message: what a transaction starts is done after it commits, at least once. What people watch
has a row of its own (``JobRun``), too, which the page ``jobs.run_view`` shows with its progress. Recurring work
(``Periodic``) becomes such a message whenever it is due in a unit.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

from flask import Flask, current_app
from flask_babel import get_locale
from flask_babel import lazy_gettext as _l
from sqlalchemy import CursorResult, ForeignKey, Index, String, Text, delete, select, update
from sqlalchemy.orm import Mapped, mapped_column

from . import clock
from .database import (
    Base,
    BigId,
    Json,
    UnitScoped,
    UtcDateTime,
    current_scope,
    insert_once,
    session,
    system_scope,
    transaction,
)
from .errors import AppError, Conflict, NotFound
from .ids import uuid7
from .outbox import publish

TOPIC = "job"
WATCHED = "job.watched"
PERIODIC = "job.periodic"
WAITING, RUNNING, DONE, FAILED, CANCELLED = "waiting", "running", "done", "failed", "cancelled"
ENDED = frozenset({DONE, FAILED, CANCELLED})
KEEP_RESULTS = timedelta(days=7)


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
            Cancelled: somebody asked to stop. Let it pass: what is in a transaction is rolled back.
            core.kernel.outbox.NotNow: this process is about to end, another one does the work anew.
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


def enqueue(
    name: str,
    unit_id: int | None,
    payload: Mapping[str, Any],
    key: str = "",
    at: datetime | None = None,
    *,
    in_own_name: bool = True,
) -> None:
    """Let a job be done after the present transaction, unwatched.

    ``key`` makes it idempotent; ``at``: do it no sooner. ``in_own_name`` False: what must happen even if the actor
    has left by then, with the rights of the unit instead of theirs.
    """
    job(name)
    actor = current_scope().actor_id if in_own_name else None
    envelope = {"job": name, "payload": dict(payload), "actor": actor, "locale": _locale()}
    publish(TOPIC, unit_id, envelope, key, at)


def start(name: str, unit_id: int, payload: Mapping[str, Any], title: Any, key: str = "") -> JobRun:
    """Let a watched job be done after the present transaction; return its row, for ``jobs.run_view``.

    A second start under the same ``key`` answers the first one's row.

    Raises:
        Conflict: the key is that of somebody else's work.
    """
    job(name)
    row = {
        "unit_id": unit_id,
        "key": key or uuid7().hex,
        "job": name,
        "title": str(title)[:200],
        "payload": dict(payload),
        "actor_id": current_scope().actor_id,
        "locale": _locale(),
        "created_at": clock.now(),
    }
    with transaction() as work:
        fresh = insert_once(JobRun, row)
        run = work.scalars(select(JobRun).where(JobRun.key == row["key"])).one_or_none()
        if run is None or run.actor_id != row["actor_id"]:
            raise Conflict()
        if fresh:
            publish(WATCHED, unit_id, {"job": name, "run": run.id}, message_key(run))
        return run


def find(run_id: int | None) -> JobRun | None:
    """Return a piece of watched work as it stands now, detached; the caller checks who may see it.

    It is read in a session of its own, which waits for nobody's lock: not even for the work's own.
    """
    if run_id is None:
        return None
    with system_scope("job", read_only=True) as work:
        return work.get(JobRun, run_id)


def message_key(run: JobRun) -> str:
    """Return the key of the message that does a piece of watched work."""
    return f"job:{run.key}"[:120]


def _locale() -> str:
    return "en" if str(get_locale() or "zh").startswith("en") else "zh"


# --- progress and cancelling ---------------------------------------------------------------------
#
# On SQLite both go through small files in ``data_dir/jobs``: a job that writes much holds the one write lock, and
# neither its own progress nor the wish to stop it could be written into the database meanwhile.


@dataclass(frozen=True)
class Progress:
    """How far a piece of work is."""

    done: int = 0
    total: int = 0
    text: str = ""


def report_progress(run_id: int, progress: Progress) -> bool:
    """Keep how far a piece of work is; return whether somebody asked to stop it."""
    values = {"done": progress.done, "total": progress.total, "text": progress.text[:200]}
    if not _on_sqlite():
        with system_scope("job progress"), transaction() as work:
            asked = update(JobRun).where(JobRun.id == run_id).values(**values).returning(JobRun.cancel_asked)
            return bool(work.scalar(asked, execution_options={"synchronize_session": False}))
    path = _note(run_id, "progress")
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(f".{os.getpid()}")
    scratch.write_text(json.dumps(values), "utf-8")
    scratch.replace(path)
    return _note(run_id, "cancel").exists()


def progress_of(run: JobRun) -> Progress:
    """Return how far a piece of work is."""
    if _on_sqlite() and run.state == RUNNING:
        try:
            return Progress(**json.loads(_note(run.id, "progress").read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return Progress()
    return Progress(run.done, run.total, run.text)


def cancel(run: JobRun) -> None:
    """Cancel a piece of work: at once if it waits, else it is asked to stop and does at its next ``progress``.

    Raises:
        Conflict: it has ended already.
    """
    if run.state in ENDED:
        raise Conflict(_l("This work has ended already."))
    if run.state == RUNNING and _on_sqlite():
        path = _note(run.id, "cancel")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        return
    with transaction() as work:
        waits = (JobRun.id == run.id, JobRun.state == WAITING)
        stopped = work.execute(
            update(JobRun).where(*waits).values(state=CANCELLED, finished_at=clock.now(), cancel_asked=True)
        )
        if not cast("CursorResult[Any]", stopped).rowcount:
            work.execute(update(JobRun).where(JobRun.id == run.id).values(cancel_asked=True))


def is_cancel_asked(run: JobRun) -> bool:
    """Tell whether somebody asked to stop a piece of work."""
    return run.cancel_asked or (_on_sqlite() and _note(run.id, "cancel").exists())


def forget_notes(run_id: int) -> None:
    """Take away what was noted while a piece of work ran."""
    for kind in ("progress", "cancel"):
        _note(run_id, kind).unlink(missing_ok=True)


def _note(run_id: int, kind: str) -> Path:
    return _data_dir() / "jobs" / f"{int(run_id)}.{kind}"


def _on_sqlite() -> bool:
    return session().get_bind().dialect.name == "sqlite"


def _data_dir() -> Path:
    return Path(current_app.extensions["settings"].data_dir)


# --- files that jobs make ------------------------------------------------------------------------


def keep_result(content: Path | bytes, name: str) -> dict[str, Any]:
    """Keep a file that a job made, for its starter to fetch; return what the job answers as its result.

    ``content`` is a file (copied: remove your own) or the bytes themselves, ``name`` what the download is called.
    The file lies in ``data_dir/results`` under its hash and goes after a week. A job may add ``"url"``, a page to
    go on to, or words of its own to the mapping.
    """
    folder = _results()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, made = tempfile.mkstemp(dir=folder, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as out:
            if isinstance(content, bytes):
                out.write(content)
            else:
                with content.open("rb") as given:
                    shutil.copyfileobj(given, out, 1 << 20)
        with open(made, "rb") as written:
            digest = hashlib.file_digest(written, "sha256").hexdigest()
        size = Path(made).stat().st_size
        os.replace(made, folder / digest)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise
    return {"file": _plain_name(name), "sha256": digest, "size": size}


def result_file(run: JobRun) -> Path | None:
    """Return where the file of a piece of work lies, or None: it made none, or it is gone by now."""
    digest = str(run.result.get("sha256", ""))
    if len(digest) != 64 or not all(one in "0123456789abcdef" for one in digest):
        return None
    path = _results() / digest
    return path if path.is_file() else None


def drop_result(digest: str) -> None:
    """Take the file of this hash away before its time: whom it is about was erased."""
    (_results() / digest).unlink(missing_ok=True)


def purge_results(keep: timedelta = KEEP_RESULTS) -> int:
    """Drop the files of results older than ``keep``; return how many."""
    folder, count = _results(), 0
    oldest = (clock.now() - keep).timestamp()
    for path in folder.iterdir() if folder.is_dir() else ():
        try:
            if path.stat().st_mtime < oldest:
                path.unlink()
                count += 1
        except FileNotFoundError:  # another process tidies as well
            continue
    return count


def purge_runs(keep: timedelta) -> None:
    """Forget watched work that ended longer ago than ``keep``."""
    with system_scope("tidy"), transaction() as work:
        work.execute(delete(JobRun).where(JobRun.state.in_(ENDED), JobRun.finished_at < clock.now() - keep))


def _results() -> Path:
    return _data_dir() / "results"


def _plain_name(name: str) -> str:
    """Return a file name without what a path or a header could be broken with."""
    kept = "".join(one for one in name if one.isprintable() and one not in '/\\:*?"<>|').strip(". ")
    stem, dot, ending = kept.rpartition(".")
    return f"{stem[:100]}{dot}{ending[:20]}" if dot else kept[:100] or "result"
