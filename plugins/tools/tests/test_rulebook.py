"""The clauses of this plugin as people meet them: their pages, the forms of their values, the starter profiles."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask

from core.kernel import clock
from core.rules import effective, profiles, registry
from core.rules.rulebook import EXTENSION
from core.units.models import Unit
from core.units.settings import specs
from tests.casework import reading
from tests.clause_scene import give, listed, look_at_pages, own_clauses
from tests.helpers import make_unit

OWN = {
    "GJ-1": ("gate", 1),
    "GJ-2": ("gate", 1),
    "GJ-3": ("gate", 1),
    "GJ-4": ("gate", 1),
    "GJ-5": ("approval", 1),
}
_COMPANY = {"basis": "original_price", "rate": 100, "misuse_rate": 50, "in_kind": True}
# What others of the suite read by name, with the value a unit starts with.
PARAMETERS: dict[str, dict[str, Any]] = {
    "R05-3.1b": {"interval": 6},
    "R15-16": {"limit": Decimal("1000.00")},
    "R15-18b": {"basis": "price", "rate": 100, "in_kind": False, "position": "responsible_leader"},
    "R15-19": {"checks": "finance", "position": "responsible_leader"},
    "R28-4.4": {"interval": 6},
    "R28-5.3": {"interval": 6},
    "R32-2.1": {"interval": 1, "month": 12, "position": "engineering"},
    "R32-3.3": {"interval": 1},
    "R32-4.3": {"limit": 0},
    "R32-5.1": {"interval": 3},
    "R32-5.2": {"least": 3},
    "R32-5.3": {"position": "engineering"},
    "R32-6.2": {"position": "service_leader"},
    "R32-6.3": {**_COMPANY, "position": "engineering"},
    "R32-7.1": {"limit": 1, "tells": "service_leader"},
    "R33-2.2": {"lending": "never", "position": "service_leader"},
    "R33-3.2": {"position": "service_leader"},
    "R33-3.3": {"limit": 0},
    "R33-4.2": {"grace": 0},
    "R33-6.1": {"position": "service_leader"},
    "R33-6.2": {"grace": 0},
    "R33-7.1": {"interval": 1},
    "R33-7.2": {"limit": 0},
    "R33-8.1": {"interval": 12, "position": "service_leader"},
    "R33-8.2": {"position": "service_leader"},
    "R33-9.2": {"position": "service_leader"},
    "R33-10.1": {"position": "service_leader"},
    "R33-10.2": {**_COMPANY, "position": "service_leader"},
    "R35-3.1": {"position": "warehouse"},
    "R35-4.1": {"sets": 1},
    "R35-4.4": {"position": "dept_manager"},
    "R35-4.6": {"lending": "with_approval", "position": "dept_manager"},
    "R35-4.7": {"interval": 1},
    "R35-4.9": {"interval": 1, "position": "dept_manager"},
    "R35-5.1": {"position": "dept_manager"},
    "R35-5.2": {"position": "dept_manager"},
    "R35-5.3": {"life": 24, "position": "dept_manager"},
    "R35-6.2": {"basis": "original_price", "rate": 100, "in_kind": True, "position": "dept_manager"},
    "R35-6.3": {"basis": "original_price", "rate": 50, "in_kind": False, "position": "dept_manager"},
    "R35-7.3": {
        "depreciation": "straight_line",
        "least": 20,
        "in_kind": True,
        "position": "dept_manager",
        "finance": "finance",
    },
    "GJ-2": {"rate": 20},
    "GJ-5": {"position": "dept_manager"},
}


@pytest.fixture(autouse=True)
def at_ten() -> Any:
    with clock.frozen(datetime(2026, 11, 16, 2, tzinfo=UTC)):
        yield


def test_every_clause_of_the_list_is_there_as_the_list_says(sqlite_app: Flask) -> None:
    assert len(listed("tools")) == 65
    found = {one.id: (one.kind, one.priority) for one in own_clauses(sqlite_app, "tools")}
    assert found == listed("tools") | OWN


def test_what_a_unit_may_set_starts_as_proposed(sqlite_app: Flask) -> None:
    found = {one.id: {p.name: p.default for p in one.parameters} for one in own_clauses(sqlite_app, "tools")}
    assert {key: value for key, value in found.items() if value} == PARAMETERS


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_clause_has_its_page_and_the_form_of_its_values(sqlite_app: Flask, language: str) -> None:
    look_at_pages(sqlite_app, "tools", language)


@pytest.mark.parametrize(
    ("profile", "held", "left_out"),
    [
        ("BU-TOOLS", ("R32-3.3", "R33-2.1", "R35-4.7", "GJ-3"), ("R15-16", "R05-3.1b")),
        ("BU-HQ", ("R15-16", "R15-18b", "R15-19", "GJ-4"), ("R32-3.3", "R35-6.2")),
        ("BU-MFG", ("R05-3.1b", "GJ-1"), ("R15-16", "R28-5.3", "R35-6.2")),
        ("BU-GEN", ("R28-4.4", "R28-5.3"), ("R15-16", "R33-2.1")),
    ],
)
def test_a_starter_profile_takes_up_its_own_clauses(
    app: Flask, profile: str, held: tuple[str, ...], left_out: tuple[str, ...]
) -> None:
    unit = make_unit()
    give(unit, profile)
    with reading():
        assert [one for one in held if not effective.holds(unit.id, one)] == []
        assert [one for one in left_out if effective.holds(unit.id, one)] == []


def values_of(unit: Unit, clause: str) -> Any:
    with reading():
        return effective.effective(unit.id, clause).values


def test_profiles_set_what_the_texts_disagree_about(app: Flask) -> None:
    tools, plain = make_unit(), make_unit()
    give(tools, "BU-TOOLS")
    # E51: R33 alone never lets anybody lend on, beside R35 it takes an agreement. E52: one manager buys.
    assert values_of(tools, "R33-2.2")["lending"] == "with_approval" == values_of(tools, "R35-4.6")["lending"]
    assert values_of(plain, "R33-2.2")["lending"] == "never"
    assert values_of(tools, "R32-2.1")["position"] == "dept_manager" == values_of(tools, "R35-4.9")["position"]
    assert values_of(plain, "R32-2.1")["position"] == "engineering"
    # E48 to E50, E53.
    assert values_of(tools, "R35-6.2")["basis"] == "original_price"
    assert values_of(tools, "R35-6.3")["rate"] == 50
    assert values_of(tools, "R35-7.3")["depreciation"] == "straight_line"
    headquarters = make_unit()
    give(headquarters, "BU-HQ")
    assert values_of(headquarters, "R15-18b")["basis"] == "price"
    assert values_of(headquarters, "R15-19")["position"] == "responsible_leader"
    assert str(values_of(headquarters, "R15-16")["limit"]) == "1000.00"


def test_no_profile_names_a_setting_of_this_plugin_that_is_not_there(whole_app: Flask) -> None:
    with whole_app.app_context():
        known = {one.name for one in specs()}
        named = {name for one in profiles.current_profiles().values() for name in one.settings}
    assert {one for one in named if one.partition(".")[0] in ("tool", "tools")} <= known


def test_the_limit_of_deductions_can_only_be_lowered(sqlite_app: Flask) -> None:
    limit = sqlite_app.extensions[EXTENSION].clauses["GJ-2"].parameter("rate")
    assert (limit.default, limit.minimum, limit.maximum) == (20, 0, 20)


def test_rules_belong_to_clauses_of_this_plugin(sqlite_app: Flask) -> None:
    ours = [one for one in sqlite_app.extensions[registry.EXTENSION].rules if one.plugin == "tools"]
    assert {one.clause for one in ours} <= {one.id for one in own_clauses(sqlite_app, "tools")}
