"""Reports that colleagues get by e-mail, every day, week or month; each made with the rights of who gets it.

Whoever moves a schedule's next time on publishes the work, in the same transaction; the others find it moved. The
work notes each mail that went out, so that one that was cut short goes on where it stopped.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import CursorResult, select, update

from core.kernel import clock
from core.kernel.access import require
from core.kernel.database import current_scope, fetch, opened_scope, session, system_scope, transaction
from core.kernel.errors import AppError, Conflict, InvalidData, NotFound
from core.kernel.fields import Choices, Field, clean
from core.kernel.i18n import speaking
from core.kernel.jobs import Job, Periodic, Work, enqueue
from core.notices import smtp
from core.rules.clocks import add_months
from core.units.facts import unit_facts
from core.users import actor as actors
from core.users.models import User
from core.users.services import staff_of

from . import files, making
from .models import ReportSchedule

MANAGE = "report.schedule"
DAY, WEEK, MONTH = "day", "week", "month"
CADENCES = ((DAY, _l("Every day")), (WEEK, _l("Every week")), (MONTH, _l("Every month")))
WEEKDAYS = (
    _l("Monday"),
    _l("Tuesday"),
    _l("Wednesday"),
    _l("Thursday"),
    _l("Friday"),
    _l("Saturday"),
    _l("Sunday"),
)
JOB = "reports.send"
FILTER = "f_"  # before the names of the report's own filters, where both kinds of fields meet
log = logging.getLogger(__name__)
HOURS = tuple((f"{hour:02}:00", f"{hour:02}:00") for hour in range(24))


class Unsent(Exception):
    """Some mails did not go out for a reason that may pass; the job comes again."""


def fields(unit_id: int) -> tuple[Field, ...]:
    """Return the form of a schedule, beside the report's own filters."""
    return (
        Field("file_type", "choice", _l("File"), True, files.FILE_TYPES, default=files.XLSX),
        Field("cadence", "choice", _l("How often"), True, CADENCES, default=WEEK),
        Field(
            "weekday",
            "choice",
            _l("On which weekday"),
            _when(WEEK),
            [(str(n), one) for n, one in enumerate(WEEKDAYS, 1)],
            default="1",
            help=_l("For a report that comes every week."),
        ),
        Field(
            "day",
            "int",
            _l("On which day of the month"),
            _when(MONTH),
            minimum=cast(Any, 1),
            maximum=cast(Any, 28),
            default=1,
            help=_l("For a report that comes every month: 1 to 28."),
        ),
        Field("at", "choice", _l("At"), True, HOURS, default="08:00", help=_l("In the time zone of the unit.")),
        Field(
            "recipients",
            "many",
            _l("Recipients"),
            True,
            lambda: colleagues(unit_id),
            help=_l("Staff of the unit who have an e-mail address; users get theirs on their own page."),
        ),
        Field("active", "bool", _l("In use"), default=True),
    )


def _when(cadence: str) -> Any:
    return lambda raw: raw.get("cadence") == cadence


def colleagues(unit_id: int) -> Choices:
    """Return (id, name) of who may get reports of a unit: its staff, as far as they have an e-mail address."""
    return [(str(one.id), one.name) for one in staff_of(unit_id) if one.email]


