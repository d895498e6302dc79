"""Who bears the service of a case in place of the customer and us: an agent or partner, by which clause and terms.

The class of what a case is about decides which clauses speak, the coverage decision whether they do:

- sold by an agent, decided as free for the customer: R18-5.1.2b, by contract or tariff as R18-5.1.3 says (E20);
- a partner's product that we sold, decided as free: R19-5.1.2b, by contract, else by the tariff;
- sold by the partner itself, decided as free: R19-5.1.3, by contract;
- sold by the partner itself, out of warranty: R19-5.2.2.5 or R13-5.2.2.5, where a contract has the partner pay.

Contracts and the days they hold for are those of the day the case was received, as its coverage is. What was worked
out is kept in the session until the record's next fact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import event, select
from sqlalchemy.orm import Session

from core.sdk import Record, Refusal, Refused, detail_of, effective, holds, local_day, session
from plugins.products import services as products
from plugins.warranty import services as warranty

from . import contracts, sellers, values
from .models import Agent, CaseAgent
from .values import Terms

KEPT = "agents_bearing"
AGENT, PARTNER = "agent", "partner"  # payers of charges
# Sold classes of the product file.
SOLD_BY_AGENT, OF_PARTNER, SOLD_BY_PARTNER = "agent", "partner", "partner_sold"
AGENT_FEE, PARTNER_FEE, PARTNER_CONTRACT = "R18-5.1.2b", "R19-5.1.2b", "R19-5.1.3"
AGENT_NOTICE, PARTNER_NOTICE, AGENT_CONTRACT = "R18-5.1.2", "R19-5.1.2", "R18-5.1.3"
OUT_CONTRACTS = ("R19-5.2.2.5", "R13-5.2.2.5")
# Every clause under which somebody else than the customer and us may bear a case.
CLAUSES = (AGENT_FEE, PARTNER_FEE, PARTNER_CONTRACT, *OUT_CONTRACTS)


@dataclass(frozen=True)
class Bearer:
    """``payer`` is ``agent`` or ``partner``; ``clause`` the one it is billed under.

    ``agent`` None: not known yet who. ``against`` says why nothing can be billed yet beside that: no contract is in
    force, and the clause wants one.
    """

    payer: str
    clause: str
    agent: Agent | None
    terms: Terms
    needs_notice: bool = False
    # The clause that has them told before service, '' where none does.
    notice_clause: str = ""
    against: Refusal | None = None


def bearer_of(record: Record, at: datetime | None = None) -> Bearer | None:
    """Return who bears the service of a case by its class, its coverage decision and the clauses in force.

    None: nobody but the customer and us. Kept until the record's next fact (see ``forget``).
    """
    if record.type != "case" or not any(holds(record.unit_id, one, at) for one in CLAUSES):
        return None
    found: Bearer | None = _kept(record, ("bearer", local_day(record.unit_id, at)), lambda: _bearer(record, at))
    return found


def agent_of(record: Record) -> Agent | None:
    """Return the agent or partner a case has to do with.

    Named on it, else the seller of its item, else, for a partner's product, the unit's only partner.
    """
    if record.type != "case":
        return None
    found: Agent | None = _kept(record, ("agent",), lambda: _agent(record))
    return found


def sold_class_of(record: Record) -> str:
    """Return how what a case is about was sold (``agent``, ``partner``, ``partner_sold`` ...), '' if nobody knows.

    The class staff chose counts; where it is also the item's, the item tells whose 4.2 it is.
    """
    return str(_kept(record, ("class",), lambda: _sold_class(record)))


def item_of(record: Record) -> Any:
    """Return the item a case is about, None where none is on file."""
    return _kept(record, ("item",), lambda: products.item_of_record(record))


def forget(record: Record) -> None:
    """Drop what was kept: something was written without a fact."""
    session().info.get(KEPT, {}).pop((record.id, record.fact_seq), None)


@event.listens_for(Session, "after_soft_rollback")
def _forget_all(work: Session, _before: object) -> None:
    """What was undone never was: the record's next fact gets the same number again."""
    work.info.pop(KEPT, None)


def _kept(record: Record, name: tuple[Any, ...], work_out: Callable[[], Any]) -> Any:
    of_record = session().info.setdefault(KEPT, {}).setdefault((record.id, record.fact_seq), {})
    if name not in of_record:
        of_record[name] = work_out()
    return of_record[name]


# --- what it is about ----------------------------------------------------------------------------


def _sold_class(record: Record) -> str:
    item = item_of(record)
    chosen = str(getattr(detail_of(record), "product_class", "") or "")
    known = item.sold_class if item is not None else ""
    if known and (not chosen or products.class_number(record.unit_id, known) == chosen):
        return str(known)
    return products.sold_class_of(record.unit_id, chosen) if chosen else ""


