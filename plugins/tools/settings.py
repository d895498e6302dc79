"""The unit's settings of tool custody."""

from __future__ import annotations

from core.sdk import SettingSpec

SPECS: list[SettingSpec] = []
