"""Contracts with agents: drafting, signing, putting in force, ending, and which terms hold on a day."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st

from core.kernel import clock
from core.records import attachments
from core.sdk import (
    InvalidData,
    NotAllowed,
    NotFound,
    Record,
    Refused,
    detail_of,
    effective,
    perform,
    session,
    transaction,
)
from plugins.agents import contracts, file, rights, values
from plugins.agents.contract_form import rate_name
from plugins.agents.models import Agent, Contract
from plugins.agents.spans import Span, choose
from plugins.agents.values import RateTerm, Terms
from tests.helpers import as_system

from .scene import CATEGORY, EQUIP, MODEL, PLAT_K, Place, make_place

TODAY = "2025-11-03"
DRAFT = {"name": "代理售后服务合同", "starts_on": "2025-01-01", "ends_on": "2025-12-31", "currency": "CNY"}
DRAFT |= {"out_payer": "customer"}
VISIT = rate_name(values.OWED_TO_US, values.PER_VISIT, "")


@pytest.fixture
def place(app: Flask) -> Iterator[Place]:
    made = make_place()
    with clock.frozen(made.now):
        yield made


@pytest.fixture
def agent(place: Place) -> int:
    return place.agent(name="华东代理")


def draft(place: Place, agent_id: object, **changes: Any) -> int:
    with place.acting():
        return contracts.register(place.unit.id, {"agent_id": agent_id, **DRAFT, **changes}).id


def change(place: Place, key: int, **changes: Any) -> None:
    with place.acting():
        row = session().get_one(Record, key)
        held = contracts.form_values(row, detail_of(row))
        contracts.change(key, {**held, **changes})


def paper(place: Place, key: int) -> None:
    with place.acting(), transaction():
        attachments.attach(key, "合同.pdf", io.BytesIO(b"%PDF-1.4 signed"))


def sign(place: Place, key: int, day: str = TODAY) -> None:
    paper(place, key)
    place.do(key, "sign", {"signed_on": day})


def start(place: Place, key: int) -> None:
    sign(place, key)
    place.do(key, "start", {})


def in_force(place: Place, agent_id: int, **changes: Any) -> int:
    key = draft(place, agent_id, **changes)
    start(place, key)
    return key


def detail(place: Place, key: int) -> Contract:
    with place.acting() as work:
        row = detail_of(work.get_one(Record, key))
        work.expunge(row)
        return row


def number(place: Place, key: int) -> str:
    with place.acting() as work:
        return work.get_one(Record, key).number


def terms(place: Place, agent_id: int, day: str, *series: str, after: str = "tariff") -> Terms:
    with place.acting() as work:
        return contracts.terms_of(work.get_one(Agent, agent_id), date.fromisoformat(day), series, after)


# --- drafting ------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["id", "number", "name"])
def test_a_contract_is_drafted_with_its_rates(place: Place, agent: int, by: str) -> None:
    named = {"id": agent, "number": place.code_of(agent), "name": "华东 代理"}[by]
    case = rate_name(values.OWED_BY_US, values.PER_CASE, "repair")
    key = draft(place, named, **{VISIT: "120", case: "80.50"}, settlement_day="10", netting="1")
    found = detail(place, key)
    assert (found.agent_id, found.settlement_day, found.netting) == (agent, 10, True)
    assert number(place, key).startswith("DH")
    with place.acting():
        rates = contracts.rates_of([key])[key]
        assert {(one.direction, one.basis, one.nature, one.amount) for one in rates} == {
            ("receivable", "per_visit", "", Decimal(120)),
            ("payable", "per_case", "repair", Decimal("80.50")),
        }


def test_a_draft_changes_and_says_what_changed(place: Place, agent: int) -> None:
    key = draft(place, agent, **{VISIT: "120"})
    change(place, key, name="新合同", **{VISIT: ""})
    with place.acting():
        assert contracts.rates_of([key]) == {}
    assert detail(place, key).name == "新合同"
    assert place.kinds(key) == ["registered", "changed"]
    change(place, key)
    assert place.kinds(key) == ["registered", "changed"]


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"agent_id": "谁也不是"}, {"agent_id"}),
        ({"agent_id": ""}, {"agent_id"}),
        ({"name": "", "starts_on": "x"}, {"name", "starts_on"}),
        ({"ends_on": "2024-12-31"}, {"ends_on"}),
        ({"series": "没有的系列", "regions": "沪"}, {"series", "regions"}),
        ({VISIT: "-1"}, {VISIT}),
        ({VISIT: "1.005"}, {VISIT}),
        ({rate_name("payable", "tariff_percent", ""): "201"}, {"payable_tariff_percent"}),
        ({"settlement_day": "31"}, {"settlement_day"}),
        ({"currency": "BTC"}, {"currency"}),
        ({"handling_rate": "10.005"}, {"handling_rate"}),
        ({"agent_id": "谁", "ends_on": "2024-01-01"}, {"agent_id", "ends_on"}),
    ],
)
def test_what_does_not_fit_is_said_beside_its_field(
    place: Place, agent: int, changes: dict[str, Any], wrong: set[str]
) -> None:
    with pytest.raises(InvalidData) as bad:
        draft(place, **{"agent_id": agent, **changes})
    assert set(bad.value.errors) == wrong


def test_series_are_the_units_own_categories_and_models(place: Place, agent: int) -> None:
    place.item()
    assert detail(place, draft(place, agent, series=f"{CATEGORY}，gtzz-16")).series == [CATEGORY, MODEL]
    other = make_place()
    with pytest.raises(InvalidData):
        draft(other, other.agent(), series=CATEGORY)


def test_no_contract_with_an_agent_out_of_use_or_of_another_unit(place: Place) -> None:
    for key in (place.agent(active=False), make_place().agent()):
        with pytest.raises(InvalidData) as bad:
            draft(place, key)
        assert list(bad.value.errors) == ["agent_id"]


def test_only_who_keeps_contracts_drafts_one(place: Place, agent: int) -> None:
    with place.acting(permissions={rights.VIEW}), pytest.raises(NotAllowed):
        contracts.register(place.unit.id, {"agent_id": agent, **DRAFT})
    with make_place().acting(), pytest.raises(NotFound):
        contracts.change(draft(place, agent), DRAFT)


# --- signing, starting, ending ---------------------------------------------------------------------


def test_nothing_is_signed_without_the_paper(place: Place, agent: int) -> None:
    key = draft(place, agent)
    with pytest.raises(Refused) as bad:
        place.do(key, "sign", {"signed_on": TODAY})
    assert [one.code for one in bad.value.refusals] == ["no_paper"]
    sign(place, key)
    assert (place.state(key), detail(place, key).signed_on) == ("signed", date(2025, 11, 3))


def test_what_was_signed_does_not_change(place: Place, agent: int) -> None:
    key = draft(place, agent)
    with pytest.raises(InvalidData):
        sign(place, key, "2025-11-04")
    place.do(key, "sign", {"signed_on": TODAY})
    with pytest.raises(Refused):
        change(place, key, name="别的")


@pytest.mark.clause("R14-5.8.1")
def test_contracts_are_in_renminbi(app: Flask) -> None:
    place = make_place(PLAT_K)
    with clock.frozen(place.now):
        place.clause("R14-5.8.1")
        agent = place.agent(values.PARTNER)
        key = draft(place, agent, currency="KRW")
        paper(place, key)
        with pytest.raises(Refused) as bad:
            place.do(key, "sign", {"signed_on": TODAY})
        assert {one.clause for one in bad.value.refusals} == {"R14-5.8.1"}
        change(place, key, currency="CNY")
        place.do(key, "sign", {"signed_on": TODAY})
        assert place.state(key) == "signed"


OVERLAPS = [
    # (series and days of the one in force, of the other, whether both would answer)
    ("", "2025-01-01", "2025-12-31", "", "2025-06-01", "2026-05-31", True),
    ("", "2025-01-01", "2025-12-31", "", "2025-12-31", "", True),
    ("", "2025-01-01", "2025-12-31", "", "2026-01-01", "2026-12-31", False),
    ("", "2025-01-01", "", "", "2030-01-01", "", True),
    ("", "2025-06-01", "2025-12-31", "", "2025-01-01", "2025-05-31", False),
    (CATEGORY, "2025-01-01", "2025-12-31", CATEGORY, "2025-06-01", "", True),
    (CATEGORY, "2025-01-01", "2025-12-31", f"{MODEL},{CATEGORY}", "2025-06-01", "", True),
    (CATEGORY, "2025-01-01", "2025-12-31", MODEL, "2025-06-01", "", False),
    ("", "2025-01-01", "2025-12-31", CATEGORY, "2025-06-01", "", False),
    (CATEGORY, "2025-01-01", "2025-12-31", "", "2025-06-01", "", False),
]


@pytest.mark.parametrize(("series", "first", "last", "series2", "first2", "last2", "refused"), OVERLAPS)
def test_two_contracts_of_an_agent_never_answer_for_the_same(
    place: Place,
    agent: int,
    series: str,
    first: str,
    last: str,
    series2: str,
    first2: str,
    last2: str,
    refused: bool,
) -> None:
    place.item()
    held = in_force(place, agent, series=series, starts_on=first, ends_on=last)
    key = draft(place, agent, series=series2, starts_on=first2, ends_on=last2)
    sign(place, key)
    if not refused:
        place.do(key, "start", {})
        return
    with pytest.raises(Refused) as bad:
        place.do(key, "start", {})
    assert bad.value.refusals[0].code == "overlap"
    assert number(place, held) in str(bad.value.refusals[0].text)
    assert place.state(key) == "signed"


def test_another_agents_contract_is_not_in_the_way(place: Place, agent: int) -> None:
    in_force(place, agent, regions="江苏")
    other = in_force(place, place.agent(name="另一家"), regions="江苏省,安徽")
    with place.acting():
        shared = contracts.others_in_region(session().get_one(Contract, other))
        assert [one.agent_id for _record, one in shared] == [agent]


@pytest.mark.parametrize(
    "changes", [{"regions": "浙江"}, {"starts_on": "2026-01-01", "ends_on": ""}, {"series": MODEL}]
)
def test_contracts_that_touch_nowhere_are_not_mentioned(place: Place, agent: int, changes: dict[str, str]) -> None:
    place.item()
    in_force(place, agent, regions="江苏", series=CATEGORY)
    other = in_force(place, place.agent(), **{"regions": "江苏", **changes})
    with place.acting():
        assert contracts.others_in_region(session().get_one(Contract, other)) == []


def test_an_early_end_holds_until_that_day(place: Place, agent: int) -> None:
    key = in_force(place, agent, ends_on="", **{VISIT: "120"})
    with pytest.raises(InvalidData):
        place.do(key, "end", {"ended_on": "2025-11-04", "reason": "终止"})
    with pytest.raises(InvalidData):
        place.do(key, "end", {"ended_on": "2024-12-31", "reason": "终止"})
    place.do(key, "end", {"ended_on": "2025-10-31", "reason": "双方同意终止"})
    assert (place.state(key), detail(place, key).ended_on) == ("ended", date(2025, 10, 31))
    assert terms(place, agent, "2025-10-31").contract_id == key
    assert terms(place, agent, "2025-11-01") == Terms()
    assert terms(place, agent, "2025-11-01", after="last_terms") == Terms()
    successor = in_force(place, agent, starts_on="2025-11-01", ends_on="")
    assert terms(place, agent, "2025-11-01").contract_id == successor


def test_a_contract_that_ran_out_ends_on_its_day(place: Place, agent: int) -> None:
    key = in_force(place, agent, ends_on="2025-06-30")
    place.do(key, "end", {"ended_on": "", "reason": "到期"})
    assert detail(place, key).ended_on == date(2025, 6, 30)
    assert terms(place, agent, "2025-07-01", after="last_terms").expired


def test_a_draft_may_be_dropped_and_holds_nothing(place: Place, agent: int) -> None:
    key = draft(place, agent)
    assert terms(place, agent, TODAY) == Terms()
    sign(place, key)
    assert terms(place, agent, TODAY) == Terms()
    place.do(key, "cancel", {"reason": "重签"})
    assert (place.state(key), terms(place, agent, TODAY)) == ("cancelled", Terms())


# --- which terms hold ------------------------------------------------------------------------------


def test_terms_are_what_the_contract_says(place: Place, agent: int) -> None:
    given_ = {"handling_rate": "8", "handling_base": "all_parts", "netting": "1", "payment_days": "45"}
    key = in_force(place, agent, **given_, clawback_days="60", out_payer="partner", **{VISIT: "120"})
    found = terms(place, agent, TODAY)
    assert found == Terms(
        contract_id=key,
        contract_number=number(place, key),
        rates=(RateTerm("receivable", "per_visit", Decimal("120.00")),),
        handling_rate=Decimal("8.00"),
        handling_base="all_parts",
        out_payer="partner",
        netting=True,
        payment_days=45,
        settlement_day=5,
        clawback_days=60,
    )


def test_the_contract_that_names_the_series_wins(place: Place, agent: int) -> None:
    place.item()
    general = in_force(place, agent)
    special = in_force(place, agent, series=MODEL, starts_on="2025-03-01", ends_on="2025-08-31")
    assert terms(place, agent, "2025-05-01", CATEGORY, MODEL).contract_id == special
    assert terms(place, agent, "2025-05-01", CATEGORY, MODEL.lower()).contract_id == special
    assert terms(place, agent, "2025-05-01", "GTJZ-08").contract_id == general
    assert terms(place, agent, "2025-05-01").contract_id == general
    assert terms(place, agent, "2025-09-01", MODEL).contract_id == general


AFTER_EXPIRY = [("tariff", None), ("last_terms", "contract"), ("refuse", "refused")]


def expired(profile: str, kind: str) -> tuple[Place, int, int]:
    place = make_place(profile)
    with clock.frozen(place.now):
        agent = place.agent(kind)
        key = in_force(place, agent, ends_on="2025-10-31", **{VISIT: "120"})
    return place, agent, key


@pytest.mark.clause("R18-5.1.3")
@pytest.mark.parametrize(
    ("after", "expected"), [("tariff", None), ("last_terms", "contract"), ("refuse", "refused")]
)
def test_after_a_contract_with_an_agent_ran_out(app: Flask, after: str, expected: str | None) -> None:
    place, agent, key = expired(EQUIP, values.AGENT)
    place.clause("R18-5.1.3", after_expiry=after)
    what_holds(place, agent, key, "R18-5.1.3", expected)


@pytest.mark.clause("R19-5.1.3")
@pytest.mark.parametrize(
    ("after", "expected"), [("tariff", None), ("last_terms", "contract"), ("refuse", "refused")]
)
def test_after_a_contract_with_a_partner_ran_out(app: Flask, after: str, expected: str | None) -> None:
    place, agent, key = expired(PLAT_K, values.PARTNER)
    place.clause("R19-5.1.3", after_expiry=after)
    what_holds(place, agent, key, "R19-5.1.3", expected)


def what_holds(place: Place, agent: int, key: int, clause: str, expected: str | None) -> None:
    """What the clause's parameter says is what the terms are, from the day after on."""
    with place.acting():
        held = effective(place.unit.id, clause, place.now)
        assert held is not None
        after = str(held.values["after_expiry"])
    assert terms(place, agent, "2025-10-31", after=after).contract_id == key
    if expected == "refused":
        with pytest.raises(Refused) as bad:
            terms(place, agent, "2025-11-01", after=after)
        assert bad.value.refusals[0].code == "no_contract"
        return
    found = terms(place, agent, "2025-11-01", after=after)
    assert (found.contract_id, found.expired) == ((key, True) if expected else (None, False))


