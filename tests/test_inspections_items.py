"""Items of checklists and the judgement of answers: pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.inspections import items
from core.kernel.errors import InvalidData

CHECK = {"kind": "check", "label": "床"}
NUMBER = {"kind": "number", "label": "温度"}
CHOICE = {
    "kind": "choice",
    "label": "水面",
    "answers": [{"label": "清"}, {"code": "mud", "label": "浑", "fails": True}],
}


def errors_of(raw: Any) -> set[str]:
    with pytest.raises(InvalidData) as bad:
        items.clean_items(raw)
    return set(bad.value.errors)


def test_what_is_left_out_takes_its_default() -> None:
    [check, number] = items.clean_items([CHECK, {**NUMBER, "least": "-18.50", "most": "４", "measure": "°C"}])
    assert check == {
        "key": "i1",
        "kind": "check",
        "label": "床",
        "label_en": "",
        "help": "",
        "required": True,
        "least": "",
        "most": "",
        "measure": "",
        "answers": [],
        "photo": "",
        "severity": "minor",
        "weight": 1,
        "clause": "",
        "opens": False,
    }
    assert (number["key"], number["least"], number["most"]) == ("i2", "-18.50", "4")
    assert items.clean_items([check, number]) == [check, number]


@pytest.mark.parametrize(
    ("raw", "names"),
    [
        ({**NUMBER, "least": "5", "most": "4"}, {"items.0.most"}),
        ({**NUMBER, "least": "NaN"}, {"items.0.least"}),
        ({**NUMBER, "most": "∞"}, {"items.0.most"}),
        ({**NUMBER, "most": "1e400"}, {"items.0.most"}),
        ({**CHECK, "label": "  "}, {"items.0.label"}),
        ({**CHECK, "label": "x" * 201}, {"items.0.label"}),
        ({**CHECK, "kind": "oracle"}, {"items.0.kind"}),
        ({**CHECK, "weight": "-1"}, {"items.0.weight"}),
        ({**CHECK, "weight": "1.5"}, {"items.0.weight"}),
        ({**CHECK, "severity": "fatal"}, {"items.0.severity"}),
        ({**CHECK, "photo": "sometimes"}, {"items.0.photo"}),
        ({**CHECK, "key": "a.b"}, {"items.0.key"}),
        ({**CHECK, "key": "Ä"}, {"items.0.key"}),
        ({**CHOICE, "answers": [{"label": "一"}]}, {"items.0.answers"}),
        ({**CHOICE, "answers": []}, {"items.0.answers"}),
        ({**CHOICE, "answers": [{"label": "一"}, {"label": ""}]}, {"items.0.answers"}),
        ({**CHOICE, "answers": [{"code": "a", "label": "一"}, {"code": "a", "label": "二"}]}, {"items.0.answers"}),
        ("words", {"items.0.label"}),
        (None, {"items.0.label"}),
    ],
)
def test_wrong_items(raw: Any, names: set[str]) -> None:
    assert errors_of([raw]) == names


def test_wrong_lists() -> None:
    assert errors_of("items") == errors_of({"a": 1}) == errors_of([CHECK] * 101) == {"items"}
    assert errors_of([{**CHECK, "key": "a"}, {**CHECK, "key": "a"}]) == {"items.1.key"}
    assert items.clean_items([]) == []


def test_made_up_keys_never_take_a_given_one() -> None:
    found = items.clean_items([CHECK, {**CHECK, "key": "i1"}, CHECK])
    assert [one["key"] for one in found] == ["i2", "i1", "i3"]


def test_what_is_judged() -> None:
    [choice] = items.clean_items([CHOICE])
    assert [items.judge(choice, one) for one in ("a1", "mud", "")] == ["pass", "fail", ""]
    [free] = items.clean_items([NUMBER])
    assert items.judge(free, "7") == ""
    [text] = items.clean_items([{"kind": "text", "label": "x", "opens": True, "photo": "always", "weight": 7}])
    assert (items.judge(text, "fail"), text["opens"], text["photo"], text["weight"]) == ("", False, "", 0)


def test_versions_are_compared_by_key() -> None:
    old = items.clean_items([{**CHECK, "key": one} for one in ("a", "b", "c")])
    new = items.clean_items([{**CHECK, "key": "b", "label": "灯"}, {**CHECK, "key": "a"}, {**CHECK, "key": "d"}])
    found = {one.key: one for one in items.compare(old, new)}
    assert found["b"].parts == ("label",) and found["b"].moved and found["a"].moved
    assert found["c"].now is None and found["d"].was is None
    assert items.compare(old, old) == []


@given(st.lists(st.tuples(st.integers(0, 1000), st.sampled_from(["pass", "fail", "na", "", None])), max_size=30))
def test_a_score_lies_between_0_and_100_and_what_does_not_apply_does_not_count(rows: list[Any]) -> None:
    asked = items.clean_items([{**CHECK, "key": f"k{n}", "weight": weight} for n, (weight, _v) in enumerate(rows)])
    answers = {f"k{n}": {"verdict": verdict} for n, (_w, verdict) in enumerate(rows) if verdict is not None}
    score = items.score(asked, answers)
    counted = [(weight, verdict) for weight, verdict in rows if verdict in ("pass", "fail")]
    assert (score is None) == (sum(weight for weight, _v in counted) == 0)
    if score is not None:
        assert Decimal(0) <= score <= Decimal(100)
        kept = [one for one in asked if answers.get(one["key"], {}).get("verdict") in ("pass", "fail")]
        assert items.score(kept, answers) == score


@given(
    st.decimals(-1000, 1000, places=2),
    st.decimals(-1000, 1000, places=2),
    st.decimals(-2000, 2000, places=3),
)
def test_a_number_passes_exactly_within_its_bounds(one: Decimal, two: Decimal, value: Decimal) -> None:
    least, most = sorted((one, two))
    [item] = items.clean_items([{**NUMBER, "least": str(least), "most": str(most)}])
    typed = items.clean_value(item, str(value))
    assert items.judge(item, typed) == ("pass" if least <= value <= most else "fail")
