"""Calendars of units and the official table: services, screens, import and what outsiders get."""

from __future__ import annotations

import io
from datetime import date, datetime
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from core.kernel.audit import Audit
from core.kernel.errors import InvalidData, NotAllowed, NotFound
from core.rules import official_table, unit_calendars
from core.rules.calendar import DAY, CalendarTerms
from core.rules.models import Calendar, CalendarDay, CalendarSnapshot, CalendarYear
from core.units.models import Unit
from tests.clock_scene import at
from tests.helpers import as_system, in_scope, login, make_unit, make_user

HOUR = 3600
ADMIN = {"calendar.view", "calendar.admin"}
WEEK = {
    **{f"hours_{n}": "9:00-12:00，13:00～18:00" for n in range(5)},
    "hours_5": "",
    "hours_6": "",
    "makeup": "09:00-12:00 13:00-18:00",
}
SHOP = {"code": "shop", "name": "门店", "official": "none", **{f"hours_{n}": "10:00-22:00" for n in range(7)}}
OFFICE = {
    "code": "office",
    "name": "办公",
    "name_en": "Office",
    "official": "all",
    "usual": "1",
    "active": "1",
    **WEEK,
}


@pytest.fixture
def top(app: Flask) -> Unit:
    with as_system():
        official_table.seed()
    return make_unit("TOP")


def save(unit: Unit, raw: dict[str, Any]) -> int:
    with as_system():
        return unit_calendars.save_calendar(unit.id, raw).id


def text(answer: Any) -> str:
    return answer.get_data(as_text=True)


def signed_in(app: Flask, unit: Unit, permissions: set[str] = ADMIN, **more: Any) -> FlaskClient:
    return login(app.test_client(), make_user(unit, permissions, locale="en", **more))


# --- which calendar holds ---------------------------------------------------------------------------


def test_without_any_calendar_the_office_week_holds(top: Unit) -> None:
    with in_scope(top):
        held = unit_calendars.calendar_for(top.id)
        assert held.add(at("2025-09-26 16:00"), 4 * HOUR) == at("2025-09-28 11:00")
        assert held.provisional(date(2026, 1, 1), date(2027, 1, 1)) == (2027,)
        with pytest.raises(NotFound):
            unit_calendars.calendar_for(top.id, "counter")


def test_a_unit_without_its_own_calendar_has_its_parent_s_in_its_own_zone(top: Unit) -> None:
    branch = make_unit("BR", top)
    shop = make_unit("SH", branch, timezone="Asia/Tokyo")
    save(top, {**SHOP, "usual": "1"})
    save(branch, {**OFFICE, "code": "counter", "usual": ""})
    with in_scope(shop):  # who may not see the units above
        held = unit_calendars.calendar_for(shop.id)
        assert held.terms.timezone == "Asia/Tokyo"
        assert unit_calendars.hours_text(held.hours_of(date(2025, 10, 1))) == "10:00-22:00"
        assert unit_calendars.calendar_for(shop.id, "counter").hours_of(date(2025, 10, 1)) == ()
    own = save(shop, {**SHOP, "hours_0": "", "usual": "1"})
    with in_scope(shop):
        assert not unit_calendars.calendar_for(shop.id).is_working_day(date(2025, 9, 29))
    with as_system() as work:
        work.scalars(select(Calendar).where(Calendar.id == own)).one().active = False
    with in_scope(shop):
        assert unit_calendars.calendar_for(shop.id).is_working_day(date(2025, 9, 29))


def test_only_one_calendar_of_a_unit_is_the_usual_one(top: Unit) -> None:
    save(top, OFFICE)
    save(top, {**SHOP, "usual": "1"})
    with as_system():
        assert [(row.code, row.usual) for row in unit_calendars.calendars_of(top.id)] == [
            ("shop", True),
            ("office", False),
        ]


