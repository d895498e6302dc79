"""Signing in: what people see, and what attackers don't get."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyotp
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from core.app import create_app
from core.kernel import clock
from core.kernel.audit import Audit
from core.kernel.database import db
from core.users import sign_in
from core.users.models import SignInTry, User, UserSession
from core.users.passwords import problem
from tests.helpers import PASSWORD, as_system, login, make_position, make_unit, make_user

NEW = "green-tea-in-the-morning"


@pytest.fixture
def user(app: Flask) -> User:
    return make_user(make_unit("HQ"), {"case.view"}, username="wang")


def attempt(client: FlaskClient, name: str = "wang", password: str = "wrong", **more: Any) -> Any:
    return client.post("/sign-in", data={"username": name, "password": password, **more})


def count(model: Any, *where: Any) -> int:
    with as_system() as work:
        return work.scalar(select(func.count()).select_from(model).where(*where)) or 0


def test_signing_in_opens_a_session_and_signing_out_ends_it(client: FlaskClient, user: User) -> None:
    assert client.get("/account").status_code == 302
    login(client, user)
    page = client.get("/account")
    assert page.status_code == 200 and "wang" in page.get_data(as_text=True)
    assert count(UserSession, UserSession.ended_at.is_(None)) == 1
    kept = client.get_cookie("shouhou").value
    client.post("/sign-out")
    assert client.get("/account").status_code == 302
    client.set_cookie("shouhou", kept)
    assert client.get("/account").status_code == 302, "an old cookie must not come back to life"
    assert count(Audit, Audit.action == "sign_in") == 1
    assert count(Audit, Audit.action == "sign_out") == 1


def test_the_name_is_not_case_sensitive_and_spaces_do_not_matter(client: FlaskClient, user: User) -> None:
    assert attempt(client, "  WANG ", PASSWORD).status_code == 303


def test_unknown_name_wrong_password_and_inactive_user_look_alike(client: FlaskClient, user: User) -> None:
    with as_system() as work:
        work.add(User(username="gone", name="Gone", password_hash=user.password_hash, active=False))
    pages = {
        re.sub(r'value="[^"]*"', "", attempt(client, name, password).get_data(as_text=True))
        for name, password in (("wang", "wrong"), ("nobody", "wrong"), ("gone", PASSWORD))
    }
    assert len({re.sub(r"autofocus|nonce\S+", "", p) for p in pages}) == 1


def test_an_unknown_name_costs_as_much_as_a_known_one(app: Flask, user: User, monkeypatch: Any) -> None:
    seen = []
    real = sign_in.passwords._hasher.verify

    class Spy:
        def verify(self, stored: str, password: str) -> bool:
            seen.append(stored)
            return real(stored, password)

    monkeypatch.setattr(sign_in.passwords, "_hasher", Spy())
    with app.app_context():
        for name in ("wang", "nobody"):
            with pytest.raises(sign_in.SignInFailed):
                sign_in.check_password(name, "wrong", "10.0.0.1")
    assert len(seen) == 2 and all(s.startswith("$argon2id$") for s in seen)


def test_too_many_attempts_lock_the_account_for_a_while(client: FlaskClient, user: User, frozen_clock: Any) -> None:
    start = datetime(2026, 3, 2, 1, tzinfo=UTC)
    frozen_clock(start)
    for _ in range(sign_in.ACCOUNT_LIMIT):
        assert attempt(client).status_code == 401
    locked = attempt(client, password=PASSWORD)
    assert locked.status_code == 429
    frozen_clock(start + sign_in.LOCKED_FOR + timedelta(seconds=1))
    assert attempt(client, password=PASSWORD).status_code == 303


def test_a_success_forgets_earlier_failures(client: FlaskClient, user: User) -> None:
    for _ in range(sign_in.ACCOUNT_LIMIT - 1):
        attempt(client)
    assert attempt(client, password=PASSWORD).status_code == 303
    client.post("/sign-out")
    for _ in range(sign_in.ACCOUNT_LIMIT - 1):
        assert attempt(client).status_code == 401


def test_one_address_cannot_try_many_accounts(app: Flask, user: User) -> None:
    with app.app_context():
        for number in range(sign_in.ADDRESS_LIMIT):
            with pytest.raises(sign_in.SignInFailed):
                sign_in.check_password(f"name{number}", "wrong", "10.9.9.9")
        with pytest.raises(sign_in.SignInLocked):
            sign_in.check_password("wang", PASSWORD, "10.9.9.9")
        assert sign_in.check_password("wang", PASSWORD, "10.9.9.8").user_id == user.id


def test_the_lock_holds_in_another_process(app: Flask, user: User, tmp_path: Path) -> None:
    for _ in range(sign_in.ACCOUNT_LIMIT):
        attempt(app.test_client())
    second = create_app(
        {
            "environment": "testing",
            "database": _url(app),
            "data_dir": str(tmp_path / "second"),
            "secret_key": "another",
        }
    )
    assert attempt(second.test_client(), password=PASSWORD).status_code == 429
    with second.app_context():
        db.engine.dispose()


def _url(app: Flask) -> str:
    with app.app_context():
        return db.engine.url.render_as_string(hide_password=False)


def test_attempts_survive_a_failing_request(client: FlaskClient, user: User) -> None:
    attempt(client)
    assert count(SignInTry, SignInTry.failures == 1) == 2


def test_concurrent_attempts_are_all_counted(app: Flask, user: User) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def one(_: int) -> int:
        return attempt(app.test_client()).status_code

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(one, range(12)))
    assert answers.count(401) == sign_in.ACCOUNT_LIMIT
    assert answers.count(429) == 12 - sign_in.ACCOUNT_LIMIT


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "\\\\x",
    ],
)
def test_next_never_leads_away(client: FlaskClient, user: User, target: str) -> None:
    answer = attempt(client, password=PASSWORD, next=target)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/") and "evil" not in answer.headers["Location"]


def test_next_leads_to_the_page_asked_for(client: FlaskClient, user: User) -> None:
    asked = client.get("/account/sessions?x=1")
    assert asked.status_code == 302 and "next=/account/sessions" in asked.headers["Location"]
    assert (
        attempt(client, password=PASSWORD, next="/account/sessions?x=1").headers["Location"]
        == "/account/sessions?x=1"
    )


def test_a_program_gets_401_as_a_problem(client: FlaskClient, user: User) -> None:
    answer = client.get("/account", headers={"Accept": "application/json"})
    assert answer.status_code == 401 and answer.content_type == "application/problem+json"


# --- passwords -------------------------------------------------------------------------------


def change(client: FlaskClient, old: str = PASSWORD, new: str = NEW, again: str | None = None) -> Any:
    return client.post("/account/password", data={"old": old, "new": new, "again": new if again is None else again})


def test_changing_the_password_ends_all_other_sessions(app: Flask, user: User) -> None:
    here, elsewhere = login(app.test_client(), user), login(app.test_client(), user)
    assert change(here).status_code == 303
    assert here.get("/account").status_code == 200
    assert elsewhere.get("/account").status_code == 302
    assert attempt(app.test_client(), password=PASSWORD).status_code == 401
    assert attempt(app.test_client(), password=NEW).status_code == 303


@pytest.mark.parametrize(
    ("old", "new", "again"),
    [("wrong", NEW, NEW), (PASSWORD, "short", "short"), (PASSWORD, NEW, "other"), (PASSWORD, PASSWORD, PASSWORD)],
)
def test_a_bad_change_changes_nothing(app: Flask, user: User, old: str, new: str, again: str) -> None:
    client = login(app.test_client(), user)
    page = change(client, old, new, again)
    assert page.status_code == 422 and 'role="alert"' in page.get_data(as_text=True)
    assert attempt(app.test_client(), password=PASSWORD).status_code == 303


def test_password_rules(app: Flask) -> None:
    with app.test_request_context():
        for weak in (
            "short",
            "1234567890",
            "aaaaaaaaaaaa",
            "wanglaoshi",
            "WangLaoshi",
            "wanglaoshi2026",
            "x" * 201,
        ):
            assert problem(weak, "wanglaoshi"), weak
        assert problem(NEW, "wanglaoshi") is None
        assert problem("春眠不觉晓处处闻啼鸟", "wanglaoshi") is None


def test_a_password_that_was_given_must_be_changed_first(client: FlaskClient, user: User) -> None:
    with as_system() as work:
        work.scalars(select(User).where(User.id == user.id)).one().must_change_password = True
    login(client, user)
    assert client.get("/admin/").headers["Location"] == "/account/password"
    assert change(client).status_code == 303
    assert client.get("/account/sessions").status_code == 200
    assert client.get("/admin/").headers.get("Location") != "/account/password"


# --- sessions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("agent", "shown"),
    [
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/130.0 Safari/537.36 Edg/130.0", "Edge · Windows"),
        ("Mozilla/5.0 (Linux; Android 14) Chrome/116.0 Mobile Safari/537.36 MicroMessenger/8.0", "微信 · Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/17.0 Safari/604.1", "Safari · iPhone"),
        ("curl/8.5.0 something", "curl/8.5.0"),
    ],
)
def test_devices_go_by_names_people_know(app: Flask, user: User, agent: str, shown: str) -> None:
    client = app.test_client()
    client.environ_base["HTTP_USER_AGENT"] = agent
    attempt(client, password=PASSWORD)
    page = client.get("/account/sessions").get_data(as_text=True)
    assert shown in page


def test_a_session_can_be_ended_from_another_browser(app: Flask, user: User) -> None:
    here, elsewhere = login(app.test_client(), user), login(app.test_client(), user)
    page = here.get("/account/sessions").get_data(as_text=True)
    (other,) = re.findall(r'name="id" value="(\d+)"', page)
    here.post("/account/sessions/end", data={"id": other})
    assert elsewhere.get("/account").status_code == 302
    assert here.get("/account").status_code == 200


def test_nobody_ends_the_session_of_somebody_else(app: Flask, user: User) -> None:
    stranger = make_user(make_unit(), {"case.view"})
    login(app.test_client(), user)
    client = login(app.test_client(), stranger)
    with as_system() as work:
        target = work.scalar(select(UserSession.id).where(UserSession.user_id == user.id))
    client.post("/account/sessions/end", data={"id": target})
    assert count(UserSession, UserSession.user_id == user.id, UserSession.ended_at.is_(None)) == 1
    assert client.post("/account/sessions/end", data={"id": "abc"}).status_code == 404


def test_an_idle_session_ends(client: FlaskClient, user: User, frozen_clock: Any) -> None:
    start = datetime(2026, 3, 2, 1, tzinfo=UTC)
    frozen_clock(start)
    login(client, user)
    frozen_clock(start + timedelta(hours=11))
    assert client.get("/account").status_code == 200
    frozen_clock(start + timedelta(hours=22))
    assert client.get("/account").status_code == 200, "being seen keeps a session alive"
    frozen_clock(start + timedelta(hours=35))
    assert client.get("/account").status_code == 302


def test_the_database_never_holds_the_token(app: Flask, user: User) -> None:
    with app.app_context():
        opened = sign_in.open_session(user.id, "10.0.0.1", "browser")
    with as_system() as work:
        assert work.scalars(select(UserSession.token_hash)).all() != [opened.token]
        assert opened.token not in str(work.execute(select(UserSession.token_hash, UserSession.agent)).all())


def test_a_user_who_left_is_out_at_the_next_request(client: FlaskClient, user: User) -> None:
    login(client, user)
    with as_system() as work:
        work.scalars(select(User).where(User.id == user.id)).one().active = False
    assert client.get("/account").status_code == 302


# --- one-time codes --------------------------------------------------------------------------


@pytest.fixture
def moment(frozen_clock: Any) -> Iterator[Any]:
    def at(seconds: int) -> datetime:
        when = datetime(2026, 3, 2, 1, tzinfo=UTC) + timedelta(seconds=seconds)
        frozen_clock(when)
        return when

    at(0)
    yield at


def enrol(client: FlaskClient) -> pyotp.TOTP:
    page = client.get("/account/one-time-codes").get_data(as_text=True)
    generator = pyotp.TOTP(re.search(r"[A-Z2-7]{32}", page).group())
    answer = client.post("/account/one-time-codes", data={"code": generator.at(clock.now())})
    assert answer.status_code == 303
    return generator


def test_one_time_codes_from_enrolment_to_sign_in(app: Flask, user: User, moment: Any) -> None:
    client = login(app.test_client(), user)
    generator = enrol(client)
    client.post("/sign-out")
    assert attempt(client, password=PASSWORD).headers["Location"].startswith("/sign-in/code")
    assert client.get("/account").status_code == 302, "the password alone is not enough"
    assert client.post("/sign-in/code", data={"code": generator.at(clock.now())}).status_code == 401, "replayed"
    moment(60)
    code = generator.at(clock.now())
    assert client.post("/sign-in/code", data={"code": code}).status_code == 303
    assert client.get("/account").status_code == 200
    second = app.test_client()
    attempt(second, password=PASSWORD)
    assert second.post("/sign-in/code", data={"code": code}).status_code == 401, "a code works once"


def test_guessing_codes_locks_the_account(app: Flask, user: User, moment: Any) -> None:
    client = login(app.test_client(), user)
    enrol(client)
    client.post("/sign-out")
    attempt(client, password=PASSWORD)
    answers = [client.post("/sign-in/code", data={"code": f"{n:06}"}).status_code for n in range(6)]
    assert answers[-1] == 429
    attempt(client, password=PASSWORD)
    assert attempt(client, password=PASSWORD).status_code == 429, "asking for the password again does not reset it"


def test_the_code_page_needs_the_password_first(client: FlaskClient, user: User) -> None:
    assert client.post("/sign-in/code", data={"code": "000000"}).headers["Location"] == "/sign-in"


def test_a_position_may_demand_codes(app: Flask, moment: Any) -> None:
    unit = make_unit()
    guarded = make_user(unit, position=make_position(permissions={"case.view"}, requires_totp=True))
    client = login(app.test_client(), guarded)
    assert client.get("/admin/").headers["Location"] == "/account/one-time-codes"
    picture = client.get("/account/one-time-codes/qr.svg")
    assert picture.status_code == 404, "nothing to show before the page is opened"
    enrol(client)
    assert client.get("/admin/").headers.get("Location") != "/account/one-time-codes"


def test_the_secret_is_not_kept_in_clear(app: Flask, user: User, moment: Any) -> None:
    generator = enrol(login(app.test_client(), user))
    with as_system() as work:
        stored = work.scalar(select(User.totp_secret).where(User.id == user.id))
        trail = str(work.execute(select(Audit.before, Audit.after)).all())
    assert generator.secret not in stored and generator.secret not in trail and stored not in trail


def test_switching_codes_off_needs_a_code(app: Flask, user: User, moment: Any) -> None:
    client = login(app.test_client(), user)
    generator = enrol(client)
    assert client.post("/account/one-time-codes/off", data={"code": "000000"}).status_code == 422
    moment(60)
    assert client.post("/account/one-time-codes/off", data={"code": generator.at(clock.now())}).status_code == 303
    client.post("/sign-out")
    assert attempt(client, password=PASSWORD).headers["Location"] == "/admin/"


# --- language and unit -----------------------------------------------------------------------


def test_the_language_can_be_chosen_before_and_after_signing_in(client: FlaskClient, user: User) -> None:
    assert client.post("/language", data={"locale": "en", "back": "/sign-in"}).headers["Location"] == "/sign-in"
    assert '<html lang="en">' in client.get("/sign-in").get_data(as_text=True)
    login(client, user)
    assert '<html lang="zh-CN">' in client.get("/account").get_data(as_text=True)
    client.post("/language", data={"locale": "en"})
    assert '<html lang="en">' in client.get("/account").get_data(as_text=True)
    assert client.post("/language", data={"locale": "xx"}).status_code == 422


def test_switching_the_unit_only_reaches_own_units(app: Flask, user: User) -> None:
    foreign = make_unit("FAR")
    client = login(app.test_client(), user)
    assert client.post("/unit", data={"unit_id": foreign.id}).status_code == 404
    assert client.post("/unit", data={"unit_id": "abc"}).status_code == 404
    assert client.post("/unit", data={"unit_id": user.last_unit_id}).status_code == 303


def test_the_sign_in_page_is_chinese_first_whatever_the_browser_wishes(client) -> None:
    """English is chosen on the page, and kept by the browser session."""
    wish = {"Accept-Language": "en-US,en;q=0.9"}
    assert '<html lang="zh' in client.get("/sign-in", headers=wish).get_data(as_text=True)
    client.post("/language", data={"locale": "en"})
    assert '<html lang="en"' in client.get("/sign-in").get_data(as_text=True)
