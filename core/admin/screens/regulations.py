"""Regulations and clauses (制度与条款): what is asked, of whom, and where the product sees to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import g, request
from flask_admin import expose
from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select

from core.admin import clause_words
from core.admin.categories import RULES
from core.admin.clauses import (
    HOWS,
    VIEW,
    plugin_title,
    said,
)
from core.admin.views import Answer, Screen, enabled_plugins, may_here
from core.kernel.database import session
from core.kernel.errors import NotFound
from core.kernel.extensions import AdminEntry
from core.kernel.fields import normalise
from core.records.models import Record, RefusalLog
from core.records.types import record_type, workflow_of
from core.rules import compliance, settings
from core.rules.clauses import KINDS, Clause, Regulation
from core.rules.coverage import bindings, standing
from core.rules.effective import effective
from core.rules.rulebook import current_rulebook
from core.users import positions

FOUND_MOST = 200
REFUSALS_SHOWN, REFUSALS_COUNTED = 20, 1000
CORE = "core"  # how the address names the clauses that belong to no plugin


@dataclass(frozen=True)
class RefusedStep:
    """One refusal under a clause: the record, the step, the reason and when."""

    record: Record
    step: Any
    text: str
    at: Any


class RegulationScreen(Screen):
    """Browse, search and read. Clauses of plugins that are off here are not in force and not shown."""

    permission = VIEW
    icon = "flag"

    @expose("/")
    def index(self) -> Answer:
        """Show the regulations; with words or a filter, the clauses found."""
        words, kind, plugin = self._asked()
        book, enabled = current_rulebook(), enabled_plugins()
        clauses = book.search(enabled, words, kind, {"": None, CORE: ""}.get(plugin, plugin))
        known = book.in_force(enabled)
        return self.render(
            "admin/regulations.html",
            asked=bool(words or kind or plugin),
            words=words,
            kind=kind,
            plugin=plugin,
            kinds=[(code, label) for code, label in KINDS.items() if any(one.kind == code for one in known)],
            plugins=[(name or CORE, plugin_title(name)) for name in sorted({one.plugin for one in known})],
            rows=_with_counts(known),
            found=len(clauses),
            clauses=_standing(clauses[:FOUND_MOST]),
            most=FOUND_MOST,
            said=said,
            kind_of=KINDS,
        )

    def _asked(self) -> tuple[str, str, str]:
        kind, plugin = request.args.get("kind", ""), request.args.get("plugin", "")
        words = normalise(request.args.get("q", "")[:80])
        known = {CORE, *enabled_plugins()}
        return words, kind if kind in KINDS else "", plugin if plugin in known else ""

    @expose("/<regulation_id>/")
    def regulation(self, regulation_id: str) -> Answer:
        """Show one regulation with its clauses, by kind."""
        book = current_rulebook()
        clauses = [one for one in book.in_force(enabled_plugins()) if one.regulation == regulation_id]
        if not clauses:
            raise NotFound()
        groups = [(label, [one for one in clauses if one.kind == code]) for code, label in KINDS.items()]
        return self.render(
            "admin/regulation.html",
            regulation=book.regulations[regulation_id],
            groups=[(label, _standing(members)) for label, members in groups if members],
            count=len(clauses),
            said=said,
            kind_of=KINDS,
        )

    @expose("/clause/<clause_id>/")
    def clause(self, clause_id: str) -> Answer:
        """Show one clause: text, responsible position, parameters, where it applies, refusals under it."""
        book, enabled = current_rulebook(), enabled_plugins()
        clause = book.clause(clause_id, enabled)
        if clause is None:
            raise NotFound()
        may_see = may_here("case.view")
        titles = dict(positions.choices())
        places = [one for one in bindings(enabled) if one.clause == clause.id]
        now = effective(g.unit.id, clause)
        switch, values = clause_words.here(clause, now, titles)
        planned = [row for row in settings.set_here(g.unit.id, clause.id) if settings.may_withdraw(row)]
        return self.render(
            "admin/clause.html",
            clause=clause,
            regulation=book.regulations[clause.regulation],
            kind=KINDS[clause.kind],
            holds=now.holds,
            on_time=compliance.of_clause(g.unit.id, clause.id).total if may_here(compliance.VIEW) else None,
            percent=compliance.percent,
            switch=switch,
            values=values,
            planned=clause_words.lines(planned, book.clauses, titles),
            may_set=may_here(settings.CHANGE),
            position=titles.get(clause.responsible, ""),
            places=places,
            standing=standing(clause.kind, {one.how for one in places}),
            hows=HOWS,
            refusals=_refusals(clause.id) if may_see else [],
            refusal_count=_count_refusals(clause.id) if may_see else 0,
            count_most=REFUSALS_COUNTED,
            may_see=may_see,
            plugin_title=plugin_title(clause.plugin),
            said=said,
        )


def _with_counts(known: Sequence[Clause]) -> list[tuple[Regulation, int]]:
    """Return the regulations that have clauses here, with how many."""
    regulations = current_rulebook().regulations
    counts: dict[str, int] = {}
    for one in known:
        counts[one.regulation] = counts.get(one.regulation, 0) + 1
    return [(regulations[name], counts[name]) for name in sorted(counts)]


def _standing(clauses: Sequence[Clause]) -> list[tuple[Clause, str]]:
    """Say of each clause how far the product carries it out here."""
    hows: dict[str, set[str]] = {}
    for one in bindings(enabled_plugins()):
        hows.setdefault(one.clause, set()).add(one.how)
    return [(one, standing(one.kind, hows.get(one.id, set()))) for one in clauses]


def _refusals(clause_id: str) -> list[RefusedStep]:
    """Return the latest refusals under a clause in this unit."""
    statement = (
        select(RefusalLog, Record)
        .join(Record, Record.id == RefusalLog.record_id)
        .where(RefusalLog.unit_id == g.unit.id, RefusalLog.clause == clause_id)
        .order_by(RefusalLog.id.desc())
        .limit(REFUSALS_SHOWN)
    )
    return [
        RefusedStep(record, _step_label(record, row.transition), row.text, row.at)
        for row, record in session().execute(statement)
    ]


def _count_refusals(clause_id: str) -> int:
    """Count the refusals under a clause in this unit, up to a limit."""
    some = (
        select(RefusalLog.id)
        .where(RefusalLog.unit_id == g.unit.id, RefusalLog.clause == clause_id)
        .limit(REFUSALS_COUNTED)
        .subquery()
    )
    return session().scalar(select(func.count()).select_from(some)) or 0


def _step_label(record: Record, name: str) -> Any:
    if record_type(record.type) is None:
        return name
    step = workflow_of(record.type, enabled_plugins()).transitions.get(name)
    return step.label if step else name


def admin_views() -> list[AdminEntry]:
    """Return the regulations for the menu."""
    screen = RegulationScreen(name=_l("All regulations"), endpoint="regulations", url="regulations")
    return [AdminEntry(screen, RULES, 10)]
