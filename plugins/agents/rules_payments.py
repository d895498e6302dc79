"""The clause about offsetting what both sides owe."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import GateRule, Rule

from . import payments


def _agreed(offset: Any, _values: Any) -> Any:
    """DL-4: both amounts stand gross, unless a contract in force agrees that they are offset."""
    if offset.netting:
        return None
    return _l("No contract in force on that day says that amounts are offset")


RULES: list[Rule] = [GateRule(clause="DL-4", step=payments.OFFSET_STEP, check=_agreed, code="no_netting")]
