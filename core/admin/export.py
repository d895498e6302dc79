"""A list's view as a file: the same columns, filters and rights. Short ones at once, long ones as a job."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote
from zoneinfo import ZoneInfo

from flask import Response, current_app, g, send_file
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select

from core.kernel import clock, exporting, jobs
from core.kernel.audit import record_audit
from core.kernel.database import reading, session, transaction
from core.kernel.errors import InvalidData, NotFound
from core.kernel.exporting import ExportColumn

from .listing import Args, ListColumn, ListContext, ListSpec, all_rows, filtered, read_state, visible_columns

if TYPE_CHECKING:
    from .views import ListScreen

EXCEL = exporting.MIME_TYPES[exporting.XLSX]
# Up to so many rows are sent at once; more are written by a job.
AT_ONCE = 5000
JOB = "list.export"


def checked_type(raw: str | None) -> str:
    """Return the file type a request asks for; none given: Excel.

    Raises:
        InvalidData: there is no such type.
    """
    if raw and raw not in exporting.FILE_TYPES:
        raise InvalidData({"format": _l("Please choose one of the list")})
    return raw or exporting.XLSX


def is_long(spec: ListSpec, args: Args, context: ListContext) -> bool:
    """Tell whether the view has more rows than are sent at once."""
    ids = filtered(read_state(spec, args), context).order_by(None).with_only_columns(spec.model.id)
    some = ids.limit(AT_ONCE + 1).subquery()
    with reading():
        return (session().scalar(select(func.count()).select_from(some)) or 0) > AT_ONCE


def send(spec: ListSpec, args: Args, context: ListContext, file_type: str = exporting.XLSX) -> Response:
    """Write the whole view to a temporary file and send it; the export is logged."""
    target = tempfile.TemporaryFile()  # noqa: SIM115 - the response closes it
    write(spec, args, context, file_type, target)
    target.seek(0)
    answer = send_file(target, mimetype=exporting.MIME_TYPES[file_type])
    names = (file_name(spec, context, file_type), file_name(spec, context, file_type, str(spec.name)))
    answer.headers["Content-Disposition"] = attachment(*names)
    return answer


def start(screen: ListScreen, spec: ListSpec, args: Args, unit_id: int, file_type: str) -> jobs.JobRun:
    """Let the view be written by a job, for whoever asks now, with the rights they will have then."""
    query = read_state(spec, args).query()
    payload = {"screen": screen.endpoint, "query": query, "format": file_type}
    return jobs.start(JOB, unit_id, payload, _("Export: %(what)s", what=spec.title))


def declared_jobs() -> list[jobs.Job]:
    """Return the jobs of lists."""
    return [jobs.Job(JOB, _l("Export a list"), _run)]


def _run(work: jobs.Work) -> Mapping[str, Any]:
    from core.web.context import unit_context

    unit = g.actor.unit(work.unit_id)
    if unit is None:
        raise NotFound()
    g.unit = unit_context(unit)
    screen = _screen(work.payload["screen"])
    # What guards the screen's pages: whether its plugin is on, and who may see it.
    screen._handle_view("export_view")
    spec, file_type = screen.list_spec(), checked_type(work.payload["format"])
    args, context = parse_qs(work.payload["query"]), screen.export_context()
    with tempfile.TemporaryDirectory() as folder, screen.export_scope():
        path = Path(folder) / "export"

        def tell(done: int) -> None:
            work.progress(done, 0, _("Exporting: %(done)d rows", done=done))

        with path.open("wb") as target:
            count = write(spec, args, context, file_type, target, tell)
        return {**jobs.keep_result(path, file_name(spec, context, file_type)), "rows": count}


def _screen(endpoint: str) -> ListScreen:
    from .views import ListScreen

    for one in current_app.extensions["admin"][0]._views:
        if isinstance(one, ListScreen) and one.endpoint == endpoint:
            return one
    raise NotFound()


def write(
    spec: ListSpec,
    args: Args,
    context: ListContext,
    file_type: str,
    target: IO[bytes],
    progress: Callable[[int], object] | None = None,
) -> int:
    """Write every row of a view into an open file, log the export, return the number of rows."""
    state = read_state(spec, args)
    kinds = [ExportColumn(one.label, one.kind) for one in visible_columns(state, [], context)]
    with reading():
        rows = _rows(spec, args, context)
        count = exporting.write(kinds, rows, file_type, target, timezone=context.timezone, progress=progress)
    with transaction():
        detail = {"filters": state.query(), "rows": count, "format": file_type}
        record_audit("export", ("list", spec.name), unit_id=context.unit_id, detail=detail)
    return count


def _rows(spec: ListSpec, args: Args, context: ListContext) -> Iterator[list[Any]]:
    """Read by keyset, a batch at a time, and let go of each batch before the next."""
    state = read_state(spec, args)
    for rows in all_rows(state, context, cap=None):
        columns: Sequence[ListColumn] = visible_columns(state, rows, context)
        for row in rows:
            yield [cell_value(column, row) for column in columns]


def cell_value(column: ListColumn, row: Any) -> Any:
    """Return what one cell of the file holds: a number, a moment, a date, or text."""
    value = column.export(row) if column.export else column.value(row)
    if column.kind == "badge" and not column.export:
        value = value[0] if value else ""
    if value is None or isinstance(value, str | bool | datetime | date | Decimal | int | float):
        return value
    return str(value)


def file_name(spec: ListSpec, context: ListContext, file_type: str, stem: str = "") -> str:
    """Return what the download is called: the list's title and the moment."""
    day = clock.now().astimezone(ZoneInfo(context.timezone)).strftime("%Y%m%d-%H%M")
    return f"{stem or spec.title}-{day}{exporting.suffix(file_type)}"


def attachment(name: str, plain: str) -> str:
    """Return a Content-Disposition that keeps Chinese names (RFC 6266) and gives old clients ``plain``."""
    return f"attachment; filename=\"{plain.replace(chr(34), '')}\"; filename*=UTF-8''{quote(name, safe='')}"
