"""What checklists are for: declared by plugins (hook ``inspection_uses``), the core's own use is ''."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.records.models import Record

from .models import Finding, Inspection


@dataclass(frozen=True)
class InspectionUse:
    """A use of checklists (``hotel.room``). ``opens`` answers the record that a failed item opens, None for none;
    without it a case is opened. ``finished`` is called when an inspection is finished, in its transaction.
    """

    code: str
    title: Any
    opens: Callable[[Inspection, Finding], Record | None] | None = None
    finished: Callable[[Inspection], None] | None = None
    plugin: str = ""
