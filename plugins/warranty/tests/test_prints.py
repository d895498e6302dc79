"""Quote and repair sheet on paper: what they say, and who may print them."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from core.documents.models import Document
from core.kernel.errors import Refused
from core.kernel.i18n import speaking
from core.sdk import Record, clock, documents
from plugins.warranty import prints
from plugins.warranty.tests.scene_quotes import AGREED, ALL, MONDAY, VISIT, Desk, make_desk
from tests.casework import make_office
from tests.helpers import login, make_user


@pytest.fixture(autouse=True)
def on_monday() -> Any:
    with clock.frozen(MONDAY):
        yield


@pytest.fixture
def desk(sqlite_app: Any) -> Desk:
    return make_desk(sqlite_app)


def data(desk: Desk, key: int, sheet: Any, locale: str = "zh") -> dict[str, Any]:
    with desk.acting() as work, speaking(locale):
        found: dict[str, Any] = sheet(work.scalars(select(Record).where(Record.id == key)).one())
        return found


def test_the_quote_names_the_clause_of_every_line_and_the_sum_in_capitals(desk: Desk) -> None:
    key = desk.quoted({**VISIT, "provided": ["lodging"]})
    said = data(desk, key, prints.quote_sheet)
    assert said["number"] == desk.quote(key).number and said["valid_until"] == "2026-03-17"
    assert (said["total"], said["words"]) == ("1,430.00", "人民币壹仟肆佰叁拾元整")
    lodging = next(one for one in said["lines"] if one["what"] == "住宿费")
    assert (lodging["clause"], lodging["amount"]) == ("R17-5.2.3", "0.00")
    assert lodging["why"].startswith("上门收费标准\n")  # the clause, and that the customer provides it
    assert all(one["clause"] and one["why"] for one in said["lines"])
    english = data(desk, key, prints.quote_sheet, "en")
    assert {"Travel", "Lodging"} <= {one["what"] for one in english["lines"]}
    assert lodging["what"] not in str(english["lines"])


def test_the_paper_follows_a_waiver(desk: Desk) -> None:
    gm = desk.office.staff("gm")
    key = desk.refused()
    desk.do(key, "warranty:ask_waiver", {"reason": "老客户"})
    desk.decide_on(gm, desk.approvals(key)[0].id)
    said = data(desk, key, prints.quote_sheet)
    assert (said["total"], said["words"]) == ("0.00", "人民币零元整")
    assert [one["amount"] for one in said["lines"]][:2] == ["680.00", "-680.00"]


def test_the_repair_sheet_tells_the_repair_on_one_page(desk: Desk) -> None:
    key = desk.solved()
    said = data(desk, key, prints.repair_sheet)
    assert said["case"].startswith("GD-") and said["customer_number"]
    assert said["quote"] == desk.quote(key).number
    assert "马林" in said["consent"] and "2026-03-02" in said["consent"]
    assert said["parts"] == "点火针1支" and said["total"] == "1,730.00"
    free = desk.case("in_warranty")
    said = data(desk, free, prints.repair_sheet)
    assert said["lines"] == [] and said["consent"] == "" and said["quote"] == ""


def test_both_are_previewed_and_issued_from_the_case(sqlite_app: Any, desk: Desk) -> None:
    key = desk.solved()
    client = login(sqlite_app.test_client(), make_user(desk.unit, ALL), unit=desk.unit)
    page = client.get(f"/admin/printing/?subject=case&id={key}").text
    for form in ("warranty.quote", "warranty.repair_sheet"):
        assert f'value="{form}"' in page
        for locale in ("zh", "en"):
            given = {"form": form, "id": key, "subject": "case", "locale": locale}
            assert client.post("/admin/printing/preview", data=given).data.startswith(b"%PDF")
            assert client.post("/admin/printing/issue", data=given).status_code in (302, 303)
    with desk.acting() as work:
        forms = work.scalars(select(Document.form).where(Document.record_id == key)).all()
    # The Chinese quote is the one that was issued when the customer was told.
    assert sorted(forms) == ["warranty.quote"] * 2 + ["warranty.repair_sheet"] * 2


def test_without_a_quote_there_is_no_paper_of_it(sqlite_app: Any, desk: Desk) -> None:
    key = desk.case()
    with pytest.raises(Refused):
        data(desk, key, prints.quote_sheet)
    client = login(sqlite_app.test_client(), make_user(desk.unit, ALL), unit=desk.unit)
    given = {"form": "warranty.quote", "id": key, "subject": "case", "locale": "zh"}
    answer = client.post("/admin/printing/preview", data=given)
    assert answer.status_code < 500 and not answer.data.startswith(b"%PDF")
    with desk.acting():
        assert not documents.documents_of("case", key)


def test_what_others_typed_is_text_on_paper(desk: Desk) -> None:
    key = desk.told()
    desk.do(key, "warranty:consent", {**AGREED, "who": "#panic() [x] $y$ <b>"})
    said = data(desk, key, prints.repair_sheet)
    assert "#panic()" in said["consent"]
    with desk.acting():
        assert documents.preview(documents.form_of("warranty.repair_sheet"), key, "zh").startswith(b"%PDF")


def test_where_the_plugin_is_off_a_case_is_printed_without_it(sqlite_app: Any) -> None:
    office = make_office()
    key = office.new_case()
    client = login(sqlite_app.test_client(), make_user(office.unit, ALL), unit=office.unit)
    page = client.get(f"/admin/printing/?subject=case&id={key}")
    assert page.status_code == 200 and "case_record" in page.text and "warranty." not in page.text
