"""The test bench itself: what one test writes, the next does not see."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from core.kernel.database import session
from core.kernel.errors import ScopeError
from core.units.models import Unit
from tests.helpers import as_system, in_scope, make_unit, make_user


@pytest.mark.parametrize("turn", ["first", "second"])
def test_every_test_starts_with_the_same_database(app, turn):
    unit = make_unit("HQ")
    user = make_user(unit)
    with as_system() as work:
        assert [u.code for u in work.scalars(select(Unit))] == ["HQ"]
    assert (unit.id, user.id) == (1, 1)


def test_a_session_without_scope_reads_nothing(app):
    from core.customers.models import Customer

    with app.app_context(), pytest.raises(ScopeError):
        session().scalars(select(Customer)).all()


def test_in_scope_sees_only_its_units(app):
    mine, other = make_unit("A"), make_unit("B")
    with in_scope(mine):
        from core.units.models import Setting

        session().add(Setting(unit_id=other.id, room="core", key="x", value=1))
        with pytest.raises(ScopeError):
            session().flush()


def test_queries_are_counted(app, count_queries):
    with count_queries() as seen, as_system() as work:
        work.scalars(select(Unit)).all()
    assert len(seen) == 1
