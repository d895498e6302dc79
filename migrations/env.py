"""Runs the migrations of one room on the connection it is handed (core/kernel/migrations.py)."""

from __future__ import annotations

from typing import Any

from alembic import context

from core.kernel.migrations import MigrationError, Room, own_tables


def run(connection: Any, room: Room, metadata: Any) -> None:
    """Migrate inside one transaction, foreign keys off on SQLite so that rebuilding a table deletes no rows."""
    sqlite = connection.dialect.name == "sqlite"
    # Through the raw connection, before anything else: a statement through SQLAlchemy would begin a transaction
    # that Alembic does not own, and the upgrade would report success and store nothing.
    raw = connection.connection.dbapi_connection
    if sqlite:
        raw.execute("PRAGMA foreign_keys=OFF")
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=sqlite,
        transactional_ddl=True,
        **own_tables(room),
    )
    try:
        with context.begin_transaction():
            if not sqlite:
                connection.exec_driver_sql("SET LOCAL lock_timeout = '20s'")
            context.run_migrations()
            if sqlite and (broken := connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()):
                raise MigrationError(f"{room.name}: rows without their parent: {broken[:5]}")
    finally:
        if sqlite:
            raw.execute("PRAGMA foreign_keys=ON")


attributes = context.config.attributes
run(attributes["connection"], attributes["room"], attributes["metadata"])
