"""Scanning: photos of codes, hostile pictures, the short links of labels."""

from __future__ import annotations

import io
import re
import struct
import zlib
from typing import Any
from urllib.parse import urljoin

import pytest
from flask import Flask
from flask.testing import FlaskClient

from core.documents import labels, scan
from core.kernel.errors import InvalidData
from core.kernel.ids import uuid7
from tests.casework import make_office
from tests.helpers import login, make_unit, make_user
from tests.test_labels import uid


@pytest.fixture
def client(sqlite_app: Flask) -> FlaskClient:
    return sqlite_app.test_client()


def photo(*texts: str, kind: str = "QRCode", save: str = "JPEG", turned: int = 0) -> bytes:
    """Draw codes side by side on a grey table, a little askew, as a phone would see them."""
    import zxingcpp
    from PIL import Image

    table = Image.new("L", (700 * len(texts) + 100, 800), 200)
    for place, text in enumerate(texts):
        drawn = zxingcpp.create_barcode(text, getattr(zxingcpp.BarcodeFormat, kind)).to_image(scale=8)
        height, width = drawn.shape
        code = Image.frombytes("L", (width, height), bytes(drawn))
        code.thumbnail((600, 600))
        table.paste(code, (60 + 700 * place, 100))
    out = io.BytesIO()
    table.rotate(turned, fillcolor=200, expand=True).save(out, save)
    return out.getvalue()


def send(client: FlaskClient, content: bytes, name: str = "photo.jpg") -> Any:
    sent = {"photo": (io.BytesIO(content), name)}
    return client.post("/scan/photo", data=sent, content_type="multipart/form-data")


def png(width: int, height: int, rows: bytes = b"") -> bytes:
    """Write a PNG that says it is so large; its rows may be missing."""

    def part(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b"")


# --- what a code says ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ("https://a.example.cn/q/01ABC", "01ABC"),
        ("http://10.1.1.1:8000/q/01ABC/", "01ABC"),
        ("HTTPS://A.EXAMPLE.CN/Q/01ABC", "01ABC"),
        ("https://evil.example/deep/q/products.item~12", "products.item~12"),
        ("https://evil.example/?/q/01ABC", ""),
        ("https://evil.example/#/q/01ABC", ""),
        ("https://evil.example/q/../../admin", ""),
        ("https://evil.example/q/a%2f..%2fb", ""),
        ("https://evil.example/q/https://evil.example", ""),
        ("javascript://x/q/01ABC", ""),
        ("//evil.example/q/01ABC", ""),
        ("/q/01ABC", ""),
        ("data:text/html,/q/01ABC", ""),
        ("https://qr.alipay.com/fkx1", ""),
        ("SN-2026\u202e0001\x00", ""),
    ],
)
def test_only_the_code_of_our_own_links_is_taken(text: str, ours: str) -> None:
    assert scan.understand(text).ours == ours


def test_a_long_text_is_cut() -> None:
    assert len(scan.understand("9" * 100_000).text) == scan.LONGEST


# --- photos ----------------------------------------------------------------------------------


@pytest.mark.parametrize("save", ["JPEG", "PNG", "WEBP"])
def test_a_turned_photo_is_read(save: str) -> None:
    found = scan.read_photo(io.BytesIO(photo("https://a.example.cn/q/01ABC", save=save, turned=17)))
    assert [one.ours for one in found] == ["01ABC"]


@pytest.mark.parametrize(("kind", "text"), [("Code128", "SN20260001"), ("EAN13", "6901234567892")])
def test_bar_codes_of_serial_numbers_are_read(kind: str, text: str) -> None:
    assert scan.read_photo(io.BytesIO(photo(text, kind=kind))) == [scan.Code(text)]


HOSTILE = {
    "nothing": b"",
    "text": b"<svg onload=alert(1)>" * 10,
    "pdf": b"%PDF-1.7\n%%EOF",
    "gif": b"GIF89a" + b"\0" * 50,
    "cut off": photo("https://a.example.cn/q/01ABC")[:2000],
    "head only": b"\xff\xd8\xff\xe0",
    "a hundred megapixels": png(10_000, 10_000),
    "beyond everything": png(65_000, 65_000),
    "no pixels": png(0, 0),
    "a bomb": png(20_000, 5_000, b"\0" * 30_000_000),
    "rows missing": png(500, 500, b"\0" * 10),
    "too many bytes": b"\xff\xd8" + b"\0" * scan.MAX_BYTES,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pictures_are_refused(name: str) -> None:
    with pytest.raises(InvalidData) as refused:
        scan.read_photo(io.BytesIO(HOSTILE[name]))
    assert list(refused.value.errors) == ["photo"]


def test_bad_photos_come_back_with_a_word(client: FlaskClient) -> None:
    office = make_office()
    login(client, office.technician)
    for content in (b"x", HOSTILE["a hundred megapixels"]):
        answer = send(client, content)
        assert answer.status_code == 422
        assert 'id="photo-problem"' in answer.text
    assert client.post("/scan/photo").status_code == 422
    blank = send(client, _blank())
    assert blank.status_code == 200
    assert "tone-warn" in blank.text


def _blank() -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (300, 200), "white").save(out, "PNG")
    return out.getvalue()


