"""Replay (历史测算): what would have been met and late under other values of a clause, labelled as such."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from flask import g, request
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload, load_only

from core.admin import compliance_words as words
from core.admin.cases import lists
from core.admin.categories import RULES
from core.admin.clause_words import said_value, title_with_unit
from core.admin.clauses import said
from core.admin.forms import FieldsForm, form_from_fields
from core.admin.views import Answer, Screen, may_here
from core.kernel.database import session
from core.kernel.errors import InvalidData
from core.kernel.extensions import AdminEntry
from core.kernel.fields import Field
from core.records.models import Record
from core.rules import replay, settings
from core.rules.clauses import Clause
from core.rules.compliance import percent
from core.rules.effective import effective
from core.rules.replay import Estimate, Judged, Pair, Question, Result
from core.units.facts import local_day
from core.users import positions

# A page answers within seconds; longer periods are for the command.
MOST_RECORDS = 120_000


class ReplayScreen(Screen):
    """Choose a clause, other values and a period; see what would have come out otherwise. Nothing is written."""

    permission = replay.REPLAY
    icon = "refresh"

    @expose("/")
    def index(self) -> Answer:
        """Choose a clause, show its form, and with ``run`` the result. A GET, so that nothing can be written."""
        clauses = replay.choices(g.unit.id)
        clause = next((one for one in clauses if one.id == request.args.get("clause")), None)
        if clause is None:
            unknown = bool(request.args.get("clause"))
            page = self.render("admin/replay.html", clauses=clauses, clause=None, unknown=unknown, said=said)
            return (page, 422) if unknown else page
        form = _form(clause)
        found: Result | None = None
        further: list[Judged] = []
        after = _after()
        if request.args.get("run"):
            try:
                question = _question(clause)
                if after:
                    further = replay.flips_after(question, after)
                else:
                    found = replay.run(question, most=MOST_RECORDS)
            except InvalidData as bad:
                form.show(InvalidData({_field(clause, name): texts for name, texts in bad.errors.items()}))
        page = self.render(
            "admin/replay.html",
            clauses=clauses,
            clause=clause,
            unknown=False,
            form=form,
            result=found,
            after=after,
            said=said,
            percent=percent,
            changed=_changed(clause, found.question) if found else [],
            people=_people(found) if found else [],
            money=_money(found) if found else [],
            flips=_flips(found.sample if found else further),
            next=_next(found.sample if found and found.flips > len(found.sample) else further),
            standings=words.STANDINGS,
            adopt=_adopt(clause) if may_here(settings.CHANGE) else "",
            query=_query,
        )
        return (page, 422) if form.errors or form.problems else page


def _form(clause: Clause) -> FieldsForm:
    today = local_day(g.unit.id)
    fields = _fields(clause)
    sent = {one.name: request.args.get(one.name) for one in fields}
    if not request.args.get("run"):
        sent = {"first": str(date(today.year, 1, 1)), "last": str(today), "everywhere": "1", **_given(sent)}
    values = {
        one.name: sent.get(one.name) == "1" if one.kind == "bool" else sent.get(one.name) or "" for one in fields
    }
    return form_from_fields(fields, values, timezone=g.unit.timezone, fresh=True)


def _given(sent: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in sent.items() if value}


def _fields(clause: Clause) -> Sequence[Field]:
    now = effective(g.unit.id, clause)
    titles = dict(positions.choices())
    own = []
    for one in clause.parameters:
        made = settings.field_of(one, f"p_{one.name}", title_with_unit(one))
        told = _(
            "Now: %(value)s. Empty: as it was at the time.", value=said_value(one, now.values[one.name], titles)
        )
        own.append(Field(**{**vars(made), "help": told, "required": False}))
    spread = [Field("below", "bool", _l("With units below"))] if len(g.actor.tree) > 1 else []
    return (
        *replay.PERIOD,
        *own,
        Field("everywhere", "bool", _l("Also where and when the clause was off")),
        *spread,
    )


def _field(clause: Clause, name: str) -> str:
    """The service names parameters, the form its fields."""
    return f"p_{name}" if any(one.name == name for one in clause.parameters) else name


def _question(clause: Clause) -> Question:
    raw = {one.name: request.args.get(f"p_{one.name}", "") for one in clause.parameters}
    return replay.ask(
        g.unit.id,
        clause.id,
        _given(raw),
        {name: request.args.get(name, "") for name in ("first", "last")},
        below=request.args.get("below") == "1",
        everywhere=request.args.get("everywhere") == "1",
    )


def _after() -> tuple[int, int, int] | None:
    """Read after which obligation the list of differences goes on; what is malformed counts as absent."""
    parts = request.args.get("after", "").split("-")
    if len(parts) != 3 or not all(one.isascii() and one.isdigit() and len(one) < 19 for one in parts):
        return None
    unit, record, fact = (int(one) for one in parts)
    return unit, record, fact


def _query(**changes: str) -> dict[str, str]:
    """Return the words of this page's address with some changed."""
    return {**request.args.to_dict(), **changes}


def _next(rows: Sequence[Judged]) -> str:
    return "-".join(str(one) for one in rows[-1].key) if len(rows) == replay.PAGE else ""


def _adopt(clause: Clause) -> dict[str, str]:
    """Return the words of the address of the clause's form with these values filled in."""
    names = (f"p_{one.name}" for one in clause.parameters)
    return {"clause_id": clause.id, **_given({name: request.args.get(name) for name in names})}


def _changed(clause: Clause, question: Question) -> list[tuple[str, str, str]]:
    """Return (title, present value, replayed value) of the values that differ."""
    now, titles = effective(g.unit.id, clause).values, dict(positions.choices())
    found = []
    for one in clause.parameters:
        if one.name in question.values:
            before, after = (said_value(one, values[one.name], titles) for values in (now, question.values))
            found.append((said(one.title), before, after))
    return found


def _people(found: Result) -> list[tuple[str, Pair]]:
    names = words.names_of(found.by_person)
    rows = [(names.get(who or 0, _("Nobody to be found")), pair) for who, pair in found.by_person.items()]
    rows = [one for one in rows if one[1].was.counted or one[1].would.counted]
    return sorted(rows, key=lambda one: (-abs(one[1].would.late - one[1].was.late), one[0]))


def _money(found: Result) -> list[tuple[str, Estimate, Estimate]]:
    return [(clause, *sides) for clause, sides in found.penalties.items()]


@dataclass(frozen=True)
class Row:
    """One obligation that would come out otherwise, with its record."""

    judged: Judged
    record: Record
    person: str
    url: str


def _flips(rows: Iterable[Judged]) -> list[Row]:
    listed = list(rows)
    if not listed:
        return []
    wanted = select(Record).where(Record.id.in_({one.record_id for one in listed}))
    columns = load_only(Record.id, Record.number, Record.title)
    records = {one.id: one for one in session().scalars(wanted.options(columns, joinedload(Record.customer)))}
    names = words.names_of({one.would_responsible for one in listed})
    return [_row(one, records[one.record_id], names) for one in listed]


def _row(one: Judged, record: Record, names: Mapping[int, str]) -> Row:
    return Row(one, record, names.get(one.would_responsible or 0, ""), lists.record_url(record))


def admin_views() -> list[AdminEntry]:
    """Return the replay for the menu."""
    return [AdminEntry(ReplayScreen(name=_l("Replay"), endpoint="replay", url="/admin/replay"), RULES, 30)]
