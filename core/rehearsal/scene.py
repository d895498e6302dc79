"""Sets the scene of a scenario: units with their clauses and calendars, people with positions, customers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlalchemy import select

from core.customers.services import ADDRESS_FIELDS, CUSTOMER_FIELDS, create_customer
from core.kernel import clock
from core.kernel.database import ScopedSession, opened_scope, session, system_scope, transaction
from core.kernel.errors import AppError
from core.kernel.fields import clean
from core.rules import official_table, profiles, unit_calendars
from core.rules.calendar import ALL
from core.rules.rulebook import current_rulebook
from core.rules.settings import own_values, set_clause
from core.units import services as units
from core.units import settings as unit_settings
from core.units.models import Unit
from core.units.switches import enable
from core.users import actor as actors
from core.users.models import Position, User
from core.users.positions import seed_positions
from core.users.services import grant_position

from . import vocabulary as words
from .reading import Node
from .script import ActorPart, ClausePart, CustomerPart, Scenario, UnitPart

# People of a rehearsal never sign in.
NO_PASSWORD = "!"  # noqa: S105
FIRST_DAY = date(2000, 1, 1)
REASON = "rehearsal"


class SceneError(Exception):
    """A unit, actor or customer of the file cannot be made; ``cause`` is what the service said."""

    def __init__(self, line: int, cause: AppError) -> None:
        super().__init__(str(cause))
        self.line, self.cause = line, cause


@dataclass
class Scene:
    """The ids behind the names of a scenario, and what its steps have named so far."""

    units: dict[str, int] = field(default_factory=dict)
    actors: dict[str, int] = field(default_factory=dict)
    customers: dict[str, int] = field(default_factory=dict)
    records: dict[str, int] = field(default_factory=dict)

    def copy(self) -> Scene:
        """Return the scene as it was set, for another run."""
        return Scene(dict(self.units), dict(self.actors), dict(self.customers), dict(self.records))

    def id_of(self, name: words.Named) -> int:
        """Return the id behind a name in form input."""
        found: Mapping[str, int] = {"actor": self.actors, "customer": self.customers, "unit": self.units}[name.kind]
        return found[name.name]

    @contextmanager
    def acting(self, name: str) -> Iterator[ScopedSession]:
        """Act as somebody of the scenario, with the permissions their positions give at the present moment."""
        with system_scope("rehearsal", read_only=True):
            actor = actors.load_by_id(self.actors[name])
        if actor is None:
            raise LookupError(name)
        with opened_scope(actor.scope("rehearsal")) as work:
            yield work


def seed() -> None:
    """Fill the database that every rehearsal starts from: positions and the official days."""
    with system_scope("rehearsal"), transaction():
        seed_positions()
        official_table.seed()


def set_up(scenario: Scenario) -> Scene:
    """Write the scene into the database of the present application."""
    scene = Scene()
    with clock.frozen(scenario.begins), system_scope("rehearsal"), transaction():
        for unit in scenario.units:
            with _at(unit.at):
                scene.units[unit.code] = _unit(unit, scene, scenario.begins)
        held = {one.code: one.id for one in session().scalars(select(Position))}
        for actor in scenario.actors.values():
            with _at(actor.at):
                scene.actors[actor.name] = _actor(actor, scene, held)
        for customer in scenario.customers:
            with _at(customer.at):
                scene.customers[customer.name] = _customer(customer, scene.units[customer.unit])
    return scene


def _customer(part: CustomerPart, unit_id: int) -> int:
    values = clean((*CUSTOMER_FIELDS, *ADDRESS_FIELDS), part.values)
    return create_customer(unit_id, {**values, "contact_name": str(part.values.get("contact_name") or "")}).id


@contextmanager
def _at(place: Node) -> Iterator[None]:
    """Tell the line of the file at which the scene could not be set."""
    try:
        yield
    except AppError as error:
        raise SceneError(place.line, error) from error


def _actor(part: ActorPart, scene: Scene, positions: Mapping[str, int]) -> int:
    user = User(username=part.name[:60], name=part.called[:60], password_hash=NO_PASSWORD)
    session().add(user)
    session().flush()
    for code in part.positions:
        grant_position(user.id, scene.units[part.unit], positions[code], FIRST_DAY)
    return user.id


def _unit(part: UnitPart, scene: Scene, begins: datetime) -> int:
    raw = {"code": part.code, "name": part.name, "kind": part.kind, "timezone": part.zone}
    parent = session().get_one(Unit, scene.units[part.parent]) if part.parent else None
    first = clock.day_in(part.zone, begins)
    # Recurring work counts from a unit's first day: before the scene begins nothing is owed.
    unit = units.create_unit(raw, parent, since=first)
    for plugin in part.plugins:
        enable(unit, plugin, with_dependencies=True)
    if part.profile:
        profiles.apply(unit, profiles.find_profile(part.profile), first, reason=REASON)
    for name, value in part.settings.items():
        unit_settings.set_setting(unit, name, value)
    if part.hours or part.holidays or part.days:
        _calendar(unit.id, part)
    for one in sorted(part.clauses, key=lambda one: one.starts_on or FIRST_DAY):
        set_part(unit.id, one, first)
    return unit.id


def set_part(unit_id: int, part: ClausePart, first: date) -> None:
    """Set a clause as the file says, from ``first`` on where it names no day; what it leaves out stays as it is."""
    day = part.starts_on or first
    held, values = own_values(unit_id, current_rulebook().clauses[part.clause], day)
    set_clause(
        unit_id,
        part.clause,
        {**values, **part.values},
        starts_on=day,
        reason=part.reason or REASON,
        open_records=part.open_records,
        holds=held if part.holds is None else part.holds,
    )


def _calendar(unit_id: int, part: UnitPart) -> None:
    """Weekdays that are not named are closed where any is; without hours the office week holds."""
    usual = {f"hours_{number}": "09:00-12:00 13:00-18:00" for number in range(5)} if not part.hours else {}
    named = dict(usual)
    for number, name in enumerate(words.WEEKDAYS):
        shared = "weekdays" if number < 5 and "weekdays" in part.hours else "every_day"
        found = part.hours.get(name, part.hours.get(shared, ""))
        if found:
            named[f"hours_{number}"] = found
    row = unit_calendars.save_calendar(
        unit_id,
        {
            "name": "Rehearsal",
            "code": "rehearsal",
            "official": part.holidays or ALL,
            "makeup": part.hours.get("makeup", ""),
            "usual": True,
            "active": True,
            **named,
        },
    )
    for days in part.days:
        unit_calendars.add_override(row, days)
