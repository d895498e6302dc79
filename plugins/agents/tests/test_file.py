"""The file of agents: names, numbers, people, sign-ins, and what an agent's own people reach."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from core.kernel import clock
from core.sdk import (
    InvalidData,
    NotAllowed,
    NotFound,
    Record,
    Refused,
    User,
    accounts,
    session,
    transaction,
    uuid7,
)
from core.users.actor import load_by_id
from core.users.models import UserPosition, UserSession
from plugins.agents import file, rights, values
from plugins.agents.models import Agent, Contact, Order, Statement
from plugins.agents.services import agents_of_actor, find_agent
from tests.helpers import as_system, in_scope, login, make_user

from .scene import ALL, Place, make_place

GIVEN = {"name": "江苏华东工程机械有限公司", "kind": "agent"}
SECURITY = frozenset({"user.admin"})


@pytest.fixture
def place(app: Flask) -> Iterator[Place]:
    made = make_place()
    with clock.frozen(made.now):
        yield made


def add(place: Place, **changes: Any) -> int:
    with place.acting(), transaction():
        return file.save_agent(place.unit.id, {**GIVEN, **changes}).id


def change(place: Place, key: int, **changes: Any) -> None:
    with place.acting(), transaction():
        agent = file.get_agent(key)
        held = {one.name: getattr(agent, one.name) for one in file.FIELDS}
        file.save_agent(place.unit.id, {**held, **changes}, agent)


def agent(place: Place, key: int) -> Agent:
    with place.acting() as work:
        row = file.get_agent(key)
        work.expunge(row)
        return row


def contact(place: Place, agent_id: int, **changes: Any) -> int:
    with place.acting(), transaction():
        raw = {"name": "王强", "role": "technician", **changes}
        return file.save_contact(file.get_agent(agent_id), raw).id


def admit(place: Place, contact_id: int, username: str = "wangqiang", **raw: Any) -> tuple[int, str]:
    """Give a sign-in, as whoever gives rights does."""
    with place.acting(permissions=SECURITY), transaction():
        user, password = file.give_sign_in(contact_id, {"username": username, **raw})
        return user.id, password


def own(place: Place, user_id: int) -> Any:
    """Work as an agent's person, with what their position gives them."""
    with as_system():
        actor = load_by_id(user_id)
    assert actor is not None
    return in_scope(place.unit, actor.units.get(place.unit.id, ()), user_id)


# --- agents --------------------------------------------------------------------------------------


def test_numbers_follow_each_other_and_stay(place: Place) -> None:
    first, second = add(place), add(place, name="另一家")
    assert [agent(place, key).code for key in (first, second)] == ["DL0001", "DL0002"]
    change(place, first, name="改名有限公司")
    assert (agent(place, first).code, agent(place, first).name) == ("DL0001", "改名有限公司")


def test_each_unit_counts_by_itself(place: Place) -> None:
    other = make_place()
    add(place)
    assert agent(other, add(other)).code == "DL0001"


@pytest.mark.parametrize("name", ["江苏华东工程机械有限公司", " 江苏华东 工程机械有限公司 "])
def test_a_name_stands_in_the_file_once(place: Place, name: str) -> None:
    add(place)
    with pytest.raises(InvalidData) as bad:
        add(place, name=name)
    assert "DL0001" in str(bad.value.errors["name"][0])


def test_everything_that_is_wrong_is_said_at_once(place: Place) -> None:
    with pytest.raises(InvalidData) as bad:
        add(place, name="", kind="friend", phone="12", email="a b", tax_number="1", regions="江苏、沪")
    assert set(bad.value.errors) == {"name", "kind", "phone", "email", "tax_number", "regions"}


def test_what_is_typed_is_tidied(place: Place) -> None:
    key = add(
        place,
        regions="江苏，浙江  上海、江苏",
        phone="１３８ 1234 5678",
        email="sales@example.cn",
        tax_number="91320000-1000000",
    )
    row = agent(place, key)
    assert row.regions == ["江苏", "浙江", "上海"]
    assert (row.phone, row.tax_number) == ("138 1234 5678", "913200001000000")


