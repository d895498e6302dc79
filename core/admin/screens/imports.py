"""Imports: upload, look at every row, choose about duplicates, confirm, fetch what was rejected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import flash, g, jsonify, redirect, request, send_file
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.admin.categories import CUSTOMERS
from core.admin.export import EXCEL, attachment
from core.admin.views import Answer, Screen, may_here, reason_text
from core.kernel import importing
from core.kernel.database import fetch, release, transaction
from core.kernel.errors import AppError, NotFound
from core.kernel.extensions import AdminEntry
from core.kernel.ids import read_id
from core.kernel.importing import Importer, ImportRun

ROWS = 50
SHELVES: Mapping[str, Any] = {
    "error": _l("Errors"),
    "duplicate": _l("Possible duplicates"),
    "warning": _l("Warnings"),
    "good": _l("Good rows (examples)"),
}
CHOICES: Mapping[str, Any] = {
    importing.SKIP: _l("Skip"),
    importing.MERGE: _l("Update the existing one"),
    importing.CREATE: _l("Add as new"),
}


class ImportScreen(Screen):
    """Every importer of the core and of the unit's plugins that the actor may use."""

    icon = "import"

    def is_accessible(self) -> bool:
        """Show the menu entry to whoever may import anything here."""
        return super().is_accessible() and bool(_usable())

    @expose("/")
    def index(self) -> Answer:
        """Show what may be imported and the latest imports."""
        usable = _usable()
        runs = [run for run in importing.recent_runs(g.unit.id) if run.importer in usable]
        chosen = usable.get(request.args.get("key", "")) or next(iter(usable.values()), None)
        return self.render("admin/imports.html", importers=usable, chosen=chosen, runs=runs, states=_states())

    @expose("/upload/", methods=("POST",))
    def upload_view(self) -> Answer:
        """Take a file in and begin to check it; nothing is written until it is confirmed."""
        kind = _importer(request.form.get("key", ""))
        back = self.get_url(".index", key=kind.key)
        given = request.files.get("file")
        if given is None or not given.filename:
            flash(_("Please choose a file."), "warn")
            return redirect(back)
        try:
            with transaction():
                run_id = importing.stage(kind.key, g.unit.id, given.stream, given.filename).id
        except AppError as bad:
            flash(reason_text(bad), "bad")
            return redirect(back)
        return self._begin(run_id, "check")

    @expose("/run/")
    def run_view(self) -> Answer:
        """Show one import: its progress, its preview or its report."""
        run = _run(request.args.get("id"))
        progress = importing.progress_of(run)
        # The work may have ended since the import was read: what it left counts, not what was there before.
        release()
        run = _run(request.args.get("id"))
        show = request.args.get("show", "")
        start = _number(request.args.get("start"))
        shelf = show if show in SHELVES else _first_shelf(run)
        rows = importing.preview_rows(run, shelf, start, ROWS + 1) if run.state == importing.CHECKED else []
        kept = importing.kept_rows(run, start, ROWS + 1)
        kind = importing.importer(run.importer)
        return self.render(
            "admin/import_run.html",
            run=run,
            kind=kind,
            progress=progress,
            shelf=shelf,
            shelves=SHELVES,
            rows=rows[:ROWS],
            start=start,
            more=len(rows) > ROWS or len(kept) > ROWS,
            left=kept[:ROWS],
            why_not=importing.why_not_undone(run) if run.state == importing.DONE else "",
            undo_until=run.finished_at + importing.UNDO_FOR if run.finished_at else None,
            step=ROWS,
            labels={column.name: column.label for column in kind.columns},
            choices=CHOICES,
            actions=importing.ACTIONS,
            states=_states(),
            missing=[c.label for c in kind.columns if c.required and c.name not in run.mapping],
            rejected=importing.rejected_file(run) is not None,
        )

    @expose("/progress/")
    def progress_view(self) -> Answer:
        """Answer how far the work is."""
        run = _run(request.args.get("id"))
        progress = importing.progress_of(run)
        return jsonify(
            done=progress["done"],
            total=progress["total"],
            text=progress["text"] or _("Working …"),
            finished=progress["state"] != "running",
            url=self.get_url(".run_view", id=run.id),
        )

    @expose("/stop/", methods=("POST",))
    def stop_view(self) -> Answer:
        """Stop the work under way; what it was writing is rolled back."""
        run = _run(request.form.get("id"))
        try:
            importing.stop(run)
        except AppError as bad:
            flash(reason_text(bad), "warn")
        return redirect(self.get_url(".run_view", id=run.id))

    @expose("/undo/", methods=("POST",))
    def undo_view(self) -> Answer:
        """Take a finished import back, as far as nobody has changed or used its rows since."""
        run = _run(request.form.get("id"))
        reason = importing.why_not_undone(run)
        if reason:
            flash(str(reason), "bad")
            return redirect(self.get_url(".run_view", id=run.id))
        return self._begin(run.id, "undo")

    @expose("/mapping/", methods=("POST",))
    def mapping_view(self) -> Answer:
        """Say which column of the file is which, and check again."""
        run = _run(request.form.get("id"))
        columns = importing.importer(run.importer).columns
        wanted = {c.name: _place(request.form.get(f"column.{c.name}")) for c in columns}
        try:
            with transaction():
                importing.set_mapping(run, wanted)
        except AppError as bad:
            flash(reason_text(bad), "bad")
            return redirect(self.get_url(".run_view", id=run.id))
        return self._begin(run.id, "check")

    @expose("/choices/", methods=("POST",))
    def choices_view(self) -> Answer:
        """Keep what to do with duplicates; with ``confirm``, write everything that is good."""
        run = _run(request.form.get("id"))
        lines = {
            line: value
            for name, value in request.form.items()
            if name.startswith("line.") and value and (line := read_id(name.removeprefix("line.")))
        }
        try:
            with transaction():
                importing.set_choices(run, request.form.get("default") or None, lines)
        except AppError as bad:
            flash(reason_text(bad), "bad")
            return redirect(self.get_url(".run_view", id=run.id))
        if request.form.get("confirm") == "1":
            return self._begin(run.id, "confirm")
        flash(_("Saved."), "good")
        return redirect(self.get_url(".run_view", id=run.id, show="duplicate"))

    @expose("/cancel/", methods=("POST",))
    def cancel_view(self) -> Answer:
        """Give the import up; nothing was written."""
        run = _run(request.form.get("id"))
        try:
            with transaction():
                importing.cancel(run)
        except AppError as bad:
            flash(reason_text(bad), "bad")
        return redirect(self.get_url(".index"))

    @expose("/rejected/")
    def rejected_view(self) -> Answer:
        """Send the rows that were not taken over, each with its reason."""
        run = _run(request.args.get("id"))
        path = importing.rejected_file(run)
        if path is None:
            raise NotFound()
        answer = send_file(path, mimetype=EXCEL)
        stem, words = run.filename.rpartition(".")[0] or run.filename, _("rejected rows")
        name = f"{stem}-{words}.xlsx"
        answer.headers["Content-Disposition"] = attachment(name, f"rejected-{run.id}.xlsx")
        return answer

    def _begin(self, run_id: int, action: str) -> Answer:
        importing.start(run_id, action)
        return redirect(self.get_url(".run_view", id=run_id))


