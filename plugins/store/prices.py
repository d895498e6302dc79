"""Prices (R02-18): proposed in a change of several products, public once agreed to, never altered afterwards.

What counts on a day is the price that began last; of two that begin on the same day the one made public later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import exists, select
from sqlalchemy.orm import aliased

from core.sdk import (
    Field,
    InvalidData,
    NotFound,
    Record,
    RecordType,
    Refusal,
    Refused,
    answered_before,
    append_fact,
    clean,
    clock,
    create_record,
    detail_of,
    local_day,
    lock,
    money_math,
    publish,
    remember_answer,
    require,
    require_clause,
    session,
    tell_of_fact,
    transaction,
)

from . import goods, orders, standing, values
from .models import Price, PriceChange, PriceLine
from .price_flow import CODE, WORKFLOW, forget_agreements, lines_of
from .rights import PRICE

# What the gate of MD-3 looks at when a change is proposed: (unit, first day).
STARTS = "store.price_starts"
MOST_LINES = 2000
MOST_SHOWN = 500
LINE_NAMES = ("product", "price")
_MOST = Decimal("9999999.99")
FIELDS = (
    Field("starts_on", "date", _l("Begins on"), help=_l("Left empty: today")),
    Field("reason", "long", _l("Reason"), True, max_length=500),
    Field("lines", "long", _l("New prices"), max_length=200_000, help=_l("One a line: product, price")),
)
LINE_FIELDS = (
    Field("product", "text", _l("Product"), True, max_length=80, help=_l("Bar code or model")),
    Field("price", "decimal", _l("Price (yuan)"), True, minimum=Decimal("0.01"), maximum=_MOST),
)
prices_on = standing.prices_on


# --- proposing -------------------------------------------------------------------------------------


def register(unit_id: int, raw: Mapping[str, Any], *, key: str = "") -> Record:
    """Propose new prices (``FIELDS``, permission ``PRICE``); ``lines`` as text or as mappings (``LINE_FIELDS``).

    Raises:
        NotAllowed. InvalidData: beside the field; of lines under ``lines``, saying which. Refused: a day that is
        over (MD-3).
    """
    require(PRICE, unit_id)
    given = _read(raw)
    starts_on = given["starts_on"] or local_day(unit_id)
    with transaction():
        held = answered_before(unit_id, key, "store.price_change", raw)
        if held:
            return session().get_one(Record, held["record"])
        require_clause(STARTS, unit_id, (unit_id, starts_on))
        lines = read_lines(unit_id, raw.get("lines") or (), starts_on)
        record = create_record(
            TYPE,
            unit_id,
            PriceChange(starts_on=starts_on, reason=given["reason"]),
            title=_title(lines, starts_on),
            customer_id=None,
            received_at=clock.now(),
            permission=PRICE,
            facts=[("registered", {"lines": len(lines)})],
            then=lambda made: _put(made, lines),
        )
        publish("record.registered", unit_id, {"record_id": record.id, "type": CODE})
        remember_answer(unit_id, key, {"record": record.id})
        return record


def change(record_id: object, raw: Mapping[str, Any]) -> Record:
    """Change a draft, with ``lines`` replace its lines (``FIELDS``); what was agreed about it counts no more.

    Raises:
        NotFound, NotAllowed. InvalidData, Refused: as ``register``; it is no draft any more.
    """
    with transaction():
        record = lock(record_id)
        if record.type != CODE:
            raise NotFound()
        require(PRICE, record.unit_id)
        if record.state != values.DRAFT:
            raise Refused([Refusal("not_draft", _l("A public price is not altered; propose another one"))])
        detail: PriceChange = detail_of(record)
        given = _read({"reason": detail.reason, "starts_on": detail.starts_on, **raw})
        starts_on = given["starts_on"] or local_day(record.unit_id)
        require_clause(STARTS, record.unit_id, (record.unit_id, starts_on), record)
        if "lines" in raw:
            lines = read_lines(record.unit_id, raw["lines"] or (), starts_on)
            for one in lines_of(record.id):
                session().delete(one)
            session().flush()
            _put(record, lines)
            record.title = _title(lines, starts_on)
        detail.starts_on, detail.reason = starts_on, given["reason"]
        forget_agreements(record, _l("The proposed prices are being changed"))
        fact = append_fact(record, WORKFLOW.fact_kinds["changed"], at=clock.now())
        session().flush()
        tell_of_fact(record, fact)
        return record


def _read(raw: Mapping[str, Any]) -> dict[str, Any]:
    text = raw["lines"] if isinstance(raw.get("lines"), str) else None
    return clean(FIELDS, {**raw, "lines": text})


def _put(record: Record, lines: Sequence[Mapping[str, Any]]) -> None:
    session().add_all(PriceLine(unit_id=record.unit_id, change_id=record.id, **one) for one in lines)
    session().flush()


def _title(lines: Sequence[Mapping[str, Any]], starts_on: date) -> str:
    names = goods.names_of(one["model_id"] for one in lines[:3])
    listed = "、".join(f"{names[one['model_id']]} {one['price']}" for one in lines[:3])
    return f"{starts_on.isoformat()} {listed}{'…' if len(lines) > 3 else ''}"[:200]


def not_past(given: Any, _said: Any) -> Any:
    """MD-3: return why prices of (unit, first day) cannot begin then, or None."""
    unit_id, day = given
    return not_past_text(day) if day < local_day(unit_id) else None


def not_past_text(day: date) -> Any:
    """Say that a day is too early for a price."""
    return _l("A price begins today at the earliest, not on %(day)s", day=day)


# --- the lines ---------------------------------------------------------------------------------------


def read_lines(unit_id: int, given: Any, day: date) -> list[dict[str, Any]]:
    """Read the lines of a change, each product once, with what is public before ``day``.

    Raises:
        InvalidData: under ``lines``, every line that is wrong, or that there is none.
    """
    raws = goods.split_lines(given, LINE_NAMES) if isinstance(given, str) else given
    if not isinstance(raws, list | tuple) or not all(isinstance(one, Mapping) for one in raws):
        raise InvalidData({"lines": _l("A list of lines is expected")})
    if not raws:
        raise InvalidData({"lines": _l("Enter first what is to have a new price")})
    if len(raws) > MOST_LINES:
        raise InvalidData({"lines": _l("At most %(count)d lines", count=MOST_LINES)})
    known = goods.find_models(unit_id, [str(one.get("product") or "") for one in raws])
    before = prices_on(unit_id, known.values(), day)
    found, errors, seen = [], [], set[int]()
    for place, raw in enumerate(raws, start=1):
        try:
            model_id, price = read_line(raw, known)
            if model_id in seen:
                raise InvalidData({"product": _l("“%(code)s” stands here twice", code=raw.get("product"))})
            seen.add(model_id)
            found.append({"model_id": model_id, "price": price, "before": before.get(model_id)})
        except InvalidData as bad:
            errors.append(orders.wrong_line(place, bad))
    if errors:
        raise InvalidData({"lines": " ".join(errors)})
    return found


def read_line(raw: Mapping[str, Any], known: Mapping[str, int]) -> tuple[int, Decimal]:
    """Return model and price of a line (``LINE_FIELDS``); ``known``: the models of what is typed.

    Raises:
        InvalidData: beside the field.
    """
    given = clean(LINE_FIELDS, {**raw, "product": str(raw.get("product") or "")})
    model_id = known.get(str(raw.get("product") or ""))
    if model_id is None:
        raise InvalidData({"product": _l("There is no product “%(code)s”", code=given["product"])})
    return model_id, money_math.exact(given["price"], "price")


def form_values(detail: PriceChange) -> dict[str, Any]:
    """Return what the form of a draft starts with."""
    lines = lines_of(detail.id)
    codes = goods.codes_of(detail.unit_id, [one.model_id for one in lines])
    text = "\n".join(f"{codes[one.model_id]}, {one.price:f}" for one in lines)
    return {"starts_on": detail.starts_on, "reason": detail.reason, "lines": text}


# --- what is public ----------------------------------------------------------------------------------


def in_force(unit_id: int, day: date) -> Any:
    """Return the condition on ``Price``: the one that counts for its product on a day."""
    later = aliased(Price)
    newer = (later.starts_on > Price.starts_on) | ((later.starts_on == Price.starts_on) & (later.id > Price.id))
    better = (later.unit_id == unit_id) & (later.model_id == Price.model_id) & (later.starts_on <= day) & newer
    return (Price.unit_id == unit_id) & (Price.starts_on <= day) & ~exists(select(later.id).where(better))


def price_on(unit_id: int, model_id: int, day: date) -> Decimal | None:
    """Return the public price of a product on a day (yuan), or None."""
    return prices_on(unit_id, [model_id], day).get(model_id)


def history(unit_id: int, model_id: int, limit: int = MOST_SHOWN) -> Sequence[Price]:
    """Return the public prices of a product, past and coming, the last to begin first."""
    mine = select(Price).where(Price.unit_id == unit_id, Price.model_id == model_id)
    return session().scalars(mine.order_by(Price.starts_on.desc(), Price.id.desc()).limit(limit)).all()


def price_list(unit_id: int, day: date, limit: int = MOST_LINES) -> list[tuple[str, str, Decimal, date]]:
    """Return the public price list of a day: model code, name, price, since when; in two selects."""
    rows = session().execute(
        select(Price.model_id, Price.price, Price.starts_on).where(in_force(unit_id, day)).limit(limit)
    )
    found = list(rows)
    names = _names(row.model_id for row in found)
    return sorted((*names[row.model_id], row.price, row.starts_on) for row in found)


def _names(model_ids: Iterable[int]) -> dict[int, tuple[str, str]]:
    from plugins.products.services import Model

    keys = set(model_ids)
    rows = session().execute(select(Model.id, Model.code, Model.name).where(Model.id.in_(keys)))
    return {row.id: (row.code, row.name) for row in rows}


def search_text(record: Record, detail: PriceChange) -> str:
    """Return the words a price change is found by."""
    return "\n".join(part for part in (record.number, record.title, detail.reason[:500]) if part)


TYPE = RecordType(
    CODE, _l("Price change"), "TJ", PriceChange, WORKFLOW, search_text, intake=FIELDS, register=register
)
