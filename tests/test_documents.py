"""Printed forms: what they say, number and version, who may, what data from outside can do."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from flask import current_app
from sqlalchemy import select

from core.customers.models import Customer
from core.customers.services import erase_customer
from core.documents import services
from core.documents.models import Document, SealUse
from core.documents.services import form_of, issue, open_document, preview
from core.documents.typeset import NotPrintable, compile_pdf, missing_characters
from core.kernel.database import session, transaction
from core.kernel.errors import InvalidData, NotAllowed, NotFound
from core.records.attachments import attachments_of
from core.records.models import Attachment, Record
from core.units.models import Setting
from tests.casework import ALL, INTAKE, Office, make_office
from tests.helpers import as_system, current, in_scope, make_unit, make_user

BASE = "https://service.example.cn"


def text_of(content: bytes) -> str:
    """Read a PDF's text as people see it on the page."""
    tool = shutil.which("pdftotext")
    if tool is None:
        pytest.skip("pdftotext (poppler-utils) is not installed")
    done = subprocess.run([tool, "-layout", "-", "-"], input=content, capture_output=True, check=True)  # noqa: S603
    return done.stdout.decode()


def flat(text: str) -> str:
    return "".join(text.split())


def pdf_of(row: Document) -> bytes:
    return open_document(row.id)[1].read_bytes()


@pytest.fixture
def office(sqlite_app: Any) -> Office:
    return make_office("HQ")


@pytest.fixture
def both(app: Any) -> Office:
    return make_office("HQ")


def test_a_service_record_says_what_happened(office: Office) -> None:
    record_id = office.new_case(serial_text="SN-7")
    office.do(record_id, "forward", "contact", "classify", "assign", "accept", "start", "solve")
    with office.at_desk():
        row = issue("case_record", record_id, "zh", BASE)
        said = text_of(pdf_of(row))
        english = issue("case_record", record_id, "en", BASE)
        said_en = text_of(pdf_of(english))
    for word in ("盟新科技有限公司", "马林", "13112355344", "LN-24", "SN-7", "点火三次都打不着",
                 "更换点火针", "点火10次成功", "（业务章处）", "第1页/共", row.number, "HQ售后"):  # fmt: skip
        assert flat(word) in flat(said), word
    assert "Service record".lower() in said_en.lower()
    assert "(place of the business seal)" in said_en
    assert english.number != row.number
    assert row.number.startswith("WD-HQ-")
