"""Recurring tasks: handed to whoever holds the position, done with a result, kept or late like any other clause."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select

from core.kernel import clock
from core.kernel.database import session, system_scope
from core.kernel.errors import InvalidData, NotAllowed, Refused
from core.records.engine import detail_of, perform
from core.records.models import Fact, Notice, Record
from core.rules import obligations, schedules
from core.rules.obligation_models import LATE, MET, OPEN, VOID, Obligation
from core.tasks.models import Task
from core.users.models import Position, User
from tests.casework import ALL, make_office, reading
from tests.helpers import as_system, current, login, make_unit, make_user

STATISTICS = "R28-4.5"
START = datetime(2026, 10, 31, 16, tzinfo=UTC)  # the first of November, 00:00 in Shanghai
END = datetime(2026, 11, 30, 15, 59, 59, tzinfo=UTC)
RESULT = {"result": "本月受理214单，二组缺一人，建议增补"}


@pytest.fixture
def office(app):
    return make_office()


def holder_of(office, code: str) -> User:
    with as_system() as work:
        position = work.scalars(select(Position).where(Position.code == code)).one()
    return make_user(office.unit, position=position, name="主管")


def make_tasks(office, moment: datetime = START) -> int:
    """Create what is due and return the id of the monthly statistics' task."""
    with clock.frozen(moment), current().app_context(), system_scope("test"):
        schedules.create_due(office.unit.id)
    with reading() as work:
        return work.scalars(
            select(Task.id).where(Task.clause == STATISTICS).order_by(Task.starts_on.desc())
        ).first()


def obligation(key: int) -> Obligation:
    with reading() as work:
        return work.scalars(select(Obligation).where(Obligation.record_id == key)).one()


def task(key: int) -> tuple[Record, Task]:
    with reading() as work:
        record = work.scalars(select(Record).where(Record.id == key)).one()
        return record, detail_of(record)


# --- made --------------------------------------------------------------------------------------------


@pytest.mark.clause("R28-4.5")
def test_a_task_belongs_to_whoever_holds_the_position(office):
    leader = holder_of(office, "service_leader")
    key = make_tasks(office, START + timedelta(days=3))
    record, detail = task(key)
    assert record.number.startswith("RW-")
    assert (record.title, record.state, record.assignee_id) == ("统计分析 · 2026-11", "open", leader.id)
    assert (record.received_at, record.owner_position, record.next_due_at) == (START, "service_leader", END)
    assert (detail.starts_on, detail.due_on) == (date(2026, 11, 1), date(2026, 11, 30))
    with reading() as work:
        told = work.execute(select(Notice.user_id, Notice.kind).where(Notice.record_id == key)).all()
    assert [tuple(one) for one in told] == [(leader.id, "assigned")]


def test_the_time_limit_is_the_same_whenever_the_job_runs(office):
    key = make_tasks(office, START + timedelta(days=12))
    found = obligation(key)
    assert (found.clause, found.state, found.start_at, found.due_at) == (STATISTICS, OPEN, START, END)


def test_only_its_own_clause_gives_a_task_a_time_limit(office):
    make_tasks(office)
    with reading() as work:
        rows = work.execute(
            select(Task.clause, Obligation.clause).join(Obligation, Obligation.record_id == Task.id)
        )
        pairs = [tuple(row) for row in rows]
    assert len(pairs) == 4 and all(one == other for one, other in pairs)


def test_a_title_speaks_the_units_language(app):
    office = make_office()
    with as_system() as work:
        work.merge(office.unit).locale = "en"
    key = make_tasks(office)
    assert task(key)[0].title == "Statistics and analysis · 2026-11"


# --- done --------------------------------------------------------------------------------------------


def test_done_in_time_is_kept_and_the_last_second_counts(office):
    leader = holder_of(office, "service_leader")
    key = make_tasks(office)
    with clock.frozen(END), office.at_desk():
        perform(key, "finish", RESULT)
    found = obligation(key)
    assert (found.state, found.late_days, found.responsible_id) == (MET, 0, leader.id)
    record, detail = task(key)
    assert (record.state, record.next_due_at, detail.result) == ("done", None, RESULT["result"])


def test_done_after_its_period_is_late(office):
    key = make_tasks(office)
    with clock.frozen(END + timedelta(days=2)), office.at_desk():
        perform(key, "finish", RESULT)
    found = obligation(key)
    assert (found.state, found.late_days) == (LATE, 2)


def test_what_was_done_earlier_counts_from_then(office):
    key = make_tasks(office)
    with clock.frozen(END + timedelta(days=2)), office.at_desk():
        perform(key, "finish", {**RESULT, "at": "2026-11-30T18:00"})
    assert obligation(key).state == MET


