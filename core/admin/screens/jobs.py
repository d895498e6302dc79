"""Background work (后台任务): one's own, and for those who may, the unit's, what could not be done, what recurs."""

from __future__ import annotations

from typing import Any

from flask import flash, g, jsonify, redirect, request, send_file, url_for
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select

from core.admin.categories import SYSTEM
from core.admin.export import attachment
from core.admin.listing import (
    BulkAction,
    Filter,
    ListColumn,
    ListSpec,
    Ordering,
    QuickFilter,
    among,
    between,
)
from core.admin.urls import local_path
from core.admin.views import Answer, ListScreen, Screen, may_here, reason_text
from core.jobs import letters, recurring
from core.kernel import jobs
from core.kernel.database import session, transaction
from core.kernel.errors import AppError, NotFound
from core.kernel.extensions import AdminEntry
from core.kernel.jobs import CANCELLED, DONE, FAILED, RUNNING, WAITING, JobRun, Periodic, PeriodicRun
from core.kernel.outbox import PENDING, Outbox
from core.units.switches import enabled_plugins
from core.users.models import User

MOST_COUNTED = 99
STATES: dict[str, tuple[Any, str]] = {
    WAITING: (_l("waiting"), "neutral"),
    RUNNING: (_l("being done"), "info"),
    DONE: (_l("done"), "good"),
    FAILED: (_l("failed"), "bad"),
    CANCELLED: (_l("cancelled"), "paused"),
}


def run_url(run: JobRun) -> str:
    """Return the address of the page of a piece of work."""
    return url_for("jobs.run_view", id=run.id)


def _title_of(name: str) -> str:
    """Return what people call a kind of work; its plain name where its plugin is not installed."""
    found = jobs.declared().get(name)
    return str(found.title) if found is not None else name


def _names_of(rows: Any) -> None:
    """Put the names of those who started the work into the rows, for the whole page at once."""
    ids = {row.actor_id for row in rows if row.actor_id}
    names = {row.id: row.name for row in session().execute(select(User.id, User.name).where(User.id.in_(ids)))}
    for row in rows:
        row.starter = names.get(row.actor_id, "")


_SHARED = (
    ListColumn("title", _l("Work"), lambda r: r.title, link=run_url, card="title"),
    ListColumn("state", _l("State"), lambda r: STATES[r.state], "badge", card="badge"),
    ListColumn("kind", _l("Kind"), lambda r: _title_of(r.job)),
    ListColumn("created", _l("Started at"), lambda r: r.created_at, "moment", order="newest"),
    ListColumn("finished", _l("Finished at"), lambda r: r.finished_at, "moment"),
    ListColumn("error", _l("Reason"), lambda r: r.error),
)
_STARTER = ListColumn("starter", _l("Started by"), lambda r: getattr(r, "starter", ""))
_ORDERINGS = (Ordering("newest", _l("Newest first"), (JobRun.id,)),)
_FILTERS = (
    Filter("state", _l("State"), "choice", among(JobRun.state), [(k, w) for k, (w, _tone) in STATES.items()]),
    Filter("created", _l("Started at"), "dates", between(JobRun.created_at)),
)
_QUICK = (
    QuickFilter("now", _l("Under way"), lambda s, _c: s.where(JobRun.state.in_((WAITING, RUNNING)))),
    QuickFilter("failed", _l("Failed"), lambda s, _c: s.where(JobRun.state == FAILED)),
)
MINE = ListSpec(
    name="jobs",
    title=_l("Background work"),
    model=JobRun,
    base=lambda: select(JobRun).where(JobRun.actor_id == g.actor.id),
    columns=_SHARED,
    orderings=_ORDERINGS,
    filters=_FILTERS,
    quick=_QUICK,
    empty=_l("You have not started any long work here. Imports, exports and batch prints show here with progress."),
)
OF_UNIT = ListSpec(
    name="jobs_unit",
    title=_l("Background work of the unit"),
    model=JobRun,
    columns=(_SHARED[0], _SHARED[1], _STARTER, *_SHARED[2:]),
    orderings=_ORDERINGS,
    filters=_FILTERS,
    quick=_QUICK,
    prepare=_names_of,
    empty=_l("Nobody has started any long work in this unit."),
)


def _retry(letter: Outbox, _values: dict[str, Any]) -> None:
    letters.retry([letter])


def _drop(letter: Outbox, _values: dict[str, Any]) -> None:
    letters.drop([letter])


