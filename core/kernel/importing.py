"""Imports from spreadsheets: staged, checked row by row, confirmed once, rejected rows handed back.

A file is kept under its hash while it waits. ``check`` reads all of it and writes nothing to the owned tables;
``confirm`` checks once more, reading only, into a temporary list of plans, then writes all good rows in *one*
transaction: after a crash there is either everything or nothing, and the write lock is held only for the writing.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from abc import ABC, abstractmethod
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import IO, Any, ClassVar, cast

from flask import Flask, current_app
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import CursorResult, ForeignKey, Index, String, UniqueConstraint, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from . import clock, exporting, import_changes, jobs, sheets
from .access import require
from .audit import record_audit, summarised
from .database import (
    Base,
    BigId,
    Json,
    UnitScoped,
    UtcDateTime,
    current_scope,
    fetch,
    reading,
    session,
    system_scope,
    transaction,
)
from .errors import Conflict, InvalidData, NotFound
from .fields import normalise
from .ids import read_id, uuid7
from .import_changes import ImportChange
from .sheets import Column, Header, Sheet

CREATE, UPDATE, SAME, DUPLICATE, SKIP, MERGE, ERROR = (
    "create",
    "update",
    "same",
    "duplicate",
    "skip",
    "merge",
    "error",
)
ACTIONS = {
    CREATE: _l("New"),
    UPDATE: _l("Update"),
    SAME: _l("Unchanged"),
    DUPLICATE: _l("Possible duplicate"),
    SKIP: _l("Skipped"),
    MERGE: _l("Merge"),
    ERROR: _l("Error"),
}
STAGED, CHECKED, DONE, CANCELLED, UNDONE = "staged", "checked", "done", "cancelled", "undone"
BATCH = 2000
# How many rows without any problem are kept to be looked at in the preview.
_SAMPLE = 50
_MAX_KEPT = 20_000
# How long an import may be taken back; what was noted for it goes afterwards.
UNDO_FOR = timedelta(days=30)

Progress = Callable[[str, int, int], object]


# --- what an importer declares ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the file: its line as the user sees it, and column name -> normalised text ('' if empty)."""

    line: int
    values: dict[str, str]


@dataclass(frozen=True, slots=True)
class Match:
    """What a row may be a duplicate of: an existing thing (``id``) or an earlier row of the file (``line``)."""

    label: str
    reason: Any
    id: int | None = None
    line: int | None = None


@dataclass(slots=True)
class Plan:
    """What will become of one row. ``values`` must be plain JSON (the importer's own, for ``apply_rows``).

    ``action``: create, update, same, duplicate (asks for a choice) or error (set by itself if ``errors`` has any).
    ``target`` is the id to update; after a choice of "merge" the id, or ``target_line`` the row, to merge into.
    """

    line: int
    action: str
    values: dict[str, Any] = field(default_factory=dict)
    label: str = ""
    errors: list[tuple[str, Any]] = field(default_factory=list)
    warnings: list[Any] = field(default_factory=list)
    matches: list[Match] = field(default_factory=list)
    target: int | None = None
    target_line: int | None = None


