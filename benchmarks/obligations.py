"""Obligations: steps with and without clauses, and working all of them out anew beside reading the same rows."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from core.cases.services import register_case
from core.kernel import clock
from core.kernel.database import db, opened_scope, session, system_scope
from core.kernel.scope import Scope
from core.records.engine import perform
from core.rules import obligations
from core.rules.kinds import DeadlineRule
from core.rules.registry import EXTENSION, Registry
from core.rules.rulebook import current_rulebook
from core.users.permissions import all_permissions
from tests.casework import INTAKE

from . import seed
from .others import peak_memory
from .scene import Scene

NOON = datetime(2026, 3, 4, 4, tzinfo=UTC)
# What happens to a case after it was registered: (kind, minutes later).
LIFE = (
    ("contacted", 40),
    ("classified", 55),
    ("assigned", 90),
    ("accepted", 100),
    ("departed", 1500),
    ("arrived", 1560),
    ("started", 1570),
    ("solved", 1700),
    ("confirmed", 3000),
)
READ = (
    "SELECT id, unit_id, type, category, next_due_at FROM core_record",
    "SELECT id, urgency, nature FROM core_case",
    "SELECT record_id, id, seq, kind, at, data, actor_id FROM core_fact",
    "SELECT id, record_id, clause, root_fact_id, month, position, terms, state, start_at, due_at, target_at, "
    "warn_at, ended_at, end_fact_id, excuse_fact_id, late_seconds, late_days, responsible_id, provisional "
    "FROM core_obligation",
)


def recomputed(place: Scene, cases: int) -> Iterator[str]:
    """Yield lines about working out the obligations of so many cases anew (ten facts each)."""
    seed.fill_ours(place.app, place.unit_id, cases)
    _add_facts(place, cases)
    with place.app.app_context(), system_scope("benchmark"):
        first, changed = _timed(lambda: obligations.recompute(place.unit_id))
        before = peak_memory()
        again, none = _timed(lambda: obligations.recompute(place.unit_id))
        grown = peak_memory() - before
    if none:
        raise AssertionError(f"{none} rows changed when nothing had happened")
    raw = min(_read_raw(place) for _ in range(3))
    yield f"{cases:,} cases, {cases * (len(LIFE) + 1):,} facts, {changed:,} obligations"
    yield f"  the same rows with raw SQL{raw:>28.1f} s"
    yield f"  worked out anew, nothing changed{again:>22.1f} s {again / raw:>8.1f} x raw, memory +{grown:.0f} MB"
    yield f"  worked out for the first time{first:>25.1f} s {first / raw:>8.1f} x raw"


def _add_facts(place: Scene, cases: int) -> None:
    with place.app.app_context(), db.engine.begin() as conn:
        for seq, (kind, minutes) in enumerate(LIFE, start=2):
            later = f"at + interval '{minutes} minutes'"
            if conn.dialect.name == "sqlite":
                later = f"strftime('%Y-%m-%d %H:%M:%S.000000', at, '+{minutes} minutes')"
            conn.execute(
                text(
                    "INSERT INTO core_fact (record_id, unit_id, seq, kind, at, entered_at, visible_to_customer, "
                    f"note, data) SELECT record_id, unit_id, {seq}, '{kind}', {later}, {later}, "
                    "visible_to_customer, '', data FROM core_fact WHERE seq = 1"
                )
            )
        conn.execute(text(f"UPDATE core_record SET fact_seq = {len(LIFE) + 1}"))
        conn.execute(text("UPDATE core_case SET urgency = 'urgent' WHERE id % 4 = 0"))
        if conn.dialect.name == "postgresql":
            conn.execute(text("ANALYZE"))


def _read_raw(place: Scene) -> float:
    """Read the rows as a driver gives them, to the last."""
    begun = time.perf_counter()
    if place.kind == "sqlite":
        conn: Any = sqlite3.connect(place.folder / "bench.db")
    else:
        with place.app.app_context():
            conn = db.engine.raw_connection()
    for statement in READ:
        cursor = conn.cursor()
        cursor.execute(statement)
        while cursor.fetchmany(5000):
            pass
    conn.close()
    return time.perf_counter() - begun


def performed(place: Scene, clauses: int = 50, rounds: int = 30) -> Iterator[str]:
    """Yield how long steps take without clauses and with so many deadlines on each case."""
    app = place.app
    held: Registry = app.extensions[EXTENSION]
    with app.app_context():
        rules = _rules(held, clauses)
    empty, full = Registry(()), Registry(tuple(rules))
    best = {id(empty): float("inf"), id(full): float("inf")}
    try:
        for number in range(rounds):
            for one in (empty, full):
                app.extensions[EXTENSION] = one
                best[id(one)] = min(best[id(one)], _steps(place, number))
    finally:
        app.extensions[EXTENSION] = held
    without, with_all = best[id(empty)], best[id(full)]
    yield f"four steps without clauses{without * 1000:>29.1f} ms"
    yield f"four steps with {len(rules)} deadlines a case{with_all * 1000:>22.1f} ms {with_all / without:>7.2f} x"


def _rules(held: Registry, count: int) -> list[DeadlineRule]:
    """Return so many deadline rules on cases, each under a clause of its own."""
    model = DeadlineRule(clause="", start=("registered",), meet=("solved", "answered"))
    known = [one for one in current_rulebook().clauses.values() if any(p.name == "limit" for p in one.parameters)]
    durations = [one for one in known if one.parameter("limit").type == "duration"]
    return [replace(model, clause=one.id) for one in durations[:count]]


def _steps(place: Scene, number: int) -> float:
    with _at_desk(place), clock.frozen(NOON + timedelta(minutes=number)):
        record = register_case(place.unit_id, {**INTAKE, "nature": "repair", "urgency": "normal"})
        begun = time.perf_counter()
        for name, raw in (("contact", {}), ("chase", {}), ("set_due", {"due": _tomorrow()}), ("chase", {})):
            perform(record.id, name, raw)
        return time.perf_counter() - begun


def _tomorrow() -> str:
    return (clock.now() + timedelta(days=1)).isoformat()


@contextmanager
def _at_desk(place: Scene) -> Iterator[None]:
    units, held = frozenset({place.unit_id}), frozenset(one.code for one in all_permissions())
    permissions = {place.unit_id: held}
    scope = Scope(actor_id=1, read=units, write=units, reason="benchmark", permissions=permissions)
    with place.app.app_context(), opened_scope(scope):
        yield


def _timed(call: Callable[[], int]) -> tuple[float, int]:
    begun = time.perf_counter()
    found = call()
    session().rollback()
    return time.perf_counter() - begun, found
