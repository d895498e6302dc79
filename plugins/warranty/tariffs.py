"""Tariffs and part prices: made, copied forward, released, withdrawn. Flushes, never commits.

Prices come from finance (R17-3.5, R18-3.5, R19-3.5). A tariff is a draft until it is released; from then on it
never changes, but ends the day before the next one of its unit and class begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import selectinload
from sqlalchemy.orm.attributes import flag_modified

from core.sdk import (
    Choices,
    Field,
    InvalidData,
    NotFound,
    Refusal,
    Refused,
    Unit,
    clean,
    clock,
    current_scope,
    fetch,
    label_of,
    local_day,
    may,
    money_math,
    require,
    require_clause,
    session,
)

from . import values
from .models import PartPrice, Tariff, TariffPrice
from .prices import DRAFT, EVERY_CLASS, FOREIGN, RELEASED, WITHDRAWN, clause_prices
from .rights import PRICE
from .rules_prices import STEP, PriceAct

STATES: Choices = ((DRAFT, _l("Draft")), (RELEASED, _l("Released")), (WITHDRAWN, _l("Withdrawn")))
CLASSES: Choices = (
    ("4.1", _l("Class %(number)s", number="4.1")),
    ("4.2", _l("Class %(number)s", number="4.2")),
    ("4.3", _l("Class %(number)s", number="4.3")),
    ("4.4", _l("Class %(number)s", number="4.4")),
)
ALL_CLASSES = _l("All other classes")
# What an item can be charged per: what the plan of a job gives a number for. The first is the usual one.
PER_OF: Mapping[str, Sequence[str]] = {
    values.TRANSPORT: (values.ACTUAL, values.PIECE),
    values.LODGING: (values.PERSON_NIGHT, values.ACTUAL),
    values.MEALS: (values.PERSON_DAY,),
    values.ALLOWANCE: (values.PERSON_DAY,),
    values.LABOUR: (values.HOUR, values.PIECE, values.PERSON_DAY),
    values.HANDLING: (values.PERCENT, values.PIECE),
    values.FREIGHT: (values.ACTUAL, values.PIECE),
    values.INSTALLATION: (values.PIECE, values.HOUR, values.PERSON_DAY),
}
MOST = Decimal("9999999.99")
MOST_PERCENT = Decimal(100)
FIRST_YEAR, LAST_YEAR = 2000, 2100
CHUNK = 500  # values in one IN list

HEAD_FIELDS = (
    Field("name", "text", _l("Name"), True, max_length=100),
    Field(
        "product_class",
        "choice",
        _l("Product class"),
        choices=CLASSES,
        help=_l("Leave empty for all classes that have no tariff of their own"),
    ),
    Field("starts_on", "date", _l("Valid from"), True),
    Field(
        "ends_on",
        "date",
        _l("Valid until"),
        help=_l("Leave empty: it ends the day before the next one begins"),
    ),
    Field("note", "text", _l("Note"), max_length=500),
)
START_FIELDS = (Field("starts_on", "date", _l("Valid from"), True),)
COPY_FIELDS = (
    Field("name", "text", _l("Name"), True, max_length=100),
    *START_FIELDS,
    Field(
        "percent",
        "decimal",
        _l("Change of the prices (percent)"),
        minimum=Decimal(-100),
        maximum=Decimal(1000),
        help=_l("3 makes them 3 percent higher, -3 lower; each is rounded half up to 0.01"),
    ),
)
PART_FIELDS = (
    Field("number", "text", _l("Part number"), True, max_length=60),
    Field("name", "text", _l("Part"), True, max_length=120),
    Field("price", "decimal", _l("Price (yuan)"), True, minimum=Decimal(0), maximum=MOST),
    Field("starts_on", "date", _l("Valid from"), True),
    Field(
        "small",
        "bool",
        _l("Small fitting"),
        help=_l("Small fittings are free where a clause in force says so"),
    ),
    Field("active", "bool", _l("In use"), default=True),
)
REQUIRED = _l("Please fill this in")
NO_PRICE = _l("What it costs is charged: leave this empty, or charge it another way")
TAKEN = _l("There is a price of this part from this day on")
FIXED = ("number", "price", "starts_on", "small")  # of a part price that has begun


def _price_fields() -> Iterable[Field]:
    per = dict(values.PRICE_PER)
    for item, label in values.TARIFF_ITEMS:
        choices = [(code, per[code]) for code in PER_OF[item]]
        yield Field(f"{item}_amount", "decimal", label, minimum=Decimal(0), maximum=MOST)
        yield Field(f"{item}_per", "choice", _l("Per"), choices=choices)
        yield Field(f"{item}_least", "decimal", _l("May be lowered to"), minimum=Decimal(0), maximum=MOST)


PRICE_FIELDS = tuple(_price_fields())
FIELDS = (*HEAD_FIELDS, *PRICE_FIELDS)


# --- reading ---------------------------------------------------------------------------------------


def get_tariff(raw_id: object) -> Tariff:
    """Return a tariff with its prices by an id from a request.

    Raises:
        NotFound: no such tariff in the scope.
    """
    whole: Any = select(Tariff).options(selectinload(Tariff.prices))
    found: Tariff = fetch(Tariff, raw_id, query=whole)
    return found


def class_text(product_class: str) -> Any:
    """Return how a class is called on a screen."""
    return label_of(CLASSES, product_class) if product_class else ALL_CLASSES


def form_values(tariff: Tariff) -> dict[str, Any]:
    """Return a tariff as its form has it."""
    head = {one.name: getattr(tariff, one.name) for one in HEAD_FIELDS}
    found: dict[str, Any] = {**head, "product_class": tariff.product_class or None}
    for one in tariff.prices:
        actual = one.per == values.ACTUAL
        found |= {
            f"{one.item}_amount": None if actual else one.amount,
            f"{one.item}_per": one.per,
            f"{one.item}_least": one.least or None,
        }
    return found


def of_class(tariff: Tariff) -> list[Tariff]:
    """Return the tariffs of the same unit and class, the latest first: its history."""
    found = select(Tariff).where(Tariff.unit_id == tariff.unit_id, Tariff.product_class == tariff.product_class)
    return list(session().scalars(found.order_by(Tariff.starts_on.desc(), Tariff.id.desc()).limit(20)))


def in_force(unit_id: int, day: date) -> list[Tariff]:
    """Return the tariffs in force in a unit on a day, by class."""
    found = (
        select(Tariff)
        .where(
            Tariff.unit_id == unit_id,
            Tariff.state == RELEASED,
            Tariff.starts_on <= day,
            Tariff.ends_on.is_(None) | (Tariff.ends_on >= day),
        )
        .options(selectinload(Tariff.prices))
        .order_by(Tariff.product_class)
    )
    return list(session().scalars(found))


def standing(tariff: Tariff, today: date) -> str:
    """Return where a tariff stands: draft, withdrawn, coming, current or past."""
    if tariff.state != RELEASED:
        return tariff.state
    if tariff.starts_on > today:
        return "coming"
    return "past" if tariff.ends_on is not None and tariff.ends_on < today else "current"


# --- writing tariffs -----------------------------------------------------------------------------------


def need_finance(unit_id: int) -> None:
    """Pass if the actor may set prices in a unit: only finance does (R17-3.5, R18-3.5, R19-3.5).

    Raises:
        Refused: naming the clause, where one of them holds. NotAllowed: where none does.
    """
    require_clause(STEP, unit_id, PriceAct(may(PRICE, unit_id)))
    require(PRICE, unit_id)


def save_tariff(unit_id: int, raw: Mapping[str, Any], tariff: Tariff | None = None) -> Tariff:
    """Add a draft, or change one.

    Raises:
        InvalidData: beside each field. Refused: it is no draft any more, or the price is not from finance.
    """
    need_finance(unit_id)
    if tariff is not None:
        _need_draft(tariff)
    given = clean(FIELDS, raw)
    errors = _head_errors(given)
    prices = _read_prices(given, errors)
    if errors:
        raise InvalidData(errors)
    one = tariff or _new_draft(unit_id)
    one.name, one.note = given["name"], given["note"] or ""
    one.product_class = given["product_class"] or EVERY_CLASS
    one.starts_on, one.ends_on = given["starts_on"], given["ends_on"]
    _set_prices(one, prices)
    return one


def read_line(head: Mapping[str, Any], item: str, line: Mapping[str, Any]) -> dict[str, Any]:
    """Check one price of a tariff as a row of a file has it: ``amount``, ``per`` and ``least``.

    Raises:
        InvalidData: beside each column.
    """
    mine = [one for one in FIELDS if one.name.startswith(f"{item}_")]
    try:
        given = clean((*HEAD_FIELDS, *mine), {**head, **{f"{item}_{name}": one for name, one in line.items()}})
        errors = _head_errors(given)
        price = _read_price(item, given, errors)
        if errors:
            raise InvalidData(errors)
        if price is None:
            raise InvalidData({"amount": REQUIRED})
    except InvalidData as bad:
        raise InvalidData({name.removeprefix(f"{item}_"): text for name, text in bad.errors.items()}) from None
    shown = {name: given[name] for name in ("name", "starts_on", "ends_on")}
    priced = {"item": item, "amount": price.amount, "per": price.per, "least": price.least}
    return {**shown, "product_class": given["product_class"] or EVERY_CLASS, **priced}


def take_lines(unit_id: int, tariff: Tariff | None, lines: Sequence[Mapping[str, Any]]) -> Tariff:
    """Put prices of a file into a draft, or into a new one; what the file does not name stays.

    Raises:
        Refused: the tariff is no draft any more, or the price is not from finance.
    """
    need_finance(unit_id)
    first = lines[0]
    if tariff is None:
        tariff = _new_draft(unit_id)
        tariff.product_class, tariff.starts_on = first["product_class"], date.fromisoformat(first["starts_on"])
    _need_draft(tariff)
    tariff.name = first["name"]
    tariff.ends_on = date.fromisoformat(first["ends_on"]) if first["ends_on"] else None
    prices: dict[str, Any] = {one.item: one for one in tariff.prices}
    for one in lines:
        amount, least = Decimal(one["amount"]), Decimal(one["least"])
        prices[one["item"]] = values.Price(amount, one["per"], "", least)
    _set_prices(tariff, prices)
    return tariff


def copy_forward(tariff: Tariff, raw: Mapping[str, Any]) -> Tariff:
    """Make a draft with the prices of a tariff, changed by a percentage, each rounded half up to 0.01.

    Percentages stay as they are: they are no amounts.

    Raises:
        InvalidData: beside each field. Refused: not from finance.
    """
    need_finance(tariff.unit_id)
    given = clean(COPY_FIELDS, raw)
    errors: dict[str, Any] = _day_errors(given, ("starts_on",))
    percent = _to_places(given["percent"] or Decimal(0), "percent", errors)
    if errors:
        raise InvalidData(errors)
    prices = {one.item: _changed(one, percent) for one in tariff.prices}
    if any(one.amount > MOST for one in prices.values()):
        raise InvalidData({"percent": _l("This amount is too large")})
    made = _new_draft(tariff.unit_id)
    made.name, made.starts_on = given["name"], given["starts_on"]
    made.product_class, made.note, made.copied_from = tariff.product_class, tariff.note, tariff.id
    _set_prices(made, prices)
    return made


def copy_values(tariff: Tariff) -> dict[str, Any]:
    """Return what the form for copying a tariff forward starts with: the next year's first day."""
    latest = max(tariff.starts_on, local_day(tariff.unit_id))
    begins = date(latest.year + 1, 1, 1)
    return {"name": tariff.name.replace(str(tariff.starts_on.year), str(begins.year)), "starts_on": begins}


