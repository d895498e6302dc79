"""The workflow engine: invariants under any order of steps, several people at once, what goes along with a step."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import func, select

from core.cases.services import CASE, register_case
from core.cases.workflow import CASE_WORKFLOW
from core.kernel import clock, search
from core.kernel.database import session, transaction
from core.kernel.errors import AppError, Conflict, InvalidData, NotAllowed, NotFound, Refused
from core.kernel.fields import Field
from core.records import ports, types
from core.records.engine import append_fact, business_time, detail_of, link_records, lock, perform
from core.records.models import CANCELLED, CLOSED, PAUSED, Fact, Idempotency, Notice, Record, Reminder
from core.records.services import comment, finish_reminder, read_notices, remind, set_stage, watch
from core.records.types import register_extensions, words_of, workflow_of
from core.records.workflow import FactKind, Guard, State, Transition, WorkflowExtension, extend, make_workflow
from core.units.models import Stage
from tests.casework import ALL, INTAKE, Office, kinds, make_office, refusals, shape
from tests.helpers import as_system, in_scope, make_unit, make_user


@pytest.fixture
def office(app) -> Office:
    return make_office("HQ")


# --- any order of steps ------------------------------------------------------------------------


def check_invariants(record_id: int, last_version: int) -> int:
    """Check what always holds of a record; return its version."""
    found = shape(record_id)
    record, facts = found["record"], found["facts"]
    assert [f[0] for f in facts] == list(range(1, record["fact_seq"] + 1))
    assert record["category"] == CASE_WORKFLOW.states[record["state"]].category
    assert (record["closed_at"] is not None) == (record["category"] in (CLOSED, CANCELLED))
    assert record["version"] >= last_version
    assert record["chase_count"] == sum(f[1] == "chased" for f in facts)
    assert found["case"]["rating"] is None or any(f[1] == "rated" for f in facts)
    if record["category"] == PAUSED:
        assert CASE_WORKFLOW.states[record["resume_state"]].category != PAUSED
    return int(record["version"])


class AnyOrder(RuleBasedStateMachine):
    """Performs random steps, with good and with missing input."""

    office: Office

    def __init__(self) -> None:
        super().__init__()
        self.key = self.office.new_case()
        self.version = 1

    @rule(name=st.sampled_from(sorted(CASE_WORKFLOW.transitions)), filled=st.booleans())
    def step(self, name: str, filled: bool) -> None:
        before = shape(self.key)
        try:
            self.office.do(self.key, (name, self.office.usual(name) if filled else {}))
        except (Refused, InvalidData):
            assert shape(self.key) == before
            return
        after = shape(self.key)["record"]
        transition = CASE_WORKFLOW.transitions[name]
        assert before["record"]["state"] in transition.sources
        assert after["version"] > before["record"]["version"]
        assert shape(self.key)["facts"][: len(before["facts"])] == before["facts"]  # only ever added to

    @invariant()
    def holds(self) -> None:
        self.version = check_invariants(self.key, self.version)


def test_no_order_of_steps_breaks_a_record(sqlite_app):
    AnyOrder.office = make_office("HQ")
    run_state_machine_as_test(
        AnyOrder, settings=settings(max_examples=12, stateful_step_count=25, deadline=None, database=None)
    )


# --- several people at once --------------------------------------------------------------------


def at_once(*deeds: Callable[[], Any]) -> list[Any]:
    """Run deeds in threads that start together; return each result or error."""
    barrier, results = threading.Barrier(len(deeds)), [None] * len(deeds)

    def run(place: int, deed: Callable[[], Any]) -> None:
        barrier.wait(20)
        try:
            results[place] = deed()
        except Exception as error:
            results[place] = error

    threads = [threading.Thread(target=run, args=(n, d)) for n, d in enumerate(deeds)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def test_numbers_drawn_by_two_at_once_are_unique(office):
    def register_ten() -> list[str]:
        with office.at_desk():
            return [register_case(office.unit.id, INTAKE).number for _ in range(10)]

    first, second = at_once(register_ten, register_ten)
    assert len({*first, *second}) == 20


def test_one_double_click_makes_one_case(office):
    def register() -> int:
        with office.at_desk():
            return register_case(office.unit.id, INTAKE, key="click").id

    results = at_once(register, register, register)
    assert len(set(results)) == 1
    with office.at_desk() as work:
        assert work.scalar(select(func.count(Record.id))) == 1


def test_of_two_who_end_the_same_case_one_is_told(office):
    key = office.new_case()

    def end() -> str:
        return office.do(key, "cancel").state

    results = at_once(end, end)
    assert [r for r in results if r == "cancelled"] == ["cancelled"]
    assert [type(r) for r in results if r != "cancelled"] == [Refused]
    check_invariants(key, 1)


def test_nothing_is_lost_when_many_write_to_one_record(office):
    key = office.new_case()

    def chase_five() -> None:
        for _ in range(5):
            office.do(key, "chase")

    assert at_once(chase_five, chase_five, chase_five) == [None] * 3
    assert shape(key)["record"]["chase_count"] == 15
    check_invariants(key, 1)


def test_who_saw_an_older_version_is_told_and_nothing_is_overwritten(office):
    key = office.new_case()
    seen = shape(key)["record"]["version"]
    office.do(key, "forward")
    before = shape(key)
    with office.at_desk(), pytest.raises(Conflict):
        perform(key, "cancel", {"reason": "x"}, version=seen)
    assert shape(key) == before
    with office.at_desk():
        perform(key, "cancel", {"reason": "x"}, version=before["record"]["version"])


def test_a_retried_step_is_done_once(office):
    key = office.new_case()
    other = office.new_case()
    with office.at_desk():
        perform(key, "escalate", office.usual("escalate"), key="k")
        perform(key, "escalate", office.usual("escalate"), key="k")
        assert kinds(key) == ["registered", "escalated"]
        for deed in (
            lambda: perform(key, "escalate", {"level": "superior", "reason": "y"}, key="k"),
            lambda: perform(key, "cancel", {"reason": "y"}, key="k"),
            lambda: perform(other, "escalate", office.usual("escalate"), key="k"),
        ):
            with pytest.raises(Conflict):
                deed()
    colleague = make_user(office.unit)
    with in_scope(office.unit, ALL, colleague):  # another person's key is another key
        perform(key, "escalate", office.usual("escalate"), key="k")
    with office.at_desk() as work:
        assert kinds(key) == ["registered", "escalated", "escalated"]
        assert work.scalar(select(func.count()).select_from(Idempotency)) == 2


def test_a_refused_step_leaves_its_key_free(office):
    key = office.new_case()
    with office.at_desk(), pytest.raises(Refused):
        perform(key, "plan", office.usual("plan"), key="k")
    office.do(key, "classify")
    with office.at_desk():
        assert perform(key, "plan", office.usual("plan"), key="k").state == "planned"


# --- units that are closed ---------------------------------------------------------------------


def test_records_of_a_unit_that_may_only_be_read_are_not_changed(office):
    from core.kernel.database import opened_scope
    from core.kernel.scope import Scope
    from tests.helpers import current

    key = office.new_case()
    before = shape(key)
    here = frozenset({office.unit.id})
    scope = Scope(office.desk.id, here, frozenset(), "test", {office.unit.id: ALL})
    with current().app_context(), opened_scope(scope), pytest.raises(NotAllowed):
        perform(key, "cancel", {"reason": "x"})
    assert shape(key) == before


# --- ports, links, facts -----------------------------------------------------------------------


def test_gates_and_effects_of_rooms_above_are_asked(office, monkeypatch):
    from core.kernel.errors import Refusal

    key, seen = office.new_case(), []
    gate = [Refusal("closed_day", "Closed today", "R99-1")]
    monkeypatch.setattr(
        ports, "gates", [lambda step, asking: gate if asking and step.transition.name == "cancel" else []]
    )
    monkeypatch.setattr(ports, "effects", [lambda step: seen.append((step.transition.name, len(step.facts)))])
    with office.at_desk(), pytest.raises(Refused):
        perform(key, "cancel", {"reason": "x"})
    assert refusals(key) == [("cancel", "closed_day", "R99-1")]
    office.do(key, "forward")
    assert seen == [("forward", 1)]


class Meddler:
    """Plugins' hooks in whose reaction to a step of ``first`` steps of ``second`` fail, which they live with."""

    def __init__(self, first: int, second: int) -> None:
        self.first, self.second = first, second
        self.caught: list[str] = []

    def record_transitioned(self, record: Record, transition: str, facts: list[Fact]) -> None:
        if record.id != self.first:
            return
        for name, data in (("confirm", {"means": "phone"}), ("cancel", {"reason": "x"})):
            try:
                perform(self.second, name, data)
            except AppError as bad:
                self.caught.append(type(bad).__name__)


