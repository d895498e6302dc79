"""Obligations under attack: facts in any order, late, unreasonable, at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from core.kernel import clock
from core.kernel.database import session, system_scope, transaction
from core.kernel.errors import AppError, InvalidData
from core.records.engine import append_fact, flow_of, lock, perform, record_fact, tell_of_fact
from core.records.models import Fact, Record
from core.rules import obligations
from core.rules.calendar import CalendarTerms, WorkingCalendar
from core.rules.clocks import Term
from core.rules.fold import Terms, episodes, in_order, judge
from core.rules.kinds import DeadlineRule, Happened
from core.rules.models import Calendar
from core.rules.obligation_models import EXCUSED, LATE, MET, OPEN, PAUSED, Breach, Obligation
from tests.casework import Office, make_office, reading
from tests.helpers import as_system, current

MONDAY = datetime(2026, 11, 16, 2, tzinfo=UTC)  # 10:00 in Shanghai
PLAIN = "R01-5.2b"
WEEK = 7 * 24 * 60


@pytest.fixture
def office(app: Flask) -> Office:
    return make_office()


@pytest.fixture
def desk(sqlite_app: Flask) -> Office:
    """One office for many examples, on the quicker database."""
    return make_office()


def at(hours: float) -> datetime:
    return MONDAY + timedelta(hours=hours)


def rows(record_id: int) -> list[Obligation]:
    with reading() as work:
        return list(work.scalars(select(Obligation).where(Obligation.record_id == record_id)))


def one(record_id: int, clause: str = PLAIN) -> Obligation:
    return next(row for row in rows(record_id) if row.clause == clause)


def breach(record_id: int, clause: str = PLAIN) -> Breach:
    with reading() as work:
        return work.scalars(select(Breach).where(Breach.record_id == record_id, Breach.clause == clause)).one()


# --- the fold alone ------------------------------------------------------------------------------

HAPPENINGS = ("begun", "met", "stopped", "halted", "resumed", "again", "stage", "other", "excused", "excuse_lifted")
RULES = [
    DeadlineRule(
        clause="T", start=("begun",), meet=("met",), stop=("stopped",), pause=pause, resume=("resumed",), **more
    )
    for pause in (("halted",), ())
    for more in (
        {},
        {"moves": True},
        {"chain": True},
        {"restart": ("again",)},
        {"chain": True, "restart": ("again",)},
    )
]
OFFICE_HOURS = Terms(Term(8, "hour", "working"), WorkingCalendar(CalendarTerms()))
TWO_DAYS = Terms(Term(2, "day"), WorkingCalendar(CalendarTerms()))


@st.composite
def histories(draw: Any) -> list[tuple[int, str, Mapping[str, Any]]]:
    """Draw what happened to a record, each in a minute of its own: (minute, kind, data)."""
    minutes = draw(st.lists(st.integers(0, WEEK), min_size=1, max_size=10, unique=True))
    found = []
    for minute in minutes:
        kind = draw(st.sampled_from(HAPPENINGS))
        data: dict[str, Any] = {"state": "x"} if draw(st.booleans()) else {}
        if kind == "stage":
            data = {"pauses": draw(st.booleans())}
        if kind.startswith("excuse"):
            data = {"clause": "T", "root": draw(st.integers(0, 10))}
        found.append((minute, kind, data))
    return found


@given(
    histories(),
    st.randoms(use_true_random=False),
    st.sampled_from(RULES),
    st.sampled_from([OFFICE_HOURS, TWO_DAYS]),
)
@settings(max_examples=300, deadline=None)
def test_the_order_of_entry_changes_nothing(
    happened: list[tuple[int, str, Mapping[str, Any]]], dice: Any, rule: DeadlineRule, terms: Terms
) -> None:
    moments = [MONDAY + timedelta(minutes=minute) for minute, _, _ in happened]
    ids = range(len(happened))

    def told(order: list[int]) -> list[Any]:
        facts = in_order(
            Happened(i, seq, happened[i][1], moments[i], 50, happened[i][2]) for seq, i in enumerate(order)
        )
        runs = episodes(rule, facts)
        return [
            (run.root.id, run.end and run.end.id, run.excuse and run.excuse.id, run.pauses, judge(rule, run, terms))
            for run in runs
        ]

    shuffled = list(ids)
    dice.shuffle(shuffled)
    in_turn = told(sorted(ids, key=lambda i: moments[i]))
    assert told(shuffled) == in_turn
    roots = [run[0] for run in in_turn]
    assert len(roots) == len(set(roots)), "no two runs begin with the same fact"
    for before, after in pairwise(in_turn):
        assert before[1] is not None, "a run begins only when the one before is over"
        assert moments[before[1]] <= moments[after[0]]


# --- with the database -----------------------------------------------------------------------------

ENTERED = (
    "contacted",
    "assigned",
    "declined",
    "progress",
    "paused",
    "resumed",
    "solved",
    "reworked",
    "planned",
    "stage",
)


@dataclass
class Entry:
    """Something that happened to a case, and its data."""

    minute: int
    kind: str
    data: dict[str, Any] = field(default_factory=dict)


@st.composite
def lives(draw: Any) -> list[Entry]:
    minutes = draw(st.lists(st.integers(1, WEEK), min_size=2, max_size=7, unique=True))
    found = []
    for minute in minutes:
        kind = draw(st.sampled_from(ENTERED))
        data: dict[str, Any] = {"state": "x"} if kind in ("solved", "reworked", "resumed") else {}
        if kind == "stage":
            data = {"pauses": draw(st.booleans())}
        if kind == "assigned":
            data = {"assignee": draw(st.sampled_from(["desk", "technician"]))}
        found.append(Entry(minute, kind, data))
    return found


def enter(office: Office, record_id: int, entry: Entry) -> None:
    """Enter a fact as an import would: any kind, at its own time."""
    data = dict(entry.data)
    if "assignee" in data:
        data["assignee_id"] = getattr(office, data.pop("assignee")).id
    with office.at_desk(), transaction():
        record = lock(record_id)
        kind = flow_of(record).fact_kinds[entry.kind]
        fact = append_fact(record, kind, at=MONDAY + timedelta(minutes=entry.minute), data=data)
        session().flush()
        tell_of_fact(record, fact)


def standing(record_id: int) -> list[tuple[Any, ...]]:
    """Return a record's obligations and next due time without ids, facts by kind and time."""
    with reading() as work:
        facts = {f.id: (f.kind, f.at) for f in work.scalars(select(Fact).where(Fact.record_id == record_id))}
        due = work.scalar(select(Record.next_due_at).where(Record.id == record_id))
        found = [
            (
                row.clause,
                facts[row.root_fact_id],
                row.state,
                row.start_at,
                row.due_at,
                row.target_at,
                row.warn_at,
                row.ended_at,
                facts.get(row.end_fact_id or 0),
                row.late_seconds,
                row.late_days,
                row.responsible_id,
                row.month,
                row.provisional,
                row.position,
                sorted(row.terms.items(), key=str),
            )
            for row in work.scalars(select(Obligation).where(Obligation.record_id == record_id))
        ]
        return [(due,), *sorted(found, key=str)]


