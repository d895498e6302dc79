"""Pages of lists: by position, never by number. A cursor is signed, so that nobody makes one up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import current_app, request
from flask_babel import lazy_gettext as _l
from itsdangerous import BadData, URLSafeSerializer
from sqlalchemy import Select, func, literal, select, tuple_

from core.kernel.database import UtcDateTime, session
from core.kernel.errors import InvalidData

from .reading import Param

USUAL, MOST = 50, 200
COUNT_CAP = 10_000
PAGE_PARAMS = (
    Param("limit", "integer", _l("How many at most (usually 50)"), most=MOST),
    Param("cursor", "string", _l("The place to go on from, as the page before said"), most=600),
    Param("fields", "string", _l("Only these fields, separated by commas"), most=600),
    Param("count", "boolean", _l("Count what the filters leave, up to 10000")),
)
FIELDS_PARAM = PAGE_PARAMS[2]


@dataclass(frozen=True)
class Order:
    """The one order of a list. All columns go one way, are never NULL, and the last is unique."""

    name: str
    columns: Sequence[Any]
    descending: bool = True

    def ordered(self, statement: Select[Any], position: tuple[Any, ...]) -> Select[Any]:
        """Order a statement and go on behind ``position``."""
        if position:
            here = tuple_(*self.columns)
            there = tuple_(*(literal(v, c.type) for v, c in zip(position, self.columns, strict=True)))
            statement = statement.where(here < there if self.descending else here > there)
        return statement.order_by(*(c.desc() if self.descending else c.asc() for c in self.columns))

    def place(self, row: Any) -> list[Any]:
        """Return where a row stands, as JSON."""
        values = (getattr(row, column.key) for column in self.columns)
        return [value.isoformat() if isinstance(value, datetime) else value for value in values]

    def read(self, packed: Sequence[Any]) -> tuple[Any, ...]:
        """Read what ``place`` said; nothing is the beginning."""
        pairs = zip(packed, self.columns, strict=bool(packed))
        return tuple(datetime.fromisoformat(v) if isinstance(c.type, UtcDateTime) else v for v, c in pairs)


def write_cursor(name: str, place: Sequence[Any]) -> str:
    """Write a place in a list as a cursor."""
    return str(_signer(name).dumps(list(place)))


def read_cursor(name: str, text: str | None) -> list[Any]:
    """Read a cursor; none is the beginning.

    Raises:
        InvalidData: not one of this list's.
    """
    if text is None:
        return []
    try:
        return list(_signer(name).loads(text))
    except (BadData, ValueError, TypeError):
        raise InvalidData({"cursor": _l("This is no cursor of this list")}) from None


def _signer(name: str) -> URLSafeSerializer:
    return URLSafeSerializer(current_app.secret_key or "", salt=f"api:{name}")


def load(statement: Select[Any], order: Order, query: dict[str, Any]) -> tuple[list[Any], str]:
    """Load one page; return its rows and the cursor of the next, '' at the end."""
    limit = query.get("limit", USUAL)
    position = order.read(read_cursor(order.name, query.get("cursor")))
    rows = list(session().scalars(order.ordered(statement, position).limit(limit + 1)).unique())
    more = len(rows) > limit
    rows = rows[:limit]
    return rows, write_cursor(order.name, order.place(rows[-1])) if more else ""


def counted(statement: Select[Any], column: Any) -> dict[str, Any]:
    """Count what a statement finds, up to the cap."""
    ids = statement.order_by(None).with_only_columns(column).limit(COUNT_CAP + 1).subquery()
    total = session().scalar(select(func.count()).select_from(ids)) or 0
    return {"count": min(total, COUNT_CAP), "count_capped": total > COUNT_CAP}


def wanted_fields(query: dict[str, Any], known: Sequence[str]) -> list[str] | None:
    """Return the fields that were asked for, None for all.

    Raises:
        InvalidData: one that is not there.
    """
    text = query.get("fields")
    if text is None:
        return None
    names = text.split(",")
    if set(names) - set(known):
        raise InvalidData({"fields": _l("There is no such field")})
    return list(dict.fromkeys(names))


def envelope(
    items: Sequence[dict[str, Any]], cursor: str, query: dict[str, Any], count: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Return the body of a list's page."""
    body: dict[str, Any] = {"items": list(items), "next": next_link(cursor) if cursor else None}
    return {**body, **count()} if query.get("count") else body


def next_link(cursor: str) -> str:
    """Return the address (path and query) of the next page."""
    from urllib.parse import urlencode

    kept = [(name, value) for name, value in request.args.items(multi=True) if name not in ("cursor", "count")]
    return f"{request.path}?{urlencode([*kept, ('cursor', cursor)])}"
