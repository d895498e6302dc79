"""What a unit may set about its cases."""

from __future__ import annotations

from decimal import Decimal

from flask_babel import lazy_gettext as _l

from core.kernel.fields import Field
from core.units.settings import SettingSpec, declare

SIGNATURE_RULES = (
    ("none", _l("Not needed")),
    ("signature", _l("Signature")),
    ("seal", _l("Signature and seal")),
)
_CASES = _l("Cases")

declare(
    (
        SettingSpec(
            Field(
                "case.backdate_days",
                "int",
                _l("Days back a request may be entered"),
                minimum=Decimal(0),
                maximum=Decimal(3650),
                default=30,
            ),
            _CASES,
        ),
        SettingSpec(
            Field(
                "case.silence_days",
                "int",
                _l("Days of silence that count as confirmation"),
                minimum=Decimal(1),
                maximum=Decimal(365),
                default=7,
                clause="R03-3.5",
            ),
            _CASES,
        ),
        SettingSpec(
            Field(
                "case.silence_confirms",
                "bool",
                _l("Confirm cases by silence without anybody's doing"),
                default=True,
                help=_l("When the days of silence are over; the rating stays empty"),
                clause="R03-3.5",
            ),
            _CASES,
        ),
        SettingSpec(
            Field(
                "case.signature_rule",
                "choice",
                _l("What the customer signs"),
                choices=SIGNATURE_RULES,
                default="none",
                clause="R10-2.5",
            ),
            _CASES,
        ),
    )
)
