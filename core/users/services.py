"""Users, what they hold where, and recovery. Services flush; the caller commits."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import or_, select, update

from core.kernel import clock
from core.kernel.audit import record_audit
from core.kernel.database import current_scope, session
from core.kernel.errors import InvalidData, NotAllowed, NotFound, Refusal, Refused
from core.kernel.fields import Field, clean
from core.units.facts import local_day, unit_facts
from core.units.models import Unit
from core.units.services import LOCALES

from . import passwords, totp
from .actor import held_on
from .models import ApiToken, Position, User, UserPosition, UserSession
from .permissions import is_known, units_where

USER_FIELDS = (
    Field("username", "text", _l("User name"), required=True, max_length=60),
    Field("name", "text", _l("Full name"), required=True, max_length=60),
    Field("email", "text", _l("E-mail"), max_length=200),
    Field("phone", "text", _l("Phone"), max_length=40),
    Field("locale", "choice", _l("Language"), choices=LOCALES, default="zh"),
    Field("active", "bool", _l("May sign in"), default=True),
)


# --- one's own account -----------------------------------------------------------------------


def change_password(user_id: int, new: str, again: str, keep_session: int | None = None) -> int:
    """Set a new password and end all other sessions; return the new session version.

    The caller has checked the old password (``sign_in.check_password``), which counts attempts.

    Raises:
        InvalidData: too weak, the same as before, or not typed twice alike.
    """
    user = _user(user_id)
    wrong = passwords.problem(new, user.username)
    if wrong is None and passwords.matches(user.password_hash, new):
        wrong = _l("Please choose a password you did not have before")
    if wrong is not None:
        raise InvalidData({"new": wrong})
    if new != again:
        raise InvalidData({"again": _l("The passwords do not match")})
    user.password_hash = passwords.hash_password(new)
    user.must_change_password = False
    user.session_version += 1
    end_sessions(user_id, but=keep_session)
    record_audit("password.change", user)
    session().flush()
    return user.session_version


def choose_locale(user_id: int, locale: str) -> None:
    """Set a user's own language.

    Raises:
        InvalidData: a language we don't have.
    """
    if locale not in dict(LOCALES):
        raise InvalidData({"locale": _l("Please choose one of the list")})
    _user(user_id).locale = locale
    session().flush()


def remember_unit(user_id: int, unit_id: int) -> None:
    """Keep the unit last worked in, so that the next sign-in opens there."""
    kept = update(User).where(User.id == user_id).values(last_unit_id=unit_id)
    session().execute(kept, execution_options={"audited": "a preference, not worth an entry"})


def enrol_totp(user_id: int, secret: str, code: str) -> None:
    """Switch one-time codes on after a first right code.

    Raises:
        InvalidData: the code does not fit.
        Refused: codes are on already; switching them off first needs a code.
    """
    user = _user(user_id)
    if user.totp_secret:
        raise Refused([Refusal("totp.on", _l("One-time codes are switched on already"))])
    step = totp.step_of(secret, code, clock.now().timestamp())
    if step is None:
        raise InvalidData({"code": _l("This code is not right. Check the clock of your phone.")})
    user.totp_secret = totp.seal(secret)
    user.totp_last_step = step
    record_audit("totp.enrol", user)
    session().flush()


def remove_totp(user_id: int) -> None:
    """Switch one-time codes off. The caller has checked a code; positions may demand enrolling again."""
    user = _user(user_id)
    user.totp_secret = ""
    record_audit("totp.remove", user)
    session().flush()


def sessions_of(user_id: int) -> Sequence[UserSession]:
    """Return the user's open sessions, the latest first."""
    open_ones = select(UserSession).where(UserSession.user_id == user_id, UserSession.ended_at.is_(None))
    return session().scalars(open_ones.order_by(UserSession.last_seen_at.desc()).limit(100)).all()


def end_sessions(user_id: int, but: int | None = None) -> None:
    """End all sessions of a user, except one."""
    ending = update(UserSession).where(UserSession.user_id == user_id, UserSession.ended_at.is_(None))
    if but is not None:
        ending = ending.where(UserSession.id != but)
    session().execute(ending.values(ended_at=clock.now()))


def revoke_tokens(user_id: int) -> None:
    """Revoke every API token of a user."""
    open_ones = select(ApiToken).where(ApiToken.user_id == user_id, ApiToken.revoked_at.is_(None))
    for one in session().scalars(open_ones):
        one.revoked_at = clock.now()


# --- administration --------------------------------------------------------------------------


def create_user(raw: Mapping[str, Any]) -> tuple[User, str]:
    """Add a user from ``USER_FIELDS``; return it with a first password to hand over, to be changed at sign-in.

    Raises:
        InvalidData, NotAllowed (``user.admin`` in any unit)
    """
    _require_anywhere("user.admin")
    values = user_values(raw, None)
    password = temporary_password()
    user = User(**values, password_hash=passwords.hash_password(password), must_change_password=True)
    session().add(user)
    session().flush()
    return user, password


