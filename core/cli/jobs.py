"""``flask jobs``: what background work waits, what could not be done, and trying it again."""

from __future__ import annotations

import json
from typing import Any, cast

import click
from flask import Flask, current_app
from flask.cli import with_appcontext
from sqlalchemy import func, select

from core.jobs import letters, recurring
from core.jobs.runner import run_once
from core.kernel.database import system_scope, transaction
from core.kernel.jobs import JobRun
from core.kernel.outbox import DEAD, PENDING, Outbox

LATEST = 20
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("jobs", help="Background work: what waits, what could not be done, and trying it again.")
def group() -> None:
    """Hold the commands below."""


@group.command("list", help="Print how much waits, and the latest work that people watch.")
@as_json_option
@with_appcontext
def list_jobs(as_json: bool) -> None:
    with system_scope("jobs list", read_only=True) as work:
        counted = select(Outbox.state, func.count().label("many")).group_by(Outbox.state)
        rows = work.execute(counted.where(Outbox.state.in_((PENDING, DEAD))))
        states = {row.state: row.many for row in rows}
        runs = [_run(one) for one in work.scalars(select(JobRun).order_by(JobRun.id.desc()).limit(LATEST))]
    if as_json:
        click.echo(json.dumps({"pending": states.get(PENDING, 0), "dead": states.get(DEAD, 0), "runs": runs}))
        return
    click.echo(f"{'pending':<12}{states.get(PENDING, 0):>8}")
    click.echo(f"{'dead':<12}{states.get(DEAD, 0):>8}")
    for one in runs:
        click.echo(f"{one['id']:>8}  {one['state']:<10}{one['job']:<24}{one['title']}")


def _run(run: JobRun) -> dict[str, Any]:
    return {"id": run.id, "unit": run.unit_id, "job": run.job, "title": run.title, "state": run.state}


@group.command("dead", help="Print what could not be done, with the reason.")
@as_json_option
@with_appcontext
def dead(as_json: bool) -> None:
    with system_scope("jobs dead", read_only=True) as work:
        rows = work.scalars(select(Outbox).where(Outbox.state == DEAD).order_by(Outbox.id)).all()
        found = [
            {
                "id": one.id,
                "unit": one.unit_id,
                "what": letters.name_of(one),
                "tries": one.tries,
                "error": one.error,
            }
            for one in rows
        ]
    if as_json:
        click.echo(json.dumps(found))
        return
    for one in found:
        click.echo(f"{one['id']:>8}  {one['what']:<32}{one['tries']:>3}  {one['error']}")


@group.command("retry", help="Try again what could not be done: the numbers given, or --all.")
@click.argument("numbers", nargs=-1, type=click.IntRange(1))
@click.option("--all", "everything", is_flag=True)
@with_appcontext
def retry(numbers: tuple[int, ...], everything: bool) -> None:
    if bool(numbers) == everything:
        raise click.UsageError("give numbers, or --all")
    with system_scope("jobs retry") as work, transaction():
        wanted = select(Outbox).where(Outbox.state == DEAD)
        found = work.scalars(wanted if everything else wanted.where(Outbox.id.in_(numbers))).all()
        letters.retry(found)
    click.echo(f"{len(found)} will be tried again")


@group.command("run-due", help="Do here and now everything that is due, then return.")
@with_appcontext
def run_due() -> None:
    app = cast(Flask, cast(Any, current_app)._get_current_object())
    recurring.publish_due()
    done = run_once(app)
    click.echo(f"messages {done.messages}, audit entries sealed {done.sealed}, dropped {done.dropped}")
