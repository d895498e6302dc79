"""Throw-away databases: migrated once, copied for each use, gone at the end. The configured one is never opened."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from . import migrations
from .database import db, prepare_engine
from .settings import Settings, engine_options

_numbers = itertools.count(1)
TEMPLATE = "template"


class NoDatabase(Exception):
    """No throw-away database can be made there; the text says why."""


class Workshop:
    """Makes databases in ``folder``, or on the PostgreSQL server of ``server`` (an SQLAlchemy URL).

    On a server the database that the URL names is only used to give the orders; ours carry names of their own.
    """

    def __init__(self, app: Flask, folder: Path, server: str = "") -> None:
        self.app, self.folder, self.server = app, folder, server
        self._ready = False
        self._made: list[str] = []  # on the server, to be dropped
        self._mark = f"shouhou_rehearsal_{os.getpid()}_{next(_numbers)}"
        if server and not make_url(server).drivername.startswith("postgresql"):
            raise NoDatabase("give the URL of a PostgreSQL server, or leave it out for SQLite")

    @property
    def template(self) -> str:
        """The URL of the migrated database that the others are copied from."""
        return self._url(TEMPLATE)

    def _url(self, name: str) -> str:
        if not self.server:
            return f"sqlite:///{self.folder / name}.db"
        url = make_url(self.server).set(drivername="postgresql+psycopg", database=f"{self._mark}_{name}")
        return url.render_as_string(hide_password=False)

    def prepare(self, seed: Callable[[], object]) -> None:
        """Make the template once: every room migrated, then ``seed`` called inside its application."""
        if self._ready:
            return
        if self.server:
            self._order(f'CREATE DATABASE "{self._mark}_{TEMPLATE}"')
            self._made.append(TEMPLATE)
        self._ready = True
        engine = create_engine(self.template, **engine_options(self.template))
        prepare_engine(engine)
        migrations.upgrade(engine, self.app.extensions["rooms"])
        engine.dispose()
        with self._twin(self.template) as twin, twin.app_context():
            seed()  # closing the last connection afterwards writes all of SQLite's log into the file

    @contextmanager
    def fresh(self, name: str = "", base: str = TEMPLATE, *, stays: bool = False) -> Iterator[Flask]:
        """Give an application of its own on a fresh copy of the template, or of ``base``, one that ``stays``.

        Other copies on a server are dropped at the end of the block.
        """
        name = name or f"n{next(_numbers)}"
        if self.server:
            self._order(f'CREATE DATABASE "{self._mark}_{name}" TEMPLATE "{self._mark}_{base}"')
            self._made.append(name)
        else:
            shutil.copyfile(self.folder / f"{base}.db", self.folder / f"{name}.db")
        try:
            with self._twin(self._url(name)) as twin:
                yield twin
        finally:
            if not stays:
                self._drop(name)

    def close(self) -> None:
        """Drop every database on the server; a folder is its owner's."""
        for name in list(self._made):
            self._drop(name)

    def _drop(self, name: str) -> None:
        if name in self._made:
            self._order(f'DROP DATABASE IF EXISTS "{self._mark}_{name}" WITH (FORCE)')
            self._made.remove(name)

    @contextmanager
    def _twin(self, url: str) -> Iterator[Flask]:
        twin = twin_of(self.app, url, self.folder)
        try:
            yield twin
        finally:
            with twin.app_context():
                db.engine.dispose()

    def _order(self, statement: str) -> None:
        engine = create_engine(
            make_url(self.server).set(drivername="postgresql+psycopg"),
            isolation_level="AUTOCOMMIT",
            connect_args={"connect_timeout": 5},
        )
        try:
            with engine.connect() as conn:
                conn.execute(text(statement))
        except DBAPIError as error:
            raise NoDatabase(str(error.orig)) from error
        finally:
            engine.dispose()


@contextmanager
def workshop(app: Flask, server: str = "", keep: Path | None = None) -> Iterator[Workshop]:
    """Open a workshop in a temporary folder, or in ``keep``, whose databases stay.

    Raises:
        NoDatabase: ``server`` is no PostgreSQL server that lets us make databases.
    """
    folder = keep or Path(tempfile.mkdtemp(prefix="shouhou-rehearsal-"))
    folder.mkdir(parents=True, exist_ok=True)
    made = Workshop(app, folder, server)
    try:
        yield made
    finally:
        made.close()
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def twin_of(app: Flask, url: str, folder: Path) -> Flask:
    """Return an application that shares what ``app`` has declared, with a database and a data folder of its own.

    It has no pages, no commands and no job runner; other threads of ``app`` notice nothing of it.
    """
    twin = Flask(app.import_name, root_path=app.root_path)
    twin.config.update({name: held for name, held in app.config.items() if not name.startswith("SQLALCHEMY_")})
    twin.config.update(SQLALCHEMY_DATABASE_URI=url, SQLALCHEMY_ENGINE_OPTIONS=engine_options(url))
    shared: dict[str, Any] = {name: held for name, held in app.extensions.items() if name != "sqlalchemy"}
    settings: Settings = app.extensions["settings"]
    twin.extensions.update(shared)
    twin.extensions["settings"] = replace(settings, database=url, data_dir=folder)
    db.init_app(twin)
    with twin.app_context():
        prepare_engine(db.engine)
    return twin
