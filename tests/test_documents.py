"""Printed forms: what they say, number and version, who may, what data from outside can do."""

from __future__ import annotations

import io
import shutil
import subprocess
import threading
from contextlib import nullcontext
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from core.customers.models import Customer
from core.customers.services import erase_customer
from core.documents import batch, seals, services
from core.documents.models import FILED, SEALED, VOID, WANTED, Document, SealUse
from core.documents.services import documents_of, form_of, issue, open_document, preview
from core.documents.typeset import NotPrintable, compile_pdf, missing_characters
from core.jobs import runner
from core.kernel import clock, jobs, outbox
from core.kernel.audit import Audit
from core.kernel.database import fetch, session, transaction
from core.kernel.errors import InvalidData, NotAllowed, NotFound, Refused
from core.kernel.jobs import JobRun, result_file
from core.records.attachments import attachments_of, open_attachment
from core.records.engine import detail_of, fetch_visible
from core.records.models import Attachment, Record
from core.rules import charges
from core.rules.kinds import Line
from core.units.models import Setting
from tests.casework import ALL, Office, make_office
from tests.helpers import as_system, current, in_scope, make_unit, make_user
from tests.money_scene import VISIT, money_clauses

BASE = "https://service.example.cn"
FRAME = '#import "/print/frame.typ": *\n'


def text_of(content: bytes) -> str:
    """Read a PDF's text as people see it on the page."""
    tool = shutil.which("pdftotext")
    if tool is None:
        pytest.skip("pdftotext (poppler-utils) is not installed")
    done = subprocess.run([tool, "-layout", "-", "-"], input=content, capture_output=True, check=True)
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
    assert "(business seal here)" in said_en
    assert english.number != row.number
    assert row.number.startswith("WD-HQ-")


def _change(office: Office, record_id: int, **values: Any) -> None:
    with office.at_desk(), transaction():
        case = session().get_one(Record, record_id)
        detail = detail_of(case)
        for name, value in values.items():
            setattr(detail, name, value)


def test_number_version_and_archive(both: Office) -> None:
    record_id = both.new_case()
    with both.at_desk():
        first = issue("case_record", record_id, "zh", BASE)
        again = issue("case_record", record_id, "zh", "http://other.example.cn")
        assert (again.id, first.version) == (first.id, 1)
        kept = [one for one in attachments_of(record_id) if one.kind == "document"]
        assert [one.id for one in kept] == [first.attachment_id]
        assert kept[0].sha256 == first.sha256
        number = first.number
    _change(both, record_id, product_text="LN-30 壁挂炉")
    with both.at_desk():
        second = issue("case_record", record_id, "zh", BASE)
        assert (second.number, second.version) == (number, 2)
        assert second.data["data"]["product"] == "LN-30 壁挂炉"
        uses = session().scalars(select(SealUse).order_by(SealUse.id)).all()
        assert [(use.document_id, use.state) for use in uses] == [(first.id, VOID), (second.id, WANTED)]
        assert [one.id for one in services.versions_of(second)] == [second.id, first.id]
        assert [one.id for one in documents_of("case", record_id)] == [second.id, first.id]
        other = issue("case_record", record_id, "en", BASE)
        assert other.number != number
        actions = session().scalars(select(Audit.action).where(Audit.action.like("document.%"))).all()
        assert len(actions) == 3
    with both.at_desk():
        # Another case gets a number of its own.
        assert issue("case_record", both.new_case(), "zh").number not in (number, other.number)


def test_preview_keeps_nothing_but_its_trace(office: Office) -> None:
    record_id = office.new_case()
    with office.at_desk():
        said = text_of(preview(form_of("case_record"), record_id, "zh", BASE))
        assert "马林" in said
        assert "WD-" not in said
        assert session().scalar(select(func.count(Document.id))) == 0
        assert session().scalars(select(Audit).where(Audit.action == "document.previewed")).one()
        with pytest.raises(InvalidData):
            preview(form_of("case_record"), record_id, "fr", BASE)


