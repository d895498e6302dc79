"""PINs: set by their owner with the password, proved on somebody else's device, locked after five wrong ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.kernel import clock
from core.kernel.audit import Audit
from core.kernel.errors import InvalidData
from core.users import pins, sign_in
from core.users.models import User, UserPin
from core.users.sign_in import SignInLocked
from tests.helpers import PASSWORD, as_system, login, make_unit, make_user

PIN = "2580"


@pytest.fixture
def user(app: Flask) -> User:
    return make_user(make_unit("HQ"), {"case.view"}, username="wang")


def set_pin(client: Any, pin: str = PIN, again: str | None = None, old: str = PASSWORD) -> Any:
    return client.post("/account/pin", data={"old": old, "pin": pin, "again": pin if again is None else again})


def prove(app: Flask, user: User, pin: str) -> pins.Proof:
    with app.app_context():
        return pins.prove(user.id, pin, "192.0.2.1")


def test_a_pin_is_set_with_the_password_and_proves_its_owner(app: Flask, user: User) -> None:
    client = login(app.test_client(), user)
    assert set_pin(client).status_code == 303
    assert prove(app, user, PIN) == pins.Proof(user.id)
    with as_system() as work:
        assert PIN not in work.scalars(select(UserPin.pin_hash)).one()
        assert "user.pin_set" in work.scalars(select(Audit.action)).all()
        assert pins.with_pin([user.id, user.id + 1]) == {user.id}
    assert client.post("/account/pin/off").status_code == 303
    with pytest.raises(InvalidData):
        prove(app, user, PIN)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"pin": "123"}, "pin"),
        ({"pin": "1234"}, "pin"),
        ({"pin": "8888"}, "pin"),
        ({"pin": "12ab"}, "pin"),
        ({"pin": "２５８０"}, "pin"),
        ({"pin": "123456789"}, "pin"),
        ({"again": "2581"}, "again"),
        ({"old": "wrong"}, "old"),
    ],
)
def test_a_bad_pin_is_refused_beside_its_field(app: Flask, user: User, given: dict[str, str], field: str) -> None:
    page = set_pin(login(app.test_client(), user), **given)
    assert page.status_code == 422 and f'id="error-{field}"' in page.text
    with as_system() as work:
        assert work.scalars(select(UserPin)).all() == []


def test_five_wrong_pins_lock_it_and_not_the_sign_in(app: Flask, user: User) -> None:
    set_pin(login(app.test_client(), user))
    now = datetime(2026, 11, 2, 2, tzinfo=UTC)
    with clock.frozen(now):
        for _ in range(5):
            with pytest.raises(InvalidData):
                prove(app, user, "0000")
        with pytest.raises(SignInLocked):
            prove(app, user, PIN)
        with app.app_context():
            assert sign_in.check_password("wang", PASSWORD, "192.0.2.9").user_id == user.id
    with clock.frozen(now + timedelta(minutes=16)):
        assert prove(app, user, PIN).user_id == user.id


def test_who_left_proves_nothing(app: Flask, user: User) -> None:
    set_pin(login(app.test_client(), user))
    with as_system() as work:
        work.get_one(User, user.id).active = False
        work.commit()
    with pytest.raises(InvalidData):
        prove(app, user, PIN)


def test_what_a_lazy_text_was_filled_with_is_no_markup(app: Flask) -> None:
    from flask import render_template_string
    from flask_babel import lazy_gettext as _l

    with app.test_request_context():
        text = _l("There is no %(name)s", name="<img src=x>")
        assert "<img" not in render_template_string("{{ text }}{{ text | string }}", text=text)
