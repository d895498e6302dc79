"""What an agent pays for a plan, or gets for an order: a pure calculation by contract rates or the tariff.

How the rates of a contract go together:

- of two rates counted alike, the one for the nature of the case counts, else the one for any;
- flat rates (per visit, per case, per hour of work) stand for the whole service without its parts, together where
  there are several; the percentage of the tariff is not looked at beside them;
- without a flat rate the service goes by the tariff, at the percentage of the contract if it has one;
- parts go by finance's price, at the percentage of the contract if it has one: a flat rate holds no parts;
- what the contract has no rate for goes by the tariff in full.

What their rates leave uncovered is borne by us; it is never asked of the customer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import Choices, money_math

from . import values
from .values import Terms

THEM, US = "them", "us"
PART, REST = "material", "uncovered"
BY_RATE, BY_TARIFF, NOT_COVERED = "rate", "tariff", "not_covered"
WHYS: Choices = (
    (BY_RATE, _l("By a rate of the contract")),
    (BY_TARIFF, _l("By the tariff, in full")),
    (NOT_COVERED, _l("Not covered by their rates")),
)
FLAT = (values.PER_VISIT, values.PER_CASE, values.PER_HOUR)
# Labels of charges are stored in both languages.
LABELS: Mapping[str, Mapping[str, str]] = {
    values.PER_VISIT: {"zh": "代理服务费（按次）", "en": "Service by contract, per visit"},
    values.PER_CASE: {"zh": "代理服务费（按单）", "en": "Service by contract, per case"},
    values.PER_HOUR: {"zh": "代理服务费（按工时）", "en": "Service by contract, per hour"},
    REST: {"zh": "代理合同未覆盖部分", "en": "Not covered by the agent contract"},
}
ONE, WHOLE = Decimal(1), Decimal(100)


@dataclass(frozen=True)
class Priced:
    """An item of a plan at its price, as warranty works it out (``code``: of its ``LINE_LABELS``)."""

    code: str
    label: dict[str, str]
    quantity: Decimal
    price: Decimal
    clause: str = ""

    @property
    def amount(self) -> Decimal:
        """Yuan, rounded half up to 0.01."""
        return money_math.times(self.quantity, self.price)


@dataclass(frozen=True)
class Borne:
    """A line of money: ``payer`` is ``them`` or ``us`` (what their rates leave to us); ``why`` one of ``WHYS``.

    ``clause`` is the one that prices it by the tariff, '' for a rate of the contract.
    """

    code: str
    label: dict[str, str]
    payer: str
    quantity: Decimal
    price: Decimal
    why: str = ""
    clause: str = ""

    @property
    def amount(self) -> Decimal:
        """Yuan, rounded half up to 0.01."""
        return money_math.times(self.quantity, self.price)


def bill(items: Sequence[Priced], terms: Terms, nature: str, hours: Decimal, visits: int) -> list[Borne]:
    """Return who bears what of a plan.

    What they and we bear is together never less than what the plan costs, and equal to it unless a flat rate, or a
    percentage above 100, is higher.

    Raises:
        InvalidData: an amount no account holds.
    """
    rates = _rates(terms, values.OWED_TO_US, nature)
    service = [one for one in items if one.code != PART]
    parts = [one for one in items if one.code == PART]
    flat = _flat(rates, hours, visits)
    # A contract with flat rates that come to nothing here (no hours of work) says nothing about this plan.
    lines = [*flat, *_rest(service, flat)] if flat else _at_percent(service, rates.get(values.TARIFF_PERCENT))
    return [*lines, *_at_percent(parts, rates.get(values.PART_PERCENT))]


def owed(terms: Terms, nature: str, hours: Decimal, visits: int) -> list[Borne]:
    """Return what we owe for an order by the contract's payable rates; empty where none fits.

    Only flat rates can be worked out for work somebody else does: there is no plan of ours to take a percentage of.
    """
    return _flat(_rates(terms, values.OWED_BY_US, nature), hours, visits)


def _rates(terms: Terms, direction: str, nature: str) -> dict[str, Decimal]:
    """Return the rates of a direction by what they count; one for the nature goes before one for any."""
    found: dict[str, Decimal] = {}
    for wanted in ("", nature):
        mine = (one for one in terms.rates if one.direction == direction and one.nature == wanted)
        found |= {one.basis: one.amount for one in mine}
    return found


def _flat(rates: Mapping[str, Decimal], hours: Decimal, visits: int) -> list[Borne]:
    """Return the lines of flat rates; a rate of zero is a rate, and shown."""
    counted = {values.PER_VISIT: Decimal(visits), values.PER_CASE: ONE, values.PER_HOUR: hours}
    return [
        Borne(basis, dict(LABELS[basis]), THEM, counted[basis], rates[basis], BY_RATE)
        for basis in FLAT
        if basis in rates and counted[basis]
    ]


def _rest(service: Sequence[Priced], flat: Sequence[Borne]) -> list[Borne]:
    missing = _sum(service) - _sum(flat)
    return [Borne(REST, dict(LABELS[REST]), US, ONE, missing, NOT_COVERED)] if missing > 0 else []


def _at_percent(items: Sequence[Priced], percent: Decimal | None) -> list[Borne]:
    """Return items at a percentage of their price, and what is left of each; None: in full."""
    lines: list[Borne] = []
    for one in items:
        if percent is None or percent == WHOLE:
            why = BY_TARIFF if percent is None else BY_RATE
            lines.append(Borne(one.code, dict(one.label), THEM, one.quantity, one.price, why, one.clause))
            continue
        asked = money_math.yuan(one.amount * percent / 100)
        lines.append(Borne(one.code, _with_percent(one.label, percent), THEM, ONE, asked, BY_RATE, one.clause))
        if one.amount > asked:
            lines.append(Borne(one.code, dict(one.label), US, ONE, one.amount - asked, NOT_COVERED, one.clause))
    return lines


def _with_percent(label: Mapping[str, str], percent: Decimal) -> dict[str, str]:
    shown = f"{percent.normalize():f}%"
    return {"zh": f"{label['zh']}（{shown}）", "en": f"{label['en']} ({shown})"}


def _sum(lines: Iterable[Any]) -> Decimal:
    return sum((one.amount for one in lines), money_math.ZERO)
