"""What this plugin adds to the demonstration: agents of each kind with people and contracts, and who sold what.

Of their cases notices, bills and orders to a technician; statements of two months in different states.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from random import Random
from typing import Any

from sqlalchemy import select

from core.sdk import (
    Record,
    Unit,
    User,
    add_months,
    attach,
    clock,
    current_scope,
    detail_of,
    holds,
    local_day,
    perform,
    session,
)
from plugins.products import services as products

from . import (
    bearing,
    billing,
    contracts,
    evaluations,
    file,
    notices,
    payments,
    sellers,
    settlement,
    statements,
    values,
)
from .models import Agent, Statement

_AGENTS: tuple[dict[str, Any], ...] = (
    {
        "name": "华东机电设备有限公司",
        "kind": values.AGENT,
        "level": "general",
        "regions": "浙江省",
        "address": "浙江省杭州市萧山区市心路210号",
        "email": "fuwu@huadong-jd.example.com",
        "phone": "0571-82700010",
    },
    {
        "name": "江淮电气贸易有限公司",
        "kind": values.AGENT,
        "level": "first",
        "regions": "江苏省，安徽省",
        "address": "安徽省合肥市蜀山区黄山路88号",
        "email": "shfw@jianghuai-dq.example.com",
        "phone": "0551-65100020",
    },
    {
        "name": "申城自动化有限公司",
        "kind": values.AGENT,
        "level": "second",
        "regions": "上海市，苏州市",
        "address": "上海市浦东新区张杨路560号",
        "phone": "021-58300030",
    },
    {
        "name": "大成重工株式会社",
        "kind": values.PARTNER,
        "address": "韩国昌原市城山区",
        "email": "service@daesung.example.com",
        "phone": "021-62000040",
    },
    {
        "name": "捷修技术服务有限公司",
        "kind": values.SERVICE,
        "regions": "浙江省，江苏省",
        "address": "浙江省杭州市余杭区文一西路998号",
        "phone": "0571-88600050",
    },
    {"name": "皖赣安装服务有限公司", "kind": values.SERVICE, "regions": "安徽省，江西省", "phone": "0551-63400060"},
)
SELLERS, SERVER_AT = 3, 4  # the first three sell; the technician with a sign-in is of the fifth
# Name, role, phone; of every agent in this order.
_PEOPLE = (
    (("吴国华", values.BUSINESS, "13805710011"), ("沈丽", values.FINANCE, "13805710012")),
    (("汪志平", values.BUSINESS, "13905510021"),),
    (("陆敏", values.BUSINESS, "13601610031"),),
    (("金哲洙", values.BUSINESS, "13701620041"),),
    (("方永强", values.TECHNICIAN, "13958110051"), ("倪晓燕", values.BUSINESS, "13958110052")),
    (("程大海", values.TECHNICIAN, "13856910061"),),
)
# By place of the agent: months since it began, days from today to its last day (None: open), rates and terms.
_CONTRACTS: Mapping[int, tuple[int, int | None, dict[str, Any]]] = {
    0: (
        20,
        400,
        {
            "name": "2026年度代理售后服务合同",
            "receivable_tariff_percent": "80",
            "receivable_part_percent": "100",
            "netting": "1",
            "payment_days": "20",
            "terms": "代理商自行完成的保内服务另行结算。",
        },
    ),
    1: (12, 18, {"name": "江苏安徽区域代理合同", "receivable_per_visit": "400", "receivable_part_percent": "90"}),
    2: (18, -35, {"name": "上海苏州区域代理合同", "receivable_tariff_percent": "70"}),
    3: (14, 350, {"name": "高空作业平台合作合同", "receivable_tariff_percent": "100", "handling_rate": "8"}),
    4: (
        10,
        200,
        {
            "name": "委托维修服务合同",
            "payable_per_visit": "120",
            "payable_per_case_repair": "180",
            "netting": "1",
            "clawback_days": "30",
        },
    ),
    5: (6, None, {"name": "委托安装服务合同", "payable_per_visit": "150"}),
}
_PAPER = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
_MEANS = (("phone", "通话录音已存档"), ("wechat", "微信聊天截图"), ("fax", "传真回执"))
_RESULT = {
    "cause": "部件老化",
    "process": "更换损坏部件，清洁并重新紧固",
    "test_result": "试运行两小时正常",
    "parts_used": "无",
}
_DISPUTES = ("该机已由我方自行处理，不应再收上门费", "配件数量与我方记录不符", "客户不在我方销售区域")
# How far the statements of the last but one month and of the last month have come, agent by agent.
_BEFORE_LAST = (statements.CLOSED, statements.INVOICED, statements.CLOSED)
_LAST = (statements.DISPUTED, statements.APPROVED, statements.SENT)
# Of a hundred items of agents so many have a known seller, of those so many in the seller's region; and of the
# cases that a technician could take so many are passed on.
_KNOWN, _INSIDE, _PASSED_ON = 80, 85, 40
# The first day lies so long before the day the story ends.
_STORY = timedelta(days=100)
_PARTS = ("KZ-7, 1", "SB-15, 1", "FJ-120, 2", "DY-24, 1", "")


# --- the first day --------------------------------------------------------------------------------


def begin(unit_id: int, rng: Random) -> None:
    """Give a unit that settles with agents its file: agents, people, contracts."""
    if not holds(unit_id, bearing.AGENT_FEE):
        return
    for place, raw in enumerate(_AGENTS):
        agent = file.save_agent(unit_id, {**raw, "active": "1"})
        for name, role, phone in _PEOPLE[place]:
            file.save_contact(agent, {"name": name, "role": role, "phone": phone, "active": "1"})
        if place in _CONTRACTS:
            _contract(unit_id, agent, *_CONTRACTS[place])
    _admit(unit_id)


def _contract(unit_id: int, agent: Agent, months: int, ends: int | None, raw: Mapping[str, Any]) -> None:
    today = local_day(unit_id, clock.now() + _STORY)
    starts = add_months(today, -months)
    given = {"currency": values.CNY, "out_payer": values.CUSTOMER_PAYS, "settlement_day": "5", **raw}
    given |= {"agent_id": agent.code, "starts_on": starts}
    given |= {} if ends is None else {"ends_on": today + timedelta(days=ends)}
    record = contracts.register(unit_id, given)
    attach(record.id, "代理合同（双方签章）.pdf", io.BytesIO(_PAPER), note="双方签章扫描件")
    perform(record.id, "sign", {"signed_on": min(starts, local_day(unit_id))})
    perform(record.id, "start", {})


def _admit(unit_id: int) -> None:
    """Give two people sign-ins: the demonstration's own of this position, and one that shares its password."""
    code = session().get_one(Unit, unit_id).code.lower()
    agents = _agents(unit_id)
    technician, seller = file.contacts_of(agents[SERVER_AT].id)[0], file.contacts_of(agents[0].id)[0]
    known = session().scalars(select(User).where(User.username == f"{code}.agent")).first()
    if known is not None:
        technician.user_id, technician.name = known.id, known.name
    user, _first = file.give_sign_in(seller.id, {"username": f"daili.{code}"})
    actor = session().get(User, current_scope().actor_id)
    if actor is not None:
        user.password_hash, user.must_change_password, user.last_unit_id = actor.password_hash, False, unit_id
    session().flush()


