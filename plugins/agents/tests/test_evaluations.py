"""Looks at service agents: entered with scores, listed, and the recurring task done with it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from core.kernel import clock
from core.kernel.errors import InvalidData, NotAllowed
from core.rules import schedules
from core.sdk import Record, system_scope, transaction
from core.tasks.models import Task
from plugins.agents import evaluations, rights, values
from plugins.agents.models import Evaluation
from plugins.agents.tests.scene import ALL, EQUIP, Place, make_place
from tests.helpers import current, login, make_unit, make_user

JANUARY = datetime(2026, 1, 5, 2, tzinfo=UTC)  # the first half year that began with the plugin on
NAME = "宁波服务站"
SEEN = {"on": "2026-01-05", "means": "visit", "awareness": "4", "attitude": "5", "skill": "3", "quality": "4"}


@pytest.fixture
def place(app: Any) -> Place:
    return in_january()


@pytest.fixture
def lite(sqlite_app: Any) -> Place:
    return in_january()


def in_january() -> Place:
    made = make_place(EQUIP)
    made.now = JANUARY
    return made


def enter(place: Place, agent: int, permissions: Any = ALL, **given: Any) -> int:
    with place.acting(permissions=permissions), transaction():
        return evaluations.register(place.unit.id, {**SEEN, "agent_id": str(agent), **given}).id


def tasks_made(place: Place) -> None:
    with clock.frozen(place.now), current().app_context(), system_scope("test"):
        schedules.create_due(place.unit.id)


def tasks(place: Place) -> list[tuple[str, str, datetime | None]]:
    """Return (about whom, state, when it was closed) of the tasks of the clause."""
    with place.acting() as work:
        found = work.execute(
            select(Task.subject_text, Record.state, Record.closed_at)
            .join(Record, Record.id == Task.id)
            .where(Task.clause == evaluations.CLAUSE, Task.unit_id == place.unit.id)
            .order_by(Task.id)
        )
        return [(row.subject_text, row.state, row.closed_at) for row in found]


@pytest.mark.clause("R22-1.X4")
def test_an_evaluation_does_the_task_of_that_agent_and_no_other(place: Place) -> None:
    place.clause("R22-1.X4")
    agent = place.agent(values.SERVICE, NAME)
    place.agent(values.SERVICE, "温州服务站")
    tasks_made(place)
    assert [one[1] for one in tasks(place)] == ["open", "open"]
    key = enter(place, agent, satisfaction="5", finding="工具齐全")
    assert {one[0]: one[1] for one in tasks(place)} == {NAME: "done", "温州服务站": "open"}
    with place.acting() as work:
        held = work.get_one(Evaluation, key)
        assert (held.skill, held.satisfaction, held.finding) == (3, 5, "工具齐全")
        assert held.entered_by == place.desk.id
        result = work.scalars(select(Task.result).where(Task.subject_text == NAME)).one()
        assert "3" in result
    tasks_made(place)  # what is done does not come again in the same half year
    assert len(tasks(place)) == 2


@pytest.mark.clause("R22-1.X4")
def test_what_was_seen_earlier_does_the_task_on_that_day(lite: Place) -> None:
    lite.clause("R22-1.X4")
    agent = lite.agent(values.SERVICE, NAME)
    tasks_made(lite)
    lite.later(days=10)
    enter(lite, agent)
    assert tasks(lite)[0][2] == datetime(2026, 1, 5, 4, tzinfo=UTC)  # noon in China
    with lite.acting() as work:
        assert len(list(work.scalars(select(Evaluation)))) == 1


def test_before_the_period_began_it_does_no_task(lite: Place) -> None:
    lite.clause("R22-1.X4")
    agent = lite.agent(values.SERVICE, NAME)
    tasks_made(lite)
    enter(lite, agent, on="2025-12-31")
    assert tasks(lite)[0][1] == "open"


def test_without_a_task_an_evaluation_is_kept_all_the_same(lite: Place) -> None:
    assert enter(lite, lite.agent(values.AGENT, "华东代理"))
    assert tasks(lite) == []


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"agent_id": ""}, "agent_id"),
        ({"agent_id": "999999"}, "agent_id"),
        ({"agent_id": "x' OR 1=1"}, "agent_id"),
        ({"on": ""}, "on"),
        ({"on": "2025-02-30"}, "on"),
        ({"on": "2026-01-06"}, "on"),
        ({"on": "0001-01-01"}, "on"),
        ({"means": "rumour"}, "means"),
        ({"skill": "0"}, "skill"),
        ({"skill": "6"}, "skill"),
        ({"skill": "3.5"}, "skill"),
        ({"quality": ""}, "quality"),
        ({"satisfaction": "-1"}, "satisfaction"),
        ({"finding": "x" * 2001}, "finding"),
    ],
)
def test_impossible_input_is_told_beside_its_field(lite: Place, given: dict[str, str], wrong: str) -> None:
    agent = lite.agent(values.SERVICE, NAME)
    with pytest.raises(InvalidData) as caught:
        enter(lite, agent, **given)
    assert set(caught.value.errors) == {wrong}


def test_partners_agents_of_other_units_and_those_out_of_use_are_none_to_choose(lite: Place) -> None:
    partner = lite.agent(values.PARTNER, "合作厂")
    gone = lite.agent(values.SERVICE, "停用服务站", active=False)
    other = make_place(EQUIP).agent(values.SERVICE, "别处服务站")
    for one in (partner, gone, other):
        with pytest.raises(InvalidData) as caught:
            enter(lite, one)
        assert set(caught.value.errors) == {"agent_id"}


def test_the_same_evaluation_sent_twice_is_one(lite: Place) -> None:
    agent = lite.agent(values.SERVICE, NAME)
    enter(lite, agent)
    with pytest.raises(InvalidData):
        enter(lite, agent)
    enter(lite, agent, means="phone")


def test_only_who_keeps_the_file_enters_one(lite: Place) -> None:
    with pytest.raises(NotAllowed):
        enter(lite, lite.agent(values.SERVICE, NAME), ALL - {rights.KEEP})


def test_the_screen_lists_shows_and_takes_evaluations(lite: Place) -> None:
    agent = lite.agent(values.SERVICE, NAME)
    with clock.frozen(lite.now):
        client = login(current().test_client(), make_user(lite.unit, ALL))
        form = client.get(f"/admin/agents/evaluations/new/?agent={agent}")
        assert form.status_code == 200 and NAME in form.text
        bad = client.post("/admin/agents/evaluations/new/", data={**SEEN, "agent_id": agent, "skill": "9"})
        assert bad.status_code == 422
        sent = client.post(
            "/admin/agents/evaluations/new/", data={**SEEN, "agent_id": agent, "finding": "零件架整齐"}
        )
        assert sent.status_code == 302
        assert NAME in client.get(sent.location).text
        page = client.get("/admin/agents/evaluations/").text
        assert NAME in page and "零件架整齐" in page
        assert NAME in client.get(f"/admin/agents/evaluations/?q={NAME[:2]}").text
        stranger = login(current().test_client(), make_user(lite.unit, ALL - {rights.KEEP}))
        assert stranger.post("/admin/agents/evaluations/new/", data={**SEEN, "agent_id": agent}).status_code == 403
        elsewhere = login(current().test_client(), make_user(make_unit(), ALL))
        assert elsewhere.get(sent.location).status_code == 404
