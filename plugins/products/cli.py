"""Commands of the product file: ``flask products ...``."""

from __future__ import annotations

import click
from flask.cli import with_appcontext
from flask_babel import gettext as _
from sqlalchemy import select

from core.sdk import Unit, session, system_scope

from . import fields, services


@click.command("check")
@click.option("--unit", "code", default="", help="Only this unit (its code).")
@with_appcontext
def check(code: str) -> None:
    """List contradictions in the product file that nobody has settled yet."""
    with system_scope("products check"):
        chosen = select(Unit).where(Unit.code == code) if code else select(Unit)
        units = list(session().scalars(chosen.order_by(Unit.path)))
        if code and not units:
            raise click.ClickException(_("There is no unit %(code)s", code=code))
        total = sum(_print(unit) for unit in units)
    click.echo(_("%(count)d contradictions", count=total))


def _print(unit: Unit) -> int:
    count = 0
    for found in services.check(unit.id):
        count += 1
        label = fields.label_of(fields.FLAGS, found.code)
        click.echo(f"{unit.code}  {found.subject}  {label}  {fields.said(found.code, found.detail)}")
    return count
