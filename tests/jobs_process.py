"""A process of the suite with a job to test by: ``python -m tests.jobs_process serve --port N`` or ``worker``.

Leases and waits are short, so that what a killed process had in hand comes again while a test waits.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from flask.cli import FlaskGroup

from core.jobs import queue, runner, sweeper
from core.kernel import jobs, outbox
from core.kernel.database import insert_once, system_scope, transaction
from core.units.models import Setting
from wsgi import app

TOPIC = "test.note"


def note(work: jobs.Work) -> None:
    """Write one row for each key, however often it is called; being killed half-way leaves none."""
    with transaction():
        row = {"unit_id": work.unit_id, "room": "core", "key": f"note {work.payload['n']}", "value": {}}
        insert_once(Setting, row)
        time.sleep(0.01)


def ask(unit_id: int, number: str) -> None:
    """Ask for a note, as a request does."""
    with system_scope("test"), transaction():
        jobs.enqueue(TOPIC, unit_id, {"n": number}, f"note:{number}")


def door(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Take ``/note/<unit>/<number>`` before the suite's own pages."""
    parts = environ["PATH_INFO"].split("/")
    if parts[1] != "note":
        return suite(environ, start_response)
    with app.app_context():
        ask(int(parts[2]), parts[3])
    start_response("204 No Content", [])
    return [b""]


suite = app.wsgi_app
app.wsgi_app = door  # type: ignore[method-assign]
app.extensions["jobs"].clear()
jobs.register(app, [jobs.Job(TOPIC, "Note", note)])
outbox.LEASE = timedelta(seconds=1.2)
sweeper.SEND_AGAIN = queue.PATIENCE = 1.0
sweeper.UNSEEN = timedelta(seconds=0.2)
runner.PAUSE = 0.2

if __name__ == "__main__":
    FlaskGroup(create_app=lambda: app).main(args=sys.argv[1:], prog_name="flask")
