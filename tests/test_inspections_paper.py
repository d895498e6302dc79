"""What comes of finished inspections: the form on paper, the report of scores, the page of the place."""

from __future__ import annotations

from decimal import Decimal

from flask import Flask
from flask.testing import FlaskClient

from core.documents.inspections import FORM, inspection_record
from core.documents.services import PRINT, preview
from core.inspections import services as inspections
from core.kernel.database import session
from core.records.models import Record
from core.reports.inspections import SCORES
from tests.helpers import login, make_unit, make_user
from tests.inspection_scene import ALL, ITEMS, checklist, desk, drawn, opened, photo, room

PICTURES = [
    *ITEMS,
    {"key": "view", "kind": "photo", "label": "全景"},
    {"key": "sign", "kind": "signature", "label": "检查人签名"},
]


def test_the_form_of_an_inspection(app: Flask) -> None:
    unit, user = make_unit(), make_user(name="王五")
    with desk(unit, {*ALL, PRINT}, user):
        place = room(unit)
        record = opened(unit, PICTURES, place_id=place.id)
        answers = {"bed": "fail", "bed.note": "#坏了 *", "fridge": "4", "view": photo(), "sign": drawn()}
        inspections.finish(record.id, answers)
        data = inspection_record(session().get_one(Record, record.id))
        assert (data["place"], data["by"], data["failed"], data["score"]) == ("801", "王五", 1, "66.67")
        assert data["lines"][0]["opened"].startswith("GD-")
        assert [one["signature"] for one in data["pictures"]] == [False, True]
        for locale in ("zh", "en"):
            assert preview(FORM, record.id, locale)[:5] == b"%PDF-"


def test_scores_by_month_checklist_and_place(app: Flask) -> None:
    unit, other = make_unit(), make_unit()
    for one in (unit, other):
        with desk(one):
            place = room(one)
            for number, verdict in enumerate(("pass", "fail", "na")):
                record = opened(one, ITEMS[:1], place_id=place.id, subject=f"s{number}")
                inspections.finish(record.id, {"bed": verdict})
            inspections.finish(opened(one, ITEMS[:1], subject="unit").id, {"bed": "pass"})
    with desk(unit):
        rows = list(SCORES.rows([unit.id], {"period": "this_month"}))
        found = {row["place"]: (row["finished"], row["scored"], row["points"], row["failed"]) for row in rows}
        assert found == {"801": (3, 2, Decimal("1.00"), 1), "Without a place": (1, 1, Decimal("1.00"), 0)}
        assert list(SCORES.rows([unit.id], {"period": "this_month", "checklist": "none"})) == []


def test_the_page_of_a_place_shows_its_inspections(client: FlaskClient) -> None:
    unit = make_unit()
    with desk(unit):
        place = room(unit)
        checklist(unit)
        inspections.finish(opened(unit, place_id=place.id).id, {"bed": "fail", "fridge": "4"})
    login(client, make_user(unit, ALL))
    page = client.get(f"/admin/places/details/?id={place.id}").text
    assert "66.67 %" in page and "/admin/inspections/new?place=801" in page
    client.post("/sign-out")
    login(client, make_user(unit, {"place.view", "case.view"}))
    assert "66.67 %" not in client.get(f"/admin/places/details/?id={place.id}").text
