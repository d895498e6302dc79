"""Agents and their contracts in the browser, from files and over the API."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from core.kernel import clock
from core.kernel import importing as files
from core.sdk import Record, session
from plugins.agents import contracts, panels_file, rights, settings
from plugins.agents.models import Agent, Contact, Contract
from plugins.products.models import Category
from tests.api_scene import Asker, token_of
from tests.helpers import as_system, in_scope, login, make_user

from .scene import ALL, CATEGORY, Place, make_place

AGENTS, CONTRACTS = "/admin/agents/agents/", "/admin/agents/contracts/"
FORM = {"name": "江苏华东工程机械有限公司", "kind": "agent", "level": "first", "regions": "江苏、安徽"}
DRAFT = {
    "name": "代理售后服务合同",
    "starts_on": "2025-01-01",
    "ends_on": "2025-12-15",
    "currency": "CNY",
    "out_payer": "customer",
    "receivable_per_visit": "120",
    "payable_tariff_percent": "80",
}
FILE = """名称,类型,级别,区域,电话,邮箱,税号,地址,联系人,联系人电话
江苏华东工程机械有限公司,,一级,江苏 安徽,025-84567890,a@example.cn,,南京市,王强,13812345678
大韩机械,合作厂,,,,,,,,
江苏华东 工程机械有限公司,代理商,,,,,,,,
坏行,朋友,九级,沪,12,没有,123,,李四,1
,代理商,,,,,,,,
"""


@pytest.fixture
def place(app: Flask) -> Iterator[Place]:
    made = make_place()
    with clock.frozen(made.now):
        yield made


def browser(app: Flask, place: Place, *permissions: str, locale: str = "en") -> FlaskClient:
    user = make_user(place.unit, permissions or ALL, locale=locale)
    return login(app.test_client(), user, unit=place.unit)


def one(place: Place, model: Any) -> Any:
    with place.acting() as work:
        row = work.scalars(select(model)).one()
        work.expunge(row)
        return row


def draft(place: Place, agent_id: int, **changes: Any) -> int:
    with place.acting():
        return contracts.register(place.unit.id, {**DRAFT, "agent_id": agent_id, **changes}).id


# --- agents --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("locale", "title"), [("en", "Agents and partners"), ("zh", "代理商")])
def test_an_agent_from_the_form_to_its_page(app: Flask, place: Place, locale: str, title: str) -> None:
    client = browser(app, place, locale=locale)
    assert title in client.get(AGENTS).text
    answer = client.post(f"{AGENTS}new/", data=FORM)
    assert answer.status_code == 302, answer.text
    page = client.get(answer.headers["Location"]).text
    assert "DL0001" in page and "江苏、安徽" in page
    assert FORM["name"] in client.get(f"{AGENTS}?f_region=江苏&f_kind=agent&f_level=first").text
    assert FORM["name"] not in client.get(f"{AGENTS}?f_region=广东").text
    assert FORM["name"] not in client.get(f"{AGENTS}?quick=ended").text
    assert FORM["name"] in client.get(f"{AGENTS}?q=DL0001").text


def test_what_is_wrong_stands_beside_its_field(app: Flask, place: Place) -> None:
    client = browser(app, place)
    for wrong in ({"name": "", "kind": "friend"}, {"phone": "12", "email": "x", "tax_number": "1"}):
        answer = client.post(f"{AGENTS}new/", data={**FORM, **wrong})
        assert answer.status_code == 422
        assert all(f'id="error-{name}"' in answer.text for name in wrong), wrong
    with as_system() as work:
        assert work.scalars(select(Agent)).all() == []


def test_an_agent_is_changed_once_at_a_time(app: Flask, place: Place) -> None:
    key = place.agent()
    client = browser(app, place)
    changed = {**FORM, "active": "1", "version": "1"}
    assert client.post(f"{AGENTS}edit/?id={key}", data=changed).status_code == 302
    assert client.post(f"{AGENTS}edit/?id={key}", data=changed).status_code == 409


def test_another_units_agent_is_not_there(app: Flask, place: Place) -> None:
    other = make_place()
    key = other.agent(name="别家")
    contact, _user = other.contact(key)
    client = browser(app, place)
    for path in (f"{AGENTS}details/?id={key}", f"{AGENTS}edit/?id={key}", f"{AGENTS}details/?id=x"):
        assert client.get(path).status_code == 404, path
    for path in (f"contact/new/{key}", f"contact/{contact}", f"contact/{contact}/sign-in", "contact/new/0"):
        assert client.get(f"/p/agents/{path}").status_code == 404, path
    assert "别家" not in client.get(AGENTS).text


def test_who_only_looks_changes_nothing(app: Flask, place: Place) -> None:
    key = place.agent()
    contact, _user = place.contact(key)
    client = browser(app, place, rights.VIEW)
    page = client.get(f"{AGENTS}details/?id={key}")
    assert page.status_code == 200 and "/contact/" not in page.text
    assert client.post(f"{AGENTS}new/", data=FORM).status_code == 403
    for path in (f"contact/new/{key}", f"contact/{contact}", f"contact/{contact}/sign-in"):
        assert client.post(f"/p/agents/{path}", data={"name": "x"}).status_code == 404, path


def test_a_contact_and_its_sign_in(app: Flask, place: Place) -> None:
    key = place.agent()
    client = browser(app, place)
    wrong = client.post(f"/p/agents/contact/new/{key}", data={"name": "王强", "role": "finance", "phone": "1"})
    assert wrong.status_code == 422 and 'id="error-phone"' in wrong.text
    assert client.post(f"/p/agents/contact/new/{key}", data={"name": "王强", "role": "finance"}).status_code == 302
    url = f"/p/agents/contact/{one(place, Contact).id}"
    assert f"{url}/sign-in" in client.get(f"{AGENTS}details/?id={key}").text
    shown = client.post(f"{url}/sign-in", data={"username": "wangqiang"})
    password = re.search(r"[a-z2-9]{4}(?:-[a-z2-9]{4}){3}", shown.text)
    assert shown.status_code == 200 and password is not None
    page = client.get(f"{AGENTS}details/?id={key}").text
    assert "wangqiang" in page and password[0] not in page and f"{url}/sign-in" not in page
    again = client.post(f"{url}/sign-in", data={"username": "other"})
    assert again.status_code == 422 and password[0] not in again.text
    gone = client.post(url, data={"name": "王强", "role": "finance", "version": str(one(place, Contact).version)})
    assert gone.status_code == 302
    assert (one(place, Contact).active, one(place, Contact).user_id) == (False, None)


def test_who_gives_rights_gives_sign_ins_without_seeing_agents(app: Flask, place: Place) -> None:
    with as_system() as work:
        work.add(Contact(unit_id=place.unit.id, agent_id=place.agent(), name="李四", role="business"))
    client = browser(app, place, "user.admin")
    page = client.get("/admin/agents/people/?quick=without").text
    url = f"/p/agents/contact/{one(place, Contact).id}/sign-in"
    assert "李四" in page and url in page
    assert client.get(AGENTS).status_code == 403
    assert client.post(url, data={"username": "lisi"}).status_code == 200
    assert "lisi" in client.get("/admin/agents/people/?quick=with").text


# --- contracts -----------------------------------------------------------------------------------


def test_a_contract_from_the_form_to_its_record(app: Flask, place: Place) -> None:
    place.item()
    agent = place.agent(regions=["江苏"])
    client = browser(app, place)
    assert "DL" in client.get(f"{CONTRACTS}new/?agent={agent}").text
    bad = client.post(f"{CONTRACTS}new/", data={**DRAFT, "series": "没有"})
    assert bad.status_code == 422
    assert 'id="error-agent_id"' in bad.text
    bad = client.post(f"{CONTRACTS}new/", data={**DRAFT, "agent_id": agent, "series": "没有"})
    assert bad.status_code == 422 and 'id="error-series"' in bad.text
    made = client.post(f"{CONTRACTS}new/", data={**DRAFT, "agent_id": agent, "series": CATEGORY})
    assert made.status_code == 302, made.text
    page = client.get(made.headers["Location"]).text
    assert "120.00" in page and "80.00%" in page and CATEGORY in page and "江苏" in page
    key = one(place, Contract).id
    edit = client.get(f"{CONTRACTS}edit/?id={key}").text
    assert 'value="120.00"' in edit
    assert DRAFT["name"] in client.get(f"{CONTRACTS}?f_agent={agent}&f_state=draft").text
    assert DRAFT["name"] not in client.get(f"{CONTRACTS}?f_agent=谁").text
    assert DRAFT["name"] in client.get(f"{AGENTS}details/?id={agent}").text


@pytest.mark.parametrize(
    ("ends_on", "quick", "tile"),
    [
        ("2025-11-03", "soon", "agents_soon"),
        ("2026-01-02", "soon", "agents_soon"),
        ("2026-01-03", "", ""),
        ("2025-11-02", "over", "agents_over"),
        ("", "", ""),
    ],
)
def test_a_contract_that_ends_is_announced(app: Flask, place: Place, ends_on: str, quick: str, tile: str) -> None:
    """The warning comes 60 days before; a contract that ran out stays in sight until it is ended."""
    key = draft(place, place.agent(), ends_on=ends_on)
    with as_system() as work:
        work.get_one(Record, key).state = "in_force"
    client = browser(app, place, locale="en")
    for tab in ("soon", "over"):
        assert (DRAFT["name"] in client.get(f"{CONTRACTS}?quick={tab}").text) == (tab == quick)
    with app.test_request_context(), in_scope(place.unit, ALL, place.desk):
        assert [one_.code for one_ in panels_file.tiles(place.unit, place.desk.id)] == ([tile] if tile else [])


def test_how_long_before_is_the_units_choice(app: Flask, place: Place) -> None:
    key = draft(place, place.agent(), ends_on="2025-11-20")
    with as_system() as work:
        work.get_one(Record, key).state = "in_force"
    place.office.set(settings.CONTRACT_WARN_DAYS, 10)
    client = browser(app, place)
    assert DRAFT["name"] not in client.get(f"{CONTRACTS}?quick=soon").text


def test_contracts_of_others_in_the_region_are_shown(app: Flask, place: Place) -> None:
    first = draft(place, place.agent(name="甲公司", regions=["江苏"]), name="甲的合同")
    with as_system() as work:
        work.get_one(Record, first).state = "in_force"
        number = work.get_one(Record, first).number
    second = draft(place, place.agent(name="乙公司", regions=["江苏省"]), name="乙的合同")
    client = browser(app, place)
    page = client.get(client.get(f"{CONTRACTS}details/?id={second}").headers["Location"]).text
    assert "甲公司" in page and number in page


def test_the_lists_ask_as_often_with_many(app: Flask, place: Place, count_queries: Any) -> None:
    client = browser(app, place)

    def asked(path: str) -> int:
        client.get(path)
        with count_queries() as seen:
            assert client.get(path).status_code == 200
        return len(seen)

    agent = place.agent()
    draft(place, agent)
    before = [asked(path) for path in (AGENTS, CONTRACTS, f"{AGENTS}details/?id={agent}")]
    for _ in range(4):
        draft(place, agent)
        draft(place, place.agent())
        place.contact(agent)
    assert [asked(path) for path in (AGENTS, CONTRACTS)] == before[:2]
    assert asked(f"{AGENTS}details/?id={agent}") == before[2]


# --- files and API -------------------------------------------------------------------------------


def stage(place: Place, text: str) -> int:
    with place.acting() as work:
        run = files.stage("agents-file", place.unit.id, io.BytesIO(text.encode()), "代理商.csv")
        work.commit()
        return run.id


def check(place: Place, run_id: int) -> tuple[dict[str, int], dict[int, set[str]]]:
    with place.acting():
        run = session().scalars(select(files.ImportRun).where(files.ImportRun.id == run_id)).one()
        counts = files.check(run)
        return counts, {row.line: {name for name, _ in row.errors} for row in files.preview_rows(run, "error")}


def test_a_file_is_looked_at_first_and_bad_rows_stay_out(place: Place) -> None:
    run_id = stage(place, FILE)
    counts, errors = check(place, run_id)
    assert (counts["create"], counts["error"]) == (2, 3)
    assert errors == {
        4: {"name"},
        5: {"kind", "level", "regions", "phone", "email", "tax_number", "contact_phone"},
        6: {"name"},
    }
    with place.acting() as work:
        assert work.scalars(select(Agent)).all() == []
        files.confirm(run_id)
    with place.acting() as work:
        rows = work.scalars(select(Agent).order_by(Agent.id)).all()
        assert [(row.code, row.kind, row.level, row.regions) for row in rows] == [
            ("DL0001", "agent", "first", ["江苏", "安徽"]),
            ("DL0002", "partner", "", []),
        ]
        contact = work.scalars(select(Contact)).one()
        assert (contact.name, contact.phone, contact.role) == ("王强", "138 1234 5678", "business")


def test_a_name_on_file_updates_and_empty_cells_change_nothing(place: Place) -> None:
    for text in (FILE.splitlines()[:2], [FILE.splitlines()[0], "江苏华东工程机械有限公司,,,上海,,,,,王强,"]):
        run_id = stage(place, "\n".join(text) + "\n")
        with place.acting():
            files.confirm(run_id)
    row = one(place, Agent)
    assert (row.regions, row.level, row.email) == (["上海"], "first", "a@example.cn")
    assert one(place, Contact).name == "王强"
    counts, _errors = check(place, stage(place, "\n".join(text) + "\n"))
    assert counts["same"] == 1


def test_agents_over_the_api(app: Flask, place: Place) -> None:
    user = make_user(place.unit, ("api.use", rights.VIEW, rights.KEEP))
    api = Asker(app, token_of(user, units=[place.unit]))
    first = api.post("/agents/agents", FORM, Idempotency_Key="a1")
    assert first.status_code == 201, first.text
    again = api.post("/agents/agents", FORM, Idempotency_Key="a1")
    assert again.json["id"] == first.json["id"] and again.headers["Idempotency-Replayed"] == "true"
    assert api.post("/agents/agents", FORM).status_code == 422
    path = f"/agents/agents/{first.json['id']}"
    changed = api.patch(path, {"phone": "13812345678"}, If_Match=first.headers["ETag"])
    assert changed.status_code == 200, changed.text
    assert (changed.json["phone"], changed.json["regions"]) == ("138 1234 5678", "江苏, 安徽")
    key = draft(place, first.json["id"])
    shown = api.get(f"/agents/contracts/{key}").json
    assert (shown["agent"], shown["state"]) == ("DL0001", "draft")
    assert {(one_["basis"], one_["amount"]) for one_ in shown["rates"]} == {
        ("per_visit", "120.00"),
        ("tariff_percent", "80.00"),
    }
    stranger = make_place()
    other = Asker(app, token_of(make_user(stranger.unit, ("api.use", rights.VIEW)), units=[stranger.unit]))
    assert other.get(path).status_code == 404
    assert other.get(f"/agents/contracts/{key}").status_code == 404


def test_a_contract_that_names_a_renamed_series_says_so(app: Flask, place: Place) -> None:
    place.item()
    key = place.contract(place.agent(), series=[CATEGORY])
    client = browser(app, place)
    said = "Names a series that does not exist"
    assert said not in client.get(CONTRACTS).text + client.get(f"/admin/record/{key}").text
    with as_system() as work:
        work.scalars(select(Category).where(Category.name == CATEGORY)).one().name = "剪叉平台"
    assert said in client.get(CONTRACTS).text
    page = client.get(f"/admin/record/{key}", follow_redirects=True).text
    assert said in page and CATEGORY in page
