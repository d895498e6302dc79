"""The audit trail (操作日志): who changed what, from where, before and after; append-only and sealed in batches.

Writers only insert. A job seals what has come in since into a hash chain, so nobody queues for the chain.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    Connection,
    ForeignKey,
    Index,
    String,
    Table,
    event,
    func,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, mapped_column

from . import audit_ddl, clock
from .database import (
    Base,
    BigId,
    Json,
    ScopedSession,
    UnitScoped,
    UtcDateTime,
    access_mode,
    session,
    system_scope,
    transaction,
)
from .errors import ScopeError
from .scope import Scope

MASK = "***"
BATCH = 1000
_GENESIS = "0" * 64
# The advisory lock that lets one process seal at a time on PostgreSQL (any fixed number).
_SEAL_LOCK = 72_010_001


class AuditSeal(Base):
    """A link of the chain: the digest of the rows that carry its id and of the seal before."""

    __tablename__ = "core_audit_seal"
    __global__ = "seals rows of all units together"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    count: Mapped[int] = mapped_column()
    # Unique: two processes cannot both continue from the same seal.
    previous: Mapped[str] = mapped_column(String(64), unique=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)


class Audit(UnitScoped, Base):
    """One entry. Rows without a unit concern the whole deployment and are read by its auditors only."""

    __tablename__ = "core_audit"
    __table_args__ = (
        Index("ix_core_audit_unit", "unit_id", "id"),
        Index("ix_core_audit_subject", "subject_type", "subject_id", "id"),
        Index("ix_core_audit_actor", "actor_id", "id"),
        Index(
            "ix_core_audit_unsealed",
            "id",
            sqlite_where=text("seal_id IS NULL"),
            postgresql_where=text("seal_id IS NULL"),
        ),
        Index("ix_core_audit_seal", "seal_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    unit_id: Mapped[int | None] = mapped_column(ForeignKey("core_unit.id"))  # type: ignore[assignment]
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    action: Mapped[str] = mapped_column(String(60))
    subject_type: Mapped[str] = mapped_column(String(60), default="")
    subject_id: Mapped[str] = mapped_column(String(60), default="")
    label: Mapped[str] = mapped_column(String(120), default="")
    before: Mapped[dict[str, Any] | None] = mapped_column(Json)
    after: Mapped[dict[str, Any] | None] = mapped_column(Json)
    detail: Mapped[dict[str, Any] | None] = mapped_column(Json)
    address: Mapped[str] = mapped_column(String(60), default="")
    reason: Mapped[str] = mapped_column(String(120), default="")
    seal_id: Mapped[int | None] = mapped_column(ForeignKey("core_audit_seal.id"))


_table = cast(Table, Audit.__table__)
_SEALED = tuple(c for c in _table.columns if c.name != "seal_id")


@event.listens_for(_table, "after_create")
def _guard_new_table(_target: Table, connection: Any, **_: Any) -> None:
    audit_ddl.create(connection)


# --- writing ---------------------------------------------------------------------------------


def record_audit(
    action: str,
    subject: object = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    unit_id: int | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """Write one entry in the present transaction: sign-ins, look-ups of personal data, exports, switches.

    ``subject`` is a mapped row, ``(type, id)`` or ``(type, id, label)``, a text or None. The unit is
    taken from the row unless given. Never pass personal data in clear.

    Raises:
        ScopeError: called in a GET request.
    """
    if access_mode.get() == "read":
        raise ScopeError(f"a GET request tried to write audit entry {action}")
    work = session()
    kind, key, label = _subject(subject)
    if unit_id is None and isinstance(subject, Base):
        unit_id = _unit_of(subject)
    row = _entry(work, action, kind, key, label, unit_id, before, after)
    row["detail"] = plain(detail) if detail is not None else None
    work.connection().execute(insert(_table), [row])


@contextmanager
def summarised() -> Iterator[None]:
    """Switch row-by-row entries off inside the block, for imports that ``record_audit`` one entry themselves."""
    work = session()
    held = work.info.get("audit_summarised", False)
    work.info["audit_summarised"] = True
    try:
        yield
        work.flush()
    finally:
        work.info["audit_summarised"] = held


def plain(value: Any) -> Any:
    """Turn a value into what JSON holds exactly on both databases (no floats, no NUL characters)."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [plain(v) for v in items]
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal | UUID | float):
        return str(value)
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return str(value).replace("\x00", "")


