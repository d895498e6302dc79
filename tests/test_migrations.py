"""Migrations: one history per room, the same on both databases, and no half-done upgrade."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, inspect, text

from core.kernel import migrations
from core.kernel.database import NAMING, Base
from core.kernel.migrations import MigrationError, Room

ROOT = Path(__file__).resolve().parents[1]
HEAD = """
import sqlalchemy as sa
from alembic import op
revision = "{revision}"
down_revision = {down}
"""
FIRST = """
def upgrade():
    op.create_table(
        "{room}_parent", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(20)),
        sa.UniqueConstraint("name", name="uq_{room}_parent_name"),
    )
    op.create_table(
        "{room}_child", sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("parent_id", sa.Integer, sa.ForeignKey("{room}_parent.id", ondelete="CASCADE")),
    )

def downgrade():
    op.drop_table("{room}_child")
    op.drop_table("{room}_parent")
"""
REBUILD = """
def upgrade():
    with op.batch_alter_table("{room}_parent") as batch:
        batch.drop_constraint("uq_{room}_parent_name", type_="unique")
        batch.add_column(sa.Column("note", sa.String(20)))

def downgrade():
    with op.batch_alter_table("{room}_parent") as batch:
        batch.drop_column("note")
        batch.create_unique_constraint("uq_{room}_parent_name", ["name"])
"""
FAILING = """
def upgrade():
    op.create_table("{room}_half", sa.Column("id", sa.Integer, primary_key=True))
    raise RuntimeError("power cut")

def downgrade():
    op.drop_table("{room}_half")
"""


@pytest.fixture
def engine(empty_engine):
    return empty_engine


def make_room(folder: Path, name: str, *steps: str, depends: tuple[str, ...] = ()) -> Room:
    room = Room(name, folder / name, depends)
    room.folder.mkdir(exist_ok=True)
    for number, step in enumerate(steps, start=1):
        down = f'"{name}{number - 1}"' if number > 1 else None
        head = HEAD.format(revision=f"{name}{number}", down=down)
        (room.folder / f"{number:04}_step.py").write_text(head + step.format(room=name))
    return room


def states(engine, *rooms):
    return {s.room: s.state for s in migrations.status(engine, rooms)}


def fill(engine, room):
    with engine.begin() as conn:
        conn.execute(text(f"INSERT INTO {room}_parent (id, name) VALUES (1, 'x')"))
        conn.execute(text(f"INSERT INTO {room}_child (id, parent_id) VALUES (1, 1)"))


def count(engine, table):
    with engine.connect() as conn:
        return conn.scalar(text(f"SELECT count(*) FROM {table}"))


def test_a_fresh_install_reaches_the_models_exactly(engine, whole_app):
    rooms = whole_app.extensions["rooms"]
    assert migrations.behind(engine, rooms) == [room.name for room in rooms]
    migrations.upgrade(engine, rooms)
    assert migrations.behind(engine, rooms) == []
    for room in rooms:
        assert migrations.check(engine, room, Base.metadata) == []


def test_every_room_goes_down_and_up_again(engine, whole_app):
    rooms = whole_app.extensions["rooms"]
    migrations.upgrade(engine, rooms)
    for room in reversed(rooms):
        migrations.downgrade(engine, room)
    assert [n for n in inspect(engine).get_table_names() if not n.startswith("alembic_version_")] == []
    migrations.upgrade(engine, rooms)
    assert migrations.behind(engine, rooms) == []


def test_rooms_come_and_go_without_touching_each_other(engine, tmp_path):
    one = make_room(tmp_path, "one", FIRST)
    two = make_room(tmp_path, "two", FIRST, depends=("one",))
    migrations.upgrade(engine, [one])
    migrations.upgrade(engine, [one, two])
    assert states(engine, one, two) == {"one": "current", "two": "current"}
    assert states(engine, one) == {"one": "current", "two": "orphan"}
    make_room(tmp_path, "one", FIRST, REBUILD)
    assert migrations.upgrade(engine, [one]) == ["one"]
    with pytest.raises(MigrationError, match="needed by two"):
        migrations.purge(engine, one, [one, two])
    fill(engine, "two")
    assert migrations.row_counts(engine, two) == {"two_child": 1, "two_parent": 1}
    migrations.purge(engine, two, [one, two])
    assert states(engine, one) == {"one": "current"}
    assert not [n for n in inspect(engine).get_table_names() if n.startswith("two_")]


def test_rebuilding_a_table_keeps_the_rows_that_point_to_it(engine, tmp_path):
    room = make_room(tmp_path, "one", FIRST)
    migrations.upgrade(engine, [room])
    fill(engine, "one")
    migrations.upgrade(engine, [make_room(tmp_path, "one", FIRST, REBUILD)])
    assert count(engine, "one_parent") == count(engine, "one_child") == 1
    with engine.begin() as conn:  # foreign keys are enforced again afterwards
        conn.execute(text("DELETE FROM one_parent"))
    assert count(engine, "one_child") == 0


def test_a_failing_migration_leaves_nothing_behind(engine, tmp_path):
    room = make_room(tmp_path, "one", FIRST, FAILING)
    with pytest.raises(RuntimeError, match="power cut"):
        migrations.upgrade(engine, [room])
    assert "one_half" not in inspect(engine).get_table_names()
    repaired = make_room(tmp_path, "one", FIRST, FAILING.replace('    raise RuntimeError("power cut")\n', ""))
    migrations.upgrade(engine, [repaired])
    assert states(engine, repaired) == {"one": "current"}


def test_a_database_newer_than_the_code_is_refused(engine, tmp_path):
    migrations.upgrade(engine, [make_room(tmp_path, "one", FIRST, REBUILD)])
    (tmp_path / "one" / "0002_step.py").unlink()
    older = Room("one", tmp_path / "one")
    assert states(engine, older) == {"one": "ahead"}
    with pytest.raises(MigrationError, match="Install the newer version"):
        migrations.upgrade(engine, [older])


def test_drift_is_found_in_the_right_room(engine, tmp_path):
    one, two = make_room(tmp_path, "one", FIRST), make_room(tmp_path, "two", FIRST)
    migrations.upgrade(engine, [one, two])
    metadata = MetaData(naming_convention=NAMING)
    for room in ("one", "two"):
        name = Column("name", String(20), unique=True)
        extra = [Column("extra", Integer)] if room == "two" else []
        Table(f"{room}_parent", metadata, Column("id", Integer, primary_key=True), name, *extra)
        parent = ForeignKey(f"{room}_parent.id", ondelete="CASCADE")
        Table(f"{room}_child", metadata, Column("id", Integer, primary_key=True), Column("parent_id", parent))
    assert migrations.check(engine, one, metadata) == []
    (line,) = migrations.check(engine, two, metadata)
    assert "add_column" in line and "extra" in line


def test_upgrades_started_at_once_do_the_work_once(engine):
    """Two server processes that start together: both succeed, and each room is migrated once."""
    url = engine.url.render_as_string(hide_password=False)
    env = {**os.environ, "DATABASE_URL": url, "SHOUHOU_LOCALE": "en"}
    command = [sys.executable, "-m", "flask", "db", "upgrade"]
    running = [
        subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = [one.communicate(timeout=60) for one in running]
    assert [one.returncode for one in running] == [0, 0], answers
    assert sum("core: empty" in out for out, _ in answers) == 1


def test_two_heads_are_an_error(tmp_path):
    room = make_room(tmp_path, "one", FIRST)
    (room.folder / "0002_other.py").write_text(HEAD.format(revision="other", down=None))
    with pytest.raises(MigrationError, match="several newest"):
        migrations.head_of(room)