def test_a_failing_step_inside_a_hook_leaves_nothing_but_its_evidence(office, monkeypatch):
    first, second = office.new_case(), office.new_case()
    before = shape(second)
    meddler = Meddler(first, second)

    def late(step):
        if step.record.id == second:
            raise InvalidData({"reason": "no"})

    monkeypatch.setattr("core.records.engine.hooks_for", lambda _enabled: meddler)
    monkeypatch.setattr(ports, "effects", [late])
    office.do(first, "forward")
    assert meddler.caught == ["Refused", "InvalidData"]
    assert shape(second) == before and shape(first)["record"]["state"] == "forwarded"
    assert [code for _step, code, _clause in refusals(second)] == ["state"]


def test_evidence_about_a_record_that_was_rolled_back_hides_no_refusal(office):
    with office.at_desk():
        with pytest.raises(Refused), transaction():
            perform(register_case(office.unit.id, INTAKE).id, "confirm", {"means": "phone"})
        assert session().scalars(select(Record.id)).all() == []


def test_facts_that_propagate_are_mirrored_on_linked_records(office):
    one, two, three = (office.new_case() for _ in range(3))
    kind = FactKind("moved", "Moved", propagates=("parent",))
    with office.at_desk(), transaction():
        link_records(one, two, "parent")
        link_records(one, two, "parent")
        link_records(one, three, "sibling")
        append_fact(lock(one), kind, at=clock.now(), data={"x": 1}, note="n")
    with office.at_desk():
        assert kinds(two) == ["registered", "moved"] and kinds(three) == ["registered"]
        assert shape(two)["facts"][-1][4] == {"x": 1, "from_record": one}


