"""What a partner sold itself is served out of warranty on a written request that the quality leader agreed to."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from core.kernel.errors import InvalidData, Refused
from core.records.attachments import attach
from core.records.engine import ask
from core.rules.approval_models import Approval
from core.sdk import Record, User, approvals
from plugins.agents import requests, values
from plugins.agents.models import Request
from plugins.agents.rules_classes import SERVING
from plugins.agents.tests.scene import HEAT, JOB, PLAT_K, Place, make_place
from tests.casework import kinds

LETTER = {"form": "written", "number": "HF-2025-18", "dated_on": "2025-11-01", "note": "请派人检修"}
CALL = {"form": "spoken"}
LONG_AGO = "2019-03-08"
R19, R13 = "R19-5.2.2.1", "R13-5.2.2.1"


@pytest.fixture
def place(app: Any) -> Place:
    return make_place(PLAT_K)


@pytest.fixture
def lite(sqlite_app: Any) -> Place:
    return make_place(PLAT_K)


def partner(place: Place, **columns: Any) -> int:
    return place.agent(values.PARTNER, **{"name": "韩方合作厂", **columns})


def out_of_warranty(place: Place, serial: str = "HF-0001", **more: Any) -> int:
    """A case about an item the partner sold years ago."""
    place.item(serial, "partner_sold", purchased_on=LONG_AGO)
    return place.case(serial, cause="wear", **more)


def enter(place: Place, key: int, **given: Any) -> None:
    place.do(key, "agents:request", given)


def current(place: Place, key: int) -> Request | None:
    with place.acting() as work:
        found = requests.request_of(work.get_one(Record, key))
        if found is not None:
            work.expunge(found)
        return found


def state(place: Place, key: int) -> str:
    with place.acting() as work:
        found = requests.request_of(work.get_one(Record, key))
        return requests.state_of(found) if found is not None else ""


def asked(place: Place, key: int) -> list[Approval]:
    with place.acting() as work:
        found = list(work.scalars(select(Approval).where(Approval.record_id == key).order_by(Approval.id)))
        work.expunge_all()
        return found


def decide(place: Place, user: User, key: int, agreed: bool = True) -> None:
    """Agree to the latest request of a case, or reject it."""
    latest = asked(place, key)[-1]
    with place.office.acting(user):
        if agreed:
            approvals.agree(latest.id)
        else:
            approvals.reject(latest.id, "范围不清")


def against(place: Place, key: int) -> dict[str, set[str]]:
    """Return which clauses want a request before each step, as the case's page shows it."""
    with place.acting() as work:
        return {
            one.transition.name: {refusal.clause for refusal in one.refusals if refusal.code == "request"}
            for one in ask(work.get_one(Record, key))
            if one.transition.name in SERVING
        }


def nothing() -> dict[str, set[str]]:
    return {one: set() for one in SERVING}


def everything(clause: str = R19) -> dict[str, set[str]]:
    return {one: {clause} for one in SERVING}


def refused(call: Any) -> tuple[str, str]:
    with pytest.raises(Refused) as caught:
        call()
    return caught.value.refusals[0].code, caught.value.refusals[0].clause


def beside(call: Any) -> set[str]:
    with pytest.raises(InvalidData) as caught:
        call()
    return set(caught.value.errors)


# --- the clause ----------------------------------------------------------------------------------


@pytest.mark.clause("R19-5.2.2.1", "R19-5.2.2")
def test_without_a_written_request_that_was_agreed_to_nobody_serves(place: Place) -> None:
    partner(place)
    key = out_of_warranty(place)
    assert against(place, key) == everything()
    assert refused(lambda: place.do(key, "warranty:quote", JOB)) == ("request", R19)
    enter(place, key, **CALL)
    assert (state(place, key), asked(place, key)) == (requests.SPOKEN, [])
    assert against(place, key) == everything()
    enter(place, key, **LETTER)
    assert state(place, key) == requests.WAITING
    (one,) = asked(place, key)
    assert (one.clause, one.position, one.state) == (R19, "quality_leader", "waiting")
    assert [fact["value"] for fact in one.data["facts"]] == ["韩方合作厂", "HF-2025-18 2025-11-01"]
    assert against(place, key) == everything()
    with pytest.raises(Refused) as caught:
        decide(place, place.office.staff("service_leader"), key)
    assert caught.value.refusals[0].code == "wrong_role"
    assert against(place, key) == everything()
    decide(place, place.office.staff("quality_leader"), key)
    assert state(place, key) == requests.AGREED
    assert against(place, key) == nothing()
    with place.acting():
        assert kinds(key)[-3:] == ["partner_requested", "partner_requested", "request_agreed"]
    place.do(key, "warranty:quote", JOB)


