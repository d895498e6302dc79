"""``flask messages``: collect translatable strings of core and plugins into their catalogues."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import with_appcontext

from core.kernel.settings import ROOT


@click.command("messages", help="Collect translatable strings into the catalogues.")
@with_appcontext
def messages() -> None:
    from .catalogues import update

    rooms = [(ROOT / "core", [ROOT / "core", ROOT / "templates"])]
    rooms += [(one.folder, [one.folder]) for one in current_app.extensions["plugins"].plugins]
    for room, folders in rooms:
        strings, missing = update(room, folders)
        click.echo(f"{room.name:<20} {strings} strings, {missing} without translation")
