"""What the screens of the file have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from flask import g, url_for
from flask_babel import lazy_gettext as _l

from core.sdk import (
    Choices,
    Field,
    InvalidData,
    Refused,
)
from core.sdk_web import (
    QuickFilter,
    UnitModelView,
)

from . import forms, holders
from .rights import KEEP, VIEW

PLUGIN = "tools"


def store_choices() -> Choices:
    """Return the unit's stores in use as (id, name)."""
    return holders.store_choices(g.unit.id)


def chosen(field: Field, choices: Choices, **more: Any) -> Field:
    """Return a field as a choice on a form."""
    return replace(field, kind="choice", choices=choices, **more)


def with_chosen(fields: Sequence[Field], offered: Mapping[str, Choices]) -> list[Field]:
    """Return fields of which those that are ``offered`` choices are chosen from them."""
    return [chosen(one, offered[one.name]) if one.name in offered else one for one in fields]


def also(choices: Choices, one: tuple[str, Any]) -> Choices:
    """Return choices with what a row has now, though it is not offered to others any more."""
    return choices if one[0] in dict(choices) else [*choices, one]


def use_badge(row: Any) -> tuple[Any, str]:
    """Return (label, tone) of whether something is in use."""
    return (_l("In use"), "good") if row.active else (_l("No longer used"), "neutral")


def in_use(column: Any) -> tuple[QuickFilter, QuickFilter]:
    """Return the filters for what is in use and what no longer is."""
    return (
        QuickFilter("active", _l("In use"), lambda s, _c: s.where(column)),
        QuickFilter("ended", _l("No longer used"), lambda s, _c: s.where(~column)),
    )


def details_url(endpoint: str, row: Any) -> str:
    """Return the address of a row's page."""
    return url_for(f"{endpoint}.details_view", id=row.id)


class FileView(UnitModelView):
    """A list of the file whose rows are put out of use by the form."""

    plugin = PLUGIN
    permission = VIEW
    create_permission = KEEP
    edit_permission = KEEP
    export_permission = VIEW

    def with_active(self, fields: Sequence[Field], row: Any | None) -> Sequence[Field]:
        return fields if row is None else (*fields, forms.ACTIVE)

    def saved(self, row: Any, values: dict[str, Any]) -> None:
        """Call the service that saves ``row``."""
        raise NotImplementedError

    def update(self, row: Any, values: dict[str, Any]) -> None:
        try:
            self.saved(row, values)
        except Refused as bad:
            raise InvalidData({"active": bad.texts()}) from None
