"""Fixtures shared by core and plugin tests.

``app`` runs a test on SQLite and on PostgreSQL; ``sqlite_app`` where one database is enough. There is one
application per run: the database below it is swapped, so a test costs milliseconds.
"""

from __future__ import annotations

import contextlib
import gc
import os
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, settings
from sqlalchemy import Engine, event

from core.app import create_app
from core.kernel import clock, migrations
from core.kernel.database import ScopedSession, db
from core.kernel.hooks import Registry
from core.kernel.loader import open_folders
from core.kernel.settings import load_settings
from core.rules import unit_calendars
from tests import databases, helpers

CALLED = pytest.StashKey[Registry]()
SKIPPED = "no PostgreSQL answers (set TEST_POSTGRES_URL)"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--complete",
        action="store_true",
        help="all tests run: every hook must be called, and CI leaves nothing out",
    )


def pytest_configure() -> None:
    """Let plugins' tests import their plugin wherever the configuration keeps it."""
    open_folders(load_settings().plugin_folders)
    # A busy machine is no defect: what is too slow to draw or to run is the benchmarks' business.
    settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("house")


@pytest.fixture(scope="session")
def whole_app(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Flask:
    """The one application of this run, with every plugin of the repository installed."""
    folder = tmp_path_factory.mktemp("data")
    # Outside requests messages are English, whatever the catalogues say.
    os.environ["SHOUHOU_LOCALE"] = "en"
    given = {
        "environment": "testing",
        "database": f"sqlite:///{folder / 'unused.db'}",
        "data_dir": str(folder),
        "secret_key": "test-secret-key",
    }
    app = create_app(given)
    # What is there now stays until the end: looked at again and again it costs each test a fifteenth of its time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    pytestconfig.stash[CALLED] = app.extensions["plugins"].registry
    return app


@pytest.fixture(scope="session")
def migrate(whole_app: Flask) -> Callable[[Engine], object]:
    return lambda engine: migrations.upgrade(engine, whole_app.extensions["rooms"])


@pytest.fixture(scope="session")
def sqlite_source(
    tmp_path_factory: pytest.TempPathFactory, migrate: Callable[[Engine], object]
) -> databases.SqliteSource:
    return databases.SqliteSource(tmp_path_factory.mktemp("template"), migrate)


@pytest.fixture(scope="session")
def postgres_source(migrate: Callable[[Engine], object]) -> Iterator[databases.PostgresSource]:
    if not databases.postgres_answers():
        pytest.skip(SKIPPED)
    source = databases.PostgresSource(migrate)
    yield source
    source.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def app(request: pytest.FixtureRequest, whole_app: Flask, tmp_path: Path) -> Iterator[Flask]:
    """The application on a fresh database; the test runs once per kind of database."""
    source = request.getfixturevalue("sqlite_source" if request.param == "sqlite" else "postgres_source")
    with database_below(whole_app, source.fresh(tmp_path)):
        yield whole_app


@pytest.fixture
def sqlite_app(whole_app: Flask, sqlite_source: databases.SqliteSource, tmp_path: Path) -> Iterator[Flask]:
    """The application on a fresh SQLite database."""
    with database_below(whole_app, sqlite_source.fresh(tmp_path)):
        yield whole_app


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty database of its own, for tests of migrations."""
    if request.param == "sqlite":
        made = databases.open_engine(f"sqlite:///{tmp_path / 'empty.db'}")
        yield made
        made.dispose()
        return
    url = request.getfixturevalue("empty_url")
    made = databases.open_engine(url)
    yield made
    made.dispose()
    databases.clear_postgres(url)


@pytest.fixture(scope="session")
def empty_url() -> Iterator[str]:
    """The address of one empty PostgreSQL database, emptied again after each test that fills it."""
    if not databases.postgres_answers():
        pytest.skip(SKIPPED)
    url = databases.empty_postgres("empty")
    yield url
    databases.drop_postgres(url)


@contextlib.contextmanager
def database_below(app: Flask, engine: Engine) -> Iterator[None]:
    """Let ``app`` run on ``engine`` inside the block."""
    engines = db._app_engines[app]  # private to Flask-SQLAlchemy, which is pinned
    before = engines[None]
    engines[None] = engine
    # The rows of the test before are gone, and with them the calendars it froze.
    unit_calendars._frozen.pop(engine, None)
    helpers.current.app = app
    try:
        yield
    finally:
        engines[None] = before
        helpers.current.app = None
        engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def in_scope(request: pytest.FixtureRequest) -> Callable[..., contextlib.AbstractContextManager[ScopedSession]]:
    """``with in_scope([unit], {"case.read"}, actor=user):`` opens a session scoped to these units."""
    return helpers.in_scope


@pytest.fixture
def frozen_clock() -> Iterator[Callable[[datetime], None]]:
    """Set the clock: ``frozen_clock(moment)``; set again to move it."""
    with contextlib.ExitStack() as stack:
        yield lambda moment: stack.enter_context(clock.frozen(moment))


@pytest.fixture
def count_queries() -> Callable[[], contextlib.AbstractContextManager[list[str]]]:
    """``with count_queries() as seen:`` collects the SQL statements sent inside the block."""
    return _recorded


@contextlib.contextmanager
def _recorded() -> Iterator[list[str]]:
    seen: list[str] = []

    def record(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.lstrip().upper().startswith(_BOOKKEEPING):
            seen.append(statement)

    event.listen(Engine, "before_cursor_execute", record)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", record)


_BOOKKEEPING = ("BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK", "COMMIT", "PRAGMA")


NO_BROWSER = "no Chromium is installed (set CHROMIUM)"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave browser tests out, visibly, where there is no browser."""
    if item.get_closest_marker("browser") and not helpers.chromium():
        pytest.skip(NO_BROWSER)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say what was left out and why."""
    reasons = Counter(_skip_reason(report) for report in terminalreporter.stats.get("skipped", ()))
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"left out: {count} tests, {reason}")
    for problem in _incomplete(terminalreporter.config, reasons):
        terminalreporter.write_line(f"FAILED {problem}", red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a complete run that left out a database or the browser in CI, or a hook that nobody called."""
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    reasons = Counter(_skip_reason(report) for report in reporter.stats.get("skipped", ()))
    if session.exitstatus == 0 and _incomplete(session.config, reasons):
        session.exitstatus = 1


def _skip_reason(report: Any) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


def _incomplete(config: pytest.Config, reasons: Counter[str]) -> list[str]:
    if not config.getoption("--complete"):
        return []
    problems = []
    if os.environ.get("CI") == "true":
        problems += [f"CI must not leave this out: {one}" for one in (SKIPPED, NO_BROWSER) if reasons[one]]
    if called := config.stash.get(CALLED, None):
        uncalled = sorted(set(called.specs()) - set(called.calls))
        problems += [f"hook {name} was called by no test" for name in uncalled]
    return problems