def test_without_any_contract_the_tariff_holds_or_nothing(place: Place, agent: int) -> None:
    assert terms(place, agent, TODAY, after="last_terms") == Terms()
    with pytest.raises(Refused):
        terms(place, agent, TODAY, after="refuse")


def test_another_series_contract_says_nothing(place: Place, agent: int) -> None:
    place.item()
    in_force(place, agent, series=MODEL, ends_on="2025-10-31")
    assert terms(place, agent, "2025-11-01", "GTJZ-08", after="last_terms") == Terms()
    assert terms(place, agent, "2025-10-01", "GTJZ-08") == Terms()


# --- the choice itself -----------------------------------------------------------------------------

DAYS = st.integers(0, 60).map(lambda n: date(2025, 1, 1) + timedelta(days=n))
SERIES = st.frozensets(st.sampled_from(["a", "b", "c"]), max_size=2)


@st.composite
def spans(draw: Any) -> list[Span]:
    """Contracts of an agent as they can be in force: none meets one that is there already."""
    held: list[Span] = []
    for key in range(draw(st.integers(0, 6))):
        first = draw(DAYS)
        last = draw(st.none() | DAYS)
        one = Span(key + 1, first, last, draw(SERIES), draw(st.booleans()) and last is not None)
        if (last is None or last >= first) and not any(one.meets(other) for other in held):
            held.append(one)
    return held


