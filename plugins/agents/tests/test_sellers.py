"""Who sold an item: known once, corrected with a reason, never guessed."""

from __future__ import annotations

import io
import itertools
import threading
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from core.kernel import importing
from core.kernel.errors import InvalidData, NotAllowed
from core.sdk import Customer, CustomerAddress, Work, session, transaction, uuid7
from plugins.agents import rights, sellers, values
from plugins.agents.models import Seller
from plugins.products import services as products
from tests import api_scene
from tests.helpers import as_system, current, make_user

from .scene import ALL, MONDAY, SERIAL, Place, make_place

_numbers = itertools.count(1)


def say(place: Place, item: int, agent: int | str, source: str = values.BY_HAND, **given: Any) -> int:
    """Say who sold an item, as staff do; return the row."""
    code = agent if isinstance(agent, str) else place.code_of(agent)
    with place.acting(), transaction():
        return sellers.set_seller(products.get_item(item), {"agent": code, **given}, source).id


def wrong(place: Place, item: int, agent: int | str, **given: Any) -> dict[str, Any]:
    with pytest.raises(InvalidData) as bad:
        say(place, item, agent, **given)
    return dict(bad.value.errors)


def rows(place: Place, item: int) -> list[Seller]:
    return list(place._all(select(Seller).where(Seller.item_id == item).order_by(Seller.id)))


def customer_in(place: Place, province: str, city: str = "", detail: str = "") -> int:
    with as_system() as work:
        row = Customer(
            unit_id=place.unit.id, uid=uuid7(), number=f"S{next(_numbers):05}", name="某公司", created_at=MONDAY
        )
        work.add(row)
        work.flush()
        address = CustomerAddress(unit_id=place.unit.id, customer_id=row.id, province=province, city=city)
        address.detail = detail
        work.add(address)
        return row.id


# --- an item is sold once ------------------------------------------------------------------------


def test_a_seller_is_kept_with_its_sales_record(app: Any) -> None:
    place = make_place()
    agent, item = place.agent(), place.item()
    key = say(place, item, agent, sold_on="2025-06-01", document="XS-0601")
    (row,) = rows(place, item)
    assert (row.id, row.agent_id, row.sold_on, row.document) == (key, agent, date(2025, 6, 1), "XS-0601")
    assert (row.current, row.source, row.entered_by) == (True, values.BY_HAND, place.desk.id)


def test_the_same_again_changes_nothing_and_what_was_missing_is_filled_in(app: Any) -> None:
    place = make_place()
    agent, item = place.agent(), place.item()
    first = say(place, item, agent, document="XS-1")
    assert say(place, item, agent, document="XS-1") == first
    assert say(place, item, agent) == first
    second = say(place, item, agent, sold_on="2025-06-01")
    assert [(one.id, one.current) for one in rows(place, item)] == [(first, False), (second, True)]
    assert (rows(place, item)[1].document, rows(place, item)[1].sold_on) == ("XS-1", date(2025, 6, 1))


def test_another_seller_needs_a_reason_and_the_former_stays(app: Any) -> None:
    place = make_place()
    first, second, item = place.agent(), place.agent(), place.item()
    say(place, item, first)
    assert set(wrong(place, item, second)) == {"reason"}
    assert [one.agent_id for one in rows(place, item)] == [first]
    say(place, item, second, reason="发票上是他们")
    assert [(one.agent_id, one.current) for one in rows(place, item)] == [(first, False), (second, True)]
    with place.acting():
        now = sellers.seller_of(item)
        assert now is not None and (now.agent_id, now.reason) == (second, "发票上是他们")


def test_another_record_of_the_same_sale_needs_a_reason(app: Any) -> None:
    place = make_place()
    agent, item = place.agent(), place.item()
    say(place, item, agent, document="XS-1", sold_on="2025-06-01")
    assert set(wrong(place, item, agent, document="XS-2")) == {"reason"}
    assert set(wrong(place, item, agent, sold_on="2025-06-02")) == {"reason"}
    say(place, item, agent, document="XS-2", reason="抄错")
    assert rows(place, item)[-1].document == "XS-2"


