"""What this plugin adds to the demonstration: two stores with tools in all states, and people who hold them.

Personal sets, loans due and overdue, a list to be confirmed, counts, incidents at each stage, purchases, a leaver.
Everything goes through the services, with the clock set back. Two people of a unit have a PIN (``PIN``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from sqlalchemy import select

from core.sdk import (
    Record,
    accounts,
    approvals,
    clock,
    current_scope,
    effective,
    holds,
    local_day,
    perform,
    pins,
    session,
)

from . import (
    applications,
    clearance,
    count_rows,
    counts,
    custody,
    file,
    handovers,
    holders,
    incidents,
    kinds,
    parties,
    permits,
    purchase,
    purchase_flow,
    receipts,
    rules_care,
    statistics,
    stock,
    values,
)
from .models import Kind, Kit, KitLine, Party, Tool

PIN = "2580"
LEAST_PEOPLE, MOST_SETS = 4, 5
# Who keeps the two stores, and who holds tools, by position.
_KEEPERS = ("warehouse", "engineering")
_HOLDERS = (
    "field_staff",
    "repair_centre",
    "after_sales",
    "quality_inspection",
    "logistics",
    "reception",
    "dispatcher",
)
# Usual prices of the standard kinds, by name; how many of each are registered.
_PRICES = {"电动螺丝刀": "268", "背包": "89", "网线钳": "76", "测线仪": "158", "剥线钳": "39", "测电笔": "12"}
_USUAL = "15"
_OF_KIND = 5
_PARTS = (("鞋套", "400"), ("胶布", "60"))
# Further kinds: category, price, how many, further columns.
_KINDS: tuple[tuple[str, str, str, int, dict[str, Any]], ...] = (
    ("冲击钻", values.POWER, "680", 4, {"needs_permit": "1", "maintain_months": "6", "low_stock": "2"}),
    ("红外测温仪", values.TEST, "1280", 3, {"calibrate_months": "12"}),
    ("万用表", values.TEST, "320", 5, {"calibrate_months": "12", "low_stock": "3"}),
    ("热熔机", values.SPECIAL, "2450", 2, {"maintain_months": "6"}),
    ("人字梯", values.COMMON, "260", 4, {"low_stock": "2"}),
)
_SECOND_STORE, _DEPARTMENT, _REPAIRER = "现场工具柜", "生产部", "鑫源电动工具维修部"
LEADER, WORN = "R15-19", "R35-5.3"  # who agrees to a purchase, and that a tool is worn
_LATE, _SOON = timedelta(days=3), timedelta(hours=20)


def fill(unit_id: int, play: Any, rng: Random) -> None:
    """Tell the story of a unit's tools over three months; a unit that has no keepers of its own has none."""
    keepers, people = _people(unit_id, play, _KEEPERS), _people(unit_id, play, _HOLDERS)
    if len(keepers) == len(_KEEPERS) and len(people) >= LEAST_PEOPLE:
        _Story(unit_id, play, rng, keepers, people).tell()


def _people(unit_id: int, play: Any, positions: Sequence[str]) -> dict[int, str]:
    """Return one person of the unit for each position, as far as there is one, with that position."""
    staff = {one.id for one in accounts.staff_of(unit_id)}
    found: dict[int, str] = {}
    for position in positions:
        with play.acting(position):
            actor = current_scope().actor_id
        if actor in staff:
            found.setdefault(actor, position)
    return dict([*found.items()][:MOST_SETS])


