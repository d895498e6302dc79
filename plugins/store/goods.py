"""What the store knows of a product beyond the product file: bar code, shelf life, when to order again.

Products are found by what a scan gun or a person types: bar code or model code. Services flush, never commit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select

from core.sdk import (
    Choices,
    Field,
    InvalidData,
    clean,
    fetch,
    normalise,
    require,
    session,
    transaction,
)
from plugins.products import services as products

from .models import Product, Supplier
from .rights import BUY

MOST_DAYS = 36_500
MOST_PIECES = 1_000_000
CHUNK = 500
_NUMBERS = re.compile(r"[\s-]+")
BAD_BARCODE = _l("This is not a valid bar code: the check digit does not fit (EAN-8, EAN-13, UPC)")
_PIECES: dict[str, Any] = {"minimum": Decimal(0), "maximum": Decimal(MOST_PIECES)}
FIELDS = (
    Field("barcode", "text", _l("Bar code"), max_length=40, help=_l("8, 12, 13 or 14 digits, as printed")),
    Field("measure", "text", _l("Counted in"), max_length=10),
    Field(
        "shelf_days",
        "int",
        _l("Shelf life (days)"),
        minimum=Decimal(1),
        maximum=Decimal(MOST_DAYS),
        help=_l("Leave empty for goods without a shelf life"),
    ),
    Field("dated", "bool", _l("Each batch needs its dates"), help=_l("Goods with a shelf life always do")),
    Field("reorder_at", "int", _l("Order again at"), help=_l("Pieces in stock"), **_PIECES),
    Field("reorder_to", "int", _l("Order up to"), help=_l("Pieces in stock"), **_PIECES),
    Field("supplier_id", "choice", _l("Usual supplier")),
    Field("active", "bool", _l("In use"), default=True),
)


def fields_for(unit_id: int, product: Product | None = None) -> list[Field]:
    """Return the fields of a product sheet with the unit's models and suppliers to choose from."""
    rest = [_with_suppliers(one, unit_id, product) for one in FIELDS]
    if product is not None:
        return rest
    return [Field("model_id", "choice", _l("Model"), True, products.model_choices(unit_id)), *rest]


def _with_suppliers(one: Field, unit_id: int, product: Product | None) -> Field:
    if one.name != "supplier_id":
        return one
    held = product.supplier_id if product is not None else None
    return Field(one.name, one.kind, one.label, choices=supplier_choices(unit_id, held))


def supplier_choices(unit_id: int, held: int | None = None) -> Choices:
    """Return the suppliers one buys from (and the one that is held already), for a form."""
    from .suppliers import in_use

    wanted = select(Supplier.id, Supplier.name).where(Supplier.unit_id == unit_id, in_use(held))
    return [(str(key), name) for key, name in session().execute(wanted.order_by(Supplier.name, Supplier.id))]


# --- bar codes -----------------------------------------------------------------------------------


def read_barcode(text: object) -> str:
    """Return a bar code in plain digits, a UPC as the EAN-13 that scan guns read; '' for nothing.

    Raises:
        InvalidData: under ``barcode``: another length, or a check digit that does not fit.
    """
    from stdnum import ean
    from stdnum.exceptions import ValidationError

    plain = _NUMBERS.sub("", normalise(str(text or "")))
    if not plain:
        return ""
    try:
        found = str(ean.validate(plain))
    except ValidationError:
        raise InvalidData({"barcode": BAD_BARCODE}) from None
    return tidy_code(found)


def tidy_code(text: object) -> str:
    """Return a typed or scanned code in the spelling it is kept in: no blanks, UPC with its leading zero."""
    plain = _NUMBERS.sub("", normalise(str(text or "")))
    if plain.isascii() and plain.isdigit():
        if len(plain) == 12:
            return f"0{plain}"
        if len(plain) == 14 and plain.startswith("0"):
            return plain[1:]
    return plain


# --- finding ---------------------------------------------------------------------------------------


def find_models(unit_id: int, codes: Iterable[object]) -> dict[str, int]:
    """Return the model of each typed code (bar code before model code), by the code as typed; two selects a few
    hundred. Unknown ones are left out.
    """
    typed = {str(one): tidy_code(one) for one in codes}
    barcodes = sorted({one for one in typed.values() if one})
    names = sorted({normalise(one).lower() for one in typed if normalise(one)})
    model = products.Model
    found: dict[str, int] = {}
    for start in range(0, len(barcodes), CHUNK):
        some = barcodes[start : start + CHUNK]
        rows = select(Product.barcode, Product.model_id).where(
            Product.unit_id == unit_id, Product.barcode.in_(some)
        )
        found |= {f"b:{code}": key for code, key in session().execute(rows)}
    for start in range(0, len(names), CHUNK):
        some = names[start : start + CHUNK]
        known = select(model.code, model.id).where(model.unit_id == unit_id, func.lower(model.code).in_(some))
        found |= {f"m:{code.lower()}": key for code, key in session().execute(known)}
    pairs = (
        (text, found.get(f"b:{code}") or found.get(f"m:{normalise(text).lower()}")) for text, code in typed.items()
    )
    return {text: key for text, key in pairs if key is not None}


