"""Checklists and their versions: one draft at most, what is published stays as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.exc import StaleDataError

from core.kernel import clock
from core.kernel.access import require
from core.kernel.database import current_scope, fetch, session, transaction
from core.kernel.errors import Conflict, InvalidData, NotFound
from core.kernel.fields import Field, clean

from .items import clean_items
from .models import DRAFT, PUBLISHED, Checklist, ChecklistVersion
from .uses import choices as use_choices

MANAGE = "inspection.manage"
_TAKEN = _l("This code is taken")
CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
FIELDS = (
    Field("code", "text", _l("Code"), True, max_length=40),
    Field("title", "text", _l("Name"), True, max_length=120),
    Field("title_en", "text", _l("The same in English"), max_length=120),
    Field("use", "choice", _l("What it is for")),
    Field("clause", "text", _l("Clause"), max_length=40),
)


def fields_of(unit_id: int) -> list[Field]:
    """Return the form of a checklist; its uses are those of the plugins that are on in the unit."""
    return [replace(one, choices=use_choices(unit_id)) if one.name == "use" else one for one in FIELDS]


def define(
    unit_id: int,
    code: str,
    title: str,
    use: str,
    items: Iterable[Mapping[str, Any]],
    *,
    title_en: str = "",
    clause: str = "",
) -> Checklist:
    """Create a checklist with its first version published; where the code is there already nothing changes.

    For plugins' ``unit_enabled`` and demonstrations: it asks no permission.

    Raises:
        InvalidData: items that are wrong.
    """
    found = checklist_of(unit_id, code)
    if found is not None:
        return found
    cleaned = clean_items(list(items))
    with transaction() as work:
        made = Checklist(unit_id=unit_id, code=code, title=title, title_en=title_en, use=use, clause=clause)
        work.add(made)
        work.flush()
        first = ChecklistVersion(unit_id=unit_id, checklist_id=made.id, number=1, items=cleaned, state=PUBLISHED)
        first.published_at, first.published_by = clock.now(), current_scope().actor_id
        work.add(first)
        work.flush()
        return made


def checklist_of(unit_id: int, code: str) -> Checklist | None:
    """Return a unit's checklist by its code."""
    found = select(Checklist).where(Checklist.unit_id == unit_id, Checklist.code == code)
    return session().scalars(found).first()


def get_checklist(raw_id: object) -> Checklist:
    """Fetch a checklist by an id from a request.

    Raises:
        NotFound: none, or another unit's.
    """
    return fetch(Checklist, raw_id)


def create_checklist(unit_id: int, raw: Mapping[str, Any]) -> Checklist:
    """Create a checklist without items.

    Raises:
        InvalidData: beside the fields; a code that is taken.
        NotAllowed: the actor may not keep checklists in the unit.
    """
    require(MANAGE, unit_id)
    with transaction() as work:
        values = _values(unit_id, raw, None)
        made = Checklist(unit_id=unit_id, **values)
        try:
            with work.begin_nested():
                work.add(made)
                work.flush()
        except IntegrityError:  # somebody else took the code since we looked
            raise InvalidData({"code": _TAKEN}) from None
        return made


def change_checklist(checklist: Checklist, raw: Mapping[str, Any], *, version: int | None = None) -> Checklist:
    """Change what a checklist is called and what it is for; its items have versions of their own.

    Raises:
        InvalidData, NotAllowed: as ``create_checklist``.
        Conflict: somebody else changed it since ``version``.
    """
    require(MANAGE, checklist.unit_id)
    with transaction():
        if version is not None and version != checklist.version:
            raise Conflict()
        for name, value in _values(checklist.unit_id, raw, checklist).items():
            setattr(checklist, name, value)
        _flush()
        return checklist


def set_active(checklist: Checklist, active: bool) -> None:
    """Take a checklist out of use, or back into it; inspections under way go on.

    Raises:
        NotAllowed: the actor may not keep checklists in the unit.
    """
    require(MANAGE, checklist.unit_id)
    with transaction():
        checklist.active = active
        _flush()