def test_the_last_character_of_a_tax_number_is_checked(place: Place) -> None:
    assert agent(place, add(place, tax_number="91350100M000100Y43")).tax_number == "91350100M000100Y43"
    with pytest.raises(InvalidData) as bad:
        add(place, name="又一家", tax_number="91350100M000100Y44")
    assert list(bad.value.errors) == ["tax_number"]


def test_whoever_sold_items_does_not_become_another_kind(place: Place) -> None:
    key = add(place)
    change(place, key, kind="service")
    change(place, key, kind="agent")
    place.item(agent=key)
    change(place, key, phone="")
    with pytest.raises(InvalidData) as bad:
        change(place, key, kind="service")
    assert list(bad.value.errors) == ["kind"]
    assert agent(place, key).kind == "agent"


def test_a_partner_abroad_has_a_number_of_its_country(place: Place) -> None:
    key = add(place, kind="partner", tax_number="123-45-67890")
    assert agent(place, key).tax_number == "123-45-67890"
    with pytest.raises(InvalidData):
        add(place, name="国内的", kind="agent", tax_number="123-45-67890")


def test_only_who_keeps_the_file_changes_it(place: Place) -> None:
    with place.acting(permissions={rights.VIEW}), pytest.raises(NotAllowed):
        file.save_agent(place.unit.id, GIVEN)


@pytest.mark.parametrize(
    "text", ["DL0001", "dl0001", "ｄｌ0001", "江苏华东工程机械有限公司", "江苏华东 工程机械有限公司"]
)
def test_an_agent_is_found_by_number_or_exact_name(place: Place, text: str) -> None:
    key = add(place)
    with place.acting():
        found = find_agent(place.unit.id, text)
        assert found is not None and found.id == key


@pytest.mark.parametrize("text", ["", None, "华东", "DL0002", "江苏华东工程机械"])
def test_what_is_only_like_a_name_finds_nobody(place: Place, text: Any) -> None:
    add(place)
    with place.acting():
        assert find_agent(place.unit.id, text) is None


def test_another_units_agent_is_not_found(place: Place) -> None:
    other = make_place()
    key = add(other)
    with place.acting():
        assert find_agent(place.unit.id, "DL0001") is None
        assert file.agent_choices(place.unit.id) == []
        with pytest.raises(NotFound):
            file.get_agent(key)


def test_choices_are_agents_in_use_of_the_kinds_asked_for(place: Place) -> None:
    first, second = add(place), add(place, name="大韩机械", kind="partner")
    third = add(place, name="停用的")
    change(place, third, active="")
    with place.acting():
        assert [key for key, _label in file.agent_choices(place.unit.id)] == [str(first), str(second)]
        assert file.agent_choices(place.unit.id, [values.PARTNER]) == [(str(second), "DL0002 大韩机械")]


def put_order(place: Place, agent_id: int, contact_id: int, state: str) -> None:
    with as_system() as work:
        case = place_record(place, "case")
        work.add(case)
        work.flush()
        made = Order(unit_id=place.unit.id, record_id=case.id, agent_id=agent_id, contact_id=contact_id)
        made.state, made.passed_at = state, place.now
        work.add(made)


def place_record(place: Place, kind: str, category: str = "open") -> Record:
    return Record(
        unit_id=place.unit.id,
        uid=uuid7(),
        type=kind,
        number=uuid7().hex,
        title="",
        state="sent",
        category=category,
        received_at=place.now,
        entered_at=place.now,
    )


def test_an_agent_with_open_business_stays_in_use(place: Place) -> None:
    key = add(place)
    put_order(place, key, contact(place, key), values.ACCEPTED)
    with as_system() as work:
        record = place_record(place, "agents_statement")
        work.add(record)
        work.flush()
        work.add(Statement(id=record.id, unit_id=place.unit.id, agent_id=key, period="2025-10"))
        statement = record.id
    with pytest.raises(Refused) as bad:
        change(place, key, active="")
    assert {one.code for one in bad.value.refusals} == {"agents.orders_open", "agents.statements_open"}
    assert agent(place, key).active
    with as_system() as work:
        work.get_one(Record, statement).category = "closed"
        work.scalars(select(Order)).one().state = values.DONE
    change(place, key, active="")
    assert not agent(place, key).active


# --- people and sign-ins ---------------------------------------------------------------------------


