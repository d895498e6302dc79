"""Warranty: lines of cover a second as a pure function, and the cover of many items beside one plain select."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

from sqlalchemy import insert, select, text

from core.kernel import clock
from core.kernel.database import db, system_scope, transaction
from core.rules.setting_models import IN_FORCE, ClauseSetting
from core.units.models import Unit
from core.units.switches import enable
from plugins.products.models import Item, Model
from plugins.warranty import cover, terms, values
from plugins.warranty.coverage import Situation, judge
from plugins.warranty.models import ItemEvent
from plugins.warranty.values import EventFacts, ItemFacts, TermRule

from .lists import Row, best
from .scene import Scene

SOLD = date(2023, 6, 15)
PAGE = 50
CLAUSES = ("R07-3.1", "R22-2.8a", "R22-2.8b", "SB-2", "SB-3")
RULES = (
    TermRule(12, clause="R07-3.1"),
    TermRule(36, start=values.HANDOVER, clause="R22-2.8a"),
    TermRule(60, values.KEY_PART, values.HANDOVER, clause="R22-2.8b"),
    TermRule(12, values.STATUTORY, clause="SB-3"),
)
DECIDING = {"R13-5.1": {"classes": "4.1"}, "R13-5.1.1.1": {}, "R13-5.1.2": {}, "R13-5.2.1.3a": {}}
EVENTS = (
    EventFacts("replaced", date(2025, 11, 20), "pump", months=36, clause="R22-1.W4", source="a"),
    EventFacts("repaired", date(2025, 1, 20), "board", "E1", days=90, clause="R07-7.1", source="b"),
    EventFacts("in_repair", date(2024, 1, 10), days=10, clause="SB-6", source="c"),
    EventFacts("extended", date(2026, 6, 3), months=12, clause="R22-1.W6b", source="d"),
)


def coverage_lines(count: int = 20_000) -> list[tuple[str, float]]:
    """Return (what, a second) of the pure functions, for items with four terms and four events."""
    days = [SOLD + timedelta(n) for n in range(count)]
    items = [ItemFacts(purchased_on=day, handed_over_on=day, key_parts=("pump", "board")) for day in days]
    made = [terms.lines(one, RULES, EVENTS) for one in items]
    lines, day = sum(map(len, made)), date(2026, 1, 1)
    working = _seconds(lambda: [terms.lines(one, RULES, EVENTS) for one in items])
    choosing = _seconds(lambda: [terms.best(one, day, part="pump") for one in made])
    return [
        ("coverage lines", lines / working),
        ("  items with four terms and four events", count / working),
        ("  best line for a day and a part", count / choosing),
        ("  coverage decisions", decisions_per_second(count)),
    ]


def decisions_per_second(count: int = 20_000) -> float:
    """Decide so many cases of an item with four terms and four events: inside, outside, of a part, improper use."""
    lines = terms.lines(ItemFacts(purchased_on=SOLD, handed_over_on=SOLD, key_parts=("pump",)), RULES, EVENTS)
    now = Situation(SOLD + timedelta(100), lines, product_class="4.1", clauses=DECIDING)
    asked = (now, replace(now, day=date(2035, 1, 1)), replace(now, part="pump"), replace(now, cause="misuse"))
    return count / _seconds(lambda: [judge(asked[n % 4]) for n in range(count)])


def _seconds(run: Callable[[], object]) -> float:
    found = float("inf")
    for _ in range(3):
        begun = time.perf_counter()
        run()
        found = min(found, time.perf_counter() - begun)
    return found


def measure(place: Scene, items: int = 1000) -> list[Row]:
    """Return the cover of a page and of ``items`` items beside one plain select of them, in ms."""
    fill(place, items)
    rows = []
    for count in (PAGE, items):
        ours = best(lambda count=count: _covers(place, count))  # type: ignore[misc]
        raw = best(lambda count=count: _raw(place, count))  # type: ignore[misc]
        rows.append((f"cover of {count:,} items", ours, raw, "ms"))
    return rows


def fill(place: Scene, items: int) -> None:
    """Switch the plugin on with some clauses in force, and put items with a replaced part each into the unit."""
    with place.app.app_context(), system_scope("bench") as work, transaction():
        enable(work.scalars(select(Unit).where(Unit.id == place.unit_id)).one(), "warranty", with_dependencies=True)
        shared = {"unit_id": place.unit_id, "starts_on": date(2020, 1, 1), "holds": True, "values": {}}
        more = {
            "reason": "bench",
            "open_records": "keep",
            "state": IN_FORCE,
            "schema": 1,
            "created_at": clock.now(),
        }
        work.add_all(ClauseSetting(clause=one, **shared, **more) for one in CLAUSES)
        model = Model(unit_id=place.unit_id, code="M1", name="pump set", warranty_months=24)
        work.add(model)
        work.flush()
        moment = clock.now()
        days = [SOLD + timedelta(n % 700) for n in range(items)]
        work.execute(
            insert(Item),
            [
                {
                    "unit_id": place.unit_id,
                    "serial": f"SN-{n:06}",
                    "model_id": model.id,
                    "purchased_on": day,
                    "handed_over_on": day,
                    "created_at": moment,
                }
                for n, day in enumerate(days)
            ],
        )
        keys = work.execute(select(Item.id, Item.purchased_on).order_by(Item.id)).all()
        event = {"unit_id": place.unit_id, "kind": "replaced", "part": "pump", "months": 36, "source": "bench"}
        work.execute(
            insert(ItemEvent), [{**event, "item_id": key, "on": day, "created_at": moment} for key, day in keys]
        )


def _covers(place: Scene, count: int) -> None:
    with place.app.app_context(), system_scope("bench") as work:
        cover.cover_of_many(list(work.scalars(select(Item).order_by(Item.id).limit(count))))


def _raw(place: Scene, count: int) -> None:
    query = text(
        'SELECT i.id, i.serial, i.purchased_on, i.handed_over_on, e.kind, e."on", e.part, e.months '
        "FROM products_item i LEFT JOIN warranty_event e ON e.item_id = i.id ORDER BY i.id LIMIT :count"
    )
    with place.app.app_context(), db.engine.connect() as conn:
        conn.execute(query, {"count": count}).all()
