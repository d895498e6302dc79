"""The small things plugins hand to the core through hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .fields import Field


@dataclass(frozen=True)
class Blocker:
    """Why a plugin should not be switched off now. ``fatal``: it cannot; else the administrator may insist."""

    reason: Any
    fatal: bool = False


@dataclass(frozen=True)
class OpenItem:
    """What a person who leaves still holds or owes: said in words, with the page where it is put right."""

    text: Any
    url: str = ""


@dataclass(frozen=True)
class Badge:
    """A short mark beside a thing (covered until ...). ``tone``: '', 'good', 'info', 'warn' or 'bad'."""

    label: Any
    tone: str = ""


@dataclass(frozen=True)
class Panel:
    """A box on a record or customer page; ``template`` is rendered with ``context``. Sorted by weight, plugin."""

    code: str
    title: Any
    template: str
    context: Mapping[str, Any] = field(default_factory=dict)
    weight: int = 50


@dataclass(frozen=True)
class FormSection:
    """Fields a plugin adds to the case form. ``save(record, values)`` runs in the transaction of the form."""

    code: str
    title: Any
    fields: Sequence[Field]
    save: Callable[[Any, Mapping[str, Any]], None]
    template: str | None = None


@dataclass(frozen=True)
class Column:
    """A list column. ``load(rows)`` is called once per page and answers {row id: text}."""

    code: str
    label: Any
    load: Callable[[Sequence[Any]], Mapping[int, Any]]


@dataclass(frozen=True)
class Tile:
    """A number on the dashboard. ``tone``: '', 'good', 'warn' or 'bad'."""

    code: str
    title: Any
    value: Any
    url: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Hit:
    """One search result."""

    label: Any
    detail: Any
    url: str


@dataclass(frozen=True)
class SearchSource:
    """Something the search box looks in. ``find(unit, text, limit)`` is asked if the actor holds ``permission``."""

    code: str
    label: Any
    permission: str
    find: Callable[[Any, str, int], Sequence[Hit]]


@dataclass(frozen=True)
class Event:
    """What happened, told after the commit and at least once: handlers must bear repetition (key: ``id``)."""

    id: int
    topic: str
    unit_id: int | None
    payload: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True)
class AdminEntry:
    """A Flask-Admin view and where the menu shows it. ``seldom``: a group of nothing but such starts folded."""

    view: Any
    category: Any = ""
    weight: int = 50
    seldom: bool = False


@dataclass(frozen=True)
class PrintForm:
    """A form that can be printed. ``template`` is a typst file of the plugin's ``templates`` folder.

    ``subject``: a record type's code, ``customer``, or a plugin's own word (``PLUGIN:item``), for which ``find``
    looks the thing up by id inside the scope. ``data(thing)`` answers plain JSON, the only thing the template sees
    beside the frame (company, number, seal, QR, language). ``seal``: the kind of seal it gets, or ''. ``label``: a
    small sticker, printed many to a sheet and not archived: its ``data`` answers ``number``, ``kind``, up to three
    ``lines`` and ``url``, the page its QR leads to (``open``: a path that needs no signing in, which the QR then
    leads to directly); ``template`` '' is the house's drawing. ``files(data)`` answers
    pictures and PDFs by name, which the template finds under ``/files/``.
    """

    code: str
    title: Any
    subject: str
    template: str
    data: Callable[[Any], Mapping[str, Any]]
    permission: str
    seal: str = ""
    label: bool = False
    find: Callable[[object], Any] | None = None
    files: Callable[[Mapping[str, Any]], Mapping[str, bytes]] | None = None
    plugin: str = ""


@dataclass(frozen=True)
class ReportColumn:
    """A column of a report. ``kind``: text, number, money, percent, date, moment. ``total``: summed at the foot.

    ``share``: (part, whole), two summed columns; the column is worked out from them in every row, subtotal and
    total, and ``rows`` leaves it out (``kind`` percent).
    """

    code: str
    label: Any
    kind: str = "text"
    total: bool = False
    share: tuple[str, str] | None = None


@dataclass(frozen=True)
class Report:
    """A report (报表). ``rows(units, values)`` yields one mapping per row, column code -> value, in order.

    ``units`` are the unit ids it covers, the one it is asked in first; ``values`` the cleaned ``filters``. Numbers
    are int or Decimal, texts in the reader's language. The first column is a text. ``group_by`` names the columns
    a reader may group by; ``chart`` is (column of the labels, column of the numbers) or None.
    """

    code: str
    title: Any
    permission: str
    columns: Sequence[ReportColumn]
    rows: Callable[[Sequence[int], Mapping[str, Any]], Iterable[Mapping[str, Any]]]
    filters: Sequence[Field] = ()
    group_by: Sequence[str] = ()
    chart: tuple[str, str] | None = None
    help: Any = ""
    plugin: str = ""


@dataclass(frozen=True)
class ApiResource:
    """A collection under ``/api/v1/<path>`` (a plugin's: ``/api/v1/<plugin>/<path>``) of rows of ``model``.

    ``read`` says which fields are shown (name -> kind of JSON: string, integer, number, money, boolean, date,
    moment, object, objects for a list of them); ``show(rows)`` answers one mapping per row for a whole page at
    once. ``filters`` are columns that may be asked for by equality, or functions (statement, value) that
    answer the narrowed statement. ``create(unit_id, raw)`` and
    ``change(row, raw)`` are services; None: not offered. ``also`` is a further permission that whoever reads needs,
    where the rows tell of something that has one of its own (a record, say). ``own(user_id)`` is the criterion of
    the rows that concern somebody: with it whoever holds ``write_permission`` alone reads those.
    """

    path: str
    title: Any
    model: type[Any]
    permission: str
    read: Mapping[str, str]
    show: Callable[[Sequence[Any]], Sequence[Mapping[str, Any]]]
    filters: Mapping[str, Any] = field(default_factory=dict)
    write_permission: str = ""
    fields: Sequence[Field] = ()
    create: Callable[[int, Mapping[str, Any]], Any] | None = None
    change: Callable[[Any, Mapping[str, Any]], Any] | None = None
    plugin: str = ""
    also: str = ""
    own: Callable[[int], Any] | None = None


def _nothing(*_: Any, **__: Any) -> list[Any]:
    return []


@dataclass(frozen=True)
class Part:
    """A part of a large plugin: what it contributes to each hook, so that the plugin's hooks gather its parts.

    The names are those of the hooks; what is asked per unit takes the hook's arguments by position.
    """

    record_types: Sequence[Any] = ()
    rules: Sequence[Any] = ()
    inspection_uses: Sequence[Any] = ()
    search_sources: Sequence[SearchSource] = ()
    views: Callable[[], Sequence[Any]] = _nothing
    add_routes: Callable[[Any], Any] = _nothing
    importers: Callable[[], Sequence[Any]] = _nothing
    print_forms: Callable[[], Sequence[PrintForm]] = _nothing
    reports: Callable[[], Sequence[Report]] = _nothing
    api_resources: Callable[[], Sequence[ApiResource]] = _nothing
    jobs: Callable[[], Sequence[Any]] = _nothing
    unit_enabled: Callable[[Any], Any] = _nothing
    unit_disabling: Callable[[Any], Sequence[Blocker]] = _nothing
    record_transitioned: Callable[[Any, str, Sequence[Any]], Any] = _nothing
    record_panels: Callable[[Any], Sequence[Panel]] = _nothing
    detail_panels: Callable[[str, Any], Sequence[Panel]] = _nothing
    customer_panels: Callable[[Any], Sequence[Panel]] = _nothing
    dashboard_tiles: Callable[[Any, int], Sequence[Tile]] = _nothing
    badges: Callable[[str, Sequence[Any]], Mapping[int, Badge]] = lambda *_: {}
    charge_changed: Callable[[Any], Any] = _nothing


@dataclass(frozen=True)
class Unavailable:
    """Stands for the result of a soft hook that failed; the page says so and goes on."""

    plugin: str
    hook: str
