"""Merging two rows of a table: every foreign key to the losing row is turned to the winning one."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sqlalchemy import Column, Table, UniqueConstraint, exists, update

from .database import Base, current_scope, session
from .errors import ScopeError


def repoint(target: Table, old_id: int, new_id: int, unit_id: int, skip: Collection[str] = ()) -> dict[str, int]:
    """Re-point all foreign keys from ``target.id = old_id`` to ``new_id`` in rows of one unit.

    Found from the metadata, so tables of plugins are included. Where a unique key leaves no room, because the
    winner has such a row already, the row stays with the loser. ``skip`` names tables the caller moves itself.
    Objects in the session are expired. Returns the number of rows moved, by table.

    Raises:
        ScopeError: the unit may not be written.
    """
    if unit_id not in current_scope().write:
        raise ScopeError("merge outside the scope")
    work = session()
    work.flush()
    moved: dict[str, int] = {}
    for table, column in _references(target, skip):
        statement = update(table).where(column == old_id, table.c.unit_id == unit_id).values({column: new_id})
        for others in _unique_with(table, column):
            taken = table.alias("taken")
            same = [taken.c[column.name] == new_id, *(taken.c[o.name] == o for o in others)]
            statement = statement.where(~exists().where(*same))
        result = work.connection().execute(statement)
        if result.rowcount:
            moved[table.name] = moved.get(table.name, 0) + result.rowcount
    work.expire_all()
    return moved


def _references(target: Table, skip: Collection[str]) -> Iterator[tuple[Table, Column[int]]]:
    for table in Base.metadata.sorted_tables:
        if table.name in skip or "unit_id" not in table.c:
            continue
        for column in table.c:
            if any(key.column is target.c.id for key in column.foreign_keys):
                yield table, column


def _unique_with(table: Table, column: Column[int]) -> Iterator[list[Column[object]]]:
    """For each unique key with the column in it, the other columns of that key."""
    keys = [list(table.primary_key.columns)]
    keys += [list(c.columns) for c in table.constraints if isinstance(c, UniqueConstraint)]
    keys += [list(i.columns) for i in table.indexes if i.unique]
    for key in keys:
        if column in key:
            yield [other for other in key if other is not column]
