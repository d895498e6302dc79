"""A process of the suite that settles slowly: ``python -m plugins.agents.tests.settle_process worker``.

Leases are short, and every agent's lines lie written but uncommitted for a moment, which is when a test kills it.
"""

from __future__ import annotations

import sys
import time
from datetime import timedelta

from flask.cli import FlaskGroup

from core.jobs import queue, runner, sweeper
from core.kernel import outbox
from plugins.agents import statements
from plugins.agents.models import Statement
from wsgi import app

PAUSE = 0.4
real = statements.refresh


def slowly(statement: Statement) -> None:
    """Work the sums out when the lines have lain there for a while."""
    time.sleep(PAUSE)
    real(statement)


statements.refresh = slowly
outbox.LEASE = timedelta(seconds=1.2)
sweeper.SEND_AGAIN = queue.PATIENCE = 1.0
sweeper.UNSEEN = timedelta(seconds=0.2)
runner.PAUSE = 0.2

if __name__ == "__main__":
    FlaskGroup(create_app=lambda: app).main(args=sys.argv[1:], prog_name="flask")