def save(
    report_code: str,
    unit_id: int,
    raw: Mapping[str, Any],
    filters: Mapping[str, Any],
    *,
    below: bool = False,
    schedule_id: object = None,
    version: str | None = None,
) -> ReportSchedule:
    """Add or change a schedule. ``filters``: the report's own, as a form sends them; ``group`` may be among them.

    Raises:
        NotFound, NotAllowed: as ever, and where the actor may not see the report.
        InvalidData: with every field's messages, those of filters under ``f_`` and the name.
        Conflict: changed since ``version``.
    """
    require(MANAGE, unit_id)
    report = making.find(report_code, unit_id)
    errors: dict[str, Any] = {}
    values: dict[str, Any] = {}
    try:
        values = clean(fields(unit_id), raw, timezone=unit_facts(unit_id).timezone)
    except InvalidData as bad:
        errors |= bad.errors
    try:
        making.ask(report, unit_id, filters, group=str(filters.get("group") or ""), below=below)
    except InvalidData as bad:
        errors |= {f"{FILTER}{name}": texts for name, texts in bad.errors.items()}
    if errors:
        raise InvalidData(errors)
    with transaction() as work:
        row = _mine(schedule_id, unit_id) if schedule_id else None
        if row is not None and version and version != str(row.version):
            raise Conflict()
        if row is None:
            row = ReportSchedule(unit_id=unit_id, created_by=current_scope().actor_id)
        row.report, row.filters, row.below = report.code, _plain(report, filters), below
        row.file_type, row.cadence = values["file_type"], values["cadence"]
        row.place = {WEEK: int(values["weekday"] or 1), MONTH: values["day"] or 1}.get(row.cadence, 1)
        row.at = time.fromisoformat(values["at"])
        row.recipients = [int(one) for one in dict.fromkeys(values["recipients"])]
        row.active = bool(values["active"])
        row.next_run_at = next_time(row, clock.now())
        work.add(row)
        work.flush()
    return row


def delete(schedule_id: object, unit_id: int) -> None:
    """Drop a schedule.

    Raises:
        NotFound, NotAllowed: as ever.
    """
    with transaction() as work:
        work.delete(_mine(schedule_id, unit_id))


def of(report_code: str, unit_id: int) -> list[ReportSchedule]:
    """Return the schedules of a report in a unit, the oldest first.

    Raises:
        NotAllowed: the actor may not manage schedules there.
    """
    require(MANAGE, unit_id)
    mine = (ReportSchedule.unit_id == unit_id, ReportSchedule.report == report_code)
    return list(session().scalars(select(ReportSchedule).where(*mine).order_by(ReportSchedule.id)))


def _mine(schedule_id: object, unit_id: int) -> ReportSchedule:
    require(MANAGE, unit_id)
    row = fetch(ReportSchedule, schedule_id)
    if row.unit_id != unit_id:
        raise NotFound()
    return row


def _plain(report: Any, filters: Mapping[str, Any]) -> dict[str, Any]:
    names = [*(one.name for one in report.filters), "group"]
    return {name: filters[name] for name in names if filters.get(name) not in (None, "", [])}


# --- when -------------------------------------------------------------------------------------------


def next_time(row: ReportSchedule, after: datetime) -> datetime:
    """Return the first moment later than ``after`` at which a schedule is due."""
    zone = ZoneInfo(unit_facts(row.unit_id).timezone)
    day = after.astimezone(zone).date() - timedelta(days=1)
    while True:
        day = _next_day(row, day)
        moment = datetime.combine(day, row.at, zone).astimezone(after.tzinfo)
        if moment > after:
            return moment


def _next_day(row: ReportSchedule, day: date) -> date:
    """Return the first day later than ``day`` that a schedule names."""
    if row.cadence == MONTH:
        here = day.replace(day=row.place)
        return here if here > day else add_months(day.replace(day=1), 1).replace(day=row.place)
    step = (row.place - day.isoweekday() - 1) % 7 + 1 if row.cadence == WEEK else 1
    return day + timedelta(days=step)


def publish_due(unit_id: int) -> None:
    """Let the schedules of a unit whose time has come be sent. Safe in several processes."""
    now = clock.now()
    due = select(ReportSchedule).where(
        ReportSchedule.unit_id == unit_id, ReportSchedule.active, ReportSchedule.next_run_at <= now
    )
    for row in session().scalars(due).all():
        _publish(row, now)


def _publish(row: ReportSchedule, now: datetime) -> None:
    seen, following = row.next_run_at, next_time(row, now)
    mine = (ReportSchedule.id == row.id, ReportSchedule.next_run_at == seen, ReportSchedule.active)
    change = update(ReportSchedule).where(*mine).values(next_run_at=following, last_run_at=now)
    options = {"audited": "bookkeeping", "synchronize_session": False}
    with transaction() as work:
        moved = cast("CursorResult[Any]", work.execute(change, execution_options=options))
        if moved.rowcount:
            payload = {"schedule": row.id, "at": seen.isoformat()}
            enqueue(JOB, row.unit_id, payload, f"report:{row.id}:{seen.isoformat()}")