class _Story:
    """One unit's tools: who keeps them, who holds them, and what happened to them."""

    def __init__(
        self, unit_id: int, play: Any, rng: Random, keepers: Mapping[int, str], people: Mapping[int, str]
    ) -> None:
        self.unit_id, self.play, self.rng, self.people = unit_id, play, rng, people
        self.keeper, self.second_keeper = keepers
        self.ann, *self.others = people  # the first works in the field
        self.store = self.second = 0

    @contextmanager
    def on(self, days: float, position: str = "warehouse") -> Iterator[datetime]:
        """Let somebody of a position act so many days before the story ends."""
        moment = self.play.now - timedelta(days=days)
        with clock.frozen(moment), self.play.acting(position):
            yield moment

    def tell(self) -> None:
        """Tell it from the first day on."""
        with self.on(95):
            self.furnish()
        self.issue_sets()
        self.lend()
        self.repair_and_retire()
        self.have_incidents()
        self.buy()
        self.count()
        with self.on(1):
            self.wait_for_answers()
        self.leave()
        for user_id in (self.keeper, self.ann):
            pins.set_pin(user_id, PIN, PIN)

    # --- the file ------------------------------------------------------------------------------

    def furnish(self) -> None:
        """Two stores with places and tools, small parts, permits, people outside."""
        first = parties.stores(self.unit_id)[0]
        self.store = holders.save_store(self.unit_id, {"name": first.name, "user_id": str(self.keeper)}, first).id
        raw = {"name": _SECOND_STORE, "user_id": str(self.second_keeper)}
        self.second = holders.save_store(self.unit_id, raw).id
        for name in ("A区一层", "A区二层", "B区工具柜"):
            holders.save_place(self.unit_id, {"store": str(self.store), "name": name})
        signs = next(iter(_people(self.unit_id, self.play, ("production",))), self.others[-1])
        holders.save_department(self.unit_id, {"name": _DEPARTMENT, "user_id": str(signs)})
        holders.save_repairer(self.unit_id, {"name": _REPAIRER, "contact": "0571-85600066"})
        standard = session().scalars(select(Kind).where(Kind.unit_id == self.unit_id).order_by(Kind.id)).all()
        for kind in standard:
            kind.price = Decimal(_PRICES.get(kind.name, _USUAL))
            if kind.category == values.CONSUMABLE:
                self.start(kind)
            else:
                self.register(kind, _OF_KIND)
        for name, category, price, count, more in _KINDS:
            raw = {"name": name, "category": category, "price": price, **more}
            self.register(kinds.save_kind(self.unit_id, raw), count)
        self.permit()

    def start(self, kind: Kind) -> None:
        amount = dict(_PARTS).get(kind.name, "100")
        stock.start(self.unit_id, {"party": self.store, "kind": kind.id, "quantity": amount})

    def register(self, kind: Kind, count: int) -> None:
        """Register tools that were bought over the last three years."""
        for number in range(count):
            bought = local_day(self.unit_id) - timedelta(days=self.rng.randint(20, 1000))
            raw = {"kind": str(kind.id), "store": str(self.store), "price": kind.price, "bought_on": bought}
            raw |= {"place": self.rng.choice(("A区一层", "A区二层")), "supplier": "杭州五金机电市场"}
            if kind.calibrate_months:
                raw["calibrate_on"] = local_day(self.unit_id) + timedelta(days=120 + 60 * number)
                raw["serial"] = f"{kind.code}-{self.rng.randrange(10**6):06}"
            file.register_accepted(self.unit_id, raw, "外观完好，功能正常")

    def permit(self) -> None:
        """Who was trained may use power tools and keep the special ones."""
        wanted = select(Kind).where(Kind.unit_id == self.unit_id)
        for kind in session().scalars(wanted.where(Kind.needs_permit | (Kind.category == values.SPECIAL))).all():
            what = values.KEEP_PERMIT if kind.category == values.SPECIAL else values.USE_PERMIT
            for user_id in (self.ann, *self.others):
                raw = {"user_id": str(user_id), "kind_id": str(kind.id), "what": what}
                permits.grant(self.unit_id, {**raw, "basis": "安全操作培训合格"})

    # --- hand-overs ------------------------------------------------------------------------------

    def kind(self, name: str) -> Kind:
        return session().scalars(select(Kind).where(Kind.unit_id == self.unit_id, Kind.name == name)).one()

    def tool(self, name: str, store: int = 0) -> Tool:
        """Return a tool of a kind that a store can give out."""
        return custody.of_kind_in(store or self.store, self.kind(name).id)[0]

    def hand(self, kind: str, giver: int, taker: int, *tools: Tool, **more: Any) -> Record:
        raw = {"kind": kind, "giver_id": giver, "taker_id": taker, "tools": [one.id for one in tools], **more}
        return handovers.give_at_once(self.unit_id, raw)

    def person(self, user_id: int) -> int:
        return parties.person(self.unit_id, user_id).id

    def named(self, name: str) -> int:
        """Return the party of a name."""
        mine = select(Party.id).where(Party.unit_id == self.unit_id, Party.name == name)
        return session().scalars(mine).one()

    def issue_sets(self) -> None:
        """Each gets the numbered tools and small parts of the standard set (R35-4.1)."""
        wanted = [(row.kind, row.quantity) for row in self.pieces()]
        for place, user_id in enumerate((self.ann, *self.others[:-1])):
            with self.on(90 - 5 * place):
                tools = [
                    custody.of_kind_in(self.store, kind.id)[0]
                    for kind, _count in wanted
                    if kind.category != values.CONSUMABLE
                ]
                parts = [(kind.id, count * 5) for kind, count in wanted if kind.category == values.CONSUMABLE]
                self.hand(
                    values.ISSUE, self.store, self.person(user_id), *tools, parts=parts, purpose="个人标配工具"
                )

    def pieces(self) -> Sequence[Any]:
        wanted = select(KitLine).join(Kit).where(Kit.unit_id == self.unit_id, Kit.standard)
        return session().scalars(wanted.order_by(KitLine.id)).all()

    def lend(self) -> None:
        """A loan that came back, one overdue, one due tomorrow, one to another department, one between stores."""
        ann = self.person(self.ann)
        with self.on(40) as moment:
            ladder = self.tool("人字梯")
            self.loan(ann, ladder, moment + timedelta(days=2))
        with self.on(39):
            self.hand(values.RETURN, ann, self.store, ladder, conditions={ladder.id: values.SOUND})
        with self.on(12):
            self.hand(values.MOVE, self.store, self.second, self.tool("人字梯"), purpose="现场备用")
        with self.on(8):
            self.loan(ann, self.tool("万用表"), self.play.now - _LATE)
        with self.on(2):
            self.loan(self.person(self.others[0]), self.tool("红外测温仪"), self.play.now + _SOON)
            self.loan(self.named(_DEPARTMENT), self.tool("冲击钻"), self.play.now + timedelta(days=5))

    def loan(self, taker: int, tool: Tool, due: datetime) -> None:
        more: dict[str, Any] = {"due_at": due.isoformat(), "purpose": "客户现场安装"}
        party = session().get_one(Party, taker)
        if party.user_id is not None and applications.clause_of(self.unit_id, values.A_BORROW):
            more["application_id"] = self.granted(values.A_BORROW, party.user_id, tool.kind, due_at=due.isoformat())
        self.hand(values.LOAN, self.store, taker, tool, **more)

    def granted(self, kind: str, user_id: int, of: Kind, **more: Any) -> int:
        """Return an application that was granted."""
        asked = self.apply(kind, user_id, of, **more)
        waiting = select(approvals.Approval.id).where(
            approvals.Approval.record_id == asked.id, approvals.Approval.state == approvals.WAITING
        )
        for key in session().scalars(waiting).all():
            with self.play.acting("dept_manager"):
                approvals.agree(key, "同意")
        return asked.id

    def apply(self, kind: str, user_id: int, of: Kind, **more: Any) -> Record:
        raw = {"kind": kind, "user_id": user_id, "kind_id": str(of.id), "quantity": 1, "reason": "现场工作需要"}
        return applications.register(self.unit_id, {**raw, **more})

    def wait_for_answers(self) -> None:
        """An existing list to be confirmed, a return on the way, applications not decided yet."""
        last = self.others[-1]
        opening = {"kind": values.OPENING, "giver_id": self.store, "taker_id": self.person(last)}
        tools = [self.tool(name).id for name in ("万用表", "网线钳") if self.there(name)]
        handovers.offer(self.unit_id, {**opening, "tools": tools, "purpose": "原有工具清单，请本人确认"})
        held = [one for one in custody.held_by(self.person(self.others[0])) if one.record.state == values.ISSUED]
        back = {"kind": values.RETURN, "giver_id": self.person(self.others[0]), "taker_id": self.store}
        handovers.offer(self.unit_id, {**back, "tools": [held[0].id], "purpose": "交回更换"})
        self.apply(values.A_ADDITIONAL, self.ann, self.kind("热熔机"))
        self.apply(values.A_NEW, last, self.kind("冲击钻"))

    def there(self, name: str) -> bool:
        return bool(custody.of_kind_in(self.store, self.kind(name).id))

    # --- what happens to tools ---------------------------------------------------------------------

    def repair_and_retire(self) -> None:
        """One came back from the repairer, one is there, one is retired, one waits for acceptance."""
        repairer = self.named(_REPAIRER)
        with self.on(50):
            drill = self.tool("冲击钻")
            self.hand(values.REPAIR, self.store, repairer, drill, purpose="更换碳刷")
        with self.on(44):
            self.hand(values.REPAIRED, repairer, self.store, drill, conditions={drill.id: values.SOUND})
        with self.on(6):
            self.hand(values.REPAIR, self.store, repairer, self.tool("热熔机"), purpose="加热板温度偏低")
            kind = self.kind("红外测温仪")
            raw = {"kind": str(kind.id), "store": str(self.store), "price": kind.price}
            file.register(self.unit_id, {**raw, "bought_on": local_day(self.unit_id)})
        worn = self.tool("电动螺丝刀")
        self.agreed(worn.record, "retire", WORN, 5)
        with self.on(5):
            perform(worn.id, "retire", {"why": "worn", "reason": "使用多年，磨损严重"})

    def have_incidents(self) -> None:
        """Incidents that are closed, wait for payment, for the person, for a judgement."""
        bob = self.others[0]
        for days, user_id, kind, what, cause, end in (
            (60, self.ann, values.LOSS, "客户机房施工后遗失", values.CARELESS, "settle"),
            (25, bob, values.LOSS, "搬运途中遗失", values.CARELESS, "agree_to_pay"),
            (15, self.ann, values.DAMAGE, "当撬棍使用，钳口变形", values.MISUSE, "judge"),
            (4, bob, values.DEFECT, "开关接触不良", "", ""),
        ):
            self.incident(days, user_id, {"kind": kind, "what": what, "where": "客户现场"}, cause, end)

    def incident(self, days: float, user_id: int, raw: Mapping[str, Any], cause: str, end: str) -> None:
        """Report what happened to a tool in somebody's hands, and go on until ``end``."""
        held = [one for one in custody.held_by(self.person(user_id)) if one.record.state == values.ISSUED]
        with self.on(days):
            key = incidents.report(self.unit_id, {**raw, "tool": held[0].id}).id
        if not end:
            return
        with self.on(days - 1, "service_leader"):
            perform(key, "judge", {"cause": cause, "user": user_id, "judgement": "核实情况属实，由本人承担"})
        if end == "judge":
            return
        self.decide(key, days - 2)
        with self.on(days - 2), self.acting_as(user_id):
            perform(key, "agree_to_pay", {"settlement": values.CASH})
        if end == "settle":
            with self.on(days - 3, "finance"):
                perform(key, "settle", {"receipt": f"SJ{self.rng.randrange(10**6):06}"})

    def decide(self, record_id: int, days: float) -> None:
        """Let whoever is asked agree to what was worked out."""
        waiting = select(approvals.Approval).where(
            approvals.Approval.record_id == record_id, approvals.Approval.state == approvals.WAITING
        )
        for approval in session().scalars(waiting).all():
            with self.on(days, approval.position):
                approvals.agree(approval.id, "同意")

    @contextmanager
    def acting_as(self, user_id: int) -> Iterator[None]:
        """Let a person speak for themselves."""
        with self.play.acting(self.people[user_id]):
            if current_scope().actor_id != user_id:
                raise LookupError(user_id)
            yield

    # --- purchase, counts, leaving -------------------------------------------------------------------

    def buy(self) -> None:
        """A granted application that was bought, and the plan of last month's losses."""
        with self.on(30):
            application = self.granted(values.A_ADDITIONAL, self.others[0], self.kind("万用表"))
            plan = purchase.from_application(application)
            line = purchase.lines_of(plan.id)[0]
            offers = {"price": line.price, "quantity": line.quantity, "quote": "甲店 325 元，乙店 320 元"}
            purchase.save_line(plan.id, {"kind": str(line.kind_id), **offers}, line.id)
        with self.on(29, "finance"):
            perform(plan.id, "price", {"note": "三家比价，价格合理"})
        self.approve(plan.id, 28)
        with self.on(27, "procurement"):
            ticks = ["quality", "price", "regular"]
            perform(plan.id, "order", {"supplier": "杭州五金机电市场", "checklist": ticks})
        with self.on(20):
            raw = {"store": self.store, "quantity": 1, "result": "外观、量程、蜂鸣正常"}
            receipts.receive(plan.id, purchase.lines_of(plan.id)[0].id, raw)
        with self.on(3):
            statistics.submit(self.unit_id, f"{local_day(self.unit_id):%Y-%m}")

    def approve(self, plan_id: int, days: float) -> None:
        """Approve a plan, with the agreement that clauses want first."""
        record = session().get_one(Record, plan_id)
        cost = purchase_flow.total(purchase.lines_of(plan_id))
        for clause in (LEADER, purchase.ADDITIONAL):
            self.agreed(record, "approve", clause, days, cost)
        with self.on(days):
            perform(plan_id, "approve", {})

    def agreed(self, record: Record, step: str, clause: str, days: float, amount: Decimal | None = None) -> None:
        """Let the position of a clause agree to a step, where the clause holds."""
        if not holds(self.unit_id, clause):
            return
        with self.on(days):
            approvals.ask(
                self.unit_id,
                clause=clause,
                subject=f"{record.type}.{step}:{record.id}:{clause}",
                title={"zh": f"请批准 {record.number} {record.title}", "en": f"Please agree: {record.number}"},
                position=str(effective(self.unit_id, clause).values["position"]),
                amount=amount,
                record=record,
            )
        self.decide(record.id, days)

    def count(self) -> None:
        """Last month's count with something missing, signed twice; this month's is under way."""
        with self.on(32):
            first = self.counted(self.store, short=1)
            perform(first, "sign", {"rest_missing": "1", "note": "A区二层少一件"})
        with self.on(31, "dept_manager"):
            looked_at = [code for code, _words in rules_care.EQUIPMENT_ITEMS]
            perform(first, "check", {"note": "已核对", "facilities": looked_at})
        with self.on(0.5):
            self.counted(self.store, short=9)

    def counted(self, store: int, short: int) -> int:
        key = counts.begin(self.unit_id, {"party": store}).id
        for line in count_rows.lines_of(key)[short:]:
            if line.tool is not None:
                counts.count_one(key, line.tool, {})
            elif line.kind_id is not None:
                counts.count_parts(key, {"kind": line.kind_id, "counted": line.expected})
        return key

    def leave(self) -> None:
        """Somebody with a set leaves at the end of next week."""
        with self.on(1, "dept_manager"):
            day = local_day(self.unit_id) + timedelta(days=10)
            raw = {"kind": values.LEAVER, "user_id": self.others[1], "last_day": day}
            clearance.begin(self.unit_id, {**raw, "successor_id": self.others[0]})
