"""Fills both schemas, ours and the floor's, with the same many cases, mostly by SQL inside the database."""
# SQL composed from constants only; it reads best unbroken.
# ruff: noqa: E501

from __future__ import annotations

from collections.abc import Iterator

from flask import Flask
from sqlalchemy import Connection, text

from core.kernel import search
from core.kernel.database import db, system_scope, transaction

CUSTOMER_SHARE = 10  # one customer for so many cases
FAMILY = "王李张刘陈杨黄赵周吴徐孙马朱胡郭何高林罗"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉萍红飞鹏辉"
FAULTS = ("壁挂炉报E1故障", "循环水泵噪音大", "监控主机画面丢失", "空气能热泵压力不足", "采暖散热器阀门渗漏")
BATCH = 20_000


def customer_name(i: int) -> str:
    """A name that is the same for the same number, well spread over common characters."""
    return FAMILY[i % 20] + GIVEN[i // 20 % 30] + GIVEN[i // 600 % 30]


def customer_phone(i: int) -> str:
    return f"13{(i * 7919 + 104729) % 10**9:09d}"


def series(conn: Connection, count: int) -> str:
    if conn.dialect.name == "postgresql":
        return f"(SELECT i FROM generate_series(1, {count}) AS g(i)) AS n"
    return (
        f"(WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < {count}) SELECT i FROM s) AS n"
    )


def dialect_words(conn: Connection) -> dict[str, str]:
    if conn.dialect.name == "postgresql":
        return {
            "uid": "lpad(to_hex(i), 32, '0')::uuid",
            "at": "timestamptz '2024-01-01 00:00:00+00' + i * interval '1 minute'",
            "naive": "timestamp '2024-01-01' + i * interval '1 minute'",
            "json": "'{}'::jsonb",
            "pad": "lpad(i::text, 8, '0')",
            "false": "false",
        }
    moment = "strftime('%Y-%m-%d %H:%M:%S.000000', '2024-01-01', '+' || i || ' minutes')"
    return {
        "uid": "printf('%032x', i)",
        "at": moment,
        "naive": moment,
        "json": "'{}'",
        "pad": "printf('%08d', i)",
        "false": "0",
    }


def fill_ours(app: Flask, unit_id: int, cases: int) -> None:
    """Put ``cases`` cases (a tenth of them open) and a tenth as many customers into our tables."""
    customers = max(1, cases // CUSTOMER_SHARE)
    with app.app_context(), db.engine.begin() as conn:
        d = dialect_words(conn)
        faults = " ".join(f"WHEN {n} THEN '{fault}'" for n, fault in enumerate(FAULTS))
        fault = f"CASE i % {len(FAULTS)} {faults} END"
        _load_customers(conn, unit_id, customers)
        conn.execute(
            text(
                "INSERT INTO core_record (id, uid, unit_id, type, number, title, state, category, resume_state, customer_id, "
                "owner_position, priority, received_at, entered_at, chase_count, escalated, fact_seq, version) "
                f"SELECT i, {d['uid']}, {unit_id}, 'case', 'GD-' || {d['pad']}, {fault}, "
                "CASE WHEN i % 10 = 0 THEN 'registered' ELSE 'closed' END, "
                "CASE WHEN i % 10 = 0 THEN 'open' ELSE 'closed' END, '', "
                f"1 + i % {customers}, '', 3, {d['at']}, {d['at']}, 0, '', 1, 1 FROM {series(conn, cases)}"
            )
        )
        conn.execute(
            text(
                "INSERT INTO core_case (id, unit_id, channel, nature, urgency, severity, description, product_text, serial_text, "
                "contact_name, contact_phone, contact_digits, address_text, plan, answer, cause, process, parts_used, "
                "test_result, confirmed_by, rating_comment, history_flags) "
                f"SELECT i, {unit_id}, 'phone', 'repair', 'normal', '', {fault}, 'BG20X', 'S' || {d['pad']}, '', '', '', '', "
                f"'', '', '', '', '', '', '', '', '' FROM {series(conn, cases)}"
            )
        )
        conn.execute(
            text(
                "INSERT INTO core_fact (record_id, unit_id, seq, kind, at, entered_at, visible_to_customer, note, data) "
                f"SELECT i, {unit_id}, 1, 'registered', {d['at']}, {d['at']}, {d['false']}, '', {d['json']} "
                f"FROM {series(conn, cases)}"
            )
        )
    _index(app, unit_id, customers, cases)
    with app.app_context(), db.engine.connect() as conn:
        if conn.dialect.name == "postgresql":
            for table in ("core_record", "core_case", "core_fact", "core_customer"):
                conn.execute(
                    text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))")
                )
            # PostgreSQL does this by itself after a while; nobody does it on SQLite.
            conn.execute(text("ANALYZE"))
            conn.commit()


