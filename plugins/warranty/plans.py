"""Plans: what was typed about the work, as the calculation reads it; and what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from core.sdk import Record

from .pricing import Basis
from .values import Plan, PricedLine


def read_plan(unit_id: int, values: Mapping[str, Any], at: datetime) -> Plan:
    """Read the cleaned input of ``workflow.PLAN_FIELDS``; parts get finance's price of the day.

    Raises:
        InvalidData: beside the field: an unreadable line of parts, a part finance has no price for (R17-3.5).
    """
    raise NotImplementedError


def basis_of(record: Record, at: datetime) -> Basis:
    """Gather what the calculation for a record rests on, by its present coverage decision."""
    raise NotImplementedError


def basis_versions(basis: Basis, plan: Plan) -> dict[str, Any]:
    """Return the prices a quote rests on, comparable: consent locks them, a change in between is noticed."""
    raise NotImplementedError


def lines_for(record: Record, values: Mapping[str, Any], at: datetime) -> list[PricedLine]:
    """Work out a plan for a record: what the steps ``warranty:quote`` and ``warranty:cost`` bring."""
    raise NotImplementedError
