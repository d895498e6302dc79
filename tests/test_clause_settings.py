"""Setting clauses: what is refused, what holds when, who agrees, what open records take over, who has read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import select

from core.kernel import clock
from core.kernel.audit import Audit
from core.kernel.database import session, system_scope, transaction
from core.kernel.errors import Conflict, InvalidData, NotAllowed, NotFound, Refused
from core.records.models import Fact, Notice
from core.rules import approvals, effective, official_table, receipts, releases, settings
from core.rules.clauses import Clause, Parameter
from core.rules.effective import Version, resolve, upgraded
from core.rules.fold import RELEASE
from core.rules.obligation_models import OPEN, Obligation
from core.rules.obligations import recompute
from core.rules.rulebook import current_rulebook
from core.rules.setting_models import APPLY, IN_FORCE, REFUSED, WAITING, WITHDRAWN, ClauseSetting
from core.units import services as units
from core.units.models import Setting, Unit
from core.users.models import Position, UserPosition
from tests.casework import ALL, Office, make_office, reading
from tests.helpers import as_system, current, in_scope, make_unit, make_user

MONDAY = datetime(2026, 11, 16, 2, tzinfo=UTC)  # 10:00 in Shanghai
TODAY = date(2026, 11, 16)
CLAUSE = "R01-4.4"  # a deadline, 5 working days
WORDS = {"zh": "数值", "en": "Value"}
MADE_UP = Clause(
    "R01-99",
    "R01",
    "information",
    WORDS,
    WORDS,
    responsible="field_staff",
    parameters=(
        Parameter("interval", "duration", WORDS, 2, unit="day", clock="working", minimum=Decimal(1)),
        Parameter("each_stage", "bool", WORDS, True),
        Parameter("position", "position", WORDS, "reception"),
        Parameter("opens", "text", WORDS, "09:00"),
        Parameter("price", "decimal", WORDS, Decimal("1.50"), maximum=Decimal(10)),
        Parameter("means", "choice", WORDS, "a", choices={"a": WORDS, "b": WORDS}),
    ),
)


@pytest.fixture
def made_up(whole_app: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """A clause with a parameter of each type."""
    monkeypatch.setitem(whole_app.extensions["rulebook"].clauses, MADE_UP.id, MADE_UP)
    return MADE_UP.id


@pytest.fixture(autouse=True)
def at_ten() -> Iterator[None]:
    with clock.frozen(MONDAY):
        yield


@pytest.fixture
def office(app: Any) -> Office:
    return make_office()


def put(office: Office, clause: str = CLAUSE, raw: Any = None, **options: Any) -> int:
    """Set a clause at the desk and return the version's id."""
    given = {"starts_on": TODAY, "reason": "说明", **options}
    with office.at_desk():
        return settings.set_clause(office.unit.id, clause, {"limit": 3} if raw is None else raw, **given).id


def errors(office: Office, clause: str = CLAUSE, raw: Any = None, **options: Any) -> dict[str, list[str]]:
    """Return what is refused; nothing may have been written."""
    before = stored()
    with pytest.raises(InvalidData) as bad:
        put(office, clause, raw, **options)
    assert stored() == before
    return {name: [str(text) for text in texts] for name, texts in bad.value.errors.items()}


def stored() -> list[tuple[Any, ...]]:
    with reading() as work:
        rows = work.scalars(select(ClauseSetting).order_by(ClauseSetting.id))
        return [(r.id, r.unit_id, r.clause, r.starts_on, r.holds, dict(r.values), r.state) for r in rows]


def limit(unit: Unit, day: date = TODAY, clause: str = CLAUSE) -> Any:
    noon = datetime(day.year, day.month, day.day, 4, tzinfo=UTC)
    with reading():
        return effective.effective(unit.id, clause, noon).values["limit"]


def obligation(record_id: int, clause: str = CLAUSE) -> Obligation:
    with reading() as work:
        own = select(Obligation).where(Obligation.record_id == record_id, Obligation.clause == clause)
        return work.scalars(own).one()


