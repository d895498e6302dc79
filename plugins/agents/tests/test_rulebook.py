"""The clauses of this plugin as people meet them: their pages, the forms of their values, the starter profiles."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask

from core.kernel import clock
from core.rules import effective
from tests.casework import reading
from tests.clause_scene import give, listed, look_at_pages, own_clauses
from tests.helpers import make_unit

OWN = {
    "DL-1": ("fee", 1),
    "DL-2": ("fee", 2),
    "DL-3": ("gate", 1),
    "DL-4": ("gate", 1),
    "DL-5": ("deadline", 2),
}
# What others of the suite read by name, with the value a unit starts with.
PARAMETERS = {
    "R13-5.2.2": {"class": "4.3"},
    "R13-5.2.2.1": {"position": "quality_leader"},
    "R19-5.2.2.1": {"position": "quality_leader"},
    "R13-5.2.2.3b": {"rate": 10, "base": "partner_parts"},
    "R19-5.2.2.3b": {"rate": 10, "base": "partner_parts"},
    "R13-5.2.2.5": {"after_expiry": "refuse"},
    "R19-5.2.2.5": {"after_expiry": "refuse"},
    "R19-5.1.3": {"after_expiry": "refuse"},
    "R14-5.8.1": {"currency": "CNY"},
    "R14-5.8.2": {"interval": 1, "anchor_day": 1},
    "R18-4.2": {"class": "4.2"},
    "R19-4.2": {"class": "4.2"},
    "R19-4.3": {"class": "4.3"},
    "R19-5.2.2": {"class": "4.3"},
    "R18-5.1.2b": {"due": 30},
    "R19-5.1.2b": {"due": 30},
    "R18-5.1.3": {"precedence": "contract", "after_expiry": "tariff"},
    "R22-1.X4": {"interval": 6},
    "DL-2": {"days": 30},
    "DL-3": {"old_parts": True},
    "DL-5": {"limit": 7},
}


@pytest.fixture(autouse=True)
def at_ten() -> Any:
    with clock.frozen(datetime(2026, 11, 16, 2, tzinfo=UTC)):
        yield


def test_every_clause_of_the_list_is_there_as_the_list_says(sqlite_app: Flask) -> None:
    assert len(listed("agents")) == 21
    found = {one.id: (one.kind, one.priority) for one in own_clauses(sqlite_app, "agents")}
    assert found == listed("agents") | OWN


def test_what_a_unit_may_set_starts_as_proposed(sqlite_app: Flask) -> None:
    found = {one.id: {p.name: p.default for p in one.parameters} for one in own_clauses(sqlite_app, "agents")}
    assert {key: value for key, value in found.items() if value} == PARAMETERS


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_clause_has_its_page_and_the_form_of_its_values(sqlite_app: Flask, language: str) -> None:
    look_at_pages(sqlite_app, "agents", language)


@pytest.mark.parametrize(
    ("profile", "held", "left_out"),
    [
        ("BU-EQUIP", ("R18-4.2", "R18-5.1.2b", "DL-1"), ("R19-4.2", "R13-5.2.2", "R22-1.X4")),
        ("BU-PLAT-K", ("R19-4.3", "R19-5.2.2.1", "DL-5"), ("R18-4.2", "R13-5.2.2.1")),
        ("BU-CHEM", ("R14-5.8.1", "R14-5.8.2"), ("R18-5.1.2", "R19-5.1.2")),
        ("BU-TENDER", ("R22-1.X4",), ("R14-5.8.1",)),
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
