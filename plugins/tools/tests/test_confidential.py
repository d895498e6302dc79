"""What outsiders learn of tools (R33-9.1): nothing. Whoever hands the ledger out as a file is on record."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select

from core.documents.labels import code_of
from core.kernel import clock
from core.kernel.audit import Audit
from core.records.models import Record
from plugins.tools.tests.scene import Place, make_place
from tests.helpers import as_system, login, make_unit, make_user, switch_on

SECRET, KIND = "只给自己人看的型号", "保密测线器"
WORDS = (SECRET, KIND, "安师傅", "GJ0")


@pytest.fixture
def place(sqlite_app: Flask) -> Place:
    made = make_place()
    made.now = clock.now()
    return made


def pages_of(place: Place) -> list[str]:
    """Issue a tool to Ann; return every address under which something of it may be read."""
    tool = place.tool(KIND, model=SECRET)
    handover = place.issue(place.ann, tool)
    uid = place.all(select(Record.uid).where(Record.id == tool))[0]
    return [
        f"/q/{code_of(uid)}",
        f"/admin/record/{tool}",
        f"/admin/record/{handover}",
        f"/p/tools/accept/{handover}",
        f"/p/tools/person/{place.ann.id}",
        "/admin/tools/tools/",
        "/admin/tools/ledger/",
        "/admin/search?q=GJ0",
    ]


@pytest.mark.clause("R33-9.1")
@pytest.mark.parametrize("who", ["nobody", "another company", "no tools"])
def test_an_outsider_learns_nothing_of_who_uses_what(sqlite_app: Flask, place: Place, who: str) -> None:
    client = sqlite_app.test_client()
    if who == "another company":
        other = make_unit()
        switch_on(other, "tools")
        client = login(client, make_user(other, {"tools.view", "tools.keep", "case.view"}), unit=other)
    elif who == "no tools":
        client = login(client, make_user(place.unit, {"case.view", "customer.view"}), unit=place.unit)
    for url in pages_of(place):
        answer = client.get(url, follow_redirects=True)
        told = [one for one in WORDS if one in answer.get_data(as_text=True)]
        assert not told or (url.endswith("q=GJ0") and told == ["GJ0"]), (url, told)
        assert answer.status_code in (200, 403, 404)


@pytest.mark.clause("R33-9.1")
def test_whoever_hands_the_ledger_out_as_a_file_is_on_record(sqlite_app: Flask, place: Place) -> None:
    pages_of(place)
    keeper = login(sqlite_app.test_client(), place.keeper, unit=place.unit)
    page = keeper.get("/admin/tools/ledger/")
    assert page.status_code == 200 and KIND in page.text
    with as_system() as work:
        assert not work.scalars(select(Audit).where(Audit.action == "export")).all()
    with keeper.post("/admin/tools/ledger/export/", data={"format": "csv"}) as answer:
        assert answer.status_code == 200 and KIND in answer.get_data().decode("utf-8-sig")
    with as_system() as work:
        (entry,) = work.scalars(select(Audit).where(Audit.action == "export")).all()
        assert entry.actor_id == place.keeper.id and entry.unit_id == place.unit.id
