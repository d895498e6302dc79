"""The demonstration: believable, complete, written once, and only where nothing else is."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select

from core.cases.models import Case
from core.cases.workflow import CASE_WORKFLOW
from core.demo import fill as demo
from core.demo import people
from core.demo.lives import STOPS, life_of, shorten
from core.kernel import clock, search
from core.kernel.outbox import PENDING, Outbox
from core.records.engine import flow_of
from core.records.models import Attachment, Fact, Notice, Record, Reminder
from core.units.models import Unit, UnitPlugin
from core.units.switches import installed
from core.users import passwords
from core.users.positions import POSITIONS
from tests.casework import reading
from tests.helpers import make_unit


@pytest.fixture
def small(monkeypatch):
    """Let the demonstration be a small one, in which cases still stop at every place."""
    shrink(monkeypatch, cases=21, customers=4)


@pytest.fixture
def tiny(monkeypatch):
    """Let the demonstration be hardly there."""
    shrink(monkeypatch, cases=1, customers=1)


def shrink(monkeypatch, *, cases, customers):
    whole = copy.deepcopy(people.load("cast"))
    for unit in whole["units"]:
        unit["cases"], unit["customers"] = cases, customers
    data = {"cast": whole, "stories": people.load("stories")}
    monkeypatch.setattr(people, "load", data.__getitem__)
    monkeypatch.setattr(demo, "load", data.__getitem__)
    # Hashing is slow on purpose; what counts here is who is there.
    cheap = passwords.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", cheap)


# Which places a small demonstration's cases stop at depends on the hour: a working morning, and a rest day.
MOMENTS = {
    "morning": datetime(2026, 11, 16, 2, tzinfo=UTC),
    "rest_day": datetime(2026, 11, 21, 6, tzinfo=UTC),
}


@pytest.fixture
def moment():
    """Let it be a moment whose demonstration was looked at."""
    with clock.frozen(MOMENTS["morning"]):
        yield


@pytest.mark.parametrize("name", ["rest_day"])
def test_at_any_hour_cases_stop_at_many_places(sqlite_app, small, name):
    with clock.frozen(MOMENTS[name]), sqlite_app.app_context():
        demo.fill()
        with reading() as work:
            assert len(set(work.scalars(select(Record.state).where(Record.type == "case")))) >= 8


def test_everybody_can_sign_in_and_cases_are_whole(app, small, moment):
    with app.app_context():
        assert demo.is_filled() is False
        assert people.demo_sign_ins() == []
        count = demo.fill()
        assert demo.is_filled() is True
        rows = people.demo_sign_ins()
    assert [r.position for r in rows if r.username.startswith("hq.")] == [p.title for p in POSITIONS]
    assert len({r.unit for r in rows}) == 5 and len({r.username for r in rows}) == len(rows)
    assert {r.password for r in rows} == {people.PASSWORD}
    now = clock.now()
    with reading() as work:
        every = work.scalars(select(Record)).all()
        records = [record for record in every if record.type == "case"]
        facts = work.scalars(select(Fact).order_by(Fact.record_id, Fact.seq)).all()
        assert len(records) == count and len({r.number for r in every}) == len(every)
        states = {record.id: flow_of(record).states[record.state] for record in every}
        for record in every:
            own = [f for f in facts if f.record_id == record.id]
            assert [f.seq for f in own] == list(range(1, record.fact_seq + 1))
            assert all(record.received_at <= f.at <= now for f in own)
            assert all(f.actor_id for f in own)
            assert record.category == states[record.id].category
        assert len({r.state for r in records}) >= 8
        assert work.scalar(select(func.count(Outbox.id)).where(Outbox.state == PENDING)) == 0
        for model in (Notice, Reminder, Attachment):
            assert work.scalar(select(func.count()).select_from(model)) > 0
        assert any(r.next_due_at and r.next_due_at < now for r in records)
        house = select(Case.distance_km).join(Unit, Unit.id == Case.unit_id).where(Unit.kind.in_(("hotel", "bank")))
        assert set(work.scalars(house)) == {None}
        for case in work.scalars(select(Case).where(Case.serial_text != "").limit(3)):
            hits = search.search(frozenset({case.unit_id}), "case", case.serial_text, 10)
            assert case.id in {hit.entity_id for hit in hits}
        on = work.execute(select(UnitPlugin.unit_id, UnitPlugin.plugin)).all()
        with app.app_context():
            everywhere = [one for one in installed().plugins if not people.brings_cast(one)]
            own = sum(len(data["own"]) for data in people.cast_units())
            assert len(on) == 3 * len(everywhere) + own


def test_it_is_not_mixed_with_other_data(app):
    make_unit("REAL")
    with app.app_context():
        with pytest.raises(demo.NotEmpty):
            demo.is_filled()
        assert people.demo_sign_ins() == []


def test_the_command_runs_once_and_never_in_production(sqlite_app, tiny, monkeypatch):
    runner = sqlite_app.test_cli_runner()
    first = runner.invoke(args=["demo"])
    assert first.exit_code == 0, first.output
    assert "hq.gm" in first.output and people.PASSWORD in first.output
    again = runner.invoke(args=["demo", "--quiet"])
    assert again.exit_code == 0 and "already" in again.output and people.PASSWORD not in again.output
    settings = sqlite_app.extensions["settings"]
    monkeypatch.setitem(sqlite_app.extensions, "settings", replace(settings, environment="production"))
    refused = runner.invoke(args=["demo"])
    assert refused.exit_code == 1 and people.PASSWORD not in refused.output


@pytest.mark.parametrize("stop", sorted(set(STOPS)))
def test_every_story_can_stop_anywhere(stop):
    import random

    for stories in people.load("stories").values():
        for story in stories:
            life = shorten(life_of(story, random.Random(1)), stop)
            names = {act.name for act in life} - {"photo", "call_attempt", "progress"}
            assert names <= set(CASE_WORKFLOW.transitions)


def test_a_plugin_s_cast_plays_alone_where_the_deployment_says_so(sqlite_app, tiny, moment, monkeypatch):
    settings = sqlite_app.extensions["settings"]
    monkeypatch.setitem(sqlite_app.extensions, "settings", replace(settings, demo="hotel"))
    with sqlite_app.app_context():
        assert demo.fill() == 0
        assert {row.username.partition(".")[0] for row in people.demo_sign_ins()} == {"hotel"}
        with reading() as work:
            assert work.scalars(select(Unit.code)).all() == ["HOTEL"]
            assert set(work.scalars(select(UnitPlugin.plugin))) == {"hotel"}


def test_a_cast_that_is_not_there_is_told(sqlite_app, monkeypatch):
    settings = sqlite_app.extensions["settings"]
    monkeypatch.setitem(sqlite_app.extensions, "settings", replace(settings, demo="nothing"))
    with sqlite_app.app_context(), pytest.raises(people.NoCast):
        people.cast_units()
    told = sqlite_app.test_cli_runner().invoke(args=["demo"])
    assert told.exit_code == 1 and "demo" in told.output, told.output
