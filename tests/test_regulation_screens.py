"""Regulations and clauses on screen: who may read, what is found, what a clause page tells, links to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from core.kernel.errors import Refused
from core.records.engine import perform
from core.rules.coverage import Binding
from core.rules.rulebook import EXTENSION
from core.users.models import Position
from tests import helpers
from tests.casework import ALL, Office, make_office

HOME = "/admin/regulations/"
CLAUSE = HOME + "clause/"


@dataclass
class Scene:
    office: Office
    client: FlaskClient

    def text(self, path: str, **query: str) -> str:
        answer = self.client.get(path, query_string=query)
        assert answer.status_code == 200, (path, answer.status_code)
        return answer.text

    def refuse(self, record_id: int) -> None:
        """Try to assign a case that isn't classified: refused under R01-4.2."""
        with pytest.raises(Refused):
            self.office.do(record_id, "assign")


@pytest.fixture
def scene(app: Flask) -> Scene:
    office = make_office()
    reader = helpers.make_user(office.unit, ALL, locale="en")
    return Scene(office, helpers.login(app.test_client(), reader))


def sign_in(app: Flask, scene: Scene, *permissions: str, locale: str = "en") -> FlaskClient:
    user = helpers.make_user(scene.office.unit, permissions, locale=locale)
    return helpers.login(app.test_client(), user)


@pytest.fixture
def plugin(app: Flask) -> tuple[str, str]:
    """An installed plugin with clauses, and one of them."""
    found = [one for one in app.extensions[EXTENSION].clauses.values() if one.plugin]
    if not found:
        pytest.skip("no installed plugin has clauses")
    return found[0].plugin, found[0].id


def test_all_staff_may_read_and_nobody_else(app: Flask, scene: Scene) -> None:
    with helpers.as_system() as work:
        holders = {p.code for p in work.scalars(select(Position)) if "rules.view" in p.permissions}
        everybody = {p.code for p in work.scalars(select(Position)) if not p.code.startswith("position")}
    assert {"reception", "warehouse", "auditor", "system_admin"} <= holders
    assert everybody - holders == {"agent", "shared_device"}
    outsider = sign_in(app, scene, "case.view")
    for page in (HOME, HOME + "R01/", CLAUSE + "R01-4.2/"):
        assert outsider.get(page).status_code == 403
    assert "/admin/regulations/" not in outsider.get("/admin/").text
    assert 'href="/admin/regulations/"' in scene.text("/admin/")


def test_the_list_shows_the_regulations_that_have_clauses_here(scene: Scene) -> None:
    page = scene.text(HOME)
    assert "Market after-sales service measures" in page and "R34" in page
    assert 'href="/admin/regulations/R01/"' in page
    # No clause of this one belongs to the core.
    assert "Bank product" not in page


@pytest.mark.parametrize(
    ("query", "found", "absent"),
    [
        ({"q": "R34-4.1.3"}, "R34-4.1.3", "R34-4.1.2"),
        ({"q": "归口"}, "R17-3.1", "R01-4.2"),
        ({"q": "hotline"}, "R27-2.1.1", "R01-4.2"),
        ({"kind": "gate"}, "R01-4.2", "R01-4.4"),
        ({"kind": "gate", "q": "R27"}, "R27-2.2.1", "R01-4.2"),
        ({"plugin": "core", "q": "R01"}, "R01-4.2", "R03-3.2"),
    ],
)
def test_clauses_are_found_by_number_words_and_filters(
    scene: Scene, query: dict[str, str], found: str, absent: str
) -> None:
    page = scene.text(HOME, **query)
    assert f'href="{CLAUSE}{found}/"' in page and f'href="{CLAUSE}{absent}/"' not in page


def test_what_is_not_found_says_what_to_do_and_odd_filters_are_ignored(scene: Scene) -> None:
    assert "No clause was found." in scene.text(HOME, q="航天员")
    assert "Market after-sales service measures" in scene.text(HOME, kind="<x>", plugin="nothing")
    assert "&lt;b&gt;" in scene.text(HOME, q="<b>")


def test_a_regulation_groups_its_clauses_by_kind(scene: Scene) -> None:
    page = scene.text(HOME + "R01/")
    assert page.index("Deadline") < page.index("R01-4.4") < page.index("R01-4.2/") < page.index("R01-4.7")
    assert "One flow from intake to archive" in page and "BU-GEN" in page
    for wrong in ("R99", "x", "R08", "%00"):
        assert scene.client.get(f"{HOME}{wrong}/").status_code == 404


def test_a_clause_tells_text_position_values_and_where_it_applies(scene: Scene) -> None:
    page = scene.text(CLAUSE + "R01-4.2/")
    assert "A case cannot be assigned before its nature and urgency are set." in page
    assert "Customer service" in page and "Case · Assign" in page and "Checked before the step" in page
    deadline = scene.text(CLAUSE + "R17-7.1.3b/")
    assert "4 working hours" in deadline and "1–720" in deadline and "After-sales department" in deadline
    assert "off unless set otherwise" in deadline
    assert "the same day" in scene.text(CLAUSE + "R04-2.4a/")
    assert "nothing to check" in scene.text(CLAUSE + "R27-1.1/")
    assert "Set for the unit" in scene.text(CLAUSE + "R34-4.1.3/") or "Asked for in the form" in scene.text(
        CLAUSE + "R34-4.1.3/"
    )
    for wrong in ("R01-99", "x", "R01", "%00"):
        assert scene.client.get(f"{CLAUSE}{wrong}/").status_code == 404


