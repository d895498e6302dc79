"""The form of a contract with an agent: its fields, the usual rates, and how what was typed is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import Field, InvalidData, clean, money_math, normalise
from plugins.products import services as products

from . import file, values
from .values import RateTerm

MOST_SERIES = 60
_NAMES = re.compile(r"[,，;；、\n]+")
_MOST_YUAN, _MOST_PERCENT = Decimal("999999.99"), Decimal(200)

# --- the form ------------------------------------------------------------------------------------

# The usual rates, each for what they owe us and what we owe them: (basis, nature of the case, what the form says).
NATURES = (
    ("", _l("any")),
    ("repair", _l("repair")),
    ("replacement", _l("replacement")),
    ("return", _l("return")),
)
PERCENTS = (values.TARIFF_PERCENT, values.PART_PERCENT)


def _rate_labels() -> list[tuple[str, str, Any]]:
    found: list[tuple[str, str, Any]] = [
        (values.TARIFF_PERCENT, "", _l("percent of the tariff, parts left out")),
        (values.PART_PERCENT, "", _l("percent of the price of parts")),
        (values.PER_VISIT, "", _l("yuan per visit")),
        (values.PER_HOUR, "", _l("yuan per hour of work")),
    ]
    return [
        *found,
        *((values.PER_CASE, code, _l("yuan per case (%(nature)s)", nature=label)) for code, label in NATURES),
    ]


RATE_LABELS = _rate_labels()
RATE_KINDS = tuple((basis, nature) for basis, nature, _label in RATE_LABELS)


def rate_name(direction: str, basis: str, nature: str) -> str:
    """Return the name of a rate's field."""
    return "_".join(part for part in (direction, basis, nature) if part)


def _rate_field(direction: str, who: Any, basis: str, nature: str, what: Any) -> Field:
    return Field(
        rate_name(direction, basis, nature),
        "decimal",
        _l("%(who)s: %(what)s", who=who, what=what),
        minimum=Decimal(0),
        maximum=_MOST_PERCENT if basis in PERCENTS else _MOST_YUAN,
    )


RATE_FIELDS = tuple(
    _rate_field(direction, who, basis, nature, what)
    for basis, nature, what in RATE_LABELS
    for direction, who in values.DIRECTIONS
)
AGENT = Field(
    "agent_id", "text", _l("Agent or partner"), True, max_length=120, help=_l("Number or name in the file")
)
FIELDS = (
    Field("name", "text", _l("Name of the contract"), True, max_length=120),
    Field(
        "series",
        "text",
        _l("Product series"),
        max_length=1000,
        help=_l("Product categories or models, separated by commas; empty: all"),
    ),
    Field(
        "regions",
        "text",
        _l("Regions"),
        max_length=600,
        help=_l("Empty: as the file of the agent says"),
    ),
    Field("starts_on", "date", _l("Valid from"), True),
    Field("ends_on", "date", _l("Valid until"), help=_l("Leave empty for a contract without an end")),
    *RATE_FIELDS,
    Field(
        "handling_rate",
        "decimal",
        _l("Handling fee (percent)"),
        minimum=Decimal(0),
        maximum=Decimal(100),
        help=_l("Empty: as the clause says"),
    ),
    Field("handling_base", "choice", _l("Handling fee on"), choices=values.HANDLING_BASES),
    Field(
        "out_payer",
        "choice",
        _l("Out of warranty paid by"),
        True,
        values.OUT_PAYERS,
        default=values.CUSTOMER_PAYS,
    ),
    Field("currency", "choice", _l("Currency"), True, values.CURRENCIES, default=values.CNY),
    Field("netting", "bool", _l("Amounts are offset"), help=_l("Only the difference is paid")),
    Field(
        "settlement_day",
        "int",
        _l("Settlement day"),
        minimum=Decimal(1),
        maximum=Decimal(28),
        default=5,
        help=_l("Day of the month after"),
    ),
    Field("payment_days", "int", _l("Days to pay"), minimum=Decimal(0), maximum=Decimal(365)),
    Field(
        "clawback_days",
        "int",
        _l("Days in which a repeated repair is taken back"),
        minimum=Decimal(0),
        maximum=Decimal(365),
        help=_l("Empty: as the clause says"),
    ),
    Field("terms", "long", _l("Other terms"), max_length=10_000),
)
PLAIN = tuple(one.name for one in FIELDS if one not in RATE_FIELDS)
_TEXTS = frozenset({"handling_base", "terms"})


# --- reading ---------------------------------------------------------------------------------------


def read(unit_id: int, raw: Mapping[str, Any], errors: dict[str, Any]) -> tuple[dict[str, Any], list[RateTerm]]:
    """Return what was typed as columns of a contract and its rates; ``errors`` are those found before.

    Raises:
        InvalidData: with all errors, by field name.
    """
    try:
        given = clean(FIELDS, raw)
    except InvalidData as bad:
        raise InvalidData(errors | bad.errors) from None
    plain = {name: given[name] for name in PLAIN} | {name: given[name] or "" for name in _TEXTS}
    plain["settlement_day"] = given["settlement_day"] or 5
    if given["ends_on"] is not None and given["ends_on"] < given["starts_on"]:
        errors["ends_on"] = _l("This is before it begins")
    for name, reader in (("series", lambda text: _read_series(unit_id, text)), ("regions", file.read_regions)):
        try:
            plain[name] = reader(given[name])
        except InvalidData as bad:
            errors |= bad.errors
    rates = []
    for direction, _who in values.DIRECTIONS:
        for basis, nature in RATE_KINDS:
            amount = given[rate_name(direction, basis, nature)]
            if amount is None:
                continue
            try:
                amount = money_math.exact(amount, rate_name(direction, basis, nature))
            except InvalidData as bad:
                errors |= bad.errors
            rates.append(RateTerm(direction, basis, amount, nature))
    if plain["handling_rate"] is not None and plain["handling_rate"] != money_math.yuan(plain["handling_rate"]):
        errors["handling_rate"] = _l("At most two decimals")
    if errors:
        raise InvalidData(errors)
    return plain, rates


def _read_series(unit_id: int, text: str | None) -> list[str]:
    """Return the unit's own spelling of the categories and models named."""
    typed = list(dict.fromkeys(one for one in (normalise(part) for part in _NAMES.split(text or "")) if one))
    if len(typed) > MOST_SERIES:
        raise InvalidData({"series": _l("At most %(count)d series", count=MOST_SERIES)})
    known = products.series_known(unit_id, typed)
    for one in typed:
        if one.casefold() not in known:
            raise InvalidData({"series": _l("No product category or model is called “%(name)s”", name=one)})
    return list(dict.fromkeys(known[one.casefold()] for one in typed))
