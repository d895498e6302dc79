"""Who acts, in which unit, with which plugins: set before every view, in at most three small statements."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from flask import Flask, current_app, flash, g, has_request_context, redirect, request, url_for
from flask import session as browser
from flask_babel import gettext as _
from flask_login import LoginManager, current_user
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from core.kernel import clock
from core.kernel.database import access_mode, release, set_scope, system_scope, transaction
from core.kernel.errors import NotAllowed, NotFound
from core.kernel.hooks import hooks_for
from core.kernel.i18n import current_locale
from core.units.facts import know
from core.units.switches import enabled_plugins
from core.users import actor as actors
from core.users import shared
from core.users.actor import Actor, UnitRow
from core.users.models import UserSession

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# How often a browser's "last seen" is written; a shorter time would only make writes.
SEEN_EVERY = timedelta(minutes=5)
WORKING = "working"  # where the browser's session keeps who works on a shared device
V = TypeVar("V", bound=Callable[..., Any])


@dataclass(frozen=True)
class UnitContext:
    """The unit the actor works in now. ``enabled`` was read in this request and lives no longer."""

    id: int
    code: str
    name: str
    kind: str
    timezone: str
    locale: str
    active: bool
    enabled: frozenset[str]

    @cached_property
    def hooks(self) -> Any:
        """The hooks of the plugins enabled here (``core.kernel.hooks.hooks_for``)."""
        return hooks_for(self.enabled)


def public(view: V) -> V:
    """Mark a view that may be seen without signing in."""
    cast(Any, view).is_public = True
    return view


def standing(view: V) -> V:
    """Mark a view for anybody signed in, even without a position or with a password still to be changed."""
    cast(Any, view).is_standing = True
    return view


def init_app(app: Flask, login: LoginManager) -> None:
    """Install the request context on an application."""
    login.user_loader(_load_actor)
    app.before_request(_enter)
    app.teardown_request(_leave)


def set_access_mode() -> None:
    """Let GET requests read only."""
    access_mode.set("read" if request.method in SAFE_METHODS else "write")


def _load_actor(key: str) -> Actor | None:
    token = browser.get("token")
    if not isinstance(token, str):
        return None
    idle = timedelta(minutes=current_app.config["SESSION_IDLE_MINUTES"])
    return actors.load_by_session(key, token, idle)


def _leave(_error: BaseException | None) -> None:
    access_mode.set("write")


def _enter() -> Any:
    g.actor = None
    g.unit = None
    g.device = None
    g.working = None
    if request.endpoint is None or _is_static(request.endpoint):
        return None
    view = current_app.view_functions[request.endpoint]
    if getattr(view, "skip_context", False):
        return None
    opens = getattr(view, "opens", None)
    if opens is not None:  # a page for whoever holds a code (``open_pages``)
        opens()
        return None
    _identify(getattr(view, "is_by_pin", False))
    if getattr(view, "is_public", False):
        return None
    if g.actor is None:
        return cast(Any, current_app).login_manager.unauthorized()
    if getattr(view, "is_by_pin", False) and g.device is None and WORKING in browser:
        return _ask_again()  # somebody worked here and may not any more: it does not go on as the device itself
    return None if getattr(view, "is_standing", False) else _stop_unfinished(g.device or g.actor)


def _is_static(endpoint: str) -> bool:
    return endpoint == "static" or endpoint.endswith(".static")


def _identify(by_pin: bool) -> None:
    """Set actor, scope and unit. ``by_pin``: who works on a shared device acts, not its account.

    A writing request lets go of this read, so as not to hold SQLite's write lock.
    """
    writing = access_mode.get() != "read"
    access_mode.set("read")
    try:
        if current_user.is_authenticated:
            _enter_signed_in(cast(Any, current_user)._get_current_object(), by_pin)
        if writing:
            release()
    finally:
        access_mode.set("write" if writing else "read")
    if g.actor is not None:
        _mark_seen(g.device or g.actor)


def _enter_signed_in(actor: Actor, by_pin: bool) -> None:
    """Let the signed-in account act, or by its shared device whoever works on it now."""
    wanted = browser.get("unit_id")
    g.working = _working(actor, wanted)
    person = shared.actor_of(g.working, actor, g.working.unit) if g.working and by_pin else None
    if person is None:
        enter_as(actor, wanted)
        return
    g.device = actor
    enter_as(person, g.working.unit, via=f"device {actor.username}")


def _working(actor: Actor, wanted: object) -> shared.Working | None:
    """Return who works on this shared device in the present unit; each page they ask for gives them time again."""
    working = shared.read(browser.get(WORKING))
    unit = _choose(actor, wanted)
    if working is None or working.is_over or unit is None or working.unit != unit.id or working.device != actor.id:
        return None
    if request.accept_mimetypes.best == "application/json":  # what a page asks for by itself
        return working
    renewed = working.renewed()
    if renewed is not working:
        browser[WORKING] = renewed.kept()
    return renewed


def _ask_again() -> Any:
    browser.pop(WORKING, None)
    flash(_("The time on this device is over. Nothing was saved; choose who you are once more."), "warn")
    following = request.full_path if request.method == "GET" else local_referrer()
    return redirect(url_for("auth.colleague", next=following or None), 303)


def local_referrer() -> str:
    """Return the path of the page of ours that a form was sent from, or ''."""
    sent = urlsplit(request.referrer or "")
    return "" if sent.netloc != request.host else sent.path


def enter_as(actor: Actor, wanted_unit: object = None, via: str = "") -> None:
    """Make ``actor`` the one who acts in this application context, in the wanted unit or their usual one."""
    g.actor = actor
    address = request.remote_addr or "" if has_request_context() else ""
    set_scope(actor.scope(address=address, via=via))
    chosen = _choose(actor, wanted_unit)
    if chosen is None:
        g.unit = None
        return
    g.unit = unit_context(chosen)
    # What this request has read already, its services need not read again.
    know(chosen.id, chosen.code, chosen.timezone, chosen.path)


def _choose(actor: Actor, wanted: object) -> UnitRow | None:
    for candidate in (wanted, actor.last_unit_id):
        row = actor.unit(candidate) if isinstance(candidate, int) else None
        if row is not None and row.active:
            return row
    return next((u for u in actor.tree if u.active), None)


def unit_context(row: UnitRow) -> UnitContext:
    """Build the context of a unit with its plugin switches as they are at this moment."""
    return UnitContext(
        id=row.id,
        code=row.code,
        name=row.name_en if current_locale() == "en" and row.name_en else row.name,
        kind=row.kind,
        timezone=row.timezone,
        locale=row.locale,
        active=row.active,
        enabled=enabled_plugins(row.id),
    )


def _mark_seen(actor: Actor) -> None:
    if actor.session_id is None or actor.seen_at is None or clock.now() - actor.seen_at < SEEN_EVERY:
        return
    seen = update(UserSession).where(UserSession.id == actor.session_id).values(last_seen_at=clock.now())
    try:
        with system_scope("session last seen"), transaction() as own:
            own.execute(seen)
    except OperationalError:
        # Somebody else is writing; the next request tries again. Not worth failing this one.
        current_app.logger.info("session %s: last seen not written", actor.session_id)


def _stop_unfinished(actor: Actor) -> Any:
    if actor.must_change_password:
        return redirect(url_for("auth.change_password"))
    if actor.requires_totp and not actor.has_totp:
        return redirect(url_for("auth.totp_page"))
    if g.unit is None:
        raise NotAllowed()
    return None


def choose_unit(raw_id: int | None) -> UnitRow:
    """Make a unit the current one of this browser.

    Raises:
        NotFound: not one of the actor's active units.
    """
    row = g.actor.unit(raw_id)
    if row is None or not row.active:
        raise NotFound()
    browser["unit_id"] = row.id
    browser.pop(WORKING, None)  # who worked by PIN did so in the unit before
    return cast(UnitRow, row)
