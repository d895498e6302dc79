"""What is done with places: add one or a row of them, change, move, close, find. Services flush, never commit."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.exc import StaleDataError

from core.kernel import search
from core.kernel.access import require
from core.kernel.database import fetch, session
from core.kernel.errors import Conflict, InvalidData, Refusal, Refused
from core.kernel.fields import Choices, Field, clean, normalise
from core.kernel.i18n import current_locale
from core.kernel.ids import read_id
from core.units.models import Unit

from .models import DEEPEST, KINDS, Place

VIEW, EDIT = "place.view", "place.edit"
SEARCH_KIND = "place"
MOST_IN_ROW = 200
BETWEEN = " / "
_BLANKS = re.compile(r"\s+")
_NUMBERS = re.compile(r"([0-9]+)")

PARENT = Field(
    "parent",
    "text",
    _l("Lies in"),
    max_length=40,
    help=_l("The code of the place around it; empty: it stands alone"),
)
KIND = Field("kind", "choice", _l("Kind"), True, KINDS)
FIELDS: tuple[Field, ...] = (
    PARENT,
    KIND,
    Field(
        "code",
        "text",
        _l("Place code"),
        True,
        max_length=40,
        help=_l("As it stands on the label; only once in the unit"),
    ),
    Field("name", "text", _l("Name"), max_length=80, help=_l("Empty: the code")),
    Field("name_en", "text", _l("Name in English"), max_length=80),
    Field(
        "sort",
        "int",
        _l("Order in the list"),
        minimum=Decimal(0),
        maximum=Decimal(9999),
        help=_l("Smaller ones stand first"),
    ),
    Field("note", "long", _l("Note"), max_length=2000),
)
ROW_FIELDS: tuple[Field, ...] = (
    PARENT,
    KIND,
    Field(
        "prefix",
        "text",
        _l("Begins with"),
        max_length=30,
        help=_l("What stands before the number, such as 08 or A-"),
    ),
    Field("first", "int", _l("First number"), True, minimum=Decimal(0), maximum=Decimal(99999)),
    Field("last", "int", _l("Last number"), True, minimum=Decimal(0), maximum=Decimal(99999)),
    Field(
        "digits",
        "int",
        _l("Digits"),
        minimum=Decimal(1),
        maximum=Decimal(6),
        help=_l("Shorter numbers get noughts in front; empty: as they are"),
    ),
)


# --- writing -----------------------------------------------------------------------------------------


def create_place(unit_id: int, raw: Mapping[str, Any]) -> Place:
    """Add a place (``EDIT``): ``FIELDS``; ``parent`` is a code, or an id where it is a number of Python.

    Raises:
        NotAllowed. InvalidData: beside the field; the code is taken, the place around unknown, closed or too deep.
    """
    require(EDIT, unit_id)
    _lock_tree(unit_id)
    given, errors = _read(FIELDS, raw)
    parent = _read_parent(unit_id, raw, errors)
    code = tidy_code(given.get("code"))
    _fits("code", code, errors)
    if code and by_code(unit_id, code) is not None:
        errors.setdefault("code", _taken([code]))
    if errors:
        raise InvalidData(errors)
    place = Place(unit_id=unit_id, **_columns(given, code))
    _add([place], parent)
    return place


def create_row(unit_id: int, raw: Mapping[str, Any]) -> list[Place]:
    """Add several places at once (``EDIT``): ``ROW_FIELDS``, such as rooms 0801 to 0820. None where one is refused.

    Raises:
        NotAllowed. InvalidData: beside the field; too many, or codes that are taken.
    """
    require(EDIT, unit_id)
    _lock_tree(unit_id)
    given, errors = _read(ROW_FIELDS, raw)
    parent = _read_parent(unit_id, raw, errors)
    codes = _row_codes(given, errors)
    taken = session().scalars(select(Place.code).where(Place.unit_id == unit_id, Place.code.in_(codes))).all()
    if taken:
        errors.setdefault("first", _taken(sorted(taken)))
    if errors:
        raise InvalidData(errors)
    places = [Place(unit_id=unit_id, kind=given["kind"], code=code, name=code) for code in codes]
    _add(places, parent)
    return places


def change_place(place: Place, raw: Mapping[str, Any], version: int | None = None) -> Place:
    """Change a place (``EDIT``): those of ``FIELDS`` that are given; another ``parent`` moves it and all below it.

    ``version`` is the one the form showed.

    Raises:
        NotAllowed. Conflict: somebody else changed it meanwhile. InvalidData: beside the field; it would lie in
        itself, in a closed place or too deep.
    """
    require(EDIT, place.unit_id)
    _lock(place)
    if version is not None and place.version != version:
        raise Conflict()
    given, errors = _read([one for one in FIELDS if one.name in raw], raw)
    parent = _read_parent(place.unit_id, raw, errors, place.parent_id) if "parent" in raw else None
    moves = "parent" in raw and "parent" not in errors and _id_of(parent) != place.parent_id
    if moves:
        _check_move(place, parent, errors)
    code = tidy_code(given.get("code")) or place.code
    _fits("code", code, errors)
    other = by_code(place.unit_id, code) if code != place.code else None
    if other is not None:
        errors.setdefault("code", _taken([code]))
    if errors:
        raise InvalidData(errors)
    for name, value in _columns(given, code).items():
        if name == "code" or name in given:
            setattr(place, name, value)
    if moves:
        _move(place, parent)
    _save(place)
    return place


def close_place(place: Place) -> None:
    """Close a place that is no longer used (``EDIT``).

    Raises:
        NotAllowed. Refused: something below it is still open.
    """
    require(EDIT, place.unit_id)
    _lock(place)
    below = select(Place.code).where(within(place), Place.id != place.id, Place.active)
    open_below = session().scalars(below.order_by(Place.path).limit(1)).first()
    if open_below is not None:
        text = _l("%(code)s below it is still in use; close what lies in it first", code=open_below)
        raise Refused([Refusal("place.open_below", text)])
    place.active = False
    _save(place)


def reopen_place(place: Place) -> None:
    """Take a closed place into use again (``EDIT``).

    Raises:
        NotAllowed. Refused: the place it lies in is closed.
    """
    require(EDIT, place.unit_id)
    _lock(place)
    parent = session().get(Place, place.parent_id) if place.parent_id else None
    if parent is not None and not parent.active:
        text = _l("%(code)s, in which it lies, is closed; reopen that first", code=parent.code)
        raise Refused([Refusal("place.closed_around", text)])
    place.active = True
    _save(place)


def _lock_tree(unit_id: int) -> None:
    """Changes of one unit's tree go one after the other: two moves at once could make a circle."""
    session().execute(select(Unit.id).where(Unit.id == unit_id).with_for_update(key_share=True))


