"""Labels: what they say, where their QR leads, and how they lie on the paper."""

from __future__ import annotations

import io
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from core.documents import labels
from core.documents.scan import Code, read_photo
from core.kernel.database import transaction
from core.kernel.errors import NotFound
from core.kernel.ids import uuid7
from core.records.models import Record
from tests.casework import Office, make_office, reading
from tests.helpers import in_scope, login, make_unit, make_user, switch_on

needs_poppler = pytest.mark.skipif(not shutil.which("pdftoppm"), reason="poppler-utils are not installed")


@pytest.fixture
def client(sqlite_app: Flask) -> FlaskClient:
    return sqlite_app.test_client()


def pictures(pdf: bytes, folder: Path, dpi: int = 150) -> list[Path]:
    """Render the pages of a PDF as a printer would."""
    (folder / "in.pdf").write_bytes(pdf)
    subprocess.run(["pdftoppm", "-r", str(dpi), "-gray", "-png", "in.pdf", "page"], cwd=folder, check=True)
    return sorted(folder.glob("page*.png"))


def read(picture: Path) -> list[Code]:
    return read_photo(io.BytesIO(picture.read_bytes()))


def words(pdf: bytes) -> str:
    done = subprocess.run(["pdftotext", "-layout", "-", "-"], input=pdf, capture_output=True, check=True)
    return done.stdout.decode()


def uid(record_id: int) -> Any:
    with reading() as work:
        return work.scalars(select(Record.uid).where(Record.id == record_id)).one()


def test_a_code_is_read_back_as_people_type_it() -> None:
    for _turn in range(50):
        one = uuid7()
        code = labels.code_of(one)
        assert len(code) == 26
        assert labels.uid_of(code) == one
        assert labels.uid_of(f" {code.lower().replace('1', 'l').replace('0', 'o')} ") == one
        assert labels.uid_of(str(one)) == one
    for bad in ("", "x", "Z" * 26, "U" * 26, "é" * 26, "0" * 25, "0" * 27, "g" * 36, "١" * 26):
        assert labels.uid_of(bad) is None


@needs_poppler
@pytest.mark.parametrize("size", [one.code for one in labels.SIZES])
def test_the_printed_qr_leads_to_the_record(client: FlaskClient, tmp_path: Path, size: str) -> None:
    office = make_office()
    ids = [office.new_case(), office.new_case(customer_name="汪洋")]
    login(client, office.desk)
    answer = client.post("/admin/labels/print", data={"form": "record", "id": ids, "size": size})
    assert answer.mimetype == "application/pdf", answer.text
    assert answer.headers["Content-Disposition"].startswith("inline")
    found = [code for page in pictures(answer.data, tmp_path, 203) for code in read(page)]
    assert {one.text for one in found} == {f"http://localhost/q/{labels.code_of(uid(i))}" for i in ids}
    assert {one.ours for one in found} == {labels.code_of(uid(i)) for i in ids}
    text = words(answer.data)
    assert office.unit.name in text
    for personal in ("盟新", "马林", "13112355344", "文三路", "汪洋"):
        assert personal not in text
    for one, record_id in zip(sorted(found, key=lambda c: c.ours), ids, strict=True):
        assert client.get(f"/q/{one.ours}").location == f"/admin/record/{record_id}"


@needs_poppler
def test_labels_begin_where_the_sheet_is_still_free(client: FlaskClient, tmp_path: Path) -> None:
    office = make_office()
    login(client, office.desk)
    given = {"form": "record", "id": [office.new_case()], "size": "a4-24", "start": "24", "copies": "2"}
    first, second = pictures(client.post("/admin/labels/print", data=given).data, tmp_path, 60)
    # The last place of the first sheet is the lower right corner, the next one the upper left of another.
    assert _is_white(first, (0, 0, 1, 7 / 8))
    assert _is_white(first, (0, 0, 2 / 3, 1))
    assert _is_white(second, (0, 1 / 7, 1, 1))
    assert _is_white(second, (1 / 3, 0, 1, 1))
    assert len(read(first)) == len(read(second)) == 1


def _is_white(picture: Path, part: tuple[float, float, float, float]) -> bool:
    from PIL import Image

    with Image.open(picture) as page:
        box = [round(share * edge) for share, edge in zip(part, page.size * 2, strict=True)]
        return page.convert("L").crop(tuple(box)).getextrema() == (255, 255)  # type: ignore[arg-type]


