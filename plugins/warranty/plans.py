"""Plans: what was typed about the work, as the calculation reads it; and what it rests on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import InvalidData, Record, Step, effective, enabled_plugins, holds, local_day, setting
from plugins.products import services as products

from . import contracts, decisions, prices, pricing, settings, standing, values
from .fee_clauses import ALL_FREE, CLAUSES, MATERIAL_ONLY, PARTIAL, PARTS
from .pricing import Basis
from .values import PartnerTerms, Plan, PlanPart, PricedLine

# By these the prices of parts are finance's; the first in force is named.
FINANCE_PRICES = ("R17-3.5", "R18-3.5", "R19-3.5", *PARTS)
MOST_PARTS, MOST_QUANTITY = 200, Decimal(99999)
PARTNER_WORDS = ("partner", "合作方", "合作厂", "韩方")
_KEPT = "warranty_worked"  # with a step
# By plugin: what it says about parts that a partner supplies for a product class of a unit at a moment, for a
# record or an item where one is known; None: nothing. The first plugin that is on and says something counts.
PartnerRule = Callable[[int, str, datetime, Record | None, Any], PartnerTerms | None]
partner_terms: dict[str, PartnerRule] = {}
COMMA = re.compile(r"[,，、;；\t]")


# --- reading what was typed ------------------------------------------------------------------------


@dataclass(frozen=True)
class _Typed:
    """A line of the parts as it was typed."""

    line: int
    number: str
    quantity: Decimal
    partner: bool


def read_plan(unit_id: int, values_: Mapping[str, Any], at: datetime) -> Plan:
    """Read the cleaned input of ``workflow.PLAN_FIELDS``; parts get finance's price of the day.

    Raises:
        InvalidData: beside the field: an unreadable line of parts, a part finance has no price for (R17-3.5).
    """
    given = {name: value for name, value in values_.items() if value is not None}
    _refuse_odd(given)
    return Plan(
        means=given.get("means", values.ON_SITE),
        people=given.get("people", 1),
        days=given.get("days", Decimal(1)),
        nights=given.get("nights", Decimal(0)),
        travel=given.get("travel", Decimal(0)),
        lodging_actual=given.get("lodging_actual", Decimal(0)),
        hours=given.get("hours", Decimal(0)),
        freight=given.get("freight", Decimal(0)),
        provided=frozenset(given.get("provided", ())),
        parts=_parts(unit_id, given.get("parts", ""), at),
        work=given.get("work", ""),
        costs={code: given[f"cost_{code}"] for code, _label in values.COMPETITOR_COSTS if f"cost_{code}" in given},
        price=given.get("price"),
    )


def _refuse_odd(given: Mapping[str, Any]) -> None:
    """Pass if the figures fit together.

    Raises:
        InvalidData: beside each that does not.
    """
    errors: dict[str, Any] = {}
    for name, value in given.items():
        if isinstance(value, Decimal) and value != value.quantize(Decimal("0.01")):
            errors[name] = _l("At most %(count)d digits after the point", count=2)
    if given.get("means", values.ON_SITE) != values.ON_SITE:
        away = [name for name in ("nights", "travel", "lodging_actual") if given.get(name)]
        errors |= {name: _l("Only where somebody goes there") for name in away}
        if given["means"] == values.DELIVERED_PART and given.get("hours"):
            errors["hours"] = _l("Only where work is done")
    elif not given.get("days", 1):
        errors["days"] = _l("Whoever goes there spends some of a day")
    elif given.get("nights", 0) > given.get("days", 1):
        errors["nights"] = _l("More nights than days")
    if given.get("provided") and values.TRANSPORT in given["provided"] and given.get("travel"):
        errors["travel"] = _l("The customer provides it")
    if given.get("provided") and values.LODGING in given["provided"] and given.get("lodging_actual"):
        errors["lodging_actual"] = _l("The customer provides it")
    if errors:
        raise InvalidData(errors)


def _parts(unit_id: int, text: str, at: datetime) -> tuple[PlanPart, ...]:
    clause = _finance_clause(unit_id, at)
    typed = [
        _read_line(place, line, clause) for place, line in enumerate(text.splitlines(), start=1) if line.strip()
    ]
    if not typed:
        return ()
    if len(typed) > MOST_PARTS:
        raise InvalidData({"parts": _l("At most %(count)d lines", count=MOST_PARTS)})
    known = prices.part_prices(unit_id, [one.number for one in typed], local_day(unit_id, at))
    found = []
    for one in typed:
        price = known.get(one.number)
        if price is None:
            raise _bad_line(one.line, _l("finance has set no price for %(part)s", part=one.number), clause)
        found.append(PlanPart(one.number, price.name, one.quantity, price.price, one.partner, price.small))
    return tuple(found)


def _read_line(place: int, line: str, clause: str) -> _Typed:
    """Read “number, quantity[, partner]”; a price typed by sales is refused (R17-3.5)."""
    number, *more = [one.strip() for one in COMMA.split(line.strip())]
    words = [one for one in more if one]
    if not number or len(number) > 60:
        raise _bad_line(place, _l("a part number is expected first"))
    quantity = _quantity(place, words.pop(0) if words else "1")
    partner = bool(words) and words[0].lower() in PARTNER_WORDS
    rest = words[1:] if partner else words
    if not rest:
        return _Typed(place, number, quantity, partner)
    if _decimal(rest[0].lstrip("¥￥").rstrip("元")) is not None:
        raise _bad_line(place, _l("prices come from finance"), clause)
    raise _bad_line(place, _l("“%(word)s” is not understood", word=rest[0][:40]))


def _bad_line(place: int, what: Any, clause: str = "") -> InvalidData:
    if clause:
        text = _l("Line %(line)d: %(what)s (clause %(clause)s)", line=place, what=what, clause=clause)
    else:
        text = _l("Line %(line)d: %(what)s", line=place, what=what)
    return InvalidData({"parts": text})


def _quantity(place: int, text: str) -> Decimal:
    number = _decimal(text)
    if number is None or not 0 < number <= MOST_QUANTITY or number != number.quantize(Decimal("0.001")):
        raise _bad_line(place, _l("a quantity up to %(most)s is expected", most=MOST_QUANTITY))
    return number


def _decimal(text: str) -> Decimal | None:
    try:
        number = Decimal(text) if len(text) <= 20 else None
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() and abs(number.adjusted()) <= 12 else None


def _finance_clause(unit_id: int, at: datetime) -> str:
    """Return the clause by which prices of parts are finance's, '' where none in force says so."""
    return next((one for one in FINANCE_PRICES if holds(unit_id, one, at)), "")