@pytest.mark.parametrize("sold_class", ["", "own", "competitor"])
def test_only_what_an_agent_or_partner_sold_has_a_seller(app: Any, sold_class: str) -> None:
    place = make_place()
    agent, item = place.agent(), place.item(sold_class=sold_class)
    errors = wrong(place, item, agent)
    assert set(errors) == {"agent"}
    said = str(errors["agent"][0])
    assert ("not settled" in said) == (sold_class == "")
    assert rows(place, item) == []


def test_an_agent_sells_agents_goods_and_a_partner_a_partners(app: Any) -> None:
    place = make_place()
    agent, partner, server = place.agent(), place.agent(values.PARTNER), place.agent(values.SERVICE)
    item, theirs = place.item(), place.item("P-0001", sold_class="partner_sold")
    for nobody in (partner, server):
        assert set(wrong(place, item, nobody)) == {"agent"}
    assert set(wrong(place, theirs, agent)) == {"agent"}
    say(place, theirs, partner)
    say(place, item, agent)


def test_days_that_cannot_be_and_names_nobody_has(app: Any) -> None:
    place = make_place()
    agent, item = place.agent(), place.item(produced_on="2025-05-01")
    tomorrow = (place.now.date() + timedelta(days=1)).isoformat()
    assert set(wrong(place, item, agent, sold_on=tomorrow)) == {"sold_on"}
    assert set(wrong(place, item, agent, sold_on="2025-04-30")) == {"sold_on"}
    assert set(wrong(place, item, agent, sold_on="30.02.2025")) == {"sold_on"}
    assert set(wrong(place, item, "DL9999")) == {"agent"}
    assert set(wrong(place, item, "")) == {"agent"}
    assert set(wrong(place, item, agent, document="长" * 81)) == {"document"}
    say(place, item, agent, sold_on="2025-05-01")


def test_what_was_given_in_exchange_may_be_younger_than_its_sale(app: Any) -> None:
    place = make_place()
    agent = place.agent()
    old, new = place.item("OLD-1"), place.item("NEW-1", produced_on="2025-10-01", purchased_on="")
    with as_system() as work:
        work.get_one(products.Item, old).replaced_by_id = new
    say(place, new, agent, sold_on="2025-06-03")


def test_who_may_say_so(app: Any) -> None:
    place = make_place()
    agent, item = place.agent(), place.item()
    code = place.code_of(agent)
    for source, needed in ((values.BY_HAND, rights.KEEP), (values.BY_CASE, rights.HANDLE)):
        with place.acting(permissions=ALL - {needed}), pytest.raises(NotAllowed), transaction():
            sellers.set_seller(products.get_item(item), {"agent": code}, source)
    other = make_place()
    assert set(wrong(other, other.item("X-0001"), code)) == {"agent"}  # of another unit: nobody


_SAID = st.tuples(st.integers(0, 2), st.booleans(), st.sampled_from(["", "2025-06-01", "2025-06-02"]))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_SAID, min_size=1, max_size=6))
def test_whatever_is_said_in_whatever_order_an_item_has_one_seller(
    sqlite_app: Any, said: list[tuple[int, bool, str]]
) -> None:
    place = make_place()
    agents, item = [place.agent() for _ in range(3)], place.item()
    believed: tuple[int, str] | None = None
    for which, with_reason, day in said:
        given_day = {"sold_on": day} if day else {}
        accepted = (
            believed is None
            or with_reason
            or (believed[0] == which and (not day or not believed[1] or believed[1] == day))
        )
        try:
            say(place, item, agents[which], reason="更正" if with_reason else "", **given_day)
        except InvalidData:
            assert not accepted
            continue
        assert accepted
        kept = believed[1] if believed is not None and believed[0] == which else ""
        believed = (which, day or kept)
        found = rows(place, item)
        (now,) = [one for one in found if one.current]
        assert now.id == found[-1].id
        assert (now.agent_id, str(now.sold_on or "")) == (agents[which], believed[1])