DEAD_LETTERS = ListSpec(
    name="jobs_dead",
    title=_l("Work that could not be done"),
    model=Outbox,
    base=lambda: letters.of_unit(g.unit.id),
    columns=(
        ListColumn("what", _l("Work"), lambda m: _title_of(letters.name_of(m)), card="title"),
        ListColumn("error", _l("Reason"), lambda m: m.error),
        ListColumn("tries", _l("Tries"), lambda m: m.tries, "number"),
        ListColumn("created", _l("Started at"), lambda m: m.created_at, "moment", order="newest"),
        ListColumn("name", _l("Name in the program"), letters.name_of, "code", visible=False),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Outbox.id,)),),
    actions=(
        BulkAction("retry", _l("Try again"), _retry, letters.VIEW),
        BulkAction(
            "drop",
            _l("Give up for good"),
            _drop,
            letters.VIEW,
            confirm=_l("Give this work up for good? It will not be done. The audit trail keeps the reason."),
        ),
    ),
    empty=_l("Everything was done. What fails again and again shows here, with its reason."),
)


class _Tabs:
    """What the four lists share: the tabs above, and one entry in the menu."""

    def render(self, template: str, **kwargs: Any) -> str:
        return str(super().render(template, tabs=_tabs(), **kwargs))  # type: ignore[misc]


def _tabs() -> list[tuple[str, Any, int]]:
    """Return (endpoint, label, count) of the lists this person may see; one's own alone need no tabs."""
    if not may_here(letters.VIEW):
        return []
    return [
        ("jobs", _("Mine"), 0),
        ("jobs_unit", _("Whole unit"), 0),
        ("jobs_dead", _("Could not be done"), dead_count()),
        ("jobs_recurring", _("Recurring"), 0),
    ]


def dead_count() -> int:
    """Return how many dead letters the unit has, at most ``MOST_COUNTED``; asked once in a request."""
    if "dead_letters" not in g:
        some = letters.of_unit(g.unit.id).with_only_columns(Outbox.id).limit(MOST_COUNTED).subquery()
        g.dead_letters = session().scalar(select(func.count()).select_from(some))
    return int(g.dead_letters)


class JobScreen(_Tabs, ListScreen):
    """One's own work, and the page of one piece of work."""

    model = JobRun
    icon = "refresh"
    list_template = "admin/jobs.html"

    def list_spec(self) -> ListSpec:
        return MINE

    def is_active(self) -> bool:
        return request.blueprint in ("jobs", "jobs_unit", "jobs_dead", "jobs_recurring")

    def waiting_count(self) -> int:
        """Return what the menu shows: work that could not be done, for those who can do something about it."""
        return dead_count() if may_here(letters.VIEW) else 0

    @expose("/run/")
    def run_view(self) -> Answer:
        """Show one piece of work: its progress, what came of it, or why nothing did."""
        run = letters.fetch_run(request.args.get("id"))
        next_try, tries = _next_try(run)
        return self.render(
            "admin/job.html",
            run=run,
            badge=STATES[run.state],
            kind=_title_of(run.job),
            starter=_starter(run),
            progress=jobs.progress_of(run),
            under_way=run.state not in jobs.ENDED,
            stopping=run.state not in jobs.ENDED and jobs.is_cancel_asked(run),
            next_try=next_try,
            tries=tries,
            file=run.result.get("file") if jobs.result_file(run) and letters.may_fetch(run) else "",
            gone=bool(run.result.get("file")) and not jobs.result_file(run),
            next_page=local_path(str(run.result.get("url", "")), ""),
            back=_list_of(run),
        )

    @expose("/progress/")
    def progress_view(self) -> Answer:
        """Answer how far a piece of work is."""
        run = letters.fetch_run(request.args.get("id"))
        progress = jobs.progress_of(run)
        words = progress.text or (_("Waiting for its turn …") if run.state == WAITING else _("Working …"))
        return jsonify(
            done=progress.done,
            total=progress.total,
            text=words,
            finished=run.state in jobs.ENDED,
            url=self.get_url(".run_view", id=run.id),
        )

    @expose("/cancel/", methods=("POST",))
    def cancel_view(self) -> Answer:
        """Cancel a piece of work, or ask it to stop."""
        run = letters.fetch_run(request.form.get("id"))
        try:
            jobs.cancel(run)
        except AppError as bad:
            flash(reason_text(bad), "warn")
        else:
            flash(_("Cancelled. Work that has begun stops at its next step."), "good")
        return redirect(run_url(run))

    @expose("/file/")
    def file_view(self) -> Answer:
        """Send the file that a piece of work made."""
        run = letters.fetch_run(request.args.get("id"))
        path = jobs.result_file(run)
        if path is None or not letters.may_fetch(run):
            raise NotFound()
        name = str(run.result["file"])
        answer = send_file(path, mimetype="application/octet-stream", max_age=0)
        ending = name.rpartition(".")[2]
        plain = f"result-{run.id}.{ending}" if ending.isascii() and ending.isalnum() else f"result-{run.id}"
        answer.headers["Content-Disposition"] = attachment(name, plain)
        answer.headers["Cache-Control"] = "no-store"
        return answer


