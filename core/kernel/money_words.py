"""Amounts in Chinese capitals (大写), as payment papers want them.

人民币 stands before, 整 follows after 元, none after 分. After 角 the rules leave 整 free: it is left out.
Where the yuan end in noughts and 角 follow, 零 is free as well and left out (1000.50 is 壹仟元伍角); 分 without 角
need it.
"""

from __future__ import annotations

from decimal import Decimal

DIGITS = "零壹贰叁肆伍陆柒捌玖"
# A power of ten, its word: what is above it is read before the word, what is below it after.
_STEPS = ((10**8, "亿"), (10**4, "万"), (1000, "仟"), (100, "佰"), (10, "拾"))
MOST = Decimal(10) ** 16


def rmb(amount: Decimal) -> str:
    """Return an amount of yuan in capitals, rounded half up to 0.01: 1010.05 is 人民币壹仟零壹拾元零伍分.

    Raises:
        ValueError: not finite, or 1e16 and more (above 万亿 there is no usual word).
    """
    if not amount.is_finite() or abs(amount) >= MOST:
        raise ValueError("no words for this amount")
    # Integers all the way: the context's precision must not touch what is printed.
    sign, digits, exponent = amount.as_tuple()
    number = int("".join(map(str, digits)))
    shift = int(exponent) + 2
    cents = number * 10**shift if shift >= 0 else _half_up(number, 10**-shift)
    yuan, rest = divmod(cents, 100)
    jiao, fen = divmod(rest, 10)
    return "人民币" + ("负" if sign and cents else "") + _whole(yuan, rest) + _parts(yuan, jiao, fen)


def _half_up(number: int, divisor: int) -> int:
    return (2 * number + divisor) // (2 * divisor)


def _whole(yuan: int, rest: int) -> str:
    if yuan:
        return _read(yuan) + "元" + ("" if rest else "整")
    return "" if rest else "零元整"


def _parts(yuan: int, jiao: int, fen: int) -> str:
    words = f"{DIGITS[jiao]}角" if jiao else "零" if yuan and fen else ""
    return words + (f"{DIGITS[fen]}分" if fen else "")


def _read(number: int) -> str:
    """Read a whole number; a gap of noughts inside it is one 零."""
    for power, word in _STEPS:
        if number >= power:
            above, below = divmod(number, power)
            gap = "零" if 0 < below < power // 10 else ""
            return _read(above) + word + gap + (_read(below) if below else "")
    return DIGITS[number]
