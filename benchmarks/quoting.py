"""Quoting: plans a second beside bare arithmetic; the whole step beside the rows it writes, in bare SQL."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal

from sqlalchemy import select, text

from core.cases.services import register_case
from core.kernel import clock
from core.kernel.database import db, opened_scope, system_scope, transaction
from core.kernel.scope import Scope
from core.records.engine import perform
from core.rules.rulebook import current_rulebook
from core.rules.setting_models import IN_FORCE, ClauseSetting
from core.units.models import Unit
from core.units.switches import enable
from core.users.permissions import all_permissions
from plugins.warranty import pricing, values
from plugins.warranty.models import PartPrice
from plugins.warranty.values import Plan, PlanPart, Price

from .lists import Row
from .scene import Scene

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
SECTION, PART, CENT = "R13-5.2.1.3", "R13-5.2.1.4", Decimal("0.01")
IN_THE_RULES = (*(f"{SECTION}{one}" for one in "abcd"), PART)
PRICES = {
    "travel": Price(Decimal(0), values.ACTUAL, f"{SECTION}a"),
    "lodging": Price(Decimal(150), values.PERSON_NIGHT, f"{SECTION}b"),
    "meals": Price(Decimal(50), values.PERSON_DAY, f"{SECTION}c"),
    "allowance": Price(Decimal(200), values.PERSON_DAY, f"{SECTION}d"),
}
TRIP = {"means": "on_site", "people": "2", "days": "3", "nights": "2", "travel": "860", "parts": "P-1, 1"}
COPIED = ("core_charge", "warranty_quote", "core_fact")
_phones = itertools.count(1)


def worked_out(count: int = 10_000) -> Row:
    """Work out so many plans with five lines each, beside the same sums by hand; plans a second."""
    basis = pricing.Basis(values.OUT, prices=PRICES, clauses={one: {} for one in IN_THE_RULES})
    plans = [_plan(number) for number in range(count)]
    ours, owed = _timed(lambda: [pricing.total(pricing.work_out(one, basis), "customer") for one in plans])
    bare, right = _timed(lambda: [_by_hand(one) for one in plans])
    if owed != right:
        raise RuntimeError("the plans come to something else than by hand")
    return (f"quoting {count:,} plans", count / ours, count / bare, "a second")


def _plan(number: int) -> Plan:
    part = PlanPart("P-1", "主板", Decimal(1 + number % 3), Decimal(number) / 100)
    return Plan(people=1 + number % 4, days=Decimal(number % 7), nights=Decimal(number % 5), parts=(part,))


def _by_hand(plan: Plan) -> Decimal:
    part = plan.parts[0]
    sums = (
        plan.travel,
        plan.people * plan.nights * 150,
        plan.people * plan.days * 50,
        plan.people * plan.days * 200,
        part.quantity * (part.price or 0),
    )
    return sum((Decimal(one).quantize(CENT, ROUND_HALF_UP) for one in sums), Decimal(0))


def _timed(run: object) -> tuple[float, list[Decimal]]:
    found, kept = float("inf"), []
    for _ in range(3):
        begun = time.perf_counter()
        kept = run()  # type: ignore[operator]
        found = min(found, time.perf_counter() - begun)
    return found, kept


def measure(place: Scene, count: int = 60) -> list[Row]:
    """Quote cases, and write the same rows without any rule; the fastest of ``count`` each, in ms."""
    _fill(place)
    ours = min(_quoted(place) for _ in range(count))
    bare = min(_rows_alone(place) for _ in range(count))
    return [("a quote of five lines", ours * 1000, bare * 1000, "ms")]


def _fill(place: Scene) -> None:
    with place.app.app_context(), system_scope("bench") as work, transaction():
        enable(work.scalars(select(Unit).where(Unit.id == place.unit_id)).one(), "warranty", with_dependencies=True)
        shared = {"unit_id": place.unit_id, "starts_on": date(2020, 1, 1), "values": {}, "reason": "bench"}
        more = {"open_records": "keep", "state": IN_FORCE, "created_at": NOON}
        work.add_all(
            ClauseSetting(clause=one.id, holds=one.id in IN_THE_RULES, schema=one.schema, **shared, **more)
            for one in current_rulebook().clauses.values()
            if one.plugin == "warranty"
        )
        price = {"name": "主板", "price": Decimal(1000), "starts_on": date(2020, 1, 1), "created_at": NOON}
        work.add(PartPrice(unit_id=place.unit_id, number="P-1", **price))


def _quoted(place: Scene) -> float:
    with _at_desk(place), clock.frozen(NOON):
        asked = {"customer_name": "盟新科技", "contact_phone": f"139{next(_phones):08}", "description": "漏水"}
        record = register_case(place.unit_id, {**asked, "channel": "phone", "product_text": "LN-24"})
        perform(record.id, "classify", {"nature": "repair", "urgency": "normal"})
        decided = {"cause": "quality", "result": values.OUT, "reason": "bench"}
        perform(record.id, "warranty:decide", decided)
        begun = time.perf_counter()
        perform(record.id, "warranty:quote", TRIP)
        return time.perf_counter() - begun


@contextmanager
def _at_desk(place: Scene) -> Iterator[None]:
    units, held = frozenset({place.unit_id}), frozenset(one.code for one in all_permissions())
    permissions = {place.unit_id: held}
    scope = Scope(actor_id=1, read=units, write=units, reason="benchmark", permissions=permissions)
    with place.app.app_context(), opened_scope(scope):
        yield


def _rows_alone(place: Scene) -> float:
    """Write five rows, one and two into bare tables of the same shape, in one transaction."""
    with place.app.app_context(), db.engine.connect() as conn:
        for name in COPIED:
            conn.execute(text(f"CREATE TABLE IF NOT EXISTS bare_{name} AS SELECT * FROM {name} WHERE 1 = 0"))
        conn.commit()
        begun = time.perf_counter()
        for name, rows in zip(COPIED, (5, 1, 2), strict=True):
            for _ in range(rows):
                copied = f"INSERT INTO bare_{name} SELECT * FROM {name} ORDER BY id DESC LIMIT 1"
                conn.execute(text(copied))
        conn.commit()
        return time.perf_counter() - begun
