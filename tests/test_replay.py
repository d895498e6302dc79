"""Replays: the same parameters give the past again, others flip what they should, and nothing is written."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import func, select

from core.kernel import clock
from core.kernel.database import Base, access_mode, system_scope, transaction
from core.kernel.errors import InvalidData, NotAllowed
from core.records.engine import record_fact
from core.records.models import Fact
from core.rules import replay
from core.rules.kinds import PenaltyRule
from core.rules.obligation_models import Obligation
from core.rules.registry import Registry
from core.rules.setting_models import ClauseSetting
from tests.casework import make_office, reading
from tests.helpers import as_system, current, in_scope, make_unit

MONDAY = datetime(2026, 11, 16, 2, tzinfo=UTC)  # 10:00 in Shanghai
FIRST, LAST = date(2026, 11, 1), date(2026, 11, 30)
PERIOD = {"first": FIRST.isoformat(), "last": LAST.isoformat()}
ANSWERED_AFTER = (1, 3, 9, 24, 25, 30)  # hours; the limit of R01-5.2b is 24, inclusive
OFF = "R17-7.1.3b"


def at(hours: float) -> datetime:
    return MONDAY + timedelta(hours=hours)


@pytest.fixture
def office(app):
    return make_office()


@pytest.fixture
def past(office):
    """Cases answered after so many hours, one that nobody answered, and one that was called off in time."""
    keys = []
    for hours in ANSWERED_AFTER:
        with clock.frozen(at(0)):
            keys.append(office.new_case())
        with clock.frozen(at(hours)):
            office.do(keys[-1], "contact")
    with clock.frozen(at(0)):
        keys.append(office.new_case())
        keys.append(office.new_case())
    with clock.frozen(at(2)):
        office.do(keys[-1], "cancel")
    return keys


def replayed(office, values=(), clause="R01-5.2b", now=48, **more):
    with clock.frozen(at(now)), office.at_desk():
        return replay.run(replay.ask(office.unit.id, clause, dict(values), PERIOD, **more))


def test_the_same_parameters_give_the_past_again(office, past):
    found = replayed(office)
    assert found.total.was == found.total.would
    assert (found.total.was.met, found.total.was.late, found.total.was.void) == (4, 3, 1)
    assert found.total.was.overdue == 1
    assert (found.records, found.judged, found.flips, found.sample) == (8, 8, 0, [])
    spelled_out = replayed(office, {"limit": "24"})
    assert spelled_out.total.would == found.total.would and spelled_out.flips == 0


def test_a_shorter_limit_flips_what_it_should(office, past):
    found = replayed(office, {"limit": "8"})
    assert (found.total.would.met, found.total.would.late, found.total.would.void) == (2, 5, 1)
    assert [one.record_id for one in found.sample] == [past[2], past[3]]
    assert {(one.was, one.would) for one in found.sample} == {("met", "late")}
    assert (found.flips, found.to_late, found.to_met) == (2, 2, 0)
    assert found.sample[0].would_due == at(8) and found.sample[0].was_due == at(24)
    assert found.by_month["2026-11"].would == found.total.would


def test_a_longer_limit_forgives(office, past):
    found = replayed(office, {"limit": "29"}, now=28)
    assert [one.record_id for one in found.sample] == [past[4], past[6]]
    assert [(one.was, one.would) for one in found.sample] == [("late", "met"), ("overdue", "pending")]
    assert (found.to_late, found.to_met) == (0, 2)


def test_flips_go_on_after_the_last_one_seen(office, past):
    with clock.frozen(at(48)), office.at_desk():
        question = replay.ask(office.unit.id, "R01-5.2b", {"limit": "2"}, PERIOD)
        first = replay.flips_after(question, (0, 0, 0), limit=2)
        rest = replay.flips_after(question, first[-1].key, limit=2)
    assert [one.record_id for one in first] == past[1:3]
    assert [one.record_id for one in rest] == past[3:4]


def test_who_answers_is_counted_on_both_sides(office):
    with clock.frozen(at(0)):
        key = office.new_case()
        office.do(key, "contact", "classify", "assign")
    with clock.frozen(at(50)):
        office.do(key, "accept", "start", "solve")
    found = replayed(office, {"limit": "1"}, clause="R01-4.4", now=60)
    pair = found.by_person[office.technician.id]
    assert (pair.was.met, pair.would.late) == (1, 1)


def test_a_clause_that_is_off_is_replayed_as_if_it_were_on(office, past):
    found = replayed(office, clause=OFF)
    assert found.total.was.total == 0
    assert found.total.would.total == found.judged > 0
    assert replayed(office, clause=OFF, everywhere=False).judged == 0


def test_the_past_under_several_settings_is_given_again(office):
    """Each obligation keeps the terms of its own start where the replay leaves them alone."""
    day = clock.day_in("Asia/Shanghai", at(24 * 3))
    with as_system() as work:
        row = ClauseSetting(unit_id=office.unit.id, clause="R01-5.2b", starts_on=day, values={"limit": 2})
        row.created_at = at(0)
        work.add(row)
    for start in (0, 24 * 4):
        with clock.frozen(at(start)):
            key = office.new_case()
        with clock.frozen(at(start + 3)):
            office.do(key, "contact")
    found = replayed(office, now=200)
    assert (found.total.was.met, found.total.was.late) == (1, 1)
    assert found.total.was == found.total.would and found.flips == 0
    assert replayed(office, {"limit": "3"}, now=200).total.would.met == 2


def test_pauses_and_stages_stand_the_clock_still_in_a_replay(office):
    with clock.frozen(at(0)):
        key = office.new_case()
        office.do(key, "contact", "classify", "assign", "accept", "start", "wait")
    with clock.frozen(at(100)):
        office.do(key, "resume")
    with clock.frozen(at(101)):
        office.do(key, "solve")
    found = replayed(office, {"limit": "2"}, clause="R01-4.4", now=200)
    assert (found.total.was.met, found.total.would.met, found.flips) == (1, 1, 0)


def test_excuses_stay_apart(office, past):
    with clock.frozen(at(47)), as_system() as work:
        broken = work.scalars(select(Obligation).filter_by(record_id=past[4], clause="R01-5.2b")).one()
        about = {"clause": "R01-5.2b", "root": broken.root_fact_id}
        fact = Fact(unit_id=office.unit.id, record_id=past[4], seq=99, kind="excused", data=about)
        fact.at = fact.entered_at = at(40)
        work.add(fact)
    with current().app_context(), system_scope("test"):
        from core.rules.obligations import recompute

        recompute(record_ids=[past[4]])
    found = replayed(office)
    assert (found.total.was.excused, found.total.would.excused, found.total.was.late) == (1, 1, 2)


def test_nothing_is_written(office, past):
    def everything():
        with reading() as work:
            return {
                table.name: work.execute(select(func.count()).select_from(table)).scalar()
                for table in Base.metadata.sorted_tables
            }

    before = everything()
    token = access_mode.set("read")
    try:
        replayed(office, {"limit": "8"})
        replayed(office, clause=OFF)
    finally:
        access_mode.reset(token)
    assert everything() == before


def test_breaches_less_and_more_are_money(office, past, monkeypatch):
    """Amounts come from the penalty clause, by days late where it says so; a range stays a range."""
    rules = (
        PenaltyRule(clause="R03-4.1", broken=("R01-5.2b",), amount="limit"),  # 24 yuan each
        PenaltyRule(clause="R01-5.2a", broken=("R01-5.2b",), per_day="limit"),  # 2 yuan a day
        PenaltyRule(clause=OFF, broken=("R01-5.2b",), amount="limit"),
        PenaltyRule(clause="R01-4.2", broken=("R01-5.2b",)),
    )
    extensions = current().extensions
    monkeypatch.setitem(extensions, "rules", Registry((*extensions["rules"].rules, *rules)))
    found = replayed(office, {"limit": "8"})
    was, would = found.penalties["R03-4.1"]
    assert (was.count, would.count) == (3, 5)
    assert (was.least, was.most, would.least) == (3 * 24, 3 * 24, 5 * 24)
    # Answered an hour or six late on the very day of the limit, and nobody yet a day later.
    was, would = found.penalties["R01-5.2a"]
    assert (was.least, would.least) == (2 * 1, 2 * 5)
    assert OFF not in found.penalties
    assert found.penalties["R01-4.2"][0].open_ended == 3


@pytest.mark.parametrize(
    ("clause", "values", "period", "field"),
    [
        ("R99-1", {}, PERIOD, "clause"),
        ("R01-4.2", {}, PERIOD, "clause"),
        ("R01-5.2b", {"limits": "8"}, PERIOD, "limits"),
        ("R01-5.2b", {"limit": "much"}, PERIOD, "limit"),
        ("R01-5.2b", {"limit": "-1"}, PERIOD, "limit"),
        ("R01-5.2b", {}, {"first": "2026-11-02", "last": "2026-11-01"}, "last"),
        ("R01-5.2b", {}, {"first": "2020-11-02", "last": "2026-11-01"}, "last"),
        ("R01-5.2b", {}, {"first": "2030-11-02", "last": "2030-11-03"}, "first"),
        ("R01-5.2b", {}, {"first": "yesterday", "last": "2026-11-01"}, "first"),
        ("R01-5.2b", {}, {}, "first"),
    ],
)
def test_bad_questions_are_told(office, clause, values, period, field):
    with clock.frozen(at(1)), office.at_desk(), pytest.raises(InvalidData) as bad:
        replay.ask(office.unit.id, clause, values, period)
    assert list(bad.value.errors) == [field] or (not period and set(bad.value.errors) == {"first", "last"})


def test_too_many_records_for_a_page_are_told(office, past):
    with clock.frozen(at(48)), office.at_desk(), pytest.raises(InvalidData) as bad:
        replay.run(replay.ask(office.unit.id, "R01-5.2b", {}, PERIOD), most=7)
    assert "last" in bad.value.errors


def test_it_needs_the_permission_in_every_unit(office, past):
    other = make_unit(parent=office.unit)
    with in_scope([office.unit, other], {"case.view"}), pytest.raises(NotAllowed):
        replay.ask(office.unit.id, "R01-5.2b", {}, PERIOD)
    with clock.frozen(at(48)), office.at_desk():
        below = replay.ask(office.unit.id, "R01-5.2b", {}, PERIOD, below=True)
    assert below.units == (office.unit.id,)
    with in_scope([office.unit, other], {"rules.replay"}), clock.frozen(at(48)):
        assert replay.ask(office.unit.id, "R01-5.2b", {}, PERIOD, below=True).units == (office.unit.id, other.id)


def test_the_command(office, past, monkeypatch):
    runner = current().test_cli_runner()
    base = ["rules", "replay", "R01-5.2b", "--unit", office.unit.code, "--from", "2026-11-01", "--to", "2026-11-30"]
    with clock.frozen(at(48)):
        answer = runner.invoke(args=[*base, "--set", "limit=8", "--json"])
        plain = runner.invoke(args=base)
        bad = runner.invoke(args=[*base, "--set", "limit=x", "--set", "no=1"])
        nonsense = runner.invoke(args=[*base, "--set", "limit"])
        nowhere = runner.invoke(args=[*base[:4], "NOWHERE", *base[5:]])
    data = json.loads(answer.output)
    assert data["counterfactual"] is True and data["values"] == {"limit": 8}
    assert (data["was"]["met"], data["would"]["met"], data["flips"]["count"]) == (4, 2, 2)
    assert "counterfactual" in plain.output and plain.exit_code == 0
    assert bad.exit_code == 1 and "limit:" in bad.output and "no:" in bad.output
    assert nonsense.exit_code == 2 and "NAME=VALUE" in nonsense.output
    assert nowhere.exit_code == 1 and "NOWHERE" in nowhere.output


def test_a_fact_entered_late_counts_from_its_own_time(office):
    """A replay reads when things happened, not when they were typed in."""
    with clock.frozen(at(0)):
        key = office.new_case()
    with clock.frozen(at(40)), office.at_desk(), transaction():
        record_fact(key, "contacted", at=at(5))
    found = replayed(office, {"limit": "4"})
    assert (found.total.was.met, found.total.would.late) == (1, 1)
