"""What this plugin adds to the demonstration: prices and terms, decisions, quotes with their answers, and money."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from sqlalchemy import func, select

from core.sdk import (
    Customer,
    Fact,
    Record,
    add_months,
    approvals,
    charges,
    clock,
    detail_of,
    local_day,
    perform,
    session,
)
from plugins.products import services as products

from . import contracts, coverage, decisions, invoices, ledger, quotes, receipts, tariffs, term_table, values
from .models import Quote, Receipt
from .standing import KEPT, is_borne_by_others, standing_of

_PRICES = {
    "travel_per": values.ACTUAL,
    "lodging_amount": "150",
    "lodging_per": values.PERSON_NIGHT,
    "meals_amount": "50",
    "meals_per": values.PERSON_DAY,
    "allowance_amount": "200",
    "allowance_per": values.PERSON_DAY,
    "allowance_least": "150",
    "labour_amount": "80",
    "labour_per": values.HOUR,
    "freight_per": values.ACTUAL,
}
# Finance's prices of parts: number, name, yuan.
_PARTS = (
    ("KZ-7", "控制器", "860.00"),
    ("SB-15", "循环水泵", "420.00"),
    ("ZB-3", "主板", "560.00"),
    ("BM-2", "变频模块", "1980.00"),
    ("FJ-120", "冷却风机", "135.40"),
    ("DY-24", "开关电源", "218.60"),
    ("JC-32", "交流接触器", "96.50"),
    ("WK-1", "温控仪", "340.80"),
    ("CG-4", "温度传感器", "58.00"),
    ("DH-2", "点火电极", "45.00"),
    ("RJ-6", "热交换器", "1260.00"),
    ("FM-20", "电磁阀", "175.30"),
    ("XS-3", "显示屏", "310.00"),
    ("JD-8", "继电器", "28.00"),
    ("DL-50", "断路器", "680.00"),
    ("CZ-22", "充电模块", "1450.00"),
    ("MF-10", "密封圈组件", "12.00"),
    ("LW-5", "滤网", "36.00"),
    ("ZC-63", "轴承", "88.20"),
    ("GD-1", "导轨组件", "245.60"),
)
_SMALL = ("MF-10", "LW-5")
_KEY_PARTS = {
    "name": "关键部件三年",
    "scope": values.KEY_PART,
    "months": "36",
    "start": values.PURCHASE,
    "action": values.REPAIR,
    "note": "控制器、变频模块等关键部件单独计算",
}
_HEATING = {
    "name": "采暖产品整机两年",
    "scope": values.SET,
    "months": "24",
    "start": values.HANDOVER,
    "action": values.REPAIR,
    "note": "自交接验收之日起",
}
_CONTRACT = {
    "name": "年度维保服务合同",
    "content": "每季度巡检一次，故障随叫随到，合同期内人工免费。",
    "form": "上门服务为主，电话和远程支持",
    "free_months": "12",
    "solve_within": "一般故障2个工作日，紧急故障24小时",
    "repairer": "售后服务部",
    "place": "客户现场",
    "training": "每年一次操作与保养培训，附考核记录",
    "extras": "赠送易损件一套",
    "prices": "KZ-7 = 820.00\nBM-2 = 1880.00",
}
_CAUSES = ("quality",) * 7 + ("misuse", "wear", "unknown")
_EVIDENCE = ("铭牌序列号与销售记录一致", "客户发来照片，外观完好", "现场检查，无拆动痕迹", "随附发票复印件")
_OTHERWISE = ("客户出示的购机凭证与档案不符，按凭证判定", "档案没有购买日期，按客户提供的合同判定")
_CONSENTS = (("phone", "录音已存档"), ("wechat", "微信确认截图"), ("signature", "签字报价单"))
_REFUSALS = ("客户认为收费过高，不同意", "客户坚持属于质量问题，拒绝付费")
_PLEAS = ("老客户，年采购额较大，申请免费服务一次", "刚过保修期三天，申请免收本次费用")
_LOWERED = ("同城顺路上门，补贴按一天计", "长期合作客户，适当减免补贴")
# How many days a quote may still wait for its answer when the story ends.
_FRESH = timedelta(days=9)
# And how the latest quotes stand then.
_ENDS = (values.CONSENTED, values.REFUSED, values.CONSENTED, values.SENT, values.CONSENTED, values.DRAFT)
# In how many cases money was collected today, and an invoice asked for that waits.
_IN_HAND = 2


def begin(unit_id: int, rng: Random) -> None:
    """Give a unit its tariff and part prices before its first case."""
    first = local_day(unit_id).replace(month=1, day=1)
    made = tariffs.save_tariff(unit_id, {**_PRICES, "name": f"{first.year}年收费标准", "starts_on": first})
    tariffs.release(made)
    for number, name, price in _PARTS:
        raw = {"number": number, "name": name, "price": price, "starts_on": first, "active": "1"}
        tariffs.save_part_price(unit_id, {**raw, "small": "1" if number in _SMALL else ""})
    heating = next((key for key, label in products.category_choices(unit_id) if label == "采暖产品"), None)
    term_table.save_term(unit_id, {**_KEY_PARTS, "active": "1"})
    if heating is not None:
        term_table.save_term(unit_id, {**_HEATING, "category_id": heating, "active": "1"})


def before(record: Record, step: str, play: Any, rng: Random) -> bool:
    """Do what belongs before a step: decide and quote before the work, collect and invoice after it."""
    if step in ("plan", "assign"):
        return _before_work(record, play, rng)
    if step == "solve":
        _book_cost(record, rng)
    elif step == "send_result":
        _collect(record, play, rng)
    elif step == "confirm":
        _hand_in(record, play)
    elif step == "close":
        _invoice(record, play, rng)
    return True


def fill(unit_id: int, _play: Any, rng: Random) -> None:
    """Add what is there today: next year's tariff, money in hand, requests for invoices."""
    # The session let go of everything since; what was kept of it is not the session's any more.
    session().info.pop(KEPT, None)
    current = tariffs.in_force(unit_id, local_day(unit_id))
    for one in current[:1]:
        tariffs.copy_forward(one, {**tariffs.copy_values(one), "percent": "3"})
    _money_of_today(unit_id, rng)
    with clock.frozen(clock.now() - timedelta(days=40)):
        _contract(unit_id)


