"""``flask demo``: fill an empty database with the demonstration and tell how to sign in."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import with_appcontext

from core.demo.fill import NotEmpty, fill, is_filled
from core.demo.people import NoCast, SignIn, demo_sign_ins
from core.kernel.settings import Settings

__all__ = ["command", "demo_sign_ins", "print_sign_ins"]


@click.command("demo", help="Fill an empty database with demonstration data (again: only show the sign-ins).")
@click.option("--quiet", is_flag=True, help="Do not list the sign-ins.")
@with_appcontext
def command(quiet: bool) -> None:
    settings: Settings = current_app.extensions["settings"]
    if settings.production:
        raise click.ClickException("demonstration users have a known password; this deployment is in production")
    try:
        filled = is_filled()
    except NoCast as error:
        raise click.ClickException(str(error.message)) from error
    except NotEmpty:
        click.echo("this database holds units of its own; nothing was added")
        return
    if filled:
        click.echo("the demonstration is there already")
    else:
        click.echo(f"{fill(_progress)} cases written")
    if not quiet:
        print_sign_ins(demo_sign_ins())


def _progress(what: str, done: int, total: int) -> None:
    click.echo(f"\r{what}: {done} of {total}   ", nl=done == total)


def print_sign_ins(rows: list[SignIn]) -> None:
    """Print one line per person; they all have the same password."""
    unit = ""
    for row in rows:
        if row.unit != unit:
            unit = row.unit
            click.echo(f"\n{unit}")
        click.echo(f"  {row.username:<28} {row.position}  {row.name}")
    if rows:
        click.echo(f"\npassword for all: {rows[0].password}")
