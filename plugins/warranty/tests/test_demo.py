"""What the plugin adds to the demonstration, in a small one."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

from core.demo import fill as demo
from core.kernel import clock
from core.rules.effective import holds
from core.sdk import Charge, Record, Unit
from plugins.warranty import quotes, values
from plugins.warranty.models import Contract, Coverage, Invoice, PartPrice, Quote, Receipt, Tariff, Term
from tests.casework import reading
from tests.test_demo import MOMENTS, shrink


@pytest.fixture
def filled(sqlite_app: Any, monkeypatch: Any) -> Any:
    shrink(monkeypatch, cases=30, customers=4)
    with clock.frozen(MOMENTS["morning"]), sqlite_app.app_context():
        demo.fill()
        yield sqlite_app


def test_units_follow_one_regulation_and_have_prices_decisions_and_money(filled: Any) -> None:
    with reading() as work:
        units = {unit.code: unit.id for unit in work.scalars(select(Unit))}
        with_plugins = {units[code] for code in ("HQ", "FAC", "STORE")}
        assert holds(units["FAC"], "R17-5.1") and not holds(units["FAC"], "R03-7.1")
        assert holds(units["STORE"], "SB-3") and not holds(units["FAC"], "SB-3")
        for unit_id in with_plugins:
            states = work.scalars(select(Tariff.state).where(Tariff.unit_id == unit_id)).all()
            assert sorted(states) == ["draft", "released"]
            assert work.scalar(select(func.count(PartPrice.id)).where(PartPrice.unit_id == unit_id)) == 20
            assert work.scalar(select(func.count(Term.id)).where(Term.unit_id == unit_id))
        for model in (Coverage, Quote, Receipt, Invoice, Contract):
            assert set(work.scalars(select(model.unit_id))) <= with_plugins, model
            assert work.scalar(select(func.count()).select_from(model)), model
        results = set(work.scalars(select(Coverage.result)))
        assert {values.IN_WARRANTY, values.OUT} <= results
        told = work.scalars(select(Quote)).all()
        assert {values.CONSENTED, values.REFUSED} <= {quote.state for quote in told}
        for quote in told:
            # What was waived after the consent is no longer owed.
            assert 0 <= quotes.payable(quote.record_id) <= quote.total, quote.number
        decided = set(work.scalars(select(Coverage.record_id)))
        of_cases = select(Charge.record_id).join(Record, Record.id == Charge.record_id).where(Record.type == "case")
        assert set(work.scalars(of_cases)) <= decided
        late = select(Record).where(Record.type.startswith("warranty"), Record.received_at > clock.now())
        assert work.scalars(late).all() == []
        in_hand = select(Record.unit_id).where(Record.type == "warranty_receipt", Record.state == "collected")
        assert set(work.scalars(in_hand)) & with_plugins