def releases_of(record_id: int) -> list[dict[str, Any]]:
    with reading() as work:
        own = select(Fact.data).where(Fact.record_id == record_id, Fact.kind == RELEASE).order_by(Fact.seq)
        return list(work.scalars(own))


def tick(moment: datetime = MONDAY) -> int:
    with current().app_context(), system_scope("test"):
        return releases.release_due(moment)


# --- what holds ------------------------------------------------------------------------------------


def test_a_version_holds_from_its_first_day_and_is_inherited(office: Office) -> None:
    shop = make_unit(parent=office.unit)
    put(office, starts_on=TODAY + timedelta(days=2))
    for unit in (office.unit, shop):
        assert [limit(unit, TODAY + timedelta(days=n)) for n in (0, 1, 2, 40)] == [5, 5, 3, 3]
    with in_scope(shop, ALL) as _:
        settings.set_clause(shop.id, CLAUSE, {"limit": "9"}, starts_on="2026-11-20", reason="门店")
    assert [limit(shop, TODAY + timedelta(days=n)) for n in (2, 4)] == [3, 9]
    assert limit(office.unit, TODAY + timedelta(days=4)) == 3


def test_a_day_begins_in_the_units_zone(app: Any) -> None:
    office = make_office()
    office.new_case()
    with as_system() as work:
        work.merge(office.unit).timezone = "Asia/Tokyo"
    with clock.frozen(datetime(2026, 11, 16, 15, 30, tzinfo=UTC)):  # the 17th in Tokyo already
        assert "starts_on" in errors(office, starts_on=TODAY)
        put(office, starts_on=date(2026, 11, 17))


def test_switching_off_and_inheriting_again(office: Office) -> None:
    put(office, raw={}, holds=False)
    with reading():
        assert not effective.holds(office.unit.id, CLAUSE)
    put(office, raw={}, starts_on=TODAY + timedelta(days=1))  # nothing set: as the unit above
    with reading():
        assert effective.holds(office.unit.id, CLAUSE, MONDAY + timedelta(days=1))


def test_what_is_stored_is_in_the_audit_trail(office: Office) -> None:
    key = put(office)
    with reading() as work:
        seen = work.scalars(select(Audit).where(Audit.subject_type == "core_clause_setting")).all()
    assert [one.subject_id for one in seen] == [str(key)] and seen[0].actor_id == office.desk.id


# --- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", ["x", "-1", "0", "366", "1.5", "1e9", "9" * 30, "NaN", True, [1], {"a": 1}])
def test_values_are_checked_by_their_parameter(office: Office, bad: Any) -> None:
    assert list(errors(office, raw={"limit": bad})) == ["limit"]


def test_every_mistake_is_told_at_once(office: Office) -> None:
    found = errors(office, raw={"limit": "x", "nothing": 1}, starts_on="2026-13-01", reason=" ", open_records="?")
    assert set(found) == {"limit", "nothing", "starts_on", "reason", "open_records"}
    assert errors(office, starts_on="1890-01-01") == {"starts_on": ["This date is too far away"]}
    assert "starts_on" in errors(office, starts_on=None)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("interval", {"4": 4, 3: 3}, ("0", "1.5")),
        ("each_stage", {"1": True, "0": False}, ("maybe", "2")),
        ("position", {"development": "development"}, ("king",)),
        ("opens", {"08:30": "08:30"}, ("x" * 201,)),
        ("price", {"2.5": Decimal("2.5"), "０.10": Decimal("0.10")}, ("10.01", "ten")),
        ("means", {"b": "b"}, ("c", True)),
    ],
)
def test_each_type_of_value(office: Office, made_up: str, name: str, good: Any, bad: Any) -> None:
    for value in bad:
        assert list(errors(office, made_up, {name: value})) == [name]
    for number, (raw, value) in enumerate(good.items()):
        day = TODAY + timedelta(days=number)
        put(office, made_up, {name: raw}, starts_on=day)
        with reading():
            assert (
                effective.effective(office.unit.id, made_up, MONDAY + timedelta(days=number)).values[name] == value
            )


