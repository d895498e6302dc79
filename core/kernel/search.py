"""One full-text index for everything staff look up: Chinese 2-grams, digits and Latin letters by 3-grams.

Written in the transaction of the thing itself. Flat at a million rows because both databases stop early:
SQLite walks the posting list newest first; on PostgreSQL a common term is found among the newest rows, and what is
not common enough to be found there is rare enough for the GIN index.

Raw SQL is composed from constants only; every value is bound.
"""
# ruff: noqa: S608

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any, cast

from sqlalchemy import (
    BindParameter,
    Index,
    String,
    Table,
    Text,
    TextClause,
    UniqueConstraint,
    bindparam,
    event,
    text,
)
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from . import search_ddl
from .bulk import bulk_insert
from .database import Base, BigId, UnitScoped, session
from .scope import Units, _Everything

MAX_TEXT = 2000
MAX_QUERY = 60
# How many of the newest rows PostgreSQL reads before it turns to the GIN index.
_WINDOW = 3000
# Up to this many rows an INSERT is quicker than a COPY.
_FEW = 20
# Above this many units the unit is checked on the found rows instead of inside the index.
_MANY_UNITS = 50
# Words of a query: (is ASCII, text).
_Runs = list[tuple[bool, str]]
_UNSCOPED = {"unscoped": "search index: units are passed explicitly"}


