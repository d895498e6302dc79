"""Who may use which kind of tool, and who keeps special ones."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.kernel import clock
from core.sdk import InvalidData, NotAllowed, Refused, transaction
from plugins.tools import permits, rights, values
from plugins.tools.models import Permit
from tests.helpers import make_unit, make_user

from .scene_file import MONDAY, Room, make_room

DRILL, SPECIAL = "电动螺丝刀", "网线钳"


@pytest.fixture
def room(app: Flask) -> Iterator[Room]:
    with clock.frozen(MONDAY):
        yield make_room()


def grant(room: Room, **raw: Any) -> int:
    given = {"user_id": str(room.first.id), "kind_id": DRILL, "what": "use", "basis": "2026-02 培训", **raw}
    with room.acting(), transaction():
        return permits.grant(room.unit.id, given).id


def holds(room: Room, day: date, what: str = values.USE_PERMIT, kind: str = DRILL) -> bool:
    key = room.kind(kind)
    with room.acting():
        return permits.holds(room.first.id, key, what, day)


@pytest.mark.clause("R33-2.1")
def test_a_permit_holds_from_its_first_to_its_last_day(room: Room) -> None:
    grant(room, starts_on="2026-03-01", ends_on="2026-03-31")
    assert [
        holds(room, day) for day in (date(2026, 2, 28), date(2026, 3, 1), date(2026, 3, 31), date(2026, 4, 1))
    ] == [
        False,
        True,
        True,
        False,
    ]
    assert not holds(room, MONDAY.date(), values.KEEP_PERMIT)
    assert not holds(room, MONDAY.date(), kind="背包")


def test_taken_back_it_does_not_hold_from_that_day(room: Room) -> None:
    key = grant(room)
    assert holds(room, MONDAY.date())
    with room.acting() as work, transaction():
        permits.end(work.scalars(select(Permit).where(Permit.id == key)).one(), {"reason": "转岗"})
    assert not holds(room, MONDAY.date())
    with room.acting(), transaction(), pytest.raises(Refused):
        permits.end(permits.get(key), {"reason": "again"})
    grant(room)  # and given anew
    assert holds(room, MONDAY.date())


@pytest.mark.clause("R15-17")
def test_only_special_tools_have_registered_keepers(room: Room) -> None:
    with pytest.raises(InvalidData) as bad:
        grant(room, what="keep")
    assert list(bad.value.errors) == ["what"]
    grant(room, what="keep", kind_id=SPECIAL)
    assert holds(room, MONDAY.date(), values.KEEP_PERMIT, SPECIAL)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"user_id": "0"}, "user_id"),
        ({"user_id": "nobody"}, "user_id"),
        ({"kind_id": "飞船"}, "kind_id"),
        ({"what": "fly"}, "what"),
        ({"basis": ""}, "basis"),
        ({"starts_on": "2026-03-05", "ends_on": "2026-03-04"}, "ends_on"),
        ({"ends_on": "2026-03-01"}, "ends_on"),
    ],
)
def test_what_does_not_fit_is_said_beside_its_field(room: Room, wrong: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidData) as bad:
        grant(room, **wrong)
    assert list(bad.value.errors) == [field]


def test_people_of_other_units_get_none(room: Room) -> None:
    stranger = make_user(make_unit(), {rights.OWN})
    with pytest.raises(InvalidData):
        grant(room, user_id=str(stranger.id))


def test_one_permit_at_a_time(room: Room) -> None:
    grant(room, starts_on="2026-03-01", ends_on="2026-03-31")
    for days in ({}, {"starts_on": "2026-03-31"}, {"starts_on": "2026-02-01", "ends_on": "2026-03-01"}):
        with pytest.raises(InvalidData):
            grant(room, **days)
    grant(room, starts_on="2026-04-01")
    grant(room, starts_on="2026-02-01", ends_on="2026-02-28")


def test_granting_needs_the_keeper_or_a_supervisor(room: Room) -> None:
    given = {"user_id": str(room.second.id), "kind_id": DRILL, "what": "use", "basis": "x"}
    with room.acting(room.first, {rights.OWN, rights.VIEW}), pytest.raises(NotAllowed), transaction():
        permits.grant(room.unit.id, given)
    with room.acting(permissions={rights.DECIDE}), transaction():
        assert permits.grant(room.unit.id, given).granted_by == room.keeper.id


def test_a_day_to_come_or_before_it_began_is_no_end(room: Room) -> None:
    key = grant(room)
    for day in ("2026-03-03", "2026-03-01"):
        with room.acting(), pytest.raises(InvalidData), transaction():
            permits.end(permits.get(key), {"reason": "x", "ended_on": day})
