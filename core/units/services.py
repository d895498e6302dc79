"""The organisation tree: adding, changing, moving and closing units, and reading the tree."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext
from sqlalchemy import func, select, update

from core.kernel import clock
from core.kernel.access import require
from core.kernel.database import session
from core.kernel.errors import Conflict, InvalidData, NotFound, Refusal, Refused
from core.kernel.fields import Choices, Field, clean, label_of

from .models import Unit, UnitParent

ADMIN = "unit.admin"
KINDS: Choices = (
    ("company", lazy_pgettext("unit", "Company")),
    ("branch", _l("Branch")),
    ("factory", _l("Factory")),
    ("hotel", _l("Hotel")),
    ("store", _l("Store")),
    ("bank", _l("Bank outlet")),
)
LOCALES: Choices = (("zh", "中文"), ("en", "English"))
_CODE = re.compile(r"^[A-Z0-9][A-Z0-9-]{0,19}$")
_REGION = re.compile(r"^[1-9][0-9]{5}$")
MAX_DEPTH = 20


# Where Chinese service companies have people; a zone more is a line more.
TIMEZONES: Choices = (
    ("Asia/Shanghai", _l("Beijing time")),
    ("Asia/Urumqi", _l("Urumqi")),
    ("Asia/Hong_Kong", _l("Hong Kong")),
    ("Asia/Macau", _l("Macau")),
    ("Asia/Taipei", _l("Taipei")),
    ("Asia/Tokyo", _l("Tokyo")),
    ("Asia/Seoul", _l("Seoul")),
    ("Asia/Singapore", _l("Singapore")),
    ("Asia/Bangkok", _l("Bangkok")),
    ("Asia/Ho_Chi_Minh", _l("Ho Chi Minh City")),
    ("Asia/Jakarta", _l("Jakarta")),
    ("Asia/Kolkata", _l("New Delhi")),
    ("Asia/Dubai", _l("Dubai")),
    ("Africa/Johannesburg", _l("Johannesburg")),
    ("Europe/Moscow", _l("Moscow")),
    ("Europe/Berlin", _l("Berlin")),
    ("Europe/London", _l("London")),
    ("America/Sao_Paulo", _l("Sao Paulo")),
    ("America/New_York", _l("New York")),
    ("America/Los_Angeles", _l("Los Angeles")),
    ("Australia/Sydney", _l("Sydney")),
    ("UTC", _l("Coordinated universal time")),
)

FIELDS: tuple[Field, ...] = (
    Field("code", "text", _l("Code"), True, max_length=20, help=_l("Capital letters, digits and hyphens")),
    Field("name", "text", _l("Name"), True, max_length=100),
    Field("name_en", "text", _l("English name"), max_length=100),
    Field("kind", "choice", _l("Kind"), True, KINDS, default="company"),
    Field("timezone", "choice", _l("Time zone"), True, TIMEZONES, default="Asia/Shanghai"),
    Field("locale", "choice", _l("Language"), True, LOCALES, default="zh"),
    Field("phone", "text", _l("Telephone"), max_length=40),
    Field(
        "region_code",
        "text",
        _l("Region code"),
        max_length=6,
        help=_l("Six digits, such as 330106; distances count from there where no coordinates are given"),
    ),
    Field("address", "text", _l("Address"), max_length=200),
    Field(
        "latitude",
        "decimal",
        _l("Latitude"),
        help=_l("The service point, such as 30.274085 and 120.155070; customers' distances count from it"),
        minimum=Decimal(-90),
        maximum=Decimal(90),
    ),
    Field("longitude", "decimal", _l("Longitude"), minimum=Decimal(-180), maximum=Decimal(180)),
)


def kind_label(kind: str) -> Any:
    """Return the name of a unit kind."""
    return label_of(KINDS, kind)


def create_unit(raw: Mapping[str, Any], parent: Unit | None = None, *, since: date | None = None) -> Unit:
    """Add a unit below ``parent`` (None: a new root). ``raw`` is as in ``FIELDS``; ``since`` defaults to today.

    Raises:
        InvalidData: a field does not fit, or the code is taken.
        NotAllowed: the actor may not manage units there.
    """
    if parent is None:
        _require_anywhere()
    else:
        require(ADMIN, parent.id)
    unit = Unit(**_checked(raw), parent_id=parent.id if parent else None)
    session().add(unit)
    session().flush()
    unit.path = _path(parent, unit.id)
    session().add(UnitParent(unit_id=unit.id, parent_id=unit.parent_id, valid_from=since or today(unit)))
    session().flush()
    return unit


def change_unit(unit: Unit, raw: Mapping[str, Any], version: int | None = None) -> Unit:
    """Change a unit's own data (name, kind, address ...); its place in the tree is changed by ``move_unit``.

    Raises:
        Conflict: ``version`` is given and somebody changed the unit meanwhile.
        InvalidData: a field does not fit, or the code is taken.
        NotAllowed: the actor may not manage this unit.
    """
    require(ADMIN, unit.id)
    if version is not None and version != unit.version:
        raise Conflict()
    for name, value in _checked(raw, unit.id).items():
        setattr(unit, name, value)
    session().flush()
    return unit


def move_unit(unit: Unit, parent: Unit | None, *, since: date | None = None) -> Unit:
    """Put a unit, with everything below it, under another parent. The tree of earlier days is kept.

    Raises:
        Refused: the new parent is the unit itself, lies below it, or the tree would be too deep.
        NotAllowed: the actor may not manage the unit or its new parent.
    """
    require(ADMIN, unit.id)
    if parent is None:
        _require_anywhere()
    else:
        require(ADMIN, parent.id)
    _refuse_impossible(unit, parent)
    if unit.parent_id == (parent.id if parent else None):
        return unit
    old, new = unit.path, _path(parent, unit.id)
    below = (
        update(Unit)
        .where(Unit.path.startswith(old, autoescape=True), Unit.id != unit.id)
        .values(path=new + func.substr(Unit.path, len(old) + 1))
    )
    unit.parent_id, unit.path = (parent.id if parent else None), new
    _remember_parent(unit, since or today(unit))
    session().flush()
    options = {"synchronize_session": "fetch", "audited": "paths follow from the move, which is in the trail"}
    session().execute(below, execution_options=options)
    return unit


def set_active(unit: Unit, active: bool) -> Unit:
    """Close a unit (it stays readable, nothing new begins there) or open it again.

    Raises:
        Refused: a unit below it is still open, or its parent is closed.
        NotAllowed: the actor may not manage this unit.
    """
    require(ADMIN, unit.id)
    if not active and session().scalar(select(func.count(Unit.id)).where(Unit.parent_id == unit.id, Unit.active)):
        raise Refused([Refusal("open_below", _l("Units below it are still open; close those first"))])
    if active and unit.parent_id and not session().scalar(select(Unit.active).where(Unit.id == unit.parent_id)):
        raise Refused([Refusal("closed_above", _l("The unit above it is closed"))])
    unit.active = active
    session().flush()
    return unit


# --- reading -------------------------------------------------------------------------------------


def unit_by_code(code: str) -> Unit:
    """Return the unit with this code.

    Raises:
        NotFound: there is none.
    """
    found = session().scalars(select(Unit).where(Unit.code == code)).first()
    if found is None:
        raise NotFound(_l("No unit has the code %(code)s", code=code))
    return found


def tree(*, with_closed: bool = False) -> list[Unit]:
    """Return all units, parents before their children."""
    wanted = select(Unit) if with_closed else select(Unit).where(Unit.active)
    units = session().scalars(wanted).all()
    by_id = {unit.id: unit for unit in units}
    return sorted(units, key=lambda unit: [_sort_key(by_id, part) for part in unit.path.strip("/").split("/")])


def _sort_key(by_id: Mapping[int, Unit], part: str) -> tuple[str, int]:
    unit = by_id.get(int(part))
    return (unit.code if unit else "", int(part))


def below(unit: Unit, *, itself: bool = True) -> list[Unit]:
    """Return the units under ``unit``, in tree order."""
    found = select(Unit).where(Unit.path.startswith(unit.path, autoescape=True)).order_by(Unit.path)
    return [one for one in session().scalars(found) if itself or one.id != unit.id]


def ancestors(unit: Unit, on: date | None = None) -> list[int]:
    """Return the ids from the unit's parent up to the root, as the tree is today or was ``on`` a day."""
    if on is None:
        return [int(part) for part in reversed(unit.path.strip("/").split("/")[:-1])]
    line: list[int] = []
    current: int | None = unit.id
    while current is not None and len(line) <= MAX_DEPTH:
        current = session().scalar(
            select(UnitParent.parent_id)
            .where(UnitParent.unit_id == current, UnitParent.valid_from <= on)
            .order_by(UnitParent.valid_from.desc())
            .limit(1)
        )
        if current is not None:
            line.append(current)
    return line


