"""The JSON API: tokens, units, pages, retries, versions, refusals, and what may be wrong with a request."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.api import door
from core.kernel import clock
from core.kernel.audit import Audit
from core.kernel.database import transaction
from core.records.models import Fact, Idempotency, Record
from core.rules import approvals
from core.units.models import Unit
from core.users.models import ApiToken, User
from core.users.permissions import all_permissions
from core.web.security import limiter
from tests.api_scene import Asker, token_of
from tests.casework import INTAKE, Office, make_office
from tests.helpers import as_system, in_scope, login, make_unit, make_user, switch_off, switch_on


def everything() -> list[str]:
    return [one.code for one in all_permissions()]


class Place:
    """One unit with the product file, somebody who may do everything, and a program with their token."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.office: Office = make_office("HQ")
        self.unit: Unit = self.office.unit
        switch_on(self.unit, "products")
        self.boss: User = make_user(self.unit, everything(), name="主任")
        self.api = Asker(app, token_of(self.boss))

    def asker(self, *scopes: str, **headers: str) -> Asker:
        return Asker(self.app, token_of(self.boss, *scopes), **headers)

    def case(self, **changes: Any) -> str:
        answer = self.api.post("/cases", {**INTAKE, **changes})
        assert answer.status_code == 201, answer.text
        return str(answer.json["uid"])


@pytest.fixture
def place(sqlite_app: Flask) -> Place:
    return Place(sqlite_app)


@pytest.fixture
def limited() -> Iterator[None]:
    limiter.enabled = True
    limiter.reset()
    yield
    limiter.enabled = False
    limiter.reset()


# --- tokens ----------------------------------------------------------------------------------------


def test_a_token_speaks_for_its_user_and_cookies_for_nobody(place: Place) -> None:
    said = place.api.get("/me").json
    assert said == {
        "user": {"id": place.boss.id, "name": "主任"},
        "token": "test",
        "scopes": ["*"],
        "units": ["HQ"],
    }
    browser = login(place.app.test_client(), place.boss)
    answer = browser.get("/api/v1/me")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.content_type == "application/problem+json"
    assert "Set-Cookie" not in place.api.get("/me").headers
    assert "Access-Control-Allow-Origin" not in place.api.get("/me", Origin="https://elsewhere.example").headers
    with as_system() as work:
        row = work.scalars(select(ApiToken)).first()
        assert len(row.token_hash) == 64 and row.last_used_at is not None and row.last_address == "127.0.0.1"
        trail = work.scalars(select(Audit).where(Audit.subject_type == "core_api_token")).all()
        assert trail and all(row.token_hash not in str(one.after) for one in trail)


def test_the_last_use_is_written_at_most_every_five_minutes(place: Place, frozen_clock: Any) -> None:
    start = clock.now()
    times = []
    for minutes in (0, 4, 6):
        frozen_clock(start + timedelta(minutes=minutes, seconds=1))
        place.api.get("/me")
        with as_system() as work:
            times.append(work.scalars(select(ApiToken.last_used_at)).first())
    assert times[0] == times[1] < times[2]


def test_who_lost_a_right_or_the_account_loses_it_here_at_once(place: Place) -> None:
    assert place.api.get("/charges").status_code == 200
    with as_system() as work:
        work.scalars(select(User).where(User.id == place.boss.id)).one().must_change_password = True
    assert place.api.get("/me").status_code == 403
    with as_system() as work:
        work.scalars(select(User).where(User.id == place.boss.id)).one().active = False
    assert place.api.get("/me").status_code == 401


def test_reading_scopes_never_write_not_even_for_the_assignee(place: Place) -> None:
    uid = place.case()
    # Without ``case.view`` they would be of another company, and see nothing here.
    technician = make_user(place.office.unit, ["case.view"])
    for step in ("classify", "assign"):
        form = {**place.office.usual(step), **({"assignee_id": technician.id} if step == "assign" else {})}
        assert place.api.post(f"/records/{uid}/transitions/{step}", form).status_code == 200, step
    reading = Asker(place.app, token_of(technician, "case.read"))
    assert reading.get(f"/cases/{uid}").json["contact"]["masked"] is False
    assert reading.get("/cases").json["items"][0]["uid"] == uid
    refused = reading.post(f"/records/{uid}/transitions/start", place.office.usual("start"))
    assert refused.status_code == 403
    assert 'scope="case.write"' in refused.headers["WWW-Authenticate"]
    assert Asker(place.app, token_of(technician, "customer.read")).get(f"/cases/{uid}").status_code == 403


