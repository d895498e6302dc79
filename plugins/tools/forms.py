"""What the forms of the file have in common: how numbers, names and people are read, all errors at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import (
    Choices,
    Field,
    InvalidData,
    accounts,
    clean,
    money_math,
    normalise,
    read_id,
)

MOST_YUAN, MOST_MONTHS = Decimal("99999999.99"), 1200
_BLANKS = re.compile(r"\s+")
# A keyboard in Chinese mode turns what a scan gun types into these.
_AS_SCANNED = str.maketrans("：／。、？＝＆～＿＃", ":/./?=&~_#")

ACTIVE = Field("active", "bool", _l("In use"), default=True)


def tidy_code(text: object) -> str:
    """Return a number as it is stored and compared: plain letters and digits, capitals, no blanks."""
    return _BLANKS.sub("", normalise(str(text or "")).translate(_AS_SCANNED)).upper()


def as_scanned(text: object) -> str:
    """Return what a scan gun meant to type, whatever the keyboard made of its marks."""
    return " ".join(normalise(str(text or "")).translate(_AS_SCANNED).split())


def fold(text: object) -> str:
    """Return what a name is compared by, whatever the case and blanks."""
    return _BLANKS.sub("", normalise(str(text or ""))).casefold()


def staff_choices(unit_id: int) -> Choices:
    """Return the people who work in the unit today as (id, name)."""
    return [(str(key), name) for key, name in accounts.staff_names(unit_id)]


def staff_id(unit_id: int, text: str, field: str) -> int:
    """Find a person of the unit's staff by id, user name or full name.

    Raises:
        InvalidData: under ``field``: nobody, or several, of this name work here.
    """
    staff = accounts.staff_of(unit_id)
    key, wanted = read_id(text), fold(text)
    found = [one.id for one in staff if one.id == key]
    found = found or [one.id for one in staff if one.username.casefold() == wanted]
    found = found or [one.id for one in staff if fold(one.name) == wanted]
    if len(found) > 1:
        raise InvalidData({field: _l("Several people here have this name; give the user name")})
    if not found:
        raise InvalidData({field: _l("This person does not work in the unit")})
    return found[0]


class Form:
    """Reads a form so that everything that is wrong with it is said at once."""

    def __init__(self, fields: Sequence[Field], raw: Mapping[str, Any]) -> None:
        self.errors: dict[str, Any] = {}
        try:
            self.given = clean(fields, raw)
        except InvalidData as bad:
            self.errors |= bad.errors
            rest = [one for one in fields if one.name not in bad.errors]
            self.given = {one.name: None for one in fields} | clean(rest, raw)

    def try_(self, name: str, read: Callable[[Any], Any]) -> Any:
        """Return what ``read`` makes of a field that was given; None where it was not, or does not fit."""
        value = self.given[name]
        if value is None or value == "" or name in self.errors:
            return None
        try:
            return read(value)
        except InvalidData as bad:
            self.errors |= {name: bad.texts()}
            return None

    def bad(self, name: str, text: Any) -> None:
        """Say what is wrong with a field, unless something was said already."""
        self.errors.setdefault(name, text)

    def finish(self) -> None:
        """Pass if nothing is wrong.

        Raises:
            InvalidData: beside each field.
        """
        if self.errors:
            raise InvalidData(self.errors)


def read_price(value: Any) -> Decimal:
    return money_math.exact(value, "price")


def put(row: Any, given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        setattr(row, name, value)


def read_active(form: Form, row: Any, raw: Mapping[str, Any]) -> bool:
    if "active" not in raw:
        return True if row is None else bool(row.active)
    return bool(clean((ACTIVE,), raw)["active"])
