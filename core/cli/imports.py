"""``flask import``: one sub-command for each registered importer, besides those that rooms add themselves."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import click
from flask import Flask
from flask.cli import with_appcontext
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.kernel import importing
from core.kernel.database import fetch, release, session, system_scope, transaction
from core.kernel.importing import Importer, ImportRun
from core.units.models import Unit
from core.units.switches import enabled_plugins
from core.users.models import User

from .speech import spoken

_SHOWN = 20
_COUNTED = importing.ACTIONS | {
    "rows": _l("Rows"),
    "warning": _l("Warnings"),
    "duplicate_skip": _l("Skip"),
    "duplicate_merge": _l("Update the existing one"),
    "duplicate_create": _l("Add as new"),
}


def make_group(app: Flask) -> click.Group:
    """Return the group with a command per importer known to ``app`` (register them first)."""
    group = click.Group("import", help="Take data over from spreadsheets.")
    for one in app.extensions.get("importers", {}).values():
        group.add_command(_command(one))
    group.add_command(_undo)
    return group


@click.command("undo", help="Take the import NUMBER back, as far as nobody has changed or used its rows since.")
@click.argument("number", type=int)
@click.option("--user", "username", help="Who undoes it, for the audit trail.")
@click.option("--yes", is_flag=True, help="Do not ask before.")
@with_appcontext
def _undo(number: int, username: str | None, yes: bool) -> None:
    with spoken(), system_scope("flask import undo", _actor_id(username)):
        run = fetch(ImportRun, number)
        if not yes and not click.confirm(_("Undo the import of %(file)s?", file=run.filename)):
            return
        release()
        done = importing.undo(number, _show)
        click.echo(_("Done: %(counts)s", counts=_undone(done.counts)))
        for label, reason in importing.kept_rows(done, limit=_SHOWN):
            click.echo(f"  {label}: {reason}")
        if done.counts["kept"] > _SHOWN:
            click.echo(_("  … %(count)d more", count=done.counts["kept"] - _SHOWN))


def _undone(counts: dict[str, int]) -> str:
    words = {"removed": _("removed"), "restored": _("former values restored"), "kept": _("left as they are")}
    return ", ".join(f"{word} {counts[name]}" for name, word in words.items())


def _command(kind: Importer) -> click.Command:
    @click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
    @click.option("--unit", "unit_code", help="Code of the unit; not needed where there is only one.")
    @click.option("--user", "username", help="Who imports, for the audit trail.")
    @click.option(
        "--duplicates",
        type=click.Choice([importing.SKIP, importing.CREATE, importing.MERGE]),
        default=importing.SKIP,
        show_default=True,
        help="What to do with rows that look like an existing one.",
    )
    @click.option("--rejected", type=click.Path(dir_okay=False, path_type=Path), help="Write rejected rows here.")
    @click.option("--yes", is_flag=True, help="Do not ask before writing.")
    @click.option("--dry-run", "dry", is_flag=True, help="Only say what would be written.")
    def run(
        file: Path,
        unit_code: str | None,
        username: str | None,
        duplicates: str,
        rejected: Path | None,
        yes: bool,
        dry: bool,
    ) -> None:
        ask = (lambda: False) if dry else (lambda: yes or click.confirm(_("Write these rows?")))
        with spoken():
            _import(kind, file, unit_code, username, duplicates, rejected, ask)

    return click.command(kind.key.replace("_", "-"), help=f"Import {kind.key} from a workbook or CSV file.")(
        with_appcontext(run)
    )


def _import(
    kind: Importer,
    file: Path,
    unit_code: str | None,
    username: str | None,
    duplicates: str,
    rejected: Path | None,
    ask: Callable[[], bool],
) -> None:
    with system_scope("flask import", _actor_id(username)):
        unit_id = _unit_id(unit_code)
        _expect_on(kind, unit_id)
        with transaction(), file.open("rb") as source:
            run = importing.stage(kind.key, unit_id, source, file.name)
            importing.set_choices(run, default=duplicates)
        counts = importing.check(run, _show)
        _preview(kind, run, counts)
        if not ask():
            with transaction():
                importing.cancel(fetch(ImportRun, run.id))
            click.echo(_("Nothing was written."))
            return
        done = importing.confirm(run.id, _show)
        click.echo(_("Done: %(counts)s", counts=_counts(done.counts)))
        click.echo(_("Import number: %(number)d", number=done.id))
        report = importing.rejected_file(done)
        if report and rejected:
            shutil.copyfile(report, rejected)
            click.echo(_("Rejected rows: %(file)s", file=rejected))
        elif report:
            click.echo(_("Some rows were rejected; use --rejected FILE.xlsx to get them with the reasons."))


def _expect_on(kind: Importer, unit_id: int) -> None:
    """Stop where the importer's plugin is switched off in the unit."""
    if kind.key not in importing.importers_of(enabled_plugins(unit_id)):
        raise click.ClickException(f"The plugin of {kind.key} is switched off in this unit.")


def _preview(kind: Importer, run: ImportRun, counts: dict[str, int]) -> None:
    click.echo(_("Checked: %(counts)s", counts=_counts(counts)))
    for code, label in kind.note_labels.items():
        if counts.get(f"note:{code}"):
            click.echo(f"  {counts[f'note:{code}']:>6}  {label}")
    for show in ("error", "duplicate"):
        for row in importing.preview_rows(run, show, 0, _SHOWN):
            reasons = [text for _field, text in row.errors] + [f"{m['label']}: {m['reason']}" for m in row.matches]
            click.echo(f"  {row.line}: {row.label}: {'; '.join(reasons)}")
        if counts.get(show, 0) > _SHOWN:
            click.echo(_("  … %(count)d more", count=counts[show] - _SHOWN))


def _counts(counts: dict[str, int]) -> str:
    shown = ((name, count) for name, count in sorted(counts.items()) if count and not name.startswith("note:"))
    return ", ".join(f"{_COUNTED.get(name, name)} {count}" for name, count in shown)


def _show(phase: str, done: int, total: int) -> None:
    """Progress on one line of a terminal; silent in pipes."""
    if sys.stderr.isatty():
        click.echo(f"\r{phase} {done}{f' / {total}' if total else ''}   ", nl=False, err=True)


def _unit_id(code: str | None) -> int:
    units = {u.code: u.id for u in session().scalars(select(Unit).where(Unit.active).order_by(Unit.path))}
    if code is None and len(units) == 1:
        return next(iter(units.values()))
    if code not in units:
        raise click.UsageError(f"--unit must be one of: {', '.join(units) or 'there is no unit yet'}")
    return units[code]


def _actor_id(username: str | None) -> int | None:
    if username is None:
        return None
    with system_scope("flask import") as work:
        found = work.scalars(select(User.id).where(User.username == username)).first()
    if found is None:
        raise click.UsageError(f"there is no user {username}")
    return found
