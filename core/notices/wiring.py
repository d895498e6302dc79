"""Puts the room into the ports of the rooms below it, and its work among that of the job runner."""

from __future__ import annotations

from datetime import timedelta

from flask_babel import lazy_gettext as _l

from core.kernel import jobs
from core.kernel.database import session, system_scope, transaction
from core.kernel.jobs import Job
from core.kernel.outbox import publish
from core.records import ports
from core.rules import ticks

from . import sending

TELL = "notices.tell"
JOBS = (Job(TELL, _l("Send notices"), lambda _work: _run()),)


def _run() -> dict[str, int]:
    return {"tried": sending.run()}


def wake() -> None:
    """Let notices written in the present transaction be sent right after it: one more row for all of them."""
    now = session().get_transaction()
    if now is not None and session().info.get("notices_woken") is now:
        return
    session().info["notices_woken"] = now
    _start()


def _start() -> None:
    # In nobody's name: who wrote the notice may be gone when it is sent.
    publish(jobs.TOPIC, None, {"job": TELL, "payload": {}, "actor": None, "locale": "zh"})


def look() -> int:
    """Start the sending if anything is due: quiet hours that end, digests, further tries.

    It is a job of its own, so that a slow mail server keeps no time limit waiting.
    """
    if not sending.anything_due():
        return 0
    with system_scope("notices"), transaction():
        _start()
    return 1


def attach() -> None:
    """Let written notices wake the sending, and time do the rest; attaching twice changes nothing."""
    if wake not in ports.told:
        ports.told.append(wake)
    ticks.add(ticks.Work("notices", look))
    ticks.add(ticks.Work("notice log", lambda: ticks.in_each_unit("notice log", sending.purge), timedelta(hours=6)))
