"""Amounts in capitals: known values, and a second witness that works on the digits from the right."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.kernel.money_words import rmb

KNOWN = {
    "0": "零元整",
    "0.004": "零元整",
    "-0.001": "零元整",
    "0.01": "壹分",
    "0.10": "壹角",
    "0.55": "伍角伍分",
    "1": "壹元整",
    "1.005": "壹元零壹分",  # rounded, never cut
    "10": "壹拾元整",
    "-5.5": "负伍元伍角",
    "105": "壹佰零伍元整",
    "1010.05": "壹仟零壹拾元零伍分",
    "1409.50": "壹仟肆佰零玖元伍角",
    "6007.14": "陆仟零柒元壹角肆分",
    "1680.32": "壹仟陆佰捌拾元叁角贰分",
    "16409.02": "壹万陆仟肆佰零玖元零贰分",
    "325.04": "叁佰贰拾伍元零肆分",
    "10001": "壹万零壹元整",
    "100000000.10": "壹亿元壹角",
    "100001000": "壹亿零壹仟元整",
    "10000001000.5": "壹佰亿零壹仟元伍角",
    "1010000000000": "壹万零壹佰亿元整",
    "1000000000000": "壹万亿元整",
    "9999999999999999.99": "玖仟玖佰玖拾玖万玖仟玖佰玖拾玖亿玖仟玖佰玖拾玖万玖仟玖佰玖拾玖元玖角玖分",
}


@pytest.mark.parametrize(("amount", "words"), KNOWN.items())
def test_known_values(amount: str, words: str) -> None:
    assert rmb(Decimal(amount)) == "人民币" + words


def _witness(cents: int) -> str:
    """Every digit with its own word, noughts too, then what nobody says is struck out."""
    yuan, rest = divmod(abs(cents), 100)
    units = [four + unit for four in ("", "万", "亿", "万亿") for unit in ("", "拾", "佰", "仟")]
    places = "".join(f"{d}<{i}>" for i, d in zip(range(len(str(yuan)) - 1, -1, -1), str(yuan), strict=True))
    groups: dict[int, str] = {}
    for digit, place in re.findall(r"(\d)<(\d+)>", places):
        groups[int(place) // 4] = (
            groups.get(int(place) // 4, "") + f"{digit}{units[int(place)][-1:] if int(place) % 4 else ''}"
        )
    text = ""
    for group in sorted(groups, reverse=True):
        said = re.sub(r"0[仟佰拾]?", "0", groups[group])
        said = re.sub(r"0+", "0", said).rstrip("0")
        if said:
            text += said + ("", "万", "", "万")[group]
        elif text and not text.endswith("0"):
            text += "0"
        if group == 2 and any(c in text for c in "123456789"):
            text = text.rstrip("0") + "亿"
    text = re.sub(r"0+", "0", text).strip("0")
    # A gap that begins right after 万 or 亿 is told by the first digit below it being 0 in its own group.
    jiao, fen = divmod(rest, 10)
    end = "元" if yuan else ""
    if not rest:
        end = "元整" if yuan else "0元整"
    elif jiao:
        end += f"{jiao}角" + (f"{fen}分" if fen else "")
    else:
        end += ("0" if yuan else "") + f"{fen}分"
    sign = "负" if cents < 0 else ""
    return "人民币" + sign + (text + end).translate(str.maketrans("0123456789", "零壹贰叁肆伍陆柒捌玖"))


@given(
    st.one_of(
        st.integers(-(10**18) + 1, 10**18 - 1),
        st.integers(0, 10**9),
        st.sampled_from([10**k for k in range(18)]).flatmap(lambda p: st.integers(0, 9).map(lambda d: p * d)),
    )
)
def test_as_the_second_witness(cents: int) -> None:
    assert rmb(Decimal(cents).scaleb(-2)) == _witness(cents)


@pytest.mark.parametrize("amount", ["1e16", "-1e16", "NaN", "Infinity"])
def test_no_words(amount: str) -> None:
    with pytest.raises(ValueError, match="no words"):
        rmb(Decimal(amount))
