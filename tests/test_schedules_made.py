"""Recurring work that makes another record than a task, by a day of its own, for many subjects and over years."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select

from core.kernel import clock
from core.kernel.database import system_scope
from core.kernel.manifest import PluginError
from core.records.models import Record
from core.rules import reasons, registry, schedules
from core.rules.clocks import deadline
from core.rules.kinds import DeadlineRule, ScheduleRule
from core.rules.rulebook import current_rulebook
from core.rules.schedule_models import ScheduleRun
from core.rules.schedules import Wanted
from core.rules.unit_calendars import calendar_for
from core.tasks.models import Task
from core.tasks.rules import limits
from core.tasks.services import create_task
from core.units.models import Unit
from tests.casework import make_office, reading
from tests.helpers import as_system, current

STATISTICS = "R28-4.5"
ROOMS = 600


def rooms(_unit_id: int) -> list[tuple[str, str, int | None]]:
    return [(f"place:{number}", f"房间 {number}", None) for number in range(ROOMS)]


RULE = ScheduleRule(clause=STATISTICS, title={"zh": "查房", "en": "Rounds"}, makes="task", make=create_task)


@pytest.fixture
def unit(app: Any) -> Unit:
    return make_office().unit


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let only one rule recur, every so many days."""

    def use(rule: ScheduleRule, every: str = "day") -> None:
        monkeypatch.setattr(schedules, "current_rules", lambda: type("Rules", (), {"of": lambda *_: [rule]})())
        monkeypatch.setattr(schedules, "interval_of", lambda *_: schedules.Interval(1, every))

    return use


def run(unit: Unit, at: str) -> int:
    with (
        clock.frozen(datetime.fromisoformat(at).replace(tzinfo=UTC)),
        current().app_context(),
        system_scope("test"),
    ):
        return schedules.create_due(unit.id)


def begun() -> list[date]:
    with reading() as work:
        return list(work.scalars(select(Task.starts_on).distinct().order_by(Task.starts_on)))


def test_what_the_rule_makes_is_made_once_whoever_runs_it(unit: Unit, only: Any) -> None:
    made: list[Wanted] = []

    def make(wanted: Wanted) -> Record:
        made.append(wanted)
        return create_task(wanted)

    only(replace(RULE, make=make, subjects=lambda _unit: rooms(0)[:20]))
    counts: list[int] = []
    gate = threading.Barrier(2)

    def work() -> None:
        gate.wait()
        counts.append(run(unit, "2026-11-02T04:00"))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert sum(counts) == 20
    with reading() as found:
        assert len(found.scalars(select(Task.id)).all()) == 20
        assert None not in found.scalars(select(ScheduleRun.record_id)).all()
    assert run(unit, "2026-11-02T05:00") == 0


def test_a_maker_that_fails_leaves_no_run(unit: Unit, only: Any) -> None:
    def broken(wanted: Wanted) -> Record:
        create_task(wanted)
        raise RuntimeError("no paper")

    only(replace(RULE, make=broken))
    with pytest.raises(RuntimeError):
        run(unit, "2026-11-02T04:00")
    assert begun() == []
    only(RULE)
    assert run(unit, "2026-11-02T04:00") == 1


