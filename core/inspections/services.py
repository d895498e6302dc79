"""The room's services under one name, for plugins (``core.sdk.inspections``) and the doors."""

from __future__ import annotations

from .checklists import (
    change_checklist,
    checklist_of,
    create_checklist,
    define,
    draft_of,
    drop_draft,
    get_checklist,
    publish,
    published_version,
    save_draft,
    set_active,
    versions_of,
)
from .filling import begin, finish, save, skip
from .findings import findings_of, open_case
from .items import clean_items, in_words
from .opening import INSPECTION, maker, open_inspection, place_of, register
from .plans import change_plan, close_plan, create_plan, get_plan, open_due
from .reading import (
    Score,
    get_inspection,
    newest_of,
    of_place,
    open_findings,
    open_of_place,
    repeats,
    scores,
    scores_of_place,
)
from .workflow import FILL, MANAGE, VIEW, version_of

__all__ = [
    "FILL",
    "INSPECTION",
    "MANAGE",
    "VIEW",
    "Score",
    "begin",
    "change_checklist",
    "change_plan",
    "checklist_of",
    "clean_items",
    "close_plan",
    "create_checklist",
    "create_plan",
    "define",
    "draft_of",
    "drop_draft",
    "findings_of",
    "finish",
    "get_checklist",
    "get_inspection",
    "get_plan",
    "in_words",
    "maker",
    "newest_of",
    "of_place",
    "open_case",
    "open_due",
    "open_findings",
    "open_inspection",
    "open_of_place",
    "place_of",
    "publish",
    "published_version",
    "register",
    "repeats",
    "save",
    "save_draft",
    "scores",
    "scores_of_place",
    "set_active",
    "skip",
    "version_of",
    "versions_of",
]
