"""Sign-in, security headers, error pages, and the context of every request."""

from __future__ import annotations

from typing import Any

from flask import Flask, redirect, request, url_for
from flask_login import LoginManager


def init_app(app: Flask) -> None:
    """Install this room: call it before the other doors, so that its guards run first."""
    from . import auth, context, errors, requests, security

    app.request_class = requests.BoundedRequest
    app.config.setdefault("SESSION_IDLE_MINUTES", 12 * 60)
    app.before_request(_begin)
    security.init_app(app)
    login = LoginManager()
    login.session_protection = None  # our sessions are rows that can be seen and ended
    login.init_app(app)
    login.unauthorized_handler(_sign_in_first)
    context.init_app(app, login)
    errors.init_app(app)
    app.register_blueprint(auth.auth)
    app.register_blueprint(auth.web)


def _begin() -> None:
    """Before everything else, so that errors of later guards render in the right mode and with a nonce."""
    from . import context, security

    context.set_access_mode()
    security.csp_nonce()


def _sign_in_first() -> Any:
    from .errors import problem, wants_json

    if wants_json():
        from flask_babel import gettext as _

        return problem(401, "sign_in_needed", _("Please sign in"))
    back = request.full_path.rstrip("?") if request.method == "GET" and request.path != "/" else None
    return redirect(url_for("auth.sign_in_page", next=back))
