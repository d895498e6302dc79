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
BY_PEOPLE = (values.CARELESS, values.MISUSE)

# By which price: today's of its kind, or what the tool cost.
TODAY, ORIGINAL = "price", "original_price"
STRAIGHT_LINE, NO_DISCOUNT = "straight_line", "none"
HUNDRED, CENT = Decimal(100), Decimal("0.01")
# What the regulations leave open, where nobody set it.
SHARE, LEAST = Decimal(50), Decimal(20)


@dataclass(frozen=True)
class Terms:
    """What the clauses in force of a unit say: their parameters by clause id; a clause that is off is not there.

    Read are ``basis`` (price: today's price of the kind; original_price), ``rate`` and ``misuse_rate`` (percent),
    ``in_kind``, ``depreciation`` and ``least`` (percent of the price that a tool never falls below).
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
    """A figure that the clause reckons with is not known: ``name`` (price, bought_on)."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True)
class Figures:
    """What is known of a tool, prices in yuan: what it cost, what its kind costs today, when it was bought, its
    service life (months; 0: no end)."""

    price: Decimal | None = None
    current_price: Decimal | None = None
    bought_on: date | None = None
    life_months: int = 0


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
    rate = _rate(terms, clause, lost)
    inputs = {"basis": basis, "price": price, "rate": rate}
    in_kind = lost and bool(terms.of(clause, "in_kind", clause != HUMAN))
    return Owed(clause, _share(price, rate), inputs, in_kind)


def _rate(terms: Terms, clause: str, lost: bool) -> Decimal:
    """What R33-10.2 and R32-6.3 call the company's rule: as R35-6.2 for a loss, as R35-6.3 for damage."""
    if clause in (LIABLE, CARELESS) and not lost:
        return Decimal(terms.of(clause, "misuse_rate", SHARE))
    return Decimal(terms.of(clause, "rate", SHARE if clause == MISUSE else HUNDRED))


def _base(terms: Terms, clause: str, figures: Figures) -> tuple[str, Decimal]:
    """Return by which price a clause reckons, and the price; where its kind has none today, what it cost."""
    basis = str(terms.of(clause, "basis", TODAY if clause == HUMAN else ORIGINAL))
    if basis == TODAY and figures.current_price is not None:
        return TODAY, figures.current_price
    if figures.price is None:
        raise Missing("price")
    return ORIGINAL, figures.price


def _less_for_age(terms: Terms, figures: Figures, day: date) -> Owed:
    basis, price = _base(terms, LEAVER, figures)
    least, life = Decimal(terms.of(LEAVER, "least", LEAST)), figures.life_months
    in_kind = bool(terms.of(LEAVER, "in_kind", True))
    inputs: dict[str, Any] = {"basis": basis, "price": price, "least": least, "life_months": life}
    if terms.of(LEAVER, "depreciation", STRAIGHT_LINE) == NO_DISCOUNT or life <= 0:
        return Owed(LEAVER, _share(price, HUNDRED), {**inputs, "rate": HUNDRED}, in_kind)
    if figures.bought_on is None:
        raise Missing("bought_on")
    age = whole_months(figures.bought_on, day)
    inputs |= {"age_months": age, "bought_on": figures.bought_on}
    return Owed(LEAVER, value_after(price, age, life, least), inputs, in_kind)


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