def from_clauses(unit_id: int, raw: Mapping[str, Any]) -> list[Tariff]:
    """Make a unit's first drafts from the numbers of the clauses in force (R13-5.2.1.3b ...).

    One for all classes, and one for class 4.3 where its numbers differ (R13-5.2.2.2b ...).

    Raises:
        InvalidData: beside each field. Refused: no clause in force names a price, or not from finance.
    """
    need_finance(unit_id)
    given = clean(START_FIELDS, raw)
    errors = _day_errors(given, ("starts_on",))
    if errors:
        raise InvalidData(errors)
    day = given["starts_on"]
    found = {EVERY_CLASS: clause_prices(unit_id, EVERY_CLASS, day), FOREIGN: clause_prices(unit_id, FOREIGN, day)}
    if _amounts(found[EVERY_CLASS]) == _amounts(found[FOREIGN]):
        del found[FOREIGN]
    made = [_draft_from(unit_id, code, prices, day) for code, prices in found.items() if prices]
    if not made:
        raise Refused([Refusal("no_prices", _l("No clause in force here names a price; enter the tariff by hand"))])
    return made


def release(tariff: Tariff) -> Tariff:
    """Put a draft in force from its first day on; what runs until then ends the day before.

    Raises:
        Refused: with the reason, when days would be priced twice or anew; or not from finance.
    """
    need_finance(tariff.unit_id)
    others = _lock_class(tariff)
    _need_draft(tariff)
    if not tariff.prices:
        raise _refused("empty", _l("Enter at least one price first"))
    before, after = _neighbours(tariff, others)
    _check_place(tariff, before, after, others)
    if after is not None and tariff.ends_on is None:
        tariff.ends_on, tariff.ended_by = after.starts_on - timedelta(days=1), after.id
    if before is not None:
        before.ends_on, before.ended_by = tariff.starts_on - timedelta(days=1), tariff.id
    tariff.state, tariff.released_at = RELEASED, clock.now()
    tariff.released_by = current_scope().actor_id
    session().flush()
    return tariff