# --- sending ----------------------------------------------------------------------------------------


def send(work: Work) -> None:
    """Send a schedule's report to each recipient who has not got it yet.

    Raises:
        Unsent: some mails did not go out for a reason that may pass.
    """
    schedule_id, at = int(work.payload["schedule"]), str(work.payload["at"])
    with system_scope("reports", read_only=True):
        row = session().scalars(select(ReportSchedule).where(ReportSchedule.id == schedule_id)).first()
        if row is None or not row.active:
            return
        session().expunge(row)
    outcome: dict[str, Any] = (
        dict(row.outcome) if row.outcome.get("at") == at else {"at": at, "sent": [], "left_out": {}}
    )
    outcome["failed"] = {}
    for user_id in row.recipients:
        if user_id not in outcome["sent"] and str(user_id) not in outcome["left_out"]:
            _send_to(row, user_id, at, outcome)
            _note(schedule_id, outcome)
    if outcome["failed"]:
        raise Unsent("; ".join(outcome["failed"].values()))


def _send_to(row: ReportSchedule, user_id: int, at: str, outcome: dict[str, Any]) -> None:
    """Make the report as one recipient may see it and send it; note in ``outcome`` what came of it."""
    with system_scope("reports", read_only=True):
        actor = actors.load_by_id(user_id)
        user = session().scalars(select(User).where(User.id == user_id)).one_or_none()
        address = user.email if user is not None else ""
    if actor is None or row.unit_id not in actor.units:
        outcome["left_out"][str(user_id)] = str(_("has left"))
        return
    if not address:
        outcome["left_out"][str(user_id)] = str(_("has no e-mail address"))
        return
    try:
        with speaking("en" if actor.locale.startswith("en") else "zh"):
            with opened_scope(actor.scope("report"), mode="read"):
                wanted = _ask(row)
                name, made = files.file_name(wanted, row.file_type), files.content(wanted, row.file_type)
                subject, text = files.title(wanted), _letter(wanted)
            headers = {"Auto-Submitted": "auto-generated", "Message-ID": _message_id(row, user_id, at)}
            smtp.send(address, subject, text, attachments=[(name, made)], headers=headers)
    except AppError as error:
        text = "; ".join(str(one) for one in error.texts())
        later = isinstance(error, smtp.NotSent) and not error.permanent
        outcome["failed" if later else "left_out"][str(user_id)] = text
        return
    except Exception as error:  # of a report; the others get theirs, and the schedule says what happened
        log.exception("report %s could not be made", row.report)
        outcome["failed"][str(user_id)] = f"{type(error).__name__}: {error}"[:300]
        return
    outcome["sent"].append(user_id)


def _ask(row: ReportSchedule) -> making.Ask:
    report = making.find(row.report, row.unit_id)
    group = str(row.filters.get("group") or "")
    return making.ask(report, row.unit_id, row.filters, group=group, below=row.below)


def _letter(wanted: making.Ask) -> str:
    told = [f"{label}: {value}" for label, value in files.about(wanted)]
    return "\n".join(
        [files.title(wanted), *told, "", _("The report is attached. It was sent as arranged in the system.")]
    )


def _message_id(row: ReportSchedule, user_id: int, at: str) -> str:
    """The same for every try, so that a mail program shows a second one as the first."""
    stamp = "".join(one for one in at if one.isalnum())
    return f"<report-{row.id}-{user_id}-{stamp}@shouhou.invalid>"


def _note(schedule_id: int, outcome: Mapping[str, Any]) -> None:
    with system_scope("reports") as work, transaction():
        change = update(ReportSchedule).where(ReportSchedule.id == schedule_id).values(outcome=dict(outcome))
        work.execute(change, execution_options={"audited": "bookkeeping", "synchronize_session": False})


JOBS = (
    Job(JOB, _l("Send a report"), send),
    Periodic("reports.due", _l("Send what reports are due"), publish_due, timedelta(minutes=5)),
)
