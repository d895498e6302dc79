"""Reading what a request sends. Everything comes from outside, so everything is bounded before it is believed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from flask import request
from flask_babel import lazy_gettext as _l
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from core.kernel.errors import AppError, InvalidData

from .shapes import read_uid

MOST_BODY = 1024 * 1024
MOST_DEPTH = 20
MOST_DIGITS = 40
MOST_KEY = 64
_KEY = re.compile(r"[\x21-\x7e]{1,64}")
_SPACE_FOR_PLUS = re.compile(r" (\d\d:\d\d)$")


class BadJson(AppError):
    """A body that is no JSON, or none that we read: doubled names, numbers without end, nested without end."""

    status = 400
    code = "bad_json"
    title = _l("This request could not be understood")


# --- bodies ----------------------------------------------------------------------------------------


def json_body(*, needed: bool = True) -> dict[str, Any]:
    """Return the JSON object of the request; an absent one counts as empty unless ``needed``.

    Raises:
        BadJson, InvalidData (no object); 413 and 415 of HTTP.
    """
    raw = _bytes()
    if not raw and not needed:
        return {}
    if request.mimetype != "application/json":
        raise UnsupportedMediaType()
    body = _parsed(raw)
    if not isinstance(body, dict):
        raise InvalidData({"": _l("The body must be a JSON object")})
    return body


def _bytes() -> bytes:
    if request.content_length is not None and request.content_length > MOST_BODY:
        raise RequestEntityTooLarge()
    request.max_content_length = MOST_BODY  # for bodies that do not tell their length
    return request.get_data(cache=False)


def _parsed(raw: bytes) -> Any:
    try:
        body = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_object,
            parse_float=_number,
            parse_int=_whole,
            parse_constant=_no_constant,
        )
    except BadJson:
        raise
    except UnicodeDecodeError:
        raise BadJson(_l("The body is not UTF-8")) from None
    except RecursionError:
        raise BadJson(_l("The body is nested too deeply")) from None
    except ValueError:
        raise BadJson(_l("The body is not valid JSON")) from None
    _check(body, 0)
    return body


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadJson(_l("A name stands twice in one object"))
    return found


def _number(text: str) -> Decimal:
    if len(text) > MOST_DIGITS:
        raise BadJson(_l("A number is too long"))
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent beyond all reason
        raise BadJson(_l("A number is too long")) from None


def _whole(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise BadJson(_l("A number is too long"))
    return int(text)


def _no_constant(_text: str) -> Any:
    raise BadJson(_l("NaN and Infinity are no numbers"))


def _check(value: Any, depth: int) -> None:
    """Refuse what no column takes (NUL, halves of surrogate pairs) and what is nested too deeply."""
    if depth > MOST_DEPTH:
        raise BadJson(_l("The body is nested too deeply"))
    if isinstance(value, str):
        if "\0" in value or (not value.isprintable() and any("\ud800" <= c <= "\udfff" for c in value)):
            raise BadJson(_l("A text holds characters that cannot be kept"))
    elif isinstance(value, dict):
        for name, one in value.items():
            _check(name, depth + 1)
            _check(one, depth + 1)
    elif isinstance(value, list):
        for one in value:
            _check(one, depth + 1)


# --- headers ---------------------------------------------------------------------------------------


def request_key() -> str:
    """Return the request's ``Idempotency-Key``, '' without one.

    Raises:
        InvalidData: not 1 to 64 printable ASCII characters.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return ""
    if not _KEY.fullmatch(key):
        raise InvalidData({"Idempotency-Key": _l("1 to %(count)d printable ASCII characters", count=MOST_KEY)})
    return key


# --- the query -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Param:
    """One parameter of the query. ``kind``: string, integer, boolean, moment, uid, choice."""

    name: str
    kind: str
    help: Any
    choices: tuple[str, ...] = ()
    # Narrows a list; None: the view asks for the value itself.
    narrow: Callable[[Any, Any], Any] | None = None
    most: int | None = None

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        schemas: dict[str, dict[str, Any]] = {
            "integer": {"type": "integer", "minimum": 1, "maximum": self.most or 2**31 - 1},
            "boolean": {"type": "boolean"},
            "moment": {"type": "string", "format": "date-time"},
            "uid": {"type": "string", "format": "uuid"},
            "string": {"type": "string", "minLength": 1, "maxLength": self.most or 80},
            "choice": {"type": "string", "enum": list(self.choices)},
        }
        return schemas[self.kind]

    def read(self, raw: str) -> Any:
        """Read a value.

        Raises:
            InvalidData: under the parameter's name.
        """
        value = _READERS[self.kind](self, raw)
        if value is None:
            raise InvalidData({self.name: _SAID[self.kind]})
        return value


def read_query(params: Iterable[Param]) -> dict[str, Any]:
    """Read the query of the request: each name once, none unknown.

    Raises:
        InvalidData: with a message per name.
    """
    known = {one.name: one for one in params}
    values: dict[str, Any] = {}
    errors: dict[str, Any] = {}
    for name, given in request.args.lists():
        one = known.get(name)
        if one is None:
            errors[name[:80]] = _l("There is no such parameter")
        elif len(given) > 1:
            errors[name] = _l("This may be given once only")
        else:
            try:
                values[name] = one.read(given[0])
            except InvalidData as bad:
                errors |= bad.errors
    if errors:
        raise InvalidData(errors)
    return values


def _read_integer(one: Param, raw: str) -> int | None:
    if not (raw.isascii() and raw.isdigit()) or len(raw) > 10:
        return None
    number = int(raw)
    return number if 1 <= number <= (one.most or 2**31 - 1) else None


def _read_string(one: Param, raw: str) -> str | None:
    return raw if 0 < len(raw) <= (one.most or 80) else None


def _read_moment(_one: Param, raw: str) -> datetime | None:
    # A plus that was not encoded arrives as a space.
    try:
        found = datetime.fromisoformat(_SPACE_FOR_PLUS.sub(r"+\1", raw))
    except ValueError:
        return None
    if found.tzinfo is None or not 1950 <= found.year <= 2200:
        return None
    return found.astimezone(UTC)


_READERS: Mapping[str, Callable[[Param, str], Any]] = {
    "integer": _read_integer,
    "string": _read_string,
    "moment": _read_moment,
    "boolean": lambda _one, raw: {"1": True, "true": True, "0": False, "false": False}.get(raw),
    "uid": lambda _one, raw: read_uid(raw),
    "choice": lambda one, raw: raw if raw in one.choices else None,
}
_SAID: Mapping[str, Any] = {
    "integer": _l("Please enter a whole number in the allowed range"),
    "string": _l("This is empty or too long"),
    "moment": _l("Please enter a time with its offset, such as 2026-01-31T09:30:00+08:00"),
    "boolean": _l("This must be true or false"),
    "uid": _l("This is no uid"),
    "choice": _l("Please choose one of the list"),
}
