"""Catering: food that arrives (R06-13), the processing log (R06-14), samples (JD-3)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.records.models import Notice
from core.sdk import InvalidData, NotAllowed, NotFound, Refused, perform, session
from plugins.hotel import food, processing, samples, values
from plugins.hotel.models import FoodLine, Processing, Sample
from tests.helpers import make_unit

from .scene import House, clauses, make_house


@pytest.fixture
def house(app: Flask) -> House:
    return make_house(on=("R06-13", "R06-14"))


def line(house: House, **given: Any) -> dict[str, Any]:
    good = {"item": "鲜牛奶", "quantity": "20", "measure": "升", "storage": "chilled", "degrees": "4"}
    expires = (house.today + timedelta(days=5)).isoformat()
    return {**good, "expires_on": expires, "papers": "1", "looks_good": "1", **given}


def arrive(house: House, *lines: dict[str, Any], **given: Any) -> int:
    raw = {"supplier": "城南乳业", "lines": list(lines) or [line(house)], **given}
    with house.acting():
        return food.register(house.unit.id, raw).id


def wrong(house: House, **given: Any) -> dict[str, list[str]]:
    with house.acting(), pytest.raises(InvalidData) as bad:
        food.register(house.unit.id, {"supplier": "城南乳业", "lines": [line(house)], **given})
    return {name: [str(one) for one in texts] for name, texts in bad.value.errors.items()}


# --- R06-13 --------------------------------------------------------------------------------------


@pytest.mark.clause("R06-13")
def test_good_food_is_accepted_whole(house: House) -> None:
    key = arrive(house, line(house), line(house, item="土豆", storage="ambient", degrees=None, expires_on=None))
    house.do(key, "accept")
    assert house.state(key) == values.ACCEPTED
    assert set(house.all(select(FoodLine.verdict))) == {values.ACCEPTED}


@pytest.mark.clause("R06-13")
@pytest.mark.parametrize(
    "bad",
    [
        {"days": -1},
        {"papers": ""},
        {"looks_good": ""},
        {"degrees": "8.1"},
        {"degrees": None},
        {"storage": "frozen"},
    ],
)
def test_food_that_is_not_good_is_not_accepted(house: House, bad: dict[str, Any]) -> None:
    given = dict(bad)
    if "days" in given:
        given["expires_on"] = (house.today + timedelta(days=given.pop("days"))).isoformat()
    key = arrive(house, line(house, item="大米", storage="ambient"), line(house, **given))
    with house.acting(), pytest.raises(Refused) as refused:
        perform(key, "accept", {})
    assert clauses(refused.value) == {"R06-13"} and house.state(key) == values.RECEIVED
    rice, milk = house.all(select(FoodLine).order_by(FoodLine.id))
    with house.acting(), pytest.raises(Refused) as refused:
        food.judge(milk.id, values.ACCEPTED)
    assert clauses(refused.value) == {"R06-13"}
    with house.acting():
        food.judge(milk.id, values.REFUSED, "退回供应商")
    house.do(key, "accept")
    assert house.all(select(FoodLine.verdict).order_by(FoodLine.id)) == [values.ACCEPTED, values.REFUSED]
    assert rice.id != milk.id


@pytest.mark.clause("R06-13")
def test_the_day_it_expires_still_counts_and_a_unit_may_want_more(house: House) -> None:
    today = house.today.isoformat()
    house.do(arrive(house, line(house, expires_on=today)), "accept")
    house.clause("R06-13", days=2)
    key = arrive(house, line(house, expires_on=today))
    with house.acting(), pytest.raises(Refused):
        perform(key, "accept", {})


@pytest.mark.clause("R06-13")
def test_where_the_clause_is_off_nothing_is_refused(house: House) -> None:
    house.clause("R06-13", holds=False)
    key = arrive(house, line(house, papers=""))
    house.do(key, "accept")
    assert house.state(key) == values.ACCEPTED


def test_a_receipt_is_refused_whole_or_not_at_all(house: House) -> None:
    key = arrive(house, line(house), line(house, papers=""))
    first, second = house.all(select(FoodLine.id).order_by(FoodLine.id))
    with house.acting():
        food.judge(first, values.ACCEPTED)
    with house.acting(), pytest.raises(Refused):
        perform(key, "refuse", {"reason": "不要"})
    with house.acting():
        food.judge(first, values.REFUSED)
        food.judge(second, values.REFUSED)
    with house.acting(), pytest.raises(Refused):
        perform(key, "accept", {})
    house.do(key, "refuse", reason="全部不合格")
    assert house.state(key) == values.REFUSED
    with house.acting(), pytest.raises(Refused):
        food.judge(first, values.ACCEPTED)


def test_input_that_is_wrong_is_said_beside_the_field(house: House) -> None:
    tomorrow = (house.today + timedelta(days=1)).isoformat()
    assert "lines" in wrong(house, lines=[]) and "lines" in wrong(house, lines="牛奶")
    assert "lines" in wrong(house, lines=[line(house)] * (food.MOST_LINES + 1))
    assert "lines" in wrong(house, lines=["牛奶"])
    for bad in ({"quantity": "0"}, {"quantity": "-3"}, {"quantity": "NaN"}, {"made_on": tomorrow}, {"price": "-1"}):
        assert "lines" in wrong(house, lines=[line(house, **bad)])
    backwards = line(house, made_on=house.today.isoformat(), expires_on="2020-01-01")
    assert "lines" in wrong(house, lines=[backwards])
    assert "arrived_at" in wrong(house, arrived_at=(house.now + timedelta(hours=1)).isoformat())
    assert "place" in wrong(house, place="没有这里") and "supplier" in wrong(house, supplier="")


def test_a_delivery_is_entered_once(house: House) -> None:
    key = arrive(house, delivery_note="PS-1")
    assert "delivery_note" in wrong(house, delivery_note="PS-1")
    arrive(house, delivery_note="PS-1", supplier="城北乳业")
    house.do(key, "cancel", reason="录错")
    arrive(house, delivery_note="PS-1")


def test_the_same_request_twice_makes_one_receipt(house: House) -> None:
    raw = {"supplier": "城南乳业", "lines": [line(house)]}
    with house.acting():
        first = food.register(house.unit.id, raw, key="k1").id
    with house.acting():
        assert food.register(house.unit.id, raw, key="k1").id == first
    assert len(house.all(select(FoodLine))) == 1


def test_only_the_kitchen_keeps_its_records(house: House) -> None:
    cleaner = house.staff("hotel_housekeeping")
    with house.acting(cleaner):
        with pytest.raises(NotAllowed):
            food.register(house.unit.id, {"supplier": "城南乳业", "lines": [line(house)]})
        with pytest.raises(NotAllowed):
            samples.keep(house.unit.id, {"meal": "lunch", "dish": "红烧肉", "grams": "130"})
        with pytest.raises(NotAllowed):
            processing.log(house.unit.id, {"meal": "lunch", "step": "cook", "dish": "红烧肉"})


# --- R06-14 --------------------------------------------------------------------------------------


def cooked(house: House, **given: Any) -> Processing:
    raw = {"meal": "lunch", "step": "cook", "dish": "红烧肉", "degrees": "75", **given}
    with house.acting():
        row = processing.log(house.unit.id, raw)
        session().expunge(row)
        return row


@pytest.mark.clause("R06-14")
@pytest.mark.parametrize(
    ("step", "degrees", "fine"),
    [
        ("cook", "70", True),
        ("cook", "69.9", False),
        ("hold", "59", False),
        ("cool", "8", True),
        ("cool", "9", False),
    ],
)
def test_temperatures_are_judged(house: House, step: str, degrees: str, fine: bool) -> None:
    assert cooked(house, step=step, degrees=degrees, note="重新加热").fine is fine
    if not fine:
        with house.acting(), pytest.raises(InvalidData) as bad:
            processing.log(house.unit.id, {"meal": "lunch", "step": step, "dish": "汤", "degrees": degrees})
        assert set(bad.value.errors) == {"note"}


@pytest.mark.clause("R06-14")
def test_where_the_clause_is_off_temperatures_are_only_kept(house: House) -> None:
    house.clause("R06-14", holds=False)
    assert cooked(house, degrees="20").fine


def test_an_entry_is_struck_out_once_and_stays(house: House) -> None:
    row = cooked(house)
    with house.acting():
        processing.strike(row.id, "记错菜名")
    with house.acting(), pytest.raises(Refused):
        processing.strike(row.id, "又一次")
    with house.acting(), pytest.raises(InvalidData):
        processing.strike(cooked(house).id, "")
    assert house.all(select(Processing))[0].struck_reason == "记错菜名"


@pytest.mark.parametrize("hours", [1, -49])
def test_entries_are_of_now(house: House, hours: int) -> None:
    with house.acting(), pytest.raises(InvalidData) as bad:
        at = (house.now + timedelta(hours=hours)).isoformat()
        processing.log(house.unit.id, {"meal": "lunch", "step": "cook", "dish": "汤", "at": at})
    assert set(bad.value.errors) == {"at"}


# --- JD-3 ----------------------------------------------------------------------------------------


def kept(house: House, grams: int = 130) -> int:
    with house.acting():
        return samples.keep(house.unit.id, {"meal": "lunch", "dish": "红烧肉", "grams": str(grams)}).id


@pytest.mark.clause("JD-3")
def test_a_sample_has_its_weight(house: House) -> None:
    kept(house, 125)
    with house.acting(), pytest.raises(Refused) as refused:
        samples.keep(house.unit.id, {"meal": "lunch", "dish": "汤", "grams": "124"})
    assert clauses(refused.value) == {"JD-3"}
    for grams in ("0", "-5", "x"):
        with house.acting(), pytest.raises(InvalidData) as bad:
            samples.keep(house.unit.id, {"meal": "lunch", "dish": "汤", "grams": grams})
        assert set(bad.value.errors) == {"grams"}


@pytest.mark.clause("JD-3")
def test_a_sample_is_kept_for_its_hours(house: House) -> None:
    key = kept(house)
    house.later(hours=47, minutes=59)
    with house.acting(), pytest.raises(Refused) as refused:
        samples.dispose(key)
    assert clauses(refused.value) == {"JD-3"}
    house.later(minutes=1)
    with house.acting():
        assert [one.id for one in session().scalars(samples.due(house.unit.id))] == [key]
        samples.dispose(key, "已处理")
        first = samples.dispose(key).disposed_at
    house.later(hours=1)
    with house.acting():
        assert samples.dispose(key).disposed_at == first


@pytest.mark.clause("JD-3")
def test_a_unit_may_keep_samples_longer_and_the_kitchen_is_told(house: House) -> None:
    house.clause("JD-3", hours=72)
    cook = house.staff("hotel_catering")
    kept(house)
    house.later(hours=71)
    with house.acting():
        samples.remind(house.unit.id)
    assert house.all(select(Notice.id).where(Notice.kind == samples.DUE)) == []
    house.later(hours=1)
    with house.acting():
        samples.remind(house.unit.id)
    assert house.all(select(Notice.user_id).where(Notice.kind == samples.DUE)) == [cook.id]


def test_rows_of_another_unit_are_not_there(house: House) -> None:
    key, entry = kept(house), cooked(house).id
    house.later(hours=50)
    other = make_house()
    with other.acting():
        for call in (lambda: samples.dispose(key), lambda: processing.strike(entry, "x")):
            with pytest.raises(NotFound):
                call()
    assert house.all(select(Sample.disposed_at)) == [None] and make_unit() is not None
