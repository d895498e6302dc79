"""Units and people of the demonstration, and how they sign in.

The core's cast is ``cast.toml`` of this folder. A plugin that is a business of its own brings another one beside
its ``manifest.toml``, in the same form without the names to choose from. Its units have that plugin on and the
clauses of their ``regulations``; a unit whose code the core's cast has already is that unit, with what the plugin
says of it. A plugin with a cast is on in its own units only. The deployment's ``demo`` names a plugin whose cast
plays alone.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import current_app
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from core.kernel import clock
from core.kernel.database import session, system_scope
from core.kernel.errors import AppError
from core.kernel.manifest import Manifest
from core.kernel.settings import Settings
from core.units import services as units
from core.units.models import Unit
from core.units.switches import installed
from core.users import passwords
from core.users.models import Position, User, UserPosition
from core.users.positions import POSITIONS, seed_positions
from core.users.services import create_user, grant_position

# Known to everybody who reads this file: the command refuses to run in production.
PASSWORD = "Huacheng-demo-2026"  # noqa: S105
FOLDER = Path(__file__).parent
CAST_FILE = "cast.toml"


class NoCast(AppError):
    """The deployment's ``demo`` names a plugin that is not installed or brings no cast."""

    title = _l("The setting demo names no installed plugin that brings a cast.")


@dataclass(frozen=True)
class SignIn:
    """How one person of the demonstration signs in."""

    unit: str
    position: str
    name: str
    username: str
    password: str


@dataclass(frozen=True)
class Team:
    """One unit with its people by position code."""

    unit: Unit
    data: dict[str, Any]
    people: dict[str, list[User]]

    def pick(self, rng: Any, role: str) -> User:
        """Choose somebody for a role (desk, lead, field) of this unit."""
        positions = [p for p in self.data[role] if self.people.get(p)]
        chosen: User = rng.choice(self.people[rng.choice(positions)])
        return chosen


@lru_cache(maxsize=4)
def load(name: str) -> dict[str, Any]:
    """Read one of the data files of this folder."""
    return tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8"))


@lru_cache(maxsize=16)
def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text("utf-8"))


def brings_cast(plugin: Manifest) -> bool:
    """Tell whether a plugin has units of its own in the demonstration."""
    return (plugin.folder / CAST_FILE).is_file()


def whole_group() -> bool:
    """Tell whether the core's cast plays: the group with its headquarters first."""
    settings: Settings = current_app.extensions["settings"]
    return not settings.demo


def cast_units() -> list[dict[str, Any]]:
    """Return the units of the demonstration, the first one first; ``own``: the plugins whose units they are.

    Raises:
        NoCast: the deployment names a cast that is not there.
    """
    settings: Settings = current_app.extensions["settings"]
    found: dict[str, dict[str, Any]] = {}
    if whole_group():
        found = {data["code"]: {**data, "own": ()} for data in load("cast")["units"]}
    for plugin in installed().plugins:
        if settings.demo in ("", plugin.name) and brings_cast(plugin):
            for data in _read(plugin.folder / CAST_FILE)["units"]:
                held = found.get(data["code"], {"cases": 0, "customers": 0, "plugins": False, "own": ()})
                found[data["code"]] = {**held, **data, "own": (*held["own"], plugin.name)}
    if not found:
        raise NoCast
    return list(found.values())


def make_teams() -> list[Team]:
    """Add the units, the positions and the people; the first unit is the headquarters, the others lie below it."""
    seed_positions()
    held = {p.code: p for p in session().scalars(select(Position))}
    secret = passwords.hash_password(PASSWORD)
    teams: list[Team] = []
    for data in cast_units():
        raw = {name: data[name] for name in (f.name for f in units.FIELDS) if name in data}
        unit = units.create_unit(raw, teams[0].unit if teams else None)
        people: dict[str, list[User]] = {}
        for number, (code, name) in enumerate(_staff(data)):
            taken = sum(c == code for c, _ in _staff(data)[:number])
            place = data["code"].lower()
            username = f"{place}.{code.removeprefix(place + '_')}{taken + 1 if taken else ''}"
            user = _person(username, name, unit, secret)
            grant_position(user.id, unit.id, held[code].id, clock.now().date())
            people.setdefault(code, []).append(user)
        teams.append(Team(unit, data, people))
    return teams


def _staff(data: dict[str, Any]) -> list[tuple[str, str]]:
    if "staff" in data:
        return [(code, name) for code, name in data["staff"]]
    return [(p.code, name) for p, name in zip(POSITIONS, load("cast")["names"], strict=False)]


def _person(username: str, name: str, unit: Unit, secret: str) -> User:
    user, _first = create_user({"username": username, "name": name, "active": "1"})
    user.password_hash, user.must_change_password, user.last_unit_id = secret, False, unit.id
    session().flush()
    return user


def demo_sign_ins() -> list[SignIn]:
    """Return how the demonstration's people sign in, by unit; empty in any other deployment.

    Whoever has changed the password is left out.
    """
    codes = [data["code"] for data in cast_units()]
    with system_scope("demo", read_only=True) as work:
        rows = work.scalars(
            select(UserPosition)
            .join(Unit, Unit.id == UserPosition.unit_id)
            .join(Position, Position.id == UserPosition.position_id)
            .where(Unit.code.in_(codes))
            .options(joinedload(UserPosition.user), joinedload(UserPosition.position))
            .order_by(Unit.path, Position.sort, UserPosition.id)
        ).all()
        names = {unit.id: unit.name for unit in work.scalars(select(Unit).where(Unit.code.in_(codes)))}
        # They share one hash, so one slow comparison tells for all who did not change it.
        hashes = Counter(row.user.password_hash for row in rows).most_common(1)
        if not hashes or not passwords.matches(hashes[0][0], PASSWORD):
            return []
        return [
            SignIn(names[row.unit_id], row.position.title, row.user.name, row.user.username, PASSWORD)
            for row in rows
            if row.user.password_hash == hashes[0][0] and row.user.active
        ]
