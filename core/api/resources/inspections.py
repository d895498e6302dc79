"""Checklists, inspections (opened, answered, finished) and findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.inspections import checklists, opening
from core.inspections import services as inspections
from core.inspections.models import PUBLISHED, Checklist, ChecklistVersion, Finding, Inspection
from core.kernel.access import may
from core.kernel.database import fetch, session
from core.kernel.errors import InvalidData, NotFound
from core.kernel.extensions import ApiResource
from core.kernel.fields import Field
from core.places.models import Place
from core.records.models import Record

from .. import plugged
from ..operations import Body, Operation
from ..serving import Reply, body, matched, once
from ..shapes import Schema, Shape, out

READ, WRITE = "inspection.read", "inspection.write"
ACTIVE = Field("active", "bool", _l("In use"), default=True)
# The code of a use is checked by the service: which there are depends on the unit.
_CHECKLIST = tuple(
    Field(one.name, "text", one.label, one.required, max_length=one.max_length) for one in checklists.FIELDS
)
MOST_ANSWERS = 300


# --- checklists --------------------------------------------------------------------------------------


def _show_checklists(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    """One mapping per checklist with its newest published items, in one statement for all."""
    ids = [row.id for row in rows]
    of_them = ChecklistVersion.checklist_id.in_(ids)
    found = select(ChecklistVersion).where(of_them, ChecklistVersion.state == PUBLISHED)
    newest = {one.checklist_id: one for one in session().scalars(found.order_by(ChecklistVersion.number))}
    names = ("code", "title", "title_en", "use", "clause", "active")
    return [
        {
            **{name: getattr(row, name) for name in names},
            "published": newest[row.id].number if row.id in newest else None,
            "items": newest[row.id].items if row.id in newest else [],
        }
        for row in rows
    ]


def _create_checklist(unit_id: int, given: Mapping[str, Any]) -> Checklist:
    made = inspections.create_checklist(unit_id, given)
    if given.get("active") is False:
        inspections.set_active(made, False)
    return made


def _change_checklist(row: Checklist, given: Mapping[str, Any]) -> None:
    held = {one.name: getattr(row, one.name) for one in checklists.FIELDS}
    inspections.change_checklist(row, {**held, **{name: given[name] for name in held if name in given}})
    if given.get("active") is not None:
        inspections.set_active(row, bool(given["active"]))


CHECKLISTS = ApiResource(
    path="checklists",
    title=_l("Checklists"),
    model=Checklist,
    permission=inspections.VIEW,
    write_permission=inspections.MANAGE,
    read={
        **dict.fromkeys(("code", "title", "title_en", "use", "clause"), "string"),
        "active": "boolean",
        "published": "integer",
        "items": "objects",
    },
    show=_show_checklists,
    filters={"code": Checklist.code, "use": Checklist.use, "active": Checklist.active},
    fields=(*_CHECKLIST, ACTIVE),
    create=_create_checklist,
    change=_change_checklist,
)


# --- inspections -------------------------------------------------------------------------------------


def _show_inspections(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    """One mapping per inspection; codes of checklists and places in a statement each."""
    of_lists = select(Checklist.id, Checklist.code).where(Checklist.id.in_({row.checklist_id for row in rows}))
    of_places = select(Place.id, Place.code).where(Place.id.in_({row.place_id for row in rows if row.place_id}))
    codes = {row.id: row.code for row in session().execute(of_lists)}
    places = {row.id: row.code for row in session().execute(of_places)}
    names = (
        "subject",
        "subject_text",
        "clause",
        "starts_on",
        "due_on",
        "begun_at",
        "finished_at",
        "failed",
        "answers",
    )
    return [
        {
            **{name: getattr(row, name) for name in names},
            "uid": str(row.record.uid),
            "number": row.record.number,
            "state": row.record.state,
            "checklist": codes.get(row.checklist_id, ""),
            "place": places.get(row.place_id, ""),
            "score": row.score,
            "record_version": row.record.version,
        }
        for row in rows
    ]


INSPECTIONS = ApiResource(
    path="inspections",
    title=_l("Inspection rounds"),
    model=Inspection,
    permission=inspections.VIEW,
    write_permission=inspections.FILL,
    also="case.view",
    read={
        **dict.fromkeys(("number", "state", "checklist", "place", "subject", "subject_text", "clause"), "string"),
        "uid": "uid",
        "starts_on": "date",
        "due_on": "date",
        "begun_at": "moment",
        "finished_at": "moment",
        "failed": "integer",
        "score": "money",
        "answers": "object",
        "record_version": "integer",
    },
    show=_show_inspections,
    filters={
        "checklist_id": Inspection.checklist_id,
        "place_id": Inspection.place_id,
        "subject": Inspection.subject,
        "plan_id": Inspection.plan_id,
    },
    fields=opening.INTAKE,
    create=lambda unit_id, given: fetch(Inspection, inspections.register(unit_id, given).id),
)
SHAPE: Shape = {"id": "integer", **{name: f"{kind}?" for name, kind in INSPECTIONS.read.items()}}


def _one(key: object) -> Inspection:
    """Return an inspection the actor may see.

    Raises:
        NotFound: none, another unit's, or not for this actor.
    """
    row = inspections.get_inspection(key)
    if not may(inspections.VIEW, row.unit_id) and not may(inspections.FILL, row.unit_id):
        raise NotFound()
    return row


def answer(id: str) -> Reply:
    """Keep answers; with ``finish`` the inspection is finished."""
    row = _one(id)
    raw, finish = _answers(body()), body().get("finish") is True
    record: Record = row.record

    def act() -> Inspection:
        with matched(record.version) as version:
            if finish:
                inspections.finish(row.id, raw, version=version)
            else:
                inspections.save(row.id, raw, version=version)
        return row

    _row, replayed = once(row.unit_id, body(), act, lambda _ref: row, lambda made: made.id)
    session().refresh(row)
    session().refresh(record)
    return Reply(_shown(row), version=record.version, replayed=replayed)


def _shown(row: Inspection) -> dict[str, Any]:
    return {"id": row.id, **out(_show_inspections([row])[0])}


def _answers(given: Mapping[str, Any]) -> dict[str, str]:
    """Read the answers of a body.

    Raises:
        InvalidData: no object of texts and numbers, or names that mean nothing.
    """
    errors: dict[str, Any] = {
        name[:80]: _l("There is no such field") for name in given.keys() - {"answers", "finish"}
    }
    if not isinstance(given.get("finish", False), bool):
        errors["finish"] = _l("This must be true or false")
    answers = given.get("answers", {})
    if not isinstance(answers, Mapping) or len(answers) > MOST_ANSWERS:
        errors["answers"] = _l("This must be an object of texts and numbers")
    else:
        errors |= {
            str(name)[:80]: _l("This must be a text") for name, value in answers.items() if not _is_plain(value)
        }
    if errors:
        raise InvalidData(errors)
    return {str(name): "" if value is None else str(value) for name, value in answers.items()}


def _is_plain(value: Any) -> bool:
    return value is None or (isinstance(value, str | int | Decimal) and not isinstance(value, bool))


def _schema() -> Schema:
    return {
        "type": "object",
        "properties": {
            "answers": {
                "type": "object",
                "maxProperties": MOST_ANSWERS,
                "additionalProperties": {"type": ["string", "number", "null"]},
                "description": str(
                    _l("KEY: code, number or text; KEY.note: remark; KEY.file: id of a file of the record")
                ),
            },
            "finish": {"type": "boolean"},
        },
        "additionalProperties": False,
    }


# --- findings ----------------------------------------------------------------------------------------


def _show_findings(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    """One mapping per finding; places and opened records in a statement each."""
    of_places = select(Place.id, Place.code).where(Place.id.in_({row.place_id for row in rows if row.place_id}))
    places = {row.id: row.code for row in session().execute(of_places)}
    opened = {row.record_id for row in rows if row.record_id}
    records = {one.id: one.number for one in session().scalars(select(Record).where(Record.id.in_(opened)))}
    names = ("inspection_id", "item_key", "item", "item_en", "severity", "note", "found_at")
    return [
        {
            **{name: getattr(row, name) for name in names},
            "place": places.get(row.place_id, ""),
            "record": records.get(row.record_id, ""),
        }
        for row in rows
    ]


FINDINGS = ApiResource(
    path="findings",
    title=_l("Findings"),
    model=Finding,
    permission=inspections.VIEW,
    also="case.view",
    read={
        **dict.fromkeys(("item_key", "item", "item_en", "severity", "note", "place", "record"), "string"),
        "inspection_id": "integer",
        "found_at": "moment",
    },
    show=_show_findings,
    filters={
        "inspection_id": Finding.inspection_id,
        "place_id": Finding.place_id,
        "item_key": Finding.item_key,
        "severity": Finding.severity,
    },
)


def operations() -> list[Operation]:
    """Return the operations of checklists, inspections and findings."""
    found = [one for resource in (CHECKLISTS, INSPECTIONS, FINDINGS) for one in plugged.operations(resource)]
    found.append(
        Operation(
            "answer_inspection",
            "POST",
            "/inspections/{id}/answers",
            _l("Answer items, or finish"),
            _l("Inspection rounds"),
            answer,
            WRITE,
            SHAPE,
            body=Body(_schema, example={"answers": {"bed": "pass", "fridge": 4}, "finish": True}),
            versioned=True,
            guarded=True,
            keyed=True,
            help=_l("What is not named stays. A photo is uploaded to the record first and named by its id."),
        )
    )
    return found