def today(unit: Unit) -> date:
    """Return the present day in the unit's time zone."""
    return clock.day_in(unit.timezone)


# --- inside ----------------------------------------------------------------------------------------


def _checked(raw: Mapping[str, Any], own_id: int | None = None) -> dict[str, Any]:
    defaults = {one.name: one.default for one in FIELDS if one.default is not None}
    values = clean(FIELDS, {**defaults, **raw})
    values = {name: "" if value is None and _is_text(name) else value for name, value in values.items()}
    values["code"] = values["code"].upper()
    problems = dict(_problems(values, own_id))
    if problems:
        raise InvalidData(problems)
    return values


def _problems(values: Mapping[str, Any], own_id: int | None) -> Iterator[tuple[str, Any]]:
    """Yield (field, message) for what is wrong with a unit's data as a whole."""
    taken = select(Unit.id).where(Unit.code == values["code"], Unit.id != (own_id or 0))
    if not _CODE.match(values["code"]):
        yield "code", _l("Capital letters, digits and hyphens only")
    elif session().scalar(taken):
        yield "code", _l("Another unit has this code")
    if values["region_code"] and not _REGION.match(values["region_code"]):
        yield "region_code", _l("A region code has six digits")
    if (values["latitude"] is None) != (values["longitude"] is None):
        empty = "latitude" if values["latitude"] is None else "longitude"
        yield empty, _l("Give both latitude and longitude, or neither")


