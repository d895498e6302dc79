"""Headers, cookies, CSRF and rate limits: the same for every page."""

from __future__ import annotations

import os
import secrets
from typing import Any

from flask import Flask, Response, g, request
from flask.sessions import SecureCookieSessionInterface
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_wtf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

csrf = CSRFProtect()
limiter = Limiter(
    get_remote_address,
    headers_enabled=True,
)
SIGN_IN_LIMIT = "30 per minute"

_POLICY = (
    "default-src 'self'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; "
    "img-src 'self' data: blob:; font-src 'self' data:; media-src 'self' blob:; object-src 'none'; "
    "base-uri 'self'; frame-ancestors 'none'; form-action 'self'"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(self), microphone=(self), payment=(), usb=()",
}


class _Cookies(SecureCookieSessionInterface):
    """Marks the session cookie ``Secure`` whenever the page came over https."""

    def get_cookie_secure(self, app: Flask) -> bool:
        return bool(app.config["SESSION_COOKIE_SECURE"]) or request.is_secure


def init_app(app: Flask) -> None:
    """Put the protections on an application."""
    settings = app.extensions["settings"]
    if settings.proxies:
        hops = settings.proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    app.session_interface = _Cookies()
    app.config["SESSION_COOKIE_NAME"] = "shouhou"
    app.config.setdefault("WTF_CSRF_TIME_LIMIT", None)
    # Off for ordinary tests only; the tests of this room switch them on.
    app.config.setdefault("WTF_CSRF_ENABLED", not app.testing)
    app.config.setdefault("RATELIMIT_STORAGE_URI", os.environ.get("RATELIMIT_STORAGE_URI", "memory://"))
    csrf.init_app(app)
    limiter.init_app(app)
    limiter.enabled = not app.testing
    app.jinja_env.globals["csp_nonce"] = csp_nonce
    app.after_request(_harden)


def csp_nonce() -> str:
    """Return the nonce of this request, for script and style elements of our own templates."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(16)
    return str(g.csp_nonce)


def _harden(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", _POLICY.format(nonce=csp_nonce()))
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    if request.endpoint is not None and not _cacheable():
        # Pages hold personal data: neither shared caches nor the browser's "back" after signing out may keep them.
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def _cacheable() -> bool:
    endpoint: Any = request.endpoint
    return endpoint == "static" or endpoint.endswith(".static")
