"""What a plan costs whom: a pure calculation. Every line names the clause that asks for it, or makes it free.

First what is done is listed at its price (``_items``), then for each item who pays how much of it (``_verdict``).
What the customer and the company pay is together always what the plan costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import Choices, InvalidData, money_math

from . import values
from .fee_clauses import (
    ALL_FREE,
    BID_PRICE,
    FOREIGN_PARTS,
    FREE_REPAIR,
    HANDLING_FEE,
    MATERIAL_ONLY,
    MISUSE,
    NEGOTIATED,
    OTHER_COST_FREE,
    PARTIAL,
    PARTS,
    PRICE_KEPT,
    PROMISES,
    REMOTE_FREE,
    SHEETS,
    STAFF_FREE,
)
from .values import (
    ACTUAL,
    ALLOWANCE,
    COMPETITOR_WORK,
    FREIGHT,
    HANDLING,
    HOUR,
    INSTALLATION,
    LABOUR,
    LODGING,
    MATERIAL,
    MEALS,
    PERCENT,
    PERSON_DAY,
    PERSON_NIGHT,
    REMOTE,
    TRANSPORT,
    PartnerTerms,
    Plan,
    PlanPart,
    Price,
    PricedLine,
)

CUSTOMER, COMPANY = "customer", "company"
NOTHING, ALL = Decimal(0), Decimal(1)
FINEST = Decimal("0.0001")  # a price may be finer than a cent; a line never is
FREE_CODE = "free"
FOREIGN = "4.3"  # the class with a tariff of its own
FREE_LABEL = {"zh": "免费服务", "en": "Free of charge"}
PROVIDED_WHY, FREE_WHY, DISCOUNT_WHY, SHARE_WHY, SURCHARGE_WHY, AGREED_WHY = (
    "provided",
    "free",
    "discount",
    "share",
    "surcharge",
    "agreed",
)
WHYS: Choices = (
    (PROVIDED_WHY, _l("The customer provides it")),
    (FREE_WHY, _l("Free of charge")),
    (DISCOUNT_WHY, _l("At a preferential price")),
    (SHARE_WHY, _l("Part of the material")),
    (SURCHARGE_WHY, _l("With the surcharge of the class")),
    (AGREED_WHY, _l("Price agreed by contract")),
)

STAFF = (TRANSPORT, LODGING, MEALS, ALLOWANCE)
# Beside which field of the plan a mistake about an item is told.
FIELDS = {
    TRANSPORT: "travel",
    LODGING: "nights",
    MEALS: "days",
    ALLOWANCE: "days",
    LABOUR: "hours",
    FREIGHT: "freight",
    MATERIAL: "parts",
    HANDLING: "parts",
    INSTALLATION: "means",
    COMPETITOR_WORK: "price",
}


@dataclass(frozen=True)
class Basis:
    """What the calculation rests on, beside the plan; ``clauses``: values of those in force, by id."""

    result: str  # of the coverage decision
    product_class: str = "4.1"
    sold_class: str = "own"
    category: str = ""
    is_competitor: bool = False
    policy: str = values.PAID
    prices: Mapping[str, Price] = field(default_factory=dict)  # by values.TARIFF_ITEMS
    # Part prices of a contract, tax and freight included.
    agreed: Mapping[str, Decimal] = field(default_factory=dict)
    clauses: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    decision_clause: str = ""
    # How parts that a partner supplies are charged; None: as our own, with the handling fee of R17-5.2.7 if any.
    partner: PartnerTerms | None = None

    @property
    def is_free(self) -> bool:
        """Nothing is asked of the customer, whatever the plan (R03-7.1, R07-6.1, R22-1.W1a ...)."""
        return self.result in values.FREE_RESULTS or self.policy == values.FREE

    @property
    def is_paid(self) -> bool:
        """The customer pays for everything that a clause asks for."""
        return not self.is_free and self.policy == values.PAID

    def first(self, wanted: Iterable[str]) -> str:
        """Return the first of these clauses that is in force, '' where none is."""
        return next((one for one in wanted if one in self.clauses), "")

    def number(self, clause: str, name: str, default: int = 0) -> Decimal:
        """Return a number that a clause sets, or the default where it is not in force."""
        return Decimal(self.clauses.get(clause, {}).get(name, default))


@dataclass(frozen=True)
class _Item:
    """Something of a plan at its price. ``clause`` is the one that sets the price, where one does."""

    code: str
    label: dict[str, str]
    quantity: Decimal
    price: Decimal
    clause: str = ""
    provided: bool = False
    part: PlanPart | None = None
    why: str = ""


@dataclass(frozen=True)
class _Verdict:
    """How much of an item the customer pays, and by which clause. ``told``: a line of zero is shown to them."""

    share: Decimal
    clause: str
    why: str = ""
    told: bool = True


def work_out(plan: Plan, basis: Basis) -> list[PricedLine]:
    """Return every line of a plan, what the customer pays and what the company bears, in a fixed order.

    Raises:
        InvalidData: beside the plan's field: a part without finance's price, something no clause asks for.
    """
    lines: list[PricedLine] = []
    for item in _items(plan, basis):
        lines += _split(item, _verdict(item, plan, basis))
    if any(one.payer == CUSTOMER for one in lines):
        return lines
    return [*lines, *_evidence(plan, basis)]


def total(lines: Iterable[PricedLine], payer: str) -> Decimal:
    """Return what a payer owes, each line rounded half up to 0.01 first."""
    return sum((amount_of(one) for one in lines if one.payer == payer), money_math.ZERO)


def amount_of(line: PricedLine) -> Decimal:
    """Return what a line comes to, rounded half up to 0.01."""
    return money_math.times(line.quantity, line.price)


def least_price(costs: Iterable[Decimal], profit: Decimal, basis: str) -> Decimal:
    """Return the least that work on a competitor's product may be asked for (R13-5.2.3.2, R19-5.2.3.2).

    ``profit`` in percent of the cost, or of the price.
    """
    cost, part = sum(costs, NOTHING), profit / 100
    if basis == "price":
        exact = cost / (1 - part) if part < 1 else money_math.MOST
    else:
        exact = cost * (1 + part)
    return exact.quantize(money_math.CENT, ROUND_CEILING)


# --- what is done, at its price --------------------------------------------------------------------


def _items(plan: Plan, basis: Basis) -> Iterator[_Item]:
    if basis.is_competitor and basis.is_paid and basis.first(SHEETS):
        yield _competitor_work(plan)
        return
    if plan.means == values.ON_SITE:
        yield from _visit(plan, basis)
    yield from _labour(plan, basis)
    yield from _freight(plan, basis)
    yield from _material(plan, basis)


def _competitor_work(plan: Plan) -> _Item:
    """The price asked holds the eight items of cost: nothing else is charged beside it."""
    if plan.price is None:
        raise InvalidData({"price": _l("Please fill this in")})
    if plan.parts:
        raise InvalidData({"parts": _l("The price asked includes the material")})
    return _Item(COMPETITOR_WORK, values.LINE_LABELS[COMPETITOR_WORK], ALL, plan.price)


def _visit(plan: Plan, basis: Basis) -> Iterator[_Item]:
    typed = {TRANSPORT: plan.travel, LODGING: plan.lodging_actual}
    for code in STAFF:
        price = basis.prices.get(code)
        if code == LODGING and plan.lodging_actual:
            price = _lodging(price, basis)
        yield from _tariff_item(code, price, plan, basis, typed.get(code, NOTHING))


def _lodging(price: Price | None, basis: Basis) -> Price | None:
    """What lodging really cost counts where no fixed price does, or where we bear it ourselves."""
    if price is None or price.per == ACTUAL:
        return price
    if basis.is_paid:
        raise InvalidData({"lodging_actual": _l("The tariff has a fixed price for lodging")})
    return Price(NOTHING, ACTUAL, price.clause)


def _labour(plan: Plan, basis: Basis) -> Iterator[_Item]:
    price = basis.prices.get(LABOUR)
    if plan.hours and price is None:
        raise InvalidData({"hours": _l("Finance has set no price for labour")})
    if price is not None and plan.means != values.DELIVERED_PART:
        yield from _tariff_item(LABOUR, price, plan, basis)
    elif price is None and basis.policy == values.PARTIAL_MATERIAL and not basis.is_free:
        yield _promised(LABOUR)
    if not plan.parts or plan.means not in (values.ON_SITE, values.WORKSHOP):
        return
    if INSTALLATION in basis.prices:
        yield from _tariff_item(INSTALLATION, basis.prices[INSTALLATION], plan, basis)
    elif basis.policy == values.MATERIAL_ONLY and not basis.is_free:
        yield _promised(INSTALLATION)


def _freight(plan: Plan, basis: Basis) -> Iterator[_Item]:
    price = basis.prices.get(FREIGHT)
    if plan.freight:
        yield _Item(FREIGHT, values.LINE_LABELS[FREIGHT], ALL, plan.freight, price.clause if price else "")
    elif price is not None and price.per != ACTUAL and plan.parts:
        yield from _tariff_item(FREIGHT, price, plan, basis)
    elif plan.parts and basis.policy == values.MATERIAL_ONLY and not basis.is_free:
        yield _promised(FREIGHT)


def _promised(code: str) -> _Item:
    """What is promised free of charge is told, also where it costs nothing."""
    return _Item(code, values.LINE_LABELS[code], ALL, NOTHING)


def _tariff_item(
    code: str, price: Price | None, plan: Plan, basis: Basis, typed: Decimal = NOTHING
) -> Iterator[_Item]:
    """Yield an item of the tariff, or what was typed as its actual cost; nothing where it comes to nothing."""
    label = values.LINE_LABELS[code]
    clause = price.clause if price is not None else ""
    if price is None or price.per == ACTUAL:
        quantity, amount = ALL, typed
    else:
        quantity, amount = _quantity(price.per, plan), price.amount
    if code in plan.provided:
        if basis.is_paid:
            yield _Item(code, label, ALL, NOTHING, clause, provided=True, why=PROVIDED_WHY)
    elif quantity * amount:
        yield _Item(code, label, quantity, amount, clause)


def _quantity(per: str, plan: Plan) -> Decimal:
    if per == PERSON_NIGHT:
        return plan.people * plan.nights
    if per == PERSON_DAY:
        return plan.people * plan.days
    return plan.hours if per == HOUR else ALL


def _material(plan: Plan, basis: Basis) -> Iterator[_Item]:
    if basis.partner is not None:
        yield from (_part(one, basis) for one in plan.parts if not one.partner)
        if basis.is_paid:
            yield from _partner_fee(plan.parts, basis.partner)
        return
    parts = [_part(one, basis) for one in plan.parts]
    yield from parts
    if basis.is_paid:
        yield from _handling(parts, basis)


def _partner_fee(parts: Iterable[PlanPart], terms: PartnerTerms) -> Iterator[_Item]:
    """Yield the handling fee in place of the partner's parts: of finance's price, before any surcharge of ours."""
    counted = [one for one in parts if one.partner or terms.base == "all_parts"]
    base = sum((money_math.times(one.quantity, _listed(one)) for one in counted), NOTHING)
    fee = money_math.yuan(base * terms.rate / 100)
    if fee:
        yield _Item(HANDLING, values.LINE_LABELS[HANDLING], ALL, fee, terms.clause)


def _listed(part: PlanPart) -> Decimal:
    """Return finance's price of a part.

    Raises:
        InvalidData: there is none.
    """
    if part.price is None:
        text = _l("Finance has set no price for %(part)s", part=part.number)
        raise InvalidData({"parts": text})
    return part.price


def _part(part: PlanPart, basis: Basis) -> _Item:
    listed = _listed(part)
    name = part.name or part.number
    label = {language: f"{word}：{name}" for language, word in values.LINE_LABELS[MATERIAL].items()}
    label["en"] = f"{values.LINE_LABELS[MATERIAL]['en']}: {name}"
    price, why = (listed, "") if basis.is_free else _asked_price(part.number, listed, basis)
    return _Item(MATERIAL, label, part.quantity, price, part=part, why=why)


def _asked_price(number: str, listed: Decimal, basis: Basis) -> tuple[Decimal, str]:
    """Return a part's price: the contract's, else finance's, for class 4.3 with the surcharge (R13-5.2.2.3a)."""
    if number in basis.agreed and basis.first((PRICE_KEPT, BID_PRICE)):
        return basis.agreed[number], AGREED_WHY
    clause = basis.first(FOREIGN_PARTS) if basis.product_class == FOREIGN else ""
    if not clause:
        return listed, ""
    raised = listed * (100 + basis.number(clause, "surcharge")) / 100
    # Up, because the surcharge is the least there may be.
    return raised.quantize(FINEST, ROUND_CEILING), SURCHARGE_WHY


