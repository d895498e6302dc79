"""Positions, what they carry and how far; who may administer whom."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.kernel import clock
from core.kernel.database import transaction
from core.kernel.errors import InvalidData, NotAllowed, NotFound, Refused
from core.units.models import Unit, UnitPlugin
from core.users import permissions, services
from core.users.actor import load_by_id
from core.users.models import Position, User, UserPosition
from core.users.permissions import Permission, require, units_where
from core.users.positions import AUDITOR, POSITIONS, SECURITY_ADMIN, SYSTEM_ADMIN, seed_positions
from tests.helpers import as_system, in_scope, login, make_position, make_unit, make_user

START = date(2026, 1, 1)


@pytest.fixture
def tree(app: Flask) -> dict[str, Unit]:
    top = make_unit("TOP")
    branch = make_unit("BRANCH", top)
    return {"top": top, "branch": branch, "store": make_unit("STORE", branch), "other": make_unit("OTHER")}


def seeded(code: str) -> int:
    with as_system() as work:
        seed_positions()
        return work.scalar(select(Position.id).where(Position.code == code))


def held(user: User) -> dict[str, set[str]]:
    with as_system():
        actor = load_by_id(user.id)
    return {u.code: set(actor.units[u.id]) for u in actor.tree}


# --- the shipped positions -------------------------------------------------------------------


def test_shipped_positions_only_carry_known_permissions() -> None:
    assert len({p.code for p in POSITIONS}) == len(POSITIONS)
    for position in POSITIONS:
        for code in position.permissions:
            assert permissions.is_known(code), f"{position.code}: {code}"


def test_the_three_administrators_share_no_power() -> None:
    by_code = {p.code: set(p.permissions) for p in POSITIONS}
    system, security, auditor = by_code[SYSTEM_ADMIN], by_code[SECURITY_ADMIN], by_code[AUDITOR]
    assert not system & security and not security & auditor
    assert not {c for c in auditor if not c.endswith((".view", ".export"))}
    guarded = {"user.admin", "position.admin", "security.admin", "audit.view", "plugin.switch", "unit.admin"}
    for code, held_codes in by_code.items():
        if code not in (SYSTEM_ADMIN, SECURITY_ADMIN, AUDITOR):
            assert not held_codes & guarded, code


def test_seeding_twice_changes_nothing_and_keeps_what_administrators_did(app: Flask) -> None:
    with as_system() as work:
        seed_positions()
        row = work.scalars(select(Position).where(Position.code == "reception")).one()
        row.permissions = ["case.view"]
    with as_system() as work:
        assert seed_positions() == 0
        assert work.scalar(select(Position.permissions).where(Position.code == "reception")) == ["case.view"]


def test_a_new_permission_goes_to_its_default_positions_once(app: Flask, monkeypatch: Any) -> None:
    seeded("gm")
    monkeypatch.setattr(permissions, "_known", dict(permissions._known))
    permissions.register([Permission("thing.view", "See things", "Things", ("gm", "nobody"))])
    with as_system() as work:
        assert seed_positions() == 1 and seed_positions() == 0
        assert "thing.view" in work.scalar(select(Position.permissions).where(Position.code == "gm"))


def test_a_permission_is_declared_once(monkeypatch: Any) -> None:
    monkeypatch.setattr(permissions, "_known", dict(permissions._known))
    with pytest.raises(ValueError, match="twice"):
        permissions.register([Permission("case.view", "Something else", "Cases")])


# --- how far a position reaches --------------------------------------------------------------


def test_a_position_holds_in_its_unit_and_below_only_if_it_says_so(tree: dict[str, Unit]) -> None:
    assert held(make_user(tree["branch"], {"case.view"})) == {"BRANCH": {"case.view"}}
    assert held(make_user(tree["branch"], {"case.view"}, below=True)) == {
        "BRANCH": {"case.view"},
        "STORE": {"case.view"},
    }


def test_a_path_that_only_starts_alike_is_not_below(app: Flask) -> None:
    units = [make_unit(f"N{n}") for n in range(12)]
    first = units[0]
    alike = [u for u in units[1:] if str(u.id).startswith(str(first.id))]
    assert alike, "the test needs ids such as 1 and 10"
    assert set(held(make_user(first, {"case.view"}, below=True))) == {first.code}


def test_positions_add_up_and_stay_in_their_units(tree: dict[str, Unit]) -> None:
    user = make_user(tree["top"], {"case.view"}, below=True)
    position = make_position(permissions={"case.close"})
    with as_system() as work:
        work.add(UserPosition(user_id=user.id, unit_id=tree["store"].id, position_id=position.id, valid_from=START))
    assert held(user)["STORE"] == {"case.view", "case.close"}
    assert held(user)["BRANCH"] == {"case.view"}


def test_positions_begin_and_end_by_the_day_of_their_unit(tree: dict[str, Unit], frozen_clock: Any) -> None:
    user = make_user(None)
    position = make_position(permissions={"case.view"})
    with as_system() as work:
        work.add(
            UserPosition(
                user_id=user.id,
                unit_id=tree["top"].id,
                position_id=position.id,
                valid_from=date(2026, 3, 2),
                valid_to=date(2026, 3, 3),
            )
        )
    # Midnight in Shanghai is 16:00 UTC the day before.
    for moment, expected in (
        (datetime(2026, 3, 1, 15, 59, tzinfo=UTC), False),
        (datetime(2026, 3, 1, 16, 0, tzinfo=UTC), True),
        (datetime(2026, 3, 3, 15, 59, tzinfo=UTC), True),
        (datetime(2026, 3, 3, 16, 0, tzinfo=UTC), False),
    ):
        frozen_clock(moment)
        assert bool(held(user)) is expected, moment


def test_a_closed_unit_can_be_read_but_not_written(tree: dict[str, Unit]) -> None:
    user = make_user(tree["top"], {"case.view"}, below=True)
    with as_system() as work:
        work.scalars(select(Unit).where(Unit.code == "STORE")).one().active = False
    with as_system():
        scope = load_by_id(user.id).scope()
    assert tree["store"].id in scope.read and tree["store"].id not in scope.write


def test_require(tree: dict[str, Unit]) -> None:
    with in_scope(tree["top"], {"case.view"}):
        require("case.view", tree["top"].id)
        for code, unit in (("case.close", tree["top"].id), ("case.view", tree["other"].id), ("case.view", None)):
            with pytest.raises(NotAllowed) as refused:
                require(code, unit)
            assert refused.value.permission == code
        assert units_where("case.view") == {tree["top"].id}


# --- granting --------------------------------------------------------------------------------

ADMIN = {"user.admin", "security.admin", "position.admin"}


@pytest.fixture
def admin(tree: dict[str, Unit]) -> Any:
    actor = make_user(tree["top"], ADMIN)
    return lambda *units: in_scope(units or list(tree.values()), ADMIN, actor=actor)


@pytest.mark.parametrize("first", [SYSTEM_ADMIN, SECURITY_ADMIN, AUDITOR])
@pytest.mark.parametrize("second", [SYSTEM_ADMIN, SECURITY_ADMIN, AUDITOR])
def test_nobody_holds_two_of_the_three(tree: dict[str, Unit], admin: Any, first: str, second: str) -> None:
    user = make_user(None)
    one, two = seeded(first), seeded(second)
    with admin(), transaction():
        services.grant_position(user.id, tree["top"].id, one, START)
    with admin() as work:
        if first == second:
            services.grant_position(user.id, tree["other"].id, two, START)
            return
        with pytest.raises(Refused) as refused, transaction():
            services.grant_position(user.id, tree["other"].id, two, START)
        assert refused.value.refusals[0].code == "position.excluded"
        assert len(work.scalars(select(UserPosition).where(UserPosition.user_id == user.id)).all()) == 1


def test_one_after_the_other_is_allowed(tree: dict[str, Unit], admin: Any) -> None:
    user = make_user(None)
    one, two = seeded(SYSTEM_ADMIN), seeded(AUDITOR)
    with admin(), transaction():
        row = services.grant_position(user.id, tree["top"].id, one, START)
        services.end_position(row.id, date(2026, 1, 31))
        with pytest.raises(Refused):
            services.grant_position(user.id, tree["top"].id, two, date(2026, 1, 31))
        services.grant_position(user.id, tree["top"].id, two, date(2026, 2, 1))


def test_granting_needs_the_right_there_and_never_to_oneself(tree: dict[str, Unit], admin: Any) -> None:
    user, position = make_user(None), seeded("reception")
    with admin(tree["top"]), pytest.raises(NotFound):
        services.grant_position(user.id, tree["other"].id, position, START)
    with in_scope(tree["top"], {"case.view"}), pytest.raises(NotAllowed):
        services.grant_position(user.id, tree["top"].id, position, START)
    with in_scope(tree["top"], ADMIN, actor=user), pytest.raises(NotAllowed):
        services.grant_position(user.id, tree["top"].id, position, START)
    with admin(), pytest.raises(InvalidData):
        services.grant_position(user.id, tree["top"].id, position, START, date(2025, 1, 1))
    with admin(), transaction():
        services.grant_position(user.id, tree["top"].id, position, START)
        with pytest.raises(InvalidData):
            services.grant_position(user.id, tree["top"].id, position, START + timedelta(days=9))


def test_an_administrator_of_a_branch_cannot_take_over_the_head_office(tree: dict[str, Unit], admin: Any) -> None:
    boss = make_user(tree["top"], {"case.close"})
    position = make_position(permissions={"case.view"})
    with as_system() as work:
        work.add(UserPosition(user_id=boss.id, unit_id=tree["store"].id, position_id=position.id, valid_from=START))
    local = make_user(tree["store"], ADMIN)
    calls = (
        lambda: services.reset_password(boss.id),
        lambda: services.reset_totp(boss.id),
        lambda: services.force_sign_out(boss.id),
        lambda: services.note_unlock(boss.id),
        lambda: services.update_user(boss.id, {"username": "x", "name": "x", "locale": "zh"}),
    )
    for call in calls:
        with in_scope(tree["store"], ADMIN, actor=local), pytest.raises(NotAllowed):
            call()
        with in_scope(tree["other"], ADMIN, actor=local), pytest.raises(NotFound):
            call()
        with in_scope(tree["store"], {"case.view"}, actor=local), pytest.raises(NotAllowed):
            call()
    with admin(), transaction():
        assert services.reset_password(boss.id)


def test_positions_are_changed_by_those_responsible_for_all_units(tree: dict[str, Unit], admin: Any) -> None:
    target = seeded("reception")
    wanted = {"title": "接待", "title_en": "", "permissions": ["case.view"], "below": False, "requires_totp": True}
    with admin(tree["top"]), pytest.raises(NotAllowed):
        services.update_position(target, **wanted)
    with admin(), pytest.raises(InvalidData):
        services.update_position(target, **{**wanted, "permissions": ["no.such"]})
    with admin(), transaction():
        assert services.update_position(target, **wanted).permissions == ["case.view"]
    user = make_user(tree["top"], position=_position(target))
    with in_scope(list(tree.values()), ADMIN, actor=user), pytest.raises(NotAllowed):
        services.update_position(target, **{**wanted, "permissions": ["case.view", "case.close"]})


def _position(position_id: int) -> Position:
    with as_system() as work:
        return work.scalars(select(Position).where(Position.id == position_id)).one()


def test_users_are_created_with_a_password_to_be_changed(tree: dict[str, Unit], admin: Any) -> None:
    with admin(), transaction():
        user, password = services.create_user({"username": "LiSi", "name": "李四", "active": "1"})
        assert user.username == "lisi" and user.must_change_password and len(password) >= 16
        for bad in (
            {"username": "lisi", "name": "x"},
            {"username": "a b", "name": "x"},
            {"username": "", "name": ""},
        ):
            with pytest.raises(InvalidData):
                services.create_user(bad)


def test_holders_and_staff(tree: dict[str, Unit]) -> None:
    there, above = seeded("reception"), seeded("gm")
    first = make_user(tree["store"], position=_position(there), name="前台")
    boss = make_user(tree["top"], position=_position(above), name="总经理")
    with in_scope(tree["store"]):
        assert services.holders("reception", tree["store"].id) == [(first.id, "前台")]
        assert services.holders("gm", tree["store"].id) == [(boss.id, "总经理")]
        assert services.holders("reception", tree["other"].id) == []
        assert [user.id for user in services.staff_of(tree["store"].id)] == [first.id]


# --- the request -----------------------------------------------------------------------------


def test_a_request_needs_three_small_statements(app: Flask, tree: dict[str, Unit], count_queries: Any) -> None:
    user = make_user(tree["top"], {"case.view"}, below=True)
    client = login(app.test_client(), user)
    with count_queries() as seen:
        assert client.get("/account/one-time-codes").status_code == 200
    assert len(seen) <= 3, seen


def test_a_switch_counts_at_the_next_request(app: Flask, tree: dict[str, Unit]) -> None:
    from flask import g

    user = make_user(tree["top"], {"case.view"})
    client = login(app.test_client(), user)

    def enabled() -> frozenset[str]:
        with client:
            client.get("/account")
            return g.unit.enabled

    assert enabled() == frozenset()
    with as_system() as work:
        work.add(UnitPlugin(unit_id=tree["top"].id, plugin="products", changed_at=clock.now()))
        work.add(UnitPlugin(unit_id=tree["other"].id, plugin="elsewhere", changed_at=clock.now()))
    assert enabled() == {"products"}
    with as_system() as work:
        work.scalars(select(UnitPlugin).where(UnitPlugin.plugin == "products")).one().enabled = False
    assert enabled() == frozenset()


def test_somebody_without_a_position_is_told_so(app: Flask, tree: dict[str, Unit]) -> None:
    client = login(app.test_client(), make_user(None))
    assert client.get("/admin/").status_code == 403
    assert client.get("/account").status_code == 200


def test_a_revoked_position_is_gone_at_the_next_request(app: Flask, tree: dict[str, Unit]) -> None:
    user = make_user(tree["top"], {"case.view"})
    client = login(app.test_client(), user)
    assert client.get("/admin/").status_code == 200
    with as_system() as work:
        row = work.scalars(select(UserPosition).where(UserPosition.user_id == user.id)).one()
        services.end_position(row.id, date(2020, 1, 1) - timedelta(days=1))
    assert client.get("/admin/").status_code == 403
