"""The one list component: keyset pages, filters in the URL, capped counts. It reads, and knows no screen."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import current_app
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from itsdangerous import BadData, URLSafeSerializer
from sqlalchemy import Select, func, literal, select, tuple_

from core.kernel import clock
from core.kernel.database import UnitScoped, session
from core.kernel.fields import Choices, normalise

log = logging.getLogger(__name__)

PAGE_SIZES = (25, 50, 100)
PAGE_SIZE = 50
COUNT_CAP = 10_000
# Words of the URL that are the list's own; a filter's values stand under ``f_`` and its key.
CURSOR, ORDER, SIZE, SEARCH, QUICK, UNITS, COLUMNS = "cursor", "order", "size", "search", "quick", "units", "cols"
Args = Mapping[str, list[str]]


@dataclass(frozen=True)
class ListContext:
    """Who looks, from where: the actor's id, the current unit's id and zone, and its hooks (or None).

    ``units`` are those "all my units" means: where the actor may see this list.
    """

    actor_id: int | None
    unit_id: int
    timezone: str
    hooks: Any = None
    units: frozenset[int] = frozenset()

    def today(self) -> date:
        """Return the present day in the unit's zone."""
        return clock.day_in(self.timezone)

    def day_start(self, day: date) -> datetime:
        """Return the moment (UTC) at which ``day`` begins in the unit's zone."""
        return datetime.combine(day, time.min, ZoneInfo(self.timezone)).astimezone(UTC)


@dataclass(frozen=True)
class ListColumn:
    """One column. ``value`` gives the plain value, which screen and export share.

    ``kind``: text, code, moment, date, money, number, bool, badge. For ``badge``, ``value`` gives
    ``(label, tone)`` with a tone of: neutral, info, good, warn, bad, paused.
    ``card``: the place on a phone card: title, badge, meta (label and value), or hide.
    ``order`` names the ordering that a click on the heading chooses.
    """

    key: str
    label: Any
    value: Callable[[Any], Any]
    kind: str = "text"
    order: str = ""
    link: Callable[[Any], str] | None = None
    card: str = "meta"
    visible: bool = True
    export: Callable[[Any], Any] | None = None


@dataclass(frozen=True)
class Ordering:
    """An order with an index behind it. All columns go one way, are never NULL, and the last is the id.

    ``where`` narrows the list where the index is partial (e.g. only rows with a due time).
    ``key`` reads the columns' values from a row when they aren't attributes of the row itself.
    """

    key: str
    label: Any
    columns: Sequence[Any]
    descending: bool = True
    where: Any = None
    read: Callable[[Any], tuple[Any, ...]] | None = None

    def values(self, row: Any) -> tuple[Any, ...]:
        return self.read(row) if self.read else tuple(getattr(row, column.key) for column in self.columns)


Narrow = Callable[[Select[Any], Any, ListContext], Select[Any]]


@dataclass(frozen=True)
class Filter:
    """A filter. ``apply(statement, value, context)`` gets, by ``kind``:

    choice: a list of codes (joined with OR); text: a string; bool: True or False;
    dates: a pair of moments (start, end) of which either may be None, end exclusive.
    """

    key: str
    label: Any
    kind: str
    apply: Narrow
    choices: Choices | Callable[[], Choices] = ()

    def choice_list(self) -> Choices:
        return self.choices() if callable(self.choices) else self.choices


def among(column: Any) -> Narrow:
    """Return the ``apply`` of a choice filter: the column holds one of the codes."""
    return lambda statement, codes, _context: statement.where(column.in_(codes))


def between(column: Any) -> Narrow:
    """Return the ``apply`` of a dates filter: the column's moment lies in the span."""

    def narrow(statement: Select[Any], span: Any, _context: ListContext) -> Select[Any]:
        start, end = span
        statement = statement.where(column >= start) if start else statement
        return statement.where(column < end) if end else statement

    return narrow