def test_steps_of_two_records_that_mirror_each_other_do_not_wait_in_a_circle(office, monkeypatch):
    one, two = office.new_case(), office.new_case()
    with office.at_desk(), transaction():
        link_records(one, two, "peer")
        link_records(two, one, "peer")
    kinds_ = {**CASE_WORKFLOW.fact_kinds, "forwarded": FactKind("forwarded", "Forwarded", propagates=("peer",))}
    monkeypatch.setattr("core.records.engine.flow_of", lambda _record: replace(CASE_WORKFLOW, fact_kinds=kinds_))
    monkeypatch.setattr("core.records.engine.mirrored_roles", lambda: frozenset({"peer"}))
    both = threading.Barrier(2)

    def meet(_step, _asking):
        """Both have locked their own record, if the order of locks lets them."""
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.5)
        return []

    monkeypatch.setattr(ports, "gates", [meet])
    done = at_once(lambda: office.do(one, "forward"), lambda: office.do(two, "forward"))
    assert [result for result in done if not isinstance(result, Record)] == []
    assert [f[1] for f in shape(one)["facts"]] == ["registered", "forwarded", "forwarded"]
    assert [f[1] for f in shape(two)["facts"]] == ["registered", "forwarded", "forwarded"]


def test_a_type_without_kinds_of_its_own_takes_comments_files_and_stages(office, monkeypatch):
    monkeypatch.setitem(
        types._types, "case", replace(CASE, workflow=replace(CASE_WORKFLOW, transitions={}, fact_kinds={}))
    )
    types.workflow_of.cache_clear()
    assert {"comment", "stage", "attachment"} <= set(types.workflow_of("case", frozenset()).fact_kinds)
    types.workflow_of.cache_clear()


def test_nothing_is_linked_across_units_out_of_reach(office):
    elsewhere = make_office("X")
    mine, theirs = office.new_case(), elsewhere.new_case()
    with office.at_desk(), pytest.raises(NotFound):
        link_records(mine, theirs, "parent")


def test_naive_times_are_refused(office):
    key = office.new_case()
    with office.at_desk() as work:
        record = work.scalars(select(Record).where(Record.id == key)).one()
        with pytest.raises(ValueError, match="naive"):
            business_time(clock.now().replace(tzinfo=None), record)


# --- workflows are data ------------------------------------------------------------------------


def test_a_workflow_with_dangling_names_does_not_start():
    states = [State("a", "A", "open")]
    bad = Transition("go", "Go", frozenset({"b"}), "c", "p", "gone")
    with pytest.raises(ValueError, match=r"go: unknown state b.*unknown state c.*unknown fact kind gone"):
        make_workflow("a", states, [bad], [])


