"""What checklists are for: declared by plugins (hook ``inspection_uses``), the core's own use is ''."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

from flask import Flask, current_app

from core.kernel.fields import Choices
from core.records.models import Record
from core.units.switches import enabled_plugins

from .models import Finding, Inspection

EXTENSION = "inspection_uses"


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


def register(app: Flask, declared: Iterable[InspectionUse]) -> None:
    """Keep the uses that plugins declare.

    Raises:
        ValueError: a code stands twice or does not begin with its plugin's name.
    """
    found: dict[str, InspectionUse] = {}
    for one in declared:
        if one.code in found:
            raise ValueError(f"inspection use {one.code} is declared twice")
        if not one.code.startswith(f"{one.plugin}."):
            raise ValueError(f"inspection use {one.code} must begin with {one.plugin}.")
        found[one.code] = one
    app.extensions[EXTENSION] = found


def _all() -> dict[str, InspectionUse]:
    return cast(dict[str, InspectionUse], current_app.extensions[EXTENSION])


def use_of(code: str, unit_id: int) -> InspectionUse | None:
    """Return the use of a code, where its plugin is on in the unit."""
    found = _all().get(code)
    return found if found is not None and found.plugin in enabled_plugins(unit_id) else None


def choices(unit_id: int) -> Choices:
    """Return the uses there are in a unit, as (code, title)."""
    enabled = enabled_plugins(unit_id)
    return [(one.code, one.title) for one in _all().values() if one.plugin in enabled]


def title_of(code: str) -> Any:
    """Return what a use is called, also where its plugin is off; the code where it is not installed."""
    found = _all().get(code)
    return found.title if found else code
