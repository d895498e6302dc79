"""The cover of items: terms of clauses and of the unit, joined with what is on file. Reads; ``events`` writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from core.sdk import effective, enabled_since, local_day, session, setting
from plugins.products import services as products

from . import settings, values
from .models import ItemEvent, Term
from .terms import EVERY_PART, lines
from .values import EventFacts, ItemFacts, TermRule, WarrantyLine

PLUGIN = "warranty"
FROM_MODEL, FROM_TERM = "model", "term"
BY_SETTING = "setting"
# What a unit sets in the weeks after it began with this plugin counts for all that it sold before.
SET_UP = timedelta(days=31)


class ClauseTerm(NamedTuple):
    """A clause that says how long something is covered: by its parameters ``term`` or ``days``, and ``start``."""

    clause: str
    scope: str
    action: str = values.REPAIR
    part: str = ""


OF_CLAUSES = (
    ClauseTerm("R07-3.1", values.SET),
    ClauseTerm("R22-2.8a", values.SET),
    ClauseTerm("R22-2.8b", values.KEY_PART),
    ClauseTerm("R22-2.8c", values.SET),
    ClauseTerm("R22-4.3", values.SET),
    ClauseTerm("R23-3.1.1", values.SET, values.EXCHANGE),
    ClauseTerm("R23-3.1.2", values.SET),
    ClauseTerm("SB-1", values.STATUTORY, values.RETURN),
    ClauseTerm("SB-2", values.STATUTORY, values.EXCHANGE),
    ClauseTerm("SB-3", values.STATUTORY),
    ClauseTerm("SB-4", values.STATUTORY, part=EVERY_PART),
)


def facts_of(item: Any) -> ItemFacts:
    """Return what the terms need of an item of the product file (model and category loaded)."""
    first = products.first_deliveries([item.id])
    return _facts_of(item, item.model, _own_parts([item.id])[item.id], first.get(item.id))


def rules_of(unit_id: int, on: date | None = None) -> list[TermRule]:
    """Return the terms that hold in a unit for what is sold on a day: of clauses in force and of its own table.

    What was sold before the unit began with this plugin is judged by what it set in the first weeks with it.
    """
    return [*_of_clauses(unit_id, on), *_of_table(_own_terms([unit_id]), on or local_day(unit_id))]


def events_of(item_ids: Sequence[int]) -> Mapping[int, list[EventFacts]]:
    """Return what happened to items, oldest first, in one statement; withdrawn entries are left out."""
    found: dict[int, list[EventFacts]] = {key: [] for key in item_ids}
    kept = select(ItemEvent).where(ItemEvent.item_id.in_(list(item_ids)), ItemEvent.withdrawn_at.is_(None))
    for row in session().scalars(kept.order_by(ItemEvent.on, ItemEvent.id)) if item_ids else ():
        found[row.item_id].append(_event(row))
    return found


def history_of(item: Any) -> list[ItemEvent]:
    """Return everything that was entered about an item's cover, also what was withdrawn, newest first."""
    found = select(ItemEvent).where(ItemEvent.item_id == item.id)
    return list(session().scalars(found.order_by(ItemEvent.on.desc(), ItemEvent.id.desc())))


def cover_of(item: Any) -> list[WarrantyLine]:
    """Return the lines of cover of one item."""
    return cover_of_many([item])[item.id]


def cover_of_many(items: Sequence[Any]) -> dict[int, list[WarrantyLine]]:
    """Return the lines of cover by item id, in a fixed number of statements."""
    if not items:
        return {}
    models = products.models_in_full(sorted({item.model_id for item in items}))
    happened = events_of([item.id for item in items])
    parts = _own_parts([item.id for item in items])
    first = products.first_deliveries([item.id for item in items])
    own = _own_terms(sorted({item.unit_id for item in items}))
    known: dict[tuple[int, date | None], list[TermRule]] = {}
    found = {}
    for item in items:
        facts = _facts_of(item, models[item.model_id], parts[item.id], first.get(item.id))
        rules = _rules_for(item.unit_id, facts, own, known)
        found[item.id] = lines(facts, rules, happened[item.id], **_after_repairs(item.unit_id))
    return found


def cover_for(unit_id: int, facts: ItemFacts, happened: Sequence[EventFacts] = ()) -> list[WarrantyLine]:
    """Return the lines of cover by what is known of an item, where the file itself does not say it (all)."""
    rules = _rules_for(unit_id, facts, _own_terms([unit_id]), {})
    return lines(facts, rules, happened, **_after_repairs(unit_id))


def _after_repairs(unit_id: int) -> dict[str, bool]:
    """What a repair gives in a unit: by its setting (E04) and by R07-7.1."""
    return {
        "full_restart": setting(unit_id, settings.REPAIRED_COVER) == settings.FULL_RESTART,
        "same_fault": bool(effective(unit_id, "R07-7.1").values["same_fault"]),
    }


def rules_for(item: Any) -> list[TermRule]:
    """Return the terms an item was sold under: each by the day it begins with."""
    return _rules_for(item.unit_id, facts_of(item), _own_terms([item.unit_id]), {})


# --- inside ----------------------------------------------------------------------------------


