"""The unit's settings of tool custody, where no clause's parameter says it."""

from __future__ import annotations

from decimal import Decimal

from flask_babel import lazy_gettext as _l

from core.sdk import Field, SettingSpec

GROUP = _l("Tools")
REMIND_LEAD, REMIND_EVERY, REMIND_MOST = "tools.remind_lead", "tools.remind_every", "tools.remind_most"


def _whole(name: str, label: object, most: int, default: int, help_: object) -> SettingSpec:
    field = Field(name, "int", label, minimum=Decimal(0), maximum=Decimal(most), default=default, help=help_)
    return SettingSpec(field, GROUP)


SPECS: list[SettingSpec] = [
    _whole(
        REMIND_LEAD,
        _l("Days before a tool is due its holder is reminded"),
        60,
        1,
        _l("0: not before it is due"),
    ),
    _whole(
        REMIND_EVERY,
        _l("Days between reminders of an overdue tool"),
        60,
        1,
        _l("0: one reminder when it is overdue, not repeated"),
    ),
    _whole(
        REMIND_MOST,
        _l("At most so many reminders to bring one tool back"),
        50,
        5,
        _l("0: nobody is reminded; given more time, it is counted anew"),
    ),
]
