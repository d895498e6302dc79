"""Who bears a case: by class, coverage decision and the clauses in force."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from core.sdk import Record, detail_of
from plugins.agents import bearing
from plugins.agents.models import Seller
from plugins.agents.tests import scene


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collect the statements sent inside."""
    sent: list[str] = []

    def collect(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", collect)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", collect)


def bearer(place: scene.Place, key: int) -> Any:
    with place.acting() as work:
        found = bearing.bearer_of(work.get_one(Record, key))
        work.expunge_all()
        return found


@pytest.mark.clause("R18-5.1.2b")
def test_what_an_agent_sold_is_borne_by_the_agent_who_sold_it(app: Any) -> None:
    place = scene.make_place()
    seller = place.agent()
    place.item(agent=seller)
    found = bearer(place, place.case())
    assert (found.payer, found.clause, found.agent.id) == ("agent", "R18-5.1.2b", seller)
    assert (found.needs_notice, found.notice_clause) == (True, "R18-5.1.2")


def test_who_bears_it_is_read_once_and_again_after_the_next_fact(app: Any) -> None:
    place = scene.make_place()
    place.item(agent=place.agent())
    key = place.case()
    with place.acting() as work:
        record = work.get_one(Record, key)
        with statements() as first:
            assert bearing.bearer_of(record) is not None
        with statements() as second:
            assert bearing.bearer_of(record) is not None
            assert bearing.agent_of(record) is not None
        assert len(first) <= 14 and not second
        record.fact_seq += 1
        with statements() as third:
            bearing.bearer_of(record)
        assert third
        work.rollback()
        assert bearing.KEPT not in work.info


def test_what_was_written_without_a_fact_is_seen_after_forget(app: Any) -> None:
    place = scene.make_place()
    item = place.item()
    key = place.case()
    agent = place.agent()
    with place.acting() as work:
        record = work.get_one(Record, key)
        assert bearing.agent_of(record) is None
        work.add(Seller(unit_id=place.unit.id, item_id=item, agent_id=agent, entered_at=place.now))
        work.flush()
        assert bearing.agent_of(record) is None
        bearing.forget(record)
        found = bearing.agent_of(record)
        assert found is not None and found.id == agent


@pytest.mark.clause("R18-5.1.2b")
@pytest.mark.parametrize("nature", ["inquiry", "complaint", "consulting"])
def test_what_is_about_no_goods_is_borne_by_nobody(app: Any, nature: str) -> None:
    place = scene.make_place()
    place.item(agent=place.agent())
    key = place.case(cause="")
    with place.acting() as work:
        record = work.get_one(Record, key)
        assert bearing.bearer_of(record) is None  # nothing is decided yet
        detail_of(record).nature = nature
        bearing.forget(record)
        assert bearing.bearer_of(record) is None


@pytest.mark.clause("R18-5.1.3")
def test_of_two_contracts_the_one_that_names_the_series_counts(app: Any) -> None:
    place = scene.make_place()
    agent = place.agent()
    place.contract(agent, ("receivable", "per_case", "100"))
    named = place.contract(agent, ("receivable", "per_case", "200"), series=[scene.CATEGORY])
    place.item(agent=agent)
    found = bearer(place, place.case())
    assert found.terms.contract_id == named
