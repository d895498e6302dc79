"""Shared devices: at a counter or on a floor's tablet, colleagues work one after the other, each by their PIN.

The device has an account of its own with ``SHARE``. Who is working stands in the browser's session (``Working``);
here it is said whether that still holds. The person acts in the one unit they were let in, with their own rights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar, cast

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.kernel import clock
from core.kernel.access import require
from core.kernel.audit import record_audit
from core.kernel.database import release, session, transaction
from core.kernel.errors import InvalidData

from . import pins
from .actor import Actor, load_by_id
from .models import UserPin
from .services import staff_names

SHARE = "device.share"
IDLE = timedelta(minutes=10)
# Renewing writes the browser's session; more often than this it need not.
RENEWED_EVERY = timedelta(seconds=20)
V = TypeVar("V", bound=Callable[..., Any])


def by_pin(view: V) -> V:
    """Mark a view that runs as whoever works on a shared device by their PIN; all others run as its account."""
    cast(Any, view).is_by_pin = True
    return view


@dataclass(frozen=True)
class Working:
    """Who works on a shared device, as the browser keeps it; moments in whole seconds since 1970.

    ``version`` is raised by a new password and by ending all sessions: either ends this, too.
    """

    user: int
    name: str
    unit: int
    device: int
    version: int
    since: int
    until: int

    @property
    def is_over(self) -> bool:
        return _seconds() >= self.until

    def renewed(self) -> Working:
        """Return the same with the full time again, or itself where that was just done."""
        until = _seconds() + int(IDLE.total_seconds())
        return self if until - self.until < RENEWED_EVERY.total_seconds() else replace(self, until=until)

    def kept(self) -> dict[str, Any]:
        """Return what the browser's session keeps."""
        return asdict(self)


def read(kept: object) -> Working | None:
    """Return what a browser's session says about who is working; None where it says nothing, or nonsense."""
    if not isinstance(kept, Mapping):
        return None
    try:
        return Working(**kept)
    except TypeError:
        return None


def colleagues(unit_id: int, device_id: int) -> list[tuple[int, str]]:
    """Return (id, name) of the unit's staff who have a PIN, without the device's own account."""
    staff = staff_names(unit_id)
    able = pins.with_pin(key for key, _ in staff) - {device_id}
    return [(key, name) for key, name in staff if key in able]


def begin(device: Actor, unit_id: int, user_id: int | None, pin: str, address: str = "") -> Working:
    """Let a colleague of a unit work on a device, by their PIN. Call it outside every transaction.

    Raises:
        NotAllowed: the device's account may not be shared here. InvalidData: under ``user`` or ``pin``: nobody to
        choose, or a wrong PIN. SignInLocked: too many tries.
    """
    require(SHARE, unit_id)
    known = dict(colleagues(unit_id, device.id))
    release()  # the tries are counted in a transaction of their own
    if user_id is None or user_id not in known:
        raise InvalidData({"user": _l("Please choose one of the list")})
    pins.prove(user_id, pin, address)
    person = _person(user_id, unit_id)
    if person is None:
        raise InvalidData({"user": _l("This person signs in with password and one-time code only")})
    now = _seconds()
    until = now + int(IDLE.total_seconds())
    with transaction():
        _note("device.begun", person.id, device, unit_id)
    return Working(person.id, person.name, unit_id, device.id, person.session_version, now, until)


def end(device: Actor, working: Working) -> None:
    """Write down that somebody said they are done on a device."""
    with transaction():
        _note("device.done", working.user, device, working.unit)


def _note(action: str, user_id: int, device: Actor, unit_id: int) -> None:
    record_audit(action, ("core_user", user_id), unit_id=unit_id, detail={"device": device.username})


def actor_of(working: Working, device: Actor, unit_id: int | None) -> Actor | None:
    """Return the person as who acts now, in the one unit; None where their time is over for whatever reason.

    Time, device, unit, the device's own right, the person's account, position and PIN: each is looked at anew.
    """
    if working.is_over or working.device != device.id or working.unit != unit_id:
        return None
    if not device.may(SHARE, working.unit):
        return None
    set_at = session().scalar(select(UserPin.set_at).where(UserPin.user_id == working.user))
    if set_at is None or set_at.timestamp() >= working.since + 1:
        return None
    person = _person(working.user, working.unit)
    return person if person is not None and person.session_version == working.version else None


def _person(user_id: int, unit_id: int) -> Actor | None:
    """Return an active user as an actor in one unit; nobody who has to prove more than a PIN."""
    person = load_by_id(user_id)
    if person is None or person.must_change_password or person.requires_totp:
        return None
    if unit_id not in person.units:
        return None
    return replace(
        person,
        units={unit_id: person.units[unit_id]},
        positions={unit_id: person.positions[unit_id]},
        tree=tuple(one for one in person.tree if one.id == unit_id),
        last_unit_id=unit_id,
    )


def _seconds() -> int:
    return int(clock.now().timestamp())
