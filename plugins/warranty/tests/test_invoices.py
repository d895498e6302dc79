"""Invoice requests: what goes on them, tax numbers, red invoices, what may be lowered."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from core.sdk import InvalidData, NotAllowed, NotFound, Record, Refused, charges, clock, perform
from plugins.warranty import invoices, receipts, rights
from plugins.warranty.models import Invoice
from plugins.warranty.tests.scene_money import ALL, NOVEMBER, Place, make_place
from plugins.warranty.tests.test_receipts import FINISH

CODE = "91330106MA99999991"  # a made-up holder, a true check character
BUYER = {"buyer": "盟新科技有限公司", "tax_number": CODE, "mailbox": "cw@example.com", "rate": "13"}


@pytest.fixture
def place(app: Any) -> Any:
    with clock.frozen(NOVEMBER):
        yield make_place()


def ask(place: Place, case: int, **values: Any) -> int:
    with place.acting():
        return invoices.request(place.unit.id, {"case_id": case, **BUYER, **values}).id


def wrong(place: Place, case: int, **values: Any) -> set[str]:
    with place.acting(), pytest.raises(InvalidData) as bad:
        invoices.request(place.unit.id, {"case_id": case, **BUYER, **values})
    return set(bad.value.errors)


def detail(place: Place, key: int) -> Invoice:
    with place.acting() as work:
        found = work.scalars(select(Invoice).where(Invoice.id == key)).one()
        work.expunge_all()
        return found


def issue(place: Place, key: int, number: str = "26332000000012345678") -> None:
    place.do(key, "issue", {"invoice_number": number})


@pytest.mark.parametrize(
    ("amount", "rate", "tax"),
    [
        ("113", "13", "13.00"),
        ("100", "13", "11.50"),
        ("0.01", "13", "0.00"),
        ("100", "0", "0.00"),
        ("1.03", "3", "0.03"),
    ],
)
def test_the_tax_in_an_amount(amount: str, rate: str, tax: str) -> None:
    assert invoices.tax_part(Decimal(amount), Decimal(rate)) == Decimal(tax)


def test_tax_numbers_are_checked(app: Any) -> None:
    good = ("330106673959654", "33010667395965412345", CODE, CODE.lower())
    for text in good:
        assert invoices.read_tax_number(f" {text} ") == text.upper()
    changed = CODE[:-1] + ("A" if CODE[-1] != "A" else "B")
    for text in ("1", changed, "3301066739596541", "33010667395965-", "甲" * 18):
        with pytest.raises(InvalidData):
            invoices.read_tax_number(text)


def test_an_invoice_takes_every_posted_charge_once(place: Place) -> None:
    key = place.case("100", "13")
    made = detail(place, ask(place, key))
    assert (made.amount, made.rate, made.tax_number) == (Decimal("113.00"), Decimal("13.00"), CODE)
    assert wrong(place, key) == {"amount"}
    place.charge(key, "20")
    assert wrong(place, key, amount="20.01") == {"amount"}
    assert detail(place, ask(place, key, amount="5")).amount == Decimal("5.00")
    assert detail(place, ask(place, key)).amount == Decimal("15.00")


def test_what_is_wrong_stands_beside_its_field(place: Place) -> None:
    key, other = place.case("100"), place.case("50")
    assert wrong(place, key, buyer="") == {"buyer"}
    assert wrong(place, key, tax_number="12") == {"tax_number"}
    assert wrong(place, key, mailbox="x") == {"mailbox"}
    for rate in ("-1", "31", "1.234", "x"):
        assert wrong(place, key, rate=rate) == {"rate"}
    for amount in ("0", "-1", "1.001", "1e20"):
        assert wrong(place, key, amount=amount) == {"amount"}
    assert wrong(place, key, charges=str(place.charges_of(other)[0].id)) == {"charges"}
    assert wrong(place, place.case("9", state="consented")) == {"amount"}
    with place.acting(permissions=ALL - {rights.COLLECT}), pytest.raises(NotAllowed):
        invoices.request(place.unit.id, {"case_id": key, **BUYER})
    stranger = make_place()
    with stranger.acting(), pytest.raises(NotFound):
        invoices.request(stranger.unit.id, {"case_id": key, **BUYER})


def test_asked_twice_with_one_key_it_is_one(place: Place) -> None:
    key = place.case("100")
    assert ask(place, key, key="k1") == ask(place, key, key="k1")


def test_a_number_comes_once_in_a_unit(place: Place) -> None:
    first, second = (ask(place, place.case("100")) for _ in range(2))
    issue(place, first)
    for number in ("26332000000012345678", "12", "号码号码号码"):
        with pytest.raises(InvalidData):
            issue(place, second, number)
    with pytest.raises(InvalidData):
        place.do(second, "issue", {"invoice_number": "26332000000012345679", "issued_on": "2026-11-17"})
    with pytest.raises(NotAllowed), place.acting(permissions=ALL - {rights.FINANCE}):
        perform(second, "issue", {"invoice_number": "26332000000012345679"})
    issue(place, second, "26332000000012345679")
    with pytest.raises(InvalidData):
        place.do(second, "take_back", {"red_number": "26332000000012345678", "reason": "开错"})


def test_a_cancelled_request_frees_its_charges(place: Place) -> None:
    key = place.case("100")
    made = ask(place, key)
    place.do(made, "cancel", {"reason": "抬头错"})
    again = ask(place, key)
    issue(place, again)
    with pytest.raises(Refused):
        place.do(again, "cancel", {"reason": "晚了"})


def lower(place: Place, charge: int, to: str) -> None:
    with place.acting() as work:
        charges.adjust(charge, to, "多算")
        work.commit()


def test_an_invoiced_line_is_lowered_only_as_far_as_it_was_taken_back(place: Place) -> None:
    key = place.case("100", "50")
    first, second = (one.id for one in place.charges_of(key))
    made = ask(place, key)
    issue(place, made)
    with pytest.raises(Refused) as refused:
        lower(place, second, "40")
    assert "KP-" in str(refused.value)
    for amount in ("0", "150.01", "1.234"):
        with pytest.raises(InvalidData):
            place.do(made, "take_back", {"red_number": "RED001", "red_amount": amount, "reason": "多算"})
    red = {"red_number": "RED001", "red_amount": "10", "reason": "多算", "charges": str(first)}
    place.do(made, "take_back", red)
    with pytest.raises(Refused):
        lower(place, second, "40")
    with pytest.raises(Refused):
        lower(place, first, "89.99")
    lower(place, first, "90")
    with place.acting(), pytest.raises(Refused):
        charges.waive(second, "优惠", "1")
    assert detail(place, made).red_amount == Decimal("10.00")


def test_raising_and_paying_need_no_red_invoice(place: Place) -> None:
    key = place.case("100")
    ask(place, key)
    lower(place, place.charges_of(key)[0].id, "120")
    with place.acting():
        receipts.register(place.unit.id, {"case_id": key, "amount": "120", "means": "transfer"})
    assert {one.state for one in place.charges_of(key)} == {"settled"}


@pytest.mark.clause("R15-11b")
@pytest.mark.parametrize("how", ["asked", "declined"])
def test_a_paid_case_is_archived_with_an_invoice_or_the_mark(place: Place, how: str) -> None:
    place.office.clause("R15-11b")
    key = place.case("60")
    place.office.do(key, *FINISH)
    with pytest.raises(Refused) as refused:
        place.do(key, "close")
    assert "R15-11b" in [one.clause for one in refused.value.refusals]
    if how == "asked":
        ask(place, key)
    else:
        place.do(key, "warranty:no_invoice", {"reason": "个人客户"})
    place.do(key, "close")
    with place.acting() as work:
        assert work.scalars(select(Record.state).where(Record.id == key)).one() == "closed"


def test_a_free_case_needs_no_invoice(place: Place) -> None:
    place.office.clause("R15-11b")
    key = place.case()
    place.office.do(key, *FINISH)
    place.do(key, "close")
