"""What is open with a person who leaves a unit or changes post: the core's own records, and what plugins add."""

from __future__ import annotations

from flask_babel import gettext as _
from sqlalchemy import func, select

from core.kernel.database import session
from core.kernel.extensions import OpenItem
from core.kernel.hooks import hooks_for
from core.records.models import OPEN_CATEGORIES, Record
from core.records.types import record_type
from core.units.models import Unit
from core.units.switches import enabled_plugins


def open_items(unit_id: int, user_id: int) -> list[tuple[str, OpenItem]]:
    """Return what a person still holds or owes in a unit, as (plugin, item); '' for the core's own.

    The core's: open records in the person's name, a line for each type. It asks no permission.
    """
    mine = select(Record.type, func.count()).where(
        Record.unit_id == unit_id, Record.assignee_id == user_id, Record.category.in_(OPEN_CATEGORIES)
    )
    found = [("", _assigned(code, count)) for code, count in session().execute(mine.group_by(Record.type))]
    unit = session().get_one(Unit, unit_id)
    told = hooks_for(enabled_plugins(unit_id)).leaving(unit=unit, user_id=user_id)
    return found + [(plugin, item) for plugin, items in told for item in items]


def _assigned(code: str, count: int) -> OpenItem:
    kind = record_type(code)
    return OpenItem(_("%(count)d open in their name: %(kind)s", count=count, kind=kind.title if kind else code))
