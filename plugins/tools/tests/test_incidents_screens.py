"""Incidents in the browser and over the API: reports with photos, one's own page, deductions, disposal, papers."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from core.kernel import clock
from core.sdk import Attachment, Record, User, approvals, documents, perform, uuid7
from plugins.tools import clearance, count_rows, counts, deductions, disposal, values
from plugins.tools.models import Deduction, Incident
from tests.api_scene import Asker, token_of
from tests.helpers import login

from .scene import Place, code_of, drawn, make_place
from .test_disposal import ASK
from .test_incidents import approve, judge, lost_and_owed, only, report

LIST, DEDUCTIONS = "/admin/tools/incidents/", "/admin/tools/deductions/"
NEW = "/p/tools/incident/new"
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def place(app: Flask) -> Place:
    made = make_place()
    made.now = clock.now() - timedelta(hours=3)
    return made


def browser(app: Flask, place: Place, user: User) -> FlaskClient:
    return login(app.test_client(), user, unit=place.unit)


def newest(place: Place) -> Incident:
    return place.all(select(Incident).order_by(Incident.id.desc()).limit(1))[0]


def photo() -> tuple[io.BytesIO, str]:
    import base64

    return io.BytesIO(base64.b64decode(drawn().partition(",")[2])), "照片.png"


def test_a_holder_reports_on_the_phone_with_photos(app: Flask, place: Place) -> None:
    tool = place.tool()
    place.issue(place.ann, tool)
    client = browser(app, place, place.ann)
    page = client.get(f"{NEW}?tool={tool}")
    assert page.status_code == 200
    assert code_of(place, tool) in page.text
    assert 'name="breach"' not in page.text and 'name="user"' not in page.text
    key = re.findall(r'name="key" value="([^"]+)"', page.text)[-1]
    sent: dict[str, Any] = {"kind": values.DAMAGE, "tool": code_of(place, tool), "what": "摔坏", "key": key}
    answer = client.post(NEW, data={**sent, "photos": photo()}, content_type="multipart/form-data")
    assert answer.status_code == 302, re.findall(r'id="error-[^<]*<', answer.text)
    made = newest(place)
    assert place.state(tool) == values.DEFECTIVE
    files = place.all(select(Attachment.kind).where(Attachment.record_id == made.id))
    assert files == ["photo"]
    # Sent again it is the same one.
    client.post(NEW, data={**sent, "photos": photo()}, content_type="multipart/form-data")
    assert newest(place).id == made.id
    assert place.all(select(Attachment.kind).where(Attachment.record_id == made.id)) == ["photo"]


def test_what_is_wrong_stands_beside_its_field(app: Flask, place: Place) -> None:
    client = browser(app, place, place.keeper)
    answer = client.post(NEW, data={"kind": values.BREACH, "tool": "没有", "what": "", "key": str(uuid7())})
    assert answer.status_code == 422
    for name in ("what", "breach", "user"):
        assert f'id="error-{name}"' in answer.text, name
    answer = client.post(NEW, data={"kind": values.LOSS, "tool": "没有", "what": "x", "key": str(uuid7())})
    assert 'id="error-tool"' in answer.text


def test_somebody_elses_tool_is_not_told_of(app: Flask, place: Place) -> None:
    tool = place.tool()
    place.issue(place.bob, tool)
    client = browser(app, place, place.ann)
    assert client.get(f"{NEW}?tool={tool}").status_code == 404
    sent = {"kind": values.LOSS, "tool": code_of(place, tool), "what": "x", "key": str(uuid7())}
    answer = client.post(NEW, data=sent)
    assert answer.status_code == 422 and 'id="error-tool"' in answer.text
    key = report(place, tool, by=place.bob)
    assert client.get(f"/p/tools/incident/{key}").status_code == 404
    assert client.post(f"/p/tools/incident/{key}/object", data={"reason": "x"}).status_code == 404


@pytest.mark.clause("R35-6.2")
def test_the_person_sees_what_it_costs_and_agrees_on_their_page(app: Flask, place: Place) -> None:
    only(place, "R35-6.2")
    tool = place.tool()
    place.issue(place.ann, tool)
    place.later(minutes=10)
    key = report(place, tool, by=place.ann)
    judge(place, key, user=place.ann)
    client = browser(app, place, place.ann)
    url = f"/p/tools/incident/{key}"
    page = client.get(url).text
    assert "120.00" in page and f"{url}/object" in page and f"{url}/agree" not in page
    assert client.post(f"{url}/agree", data={"settlement": values.CASH}).status_code == 422
    approve(place, key)
    page = client.get(url).text
    assert f"{url}/agree" in page and 'value="in_kind"' in page
    answer = client.post(f"{url}/agree", data={"settlement": ""})
    assert answer.status_code == 422 and 'id="error-settlement"' in answer.text
    assert client.post(f"{url}/agree", data={"settlement": values.IN_KIND}).status_code == 302
    assert place.state(key) == values.CHARGED
    assert f"{url}/agree" not in client.get(url).text


def test_the_person_objects_on_their_page(app: Flask, place: Place) -> None:
    only(place, "R35-6.2")
    tool = place.tool()
    place.issue(place.ann, tool)
    key = report(place, tool, by=place.ann)
    judge(place, key, user=place.ann)
    client = browser(app, place, place.ann)
    answer = client.post(f"/p/tools/incident/{key}/object", data={"reason": ""})
    assert answer.status_code == 422 and 'id="error-reason"' in answer.text
    assert client.post(f"/p/tools/incident/{key}/object", data={"reason": "没丢"}).status_code == 302
    assert place.state(key) == values.REPORTED


@pytest.mark.parametrize("locale", ["en", "zh"])
def test_lists_and_pages_open(app: Flask, place: Place, locale: str) -> None:
    tool, key = lost_and_owed(place)
    for user in (place.keeper, place.manager, place.finance):
        client = browser(app, place, user)
        page = client.get(f"{LIST}?lang={locale}").text
        assert code_of(place, tool) in page
        for query in (
            "quick=open",
            "quick=money",
            "f_kind=loss",
            "f_person=安师傅",
            f"search={code_of(place, tool)}",
        ):
            assert f"/admin/record/{key}" in client.get(f"{LIST}?{query}").text, query
        assert f"/admin/record/{key}" not in client.get(f"{LIST}?quick=judge").text
        page = client.get(f"/admin/record/{key}").text
        assert 'id="panel-tools-incident"' in page and "168.00" in page
        assert 'id="panel-tools-incidents"' in client.get(f"/admin/record/{tool}").text


def test_a_deduction_is_entered_and_listed(app: Flask, place: Place) -> None:
    _tool, key = lost_and_owed(place)
    url = f"/p/tools/incident/{key}/deduct"
    assert browser(app, place, place.ann).get(url).status_code == 404
    client = browser(app, place, place.finance)
    assert url in client.get(f"/admin/record/{key}").text
    month = clock.now().strftime("%Y-%m")
    sent = {"month": month, "amount": "168.00", "wage": "5000", "minimum_wage": "2490", "key": str(uuid7())}
    answer = client.post(url, data=sent)
    assert answer.status_code == 422 and "GJ-2" not in place.state(key)
    sent["contract_clause"] = "第十二条"
    assert client.post(url, data=sent).status_code == 302
    assert client.post(url, data=sent).status_code == 302  # a second click
    assert len(place.all(select(Deduction))) == 1
    assert place.state(key) == values.CLOSED
    assert "168.00" in client.get(DEDUCTIONS).text
    assert browser(app, place, place.keeper).get(DEDUCTIONS).status_code == 403
    (row,) = place.all(select(Deduction))
    undo = f"/p/tools/deduction/{row.id}/undo"
    assert undo in client.get(f"/admin/record/{key}").text and client.get(undo).status_code == 200
    assert browser(app, place, place.keeper).get(undo).status_code == 404
    assert client.post(undo, data={"key": str(uuid7())}).status_code == 422  # it wants a reason
    assert client.post(undo, data={"reason": "扣错了人", "key": str(uuid7())}).status_code == 302
    assert (place.state(key), undo in client.get(f"/admin/record/{key}").text) == (values.CHARGED, False)
    assert "扣错了人" in client.get(f"/admin/record/{key}").text


def test_disposal_on_the_tools_page(app: Flask, place: Place) -> None:
    place.clause("R33-8.2")
    place.without("R35-5.3", "R33-8.1")
    tool = place.tool()
    place.step(tool, "retire", why="unfit", reason="不用了")
    client = browser(app, place, place.keeper)
    ask_url, do_url = f"/p/tools/tool/{tool}/disposal", f"/p/tools/tool/{tool}/dispose"
    page = client.get(f"/admin/record/{tool}").text
    assert ask_url in page and do_url not in page
    assert client.get(ask_url).status_code == 200
    assert client.post(ask_url, data={**ASK, "key": str(uuid7())}).status_code == 302
    subject = f"{disposal.SUBJECT}:{tool}"
    found = place.all(select(approvals.Approval).where(approvals.Approval.subject == subject))
    with place.acting(place.staff("service_leader")):
        approvals.agree(found[0].id, "同意")
    assert do_url in client.get(f"/admin/record/{tool}").text
    assert "城南回收站" in client.get(do_url).text
    sent = {"how": disposal.RECYCLED, "buyer": "城南回收站", "proof": "HS-1", "key": str(uuid7())}
    assert client.post(do_url, data=sent).status_code == 302
    assert place.state(tool) == values.SCRAPPED
    assert browser(app, place, place.ann).get(do_url).status_code == 404


# --- the API -------------------------------------------------------------------------------------


def test_incidents_over_the_api(app: Flask, place: Place) -> None:
    tool, key = lost_and_owed(place)
    other = place.tool()
    keeper = Asker(app, token_of(place.keeper, units=[place.unit]))
    rows = keeper.get("/tools/incidents").json["items"]
    assert [(one["tool"], one["person"], one["amount"]) for one in rows] == [
        (code_of(place, tool), "安师傅", "168.00")
    ]
    body = {"kind": values.DEFECT, "tool": code_of(place, other), "what": "不通电"}
    made = keeper.post("/tools/incidents", body)
    assert made.status_code == 201, made.text
    assert place.state(other) == values.DEFECTIVE
    assert keeper.post("/tools/incidents", {**body, "what": ""}).status_code == 422
    month = clock.now().strftime("%Y-%m")
    raw = {"month": month, "amount": "8.00", "contract_clause": "第十二条", "wage": "5000", "minimum_wage": "2490"}
    with place.acting(place.finance):
        deductions.enter(key, raw)
    finance = Asker(app, token_of(place.finance, units=[place.unit]))
    rows = finance.get("/tools/deductions").json["items"]
    assert [(one["person"], one["month"], one["amount"]) for one in rows] == [("安师傅", month, "8.00")]
    # Whoever may not see them is told of none.
    assert not keeper.get("/tools/deductions").json["items"]
    assert not Asker(app, token_of(place.ann, units=[place.unit])).get("/tools/incidents").json["items"]


# --- papers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", ["zh", "en"])
def test_the_papers_print(sqlite_app: Flask, locale: str) -> None:
    place = make_place()
    place.without("R33-8.2", "R35-5.3", "R33-8.1")
    tool, short = place.tool(serial="SN-9"), place.tool()
    place.step(tool, "retire", why="unfit", reason="不用了")
    with place.acting():
        disposal.dispose(tool, {"how": disposal.DESTROYED, "proof": "XH-7"})
        count = counts.begin(place.unit.id, {"party": place.store})
        sheet = count_rows.lines_of(count.id)
        assert [one.tool_id for one in sheet] == [short]
    with place.acting(place.manager):
        gone = clearance.begin(
            place.unit.id,
            {"kind": values.LEAVER, "user_id": place.ann.id, "last_day": place.now.date().isoformat()},
        ).id
    with place.acting(place.manager) as work:
        for form, key in (("tools.retirement", tool), ("tools.count", count.id), ("tools.clearance", gone)):
            content = documents.hand_out(form, work.get_one(Record, key), locale)
            assert content[:4] == b"%PDF", form


def test_a_leader_judges_on_the_incidents_page(app: Flask, place: Place) -> None:
    only(place, "R35-6.3")
    tool = place.tool(price=None)
    place.issue(place.ann, tool)
    place.later(minutes=5)
    key = report(place, tool, values.DAMAGE, by=place.ann)
    client = browser(app, place, place.manager)
    url = f"/admin/record/{key}/do/judge"
    page = client.get(url)
    assert page.status_code == 200
    assert f'<option value="{place.ann.id}"' in page.text and 'value="misuse"' in page.text
    sent = {"cause": values.MISUSE, "user": str(place.ann.id), "judgement": "当撬棍用"}
    answer = client.post(url, data=sent)
    assert answer.status_code == 422 and 'id="error-price"' in answer.text
    answer = client.post(url, data={**sent, "price": "100.01"})
    assert answer.status_code == 302, re.findall(r'id="error-[^<]*<', answer.text)
    page = client.get(f"/admin/record/{key}").text
    assert "50.01" in page and "R35-6.3" in page


def test_found_after_paying_both_pages_say_what_goes_back(app: Flask, place: Place) -> None:
    _tool, key = lost_and_owed(place)
    with place.acting(place.finance):
        perform(key, "settle", {"receipt": "SJ-1"})
    with place.acting():
        perform(key, "found_paid", {"reason": "在车上"})
    page = browser(app, place, place.ann).get(f"/p/tools/incident/{key}")
    assert page.status_code == 200 and "168.00" in page.text
    page = browser(app, place, place.finance).get(f"/admin/record/{key}")
    assert page.status_code == 200 and "168.00" in page.text
