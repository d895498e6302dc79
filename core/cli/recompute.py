"""``flask rules recompute``: work the obligations of all records out anew."""

from __future__ import annotations

import time

import click
from flask.cli import with_appcontext

from core.kernel.database import system_scope
from core.kernel.errors import NotFound
from core.rules import obligations
from core.units.services import unit_by_code


@click.command("recompute", help="Work out all obligations anew from the facts. What was announced stays as it is.")
@click.option("--unit", "unit_code", default="", help="Only records of the unit with this code.")
@with_appcontext
def command(unit_code: str) -> None:
    with system_scope("flask rules recompute"):
        try:
            unit_id = unit_by_code(unit_code.upper()).id if unit_code else None
        except NotFound:
            raise click.ClickException(f"no unit has the code {unit_code}") from None
        begun = time.monotonic()
        changed, done = _with_bar(unit_id)
    click.echo(f"{done} records in {time.monotonic() - begun:.1f} s: {changed} obligations changed")


def _with_bar(unit_id: int | None) -> tuple[int, int]:
    done = 0
    with click.progressbar(length=1, label="recomputing") as bar:

        def show(count: int, total: int) -> None:
            nonlocal done
            bar.length = total
            bar.update(count - done)
            done = count

        changed = obligations.recompute(unit_id, progress=show)
    return changed, done