def _load_customers(conn: Connection, unit_id: int, count: int) -> None:
    d = dialect_words(conn)
    conn.execute(
        text(
            "INSERT INTO core_customer (id, uid, unit_id, number, name, kind, company_code, email, wechat, note, warnings, "
            f"created_at, version) SELECT i, {d['uid']}, {unit_id}, 'C' || {d['pad']}, '', 'person', '', '', '', '', '', "
            f"{d['at']}, 1 FROM {series(conn, count)}"
        )
    )
    rows = [{"i": i, "name": customer_name(i)} for i in range(1, count + 1)]
    for start in range(0, count, BATCH):
        conn.execute(text("UPDATE core_customer SET name = :name WHERE id = :i"), rows[start : start + BATCH])
    phones = [{"i": i, "u": unit_id, "d": customer_phone(i)} for i in range(1, count + 1)]
    for start in range(0, count, BATCH):
        conn.execute(
            text(
                "INSERT INTO core_customer_phone (customer_id, unit_id, digits, display, label) "
                "VALUES (:i, :u, :d, :d, '')"
            ),
            phones[start : start + BATCH],
        )


def _index(app: Flask, unit_id: int, customers: int, cases: int) -> None:
    def words(kind: str, count: int) -> Iterator[tuple[int, int, str]]:
        for i in range(1, count + 1):
            if kind == "customer":
                yield i, unit_id, f"C{i:08d}\n{customer_name(i)}\n{customer_phone(i)}"
            else:
                yield i, unit_id, f"GD-{i:08d}\n{FAULTS[i % len(FAULTS)]}\n{customer_name(1 + i % customers)}"

    with app.app_context():
        for kind, count in (("customer", customers), ("case", cases)):
            batch: list[tuple[int, int, str]] = []
            for row in words(kind, count):
                batch.append(row)
                if len(batch) == BATCH:
                    _put(kind, batch)
                    batch = []
            _put(kind, batch)


def _put(kind: str, batch: list[tuple[int, int, str]]) -> None:
    with system_scope("benchmark"), transaction():
        search.put_many(kind, batch, fresh=True)


def fill_floor(conn: Connection, cases: int) -> None:
    """Put the same customers and cases into the floor's tables."""
    customers = max(1, cases // CUSTOMER_SHARE)
    d = dialect_words(conn)
    rows = [
        {"id": i, "number": f"C{i:08d}", "name": customer_name(i), "phone": customer_phone(i)}
        for i in range(1, customers + 1)
    ]
    for start in range(0, customers, BATCH):
        conn.execute(
            text("INSERT INTO floor_customer (id, number, name, phone) VALUES (:id, :number, :name, :phone)"),
            rows[start : start + BATCH],
        )
    conn.execute(
        text(
            "INSERT INTO floor_case (id, number, customer_id, title, description, state, received_at) "
            f"SELECT i, 'GD-' || {d['pad']}, 1 + i % {customers}, '循环水泵噪音大', '循环水泵噪音大', "
            f"CASE WHEN i % 10 = 0 THEN 'open' ELSE 'closed' END, {d['naive']} FROM {series(conn, cases)}"
        )
    )
    conn.execute(
        text(
            "INSERT INTO floor_event (case_id, kind, at) "
            f"SELECT i, 'registered', {d['naive']} FROM {series(conn, cases)}"
        )
    )
    if conn.dialect.name == "postgresql":
        for table in ("floor_customer", "floor_case", "floor_event"):
            conn.execute(
                text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))")
            )
        conn.execute(text("ANALYZE"))
