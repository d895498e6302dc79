"""The register of old parts: by hand, by itself, handed in on a phone, and by the API."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from core.sdk import InvalidData, NotAllowed, Record, transaction
from plugins.agents import old_parts, values
from plugins.agents.models import OldPart
from plugins.agents.tests import scene
from tests.api_scene import Asker, token_of
from tests.helpers import login, make_user

REPLACED = {"part": "油缸", "old_serial": "YG-1", "new_serial": "YG-2"}


def of_case(place: scene.Place, key: int) -> list[OldPart]:
    return place._all(select(OldPart).where(OldPart.record_id == key).order_by(OldPart.id))


def at_work(place: scene.Place, key: int) -> int:
    for step in ("assign", "depart", "arrive"):
        place.do(key, step)
    return key


def sold_by_agent(place: scene.Place) -> int:
    place.item(agent=place.agent())
    key = place.case()
    place.notify(key)
    return at_work(place, key)


def register(at: scene.Place, key: int, **given: Any) -> int:
    with at.acting() as work, transaction():
        record = work.get_one(Record, key)
        return old_parts.register(record, {"part": "油缸", "state": "expected", **given}).id


def test_a_part_replaced_for_an_agent_is_expected_back(app: Any) -> None:
    place = scene.make_place()
    key = sold_by_agent(place)
    place.do(key, "warranty:replace_part", REPLACED)
    (row,) = of_case(place, key)
    assert (row.part, row.serial, row.state, row.quantity) == ("油缸", "YG-1", values.EXPECTED, Decimal(1))
    place.do(key, "warranty:replace_part", {**REPLACED, "old_serial": "YG-3"})
    assert [one.serial for one in of_case(place, key)] == ["YG-1", "YG-3"]


def test_a_part_replaced_for_nobody_else_is_not_in_the_register(app: Any) -> None:
    place = scene.make_place()
    place.item(sold_class="own")
    key = at_work(place, place.case())
    place.do(key, "warranty:replace_part", REPLACED)
    assert of_case(place, key) == []


def test_parts_on_the_bill_are_expected_back_once(app: Any) -> None:
    place = scene.make_place()
    key = sold_by_agent(place)
    place.bill(key, parts="P-1, 2")
    (row,) = of_case(place, key)
    assert (row.part, row.quantity, row.state) == ("P-1", Decimal(2), values.EXPECTED)
    place.bill(key, parts="P-1, 2")
    assert len(of_case(place, key)) == 1
    place.do(key, "warranty:replace_part", {**REPLACED, "part": "p-1"})
    (row,) = of_case(place, key)
    assert row.serial == "YG-1"


def test_handed_in_has_a_day_and_others_have_none(app: Any) -> None:
    place = scene.make_place()
    place.item(sold_class="own")
    key = place.case()
    today = place.now.date()
    register(place, key, state=values.RECEIVED)
    register(place, key, state=values.MISSING, received_on=today.isoformat())
    assert [one.received_on for one in of_case(place, key)] == [today, None]
    with pytest.raises(InvalidData):
        register(place, key, state=values.RECEIVED, received_on="2099-01-01")
    for bad in ({"part": ""}, {"quantity": "0"}, {"quantity": "-1"}, {"state": "gone"}, {"part": "x" * 121}):
        with pytest.raises(InvalidData):
            register(place, key, **bad)
    assert len(of_case(place, key)) == 2


def test_who_may_not_handle_enters_nothing(app: Any) -> None:
    place = scene.make_place()
    place.item(sold_class="own")
    key = place.case()
    with place.acting(permissions={"case.view", "agents.view"}) as work, pytest.raises(NotAllowed):
        old_parts.register(work.get_one(Record, key), {"part": "油缸", "state": "expected"})


def test_old_parts_of_many_cases_are_read_at_once(app: Any) -> None:
    place = scene.make_place()
    place.item(sold_class="own")
    keys = [place.case() for _ in range(3)]
    for key in keys[:2]:
        register(place, key)
    with place.acting():
        found = old_parts.of_records([*keys, *keys])
        assert {key: len(rows) for key, rows in found.items()} == {keys[0]: 1, keys[1]: 1}
        assert old_parts.of_records([]) == {}


def test_they_are_handed_in_together_from_the_list(app: Any) -> None:
    place = scene.make_place()
    place.item(sold_class="own")
    key = place.case()
    ids = [register(place, key), register(place, key, part="密封圈", place="车上")]
    client = login(app.test_client(), make_user(place.unit, scene.ALL))
    assert "密封圈" in client.get("/admin/agents/old-parts/?quick=expected").text
    assert "密封圈" in client.get(f"/admin/record/{key}").text
    sent = {"action": "hand_in", "id": [str(one) for one in ids], "go": "1", "place": "旧件库"}
    assert client.post("/admin/agents/old-parts/action/", data=sent).status_code == 302
    rows = of_case(place, key)
    assert {(one.state, one.place) for one in rows} == {(values.RECEIVED, "旧件库")}
    assert all(one.received_on for one in rows)
    assert "密封圈" not in client.get("/admin/agents/old-parts/?quick=expected").text


def test_by_hand_a_case_is_named_by_its_number(app: Any) -> None:
    place = scene.make_place()
    place.item(sold_class="own")
    key = place.case()
    number = place._all(select(Record.number).where(Record.id == key))[0]
    client = login(app.test_client(), make_user(place.unit, scene.ALL))
    form = {"case": number.lower(), "part": "电机", "quantity": "1.5", "state": "expected"}
    assert client.post("/admin/agents/old-parts/new/", data={**form, "case": "NIX"}).status_code == 422
    assert client.post("/admin/agents/old-parts/new/", data=form).status_code == 302
    (row,) = of_case(place, key)
    assert (row.part, row.quantity) == ("电机", Decimal("1.500"))
    changed = {"part": "电机", "quantity": "1.5", "state": "missing", "version": str(row.version)}
    assert client.post(f"/admin/agents/old-parts/edit/?id={row.id}", data=changed).status_code == 302
    assert of_case(place, key)[0].state == values.MISSING


def test_the_api_reads_enters_and_changes_them(app: Any) -> None:
    place = scene.make_place()
    place.item(sold_class="own")
    key = place.case()
    number = place._all(select(Record.number).where(Record.id == key))[0]
    asker = Asker(app, token_of(make_user(place.unit, scene.ALL)))
    made = asker.post("/agents/old-parts", {"case": number, "part": "油缸", "serial": "YG-9", "state": "expected"})
    assert made.status_code == 201, made.text
    (found,) = asker.get("/agents/old-parts?serial=YG-9").json["items"]
    assert (found["case"], found["part"], found["state"]) == (number, "油缸", "expected")
    changed = asker.patch(f"/agents/old-parts/{found['id']}", {"state": "received", "place": "库"})
    assert changed.status_code == 200, changed.text
    assert of_case(place, key)[0].state == values.RECEIVED
    bad = asker.post("/agents/old-parts", {"case": "NIX", "part": "油缸", "state": "expected"})
    assert bad.status_code == 422 and "case" in bad.json["errors"]
