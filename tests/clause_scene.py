"""What tests of a plugin's clauses look at: the list, each clause's page and the form of its values."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path
from typing import Any

from flask import Flask

from core.rules import profiles
from core.rules.rulebook import EXTENSION
from core.units.models import Unit
from tests.casework import ALL, make_office
from tests.helpers import as_system, login, make_user, switch_on

IDS = Path(__file__).resolve().parents[1] / "core" / "rules" / "clause_ids.csv"
TODAY = date(2026, 11, 16)


def own_clauses(app: Flask, plugin: str) -> list[Any]:
    """Return the clauses that a plugin brings."""
    return [one for one in app.extensions[EXTENSION].clauses.values() if one.plugin == plugin]


def listed(plugin: str) -> dict[str, tuple[str, int]]:
    """Return kind and priority of each clause that the list of the rulebook gives a plugin."""
    with IDS.open(encoding="utf-8") as text:
        rows = [row for row in csv.DictReader(text) if row["plugin"] == plugin]
    return {row["id"]: (row["type"], int(row["priority"].lstrip("P"))) for row in rows}


def give(unit: Unit, name: str, day: date = TODAY) -> None:
    """Give a unit a starter profile."""
    with as_system() as work:
        profiles.apply(work.merge(unit), profiles.find_profile(name), day)


def look_at_pages(app: Flask, plugin: str, language: str) -> None:
    """Open the page and the form of every clause of a plugin in a language."""
    unit = make_office().unit
    switch_on(unit, plugin)
    client = login(app.test_client(), make_user(unit, ALL, locale=language))
    for one in own_clauses(app, plugin):
        page = client.get(f"/admin/regulations/clause/{one.id}/")
        assert page.status_code == 200 and one.title[language] in page.text.replace("&#39;", "'"), one.id
        form = client.get(f"/admin/clause-settings/{one.id}/set/")
        assert form.status_code == 200, one.id
        for parameter in one.parameters:
            assert f'name="p_{parameter.name}"' in form.text, (one.id, parameter.name)
