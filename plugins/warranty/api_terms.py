"""Collections of the API: terms, cover of items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import ApiResource, Field, local_day
from plugins.products import services as products

from . import cover, lookup, rights, term_table, terms
from .models import Term

_NUMBERS = {"category_id": _l("Category"), "model_id": _l("Model")}
TERM_FIELDS = tuple(
    Field(one.name, "int", _NUMBERS[one.name]) if one.name in _NUMBERS else one for one in term_table.term_fields()
)
_READ = {
    "name": "string",
    "scope": "string",
    "part": "string",
    "months": "integer",
    "start": "string",
    "action": "string",
    "sold_class": "string",
    "category_id": "integer",
    "model_id": "integer",
    "valid_from": "date",
    "valid_to": "date",
    "note": "string",
    "active": "boolean",
    "version": "integer",
}


def resources() -> list[ApiResource]:
    """Return them for the hook."""
    return [
        ApiResource(
            path="terms",
            title=_l("Warranty terms"),
            model=Term,
            permission=rights.VIEW,
            write_permission=rights.TERMS,
            read=_READ,
            show=_terms,
            filters={"name": Term.name, "scope": Term.scope, "active": Term.active},
            fields=TERM_FIELDS,
            create=term_table.save_term,
            change=_change,
        ),
        ApiResource(
            path="cover",
            title=_l("Cover of items"),
            model=products.Item,
            permission=rights.VIEW,
            read={
                "serial": "string",
                "model_id": "integer",
                "covered_until": "date",
                "in_warranty": "boolean",
                "missing": "string",
                "lines": "objects",
                "owed": "objects",
            },
            show=_cover,
            filters={"serial": products.Item.serial, "model_id": products.Item.model_id},
        ),
    ]


def _terms(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    return [{name: getattr(row, name) for name in _READ} for row in rows]


def _change(row: Term, given: Mapping[str, Any]) -> Term:
    present = {name: getattr(row, name) for name in _READ if name != "version"}
    return term_table.save_term(row.unit_id, {**present, **given}, row)


def _cover(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    lines, happened = cover.cover_of_many(rows), cover.events_of([row.id for row in rows])
    return [_item(row, lines[row.id], happened[row.id]) for row in rows]


def _item(row: Any, lines: Sequence[Any], happened: Sequence[Any]) -> dict[str, Any]:
    until, owed = terms.covered_until(lines), lookup.owed_today(row, lines, happened)
    return {
        "serial": row.serial,
        "model_id": row.model_id,
        "covered_until": until,
        "in_warranty": not row.replaced_by_id and terms.running_until(lines, local_day(row.unit_id)) is not None,
        "missing": terms.missing_start(lines),
        "lines": [_line(one) for one in lines],
        "owed": [{"action": one.action, "clause": one.clause, "what": one.what} for one in owed],
    }


def _line(one: Any) -> dict[str, Any]:
    days = {"starts_on": one.starts_on, "ends_on": one.ends_on}
    return {
        **{
            name: getattr(one, name) for name in ("scope", "action", "part", "fault", "clause", "source", "missing")
        },
        **{name: day.isoformat() if day else None for name, day in days.items()},
    }
