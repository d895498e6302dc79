"""Signing in: lock-out, one-time codes, sessions.

Attempts are counted before the password is looked at, in a transaction of their own: neither a rolled-back request,
a restart nor a second process loses one. Hashing runs outside every transaction.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from core.kernel import clock
from core.kernel.audit import record_audit
from core.kernel.database import ScopedSession, system_scope, transaction
from core.kernel.errors import AppError

from . import passwords, totp
from .actor import token_hash
from .models import SignInTry, User, UserSession

ACCOUNT_LIMIT = 5
# Many people may sit behind one address, so it gets more.
ADDRESS_LIMIT = 50
WINDOW = timedelta(minutes=15)
LOCKED_FOR = timedelta(minutes=15)


class SignInFailed(AppError):
    """Wrong name, password or code. The text never tells which."""

    status = 401
    code = "sign_in_failed"
    title = _l("Wrong user name or password")


class SignInLocked(AppError):
    """Too many attempts; ``until`` says when the next one counts."""

    status = 429
    code = "sign_in_locked"

    def __init__(self, until: datetime) -> None:
        minutes = max(1, -int(-(until - clock.now()).total_seconds() // 60))
        super().__init__(_l("Too many attempts. Please try again in %(minutes)d minutes.", minutes=minutes))
        self.until = until


@dataclass(frozen=True)
class Known:
    """Somebody whose password was right. With ``needs_code`` they are not signed in yet."""

    user_id: int
    username: str
    session_version: int
    needs_code: bool


@dataclass(frozen=True)
class Opened:
    """A fresh session: ``token`` goes to the browser, the database keeps only its hash."""

    user_id: int
    session_version: int
    session_id: int
    token: str


def check_password(username: str, password: str, address: str) -> Known:
    """Check name and password; every call counts as an attempt until it succeeds.

    Raises:
        SignInFailed: wrong, unknown or no longer active.
        SignInLocked: too many attempts for the account or the address.
    """
    name = username.strip().casefold()[:60]
    count_try(name, address)
    user = _look_up(name)
    fits = passwords.matches(user.password_hash if user else "", password[: passwords.MAX_LENGTH])
    if user is None or not fits or not user.active:
        _note_failure(user, name, address)
        raise SignInFailed()
    if not user.has_totp:
        forget_tries(name, address)
    return Known(user.id, name, user.session_version, user.has_totp)


def check_code(user_id: int, code: str, address: str) -> None:
    """Check the one-time code of a user; counts like a password, and no code works twice.

    Raises:
        SignInFailed, SignInLocked
    """
    with system_scope("sign-in", read_only=True) as work:
        found = work.execute(select(User.username, User.totp_secret).where(User.id == user_id, User.active)).first()
    if found is None:
        raise SignInFailed()
    count_try(found.username.casefold(), address)
    step = totp.matching_step(found.totp_secret, code, clock.now().timestamp()) if found.totp_secret else None
    if step is None or not _use_step(user_id, step):
        with system_scope("sign-in", user_id, address=address), transaction():
            record_audit("sign_in.code_refused", ("core_user", user_id, found.username))
        raise SignInFailed(message=_l("This code is not right, or it was used already. Wait for the next one."))
    forget_tries(found.username.casefold(), address)


def open_session(user_id: int, address: str, agent: str) -> Opened:
    """Open a browser session for somebody who has proved who they are.

    Raises:
        SignInFailed: the user has left meanwhile.
    """
    token = secrets.token_urlsafe(32)
    moment = clock.now()
    with system_scope("sign-in", user_id, address=address), transaction() as work:
        user = work.execute(
            select(User.session_version, User.username).where(User.id == user_id, User.active)
        ).first()
        if user is None:
            raise SignInFailed()
        row = UserSession(
            user_id=user_id,
            token_hash=token_hash(token),
            created_at=moment,
            last_seen_at=moment,
            address=address[:60],
            agent=agent[:200],
        )
        work.add(row)
        record_audit("sign_in", ("core_user", user_id, user.username))
        work.flush()
        return Opened(user_id, user.session_version, row.id, token)


def close_session(session_id: int, user_id: int, address: str = "") -> None:
    """End one session of the user's own (signing out, or another browser from the list)."""
    with system_scope("sign-out", user_id, address=address), transaction() as work:
        ended = work.execute(
            update(UserSession)
            .where(UserSession.id == session_id, UserSession.user_id == user_id, UserSession.ended_at.is_(None))
            .values(ended_at=clock.now())
        )
        if ended.rowcount:  # type: ignore[attr-defined]
            record_audit("sign_out", ("core_user", user_id), detail={"session": session_id})


