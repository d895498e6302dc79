"""The case screens over HTTP: a whole life by phone, on two databases, and what bad input and other units see."""

from __future__ import annotations

import base64
import io
import re
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask.testing import FlaskClient

from core.kernel import clock
from core.kernel.extensions import Panel, Unavailable
from core.records.models import Attachment, Fact, Record
from core.units.models import Unit
from core.users.models import User
from core.users.permissions import CORE_PERMISSIONS
from tests import helpers

EVERYTHING = frozenset(p.code for p in CORE_PERMISSIONS)
FIELD = {"case.view", "case.handle", "case.confirm", "attachment.add", "attachment.view"}
PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
    b"\x00\x00\x00\nIDATx\x9cc\x00\x01\x00\x00\x05\x00\x01\r\n-\xb4\x00\x00\x00\x00IEND\xaeB`\x82"
)

# What R31-3.1 and R27-2.3.2 ask for before the end of a repair.
SETTLED = {"plan": "加氟并检漏", "agreed": "1"}


@dataclass
class Scene:
    unit: Unit
    head: User
    technician: User
    client: FlaskClient
    app: Any

    def as_user(self, user: User) -> FlaskClient:
        return helpers.login(self.app.test_client(), user)


@pytest.fixture
def scene(app: Any) -> Scene:
    unit = helpers.make_unit(code="HQ")
    helpers.make_position(code="after_sales", title="售后服务部")
    head = helpers.make_user(unit, EVERYTHING, name="王主管", locale="en")
    technician = helpers.make_user(unit, FIELD, name="李师傅", locale="en")
    return Scene(unit, head, technician, helpers.login(app.test_client(), head), app)


JSON = {"Accept": "application/json"}
LATER = "2099-01-01T09:00"
INTAKE = {
    "customer_name": "张三",
    "contact_phone": "13812345678",
    "address_text": "浙江省杭州市西湖区文三路1号",
    "channel": "phone",
    "nature": "repair",
    "urgency": "urgent",
    "product_text": "KFR-35",
    "description": "空调不制冷",
}


def register(client: FlaskClient, **changes: Any) -> str:
    """Register a case through the form and return the address of its page."""
    data = {**INTAKE, "key": uuid.uuid4().hex, **changes}
    answer = client.post("/admin/cases/new", data=data)
    assert answer.status_code == 302, answer.get_data(as_text=True)
    return str(answer.headers["Location"]).split("?")[0]


def do(client: FlaskClient, page: str, step: str, **data: Any) -> Any:
    """Send a step's form as the page shows it now, with its version."""
    shown = client.get(f"{page}/do/{step}")
    assert shown.status_code == 200, shown.get_data(as_text=True)[:500]
    hidden = dict(re.findall(r'name="(key|version)" value="([^"]+)"', shown.get_data(as_text=True)))
    return client.post(f"{page}/do/{step}", data={**hidden, **data})


