"""Who wants to be told what, how and when: one's own wish, else that of one's positions, else the usual."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext as _l
from sqlalchemy import select, update

from core.kernel import clock
from core.kernel.access import require
from core.kernel.audit import record_audit
from core.kernel.database import current_scope, session, transaction
from core.kernel.errors import InvalidData, NotAllowed
from core.users import actor as actors
from core.users.actor import Actor
from core.users.models import Position, User
from core.users.services import holds_everywhere

from .kinds import ALWAYS, CHANNELS, DIGEST, NOW, OFF, kind, kinds
from .models import PENDING, Delivery, NoticeHabits, NoticePreference

ADMIN = "notice.admin"
DIGEST_AT = time(8, 0)
KNOWN_FOR = timedelta(seconds=30)
# Of several positions' wishes the loudest counts.
_LOUDNESS = (ALWAYS, NOW, DIGEST, OFF)
Wishes = dict[tuple[str, str], str]


@dataclass(frozen=True)
class Habits:
    """Quiet hours (none if either end is None) and the hour of the digest, by the person's own clock."""

    quiet_from: time | None = None
    quiet_to: time | None = None
    digest_at: time = DIGEST_AT


@dataclass(frozen=True)
class Person:
    """An active person as the sending of notices sees them."""

    actor: Actor
    email: str
    wishes: Wishes = field(default_factory=dict)
    habits: Habits = field(default_factory=Habits)
    defaults: Mapping[str, Wishes] = field(default_factory=dict)

    def sees(self, unit_id: int) -> bool:
        """Tell whether they still work in a unit."""
        return unit_id in self.actor.units

    def mode(self, code: str, channel: str, unit_id: int) -> str:
        """Return how a kind of notice of a unit reaches them by a channel."""
        own = self.wishes.get((code, channel))
        return own or default_mode(code, channel, self.actor.positions.get(unit_id, ()), self.defaults)

    @property
    def zone(self) -> str:
        """The time zone of the unit they work in."""
        unit = self.actor.unit(self.actor.last_unit_id) or next(iter(self.actor.tree), None)
        return unit.timezone if unit else "Asia/Shanghai"

    def when(self, mode: str, moment: datetime) -> datetime:
        """Return when something may be sent: now, after the quiet hours, or with the next digest."""
        if mode == DIGEST:
            return next_digest(moment, self.habits.digest_at, self.zone)
        if mode == ALWAYS:
            return moment
        return end_of_quiet(moment, self.habits, self.zone) or moment


def default_mode(code: str, channel: str, positions: Iterable[str], defaults: Mapping[str, Wishes]) -> str:
    """Return how a kind reaches the holders of positions who did not say otherwise."""
    said = {defaults.get(one, {}).get((code, channel)) for one in positions} - {None}
    return next((one for one in _LOUDNESS if one in said), kind(code).usual(channel))


def end_of_quiet(moment: datetime, habits: Habits, zone: str) -> datetime | None:
    """Return when the quiet hours that ``moment`` lies in are over; None outside them."""
    start, end = habits.quiet_from, habits.quiet_to
    if start is None or end is None or start == end:
        return None
    local = moment.astimezone(ZoneInfo(zone))
    now = local.time()
    inside = start <= now < end if start < end else now >= start or now < end
    if not inside:
        return None
    over = datetime.combine(local.date(), end, ZoneInfo(zone))
    if now >= end:  # across midnight, and it is still the evening
        over = datetime.combine(local.date() + timedelta(days=1), end, ZoneInfo(zone))
    return _after(over, moment)


def next_digest(moment: datetime, at: time, zone: str) -> datetime:
    """Return the next time of the digest after ``moment``."""
    day = moment.astimezone(ZoneInfo(zone)).date()
    today = datetime.combine(day, at, ZoneInfo(zone)).astimezone(UTC)
    if today > moment:
        return today
    return datetime.combine(day + timedelta(days=1), at, ZoneInfo(zone)).astimezone(UTC)


def _after(local: datetime, moment: datetime) -> datetime:
    """Of an hour that comes twice (clocks put back) take the one still ahead."""
    first = local.astimezone(UTC)
    return first if first > moment else local.replace(fold=1).astimezone(UTC)


class People:
    """Looks people up as they are now, each once. Use it inside ``system_scope``; ``renewed`` forgets in time."""

    def __init__(self) -> None:
        self._since = clock.now()
        self._known: dict[int, Person | None] = {}
        self._defaults: dict[str, Wishes] | None = None

    def renewed(self) -> People:
        """Return this look-up, or an empty one when it is half a minute old."""
        return self if clock.now() - self._since < KNOWN_FOR else People()

    def load(self, user_ids: Iterable[int]) -> None:
        """Read what is not known yet of several people at once."""
        wanted = sorted(set(user_ids) - set(self._known))
        if not wanted:
            return
        if self._defaults is None:
            self._defaults = position_defaults()
        found = session().execute(select(User.id, User.email).where(User.id.in_(wanted)))
        emails = {row.id: row.email for row in found}
        wishes: dict[int, Wishes] = {}
        own = select(NoticePreference).where(NoticePreference.user_id.in_(wanted))
        for row in session().scalars(own):
            wishes.setdefault(row.user_id or 0, {})[row.kind, row.channel] = row.mode
        said = session().scalars(select(NoticeHabits).where(NoticeHabits.user_id.in_(wanted)))
        habits = {row.user_id: _habits(row) for row in said}
        for one in wanted:
            actor = actors.load_by_id(one)
            self._known[one] = None
            if actor is not None:
                mine = wishes.get(one, {}), habits.get(one, Habits())
                self._known[one] = Person(actor, emails.get(one, ""), *mine, self._defaults)

    def get(self, user_id: int) -> Person | None:
        """Return a person; None if they were deactivated."""
        self.load([user_id])
        return self._known[user_id]


