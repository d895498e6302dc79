"""Whatever people do in whatever order, the ledger adds up: one holder a tool, no gaps, reserved once at most."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from core.kernel.database import session
from core.records.models import Record
from core.sdk import AppError, User
from plugins.tools import custody, flow, handovers, values
from plugins.tools.models import Custody, HandoverLine, Party, Tool

from .scene import Place, make_place

TOOLS = 4
ACTIONS = ("issue", "use", "lend", "return", "give_back", "transfer", "move", "accept", "refuse", "withdraw")
STEPS = ("lose", "find", "report_defect", "mend")
MOVES = {
    "issue": (values.ISSUE, "store", "person"),
    "use": (values.USE, "store", "person"),
    "lend": (values.LEND, "person", "other"),
    "return": (values.RETURN, "person", "store"),
    "give_back": (values.RETURN, "person", "other"),
    "transfer": (values.TRANSFER, "person", "other"),
    "move": (values.MOVE, "store", "other_store"),
}
what = st.tuples(
    st.sampled_from([*ACTIONS, "accept", "accept", "accept", *STEPS]),
    st.integers(0, TOOLS - 1),
    st.integers(0, TOOLS - 1),
    st.booleans(),
    st.booleans(),
)


class Walk:
    """One story: people offer, accept, refuse, lose and find tools; what is refused changes nothing."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.tools = place.tools(TOOLS)
        self.open: list[int] = []

    def take(self, action: str, first: int, second: int, ann: bool, some: bool) -> None:
        self.place.later(minutes=1)
        try:
            if action in MOVES:
                self._offer(action, {self.tools[first], self.tools[second]}, ann, some)
            elif action in STEPS:
                self._step(action, self.tools[first])
            elif self.open:
                self._answer(action, self.open[first % len(self.open)], some)
        except AppError:
            return

    def _step(self, action: str, tool: int) -> None:
        """What happens to a tool where it is, as incidents say it."""
        held = self.place.holder(tool) not in (self.place.store, self.place.other_store)
        name = {"find": "find" if held else "find_in_store", "mend": "mend_issued" if held else "mend"}
        self.place.step(tool, name.get(action, action))

    def _offer(self, action: str, tools: set[int], ann: bool, swapped: bool) -> None:
        place = self.place
        one, other = (place.ann, place.bob) if ann else (place.bob, place.ann)
        stores = (place.store, place.other_store)
        ends = {"person": place.person(one), "other": place.person(other)}
        ends |= {"store": stores[swapped], "other_store": stores[not swapped]}
        kind, giver, taker = MOVES[action]
        user: User = {"person": one, "store": place.keeper}[giver]
        if kind == values.TRANSFER:
            user = place.manager
        self.open.append(place.offer(kind, ends[giver], ends[taker], sorted(tools), user))

    def _answer(self, action: str, key: int, some: bool) -> None:
        place = self.place
        lines = [line for line in place.lines(key) if line.state == values.OPEN_LINE]
        if not lines:
            return
        if action == "withdraw":
            with place.acting():
                handovers.withdraw(key, "不要了")
            return
        (found,) = place.all(select(handovers.TYPE.detail).where(handovers.TYPE.detail.id == key))
        side = "giver" if found.giver_at is None else "taker"
        (party,) = place.all(select(Party).where(Party.id == getattr(found, f"{side}_id")))
        who = next((one for one in (place.ann, place.bob) if one.id == party.user_id), place.keeper)
        if action == "refuse":
            with place.acting(who):
                handovers.refuse(key, "不对", line_ids=[lines[0].id] if some else None)
            return
        conditions = {line.tool_id: values.SOUND if some else values.DAMAGED for line in lines}
        more: dict[str, Any] = {"refused": {lines[0].id: "不是它"}} if some and len(lines) > 1 else {}
        place.accept(key, who, side=side, conditions=conditions, ticks={}, **more)

    # --- what always holds -----------------------------------------------------------------------

    def check(self) -> None:
        with self.place.acting(self.place.manager):
            open_spells = session().scalars(select(Custody).where(Custody.ends_at.is_(None))).all()
            assert sorted(one.tool_id for one in open_spells) == sorted(self.tools)
            parties = session().scalars(select(Party)).all()
            assert sum(custody.balance(one.id) for one in parties) == TOOLS
            assert sum(custody.balance_at(one.id, self.place.now + timedelta(days=1)) for one in parties) == TOOLS
            for tool_id in self.tools:
                self._check_tool(tool_id, next(one for one in open_spells if one.tool_id == tool_id))

    def _check_tool(self, tool_id: int, last: Custody) -> None:
        spells = list(reversed(custody.history(tool_id)))
        assert [one.seq for one in spells] == list(range(1, len(spells) + 1))
        for before, after in pairwise(spells):
            assert before.ends_at == after.starts_at and before.starts_at <= after.starts_at
            assert before.party_id != after.party_id
        tool = session().scalars(select(Tool).where(Tool.id == tool_id)).one()
        assert tool.custody_seq == last.seq
        mine = select(func.count()).where(HandoverLine.tool_id == tool_id, HandoverLine.state == values.OPEN_LINE)
        assert session().scalar(mine) in (0, 1)
        offered = (
            select(func.count())
            .select_from(HandoverLine)
            .join(Record, Record.id == HandoverLine.handover_id)
            .where(HandoverLine.tool_id == tool_id, HandoverLine.state == values.OPEN_LINE)
            .where(Record.state != values.OFFERED)
        )
        assert session().scalar(offered) == 0  # what was decided reserves nothing
        if tool.record.state == values.IN_STORE:
            assert last.party.kind == values.STORE
        if tool.record.state in flow.OUT:
            assert last.party.kind == values.PERSON


# A story costs half a second, so it is told as it was found, not made shorter.
@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(what, min_size=10, max_size=30))
def test_the_ledger_adds_up_whatever_people_do(sqlite_app: Flask, steps: list[Any]) -> None:
    walk = Walk(make_place())
    for step in steps:
        walk.take(*step)
    walk.check()