def _agents(unit_id: int) -> Sequence[Agent]:
    """Return the demonstration's agents in the order they were entered; none where a unit settles with none."""
    return session().scalars(select(Agent).where(Agent.unit_id == unit_id).order_by(Agent.id)).all()


# --- a case ---------------------------------------------------------------------------------------


def received(record: Record, rng: Random) -> None:
    """Let the seller of most items be known from the sales records; some stay to be found out."""
    item = products.item_of_record(record)
    agents = _agents(record.unit_id)
    if item is None or not agents or item.sold_class != products.fields.AGENT or sellers.seller_of(item.id):
        return
    if rng.randrange(100) >= _KNOWN:
        return
    agent = _seller_for(detail_of(record).address_text, agents[:SELLERS], rng)
    day = item.purchased_on or local_day(item.unit_id, record.received_at)
    raw = {"agent": agent.code, "sold_on": day, "document": f"XS{day:%Y%m}-{item.id % 1000:03}"}
    sellers.set_seller(item, raw, values.BY_IMPORT)
    item.seller = agent.name


def _seller_for(place: str, agents: Sequence[Agent], rng: Random) -> Agent:
    """Most agents sell where they may."""
    near = [one for one in agents if any(region in place for region in one.regions)]
    return rng.choice(near) if near and rng.randrange(100) < _INSIDE else rng.choice(agents)


