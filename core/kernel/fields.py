"""Form fields as data, and the one validation behind screens, API, CLI and rehearsals."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext as _l

from .errors import InvalidData
from .ids import read_id

Choices = Sequence[tuple[str, Any]]


@dataclass(frozen=True)
class Field:
    """One input.

    ``kind``: text, long, choice, many, int, decimal, bool, date, moment, user, customer, unit, photos, signature.
    ``required`` may be a function of the raw input, for fields needed only sometimes.
    ``clause`` names the regulation clause that asks for the field, if one does.
    """

    name: str
    kind: str
    label: Any
    required: bool | Callable[[Mapping[str, Any]], bool] = False
    choices: Choices | Callable[[], Choices] = ()
    max_length: int = 2000
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    help: Any = ""
    clause: str = ""
    default: Any = None
    options: dict[str, Any] = field(default_factory=dict)

    def needed(self, raw: Mapping[str, Any]) -> bool:
        """Tell whether the field must be filled, given the other raw input."""
        return self.required(raw) if callable(self.required) else self.required

    def choice_list(self) -> Choices:
        """Return the (code, label) pairs as they are now."""
        return self.choices() if callable(self.choices) else self.choices


def label_of(choices: Choices, code: object) -> Any:
    """Return the label of a code, or the code itself when it is not (or no longer) in the list."""
    return next((label for known, label in choices if known == code), code)


REQUIRED = _l("Please fill this in")


# Full-width letters and digits become plain ones; Chinese punctuation stays as typed.
_FOLD: dict[int, int | str] = {
    code: code - 0xFEE0 for run in ("０９", "ＡＺ", "ａｚ") for code in range(ord(run[0]), ord(run[1]) + 1)
}
_FOLD |= {ord(c): " " for c in "\u00a0\u2002\u2003\u2007\u2009\u202f\u3000"} | {ord("＋"): "+", ord("－"): "-"}


def normalise(text: str) -> str:
    """Fold full-width letters, digits and odd spaces, and drop control characters, as office files carry them."""
    folded = unicodedata.normalize("NFC", text.translate(_FOLD))
    if folded.isprintable():
        return folded.strip()
    kept = (c for c in folded if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co"))
    return "".join(kept).strip()


def clean(fields: Iterable[Field], raw: Mapping[str, Any], *, timezone: str = "UTC") -> dict[str, Any]:
    """Check ``raw`` against ``fields``; return typed values (missing optional ones are None).

    Naive moments are read in ``timezone``.

    Raises:
        InvalidData: with every field's messages.
    """
    values: dict[str, Any] = {}
    errors: dict[str, Any] = {}
    for one in fields:
        given = raw.get(one.name)
        if isinstance(given, str):
            given = given.replace("\r\n", "\n")
            given = normalise(given) if one.kind != "signature" else given.strip()
        if given is None or given == "" or given == []:
            values[one.name] = False if one.kind == "bool" else None
            if one.needed(raw):
                errors[one.name] = REQUIRED
            continue
        try:
            values[one.name] = _CLEANERS[one.kind](one, given, timezone)
        except _Bad as bad:
            errors[one.name] = bad.args[0]
    if errors:
        raise InvalidData(errors)
    return values


class _Bad(Exception):
    pass


def _text(one: Field, given: Any, _tz: str) -> str:
    text = str(given)
    if "\ufffd" in text:  # what is left of bytes that were no UTF-8
        raise _Bad(_l("This holds characters that cannot be read; please type it again"))
    if len(text) > one.max_length:
        raise _Bad(_l("At most %(count)d characters", count=one.max_length))
    return text


def _choice(one: Field, given: Any, _tz: str) -> str:
    if str(given) not in {code for code, _ in one.choice_list()}:
        raise _Bad(_l("Please choose one of the list"))
    return str(given)


def _many(one: Field, given: Any, tz: str) -> list[str]:
    return [_choice(one, item, tz) for item in (given if isinstance(given, list | tuple) else [given])]


def _number(one: Field, given: Any, _tz: str) -> Decimal:
    try:
        number = Decimal(str(given))
    except InvalidOperation:
        raise _Bad(_l("Please enter a number")) from None
    # "1e999999" is short to write, but as a whole number it has a million digits.
    if not number.is_finite() or len(str(given)) > 20 or abs(number.adjusted()) > 20:
        raise _Bad(_l("Please enter a number"))
    if one.minimum is not None and number < one.minimum:
        raise _Bad(_l("At least %(number)s", number=one.minimum))
    if one.maximum is not None and number > one.maximum:
        raise _Bad(_l("At most %(number)s", number=one.maximum))
    return number


def _integer(one: Field, given: Any, tz: str) -> int:
    number = _number(one, given, tz)
    if number != int(number) or abs(number) > 2**31 - 1:
        raise _Bad(_l("Please enter a whole number"))
    return int(number)


def _identifier(_one: Field, given: Any, _tz: str) -> int:
    key = read_id(given)
    if key is None:
        raise _Bad(_l("Please choose one of the list"))
    return key


def _bool(_one: Field, given: Any, _tz: str) -> bool:
    return str(given).lower() in ("1", "true", "on", "yes", "y")


def _date(_one: Field, given: Any, _tz: str) -> date:
    if isinstance(given, date):
        return given
    try:
        return date.fromisoformat(str(given))
    except ValueError:
        raise _Bad(_l("Please enter a date such as 2026-01-31")) from None


def _moment(_one: Field, given: Any, tz: str) -> datetime:
    moment = given
    if not isinstance(moment, datetime):
        try:
            moment = datetime.fromisoformat(str(given))
        except ValueError:
            raise _Bad(_l("Please enter a date and time such as 2026-01-31 09:30")) from None
    if not 1950 <= moment.year <= 2200:
        raise _Bad(_l("This date is too far away"))
    aware: datetime = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(tz))
    return aware.astimezone(UTC)


def _as_is(_one: Field, given: Any, _tz: str) -> Any:
    return given


_CLEANERS: dict[str, Callable[[Field, Any, str], Any]] = {
    "text": _text,
    "long": _text,
    "choice": _choice,
    "many": _many,
    "int": _integer,
    "decimal": _number,
    "bool": _bool,
    "date": _date,
    "moment": _moment,
    "user": _identifier,
    "customer": _identifier,
    "unit": _identifier,
    "photos": _as_is,
    "signature": _as_is,
}
