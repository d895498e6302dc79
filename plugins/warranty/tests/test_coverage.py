"""The coverage decision as a pure function: what is free, by which clause, and why not."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.rules.rulebook import current_rulebook
from plugins.warranty import coverage, decisions, values
from plugins.warranty.coverage import Situation, judge
from plugins.warranty.values import WarrantyLine

START, END = date(2024, 3, 12), date(2025, 3, 12)
SET = WarrantyLine(values.SET, START, END, "R07-3.1")
NOW = Situation(date(2024, 8, 1), lines=(SET,))
DAY = timedelta(days=1)


def on(*clauses: str, **more: Any) -> dict[str, Any]:
    """Clauses in force, with the values of those that have any."""
    return {one: more.get(one.replace("-", "_").replace(".", "_"), {}) for one in clauses}


# --- the days ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "result"),
    [
        (START, values.IN_WARRANTY),
        (END, values.IN_WARRANTY),
        (END + DAY, values.OUT),
        (START - DAY, values.OUT),
    ],
)
def test_first_and_last_day_are_inside_and_the_day_after_is_not(day, result):
    assert judge(replace(NOW, day=day, clauses=on("R07-6.1", "R07-6.2"))).result == result


def test_a_warranty_that_begins_later_says_so():
    found = judge(replace(NOW, day=START - DAY))
    assert (found.result, found.code) == (values.OUT, "future")
    assert "2024-03-12" in str(found.why)


def test_one_that_is_over_names_its_last_day_and_the_line():
    found = judge(replace(NOW, day=END + DAY))
    assert (found.code, found.line, found.clause) == ("over", SET, "R07-3.1")
    assert "2025-03-12" in str(found.why)


def test_the_line_of_another_part_covers_nothing_and_does_not_end_it():
    pump = WarrantyLine(values.PART, START, date(2028, 11, 20), "R22-1.W4", part="泵")
    late = replace(NOW, day=date(2027, 3, 1), lines=(SET, pump), clauses=on("R22-1.W1a"))
    assert (judge(replace(late, part="泵")).result, judge(replace(late, part="泵")).line) == ("in_warranty", pump)
    valve = judge(replace(late, part="阀"))
    assert (valve.result, valve.line) == (values.OUT, SET)


@pytest.mark.parametrize(
    ("lines", "is_known", "code"),
    [
        ((), False, "no_item"),
        ((WarrantyLine(values.SET, None, None, "R07-3.1", missing=values.PURCHASE),), True, "no_day"),
    ],
)
def test_what_is_not_known_is_asked_for_and_never_guessed(lines, is_known, code):
    found = judge(replace(NOW, lines=lines, is_known=is_known))
    assert (found.result, found.code, found.is_certain) == ("", code, False)
    assert str(found.why)


def test_a_statutory_term_without_its_day_does_not_stop_the_decision():
    statutory = WarrantyLine(values.STATUTORY, None, None, "SB-3", missing=values.DELIVERY)
    assert judge(replace(NOW, day=END + DAY, lines=(SET, statutory))).result == values.OUT


def test_a_known_item_no_term_is_about_is_out():
    assert judge(replace(NOW, lines=())).code == "no_term"


# --- by which clause -----------------------------------------------------------------------------

FREE = [
    "R07-6.1",
    "R09-5.3.4.1",
    "R13-5.1.1.1",
    "R17-5.1.1.1",
    "R18-5.1.1.1",
    "R19-5.1.1.1",
    "R22-1.W1a",
    "R22-1.W5",
]


@pytest.mark.parametrize("clause", FREE)
def test_free_in_warranty_by_the_clause_of_the_unit(clause):
    found = judge(replace(NOW, clauses=on(clause)))
    assert (found.result, found.clause, found.line) == (values.IN_WARRANTY, clause, SET)


@pytest.mark.parametrize(
    "clause", ["R13-5.1.2", "R17-5.1.1.2", "R18-5.1.1.2", "R19-5.1.1.2", "R10-2.4c", "R22-1.W5"]
)
@pytest.mark.parametrize("sign", [{"cause": "misuse"}, {"human_damage": True}])
def test_improper_use_is_paid_for_by_the_clause_of_the_unit(clause, sign):
    found = judge(replace(NOW, clauses=on(clause), **sign))
    assert (found.result, found.clause) == (values.MISUSE, clause)


def test_a_line_that_is_free_by_its_own_clause_is_what_the_decision_rests_on():
    pump = WarrantyLine(values.PART, START, date(2028, 11, 20), "R22-1.W4", part="泵")
    found = judge(Situation(date(2027, 3, 1), (SET, pump), part="泵", clauses=on("R22-1.W1a", "R22-1.W5")))
    assert found.clause == "R22-1.W4"


@pytest.mark.parametrize("cause", ["wear", "outside"])
def test_what_is_no_fault_of_quality_is_free_only_where_the_promise_is_wider(cause):
    assert judge(replace(NOW, cause=cause, clauses=on("R07-3.2", "R07-6.1"))).code == "cause"
    assert judge(replace(NOW, cause=cause, clauses=on("R22-1.W1a", "R22-1.W5"))).result == values.IN_WARRANTY
    assert judge(replace(NOW, cause="unknown", clauses=on("R07-6.1"))).result == values.IN_WARRANTY


@pytest.mark.parametrize(
    ("clause", "listed", "number", "result"),
    [
        ("R13-5.1", "4.1", "4.1", values.IN_WARRANTY),
        ("R13-5.1", "4.1", "4.2", values.EXCLUDED),
        ("R18-5.1", "4.1 4.2", "4.2", values.IN_WARRANTY),
        ("R19-5.1", "4.1、4.2，4.3", "4.3", values.IN_WARRANTY),
        ("R19-5.1", "4.1 4.2 4.3", "4.4", values.EXCLUDED),
        ("R17-5.1", "4.1", "", ""),
    ],
)
def test_only_the_classes_of_the_parameter_are_served_in_warranty(clause, listed, number, result):
    found = judge(replace(NOW, product_class=number, clauses={clause: {"classes": listed}}))
    assert found.result == result
    assert result == values.IN_WARRANTY or found.clause == clause


def test_an_unknown_class_does_not_matter_out_of_warranty():
    late = replace(NOW, day=END + DAY, clauses={"R13-5.1": {"classes": "4.1"}})
    assert judge(late).result == values.OUT


def test_a_competitors_product_is_never_in_warranty():
    found = judge(replace(NOW, is_competitor=True, clauses=on("R13-5.2.3.1")))
    assert (found.result, found.clause) == (values.EXCLUDED, "R13-5.2.3.1")


def test_every_clause_a_decision_can_name_is_in_the_rulebook(whole_app):
    with whole_app.app_context():
        known = current_rulebook().clauses
    named = {*decisions._READ, *coverage.OWN_LINES, *coverage.NEEDS_QUALITY, *decisions.ADMISSION.values()}
    assert named <= set(known)


def test_every_reason_has_words():
    given = {"what": "purchase", "day": date(2026, 1, 1)}
    for code, words in coverage._WHY.items():
        needed = {name: given[name] for name in words.__code__.co_varnames}
        assert str(coverage.why_text(code, needed)), code
    assert coverage.why_text("gone") == ""


# --- what always holds ---------------------------------------------------------------------------

days = st.dates(date(2020, 1, 1), date(2035, 12, 31))
causes = st.sampled_from([code for code, _ in values.CAUSES])
clauses = st.sets(st.sampled_from(decisions._READ)).map(
    lambda ids: {one: {"classes": "4.1 4.2"} if one in coverage.CLASS_CLAUSES else {} for one in ids}
)


@st.composite
def lines(draw):
    start, length = draw(st.none() | days), draw(st.integers(0, 4000))
    end = start + timedelta(days=length) if start else None
    scope = draw(st.sampled_from([code for code, _ in values.SCOPES]))
    part = draw(st.sampled_from(["", "泵", "阀"]))
    clause = draw(st.sampled_from(["R07-3.1", "R22-1.W4", "SB-3", ""]))
    return WarrantyLine(scope, start, end, clause, part=part, missing="" if start else values.PURCHASE)


situations = st.builds(
    Situation,
    day=days,
    lines=st.lists(lines(), max_size=6).map(tuple),
    cause=causes,
    human_damage=st.booleans(),
    part=st.sampled_from(["", "泵", "阀"]),
    product_class=st.sampled_from(["", "4.1", "4.2", "4.3", "4.4"]),
    is_competitor=st.booleans(),
    deemed_by=st.sampled_from(["", "R22-1.R5"]),
    clauses=clauses,
    is_known=st.booleans(),
)


@given(situations)
def test_admission_beats_everything(now):
    found = judge(replace(now, deemed_by="R22-1.R5"))
    assert (found.result, found.clause) == (values.DEEMED, "R22-1.R5")


@given(situations)
def test_improper_use_is_never_free(now):
    for sign in ({"cause": "misuse"}, {"human_damage": True}):
        assert judge(replace(now, deemed_by="", **sign)).result not in values.FREE_RESULTS


@given(situations)
def test_a_day_inside_the_best_line_is_free_for_the_classes_allowed(now):
    asked = replace(
        now, deemed_by="", is_competitor=False, human_damage=False, cause="quality", product_class="4.1"
    )
    inside = coverage._covering(asked) is not None
    assert (judge(asked).result == values.IN_WARRANTY) == inside


@given(situations)
def test_a_free_decision_outside_admission_has_a_line_that_covers_the_day(now):
    found = judge(replace(now, deemed_by=""))
    if found.result in values.FREE_RESULTS:
        assert found.line is not None and found.line.covers(now.day)
        assert found.line.part in ("", now.part)


@given(situations)
def test_there_is_always_an_answer_with_words_and_always_the_same(now):
    found = judge(now)
    assert found == judge(now)
    assert found.result in ("", *(code for code, _ in values.RESULTS))
    assert str(found.why)
