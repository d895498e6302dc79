"""Whether a fault is covered: a pure decision from what is known, with the clause and the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import label_of

from . import terms
from .values import DEEMED, EXCLUDED, IN_WARRANTY, MISUSE, OUT, REPAIR, REPAIRED, STARTS, STATUTORY, WarrantyLine

# Service in warranty is for the classes of the parameter ``classes`` only.
CLASS_CLAUSES = ("R13-5.1", "R17-5.1", "R18-5.1", "R19-5.1")
COMPETITOR_CLAUSES = ("R13-5.2.3.1", "R19-5.2.3.1")
# Improper use is paid for, inside the term too.
MISUSE_CLAUSES = (
    "R13-5.1.2",
    "R17-5.1.1.2",
    "R18-5.1.1.2",
    "R19-5.1.1.2",
    "R10-2.4c",
    "R23-3.2",
    "R22-1.W5",
    "R07-3.2",
)
# Whatever the cause, as long as it is not improper use: free inside the term.
ANY_CAUSE = (
    "R13-5.1.1.1",
    "R17-5.1.1.1",
    "R18-5.1.1.1",
    "R19-5.1.1.1",
    "R22-1.W1a",
    "R22-2.8c",
    "R23-3.1.2",
)
# Free inside the term where the fault is one of quality.
OF_QUALITY = ("R07-6.1", "R09-5.3.4.1", "R22-1.W5")
NEEDS_QUALITY = ("R07-3.2", *OF_QUALITY)
# A line of cover that is free by its own clause: the decision rests on that one.
OWN_LINES = ("R22-1.W4", "R22-1.W6b", "R07-7.1", "R23-3.1.1", "R23-3.1.2", "R22-2.8c")
OUT_CLAUSES = (
    "R07-6.2",
    "R09-5.3.3.3",
    "R13-5.2.1.3a",
    "R17-5.2.3",
    "R18-5.2.1.3",
    "R19-5.2.1.3",
    "R22-4.7",
    "R23-3.2",
)
# What counts as a fault of quality; while nobody knows the cause, it may be one.
QUALITY = ("quality", "repair", "unknown")


@dataclass(frozen=True)
class Situation:
    """What a decision looks at. ``clauses`` are the parameter values of the clauses in force, by id."""

    day: date
    lines: Sequence[WarrantyLine] = ()
    cause: str = "quality"
    human_damage: bool = False
    part: str = ""
    same_fault: bool = False  # as one that was repaired before (R07-7.1)
    given_for: str = ""  # the serial number of what was given in exchange for the item before the case
    product_class: str = ""
    is_competitor: bool = False
    deemed_by: str = ""  # the clause under which the fault counts as admitted, "" where none does
    clauses: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    is_known: bool = True  # there is an item on file, or at least a day from which to count


# Why it was decided so, in words; what stands in the database is the code and its values.
_WHY: Mapping[str, Callable[..., Any]] = {
    "deemed": lambda: _l("No answer, or nobody on site, in time: it counts as admitted"),
    "competitor": lambda: _l("A competitor's product"),
    "exchanged": lambda what: _l(
        "This item was exchanged for %(what)s: put that serial number on the case", what=what
    ),
    "class": lambda what: _l("Class %(what)s gets no service in warranty here", what=what),
    "damage": lambda: _l("Signs of damage by people"),
    "misuse": lambda: _l("Improper use, care or storage"),
    "cause": lambda: _l("Not a fault of quality"),
    "covered": lambda day: _l("Covered until %(day)s", day=day),
    "over": lambda day: _l("The warranty ended on %(day)s", day=day),
    "future": lambda day: _l(
        "The warranty begins on %(day)s only, after the day of the report; check the dates of the item", day=day
    ),
    "no_term": lambda: _l("No warranty term of this unit is about this item"),
    "no_item": lambda: _l(
        "This item is not on file here: enter its serial number, or the date of purchase on the case"
    ),
    "no_day": lambda what: _l(
        "The warranty cannot be worked out: the day of %(what)s is not known", what=label_of(STARTS, what)
    ),
    "no_class": lambda: _l(
        "The product class is not known: settle who sold the item, or choose a class when classifying"
    ),
}


def why_text(code: str, given: Mapping[str, Any] | None = None) -> Any:
    """Return the words of a reason, "" for one that is not known."""
    words = _WHY.get(code)
    return words(**(given or {})) if words else ""


@dataclass(frozen=True)
class Verdict:
    """The decision: one of ``values.RESULTS``, the clause it rests on, the line that covers, and why.

    ``result`` is "" where something must be known first; ``why`` says what.
    """

    result: str
    clause: str
    line: WarrantyLine | None
    why: Any
    code: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_certain(self) -> bool:
        return bool(self.result)


def judge(situation: Situation) -> Verdict:
    """Decide (R13-5, R13-5.1, R13-5.1.1.1, R13-5.1.2, R07-6.1, R22-1.W1e ...).

    Deemed admission before all else; then competitor and class; then misuse; then the days.
    """
    now = situation
    if now.deemed_by:
        return _verdict(DEEMED, now.deemed_by, "deemed", _covering(now))
    if now.given_for:
        return _verdict("", "", "exchanged", what=now.given_for)
    if now.is_competitor:
        return _verdict(EXCLUDED, _first(now, (*COMPETITOR_CLAUSES, *CLASS_CLAUSES)), "competitor")
    excluded = [
        one for one in CLASS_CLAUSES if one in now.clauses and not admits(now.clauses[one], now.product_class)
    ]
    if now.product_class and excluded:
        return _verdict(EXCLUDED, excluded[0], "class", what=now.product_class)
    if now.human_damage or now.cause == "misuse":
        code = "misuse" if now.cause == "misuse" else "damage"
        return _verdict(MISUSE, _first(now, MISUSE_CLAUSES), code, _covering(now))
    line = _covering(now)
    if line is None:
        return _not_covered(now)
    if excluded:
        return _verdict("", excluded[0], "no_class", line)
    if not _is_free_cause(now, line):
        return _verdict(OUT, _first(now, NEEDS_QUALITY) or line.clause, "cause", line)
    return _verdict(IN_WARRANTY, _free_by(now, line), "covered", line, day=line.ends_on)


def admits(values: Mapping[str, Any], product_class: str) -> bool:
    """Tell whether a class is among those served in warranty (parameter ``classes``, R13-5.1)."""
    listed = str(values.get("classes", "")).replace(",", " ").replace("，", " ").replace("、", " ").split()
    return product_class in listed


def _covering(now: Situation) -> WarrantyLine | None:
    fault = _repaired_fault(now) if now.same_fault else ""
    return terms.best(now.lines, now.day, part=now.part, fault=fault)


def _repaired_fault(now: Situation) -> str:
    """The fault whose repair gives the longest cover on the day (R07-7.1)."""
    held = [one for one in now.lines if one.scope == REPAIRED and one.fault and one.covers(now.day)]
    return max(held, key=lambda one: (one.ends_on or date.min, one.fault)).fault if held else ""


def _not_covered(now: Situation) -> Verdict:
    """Say why no line covers the day: it is over, begins later, or nobody can tell."""
    mine = [one for one in now.lines if not one.part or one.part.casefold() == now.part.casefold()]
    unknown = next((one for one in mine if one.missing and one.action == REPAIR and one.scope != STATUTORY), None)
    if not now.is_known:
        return _verdict("", "", "no_item")
    if unknown is not None:
        return _verdict("", unknown.clause, "no_day", what=unknown.missing)
    past = [one for one in mine if one.ends_on is not None and one.ends_on < now.day]
    if past:
        last = max(past, key=lambda one: (one.ends_on or date.min, one.clause))
        return _verdict(OUT, _first(now, OUT_CLAUSES) or last.clause, "over", last, day=last.ends_on)
    later = [one for one in mine if one.starts_on is not None and one.starts_on > now.day]
    if later:
        first = min(later, key=lambda one: (one.starts_on or date.max, one.clause))
        return _verdict(OUT, first.clause, "future", None, day=first.starts_on)
    return _verdict(OUT, _first(now, OUT_CLAUSES), "no_term")


def _is_free_cause(now: Situation, line: WarrantyLine) -> bool:
    """R07-6.1: a fault of quality; clauses that promise everything free ask for no cause but improper use.

    Exchange and return are for what the product itself brought about (R23-3.1.1).
    """
    if line.action != REPAIR:
        return now.cause in QUALITY
    wide = any(one in now.clauses for one in ANY_CAUSE)
    narrow = any(one in now.clauses for one in NEEDS_QUALITY)
    return now.cause in QUALITY or wide or not narrow


def _free_by(now: Situation, line: WarrantyLine) -> str:
    if line.clause in OWN_LINES:
        return line.clause
    quality = OF_QUALITY if now.cause in QUALITY else ()
    return _first(now, (*ANY_CAUSE, *quality)) or line.clause


def _first(now: Situation, clauses: Iterable[str]) -> str:
    return next((one for one in clauses if one in now.clauses), "")


def _verdict(result: str, clause: str, code: str, line: WarrantyLine | None = None, **given: Any) -> Verdict:
    return Verdict(result, clause, line, why_text(code, given), code, given)
