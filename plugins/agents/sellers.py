"""Which agent sold an item: known by its serial number and sales record. An unknown seller is work, never a guess.

An item is sold once. Who is meant by another name makes a further row with a reason; what stood before stays.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, cast

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, or_, select
from sqlalchemy.orm import joinedload

from core.sdk import (
    CustomerAddress,
    Field,
    InvalidData,
    Job,
    Periodic,
    Record,
    Work,
    clean,
    clock,
    current_scope,
    jobs,
    local_day,
    require,
    session,
    transaction,
)
from plugins.products import services as products

from . import file, values
from .models import Agent, Seller
from .rights import HANDLE, KEEP

TAKE_OVER = "agents.take_over"  # the job
CHUNK = 500  # databases limit the parameters of a statement
SOLD = products.fields
AGENT_CHANNEL = "agent"  # of ``SOLD.CHANNELS``
# Items that somebody else sold or made, and what their seller is in the file (R18-4.2, R19-4.2, R19-4.3).
KIND_OF: Mapping[str, str] = {
    SOLD.AGENT: values.AGENT,
    SOLD.PARTNER: values.PARTNER,
    SOLD.PARTNER_SOLD: values.PARTNER,
}
NO_AGENT = _l("No agent with this number or name")
FIELDS = (
    Field("agent", "text", _l("Agent or partner"), True, max_length=120, help=_l("Number or name in the file")),
    Field("sold_on", "date", _l("Sold on")),
    Field("document", "text", _l("Sales record"), max_length=80),
    Field("reason", "long", _l("Reason"), max_length=300, help=_l("Needed where another agent is known")),
)


@dataclass(frozen=True)
class Given:
    """What somebody says about a sale; ``None`` or '' where they do not know."""

    agent: Agent
    sold_on: date | None = None
    document: str = ""
    reason: str = ""


# --- reading -------------------------------------------------------------------------------------


def seller_of(item_id: int) -> Seller | None:
    """Return the current seller of an item, with its agent."""
    return sellers_of([item_id]).get(item_id)


def sellers_of(item_ids: Sequence[int], *, fresh: bool = False) -> dict[int, Seller]:
    """The same for many items, in one select for each few hundred; ``fresh``: after ``lock_items``."""
    found: dict[int, Seller] = {}
    for start in range(0, len(item_ids), CHUNK):
        some = _current().where(Seller.item_id.in_(item_ids[start : start + CHUNK]))
        rows = session().scalars(some, execution_options={"populate_existing": fresh})
        found |= {one.item_id: one for one in rows}
    return found


def _current() -> Select[Seller]:
    return select(Seller).where(Seller.current).options(joinedload(Seller.agent))


def history_of(item_id: int) -> list[Seller]:
    """Return everything that was said about who sold an item, newest first."""
    found = select(Seller).where(Seller.item_id == item_id).options(joinedload(Seller.agent))
    return list(session().scalars(found.order_by(Seller.id.desc())))


def unknown_items(unit_id: int) -> Select[Any]:
    """Return the select of items of agents and partners of a unit whose seller nobody knows: the work list."""
    return unknown(select(products.Item)).where(products.Item.unit_id == unit_id)


def unknown(statement: Select[Any]) -> Select[Any]:
    """Narrow a select of items to those of agents and partners without a seller.

    What came by an agent, but whose class the sources contradict, is among them: its class is settled first.
    """
    item = products.Item
    known = select(Seller.id).where(Seller.item_id == item.id, Seller.current).exists()
    # The first condition alone is what an index leads to.
    return statement.where(item.sold_class.in_([*KIND_OF, ""]), or_(item.sold_class != "", by_agent()), ~known)


def by_agent() -> Any:
    """The condition that an item's sales channel says agent."""
    return products.Item.channel == AGENT_CHANNEL


def is_unsettled(item: Any) -> bool:
    """Tell whether an item came by an agent, but it is not settled who sold it."""
    return not item.sold_class and item.channel == AGENT_CHANNEL


# --- writing -------------------------------------------------------------------------------------


def set_seller(item: Any, raw: Mapping[str, Any], source: str, case: Record | None = None) -> Seller:
    """Say which agent sold an item (``KEEP``; ``HANDLE`` for one named on a ``case``, which follows by itself).

    Cases of the item that are billed by who sold it are billed anew.

    Raises:
        InvalidData: an item that is not one of an agent or partner; another seller is known and no reason is given
            (an item is sold once); sold before it was made or after today.
    """
    require(HANDLE if source == values.BY_CASE else KEEP, item.unit_id)
    typed = clean(FIELDS, raw)
    agent = file.find_agent(item.unit_id, typed["agent"])
    if agent is None:
        raise InvalidData({"agent": NO_AGENT})
    given = Given(agent, typed["sold_on"], typed["document"] or "", typed["reason"] or "")
    from . import rebilling  # bills ask who sold an item

    with transaction():
        rebilling.lock_cases([item.id])
        lock_items([item.id])
        held = sellers_of([item.id], fresh=True).get(item.id)
        if errors := why_not(item, held, given):
            raise InvalidData(errors)
        sale = Sale(item, held, given)
        row = put([sale], source)[0]
        rebilling.follow(moved([sale]), but=() if case is None else (case.id,))
        return row