def update_user(user_id: int, raw: Mapping[str, Any]) -> User:
    """Change a user's fields. Making one inactive ends their sessions.

    Raises:
        InvalidData, NotFound, NotAllowed (``user.admin`` in every unit the user works in)
    """
    user = administered(user_id, "user.admin")
    values = user_values(raw, user)
    if not values["active"] and user.id == current_scope().actor_id:
        raise InvalidData({"active": _l("You cannot lock yourself out")})
    for name, value in values.items():
        setattr(user, name, value)
    if not user.active:
        end_sessions(user.id)
    session().flush()
    return user


def reset_password(user_id: int) -> str:
    """Give a user a temporary password, end their sessions and API tokens, unlock the account; return the password.

    Raises:
        NotFound, NotAllowed (``security.admin`` in every unit the user works in)
        Refused: the account of a program, which never signs in.
    """
    user = administered(user_id, "security.admin")
    if user.integration:
        raise Refused([Refusal("user.integration", _l("A program's account has no password"))])
    password = temporary_password()
    user.password_hash = passwords.hash_password(password)
    user.must_change_password = True
    user.session_version += 1
    end_sessions(user.id)
    revoke_tokens(user.id)
    record_audit("password.reset", user)
    session().flush()
    return password


def reset_totp(user_id: int) -> None:
    """Switch one-time codes off for somebody who lost the phone; their sessions end.

    Raises:
        NotFound, NotAllowed (``security.admin``)
    """
    user = administered(user_id, "security.admin")
    user.totp_secret = ""
    user.session_version += 1
    end_sessions(user.id)
    record_audit("totp.reset", user)
    session().flush()


def force_sign_out(user_id: int) -> None:
    """End every session of a user, and what else speaks in their name: their API tokens.

    Raises:
        NotFound, NotAllowed (``security.admin``)
    """
    user = administered(user_id, "security.admin")
    user.session_version += 1
    end_sessions(user.id)
    revoke_tokens(user.id)
    record_audit("sessions.end", user)
    session().flush()


def note_unlock(user_id: int) -> str:
    """Write that an account is being unlocked and return its name; then call ``sign_in.unlock`` after commit.

    Raises:
        NotFound, NotAllowed (``security.admin``)
    """
    user = administered(user_id, "security.admin")
    record_audit("sign_in.unlock", user)
    return user.username


def temporary_password() -> str:
    """Return a password that reads well over the telephone (no look-alikes)."""
    return "-".join("".join(secrets.choice("abcdefghjkmnpqrstuvwxyz23456789") for _ in range(4)) for _ in range(4))


def user_values(raw: Mapping[str, Any], user: User | None) -> dict[str, Any]:
    """Check the fields of a user (None: a new one) and return them as columns.

    Raises:
        InvalidData: also a user name that is taken.
    """
    values = clean(USER_FIELDS, raw)
    for name in ("email", "phone"):
        values[name] = values[name] or ""
    values["locale"] = values["locale"] or "zh"
    values["username"] = username = values["username"].casefold()
    if any(c.isspace() for c in username):
        raise InvalidData({"username": _l("A user name has no spaces")})
    taken = select(User.id).where(User.username == username, User.id != (user.id if user else 0))
    if session().execute(taken).first():
        raise InvalidData({"username": _l("This user name is taken")})
    return values


# --- positions of users ----------------------------------------------------------------------


def grant_position(
    user_id: int, unit_id: int, position_id: int, valid_from: date, valid_to: date | None = None
) -> UserPosition:
    """Give a user a position in a unit for some time (both days included).

    Raises:
        InvalidData: the days are the wrong way round, or the position is held then already.
        Refused: it may not be held together with another one the user has, in whatever unit, or by a program.
        NotAllowed: no ``user.admin`` there, or granting to oneself.
        NotFound: no such user, unit or position.
    """
    _require_in(unit_id, "user.admin")
    if current_scope().actor_id == user_id and not current_scope().is_system:
        raise NotAllowed("user.admin", _l("Nobody grants a position to themselves"))
    if valid_to is not None and valid_to < valid_from:
        raise InvalidData({"valid_to": _l("The last day is before the first")})
    # The user's row is locked, so that two grants at once cannot slip past each other.
    user = session().scalars(select(User).where(User.id == user_id).with_for_update()).first()
    position = session().scalars(select(Position).where(Position.id == position_id)).first()
    unit = session().execute(select(Unit.id).where(Unit.id == unit_id)).first()
    if user is None or position is None or unit is None:
        raise NotFound()
    held = _overlapping(user_id, valid_from, valid_to)
    if any(h.unit_id == unit_id and h.position_id == position_id for h in held):
        raise InvalidData({"position_id": _l("The position is held at that time already")})
    _check_exclusion(position, held)
    if user.integration and position.exclusion_group:
        # Whoever makes a program holds its secret, and could unite what three people are to keep apart.
        raise Refused(
            [Refusal("position.program", _l("%(wanted)s is never held by a program", wanted=position.title))]
        )
    row = UserPosition(
        user_id=user_id, unit_id=unit_id, position_id=position_id, valid_from=valid_from, valid_to=valid_to
    )
    session().add(row)
    session().flush()
    return row