@pytest.mark.parametrize(
    ("extension", "text"),
    [
        (WorkflowExtension("case", states=[State("x", "X", "open", "registered")]), "x must begin with one:"),
        (WorkflowExtension("case", states=[State("one:x", "X", "open")]), "needs a fallback"),
        (WorkflowExtension("case", guards={"gone": ()}), "unknown transition gone"),
    ],
)
def test_an_extension_only_adds_under_its_own_name(extension, text):
    with pytest.raises(ValueError, match=text):
        extend(CASE_WORKFLOW, "one", extension)


def test_an_extension_s_guard_is_added_to_those_there():
    guard = Guard("quoted", lambda step: "no", "R13-1")
    flow = extend(CASE_WORKFLOW, "one", WorkflowExtension("case", guards={"close": [guard]}))
    assert flow.transitions["close"].guards == (*CASE_WORKFLOW.transitions["close"].guards, guard)
    assert CASE_WORKFLOW.transitions["close"].guards != flow.transitions["close"].guards


def test_every_field_of_every_step_has_a_known_kind():
    from core.kernel.fields import _CLEANERS

    fields = [f for t in CASE_WORKFLOW.transitions.values() for f in t.fields]
    assert fields and all(isinstance(f, Field) and f.kind in _CLEANERS for f in fields)
    assert CASE.prefix == "GD"


# --- comments, mentions, watching, notices -----------------------------------------------------


def notices(user) -> list[tuple[str, str]]:
    with as_system() as work:
        rows = work.scalars(select(Notice).where(Notice.user_id == user.id).order_by(Notice.id))
        return [(n.kind, n.text) for n in rows]


def test_who_is_named_in_a_comment_is_told(office):
    key = office.new_case()
    stranger = make_user(make_unit("X"), name="外人")
    with office.at_desk():
        comment(key, f"@师傅 请看一下，@{office.desk.username} @外人 @nobody")
    assert notices(office.technician) == [("mention", f"@师傅 请看一下，@{office.desk.username} @外人 @nobody")]
    assert notices(office.desk) == []  # never to oneself
    assert notices(stranger) == []  # does not work here


@pytest.mark.parametrize("text", ["", "  \n ", "x" * 4001])
def test_an_empty_or_endless_comment_is_refused(office, text):
    key = office.new_case()
    with office.at_desk(), pytest.raises(InvalidData) as bad:
        comment(key, text)
    assert list(bad.value.errors) == ["text"]


def test_who_may_only_read_does_not_comment(office):
    key = office.new_case()
    with in_scope(office.unit, {"case.view"}, make_user(office.unit)), pytest.raises(NotAllowed):
        comment(key, "hello")
    with in_scope(office.unit, {"case.comment"}, make_user(office.unit)), pytest.raises(NotFound):
        comment(key, "hello")  # cannot even see it


def test_a_comment_is_for_staff_unless_said_otherwise(office):
    key = office.new_case()
    with office.at_desk():
        assert comment(key, "内部").visible_to_customer is False
        assert comment(key, "对外", visible_to_customer=True).visible_to_customer is True


def test_followers_hear_of_steps_and_comments_until_they_stop(office):
    key = office.new_case()
    colleague = make_user(office.unit)
    with in_scope(office.unit, ALL, colleague):
        watch(key)
        watch(key)
    office.do(key, "forward")
    with office.at_desk():
        comment(key, "进展顺利")
    assert [kind for kind, _ in notices(colleague)] == ["changed", "comment"]
    with in_scope(office.unit, ALL, colleague):
        watch(key, on=False)
    office.do(key, "contact")
    assert len(notices(colleague)) == 2


def test_reading_notices_touches_only_one_s_own(office):
    key = office.new_case()
    office.do(key, "classify", "assign", "chase")
    with office.at_desk():
        assert read_notices() == 0
    with office.on_the_road():
        ids = list(session().scalars(select(Notice.id)))
        assert len(ids) == 2
        assert read_notices(ids[:1]) == 1
        assert read_notices() == 1
        assert read_notices() == 0


# --- reminders and stages ----------------------------------------------------------------------


