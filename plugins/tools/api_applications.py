"""API: applications, clearances and reminders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from core.sdk import ApiResource, Record, session

from . import applications, clearance
from .models import Application, Clearance, Custody, Reminder
from .rights import CLEAR, OWN, VIEW


def resources() -> list[ApiResource]:
    """Return the collections."""
    return [_applications(), _clearances(), _reminders()]


def _heads(rows: Sequence[Any]) -> dict[int, Record]:
    wanted = select(Record).where(Record.id.in_([row.id for row in rows]))
    return {one.id: one for one in session().scalars(wanted)}


def _applications() -> ApiResource:
    return ApiResource(
        path="applications",
        title=_l("Applications for tools"),
        model=Application,
        permission=VIEW,
        write_permission=OWN,
        read={
            "id": "integer",
            "number": "string",
            "state": "string",
            "kind": "string",
            "clause": "string",
            "user_id": "integer",
            "user": "string",
            "kind_of_tool": "string",
            "tool": "string",
            "quantity": "integer",
            "fulfilled": "integer",
            "due_at": "moment",
            "to_user_id": "integer",
            "reason": "string",
        },
        show=_show_applications,
        filters={"kind": Application.kind, "user_id": Application.user_id},
        fields=applications.FIELDS,
        create=_apply,
        own=lambda user_id: Application.user_id == user_id,
    )


def _show_applications(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    keys = [row.id for row in rows]
    whole = joinedload(Application.kind_of_tool), joinedload(Application.user), joinedload(Application.tool)
    found = select(Application).where(Application.id.in_(keys)).options(*whole)
    full, heads = {one.id: one for one in session().scalars(found)}, _heads(rows)
    return [_application(full[key], heads[key]) for key in keys]


def _application(row: Application, head: Record) -> dict[str, Any]:
    plain = ("id", "kind", "clause", "user_id", "quantity", "fulfilled", "due_at", "to_user_id", "reason")
    return {
        **{name: getattr(row, name) for name in plain},
        "number": head.number,
        "state": head.state,
        "user": row.user.name,
        "kind_of_tool": row.kind_of_tool.code,
        "tool": row.tool.code if row.tool is not None else None,
    }


def _apply(unit_id: int, given: Mapping[str, Any]) -> Application:
    return session().get_one(Application, applications.register(unit_id, given).id)


def _clearances() -> ApiResource:
    return ApiResource(
        path="clearances",
        title=_l("Tool clearances"),
        model=Clearance,
        permission=VIEW,
        write_permission=CLEAR,
        read={
            "id": "integer",
            "number": "string",
            "state": "string",
            "kind": "string",
            "user_id": "integer",
            "successor_id": "integer",
            "last_day": "date",
            "note": "string",
        },
        show=_show_clearances,
        filters={"kind": Clearance.kind, "user_id": Clearance.user_id},
        fields=clearance.FIELDS,
        create=_begin,
    )


def _show_clearances(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    plain, heads = ("id", "kind", "user_id", "successor_id", "last_day", "note"), _heads(rows)
    return [
        {
            **{name: getattr(row, name) for name in plain},
            "number": heads[row.id].number,
            "state": heads[row.id].state,
        }
        for row in rows
    ]


def _begin(unit_id: int, given: Mapping[str, Any]) -> Clearance:
    return session().get_one(Clearance, clearance.begin(unit_id, given).id)


def _reminders() -> ApiResource:
    return ApiResource(
        path="reminders",
        title=_l("Reminders sent"),
        model=Reminder,
        permission=VIEW,
        read={
            "id": "integer",
            "tool": "string",
            "to": "string",
            "number": "integer",
            "sent_at": "moment",
            "due_at": "moment",
        },
        show=_show_reminders,
        filters={"number": Reminder.number},
    )


def _show_reminders(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    ids = [row.custody_id for row in rows]
    spells = select(Custody).where(Custody.id.in_(ids)).options(joinedload(Custody.tool))
    codes = {one.id: one.tool.code for one in session().scalars(spells)}
    plain = ("id", "to", "number", "sent_at", "due_at")
    return [{**{name: getattr(row, name) for name in plain}, "tool": codes[row.custody_id]} for row in rows]
