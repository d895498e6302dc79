"""The report of warranties that end soon."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import Field, Report, ReportColumn, local_day, session, setting
from plugins.products import services as products

from . import cover, rights, settings, terms

CHUNK = 500
MOST_DAYS = 730


def _ending(units: Sequence[int], wanted: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the items whose cover runs today and ends within the days asked for, soonest first."""
    found = [one for unit_id in units for one in _of_unit(unit_id, wanted.get("days"))]
    for until, item in sorted(found, key=lambda one: (one[0], one[1].serial)):
        yield {
            "until": until,
            "left": (until - local_day(item.unit_id)).days,
            "serial": item.serial,
            "model": str(item.model),
            "customer": products.customer_name(item),
        }


def _of_unit(unit_id: int, days: int | None) -> Iterator[tuple[Any, Any]]:
    today = local_day(unit_id)
    within = setting(unit_id, settings.ENDING_DAYS) if days is None else int(days)
    after = 0
    while ids := session().scalars(_next(unit_id, after)).all():
        items = list(products.items_in_full(ids).values())
        lines = cover.cover_of_many(items)
        for item in items:
            until = terms.running_until(lines[item.id], today)
            if until is not None and (until - today).days <= within:
                yield until, item
        after = ids[-1]


def _next(unit_id: int, after: int) -> Any:
    item = products.Item
    held = select(item.id).where(item.unit_id == unit_id, item.id > after, item.replaced_by_id.is_(None))
    return held.order_by(item.id).limit(CHUNK)


ENDING = Report(
    code="warranty.ending",
    title=_l("Warranties that end soon"),
    permission=rights.VIEW,
    columns=(
        ReportColumn("until", _l("Covered until"), "date"),
        ReportColumn("left", _l("Days left"), "number"),
        ReportColumn("serial", _l("Serial number")),
        ReportColumn("model", _l("Model")),
        ReportColumn("customer", _l("Customer")),
    ),
    rows=_ending,
    filters=(Field("days", "int", _l("Within days"), minimum=Decimal(0), maximum=Decimal(MOST_DAYS)),),
    help=_l("Left empty, the days of the unit's setting count. Items that were exchanged are left out."),
)
