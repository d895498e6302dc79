"""``flask mail``: fetch now, and take in a mail that lies in a file."""

from __future__ import annotations

from pathlib import Path

import click
from flask.cli import with_appcontext
from flask_babel import gettext as _
from sqlalchemy import select

from core.kernel.database import session, system_scope
from core.mail import fetching, intake
from core.mail.models import Mailbox

from .speech import spoken

group = click.Group("mail", help="E-mail: fetch now, take in a file.")


def _mailboxes(name: str | None) -> list[Mailbox]:
    with system_scope("flask mail", read_only=True):
        wanted = select(Mailbox).where(Mailbox.active).order_by(Mailbox.id)
        if name:
            wanted = wanted.where((Mailbox.name == name) | (Mailbox.address == name))
        return list(session().scalars(wanted))


@group.command("check")
@click.option("--mailbox", help="Name or address of one mailbox; all of them otherwise.")
@with_appcontext
def check(mailbox: str | None) -> None:
    """Fetch what is new from the mailboxes and say what became of it."""
    with spoken():
        found = _mailboxes(mailbox)
        if not found:
            raise click.ClickException(_("There is no such mailbox in use."))
        failed = False
        for one in found:
            done = fetching.check(one.unit_id, one.id)
            failed = failed or (done is not None and bool(done.error))
            click.echo(f"{one.name}: {_outcome(done)}")
        if failed:
            raise SystemExit(1)


def _outcome(done: fetching.Checked | None) -> str:
    if done is None:
        return str(_("somebody else is fetching from it"))
    counts = ", ".join(f"{state} {count}" for state, count in sorted(done.counts.items()))
    return done.error or counts or str(_("nothing new"))


@group.command("replay")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--mailbox", help="Name or address of the mailbox it came to; not needed where there is only one.")
@with_appcontext
def replay(file: Path, mailbox: str | None) -> None:
    """Take in a mail from an .eml file, as if it had just been fetched. Twice is the same as once."""
    with spoken():
        found = _mailboxes(mailbox)
        if len(found) != 1:
            raise click.UsageError("--mailbox must name one mailbox in use")
        with system_scope("flask mail", read_only=True):
            box = intake.box_of(found[0])
        click.echo(intake.take(box, file.read_bytes()))
