"""Settings of the hotel: what no clause says."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import Field, SettingSpec

GROUP = _l("Hotel")
DAY_ENDS = "hotel.day_ends"
DEEP_PER_DAY = "hotel.deep_per_day"
_HOURS = tuple((f"{hour:02d}:00", f"{hour:02d}:00") for hour in range(13))


def _whole(name: str, label: Any, most: int, default: int, help_: Any = "") -> SettingSpec:
    field = Field(name, "int", label, minimum=Decimal(0), maximum=Decimal(most), default=default, help=help_)
    return SettingSpec(field, GROUP)


SPECS: list[SettingSpec] = [
    SettingSpec(
        Field(
            DAY_ENDS,
            "choice",
            _l("The hotel day ends at"),
            True,
            _HOURS,
            default="06:00",
            help=_l("What happens in the night before belongs to the day before"),
        ),
        GROUP,
    ),
    _whole(
        DEEP_PER_DAY,
        _l("Deep cleanings a day, at most"),
        500,
        0,
        _l("0: as many as are needed to be done in time"),
    ),
]
