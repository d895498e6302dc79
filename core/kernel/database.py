"""Database: engine set-up, column types, unit scope, and the one way to commit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar, cast
from weakref import WeakSet

from flask import Flask, current_app
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session as FlaskSession
from sqlalchemy import (
    JSON,
    BigInteger,
    CursorResult,
    DateTime,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    Select,
    Table,
    TextClause,
    bindparam,
    event,
    inspect,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    ORMExecuteState,
    declared_attr,
    mapped_column,
    with_loader_criteria,
)
from sqlalchemy.orm.context import FromStatement
from sqlalchemy.sql import visitors
from sqlalchemy.types import TypeDecorator

from .errors import ClosedUnit, NotFound, Refused, ScopeError
from .ids import read_id
from .scope import EVERY_PERMISSION, EVERY_UNIT, Scope, Units

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
BigId = BigInteger().with_variant(Integer, "sqlite")
T = TypeVar("T")
Json = JSON().with_variant(JSONB(), "postgresql")

# "read" inside GET requests: transactions start deferred and a flush with changes is an error.
access_mode: ContextVar[str] = ContextVar("shouhou_access_mode", default="write")


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in time. Naive values are refused; reads always come back aware, in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime: a time zone is needed")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Every table is either unit-scoped or says in ``__global__`` why it is not."""

    metadata = MetaData(naming_convention=NAMING)
    __global__: ClassVar[str] = ""
    __audited__: ClassVar[bool] = False
    __audit_mask__: ClassVar[frozenset[str]] = frozenset()
    # Bookkeeping columns whose change alone is not worth an entry, and the column that names the row.
    __audit_skip__: ClassVar[frozenset[str]] = frozenset({"version"})
    __audit_label__: ClassVar[str] = ""
    # How the audit trail names the table (under "") and its columns; a pair (label, choices) names the values, too.
    __audit_words__: ClassVar[Mapping[str, Any]] = MappingProxyType({})


class UnitScoped:
    """Mixin: rows owned by a unit; reads are filtered and writes checked by the session's scope."""

    @declared_attr
    def unit_id(cls) -> Mapped[int]:
        return mapped_column(ForeignKey("core_unit.id"), nullable=False)


class ScopedSession(FlaskSession):
    """Flask-SQLAlchemy's session, with one scope for life (kept in ``info``)."""

    def bulk_save_objects(self, *_: Any, **__: Any) -> None:
        """Refused: the legacy bulk methods pass every check by."""
        raise ScopeError("use session.add_all() or session.execute(insert(Model), rows)")

    bulk_insert_mappings = bulk_save_objects  # type: ignore[assignment]
    bulk_update_mappings = bulk_save_objects  # type: ignore[assignment]


db = SQLAlchemy(
    model_class=Base,
    disable_autonaming=True,
    session_options={"class_": ScopedSession, "expire_on_commit": False},
)


def session() -> ScopedSession:
    """Return the session of the present application context."""
    return cast(ScopedSession, db.session())


def set_scope(scope: Scope) -> None:
    """Give the present session its scope, once and for life.

    Raises:
        ScopeError: the session already has another one.
    """
    held = session().info.setdefault("scope", scope)
    if held is not scope:
        raise ScopeError("a session keeps its scope for life; open system_scope() instead")


def current_scope() -> Scope:
    """Return the scope of the present session.

    Raises:
        ScopeError: there is none.
    """
    scope = session().info.get("scope")
    if scope is None:
        raise ScopeError("no unit scope: nothing may be read or written")
    return cast(Scope, scope)


@contextmanager
def system_scope(
    reason: str, actor_id: int | None = None, *, address: str = "", read_only: bool = False
) -> Iterator[ScopedSession]:
    """Open a session of its own that reaches every unit. For migrations, jobs, the CLI and sign-in bookkeeping.

    ``read_only``: long reads that must not hold SQLite's write lock.
    """
    scope = Scope(actor_id=actor_id, read=EVERY_UNIT, write=EVERY_UNIT, reason=reason, address=address)
    with opened_scope(scope, mode="read" if read_only else "write") as opened:
        yield opened


@contextmanager
def unit_scope(unit_id: int, reason: str, *, read_only: bool = False) -> Iterator[ScopedSession]:
    """Open a session of its own that may do everything in one unit and nothing elsewhere: recurring work."""
    only = frozenset({unit_id})
    scope = Scope(None, only, only, reason, {unit_id: EVERY_PERMISSION})
    with opened_scope(scope, mode="read" if read_only else "write") as opened:
        yield opened