def _handling(parts: list[_Item], basis: Basis) -> Iterator[_Item]:
    """Yield the handling fee on parts of a partner, or on all (R17-5.2.7); a bid price holds everything already."""
    price = basis.prices.get(HANDLING)
    if price is None and HANDLING_FEE not in basis.clauses:
        return
    everything = basis.clauses.get(HANDLING_FEE, {}).get("base") == "all_parts"
    counted = [one for one in parts if one.why != AGREED_WHY and one.part and (one.part.partner or everything)]
    if not counted:
        return
    clause = price.clause if price is not None else HANDLING_FEE
    if price is not None and price.per != PERCENT:
        yield _Item(HANDLING, values.LINE_LABELS[HANDLING], ALL, price.amount, clause)
        return
    rate = price.amount if price is not None else basis.number(HANDLING_FEE, "rate")
    base = sum((_money(one) for one in counted), NOTHING)
    fee = money_math.yuan(base * rate / 100)
    if fee:
        yield _Item(HANDLING, values.LINE_LABELS[HANDLING], ALL, fee, clause)


# --- who pays for it -------------------------------------------------------------------------------


def _verdict(item: _Item, plan: Plan, basis: Basis) -> _Verdict:
    if basis.is_free:
        return _Verdict(NOTHING, _bearing_clause(item, basis), FREE_WHY, told=False)
    if basis.policy == values.MATERIAL_ONLY:
        return _material_only(item, basis)
    if basis.policy == values.PARTIAL_MATERIAL:
        return _partial_material(item, basis)
    return _paid(item, plan, basis)


