"""What an import wrote, row by row, and taking it back.

While an import writes, a ``Recorder`` in the session notes every row that is made or changed there: by the unit of
work, by ``bulk_insert``, or by ``created()`` where an importer inserts on its own. ``undo`` removes what was made
and gives changed rows their former values, but only where nobody changed or used them since.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any, cast
from uuid import UUID

from flask_babel import lazy_gettext as _l
from sqlalchemy import Column, ForeignKey, Index, String, Table, delete, event, insert, inspect, select, update
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.orm.attributes import NEVER_SET, NO_VALUE

from .bulk import RECORDER, bulk_insert
from .database import Base, BigId, Json, ScopedSession, UnitScoped, session, update_rows
from .errors import ScopeError

CHANGED = _l("Changed since the import")
GONE = _l("No longer there")
USED = _l("Something else refers to it")
CHUNK = 500
# Follows from other rows and is brought in step by the importer itself.
_DERIVED = frozenset({"core_search", "core_import_change"})
# After the version of a row: its parts came with it and are not noted one by one.
_WHOLE = "+"
# Among former values: the version of the row.
_VERSION = "*"
Along = Mapping[type[Base], Sequence[type[Base]]]


class ImportChange(UnitScoped, Base):
    """What an import wrote, row by row, for undoing it: the row, and what it was before (NULL: nothing)."""

    __tablename__ = "core_import_change"
    __table_args__ = (Index("ix_core_import_change_run", "import_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    import_id: Mapped[int] = mapped_column(ForeignKey("core_import.id"))
    table: Mapped[str] = mapped_column(String(60))
    row_id: Mapped[int] = mapped_column(BigId)
    before: Mapped[dict[str, Any] | None] = mapped_column(Json)
    # The row's version (or hash) after the import: a row that somebody changed since is left alone.
    after: Mapped[str] = mapped_column(String(64), default="")


# --- noting ----------------------------------------------------------------------------------


@dataclass
class Recorder:
    """Notes what one import writes; ``flush`` puts it into the import's transaction."""

    import_id: int
    _made: list[dict[str, Any]] = field(default_factory=list)
    _changed: list[dict[str, Any]] = field(default_factory=list)
    _pending: list[tuple[Any, dict[str, Any]]] = field(default_factory=list)
    _whole: set[str] = field(default_factory=set)

    def made(self, model: type[Base], unit_id: int, row_id: int, after: str) -> None:
        """Note a new row."""
        self._made.append(self._note(model.__tablename__, unit_id, row_id, after))

    def inserted(self, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
        """Note rows written by ``bulk_insert``; parts of rows already noted need no ids.

        Raises:
            ScopeError: rows without ids that belong to nothing noted: they could not be taken back.
        """
        name = model.__tablename__
        if name in _DERIVED:
            return
        if "id" in rows[0]:
            self._whole |= {part.__tablename__ for part, _column in _parts(model)}
            after = f"1{_WHOLE}"
            self._made += [self._note(name, row["unit_id"], row["id"], after) for row in rows]
        elif name not in self._whole:
            raise ScopeError(f"rows of {name} without ids in an import could not be taken back")

    def flush(self) -> None:
        """Write what was noted since the last time."""
        made, changed = self._made, self._changed
        self._made, self._changed = [], []
        bulk_insert(ImportChange, made)
        if changed:
            session().execute(insert(ImportChange), changed)

    def _note(self, name: str, unit_id: int, row_id: int, after: str) -> dict[str, Any]:
        return {"import_id": self.import_id, "unit_id": unit_id, "table": name, "row_id": row_id, "after": after}

    def before_flush(self, work: ScopedSession) -> None:
        """Look at what will change, while the former values are known."""
        if any(_is_noted(row) for row in work.deleted):
            raise ScopeError("an import does not delete rows")
        for row in work.dirty:
            if _is_noted(row) and work.is_modified(row):
                self._pending.append((row, _former(row)))

    def after_flush(self, work: ScopedSession) -> None:
        """Note the rows as they are now, with their ids and versions."""
        for row, before in self._pending:
            note = self._note(row.__tablename__, row.unit_id, row.id, mark(row))
            self._changed.append({**note, "before": _difference(row, before)})
        self._pending = []
        for row in work.new:
            if _is_noted(row):
                self.made(type(row), row.unit_id, cast(Any, row).id, mark(row))


@contextmanager
def recorded(import_id: int) -> Iterator[Recorder]:
    """Note everything the present session writes inside the block as the work of this import."""
    work, recorder = session(), Recorder(import_id)
    work.info[RECORDER] = recorder
    try:
        yield recorder
        work.flush()
        recorder.flush()
    finally:
        del work.info[RECORDER]


def created(model: type[Base], unit_id: int, ids: Iterable[int]) -> None:
    """Note rows that an importer inserted on its own, with all that belongs to them; elsewhere nothing happens."""
    recorder: Recorder | None = session().info.get(RECORDER)
    if recorder is not None:
        for row_id in ids:
            recorder.made(model, unit_id, row_id, f"1{_WHOLE}")


@event.listens_for(ScopedSession, "before_flush")
def _before_flush(work: ScopedSession, *_: object) -> None:
    if RECORDER in work.info:
        work.info[RECORDER].before_flush(work)


@event.listens_for(ScopedSession, "after_flush")
def _after_flush(work: ScopedSession, *_: object) -> None:
    if RECORDER in work.info:
        work.info[RECORDER].after_flush(work)


def _is_noted(row: object) -> bool:
    return isinstance(row, UnitScoped) and cast(Any, row).__tablename__ not in _DERIVED


def forget(rows: Iterable[Base]) -> None:
    """Drop the former values kept of these rows: they are to be erased."""
    ids: dict[str, list[int]] = {}
    for row in rows:
        ids.setdefault(row.__tablename__, []).append(cast(Any, row).id)
    for name, some in ids.items():
        mine = (ImportChange.table == name, ImportChange.row_id.in_(some), ImportChange.before.is_not(None))
        session().execute(update(ImportChange).where(*mine).values(before={}), execution_options=_QUIET)


_QUIET = {"synchronize_session": False, "audited": "one entry of the import"}


# --- values ----------------------------------------------------------------------------------


def mark(row: Any) -> str:
    """Return the version of a row, or where its table counts none a hash of all its columns."""
    mapper = inspect(type(row))
    if mapper.version_id_col is not None:
        return str(getattr(row, mapper.get_property_by_column(mapper.version_id_col).key))
    values = {name: _packed(getattr(row, name)) for name in sorted(mapper.column_attrs.keys())}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]