@contextmanager
def opened_scope(scope: Scope, *, mode: str = "write") -> Iterator[ScopedSession]:
    """Open a fresh application context whose session has ``scope``; closed at the end of the block."""
    app = cast(Flask, cast(Any, current_app)._get_current_object())
    token = access_mode.set(mode)
    try:
        with app.app_context():
            set_scope(scope)
            yield session()
    finally:
        access_mode.reset(token)


@contextmanager
def transaction() -> Iterator[ScopedSession]:
    """One user action. Nested blocks join; only the outermost commits, any error rolls all back.

    What ``on_refusal`` collected is written after the rollback that a ``Refused`` causes; where somebody
    caught the refusal and went on, it is written with the rest.
    """
    work = session()
    if work.info.get("in_transaction"):
        yield work
        return
    work.info["in_transaction"] = True
    try:
        yield work
        for write in work.info.pop("on_refusal", ()):
            write()
        work.commit()
    except BaseException as error:
        work.rollback()
        work.info.pop("after_commit", None)
        evidence = work.info.pop("on_refusal", ())
        if isinstance(error, Refused) and evidence:
            for write in evidence:
                write()
            work.commit()
        raise
    finally:
        work.info["in_transaction"] = False
        work.info.pop("on_refusal", None)
    for call in work.info.pop("after_commit", ()):
        call()


@contextmanager
def reading() -> Iterator[None]:
    """Read for long in a writing request without SQLite's write lock; inside ``transaction()`` nothing changes."""
    work = session()
    if work.info.get("in_transaction"):
        yield
        return
    work.rollback()
    token = access_mode.set("read")
    try:
        yield
    finally:
        work.rollback()
        access_mode.reset(token)


def on_refusal(write: Callable[[], object]) -> None:
    """Keep evidence of a refusal: ``write`` runs in a transaction of its own after the rollback."""
    session().info.setdefault("on_refusal", []).append(write)


def release() -> None:
    """End the read that the present session has begun in a writing request, and with it SQLite's write lock.

    Needed before ``system_scope`` in such a request, which would wait for the lock of its own thread.

    Raises:
        ScopeError: inside ``transaction()``, where it would lose work.
    """
    work = session()
    if work.info.get("in_transaction") or work.new or work.dirty or work.deleted:
        raise ScopeError("release() inside a transaction would lose work")
    work.rollback()


def after_commit(call: Callable[[], object]) -> None:
    """Run ``call`` once the outermost transaction has committed; never when it rolls back.

    For cheap in-process signals only (waking the job runner); work that must happen goes to the outbox.
    """
    session().info.setdefault("after_commit", []).append(call)


def fetch(model: type[T], raw_id: object, *, query: Select[tuple[T]] | None = None) -> T:
    """Look up a row by an id that came from a request, inside the scope.

    Raises:
        NotFound: malformed id, no such row, or a row of another unit (the three look alike).
    """
    key = read_id(raw_id)
    if key is None:
        raise NotFound()
    statement = select(model) if query is None else query
    found = session().scalars(statement.where(cast(Any, model).id == key)).first()
    if found is None:
        raise NotFound()
    return found


def need_write(unit_id: int, what: str) -> None:
    """Make sure that the present scope may write a unit, for statements that pass the session's own check by.

    Raises:
        ClosedUnit: it may only be read. ScopeError: it is out of reach.
    """
    scope = current_scope()
    if unit_id in scope.write:
        return
    if unit_id in scope.read:
        raise ClosedUnit()
    raise ScopeError(f"{what} outside the scope")


def insert_once(model: type[Base], row: dict[str, Any]) -> bool:
    """Insert ``row`` unless a row with its unique key is there; tell whether it was inserted.

    Waits for another transaction that is inserting the same key.

    Raises:
        ScopeError: the row's unit may not be written.
    """
    if issubclass(model, UnitScoped):
        need_write(row["unit_id"], f"insert into {model.__name__}")
    work = session()
    # preserve_rowcount: without it PostgreSQL answers -1 for an insert, which is not "one row".
    options = {"unscoped": "unit checked above", "preserve_rowcount": True}
    done = work.execute(_insert_once(model, work.get_bind().dialect.name), row, execution_options=options)
    return cast("CursorResult[Any]", done).rowcount > 0