def test_two_at_once_leave_one_seller(app: Any) -> None:
    place = make_place()
    first, second, item = place.agent(), place.agent(), place.item()
    codes = [place.code_of(first), place.code_of(second)]
    app_now, gate, answers = current(), threading.Barrier(2), []

    def name(code: str) -> None:
        with app_now.app_context():
            gate.wait()
            try:
                say(place, item, code)
                answers.append("done")
            except InvalidData as bad:
                answers.append(next(iter(bad.errors)))

    threads = [threading.Thread(target=name, args=(code,)) for code in codes]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert sorted(answers) == ["done", "reason"]
    assert [one.current for one in rows(place, item)] == [True]


# --- regions -------------------------------------------------------------------------------------


def test_selling_in_anothers_region_is_entered_and_marked(app: Any) -> None:
    place = make_place()
    east, west = place.agent(regions=["江苏", "上海"]), place.agent(regions=["陕西"])
    item = place.item(customer_id=customer_in(place, "陕西省", "西安市", "上海路1号"))
    say(place, item, east)
    assert rows(place, item)[0].outside
    say(place, item, west, reason="更正")
    assert not rows(place, item)[1].outside
    with place.acting():
        places = sellers.places_of([products.get_item(item).customer_id])
        holders = sellers.holders_of(next(iter(places.values())), sellers.agents_with_regions(place.unit.id))
        assert [one.id for one in holders] == [west]


@pytest.mark.parametrize(
    ("regions", "places", "outside"),
    [
        (["江苏"], ["江苏省南京市"], False),
        (["江苏"], ["浙江省杭州市"], True),
        (["江苏", "浙江"], ["浙江省杭州市"], False),
        (["江苏"], ["浙江省杭州市", "江苏省苏州市"], False),
        ([], ["浙江省杭州市"], False),
        (["江苏"], [], False),
    ],
)
def test_outside_is_what_lies_in_none_of_the_regions(regions: list[str], places: list[str], outside: bool) -> None:
    assert sellers.lies_outside(places, regions) is outside


def test_an_address_without_province_is_looked_at_as_it_is_written(app: Any) -> None:
    place = make_place()
    agent = place.agent(regions=["杭州"])
    item = place.item(customer_id=customer_in(place, "", "", "杭州市余杭区文一西路"))
    say(place, item, agent)
    assert not rows(place, item)[0].outside


# --- the text of the product file ----------------------------------------------------------------


def test_a_text_that_is_exactly_an_agents_name_is_taken_over_and_nothing_else(app: Any) -> None:
    place = make_place()
    agent = place.agent(name="华东 Equipment 有限公司")
    partner = place.agent(values.PARTNER, name="韩方合作厂")
    named = place.item("T-1", seller="华东equipment有限公司")
    by_number = place.item("T-2", seller=place.code_of(agent).lower())
    others = [
        place.item("T-3", seller="华东 Equipment 有限公司南京分公司"),
        place.item("T-4", seller="华东"),
        place.item("T-5", seller="韩方合作厂"),  # sold by an agent, and this is none
        place.item("T-6"),
        place.item("T-7", sold_class="own", seller="华东 Equipment 有限公司"),
    ]
    known = place.item("T-8", seller="华东 Equipment 有限公司", agent=place.agent())
    assert partner
    with place.acting():
        done = sellers.take_over_all(Work("t", place.unit.id, {}))
        assert "2" in done["text"]
        assert "0" in sellers.take_over_all(Work("t", place.unit.id, {}))["text"]
    for item in (named, by_number):
        (row,) = rows(place, item)
        assert (row.agent_id, row.source) == (agent, values.BY_IMPORT)
    assert not any(rows(place, item) for item in others)
    assert len(rows(place, known)) == 1


