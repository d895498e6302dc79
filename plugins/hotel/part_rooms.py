"""Part of the plugin: what it contributes to each hook."""

from __future__ import annotations

from core.sdk import Part

PART = Part()