def end_position(user_position_id: int, last_day: date) -> UserPosition:
    """Let a position end after ``last_day``; a position that has not begun yet ends before its first day.

    Raises:
        NotFound, NotAllowed (``user.admin`` in its unit)
    """
    row = session().scalars(select(UserPosition).where(UserPosition.id == user_position_id)).first()
    if row is None:
        raise NotFound()
    _require_in(row.unit_id, "user.admin")
    row.valid_to = last_day
    session().flush()
    return row


def take_back_position(user_id: int, unit_id: int, code: str) -> None:
    """End a position in a unit after yesterday and sign its holder out everywhere.

    For what gives a position to people of other companies: the caller has checked that it may take it back.
    """
    today = local_day(unit_id)
    held = (
        select(UserPosition)
        .join(Position, Position.id == UserPosition.position_id)
        .where(
            UserPosition.user_id == user_id,
            UserPosition.unit_id == unit_id,
            Position.code == code,
            or_(UserPosition.valid_to.is_(None), UserPosition.valid_to >= today),
        )
    )
    for row in session().scalars(held).all():
        # One that would end before its first day never held, and would be in the way of giving it again today.
        if row.valid_from >= today:
            session().delete(row)
        else:
            row.valid_to = today - timedelta(days=1)
    end_sessions(user_id)
    session().flush()


def position_codes(user_id: int, unit_id: int) -> frozenset[str]:
    """Return the codes of the positions a user holds in a unit today or later, or above it where they spread."""
    line = unit_facts(unit_id).line
    there = or_(UserPosition.unit_id == unit_id, UserPosition.unit_id.in_(line) & Position.below)
    found = (
        select(Position.code)
        .join(UserPosition, UserPosition.position_id == Position.id)
        .where(
            UserPosition.user_id == user_id,
            there,
            or_(UserPosition.valid_to.is_(None), UserPosition.valid_to >= local_day(unit_id)),
        )
    )
    return frozenset(session().scalars(found))


def _overlapping(user_id: int, start: date, end: date | None) -> Sequence[UserPosition]:
    found = select(UserPosition).where(
        UserPosition.user_id == user_id, or_(UserPosition.valid_to.is_(None), UserPosition.valid_to >= start)
    )
    if end is not None:
        found = found.where(UserPosition.valid_from <= end)
    return [p for p in session().scalars(found) if p.valid_to is None or p.valid_to >= p.valid_from]


def _check_exclusion(position: Position, held: Iterable[UserPosition]) -> None:
    if not position.exclusion_group:
        return
    wanted = {h.position_id for h in held} - {position.id}
    clash = select(Position).where(Position.id.in_(wanted), Position.exclusion_group == position.exclusion_group)
    other = session().scalars(clash).first()
    if other is not None:
        text = _l(
            "%(wanted)s and %(held)s may never be held by the same person, not even in different units",
            wanted=position.title,
            held=other.title,
        )
        raise Refused([Refusal("position.excluded", text)])


def update_position(
    position_id: int, title: str, title_en: str, permissions: Iterable[str], below: bool, requires_totp: bool
) -> Position:
    """Change what a position carries, for the whole deployment. The exclusion group stays as shipped.

    Raises:
        NotFound
        InvalidData: no title, or an unknown permission.
        NotAllowed: without ``position.admin`` in every unit, or for a position one holds oneself.
    """
    scope = current_scope()
    row = session().scalars(select(Position).where(Position.id == position_id)).first()
    if row is None:
        raise NotFound()
    if not holds_everywhere("position.admin"):
        raise NotAllowed("position.admin")
    own = select(UserPosition.id).where(UserPosition.user_id == scope.actor_id, UserPosition.position_id == row.id)
    if not scope.is_system and session().execute(own).first():
        raise NotAllowed("position.admin", _l("Nobody changes a position they hold themselves"))
    codes = list(dict.fromkeys(permissions))
    # Codes of a plugin that is not installed just now are kept if they were there.
    if not title.strip():
        raise InvalidData({"title": _l("Please fill this in")})
    if any(not is_known(c) and c not in row.permissions for c in codes):
        raise InvalidData({"permissions": _l("Please choose one of the list")})
    row.title, row.title_en = title.strip()[:60], title_en.strip()[:80]
    row.permissions, row.below, row.requires_totp = codes, below, requires_totp
    session().flush()
    return row