def test_the_work_list_is_what_agents_and_partners_sold_and_nobody_knows_who(app: Any) -> None:
    place = make_place()
    agent = place.agent()
    wanted = {place.item(f"W-{n}", sold_class=one) for n, one in enumerate(("agent", "partner", "partner_sold"))}
    wanted.add(place.item("W-9", sold_class="", channel="agent"))
    for number, one in enumerate(("own", "competitor", "")):
        place.item(f"N-{number}", sold_class=one, channel="direct")
    place.item("K-1", agent=agent)
    with place.acting():
        assert {one.id for one in session().scalars(sellers.unknown_items(place.unit.id))} == wanted


MODELS = """型号,品名,保修月数,单价(元),类别,关键件
RB18A,空气能热泵,36,47686.05,4.2,
JK32A,监控主机,36,15061.92,4.1,主板
"""
ITEMS = "序列号,型号,生产日期,购买日期,销售渠道,凭证\n"


def test_of_a_product_file_every_item_that_says_agent_is_on_the_work_list(app: Any) -> None:
    """An excerpt as the office's own file has it: channel and class of the model agree or contradict each other."""
    place = make_place()
    channels = ("代理商", "直销", "门店")
    lines = [
        f"{model}-{number:05},{model},2023-02-04,2023-04-27,{channels[number % 3]},无"
        for model in ("RB18A", "JK32A")
        for number in range(1, 31)
    ]
    for key, text in (("products-models", MODELS), ("products-items", ITEMS + "\n".join(lines) + "\n")):
        with place.acting() as work:
            run = importing.stage(key, place.unit.id, io.BytesIO(text.encode()), "产品.csv").id
            work.commit()
        with place.acting():
            importing.confirm(run)
    with place.acting():
        found = list(session().scalars(sellers.unknown_items(place.unit.id)))
        assert len(found) == sum(",代理商," in line for line in lines) == 20
        assert {(one.model.code, one.sold_class) for one in found} == {("RB18A", "agent"), ("JK32A", "")}
        unsettled = next(one for one in found if not one.sold_class)
    assert "not settled" in str(wrong(place, unsettled.id, place.agent())["agent"][0])


# --- files ---------------------------------------------------------------------------------------

HEAD = "序列号,代理商,销售日期,销售单号,原因\n"


def stage(place: Place, text: str) -> int:
    with place.acting():
        run = importing.stage("agents-sellers", place.unit.id, io.BytesIO((HEAD + text).encode()), "归属.csv")
        session().commit()
        return run.id


def check(place: Place, run_id: int) -> tuple[dict[str, int], dict[int, set[str]]]:
    with place.acting() as work:
        run = work.scalars(select(importing.ImportRun).where(importing.ImportRun.id == run_id)).one()
        counts = importing.check(run)
        return counts, {one.line: {name for name, _ in one.errors} for one in importing.preview_rows(run, "error")}


def take(place: Place, text: str) -> tuple[int, dict[str, int]]:
    run_id = stage(place, text)
    with place.acting():
        return run_id, dict(importing.confirm(run_id).counts)


def test_a_file_is_looked_at_row_by_row_and_written_at_once(app: Any) -> None:
    place = make_place()
    first, second = place.agent(name="甲代理"), place.agent(name="乙代理")
    one, two, known = place.item("F-001"), place.item("F-002"), place.item("F-003", agent=first)
    own = place.item("F-004", sold_class="own")
    text = (
        f"f-001,甲代理,2025/6/1,XS-1,\nF-002,{place.code_of(second)},2025年6月2日,,\nF-003,乙代理,,,\n"
        "F-999,甲代理,,,\nF-001,乙代理,,,\nF-004,甲代理,,,\nF-002,丙代理,2030-01-01,,\nF-003,甲代理,昨天,,\n"
    )
    counts, bad = check(place, stage(place, text))
    assert (counts["create"], counts["error"]) == (2, 6)
    assert bad == {
        4: {"reason"},
        5: {"serial"},
        6: {"serial"},
        7: {"agent"},
        8: {"serial", "agent"},
        9: {"serial", "sold_on"},
    }
    assert rows(place, one) == []
    _run, counts = take(place, text)
    assert counts["create"] == 2
    (row,) = rows(place, one)
    assert (row.agent_id, row.sold_on, row.document, row.source) == (
        first,
        date(2025, 6, 1),
        "XS-1",
        values.BY_IMPORT,
    )
    assert rows(place, two)[0].agent_id == second and rows(place, own) == []
    assert len(rows(place, known)) == 1