def test_a_contact_gets_a_sign_in_that_reaches_its_agent_only(place: Place) -> None:
    mine, other = add(place), add(place, name="另一家")
    user_id, password = admit(place, contact(place, mine))
    assert password
    with own(place, user_id):
        assert agents_of_actor() == {place.unit.id: (mine,)}
        assert file.require_own(mine).id == mine
        for foreign in (other, 10**9, None, -1):
            with pytest.raises(NotFound):
                file.require_own(foreign)


def test_the_account_is_of_the_contacts_name_and_held_by_its_position_alone(place: Place) -> None:
    user_id, _password = admit(place, contact(place, add(place), phone="13812345678"), "WangQiang")
    with as_system() as work:
        user = work.get_one(User, user_id)
        assert (user.username, user.name, user.must_change_password) == ("wangqiang", "王强", True)
        assert [one.position.code for one in user.positions] == ["agent"]
        actor = load_by_id(user_id)
    assert actor is not None and actor.units[place.unit.id] == frozenset({rights.OWN})


def test_who_keeps_the_file_gives_no_rights(place: Place) -> None:
    key = contact(place, add(place))
    with place.acting(permissions={rights.VIEW, rights.KEEP}), pytest.raises(NotAllowed):
        file.give_sign_in(key, {"username": "x"})


def test_one_sign_in_for_each_contact(place: Place) -> None:
    key = contact(place, add(place))
    admit(place, key)
    with pytest.raises(Refused) as bad:
        admit(place, key, "another")
    assert bad.value.refusals[0].code == "agents.has_sign_in"
    with as_system() as work:
        assert work.scalar(select(func.count()).select_from(User).where(User.username == "another")) == 0


def test_a_user_name_that_is_taken_is_said_beside_the_field(place: Place) -> None:
    key = add(place)
    admit(place, contact(place, key))
    with pytest.raises(InvalidData) as bad:
        admit(place, contact(place, key, name="李四"))
    assert list(bad.value.errors) == ["username"]


def test_our_own_staff_sit_on_one_side_only(place: Place) -> None:
    clerk = make_user(place.unit, {rights.VIEW})
    key = contact(place, add(place))
    with pytest.raises(Refused) as bad:
        admit(place, key, clerk.username, existing="1")
    assert bad.value.refusals[0].code == "agents.own_staff"


def test_an_account_of_elsewhere_can_be_used_here(place: Place) -> None:
    there = make_place()
    user_id, _password = admit(there, contact(there, add(there)))
    mine = add(place)
    key = contact(place, mine)
    with in_scope([place.unit, there.unit], SECURITY, place.desk), transaction():
        user, password = file.give_sign_in(key, {"username": "wangqiang", "existing": "1"})
        assert (user.id, password) == (user_id, "")
    with own(place, user_id):
        assert agents_of_actor()[place.unit.id] == (mine,)


@pytest.mark.parametrize("username", ["nobody", "stranger"])
def test_accounts_that_the_actor_does_not_administer_are_unknown(place: Place, username: str) -> None:
    there = make_place()
    make_user(there.unit, {rights.VIEW}, username="stranger")
    with pytest.raises(InvalidData) as bad:
        admit(place, contact(place, add(place)), username, existing="1")
    assert list(bad.value.errors) == ["username"]


def test_the_end_of_a_contact_is_the_end_of_the_sign_in(place: Place, app: Flask) -> None:
    mine = add(place)
    key = contact(place, mine)
    user_id, _password = admit(place, key)
    with as_system() as work:
        browser = UserSession(user_id=user_id, token_hash="x", created_at=place.now, last_seen_at=place.now)
        work.add(browser)
    with place.acting(permissions={rights.VIEW, rights.KEEP}), transaction():
        row = file.get_contact(key)
        file.save_contact(row.agent, {"name": row.name, "role": row.role, "active": ""}, row)
    with own(place, user_id):
        assert agents_of_actor() == {}
        with pytest.raises(NotFound):
            file.require_own(mine)
    with as_system() as work:
        assert work.scalars(select(UserSession)).one().ended_at is not None
        assert accounts.position_codes(user_id, place.unit.id) == frozenset()


