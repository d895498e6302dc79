"""The compliance page at many obligations, beside the same rows counted by raw SQL."""
# SQL composed from constants only; it reads best unbroken.
# ruff: noqa: E501

from __future__ import annotations

from sqlalchemy import Connection, text

from core.kernel.database import db, system_scope
from core.rules import compliance
from core.rules.compliance import Question
from tests import helpers

from .lists import Row, best
from .scene import Scene, signed_in
from .seed import dialect_words, series

CLAUSES, PEOPLE = 20, 40
MONTHS = ("2026-06", "2026-07", "2026-08", "2026-09", "2026-10", "2026-11")
STATE = "CASE WHEN (i * 7 + {k}) % 100 < 80 THEN 'met' WHEN (i * 7 + {k}) % 100 < 92 THEN 'late' WHEN (i * 7 + {k}) % 100 < 95 THEN 'open' WHEN (i * 7 + {k}) % 100 < 98 THEN 'excused' ELSE 'void' END"


def measure(place: Scene, obligations: int) -> list[Row]:
    """Fill the unit and measure; rows are (what, ours, raw SQL, unit). Half of them began in the usual period."""
    for _ in range(PEOPLE):
        helpers.make_user()
    with place.app.app_context(), db.engine.begin() as conn:
        fill(conn, place.unit_id, obligations)
    with place.app.app_context(), db.engine.connect() as conn:
        if conn.dialect.name == "postgresql":
            # Its autovacuum does so after a while; without it an index alone cannot answer.
            conn.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE core_obligation"))
    client = signed_in(place)
    rows = []
    for what, first in (("three months", MONTHS[3]), ("six months, all of them", MONTHS[0])):
        raw = best(lambda first=first: _raw(place, first))  # type: ignore[misc]
        name = f"{obligations:,} obligations, {what}"
        rows += [
            (f"figures of {name}", best(lambda first=first: _ours(place, first)), raw, "ms"),  # type: ignore[misc]
            (f"page of {name}", best(lambda first=first: _page(client, first, "clauses")), raw, "ms"),  # type: ignore[misc]
            (f"by person, {name}", best(lambda first=first: _page(client, first, "people")), raw, "ms"),  # type: ignore[misc]
        ]
    return rows


def fill(conn: Connection, unit_id: int, obligations: int) -> None:
    """Put records with one fact and ``CLAUSES`` obligations each into a unit."""
    d = dialect_words(conn)
    count = obligations // CLAUSES
    people = list(conn.execute(text("SELECT id FROM core_user ORDER BY id")).scalars())
    who = f"CASE i % {len(people)} " + " ".join(f"WHEN {n} THEN {one}" for n, one in enumerate(people)) + " END"
    number = "lpad((6 + i % 6)::text, 2, '0')" if conn.dialect.name == "postgresql" else "printf('%02d', 6 + i % 6)"
    month = f"'2026-' || {number}"
    conn.execute(
        text(
            "INSERT INTO core_record (id, uid, unit_id, type, number, title, state, category, resume_state, owner_position, priority, received_at, entered_at, chase_count, escalated, fact_seq, version) "
            f"SELECT i, {d['uid']}, {unit_id}, 'case', 'GD-' || {d['pad']}, 'x', 'closed', 'closed', '', '', 3, {d['at']}, {d['at']}, 0, '', 1, 1 FROM {series(conn, count)}"
        )
    )
    conn.execute(
        text(
            "INSERT INTO core_fact (id, record_id, unit_id, seq, kind, at, entered_at, visible_to_customer, note, data) "
            f"SELECT i, i, {unit_id}, 1, 'registered', {d['at']}, {d['at']}, {d['false']}, '', {d['json']} FROM {series(conn, count)}"
        )
    )
    for k in range(CLAUSES):
        conn.execute(
            text(
                "INSERT INTO core_obligation (record_id, clause, root_fact_id, state, month, start_at, due_at, late_seconds, late_days, position, provisional, terms, unit_id, responsible_id) "
                f"SELECT i, 'R{k:02d}-1', i, {STATE.format(k=k)}, {month}, {d['at']}, {d['at']}, 0, 0, '', {d['false']}, {d['json']}, {unit_id}, {who} FROM {series(conn, count)}"
            )
        )


def _ours(place: Scene, first: str) -> None:
    with place.app.app_context(), system_scope("benchmark", read_only=True):
        compliance.answer(Question((place.unit_id,), first, MONTHS[-1]))


def _page(client, first: str, view: str) -> None:  # type: ignore[no-untyped-def]
    answer = client.get(f"/admin/compliance/?first={first}&last={MONTHS[-1]}&view={view}")
    if answer.status_code != 200:
        raise RuntimeError(str(answer.status_code))


def _raw(place: Scene, first: str) -> None:
    """The floor: the same rows, grouped by raw SQL without scope."""
    with place.app.app_context(), db.engine.connect() as conn:
        conn.execute(
            text(
                "SELECT clause, month, state, count(*) FROM core_obligation WHERE unit_id = :u AND month BETWEEN :f AND :l GROUP BY clause, month, state"
            ),
            {"u": place.unit_id, "f": first, "l": MONTHS[-1]},
        ).all()
