"""The file: kinds, sets, stores, places, and tools as they are registered and accepted."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from core.sdk import RecordType

from . import flow
from .models import Tool

TYPE = RecordType(flow.CODE, _l("Tool"), "GJ", Tool, flow.WORKFLOW)


def set_up(unit_id: int) -> None:
    """Give a unit its first store and the standard kinds and set (R35-1); again, it changes nothing."""
