"""Who is acting in this request: one select for the person, one for their part of the unit tree."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import and_, bindparam, or_, select

from core.kernel import clock
from core.kernel.database import session
from core.kernel.scope import Scope
from core.units.models import Unit

from .models import ApiToken, Position, User, UserPosition, UserSession


@dataclass(frozen=True)
class UnitRow:
    """A unit of the actor's part of the tree. ``active`` is false for closed units, which are read-only."""

    id: int
    code: str
    name: str
    name_en: str
    kind: str
    timezone: str
    locale: str
    path: str
    active: bool


@dataclass(frozen=True)
class Actor:
    """The signed-in person.

    ``units`` maps a unit id to the permission codes held there, ``positions`` to the position codes; ``tree`` lists
    those units in the order of the tree.
    """

    id: int
    name: str
    username: str
    locale: str
    units: dict[int, frozenset[str]]
    positions: dict[int, frozenset[str]]
    tree: tuple[UnitRow, ...] = ()
    last_unit_id: int | None = None
    session_id: int | None = None
    session_version: int = 1
    seen_at: datetime | None = None
    must_change_password: bool = False
    has_totp: bool = False
    requires_totp: bool = False
    is_authenticated: bool = field(default=True, repr=False)
    is_active: bool = field(default=True, repr=False)
    is_anonymous: bool = field(default=False, repr=False)

    def get_id(self) -> str:
        """Return what the browser's session keeps: the id and the version that a password change raises."""
        return session_key(self.id, self.session_version)

    def may(self, code: str, unit_id: int) -> bool:
        """Tell whether the actor holds the permission in the unit."""
        return code in self.units.get(unit_id, ())

    def unit(self, unit_id: int | None) -> UnitRow | None:
        """Return one unit of the actor's, or None."""
        return next((u for u in self.tree if u.id == unit_id), None)

    def scope(self, reason: str = "request", address: str = "", via: str = "") -> Scope:
        """Return the scope of this actor: all held units readable, those still active writable."""
        held = frozenset(self.units)
        return Scope(
            actor_id=self.id,
            read=held,
            write=frozenset(u.id for u in self.tree if u.active) & held,
            reason=reason,
            permissions=self.units,
            address=address,
            via=via,
        )


def session_key(user_id: int, version: int) -> str:
    """Return the text kept in the browser's session for a user."""
    return f"staff:{user_id}:{version}"


def token_hash(token: str) -> str:
    """Return what the database keeps of a session token."""
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True)
class _Held:
    unit_id: int
    path: str
    code: str
    permissions: frozenset[str]
    below: bool


_PERSON = (
    User.id,
    User.name,
    User.username,
    User.locale,
    User.last_unit_id,
    User.must_change_password,
    User.session_version,
    (User.totp_secret != "").label("has_totp"),
)
_HOLDING = (
    UserPosition.unit_id.label("held_unit"),
    Unit.path.label("held_path"),
    Position.code.label("position_code"),
    Position.permissions.label("granted"),
    Position.below,
    Position.requires_totp,
    UserPosition.valid_from,
    UserPosition.valid_to,
    Unit.timezone.label("held_zone"),
)


def load_by_session(raw_key: str, token: str, idle: timedelta) -> Actor | None:
    """Find the actor of a browser session, or None if it has ended, is stale or the person left.

    Two statements: the person with session and positions, and the units below them.
    """
    parts = raw_key.split(":")
    if len(parts) != 3 or parts[0] != "staff" or not (parts[1].isdigit() and parts[2].isdigit()):
        return None
    values = {
        "token": token_hash(token),
        "alive": clock.now() - idle,
        "person": int(parts[1]),
        "raised": int(parts[2]),
        **_days(),
    }
    return _build(session().execute(_BY_SESSION, values).all())


def load_by_id(user_id: int) -> Actor | None:
    """Find an active user as an actor without a browser session (API keys, jobs, CLI, tests)."""
    return _build(session().execute(_BY_ID, {"person": user_id, **_days()}).all())


def load_by_token(hashed: str) -> tuple[Actor, Any] | None:
    """Find the active user of an API token by its hash, with the token's own columns as a row.

    Whether the token still holds is for the caller to say. Two statements, as for a browser session.
    """
    rows = session().execute(_BY_TOKEN, {"token": hashed, **_days()}).all()
    actor = _build(rows)
    return None if actor is None else (actor, rows[0])


def _days() -> dict[str, date]:
    """Dates are those of the position's unit; the day around the globe narrows, _build decides exactly."""
    near = clock.now().date()
    day = timedelta(days=1)
    return {"tomorrow": near + day, "yesterday": near - day}