def _subject(subject: object) -> tuple[str, str, str]:
    if subject is None:
        return "", "", ""
    if isinstance(subject, Base):
        label = getattr(subject, subject.__audit_label__, "") if subject.__audit_label__ else ""
        return type(subject).__tablename__, _key(subject), str(label or "")[:120]
    if isinstance(subject, tuple):
        kind, key, label = (*subject, "")[:3]
        return str(kind)[:60], str(key)[:60], str(label)[:120]
    return str(subject)[:60], "", ""


def _key(row: Base) -> str:
    return "-".join(str(v) for v in inspect(type(row)).primary_key_from_instance(row))[:60]


def _unit_of(row: Base) -> int | None:
    unit_id = getattr(row, "unit_id", None)
    if unit_id is None and row.__tablename__ == "core_unit":
        return cast(Any, row).id  # type: ignore[no-any-return]
    return cast("int | None", unit_id)


def _entry(
    work: Any, action: str, kind: str, key: str, label: str, unit_id: int | None, before: Any, after: Any
) -> dict[str, Any]:
    scope = work.info.get("scope")
    return {
        "unit_id": unit_id,
        "at": clock.now(),
        "actor_id": scope.actor_id if scope else None,
        "action": action,
        "subject_type": kind,
        "subject_id": key,
        "label": label,
        "before": plain(before) if before is not None else None,
        "after": plain(after) if after is not None else None,
        "detail": None,
        "address": scope.address[:60] if scope else "",
        "reason": _reason(scope),
    }


def _reason(scope: Scope | None) -> str:
    """Say why nobody in particular acted, or on whose device somebody did."""
    if scope is None:
        return ""
    return (scope.reason if scope.is_system else scope.via)[:120]


# --- automatic before and after --------------------------------------------------------------


@dataclass
class _Change:
    action: str
    row: Base
    before: dict[str, Any] | None
    after: dict[str, Any] | None


@event.listens_for(ScopedSession, "before_flush")
def _collect(work: ScopedSession, *_: object) -> None:
    if work.info.get("audit_summarised"):
        return
    found: list[_Change] = work.info.setdefault("audit_changes", [])
    for row in work.dirty:
        if _audited(row) and work.is_modified(row):
            before, after = _difference(row)
            if after:
                found.append(_Change("change", row, before, after))
    found.extend(_Change("delete", row, _all_values(row), None) for row in work.deleted if _audited(row))
    found.extend(_Change("create", row, None, None) for row in work.new if _audited(row))


@event.listens_for(ScopedSession, "after_flush")
def _write(work: ScopedSession, *_: object) -> None:
    found: list[_Change] = work.info.pop("audit_changes", [])
    rows = []
    for change in found:
        after = _all_values(change.row) if change.action == "create" else change.after
        kind, key, label = _subject(change.row)
        rows.append(_entry(work, change.action, kind, key, label, _unit_of(change.row), change.before, after))
    if rows:
        work.connection().execute(insert(_table), rows)


@event.listens_for(ScopedSession, "after_soft_rollback")
def _forget(work: ScopedSession, *_: object) -> None:
    work.info.pop("audit_changes", None)


def _audited(row: object) -> bool:
    return isinstance(row, Base) and row.__audited__


def _columns(row: Base) -> Iterator[str]:
    for attribute in inspect(type(row)).column_attrs:
        if attribute.key not in row.__audit_skip__:
            yield attribute.key


def _shown(row: Base, name: str, value: Any) -> Any:
    return MASK if name in row.__audit_mask__ and value not in (None, "") else value


def _difference(row: Base) -> tuple[dict[str, Any], dict[str, Any]]:
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    state: Any = inspect(row)
    for name in _columns(row):
        if name not in state.dict:
            continue
        history = state.attrs[name].load_history()
        if not history.has_changes():
            continue
        old = history.deleted[0] if history.deleted else None
        new = history.added[0] if history.added else None
        if old == new:
            continue
        before[name], after[name] = _shown(row, name, old), _shown(row, name, new)
    return before, after