def sheets_of(unit_id: int, model_ids: Iterable[int]) -> dict[int, Product]:
    """Return the product sheets of models by model id, in one select."""
    wanted = select(Product).where(Product.unit_id == unit_id, Product.model_id.in_(set(model_ids)))
    return {one.model_id: one for one in session().scalars(wanted)}


def names_of(model_ids: Iterable[int]) -> dict[int, str]:
    """Return what models are called (code and name) by id, in one select for a whole page."""
    keys, model = set(model_ids), products.Model
    if not keys:
        return {}
    rows = session().execute(select(model.id, model.code, model.name).where(model.id.in_(keys)))
    return {row.id: f"{row.code} {row.name}" for row in rows}


def codes_of(unit_id: int, model_ids: Iterable[int]) -> dict[int, str]:
    """Return what one types for a model (its bar code, else its model code) by id, in two selects."""
    keys, model = set(model_ids), products.Model
    codes = {row.id: row.code for row in session().execute(select(model.id, model.code).where(model.id.in_(keys)))}
    return codes | {key: one.barcode for key, one in sheets_of(unit_id, keys).items() if one.barcode}


def model_of(unit_id: int, raw_id: object) -> Any:
    """Return a model of the unit by an id from a request.

    Raises:
        NotFound: no such model here.
    """
    mine: Any = select(products.Model).where(products.Model.unit_id == unit_id)
    return fetch(products.Model, raw_id, query=mine)


# --- the sheet of a product ------------------------------------------------------------------------


def save(unit_id: int, raw: Mapping[str, Any], product: Product | None = None) -> Product:
    """Keep what the store knows of a model (``fields_for``, permission ``BUY``).

    Raises:
        NotAllowed. InvalidData: beside the field: a bar code that is wrong or another product's, a model that has
        its sheet already, a level to order up to below the one to order at.
    """
    require(BUY, unit_id)
    fields = fields_for(unit_id, product)
    given = clean(fields, {"active": True, **raw} if product is None else raw)
    errors: dict[str, Any] = {}
    try:
        given["barcode"] = read_barcode(given["barcode"])
    except InvalidData as bad:
        errors |= bad.errors
        given["barcode"] = ""
    given["reorder_at"], given["reorder_to"] = given["reorder_at"] or 0, given["reorder_to"] or 0
    if given["reorder_to"] < given["reorder_at"]:
        errors["reorder_to"] = _l("Not below the level at which one orders again")
    given["measure"] = given["measure"] or ""
    given["dated"] = bool(given["dated"]) or given["shelf_days"] is not None
    given["supplier_id"] = int(given["supplier_id"]) if given["supplier_id"] else None
    with transaction():
        errors |= _taken(unit_id, given, product)
        if errors:
            raise InvalidData(errors)
        if product is None:
            product = Product(unit_id=unit_id, model_id=int(given.pop("model_id")))
        for name, value in given.items():
            setattr(product, name, value)
        session().add(product)
        session().flush()
        return product


def _taken(unit_id: int, given: Mapping[str, Any], product: Product | None) -> dict[str, Any]:
    errors: dict[str, Any] = {}
    mine = select(Product.id, Product.model_id).where(Product.unit_id == unit_id)
    if given["barcode"]:
        held = session().execute(mine.where(Product.barcode == given["barcode"])).first()
        if held is not None and (product is None or held.id != product.id):
            name = names_of([held.model_id]).get(held.model_id, "")
            errors["barcode"] = _l("This bar code belongs to %(name)s", name=name)
    model_id = int(given["model_id"]) if product is None else 0
    if model_id and session().execute(mine.where(Product.model_id == model_id)).first() is not None:
        errors["model_id"] = _l("This model has its product sheet already")
    return errors


def form_values(product: Product) -> dict[str, Any]:
    """Return what the form of a product sheet starts with."""
    found = {one.name: getattr(product, one.name) for one in FIELDS}
    return {**found, "supplier_id": str(product.supplier_id or "")}


def last_day_of(made_on: date | None, shelf_days: int | None, best_before: date | None) -> date | None:
    """Return the last day goods may be sold: the printed date, else production date plus shelf life; else None."""
    if best_before is not None:
        return best_before
    if made_on is None or shelf_days is None:
        return None
    return made_on + timedelta(days=shelf_days)


# --- lines typed or scanned --------------------------------------------------------------------------


def split_lines(text: str, names: Sequence[str]) -> list[dict[str, str]]:
    """Read lines of text, their parts separated by comma, semicolon or tab; what is left out is empty."""
    found = []
    for row in (text or "").splitlines():
        if row.strip():
            parts = [part.strip() for part in re.split(r"[,，;；\t]", row)]
            found.append(dict(zip(names, parts, strict=False)))
    return found