def withdraw(tariff: Tariff) -> Tariff:
    """Take back a draft, or a released tariff before it begins; the one it ended goes on.

    Raises:
        Refused: it has begun, or is withdrawn already; or not from finance.
    """
    need_finance(tariff.unit_id)
    others = _lock_class(tariff)
    if tariff.state == WITHDRAWN:
        raise _refused("withdrawn", _l("It is withdrawn already"))
    if tariff.state == RELEASED and tariff.starts_on <= local_day(tariff.unit_id):
        raise _refused("begun", _l("It has begun: release another one from a later day instead"))
    tariff.state = WITHDRAWN
    for one in others:
        if one.ended_by == tariff.id:
            _reopen(one, others)
    session().flush()
    return tariff


def _reopen(tariff: Tariff, others: Sequence[Tariff]) -> None:
    """Let a tariff run on to the day before the next one that is left."""
    _, after = _neighbours(tariff, [one for one in others if one is not tariff])
    tariff.ends_on = after.starts_on - timedelta(days=1) if after is not None else None
    tariff.ended_by = after.id if after is not None else None


def _check_place(tariff: Tariff, before: Tariff | None, after: Tariff | None, others: Sequence[Tariff]) -> None:
    today = local_day(tariff.unit_id)
    same = next((one for one in others if one.starts_on == tariff.starts_on), None)
    if same is not None:
        raise _refused("same_day", _l("“%(name)s” begins on the same day", name=same.name))
    if before is not None and before.ends_on is not None:
        text = _l(
            "“%(name)s” holds from %(first)s to %(last)s: begin after it, or withdraw what follows it first",
            name=before.name,
            first=before.starts_on.isoformat(),
            last=before.ends_on.isoformat(),
        )
        raise _refused("inside", text)
    if after is not None and tariff.ends_on is not None and tariff.ends_on >= after.starts_on:
        text = _l("“%(name)s” begins on %(day)s: end before", name=after.name, day=after.starts_on.isoformat())
        raise _refused("overlap", text)
    if tariff.starts_on < today and any(one.starts_on <= today for one in others):
        raise _refused("past", _l("Days that are over keep their tariff: begin today or later"))


