"""Statements and payments over the API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from core.sdk import clock
from plugins.agents import rights
from plugins.agents.models import Payment
from plugins.agents.tests import scene
from plugins.agents.tests.scene_payments import Books, make_books
from tests.api_scene import Asker, token_of
from tests.helpers import make_user


@pytest.fixture
def books(app: Any) -> Iterator[Books]:
    with clock.frozen(scene.MONDAY):
        yield make_books()


def asker(app: Any, books: Books, permissions: Any = scene.ALL, *scopes: str) -> Asker:
    return Asker(app, token_of(make_user(books.unit, permissions), *(scopes or ("*",))))


def test_statements_with_their_lines(app: Any, books: Books) -> None:
    key = books.with_lines("100.10", payable=["30"])
    api = asker(app, books)
    (one,) = api.get("/agents/statements").json["items"]
    assert (one["receivable"], one["payable"], one["state"]) == ("100.10", "30.00", "sent")
    assert one["agent"] == books.place.code_of(books.agent)
    lines = api.client.get(one["lines"], headers=api.headers).json["items"]
    assert sorted(line["amount"] for line in lines) == ["100.10", "30.00"]
    assert lines[0]["checks"]["old_part"][0] == "not_checked" and lines[0]["statement"] == key
    assert api.get(f"/agents/statements?period={one['period']}").json["items"]
    assert not api.get("/agents/statements?period=1999-01").json["items"]


def test_payments_are_entered_once_however_often_they_are_sent(app: Any, books: Books) -> None:
    key = books.statement("100")
    api = asker(app, books)
    number = api.get("/agents/statements").json["items"][0]["number"]
    body = {
        "agent": books.place.code_of(books.agent),
        "statement": number,
        "kind": "in",
        "amount": 130.50,
        "paid_on": books.today.isoformat(),
        "reference": "API-1",
    }
    for _again in range(2):
        answer = api.post("/agents/payments", body, Idempotency_Key="k-1")
        assert answer.status_code in (200, 201), answer.text
    assert answer.json["on_account"] == "30.50"
    assert answer.json["lines"] == [{"statement": number, "direction": "receivable", "amount": "100.00"}]
    assert len(books.all(Payment)) == 1 and books.sides(key)[0] == 100
    twice = api.post("/agents/payments", body, Idempotency_Key="k-2")
    assert twice.status_code == 422 and "reference" in twice.json["errors"]
    for name, value in (
        ("agent", "DL0"),
        ("statement", "DZ-0"),
        ("amount", "0.005"),
        ("amount", "1E+20"),
        ("kind", "x"),
    ):
        wrong = api.post("/agents/payments", {**body, "reference": "API-2", name: value})
        assert wrong.status_code == 422 and name in wrong.json["errors"], wrong.text
    refused = api.post("/agents/payments", {**body, "reference": "API-3", "kind": "offset", "amount": 1})
    assert refused.status_code == 409 and refused.json["refusals"][0]["clause"] == "DL-4"


def test_rights_and_units(app: Any, books: Books) -> None:
    books.with_lines("100")
    books.pay("1")
    other = make_books("OTHER")
    for path in ("statements", "statement-lines", "payments"):
        for permissions in (scene.ALL - {rights.VIEW}, {rights.OWN}):
            answer = asker(app, books, permissions).get(f"/agents/{path}")
            assert answer.status_code == 403 or answer.json["items"] == []
        assert asker(app, other, scene.ALL).get(f"/agents/{path}").json["items"] == []
    reader = asker(app, books, scene.ALL, "agents.read")
    assert reader.get("/agents/statements").status_code == 200
    assert reader.post("/agents/payments", {}).status_code == 403
