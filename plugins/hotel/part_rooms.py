"""Rooms, stays, cleaning: what this part of the plugin contributes to each hook."""

from __future__ import annotations

from core.sdk import Part

from . import cleaning_list, rules_rooms

PART = Part(
    rules=rules_rooms.RULES,
    jobs=cleaning_list.declared,
)