@dataclass(frozen=True)
class QuickFilter:
    """A filter at one click, shown as a tab over the list."""

    key: str
    label: Any
    apply: Callable[[Select[Any], ListContext], Select[Any]]


@dataclass(frozen=True)
class BulkAction:
    """An action on the chosen rows: ``run(row, values)`` calls one service and may raise an AppError.

    Every row has its own transaction, so one refusal does not undo the others. Where the rows belong together
    (printing), ``page(ids)`` answers a page for all of them instead; it looks the ids up itself, scoped.
    """

    key: str
    label: Any
    run: Callable[[Any, dict[str, Any]], object] = lambda _row, _values: None
    permission: str = ""
    confirm: Any = ""
    fields: Callable[[], Sequence[Any]] = tuple
    page: Callable[[Sequence[str]], Any] | None = None


@dataclass(frozen=True)
class ListSpec:
    """What one list shows. ``model`` has an integer ``id``; ``base`` may add joins and eager loading."""

    name: str
    title: Any
    model: Any
    columns: Sequence[ListColumn]
    orderings: Sequence[Ordering]
    filters: Sequence[Filter] = ()
    quick: Sequence[QuickFilter] = ()
    actions: Sequence[BulkAction] = ()
    search: Callable[[Select[Any], str, ListContext], Select[Any]] | None = None
    search_hint: Any = ""
    base: Callable[[], Select[Any]] | None = None
    row_tone: Callable[[Any], str] | None = None
    empty: Any = field(default_factory=lambda: _l("Nothing here yet."))
    # Plugin columns are loaded by row.id unless the list shows something else.
    row_id: Callable[[Any], int] = field(default=lambda row: int(row.id))
    # Reads for all rows of a page at once what its columns cannot see in the rows themselves.
    prepare: Callable[[Sequence[Any]], None] | None = None

    def by_unit(self) -> bool:
        return isinstance(self.model, type) and issubclass(self.model, UnitScoped)


@dataclass(frozen=True)
class ListState:
    """What the URL asks for, after checking: unknown words and malformed values are dropped."""

    spec: ListSpec
    ordering: Ordering
    size: int
    search: str
    quick: QuickFilter | None
    filters: dict[str, list[str]]
    all_units: bool
    columns: tuple[str, ...]
    direction: str = ""
    position: tuple[Any, ...] = ()

    def query(self, **changes: Any) -> str:
        """Return the query string of this state; a change of None drops the word. The cursor is never kept."""
        words: dict[str, Any] = {
            ORDER: self.ordering.key if self.ordering is not self.spec.orderings[0] else None,
            SIZE: self.size if self.size != PAGE_SIZE else None,
            SEARCH: self.search or None,
            QUICK: self.quick.key if self.quick else None,
            UNITS: "all" if self.all_units else None,
            COLUMNS: list(self.columns) or None,
        }
        words |= {f"f_{key}": values for key, values in self.filters.items()}
        words |= changes
        return urlencode({k: v for k, v in words.items() if v not in (None, "", [])}, doseq=True)

    def hidden(self, filters: bool = True, **changes: Any) -> list[tuple[str, str]]:
        """Return (name, value) pairs for a GET form that keeps this state, with ``changes`` as in ``query``."""
        dropped = {} if filters else self.no_filters()
        return parse_qsl(self.query(**dropped, **changes))

    def no_filters(self) -> dict[str, None]:
        """Return the changes that take every filter away."""
        return {f"f_{key}": None for key in self.filters}

    def filter_key(self) -> tuple[Any, ...]:
        """Return what the panel of filters depends on: what is chosen, and choices that are not fixed."""
        chosen = tuple((key, tuple(values)) for key, values in self.filters.items())
        return chosen, tuple(tuple(one.choice_list()) for one in self.spec.filters if callable(one.choices))

    def narrowed(self) -> bool:
        """Tell whether anything narrows the list."""
        return bool(self.search or self.quick or self.filters)


