"""How long what is covered: the pure functions, and the property that nothing that happens shortens a cover."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.warranty import terms, values
from plugins.warranty.terms import EVERY_PART, best, covered_until, entitlements, lines
from plugins.warranty.values import EventFacts, ItemFacts, TermRule

SOLD = date(2023, 6, 15)
SET_3 = TermRule(36, clause="R22-2.8a", start=values.HANDOVER)
PARTS_5 = TermRule(60, values.KEY_PART, values.HANDOVER, clause="R22-2.8b")
ITEM = ItemFacts(
    "A1", "own", "监控设备", "M1", purchased_on=SOLD, handed_over_on=SOLD, key_parts=("压缩机", "主板")
)
STATUTORY = TermRule(12, values.STATUTORY, clause="SB-3")


def end_of(item: ItemFacts, *rules: TermRule, events: tuple[EventFacts, ...] = ()) -> date | None:
    return covered_until(lines(item, rules, events))


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        (date(2024, 2, 29), 12, date(2025, 2, 28)),
        (date(2024, 2, 29), 48, date(2028, 2, 29)),
        (date(2025, 8, 31), 6, date(2026, 2, 28)),
        (date(2025, 1, 31), 1, date(2025, 2, 28)),
        (date(2025, 11, 30), 3, date(2026, 2, 28)),
        (date(2023, 6, 15), 36, date(2026, 6, 15)),
        (date(2025, 12, 31), 12, date(2026, 12, 31)),
    ],
)
def test_a_term_ends_on_the_same_date_or_the_last_of_the_month(start: date, months: int, end: date) -> None:
    (line,) = lines(replace(ITEM, purchased_on=start), [TermRule(months)], [])
    assert line.ends_on == end
    assert line.covers(end) and line.covers(start)
    assert not line.covers(end + timedelta(days=1)) and not line.covers(start - timedelta(days=1))


def test_days_do_not_count_the_first() -> None:
    (line,) = lines(ITEM, [TermRule(0, values.STATUTORY, days=7, action=values.RETURN)], [])
    assert line.ends_on == date(2023, 6, 22)


def test_a_missing_day_is_told_and_never_guessed() -> None:
    found = lines(replace(ITEM, handed_over_on=None), [SET_3, PARTS_5], [])
    assert [line.missing for line in found] == [values.HANDOVER] * 3
    assert all(line.starts_on is None and line.ends_on is None for line in found)
    assert covered_until(found) is None and terms.missing_start(found) == values.HANDOVER
    assert best(found, SOLD) is None
    known = lines(replace(ITEM, handed_over_on=None), [SET_3, TermRule(12)], [])
    assert covered_until(known) == date(2024, 6, 15) and terms.missing_start(known) == ""


def test_the_line_that_is_best_for_the_customer_wins() -> None:
    found = lines(ITEM, [TermRule(12, clause="R07-3.1"), SET_3, TermRule(24, source="model")], [])
    line = best(found, date(2023, 7, 1))
    assert line is not None and line.clause == "R22-2.8a"
    assert covered_until(found) == date(2026, 6, 15)


def test_a_key_part_has_its_own_line_and_no_other_part_uses_it() -> None:
    found = lines(ITEM, [SET_3, PARTS_5], [])
    after = date(2027, 1, 1)
    of_part = best(found, after, part=" 压缩机 ")
    assert of_part is not None and of_part.part == "压缩机" and of_part.ends_on == date(2028, 6, 15)
    assert best(found, after) is None and best(found, after, part="风扇") is None
    inside = best(found, date(2025, 1, 1), part="风扇")
    assert inside is not None and inside.scope == values.SET


def test_repair_comes_before_exchange_and_exchange_before_nothing() -> None:
    rules = [
        TermRule(120, action=values.EXCHANGE, clause="R23-3.1.1", category="监控设备"),
        TermRule(60, clause="R23-3.1.2", category="监控设备"),
    ]
    found = lines(ITEM, rules, [])
    early, late = best(found, date(2024, 1, 1)), best(found, date(2030, 1, 1))
    assert early is not None and early.clause == "R23-3.1.2"
    assert late is not None and late.clause == "R23-3.1.1" and late.action == values.EXCHANGE
    assert best(found, date(2034, 1, 1)) is None
    assert lines(replace(ITEM, category="水泵"), rules, []) == []


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        (TermRule(12, sold_class="own"), True),
        (TermRule(12, sold_class="agent"), False),
        (TermRule(12, model="m1"), True),
        (TermRule(12, model="M2"), False),
        (TermRule(12, category="监控设备", model="M2"), False),
        (TermRule(12), True),
    ],
)
def test_terms_are_for_the_items_they_name(rule: TermRule, fits: bool) -> None:
    assert bool(lines(ITEM, [rule], [])) is fits


def test_a_replaced_part_has_a_line_of_its_own_and_the_set_keeps_its() -> None:
    event = EventFacts("replaced", date(2025, 11, 20), "水泵", months=36, clause="R22-1.W4")
    found = lines(ITEM, [SET_3], [event])
    assert covered_until(found) == date(2026, 6, 15)
    day = date(2027, 3, 1)
    pump = best(found, day, part="水泵")
    assert pump is not None and pump.ends_on == date(2028, 11, 20) and pump.scope == values.PART
    assert best(found, day, part="阀门") is None and best(found, day) is None
    without = lines(ITEM, [SET_3], [replace(event, months=0, clause="")])
    assert best(without, day, part="水泵") is None


def test_a_repaired_fault_keeps_what_is_left_and_at_least_the_days() -> None:
    early = EventFacts("repaired", date(2024, 1, 10), "主板", "不启动", days=90, clause="R07-7.1")
    late = replace(early, on=date(2026, 6, 1))
    (first,) = [one for one in lines(ITEM, [SET_3], [early]) if one.scope == values.REPAIRED]
    (second,) = [one for one in lines(ITEM, [SET_3], [late]) if one.scope == values.REPAIRED]
    assert first.ends_on == date(2026, 6, 15) and second.ends_on == date(2026, 8, 30)
    found = lines(ITEM, [SET_3], [late])
    after = date(2026, 8, 30)
    assert best(found, after, part="主板") and best(found, after, fault="不启动")
    assert best(found, after) is None and best(found, after, part="风扇") is None
    assert best(found, after + timedelta(days=1), part="主板") is None


def test_a_repair_may_begin_a_whole_new_term() -> None:
    event = EventFacts("repaired", date(2025, 1, 10), "主板", days=90, clause="R07-7.1")
    (line,) = [one for one in lines(ITEM, [SET_3], [event], full_restart=True) if one.scope == values.REPAIRED]
    assert line.ends_on == date(2028, 1, 10)


def test_a_repair_that_no_clause_rewards_gives_no_line() -> None:
    assert lines(ITEM, [], [EventFacts("repaired", date(2024, 1, 10), "主板", days=90)]) == []


def test_an_extension_moves_the_set_only_and_may_come_again() -> None:
    one = EventFacts("extended", date(2026, 6, 3), months=12, clause="R22-1.W6b", source="a")
    found = lines(ITEM, [SET_3, PARTS_5], [one])
    assert covered_until(found) == date(2027, 6, 15)
    assert {line.ends_on for line in found if line.scope == values.KEY_PART} == {date(2028, 6, 15)}
    assert end_of(ITEM, SET_3, events=(one, replace(one, source="b", on=date(2027, 6, 1)))) == date(2028, 6, 15)


def test_time_in_repair_moves_the_statutory_end_and_counts_once() -> None:
    first = EventFacts("in_repair", date(2024, 1, 1), days=10, clause="SB-6")
    overlapping = EventFacts("in_repair", date(2024, 1, 6), days=10, clause="SB-6")
    assert end_of(ITEM, STATUTORY, events=(first,)) == date(2024, 6, 25)
    assert end_of(ITEM, STATUTORY, events=(overlapping, first)) == date(2024, 6, 30)
    assert end_of(ITEM, STATUTORY, events=(replace(first, on=date(2025, 1, 1)),)) == date(2024, 6, 15)
    assert end_of(ITEM, TermRule(12), events=(first,)) == date(2024, 6, 15)


def test_the_statutory_term_begins_anew_after_an_exchange_and_what_was_left_stays() -> None:
    event = EventFacts("exchanged", date(2024, 3, 1), until=date(2026, 6, 15), clause="SB-7")
    fresh = ItemFacts("B1", key_parts=("压缩机",))
    found = lines(fresh, [STATUTORY, TermRule(36, values.STATUTORY, clause="SB-4", part=EVERY_PART)], [event])
    anew = {(line.part, line.ends_on) for line in found if line.clause == "SB-7"}
    assert anew == {("", date(2025, 3, 1)), ("压缩机", date(2027, 3, 1))}
    assert covered_until(found) == date(2026, 6, 15)
    left = lines(fresh, [STATUTORY], [replace(event, clause="")])
    assert covered_until(left) == date(2026, 6, 15)
    assert not [line for line in left if line.scope == values.STATUTORY and line.starts_on]


def test_what_the_customer_may_ask_for_today() -> None:
    rules = [
        STATUTORY,
        TermRule(0, values.STATUTORY, days=15, action=values.EXCHANGE, clause="SB-2"),
        TermRule(0, values.STATUTORY, days=7, action=values.RETURN, clause="SB-1"),
    ]
    found = lines(ITEM, rules, [])

    def owed(day: date) -> list[str]:
        return [one.action for one in entitlements(found, [], day)]

    assert owed(SOLD) == [values.REPAIR, values.EXCHANGE, values.RETURN]
    assert owed(SOLD + timedelta(days=8)) == [values.REPAIR, values.EXCHANGE]
    assert owed(SOLD + timedelta(days=16)) == [values.REPAIR]
    assert owed(SOLD + timedelta(days=400)) == []


def test_two_repairs_of_one_fault_make_an_exchange_due() -> None:
    found = lines(ITEM, [STATUTORY], [])
    repairs = [EventFacts("repaired", SOLD + timedelta(days=day), "主板") for day in (20, 60)]
    day = SOLD + timedelta(days=90)
    assert [one.what for one in entitlements(found, repairs, day, repairs=2) if one.clause == "SB-5"] == ["主板"]
    assert not [one for one in entitlements(found, repairs, day, repairs=3) if one.clause == "SB-5"]
    assert not [one for one in entitlements(found, repairs, day) if one.clause == "SB-5"]
    other = [repairs[0], replace(repairs[1], part="风扇")]
    assert not [one for one in entitlements(found, other, day, repairs=2) if one.clause == "SB-5"]
    late = [repairs[0], replace(repairs[1], on=SOLD + timedelta(days=500))]
    assert not [one for one in entitlements(found, late, day, repairs=2) if one.clause == "SB-5"]


# --- properties --------------------------------------------------------------------------------

days = st.dates(date(2020, 1, 1), date(2030, 12, 31))
maybe_days = st.none() | days
parts = st.sampled_from(["", "压缩机", "主板", "水泵"])
rules = st.builds(
    TermRule,
    months=st.integers(0, 60),
    days=st.integers(0, 20),
    scope=st.sampled_from([values.SET, values.KEY_PART, values.STATUTORY]),
    start=st.sampled_from([values.PURCHASE, values.HANDOVER, values.DELIVERY]),
    action=st.sampled_from([values.REPAIR, values.EXCHANGE, values.RETURN]),
    part=st.sampled_from(["", "压缩机", EVERY_PART]),
)
items = st.builds(
    ItemFacts,
    purchased_on=maybe_days,
    handed_over_on=maybe_days,
    delivered_on=maybe_days,
    key_parts=st.sampled_from([(), ("压缩机",), ("压缩机", "主板")]),
)
happenings = st.builds(
    EventFacts,
    kind=st.sampled_from([code for code, _ in values.EVENTS]),
    on=days,
    part=parts,
    fault=st.sampled_from(["", "漏水"]),
    months=st.integers(0, 24),
    days=st.integers(0, 100),
    until=maybe_days,
    clause=st.sampled_from(["", "X"]),
    source=st.sampled_from(["a", "b", "c"]),
)


def reach(item: ItemFacts, some: list[TermRule], events: list[EventFacts], full: bool) -> dict[object, date]:
    """Return for each action, part and fault how far the lines that cover a day of it reach."""
    found: dict[object, date] = {}
    for line in lines(item, some, events, full_restart=full):
        if line.ends_on is not None:
            key = (line.scope, line.action, line.part, line.fault)
            found[key] = max(line.ends_on, found.get(key, line.ends_on))
    return found


@settings(max_examples=300, deadline=None)
@given(items, st.lists(rules, max_size=4), st.lists(happenings, max_size=5), happenings, st.booleans())
def test_nothing_that_happens_shortens_a_cover(
    item: ItemFacts, some: list[TermRule], events: list[EventFacts], another: EventFacts, full: bool
) -> None:
    before, after = reach(item, some, events, full), reach(item, some, [*events, another], full)
    assert all(after[key] >= end for key, end in before.items())
    whole, more = (
        lines(item, some, events, full_restart=full),
        lines(item, some, [*events, another], full_restart=full),
    )
    for line in whole:
        if line.starts_on is not None and line.ends_on is not None and line.ends_on >= line.starts_on:
            for day in (line.starts_on, line.ends_on):
                here = [one for one in more if one.covers(day) and one.action == line.action]
                assert any(one.part == line.part and one.fault == line.fault for one in here)


@settings(max_examples=300, deadline=None)
@given(items, st.lists(rules, max_size=4), st.lists(happenings, max_size=6), st.randoms(), st.booleans())
def test_the_order_of_entry_makes_no_difference(
    item: ItemFacts, some: list[TermRule], events: list[EventFacts], dice: object, full: bool
) -> None:
    expected = lines(item, some, events, full_restart=full)
    mixed, shuffled = list(events), list(some)
    dice.shuffle(mixed)  # type: ignore[attr-defined]
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    assert lines(item, shuffled, mixed, full_restart=full) == expected


@settings(max_examples=200, deadline=None)
@given(days, st.integers(1, 240))
def test_the_end_is_the_same_date_or_the_month_has_none(start: date, months: int) -> None:
    (line,) = lines(ItemFacts(purchased_on=start), [TermRule(months)], [])
    end = line.ends_on
    assert end is not None
    assert (end.year * 12 + end.month) - (start.year * 12 + start.month) == months
    assert end.day == start.day or (end.day < start.day and (end + timedelta(days=1)).day == 1)


@settings(max_examples=200, deadline=None)
@given(items, st.lists(rules, max_size=4), st.lists(happenings, max_size=5), days, parts)
def test_the_best_line_covers_the_day_and_ends_last_of_its_kind(
    item: ItemFacts, some: list[TermRule], events: list[EventFacts], day: date, part: str
) -> None:
    found = lines(item, some, events)
    line = best(found, day, part=part)
    for one in found:
        if one.covers(day) and not one.part and one.scope != values.REPAIRED:
            assert line is not None and line.covers(day)
            if one.action == values.REPAIR:
                assert line.action == values.REPAIR and line.ends_on is not None and one.ends_on is not None
                assert line.ends_on >= one.ends_on
