"""Reports: figures against scenes counted by hand, exact sums, rights and units, files, and mails sent once."""

from __future__ import annotations

import contextvars
import io
import itertools
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook
from sqlalchemy import event, func, select

from core.cases.models import Case
from core.jobs import runner
from core.kernel import clock
from core.kernel.audit import Audit
from core.kernel.database import db, unit_scope
from core.kernel.errors import InvalidData, NotAllowed, NotFound
from core.kernel.extensions import Report, ReportColumn
from core.kernel.i18n import speaking
from core.kernel.ids import uuid7
from core.kernel.outbox import Outbox
from core.notices import smtp
from core.records.models import Record
from core.reports import files, making, own, periods, schedules
from core.reports.making import ROW, SUBTOTAL, TOTAL
from core.reports.models import ReportSchedule
from core.rules.charge_models import Charge
from core.units.models import Unit
from core.users.models import User, UserPosition
from tests.casework import reading
from tests.helpers import as_system, in_scope, login, make_unit, make_user, switch_on

NOW = datetime(2026, 3, 18, 4, 0, tzinfo=UTC)  # a Wednesday, noon in Shanghai
RIGHTS = {"report.view", "charge.view", schedules.MANAGE, "products.view"}


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


def add_case(unit: Unit, received: datetime, **values: Any) -> int:
    category = values.pop("category", "open")
    case = {"channel": "phone", "nature": "repair", "urgency": "normal", **values.pop("case", {})}
    with as_system() as work:
        record = Record(
            unit_id=unit.id,
            uid=uuid7(),
            type="case",
            number=uuid7().hex[:20],
            title="漏水",
            state="x",
            category=category,
            received_at=received,
            entered_at=received,
            **values,
        )
        work.add(record)
        work.flush()
        work.add(Case(id=record.id, unit_id=unit.id, description="漏水", **case))
        return record.id


def add_charge(unit: Unit, record_id: int, number: int, amount: str, **values: Any) -> None:
    with as_system() as work:
        work.add(
            Charge(
                unit_id=unit.id,
                record_id=record_id,
                source="test",
                line=number,
                code="fee",
                label="上门费",
                amount=Decimal(amount),
                created_at=NOW,
                **{"clause": "R01-1", "payer": "customer", "state": "posted", "month": "2026-03", **values},
            )
        )


@contextmanager
def looking(*units: Unit, rights: set[str] = RIGHTS) -> Iterator[Any]:
    with in_scope(units, rights) as work, speaking("en"):
        yield work


def shown(report: Report, unit: Unit, raw: dict[str, Any] | None = None, **more: Any) -> list[tuple[Any, ...]]:
    """Return (kind, cells...) of every line."""
    return [(line.kind, *line.cells) for line in making.lines(making.ask(report, unit.id, raw or {}, **more))]


def at(day: int, hour: int = 12, month: int = 3) -> datetime:
    """A moment of Shanghai's clock in 2026."""
    return datetime(2026, month, day, hour, tzinfo=UTC) - timedelta(hours=8)


# --- figures ----------------------------------------------------------------------------------------


def test_cases_by_source_are_those_counted_by_hand(app: Flask) -> None:
    unit, other = make_unit(), make_unit()
    add_case(unit, at(28, 23, month=2))
    add_case(unit, at(1, 0), category="closed")  # still February in UTC, March here
    add_case(unit, at(2), category="solved")
    add_case(unit, at(3))
    add_case(unit, at(3), category="cancelled", case={"nature": "complaint"})
    add_case(unit, at(4), category="paused", case={"channel": "wechat", "nature": ""})
    add_case(other, at(4))
    with looking(unit):
        assert shown(own.SOURCES, unit) == [
            (ROW, "2026-03", "Telephone", "Repair", 3, 2, 0, 1, Decimal(2) / 3),
            (ROW, "2026-03", "Telephone", "Complaint", 1, 0, 1, 0, 0),
            (ROW, "2026-03", "WeChat", "Not classified yet", 1, 0, 0, 1, 0),
            (TOTAL, "Total", None, None, 5, 2, 1, 2, Decimal(2) / 5),
        ]
        raw = {"period": "own", "first": "2026-02-01", "last": "2026-03-31", "nature": "repair"}
        assert shown(own.SOURCES, unit, raw, group="channel") == [
            (ROW, "Telephone", "2026-02", "Repair", 1, 0, 0, 1, 0),
            (ROW, "Telephone", "2026-03", "Repair", 3, 2, 0, 1, Decimal(2) / 3),
            (SUBTOTAL, "Telephone: subtotal", None, None, 4, 2, 0, 2, Decimal(1) / 2),
            (TOTAL, "Total", None, None, 4, 2, 0, 2, Decimal(1) / 2),
        ]


