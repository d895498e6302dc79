"""Coverage decisions of records: gathers the situation, keeps the decision and its revisions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core.sdk import Record, Step

from .coverage import Situation


def situation_of(record: Record, values: Any, at: datetime) -> Situation:
    """Gather what a decision looks at, for a record with the form's input (cause, human_damage, part)."""
    raise NotImplementedError


def product_class_of(record: Record) -> str:
    """Return the class number (4.1 ...) of what a record is about, "" where it is not known."""
    raise NotImplementedError


def is_competitor(record: Record) -> bool:
    """Tell whether a record is about a competitor's product (R13-4.2, R19-4.4)."""
    raise NotImplementedError


def deemed_by(record: Record, at: datetime) -> str:
    """Return the clause under which a fault counts as admitted for want of an answer (R22-1.W1e), or ""."""
    raise NotImplementedError


def decide_step(step: Step) -> None:
    """Keep the decision; the earlier one stays as a row. Everything downstream follows the latest.

    Raises:
        InvalidData: revised or decided otherwise without a reason.
        NotAllowed: decided otherwise without ``warranty.overrule``.
    """
    raise NotImplementedError


def after_fact(record: Record, transition: str) -> None:
    """Something happened to a case: keep a deemed admission where an answer or arrival came too late."""