def test_a_frozen_calendar_stays_as_it_was(top: Unit) -> None:
    key = save(top, OFFICE)
    with as_system() as work:
        before = unit_calendars.calendar_for(top.id)
        version = unit_calendars.freeze(before)
        assert unit_calendars.freeze(before) == version
        row = work.scalars(select(Calendar).where(Calendar.id == key)).one()
        unit_calendars.save_calendar(top.id, {**OFFICE, "hours_4": ""}, row)
        unit_calendars.add_override(row, {"first_day": "2025-09-28", "reason": "盘点"})
        after = unit_calendars.calendar_for(top.id)
        assert after.version != version
        assert after.add(at("2025-09-26 16:00"), 4 * HOUR) == at("2025-09-29 14:00")
    with as_system() as work:
        thawed = unit_calendars.thaw(version)
        assert thawed.add(at("2025-09-26 16:00"), 4 * HOUR) == at("2025-09-28 11:00")
        assert work.scalar(select(func.count()).select_from(CalendarSnapshot)) == 1
        with pytest.raises(NotFound):
            unit_calendars.thaw("0" * 32)


def test_a_frozen_calendar_can_be_read_back_from_the_database(top: Unit) -> None:
    with as_system() as work:
        held = unit_calendars.calendar_for(top.id)
        unit_calendars.freeze(held)
        stored = work.scalars(select(CalendarSnapshot)).one()
        assert CalendarTerms.thawed(stored.terms) == held.terms
        assert CalendarTerms.thawed(stored.terms).version == stored.version


def test_finding_a_calendar_costs_few_statements(top: Unit, count_queries: Any) -> None:
    save(top, OFFICE)
    with in_scope(top):
        unit_calendars.calendar_for(top.id)
    with in_scope(top), count_queries() as seen:
        unit_calendars.calendar_for(top.id)
        unit_calendars.calendar_for(top.id)
    assert len(seen) <= 4


# --- hours as people write them ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("", ()),
        ("9-18", ((9 * HOUR, 18 * HOUR),)),
        ("13：00—18：00、9:00 至 12:00", ((9 * HOUR, 12 * HOUR), (13 * HOUR, 18 * HOUR))),
        ("22:00-06:00", ((22 * HOUR, 30 * HOUR),)),
        ("00:00-24:00", ((0, DAY),)),
        ("０９:00-１２:00", ((9 * HOUR, 12 * HOUR),)),
        ("20:00-24:00", ((20 * HOUR, DAY),)),
    ],
)
def test_hours_are_read_as_offices_write_them(written: str, read: tuple) -> None:
    assert unit_calendars.read_hours(written) == read
    assert unit_calendars.read_hours(unit_calendars.hours_text(read)) == read


@pytest.mark.parametrize(
    "written", ["morning", "9", "25:00-26:00", "9:60-10:00", "9:00-12:00 11:00-13:00", "1-2 " * 13, "22-6 1-5", "-"]
)
def test_hours_nobody_can_keep_are_refused(written: str) -> None:
    with pytest.raises(InvalidData):
        unit_calendars.read_hours(written)


# --- the screens -----------------------------------------------------------------------------------------


def test_from_a_new_calendar_to_its_year(app: Flask, top: Unit) -> None:
    admin = signed_in(app, top)
    assert "built in" in text(admin.get("/admin/calendars/"))
    assert admin.post("/admin/calendars/new/", data=OFFICE).status_code == 302
    page = text(admin.get("/admin/calendars/"))
    assert "Office" in page and "09:00-12:00 13:00-18:00" in page and "built in" not in page
    with as_system() as work:
        key = work.scalars(select(Calendar.id)).one()
    year = text(admin.get(f"/admin/calendars/year/?id={key}&year=2026"))
    assert "248 working days" in year and year.count("<small>W</small>") == 6
    assert "Spring Festival" in year and "provisional" not in year
    assert "not published" in text(admin.get("/admin/calendars/year/?year=2027"))


def test_mistakes_stand_beside_their_fields_and_change_nothing(app: Flask, top: Unit) -> None:
    admin = signed_in(app, top)
    wrong = {
        "hours_0": {**OFFICE, "hours_0": "9-12 11-13"},
        "hours_6": {**OFFICE, "hours_6": "all day"},
        "hours_1": {**OFFICE, "hours_0": "22:00-06:00", "hours_1": "05:00-12:00"},
        "makeup": {**OFFICE, "makeup": "x"},
        "code": {**OFFICE, "code": "Büro!"},
        "name": {**OFFICE, "name": ""},
        "official": {**OFFICE, "official": "some"},
    }
    for field, raw in wrong.items():
        answer = admin.post("/admin/calendars/new/", data=raw)
        assert answer.status_code == 422 and f'id="error-{field}"' in text(answer), field
    nothing = {**OFFICE, **{f"hours_{n}": "" for n in range(7)}}
    answer = admin.post("/admin/calendars/new/", data=nothing)
    assert answer.status_code == 422 and "at least one day" in text(answer)
    with as_system() as work:
        assert work.scalar(select(func.count()).select_from(Calendar)) == 0