def test_600_subjects_are_served_where_the_rule_lets_them(
    unit: Unit, only: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    created: list[str] = []
    monkeypatch.setattr(schedules, "_create", lambda wanted: created.append(wanted.subject.key) or True)
    only(replace(RULE, subjects=rooms, most=600))
    assert run(unit, "2026-11-02T04:00") == 600
    assert "subjects" not in caplog.text
    only(replace(RULE, subjects=rooms))
    assert run(unit, "2026-11-02T04:00") == 500
    assert "only 500 of 600" in caplog.text


def test_periods_run_by_the_rules_own_day(unit: Unit, only: Any) -> None:
    """A hotel's day begins at six in the morning: at five (21:00 UTC) it is still the day before."""

    def business_day(_unit_id: int) -> date:
        return (clock.now() + timedelta(hours=8 - 6)).date()

    only(replace(RULE, today=business_day))
    assert run(unit, "2026-11-02T04:00") == 1
    assert run(unit, "2026-11-02T21:00") == 0  # 05:00 of the 3rd
    assert begun() == [date(2026, 11, 2)]
    assert run(unit, "2026-11-02T22:30") == 1  # 06:30
    assert begun() == [date(2026, 11, 2), date(2026, 11, 3)]


def test_a_day_of_the_rules_own_is_over_in_the_morning(unit: Unit) -> None:
    """What a hotel's night does is not late at midnight; a task of another rule is."""
    day = {"starts_on": date(2026, 11, 2), "due_on": date(2026, 11, 2)}
    own, usual = (
        limits([("", rule)])[0][1].term for rule in (replace(RULE, today=lambda _unit: date.today()), RULE)
    )
    start = datetime(2026, 11, 1, 16, tzinfo=UTC)  # midnight of the 2nd in Shanghai
    with reading():
        ends = [deadline(term({}, day), start, calendar_for(unit.id)).at for term in (own, usual)]
    assert ends == [datetime(2026, 11, 2, 22, tzinfo=UTC), datetime(2026, 11, 2, 15, 59, 59, tzinfo=UTC)]


def past(unit: Unit, days: int) -> None:
    """Let 50 subjects have had their work every day up to the first of November."""
    rows = [
        {
            "unit_id": unit.id,
            "clause": STATISTICS,
            "subject": key,
            "period": (date(2026, 11, 1) - timedelta(days=ago)).isoformat(),
            "created_at": clock.now(),
        }
        for ago in range(days)
        for key, _, _ in rooms(0)[:50]
    ]
    with as_system() as work:
        work.execute(insert(ScheduleRun), rows)


def test_a_year_of_runs_is_not_read(sqlite_app: Any, only: Any) -> None:
    """SQLite counts its own steps: with a year of runs they are as many as with a month."""
    steps: list[int] = []
    for days in (30, 365):
        unit = make_office().unit
        past(unit, days)
        with current().app_context(), system_scope("test") as work:
            raw: Any = work.connection().connection.driver_connection
            count = [0]

            def step(count: list[int] = count) -> int:
                count[0] += 1
                return 0

            raw.set_progress_handler(step, 1)
            latest = schedules._latest(unit.id, STATISTICS, schedules.Interval(1, "day"))
            raw.set_progress_handler(None, 1)
            steps.append(count[0])
        assert latest == {key: date(2026, 11, 1) for key, _, _ in rooms(0)[:50]}
        assert sum(1 for _ in latest) == 50
    assert steps[1] < steps[0] * 1.2, steps


def test_after_a_year_of_runs_only_the_new_day_is_made(unit: Unit, only: Any) -> None:
    past(unit, 60)
    only(replace(RULE, subjects=lambda _unit: rooms(0)[:2]))
    assert run(unit, "2026-11-02T04:00") == 2
    assert run(unit, "2026-11-02T05:00") == 0
    assert run(unit, "2026-11-05T04:00") == 6


def test_who_had_nothing_for_long_begins_anew(unit: Unit, only: Any) -> None:
    only(replace(RULE, subjects=lambda _unit: rooms(0)[:1]))
    run(unit, "2026-10-01T04:00")
    only(replace(RULE, subjects=lambda _unit: rooms(0)[1:2]))
    run(unit, "2026-10-30T04:00")
    only(replace(RULE, subjects=lambda _unit: rooms(0)[:2]))
    run(unit, "2026-11-02T04:00")
    with reading() as work:
        found = work.execute(select(Task.subject, Task.starts_on).order_by(Task.starts_on)).all()
    assert [day for key, day in found if key == "place:0"] == [date(2026, 10, 1), date(2026, 11, 2)]


@pytest.mark.parametrize(
    "odd",
    [
        {"make": None},
        {"makes": ""},
        {"makes": "castle"},
        {"makes": "case"},
        {"most": 0},
        {"most": registry.MOST_SUBJECTS + 1},
    ],
)
def test_a_rule_that_does_not_fit_stops_the_start(sqlite_app: Any, odd: dict[str, Any]) -> None:
    with sqlite_app.app_context():
        declared = [("", replace(RULE, **odd))]
        with pytest.raises(PluginError) as bad:
            registry.build([*declared, *limits(declared)], current_rulebook())
        assert STATISTICS in str(bad.value)
        assert registry.build([("", RULE)], current_rulebook()).rules


def test_its_time_limit_lies_on_what_it_makes(sqlite_app: Any) -> None:
    with sqlite_app.app_context():
        plain = replace(RULE, makes="", make=None)
        found = dict(zip(("task", "made"), (one for _, one in limits([("", plain), ("", RULE)])), strict=True))
    made = found["made"]
    assert isinstance(made, DeadlineRule)
    assert (made.record_type, made.start, made.meet, made.stop) == (
        "task",
        ("registered",),
        ("finished",),
        ("cancelled",),
    )
    assert found["task"].record_type == "task"


def test_what_may_be_skipped_ends_its_time_limit_so(sqlite_app: Any) -> None:
    with sqlite_app.app_context():
        ((_, limit),) = limits([("", replace(RULE, makes="inspection"))])
    assert (limit.record_type, limit.stop) == ("inspection", ("cancelled", "skipped"))


def test_explaining_goes_by_the_rules_own_day(unit: Unit, only: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = replace(RULE, today=lambda _unit: (clock.now() + timedelta(hours=2)).date())
    only(rule)
    monkeypatch.setattr(reasons, "current_rules", lambda: type("Rules", (), {"of": lambda *_: [rule]})())
    five_in_the_morning = datetime(2026, 11, 2, 21, tzinfo=UTC)  # of the 3rd

    def first(at: datetime) -> Any:
        with clock.frozen(five_in_the_morning), current().app_context(), system_scope("test"):
            (told,) = reasons.explain(STATISTICS, unit.id, at)["rules"]
        assert told["makes"] == "task"
        return told["periods"][0]["from"]

    assert first(five_in_the_morning) == "2026-11-02"
    assert first(datetime(2026, 10, 5, 4, tzinfo=UTC)) == "2026-10-05"