def _neighbours(tariff: Tariff, others: Sequence[Tariff]) -> tuple[Tariff | None, Tariff | None]:
    """Return the one that holds on a tariff's first day, and the next one to begin."""
    day = tariff.starts_on
    before = next((o for o in others if o.starts_on < day and (o.ends_on is None or o.ends_on >= day)), None)
    return before, min((o for o in others if o.starts_on > day), key=lambda o: o.starts_on, default=None)


def _lock_class(tariff: Tariff) -> list[Tariff]:
    """Let two people who release in one unit wait for each other; return the other released ones as they are now.

    Raises:
        NotFound: the unit is out of reach.
    """
    work = session()
    work.flush()
    held = select(Unit.id).where(Unit.id == tariff.unit_id).with_for_update(key_share=True)
    if work.scalar(held) is None:
        raise NotFound()
    work.refresh(tariff)
    found = (
        select(Tariff)
        .where(
            Tariff.unit_id == tariff.unit_id,
            Tariff.product_class == tariff.product_class,
            Tariff.state == RELEASED,
            Tariff.id != tariff.id,
        )
        .order_by(Tariff.starts_on)
        .execution_options(populate_existing=True)
    )
    return list(work.scalars(found))


def _refused(code: str, text: Any) -> Refused:
    return Refused([Refusal(f"tariff_{code}", text)])