def lock_items(item_ids: Iterable[int]) -> None:
    """Whoever names a seller of the same items waits for the other, and sees what they entered."""
    wanted = sorted(item_ids)
    for start in range(0, len(wanted), CHUNK):
        some = select(products.Item.id).where(products.Item.id.in_(wanted[start : start + CHUNK]))
        session().execute(some.order_by(products.Item.id).with_for_update())


def why_not(item: Any, held: Seller | None, given: Given) -> dict[str, Any]:
    """Return why this cannot be the seller of an item, by field name; ``held`` is the present one."""
    errors: dict[str, Any] = {}
    kind = KIND_OF.get(item.sold_class)
    if kind is None:
        return {"agent": _class_problem(item)}
    if given.agent.kind != kind:
        errors["agent"] = _KIND_PROBLEM[kind]
    if given.sold_on is not None:
        errors |= _day_problem(item, given.sold_on)
    if held is not None and _contradicts(held, given) and not given.reason:
        errors["reason"] = (
            _l("%(agent)s is known as the seller. An item is sold once; give the reason.", agent=held.agent.name)
            if held.agent_id != given.agent.id
            else _l("Something else is known about this sale; give the reason")
        )
    return errors


_KIND_PROBLEM: Mapping[str, Any] = {
    values.AGENT: _l("This item was sold by an agent; the one named here is none"),
    values.PARTNER: _l("This item is a partner's; the one named here is none"),
}


def _class_problem(item: Any) -> Any:
    if not item.sold_class:
        return _l("It is not settled who sold this item. Settle its class in the product file first.")
    return _l("This item was not sold by an agent or partner. Correct its class in the product file first.")


def _day_problem(item: Any, sold_on: date) -> dict[str, Any]:
    if sold_on > local_day(item.unit_id):
        return {"sold_on": _l("This date lies in the future")}
    # What was given in exchange keeps the dates of the purchase, which may be older than itself. A day before
    # delivery is no mistake: things are ordered first; one after it neither: things are lent first.
    early = item.produced_on is not None and sold_on < item.produced_on
    return {"sold_on": _l("Sold before it was made")} if early and not products.history.stands_for(item) else {}


def _contradicts(held: Seller, given: Given) -> bool:
    """Another agent, or another day or record than is known; filling in what was not known contradicts nothing."""
    return (
        held.agent_id != given.agent.id
        or bool(held.sold_on and given.sold_on and held.sold_on != given.sold_on)
        or bool(held.document and given.document and held.document != given.document)
    )


def is_known(held: Seller | None, given: Given) -> bool:
    """Tell whether everything that is said is known already."""
    return (
        held is not None
        and held.agent_id == given.agent.id
        and given.sold_on in (None, held.sold_on)
        and given.document in ("", held.document)
    )


@dataclass(frozen=True)
class Sale:
    """A seller to be kept: of which item, who is ``held`` as its seller now, what is said."""

    item: Any
    held: Seller | None
    given: Given


def moved(sales: Iterable[Sale]) -> list[int]:
    """Return the items that are another agent's now."""
    return [one.item.id for one in sales if one.held is None or one.held.agent_id != one.given.agent.id]


def put(sales: Sequence[Sale], source: str) -> list[Seller]:
    """Keep sellers that were looked at with ``why_not``; what is known already changes nothing."""
    news = [one for one in sales if not is_known(one.held, one.given)]
    for one in news:
        if one.held is not None:
            one.held.current = False
    session().flush()  # before the new ones: an item has one current seller
    places = places_of(one.item.customer_id for one in news)
    made = {one.item.id: _row(one, source, places.get(one.item.customer_id or 0, ())) for one in news}
    session().add_all(made.values())
    session().flush()
    return [made.get(one.item.id) or cast(Seller, one.held) for one in sales]


def _row(sale: Sale, source: str, places: Collection[str]) -> Seller:
    held, given = sale.held, sale.given
    same = held if held is not None and held.agent_id == given.agent.id else None
    return Seller(
        unit_id=sale.item.unit_id,
        item_id=sale.item.id,
        agent_id=given.agent.id,
        agent=given.agent,
        sold_on=given.sold_on or (same.sold_on if same else None),
        document=given.document or (same.document if same else ""),
        source=source,
        # Entered all the same, and shown.
        outside=lies_outside(places, given.agent.regions),
        reason=given.reason,
        entered_at=clock.now(),
        entered_by=current_scope().actor_id,
    )