@pytest.mark.clause("R13-5.2.2.1", "R13-5.2.2")
def test_the_older_regulation_asks_the_same(sqlite_app: Any) -> None:
    place = make_place(HEAT)
    partner(place)
    place.clause("R13-5.2.2.1", position="gm")
    key = out_of_warranty(place)
    place.set_class(key, "4.3")
    assert against(place, key) == everything(R13)
    enter(place, key, **LETTER)
    assert asked(place, key)[0].position == "gm"
    decide(place, place.office.staff("gm"), key)
    assert against(place, key) == nothing()


@pytest.mark.clause("R13-5.2.2.1", "R13-5.2.2")
@pytest.mark.parametrize("clause", ["R13-5.2.2", "R13-5.2.2.1"])
def test_the_older_regulation_switched_off_asks_for_nothing(sqlite_app: Any, clause: str) -> None:
    place = make_place(HEAT)
    partner(place)
    key = out_of_warranty(place)
    place.set_class(key, "4.3")
    assert against(place, key) == everything(R13)
    place.clause(clause, holds=False)
    assert against(place, key) == nothing()


@pytest.mark.clause("R19-5.2.2", "R19-4.3")
def test_the_class_it_is_about_is_the_clauses(lite: Place) -> None:
    partner(lite)
    key = out_of_warranty(lite)
    lite.clause("R19-5.2.2", **{"class": "4.7"})
    assert against(lite, key) == nothing()
    lite.clause("R19-4.3", **{"class": "4.7"})
    later = out_of_warranty(lite, "HF-0007")
    assert against(lite, later) == everything()
    assert against(lite, key) == nothing()  # what was taken in keeps its class
    lite.set_class(later, "4.1")
    assert against(lite, later) == nothing()


@pytest.mark.clause("R19-5.2.2", "R19-5.2.2.1")
@pytest.mark.parametrize("clause", ["R19-5.2.2", "R19-5.2.2.1"])
def test_switched_off_nobody_asks_for_a_request(lite: Place, clause: str) -> None:
    partner(lite)
    key = out_of_warranty(lite)
    lite.clause(clause, holds=False)
    assert against(lite, key) == nothing()
    assert refused(lambda: enter(lite, key, **LETTER)) == ("not_concerned", "")


@pytest.mark.clause("R19-5.2.2.1")
def test_in_warranty_and_for_other_classes_nobody_has_to_ask(lite: Place) -> None:
    partner(lite)
    lite.item("HF-0002", "partner_sold", purchased_on="2025-06-03")
    covered = lite.case("HF-0002")
    assert against(lite, covered) == nothing()
    assert refused(lambda: enter(lite, covered, **LETTER)) == ("not_concerned", "")
    lite.item("OWN-0001", "own", purchased_on=LONG_AGO)
    own = lite.case("OWN-0001", cause="wear")
    assert against(lite, own) == nothing()
    assert refused(lambda: enter(lite, own, **LETTER)) == ("not_concerned", "")
    assert current(lite, own) is None


# --- one at a time -------------------------------------------------------------------------------


@pytest.mark.clause("R19-5.2.2.1")
def test_a_letter_that_waits_is_not_asked_about_twice(place: Place) -> None:
    partner(place)
    key = out_of_warranty(place)
    enter(place, key, **LETTER)
    assert refused(lambda: enter(place, key, **LETTER)) == ("asked", R19)
    assert refused(lambda: enter(place, key, **CALL)) == ("asked", R19)
    enter(place, key, **{**LETTER, "number": "HF-2025-19"})
    assert [one.state for one in asked(place, key)] == ["withdrawn", "waiting"]
    now = current(place, key)
    assert now is not None and now.number == "HF-2025-19"
    with place.acting() as work:
        held = work.scalars(select(Request).where(Request.record_id == key)).all()
        assert sorted((one.number, one.current) for one in held) == [("HF-2025-18", False), ("HF-2025-19", True)]
    decide(place, place.office.staff("quality_leader"), key)
    assert refused(lambda: enter(place, key, **{**LETTER, "number": "HF-2025-20"})) == ("agreed", R19)
    assert state(place, key) == requests.AGREED


@pytest.mark.clause("R19-5.2.2.1")
def test_after_a_rejection_a_new_letter_is_put_forward(lite: Place) -> None:
    partner(lite)
    key, leader = out_of_warranty(lite), lite.office.staff("quality_leader")
    enter(lite, key, **LETTER)
    decide(lite, leader, key, agreed=False)
    assert state(lite, key) == requests.REJECTED
    with lite.acting():
        assert kinds(key)[-1] == "request_rejected"
    assert against(lite, key) == everything()
    assert refused(lambda: enter(lite, key, **LETTER)) == ("rejected", R19)
    enter(lite, key, **CALL)
    assert refused(lambda: enter(lite, key, **LETTER)) == ("rejected", R19)  # a call makes it no other letter
    enter(lite, key, **{**LETTER, "number": "HF-2025-21"})
    decide(lite, leader, key)
    assert against(lite, key) == nothing()


