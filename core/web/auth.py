"""Sign-in, the person's own account, and switching unit or language. No rules here: services decide."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, flash, g, redirect, render_template, request, url_for
from flask import session as browser
from flask_babel import gettext as _
from flask_login import logout_user
from sqlalchemy import select

from core.admin.urls import local_path
from core.kernel.access import may, require
from core.kernel.database import session, transaction
from core.kernel.errors import InvalidData, NotFound
from core.kernel.i18n import current_locale
from core.kernel.ids import read_id
from core.users import pins, services, shared, sign_in, totp
from core.users.actor import session_key
from core.users.agents import device_name
from core.users.models import User
from core.users.shared import by_pin

from .context import WORKING, choose_unit, public, standing
from .security import SIGN_IN_LIMIT, limiter

auth = Blueprint("auth", __name__, static_folder="static", static_url_path="/account/static")
web = Blueprint("web", __name__)
# How long the password holds before the one-time code must follow.
CODE_WITHIN = timedelta(minutes=5)


def home() -> str:
    """Return the address to open after signing in."""
    return url_for("admin.index")


def _address() -> str:
    return request.remote_addr or ""


@web.route("/")
@public
def root() -> Any:
    """Lead to the work place; whoever is not signed in is asked to there."""
    return redirect(home())


@auth.route("/sign-in", methods=["GET", "POST"])
@public
@limiter.limit(SIGN_IN_LIMIT, methods=["POST"])
def sign_in_page() -> Any:
    """Ask for name and password."""
    following = local_path(request.values.get("next"), "")
    if g.actor is not None:
        return redirect(following or home())
    if request.method == "GET":
        return _sign_in_form(following)
    try:
        known = sign_in.check_password(
            request.form.get("username", ""), request.form.get("password", ""), _address()
        )
    except (sign_in.SignInFailed, sign_in.SignInLocked) as refused:
        return _sign_in_form(following, refused.message, refused.status)
    if known.needs_code:
        browser["pending"] = {"user": known.user_id, "version": known.session_version, "at": time.time()}
        return redirect(url_for("auth.code", next=following or None))
    return _welcome(known.user_id, following)


def _sign_in_form(following: str, problem: Any = "", status: int = 200) -> Any:
    page = render_template(
        "auth/sign_in.html", following=following, problem=problem, username=request.form.get("username", "")
    )
    return page, status


@auth.route("/sign-in/code", methods=["GET", "POST"])
@public
@limiter.limit(SIGN_IN_LIMIT, methods=["POST"])
def code() -> Any:
    """Ask for the one-time code, after the password was right."""
    following = local_path(request.values.get("next"), "")
    pending = browser.get("pending") or {}
    if time.time() - pending.get("at", 0) > CODE_WITHIN.total_seconds():
        browser.pop("pending", None)
        return redirect(url_for("auth.sign_in_page", next=following or None))
    if request.method == "GET":
        return render_template("auth/code.html", following=following, problem="")
    try:
        sign_in.check_code(pending["user"], request.form.get("code", ""), _address())
    except (sign_in.SignInFailed, sign_in.SignInLocked) as refused:
        return render_template("auth/code.html", following=following, problem=refused.message), refused.status
    return _welcome(pending["user"], following, pending["version"])


def _welcome(user_id: int, following: str, version: int | None = None) -> Any:
    opened = sign_in.open_session(user_id, _address(), request.user_agent.string)
    if version is not None and opened.session_version != version:
        # The password was changed between its check and the code.
        sign_in.close_session(opened.session_id, user_id)
        browser.clear()
        return redirect(url_for("auth.sign_in_page"))
    locale = browser.get("locale")
    browser.clear()
    if locale:
        browser["locale"] = locale
    browser["_user_id"] = session_key(user_id, opened.session_version)
    browser["_fresh"] = True
    browser["token"] = opened.token
    return redirect(following or home(), 303)


@auth.route("/sign-out", methods=["POST"])
@public
def sign_out() -> Any:
    """End this browser's session."""
    if g.actor is not None and g.actor.session_id is not None:
        sign_in.close_session(g.actor.session_id, g.actor.id, _address())
    locale = current_locale()
    logout_user()
    browser.clear()
    browser["locale"] = locale
    return redirect(url_for("auth.sign_in_page"), 303)


