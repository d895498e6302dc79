"""The clauses about service contracts and plans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import GateRule, RecordRule, Rule, Step

from .contracts import CODE, people


def _says_nothing(step: Step, _values: Mapping[str, Any]) -> Any:
    """R10-3.1b: a contract that is signed says what service goes with it."""
    if (step.values.get("content") or "").strip():
        return None
    return _l("The contract does not say what service goes with it")


def _too_few(step: Step, values: Mapping[str, Any]) -> Any:
    """R22-1.7: engineers and service agents for quality tracking are named before the contract begins."""
    wanted = {"engineers": int(values["engineers"]), "agents": int(values["agents"])}
    if all(len(people(step.values.get(name))) >= count for name, count in wanted.items()):
        return None
    return _l(
        "Name at least %(engineers)d engineers and %(agents)d service agents for quality tracking",
        engineers=wanted["engineers"],
        agents=wanted["agents"],
    )


RULES: list[Rule] = [
    RecordRule(
        clause="R22-0.1",
        step=f"{CODE}.sign",
        fields=("content", "form", "free_months", "solve_within", "repairer", "place"),
    ),
    RecordRule(clause="R22-0.2", step=f"{CODE}.sign", fields=("training", "extras")),
    GateRule(clause="R10-3.1b", step=f"{CODE}.sign", check=_says_nothing, code="no_service", needs_form=True),
    GateRule(clause="R22-1.7", step=f"{CODE}.start", check=_too_few, code="too_few", needs_form=True),
]
