"""What a lost or damaged tool costs whom, by clause. Pure functions: they see values, no database, no time of day.

One clause at a time decides: the first in the order below that holds in the unit and is about the matter. The
four texts differ (whole price, original price or the same tool bought, a share of it, less for its age): what they
say is in the parameters of their clauses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from . import values

# The clauses: of a leaver's missing tool; of a loss; of damage by wrong use; of damage otherwise.
LEAVER, LOSS, MISUSE, HUMAN = "R35-7.3", "R35-6.2", "R35-6.3", "R15-18b"
LIABLE, CARELESS = "R33-10.2", "R32-6.3"
LOSS_ORDER = (LOSS, HUMAN, LIABLE, CARELESS)
DAMAGE_ORDER = (MISUSE, HUMAN, LIABLE, CARELESS)
CLAUSES = (LEAVER, LOSS, MISUSE, HUMAN, LIABLE, CARELESS)
# Who loses under these may buy the same tool instead.
IN_KIND_CLAUSES = (LOSS, LIABLE, CARELESS)
BY_PEOPLE = (values.CARELESS, values.MISUSE)

PRICE, ORIGINAL, CURRENT = "price", "original_price", "current_price"
STRAIGHT_LINE, NO_DISCOUNT = "straight_line", "none"
HUNDRED, CENT = Decimal(100), Decimal("0.01")
# What the regulations leave open, as the clauses' parameters begin with.
SHARE, LEAST, LIFE = Decimal(50), Decimal(20), 24


@dataclass(frozen=True)
class Terms:
    """What the clauses in force of a unit say: their parameters by clause id; a clause that is off is not there.

    Read are ``basis`` (price, original_price, current_price), ``rate`` (percent), ``depreciation``, ``life``
    (months) and ``least`` (percent of the price that a tool never falls below).
    """

    clauses: Mapping[str, Mapping[str, Any]]

    def of(self, clause: str, name: str, default: Any) -> Any:
        """Return a parameter of a clause, ``default`` where it is not set."""
        found = self.clauses.get(clause, {}).get(name)
        return default if found is None or found == "" else found


@dataclass(frozen=True)
class Owed:
    """What is owed under a clause, in yuan; nothing where the clause exempts. ``inputs`` is what it rests on.

    ``in_kind``: the same tool bought does as well.
    """

    clause: str
    amount: Decimal
    inputs: Mapping[str, Any]
    in_kind: bool = False


class Missing(ValueError):
    """A figure that the clause reckons with is not known: ``name`` (price, current_price, bought_on)."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True)
class Figures:
    """What is known of a tool: prices in yuan, when it was bought, its service life (months; 0: no end)."""

    price: Decimal | None = None
    current_price: Decimal | None = None
    bought_on: date | None = None
    life_months: int | None = None


def clause_for(terms: Terms, kind: str, cause: str, leaving: bool = False) -> str:
    """Return the clause that decides, '' where none does (kinds and causes as in ``values``)."""
    if cause == values.NATURAL or kind == values.BREACH:
        return ""
    lost = kind == values.LOSS
    order = (LEAVER, *LOSS_ORDER) if lost and leaving else LOSS_ORDER if lost else DAMAGE_ORDER
    return next((one for one in order if one in terms.clauses and _is_about(one, lost, cause)), "")


def _is_about(clause: str, lost: bool, cause: str) -> bool:
    """R15-18b speaks of every cause (and exempts); who loses pays whatever the cause; damage needs a person's."""
    if clause == HUMAN:
        return True
    if clause == MISUSE:
        return cause == values.MISUSE
    if clause == CARELESS:
        return cause in BY_PEOPLE
    return lost or cause in BY_PEOPLE


def work_out(
    terms: Terms, figures: Figures, day: date, kind: str, cause: str, *, leaving: bool = False
) -> Owed | None:
    """Work out what is owed for a tool lost or damaged on a day; None where no clause is about it.

    R15-18b: its price, nothing without human cause. R35-6.2: the original price or the same tool. R35-6.3: a share
    of the original price. R33-10.2 and R32-6.3: as these two. R35-7.3: less for its age, never below a share.

    Raises:
        Missing: a figure the clause needs is unknown.
    """
    clause = clause_for(terms, kind, cause, leaving)
    if not clause:
        return None
    if clause == HUMAN and cause not in BY_PEOPLE:
        return Owed(clause, Decimal("0.00"), {"cause": cause})
    if clause == LEAVER:
        return _less_for_age(terms, figures, day)
    basis, price = _base(terms, clause, figures)
    lost = kind == values.LOSS
    rate = Decimal(terms.of(clause, "rate", _usual_rate(clause, lost)))
    if lost and clause in (LIABLE, CARELESS):  # as R35-6.2: the rate is that of damage
        rate = HUNDRED
    inputs = {"basis": basis, "price": price, "rate": rate}
    return Owed(clause, _share(price, rate), inputs, in_kind=lost and clause in IN_KIND_CLAUSES)


def _usual_rate(clause: str, lost: bool) -> Decimal:
    return HUNDRED if lost or clause == HUMAN else SHARE


def _base(terms: Terms, clause: str, figures: Figures) -> tuple[str, Decimal]:
    """Return which price a clause reckons with, and the price."""
    basis = str(terms.of(clause, "basis", PRICE if clause == HUMAN else ORIGINAL))
    price = figures.current_price if basis == CURRENT else figures.price
    if price is None:
        raise Missing("current_price" if basis == CURRENT else "price")
    return basis, price


def _less_for_age(terms: Terms, figures: Figures, day: date) -> Owed:
    basis, price = _base(terms, LEAVER, figures)
    least = Decimal(terms.of(LEAVER, "least", LEAST))
    life = int(terms.of(LEAVER, "life", LIFE)) if figures.life_months is None else figures.life_months
    inputs: dict[str, Any] = {"basis": basis, "price": price, "least": least, "life_months": life}
    if terms.of(LEAVER, "depreciation", STRAIGHT_LINE) == NO_DISCOUNT or life <= 0:
        return Owed(LEAVER, _share(price, HUNDRED), {**inputs, "rate": HUNDRED})
    if figures.bought_on is None:
        raise Missing("bought_on")
    age = whole_months(figures.bought_on, day)
    return Owed(
        LEAVER, value_after(price, age, life, least), {**inputs, "age_months": age, "bought_on": figures.bought_on}
    )


def value_after(price: Decimal, age_months: int, life_months: int, least: Decimal) -> Decimal:
    """Return a price less for age, straight line over the life, never below ``least`` percent of it."""
    left = HUNDRED * Decimal(max(life_months - age_months, 0)) / Decimal(life_months)
    return _share(price, max(min(left, HUNDRED), least))


def _share(price: Decimal, percent: Decimal) -> Decimal:
    """A share of a price, half up to 0.01; never more than the price, whatever somebody set."""
    return (price * min(percent, HUNDRED) / HUNDRED).quantize(CENT, ROUND_HALF_UP)


def whole_months(start: date, end: date) -> int:
    """Return how many whole months lie between two days, none where ``end`` is earlier."""
    months = (end.year - start.year) * 12 + end.month - start.month - (end.day < start.day)
    return max(months, 0)
