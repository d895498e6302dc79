"""``flask db``: bring the database up to date, look at it, and take rooms away."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import with_appcontext
from flask_babel import gettext as _

from core.kernel import migrations
from core.kernel.database import Base, db, system_scope
from core.kernel.migrations import MigrationError, Room
from core.units import services
from core.units.switches import enabled_plugins


def rooms() -> list[Room]:
    """Return the rooms of this deployment, the core first, then plugins in dependency order."""
    found: list[Room] = current_app.extensions["rooms"]
    return found


def _room(name: str) -> Room:
    for room in rooms():
        if room.name == name:
            return room
    raise click.ClickException(f"no room named {name}; there are {', '.join(r.name for r in rooms())}")


@click.group("db", help="The database: upgrade, status, check, purge, revision.")
def group() -> None:
    pass


@group.command("upgrade", help="Bring every room to its newest revision.")
@with_appcontext
def upgrade() -> None:
    try:
        moved = migrations.upgrade(db.engine, rooms(), click.echo)
    except MigrationError as error:
        raise click.ClickException(str(error)) from error
    click.echo("database is up to date" if not moved else f"upgraded: {', '.join(moved)}")


@group.command("status", help="Show where every room stands.")
@with_appcontext
def status() -> None:
    for one in migrations.status(db.engine, rooms()):
        click.echo(f"{one.room:<20} {one.state:<8} {one.at or '-':<24} newest {one.head or '-'}")


@group.command("check", help="Compare models and tables; fails when they differ.")
@with_appcontext
def check() -> None:
    drift = [
        f"{room.name}: {line}" for room in rooms() for line in migrations.check(db.engine, room, Base.metadata)
    ]
    if drift:
        raise click.ClickException("models and tables differ:\n" + "\n".join(drift))
    click.echo("models and tables agree")


@group.command("purge", help="Drop a plugin's tables for good, after showing what will go.")
@click.argument("room_name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_appcontext
def purge(room_name: str, yes: bool) -> None:
    room = _room(room_name)
    try:
        migrations.refuse_purge(db.engine, room, rooms())
    except MigrationError as error:
        raise click.ClickException(str(error)) from error
    lost = migrations.row_counts(db.engine, room)
    if not lost:
        raise click.ClickException(_("%(name)s has no tables here.", name=room_name))
    _refuse_where_on(room_name)
    for table, rows in lost.items():
        click.echo(_("%(table)s: %(count)d rows will be lost", table=table, count=rows))
    if not yes:
        click.confirm(_("Drop all tables of %(name)s for good?", name=room_name), abort=True)
    migrations.purge(db.engine, room, rooms())
    click.echo(_("%(name)s is gone. Take it out of plugins in the configuration file and restart.", name=room_name))


def _refuse_where_on(plugin: str) -> None:
    """A unit that works with the plugin now must not lose it from under its hands."""
    with system_scope("command line", read_only=True):
        units = ", ".join(
            unit.code for unit in services.tree(with_closed=True) if plugin in enabled_plugins(unit.id)
        )
    if units:
        text = _("%(name)s is switched on in %(units)s. Switch it off there first.", name=plugin, units=units)
        raise click.ClickException(text)


@group.command("revision", help="Write the next revision of a room from its models.")
@click.argument("room_name")
@click.option("-m", "--message", default="change")
@click.option("--first", is_flag=True, help="Write revision 0001 anew (before the first release only).")
@with_appcontext
def revision(room_name: str, message: str, first: bool) -> None:
    room = _room(room_name)
    if first:
        path = migrations.rewrite_first(room, Base.metadata)
    else:
        path = migrations.revision(db.engine, room, Base.metadata, message)
    click.echo(f"wrote {path.name}")
