"""Files of records: known by their content, stored once, shown to those who may see them."""

from __future__ import annotations

import io
import zipfile

import pytest
from sqlalchemy import func, select

from core.demo.fill import picture
from core.kernel.errors import InvalidData, NotAllowed, NotFound
from core.records import attachments
from core.records.attachments import attach, attachments_of, open_attachment, path_of, safe_name
from core.records.models import Attachment, Fact
from tests.casework import ALL, Office, make_office, shape
from tests.helpers import in_scope, make_unit, make_user

PNG = picture(1)
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00" + b"\x00" * 64 + b"\xff\xd9"
HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + b"\x00" * 64
MP4 = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + b"\x00" * 64
MOV = b"\x00\x00\x00\x14ftypqt  \x00\x00\x00\x00qt  " + b"\x00" * 64
AMR = b"#!AMR\n" + b"\x3c" * 64
MP3 = b"ID3\x04\x00\x00\x00\x00\x00\x00" + b"\x00" * 64
PDF = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\ntrailer<<>>\n%%EOF\n"
EXE = b"MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00" + b"\x00" * 200
ELF = b"\x7fELF\x02\x01\x01" + b"\x00" * 200
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML = b"<!DOCTYPE html><html><script>alert(1)</script></html>"


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, "<x/>")
    return out.getvalue()


XLSX = zipped("[Content_Types].xml", "xl/workbook.xml")


@pytest.fixture
def office(app) -> Office:
    return make_office("HQ")


def put(office: Office, record_id: int, name: str, content: bytes) -> Attachment:
    with office.at_desk():
        return attach(record_id, name, io.BytesIO(content))


@pytest.mark.parametrize(
    ("name", "content", "media_type"),
    [
        ("现场.png", PNG, "image/png"),
        ("IMG_1.JPG", JPEG, "image/jpeg"),
        ("IMG_2.HEIC", HEIC, "image/heic"),
        ("录像.mp4", MP4, "video/mp4"),
        ("录像.mov", MOV, "video/quicktime"),
        ("语音.amr", AMR, "audio/amr"),
        ("语音.mp3", MP3, "audio/mpeg"),
        ("合同.pdf", PDF, "application/pdf"),
        ("报价.xlsx", XLSX, None),
        ("资料.zip", zipped("a.txt"), "application/zip"),
        ("说明.txt", "故障说明".encode(), "text/plain"),
        ("旧表.csv", "编号,名称\n1,壁挂炉".encode("gb18030"), "text/plain"),
    ],
)
def test_what_the_field_sends_is_taken(office, name, content, media_type):
    key = office.new_case()
    row = put(office, key, name, content)
    assert row.name == name and row.size == len(content)
    assert media_type is None or row.media_type == media_type
    with office.at_desk():
        again, path = open_attachment(row.id)
        assert (again.id, path.read_bytes()) == (row.id, content)
    assert shape(key)["facts"][-1][1] == "attachment"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("photo.jpg", EXE),
        ("photo.jpg", ELF),
        ("photo.jpg", PNG),
        ("photo.png", SVG),
        ("drawing.svg", SVG),
        ("page.html", HTML),
        ("page.txt", HTML),
        ("page.jpg", HTML),
        ("page.txt", b"  \n<script>alert(1)</script>"),
        ("page.html", b"hello"),
        ("setup.exe", EXE),
        ("run.sh", b"#!/bin/sh\nrm -rf /"),
        ("run.txt", b"#!/bin/sh\nrm -rf /"),
        ("data.txt", b"a\x00b"),
        ("photo", PNG),
        ("photo.jpg.exe", JPEG),
        ("report.xlsx", PDF),
        ("empty.png", b""),
    ],
)
def test_disguised_dangerous_or_empty_files_are_refused_and_leave_nothing(office, name, content):
    key = office.new_case()
    before = shape(key)
    with pytest.raises(InvalidData) as bad:
        put(office, key, name, content)
    assert list(bad.value.errors) == ["file"]
    assert shape(key) == before
    with office.at_desk() as work:
        assert work.scalar(select(func.count(Attachment.id))) == 0
        assert not [f for f in attachments.folder().iterdir() if f.name.startswith("in-")]


def test_a_file_over_the_limit_is_refused_while_it_comes_in(office, monkeypatch):
    monkeypatch.setattr(attachments, "MAX_BYTES", 1000)
    key = office.new_case()

    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1) -> bytes:
            self.given += 1
            assert self.given < 5, "read on after the limit"
            return b"x" * attachments.CHUNK

    with office.at_desk():
        with pytest.raises(InvalidData) as bad:
            attach(key, "a.txt", Endless())
        assert list(bad.value.errors) == ["file"]
        assert not [f for f in attachments.folder().iterdir() if f.name.startswith("in-")]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd.png", "passwd.png"),
        ("..\\..\\windows\\x.png", "x.png"),
        ("C:\\Users\\me\\现场.png", "现场.png"),
        ("/abs/olute.png", "olute.png"),
        ("a\x00b\r\n.png", "ab.png"),
        ("...", "file"),
        ("", "file"),
        ("x" * 300 + ".png", "x" * 180 + ".png"),
        ("照片\u202egnp.png", "照片gnp.png"),
    ],
)
def test_only_a_plain_name_is_kept(given, kept):
    assert safe_name(given) == kept


def test_the_same_content_is_stored_once(office):
    key, other = office.new_case(), office.new_case()
    first, second = put(office, key, "a.png", PNG), put(office, other, "b.png", PNG)
    assert first.id != second.id and first.sha256 == second.sha256
    with office.at_desk():
        folder = path_of(first).parent
        assert path_of(first) == path_of(second)
        assert [f.name for f in folder.iterdir() if f.name == first.sha256] == [first.sha256]
        assert [a.name for a in attachments_of(key)] == ["a.png"]


def test_attaching_needs_its_permission_or_being_the_assignee(office):
    key = office.new_case()
    with office.on_the_road("case.view"), pytest.raises(NotAllowed):
        attach(key, "a.png", io.BytesIO(PNG))
    office.do(key, "classify", "assign")
    with office.on_the_road():
        assert attach(key, "a.png", io.BytesIO(PNG)).actor_id == office.technician.id


def test_files_are_seen_only_by_who_may_see_them(office):
    key = office.new_case()
    row = put(office, key, "a.png", PNG)
    elsewhere = make_unit("X")
    for unit, permissions in (
        (elsewhere, ALL),
        (office.unit, {"case.view"}),
        (office.unit, {"attachment.view"}),
    ):
        with in_scope(unit, permissions, make_user(unit)), pytest.raises(NotFound):
            open_attachment(row.id)
    with in_scope(office.unit, {"case.view", "attachment.view"}, make_user(office.unit)):
        assert open_attachment(str(row.id))[0].id == row.id
        with pytest.raises(NotFound):
            open_attachment("../1")


def test_a_file_of_another_unit_s_record_cannot_be_added(office):
    key = office.new_case()
    elsewhere = make_unit("X")
    with in_scope(elsewhere, ALL, make_user(elsewhere)), pytest.raises(NotFound):
        attach(key, "a.png", io.BytesIO(PNG))
    with office.at_desk() as work:
        assert work.scalar(select(func.count(Fact.id)).where(Fact.kind == "attachment")) == 0
