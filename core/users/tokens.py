"""API tokens: bearer secrets, each its user's rights narrowed by scopes and units. Only hashes are kept.

A scope is ``area.read`` or ``area.write`` (writing includes reading), ``*.read``, ``*``, or one of the few
permissions in ``APART``, which no area includes. Areas are what permissions begin with.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from core.kernel import clock
from core.kernel.database import current_scope, fetch, session, system_scope, transaction
from core.kernel.errors import InvalidData, NotAllowed, NotFound
from core.kernel.fields import Choices, Field, clean
from core.kernel.i18n import current_locale
from core.units.facts import local_day
from core.units.models import Unit

from . import actor as actors
from . import services
from .actor import Actor, token_hash
from .models import ApiToken, Position, User, UserPosition
from .permissions import units_where

PREFIX = "sh_"
ALL, ALL_READ = "*", "*.read"
# Permissions that only their own scope (or ``*``) brings.
APART = ("customer.pii",)
# Permissions beside ``….view`` and ``….view_…`` that only read.
READING = frozenset({"approval.all"})
# What belongs to another area than its name says.
AREA_OF = {"task": "case"}
DEFAULT_DAYS, MOST_DAYS = 90, 366
MOST_TOKENS = 20
# How often the last use is written; a shorter time would only make writes.
SEEN_EVERY = timedelta(minutes=5)
ADMIN = "user.admin"

# The scopes that anything asks for (code -> label); the door that checks them declares them at assembly.
_offered: dict[str, Any] = {}


def offer(choices: Iterable[tuple[str, Any]]) -> None:
    """Declare scopes that a token may have."""
    _offered.update(choices)


def scope_choices() -> Choices:
    """Return what a token may be allowed, as (code, label)."""
    return list(_offered.items())


def _fields(units: Choices = ()) -> list[Field]:
    days = Field(
        "days",
        "int",
        _l("Valid for (days)"),
        default=DEFAULT_DAYS,
        minimum=Decimal(1),
        maximum=Decimal(MOST_DAYS),
        help=_l("At most a year; make a new one before it ends"),
    )
    found = [
        Field("name", "text", _l("What it is for"), True, max_length=80, help=_l("Such as: shop system")),
        Field("scopes", "many", _l("What it may do"), True, choices=scope_choices),
        days,
    ]
    if units:
        found.append(
            Field("units", "many", _l("Only in these units"), choices=units, help=_l("None chosen: in all of them"))
        )
    return found


def token_fields(units: Choices = ()) -> list[Field]:
    """Return the form of a token; ``units`` are those it may be limited to, as (id, name)."""
    return _fields(units)


def integration_fields(units: Choices, positions: Choices) -> list[Field]:
    """Return the form of a new integration: its account, position and first token."""
    return [
        Field("username", "text", _l("User name"), True, max_length=60, help=_l("Such as: erp")),
        Field("unit_id", "choice", _l("Unit"), True, choices=units),
        Field("position_id", "choice", _l("Position"), True, choices=positions),
        *_fields(units),
    ]


# --- what scopes allow -----------------------------------------------------------------------------


def allows(scopes: frozenset[str], wanted: str) -> bool:
    """Tell whether scopes include one: ``case.write`` includes ``case.read``."""
    if ALL in scopes or wanted in scopes:
        return True
    area, _, what = wanted.partition(".")
    return what == "read" and (f"{area}.write" in scopes or ALL_READ in scopes)


def keeps(scopes: frozenset[str], permission: str) -> bool:
    """Tell whether a token of these scopes keeps a permission of its user."""
    if permission in APART:
        return allows(scopes, permission)
    area, _, what = permission.partition(".")
    reads = what == "view" or what.startswith("view_") or permission in READING
    return allows(scopes, f"{AREA_OF.get(area, area)}.{'read' if reads else 'write'}")


def writes(scopes: frozenset[str]) -> bool:
    """Tell whether any of the scopes is for more than reading."""
    return any(one == ALL or one.endswith(".write") or one in APART for one in scopes)


@dataclass(frozen=True)
class Token:
    """A token that holds: what it may do, and when its use was last written."""

    id: int
    name: str
    scopes: frozenset[str]
    unit_ids: frozenset[int]
    used_at: datetime | None
    address: str
    integration: bool = False


def load(secret: str) -> tuple[Actor, Token] | None:
    """Find who speaks with a bearer secret, and what it leaves of their rights; None if it does not hold."""
    if not secret.startswith(PREFIX) or not 20 <= len(secret) <= 100:
        return None
    found = actors.load_by_token(token_hash(secret))
    if found is None:
        return None
    actor, row = found
    if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= clock.now()):
        return None
    token = Token(
        row.token_id,
        row.token_name,
        frozenset(row.token_scopes),
        frozenset(row.token_units),
        row.last_used_at,
        row.last_address,
        row.integration,
    )
    return narrowed(actor, token), token


def narrowed(actor: Actor, token: Token) -> Actor:
    """Return the actor with no more units and permissions than the token allows."""
    tree = tuple(unit for unit in actor.tree if not token.unit_ids or unit.id in token.unit_ids)
    kept: dict[frozenset[str], frozenset[str]] = {}
    units = {}
    for unit in tree:
        held = actor.units.get(unit.id)
        if held is None:
            continue
        if held not in kept:
            kept[held] = frozenset(code for code in held if keeps(token.scopes, code))
        units[unit.id] = kept[held]
    return replace(actor, tree=tree, units=units)


def mark_used(token: Token, address: str) -> None:
    """Keep when and from where a token was last used, at most every five minutes, in a transaction of its own."""
    moment = clock.now()
    if token.used_at is not None and moment - token.used_at < SEEN_EVERY:
        return
    used = update(ApiToken).where(ApiToken.id == token.id).values(last_used_at=moment, last_address=address[:60])
    try:
        with system_scope("token last used"), transaction() as own:
            own.execute(used, execution_options={"audited": "bookkeeping"})
    except OperationalError:
        return  # Somebody else is writing; the next request tries again. Not worth failing this one.


# --- one's own -------------------------------------------------------------------------------------


def tokens_of(user_id: int) -> Sequence[ApiToken]:
    """Return a user's tokens that were not revoked, the newest first."""
    own = select(ApiToken).where(ApiToken.user_id == user_id, ApiToken.revoked_at.is_(None))
    return session().scalars(own.order_by(ApiToken.id.desc()).limit(MOST_TOKENS * 5)).all()