def test_unknown_clauses_and_other_units_are_refused(office: Office) -> None:
    for unknown in ("R01-99", "x", ""):
        with pytest.raises(NotFound):
            put(office, unknown)
    stranger = make_office()
    with stranger.at_desk(), pytest.raises(NotAllowed):
        settings.set_clause(office.unit.id, CLAUSE, {"limit": 3}, starts_on=TODAY, reason="x")
    with in_scope(office.unit, ["rules.view"]), pytest.raises(NotAllowed):
        settings.set_clause(office.unit.id, CLAUSE, {"limit": 3}, starts_on=TODAY, reason="x")
    key = put(office, starts_on=TODAY + timedelta(days=1))
    with stranger.at_desk(), pytest.raises(NotFound):
        settings.withdraw_setting(key)
    assert len(stored()) == 1


def test_versions_do_not_overlap(office: Office) -> None:
    later = put(office, starts_on=TODAY + timedelta(days=9))
    assert "2026-11-25" in errors(office, raw={"limit": 4}, starts_on=TODAY + timedelta(days=9))["starts_on"][0]
    assert "withdraw it first" in errors(office, raw={"limit": 4}, starts_on=TODAY)["starts_on"][0]
    with office.at_desk():
        settings.withdraw_setting(later)
        with pytest.raises(Refused):
            settings.withdraw_setting(later)
    first = put(office, raw={"limit": 4})
    with office.at_desk(), pytest.raises(Refused):
        settings.withdraw_setting(first)  # it has begun
    assert [one[-1] for one in stored()] == [WITHDRAWN, IN_FORCE]
    assert errors(office, raw={"limit": 4}, starts_on=TODAY + timedelta(days=3)).keys() == {"values"}


def test_the_past_is_open_at_the_first_set_up_only(office: Office) -> None:
    long_ago = date(2025, 1, 1)
    put(office, starts_on=long_ago)
    assert limit(office.unit, date(2025, 6, 1)) == 3
    assert "starts_on" in errors(office, raw={"limit": 4}, starts_on=date(2025, 6, 1))
    office.new_case()
    # Another clause: the unit has a record received since then.
    assert "starts_on" in errors(office, "R01-5.2b", {"limit": 12}, starts_on=long_ago)
    put(office, "R01-5.2b", {"limit": 12}, starts_on=TODAY)


def test_a_retry_with_the_same_key_changes_nothing(office: Office) -> None:
    assert put(office, key="k1") == put(office, key="k1")
    with pytest.raises(Conflict):
        put(office, raw={"limit": 4}, key="k1")
    assert len(stored()) == 1


def test_values_that_contradict_each_other_are_refused() -> None:
    def number(name: str, **more: Any) -> Parameter:
        return Parameter(name, "duration", WORDS, 1, unit="hour", clock="calendar", **more)

    clause = Clause("R01-9", "R01", "penalty", WORDS, WORDS, parameters=(number("target"), number("limit")))
    assert list(settings.clashes(clause, {"target": 5, "limit": 4}, {"target"})) == ["target"]
    assert list(settings.clashes(clause, {"target": 5, "limit": 4}, {"limit"})) == ["limit"]
    assert not settings.clashes(clause, {"target": 4, "limit": 4}, {"target"})
    in_minutes = replace(clause, parameters=(replace(number("target"), unit="minute"), number("limit")))
    assert not settings.clashes(in_minutes, {"target": 30, "limit": 1}, {"target"})
    assert settings.clashes(in_minutes, {"target": 61, "limit": 1}, {"target"})
    in_days = replace(clause, parameters=(replace(number("target"), unit="day", clock="working"), number("limit")))
    assert not settings.clashes(in_days, {"target": 30, "limit": 1}, {"target"})  # not comparable
    money = (Parameter("least", "decimal", WORDS, 1), Parameter("most", "decimal", WORDS, 1))
    penalty = replace(clause, parameters=money)
    assert settings.clashes(penalty, {"least": Decimal("50.01"), "most": "50"}, {"least"})


# --- plans -----------------------------------------------------------------------------------------


