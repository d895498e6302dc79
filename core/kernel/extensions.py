"""The small things plugins hand to the core through hooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    """A Flask-Admin view and where the menu shows it."""

    view: Any
    category: Any = ""
    weight: int = 50


@dataclass(frozen=True)
class Unavailable:
    """Stands for the result of a soft hook that failed; the page says so and goes on."""

    plugin: str
    hook: str