def _bearing_clause(item: _Item, basis: Basis) -> str:
    """Return the clause under which we bear an item; where none says so, the one that prices it.

    Raises:
        InvalidData: no clause in force has anything to say.
    """
    clause = _free_clause(item.code, basis) or basis.first(_asking(item, basis))
    if not clause:
        text = _l("No clause in force says who bears this: %(what)s", what=_word(item.code))
        raise InvalidData({FIELDS.get(item.code, "means"): text})
    return clause


def _free_clause(code: str, basis: Basis) -> str:
    """Return the clause under which we bear an item: the tender's for staff and freight, else the decision's."""
    if basis.result not in values.FREE_RESULTS:
        return basis.first((*ALL_FREE, *NEGOTIATED))
    decision = (basis.decision_clause,) if basis.decision_clause in (*FREE_REPAIR, *PROMISES) else ()
    wanted = (*decision, *FREE_REPAIR, *ALL_FREE)
    if code in STAFF:
        return basis.first((*STAFF_FREE, *wanted))
    return basis.first((OTHER_COST_FREE, *wanted) if code == FREIGHT else wanted)


def _material_only(item: _Item, basis: Basis) -> _Verdict:
    """Only material is charged; delivery, installation and everything else are free (R22-4.7)."""
    if item.code != MATERIAL:
        return _Verdict(NOTHING, basis.first((MATERIAL_ONLY,)) or _paid_clause(item, basis), FREE_WHY)
    if item.why == AGREED_WHY:
        return _Verdict(ALL, _paid_clause(item, basis), item.why)
    return _Verdict(ALL, basis.first((MATERIAL_ONLY,)) or _paid_clause(item, basis), item.why)


