"""``flask users``: the first administrators, and help when nobody can sign in any more."""

from __future__ import annotations

import click
from flask.cli import with_appcontext
from flask_babel import gettext as _
from sqlalchemy import select

from core.kernel import clock
from core.kernel.database import session, system_scope, transaction
from core.units.models import Unit
from core.users import services, sign_in
from core.users.models import Position, User
from core.users.positions import seed_positions

from .speech import spoken


@click.group("users", help="Users: add, give a position, new password, unlock.")
def group() -> None:
    pass


@group.command("add", help="Add a user and print the first password.")
@click.argument("username")
@click.argument("name")
@with_appcontext
def add(username: str, name: str) -> None:
    with system_scope("command line"), spoken(), transaction():
        _user, password = services.create_user({"username": username, "name": name, "active": "1", "locale": "zh"})
    click.echo(_("First password: %(password)s", password=password))


@group.command("grant", help="Give USERNAME the POSITION (its code) in the UNIT (its code) from today.")
@click.argument("username")
@click.argument("position")
@click.argument("unit")
@with_appcontext
def grant(username: str, position: str, unit: str) -> None:
    with system_scope("command line"), spoken(), transaction():
        seed_positions()
        user_id = _id(User.id, User.username == username.casefold(), username)
        position_id = _id(Position.id, Position.code == position, position)
        unit_id = _id(Unit.id, Unit.code == unit, unit)
        services.grant_position(user_id, unit_id, position_id, clock.now().date())
    click.echo(_("Done"))


@group.command("password", help="Give USERNAME a temporary password and print it; unlocks the account.")
@click.argument("username")
@with_appcontext
def password(username: str) -> None:
    with system_scope("command line"), spoken(), transaction():
        fresh = services.reset_password(_id(User.id, User.username == username.casefold(), username))
    sign_in.unlock(username)
    click.echo(_("Temporary password: %(password)s", password=fresh))


@group.command("unlock", help="Forget the failed sign-ins of USERNAME.")
@click.argument("username")
@with_appcontext
def unlock(username: str) -> None:
    with system_scope("command line"), spoken(), transaction():
        services.note_unlock(_id(User.id, User.username == username.casefold(), username))
    sign_in.unlock(username)
    click.echo(_("Done"))


def _id(column: object, where: object, named: str) -> int:
    found = session().execute(select(column).where(where)).scalar()  # type: ignore[call-overload]
    if found is None:
        raise click.ClickException(_("Nothing is called %(name)s", name=named))
    return int(found)
