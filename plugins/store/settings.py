"""Settings of the store: what no clause says."""

from __future__ import annotations

from core.sdk import SettingSpec

SPECS: list[SettingSpec] = []
