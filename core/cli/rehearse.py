"""``flask rehearse``: run scenario files against throw-away databases and report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click
from flask.cli import with_appcontext
from flask_babel import gettext as _

from core.kernel.throwaway import NoDatabase
from core.rehearsal.run import FAILED, PASSED, Report, StepReport, files_in, rehearsal, rehearse_file, summary

_MARKS = {PASSED: "ok", FAILED: "FAILED"}


@click.command("rehearse", help="Run scenario FILES (or folders of them); the configured database stays untouched.")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="Keep the databases in this folder.")
@click.option("--database", default="", help="URL of a PostgreSQL server to make the throw-away databases on.")
@click.option("--verbose", "-v", is_flag=True, help="Show every step, not only those that failed.")
@with_appcontext
def command(files: tuple[Path, ...], as_json: bool, keep: Path | None, database: str, verbose: bool) -> None:
    found = files_in(files)
    if not found:
        raise click.ClickException(_("There are no scenario files (.yaml) there"))
    if keep and database:
        raise click.UsageError("--keep is for SQLite; databases on a server are always dropped")
    if keep and keep.exists() and any(keep.iterdir()):
        raise click.UsageError(f"{keep} is not empty")
    reports: list[Report] = []
    try:
        with rehearsal(database, keep) as shop:
            for path in found:
                fresh = rehearse_file(shop, path)
                reports += fresh
                if not as_json:
                    _print(fresh, verbose)
    except NoDatabase as error:
        raise click.ClickException(str(error)) from error
    _end(reports, as_json)


def _end(reports: Sequence[Report], as_json: bool) -> None:
    passed, failed = summary(reports)
    if as_json:
        data = {"passed": passed, "failed": failed, "scenarios": [one.as_json() for one in reports]}
        click.echo(json.dumps(data, ensure_ascii=False, indent=2))
    else:
        click.echo(_("%(passed)d passed, %(failed)d failed", passed=passed, failed=failed))
    if failed:
        raise SystemExit(1)


def _print(reports: Sequence[Report], verbose: bool) -> None:
    for one in reports:
        mark = _MARKS[PASSED if one.passed else FAILED]
        variant = f" ({one.variant})" if one.variant else ""
        click.echo(f"{mark:<7} {one.file}{variant}  {one.title}  [{one.seconds:.1f} s]")
        for text in one.problems:
            click.echo(f"        {text}")
        for step in one.steps:
            if verbose or step.state == FAILED:
                _print_step(step)
        left = sum(step.state not in (PASSED, FAILED) for step in one.steps)
        if left:
            click.echo("        " + _("%(count)d steps after it were not run", count=left))


def _print_step(step: StepReport) -> None:
    who = f"{step.by}: " if step.by else ""
    click.echo(f"        {step.line:>4}  {step.at}  {who}{step.text}  {_MARKS.get(step.state, '-')}")
    for text in step.problems:
        click.echo(f"              {text}")
    if step.told and not step.problems:
        click.echo(f"              {step.told}")