def _person(*extra: Any) -> Any:
    dated = (
        UserPosition.valid_from <= bindparam("tomorrow"),
        or_(UserPosition.valid_to.is_(None), UserPosition.valid_to >= bindparam("yesterday")),
    )
    return (
        select(*_PERSON, *_HOLDING, *extra)
        .select_from(User)
        .outerjoin(UserPosition, and_(UserPosition.user_id == User.id, *dated))
        .outerjoin(Position, Position.id == UserPosition.position_id)
        .outerjoin(Unit, Unit.id == UserPosition.unit_id)
        .where(User.active)
    )


# Every request asks these; they are built once.
_BY_ID = _person().where(User.id == bindparam("person"))
_BY_SESSION = (
    _person(UserSession.id.label("session_id"), UserSession.last_seen_at)
    .join(UserSession, UserSession.user_id == User.id)
    .where(
        User.id == bindparam("person"),
        UserSession.token_hash == bindparam("token"),
        UserSession.ended_at.is_(None),
        UserSession.last_seen_at > bindparam("alive"),
        User.session_version == bindparam("raised"),
    )
)
_BY_TOKEN = (
    _person(
        ApiToken.id.label("token_id"),
        ApiToken.name.label("token_name"),
        ApiToken.scopes.label("token_scopes"),
        ApiToken.unit_ids.label("token_units"),
        ApiToken.expires_at,
        ApiToken.revoked_at,
        ApiToken.last_used_at,
        ApiToken.last_address,
        User.integration,
    )
    .join(ApiToken, ApiToken.user_id == User.id)
    .where(ApiToken.token_hash == bindparam("token"))
)


def held_on(day: date) -> tuple[Any, Any]:
    """Return the conditions that a ``UserPosition`` holds on ``day`` (both ends included)."""
    return (
        UserPosition.valid_from <= day,
        or_(UserPosition.valid_to.is_(None), UserPosition.valid_to >= day),
    )


def _build(rows: Sequence[Any]) -> Actor | None:
    if not rows:
        return None
    head = rows[0]
    now = clock.now()
    holding = [r for r in rows if r.held_unit is not None and _holds(r, now)]
    held = [
        _Held(r.held_unit, r.held_path or f"/{r.held_unit}/", r.position_code, frozenset(r.granted or ()), r.below)
        for r in holding
    ]
    tree = _tree(held)
    units, positions = _spread(held, tree)
    return Actor(
        id=head.id,
        name=head.name,
        username=head.username,
        locale=head.locale,
        units=units,
        positions=positions,
        tree=tree,
        last_unit_id=head.last_unit_id,
        session_id=getattr(head, "session_id", None),
        session_version=head.session_version,
        seen_at=getattr(head, "last_seen_at", None),
        must_change_password=head.must_change_password,
        has_totp=bool(head.has_totp),
        requires_totp=any(r.requires_totp for r in holding),
    )


def _holds(row: Any, now: datetime) -> bool:
    today = clock.day_in(row.held_zone, now)
    return bool(row.valid_from <= today and (row.valid_to is None or row.valid_to >= today))


def _tree(held: Iterable[_Held]) -> tuple[UnitRow, ...]:
    own = sorted({h.unit_id for h in held})
    if not own:
        return ()
    tops = {h.path for h in held if h.below}
    tops = {p for p in tops if not any(p != q and p.startswith(q) for q in tops)}
    found = select(
        Unit.id,
        Unit.code,
        Unit.name,
        Unit.name_en,
        Unit.kind,
        Unit.timezone,
        Unit.locale,
        Unit.path,
        Unit.active,
    ).where(or_(Unit.id.in_(own), *(Unit.path.like(f"{p}%") for p in sorted(tops))))
    rows = [
        UnitRow(
            id=r.id,
            code=r.code,
            name=r.name,
            name_en=r.name_en,
            kind=r.kind,
            timezone=r.timezone,
            locale=r.locale,
            path=r.path or f"/{r.id}/",
            active=r.active,
        )
        for r in session().execute(found)
    ]
    return tuple(sorted(rows, key=lambda u: [int(p) for p in u.path.split("/") if p]))


def _spread(
    held: Iterable[_Held], tree: Iterable[UnitRow]
) -> tuple[dict[int, frozenset[str]], dict[int, frozenset[str]]]:
    units: dict[int, frozenset[str]] = {}
    positions: dict[int, frozenset[str]] = {}
    for unit in tree:
        here = [h for h in held if h.unit_id == unit.id or (h.below and unit.path.startswith(h.path))]
        if not here:
            continue
        units[unit.id] = frozenset().union(*(h.permissions for h in here))
        positions[unit.id] = frozenset(h.code for h in here)
    return units, positions
