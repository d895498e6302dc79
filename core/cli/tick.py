"""``flask rules tick``: do by hand what the background work does about every minute."""

from __future__ import annotations

import json

import click
from flask.cli import with_appcontext

from core.rules import ticks


@click.command("tick", help="Do what is due by now: recurring tasks, warnings, breaches, reminders, new settings.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_appcontext
def tick(as_json: bool) -> None:
    found = ticks.tick()
    if as_json:
        click.echo(json.dumps({"done": found.done, "failed": list(found.failed)}))
    else:
        for name, count in found.done.items():
            click.echo(f"{name:<12}{count:>8}")
    if found.failed:
        raise click.ClickException(f"failed, see the log: {', '.join(found.failed)}")
