"""The tree of places: add, rows of them, move, close, find, name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import ANY

import pytest
from flask import Flask
from sqlalchemy import select

from core.kernel import search
from core.kernel.audit import Audit
from core.kernel.database import ScopedSession, session, transaction
from core.kernel.errors import Conflict, InvalidData, NotAllowed, NotFound, Refused
from core.kernel.i18n import speaking
from core.places import services as places
from core.places.models import DEEPEST, Place
from core.units.models import Unit
from tests.helpers import in_scope, make_unit

ALL = {places.VIEW, places.EDIT}


@contextmanager
def desk(unit: Unit, permissions: set[str] | None = None) -> Iterator[ScopedSession]:
    with in_scope(unit, ALL if permissions is None else permissions) as work:
        yield work


def add(unit: Unit, code: str, parent: Any = None, **more: Any) -> Place:
    with transaction():
        return places.create_place(unit.id, {"code": code, "kind": "room", "parent": parent, **more})


def change(place: Place, **raw: Any) -> Place:
    with transaction():
        return places.change_place(place, raw)


def house(unit: Unit) -> dict[str, Place]:
    """Main building with floors 8 and 9; rooms 801 and 802 on floor 8."""
    add(unit, "B1", name="主楼", name_en="Main building", kind="building")
    add(unit, "F8", "b1", name="8层", kind="floor")
    add(unit, "F9", "B1", name="9层", kind="floor", sort=1)
    with transaction():
        row = {"parent": "F8", "kind": "room", "prefix": "8", "first": 1, "last": 2, "digits": 2}
        places.create_row(unit.id, row)
    return {one.code: one for one in places.tree(unit.id, closed=True)}


def wrong(**fields: Any) -> Any:
    return pytest.raises(InvalidData, check=lambda error: set(error.errors) == set(fields or {}))


def codes(unit: Unit, **how: Any) -> list[str]:
    return [one.code for one in places.tree(unit.id, **how)]


def test_the_tree_stands_in_order_and_names_run_from_the_outermost(app: Flask) -> None:
    unit = make_unit()
    with desk(unit), speaking("zh"):
        found = house(unit)
        assert codes(unit) == ["B1", "F9", "F8", "801", "802"]
        room = found["801"]
        assert (room.depth, room.path) == (2, f"/{found['B1'].id}/{found['F8'].id}/{room.id}/")
        assert places.full_name(room) == "主楼 / 8层 / 801"
        ids = [room.id, found["F9"].id, None, 999999]
        assert places.full_names(unit.id, ids) == {room.id: "主楼 / 8层 / 801", found["F9"].id: "主楼 / 9层"}
        assert (str(found["F8"].id), "主楼 / 8层") in places.choices(unit.id, ("floor",))
        assert len(places.choices(unit.id, ("floor",))) == 2
        assert [one.code for one in places.children(found["F8"])] == ["801", "802"]
        with speaking("en"):
            assert places.full_name(room) == "Main building / 8层 / 801"


def test_numbers_in_codes_are_compared_as_numbers(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        for code in ("A10", "A9", "B1", "A9-2", "7"):
            add(unit, code)
        assert codes(unit) == ["7", "A9", "A9-2", "A10", "B1"]


def test_a_code_stands_once_in_a_unit_in_any_spelling(app: Flask) -> None:
    unit, other = make_unit(), make_unit()
    with desk(unit):
        add(unit, "a-01")
        with wrong(code=ANY):
            add(unit, "Ａ-01 ")
        second = add(unit, "A-02")
        with wrong(code=ANY):
            change(second, code="a-01")
        with pytest.raises(InvalidData) as bad, transaction():
            places.create_row(unit.id, {"kind": "room", "prefix": "A-", "first": 1, "last": 3, "digits": 2})
        assert "A-01, A-02" in str(bad.value.errors["first"])
        assert codes(unit) == ["A-01", "A-02"]
    with desk(other):
        assert add(other, "A-01").code == "A-01"


def test_what_is_wrong_is_said_at_once_and_nothing_is_added(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        with pytest.raises(InvalidData) as bad, transaction():
            places.create_place(unit.id, {"parent": "nowhere", "kind": "castle", "sort": -1})
        assert set(bad.value.errors) == {"parent", "kind", "code", "sort"}
        for number in (0, -1, 10**30, True):
            with wrong(parent=ANY):
                add(unit, "X", number)
        for row in (
            {"first": 5, "last": 4},
            {"first": 1, "last": 500},
        ):
            with wrong(last=ANY), transaction():
                places.create_row(unit.id, {"kind": "room", **row})
        assert codes(unit) == []


def test_a_move_takes_all_below_along(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        found = house(unit)
        change(found["F8"], parent="F9")
        assert codes(unit) == ["B1", "F9", "F8", "801", "802"]
    with desk(unit):
        moved = {one.code: one for one in places.tree(unit.id)}
        assert moved["801"].depth == 3
        assert moved["801"].path == moved["F9"].path + f"{moved['F8'].id}/{moved['801'].id}/"
        change(moved["F8"], parent="")
        assert (moved["F8"].path, moved["F8"].depth) == (f"/{moved['F8'].id}/", 0)
        inside = session().scalars(select(Place.code).where(places.within(moved["F8"])))
        assert set(inside) == {"F8", "801", "802"}
        # What is not named stays as it is.
        assert (moved["F8"].name, moved["F8"].kind) == ("8层", "floor")


def test_no_place_lies_in_itself_nor_too_deep(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        found = house(unit)
        for target in ("B1", "F8", "801"):
            with wrong(parent=ANY):
                change(found["B1"], parent=target)
        above = None
        for level in range(DEEPEST):
            above = add(unit, f"D{level}", above and above.code).code and places.by_code(unit.id, f"D{level}")
        with wrong(parent=ANY):
            add(unit, "D9", f"D{DEEPEST - 1}")
        with wrong(parent=ANY):
            change(found["B1"], parent=f"D{DEEPEST - 3}")
        change(found["F9"], parent=f"D{DEEPEST - 2}")


def test_ids_that_begin_alike_are_not_below_each_other(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        rows = [add(unit, f"N{number}") for number in range(12)]
        for row in rows:
            assert session().scalars(select(Place.id).where(places.within(row))).all() == [row.id]


def test_closing_goes_from_below_and_reopening_from_above(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        found = house(unit)
        with pytest.raises(Refused), transaction():
            places.close_place(found["F8"])
        for code in ("801", "802", "F8"):
            with transaction():
                places.close_place(found[code])
        assert codes(unit) == ["B1", "F9"]
        assert len(codes(unit, closed=True)) == 5
        with wrong(parent=ANY):
            add(unit, "803", "F8")
        with wrong(parent=ANY):
            change(found["F9"], parent="F8")
        with pytest.raises(Refused), transaction():
            places.reopen_place(found["801"])
        with transaction():
            places.reopen_place(found["F8"])
            places.reopen_place(found["801"])
        assert codes(unit) == ["B1", "F9", "F8", "801"]


def test_only_who_may_changes_places_and_only_in_their_unit(app: Flask) -> None:
    unit, other = make_unit(), make_unit()
    with desk(unit):
        found = house(unit)
    with desk(unit, {places.VIEW}):
        assert places.get_place(str(found["801"].id)).code == "801"
        for act in (
            lambda: add(unit, "X"),
            lambda: places.create_row(unit.id, {}),
            lambda: change(places.get_place(found["801"].id), name="X"),
            lambda: places.close_place(places.get_place(found["801"].id)),
            lambda: places.reopen_place(places.get_place(found["801"].id)),
        ):
            with pytest.raises(NotAllowed):
                act()
    with desk(other):
        for raw in (found["801"].id, "x", "", None, 10**30):
            with pytest.raises(NotFound):
                places.get_place(raw)
        assert places.tree(unit.id) == []
        assert places.by_code(other.id, "801") is None
        with wrong(parent=ANY):
            add(other, "X", found["B1"].id)


def test_who_changes_an_old_state_is_told(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        place = add(unit, "A")
        before = place.version
        change(place, name="Hall")
        with pytest.raises(Conflict), transaction():
            places.change_place(place, {"name": "Room"}, before)


def test_places_are_found_and_the_trail_names_them(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        found = house(unit)
        hits = search.search(frozenset({unit.id}), places.SEARCH_KIND, "主楼")
        assert [one.entity_id for one in hits] == [found["B1"].id]
        change(found["B1"], name="南楼")
        assert not search.search(frozenset({unit.id}), places.SEARCH_KIND, "主楼")
        changed = session().scalars(select(Audit).where(Audit.subject_type == "core_place")).all()
        assert changed


def test_a_page_of_names_takes_two_statements(app: Flask, count_queries: Any) -> None:
    unit = make_unit()
    with desk(unit):
        house(unit)
        with transaction():
            places.create_row(unit.id, {"kind": "room", "parent": "F9", "first": 901, "last": 950})
        for size in (5, 50):
            ids = [one.id for one in places.tree(unit.id) if one.kind == "room"][:size]
            session().expunge_all()
            with count_queries() as asked:
                assert len(places.full_names(unit.id, ids)) == size
            assert len(asked) == 2


def at_once(*calls: Callable[[], object]) -> list[object]:
    """Run calls at the same time; return what each answered or raised."""
    gate, answers = threading.Barrier(len(calls)), [None] * len(calls)

    def run(number: int, call: Callable[[], object]) -> None:
        gate.wait()
        try:
            answers[number] = call()
        except Exception as error:
            answers[number] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    return list(answers)


def test_two_moves_at_once_make_no_circle(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        ids = {code: add(unit, code).id for code in ("A", "B")}

    def move(code: str, under: str) -> object:
        with desk(unit), transaction():
            return places.change_place(places.get_place(ids[code]), {"parent": under})

    answers = at_once(lambda: move("A", "B"), lambda: move("B", "A"))
    assert sum(isinstance(one, InvalidData) for one in answers) == 1, answers
    with desk(unit):
        paths = sorted(len(one.path.strip("/").split("/")) for one in places.tree(unit.id))
    assert paths == [1, 2]


def test_the_same_code_at_once_is_there_once(app: Flask) -> None:
    unit = make_unit()

    def make() -> object:
        with desk(unit):
            return add(unit, "A-1").id

    answers = at_once(make, make, make)
    assert sum(isinstance(one, InvalidData) for one in answers) == 2, answers
    with desk(unit):
        assert codes(unit) == ["A-1"]


def test_what_is_put_into_a_place_that_is_closed_at_once_is_in_an_open_one(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        hall = add(unit, "HALL").id

    def close() -> object:
        with desk(unit), transaction():
            return places.close_place(places.get_place(hall))

    def put() -> object:
        with desk(unit):
            return add(unit, "R1", "HALL").id

    answers = at_once(close, put)
    assert sum(isinstance(one, InvalidData | Refused) for one in answers) == 1, answers
