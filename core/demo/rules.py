"""The rules' part of the demonstration: clauses that units have set, a change to come, lateness to be excused."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import date, datetime, timedelta

from sqlalchemy import select

from core.kernel import clock
from core.kernel.database import session
from core.rules import approvals
from core.rules.clauses import Clause
from core.rules.excuses import ask_excuse
from core.rules.obligation_models import LATE, Obligation
from core.rules.rulebook import current_rulebook
from core.rules.settings import set_clause
from core.units.models import Unit

from .people import Team

# What is covered and what is charged: the group follows this regulation whole, also where plugins see to it.
FOLLOWED = "R17"
# The tools of the after-sales department go by this one.
OF_TOOLS = "R35"
# Another regulation lets the company bear all cost.
LEFT = ("R03-7.1",)
# What goes with it: agents bear the service of what they sold, and the group settles with them.
TAKEN_UP = ("R14-5.8.2", "R18-4.2", "R18-5.1.2", "R18-5.1.2b", "R18-5.1.3", "R18-5.2.2", "R22-1.X4")
VALUES = {"R17-5.1": {"classes": "4.1 4.2"}}
# A shop sells to consumers, who have rights by law.
OF_SHOPS = ("SB-1", "SB-2", "SB-3", "SB-7")
As = Callable[[int], AbstractContextManager[None]]
EXCUSES = (
    "客户所在园区临时封路，已当场电话告知客户。",
    "厂家配件到货延误，供应商已书面说明。",
    "客户改约两次，通话记录已附在时间线里。",
)


def take_up(teams: list[Team]) -> None:
    """Let each unit go by the regulations that its cast names, from its beginning on."""
    for team in teams:
        wanted, beginning = team.data.get("regulations", ()), _beginning(team.unit)
        for one in current_rulebook().clauses.values():
            if one.regulation in wanted:
                set_clause(team.unit.id, one.id, {}, holds=True, starts_on=beginning, reason="开业时选用")


def _beginning(unit: Unit) -> date:
    """Last year's first day, so that a history brought in later is measured as well."""
    today = clock.day_in(unit.timezone)
    return today.replace(year=today.year - 1, month=1, day=1)


def set_clauses(teams: list[Team], now: datetime, act_as: As) -> None:
    """Let the units choose their clauses at their beginning, with changes planned for later days."""
    head = teams[0]
    beginning = _beginning(head.unit)
    changed = clock.day_in(head.unit.timezone, now - timedelta(days=30))
    coming = clock.day_in(head.unit.timezone, now + timedelta(days=20))
    with act_as(head.people["service_leader"][0].id):
        for clause in ("R17-7.1.3a", "R17-7.1.3b", "R17-7.2.1", "R17-7.2.2b"):
            set_clause(head.unit.id, clause, {}, holds=True, starts_on=beginning, reason="统一转交与答复时限")
        set_clause(
            head.unit.id,
            "R01-5.2b",
            {"limit": "12"},
            starts_on=changed,
            reason="客户反映首次答复慢",
        )
        for one in _of_plugins():
            given = VALUES.get(one.id, {})
            set_clause(
                head.unit.id,
                one.id,
                given,
                holds=one.id not in LEFT,
                starts_on=beginning,
                reason="集团统一工具管理" if one.regulation == OF_TOOLS else "集团统一保修与收费",
            )
        set_clause(head.unit.id, "R01-4.4", {"limit": "4"}, starts_on=coming, reason="新年起加快处理")
    for team in teams[1:]:
        if team.data["kind"] == "hotel":
            _hotel(team.unit, beginning)
        elif team.data["kind"] == "store":
            _store(team.unit, beginning)


def _of_plugins() -> list[Clause]:
    """Return the clauses of plugins that the group takes up or leaves out, as far as they are installed."""
    every = current_rulebook().clauses.values()
    return [
        one
        for one in every
        if one.plugin and (one.regulation in (FOLLOWED, OF_TOOLS) or one.id in (*LEFT, *TAKEN_UP))
    ]


def _store(unit: Unit, beginning: object) -> None:
    for clause in OF_SHOPS:
        if clause in current_rulebook().clauses:
            set_clause(unit.id, clause, {}, holds=True, starts_on=beginning, reason="门店面向消费者，执行三包")
    for clause in TAKEN_UP:
        if clause in current_rulebook().clauses:
            set_clause(unit.id, clause, {}, holds=False, starts_on=beginning, reason="门店不与代理商结算")


def _hotel(unit: Unit, beginning: object) -> None:
    set_clause(unit.id, "R01-5.2b", {"limit": "2"}, starts_on=beginning, reason="住店客人的问题两小时内答复")
    set_clause(unit.id, "R17-7.1.3a", {}, holds=False, starts_on=beginning, reason="酒店内部不转交")


def ask_for_excuses(teams: list[Team], rng: random.Random, act_as: As) -> None:
    """Let a few late matters of the headquarters wait for an excuse, and one have it."""
    head = teams[0]
    late = select(Obligation.id).where(Obligation.unit_id == head.unit.id, Obligation.state == LATE)
    chosen = session().scalars(late.order_by(Obligation.id.desc()).limit(len(EXCUSES))).all()
    for number, (key, reason) in enumerate(zip(chosen, EXCUSES, strict=False)):
        with act_as(head.pick(rng, "lead").id):
            wanted = ask_excuse(key, reason)
        if number == 0:
            with act_as(head.people["service_leader"][0].id):
                approvals.agree(wanted.id, "情况属实")
