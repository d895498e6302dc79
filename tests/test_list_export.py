"""Exporting a list: three formats, short ones at once, long ones as a job with the rights of that moment."""

from __future__ import annotations

import csv
import io
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openpyxl import load_workbook
from sqlalchemy import select

from core.admin import export
from core.customers.models import Customer
from core.jobs.runner import run_once
from core.kernel import clock, jobs
from core.kernel.audit import Audit
from core.kernel.ids import uuid7
from core.units.models import Unit
from core.users.models import UserPosition
from tests.helpers import as_system, login, make_unit, make_user

MAY = {"customer.view", "customer.export", "customer.pii"}
URL = "/admin/customers/export/?f_kind=person&cols=name&cols=number"


def customers(unit: Unit, count: int) -> None:
    with as_system() as work:
        for n in range(count):
            row = {"number": f"C{n:05d}", "name": f"=客户{n}𠮷", "kind": "company" if n == 0 else "person"}
            work.add(Customer(uid=uuid7(), unit_id=unit.id, created_at=clock.now(), **row))


@pytest.fixture
def unit(app: Flask) -> Unit:
    made = make_unit("HQ")
    customers(made, 9)
    customers(make_unit("OTHER"), 1)
    return made


def the_run() -> jobs.JobRun:
    with as_system() as work:
        return work.scalars(select(jobs.JobRun)).one()


def test_a_short_list_comes_at_once_in_the_format_asked_for(client: FlaskClient, unit: Unit) -> None:
    login(client, make_user(unit, MAY))
    assert 'name="format" value="csv-gb18030"' in client.get("/admin/customers/").text
    for file_type, encoding in (("csv", "utf-8-sig"), ("csv-gb18030", "gb18030")):
        with client.post(URL, data={"format": file_type}) as answer:
            rows = list(csv.reader(io.StringIO(answer.data.decode(encoding))))
            assert answer.headers["Content-Disposition"].endswith(".csv")
        assert rows[1] == ["'=客户8𠮷", "C00008"] and len(rows) == 9
    assert client.post(URL, data={"format": "exe"}).status_code in (400, 422)
    with as_system() as work:
        entries = work.scalars(select(Audit).where(Audit.action == "export")).all()
        assert [(e.detail or {})["format"] for e in entries] == ["csv", "csv-gb18030"]


def test_a_long_list_is_written_by_a_job_and_fetched(
    app: Flask, client: FlaskClient, unit: Unit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "AT_ONCE", 3)
    login(client, make_user(unit, MAY))
    sent = client.post(URL)
    assert sent.status_code == 302 and "/jobs/" in sent.headers["Location"]
    run_once(app)
    run = the_run()
    assert (run.state, run.result["rows"]) == ("done", 8), run.error
    with app.app_context():
        path = jobs.result_file(run)
    assert path is not None
    rows = list(load_workbook(io.BytesIO(path.read_bytes())).active.iter_rows(values_only=True))
    assert len(rows) == 9 and rows[1] == ("'=客户8𠮷", "C00008")
    assert re.fullmatch(r"客户.*-\d{8}-\d{4}\.xlsx", run.result["file"])
    with as_system() as work:
        entry = work.scalars(select(Audit).where(Audit.action == "export")).one()
        assert (entry.unit_id, (entry.detail or {})["rows"]) == (unit.id, 8)
        assert "f_kind=person" in (entry.detail or {})["filters"]


def test_who_lost_the_right_meanwhile_gets_nothing(
    app: Flask, client: FlaskClient, unit: Unit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "AT_ONCE", 3)
    user = make_user(unit, MAY)
    login(client, user)
    client.post(URL)
    with as_system() as work:
        for one in work.scalars(select(UserPosition).where(UserPosition.user_id == user.id)):
            work.delete(one)
    run_once(app)
    run = the_run()
    assert (run.state, run.result) == ("failed", {}) and run.error


def test_the_trail_of_the_deployment_is_exported_as_well(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "AT_ONCE", 0)
    top = make_unit("TOP")
    user = make_user(top, {"audit.view", "audit.export"}, below=True)
    login(client, user)
    sent = client.post("/admin/audit_deployment/export/")
    assert sent.status_code == 302
    run_once(app)
    assert the_run().state == "done", the_run().error
    assert the_run().result["rows"] >= 1