def _lock(place: Place) -> None:
    """Wait for one's turn in the tree, and see the place as it is then."""
    _lock_tree(place.unit_id)
    session().refresh(place)


def _add(places: Sequence[Place], parent: Place | None) -> None:
    """Add places of one unit below ``parent``; the path needs the id, which only the database knows."""
    for place in places:
        place.parent_id, place.depth = _id_of(parent), _depth_below(parent)
    work = session()
    try:
        with work.begin_nested():
            work.add_all(places)
            work.flush()
    except IntegrityError:  # where something wrote without the lock
        raise InvalidData({"code": _taken([one.code for one in places][:1])}) from None
    for place in places:
        place.path = f"{parent.path if parent else '/'}{place.id}/"
    work.flush()
    reindex(places)


def _save(place: Place) -> None:
    try:
        session().flush()
    except StaleDataError:
        raise Conflict() from None
    reindex([place])


def _move(place: Place, parent: Place | None) -> None:
    """Move a place with all below it; their paths in one statement."""
    old, new = place.path, f"{parent.path if parent else '/'}{place.id}/"
    deeper = _depth_below(parent) - place.depth
    moved = (
        update(Place)
        .where(within(place), Place.id != place.id)
        .values(path=new + func.substr(Place.path, len(old) + 1), depth=Place.depth + deeper)
    )
    options = {"synchronize_session": "fetch", "audited": "paths follow from the move, which is in the trail"}
    session().execute(moved, execution_options=options)
    place.parent_id, place.path, place.depth = _id_of(parent), new, _depth_below(parent)


def _check_move(place: Place, parent: Place | None, errors: dict[str, Any]) -> None:
    if parent is None:
        return
    if parent.path.startswith(place.path):
        errors["parent"] = _l("A place cannot lie in itself")
        return
    deepest = session().scalar(select(func.max(Place.depth)).where(within(place))) or place.depth
    if parent.depth + 1 + deepest - place.depth >= DEEPEST:
        errors["parent"] = _too_deep()