def _is_text(name: str) -> bool:
    return name not in ("latitude", "longitude")


def _path(parent: Unit | None, unit_id: int) -> str:
    return f"{parent.path if parent else '/'}{unit_id}/"


def _require_anywhere() -> None:
    """A root belongs to nobody's unit: whoever manages an existing root, or the system, may add one."""
    roots = session().scalars(select(Unit.id).where(Unit.parent_id.is_(None))).all()
    if roots:
        require(ADMIN, roots[0])
    else:
        require(ADMIN, 0)


def _refuse_impossible(unit: Unit, parent: Unit | None) -> None:
    if parent is None:
        return
    if parent.path.startswith(unit.path):
        raise Refused([Refusal("cycle", _l("A unit cannot be put under itself"))])
    deepest = session().scalar(
        select(func.max(func.length(Unit.path) - func.length(func.replace(Unit.path, "/", "")))).where(
            Unit.path.startswith(unit.path, autoescape=True)
        )
    )
    if parent.path.count("/") + (deepest or 0) - unit.path.count("/") + 1 > MAX_DEPTH:
        raise Refused(
            [Refusal("too_deep", _l("The tree would be more than %(count)d levels deep", count=MAX_DEPTH))]
        )


def _remember_parent(unit: Unit, since: date) -> None:
    """Two moves on one day leave one row: the last."""
    same_day = select(UnitParent).where(UnitParent.unit_id == unit.id, UnitParent.valid_from == since)
    row = session().scalars(same_day).first() or UnitParent(unit_id=unit.id, valid_from=since)
    row.parent_id = unit.parent_id
    session().add(row)