@web.route("/language", methods=["POST"])
@public
@by_pin
def set_locale() -> Any:
    """Switch between Chinese and English, for good if signed in."""
    locale = request.form.get("locale", "")
    if locale not in dict(services.LOCALES):
        raise InvalidData({"locale": _("Please choose one of the list")})
    browser["locale"] = locale
    if g.actor is not None:
        with transaction():
            services.choose_locale(g.actor.id, locale)
    return redirect(local_path(request.form.get("back"), home()), 303)


@web.route("/unit", methods=["POST"])
@standing
def switch_unit() -> Any:
    """Work in another of one's units."""
    row = choose_unit(read_id(request.form.get("unit_id")))
    with transaction():
        services.remember_unit(g.actor.id, row.id)
    return redirect(local_path(request.form.get("back"), home()), 303)


@auth.route("/account")
@standing
def account() -> Any:
    """Show the person's own account."""
    user = session().scalars(select(User).where(User.id == g.actor.id)).one()
    return render_template("auth/account.html", user=user, locales=services.LOCALES)


@auth.route("/account/password", methods=["GET", "POST"])
@standing
@limiter.limit(SIGN_IN_LIMIT, methods=["POST"])
def change_password() -> Any:
    """Change one's own password; other sessions end."""
    errors: dict[str, Any] = {}
    if request.method == "POST":
        errors = _try_change()
        if not errors:
            flash(_("The password is changed. All other sessions of yours were ended."), "good")
            return redirect(home() if g.actor.must_change_password else url_for("auth.account"), 303)
    return render_template("auth/password.html", errors=errors), 422 if errors else 200


def _try_change() -> dict[str, Any]:
    form = request.form
    errors = _password_wrong(form.get("old", ""))
    if errors:
        return errors
    try:
        with transaction():
            version = services.change_password(
                g.actor.id, form.get("new", ""), form.get("again", ""), keep_session=g.actor.session_id
            )
    except InvalidData as bad:
        return bad.errors
    browser["_user_id"] = session_key(g.actor.id, version)
    return {}


def _password_wrong(given: str) -> dict[str, Any]:
    """Ask for the person's password once more; return what is wrong with it, beside its field."""
    try:
        sign_in.check_password(g.actor.username, given, _address())
    except (sign_in.SignInFailed, sign_in.SignInLocked) as refused:
        locked = isinstance(refused, sign_in.SignInLocked)
        return {"old": [refused.message if locked else _("This is not your current password")]}
    return {}


@auth.route("/account/pin", methods=["GET", "POST"])
@standing
@limiter.limit(SIGN_IN_LIMIT, methods=["POST"])
def pin_page() -> Any:
    """Set one's PIN: with it one says yes on somebody else's device."""
    errors: dict[str, Any] = {}
    if request.method == "POST":
        errors = _try_pin()
        if not errors:
            flash(_("Your PIN is set."), "good")
            return redirect(url_for("auth.account"), 303)
    is_set = bool(pins.with_pin([g.actor.id]))
    return render_template("auth/pin.html", errors=errors, is_set=is_set), 422 if errors else 200


def _try_pin() -> dict[str, Any]:
    form = request.form
    errors = _password_wrong(form.get("old", ""))
    if errors:
        return errors
    try:
        with transaction():
            pins.set_pin(g.actor.id, form.get("pin", ""), form.get("again", ""))
    except InvalidData as bad:
        return bad.errors
    return {}


@auth.route("/account/pin/off", methods=["POST"])
@standing
def pin_off() -> Any:
    """Take one's PIN away."""
    with transaction():
        pins.remove_pin(g.actor.id)
    flash(_("Your PIN is gone."), "good")
    return redirect(url_for("auth.account"), 303)