def _facts_of(item: Any, model: Any, own_parts: Sequence[str], first_delivered: date | None) -> ItemFacts:
    """``first_delivered``: when the item was delivered that this one was given for; an exchange is no new sale."""
    return ItemFacts(
        serial=item.serial,
        sold_class=item.sold_class,
        category=model.category.name if model.category else "",
        model=model.code,
        model_months=model.warranty_months,
        purchased_on=item.purchased_on,
        handed_over_on=item.handed_over_on,
        delivered_on=first_delivered or item.delivered_on,
        key_parts=tuple(dict.fromkeys([*(part.name for part in model.key_parts), *own_parts])),
        has_proof={"yes": True, "no": False}.get(item.proof),
    )


def _own_parts(item_ids: Sequence[int]) -> dict[int, list[str]]:
    """Return the names of the key parts that items came with, by item id."""
    part = products.ItemPart
    found: dict[int, list[str]] = {key: [] for key in item_ids}
    # What a record fitted later is there because it was replaced, not because it is a key part.
    rows = select(part.item_id, part.name).where(
        part.item_id.in_(list(item_ids)), part.record_id.is_(None), part.removed_on.is_(None)
    )
    for key, name in session().execute(rows.order_by(part.id)):
        found[key].append(name)
    return found


def _rules_for(
    unit_id: int, facts: ItemFacts, own: Sequence[Term], known: dict[tuple[int, date | None], list[TermRule]]
) -> list[TermRule]:
    """Each term as it was on the day it begins with for this item; where that day is not known, as it is today."""
    days = {
        values.PURCHASE: facts.purchased_on,
        values.HANDOVER: facts.handed_over_on,
        values.DELIVERY: facts.delivered_on,
    }
    found = []
    for start, day in days.items():
        if (unit_id, day) not in known:
            of_unit = [one for one in own if one.unit_id == unit_id]
            known[unit_id, day] = [
                *_of_clauses(unit_id, day),
                *_of_table(of_unit, day or local_day(unit_id)),
            ]
        found += [one for one in known[unit_id, day] if one.start == start]
    if facts.model_months:
        begins = setting(unit_id, settings.START)
        found.append(TermRule(facts.model_months, start=begins, source=FROM_MODEL, model=facts.model))
    return found


def _of_clauses(unit_id: int, on: date | None) -> list[TermRule]:
    at = moment_in(unit_id, _judged_on(unit_id, on))
    start = setting(unit_id, settings.START)
    found = []
    for one in OF_CLAUSES:
        now = effective(unit_id, one.clause, at)
        if now.holds:
            found.append(_rule(one, now.values, start))
    return found


def _rule(one: ClauseTerm, given: Mapping[str, Any], start: str) -> TermRule:
    begins = given.get("start", values.PURCHASE)
    return TermRule(
        months=int(given.get("term", 0)),
        days=int(given.get("days", 0)),
        scope=one.scope,
        start=start if begins == BY_SETTING else begins,
        action=one.action,
        clause=one.clause,
        category=str(given.get("category", "")),
        part=one.part,
    )


def _judged_on(unit_id: int, on: date | None) -> date:
    """Return the day whose clauses count for what was sold on a day."""
    today = local_day(unit_id)
    if on is None:
        return today
    since = enabled_since(unit_id, PLUGIN)
    if since is None:
        return on
    return max(on, min(today, local_day(unit_id, since) + SET_UP))


def moment_in(unit_id: int, day: date) -> datetime:
    """Return a moment that lies inside the day where the unit is."""
    noon = datetime.combine(day, time(12), UTC)
    return noon + (day - local_day(unit_id, noon))


def _own_terms(unit_ids: Sequence[int]) -> list[Term]:
    found = select(Term).options(joinedload(Term.category), joinedload(Term.model))
    return list(session().scalars(found.where(Term.unit_id.in_(unit_ids), Term.active).order_by(Term.id)))


def own_terms(unit_id: int, on: date) -> list[Term]:
    """Return the rows of a unit's own table that hold for what is sold on a day."""
    return [one for one in _own_terms([unit_id]) if _valid(one, on)]


def _valid(one: Term, on: date) -> bool:
    return (one.valid_from is None or one.valid_from <= on) and (one.valid_to is None or on <= one.valid_to)


def _of_table(own: Sequence[Term], on: date) -> list[TermRule]:
    return [
        TermRule(
            months=one.months,
            scope=one.scope,
            start=one.start,
            action=one.action,
            source=f"{FROM_TERM}:{one.id}",
            sold_class=one.sold_class,
            category=one.category.name if one.category else "",
            model=one.model.code if one.model else "",
            part=one.part,
        )
        for one in own
        if _valid(one, on)
    ]


def term_names(unit_ids: Sequence[int]) -> dict[str, str]:
    """Return the names of the units' own terms by the ``source`` their lines carry."""
    found = select(Term.id, Term.name).where(Term.unit_id.in_(list(unit_ids)))
    return {f"{FROM_TERM}:{key}": name for key, name in session().execute(found)}


def has_terms(unit_id: int) -> bool:
    """Tell whether anything says in a unit how long its products are covered."""
    return bool(_of_clauses(unit_id, None)) or bool(
        session().scalar(select(Term.id).where(Term.unit_id == unit_id, Term.active).limit(1))
    )


def _event(row: ItemEvent) -> EventFacts:
    return EventFacts(
        kind=row.kind,
        on=row.on,
        part=row.part,
        fault=row.fault,
        months=row.months,
        days=row.days,
        until=row.until,
        clause=row.clause,
        source=row.source,
        action=row.action,
    )