def test_who_may(office: Office) -> None:
    record_id = office.new_case()
    stranger = make_user(make_unit())
    with in_scope(office.unit, ["case.view"], office.desk), pytest.raises(NotAllowed):
        issue("case_record", record_id, "zh")
    with in_scope(office.unit, ["document.print"], stranger), pytest.raises(NotFound):
        issue("case_record", record_id, "zh")  # may not see the case
    with in_scope(make_unit(), ALL, stranger), pytest.raises(NotFound):
        issue("case_record", record_id, "zh")
    office.do(record_id, "forward", "contact", "classify", "assign")
    with office.on_the_road(), pytest.raises(NotAllowed):
        issue("case_record", record_id, "zh")  # an assignee of another company prints nothing
    with office.on_the_road("case.view"):
        row_id = issue("case_record", record_id, "zh").id  # the assignee needs the paper on the way
        customer_id = session().get_one(Record, record_id).customer_id
        with pytest.raises((NotFound, NotAllowed)):
            issue("customer_file", customer_id, "zh")
    with in_scope(make_unit(), ALL, stranger), pytest.raises(NotFound):
        open_document(row_id)
    with office.at_desk():
        file_id = services.fetch_document(row_id).attachment_id
        seals.mark_sealed(seals.uses_of([row_id])[0].id, 1, "寄给顾客")
        scan_id = seals.file_scan(seals.uses_of([row_id])[0].id, "scan.png", io.BytesIO(PNG)).scan_id
    # On the paper stands in full what screens mask: seeing the record and its files is not enough.
    seeing = ["case.view", "attachment.view"]
    for more, opened in (([], False), (["document.print"], True), (["customer.pii"], True)):
        with in_scope(office.unit, [*seeing, *more], stranger):
            for call in (
                partial(open_attachment, file_id),
                partial(open_attachment, scan_id),
                partial(open_document, row_id),
            ):
                with nullcontext() if opened else pytest.raises(NotAllowed):
                    call()
    for raw in ("", "x", "-1", "9" * 30, None, str(record_id) + "x"):
        with office.at_desk(), pytest.raises(NotFound):
            issue("case_record", raw, "zh")
    with office.at_desk():
        with pytest.raises(NotFound):
            issue("nothing", record_id, "zh")
        with pytest.raises(NotFound):
            issue("customer_file", 999999, "zh")


def test_the_head_is_the_units(office: Office) -> None:
    record_id = office.new_case()
    with as_system() as work:
        work.add_all(
            Setting(unit_id=office.unit.id, room="documents", key=key, value=value)
            for key, value in {
                "company_name": "华诚机电有限公司",
                "company_name_en": "Huacheng Ltd",
                "phone": "400-1",
            }.items()
        )
    with office.at_desk():
        assert "华诚机电有限公司" in flat(text_of(pdf_of(issue("case_record", record_id, "zh"))))
        assert "Huacheng Ltd" in text_of(pdf_of(issue("case_record", record_id, "en")))


def test_charges_in_capitals(sqlite_app: Any, office: Office) -> None:
    record_id = office.new_case()
    label = {"zh": "上门费 #strong[x]", "en": "Visit"}
    lines = [
        Line("fee", label, payer, Decimal(1), Decimal(amount))
        for payer, amount in (("customer", "1010.05"), ("company", "80"), ("customer", "7"))
    ]
    with money_clauses(sqlite_app), office.at_desk(), transaction():
        told, _ours, _proposed = charges.propose(fetch_visible(record_id), VISIT, "test", lines)
        told.state = "quoted"
    with office.at_desk():
        said = flat(text_of(pdf_of(issue("case_record", record_id, "zh"))))
    assert "人民币壹仟零壹拾元零伍分" in said
    assert "¥1,010.05" in said
    assert "上门费#strong[x]" in said


# --- hostile data ----------------------------------------------------------------------------

MARKUP = (
    '*粗* _斜_ #panic("x") #read("/etc/passwd") $x$ <b> `raw` \\ @ref // 注释 /* 块 */ #import "@preview/x:1.0.0"'
)


def test_markup_is_text(office: Office) -> None:
    record_id = office.new_case(description=MARKUP, contact_name="#马[林]")
    with office.at_desk():
        said = flat(text_of(pdf_of(issue("case_record", record_id, "zh"))))
    assert flat(MARKUP) in said
    assert "#马[林]" in said


def test_a_missing_character_stops_the_print(office: Office) -> None:
    record_id = office.new_case(description="炉子坏了😀，姓𰜩")
    with office.at_desk():
        with pytest.raises(NotPrintable) as caught:
            issue("case_record", record_id, "zh")
        told = str(caught.value.texts()[0])
        assert "😀 (U+1F600)" in told
        assert "𰜩 (U+30729)" in told
        session().rollback()
        assert session().scalar(select(func.count(Document.id))) == 0
    _change(office, record_id, description="炉子坏了")
    with office.at_desk():
        assert issue("case_record", record_id, "zh").number.endswith("-0001")  # the number was not lost


