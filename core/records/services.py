"""What staff do beside the workflow: comments, mentions, watching, reminders, notices, stages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any, cast

from flask_babel import lazy_gettext as _l
from sqlalchemy import CursorResult, select, update

from core.kernel import clock
from core.kernel.database import current_scope, fetch, session, transaction
from core.kernel.errors import InvalidData, NotAllowed, NotFound
from core.units.models import Stage
from core.users.services import staff_of

from . import ports
from .engine import Step, append_fact, fetch_visible, flow_of, follow, lock, require_act, sees_inside
from .models import Fact, Notice, Record, Reminder, Watcher

MENTION = re.compile(r"@([\w.\-]{2,60})")


def comment(record_id: object, text: str, *, visible_to_customer: bool = False) -> Fact:
    """Write a comment on the timeline; people named with @username or @name get a notice.

    Raises:
        InvalidData: an empty text or one over 4000 characters.
        NotAllowed: the actor may only read.
    """
    text = text.strip()
    if not text:
        raise InvalidData({"text": _l("Please write something")})
    if len(text) > 4000:
        raise InvalidData({"text": _l("At most %(count)d characters", count=4000)})
    with transaction() as work:
        record = lock(fetch_visible(record_id).id)
        require_act(record, "case.comment")
        kind = flow_of(record).fact_kinds["comment"]
        fact = append_fact(record, kind, at=clock.now(), note=text, visible=visible_to_customer)
        mentioned = _mentioned(record.unit_id, text)
        notify(record, "mention", mentioned, text[:100])
        notify(record, "comment", watchers_of(record.id) - mentioned, text[:100])
        work.flush()
        return fact


def _mentioned(unit_id: int, text: str) -> set[int]:
    names = set(MENTION.findall(text))
    if not names:
        return set()
    return {u.id for u in staff_of(unit_id) if u.username in names or u.name in names}


def watchers_of(record_id: int) -> set[int]:
    """Return the ids of the users who follow a record."""
    return set(session().scalars(select(Watcher.user_id).where(Watcher.record_id == record_id)))


def tell_watchers(step: Step) -> None:
    """Let those who follow a record know of a step (an effect of every transition)."""
    notify(step.record, "changed", watchers_of(step.record.id), str(step.transition.label))


ports.effects.append(tell_watchers)


def watch(record_id: object, on: bool = True) -> None:
    """Follow a record, or stop; its changes and comments then reach the user's inbox.

    Raises:
        NotAllowed: comments are for the unit's own staff.
    """
    with transaction() as work:
        record = fetch_visible(record_id)
        if on and not sees_inside(record):
            raise NotAllowed("case.view")
        actor = _actor()
        row = work.scalars(select(Watcher).where(Watcher.record_id == record.id, Watcher.user_id == actor)).first()
        if on and row is None:
            work.add(Watcher(record_id=record.id, user_id=actor, unit_id=record.unit_id))
        if not on and row is not None:
            work.delete(row)


def remind(record_id: object, text: str, due_at: datetime, user_id: int | None = None) -> Reminder:
    """Set a next action on a record for oneself or a colleague of the unit.

    Raises:
        InvalidData: no text, a time in the past, or somebody who does not work in the unit.
    """
    with transaction() as work:
        record = fetch_visible(record_id)
        who = user_id or _actor()
        errors: dict[str, Any] = {}
        if not text.strip():
            errors["text"] = _l("Please write something")
        if due_at < clock.now():
            errors["due_at"] = _l("This time has passed")
        if who != _actor() and not sees_inside(record):
            raise NotAllowed("case.view")
        if who != _actor() and who not in {u.id for u in staff_of(record.unit_id)}:
            errors["user_id"] = _l("This person does not work in the unit")
        if errors:
            raise InvalidData(errors)
        row = Reminder(
            record_id=record.id,
            unit_id=record.unit_id,
            user_id=who,
            text=text.strip()[:200],
            due_at=due_at,
            created_by=_actor(),
        )
        work.add(row)
        work.flush()
        return row


def finish_reminder(reminder_id: object) -> None:
    """Tick a reminder off. Only its own person or who set it may.

    Raises:
        NotFound: not there, or somebody else's.
    """
    with transaction():
        row = fetch(Reminder, reminder_id)
        if _actor() not in (row.user_id, row.created_by):
            raise NotFound()
        row.done_at = row.done_at or clock.now()


def notify(record: Record, kind: str, user_ids: Iterable[int], text: str = "") -> None:
    """Put an entry into people's inboxes; never into the actor's own."""
    actor = current_scope().actor_id
    moment = clock.now()
    put_notices(
        Notice(user_id=u, unit_id=record.unit_id, record_id=record.id, kind=kind, text=text[:300], at=moment)
        for u in set(user_ids)
        if u != actor
    )


def tell_people(unit_id: int, kind: str, user_ids: Iterable[int], text: str) -> None:
    """Put an entry that belongs to no record into people's inboxes; its kind says which page it leads to."""
    actor, moment = current_scope().actor_id, clock.now()
    put_notices(
        Notice(user_id=one, unit_id=unit_id, kind=kind, text=text[:300], at=moment)
        for one in sorted(set(user_ids))
        if one != actor
    )


def put_notices(notices: Iterable[Notice]) -> None:
    """Put entries into inboxes and let those know who send them on."""
    found = list(notices)
    session().add_all(found)
    if found:
        for call in ports.told:
            call()


def read_notices(notice_ids: Iterable[int] | None = None) -> int:
    """Mark the actor's notices (all, or the given ones) as read; return how many were unread."""
    with transaction() as work:
        change = update(Notice).where(Notice.user_id == _actor(), Notice.read_at.is_(None))
        if notice_ids is not None:
            change = change.where(Notice.id.in_(list(notice_ids)))
        return int(cast("CursorResult[Any]", work.execute(change.values(read_at=clock.now()))).rowcount)


def set_stage(record_id: object, stage_id: object | None) -> Record:
    """Put the unit's own label on a record within its present state, or take it off.

    Raises:
        NotFound: a stage of another unit, record type or state.
        NotAllowed: the actor may not handle the record.
    """
    with transaction() as work:
        record = lock(record_id)
        require_act(record, "case.handle")
        label, pauses = "", False
        if stage_id:
            stage = fetch(Stage, stage_id)
            if (stage.unit_id, stage.record_type, stage.state) != (record.unit_id, record.type, record.state):
                raise NotFound()
            label, record.stage_id, pauses = stage.label, stage.id, stage.pauses_clock
        else:
            record.stage_id = None
        kind = flow_of(record).fact_kinds["stage"]
        fact = append_fact(record, kind, at=clock.now(), data={"stage": label, "pauses": pauses})
        work.flush()
        follow(record, [fact])
        return record


def _actor() -> int:
    actor = current_scope().actor_id
    if actor is None:
        raise NotAllowed()
    return actor