def test_the_backlog_is_counted_by_age_and_person(app: Flask) -> None:
    unit = make_unit(name="杭州店", name_en="Hangzhou")
    anna = make_user(unit, name="安娜")
    for days, late in ((0.5, True), (1.5, False), (3.5, False), (7.5, True), (31, True)):
        due = NOW - timedelta(hours=1) if late else NOW + timedelta(hours=1)
        add_case(unit, NOW - timedelta(days=days), assignee_id=anna.id, next_due_at=due)
    add_case(unit, NOW - timedelta(days=2), category="paused", case={"urgency": "urgent"})
    add_case(unit, NOW - timedelta(days=2), category="closed")
    with looking(unit):
        assert shown(own.BACKLOG, unit) == [
            (ROW, "安娜", "Hangzhou", 5, 3, 1, 1, 1, 1, 1, Decimal(3) / 5),
            (ROW, "Nobody yet", "Hangzhou", 1, 0, 0, 1, 0, 0, 0, 0),
            (TOTAL, "Total", None, 6, 3, 1, 2, 1, 1, 1, Decimal(1) / 2),
        ]
        assert [line[2:4] for line in shown(own.BACKLOG, unit, {"urgency": "urgent"})[:1]] == [("Hangzhou", 1)]


def test_charges_are_summed_to_the_cent(app: Flask) -> None:
    unit = make_unit()
    case = add_case(unit, at(2))
    for number in range(1, 31):
        add_charge(unit, case, number, "0.10")
    add_charge(unit, case, 31, "-0.30", payer="agent", state="settled")
    add_charge(unit, case, 32, "99.99", state="quoted", month="")
    add_charge(unit, case, 33, "7.00", month="2025-12")
    with looking(unit):
        assert shown(own.CHARGES, unit) == [
            (ROW, "2026-03", "Agent", "R01-1", 1, Decimal("-0.30")),
            (ROW, "2026-03", "Customer", "R01-1", 30, Decimal("3.00")),
            (TOTAL, "Total", None, None, 31, Decimal("2.70")),
        ]
        assert len(shown(own.CHARGES, unit, {"period": "12months", "state": ["posted"]})) == 3
    with looking(unit, rights={"report.view"}), pytest.raises(NotAllowed):
        shown(own.CHARGES, unit)


cells = st.one_of(st.none(), st.integers(-(10**9), 10**9))
money = st.one_of(st.none(), st.decimals(-(10**9), 10**9, places=2, allow_nan=False))
rows_of = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from(["a", "b", "", None]), "n": cells, "m": money}), max_size=40
)


@given(rows_of)
def test_subtotals_add_up_to_the_total_whatever_comes(rows: list[dict[str, Any]]) -> None:
    columns = (
        ReportColumn("name", "Name"),
        ReportColumn("n", "N", "number", total=True),
        ReportColumn("m", "M", "money", total=True),
        ReportColumn("s", "S", "percent", share=("n", "m")),
    )
    report = Report("x", "X", "x", columns, lambda _units, _values: iter(rows), group_by=("name",))
    for group in ("", "name"):
        found = list(making.lines(making.Ask(report, 1, (1,), {}, group)))
        assert [line.kind for line in found].count(ROW) == len(rows)
        total = found[-1]
        assert total.kind == TOTAL
        for place, code in ((1, "n"), (2, "m")):
            exact = sum((row[code] or 0 for row in rows), Decimal(0))
            assert total.cells[place] == exact
            if group:
                assert sum((o.cells[place] for o in found if o.kind == SUBTOTAL), Decimal(0)) == exact
        part, whole = total.cells[1], total.cells[2]
        assert total.cells[3] == (Decimal(part) / whole if whole else None)


