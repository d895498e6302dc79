"""``flask worker``: background work in processes of its own, as many as are wanted."""

from __future__ import annotations

from typing import Any, cast

import click
from flask import Flask, current_app
from flask.cli import with_appcontext

from core.jobs.runner import run_worker


@click.command("worker", help="Do background work until stopped: jobs, events, recurring work, audit seals.")
@click.option("--threads", type=click.IntRange(1, 64), help="Pieces of work at a time (default: job_threads).")
@with_appcontext
def worker(threads: int | None) -> None:
    app = cast(Flask, cast(Any, current_app)._get_current_object())
    click.echo("working in the background (Ctrl+C stops)")
    run_worker(app, threads or app.extensions["settings"].job_threads)
    click.echo("stopped")
