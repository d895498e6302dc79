"""Doing one job: in the scope and language of whoever started it, with its progress kept."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from flask_babel import force_locale
from sqlalchemy import update

from core.kernel import clock, jobs
from core.kernel.database import fetch, opened_scope, session, system_scope, transaction
from core.kernel.errors import AppError, NotFound
from core.kernel.i18n import LOCALES
from core.kernel.jobs import CANCELLED, DONE, FAILED, RUNNING, Cancelled, JobRun, Work
from core.kernel.outbox import Outbox
from core.users import actor as actors


def run_message(message: Outbox) -> None:
    """Do the job a message asks for. What fails for a reason people can read is not tried again; a crash is."""
    payload = message.payload
    if payload.get("run"):
        _run_watched(int(payload["run"]))
        return
    kind = jobs.job(payload["job"])
    with _scope(payload.get("actor")), force_locale(LOCALES[payload.get("locale", "zh")]):
        kind.run(Work(message.key, message.unit_id, payload["payload"]))


def _scope(actor_id: int | None) -> AbstractContextManager[Any]:
    """Open the scope of the person who started the work as it is now; nobody: the system's."""
    if actor_id is None:
        return system_scope("job")
    with system_scope("job actor", read_only=True):
        actor = actors.load_by_id(actor_id)
    if actor is None:
        raise NotFound()
    return opened_scope(actor.scope("job"))


def _run_watched(run_id: int) -> None:
    with system_scope("job", read_only=True):
        run = fetch(JobRun, run_id)
        if run.state in (DONE, FAILED, CANCELLED):
            return
        session().expunge(run)
    if run.cancel_asked:
        _note(run_id, state=CANCELLED, finished_at=clock.now())
        return
    _note(run_id, state=RUNNING, started_at=clock.now())

    def report(done: int, total: int, text: str) -> None:
        if _note(run_id, done=done, total=total, text=text[:200]):
            raise Cancelled()

    work = Work(run.key, run.unit_id, run.payload, run_id, report)
    with force_locale(LOCALES[run.locale]):
        try:
            with _scope(run.actor_id):
                result = jobs.job(run.job).run(work)
        except Cancelled:
            _note(run_id, state=CANCELLED, finished_at=clock.now())
        except AppError as error:
            text = "; ".join(str(one) for one in error.texts())
            _note(run_id, state=FAILED, error=text, finished_at=clock.now())
        else:
            _note(run_id, state=DONE, result=dict(result or {}), error="", finished_at=clock.now())


def _note(run_id: int, **values: Any) -> bool:
    """Write the state of a piece of work; return whether somebody asked to stop it."""
    with system_scope("job progress"), transaction() as work:
        work.execute(update(JobRun).where(JobRun.id == run_id).values(**values))
        return bool(fetch(JobRun, run_id).cancel_asked)
