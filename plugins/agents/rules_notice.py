"""The clauses about telling an agent or partner before service (R18-5.1.2, R19-5.1.2).

Nobody is sent and nobody begins (``case.assign``, ``depart``, ``arrive``, ``start``; ``solve`` where the help is
given from afar) before whoever bears the case was told. What a notice needs stands in ``notices``.
"""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import GateRule, Rule, Step

from . import bearing, notices

CLAUSES = (bearing.AGENT_NOTICE, bearing.PARTNER_NOTICE)
STEPS = ("assign", "depart", "arrive", "start", "solve")
# Steps whose time may be typed: what was entered late is looked at by its own time, once the form is filled.
TIMED = ("depart", "arrive", "start", "solve")
_UNKNOWN = _l("Nobody knows yet who sold this item: name them, then tell them before somebody is sent")


def _untold(clause: str) -> Any:
    return lambda step, _values: why_not(step, clause)


def why_not(step: Step, clause: str) -> Any:
    """Return why a step waits for the notice that a clause wants, or None."""
    bearer = bearing.bearer_of(step.record, step.at)
    if bearer is None or not bearer.needs_notice or bearer.notice_clause != clause:
        return None
    return _UNKNOWN if bearer.agent is None else notices.why_not_told(step.record, bearer.agent, step.at)


def _gate(clause: str, step: str, *, needs_form: bool) -> GateRule:
    return GateRule(
        clause=clause,
        step=f"case.{step}",
        check=_untold(clause),
        code="agent_notice",
        needs_form=needs_form,
        inside=True,
    )


RULES: list[Rule] = [
    *(_gate(clause, step, needs_form=False) for clause in CLAUSES for step in STEPS),
    *(_gate(clause, step, needs_form=True) for clause in CLAUSES for step in TIMED),
]