def test_a_file_again_changes_nothing_and_a_correction_says_why(app: Any) -> None:
    place = make_place()
    place.agent(name="甲代理")
    second = place.agent(name="乙代理")
    item = place.item("F-001")
    take(place, "F-001,甲代理,2025-06-01,XS-1,\n")
    _run, counts = take(place, "F-001,甲代理,2025-06-01,XS-1,\n")
    assert counts.get("same") == 1 and "create" not in counts
    run, counts = take(place, "F-001,乙代理,,,发票更正\n")
    assert counts.get("update") == 1
    assert [(one.agent_id == second, one.current) for one in rows(place, item)] == [(False, False), (True, True)]
    with place.acting():
        importing.undo(run)
    assert [(one.agent_id == second, one.current) for one in rows(place, item)] == [(False, True)]


def test_an_import_is_taken_back(app: Any) -> None:
    place = make_place()
    place.agent(name="甲代理")
    item = place.item("F-001")
    run, _counts = take(place, "F-001,甲代理,2025-06-01,XS-1,\n")
    with place.acting():
        importing.undo(run)
    assert rows(place, item) == []


def test_statements_do_not_grow_with_the_rows(app: Any, count_queries: Any) -> None:
    place = make_place()
    place.agent(name="甲代理")
    text = ""
    for number in range(30):
        place.item(f"Q-{number:03}")
        text += f"Q-{number:03},甲代理,,,\n"
    run_id = stage(place, text)
    with place.acting(), count_queries() as few:
        importing.confirm(run_id)
    more = "".join(f"R-{number:03},甲代理,,,\n" for number in range(60))
    for number in range(60):
        place.item(f"R-{number:03}")
    run_id = stage(place, more)
    with place.acting(), count_queries() as many:
        importing.confirm(run_id)
    # Each row is an insert of its own; nothing is looked up for each of them.
    asked = [[one for one in seen if one.startswith("SELECT")] for seen in (few, many)]
    assert len(asked[1]) <= len(asked[0]) + 3


# --- the API -------------------------------------------------------------------------------------


def test_sellers_over_the_api(app: Any) -> None:
    place = make_place()
    agent, other = place.agent(), place.agent()
    item = place.item()
    user = make_user(place.unit, ALL)
    api = api_scene.Asker(app, api_scene.token_of(user))
    body = {"serial": SERIAL.lower(), "agent": place.code_of(agent), "sold_on": "2025-06-01"}
    made = api.post("/agents/sellers", body)
    assert made.status_code == 201, made.get_json()
    assert (made.get_json()["serial"], made.get_json()["agent"]) == (SERIAL, place.code_of(agent))
    no = api.post("/agents/sellers", {**body, "agent": place.code_of(other)})
    assert no.status_code == 422 and "reason" in str(no.get_json())
    assert api.post("/agents/sellers", {**body, "serial": "NONE-1"}).status_code == 422
    page = api.get("/agents/sellers?current=true").get_json()
    assert [one["item_id"] for one in page["items"]] == [item]
    stranger = api_scene.Asker(app, api_scene.token_of(make_user(place.unit, ())))
    assert (stranger.get("/agents/sellers").get_json() or {}).get("items", []) == []