def test_a_token_limited_to_units_stays_there(place: Place) -> None:
    below = make_unit("SHOP", place.unit)
    boss = make_user(place.unit, everything(), below=True)
    wide = Asker(place.app, token_of(boss))
    narrow = Asker(place.app, token_of(boss, units=[below]))
    place.case()
    assert wide.get("/me").json["units"] == ["HQ", "SHOP"]
    assert narrow.get("/me").json["units"] == ["SHOP"]
    assert (len(wide.get("/cases").json["items"]), len(narrow.get("/cases").json["items"])) == (1, 0)
    assert narrow.get("/cases", X_Unit="HQ").status_code == 404
    assert narrow.post("/cases", INTAKE).json["unit"] == "SHOP"
    missing = wide.post("/cases", INTAKE)
    assert (missing.status_code, list(missing.json["errors"])) == (422, ["unit"])
    assert wide.post("/cases", INTAKE, X_Unit="SHOP").json["unit"] == "SHOP"
    assert len(wide.get("/cases?unit=SHOP").json["items"]) == 2
    assert wide.get("/cases?unit=SHOP", X_Unit="HQ").status_code == 422


def test_wrong_tokens_and_too_many_requests_are_throttled(
    place: Place, limited: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "TOKEN_LIMIT", "5 per minute")
    guess = Asker(place.app, "sh_" + "x" * 43)
    seen = [guess.get("/me").status_code for _ in range(31)]
    assert seen[:30] == [401] * 30
    assert seen[30] == 429
    assert place.api.get("/me").status_code == 429  # from the same address
    limiter.reset()
    for _ in range(5):
        last = place.api.get("/me")
    assert last.status_code == 200
    late = place.api.get("/me")
    assert late.status_code == 429
    assert 1 <= int(late.headers["Retry-After"]) <= 60


# --- lists -----------------------------------------------------------------------------------------


def test_pages_filters_fields_and_counts(app: Flask) -> None:
    place = Place(app)
    made = [place.case(description=f"第{n}台不热", serial_text=f"SN00{n}") for n in range(5)]
    first = place.api.get("/cases?limit=2&fields=uid,number&count=1")
    assert [set(one) for one in first.json["items"]] == [{"uid", "number"}] * 2
    assert (first.json["count"], first.json["count_capped"]) == (5, False)
    assert first.headers["Link"] == f'<{first.json["next"]}>; rel="next"'
    seen, following = [], first.json
    while True:
        seen += [one["uid"] for one in following["items"]]
        if following["next"] is None:
            break
        following = place.api.get(following["next"].removeprefix("/api/v1")).json
    assert seen == made[::-1]
    moment = place.api.get(f"/cases/{made[2]}").json["received_at"].replace("Z", "%2B00:00")
    assert len(place.api.get(f"/cases?received_from={moment}").json["items"]) == 3
    assert len(place.api.get(f"/cases?received_to={moment}").json["items"]) == 2
    customer = place.api.get(f"/cases/{made[0]}").json["customer"]["uid"]
    assert [one["uid"] for one in place.api.get(f"/cases?customer={customer}").json["items"]] == [made[0]]
    assert [one["uid"] for one in place.api.get("/cases?q=SN003").json["items"]] == [made[3]]
    assert place.api.get("/cases?category=closed").json["items"] == []
    assert len(place.api.get("/records?type=case&state=registered").json["items"]) == 5
    assert len(place.api.get("/obligations?limit=200").json["items"]) >= 5
    assert len(place.api.get("/customers?phone=13112355344").json["items"]) == 5


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=1e1",
        "limit=２",
        "limit=5&limit=5",
        "cursor=abc",
        "cursor=",
        "fields=uid,nix",
        "fields=",
        "nix=1",
        "category=nix",
        "customer=1",
        "received_from=2026-01-01",
        "received_from=0001-01-01T00:00:00Z",
        "count=maybe",
        "assignee=99999999999",
        "q=" + "长" * 61,
    ],
)
def test_a_wrong_query_is_refused_by_name(place: Place, query: str) -> None:
    answer = place.api.get(f"/cases?{query}")
    assert answer.status_code == 422
    assert list(answer.json["errors"]) == [query.partition("=")[0]]


