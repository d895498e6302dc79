"""What a unit may set about what was sent."""

from __future__ import annotations

from decimal import Decimal

from flask_babel import lazy_gettext as _l

from core.kernel.fields import Field
from core.units.settings import SettingSpec, declare

KEEP_DAYS = "notice.keep_days"

declare(
    (
        SettingSpec(
            Field(
                KEEP_DAYS,
                "int",
                _l("Days that the log of sent messages is kept"),
                minimum=Decimal(7),
                maximum=Decimal(3650),
                default=180,
            ),
            _l("Notices"),
        ),
    )
)
