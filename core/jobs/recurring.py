"""Recurring work: which unit's turn it is, taken once however many schedulers look, and done as a message."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

from sqlalchemy import CursorResult, delete, select, update

from core.kernel import clock, jobs, outbox
from core.kernel.database import insert_once, system_scope, transaction, unit_scope
from core.kernel.errors import AppError
from core.kernel.i18n import LOCALES, speaking
from core.kernel.jobs import Periodic, PeriodicRun
from core.kernel.outbox import DEAD, PENDING, GiveUp, Outbox
from core.units.models import Unit, UnitPlugin
from core.units.switches import enabled_plugins

from .work import words_of

log = logging.getLogger(__name__)
Place = tuple[int, str]  # unit, name of the work


def publish_due() -> int:
    """Publish a message for all recurring work that is due by now; return how many this process took."""
    declared = periodics()
    if not declared:
        return 0
    with system_scope("recurring work", read_only=True) as work:
        units = work.execute(select(Unit.id, Unit.timezone).where(Unit.active).order_by(Unit.id)).all()
        on = {(row.unit_id, row.plugin) for row in work.scalars(select(UnitPlugin).where(UnitPlugin.enabled))}
        known: dict[Place, PeriodicRun] = {(r.unit_id, r.name): r for r in work.scalars(select(PeriodicRun))}
        work.expunge_all()
    found = _due(declared, [(row.id, row.timezone) for row in units], on, known)
    return sum(_taken(*one) for one in found)


def periodics() -> list[Periodic]:
    """Return all recurring work, by name."""
    return sorted((one for one in jobs.declared().values() if isinstance(one, Periodic)), key=lambda p: p.name)


def _due(
    declared: Iterable[Periodic],
    units: Iterable[tuple[int, str]],
    on: set[tuple[int, str]],
    known: dict[Place, PeriodicRun],
) -> Iterator[tuple[Periodic, int, str, PeriodicRun | None]]:
    now = clock.now()
    listed = list(units)
    for one in declared:
        for unit_id, zone in listed:
            if one.plugin and (unit_id, one.plugin) not in on:
                continue
            last = known.get((unit_id, one.name))
            period = period_of(one, zone, now, last)
            if period:
                yield one, unit_id, period, last


def period_of(one: Periodic, zone: str, now: datetime, last: PeriodicRun | None) -> str:
    """Return the name of the period for which work is due now; '' where it is not due."""
    if one.hour is None:
        early = last is not None and last.taken_at is not None and now - last.taken_at < one.every
        return "" if early else now.isoformat(timespec="seconds")
    local = now.astimezone(ZoneInfo(zone))
    day = local.date().isoformat()
    return day if local.hour >= one.hour and (last is None or last.period != day) else ""


def _taken(one: Periodic, unit_id: int, period: str, last: PeriodicRun | None) -> bool:
    """Take a period, if nobody else has and the work of the one before is not still going on."""
    try:
        with system_scope("recurring work") as work, transaction():
            if last is None:
                insert_once(PeriodicRun, {"unit_id": unit_id, "name": one.name, "period": "", "error": ""})
            before = last.period if last else ""
            if before and not _settled(message_key(one.name, unit_id, before)):
                return False
            mine = (PeriodicRun.unit_id == unit_id, PeriodicRun.name == one.name, PeriodicRun.period == before)
            moved = work.execute(update(PeriodicRun).where(*mine).values(period=period, taken_at=clock.now()))
            if not cast("CursorResult[Any]", moved).rowcount:
                return False
            key = message_key(one.name, unit_id, period)
            outbox.publish(jobs.PERIODIC, unit_id, {"periodic": one.name}, key)
            return True
    except Exception:  # one unit must not keep the others waiting
        log.exception("recurring work %s of unit %d could not be taken", one.name, unit_id)
        return False


def _settled(key: str) -> bool:
    """Tell whether a message is done or dead; a dead one makes way for the next period's."""
    with transaction() as work:
        work.execute(delete(Outbox).where(Outbox.key == key, Outbox.state == DEAD))
        return work.scalars(select(Outbox.id).where(Outbox.key == key, Outbox.state == PENDING)).first() is None


def message_key(name: str, unit_id: int, period: str) -> str:
    """Return the key of the message that does a period's work."""
    return f"periodic:{name}:{unit_id}:{period}"[:120]


def run_message(message: Outbox) -> None:
    """Do recurring work in one unit, where it is still wanted.

    Raises:
        GiveUp: it fails for a reason people can read.
    """
    one = jobs.declared().get(message.payload["periodic"])
    unit_id = message.unit_id
    if unit_id is None or not isinstance(one, Periodic):  # of an older version: nobody wants it any more
        return
    with system_scope("recurring work", read_only=True) as work:
        locale = work.scalar(select(Unit.locale).where(Unit.id == unit_id, Unit.active))
        wanted = not one.plugin or one.plugin in enabled_plugins(unit_id)
    if locale is None or not wanted:
        return
    try:
        with speaking(locale if locale in LOCALES else "zh"), unit_scope(unit_id, one.name):
            one.run(unit_id)
    except Exception as error:
        text = words_of(error) if isinstance(error, AppError) else f"{type(error).__name__}: {error}"
        _note(one.name, unit_id, error=text.replace("\x00", "")[:500])
        if isinstance(error, AppError):
            raise GiveUp(text) from error
        raise
    _note(one.name, unit_id, error="", done_at=clock.now())


def _note(name: str, unit_id: int, **values: Any) -> None:
    with system_scope("recurring work") as work, transaction():
        mine = (PeriodicRun.unit_id == unit_id, PeriodicRun.name == name)
        work.execute(update(PeriodicRun).where(*mine).values(**values))