def test_a_cursor_is_of_one_list_and_not_made_up(place: Place) -> None:
    for n in range(2):
        place.case(description=f"第{n}台")
    cursor = place.api.get("/cases?limit=1").json["next"].partition("cursor=")[2]
    assert place.api.get(f"/cases?cursor={cursor}").status_code == 200
    for path in (f"/customers?cursor={cursor}", f"/cases?cursor={cursor[:-2]}xx", f"/clauses?cursor={cursor}"):
        assert place.api.get(path).status_code == 422, path


def test_a_list_asks_as_much_for_twenty_rows_as_for_two(place: Place, count_queries: Any) -> None:
    def fill(count: int) -> None:
        for n in range(count):
            place.case(description=f"{n}不热", serial_text=f"S{n}{count}")
            place.api.post("/products/items", {"serial": f"N{n}{count}", "model_id": model, "batch": f"B{n}"})

    def asked() -> dict[str, int]:
        found = {}
        for path in lists:
            with count_queries() as seen:
                assert place.api.get(f"{path}?limit=200").status_code == 200
            found[path] = len(seen)
        return found

    model = place.api.post("/products/models", {"code": "LN", "name": "炉"}).json["id"]
    lists = ["/cases", "/records", "/customers", "/obligations", "/products/items", "/products/models", "/units"]
    fill(2)
    asked()
    few = asked()
    fill(18)
    assert asked() == few
    assert few["/cases"] <= 4, few


# --- writing ---------------------------------------------------------------------------------------


def test_the_same_key_answers_the_first_again(app: Flask) -> None:
    place = Place(app)
    uid = place.case()
    asked: list[tuple[str, dict[str, Any]]] = [
        ("/cases", INTAKE),
        ("/customers", {"name": "张三", "phone": "13900001111"}),
        (f"/records/{uid}/comments", {"text": "好"}),
        (f"/records/{uid}/facts", {"kind": "contacted"}),
        (f"/records/{uid}/transitions/classify", {"nature": "repair", "urgency": "normal"}),
        ("/products/models", {"code": "LN-24", "name": "炉"}),
    ]
    for n, (path, body) in enumerate(asked):
        first = place.api.post(path, body, Idempotency_Key=f"k{n}")
        again = place.api.post(path, body, Idempotency_Key=f"k{n}", If_Match=first.headers.get("ETag", "*"))
        assert first.status_code in (200, 201), first.text
        assert (again.status_code, again.json) == (first.status_code, first.json), path
        assert again.headers["Idempotency-Replayed"] == "true"
        other = place.api.post(path, {**body, "note": "x"}, Idempotency_Key=f"k{n}")
        assert other.status_code in (409, 422), (path, other.text)
    files = [
        place.api.client.post(
            f"/api/v1/records/{uid}/attachments",
            data={"file": (io.BytesIO("保修卡\n".encode()), "保修卡.txt")},
            headers={**place.api.headers, "Idempotency-Key": "file"},
        ).json["id"]
        for _ in range(2)
    ]
    assert files[0] == files[1]
    assert place.api.post("/cases", INTAKE, Idempotency_Key="x" * 65).status_code == 422
    # A refusal leaves the key free.
    close = f"/records/{uid}/transitions/close"
    assert [place.api.post(close, {}, Idempotency_Key="c").status_code for _ in range(2)] == [409, 409]
    with as_system() as work:
        assert len(work.scalars(select(Record)).all()) == 2
        assert len(work.scalars(select(Idempotency)).all()) == len(asked) + 1
        assert len(work.scalars(select(Fact).where(Fact.kind == "comment")).all()) == 1


