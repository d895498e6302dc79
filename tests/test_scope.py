"""Attacks on the unit scope: whatever is asked, and however, rows of another unit stay out of reach."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, exists, func, insert, literal, select, text, union, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import aliased, joinedload, selectinload, subqueryload

from core.customers.models import Customer, CustomerPhone
from core.kernel import clock
from core.kernel.database import (
    access_mode,
    current_scope,
    db,
    fetch,
    session,
    set_scope,
    system_scope,
)
from core.kernel.errors import NotFound, ScopeError
from core.kernel.ids import uuid7
from core.kernel.scope import Scope
from core.units.models import Setting, Stage, Unit, UnitPlugin
from core.users.models import User
from tests.helpers import as_system, in_scope, make_unit

ROOT = Path(__file__).resolve().parents[1]


class Two:
    """Two units, each with one customer who has one phone, and one stage."""

    def __init__(self) -> None:
        self.here, self.there = make_unit("HERE"), make_unit("THERE")
        self.customers = {u.id: self._customer(u) for u in (self.here, self.there)}

    def _customer(self, unit: Unit) -> int:
        with as_system() as work:
            row = Customer(
                unit_id=unit.id, uid=uuid7(), number=f"C-{unit.code}", name=unit.code, created_at=clock.now()
            )
            work.add(row)
            work.flush()
            work.add(CustomerPhone(unit_id=unit.id, customer_id=row.id, digits="13800000000", display="138"))
            work.add(Stage(unit_id=unit.id, record_type="case", state="new", label=unit.code))
            return row.id

    @property
    def own(self) -> int:
        return self.customers[self.here.id]

    @property
    def foreign(self) -> int:
        return self.customers[self.there.id]


@pytest.fixture
def two(app: Flask) -> Two:
    return Two()


@pytest.fixture
def work(two: Two) -> Iterator[Any]:
    with in_scope(two.here) as opened:
        yield opened


HERE = {"HERE"}


def _names(statement: Any) -> set[str]:
    return set(session().scalars(statement))


def test_selects_of_every_shape_see_own_rows_only(two: Two, work: Any) -> None:
    other = aliased(Customer)
    inner = select(Customer).subquery()
    from_inner = aliased(Customer, inner)
    listed = select(Customer.name, Customer.id).cte()
    shapes = {
        "entities": select(Customer.name).select_from(Customer),
        "columns": select(Customer.name),
        "alias": select(other.name),
        "alias of a subquery": select(from_inner.name),
        "subquery column": select(inner.c.name),
        "cte": select(listed.c.name),
        "join": select(Customer.name).join(CustomerPhone, CustomerPhone.customer_id == Customer.id),
        "cross join": select(other.name).join(Customer, literal(True)),
        "relationship join": select(Customer.name).join(Customer.phones),
        "outer join": select(Customer.name).select_from(Unit).outerjoin(Customer, Customer.unit_id == Unit.id),
        "in subquery": select(Customer.name).where(Customer.id.in_(select(Customer.id))),
        "any": select(Customer.name).where(Customer.phones.any(CustomerPhone.digits == "13800000000")),
        "scalar subquery": select(select(func.max(Customer.name)).scalar_subquery()),
        "aggregate": select(func.max(Customer.name)),
        "legacy query": work.query(Customer.name),
    }
    for shape, statement in shapes.items():
        rows = [row[0] for row in (statement if shape == "legacy query" else work.execute(statement))]
        assert set(rows) - {None} == HERE, shape
        if shape != "legacy query":
            narrow = work.execute(statement.execution_options(narrow=True))
            assert {row[0] for row in narrow} - {None} == HERE, f"{shape}, narrow"
    assert work.scalar(select(func.count()).select_from(Customer)) == 1
    with pytest.raises(ScopeError):  # has no entity of its own that a filter could hang on
        work.scalar(select(exists().where(Customer.id == two.foreign)))
    # A condition on another table tells nothing about foreign rows either.
    peek = select(Unit.code).where(exists().where(Customer.unit_id == Unit.id))
    assert _names(peek) == HERE


def test_a_union_is_filtered_or_refused(two: Two, work: Any) -> None:
    both = union(select(Customer.name), select(Stage.label))
    try:
        found = {row[0] for row in work.execute(both)}
    except ScopeError:
        return
    assert found == HERE


def test_a_union_as_a_subquery_is_filtered(two: Two, work: Any) -> None:
    both = union(select(Customer.name.label("name")), select(Stage.label.label("name"))).subquery()
    counted = select(Customer.name, both.c.name).join(both, literal(True))
    assert {n for row in work.execute(counted) for n in row} == HERE


def test_raw_sql_and_core_statements_are_refused(two: Two, work: Any) -> None:
    table = Customer.__table__
    for statement in (
        text("select name from core_customer"),
        select(table.c.name),
        select(Customer).from_statement(text("select * from core_customer")),
        update(table).values(name="x"),
        delete(table),
        insert(table).values(name="x"),
    ):
        with pytest.raises(ScopeError):
            work.execute(statement)


def test_foreign_ids_look_like_missing_ones(two: Two, work: Any) -> None:
    assert fetch(Customer, two.own).name == "HERE"
    for raw in (two.foreign, str(two.foreign), "abc", "", None, 10**30, -1, "1e3", "１"):
        with pytest.raises(NotFound):
            fetch(Customer, raw)
    assert work.get(Customer, two.foreign) is None


def test_nothing_leaks_between_sessions_through_the_identity_map(two: Two) -> None:
    with in_scope(two.there) as theirs:
        assert theirs.get(Customer, two.foreign).name == "THERE"
        theirs.commit()  # lets go of SQLite's write lock and keeps the identity map
        with in_scope(two.here) as ours:
            assert ours.get(Customer, two.foreign) is None
        assert theirs.get(Customer, two.foreign).name == "THERE"


@pytest.mark.parametrize("loader", [None, joinedload, selectinload, subqueryload])
def test_relationships_load_own_rows_only(two: Two, loader: Any) -> None:
    with as_system() as everything:
        # A row of the other unit that claims to belong to our customer.
        everything.add(CustomerPhone(unit_id=two.there.id, customer_id=two.own, digits="999", display="999"))
    with in_scope(two.here) as work:
        found = select(Customer).options(*([loader(Customer.phones)] if loader else []))
        customer = work.scalars(found).unique().one()
        assert [p.digits for p in customer.phones] == ["13800000000"]
        work.expire_all()
        assert [p.digits for p in customer.phones] == ["13800000000"]
        work.refresh(customer, ["phones"])
        assert [p.digits for p in customer.phones] == ["13800000000"]


def test_a_parent_of_another_unit_is_not_loaded(two: Two) -> None:
    with as_system() as everything:
        everything.add(CustomerPhone(unit_id=two.here.id, customer_id=two.foreign, digits="777", display="777"))
    with in_scope(two.here) as work:
        phone = work.scalars(select(CustomerPhone).where(CustomerPhone.digits == "777")).one()
        assert phone.customer is None


def test_two_scopes_in_a_row_use_their_own_units(two: Two) -> None:
    seen = []
    for units in (two.here, two.there, [two.here, two.there], [], two.here):
        with in_scope(units) as work:
            seen.append(sorted(work.scalars(select(Customer.name))))
    assert seen == [["HERE"], ["THERE"], ["HERE", "THERE"], [], ["HERE"]]


def test_bulk_updates_and_deletes_reach_own_rows_only(two: Two, work: Any) -> None:
    by_hand = {"audited": "test"}
    work.execute(update(Stage).values(label="changed"), execution_options=by_hand)
    work.execute(
        update(Stage).where(Stage.id.in_(select(Stage.id))).values(active=False), execution_options=by_hand
    )
    work.commit()
    with as_system() as everything:
        assert sorted(everything.scalars(select(Stage.label))) == ["THERE", "changed"]
        assert sorted(everything.scalars(select(Stage.active))) == [False, True]


def test_bulk_deletes_reach_own_rows_only(two: Two, work: Any) -> None:
    with pytest.raises(ScopeError, match="audit"):
        work.execute(delete(Stage))
    work.execute(delete(Stage), execution_options={"audited": "test"})
    work.commit()
    with as_system() as everything:
        assert everything.scalars(select(Stage.label)).all() == ["THERE"]


def test_bulk_changes_that_cannot_be_filtered_are_refused(two: Two, work: Any) -> None:
    with pytest.raises(ScopeError):
        work.execute(update(CustomerPhone), [{"id": 1, "label": "x"}], execution_options={"audited": "test"})
    with pytest.raises(ScopeError):
        work.execute(update(CustomerPhone).values(unit_id=two.there.id), execution_options={"audited": "test"})
    with pytest.raises(ScopeError):
        work.bulk_save_objects([])
    with pytest.raises(ScopeError):
        work.bulk_insert_mappings(Stage, [{"unit_id": two.there.id}])
    with pytest.raises(ScopeError):
        work.bulk_update_mappings(Stage, [{"id": 1}])


def test_inserts_into_another_unit_are_refused(two: Two, work: Any) -> None:
    row = {"record_type": "case", "state": "s", "label": "l", "pauses_clock": False, "active": True}
    foreign = {**row, "unit_id": two.there.id}
    own = {**row, "unit_id": two.here.id}
    for attack in (
        lambda: work.execute(insert(Stage), [own, foreign]),
        lambda: work.execute(insert(Stage), foreign),
        lambda: work.execute(insert(Stage).values(foreign)),
        lambda: work.execute(insert(Stage).values([own, foreign])),
        lambda: work.execute(insert(Stage).values(unit_id=two.there.id), row),
        lambda: work.execute(insert(Stage), row),
        lambda: work.execute(insert(Stage).from_select(["unit_id", "label"], select(Unit.id, Unit.code))),
    ):
        with pytest.raises(ScopeError):
            attack()
    work.execute(insert(Stage).values([own, {**own, "label": "m"}]))
    work.execute(insert(Stage), [{**own, "label": "n"}])
    assert work.scalar(select(func.count()).select_from(Stage)) == 4


def test_an_upsert_cannot_take_over_a_foreign_row(two: Two, work: Any, app: Flask) -> None:
    dialect: Any = postgresql if db.engine.dialect.name == "postgresql" else sqlite
    with as_system() as everything:
        everything.add(Setting(id=900, unit_id=two.there.id, room="r", key="k", value=1))
    row = {"id": 900, "unit_id": two.here.id, "room": "r", "key": "k", "value": 2}
    steal = dialect.insert(Setting).values(row).on_conflict_do_update(index_elements=["id"], set_={"value": 2})
    with pytest.raises(ScopeError):
        work.execute(steal)
    own = dialect.insert(Setting).values({**row, "id": 901})
    work.execute(own.on_conflict_do_update(index_elements=["unit_id", "room", "key"], set_={"value": 3}))
    assert work.scalars(select(Setting.value)).all() == [2]


def test_flushes_outside_the_scope_are_refused(two: Two) -> None:
    with in_scope(two.here) as work:
        work.add(Stage(unit_id=two.there.id, record_type="case", state="s", label="x"))
        with pytest.raises(ScopeError):
            work.flush()
    with in_scope([two.here, two.there]) as work:
        stage = work.scalars(select(Stage).where(Stage.label == "HERE")).one()
        stage.unit_id = two.there.id
        with pytest.raises(ScopeError, match="never changes its unit"):
            work.flush()


def test_a_row_taken_from_another_session_cannot_be_written(two: Two) -> None:
    with in_scope(two.there) as theirs:
        stage = theirs.scalars(select(Stage)).one()
        theirs.expunge(stage)
    with in_scope(two.here) as work:
        work.add(stage)
        stage.label = "stolen"
        with pytest.raises(ScopeError):
            work.flush()
        work.rollback()
    with in_scope(two.here) as work, pytest.raises(ScopeError):
        work.delete(stage)
        work.flush()


def test_reading_does_not_allow_writing(two: Two, app: Flask) -> None:
    from core.kernel.database import opened_scope

    scope = Scope(None, frozenset({two.here.id, two.there.id}), frozenset({two.here.id}), "test")
    with app.app_context(), opened_scope(scope) as work:
        assert len(work.scalars(select(Stage)).all()) == 2
        work.execute(update(Stage).values(label="mine"), execution_options={"audited": "test"})
        assert sorted(work.scalars(select(Stage.label).execution_options(populate_existing=True))) == [
            "THERE",
            "mine",
        ]
        foreign = work.scalars(select(Stage).where(Stage.unit_id == two.there.id)).one()
        foreign.label = "x"
        with pytest.raises(ScopeError):
            work.flush()


def test_without_a_scope_there_is_no_data(two: Two, app: Flask) -> None:
    with app.app_context():
        with pytest.raises(ScopeError):
            current_scope()
        for statement in (
            select(Customer),
            select(Customer.name),
            select(func.count()).select_from(Customer),
            select(User.id).where(exists().where(Customer.id == 1)),
            select(User.id).where(User.id.in_(select(Customer.id))),
            select(User.id).join(Customer, Customer.id == User.id),
            select(select(Customer.name).scalar_subquery()),
            text("select 1"),
            select(text("1")),
            update(Stage).values(label="x"),
            delete(Stage),
            insert(Stage).values(unit_id=1),
        ):
            with pytest.raises(ScopeError):
                session().execute(statement)
        with pytest.raises(ScopeError):
            session().get(Customer, two.own)
        session().add(Stage(unit_id=two.here.id, record_type="case", state="s", label="x"))
        with pytest.raises(ScopeError):
            session().flush()
    with app.app_context():
        assert session().scalars(select(UnitPlugin.plugin)).all() == []


def test_a_session_keeps_its_scope_for_life(two: Two, work: Any) -> None:
    with pytest.raises(ScopeError):
        set_scope(Scope(None, frozenset({two.there.id}), frozenset(), "another"))
    with system_scope("test") as other:
        assert len(other.scalars(select(Customer)).all()) == 2
    assert _names(select(Customer.name)) == HERE


def test_a_get_request_cannot_write(two: Two, work: Any) -> None:
    token = access_mode.set("read")
    try:
        for statement in (
            update(Stage).values(label="x"),
            delete(Stage),
            insert(Stage).values(unit_id=two.here.id),
        ):
            with pytest.raises(ScopeError, match="GET"):
                work.execute(statement, execution_options={"audited": "test", "unscoped": "test"})
        work.add(Stage(unit_id=two.here.id, record_type="case", state="s", label="x"))
        with pytest.raises(ScopeError, match="GET"):
            work.flush()
    finally:
        access_mode.reset(token)


def test_every_table_is_scoped_or_says_why_not(app: Flask) -> None:
    from core.kernel.database import Base, UnitScoped

    for mapper in Base.registry.mappers:
        scoped = issubclass(mapper.class_, UnitScoped)
        assert scoped != bool(mapper.class_.__global__), mapper.class_.__name__


# Raw doors past the scope. They stand in the kernel; elsewhere each use has its reason here.
DOORS = re.compile(r"\.connection\(\)|db\.engine|\.__table__|\btext\(|literal_column\(|unscoped")
ALLOWED = {
    "core/app.py": "prepares the engine at start",
    "core/customers/importing.py": "tells the kernel for which table to reserve ids",
    "core/customers/services.py": "tells the kernel which table's references a merge moves",
    "core/rules/approvers.py": "a leader above may let somebody below decide in their place",
    "core/rules/effective.py": "clause settings are inherited from units above, which may be out of scope",
    "core/rules/receipts.py": "changed clauses of units above, which may be out of scope, are acknowledged below",
    "core/rules/settings.py": "clause settings are inherited from units above, which may be out of scope",
    "core/rules/unit_calendars.py": "calendars are inherited from units above, which may be out of scope",
    "core/units/settings.py": "settings are inherited from units above, which may be out of scope",
    "core/users/sign_in.py": "asks which dialect's upsert to build",
    "core/web/context.py": "reads plugin switches of the actor's own unit",
}


def test_raw_doors_stay_in_the_kernel() -> None:
    found = []
    for folder in ("core", "plugins"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if name.startswith(("core/kernel/", "core/cli/")) or name in ALLOWED or "/migrations/" in name:
                continue
            if "/tests/" in name or name.endswith("models.py"):
                continue
            for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
                if DOORS.search(line):
                    found.append(f"{name}:{number}: {line.strip()}")
    assert not found, "\n".join(found)