def _usable() -> dict[str, Importer]:
    """Return the importers whose plugin is on here and whose permission the actor holds."""
    found = importing.importers_of(g.unit.enabled)
    return {key: one for key, one in found.items() if may_here(one.permission)}


def _importer(key: str) -> Importer:
    found = _usable().get(key)
    if found is None:
        raise NotFound()
    return found


def _run(raw_id: object) -> ImportRun:
    run = fetch(ImportRun, raw_id)
    if run.unit_id != g.unit.id:
        raise NotFound()
    _importer(run.importer)
    return run


def _number(raw: str | None) -> int:
    return int(raw) if raw and raw.isascii() and raw.isdigit() and len(raw) < 7 else 0


def _place(raw: str | None) -> int | None:
    return _number(raw) if raw and raw.isascii() and raw.isdigit() and len(raw) < 7 else None


def _first_shelf(run: ImportRun) -> str:
    return next((name for name in ("error", "duplicate", "warning") if run.counts.get(name)), "good")


def _states() -> dict[str, tuple[Any, str]]:
    return {
        importing.STAGED: (_("not checked yet"), "neutral"),
        importing.CHECKED: (_("waiting for confirmation"), "warn"),
        importing.DONE: (_("imported"), "good"),
        importing.CANCELLED: (_("discarded"), "neutral"),
        importing.UNDONE: (_("undone"), "neutral"),
    }


def admin_views() -> list[AdminEntry]:
    """Return the import screen for the menu."""
    return [AdminEntry(ImportScreen(name=_l("Import"), endpoint="imports", url="imports"), CUSTOMERS, 90)]