# --- regions -------------------------------------------------------------------------------------


def lies_outside(places: Collection[str], regions: Collection[str]) -> bool:
    """Tell whether none of the places lies in one of the regions; not so where either is not known."""
    return bool(places) and bool(regions) and not any(lies_in(place, regions) for place in places)


def lies_in(place: str, regions: Collection[str]) -> bool:
    """An address that contains the name of a region lies in it."""
    return any(region and region in place for region in regions)


def places_of(customer_ids: Iterable[int | None]) -> dict[int, tuple[str, ...]]:
    """Return the addresses of customers as regions are looked for in them: province, city and county where they are
    known, since a street may have the name of a city; else the whole address."""
    wanted = sorted({one for one in customer_ids if one is not None})
    found: dict[int, tuple[str, ...]] = {}
    for start in range(0, len(wanted), CHUNK):
        some = select(CustomerAddress).where(CustomerAddress.customer_id.in_(wanted[start : start + CHUNK]))
        for one in session().scalars(some.order_by(CustomerAddress.id)):
            if place := f"{one.province}{one.city}{one.county}" or one.detail:
                found[one.customer_id] = (*found.get(one.customer_id, ()), place)
    return found


def agents_with_regions(unit_id: int) -> list[Agent]:
    """Return the agents in use that have regions, by number."""
    agents = select(Agent).where(Agent.unit_id == unit_id, Agent.active, Agent.kind == values.AGENT)
    return [one for one in session().scalars(agents.order_by(Agent.code)) if one.regions]


def holders_of(places: Collection[str], agents: Sequence[Agent]) -> list[Agent]:
    """Return those of ``agents`` in whose region one of the places lies."""
    return [one for one in agents if any(lies_in(place, one.regions) for place in places)]


# --- what the file of items says -----------------------------------------------------------------


def take_over(items: Sequence[Any]) -> list[Seller]:
    """Take the seller over from the text of items, where it is exactly the number or name of an agent on file.

    That is a record, not a guess; anything else stays on the work list, and so does an item with a known seller.

    Raises:
        NotAllowed: ``KEEP`` is needed.
    """
    from . import rebilling  # bills ask who sold an item

    for unit_id in {item.unit_id for item in items}:
        require(KEEP, unit_id)
    meant = meant_by(items)
    named = [item for item in items if item.id in meant]
    lock_items(item.id for item in named)
    known = sellers_of([item.id for item in named], fresh=True)
    all_sales = [Sale(item, None, Given(meant[item.id])) for item in named if item.id not in known]
    sales = [one for one in all_sales if not why_not(one.item, None, one.given)]
    for unit_id in {one.item.unit_id for one in sales}:
        rebilling.follow_later(unit_id, moved(one for one in sales if one.item.unit_id == unit_id))
    return put(sales, values.BY_IMPORT)


def meant_by(items: Sequence[Any]) -> dict[int, Agent]:
    """Return the agents that the texts of items name exactly, by number or name, by item id."""
    found: dict[int, Agent] = {}
    for unit_id in {item.unit_id for item in items if item.seller}:
        agents = file.agents_by_text(unit_id)
        for item in items:
            agent = agents.get(file.fold(item.seller)) if item.unit_id == unit_id and item.seller else None
            if agent is not None:
                found[item.id] = agent
    return found


def start_take_over(unit_id: int) -> jobs.JobRun | None:
    """Let the texts of a unit's items be taken over in the background (``KEEP``); None where none says anything."""
    require(KEEP, unit_id)
    if session().scalars(_with_text(unit_id).limit(1)).first() is None:
        return None
    return jobs.start(TAKE_OVER, unit_id, {}, _("Take sellers over from the file's text"))


def _with_text(unit_id: int) -> Any:
    return unknown_items(unit_id).where(products.Item.seller != "").order_by(products.Item.id)


def take_over_all(work: Work) -> dict[str, Any]:
    """Take over whatever the texts of a unit's items say exactly (a job; done again, it finds nothing more)."""
    unit_id, last, seen, made = int(work.unit_id or 0), 0, 0, 0
    named = _with_text(unit_id).limit(CHUNK)
    while True:
        with transaction():
            items = session().scalars(named.where(products.Item.id > last)).all()
            made += len(take_over(items))
        if not items:
            break
        last, seen = items[-1].id, seen + len(items)
        work.progress(seen, 0, _("%(count)d rows", count=seen))
    return {"text": _("%(count)d sellers were taken over", count=made)}


def jobs_of() -> list[Job | Periodic]:
    """Return the background work on sellers."""
    return [Job(TAKE_OVER, _l("Take sellers over from the file's text"), take_over_all)]
