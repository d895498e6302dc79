"""Attacks on rules: files out of reach, rows in the place of others, judges chosen by the judged, one bad apple."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select

from core.cases.services import register_case
from core.kernel import clock
from core.kernel.database import system_scope, transaction
from core.kernel.errors import AppError, InvalidData, Refused
from core.records.engine import perform
from core.records.models import Record
from core.rehearsal.reading import BadScenario
from core.rehearsal.script import read_source
from core.rules import approval_gate, approvals, charges, excuses, penalties, releases, settings, ticks
from core.rules.charge_models import Penalty
from core.rules.kinds import ApprovalRule, Line
from core.rules.obligation_models import EXCUSED, Breach, Obligation
from core.rules.registry import EXTENSION, Registry
from core.rules.setting_models import ClauseSetting
from core.units.models import UnitPlugin
from tests.approvers import acting, make_company
from tests.casework import INTAKE, make_office, reading
from tests.helpers import as_system, current
from tests.money_scene import DAILY, QUOTE, RANGE, holder, money_clauses
from tests.money_scene import acting as signed_in

NOW = datetime(2026, 11, 16, 2, tzinfo=UTC)  # Monday 10:00 in Shanghai


# --- rehearsal files ---------------------------------------------------------------------------------


def wrong_in(app, source, folder=Path()):
    with app.app_context(), pytest.raises(BadScenario) as caught:
        read_source(source.encode(), "bad.yaml", folder)
    return [str(one.text) for one in caught.value.problems]


IMPORT = "title: x\nsteps:\n  - {at: 2025-11-06 09:00, import: customers, file: '%s'}\n"


@pytest.mark.parametrize("name", ["../secret.csv", "/etc/passwd", "inside/../../secret.csv", "link.csv"])
def test_a_scenario_imports_only_what_lies_in_its_folder(whole_app, tmp_path, name):
    (tmp_path / "secret.csv").write_text("a,b\n")
    folder = tmp_path / "scenarios"
    (folder / "inside").mkdir(parents=True)
    (folder / "link.csv").symlink_to(tmp_path / "secret.csv")
    found = wrong_in(whole_app, IMPORT % name, folder)
    assert len(found) == 1 and "There is no file" in found[0]


def test_a_scenario_may_import_from_a_folder_below(whole_app, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "own.csv").write_text("a,b\n")
    with whole_app.app_context():
        (made,) = read_source((IMPORT % "data/own.csv").encode(), "good.yaml", tmp_path)
    assert made.steps[0].options["file"].read_text() == "a,b\n"


@pytest.mark.parametrize(
    "step",
    [
        "{at: +999999999d}",
        "{at: 2025-11-06 09:00, charge: waive, amount: 1e999999}",
        "{at: 2025-11-06 09:00, charge: waive, amount: 9e400}",
        "{at: 2025-11-06 09:00+99:99, tick: }",
    ],
)
def test_numbers_beyond_all_measure_are_told_by_line(whole_app, step):
    source = f"title: x\nsteps:\n  - {{at: 2025-11-06 09:00, create: case, as: one}}\n  - {step}\n"
    assert wrong_in(whole_app, source)


# --- excuses -----------------------------------------------------------------------------------------

CLAUSE = "R01-5.2b"


@pytest.fixture
def company(app):
    with clock.frozen(NOW):
        found = make_company()
        found.add("desk", "dispatcher")
        yield found


def late_case(company):
    with clock.frozen(NOW), acting(company.desk):
        key = register_case(company.branch.id, dict(INTAKE)).id
    with clock.frozen(NOW + timedelta(hours=26)), acting(company.desk):
        perform(key, "contact", {})
    return key


def obligation(key):
    with reading() as work:
        mine = (Obligation.record_id == key, Obligation.clause == CLAUSE)
        return work.scalars(select(Obligation).where(*mine)).one()


def test_an_excuse_never_falls_to_the_row_that_took_the_place_of_another(company):
    """Rows of obligations come and go with the facts, and SQLite gives a number out again."""
    mine, others = late_case(company), late_case(company)
    with clock.frozen(NOW + timedelta(hours=27)):
        with acting(company.desk):
            asked = excuses.ask_excuse(obligation(mine).id, "台风").id
        taken, other = obligation(mine).id, obligation(others)
        with as_system() as work:
            for row in work.scalars(select(Obligation).where(Obligation.id == taken)):
                work.delete(row)
            work.flush()
            work.get_one(Obligation, other.id).id = taken
        with acting(company.leader), pytest.raises(Refused):
            approvals.agree(asked)
    assert obligation(others).state != EXCUSED


# --- steps that need two agreements --------------------------------------------------------------------


@pytest.fixture
def two_agreements(app, monkeypatch):
    plain = app.extensions[EXTENSION]
    title = {"zh": "取消工单", "en": "Cancel the case"}
    needed = [
        ApprovalRule(clause=clause, step="case.cancel", title=title, position=position)
        for clause, position in (("R01-4.4", "service_leader"), ("R01-5.2b", "gm"))
    ]
    monkeypatch.setitem(app.extensions, EXTENSION, Registry((*plain.rules, *needed)))


def test_two_clauses_of_a_step_need_an_agreement_each(company, two_agreements):
    with acting(company.desk):
        case = register_case(company.branch.id, dict(INTAKE)).id
        asked = approval_gate.ask_for(case, "case.cancel", "R01-4.4", "客户要求").id
    with acting(company.leader):
        approvals.agree(asked)
    with acting(company.desk), pytest.raises(Refused) as caught:
        perform(case, "cancel", {"reason": "客户自行解决"})
    assert [one.clause for one in caught.value.refusals] == ["R01-5.2b"]
    with acting(company.desk):
        asked = approval_gate.ask_for(case, "case.cancel", "R01-5.2b", "客户要求").id
    with acting(company.gm):
        approvals.agree(asked)
    with acting(company.desk):
        perform(case, "cancel", {"reason": "客户自行解决"})


# --- penalties ---------------------------------------------------------------------------------------


@pytest.fixture
def scene(app):
    def begin(*clauses):
        stack.enter_context(money_clauses(app, *clauses))
        return make_office()

    with ExitStack() as stack, clock.frozen(NOW):
        yield begin


def proposal(office, key, user, clause=RANGE):
    with office.at_desk() as work:
        amount, reason = ("100", "迟到") if clause == RANGE else (None, "")
        row = penalties.propose(work.get_one(Record, key), clause, "test", user.id, amount=amount, reason=reason)
        return row.approval_id


@pytest.mark.parametrize("call", ["pass_on", "send_back"])
def test_whom_a_penalty_is_about_does_not_choose_the_judge(scene, call):
    """Two hold the deciding position; the one concerned neither passes the decision on nor sends it back."""
    office = scene(RANGE)
    concerned, friend = holder(office, "service_leader", "当事人"), holder(office, "service_leader", "好友")
    asked = proposal(office, office.new_case(), concerned)
    with signed_in(office, concerned), pytest.raises(Refused):
        if call == "pass_on":
            approvals.pass_on(asked, user_id=friend.id, reason="我忙")
        else:
            approvals.send_back(asked, "说清楚")
    with signed_in(office, friend):
        approvals.agree(asked, "属实", Decimal("100"))


# --- waivers -----------------------------------------------------------------------------------------


def charge(office, key, amount):
    label = {"zh": "费", "en": "Fee"}
    with office.at_desk() as work:
        line = Line("fee", label, "customer", Decimal(1), Decimal(amount))
        return charges.propose(work.get_one(Record, key), QUOTE, f"s{amount}", [line])[0].id


def test_an_agreement_to_something_else_waives_nothing(scene):
    """The clause's position agreed to waive a small line; that is no leave to waive the large one beside it."""
    office = scene()
    boss, key = holder(office, "gm", "老总"), office.new_case()
    small, large = charge(office, key, 10), charge(office, key, 5000)
    with office.at_desk():
        asked = charges.ask_waiver(small, "小额").id
    with signed_in(office, boss):
        approvals.agree(asked)
    with office.at_desk(), pytest.raises(Refused):
        charges.waive(large, "顺便", approval_id=asked)
    with office.at_desk(), pytest.raises(Refused):
        charges.waive(small, "再来", approval_id=asked)


