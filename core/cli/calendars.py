"""``flask calendars``: the official table of holidays and make-up working days."""

from __future__ import annotations

from pathlib import Path

import click
from flask.cli import with_appcontext
from flask_babel import gettext as _

from core.kernel.database import system_scope, transaction
from core.rules import official_table

from .speech import spoken


@click.group("calendars", help="Official holidays and make-up days: seed, import, list.")
def group() -> None:
    pass


@group.command("seed", help="Fill in the years that ship with the product; years that are there stay as they are.")
@with_appcontext
def seed() -> None:
    with system_scope("command line"), spoken(), transaction():
        made = official_table.seed()
    click.echo(_("Years added: %(years)s", years=", ".join(map(str, made)) or "-"))


@group.command("import", help="Replace years by a file (.xlsx or CSV: date, kind off/work, name).")
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--provisional", is_flag=True, help="The notice is not out yet.")
@with_appcontext
def read(path: Path, provisional: bool) -> None:
    with system_scope("command line"), spoken(), transaction():
        found = official_table.import_table(path, final=not provisional)
    for year, count in found.items():
        click.echo(_("%(year)d: %(count)d days", year=year, count=count))


@group.command("list", help="List the years with their number of holidays and make-up days.")
@with_appcontext
def show() -> None:
    with system_scope("command line", read_only=True):
        for one in official_table.years():
            state = _("published") if one.final else _("provisional")
            click.echo(f"{one.year}  {one.off:>3} / {one.work:<3} {state}")
