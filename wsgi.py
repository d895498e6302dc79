# ruff: noqa: E402 - imports come after the collector is told to rest
"""The WSGI entry point: ``gunicorn wsgi:app``; ``flask`` finds it by itself."""

from __future__ import annotations

import gc
import sys

# What is loaded now stays for ever: searching it for garbage again and again would cost a fifth of the start.
gc.disable()

import click
from flask import Flask

from core.app import bare_app, create_app
from core.cli.plugins import rescue
from core.jobs.queue import attach
from core.kernel.manifest import PluginError
from core.kernel.settings import SettingsError, load_settings


def _start() -> Flask:
    """Build the application; a command that cannot start says why in one message, without a traceback."""
    in_command = click.get_current_context(silent=True) is not None
    try:
        return create_app()
    except (PluginError, SettingsError) as problem:
        if in_command and isinstance(problem, PluginError) and "plugins" in sys.argv[1:]:
            return rescue(bare_app(load_settings()), problem)
        if in_command:
            raise click.ClickException(str(problem)) from problem
        raise


app = _start()
if click.get_current_context(silent=True) is None:  # served by another server: what it commits goes to the queue
    attach(app)
gc.freeze()
gc.enable()
