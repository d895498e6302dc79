"""Each check looks at what concerns it and nothing else; what nobody knows is never "passed"."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.agents import values
from plugins.agents.checks import has_failed, judge
from plugins.agents.values import BAD, GOOD, OWED_BY_US, OWED_TO_US, UNCHECKED, LineFacts

CONCERNS = {
    values.SERIAL_TWICE: {"direction", "item_id", "billed_before"},
    values.OUTSIDE_TERM: {"needs_cover", "covered"},
    values.OLD_PART: {"parts", "old_parts"},
    values.NOTICE: {"needs_notice", "notified"},
    values.CONTRACT: {"needs_contract", "has_contract"},
    values.REGION: {"region", "regions"},
    values.REPEATED: {"needs_rest", "repeated_by", "item_id", "may_still_fail"},
}
STATES = st.sampled_from([code for code, _label in values.OLD_PART_STATES])
FACTS = st.builds(
    LineFacts,
    direction=st.sampled_from((OWED_TO_US, OWED_BY_US)),
    code=st.sampled_from(("labour", "material")),
    item_id=st.none() | st.integers(1, 9),
    received_on=st.none() | st.dates(),
    region=st.sampled_from(("", "浙江省杭州市", "江苏省")),
    needs_cover=st.booleans(),
    covered=st.none() | st.booleans(),
    needs_notice=st.booleans(),
    notified=st.booleans(),
    needs_contract=st.booleans(),
    has_contract=st.booleans(),
    regions=st.sampled_from(((), ("浙江",), ("浙江", "江苏"))),
    parts=st.booleans(),
    old_parts=st.lists(STATES, max_size=3).map(tuple),
    adjusts=st.booleans(),
    billed_before=st.sampled_from(("", "GD-1")),
    repeated_by=st.sampled_from(("", "GD-2")),
    needs_rest=st.booleans(),
    may_still_fail=st.booleans(),
)


@given(FACTS, FACTS)
def test_a_check_concerns_only_its_inputs(one: LineFacts, other: LineFacts) -> None:
    one, other = replace(one, adjusts=False), replace(other, adjusts=False)
    for name, fields in CONCERNS.items():
        alike = replace(other, **{field: getattr(one, field) for field in fields})
        assert judge(alike).get(name) == judge(one).get(name)


@given(FACTS)
def test_passed_stands_on_evidence_only(facts: LineFacts) -> None:
    found = judge(facts)
    passed = {name for name, (result, _detail) in found.items() if result == GOOD}
    evidence: dict[str, Any] = {
        values.SERIAL_TWICE: facts.item_id is not None,
        values.OUTSIDE_TERM: facts.covered is True,
        values.OLD_PART: bool(facts.old_parts) and set(facts.old_parts) <= {values.RECEIVED, values.EXEMPT},
        values.NOTICE: facts.notified,
        values.CONTRACT: facts.has_contract,
        values.REGION: bool(facts.region),
        values.REPEATED: facts.item_id is not None and not facts.may_still_fail,
    }
    assert all(evidence[name] for name in passed)
    assert has_failed(found) == (BAD in {result for result, _detail in found.values()})


@given(FACTS)
def test_what_corrects_another_line_is_not_checked_itself(facts: LineFacts) -> None:
    assert judge(replace(facts, adjusts=True)) == {}


@pytest.mark.parametrize(
    ("states", "result"),
    [
        ((), UNCHECKED),
        ((values.RECEIVED,), GOOD),
        ((values.RECEIVED, values.EXPECTED), BAD),
        ((values.MISSING,), BAD),
        ((values.EXEMPT,), GOOD),
    ],
)
def test_an_old_part_that_nobody_registered_is_not_checked(states: tuple[str, ...], result: str) -> None:
    found = judge(LineFacts(OWED_TO_US, "material", parts=True, old_parts=states))
    assert found[values.OLD_PART][0] == result
