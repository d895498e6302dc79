"""The print pages and the register of seals over HTTP."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from core.documents.services import issue
from tests.casework import ALL, Office, make_office
from tests.helpers import login, make_unit, make_user

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64


@pytest.fixture
def office(sqlite_app: Any) -> Office:
    return make_office("HQ")


@pytest.fixture
def desk(sqlite_app: Any, office: Office) -> FlaskClient:
    return login(sqlite_app.test_client(), office.desk, unit=office.unit)


def test_from_the_page_to_the_filed_scan(office: Office, desk: FlaskClient) -> None:
    record_id = office.new_case()
    assert "/admin/printing/" in desk.get(f"/admin/record/{record_id}").text
    page = desk.get(f"/admin/printing/?subject=case&id={record_id}")
    assert page.status_code == 200
    assert 'value="case_record"' in page.text
    given = {"form": "case_record", "id": record_id, "subject": "case", "locale": "zh"}
    shown = desk.post("/admin/printing/preview", data=given)
    assert shown.data.startswith(b"%PDF")
    assert shown.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "frame-ancestors 'self'" in shown.headers["Content-Security-Policy"]
    assert "script" not in shown.headers["Content-Security-Policy"]
    issued = desk.post("/admin/printing/issue", data=given)
    assert issued.status_code == 302
    document = issued.headers["Location"]
    assert desk.post("/admin/printing/issue", data=given).headers["Location"] == document
    assert "WD-HQ-" in desk.get(document).text
    with desk.get(f"{document}/pdf?save=1") as pdf:
        assert pdf.data.startswith(b"%PDF")
        assert pdf.headers["Content-Disposition"].startswith("attachment")
    with desk.get(f"{document}/pdf") as pdf:
        assert pdf.headers["Content-Disposition"].startswith("inline")
    assert desk.post(f"{document}/seal", data={"seal": "business", "copies": 1}).status_code == 422
    assert desk.post(f"{document}/seal", data={"seal": "company", "copies": 2}).status_code == 302

    register = desk.get("/admin/seals/").text
    line = re.findall(r"/admin/seals/details/\?id=(\d+)", register)[-1]
    assert desk.post("/admin/seals/sealed/", data={"id": line, "copies": "0", "purpose": "x"}).status_code == 422
    assert desk.post("/admin/seals/sealed/", data={"id": line, "copies": "1", "purpose": "寄出"}).status_code == 302
    bad = {"id": line, "file": (io.BytesIO(b"MZ\x90\0"), "scan.png")}
    assert desk.post("/admin/seals/scan/", data=bad, content_type="multipart/form-data").status_code == 422
    good = {"id": line, "file": (io.BytesIO(PNG), "scan.png")}
    assert desk.post("/admin/seals/scan/", data=good, content_type="multipart/form-data").status_code == 302
    with desk.get(f"/admin/printing/scan/{line}") as scan:
        assert scan.data == PNG
    assert desk.post("/admin/seals/void/", data={"id": line, "reason": "x"}).status_code == 422
    assert "WD-HQ-" in desk.get("/admin/documents/").text
    with desk.post("/admin/seals/export/") as workbook:
        assert workbook.status_code == 200


def test_a_print_that_cannot_be_made_says_why(office: Office, desk: FlaskClient) -> None:
    record_id = office.new_case(description="坏了😀")
    given = {"form": "case_record", "id": record_id, "subject": "case", "locale": "zh"}
    for address in ("preview", "issue"):
        answer = desk.post(f"/admin/printing/{address}", data=given)
        assert answer.status_code == 422
        assert "U+1F600" in answer.text


def test_a_selection_and_a_customer(office: Office, desk: FlaskClient) -> None:
    ids = [office.new_case(), office.new_case()]
    asked = desk.post("/admin/cases/action/", data={"action": "print", "id": ids})
    assert asked.status_code == 200
    assert asked.text.count('name="id"') == 2
    started = desk.post("/admin/printing/many", data={"form": "case_record", "locale": "en", "id": ids})
    assert started.status_code == 302
    assert desk.get(started.headers["Location"]).status_code == 200
    assert desk.post("/admin/customers/action/", data={"action": "print", "id": "1"}).status_code == 200
    assert desk.get("/admin/printing/?subject=customer&id=1").status_code == 200
    for bad in ("subject=customer&id=77", "subject=moon&id=1", "subject=case&id=x", ""):
        assert desk.get(f"/admin/printing/?{bad}").status_code == 404


def test_strangers_see_nothing(sqlite_app: Any, office: Office) -> None:
    record_id = office.new_case()
    with office.at_desk():
        document_id = issue("case_record", record_id, "zh").id
    elsewhere = make_unit()
    stranger = login(sqlite_app.test_client(), make_user(elsewhere, ALL), unit=elsewhere)
    for path in ("", "/pdf"):
        assert stranger.get(f"/admin/printing/document/{document_id}{path}").status_code == 404
    assert stranger.get("/admin/seals/details/?id=1").status_code == 404
    assert stranger.post("/admin/seals/sealed/", data={"id": 1, "copies": 1, "purpose": "x"}).status_code == 404
    assert stranger.get("/admin/printing/scan/1").status_code == 404
    reader = login(sqlite_app.test_client(), make_user(office.unit, ["case.view"]), unit=office.unit)
    assert reader.get(f"/admin/printing/?subject=case&id={record_id}").status_code == 403
    assert reader.get("/admin/seals/").status_code == 403
    assert "/admin/printing/" not in reader.get(f"/admin/record/{record_id}").text