class Importer(ABC):
    """A kind of file. Subclass, set the attributes, write ``check_rows`` and ``apply_rows``; register an instance.

    ``memory`` is a dict that lives through one pass over the file (check, then apply of the same confirm): numbers
    seen, ids made. Keep it small: it is the only thing that grows with the file. What ``check_rows`` counts in
    ``memory["notes"]`` (code -> number) is shown under ``note_labels[code]`` and kept as "note:CODE" in the counts.

    So that an import can be undone, rows are written through the session or by ``bulk_insert`` (with ids, but for
    the parts of a row given before), a change of a part raises the version of what it belongs to, and nothing is
    deleted. ``along`` names for a table those whose rows go with its rows at an undo, in their order; ``replaces``
    are tables whose new rows stand in the place of former ones and go before those come back.
    """

    key: ClassVar[str]
    title: ClassVar[Any]
    permission: ClassVar[str]
    columns: ClassVar[Sequence[Column]]
    note_labels: ClassVar[Mapping[str, Any]] = {}
    along: ClassVar[import_changes.Along] = {}
    replaces: ClassVar[Sequence[type[Base]]] = ()

    @abstractmethod
    def check_rows(self, unit_id: int, rows: Sequence[Row], memory: dict[str, Any]) -> list[Plan]:
        """Judge a batch of rows, one plan each, in order. Reads only; a few statements per batch, never per row."""

    @abstractmethod
    def apply_rows(self, unit_id: int, plans: Sequence[Plan], memory: dict[str, Any]) -> None:
        """Write a batch of plans (create, update, merge), inside the import's one transaction."""

    def finish(self, unit_id: int, memory: dict[str, Any]) -> None:  # noqa: B027 - optional
        """Do what is left after the last batch, inside the same transaction."""

    def undone(  # noqa: B027 - optional
        self, unit_id: int, removed: Mapping[str, Sequence[int]], restored: Mapping[str, Sequence[int]]
    ) -> None:
        """Bring what follows from the rows (the search index) in step after an undo, in its transaction.

        Both map the name of a table to ids: rows that are gone, and rows that have their former values again.
        """


def register(app: Flask, importers: Iterable[Importer], plugin: str = "") -> None:
    """Make importers known to the application; called at assembly for the core's and the plugins' own.

    Raises:
        ValueError: two importers share a key.
    """
    known = app.extensions.setdefault("importers", {})
    owners = app.extensions.setdefault("importer_owners", {})
    for one in importers:
        if one.key in known:
            raise ValueError(f"two importers are called {one.key}")
        known[one.key], owners[one.key] = one, plugin


def importers() -> dict[str, Importer]:
    """Return all importers by key."""
    return cast("dict[str, Importer]", current_app.extensions.get("importers", {}))


def importers_of(enabled: frozenset[str]) -> dict[str, Importer]:
    """Return the core's importers and those of the enabled plugins, by key."""
    owners = current_app.extensions.get("importer_owners", {})
    return {key: one for key, one in importers().items() if not owners[key] or owners[key] in enabled}


def importer(key: str) -> Importer:
    """Return one importer.

    Raises:
        NotFound: no such importer.
    """
    found = importers().get(key)
    if found is None:
        raise NotFound()
    return found


# --- tables ----------------------------------------------------------------------------------


