"""Replay of one clause over a year of cases, beside reading the same facts with raw SQL; memory on top."""
# ruff: noqa: E501

from __future__ import annotations

import time
from datetime import date

from sqlalchemy import text

from core.kernel.database import db, system_scope
from core.rules import obligations, replay

from .others import peak_memory
from .scene import Scene
from .seed import dialect_words, series

CLAUSE = "R01-5.2b"
YEAR = 2025
MINUTES = 365 * 24 * 60


def measure(place: Scene, cases: int) -> tuple[float, float, float]:
    """Fill a year of ``cases``, work out their obligations, and return (seconds of a replay, of raw SQL, MB more)."""
    with place.app.app_context(), db.engine.begin() as conn:
        fill(conn, place.unit_id, cases)
    with place.app.app_context(), system_scope("benchmark"):
        obligations.recompute(place.unit_id)
    raw = _raw(place)
    with place.app.app_context(), system_scope("benchmark", read_only=True):
        period = {"first": date(YEAR, 1, 1), "last": date(YEAR, 12, 31)}
        before, start = peak_memory(anew=True), time.perf_counter()
        found = replay.run(replay.ask(place.unit_id, CLAUSE, {"limit": 8}, period))
        seconds, grown = time.perf_counter() - start, peak_memory() - before
    if found.judged != cases or not found.flips:
        raise RuntimeError(f"{found.judged} judged, {found.flips} flips")
    return seconds, raw, grown


def fill(conn, unit_id: int, cases: int) -> None:  # type: ignore[no-untyped-def]
    """Put cases with three facts each, spread over the year, into a unit."""
    d = dialect_words(conn)
    step = f"(i * {MINUTES}.0 / {cases + 1})"

    def at(hours: str) -> str:
        if conn.dialect.name == "postgresql":
            return f"timestamptz '{YEAR}-01-01 00:00:00+08' + ({step} + 60.0 * ({hours})) * interval '1 minute'"
        return f"strftime('%Y-%m-%d %H:%M:%S.000000', '{YEAR}-01-01', '-8 hours', '+' || CAST({step} + 60 * ({hours}) AS INTEGER) || ' minutes')"

    conn.execute(
        text(
            "INSERT INTO core_record (id, uid, unit_id, type, number, title, state, category, resume_state, owner_position, priority, received_at, entered_at, chase_count, escalated, fact_seq, version) "
            f"SELECT i, {d['uid']}, {unit_id}, 'case', 'GD-' || {d['pad']}, 'x', 'closed', 'closed', '', '', 3, {at('0')}, {at('0')}, 0, '', 3, 1 FROM {series(conn, cases)}"
        )
    )
    columns = [row[0] for row in conn.execute(text("SELECT * FROM core_case LIMIT 0")).cursor.description]
    texts = {
        "channel": "'phone'",
        "nature": "'repair'",
        "urgency": "'normal'",
        "id": "i",
        "unit_id": str(unit_id),
    }
    empty = [
        "severity", "description", "product_text", "serial_text", "contact_name", "contact_phone", "contact_digits",
        "address_text", "plan", "answer", "cause", "process", "parts_used", "test_result", "confirmed_by",
        "rating_comment", "history_flags",
    ]  # fmt: skip
    texts |= {name: "''" for name in empty if name in columns}
    conn.execute(
        text(
            f"INSERT INTO core_case ({', '.join(texts)}) SELECT {', '.join(texts.values())} FROM {series(conn, cases)}"
        )
    )
    for seq, (kind, hours) in enumerate((("registered", "0"), ("contacted", "i % 30"), ("solved", "40")), 1):
        conn.execute(
            text(
                "INSERT INTO core_fact (record_id, unit_id, seq, kind, at, entered_at, visible_to_customer, note, data) "
                f"SELECT i, {unit_id}, {seq}, '{kind}', {at(hours)}, {at(hours)}, {d['false']}, '', {d['json']} FROM {series(conn, cases)}"
            )
        )


def _raw(place: Scene) -> float:
    """The floor: the clause's facts and obligations, read and nothing done with them."""
    start = time.perf_counter()
    with place.app.app_context(), db.engine.connect() as conn:
        conn.execute(text("SELECT record_id, id, kind, at, data FROM core_fact WHERE kind <> 'solved'")).all()
        conn.execute(
            text(f"SELECT record_id, state, due_at, terms FROM core_obligation WHERE clause = '{CLAUSE}'")
        ).all()
    return time.perf_counter() - start
