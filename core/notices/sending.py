"""Sends what is due: mails, digests, messages to groups. At least once; what fails is tried again, then given up.

What is to be sent is leased first, so that several workers never send the same, and what a killed one held comes
again after the lease. Who gets it, and what they may see, is looked at once more right before.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

from flask_babel import force_locale
from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, delete, literal, select, update
from sqlalchemy.orm import joinedload

from core.kernel import clock
from core.kernel.access import require
from core.kernel.database import session, system_scope, transaction
from core.kernel.errors import AppError, InvalidData
from core.kernel.i18n import LOCALES
from core.records.models import Notice
from core.units.models import Unit
from core.units.settings import setting

from . import robots, smtp, words
from .kinds import DIGEST, EMAIL
from .models import FAILED, PENDING, SENT, VOID, Delivery, Robot
from .preferences import People, Person
from .settings import KEEP_DAYS
from .take_up import count_changed, take_up

LOG = "notice.log"
BATCH = 100
LEASE = timedelta(minutes=5)
# A batch is left alone well before its lease is over, however slow the other side is.
PATIENCE = 120.0
MAX_TRIES = 8
READ, GONE, NO_ADDRESS, ROBOT_OFF = "read", "gone", "no_address", "robot_off"
REASONS = {
    READ: _l("Read in the inbox already"),
    GONE: _l("The person no longer works in the unit"),
    NO_ADDRESS: _l("The person has no e-mail address any more"),
    ROBOT_OFF: _l("The robot was switched off"),
}
# Written out, not bound: only so do both databases see that a partial index serves.
_WAITING = Delivery.state == literal(PENDING, literal_execute=True)


def run() -> int:
    """Take up what is new and send what is due; return how many messages were tried."""
    take_up()
    return send_due()


def send_due() -> int:
    """Send everything that is due now; return how many messages were tried."""
    return _send_mails() + _send_digests() + _send_to_robots()


def anything_due() -> bool:
    """Tell whether a round would find something to do."""
    with system_scope("notices", read_only=True) as work:
        untold = select(Notice.id).where(Notice.told_at.is_(None)).limit(1)
        due = select(Delivery.id).where(*_due()).limit(1)
        return work.scalars(untold).first() is not None or work.scalars(due).first() is not None


def _due() -> tuple[ColumnElement[bool], ...]:
    return _WAITING, Delivery.next_try_at <= clock.now()


def _lease(*where: ColumnElement[bool], limit: int) -> list[Delivery]:
    """Take due messages, so that nobody else does, and return them with what is needed to write them."""
    with system_scope("notices") as work:
        with transaction():
            wanted = select(Delivery.id).where(*_due(), *where).order_by(Delivery.next_try_at, Delivery.id)
            # A digest's rows must not be shared out among workers: there who comes second waits, and finds nothing.
            ids = work.scalars(wanted.limit(limit).with_for_update(skip_locked=limit == BATCH)).all()
            if not ids:
                return []
            taken = update(Delivery).where(Delivery.id.in_(ids))
            work.execute(
                taken.values(next_try_at=clock.now() + LEASE, tries=Delivery.tries + 1),
                execution_options={"synchronize_session": False},
            )
        full = select(Delivery).options(joinedload(Delivery.notice).joinedload(Notice.record))
        rows = list(work.scalars(full.where(Delivery.id.in_(ids)).order_by(Delivery.id)))
        work.expunge_all()
        return rows


def _load(rows: Sequence[Delivery], people: People) -> dict[int, Unit]:
    """Look up who gets the messages; return the units they are about."""
    with system_scope("notices", read_only=True) as work:
        people.load({row.user_id for row in rows if row.user_id})
        found = work.scalars(select(Unit).where(Unit.id.in_({row.unit_id for row in rows})))
        units = {unit.id: unit for unit in found}
        work.expunge_all()
    return units


# --- mails ------------------------------------------------------------------------------------------


def _send_mails() -> int:
    total, people = 0, People()
    while rows := _lease(Delivery.channel == EMAIL, limit=BATCH):
        people = people.renewed()
        units = _load(rows, people)
        total += len(rows)
        _each_mail([([row], people.get(row.user_id or 0)) for row in rows], units, _mail)
    return total


def _send_digests() -> int:
    """Send one mail to each person whose digest is due."""
    with system_scope("notices", read_only=True) as work:
        waiting = select(Delivery.user_id).where(*_due(), Delivery.channel == DIGEST).distinct()
        users = list(work.scalars(waiting))
    total = 0
    for user in users:
        rows = _lease(Delivery.channel == DIGEST, Delivery.user_id == user, limit=1000)
        if rows:
            people = People()
            units = _load(rows, people)
            total += 1
            _each_mail([(rows, people.get(user or 0))], units, _digest)
    return total


Write = Callable[[Sequence[Delivery], Person, dict[int, Unit]], words.Message]


def _mail(rows: Sequence[Delivery], person: Person, units: dict[int, Unit]) -> words.Message:
    notice = rows[0].notice
    assert notice is not None  # a mail is always about one
    return words.mail_of(notice, units[rows[0].unit_id], person.actor.locale, person.zone)


def _digest(rows: Sequence[Delivery], person: Person, units: dict[int, Unit]) -> words.Message:
    found = [(row.notice, units[row.unit_id]) for row in rows if row.notice is not None]
    return words.digest_of(found, person.actor.locale, person.zone)


def _each_mail(
    mails: Sequence[tuple[Sequence[Delivery], Person | None]], units: dict[int, Unit], write: Write
) -> None:
    until = time.monotonic() + PATIENCE
    with _Line() as line:
        for rows, person in mails:
            wanted = list(_still_wanted(rows, person))
            if not wanted or person is None:
                continue
            if time.monotonic() > until:  # they come again when their lease is over
                break
            message = write(wanted, person, units)
            try:
                line.send(person.email, message, _headers(wanted))
            except smtp.NotSent as error:
                _failed(wanted, error, permanent=error.permanent)
            except AppError as error:
                _failed(wanted, error, permanent=True)
            else:
                _sent(wanted, message.subject, message.text)


class _Line:
    """A connection to the mail server for several mails, opened with the first and anew when it broke.

    Where none can be opened, every mail fares alike without asking again.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._post: smtp.Post | None = None
        self._down: smtp.NotSent | None = None

    def __enter__(self) -> _Line:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def send(self, to: str, message: words.Message, headers: dict[str, str]) -> None:
        try:
            self._open().send(to, message.subject, message.text, message.html, headers=headers)
        except smtp.NotSent as error:
            if error.broken:
                self._post = None
            raise

    def _open(self) -> smtp.Post:
        if self._down is not None:
            raise self._down
        if self._post is None:
            self._stack.close()
            try:
                self._post = self._stack.enter_context(smtp.opened())
            except smtp.NotSent as error:
                self._down = error
                raise
        return self._post