def _need_draft(tariff: Tariff) -> None:
    if tariff.state != DRAFT:
        raise _refused("no_draft", _l("Only a draft can be changed or released; copy it forward instead"))


def _new_draft(unit_id: int) -> Tariff:
    return Tariff(unit_id=unit_id, state=DRAFT, created_at=clock.now(), created_by=current_scope().actor_id)


def _draft_from(unit_id: int, product_class: str, prices: Mapping[str, values.Price], day: date) -> Tariff:
    made = _new_draft(unit_id)
    made.product_class, made.starts_on = product_class, day
    made.name = _("Tariff %(year)s", year=day.year)
    made.note = _("From clauses %(clauses)s", clauses=", ".join(sorted({one.clause for one in prices.values()})))
    _set_prices(made, prices)
    return made


def _amounts(prices: Mapping[str, values.Price]) -> dict[str, Any]:
    return {item: (one.amount, one.per, one.least) for item, one in prices.items()}


def _set_prices(tariff: Tariff, prices: Mapping[str, Any]) -> None:
    """Bring a draft's prices in line; a change of a price raises the tariff's version."""
    held = {one.item: one for one in tariff.prices}
    tariff.prices = [
        _priced(held.get(item) or TariffPrice(unit_id=tariff.unit_id, item=item), prices[item])
        for item, _label in values.TARIFF_ITEMS
        if item in prices
    ]
    if tariff.id is not None:
        flag_modified(tariff, "note")
    work = session()
    work.add(tariff)
    work.flush()


def _priced(row: TariffPrice, price: Any) -> TariffPrice:
    row.per, row.amount, row.least = price.per, price.amount, price.least
    return row


def _read_prices(given: Mapping[str, Any], errors: dict[str, Any]) -> dict[str, values.Price]:
    found: dict[str, values.Price] = {}
    for item, _label in values.TARIFF_ITEMS:
        price = _read_price(item, given, errors)
        if price is not None:
            found[item] = price
    return found


def _read_price(item: str, given: Mapping[str, Any], errors: dict[str, Any]) -> values.Price | None:
    names = (f"{item}_amount", f"{item}_per", f"{item}_least")
    amount, per, least = (given[name] for name in names)
    if amount is None and not per and least is None:
        return None
    per = per or PER_OF[item][0 if amount is None else _first_with_amount(item)]
    if per == values.ACTUAL:
        errors |= {name: NO_PRICE for name, value in ((names[0], amount), (names[2], least)) if value}
        return values.Price(Decimal(0), per, "")
    if amount is None:
        errors[names[0]] = REQUIRED
        return None
    amount = _to_places(amount, names[0], errors)
    least = _to_places(least or Decimal(0), names[2], errors)
    if per == values.PERCENT and amount > MOST_PERCENT:
        errors[names[0]] = _l("At most %(number)s", number=MOST_PERCENT)
    if least > amount:
        errors[names[2]] = _l("Not more than the price itself")
    return values.Price(amount, per, "", least)


def _first_with_amount(item: str) -> int:
    return 1 if PER_OF[item][0] == values.ACTUAL else 0


def _changed(price: TariffPrice, percent: Decimal) -> values.Price:
    if price.per == values.PERCENT:
        return values.Price(price.amount, price.per, "", price.least)
    factor = 1 + percent / 100
    amount, least = money_math.yuan(price.amount * factor), money_math.yuan(price.least * factor)
    return values.Price(amount, price.per, "", min(least, amount))


