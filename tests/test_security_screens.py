"""The screens of users, positions and the audit trail, through HTTP, and what outsiders get from them."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openpyxl import load_workbook
from sqlalchemy import select

from core.kernel.audit import Audit, record_audit
from core.units.models import Stage, Unit
from core.users.models import Position, User, UserPosition
from core.users.positions import AUDITOR, SECURITY_ADMIN, SYSTEM_ADMIN, seed_positions
from core.users.services import LOCALES
from tests.helpers import as_system, login, make_position, make_unit, make_user

ADMIN = {"user.admin", "position.admin", "security.admin"}


@pytest.fixture
def top(app: Flask) -> Unit:
    with as_system():
        seed_positions()
    return make_unit("TOP")


def signed_in(app: Flask, unit: Unit, permissions: set[str], **more: Any) -> FlaskClient:
    return login(app.test_client(), make_user(unit, permissions, **more))


def position(code: str) -> int:
    with as_system() as work:
        return work.scalar(select(Position.id).where(Position.code == code))


def text(answer: Any) -> str:
    return answer.get_data(as_text=True)


def _workbook(client: FlaskClient, path: str) -> Any:
    with client.post(path) as answer:
        return load_workbook(io.BytesIO(answer.get_data()))


def test_from_a_new_user_to_their_first_sign_in(app: Flask, top: Unit) -> None:
    admin = signed_in(app, top, ADMIN, below=True)
    made = admin.post("/admin/users/new/", data={"username": "lisi", "name": "李四", "locale": "zh", "active": "1"})
    password = re.search(r"\w{4}-\w{4}-\w{4}-\w{4}", text(made)).group()
    with as_system() as work:
        user = work.scalars(select(User).where(User.username == "lisi")).one()
    day = {"unit_id": top.id, "position_id": position("reception"), "valid_from": "2020-01-01"}
    assert admin.post(f"/admin/users/grant/?id={user.id}", data=day).status_code == 302
    page = text(admin.get(f"/admin/users/details/?id={user.id}"))
    assert "客服" in page and password not in page
    assert "客服（TOP 售后）" in text(admin.get("/admin/users/?search=lisi")), "the list says who holds what"
    theirs = login(app.test_client(), user, password)
    assert theirs.get("/admin/").headers["Location"] == "/account/password"


def test_the_exclusion_rule_is_told_on_the_form(app: Flask, top: Unit) -> None:
    admin = signed_in(app, top, ADMIN, below=True)
    user = make_user(None)
    for code, status in ((SYSTEM_ADMIN, 302), (AUDITOR, 422), (SECURITY_ADMIN, 422)):
        day = {"unit_id": top.id, "position_id": position(code), "valid_from": "2020-01-01"}
        answer = admin.post(f"/admin/users/grant/?id={user.id}", data=day)
        assert answer.status_code == status
    assert 'role="alert"' in text(answer) and "系统管理员" in text(answer)
    with as_system() as work:
        (held,) = work.scalars(select(UserPosition).where(UserPosition.user_id == user.id)).all()
    admin.post("/admin/users/end/", data={"position": held.id})
    day["position_id"], day["valid_from"] = position(AUDITOR), "2030-01-01"
    assert admin.post(f"/admin/users/grant/?id={user.id}", data=day).status_code == 302


@pytest.mark.parametrize("raw", ["0", "abc", "99999", "9" * 30, "", "1e3"])
def test_malformed_and_missing_ids_are_404(app: Flask, top: Unit, raw: str) -> None:
    client = signed_in(app, top, ADMIN | {"audit.view"}, below=True)
    for path in ("users/details", "users/edit", "users/grant", "positions/edit", "audit/details"):
        assert client.get(f"/admin/{path}/?id={raw}").status_code == 404, path
    for path in ("users/password", "users/codes", "users/sessions", "users/unlock"):
        assert client.post(f"/admin/{path}/", data={"id": raw}).status_code == 404, path
    assert client.post("/admin/users/end/", data={"position": raw}).status_code == 404


def test_users_of_other_units_are_not_there(app: Flask, top: Unit) -> None:
    other = make_unit("OTHER")
    stranger = make_user(other, {"case.view"}, username="stranger")
    client = signed_in(app, top, ADMIN)
    assert "stranger" not in text(client.get("/admin/users/"))
    assert client.get(f"/admin/users/details/?id={stranger.id}").status_code == 404
    for path in ("password", "codes", "sessions", "unlock"):
        assert client.post(f"/admin/users/{path}/", data={"id": stranger.id}).status_code == 404
    with as_system() as work:
        held = work.scalar(select(UserPosition.id).where(UserPosition.user_id == stranger.id))
    assert client.post("/admin/users/end/", data={"position": held}).status_code == 404


def test_without_the_permission_the_screens_answer_403(app: Flask, top: Unit) -> None:
    client = signed_in(app, top, {"case.view"})
    for path in ("users", "users/details", "users/new", "positions", "positions/edit", "audit", "audit/details"):
        assert client.get(f"/admin/{path}/?id=1").status_code == 403, path
    assert client.post("/admin/audit/verify/").status_code == 403
    assert client.post("/admin/audit/export/").status_code == 403
    assert "/admin/users/" not in text(client.get("/admin/"))


def test_recovery_gives_a_new_password_and_ends_sessions(app: Flask, top: Unit) -> None:
    admin = signed_in(app, top, ADMIN)
    user = make_user(top, {"case.view"})
    theirs = login(app.test_client(), user)
    page = text(admin.post("/admin/users/password/", data={"id": user.id}))
    password = re.search(r"\w{4}-\w{4}-\w{4}-\w{4}", page).group()
    assert theirs.get("/account").status_code == 302
    login(app.test_client(), user, password)


def test_unlocking(app: Flask, top: Unit) -> None:
    admin = signed_in(app, top, ADMIN)
    user = make_user(top, {"case.view"})
    for _ in range(6):
        locked = app.test_client().post("/sign-in", data={"username": user.username, "password": "wrong"})
    assert locked.status_code == 429
    assert "/admin/users/unlock/" in text(admin.get(f"/admin/users/details/?id={user.id}"))
    admin.post("/admin/users/unlock/", data={"id": user.id})
    login(app.test_client(), user)


def test_two_people_editing_a_user(app: Flask, top: Unit) -> None:
    admin = signed_in(app, top, ADMIN)
    user = make_user(top, {"case.view"}, username="wang", name="王")
    page = text(admin.get(f"/admin/users/edit/?id={user.id}"))
    version = re.search(r'name="version" value="(\d+)"', page).group(1)
    fields = {"username": "wang", "locale": LOCALES[0][0], "active": "1", "version": version}
    assert admin.post(f"/admin/users/edit/?id={user.id}", data={**fields, "name": "王一"}).status_code == 302
    assert admin.post(f"/admin/users/edit/?id={user.id}", data={**fields, "name": "王二"}).status_code == 409
    with as_system() as work:
        assert work.scalar(select(User.name).where(User.id == user.id)) == "王一"


def test_a_position_is_changed_on_screen(app: Flask, top: Unit) -> None:
    admin = signed_in(app, top, ADMIN, below=True)
    target = position("reception")
    fields = {
        "title": "接待",
        "title_en": "Desk",
        "permissions": ["case.view", "case.create"],
        "requires_totp": "1",
    }
    assert admin.post(f"/admin/positions/edit/?id={target}", data=fields).status_code == 302
    assert "接待" in text(admin.get("/admin/positions/"))
    bad = admin.post(f"/admin/positions/edit/?id={target}", data={**fields, "permissions": ["nonsense"]})
    assert bad.status_code == 422
    with as_system() as work:
        row = work.scalars(select(Position).where(Position.id == target)).one()
        assert row.requires_totp and row.permissions == ["case.view", "case.create"]


# --- audit -----------------------------------------------------------------------------------

READ = {"audit.view", "audit.export"}


def test_auditors_of_a_unit_see_its_entries_only(app: Flask, top: Unit) -> None:
    other = make_unit("OTHER", name="别的机构")
    client = signed_in(app, top, READ)
    page = text(client.get("/admin/audit/"))
    assert "TOP" in page and "OTHER" not in page
    assert client.get("/admin/audit_deployment/").status_code == 403
    with as_system() as work:
        foreign = work.scalar(select(Audit.id).where(Audit.unit_id == other.id).limit(1))
        of_none = work.scalar(select(Audit.id).where(Audit.unit_id.is_(None)).limit(1))
        own = work.scalar(select(Audit.id).where(Audit.unit_id == top.id).limit(1))
    assert client.get(f"/admin/audit/details/?id={foreign}").status_code == 404
    assert client.get(f"/admin/audit/details/?id={of_none}").status_code == 404
    assert client.get(f"/admin/audit/details/?id={own}").status_code == 200


def test_auditors_of_the_deployment_also_see_entries_of_no_unit(app: Flask, top: Unit) -> None:
    make_unit("BELOW", top)
    make_user(top, username="somebody")
    client = signed_in(app, top, READ, below=True)
    page = text(client.get("/admin/audit_deployment/"))
    assert "somebody" in page
    assert int(client.get("/admin/audit_deployment/count/").get_json()["count"]) > 3
    with as_system() as work:
        of_none = work.scalar(select(Audit.id).where(Audit.unit_id.is_(None)).limit(1))
    assert client.get(f"/admin/audit/details/?id={of_none}").status_code == 200
    book = _workbook(client, "/admin/audit_deployment/export/")
    assert "somebody" in str(list(book.active.values))


def test_filters_verify_and_export(app: Flask, top: Unit) -> None:
    client = signed_in(app, top, READ, username="auditor1")
    page = text(client.get("/admin/audit/?f_type=core_unit&f_action=create&f_at=30d&f_subject=TOP"))
    assert "TOP" in page
    nobody = text(client.get("/admin/audit/?f_actor=nobody&f_type=core_unit"))
    assert "details/?id=" in page and "details/?id=" not in nobody
    verified = text(client.post("/admin/audit/verify/"))
    assert "tone-good" in verified
    book = _workbook(client, "/admin/audit/export/")
    assert book.active.max_row > 1
    with as_system() as work:
        logged = set(work.scalars(select(Audit.action).where(Audit.unit_id == top.id)))
    assert {"audit.verify", "export"} <= logged


def test_entries_speak_the_words_of_their_model(app: Flask, top: Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    client = signed_in(app, top, READ)
    words = {"": "工序", "state": ("所处状态", (("waiting", "等待中"),))}
    monkeypatch.setitem(app.extensions, "audit_words", {"core_stage": words})
    with as_system() as work:
        stage = Stage(unit_id=top.id, record_type="case", state="waiting", label="待配件", pauses_clock=True)
        work.add(stage)
        work.flush()
        detail = {"importer": "customers", "rows": 3, "at": "2026-01-02T03:04:05+00:00"}
        record_audit("import.done", ("core_import", 1), unit_id=top.id, detail=detail)
    page = text(client.get("/admin/audit/?f_type=core_stage"))
    shown = text(client.get(re.search(r"/admin/audit/details/\?id=\d+", page).group()))
    assert "所处状态" in shown and "等待中" in shown
    assert f"TOP（{top.id}）" in shown
    page = text(client.get("/admin/audit/?f_type=core_import"))
    assert "importer" not in page and "行数" in page
    shown = text(client.get(re.search(r"/admin/audit/details/\?id=\d+", page).group()))
    cells = str(list(_workbook(client, "/admin/audit/export/?cols=subject&cols=after&cols=sealed").active.values))
    assert "等待中" in cells and "导入内容：客户" in cells
    assert "False" not in cells and "'否'" in cells
    assert "2026-01-02 11:04:05" in shown and ">客户<" in shown.replace("\n", "")


def test_a_reader_without_export_gets_none(app: Flask, top: Unit) -> None:
    client = signed_in(app, top, {"audit.view"}, below=True)
    assert client.post("/admin/audit/export/").status_code == 403
    assert client.post("/admin/audit_deployment/export/").status_code == 403


def test_positions_speak_the_readers_language(app: Flask, top: Unit) -> None:
    client = signed_in(app, top, ADMIN, locale="en")
    page = text(client.get(f"/admin/positions/edit/?id={position('reception')}"))
    assert "Edit Customer service" in page


def test_the_auditor_position_changes_nothing(app: Flask, top: Unit) -> None:
    with as_system() as work:
        row = work.scalars(select(Position).where(Position.code == AUDITOR)).one()
    client = login(app.test_client(), make_user(top, position=row))
    let_through = []
    for rule in app.url_map.iter_rules():
        if "POST" not in (rule.methods or ()) or rule.arguments or not rule.rule.startswith("/admin/"):
            continue
        if rule.rule.startswith("/admin/audit") or rule.rule.endswith(("/saved/", "/split")):
            continue
        if rule.rule.rstrip("/").endswith("/export"):  # whoever takes data out is written down, and nothing else
            continue
        with as_system() as work:
            before = work.scalar(select(Audit.id).order_by(Audit.id.desc()).limit(1))
        answer = client.post(rule.rule, data={"id": "1", "name": "x"})
        with as_system() as work:
            after = work.scalar(select(Audit.id).order_by(Audit.id.desc()).limit(1))
        if before != after:
            let_through.append(f"{rule.rule}: {answer.status_code}")
    assert not let_through, let_through


def test_a_special_permission_does_not_reach_another_position(app: Flask, top: Unit) -> None:
    """An administrator who holds a position cannot give that position more rights."""
    own = make_position(permissions=ADMIN, below=True, title="自己的")
    client = login(app.test_client(), make_user(top, position=own))
    more = {"title": "x", "permissions": [*ADMIN, "audit.view"], "below": "1"}
    assert client.post(f"/admin/positions/edit/?id={own.id}", data=more).status_code == 422
    with as_system() as work:
        kept = work.scalar(select(Position.permissions).where(Position.id == own.id))
    assert set(kept) == ADMIN
