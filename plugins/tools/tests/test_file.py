"""The file of tools: kinds, sets, stores, places, numbers, and what a scan gun types."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from core.documents.labels import code_of
from core.kernel import clock
from core.sdk import InvalidData, NotAllowed, Record, Refused, perform, session, transaction
from plugins.tools import custody, file, flow, holders, kinds, rights, values
from plugins.tools.models import Kind, Kit, KitLine, Party, Place, Tool
from tests.helpers import in_scope, make_unit, make_user, switch_on

from .scene_file import GIVEN, MONDAY, Room, make_room


@pytest.fixture
def room(app: Flask) -> Iterator[Room]:
    with clock.frozen(MONDAY):
        yield make_room()


@pytest.fixture
def plain(sqlite_app: Flask) -> Iterator[Room]:
    """The same on one database: for what is only about texts."""
    with clock.frozen(MONDAY):
        yield make_room()


def refused(room: Room, call: Any, *args: Any) -> dict[str, list[str]]:
    with room.acting(), pytest.raises(InvalidData) as bad, transaction():
        call(room.unit.id, *args)
    return {name: [str(text) for text in texts] for name, texts in bad.value.errors.items()}


# --- a new unit ----------------------------------------------------------------------------------


@pytest.mark.clause("R35-1")
def test_a_new_unit_has_a_store_the_standard_kinds_and_set(room: Room) -> None:
    with room.acting() as work, transaction():
        kinds.set_up(room.unit.id)
        found = work.scalars(select(Kind).where(Kind.unit_id == room.unit.id)).all()
        assert len(found) == 11
        assert {one.name for one in found if one.category == values.CONSUMABLE} == {"鞋套", "胶布"}
        assert [one.name for one in found if one.needs_permit] == ["电动螺丝刀"]
        kit = work.scalars(select(Kit).where(Kit.unit_id == room.unit.id)).one()
        assert kit.standard
        assert work.scalar(select(func.count()).where(KitLine.kit_id == kit.id)) == 11
        assert work.scalar(select(func.count()).where(Party.unit_id == room.unit.id)) == 1


# --- tools ---------------------------------------------------------------------------------------


@pytest.mark.clause("R32-3.2", "R32-2.3")
def test_a_registered_tool_waits_in_its_store(room: Room) -> None:
    key = room.tool(accepted=False)
    tool = room.one(key)
    assert (tool.code, tool.name, tool.price) == ("GJ00001", "剥线钳", Decimal("120.00"))
    assert room.state(key) == values.NEW
    store = room.store()
    with room.acting():
        held = custody.spell(key)
        assert held is not None and held.party_id == store and held.starts_at == MONDAY
        perform(key, "accept", {"result": "完好"})
    assert room.state(key) == values.IN_STORE
    assert room.one(room.tool()).code == "GJ00002"


@pytest.mark.clause("R32-3.2")
@pytest.mark.parametrize("again", ["gx-7", " GX-7 ", "ＧＸ－７", "gx -7"])
def test_a_number_is_given_once_however_it_is_written(plain: Room, again: str) -> None:
    plain.tool(code="GX-7")
    errors = refused(plain, file.register, {**GIVEN, "code": again})
    assert list(errors) == ["code"] and "GX-7" in errors["code"][0]


def test_drawn_numbers_pass_over_those_a_list_brought(plain: Room) -> None:
    plain.tool(code="gj00001")
    plain.tool(code="GJ00002")
    assert plain.one(plain.tool()).code == "GJ00003"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"price": "-1"}, "price"),
        ({"price": "10.001"}, "price"),
        ({"price": "viel"}, "price"),
        ({"price": "1e12"}, "price"),
        ({"bought_on": "2026-03-03"}, "bought_on"),
        ({"bought_on": "0026-03-03"}, "bought_on"),
        ({"bought_on": "gestern"}, "bought_on"),
        ({"life_months": "0"}, "life_months"),
        ({"life_months": "1.5"}, "life_months"),
        ({"kind": ""}, "kind"),
        ({"kind": "飞船"}, "kind"),
        ({"kind": "胶布"}, "kind"),
        ({"store": "别处"}, "store"),
        ({"place": "没有"}, "place"),
        ({"maintainer": "nobody"}, "maintainer"),
        ({"code": "X" * 41}, "code"),
        ({"calibrate_on": "9999-01-01"}, "calibrate_on"),
    ],
)
def test_what_does_not_fit_is_said_beside_its_field(plain: Room, wrong: dict[str, str], field: str) -> None:
    assert list(refused(plain, file.register, {**GIVEN, **wrong})) == [field]
    with plain.acting() as work:
        assert work.scalars(select(Tool)).all() == []


def test_everything_wrong_is_said_at_once(plain: Room) -> None:
    wrong = {
        "kind": "飞船",
        "price": "-1",
        "bought_on": "2027-01-01",
        "store": "x",
        "maintainer": "y",
        "life_months": "0",
    }
    assert set(refused(plain, file.register, wrong)) == set(wrong)


def test_another_units_kind_store_place_and_people_are_unknown(room: Room) -> None:
    other = make_room()
    with other.acting(), transaction():
        place = holders.save_place(other.unit.id, {"name": "A1"}).id
    wrong = {
        "kind": str(other.kind("背包")),
        "store": str(other.store()),
        "maintainer": str(other.first.id),
    }
    assert set(refused(room, file.register, {**GIVEN, **wrong})) == set(wrong)
    assert list(refused(room, file.register, {**GIVEN, "place": str(place)})) == ["place"]


def test_a_place_belongs_to_one_store(room: Room) -> None:
    with room.acting(), transaction():
        second = holders.save_store(room.unit.id, {"name": "二号库", "user_id": str(room.keeper.id)})
        holders.save_place(room.unit.id, {"store": "二号库", "name": "B柜"})
        place = holders.save_place(room.unit.id, {"store": str(second.id), "name": "A柜"})
    errors = refused(room, file.register, {**GIVEN, "store": "工具房", "place": str(place.id)})
    assert errors == {"place": ["This place belongs to another store"]}
    # With two stores one has to be named.
    assert list(refused(room, file.register, GIVEN)) == ["store"]
    key = room.tool(store="二号库", place="a柜")
    assert room.one(key).place_id == place.id


def test_a_serial_number_is_given_once_for_a_kind(room: Room) -> None:
    room.tool(serial="sn 100")
    assert list(refused(room, file.register, {**GIVEN, "serial": "SN100"})) == ["serial"]
    room.tool(kind="网线钳", serial="SN100")  # another maker's


def test_registering_needs_the_keepers_right(room: Room) -> None:
    with room.acting(permissions={rights.VIEW, rights.OWN}), pytest.raises(NotAllowed):
        file.register(room.unit.id, GIVEN)


@pytest.mark.clause("R15-16")
def test_above_the_limit_it_is_a_fixed_asset(room: Room) -> None:
    with room.acting():
        assert file.asset_class(room.unit.id, Decimal("5000")) == ""  # the clause is off in this unit
    room.clause("R15-16")
    with room.acting():
        assert file.asset_class(room.unit.id, Decimal("1000")) == values.LOW_VALUE
        assert file.asset_class(room.unit.id, Decimal("1000.01")) == values.FIXED_ASSET
        assert file.asset_class(room.unit.id, None) == ""
    assert room.one(room.tool(price="1000.01")).asset_class == values.FIXED_ASSET


def test_corrections_are_on_the_timeline(room: Room) -> None:
    room.clause("R15-16")
    key = room.tool(code="A-1")
    raw = {**GIVEN, "code": "A-1", "price": "1500", "serial": "S1", "name": "剥线钳", "life_months": "12"}
    with room.acting() as work:
        record = work.get_one(Record, key)
        file.edit(record, raw)
        file.edit(work.get_one(Record, key), raw)
    tool = room.one(key)
    assert (tool.price, tool.asset_class, tool.life_months) == (Decimal("1500.00"), values.FIXED_ASSET, 12)
    with room.acting() as work:
        facts = [one for one in _facts(work, key) if one.kind == "edited"]
        assert len(facts) == 1  # the second time nothing was different
        assert set(facts[0].data["fields"]) == {"price", "serial", "asset_class", "life_months"}


def _facts(work: Any, key: int) -> Any:
    from core.sdk import Fact

    return work.scalars(select(Fact).where(Fact.record_id == key).order_by(Fact.seq)).all()


def test_a_number_changes_only_before_the_first_hand_over(room: Room) -> None:
    key = room.tool(code="A-1")
    room.tool(code="A-2")
    with room.acting() as work:
        with pytest.raises(InvalidData):
            file.edit(work.get_one(Record, key), {**GIVEN, "code": "a-2"})
        file.edit(work.get_one(Record, key), {**GIVEN, "code": "a-3"})
        assert work.get_one(Record, key).number == "A-3"
    room.give(key, room.person(room.first))
    with room.acting() as work, pytest.raises(InvalidData) as bad:
        file.edit(work.get_one(Record, key), {**GIVEN, "code": "A-4"})
    assert list(bad.value.errors) == ["code"]


def test_a_tool_gets_another_place(room: Room) -> None:
    key = room.tool()
    with room.acting(), transaction():
        place = holders.save_place(room.unit.id, {"name": "A1"})
        place_id = place.id
    with room.acting() as work:
        file.relocate(work.get_one(Record, key), {"place": "a1"})
        file.relocate(work.get_one(Record, key), {"place": "A1"})
        assert [one.note for one in _facts(work, key) if one.kind == "relocated"] == ["A1"]
        with pytest.raises(InvalidData):
            file.relocate(work.get_one(Record, key), {"place": "Z9"})
    assert room.one(key).place_id == place_id
    with room.acting() as work, pytest.raises(Refused), transaction():
        holders.save_place(room.unit.id, {"name": "A1", "active": ""}, work.get_one(Place, place_id))


def test_the_service_life_is_the_tools_else_the_kinds_else_the_clauses(room: Room) -> None:
    key = room.tool()
    with room.acting() as work:
        tool = work.scalars(select(Tool).where(Tool.id == key)).one()
        assert file.life_of(tool, 24) == 24
        tool.kind.life_months = 0
        assert file.life_of(tool, 24) == 0
        tool.life_months = 6
        assert file.life_of(tool, 24) == 6


def test_maintenance_is_planned_as_the_kind_says(room: Room) -> None:
    with room.acting(), transaction():
        raw = {"name": "冲击钻", "category": "power", "maintain_months": "3"}
        kinds.save_kind(room.unit.id, raw)
    assert room.one(room.tool(kind="冲击钻")).maintain_on == date(2026, 6, 2)


# --- finding -------------------------------------------------------------------------------------


def test_what_a_scan_gun_types_is_understood(room: Room) -> None:
    key = room.tool(code="GX-7", serial="SN 88/1")
    with room.acting() as work:
        code = code_of(work.get_one(Record, key).uid)
        link = f"https://tools.example.cn/q/{code}"
        typed = (
            "GX-7",
            " gx-7\n",
            "ＧＸ－７",
            "sn88/1",
            "SN88、1",
            code,
            code.lower(),
            link,
            link.upper(),
            link.replace(":", "：").replace("/", "、"),
            link.replace(".", "。") + "\r\n",
        )
        for text in typed:
            assert file.find_tool(room.unit.id, text).id == key, text


def test_what_is_not_there_is_named(room: Room) -> None:
    other = make_room()
    room.tool(code="GX-7", serial="S1")
    room.tool(code="GX-8", serial="S1", kind="网线钳")
    foreign = other.tool(code="GX-9")
    with other.acting() as work:
        label = code_of(work.get_one(Record, foreign).uid)
    for text, part in (
        ("", "Scan"),
        ("GX-9", "GX-9"),
        ("S1", "GX-7、GX-8"),
        (f"http://x.cn/q/{label}", "nothing in this unit"),
        ("'; DROP TABLE tools_tool; --", "DROP"),
        ("\x00", "Scan"),
        ("x" * 5000, "xxx"),
    ):
        errors = refused(room, file.find_tool, text)
        assert part in errors["code"][0], text


# --- kinds, sets ---------------------------------------------------------------------------------


def test_kinds_draw_numbers_and_have_one_name(room: Room) -> None:
    with room.acting(), transaction():
        made = kinds.save_kind(room.unit.id, {"name": "压线钳 ", "category": "special", "price": "99.50"})
        assert made.code == "K012" and made.price == Decimal("99.50") and made.active
    for wrong, field in (
        ({"name": "压 线钳"}, "name"),
        ({"name": "x", "code": "ｋ０１２"}, "code"),
        ({"name": "x", "code": "12"}, "code"),
        ({"name": "123"}, "name"),
        ({"name": "x", "price": "1.234"}, "price"),
        ({"name": "x", "life_months": "-1"}, "life_months"),
        ({"name": "x", "category": "magic"}, "category"),
        ({"name": ""}, "name"),
    ):
        assert list(refused(room, kinds.save_kind, {"category": "common", **wrong})) == [field], wrong


def test_a_kind_in_use_is_put_out_of_use_not_deleted(room: Room) -> None:
    room.tool()
    key = room.kind("剥线钳")
    with room.acting() as work:
        kind = work.get_one(Kind, key)
        with pytest.raises(Refused), transaction():
            kinds.delete_kind(kind)
    with room.acting() as work, transaction():
        kind = work.get_one(Kind, key)
        kinds.save_kind(room.unit.id, {"name": kind.name, "category": kind.category, "active": ""}, kind)
    assert list(refused(room, file.register, GIVEN)) == ["kind"]
    with room.acting() as work, transaction():
        assert str(key) not in dict(kinds.kind_choices(room.unit.id))
        kinds.delete_kind(kinds.save_kind(room.unit.id, {"name": "多余的", "category": "common"}))


def test_a_kind_with_tools_does_not_become_one_of_quantities(room: Room) -> None:
    room.tool()
    key = room.kind("剥线钳")
    with room.acting() as work, pytest.raises(InvalidData) as bad, transaction():
        kind = work.get_one(Kind, key)
        kinds.save_kind(room.unit.id, {"name": kind.name, "category": values.CONSUMABLE}, kind)
    assert list(bad.value.errors) == ["category"]


def test_a_set_names_kinds_by_name_or_number(room: Room) -> None:
    with room.acting() as work, transaction():
        kit = kinds.save_kit(room.unit.id, {"name": "新人套装", "lines": "剥线钳，２\nk001\ntape x 5"})
        held = {one.kind.name: one.quantity for one in kinds.lines_of([kit.id])[kit.id]}
        assert held == {"剥线钳": 2, "电动螺丝刀": 1, "胶布": 5}
        kinds.save_kit(room.unit.id, {"name": "新人套装", "lines": "剥线钳，1"}, work.get_one(Kit, kit.id))
        assert kinds.lines_text(kinds.lines_of([kit.id])[kit.id]) == "剥线钳, 1"
    for lines in ("", "飞船, 1", "剥线钳, 0", "剥线钳\n剥线钳,2"):
        assert list(refused(room, kinds.save_kit, {"name": "另一套", "lines": lines})) == ["lines"], lines
    assert list(refused(room, kinds.save_kit, {"name": "新人套装", "lines": "背包"})) == ["name"]
    with room.acting() as work, transaction():
        kinds.delete_kit(work.scalars(select(Kit).where(Kit.name == "新人套装")).one())
        assert work.scalars(select(Kit.name)).all() == ["个人标配"]


# --- stores --------------------------------------------------------------------------------------


@pytest.mark.clause("R32-3.1")
def test_a_store_has_a_keeper_of_the_staff_who_may_keep(room: Room) -> None:
    stranger = make_user(make_unit(), {rights.KEEP})
    for keeper in ("", str(stranger.id), str(room.first.id), "nobody"):
        wrong = {"name": "二号库", "user_id": keeper}
        assert list(refused(room, holders.save_store, wrong)) == ["user_id"], keeper
    with room.acting(), transaction():
        assert holders.save_store(room.unit.id, {"name": "二号库", "user_id": "周保管"}).user_id == room.keeper.id
    assert list(refused(room, holders.save_store, {"name": "二 号库", "user_id": "周保管"})) == ["name"]


@pytest.mark.clause("R32-3.1")
def test_under_the_clause_a_tool_has_a_keeper_and_a_place(room: Room) -> None:
    room.clause("R32-3.1")
    key = room.tool()  # the store is one place: no shelf to name; whoever registers keeps it until another is named
    with room.acting() as work:
        assert work.get_one(Party, room.store()).user_id == room.keeper.id
    with room.acting(), transaction():
        holders.save_place(room.unit.id, {"name": "A1"})
    assert list(refused(room, file.register, {**GIVEN, "code": "B-1"})) == ["place"]
    kept = room.tool(code="B-2", place="A1")
    with room.acting() as work:
        assert work.scalars(select(Tool).where(Tool.id == kept)).one().place.name == "A1"
        with pytest.raises(InvalidData) as bad:
            file.relocate(work.get_one(Record, kept), {"place": ""})
        assert list(bad.value.errors) == ["place"]
        file.relocate(work.get_one(Record, key), {"place": "A1"})


@pytest.mark.clause("R32-3.1")
def test_with_the_clause_off_a_place_may_be_left_open(room: Room) -> None:
    room.clause("R32-3.1", on=False)
    with room.acting(), transaction():
        holders.save_place(room.unit.id, {"name": "A1"})
    room.tool()
    with room.acting() as work:
        assert work.get_one(Party, room.store()).user_id is None


def test_a_store_that_holds_tools_stays_in_use(room: Room) -> None:
    room.tool()
    raw, store = {"name": "工具房", "user_id": str(room.keeper.id)}, room.store()
    with room.acting() as work, pytest.raises(Refused) as bad, transaction():
        holders.save_store(room.unit.id, {**raw, "active": ""}, work.get_one(Party, store))
    assert [one.code for one in bad.value.refusals] == ["tools.holds_tools"]
    with room.acting() as work, transaction():
        empty = holders.save_store(room.unit.id, {**raw, "name": "二号库"})
        holders.save_store(room.unit.id, {**raw, "name": "二号库", "active": ""}, empty)
        assert dict(holders.store_choices(room.unit.id)) == {str(store): "工具房"}


def test_departments_and_repairers(room: Room) -> None:
    with room.acting(), transaction():
        department = holders.save_department(room.unit.id, {"name": "工程部", "contact": "8012"})
        assert (department.kind, department.user_id) == (values.DEPARTMENT, None)
        assert holders.save_repairer(room.unit.id, {"name": "修理行"}).kind == values.REPAIRER
    assert list(refused(room, holders.save_department, {"name": "工程部"})) == ["name"]


def test_in_a_unit_without_a_store_nothing_is_registered(app: Flask) -> None:
    unit = make_unit()
    switch_on(unit, "tools")
    with in_scope(unit, {rights.KEEP}) as work:
        with transaction():
            work.scalars(select(Party)).one().active = False
        with pytest.raises(InvalidData) as bad:
            file.register(unit.id, GIVEN)
        assert list(bad.value.errors) == ["store"]
        assert session() is work and flow.CODE == "tools_tool"
