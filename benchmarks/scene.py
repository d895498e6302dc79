"""What benchmarks stand on: a database, our app on it with a unit and a signed-in user, the floor beside it."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import create_engine, text

from core.app import create_app
from core.kernel import migrations
from core.kernel.database import db
from core.users.permissions import all_permissions
from tests import helpers

POSTGRES = os.environ.get("TEST_POSTGRES_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")
NAME = "shouhou_bench"


@dataclass
class Scene:
    """One database with both schemas. ``unit_id`` and ``username`` are ours."""

    kind: str
    url: str
    folder: Path
    app: Flask
    unit_id: int
    username: str


@contextmanager
def scene(kind: str) -> Iterator[Scene]:
    """Make a fresh database of ``kind`` (sqlite, postgresql); dropped at the end."""
    folder = Path(tempfile.mkdtemp(prefix="shouhou-bench-"))
    url = f"sqlite:///{folder / 'bench.db'}" if kind == "sqlite" else _fresh_postgres()
    app = create_app({"environment": "testing", "database": url, "data_dir": str(folder), "secret_key": "bench"})
    # As wsgi.py does: what is loaded stays, so the collector need not look at it again.
    gc.collect()
    gc.freeze()
    helpers.current.app = app
    try:
        with app.app_context():
            migrations.upgrade(db.engine, app.extensions["rooms"])
        unit = helpers.make_unit("HQ")
        user = helpers.make_user(unit, [one.code for one in all_permissions()], username="bench")
        yield Scene(kind, url, folder, app, unit.id, user.username)
    finally:
        helpers.current.app = None
        with app.app_context():
            db.engine.dispose()
        shutil.rmtree(folder, ignore_errors=True)
        if kind == "postgresql":
            _drop_postgres()


def signed_in(place: Scene) -> FlaskClient:
    """Return a test client with a session."""
    client = place.app.test_client()
    client.post("/sign-in", data={"username": place.username, "password": helpers.PASSWORD})
    return client


def _fresh_postgres() -> str:
    _drop_postgres()
    with _server().connect() as conn:
        conn.execute(text(f"CREATE DATABASE {NAME}"))
    return POSTGRES.rpartition("/")[0] + f"/{NAME}"


def _drop_postgres() -> None:
    with _server().connect() as conn:
        conn.execute(text(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)"))


def _server():  # type: ignore[no-untyped-def]
    return create_engine(POSTGRES, isolation_level="AUTOCOMMIT")


def postgres_answers() -> bool:
    try:
        with _server().connect():
            return True
    except Exception:
        return False
