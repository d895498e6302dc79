"""Catering, meetings, shifts and facilities: what this part of the plugin contributes to each hook."""

from __future__ import annotations

from core.sdk import Part

from . import food, meetings, rules_service, samples, shifts

PART = Part(
    record_types=(food.TYPE, meetings.TYPE, shifts.TYPE),
    rules=rules_service.RULES,
    jobs=samples.declared,
)