def _values(unit_id: int, raw: Mapping[str, Any], held: Checklist | None) -> dict[str, Any]:
    fields = fields_of(unit_id)
    if held is not None:
        raw = {**raw, "code": held.code}
        fields = [with_choice(one, held.use) if one.name == "use" else one for one in fields]
    values = {name: value or "" for name, value in clean(fields, raw).items()}
    if not CODE.fullmatch(values["code"]):
        raise InvalidData({"code": _l("Letters, digits, dot and - only, at most 40 characters")})
    if held is None and checklist_of(unit_id, values["code"]) is not None:
        raise InvalidData({"code": _TAKEN})
    return values


def with_choice(field: Field, code: str) -> Field:
    """A use whose plugin is off stays what it was."""
    return replace(field, choices=[*field.choice_list(), (code, code)])


# --- versions ------------------------------------------------------------------------------------


def published_version(checklist_id: int) -> ChecklistVersion | None:
    """Return the newest published version."""
    return session().scalars(_versions(checklist_id).where(ChecklistVersion.state == PUBLISHED).limit(1)).first()


def draft_of(checklist_id: int) -> ChecklistVersion | None:
    """Return the draft, if there is one."""
    return session().scalars(_versions(checklist_id).where(ChecklistVersion.state == DRAFT).limit(1)).first()


def versions_of(checklist_id: int) -> list[ChecklistVersion]:
    """Return all versions, the newest first."""
    return list(session().scalars(_versions(checklist_id)))


def _versions(checklist_id: int) -> Any:
    found = select(ChecklistVersion).where(ChecklistVersion.checklist_id == checklist_id)
    return found.order_by(ChecklistVersion.number.desc())


def save_draft(checklist: Checklist, items: object, *, version: int | None = None) -> ChecklistVersion:
    """Keep items as the draft of the next version.

    ``version`` is the draft's row version the editor was opened with (0: there was none).

    Raises:
        InvalidData: items that are wrong (``items.PLACE.PART``).
        NotAllowed: the actor may not keep checklists in the unit.
        Conflict: somebody else saved or published meanwhile.
    """
    require(MANAGE, checklist.unit_id)
    cleaned = clean_items(items)
    with transaction() as work:
        locked(checklist.id)
        draft = draft_of(checklist.id)
        if version is not None and version != (draft.version if draft else 0):
            raise Conflict()
        if draft is None:
            newest = work.scalar(
                select(func.max(ChecklistVersion.number)).where(ChecklistVersion.checklist_id == checklist.id)
            )
            draft = ChecklistVersion(
                unit_id=checklist.unit_id,
                checklist_id=checklist.id,
                number=(newest or 0) + 1,
                items=cleaned,
                state=DRAFT,
            )
            work.add(draft)
        else:
            draft.items = cleaned
        _flush()
        return draft


def publish(checklist: Checklist, *, version: int | None = None) -> ChecklistVersion:
    """Publish the draft: inspections begun from now on take it, those under way keep theirs.

    Raises:
        InvalidData: there is no draft, or it has no items.
        NotAllowed: the actor may not keep checklists in the unit.
        Conflict: the draft changed since ``version``.
    """
    require(MANAGE, checklist.unit_id)
    with transaction():
        locked(checklist.id)
        draft = draft_of(checklist.id)
        if draft is None:
            raise InvalidData({"items": _l("There is no draft to publish")})
        if version is not None and version != draft.version:
            raise Conflict()
        if not draft.items:
            raise InvalidData({"items": _l("A checklist needs at least one item")})
        draft.state = PUBLISHED
        draft.published_at, draft.published_by = clock.now(), current_scope().actor_id
        _flush()
        return draft


def drop_draft(checklist: Checklist) -> None:
    """Throw the draft away; nothing happens where there is none (any more).

    Raises:
        NotAllowed: the actor may not keep checklists in the unit.
    """
    require(MANAGE, checklist.unit_id)
    with transaction() as work:
        locked(checklist.id)
        draft = draft_of(checklist.id)
        if draft is not None:
            work.delete(draft)
            work.flush()


def locked(checklist_id: int) -> Checklist:
    """Lock a checklist's row: versions and inspections of it are made one after another.

    Raises:
        NotFound: none in the scope.
    """
    statement = select(Checklist).where(Checklist.id == checklist_id).with_for_update()
    found = session().scalars(statement.execution_options(populate_existing=True)).first()
    if found is None:
        raise NotFound()
    return found


def _flush() -> None:
    try:
        session().flush()
    except StaleDataError:
        raise Conflict() from None