# --- what it rests on ------------------------------------------------------------------------------


def basis_of(record: Record, at: datetime) -> Basis:
    """Gather what the calculation for a record rests on, by its present coverage decision."""
    decided = standing.standing_of(record).coverage
    item = products.item_of_record(record)
    known = decided.product_class if decided is not None else ""
    return basis_for(
        record.unit_id,
        at,
        result=decided.result if decided is not None else values.OUT,
        product_class=known or decisions.product_class_of(record),
        sold_class=item.sold_class if item is not None else "",
        category=category_of(item),
        is_competitor=decisions.is_competitor(record),
        decision_clause=decided.clause if decided is not None else "",
        agreed=contracts.agreed_prices(record, at),
        record=record,
        item=item,
    )


def category_of(item: Any) -> str:
    """Return the name of an item's product category, '' where it has none."""
    return item.model.category.name if item is not None and item.model.category is not None else ""


def basis_for(
    unit_id: int,
    at: datetime,
    *,
    result: str,
    product_class: str = "",
    sold_class: str = "",
    category: str = "",
    is_competitor: bool = False,
    decision_clause: str = "",
    agreed: Mapping[str, Decimal] | None = None,
    record: Record | None = None,
    item: Any = None,
) -> Basis:
    """Gather what a calculation rests on in a unit: prices, clauses in force and who pays at all."""
    partner = _partner_terms(unit_id, product_class, at, record, item)
    return Basis(
        result=result,
        product_class=product_class,
        sold_class=sold_class,
        category=category,
        is_competitor=is_competitor,
        policy=policy_of(unit_id, category, at),
        prices=prices.prices_for(unit_id, product_class, local_day(unit_id, at)),
        agreed=agreed or {},
        clauses={**in_force(unit_id, CLAUSES, at), **({partner.clause: {}} if partner is not None else {})},
        decision_clause=decision_clause,
        partner=partner,
    )


def _partner_terms(
    unit_id: int, product_class: str, at: datetime, record: Record | None, item: Any
) -> PartnerTerms | None:
    asked = [rule for plugin, rule in partner_terms.items() if plugin in enabled_plugins(unit_id)]
    said = (rule(unit_id, product_class, at, record, item) for rule in asked)
    return next((one for one in said if one is not None), None)


