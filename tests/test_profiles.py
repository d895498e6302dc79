"""Starter profiles: what they change, what they name that is missing, and that twice is the same as once."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.kernel import clock
from core.kernel.errors import InvalidData, NotAllowed, NotFound
from core.kernel.manifest import PluginError
from core.rules import effective, profiles, settings
from core.rules.coverage import IDS_FILE
from core.rules.setting_models import ClauseSetting
from core.units.models import Unit
from core.units.settings import setting
from tests.casework import ALL, make_office, reading
from tests.helpers import as_system, current, in_scope, make_unit

NOW = datetime(2026, 11, 16, 2, tzinfo=UTC)
TODAY = date(2026, 11, 16)
NAMES = {
    "BU-GEN", "BU-STORE", "BU-MFG", "BU-HOTEL", "BU-REPAIR", "BU-BANK", "BU-ISO", "BU-ELEC", "BU-HEAT", "BU-CHEM",
    "BU-HQ", "BU-WEB", "BU-PLAT", "BU-EQUIP", "BU-PLAT-K", "BU-TENDER", "BU-FURN", "BU-TOOLS", "BU-6S",
}  # fmt: skip


@pytest.fixture(autouse=True)
def at_ten() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


def give(unit: Unit, name: str, day: date | None = None) -> profiles.Preview:
    with as_system() as work:
        return profiles.apply(work.merge(unit), profiles.find_profile(name), day)


def look(unit: Unit, name: str) -> profiles.Preview:
    with as_system() as work:
        return profiles.preview(work.merge(unit), profiles.find_profile(name))


def versions(unit: Unit) -> list[tuple[Any, ...]]:
    with reading() as work:
        own = select(ClauseSetting).where(ClauseSetting.unit_id == unit.id).order_by(ClauseSetting.id)
        return [(one.clause, one.holds, dict(one.values), one.starts_on) for one in work.scalars(own)]


def on(unit: Unit, clause: str) -> bool:
    with reading():
        return effective.holds(unit.id, clause)


# --- the file --------------------------------------------------------------------------------------


def test_every_starter_profile_is_there_and_names_the_plugins_of_its_clauses(sqlite_app: Flask) -> None:
    with sqlite_app.app_context():
        known = profiles.current_profiles()
    assert set(known) == NAMES
    with IDS_FILE.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    listed = [one for profile in known.values() for one in profile.regulations]
    assert len(listed) == len(set(listed)) == 35
    for profile in known.values():
        wanted = {row["plugin"] for row in rows if row["id"].partition("-")[0] in profile.regulations} - {"core"}
        assert set(profile.plugins) == wanted, profile.code
        assert profile.off <= {row["id"] for row in rows}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x", "cannot be read"),
        ("color = 1", "color is not known"),
        ("profile = 1", "write profile as"),
        ('[[profile]]\ncode = "BU-X1"', "name is missing"),
        ("{}\ncolor = 1", "color is not known"),
        ("{}|gen", "not a name of a profile"),
        ("{}|R99", "no regulation R99"),
        ("{}\n[[profile.value]]\nclause='R18-7.1.3b'\nname='x'\nvalue=1", "no parameter x"),
        ("{}\n[[profile.value]]\nclause='R18-7.1.3b'\nname='limit'\nvalue=0", "cannot be 0"),
        ("{}\n[[profile.value]]\nclause='R17-7.1.3b'\nname='limit'\nvalue=1", "none of its regulations"),
        ("{}\n[profile.settings]\n'case.signature_rule' = 'blood'", "cannot be blood"),
        ("{}\n{}", "twice"),
    ],
)
def test_mistakes_in_the_file_stop_the_start(sqlite_app: Flask, tmp_path: Path, text: str, told: str) -> None:
    words = '{ zh = "设备", en = "Equipment" }'
    entry = f'[[profile]]\ncode = "BU-X"\nname = "x"\ntitle = {words}\npurpose = {words}\nregulations = ["R18"]'
    change, text = (text.split("|")[1], text.split("|")[0]) if "|" in text else ("", text)
    path = tmp_path / "profiles.toml"
    body = text.replace("{}", entry)
    if change == "gen":
        body = body.replace("BU-X", "gen")
    elif change:
        body = body.replace('"R18"', f'"{change}"')
    path.write_text(body, "utf-8")
    with sqlite_app.app_context(), pytest.raises(PluginError) as bad:
        profiles.load(sqlite_app.extensions["rulebook"], path)
    assert told in str(bad.value)


def test_all_mistakes_are_told_at_once(sqlite_app: Flask, tmp_path: Path) -> None:
    path = tmp_path / "profiles.toml"
    path.write_text('[[profile]]\ncode = "BU-A"\n[[profile]]\nname = 3\ncolor = 1\n', "utf-8")
    with sqlite_app.app_context(), pytest.raises(PluginError) as bad:
        profiles.load(sqlite_app.extensions["rulebook"], path)
    assert len(bad.value.problems) >= 8


# --- applying --------------------------------------------------------------------------------------


def test_a_profile_sets_a_unit_up_and_says_what_is_missing(app: Flask) -> None:
    unit = make_unit()
    seen = look(unit, "equipment")
    assert versions(unit) == []  # looking changes nothing
    done = give(unit, "BU-EQUIP")
    assert done == seen
    assert on(unit, "R18-7.1.3b") and not on(unit, "R01-5.2b") and not on(unit, "R17-7.1.3b")
    assert {one.id for one in done.switched_on} == {c for c, holds, *_ in versions(unit) if holds}
    assert "agents" not in done.missing_plugins and "field" in done.missing_plugins
    assert done.missing_clauses["field"] == 19
    assert "sla.exceptions" in done.missing_settings
    with reading():
        assert setting(unit.id, "case.signature_rule") == "signature"
        assert effective.effective(unit.id, "R18-7.1.3b").sources[""].starts_on == TODAY


@pytest.mark.parametrize("name", sorted(NAMES))
def test_twice_is_the_same_as_once(sqlite_app: Flask, name: str) -> None:
    unit = make_unit()
    first = give(unit, name)
    before = versions(unit)
    second = give(unit, name)
    assert not second and versions(unit) == before
    assert second.missing_plugins == first.missing_plugins
    assert not second.blocked


def test_a_profile_of_another_company_takes_its_place_and_an_added_one_does_not(app: Flask) -> None:
    unit = make_unit()
    give(unit, "equipment")
    with clock.frozen(NOW + timedelta(days=1)):
        give(unit, "tools")
        assert on(unit, "R18-7.1.3b")
        done = give(unit, "platform")
        assert on(unit, "R17-7.1.3b") and not on(unit, "R18-7.1.3b")
        with reading():
            found = effective.effective(unit.id, "R17-7.1.3b")
            assert found.values["position"] == "quality_dept"
            assert setting(unit.id, "case.signature_rule") == "seal"
    assert on(unit, "R18-7.1.3b")  # as it was the day before
    assert [(c.id, d.before, d.after) for c, d in done.valued] == [("R17-7.1.3b", "after_sales", "quality_dept")]


def test_what_the_unit_set_itself_stays(app: Flask) -> None:
    unit = make_unit()
    with in_scope(unit, ALL):
        settings.set_clause(unit.id, "R18-7.1.3b", {"limit": 6}, starts_on=TODAY, reason="x")
        settings.set_clause(unit.id, "R18-7.2.1", {"limit": 6}, starts_on=TODAY + timedelta(days=30), reason="x")
    with clock.frozen(NOW + timedelta(days=1)):
        done = give(unit, "equipment")
        with reading():
            found = effective.effective(unit.id, "R18-7.1.3b")
    assert (found.holds, found.values["limit"]) == (True, 6)
    # One that is planned already is left alone, and named.
    assert [one.id for one in done.blocked] == ["R18-7.2.1"]


def test_a_new_unit_may_begin_in_the_past_and_one_with_records_may_not(app: Flask) -> None:
    give(make_unit(), "general", date(2025, 1, 1))
    office = make_office()
    office.new_case()
    with pytest.raises(InvalidData) as bad:
        give(office.unit, "equipment", date(2025, 1, 1))
    assert "starts_on" in bad.value.errors and versions(office.unit) == []


def test_who_may_not_set_clauses_applies_no_profile(app: Flask) -> None:
    unit = make_unit()
    with in_scope(unit, ALL - {"rules.settings"}) as work, pytest.raises(NotAllowed):
        profiles.apply(work.merge(unit), profiles.find_profile("hotel"))
    # All or nothing: the clauses would go through, the setting does not.
    with in_scope(unit, ALL - {"unit.settings"}) as work, pytest.raises(NotAllowed):
        profiles.apply(work.merge(unit), profiles.find_profile("equipment"))
    assert versions(unit) == []


def test_an_unknown_profile_is_told_with_those_there_are(sqlite_app: Flask) -> None:
    with sqlite_app.app_context(), pytest.raises(NotFound) as bad:
        profiles.find_profile("castle")
    assert "equipment" in str(bad.value.message)


# --- the command line ------------------------------------------------------------------------------


def run(app: Flask, *words: str) -> tuple[int, str]:
    done = app.test_cli_runner().invoke(args=["units", *words])
    return done.exit_code, done.output


def test_a_unit_is_created_with_a_profile(app: Flask) -> None:
    code, told = run(app, "create", "FAC", "工厂", "--kind", "factory", "--profile", "equipment")
    assert code == 0, told
    assert "BU-EQUIP" in told and "R18-7.1.3b" in told and "Plugins not installed" in told
    code, told = run(app, "profile", "FAC", "equipment")
    assert code == 0 and "Nothing to change." in told
    code, told = run(app, "create", "X", "某", "--profile", "castle")
    assert code != 0 and "equipment" in told and "Traceback" not in told
    with current().app_context(), reading() as work:
        assert work.scalars(select(Unit.code)).all() == ["FAC"]


def test_a_profile_is_previewed_and_listed_also_as_json(app: Flask) -> None:
    run(app, "create", "HQ", "总部")
    code, told = run(app, "profile", "HQ", "platform", "--preview", "--json")
    data = json.loads(told)
    assert code == 0 and "R17-7.1.3b" in data["clauses_on"] and "R01-5.2b" in data["clauses_off"]
    assert {"clause": "R17-7.1.3b", "name": "position", "before": "after_sales", "after": "quality_dept"} in data[
        "values"
    ]
    installed = {one.name for one in app.extensions["plugins"].plugins}
    absent = set(app.extensions[profiles.EXTENSION]["BU-PLAT"].plugins) - installed
    assert set(data["missing"]["plugins"]) == absent and data["changes"]
    assert json.loads(run(app, "profile", "HQ", "platform", "--preview", "--json")[1]) == data
    assert {one["code"] for one in json.loads(run(app, "profiles", "--json")[1])} == NAMES
    assert "equipment" in run(app, "profiles")[1]
    for words in (("profile", "NO", "hotel"), ("profile", "HQ", "hotel", "--from", "yesterday")):
        assert run(app, *words)[0] != 0
