"""What open records say to switching their plugin off."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select

from core.kernel.database import session
from core.kernel.extensions import Blocker

from .models import OPEN_CATEGORIES, Record
from .types import record_types


def blockers(unit_id: int, plugin: str) -> list[Blocker]:
    """Return a warning for open records of the plugin's types, and a fatal one for records in its states."""
    types = [kind.code for kind in record_types() if kind.plugin == plugin]
    owned = _count(unit_id, Record.type.in_(types)) if types else 0
    standing = _count(unit_id, Record.state.startswith(f"{plugin}:", autoescape=True), Record.type.not_in(types))
    found = []
    if owned:
        found.append(
            Blocker(_l("%(count)d open records belong to it; they stay as they are meanwhile", count=owned))
        )
    if standing:
        text = _l(
            "%(count)d records stand in a state that only this plugin can leave; move them on first", count=standing
        )
        found.append(Blocker(text, fatal=True))
    return found


def _count(unit_id: int, *conditions: object) -> int:
    wanted = select(func.count(Record.id)).where(
        Record.unit_id == unit_id,
        Record.category.in_(OPEN_CATEGORIES),
        *conditions,  # type: ignore[arg-type]
    )
    return session().scalar(wanted) or 0
