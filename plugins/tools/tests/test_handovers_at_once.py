"""Hand-overs at the same moment, each in a thread, on both databases: one is done, the other one is told."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.sdk import AppError, User
from plugins.tools import handovers, values
from plugins.tools.models import Custody, Handover

from .scene import Place, make_place


@pytest.fixture
def place(app: Flask) -> Place:
    return make_place()


def together(*calls: Callable[[], Any]) -> list[str]:
    """Run all calls at the same moment; return what became of each: ``done``, or the code of the error."""
    gate = threading.Barrier(len(calls))
    results = [""] * len(calls)

    def run(number: int, call: Callable[[], Any]) -> None:
        gate.wait()
        try:
            call()
            results[number] = "done"
        except AppError as error:
            results[number] = error.code

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    return results


def _offer(place: Place, keeper: User, taker: int, tools: list[int]) -> None:
    with place.acting(keeper):
        raw = {"kind": values.ISSUE, "giver_id": place.store, "taker_id": taker, "tools": tools}
        handovers.offer(place.unit.id, raw)


def test_two_keepers_issue_the_same_tool(place: Place) -> None:
    other = place.staff("warehouse")
    place.allowed(other), place.allowed(place.keeper)
    ann, bob = place.person(place.ann), place.person(place.bob)
    for _ in range(3):
        first, second = place.tools(2)
        # In opposite orders: locks are taken by id, so nobody waits in a circle.
        done = together(
            partial(_offer, place, place.keeper, ann, [first, second]),
            partial(_offer, place, other, bob, [second, first]),
        )
        assert Counter(done) == {"done": 1, "refused": 1}


def test_two_acceptances_move_it_once(place: Place) -> None:
    ann = place.person(place.ann)
    place.allowed(place.ann)
    for key in ("", "same"):
        tools = place.tools(2)
        record = place.offer(values.ISSUE, place.store, ann, tools)
        say = partial(place.accept, record, place.ann, key=key, ticks={})
        done = together(say, say, say)
        assert Counter(done) == ({"done": 3} if key else {"done": 1, "refused": 2})
        spells = place.all(select(Custody.seq).where(Custody.tool_id == tools[0]).order_by(Custody.seq))
        assert spells == [1, 2]
        assert place.facts(record).count("done") == 1


def test_both_sides_say_yes_at_once(place: Place) -> None:
    ann, bob = place.person(place.ann), place.person(place.bob)
    place.allowed(place.ann), place.allowed(place.bob)
    for _ in range(3):
        tool = place.tool()
        place.issue(place.ann, tool)
        record = place.offer(values.TRANSFER, ann, bob, [tool], place.manager)
        done = together(
            partial(place.accept, record, place.ann, side="giver", ticks={}),
            partial(place.accept, record, place.bob, side="taker", ticks={}),
        )
        assert done == ["done", "done"]
        assert (place.holder(tool), place.state(record)) == (bob, values.DONE)


def test_withdrawn_or_accepted_but_not_both(place: Place) -> None:
    ann = place.person(place.ann)
    place.allowed(place.ann), place.allowed(place.keeper)

    def take_back(record: int) -> None:
        with place.acting():
            handovers.withdraw(record, "弄错了")

    for _ in range(3):
        tool = place.tool()
        record = place.offer(values.ISSUE, place.store, ann, [tool])
        done = together(
            partial(place.accept, record, place.ann, ticks={}),
            partial(take_back, record),
        )
        assert Counter(done) == {"done": 1, "refused": 1}
        moved = place.holder(tool) == ann
        assert (place.state(record) == values.DONE) is moved


def test_the_same_offer_sent_twice_is_one(place: Place) -> None:
    ann, tool = place.person(place.ann), place.tool()
    place.allowed(place.keeper)
    raw = {"kind": values.ISSUE, "giver_id": place.store, "taker_id": ann, "tools": [tool]}

    def send() -> None:
        with place.acting():
            handovers.offer(place.unit.id, raw, key="k")

    assert together(send, send, send) == ["done"] * 3
    assert len(place.all(select(Handover.id))) == 1


def test_an_application_for_one_is_not_used_by_two(place: Place) -> None:
    ann, tools = place.person(place.ann), place.tools(2)
    place.allowed(place.ann)
    asked = place.granted(place.ann, "测线器")
    offers = [place.offer(values.ISSUE, place.store, ann, [one], application_id=asked) for one in tools]
    done = together(*[partial(place.accept, one, place.ann, ticks={}) for one in offers])
    assert Counter(done) == {"done": 1, "refused": 1}
    assert sorted(place.holder(one) == ann for one in tools) == [False, True]
    assert place.state(asked) == values.FULFILLED
