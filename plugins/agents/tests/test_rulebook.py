"""The clauses of this plugin as people meet them: their pages, the forms of their values, the starter profiles."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from core.kernel import clock
from core.rules import effective, profiles
from core.rules.rulebook import EXTENSION
from core.units.models import Unit
from tests.casework import ALL, make_office, reading
from tests.helpers import as_system, login, make_unit, make_user, switch_on

IDS = Path(__file__).resolve().parents[3] / "core" / "rules" / "clause_ids.csv"
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
TODAY = date(2026, 11, 16)


@pytest.fixture(autouse=True)
def at_ten() -> Any:
    with clock.frozen(datetime(2026, 11, 16, 2, tzinfo=UTC)):
        yield


def own_clauses(app: Flask) -> list[Any]:
    return [one for one in app.extensions[EXTENSION].clauses.values() if one.plugin == "agents"]


def test_every_clause_of_the_list_is_there_as_the_list_says(sqlite_app: Flask) -> None:
    with IDS.open(encoding="utf-8") as text:
        listed = {row["id"]: row for row in csv.DictReader(text) if row["plugin"] == "agents"}
    assert len(listed) == 21
    wanted = {key: (row["type"], int(row["priority"].lstrip("P"))) for key, row in listed.items()} | OWN
    assert {one.id: (one.kind, one.priority) for one in own_clauses(sqlite_app)} == wanted


def test_what_a_unit_may_set_starts_as_proposed(sqlite_app: Flask) -> None:
    found = {one.id: {p.name: p.default for p in one.parameters} for one in own_clauses(sqlite_app)}
    assert {key: value for key, value in found.items() if value} == PARAMETERS


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_clause_has_its_page_and_the_form_of_its_values(sqlite_app: Flask, language: str) -> None:
    unit = make_office().unit
    switch_on(unit, "agents")
    client = login(sqlite_app.test_client(), make_user(unit, ALL, locale=language))
    for one in own_clauses(sqlite_app):
        page = client.get(f"/admin/regulations/clause/{one.id}/")
        assert page.status_code == 200 and one.title[language] in page.text.replace("&#39;", "'"), one.id
        form = client.get(f"/admin/clause-settings/{one.id}/set/")
        assert form.status_code == 200, one.id
        for parameter in one.parameters:
            assert f'name="p_{parameter.name}"' in form.text, (one.id, parameter.name)


def give(unit: Unit, name: str) -> None:
    with as_system() as work:
        profiles.apply(work.merge(unit), profiles.find_profile(name), TODAY)


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