def _partial_material(item: _Item, basis: Basis) -> _Verdict:
    """Labour and small fittings are free, part of the other material is charged (R23-3.2)."""
    clause = basis.first((PARTIAL,)) or _paid_clause(item, basis)
    if item.code != MATERIAL or (item.part is not None and item.part.small):
        return _Verdict(NOTHING, clause, FREE_WHY)
    return _Verdict(basis.number(PARTIAL, "share", 100) / 100, clause, SHARE_WHY)


def _paid(item: _Item, plan: Plan, basis: Basis) -> _Verdict:
    remote = basis.first(REMOTE_FREE) if plan.means == REMOTE else ""
    if remote and item.code in (LABOUR, INSTALLATION):
        return _Verdict(NOTHING, remote, FREE_WHY)
    if item.code == FREIGHT and _freight_included(plan, basis):
        return _Verdict(NOTHING, BID_PRICE, FREE_WHY)
    clause = _paid_clause(item, basis)
    if item.code == MATERIAL and item.why != AGREED_WHY and clause in MISUSE:
        off = basis.number(clause, "discount") / 100
        return _Verdict(ALL - off, clause, DISCOUNT_WHY if off else item.why)
    return _Verdict(ALL, clause, item.why)


def _freight_included(plan: Plan, basis: Basis) -> bool:
    """A bid price includes the freight (R14-5.4.5), where all that is delivered has one."""
    return BID_PRICE in basis.clauses and bool(plan.parts) and all(one.number in basis.agreed for one in plan.parts)


