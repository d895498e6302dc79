"""``flask rules replay``: a clause over the past under other parameters; for periods too long for the screen."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

import click
from flask.cli import with_appcontext
from sqlalchemy import select

from core.kernel.database import session, system_scope
from core.kernel.errors import AppError
from core.rules import replay
from core.rules.compliance import Figures, percent
from core.rules.replay import Estimate, Judged, Pair, Result
from core.units.models import Unit
from core.users.models import User


@click.command("replay", help="Replay a clause over a past period under other parameters; nothing is written.")
@click.argument("clause_id", metavar="CLAUSE")
@click.option("--unit", "unit_code", required=True, help="Code of the unit.")
@click.option("--below", is_flag=True, help="Also the units below it.")
@click.option("--from", "first", required=True, help="First day on which an obligation began, such as 2025-01-01.")
@click.option("--to", "last", required=True, help="Last day on which an obligation began.")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="A parameter that is to differ.")
@click.option("--only-where-on", is_flag=True, help="Leave out where and when the clause was off.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_appcontext
def command(
    clause_id: str,
    unit_code: str,
    below: bool,
    first: str,
    last: str,
    given: tuple[str, ...],
    only_where_on: bool,
    as_json: bool,
) -> None:
    with system_scope("flask rules replay", read_only=True):
        unit = session().scalars(select(Unit).where(Unit.code == unit_code)).first()
        if unit is None:
            raise click.ClickException(f"no unit has the code {unit_code}")
        try:
            question = replay.ask(
                unit.id,
                clause_id,
                _values(given),
                {"first": first, "last": last},
                below=below,
                everywhere=not only_where_on,
            )
            found = replay.run(question, progress=_show)
        except AppError as bad:
            raise click.ClickException("\n".join(_told(bad))) from None
        if sys.stderr.isatty():
            click.echo("", err=True)
        names = dict(session().execute(select(User.id, User.name)).all())
        if as_json:
            click.echo(json.dumps(as_data(found, names), ensure_ascii=False, indent=2, default=str))
        else:
            _print(found, names)


def _values(given: tuple[str, ...]) -> dict[str, str]:
    pairs = [one.partition("=") for one in given]
    for name, sign, value in pairs:
        if not (name and sign and value):
            raise click.BadParameter(f"write NAME=VALUE, not {name}{sign}{value}", param_hint="--set")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _told(bad: AppError) -> list[str]:
    errors = getattr(bad, "errors", None)
    if not errors:
        return [str(text) for text in bad.texts()]
    return [f"{name}: {text}" for name, texts in errors.items() for text in texts]


def _show(done: int, total: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\rreplayed {done} / {total} records   ", nl=False, err=True)


def as_data(found: Result, names: dict[int, str]) -> dict[str, Any]:
    """Return a result as plain data, for JSON."""
    asked = found.question
    return {
        "counterfactual": True,
        "clause": asked.clause.id,
        "units": list(asked.units),
        "first": asked.first,
        "last": asked.last,
        "values": dict(asked.values),
        "also_where_off": asked.everywhere,
        "records": found.records,
        "obligations": found.judged,
        "without_limit": found.unjudged,
        **_pair(found.total),
        "months": {month: _pair(found.by_month[month]) for month in sorted(found.by_month)},
        "persons": {names.get(who or 0, "-"): _pair(pair) for who, pair in found.by_person.items()},
        "flips": {
            "count": found.flips,
            "breaches_more": found.to_late,
            "breaches_less": found.to_met,
            "first": [_flip(one) for one in found.sample],
        },
        "penalties_estimated": {
            clause: {"was": asdict(was), "would": asdict(would)} for clause, (was, would) in found.penalties.items()
        },
    }


def _pair(pair: Pair) -> dict[str, Any]:
    return {"was": _figures(pair.was), "would": _figures(pair.would)}


def _figures(figures: Figures) -> dict[str, Any]:
    rate = figures.rate
    return {**asdict(figures), "rate": None if rate is None else float(round(rate, 4))}


def _flip(one: Judged) -> dict[str, Any]:
    return {
        "unit": one.unit_id,
        "record": one.record_id,
        "start": one.start_at,
        "ended": one.ended_at,
        "was": one.was or None,
        "was_due": one.was_due,
        "would": one.would,
        "would_due": one.would_due,
    }


def _print(found: Result, names: dict[int, str]) -> None:
    asked = found.question
    changed = ", ".join(f"{name}={value}" for name, value in asked.values.items()) or "nothing changed"
    click.echo(f"{asked.clause.id} from {asked.first} to {asked.last}, {changed} (counterfactual)")
    click.echo(f"{found.records} records, {found.judged} obligations\n")
    click.echo(f"{'':<20}{'met':>10}{'late':>10}{'excused':>10}{'rate':>9}")
    for label, pair in (("all", found.total), *((m, found.by_month[m]) for m in sorted(found.by_month))):
        click.echo(f"{label:<14} was  {_line(pair.was)}")
        click.echo(f"{'':<14} would{_line(pair.would)}")
    click.echo(f"\n{found.flips} come out otherwise: {found.to_late} breaches more, {found.to_met} less")
    for who, pair in sorted(found.by_person.items(), key=lambda one: str(one[0])):
        click.echo(f"  {names.get(who or 0, '-'):<18} late {pair.was.late} -> {pair.would.late}")
    for clause, sides in found.penalties.items():
        before, after = (_money(one) for one in sides)
        click.echo(f"penalties of {clause}, estimated: {before} -> {after}")


def _line(figures: Figures) -> str:
    return f"{figures.met:>10}{figures.late:>10}{figures.excused:>10}{percent(figures.rate):>9}"


def _money(one: Estimate) -> str:
    amount = f"{one.least}" if one.least == one.most else f"{one.least}..{one.most}"
    return f"{one.count} proposals, {amount} yuan"
