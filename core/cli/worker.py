"""``flask worker``: background work in a process of its own, beside a server that does not do it."""

from __future__ import annotations

from typing import Any, cast

import click
from flask import Flask, current_app
from flask.cli import with_appcontext

from core.jobs.runner import run_worker


@click.command("worker", help="Do background work until stopped: deliver events, seal the audit trail, tidy up.")
@with_appcontext
def worker() -> None:
    click.echo("working in the background (Ctrl+C stops)")
    run_worker(cast(Flask, cast(Any, current_app)._get_current_object()))
    click.echo("stopped")
