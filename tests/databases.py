"""Fresh databases for tests: a migrated template once per run, a clean copy for every test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url

from core.kernel.database import prepare_engine
from core.kernel.settings import engine_options

POSTGRES = os.environ.get("TEST_POSTGRES_URL") or "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
OURS = "shtest_"
Migrate = Callable[[Engine], object]


def open_engine(url: str) -> Engine:
    """Make an engine the way the application does."""
    engine = create_engine(url, **engine_options(url))
    prepare_engine(engine)
    return engine


class SqliteSource:
    """One file for the run, replaced by a copy of a template before each test: about a millisecond.

    The engine stays the same, and with it the statements it has compiled: a quarter of a test's time.
    """

    name = "sqlite"

    def __init__(self, folder: Path, migrate: Migrate) -> None:
        self.template, self.file = folder / "template.db", folder / "test.db"
        engine = open_engine(f"sqlite:///{self.template}")
        migrate(engine)
        with engine.connect() as conn:
            conn.connection.dbapi_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]
        engine.dispose()
        self.engine = open_engine(f"sqlite:///{self.file}")

    def fresh(self, _folder: Path) -> Engine:
        self.engine.dispose()
        for ending in ("", "-wal", "-shm"):
            # Removed, not overwritten: a thread of the last test may still hold the old file.
            self.file.with_name(self.file.name + ending).unlink(missing_ok=True)
        shutil.copyfile(self.template, self.file)
        return self.engine

    def apart(self, folder: Path) -> Engine:
        """Open a database of its own, for what outlives a test."""
        target = folder / "apart.db"
        shutil.copyfile(self.template, target)
        return open_engine(f"sqlite:///{target}")

    def close(self) -> None:
        """Nothing to do: the folder is temporary."""


class PostgresSource:
    """One database for the run; between tests the tables that hold rows are emptied and seeds put back."""

    name = "postgresql"

    def __init__(self, migrate: Migrate) -> None:
        self.database = f"{OURS}{os.getpid()}"
        _drop_left_behind()
        _admin(f'DROP DATABASE IF EXISTS "{self.database}" WITH (FORCE)', f'CREATE DATABASE "{self.database}"')
        self.engine = open_engine(_url(self.database))
        # What a test writes need not survive the machine: nobody waits for the disk.
        _admin(f'ALTER DATABASE "{self.database}" SET synchronous_commit = off')
        migrate(self.engine)
        with self.engine.begin() as conn:
            conn.execute(text(_REMEMBER))

    def fresh(self, _folder: Path) -> Engine:
        with self.engine.begin() as conn:
            conn.execute(text("SET LOCAL session_replication_role = replica"))
            conn.execute(text(_EMPTY))
        return self.engine

    def close(self) -> None:
        self.engine.dispose()
        _admin(f'DROP DATABASE IF EXISTS "{self.database}" WITH (FORCE)')


def empty_postgres(name: str) -> str:
    """Create an empty database of this run and return its URL; dropped when the next run begins or ends."""
    database = f"{OURS}{os.getpid()}_{name}"
    _admin(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)', f'CREATE DATABASE "{database}"')
    return _url(database)


def drop_postgres(url: str) -> None:
    _admin(f'DROP DATABASE IF EXISTS "{make_url(url).database}" WITH (FORCE)')


def clear_postgres(url: str) -> None:
    """Empty a database for the next test: dropping it would wait for the disk."""
    engine = create_engine(url)
    with engine.begin() as conn:
        conn.execute(text("DROP SCHEMA public CASCADE"))
        conn.execute(text("CREATE SCHEMA public"))
    engine.dispose()


def postgres_answers() -> bool:
    """Tell whether a PostgreSQL server answers where the tests look for one."""
    try:
        _admin("SELECT 1")
    except Exception:  # any failure to connect means: not here
        return False
    return True


def _url(database: str) -> str:
    return make_url(POSTGRES).set(database=database).render_as_string(hide_password=False)


def _admin(*statements: str) -> list[str]:
    engine = create_engine(POSTGRES, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 3})
    try:
        with engine.connect() as conn:
            found: list[str] = []
            for statement in statements:
                result = conn.execute(text(statement))
                found = [str(row[0]) for row in result] if result.returns_rows else []
            return found
    finally:
        engine.dispose()


def _drop_left_behind() -> None:
    """Drop databases of runs that were killed."""
    for name in _admin(f"SELECT datname FROM pg_database WHERE datname LIKE '{OURS}%'"):
        owner = name.removeprefix(OURS).split("_")[0]
        if owner.isdigit() and not _alive(int(owner)):
            _admin(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


_REMEMBER = """
CREATE SCHEMA seeds;
CREATE SCHEMA seeds_state;
CREATE TABLE seeds_state.sequences AS
  SELECT sequencename AS name, last_value FROM pg_sequences WHERE schemaname = 'public';
DO $$ DECLARE t text; filled boolean; BEGIN
  FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM public.%I)', t) INTO filled;
    IF filled THEN EXECUTE format('CREATE TABLE seeds.%I AS SELECT * FROM public.%I', t, t); END IF;
  END LOOP;
END $$
"""
_EMPTY = """
DO $$ DECLARE t text; s text; held bigint; filled boolean; BEGIN
  FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM public.%I)', t) INTO filled;
    IF filled THEN EXECUTE format('DELETE FROM public.%I', t); END IF;
  END LOOP;
  FOR s, held IN SELECT name, was.last_value FROM seeds_state.sequences was
    JOIN pg_sequences now ON now.schemaname = 'public' AND now.sequencename = was.name
    WHERE now.last_value IS DISTINCT FROM was.last_value LOOP
    IF held IS NULL THEN EXECUTE format('ALTER SEQUENCE public.%I RESTART', s);
    ELSE PERFORM setval(format('public.%I', s)::regclass, held); END IF;
  END LOOP;
  FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'seeds' LOOP
    EXECUTE format('INSERT INTO public.%I SELECT * FROM seeds.%I', t, t);
  END LOOP;
END $$
"""
