"""Migrations: one Alembic history and version table per room (the core and each plugin).

A shared history stops everything as soon as a deployment lacks one plugin, so rooms are kept apart and run in
dependency order. Alembic itself is imported only inside the functions that need it: it is slow to load, and the
check at start reads revision files and version tables without it.
"""

from __future__ import annotations

import fcntl
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, Engine, MetaData, create_engine, inspect, text

from .database import UtcDateTime, prepare_engine
from .settings import ROOT

if TYPE_CHECKING:
    from alembic.config import Config

ENVIRONMENT = ROOT / "migrations"
LOCK_KEY = 7_301_552_011
# Tables and indexes made by hand in migrations (full-text search) carry this in their names; drift ignores them.
HAND_MADE = "_fts"


class MigrationError(Exception):
    """A migration cannot be run; the text says why and what to do."""


@dataclass(frozen=True)
class Room:
    """One history: the core, or a plugin. ``folder`` holds its revision files, ``prefix`` starts its tables."""

    name: str
    folder: Path
    depends: tuple[str, ...] = ()

    @property
    def prefix(self) -> str:
        return f"{self.name}_"

    @property
    def version_table(self) -> str:
        return f"alembic_version_{self.name}"


@dataclass(frozen=True)
class RoomStatus:
    """Where a room stands: ``current``, ``behind``, ``new`` (nothing there yet), ``ahead`` or ``orphan``."""

    room: str
    state: str
    at: str
    head: str


CORE = Room("core", ENVIRONMENT / "core")


# --- without Alembic -------------------------------------------------------------------------

_LINE = re.compile(r"^(down_revision|revision)\b[^=\n]*=\s*(None|[\"']([^\"']+)[\"'])", re.MULTILINE)


def head_of(room: Room) -> str:
    """Return the newest revision in the room's folder, '' if it has none.

    Raises:
        MigrationError: the folder holds two heads.
    """
    revisions: dict[str, str] = {}
    for path in sorted(room.folder.glob("*.py")):
        named = {kind: value or "" for kind, _, value in _LINE.findall(path.read_text("utf-8"))}
        if "revision" in named:
            revisions[named["revision"]] = named.get("down_revision", "")
    heads = sorted(set(revisions) - set(revisions.values()))
    if len(heads) > 1:
        raise MigrationError(f"{room.name} has several newest revisions: {', '.join(heads)}")
    return heads[0] if heads else ""


def status(engine: Engine, rooms: Sequence[Room]) -> list[RoomStatus]:
    """Compare the database with the revision files, room by room; rooms left behind by a plugin come last."""
    prefix = "alembic_version_"
    with engine.connect() as conn:
        names = {n for n in inspect(conn).get_table_names() if n.startswith(prefix)}
        at = {n.removeprefix(prefix): conn.scalar(text(f'SELECT version_num FROM "{n}"')) or "" for n in names}  # noqa: S608
    found = [_status_of(room, at.pop(room.name, "")) for room in rooms]
    return found + [RoomStatus(name, "orphan", revision, "") for name, revision in sorted(at.items()) if revision]


def _status_of(room: Room, at: str) -> RoomStatus:
    head = head_of(room)
    if at == head:
        return RoomStatus(room.name, "current", at, head)
    if not at:
        return RoomStatus(room.name, "new", at, head)
    known = any(
        re.search(rf"^revision\b.*[\"']{re.escape(at)}[\"']", p.read_text("utf-8"), re.MULTILINE)
        for p in room.folder.glob("*.py")
    )
    return RoomStatus(room.name, "behind" if known else "ahead", at, head)


def behind(engine: Engine, rooms: Sequence[Room]) -> list[str]:
    """Return the names of rooms whose database is not at the newest revision."""
    return [s.room for s in status(engine, rooms) if s.state in ("behind", "new", "ahead")]


# --- with Alembic ----------------------------------------------------------------------------


def upgrade(
    engine: Engine, rooms: Sequence[Room], progress: Callable[[str], object] = lambda _line: None
) -> list[str]:
    """Bring every room to its newest revision, in the order given. Returns the rooms that moved.

    Raises:
        MigrationError: a room is ahead of the code, or a migration breaks references.
    """
    moved = []
    with _only_one(engine):
        for found, room in zip(status(engine, rooms), rooms, strict=False):
            if found.state == "current":
                continue
            if found.state == "ahead":
                raise MigrationError(
                    f"{room.name}: the database is at revision {found.at}, which this version does not know. "
                    "Install the newer version again."
                )
            progress(f"{room.name}: {found.at or 'empty'} -> {found.head}")
            _command(engine, room, "upgrade", "head")
            moved.append(room.name)
    return moved


def downgrade(engine: Engine, room: Room, revision: str = "base") -> None:
    """Take one room back to ``revision`` (tests, purge)."""
    with _only_one(engine):
        _command(engine, room, "downgrade", revision)