def plan(office: Office, *rows: Any, clause: str = CLAUSE) -> list[int]:
    with office.at_desk():
        made = settings.plan_versions(office.unit.id, clause, rows, reason="全年计划")
        return [one.id for one in made]


def span(first: str, last: str | None, value: int) -> dict[str, Any]:
    return {"from": first, "to": last, "values": {"limit": value}}


def test_a_plan_covers_its_days_and_then_inherits(office: Office) -> None:
    plan(office, span("2026-12-01", "2026-12-31", 8), span("2026-11-16", "2026-11-30", 4))
    days = ("2026-11-16", "2026-11-30", "2026-12-01", "2026-12-31", "2027-01-01")
    assert [limit(office.unit, date.fromisoformat(day)) for day in days] == [4, 4, 8, 8, 5]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ((span("2026-12-01", "2026-12-10", 4), span("2026-12-12", None, 5)), "2026-12-11"),
        ((span("2026-12-01", "2026-12-10", 4), span("2026-12-08", None, 5)), "2026-12-08 to 2026-12-10"),
        ((span("2026-12-01", None, 4), span("2026-12-08", "2026-12-09", 5)), "2026-12-08 to 2026-12-09"),
        ((), "no rows"),
        ((span("2020-12-01", None, 4),), "first time"),
    ],
)
def test_overlaps_and_gaps_are_named(office: Office, rows: Any, told: str) -> None:
    office.new_case()
    with clock.frozen(MONDAY - timedelta(days=3000)):
        office.new_case()
    with pytest.raises(InvalidData) as bad:
        plan(office, *rows)
    assert told in str(bad.value.errors["rows"][0])
    assert not stored()


def test_a_plan_names_the_row_of_each_mistake(office: Office) -> None:
    wrong = {"from": "x", "to": "2026-01-01", "holds": "yes", "values": {"limit": 0, "b": 1}, "color": 1}
    with pytest.raises(InvalidData) as bad:
        plan(office, span("2026-12-01", "2026-11-30", 4), wrong, 7)
    names = {"rows.1.to", "rows.2.from", "rows.2.holds", "rows.2.limit", "rows.2.b", "rows.2.color", "rows.3.row"}
    assert set(bad.value.errors) == names
    assert not stored()


# --- agreement -------------------------------------------------------------------------------------


@pytest.fixture
def strict(office: Office) -> Office:
    """An office where the general manager agrees to changes of clauses."""
    office.set("rules.settings_approval", "gm")
    return office


def manager(office: Office) -> Any:
    with as_system() as work:
        gm = work.scalars(select(Position).where(Position.code == "gm")).one()
    return make_user(office.unit, position=gm, name="总经理")


def state_of(key: int) -> tuple[str, date]:
    with reading() as work:
        row = work.scalars(select(ClauseSetting).where(ClauseSetting.id == key)).one()
        return row.state, row.starts_on


def decide(office: Office, key: int, how: Any, *words: str) -> None:
    boss = manager(office)
    with in_scope(office.unit, ALL, boss) as work:
        row = work.scalars(select(ClauseSetting).where(ClauseSetting.id == key)).one()
        how(row.approval_id, *words)


def test_a_version_waits_for_agreement_where_asked(strict: Office) -> None:
    key = put(strict)
    assert state_of(key)[0] == WAITING and limit(strict.unit) == 5
    assert "another" in errors(strict, raw={"limit": 4})["starts_on"][0].lower()
    with clock.frozen(MONDAY + timedelta(days=2)):
        decide(strict, key, approvals.agree)
    # It holds from the day it was agreed to, not before.
    assert state_of(key) == (IN_FORCE, TODAY + timedelta(days=2))
    assert [limit(strict.unit, TODAY + timedelta(days=n)) for n in (1, 2)] == [5, 3]


