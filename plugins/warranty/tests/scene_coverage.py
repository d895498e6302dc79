"""What the tests of coverage set up: a unit in which only chosen clauses hold, an item, cases about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

from sqlalchemy import insert, select

from core.cases.services import register_case
from core.kernel import clock
from core.rules import effective
from core.rules.obligation_models import Obligation
from core.rules.rulebook import current_rulebook
from core.rules.setting_models import IN_FORCE, ClauseSetting
from core.sdk import Record, perform, record_fact, session, transaction
from plugins.products import services as products
from plugins.products.models import Model
from plugins.warranty import rights
from plugins.warranty.models import Coverage
from plugins.warranty.standing import Standing, standing_of
from plugins.warranty.workflow import TRANSITIONS
from tests.casework import ALL, INTAKE, Office, make_office
from tests.helpers import as_system, in_scope, switch_on

DESK = frozenset({*ALL, rights.VIEW, rights.HANDLE, products.VIEW, products.EDIT})
HEAD = DESK | {rights.DECIDE_OTHERWISE}
SERIAL = "RB18A-2302-00001"
PAPERS = {"papers": ["proof", "card"]}
MADE = date(2020, 1, 1)


def make_shop(*clauses: str, **values: Mapping[str, Any]) -> Office:
    """An office with the plugin on, in which of all clauses of warranty and products only these hold."""
    office = make_office()
    switch_on(office.unit, "warranty")
    with as_system() as work:
        book = current_rulebook().clauses
        rows = [
            {
                "unit_id": office.unit.id,
                "clause": one.id,
                "starts_on": MADE,
                "holds": one.id in clauses,
                "values": values.get(one.id, {}),
                "reason": "test",
                "open_records": "keep",
                "state": IN_FORCE,
                "created_at": clock.now(),
                "schema": one.schema,
            }
            for one in book.values()
            if one.plugin in ("warranty", "products") or one.id in clauses
        ]
        work.execute(insert(ClauseSetting), rows)
        effective.forget()
    return office


@contextmanager
def at(office: Office, moment: datetime, permissions: frozenset[str] = DESK) -> Iterator[Any]:
    """Work at the desk at a moment; each action is a transaction of its own."""
    with clock.frozen(moment), in_scope(office.unit, permissions, office.desk) as work:
        yield work


def add_item(office: Office, serial: str = SERIAL, **columns: Any) -> int:
    """Register an item of the unit, sold by us unless said otherwise."""
    with in_scope(office.unit, DESK, office.desk), transaction():
        held = {one.code: one for one in session().scalars(select(Model))}
        model = held.get("RB18A") or products.save_model(
            office.unit.id, {"code": "RB18A", "name": "空气能热泵", "active": "1"}
        )
        given = {"serial": serial, "model_id": str(model.id), "active": "1", "sold_class": "own", **columns}
        return products.save_item(office.unit.id, given).id


def add_case(office: Office, moment: datetime, nature: str = "repair", **changes: Any) -> int:
    """Register a case about the item, classified unless ``nature`` is ''."""
    with at(office, moment):
        raw = {**INTAKE, "serial_text": SERIAL, **changes}
        key = register_case(office.unit.id, raw).id
        if nature:
            classify(key, nature)
        return key


def classify(key: int, nature: str = "repair", **more: Any) -> None:
    perform(key, "classify", {"nature": nature, "urgency": "normal", **more})


def step(office: Office, moment: datetime, key: int, name: str, _by: frozenset[str] = DESK, **raw: Any) -> Record:
    """Perform a step at a moment; steps of this plugin go by their short name."""
    code = f"warranty:{name}" if f"warranty:{name}" in {one.name for one in TRANSITIONS} else name
    with at(office, moment, _by):
        return perform(key, code, raw)


def decide(office: Office, moment: datetime, key: int, _by: frozenset[str] = DESK, **raw: Any) -> Coverage:
    """Decide coverage and return the decision."""
    step(office, moment, key, "decide", _by, **{"cause": "quality", **raw})
    found = now(office, key).coverage
    assert found is not None
    return found


def happened(office: Office, moment: datetime, key: int, kind: str, when: datetime | None = None) -> None:
    """Enter that something happened."""
    with at(office, moment):
        record_fact(key, kind, at=when or moment)


def now(office: Office, key: int) -> Standing:
    """Return where a case stands, detached."""
    with in_scope(office.unit, DESK, office.desk) as work:
        found = standing_of(work.get_one(Record, key))
        work.expunge_all()
        return found


def history(key: int) -> list[Coverage]:
    """Return every decision of a case, oldest first."""
    with as_system() as work:
        rows = list(work.scalars(select(Coverage).where(Coverage.record_id == key).order_by(Coverage.id)))
        work.expunge_all()
        return rows


def obligation(key: int, clause: str) -> Any:
    """Return the latest obligation of a clause, as (state, due) or None."""
    with as_system() as work:
        rows = select(Obligation.state, Obligation.due_at, Obligation.target_at)
        rows = rows.where(Obligation.record_id == key, Obligation.clause == clause)
        return work.execute(rows.order_by(Obligation.start_at.desc(), Obligation.id.desc())).first()