@dataclass(frozen=True)
class Page:
    """One page of rows with what the template needs to draw it."""

    spec: ListSpec
    state: ListState
    rows: Sequence[Any]
    columns: Sequence[ListColumn]
    next_cursor: str = ""
    previous_cursor: str = ""

    def chips(self) -> list[tuple[Any, str, str]]:
        """Return (label, value, query string without it) for each filter in force."""
        found: list[tuple[Any, str, str]] = []
        for one in self.spec.filters:
            values = self.state.filters.get(one.key, [])
            words = dict(one.choice_list()) if values and one.kind == "choice" else {}
            for value in values:
                rest = [v for v in values if v != value]
                shown = str(words.get(value) or _value_label(one, value))
                found.append((one.label, shown, self.state.query(**{f"f_{one.key}": rest})))
        if self.state.search:
            found.append((_("Search"), self.state.search, self.state.query(search=None)))
        return found


# --- reading the URL ------------------------------------------------------------------------------


def read_state(spec: ListSpec, args: Args) -> ListState:
    """Read a list's URL. Nothing in it can fail: what is malformed counts as absent."""
    ordering = _named(spec.orderings, _one(args, ORDER)) or spec.orderings[0]
    size = int(_one(args, SIZE)) if _one(args, SIZE) in map(str, PAGE_SIZES) else PAGE_SIZE
    given = ((f, _given(f, args)) for f in spec.filters)
    filters = {f.key: kept for f, raw in given if raw and (kept := _filter_values(f, raw))}
    direction, position = _read_cursor(spec, ordering, _one(args, CURSOR))
    known = {column.key for column in spec.columns}
    return ListState(
        spec=spec,
        ordering=ordering,
        size=size,
        search=normalise(_one(args, SEARCH))[:80] if spec.search else "",
        quick=_named(spec.quick, _one(args, QUICK)),
        filters=filters,
        all_units=spec.by_unit() and _one(args, UNITS) == "all",
        columns=tuple(dict.fromkeys(c for c in args.get(COLUMNS, []) if c in known)),
        direction=direction,
        position=position,
    )


def _one(args: Args, key: str) -> str:
    values = args.get(key) or [""]
    return values[0]


def _named(items: Sequence[Any], key: str) -> Any:
    return next((item for item in items if item.key == key), None)


def _given(one: Filter, args: Args) -> Sequence[str]:
    """Return a filter's raw values; a form sends the two ends of a span of dates apart."""
    name = f"f_{one.key}"
    given = [v for v in args.get(name, []) if v]
    if given or one.kind != "dates":
        return given
    start, end = _one(args, f"{name}_from"), _one(args, f"{name}_to")
    return [f"{start}..{end}"] if start or end else []


def _filter_values(one: Filter, given: Sequence[str]) -> list[str]:
    values = [v for v in dict.fromkeys(normalise(g) for g in given) if v][:50]
    if one.kind == "choice":
        known = {str(code) for code, _label in one.choice_list()}
        return [v for v in values if v in known]
    if one.kind == "bool":
        return [v for v in values if v in ("1", "0")][:1]
    if one.kind == "dates":
        return [v for v in values if _range_words(v) is not None][:1]
    return [v[:80] for v in values][:1]


DATE_WORDS = {
    "today": _l("Today"),
    "yesterday": _l("Yesterday"),
    "7d": _l("Last 7 days"),
    "30d": _l("Last 30 days"),
    "month": _l("This month"),
    "last_month": _l("Last month"),
}


def _range_words(value: str) -> tuple[str, str] | None:
    """Split a date filter into (start, end) texts, a known word standing alone; None when malformed."""
    if value in DATE_WORDS:
        return value, ""
    start, dots, end = value.partition("..")
    if not dots or not (start or end):
        return None
    try:
        days = [date.fromisoformat(part) for part in (start, end) if part]
    except ValueError:
        return None
    return (start, end) if all(1950 <= day.year <= 2200 for day in days) else None


