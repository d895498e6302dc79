"""What a unit may set about warranty and fees, where no clause's parameter says it."""

from __future__ import annotations

from decimal import Decimal

from flask_babel import lazy_gettext as _l

from core.sdk import Choices, Field, SettingSpec

from . import values

GROUP = _l("Warranty and fees")
POLICY, START, REPAIRED_COVER, VARIANT = (
    "charge.policy",
    "warranty.start",
    "warranty.repaired_cover",
    "tender.variant",
)
QUOTE_DAYS, ROUNDING_MOST = "warranty.quote_days", "warranty.rounding_most"
ENDING_DAYS, TAX_RATE = "warranty.ending_days", "warranty.tax_rate"
REMAINDER, FULL_RESTART = "remainder", "full_restart"
COVERS: Choices = (
    (REMAINDER, _l("What is left of the term, at least the clause's days")),
    (FULL_RESTART, _l("A whole new term for the part")),
)
# Which of two promises of the tender texts counts (E13).
VARIANTS: Choices = (("W", _l("Variant W: half an hour")), ("R", _l("Variant R: three minutes")))

SPECS = [
    SettingSpec(
        Field("charge.policy", "choice", _l("Who pays for service"), choices=values.POLICIES, default=values.AUTO),
        GROUP,
    ),
    SettingSpec(
        Field(START, "choice", _l("A warranty begins with"), choices=values.STARTS, default=values.PURCHASE), GROUP
    ),
    SettingSpec(
        Field(
            REPAIRED_COVER,
            "choice",
            _l("Cover after a repair"),
            choices=COVERS,
            default=REMAINDER,
            clause="R07-7.1",
        ),
        GROUP,
    ),
    SettingSpec(
        Field(VARIANT, "choice", _l("Answer promised in tenders"), choices=VARIANTS, default="R"),
        GROUP,
    ),
    SettingSpec(
        Field(
            QUOTE_DAYS,
            "int",
            _l("Days a quote is valid"),
            minimum=Decimal(1),
            maximum=Decimal(365),
            default=15,
        ),
        GROUP,
    ),
    SettingSpec(
        Field(
            ENDING_DAYS,
            "int",
            _l("Days before its end a warranty is shown as ending"),
            minimum=Decimal(0),
            maximum=Decimal(365),
            default=30,
        ),
        GROUP,
    ),
    SettingSpec(
        Field(
            ROUNDING_MOST,
            "decimal",
            _l("Most that may be rounded off a payment (yuan)"),
            minimum=Decimal(0),
            maximum=Decimal(100),
            default=Decimal("1.00"),
        ),
        GROUP,
    ),
    SettingSpec(
        Field(
            TAX_RATE,
            "decimal",
            _l("Usual tax rate of invoices (percent)"),
            minimum=Decimal(0),
            maximum=Decimal(30),
            default=Decimal("13.00"),
        ),
        GROUP,
    ),
]