def _all_values(row: Base) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in _columns(row)}
    return {name: _shown(row, name, value) for name, value in values.items() if value not in (None, "")}


# --- sealing and verifying -------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """What verifying found. ``broken`` says where the first fault is ('' if all is well)."""

    seals: int
    rows: int
    unsealed: int
    head: str
    broken: str = ""

    @property
    def ok(self) -> bool:
        """True if every seal holds."""
        return not self.broken


def seal_pending(batch: int = BATCH) -> int:
    """Seal everything not yet sealed, in batches with a transaction each; return how many rows were sealed.

    Called every few seconds by the job runner and by ``flask audit seal``. Safe to run in several processes.
    """
    total = 0
    with system_scope("audit seal", read_only=True) as work:
        # Asked first, so that an idle runner never takes SQLite's write lock.
        if (
            work.connection().execute(select(_table.c.id).where(_table.c.seal_id.is_(None)).limit(1)).first()
            is None
        ):
            return 0
    with system_scope("audit seal"):
        while count := _seal_batch(batch):
            total += count
    return total


def _seal_batch(batch: int) -> int:
    with transaction() as work:
        return _seal_rows(work.connection(), batch)


def _seal_rows(connection: Connection, batch: int) -> int:
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_SEAL_LOCK)))
    pending = select(*_SEALED).where(_table.c.seal_id.is_(None)).order_by(_table.c.id).limit(batch)
    rows = connection.execute(pending).all()
    if not rows:
        return 0
    seals = cast(Table, AuditSeal.__table__)
    head = connection.execute(select(seals.c.digest).order_by(seals.c.id.desc()).limit(1)).scalar() or _GENESIS
    sealed = connection.execute(
        insert(seals).values(at=clock.now(), count=len(rows), previous=head, digest=_digest(head, rows))
    )
    seal_id = cast(Any, sealed.inserted_primary_key)[0]
    marks = update(_table).where(_table.c.id.in_([r.id for r in rows])).values(seal_id=seal_id)
    connection.execute(marks)
    return len(rows)


def verify(expect: str = "") -> Verdict:
    """Check every seal against its rows and the chain; report the first broken place and the unsealed tail.

    ``expect`` is the digest of an earlier run, kept elsewhere: a chain cut short or made anew no longer holds it.
    """
    with system_scope("audit verify", read_only=True) as work:
        connection = work.connection()
        seals = cast(Table, AuditSeal.__table__)
        unsealed = connection.execute(select(func.count()).where(_table.c.seal_id.is_(None))).scalar_one()
        head, checked, count = _GENESIS, 0, 0
        met = expect in ("", _GENESIS)
        for seal in connection.execute(select(seals).order_by(seals.c.id)).all():
            rows = connection.execute(
                select(*_SEALED).where(_table.c.seal_id == seal.id).order_by(_table.c.id)
            ).all()
            broken = _fault(seal, head, rows)
            if broken:
                return Verdict(checked, count, unsealed, head, broken)
            head, checked, count = seal.digest, checked + 1, count + len(rows)
            met = met or head == expect
        return Verdict(checked, count, unsealed, head, "" if met else f"the chain does not hold {expect}")


def _fault(seal: Any, head: str, rows: Sequence[Any]) -> str:
    if seal.previous != head:
        return f"seal {seal.id}: the seal before it is missing or changed"
    if seal.count != len(rows):
        return f"seal {seal.id}: {seal.count} entries were sealed, {len(rows)} are there"
    if seal.digest != _digest(head, rows):
        return f"seal {seal.id}: an entry from {rows[0].id} to {rows[-1].id} was changed"
    return ""


def _digest(previous: str, rows: Iterable[Any]) -> str:
    running = hashlib.sha256(previous.encode())
    for row in rows:
        line = json.dumps([plain(v) for v in row], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        running.update(line.encode("utf-8", "surrogatepass") + b"\n")
    return running.hexdigest()
