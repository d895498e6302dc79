"""Servers and workers killed with no warning while work comes in: nothing is lost, nothing is done twice."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from sqlalchemy import func, select

from core.jobs.queue import Queue
from core.kernel import jobs, outbox
from core.kernel.database import db, transaction
from core.kernel.jobs import Job
from core.kernel.outbox import DONE, Outbox
from core.units.models import Setting
from tests import databases
from tests.helpers import as_system, make_unit

ROOT = Path(__file__).resolve().parents[1]
NO_REDIS = "no redis-server is installed"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Place:
    """Processes of the suite on the database of the running test."""

    def __init__(self, folder: Path, database: str, store: str) -> None:
        self.folder, self.running = folder, []
        config = folder / "deployment.toml"
        config.write_text(f'plugins = []\ndata_dir = "{folder}/var"\njobs_in_server = true\njob_threads = 2\n')
        self.environment = {
            **os.environ,
            "SHOUHOU_CONFIG": str(config),
            "DATABASE_URL": database,
            "SHOUHOU_JOBS_STORE": store,
            "SHOUHOU_ENV": "development",
        }

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("a") as log:
            made = subprocess.Popen(
                [sys.executable, "-m", "tests.jobs_process", *words],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.running.append(made)
        return made

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait(10)
        self.running.remove(process)

    def end(self) -> None:
        """Stop as a service manager does; every process ends by itself."""
        for process in self.running:
            process.send_signal(signal.SIGTERM)
        log = (self.folder / "log").read_text
        for process in self.running:
            assert process.wait(30) == 0, log()
        assert "Traceback" not in log(), log()


@pytest.fixture
def place(request, tmp_path):
    """Return a function that gives a place for a database and a store."""
    made = []

    def give(database, store):
        made.append(Place(tmp_path, database, store))
        return made[-1]

    yield give
    for one in made:
        for process in one.running:
            if process.poll() is None:
                process.kill()
                process.wait(10)


@contextlib.contextmanager
def redis_server(folder):
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip(NO_REDIS)
    port = free_port()
    words = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    server = subprocess.Popen([binary, *words], stdout=subprocess.DEVNULL)
    try:
        assert wait_for(lambda: answers(port), 10)
        yield f"redis://127.0.0.1:{port}/1"
    finally:
        server.terminate()
        server.wait(10)


def answers(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def counted():
    """Return how many messages are not done, and how many notes there are."""
    with as_system() as work:
        left = work.scalar(select(func.count()).select_from(Outbox).where(Outbox.state != DONE))
        notes = work.scalar(select(func.count()).select_from(Setting).where(Setting.key.startswith("note ")))
        return left, notes


def all_done(total):
    assert wait_for(lambda: counted() == (0, total), 60), counted()


def test_a_server_killed_again_and_again_loses_and_doubles_nothing(sqlite_app, tmp_path, place):
    unit, port = make_unit(), free_port()
    with sqlite_app.app_context():
        town = place(db.engine.url.render_as_string(hide_password=False), "")
    number = 0
    for _life in range(3):
        server = town.start("serve", "--port", str(port))
        wanted = number + 40
        end = time.monotonic() + 60
        while number < wanted and time.monotonic() < end:
            number += posted(port, unit.id, number)
        assert number == wanted, (tmp_path / "log").read_text()
        if _life < 2:
            town.kill(server)
    all_done(number)
    town.end()


def posted(port, unit_id, number):
    """Post until the server has taken it: what it answered for is kept."""
    address = f"http://127.0.0.1:{port}/note/{unit_id}/{number}"
    try:
        with urllib.request.urlopen(urllib.request.Request(address, method="POST"), timeout=5) as answer:
            return answer.status == 204
    except urllib.error.HTTPError:
        raise
    except OSError:  # not up yet
        time.sleep(0.1)
        return 0


@pytest.mark.parametrize("kind", ["redis", "postgresql"])
def test_workers_killed_again_and_again_lose_and_double_nothing(
    whole_app, postgres_source, tmp_path, place, kind, monkeypatch
):
    from tests.fixtures import database_below

    with contextlib.ExitStack() as stack:
        stack.enter_context(database_below(whole_app, postgres_source.fresh(tmp_path)))
        url = databases._url(postgres_source.database)
        store = stack.enter_context(redis_server(tmp_path)) if kind == "redis" else url
        monkeypatch.setitem(whole_app.extensions, "jobs", {"test.note": Job("test.note", "Note", print)})
        unit, town = make_unit(), place(url, store)
        queue = Queue(town_settings(whole_app, store))
        monkeypatch.setitem(whole_app.extensions, outbox.SENDER, queue.send)
        workers = [town.start("worker") for _ in range(2)]
        for turn in range(2):
            for number in range(turn * 60, turn * 60 + 60):
                with as_system(), transaction():
                    jobs.enqueue("test.note", unit.id, {"n": str(number)}, f"note:{number}")
            begun = turn * 60 + 10
            assert wait_for(lambda least=begun: counted()[1] >= least, 90), (tmp_path / "log").read_text()
            town.kill(workers.pop(0))
            if turn == 0:
                workers.append(town.start("worker"))
        all_done(120)
        town.end()
        drop_tables(queue, kind)


def town_settings(app, store):
    from dataclasses import replace

    return replace(app.extensions["settings"], jobs_store=store)


def drop_tables(queue, kind):
    """Leave the run's database as it was found."""
    if kind == "postgresql":
        storage = queue._huey.storage
        for table in (storage.table_kv, storage.table_schedule, storage.table_task, storage.table_counter):
            storage.sql(f"drop table {table}", commit=True)
        storage.close()
