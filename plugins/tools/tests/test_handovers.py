"""Hand-overs: offered, accepted by both, refused, withdrawn; nothing moves before both said yes."""

from __future__ import annotations

import pytest
from flask import Flask

from core.sdk import InvalidData, NotAllowed, NotFound, Refused
from plugins.tools import handovers, values

from .scene import Place, clauses, codes, drawn, make_place


@pytest.fixture
def place(sqlite_app: Flask) -> Place:
    return make_place()


def test_an_issue_moves_when_the_person_says_yes(place: Place) -> None:
    tool, ann = place.tool(), place.person(place.ann)
    key = place.offer(values.ISSUE, place.store, ann, [tool])
    assert place.holder(tool) == place.store
    assert place.state(key) == values.OFFERED
    place.accept(key, place.ann)
    assert place.holder(tool) == ann
    assert (place.state(key), place.state(tool)) == (values.DONE, values.ISSUED)
    assert place.facts(key) == ["registered", "agreed", "accepted", "done"]
