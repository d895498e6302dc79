"""``flask units``: the first units of a deployment, their plugin switches and their starter profiles."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import click
from flask.cli import with_appcontext
from flask_babel import gettext as _

from core.kernel.database import system_scope, transaction
from core.rules import profiles
from core.rules.profiles import Preview
from core.units import services, switches

from .rules import said
from .speech import spoken


@click.group("units", help="Units: create, list, switch plugins on and off, apply starter profiles.")
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
@click.option("--profile", default="", help="Starter profile: plugins, clauses and values (see: units profiles).")
@with_appcontext
def create(code: str, name: str, kind: str, parent: str, timezone: str, profile: str) -> None:
    with system_scope("command line"), spoken(), transaction():
        chosen = profiles.find_profile(profile) if profile else None
        above = services.unit_by_code(parent) if parent else None
        unit = services.create_unit({"code": code, "name": name, "kind": kind, "timezone": timezone}, above)
        click.echo(f"{unit.code}  {unit.name}")
        if chosen:
            _tell(profiles.apply(unit, chosen))


@group.command("profiles", help="List the starter profiles.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_appcontext
def list_profiles(as_json: bool) -> None:
    found = profiles.current_profiles().values()
    if as_json:
        keys = ("code", "name", "title", "purpose", "regulations", "plugins", "adds", "settings")
        listed = [{key: getattr(one, key) for key in keys} for one in found]
        click.echo(json.dumps(listed, ensure_ascii=False, indent=2))
        return
    for one in found:
        click.echo(f"{one.name:<17} {one.code:<10} {said(one.title)}  ({', '.join(one.regulations)})")


@group.command("profile", help="Apply the starter profile PROFILE to the unit with this CODE.")
@click.argument("code")
@click.argument("profile")
@click.option("--preview", "only_shown", is_flag=True, help="Only show what it would change.")
@click.option(
    "--from", "since", type=click.DateTime(["%Y-%m-%d"]), help="First day it holds (today unless said otherwise)."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_appcontext
def apply_profile(code: str, profile: str, only_shown: bool, since: datetime | None, as_json: bool) -> None:
    with system_scope("command line"), spoken(), transaction():
        chosen = profiles.find_profile(profile)
        unit, day = services.unit_by_code(code), since.date() if since else None
        found = profiles.preview(unit, chosen, day) if only_shown else profiles.apply(unit, chosen, day)
        _tell(found, as_json=as_json)


def _tell(found: Preview, *, as_json: bool = False) -> None:
    """Say what a profile changes, and what it names that is not there."""
    if as_json:
        click.echo(json.dumps(_as_data(found), ensure_ascii=False, indent=2))
        return
    click.echo(f"{found.profile.code}  {said(found.profile.title)}  {found.starts_on}")
    lines = (
        (_("Plugins switched on"), found.plugins),
        (_("Clauses switched on"), [one.id for one in found.switched_on]),
        (_("Clauses switched off"), [one.id for one in found.switched_off]),
        (_("Values of clauses"), [f"{c.id} {d.parameter.name}={d.after}" for c, d in found.valued if d.parameter]),
        (_("Settings"), [f"{one.spec.name}={one.after}" for one in found.settings]),
        (_("Left as planned"), [one.id for one in found.blocked]),
        (_("Plugins not installed"), found.missing_plugins),
        (_("Clauses not installed"), [f"{name} {count}" for name, count in found.missing_clauses.items()]),
        (_("Settings not installed"), found.missing_settings),
    )
    for label, names in lines:
        if names:
            click.echo(f"{label} ({len(names)}): {', '.join(names)}")
    if not found:
        click.echo(_("Nothing to change."))


def _as_data(found: Preview) -> dict[str, Any]:
    return {
        "profile": found.profile.code,
        "starts_on": found.starts_on.isoformat(),
        "changes": bool(found),
        "plugins_on": list(found.plugins),
        "clauses_on": [one.id for one in found.switched_on],
        "clauses_off": [one.id for one in found.switched_off],
        "values": [
            {"clause": c.id, "name": d.parameter.name, "before": _text(d.before), "after": _text(d.after)}
            for c, d in found.valued
            if d.parameter
        ],
        "settings": [
            {"name": one.spec.name, "before": _text(one.before), "after": _text(one.after)}
            for one in found.settings
        ],
        "left_as_planned": [one.id for one in found.blocked],
        "missing": {
            "plugins": list(found.missing_plugins),
            "clauses": dict(found.missing_clauses),
            "settings": list(found.missing_settings),
        },
    }


def _text(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | str) else str(value)


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
