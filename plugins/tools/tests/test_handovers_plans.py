"""How the database goes about the ledger and hand-overs: by index, never through all tools or records there are."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, event

from plugins.tools import custody, handovers, values
from tests.helpers import as_system, login

from .scene import Place, make_place


@pytest.fixture
def place(sqlite_app: Flask) -> Place:
    return make_place()


def plans_of(call: Callable[[], object]) -> str:
    """Return the query plans (SQLite's words) of what a call reads from tables of tools."""
    seen: list[tuple[str, Any]] = []

    def record(_conn: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT") and "tools_" in statement:
            seen.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", record)
    try:
        call()
    finally:
        event.remove(Engine, "before_cursor_execute", record)
    assert seen
    with as_system() as work:
        found = [work.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", given) for text, given in seen]
        return "\n".join(row[-1] for rows in found for row in rows)


@pytest.mark.parametrize(
    "path",
    [
        "ledger/",
        "ledger/?f_party=安师傅",
        "ledger/?f_how=issue",
        "ledger/?quick=people",
        "handovers/",
        "handovers/?quick=waiting",
    ],
)
def test_a_page_reads_its_rows_by_index(sqlite_app: Flask, place: Place, path: str) -> None:
    place.issue(place.ann, *place.tools(2))
    client = login(sqlite_app.test_client(), place.keeper, unit=place.unit)
    plan = plans_of(lambda: client.get(f"/admin/tools/{path}"))
    assert "MATERIALIZE" not in plan and "SCAN tools_" not in plan and "SCAN core_record" not in plan, plan


@pytest.mark.parametrize(
    ("path", "tables"),
    [
        ("/p/tools/person/{ann}", "custody handover incident application"),
        ("/p/tools/own", "custody handover incident application"),
        ("/admin/tools/people/", "custody"),
        ("/admin/tools/tools/", "custody"),
        ("/admin/tools/tools/?f_holder=安师傅", "custody"),
        ("/admin/tools/tools/?f_store={store}", "custody"),
        ("/admin/tools/ledger/?f_party=安师傅", "custody"),
        ("/admin/tools/stores/details/?id={store}", "custody"),
        ("/admin/tools/handovers/?quick=mine", "handover"),
        ("/admin/tools/handovers/?f_party=安师傅", "handover"),
        ("/p/tools/count/new", "custody"),
        ("/p/tools/desk/", "custody"),
        ("/admin/", "custody"),
    ],
)
def test_no_page_goes_through_all_of_a_unit(sqlite_app: Flask, place: Place, path: str, tables: str) -> None:
    """SQLite has no statistics and takes a unit for a few rows: where it begins there, a million are read."""
    for tool in place.tools(12):
        place.issue(place.ann, tool)
    place.offer(values.ISSUE, place.store, place.person(place.ann), [place.tool()])
    client = login(sqlite_app.test_client(), place.keeper, unit=place.unit)
    where = path.format(ann=place.ann.id, store=place.store)
    answers: list[int] = []
    plan = plans_of(lambda: answers.append(client.get(where).status_code))
    assert answers == [200]
    for table in tables.split():
        walked = re.compile(
            rf"(SCAN|SEARCH) tools_{table}(_\d)?( USING (COVERING )?INDEX \w+ \(unit_id=\?\))?$", re.M
        )
        assert not walked.search(plan), plan


def test_offering_and_accepting_do_not_look_through_everything(place: Place) -> None:
    tool, ann = place.tool(), place.person(place.ann)

    def hand() -> None:
        key = place.offer(values.ISSUE, place.store, ann, [tool])
        with place.acting(place.ann):
            handovers.open_of_tool(tool)
            handovers.waiting_for(place.ann.id, place.unit.id)
        place.accept(key, place.ann)
        with place.acting():
            custody.held_by(ann)
            custody.balance(ann)
            custody.balance_at(ann, place.now)

    plan = plans_of(hand)
    assert "MATERIALIZE" not in plan, plan
    for table in ("tools_tool", "tools_custody", "tools_handover", "tools_handover_line", "core_record"):
        assert f"SCAN {table}\n" not in f"{plan}\n", plan