def test_rejected_and_withdrawn_versions_never_hold(strict: Office) -> None:
    key = put(strict)
    decide(strict, key, approvals.reject, "不同意")
    assert state_of(key)[0] == REFUSED and limit(strict.unit) == 5
    second = put(strict)
    with strict.at_desk() as work:
        row = settings.withdraw_setting(second)
        assert approvals.state_of(strict.unit.id, f"setting:{row.id}") == "withdrawn"
        assert work.scalars(select(ClauseSetting.state).where(ClauseSetting.id == second)).one() == WITHDRAWN
    assert limit(strict.unit) == 5


def test_one_overtaken_while_it_waited_never_holds(strict: Office) -> None:
    waiting = put(strict)
    with as_system() as work:
        work.execute(Setting.__table__.delete(), execution_options={"audited": "test"})
    put(strict, raw={"limit": 7}, starts_on=TODAY + timedelta(days=1))
    with clock.frozen(MONDAY + timedelta(days=2)):
        decide(strict, waiting, approvals.agree)
    assert state_of(waiting)[0] == WITHDRAWN and limit(strict.unit, TODAY + timedelta(days=2)) == 7


# --- open records ----------------------------------------------------------------------------------


def assigned(office: Office) -> int:
    key = office.new_case()
    office.do(key, "contact", "classify", "assign")
    return key


def test_open_records_keep_their_terms_unless_told_otherwise(office: Office) -> None:
    key = assigned(office)
    before = obligation(key).due_at
    put(office)
    tick()
    assert obligation(key).due_at == before and not releases_of(key)


def test_open_records_take_over_what_begins_today(office: Office) -> None:
    key, done = assigned(office), assigned(office)
    office.do(done, "accept", "start", "solve")
    before, met = obligation(key).due_at, vars(obligation(done)).copy()
    version = put(office, open_records=APPLY)
    after = obligation(key)
    assert releases_of(key) == [{"clause": CLAUSE, "setting": version}] and not releases_of(done)
    assert after.state == OPEN and after.terms["values"]["limit"] == 3 and after.terms["settings"] == [version]
    assert before is not None and after.due_at == before - timedelta(days=4)  # a weekend less
    assert {k: v for k, v in vars(obligation(done)).items() if k != "_sa_instance_state"} == {
        k: v for k, v in met.items() if k != "_sa_instance_state"
    }
    assert tick() == 0 and len(releases_of(key)) == 1
    with current().app_context(), system_scope("test"):
        assert recompute() == 0
        with transaction():
            session().execute(Obligation.__table__.delete(), execution_options={"unscoped": "test"})
        recompute()
    assert obligation(key).due_at == after.due_at


def test_the_tick_applies_it_on_its_first_day_also_below(office: Office) -> None:
    shop = make_unit(parent=office.unit)
    at_shop = Office(shop, make_user(shop, ALL), make_user(shop, ["case.handle"]))
    apart_unit = make_unit(parent=office.unit)
    own = Office(apart_unit, office.desk, make_user(apart_unit, ["case.handle"]))
    with in_scope(own.unit, ALL, office.desk):
        settings.set_clause(own.unit.id, CLAUSE, {"limit": 9}, starts_on=TODAY, reason="自定")
    here, there, apart = assigned(office), assigned(at_shop), assigned(own)
    put(office, starts_on=TODAY + timedelta(days=1), open_records=APPLY)
    assert tick(MONDAY) == 0
    tomorrow = MONDAY + timedelta(days=1)
    assert tick(tomorrow) == 2 and tick(tomorrow) == 0
    assert releases_of(here) and releases_of(there) and not releases_of(apart)
    assert obligation(there).terms["values"]["limit"] == 3


def test_what_the_actor_cannot_reach_is_left_to_the_tick(office: Office) -> None:
    shop = make_unit(parent=office.unit)
    at_shop = Office(shop, make_user(shop, ALL), make_user(shop, ["case.handle"]))
    here, there = assigned(office), assigned(at_shop)
    put(office, open_records=APPLY)
    assert releases_of(here) and not releases_of(there)
    assert tick() == 1 and releases_of(there) and len(releases_of(here)) == 1


def test_switching_off_can_end_open_obligations(office: Office) -> None:
    key = assigned(office)
    put(office, raw={}, holds=False, open_records=APPLY)
    with reading() as work:
        own = select(Obligation).where(Obligation.record_id == key, Obligation.clause == CLAUSE)
        assert work.scalars(own).first() is None


