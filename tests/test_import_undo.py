"""Undoing an import: everything goes back as it was, but what somebody changed or used since stays."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from core.cases.models import Case
from core.customers import services
from core.customers.models import Customer, CustomerAddress, CustomerContact, CustomerPhone
from core.jobs.runner import run_once
from core.kernel import clock, importing
from core.kernel.audit import Audit
from core.kernel.database import release, session, transaction
from core.kernel.errors import Conflict, NotAllowed
from core.kernel.import_changes import ImportChange
from core.kernel.importing import ImportRun
from core.kernel.search import SearchEntry
from core.records.models import Fact, Record
from core.rules.obligation_models import Obligation
from core.units.models import Unit
from plugins.products.models import Batch, Flag, Item, KeyPart, Model
from tests.helpers import as_system, in_scope, make_unit, switch_on

MAY = {
    *("customer.import", "customer.view", "customer.create", "customer.edit", "customer.merge", "customer.erase"),
    *(
        "case.import",
        "case.view",
        "case.create",
        "case.comment",
        "products.import",
        "products.view",
        "products.edit",
    ),
}
HEAD = "客户编号,客户名称,类型,联系人,电话,地址,邮箱\n"
FILE = (Customer, CustomerPhone, CustomerAddress, CustomerContact)
GOODS = (Model, KeyPart, Batch, Item, Flag)


def imported(unit: Unit, content: str, key: str = "customers", choice: str = "skip") -> int:
    """Import a file; return the id of the import."""
    with transaction():
        run = importing.stage(key, unit.id, io.BytesIO(content.encode()), "a.csv")
        importing.set_choices(run, default=choice)
    return importing.confirm(run.id).id


def rows(*models: Any) -> dict[str, list[dict[str, Any]]]:
    """Everything these tables and the search index hold; versions only ever rise."""
    session().expire_all()
    found: dict[str, list[dict[str, Any]]] = {}
    for model in models:
        names = [c.key for c in model.__mapper__.column_attrs if c.key != "version"]
        found[model.__tablename__] = [
            {name: getattr(one, name) for name in names}
            for one in session().scalars(select(model).order_by(model.id))
        ]
    indexed = session().execute(select(SearchEntry.kind, SearchEntry.entity_id, SearchEntry.text))
    return {**found, "search": sorted(map(tuple, indexed))}  # type: ignore[dict-item]


def count(model: Any) -> int:
    return session().scalar(select(func.count()).select_from(model)) or 0


def customer(number: str) -> Customer:
    return session().scalars(select(Customer).where(Customer.number == number)).one()


FIRST = HEAD + (
    "C00001,张三,个人,,13812345678,浙江省杭州市西湖区文三路1号,\n"
    "C00002,迪摩传媒有限公司,单位,李四,021-52487747,,a@example.com\n"
)
SECOND = HEAD + (
    "C00001,张三丰,个人,王五,13900001111,浙江省宁波市鄞州区天童路2号,b@example.com\n"
    "C00002,迪摩传媒有限公司,单位,李四,021-52487747,上海市黄浦区南京东路1号,\n"
    "C00009,新来的,个人,赵六,13700002222,浙江省杭州市上城区1号,\n"
)


def test_everything_goes_back_as_it_was(app: Flask) -> None:
    unit = make_unit(region_code="330100")
    with in_scope(unit, MAY):
        first = imported(unit, FIRST)
        before = rows(*FILE)
        run = imported(unit, SECOND)
        assert rows(*FILE) != before and count(ImportChange) > 5
        done = importing.undo(run)
        assert rows(*FILE) == before
        assert (done.state, done.counts["removed"] > 0, done.counts["kept"]) == ("undone", True, 0)
        assert importing.undo(run).state == "undone", "a second time changes nothing"
        assert rows(*FILE) == before
        entry = session().scalars(select(Audit).where(Audit.action == "import.undone")).one()
        assert entry.detail is not None and entry.detail["kept"] == 0
        assert importing.undo(first).counts["kept"] == 0, "what has its former values again is as the first left it"
        assert (count(Customer), count(SearchEntry), count(ImportChange)) == (0, 0, 0)
        with pytest.raises(Conflict), transaction():
            importing.cancel(fetch_run(run))


def fetch_run(run_id: int) -> ImportRun:
    session().expire_all()
    return session().scalars(select(ImportRun).where(ImportRun.id == run_id)).one()


def test_what_was_changed_or_used_since_stays_and_is_named(app: Flask) -> None:
    unit = make_unit()
    with in_scope(unit, MAY):
        imported(unit, HEAD + "C00001,老客户,个人,,13812345678,,\n")
        lines = [f"C0001{n},客户{n},个人,联系{n},1390000000{n},浙江省杭州市{n}号,\n" for n in range(8)]
        run = imported(unit, HEAD + "C00001,改了名,个人,,13812345670,,\n" + "".join(lines))
        with transaction():
            services.update_customer(customer("C00010"), {"name": "又改了"})
            services.add_contact(customer("C00011"), {"name": "后来的人"})
        used = customer("C00012").id
    with as_system() as work:
        work.add(record_of(unit.id, used))
    with in_scope(unit, MAY):
        other = imported(unit, HEAD + "C00013,客户3,个人,,13911112222,,\n")
        assert fetch_run(other).counts["update"] == 1
        with transaction():
            services.erase_customer(customer("C00014"), "本人要求")
            services.merge_customers(customer("C00015"), customer("C00016"))
        importing.undo(run)
        kept = importing.kept_rows(fetch_run(run))
        assert [label.split()[-1] for label, _reason in sorted(kept)] == [f"C0001{n}" for n in range(7)]
        assert {reason for _label, reason in kept} == {"Changed since the import", "Something else refers to it"}
        assert sorted(session().scalars(select(Customer.number))) == ["C00001", *(f"C0001{n}" for n in range(7))]
        assert customer("C00001").name == "老客户"
        assert [p.digits for p in customer("C00001").phones] == ["13812345678"]
        assert customer("C00013").contacts, "who stays keeps everything"


def record_of(unit_id: int, customer_id: int) -> Record:
    from core.kernel.ids import uuid7

    return Record(
        uid=uuid7(), unit_id=unit_id, type="case", number="A1", title="x", state="new", category="open",
        customer_id=customer_id, received_at=clock.now(), entered_at=clock.now(),
    )  # fmt: skip


def test_only_for_a_month_and_only_with_the_permission(app: Flask) -> None:
    unit = make_unit()
    with in_scope(unit, MAY):
        run = imported(unit, HEAD + "C00001,张三,个人,,13812345678,,\n")
        late = clock.now() + timedelta(days=31)
        with clock.frozen(late), pytest.raises(Conflict):
            importing.undo(run)
    with in_scope(unit, {"customer.view"}), pytest.raises(NotAllowed):
        importing.undo(run)
    assert importing_purged(app) == 0
    with clock.frozen(late):
        assert importing_purged(app) == 1
    with in_scope(unit, MAY):
        with pytest.raises(Conflict):
            importing.undo(run)
        assert count(Customer) == 1


def importing_purged(app: Flask) -> int:
    with app.app_context():
        return importing.purge_changes()


def test_a_failure_on_the_way_undoes_nothing(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = make_unit()
    with in_scope(unit, MAY):
        imported(unit, FIRST)
        run = imported(unit, SECOND)
        before = rows(*FILE)

        def fail(*_: object) -> None:
            raise RuntimeError("power cut")

        monkeypatch.setattr("core.customers.importing.CustomerImporter.undone", fail)
        with pytest.raises(RuntimeError):
            importing.undo(run)
        assert (rows(*FILE), fetch_run(run).state) == (before, "done")


def test_erasing_a_person_erases_what_an_import_changed(sqlite_app: Flask) -> None:
    unit = make_unit()
    with in_scope(unit, MAY):
        imported(unit, FIRST)
        imported(unit, SECOND)
        with transaction():
            services.erase_customer(customer("C00001"), "本人要求")
        kept = session().scalars(select(ImportChange.before).where(ImportChange.before.is_not(None)))
        assert "张三" not in str(list(kept))


LOG = "工单号,受理时间,渠道,客户编号,完成时间,客户确认时间\n"


def test_history_goes_only_while_nobody_touched_it(app: Flask) -> None:
    unit = make_unit()
    with in_scope(unit, MAY) as work:
        lines = "".join(
            f"SH{n},2025-03-0{n} 09:00,电话,,2025-03-0{n} 10:00,2025-03-0{n} 11:00\n" for n in range(1, 4)
        )
        run = imported(unit, LOG + lines, "service-log")
        assert (count(Record), count(Case)) == (3, 3)
        with transaction():
            touched = work.scalars(select(Record).where(Record.number == "SH2")).one()
            touched.title = "改过"
        importing.undo(run)
        assert list(work.scalars(select(Record.number))) == ["SH2"]
        assert {f.record_id for f in work.scalars(select(Fact))} == {touched.id}
        assert {o.record_id for o in work.scalars(select(Obligation))} <= {touched.id}
        assert count(SearchEntry) == 1
        assert importing.kept_rows(fetch_run(run)) == [("SH2", "Changed since the import")]
        again = imported(unit, LOG + lines, "service-log")
        assert (fetch_run(again).counts["create"], fetch_run(again).counts["same"]) == (2, 1)


MODELS = "型号,品名,保修月数,单价(元),类别,关键件\n"
ITEMS = "序列号,型号,批号,购买日期,销售渠道\n"


def test_products_go_back_as_they_were(app: Flask) -> None:
    unit = make_unit()
    switch_on(unit, "products")
    with in_scope(unit, MAY):
        imported(unit, MODELS + "SR20,散热器,24,100,4.1,阀门\n", "products-models")
        imported(unit, ITEMS + "SN1,SR20,B1,2025-01-01,直销\n", "products-items")
        before = rows(*GOODS)
        models = imported(unit, MODELS + "SR20,散热器改,36,120,,\nSR30,新型号,12,1.50,,风机\n", "products-models")
        items = imported(unit, ITEMS + "SN1,SR30,B2,2025-02-02,代理商\nSN2,SR30,B2,,\n", "products-items")
        changed = rows(*GOODS)
        done = importing.undo(models)
        assert done.counts["kept"] >= 1, "an item is of the new model"
        assert {r["code"] for r in rows(Model)["products_model"]} == {"SR20", "SR30"}
        assert rows(Item, Batch) == {name: changed[name] for name in ("products_item", "products_batch", "search")}
        importing.undo(items)
        after = rows(*GOODS)
        assert {n: after[n] for n in ("products_item", "products_batch", "products_flag", "search")} == {
            n: before[n] for n in ("products_item", "products_batch", "products_flag", "search")
        }


def test_an_undo_runs_as_a_job(app: Flask) -> None:
    unit = make_unit()
    with in_scope(unit, MAY):
        run = imported(unit, FIRST)
        importing.start(run, "undo")
        release()
        run_once(app)
        assert importing.progress_of(fetch_run(run))["state"] == "done"
        assert (fetch_run(run).state, count(Customer)) == ("undone", 0)


NAMES = st.sampled_from(["张三", "李四", "迪摩传媒有限公司", "𠮷野"])
PHONES = st.sampled_from(["13812345678", "13900001111", "021-52487747", "13700002222/13600003333", ""])
PLACES = st.sampled_from(["", "浙江省杭州市西湖区文三路1号", "上海市黄浦区南京东路1号"])
NUMBERS = st.sampled_from(["", "C00001", "C00002", "C00003", "C00004", "C00005"])
LINES = st.lists(st.tuples(NUMBERS, NAMES, st.sampled_from(["", "王五", "赵六"]), PHONES, PLACES), max_size=8)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=LINES, second=LINES, choice=st.sampled_from(["skip", "create", "merge"]))
def test_any_import_and_its_undo_change_nothing(sqlite_app: Flask, first: Any, second: Any, choice: str) -> None:
    unit = make_unit()
    with in_scope(unit, MAY):
        imported(unit, HEAD + text_of(first), choice="create")
        before = rows(*FILE)
        run = imported(unit, HEAD + text_of(second), choice=choice)
        if importing.why_not_undone(fetch_run(run)):
            assert rows(*FILE) == before
        else:
            assert importing.undo(run).counts["kept"] == 0
            assert rows(*FILE) == before


def text_of(lines: list[tuple[str, ...]]) -> str:
    return "".join(f"{number},{name},,{who},{phone},{place},\n" for number, name, who, phone, place in lines)
