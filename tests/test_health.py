"""A server whose database is not ready says so on every page, and is ready again without a restart."""

from __future__ import annotations

import sqlite3

import pytest

from core.kernel import migrations
from tests import databases
from tests.fixtures import database_below
from tests.helpers import login, make_unit, make_user


@pytest.fixture
def empty(whole_app, tmp_path):
    """The application above an empty database."""
    engine = databases.open_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    with database_below(whole_app, engine):
        yield whole_app, engine


def test_alive_and_ready(app):
    client = app.test_client()
    assert client.get("/healthz").status_code == 200
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json) == (200, {"status": "ready"})


def test_a_database_behind_its_migrations_answers_503_until_it_is_upgraded(empty):
    app, engine = empty
    client = app.test_client()
    page = client.get("/sign-in")
    assert page.status_code == 503
    assert "flask db upgrade" in page.get_data(as_text=True)
    program = client.get("/sign-in", headers={"Accept": "application/json"})
    assert (program.status_code, program.json["type"]) == (503, "urn:shouhou:problem:upgrade_needed")
    assert client.get("/healthz").status_code == 200
    ready = client.get("/readyz")
    assert ready.status_code == 503
    assert "core" in ready.json["rooms"]
    migrations.upgrade(engine, app.extensions["rooms"])
    assert client.get("/sign-in").status_code == 200
    assert client.get("/readyz").status_code == 200


def test_an_unreachable_database_is_not_ready(whole_app, tmp_path):
    with database_below(whole_app, databases.open_engine(f"sqlite:///{tmp_path}/gone/x.db")):
        client = whole_app.test_client()
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200
        assert client.get("/sign-in").status_code == 503


@pytest.fixture
def apart(whole_app, sqlite_source, tmp_path):
    """The application on an engine that no other test gets."""
    with database_below(whole_app, sqlite_source.apart(tmp_path)):
        yield whole_app


def test_a_locked_database_answers_503_and_nothing_is_lost(apart, tmp_path):
    user = make_user(make_unit())
    client = apart.test_client()
    other = sqlite3.connect(tmp_path / "apart.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    hurry(apart)
    answer = client.post("/sign-in", data={"username": user.username, "password": "wrong"})
    assert answer.status_code == 503
    other.execute("ROLLBACK")
    other.close()
    login(client, user)


def test_a_full_database_answers_503_and_nothing_is_lost(apart):
    user = make_user(make_unit())
    client = apart.test_client()
    hurry(apart, "PRAGMA max_page_count=1")
    bulky = {"username": user.username, "password": "wrong", "next": "/"}
    answers = {client.post("/sign-in", data={**bulky, "username": f"{n:060}"}).status_code for n in range(400)}
    assert 503 in answers
    hurry(apart, "PRAGMA max_page_count=1000000")
    login(client, user)


def hurry(app, *pragmas):
    """Let connections give up at once instead of after 15 seconds, and apply ``pragmas`` to each."""
    from sqlalchemy import event

    from core.kernel.database import db

    with app.app_context():
        engine = db.engine
    engine.dispose()

    @event.listens_for(engine, "connect")
    def _connect(connection, _record):
        for pragma in ("PRAGMA busy_timeout=50", *pragmas):
            connection.execute(pragma)
