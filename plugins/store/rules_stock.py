"""The clauses about stock: what is not sold or shown, what is taken off the shelf, what is objected to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import DeadlineRule, GateRule, RecordRule, Rule

from . import objections, removals, values
from .removal_flow import NEAR
from .standing import SELL, SHELF, Standing

Said = Mapping[str, Any]
Check = Callable[[Any, Said], Any]  # the first is a Standing


def _names(seen: Standing) -> dict[str, str]:
    return {"goods": seen.name, "batch": seen.lot.number}


def _expired(seen: Standing, _said: Said) -> Any:
    """R02-15: the last day of shelf life is the last day of sale; the day after nothing is sold or shown."""
    if not seen.over:
        return None
    day = seen.lot.last_day
    return _l("%(goods)s, batch %(batch)s: its last day was %(day)s", **_names(seen), day=day)


def _not_inspected(seen: Standing, _said: Said) -> Any:
    """R02-9: nothing goes on a shelf before it was inspected and counted."""
    if seen.lot.state != values.QUARANTINE:
        return None
    return _l("%(goods)s, batch %(batch)s has not been inspected and counted", **_names(seen))


def _not_released(seen: Standing, _said: Said) -> Any:
    """R02-4: without its papers a product is not released; the store's own use is no sale."""
    if not seen.for_people or not seen.not_released:
        return None
    return _l("%(goods)s: %(why)s", goods=seen.name, why=seen.not_released)


def _no_price(seen: Standing, _said: Said) -> Any:
    """R02-18: what is sold has a public price of the day."""
    if seen.kind != values.SALE or seen.price is not None:
        return None
    return _l("%(goods)s has no public price", goods=seen.name)


def _no_dates(seen: Standing, _said: Said) -> Any:
    """MD-2: dated goods have a production date with shelf life, or a printed date."""
    if not seen.dated or seen.lot.last_day is not None:
        return None
    return _l("%(goods)s, batch %(batch)s has neither dates nor a printed best-before date", **_names(seen))


def _objected(seen: Standing, _said: Said) -> Any:
    """MD-5: pieces of an open objection stay apart."""
    if seen.lot.held == 0 or seen.free >= seen.quantity:
        return None
    given = {**_names(seen), "number": seen.lot.held}
    return _l("%(goods)s, batch %(batch)s: %(number)s pieces are set apart by an objection", **given)


# Each as (clause, check, code of the refusal).
CHECKS: tuple[tuple[str, Check, str], ...] = (
    ("R02-9", _not_inspected, "not_inspected"),
    ("MD-2", _no_dates, "no_dates"),
    ("R02-4", _not_released, "not_released"),
    ("R02-18", _no_price, "no_price"),
    ("R02-15", _expired, "expired"),
    ("MD-5", _objected, "objected"),
)
RULES: list[Rule] = [
    *(
        GateRule(clause=clause, step=step, check=check, code=code)
        for step in (SHELF, SELL)
        for clause, check, code in CHECKS
        if (step, code) != (SHELF, "objected")
    ),
    DeadlineRule(
        clause=removals.CLAUSE,
        record_type="store_removal",
        start=("registered",),
        meet=("removed", "gone"),
        pause=(),
        resume=(),
        reads=("reason",),
        applies=lambda seen: seen["reason"] != NEAR,
    ),
    DeadlineRule(
        clause=removals.NEAR_CLAUSE,
        record_type="store_removal",
        start=("registered",),
        meet=("removed", "gone"),
        pause=(),
        resume=(),
        reads=("reason",),
        applies=lambda seen: seen["reason"] == NEAR,
    ),
    DeadlineRule(
        clause=objections.CLAUSE,
        record_type="store_objection",
        start=("registered",),
        meet=("decided",),
        restart=("reopened",),
        pause=(),
        resume=(),
    ),
    RecordRule(clause=objections.CLAUSE, step="store_objection.register", fields=("problem",)),
]
