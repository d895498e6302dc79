"""Printed forms: a price notice to hang in the store (价格公示), and a stock count (盘点表)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext as _l

from core.sdk import (
    NotFound,
    PrintForm,
    Record,
    Refusal,
    Refused,
    User,
    detail_of,
    label_of,
    places,
    session,
    unit_facts,
)

from . import goods, price_flow, stock_counts, values
from .models import PriceChange, StockCount
from .rights import VIEW

MOST_LINES = 2000


def forms() -> list[PrintForm]:
    """Return the forms."""
    return [
        PrintForm(
            code="store.price_notice",
            title=_l("Price notice"),
            subject=price_flow.CODE,
            template="store/price_notice.typ",
            data=notice,
            permission=VIEW,
            seal="company",
        ),
        PrintForm(
            code="store.count",
            title=_l("Stock count"),
            subject=stock_counts.CODE,
            template="store/count.typ",
            data=count_paper,
            permission=VIEW,
        ),
    ]


def notice(record: Record) -> dict[str, Any]:
    """Return what the notice of new prices says.

    Raises:
        NotFound: the record is no price change. Refused: its prices are not public.
    """
    detail = detail_of(record)
    if not isinstance(detail, PriceChange):
        raise NotFound()
    if record.state != values.APPROVED:
        raise Refused([Refusal("not_public", _l("These prices are not public"))])
    lines = price_flow.lines_of(record.id)[:MOST_LINES]
    models = [one.model_id for one in lines]
    names, codes = goods.names_of(models), goods.codes_of(record.unit_id, models)
    return {
        "number": record.number,
        "first": detail.starts_on.isoformat(),
        "rows": [[codes[one.model_id], names[one.model_id], _yuan(one.before), _yuan(one.price)] for one in lines],
    }


def count_paper(record: Record) -> dict[str, Any]:
    """Return what the paper of a stock count says: every batch, what was expected and what was there.

    Raises:
        NotFound: the record is no stock count.
    """
    detail = detail_of(record)
    if not isinstance(detail, StockCount):
        raise NotFound()
    _whole, done, differing = stock_counts.progress([record.id]).get(record.id, (0, 0, 0))
    place = places.full_names(record.unit_id, [detail.place_id]).get(detail.place_id or 0, "")
    rows = stock_counts.lines_of(record.id, limit=MOST_LINES)
    return {
        "number": record.number,
        "place": place,
        "begun": _moment(record.unit_id, detail.begun_at),
        "state": str(label_of(values.COUNT_STATES, record.state)),
        "done": str(done),
        "different": str(differing),
        "keeper": _name(detail.counted_by),
        "closer": _name(detail.closed_by),
        "lines": [
            [
                name,
                lot.number,
                str(line.expected),
                "" if line.counted is None else str(line.counted),
                "" if line.counted is None else f"{line.counted - line.expected:+d}",
                line.reason,
            ]
            for line, lot, name in rows
        ],
    }


def _yuan(price: Decimal | None) -> str:
    return "—" if price is None else f"{price:.2f}"


def _moment(unit_id: int, at: datetime) -> str:
    return f"{at.astimezone(ZoneInfo(unit_facts(unit_id).timezone)):%Y-%m-%d %H:%M}"


def _name(user_id: int | None) -> str:
    found = session().get(User, user_id) if user_id is not None else None
    return found.name if found is not None else ""
