"""Commands of ``flask``: database, plugins, server."""

from __future__ import annotations

import click
from flask import Flask

from .audit import group as audit_group
from .calendars import group as calendars_group
from .db import group as db_group
from .demo import command as demo_command
from .explain import explain
from .imports import make_group
from .jobs import group as jobs_group
from .mail import group as mail_group
from .messages import messages
from .plugins import group as plugins_group
from .recompute import command as recompute_command
from .rehearse import command as rehearse_command
from .replay import command as replay_command
from .rules import group as rules_group
from .serve import serve, up
from .tick import tick
from .units import group as units_group
from .users import group as users_group
from .worker import worker


def init_app(app: Flask) -> None:
    """Add our commands to ``flask``, and those of plugins as ``flask <plugin> <command>``."""
    rules_group.add_command(tick)
    rules_group.add_command(explain)
    rules_group.add_command(recompute_command)
    rules_group.add_command(replay_command)
    for command in (
        audit_group,
        calendars_group,
        units_group,
        users_group,
        db_group,
        mail_group,
        plugins_group,
        rehearse_command,
        rules_group,
        make_group(app),
        demo_command,
        jobs_group,
        messages,
        serve,
        up,
        worker,
    ):
        app.cli.add_command(command)
    installed = app.extensions["plugins"]
    for plugin, command in installed.registry.ask_once("cli_commands"):
        _group_of(app, plugin, installed.get(plugin).title("en")).add_command(command)


def _group_of(app: Flask, plugin: str, title: str) -> click.Group:
    found = app.cli.commands.get(plugin)
    if not isinstance(found, click.Group):
        found = click.Group(plugin, help=title)
        app.cli.add_command(found)
    return found