def test_it_says_how_far_the_system_sees_to_a_clause(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    clause, bound = "R17-7.2.1", []
    monkeypatch.setattr("core.admin.screens.regulations.bindings", lambda enabled: bound)
    assert "does not see to this clause yet" in scene.text(f"{CLAUSE}{clause}/")
    assert "by hand" in scene.text(HOME, q=clause)
    bound.append(Binding(clause, "field", "case.answer.answer", ("Case", "Answer")))
    assert "not watched by the system yet" in scene.text(f"{CLAUSE}{clause}/")
    assert "partly applied" in scene.text(HOME, q=clause)
    bound.append(Binding(clause, "deadline", "case", ("Case",)))
    page = scene.text(f"{CLAUSE}{clause}/")
    assert "by hand" not in page and "Case · Answer" in page


def test_it_speaks_chinese(app: Flask, scene: Scene) -> None:
    client = sign_in(app, scene, "rules.view", locale="zh")
    page = client.get(CLAUSE + "R01-4.2/").text
    assert "先分类再派工" in page and "客服" in page and "Classify" not in page
    assert "4 小时（工作时间）" in client.get(CLAUSE + "R17-7.1.3b/").text
    assert "市场售后服务管理办法" in client.get(HOME).text


def test_clauses_of_a_plugin_hold_only_where_it_is_on(app: Flask, scene: Scene, plugin: tuple[str, str]) -> None:
    name, clause = plugin
    assert scene.client.get(f"{CLAUSE}{clause}/").status_code == 404
    assert f'href="{CLAUSE}{clause}/"' not in scene.text(HOME, q=clause)
    assert f'value="{name}"' not in scene.text(HOME)
    helpers.switch_on(scene.office.unit, name)
    assert clause in scene.text(f"{CLAUSE}{clause}/")
    assert f'href="{CLAUSE}{clause}/"' in scene.text(HOME, q=clause)
    assert f'href="{CLAUSE}{clause}/"' in scene.text(HOME, plugin=name)
    helpers.switch_off(scene.office.unit, name)
    assert scene.client.get(f"{CLAUSE}{clause}/").status_code == 404


def test_refusals_under_a_clause_are_counted_and_lead_to_their_record(app: Flask, scene: Scene) -> None:
    assert "None in this unit." in scene.text(CLAUSE + "R01-4.2/")
    mine = scene.office.new_case(nature="", urgency="")
    scene.refuse(mine)
    other = Scene(make_office(), scene.client)
    foreign = other.office.new_case(nature="", urgency="")
    other.refuse(foreign)
    page = scene.text(CLAUSE + "R01-4.2/")
    assert f'href="/admin/record/{mine}' in page and f'href="/admin/record/{foreign}"' not in page
    assert "Nature and urgency must be set first" in page and '<span class="muted">1</span>' in page
    reader = sign_in(app, scene, "rules.view")
    blind = reader.get(CLAUSE + "R01-4.2/").text
    assert "Steps refused" not in blind and "Nature and urgency must be set first" not in blind


def test_only_the_latest_refusals_are_listed(
    scene: Scene, count_queries: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = scene.office.new_case(nature="", urgency="")
    scene.refuse(record)
    with count_queries() as few:
        scene.text(CLAUSE + "R01-4.2/")
    for _ in range(4):
        with scene.office.at_desk(), pytest.raises(Refused):
            perform(record, "assign", {"assignee_id": scene.office.technician.id})
    monkeypatch.setattr("core.admin.screens.regulations.REFUSALS_SHOWN", 3)
    monkeypatch.setattr("core.admin.screens.regulations.REFUSALS_COUNTED", 4)
    with count_queries() as many:
        page = scene.text(CLAUSE + "R01-4.2/")
    assert len(many) == len(few)
    assert page.count(f'href="/admin/record/{record}') == 3 and "4+" in page
    assert "The latest 3 are shown." in page


def test_clause_numbers_on_records_and_forms_lead_to_the_clause(app: Flask, scene: Scene) -> None:
    record = scene.office.new_case(nature="", urgency="")
    linked = 'class="clause" href="/admin/regulations/clause/R01-4.2/" title="Classify before assigning"'
    assert linked in scene.text(f"/admin/record/{record}")
    form = scene.text("/admin/cases/new")
    assert "/admin/regulations/clause/R34-4.1.3/" in form and "R34-4.1.3 Four items of registration" in form
    # A half-filled form is not left by reading the clause.
    assert 'target="_blank" rel="noopener">R34-4.1.3' in form
    answer = scene.client.post(
        f"/admin/record/{record}/do/assign", data={"assignee_id": scene.office.technician.id}
    )
    assert answer.status_code == 409 and "/admin/regulations/clause/R01-4.2/" in answer.text
    # Who may not read the regulations sees the number alone.
    plain = sign_in(app, scene, "case.view", "case.assign")
    page = plain.get(f"/admin/record/{record}").text
    assert "R01-4.2" in page and "/admin/regulations/clause/" not in page


def test_numbers_of_clauses_that_are_not_installed_stay_plain(scene: Scene) -> None:
    record = scene.office.new_case()
    scene.office.do(record, "classify", "assign", "start")
    page = scene.text(f"/admin/record/{record}/do/solve")
    assert "R34-4.3.2" in page and "clause/R34-4.3.2" not in page
