"""PINs: a person says yes on somebody else's device (a counter, a shared phone) without signing in there.

Tries are counted like those of passwords, before the PIN is looked at and in a transaction of their own, so
``prove`` is called outside every transaction. What it returns goes to the service that needs the person's word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.kernel import clock
from core.kernel.audit import record_audit
from core.kernel.database import session, system_scope, transaction
from core.kernel.errors import InvalidData

from . import passwords, sign_in
from .models import User, UserPin

SHORTEST, LONGEST = 4, 8
_PIN = re.compile(rf"[0-9]{{{SHORTEST},{LONGEST}}}")
_RUNS = ("01234567890123456789", "98765432109876543210")
WRONG = _l("This PIN is not right")
NONE_YET = _l("This person has no PIN yet; they set one under “Your account”")


@dataclass(frozen=True)
class Proof:
    """A person proved by their PIN that they are here. Only ``prove`` makes one."""

    user_id: int


def set_pin(user_id: int, pin: str, again: str) -> None:
    """Set or change one's own PIN. The caller has checked the password.

    Raises:
        InvalidData: under ``pin`` or ``again``: not 4 to 8 digits, too easy, or not the same twice.
    """
    wrong = problem(pin)
    if wrong:
        raise InvalidData({"pin": wrong})
    if pin != again:
        raise InvalidData({"again": _l("This is not the same PIN")})
    with transaction() as work:
        row = work.get(UserPin, user_id)
        if row is None:
            row = UserPin(user_id=user_id)
            work.add(row)
        row.pin_hash, row.set_at = passwords.hash_password(pin), clock.now()
        record_audit("user.pin_set", ("core_user", user_id))
        work.flush()


def problem(pin: str) -> Any:
    """Return why a PIN is not good enough, or None."""
    if not _PIN.fullmatch(pin):
        return _l("A PIN has %(least)d to %(most)d digits", least=SHORTEST, most=LONGEST)
    if len(set(pin)) == 1 or any(pin in run for run in _RUNS):
        return _l("This PIN is too easy to guess")
    return None


def remove_pin(user_id: int) -> None:
    """Take a PIN away."""
    with transaction() as work:
        row = work.get(UserPin, user_id)
        if row is not None:
            work.delete(row)
            record_audit("user.pin_removed", ("core_user", user_id))


def with_pin(user_ids: Iterable[int]) -> set[int]:
    """Return those of some people who have a PIN."""
    return set(session().scalars(select(UserPin.user_id).where(UserPin.user_id.in_(set(user_ids)))))


def prove(user_id: int, pin: str, address: str = "") -> Proof:
    """Check a person's PIN, outside every transaction; five wrong ones lock it for a quarter of an hour.

    Raises:
        InvalidData: under ``pin``: wrong, or the person has none or has left.
        SignInLocked: too many tries.
    """
    with system_scope("pin", read_only=True) as work:
        mine = select(UserPin.pin_hash, User.username).join(User, User.id == UserPin.user_id)
        found = work.execute(mine.where(UserPin.user_id == user_id, User.active)).first()
    if found is None:
        raise InvalidData({"pin": NONE_YET})
    key = f"pin {user_id}"  # no user name has a space in it
    sign_in.count_try(key, f"pin {address}")
    if not passwords.matches(found.pin_hash, pin[:LONGEST]) or len(pin) > LONGEST:
        with system_scope("pin", address=address), transaction():
            record_audit("pin.refused", ("core_user", user_id, found.username))
        raise InvalidData({"pin": WRONG})
    sign_in.forget_tries(key, f"pin {address}")
    return Proof(user_id)
