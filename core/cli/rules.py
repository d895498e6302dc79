"""``flask rules``: what the regulations ask, and how much of it the product carries."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext

from core.kernel.i18n import current_locale
from core.kernel.loader import Installed
from core.kernel.settings import ROOT
from core.rules.clauses import KINDS, LANGUAGES, Clause, Parameter, Words
from core.rules.coverage import STATES, Coverage, bindings, coverage
from core.rules.rulebook import current_rulebook
from core.users.positions import POSITIONS


@click.group("rules", help="Regulations: coverage, show, explain, tick.")
def group() -> None:
    pass


@group.command("coverage", help="Tell of every clause how far it is carried out, and count.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the places and tests of each clause.")
@click.option("--plugin", default="", help="Only the clauses of this plugin (core: the core's own).")
@click.option("--state", type=click.Choice(STATES), help="Only the clauses that stand so.")
@with_appcontext
def coverage_command(as_json: bool, plugin: str, state: str | None) -> None:
    installed: Installed = current_app.extensions["plugins"]
    folders = [ROOT / "tests", *(one.folder / "tests" for one in installed.plugins)]
    found = coverage(current_rulebook(), [one.name for one in installed.plugins], _there(folders))
    if plugin:
        found = [one for one in found if (one.plugin or "core") == plugin]
        if not found:
            raise click.ClickException(f"no clause belongs to {plugin}")
    shown = [one for one in found if state in (None, one.state)]
    if as_json:
        click.echo(json.dumps([_line(one) for one in shown], ensure_ascii=False, indent=2))
        return
    for name in sorted({one.plugin for one in shown}):
        click.echo(f"\n{name or 'core'}")
        for one in (one for one in shown if one.plugin == name):
            click.echo(f"  {one.id:<18} P{one.priority} {one.kind:<12} {one.state:<12} {_title(one)}".rstrip())
    click.echo("")
    _totals(found)


def _there(folders: Sequence[Path]) -> list[Path]:
    return [one for one in folders if one.is_dir()]


def _totals(found: Sequence[Coverage]) -> None:
    click.echo(f"{'':<14}{'clauses':>9}" + "".join(f"{state:>13}" for state in STATES))
    for name in sorted({one.plugin for one in found}):
        _total(name or "core", [one for one in found if one.plugin == name])
    _total("all", found)


def _total(label: str, found: Sequence[Coverage]) -> None:
    counts = Counter(one.state for one in found)
    click.echo(f"{label:<14}{len(found):>9}" + "".join(f"{counts[state]:>13}" for state in STATES))


def _title(one: Coverage) -> str:
    clause = current_rulebook().clauses.get(one.id)
    return said(clause.title) if clause else ""


def _line(one: Coverage) -> dict[str, Any]:
    return {
        "clause": one.id,
        "plugin": one.plugin or "core",
        "kind": one.kind,
        "priority": one.priority,
        "state": one.state,
        "in_rulebook": one.in_rulebook,
        "bindings": [{"how": b.how, "place": b.place} for b in one.bindings],
        "tests": list(one.tests),
    }


@group.command("show", help="Show one clause: text, responsible position, parameters, where it applies.")
@click.argument("clause_id", metavar="CLAUSE")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, in both languages.")
@with_appcontext
def show(clause_id: str, as_json: bool) -> None:
    book = current_rulebook()
    clause = book.clauses.get(clause_id)
    if clause is None:
        raise click.ClickException(f"no installed rulebook has the clause {clause_id}")
    installed: Installed = current_app.extensions["plugins"]
    bound = [one for one in bindings([one.name for one in installed.plugins]) if one.clause == clause_id]
    if as_json:
        data = asdict(clause) | {"bindings": [{"how": b.how, "place": b.place} for b in bound]}
        click.echo(json.dumps(data, ensure_ascii=False, indent=2, default=str))
        return
    regulation = book.regulations[clause.regulation]
    click.echo(f"{clause.id}  {said(clause.title)}")
    click.echo(f"{regulation.id}  {said(regulation.title)}")
    click.echo(f"\n{said(clause.text)}\n")
    for label, text in _facts(clause):
        click.echo(f"{label:<12} {text}")
    for one in clause.parameters:
        click.echo(f"{'parameter':<12} {one.name} = {value_of(one)}{bounds_of(one)}  {said(one.title)}")
    for place in bound:
        click.echo(f"{'applies':<12} {place.how} {place.place}: {' · '.join(str(word) for word in place.words)}")
    if not bound:
        click.echo(f"{'applies':<12} nowhere yet")


def _facts(clause: Clause) -> list[tuple[str, str]]:
    position = next((one for one in POSITIONS if one.code == clause.responsible), None)
    pairs = [
        ("kind", f"{clause.kind} ({KINDS[clause.kind]})"),
        ("plugin", clause.plugin or "core"),
        ("priority", f"P{clause.priority}"),
        ("by default", "on" if clause.on else "off"),
        ("profiles", ", ".join(clause.profiles)),
        ("responsible", said({"zh": position.title, "en": position.title_en}) if position else ""),
        ("trigger", said(clause.trigger)),
        ("record", said(clause.record)),
    ]
    return [(label, text) for label, text in pairs if text]


def said(words: Words) -> str:
    """Return words in the language of the terminal, '' where there are none."""
    locale = current_locale() if current_locale() in LANGUAGES else "en"
    return words.get(locale, "")


def value_of(one: Parameter) -> str:
    """Return a default with its unit and clock: ``4 hour (working)``."""
    return (
        f"{one.default} {one.unit} ({one.clock})"
        if one.type == "duration"
        else f"{one.default} {one.unit}".rstrip()
    )


def bounds_of(one: Parameter) -> str:
    if one.minimum is None and one.maximum is None:
        return ""
    least = "" if one.minimum is None else one.minimum
    most = "" if one.maximum is None else one.maximum
    return f"  [{least}..{most}]"
