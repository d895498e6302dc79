"""The clauses of this plugin as people meet them: their pages, the forms of their values, the starter profiles."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from flask import Flask

from core.kernel import clock
from core.rules import effective, profiles, settings
from core.units.models import Unit
from core.units.settings import setting, specs
from tests.casework import ALL, reading
from tests.clause_scene import TODAY, give, look_at_pages, own_clauses
from tests.helpers import in_scope, make_unit, switch_on


@pytest.fixture(autouse=True)
def at_ten() -> Any:
    with clock.frozen(datetime(2026, 11, 16, 2, tzinfo=UTC)):
        yield


def on(unit: Unit, clause: str) -> bool:
    with reading():
        return effective.holds(unit.id, clause)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_clause_has_its_page_and_the_form_of_its_values(sqlite_app: Flask, language: str) -> None:
    assert len(own_clauses(sqlite_app, "warranty")) == 128
    look_at_pages(sqlite_app, "warranty", language)


def test_the_statutory_duty_holds_only_where_a_unit_takes_it_up(app: Flask) -> None:
    unit = make_unit()
    switch_on(unit, "warranty")
    duties = [one.id for one in own_clauses(app, "warranty") if one.regulation == "SB"]
    assert len(duties) == 7 and not any(on(unit, one) for one in duties)
    with in_scope(unit, ALL):
        settings.set_clause(unit.id, "SB-3", {}, starts_on=TODAY, reason="消费品", holds=True)
    # It belongs to no kind of company: a starter profile leaves it as it is.
    with clock.frozen(datetime(2026, 11, 17, 2, tzinfo=UTC)):
        give(unit, "furniture", date(2026, 11, 17))
        assert on(unit, "SB-3") and not on(unit, "SB-4")


@pytest.mark.parametrize(
    ("profile", "held", "left_out"),
    [
        ("general", ("R01-5.3", "R03-7.1", "R29-2.2a"), ("R07-6.2", "R13-5.1")),
        ("repair", ("R07-3.1", "R07-3.2", "R07-7.1"), ("R03-7.1", "R22-2.8a")),
        ("platform", ("R17-5.1", "R17-7.2.4b"), ("R18-5.1", "R03-7.1")),
        # Of two promises that contradict each other, one is left out.
        ("tender", ("R22-2.8a", "R22-2.8b", "R22-1.R5", "R23-3.1.2"), ("R22-2.8c", "R22-4.3", "R22-1.W1e")),
    ],
)
def test_a_starter_profile_takes_up_its_own_clauses(
    app: Flask, profile: str, held: tuple[str, ...], left_out: tuple[str, ...]
) -> None:
    unit = make_unit()
    give(unit, profile)
    assert [one for one in held if not on(unit, one)] == []
    assert [one for one in left_out if on(unit, one)] == []


@pytest.mark.parametrize(
    ("profile", "wanted"),
    [
        ("general", {"charge.policy": "free"}),
        ("repair", {"warranty.start": "purchase", "warranty.repaired_cover": "remainder"}),
        ("heating", {"charge.policy": "paid_out_of_warranty"}),
        (
            "tender",
            {
                "charge.policy": "material_only",
                "warranty.start": "handover",
                "warranty.repaired_cover": "full_restart",
                "tender.variant": "R",
            },
        ),
    ],
)
def test_a_starter_profile_sets_what_it_says_about_warranty(
    app: Flask, profile: str, wanted: dict[str, str]
) -> None:
    unit = make_unit()
    give(unit, profile)
    with reading():
        assert {name: setting(unit.id, name) for name in wanted} == wanted


def test_no_profile_names_a_setting_of_this_plugin_that_is_not_there(whole_app: Flask) -> None:
    with whole_app.app_context():
        known = {one.name for one in specs()}
        named = {name for one in profiles.current_profiles().values() for name in one.settings}
    ours = {
        one
        for one in named
        if one.partition(".")[0] in ("charge", "warranty", "fee", "cash", "tender", "class_map")
    }
    assert ours and ours <= known