def _to_places(value: Decimal, name: str, errors: dict[str, Any]) -> Decimal:
    try:
        return money_math.exact(value, name)
    except InvalidData as bad:
        errors |= bad.errors
        return Decimal(0)


def _head_errors(given: Mapping[str, Any]) -> dict[str, Any]:
    errors = _day_errors(given, ("starts_on", "ends_on"))
    if not errors and given["ends_on"] is not None and given["ends_on"] < given["starts_on"]:
        errors["ends_on"] = _l("It ends before it begins")
    return errors


def _day_errors(given: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {
        name: _l("This date is too far away")
        for name in names
        if given[name] is not None and not FIRST_YEAR <= given[name].year <= LAST_YEAR
    }


# --- part prices -------------------------------------------------------------------------------------


def get_part_price(raw_id: object) -> PartPrice:
    """Return a part price by an id from a request.

    Raises:
        NotFound: no such price in the scope.
    """
    return fetch(PartPrice, raw_id)


def save_part_price(unit_id: int, raw: Mapping[str, Any], row: PartPrice | None = None) -> PartPrice:
    """Add finance's price of a part from a day on, or correct one (R13-5.2.1.4, R17-3.5).

    A price that began before today keeps number, price, day and kind: a new one from a later day replaces it.

    Raises:
        InvalidData: beside each field. Refused: not from finance.
    """
    need_finance(unit_id)
    given = read_part(raw)
    errors: dict[str, Any] = {}
    if row is not None and row.starts_on < local_day(unit_id):
        errors |= {
            name: _l("This price has begun: enter a new one from a later day")
            for name in FIXED
            if given[name] != getattr(row, name)
        }
    if not errors and _is_taken(unit_id, given, row):
        errors["starts_on"] = TAKEN
    if errors:
        raise InvalidData(errors)
    try:
        with session().begin_nested():
            return _keep_part(row or new_part_price(unit_id), given)
    except IntegrityError:  # somebody has entered the same part and day at this moment
        raise InvalidData({"starts_on": TAKEN}) from None


def _keep_part(row: PartPrice, given: Mapping[str, Any]) -> PartPrice:
    for name, value in given.items():
        setattr(row, name, value)
    session().add(row)
    session().flush()
    return row


def new_part_price(unit_id: int) -> PartPrice:
    """Return an empty price of a part, not yet added."""
    return PartPrice(unit_id=unit_id, created_at=clock.now(), created_by=current_scope().actor_id)


def read_part(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Check the form of a part price by itself.

    Raises:
        InvalidData: beside each field.
    """
    given = clean(PART_FIELDS, raw)
    errors: dict[str, Any] = _day_errors(given, ("starts_on",))
    given["price"] = _to_places(given["price"], "price", errors)
    if errors:
        raise InvalidData(errors)
    return given


def part_values(row: PartPrice) -> dict[str, Any]:
    """Return a part price as its form has it."""
    return {one.name: getattr(row, one.name) for one in PART_FIELDS}


def prices_of_part(row: PartPrice) -> list[PartPrice]:
    """Return the prices of the same part, the latest first."""
    found = select(PartPrice).where(PartPrice.unit_id == row.unit_id, PartPrice.number == row.number)
    return list(session().scalars(found.order_by(PartPrice.starts_on.desc()).limit(20)))


def held_part_prices(unit_id: int, numbers: Iterable[str]) -> dict[tuple[str, date], PartPrice]:
    """Return the unit's prices of these parts by number and first day."""
    wanted = sorted(set(numbers))
    found: dict[tuple[str, date], PartPrice] = {}
    for start in range(0, len(wanted), CHUNK):
        some = PartPrice.number.in_(wanted[start : start + CHUNK])
        rows = session().scalars(select(PartPrice).where(PartPrice.unit_id == unit_id, some))
        found |= {(one.number, one.starts_on): one for one in rows}
    return found


def _is_taken(unit_id: int, given: Mapping[str, Any], row: PartPrice | None) -> bool:
    found = select(PartPrice.id).where(
        PartPrice.unit_id == unit_id,
        PartPrice.number == given["number"],
        PartPrice.starts_on == given["starts_on"],
    )
    with session().no_autoflush:
        held = session().scalar(found)
    return held is not None and (row is None or held != row.id)