def _agent(record: Record) -> Agent | None:
    named = session().get(CaseAgent, record.id)
    if named is not None and named.named and named.agent_id is not None:
        return session().get_one(Agent, named.agent_id)
    seller = _seller(item_of(record))
    if seller is not None:
        return seller
    return _only_partner(record.unit_id) if sold_class_of(record) in (OF_PARTNER, SOLD_BY_PARTNER) else None


def _seller(item: Any) -> Agent | None:
    known = sellers.seller_of(item.id) if item is not None else None
    return known.agent if known is not None else None


def partner_of(unit_id: int, item: Any) -> Agent | None:
    """Return the partner of an item (None: of no item in particular): its seller, else the unit's only partner."""
    return _seller(item) or _only_partner(unit_id)


def _only_partner(unit_id: int) -> Agent | None:
    mine = select(Agent).where(Agent.unit_id == unit_id, Agent.kind == values.PARTNER, Agent.active)
    found = session().scalars(mine.order_by(Agent.id).limit(2)).all()
    return found[0] if len(found) == 1 else None


def series_of(record: Record) -> Sequence[str]:
    """Return what contracts may call the product of a case: the name of its category, the code of its model."""
    return series_of_item(item_of(record))


def series_of_item(item: Any) -> Sequence[str]:
    """The same for an item of the product file; nothing for none."""
    if item is None:
        return ()
    category = item.model.category
    return (category.name, item.model.code) if category is not None else (item.model.code,)


# --- who bears it --------------------------------------------------------------------------------


def _bearer(record: Record, at: datetime | None) -> Bearer | None:
    if getattr(detail_of(record), "nature", "") not in warranty.NATURES:
        return None
    decided = warranty.standing_of(record)
    if decided.coverage is None:
        return None
    sold_class = sold_class_of(record)
    if decided.is_free:
        return _in_warranty(record, sold_class, at)
    if sold_class == SOLD_BY_PARTNER and decided.coverage.result in warranty.OUT_RESULTS:
        return _out_of_warranty(record, at)
    return None


def _in_warranty(record: Record, sold_class: str, at: datetime | None) -> Bearer | None:
    unit_id = record.unit_id
    if sold_class == SOLD_BY_AGENT and holds(unit_id, AGENT_FEE, at):
        return _with_terms(record, AGENT, AGENT_FEE, AGENT_CONTRACT, AGENT_NOTICE, at)
    if sold_class == OF_PARTNER and holds(unit_id, PARTNER_FEE, at):
        return _with_terms(record, PARTNER, PARTNER_FEE, "", PARTNER_NOTICE, at)
    if sold_class == SOLD_BY_PARTNER and holds(unit_id, PARTNER_CONTRACT, at):
        return _with_terms(record, PARTNER, PARTNER_CONTRACT, PARTNER_CONTRACT, "", at)
    return None


def _with_terms(
    record: Record, payer: str, clause: str, by_contract: str, notice: str, at: datetime | None
) -> Bearer:
    """Return the bearer with what was agreed; ``by_contract`` is the clause about contracts, '' for none."""
    agent, unit_id = agent_of(record), record.unit_id
    told = notice if notice and holds(unit_id, notice, at) else ""
    said = effective(unit_id, by_contract, at).values if by_contract and holds(unit_id, by_contract, at) else {}
    if agent is None or said.get("precedence") == values.NOTICE_FIRST:
        return Bearer(payer, clause, agent, Terms(), bool(told), told)
    try:
        terms = _terms(record, agent, str(said.get("after_expiry") or values.BY_TARIFF))
    except Refused as none:
        return Bearer(payer, clause, agent, Terms(), bool(told), told, _under(none, clause))
    return Bearer(payer, clause, agent, terms, bool(told), told)


def _out_of_warranty(record: Record, at: datetime | None) -> Bearer | None:
    """The partner pays only where a contract says so; else the customer does, by the quote (R19-5.2.2.5)."""
    clause = next((one for one in OUT_CONTRACTS if holds(record.unit_id, one, at)), "")
    agent = agent_of(record) if clause else None
    if agent is None:
        return None
    wanted = str(effective(record.unit_id, clause, at).values.get("after_expiry") or values.NO_SERVICE)
    try:
        terms, against = _terms(record, agent, wanted), None
    except Refused as none:
        # The contract that ran out had the partner pay: nobody is billed until there is a new one.
        terms, against = _terms(record, agent, values.LAST_TERMS), _under(none, clause)
    if terms.out_payer != values.PARTNER_PAYS:
        return None
    return Bearer(PARTNER, clause, agent, terms, against=against)


def _terms(record: Record, agent: Agent, after_expiry: str) -> Terms:
    day = local_day(record.unit_id, record.received_at)
    return contracts.terms_of(agent, day, series_of(record), after_expiry)


def _under(refused: Refused, clause: str) -> Refusal:
    first = refused.refusals[0]
    return Refusal(first.code, first.text, first.clause or clause)