class UnitJobScreen(_Tabs, ListScreen):
    """All work that people watch in the unit."""

    model = JobRun
    permission = letters.VIEW
    list_template = "admin/jobs.html"

    def is_visible(self) -> bool:
        return False

    def list_spec(self) -> ListSpec:
        return OF_UNIT

    def row_url(self, row: JobRun) -> str:
        return run_url(row)


class DeadLetterScreen(_Tabs, ListScreen):
    """What could not be done, with its reason: try it again, or give it up."""

    model = Outbox
    permission = letters.VIEW
    list_template = "admin/jobs_dead.html"

    def is_visible(self) -> bool:
        return False

    def list_spec(self) -> ListSpec:
        return DEAD_LETTERS

    def row_for_action(self, spec: ListSpec, action: BulkAction, raw_id: object) -> Outbox:
        return letters.fetch_letter(raw_id, g.unit.id)

    @expose("/retry-all/", methods=("POST",))
    def retry_all_view(self) -> Answer:
        """Try everything again."""
        with transaction() as work:
            found = work.scalars(letters.of_unit(g.unit.id)).all()
            letters.retry(found)
        flash(_("Tried again: %(count)d", count=len(found)), "good")
        return redirect(self.get_url(".index_view"))


class RecurringScreen(_Tabs, Screen):
    """What recurs in the unit: how often, when it was last done, and why not."""

    permission = letters.VIEW

    def is_visible(self) -> bool:
        return False

    @expose("/")
    def index(self) -> Answer:
        """List the recurring work of the core and of the plugins that are on here."""
        on = enabled_plugins(g.unit.id)
        known = {r.name: r for r in session().scalars(select(PeriodicRun).where(PeriodicRun.unit_id == g.unit.id))}
        shown = [one for one in recurring.periodics() if not one.plugin or one.plugin in on]
        rows = [(one, how_often(one), known.get(one.name)) for one in shown]
        return self.render("admin/jobs_recurring.html", rows=rows)


def how_often(one: Periodic) -> str:
    """Say in words how often work recurs."""
    if one.hour is not None:
        return _("daily after %(hour)d:00", hour=one.hour)
    minutes = int(one.every.total_seconds() // 60)
    if minutes % 60:
        return _("every minute") if minutes <= 1 else _("every %(count)d minutes", count=minutes)
    return _("every hour") if minutes == 60 else _("every %(count)d hours", count=minutes // 60)


def _next_try(run: JobRun) -> tuple[Any, int]:
    """Return when work that failed is tried again, and how often it was tried; (None, 0) where it did not fail."""
    if run.state != WAITING:
        return None, 0
    asked = select(Outbox.next_try_at, Outbox.tries).where(
        Outbox.key == jobs.message_key(run), Outbox.state == PENDING, Outbox.tries > 0
    )
    found = session().execute(asked).first()
    return (found.next_try_at, found.tries) if found else (None, 0)


def _starter(run: JobRun) -> str:
    user = session().get(User, run.actor_id) if run.actor_id else None
    return user.name if user else ""


def _list_of(run: JobRun) -> str:
    return url_for("jobs.index_view" if run.actor_id == g.actor.id else "jobs_unit.index_view")


def admin_views() -> list[AdminEntry]:
    """The four lists; only the first stands in the menu."""
    unit = UnitJobScreen(name=_l("Background work of the unit"), endpoint="jobs_unit", url="/admin/jobs-of-unit")
    dead = DeadLetterScreen(
        name=_l("Work that could not be done"), endpoint="jobs_dead", url="/admin/jobs-not-done"
    )
    recurs = RecurringScreen(name=_l("Recurring work"), endpoint="jobs_recurring", url="/admin/jobs-recurring")
    own = JobScreen(name=_l("Background work"), endpoint="jobs", url="/admin/jobs")
    return [AdminEntry(view, SYSTEM, 50) for view in (own, unit, dead, recurs)]
