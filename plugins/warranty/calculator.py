"""What would this cost? A calculation without a case: nothing is written, the address keeps what was asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from flask import Blueprint, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_babel import lazy_gettext as _l

from core.sdk import Field, InvalidData, clean, clock, current_locale, label_of, local_day, require
from core.sdk_web import Screen, form_from_fields
from plugins.products import services as products

from . import cover, decisions, plans, pricing, rights, rules_fees, tariffs, values
from .fee_clauses import SHEETS
from .pricing import Basis
from .values import PricedLine
from .workflow import PLAN_FIELDS, SHOWN

_HEAD = (
    Field(
        "serial",
        "text",
        _l("Serial number"),
        max_length=60,
        help=_l("Class, category and warranty are taken from the product file"),
    ),
    Field("product_class", "choice", _l("Product class"), choices=tariffs.CLASSES),
    Field(
        "result",
        "choice",
        _l("Coverage"),
        choices=values.RESULTS,
        help=_l("Leave empty: as the warranty of the item is today, without an item out of warranty"),
    ),
)
# What is asked only about work on a competitor's product.
_COMPETITORS = frozenset(one.name for one in PLAN_FIELDS if SHOWN in one.options)
PAYERS = ((pricing.CUSTOMER, _l("Customer")), (pricing.COMPANY, _l("Our company")))


@dataclass(frozen=True)
class Answer:
    """What a plan comes to: its lines, what each payer owes, and what must be agreed to first."""

    lines: Sequence[PricedLine]
    totals: Sequence[tuple[Any, Decimal]]
    result: Any
    product_class: str
    agreements: Sequence[str] = ()


def add_routes(blueprint: Blueprint) -> None:
    """Add the pages to the plugin's blueprint (mounted at ``/p/warranty/``)."""
    blueprint.add_url_rule("/calculator", view_func=calculator)


class CalculatorScreen(Screen):
    """The entry of the menu that leads to the page."""

    plugin = "warranty"
    permission = rights.VIEW
    icon = "chart"

    @expose("/")
    def index(self) -> ResponseReturnValue:
        """Lead to the page."""
        return redirect(url_for("warranty.calculator"))


def views() -> list[Any]:
    """Return the screens, in the order of the menu."""
    return [CalculatorScreen(name=_l("Fee calculator"), endpoint="warranty_calculator", url="warranty/calculator")]


def calculator() -> ResponseReturnValue:
    """Show the form, and below what was asked the lines with clause and reason; bad input beside its field."""
    require(rights.VIEW, g.unit.id)
    raw = _raw()
    fields = fields_for(g.unit.id, raw)
    form = form_from_fields(fields, raw if request.args else None)
    answer = None
    if request.args:
        try:
            answer = work_out(g.unit.id, clean(fields, raw), clock.now())
        except InvalidData as bad:
            form.show(bad)
    return render_template("warranty/calculator.html", form=form, answer=answer, words=Words)


def fields_for(unit_id: int, raw: Mapping[str, Any]) -> list[Field]:
    """Return the fields of the form; what only a competitor's product needs is asked for such a one."""
    chosen, item = str(raw.get("product_class") or ""), _item(unit_id, raw.get("serial"))
    competitor = decisions.competitor_of(unit_id, chosen, item)
    plan = [replace(one, options={}) if one.name in _COMPETITORS else one for one in PLAN_FIELDS]
    return [*_HEAD, *(one for one in plan if competitor or one.name not in _COMPETITORS)]


def work_out(unit_id: int, given: Mapping[str, Any], at: datetime) -> Answer:
    """Work out what a plan would cost in a unit.

    Raises:
        InvalidData: beside the field: no such item, a part without a price, a competitor's job sold too cheaply.
    """
    item = _item(unit_id, given.get("serial"))
    if given.get("serial") and item is None:
        raise InvalidData({"serial": _l("No item with this serial number")})
    basis = _basis(unit_id, given, item, at)
    _check_sheet(given, basis, at, unit_id)
    lines = pricing.work_out(plans.read_plan(unit_id, given, at), basis)
    agreements: tuple[str, ...] = ()
    if basis.is_competitor and given.get("work") != values.ARM_MACHINING:
        agreements = tuple(plans.in_force(unit_id, rules_fees.OTHER_WORK, at))
    return Answer(
        lines,
        [(label, pricing.total(lines, payer)) for payer, label in PAYERS],
        label_of(values.RESULTS, basis.result),
        basis.product_class,
        agreements,
    )


def _basis(unit_id: int, given: Mapping[str, Any], item: Any, at: datetime) -> Basis:
    result, clause = given.get("result") or "", ""
    if not result:
        result, clause = _result_today(item, at)
    number = given.get("product_class") or (products.class_number(unit_id, item.sold_class) if item else "")
    return plans.basis_for(
        unit_id,
        at,
        result=result,
        product_class=number,
        category=plans.category_of(item),
        is_competitor=decisions.competitor_of(unit_id, given.get("product_class") or "", item),
        decision_clause=clause,
        item=item,
    )


def _result_today(item: Any, at: datetime) -> tuple[str, str]:
    """Return what a fault of quality would be today, and the clause of the line that covers."""
    if item is None:
        return values.OUT, ""
    day = local_day(item.unit_id, at)
    line = next((one for one in cover.cover_of(item) if one.covers(day) and not one.part and not one.fault), None)
    return (values.OUT, "") if line is None else (values.IN_WARRANTY, line.clause)


def _item(unit_id: int, serial: Any) -> Any:
    return products.find_item(unit_id, serial) if serial else None


def _check_sheet(given: Mapping[str, Any], basis: Basis, at: datetime, unit_id: int) -> None:
    """A competitor's job is priced by its cost sheet, here as on a case (R13-5.2.3.2, R19-5.2.3.2)."""
    if not (basis.is_competitor and basis.is_paid):
        return
    for terms in plans.in_force(unit_id, SHEETS, at).values():
        wrong = rules_fees.cost_sheet(given, terms)
        if wrong:
            raise InvalidData({"price": wrong})


def _raw() -> dict[str, Any]:
    """Return what the address says, in the shape of a form."""
    several = {one.name for one in PLAN_FIELDS if one.kind == "many"}
    names = [one.name for one in (*_HEAD, *PLAN_FIELDS)]
    return {name: request.args.getlist(name) if name in several else request.args.get(name) for name in names}


class Words:
    """How the page names what is in a line."""

    @staticmethod
    def label(line: PricedLine) -> str:
        return line.label.get(current_locale()) or line.label["zh"]

    @staticmethod
    def why(line: PricedLine) -> Any:
        return label_of(pricing.WHYS, line.why)

    @staticmethod
    def payer(line: PricedLine) -> Any:
        return label_of(PAYERS, line.payer)

    @staticmethod
    def quantity(line: PricedLine) -> str:
        return f"{line.quantity.normalize():f}"

    @staticmethod
    def price(line: PricedLine) -> str:
        shown = line.price.quantize(Decimal("0.01"))
        return f"¥{shown if shown == line.price else line.price.normalize():,f}"

    @staticmethod
    def amount(line: PricedLine) -> Decimal:
        return pricing.amount_of(line)