def check(engine: Engine, room: Room, metadata: MetaData) -> list[str]:
    """Return the differences between the room's models and its tables, as readable lines."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with engine.connect() as conn:
        context = MigrationContext.configure(conn, opts={**own_tables(room), "target_metadata": metadata})
        return [_readable(diff) for diff in compare_metadata(context, metadata)]


def row_counts(engine: Engine, room: Room) -> dict[str, int]:
    """Count the rows of every table a purge would drop."""
    with engine.connect() as conn:
        names = [n for n in inspect(conn).get_table_names() if n.startswith(room.prefix)]
        return {n: conn.scalar(text(f'SELECT count(*) FROM "{n}"')) or 0 for n in sorted(names)}  # noqa: S608


def refuse_purge(engine: Engine, room: Room, installed: Sequence[Room]) -> None:
    """Tell what forbids purging a room, before anybody is asked about it.

    Raises:
        MigrationError: it is the core, or another room in the database depends on it.
    """
    present = {s.room for s in status(engine, installed) if s.at}
    needing = sorted(r.name for r in installed if room.name in r.depends and r.name in present)
    if room.name == "core":
        raise MigrationError("the core cannot be purged")
    if needing:
        raise MigrationError(f"{room.name} is needed by {', '.join(needing)}; purge that first")


def purge(engine: Engine, room: Room, installed: Sequence[Room]) -> None:
    """Drop the room's tables and its version table; raises as ``refuse_purge`` does."""
    refuse_purge(engine, room, installed)
    downgrade(engine, room)
    with engine.begin() as conn:
        conn.execute(text(f'DROP TABLE IF EXISTS "{room.version_table}"'))


def revision(engine: Engine, room: Room, metadata: MetaData, message: str, rev_id: str | None = None) -> Path:
    """Write the next revision of a room by comparing models and database; returns the new file."""
    from alembic import command

    room.folder.mkdir(parents=True, exist_ok=True)
    number = len(list(room.folder.glob("[0-9]*.py"))) + 1
    with engine.connect() as conn:
        config = _config(conn, room, metadata)
        script: Any = command.revision(
            config, message, autogenerate=True, rev_id=rev_id or f"{room.name}{number:04}"
        )
    return Path(script.path)


def rewrite_first(room: Room, metadata: MetaData, message: str = "first tables") -> Path:
    """Write revision 0001 anew from the models (development only, before the first release)."""
    with tempfile.TemporaryDirectory() as scratch:
        engine = create_engine(f"sqlite:///{scratch}/empty.db")
        prepare_engine(engine)
        written = revision(
            engine, Room(room.name, Path(scratch), room.depends), metadata, message, f"{room.name}0001"
        )
        engine.dispose()
        for old in room.folder.glob("0001_*.py"):
            old.unlink()
        target = room.folder / written.name
        room.folder.mkdir(parents=True, exist_ok=True)
        target.write_text(written.read_text("utf-8"), "utf-8")
    return target


def own_tables(room: Room) -> dict[str, Any]:
    """Alembic options that keep one room's comparison away from every other room's tables.

    Both filters are needed: without ``include_name`` reflected tables of absent plugins look removed.
    """

    def owned(name: str | None) -> bool:
        return bool(name) and str(name).startswith(room.prefix) and HAND_MADE not in str(name)

    def include_name(name: str | None, kind: str, _parents: Any) -> bool:
        return owned(name) if kind == "table" else HAND_MADE not in str(name)

    def include_object(thing: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
        if kind == "table":
            return owned(name)
        return HAND_MADE not in str(name) and owned(getattr(getattr(thing, "table", None), "name", name))

    return {
        "version_table": room.version_table,
        "include_name": include_name,
        "include_object": include_object,
        "compare_type": True,
        "compare_server_default": False,
        "render_item": _render,
    }


def _render(kind: str, thing: Any, _context: Any) -> str | bool:
    """Write our own column types as plain ones, so that old migrations never import today's code."""
    if kind != "type":
        return False
    if isinstance(thing, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if isinstance(thing, JSON):
        return "sa.JSON().with_variant(postgresql.JSONB(), 'postgresql')"
    return False


def _readable(diff: Any) -> str:
    if isinstance(diff, list):
        return "; ".join(_readable(one) for one in diff)
    parts = [str(getattr(part, "fullname", None) or getattr(part, "name", None) or part) for part in diff]
    return " ".join(part for part in parts if part != "None")


def _config(connection: Any, room: Room, metadata: MetaData | None) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(ENVIRONMENT))
    config.set_main_option("version_locations", str(room.folder))
    config.set_main_option("path_separator", "newline")
    number = len(list(room.folder.glob("[0-9]*.py"))) + 1
    config.set_main_option("file_template", f"{number:04}_%%(slug)s")
    config.attributes.update(connection=connection, room=room, metadata=metadata)
    return config


def _command(engine: Engine, room: Room, name: str, target: str) -> None:
    from alembic import command

    with engine.connect() as conn:
        getattr(command, name)(_config(conn, room, None), target)


@contextmanager
def _only_one(engine: Engine) -> Iterator[None]:
    """Let one process migrate at a time; others wait, then find the work done."""
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.execute(text("SET lock_timeout = '60s'"))
            conn.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK_KEY})
            try:
                yield
            finally:
                conn.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK_KEY})
        return
    with Path(f"{engine.url.database}.upgrading").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