def position_defaults() -> dict[str, Wishes]:
    """Return what administrators set for positions: by position, (kind, channel) -> mode."""
    found: dict[str, Wishes] = {}
    for row in session().scalars(select(NoticePreference).where(NoticePreference.user_id.is_(None))):
        found.setdefault(row.position, {})[row.kind, row.channel] = row.mode
    return found


def my_wishes() -> Wishes:
    """Return what the present actor chose."""
    return _wishes(NoticePreference.user_id == _me())


def my_habits() -> Habits:
    """Return the present actor's quiet hours and digest hour."""
    row = session().get(NoticeHabits, _me())
    return _habits(row) if row else Habits()


def _habits(row: NoticeHabits) -> Habits:
    return Habits(row.quiet_from, row.quiet_to, row.digest_at)


def _wishes(*where: Any) -> Wishes:
    rows = session().scalars(select(NoticePreference).where(*where))
    return {(row.kind, row.channel): row.mode for row in rows}


def save_mine(wishes: Wishes, habits: Habits, zone: str) -> None:
    """Keep how the present actor wants to be told; what is left out follows their positions again.

    Raises:
        InvalidData: an unknown kind, channel or mode, or half of a span of quiet hours.
    """
    if (habits.quiet_from is None) != (habits.quiet_to is None):
        missing = "quiet_to" if habits.quiet_to is None else "quiet_from"
        raise InvalidData({missing: _l("Quiet hours need a beginning and an end")})
    if habits.quiet_from is not None and habits.quiet_from == habits.quiet_to:
        raise InvalidData({"quiet_to": _l("Quiet hours must end at another time than they begin")})
    with transaction() as work:
        work.execute(select(User.id).where(User.id == _me()).with_for_update())  # two windows, one after the other
        _keep(wishes, user_id=_me())
        row = work.get(NoticeHabits, _me())
        if row is None:
            row = NoticeHabits(user_id=_me())
            work.add(row)
        row.quiet_from, row.quiet_to, row.digest_at = habits.quiet_from, habits.quiet_to, habits.digest_at
        # What waits already goes with the digest at its new hour.
        work.execute(
            update(Delivery)
            .where(Delivery.user_id == _me(), Delivery.channel == DIGEST, Delivery.state == PENDING)
            .values(next_try_at=next_digest(clock.now(), habits.digest_at, zone)),
            execution_options={"synchronize_session": False},
        )
        work.flush()


def save_position(position: str, wishes: Wishes, unit_id: int) -> None:
    """Keep how the holders of a position are told unless they say otherwise. It holds for the whole deployment.

    Raises:
        NotAllowed: without the permission in every unit.
        InvalidData: an unknown position, kind, channel or mode.
    """
    require(ADMIN, unit_id)
    if not holds_everywhere(ADMIN):
        raise NotAllowed(ADMIN)
    with transaction() as work:
        found = select(Position.id).where(Position.code == position).with_for_update()
        position_id = work.scalars(found).first()
        if position_id is None:
            raise InvalidData({"position": _l("Please choose one of the list")})
        before = _wishes(NoticePreference.user_id.is_(None), NoticePreference.position == position)
        _keep(wishes, position=position)
        if before != wishes:
            subject = ("core_position", position_id, position)
            record_audit("notice.defaults", subject, _plain(before), _plain(wishes))


def _plain(wishes: Wishes) -> dict[str, Any]:
    return {f"{code} {channel}": mode for (code, channel), mode in sorted(wishes.items())}


def _keep(wishes: Wishes, user_id: int | None = None, position: str = "") -> None:
    work = session()
    known = {one.code for one in kinds()}
    for (code, channel), mode in wishes.items():
        if code not in known or channel not in CHANNELS or mode not in kind(code).modes(channel):
            raise InvalidData({f"{channel}.{code}": _l("Please choose one of the list")})
    whose = NoticePreference.user_id == user_id if user_id else NoticePreference.user_id.is_(None)
    held = work.scalars(select(NoticePreference).where(whose, NoticePreference.position == position))
    rows = {(row.kind, row.channel): row for row in held}
    for key, row in rows.items():
        if key[0] in known and key not in wishes:  # a plugin that is not installed just now keeps its own
            work.delete(row)
    for (code, channel), mode in wishes.items():
        if (code, channel) in rows:
            rows[code, channel].mode = mode
        else:
            work.add(NoticePreference(user_id=user_id, position=position, kind=code, channel=channel, mode=mode))
    work.flush()


def _me() -> int:
    actor = current_scope().actor_id
    if actor is None:
        raise NotAllowed()
    return actor
