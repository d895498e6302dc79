"""``flask rules explain``: how a clause comes out in a unit at a moment, and why."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import click
from flask.cli import with_appcontext
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import pgettext
from sqlalchemy import select

from core.kernel import clock
from core.kernel.database import session, system_scope
from core.kernel.fields import label_of
from core.kernel.i18n import current_locale
from core.records.models import Record
from core.rules.reasons import explain as work_out
from core.rules.rulebook import current_rulebook
from core.units import services
from core.units.models import Unit

from .speech import spoken

Data = Mapping[str, Any]
Say = Callable[[str, Any], object]


@click.command("explain", help="Say how a clause comes out in a unit at a moment, and why.")
@click.argument("clause_id", metavar="CLAUSE")
@click.option("--unit", "code", help="Code of the unit (left out: the only one, or that of the record).")
@click.option("--at", "moment", help="When it begins, in the unit's zone: 2025-09-26T16:00 (left out: now).")
@click.option(
    "--fact",
    "facts",
    multiple=True,
    metavar="NAME=VALUE",
    help="A field of a record (urgency=urgent), or a kind of fact and its moment (paused=2025-09-27T09:00).",
)
@click.option("--record", "number", help="Number of a record: its own facts and fields count.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_appcontext
def explain(
    clause_id: str, code: str | None, moment: str | None, facts: tuple[str, ...], number: str | None, as_json: bool
) -> None:
    with system_scope("command line", read_only=True), spoken():
        record = _record(number) if number else None
        unit = _unit(code, record)
        at = _moment(moment, unit.timezone)
        if at is None:
            at = record.received_at if record else clock.now()
        data = work_out(_clause(clause_id), unit.id, at, dict(_given(facts)), record)
    if as_json:
        click.echo(json.dumps(data, ensure_ascii=False, indent=2, default=str))
    else:
        _print(data)


def _clause(clause_id: str) -> str:
    known = current_rulebook().clauses
    if clause_id in known:
        return clause_id
    from difflib import get_close_matches

    near = ", ".join(get_close_matches(clause_id, list(known), n=3))
    hint = " " + _("Did you mean %(near)s?", near=near) if near else ""
    raise click.ClickException(_("No installed rulebook has the clause %(id)s", id=clause_id) + "." + hint)


def _record(number: str) -> Record:
    found = session().scalars(select(Record).where(Record.number == number)).first()
    if found is None:
        raise click.ClickException(_("No record has the number %(number)s", number=number))
    return found


def _unit(code: str | None, record: Record | None) -> Unit:
    if record is not None:
        unit = session().get_one(Unit, record.unit_id)
        if code and code.upper() != unit.code:
            raise click.UsageError(_("The record belongs to the unit %(code)s", code=unit.code))
        return unit
    if code:
        return services.unit_by_code(code.upper())
    units = services.tree()
    if len(units) == 1:
        return units[0]
    codes = ", ".join(one.code for one in units) or "-"
    raise click.UsageError(_("Say which unit with --unit; there are: %(codes)s", codes=codes))


def _moment(text: str | None, zone: str) -> datetime | None:
    if text is None:
        return None
    try:
        read = datetime.fromisoformat(text.strip())
    except ValueError:
        read = None
    if read is None or not 1990 <= read.year <= 2100:
        raise click.UsageError(_("--at needs a moment such as 2025-09-26T16:00, not %(text)s", text=text))
    return read if read.tzinfo else read.replace(tzinfo=ZoneInfo(zone))


def _given(facts: Iterable[str]) -> Iterable[tuple[str, str]]:
    for one in facts:
        name, sign, value = one.partition("=")
        if not sign or not name.strip():
            raise click.UsageError(_("--fact needs NAME=VALUE, not %(text)s", text=one))
        yield name.strip(), value.strip()


# --- in words --------------------------------------------------------------------------------------


def _print(data: Data) -> None:
    click.echo(f"{data['clause']}  {_in_words(data['title'])}")
    click.echo(_in_words(data["text"]))
    click.echo("")
    _say(pgettext("explain", "unit"), f"{data['unit']} ({data['timezone']})")
    _say(pgettext("explain", "at"), _short(data["at"]))
    if data["record"]:
        _say(pgettext("explain", "record"), data["record"])
    _say(
        pgettext("explain", "holds"),
        (pgettext("explain", "yes") if data["holds"] else pgettext("explain", "no")) + _from(data["holds_from"]),
    )
    if not data["plugin_on"]:
        _say("", _("The plugin %(name)s is switched off here", name=data["plugin"]))
    for one in data["parameters"]:
        unit = " ".join(part for part in (one["unit"], f"({one['clock']})" if one["clock"] else "") if part)
        _say(
            pgettext("explain", "parameter"), f"{one['name']} = {one['value']} {unit}".rstrip() + _from(one["from"])
        )
    for rule in data["rules"]:
        click.echo("")
        _RULES.get(rule["kind"], _print_plain)(rule)
    if not data["rules"]:
        click.echo("")
        places = [f"{one['how']} {one['place']}" for one in data["applies"]]
        _say(pgettext("explain", "applies"), ", ".join(places) or _("nowhere yet"))
    for one in data["obligations"]:
        click.echo("")
        _print_owed(one)


def _say(label: str, text: Any) -> None:
    """Chinese words are twice as wide on a terminal."""
    width = sum(2 if ord(letter) > 0x2E7F else 1 for letter in label)
    click.echo(f"{label}{' ' * max(1, 14 - width)}{text}")


def _in_words(words: Mapping[str, str]) -> str:
    return words.get(current_locale()) or words.get("en", "")


def _from(source: Data | None) -> str:
    if source is None:
        return "  · " + pgettext("explain", "default")
    return "  · " + _(
        "set by %(unit)s from %(day)s (version %(number)d)",
        unit=source["unit"],
        day=source["since"],
        number=source["version"],
    )


def _short(moment: str | None) -> str:
    return (moment or "-").replace("T", " ")[:19].removesuffix(":00")


def _term(term: Data) -> str:
    text = f"{term['amount']} {term['unit']} ({term['clock']})"
    if term["day_end"] and term["day_end"] != "24:00":
        text += f", {term['day_end']}"
    return text + (", " + _("a last day that is a rest day rolls on") if term["roll_rest_day"] else "")


def _print_deadline(rule: Data) -> None:
    _say(
        pgettext("explain", "deadline"),
        f"{rule['record_type']}: {' / '.join(rule['starts_with'])} → {' / '.join(rule['met_by'])}",
    )
    for name, value in rule["looks_at"].items():
        _say("", f"{name} = {value or '-'}")
    if not rule["applies"]:
        _say("", _("It does not apply to such a record"))
    if "term" not in rule:
        _say("", rule.get("cannot_tell") or "")
        return
    _say(pgettext("explain", "term"), _term(rule["term"]))
    if rule["target"]:
        _say(pgettext("explain", "target"), _term(rule["target"]))
    named = rule["calendar"]["name"] or _("Mon–Fri 09:00–12:00 13:00–18:00")
    _say(pgettext("explain", "calendar"), f"{named} ({rule['calendar']['timezone']})")
    if not rule["applies"]:
        return
    for one in rule["episodes"]:
        _print_episode(one, rule)
    if not rule["episodes"]:
        _say("", _("Nothing has started it"))


def _print_episode(one: Data, rule: Data) -> None:
    _say(pgettext("explain", "starts"), f"{_short(one['start'])}  {one['started_by']}")
    for pause in one["pauses"]:
        _say(pgettext("explain", "paused"), f"{_short(pause['from'])} – {_short(pause['until'])}")
    for day in one.get("days", ()):
        _say("", _day(day))
    if one.get("days_left_out"):
        _say("", _("… %(count)d more days", count=one["days_left_out"]))
    if one["problem"]:
        _say(pgettext("explain", "problem"), one["problem"])
    _say(pgettext("explain", "due"), _short(one["due"]))
    if one["target"]:
        _say(pgettext("explain", "target"), _short(one["target"]))
    if one["warning"]:
        _say(pgettext("explain", "warning"), _short(one["warning"]))
    if one.get("provisional_years"):
        years = ", ".join(map(str, one["provisional_years"]))
        _say("", _("Provisional: the official holidays of %(years)s are not published yet", years=years))
    if one["state"] not in ("open", "overdue") or rule["of_record"]:
        _say(pgettext("explain", "state"), _state(one))


def _state(one: Data) -> str:
    if not one["late_seconds"]:
        return str(one["state"])
    hours, rest = divmod(one["late_seconds"], 3600)
    late = f"{hours:d}:{rest // 60:02d}:{rest % 60:02d}"
    return _("%(state)s, late by %(late)s (%(days)d days)", state=one["state"], late=late, days=one["late_days"])


def _day(step: Data) -> str:
    text = f"{step['day']}  {label_of(_KINDS_OF_DAYS, step['is'])}"
    if step["number"]:
        text += "  " + _("day %(number)d", number=step["number"])
    if step["seconds"]:
        text += f"  {step['seconds'] // 3600}:{step['seconds'] // 60 % 60:02d}"
    return text


_KINDS_OF_DAYS = (
    ("work", _l("Working day")),
    ("rest", _l("Rest day")),
    ("holiday", _l("Public holiday")),
    ("makeup", _l("Make-up working day")),
    ("own", _l("Own hours")),
)


def _print_owed(one: Data) -> None:
    _say(pgettext("explain", "owed"), f"{_short(one['start'])} → {_short(one['due'])}")
    _say(pgettext("explain", "state"), _state(one) + (f"  {_short(one['ended'])}" if one["ended"] else ""))
    _say(pgettext("explain", "responsible"), one["responsible"] or "-")


def _print_gate(rule: Data) -> None:
    _say(pgettext("explain", "gate"), rule["step"])
    if not rule["asked"]:
        _say("", _("Whether it refuses depends on a record: name one with --record"))
    elif rule.get("refused"):
        _say(pgettext("explain", "refused"), rule["refused"])
    else:
        _say("", _("It lets this step through"))


def _print_fee(rule: Data) -> None:
    _say(pgettext("explain", "fee"), rule["step"])
    lines = rule.get("lines")
    if lines is None:
        _say("", _("What it comes to depends on a record: name one with --record"))
    elif isinstance(lines, dict):
        _say("", lines["cannot_tell"])
    else:
        for one in lines:
            _say(one["payer"], f"{one['label']}  {one['quantity']} × {one['price']} = {one['amount']}")


def _print_penalty(rule: Data) -> None:
    _say(
        pgettext("explain", "penalty"),
        _("a proposal after a breach of %(clauses)s", clauses=", ".join(rule["after_breach_of"])),
    )
    for name in ("amount", "least", "most", "per_day", "cap"):
        if rule[name] is not None:
            _say("", f"{name} {rule[name]}")


def _print_schedule(rule: Data) -> None:
    every = f"{rule['every']['amount']} {rule['every']['unit']}"
    _say(
        pgettext("explain", "schedule"),
        _("every %(every)s, counted from %(day)s", every=every, day=rule["counted_from"]),
    )
    for one in rule["periods"]:
        text = _("%(first)s to %(last)s, due %(due)s", first=one["from"], last=one["to"], due=one["due"])
        _say("", text)


def _print_plain(rule: Data) -> None:
    _say(rule["kind"], rule.get("step", ""))
    for name, value in rule.items():
        if name not in ("kind", "step", "asked") and value not in (None, "", [], {}):
            _say("", f"{name}: {json.dumps(value, ensure_ascii=False, default=str)}")


_RULES: Mapping[str, Callable[[Data], None]] = {
    "deadline": _print_deadline,
    "gate": _print_gate,
    "fee": _print_fee,
    "penalty": _print_penalty,
    "schedule": _print_schedule,
}