# --- asking -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "first", "last"),
    [
        ("yesterday", date(2026, 3, 17), date(2026, 3, 17)),
        ("last_week", date(2026, 3, 9), date(2026, 3, 15)),
        ("this_month", date(2026, 3, 1), date(2026, 3, 18)),
        ("last_month", date(2026, 2, 1), date(2026, 2, 28)),
        ("quarter", date(2026, 1, 1), date(2026, 3, 18)),
        ("last_quarter", date(2025, 10, 1), date(2025, 12, 31)),
        ("year", date(2026, 1, 1), date(2026, 3, 18)),
        ("last_year", date(2025, 1, 1), date(2025, 12, 31)),
        ("12months", date(2025, 4, 1), date(2026, 3, 18)),
    ],
)
def test_presets_move_along_with_the_day(code: str, first: date, last: date) -> None:
    found = periods._preset(code, date(2026, 3, 18))
    assert found == (first, last)
    months = list(found.months())
    assert (months[0].first, months[-1].last) == (first, last)
    assert all(one.last + timedelta(days=1) == two.first for one, two in itertools.pairwise(months))


def test_filters_that_do_not_fit_are_told(sqlite_app: Flask) -> None:
    unit = make_unit()
    bad: tuple[tuple[dict[str, Any], str], ...] = (
        ({"period": "no"}, "period"),
        ({"nature": "' or 1=1"}, "nature"),
        ({"period": "own"}, "first"),
        ({"period": "own", "first": "2026-03-02", "last": "2026-03-01"}, "last"),
        ({"period": "own", "first": "2001-03-02", "last": "2026-03-01"}, "last"),
        ({"period": "own", "first": "0001-01-01", "last": "0001-01-02"}, "first"),
        ({"first": "x"}, "first"),
    )
    with looking(unit):
        for raw, name in bad:
            with pytest.raises(InvalidData) as told:
                shown(own.SOURCES, unit, raw)
            assert name in told.value.errors, raw
        with pytest.raises(InvalidData):
            shown(own.SOURCES, unit, group="received")


def test_units_below_count_where_the_right_is_held(sqlite_app: Flask) -> None:
    top = make_unit()
    below, hidden = make_unit(parent=top), make_unit(parent=top)
    for unit in (top, below, hidden, make_unit()):
        add_case(unit, at(2))
    with looking(top, below):
        assert shown(own.SOURCES, top)[-1][4] == 1
        assert shown(own.SOURCES, top, below=True)[-1][4] == 2
        with pytest.raises(NotAllowed):
            shown(own.SOURCES, hidden)
    # A right in the lower unit only opens the lower unit only.
    with in_scope([top, below], ()), pytest.raises(NotAllowed):
        shown(own.SOURCES, below)


def test_a_plugins_report_is_there_where_the_plugin_is_on(app: Flask) -> None:
    on, off = make_unit(), make_unit()
    switch_on(on, "products")
    with looking(on, off):
        assert "products.items" in [one.code for one in making.usable(on.id)]
        assert "products.items" not in [one.code for one in making.usable(off.id)]
        assert shown(making.find("products.items", on.id), on)[0][0] == TOTAL
        for code, unit in (("products.items", off), ("no.such", on), (None, on)):
            with pytest.raises(NotFound):
                making.find(code, unit.id)


def test_many_rows_are_capped_on_screen_and_refused_beyond_measure(sqlite_app: Flask) -> None:
    unit = make_unit()
    columns = (ReportColumn("name", "Name"), ReportColumn("n", "N", "number", total=True))
    report = Report(
        "x",
        "X",
        "report.view",
        columns,
        lambda _units, values: ({"name": str(n % 3), "n": 1} for n in range(values["count"])),
        group_by=("name",),
    )
    wanted = making.Ask(report, unit.id, (unit.id,), {"count": 2000}, "name")
    with looking(unit):
        found = making.table(wanted)
        assert (found.rows, found.left_out) == (2000, 1500)
        assert [line.kind for line in found.lines].count(SUBTOTAL) == 3
        assert found.lines[-1].cells == ("Total", 2000)
        with pytest.raises(making.TooMuch):
            making.table(making.Ask(report, unit.id, (unit.id,), {"count": making.MOST_ROWS + 1}))