def test_a_published_year_moves_what_rested_on_it_and_nothing_else(office: Office) -> None:
    with as_system():
        official_table.seed([2026])
        official_table.save_day({"day": "2027-01-01", "kind": "off", "name": "元旦"})
    put(office, starts_on=TODAY, raw={"limit": 40})
    key = assigned(office)
    put(office, starts_on=TODAY + timedelta(days=1), raw={"limit": 2})  # keeps the terms of what is open
    before = obligation(key)
    assert before.provisional and before.due_at is not None
    assert tick(MONDAY + timedelta(days=2)) == 0
    with as_system():
        official_table.save_day({"day": "2027-01-04", "kind": "off", "name": "元旦"})
        official_table.set_final(2027, True)
    later = MONDAY + timedelta(days=2)
    assert tick(later) == len(releases_of(key)) > 0 and tick(later) == 0
    after = obligation(key)
    assert not after.provisional and after.terms["values"]["limit"] == 40
    assert after.due_at is not None and after.due_at > before.due_at
    assert {"clause": CLAUSE, "calendar": True, "year": 2027} in releases_of(key)


# --- who has read it -------------------------------------------------------------------------------


def hold(user: Any, unit: Unit, code: str) -> None:
    with as_system() as work:
        position = work.scalars(select(Position).where(Position.code == code)).one()
        work.add(
            UserPosition(user_id=user.id, unit_id=unit.id, position_id=position.id, valid_from=date(2020, 1, 1))
        )


def unread(user: Any) -> list[int]:
    with reading():
        return [row.id for row in receipts.unread_for(user.id)]


def test_whom_a_change_concerns_reads_it_once(office: Office) -> None:
    shop = make_unit(parent=office.unit)
    people = {name: make_user(name=name) for name in ("师傅", "店里师傅", "店长", "前台", "别家")}
    hold(people["师傅"], office.unit, "field_staff")  # the clause's position
    hold(people["店里师傅"], shop, "field_staff")
    hold(people["店长"], shop, "store_head")
    hold(people["前台"], office.unit, "reception")
    hold(people["别家"], make_unit(), "field_staff")
    hold(office.desk, office.unit, "service_leader")  # the author knows
    version = put(office, starts_on=TODAY + timedelta(days=3))
    concerned = {"师傅", "店里师傅", "店长"}
    assert {name for name, user in people.items() if unread(user) == [version]} == concerned
    assert unread(office.desk) == []
    tick()
    with reading() as work:
        told = {n.user_id: n for n in work.scalars(select(Notice).where(Notice.kind == receipts.NOTICE))}
    assert set(told) == {people[name].id for name in concerned}
    assert told[people["店长"].id].unit_id == shop.id and told[people["店长"].id].text == CLAUSE
    tick()
    with in_scope(shop, [], people["店长"]):
        assert receipts.mark_read([version]) == 1
        assert receipts.mark_read([version]) == 0
        with pytest.raises(NotFound):
            receipts.mark_read([version + 1])
    with in_scope(office.unit, [], people["前台"]), pytest.raises(NotFound):
        receipts.mark_read([version])
    assert unread(people["店长"]) == []
    with reading() as work:
        row = work.scalars(select(ClauseSetting)).one()
        seen = {one.name: one.read_at for one in receipts.readers(row)}
        assert len(work.scalars(select(Notice).where(Notice.kind == receipts.NOTICE)).all()) == 3
    assert seen == {"师傅": None, "店里师傅": None, "店长": MONDAY}


# --- looking ---------------------------------------------------------------------------------------