def test_etags_spare_reading_and_guard_changes(place: Place) -> None:
    uid = place.case()
    tag = place.api.get(f"/cases/{uid}").headers["ETag"]
    same = place.api.get(f"/cases/{uid}", If_None_Match=tag)
    assert (same.status_code, same.data) == (304, b"")
    english = Asker(place.app, place.api.headers["Authorization"].split()[1], **{"Accept-Language": "zh"})
    assert english.get(f"/cases/{uid}", If_None_Match=tag).status_code == 200  # in other words
    changed = place.api.patch(f"/cases/{uid}", {"serial_text": "LN0001"}, If_Match=tag)
    assert (changed.status_code, changed.json["serial_text"]) == (200, "LN0001")
    assert changed.headers["ETag"] != tag
    for path, body in (
        (f"/cases/{uid}", {"serial_text": "X"}),
        (f"/customers/{changed.json['customer']['uid']}", {"note": "x"}),
    ):
        stale = place.api.patch(path, body, If_Match='"77.0123456789abcdef"')
        assert (stale.status_code, stale.json["type"]) == (412, "urn:shouhou:problem:stale")
    step = f"/records/{uid}/transitions/classify"
    assert place.api.post(step, {"nature": "repair", "urgency": "normal"}, If_Match=tag).status_code == 412
    assert place.api.post(step, {"nature": "repair", "urgency": "normal"}, If_Match="nonsense").status_code == 412
    tag = place.api.get(f"/records/{uid}").headers["ETag"]
    assert place.api.post(step, {"nature": "repair", "urgency": "normal"}, If_Match=tag).status_code == 200
    kept = place.api.get(f"/cases/{uid}").json
    assert kept["description"] == INTAKE["description"]
    assert place.api.patch(f"/cases/{uid}", {"serial_text": None}).json["serial_text"] == ""


def test_a_case_goes_its_way_and_refusals_name_their_clause(place: Place) -> None:
    uid = place.case()
    asked = {one["name"]: one for one in place.api.get(f"/records/{uid}/transitions").json["items"]}
    assert asked["classify"]["allowed"] and {one["name"] for one in asked["classify"]["fields"]} >= {"nature"}
    assert asked["close"]["refusals"][0]["code"] == "state"
    refused = place.api.post(f"/records/{uid}/transitions/close", {})
    assert refused.status_code == 409
    assert "R01-4.6" in {one["clause"] for one in refused.json["refusals"]}
    zh = place.asker("*", **{"Accept-Language": "zh-CN,zh;q=0.9"}).post(f"/records/{uid}/transitions/close", {})
    assert zh.json["refusals"][0]["text"] != refused.json["refusals"][0]["text"]
    for step in ("classify", "assign", "start", "solve"):
        answer = place.api.post(f"/records/{uid}/transitions/{step}", _typed(place.office.usual(step)))
        assert answer.status_code == 200, (step, answer.text)
    facts = [one["kind"] for one in place.api.get(f"/records/{uid}/facts?fields=kind").json["items"]]
    assert facts[:2] == ["registered", "classified"]
    assert place.api.post(f"/records/{uid}/transitions/nix", {}).status_code == 404
    wrong = place.api.post(f"/records/{uid}/transitions/confirm", {"nix": 1, "rating": 5})
    assert (wrong.status_code, set(wrong.json["errors"])) == (422, {"nix", "rating"})


def _typed(form: dict[str, Any]) -> dict[str, Any]:
    return {name: True if name == "agreed" else value for name, value in form.items()}


def test_personal_data_is_masked_until_asked_for_with_a_purpose(place: Place) -> None:
    uid = place.case()
    case = place.api.get(f"/cases/{uid}").json
    assert case["contact"] == {"name": "马*", "phone": "131****5344", "address": "浙江省杭州市****", "masked": True}
    customer = case["customer"]["uid"]
    assert "13112355344" not in place.api.get(f"/customers/{customer}").text + place.api.get("/customers").text
    writing = place.asker("case.write", "customer.write")
    assert writing.post(f"/customers/{customer}/reveal", {"purpose": "上门"}).status_code == 403
    assert writing.patch(f"/customers/{customer}", {"phone": "13900001111"}).status_code == 403
    assert writing.patch(f"/customers/{customer}", {"note": "老客户"}).json["note"] == "老客户"
    assert place.api.post(f"/customers/{customer}/reveal", {}).status_code == 422
    shown = place.api.post(f"/customers/{customer}/reveal", {"purpose": "上门"}).json
    assert shown["phones"] == ["131 1235 5344"] and shown["masked"] is False
    assert place.api.post(f"/cases/{uid}/reveal").json["contact"]["phone"] == "13112355344"
    with as_system() as work:
        actions = {one.action: one for one in work.scalars(select(Audit))}
    assert actions["customer.identity_revealed"].detail == {"purpose": "上门"}
    assert actions["case.contact_revealed"].actor_id == place.boss.id
    without = Asker(place.app, token_of(place.boss, "case.read"))
    assert without.get(f"/cases/{uid}").json["customer"] is None


