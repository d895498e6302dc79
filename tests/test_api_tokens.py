"""Tokens made by people on the screens, and accounts of programs."""

from __future__ import annotations

import re
from datetime import date

import pytest
from flask import Flask
from sqlalchemy import select

from core.kernel.errors import Refused
from core.records.models import Record
from core.users.models import ApiToken, Position, User
from core.users.permissions import all_permissions
from core.users.services import force_sign_out, grant_position, staff_of
from tests.api_scene import Asker
from tests.casework import INTAKE, make_office
from tests.helpers import as_system, in_scope, login, make_position, make_unit, make_user

SECRET = re.compile(r'value="(sh_[\w-]+)"')


def test_a_person_makes_a_token_sees_it_once_and_revokes_it(app: Flask) -> None:
    office = make_office("HQ")
    browser = login(app.test_client(), office.desk)
    assert "No tokens yet" in browser.get("/admin/tokens/").text or "令牌" in browser.get("/admin/tokens/").text
    wrong = browser.post("/admin/tokens/make", data={"name": "", "scopes": ["nix"], "days": "9999"})
    assert wrong.status_code == 422 and "sh_" not in wrong.text
    made = browser.post("/admin/tokens/make", data={"name": "网店", "scopes": ["case.read"], "days": "30"})
    secret = SECRET.findall(made.text)[0]
    listed = browser.get("/admin/tokens/").text
    assert "网店" in listed and secret[:8] in listed and secret not in listed
    asker = Asker(app, secret)
    assert asker.get("/cases").status_code == 200
    assert asker.post("/cases", INTAKE).status_code == 403
    with as_system() as work:
        row = work.scalars(select(ApiToken)).one()
        assert (row.expires_at - row.created_at).days == 30
    stranger = login(app.test_client(), make_user(make_unit(), [one.code for one in all_permissions()]))
    assert stranger.post("/admin/tokens/revoke", data={"id": row.id}).status_code == 404
    assert asker.get("/cases").status_code == 200
    assert browser.post("/admin/tokens/revoke", data={"id": row.id}).status_code == 302
    assert asker.get("/cases").status_code == 401


def test_a_program_gets_an_account_that_cannot_sign_in(sqlite_app: Flask) -> None:
    office = make_office("HQ")
    admin = make_user(office.unit, [one.code for one in all_permissions()])
    position = make_position(permissions=["case.view", "case.create", "customer.create", "customer.view"])
    browser = login(sqlite_app.test_client(), admin)
    form = {
        "username": "erp",
        "name": "企业资源系统",
        "unit_id": str(office.unit.id),
        "position_id": str(position.id),
        "scopes": ["case.write", "customer.write"],
        "days": "90",
    }
    secret = SECRET.findall(browser.post("/admin/integrations/new", data=form).text)[0]
    asker = Asker(sqlite_app, secret)
    assert asker.post("/cases", INTAKE).status_code == 201
    assert asker.get("/charges").status_code == 403
    with as_system() as work:
        program = work.scalars(select(User).where(User.integration)).one()
        assert work.scalars(select(Record)).one() is not None
        assert program.password_hash == ""
        assert program.id not in {one.id for one in staff_of(office.unit.id)}
    refused = sqlite_app.test_client().post("/sign-in", data={"username": "erp", "password": ""})
    assert refused.status_code == 401
    assert browser.post("/admin/users/password/", data={"id": program.id}).status_code == 302
    assert sqlite_app.test_client().post("/sign-in", data={"username": "erp", "password": "x"}).status_code == 401
    page = f"/admin/integrations/{program.id}"
    second = SECRET.findall(browser.post(page, data={"name": "新", "scopes": ["*.read"], "days": "9"}).text)[0]
    assert Asker(sqlite_app, second).get("/cases").status_code == 200
    assert login(sqlite_app.test_client(), office.technician).get(page).status_code == 403
    assert browser.post(f"{page}/end").status_code == 302
    assert [Asker(sqlite_app, one).get("/me").status_code for one in (secret, second)] == [401, 401]


def test_a_program_runs_and_checks_no_system(sqlite_app: Flask) -> None:
    office = make_office("HQ")
    with as_system() as work:
        auditor = work.scalars(select(Position.id).where(Position.code == "auditor")).one()
        program = User(username="erp", name="erp", integration=True)
        work.add(program)
        work.flush()
    admin = make_user(office.unit, ["user.admin"])
    page = login(sqlite_app.test_client(), admin).get("/admin/integrations/new").text
    assert f'value="{auditor}"' not in page.partition('name="position_id"')[2].partition("</select>")[0]
    with in_scope(office.unit, ["user.admin"], admin), pytest.raises(Refused):
        grant_position(program.id, office.unit.id, auditor, date(2026, 1, 1))


def test_signing_somebody_out_everywhere_ends_their_tokens(sqlite_app: Flask) -> None:
    from tests.api_scene import token_of

    office = make_office("HQ")
    admin = make_user(office.unit, [one.code for one in all_permissions()])
    asker = Asker(sqlite_app, token_of(office.desk))
    assert asker.get("/me").status_code == 200
    with in_scope(office.unit, ["security.admin"], admin) as work:
        force_sign_out(office.desk.id)
        work.commit()
    assert asker.get("/me").status_code == 401
