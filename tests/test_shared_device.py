"""A shared device: colleagues work by their PIN on the pages made for it, and on no other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask, g
from flask.testing import FlaskClient
from sqlalchemy import delete, select, update

from core.kernel import clock
from core.kernel.audit import Audit
from core.kernel.database import current_scope, transaction
from core.places.models import Place
from core.places.services import EDIT, create_place
from core.units.models import Unit
from core.users import passwords
from core.users.models import Position, User, UserPin, UserPosition
from core.users.shared import SHARE, by_pin
from tests.helpers import as_system, login, make_position, make_unit, make_user

PIN = "2580"
NOON = datetime(2026, 11, 2, 4, tzinfo=UTC)


@dataclass
class Counter:
    """A unit with a device account, and colleagues with a PIN: wang of the unit, chen of another one."""

    app: Flask
    client: FlaskClient
    unit: Unit
    other: Unit
    device: User
    wang: User
    chen: User

    def choose(self, user: User, pin: str = PIN, **more: str) -> Any:
        return self.client.post("/account/colleague", data={"user": str(user.id), "pin": pin, **more})

    def who(self, path: str = "/t/by-pin") -> Any:
        return self.client.get(path).get_json(silent=True)


def give_pin(user: User, at: datetime = NOON - timedelta(days=1)) -> None:
    with as_system() as work:
        work.add(UserPin(user_id=user.id, pin_hash=passwords.hash_password(PIN), set_at=at))


def routes(app: Flask) -> Iterator[tuple[str, Any]]:
    def told() -> dict[str, Any]:
        return {
            "actor": g.actor.username,
            "units": sorted(g.actor.units),
            "scope": current_scope().actor_id,
            "may": sorted(current_scope().permissions.get(g.unit.id, ())),
        }

    @by_pin
    def theirs() -> Any:
        return told()

    def plain() -> Any:
        return told()

    @by_pin
    def add() -> Any:
        with transaction():
            place = create_place(g.unit.id, {"code": "X", "kind": "room"})
        return {"id": place.id}

    yield "/t/by-pin", theirs
    yield "/t/plain", plain
    yield "/t/add", add


@pytest.fixture
def counter(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter]:
    """The three addresses are there for the length of a test only."""
    views = dict(app.view_functions)
    rules, by_endpoint = app.url_map._rules[:], dict(app.url_map._rules_by_endpoint)
    monkeypatch.setattr(app, "_got_first_request", False)
    for path, view in routes(app):
        app.add_url_rule(path, f"t.{path[3:]}", view, methods=["GET", "POST"])
    unit, other = make_unit("QT"), make_unit("BJ")
    device = make_user(unit, {SHARE, "case.view"}, username="counter1")
    wang = make_user(unit, {"case.view", "case.close", EDIT}, username="wang", name="王前台", locale="zh")
    chen = make_user(other, {EDIT}, username="chen")
    with as_system() as work:
        somewhere = UserPosition(
            user_id=wang.id, unit_id=other.id, valid_from=datetime(2020, 1, 1).date(), position_id=1
        )
        somewhere.position_id = work.scalars(
            select(UserPosition.position_id).where(UserPosition.user_id == chen.id)
        ).one()
        work.add(somewhere)
    for one in (wang, chen, device):
        give_pin(one)
    with clock.frozen(NOON):
        client = login(app.test_client(), device)
        yield Counter(app, client, unit, other, device, wang, chen)
    app.view_functions.clear()
    app.view_functions.update(views)
    app.url_map._rules[:] = rules
    app.url_map._rules_by_endpoint.clear()
    app.url_map._rules_by_endpoint.update(by_endpoint)


def actions() -> list[tuple[str, str]]:
    with as_system() as work:
        found = select(Audit.action, Audit.reason).where(Audit.action.like("device.%")).order_by(Audit.id)
        return [(row.action, row.reason) for row in work.execute(found)]


def test_a_colleague_works_on_the_pages_made_for_it_only(counter: Counter) -> None:
    assert counter.who()["actor"] == "counter1"
    assert counter.choose(counter.wang, next="/t/by-pin").headers["Location"] == "/t/by-pin"
    found = counter.who()
    assert (found["actor"], found["scope"]) == ("wang", counter.wang.id)
    assert found["units"] == [counter.unit.id]  # not the other unit, where they work as well
    assert "case.close" in found["may"] and SHARE not in found["may"]
    plain = counter.who("/t/plain")
    assert (plain["actor"], plain["scope"]) == ("counter1", counter.device.id)
    assert "case.close" not in plain["may"]


def test_the_header_says_who_works_and_one_says_when_done(counter: Counter) -> None:
    counter.choose(counter.wang)
    page = counter.client.get("/admin/").text
    assert "王前台" in page and 'action="/account/colleague/done"' in page
    assert counter.client.post("/account/colleague/done").status_code == 303
    assert counter.who()["actor"] == "counter1"
    assert "王前台" not in counter.client.get("/admin/").text
    assert [one for one, _ in actions()] == ["device.begun", "device.done"]


def test_the_trail_names_the_person_and_the_device(counter: Counter) -> None:
    counter.choose(counter.wang)
    assert counter.client.post("/t/add").status_code == 200
    with as_system() as work:
        entry = work.scalars(select(Audit).where(Audit.subject_type == "core_place")).one()
        begun = work.scalars(select(Audit).where(Audit.action == "device.begun")).one()
    assert (entry.actor_id, entry.reason) == (counter.wang.id, "device counter1")
    assert (begun.actor_id, begun.subject_id, begun.unit_id) == (
        counter.device.id,
        str(counter.wang.id),
        counter.unit.id,
    )
    assert begun.detail == {"device": "counter1"}


def test_only_colleagues_of_the_unit_with_a_pin_are_there(counter: Counter) -> None:
    without = make_user(counter.unit, {EDIT}, username="li", name="李无码")
    left = make_user(counter.unit, {EDIT}, username="zhao", name="赵离职", active=False)
    give_pin(left)
    page = counter.client.get("/account/colleague").text
    assert "王前台" in page
    for name in ("李无码", "赵离职", f'value="{counter.chen.id}"', f'value="{counter.device.id}"'):
        assert name not in page
    for one in (without, left, counter.chen, counter.device):
        answer = counter.choose(one)
        assert answer.status_code == 422 and 'id="error-user"' in answer.text
    for odd in ("", "x", "0", "9" * 40):
        answer = counter.client.post("/account/colleague", data={"user": odd, "pin": PIN})
        assert answer.status_code == 422
    assert counter.who()["actor"] == "counter1"


def test_wrong_pins_lock_as_pins_do_and_nobody_works(counter: Counter) -> None:
    for _ in range(5):
        answer = counter.choose(counter.wang, "0000")
        assert answer.status_code == 422 and 'id="error-pin"' in answer.text
        assert counter.who()["actor"] == "counter1"
    assert counter.choose(counter.wang).status_code == 422
    assert counter.who()["actor"] == "counter1"
    with as_system() as work:
        assert "pin.refused" in work.scalars(select(Audit.action)).all()


def test_who_fails_after_another_does_not_work_in_their_name(counter: Counter) -> None:
    counter.choose(counter.wang)
    colleague = make_user(counter.unit, {EDIT}, username="sun")
    give_pin(colleague)
    assert counter.choose(colleague, "0000").status_code == 422
    assert counter.who()["actor"] == "wang"  # who is still working; the other one is not
    assert counter.choose(colleague).status_code == 303
    assert counter.who()["actor"] == "sun"


def test_ten_quiet_minutes_end_it_and_a_page_renews_it(counter: Counter) -> None:
    counter.choose(counter.wang)
    for minutes in (9, 18, 27):
        with clock.frozen(NOON + timedelta(minutes=minutes)):
            assert counter.who()["actor"] == "wang"
    with clock.frozen(NOON + timedelta(minutes=38)):
        late = counter.client.post("/t/add")
        assert late.status_code == 303
        assert late.headers["Location"].startswith("/account/colleague")
        with as_system() as work:
            assert work.scalars(select(Place)).all() == []
        assert counter.who()["actor"] == "counter1"


def test_what_a_page_asks_for_by_itself_renews_nothing(counter: Counter) -> None:
    counter.choose(counter.wang)
    with clock.frozen(NOON + timedelta(minutes=9)):
        counter.client.get("/t/by-pin", headers={"Accept": "application/json"})
    with clock.frozen(NOON + timedelta(minutes=11)):
        assert counter.client.get("/t/by-pin").status_code == 303


def _close_account(work: Any, counter: Counter) -> None:
    work.execute(update(User).where(User.id == counter.wang.id).values(active=False), execution_options=AUDITED)


def _end_sessions(work: Any, counter: Counter) -> None:
    work.execute(
        update(User).where(User.id == counter.wang.id).values(session_version=9), execution_options=AUDITED
    )


def _take_position(work: Any, counter: Counter) -> None:
    mine = UserPosition.user_id == counter.wang.id, UserPosition.unit_id == counter.unit.id
    work.execute(delete(UserPosition).where(*mine), execution_options=AUDITED)


def _take_pin(work: Any, counter: Counter) -> None:
    work.execute(delete(UserPin).where(UserPin.user_id == counter.wang.id), execution_options=AUDITED)


def _change_pin(work: Any, counter: Counter) -> None:
    later = NOON + timedelta(minutes=1)
    mine = update(UserPin).where(UserPin.user_id == counter.wang.id)
    work.execute(mine.values(set_at=later), execution_options=AUDITED)


def _share_no_more(work: Any, counter: Counter) -> None:
    held = select(UserPosition.position_id).where(UserPosition.user_id == counter.device.id)
    row = work.get(Position, work.scalars(held).one())
    row.permissions = ["case.view"]


def _new_password_needed(work: Any, counter: Counter) -> None:
    values = {"must_change_password": True}
    work.execute(update(User).where(User.id == counter.wang.id).values(values), execution_options=AUDITED)


AUDITED = {"audited": "test"}


@pytest.mark.parametrize(
    "happens",
    [
        _close_account,
        _end_sessions,
        _take_position,
        _take_pin,
        _change_pin,
        _share_no_more,
        _new_password_needed,
    ],
)
def test_what_ends_a_persons_right_ends_their_work_here(counter: Counter, happens: Any) -> None:
    counter.choose(counter.wang)
    assert counter.who()["actor"] == "wang"
    with as_system() as work:
        happens(work, counter)
    answer = counter.client.post("/t/add")
    assert answer.status_code == 303 and "/account/colleague" in answer.headers["Location"]
    assert counter.who()["actor"] == "counter1"
    with as_system() as work:
        assert work.scalars(select(Place)).all() == []


def test_a_permission_taken_away_meanwhile_is_gone_at_once(counter: Counter) -> None:
    counter.choose(counter.wang)
    with as_system() as work:
        held = select(UserPosition.position_id).where(
            UserPosition.user_id == counter.wang.id, UserPosition.unit_id == counter.unit.id
        )
        work.get(Position, work.scalars(held).one()).permissions = ["case.view"]
    assert counter.who()["may"] == ["case.view"]
    assert counter.client.post("/t/add").status_code == 403


def test_another_unit_is_another_place_to_work(counter: Counter) -> None:
    position = make_position(permissions={SHARE})
    with as_system() as work:
        work.add(
            UserPosition(
                user_id=counter.device.id,
                unit_id=counter.other.id,
                position_id=position.id,
                valid_from=datetime(2020, 1, 1).date(),
            )
        )
    counter.choose(counter.wang)
    counter.client.post("/unit", data={"unit_id": str(counter.other.id)})
    assert counter.who()["actor"] == "counter1"
    counter.client.post("/unit", data={"unit_id": str(counter.unit.id)})
    assert counter.who()["actor"] == "counter1"  # and coming back brings nobody back


def test_an_account_that_is_no_device_lets_nobody_work(counter: Counter) -> None:
    plain = make_user(counter.unit, {"case.view"}, username="plain")
    client = login(counter.app.test_client(), plain)
    assert client.get("/account/colleague").status_code == 403
    answer = client.post("/account/colleague", data={"user": str(counter.wang.id), "pin": PIN})
    assert answer.status_code == 403
    assert client.get("/t/by-pin").get_json()["actor"] == "plain"
    assert counter.app.test_client().get("/account/colleague").status_code == 302


def test_who_needs_a_one_time_code_does_not_work_by_pin(counter: Counter) -> None:
    strict = make_user(
        counter.unit, username="strict", position=make_position(permissions={EDIT}, requires_totp=True)
    )
    give_pin(strict)
    answer = counter.choose(strict)
    assert answer.status_code == 422 and 'id="error-user"' in answer.text


@pytest.mark.parametrize(
    "kept", ["nonsense", {"user": 1}, {"user": 1, "root": True}, [1], 7, {"user": "1", "until": 9e99}]
)
def test_nonsense_in_the_browsers_session_is_nobody(counter: Counter, kept: Any) -> None:
    with counter.client.session_transaction() as browser:
        browser["working"] = kept
    assert counter.client.get("/t/by-pin").status_code == 303
    assert counter.who()["actor"] == "counter1"


def test_signing_out_ends_it(counter: Counter) -> None:
    counter.choose(counter.wang)
    counter.client.post("/sign-out")
    assert counter.client.get("/t/by-pin").status_code == 302
    login(counter.client, counter.device)
    assert counter.who()["actor"] == "counter1"


def test_forms_of_others_are_not_taken(counter: Counter) -> None:
    counter.app.config["WTF_CSRF_ENABLED"] = True
    try:
        assert counter.choose(counter.wang).status_code == 400
        assert counter.client.post("/account/colleague/done").status_code == 400
    finally:
        counter.app.config["WTF_CSRF_ENABLED"] = False
    assert counter.who()["actor"] == "counter1"


def test_the_page_leads_nowhere_else(counter: Counter) -> None:
    for away in ("https://evil.example/", "//evil.example", "/\\evil"):
        assert counter.choose(counter.wang, next=away).headers["Location"] == "/admin/"