# --- before the work ------------------------------------------------------------------------------


def _before_work(record: Record, play: Any, rng: Random) -> bool:
    if detail_of(record).nature not in decisions.NATURES or standing_of(record).is_decided:
        return True
    decided, worked_out, sent, told = _moments(record, 4)
    with clock.frozen(decided):
        _decide(record, rng)
    if standing_of(record).is_free:
        return True
    end = _end_of(record, play, rng)
    with clock.frozen(worked_out):
        perform(record.id, "warranty:quote", _plan(rng))
    if end == values.DRAFT:
        return False
    with clock.frozen(sent):
        perform(record.id, "warranty:send", {"by": rng.choice(("phone", "wechat", "paper"))})
    if end == values.SENT:
        return False
    with clock.frozen(told):
        if end == values.CONSENTED:
            _agree(record, play, rng)
            return True
        return _refuse(record, play, rng, is_over=end == values.WAIVED)


def _end_of(record: Record, play: Any, rng: Random) -> str:
    """Choose how a quote ends; of the latest, every way there is."""
    if play.now - clock.now() > _FRESH:
        return values.CONSENTED if rng.random() < 0.9 else values.WAIVED
    latest = select(func.count()).select_from(Quote).where(Quote.unit_id == record.unit_id)
    place = session().scalar(latest.where(Quote.quoted_at > play.now - _FRESH)) or 0
    return _ENDS[place % len(_ENDS)]


def _agree(record: Record, play: Any, rng: Random) -> None:
    means, evidence = rng.choice(_CONSENTS)
    who = detail_of(record).contact_name or "客户"
    perform(record.id, "warranty:consent", {"means": means, "who": who[:60], "evidence": evidence})
    if rng.random() < 0.12:
        _lower(record, play, rng)


def _refuse(record: Record, play: Any, rng: Random, *, is_over: bool) -> bool:
    """The customer won't pay: somebody asks to serve them all the same; answer whether that was agreed to."""
    perform(record.id, "warranty:refuse", {"reason": rng.choice(_REFUSALS)})
    perform(record.id, "warranty:ask_waiver", {"reason": rng.choice(_PLEAS)})
    quote = standing_of(record).quote
    assert quote is not None
    if is_over:
        with play.acting("gm"):
            approvals.agree(quote.approval_id, "同意，仅此一次")
    return is_over


def _moments(record: Record, count: int) -> list[datetime]:
    """Return moments spread between the last thing that happened and now."""
    last = session().scalar(select(func.max(Fact.at)).where(Fact.record_id == record.id))
    now = clock.now()
    start = min(clock.as_utc(last), now) if last is not None else now
    return [start + (now - start) * place / count for place in range(1, count + 1)]


def _decide(record: Record, rng: Random) -> None:
    cause = rng.choice(_CAUSES)
    raw: dict[str, Any] = {"cause": cause, "evidence": rng.choice(_EVIDENCE)}
    if cause == "misuse":
        raw["human_damage"] = "1"
    situation = decisions.situation_of(record, {"cause": cause, "human_damage": cause == "misuse"}, clock.now())
    if not coverage.judge(situation).result:
        raw |= {
            "result": rng.choice((values.OUT, values.IN_WARRANTY, values.IN_WARRANTY)),
            "reason": rng.choice(_OTHERWISE),
        }
    perform(record.id, "warranty:decide", raw)


def _plan(rng: Random) -> dict[str, Any]:
    days = rng.choice((1, 1, 1, 2))
    lines = [
        f"{number},{rng.randint(1, 2)}" for number, _name, _price in rng.sample(_PARTS, rng.choice((0, 1, 1, 2)))
    ]
    return {
        "means": values.ON_SITE,
        "people": rng.choice((1, 1, 2)),
        "days": days,
        "nights": days - 1,
        "travel": rng.randint(3, 60) * 10,
        "hours": rng.choice((1, 2, 3)),
        "provided": rng.choice(([], [], ["meals"])),
        "parts": "\n".join(lines),
    }


