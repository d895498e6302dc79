"""A year's service log becomes finished cases: taken as it is, flagged, never twice."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask_babel import force_locale
from openpyxl import load_workbook
from sqlalchemy import func, select

from core.cases import history
from core.cases.models import Case
from core.cases.vocabulary import HISTORY_FLAGS
from core.customers.models import Customer
from core.customers.services import create_customer
from core.kernel import importing, search
from core.kernel.audit import Audit
from core.kernel.database import session, transaction
from core.kernel.errors import InvalidData, NotAllowed
from core.records.models import CLOSED, SOLVED, Fact, Record
from tests.helpers import as_system, in_scope, make_unit, make_user

LOG = Path(__file__).parents[2] / "shared" / "data" / "service_log_2025.csv"
MAY = {"case.import", "case.view", "customer.create"}


def line(**changes: str) -> dict[str, str]:
    """Return one row of a log; every time in order unless changed."""
    return {
        "number": "SH1",
        "received": "2025-03-01 09:00",
        "channel": "电话",
        "customer": "C00001",
        "serial": "SR20A-2305-01999",
        "nature": "维修",
        "urgency": "一般",
        "description": "采暖散热器阀门渗漏",
        "responded": "2025-03-01 09:10",
        "forwarded": "2025-03-01 10:00",
        "contacted": "2025-03-01 11:00",
        "distance": "301",
        "arrived": "2025-03-02 09:00",
        "solved": "2025-03-02 10:00",
        "confirmed": "2025-03-03 10:00",
        "rating": "4",
        **changes,
    }


def read(**changes: str) -> history.Past:
    return history.read_row(line(**changes), timezone="Asia/Shanghai")


def take(unit, user, *rows):
    with in_scope(unit, MAY, user):
        return history.take_over(unit.id, rows)


def test_facts_stand_at_their_own_times_in_order(app):
    unit = make_unit("F")
    user = make_user(unit)
    with in_scope(unit, MAY, user):
        customer = create_customer(unit.id, {"name": "盟新科技有限公司"})
        session().commit()
    assert take(unit, user, read()).created == 1
    with in_scope(unit, MAY, user) as work:
        record = work.scalars(select(Record)).one()
        facts = work.scalars(select(Fact).order_by(Fact.seq)).all()
        case = work.scalars(select(Case)).one()
    assert [f.kind for f in facts] == [
        "registered", "responded", "forwarded", "contacted", "arrived", "solved", "confirmed", "rated", "archived",
    ]  # fmt: skip
    assert [f.seq for f in facts] == list(range(1, 10))
    assert facts[0].at == datetime(2025, 3, 1, 1, 0, tzinfo=UTC)  # 09:00 in the unit's zone
    assert all(f.data["source"] == "service_log" for f in facts)
    assert all(f.entered_at > datetime(2026, 1, 1, tzinfo=UTC) and f.actor_id == user.id for f in facts)
    assert (record.number, record.state, record.category) == ("SH1", "closed", CLOSED)
    assert (record.customer_id, record.fact_seq, record.version) == (customer.id, 9, 1)
    assert record.closed_at == facts[6].at
    assert (case.rating, str(case.distance_km), case.history_flags) == (4, "301.0", "")


def test_a_case_nobody_confirmed_stays_solved(app):
    unit = make_unit("F")
    take(unit, make_user(unit), read(confirmed="", rating="5"))
    with in_scope(unit, MAY) as work:
        record, case = work.execute(select(Record, Case).join(Case, Case.id == Record.id)).one()
        kinds = set(work.scalars(select(Fact.kind)))
    assert (record.state, record.category, record.closed_at) == ("solved", SOLVED, None)
    assert not kinds & {"confirmed", "rated", "archived"}
    assert set(case.history_flags.split(",")) == {"rated_unconfirmed", "unknown_customer"}


@pytest.mark.parametrize(
    ("changes", "flag"),
    [
        ({"arrived": "2025-03-01 09:30"}, "arrival_before_forward"),
        ({"arrived": "2025-03-01 10:30"}, "arrival_before_contact"),
        ({"solved": "2025-03-01 10:59"}, "contact_after_done"),
        ({"responded": "2025-03-01 12:00"}, "response_after_contact"),
        ({"confirmed": "2025-03-02 09:59"}, "confirmed_before_done"),
        ({"responded": "2025-02-28 09:00"}, "before_received"),
        ({"confirmed": "2125-03-02 09:59"}, "in_future"),
    ],
)
def test_odd_times_are_flagged_and_taken(sqlite_app, changes, flag):
    unit = make_unit("F")
    assert flag in HISTORY_FLAGS
    assert flag in read(**changes).flags
    assert take(unit, make_user(unit), read(**changes)).flags[flag] == 1


def test_equal_times_are_in_order(sqlite_app):
    assert read(forwarded="2025-03-01 11:00", arrived="2025-03-01 11:00").flags == ()


@pytest.mark.parametrize(
    ("changes", "column"),
    [
        ({"solved": "2025-02-30 10:00"}, "solved"),
        ({"received": "yesterday"}, "received"),
        ({"received": ""}, "received"),
        ({"number": " "}, "number"),
        ({"channel": "烟火"}, "channel"),
        ({"rating": "6"}, "rating"),
        ({"distance": "far"}, "distance"),
    ],
)
def test_rows_that_cannot_be_read_say_which_column(sqlite_app, changes, column):
    with sqlite_app.app_context(), pytest.raises(InvalidData) as bad:
        read(**changes)
    assert list(bad.value.errors) == [column]


def test_full_width_figures_and_other_date_styles_are_read(sqlite_app):
    row = read(number="ｓｈ２", received="2025/3/1 9:00", solved="2025年3月2日 10:00:30", rating="４")
    assert (row.number, row.rating) == ("SH2", 4)
    assert row.times["solved"] == datetime(2025, 3, 2, 2, 0, 30, tzinfo=UTC)


def test_a_second_import_changes_nothing_and_says_so(app):
    unit, user = make_unit("F"), None
    user = make_user(unit)
    take(unit, user, read(), read(number="SH2"))
    again = take(unit, user, read(description="anders"), read(number="SH3"), read(number="SH3"))
    assert (again.created, again.present) == (1, ["SH1"])
    with in_scope(unit, MAY) as work:
        assert sorted(work.scalars(select(Record.number))) == ["SH1", "SH2", "SH3"]
        assert set(work.scalars(select(Case.description))) == {"采暖散热器阀门渗漏"}
        assert work.scalar(select(func.count(Fact.id))) == 27


def test_another_unit_may_hold_the_same_numbers(app):
    one, two = make_unit("A"), make_unit("B")
    take(one, make_user(one), read())
    assert take(two, make_user(two), read()).created == 1


def test_without_permission_nothing_is_taken(app):
    unit = make_unit("F")
    with in_scope(unit, {"case.view"}, make_user(unit)), pytest.raises(NotAllowed):
        history.take_over(unit.id, [read()])


def test_imported_cases_are_found_by_search(app):
    unit = make_unit("F")
    take(unit, make_user(unit), read(), read(number="SH2", description="壁挂炉不启动"))
    with in_scope(unit, MAY) as work:
        found = search.search(frozenset({unit.id}), "case", "阀门渗漏")
        assert [work.scalar(select(Record.number).where(Record.id == f.entity_id)) for f in found] == ["SH1"]


def test_a_merged_customer_leads_to_the_one_kept(app):
    unit = make_unit("F")
    user = make_user(unit)
    with in_scope(unit, MAY, user) as work:
        kept = create_customer(unit.id, {"name": "留下"})
        lost = create_customer(unit.id, {"name": "并入"})
        lost.merged_into_id = kept.id
        work.commit()
        numbers = (kept.number, lost.number)
    take(unit, user, read(customer=numbers[1]))
    with in_scope(unit, MAY) as work:
        assert work.scalar(select(Customer.number).join(Record, Record.customer_id == Customer.id)) == numbers[0]


def name_of(heading: str) -> str:
    return next(c.name for c in history.COLUMNS if c.is_called(heading))


HEADINGS = "工单号,受理时间,渠道,客户编号,类别,问题描述,转交时间,到达时间,完成时间,客户确认时间,评分"
TABLE = f"""{HEADINGS}
SH1,2025-05-01 02:17,微信,C1,更换,阀门渗漏,2025-05-06 14:02,2025-05-04 05:17,2025-05-06 15:00,2025-05-07 06:17,4
SH2,2025-05-01 02:17,微信,C1,维修,画面丢失,2025-05-02 14:02,,2025-02-30 10:00,,
SH3,2025-05-01 02:17,微信,C1,维修,画面丢失,2025-05-02 14:02,,2025-05-03 10:00,,
SH1,2025-05-01 02:17,微信,C1,维修,画面丢失,2025-05-02 14:02,,2025-05-03 10:00,,
,2025-05-01 02:17,微信,C1,维修,画面丢失,2025-05-02 14:02,,2025-05-03 10:00,,
"""


def bring_in(unit, user):
    with in_scope(unit, MAY, user):
        with transaction():
            run = importing.stage("service-log", unit.id, io.BytesIO(TABLE.encode("gb18030")), "台账.csv")
        importing.check(run)
        preview = importing.preview_rows(run)
        assert session().scalar(select(func.count(Record.id))) in (0, 2)
        session().rollback()
        done = importing.confirm(run.id)
        return preview, done.counts, importing.rejected_file(done)


def test_the_importer_previews_confirms_and_hands_back_what_it_could_not_read(app):
    unit = make_unit("F")
    user = make_user(unit)
    with app.test_request_context(), force_locale("zh"):
        preview, counts, rejected = bring_in(unit, user)
    assert (counts["rows"], counts["create"], counts["error"]) == (5, 2, 3)
    assert [(v.line, v.action) for v in preview] == [
        (2, "create"),
        (3, "error"),
        (4, "create"),
        (5, "error"),
        (6, "error"),
    ]
    assert len(preview[0].warnings) == 2  # arrival before forwarding, unknown customer
    sheet = load_workbook(rejected).active
    assert [row[0] for row in sheet.iter_rows(min_row=2, values_only=True)] == [3, 5, 6]
    with in_scope(unit, MAY) as work:
        assert sorted(work.scalars(select(Record.number))) == ["SH1", "SH3"]
    assert counts["note:arrival_before_forward"] == 1
    assert counts["note:unknown_customer"] == 2
    with as_system() as work:  # the figures stay in the audit trail
        entry = work.scalars(select(Audit).where(Audit.action == "import.done")).one()
    assert entry.detail["note:arrival_before_forward"] == 1
    with app.test_request_context(), force_locale("zh"):
        _, counts, _ = bring_in(unit, user)
    assert (counts.get("create", 0), counts["same"], counts["error"]) == (0, 2, 3)


@pytest.mark.skipif(not LOG.exists(), reason="the sample log is not here")
def test_the_sample_log_gives_the_known_counts(sqlite_app):
    with LOG.open(encoding="utf-8-sig", newline="") as file:
        rows = [{name_of(k): v for k, v in row.items()} for row in csv.DictReader(file)]
    written = history.count_as_written(rows)
    assert (len(rows), written["arrival_before_forward"], written["contact_after_done"]) == (5000, 910, 1042)
    good, bad = [], []
    for row in rows:
        try:
            good.append(history.read_row(row, timezone="Asia/Shanghai"))
        except InvalidData as error:
            bad.append((row["solved"], list(error.errors)))
    # The rows with the 30th of February cannot be read; 10 and 44 of the figures above are theirs.
    assert len(bad) == 50 and {b[0] for b in bad} == {"2025-02-30 10:00"} and all(b[1] == ["solved"] for b in bad)
    unit = make_unit("F")
    user = make_user(unit)
    with in_scope(unit, MAY, user) as work:
        flags = sum(
            (history.take_over(unit.id, good[i : i + 1000]).flags for i in range(0, len(good), 1000)),
            start=type(written)(),
        )
        assert work.scalar(select(func.count(Record.id))) == 4950
    assert (flags["arrival_before_forward"], flags["contact_after_done"]) == (900, 998)