def test_a_customer_on_file_is_named_by_uid_and_doubles_are_refused(place: Place) -> None:
    customer = place.api.get(f"/cases/{place.case()}").json["customer"]
    body = {name: value for name, value in INTAKE.items() if name != "customer_name"}
    assert place.api.post("/cases", {**body, "customer": customer["uid"]}).json["customer"] == customer
    nobody = place.api.post("/cases", {**body, "customer": "01a20164-dd7a-7069-8b70-afb14172b136"})
    assert (nobody.status_code, list(nobody.json["errors"])) == (422, ["customer"])
    double = place.api.post("/customers", {"name": "盟新", "phone": "13112355344"})
    assert (double.status_code, double.json["refusals"][0]["code"]) == (409, "customer.double")
    assert customer["number"] in double.json["refusals"][0]["text"]
    assert place.api.post("/customers", {"name": "盟新", "phone": "13112355344", "anyway": True}).status_code == 201


def test_approvals_are_decided_by_whom_they_wait_for(place: Place) -> None:
    with in_scope(place.unit, everything(), place.boss), transaction():
        asked = approvals.ask(place.unit.id, clause="R01-4.4", subject="thing:1", title="减免", position="gm").id
    gm = place.office.staff("gm")
    reading, deciding = (Asker(place.app, token_of(gm, scope)) for scope in ("approval.read", "approval.write"))
    waiting = reading.get("/approvals?view=inbox").json["items"]
    assert [(one["id"], one["may_decide"]) for one in waiting] == [(asked, True)]
    assert reading.post(f"/approvals/{asked}/agree", {}).status_code == 403
    own = place.api.post(f"/approvals/{asked}/agree", {})
    assert (own.status_code, own.json["refusals"][0]["clause"]) == (409, "R01-4.4")
    assert deciding.post(f"/approvals/{asked}/reject", {}).status_code == 422
    tag = deciding.get(f"/approvals/{asked}").headers["ETag"]
    done = deciding.post(f"/approvals/{asked}/agree", {"reason": "同意"}, If_Match=tag)
    assert (done.status_code, done.json["state"], done.json["decided_by"]["id"]) == (200, "agreed", gm.id)
    assert deciding.post(f"/approvals/{asked}/reject", {"reason": "不"}).status_code == 409


def test_files_go_up_and_come_down(place: Place) -> None:
    uid = place.case()
    path = f"/api/v1/records/{uid}/attachments"

    def send(**data: Any) -> Any:
        return place.api.client.post(path, data=data, headers=place.api.headers)

    made = send(file=(io.BytesIO("保修卡\n".encode()), "../保修卡.txt"), note="客户寄来")
    assert (made.status_code, made.json["name"], made.json["media_type"]) == (201, "保修卡.txt", "text/plain")
    with place.api.get(f"/attachments/{made.json['id']}/content") as sent:
        assert sent.data == "保修卡\n".encode()
        assert sent.headers["Content-Disposition"].startswith("attachment")
        assert "sandbox" in sent.headers["Content-Security-Policy"]
    assert [one["id"] for one in place.api.get(f"/records/{uid}/attachments").json["items"]] == [made.json["id"]]
    page = b"<html><script>alert(1)</script>"
    assert send(file=(io.BytesIO(page), "a.txt")).status_code == 422
    assert send(file=(io.BytesIO(b"GIF89a"), "a.txt"), kind="file").status_code == 422
    assert send(file=(io.BytesIO(b"a"), "a.txt"), nix="1").status_code == 422
    assert send(nix=(io.BytesIO(b"a"), "a.txt")).status_code == 422
    assert send(file=(io.BytesIO(b"a"), "a.txt"), kind="nix").status_code == 422
    assert place.api.post(f"/records/{uid}/attachments", {"file": "x"}).status_code == 415


def test_a_plugin_that_is_off_answers_not_found(place: Place) -> None:
    model = place.api.post("/products/models", {"code": "LN-24", "name": "炉"})
    assert (model.status_code, model.json["active"], model.json["price"]) == (201, True, None)
    assert place.api.post("/products/models", {"code": "LN-24", "name": "炉"}).status_code == 422
    path = f"/products/models/{model.json['id']}"
    changed = place.api.patch(path, {"price": 12.5}, If_Match=model.headers["ETag"])
    assert (changed.json["price"], changed.json["name"]) == ("12.50", "炉")
    assert place.api.patch(path, {"price": 1}, If_Match=model.headers["ETag"]).status_code == 412
    assert place.api.get("/products/models?code=LN-24").json["items"][0]["id"] == model.json["id"]
    switch_off(place.unit, "products")
    for method, address in (
        ("GET", path),
        ("PATCH", path),
        ("GET", "/products/items"),
        ("POST", "/products/items"),
    ):
        body = None if method == "GET" else {"serial": "X", "model_id": 1} if "items" in address else {}
        assert place.api.ask(method, address, body).status_code == 404, (method, address)


