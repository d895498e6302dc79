"""One PIN and one signature for everything that waits for a person: what they bring back and what they get."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select

from core.kernel import clock
from core.records.models import Attachment
from plugins.tools import values
from plugins.tools.models import Handover
from plugins.tools.tests.scene import PIN, Place, drawn, make_place
from tests.helpers import login


@pytest.fixture
def place(app: Flask) -> Place:
    made = make_place("BU-TOOLS")
    made.now = clock.now()
    return made


def waiting(place: Place) -> tuple[int, int, int, int]:
    """Ann is to bring one tool back and to get another; return both tools and both hand-overs."""
    old, new, ann = place.tool("剥线钳"), place.tool("测电笔"), place.person(place.ann)
    place.issue(place.ann, old)
    looked = {"back_clean": ["clean"], "back_tidy": ["tidy"], "back_place": ["place"]}
    back = place.offer(values.RETURN, ann, place.store, [old], conditions={old: values.SOUND}, ticks=looked)
    given = place.offer(values.ISSUE, place.store, ann, [new])
    return old, new, back, given


@pytest.mark.clause("GJ-4")
def test_one_signature_answers_a_return_and_an_issue(app: Flask, place: Place) -> None:
    old, new, back, given = waiting(place)
    place.pin(place.ann)
    keeper = login(app.test_client(), place.keeper, unit=place.unit)
    url, line = f"/p/tools/accept/{back}?side=giver", place.lines(back)[0].id
    page = keeper.get(url).text
    assert f'name="besides" value="{given}"' in page
    sent = {"side": "giver", "take": line, "besides": given, "pin": PIN, "signature": drawn(), "key": "k1"}
    # What is taken into use is read first; nothing of the two moves without it.
    assert keeper.post(f"/p/tools/accept/{back}", data=sent).status_code == 409
    assert (place.state(back), place.state(given)) == (values.OFFERED, values.OFFERED)
    for _click in range(2):
        answer = keeper.post(f"/p/tools/accept/{back}", data={**sent, "tick_all": "1"})
    assert answer.status_code in (302, 409)
    assert (place.state(back), place.state(given)) == (values.DONE, values.DONE)
    assert (place.holder(old), place.holder(new)) == (place.store, place.person(place.ann))
    kept = place.all(select(Attachment).where(Attachment.kind == "signature"))
    assert len({one.sha256 for one in kept}) == 1
    said = place.all(select(Handover).where(Handover.id.in_((back, given))))
    assert {values.BY_PIN} == {one.giver_means if one.id == back else one.taker_means for one in said}


def test_what_waits_for_somebody_else_does_not_go_along(app: Flask, place: Place) -> None:
    _old, _new, back, given = waiting(place)
    tool = place.tool("尖嘴钳")
    other = place.offer(values.ISSUE, place.store, place.person(place.bob), [tool])
    ann = login(app.test_client(), place.ann, unit=place.unit)
    assert f'value="{other}"' not in ann.get(f"/p/tools/accept/{back}").text
    data = {"take": place.lines(back)[0].id, "besides": [given, other], "tick_all": "1"}
    assert ann.post(f"/p/tools/accept/{back}", data=data).status_code == 302
    assert [place.state(one) for one in (back, given, other)] == [values.DONE, values.DONE, values.OFFERED]
