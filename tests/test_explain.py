"""``flask rules explain``: how a clause comes out, where each value comes from, and clear words for mistakes."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import select

from core.kernel import clock
from core.kernel.database import session
from core.records.models import Record
from core.rules import official_table
from core.rules.settings import set_clause
from tests.casework import make_office
from tests.helpers import as_system, make_unit

MONDAY = datetime(2025, 11, 3, 1, tzinfo=UTC)  # 09:00 in Shanghai


@pytest.fixture
def office(app):
    with as_system():
        official_table.seed()
    with clock.frozen(datetime(2025, 9, 1, tzinfo=UTC)):
        return make_office("HQ")


def explain(app, *args):
    run = app.test_cli_runner().invoke(args=["rules", "explain", *args, "--json"])
    assert run.exit_code == 0, run.output
    return json.loads(run.output)


def said(app, *args):
    run = app.test_cli_runner().invoke(args=["rules", "explain", *args])
    return run.exit_code, run.output


def set_limit(office, clause, day, **values):
    with clock.frozen(datetime(2025, 9, 1, tzinfo=UTC)), as_system():
        set_clause(office.unit.id, clause, values, starts_on=day, reason="test", holds=True)


@pytest.mark.clause("R17-7.1.3a")
def test_working_hours_are_counted_day_by_day_over_a_make_up_sunday(app, office):
    found = explain(app, "R17-7.1.3a", "--unit", "HQ", "--at", "2025-09-26T16:00")
    (rule,) = found["rules"]
    (one,) = rule["episodes"]
    assert one["due"] == "2025-09-28T11:00:00+08:00"
    assert [(d["day"], d["is"], d["seconds"]) for d in one["days"]] == [
        ("2025-09-26", "work", 7200),
        ("2025-09-27", "rest", 0),
        ("2025-09-28", "makeup", 7200),
    ]
    assert (found["holds"], found["holds_from"]) == (False, None)
    code, text = said(app, "R17-7.1.3a", "--unit", "HQ", "--at", "2025-09-26T16:00")
    assert code == 0
    assert "due           2025-09-28 11:00" in text
    assert "2025-09-28  Make-up working day  2:00" in text


def test_a_value_names_the_version_that_set_it(app, office):
    set_limit(office, "R01-5.2b", date(2025, 10, 1), limit=8)
    before = explain(app, "R01-5.2b", "--at", "2025-09-30T12:00")
    after = explain(app, "R01-5.2b", "--at", "2025-10-01T12:00")
    (old,), (new,) = before["parameters"], after["parameters"]
    assert (old["value"], old["from"]) == (24, None)
    assert (new["value"], new["default"], new["from"]["unit"], new["from"]["since"]) == (8, 24, "HQ", "2025-10-01")
    assert after["rules"][0]["episodes"][0]["due"] == "2025-10-01T20:00:00+08:00"
    assert "set by HQ from 2025-10-01" in said(app, "R01-5.2b", "--at", "2025-10-01T12:00")[1]


def test_an_inherited_value_names_the_unit_above(app, office):
    set_limit(office, "R01-5.2b", date(2025, 10, 1), limit=8)
    make_unit("SHOP", parent=office.unit)
    found = explain(app, "R01-5.2b", "--unit", "SHOP", "--at", "2025-10-02T12:00")
    assert found["parameters"][0]["from"]["unit"] == "HQ"


def test_made_up_facts_pause_and_meet_the_clock(app, office):
    facts = [
        "--fact",
        "paused=2025-11-03T10:00",
        "--fact",
        "resumed=2025-11-05T10:00",
        "--fact",
        "solved=2025-11-20T10:00",
    ]
    found = explain(app, "R01-4.4", "--at", "2025-11-03T09:30", *facts)
    (one,) = found["rules"][0]["episodes"]
    assert (one["state"], one["started_by"]) == ("late", "assigned")
    assert one["pauses"] == [{"from": "2025-11-03T10:00:00+08:00", "until": "2025-11-05T10:00:00+08:00"}]
    assert one["late_days"] > 0


def test_whether_it_applies_is_told_by_the_records_fields(app, office):
    urgent = explain(app, "R01-5.2a", "--at", "2025-11-03T09:00", "--fact", "urgency=urgent")
    normal = explain(app, "R01-5.2a", "--at", "2025-11-03T09:00", "--fact", "urgency=normal")
    assert (urgent["rules"][0]["applies"], normal["rules"][0]["applies"]) == (True, False)
    text = said(app, "R01-5.2a", "--at", "2025-11-03T09:00", "--fact", "urgency=normal")[1]
    assert "It does not apply to such a record" in text


def test_a_provisional_year_is_named(app, office):
    found = explain(app, "R01-4.4", "--at", "2026-12-31T09:00")
    assert found["rules"][0]["episodes"][0]["provisional_years"] == [2027]
    assert "Provisional: the official holidays of 2027" in said(app, "R01-4.4", "--at", "2026-12-31T09:00")[1]


@pytest.mark.clause("R01-4.6")
def test_a_record_brings_its_own_facts_obligations_and_refusals(app, office):
    with clock.frozen(MONDAY):
        key = office.new_case()
    with clock.frozen(datetime(2025, 11, 5, 1, tzinfo=UTC)):
        office.do(key, "contact")
    with as_system():
        number = session().scalar(select(Record.number).where(Record.id == key))
    found = explain(app, "R01-5.2b", "--record", number)
    assert found["record"] == number
    assert [(one["state"], one["late_seconds"]) for one in found["obligations"]] == [("late", 24 * 3600)]
    assert found["rules"][0]["episodes"][0]["state"] == "late"
    assert "late by 24:00:00" in said(app, "R01-5.2b", "--record", number)[1]


def test_a_schedule_tells_its_periods(app, office):
    found = explain(app, "R28-4.5", "--at", "2025-11-15T09:00")
    (rule,) = [one for one in found["rules"] if one["kind"] == "schedule"]
    assert [(one["from"], one["to"]) for one in rule["periods"]][:2] == [
        ("2025-11-01", "2025-11-30"),
        ("2025-12-01", "2025-12-31"),
    ]


def test_every_clause_can_be_explained(app, office):
    """None of the kinds of rules stops it, with or without a record."""
    from core.rules.reasons import explain as work_out
    from core.rules.rulebook import current_rulebook

    with clock.frozen(MONDAY):
        key = office.new_case()
    with as_system():
        record = session().get_one(Record, key)
        for clause in current_rulebook().clauses.values():
            for about in (None, record):
                json.dumps(work_out(clause.id, office.unit.id, MONDAY, {}, about), default=str)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["R01-5.2x"], "No installed rulebook has the clause R01-5.2x. Did you mean R01-5.2"),
        (["R01-5.2b", "--unit", "NOWHERE"], "No unit has the code NOWHERE"),
        (["R01-5.2b", "--at", "2025-13-01"], "--at needs a moment such as 2025-09-26T16:00, not 2025-13-01"),
        (["R01-5.2b", "--at", "soon"], "--at needs a moment"),
        (["R01-5.2b", "--fact", "urgency"], "--fact needs NAME=VALUE, not urgency"),
        (["R01-5.2b", "--fact", "colour=red"], "No rule of this clause looks at it; known: "),
        (["R01-5.2b", "--fact", "paused=never"], "Please enter a date and time"),
        (["R01-5.2b", "--record", "GD-1"], "No record has the number GD-1"),
    ],
)
def test_mistakes_are_told(app, office, args, told):
    code, text = said(app, *args)
    assert code != 0
    assert told in text


def test_with_several_units_one_must_be_named(app, office):
    make_unit("SHOP")
    code, text = said(app, "R01-5.2b")
    assert code != 0
    assert "Say which unit with --unit; there are: HQ, SHOP" in text


def test_coverage_and_show_answer_json_too(app):
    run = app.test_cli_runner()
    lines = json.loads(run.invoke(args=["rules", "coverage", "--json", "--plugin", "core"]).output)
    assert {one["clause"] for one in lines} >= {"R01-5.2a", "R01-4.6"}
    assert json.loads(run.invoke(args=["rules", "show", "R01-4.2", "--json"]).output)["id"] == "R01-4.2"
