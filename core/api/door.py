"""Who asks: the bearer token, its limits, the unit and language of a request. Cookies are not looked at."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from math import ceil
from time import time
from typing import Any, cast

from flask import Response, current_app, g, request
from flask_babel import lazy_gettext as _l
from limits import RateLimitItem, parse

from core.kernel.database import access_mode, release, set_scope
from core.kernel.errors import AppError, InvalidData, NotAllowed, NotFound
from core.kernel.i18n import LOCALES
from core.kernel.scope import Scope
from core.units.facts import know
from core.users import tokens
from core.users.actor import Actor, UnitRow
from core.users.tokens import Token
from core.web.context import SAFE_METHODS
from core.web.security import limiter

from .operations import Operation

PREFIX = "/api/v1"
REALM = 'Bearer realm="shouhou"'
# For each token (SHOUHOU_API_LIMIT says another), and for wrong tokens from one address. Counted where
# RATELIMIT_STORAGE_URI says; in memory, each process counts for itself.
TOKEN_LIMIT, WRONG_LIMIT = os.environ.get("SHOUHOU_API_LIMIT", "600 per minute"), "30 per minute"


class TokenNeeded(AppError):
    """No token, or one that does not hold: unknown, expired, revoked, of somebody who left."""

    status = 401
    code = "token_needed"
    title = _l("A valid API token is needed")

    def __init__(self, given: bool) -> None:
        super().__init__()
        self.headers = {"WWW-Authenticate": f'{REALM}, error="invalid_token"' if given else REALM}


class ScopeMissing(NotAllowed):
    """The token was not made for this."""

    code = "scope_missing"
    title = _l("This token was not made for this")

    def __init__(self, scope: str) -> None:
        super().__init__(message=_l("It needs the scope %(scope)s", scope=scope))
        self.headers = {"WWW-Authenticate": f'{REALM}, error="insufficient_scope", scope="{scope}"'}


class TooMany(AppError):
    """More requests than the limit allows."""

    status = 429
    code = "too_many_requests"
    title = _l("Too many requests")

    def __init__(self, seconds: int) -> None:
        super().__init__(_l("Please wait %(count)d seconds, then try again.", count=seconds))
        self.headers = {"Retry-After": str(seconds)}


class NotAcceptable(AppError):
    """The asker takes nothing that we answer."""

    status = 406
    code = "not_acceptable"
    title = _l("Only JSON is answered here")


@dataclass(frozen=True)
class Caller:
    """Who asks in this request: their token, what it leaves of their rights, and the unit they chose, if any."""

    actor: Actor
    token: Token
    chosen: UnitRow | None

    @property
    def sole(self) -> UnitRow | None:
        """The unit something new belongs to: the chosen one, or the only one."""
        active = [unit for unit in self.actor.tree if unit.active]
        return self.chosen or (active[0] if len(active) == 1 else None)


def caller() -> Caller:
    """Return who asks."""
    return cast(Caller, g.api_caller)


def wanted_locale() -> str:
    """Return the language asked for by ``Accept-Language``: Chinese unless English comes first."""
    best = request.accept_languages.best_match(["zh", "zh-CN", "zh-Hans-CN", "en", "en-US", "en-GB"])
    found = (best or current_app.extensions["settings"].default_locale).partition("-")[0]
    return found if found in LOCALES else "zh"


def speak() -> None:
    """Choose the language of every answer under ``/api/``, before anything can go wrong."""
    if request.path.startswith("/api/"):
        g.locale = wanted_locale()


def enter(operation: Operation) -> None:
    """Let a request in: token, limits, scope, unit, and the database session's scope.

    Raises:
        TokenNeeded, TooMany, ScopeMissing, NotAllowed, NotFound (the unit), NotAcceptable.
    """
    writing = request.method not in SAFE_METHODS
    access_mode.set("read")
    try:
        actor, token = _identify()
        chosen = _chosen(actor)
        g.actor = replace(actor, locale=g.locale)
        g.api_caller = Caller(g.actor, token, chosen)
        set_scope(_scope(actor, token, chosen))
        if (unit := g.api_caller.sole) is not None:
            know(unit.id, unit.code, unit.timezone, unit.path)
        if writing:
            release()
    finally:
        access_mode.set("write" if writing else "read")
    tokens.mark_used(token, request.remote_addr or "")
    if operation.scope and not tokens.allows(token.scopes, operation.scope):
        raise ScopeMissing(operation.scope)
    accepted = request.accept_mimetypes  # empty without the header: then anything goes
    if accepted and not operation.download and not accepted["application/json"]:
        raise NotAcceptable()


def _identify() -> tuple[Actor, Token]:
    address = request.remote_addr or ""
    _check(parse(WRONG_LIMIT), "api-wrong", address, hit=False)
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    given = scheme.lower() == "bearer"
    found = tokens.load(secret.strip()) if given else None
    if found is None:
        if given:
            _hit(parse(WRONG_LIMIT), "api-wrong", address)
        raise TokenNeeded(given)
    actor, token = found
    _check(parse(TOKEN_LIMIT), "api-token", str(token.id), hit=True)
    unfinished = actor.must_change_password or (actor.requires_totp and not actor.has_totp)
    if unfinished and not token.integration:
        raise NotAllowed(message=_l("The person of this token must first sign in and complete their account"))
    return actor, token


def _check(item: RateLimitItem, *key: str, hit: bool) -> None:
    if not limiter.enabled:
        return
    counter = limiter.limiter
    if counter.hit(item, *key) if hit else counter.test(item, *key):
        return
    raise TooMany(max(1, ceil(counter.get_window_stats(item, *key).reset_time - time())))


def _hit(item: RateLimitItem, *key: str) -> None:
    if limiter.enabled:
        limiter.limiter.hit(item, *key)


def _chosen(actor: Actor) -> UnitRow | None:
    """Return the unit that ``X-Unit`` or ``?unit=`` names by its code.

    Raises:
        NotFound: none of the token's. InvalidData: the two disagree.
    """
    named = {code for code in (request.headers.get("X-Unit"), request.args.get("unit")) if code is not None}
    if len(named) > 1:
        raise InvalidData({"unit": _l("The header and the address name different units")})
    if not named:
        return None
    code = named.pop()
    row = next((unit for unit in actor.tree if unit.code == code), None)
    if row is None:
        raise NotFound()
    return row


def _scope(actor: Actor, token: Token, chosen: UnitRow | None) -> Scope:
    """Return the scope of this request's session: no more than token and chosen unit leave."""
    whole = actor.scope(reason=f"api token {token.id}", address=request.remote_addr or "")
    permissions, read, write = whole.permissions, whole.read, whole.write
    if chosen is not None:
        only = frozenset({chosen.id})
        permissions = {unit: codes for unit, codes in permissions.items() if unit == chosen.id}
        read, write = only & cast(frozenset[int], read), only & cast(frozenset[int], write)
    if not tokens.writes(token.scopes):
        write = frozenset()
    return replace(whole, permissions=permissions, read=read, write=write)


def unit_to_write() -> UnitRow:
    """Return the unit that something new belongs to.

    Raises:
        InvalidData: the token reaches several units and none was named.
    """
    unit = caller().sole
    if unit is None:
        raise InvalidData({"unit": _l("Name the unit by the header X-Unit")})
    return unit


def finish(response: Response) -> Response:
    """Mark answers as one person's: shared caches keep none, and languages are told apart."""
    response.headers.setdefault("Cache-Control", "private, no-cache")
    response.vary.update(("Authorization", "Accept-Language", "X-Unit"))
    return response


def known(values: dict[str, Any]) -> dict[str, Any]:
    """Return what the query holds beside the unit, which the door has read."""
    return {name: value for name, value in values.items() if name != "unit"}
