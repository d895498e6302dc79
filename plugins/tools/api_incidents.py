"""API: incidents and deductions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import ApiResource, Record, User, fetch, session

from . import incidents
from .models import Deduction, Incident, Tool
from .rights import KEEP, VIEW, VIEW_MONEY

_PLAIN = ("id", "kind", "breach", "happened_at", "where", "what", "injured", "secured", "cause", "judgement")
_MORE = ("clause", "amount", "settlement", "agreed_at")


def resources() -> list[ApiResource]:
    """Return the collections."""
    return [_incidents(), _deductions()]


def _incidents() -> ApiResource:
    return ApiResource(
        path="incidents",
        title=_l("Incidents with tools"),
        model=Incident,
        permission=VIEW,
        write_permission=KEEP,
        read={
            **dict.fromkeys((*_PLAIN, *_MORE), "string"),
            "id": "integer",
            "number": "string",
            "state": "string",
            "tool": "string",
            "person": "string",
            "happened_at": "moment",
            "agreed_at": "moment",
            "injured": "boolean",
            "secured": "boolean",
            "amount": "money",
        },
        show=_show_incidents,
        filters={"kind": Incident.kind, "cause": Incident.cause, "tool_id": Incident.tool_id},
        fields=incidents.FORM,
        create=_report,
    )


def _report(unit_id: int, given: Mapping[str, Any]) -> Incident:
    record = incidents.report(unit_id, given)
    return fetch(Incident, record.id)


def _show_incidents(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    heads = {one.id: one for one in _among(Record, [row.id for row in rows])}
    codes = {one.id: one.code for one in _among(Tool, [row.tool_id for row in rows])}
    names = {one.id: one.name for one in _among(User, [row.user_id for row in rows])}
    return [
        {
            **{name: getattr(row, name) for name in (*_PLAIN, *_MORE)},
            "number": heads[row.id].number,
            "state": heads[row.id].state,
            "tool": codes[row.tool_id],
            "person": names.get(row.user_id, ""),
        }
        for row in rows
    ]


def _among(model: Any, ids: Sequence[int | None]) -> Sequence[Any]:
    wanted = {one for one in ids if one is not None}
    return session().scalars(select(model).where(model.id.in_(wanted))).all() if wanted else []


def _deductions() -> ApiResource:
    return ApiResource(
        path="deductions",
        title=_l("Deductions from pay"),
        model=Deduction,
        permission=VIEW_MONEY,
        read={
            "id": "integer",
            "incident": "string",
            "person": "string",
            "month": "string",
            "amount": "money",
            "contract_clause": "string",
            "entered_at": "moment",
            "undone_at": "moment",
            "undone_reason": "string",
        },
        show=_show_deductions,
        filters={"month": Deduction.month, "incident_id": Deduction.incident_id},
    )


def _show_deductions(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    numbers = {one.id: one.number for one in _among(Record, [row.incident_id for row in rows])}
    names = {one.id: one.name for one in _among(User, [row.user_id for row in rows])}
    plain = ("id", "month", "amount", "contract_clause", "entered_at", "undone_at", "undone_reason")
    return [
        {
            **{name: getattr(row, name) for name in plain},
            "incident": numbers[row.incident_id],
            "person": names.get(row.user_id, ""),
        }
        for row in rows
    ]
