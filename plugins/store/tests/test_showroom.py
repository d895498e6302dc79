"""Showroom tasks, displays kept up and changed each season, what an inspection finds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.rules.schedules import create_due
from core.sdk import Inspection, InvalidData, NotAllowed, NotFound, Place, Record, inspections, system_scope
from plugins.store import checklists, rights, showroom
from plugins.store.models import Showroom
from tests.helpers import as_system

from .scene import Shop, make_shop

RECORDS = ("R24-1.4", "R24-1.6", "R02-14")


@pytest.fixture
def shop(app: Flask) -> Iterator[Shop]:
    yield make_shop(off=(*RECORDS, "R02-CK"))


@pytest.fixture
def small(sqlite_app: Flask) -> Iterator[Shop]:
    yield make_shop(off=(*RECORDS, "R02-CK"))


def shelf(shop: Shop, code: str = "A1", active: bool = True) -> int:
    with as_system() as work:
        row = Place(unit_id=shop.unit.id, kind="shelf", code=code, name=f"展台{code}", active=active)
        work.add(row)
        work.flush()
        row.path = f"/{row.id}/"
        return int(row.id)


def task(shop: Shop, **raw: Any) -> int:
    given = {"kind": "install", "text": "安装新款沙发样品", **raw}
    with shop.acting():
        return int(showroom.register(shop.unit.id, given).id)


def due(shop: Shop) -> None:
    with shop.acting(), system_scope("test"):
        create_due(shop.unit.id)


def tasks(shop: Shop, **wanted: Any) -> list[Showroom]:
    found = shop.all(select(Showroom).where(Showroom.unit_id == shop.unit.id).order_by(Showroom.id))
    return [one for one in found if all(getattr(one, name) == value for name, value in wanted.items())]


def checks(shop: Shop, clause: str) -> list[Inspection]:
    return shop.all(select(Inspection).where(Inspection.unit_id == shop.unit.id, Inspection.clause == clause))


@pytest.mark.clause("R24-1.4")
def test_samples_come_and_go_with_an_entry(shop: Shop) -> None:
    shop.clause("R24-1.4")
    key = task(shop, place_id=shelf(shop))
    with as_system() as work:
        record = work.get_one(Record, key)
        assert record.number.startswith("ZT-") and "展台A1" in record.title
    with pytest.raises(InvalidData) as bad:
        shop.do(key, "finish")
    assert list(bad.value.errors) == ["result"] and "R24-1.4" in str(bad.value.texts())
    shop.do(key, "finish", result="已安装，已清洁")
    assert (shop.state(key), shop.facts(key)) == ("done", ["registered", "finished"])


@pytest.mark.clause("R24-1.6")
def test_exhibits_are_repaired_with_an_entry(shop: Shop) -> None:
    shop.clause("R24-1.6")
    key = task(shop, kind="repair", text="修理抽屉滑轨")
    with pytest.raises(InvalidData) as bad:
        shop.do(key, "finish", result="")
    assert "R24-1.6" in str(bad.value.texts())
    shop.clause("R24-1.6", holds=False)
    shop.do(key, "finish")
    assert shop.state(key) == "done"


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"kind": "other"}, "kind"),
        ({"text": ""}, "text"),
        ({"due_on": "2026-03-01"}, "due_on"),
        ({"due_on": "x"}, "due_on"),
        ({"place_id": "999999999"}, "place_id"),
        ({"place_id": "x"}, "place_id"),
        ({"assignee_id": "999999999"}, "assignee_id"),
    ],
)
def test_what_a_task_refuses(small: Shop, raw: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidData) as bad:
        task(small, **raw)
    assert list(bad.value.errors) == [field] and tasks(small) == []


def test_a_closed_place_and_who_may(shop: Shop) -> None:
    with pytest.raises(InvalidData) as bad:
        task(shop, place_id=shelf(shop, active=False))
    assert list(bad.value.errors) == ["place_id"]
    with shop.acting(permissions={rights.VIEW}), pytest.raises(NotAllowed):
        showroom.register(shop.unit.id, {"kind": "install", "text": "x"})
    key, other = task(shop), make_shop()
    with other.acting(), pytest.raises(NotFound):
        showroom.get(key)
    person = shop.staff("after_sales")
    shop.do(key, "assign", assignee_id=person.id)
    with as_system() as work:
        assert work.get_one(Record, key).assignee_id == person.id
    with shop.acting(person):
        assert showroom.get(key).id == key
    shop.do(key, "finish", person, result="好了")


@pytest.mark.clause("R02-14")
def test_displays_are_kept_up_weekly_and_changed_each_season(shop: Shop) -> None:
    shop.clause("R02-14")
    due(shop)
    assert checks(shop, "R02-14") == [] == tasks(shop)  # no display yet
    one, other = shelf(shop), shelf(shop, "B1")
    shelf(shop, "C1", active=False)
    for _ in range(2):
        due(shop)
    assert {row.place_id for row in checks(shop, "R02-14")} == {one, other}
    assert len(checks(shop, "R02-14")) == 2
    (season,) = tasks(shop, kind="season")
    assert (season.clause, season.starts_on.isoformat(), season.due_on.isoformat()) == (
        "R02-14",
        "2026-01-01",
        "2026-03-31",
    )
    shop.later(days=7)
    due(shop)
    assert len(checks(shop, "R02-14")) == 4 and len(tasks(shop)) == 1
    # A season begins on the day on which a week begins, too; the background work stood still meanwhile.
    shop.now = datetime(2026, 4, 8, 2, tzinfo=UTC)
    due(shop)
    assert [row.starts_on.isoformat() for row in tasks(shop, kind="season")] == ["2026-01-01", "2026-04-01"]
    shop.later(days=90)
    due(shop)
    assert len(tasks(shop, kind="season")) == 3


@pytest.mark.clause("R02-14")
def test_what_a_check_of_a_display_finds_becomes_a_task_once(shop: Shop) -> None:
    shop.clause("R02-14")
    shelf(shop)
    due(shop)
    (first,) = checks(shop, "R02-14")
    fill(shop, first.id, fails="labels")
    (found,) = tasks(shop, kind="maintain")
    assert (found.kind, found.place_id) == ("maintain", first.place_id) and "价签" in found.text
    shop.later(days=7)
    due(shop)
    second = max(checks(shop, "R02-14"), key=lambda one: one.id)
    fill(shop, second.id, fails="labels")
    assert len(tasks(shop, kind="maintain")) == 1
    shop.do(found.id, "finish", result="价签已补")
    shop.later(days=7)
    due(shop)
    fill(shop, max(checks(shop, "R02-14"), key=lambda one: one.id).id, fails="labels")
    assert len(tasks(shop, kind="maintain")) == 2


def fill(shop: Shop, key: int, fails: str = "") -> None:
    with shop.acting(permissions=ALL_RIGHTS):
        inspections.begin(key)
        answers = {
            item["key"]: "fail" if item["key"] == fails else "pass"
            for item in checklists.DISPLAY_ITEMS
            if item["kind"] == "check"
        }
        inspections.save(key, answers)
        inspections.finish(key)


ALL_RIGHTS = frozenset({inspections.VIEW, inspections.FILL, inspections.MANAGE, rights.VIEW})


@pytest.mark.clause("R02-CK")
def test_the_store_is_gone_through_every_month(shop: Shop) -> None:
    shop.clause("R02-CK")
    due(shop)
    due(shop)
    assert [one.subject for one in checks(shop, "R02-CK")] == ["unit"]
    shop.later(days=31)
    due(shop)
    assert len(checks(shop, "R02-CK")) == 2
    with as_system() as work:  # its own checklist stays when the plugin is switched on again
        checklists.seed(shop.unit)
        found = inspections.checklist_of(shop.unit.id, showroom.CONDUCT_LIST)
        assert found is not None
        found.active = False
        assert len(work.scalars(select(Place.id)).all()) == 0
    shop.later(days=31)
    due(shop)
    assert len(checks(shop, "R02-CK")) == 2


def test_what_is_over_its_day(shop: Shop) -> None:
    key = task(shop)
    day = shop.today + timedelta(days=1)
    with shop.acting():
        late = select(Showroom.id).join(Showroom.record).where(showroom.overdue(shop.unit.id, day))
    assert shop.all(late) == [key]
    shop.do(key, "finish")
    assert shop.all(late) == []
