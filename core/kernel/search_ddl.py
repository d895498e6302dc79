"""The part of the search index that Alembic cannot declare: called by the core migration.

SQLite: a contentless FTS5 table beside ``core_search``. PostgreSQL: a GIN index on its grams. Both carry ``_fts``
in their names, by which drift checks leave them out.
"""

from __future__ import annotations

from sqlalchemy import Connection

FTS_TABLE = "core_search_fts"
GRAM_INDEX = "ix_core_search_fts_grams"


def create(connection: Connection) -> None:
    """Create the full-text part; ``core_search`` must exist. May run again."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(
            f"CREATE VIRTUAL TABLE IF NOT EXISTS {FTS_TABLE} "
            "USING fts5(grams, content='', tokenize='unicode61', prefix='1 2', columnsize=0)"
        )
        return
    # A long pending list is searched row by row; 512 kB keeps look-ups fast and writes batched.
    connection.exec_driver_sql(
        f"CREATE INDEX IF NOT EXISTS {GRAM_INDEX} ON core_search USING gin (grams) "
        "WITH (gin_pending_list_limit = 512)"
    )


def drop(connection: Connection) -> None:
    """Undo ``create``; run before ``core_search`` is dropped."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {FTS_TABLE}")
    else:
        connection.exec_driver_sql(f"DROP INDEX IF EXISTS {GRAM_INDEX}")
