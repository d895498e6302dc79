"""The clauses of this plugin as people meet them: their pages, the forms of their values, the starter profile."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask

from core.kernel import clock
from core.rules import effective, registry
from core.rules.rulebook import EXTENSION
from tests.casework import reading
from tests.clause_scene import give, listed, look_at_pages, own_clauses
from tests.helpers import make_unit

OWN = {
    "JD-1": ("deadline", 1),
    "JD-2": ("deadline", 1),
    "JD-2b": ("deadline", 2),
    "JD-3": ("gate", 2),
    "JD-4": ("approval", 1),
    "JD-5": ("schedule", 2),
    "JD-6": ("gate", 2),
    "JD-6b": ("record", 2),
    "JD-7": ("deadline", 2),
    "JD-8": ("gate", 2),
    "JD-9": ("gate", 1),
    "JD-10": ("gate", 1),
    "JD-11": ("gate", 2),
    "JD-12": ("record", 2),
}
# What others of the suite read by name, with the value a unit starts with.
PARAMETERS: dict[str, dict[str, Any]] = {
    "R06-2": {
        "rooms": "hotel_housekeeping",
        "catering": "hotel_catering",
        "meeting": "hotel_front_desk",
        "entertainment": "hotel_front_desk",
        "other": "hotel_front_desk",
        "repair": "hotel_engineering",
    },
    "R06-CK": {"interval": 3},
    "R06-7a": {"interval": 7},
    "R06-7b": {"limit": 24, "blocks": True},
    "R06-8": {"interval": 1, "departure": 3, "stayover": 2, "deep": 6, "extra": 2},
    "R06-9": {"interval": 30},
    "R06-10": {"interval": 1, "share": 10},
    "R06-11": {"limit": 0},
    "R06-13": {"chilled": 8, "frozen": -12, "days": 0},
    "R06-14": {"cook": 70, "hold": 60, "cool": 8},
    "R06-15": {"interval": 1},
    "R06-17": {"interval": 1, "breakfast": True, "lunch": True, "dinner": True, "night": False},
    "R06-18": {"limit": 0},
    "JD-1": {"limit": 30},
    "JD-2": {"limit": 30},
    "JD-2b": {"limit": 0},
    "JD-3": {"grams": 125, "hours": 48},
    "JD-4": {
        "free": Decimal("200.00"),
        "position": "dept_manager",
        "top": Decimal("1000.00"),
        "top_position": "gm",
    },
    "JD-5": {"interval": 1},
    "JD-6": {"tries": 2},
    "JD-6b": {"days": 2, "tells": "dept_manager"},
    "JD-7": {"before": 60},
    "JD-11": {"gap": 30},
    "JD-12": {"days": 30},
}


@pytest.fixture(autouse=True)
def at_ten() -> Any:
    with clock.frozen(datetime(2026, 11, 16, 2, tzinfo=UTC)):
        yield


def test_every_clause_of_the_list_is_there_as_the_list_says(sqlite_app: Flask) -> None:
    assert len(listed("hotel")) == 15
    found = {one.id: (one.kind, one.priority) for one in own_clauses(sqlite_app, "hotel")}
    assert found == listed("hotel") | OWN


def test_what_a_unit_may_set_starts_as_proposed(sqlite_app: Flask) -> None:
    found = {one.id: {p.name: p.default for p in one.parameters} for one in own_clauses(sqlite_app, "hotel")}
    assert {key: value for key, value in found.items() if value} == PARAMETERS


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_clause_has_its_page_and_the_form_of_its_values(sqlite_app: Flask, language: str) -> None:
    look_at_pages(sqlite_app, "hotel", language)


def test_the_starter_profile_takes_up_the_regulation(app: Flask) -> None:
    hotel, plain = make_unit(), make_unit()
    give(hotel, "BU-HOTEL")
    with reading():
        assert [one for one in listed("hotel") if not effective.holds(hotel.id, one)] == []
        assert [one for one in listed("hotel") if effective.holds(plain.id, one)] == []
        assert [one for one in OWN if not effective.holds(plain.id, one)] == []


def test_samples_of_food_can_only_be_more_and_kept_longer(sqlite_app: Flask) -> None:
    clause = sqlite_app.extensions[EXTENSION].clauses["JD-3"]
    assert (clause.parameter("grams").minimum, clause.parameter("hours").minimum) == (125, 48)


def test_rules_belong_to_clauses_of_this_plugin(sqlite_app: Flask) -> None:
    ours = [one for one in sqlite_app.extensions[registry.EXTENSION].rules if one.plugin == "hotel"]
    assert {one.clause for one in ours} <= {one.id for one in own_clauses(sqlite_app, "hotel")}
