"""How well clauses are kept (及时率): figures by clause, unit, position, person and month, and what is behind."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import Response, g, request, send_file
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, or_, select
from sqlalchemy.orm import joinedload

from core.admin import charts, compliance_book
from core.admin import compliance_words as words
from core.admin.cases import lists
from core.admin.cases.deadlines import late_words
from core.admin.cases.words import unit_name
from core.admin.categories import RULES
from core.admin.clauses import clause_title
from core.admin.export import EXCEL, attachment
from core.admin.listing import Filter, ListColumn, ListContext, ListSpec, Ordering, QuickFilter, among, between
from core.admin.views import Answer, ListScreen, Screen, may_here
from core.customers.models import Customer
from core.kernel import clock
from core.kernel.audit import record_audit
from core.kernel.database import reading, transaction
from core.kernel.extensions import AdminEntry
from core.records.models import Fact, Record
from core.rules import compliance
from core.rules.compliance import Figures, percent
from core.rules.obligation_models import PENDING, Obligation
from core.rules.replay import REPLAY
from core.rules.rulebook import current_rulebook
from core.users import positions
from core.users.models import User

VIEWS: Sequence[tuple[str, Any]] = (
    ("clauses", _l("Per clause")),
    ("people", _l("Per person")),
    ("units", _l("Per unit and position")),
    ("months", _l("Per month")),
    ("refusals", _l("Steps refused")),
)


class ComplianceScreen(Screen):
    """The dashboard. Every number leads to the obligations it counts."""

    permission = compliance.VIEW
    icon = "chart"

    @expose("/")
    def index(self) -> Answer:
        """Show the figures; ``view`` chooses the table."""
        asked = words.read()
        view = request.args.get("view", "")
        view = view if view in dict(VIEWS) else VIEWS[0][0]
        found = compliance.answer(asked.question)
        return self.render(
            "admin/compliance.html",
            asked=asked,
            view=view,
            views=VIEWS,
            total=found.total,
            table=_table(view, asked, found),
            refused=compliance.refusals(asked.question) if view == "refusals" else {},
            charts=_charts(found) if view == VIEWS[0][0] else [],
            percent=percent,
            formula=compliance_book.formula,
            words=words,
            periods=words.periods(g.unit.id),
            months=words.month_choices(g.unit.id, asked.question.first, asked.question.last),
            has_below=len(g.actor.tree) > 1,
            latest="" if found.total.total else compliance.latest_month(asked.question.units),
            months_back=compliance.months_back,
            may_replay=may_here(REPLAY),
        )

    @expose("/chart/<size>")
    def chart(self, size: str) -> Response:
        """Draw the chart whose numbers stand, signed, in the address."""
        return charts.picture(request.args.get("d", ""), size)

    @expose("/export", methods=("POST",))
    def export(self) -> Answer:
        """Send the whole as a workbook: every table, for the filters in the address. Logged, hence a POST."""
        asked = words.read()
        target = tempfile.TemporaryFile(suffix=".xlsx")  # noqa: SIM115 - the response closes it
        with reading():
            found = compliance.answer(asked.question)
            tables = [(label, _table(view, asked, found)) for view, label in VIEWS if view != "refusals"]
            refused = compliance.refusals(asked.question)
            compliance_book.write(target, asked, found.total, tables, refused)
        with transaction():
            detail = {"filters": asked.query()}
            record_audit("export", ("list", "compliance"), unit_id=g.unit.id, detail=detail)
        target.seek(0)
        period = f"{asked.question.first}-{asked.question.last}"
        answer = send_file(target, mimetype=EXCEL)
        name = _("Compliance with clauses")
        answer.headers["Content-Disposition"] = attachment(f"{name}-{period}.xlsx", f"compliance-{period}.xlsx")
        return answer


@dataclass(frozen=True)
class Line:
    """One row of a table: its name, its figures, and how the list behind them is narrowed to it."""

    label: str
    figures: Figures
    narrower: Mapping[str, Any] = field(default_factory=dict)
    clause: str = ""


def _table(view: str, asked: words.Asked, found: compliance.Answer) -> list[tuple[Any, list[Line]]]:
    """Return the tables of a view: (heading of the first column, rows)."""
    if view == "people":
        people = compliance.by_person(asked.question)
        names = words.names_of(people)
        nobody = _("Nobody to be found")
        rows = [
            Line(names.get(who, nobody), one, {"person": who}) if who else Line(nobody, one)
            for who, one in people.items()
        ]
        return [(_("Person"), sorted(rows, key=_worst))]
    if view == "units":
        titles, named = dict(positions.choices()), words.unit_names(found.by_unit)
        by_position = [
            Line(str(titles.get(code, code)), one, {"position": code})
            if code
            else Line(_("No position named"), one)
            for code, one in found.by_position.items()
        ]
        by_unit = [Line(named[key], found.by_unit[key], {"unit": key}) for key in named]
        return [(_("Unit"), by_unit), (_("Position"), sorted(by_position, key=_worst))]
    if view == "months":
        return [
            (_("Month"), [Line(key, found.by_month[key], {"month": key}) for key in reversed(list(found.by_month))])
        ]
    if view == "clauses":
        rows = [Line(clause_title(key), one, {"clause": key}, key) for key, one in found.by_clause.items()]
        return [(_("Clause"), sorted(rows, key=_worst))]
    return []


def _worst(line: Line) -> tuple[Any, ...]:
    """Lowest rate first; what has none comes last."""
    rate = line.figures.rate
    return rate is None, rate or 0, -line.figures.late, line.label


def _charts(found: compliance.Answer) -> list[tuple[Any, str, str]]:
    """Return (title, words for those who see no picture, signed word) of the charts that have something to show."""
    rated = [(key, one) for key, one in found.by_clause.items() if one.rate is not None]
    rated.sort(key=lambda pair: (pair[1].rate, pair[0]))
    shown = [
        (_("Met in time, by month"), charts.LINE, list(found.by_month), list(found.by_month.values())),
        (
            _("Lowest first: the clauses kept least"),
            charts.BARS,
            [f"{key} {clause_title(key)}" for key, _one in rated[: charts.MOST_BARS]],
            [one for _key, one in rated[: charts.MOST_BARS]],
        ),
    ]
    return [_picture(*one) for one in shown if any(figures.rate is not None for figures in one[3])]


def _picture(title: str, kind: str, labels: list[str], figures: list[Figures]) -> tuple[Any, str, str]:
    told = _("; ").join(f"{label} {percent(one.rate)}" for label, one in zip(labels, figures, strict=True))
    values = [None if one.rate is None else float(percent(one.rate).rstrip("%")) for one in figures]
    return title, f"{title}: {told}", charts.address(kind, labels, [(_("Rate met in time"), values)])


# --- the list behind the numbers -----------------------------------------------------------------


def _stands(statement: Select[Any], codes: Sequence[str], _context: ListContext) -> Select[Any]:
    return statement.where(or_(*(compliance.stands(code) for code in codes)))


def _in_regulation(statement: Select[Any], codes: Sequence[str], _context: ListContext) -> Select[Any]:
    known = current_rulebook().clauses.values()
    return statement.where(Obligation.clause.in_([one.id for one in known if one.regulation in codes]))


def _of_kind(statement: Select[Any], codes: Sequence[str], _context: ListContext) -> Select[Any]:
    known = current_rulebook().clauses.values()
    return statement.where(Obligation.clause.in_([one.id for one in known if one.kind in codes]))


def _of_position(statement: Select[Any], codes: Sequence[str], _context: ListContext) -> Select[Any]:
    known = current_rulebook().clauses.values()
    return statement.where(Obligation.clause.in_([one.id for one in known if one.responsible in codes]))


def _numbered(column: Any) -> Any:
    return lambda statement, codes, _context: statement.where(column.in_([int(code) for code in codes]))


def _provisional(statement: Select[Any], wanted: bool, _context: ListContext) -> Select[Any]:
    return statement.where(Obligation.provisional.is_(wanted))


def _base() -> Select[Any]:
    return select(Obligation).options(
        joinedload(Obligation.record)
        .load_only(Record.id, Record.number, Record.title)
        .options(joinedload(Record.customer).load_only(Customer.name), joinedload(Record.unit)),
        joinedload(Obligation.responsible).load_only(User.name),
        joinedload(Obligation.excuse).load_only(Fact.note, Fact.data),
    )


def standing_of(row: Obligation) -> tuple[Any, str, str]:
    """Return the badge of how an obligation stands now."""
    return words.STANDINGS[compliance.standing(row.state, row.due_at, clock.now())]


def late_text(row: Obligation) -> str:
    """Say by how much an obligation is or was late, in the clause's own clock."""
    late = compliance.lateness(row)
    return late_words(late.term, late.seconds, late.days, late.gone) if late else ""


