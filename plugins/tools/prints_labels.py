"""The label on a tool: its number, what it is, its store, and a QR that leads to its page (R32-3.2, R35-4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import PrintForm, Record, detail_of

from . import custody, flow, kinds, values
from .parties import party_name
from .rights import VIEW


def tool_label(record: Record) -> Mapping[str, Any]:
    """Return what stands on the label: of the holder, the name on a tool of a personal set."""
    tool = detail_of(record)
    held = custody.spell(tool.id)
    lines = [tool.name]
    if held is not None and held.party.kind in (values.STORE, values.PERSON):
        lines.append(str(party_name(held.party)))
    return {"number": tool.code, "kind": kinds.kind_label(tool.kind), "lines": lines}


def forms() -> list[PrintForm]:
    """Return the labels."""
    return [
        PrintForm(
            code="tools.tool",
            title=_l("Label of a tool: number, name, store, QR"),
            subject=flow.CODE,
            template="",
            data=tool_label,
            permission=VIEW,
            label=True,
        )
    ]
