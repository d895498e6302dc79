"""Headers, cookies, CSRF, rate limits and error pages, as a browser and a program meet them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from core.web.security import limiter
from tests.helpers import PASSWORD, login, make_unit, make_user

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def app(sqlite_app: Flask) -> Flask:
    """Nothing here depends on the kind of database."""
    return sqlite_app


@pytest.fixture
def guarded(app: Flask) -> Iterator[Flask]:
    """The application with CSRF protection as in production."""
    app.config["WTF_CSRF_ENABLED"] = True
    yield app
    app.config["WTF_CSRF_ENABLED"] = False


@pytest.fixture
def limited(app: Flask) -> Iterator[Flask]:
    """The application with rate limits as in production."""
    limiter.enabled = True
    limiter.reset()
    yield app
    limiter.reset()
    limiter.enabled = False


def token(page: str) -> str:
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    assert found, "the page has no token"
    return found.group(1)


def test_every_answer_carries_the_headers(client: FlaskClient) -> None:
    for path in ("/sign-in", "/does-not-exist", "/account", "/admin/static/no-such-file"):
        headers = client.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "unsafe" not in policy and "default-src 'self'" in policy
        for part in ("object-src 'none'", "base-uri 'self'", "frame-ancestors 'none'", "form-action 'self'"):
            assert part in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "same-origin"
        assert "geolocation" in headers["Permissions-Policy"]


def test_the_nonce_is_new_for_every_request(client: FlaskClient) -> None:
    nonces = {
        re.search(r"'nonce-([^']+)'", client.get("/sign-in").headers["Content-Security-Policy"]).group(1)
        for _ in range(3)
    }
    assert len(nonces) == 3 and all(len(n) >= 20 for n in nonces)


def test_pages_are_not_kept_by_caches(client: FlaskClient) -> None:
    assert client.get("/sign-in").headers["Cache-Control"] == "no-store"


def test_cookies_are_guarded_and_secure_over_https(client: FlaskClient) -> None:
    plain = client.get("/sign-in?next=/account", headers={}).headers.get("Set-Cookie") or ""
    over_https = client.post("/language", data={"locale": "en"}, base_url="https://localhost")
    cookie = over_https.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Secure" in cookie
    assert "Secure" not in plain
    assert over_https.headers["Strict-Transport-Security"].startswith("max-age=")
    assert "Strict-Transport-Security" not in client.get("/sign-in").headers


def test_forwarded_headers_are_believed_only_behind_a_proxy(client: FlaskClient) -> None:
    answer = client.get("/sign-in", headers={"X-Forwarded-Proto": "https"})
    assert "Strict-Transport-Security" not in answer.headers


# --- CSRF ------------------------------------------------------------------------------------


def _fill(rule: Any, app: Flask) -> str | None:
    values = {name: (1 if "Integer" in type(conv).__name__ else "x") for name, conv in rule._converters.items()}
    try:
        return app.url_map.bind("localhost").build(rule.endpoint, values, method="POST")
    except Exception:
        return None


def test_every_post_without_a_token_is_refused(guarded: Flask) -> None:
    unit = make_unit()
    user = make_user(unit, {"case.view"})
    client = guarded.test_client()
    page = client.get("/sign-in").get_data(as_text=True)
    client.post("/sign-in", data={"username": user.username, "password": PASSWORD, "csrf_token": token(page)})
    assert client.get("/account").status_code == 200
    tried, let_through = 0, []
    for rule in guarded.url_map.iter_rules():
        for method in {"POST", "PUT", "PATCH", "DELETE"} & set(rule.methods or ()):
            path = _fill(rule, guarded)
            if path is None:
                continue
            tried += 1
            answer = client.open(path, method=method, data={"x": "y"})
            # The API asks for a token of its own kind and does not look at cookies.
            refused = 401 if path.startswith("/api/") else 400
            if answer.status_code != refused or not answer.get_data(as_text=True):
                let_through.append(f"{method} {path}: {answer.status_code}")
    assert tried >= 10
    assert not let_through, "\n".join(let_through)


def test_the_refusal_is_friendly_and_in_chinese_layout(guarded: Flask) -> None:
    answer = guarded.test_client().post("/sign-in", data={"username": "x", "password": "y"})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 400 and "plain-card" in page and "Traceback" not in page
    as_json = guarded.test_client().post("/sign-in", headers={"Accept": "application/json"})
    assert as_json.status_code == 400 and as_json.content_type == "application/problem+json"


def test_with_its_token_a_post_goes_through(guarded: Flask) -> None:
    user = make_user(make_unit(), {"case.view"})
    client = guarded.test_client()
    page = client.get("/sign-in").get_data(as_text=True)
    answer = client.post(
        "/sign-in", data={"username": user.username, "password": PASSWORD, "csrf_token": token(page)}
    )
    assert answer.status_code == 303


def test_a_token_of_another_browser_is_refused(guarded: Flask) -> None:
    theirs = token(guarded.test_client().get("/sign-in").get_data(as_text=True))
    client = guarded.test_client()
    client.get("/sign-in")
    assert client.post("/sign-in", data={"username": "x", "password": "y", "csrf_token": theirs}).status_code == 400


# --- limits ----------------------------------------------------------------------------------


def test_sign_in_is_limited_and_says_when_to_come_back(limited: Flask) -> None:
    client = limited.test_client()
    answers = [client.post("/sign-in", data={"username": f"n{n}", "password": ""}) for n in range(31)]
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert "plain-card" in answers[-1].get_data(as_text=True)


# --- errors ----------------------------------------------------------------------------------


@pytest.fixture
def signed_in(client: FlaskClient) -> FlaskClient:
    return login(client, make_user(make_unit(), {"case.view"}))


def test_error_pages_use_our_layout(signed_in: FlaskClient) -> None:
    page = signed_in.get("/nowhere")
    assert page.status_code == 404 and "plain-card" in page.get_data(as_text=True)
    assert signed_in.get("/sign-out").status_code == 405
    huge = signed_in.post("/account/password", data={"old": "x" * (70 * 1024 * 1024)})
    assert huge.status_code == 413 and "plain-card" in huge.get_data(as_text=True)


def test_programs_get_problems(signed_in: FlaskClient) -> None:
    answer = signed_in.get("/api/nowhere")
    assert answer.content_type == "application/problem+json"
    assert answer.get_json(force=True)["status"] == 404
    assert (
        signed_in.get("/nowhere", headers={"Accept": "application/json"}).content_type == "application/problem+json"
    )
    assert signed_in.get("/nowhere", headers={"Accept": "text/html,*/*"}).content_type.startswith("text/html")


def test_a_crash_tells_nothing_and_speaks_our_layout(signed_in: FlaskClient, app: Flask, monkeypatch: Any) -> None:
    def crash() -> None:
        raise RuntimeError("secret path /srv/x")

    monkeypatch.setitem(app.view_functions, "auth.sessions", crash)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    try:
        page = signed_in.get("/nowhere"), signed_in.get("/account/sessions")
    finally:
        app.config["PROPAGATE_EXCEPTIONS"] = None
    # The replaced view has lost its mark "standing", which only matters for people without a position.
    assert page[1].status_code == 500
    assert "plain-card" in page[1].get_data(as_text=True) and "secret path" not in page[1].get_data(as_text=True)


def test_broken_utf8_and_odd_bytes_do_no_harm(client: FlaskClient) -> None:
    broken = client.post(
        "/sign-in", data=b"username=%ff%fe&password=%00", content_type="application/x-www-form-urlencoded"
    )
    assert broken.status_code == 401
    assert client.get("/sign-in?next=%ff%00").status_code == 200
    assert client.get("/%ff%fe").status_code == 404


def test_a_locked_database_is_said_so(signed_in: FlaskClient, monkeypatch: Any) -> None:
    from sqlalchemy.exc import OperationalError

    def busy(*_: Any) -> None:
        raise OperationalError("select 1", {}, Exception("database is locked"))

    monkeypatch.setattr("core.users.services.sessions_of", busy)
    answer = signed_in.get("/account/sessions")
    assert answer.status_code == 503 and "database is locked" not in answer.get_data(as_text=True)


# --- templates -------------------------------------------------------------------------------

INLINE = re.compile(r"""\s(on[a-z]+\s*=\s*["'])|\sstyle\s*=\s*["']|href\s*=\s*["']javascript:""", re.IGNORECASE)
FOREIGN = re.compile(r"""\bsrc=["'](https?:)?//|<link[^>]+href=["'](https?:)?//""", re.IGNORECASE)
SCRIPT = re.compile(r"<script(?![^>]*\b(src|nonce)\b)", re.IGNORECASE)


def test_no_template_needs_a_weaker_policy() -> None:
    found = []
    for folder in ("templates", "plugins", "core"):
        for path in sorted((ROOT / folder).rglob("*.html")):
            if path.parent.name == "notices" and path.parent.parent.name == "templates":
                continue  # mails: they come without a style sheet
            for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
                if any(pattern.search(line) for pattern in (INLINE, SCRIPT, FOREIGN)):
                    found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}")
    assert not found, "\n".join(found)