# --- what may be wrong -----------------------------------------------------------------------------

BODIES = [
    (b"", 400),
    (b"{", 400),
    (b"\xff\xfe", 400),
    (b"nul", 400),
    (b"[]", 422),
    (b'"text"', 422),
    (b'{"a": 1, "a": 2}', 400),
    (b'{"description": NaN}', 400),
    (b'{"description": -Infinity}', 400),
    (b'{"description": 1e999999999999999999999}', 400),
    (b'{"description": ' + b"9" * 5000 + b"}", 400),
    (b"[" * 100_000, 400),
    (b'{"a":' * 200 + b"1" + b"}" * 200, 400),
    (b'{"description": "\\u0000"}', 400),
    (b'{"description": "\\ud800"}', 400),
    (b'{"\\ud800": 1}', 400),
    (b'{"description": 5}', 422),
    (b'{"description": {"a": 1}}', 422),
    (b'{"description": ["a"]}', 422),
    (b'{"purchase_date": 20260101}', 422),
    (b'{"received_at": "9999-99-99"}', 422),
    (b'{"customer": 1}', 422),
    (b'{"constructor": {}, "__class__": "x"}', 422),
    (b'{"description": "' + b"a" * 1_100_000 + b'"}', 413),
]


@pytest.mark.parametrize(("sent", "status"), BODIES, ids=range(len(BODIES)))
def test_hostile_bodies_are_refused_and_change_nothing(place: Place, sent: bytes, status: int) -> None:
    answer = place.api.client.post(
        "/api/v1/cases", data=sent, headers=place.api.headers, content_type="application/json"
    )
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    with as_system() as work:
        assert work.scalars(select(Record.id)).first() is None


def test_other_errors_speak_problem_json_in_the_asked_language(place: Place) -> None:
    for method, path, headers, status in (
        ("GET", "/nix", {}, 404),
        ("DELETE", "/cases", {}, 405),
        ("OPTIONS", "/cases", {}, 405),
        ("GET", "/me", {"Accept": "text/html"}, 406),
        ("GET", "/me", {"X-Unit": "甲".encode().decode("latin-1")}, 404),
        ("GET", "/me?unit=", {}, 404),
        ("POST", "/cases", {}, 415),
    ):
        titles = set()
        for language in ("zh-CN", "en"):
            sent = {**place.api.headers, "Accept-Language": language, **headers}
            answer = place.api.client.open(f"/api/v1{path}", method=method, headers=sent)
            assert answer.status_code == status, (path, answer.text)
            assert answer.content_type == "application/problem+json"
            assert answer.json["status"] == status
            titles.add(answer.json["title"])
        assert len(titles) == 2 or "Only JSON" in titles.pop(), path
    facts = place.api.post(f"/records/{place.case()}/facts", {"kind": "contacted", "data": {"a": {"b": 1}}})
    assert (facts.status_code, list(facts.json["errors"])) == (422, ["data"])
    for given, wrong in (({"kind": "nix"}, 404), ({"kind": "contacted", "at": "2099-01-01T00:00:00Z"}, 422)):
        assert place.api.post(f"/records/{place.case()}/facts", given).status_code == wrong


def test_a_closed_unit_is_read_only_here_too(place: Place) -> None:
    uid = place.case()
    with as_system() as work:
        work.get_one(Unit, place.unit.id).active = False
    for key in ({}, {"Idempotency_Key": "k"}):
        for path, body in (
            ("/cases", INTAKE),
            ("/customers", {"name": "某某公司"}),
            (f"/records/{uid}/transitions/classify", {}),
            (f"/records/{uid}/comments", {"text": "x"}),
            ("/products/models", {"code": "A", "name": "A"}),
        ):
            answer = place.api.post(path, body, X_Unit="HQ", **key)
            assert (answer.status_code, "closed" in answer.text) == (403, True), (path, key, answer.text)
    assert place.api.get(f"/cases/{uid}").status_code == 200
