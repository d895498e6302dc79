"""Printed forms of hand-overs (工具领用清单, 借用记录, 交接单) and labels of tools."""

from __future__ import annotations

from core.sdk import PrintForm


def forms() -> list[PrintForm]:
    """Return the forms."""
    return []
