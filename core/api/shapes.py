"""What goes in and out as data: shapes of answers, forms as JSON Schema, and the check of JSON types.

A shape maps names to kinds: string, integer, number, money, boolean, date, moment, uid, object (``?`` behind it:
may be null), ``#`` and the name of a shared shape, a list of one kind, or another shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from flask_babel import lazy_gettext as _l

from core.kernel.errors import InvalidData
from core.kernel.fields import Field

Kind = Any  # str, a list of one kind, or a shape
Shape = Mapping[str, Kind]
Schema = dict[str, Any]

_MONEY = r"^-?[0-9]+(\.[0-9]{1,4})?$"
_SCHEMAS: Mapping[str, Schema] = {
    "string": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "money": {"type": "string", "pattern": _MONEY, "description": "Yuan, as text so that no cent is lost"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "moment": {"type": "string", "format": "date-time"},
    "uid": {"type": "string", "format": "uuid"},
    "object": {"type": "object"},
    "objects": {"type": "array", "items": {"type": "object"}},
    "any": {},
}
# Kinds of fields that JSON has no way to send: files go by their own operation.
NOT_SENT = ("photos", "signature")
_UUID_LENGTH = 36


def shape_schema(shape: Kind) -> Schema:
    """Return the JSON Schema of a kind. Nothing is required: ``fields`` may leave out anything."""
    if isinstance(shape, Mapping):
        properties = {name: shape_schema(kind) for name, kind in shape.items()}
        return {"type": "object", "properties": properties, "additionalProperties": False}
    if isinstance(shape, list):
        return {"type": "array", "items": shape_schema(shape[0])}
    if shape.startswith("#"):
        return {"$ref": f"#/components/schemas/{shape[1:]}"}
    return nullable(_SCHEMAS[shape[:-1]]) if shape.endswith("?") else dict(_SCHEMAS[shape])


def nullable(schema: Schema) -> Schema:
    """Return a schema that takes null as well."""
    if "type" not in schema:
        return {"anyOf": [schema, {"type": "null"}]} if schema else {}
    found = {**schema, "type": [schema["type"], "null"]}
    return {**found, "enum": [*found["enum"], None]} if "enum" in found else found


def out(value: Any) -> Any:
    """Turn one value of a row into what JSON holds: moments with Z, money and other decimals as text."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal | UUID):
        return str(value)
    if isinstance(value, Mapping):
        return {str(name): out(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [out(one) for one in value]
    return str(value)


# --- forms -----------------------------------------------------------------------------------------


def sendable(fields: Iterable[Field]) -> list[Field]:
    """Return the fields of a form that JSON can carry."""
    return [one for one in fields if one.kind not in NOT_SENT]


def form_schema(
    fields: Iterable[Field], *, partial: bool = False, more: Mapping[str, Schema] | None = None
) -> Schema:
    """Return the JSON Schema of a form. ``partial``: of a change, where everything may be left out."""
    shown = sendable(fields)
    schema: Schema = {
        "type": "object",
        "properties": {**{one.name: field_schema(one) for one in shown}, **(more or {})},
        "additionalProperties": False,
    }
    needed = [one.name for one in shown if one.required is True and one.default is None]
    return schema if partial or not needed else {**schema, "required": needed}


def field_schema(one: Field) -> Schema:
    """Return the JSON Schema of one input."""
    schema: Schema = {**_field_type(one), "title": str(one.label)}
    if one.required is not True:
        schema = nullable(schema)
    said = [str(one.help)] if one.help else []
    if one.clause:
        schema["x-clause"] = one.clause
    if callable(one.required):
        said.append(str(_l("Needed in some cases")))
    if one.default is not None and isinstance(one.default, str | int | bool):
        schema["default"] = one.default
    return {**schema, "description": " · ".join(said)} if said else schema


def _field_type(one: Field) -> Schema:
    if one.kind in ("text", "long"):
        least = {"minLength": 1} if one.required is True else {}
        return {"type": "string", **least, "maxLength": one.max_length}
    if one.kind == "choice":
        return {"type": "string", **_enum(one)}
    if one.kind == "many":
        return {"type": "array", "items": {"type": "string", **_enum(one)}}
    if one.kind == "int":
        return {"type": "integer", **_bounds(one)}
    if one.kind == "decimal":
        return {"type": "number", **_bounds(one)}
    return dict(_PLAIN_FIELDS[one.kind])


_PLAIN_FIELDS: Mapping[str, Schema] = {
    "bool": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "moment": {"type": "string", "format": "date-time"},
    "user": {"type": "integer", "minimum": 1},
    "customer": {"type": "string", "format": "uuid"},
    "unit": {"type": "string", "maxLength": 40},
}


def _enum(one: Field) -> Schema:
    # Choices of a unit (its staff, its models) are not the same for everybody, so they are not written down.
    return {} if callable(one.choices) or not one.choices else {"enum": [str(code) for code, _label in one.choices]}


def _bounds(one: Field) -> Schema:
    found = {"minimum": one.minimum, "maximum": one.maximum}
    return {
        name: int(value) if value == int(value) else float(value)
        for name, value in found.items()
        if value is not None
    }


_WRONG: Mapping[str, Any] = {
    "text": _l("This must be a text"),
    "number": _l("Please enter a number"),
    "bool": _l("This must be true or false"),
    "list": _l("This must be a list of texts"),
    "uid": _l("This must be the uid of a customer"),
}


def typed(fields: Sequence[Field], body: Mapping[str, Any], *, more: Sequence[str] = ()) -> dict[str, Any]:
    """Check the JSON types of a form's input and that every name is known; what it means its service checks.

    Raises:
        InvalidData: with a message per name.
    """
    known = {one.name: one for one in sendable(fields)}
    errors: dict[str, Any] = {}
    for name, value in body.items():
        if name in more:
            continue
        one = known.get(name)
        if one is None:
            errors[name[:80]] = _l("There is no such field")
        elif value is not None and (wrong := _wrong_type(one.kind, value)):
            errors[name] = _WRONG[wrong]
    if errors:
        raise InvalidData(errors)
    return {name: value for name, value in body.items() if value is not None}


def with_defaults(fields: Iterable[Field], given: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in what a form would have shown filled in already, for what is new."""
    usual = {one.name: one.default for one in sendable(fields) if one.default is not None}
    return {**usual, **given}


def _wrong_type(kind: str, value: Any) -> str:
    if kind == "bool":
        return "" if isinstance(value, bool) else "bool"
    if kind in ("int", "decimal", "user"):
        return "" if isinstance(value, int | Decimal) and not isinstance(value, bool) else "number"
    if kind == "many":
        return "" if isinstance(value, list) and all(isinstance(one, str) for one in value) else "list"
    if kind == "customer":
        return "" if read_uid(value) else "uid"
    return "" if isinstance(value, str) else "text"


def read_uid(raw: object) -> UUID | None:
    """Read a uid in its one written form; anything else is None."""
    if not isinstance(raw, str) or len(raw) != _UUID_LENGTH or not raw.isascii():
        return None
    try:
        found = UUID(raw)
    except ValueError:
        return None
    return found if str(found) == raw.lower() else None