class ImportRun(UnitScoped, Base):
    """One file on its way in. Its rows are not kept here; the file is, under its hash, until it is removed."""

    __tablename__ = "core_import"
    __table_args__ = (Index("ix_core_import_unit", "unit_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    importer: Mapped[str] = mapped_column(String(40))
    state: Mapped[str] = mapped_column(String(12), default=STAGED)
    filename: Mapped[str] = mapped_column(String(200))
    sha256: Mapped[str] = mapped_column(String(64))
    # Which table of the file, counted from 0, and the line of its header, counted from 1.
    sheet: Mapped[int] = mapped_column(default=0)
    header_line: Mapped[int] = mapped_column()
    titles: Mapped[list[Any]] = mapped_column(Json, default=list)
    # column name -> index in ``titles``
    mapping: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    # "default" (skip, create or merge) and line -> "skip", "create", "merge" or "merge:ID" for duplicates
    choices: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    counts: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    # The latest work on it (core_job), which is tidied away before the import is.
    job_id: Mapped[int | None] = mapped_column(BigId)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ImportMapping(UnitScoped, Base):
    """The column choice a unit made last for an importer: column name -> header text."""

    __tablename__ = "core_import_mapping"
    __table_args__ = (UniqueConstraint("unit_id", "importer"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    importer: Mapped[str] = mapped_column(String(40))
    titles: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)


# --- stage -----------------------------------------------------------------------------------


def stage(key: str, unit_id: int, source: IO[bytes], filename: str) -> ImportRun:
    """Take a file in: keep it under its hash, find header and columns. Call inside ``transaction()``.

    Raises:
        NotFound: no such importer. NotAllowed. InvalidData: under ``file``, the file cannot be read.
    """
    kind = importer(key)
    _allow(kind, unit_id)
    digest = _keep(source)
    sheet, header = sheets.find_table(sheets.open_sheet(_file(digest)), kind.columns)
    run = ImportRun(
        unit_id=unit_id,
        importer=key,
        filename=normalise(os.path.basename(filename.replace("\\", "/")))[:200] or "?",
        sha256=digest,
        sheet=sheet.index,
        header_line=header.line,
        titles=list(header.titles),
        mapping=_remembered(kind, unit_id, header),
        actor_id=current_scope().actor_id,
        created_at=clock.now(),
    )
    session().add(run)
    session().flush()
    return run


def set_mapping(run: ImportRun, mapping: Mapping[str, int | None]) -> None:
    """Say which column of the file is which (column name -> index, None: not in the file), and remember it.

    Raises:
        InvalidData: unknown column, index outside the file, one index twice, or a required column missing.
    """
    kind = importer(run.importer)
    _allow(kind, run.unit_id)
    _expect_open(run)
    chosen = {name: index for name, index in mapping.items() if index is not None}
    known = {column.name for column in kind.columns}
    errors: dict[str, Any] = {
        name: _l("Please choose one of the list")
        for name, index in chosen.items()
        if name not in known or not 0 <= index < len(run.titles) or list(chosen.values()).count(index) > 1
    }
    errors |= {c.name: _l("This column is needed") for c in kind.columns if c.required and c.name not in chosen}
    if errors:
        raise InvalidData(errors)
    run.mapping, run.state, run.counts = chosen, STAGED, {}
    held = session().scalars(_mapping_of(run.importer, run.unit_id)).first()
    if held is None:
        held = ImportMapping(unit_id=run.unit_id, importer=run.importer)
        session().add(held)
    held.titles = {name: run.titles[index] for name, index in chosen.items()}
    session().flush()


def set_choices(run: ImportRun, default: str | None = None, lines: Mapping[int, str] | None = None) -> None:
    """Say what to do with duplicates: ``default`` for all, ``lines`` for single ones.

    Each is "skip", "create", "merge" (into the first match) or, for a line, "merge:ID" with the id of one of its
    matches; other ids are ignored at confirm, the row is then skipped.

    Raises:
        InvalidData: another word.
    """
    _allow(importer(run.importer), run.unit_id)
    _expect_open(run)
    given = [*(lines or {}).values(), *([default] if default else [])]
    if any(c not in (SKIP, CREATE, MERGE) and read_id(c.removeprefix("merge:")) is None for c in given):
        raise InvalidData({"choice": _l("Please choose one of the list")})
    merged = {**run.choices, **{str(line): choice for line, choice in (lines or {}).items()}}
    run.choices = {**merged, "default": default} if default else merged
    session().flush()


def cancel(run: ImportRun) -> None:
    """Give an import up before it was confirmed."""
    _allow(importer(run.importer), run.unit_id)
    _expect_open(run)
    run.state = CANCELLED
    session().flush()


# --- check -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class PlanView:
    """A checked row as the preview shows it; all texts in the language of whoever checked."""

    shelf: str
    line: int
    action: str
    label: str
    cells: list[str]
    errors: list[list[str]]
    warnings: list[str]
    matches: list[dict[str, Any]]


def check(run: ImportRun, progress: Progress | None = None) -> dict[str, int]:
    """Check the whole file; keep the counts in ``run.counts`` and the rows worth seeing for ``preview_rows``.

    Counts: rows, create, update, same, duplicate, error, warning. Call outside ``transaction()``: then the file is
    read without holding the write lock. ``progress(phase, done, total)`` is called every batch.

    Raises:
        InvalidData: the file is damaged, or a required column is not assigned. Conflict: already confirmed.
    """
    kind = importer(run.importer)
    _allow(kind, run.unit_id)
    _expect_open(run)
    run_id = run.id
    counts: Tally[str] = Tally()
    with reading(), _replaced(_preview_file(run)) as out:
        kept: Tally[str] = Tally()
        for batch in _planned(kind, run, {}, counts, progress):
            for plan, cells in batch:
                shelf = _shelf(plan)
                if kept[shelf] < (_MAX_KEPT if shelf != "good" else _SAMPLE):
                    kept[shelf] += 1
                    out.write(json.dumps(_view(plan, cells), ensure_ascii=False) + "\n")
    with transaction():
        again = fetch(ImportRun, run_id)
        again.counts, again.state = dict(counts), CHECKED
    return dict(counts)


def preview_rows(run: ImportRun, show: str = "", start: int = 0, limit: int = 50) -> list[PlanView]:
    """Return kept rows of the last check, from the nth on; ``show``: "", error, duplicate, warning or good."""
    _allow(importer(run.importer), run.unit_id)
    path = _preview_file(run)
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as source:
        rows = (json.loads(line) for line in source)
        wanted = (row for row in rows if show in ("", row["shelf"]))
        return [PlanView(**row) for row in islice(wanted, start, start + limit)]


def _shelf(plan: Plan) -> str:
    if plan.action in (ERROR, DUPLICATE):
        return plan.action
    return "warning" if plan.warnings else "good"


def _view(plan: Plan, cells: Sequence[str]) -> dict[str, Any]:
    return {
        "shelf": _shelf(plan),
        "line": plan.line,
        "action": plan.action,
        "label": plan.label,
        "cells": list(cells),
        "errors": [[name, str(text)] for name, text in plan.errors],
        "warnings": [str(text) for text in plan.warnings],
        "matches": [{**asdict(match), "reason": str(match.reason)} for match in plan.matches],
    }


# --- confirm ---------------------------------------------------------------------------------


def confirm(run_id: int, progress: Progress | None = None) -> ImportRun:
    """Write all good rows in one transaction; a second call answers the finished run and writes nothing.

    Call outside ``transaction()``. Rejected and skipped rows go to ``rejected_file``.

    Raises:
        Conflict: cancelled, or the data changed under the import (nothing was written). NotAllowed. InvalidData.
    """
    run = fetch(ImportRun, run_id)
    kind = importer(run.importer)
    _allow(kind, run.unit_id)
    if run.state == DONE:
        return run
    _expect_open(run)
    memory: dict[str, Any] = {}
    counts: Tally[str] = Tally()
    # A name of its own: of two confirms at the same time only the one that writes leaves its report.
    report = folder() / f"{uuid7().hex}.part"
    try:
        with tempfile.TemporaryFile("w+", encoding="utf-8") as plans:
            with reading():
                rejected = _spool(kind, run, memory, counts, plans, report, progress)
            plans.seek(0)
            wrote = _write(kind, run_id, memory, counts, plans, progress)
        done = fetch(ImportRun, run_id)
        if wrote and rejected:
            report.replace(_rejected_path(done))
        return done
    finally:
        report.unlink(missing_ok=True)


def _spool(
    kind: Importer,
    run: ImportRun,
    memory: dict[str, Any],
    counts: Tally[str],
    plans: IO[str],
    report: Path,
    progress: Progress | None,
) -> int:
    """First pass: what to write goes to ``plans``, the other rows to ``report``; return how many the latter are."""

    skipped: set[int] = set()

    def rejected() -> Iterator[list[Any]]:
        for batch in _planned(kind, run, memory, counts, progress):
            for plan, cells in batch:
                _choose(plan, run.choices, counts, skipped)
                if plan.action in (CREATE, UPDATE, MERGE):
                    plans.write(json.dumps([plan.line, plan.action, plan.values, plan.target, plan.target_line]))
                    plans.write("\n")
                elif plan.action in (ERROR, SKIP):
                    yield [plan.line, _reason(kind, plan), *cells]

    titles = [_("Line"), _("Reason"), *run.titles]
    return exporting.write(titles, rejected(), exporting.XLSX, report, name=_("Rejected rows"))


def _choose(plan: Plan, choices: Mapping[str, Any], counts: Tally[str], skipped: set[int]) -> None:
    """Turn a duplicate into what was chosen for it; nothing is merged into a row that is itself skipped."""
    if plan.action != DUPLICATE:
        return
    choice = str(choices.get(str(plan.line)) or choices.get("default") or SKIP)
    if choice.startswith(MERGE):
        wanted = choice.removeprefix(MERGE).removeprefix(":")
        fitting = (m for m in plan.matches if m.line not in skipped and wanted in ("", str(m.id)))
        match = next(fitting, None)
        choice = MERGE if match else SKIP
        if match:
            plan.target, plan.target_line = match.id, match.line
    plan.action = choice
    counts[f"duplicate_{choice}"] += 1
    if choice == SKIP:
        skipped.add(plan.line)


def _reason(kind: Importer, plan: Plan) -> str:
    if plan.action == SKIP:
        matches = "; ".join(f"{m.label} ({m.reason})" for m in plan.matches)
        return str(_("Possible duplicate of %(what)s", what=matches))
    labels = {column.name: column.label for column in kind.columns}
    return "; ".join(f"{labels[name]}: {text}" if name in labels else str(text) for name, text in plan.errors)


def _write(
    kind: Importer,
    run_id: int,
    memory: dict[str, Any],
    counts: Tally[str],
    plans: IO[str],
    progress: Progress | None,
) -> bool:
    """Second pass: one transaction. The state is turned first, so of two confirms only one goes on (True)."""
    total, done = counts[CREATE] + counts[UPDATE] + counts["duplicate_create"] + counts["duplicate_merge"], 0
    try:
        with transaction() as work:
            turned = update(ImportRun).where(ImportRun.id == run_id, ImportRun.state.in_((STAGED, CHECKED)))
            values = {"state": DONE, "finished_at": clock.now(), "counts": dict(counts)}
            if cast("CursorResult[Any]", work.execute(turned.values(values))).rowcount == 0:
                work.expire_all()
                _expect_done(run_id)
                return False
            unit_id = fetch(ImportRun, run_id).unit_id
            with summarised(), import_changes.recorded(run_id) as recorder:
                while lines := list(islice(plans, BATCH)):
                    kind.apply_rows(unit_id, [_read_plan(line) for line in lines], memory)
                    work.flush()
                    recorder.flush()
                    work.expunge_all()
                    done += len(lines)
                    if progress:
                        progress("write", done, total)
                kind.finish(unit_id, memory)
            record_audit(
                "import.done", ("core_import", run_id), unit_id=unit_id, detail={"importer": kind.key, **counts}
            )
            work.expire_all()
    except IntegrityError as error:
        raise Conflict(_l("The data changed while importing. Nothing was written; please check again.")) from error
    return True


def _expect_done(run_id: int) -> None:
    if fetch(ImportRun, run_id).state != DONE:
        raise Conflict()


def _read_plan(line: str) -> Plan:
    number, action, values, target, target_line = json.loads(line)
    return Plan(number, action, values, target=target, target_line=target_line)


def rejected_file(run: ImportRun) -> Path | None:
    """Return the .xlsx of rejected and skipped rows with their reasons; None if there were none."""
    _allow(importer(run.importer), run.unit_id)
    path = _rejected_path(run)
    return path if run.state == DONE and path.exists() else None


def recent_runs(unit_id: int, key: str = "", limit: int = 20) -> list[ImportRun]:
    """Return the newest imports of a unit."""
    statement = select(ImportRun).where(ImportRun.unit_id == unit_id).order_by(ImportRun.id.desc()).limit(limit)
    return list(session().scalars(statement.where(ImportRun.importer == key) if key else statement))


# --- undo ------------------------------------------------------------------------------------


def why_not_undone(run: ImportRun) -> Any:
    """Return why an import cannot be taken back, or '' where it can."""
    if run.state != DONE or run.finished_at is None:
        return _l("Only a finished import can be undone")
    if clock.now() - run.finished_at > UNDO_FOR:
        return _l("An import can be undone for %(count)d days only", count=UNDO_FOR.days)
    noted = select(ImportChange.id).where(ImportChange.import_id == run.id).limit(1)
    return "" if session().scalar(noted) else _l("This import wrote nothing that could be undone")


def undo(run_id: int, progress: Progress | None = None) -> ImportRun:
    """Take an import back in one transaction; a second call answers the undone run and changes nothing.

    New rows are removed unless somebody changed them since or something refers to them; changed rows get their
    former values back unless changed since. What stays is listed by ``kept_rows``.

    Raises:
        Conflict: not finished, too long ago, or the data changed meanwhile (nothing was undone). NotAllowed.
    """
    run = fetch(ImportRun, run_id)
    kind = importer(run.importer)
    _allow(kind, run.unit_id)
    if run.state == UNDONE:
        return run
    if reason := why_not_undone(run):
        raise Conflict(reason)
    try:
        _undo(kind, run_id, progress)
    except IntegrityError as error:
        raise Conflict(_l("The data changed meanwhile. Nothing was undone; please try again.")) from error
    return fetch(ImportRun, run_id)


def _undo(kind: Importer, run_id: int, progress: Progress | None) -> None:
    def tell(done: int, total: int) -> None:
        if progress:
            progress("undo", done, total)

    with transaction() as work:
        # Turned first, so of two at the same time only one goes on.
        turned = update(ImportRun).where(ImportRun.id == run_id, ImportRun.state == DONE).values(state=UNDONE)
        if cast("CursorResult[Any]", work.execute(turned)).rowcount == 0:
            raise Conflict()
        work.expire_all()
        run = fetch(ImportRun, run_id)
        unit_id, kept_file = run.unit_id, _kept_file(run)
        with summarised():
            outcome = import_changes.undo(run_id, kind.along, tell, replaces=kind.replaces)
            kind.undone(unit_id, outcome.removed, outcome.restored)
        counts = {
            "removed": sum(map(len, outcome.removed.values())),
            "restored": sum(map(len, outcome.restored.values())),
            "kept": len(outcome.kept),
        }
        detail = {"importer": kind.key, **counts}
        record_audit("import.undone", ("core_import", run_id), unit_id=unit_id, detail=detail)
        run = fetch(ImportRun, run_id)
        run.counts = {**run.counts, **counts}
        with _replaced(kept_file) as out:
            out.writelines(json.dumps([one.label, str(one.reason)]) + "\n" for one in outcome.kept)


def kept_rows(run: ImportRun, start: int = 0, limit: int = 50) -> list[tuple[str, str]]:
    """Return (label, reason) of rows that an undo left as they are, from the nth on."""
    _allow(importer(run.importer), run.unit_id)
    path = _kept_file(run)
    if run.state != UNDONE or not path.exists():
        return []
    with path.open(encoding="utf-8") as lines:
        return [(label, reason) for label, reason in map(json.loads, islice(lines, start, start + limit))]


def purge_changes() -> int:
    """Drop what was noted for imports that can no longer be undone; return how many rows."""
    with system_scope("tidy"), transaction() as work:
        old = select(ImportRun.id).where(ImportRun.finished_at < clock.now() - UNDO_FOR)
        gone = work.execute(delete(ImportChange).where(ImportChange.import_id.in_(old)))
        return cast("CursorResult[Any]", gone).rowcount


# --- in the background -----------------------------------------------------------------------


def start(run_id: int, action: str = "confirm") -> jobs.JobRun:
    """Let ``check``, ``confirm`` or ``undo`` be done as a job by whoever asks now; see ``progress_of``.

    While work on the import is under way, that is answered. A job that dies is done again: nothing was written.
    """
    with transaction() as work:
        run = fetch(ImportRun, run_id)
        work.refresh(run, with_for_update=True)  # two starts at once wait for each other
        kind = importer(run.importer)
        _allow(kind, run.unit_id)
        held = _job_of(run)
        if held is not None and held.state in (jobs.WAITING, jobs.RUNNING):
            return held
        title = _title_of(action, run.filename)
        made = jobs.start(f"import.{action}", run.unit_id, {"import": run_id}, title)
        run.job_id = made.id
        return made


def _title_of(action: str, file: str) -> str:
    if action == "check":
        return str(_("Checking %(file)s", file=file))
    if action == "undo":
        return str(_("Undoing the import of %(file)s", file=file))
    return str(_("Importing %(file)s", file=file))


def stop(run: ImportRun) -> None:
    """Ask the work on an import to end; what is being written is rolled back.

    Raises:
        Conflict: it has ended already.
    """
    _allow(importer(run.importer), run.unit_id)
    held = _job_of(run)
    if held is None:
        raise Conflict()
    jobs.cancel(held)


def progress_of(run: ImportRun) -> dict[str, Any]:
    """Return how far the background work is: state (idle, running, done, failed, cancelled), done, total, text,
    error.
    """
    held = _job_of(run)
    if held is None:
        return {"state": "idle", "done": 0, "total": 0, "text": "", "error": ""}
    state = "running" if held.state in (jobs.WAITING, jobs.RUNNING) else held.state
    return {"state": state, "error": held.error, **asdict(jobs.progress_of(held))}


def _job_of(run: ImportRun) -> jobs.JobRun | None:
    statement = select(jobs.JobRun).where(jobs.JobRun.id == run.job_id).execution_options(populate_existing=True)
    return session().scalars(statement).first() if run.job_id else None


def declared_jobs() -> list[jobs.Job]:
    """Return the jobs of every importer."""
    return [
        jobs.Job("import.check", _l("Check a file to import"), _checking),
        jobs.Job("import.confirm", _l("Import a file"), _confirming),
        jobs.Job("import.undo", _l("Undo an import"), _undoing),
    ]


def _checking(work: jobs.Work) -> None:
    check(fetch(ImportRun, work.payload["import"]), _teller(work))


def _confirming(work: jobs.Work) -> dict[str, Any]:
    return dict(confirm(int(work.payload["import"]), _teller(work)).counts)


def _undoing(work: jobs.Work) -> dict[str, Any]:
    return dict(undo(int(work.payload["import"]), _teller(work)).counts)


def _teller(work: jobs.Work) -> Progress:
    def tell(phase: str, done: int, total: int) -> None:
        words = {
            "check": _("Checking: %(done)d rows", done=done),
            "write": _("Writing: %(done)d rows", done=done),
            "undo": _("Undoing: %(done)d rows", done=done),
        }
        work.progress(done, total, words[phase])

    return tell


# --- files -----------------------------------------------------------------------------------


def folder() -> Path:
    """Return the folder of waiting files and reports."""
    path: Path = current_app.extensions["settings"].data_dir / "imports"
    path.mkdir(parents=True, exist_ok=True)
    return path


def remove_old_files(days: int = 30) -> int:
    """Delete files, previews and reports older than ``days``, since they hold personal data; return how many."""
    limit = (clock.now() - timedelta(days=days)).timestamp()
    old = [path for path in folder().iterdir() if path.stat().st_mtime < limit]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def _keep(source: IO[bytes]) -> str:
    """Store the upload under its hash, refusing at the size limit; an equal file is kept once."""
    digest, size = hashlib.sha256(), 0
    with tempfile.NamedTemporaryFile(dir=folder(), delete=False) as out:
        try:
            while chunk := source.read(1024 * 1024):
                size += len(chunk)
                if size > sheets.MAX_FILE:
                    raise InvalidData({"file": sheets.TOO_BIG})
                digest.update(chunk)
                out.write(chunk)
        except BaseException:
            os.unlink(out.name)
            raise
    os.replace(out.name, _file(digest.hexdigest()))
    return digest.hexdigest()


@contextmanager
def _replaced(path: Path) -> Iterator[IO[str]]:
    """Write a file that takes its name only when it is whole: the same work may be done twice at a time."""
    partial = folder() / f"{uuid7().hex}.part"
    try:
        with partial.open("w", encoding="utf-8") as out:
            yield out
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _file(digest: str) -> Path:
    return folder() / digest


def _named(run: ImportRun) -> Path:
    """A name of its own for what belongs to one run, even where a new database counts from 1 again."""
    return folder() / f"{run.id}-{int(run.created_at.timestamp() * 1_000_000):x}"


def _preview_file(run: ImportRun) -> Path:
    return _named(run).with_suffix(".preview")


def _rejected_path(run: ImportRun) -> Path:
    return _named(run).with_suffix(".xlsx")


def _kept_file(run: ImportRun) -> Path:
    return _named(run).with_suffix(".kept")


# --- rows ------------------------------------------------------------------------------------


def _planned(
    kind: Importer, run: ImportRun, memory: dict[str, Any], counts: Tally[str], progress: Progress | None
) -> Iterator[list[tuple[Plan, list[str]]]]:
    """Yield batches of (plan, cells as in the file), counting as they go."""
    missing = [c.name for c in kind.columns if c.required and c.name not in run.mapping]
    if missing:
        raise InvalidData({name: _l("This column is needed") for name in missing})
    rows = sheets.data_rows(_sheet(run), Header(run.header_line, tuple(run.titles)))
    places = {name: int(index) for name, index in run.mapping.items()}
    width, unit_id = len(run.titles), run.unit_id
    while batch := list(islice(rows, BATCH)):
        read = [
            Row(line, {name: _plain(cells[at]) if at < len(cells) else "" for name, at in places.items()})
            for line, cells in batch
        ]
        plans = kind.check_rows(unit_id, read, memory)
        for plan in plans:
            if plan.errors:
                plan.action = ERROR
            counts[plan.action] += 1
            counts["warning"] += bool(plan.warnings)
        counts["rows"] += len(plans)
        if progress:
            progress("check", counts["rows"], 0)
        padded = [(cells + [""] * (width - len(cells)))[:width] for _line, cells in batch]
        yield list(zip(plans, padded, strict=True))
    counts.update({f"note:{code}": number for code, number in memory.get("notes", {}).items()})


def _plain(cell: str) -> str:
    return cell.strip() if cell.isascii() and cell.isprintable() else normalise(cell)


def _sheet(run: ImportRun) -> Sheet:
    path = _file(run.sha256)
    if not path.exists():
        raise InvalidData({"file": _l("The uploaded file is no longer here. Please upload it again.")})
    return replace(sheets.open_sheet(path), index=run.sheet)


def _remembered(kind: Importer, unit_id: int, header: Header) -> dict[str, int]:
    """Match columns by the unit's last choice where the same header text is there, else by name."""
    held = session().scalars(_mapping_of(kind.key, unit_id)).first()
    known = {column.name for column in kind.columns}
    mapping: dict[str, int] = {}
    for name, title in (held.titles if held else {}).items():
        if name in known and title in header.titles:
            mapping[name] = header.titles.index(title)
    free = {name: at for name, at in header.mapping.items() if at not in mapping.values()}
    return {**free, **mapping}


def _mapping_of(key: str, unit_id: int) -> Any:
    return select(ImportMapping).where(ImportMapping.unit_id == unit_id, ImportMapping.importer == key)


def _allow(kind: Importer, unit_id: int) -> None:
    require(kind.permission, unit_id)


def _expect_open(run: ImportRun) -> None:
    if run.state not in (STAGED, CHECKED):
        raise Conflict(_l("This import is already finished"))