def _former(row: Any) -> dict[str, Any]:
    """Return the values of the row's columns as they were before it was changed."""
    mapper, state = inspect(type(row)), inspect(row)
    former = {}
    for key in mapper.column_attrs.keys() & state.dict.keys():
        value = state.committed_state.get(key, state.dict[key])
        if value is NO_VALUE or value is NEVER_SET:  # set without having been read
            value = (state.attrs[key].load_history().deleted or (state.dict[key],))[0]
        former[key] = value
    return former


def _difference(row: Any, former: Mapping[str, Any]) -> dict[str, Any]:
    """Return those former values, packed, that differ from the present ones; the version under ``_VERSION``."""
    mapper = inspect(type(row))
    found = {key: _packed(value) for key, value in former.items() if getattr(row, key) != value}
    if mapper.version_id_col is not None:
        found[_VERSION] = str(former[mapper.get_property_by_column(mapper.version_id_col).key])
        found.pop(mapper.get_property_by_column(mapper.version_id_col).key, None)
    return found


def _packed(value: Any) -> Any:
    """Write a value as JSON, the same for equal values."""
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, UUID):
        return value.hex
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else value


def _unpacked(value: Any, column: Column[Any]) -> Any:
    """Read what ``_packed`` wrote for a column."""
    if value is None:
        return None
    kind: Any = getattr(column.type, "impl_instance", column.type).python_type
    if kind is bytes:
        return base64.b64decode(value)
    if kind in (datetime, date):
        return kind.fromisoformat(value)
    return kind(value) if kind in (Decimal, UUID) else value


# --- taking back -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Kept:
    """A row that was left as it is, and why."""

    label: str
    reason: Any