# --- one bad apple -------------------------------------------------------------------------------------


def failing_for(monkeypatch, module, name, wrong):
    """Let a function of a module fail for the first of its arguments that ``wrong`` accepts."""
    real = getattr(module, name)

    def call(first, *rest, **options):
        if wrong(first):
            raise ValueError("a bad apple")
        return real(first, *rest, **options)

    monkeypatch.setattr(module, name, call)


def test_a_version_that_cannot_be_applied_keeps_no_other_waiting(company, monkeypatch):
    with clock.frozen(NOW), acting(company.gm):
        for unit in (company.hq, company.branch):
            settings.set_clause(
                unit.id, CLAUSE, {"limit": "8"}, starts_on="2026-11-20", reason="x", open_records="apply"
            )
    later = NOW + timedelta(days=5)
    with monkeypatch.context() as broken:
        failing_for(broken, releases, "_release", lambda row: row.unit_id == company.hq.id)
        with clock.frozen(later), current().app_context(), system_scope("test"):
            releases.release_due(later)
    done = applied()
    assert (done[company.hq.id], done[company.branch.id]) == (False, True)
    with clock.frozen(later), current().app_context(), system_scope("test"):
        releases.release_due(later)
    assert set(applied().values()) == {True}


def applied():
    with reading() as work:
        return {one.unit_id: one.released_at is not None for one in work.scalars(select(ClauseSetting))}