def before(record: Record, step: str, play: Any, rng: Random) -> bool:
    """Tell the agent before somebody is sent, pass some cases on, bill when the work is done."""
    if step in ("plan", "assign") and not _tell(record, rng):
        return False
    if step == "assign":
        return not _pass_on(record, play, rng)
    if step == "solve":
        _bill(record, rng)
    return True


def _tell(record: Record, rng: Random) -> bool:
    """Tell whoever bears the case; without a seller it waits, as it would."""
    bearer = bearing.bearer_of(record)
    if bearer is None:
        return True
    if bearer.agent is None:
        return False
    if notices.notice_of(record) is None:
        means, evidence = rng.choice(_MEANS)
        contact = file.contacts_of(bearer.agent.id)[0]
        perform(record.id, "agents:notify", {"means": means, "to": contact.name, "evidence": evidence})
    return True


def _bill(record: Record, rng: Random) -> None:
    if bearing.bearer_of(record) is None or billing.is_settled(record):
        return
    days, parts = rng.choice((1, 1, 2)), rng.choice(_PARTS)
    plan = {"means": "on_site", "people": 1, "days": days, "nights": days - 1, "travel": rng.randint(3, 40) * 10}
    perform(record.id, "agents:bill", {**plan, "hours": rng.choice((1, 2, 3)), "parts": parts, "visits": 1})


# --- orders ---------------------------------------------------------------------------------------


def _pass_on(record: Record, play: Any, rng: Random) -> bool:
    """Let a service agent's technician do the work of some cases, as far as time goes; answer whether they do."""
    agents = _agents(record.unit_id)
    user_id = file.contacts_of(agents[SERVER_AT].id)[0].user_id if agents else None
    if user_id is None or rng.randrange(100) >= _PASSED_ON:
        return False
    moments = iter(_hours(rng))
    now = clock.now()
    perform(record.id, "assign", {"assignee_id": user_id, "reason": "就近由服务商上门"})
    for step, position, given in (
        ("accept", "agent", {}),
        ("depart", "agent", {}),
        ("arrive", "agent", {}),
        ("solve", "agent", {**_RESULT, "plan": "现场检修", "agreed": "1"}),
        ("send_result", "reception", {"message": "您反映的问题已处理完毕，如有疑问请随时联系我们。"}),
        ("confirm", "reception", {"means": "phone", "rating": rng.choice("55443")}),
        ("close", "after_sales", {"reason": "资料齐全，归档"}),
    ):
        now += timedelta(hours=next(moments))
        if now >= play.now:
            break
        with clock.frozen(now):
            if step == "solve":
                with play.acting("after_sales_admin"):
                    _bill(record, rng)
            with play.acting(position):
                perform(record.id, step, given)
    return True


def _hours(rng: Random) -> list[float]:
    return [rng.uniform(*span) for span in ((0.2, 2), (1, 20), (0.4, 3), (0.5, 5), (0.2, 3), (4, 30), (1, 30))]


# --- afterwards -----------------------------------------------------------------------------------


def fill(unit_id: int, play: Any, rng: Random) -> None:
    """Add what is there besides cases: evaluations, statements of two months, what was paid of them."""
    agents = _agents(unit_id)
    for agent in agents:
        if agent.kind == values.SERVICE:
            _evaluate(agent, rng)
    this_month = local_day(unit_id).replace(day=1)
    settled = [one for one in agents if one.kind != values.PARTNER]
    for months, ends in ((2, _BEFORE_LAST), (1, _LAST)):
        first = add_months(this_month, -months)
        for place, agent in enumerate(settled):
            _Settling(unit_id, agent, first, play, rng).go_to(ends[place % len(ends)])


def _evaluate(agent: Agent, rng: Random) -> None:
    for days, means in ((70, "phone"), (6, "visit")):
        on = local_day(agent.unit_id) - timedelta(days=days)
        scores = {name: rng.choice((3, 4, 4, 5)) for name in ("awareness", "attitude", "skill", "quality")}
        told = {"agent_id": str(agent.id), "on": on, "means": means, "finding": "上门及时，旧件交回有拖延"}
        with clock.frozen(clock.now() - timedelta(days=days) + timedelta(hours=1)):
            evaluations.register(agent.unit_id, {**told, **scores})