def test_who_comes_back_is_admitted_again_with_the_same_account(place: Place) -> None:
    mine = add(place)
    key = contact(place, mine)
    user_id, _password = admit(place, key)
    for active in ("", "1"):
        with place.acting(), transaction():
            row = file.get_contact(key)
            file.save_contact(row.agent, {"name": row.name, "role": row.role, "active": active}, row)
    with own(place, user_id):
        assert agents_of_actor() == {}
    assert admit(place, key, existing="1") == (user_id, "")
    with own(place, user_id):
        assert agents_of_actor() == {place.unit.id: (mine,)}


def test_an_agent_out_of_use_takes_its_people_along(place: Place) -> None:
    mine = add(place)
    user_id, _password = admit(place, contact(place, mine))
    change(place, mine, active="")
    with own(place, user_id):
        assert agents_of_actor() == {}
    with place.acting() as work:
        row = work.scalars(select(Contact)).one()
        key = row.id
        assert (row.active, row.user_id) == (False, None)
    with pytest.raises(Refused) as bad:
        admit(place, key, "again")
    assert bad.value.refusals[0].code == "agents.contact_ended"


def test_a_person_of_two_agents_sees_both_and_no_more(place: Place) -> None:
    """One account may be a contact in two units, not of two agents in one: there it needs two contacts."""
    first = add(place)
    user_id, _password = admit(place, contact(place, first))
    second = contact(place, add(place, name="另一家"))
    with pytest.raises(InvalidData) as bad:
        admit(place, second, existing="1")
    assert list(bad.value.errors) == ["username"]
    with own(place, user_id):
        assert agents_of_actor() == {place.unit.id: (first,)}


def test_staff_have_no_agents_even_if_a_row_says_so(place: Place) -> None:
    mine = add(place)
    with as_system() as work:
        work.add(Contact(unit_id=place.unit.id, agent_id=mine, name="x", user_id=place.desk.id))
    with place.acting(permissions=ALL | {rights.OWN}):
        assert agents_of_actor() == {}


def test_asking_again_costs_nothing(place: Place, count_queries: Any) -> None:
    user_id, _password = admit(place, contact(place, add(place)))
    with own(place, user_id), count_queries() as seen:
        agents_of_actor()
        agents_of_actor()
        assert len([one for one in seen if "agents_contact" in str(one)]) == 1


def test_the_new_user_reaches_no_screen_of_the_staff(place: Place, app: Flask) -> None:
    mine = add(place)
    user_id, password = admit(place, contact(place, mine))
    with as_system() as work:
        user = work.get_one(User, user_id)
        user.must_change_password = False
        work.flush()
        work.expunge(user)
    client = login(app.test_client(), user, password, place.unit)
    for path in ("agents/", f"agents/details/?id={mine}", "agents/new/", "contracts/", "people/"):
        assert client.get(f"/admin/agents/{path}").status_code == 403, path
    for path in (f"contact/new/{mine}", "contact/1", "contact/1/sign-in"):
        assert client.get(f"/p/agents/{path}").status_code == 404, path


@pytest.mark.parametrize(
    ("role", "name", "wrong"), [("boss", "x", "role"), ("finance", "", "name"), ("finance", "x" * 61, "name")]
)
def test_a_contact_that_does_not_fit(place: Place, role: str, name: str, wrong: str) -> None:
    key = add(place)
    with pytest.raises(InvalidData) as bad:
        contact(place, key, role=role, name=name)
    assert list(bad.value.errors) == [wrong]


def test_orders_in_hands_are_counted(place: Place) -> None:
    mine = add(place)
    key = contact(place, mine)
    put_order(place, mine, key, values.PASSED)
    put_order(place, mine, key, values.DONE)
    with place.acting():
        assert file.orders_in_hands(key) == 1


def test_positions_taken_back_the_day_they_were_given_leave_nothing(place: Place) -> None:
    key = contact(place, add(place))
    user_id, _password = admit(place, key)
    with as_system() as work:
        accounts.take_back_position(user_id, place.unit.id, "agent")
        assert work.scalars(select(UserPosition).where(UserPosition.user_id == user_id)).all() == []
    with as_system() as work:
        held = session().scalars(select(User).where(User.id == user_id)).one()
        row = UserPosition(user_id=held.id, unit_id=place.unit.id, valid_from=date(2024, 1, 1))
        row.position_id = file.position_id()
        work.add(row)
        work.flush()
        accounts.take_back_position(user_id, place.unit.id, "agent")
        assert row.valid_to == date(2025, 11, 2)
