"""Maintenance, calibration, overhaul and repair of tools: what was done, and when the next one is due."""

from __future__ import annotations

from core.sdk import Transition

# Steps of a tool: ``maintain`` (fact cared_for), ``calibrate`` (calibrated).
TRANSITIONS: tuple[Transition, ...] = ()
