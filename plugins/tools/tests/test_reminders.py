"""Reminders to bring tools back: when, to whom, how many, and when they stop."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from core.kernel import clock
from core.records.models import Notice
from core.sdk import User, perform
from plugins.tools import reminders, settings, values
from plugins.tools.models import Reminder
from plugins.tools.reminders import Terms, next_number
from tests.helpers import as_system, in_scope

from .scene import Place, make_place

DAY = timedelta(days=1)
DUE = datetime(2026, 3, 10, 9, tzinfo=UTC)


@pytest.fixture
def place(app: Flask) -> Place:
    return make_place()


@pytest.fixture
def lite(sqlite_app: Flask) -> Place:
    return make_place()


def lend(place: Place, user: User, days: float = 2) -> int:
    """Lend a tool to somebody for so many days; return its id."""
    tool = place.tool()
    until = (place.now + timedelta(days=days)).isoformat()
    place.hand(values.LOAN, place.store, place.person(user), [tool], due_at=until)
    return tool


def run(place: Place) -> int:
    """Send what is due, as the job does: nobody is signed in."""
    with clock.frozen(place.now), in_scope(place.unit):
        return reminders.send_due(place.unit.id)


def told(place: Place) -> list[tuple[int, str]]:
    with as_system() as work:
        wanted = select(Notice).where(Notice.kind == "tools.due", Notice.unit_id == place.unit.id)
        return [(one.user_id, one.text) for one in work.scalars(wanted.order_by(Notice.id))]


def log(place: Place) -> list[tuple[int, str]]:
    return [(one.number, one.to) for one in place.all(select(Reminder).order_by(Reminder.id))]


# --- when ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "now", "number"),
    [
        ([], DUE - 2 * DAY, None),
        ([], DUE - DAY, 0),
        ([DUE - DAY], DUE - DAY / 2, None),
        ([DUE - DAY], DUE, 1),
        ([], DUE, 0),
        ([DUE], DUE + DAY / 2, None),
        ([DUE], DUE + DAY, 1),
        ([DUE - DAY, DUE], DUE + DAY, 2),
        ([DUE - DAY, DUE, DUE + DAY], DUE + 9 * DAY, None),
    ],
)
def test_the_next_one(sent: list[datetime], now: datetime, number: int | None) -> None:
    assert next_number(Terms(DAY, DAY, 3), DUE, sent, now) == number


def test_none_before_none_repeated_none_at_all() -> None:
    assert next_number(Terms(0 * DAY, DAY, 3), DUE, [], DUE - DAY / 9) is None
    once = Terms(DAY, 0 * DAY, 9)
    assert next_number(once, DUE, [], DUE) == 0
    assert next_number(once, DUE, [DUE], DUE + 90 * DAY) is None
    assert next_number(Terms(DAY, DAY, 0), DUE, [], DUE + DAY) is None


@given(
    st.integers(0, 5), st.integers(0, 5), st.integers(0, 6), st.lists(st.integers(1, 80), min_size=1, max_size=60)
)
def test_however_often_it_runs_it_stops_at_the_number(lead: int, every: int, most: int, hours: list[int]) -> None:
    terms, now, sent = Terms(lead * DAY, every * DAY, most), DUE - 7 * DAY, []
    for step in hours:
        now += timedelta(hours=step)
        number = next_number(terms, DUE, sent, now)
        if number is None:
            continue
        assert number == len(sent)
        sent.append(now)
    assert len(sent) <= most
    assert sum(one < DUE for one in sent) <= bool(lead)
    late = [one for one in sent if one >= DUE]
    assert len(late) <= 1 or every
    assert all(b - a >= every * DAY for a, b in pairwise(late))


# --- sending -------------------------------------------------------------------------------------


def test_the_holder_is_reminded_before_and_after_until_the_number(place: Place) -> None:
    place.office.set(settings.REMIND_MOST, 3)
    tool = lend(place, place.ann)
    assert run(place) == 0
    place.later(days=1)
    assert run(place) == 1
    assert run(place) == 0
    place.later(days=1)
    assert run(place) == 1
    for _day in range(5):
        place.later(days=1)
        run(place)
    assert log(place) == [(0, "安师傅"), (1, "安师傅"), (2, "安师傅")]
    assert {user for user, _text in told(place)} == {place.ann.id}
    assert all(text.endswith("2026-03-04 09:00") for _user, text in told(place))
    with place.acting():
        assert [one.number for one in reminders.of_tool(tool)] == [2, 1, 0]


def test_it_stops_when_the_tool_is_back_and_the_next_loan_counts_anew(place: Place) -> None:
    tool = lend(place, place.ann)
    place.later(days=1)
    run(place)
    place.bring_back(place.ann, tool)
    place.later(days=10)
    assert run(place) == 0
    until = (place.now + DAY).isoformat()
    place.hand(values.LOAN, place.store, place.person(place.bob), [tool], due_at=until)
    assert run(place) == 1
    assert log(place) == [(0, "安师傅"), (0, "鲍师傅")]


def test_more_time_begins_anew(lite: Place) -> None:
    lite.office.set(settings.REMIND_MOST, 1)
    tool = lend(lite, lite.ann)
    lite.later(days=3)
    assert run(lite) == 1
    lite.later(days=3)
    assert run(lite) == 0
    with lite.acting():
        perform(tool, "extend", {"due_at": (lite.now + 3 * DAY).isoformat()})
    assert run(lite) == 0
    lite.later(days=4)
    assert run(lite) == 1
    assert run(lite) == 0


def test_a_department_is_told_through_its_person(lite: Place) -> None:
    theirs = lite.party(values.DEPARTMENT, "生产部", lite.bob)
    nobody = lite.party(values.DEPARTMENT, "销售部")
    for party in (theirs, nobody):
        lite.hand(values.LOAN, lite.store, party, [lite.tool()])
    lite.later(days=2)
    assert run(lite) == 1
    assert [user for user, _text in told(lite)] == [lite.bob.id]


def test_off_is_off(lite: Place) -> None:
    lite.office.set(settings.REMIND_MOST, 0)
    lend(lite, lite.ann)
    lite.later(days=3)
    assert run(lite) == 0


def test_a_lost_tool_is_not_asked_for(lite: Place) -> None:
    lost = lend(lite, lite.ann)
    lite.step(lost, "lose", note="丢失")
    lend(lite, lite.bob)
    lite.later(days=3)
    assert run(lite) == 1
    assert [user for user, _text in told(lite)] == [lite.bob.id]


def test_issued_tools_have_no_time(lite: Place) -> None:
    lite.issue(lite.ann, lite.tool())
    lite.later(days=400)
    assert run(lite) == 0


def test_two_runners_send_each_once(place: Place) -> None:
    for _one in range(3):
        lend(place, place.ann)
    place.later(days=2)
    with clock.frozen(place.now), in_scope(place.unit) as work:
        ready = [(one, one.tool.due_at) for one in reminders._due(place.unit.id, place.now, 0)]
        work.expunge_all()
    assert run(place) == 3
    # The other runner read before the first one wrote.
    with clock.frozen(place.now), in_scope(place.unit):
        again = [reminders._remind(one, due, 0, place.now) for one, due in ready if due is not None]
    assert again == [False, False, False]
    assert len(told(place)) == 3