def test_a_stale_form_overwrites_nothing(app: Flask, top: Unit) -> None:
    key = save(top, OFFICE)
    admin = signed_in(app, top)
    address = f"/admin/calendars/edit/?id={key}"
    assert admin.post(address, data={**OFFICE, "name": "新", "version": "1"}).status_code == 302
    answer = admin.post(address, data={**OFFICE, "name": "旧", "version": "1"})
    assert answer.status_code == 422 and "Somebody else" in text(answer)
    same_code = admin.post("/admin/calendars/new/", data=OFFICE)
    assert same_code.status_code == 422 and 'id="error-code"' in text(same_code)


def test_own_days_are_added_and_taken_back(app: Flask, top: Unit) -> None:
    key = save(top, OFFICE)
    admin = signed_in(app, top)
    address = f"/admin/calendars/days/?id={key}"
    day = {"first_day": "2025-12-24", "last_day": "2025-12-26", "hours": "9:00-11:00", "reason": "盘点"}
    assert admin.post(address, data=day).status_code == 302
    assert "盘点" in text(admin.get(address))
    for field, more in (
        ("first_day", {"first_day": "2025-12-26", "last_day": ""}),
        ("last_day", {"last_day": "2025-12-01"}),
        ("last_day", {"last_day": "2030-12-01"}),
        ("hours", {"first_day": "2024-12-24", "last_day": "", "hours": "x"}),
        ("reason", {"reason": ""}),
        ("first_day", {"first_day": "soon"}),
        ("first_day", {"first_day": "9999-12-31", "last_day": ""}),
    ):
        answer = admin.post(address, data={**day, **more})
        assert answer.status_code == 422 and f'id="error-{field}"' in text(answer), more
    with as_system() as work:
        row = work.scalars(select(Calendar)).one()
        (held,) = unit_calendars.overrides_of(row)
        hours = unit_calendars.calendar_for(top.id).hours_of(date(2025, 12, 25))
        assert unit_calendars.hours_text(hours) == "09:00-11:00"
    other = save(top, SHOP)
    assert admin.post("/admin/calendars/drop-day/", data={"id": other, "override": held.id}).status_code == 404
    assert admin.post("/admin/calendars/drop-day/", data={"id": key, "override": held.id}).status_code == 302
    assert "盘点" not in text(admin.get(address))


def test_readers_change_nothing_and_strangers_see_nothing(app: Flask, top: Unit) -> None:
    key = save(top, OFFICE)
    reader = signed_in(app, top, {"calendar.view"})
    assert reader.get(f"/admin/calendars/year/?id={key}").status_code == 200
    for path in ("new/", f"edit/?id={key}", f"days/?id={key}"):
        assert reader.post(f"/admin/calendars/{path}", data=OFFICE).status_code == 403, path
    stranger = signed_in(app, make_unit("ELSE"))
    for path in ("edit", "days", "year"):
        assert stranger.get(f"/admin/calendars/{path}/?id={key}").status_code == 404
    nobody = signed_in(app, top, {"case.view"})
    assert nobody.get("/admin/calendars/").status_code == 403
    with in_scope(top, {"calendar.view"}), pytest.raises(NotAllowed):
        unit_calendars.save_calendar(top.id, OFFICE)


# --- when is it due -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ({"start": "2025-09-26T16:00", "amount": "4", "unit": "hour"}, ["2025-09-28 11:00", "Make-up working day"]),
        (
            {"start": "2025-09-30T17:00", "amount": "3", "unit": "day"},
            ["2025-10-11 24:00", "National Day", "day 3"],
        ),
        ({"start": "2025-09-27T22:00", "unit": "immediately"}, ["Target", "2025-09-27 22:30", "2025-09-28 24:00"]),
        (
            {"start": "2025-05-29T10:00", "amount": "3", "unit": "day", "clock": "calendar", "roll": "1"},
            ["2025-06-03 24:00", "2025-06-01"],
        ),
        (
            {"start": "2025-09-26T17:30", "amount": "0", "unit": "day", "until": "17:00", "cutoff": "17:00"},
            ["2025-09-28 17:00"],
        ),
        ({"start": "2026-12-31T17:00", "amount": "4", "unit": "hour"}, ["Provisional", "2027"]),
        ({"start": "2025-01-01T10:00", "amount": "1", "unit": "year", "clock": "calendar"}, ["not shown"]),
    ],
)
def test_the_calculator_says_when_and_why(app: Flask, top: Unit, asked: dict, shown: list[str]) -> None:
    form = {"clock": "working", "day_end": "24:00", **asked}
    page = signed_in(app, top).post("/admin/calendars/due/", data=form)
    assert page.status_code == 200
    for words in shown:
        assert words in text(page), words