def in_force(unit_id: int, wanted: Sequence[str], at: datetime) -> dict[str, Mapping[str, Any]]:
    """Return the values of those clauses that hold in a unit."""
    found = {one: effective(unit_id, one, at) for one in wanted}
    return {name: one.values for name, one in found.items() if one.holds}


def policy_of(unit_id: int, category: str, at: datetime) -> str:
    """Return who pays for service in a unit (E01): as it set, else as its clauses say.

    R03-7.1 makes everything free; R23-3.2 charges part of the material of its category, R22-4.7 the material only.
    """
    chosen = str(setting(unit_id, settings.POLICY) or values.AUTO)
    if chosen != values.AUTO:
        return chosen
    if holds(unit_id, ALL_FREE[0], at):
        return values.FREE
    partial = effective(unit_id, PARTIAL, at)
    if partial.holds and partial.values["category"] in ("", category):
        return values.PARTIAL_MATERIAL
    return values.MATERIAL_ONLY if holds(unit_id, MATERIAL_ONLY, at) else values.PAID


# --- working out -----------------------------------------------------------------------------------


def basis_versions(basis: Basis, plan: Plan) -> dict[str, Any]:
    """Return what a quote's money rests on, comparable: consent locks it, a change in between is noticed.

    The lines themselves: a new tariff with the same prices changes nothing for the customer. No lines: it cannot be
    worked out any more.
    """
    try:
        lines = pricing.work_out(plan, basis)
    except InvalidData:
        lines = []
    told = [[one.code, one.clause, one.payer, _plain(one.quantity), _plain(one.price)] for one in lines]
    return {"result": basis.result, "lines": told}


def _plain(number: Decimal) -> str:
    return format(number.normalize(), "f")


@dataclass(frozen=True)
class Worked:
    """The plan of a step, what it rests on, and what it comes to."""

    plan: Plan
    basis: Basis
    lines: list[PricedLine]


def of_step(step: Step) -> Worked:
    """Work out the plan of a step; once, kept with the step for the service and every clause's rule.

    Raises:
        InvalidData: as ``read_plan`` and ``pricing.work_out``.
    """
    if _KEPT not in step.__dict__:
        plan = read_plan(step.record.unit_id, step.values, step.at)
        basis = basis_of(step.record, step.at)
        step.__dict__[_KEPT] = Worked(plan, basis, pricing.work_out(plan, basis))
    found: Worked = step.__dict__[_KEPT]
    return found


def lines_for(record: Record, values_: Mapping[str, Any], at: datetime) -> list[PricedLine]:
    """Work out a plan for a record, as the steps ``warranty:quote`` and ``warranty:cost`` do."""
    return pricing.work_out(read_plan(record.unit_id, values_, at), basis_of(record, at))


def priced_as_paid(
    record: Record, values_: Mapping[str, Any], at: datetime, *, supplied_free: bool = False
) -> list[PricedLine]:
    """Work out a plan for a record as if its customer paid for everything, whatever was decided or agreed.

    ``supplied_free``: parts that the partner supplies are left out, and no fee is taken for handling them: it is
    the partner who pays.

    Raises:
        InvalidData: as ``read_plan`` and ``pricing.work_out``.
    """
    plan = read_plan(record.unit_id, values_, at)
    basis = replace(basis_of(record, at), result=values.OUT, policy=values.PAID, decision_clause="", agreed={})
    if supplied_free:
        plan = replace(plan, parts=tuple(one for one in plan.parts if not one.partner))
        basis = replace(basis, partner=None)
    return pricing.work_out(plan, basis)


def lines_of_step(step: Step) -> list[PricedLine]:
    """Return the lines of a step's plan, for rules of other plugins (raises InvalidData as ``of_step``)."""
    return of_step(step).lines


def charged(lines: Sequence[PricedLine]) -> list[PricedLine]:
    """Return what a quote tells: the lines of everybody but the company."""
    return [one for one in lines if one.payer != pricing.COMPANY]


def borne(lines: Sequence[PricedLine]) -> list[PricedLine]:
    """Return what the company bears; where the customer owes nothing at all, with the lines that show it."""
    owed = any(pricing.amount_of(one) for one in charged(lines))
    return [one for one in lines if one.payer == pricing.COMPANY or not owed]