def date_range(value: str, context: ListContext) -> tuple[datetime | None, datetime | None]:
    """Turn a checked date filter into moments (start, end), the end exclusive."""
    today = context.today()
    first = today.replace(day=1)
    spans = {
        "today": (today, today),
        "yesterday": (today - timedelta(1), today - timedelta(1)),
        "7d": (today - timedelta(6), today),
        "30d": (today - timedelta(29), today),
        "month": (first, today),
        "last_month": ((first - timedelta(1)).replace(day=1), first - timedelta(1)),
    }
    if value in spans:
        start, end = spans[value]
        return context.day_start(start), context.day_start(end + timedelta(1))
    left, _dots, right = value.partition("..")
    return (
        context.day_start(date.fromisoformat(left)) if left else None,
        context.day_start(date.fromisoformat(right) + timedelta(1)) if right else None,
    )


def _value_label(one: Filter, value: str) -> Any:
    if one.kind == "bool":
        return _("Yes") if value == "1" else _("No")
    return DATE_WORDS.get(value, value)


# --- the cursor -----------------------------------------------------------------------------------

_PACK: dict[type, tuple[str, Callable[[Any], str]]] = {
    datetime: ("t", datetime.isoformat),
    date: ("y", date.isoformat),
    Decimal: ("d", str),
    UUID: ("u", str),
}
_UNPACK: dict[str, Callable[[str], Any]] = {
    "t": datetime.fromisoformat,
    "y": date.fromisoformat,
    "d": Decimal,
    "u": UUID,
}


def _signer(spec: ListSpec, ordering: Ordering) -> URLSafeSerializer:
    return URLSafeSerializer(current_app.secret_key or "", salt=f"list:{spec.name}:{ordering.key}")


def _write_cursor(spec: ListSpec, ordering: Ordering, direction: str, row: Any) -> str:
    packed = [
        [_PACK[type(v)][0], _PACK[type(v)][1](v)] if type(v) in _PACK else ["", v] for v in ordering.values(row)
    ]
    return str(_signer(spec, ordering).dumps([direction, packed]))


def _read_cursor(spec: ListSpec, ordering: Ordering, text: str) -> tuple[str, tuple[Any, ...]]:
    if not text or len(text) > 1000:
        return "", ()
    try:
        direction, packed = _signer(spec, ordering).loads(text)
    except (BadData, ValueError):
        return "", ()
    values = tuple(_UNPACK[mark](value) if mark else value for mark, value in packed)
    return (direction, values) if len(values) == len(ordering.columns) else ("", ())


# --- statements -----------------------------------------------------------------------------------


def filtered(state: ListState, context: ListContext) -> Select[Any]:
    """Return the list's statement with every filter, but neither order nor page."""
    spec = state.spec
    statement = spec.base() if spec.base else select(spec.model)
    if spec.by_unit():
        unit_id = spec.model.unit_id
        wanted = unit_id.in_(context.units) if state.all_units else unit_id == context.unit_id
        statement = statement.where(wanted)
    if state.ordering.where is not None:
        statement = statement.where(state.ordering.where)
    if state.quick:
        statement = state.quick.apply(statement, context)
    for one in spec.filters:
        values = state.filters.get(one.key)
        if values:
            statement = one.apply(statement, _filter_argument(one, values, context), context)
    if state.search and spec.search:
        statement = spec.search(statement, state.search, context)
    return statement


def _filter_argument(one: Filter, values: list[str], context: ListContext) -> Any:
    if one.kind == "choice":
        return values
    if one.kind == "bool":
        return values[0] == "1"
    if one.kind == "dates":
        return date_range(values[0], context)
    return values[0]


def _ordered(statement: Select[Any], ordering: Ordering, position: tuple[Any, ...], backwards: bool) -> Select[Any]:
    descending = ordering.descending != backwards
    if position:
        here = tuple_(*ordering.columns)
        there = tuple_(*(literal(v, c.type) for v, c in zip(position, ordering.columns, strict=True)))
        statement = statement.where(here < there if descending else here > there)
    return statement.order_by(*(c.desc() if descending else c.asc() for c in ordering.columns))