@pytest.mark.parametrize(
    ("field", "asked"),
    [
        ("amount", {"amount": ""}),
        ("amount", {"amount": "-1"}),
        ("amount", {"amount": "1e15"}),
        ("amount", {"amount": "1.5", "unit": "day"}),
        ("start", {"start": "tomorrow"}),
        ("clock", {"unit": "month"}),
        ("until", {"until": "25:99"}),
        ("cutoff", {"cutoff": "5pm"}),
        ("calendar", {"calendar": "nobody-s"}),
    ],
)
def test_the_calculator_answers_nonsense_beside_the_field(app: Flask, top: Unit, field: str, asked: dict) -> None:
    good = {"start": "2025-09-26T16:00", "amount": "4", "unit": "hour", "clock": "working", "day_end": "24:00"}
    answer = signed_in(app, top).post("/admin/calendars/due/", data={**good, **asked})
    assert answer.status_code == 422 and f'id="error-{field}"' in text(answer)


def test_a_calendar_without_working_time_is_told_not_waited_for(app: Flask, top: Unit) -> None:
    with as_system() as work:
        empty = Calendar(
            unit_id=top.id, code="empty", name="空", usual=True, official="none", changed_at=at("2025-01-01")
        )
        work.add(empty)
    good = {"start": "2025-09-26T16:00", "amount": "4", "unit": "hour", "clock": "working", "day_end": "24:00"}
    admin = signed_in(app, top)
    answer = admin.post("/admin/calendars/due/", data=good)
    assert answer.status_code == 422 and "no working time" in text(answer)
    assert admin.get("/admin/calendars/year/?year=2025").status_code == 200


# --- the official table ----------------------------------------------------------------------------------------


def test_seeding_twice_adds_nothing_and_keeps_what_was_changed(app: Flask, top: Unit) -> None:
    admin = signed_in(app, top)
    assert admin.post("/admin/official-days/drop/", data={"day": "2026-02-23"}).status_code == 302
    with as_system() as work:
        assert official_table.seed() == []
        assert work.scalar(select(CalendarDay.day).where(CalendarDay.day == date(2026, 2, 23))) is None
        years = {one.year: one.final for one in official_table.years()}
    assert sorted(years) == list(range(2004, 2028))
    assert [year for year, final in years.items() if not final] == [2027]


def test_a_day_is_added_and_every_calendar_follows(app: Flask, top: Unit) -> None:
    admin = signed_in(app, top)
    with in_scope(top):
        before = unit_calendars.calendar_for(top.id)
    day = {"day": "2026-09-03", "kind": "off", "name": "纪念日"}
    assert admin.post("/admin/official-days/", data=day).status_code == 302
    with in_scope(top):
        after = unit_calendars.calendar_for(top.id)
    assert before.is_working_day(date(2026, 9, 3)) and not after.is_working_day(date(2026, 9, 3))
    assert before.version != after.version
    for field, more in (("day", {"day": "2026-02-30"}), ("kind", {"kind": "x"}), ("day", {"day": "1066-10-14"})):
        answer = admin.post("/admin/official-days/", data={**day, **more})
        assert answer.status_code == 422 and f'id="error-{field}"' in text(answer)
    assert admin.post("/admin/official-days/drop/", data={"day": "2026-09-04"}).status_code == 404


NOTICE = "日期,类型,名称\n2027年1月1日,休,元旦\n2027/1/2,放假,元旦\n2027-01-03,off,元旦\n2027-02-14,班,春节调休\n"