def holds_everywhere(code: str) -> bool:
    """Tell whether the actor holds a permission in every unit there is, and so for the whole deployment."""
    if current_scope().is_system:
        return True
    held = units_where(code)
    outside = select(Unit.id).where(Unit.id.not_in(held)).limit(1)
    return bool(held) and session().execute(outside).first() is None


def holders(position_code: str, unit_id: int) -> list[tuple[int, str]]:
    """Return (id, name) of the active users who hold a position in the unit today, or above it if it spreads."""
    there = or_(
        UserPosition.unit_id == unit_id, UserPosition.unit_id.in_(unit_facts(unit_id).line) & Position.below
    )
    found = (
        select(User.id, User.name)
        .distinct()
        .join(UserPosition, UserPosition.user_id == User.id)
        .join(Position, Position.id == UserPosition.position_id)
        .where(User.active, Position.code == position_code, there, *held_on(local_day(unit_id)))
        .order_by(User.name, User.id)
    )
    return [(row.id, row.name) for row in session().execute(found)]


def actor_positions(unit_id: int) -> frozenset[str]:
    """Return the codes of the positions the actor holds in a unit today, or above it where they spread."""
    actor = current_scope().actor_id
    kept: dict[Any, frozenset[str]] = session().info.setdefault("actor_positions", {})
    key = (unit_id, local_day(unit_id))
    if key not in kept:
        there = or_(
            UserPosition.unit_id == unit_id, UserPosition.unit_id.in_(unit_facts(unit_id).line) & Position.below
        )
        found = (
            select(Position.code)
            .join(UserPosition, UserPosition.position_id == Position.id)
            .where(UserPosition.user_id == actor, there, *held_on(local_day(unit_id)))
        )
        kept[key] = frozenset(session().scalars(found))
    return kept[key]


def who_may(code: str, unit_id: int, user_ids: Iterable[int]) -> set[int]:
    """Return those of some users who hold a permission in the unit today, or above it where it spreads."""
    there = or_(
        UserPosition.unit_id == unit_id, UserPosition.unit_id.in_(unit_facts(unit_id).line) & Position.below
    )
    found = (
        select(UserPosition.user_id, Position.permissions)
        .join(Position, Position.id == UserPosition.position_id)
        .where(UserPosition.user_id.in_(set(user_ids)), there, *held_on(local_day(unit_id)))
    )
    return {user_id for user_id, permissions in session().execute(found) if code in permissions}


def staff_of(unit_id: int) -> list[User]:
    """Return the active users who hold any position in the unit itself today, by name."""
    return list(session().scalars(select(User).where(*_on_staff(unit_id)).order_by(User.name, User.id)))


def staff_names(unit_id: int) -> list[tuple[int, str]]:
    """Return (id, name) of the same people, for pickers."""
    found = select(User.id, User.name).where(*_on_staff(unit_id)).order_by(User.name, User.id)
    return [(row.id, row.name) for row in session().execute(found)]


def _on_staff(unit_id: int) -> tuple[Any, ...]:
    here = select(UserPosition.user_id).where(UserPosition.unit_id == unit_id, *held_on(local_day(unit_id)))
    return User.active, ~User.integration, User.id.in_(here)


# --- who may administer whom -----------------------------------------------------------------


def _user(user_id: int) -> User:
    found = session().scalars(select(User).where(User.id == user_id, User.active)).first()
    if found is None:
        raise NotFound()
    return found


def _require_anywhere(code: str) -> None:
    if not current_scope().is_system and not units_where(code):
        raise NotAllowed(code)


def _require_in(unit_id: int, code: str) -> None:
    scope = current_scope()
    if not scope.is_system and unit_id not in scope.read:
        raise NotFound()
    if not scope.may(code, unit_id):
        raise NotAllowed(code)


def administered(user_id: int, code: str) -> User:
    """Find a user whom the actor may administer: the permission is needed in every unit they work in.

    Otherwise an administrator of a branch could take over the account of somebody at the head office.
    """
    _require_anywhere(code)
    found = session().scalars(select(User).where(User.id == user_id)).first()
    if found is None:
        raise NotFound()
    scope = current_scope()
    if scope.is_system:
        return found
    worked_in = select(UserPosition.unit_id).where(
        UserPosition.user_id == user_id,
        or_(UserPosition.valid_to.is_(None), UserPosition.valid_to >= clock.now().date()),
    )
    units = set(session().scalars(worked_in))
    if units and not units & set(scope.permissions):
        raise NotFound()
    if not units <= units_where(code):
        raise NotAllowed(code)
    return found
