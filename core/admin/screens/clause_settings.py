"""Clause settings (条款设置): what a unit sets itself, the form, every version, and changes people have to read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import flash, g, redirect, request
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.admin import clause_words as words
from core.admin.categories import RULES
from core.admin.clauses import VIEW, said
from core.admin.forms import FieldsForm, form_from_fields, reason_text
from core.admin.urls import back_to
from core.admin.views import Answer, Screen, enabled_plugins, may_here
from core.kernel.database import fetch, transaction
from core.kernel.errors import AppError, InvalidData, NotAllowed, NotFound
from core.kernel.extensions import AdminEntry
from core.kernel.ids import read_id
from core.rules import receipts, settings
from core.rules.clauses import Clause
from core.rules.effective import line_at, resolve, versions_of
from core.rules.rulebook import current_rulebook
from core.rules.setting_models import OPEN_RECORDS, ClauseSetting
from core.units.facts import local_day
from core.users import positions

AGAINST = (
    (settings.BEFORE, _l("What was before")),
    (settings.PARENT, _l("The unit above")),
    (settings.USUAL, _l("The usual values")),
)


class ClauseSettingScreen(Screen):
    """What the current unit sets for clauses, and the form to do so."""

    permission = VIEW
    icon = "settings"

    @expose("/")
    def index(self) -> Answer:
        """List what the unit sets itself: in force, planned, waiting."""
        known, titles = current_rulebook().clauses, dict(positions.choices())
        return self.render(
            "admin/clauses/here.html",
            lines=words.lines(settings.set_here(g.unit.id), known, titles),
            clauses=known,
            said=said,
            may_set=may_here(settings.CHANGE),
        )

    @expose("/<clause_id>/")
    def history(self, clause_id: str) -> Answer:
        """Show every version of a clause here and above: who set what, from when, why."""
        clause = _clause(clause_id)
        rows = settings.history(g.unit.id, clause.id)
        return self.render(
            "admin/clauses/history.html",
            clause=clause,
            lines=words.lines(rows, {clause.id: clause}, dict(positions.choices())),
            said=said,
            may_set=may_here(settings.CHANGE),
        )

    @expose("/<clause_id>/set/", methods=("GET", "POST"))
    def set_view(self, clause_id: str) -> Answer:
        """Set a clause in the current unit."""
        clause = _clause(clause_id)
        if not may_here(settings.CHANGE):
            raise NotAllowed(settings.CHANGE)
        form = _form(clause)
        if request.method == "POST" and form.validate_on_submit():
            try:
                row = _save(clause, form)
            except AppError as bad:
                form.show(_beside_fields(bad))
            else:
                flash(_saved_words(row), "good")
                return redirect(self.get_url("regulations.clause", clause_id=clause.id))
        page = self.render(
            "admin/clauses/set.html",
            form=form,
            clause=clause,
            said=said,
            version="",
            back=back_to(self.get_url("regulations.clause", clause_id=clause.id)),
        )
        return (page, 422) if request.method == "POST" else page

    @expose("/version/<setting_id>/")
    def version(self, setting_id: str) -> Answer:
        """Show one version: what it changed, compared as chosen, and who has read it."""
        row = fetch(ClauseSetting, setting_id)
        if row.unit_id != g.unit.id:
            raise NotFound()
        clause = _clause(row.clause)
        titles = dict(positions.choices())
        against = request.args.get("against", settings.BEFORE)
        against = against if against in dict(AGAINST) else settings.BEFORE
        people = receipts.readers(row)
        return self.render(
            "admin/clauses/version.html",
            clause=clause,
            line=words.lines([row], {clause.id: clause}, titles)[0],
            changes=words.changes(settings.differences(row, against), titles),
            against=against,
            choices=AGAINST,
            open_words=OPEN_RECORDS[row.open_records],
            people=people,
            read=sum(1 for one in people if one.read_at),
            unit_names=words.unit_names({one.unit_id for one in people}),
            said=said,
            may_set=may_here(settings.CHANGE),
        )

    @expose("/withdraw", methods=("POST",))
    def withdraw(self) -> Answer:
        """Take back a version that has not begun."""
        row = fetch(ClauseSetting, request.form.get("id"))
        if row.unit_id != g.unit.id:
            raise NotFound()
        try:
            with transaction():
                settings.withdraw_setting(row.id)
        except AppError as bad:
            flash(reason_text(bad), "bad")
        else:
            flash(_("The planned version was withdrawn."), "good")
        return redirect(back_to(self.get_url(".history", clause_id=row.clause)))


class ClauseChangeScreen(Screen):
    """Changes of clauses that concern a person and wait to be read, from every unit of theirs."""

    permission = VIEW
    icon = "bell"

    @expose("/")
    def index(self) -> Answer:
        """List what is unread."""
        known = current_rulebook().clauses
        rows = receipts.unread_for(g.actor.id)
        return self.render(
            "admin/clauses/changes.html",
            lines=words.lines(rows, known, dict(positions.choices())),
            clauses=known,
            said=said,
        )

    @expose("/read", methods=("POST",))
    def read(self) -> Answer:
        """Acknowledge one, or all."""
        given = request.form.get("id")
        wanted = [read_id(given) or 0] if given else None
        with transaction():
            receipts.mark_read(wanted)
        flash(_("Thank you: it is noted that you have read this."), "good")
        return redirect(self.get_url(".index"))


def _clause(clause_id: str) -> Clause:
    """Return a clause that is known in the current unit."""
    found = current_rulebook().clause(clause_id, enabled_plugins())
    if found is None:
        raise NotFound()
    return found


def _form(clause: Clause) -> FieldsForm:
    today = local_day(g.unit.id)
    line = line_at(g.unit.id, today)
    inherited = resolve(clause, line[:-1], versions_of(g.unit.id), today)
    values = words.form_values(clause, _first_day(clause, today))
    if request.method != "POST":
        # A replay proposes values; they are filled in, and nothing holds until somebody saves them.
        values |= {name: value for name, value in request.args.items() if name.startswith("p_")}
    return form_from_fields(words.form_fields(clause, inherited, dict(positions.choices())), values)


def _first_day(clause: Clause, today: Any) -> Any:
    """Propose today; tomorrow where a version has begun today."""
    own = settings.own_version(g.unit.id, clause.id, today)
    return today + timedelta(days=1) if own and own.starts_on == today else today


def _save(clause: Clause, form: FieldsForm) -> ClauseSetting:
    given = form.cleaned
    raw = {one.name: given[f"p_{one.name}"] for one in clause.parameters if given[f"p_{one.name}"] is not None}
    with transaction():
        return settings.set_clause(
            g.unit.id,
            clause.id,
            raw,
            starts_on=given["starts_on"],
            reason=given["reason"],
            open_records=given["open_records"],
            holds=words.HOLDS[given["holds"]],
        )


def _beside_fields(bad: AppError) -> AppError:
    """The service names parameters, the form its fields."""
    if not isinstance(bad, InvalidData):
        return bad
    own = {"starts_on", "reason", "open_records", "values"}
    return InvalidData({name if name in own else f"p_{name}": texts for name, texts in bad.errors.items()})


def _saved_words(row: ClauseSetting) -> str:
    if row.state == settings.WAITING:
        return _("Saved. It holds as soon as it is agreed to.")
    return _("Saved. It holds from %(day)s on.", day=row.starts_on.isoformat())


def admin_views() -> list[AdminEntry]:
    """Return the screens of clause settings for the menu."""
    here = ClauseSettingScreen(name=_l("Clauses set here"), endpoint="clause_settings", url="clause-settings")
    changes = ClauseChangeScreen(name=_l("Clause changes to read"), endpoint="clause_changes", url="clause-changes")
    return [AdminEntry(here, RULES, 12), AdminEntry(changes, RULES, 14)]
