"""The clauses of the store as people meet them: their pages, the forms of their values, the starter profiles."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from core.rules import effective, registry
from tests.casework import reading
from tests.clause_scene import give, listed, look_at_pages, own_clauses
from tests.helpers import make_unit

OWN = {
    "MD-1": ("deadline", 2),
    "MD-2": ("gate", 1),
    "MD-3": ("gate", 2),
    "MD-4": ("approval", 2),
    "MD-5": ("gate", 1),
}
# What the plugin reads by name, with the value a unit starts with.
PARAMETERS: dict[str, dict[str, Any]] = {
    "R02-CK": {"interval": 1},
    "R02-7b": {"interval": 12},
    "R02-8": {"interval": 1, "days": 30, "cover": 30},
    "R02-9": {"over": 0},
    "R02-11": {"limit": 2},
    "R02-14": {"interval": 7, "season": 3},
    "R02-15": {"limit": 0},
    "R02-18": {"position": "store_head"},
    "R05-2.1": {"least": 60},
    "R05-2.2": {"interval": 12},
    "R24-1.9": {"interval": 1},
    "MD-1": {"limit": 0, "up_to_1": 30, "warn_1": 3, "up_to_2": 180, "warn_2": 15, "warn_3": 45},
    "MD-4": {"position": "store_head"},
}


def test_every_clause_of_the_list_is_there_as_the_list_says(sqlite_app: Flask) -> None:
    assert len(listed("store")) == 21
    found = {one.id: (one.kind, one.priority) for one in own_clauses(sqlite_app, "store")}
    assert found == listed("store") | OWN


def test_what_a_unit_may_set_starts_as_proposed(sqlite_app: Flask) -> None:
    found = {one.id: {p.name: p.default for p in one.parameters} for one in own_clauses(sqlite_app, "store")}
    assert {key: value for key, value in found.items() if value} == PARAMETERS


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_clause_has_its_page_and_the_form_of_its_values(sqlite_app: Flask, language: str) -> None:
    look_at_pages(sqlite_app, "store", language)


@pytest.mark.parametrize(
    ("profile", "held", "left_out"),
    [
        ("BU-STORE", ("R02-4", "R02-15", "R02-18", "MD-1"), ("R05-2.1", "R24-1.9")),
        ("BU-MFG", ("R05-2.1", "R05-2.2", "MD-3"), ("R02-9", "R24-1.9")),
        ("BU-FURN", ("R24-1.4", "R24-1.9", "R25-1"), ("R02-9", "R05-2.1")),
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


def test_rules_belong_to_clauses_of_this_plugin(sqlite_app: Flask) -> None:
    ours = [one for one in sqlite_app.extensions[registry.EXTENSION].rules if one.plugin == "store"]
    assert {one.clause for one in ours} <= {one.id for one in own_clauses(sqlite_app, "store")}