def _lower(record: Record, play: Any, rng: Random) -> None:
    """Ask for a lower allowance; whoever the clause names agrees."""
    lines = [one for one in charges.lines_of(record.id) if one.code == values.ALLOWANCE and one.amount > 50]
    if not lines:
        return
    asked = charges.ask_waiver(lines[0].id, rng.choice(_LOWERED), Decimal(50))
    if asked is not None:
        with play.acting(asked.position):
            approvals.agree(asked.id, "同意减免")


# --- after the work -------------------------------------------------------------------------------


def _book_cost(record: Record, rng: Random) -> None:
    if standing_of(record).is_free and not is_borne_by_others(record) and rng.random() < 0.85:
        perform(record.id, "warranty:cost", _plan(rng))


def _collect(record: Record, play: Any, rng: Random) -> None:
    """Collect what is owed, most of the time."""
    owed = quotes.payable(record.id)
    if owed <= 0 or rng.random() < 0.1:
        return
    with play.acting("field_staff"):
        receipts.register(record.unit_id, _receipt(record, owed, rng))
    rounding = select(approvals.Approval).where(
        approvals.Approval.record_id == record.id,
        approvals.Approval.subject.startswith(f"{receipts.ROUNDING}:", autoescape=True),
    )
    for one in session().scalars(rounding).all() if rng.random() < 0.9 else ():
        with play.acting(one.position):
            approvals.agree(one.id, "同意抹零")


def _receipt(record: Record, owed: Decimal, rng: Random) -> dict[str, Any]:
    means = rng.choice((values.CASH, values.WECHAT, values.WECHAT, values.ALIPAY, values.TRANSFER))
    cents = owed % 1
    return {
        "case_id": record.id,
        "amount": str(owed - cents),
        "means": means,
        "payer_name": detail_of(record).contact_name,
        "reference": "" if means == values.CASH else f"{rng.randrange(10**11):012}",
        **({"round_off": "1"} if cents else {}),
    }


def _hand_in(record: Record, play: Any) -> None:
    """Hand in what was taken at a case, and let finance confirm it."""
    taken = select(Record).join(Receipt, Receipt.id == Record.id).where(Receipt.case_id == record.id)
    for one in session().scalars(taken):
        if one.state == receipts.COLLECTED:
            perform(one.id, "hand_in", {})
        if one.state == receipts.HANDED_IN:
            with play.acting("finance"):
                perform(one.id, "confirm", {})


def _invoice(record: Record, play: Any, rng: Random) -> None:
    """Ask for an invoice over what was collected, and let finance enter it."""
    asked = _ask_invoice(record, rng)
    if asked is not None and rng.random() < 0.85:
        with play.acting("finance"):
            perform(asked.id, "issue", {"invoice_number": f"{rng.randrange(10**19):020}"})


def _ask_invoice(record: Record, rng: Random) -> Record | None:
    if not ledger.to_invoice(ledger.of_record(record.id)) or rng.random() < 0.3:
        return None
    customer = record.customer
    assert customer is not None
    raw = {"case_id": record.id, "buyer": customer.name, "content": "维修服务费", "mailbox": "caiwu@example.com"}
    return invoices.request(record.unit_id, raw)


# --- today ----------------------------------------------------------------------------------------


def _money_of_today(unit_id: int, rng: Random) -> None:
    """Let some money be in hand that was collected today, and some requests wait for finance."""
    agreed = select(Record).join(Quote, Quote.record_id == Record.id)
    agreed = agreed.where(Record.unit_id == unit_id, Quote.current, Quote.state == values.CONSENTED)
    collected = asked = 0
    for record in session().scalars(agreed.order_by(Record.id.desc()).limit(30)).all():
        owed = sum((one.rest for one in ledger.to_pay(ledger.of_record(record.id))), Decimal(0))
        if owed >= 1 and collected < _IN_HAND:
            receipts.register(unit_id, {**_receipt(record, owed, rng), "means": values.CASH, "reference": ""})
            collected += 1
        elif asked < _IN_HAND:
            asked += _ask_invoice(record, rng) is not None


def _contract(unit_id: int) -> None:
    """Let the company that has bought most be served by a contract."""
    bought = select(products.Item.customer_id).join(Customer, Customer.id == products.Item.customer_id)
    bought = bought.where(products.Item.unit_id == unit_id, Customer.kind == "company")
    customer_id = session().scalar(
        bought.group_by(products.Item.customer_id).order_by(func.count().desc(), products.Item.customer_id).limit(1)
    )
    if customer_id is None:
        return
    serials = [item.serial for item in products.items_of_customer(customer_id)]
    made = contracts.register(unit_id, {**_CONTRACT, "customer_id": customer_id, "serials": "\n".join(serials)})
    today = local_day(unit_id)
    perform(made.id, "sign", {"signed_on": today})
    team = {"engineers": "鲁大勇、牛志勇", "agents": "程思敏、童欣怡"}
    perform(made.id, "start", {"starts_on": today, "ends_on": add_months(today, 12) - timedelta(days=1), **team})