@pytest.mark.clause("R19-5.2.2.1")
def test_the_letter_on_the_case_is_writing_but_not_twice(lite: Place) -> None:
    partner(lite)
    key, leader = out_of_warranty(lite), lite.office.staff("quality_leader")
    assert beside(lambda: enter(lite, key, form="written")) == {"number"}
    put(lite, key)
    enter(lite, key, form="written")
    decide(lite, leader, key, agreed=False)
    lite.later(hours=1)
    assert beside(lambda: enter(lite, key, form="written")) == {"number"}
    put(lite, key, b"further")
    enter(lite, key, form="written")
    assert state(lite, key) == requests.WAITING


def put(place: Place, key: int, content: bytes = b"letter") -> None:
    place.later(minutes=1)
    with place.acting():
        attach(key, "request.txt", io.BytesIO(content))
    place.later(minutes=1)


@pytest.mark.clause("R19-5.2.2.1")
def test_who_took_the_request_back_may_put_the_same_letter_forward_again(lite: Place) -> None:
    partner(lite)
    key = out_of_warranty(lite)
    enter(lite, key, **LETTER)
    with lite.acting():
        approvals.withdraw(asked(lite, key)[0].id)
    assert state(lite, key) == requests.WITHDRAWN
    assert against(lite, key) == everything()
    enter(lite, key, **LETTER)
    assert state(lite, key) == requests.WAITING


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({**LETTER, "agent": "没有这家"}, "agent"),
        ({**LETTER, "agent": "DL9999"}, "agent"),
        ({**LETTER, "agent": "x" * 121}, "agent"),
        ({**LETTER, "agent": "华东代理"}, "agent"),  # an agent is no partner
        ({**LETTER, "agent": "停用的合作厂"}, "agent"),
        ({**LETTER, "form": ""}, "form"),
        ({**LETTER, "form": "telepathy"}, "form"),
        ({**LETTER, "number": "9" * 61}, "number"),
        ({**LETTER, "number": " "}, "number"),
        ({**LETTER, "dated_on": "2025-02-30"}, "dated_on"),
        ({**LETTER, "dated_on": "2025-11-04"}, "dated_on"),  # tomorrow
        ({**LETTER, "dated_on": "0202-11-04"}, "dated_on"),
        ({**LETTER, "dated_on": "soon" * 50}, "dated_on"),
        ({**LETTER, "note": "x" * 1001}, "note"),
    ],
)
def test_impossible_input_is_told_beside_its_field(lite: Place, given: dict[str, str], wrong: str) -> None:
    partner(lite)
    lite.agent(values.AGENT, "华东代理")
    lite.agent(values.PARTNER, "停用的合作厂", active=False)
    key = out_of_warranty(lite)
    assert beside(lambda: enter(lite, key, **given)) == {wrong}
    assert current(lite, key) is None and asked(lite, key) == []


def test_without_a_name_the_only_partner_is_meant(lite: Place) -> None:
    key = out_of_warranty(lite)
    assert beside(lambda: enter(lite, key, **LETTER)) == {"agent"}  # there is none
    first = partner(lite)
    enter(lite, key, **LETTER)
    now = current(lite, key)
    assert now is not None and now.agent_id == first
    second = partner(lite, name="另一合作厂")
    other = out_of_warranty(lite, "HF-0003")
    assert beside(lambda: enter(lite, other, **LETTER)) == {"agent"}  # which of the two?
    enter(lite, other, **LETTER, agent="另一合作厂")
    now = current(lite, other)
    assert now is not None and now.agent_id == second


def test_a_clause_that_names_nobody_asks_nobody(lite: Place) -> None:
    partner(lite)
    key = out_of_warranty(lite)
    lite.clause(R19, position="")
    assert refused(lambda: enter(lite, key, **LETTER)) == ("no_position", R19)
    assert current(lite, key) is None


def test_the_request_can_come_before_the_decision_on_coverage(lite: Place) -> None:
    partner(lite)
    lite.item("HF-0004", "partner_sold", purchased_on=LONG_AGO)
    key = lite.case("HF-0004", cause="")
    assert against(lite, key) == nothing()  # the decision comes first, another clause says
    enter(lite, key, **LETTER)
    lite.do(key, "warranty:decide", {"cause": "wear"})
    assert against(lite, key) == everything()
    lite.now = datetime(2025, 11, 3, 6, tzinfo=UTC)
    decide(lite, lite.office.staff("quality_leader"), key)
    assert against(lite, key) == nothing()
