"""Gapless-enough numbers per unit: one atomic statement, the same on both databases."""

from __future__ import annotations

from sqlalchemy import ForeignKey, String, Table, case, func, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, mapped_column

from .database import Base, UnitScoped, need_write, session


class Counter(UnitScoped, Base):
    """The last number drawn for a unit, name and period. Locked last, after record rows."""

    __tablename__ = "core_counter"

    unit_id: Mapped[int] = mapped_column(ForeignKey("core_unit.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    period: Mapped[str] = mapped_column(String(10), primary_key=True)
    value: Mapped[int] = mapped_column(default=0)


def draw(unit_id: int, name: str, period: str = "", count: int = 1) -> int:
    """Draw the next ``count`` numbers of a series; return the first of them (series start at 1).

    The counter row stays locked until the transaction ends, so draw last. A rollback gives the numbers back.

    Raises:
        ScopeError: the unit may not be written.
    """
    return _bump(unit_id, name, period, count, Counter.value + count) - count + 1


def raise_to(unit_id: int, name: str, value: int, period: str = "") -> None:
    """Make sure that the series never again draws ``value`` or less (numbers taken over from a file).

    Raises:
        ScopeError: the unit may not be written.
    """
    _bump(unit_id, name, period, value, case((Counter.value < value, value), else_=Counter.value))


def reserve_ids(table: Table, count: int) -> list[int]:
    """Take ``count`` ids of a table beforehand, for bulk inserts whose children need them in the same transaction.

    PostgreSQL draws them from the sequence; SQLite has one writer at a time, so they simply follow the last.
    """
    work = session()
    unscoped = {"unscoped": "ids only"}
    if work.get_bind().dialect.name == "postgresql":
        drawn = text("SELECT nextval(pg_get_serial_sequence(:table, 'id')) FROM generate_series(1, :count)")
        values = {"table": table.name, "count": count}
        return [int(key) for key in work.execute(drawn, values, execution_options=unscoped).scalars()]
    last = work.execute(select(func.coalesce(func.max(table.c.id), 0)), execution_options=unscoped).scalar_one()
    return list(range(last + 1, last + count + 1))


def _bump(unit_id: int, name: str, period: str, first: int, then: object) -> int:
    need_write(unit_id, f"counter {name}")
    work = session()
    dialect = postgresql if work.get_bind().dialect.name == "postgresql" else sqlite
    statement = (
        dialect.insert(Counter.__table__)
        .values(unit_id=unit_id, name=name, period=period, value=first)
        .on_conflict_do_update(index_elements=["unit_id", "name", "period"], set_={"value": then})
        .returning(Counter.__table__.c.value)
    )
    return int(work.execute(statement, execution_options={"unscoped": "unit checked above"}).scalar_one())