@settings(deadline=None)
@given(spans(), DAYS, SERIES, st.sampled_from(["tariff", "last_terms", "refuse"]))
def test_there_is_one_answer_and_it_is_right(
    held: list[Span], day: date, series: frozenset[str], after: str
) -> None:
    found = choose(held, day, series, after)
    assert found == choose(list(reversed(held)), day, series, after)
    now = [one for one in held if one.holds_on(day) and (not one.series or one.series & series)]
    if now:
        assert found.span in now and not found.expired
        assert found.span is not None
        assert bool(found.span.series) == any(one.series for one in now)
    elif found.span is not None:
        assert found.expired and after == "last_terms" and not found.span.ended_early
        assert found.span.last is not None and found.span.last < day
        assert not found.span.series or found.span.series & series
    elif after == "last_terms":
        over = [one for one in held if one.starts_on <= day and (not one.series or one.series & series)]
        assert (
            not over or max(over, key=lambda one: (one.last, bool(one.series), one.starts_on, one.id)).ended_early
        )


@settings(deadline=None)
@given(spans(), DAYS, st.sampled_from(["a", "b", "c"]))
def test_for_one_series_at_most_one_general_and_one_special_hold(held: list[Span], day: date, series: str) -> None:
    now = [one for one in held if one.holds_on(day)]
    assert sum(1 for one in now if not one.series) <= 1
    assert sum(1 for one in now if series in one.series) <= 1


