"""WTForms built from ``Field`` lists. ``clean()`` is the one validation; WTForms only draws and guards (CSRF)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import request
from flask_babel import gettext as _
from flask_wtf import FlaskForm
from sqlalchemy.orm.exc import StaleDataError
from wtforms import (
    BooleanField,
    HiddenField,
    MultipleFileField,
    SelectChoice,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)

from core.kernel.database import transaction
from core.kernel.errors import AppError, Conflict, InvalidData, NotAllowed, NotFound
from core.kernel.fields import Field, clean

_WIDGETS: dict[str, Any] = {
    "text": StringField,
    "long": TextAreaField,
    "choice": SelectField,
    "many": SelectMultipleField,
    "int": StringField,
    "decimal": StringField,
    "bool": BooleanField,
    "date": StringField,
    "moment": StringField,
    "user": SelectField,
    "unit": SelectField,
    "customer": StringField,
    "photos": MultipleFileField,
    "signature": HiddenField,
}
# Before fields' names inside the form class: a field may be called "process", as a method of WTForms is.
_OWN = "own_"
_INPUT_TYPES = {"date": "date", "moment": "datetime-local"}
_MODES = {"int": "numeric", "decimal": "decimal"}


class FieldsForm(FlaskForm):
    """A form over a list of ``Field``. After ``validate_on_submit()`` the typed values are in ``cleaned``."""

    fields_: Sequence[Field] = ()
    timezone_ = "UTC"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cleaned: dict[str, Any] = {}
        self.problems: list[Any] = []

    def validate(self, extra_validators: Any = None) -> bool:
        """Check the request's token, then its values; the messages land beside their fields."""
        guarded = bool(super().validate(extra_validators))
        try:
            self.cleaned = clean(self.fields_, self.raw(), timezone=self.timezone_)
        except InvalidData as bad:
            self.show(bad)
            return False
        return guarded

    def raw(self) -> dict[str, Any]:
        """Return the submitted values as ``clean()`` wants them."""
        values: dict[str, Any] = {}
        for one in self.fields_:
            if one.kind == "photos":
                values[one.name] = [f for f in request.files.getlist(one.name) if f and f.filename]
            elif one.kind == "many":
                values[one.name] = request.form.getlist(one.name)
            else:
                values[one.name] = request.form.get(one.name)
        return values

    def show(self, bad: AppError | StaleDataError) -> None:
        """Put a service's messages beside the fields; those of no field go on top of the form."""
        if not isinstance(bad, InvalidData):
            self.problems.append(reason_text(bad))
            return
        for name, texts in bad.errors.items():
            if _OWN + name in self._fields:
                self._fields[_OWN + name].errors = [*self._fields[_OWN + name].errors, *texts]
            else:
                self.problems += texts

    def stale(self) -> bool:
        """Tell whether the request's token was missing or too old."""
        return "csrf_token" in self._fields and bool(self._fields["csrf_token"].errors)

    def visible(self) -> list[tuple[Field, Any]]:
        """Return (field data, WTForms field) pairs in order, for the template."""
        return [(one, self._fields[_OWN + one.name]) for one in self.fields_]


def reason_text(bad: AppError | StaleDataError) -> str:
    """Say in one line why something did not go through."""
    texts = [Conflict.title] if isinstance(bad, StaleDataError) else bad.texts()
    return _("; ").join(map(str, texts))


def went_through(form: FieldsForm, call: Callable[[], object]) -> bool:
    """Run a service in one transaction, if the form was sent and fits; the form says what is wrong.

    Raises:
        NotFound, NotAllowed: as the service; these are pages of their own.
    """
    if request.method != "POST" or not form.validate_on_submit():
        return False
    try:
        with transaction():
            call()
    except (NotFound, NotAllowed):
        raise
    except (AppError, StaleDataError) as bad:
        form.show(bad)
        return False
    return True


def form_from_fields(
    fields: Sequence[Field],
    values: Mapping[str, Any] | None = None,
    *,
    timezone: str = "UTC",
    fresh: bool = False,
) -> FieldsForm:
    """Build a form over ``fields``, filled with ``values`` (typed, moments aware) unless it was submitted.

    ``fresh``: show ``values`` even in a POST, which then was one of another form.
    """
    members: dict[str, Any] = {_OWN + one.name: _widget(one) for one in fields}
    cls = type("BuiltForm", (FieldsForm,), {**members, "fields_": tuple(fields), "timezone_": timezone})
    defaults = {one.name: one.default for one in fields if one.default is not None}
    given = {**defaults, **(values or {})}
    submitted: dict[str, Any] = {"formdata": None} if fresh else {}
    return cls(**submitted, data={_OWN + one.name: _shown(one, given.get(one.name), timezone) for one in fields})


def _widget(one: Field) -> Any:
    keywords: dict[str, Any] = {
        "name": one.name,
        "label": one.label,
        "description": one.help,
        "render_kw": _attributes(one),
    }
    if one.kind in ("choice", "many", "user", "unit"):
        keywords["choices"] = _choices(one)
        keywords["validate_choice"] = False
    return _WIDGETS[one.kind](**keywords)


def _choices(one: Field) -> list[SelectChoice]:
    listed = [SelectChoice(str(code), label) for code, label in one.choice_list()]
    return listed if one.kind == "many" else [SelectChoice("", ""), *listed]


def _attributes(one: Field) -> dict[str, Any]:
    attributes: dict[str, Any] = {"maxlength": one.max_length} if one.kind in ("text", "long") else {}
    if one.kind in _INPUT_TYPES:
        attributes["type"] = _INPUT_TYPES[one.kind]
    if one.kind in _MODES:
        attributes["inputmode"] = _MODES[one.kind]
    if one.required is True:
        attributes["aria-required"] = "true"
    if one.kind == "long":
        attributes["rows"] = one.options.get("rows", 3)
    return attributes | one.options.get("attributes", {})


def _shown(one: Field, value: Any, timezone: str) -> Any:
    if value is None:
        return [] if one.kind == "many" else (False if one.kind == "bool" else "")
    if isinstance(value, datetime):
        return value.astimezone(ZoneInfo(timezone)).strftime("%Y-%m-%dT%H:%M")
    if one.kind == "many":
        return [str(item) for item in value]
    return value if one.kind in ("bool", "photos") else str(value)