def test_the_address_of_the_deployment_goes_before_that_of_the_request(sqlite_app: Flask) -> None:
    with sqlite_app.app_context():
        assert labels.link("X", "http://10.1.1.1:8000/") == "http://10.1.1.1:8000/q/X"
    before = sqlite_app.extensions["settings"]
    sqlite_app.extensions["settings"] = replace(before, base_url="https://fuwu.example.cn/sh/")
    try:
        with sqlite_app.app_context():
            assert labels.link("X", "http://10.1.1.1:8000/") == "https://fuwu.example.cn/sh/q/X"
    finally:
        sqlite_app.extensions["settings"] = before


@pytest.mark.parametrize(
    "given",
    [
        {"start": "25"},
        {"start": "0"},
        {"start": "11", "size": "a4-10"},
        {"copies": "21"},
        {"copies": "x"},
        {"size": "A3"},
        {"size": ""},
    ],
)
def test_bad_wishes_come_back_beside_their_field(client: FlaskClient, given: dict[str, str]) -> None:
    office = make_office()
    login(client, office.desk)
    sent = {"form": "record", "id": str(office.new_case()), "size": "a4-24", **given}
    answer = client.post("/admin/labels/print", data=sent)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text


def test_labels_of_what_one_may_not_see_are_not_printed(client: FlaskClient) -> None:
    office, other = make_office(), make_unit()
    mine = office.new_case()
    login(client, make_user(other, {"case.view"}))
    for ids in ([mine], ["999999"], ["abc"], ["9" * 30]):
        assert client.get("/admin/labels/", query_string={"id": ids}).status_code == 404
        sent = {"form": "record", "id": ids, "size": "a4-24"}
        assert client.post("/admin/labels/print", data=sent).status_code == 404
    assert client.get("/admin/labels/", query_string={"form": "nobody", "id": mine}).status_code == 404


def test_the_page_offers_labels_and_nothing_else(client: FlaskClient) -> None:
    office = make_office()
    make_unit("BELOW", office.unit)  # a second unit to switch to must not get among the labels
    login(client, make_user(office.unit, {"case.view"}, below=True))
    page = client.get("/admin/labels/", query_string={"id": office.new_case()}).text
    assert '<input type="hidden" name="form" value="record">' in page


def test_a_selection_of_the_list_is_printed_together(client: FlaskClient, count_queries: Any) -> None:
    office = make_office()
    login(client, office.desk)
    ids = [office.new_case() for _n in range(12)]
    asked = client.post("/admin/cases/action/", data={"action": "labels", "id": ids})
    assert asked.text.count('name="id"') == 12
    counts = []
    for some in (ids[:3], ids):
        with count_queries() as seen:
            assert client.post("/admin/labels/print", data={"form": "record", "id": some, "size": "a4-24"}).data
        counts.append(len(seen))
    assert counts[0] == counts[1]
    assert client.get("/admin/labels/").status_code == 422


def test_a_plugin_prints_labels_of_its_own_things(client: FlaskClient, tmp_path: Path) -> None:
    office = make_office()
    switch_on(office.unit, "products")
    login(client, make_user(office.unit, {"case.view", "products.view"}))
    item = _item(office)
    sent = {"form": "products.item", "id": str(item), "size": "roll-50"}
    answer = client.post("/admin/labels/print", data=sent)
    assert answer.mimetype == "application/pdf", answer.text
    assert client.get(f"/q/products.item~{item}").location.endswith(f"id={item}")
    stranger = client.application.test_client()
    login(stranger, make_user(make_unit(), {"case.view", "products.view"}))
    assert stranger.get(f"/q/products.item~{item}").status_code == 404
    blind = client.application.test_client()
    login(blind, make_user(office.unit, {"case.view"}))
    assert blind.get(f"/q/products.item~{item}").status_code == 404
    assert blind.post("/admin/labels/print", data=sent).status_code == 404


def _item(office: Office) -> int:
    from plugins.products import services

    with in_scope(office.unit, {"products.view", "products.edit"}, office.desk), transaction():
        model = services.save_model(office.unit.id, {"code": "LN-24", "name": "壁挂炉", "active": "1"})
        given = {"serial": "SN0001", "model_id": str(model.id), "sold_class": "own"}
        return int(services.save_item(office.unit.id, given).id)


def test_unknown_codes_are_refused(sqlite_app: Flask) -> None:
    office = make_office()
    with office.at_desk():
        for code in ("", "x", "record~1", "nobody.item~1", "products.item~0", labels.code_of(uuid7())):
            with pytest.raises(NotFound):
                labels.target(code)
