"""Setting clauses on screen: form, mistakes, history and differences, receipts, profiles; in both languages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from core.kernel import clock
from core.kernel.database import system_scope
from core.rules import effective, releases, settings
from core.rules.setting_models import WITHDRAWN, ClauseReceipt, ClauseSetting
from core.units.models import Unit
from core.users.models import Position, UserPosition
from tests.casework import ALL, Office, make_office, reading
from tests.helpers import as_system, current, in_scope, login, make_unit, make_user

NOW = datetime(2026, 11, 16, 2, tzinfo=UTC)
TODAY = date(2026, 11, 16)
CLAUSE = "R01-4.4"
HERE = "/admin/clause-settings/"
CHANGES = "/admin/clause-changes/"
PAGE = f"/admin/regulations/clause/{CLAUSE}/"
FORM = f"{HERE}{CLAUSE}/set/"
FILLED = {
    "holds": "inherit",
    "p_limit": "3",
    "starts_on": "2026-11-16",
    "open_records": "keep",
    "reason": "客户要求更快",
}


@pytest.fixture(autouse=True)
def at_ten() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@dataclass
class Scene:
    office: Office
    client: FlaskClient

    def text(self, path: str, status: int = 200) -> str:
        answer = self.client.get(path)
        assert answer.status_code == status, (path, answer.status_code)
        return answer.text

    def send(self, path: str, status: int = 302, **data: Any) -> str:
        answer = self.client.post(path, data=data)
        assert answer.status_code == status, (path, answer.status_code, answer.text[:3000])
        return answer.text

    def versions(self) -> list[ClauseSetting]:
        with reading() as work:
            return list(work.scalars(select(ClauseSetting).order_by(ClauseSetting.id)))


@pytest.fixture(params=["en", "zh"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def scene(app: Flask) -> Scene:
    return in_language(app, "en")


def in_language(app: Flask, language: str) -> Scene:
    office = make_office()
    user = make_user(office.unit, ALL, locale=language, name="经理")
    return Scene(office, login(app.test_client(), user))


def test_a_clause_is_set_and_the_page_says_so(app: Flask, language: str) -> None:
    scene = in_language(app, language)
    assert FORM in scene.text(PAGE)
    form = scene.text(FORM)
    assert 'name="p_limit"' in form and 'value="2026-11-16"' in form
    assert ("5 working days" if language == "en" else "5 个工作日") in form
    scene.send(FORM, **FILLED)
    page = scene.text(PAGE)
    assert ("3 working days" if language == "en" else "3 个工作日") in page
    for path in (HERE, f"{HERE}{CLAUSE}/", f"{HERE}version/{scene.versions()[0].id}/"):
        assert "客户要求更快" in scene.text(path)
    # The form starts with what the unit sets, on the next possible day.
    form = scene.text(FORM)
    assert re.search(r'name="p_limit"[^>]*value="3"|value="3"[^>]*name="p_limit"', form)
    assert 'value="2026-11-17"' in form


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"p_limit": "0"}, "p_limit"),
        ({"p_limit": "drei"}, "p_limit"),
        ({"p_limit": "9999"}, "p_limit"),
        ({"starts_on": "2026-02-30"}, "starts_on"),
        ({"starts_on": ""}, "starts_on"),
        ({"reason": "  "}, "reason"),
        ({"open_records": "burn"}, "open_records"),
        ({"holds": "maybe"}, "holds"),
    ],
)
def test_mistakes_stand_beside_their_field(app: Flask, language: str, change: dict[str, str], field: str) -> None:
    scene = in_language(app, language)
    page = scene.send(FORM, 422, **{**FILLED, **change})
    assert f'id="error-{field}"' in page and not scene.versions()


def test_what_the_service_refuses_stands_beside_its_field(scene: Scene) -> None:
    scene.office.new_case()
    assert 'id="error-starts_on"' in scene.send(FORM, 422, **{**FILLED, "starts_on": "2026-11-15"})
    assert "Nothing would change" in scene.send(FORM, 422, **{**FILLED, "p_limit": ""})
    scene.send(FORM, **FILLED)
    assert 'id="error-starts_on"' in scene.send(FORM, 422, **{**FILLED, "p_limit": "4"})
    assert len(scene.versions()) == 1


def test_who_may_only_read_sets_nothing(app: Flask, scene: Scene) -> None:
    reader = Scene(scene.office, login(app.test_client(), make_user(scene.office.unit, ["rules.view"])))
    assert FORM not in reader.text(PAGE)
    reader.text(FORM, 403)
    reader.send(FORM, 403, **FILLED)
    scene.send(FORM, **{**FILLED, "starts_on": "2026-12-01"})
    key = scene.versions()[0].id
    assert "Withdraw" not in reader.text(HERE)
    reader.send(HERE + "withdraw", id=key)  # the reason is told, nothing happens
    assert scene.versions()[0].state != WITHDRAWN
    outsider = Scene(scene.office, login(app.test_client(), make_user(scene.office.unit, ["case.view"])))
    for path in (HERE, CHANGES, FORM, "/admin/profiles/"):
        outsider.text(path, 403)


def test_another_unit_is_not_there(app: Flask, scene: Scene) -> None:
    scene.send(FORM, **{**FILLED, "starts_on": "2026-12-01"})
    key = scene.versions()[0].id
    stranger = in_language(app, "en")
    stranger.text(f"{HERE}version/{key}/", 404)
    stranger.send(HERE + "withdraw", 404, id=key)
    stranger.text(f"/admin/profiles/hotel/?unit={scene.office.unit.id}", 404)
    stranger.send("/admin/profiles/hotel/", 404, unit=scene.office.unit.id, starts_on="2026-11-16")
    for wrong in ("x", "0", "99999999", "%00", "1;2"):
        stranger.text(f"{HERE}version/{wrong}/", 404)
        stranger.text(f"{HERE}{wrong}/set/", 404)
        stranger.text(f"/admin/profiles/{wrong}/", 404)
    stranger.text(f"{HERE}R02-15/", 404)
    assert len(scene.versions()) == 1


def test_a_planned_version_is_withdrawn(scene: Scene) -> None:
    scene.send(FORM, **{**FILLED, "starts_on": "2026-12-01"})
    assert "A version begins on 2026-12-01." in scene.text(PAGE)
    page = scene.text(f"{HERE}{CLAUSE}/")
    assert "planned" in page and "Withdraw" in page
    scene.send(HERE + "withdraw", id=scene.versions()[0].id, back=HERE)
    assert "This unit sets no clause itself." in scene.text(HERE)
    assert "withdrawn" in scene.text(f"{HERE}{CLAUSE}/")


def test_open_time_limits_are_counted_in_the_form(scene: Scene) -> None:
    key = scene.office.new_case()
    scene.office.do(key, "contact", "classify")
    with scene.office.at_desk():
        from core.records.engine import perform

        perform(key, "assign", {"assignee_id": scene.office.technician.id})
    assert "here and below: 1" in scene.text(FORM)
    scene.send(FORM, **{**FILLED, "open_records": "apply"})
    with reading() as work:
        assert work.scalars(select(ClauseSetting.released_at)).one() is not None


def test_what_is_inherited_names_its_unit(app: Flask, language: str) -> None:
    scene = in_language(app, language)
    shop = make_unit(parent=scene.office.unit)
    scene.send(FORM, **FILLED)
    reader = Scene(scene.office, login(app.test_client(), make_user(shop, ALL, locale=language)))
    assert scene.office.unit.name in reader.text(PAGE)
    history = reader.text(f"{HERE}{CLAUSE}/")
    assert scene.office.unit.name in history and "客户要求更快" in history
    # The version itself belongs to the unit above: its page is not for here.
    reader.text(f"{HERE}version/{scene.versions()[0].id}/", 404)


def test_differences_are_chosen(scene: Scene) -> None:
    scene.send(FORM, **FILLED)
    scene.send(FORM, **{**FILLED, "p_limit": "8", "starts_on": "2026-11-20"})
    page = f"{HERE}version/{scene.versions()[1].id}/"
    assert "3 working days" in scene.text(page)
    assert "5 working days" in scene.text(page + "?against=usual")
    assert scene.text(page + "?against=nonsense")


# --- reading ---------------------------------------------------------------------------------------


def test_a_change_is_read_by_whom_it_concerns(app: Flask, language: str) -> None:
    scene = in_language(app, language)
    fitter = make_user(scene.office.unit, ["rules.view", "case.view"], name="李师傅", locale=language)
    with as_system() as work:
        position = work.scalars(select(Position.id).where(Position.code == "field_staff")).one()
        work.add(
            UserPosition(
                user_id=fitter.id, unit_id=scene.office.unit.id, position_id=position, valid_from=date(2020, 1, 1)
            )
        )
    mine = Scene(scene.office, login(app.test_client(), fitter))
    assert "客户要求更快" not in mine.text(CHANGES)
    scene.send(FORM, **FILLED)
    with current().app_context(), system_scope("test"):
        releases.release_due(NOW)
    assert CHANGES in mine.text("/admin/inbox/")
    page = mine.text(CHANGES)
    assert "客户要求更快" in page and CLAUSE in page
    key = scene.versions()[0].id
    version = f"{HERE}version/{key}/"
    assert "李师傅" in scene.text(version) and "0 / 1" in scene.text(version)
    mine.send(CHANGES + "read", 404, id=key + 1)
    mine.send(CHANGES + "read", 404, id="x")
    mine.send(CHANGES + "read", id=key)
    mine.send(CHANGES + "read")
    assert "客户要求更快" not in mine.text(CHANGES) and "1 / 1" in scene.text(version)
    with reading() as work:
        assert work.scalars(select(ClauseReceipt.user_id)).all() == [fitter.id]


def test_lists_cost_the_same_however_long_they_are(scene: Scene, count_queries: Any) -> None:
    def cost(path: str) -> int:
        with count_queries() as seen:
            scene.text(path)
        return len(seen)

    scene.send(FORM, **FILLED)
    scene.send(FORM, **{**FILLED, "p_limit": "9", "starts_on": "2026-11-17"})
    few = [cost(path) for path in (HERE, f"{HERE}{CLAUSE}/", PAGE, CHANGES)]
    with scene.office.at_desk():
        for number in range(2, 12):
            day = TODAY + timedelta(days=number)
            settings.set_clause(scene.office.unit.id, CLAUSE, {"limit": number}, starts_on=day, reason="x")
    assert [cost(path) for path in (HERE, f"{HERE}{CLAUSE}/", PAGE, CHANGES)] == few


# --- profiles --------------------------------------------------------------------------------------


def test_a_profile_is_shown_before_it_is_applied(app: Flask, language: str) -> None:
    scene = in_language(app, language)
    assert "/admin/profiles/equipment/" in scene.text("/admin/profiles/")
    page = scene.text("/admin/profiles/equipment/")
    assert "R18-7.1.3b" in page and "R01-5.2b" in page and "sla.exceptions" in page
    assert not scene.versions()
    scene.send("/admin/profiles/equipment/", starts_on="2026-11-16")
    with reading():
        assert effective.holds(scene.office.unit.id, "R18-7.1.3b")
    before = len(scene.versions())
    assert "disabled" in scene.text("/admin/profiles/equipment/")
    scene.send("/admin/profiles/equipment/", starts_on="2026-11-16")
    assert len(scene.versions()) == before


def test_a_profile_with_an_impossible_day_changes_nothing(scene: Scene) -> None:
    scene.office.new_case()
    for day in ("2026-11-15", "x", ""):
        page = scene.send("/admin/profiles/equipment/", 422, starts_on=day)
        assert 'id="error-starts_on"' in page
    assert not scene.versions()


def test_a_new_unit_goes_on_to_its_profile(app: Flask) -> None:
    root = make_unit("HQ")
    admin = make_user(root, ALL, below=True, locale="en")
    client = login(app.test_client(), admin)
    form = client.get("/admin/units/new/").text
    assert 'value="hotel"' in form
    data = {
        "parent": root.id,
        "code": "HOT",
        "name": "湖滨酒店",
        "kind": "hotel",
        "timezone": "Asia/Shanghai",
        "locale": "zh",
        "profile": "hotel",
    }
    assert client.post("/admin/units/new/", data={**data, "profile": "castle"}).status_code == 422
    answer = client.post("/admin/units/new/", data=data)
    assert answer.status_code == 302 and "/admin/profiles/hotel/?unit=" in answer.headers["Location"]
    page = client.get(answer.headers["Location"]).text
    assert "湖滨酒店" in page and "R01-5.2b" in page
    with reading() as work:
        unit = work.scalars(select(Unit).where(Unit.code == "HOT")).one()
    client.post("/admin/profiles/hotel/", data={"unit": unit.id, "starts_on": "2026-11-16"})
    with reading():
        assert not effective.holds(unit.id, "R01-5.2b") and effective.holds(root.id, "R01-5.2b")
    assert f"/admin/profiles/?unit={unit.id}" in client.get("/admin/units/").text


def test_agreement_is_asked_where_the_unit_wants_it(scene: Scene) -> None:
    scene.office.set("rules.settings_approval", "gm")
    scene.send(FORM, **FILLED)
    assert "waits for agreement" in scene.text(HERE)
    with in_scope(scene.office.unit, ALL), reading():
        assert effective.effective(scene.office.unit.id, CLAUSE).values["limit"] == 5
