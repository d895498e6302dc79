"""An existing list of tools, as offices have it: what it says is judged row by row, holders are asked."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from core.kernel import clock
from core.kernel import importing as files
from core.sdk import InvalidData, Record, transaction
from plugins.tools import custody, handover_rows, holders, importers, values
from plugins.tools.models import Custody, Handover, HandoverLine, Kind, Party, Tool
from tests.helpers import make_user

from .scene_file import MONDAY, Room, make_room

LIST = """工具编号,种类,名称,型号,序列号,单价,购买日期,存放位置,领用人,备注
ＧＸ－００１,剥线钳,,世达,SN1,"¥1,200.50",2023年7月19日,,LISHIFU,
gx-002,网线钳,,,,45元,2024/1/5,,LISHIFU,
GX-003,热熔枪,热熔枪,,,,2024.01.06,,在库,新种类
GX-004,热熔枪,,,,88,20240107,,王师傅（wang）,
,测线仪,,,,１２０．５０,,,,没有编号
gx-001,剥线钳,,,,,,,,重复编号
GX-010,剥线钳,,,sn1,,,,,重复序列号
GX-011,剥线钳,,,,-5,2024-13-01,,张三,
GX-012,剥线钳,,,,1.005,2099-01-01,A柜,同名,
GX-013,胶布,,,,1,,,,按数量
GX-014,,,,,,,,,没有种类
"""


@pytest.fixture
def room(app: Flask) -> Iterator[Room]:
    with clock.frozen(MONDAY):
        made = make_room()
        made.first = make_user(made.unit, {"tools.own"}, name="李师傅", username=f"lishifu{made.unit.id}")
        yield made


def stage(room: Room, text: str) -> int:
    text = text.replace("LISHIFU", room.first.username).replace("wang）", f"{room.second.username}）")
    with room.acting(), transaction():
        run = files.stage("tools-list", room.unit.id, io.BytesIO(text.encode()), "工具清单.csv")
        return run.id


def check(room: Room, run_id: int) -> tuple[dict[str, int], dict[int, list[str]]]:
    with room.acting() as work:
        run = work.get_one(files.ImportRun, run_id)
        counts = files.check(run)
        return counts, {row.line: [name for name, _text in row.errors] for row in files.preview_rows(run, "error")}


def confirm(room: Room, run_id: int) -> None:
    with room.acting():
        files.confirm(run_id)


@pytest.fixture
def twins(room: Room) -> Room:
    for _ in range(2):
        make_user(room.unit, {"tools.own"}, name="同名")
    make_room()  # another unit's people are nobody here
    return room


def test_a_list_is_judged_row_by_row(twins: Room) -> None:
    counts, errors = check(twins, stage(twins, LIST))
    assert counts["create"] == 5 and counts["error"] == 6
    assert counts["note:new_kinds"] == 1
    assert {line: sorted(names) for line, names in errors.items()} == {
        7: ["code"],
        8: ["serial"],
        9: ["bought_on", "holder", "price"],
        10: ["bought_on", "holder", "place", "price"],
        11: ["kind"],
        12: ["kind"],
    }


def taken_over(room: Room) -> None:
    text = "\n".join(LIST.splitlines()[:6]) + "\n"
    confirm(room, stage(room, text))


def test_every_holder_is_asked_once(room: Room) -> None:
    taken_over(room)
    with room.acting() as work:
        tools = {one.code: one for one in work.scalars(select(Tool))}
        assert sorted(tools) == ["GJ00001", "GX-001", "GX-002", "GX-003", "GX-004"]
        assert tools["GX-001"].price == Decimal("1200.50") and tools["GX-001"].bought_on == date(2023, 7, 19)
        assert tools["GJ00001"].price == Decimal("120.50")
        assert tools["GX-003"].name == "热熔枪"
        states = set(work.scalars(select(Record.state).where(Record.type == "tools_tool")))
        assert states == {values.IN_STORE}
        held = custody.spells([one.id for one in tools.values()])
        assert {one.party.kind for one in held.values()} == {values.STORE}  # nothing moved yet
        mine = handover_rows.waiting_for(room.first.id, room.unit.id)
        assert [(one.kind, one.lines_count) for one in mine] == [(values.OPENING, 2)]
        assert len(handover_rows.waiting_for(room.second.id, room.unit.id)) == 1
        assert work.scalar(select(func.count()).select_from(Handover)) == 2


def test_a_holder_who_says_yes_has_them(room: Room) -> None:
    from plugins.tools import handovers

    taken_over(room)
    with room.acting(room.first, {"tools.own"}) as work:
        waiting = handover_rows.waiting_for(room.first.id, room.unit.id)[0]
        lines = work.scalars(select(HandoverLine).where(HandoverLine.handover_id == waiting.id)).all()
        handovers.accept(waiting.id, refused={lines[0].id: "没见过这把"}, ticks=_ticks(room))
        refused, kept = lines[0].tool_id, lines[1].tool_id
    with room.acting():
        now = custody.spells([refused or 0, kept or 0])
        assert now[refused or 0].party.kind == values.STORE
        assert now[kept or 0].party.user_id == room.first.id


def _ticks(room: Room) -> dict[str, list[str]]:
    from plugins.tools.handover_flow import ticks_wanted

    found: dict[str, list[str]] = {}
    for name, code, _words in ticks_wanted(room.unit.id, values.OPENING):
        found.setdefault(name, []).append(code)
    return found


def test_the_same_list_again_changes_nothing(room: Room) -> None:
    taken_over(room)
    text = "\n".join(LIST.splitlines()[:5]) + "\nGX-002,背包,,,,,,,,\n"
    counts, errors = check(room, stage(room, text))
    assert counts["same"] == 4 and errors == {6: ["code"]}
    with room.acting() as work:
        assert work.scalar(select(func.count()).select_from(Tool)) == 5
        assert len(work.scalars(select(Kind).where(Kind.name == "热熔枪")).all()) == 1


def test_a_department_holds_too(room: Room) -> None:
    with room.acting(), transaction():
        holders.save_department(room.unit.id, {"name": "工程部"})
    confirm(room, stage(room, "工具编号,种类,领用人\nA1,背包,工程部\nA2,背包,工具房\n"))
    with room.acting() as work:
        made = work.scalars(select(Handover)).one()
        taker = work.scalars(select(Party.name).where(Party.id == made.taker_id)).one()
        assert (made.lines_count, taker) == (1, "工程部")


def test_with_two_stores_each_row_names_one(room: Room) -> None:
    with room.acting(), transaction():
        holders.save_store(room.unit.id, {"name": "二号库", "user_id": str(room.keeper.id)})
        holders.save_place(room.unit.id, {"store": "二号库", "name": "A柜"})
    text = "工具编号,种类,工具房,存放位置\nA1,背包,二号库,ａ柜\nA2,背包,,\nA3,背包,工具房,A柜\nA4,背包,三号库,\n"
    counts, errors = check(room, stage(room, text))
    assert counts["create"] == 1 and errors == {3: ["store"], 4: ["place"], 5: ["store"]}


def test_an_import_is_taken_back_unless_somebody_answered(room: Room) -> None:
    taken_over(room)
    with room.acting() as work:
        run_id = work.scalars(select(files.ImportRun.id)).one()
    with room.acting():
        files.undo(run_id)
    with room.acting() as work:
        for model in (Tool, Custody, Handover, HandoverLine):
            assert work.scalar(select(func.count()).select_from(model)) == 0, model
        assert work.scalars(select(Kind).where(Kind.name == "热熔枪")).all() == []


def test_what_was_confirmed_stays_when_the_import_is_taken_back(room: Room) -> None:
    from plugins.tools import handovers

    taken_over(room)
    with room.acting(room.first, {"tools.own"}):
        waiting = handover_rows.waiting_for(room.first.id, room.unit.id)[0]
        handovers.accept(waiting.id, ticks=_ticks(room))
    with room.acting() as work:
        run_id = work.scalars(select(files.ImportRun.id)).one()
        files.undo(run_id)
    with room.acting() as work:
        assert sorted(work.scalars(select(Tool.code))) == ["GX-001", "GX-002"]
        assert files.kept_rows(work.get_one(files.ImportRun, run_id))


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("¥1,200.50", "1200.50"),
        ("￥１，２００", "1200"),
        ("45元", "45"),
        ("CNY 3.5", "3.5"),
        ("", None),
        ("-", None),
        ("0", "0"),
    ],
)
def test_amounts_as_offices_write_them(text: str, amount: Any) -> None:
    assert importers.read_price(text) == (Decimal(amount) if amount is not None else None)


@pytest.mark.parametrize("text", ["一百", "1.005", "-5", "1e9999", "NaN", "999999999999", "12.5.6"])
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(InvalidData):
        importers.read_price(text)


@pytest.mark.parametrize(
    "text",
    [
        "2023-07-09",
        "2023/7/9",
        "2023.7.9",
        "2023年7月9日",
        "２０２３／０７／０９",
        "20230709",
        "2023-07-09 00:00:00",
    ],
)
def test_days_as_offices_write_them(text: str) -> None:
    assert importers.read_date(text) == date(2023, 7, 9)


@pytest.mark.parametrize("text", ["2023-13-01", "1899-01-01", "gestern", "2023", "45000", "2023-02-30"])
def test_what_is_no_day(text: str) -> None:
    with pytest.raises(InvalidData):
        importers.read_date(text)
