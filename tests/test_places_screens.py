"""Places on screen: the tree, the page of a place, forms, labels, search, import, API; in both languages."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from core.admin.screens.places import grow
from core.kernel import importing
from core.kernel.database import transaction
from core.kernel.errors import NotAllowed
from core.kernel.i18n import speaking
from core.places import services as places
from core.places.models import Place
from core.units.models import Unit
from core.users.models import User
from tests.api_scene import Asker, token_of
from tests.helpers import as_system, in_scope, login, make_unit, make_user

ALL = {places.VIEW, places.EDIT, "case.view"}


@dataclass
class House:
    app: Flask
    unit: Unit
    keeper: User
    client: FlaskClient
    stranger: FlaskClient
    reader: FlaskClient
    ids: dict[str, int]

    def place(self, code: str) -> Place:
        with as_system() as work:
            return work.scalars(select(Place).where(Place.code == code, Place.unit_id == self.unit.id)).one()

    def codes(self) -> set[str]:
        with as_system() as work:
            return set(work.scalars(select(Place.code).where(Place.unit_id == self.unit.id)))


@pytest.fixture(params=["zh", "en"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def make_house(app: Flask, locale: str = "zh") -> House:
    unit, other = make_unit("HOTEL"), make_unit("OTHER")
    keeper = make_user(unit, ALL, username="keeper", locale=locale)
    with in_scope(unit, ALL) as _work, transaction():
        places.create_place(unit.id, {"code": "B1", "kind": "building", "name": "主楼", "name_en": "Main building"})
        places.create_place(unit.id, {"code": "F8", "kind": "floor", "name": "8层", "parent": "B1"})
        places.create_row(
            unit.id, {"parent": "F8", "kind": "room", "prefix": "08", "first": 1, "last": 3, "digits": 2}
        )
        ids = {one.code: one.id for one in places.tree(unit.id)}
    return House(
        app,
        unit,
        keeper,
        login(app.test_client(), keeper),
        login(app.test_client(), make_user(other, ALL, username="stranger", locale=locale)),
        login(app.test_client(), make_user(unit, {places.VIEW}, username="reader", locale=locale)),
        ids,
    )


@pytest.fixture
def house(app: Flask) -> House:
    return make_house(app)


def test_the_tree_and_the_page_of_a_place(app: Flask, language: str) -> None:
    house = make_house(app, language)
    tree = house.client.get("/admin/places/").text
    assert [tree.index(f">{code}<") for code in ("B1", "F8", "0801", "0803")] == sorted(
        tree.index(f">{code}<") for code in ("B1", "F8", "0801", "0803")
    )
    main = "Main building" if language == "en" else "主楼"
    assert main in tree
    page = house.client.get(f"/admin/places/details/?id={house.ids['F8']}").text
    assert main in page and "0801" in page
    assert f'href="/admin/places/details/?id={house.ids["B1"]}"' in page
    assert "/admin/places/row/?parent=F8" in page


def test_who_only_looks_sees_no_buttons_and_may_not(house: House) -> None:
    page = house.reader.get(f"/admin/places/details/?id={house.ids['F8']}").text
    assert "/admin/places/edit/" not in page and "/admin/places/active/" not in page
    assert "/admin/places/new/" not in house.reader.get("/admin/places/").text
    place = house.ids["0801"]
    assert house.reader.get("/admin/places/new/").status_code == 403
    assert house.reader.post("/admin/places/row/", data={}).status_code == 403
    assert house.reader.post(f"/admin/places/edit/?id={place}", data={"code": "X"}).status_code == 403
    assert house.reader.post("/admin/places/active/", data={"id": place, "active": "0"}).status_code == 403
    assert house.place("0801").active


def test_another_unit_finds_nothing(house: House) -> None:
    place = house.ids["0801"]
    for address in (f"details/?id={place}", f"edit/?id={place}"):
        assert house.stranger.get(f"/admin/places/{address}").status_code == 404
    assert house.stranger.post("/admin/places/active/", data={"id": place, "active": "0"}).status_code == 404
    assert "0801" not in house.stranger.get("/admin/places/").text
    assert house.stranger.get(f"/admin/labels/?form=place&id={place}").status_code == 404
    assert house.stranger.get(f"/q/place~{place}").status_code == 404
    assert "/admin/places/details/" not in house.stranger.get("/admin/search/?q=0801").text
    wrong = house.stranger.post("/admin/places/new/", data={"code": "X", "kind": "room", "parent": "F8"})
    assert wrong.status_code == 422


def test_a_place_is_added_changed_moved_and_closed(house: House) -> None:
    client = house.client
    made = client.post("/admin/places/new/", data={"code": "f9", "kind": "floor", "name": "9层", "parent": "B1"})
    assert made.status_code == 302 and house.place("F9").depth == 1
    taken = client.post("/admin/places/new/", data={"code": "F9", "kind": "floor"})
    assert taken.status_code == 422 and "F9" in taken.text
    floor = house.place("F8")
    form = {
        "code": "F8",
        "kind": "floor",
        "name": "八层",
        "parent": "F9",
        "sort": "5",
        "version": str(floor.version),
    }
    assert client.post(f"/admin/places/edit/?id={floor.id}", data=form).status_code == 302
    moved, room = house.place("F8"), house.place("0801")
    assert (moved.name, moved.sort, moved.depth, room.depth) == ("八层", 5, 2, 3)
    assert room.path.startswith(moved.path)
    stale = client.post(f"/admin/places/edit/?id={floor.id}", data={**form, "name": "X"})
    assert stale.status_code == 409 and house.place("F8").name == "八层"
    assert client.post("/admin/places/active/", data={"id": floor.id, "active": "0"}).status_code == 302
    assert house.place("F8").active  # rooms in it are open
    client.post("/admin/places/active/", data={"id": room.id, "active": "0"})
    assert not house.place("0801").active
    assert ">0801<" not in client.get("/admin/places/").text
    assert ">0801<" in client.get("/admin/places/?closed=1").text
    client.post("/admin/places/active/", data={"id": room.id, "active": "1"})
    assert house.place("0801").active


def test_the_form_offers_no_circle_and_a_forged_one_is_refused(house: House) -> None:
    floor = house.place("F8")
    page = house.client.get(f"/admin/places/edit/?id={floor.id}").text
    assert 'value="B1"' in page and '<option value="0801"' not in page and '<option value="F8"' not in page
    forged = {"code": "F8", "kind": "floor", "parent": "0801", "version": str(floor.version)}
    assert house.client.post(f"/admin/places/edit/?id={floor.id}", data=forged).status_code == 422
    assert house.place("F8").parent_id == house.ids["B1"]


def test_a_place_that_is_closed_in_a_closed_one_is_edited_where_it_is(house: House) -> None:
    with in_scope(house.unit, ALL), transaction():
        for code in ("0801", "0802", "0803", "F8"):
            place = places.by_code(house.unit.id, code)
            assert place is not None
            places.close_place(place)
    room = house.place("0801")
    assert '<option selected value="F8"' in house.client.get(f"/admin/places/edit/?id={room.id}").text
    form = {"code": "0801", "kind": "room", "name": "old", "parent": "F8", "version": str(room.version)}
    assert house.client.post(f"/admin/places/edit/?id={room.id}", data=form).status_code == 302
    assert (house.place("0801").name, house.place("0801").parent_id) == ("old", house.ids["F8"])


def test_several_at_once(house: House) -> None:
    row = {"parent": "F8", "kind": "room", "prefix": "08", "first": "4", "last": "20", "digits": "2"}
    assert house.client.post("/admin/places/row/", data=row).status_code == 302
    assert {"0804", "0820"} <= house.codes() and len(house.codes()) == 22
    again = house.client.post("/admin/places/row/", data={**row, "last": "21"})
    assert again.status_code == 422 and "0804" in again.text and "0821" not in house.codes()
    for odd in ({"first": "x"}, {"last": "1"}, {"last": "99999"}, {"digits": "0"}, {"parent": "?"}):
        assert house.client.post("/admin/places/row/", data={**row, **odd}).status_code == 422


def test_looking_for_a_place_keeps_what_is_around_it(house: House) -> None:
    page = house.client.get("/admin/places/?q=0802").text
    assert ">0802<" in page and ">F8<" in page and ">0801<" not in page
    assert ">B1<" in house.client.get("/admin/places/?q=main").text
    nothing = house.client.get("/admin/places/?q=%3Cscript%3E").text
    assert "<script>" not in nothing.partition("</head>")[2].replace("<script src", "")
    with in_scope(house.unit, ALL):
        rows = places.tree(house.unit.id)
        assert [one.place.code for one in grow(rows)] == ["B1"]
        assert grow(rows)[0].count == 4
        assert grow(rows, "nowhere") == []


def test_the_search_box_and_labels_lead_to_the_page(house: House) -> None:
    assert "/admin/places/details/" in house.client.get("/admin/search/?q=0802").text
    place = house.ids["0802"]
    found = house.client.get(f"/q/place~{place}")
    assert found.status_code == 302 and found.headers["Location"].endswith(f"/admin/places/details/?id={place}")
    asked = house.client.get(f"/admin/labels/?form=place&id={place}")
    assert asked.status_code == 200 and f'name="id" value="{place}"' in asked.text
    chosen = house.client.post(
        "/admin/places/action/", data={"action": "labels", "id": [str(place), str(house.ids["0801"])]}
    )
    assert chosen.status_code == 200 and chosen.text.count('name="id"') >= 2
    sheet = {"form": "place", "id": [str(place)], "size": "a4-24", "start": "1", "copies": "1"}
    pdf = house.client.post("/admin/labels/print", data=sheet)
    assert pdf.mimetype == "application/pdf" and pdf.data.startswith(b"%PDF")


def test_the_tree_asks_the_same_for_5_and_for_205(house: House, count_queries: Any) -> None:
    counts = []
    for _ in range(2):
        with count_queries() as asked:
            assert house.client.get("/admin/places/").status_code == 200
        counts.append(len(asked))
        row = {"parent": "F8", "kind": "room", "prefix": "9", "first": "1", "last": "200", "digits": "3"}
        house.client.post("/admin/places/row/", data=row)
    assert len(house.codes()) == 205 and counts[0] == counts[1]


# --- import ------------------------------------------------------------------------------------------

GOOD = """编号,名称,类型,上级编号,备注
B2,附楼,楼,,
F21,1层,楼层,B2,
2101,,房间,F21,靠街
A-01,,货架,2101,
"""


@contextmanager
def importing_desk(house: House) -> Iterator[None]:
    with in_scope(house.unit, ALL, house.keeper):
        yield


def staged(house: House, text: str) -> importing.ImportRun:
    with transaction():
        return importing.stage("places", house.unit.id, io.BytesIO(text.encode()), "places.csv")


def test_a_list_of_places_is_taken_in_and_taken_back(house: House) -> None:
    with importing_desk(house):
        run = staged(house, GOOD)
        assert importing.check(run)["create"] == 4
        done = importing.confirm(run.id)
        assert done.counts["create"] == 4
        shelf = places.by_code(house.unit.id, "A-01")
        assert shelf is not None and shelf.kind == "shelf"
        with speaking("zh"):
            assert places.full_name(shelf) == "附楼 / 1层 / 2101 / A-01"
        again = staged(house, GOOD)
        assert importing.check(again)["same"] == 4
        importing.undo(run.id)
    assert house.codes() == {"B1", "F8", "0801", "0802", "0803"}
    assert house.client.get("/admin/search/?q=附楼").text.count("/admin/places/details/") == 0


def test_bad_rows_are_named_and_the_others_go_in(house: House) -> None:
    rows = (
        "编号,名称,类型,上级编号,排序",
        "B2,附楼,楼,,",
        ",没有编号,房间,B2,",
        "C1,城堡,城堡,B2,",
        "C2,没有类型,,B2,",
        "C3,找不到上级,房间,X9,",
        "B2,两次,楼,,",
        "C4,在自己里面,房间,C4,",
        "C5,排序不对,房间,B2,甲",
        "0801,换地方,房间,B2,",
        "C6,上级在后面,房间,B3,",
        "B3,后面的楼,楼,,",
        f"C7,{'长' * 90},房间,B2,",
    )
    with importing_desk(house):
        run = staged(house, "\n".join(rows) + "\n")
        counts = importing.check(run)
        assert (counts["create"], counts["error"]) == (2, 10), counts
        bad = importing.preview_rows(run, "error")
        assert [one.line for one in bad] == [3, 4, 5, 6, 7, 8, 9, 10, 11, 13]
    with importing_desk(house):
        importing.confirm(run.id)
    assert {"B2", "B3"} <= house.codes() and not {"C1", "C5", "C6"} & house.codes()


def test_a_list_changes_what_is_on_file_and_moves_nothing(house: House) -> None:
    text = "编号,名称,类型,上级编号,备注\n0801,套房,房间,F8,\n0802,,房间,,靠街\n0803,0803,房间,F8,\n"
    with importing_desk(house):
        run = staged(house, text)
        counts = importing.check(run)
        assert (counts["update"], counts["same"]) == (2, 1), counts
        importing.confirm(run.id)
    first, second = house.place("0801"), house.place("0802")
    assert (first.name, first.parent_id) == ("套房", house.ids["F8"])
    assert (second.name, second.note, second.parent_id) == ("0802", "靠街", house.ids["F8"])


def test_who_may_not_keep_places_takes_none_in(house: House) -> None:
    with in_scope(house.unit, {places.VIEW}), pytest.raises(NotAllowed):
        staged(house, GOOD)


# --- API ---------------------------------------------------------------------------------------------


def test_the_api_reads_adds_changes_and_closes(house: House) -> None:
    asker = Asker(house.app, token_of(house.keeper))
    found = asker.get("/places?code=0801").json["items"]
    assert len(found) == 1
    assert {name: found[0][name] for name in ("code", "kind", "parent", "depth", "active")} == {
        "code": "0801",
        "kind": "room",
        "parent": "F8",
        "depth": 2,
        "active": True,
    }
    assert found[0]["full_name"].endswith("8层 / 0801")
    made = asker.post("/places", {"code": "F9", "kind": "floor", "parent": "B1"})
    assert made.status_code == 201 and made.json["parent_id"] == house.ids["B1"]
    twice = asker.post("/places", {"code": "f9", "kind": "floor"})
    assert twice.status_code == 422 and "code" in twice.text
    key = made.json["id"]
    changed = asker.patch(f"/places/{key}", {"name": "九层"}, If_Match=made.headers["ETag"])
    assert (changed.status_code, changed.json["name"], changed.json["parent"]) == (200, "九层", "B1")
    closed = asker.patch(f"/places/{key}", {"active": False}, If_Match=changed.headers["ETag"])
    assert closed.status_code == 200 and closed.json["active"] is False
    held = asker.get(f"/places/{house.ids['F8']}")
    refused = asker.patch(f"/places/{house.ids['F8']}", {"active": False}, If_Match=held.headers["ETag"])
    assert refused.status_code == 409
    circle = asker.patch(f"/places/{house.ids['F8']}", {"parent": "0801"}, If_Match=held.headers["ETag"])
    assert circle.status_code == 422
    assert asker.get(f"/places?parent_id={house.ids['F8']}").json["items"][0]["parent"] == "F8"


def test_the_same_request_adds_one_place(house: House) -> None:
    asker = Asker(house.app, token_of(house.keeper), **{"Idempotency-Key": "k1"})
    sent = {"code": "F9", "kind": "floor"}
    first, second = asker.post("/places", sent), asker.post("/places", sent)
    assert first.json["id"] == second.json["id"]
    assert second.status_code in (200, 201)


def test_the_api_of_another_unit_finds_nothing(house: House) -> None:
    with as_system() as work:
        stranger = work.scalars(select(User).where(User.username == "stranger")).one()
        reader = work.scalars(select(User).where(User.username == "reader")).one()
    asker = Asker(house.app, token_of(stranger))
    assert asker.get(f"/places/{house.ids['F8']}").status_code == 404
    assert asker.get("/places").json["items"] == []
    looking = Asker(house.app, token_of(reader))
    assert looking.get(f"/places/{house.ids['F8']}").status_code == 200
    assert looking.post("/places", {"code": "X", "kind": "room"}).status_code == 403
