"""The life of a case at the level of the services staff use: every step, every guard of D1."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from core.cases.callers import find_caller
from core.cases.models import Case
from core.cases.services import call_attempt, chase, edit_case, register_case
from core.cases.workflow import CASE_WORKFLOW
from core.customers.models import Customer
from core.customers.services import create_customer, erase_customer, merge_customers
from core.kernel import clock, jobs, outbox, search
from core.kernel.database import session, transaction
from core.kernel.errors import Conflict, InvalidData, NotAllowed, NotFound, Refused
from core.records.engine import ask, detail_of, perform, record_fact
from core.records.models import CANCELLED, CLOSED, OPEN, PAUSED, SOLVED, Fact, Notice, Record
from tests.casework import ALL, CLASSIFIED, INTAKE, Office, kinds, make_office, refusals, shape
from tests.casework import SOLVED as RESULT
from tests.helpers import as_system, in_scope, make_unit, make_user


@pytest.fixture
def office(app) -> Office:
    return make_office("HQ")


def refused(office: Office, record_id: int, name: str, data: dict | None = None) -> Refused:
    """Perform a step that must be refused, and check that nothing but the evidence is left behind."""
    before = shape(record_id)
    with office.at_desk(), pytest.raises(Refused) as found:
        perform(record_id, name, office.usual(name) if data is None else data)
    assert shape(record_id) == before
    expected = [(name, r.code, r.clause) for r in found.value.refusals]
    assert refusals(record_id)[-len(expected) :] == expected
    return found.value


def clauses(error: Refused) -> set[str]:
    return {r.clause for r in error.refusals if r.clause}


# --- registering -------------------------------------------------------------------------------


@pytest.mark.clause("R34-4.1.2")
def test_every_case_has_a_number_of_its_own_by_unit_and_month(office):
    with clock.frozen(datetime(2026, 3, 31, 15, 59, tzinfo=UTC)):  # 23:59 in Shanghai
        first, second = office.new_case(), office.new_case()
    with clock.frozen(datetime(2026, 3, 31, 16, 1, tzinfo=UTC)):
        third = office.new_case()
    with office.at_desk() as work:
        numbers = [work.scalar(select(Record.number).where(Record.id == i)) for i in (first, second, third)]
    assert numbers == ["GD-HQ-202603-0001", "GD-HQ-202603-0002", "GD-HQ-202604-0001"]


@pytest.mark.clause("R34-4.1.3")
@pytest.mark.parametrize("missing", ["customer_name", "contact_phone", "channel", "product_text", "description"])
def test_what_must_be_known_is_asked_for_and_nothing_is_kept(office, missing):
    with office.at_desk() as work, pytest.raises(InvalidData) as bad:
        register_case(office.unit.id, {**INTAKE, missing: "  "})
    assert missing in bad.value.errors
    with office.at_desk() as work:
        assert work.scalar(select(func.count(Record.id))) == 0
        assert work.scalar(select(func.count(Customer.id))) == 0


def test_an_inquiry_needs_no_product(office):
    assert office.new_case(nature="inquiry", urgency="normal", product_text="")


def test_a_bad_phone_is_told_beside_its_own_field(office):
    with office.at_desk(), pytest.raises(InvalidData) as bad:
        register_case(office.unit.id, {**INTAKE, "contact_phone": "12345"})
    assert list(bad.value.errors) == ["contact_phone"]


def test_received_earlier_than_entered(office):
    now = datetime(2026, 5, 10, 4, 0, tzinfo=UTC)
    with clock.frozen(now):
        key = office.new_case(received_at="2026-05-09 18:30")  # wall clock of the unit
    with office.at_desk() as work:
        record = work.scalars(select(Record).where(Record.id == key)).one()
        fact = work.scalars(select(Fact).where(Fact.record_id == key).order_by(Fact.seq)).first()
    assert record.received_at == fact.at == datetime(2026, 5, 9, 10, 30, tzinfo=UTC)
    assert record.entered_at == fact.entered_at == now


@pytest.mark.parametrize("when", ["2026-05-10 14:00", "2026-04-01 08:00", "1066-10-14 09:00", "soon"])
def test_received_in_the_future_or_too_long_ago_is_refused(office, when):
    with clock.frozen(datetime(2026, 5, 10, 4, 0, tzinfo=UTC)), office.at_desk(), pytest.raises(InvalidData) as bad:
        register_case(office.unit.id, {**INTAKE, "received_at": when})
    assert list(bad.value.errors) == ["received_at"]


def test_without_permission_nothing_is_registered(office):
    with office.on_the_road("case.view"), pytest.raises(NotAllowed):
        register_case(office.unit.id, INTAKE)


def test_a_customer_of_another_unit_is_not_on_file_here(office):
    elsewhere = make_unit("X")
    with in_scope(elsewhere, ALL) as work:
        foreign = create_customer(elsewhere.id, {"name": "外单位"}).id
        work.commit()
    with in_scope([office.unit, elsewhere], ALL, office.desk), pytest.raises(InvalidData) as bad:
        register_case(office.unit.id, {**INTAKE, "customer_id": str(foreign)})
    assert list(bad.value.errors) == ["customer_id"]


def test_a_retry_answers_the_first_case(office):
    with office.at_desk() as work:
        first = register_case(office.unit.id, INTAKE, key="k1").id
        assert register_case(office.unit.id, INTAKE, key="k1").id == first
        assert work.scalar(select(func.count(Record.id))) == 1
        assert work.scalar(select(func.count(Customer.id))) == 1
        with pytest.raises(Conflict):
            register_case(office.unit.id, {**INTAKE, "description": "另一件事"}, key="k1")
    with office.at_desk():  # a key that failed may be used again
        with pytest.raises(InvalidData):
            register_case(office.unit.id, {**INTAKE, "description": ""}, key="k2")
        assert register_case(office.unit.id, INTAKE, key="k2").id != first


# --- the whole life ----------------------------------------------------------------------------


def test_from_contact_to_archive(office):
    key = office.new_case()
    states = []
    for step in ("forward", "contact", "classify", "plan", "assign", "accept", "depart", "arrive", "solve"):
        states.append(office.do(key, step).state)
    assert states == [
        "forwarded", "contacted", "classified", "planned", "assigned", "accepted", "in_progress", "in_progress",
        "solved",
    ]  # fmt: skip
    record = office.do(key, "send_result", "confirm")
    assert (record.state, record.category, record.closed_at) == ("confirmed", SOLVED, None)
    moment = clock.now()
    with clock.frozen(moment):
        record = office.do(key, "close")
    assert (record.state, record.category, record.closed_at) == ("closed", CLOSED, moment)
    with office.at_desk() as work:
        assert kinds(key) == [
            "registered", "forwarded", "contacted", "classified", "planned", "assigned", "accepted", "departed",
            "arrived", "solved", "result_sent", "rated", "confirmed", "archived",
        ]  # fmt: skip
        case = work.scalars(select(Case).where(Case.id == key)).one()
        messages = select(outbox.Outbox.topic).where(outbox.Outbox.topic != jobs.TOPIC)
        topics = work.scalars(messages.order_by(outbox.Outbox.id)).all()
    assert (case.rating, case.confirmed_by, case.cause) == (5, "phone", RESULT["cause"])
    assert topics[0] == "record.registered" and topics[-1] == "record.close" and len(topics) == 13


def test_an_inquiry_is_answered_and_archived(office):
    key = office.new_case(nature="inquiry", urgency="normal")
    assert office.do(key, "answer").state == "answered"
    assert office.do(key, "confirm", "close").state == "closed"


def test_every_transition_is_possible_somewhere():
    assert set(CASE_WORKFLOW.transitions) >= {
        "forward", "contact", "classify", "answer", "plan", "assign", "accept", "decline", "depart", "arrive",
        "start", "wait", "resume", "solve", "rework", "send_result", "confirm", "close", "reopen", "chase",
        "escalate", "cancel", "set_due", "assess", "quote", "refer",
    }  # fmt: skip


# A way to a record on which the transition is allowed.
WAY = {
    "forward": [],
    "contact": ["forward"],
    "classify": ["contact"],
    "answer": [("classify", {"nature": "inquiry", "urgency": "normal"})],
    "plan": ["classify"],
    "assign": ["classify"],
    "accept": ["classify", "assign"],
    "decline": ["classify", "assign"],
    "depart": ["classify", "assign"],
    "arrive": ["classify", "assign", "depart"],
    "start": ["classify", "assign", "accept"],
    "wait": ["classify", "assign", "start"],
    "resume": ["classify", "assign", "start", "wait"],
    "solve": ["classify", "assign", "start"],
    "rework": ["classify", "assign", "start", "solve"],
    "send_result": ["classify", "assign", "start", "solve"],
    "confirm": ["classify", "assign", "start", "solve"],
    "close": ["classify", "assign", "start", "solve", "send_result", "confirm"],
    "reopen": ["cancel"],
    "chase": [],
    "escalate": [],
    "cancel": [],
    "set_due": [],
    "assess": [],
    "quote": [("classify", {"nature": "presale", "urgency": "normal"})],
    "refer": [],
}


@pytest.mark.parametrize("name", sorted(CASE_WORKFLOW.transitions))
def test_each_step_goes_through_where_asking_said_so_and_writes_its_fact(office, name):
    key = office.new_case()
    office.do(key, *WAY[name])
    before = shape(key)["record"]
    with office.at_desk() as work:
        answers = {a.transition.name: a for a in ask(work.scalars(select(Record)).one())}
    assert answers[name].allowed
    record = office.do(key, name)
    transition = CASE_WORKFLOW.transitions[name]
    assert shape(key)["facts"][-1][1] == transition.fact
    assert record.version > before["version"]
    assert record.category == CASE_WORKFLOW.states[record.state].category


@pytest.mark.parametrize("name", sorted(CASE_WORKFLOW.transitions))
def test_no_step_is_possible_from_a_wrong_state(office, name):
    wrong = "closed" if name != "reopen" else "registered"
    key = office.new_case()
    if wrong == "closed":
        office.do(key, "classify", "assign", "start", "solve", "send_result", "confirm", "close")
    error = refused(office, key, name)
    assert "state" in {r.code for r in error.refusals}


@pytest.mark.parametrize("name", sorted(CASE_WORKFLOW.transitions))
def test_no_step_without_its_permission(office, name):
    key = office.new_case()
    office.do(key, *WAY[name])
    before = shape(key)
    permission = CASE_WORKFLOW.transitions[name].permission
    outsider = make_user(office.unit)
    with in_scope(office.unit, ALL - {permission}, outsider), pytest.raises(NotAllowed) as found:
        perform(key, name, office.usual(name))
    assert found.value.permission == permission
    assert shape(key) == before and refusals(key) == []


def test_the_assignee_does_the_field_steps_without_any_permission(office):
    key = office.new_case()
    office.do(key, "classify", "assign")
    with office.on_the_road():
        for step in ("accept", "depart", "arrive", "wait", "resume", "solve", "send_result", "confirm"):
            assert CASE_WORKFLOW.transitions[step].assignee_may
            perform(key, step, office.usual(step))
        with pytest.raises(NotAllowed):
            perform(key, "close", {})


# --- the guards of D1 --------------------------------------------------------------------------


@pytest.mark.clause("R01-4.2")
@pytest.mark.parametrize("name", ["answer", "plan", "assign"])
def test_nature_and_urgency_come_first(office, name):
    assert clauses(refused(office, office.new_case(), name)) == {"R01-4.2"}


@pytest.mark.clause("R01-4.2")
@pytest.mark.parametrize("missing", ["nature", "urgency"])
def test_classifying_needs_both(office, missing):
    key = office.new_case()
    before = shape(key)
    with office.at_desk(), pytest.raises(InvalidData) as bad:
        perform(key, "classify", {**CLASSIFIED, missing: ""})
    assert list(bad.value.errors) == [missing]
    assert shape(key) == before


def test_only_an_inquiry_is_answered_directly(office):
    key = office.new_case()
    office.do(key, "classify")
    assert [one.code for one in refused(office, key, "answer").refusals] == ["not_inquiry"]


@pytest.mark.clause("R17-7.2.1")
def test_the_answer_is_kept(office):
    key = office.new_case(nature="inquiry", urgency="normal")
    with office.at_desk(), pytest.raises(InvalidData) as bad:
        perform(key, "answer", {"answer": ""})
    assert list(bad.value.errors) == ["answer"]
    office.do(key, "answer")
    assert shape(key)["case"]["answer"] == "每两年清洗一次即可"


@pytest.mark.clause("R17-7.2.2b")
def test_a_plan_is_written_down(office):
    key = office.new_case()
    office.do(key, "classify")
    with office.at_desk(), pytest.raises(InvalidData) as bad:
        perform(key, "plan", {"plan": " "})
    assert list(bad.value.errors) == ["plan"]


@pytest.mark.parametrize("name", ["plan", "assign", "set_due"])
def test_staff_set_until_when_and_the_timeline_keeps_it(office, name):
    # Nearer than anything a clause asks for.
    key, until = office.new_case(), clock.now().replace(microsecond=0) + timedelta(minutes=10)
    office.do(key, "classify")
    record = office.do(key, (name, {**office.usual(name), "due": until.isoformat()}))
    assert record.next_due_at == until
    assert datetime.fromisoformat(shape(key)["facts"][-1][4]["due"]) == until
    # Left empty later, what was promised stays.
    assert office.do(key, ("assign", {"assignee_id": office.technician.id})).next_due_at == until


@pytest.mark.parametrize("name", ["plan", "assign", "set_due"])
def test_nothing_is_due_in_the_past(office, name):
    key = office.new_case()
    office.do(key, "classify")
    before = shape(key)
    with office.at_desk(), pytest.raises(InvalidData) as bad:
        perform(key, name, {**office.usual(name), "due": (clock.now() - timedelta(hours=1)).isoformat()})
    assert list(bad.value.errors) == ["due"]
    assert shape(key) == before


def test_what_is_done_is_due_no_more(office):
    key = office.new_case()
    until = (clock.now() + timedelta(days=2)).isoformat()
    record = office.do(key, "classify", ("assign", {**office.usual("assign"), "due": until}), "start", "solve")
    assert record.next_due_at is None


@pytest.mark.clause("R01-4.3a")
def test_a_case_is_assigned_to_somebody_of_the_unit(office):
    key = office.new_case()
    office.do(key, "classify")
    stranger = make_user(make_unit("X"))
    error = refused(office, key, "assign", {"assignee_id": stranger.id})
    assert [r.code for r in error.refusals] == ["stranger"]
    with office.at_desk(), pytest.raises(InvalidData):
        perform(key, "assign", {})


@pytest.mark.clause("R34-4.3.2")
@pytest.mark.parametrize("missing", ["cause", "process", "parts_used", "test_result"])
def test_the_result_is_recorded_in_full(office, missing):
    key = office.new_case()
    office.do(key, "classify", "assign", "start")
    before = shape(key)
    with office.at_desk(), pytest.raises(InvalidData) as bad:
        perform(key, "solve", {**RESULT, missing: ""})
    assert list(bad.value.errors) == [missing]
    assert shape(key) == before


@pytest.mark.clause("R34-4.4.1")
def test_the_customer_rates_when_confirming(office):
    key = office.new_case()
    office.do(key, *WAY["confirm"])
    with office.at_desk(), pytest.raises(InvalidData) as bad:
        perform(key, "confirm", {"means": "phone"})
    assert list(bad.value.errors) == ["rating"]
    with office.at_desk(), pytest.raises(InvalidData):
        perform(key, "confirm", {"means": "phone", "rating": "6"})


@pytest.mark.clause("R03-3.5")
def test_silence_counts_only_after_the_days_of_the_unit(office):
    key = office.new_case()
    office.do(key, *WAY["confirm"])
    silent = {"means": "silence"}
    assert refused(office, key, "confirm", silent).refusals[0].code == "silence"  # nothing was sent yet
    start = clock.now()
    office.do(key, "send_result")
    with clock.frozen(start + timedelta(days=6, hours=23)):
        refused(office, key, "confirm", silent)
    with clock.frozen(start + timedelta(days=8)):
        assert office.do(key, ("confirm", silent)).state == "confirmed"
    assert shape(key)["case"]["rating"] is None


@pytest.mark.clause("R03-3.5")
def test_the_days_of_silence_are_a_setting(office):
    office.set("case.silence_days", 2)
    key = office.new_case()
    office.do(key, *WAY["confirm"], "send_result")
    with clock.frozen(clock.now() + timedelta(days=3)):
        assert office.do(key, ("confirm", {"means": "silence"})).state == "confirmed"


@pytest.mark.clause("R10-2.5")
@pytest.mark.parametrize(
    ("rule", "means", "passes"),
    [
        ("none", "phone", True),
        ("signature", "phone", False),
        ("signature", "signature", True),
        ("signature", "seal", True),
        ("seal", "signature", False),
        ("seal", "seal", True),
    ],
)
def test_what_the_customer_signs_is_the_unit_s_rule(office, rule, means, passes):
    office.set("case.signature_rule", rule)
    key = office.new_case()
    office.do(key, *WAY["confirm"])
    data = {"means": means, "rating": "4"}
    if passes:
        assert office.do(key, ("confirm", data)).state == "confirmed"
    else:
        assert clauses(refused(office, key, "confirm", data)) == {"R10-2.5"}


@pytest.mark.clause("R01-4.6")
def test_no_archive_before_the_result_was_sent(office):
    key = office.new_case()
    office.do(key, *WAY["confirm"], "confirm")
    assert clauses(refused(office, key, "close")) == {"R01-4.6"}
    assert office.do(key, "send_result", "close").state == "closed"


@pytest.mark.clause("R20-2.D")
def test_a_complaint_is_archived_only_with_its_cause(office):
    key = office.new_case(nature="complaint", urgency="normal")
    office.do(key, "assign", "start", "solve", "send_result", "confirm")
    with as_system() as work:
        work.scalars(select(Case).where(Case.id == key)).one().cause = ""
    assert clauses(refused(office, key, "close")) == {"R20-2.D"}


def test_all_reasons_are_told_at_once(office):
    key = office.new_case(nature="complaint", urgency="normal")
    office.do(key, "assign", "start", "solve", "confirm")
    with as_system() as work:
        work.scalars(select(Case).where(Case.id == key)).one().cause = ""
    assert clauses(refused(office, key, "close")) == {"R01-4.6", "R20-2.D"}


@pytest.mark.clause("R11-5.2")
def test_back_to_work_needs_a_reason_and_a_new_result(office):
    key = office.new_case()
    office.do(key, *WAY["confirm"], "send_result")
    with office.at_desk(), pytest.raises(InvalidData) as bad:
        perform(key, "rework", {"reason": ""})
    assert list(bad.value.errors) == ["reason"]
    assert office.do(key, "rework").state == "in_progress"
    office.do(key, "solve", "confirm")
    assert clauses(refused(office, key, "close")) == {"R01-4.6"}  # what was sent before no longer counts


# --- pausing, reopening, cancelling, escalating -------------------------------------------------


@pytest.mark.parametrize("steps", [["classify"], ["classify", "assign"], ["classify", "assign", "start"]])
def test_a_pause_returns_to_the_state_it_interrupted(office, steps):
    key = office.new_case()
    state = office.do(key, *steps).state
    paused = office.do(key, "wait")
    assert (paused.state, paused.category) == ("waiting", PAUSED)
    resumed = office.do(key, "resume")
    assert (resumed.state, resumed.category) == (state, OPEN)
    assert next(f for f in shape(key)["facts"] if f[1] == "resumed")[4]["state"] == state


def test_a_pause_needs_its_reason(office):
    key = office.new_case()
    with office.at_desk(), pytest.raises(InvalidData) as bad:
        perform(key, "wait", {"why": "parts"})
    assert list(bad.value.errors) == ["reason"]


def test_reopening_opens_and_needs_everything_anew(office):
    key = office.new_case()
    office.do(key, *WAY["close"], "close")
    record = office.do(key, "reopen")
    assert (record.state, record.category, record.closed_at) == ("classified", OPEN, None)
    office.do(key, "assign", "start", "solve", "confirm")
    assert clauses(refused(office, key, "close")) == {"R01-4.6"}


def test_a_cancelled_case_is_closed_but_kept(office):
    key = office.new_case()
    record = office.do(key, "cancel")
    assert (record.state, record.category) == ("cancelled", CANCELLED)
    assert record.closed_at is not None
    with office.at_desk(), pytest.raises(InvalidData):
        perform(office.new_case(), "cancel", {"reason": " "})


@pytest.mark.clause("R03-7.2")
def test_escalating_marks_the_case_and_moves_nothing(office):
    key = office.new_case()
    state = office.do(key, "contact").state
    record = office.do(key, "escalate")
    assert (record.state, record.escalated) == (state, "gm")
    with office.at_desk(), pytest.raises(InvalidData):
        perform(key, "escalate", {"level": "emperor", "reason": "x"})


# --- chasing and calls -------------------------------------------------------------------------


def test_chasing_counts_tells_the_assignee_and_moves_no_clock(office):
    key = office.new_case()
    office.do(key, "classify", "assign")
    before = shape(key)["record"]
    with office.at_desk():
        chase(key, "什么时候来", key="call-1")
        record = chase(key, "什么时候来", key="call-1")  # a double click
    assert (record.state, record.chase_count) == (before["state"], 1)
    assert (record.next_due_at, record.received_at) == (before["next_due_at"], before["received_at"])
    with office.on_the_road() as work:
        found = work.scalars(select(Notice).where(Notice.kind == "chased")).one()
    assert (found.user_id, found.text) == (office.technician.id, "什么时候来")


def test_a_call_attempt_is_evidence_but_no_contact(office):
    key = office.new_case()
    with office.at_desk():
        call_attempt(key, {"result": "no_answer", "reason": "响铃无人"}, timezone="Asia/Shanghai")
        record = session().scalars(select(Record)).one()
        assert record.state == "registered"
        assert kinds(key) == ["registered", "call_attempt"]
        with pytest.raises(InvalidData):
            call_attempt(key, {"result": ""}, timezone="Asia/Shanghai")


def test_a_caller_s_open_cases_come_first(office):
    old, new = office.new_case(), office.new_case(customer_name="别人", contact_phone="13112355344")
    done = office.new_case(contact_phone="13112355344")
    office.do(done, "cancel")
    office.new_case(contact_phone="13900000000")
    with office.at_desk():
        found = find_caller(office.unit.id, "+86 131-1235-5344")
        assert [r.id for r in found.open_cases] == [new, old]
        assert len(found.customers) == 3
        assert find_caller(office.unit.id, "131").customers == ()
    elsewhere = make_unit("X")
    with in_scope(elsewhere, ALL):
        assert list(find_caller(elsewhere.id, "13112355344").open_cases) == []


# --- late entries and editing ------------------------------------------------------------------


def test_a_step_entered_late_keeps_its_own_time(office):
    start = datetime(2026, 5, 10, 1, 0, tzinfo=UTC)
    with clock.frozen(start):
        key = office.new_case()
    later = start + timedelta(hours=30)
    with clock.frozen(later):
        office.do(key, ("contact", {"at": "2026-05-10 10:30", "reason": "昨日忘记录入"}))
    with office.at_desk() as work:
        fact = work.scalars(select(Fact).where(Fact.kind == "contacted")).one()
    assert (fact.at, fact.entered_at) == (start + timedelta(hours=1, minutes=30), later)


@pytest.mark.parametrize("when", ["2026-05-10 08:59", "2026-05-12 09:00"])
def test_times_before_receipt_or_in_the_future_are_refused(office, when):
    with clock.frozen(datetime(2026, 5, 10, 1, 0, tzinfo=UTC)):
        key = office.new_case()
    with clock.frozen(datetime(2026, 5, 11, 1, 0, tzinfo=UTC)), office.at_desk(), pytest.raises(InvalidData) as bad:
        perform(key, "contact", {"at": when})
    assert list(bad.value.errors) == ["at"]
    assert [f[1] for f in shape(key)["facts"]] == ["registered"]


def test_a_clock_a_little_ahead_counts_as_now(office):
    key = office.new_case()
    now = clock.now()
    with clock.frozen(now), office.at_desk():
        fact = record_fact(key, "arrived", at=now + timedelta(minutes=4))
    assert fact.at == now


def test_entering_the_past_needs_its_permission(office):
    with clock.frozen(clock.now() - timedelta(days=1)):
        key = office.new_case()
    with in_scope(office.unit, ALL - {"case.backdate"}, office.desk):
        with pytest.raises(InvalidData) as bad:
            record_fact(key, "arrived", at=clock.now() - timedelta(hours=3))
        assert list(bad.value.errors) == ["at"]
        record_fact(key, "arrived", at=clock.now() - timedelta(minutes=3))


def test_past_events_are_entered_without_a_change_of_state_in_any_order(office):
    with clock.frozen(clock.now() - timedelta(days=1)):
        key = office.new_case()
    now = clock.now()
    with office.at_desk():
        record_fact(key, "arrived", at=now - timedelta(hours=2))
        record_fact(key, "departed", at=now - timedelta(hours=5))
        with pytest.raises(NotFound):
            record_fact(key, "archived", at=now)  # only by its transition
    with office.at_desk() as work:
        assert work.scalars(select(Record)).one().state == "registered"
        by_time = work.scalars(select(Fact.kind).where(Fact.record_id == key).order_by(Fact.at)).all()
    assert by_time == ["registered", "departed", "arrived"]


def test_editing_says_which_fields_changed_never_their_values(office):
    key = office.new_case()
    with office.at_desk() as work:
        version = work.scalars(select(Record.version)).one()
        edit_case(key, {**INTAKE, "contact_phone": "13900001111", "serial_text": "sr20a-1"}, version=version)
    facts = shape(key)["facts"]
    assert facts[-1][1] == "edited" and set(facts[-1][4]["fields"]) == {"contact_phone", "serial_text"}
    assert "13900001111" not in str(facts)
    with office.at_desk():
        assert search.search(frozenset({office.unit.id}), "case", "13900001111")
        with pytest.raises(Conflict):
            edit_case(key, {**INTAKE, "contact_name": "别人"}, version=version)
    assert shape(key)["case"]["serial_text"] == "SR20A-1"


# --- scope -------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", ["abc", "1e9", "0", "-1", str(10**30), "' or 1=1", None, "２"])
def test_malformed_ids_are_not_found(office, raw):
    with office.at_desk(), pytest.raises(NotFound):
        perform(raw, "forward", {"position": "after_sales"})


def test_another_unit_s_case_does_not_exist(office):
    key = office.new_case()
    elsewhere = make_unit("X")
    before = shape(key)
    with in_scope(elsewhere, ALL, make_user(elsewhere)):
        for deed in (
            lambda: perform(key, "cancel", {"reason": "x"}),
            lambda: record_fact(key, "arrived"),
            lambda: edit_case(key, INTAKE),
        ):
            with pytest.raises(NotFound):
                deed()
        assert session().scalars(select(Record)).all() == []
    assert shape(key) == before and refusals(key) == []


def test_an_unknown_step_is_not_found(office):
    with office.at_desk(), pytest.raises(NotFound):
        perform(office.new_case(), "explode", {})


def test_asking_writes_nothing_and_says_why_not(office):
    key = office.new_case()
    before = shape(key)
    with office.at_desk() as work:
        record = work.scalars(select(Record).where(Record.id == key)).one()
        answers = {a.transition.name: a for a in ask(record)}
        assert not work.dirty and not work.new
        assert detail_of(record) is not None
    assert answers["forward"].allowed
    assert [r.clause for r in answers["plan"].refusals] == ["R01-4.2"]
    assert [r.code for r in answers["close"].refusals] == ["state", "result_not_sent"]
    assert shape(key) == before and refusals(key) == []


def test_a_refusal_inside_a_larger_action_undoes_all_of_it(office):
    key = office.new_case()
    before = shape(key)
    with office.at_desk(), pytest.raises(Refused), transaction():
        perform(key, "forward", {"position": "after_sales"})
        perform(key, "solve", RESULT)
    assert shape(key) == before
    assert refusals(key) == [("solve", "state", "")]


def test_erasing_a_customer_reaches_their_cases_and_aliases(office) -> None:
    """The contact's data leaves the cases and the search; numbers, states and what was done stay."""
    record_id = office.new_case(contact_name="赵小满", contact_phone="13512340987", address_text="文三路77号")
    other_id = office.new_case(customer_name="别家公司", contact_phone="13598760001")
    units = frozenset({office.unit.id})
    with office.at_desk() as work:
        customer = work.scalars(select(Customer).join(Record).where(Record.id == record_id)).one()
        with transaction():
            double = create_customer(office.unit.id, {"name": "赵小满二", "phones": "13512340988"})
            merge_customers(customer, double)
        assert search.search(units, "case", "13512340987")
        version = work.scalars(select(Record).where(Record.id == record_id)).one().version
        with transaction():
            erase_customer(customer, "客户要求")
        case = work.scalars(select(Case).where(Case.id == record_id)).one()
        assert (case.contact_name, case.contact_phone, case.contact_digits, case.address_text) == ("", "", "", "")
        assert work.scalars(select(Record).where(Record.id == record_id)).one().version > version
        assert not search.search(units, "case", "13512340987")
        alias = work.scalars(select(Customer).where(Customer.merged_into_id == customer.id)).one()
        assert alias.name == customer.name != "赵小满二"
        other = work.scalars(select(Case).where(Case.id == other_id)).one()
        assert other.contact_phone == "13598760001"