def _paid_clause(item: _Item, basis: Basis) -> str:
    """Return the clause that asks the customer for an item.

    Raises:
        InvalidData: none in force does.
    """
    clause = basis.first(_asking(item, basis))
    if not clause:
        text = _l("No clause in force asks the customer for this: %(what)s", what=_word(item.code))
        raise InvalidData({FIELDS.get(item.code, "means"): text})
    return clause


def _asking(item: _Item, basis: Basis) -> Iterator[str]:
    misuse = MISUSE if basis.result == values.MISUSE else ()
    if item.code == COMPETITOR_WORK:
        yield from SHEETS
    if item.code == MATERIAL:
        if item.why == AGREED_WHY and item.part is not None:
            kept = item.part.price != item.price
            yield from (PRICE_KEPT, BID_PRICE) if kept else (BID_PRICE, PRICE_KEPT)
        yield from misuse[:-1]
        if basis.product_class == FOREIGN:
            yield from FOREIGN_PARTS
        yield from PARTS
        yield HANDLING_FEE
    yield item.clause
    yield from NEGOTIATED
    yield from misuse


def _word(code: str) -> Any:
    known = {
        **dict(values.TARIFF_ITEMS),
        MATERIAL: _l("Parts"),
        COMPETITOR_WORK: _l("Work on a competitor's product"),
    }
    return known.get(code, code)


# --- lines -----------------------------------------------------------------------------------------


def _split(item: _Item, verdict: _Verdict) -> list[PricedLine]:
    """Return the line of the customer and that of the company; together they are the item at its price."""
    whole, lines = _money(item), []
    price = item.price if verdict.share == ALL else (item.price * verdict.share).quantize(FINEST, ROUND_HALF_UP)
    asked = money_math.times(item.quantity, price)
    if verdict.share or verdict.told:
        lines.append(_line(item, verdict, CUSTOMER, item.quantity, price))
    if whole > asked:
        given = (item.quantity, item.price) if not asked else (ALL, whole - asked)
        lines.append(_line(item, verdict, COMPANY, *given))
    return lines


def _line(item: _Item, verdict: _Verdict, payer: str, quantity: Decimal, price: Decimal) -> PricedLine:
    return PricedLine(item.code, verdict.clause, item.label, payer, quantity, price, verdict.why)


def _money(item: _Item) -> Decimal:
    try:
        return money_math.times(item.quantity, item.price)
    except InvalidData:
        raise InvalidData({FIELDS[item.code]: _l("This amount is too large")}) from None


def _evidence(plan: Plan, basis: Basis) -> list[PricedLine]:
    """Return the line of zero that shows the customer owes nothing, and by which clause."""
    if basis.is_free:
        clause = _free_clause(FREE_CODE, basis)
    elif basis.policy in (values.MATERIAL_ONLY, values.PARTIAL_MATERIAL):
        clause = basis.first((MATERIAL_ONLY if basis.policy == values.MATERIAL_ONLY else PARTIAL,))
    else:
        clause = basis.first(REMOTE_FREE) if plan.means == REMOTE else ""
    if not clause:
        return []
    return [PricedLine(FREE_CODE, clause, FREE_LABEL, CUSTOMER, ALL, NOTHING, FREE_WHY)]
