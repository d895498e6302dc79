"""Chinese phone numbers as people write them: read, check, normalise (dependencies.md section 7)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flask_babel import lazy_gettext as _l

from core.kernel.errors import InvalidData
from core.kernel.fields import normalise

MOBILE, LANDLINE, SERVICE, FOREIGN, OTHER = "mobile", "landline", "service", "foreign", "other"
KINDS = {
    MOBILE: _l("Mobile"),
    LANDLINE: _l("Landline"),
    SERVICE: _l("Service number"),
    FOREIGN: _l("Foreign number"),
    OTHER: _l("Other number"),
}
# Several numbers in one cell; a space separates only where both sides are whole numbers by themselves.
_SEPARATORS = re.compile(r"[/／、，,;；|\n]+|(?<=\d{7})\s+(?=(?:\+?86[\s-]?)?(?:1[3-9]\d{9}|0\d{2,3}-?\d{7,8}))")
# A hyphen counts after a whole number only, written in one piece or grouped as we show it ("0755 1234 5678-802").
_EXTENSION = re.compile(
    r"(?:转|分机|ext\.?|[x#]|(?:(?<=\d{7})|(?<=\d{3} \d{4} \d{4})|(?<=\d{3} \d{3} \d{4}))-)\s*(\d{1,6})$",
    re.IGNORECASE,
)
_FILLING = re.compile(r"[\s\-()（）._·—–]+")
_MOBILE = re.compile(r"1\d{10}")
_MAX_DIGITS = 20

MISSING = _l("A phone number is missing")
NOT_A_NUMBER = _l("This is not a phone number")
WRONG_LENGTH = _l("A phone number with this many digits does not exist")
NOT_IN_USE = _l("This phone number is not in use in China")


@dataclass(frozen=True, slots=True)
class Phone:
    """A number. ``digits`` is for look-up: national, without +86, separators and extension."""

    digits: str
    display: str
    kind: str
    extension: str = ""


@dataclass(frozen=True, slots=True)
class PhoneReading:
    """What one cell held: the good numbers, and (text, lazy reason) for each bad part."""

    phones: tuple[Phone, ...]
    errors: tuple[tuple[str, Any], ...]


def read_phone(text: str, *, service: bool = False) -> Phone:
    """Read one number. ``service``: staff say that an odd number (95588, 12315) is right; then 3 to 20 digits pass.

    Raises:
        InvalidData: under ``phone``, with the reason.
    """
    found = _read(normalise(text), service)
    if isinstance(found, Phone):
        return found
    raise InvalidData({"phone": found})


def read_phones(text: str, *, service: bool = False) -> PhoneReading:
    """Read a cell with any number of phone numbers, separated by / 、 , ; or line breaks. Never raises."""
    phones: dict[str, Phone] = {}
    errors: list[tuple[str, Any]] = []
    for part in _SEPARATORS.split(normalise(text)):
        if not part.strip():
            continue
        found = _read(part.strip(), service)
        if isinstance(found, Phone):
            phones.setdefault(found.digits + found.extension, found)
        else:
            errors.append((part.strip(), found))
    return PhoneReading(tuple(phones.values()), tuple(errors))


def digits_of(text: str) -> str:
    """Return the digits by which a typed or dialled number is looked up; a part of a number stays a part."""
    digits = re.sub(r"[^\d]", "", _EXTENSION.sub("", normalise(text)))
    for prefix in ("0086", "86"):
        if digits.startswith(prefix) and len(digits) - len(prefix) >= 10:
            digits = digits.removeprefix(prefix)
            # The trunk zero that is left out behind +86.
            return digits if _MOBILE.fullmatch(digits) or digits.startswith(("0", "400", "800")) else "0" + digits
    # Some exchanges dial mobiles of another province with a 0 in front.
    return digits[1:] if digits.startswith("01") and _MOBILE.fullmatch(digits[1:]) else digits


def _read(text: str, service: bool) -> Phone | Any:
    bare = _FILLING.sub("", text)
    for prefix in ("+86", "0086"):
        bare = bare.removeprefix(prefix)
    if bare.isascii() and _MOBILE.fullmatch(bare) and _mobile_in_use(bare[:5]):
        return Phone(bare, f"{bare[:3]} {bare[3:7]} {bare[7:]}", MOBILE)
    return _read_slowly(text, service)


def _read_slowly(text: str, service: bool) -> Phone | Any:
    tail = _EXTENSION.search(text)
    extension = tail.group(1) if tail else ""
    core = text[: tail.start()] if tail else text
    bare = _FILLING.sub("", core)
    if not bare:
        return MISSING
    if not re.fullmatch(r"\+?[0-9]+", bare):
        return NOT_A_NUMBER
    if len(bare) > _MAX_DIGITS:
        return WRONG_LENGTH
    found = _checked(bare)
    if isinstance(found, Phone):
        return Phone(found.digits, _with_extension(found.display, extension), found.kind, extension)
    if service and 3 <= len(bare.lstrip("+")) <= _MAX_DIGITS:
        return Phone(bare.lstrip("+"), _with_extension(bare, extension), OTHER, extension)
    return found


def _with_extension(display: str, extension: str) -> str:
    return f"{display}-{extension}" if extension else display


@lru_cache(maxsize=4096)
def _mobile_in_use(prefix: str) -> bool:
    """Validity of a Chinese mobile depends on its first five digits only."""
    import phonenumbers

    return phonenumbers.is_valid_number(phonenumbers.parse(prefix + "000000", "CN"))


def _checked(bare: str) -> Phone | Any:
    """Ask phonenumbers, which is imported here because it is slow to load."""
    import phonenumbers as library

    try:
        number = library.parse(bare, "CN")
    except library.NumberParseException:
        return WRONG_LENGTH
    if not library.is_valid_number(number):
        return NOT_IN_USE if 7 < len(bare) < 13 else WRONG_LENGTH
    if number.country_code != 86:
        display = library.format_number(number, library.PhoneNumberFormat.INTERNATIONAL)
        return Phone(f"{number.country_code}{number.national_number}", display, FOREIGN)
    display = library.format_number(number, library.PhoneNumberFormat.NATIONAL)
    digits = re.sub(r"\D", "", display)
    kinds = {
        library.PhoneNumberType.MOBILE: MOBILE,
        library.PhoneNumberType.FIXED_LINE: LANDLINE,
        library.PhoneNumberType.FIXED_LINE_OR_MOBILE: LANDLINE,
    }
    return Phone(digits, display, kinds.get(library.number_type(number), SERVICE))
