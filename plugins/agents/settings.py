"""What a unit may set about agents, where no clause's parameter says it."""

from __future__ import annotations

from decimal import Decimal

from flask_babel import lazy_gettext as _l

from core.sdk import Field, SettingSpec

GROUP = _l("Agents and settlement")
CONTRACT_WARN_DAYS = "agents.contract_warn_days"

SPECS = [
    SettingSpec(
        Field(
            CONTRACT_WARN_DAYS,
            "int",
            _l("Days before its end a contract is shown as ending"),
            minimum=Decimal(0),
            maximum=Decimal(365),
            default=60,
        ),
        GROUP,
    ),
]
