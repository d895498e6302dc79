"""Attacks on hand-overs: ids of others in every field, speaking for somebody else, steps taken by hand."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.records.models import Attachment
from core.sdk import InvalidData, NotAllowed, NotFound, Refused, User, perform, pins
from plugins.tools import clearance, flow, handovers, plugin, values
from plugins.tools.models import Handover, Tool
from tests.helpers import as_system

from .scene import Place, codes, drawn, make_place


@pytest.fixture
def place(sqlite_app: Flask) -> Place:
    return make_place()


@pytest.fixture
def anywhere(app: Flask) -> Place:
    """The same on both databases."""
    return make_place()


def refusal_of(call: Any, *given: Any, **more: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        call(*given, **more)
    return caught.value


def cleared(place: Place, user: User) -> int:
    """Begin the clearance of somebody who leaves; return its id."""
    raw = {"kind": values.LEAVER, "user_id": user.id, "last_day": place.now.date().isoformat()}
    with place.acting(place.manager):
        return clearance.begin(place.unit.id, raw).id


# --- ids of others -------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["clearance_id", "incident_id"])
def test_a_record_of_another_kind_unit_or_nothing_is_no_clearance_or_incident(place: Place, field: str) -> None:
    tool, other = place.tool(), make_place()
    theirs = cleared(other, other.ann) if field == "clearance_id" else other.tool()
    for bad in (theirs, tool, 10**9):
        with pytest.raises(InvalidData) as caught:
            place.offer(values.ISSUE, place.store, place.person(place.ann), [tool], **{field: bad})
        assert set(caught.value.errors) == {field}, bad
    assert place.all(select(Handover.id)) == []


def test_clearing_one_person_opens_no_return_of_another(place: Place) -> None:
    tool = place.tool()
    place.issue(place.bob, tool)
    sheet = cleared(place, place.ann)
    bob = place.person(place.bob)
    clerk = place.staff("after_sales_admin")
    with pytest.raises(InvalidData) as caught:
        place.offer(values.RETURN, bob, place.store, [tool], clerk, clearance_id=sheet)
    assert set(caught.value.errors) == {"clearance_id"}


def test_a_clearance_that_was_closed_opens_nothing(place: Place) -> None:
    tool = place.tool()
    place.issue(place.ann, tool)
    sheet = cleared(place, place.ann)
    with place.acting(place.manager):
        perform(sheet, "cancel", {"reason": "不走了"})
    with pytest.raises(InvalidData):
        place.offer(values.RETURN, place.person(place.ann), place.store, [tool], place.manager, clearance_id=sheet)


# --- what came back broken -----------------------------------------------------------------------


def test_who_brings_it_back_does_not_say_how_it_came_back(anywhere: Place) -> None:
    place = anywhere
    tool = place.tool()
    place.issue(place.ann, tool)
    key = place.offer(
        values.RETURN, place.person(place.ann), place.store, [tool], conditions={tool: values.DAMAGED}
    )
    assert [one.condition for one in place.lines(key)] == [values.DAMAGED]
    place.accept(key, place.ann, conditions={tool: values.SOUND})
    assert place.state(tool) == values.DEFECTIVE
    (condition,) = place.all(select(Tool.condition).where(Tool.id == tool))
    assert condition == values.DAMAGED


# --- somebody who left ---------------------------------------------------------------------------


def leave(user: User) -> None:
    with as_system() as work:
        work.get_one(User, user.id).active = False


def test_nobody_receives_for_somebody_who_left(place: Place) -> None:
    tool, waiting = place.tool(), place.tool()
    ann = place.person(place.ann)
    key = place.offer(values.ISSUE, place.store, ann, [waiting])
    leave(place.ann)
    paper = {"side": "taker", "means": values.ON_PAPER, "paper": "ZD-1"}
    assert "not_yours" in codes(refusal_of(place.accept, key, **paper))
    assert place.holder(waiting) == place.store
    with pytest.raises(InvalidData) as caught:
        place.offer(values.ISSUE, place.store, ann, [tool])
    assert "taker_id" in caught.value.errors


# --- the tool's own steps ------------------------------------------------------------------------


def test_no_step_of_the_ledger_is_taken_by_hand(place: Place) -> None:
    tool = place.tool()
    every = ("tools.view", "tools.own", "tools.keep", "tools.decide", "tools.maintain", "tools.clear", "case.view")
    for step in flow.SERVICE_STEPS:
        with place.acting(place.keeper, *every), pytest.raises((NotAllowed, Refused)):
            perform(tool, step.name, {"due_at": place.later(hours=1).isoformat()})
    key = place.offer(values.ISSUE, place.store, place.person(place.ann), [tool])
    for step in handovers.TYPE.workflow.transitions.values():
        with place.acting(place.keeper, *every), pytest.raises((NotAllowed, Refused)):
            perform(key, step.name, {"reason": "x", "means": "own"})
    assert place.facts(tool) == ["registered"]


@pytest.mark.parametrize("step, given", [("retire", {"why": "worn", "reason": "x"}), ("cancel", {"reason": "x"})])
def test_what_is_on_its_way_to_somebody_is_neither_retired_nor_cancelled(
    place: Place, step: str, given: dict[str, str]
) -> None:
    tool = place.tool()
    key = place.offer(values.ISSUE, place.store, place.person(place.ann), [tool])
    with place.acting(place.keeper, "tools.decide"):
        against = refusal_of(perform, tool, step, given)
    assert "reserved" in codes(against) and str(number_of(place, key)) in str(against)
    with place.acting():
        handovers.withdraw(key, "弄错了")
    with place.acting(place.keeper, "tools.decide"):
        perform(tool, step, given)


def number_of(place: Place, key: int) -> str:
    from core.sdk import Record

    return str(place.all(select(Record.number).where(Record.id == key))[0])


def test_a_tool_that_was_in_hands_was_not_entered_by_mistake(place: Place) -> None:
    tool = place.tool()
    place.issue(place.ann, tool)
    place.bring_back(place.ann, tool)
    with place.acting(place.keeper, "tools.decide"):
        assert "moved" in codes(refusal_of(perform, tool, "cancel", {"reason": "x"}))
    assert place.state(tool) == values.IN_STORE


def test_a_tool_that_is_lost_leaves_the_hand_over_it_stands_on(anywhere: Place) -> None:
    place = anywhere
    tool, other, alone = place.tool(), place.tool(), place.tool()
    ann = place.person(place.ann)
    two = place.offer(values.ISSUE, place.store, ann, [tool, other])
    one = place.offer(values.ISSUE, place.store, ann, [alone])
    place.step(tool, "lose")
    place.step(alone, "lose")
    assert [line.state for line in place.lines(two)] == [values.REFUSED_LINE, values.OPEN_LINE]
    assert (place.state(two), place.state(one)) == (values.OFFERED, values.REFUSED)
    place.accept(two, place.ann)
    assert place.holder(other) == ann and place.holder(tool) == place.store
    with place.acting():
        assert handovers.open_lines([tool, alone]) == {}


def test_what_an_existing_list_named_is_not_opened_again(place: Place) -> None:
    place.with_clauses("R33-2.1")
    place.kind("电动螺丝刀", needs_permit=True)
    tool = place.tool("电动螺丝刀")
    carl = place.staff("field_staff")
    place.without("R33-2.1")
    place.issue(place.ann, tool)
    place.bring_back(place.ann, tool)
    place.clause("R33-2.1")
    against = refusal_of(place.offer, values.OPENING, place.store, place.person(carl), [tool])
    assert "opened" in codes(against)


# --- signatures, PINs ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "data:image/png;base64,AAAA",
        "data:image/png;base64," + "A" * 3_000_000,
        "data:text/html;base64,PHNjcmlwdD4=",
        "javascript:alert(1)",
        "data:image/png;base64,\x00",
    ],
)
def test_a_signature_is_a_drawing(place: Place, text: str) -> None:
    tool = place.tool()
    key = place.offer(values.ISSUE, place.store, place.person(place.ann), [tool])
    with pytest.raises(InvalidData) as caught:
        place.accept(key, pin_of=place.ann, signature=text)
    assert set(caught.value.errors) == {"signature"}
    assert place.holder(tool) == place.store
    assert place.all(select(Attachment.id).where(Attachment.record_id == key)) == []


def test_a_pin_speaks_for_its_owner_only(place: Place) -> None:
    tool, held = place.tool(), place.tool()
    place.issue(place.bob, held)
    key = place.offer(values.ISSUE, place.store, place.person(place.ann), [tool])
    with place.acting():
        for side in ("taker", ""):
            against = refusal_of(
                handovers.accept, key, side=side, proof=pins.Proof(place.bob.id), signature=drawn(), ticks={}
            )
            assert "not_yours" in codes(against)
        back = handovers.offer(
            place.unit.id,
            {
                "kind": values.RETURN,
                "giver_id": place.person(place.bob),
                "taker_id": place.store,
                "tools": [held],
                "conditions": {held: values.SOUND},
            },
        )
        # Ann's PIN neither gives for Bob nor refuses for him in silence.
        assert "not_yours" in codes(
            refusal_of(handovers.accept, back.id, side="giver", proof=pins.Proof(place.ann.id), signature=drawn())
        )
    assert (place.holder(tool), place.holder(held)) == (place.store, place.person(place.bob))


def test_a_person_speaks_for_no_store_and_no_paper(place: Place) -> None:
    tool = place.tool()
    place.issue(place.ann, tool)
    key = place.offer(values.RETURN, place.person(place.ann), place.store, [tool], place.ann)
    with pytest.raises(NotAllowed):
        place.accept(key, place.ann, side="taker", conditions={tool: values.SOUND})
    with pytest.raises(NotAllowed):
        place.accept(key, place.ann, side="taker", means=values.ON_PAPER, paper="1", conditions={tool: "sound"})
    with pytest.raises(NotFound):
        place.accept(key, place.bob)


# --- switching off -------------------------------------------------------------------------------


def test_switching_off_with_tools_on_their_way_is_pointed_out(place: Place) -> None:
    with place.acting():
        assert plugin.unit_disabling(place.unit) == []
    tool = place.tool()
    place.issue(place.bob, tool)
    place.offer(values.ISSUE, place.store, place.person(place.ann), [place.tool()])
    with place.acting():
        said = [str(one.reason) for one in plugin.unit_disabling(place.unit)]
    assert len(said) == 2 and all("1" in one for one in said)