@auth.route("/account/colleague", methods=["GET", "POST"])
@limiter.limit(SIGN_IN_LIMIT, methods=["POST"])
def colleague() -> Any:
    """Let a colleague work on this shared device: who, and their PIN."""
    require(shared.SHARE, g.unit.id)
    following = local_path(request.values.get("next"), "")
    errors: dict[str, Any] = {}
    if request.method == "POST":
        errors = _try_colleague()
        if not errors:
            return redirect(following or home(), 303)
    people = shared.colleagues(g.unit.id, g.actor.id)
    page = render_template(
        "auth/colleague.html",
        errors=errors,
        people=people,
        following=following,
        chosen=read_id(request.form.get("user")),
    )
    return page, 422 if errors else 200


def _try_colleague() -> dict[str, Any]:
    form = request.form
    try:
        working = shared.begin(g.actor, g.unit.id, read_id(form.get("user")), form.get("pin", ""), _address())
    except InvalidData as bad:
        return bad.errors
    except sign_in.SignInLocked as locked:
        return {"pin": [locked.message]}
    browser[WORKING] = working.kept()
    return {}


@auth.route("/account/colleague/done", methods=["POST"])
def colleague_done() -> Any:
    """Say that one is done on this shared device."""
    browser.pop(WORKING, None)
    if g.working is not None:
        shared.end(g.actor, g.working)
    if not may(shared.SHARE, g.unit.id):
        return redirect(home(), 303)
    return redirect(url_for("auth.colleague", next=local_path(request.form.get("back"), "") or None), 303)


@auth.route("/account/one-time-codes", methods=["GET", "POST"])
@standing
@limiter.limit(SIGN_IN_LIMIT, methods=["POST"])
def totp_page() -> Any:
    """Switch one-time codes on: scan the picture, type a first code."""
    if g.actor.has_totp:
        return render_template("auth/totp_on.html", problem="")
    secret = browser.get("totp_secret") or totp.new_secret()
    browser["totp_secret"] = secret
    problem = ""
    if request.method == "POST":
        try:
            with transaction():
                services.enrol_totp(g.actor.id, secret, request.form.get("code", ""))
        except InvalidData as bad:
            problem = bad.errors["code"][0]
        else:
            browser.pop("totp_secret", None)
            flash(_("One-time codes are switched on."), "good")
            return redirect(home(), 303)
    return render_template("auth/totp.html", secret=secret, problem=problem), 422 if problem else 200


@auth.route("/account/one-time-codes/off", methods=["POST"])
@standing
@limiter.limit(SIGN_IN_LIMIT, methods=["POST"])
def totp_off() -> Any:
    """Switch one-time codes off; needs one more code."""
    try:
        sign_in.check_code(g.actor.id, request.form.get("code", ""), _address())
    except (sign_in.SignInFailed, sign_in.SignInLocked) as refused:
        return render_template("auth/totp_on.html", problem=refused.message), 422
    with transaction():
        services.remove_totp(g.actor.id)
    flash(_("One-time codes are switched off."), "good")
    return redirect(url_for("auth.account"), 303)


@auth.route("/account/one-time-codes/qr.svg")
@standing
def totp_qr() -> Any:
    """Draw the enrolment picture."""
    secret = browser.get("totp_secret")
    if not secret or g.actor.has_totp:
        raise NotFound()
    return Response(totp.qr_svg(secret, g.actor.username), content_type="image/svg+xml")


@auth.route("/account/sessions")
@standing
def sessions() -> Any:
    """List where the person is signed in."""
    return render_template("auth/sessions.html", sessions=services.sessions_of(g.actor.id), device_name=device_name)


@auth.route("/account/sessions/end", methods=["POST"])
@standing
def end_session() -> Any:
    """End one of one's own sessions, or all others."""
    if request.form.get("all") == "1":
        with transaction():
            services.end_sessions(g.actor.id, but=g.actor.session_id)
    else:
        key = read_id(request.form.get("id"))
        if key is None:
            raise NotFound()
        sign_in.close_session(key, g.actor.id, _address())
    flash(_("Ended."), "good")
    return redirect(url_for("auth.sessions"), 303)
