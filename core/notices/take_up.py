"""Takes up what was put into inboxes and decides who is told of it, how and when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, select, update

from core.kernel import clock
from core.kernel.database import insert_missing, session, system_scope, transaction
from core.records.models import Notice

from . import robots, smtp
from .kinds import DIGEST, EMAIL, INBOX, OFF
from .models import PENDING, Delivery, Robot
from .preferences import People, Person

BATCH = 500
# After a long standstill the inboxes have it all; mails and groups are not flooded with what is over.
OLD_NEWS = timedelta(days=3)


def take_up() -> int:
    """Write what is to be sent for notices that nobody took up yet; return how many notices.

    Any number may do this at once: each batch is one transaction that locks its notices.
    """
    total, people = 0, People()
    while count := _take_batch(people):
        total += count
        people = people.renewed()
    return total


def _take_batch(people: People) -> int:
    with system_scope("notices") as work, transaction():
        waiting = select(Notice).where(Notice.told_at.is_(None)).order_by(Notice.id).limit(BATCH)
        found = work.scalars(waiting.with_for_update(skip_locked=True)).all()
        if not found:
            return 0
        rows = list(_deliveries(found, people))
        if rows:
            insert_missing(Delivery, rows)
        done = update(Notice).where(Notice.id.in_([one.id for one in found])).values(told_at=clock.now())
        work.execute(done, execution_options={"synchronize_session": False})
        return len(found)


def _deliveries(found: Sequence[Notice], people: People) -> Iterable[dict[str, Any]]:
    moment = clock.now()
    fresh = [one for one in found if moment - one.at <= OLD_NEWS]
    people.load(one.user_id for one in fresh)
    listening = _robots({one.unit_id for one in fresh})
    mailing = smtp.is_set_up()
    unwanted = []
    for notice in fresh:
        for robot in listening.get((notice.unit_id, notice.kind), ()):
            yield _to_robot(notice, robot, moment)
        person = people.get(notice.user_id)
        if person is None or not person.sees(notice.unit_id):
            continue
        if person.mode(notice.kind, INBOX, notice.unit_id) == OFF:
            unwanted.append(notice.id)
        mode = person.mode(notice.kind, EMAIL, notice.unit_id)
        if mailing and mode != OFF and smtp.is_address(person.email):
            yield _to_person(notice, person, mode, moment)
    if unwanted:
        read = update(Notice).where(Notice.id.in_(unwanted), Notice.read_at.is_(None)).values(read_at=moment)
        session().execute(read, execution_options={"synchronize_session": False})


def _robots(units: Iterable[int]) -> dict[tuple[int, str], list[Robot]]:
    found: dict[tuple[int, str], list[Robot]] = {}
    for row in session().scalars(select(Robot).where(Robot.unit_id.in_(sorted(units)), Robot.active)):
        for kind in row.kinds:
            found.setdefault((row.unit_id, kind), []).append(row)
    return found


def _to_person(notice: Notice, person: Person, mode: str, moment: datetime) -> dict[str, Any]:
    channel = DIGEST if mode == DIGEST else EMAIL
    return _row(
        notice,
        moment,
        key=f"n{notice.id}:email",
        user_id=notice.user_id,
        channel=channel,
        address=masked(person.email),
        next_try_at=person.when(mode, moment),
    )


def _to_robot(notice: Notice, robot: Robot, moment: datetime) -> dict[str, Any]:
    # However many people an event concerns, the group is told of it once.
    event = f"{notice.kind}:{notice.record_id or 0}:{notice.at:%Y%m%d%H%M}"
    return _row(
        notice,
        moment,
        key=f"r{robot.id}:{event}",
        robot_id=robot.id,
        channel="robot",
        address=robots.masked(robot),
        subject=robot.name,
        next_try_at=moment,
    )


def _row(notice: Notice, moment: datetime, **values: Any) -> dict[str, Any]:
    usual = {
        "unit_id": notice.unit_id,
        "notice_id": notice.id,
        "user_id": None,
        "robot_id": None,
        "kind": notice.kind,
        "subject": "",
        "body": "",
        "state": PENDING,
        "tries": 0,
        "error": "",
        "created_at": moment,
    }
    return usual | values


def masked(email: str) -> str:
    """Return enough of an e-mail address for its owner to know it."""
    name, _at, domain = email.partition("@")
    return f"{name[:2]}***@{domain}"[:200]


def count_changed(done: Any) -> int:
    """Return how many rows a statement changed."""
    return int(cast("CursorResult[Any]", done).rowcount)