class _Settling:
    """The way of one agent's statement of a month, a few days from step to step."""

    def __init__(self, unit_id: int, agent: Agent, month: date, play: Any, rng: Random) -> None:
        self.unit_id, self.agent, self.play, self.rng = unit_id, agent, play, rng
        self.period = f"{month:%Y-%m}"
        self.first = clock.now() - (local_day(unit_id) - add_months(month, 1))
        self.key = 0

    def go_to(self, end: str) -> None:
        """Take the steps whose day has come, until the statement stands as wanted."""
        for days, position, state, act in (
            (2, "after_sales_admin", statements.DRAFT, self.make),
            (3, "after_sales_admin", statements.SENT, self.send),
            (5, "after_sales_admin", statements.DISPUTED, self.answer),
            (7, "after_sales_admin", statements.AGREED, self.decide),
            (9, "gm", statements.APPROVED, self.approve),
            (11, "after_sales_admin", statements.SEALED, self.seal),
            (12, "finance", statements.INVOICED, self.invoice),
            (14, "finance", statements.PAID, self.pay),
            (15, "finance", statements.CLOSED, self.close),
        ):
            moment = self.first + timedelta(days=days)
            if moment >= self.play.now:
                return
            with clock.frozen(moment), self.play.acting(position):
                act()
            if state == end or not self.key:
                return

    @property
    def detail(self) -> Statement:
        return session().get_one(Statement, self.key)

    def make(self) -> None:
        record = settlement.settle_agent(self.unit_id, self.agent.id, self.period)
        self.key = record.id if record is not None else 0

    def send(self) -> None:
        perform(self.key, "send", {})

    def answer(self) -> None:
        """They dispute a line and confirm the others."""
        lines = [one for one in statements.lines_of(self.key) if not one.released]
        corrected = {one.record_id for one in lines if one.amount < 0}
        doubtful = [one for one in lines if one.direction == values.OWED_TO_US and one.record_id not in corrected]
        if len(lines) > 1 and doubtful:
            line = self.rng.choice(doubtful)
            dispute = self.rng.choice(_DISPUTES)
            claimed = f"{line.amount / 2:.2f}"
            statements.answer_line(line.id, {"answer": statements.DISPUTE, "dispute": dispute, "claimed": claimed})
        statements.confirm_all(self.key)

    def decide(self) -> None:
        """Of the disputes most are allowed in part."""
        for line in statements.lines_of(self.key):
            if line.state == values.DISPUTED and not line.released:
                raw = {
                    "decision": statements.ALLOW,
                    "amount": f"{line.amount / 2:.2f}",
                    "reason": "核对工单后按一半计",
                }
                statements.decide_dispute(line.id, raw)

    def approve(self) -> None:
        for line in statements.lines_of(self.key):
            if line.failed and not line.released:
                statements.note_check(line.id, "已核对工单和通话记录，情况属实")
        perform(self.key, "approve", {})

    def seal(self) -> None:
        attach(self.key, "结算单（双方盖章）.pdf", io.BytesIO(_PAPER), note="双方盖章扫描件")
        perform(self.key, "seal", {"sealed_on": local_day(self.unit_id)})

    def invoice(self) -> None:
        number = f"{self.rng.randrange(10**8):08}"
        raw = {"our_invoice": f"2433{number}" if self.detail.receivable > 0 else ""}
        perform(self.key, "invoice", {**raw, "their_invoice": f"3201{number}" if self.detail.payable > 0 else ""})

    def pay(self) -> None:
        """Each side pays what it owes."""
        for kind, rest in zip((values.RECEIVED_FROM, values.PAID_TO), statements.open_of(self.detail), strict=True):
            if rest > 0:
                paid = {"agent_id": self.agent.id, "statement_id": self.key, "kind": kind, "amount": f"{rest:.2f}"}
                reference = f"{kind.upper()}-{self.period}-{self.agent.code}"
                payments.register(
                    self.unit_id, {**paid, "paid_on": local_day(self.unit_id), "reference": reference}
                )

    def close(self) -> None:
        if session().get_one(Record, self.key).state == statements.PAID:
            perform(self.key, "close", {})
