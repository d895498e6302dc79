"""The core's clauses on cases that are no deadlines: conditions, required fields, routing, what is on record."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from core.cases.models import Case
from core.cases.services import edit_case, intake_fields, register_case
from core.customers.models import Customer
from core.customers.services import create_customer, update_customer
from core.kernel import clock, search
from core.kernel.database import session, transaction
from core.kernel.errors import InvalidData, NotAllowed, Refused
from core.records.engine import ask, detail_of, perform
from core.records.models import Fact, Notice, Record
from core.rules import gates
from core.rules.kinds import GateRule
from core.rules.registry import Registry
from core.users.authority import posts_of
from tests.casework import INTAKE, SOLVED, make_office, reading, refusals
from tests.helpers import as_system, current, login, make_user

MONDAY = datetime(2026, 11, 16, 2, tzinfo=UTC)  # 10:00 in Shanghai
FAMILY = ("R17", "R18", "R19")
REPAIR = {"nature": "repair", "urgency": "normal"}
INQUIRY = {"nature": "inquiry", "urgency": "normal"}
PRESALE = {"nature": "presale", "urgency": "normal"}
ALL_OFF = ("R34-4.1.3", "R27-2.2.1", "R01-4.1", "R03-3.2", "R31-3.2")


@pytest.fixture
def office(app):
    return make_office()


def refused(office, key: int, step: str, data: dict[str, Any] | None = None, by: Any = None) -> dict[str, str]:
    """Try a step in vain; return the codes by clause of what stands against it."""
    desk = office.acting(by) if by else office.at_desk()
    with desk, pytest.raises(Refused) as found:
        perform(key, step, office.usual(step) if data is None else data)
    return {one.clause: one.code for one in found.value.refusals}


def missing(call: Any) -> dict[str, str]:
    """Return field -> message of what a form lacks."""
    with pytest.raises(InvalidData) as found:
        call()
    return {name: " ".join(map(str, texts)) for name, texts in found.value.errors.items()}


def case_of(key: int) -> Case:
    with reading() as work:
        return work.scalars(select(Case).where(Case.id == key)).one()


def record_of(key: int) -> Record:
    with reading() as work:
        return work.scalars(select(Record).where(Record.id == key)).one()


def fact_of(key: int, kind: str) -> Fact:
    with reading() as work:
        rows = work.scalars(select(Fact).where(Fact.record_id == key, Fact.kind == kind).order_by(Fact.seq))
        return list(rows)[-1]


def told(user: Any) -> list[int]:
    with reading() as work:
        return list(work.scalars(select(Notice.record_id).where(Notice.user_id == user.id)))


# --- what the form that registers a case wants -------------------------------------------------


def wanted(office, lacking: str, **values: Any) -> str:
    """Register without one field; return the message beside it."""
    with office.at_desk():
        found = missing(lambda: register_case(office.unit.id, {**INTAKE, **values, lacking: " "}))
    assert set(found) == {lacking}
    with reading() as work:
        assert work.scalars(select(Record.id)).all() == []
    return found[lacking]


@pytest.mark.clause("R34-4.1.3", "R27-2.2.1", "R01-4.1", "R03-3.2", "R20-1.A", "R31-3.2")
@pytest.mark.parametrize(
    ("clause", "fields"),
    [
        ("R34-4.1.3", ("contact_phone", "description", "product_text")),
        ("R27-2.2.1", ("contact_phone", "description", "product_text")),
        ("R01-4.1", ("channel", "contact_phone", "description")),
        ("R03-3.2", ("contact_phone", "description")),
        ("R20-1.A", ("channel", "description")),
        ("R31-3.2", ("description",)),
    ],
)
def test_a_clause_names_the_fields_it_wants_at_registration(office, clause, fields):
    office.clause(*(one for one in ALL_OFF if one != clause), on=False)
    office.clause(clause)
    for one in fields:
        assert clause in wanted(office, one)


@pytest.mark.clause("R34-4.1.3", "R27-2.2.1")
def test_talk_needs_no_product_and_without_the_clauses_nothing_does(office):
    assert office.new_case(nature="inquiry", product_text="")
    office.clause("R34-4.1.3", "R27-2.2.1", on=False)
    assert office.new_case(nature="repair", product_text="")


SEVEN = {"purchase_date": "2025-01-10", "fault_cause": "打雷之后"}


@pytest.mark.clause("R15-6")
def test_a_repair_request_notes_seven_items(office):
    office.clause("R15-6")
    for one in ("contact_name", "address_text", "product_text", "purchase_date", "fault_cause"):
        office_case = {**SEVEN, "nature": "repair"}
        message = wanted(office, one, **office_case)
        assert "R15-6" in message or one == "product_text"
    case = case_of(office.new_case(**SEVEN, nature="repair"))
    assert (case.purchase_date, case.fault_cause) == (date(2025, 1, 10), "打雷之后")
    assert office.new_case(nature="inquiry")
    with office.at_desk():
        marked = {one.name for one in intake_fields(office.unit.id) if one.options.get("needed")}
    assert {"contact_name", "address_text", "purchase_date", "fault_cause"} <= marked


@pytest.mark.clause("R15-6")
def test_what_a_clause_wants_cannot_be_emptied_later(office):
    office.clause("R15-6")
    key = office.new_case(**SEVEN, nature="repair")
    given = {**INTAKE, **SEVEN}
    with office.at_desk():
        assert set(missing(lambda: edit_case(key, {**given, "fault_cause": ""}))) == {"fault_cause"}
        edit_case(key, {**given, "fault_cause": "受潮"})
    assert case_of(key).fault_cause == "受潮"


@pytest.mark.clause("R25-2.3.A1", "R25-2.3.B1")
@pytest.mark.parametrize(
    ("clause", "position"), [("R25-2.3.A1", "sales"), ("R25-2.3.B1", "after_sales")], ids=["shop", "direct"]
)
def test_shop_and_after_sales_note_six_items(office, clause, position):
    office.clause(clause)
    with office.acting(office.staff(position)):
        found = missing(lambda: register_case(office.unit.id, {**INTAKE, "address_text": "", "contact_name": ""}))
        assert set(found) == {"address_text", "contact_name"} and clause in found["address_text"]
        assert register_case(office.unit.id, INTAKE).id
    with office.acting(office.staff("reception")):
        assert register_case(office.unit.id, {**INTAKE, "address_text": "", "contact_name": ""}).id


@pytest.mark.clause("R34-4.1.2", "R09-5.2.6b")
def test_every_case_has_a_number_and_a_customer_on_file(office):
    one, other = record_of(office.new_case()), record_of(office.new_case(contact_phone="13112355345"))
    assert one.number and one.number != other.number and one.customer_id and other.customer_id


@pytest.mark.clause("R09-5.2.6b", "R31-3.2")
def test_the_ledger_lists_requests_and_results(office):
    key = office.new_case()
    office.do(key, "classify", "assign", "start", "solve")
    client = login(current().test_client(), office.desk)
    ledger = client.get("/admin/cases/?state=").get_data(as_text=True)
    assert record_of(key).number in ledger
    assert SOLVED["process"] in client.get(f"/admin/record/{key}").get_data(as_text=True)


@pytest.mark.clause("R31-5.2", "R04-2.4a")
def test_a_customer_file_holds_a_plan_of_service(office):
    with office.at_desk():
        customer = create_customer(office.unit.id, {"name": "张三", "phone": "13912345678"})
        update_customer(customer, {"service_plan": "每季度巡检"})
        key = customer.id
        session().commit()
    page = login(current().test_client(), office.desk).get(f"/admin/customers/details/?id={key}")
    assert "每季度巡检" in page.get_data(as_text=True)


# --- what steps put on record ------------------------------------------------------------------


@pytest.mark.clause("R03-3.3", "R27-2.3.1", "R31-3.2", "R29-2.2b")
@pytest.mark.parametrize("field", ["cause", "process"])
def test_diagnosis_and_repair_are_noted(office, field):
    key = office.new_case()
    office.do(key, "classify", "assign", "start")
    with office.at_desk():
        assert field in missing(lambda: perform(key, "solve", {**SOLVED, field: ""}))
        with pytest.raises(InvalidData):
            gates.require_fields("case.solve", office.unit.id, {**SOLVED, field: None})


@pytest.mark.clause("R29-2.2b")
def test_what_is_assigned_is_somebodys_job(office):
    key = office.new_case()
    office.do(key, "classify")
    with office.at_desk():
        assert set(missing(lambda: perform(key, "assign", {"assignee_id": ""}))) == {"assignee_id"}
        perform(key, "assign", {"assignee_id": office.technician.id})
    assert record_of(key).assignee_id == office.technician.id and told(office.technician) == [key]


@pytest.mark.clause("R04-2.3b", "R22-1.2")
def test_advice_on_use_is_kept(office):
    office.clause("R22-1.2")
    key = office.new_case(**INQUIRY)
    with office.at_desk():
        assert "answer" in missing(lambda: perform(key, "answer", {"answer": ""}))
        perform(key, "answer", {"answer": "每两年清洗一次"})
    assert case_of(key).answer == "每两年清洗一次"
    with office.at_desk(), pytest.raises(InvalidData) as found:
        gates.require_fields("case.answer", office.unit.id, {})
    assert "R04-2.3b" in str(found.value.errors["answer"][0])


@pytest.mark.clause("R28-3.4")
def test_the_duration_of_a_service_is_worked_out(office):
    with clock.frozen(MONDAY):
        key = office.new_case()
        office.do(key, "classify", "assign")
    with clock.frozen(MONDAY + timedelta(hours=1)):
        office.do(key, "start")
    with clock.frozen(MONDAY + timedelta(hours=3, minutes=20)):
        office.do(key, "solve")
    assert case_of(key).service_minutes == 140


@pytest.mark.clause("R01-4.7")
@pytest.mark.parametrize("lacking", ["process", "test_result"])
def test_only_a_complete_case_is_archived_and_found_again(office, lacking):
    key = office.new_case()
    office.do(key, "classify", "assign", "start", "solve", "send_result", "confirm")
    with as_system() as work:
        case = work.get(Case, key)
        kept = getattr(case, lacking)
        setattr(case, lacking, "")
    assert refused(office, key, "close") == {"R01-4.7": "incomplete"}
    assert refusals(key)[-1] == ("close", "incomplete", "R01-4.7")
    with as_system() as work:
        setattr(work.get(Case, key), lacking, kept)
    assert office.do(key, "close").state == "closed"
    with office.at_desk():
        assert [hit.entity_id for hit in search.search(frozenset({office.unit.id}), "case", "点火", 5)] == [key]


@pytest.mark.clause("R04-2.4a")
def test_a_contact_entered_another_day_says_why(office):
    with clock.frozen(MONDAY):
        key = office.new_case()
    late = {"at": (MONDAY + timedelta(hours=1)).isoformat()}
    with clock.frozen(MONDAY + timedelta(hours=20)):
        assert refused(office, key, "contact", late) == {"R04-2.4a": "entered_late"}
        office.do(key, ("contact", {**late, "reason": "外出无网络"}))
    assert fact_of(key, "contacted").at == MONDAY + timedelta(hours=1)


# --- conditions --------------------------------------------------------------------------------


@pytest.mark.clause("R01-4.6")
def test_no_archive_before_the_customer_knows_the_result(office):
    key = office.new_case()
    office.do(key, "classify", "assign", "start", "solve", "confirm")
    assert refused(office, key, "close") == {"R01-4.6": "result_not_sent"}


@pytest.mark.clause("R27-2.3.2")
def test_a_repair_begins_when_the_customer_has_agreed(office):
    key = office.new_case()
    office.do(key, "classify", "assign")
    assert refused(office, key, "start", {"plan": "更换点火针"}) == {"R27-2.3.2": "not_agreed"}
    assert refusals(key) == [("start", "not_agreed", "R27-2.3.2")]
    office.do(key, "arrive")
    assert refused(office, key, "solve", {**SOLVED, "agreed": ""}) == {"R27-2.3.2": "not_agreed"}
    with clock.frozen(clock.now() + timedelta(minutes=1)):
        office.do(key, "solve")
        assert case_of(key).agreed_at == clock.now()


@pytest.mark.clause("R27-2.3.2")
def test_an_agreement_noted_with_the_plan_counts(office):
    key = office.new_case()
    office.do(key, "classify", ("plan", {"plan": "更换点火针", "agreed": "1"}), "assign", ("start", {}))
    assert fact_of(key, "planned").data["agreed"] is True
    assert office.do(key, ("solve", {**SOLVED, "agreed": "", "plan": ""})).state == "solved"


@pytest.mark.clause("R27-2.3.2", "R31-3.1")
def test_without_the_clauses_work_starts_at_one_touch(office):
    office.clause("R27-2.3.2", "R31-3.1", on=False)
    key = office.new_case()
    office.do(key, "classify", "assign", ("start", {}))
    assert office.do(key, ("solve", {**SOLVED, "agreed": "", "plan": ""})).state == "solved"
    assert case_of(key).plan == ""


@pytest.mark.clause("R31-3.1")
def test_no_completion_without_a_solution(office):
    office.clause("R27-2.3.2", on=False)
    key = office.new_case()
    office.do(key, "classify", "assign", ("start", {}))
    assert refused(office, key, "solve", {**SOLVED, "plan": ""}) == {"R31-3.1": "stage"}
    assert office.do(key, "solve").state == "solved"
    assert case_of(key).plan == SOLVED["plan"]


@pytest.mark.clause("R28-3.1")
def test_a_step_has_an_owner_and_a_time(office):
    office.clause("R01-4.4", on=False)
    key = office.new_case()
    office.do(key, "classify")
    assert refused(office, key, "assign") == {"R28-3.1": "no_time"}
    due = (clock.now() + timedelta(days=1)).isoformat()
    assert office.do(key, ("assign", {**office.usual("assign"), "due": due})).state == "assigned"


@pytest.mark.clause("R03-7.3")
@pytest.mark.parametrize("step", ["plan", "start", "solve"])
def test_nobody_works_on_somebody_elses_case(office, step):
    key = office.new_case()
    office.do(key, "classify", *(["assign"] if step != "plan" else []), *(["start"] if step == "solve" else []))
    colleague = office.staff("field_staff")
    assert refused(office, key, step, by=colleague)["R03-7.3"] == "authority"
    with office.acting(colleague):
        told_before = {one.transition.name: one.refusals for one in ask(session().get(Record, key))}
    assert "R03-7.3" in {one.clause for one in told_before[step]}
    if step != "plan":
        with office.on_the_road():
            perform(key, step, office.usual(step))


@pytest.mark.clause("R17-7.1.2a", "R18-7.1.2a", "R19-7.1.2a", "R17-7.1.2b", "R18-7.1.2b", "R19-7.1.2b")
@pytest.mark.parametrize("regulation", FAMILY)
def test_only_development_takes_on_quality_problems_beside_the_owner(office, regulation):
    office.clause(f"{regulation}-7.1.2a", f"{regulation}-7.1.2b")
    office.clause("R03-7.3", on=False)
    key = office.new_case(**REPAIR)
    assert f"{regulation}-7.1.2a" in refused(office, key, "plan", by=office.staff("production"))
    with office.acting(office.staff("development")):
        perform(key, "plan", office.usual("plan"))
    assert record_of(key).state == "planned"


@pytest.mark.clause("R17-7.1.2b", "R18-7.1.2b", "R19-7.1.2b")
@pytest.mark.parametrize("regulation", FAMILY)
def test_what_development_solves_is_passed_to_the_owner(office, regulation):
    office.clause(f"{regulation}-7.1.2b")
    owner, developer = office.staff("after_sales"), office.staff("development")
    key = office.new_case(**REPAIR)
    office.do(key, ("assign", {"assignee_id": developer.id}), "start")
    with office.acting(developer):
        perform(key, "solve", SOLVED)
    assert told(owner) == [key]
    assert fact_of(key, "solved").data["clauses"] == [f"{regulation}-7.1.2b"]


# --- routing -----------------------------------------------------------------------------------


@pytest.mark.clause(
    "R01-2.1", "R01-2.2", "R03-2.1", "R03-2.2", "R09-4.1", "R13-3.2", "R17-3.1", "R18-3.1", "R19-3.1"
)
@pytest.mark.parametrize(
    ("clause", "nature", "position"),
    [
        ("R01-2.1", "repair", "after_sales"),
        ("R01-2.1", "replacement", "after_sales"),
        ("R03-2.1", "return", "after_sales"),
        ("R01-2.2", "inquiry", "reception"),
        ("R03-2.2", "inquiry", "reception"),
        ("R09-4.1", "inquiry", "after_sales"),
        ("R13-3.2", "inquiry", "after_sales"),
        ("R17-3.1", "inquiry", "after_sales"),
        ("R18-3.1", "inquiry", "after_sales"),
        ("R19-3.1", "inquiry", "after_sales"),
    ],
)
def test_a_new_case_goes_to_its_owner_by_clause(office, clause, nature, position):
    office.clause("R01-2.1", "R01-2.2", "R03-2.1", "R03-2.2", on=False)
    assert record_of(office.new_case(nature=nature)).owner_position == ""
    office.clause_settings_gone()
    office.clause(*({"R01-2.1", "R01-2.2", "R03-2.1", "R03-2.2"} - {clause}), on=False)
    office.clause(clause)
    key = office.new_case(nature=nature, contact_phone="13112355399")
    assert record_of(key).owner_position == position
    assert fact_of(key, "registered").data["clauses"] == [clause]


@pytest.mark.clause("R01-4.3a", "R01-4.3b")
@pytest.mark.parametrize(
    ("clause", "nature", "position"), [("R01-4.3a", "repair", "field_staff"), ("R01-4.3b", "inquiry", "reception")]
)
def test_classifying_parts_technical_from_general(office, clause, nature, position):
    key = office.new_case()
    assert record_of(key).owner_position == ""
    office.do(key, ("classify", {"nature": nature, "urgency": "normal"}))
    assert record_of(key).owner_position == position
    assert fact_of(key, "classified").data["clauses"] == [clause]


@pytest.mark.clause("R01-4.3a")
def test_a_position_somebody_chose_stays(office):
    key = office.new_case()
    office.do(key, ("forward", {"position": "quality_dept"}), "classify")
    assert record_of(key).owner_position == "quality_dept"


@pytest.mark.clause("R17-3.1")
def test_the_forward_form_offers_the_owner(office):
    office.clause("R17-3.1")
    key = office.new_case()
    page = login(current().test_client(), office.desk).get(f"/admin/record/{key}/do/forward").get_data(as_text=True)
    assert '<option selected value="after_sales">' in page


@pytest.mark.clause("R13-6.1", "R17-6.1", "R18-6.1", "R19-6.1")
@pytest.mark.parametrize("regulation", ["R13", *FAMILY])
def test_product_classes_are_served_in_their_order(office, regulation):
    office.clause(f"{regulation}-6.1")
    cases = [office.new_case(product_class=f"4.{n}", contact_phone=f"1311235530{n}") for n in (1, 2, 3, 4)]
    assert [record_of(one).priority for one in cases] == [1, 2, 3, 4]
    key = office.new_case()
    office.do(key, ("classify", {**REPAIR, "product_class": "4.2"}))
    assert record_of(key).priority == 2


@pytest.mark.clause("R13-7.1.1", "R17-7.1.1", "R18-7.1.1", "R19-7.1.1")
@pytest.mark.parametrize("regulation", ["R13", *FAMILY])
def test_any_employee_may_answer_an_inquiry_and_the_owner_hears_of_it(office, regulation):
    worker, owner = office.staff("warehouse"), office.staff("after_sales")
    key, repair = office.new_case(**INQUIRY), office.new_case(**REPAIR, contact_phone="13112355350")
    answer = {"answer": "按说明书第三页操作"}
    with office.acting(worker), pytest.raises(NotAllowed):
        perform(key, "answer", answer)
    office.clause(f"{regulation}-7.1.1")
    with office.acting(worker), pytest.raises(NotAllowed):
        perform(repair, "answer", answer)
    with office.acting(worker):
        perform(key, "answer", answer)
    assert (case_of(key).answer, told(owner)) == (answer["answer"], [key])


@pytest.mark.clause("R17-7.1.2a", "R18-7.1.2a", "R19-7.1.2a")
@pytest.mark.parametrize("regulation", FAMILY)
def test_a_quality_problem_that_others_take_in_is_told_to_the_owner(office, regulation):
    office.clause(f"{regulation}-7.1.2a")
    owner, clerk = office.staff("after_sales"), office.staff("sales")
    with office.acting(clerk):
        key = register_case(office.unit.id, {**INTAKE, **REPAIR}).id
        register_case(office.unit.id, {**INTAKE, **INQUIRY})
    with office.acting(owner):
        register_case(office.unit.id, {**INTAKE, **REPAIR})
    assert told(owner) == [key]


@pytest.mark.clause("R03-7.2", "R17-3.4", "R18-3.4", "R19-3.4")
def test_what_is_escalated_reaches_the_superior_and_sales(office):
    gm, leader, sales = (office.staff(one) for one in ("gm", "service_leader", "sales"))
    key = office.new_case()
    office.do(key, ("escalate", {"level": "superior", "reason": "解决不了"}))
    assert (told(leader), told(gm), told(sales)) == ([key], [], [])
    for regulation in FAMILY:
        office.clause(f"{regulation}-3.4")
        office.do(key, "escalate")
        assert fact_of(key, "escalated").data["clauses"] == [f"{regulation}-3.4", "R03-7.2"]
        assert told(sales)[-1] == key
        office.clause_settings_gone()
    assert told(gm) == [key] * 3 and len(told(sales)) == 3


@pytest.mark.clause("R24-4.9")
def test_unsure_questions_are_referred(office):
    office.clause("R24-4.9")
    specialist = office.staff("technical_office")
    key = office.new_case(**INQUIRY)
    assert refused(office, key, "answer") == {"R24-4.9": "unsure"}
    client = login(current().test_client(), office.desk)
    assert '<option selected value="technical_office">' in client.get(f"/admin/record/{key}/do/refer").get_data(
        True
    )
    office.do(key, "refer")
    assert record_of(key).owner_position == "technical_office" and told(specialist) == [key]
    assert office.do(key, ("answer", {"answer": "可以承重200公斤", "sure": "1"})).state == "answered"


# --- before the sale ---------------------------------------------------------------------------

FIVE = ["adviser", "drawings", "tailored", "site", "materials"]


@pytest.mark.clause("R04-2.1a", "R04-4.1a", "R04-2.1c")
def test_a_need_becomes_a_proposal_a_quotation_and_an_answer(office):
    key = office.new_case(**PRESALE, product_text="")
    assert refused(office, key, "answer") == {"R04-2.1a": "no_proposal"}
    with office.at_desk():
        assert "plan" in missing(lambda: perform(key, "plan", {"plan": ""}))
        assert "quotation" in missing(lambda: perform(key, "quote", {"quotation": ""}))
    office.do(key, "plan", "quote", "answer")
    case = case_of(key)
    assert (case.plan, case.quotation, case.contract) == ("上门更换", "BJ-2026-001", "HT-2026-001")
    assert [fact_of(key, kind).kind for kind in ("planned", "quoted", "answered")]


@pytest.mark.clause("R04-4.1a", "R04-2.1a", "R04-2.1c")
def test_the_clauses_name_need_proposal_and_quotation(office):
    with office.at_desk():
        wants = [
            gates.wanted_fields(step, office.unit.id, PRESALE)
            for step in ("case.register", "case.plan", "case.quote")
        ]
    assert wants[1:] == [{"plan": "R04-4.1a"}, {"quotation": "R04-2.1c"}] and "description" in wants[0]


@pytest.mark.clause("R23-1")
def test_five_services_before_the_sale_are_ticked(office):
    office.clause("R23-1")
    key = office.new_case(**PRESALE)
    plan = {"plan": "十六路监控", "presale_items": FIVE[:4]}
    assert refused(office, key, "plan", plan) == {"R23-1": "checklist"}
    office.do(key, ("plan", {**plan, "presale_items": FIVE}))
    assert fact_of(key, "planned").data["presale_items"] == FIVE
    other = office.new_case(**REPAIR, contact_phone="13112355360")
    assert office.do(other, "plan").state == "planned"


@pytest.mark.clause("R23-1")
def test_a_unit_may_want_fewer_of_them(office):
    office.clause("R23-1", items=3)
    key = office.new_case(**PRESALE)
    assert refused(office, key, "plan", {"plan": "方案", "presale_items": FIVE[:2]}) == {"R23-1": "checklist"}
    assert office.do(key, ("plan", {"plan": "方案", "presale_items": FIVE[:3]})).state == "planned"


# --- authority, and asking from a service ------------------------------------------------------


@pytest.mark.clause("R28-4.1")
def test_the_table_of_authority_names_posts_people_and_limits(office):
    make_user(office.unit, position=_position("dispatcher"), name="调度甲")
    with office.at_desk():
        posts = {one.code: one for one in posts_of(office.unit.id)}
    assert list(posts["dispatcher"].holders) == ["调度甲"]
    assert any("Assign cases" in labels for _, labels in posts["dispatcher"].authority)
    page = login(current().test_client(), office.desk).get("/admin/authority/")
    assert page.status_code == 200 and "调度甲" in page.get_data(as_text=True)


def _position(code: str) -> Any:
    from core.users.models import Position

    with as_system() as work:
        return work.scalars(select(Position).where(Position.code == code)).one()


def test_a_service_asks_the_clauses_and_keeps_what_they_said(office, monkeypatch):
    def asks(clause: str, name: str) -> GateRule:
        return GateRule(
            clause=clause, step="case.visit", check=lambda given, _: None if given.get(name) else f"no {name}"
        )

    rules = (asks("R28-3.1", "when"), asks("R31-3.1", "who"), asks("R24-4.9", "sure"))  # the last is off here
    monkeypatch.setattr(gates, "current_rules", lambda: Registry(rules))
    key = office.new_case()
    with office.at_desk() as work, pytest.raises(Refused) as found, transaction():
        gates.require_clause("case.visit", office.unit.id, {}, work.get(Record, key))
    assert [one.clause for one in found.value.refusals] == ["R28-3.1", "R31-3.1"]
    assert refusals(key) == [("case.visit", "clause", "R28-3.1"), ("case.visit", "clause", "R31-3.1")]
    with office.at_desk():
        gates.require_clause("case.visit", office.unit.id, {"when": "now", "who": "me"})


def test_history_is_taken_over_whatever_the_form_wants(office):
    """What a past log lacks is nobody's fault: see test_history for the rest."""
    office.clause("R15-6", "R25-2.3.B1")
    from core.cases import history
    from tests.test_history import line

    row = history.read_row(line(customer=""), timezone="Asia/Shanghai")
    with office.at_desk():
        assert history.take_over(office.unit.id, [row]).created == 1
    with reading() as work:
        assert detail_of(work.scalars(select(Record)).one()).product_text == ""
        assert work.scalars(select(Customer)).all() == []
