"""Applying, the clearance sheet and the lists over HTTP; the API; what others may not see."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from core.kernel import clock
from core.sdk import Record, User, approvals
from plugins.tools import application_rows, clearance, reminders, rights, values
from plugins.tools.models import Application, Clearance, Handover
from tests.api_scene import Asker, token_of
from tests.helpers import in_scope, login, make_unit, make_user, switch_on

from .scene import Place, make_place

APPLY, BEGIN = "/p/tools/application/new", "/p/tools/clearance/new"


@pytest.fixture
def place(app: Flask) -> Place:
    """The scene at the present time, as requests have it."""
    made = make_place("tools")
    made.now = clock.now()
    return made


def client_of(app: Flask, place: Place, user: User) -> FlaskClient:
    return login(app.test_client(), user, unit=place.unit)


def sent(client: FlaskClient, url: str, **form: Any) -> TestResponse:
    return client.post(url, data=form, follow_redirects=True)


def rows(place: Place, model: Any) -> list[Any]:
    return place.all(select(model).order_by(model.id))


# --- applying ------------------------------------------------------------------------------------


def test_a_technician_applies_and_a_refused_form_says_where(app: Flask, place: Place) -> None:
    ann = client_of(app, place, place.ann)
    kind = str(place.kind())
    page = ann.get(APPLY).text
    assert 'name="user_id"' not in page
    assert "测线器" in page
    wrong = sent(ann, APPLY, kind=values.A_BORROW, kind_id=kind, reason="外修")
    assert wrong.status_code == 422
    assert rows(place, Application) == []
    key = re.findall(r'name="key" value="([^"]+)"', page)[0]
    form = {"kind": values.A_NEW, "kind_id": kind, "reason": "<b>现场</b>", "quantity": "2", "key": key}
    for _again in range(2):
        assert sent(ann, APPLY, **form).status_code == 200
    [made] = rows(place, Application)
    assert (made.user_id, made.quantity, made.reason) == (place.ann.id, 2, "<b>现场</b>")


def test_a_keeper_applies_for_others_and_nobody_else_does(app: Flask, place: Place) -> None:
    kind = str(place.kind())
    form = {"kind": values.A_NEW, "kind_id": kind, "reason": "新来", "user_id": str(place.bob.id)}
    assert sent(client_of(app, place, place.keeper), APPLY, **form).status_code == 200
    sent(client_of(app, place, place.ann), APPLY, **form)
    assert [one.user_id for one in rows(place, Application)] == [place.bob.id, place.ann.id]


def test_the_list_and_the_page_show_it_escaped(app: Flask, place: Place) -> None:
    ann = client_of(app, place, place.ann)
    sent(ann, APPLY, kind=values.A_NEW, kind_id=str(place.kind()), reason="<b>现场</b>")
    [made] = rows(place, Application)
    manager = client_of(app, place, place.manager)
    listed = manager.get("/admin/tools/applications/").text
    assert "安师傅" in listed
    page = manager.get(f"/admin/record/{made.id}", follow_redirects=True)
    assert page.status_code == 200
    assert "&lt;b&gt;现场&lt;/b&gt;" in page.text
    assert "<b>现场</b>" not in page.text


def test_taking_back_over_http_is_for_ones_own(app: Flask, place: Place) -> None:
    place.with_clauses("R35-5.1")
    sent(client_of(app, place, place.ann), APPLY, kind=values.A_NEW, kind_id=str(place.kind()), reason="现场")
    [made] = rows(place, Application)
    assert place.state(made.id) == values.ASKED
    url = f"/p/tools/application/{made.id}/withdraw"
    assert client_of(app, place, place.bob).post(url).status_code == 404
    assert sent(client_of(app, place, place.ann), url).status_code == 200
    assert place.state(made.id) == values.CANCELLED


# --- the sheet -----------------------------------------------------------------------------------


def begun(client: FlaskClient, place: Place, user: User, **more: Any) -> int:
    form = {"kind": values.LEAVER, "user_id": str(user.id), "last_day": "2026-12-31", **more}
    assert sent(client, BEGIN, **form).status_code == 200
    return int(rows(place, Clearance)[-1].id)


def test_a_sheet_from_beginning_to_end(app: Flask, place: Place) -> None:
    back, gone, single = place.tools(3)
    place.issue(place.ann, back, gone, single)
    keeper = client_of(app, place, place.keeper)
    key = begun(keeper, place, place.ann, successor_id=str(place.bob.id))
    url = f"/p/tools/clearance/{key}"
    page = keeper.get(url).text
    assert str(clearance.NEVER_BLOCKED)[:10] or page
    assert page.count('name="tool"') == 3
    # Closing is refused, the clause is named.
    refused = keeper.post(f"{url}/close", data={"do": "settle"})
    assert refused.status_code == 422
    assert "R35-7.1" in refused.text
    # One to the successor, one missing, the rest to the store.
    assert sent(keeper, f"{url}/hand", to="successor", do=f"one:{single}").status_code == 200
    told = sent(keeper, f"{url}/missing", tool=str(gone), what="找不到")
    assert told.status_code == 200
    assert sent(keeper, f"{url}/hand", to=str(place.store), do="all").status_code == 200
    kinds = {one.kind: one.lines_count for one in rows(place, Handover) if one.clearance_id == key}
    assert kinds == {values.TRANSFER: 1, values.RETURN: 1}
    assert place.state(gone) == values.LOST
    again = keeper.post(f"{url}/hand", data={"to": str(place.store), "do": "all"})
    assert again.status_code == 422
    # The keeper may not sign for what is open, the manager may.
    assert "GJ-5" in keeper.post(f"{url}/close", data={"do": "leave_open", "reason": "先走"}).text
    manager = client_of(app, place, place.manager)
    assert manager.post(f"{url}/close", data={"do": "leave_open", "reason": " "}).status_code == 422
    assert sent(manager, f"{url}/close", do="leave_open", reason="已约定赔偿").status_code == 200
    assert place.state(key) == values.WITH_OPEN_ITEMS
    closed = manager.get(url).text
    assert 'name="tool"' not in closed
    assert manager.get(f"/admin/record/{key}", follow_redirects=True).status_code == 200


def test_a_ticked_batch_needs_a_tick(app: Flask, place: Place) -> None:
    one, two = place.tools(2)
    place.issue(place.ann, one, two)
    keeper = client_of(app, place, place.keeper)
    url = f"/p/tools/clearance/{begun(keeper, place, place.ann)}"
    assert keeper.post(f"{url}/hand", data={"to": str(place.store), "do": "ticked"}).status_code == 422
    assert keeper.post(f"{url}/missing", data={"what": "x"}).status_code == 422
    assert sent(keeper, f"{url}/hand", to=str(place.store), do="ticked", tool=str(two)).status_code == 200
    assert [one.lines_count for one in rows(place, Handover) if one.clearance_id] == [1]
    assert sent(keeper, f"{url}/successor", successor=str(place.bob.id)).status_code == 200
    assert rows(place, Clearance)[0].successor_id == place.bob.id


def test_the_person_reads_their_sheet_and_changes_nothing(app: Flask, place: Place) -> None:
    tool = place.tool()
    place.issue(place.ann, tool)
    key = begun(client_of(app, place, place.keeper), place, place.ann)
    url, ann = f"/p/tools/clearance/{key}", client_of(app, place, place.ann)
    assert 'name="tool"' not in ann.get(url).text
    assert ann.post(f"{url}/hand", data={"to": str(place.store), "do": "all"}).status_code == 403
    assert ann.post(f"{url}/close", data={"do": "settle"}).status_code == 403
    assert client_of(app, place, place.bob).get(url).status_code == 404
    assert ann.get(BEGIN).status_code == 403
    assert place.state(key) == values.OPEN


def test_another_units_sheet_is_not_there(app: Flask, place: Place) -> None:
    key = begun(client_of(app, place, place.keeper), place, place.ann)
    other = make_unit()
    switch_on(other, "tools")
    outsider = make_user(other, {value for name, value in vars(rights).items() if name.isupper()})
    client = login(app.test_client(), outsider, unit=other)
    for url in (f"/p/tools/clearance/{key}", f"/p/tools/clearance/{key}/hand"):
        assert (client.post(url) if url.endswith("hand") else client.get(url)).status_code == 404


# --- lists, the page of a tool, the API ------------------------------------------------------------


def test_lists_of_clearances_and_reminders(app: Flask, place: Place) -> None:
    tool = place.tool()
    until = (place.now + timedelta(hours=2)).isoformat()
    place.hand(values.LOAN, place.store, place.person(place.ann), [tool], due_at=until)
    with clock.frozen(place.now), in_scope(place.unit):
        assert reminders.send_due(place.unit.id) == 1
    keeper = client_of(app, place, place.keeper)
    begun(keeper, place, place.ann)
    assert "安师傅" in keeper.get("/admin/tools/clearances/").text
    assert "安师傅" in keeper.get("/admin/tools/reminders/").text
    assert keeper.get("/admin/tools/applications/?quick=mine").status_code == 200
    page = keeper.get(f"/admin/record/{tool}", follow_redirects=True)
    assert page.status_code == 200
    assert "tools_reminders" in page.text or "安师傅" in page.text
    ann = client_of(app, place, place.ann)
    assert ann.get("/admin/tools/clearances/").status_code == 403


def test_the_api_reads_and_applies(app: Flask, place: Place) -> None:
    place.with_clauses("R35-5.1")
    kind = place.kind()
    api = Asker(app, token_of(place.keeper))
    body = {"kind": values.A_NEW, "kind_id": str(kind), "reason": "现场", "user_id": place.ann.id}
    made = api.post("/tools/applications", body, Idempotency_Key="a-1")
    assert made.status_code == 201, made.text
    assert made.json["state"] == values.ASKED
    [one] = api.get("/tools/applications").json["items"]
    assert (one["user"], one["clause"]) == ("安师傅", "R35-5.1")
    with place.acting() as work:
        asked = work.scalars(select(approvals.Approval)).one()
    with place.acting(place.manager):
        approvals.agree(asked.id)
    assert api.get("/tools/applications").json["items"][0]["state"] == values.GRANTED
    begun_one = api.post(
        "/tools/clearances", {"kind": values.LEAVER, "user_id": place.bob.id, "last_day": "2026-12-31"}
    )
    assert begun_one.status_code == 201, begun_one.text
    assert api.get("/tools/clearances").json["items"][0]["user_id"] == place.bob.id
    assert api.get("/tools/reminders").json["items"] == []


def test_kinds_that_are_never_allowed_are_not_offered(app: Flask, place: Place) -> None:
    place.clause("R33-2.2", lending="never")
    page = client_of(app, place, place.ann).get(APPLY).text
    assert f'value="{values.A_LEND}"' not in page
    assert f'value="{values.A_BORROW}"' in page
    with place.acting(place.ann) as work:
        assert work.scalars(select(Record).where(Record.type == application_rows.CODE)).all() == []
