"""The clauses about loss, damage, breaches and what they cost.

What a tool costs is worked out in ``compensation`` and put before the clause's position and the person in
``judging``: one clause at a time, so nobody pays twice for the same tool. A breach is answered by one penalty
proposal: of R32-6.2 where somebody lent privately and it holds, else of R33-10.1, which also answers late returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import DeadlineRule, PenaltyRule, RoutingRule, Rule, ServiceRule

from . import compensation, deductions, judging, values
from .incidents import CODE
from .rules_custody import gate

_FAULTS = frozenset({values.DEFECT, values.DAMAGE})
_INCIDENT = _l("Incident")
# The texts punish a late return as any other breach (R33-10): where both hold, it is proposed by itself.
LATE_RETURN = ("R33-4.2", "R33-6.2")
# Whose amount the clause leaves open: decided case by case, with the reason. Lending is found by a judgement.
_BREACHES: tuple[Rule, ...] = (
    PenaltyRule(clause=judging.LENDING, broken=()),
    PenaltyRule(clause=judging.BREACHES, broken=LATE_RETURN),
)
_COMPENSATION: tuple[Rule, ...] = tuple(
    ServiceRule(
        clause=one, does="penalty", place="tools.judging", words=(_INCIDENT, _l("What it costs who answers"))
    )
    for one in compensation.CLAUSES
)


def _fault(clause: str, start: str, meet: tuple[str, ...]) -> DeadlineRule:
    """A fault is reported, and then dealt with, by the end of a working day or what the unit set."""
    return DeadlineRule(
        clause=clause,
        record_type=CODE,
        start=(start,),
        meet=meet,
        stop=("cancelled", "found"),
        pause=(),
        resume=(),
        reads=("kind",),
        applies=lambda read: read["kind"] in _FAULTS,
    )


def _who_mends(read: Mapping[str, Any], said: Mapping[str, Any]) -> str:
    """R32-5.3: the engineering supervisor records what is defective and settles it."""
    return str(said["position"]) if read["kind"] in _FAULTS else ""


def _superior(read: Mapping[str, Any], said: Mapping[str, Any]) -> Sequence[str]:
    """R32-7.1: the superior is told of an accident at once."""
    return [str(said["tells"])] if read["kind"] == values.ACCIDENT and said["tells"] else []


_DEADLINES: tuple[Rule, ...] = (
    DeadlineRule(
        clause="R32-7.1",
        record_type=CODE,
        start=("occurred",),
        meet=("reported",),
        pause=(),
        resume=(),
        reads=("kind",),
        applies=lambda read: read["kind"] == values.ACCIDENT,
    ),
    _fault("R33-3.3", "occurred", ("reported",)),
    _fault("R33-7.2", "reported", ("judged", "repaired", "closed")),
)
RULES: list[Rule] = [
    *_BREACHES,
    *_COMPENSATION,
    *_DEADLINES,
    *(
        ServiceRule(clause=one, does="record", place="tools.incidents", words=(_INCIDENT, _l("Defect report")))
        for one in ("R33-3.3", "R33-7.2")
    ),
    RoutingRule(clause="R32-5.3", step=f"{CODE}.register", reads=("kind",), position=_who_mends),
    RoutingRule(clause="R32-7.1", step=f"{CODE}.register", reads=("kind",), tells=_superior),
    gate("GJ-3", judging.CHARGE, judging.unconfirmed, "unconfirmed"),
    gate("GJ-2", deductions.STEP, deductions.against, "deduction"),
]