def test_the_number_of_statements_does_not_grow(sqlite_app: Flask) -> None:
    unit = make_unit()

    def count() -> int:
        seen: list[str] = []

        def note(*args: Any) -> None:
            seen.append(args[2])

        with looking(unit):
            event.listen(db.engine, "before_cursor_execute", note)
            try:
                for report in (own.SOURCES, own.BACKLOG, own.CHARGES):
                    shown(report, unit)
            finally:
                event.remove(db.engine, "before_cursor_execute", note)
        return len(seen)

    case = add_case(unit, at(2))
    few = count()
    for number in range(20):
        add_case(unit, at(2), assignee_id=make_user(unit).id, case={"nature": ("repair", "other")[number % 2]})
        add_charge(unit, case, number, "1.00", clause=f"R01-{number}")
    assert count() == few


# --- screens and files ------------------------------------------------------------------------------


def test_screen_workbook_and_pdf_say_the_same(sqlite_app: Flask) -> None:
    unit = make_unit()
    user = make_user(unit, RIGHTS, locale="zh")
    case = add_case(unit, at(2))
    add_charge(unit, case, 1, "1234.50")
    add_charge(unit, case, 2, "0.50", payer="agent", clause="=1+1")
    client = login(sqlite_app.test_client(), user)
    assert "charges.months" in client.get("/admin/report-list/").get_data(as_text=True)
    address = "?report=charges.months&group=payer"
    page = client.get(f"/admin/report-list/show/{address}").get_data(as_text=True)
    for text in ("1,234.50", "1,235.00", "/admin/report-list/chart/wide?d="):
        assert text in page
    picture = page.split('src="')[1:]
    chart = next(one.split('"')[0] for one in picture if "chart/wide" in one).replace("&amp;", "&")
    drawn = client.get(chart)
    assert drawn.mimetype == "image/svg+xml" and "<script" not in drawn.get_data(as_text=True)
    book = client.post(f"/admin/report-list/file/{address}", data={"type": "xlsx"})
    sheet = load_workbook(io.BytesIO(book.get_data())).active
    book.close()
    table = [list(row) for row in sheet.iter_rows(values_only=True)]
    assert [row[-1] for row in table[1:]] == [0.5, 0.5, 1234.5, 1234.5, 1235]
    assert not any(cell.data_type == "f" for row in sheet.iter_rows() for cell in row)
    paper = client.post(f"/admin/report-list/file/{address}", data={"type": "pdf"})
    assert paper.mimetype == "application/pdf"
    assert paper.get_data().startswith(b"%PDF")
    if shutil.which("pdftotext"):
        done = subprocess.run(["pdftotext", "-", "-"], input=paper.get_data(), capture_output=True, check=True)
        assert "1,235.00" in done.stdout.decode()
    paper.close()
    with reading() as work:
        assert work.scalar(select(func.count()).select_from(Audit).where(Audit.action == "export")) == 2
    for bad in ("?report=charges.months&period=no", "?report=charges.months&group=amount"):
        answer = client.get(f"/admin/report-list/show/{bad}")
        assert answer.status_code == 422
    assert client.get("/admin/report-list/show/?report=no").status_code == 404
    assert client.post(f"/admin/report-list/file/{address}", data={"type": "exe"}).status_code == 404
    stranger = login(sqlite_app.test_client(), make_user(unit, {"case.view"}))
    assert stranger.get("/admin/report-list/").status_code == 403
    assert stranger.get(f"/admin/report-list/show/{address}").status_code == 403
    assert stranger.get("/admin/report-list/schedules/?report=charges.months").status_code == 403


# --- sent regularly ---------------------------------------------------------------------------------


