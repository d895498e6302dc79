"""Which of an agent's contracts holds on a day for a product: a pure choice, never two answers."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date

from .values import LAST_TERMS


@dataclass(frozen=True)
class Span:
    """The days a contract holds, both included (``last`` None: no end), and for which series (folded; empty: all).

    ``ended_early``: it was ended before its time, so its terms do not go on.
    """

    id: int
    starts_on: date
    last: date | None
    series: frozenset[str] = frozenset()
    ended_early: bool = False

    def holds_on(self, day: date) -> bool:
        return self.starts_on <= day and (self.last is None or day <= self.last)

    def is_about(self, series: Collection[str]) -> bool:
        return not self.series or not self.series.isdisjoint(series)

    def meets(self, other: Span) -> bool:
        """Tell whether two contracts would both answer for the same product on the same day.

        One for all series and one that names some may stand side by side: the one that names the series wins.
        """
        apart = (self.last is not None and self.last < other.starts_on) or (
            other.last is not None and other.last < self.starts_on
        )
        empty = any(one.last is not None and one.last < one.starts_on for one in (self, other))
        if apart or empty:
            return False
        return self.series == other.series or not self.series.isdisjoint(other.series)


@dataclass(frozen=True)
class Choice:
    """The contract whose terms hold, if any. ``expired``: it ran out, and its terms go on holding."""

    span: Span | None = None
    expired: bool = False


def choose(spans: Iterable[Span], day: date, series: Collection[str], after_expiry: str) -> Choice:
    """Return the contract in force on a day for a product of these series (folded).

    The one that names a series wins over one for all; of two that name different series of the same product (its
    category and its model) the later one. With ``last_terms`` a contract that ran out goes on, the latest first.
    """
    about = [one for one in spans if one.is_about(series) and one.starts_on <= day]
    now = [one for one in about if one.holds_on(day)]
    if now:
        return Choice(max(now, key=lambda one: (bool(one.series), one.starts_on, one.id)))
    over = [(one.last, one) for one in about if one.last is not None and one.last >= one.starts_on]
    if after_expiry != LAST_TERMS or not over:
        return Choice()
    last = max(over, key=lambda pair: (pair[0], bool(pair[1].series), pair[1].starts_on, pair[1].id))[1]
    return Choice() if last.ended_early else Choice(last, expired=True)