def test_what_shows_nothing_is_left_out_and_length_does_not_matter(sqlite_app: Any, tmp_path: Path) -> None:
    form = tmp_path / "form.typ"
    form.write_text(FRAME + '#prints((data, head) => [ #fields((("甲", data.a),)) #prose(data.b) ])')
    one = {"head": {"title": "长"}, "data": {"a": "张\u202e三\x00\u200b\x07", "b": "很长的话。" * 20000}}
    wide = {"head": {"title": "宽"}, "data": {"a": "W" * 5000, "b": ""}}
    with sqlite_app.app_context():
        said = text_of(compile_pdf(form, {"lang": "zh", "prints": [one, wide]}))
        assert "张三" in said
        assert flat(said).replace("\u200b", "").count("W") == 5000
        assert flat(said).count("很长的话。") >= 19000  # a foot may stand inside one that is cut in half
        assert flat(said).count("第1页/共") == 2  # pages are counted anew for each
        assert missing_characters({"x": ["中é 龘", {"y": "😀"}]}) == ["😀"]


def test_a_template_reads_nothing_else(sqlite_app: Any, tmp_path: Path) -> None:
    folder = tmp_path / "forms"
    folder.mkdir()
    (tmp_path / "secret.txt").write_text("hush")
    (folder / "own.txt").write_text("mine")
    with sqlite_app.app_context():
        for place, path in enumerate(
            ("../secret.txt", "/etc/passwd", "/../secret.txt", str(tmp_path / "secret.txt"))
        ):
            bad = folder / f"bad{place}.typ"
            bad.write_text(f'#read("{path}")')
            with pytest.raises(NotPrintable):
                compile_pdf(bad, {})
        net = folder / "net.typ"
        net.write_text('#import "@preview/cetz:0.2.2"')
        with pytest.raises(ValueError, match="packages"):
            compile_pdf(net, {})
        good = folder / "good.typ"
        good.write_text('#read("own.txt")')
        assert compile_pdf(good, {}).startswith(b"%PDF")
        with clock.frozen(datetime(2026, 1, 1, tzinfo=UTC)):
            assert compile_pdf(good, {}) == compile_pdf(good, {})


# --- erasing, a selection --------------------------------------------------------------------


def _work_off() -> None:
    """Do the jobs that wait in the outbox."""
    with current().app_context():
        outbox.deliver_pending(runner.deliver)


def test_erasing_a_customer_takes_their_papers(office: Office) -> None:
    record_id = office.new_case()
    with office.at_desk():
        customer_id = session().get_one(Record, record_id).customer_id
        rows = [issue("case_record", record_id, "zh"), issue("customer_file", customer_id, "zh")]
        paths = [open_document(row.id)[1] for row in rows]
        fetched = jobs.keep_result(paths[0], "a.pdf")["sha256"]
        paths.append(jobs._results() / fetched)
        assert paths[-1].exists()
        assert "盟新科技" in str(rows[1].data)
        with transaction():
            erase_customer(session().get_one(Customer, customer_id), "本人要求")
    _work_off()
    assert not any(path.exists() for path in paths)
    with office.at_desk():
        for row in rows:
            held = services.fetch_document(row.id)
            assert (held.data, held.sha256, held.attachment_id) == ({}, "", None)
            with pytest.raises(NotFound):
                open_document(row.id)
        assert not session().scalars(select(Attachment).where(Attachment.kind == "document")).all()
        assert not documents_of("customer", customer_id or 0)[0].data


def test_a_selection_comes_as_one_pdf(office: Office) -> None:
    ids = [office.new_case(description=f"第{n}台坏了") for n in range(3)]
    bad = office.new_case(description="😀")
    with office.at_desk():
        run_id = batch.start_many("case_record", [*ids, bad, 99999], "zh", office.unit.id, BASE).id
        with pytest.raises(InvalidData):
            batch.start_many("case_record", [], "zh", office.unit.id)
        with pytest.raises(InvalidData):
            batch.start_many("case_record", list(range(1, 1002)), "zh", office.unit.id)
        with pytest.raises(NotFound):
            batch.start_many("case_record", ids, "zh", make_unit().id)
    _work_off()
    _work_off()  # a second delivery changes nothing
    with office.at_desk():
        run = fetch(JobRun, run_id)
        assert run.state == "done", run.error
        assert (run.state, run.result["count"], run.result["left_out_count"]) == ("done", 3, 2)
        path = result_file(run)
        assert path is not None
        said = flat(text_of(path.read_bytes()))
        assert [said.count(f"第{n}台坏了") for n in range(3)] == [1, 1, 1]
        assert session().scalar(select(func.count(Document.id))) == 3


