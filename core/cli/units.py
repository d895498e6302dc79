"""``flask units``: the first units of a deployment, and their plugin switches."""

from __future__ import annotations

import click
from flask.cli import with_appcontext
from flask_babel import gettext as _

from core.kernel.database import system_scope, transaction
from core.units import services, switches

from .speech import spoken


@click.group("units", help="Units: create, list, switch plugins on and off.")
def group() -> None:
    pass


@group.command("create", help="Add a unit. The first one is the root; others name their PARENT's code.")
@click.argument("code")
@click.argument("name")
@click.option(
    "--kind", type=click.Choice([code for code, _ in services.KINDS]), default="company", show_default=True
)
@click.option("--parent", default="", help="Code of the unit it belongs to.")
@click.option("--timezone", default="Asia/Shanghai", show_default=True)
@with_appcontext
def create(code: str, name: str, kind: str, parent: str, timezone: str) -> None:
    with system_scope("command line"), spoken(), transaction():
        above = services.unit_by_code(parent) if parent else None
        unit = services.create_unit({"code": code, "name": name, "kind": kind, "timezone": timezone}, above)
        click.echo(f"{unit.code}  {unit.name}")


@group.command("list", help="List the units with the plugins switched on in each.")
@with_appcontext
def show() -> None:
    with system_scope("command line"):
        for unit in services.tree(with_closed=True):
            depth = unit.path.count("/") - 2
            on = ", ".join(sorted(switches.enabled_plugins(unit.id)))
            click.echo(f"{'  ' * depth}{unit.code:<12} {unit.kind:<8} {unit.name}  {on}")


@group.command("switch-on", help="Switch PLUGIN on in the unit with this CODE.")
@click.argument("code")
@click.argument("plugin")
@click.option("--with-dependencies", is_flag=True, help="Switch on what it needs, too.")
@with_appcontext
def switch_on(code: str, plugin: str, with_dependencies: bool) -> None:
    with system_scope("command line"), spoken(), transaction():
        switches.enable(services.unit_by_code(code), plugin, with_dependencies=with_dependencies)
    click.echo(_("Done"))


@group.command("switch-off", help="Switch PLUGIN off in the unit with this CODE. Its data stays.")
@click.argument("code")
@click.argument("plugin")
@click.option("--yes", is_flag=True, help="Do not stop at warnings, such as open records.")
@with_appcontext
def switch_off(code: str, plugin: str, yes: bool) -> None:
    with system_scope("command line"), spoken(), transaction():
        switches.disable(services.unit_by_code(code), plugin, confirmed=yes)
    click.echo(_("Done"))
