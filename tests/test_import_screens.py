"""The import screens through HTTP: upload, preview, choices, confirm, rejected rows."""

from __future__ import annotations

import io
import re
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flask import Flask
from flask.testing import FlaskClient
from openpyxl import load_workbook
from sqlalchemy import func, select

from core.customers.models import Customer
from core.jobs.runner import run_once
from core.kernel import importing
from core.kernel.database import fetch, system_scope
from tests.helpers import as_system, login, make_unit, make_user

SMALL = Path(__file__).parent / "data" / "customers_small.xlsx"
MAY = {"customer.import", "customer.view", "customer.create", "customer.edit", "customer.merge", "customer.pii"}


def customers() -> int:
    with as_system() as work:
        return work.scalar(select(func.count()).select_from(Customer)) or 0


def settled(client: FlaskClient, run: str) -> str:
    """Let the background work be done and return the page."""
    assert not client.get(f"/admin/imports/progress/?id={run}").get_json()["finished"]
    run_once(client.application)
    assert client.get(f"/admin/imports/progress/?id={run}").get_json()["finished"]
    return client.get(f"/admin/imports/run/?id={run}").get_data(as_text=True)


def upload(client: FlaskClient) -> str:
    data = {"key": "customers", "file": (io.BytesIO(SMALL.read_bytes()), "客户资料.xlsx")}
    sent = client.post("/admin/imports/upload/", data=data)
    return re.search(r"id=(\d+)", sent.headers["Location"]).group(1)


def tile(page: str, label: str) -> int:
    return int(re.search(rf"{label}</span><strong>(\d+)<", page).group(1))


def test_from_the_file_to_the_report(app: Flask) -> None:
    client = login(app.test_client(), make_user(make_unit("HQ"), MAY))
    run = upload(client)
    page = settled(client, run)
    new, doubtful, wrong = (tile(page, label) for label in ("新增", "疑似重复", "出错行"))
    assert new and doubtful and wrong
    assert "不是有效的电话号码" in page
    assert customers() == 0, "nothing is written before it is confirmed"
    # What the question says is what will happen: duplicates nobody chose for are left out.
    assert f"现在导入 {new} 行" in page and f"另有疑似重复 {doubtful} 行" in page
    client.post("/admin/imports/choices/", data={"id": run, "confirm": "1"})
    page = settled(client, run)
    assert customers() == new
    assert f"疑似重复跳过 {doubtful} 行" in page
    with client.get(f"/admin/imports/rejected/?id={run}") as answer:
        assert quote("客户资料-出错行.xlsx") in answer.headers["Content-Disposition"]
        assert load_workbook(io.BytesIO(answer.get_data())).active.max_row == 1 + wrong + doubtful


def test_the_same_file_again_changes_nothing(app: Flask) -> None:
    client = login(app.test_client(), make_user(make_unit("HQ"), MAY))
    first = upload(client)
    settled(client, first)
    client.post("/admin/imports/choices/", data={"id": first, "confirm": "1"})
    settled(client, first)
    before = customers()
    page = settled(client, upload(client))
    assert tile(page, "新增") == 0 and tile(page, "无变化") > 0
    assert customers() == before


def test_a_check_that_ends_while_the_page_is_built_shows_its_preview(app: Flask, monkeypatch) -> None:
    """The page must not pair the import as it was before with the progress as it is after."""
    client = login(app.test_client(), make_user(make_unit("HQ"), MAY))
    started = []
    with monkeypatch.context() as held:
        held.setattr(importing, "start", lambda run_id, action: started.append(run_id))
        run = upload(client)
    told = importing.progress_of

    def ends_just_now(seen: importing.ImportRun) -> dict[str, Any]:
        if not started:
            return told(seen)
        thread = threading.Thread(target=check_elsewhere, args=(started.pop(),))
        thread.start()
        thread.join()
        return {"state": "done", "done": 1, "total": 1, "text": "", "error": ""}

    def check_elsewhere(run_id: int) -> None:
        with app.app_context(), system_scope("test"):
            importing.check(fetch(importing.ImportRun, run_id))

    monkeypatch.setattr(importing, "progress_of", ends_just_now)
    assert tile(client.get(f"/admin/imports/run/?id={run}").get_data(as_text=True), "新增")


def test_a_check_may_be_stopped_and_begun_again(app: Flask) -> None:
    client = login(app.test_client(), make_user(make_unit("HQ"), MAY))
    run = upload(client)
    assert "/imports/stop/" in client.get(f"/admin/imports/run/?id={run}").get_data(as_text=True)
    client.post("/admin/imports/stop/", data={"id": run})
    run_once(app)
    with as_system() as work:
        assert work.get(importing.ImportRun, int(run)).state == importing.STAGED
    client.post("/admin/imports/mapping/", data={"id": run, "column.name": "1", "column.phone": "4"})
    assert tile(settled(client, run), "新增")


def test_an_import_is_undone_from_its_page(app: Flask) -> None:
    unit = make_unit("HQ")
    client = login(app.test_client(), make_user(unit, MAY))
    run = upload(client)
    settled(client, run)
    client.post("/admin/imports/choices/", data={"id": run, "confirm": "1"})
    assert "/imports/undo/" in settled(client, run)
    with as_system() as work:
        work.scalars(select(Customer).where(Customer.number == "C00001")).one().note = "改过"
    assert client.get("/admin/imports/undo/").status_code == 405
    stranger = login(app.test_client(), make_user(make_unit("X"), MAY))
    assert stranger.post("/admin/imports/undo/", data={"id": run}).status_code == 404
    client.post("/admin/imports/undo/", data={"id": run})
    page = settled(client, run)
    assert "C00001" in page and "/imports/undo/" not in page
    assert customers() == 1
    client.post("/admin/imports/undo/", data={"id": run})
    assert customers() == 1 and client.get("/admin/imports/").status_code == 200
