"""The audit trail: complete, free of secrets, append-only, sealed, and read by those who may."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, select, text
from sqlalchemy.exc import DBAPIError

from core.customers.models import Customer, CustomerAddress, CustomerPhone
from core.kernel import audit, clock
from core.kernel.audit import Audit, AuditSeal, record_audit, seal_pending, verify
from core.kernel.database import access_mode, db, transaction
from core.kernel.errors import ScopeError
from core.kernel.ids import uuid7
from core.units.models import Unit, UnitPlugin
from core.users.models import User
from tests.helpers import as_system, in_scope, make_unit, make_user


@pytest.fixture
def unit(app: Flask) -> Unit:
    return make_unit("HQ")


def entries(**wanted: Any) -> list[Audit]:
    with as_system() as work:
        found = select(Audit).order_by(Audit.id)
        for name, value in wanted.items():
            found = found.where(getattr(Audit, name) == value)
        return list(work.scalars(found))


def add_customer(unit: Unit, name: str = "张三丰") -> int:
    with as_system() as work:
        row = Customer(unit_id=unit.id, uid=uuid7(), number="C1", name=name, created_at=clock.now())
        row.phones.append(CustomerPhone(unit_id=unit.id, digits="13812345678", display="138 1234 5678"))
        row.addresses.append(CustomerAddress(unit_id=unit.id, province="浙江省", detail="文三路1号"))
        work.add(row)
        work.flush()
        return row.id


def test_changes_are_written_with_before_and_after(unit: Unit) -> None:
    customer = add_customer(unit)
    user = make_user(unit, {"customer.edit"})
    with in_scope(unit, {"customer.edit"}, actor=user) as work, transaction():
        row = work.get(Customer, customer)
        row.kind = "company"
        row.warnings = ""
    (change,) = entries(subject_type="core_customer", action="change")
    assert (change.before, change.after) == ({"kind": "person"}, {"kind": "company"})
    assert (change.actor_id, change.unit_id, change.subject_id) == (user.id, unit.id, str(customer))
    assert change.label == "C1"
    with as_system() as work:
        work.delete(work.scalars(select(CustomerPhone)).one())
    assert len(entries(subject_type="core_customer_phone", action="delete")) == 1


def test_a_rolled_back_change_leaves_no_entry(unit: Unit) -> None:
    before = len(entries())
    with pytest.raises(RuntimeError), as_system() as work:
        work.scalars(select(Unit)).one().name = "other"
        work.flush()
        raise RuntimeError("fails after the flush")
    assert len(entries()) == before


def test_setting_the_same_value_or_bookkeeping_columns_is_no_entry(unit: Unit) -> None:
    user = make_user(unit)
    before = len(entries())
    with as_system() as work:
        work.scalars(select(Unit)).one().name = str(unit.name)
        work.scalars(select(User).where(User.id == user.id)).one().totp_last_step = 7
    assert len(entries()) == before


def test_no_secret_and_no_personal_data_in_clear(unit: Unit) -> None:
    add_customer(unit)
    user = make_user(unit, phone="13987654321", email="wang@example.com")
    with as_system() as work:
        work.scalars(select(Customer)).one().name = "李四光"
        work.scalars(select(CustomerPhone)).one().digits = "13800001111"
        work.scalars(select(CustomerAddress)).one().detail = "学院路9号"
        work.scalars(select(User).where(User.id == user.id)).one().password_hash = "$argon2id$new"
    written = " ".join(str((e.before, e.after, e.detail, e.label)) for e in entries())
    secrets = (
        "张三丰",
        "李四光",
        "13812345678",
        "138 1234",
        "13800001111",
        "文三路",
        "学院路",
        "argon2",
        "13987654321",
        "@example",
    )
    for secret in secrets:
        assert secret not in written, secret
    assert len(entries(subject_type="core_customer", action="change")) == 1, "that it changed is known"


def test_recording_by_hand(unit: Unit) -> None:
    user = make_user(unit)
    with in_scope(unit, actor=user), transaction():
        record_audit("customer.reveal", ("core_customer", 5), unit_id=unit.id, detail={"purpose": "上门"})
    (entry,) = entries(action="customer.reveal")
    assert (entry.actor_id, entry.unit_id, entry.subject_id, entry.detail) == (
        user.id,
        unit.id,
        "5",
        {"purpose": "上门"},
    )
    token = access_mode.set("read")
    try:
        with in_scope(unit):
            access_mode.set("read")
            with pytest.raises(ScopeError):
                record_audit("customer.reveal")
    finally:
        access_mode.reset(token)


def test_an_import_may_write_one_entry_for_all_rows(unit: Unit) -> None:
    before = len(entries())
    with as_system() as work:
        with audit.summarised():
            for n in range(5):
                work.add(UnitPlugin(unit_id=unit.id, plugin=f"p{n}", changed_at=clock.now()))
        record_audit("import", "core_unit_plugin", detail={"rows": 5})
        work.add(UnitPlugin(unit_id=unit.id, plugin="later", changed_at=clock.now()))
    assert len(entries()) == before + 2


# --- append-only and sealed ------------------------------------------------------------------


def test_the_database_refuses_to_change_or_delete_entries(app: Flask, unit: Unit) -> None:
    with app.app_context():
        seal_pending()
    make_unit("LATER")
    attacks = [
        "UPDATE core_audit SET action = 'x'",
        "UPDATE core_audit SET seal_id = NULL WHERE seal_id IS NOT NULL",
        "UPDATE core_audit SET seal_id = 1, action = 'x' WHERE seal_id IS NULL",
        "UPDATE core_audit SET seal_id = seal_id + 1 WHERE seal_id IS NOT NULL",
        "DELETE FROM core_audit",
        "UPDATE core_audit_seal SET digest = 'x'",
        "DELETE FROM core_audit_seal",
    ]
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            attacks.append("INSERT OR REPLACE INTO core_audit (id, at, action) VALUES (1, '2026-01-01', 'x')")
        else:
            attacks.append("TRUNCATE core_audit CASCADE")
        for attack in attacks:
            with db.engine.connect() as conn, pytest.raises(DBAPIError, match="append-only"):
                conn.execute(text(attack))
        assert verify().ok


def test_sealing_and_verifying(app: Flask, unit: Unit) -> None:
    with app.app_context():
        fresh = verify()
        assert fresh.ok and fresh.seals == 0 and fresh.unsealed == len(entries())
        assert seal_pending(batch=1) == fresh.unsealed
        assert seal_pending() == 0
        add_customer(unit)
        verdict = verify()
        assert verdict.ok and verdict.seals == fresh.unsealed and verdict.unsealed == 3
        seal_pending()
        assert verify().unsealed == 0


@pytest.fixture
def unguarded(app: Flask, unit: Unit) -> Any:
    """Somebody with full rights on the database takes the triggers away."""
    add_customer(unit)
    with app.app_context():
        seal_pending(batch=1)
        with db.engine.begin() as conn:
            audit.audit_ddl.drop(conn)
        yield
        with db.engine.begin() as conn:
            audit.audit_ddl.create(conn)


@pytest.mark.parametrize(
    ("attack", "place"),
    [
        ("UPDATE core_audit SET actor_id = NULL, action = 'x' WHERE id = {row}", "changed"),
        ("UPDATE core_audit SET seal_id = NULL WHERE id = {row}", "entries were sealed"),
        ("UPDATE core_audit_seal SET digest = 'x' WHERE id = {seal}", "changed"),
        ("UPDATE core_audit SET at = '2020-01-01 00:00:00' WHERE id = {row}", "changed"),
    ],
)
def test_tampering_is_found_and_located(unguarded: Any, app: Flask, attack: str, place: str) -> None:
    row = entries()[1]
    with db.engine.begin() as conn:
        conn.execute(text(attack.format(row=row.id, seal=row.seal_id)))
    verdict = verify()
    assert not verdict.ok and place in verdict.broken and f"seal {row.seal_id}" in verdict.broken


def test_a_missing_link_is_found(unguarded: Any, app: Flask) -> None:
    row = entries()[1]
    with db.engine.begin() as conn:
        conn.execute(text(f"DELETE FROM core_audit WHERE id = {row.id}"))
        conn.execute(delete(AuditSeal.__table__).where(AuditSeal.__table__.c.id == row.seal_id))
    assert "missing" in verify().broken


def test_sealing_from_two_processes_makes_one_chain(app: Flask, unit: Unit) -> None:
    from concurrent.futures import ThreadPoolExecutor

    for _ in range(10):
        make_unit()

    def seal(_: int) -> int:
        with app.app_context():
            return seal_pending(batch=3)

    with ThreadPoolExecutor(4) as pool:
        sealed = sum(pool.map(seal, range(4)))
    with app.app_context():
        verdict = verify()
    assert verdict.ok and verdict.rows == sealed == len(entries())


# --- reading ---------------------------------------------------------------------------------


def test_an_auditor_of_a_unit_sees_its_entries_only(app: Flask, unit: Unit) -> None:
    other = make_unit("OTHER")
    make_user(unit)  # an entry without a unit
    with in_scope(unit, {"audit.view"}) as work:
        seen = work.scalars(select(Audit)).all()
        assert seen and {e.unit_id for e in seen} == {unit.id}
        assert not work.scalars(select(Audit).where(Audit.unit_id == other.id)).all()
    with as_system() as work:
        assert {e.unit_id for e in work.scalars(select(Audit))} >= {None, unit.id, other.id}


# --- command line ----------------------------------------------------------------------------


def test_the_commands(app: Flask, unit: Unit) -> None:
    runner = app.test_cli_runner()
    assert runner.invoke(args=["audit", "seal"]).exit_code == 0
    good = runner.invoke(args=["audit", "verify"])
    assert good.exit_code == 0
    digest = good.output.split()[-1]
    add_customer(unit)
    runner.invoke(args=["audit", "seal"])
    assert runner.invoke(args=["audit", "verify", "--expect", digest]).exit_code == 0
    assert runner.invoke(args=["audit", "verify", "--expect", "0" * 63 + "1"]).exit_code == 1
    with app.app_context():
        with db.engine.begin() as conn:
            audit.audit_ddl.drop(conn)
            conn.execute(text("UPDATE core_audit SET action = 'x'"))
        bad = runner.invoke(args=["audit", "verify"])
        with db.engine.begin() as conn:
            audit.audit_ddl.create(conn)
    assert bad.exit_code == 1