def test_differences_and_history(office: Office, made_up: str) -> None:
    shop = make_unit(parent=office.unit)
    put(office, made_up, {"interval": 3})
    with in_scope([office.unit, shop], ALL, office.desk):
        settings.set_clause(shop.id, made_up, {"interval": 4}, starts_on=TODAY, reason="一")
        settings.set_clause(
            shop.id, made_up, {"interval": 1, "each_stage": "0"}, starts_on="2026-12-01", reason="二"
        )
    with in_scope(shop, ALL):
        rows = settings.history(shop.id, made_up)  # with the unit's above, which is out of scope
        assert [(row.unit_id, row.reason) for row in rows] == [
            (shop.id, "二"),
            (shop.id, "一"),
            (office.unit.id, "说明"),
        ]

        def said(against: str) -> list[tuple[Any, ...]]:
            found = settings.differences(rows[0], against)
            return [(one.parameter.name if one.parameter else "", one.before, one.after) for one in found]

        assert said(settings.BEFORE) == [("interval", 4, 1), ("each_stage", True, False)]
        assert said(settings.PARENT) == [("interval", 3, 1), ("each_stage", True, False)]
        assert said(settings.USUAL) == [("interval", 2, 1), ("each_stage", True, False)]
        assert [row.id for row in settings.set_here(shop.id)] == [rows[1].id, rows[0].id]


def test_older_shapes_are_upgraded_as_they_are_read(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    with reading():
        clause = replace(current_rulebook().clauses[CLAUSE], schema=3)
    old = Version(1, 1, CLAUSE, TODAY, None, {"days": 4}, schema=1)
    monkeypatch.setitem(effective.upgrades, (CLAUSE, 1), lambda values: {"limit": values["days"]})
    monkeypatch.setitem(effective.upgrades, (CLAUSE, 2), lambda values: {"limit": values["limit"] + 1})
    assert upgraded(clause, old) == {"limit": 5}
    assert upgraded(clause, replace(old, schema=2, values={"limit": 4})) == {"limit": 5}
    assert upgraded(clause, replace(old, schema=3, values={"limit": 4, "gone": 1})) == {"limit": 4}


# --- any tree, any versions ------------------------------------------------------------------------

START = date(2026, 1, 1)
SCENE = st.fixed_dictionaries(
    {
        # (unit, first day, on or off, which values)
        "versions": st.lists(
            st.tuples(
                st.integers(0, 3),
                st.integers(0, 20),
                st.sampled_from([None, True, False]),
                st.dictionaries(st.sampled_from(["interval", "each_stage"]), st.integers(0, 1)),
            ),
            max_size=12,
            unique_by=lambda one: (one[0], one[1]),
        ),
        # From which day unit 3 belongs to unit 2 instead of unit 1.
        "moved": st.integers(1, 20),
    }
)


@given(SCENE)
@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_resolution_along_a_dated_tree(sqlite_app: Any, scene: dict[str, Any]) -> None:
    """Each value comes from the nearest unit, as the tree was that day, whose version of that day has it."""
    clause = MADE_UP
    versions = [
        Version(number, unit, clause.id, START + timedelta(days=day), holds, values)
        for number, (unit, day, holds, values) in enumerate(sorted(scene["versions"], key=lambda v: v[1]))
    ]
    for day in range(22):
        line = [0, 2 if day >= scene["moved"] else 1, 3]
        expected: dict[str, Any] = {one.name: one.default for one in clause.parameters}
        on = True
        for unit in line:
            mine = [v for v in versions if v.unit_id == unit and v.starts_on <= START + timedelta(days=day)]
            if mine:
                newest = max(mine, key=lambda v: v.starts_on)
                expected |= newest.values
                on = on if newest.holds is None else newest.holds
        with sqlite_app.app_context():
            found = resolve(clause, line, versions, START + timedelta(days=day))
        assert (dict(found.values), found.holds) == (expected, on)


def test_moving_a_unit_changes_what_it_inherits_from_that_day(office: Office) -> None:
    other = make_unit()
    shop = make_unit(parent=office.unit)
    put(office)
    with in_scope(other, ALL):
        settings.set_clause(other.id, CLAUSE, {"limit": 11}, starts_on=TODAY, reason="另")
    with as_system() as work:
        units.move_unit(work.merge(shop), work.merge(other), since=TODAY + timedelta(days=5))
    assert [limit(shop, TODAY + timedelta(days=n)) for n in (4, 5)] == [3, 11]