def test_a_task_cancelled_in_time_owes_nothing(office):
    key = make_tasks(office)
    with clock.frozen(START + timedelta(days=5)), office.at_desk():
        with pytest.raises(InvalidData):
            perform(key, "cancel", {})
        perform(key, "cancel", {"reason": "本月停业装修"})
    assert task(key)[0].state == "cancelled"
    assert obligation(key).state == VOID


def test_a_task_is_done_with_a_result_and_once(office):
    key = make_tasks(office)
    with clock.frozen(START + timedelta(days=5)), office.at_desk():
        with pytest.raises(InvalidData) as bad:
            perform(key, "finish", {"result": " "})
        assert list(bad.value.errors) == ["result"]
        perform(key, "finish", RESULT)
        with pytest.raises(Refused):
            perform(key, "finish", RESULT)


def test_the_assignee_may_do_it_and_nobody_else_without_permission(office):
    leader = holder_of(office, "service_leader")
    key = make_tasks(office)
    with clock.frozen(START + timedelta(days=5)):
        with office.on_the_road("case.view"), pytest.raises(NotAllowed):
            perform(key, "finish", RESULT)
        with office.at_desk():
            perform(key, "assign", {"assignee_id": office.technician.id})
        with office.on_the_road("case.view"):
            perform(key, "finish", RESULT)
    found = obligation(key)
    assert found.responsible_id == office.technician.id != leader.id


def test_a_stranger_is_given_no_task(office):
    key = make_tasks(office)
    stranger = make_user(make_unit(), ALL)
    with clock.frozen(START + timedelta(days=5)), office.at_desk(), pytest.raises(Refused):
        perform(key, "assign", {"assignee_id": stranger.id})


def test_working_everything_out_again_changes_nothing(office):
    key = make_tasks(office)
    with clock.frozen(END + timedelta(days=2)), office.at_desk():
        perform(key, "finish", RESULT)
    with current().app_context(), system_scope("test"):
        assert obligations.recompute() == 0
        assert session().scalars(select(Fact.kind).where(Fact.record_id == key)).all()


# --- screens -----------------------------------------------------------------------------------------


def test_the_list_and_the_page_of_a_task(office, client):
    key = make_tasks(office)
    login(client, office.desk)
    with clock.frozen(START + timedelta(days=5)):
        page = client.get("/admin/tasks/").get_data(as_text=True)
        assert page.count("RW-") == 4 and STATISTICS in page and "2026-11" in page
        assert client.get("/admin/tasks/count/?f_clause=" + STATISTICS).get_json()["count"] == "1"
        page = client.get(f"/admin/record/{key}").get_data(as_text=True)
        assert "/admin/reports/?span=month&amp;day=2026-11-01" in page
        assert f"/admin/record/{key}/call" not in page
        answer = client.post(f"/admin/record/{key}/do/finish", data={"result": ""})
        assert answer.status_code == 422
        assert task(key)[0].state == "open"
        answer = client.post(f"/admin/record/{key}/do/finish", data=RESULT)
        assert answer.status_code == 302
        assert RESULT["result"] in client.get(f"/admin/record/{key}").get_data(as_text=True)
        assert client.get("/admin/tasks/count/?quick=open").get_json()["count"] == "3"


def test_a_task_is_done_on_the_phone(office, client):
    key = make_tasks(office)
    with clock.frozen(START + timedelta(days=5)), office.at_desk():
        perform(key, "assign", {"assignee_id": office.technician.id})
    login(client, office.technician)
    with clock.frozen(START + timedelta(days=6)):
        assert f"/my/{key}" in client.get("/my/").get_data(as_text=True)
        page = client.get(f"/my/{key}").get_data(as_text=True)
        assert f"/my/{key}/do/finish" in page and f"/my/{key}/contacted" not in page
        assert client.post(f"/my/{key}/do/finish", data=RESULT).status_code == 302
    assert task(key)[0].state == "done"


def test_another_unit_sees_no_task(office, client):
    key = make_tasks(office)
    other = make_unit()
    login(client, make_user(other, ALL))
    assert client.get(f"/admin/record/{key}").status_code == 404
    assert "RW-" not in client.get("/admin/tasks/").get_data(as_text=True)


def test_the_list_costs_the_same_for_many_tasks(office, client, count_queries):
    make_tasks(office)
    login(client, office.desk)
    client.get("/admin/tasks/")
    with clock.frozen(START + timedelta(days=100)):
        with count_queries() as few:
            client.get("/admin/tasks/")
        make_tasks(office, START + timedelta(days=99))
        with count_queries() as many:
            client.get("/admin/tasks/")
    assert len(few) == len(many)
