"""A settlement killed with no warning in the middle is finished by another process: nothing twice, nothing lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from core.kernel.database import db, system_scope
from core.kernel.jobs import JobRun
from core.sdk import Charge
from plugins.agents import settlement
from plugins.agents.models import Agent, Statement, StatementLine
from plugins.agents.tests.scene_settle import IN_NOVEMBER, OCTOBER, make_desk
from tests.helpers import current

ROOT = Path(__file__).resolve().parents[3]
AGENTS, CHARGES = 4, 2


class Workers:
    """Worker processes on the database of the running test."""

    def __init__(self, folder: Path, database: str) -> None:
        self.log, self.running = folder / "log", []
        config = folder / "deployment.toml"
        config.write_text(
            f'plugins = ["products", "warranty", "agents"]\ndata_dir = "{folder}/var"\njob_threads = 1\n'
        )
        given = {"SHOUHOU_CONFIG": str(config), "DATABASE_URL": database, "SHOUHOU_ENV": "development"}
        self.environment = {**os.environ, "SHOUHOU_JOBS_STORE": "", **given}

    def start(self) -> subprocess.Popen[bytes]:
        with self.log.open("a") as log:
            made = subprocess.Popen(
                [sys.executable, "-m", "plugins.agents.tests.settle_process", "worker"],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.running.append(made)
        return made

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL


@pytest.fixture
def workers(sqlite_app: Any, tmp_path: Path) -> Iterator[Workers]:
    with sqlite_app.app_context():
        made = Workers(tmp_path, db.engine.url.render_as_string(hide_password=False))
    yield made
    for one in made.running:
        if one.poll() is None:
            one.kill()
            one.wait(10)


def test_a_settlement_killed_in_the_middle_is_finished_by_another(workers: Workers) -> None:
    desk = make_desk()
    desk.agents += [desk.place.agent() for _ in range(AGENTS - len(desk.agents))]
    case = desk.place.case(serial="", cause="")
    for number in range(AGENTS):
        for cents in range(CHARGES):
            desk.bill(f"{100 + number}.{cents:02}", number=number, case=case)
    desk.place.now = IN_NOVEMBER
    with desk.acting():
        run = settlement.start(desk.unit.id, OCTOBER).id

    first = workers.start()
    assert wait_for(lambda: len(rows(Statement)) >= 1, 90), workers.log.read_text()
    workers.kill(first)
    left = len(rows(Statement))
    assert 1 <= left < AGENTS, "killed too late to tell anything"
    assert len(rows(StatementLine)) == left * CHARGES, "an agent is whole or not there"

    workers.start()
    assert wait_for(lambda: state_of(run) == "done", 90), workers.log.read_text()
    assert len(rows(Statement)) == AGENTS
    lines = rows(StatementLine)
    charges = [one for one in rows(Charge) if one.payer_ref]
    assert sorted(one.charge_id for one in lines) == sorted(one.id for one in charges)
    codes = {one.id: one.code for one in rows(Agent)}
    for one in rows(Statement):
        mine = sum((line.amount for line in lines if line.statement_id == one.id), Decimal(0))
        billed = sum((c.amount for c in charges if c.payer_ref == codes[one.agent_id]), Decimal(0))
        assert one.receivable == mine == billed
        assert one.line_count == CHARGES


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def rows(model: Any) -> list[Any]:
    """Read what is committed, without SQLite's write lock."""
    with current().app_context(), system_scope("test", read_only=True) as work:
        return list(work.scalars(select(model)).unique())


def state_of(run_id: int) -> str:
    return next(str(one.state) for one in rows(JobRun) if one.id == run_id)
