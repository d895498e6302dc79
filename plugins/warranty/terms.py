"""How long what is covered: pure functions of an item's days, the terms that hold and what happened since."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import NamedTuple

from core.sdk import add_months

from .values import (
    CONTRACT,
    DELIVERY,
    EXCHANGE,
    HANDOVER,
    KEY_PART,
    PART,
    PURCHASE,
    REPAIR,
    REPAIRED,
    RETURN,
    SCOPES,
    SET,
    STATUTORY,
    EventFacts,
    ItemFacts,
    TermRule,
    WarrantyLine,
)

EVERY_PART = "*"  # of a statutory term: a line for each key part
WHOLE = (SET, CONTRACT, STATUTORY)  # scopes whose lines may be about the complete item
_ORDER = {code: place for place, (code, _label) in enumerate(SCOPES)}


class Entitlement(NamedTuple):
    """What the customer may ask for on a day. ``repairs``: that many repairs of one fault are the reason (SB-5)."""

    action: str
    line: WarrantyLine | None
    clause: str = ""
    what: str = ""
    repairs: int = 0


def lines(
    item: ItemFacts,
    rules: Sequence[TermRule],
    events: Sequence[EventFacts],
    *,
    full_restart: bool = False,
    same_fault: bool = True,
) -> list[WarrantyLine]:
    """Return every line of cover of an item, in order of scope and start (R07-3.1, R22-2.8a, R22-1.W4 ...).

    ``full_restart``: a repaired fault gets a whole new term, not what is left of it (E04). Without ``same_fault``
    a repair lets every fault be covered, not only the one that was repaired.
    """
    happened = sorted(events, key=_order_of_events)
    matching = [one for one in rules if matches(item, one)]
    found = [line for rule in matching for line in _begun(item, rule)]
    found += [line for event in happened for line in _anew(item, matching, event)]
    found += [line for event in happened if event.kind == "exchanged" for line in _own_line(event)]
    found = _extended(found, happened)
    found = [_without_repairs(line, happened) for line in found]
    found += [line for event in happened if event.kind != "exchanged" for line in _own_line(event)]
    repaired = [line for event in happened for line in _after_repair(item, matching, found, event, full_restart)]
    if not same_fault:
        repaired = [replace(line, part="", fault="") for line in repaired]
    return sorted([*found, *repaired], key=_order_of_lines)


def best(found: Sequence[WarrantyLine], day: date, *, part: str = "", fault: str = "") -> WarrantyLine | None:
    """Return the line that covers a day best for the customer (the one ending last), or None.

    ``part`` lets the line of that part count; a line of another part never does. Free repair comes before exchange
    or return only (E46); a line of a repaired fault counts for the same part or the same fault.
    """
    inside = [line for line in found if line.covers(day) and _is_about(line, part, fault)]
    return max(inside, key=_worth, default=None)


def covered_until(found: Sequence[WarrantyLine]) -> date | None:
    """Return the last day the complete item is covered for free repair; None where nothing is known."""
    ends = [line.ends_on for line in found if _is_whole(line) and line.action == REPAIR and line.ends_on]
    return max(ends, default=None)


def running_until(found: Sequence[WarrantyLine], day: date) -> date | None:
    """Return until when the cover of the complete item runs on from a day without a gap; None where none runs."""
    held = [line for line in found if _is_whole(line) and line.action == REPAIR]
    spans = sorted((one.starts_on, one.ends_on) for one in held if one.starts_on and one.ends_on)
    until: date | None = None
    for start, end in spans:
        if start <= day <= end or (until is not None and start <= until + timedelta(days=1)):
            until = max(until or end, end)
    return until


def begins_later(found: Sequence[WarrantyLine], day: date) -> date | None:
    """Return when cover of the complete item begins that does not run yet on a day."""
    later = [
        line.starts_on
        for line in found
        if _is_whole(line) and line.action == REPAIR and line.starts_on is not None and line.starts_on > day
    ]
    return min(later, default=None)


def missing_start(found: Sequence[WarrantyLine]) -> str:
    """Return which day must be known before anything can be said of the complete item, '' where none is."""
    if covered_until(found) is not None:
        return ""
    return next((line.missing for line in found if _is_whole(line) and line.missing), "")


def entitlements(
    found: Sequence[WarrantyLine], events: Sequence[EventFacts], day: date, *, repairs: int = 0
) -> list[Entitlement]:
    """Return what the customer may ask for on a day: repair, exchange, return, each by the best line that says so.

    ``repairs``: so many repairs of one fault inside the statutory term make an exchange due (SB-5); 0: none do.
    """
    given = []
    for action in (REPAIR, EXCHANGE, RETURN):
        whole = [line for line in found if line.action == action and _is_whole(line) and line.covers(day)]
        if whole:
            line = max(whole, key=_worth)
            given.append(Entitlement(action, line, line.clause))
    given += _of_parts(found, day)
    statutory = [line for line in found if line.scope == STATUTORY and line.covers(day)]
    if statutory:
        often = repaired_often(found, events, repairs)
        given += [Entitlement(EXCHANGE, statutory[0], "SB-5", what, count) for what, count in often]
    return given


def repaired_often(
    found: Sequence[WarrantyLine], events: Sequence[EventFacts], repairs: int
) -> list[tuple[str, int]]:
    """Return the faults repaired at least ``repairs`` times inside the statutory term, with how often (SB-5)."""
    if repairs < 1:
        return []
    statutory = [line for line in found if line.scope == STATUTORY]
    counted = Counter(
        event.part or event.fault
        for event in sorted(events, key=_order_of_events)
        if event.kind == "repaired" and any(line.covers(event.on) for line in statutory)
    )
    return [(what, count) for what, count in counted.items() if what and count >= repairs]


def matches(item: ItemFacts, rule: TermRule) -> bool:
    """Tell whether a term is about items like this one; an empty selector means any."""
    wanted = ((rule.sold_class, item.sold_class), (rule.category, item.category), (rule.model, item.model))
    return all(not asked or _same(asked, has) for asked, has in wanted)


def term_of_scope(item: ItemFacts, rules: Iterable[TermRule], part: str = "") -> int:
    """Return the months that what is replaced gets anew: the longest term of that key part, else of the set."""
    repair = [one for one in rules if one.action == REPAIR and one.months and matches(item, one)]
    of_part = [one.months for one in repair if part and _is_rule_of(item, one, part)]
    if of_part:
        return max(of_part)
    return max((one.months for one in repair if one.scope in WHOLE and not one.part), default=0)


# --- lines of terms --------------------------------------------------------------------------


def _begun(item: ItemFacts, rule: TermRule) -> list[WarrantyLine]:
    start = {PURCHASE: item.purchased_on, HANDOVER: item.handed_over_on, DELIVERY: item.delivered_on}[rule.start]
    return [_line(rule, part, start) for part in _parts_of(item, rule)]


def _parts_of(item: ItemFacts, rule: TermRule) -> Sequence[str]:
    if rule.scope == KEY_PART and not rule.part:
        return item.key_parts
    return item.key_parts if rule.part == EVERY_PART else (rule.part,)


def _line(rule: TermRule, part: str, start: date | None, clause: str = "") -> WarrantyLine:
    return WarrantyLine(
        rule.scope,
        start,
        None if start is None else _end(start, rule.months, rule.days),
        clause or rule.clause,
        rule.source,
        rule.action,
        part,
        missing="" if start else rule.start,
    )


def _end(start: date, months: int, days: int) -> date:
    """The same date N months later, that day still inside (C0-T7); of days the first is not counted (C0-T2)."""
    return add_months(start, months) + timedelta(days=days)


def _anew(item: ItemFacts, rules: Sequence[TermRule], event: EventFacts) -> list[WarrantyLine]:
    """SB-7: the statutory term of what was given in exchange begins on that day."""
    if event.kind != "exchanged" or not event.clause:
        return []
    statutory = [one for one in rules if one.scope == STATUTORY and one.action == REPAIR]
    return [_line(one, part, event.on, event.clause) for one in statutory for part in _parts_of(item, one)]


# --- lines that something which happened changes ----------------------------------------------


def _extended(found: list[WarrantyLine], events: Sequence[EventFacts]) -> list[WarrantyLine]:
    """R22-1.W6b: the lines of the set end later, by all extensions at once: in whatever order they were entered."""
    given = [one for one in events if one.kind == "extended"]
    if not given:
        return found
    months, days = sum(one.months for one in given), sum(one.days for one in given)
    return [
        replace(line, ends_on=_end(line.ends_on, months, days)) if _is_set(line) and line.ends_on else line
        for line in found
    ]


def _is_set(line: WarrantyLine) -> bool:
    return line.scope == SET and line.action == REPAIR and not line.part


def _without_repairs(line: WarrantyLine, events: Sequence[EventFacts]) -> WarrantyLine:
    """SB-6: days in repair are no part of the statutory term; days of two repairs at a time count once."""
    if line.scope != STATUTORY or line.action != REPAIR or line.starts_on is None or line.ends_on is None:
        return line
    end, counted = line.ends_on, line.starts_on
    for event in events:
        if event.kind != "in_repair" or event.days < 1:
            continue
        begins, stops = max(event.on, counted), event.on + timedelta(days=event.days)
        if begins <= end and stops > begins:
            end += stops - begins
            counted = stops
    return replace(line, ends_on=end)


# --- lines of their own ------------------------------------------------------------------------


def _own_line(event: EventFacts) -> list[WarrantyLine]:
    scope = {"replaced": PART, "agreed": CONTRACT, "exchanged": SET}.get(event.kind)
    if scope is None:
        return []
    ends = [event.until] if event.until else []
    if event.months or event.days:
        ends.append(_end(event.on, event.months, event.days))
    if not ends or max(ends) < event.on:
        return []
    # What an exchanged item still had is not SB-7's gift: that clause names the new statutory term only.
    clause = "" if event.kind == "exchanged" else event.clause
    part = "" if scope == SET else event.part
    return [WarrantyLine(scope, event.on, max(ends), clause, event.source, event.action, part)]


def _after_repair(
    item: ItemFacts, rules: Sequence[TermRule], found: Sequence[WarrantyLine], event: EventFacts, full_restart: bool
) -> list[WarrantyLine]:
    """R07-7.1: what is left of the cover of the day of repair, at least the clause's days; or a new term (E04)."""
    if event.kind != "repaired" or not event.clause:
        return []
    ends = [event.on + timedelta(days=event.days)]
    now = best([line for line in found if line.action == REPAIR], event.on, part=event.part)
    if now is not None and now.ends_on is not None:
        ends.append(now.ends_on)
    if full_restart:
        ends.append(add_months(event.on, event.months or term_of_scope(item, rules, event.part)))
    line = WarrantyLine(REPAIRED, event.on, max(ends), event.clause, event.source, REPAIR, event.part, event.fault)
    return [line]


