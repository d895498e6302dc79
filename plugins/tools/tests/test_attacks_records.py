"""Attacks by colleagues: who may see cases reads no hand-over, incident or clearance of somebody else."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select

from core.kernel import clock
from core.sdk import InvalidData, Record, User, perform
from plugins.tools import clearance, incidents, values
from tests.api_scene import Asker, token_of
from tests.helpers import login

from .scene import Place, make_place


@pytest.fixture
def place(sqlite_app: Flask) -> Place:
    return make_place()


def personal(place: Place) -> dict[str, int]:
    """Make one of everything that concerns Ann; return the ids."""
    tool = place.tool()
    made = {"handover": place.issue(place.ann, tool), "application": place.granted(place.ann, "测线器")}
    with place.acting():
        raw = {"kind": values.DAMAGE, "tool": tool, "what": "摔坏了"}
        made["incident"] = incidents.report(place.unit.id, raw).id
    with place.acting(place.manager):
        given = {"cause": values.MISUSE, "user": place.ann.id, "judgement": "违规使用所致"}
        perform(made["incident"], "judge", given)
        raw = {"kind": values.LEAVER, "user_id": place.ann.id, "last_day": place.now.date().isoformat()}
        made["clearance"] = clearance.begin(place.unit.id, raw).id
    return made


def test_a_colleague_opens_nothing_of_somebody_else(sqlite_app: Flask, place: Place) -> None:
    made = personal(place)
    uids = {name: place.all(select(Record.uid).where(Record.id == key))[0] for name, key in made.items()}
    numbers = [place.all(select(Record.number).where(Record.id == key))[0] for key in made.values()]

    def seen(user: User) -> tuple[set[str], set[str], list[str], list[str]]:
        client = login(sqlite_app.test_client(), user, unit=place.unit)
        api = Asker(sqlite_app, token_of(user, units=[place.unit]))
        pages = {name for name, key in made.items() if client.get(f"/admin/record/{key}").status_code == 200}
        told = {name for name, uid in uids.items() if api.get(f"/records/{uid}").status_code == 200}
        text = client.get("/admin/records/").get_data(as_text=True)
        listed = api.get("/records").json["items"]
        return (
            pages,
            told,
            [one for one in numbers if one in text],
            [one for one in numbers if one in {row["number"] for row in listed}],
        )

    with clock.frozen(place.now):
        assert seen(place.bob) == (set(), set(), [], [])
        pages, told, _text, _listed = seen(place.ann)
        assert pages == told == set(made)
        assert seen(place.manager) == (set(made), set(made), numbers, numbers)


def test_nor_does_a_colleague_write_there(sqlite_app: Flask, place: Place) -> None:
    made = personal(place)
    with clock.frozen(place.now):
        client = login(sqlite_app.test_client(), place.bob, unit=place.unit)
        for key in made.values():
            for step in ("judge", "agree_to_pay", "object", "settle", "cancel", "withdraw"):
                for answer in (client.get, client.post):
                    assert answer(f"/admin/record/{key}/do/{step}").status_code == 404, step
            assert client.post(f"/admin/record/{key}/comment", data={"text": "x"}).status_code == 404


def test_a_breach_names_nobody_of_another_unit(place: Place) -> None:
    stranger, tool = make_place(), place.tool()
    raw = {
        "kind": values.BREACH,
        "breach": values.BREACHES[0][0],
        "tool": tool,
        "what": "违规",
        "user": stranger.ann.id,
    }
    with place.acting(place.manager):
        with pytest.raises(InvalidData) as caught:
            incidents.report(place.unit.id, raw)
        assert set(caught.value.errors) == {"user"}
        incidents.report(place.unit.id, {**raw, "user": place.ann.id})