def unlock(username: str) -> None:
    """Forget the failed attempts of an account. The caller checks permission and writes the audit entry."""
    with system_scope("unlock"), transaction() as work:
        work.execute(delete(SignInTry).where(SignInTry.key == _account_key(username.casefold())))


def locked_until(username: str) -> datetime | None:
    """Return until when an account is locked, or None."""
    with system_scope("lock state", read_only=True) as work:
        found = select(SignInTry.locked_until).where(SignInTry.key == _account_key(username.casefold()))
        until = work.execute(found).scalar()
    return until if until is not None and until > clock.now() else None


def forget_old_tries() -> int:
    """Drop attempts that count no more and sessions ended long ago; for the job runner, once a day."""
    with system_scope("sign-in clean-up"), transaction() as work:
        tries = work.execute(delete(SignInTry).where(SignInTry.last_at < clock.now() - timedelta(days=1)))
        work.execute(delete(UserSession).where(UserSession.last_seen_at < clock.now() - timedelta(days=180)))
        return int(tries.rowcount)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class _Found:
    id: int
    password_hash: str
    active: bool
    session_version: int
    has_totp: bool


def _look_up(name: str) -> _Found | None:
    statement = select(
        User.id, User.password_hash, User.active, User.session_version, (User.totp_secret != "").label("has_totp")
    ).where(User.username == name, ~User.integration)
    with system_scope("sign-in", read_only=True) as work:
        row = work.execute(statement).first()
    return _Found(row.id, row.password_hash, row.active, row.session_version, bool(row.has_totp)) if row else None


def _account_key(name: str) -> str:
    return f"user:{name}"


def _address_key(address: str) -> str:
    return f"from:{address}"


def count_try(name: str, address: str) -> None:
    """Count one attempt for the address and the account, or refuse it."""
    with system_scope("sign-in"), transaction() as work:
        until = _count_one(work, _address_key(address), ADDRESS_LIMIT)
        until = until or _count_one(work, _account_key(name), ACCOUNT_LIMIT)
    if until is not None:
        raise SignInLocked(until)


def _count_one(work: ScopedSession, key: str, limit: int) -> datetime | None:
    moment = clock.now()
    dialect: Any = postgresql if work.connection().dialect.name == "postgresql" else sqlite
    fresh = dialect.insert(SignInTry).values(key=key, failures=0, last_at=moment)
    work.execute(fresh.on_conflict_do_nothing(index_elements=["key"]))
    row = work.scalars(select(SignInTry).where(SignInTry.key == key).with_for_update()).one()
    if row.locked_until is not None and row.locked_until > moment:
        return row.locked_until
    if row.locked_until is not None or row.last_at < moment - WINDOW:
        row.failures, row.locked_until = 0, None
    row.failures += 1
    row.last_at = moment
    if row.failures >= limit:
        # The attempt now running may still succeed and clears this then.
        row.locked_until = moment + LOCKED_FOR
    work.flush()
    return None


def forget_tries(name: str, address: str) -> None:
    """A success clears the account and takes its own attempt off the address."""
    with system_scope("sign-in"), transaction() as work:
        row = work.scalars(
            select(SignInTry).where(SignInTry.key == _address_key(address)).with_for_update()
        ).first()
        if row is not None and row.failures > 0:
            row.failures -= 1
            row.locked_until = None if row.failures < ADDRESS_LIMIT else row.locked_until
            work.flush()
        work.execute(delete(SignInTry).where(SignInTry.key == _account_key(name)))


def _note_failure(user: _Found | None, name: str, address: str) -> None:
    with system_scope("sign-in", address=address), transaction():
        # What was typed as a name may be a password; only names that exist are kept.
        subject = ("core_user", user.id, name) if user else "core_user"
        record_audit("sign_in.refused", subject, detail={"known": user is not None})


def _use_step(user_id: int, step: int) -> bool:
    """Take a time step; False if it, or a later one, was used. One statement, so two requests cannot both win."""
    taken = update(User).where(User.id == user_id, User.totp_last_step < step).values(totp_last_step=step)
    with system_scope("sign-in"), transaction() as work:
        result = work.execute(taken, execution_options={"audited": "sign-in bookkeeping"})
        return bool(result.rowcount)  # type: ignore[attr-defined]