def text_of(client: FlaskClient, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200, answer.get_data(as_text=True)[:500]
    return answer.get_data(as_text=True)


@contextmanager
def stored(scene: Scene) -> Any:
    with helpers.as_system() as work:
        yield work


def state_of(page: str) -> str:
    with helpers.as_system() as work:
        return str(work.get(Record, int(page.rsplit("/", 1)[1])).state)


def test_a_case_lives_from_the_call_to_the_archive(scene: Scene) -> None:
    page = register(scene.client)
    for step, data in (
        ("forward", {"position": "after_sales"}),
        ("contact", {"reason": "已联系"}),
        ("classify", {"nature": "repair", "urgency": "urgent"}),
        ("assign", {"assignee_id": str(scene.technician.id)}),
    ):
        assert do(scene.client, page, step, **data).status_code == 302, step
    phone = scene.as_user(scene.technician)
    assert "空调不制冷" in text_of(phone, "/my/")
    for step, data in (
        ("accept", {}),
        ("depart", {}),
        ("arrive", {}),
        ("wait", {"why": "parts", "reason": "等压缩机"}),
        ("resume", {}),
        ("solve", {"cause": "缺氟", "process": "加氟", "parts_used": "none", "test_result": "正常", **SETTLED}),
        ("send_result", {"message": "已修好"}),
        ("confirm", {"means": "phone", "rating": "5"}),
    ):
        answer = do(phone, page, step, **data)
        assert answer.status_code == 302, (step, answer.get_data(as_text=True)[:3000])
    assert do(scene.client, page, "close").status_code == 302
    assert state_of(page) == "closed"
    shown = text_of(scene.client, page)
    for words in ("Assigned", "李师傅", "等压缩机", "Waiting for parts", "缺氟", "已修好", "Archived"):
        assert words in shown, words
    assert do(scene.client, page, "reopen", reason="又坏了").status_code == 302
    assert state_of(page) == "classified"


def test_what_is_refused_is_greyed_with_clause_and_reason_and_kept_as_evidence(scene: Scene) -> None:
    page = register(scene.client, nature="", urgency="")
    shown = text_of(scene.client, page)
    assert "Nature and urgency must be set first" in shown and "R01-4.2" in shown
    assert 'href="' + page + '/do/assign"' not in shown
    answer = do(scene.client, page, "assign", assignee_id=str(scene.technician.id))
    assert answer.status_code == 409
    told = answer.get_data(as_text=True)
    assert "Nature and urgency must be set first" in told and "R01-4.2" in told
    assert f'selected value="{scene.technician.id}"' in told, "what was chosen is kept"
    assert "Refused steps kept as evidence" in text_of(scene.client, page)
    assert state_of(page) == "registered"


def test_the_little_one_may_do_is_a_button_and_not_hidden_in_a_menu(scene: Scene) -> None:
    page = register(scene.client)
    clerk = helpers.make_user(scene.unit, {"case.view", "case.chase"}, name="接线员", locale="en")
    shown = text_of(scene.as_user(clerk), page)
    assert f"{page}/do/chase" in shown and "step-menu" not in shown


def test_imported_history_says_in_words_where_it_comes_from(scene: Scene) -> None:
    page = register(scene.client)
    with helpers.as_system() as work:
        told = {"record_id": int(page.rsplit("/", 1)[1]), "unit_id": scene.unit.id, "seq": 99, "kind": "responded"}
        work.add(Fact(**told, at=clock.now(), entered_at=clock.now(), data={"source": "service_log"}))
    shown = text_of(scene.client, page)
    assert "Service log" in shown and "service_log" not in shown


def test_who_comes_second_is_told_and_nothing_is_overwritten(scene: Scene) -> None:
    page = register(scene.client)
    opened = text_of(scene.client, f"{page}/do/classify")
    hidden = dict(re.findall(r'name="(key|version)" value="([^"]+)"', opened))
    assert do(scene.client, page, "forward", position="after_sales").status_code == 302
    answer = scene.client.post(f"{page}/do/classify", data={**hidden, "nature": "complaint", "urgency": "normal"})
    assert answer.status_code == 409
    told = answer.get_data(as_text=True)
    assert "Somebody else has changed this" in told and 'selected value="complaint"' in told
    assert state_of(page) == "forwarded"
    again = dict(re.findall(r'name="(key|version)" value="([^"]+)"', told))
    done = scene.client.post(f"{page}/do/classify", data={**again, "nature": "complaint", "urgency": "normal"})
    assert done.status_code == 302 and state_of(page) == "classified"


def test_editing_with_a_stale_version_overwrites_nothing(scene: Scene) -> None:
    page = register(scene.client)
    edit = "/admin/cases/" + page.rsplit("/", 1)[1] + "/edit"
    version = re.search(r'name="version" value="(\d+)"', text_of(scene.client, edit))
    assert version
    changed = {**INTAKE, "contact_name": "李四", "description": "改了"}
    assert scene.client.post(edit, data={**changed, "version": version[1]}).status_code == 302
    late = scene.client.post(edit, data={**INTAKE, "contact_name": "王五", "version": version[1]})
    assert late.status_code == 409 and "王五" in late.get_data(as_text=True)
    assert "改了" in text_of(scene.client, page)


def test_a_double_click_makes_one_case(scene: Scene) -> None:
    key = uuid.uuid4().hex
    assert register(scene.client, key=key) == register(scene.client, key=key)
    with helpers.as_system() as work:
        assert len(work.query(Record).all()) == 1


def test_a_double_click_on_a_step_does_it_once(scene: Scene) -> None:
    page = register(scene.client)
    data = {"key": uuid.uuid4().hex, "reason": "催"}
    for _again in range(2):
        assert scene.client.post(f"{page}/do/chase", data=data).status_code == 302
    with helpers.as_system() as work:
        assert work.query(Record).one().chase_count == 1


def test_bad_input_is_told_beside_the_field_and_changes_nothing(scene: Scene) -> None:
    answer = scene.client.post(
        "/admin/cases/new", data={**INTAKE, "contact_phone": "123", "description": "", "key": "k1"}
    )
    assert answer.status_code == 422
    told = answer.get_data(as_text=True)
    assert "Please fill this in" in told and "张三" in told
    assert "choose the files again" not in told
    with helpers.as_system() as work:
        assert not work.query(Record).all()


def test_the_caller_search_shows_open_cases_first_and_one_click_chases(scene: Scene) -> None:
    page = register(scene.client)
    for typed in ("13812345678", "5678", "张三"):
        found = text_of(scene.client, f"/admin/cases/caller?q={typed}")
        assert found.index("空调不制冷") < found.index("Customers"), typed
        assert f"{page}/do/chase" in found
    answer = scene.client.post(f"{page}/do/chase", data={"key": "c1", "reason": ""})
    assert answer.status_code == 302
    assert "Chased 1" in text_of(scene.client, page)


def test_a_company_is_called_by_its_contact_and_nobody_else_is_made_up(scene: Scene) -> None:
    company = {"customer_name": "杭州盟新科技有限公司", "contact_name": "马林"}
    register(scene.client, **company, contact_phone="13112355344")
    assert 'data-contact="马林"' in text_of(scene.client, "/admin/cases/caller?q=盟新")
    register(scene.client, customer_name="杭州恒远科技有限公司", contact_phone="13112355345")
    assert 'data-contact=""' in text_of(scene.client, "/admin/cases/caller?q=恒远")


def test_an_unknown_caller_says_so(scene: Scene) -> None:
    assert "Nobody found" in text_of(scene.client, "/admin/cases/caller?q=13900000000")


def test_a_pasted_line_is_split(scene: Scene) -> None:
    line = "张三 13812345678 浙江省杭州市西湖区文三路1号 空调不制冷"
    answer = scene.client.post("/admin/cases/split", data={"text": line})
    assert answer.json["description"] == "空调不制冷"
    assert answer.json["customer_name"] == "张三"
    assert answer.json["contact_phone"].replace(" ", "") == "13812345678"
    assert answer.json["address_text"].startswith("浙江省杭州市")


def test_files_come_with_the_intake_and_pictures_show_inline(scene: Scene) -> None:
    page = register(scene.client, files=(io.BytesIO(PNG), "故障.png"))
    shown = text_of(scene.client, page)
    assert "故障.png" in shown
    link = re.search(r'src="(/admin/record/file/\d+)"', shown)
    assert link
    sent = scene.client.get(link[1], buffered=True)
    assert sent.data == PNG and sent.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in sent.headers["Content-Security-Policy"]
    assert "attachment" not in sent.headers.get("Content-Disposition", "")


def test_a_disguised_file_is_refused_and_the_case_is_not_half_made(scene: Scene) -> None:
    page = register(scene.client)
    bad = (io.BytesIO(b"<html><script>alert(1)</script>"), "photo.jpg")
    answer = scene.client.post(f"{page}/files", data={"file": bad})
    assert answer.status_code == 422
    dropped = scene.client.post(
        f"{page}/paste",
        data={"file": (io.BytesIO(b"MZ\x90\0program"), "a.png")},
        headers={"Accept": "application/json"},
    )
    assert dropped.status_code == 422 and dropped.json["error"]
    whole = scene.client.post(
        "/admin/cases/new", data={**INTAKE, "key": "k2", "files": (io.BytesIO(b"<svg onload=x>"), "a.png")}
    )
    assert whole.status_code == 422
    with helpers.as_system() as work:
        assert len(work.query(Record).all()) == 1
        assert not work.query(Fact).filter_by(kind="attachment").all()


def test_markup_in_what_customers_say_is_shown_as_text(scene: Scene) -> None:
    evil = "<img src=x onerror=alert(1)>"
    page = register(scene.client, description=evil, customer_name=evil[:20])
    assert scene.client.post(f"{page}/comment", data={"text": evil}).status_code == 302
    for url in (page, "/admin/cases/", "/admin/records/", "/admin/cases/caller?q=13812345678", "/admin/"):
        shown = text_of(scene.client, url)
        assert "<img src=x" not in shown, url
    assert "&lt;img src=x" in text_of(scene.client, page)


def test_another_unit_sees_nothing_by_any_route(scene: Scene) -> None:
    page = register(scene.client, files=(io.BytesIO(PNG), "a.png"))
    number = page.rsplit("/", 1)[1]
    shown = text_of(scene.client, page)
    link = re.search(r'src="(/admin/record/file/\d+)"', shown)
    assert link
    scene.client.post(f"{page}/remind", data={"text": "回电", "due_at": "2099-01-01T09:00"})
    reminder = re.search(r"/admin/record/reminder/\d+/done", text_of(scene.client, page))
    assert reminder
    stranger = scene.as_user(helpers.make_user(helpers.make_unit(), EVERYTHING))
    reads = [page, link[1], f"/admin/cases/{number}/edit", f"/my/{number}"]
    reads += [f"{page}/do/forward", *(f"{page}/{form}" for form in ("call", "fact", "comment", "remind", "files"))]
    for url in reads:
        assert stranger.get(url).status_code == 404, url
    writes = [f"{page}/do/forward", f"{page}/do/cancel", reminder[0], f"/admin/cases/{number}/edit"]
    writes += [
        f"{page}/{form}"
        for form in ("call", "fact", "comment", "remind", "files", "watch", "stage", "reveal", "paste")
    ]
    writes += [f"/my/{number}/do/accept"]
    data = {"text": "x", "reason": "x", "on": "1", "position": "gm", "kind": "arrived", "result": "busy"}
    for url in writes:
        sent = {**data, "due_at": "2099-01-01T09:00", "file": (io.BytesIO(PNG), "a.png")}
        assert stranger.post(url, data=sent).status_code == 404, url
    assert "空调不制冷" not in text_of(stranger, "/admin/cases/")
    assert "空调不制冷" not in text_of(stranger, "/admin/cases/caller?q=13812345678")
    assert state_of(page) == "registered"


def test_the_first_page_shows_what_waits_for_ones_position(scene: Scene) -> None:
    register(scene.client, description="空调不制冷")
    clerk = helpers.make_user(scene.unit, {"case.view", "case.forward"}, name="接线员", locale="en")
    watcher = helpers.make_user(scene.unit, {"case.view"}, name="旁观者", locale="en")
    assert "空调不制冷" in text_of(scene.as_user(clerk), "/admin/")
    assert "空调不制冷" not in text_of(scene.as_user(watcher), "/admin/")
    page = register(scene.client, description="洗衣机漏水", contact_phone="13812345679")
    do(scene.client, page, "classify", nature="repair", urgency="normal")
    do(scene.client, page, "assign", assignee_id=str(scene.technician.id))
    assert "洗衣机漏水" not in text_of(scene.client, "/admin/")
    assert "洗衣机漏水" in text_of(scene.as_user(scene.technician), "/admin/")


@pytest.mark.parametrize("bad", ["abc", "0", "-1", "1e9", "9" * 30, "%00", "1.5", "②"])
def test_malformed_ids_are_not_found(scene: Scene, bad: str) -> None:
    for url in (f"/admin/record/{bad}", f"/admin/record/file/{bad}", f"/my/{bad}", f"/admin/cases/{bad}/edit"):
        assert scene.client.get(url).status_code == 404, url


def test_a_failing_panel_is_shown_as_unavailable_and_the_page_stays(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = register(scene.client)

    class Hooks:
        def record_panels(self, record: Record) -> list[Any]:
            broken = Panel("broken", "Broken one", "no/such/template.html")
            return [("one", [broken]), ("two", Unavailable("two", "record_panels"))]

    monkeypatch.setattr("core.admin.cases.page.hooks_for", lambda _enabled: Hooks())
    shown = text_of(scene.client, page)
    assert shown.count("This part is not available just now.") == 2 and "空调不制冷" in shown


def test_personal_data_is_masked_until_a_logged_look_up(scene: Scene) -> None:
    page = register(scene.client)
    shown = text_of(scene.client, page)
    assert "138****5678" in shown and "13812345678" not in shown.replace(" ", "")
    full = scene.client.post(f"{page}/reveal")
    assert "13812345678" in full.get_data(as_text=True).replace(" ", "")
    with helpers.as_system() as work:
        from core.kernel.audit import Audit

        logged = [row for row in work.query(Audit).all() if row.action == "case.contact_revealed"]
        assert len(logged) == 1 and logged[0].actor_id == scene.head.id
    viewer = scene.as_user(helpers.make_user(scene.unit, {"case.view"}))
    assert "Show in full" not in text_of(viewer, page)
    assert viewer.post(f"{page}/reveal").status_code == 403


def test_only_the_assignee_has_the_job_and_gives_it_back_with_a_reason(scene: Scene) -> None:
    page = register(scene.client)
    number = page.rsplit("/", 1)[1]
    do(scene.client, page, "assign", assignee_id=str(scene.technician.id))
    assert scene.client.get(f"/my/{number}").status_code == 404
    assert scene.client.post(f"/my/{number}/do/accept", data={"key": "x"}).status_code == 404
    phone = scene.as_user(scene.technician)
    assert "tel:13812345678" in text_of(phone, f"/my/{number}")
    assert phone.post(f"/my/{number}/do/decline", data={"key": "a"}).status_code == 422
    given_back = phone.post(f"/my/{number}/do/decline", data={"key": "b", "reason": "路太远"})
    assert given_back.headers["Location"].endswith("/my/")
    assert state_of(page) == "classified"
    assert phone.get(f"/my/{number}").status_code == 404


def test_what_was_done_without_a_network_keeps_its_time(scene: Scene) -> None:
    called = (clock.now() - timedelta(hours=9)).astimezone(ZoneInfo("Asia/Shanghai"))
    page = register(scene.client, received_at=called.strftime("%Y-%m-%dT%H:%M"))
    number = int(page.rsplit("/", 1)[1])
    fitter = helpers.make_user(scene.unit, FIELD | {"case.backdate"}, name="陈师傅", locale="en")
    do(scene.client, page, "assign", assignee_id=str(fitter.id))
    phone = scene.as_user(fitter)
    tapped = clock.now() - timedelta(hours=2)
    for step, when in (("depart", tapped), ("arrive", clock.now() - timedelta(days=3)), ("wait", "nonsense")):
        said = when if isinstance(when, str) else when.isoformat()
        sent = {"key": step, "tapped": said, "why": "parts", "reason": "等配件"}
        assert phone.post(f"/my/{number}/do/{step}", data=sent).status_code == 302
    sent = {"key": "call", "tapped": tapped.isoformat(), "result": "no_answer"}
    assert phone.post(f"/my/{number}/call", data=sent).status_code == 302
    # Sent again, because the answer was lost on the way.
    assert phone.post(f"/my/{number}/call", data=sent).status_code == 302
    with helpers.as_system() as work:
        assert work.query(Fact).filter_by(record_id=number, kind="call_attempt").count() == 1
        at = {fact.kind: fact.at for fact in work.query(Fact).filter_by(record_id=number)}
    assert at["departed"] == at["call_attempt"] == tapped
    # What cannot be believed counts as now.
    assert min(at["arrived"], at["paused"]) > clock.now() - timedelta(minutes=5)


def test_a_signature_is_kept_once_and_nonsense_is_refused(scene: Scene) -> None:
    page = register(scene.client)
    number = page.rsplit("/", 1)[1]
    do(scene.client, page, "assign", assignee_id=str(scene.technician.id))
    phone = scene.as_user(scene.technician)
    phone.post(f"/my/{number}/do/arrive", data={"key": "1"})
    done = {"cause": "缺氟", "process": "加氟", "parts_used": "无", "test_result": "正常", **SETTLED}
    assert phone.post(f"/my/{number}/do/solve", data={"key": "2", **done}).status_code == 302
    sent = {"means": "signature", "rating": "5", "key": "3"}
    for nonsense in ("hello", "data:image/png;base64,@@@", "data:image/svg+xml;base64,PHN2Zz4="):
        answer = phone.post(f"/my/{number}/do/confirm", data={**sent, "signature": nonsense})
        assert answer.status_code == 422 and "let the customer sign" in answer.get_data(as_text=True)
    assert state_of(page) == "solved"
    signed = {**sent, "signature": "data:image/png;base64," + base64.b64encode(PNG).decode()}
    for _retry in range(2):
        assert phone.post(f"/my/{number}/do/confirm", data=signed).status_code == 302
    with helpers.as_system() as work:
        assert [row.kind for row in work.query(Attachment).all()] == ["signature"]


def test_a_form_says_beforehand_that_its_step_is_refused(scene: Scene) -> None:
    page = register(scene.client, nature="", urgency="")
    assert "Nature and urgency must be set first" in text_of(scene.client, f"{page}/do/assign")


def test_a_record_whose_module_is_gone_stays_readable(scene: Scene) -> None:
    page = register(scene.client)
    with helpers.as_system() as work:
        work.query(Record).one().type = "gone.thing"
    shown = text_of(scene.client, page)
    assert "空调不制冷" in shown and "Nothing can be done with this record now" in shown
    assert "空调不制冷" in text_of(scene.client, "/admin/records/")
    assert scene.client.get(f"{page}/do/forward").status_code == 404


def test_opening_a_notice_marks_it_read(scene: Scene) -> None:
    page = register(scene.client)
    do(scene.client, page, "assign", assignee_id=str(scene.technician.id))
    phone = scene.as_user(scene.technician)
    shown = text_of(phone, "/admin/inbox/")
    number = re.search(r'name="id" value="(\d+)"', shown)
    assert number and "Assigned to you" in shown
    answer = phone.post("/admin/inbox/read", data={"id": number[1], "back": page})
    assert answer.headers["Location"].endswith(page)
    assert "Assigned to you" not in text_of(phone, "/admin/inbox/")


def test_whole_numbers_lead_straight_to_the_record(scene: Scene) -> None:
    page = register(scene.client)
    number = re.search(r"GD-HQ-\d+-\d+", text_of(scene.client, page))
    assert number
    answer = scene.client.get(f"/admin/search/?q={number[0].lower()}")
    assert answer.status_code == 302 and answer.headers["Location"].endswith(page)


def test_stages_are_the_units_own(scene: Scene) -> None:
    sent = {"place": "case:registered", "label": "等地址", "active": "1"}
    assert scene.client.post("/admin/stages/new/", data=sent).status_code == 302
    again = scene.client.post("/admin/stages/new/", data=sent)
    assert "has a stage of that name already" in again.get_data(as_text=True)
    page = register(scene.client)
    stage = re.search(r'<option value="(\d+)" >等地址', text_of(scene.client, page))
    assert stage
    assert scene.client.post(f"{page}/stage", data={"stage": stage[1]}).status_code == 302
    assert '">等地址</span>' in text_of(scene.client, page)
    other = helpers.make_unit()
    stranger = scene.as_user(helpers.make_user(other, EVERYTHING, locale="en"))
    foreign = register(stranger)
    assert stranger.post(f"{foreign}/stage", data={"stage": stage[1]}).status_code == 404


def test_what_happened_earlier_is_marked(scene: Scene) -> None:
    received = clock.now() - timedelta(hours=20)
    zone = ZoneInfo("Asia/Shanghai")
    page = register(scene.client, received_at=received.astimezone(zone).strftime("%Y-%m-%dT%H:%M"))
    answered = (received + timedelta(hours=2)).astimezone(zone).strftime("%Y-%m-%dT%H:%M")
    sent = {"kind": "responded", "at": answered, "note": "先前已回电"}
    assert scene.client.post(f"{page}/fact", data=sent).status_code == 302
    shown = text_of(scene.client, page)
    entry = shown[: shown.index("先前已回电")].rsplit("<li", 1)[1]
    assert "Entered later" in entry and answered.replace("T", " ") in entry


def test_comments_mention_call_attempts_and_next_actions(scene: Scene) -> None:
    page = register(scene.client)
    said = {"text": f"@{scene.technician.username} 请看", "visible": "1"}
    assert scene.client.post(f"{page}/comment", data=said).status_code == 302
    assert scene.client.post(f"{page}/call", data={"result": "no_answer"}).status_code == 302
    assert (
        scene.client.post(f"{page}/remind", data={"text": "下午回电", "due_at": "2099-01-01T09:00"}).status_code
        == 302
    )
    assert scene.client.post(f"{page}/comment", data={"text": " "}).status_code == 422
    shown = text_of(scene.client, page)
    for words in ("请看", "Customer may see", "No answer", "下午回电"):
        assert words in shown, words
    inbox = text_of(scene.as_user(scene.technician), "/admin/inbox/")
    assert "You were mentioned" in inbox and "请看" in inbox


def test_lists_filter_search_and_act_on_many(scene: Scene) -> None:
    first = register(scene.client)
    register(
        scene.client, customer_name="李四", contact_phone="13900001111", description="冰箱漏水", urgency="normal"
    )
    assert "冰箱漏水" not in text_of(scene.client, "/admin/cases/?f_urgency=urgent")
    for typed in ("漏水", "李四", "90000"):
        found = text_of(scene.client, f"/admin/cases/?search={typed}")
        assert "冰箱漏水" in found and "空调不制冷" not in found, typed
    for quick in ("open", "unassigned", "mine", "today", "overdue", "unconfirmed", "chased"):
        text_of(scene.client, f"/admin/cases/?quick={quick}")
    ids = [first.rsplit("/", 1)[1]]
    sent = {"action": "assign", "id": ids, "go": "1", "assignee_id": str(scene.technician.id)}
    assert scene.client.post("/admin/cases/action/", data=sent).status_code == 302
    assert state_of(first) == "assigned"
    failed = scene.client.post(
        "/admin/cases/action/",
        data={"action": "classify", "id": ids, "go": "1", "nature": "repair", "urgency": "normal"},
    )
    assert failed.status_code == 200 and "Not possible while the state is" in failed.get_data(as_text=True)
    book = scene.client.post("/admin/cases/export/?f_urgency=urgent", buffered=True)
    assert book.status_code == 200 and book.data[:2] == b"PK"


@pytest.mark.parametrize("url", ["/admin/cases/", "/admin/records/", "/my/", "/admin/"])
def test_lists_cost_the_same_for_few_and_many_rows(scene: Scene, count_queries: Any, url: str) -> None:
    def make(count: int) -> None:
        for n in range(count):
            page = register(scene.client, customer_name=f"客户{n}", contact_phone=f"138{n:08d}")
            sent = {"assignee_id": str(scene.head.id), "key": uuid.uuid4().hex}
            assert scene.client.post(f"{page}/do/assign", data=sent).status_code == 302

    make(3)
    scene.client.get(url)
    with count_queries() as few:
        text_of(scene.client, url)
    make(12)
    with count_queries() as many:
        text_of(scene.client, url)
    assert len(many) == len(few)


def test_the_record_page_costs_the_same_however_long_its_timeline(scene: Scene, count_queries: Any) -> None:
    page = register(scene.client)
    scene.client.post(f"{page}/comment", data={"text": "first"})
    text_of(scene.client, page)
    with count_queries() as few:
        text_of(scene.client, page)
    writers = [scene.client, scene.as_user(helpers.make_user(scene.unit, EVERYTHING, locale="en"))]
    for n in range(20):
        writers[n % 2].post(f"{page}/comment", data={"text": f"note {n}"})
        writers[n % 2].post(f"{page}/files", data={"file": (io.BytesIO(PNG + bytes([n])), f"{n}.png")})
    with count_queries() as many:
        text_of(scene.client, page)
    assert len(many) == len(few)
