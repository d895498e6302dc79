"""``flask audit``: seal and verify the trail."""

from __future__ import annotations

import click
from flask.cli import with_appcontext
from flask_babel import gettext as _

from core.kernel import audit


@click.group("audit", help="The audit trail: seal, verify.")
def group() -> None:
    pass


@group.command("seal", help="Seal what has been written since the last time.")
@with_appcontext
def seal() -> None:
    click.echo(_("%(count)d entries sealed", count=audit.seal_pending()))


@group.command("verify", help="Check every seal; the exit code is 1 if one is broken.")
@click.option("--expect", default="", help="A digest printed by an earlier run, which must still be in the chain.")
@with_appcontext
def verify(expect: str) -> None:
    verdict = audit.verify(expect)
    click.echo(_("%(seals)d seals over %(rows)d entries hold", seals=verdict.seals, rows=verdict.rows))
    click.echo(_("%(count)d entries are not sealed yet", count=verdict.unsealed))
    if verdict.broken:
        click.echo(_("BROKEN: %(place)s", place=verdict.broken), err=True)
        raise SystemExit(1)
    click.echo(_("Digest of the chain (keep it elsewhere, to compare later): %(head)s", head=verdict.head))
