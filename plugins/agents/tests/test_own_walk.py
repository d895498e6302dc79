"""Every address of the suite, walked by a person of an agent in a unit that is full of other people's things."""

from __future__ import annotations

from itertools import product
from typing import Any

from sqlalchemy import select

from core.sdk import Record
from plugins.agents import rights, values
from plugins.agents.models import Agent, Contact
from tests.helpers import as_system, login, make_user
from tests.test_every_route import MARK, OWN, PUBLIC, Scene, _set, ask, changed, writes

# What they have beyond every signed-in person: the lists of their own things, which are empty here.
THEIR_LISTS = ("agents_own_cases.", "agents_own_orders.", "agents_own_statements.")


def _walker(scene: Scene) -> Any:
    """Add an agent without anything, and a person of it."""
    user = make_user(scene.unit, (rights.OWN,), name="代理商的人", username="walker")
    with as_system() as work:
        agent = Agent(unit_id=scene.unit.id, code="DL9999", name="另一家代理", kind=values.SERVICE)
        work.add(agent)
        work.flush()
        work.add(
            Contact(
                unit_id=scene.unit.id,
                agent_id=agent.id,
                name=user.name,
                role=values.TECHNICIAN,
                user_id=user.id,
            )
        )
    # What the walk knows no value for yet is asked for by ids of A's rows.
    for rule in (*scene.rules("GET"), *scene.rules("POST")):
        for part in rule.arguments:
            scene.parts.setdefault(part, scene.parts["record_id"])
    return user


def test_a_person_of_an_agent_finds_nothing_of_others_and_changes_nothing(sqlite_app: Any) -> None:
    scene = _set(sqlite_app)
    user = _walker(scene)
    before, wrong = scene.belongings(), []
    for method in ("GET", "POST"):
        client = login(scene.app.test_client(), user)
        for rule, address, form in scene.requests(method, typed=False):
            if rule.endpoint.startswith("auth.") or rule.endpoint in PUBLIC:
                continue
            status, body = ask(client, method, address, form)
            theirs = rule.endpoint in OWN or rule.endpoint.startswith(THEIR_LISTS)
            if status >= 500 or MARK in body or not (theirs or status in (403, 404)):
                wrong.append((method, rule.rule, status))
    assert wrong == []
    assert changed(before, scene) == set()


def test_as_assignee_they_reach_one_record_and_still_nothing_internal(sqlite_app: Any) -> None:
    """The same walk, with the case of the unit in their hands: what is MARKed on it is customer and description."""
    scene = _set(sqlite_app)
    user = _walker(scene)
    record_id = int(scene.parts["record_id"])
    with as_system() as work:
        work.get_one(Record, record_id).assignee_id = user.id
    client = login(scene.app.test_client(), user)
    reached = set()
    wrong = []
    for rule, address, form in scene.requests("GET", typed=False):
        if rule.endpoint.startswith("auth.") or rule.endpoint in PUBLIC:
            continue
        with writes() as written:
            status, body = ask(client, "GET", address, form)
        if written or status >= 500:
            wrong.append((rule.rule, status))
        # The boss's name, the file, the reminder and the notice are internal.
        if f"{MARK}主任" in body or f"{MARK}.txt" in body or f"{MARK}回电" in body or f"{MARK}系统" in body:
            wrong.append((rule.rule, status))
        if status == 200 and MARK in body:
            reached.add(rule.endpoint)
    assert wrong == []
    # Their job and its page and forms; the first page, which lists it; the scanner, which leads to it.
    assert {one.partition(".")[0] for one in reached} <= {"admin", "my", "record", "q"}, sorted(reached)
    assert "record.page" in reached and "my.job" in reached


def test_lists_of_staff_are_closed_to_them(sqlite_app: Any) -> None:
    scene = _set(sqlite_app)
    user = _walker(scene)
    client = login(scene.app.test_client(), user)
    wrong = []
    for view, page in product(scene.app.extensions["admin"][0]._views, ("", "count/", "export/", "action/")):
        if view.endpoint in ("admin",) or f"{view.endpoint}." in THEIR_LISTS:
            continue
        address = f"{view.url}/{page}".replace("//", "/")
        answer = client.open(address, method="POST" if page in ("export/", "action/") else "GET")
        if MARK in answer.get_data(as_text=True):
            wrong.append(address)
    assert wrong == []
    with as_system() as work:
        assert work.scalars(select(Agent).where(Agent.code == "DL9999")).one()