# --- seals -----------------------------------------------------------------------------------

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64


def test_a_seal_from_asking_to_scan(both: Office) -> None:
    record_id = both.new_case()
    with both.at_desk():
        row = issue("case_record", record_id, "zh")
        use = seals.uses_of([row.id])[0]
        with pytest.raises(Refused):
            seals.ask_for(row.id, "business")  # waits already
        with pytest.raises(InvalidData):
            seals.ask_for(row.id, "moon")
        with pytest.raises(Refused):
            seals.file_scan(use.id, "scan.png", io.BytesIO(PNG))  # not sealed yet
        with pytest.raises(InvalidData):
            seals.mark_sealed(use.id, 1, "  ")
        with pytest.raises(InvalidData):
            seals.mark_sealed(use.id, 100, "报销")
        with transaction():
            assert seals.mark_sealed(use.id, 2, "寄给顾客").state == SEALED
        with pytest.raises(Refused):
            seals.mark_sealed(use.id, 2, "寄给顾客")
        for name, content in (
            ("a.zip", b"PK\x03\x04" + b"\0" * 60),
            ("a.png", b"<svg onload=alert(1)>"),
            ("a.pdf", PNG),
        ):
            with pytest.raises(InvalidData):
                seals.file_scan(use.id, name, io.BytesIO(content))
        session().rollback()
        seals.file_scan(use.id, "../../scan.png", io.BytesIO(PNG))
        held = seals.fetch_use(use.id)
        assert (held.state, held.scan_name) == (FILED, "scan.png")
        assert any(one.kind == "stamped" for one in attachments_of(record_id))
        assert seals.open_scan(use.id)[1].read_bytes() == PNG
        with pytest.raises(Refused):
            seals.void(use.id, "错了")
        use_id = use.id
    with in_scope(both.unit, ["case.view"], both.desk), pytest.raises(NotAllowed):
        seals.mark_sealed(use_id, 1, "x")
    with in_scope(make_unit(), ALL, both.desk), pytest.raises(NotFound):
        seals.fetch_use(use_id)


def test_a_double_click_asks_for_a_seal_once(both: Office) -> None:
    record_id = both.new_case()
    with both.at_desk():
        document_id = issue("case_record", record_id, "zh").id
    together, refused = threading.Barrier(3), []

    def ask() -> None:
        with both.at_desk():
            together.wait()
            try:
                seals.ask_for(document_id, "company")
            except Refused:
                refused.append(1)

    people = [threading.Thread(target=ask) for _ in range(3)]
    for one in people:
        one.start()
    for one in people:
        one.join()
    with both.at_desk():
        asked = [use for use in seals.uses_of([document_id]) if use.seal == "company"]
    assert (len(asked), len(refused)) == (1, 2)


def test_nobody_seals_an_earlier_version(office: Office) -> None:
    record_id = office.new_case()
    with office.at_desk():
        first = issue("case_record", record_id, "zh")
        extra = seals.ask_for(first.id, "company", 2, "合同附件")
        with pytest.raises(InvalidData):
            seals.void(extra.id, " ")
        assert seals.void(extra.id, "不需要").state == VOID
        with transaction():
            seals.mark_sealed(seals.uses_of([first.id])[0].id, 1, "寄给顾客")
    _change(office, record_id, product_text="LN-30")
    with office.at_desk():
        second = issue("case_record", record_id, "zh")
        assert [use.state for use in seals.uses_of([first.id])] == [SEALED, VOID]  # what is sealed stays
        with pytest.raises(Refused):
            seals.ask_for(first.id, "company")
        with transaction():
            late = SealUse(unit_id=office.unit.id, document_id=first.id, seal="finance", asked_at=clock.now())
            session().add(late)
        with pytest.raises(Refused):
            seals.mark_sealed(late.id, 1, "x")
        assert second.version == 2


def test_every_declared_form_has_its_template(sqlite_app: Any) -> None:
    with sqlite_app.app_context():
        found = services.forms()
        assert {"case_record", "customer_file", "products.file"} <= {form.code for form in found}
        assert not [form.code for form in found if not services.template_of(form).is_file()]
