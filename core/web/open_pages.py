"""Pages of a plugin for people without an account, who hold a code: a guest with the QR of a room.

Such a page runs as nobody, in the one unit its code belongs to, with the few permissions it names; who is signed in
gains nothing by it and loses nothing. Codes cannot be tried out: wrong ones are counted by the address they
come from, and what is sent in by address and by code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from time import time
from typing import Any, TypeVar, cast

from flask import g, request
from limits import parse
from sqlalchemy import select
from werkzeug.exceptions import TooManyRequests

from core.kernel.database import access_mode, release, set_scope, system_scope
from core.kernel.errors import NotFound
from core.kernel.scope import Scope
from core.units.facts import know
from core.units.models import Unit
from core.users.actor import UnitRow

from .context import SAFE_METHODS, unit_context
from .security import limiter

V = TypeVar("V", bound=Callable[..., Any])


@dataclass(frozen=True)
class Limits:
    """How often an address may ask, name a wrong code and send something in, and how often a code is used for that.

    A house's guests share one address, so addresses get more than codes.
    """

    reads: str = "120 per minute"
    wrong: str = "30 per hour"
    writes: str = "60 per hour"
    writes_of_code: str = "10 per hour"


def open_page(
    find: Callable[[Mapping[str, Any]], int | None], permissions: Iterable[str], limits: Limits | None = None
) -> Callable[[V], V]:
    """Mark a view that needs no signing in. ``find`` answers the unit of the address's parts, None for none.

    It is asked with every unit in reach, so it looks up nothing but the code. Where it answers None, the unit is
    closed or the plugin off there, the page is not found.
    """
    allowed = frozenset(permissions)
    terms = limits or Limits()

    def mark(view: V) -> V:
        cast(Any, view).opens = lambda: _let_in(find, allowed, terms)
        return view

    return mark


def _let_in(find: Callable[[Mapping[str, Any]], int | None], allowed: frozenset[str], terms: Limits) -> None:
    address = request.remote_addr or ""
    writing = request.method not in SAFE_METHODS
    _count(terms.reads, "open-reads", address)
    _count(terms.wrong, "open-wrong", address, hit=False)
    if writing:
        _count(terms.writes, "open-writes", address)
        _count(terms.writes_of_code, "open-code", request.path)
    row = _unit(find)
    if row is None:
        _count(terms.wrong, "open-wrong", address)
        raise NotFound()
    only = frozenset({row.id})
    scope = Scope(None, only, only, "open page", {row.id: allowed}, address)
    held = access_mode.get()
    access_mode.set("read")
    try:
        set_scope(scope)
        g.unit = unit_context(row)
        know(row.id, row.code, row.timezone, row.path)
        if held != "read":
            release()
    finally:
        access_mode.set(held)


def _unit(find: Callable[[Mapping[str, Any]], int | None]) -> UnitRow | None:
    with system_scope("open page", read_only=True) as work:
        unit_id = find(request.view_args or {})
        if unit_id is None:
            return None
        unit = work.scalars(select(Unit).where(Unit.id == unit_id, Unit.active)).first()
        if unit is None:
            return None
        return UnitRow(
            unit.id,
            unit.code,
            unit.name,
            unit.name_en,
            unit.kind,
            unit.timezone,
            unit.locale,
            unit.path,
            active=True,
        )


def _count(limit: str, *key: str, hit: bool = True) -> None:
    """Count one more of what is limited; without ``hit`` only see whether there is any left.

    Raises:
        TooManyRequests.
    """
    if not limiter.enabled:
        return
    item, counter = parse(limit), limiter.limiter
    if counter.hit(item, *key) if hit else counter.test(item, *key):
        return
    wait = max(1, ceil(counter.get_window_stats(item, *key).reset_time - time()))
    raise TooManyRequests(retry_after=wait)