def load_page(spec: ListSpec, args: Args, context: ListContext) -> Page:
    """Load the page a URL asks for: one statement, plus one load for each plugin column."""
    state = read_state(spec, args)
    backwards = state.direction == "p"
    statement = _ordered(filtered(state, context), state.ordering, state.position, backwards)
    rows = list(session().scalars(statement.limit(state.size + 1)).unique())
    more = len(rows) > state.size
    rows = rows[: state.size]
    if spec.prepare and rows:
        spec.prepare(rows)
    if backwards and not more:
        # Fewer rows than a page before this point: show the first page whole.
        return load_page(spec, {**args, CURSOR: []}, context)
    if backwards:
        rows.reverse()
    has_next, has_previous = (True, more) if backwards else (more, bool(state.position))
    return Page(
        spec=spec,
        state=state,
        rows=rows,
        columns=visible_columns(state, rows, context),
        next_cursor=_write_cursor(spec, state.ordering, "n", rows[-1]) if rows and has_next else "",
        previous_cursor=_write_cursor(spec, state.ordering, "p", rows[0]) if rows and has_previous else "",
    )


def visible_columns(state: ListState, rows: Sequence[Any], context: ListContext) -> list[ListColumn]:
    """Return the chosen columns (or the usual ones), then those of the unit's plugins."""
    spec = state.spec
    wanted = [c for c in spec.columns if (c.key in state.columns if state.columns else c.visible)]
    # The heading's words are looked up once, not again for every cell that carries them.
    return [replace(column, label=str(column.label)) for column in (*wanted, *_plugin_columns(spec, rows, context))]


def _plugin_columns(spec: ListSpec, rows: Sequence[Any], context: ListContext) -> list[ListColumn]:
    if context.hooks is None:
        return []
    found: list[ListColumn] = []
    for plugin, offered in context.hooks.list_columns(list_name=spec.name):
        for column in offered if isinstance(offered, list | tuple) else ():
            texts = _load_texts(plugin, column, rows)
            found.append(_text_column(f"{plugin}.{column.code}", column.label, texts, spec))
    return found


def _load_texts(plugin: str, column: Any, rows: Sequence[Any]) -> Mapping[int, Any]:
    try:
        return column.load(rows) if rows else {}
    except Exception:
        # A column is decoration: a broken one must not take the list away.
        log.exception("list column %s of %s failed", column.code, plugin)
        return {}


def _text_column(key: str, label: Any, texts: Mapping[int, Any], spec: ListSpec) -> ListColumn:
    return ListColumn(key, label, lambda row: texts.get(spec.row_id(row), ""))


def count_text(spec: ListSpec, args: Args, context: ListContext) -> str:
    """Count what the filters leave, up to the cap: "0" ... "10000" or "10000+"."""
    statement = filtered(read_state(spec, args), context)
    ids = statement.limit(None).offset(None).order_by(None).with_only_columns(spec.model.id)
    capped = ids.limit(COUNT_CAP + 1).subquery()
    total = session().scalar(select(func.count()).select_from(capped)) or 0
    return f"{COUNT_CAP}+" if total > COUNT_CAP else str(total)


def all_rows(
    state: ListState, context: ListContext, cap: int | None = None, chunk: int = 1000
) -> Iterator[Sequence[Any]]:
    """Walk every row the filters leave (at most ``cap``), in order, in chunks, so that memory stays flat."""
    base = filtered(state, context)
    position: tuple[Any, ...] = ()
    left = cap
    while left is None or left > 0:
        statement = _ordered(base, state.ordering, position, backwards=False)
        rows = list(session().scalars(statement.limit(chunk if left is None else min(chunk, left))).unique())
        if not rows:
            return
        if state.spec.prepare:
            state.spec.prepare(rows)
        yield rows
        position = state.ordering.values(rows[-1])
        if left is not None:
            left -= len(rows)