def test_meeting_is_the_same_from_both_sides() -> None:
    one = Span(1, date(2025, 1, 1), date(2025, 1, 31), frozenset("a"))
    two = Span(2, date(2025, 1, 31), None, frozenset("ab"))
    assert one.meets(two) and two.meets(one)
    never = Span(3, date(2025, 2, 1), date(2025, 1, 31), frozenset("a"))
    assert not never.meets(two) and not two.meets(never)


def test_scene_contracts_hold_as_ours_do(place: Place, agent: int) -> None:
    key = place.contract(agent, ("receivable", "per_visit", "120"))
    assert terms(place, agent, TODAY).contract_id == key
    with as_system() as work:
        work.get_one(Record, key).state = "ended"
        work.get_one(Contract, key).ended_on = date(2025, 11, 2)
    assert terms(place, agent, TODAY) == Terms()


def test_an_order_for_regions_falls_back_to_the_file(place: Place) -> None:
    first, second = place.agent(regions=["江苏"]), place.agent(regions=["江苏省"])
    in_force(place, first)
    other = in_force(place, second)
    with place.acting():
        found = contracts.others_in_region(session().get_one(Contract, other))
        assert [file.get_agent(one.agent_id).id for _record, one in found] == [first]


def test_steps_need_the_right_to_keep_contracts(place: Place, agent: int) -> None:
    key = draft(place, agent)
    paper(place, key)
    with place.acting(permissions={rights.VIEW, "case.view"}), pytest.raises(NotAllowed):
        perform(key, "sign", {"signed_on": TODAY})