def make_token(raw: Mapping[str, Any], units: Choices = ()) -> tuple[ApiToken, str]:
    """Make a token of the actor's own from ``token_fields``; return it with the secret, told only now.

    Raises:
        InvalidData: also when there are twenty already.
    """
    actor = current_scope().actor_id
    if actor is None:
        raise NotAllowed()
    return _make(actor, clean(token_fields(units), raw))


def revoke_own(token_id: object) -> None:
    """Revoke one of the actor's own tokens.

    Raises:
        NotFound: no such token, or somebody else's.
    """
    _revoke(current_scope().actor_id, token_id)


def revoke_of(user: User, token_id: object) -> None:
    """Revoke a token of a program's account (from ``integration``).

    Raises:
        NotFound: no such token, or another's.
    """
    _revoke(user.id, token_id)


def _revoke(user_id: int | None, token_id: object) -> None:
    row = fetch(ApiToken, token_id)
    if row.user_id != user_id:
        raise NotFound()
    row.revoked_at = row.revoked_at or clock.now()
    session().flush()


def _make(user_id: int, values: Mapping[str, Any]) -> tuple[ApiToken, str]:
    if len(tokens_of(user_id)) >= MOST_TOKENS:
        raise InvalidData({"name": _l("There are %(count)d tokens already; revoke one first", count=MOST_TOKENS)})
    secret = PREFIX + secrets.token_urlsafe(32)
    moment = clock.now()
    row = ApiToken(
        user_id=user_id,
        name=values["name"],
        hint=secret[:8],
        token_hash=token_hash(secret),
        scopes=sorted(values["scopes"]),
        unit_ids=sorted(int(one) for one in values.get("units") or ()),
        created_at=moment,
        created_by=current_scope().actor_id,
        expires_at=moment + timedelta(days=values["days"] or DEFAULT_DAYS),
    )
    session().add(row)
    session().flush()
    return row, secret


# --- integrations ----------------------------------------------------------------------------------


def integrations() -> Sequence[User]:
    """Return the programs' accounts that the actor administers, by name."""
    held = select(UserPosition.user_id).where(UserPosition.unit_id.in_(units_where(ADMIN)))
    found = select(User).where(User.integration, User.id.in_(held)).order_by(User.name, User.id)
    return session().scalars(found).all()


def integration(user_id: object) -> User:
    """Return one program's account.

    Raises:
        NotFound: none, or the actor does not administer it everywhere it works.
    """
    user = fetch(User, user_id)
    if not user.integration:
        raise NotFound()
    try:
        return services.administered(user.id, ADMIN)
    except NotAllowed:
        raise NotFound() from None


def make_integration(raw: Mapping[str, Any], units: Choices, positions: Choices) -> tuple[User, str]:
    """Make the account of a program, its position and its first token; return it with the secret, told only now.

    It cannot sign in at the screens and is nobody's colleague in pickers.

    Raises:
        InvalidData, Refused, NotAllowed: as for granting a position (``user.admin`` in the unit).
    """
    values = clean(integration_fields(units, positions), raw)
    unit_id, position_id = int(values["unit_id"]), int(values["position_id"])
    if unit_id not in units_where(ADMIN):
        raise NotAllowed(ADMIN)
    named = services.user_values(
        {"username": values["username"], "name": values["name"][:60], "active": True}, None
    )
    user = User(**named, integration=True)
    session().add(user)
    session().flush()
    services.grant_position(user.id, unit_id, position_id, local_day(unit_id))
    _token, secret = _make(user.id, values)
    return user, secret


def make_integration_token(user_id: object, raw: Mapping[str, Any], units: Choices = ()) -> tuple[ApiToken, str]:
    """Make a further token for an integration, so that one can be changed without a gap.

    Raises:
        InvalidData. NotFound: as ``integration``.
    """
    user = integration(user_id)
    return _make(user.id, clean(token_fields(units), raw))


def end_integration(user_id: object) -> None:
    """Close a program's account: its tokens answer 401 from now on.

    Raises:
        NotFound: as ``integration``.
    """
    user = integration(user_id)
    user.active = False
    services.revoke_tokens(user.id)
    session().flush()


def position_choices() -> Choices:
    """Return the positions that a program may hold, as (id, title): not those that run or check the system."""
    found = select(Position).where(Position.exclusion_group == "").order_by(Position.sort, Position.id)
    return [(str(one.id), str(one)) for one in session().scalars(found)]


def unit_choices(ids: Iterable[int]) -> Choices:
    """Return units of the scope, as (id, name)."""
    rows = session().scalars(select(Unit).where(Unit.id.in_(list(ids))).order_by(Unit.path, Unit.id))
    english = current_locale() == "en"
    return [(str(one.id), one.name_en if english and one.name_en else one.name) for one in rows]