class SearchEntry(UnitScoped, Base):
    """The searchable text of one thing (``kind``, ``entity_id``), folded. ``id`` orders by first indexing."""

    __tablename__ = "core_search"
    __table_args__ = (
        UniqueConstraint("kind", "entity_id"),
        Index("ix_core_search_unit_kind", "unit_id", "kind", "id"),
        Index("ix_core_search_kind", "kind", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    entity_id: Mapped[int] = mapped_column(BigId)
    text: Mapped[str] = mapped_column(Text)
    # PostgreSQL only; SQLite keeps the grams in its FTS5 table.
    grams: Mapped[str | None] = mapped_column(TSVECTOR().with_variant(Text(), "sqlite"))


@event.listens_for(cast(Table, SearchEntry.__table__), "after_create")
def _complete_new_table(_target: Table, connection: Any, **_: Any) -> None:
    search_ddl.create(connection)


@dataclass(frozen=True)
class Found:
    """One match. Pass ``position`` as ``before`` to get the next page."""

    entity_id: int
    unit_id: int
    position: int


def fold(raw: str) -> str:
    """Fold text for comparison: one width, lower case, anything but letters and digits a single space."""
    folded = unicodedata.normalize("NFKC", raw[:MAX_TEXT]).lower()
    return " ".join("".join(c if c.isalnum() else " " for c in folded).split())


def _runs(folded: str) -> Iterator[tuple[bool, str]]:
    for word in folded.split():
        for plain, run in groupby(word, str.isascii):
            yield plain, "".join(run)


def grams(folded: str) -> str:
    """Return the grams of folded text, space separated: 2 characters, or 3 for ASCII runs, then the run's tail.

    The shorter tail grams let a prefix look-up find a single character anywhere.
    """
    out: list[str] = []
    for plain, run in _runs(folded):
        size = 3 if plain else 2
        out += [run[i : i + size] for i in range(len(run))]
    return " ".join(out)


# --- writing ---------------------------------------------------------------------------------


def put(kind: str, entity_id: int, unit_id: int, raw: str, *, fresh: bool = False) -> None:
    """Index one thing, or replace what was indexed for it. ``kind`` is lower-case ASCII letters only."""
    put_many(kind, [(entity_id, unit_id, raw)], fresh=fresh)


def put_many(kind: str, rows: Iterable[tuple[int, int, str]], *, fresh: bool = False) -> None:
    """Index many things: (entity id, unit id, text). ``fresh``: none of them was ever indexed."""
    folded = [(entity_id, unit_id, fold(raw)) for entity_id, unit_id, raw in rows]
    if not folded:
        return
    old = {} if fresh else _existing(kind, [row[0] for row in folded])
    changed = [row for row in folded if row[0] in old and old[row[0]][1:] != row[1:]]
    added = [row for row in folded if row[0] not in old]
    if changed:
        _replace(kind, changed, old)
    if added:
        _add(kind, added)


def remove(kind: str, entity_ids: Sequence[int]) -> None:
    """Take things out of the index; unknown ones are ignored."""
    old = _existing(kind, entity_ids)
    if not old:
        return
    if _is_sqlite():
        _fts_delete(kind, list(old.values()))
    _run("DELETE FROM core_search WHERE id = :id", [{"id": row[0]} for row in old.values()])


def _existing(kind: str, entity_ids: Sequence[int]) -> dict[int, tuple[int, int, str]]:
    """entity id -> (position, unit id, folded text)."""
    statement = text(
        "SELECT entity_id, id, unit_id, text FROM core_search WHERE kind = :kind AND entity_id IN :ids"
    ).bindparams(bindparam("ids", expanding=True))
    found: dict[int, tuple[int, int, str]] = {}
    for start in range(0, len(entity_ids), 500):
        chunk = {"kind": kind, "ids": list(entity_ids[start : start + 500])}
        for row in session().execute(statement, chunk, execution_options=_UNSCOPED):
            found[row[0]] = (row[1], row[2], row[3])
    return found


def _add(kind: str, rows: Sequence[tuple[int, int, str]]) -> None:
    if not _is_sqlite():
        values = [{"unit_id": u, "kind": kind, "entity_id": e, "text": t, "grams": grams(t)} for e, u, t in rows]
        if len(values) > _FEW:
            bulk_insert(SearchEntry, values)
            return
        _run(
            "INSERT INTO core_search (unit_id, kind, entity_id, text, grams) "
            "VALUES (:unit_id, :kind, :entity_id, :text, CAST(:grams AS tsvector))",
            values,
        )
        return
    # One writer at a time on SQLite, so the positions follow the first of them.
    first = _insert_sqlite(kind, rows[0])
    more = [
        {"id": first + n, "unit_id": u, "kind": kind, "entity_id": e, "text": t}
        for n, (e, u, t) in enumerate(rows[1:], start=1)
    ]
    if more:
        _run(
            "INSERT INTO core_search (id, unit_id, kind, entity_id, text) "
            "VALUES (:id, :unit_id, :kind, :entity_id, :text)",
            more,
        )
    _fts_insert(kind, [(first + n, u, t) for n, (_e, u, t) in enumerate(rows)])


def _insert_sqlite(kind: str, row: tuple[int, int, str]) -> int:
    """Insert one row after the last; return its position."""
    inserted = _text(
        "INSERT INTO core_search (unit_id, kind, entity_id, text) VALUES (:unit_id, :kind, :entity_id, :text) "
        "RETURNING id"
    )
    values = {"unit_id": row[1], "kind": kind, "entity_id": row[0], "text": row[2]}
    return int(session().execute(inserted, values, execution_options=_UNSCOPED).scalar_one())


def _replace(kind: str, rows: Sequence[tuple[int, int, str]], old: dict[int, tuple[int, int, str]]) -> None:
    values = [{"id": old[e][0], "unit_id": u, "text": t, "grams": grams(t)} for e, u, t in rows]
    if not _is_sqlite():
        _run(
            "UPDATE core_search SET unit_id = :unit_id, text = :text, grams = CAST(:grams AS tsvector) "
            "WHERE id = :id",
            values,
        )
        return
    _fts_delete(kind, [old[e] for e, _, _ in rows])
    _run("UPDATE core_search SET unit_id = :unit_id, text = :text WHERE id = :id", values)
    _fts_insert(kind, [(old[e][0], u, t) for e, u, t in rows])


def _tokens(kind: str, unit_id: int, folded: str) -> str:
    """Grams plus two words that say kind and unit. They are longer than any gram, so they never mix."""
    return f"{grams(folded)} {_kind_word(kind)} {_unit_word(kind, unit_id)}"


def _kind_word(kind: str) -> str:
    return f"zzkind{kind}"


def _unit_word(kind: str, unit_id: int) -> str:
    return f"zzunit{unit_id}{kind}"


def _fts_insert(kind: str, rows: Sequence[tuple[int, int, str]]) -> None:
    _run(
        "INSERT INTO core_search_fts (rowid, grams) VALUES (:id, :grams)",
        [{"id": i, "grams": _tokens(kind, u, t)} for i, u, t in rows],
    )


def _fts_delete(kind: str, rows: Sequence[tuple[int, int, str]]) -> None:
    _run(
        "INSERT INTO core_search_fts (core_search_fts, rowid, grams) VALUES ('delete', :id, :grams)",
        [{"id": i, "grams": _tokens(kind, u, t)} for i, u, t in rows],
    )


def _run(sql: str, rows: Sequence[dict[str, Any]]) -> None:
    session().execute(_text(sql), list(rows), execution_options=_UNSCOPED)


@lru_cache(maxsize=64)
def _text(sql: str) -> TextClause:
    """Read a statement's parameters once."""
    return text(sql)


def _is_sqlite() -> bool:
    return session().get_bind().dialect.name == "sqlite"


# --- reading ---------------------------------------------------------------------------------


def search(units: Units, kind: str, query: str, limit: int = 20, before: int | None = None) -> list[Found]:
    """Find things of one kind whose text holds every word of ``query``, newest first.

    ``units`` is the caller's own reach (``current_scope().read``), never more. ``before`` is the position of the
    last row of the page before. A query without any letter or digit finds nothing.
    """
    runs = list(dict.fromkeys(_runs(fold(query[:MAX_QUERY]))))
    if not runs or (not isinstance(units, _Everything) and not units):
        return []
    find = _search_sqlite if _is_sqlite() else _search_postgresql
    return find(units, kind, runs, limit, before or 2**62)


def _search_sqlite(units: Units, kind: str, runs: _Runs, limit: int, before: int) -> list[Found]:
    narrow = not isinstance(units, _Everything) and len(units) <= _MANY_UNITS
    words = [_unit_word(kind, u) for u in sorted(cast("frozenset[int]", units))] if narrow else [_kind_word(kind)]
    match = " AND ".join([f"({' OR '.join(words)})", *(_phrase(plain, run) for plain, run in runs)])
    by_unit = "" if narrow else _unit_filter(units, "s.")
    return _found(
        "SELECT s.entity_id, s.unit_id, s.id "
        "FROM core_search_fts AS f CROSS JOIN core_search AS s ON s.id = f.rowid "
        f"WHERE core_search_fts MATCH :match AND f.rowid < :before{by_unit} ORDER BY f.rowid DESC LIMIT :limit",
        {"match": match, "before": before, "limit": limit, **({} if narrow else _unit_value(units))},
    )


def _phrase(plain: bool, run: str) -> str:
    size = 3 if plain else 2
    if len(run) < size:
        return f'"{run}"*'
    return '"' + " ".join(run[i : i + size] for i in range(len(run) - size + 1)) + '"'


def _search_postgresql(units: Units, kind: str, runs: _Runs, limit: int, before: int) -> list[Found]:
    values: dict[str, Any] = {"kind": kind, "before": before, "limit": limit, **_unit_value(units)}
    values |= {f"like{n}": f"%{run}%" for n, (_, run) in enumerate(runs)}
    like = " AND ".join(f"text LIKE :like{n}" for n in range(len(runs)))
    counted, *newest = _found(
        f"WITH newest AS MATERIALIZED ({_newest(units)} LIMIT {_WINDOW}) "
        "SELECT 0, 0, count(*) FROM newest UNION ALL (SELECT entity_id, unit_id, id FROM newest "
        f"WHERE {like} ORDER BY id DESC LIMIT :limit)",
        values,
    )
    if len(newest) >= limit or counted.position < _WINDOW:
        return newest
    # MATERIALIZED: the planner must not walk a million rows hoping to meet a rare term soon; "+ 0" and "|| ''" keep
    # it from reading a second, useless index beside the grams.
    return _found(
        "WITH hits AS MATERIALIZED (SELECT entity_id, unit_id, id FROM core_search "
        "WHERE grams @@ CAST(:query AS tsquery) AND kind || '' = :kind AND id + 0 < :before"
        f"{_unit_filter(units, '0 + ')} AND {like}) "
        "SELECT entity_id, unit_id, id FROM hits ORDER BY id DESC LIMIT :limit",
        {**values, "query": " & ".join(_lexemes(runs))},
    )


def _newest(units: Units) -> str:
    start = "SELECT entity_id, unit_id, id, text FROM core_search WHERE"
    if not isinstance(units, _Everything) and len(units) == 1:
        # Row comparison instead of equalities: it leaves the planner no index but (unit, kind, id), which it would
        # otherwise pass over for a unit with few rows.
        return (
            f"{start} (unit_id, kind, id) < (:unit, :kind, :before) AND (unit_id, kind, id) > (:unit, :kind, 0) "
            "ORDER BY unit_id DESC, kind DESC, id DESC"
        )
    return f"{start} kind = :kind AND id < :before{_unit_filter(units, '')} ORDER BY id DESC"


def _lexemes(runs: _Runs) -> list[str]:
    out: dict[str, None] = {}
    for plain, run in runs:
        size = 3 if plain else 2
        if len(run) < size:
            out[f"'{run}':*"] = None
        out |= {f"'{run[i : i + size]}'": None for i in range(len(run) - size + 1)}
    return list(out)


def _unit_filter(units: Units, prefix: str) -> str:
    if isinstance(units, _Everything):
        return ""
    # One unit as an equality: only so can an index on (unit, kind, id) give the newest rows in order.
    return f" AND {prefix}unit_id = :unit" if len(units) == 1 else f" AND {prefix}unit_id IN :units"


def _unit_value(units: Units) -> dict[str, Any]:
    if isinstance(units, _Everything):
        return {}
    return {"unit": next(iter(units))} if len(units) == 1 else {"units": sorted(units)}


def _found(sql: str, values: dict[str, Any]) -> list[Found]:
    expanding: list[BindParameter[Any]] = [bindparam("units", expanding=True)] if "units" in values else []
    statement = text(sql).bindparams(*expanding) if expanding else _text(sql)
    rows = session().execute(statement, values, execution_options=_UNSCOPED)
    return [Found(entity_id=row[0], unit_id=row[1], position=row[2]) for row in rows]