@given(life=lives(), dice=st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_facts_entered_in_any_order_give_the_same_rows(desk: Office, life: list[Entry], dice: Any) -> None:
    with clock.frozen(MONDAY):
        first, second = desk.new_case(), desk.new_case()
    shuffled = list(life)
    dice.shuffle(shuffled)
    with clock.frozen(at(8 * 24)):
        for entry in sorted(life, key=lambda entry: entry.minute):
            enter(desk, first, entry)
        for entry in shuffled:
            enter(desk, second, entry)
        assert standing(second) == standing(first)
        with current().app_context(), system_scope("test"):
            assert obligations.recompute(record_ids=[first, second]) == 0
        assert standing(second) == standing(first)
        with current().app_context(), system_scope("test") as work:
            with transaction():
                work.execute(Obligation.__table__.delete().where(Obligation.record_id == second))
            obligations.recompute(record_ids=[second])
        assert standing(second) == standing(first), "from nothing, the same again"


def test_a_pausing_stage_ends_with_the_next_step(office: Office) -> None:
    """Also for a clause that the step itself is nothing to."""
    clause = "R01-4.4"
    with clock.frozen(at(0)):
        key = office.new_case()
        office.do(key, "contact", "classify", "assign")
        before = one(key, clause).due_at
        enter(office, key, Entry(10, "stage", {"pauses": True}))
        assert one(key, clause).state == PAUSED
    with clock.frozen(at(1)):
        enter(office, key, Entry(60, "departed", {"state": "x"}))
    found = one(key, clause)
    assert found.state == OPEN and before is not None
    assert found.due_at is not None and found.due_at >= before


@pytest.mark.clause("R01-5.2b")
def test_a_late_entry_withdraws_a_breach_for_all_to_see(office: Office) -> None:
    with clock.frozen(at(0)):
        key = office.new_case()
    with clock.frozen(at(26)), office.at_desk():
        record_fact(key, "contacted")
    assert one(key).state == LATE
    told = breach(key)
    assert (told.due_at, told.withdrawn_at) == (at(24), None)
    with clock.frozen(at(27)), office.at_desk():
        record_fact(key, "contacted", at=at(3))
    assert one(key).state == MET
    told = breach(key)
    assert told.withdrawn_at == at(27) and told.withdrawn_fact_id is not None


def test_a_lifted_excuse_lets_the_breach_stand_again(office: Office) -> None:
    with clock.frozen(at(0)):
        key = office.new_case()
    with clock.frozen(at(26)), office.at_desk():
        record_fact(key, "contacted")
    root = one(key).root_fact_id
    about = {"clause": PLAIN, "root": root}
    with clock.frozen(at(27)):
        enter(office, key, Entry(27 * 60, "excused", about))
    assert one(key).state == EXCUSED
    assert breach(key).withdrawn_at == at(27)
    with clock.frozen(at(28)):
        enter(office, key, Entry(28 * 60, "excuse_lifted", about))
    assert one(key).state == LATE
    told = breach(key)
    assert (told.withdrawn_at, told.withdrawn_fact_id, told.due_at) == (None, None, at(24))


def test_a_recompute_announces_nothing(office: Office) -> None:
    with clock.frozen(at(0)):
        key = office.new_case()
    with clock.frozen(at(26)), office.at_desk():
        record_fact(key, "contacted")
    with as_system() as work:
        work.execute(Breach.__table__.delete())
        work.execute(Obligation.__table__.delete())
    with current().app_context(), system_scope("test"):
        obligations.recompute(record_ids=[key])
    assert one(key).state == LATE
    with reading() as work:
        assert work.scalars(select(Breach).where(Breach.record_id == key)).first() is None


def test_the_command_works_one_unit_out_anew(app: Flask, office: Office) -> None:
    with clock.frozen(at(0)):
        key = office.new_case()
    before = standing(key)
    with as_system() as work:
        work.execute(Obligation.__table__.delete())
    ran = app.test_cli_runner().invoke(args=["rules", "recompute", "--unit", office.unit.code])
    assert ran.exit_code == 0, ran.output
    assert f"{len(before) - 1} obligations changed" in ran.output
    assert standing(key) == before
    ran = app.test_cli_runner().invoke(args=["rules", "recompute", "--unit", "nowhere"])
    assert ran.exit_code != 0 and "nowhere" in ran.output


@pytest.mark.parametrize("moment", [at(-1), at(5)], ids=["before the receipt", "in the future"])
def test_an_impossible_time_changes_nothing(office: Office, moment: datetime) -> None:
    with clock.frozen(at(0)):
        key = office.new_case()
    before = standing(key)
    with clock.frozen(at(1)), office.at_desk(), pytest.raises(InvalidData) as bad:
        record_fact(key, "contacted", at=moment)
    assert set(bad.value.errors) == {"at"}
    assert standing(key) == before


def test_a_pause_without_an_end_gives_no_limit(office: Office) -> None:
    with clock.frozen(at(0)):
        key = office.new_case()
    with clock.frozen(at(10_000)):
        enter(office, key, Entry(60, "paused"))
    found = one(key)
    assert (found.state, found.due_at, found.warn_at) == (PAUSED, None, None)


@pytest.fixture
def never_open(office: Office) -> Iterator[Office]:
    with as_system() as work:
        closed: list[Any] = [[] for _ in range(7)]
        names = {"code": "never", "name": "从不上班", "weekly": closed, "makeup": [], "official": "none"}
        work.add(Calendar(unit_id=office.unit.id, usual=True, active=True, changed_at=at(0), **names))
    yield office


def by_working_time(found: list[Obligation]) -> list[Obligation]:
    return [row for row in found if row.terms["term"]["clock"] == "working"]


def test_a_calendar_without_working_time_says_so_and_never_hangs(never_open: Office) -> None:
    with clock.frozen(at(0)):
        key = never_open.new_case()
        never_open.do(key, "contact", "classify", "assign")
    found = by_working_time(rows(key))
    assert found, "some clause of the core counts working time"
    assert {row.terms.get("problem") for row in found} == {"NoWorkingTime"}
    assert {row.due_at for row in found} == {None}
    assert one(key).state == MET, "the others go on"
    with current().app_context(), system_scope("test"):
        assert obligations.recompute(record_ids=[key]) == 0


def test_a_year_without_its_official_table_is_marked(office: Office) -> None:
    with clock.frozen(datetime(2031, 12, 31, 8, tzinfo=UTC)):
        key = office.new_case()
        office.do(key, "contact", "classify", "assign")
    counted = by_working_time(rows(key))
    assert counted and all(row.provisional for row in counted)
    assert not one(key).provisional, "a clock that simply runs on rests on no table"


def test_nobody_makes_an_obligation_twice(office: Office) -> None:
    with clock.frozen(at(0)):
        key = office.new_case()
    held = one(key)
    twin = {column.key: getattr(held, column.key) for column in Obligation.__table__.columns if column.key != "id"}
    with pytest.raises(IntegrityError), as_system() as work:
        work.execute(insert(Obligation), [twin])


def test_steps_at_the_same_moment_never_double_obligations(office: Office) -> None:
    key = office.new_case()
    gate, failed = threading.Barrier(3), []

    def step(name: str, data: Mapping[str, Any]) -> None:
        with office.at_desk():
            gate.wait()
            try:
                perform(key, name, data)
            except AppError:
                pass  # the slower one may find the case moved on
            except BaseException as error:
                failed.append(error)

    steps = [("contact", {}), ("forward", office.usual("forward")), ("chase", {})]
    threads = [threading.Thread(target=step, args=one) for one in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed
    found = [(row.clause, row.root_fact_id) for row in rows(key)]
    assert len(found) == len(set(found))
    with current().app_context(), system_scope("test"):
        assert obligations.recompute(record_ids=[key]) == 0
