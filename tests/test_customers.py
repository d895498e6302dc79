"""The customer file: register, change, find, merge, personal data, erasure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.cases.callers import look_up
from core.customers import services
from core.customers.models import Customer, CustomerKey
from core.customers.services import ADDRESS_FIELDS, CUSTOMER_FIELDS
from core.kernel import search
from core.kernel.audit import Audit
from core.kernel.clock import now
from core.kernel.database import ScopedSession, session, transaction
from core.kernel.errors import Conflict, InvalidData, NotAllowed, Refused
from core.kernel.fields import clean
from core.kernel.ids import uuid7
from core.kernel.numbering import draw, raise_to
from core.kernel.scope import EVERY_UNIT
from core.records.models import Record
from core.units.models import Unit
from tests.helpers import in_scope, make_unit

ALL = {f"customer.{what}" for what in ("view", "create", "edit", "merge", "pii", "erase", "import")}
ADDRESS = "浙江省杭州市西湖区文三路1号"


@contextmanager
def desk(unit: Unit, permissions: set[str] | None = None) -> Iterator[ScopedSession]:
    with in_scope(unit, ALL if permissions is None else permissions) as work:
        yield work


def register(unit: Unit, **raw: Any) -> Customer:
    values = clean([*CUSTOMER_FIELDS, *ADDRESS_FIELDS], {"name": "张三", "kind": "person", **raw})
    with transaction():
        return services.create_customer(unit.id, values)


def names(unit: Unit, text: str) -> list[str]:
    return [row["name"] for row in services.lookup(frozenset({unit.id}), text)]


def test_numbers_are_drawn_per_unit(app: Flask) -> None:
    first, second = make_unit(), make_unit()
    with desk(first):
        assert [register(first).number, register(first).number] == ["C00001", "C00002"]
    with desk(second):
        assert register(second).number == "C00001"


def test_a_rollback_gives_the_number_back_and_raising_skips(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        with pytest.raises(ZeroDivisionError), transaction():
            assert draw(unit.id, "x") == 1
            raise ZeroDivisionError
        with transaction():
            assert draw(unit.id, "x", count=5) == 1
            raise_to(unit.id, "x", 40)
            raise_to(unit.id, "x", 7)
            assert draw(unit.id, "x") == 41
            assert draw(unit.id, "x", period="2026") == 1


def test_a_customer_is_found_by_name_number_and_any_part_of_the_phone(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        register(unit, name="欧阳娜娜", phone="１３８ 1234 5678、021-52487747")
        register(unit, name="王五", phone="13900001111")
        for text in ("欧阳娜娜", "娜娜", "阳", "C00001", "3812345", "5678", "78", "5248", "欧阳 5678"):
            assert names(unit, text) == ["欧阳娜娜"], text
        assert names(unit, "张") == []


def test_another_units_customers_are_never_found(app: Flask) -> None:
    mine, theirs = make_unit(), make_unit()
    with desk(theirs):
        register(theirs, name="邻居家", phone="13812345678")
    with desk(mine):
        assert names(mine, "邻居家") == []
        assert look_up(mine.id, "13812345678").customers == []
        assert services.find_duplicates(mine.id, {"phone": "13812345678"}) == []


def test_all_errors_of_a_form_are_told_at_once(app: Flask) -> None:
    unit = make_unit()
    with desk(unit), pytest.raises(InvalidData) as caught:
        register(unit, phone="12345", company_code="123", identity="456", email="nobody")
    assert set(caught.value.errors) == {"phone", "company_code", "identity", "email"}


def test_address_gets_region_distance_and_warning(app: Flask) -> None:
    unit = make_unit(region_code="330100")
    with desk(unit):
        customer = register(unit, address=ADDRESS)
        place = customer.addresses[0]
        assert (place.province, place.county, place.region_code) == ("浙江省", "西湖区", "330106")
        assert place.distance_km is not None and 0 < place.distance_km < 30
        assert customer.warnings == ""
        odd = register(unit, address="江西省西安市龙潭辛集街D座")
        assert odd.warnings == "city_elsewhere"
        with transaction():
            typed = services.add_address(
                customer, clean(ADDRESS_FIELDS, {"address": ADDRESS, "distance_km": "12.5"})
            )
        assert str(typed.distance_km) == "12.5"


def test_the_second_of_two_editors_is_told_and_overwrites_nothing(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        customer = register(unit, phone="13812345678")
        shown = customer.version
        with transaction():
            services.update_customer(customer, {"phone": "13900001111"}, shown)
        assert customer.version > shown
        with pytest.raises(Conflict), transaction():
            services.update_customer(customer, {"name": "李四"}, shown)
        session().refresh(customer)
        assert customer.name == "张三"
        assert [p.digits for p in customer.phones] == ["13900001111"]
        assert names(unit, "13812345678") == []


def test_the_caller_is_found_however_dialled(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        register(unit, phone="13812345678")
        for dialled in ("13812345678", "+8613812345678", "013812345678", "5678"):
            assert [c.name for c in look_up(unit.id, dialled).customers] == ["张三"], dialled
        assert look_up(unit.id, "8").customers == ()


def test_duplicates_are_suspected_by_phone_code_and_name_with_region(app: Flask) -> None:
    unit = make_unit()
    code = "91110000600037341L"
    with desk(unit):
        register(unit, phone="13812345678", address=ADDRESS, company_code=code)
        ask = services.find_duplicates
        assert [d.reason for d in ask(unit.id, {"phone": "138-1234-5678"})] == ["phone"]
        assert [d.reason for d in ask(unit.id, {"company_code": code.lower()})] == ["company_code"]
        assert [d.reason for d in ask(unit.id, {"name": " 张三 ", "address": "杭州市西湖区"})] == ["name_region"]
        assert ask(unit.id, {"name": "张三", "address": "浙江省"}) == []


def _record(unit: Unit, customer: Customer) -> Record:
    return Record(
        uid=uuid7(),
        unit_id=unit.id,
        type="case",
        number=f"N{customer.id}",
        title="x",
        state="new",
        category="open",
        customer_id=customer.id,
        received_at=now(),
        entered_at=now(),
    )


def test_merging_moves_everything_and_keeps_the_loser_as_an_alias(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        winner = register(unit, name="甲公司", phone="13812345678")
        loser = register(
            unit, name="甲公司分部", phone="13812345678、13900001111", email="a@example.com", address=ADDRESS
        )
        with transaction() as work:
            work.add(_record(unit, loser))
        with transaction():
            services.merge_customers(winner, loser, winner.version)
        assert sorted(p.digits for p in winner.phones) == ["13812345678", "13900001111"]
        assert (winner.email, len(winner.addresses)) == ("a@example.com", 1)
        assert session().scalars(select(Record.customer_id)).all() == [winner.id]
        assert names(unit, "C00002") == names(unit, "c00002") == ["甲公司"]
        assert [c.id for c in look_up(unit.id, "13900001111").customers] == [winner.id]
        with pytest.raises(Refused), transaction():
            services.update_customer(loser, {"name": "新"})


def test_odd_pairs_are_not_merged(app: Flask) -> None:
    one, two = make_unit(), make_unit()
    with in_scope([one, two], ALL):
        mine, theirs = register(one), register(two)
        for pair in ((mine, mine), (mine, theirs)):
            with pytest.raises(Refused), transaction():
                services.merge_customers(*pair)


def test_identity_numbers_are_encrypted_masked_logged_and_erasable(app: Flask) -> None:
    unit = make_unit()
    number = "11010519491231002X"
    with desk(unit):
        customer = register(unit, identity=number, phone="13812345678")
        assert customer.identity_cipher and number.encode() not in customer.identity_cipher
        with pytest.raises(InvalidData):
            services.reveal_identity(customer, " ")
        with transaction():
            assert services.reveal_identity(customer, "核对身份") == number
        logged = session().scalars(select(Audit).where(Audit.action == "customer.identity_revealed")).one()
        assert logged.detail == {"purpose": "核对身份"}
        with transaction():
            with pytest.raises(InvalidData):
                services.erase_customer(customer, " ")
            services.erase_customer(customer, "客户要求")
        assert services.identity.open_identity(customer) == ""
        assert session().scalars(select(CustomerKey)).all() == []
        assert names(unit, "13812345678") == [] == names(unit, "张三")
        told = " ".join(f"{a.before}{a.after}{a.detail}" for a in session().scalars(select(Audit)))
        assert number not in told and "13812345678" not in told and "张三" not in told


def test_without_permission_data_is_masked_and_actions_are_refused(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        customer_id = register(unit, phone="13812345678", address=ADDRESS).id
    with desk(unit, {"customer.view"}):
        row = services.lookup(frozenset({unit.id}), "张三")[0]
        assert row["phone"] == "138****5678" and row["address"].endswith("****")
        customer = session().scalars(select(Customer).where(Customer.id == customer_id)).one()
        for call in (
            lambda: services.reveal_identity(customer, "看看"),
            lambda: services.update_customer(customer, {"name": "x"}),
            lambda: services.erase_customer(customer, "x"),
            lambda: register(unit),
        ):
            with pytest.raises(NotAllowed), transaction():
                call()


def test_look_up_costs_the_same_for_few_and_many(app: Flask, count_queries: Any) -> None:
    unit = make_unit()
    with desk(unit):
        for n in range(15):
            register(unit, name=f"王{n}号", phone=f"1381234{n:04d}", address=ADDRESS)
        session().expire_all()
        with count_queries() as few:
            services.lookup(frozenset({unit.id}), "王", limit=3)
        session().expire_all()
        with count_queries() as many:
            assert len(services.lookup(frozenset({unit.id}), "王", limit=15)) == 15
        assert len(few) == len(many)


def test_the_search_index_pages_newest_first(app: Flask) -> None:
    unit, other = make_unit(), make_unit()
    mine = frozenset({unit.id})
    with in_scope([unit, other]), transaction():
        search.put_many(
            "thing", [(n, unit.id if n % 2 else other.id, f"某某科技公司 {n:05d}") for n in range(1, 61)]
        )
        first = search.search(mine, "thing", "科技公司", limit=10)
        assert [hit.entity_id for hit in first] == list(range(59, 39, -2))
        second = search.search(mine, "thing", "科技公司", limit=10, before=first[-1].position)
        assert [hit.entity_id for hit in second] == list(range(39, 19, -2))
        assert search.search(mine, "other", "科技公司") == []
        assert search.search(mine, "thing", "公技") == []
        assert search.search(mine, "thing", '"*% OR') == []
        assert search.search(frozenset(), "thing", "科技") == []
        search.put("thing", 59, unit.id, "改名 Ａb９")
        assert search.search(mine, "thing", "科技公司", limit=1)[0].entity_id == 57
        assert [hit.entity_id for hit in search.search(mine, "thing", "AB9")] == [59]
        search.remove("thing", [59, 999])
        assert search.search(mine, "thing", "改名") == []


@pytest.mark.parametrize("window", [3000, 5])
def test_the_search_index_serves_any_size_of_scope(
    app: Flask, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small window makes PostgreSQL leave the newest rows for the index."""
    monkeypatch.setattr(search, "_WINDOW", window)
    units = [make_unit() for _ in range(2)]
    ids = [u.id for u in units]
    with in_scope(units), transaction():
        search.put_many("thing", [(n, ids[n % 2], f"海天公司 {n:05d}") for n in range(1, 31)])
        many = frozenset([ids[0], *range(900_000, 900_080)])
        assert len(search.search(frozenset(ids), "thing", "海天", limit=50)) == 30
        assert {hit.unit_id for hit in search.search(many, "thing", "海天", limit=50)} == {ids[0]}
        assert len(search.search(frozenset(ids[:1]), "thing", "海", limit=50)) == 15
        assert len(search.search(EVERY_UNIT, "thing", "海天公司 0002", limit=50)) == 11
