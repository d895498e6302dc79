"""Doing one job: in the scope and language of whoever started it, with its progress kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import g
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import update

from core.kernel import clock, jobs
from core.kernel.database import opened_scope, system_scope, transaction, unit_scope
from core.kernel.errors import AppError
from core.kernel.i18n import speaking
from core.kernel.jobs import CANCELLED, DONE, FAILED, RUNNING, WAITING, Cancelled, JobRun, Progress, Work
from core.kernel.outbox import GiveUp, NotNow, Outbox
from core.units.switches import enabled_plugins
from core.users import actor as actors

PAUSE = 0.4  # seconds between two notes of progress
# Set when this process must end soon: work in hand leaves off at its next ``progress`` and is done anew elsewhere.
leaving = threading.Event()


class NobodyLeft(AppError):
    """Whoever started the work may not be here any more."""

    title = _l("The person who started this has left, or has no position in this unit any more.")


class SwitchedOff(AppError):
    """The work belongs to a plugin that is off in the unit."""

    title = _l("The part of the program that does this is switched off in this unit.")


def run_message(message: Outbox) -> None:
    """Do the job a message asks for.

    Raises:
        GiveUp: it fails for a reason people can read, so another try is no use.
        NotNow: the process is leaving.
    """
    payload = message.payload
    if "run" in payload:
        _run_watched(int(payload["run"]), message)
        return
    work = Work(message.key, message.unit_id, payload["payload"], report=_only_leave)
    with speaking(payload.get("locale", "zh")):
        try:
            _do(payload["job"], payload.get("actor"), work)
        except AppError as error:
            raise GiveUp(words_of(error)) from error


def gave_up(message: Outbox) -> None:
    """Tell whoever watches that no further try is made."""
    if "run" not in message.payload:
        return
    run = jobs.find(int(message.payload["run"]))
    if run is None or run.state in jobs.ENDED:
        return
    with speaking(run.locale):
        text = _("The program failed while doing this, several times. The administrator sees the reason.")
    _end(run.id, FAILED, error=text)


def words_of(error: AppError) -> str:
    """Return what an error has to say, in one line."""
    return "; ".join(str(one) for one in error.texts())


def _do(name: str, actor_id: int | None, work: Work) -> Any:
    kind = jobs.declared().get(name)
    if not isinstance(kind, jobs.Job):  # an older process beside a newer one: tried again
        raise LookupError(f"no job is called {name}")
    with _scope(actor_id, work.unit_id):
        if kind.plugin and work.unit_id is not None and kind.plugin not in enabled_plugins(work.unit_id):
            raise SwitchedOff()
        return kind.run(work)


@contextmanager
def _scope(actor_id: int | None, unit_id: int | None) -> Iterator[None]:
    """Open the scope of the person who started the work as it is now; nobody: that of the unit alone.

    Raises:
        NobodyLeft: the person is gone, or has nothing to do with the unit any more.
    """
    if actor_id is None:
        with unit_scope(unit_id, "job") if unit_id is not None else system_scope("job"):
            yield
        return
    with system_scope("job actor", read_only=True):
        actor = actors.load_by_id(actor_id)
    if actor is None or (unit_id is not None and unit_id not in actor.units):
        raise NobodyLeft()
    with opened_scope(actor.scope("job")):
        g.actor = actor
        yield


def _run_watched(run_id: int, message: Outbox) -> None:
    run = jobs.find(run_id)
    if run is None or run.state in jobs.ENDED:
        return
    if jobs.is_cancel_asked(run):
        _end(run_id, CANCELLED)
        return
    _write(run_id, state=RUNNING, started_at=run.started_at or clock.now(), error="")
    with speaking(run.locale):
        _run_once(run, Work(run.key, run.unit_id, run.payload, run_id, _Reporter(run_id)))


def _run_once(run: JobRun, work: Work) -> None:
    try:
        result = _do(run.job, run.actor_id, work)
    except Cancelled:
        _end(run.id, CANCELLED)
    except AppError as error:
        _end(run.id, FAILED, error=words_of(error))
    except (Exception, NotNow):
        _write(run.id, state=WAITING)
        raise
    else:
        _end(run.id, DONE, result=dict(result or {}))


class _Reporter:
    """Keeps progress, but not more often than anybody looks; the first and the last count."""

    def __init__(self, run_id: int) -> None:
        self.run_id = run_id
        self._last = 0.0

    def __call__(self, done: int, total: int, text: str) -> None:
        _only_leave()
        now = time.monotonic()
        if now - self._last < PAUSE and not (total and done == total):
            return
        self._last = now
        if jobs.report_progress(self.run_id, Progress(done, total, text)):
            raise Cancelled()


def _only_leave(*_progress: object) -> None:
    if leaving.is_set():
        raise NotNow()


def _end(run_id: int, state: str, **values: Any) -> None:
    _write(run_id, state=state, finished_at=clock.now(), **values)
    with system_scope("job", read_only=True):
        jobs.forget_notes(run_id)


def _write(run_id: int, **values: Any) -> None:
    with system_scope("job progress"), transaction() as work:
        work.execute(update(JobRun).where(JobRun.id == run_id).values(**values))