# --- which line is about what ------------------------------------------------------------------


def _is_whole(line: WarrantyLine) -> bool:
    return line.scope in WHOLE and not line.part


def _is_about(line: WarrantyLine, part: str, fault: str) -> bool:
    if line.scope == REPAIRED:
        same_part, same_fault = _named(line.part, part), _named(line.fault, fault)
        return same_part or same_fault or not (line.part or line.fault)
    return not line.part or _same(line.part, part)


def _named(held: str, asked: str) -> bool:
    return bool(held) and _same(held, asked)


def _is_rule_of(item: ItemFacts, rule: TermRule, part: str) -> bool:
    return any(_named(one, part) for one in _parts_of(item, rule))


def _same(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()


def _worth(line: WarrantyLine) -> tuple[bool, date, str]:
    return (line.action == REPAIR, line.ends_on or date.min, line.clause)


def _of_parts(found: Sequence[WarrantyLine], day: date) -> list[Entitlement]:
    """Parts and repaired faults that are covered longer than the complete item is."""
    whole = [line.ends_on for line in found if _is_whole(line) and line.action == REPAIR and line.covers(day)]
    until = max((end for end in whole if end), default=date.min)
    longest: dict[tuple[str, str], WarrantyLine] = {}
    for line in found:
        if _is_whole(line) or not line.covers(day) or line.ends_on is None or line.ends_on <= until:
            continue
        key = (line.part.strip().casefold(), line.fault)
        longest[key] = max((line, longest.get(key, line)), key=_worth)
    return [Entitlement(line.action, line, line.clause, line.part or line.fault) for line in longest.values()]


def _order_of_events(event: EventFacts) -> tuple[date, str, str, str, str]:
    return (event.on, event.kind, event.part, event.fault, event.source)


def _order_of_lines(line: WarrantyLine) -> tuple[int, date, date, tuple[str, ...]]:
    never = date.max
    return (
        _ORDER[line.scope],
        line.starts_on or never,
        line.ends_on or never,
        (line.clause, line.part, line.source, line.action, line.fault, line.missing),
    )
