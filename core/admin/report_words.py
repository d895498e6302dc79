"""The unit's report in words: titles of its figures and spans, and where each number leads."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from babel.dates import get_day_names
from flask import url_for
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, select
from sqlalchemy.orm import aliased

from core.kernel import clock
from core.kernel.fields import Choices
from core.records.models import Fact, Record
from core.rules import unit_report as figures
from core.rules.obligation_models import LATE, OPEN, Obligation
from core.rules.unit_report import Report, Span

from .cases import lists
from .listing import Filter, ListContext, ListSpec, Narrow, between

NOBODY = "0"
SPANS: Choices = ((figures.DAY, _l("Day")), (figures.WEEK, _l("Week")), (figures.MONTH, _l("Month")))
FIGURES: dict[str, tuple[Any, str]] = {
    figures.NEW: (_l("New"), "info"),
    figures.FINISHED: (_l("Finished"), "good"),
    figures.LATE_ONES: (_l("Late"), "bad"),
    figures.CHASED: (_l("Chased"), "warn"),
    figures.DUE: (_l("Falls due"), "warn"),
    figures.STILL_OPEN: (_l("Open now"), "info"),
}
TASKS: dict[str, Any] = {
    figures.NEW: _l("Begun"),
    figures.FINISHED: _l("Done"),
    figures.LATE_ONES: _l("Late"),
    figures.DUE: _l("Falls due"),
}


def due_label(report: Report) -> Any:
    """Name what falls due: today has a word of its own."""
    one_day = report.span.kind == figures.DAY and report.span.first == report.today
    return _("Due today") if one_day else FIGURES[figures.DUE][0]


def span_title(span: Span) -> str:
    """Name the days of a report."""
    if span.kind == figures.MONTH:
        return span.first.strftime("%Y-%m")
    if span.kind == figures.WEEK:
        return f"{span.first.isoformat()} – {span.last.isoformat()}"
    return day_title(span.first)


def day_title(day: date) -> str:
    """Name a day with its weekday."""
    return f"{day.isoformat()} {get_day_names('abbreviated', locale=get_locale())[day.weekday()]}"


# --- where numbers lead ------------------------------------------------------------------------------


def cases_url(span: Span, figure: str, person: int | str | None = "", day: date | None = None) -> str:
    """Return the list of the cases that a number counts; ``person`` '' is everybody, None nobody."""
    first, last = (day, day) if day else (span.first, span.last)
    words: dict[str, Any] = (
        {"quick": "open"} if figure == figures.STILL_OPEN else {f"f_{figure}": f"{first}..{last}"}
    )
    if person != "":
        words["f_late_by" if figure == figures.LATE_ONES else "f_assignee"] = NOBODY if person is None else person
    return url_for("report_cases.index_view", **words)


def _with_fact(*kinds: str) -> Narrow:
    def narrow(statement: Select[Any], span: Any, context: ListContext) -> Select[Any]:
        fact = aliased(Fact)
        found = select(fact.id).where(fact.record_id == Record.id, fact.kind.in_(kinds))
        return statement.where(between(fact.at)(found, span, context).exists())

    return narrow


def _late(statement: Select[Any], span: Any, context: ListContext) -> Select[Any]:
    found = between(Obligation.due_at)(_late_ones(), span, context)
    return statement.where(found.exists())


def _late_ones() -> Select[Any]:
    late = (Obligation.state == LATE) | ((Obligation.state == OPEN) & (Obligation.due_at < clock.now()))
    return select(Obligation.id).where(Obligation.record_id == Record.id, late)


def _late_by(statement: Select[Any], people: Any, _context: ListContext) -> Select[Any]:
    ids = [int(one) for one in people if one != NOBODY]
    who = Obligation.responsible_id.in_(ids) if ids else Obligation.responsible_id.is_(None)
    return statement.where(_late_ones().where(who).exists())


def _assignee(statement: Select[Any], people: Any, _context: ListContext) -> Select[Any]:
    ids = [int(one) for one in people if one != NOBODY]
    return statement.where(Record.assignee_id.in_(ids) if ids else Record.assignee_id.is_(None))


def _people() -> Choices:
    return [(NOBODY, _("Nobody yet")), *lists.staff_choices()]


def cases_spec() -> ListSpec:
    """Return the list behind the report's numbers."""
    return replace(lists.CASES, **_CHANGES)


_CHANGES: dict[str, Any] = {
    "name": "report_cases",
    "title": _l("Cases of the report"),
    "filters": (
        Filter(figures.NEW, _l("Received at"), "dates", between(Record.received_at)),
        Filter(figures.FINISHED, _l("Finished"), "dates", _with_fact(*figures.DONE_KINDS)),
        Filter(figures.LATE_ONES, _l("Late"), "dates", _late),
        Filter(figures.CHASED, _l("Chased"), "dates", _with_fact("chased")),
        Filter(figures.DUE, _l("Falls due"), "dates", between(Record.next_due_at)),
        Filter("assignee", _l("Assignee"), "choice", _assignee, _people),
        Filter("late_by", _l("Responsible for what is late"), "choice", _late_by, _people),
    ),
    "quick": tuple(one for one in lists.QUICK if one.key == "open"),
    "actions": (),
    "empty": _l("No case."),
}


def neighbours(span: Span) -> tuple[date, date]:
    """Return a day of the span before and of the one after."""
    return span.first - timedelta(days=1), span.last + timedelta(days=1)