@pytest.fixture
def post(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, list[Any], Any]]:
    sent: list[tuple[str, str, list[Any], Any]] = []

    def send(to: str, subject: str, text: str, html: Any = None, attachments: Any = (), headers: Any = None) -> str:
        if to.startswith("broken"):
            raise smtp.NotSent("busy")
        sent.append((to, subject, list(attachments), headers))
        return "id"

    monkeypatch.setattr(smtp, "send", send)
    return sent


def staff(unit: Unit, name: str, rights: set[str] = RIGHTS, **values: Any) -> User:
    return make_user(unit, rights, name=name, email=values.pop("email", f"{name}@example.com"), **values)


def plan(unit: Unit, who: list[User], **values: Any) -> int:
    raw = {
        "file_type": "xlsx",
        "cadence": "day",
        "at": "08:00",
        "recipients": [str(one.id) for one in who],
        "active": "1",
        **values,
    }
    with looking(unit):
        return schedules.save("cases.sources", unit.id, raw, {"period": "yesterday"}, below=True).id


def the_schedule() -> ReportSchedule:
    with reading() as work:
        return work.scalars(select(ReportSchedule)).one()


def publish(app: Flask, unit: Unit) -> None:
    with app.app_context(), unit_scope(unit.id, "test"):
        schedules.publish_due(unit.id)


@pytest.mark.parametrize(
    ("values", "after", "moment"),
    [
        ({"cadence": "day", "place": 1}, at(18, 12), at(19, 8)),
        ({"cadence": "day", "place": 1}, at(18, 7), at(18, 8)),
        ({"cadence": "day", "place": 1}, at(18, 8), at(19, 8)),
        ({"cadence": "week", "place": 3}, at(18, 7), at(18, 8)),
        ({"cadence": "week", "place": 3}, at(18, 9), at(25, 8)),
        ({"cadence": "week", "place": 1}, at(18, 9), at(23, 8)),
        ({"cadence": "month", "place": 28}, at(18, 9), at(28, 8)),
        ({"cadence": "month", "place": 1}, at(18, 9), at(1, 8, month=4)),
        ({"cadence": "month", "place": 18}, at(18, 7), at(18, 8)),
    ],
)
def test_the_next_time_of_a_schedule(
    sqlite_app: Flask, values: dict[str, Any], after: datetime, moment: datetime
) -> None:
    unit = make_unit(timezone="Asia/Shanghai")
    with looking(unit):
        assert schedules.next_time(ReportSchedule(unit_id=unit.id, at=time(8), **values), after) == moment


def test_each_gets_it_once_with_their_own_rights_and_language(app: Flask, post: list[Any]) -> None:
    top = make_unit()
    below = make_unit(parent=top)
    add_case(top, at(18))
    add_case(below, at(18))
    chief = staff(top, "chief", below=True, locale="en")
    clerk = staff(top, "clerk", locale="zh")
    no_right = staff(top, "noright", rights={"case.view"})
    gone = staff(top, "gone")
    plan(top, [chief, clerk, no_right, gone])
    with as_system() as work:
        for held in work.scalars(select(UserPosition).where(UserPosition.user_id == gone.id)):
            held.valid_to = date(2026, 3, 18)
    publish(app, top)
    assert post == []
    with clock.frozen(at(19, 8)):
        runners = [
            threading.Thread(target=contextvars.copy_context().run, args=(publish, app, top)) for _ in range(2)
        ]
        for one in runners:
            one.start()
        for one in runners:
            one.join(20)
        with reading() as work:
            assert work.scalar(select(func.count()).select_from(Outbox).where(Outbox.topic == "job")) == 1
        runner.run_once(app, tidy=False)
        publish(app, top)
        runner.run_once(app, tidy=False)
    assert [one[0] for one in post] == ["chief@example.com", "clerk@example.com"]
    assert post[0][1] == "Cases by source and category"
    books = [load_workbook(io.BytesIO(one[2][0][1])).active for one in post]
    assert [book.cell(book.max_row, 4).value for book in books] == [2, 1]
    assert books[0].cell(1, 1).value == "Month"
    assert post[0][3]["Auto-Submitted"] == "auto-generated"
    outcome = the_schedule().outcome
    assert outcome["sent"] == [chief.id, clerk.id]
    assert sorted(outcome["left_out"]) == sorted([str(no_right.id), str(gone.id)])
    assert the_schedule().next_run_at == at(20, 8)


