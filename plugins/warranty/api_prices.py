"""Collections of the API: tariffs and part prices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import ApiResource, local_day, session

from . import rights, tariffs
from .models import PartPrice, Tariff, TariffPrice


def resources() -> list[ApiResource]:
    """Return them for the hook."""
    return [
        ApiResource(
            path="tariffs",
            title=_l("Tariffs"),
            model=Tariff,
            permission=rights.VIEW,
            read={
                "name": "string",
                "product_class": "string",
                "starts_on": "date",
                "ends_on": "date",
                "state": "string",
                "standing": "string",
                "note": "string",
                "released_at": "moment",
                "prices": "object",
                "version": "integer",
            },
            show=_tariffs,
            filters={"state": Tariff.state, "product_class": Tariff.product_class},
        ),
        ApiResource(
            path="part-prices",
            title=_l("Part prices"),
            model=PartPrice,
            permission=rights.VIEW,
            write_permission=rights.PRICE,
            read={
                "number": "string",
                "name": "string",
                "price": "money",
                "starts_on": "date",
                "small": "boolean",
                "active": "boolean",
                "version": "integer",
            },
            show=_part_prices,
            filters={"number": PartPrice.number, "active": PartPrice.active},
            fields=tariffs.PART_FIELDS,
            create=tariffs.save_part_price,
            change=_change_part_price,
        ),
    ]


def _tariffs(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    plain = ("name", "product_class", "starts_on", "ends_on", "state", "note", "released_at", "version")
    found = _prices_of([row.id for row in rows])
    return [
        {
            **{name: getattr(row, name) for name in plain},
            "standing": tariffs.standing(row, local_day(row.unit_id)),
            "prices": found.get(row.id, {}),
        }
        for row in rows
    ]


def _prices_of(ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return the prices of a page of tariffs in one statement; amounts are texts, as money is elsewhere."""
    found: dict[int, dict[str, Any]] = {}
    rows = select(TariffPrice).where(TariffPrice.tariff_id.in_(ids)).order_by(TariffPrice.id)
    for one in session().scalars(rows):
        said = {"amount": f"{one.amount:.2f}", "per": one.per, "least": f"{one.least:.2f}"}
        found.setdefault(one.tariff_id, {})[one.item] = said
    return found


def _part_prices(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    names = ("number", "name", "price", "starts_on", "small", "active", "version")
    return [{name: getattr(row, name) for name in names} for row in rows]


def _change_part_price(row: PartPrice, given: Mapping[str, Any]) -> PartPrice:
    return tariffs.save_part_price(row.unit_id, {**tariffs.part_values(row), **given}, row)
