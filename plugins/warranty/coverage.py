"""Whether a fault is covered: a pure decision from what is known, with the clause and the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from .values import WarrantyLine


@dataclass(frozen=True)
class Situation:
    """What a decision looks at. ``clauses`` are the parameter values of the clauses in force, by id."""

    day: date
    lines: Sequence[WarrantyLine] = ()
    cause: str = "quality"
    human_damage: bool = False
    part: str = ""
    product_class: str = ""
    is_competitor: bool = False
    deemed_by: str = ""  # the clause under which the fault counts as admitted, "" where none does
    clauses: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """The decision: one of ``values.RESULTS``, the clause it rests on, the line that covers, and why."""

    result: str
    clause: str
    line: WarrantyLine | None
    why: Any


def judge(situation: Situation) -> Verdict:
    """Decide (R13-5, R13-5.1, R13-5.1.1.1, R13-5.1.2, R07-6.1, R22-1.W1e ...).

    Deemed admission before all else; then competitor and class; then misuse; then the days.
    """
    raise NotImplementedError