# --- the page --------------------------------------------------------------------------------


def test_a_photo_of_a_label_leads_on(client: FlaskClient) -> None:
    office = make_office()
    record_id = office.new_case()
    login(client, office.desk)
    code = labels.code_of(uid(record_id))
    # The host in the code does not matter: it is never gone to.
    answer = send(client, photo(f"https://evil.example/q/{code}"))
    assert answer.location == f"/q/{code}"
    assert client.get(answer.location).location == f"/admin/record/{record_id}"
    assert client.get(f"/scan/?q=https://evil.example/q/{code}").location == f"/q/{code}"


def test_several_codes_are_a_choice(client: FlaskClient) -> None:
    office = make_office()
    record_id = office.new_case()
    foreign = labels.code_of(uid(make_office().new_case()))
    login(client, office.desk)
    code = labels.code_of(uid(record_id))
    texts = (f"https://a.example.cn/q/{code}", f"https://a.example.cn/q/{foreign}", "https://evil.example/pay")
    page = send(client, photo(*texts)).text
    assert f'href="/q/{code}"' in page
    assert f'href="/q/{foreign}"' in page
    assert "壁挂炉" in page
    assert page.count("壁挂炉") == 1  # of the foreign one nothing is told
    assert 'href="https://evil' not in page
    assert "/scan/?q=https://evil.example/pay" in page


def test_a_bar_code_fills_the_search(client: FlaskClient) -> None:
    office = make_office()
    record_id = office.new_case(serial_text="SN20260001")
    login(client, office.desk)
    answer = send(client, photo("SN20260001", kind="Code128"))
    assert answer.location == "/scan/?q=SN20260001"
    # One thing found: no list of one line.
    assert client.get(answer.location).location == f"/admin/record/{record_id}"
    nothing = client.get("/scan/?q=SN777").text
    assert "empty-title" in nothing
    assert "SN777" in nothing


# --- short links -----------------------------------------------------------------------------


def test_a_label_opens_after_signing_in(client: FlaskClient) -> None:
    office = make_office()
    record_id = office.new_case()
    code = labels.code_of(uid(record_id))
    asked = client.get(f"/q/{code}")
    assert asked.location == f"/sign-in?next=/q/{code}"
    nobody = client.get(f"/q/{labels.code_of(uuid7())}")
    assert nobody.status_code == asked.status_code == 302
    given = {"username": office.desk.username, "password": "Test-pass-2026"}
    back = client.post(asked.location, data=given).location
    assert back == f"/q/{code}"
    assert client.get(back).location == f"/admin/record/{record_id}"


def test_a_technician_gets_the_phone_page_of_the_own_job(client: FlaskClient) -> None:
    office = make_office()
    record_id = office.new_case()
    code = labels.code_of(uid(record_id))
    login(client, office.technician)
    assert client.get(f"/q/{code}").status_code == 404
    office.do(record_id, "forward", "classify", "assign")
    assert client.get(f"/q/{code}").location == f"/my/{record_id}"


def test_what_one_may_not_see_looks_like_what_is_not_there(client: FlaskClient) -> None:
    code = labels.code_of(uid(make_office().new_case()))
    login(client, make_user(make_unit(), {"case.view"}))
    bodies = set()
    for one in (
        code,
        code.lower(),
        labels.code_of(uuid7()),
        "zzzz",
        "~~",
        "record~1",
        "products.item~1",
        "A" * 300,
    ):
        answer = client.get(f"/q/{one}")
        assert answer.status_code == 404, one
        bodies.add(_plain(answer.text, one))
    assert len(bodies) == 1
    for one in (
        "//evil.example",
        "https://evil.example",
        "%2f%2fevil.example",
        "..%2f..%2fadmin",
        "%0d%0aLocation:x",
    ):
        answer = client.get(f"/q/{one}")
        assert urljoin("http://localhost/", answer.headers.get("Location", "")).startswith("http://localhost/")
        assert answer.status_code in (404, 308)


def _plain(text: str, code: str) -> str:
    return re.sub(r'nonce="[^"]*"|value="[^"]*"|name="csrf[^>]*', "", text.replace(code, ""))
