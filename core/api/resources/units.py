"""Who one is, the units one reaches, and the clauses that hold in one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.kernel.access import require
from core.kernel.database import current_scope, session
from core.kernel.errors import NotFound
from core.kernel.i18n import current_locale
from core.rules.clauses import Clause, Words
from core.rules.effective import effective
from core.rules.rulebook import current_rulebook
from core.units.models import UnitPlugin
from core.units.switches import enabled_plugins
from core.users.actor import UnitRow

from ..common import PERSON
from ..door import caller, unit_to_write
from ..operations import Operation
from ..paging import USUAL, envelope, read_cursor, wanted_fields, write_cursor
from ..reading import Param
from ..serving import pick, query
from ..shapes import Shape, out

UNIT: Shape = {
    "code": "string",
    "name": "string",
    "name_en": "string",
    "kind": "string",
    "timezone": "string",
    "active": "boolean",
    "plugins": ["string"],
}
ME: Shape = {"user": "#person", "token": "string", "scopes": ["string"], "units": ["string"]}
CLAUSE: Shape = {
    "id": "string",
    "regulation": "string",
    "kind": "string",
    "title": "string",
    "text": "string",
    "responsible": "string",
    "holds": "boolean",
    "values": "object",
    "plugin": "string",
}
SHAPES: Mapping[str, Shape] = {"unit": UNIT, "clause": CLAUSE, "person": PERSON}
CLAUSE_FILTERS = (
    Param("q", "string", _l("Words or number"), most=60),
    Param("holds", "boolean", _l("Only those that hold, or do not")),
)


def get_me() -> dict[str, Any]:
    """Say who the token speaks for and what it may do."""
    who = caller()
    return {
        "user": {"id": who.actor.id, "name": who.actor.name},
        "token": who.token.name,
        "scopes": sorted(who.token.scopes),
        "units": [unit.code for unit in _reached()],
    }


def _reached() -> list[UnitRow]:
    return [unit for unit in caller().actor.tree if unit.id in current_scope().read]


def list_units() -> dict[str, Any]:
    """Return the units the token reaches, in the order of the tree."""
    return _paged("units", _units(_reached()), UNIT)


def get_unit(code: str) -> dict[str, Any]:
    """Return one unit."""
    found = [unit for unit in _reached() if unit.code == code]
    if not found:
        raise NotFound()
    return _units(found)[0]


def _units(units: Sequence[UnitRow]) -> list[dict[str, Any]]:
    on: dict[int, list[str]] = {unit.id: [] for unit in units}
    rows = select(UnitPlugin.unit_id, UnitPlugin.plugin).where(UnitPlugin.unit_id.in_(list(on)), UnitPlugin.enabled)
    for unit_id, plugin in session().execute(rows.order_by(UnitPlugin.plugin)):
        on[unit_id].append(plugin)
    texts = ("code", "name", "name_en", "kind", "timezone", "active")
    return [{**{name: getattr(unit, name) for name in texts}, "plugins": on[unit.id]} for unit in units]


def list_clauses() -> dict[str, Any]:
    """Return the clauses of one unit, in the order of the regulations, with what they say there today."""
    unit_id = unit_to_write().id
    require("rules.view", unit_id)
    asked = query()
    found = current_rulebook().search(enabled_plugins(unit_id), asked.get("q", ""))
    if "holds" in asked:
        found = [one for one in found if effective(unit_id, one).holds == asked["holds"]]
    return _paged("clauses", found, CLAUSE, lambda one: _clause(unit_id, one))


def get_clause(id: str) -> dict[str, Any]:
    """Return one clause as it holds in the unit of the request."""
    unit_id = unit_to_write().id
    require("rules.view", unit_id)
    found = current_rulebook().clause(id, enabled_plugins(unit_id))
    if found is None:
        raise NotFound()
    return _clause(unit_id, found)


def _clause(unit_id: int, one: Clause) -> dict[str, Any]:
    here = effective(unit_id, one)
    return {
        "id": one.id,
        "regulation": one.regulation,
        "kind": one.kind,
        "title": _said(one.title),
        "text": _said(one.text),
        "responsible": one.responsible,
        "holds": here.holds,
        "values": out(here.values),
        "plugin": one.plugin,
    }


def _said(words: Words) -> str:
    return words.get(current_locale()) or words.get("zh", "")


def _paged(name: str, rows: Sequence[Any], shape: Shape, show: Any = None) -> dict[str, Any]:
    """Answer a page of what is in memory already; the cursor holds the place."""
    asked = query()
    names = wanted_fields(asked, list(shape))
    place = read_cursor(name, asked.get("cursor"))
    start, limit = (place[0] if place else 0), asked.get("limit", USUAL)
    shown = rows[start : start + limit]
    items = [dict(pick(show(one) if show else one, names)) for one in shown]
    cursor = write_cursor(name, [start + limit]) if start + limit < len(rows) else ""
    return envelope(items, cursor, asked, lambda: {"count": len(rows), "count_capped": False})


def operations() -> Sequence[Operation]:
    """Return the operations on units and clauses."""
    units, rules = _l("Units"), _l("Regulations")
    in_one = _l("In the unit of the request.")
    return [
        Operation("get_me", "GET", "/me", _l("Ask who the token speaks for"), units, get_me, "", ME),
        Operation("list_units", "GET", "/units", _l("List units"), units, list_units, "", UNIT, True),
        Operation("get_unit", "GET", "/units/{code}", _l("Read a unit"), units, get_unit, "", UNIT),
        Operation(
            "list_clauses",
            "GET",
            "/clauses",
            _l("List clauses"),
            rules,
            list_clauses,
            "rules.read",
            CLAUSE,
            True,
            CLAUSE_FILTERS,
            help=in_one,
        ),
        Operation(
            "get_clause",
            "GET",
            "/clauses/{id}",
            _l("Read a clause"),
            rules,
            get_clause,
            "rules.read",
            CLAUSE,
            help=in_one,
        ),
    ]