@dataclass
class Undone:
    """What an undo did: ids by table that were removed, and restored; what was left."""

    removed: dict[str, list[int]] = field(default_factory=dict)
    restored: dict[str, list[int]] = field(default_factory=dict)
    kept: list[Kept] = field(default_factory=list)


def undo(
    import_id: int,
    along: Along,
    progress: Callable[[int, int], object] | None = None,
    *,
    replaces: Collection[type[Base]] = (),
) -> Undone:
    """Take back what an import wrote, in the present transaction; drop what was noted of it.

    ``along`` names the tables whose rows go with a row, in this order, beside the parts that its relationships
    delete. ``replaces``: tables in which new rows stand in the place of former ones (one is current, say): they go
    before those have their former values again.
    """
    plan = _Plan(import_id, along)
    plan.look()
    done = Undone(kept=plan.kept_rows())
    total, count = plan.size(), 0
    first = {model.__tablename__ for model in replaces}
    removed = list(plan.to_remove())
    early, late = [one for one in removed if one[0] in first], [one for one in removed if one[0] not in first]
    for name, some in (*early, *plan.to_restore(), *late):
        act = _restore if name in plan.changed and some[0] in plan.changed[name] else _remove
        outcome = done.restored if act is _restore else done.removed
        act(plan, name, some)
        outcome.setdefault(name, []).extend(some)
        count += len(some)
        if progress:
            progress(count, total)
    mine = delete(ImportChange).where(ImportChange.import_id == import_id)
    session().execute(mine, execution_options=_QUIET)
    _hand_on(import_id, plan.moved)
    return done


def _hand_on(import_id: int, moved: Mapping[tuple[str, int], tuple[str, str]]) -> None:
    """Let rows that have their former values again count as unchanged for the imports before this one.

    ``moved``: (table, id) -> the version the row had then, and the one it has now.
    """
    if not moved:
        return
    tables = {name for name, _row_id in moved}
    kept = ImportChange
    earlier = select(kept.id, kept.unit_id, kept.table, kept.row_id, kept.after)
    rows = session().execute(earlier.where(ImportChange.import_id < import_id, ImportChange.table.in_(tables)))
    changed = []
    for note_id, unit_id, name, row_id, after in rows.yield_per(5000):
        then, now = moved.get((name, row_id), ("", ""))
        if then and after.removesuffix(_WHOLE) == then:
            whole = _WHOLE if after.endswith(_WHOLE) else ""
            changed.append({"id": note_id, "unit_id": unit_id, "after": now + whole})
    update_rows(ImportChange, changed)