def test_reminders_are_for_people_of_the_unit_and_the_future(office):
    key = office.new_case()
    stranger = make_user(make_unit("X"))
    soon = clock.now() + timedelta(hours=2)
    with office.at_desk():
        row = remind(key, "回访", soon, office.technician.id)
        for text, due, who, field in (
            ("", soon, None, "text"),
            ("回访", clock.now() - timedelta(hours=1), None, "due_at"),
            ("回访", soon, stranger.id, "user_id"),
        ):
            with pytest.raises(InvalidData) as bad:
                remind(key, text, due, who)
            assert list(bad.value.errors) == [field]
        number = row.id
    with in_scope(office.unit, ALL, make_user(office.unit)), pytest.raises(NotFound):
        finish_reminder(number)
    with in_scope(office.unit, {"case.view"}, office.technician):
        finish_reminder(number)
    with as_system() as work:
        assert [r.done_at is not None for r in work.scalars(select(Reminder))] == [True]


def test_a_stage_is_a_label_inside_one_state_and_falls_off_with_it(office):
    key = office.new_case()
    elsewhere = make_unit("X")
    with as_system() as work:
        mine = Stage(unit_id=office.unit.id, record_type="case", state="registered", label="待核实")
        later = Stage(unit_id=office.unit.id, record_type="case", state="solved", label="待回访")
        foreign = Stage(unit_id=elsewhere.id, record_type="case", state="registered", label="外")
        work.add_all([mine, later, foreign])
    state = shape(key)["record"]["state"]
    with office.at_desk():
        record = set_stage(key, mine.id)
        assert (record.state, record.stage_id) == (state, mine.id)
        for wrong in (later.id, foreign.id, "abc"):
            with pytest.raises(NotFound):
                set_stage(key, wrong)
    with in_scope(office.unit, {"case.view"}, make_user(office.unit)), pytest.raises(NotAllowed):
        set_stage(key, mine.id)
    assert office.do(key, "forward").stage_id is None
    assert [f[1] for f in shape(key)["facts"]] == ["registered", "stage", "forwarded"]


def test_a_record_whose_module_is_off_stays_readable_but_does_not_move(office, monkeypatch):
    from core.records import engine

    key = office.new_case()
    monkeypatch.setattr(engine, "record_type", lambda code: None)
    with office.at_desk() as work:
        record = work.scalars(select(Record).where(Record.id == key)).one()
        assert record.number and detail_of(record) is None and engine.ask(record) == []
        with pytest.raises(AppError):
            perform(key, "forward", {})


def test_facts_are_counted_once_per_record(office):
    key = office.new_case()
    with office.at_desk() as work:
        assert work.scalar(select(func.count(Fact.id)).where(Fact.record_id == key)) == 1


def test_the_minute_of_receipt_is_not_before_it(office) -> None:
    """Forms know minutes only: a job received at 10:00:35 may be contacted "at 10:00"."""
    received = clock.now().replace(second=35, microsecond=0) - timedelta(hours=1)
    with clock.frozen(received):
        record_id = office.new_case()
    with office.at_desk():
        record = session().scalars(select(Record).where(Record.id == record_id)).one()
        same_minute = record.received_at.replace(second=0)
        assert business_time(same_minute, record) == record.received_at
        with pytest.raises(InvalidData):
            business_time(same_minute - timedelta(minutes=1), record)


def test_work_on_a_new_record_comes_before_its_number(office) -> None:
    """Files and parts of the form may take long; the counter is locked only after them."""
    seen: list[str] = []

    def then(record: Record) -> None:
        seen.append(record.number)
        perform(record.id, "classify", {"nature": "repair", "urgency": "urgent"})

    with office.at_desk():
        record = register_case(office.unit.id, INTAKE, after=then)
        assert seen == [record.uid.hex]
        assert record.number.startswith("GD-")
        assert [found.entity_id for found in search.search(frozenset({office.unit.id}), "case", record.number)] == [
            record.id
        ]


def test_old_steps_of_a_plugin_keep_their_words_when_it_is_off(app) -> None:
    step = Transition("one:quote", "Quote", frozenset({"registered"}), None, "case.handle", "one:quoted")
    extension = WorkflowExtension("case", transitions=[step], fact_kinds=[FactKind("one:quoted", "Quoted")])
    before = list(types._extensions)
    try:
        register_extensions([*before, ("one", extension)])
        assert words_of("case").transitions["one:quote"].label == "Quote"
        assert "one:quote" not in workflow_of("case", frozenset()).transitions
    finally:
        register_extensions(before)
