"""The step by which whoever is signed in gives their own word to a hand-over, and nobody else's."""

from __future__ import annotations

import pytest
from flask import Flask

from core.sdk import InvalidData, NotAllowed, Refused, User, perform
from plugins.tools import values
from plugins.tools.tests.scene import Place, clauses, codes, make_place


@pytest.fixture
def place(sqlite_app: Flask) -> Place:
    return make_place("BU-TOOLS")


def confirm(place: Place, key: int, user: User | None = None, **given: object) -> None:
    with place.acting(user):
        perform(key, "confirm", given)


@pytest.mark.clause("GJ-4")
def test_the_receiver_confirms_signed_in_and_then_it_moves(place: Place) -> None:
    tool, ann = place.tool("剥线钳"), place.person(place.ann)
    key = place.offer(values.ISSUE, place.store, ann, [tool])
    for stranger in (place.keeper, place.bob):
        with pytest.raises((Refused, NotAllowed)):
            confirm(place, key, stranger, keeps_rules=True)
    assert place.holder(tool) == place.store
    with pytest.raises(Refused) as unread:
        confirm(place, key, place.ann)
    assert "R33-5" in clauses(unread.value)
    assert (place.state(key), place.holder(tool)) == (values.OFFERED, place.store)
    confirm(place, key, place.ann, keeps_rules=True)
    assert (place.state(key), place.holder(tool)) == (values.DONE, ann)
    with pytest.raises(Refused):
        confirm(place, key, place.ann, keeps_rules=True)


@pytest.mark.clause("R35-4.8b")
def test_the_keeper_confirms_a_return_and_says_how_it_came_back(place: Place) -> None:
    tool, ann = place.tool("剥线钳"), place.person(place.ann)
    place.issue(place.ann, tool)
    key = place.offer(values.RETURN, ann, place.store, [tool], place.ann)
    with pytest.raises(Refused) as unseen:
        confirm(place, key, keeps_rules=True)
    assert "R35-4.8b" in clauses(unseen.value)
    with pytest.raises(Refused) as not_his:
        confirm(place, key, place.ann, keeps_rules=True)
    assert codes(not_his.value) == {"not_concerned"}
    with pytest.raises(InvalidData):
        confirm(place, key, keeps_rules=True, condition="nonsense")
    confirm(place, key, keeps_rules=True, condition=values.SOUND)
    assert (place.state(key), place.holder(tool)) == (values.DONE, place.store)