def _still_wanted(rows: Sequence[Delivery], person: Person | None) -> Iterator[Delivery]:
    """Leave out what the person may no longer see, or has read meanwhile, and say so in the log."""
    for row in rows:
        reason = ""
        if person is None or not person.sees(row.unit_id):
            reason = GONE
        elif not smtp.is_address(person.email):
            reason = NO_ADDRESS
        elif row.channel == DIGEST and row.notice is not None and row.notice.read_at is not None:
            reason = READ
        if reason:
            _mark([row], state=VOID, error=reason)
        else:
            yield row


def _headers(rows: Sequence[Delivery]) -> dict[str, str]:
    # The same message has the same id however often it is sent, so that a mailbox can drop the second.
    name = hashlib.sha256(" ".join(row.key for row in rows).encode()).hexdigest()[:32]
    host = smtp.server().sender.rpartition("@")[2].rstrip(">")
    return {"Message-ID": f"<notice.{name}@{host}>", "Auto-Submitted": "auto-generated", "Precedence": "bulk"}


# --- groups -----------------------------------------------------------------------------------------


def _send_to_robots() -> int:
    """Send each robot at most one message, about everything that waits for it."""
    with system_scope("notices", read_only=True) as work:
        waiting = select(Delivery.robot_id).where(*_due(), Delivery.robot_id.is_not(None)).distinct()
        ids = list(work.scalars(waiting))
    return sum(_send_to_robot(one) for one in ids if one is not None)


def _send_to_robot(robot_id: int) -> int:
    with system_scope("notices") as work:
        robot = work.get_one(Robot, robot_id)
        unit = work.get_one(Unit, robot.unit_id)
        work.expunge_all()
        work.rollback()
        if robot.active and not robots.claim(robot_id):
            return 0
    rows = _lease(Delivery.robot_id == robot_id, limit=500)
    if not rows:
        return 0
    if not robot.active:
        _mark(rows, state=VOID, error=ROBOT_OFF)
        return 0
    with force_locale(LOCALES[robot.locale]):
        notices = [(row, row.notice.record if row.notice else None) for row in rows]
        items = [words.item_of(row.kind, record, unit.timezone) for row, record in notices]
        text = words.group_text(robot, unit, items)
    try:
        robots.tell(robot, unit, items, text)
    except AppError as error:
        _failed(rows, error)
    else:
        _sent(rows, robot.name, text)
    return 1


# --- how it went -------------------------------------------------------------------------------------


def _sent(rows: Sequence[Delivery], subject: str, body: str) -> None:
    values = {"subject": subject[:300], "body": body[:20_000], "sent_at": clock.now()}
    _mark(rows, state=SENT, error="", **values)


def _failed(rows: Sequence[Delivery], error: AppError, *, permanent: bool = False) -> None:
    reason = "; ".join(str(one) for one in error.texts())[:500]
    for tries in {row.tries for row in rows}:
        some = [row for row in rows if row.tries == tries]
        if permanent or tries >= MAX_TRIES:
            _mark(some, state=FAILED, error=reason)
        else:
            _mark(some, error=reason, next_try_at=clock.now() + wait_after(tries))


def wait_after(tries: int) -> timedelta:
    """Return how long to wait after so many tries in vain: two minutes, four, eight … at most two hours."""
    return timedelta(minutes=min(2**tries, 120))


def _mark(rows: Sequence[Delivery], **values: Any) -> None:
    change = update(Delivery).where(Delivery.id.in_([row.id for row in rows]), _WAITING).values(**values)
    with system_scope("notices") as work, transaction():
        work.execute(change, execution_options={"synchronize_session": False})


def send_again(row: Delivery) -> None:
    """Let a message that was given up be tried once more, from the beginning.

    Raises:
        NotAllowed: without the permission.
        InvalidData: it was not given up.
    """
    require(LOG, row.unit_id)
    if row.state != FAILED or row.notice_id is None:
        raise InvalidData({"": _l("Only messages that were given up can be sent again")})
    row.state, row.tries, row.error, row.next_try_at = PENDING, 0, "", clock.now()
    session().flush()


def purge(unit_id: int) -> int:
    """Drop what a unit's log keeps no longer (setting ``notice.keep_days``); return how many messages."""
    before = clock.now() - timedelta(days=setting(unit_id, KEEP_DAYS))
    old = delete(Delivery).where(
        Delivery.unit_id == unit_id, Delivery.created_at < before, Delivery.state != PENDING
    )
    with transaction() as work:
        return count_changed(work.execute(old, execution_options={"synchronize_session": False}))
