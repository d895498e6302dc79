"""Collections that plugins declare (``ApiResource``), as operations. Where the plugin is off they answer 404."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import isfunction
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import and_, or_, select

from core.kernel.access import may, require
from core.kernel.database import current_scope, fetch, session, transaction
from core.kernel.errors import NotFound
from core.kernel.extensions import ApiResource
from core.units.models import UnitPlugin
from core.units.switches import enabled_plugins
from core.users.permissions import units_where

from . import serving
from .common import with_ids
from .door import unit_to_write
from .operations import Body, Operation
from .paging import Order
from .reading import Param
from .serving import Reply, Stale, body, matched, narrowed, once, read_on
from .shapes import Shape, form_schema, out, typed, with_defaults


def operations(resource: ApiResource) -> list[Operation]:
    """Return the operations of a plugin's collection."""
    return _Collection(resource).operations()


class _Collection:
    """One collection: what it answers and takes, from what the plugin declared."""

    def __init__(self, resource: ApiResource) -> None:
        self.resource = resource
        self.shape: Shape = {"id": "integer", **{name: f"{kind}?" for name, kind in resource.read.items()}}
        name = resource.path.replace("-", "_")
        # A collection of the core has no plugin: it is there in every unit.
        self.name = f"{resource.plugin}_{name}".lstrip("_")
        self.path = f"/{resource.plugin}/{resource.path}".replace("//", "/")
        self.filters = tuple(_filter(name, column) for name, column in resource.filters.items())
        model: Any = resource.model
        self.order = Order(self.name, (model.id,))
        area = resource.permission.partition(".")[0]
        self.read, self.write = f"{area}.read", f"{area}.write"

    def operations(self) -> list[Operation]:
        one, many = f"{self.path}/{{id}}", self.path
        tag, versioned = self.resource.title, hasattr(self.resource.model, "version")
        shared: dict[str, Any] = {"plugin": self.resource.plugin}
        found = [
            Operation(
                f"list_{self.name}",
                "GET",
                many,
                _l("List"),
                tag,
                self.page,
                self.read,
                self.shape,
                True,
                self.filters,
                **shared,
            ),
            Operation(
                f"get_{self.name}",
                "GET",
                one,
                _l("Read one"),
                tag,
                self.get,
                self.read,
                self.shape,
                versioned=versioned,
                **shared,
            ),
        ]
        if self.resource.create:
            found.append(
                Operation(
                    f"create_{self.name}",
                    "POST",
                    many,
                    _l("Add one"),
                    tag,
                    self.create,
                    self.write,
                    self.shape,
                    body=Body(lambda: form_schema(self.resource.fields)),
                    versioned=versioned,
                    made=True,
                    keyed=True,
                    **shared,
                )
            )
        if self.resource.change:
            found.append(
                Operation(
                    f"change_{self.name}",
                    "PATCH",
                    one,
                    _l("Change one"),
                    tag,
                    self.change,
                    self.write,
                    self.shape,
                    body=Body(lambda: form_schema(self.resource.fields, partial=True)),
                    versioned=versioned,
                    guarded=versioned,
                    **shared,
                )
            )
        return found

    # the views

    def page(self) -> dict[str, Any]:
        """Return a page from the units where the plugin is on and the actor may look."""
        model: Any = self.resource.model
        units = self._units()
        if not units:
            raise NotFound()
        seen = units & units_where(self.resource.permission)
        if self.resource.also:
            seen &= units_where(self.resource.also)
        statement = narrowed(select(model).where(self._readable(units, seen)), self.filters)
        return serving.page(self.name, statement, self.order, self._show, self.shape, model.id)

    def get(self, id: str) -> Reply:
        """Return one."""
        return self._reply(self._one(id))

    def create(self) -> Reply:
        """Add one in the unit of the request."""
        unit_id = unit_to_write().id
        self._on(unit_id)
        require(self.resource.write_permission or self.resource.permission, unit_id)
        fields = self.resource.fields
        given = with_ids(fields, with_defaults(fields, typed(fields, body())))
        make: Any = self.resource.create
        row, replayed = once(unit_id, body(), lambda: make(unit_id, given), self._one, lambda made: made.id)
        session().refresh(row)
        return self._reply(row, status=201, location=f"/api/v1{self.path}/{row.id}", replayed=replayed)

    def change(self, id: str) -> Reply:
        """Change one; what is not named stays, null empties."""
        row = self._one(id)
        require(self.resource.write_permission or self.resource.permission, row.unit_id)
        fields = self.resource.fields
        emptied = {name: None for name, value in body().items() if value is None}
        given = {**with_ids(fields, typed(fields, body())), **emptied}
        alter: Any = self.resource.change
        with matched(getattr(row, "version", 0)) as version, transaction():
            if version is not None:
                session().refresh(row, with_for_update=True)
                if row.version != version:
                    raise Stale()
            alter(row, given)
        read_on()
        session().refresh(row)  # as the database keeps it: 12.5 is 12.50 there
        return self._reply(row)

    # inside

    def _units(self) -> frozenset[int]:
        """Return the units of the scope in which the plugin is on."""
        if not self.resource.plugin:
            return frozenset(units_where(self.resource.permission))
        on = select(UnitPlugin.unit_id).where(UnitPlugin.plugin == self.resource.plugin, UnitPlugin.enabled)
        return frozenset(unit for unit in session().scalars(on) if unit in current_scope().read)

    def _on(self, unit_id: int) -> None:
        if self.resource.plugin and self.resource.plugin not in enabled_plugins(unit_id):
            raise NotFound()

    def _one(self, key: object) -> Any:
        model: Any = self.resource.model
        row = fetch(model, key)
        self._on(row.unit_id)
        if all(may(one, row.unit_id) for one in (self.resource.permission, self.resource.also) if one):
            return row
        mine = self._own() if may(self.resource.write_permission, row.unit_id) else None
        if mine is None or session().scalars(select(model.id).where(model.id == row.id, mine)).first() is None:
            raise NotFound()
        return row

    def _own(self) -> Any:
        """Return the criterion of the actor's own rows, None where there are no such ones."""
        actor_id = current_scope().actor_id
        return self.resource.own(actor_id) if self.resource.own is not None and actor_id is not None else None

    def _readable(self, units: frozenset[int], seen: frozenset[int]) -> Any:
        """Return the criterion of what the actor may read: everything in ``seen``, elsewhere what is their own."""
        model: Any = self.resource.model
        elsewhere = (units & units_where(self.resource.write_permission)) - seen
        mine = self._own() if elsewhere else None
        everything = model.unit_id.in_(seen)
        return everything if mine is None else or_(everything, and_(model.unit_id.in_(elsewhere), mine))

    def _show(self, rows: Sequence[Any]) -> list[Mapping[str, Any]]:
        shown = self.resource.show(rows)
        return [{"id": row.id, **out(said)} for row, said in zip(rows, shown, strict=True)]

    def _reply(self, row: Any, **more: Any) -> Reply:
        return Reply(self._show([row])[0], version=getattr(row, "version", None), **more)


def _filter(name: str, column: Any) -> Param:
    if isfunction(column):  # it narrows the statement itself: (statement, value) -> statement
        return Param(name, "string", name, narrow=column)
    python = column.type.python_type
    kind = {int: "integer", bool: "boolean"}.get(python, "string")
    return Param(name, kind, column.key, narrow=lambda statement, value: statement.where(column == value))
