"""The case file: what it says, whom it spares, and that its length costs no more statements."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from core.admin.cases.case_file import FORM, tell
from core.documents import case_file
from core.documents.services import issue, open_document, preview
from core.kernel import clock
from core.kernel.database import transaction
from core.kernel.errors import NotAllowed, NotFound
from core.records import services as records
from core.records.attachments import attach
from core.records.engine import fetch_visible
from core.rules import charges
from core.rules.kinds import Line
from tests.casework import Office, make_office
from tests.helpers import in_scope, login, make_unit, make_user
from tests.money_scene import VISIT, money_clauses

needs_poppler = pytest.mark.skipif(not shutil.which("pdftotext"), reason="poppler-utils are not installed")
IDENTITY = "11010519491231002X"


def words(pdf: bytes) -> str:
    done = subprocess.run(["pdftotext", "-layout", "-", "-"], input=pdf, capture_output=True, check=True)
    return re.sub(r"\s", "", done.stdout.decode())


def picture(save: str = "JPEG", size: tuple[int, int] = (3000, 2000), **more: Any) -> io.BytesIO:
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", size, "orange").save(out, save, **more)
    return io.BytesIO(out.getvalue())


def paper(pages: int = 2) -> io.BytesIO:
    from core.documents.typeset import SHARED, compile_pdf

    one = {
        "number": "第三页纸",
        "kind": "",
        "lines": [],
        "unit": "",
        "qr": "<svg xmlns='http://www.w3.org/2000/svg'/>",
        "hint": "",
    }
    size = {
        "page_width": 50,
        "page_height": 30,
        "width": 50,
        "height": 30,
        "columns": 1,
        "rows": 1,
        "left": 0,
        "top": 0,
    }
    data = {"size": size, "start": 0, "copies": pages, "labels": [one], "lang": "zh"}
    return io.BytesIO(compile_pdf(SHARED / "label.typ", data))


def full_case(office: Office) -> int:
    """A case with everything in it: late facts, comments, a refusal, files of every kind."""
    record_id = office.new_case()
    office.do(record_id, "forward", "classify", "assign")
    with office.at_desk(), transaction():
        records.comment(record_id, f"客户身份证 {IDENTITY}，电话勿外传 😀", visible_to_customer=False)
        records.comment(record_id, "已告知客户明日上门", visible_to_customer=True)
    with office.at_desk():
        from core.kernel.errors import Refused
        from core.records.engine import perform

        with pytest.raises(Refused):
            perform(record_id, "close", {})
    with office.at_desk(), transaction():
        attach(record_id, "铭牌.jpg", picture(), kind="photo")
        attach(record_id, "合同.pdf", paper())
        attach(record_id, "坏.pdf", io.BytesIO(b"%PDF-1.7\nnothing here\n%%EOF"))
        attach(record_id, "记录.txt", io.BytesIO("通话记录".encode()))
        attach(record_id, "大.png", _claims(20_000, 20_000))
    return record_id


def _claims(width: int, height: int) -> io.BytesIO:
    from tests.test_scan import png

    return io.BytesIO(png(width, height))


@needs_poppler
@pytest.mark.parametrize("locale", ["zh", "en"])
def test_the_case_file_tells_all_of_it(sqlite_app: Flask, locale: str) -> None:
    office = make_office()
    record_id = full_case(office)
    with office.at_desk():
        row = issue(FORM.code, record_id, locale, "https://fuwu.example.cn/")
        _row, path = open_document(row.id)
        pdf = path.read_bytes()
        number = fetch_visible(record_id).number
    text = words(pdf)
    for said in (
        number,
        office.unit.name.replace(" ", ""),
        "盟新科技有限公司",
        "壁挂炉报E1故障",
        "已告知客户明日上门",
        "铭牌.jpg",
        "合同.pdf",
    ):
        assert said in text, said
    for hidden in (IDENTITY, "13112355344", "文三路", "马林"):
        assert hidden not in text, hidden
    assert "110***********002X" in text
    assert "[U+1F600]" in text
    marks = {
        "zh": ("内部", "不能办理的操作及原因", "附件1", "共"),
        "en": ("internal", "Refusedsteps", "Appendix1", "of"),
    }
    for said in marks[locale]:
        assert said in text, said
    # The appendix: the picture, both pages of the contract; the broken ones are listed only.
    data = row.data["data"]
    assert [(one["name"], one["pages"]) for one in data["appendix"]] == [("铭牌.jpg", 1), ("合同.pdf", 2)]
    assert "第三页纸" in text
    assert [one["appendix"] for one in data["papers"]] == [1, 2, 0, 0, 0]
    internal = [one["note"][:5] for one in data["facts"] if one["internal"]]
    assert internal == ["客户身份证"]


@needs_poppler
def test_an_unchanged_case_is_not_issued_again(sqlite_app: Flask) -> None:
    office = make_office()
    record_id = office.new_case()
    with office.at_desk():
        first = issue(FORM.code, record_id, "zh").id
        assert issue(FORM.code, record_id, "zh").id == first
        with clock.frozen(clock.now() + timedelta(minutes=5)):
            assert issue(FORM.code, record_id, "zh").id == first
        with transaction():
            records.comment(record_id, "又来电")
        assert issue(FORM.code, record_id, "zh").version == 2


def test_statements_do_not_grow_with_the_case(app: Flask, count_queries: Any) -> None:
    office = make_office()
    counts = []
    for facts in (5, 50):
        record_id = office.new_case()
        with office.at_desk(), transaction():
            for turn in range(facts):
                records.comment(record_id, f"第{turn}次")
        for turn in range(facts // 5):
            with office.at_desk(), transaction():
                attach(record_id, f"{turn}.txt", io.BytesIO(f"{turn}".encode()))
        with office.at_desk(), count_queries() as seen:
            told = tell(fetch_visible(record_id))
        assert len(told["facts"]) > facts
        counts.append(len(seen))
    assert counts[0] == counts[1]


def test_money_is_told_to_those_who_may_see_it(sqlite_app: Flask) -> None:
    office = make_office()
    record_id = office.new_case()
    label = {"zh": "上门费", "en": "Visit"}
    with money_clauses(sqlite_app), office.at_desk():
        lines = [
            Line("fee", label, payer, Decimal(1), Decimal(amount))
            for payer, amount in (("customer", 120), ("company", 80), ("employee", 50))
        ]
        charges.propose(fetch_visible(record_id), VISIT, "test", lines)
    with office.at_desk():
        told = tell(fetch_visible(record_id))
    assert [one["amount"] for one in told["charges"]] == ["¥120.00", "¥80.00"]
    assert [one["payable"] for one in told["totals"]] == ["¥120.00", "¥80.00"]
    with in_scope(office.unit, {"case.view", "case.export"}):
        told = tell(fetch_visible(record_id))
    assert told["charges_hidden"]
    assert told["charges"] == told["totals"] == []


def test_who_may_not_take_cases_out_gets_no_case_file(sqlite_app: Flask) -> None:
    office = make_office()
    record_id = office.new_case()
    with in_scope(office.unit, {"case.view"}), pytest.raises(NotAllowed):
        case_file.start(record_id, "zh")
    with in_scope(make_unit(), {"case.view", "case.export"}), pytest.raises(NotFound):
        case_file.start(record_id, "zh")


def test_issued_papers_in_it_are_for_those_who_may_see_personal_data(sqlite_app: Flask) -> None:
    office = make_office()
    case = office.new_case()
    with office.at_desk():
        with transaction():
            issue("case_record", case, "zh")
            whole = issue(FORM.code, case, "zh")
        assert len(whole.data["data"]["appendix"]) == 1
        open_document(whole.id)
    codes = ["case.view", "case.export", "attachment.view", "attachment.add"]
    with in_scope(office.unit, codes, make_user(office.unit, codes)):
        with pytest.raises(NotAllowed):
            open_document(whole.id)
        with transaction():
            own = issue(FORM.code, case, "zh")
        assert own.version == 2 and own.data["data"]["appendix"] == []
        open_document(own.id)


def test_a_picture_is_turned_and_loses_what_the_camera_wrote(sqlite_app: Flask) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    exif[0x8825] = {1: "N"}
    office = make_office()
    with office.at_desk(), transaction():
        row = attach(office.new_case(), "a.jpg", picture(exif=exif))
        made = case_file.prepared(row)
    with Image.open(io.BytesIO(made.content)) as shown:
        assert shown.height > shown.width
        assert max(shown.size) == case_file.EDGE
        assert not shown.getexif()


def test_pages_of_a_pdf_are_counted(sqlite_app: Flask) -> None:
    most = case_file.MOST_PDF_PAGES
    with sqlite_app.app_context():
        for pages in (1, 2, 3, 7, most, most + 5):
            made = case_file._pdf(paper(pages).getvalue())
            assert made.pages == (pages if pages <= most else 0)


def test_made_in_the_background_with_progress(client: FlaskClient) -> None:
    from core.jobs.runner import run_once

    office = make_office()
    record_id = full_case(office)
    sent = {"form": "case_file", "subject": "case", "id": str(record_id), "locale": "zh"}
    login(client, office.desk)
    asked = client.post("/admin/printing/issue", data=sent)
    assert asked.status_code == 302
    run_once(client.application)
    page = client.get(asked.location)
    assert page.status_code == 200
    assert "/admin/printing/document/" in page.text
    stranger = client.application.test_client()
    login(stranger, make_user(make_unit(), {"case.view", "case.export"}))
    assert stranger.post("/admin/printing/issue", data=sent).status_code == 404
    blind = client.application.test_client()
    login(blind, make_user(office.unit, {"case.view"}))
    assert blind.post("/admin/printing/issue", data=sent).status_code == 403


@pytest.fixture
def client(sqlite_app: Flask) -> FlaskClient:
    return sqlite_app.test_client()


def test_a_preview_is_kept_nowhere(sqlite_app: Flask) -> None:
    office = make_office()
    record_id = office.new_case()
    with office.at_desk():
        assert preview(FORM, record_id, "zh").startswith(b"%PDF")
        assert not case_file.own_papers(record_id)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"证件{IDENTITY}。", "证件110***********002X。"),
        ("110105194912310021", "110***********0021"),
        ("91330106MA2XXXXX5K", "91330106MA2XXXXX5K"),
        ("1101051949123100211", "1101051949123100211"),
        ("订单 20261122", "订单 20261122"),
    ],
)
def test_identity_numbers_are_masked(text: str, shown: str) -> None:
    assert case_file.masked(text) == shown
