"""Plain functions tests use to set a scene. They work on the database of the running test."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from core.kernel.database import ScopedSession, opened_scope, system_scope, transaction
from core.kernel.scope import Scope
from core.units import switches
from core.units.models import Unit, UnitParent
from core.users.models import Position, User, UserPosition

PASSWORD = "Test-pass-2026"
_number = itertools.count(1)


@dataclass
class _Current:
    app: Flask | None = None

    def __call__(self) -> Flask:
        if self.app is None:
            raise RuntimeError("use the app, sqlite_app or client fixture in this test")
        return self.app


current = _Current()


@contextmanager
def as_system() -> Iterator[ScopedSession]:
    """Open a session that reaches all units, in one committed transaction."""
    with current().app_context(), system_scope("test") as work, transaction():
        yield work


@contextmanager
def in_scope(
    units: Unit | int | Iterable[Unit | int], permissions: Iterable[str] = (), actor: User | int | None = None
) -> Iterator[ScopedSession]:
    """Open a session that may read and write ``units`` only, holding ``permissions`` in each of them."""
    listed = [units] if isinstance(units, Unit | int) else list(units)
    ids = frozenset(u.id if isinstance(u, Unit) else u for u in listed)
    held = frozenset(permissions)
    actor_id = actor.id if isinstance(actor, User) else actor
    scope = Scope(actor_id=actor_id, read=ids, write=ids, reason="test", permissions=dict.fromkeys(ids, held))
    with current().app_context(), opened_scope(scope) as work:
        yield work


def make_unit(code: str = "", parent: Unit | None = None, **values: Any) -> Unit:
    """Add a unit (committed) and return it, detached."""
    code = code or f"U{next(_number)}"
    with as_system() as work:
        unit = Unit(
            code=code, name=values.pop("name", f"{code} 售后"), parent_id=parent.id if parent else None, **values
        )
        work.add(unit)
        work.flush()
        unit.path = f"{parent.path if parent else '/'}{unit.id}/"
        work.add(UnitParent(unit_id=unit.id, parent_id=unit.parent_id, valid_from=date(2020, 1, 1)))
    return unit


def make_position(code: str = "", permissions: Iterable[str] = (), below: bool = False, **values: Any) -> Position:
    """Add a position holding ``permissions`` (committed)."""
    code = code or f"position{next(_number)}"
    with as_system() as work:
        position = Position(
            code=code, title=values.pop("title", code), permissions=sorted(permissions), below=below, **values
        )
        work.add(position)
    return position


def make_user(
    unit: Unit | None = None,
    permissions: Iterable[str] = (),
    username: str = "",
    below: bool = False,
    **values: Any,
) -> User:
    """Add a user who holds a position with ``permissions`` in ``unit`` (committed). The password is PASSWORD."""
    username = username or f"user{next(_number)}"
    position = values.pop("position", None) or make_position(permissions=permissions, below=below)
    with as_system() as work:
        user = User(username=username, name=values.pop("name", username), password_hash=_hash(), **values)
        user.last_unit_id = unit.id if unit else None
        work.add(user)
        work.flush()
        if unit is not None:
            work.add(
                UserPosition(user_id=user.id, unit_id=unit.id, position_id=position.id, valid_from=date(2020, 1, 1))
            )
    return user


def _hash() -> str:
    """Hash PASSWORD cheaply: tests need a valid hash, not a slow one."""
    from argon2 import PasswordHasher

    global _kept_hash
    _kept_hash = _kept_hash or PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    return _kept_hash


_kept_hash = ""


def login(client: FlaskClient, user: User, password: str = PASSWORD, unit: Unit | None = None) -> FlaskClient:
    """Sign ``user`` in through the sign-in form, working in ``unit`` (default: the usual one)."""
    answer = client.post("/sign-in", data={"username": user.username, "password": password})
    assert answer.status_code in (302, 303), answer.get_data(as_text=True)[:2000]
    if unit is not None:
        with client.session_transaction() as browser:
            browser["unit_id"] = unit.id
    return client


def switch_on(unit: Unit, *plugins: str) -> None:
    """Switch plugins on in a unit (committed), with what they need."""
    with as_system() as work:
        for plugin in plugins:
            switches.enable(work.merge(unit), plugin, with_dependencies=True)


def switch_off(unit: Unit, *plugins: str) -> None:
    """Switch plugins off in a unit (committed), warnings confirmed."""
    with as_system() as work:
        for plugin in plugins:
            switches.disable(work.merge(unit), plugin, confirmed=True)


def chromium() -> str | None:
    """Return the path of an installed Chromium, if there is one."""
    named = os.environ.get("CHROMIUM")
    return named or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
