"""Disposal: retired (R35-5.3), agreed to, with proof; never privately (R33-8.2)."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select

from core.rules import approval_gate
from core.sdk import InvalidData, NotAllowed, NotFound, Record, Refused, User, approvals, perform, session
from plugins.tools import disposal, handovers, parties, values
from plugins.tools.models import Handover

from .scene import Place, clauses, codes, make_place

ASK = {"how": disposal.RECYCLED, "buyer": "城南回收站", "reason": "无法修复"}


@pytest.fixture
def place(app: Flask) -> Place:
    found = make_place()
    found.clause("R33-8.2")
    found.without("R35-5.3", "R33-8.1")
    return found


def retired(place: Place, why: str = "irreparable") -> int:
    tool = place.tool()
    with place.acting():
        perform(tool, "retire", {"why": why, "reason": "修不好"})
    return tool


def ask(place: Place, tool: int, **more: str) -> int:
    with place.acting():
        return disposal.ask(tool, {**ASK, **more}).id


def agree(place: Place, approval: int, user: User | None = None) -> None:
    with place.acting(user or place.staff("service_leader")):
        approvals.agree(approval, "同意")


def dispose(place: Place, tool: int, **more: str) -> Record:
    with place.acting():
        return disposal.dispose(tool, {"proof": "HS-20260302", **more})


@pytest.mark.clause("R33-8.2")
def test_a_retired_tool_leaves_the_books_agreed_to_and_with_proof(place: Place) -> None:
    tool = retired(place)
    with pytest.raises(Refused) as refused:
        dispose(place, tool, how=disposal.RECYCLED, buyer="城南回收站")
    assert clauses(refused.value) == {"R33-8.2"}
    agree(place, ask(place, tool))
    with pytest.raises(Refused) as refused:
        dispose(place, tool, proof="")
    assert clauses(refused.value) == {"R33-8.2"}
    made = dispose(place, tool)
    assert (place.state(tool), place.state(made.id)) == (values.SCRAPPED, values.DONE)
    with place.acting() as work:
        assert place.holder(tool) == parties.scrap_heap(place.unit.id).id
        assert "城南回收站" in work.scalars(select(Handover.purpose).where(Handover.id == made.id)).one()
        assert disposal.agreed_for(place.unit.id, tool) is None  # used up


@pytest.mark.clause("R33-8.2")
def test_where_the_clause_is_off_nobody_is_asked(place: Place) -> None:
    place.without("R33-8.2")
    tool = retired(place)
    dispose(place, tool, how=disposal.DESTROYED)
    assert place.state(tool) == values.SCRAPPED


@pytest.mark.clause("R33-8.2")
def test_the_desk_cannot_go_round_it(place: Place) -> None:
    tool = retired(place)
    with place.acting():
        heap = parties.scrap_heap(place.unit.id).id
        raw = {"kind": values.DISPOSE, "giver_id": place.store, "taker_id": heap, "tools": [tool]}
        with pytest.raises(Refused) as refused:
            handovers.offer(place.unit.id, raw)
    assert "R33-8.2" in clauses(refused.value)
    assert place.state(tool) == values.RETIRED


def test_another_buyer_than_agreed_to_is_asked_for_anew(place: Place) -> None:
    tool = retired(place)
    agree(place, ask(place, tool, how=disposal.SOLD, buyer="外面的人"))
    with pytest.raises(Refused):
        dispose(place, tool, buyer=place.ann.name)
    with pytest.raises(Refused):
        dispose(place, tool, how=disposal.DESTROYED)
    dispose(place, tool)
    assert place.state(tool) == values.SCRAPPED


def test_a_buyer_who_works_here_is_pointed_out(place: Place) -> None:
    tool = retired(place)
    key = ask(place, tool, how=disposal.SOLD, buyer=" 安 师傅")
    with place.acting():
        found = session().get_one(approvals.Approval, key)
        assert found.data["inside"] is True
        assert len(found.data["facts"]) == 3
    agree(place, key)
    dispose(place, tool)  # agreed to by name
    assert place.state(tool) == values.SCRAPPED


def test_only_retired_tools_and_only_by_the_keeper(place: Place) -> None:
    tool = place.tool()
    with pytest.raises(Refused) as refused:
        ask(place, tool)
    assert codes(refused.value) == {"not_retired"}
    with place.acting(place.ann), pytest.raises(NotAllowed):
        disposal.ask(tool, ASK)
    other = make_place()
    with other.acting(), pytest.raises(NotFound):
        disposal.ask(tool, ASK)


@pytest.mark.parametrize(
    ("raw", "field"), [({"how": ""}, "how"), ({"buyer": ""}, "buyer"), ({"reason": ""}, "reason")]
)
def test_what_is_missing_is_said(place: Place, raw: dict[str, str], field: str) -> None:
    tool = retired(place)
    with place.acting(), pytest.raises(InvalidData) as bad:
        disposal.ask(tool, {**ASK, **raw})
    assert field in bad.value.errors


@pytest.mark.clause("R35-5.3")
def test_what_is_worn_or_too_old_is_retired_with_the_managers_word(place: Place) -> None:
    place.clause("R35-5.3")
    tool = place.tool()
    for why in ("worn", "life"):
        with place.acting(), pytest.raises(Refused) as refused:
            perform(tool, "retire", {"why": why, "reason": "旧了"})
        assert clauses(refused.value) == {"R35-5.3"}
    with place.acting():
        asked = approval_gate.ask_for(tool, "tools_tool.retire", "R35-5.3", "旧了")
    agree(place, asked.id, place.manager)
    with place.acting():
        perform(tool, "retire", {"why": "worn", "reason": "旧了"})
    assert place.state(tool) == values.RETIRED
