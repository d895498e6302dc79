"""Papers: the notice of fees."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.sdk import NotFound, PrintForm, holds, label_of

from . import prices, rights, tariffs, values
from .models import Tariff
from .values import Price

# What else a notice promises, where one of these clauses is in force.
PARTS_CLAUSES = ("R13-5.2.1.4", "R17-5.2.4", "R18-5.2.1.4", "R19-5.2.1.4")
TOLD_FIRST_CLAUSES = ("R13-5.2.1.5a", "R17-5.2.5a", "R18-5.2.1.5a", "R19-5.2.1.5a", "R15-11a")
REMOTE_CLAUSES = ("R13-5.2.1.2", "R17-5.2.2", "R18-5.2.1.2", "R19-5.2.1.2")


def forms() -> list[PrintForm]:
    """Return them for the hook."""
    return [
        PrintForm(
            code="warranty.fee_notice",
            title=_l("Notice of fees"),
            subject="warranty:tariff",
            template="warranty/fee_notice.typ",
            data=fee_notice,
            permission=rights.VIEW,
            find=released_tariff,
        )
    ]


def released_tariff(raw_id: object) -> Tariff:
    """Return a released tariff: customers are told of nothing else.

    Raises:
        NotFound: no such tariff in the scope, a draft, or a withdrawn one.
    """
    found = tariffs.get_tariff(raw_id)
    if found.state != prices.RELEASED:
        raise NotFound()
    return found


def fee_notice(tariff: Tariff) -> dict[str, Any]:
    """Return what the notice (收费标准告知) says: what is charged, per what, and under which clause."""
    found = prices.prices_of(tariff)
    provided = dict(values.PROVIDED)
    return {
        "name": tariff.name,
        "product_class": str(tariffs.class_text(tariff.product_class)),
        "first": tariff.starts_on.isoformat(),
        "last": tariff.ends_on.isoformat() if tariff.ends_on else "",
        "rows": [
            [
                str(label),
                _price_text(found[item]),
                str(label_of(values.PRICE_PER, found[item].per)),
                found[item].clause,
            ]
            for item, label in values.TARIFF_ITEMS
            if item in found
        ],
        "provided": [str(provided[item]) for item in provided if item in found],
        "parts": _any_holds(tariff, PARTS_CLAUSES),
        "told_first": _any_holds(tariff, TOLD_FIRST_CLAUSES),
        "remote_free": _any_holds(tariff, REMOTE_CLAUSES),
    }


def _any_holds(tariff: Tariff, clauses: Iterable[str]) -> bool:
    moment = prices.moment_of(tariff.unit_id, tariff.starts_on)
    return any(holds(tariff.unit_id, one, moment) for one in clauses)


def _price_text(price: Price) -> str:
    if price.per == values.ACTUAL:
        return _("What it costs")
    if not price.amount:
        return _("Free of charge")
    if price.per == values.PERCENT:
        return _("%(number)s percent", number=f"{price.amount.normalize():f}")
    return _("%(amount)s yuan", amount=f"{price.amount:,.2f}")