def test_a_reminder_that_fails_keeps_no_other_waiting(company, monkeypatch):
    first, second = late_case(company), late_case(company)
    with clock.frozen(NOW + timedelta(hours=27)), acting(company.desk):
        asked = [excuses.ask_excuse(obligation(one).id, "台风").id for one in (first, second)]
    failing_for(monkeypatch, approvals, "_remind", lambda key: key == asked[0])
    later = NOW + timedelta(days=3)
    with clock.frozen(later), current().app_context(), system_scope("test"):
        assert approvals.remind_due(later) == 1


def test_a_penalty_that_cannot_grow_keeps_no_other_waiting(scene, monkeypatch):
    office = scene(DAILY)
    holder(office, "service_leader")
    with clock.frozen(NOW):
        keys = [office.new_case() for _ in "12"]
        office.do(keys[0], "classify", "assign")
        office.do(keys[1], "classify", "assign")
    with clock.frozen(NOW + timedelta(days=1.5)), current().app_context():
        ticks.tick()
    amounts = grown(keys)
    failing_for(monkeypatch, penalties, "_grow", lambda row: row.record_id == keys[0])
    with clock.frozen(NOW + timedelta(days=2.5)), current().app_context(), system_scope("test"):
        assert penalties.grow() == 1
    after = grown(keys)
    assert (after[keys[0]], after[keys[1]] > amounts[keys[1]]) == (amounts[keys[0]], True)


def grown(keys):
    with reading() as work:
        rows = work.scalars(select(Penalty).where(Penalty.record_id.in_(keys), Penalty.clause == DAILY))
        return {one.record_id: one.amount for one in rows}


# --- at the same moment --------------------------------------------------------------------------------


def at_once(*calls):
    """Run calls at the same moment; return what each raised, None where it went through."""
    gate, found = threading.Barrier(len(calls)), [None] * len(calls)

    def run(place, call):
        gate.wait()
        try:
            call()
        except AppError as error:
            found[place] = error

    threads = [threading.Thread(target=run, args=one) for one in enumerate(calls)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    return found


def test_two_who_set_a_clause_for_the_same_day_do_not_both_succeed(company):
    def setting_to(hours):
        def call():
            with clock.frozen(NOW), acting(company.gm):
                settings.set_clause(company.branch.id, CLAUSE, {"limit": hours}, starts_on="2026-11-20", reason="x")

        return call

    found = at_once(*(setting_to(str(hours)) for hours in (4, 5, 6, 7)))
    assert sum(one is None for one in found) == 1
    assert {type(one) for one in found if one} == {InvalidData}
    assert len(applied()) == 1


def test_nothing_is_posted_into_a_month_that_is_being_closed(scene):
    office = scene()
    key = office.new_case()
    lines = [charge(office, key, amount) for amount in (10, 20, 30)]
    with office.at_desk():
        for one in lines:
            charges.move(one, "quote")
            charges.move(one, "consent")

    def post(line):
        def call():
            with clock.frozen(NOW), office.at_desk():
                charges.move(line, "post")

        return call

    sums = {}

    def close():
        with clock.frozen(NOW), office.at_desk(), transaction():
            charges.close_month(office.unit.id, "2026-11")
            sums.update(charges.month_totals(office.unit.id, "2026-11"))

    assert at_once(post(lines[0]), close, post(lines[1]), post(lines[2])) == [None] * 4
    with office.at_desk():
        assert charges.month_totals(office.unit.id, "2026-11") == sums
        later = charges.month_totals(office.unit.id, "2026-12")
    assert sum(sums.values()) + sum(later.values()) == 60


# --- plugins switched off ------------------------------------------------------------------------------


def test_a_clause_whose_plugin_is_off_neither_warns_nor_announces(scene, app, monkeypatch):
    office = scene()
    plain = app.extensions[EXTENSION]
    theirs = [replace(one, plugin="products") if one.clause == CLAUSE else one for one in plain.rules]
    monkeypatch.setitem(app.extensions, EXTENSION, Registry(tuple(theirs)))
    switch(office, True)
    office.do(office.new_case(), "classify")
    switch(office, False)
    with clock.frozen(NOW + timedelta(hours=23)), current().app_context():
        ticks.tick()
    with clock.frozen(NOW + timedelta(hours=25)), current().app_context():
        ticks.tick()
        assert (announced(), warned()) == (0, False)
        switch(office, True)
        ticks.tick()
        assert announced() == 1


def switch(office, on):
    with as_system() as work:
        row = work.get(UnitPlugin, (office.unit.id, "products"))
        if row is None:
            row = UnitPlugin(unit_id=office.unit.id, plugin="products", changed_at=clock.now())
            work.add(row)
        row.enabled = on


def announced():
    with reading() as work:
        return len(work.scalars(select(Breach).where(Breach.clause == CLAUSE)).all())


def warned():
    with reading() as work:
        own = select(Obligation.warned_at).where(Obligation.clause == CLAUSE)
        return any(one is not None for one in work.scalars(own))
