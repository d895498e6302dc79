"""What the head of a unit's papers says; what is left empty is taken from the unit itself."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from core.kernel.fields import Field
from core.units.settings import SettingSpec, declare

_GROUP = _l("Printed documents")
_OR_UNIT = _l("Empty: as the unit has it")


def _text(name: str, label: object, most: int) -> SettingSpec:
    field = Field(f"documents.{name}", "text", label, max_length=most, default="", help=_OR_UNIT)
    return SettingSpec(field, _GROUP)


declare(
    (
        _text("company_name", _l("Company name on documents"), 100),
        _text("company_name_en", _l("Company name on English documents"), 100),
        _text("address", _l("Address on documents"), 200),
        _text("address_en", _l("Address on English documents"), 200),
        _text("phone", _l("Telephone on documents"), 60),
    )
)