def insert_missing(model: type[UnitScoped], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert those of ``rows`` whose unique key is not there yet, in one statement; all name the same columns.

    Raises:
        ScopeError: the unit of a row may not be written.
    """
    for unit_id in {row["unit_id"] for row in rows}:
        need_write(unit_id, f"insert into {model.__name__}")
    work = session()
    statement = _insert_once(cast(type[Base], model), work.get_bind().dialect.name)
    work.execute(statement, list(rows), execution_options={"unscoped": "units checked above"})


@lru_cache(maxsize=64)
def _insert_once(model: type[Base], dialect: str) -> Any:
    build = postgresql if dialect == "postgresql" else sqlite
    return build.insert(cast(Table, model.__table__)).on_conflict_do_nothing()


def update_rows(model: type[UnitScoped], rows: Sequence[Mapping[str, Any]]) -> None:
    """Change many rows of a table that is not audited: each names its ``id``, its ``unit_id`` and what is new.

    Rows that change the same columns go in one statement. No object in the session learns of it.

    Raises:
        ScopeError: the table is audited, or a row's unit may not be written.
    """
    table = cast(Table, cast(Any, model).__table__)
    if cast(type[Base], model).__audited__:
        raise ScopeError(f"many changes of {model.__name__} at once would pass the audit trail by")
    for unit_id in {row["unit_id"] for row in rows}:
        need_write(unit_id, f"update of {model.__name__}")
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        alike.setdefault(tuple(sorted(row)), []).append({f"new_{name}": value for name, value in row.items()})
    for names, some in alike.items():
        new: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names if name not in ("id", "unit_id")}
        mine = (table.c.id == bindparam("new_id"), table.c.unit_id == bindparam("new_unit_id"))
        options = {"unscoped": "units checked above"}
        session().execute(table.update().where(*mine).values(new), some, execution_options=options)


# --- enforcement -----------------------------------------------------------------------------


def _is_scoped(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, UnitScoped)


@lru_cache(maxsize=4)
def _global_tables(_mappers: int) -> frozenset[str]:
    return frozenset(
        cast(Table, m.local_table).name for m in Base.registry.mappers if cast(type[Base], m.class_).__global__
    )


def _refuse_unless_global(statement: Any) -> None:
    if statement in _asked_before:
        return
    known = _global_tables(len(list(Base.registry.mappers)))
    found = list(visitors.iterate(statement))
    tables = {e.name for e in found if isinstance(e, Table)}
    if not tables or tables - known or any(isinstance(e, TextClause) for e in found):
        raise ScopeError(f"no unit scope for {', '.join(sorted(tables - known)) or 'raw SQL'}")
    _asked_before.add(statement)


# Statements (by identity; they never change) found to read global tables only: a module's constants stay here.
_asked_before: WeakSet[Any] = WeakSet()


@event.listens_for(ScopedSession, "do_orm_execute")
def _filter_by_unit(state: ORMExecuteState) -> None:
    writes = state.is_insert or state.is_update or state.is_delete
    if writes and access_mode.get() == "read":
        raise ScopeError("a GET request tried to write")
    if state.execution_options.get("unscoped"):
        return
    scope = cast("Scope | None", state.session.info.get("scope"))
    if scope is None:
        _refuse_unless_global(state.statement)
        return
    if state.is_update or state.is_delete:
        _check_logged(state)
    if scope.is_system:
        return
    if not state.is_orm_statement or isinstance(state.statement, FromStatement):
        raise ScopeError("Core statements need execution_options(unscoped='why'), kernel only")
    if state.is_insert:
        _check_inserted_rows(state, scope)
        return
    if state.is_update or state.is_delete:
        _check_bulk(state)
    units = scope.read if state.is_select else scope.write
    narrow = state.execution_options.get("narrow") and state.session.get_bind().dialect.name == "sqlite"
    state.statement = state.statement.options(_of_units(units, bool(narrow)))


def _of_units(units: Units, narrow: bool) -> Any:
    """Return the filter of a statement. ``narrow``: its own conditions find few rows, by an index of theirs.

    Without statistics SQLite takes a unit for ten rows and begins there rather than with fifty keys; "+ 0" leaves
    it the other indexes only, and rows are checked all the same.
    """
    # The set is a closure variable, which SQLAlchemy passes as a bound parameter on every execution.
    how: dict[str, Any] = {"include_aliases": True, "propagate_to_loaders": True}
    if narrow:
        return with_loader_criteria(UnitScoped, lambda cls: (cls.unit_id + 0).in_(units), **how)
    return with_loader_criteria(UnitScoped, lambda cls: cls.unit_id.in_(units), **how)


def _check_logged(state: ORMExecuteState) -> None:
    """Bulk changes pass the audit trail by; whoever makes one says so and writes the entry by hand."""
    if state.execution_options.get("audited"):
        return
    for mapper in state.all_mappers:
        if cast(type[Base], mapper.class_).__audited__:
            raise ScopeError(
                f"bulk change of {mapper.class_.__name__} passes the audit trail by: change rows through the "
                "session, or record_audit() it and pass execution_options(audited='why')"
            )


def _check_bulk(state: ORMExecuteState) -> None:
    for mapper in state.all_mappers:
        if not _is_scoped(mapper.class_) and not cast(type[Base], mapper.class_).__global__:
            raise ScopeError(f"bulk change of {mapper.class_.__name__}, which has no unit_id")
        if not _is_scoped(mapper.class_):
            continue
        if isinstance(state.parameters, list):
            raise ScopeError(f"bulk update of {mapper.class_.__name__} by primary key cannot be filtered by unit")
        if state.is_update and "unit_id" in _named_values(state):
            raise ScopeError(f"a row of {mapper.class_.__name__} never changes its unit")


def _named_values(state: ORMExecuteState) -> dict[str, Any]:
    """Return what an insert or update sets, by column name; binds are unwrapped."""
    statement = cast(Any, state.statement)
    given: dict[Any, Any] = dict(statement._values or {}) | dict(getattr(statement, "_ordered_values", None) or ())
    named = {getattr(k, "key", k): getattr(v, "value", v) for k, v in given.items()}
    return named | (state.parameters if isinstance(state.parameters, dict) else {})


def _check_inserted_rows(state: ORMExecuteState, scope: Scope) -> None:
    mapper = state.bind_mapper
    if mapper is None or not _is_scoped(mapper.class_):
        return
    statement = cast(Any, state.statement)
    name = mapper.class_.__name__
    if statement.select is not None:
        raise ScopeError(f"insert into {name} from a select cannot be checked")
    conflict = getattr(statement, "_post_values_clause", None)
    if conflict is not None and not _stays_in_unit(conflict):
        raise ScopeError(f"upsert of {name} could change a row of another unit: unit_id must be in its target")
    for row in _inserted_rows(state):
        if row.get("unit_id") not in scope.write:
            raise ScopeError(f"insert into {name} outside the scope")


def _inserted_rows(state: ORMExecuteState) -> list[dict[str, Any]]:
    common = _named_values(state)
    many = [
        dict(row) if isinstance(row, dict) else dict(enumerate(row))
        for rows in cast(Any, state.statement)._multi_values
        for row in rows
    ]
    rows = [{getattr(k, "key", k): getattr(v, "value", v) for k, v in row.items()} for row in many]
    listed = state.parameters if isinstance(state.parameters, list) else []
    return [common | row for row in (*rows, *listed)] or [common]


def _stays_in_unit(conflict: Any) -> bool:
    if not hasattr(conflict, "update_values_to_set"):
        return True  # DO NOTHING
    target = {getattr(e, "key", e) for e in conflict.inferred_target_elements or ()}
    changed = {getattr(k, "key", k) for k in dict(conflict.update_values_to_set)}
    return "unit_id" in target and "unit_id" not in changed


@event.listens_for(ScopedSession, "before_flush")
def _check_flush(work: ScopedSession, *_: object) -> None:
    changed = [*work.new, *(o for o in work.dirty if work.is_modified(o)), *work.deleted]
    if not changed:
        return
    if access_mode.get() == "read":
        raise ScopeError(f"a GET request tried to write {type(changed[0]).__name__}")
    scope = cast("Scope | None", work.info.get("scope"))
    for row in changed:
        if not _is_scoped(type(row)):
            if scope is None and not cast(Base, row).__global__:
                raise ScopeError(f"no unit scope to write {type(row).__name__}")
            continue
        if scope is None or row.unit_id not in scope.write:
            if scope is not None and row.unit_id in scope.read:
                raise ClosedUnit()
            raise ScopeError(f"write to {type(row).__name__} outside the scope")
        if not scope.is_system and row not in work.new and _has_moved(row):
            raise ScopeError(f"a row of {type(row).__name__} never changes its unit")


def _has_moved(row: Any) -> bool:
    return bool(inspect(row).attrs.unit_id.load_history().has_changes())


# --- engine ----------------------------------------------------------------------------------


def prepare_engine(engine: Engine) -> None:
    """Make SQLite safe under load: WAL, foreign keys, and immediate write transactions."""
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def _connect(dbapi: Any, _record: Any) -> None:
        dbapi.isolation_level = None
        for pragma in ("journal_mode=wal", "synchronous=normal", "foreign_keys=on", "cache_size=-16000"):
            dbapi.execute(f"pragma {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(conn: Any) -> None:
        conn.exec_driver_sql("BEGIN" if access_mode.get() == "read" else "BEGIN IMMEDIATE")