class _Plan:
    """What may be taken back. Made rows: id -> mark; changed ones: id -> (former values, mark)."""

    def __init__(self, import_id: int, along: Along) -> None:
        self.models = {m.class_.__tablename__: m.class_ for m in Base.registry.mappers}
        self.along = {model.__tablename__: tuple(along[model]) for model in along}
        self.made: dict[str, dict[int, str]] = {}
        self.changed: dict[str, dict[int, tuple[dict[str, Any], str]]] = {}
        self.kept: dict[tuple[str, int], Any] = {}
        self.moved: dict[tuple[str, int], tuple[str, str]] = {}
        noted = select(ImportChange.table, ImportChange.row_id, ImportChange.before, ImportChange.after)
        rows = session().execute(noted.where(ImportChange.import_id == import_id).order_by(ImportChange.id))
        for name, row_id, before, after in rows.yield_per(5000):
            self._take(name, row_id, before, after)

    def _take(self, name: str, row_id: int, before: dict[str, Any] | None, after: str) -> None:
        """Fold the changes of a row into one: the first former values, the last mark."""
        if before is None:
            self.made.setdefault(name, {})[row_id] = after
        elif row_id in self.made.get(name, ()):
            whole = _WHOLE if self.made[name][row_id].endswith(_WHOLE) else ""
            self.made[name][row_id] = after + whole
        else:
            earlier = self.changed.setdefault(name, {}).get(row_id, ({}, ""))[0]
            self.changed[name][row_id] = ({**before, **earlier}, after)

    # looking

    def look(self) -> None:
        """Find the rows that must stay: changed or used since, or bound to one that stays."""
        for name in {**self.made, **self.changed}:
            for some in _chunks({**self.made.get(name, {}), **self.changed.get(name, {})}):
                self._compare(name, some)
        for table in reversed(Base.metadata.sorted_tables):
            if table.name in self.made or table.name in self.changed:
                self._look_at_parts(table)
            if table.name in self.made:
                self._look_at_uses(table)
        # A part goes the way of what it belongs to, also when that was found to stay later on.
        for table in Base.metadata.sorted_tables:
            if table.name in self.made or table.name in self.changed:
                self._look_at_parts(table)

    def _compare(self, name: str, ids: Sequence[int]) -> None:
        """Keep what is not as the import left it. What somebody removed already needs no removing."""
        found = self._marks(self.models[name], ids)
        for row_id in ids:
            wanted = self._mark_of(name, row_id)
            if row_id in found and found[row_id] != wanted:
                self.kept[name, row_id] = CHANGED
            elif row_id not in found and row_id in self.made.get(name, ()):
                del self.made[name][row_id]
            elif row_id not in found:
                self.kept[name, row_id] = GONE

    def _marks(self, model: Any, ids: Sequence[int]) -> dict[int, str]:
        """Return the present marks, with the rows locked."""
        counted = inspect(model).version_id_col
        if counted is not None:
            statement = select(model.id, counted).where(model.id.in_(ids)).with_for_update()
            return {row_id: str(version) for row_id, version in session().execute(statement)}
        rows = session().scalars(select(model).where(model.id.in_(ids)).with_for_update()).all()
        found = {row.id: mark(row) for row in rows}
        for row in rows:
            session().expunge(row)
        return found

    def _mark_of(self, name: str, row_id: int) -> str:
        if row_id in self.made.get(name, ()):
            return self.made[name][row_id].removesuffix(_WHOLE)
        return self.changed[name][row_id][1]

    def _noted(self, name: str) -> set[int]:
        return {*self.made.get(name, ()), *self.changed.get(name, ())}

    def _look_at_parts(self, table: Table) -> None:
        """Keep a row together with its parts: one of them that stays keeps all, a stranger among them as well."""
        for part, column in _parts(self.models[table.name]):
            mine = self._noted(part.__tablename__)
            made = self.made.get(table.name, {})
            for some in _chunks(self._noted(table.name)):
                pairs = session().execute(select(part.id, column).where(column.in_(some))).all()
                for part_id, row_id in pairs:
                    strange = part_id not in mine and row_id in made and not made[row_id].endswith(_WHOLE)
                    if strange or (part.__tablename__, part_id) in self.kept:
                        self.kept.setdefault((table.name, row_id), CHANGED)
                for part_id, row_id in pairs:
                    if part_id in mine and (table.name, row_id) in self.kept:
                        self.kept.setdefault((part.__tablename__, part_id), None)

    def _look_at_uses(self, table: Table) -> None:
        """Keep a made row to which another row refers that will not go or turn back."""
        own = {part.__tablename__ for part, _column in _parts(self.models[table.name])}
        own |= {model.__tablename__ for model in self.along.get(table.name, ())}
        for user, column in _references(table, own):
            keyed = "id" in user.c
            for some in _chunks(
                row_id for row_id in self.made[table.name] if (table.name, row_id) not in self.kept
            ):
                statement = select(column, user.c.id if keyed else column).where(column.in_(some))
                for row_id, user_id in session().connection().execute(statement):
                    if not (keyed and self._lets_go(user.name, user_id, column.key)):
                        self.kept[table.name, row_id] = USED

    def _lets_go(self, name: str, row_id: int, column: str) -> bool:
        if (name, row_id) in self.kept:
            return False
        return row_id in self.made.get(name, ()) or column in self.changed.get(name, {}).get(row_id, ({}, ""))[0]

    # the outcome

    def size(self) -> int:
        """Return how many rows will be taken back."""
        made, changed = (sum(len(rows) for rows in found.values()) for found in (self.made, self.changed))
        return made + changed - len(self.kept)

    def kept_rows(self) -> list[Kept]:
        """Name the rows that stay, each with its reason; parts are named by what they belong to."""
        ids: dict[str, list[int]] = {}
        for (name, row_id), reason in self.kept.items():
            if reason is not None:
                ids.setdefault(name, []).append(row_id)
        found: list[Kept] = []
        for name, some in ids.items():
            model = self.models[name]
            for chunk in _chunks(some):
                labels = _labels(model, chunk)
                found += [Kept(labels.get(one, f"{name} {one}"), self.kept[name, one]) for one in chunk]
        return found

    def to_restore(self) -> Iterator[tuple[str, list[int]]]:
        """Yield chunks of changed rows."""
        for table in Base.metadata.sorted_tables:
            rows = self.changed.get(table.name, {})
            yield from ((table.name, some) for some in _chunks(i for i in rows if (table.name, i) not in self.kept))

    def to_remove(self) -> Iterator[tuple[str, list[int]]]:
        """Yield chunks of made rows, those that refer to others first."""
        for table in reversed(Base.metadata.sorted_tables):
            rows = self.made.get(table.name, {})
            yield from ((table.name, some) for some in _chunks(i for i in rows if (table.name, i) not in self.kept))


