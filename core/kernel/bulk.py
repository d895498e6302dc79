"""Many rows at once, past the unit of work but not past the scope. For imports; audit them with one entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Table, insert

from .database import Base, current_scope, session
from .errors import ScopeError

# Under this name the session holds whoever notes what an import writes.
RECORDER = "import_recorder"


def bulk_insert(model: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows of a unit-scoped table; all have the same keys, column defaults of Python are not filled in.

    PostgreSQL takes them by COPY (three times as fast as INSERT), SQLite by one prepared INSERT.

    Raises:
        ScopeError: a row belongs to a unit that may not be written.
    """
    if not rows:
        return
    writable = current_scope().write
    if any(unit_id not in writable for unit_id in {row["unit_id"] for row in rows}):
        raise ScopeError(f"insert into {model.__name__} outside the scope")
    work = session()
    work.flush()
    if work.get_bind().dialect.name == "postgresql":
        _copy(cast(Table, model.__table__), rows)
    else:
        work.execute(insert(model), list(rows))
    if RECORDER in work.info:
        work.info[RECORDER].inserted(model, rows)


def _copy(table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    names = list(rows[0])
    columns = ", ".join(f'"{table.c[name].name}"' for name in names)
    driver: Any = session().connection().connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f'COPY "{table.name}" ({columns}) FROM STDIN') as copy:
        for row in rows:
            copy.write_row([row[name] for name in names])