def _clause(row: Obligation) -> str:
    return f"{row.clause} {clause_title(row.clause)}".rstrip()


def _excuse(row: Obligation) -> str:
    return row.excuse.note if row.excuse else ""


def _url(row: Obligation) -> str:
    return lists.record_url(row.record)


OBLIGATIONS = ListSpec(
    name="obligations",
    title=_l("Time limits"),
    model=Obligation,
    columns=(
        ListColumn(
            "number",
            _l("Number"),
            lambda row: row.record.number,
            "code",
            link=_url,
        ),
        ListColumn(
            "title",
            _l("Problem"),
            lambda row: row.record.title,
            card="title",
            link=_url,
        ),
        ListColumn("customer", _l("Customer"), lambda row: row.record.customer.name if row.record.customer else ""),
        ListColumn("clause", _l("Clause"), _clause),
        ListColumn("standing", _l("Result"), standing_of, "badge", card="badge"),
        ListColumn("late", _l("Late by"), late_text),
        ListColumn("start", _l("Began at"), lambda row: row.start_at, "moment", order="start"),
        ListColumn("due", _l("Due"), lambda row: row.due_at, "moment"),
        ListColumn("ended", _l("Ended"), lambda row: row.ended_at, "moment", visible=False),
        ListColumn("person", _l("Responsible"), lambda row: row.responsible.name if row.responsible else ""),
        ListColumn("excuse", _l("Excuse"), _excuse, visible=False),
        ListColumn(
            "provisional",
            _l("Official table"),
            lambda row: (_("provisional"), "warn", "warn") if row.provisional else None,
            "badge",
            export=lambda row: _("provisional") if row.provisional else "",
            visible=False,
        ),
        ListColumn("unit", _l("Unit"), lambda row: unit_name(row.record.unit), visible=False),
    ),
    orderings=(Ordering("start", _l("Began at"), (Obligation.start_at, Obligation.id)),),
    filters=(
        Filter("begun", _l("Began at"), "dates", between(Obligation.start_at)),
        Filter("clause", _l("Clause"), "choice", among(Obligation.clause), lambda: words.choices("clause")),
        Filter(
            "standing", _l("Result"), "choice", _stands, [(key, one[0]) for key, one in words.STANDINGS.items()]
        ),
        Filter("person", _l("Responsible"), "choice", _numbered(Obligation.responsible_id), words.people_choices),
        Filter("regulation", _l("Regulation"), "choice", _in_regulation, lambda: words.choices("regulation")),
        Filter("position", _l("Position"), "choice", _of_position, positions.choices),
        Filter("kind", _l("Kind"), "choice", _of_kind, lambda: words.choices("kind")),
        Filter("provisional", _l("Official table is provisional"), "bool", _provisional),
        Filter("unit", _l("Unit"), "choice", _numbered(Obligation.unit_id), lists.unit_choices),
    ),
    quick=(
        QuickFilter("overdue", _l("Overdue"), lambda statement, _c: statement.where(compliance.stands("overdue"))),
        QuickFilter("running", _l("Running"), lambda statement, _c: statement.where(Obligation.state.in_(PENDING))),
        QuickFilter(
            "mine", _l("Mine"), lambda statement, c: statement.where(Obligation.responsible_id == c.actor_id)
        ),
    ),
    base=_base,
    empty=_l("No time limit has begun yet: clauses that are on give one with each record they concern."),
)


class ObligationList(ListScreen):
    """The obligations behind the figures, each with its record."""

    permission = compliance.VIEW
    export_permission = compliance.VIEW
    icon = "clock"

    def list_spec(self) -> ListSpec:
        return OBLIGATIONS

    def row_url(self, row: Any) -> str:
        return lists.record_url(row.record)


def admin_views() -> list[AdminEntry]:
    """The dashboard and the list behind it."""
    board = ComplianceScreen(name=_l("Compliance with clauses"), endpoint="compliance", url="/admin/compliance")
    behind = ObligationList(name=_l("Time limits"), endpoint="obligations", url="/admin/obligations")
    return [AdminEntry(board, RULES, 20), AdminEntry(behind, RULES, 21)]
