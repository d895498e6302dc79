"""``flask plugins``: what is installed, what stands against starting, and a start for a new one."""

from __future__ import annotations

from pathlib import Path

import click
from flask import Flask, current_app
from flask.cli import with_appcontext

import core
from core.kernel import migrations
from core.kernel.database import db
from core.kernel.i18n import current_locale
from core.kernel.loader import room_of
from core.kernel.manifest import PluginError, discover, plan
from core.kernel.settings import Settings


@click.group("plugins", help="Plugins: status, new.")
def group() -> None:
    pass


@group.command("status", help="Show the plugins of this deployment. Works even when they cannot be started.")
@with_appcontext
def status() -> None:
    settings: Settings = current_app.extensions["settings"]
    found, problems = discover(settings.plugin_folders)
    try:
        ordered = plan(found, settings.plugins, core.__version__)
    except PluginError as error:
        problems += error.problems
        ordered = [found[name] for name in settings.plugins if name in found]
    states = {s.room: s for s in migrations.status(db.engine, [migrations.CORE, *map(room_of, ordered)])}
    names = [one.name for one in ordered]
    for one in [*ordered, *(found[n] for n in sorted(set(found) - set(names)))]:
        room = states.pop(one.name, None)
        listed = "installed" if one.name in names else "not listed"
        tables = f"tables {room.state}" if room else "no tables"
        click.echo(f"{one.name:<20} {one.version:<8} {listed:<11} {tables:<16} {one.title(current_locale())}")
    for room in states.values():
        if room.state == "orphan":
            click.echo(f"{room.room:<20} left behind: its tables are there (revision {room.at}), its code is not")
    failure = current_app.extensions.get("start_problem")
    lines = [str(one) for one in problems] or ([str(failure)] if failure else [])
    if lines:
        raise click.ClickException("the application cannot start:\n" + "\n".join(f"- {line}" for line in lines))


@group.command("new", help="Write a minimal plugin whose contract test passes.")
@click.argument("name")
@click.option("--folder", type=click.Path(path_type=Path), help="Where to (default: the first plugin folder).")
@click.option("--title-zh", default="", help="Its Chinese name.")
@click.option("--title-en", default="", help="Its English name.")
@with_appcontext
def new(name: str, folder: Path | None, title_zh: str, title_en: str) -> None:
    from .new_plugin import write

    settings: Settings = current_app.extensions["settings"]
    title = title_en or name.capitalize()
    place = write(folder or settings.plugin_folders[0], name, title_zh or title, title)
    click.echo(f"wrote {place}")
    click.echo(f'list "{name}" under plugins in the deployment\'s file, then: flask db upgrade; make test')


def rescue(app: Flask, problem: PluginError) -> Flask:
    """Give ``app``, which has no plugins, the one command that works when they cannot be started."""
    app.extensions["start_problem"] = problem
    app.cli.add_command(group)
    return app