def _restore(plan: _Plan, name: str, ids: Sequence[int]) -> None:
    model: Any = plan.models[name]
    mapper = inspect(model)
    rows = session().scalars(select(model).where(model.id.in_(ids))).all()
    for row in rows:
        for key, value in plan.changed[name][row.id][0].items():
            if key != _VERSION:
                setattr(row, key, _unpacked(value, mapper.column_attrs[key].columns[0]))
    session().flush()
    if mapper.version_id_col is not None:
        former = plan.changed[name]
        plan.moved |= {(name, row.id): (former[row.id][0].get(_VERSION, ""), mark(row)) for row in rows}
    session().expunge_all()


def _remove(plan: _Plan, name: str, ids: Sequence[int]) -> None:
    model: Any = plan.models[name]
    table = cast(Table, model.__table__)
    with_it = [(one, _column_to(one, table)) for one in plan.along.get(name, ())]
    for part, column in (*with_it, *_parts(model)):
        session().execute(delete(part).where(column.in_(ids)), execution_options=_QUIET)
    session().execute(delete(model).where(model.id.in_(ids)), execution_options=_QUIET)


def _parts(model: Any) -> list[tuple[Any, Any]]:
    """Return the tables whose rows a relationship of ``model`` deletes with it, each with its key to ``model``."""
    table = cast(Table, model.__table__)
    owned = [one.mapper.class_ for one in inspect(model).relationships if one.cascade.delete_orphan]
    return [(part, _column_to(part, table)) for part in owned]


def _column_to(model: Any, table: Table) -> Any:
    """Return the attribute of ``model`` that refers to a row of ``table``."""
    for attribute in inspect(model).column_attrs:
        if any(key.column is table.c.id for key in attribute.columns[0].foreign_keys):
            return getattr(model, attribute.key)
    raise ScopeError(f"{model.__name__} does not refer to {table.name}")


def _references(target: Table, skip: Collection[str]) -> Iterator[tuple[Table, Column[Any]]]:
    for table in Base.metadata.sorted_tables:
        for column in table.c if table.name not in skip else ():
            if any(key.column is target.c.id for key in column.foreign_keys):
                yield table, column


def _labels(model: Any, ids: Sequence[int]) -> dict[int, str]:
    word = model.__audit_words__.get("", "")
    name = model.__audit_label__ or next((n for n in ("number", "code", "name") if hasattr(model, n)), "")
    if not name:
        return {row_id: f"{word or model.__tablename__} {row_id}" for row_id in ids}
    rows = session().execute(select(model.id, getattr(model, name)).where(model.id.in_(ids)))
    return {row_id: f"{word} {label}".strip() for row_id, label in rows}


def _chunks(ids: Iterable[int]) -> Iterator[list[int]]:
    # A list at once: the plan may change while its chunks are looked at.
    left = iter(list(ids))
    while some := list(islice(left, CHUNK)):
        yield some