def test_what_did_not_go_out_is_tried_again_and_shown(sqlite_app: Flask, post: list[Any]) -> None:
    unit = make_unit()
    anna, broken = staff(unit, "anna"), staff(unit, "broken")
    manager = staff(unit, "manager")
    plan(unit, [broken, anna], file_type="pdf")
    with clock.frozen(at(19, 8)):
        publish(sqlite_app, unit)
        runner.run_once(sqlite_app, tidy=False)
    assert [one[0] for one in post] == ["anna@example.com"]
    assert post[0][2][0][1].startswith(b"%PDF")
    assert the_schedule().outcome["failed"] == {str(broken.id): "busy"}
    client = login(sqlite_app.test_client(), manager)
    page = client.get("/admin/report-list/schedules/?report=cases.sources").get_data(as_text=True)
    assert "busy" in page
    with as_system() as work:
        work.scalars(select(User).where(User.id == broken.id)).one().email = "mended@example.com"
    with clock.frozen(at(19, 10)):
        runner.run_once(sqlite_app, tidy=False)
    assert [one[0] for one in post] == ["anna@example.com", "mended@example.com"]
    assert the_schedule().outcome["failed"] == {}


def test_schedules_are_kept_changed_and_dropped_on_their_screen(sqlite_app: Flask) -> None:
    unit = make_unit()
    manager = staff(unit, "manager")
    client = login(sqlite_app.test_client(), manager)
    address = "/admin/report-list/schedule/?report=cases.sources"
    form: dict[str, Any] = {
        "file_type": "pdf",
        "cadence": "week",
        "weekday": "3",
        "at": "09:00",
        "recipients": [str(manager.id)],
        "active": "1",
        "f_period": "last_week",
        "f_group": "channel",
    }
    bad = client.post(address, data={**form, "cadence": "x", "recipients": ["999"], "f_nature": "?"})
    assert bad.status_code == 422
    with reading() as work:
        assert work.scalar(select(func.count()).select_from(ReportSchedule)) == 0
    assert client.post(address, data=form).status_code == 302
    row = the_schedule()
    assert (row.place, row.filters, row.next_run_at) == (3, {"period": "last_week", "group": "channel"}, at(25, 9))
    changed = {**form, "cadence": "month", "day": "2", "version": str(row.version)}
    assert client.post(f"{address}&id={row.id}", data=changed).status_code == 302
    assert the_schedule().next_run_at == at(2, 9, month=4)
    assert client.post(f"{address}&id={row.id}", data=changed).status_code == 409
    assert client.get(f"{address}&id={row.id}").status_code == 200
    stranger = login(sqlite_app.test_client(), staff(make_unit(), "stranger"))
    assert stranger.get(f"{address}&id={row.id}").status_code == 404
    assert stranger.post("/admin/report-list/schedule/drop/", data={"id": row.id}).status_code == 404
    assert client.post("/admin/report-list/schedule/drop/", data={"id": row.id}).status_code == 302
    with reading() as work:
        assert work.scalar(select(func.count()).select_from(ReportSchedule)) == 0


def test_a_right_to_schedule_is_needed(sqlite_app: Flask) -> None:
    unit = make_unit()
    with looking(unit, rights={"report.view"}), pytest.raises(NotAllowed):
        schedules.save("cases.sources", unit.id, {}, {})
    with looking(unit, rights={schedules.MANAGE}), pytest.raises(NotAllowed):
        schedules.save("cases.sources", unit.id, {}, {})


def test_a_file_is_called_by_title_and_day_and_names_its_dates(sqlite_app: Flask) -> None:
    unit = make_unit()
    with looking(unit):
        told = dict(files.about(making.ask(own.SOURCES, unit.id, {})))
        assert told == {"Period": "This month, 2026-03-01 – 2026-03-18"}
        wanted = making.ask(own.BACKLOG, unit.id, {})
        assert files.file_name(wanted, "pdf") == "Open cases by age and person-20260318.pdf"