def _too_deep() -> Any:
    return _l("Places lie at most %(count)d deep", count=DEEPEST)


def _depth_below(parent: Place | None) -> int:
    return parent.depth + 1 if parent else 0


def _id_of(place: Place | None) -> int | None:
    return place.id if place else None


# --- reading what was entered ------------------------------------------------------------------------


def tidy_code(text: object) -> str:
    """Return a code as it is stored and compared: plain letters and digits, capitals, no blanks."""
    return _BLANKS.sub("", normalise(str(text if text is not None else ""))).upper()


def _fits(name: str, code: str, errors: dict[str, Any], most: int = 40) -> bool:
    """Tell whether a tidied code is short enough; in capitals some letters are two (ß)."""
    if len(code) > most:
        errors.setdefault(name, _l("At most %(count)d characters", count=most))
    return len(code) <= most


def _read(fields: Collection[Field], raw: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what was entered and what is wrong with it; the parent is read by ``_read_parent``."""
    asked = [one for one in fields if one.name != PARENT.name]
    try:
        return clean(asked, raw), {}
    except InvalidData as bad:
        rest = [one for one in asked if one.name not in bad.errors]
        return clean(rest, raw), dict(bad.errors)


def _read_parent(
    unit_id: int, raw: Mapping[str, Any], errors: dict[str, Any], held: int | None = None
) -> Place | None:
    """Return the place around; ``held`` is the one it lies in already, to which nothing can be objected."""
    given = raw.get(PARENT.name)
    if given is None or (isinstance(given, str) and not given.strip()):
        return None
    # 0 is nobody's id: a number that is none finds nothing.
    wanted = Place.id == (read_id(given) or 0) if isinstance(given, int) else Place.code == tidy_code(given)
    found = (
        session()
        .scalars(select(Place).where(Place.unit_id == unit_id, wanted).execution_options(populate_existing=True))
        .first()
    )
    if found is None:
        errors["parent"] = _l("There is no place of this code")
    elif found.id == held:
        return found
    elif not found.active:
        errors["parent"] = _l("This place is closed")
    elif found.depth + 1 >= DEEPEST:
        errors["parent"] = _too_deep()
    return found


def _columns(given: Mapping[str, Any], code: str) -> dict[str, Any]:
    """Return the columns of a cleaned form; the name falls back to the code."""
    found = {name: given[name] for name in ("kind",) if given.get(name)}
    sort = given.get("sort")
    return {
        **found,
        "code": code,
        "name": given.get("name") or code,
        "name_en": given.get("name_en") or "",
        "sort": 100 if sort is None else sort,
        "note": given.get("note") or "",
    }


def _row_codes(given: Mapping[str, Any], errors: dict[str, Any]) -> list[str]:
    first, last = given.get("first"), given.get("last")
    if first is None or last is None:
        return []
    if last < first:
        errors.setdefault("last", _l("The last number is smaller than the first"))
        return []
    if last - first >= MOST_IN_ROW:
        errors.setdefault("last", _l("At most %(count)d at once", count=MOST_IN_ROW))
        return []
    prefix, digits = tidy_code(given.get("prefix")), given.get("digits") or 1
    if not _fits("prefix", prefix, errors, 30):
        return []
    return [f"{prefix}{number:0{digits}d}" for number in range(first, last + 1)]


def _taken(codes: Sequence[str]) -> Any:
    shown = ", ".join(codes[:5]) + (" …" if len(codes) > 5 else "")
    return _l("There is a place of this code already: %(codes)s", codes=shown)


# --- finding -----------------------------------------------------------------------------------------


def get_place(raw_id: object) -> Place:
    """Return a place by an id that came from a request.

    Raises:
        NotFound: no such place, or of another unit.
    """
    return fetch(Place, raw_id)


def by_code(unit_id: int, code: object) -> Place | None:
    """Return the unit's place of this code in any spelling, open or closed, or None."""
    return session().scalars(select(Place).where(Place.unit_id == unit_id, Place.code == tidy_code(code))).first()


def within(place: Place) -> ColumnElement[bool]:
    """Return the condition on ``Place`` for a place and all below it."""
    return (Place.unit_id == place.unit_id) & Place.path.startswith(place.path, autoescape=True)


def tree(unit_id: int, *, closed: bool = False) -> list[Place]:
    """Return the places of a unit, each followed by what lies in it; ``closed``: also those no longer used."""
    wanted = select(Place).where(Place.unit_id == unit_id)
    if not closed:
        wanted = wanted.where(Place.active)
    return in_order(session().scalars(wanted).all())


def in_order(places: Iterable[Place]) -> list[Place]:
    """Return places in the order of the tree; within one place by their order, then code (9 before 10)."""
    rows = list(places)
    keys = {one.id: (one.sort, _by_number(one.code), one.id) for one in rows}

    def key(place: Place) -> list[tuple[Any, ...]]:
        return [keys.get(part, (0, [], part)) for part in _ids(place)]

    return sorted(rows, key=key)


def _by_number(code: str) -> list[tuple[int, int, str]]:
    parts = (part for part in _NUMBERS.split(code) if part)
    return [(0, int(part), part) if part.isdigit() else (1, 0, part) for part in parts]


def _ids(place: Place) -> list[int]:
    return [int(part) for part in place.path.split("/") if part]


def children(place: Place) -> list[Place]:
    """Return what lies right in a place, open or closed."""
    return in_order(session().scalars(select(Place).where(Place.parent_id == place.id)))


def around(place: Place) -> list[Place]:
    """Return the places a place lies in, outermost first."""
    wanted = [part for part in _ids(place) if part != place.id]
    found = {one.id: one for one in session().scalars(select(Place).where(Place.id.in_(wanted)))} if wanted else {}
    return [found[key] for key in wanted if key in found]


def name_of(place: Place) -> str:
    """Return the name of a place in the language of whoever reads it."""
    return place.name_en if place.name_en and current_locale() == "en" else place.name


def full_name(place: Place) -> str:
    """Return the names from the outermost place down to this one."""
    return BETWEEN.join(name_of(one) for one in (*around(place), place))


def full_names_of(rows: Iterable[Place]) -> dict[int, str]:
    """Return the full names of places by id, in one statement."""
    held = {one.id: one for one in rows}
    missing = {part for one in held.values() for part in _ids(one)} - set(held)
    known = dict(held)
    if missing:
        known |= {one.id: one for one in session().scalars(select(Place).where(Place.id.in_(missing)))}
    return {key: _joined(one, known) for key, one in held.items()}


def full_names(unit_id: int, ids: Iterable[int | None]) -> dict[int, str]:
    """Return the full names of places of a unit by id, in two statements for however many."""
    wanted = {one for one in ids if one is not None}
    if not wanted:
        return {}
    return full_names_of(session().scalars(select(Place).where(Place.unit_id == unit_id, Place.id.in_(wanted))))


def find(units: Collection[int], text: str, limit: int) -> list[Place]:
    """Return places of some units found by words of their code and names; a whole code comes first."""
    ids = [one.entity_id for one in search.search(frozenset(units), SEARCH_KIND, text, limit)]
    wanted = or_(Place.id.in_(ids), and_(Place.unit_id.in_(units), Place.code == tidy_code(text)))
    found = session().scalars(select(Place).where(wanted)).all()
    return sorted(found, key=lambda one: (one.code != tidy_code(text), -one.id))[:limit]


def _joined(place: Place, known: Mapping[int, Place]) -> str:
    return BETWEEN.join(name_of(known[part]) for part in _ids(place) if part in known)


def choices(unit_id: int, kinds: Collection[str] = ()) -> Choices:
    """Return the open places of a unit as (id, full name) in tree order; ``kinds``: only of these."""
    rows = tree(unit_id)
    known = {one.id: one for one in rows}
    return [(str(one.id), _joined(one, known)) for one in rows if not kinds or one.kind in kinds]


# --- search ------------------------------------------------------------------------------------------


def reindex(places: Iterable[Place]) -> None:
    """Bring the search index up to date with places; the caller has flushed them."""
    search.put_many(SEARCH_KIND, [(one.id, one.unit_id, _search_words(one)) for one in places])


def _search_words(place: Place) -> str:
    return " ".join(dict.fromkeys(one for one in (place.code, place.name, place.name_en) if one))