@pytest.mark.parametrize("how", ["file", "pasted"])
def test_a_notice_replaces_its_year_and_publishes_it(app: Flask, top: Unit, how: str) -> None:
    admin = signed_in(app, top)
    sent: Any = NOTICE if how == "pasted" else (io.BytesIO(NOTICE.encode("gb18030")), "notice.csv")
    answer = admin.post("/admin/official-days/import/", data={how: sent, "final": "1"})
    assert answer.status_code == 302
    with in_scope(top):
        held = unit_calendars.calendar_for(top.id)
        assert held.is_working_day(date(2027, 2, 14)) and held.provisional(date(2027, 1, 1), date(2027, 2, 1)) == ()
        assert held.is_working_day(date(2027, 10, 1)), "the year was replaced"
        assert not held.is_working_day(date(2026, 10, 1)), "other years were not"
    with as_system() as work:
        entry = work.scalars(
            select(Audit).where(Audit.action == "calendar.official").order_by(Audit.id.desc())
        ).first()
        assert entry.subject_id == "2027" and len(entry.after["days"]) == 4


@pytest.mark.parametrize(
    "content",
    [
        "",
        "hello",
        "日期,类型\n2027-13-01,休\n",
        "日期,类型\n2027-01-01,maybe\n",
        "日期,类型\n2027-01-01,休\n2027-01-01,班\n",
        "日期,类型\n3027-01-01,休\n",
        "日期,名称\n2027-01-01,元旦\n",
        "日期,类型\n",
    ],
)
def test_a_file_that_does_not_fit_changes_nothing(app: Flask, top: Unit, content: str) -> None:
    admin = signed_in(app, top)
    sent = {"file": (io.BytesIO(content.encode()), "notice.csv"), "final": "1"}
    answer = admin.post("/admin/official-days/import/", data=sent)
    assert answer.status_code == 422 and 'role="alert"' in text(answer)
    with as_system() as work:
        assert not work.scalar(select(CalendarYear.final).where(CalendarYear.year == 2027))
        assert len(official_table.days_of(2027)) > 10


def test_the_table_belongs_to_the_top_unit(app: Flask, top: Unit) -> None:
    branch = signed_in(app, make_unit("BR", top))
    assert branch.get("/admin/official-days/").status_code == 200
    day = {"day": "2026-09-03", "kind": "off", "name": "纪念日"}
    for path, data in (("", day), ("drop/", {"day": "2026-10-01"}), ("final/", {"year": "2027", "final": "1"})):
        assert branch.post(f"/admin/official-days/{path}", data=data).status_code == 403, path
    assert branch.post("/admin/official-days/import/", data={"pasted": NOTICE}).status_code == 403
    assert branch.post("/admin/official-days/seed/").status_code == 403
    assert "Import a notice" not in text(branch.get("/admin/official-days/"))


def test_marking_a_year_published_takes_the_warning_away(app: Flask, top: Unit) -> None:
    admin = signed_in(app, top)
    assert "provisional" in text(admin.get("/admin/official-days/?year=2027"))
    assert admin.post("/admin/official-days/final/", data={"year": "2027", "final": "1"}).status_code == 302
    with in_scope(top):
        assert unit_calendars.calendar_for(top.id).provisional(date(2027, 1, 1), date(2027, 2, 1)) == ()
    assert admin.post("/admin/official-days/final/", data={"year": "2050", "final": "1"}).status_code == 404


@pytest.mark.parametrize("year", ["", "x", "0", "99999", "²⁰²⁶", "1"])
def test_a_malformed_year_is_this_year(app: Flask, top: Unit, year: str) -> None:
    admin = signed_in(app, top)
    now = datetime.now().year
    assert f"· {now}" in text(admin.get(f"/admin/calendars/year/?year={year}"))
    assert f"· {now}" in text(admin.get(f"/admin/official-days/?year={year}"))


def test_the_command_seeds_imports_and_lists(sqlite_app: Flask, tmp_path: Any) -> None:
    notice = tmp_path / "notice.csv"
    notice.write_text(NOTICE, "utf-8")
    runner = sqlite_app.test_cli_runner()
    assert "2004" in runner.invoke(args=["calendars", "seed"]).output
    assert "2027: 4 days" in runner.invoke(args=["calendars", "import", str(notice)]).output
    listed = runner.invoke(args=["calendars", "list"]).output
    assert "2027    3 / 1   published" in listed
    notice.write_text("日期,类型\n2027-01-01,maybe\n", "utf-8")
    refused = runner.invoke(args=["calendars", "import", str(notice)])
    assert refused.exit_code == 1 and "Line 2" in refused.output
