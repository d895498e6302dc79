"""Collection of the API: the register of old parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import ApiResource, Record, session

from . import old_parts
from .models import OldPart
from .rights import HANDLE, VIEW


def resources() -> list[ApiResource]:
    """Return it for the hook."""
    return [
        ApiResource(
            path="old-parts",
            title=_l("Old parts"),
            model=OldPart,
            permission=VIEW,
            write_permission=HANDLE,
            read={
                "case": "string",
                "part": "string",
                "serial": "string",
                "quantity": "string",
                "state": "string",
                "received_on": "date",
                "place": "string",
                "note": "string",
                "version": "integer",
            },
            show=_show,
            filters={"state": OldPart.state, "serial": OldPart.serial},
            fields=(old_parts.NUMBER, *old_parts.FIELDS),
            create=_create,
            change=_change,
        )
    ]


def _show(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    ids = [row.record_id for row in rows]
    wanted = select(Record.id, Record.number).where(Record.id.in_(ids))
    numbers = {row.id: row.number for row in session().execute(wanted)}
    plain = ("part", "serial", "state", "received_on", "place", "note", "version")
    return [
        {
            **{name: getattr(row, name) for name in plain},
            "quantity": f"{row.quantity.normalize():f}",
            "case": numbers.get(row.record_id, ""),
        }
        for row in rows
    ]


def _create(unit_id: int, given: Mapping[str, Any]) -> OldPart:
    return old_parts.register(old_parts.case_of(unit_id, str(given["case"])), given)


def _change(row: OldPart, given: Mapping[str, Any]) -> OldPart:
    """A part stays with its case: another number there is not looked at."""
    return old_parts.change(row, {**old_parts.values_of(row), **given})
