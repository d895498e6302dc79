"""A unit's own table of warranty terms (保修期规定): read and written. Flushes, never commits."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import Choices, Field, InvalidData, clean, require, session
from plugins.products import services as products

from . import rights, values
from .models import Term

SOLD_CLASSES: Choices = products.fields.SOLD_CLASSES
# What a unit promises beside the clauses; the other scopes come of what happens, of contracts and of the law.
SCOPES: Choices = tuple(one for one in values.SCOPES if one[0] in (values.SET, values.KEY_PART))
_TEXTS = ("sold_class", "part", "note")


def term_fields(categories: Choices = (), models: Choices = ()) -> list[Field]:
    """Inputs of a term; ``categories`` and ``models`` are the unit's."""
    return [
        Field("name", "text", _l("Name"), required=True, max_length=100),
        Field("scope", "choice", _l("What is covered"), True, SCOPES, default=values.SET),
        Field("part", "text", _l("Key part"), max_length=60, help=_l("Empty: every key part of the model")),
        Field("months", "int", _l("Term (months)"), True, minimum=Decimal(1), maximum=Decimal(360), default=12),
        Field("start", "choice", _l("Counted from"), True, values.STARTS, default=values.PURCHASE),
        Field("action", "choice", _l("What is owed"), True, values.ACTIONS, default=values.REPAIR),
        Field("sold_class", "choice", _l("Product class"), choices=SOLD_CLASSES, help=_l("Empty: every class")),
        Field(
            "category_id", "choice", _l("Product category"), choices=categories, help=_l("Empty: every category")
        ),
        Field("model_id", "choice", _l("Model"), choices=models, help=_l("Empty: every model")),
        Field("valid_from", "date", _l("Valid from"), help=_l("For what begins on this day or later")),
        Field("valid_to", "date", _l("Valid until"), help=_l("For what begins on this day or earlier")),
        Field("note", "long", _l("Note"), max_length=1000),
        Field("active", "bool", _l("In use"), default=True),
    ]


def fields_for(unit_id: int, term: Term | None = None) -> list[Field]:
    """Return the inputs with the unit's categories and models, also those the term has that are out of use."""
    categories, models = list(products.category_choices(unit_id)), list(products.model_choices(unit_id))
    if term is not None:
        _keep(categories, term.category_id, term.category)
        _keep(models, term.model_id, term.model)
    return term_fields(categories, models)


def _keep(choices: list[tuple[str, Any]], key: int | None, row: Any) -> None:
    if key is not None and str(key) not in {code for code, _label in choices}:
        choices.append((str(key), str(row)))


def read_term(fields: list[Field], raw: Mapping[str, Any]) -> dict[str, Any]:
    """Check the input of a term.

    Raises:
        InvalidData: beside each field.
    """
    given = clean(fields, raw)
    if given["scope"] != values.KEY_PART and given["part"]:
        raise InvalidData({"part": _l("Only a term of key parts names a part")})
    if given["valid_from"] and given["valid_to"] and given["valid_to"] < given["valid_from"]:
        raise InvalidData({"valid_to": _l("This is before it begins")})
    for name in _TEXTS:
        given[name] = given[name] or ""
    for name in ("category_id", "model_id"):
        given[name] = int(given[name]) if given[name] else None
    return given


def save_term(unit_id: int, raw: Mapping[str, Any], term: Term | None = None) -> Term:
    """Create or change a term of a unit.

    Raises:
        NotAllowed, InvalidData: wrong input or a name that exists.
    """
    require(rights.TERMS, unit_id)
    given = read_term(fields_for(unit_id, term), raw)
    held = session().scalar(select(Term.id).where(Term.unit_id == unit_id, Term.name == given["name"]))
    if held is not None and (term is None or term.id != held):
        raise InvalidData({"name": _l("This already exists in this unit")})
    row = term or Term(unit_id=unit_id)
    for name, value in given.items():
        setattr(row, name, value)
    session().add(row)
    session().flush()
    session().expire(row, ["category", "model"])
    return row


def terms_named(unit_id: int, names: set[str]) -> dict[str, Term]:
    """Return the unit's terms of these names."""
    found = select(Term).where(Term.unit_id == unit_id, Term.name.in_(names))
    return {row.name: row for row in session().scalars(found)}
