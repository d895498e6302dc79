"""The keeper's desk: a basket of scanned tools and counted small parts, looked at before it is offered.

A basket lives in the form of the page, not in the database: it is read anew each time, so what became of a tool
meanwhile is seen. It only reads; a hand-over is made by ``handovers.offer``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import contains_eager, joinedload

from core.sdk import InvalidData, NotFound, Record, accounts, fetch, read_id, session

from . import custody, file, flow, handovers, parties, stock, values
from .models import Custody, Handover, HandoverLine, Kind, Kit, KitLine, Party, Stock, Tool
from .parties import party_name

MOST = 200  # lines of one hand-over
_NOTHING = Decimal(0)


@dataclass(frozen=True)
class Mode:
    """One thing done at the desk: the kind of hand-over, who may receive, the states a tool may be in."""

    code: str
    label: Any
    kind: str
    receivers: tuple[str, ...]
    states: frozenset[str]
    help: Any = ""

    @property
    def with_due(self) -> bool:
        return self.kind in values.WITH_DUE

    @property
    def takes_back(self) -> bool:
        return self.kind == values.RETURN


_IN_STORE = frozenset({values.IN_STORE})
_STATES_BACK = flow.HELD | {values.IN_REPAIR}
ISSUE, KIT, RETURN, MOVE = "issue", "set", "return", "move"
MODES = (
    Mode(
        ISSUE,
        _l("Give out"),
        values.ISSUE,
        (values.PERSON,),
        _IN_STORE,
        _l("For good: the tool is theirs to keep and answer for."),
    ),
    Mode(
        KIT,
        _l("Standard set"),
        values.ISSUE,
        (values.PERSON,),
        _IN_STORE,
        _l("Choose the person and the set: what they do not hold yet is put on the list from the store."),
    ),
    Mode(
        "loan",
        _l("Loan"),
        values.LOAN,
        (values.PERSON, values.DEPARTMENT),
        _IN_STORE,
        _l("To a person or another department, back by a set time."),
    ),
    Mode(
        "use",
        _l("Take for a job"),
        values.USE,
        (values.PERSON,),
        _IN_STORE,
        _l("For one job, back when it is done."),
    ),
    Mode(
        RETURN,
        _l("Bring back"),
        values.RETURN,
        (),
        _STATES_BACK,
        _l("Scan what is brought back, from people, departments or the repairer, and say in what condition it is."),
    ),
    Mode(
        "repair",
        _l("Send for repair"),
        values.REPAIR,
        (values.REPAIRER,),
        frozenset({values.IN_STORE, values.DEFECTIVE}),
        _l("To the repairer, against a paper they signed."),
    ),
    Mode(
        "disposal",
        _l("Disposal"),
        values.DISPOSE,
        (),
        frozenset({values.RETIRED}),
        _l("Retired tools leave the books; approval and proof of disposal are needed."),
    ),
    Mode(
        MOVE,
        _l("To another store"),
        values.MOVE,
        (values.STORE,),
        frozenset({values.IN_STORE, values.DEFECTIVE, values.RETIRED}),
        _l("From one tool store to another."),
    ),
)


def mode_of(code: str) -> Mode | None:
    """Return the mode of a code, or None."""
    return next((one for one in MODES if one.code == code), None)


@dataclass(frozen=True)
class Line:
    """A tool in the basket: who holds it now, the condition seen, and why it cannot go along (or '')."""

    tool: Tool
    held: Custody | None
    condition: str
    problem: Any = ""
    reserved: HandoverLine | None = None


@dataclass(frozen=True)
class Part:
    """A quantity of small parts in the basket; ``there``: what the giver has."""

    kind: Kind
    quantity: Decimal
    there: Decimal


@dataclass
class Basket:
    """What is to be handed over. ``receiver``: as chosen in the form ('user:7', 'party:3' or '')."""

    unit_id: int
    mode: Mode
    store_id: int | None
    receiver: str = ""
    tool_ids: list[int] = field(default_factory=list)
    conditions: dict[int, str] = field(default_factory=dict)
    parts: dict[int, Decimal] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        return not self.tool_ids and not self.parts

    def drop(self, what: str) -> None:
        """Take a line out: 'tool:5' or 'part:3'; one that is not there changes nothing."""
        sort, _, raw = what.partition(":")
        number = read_id(raw) or 0
        if sort == "tool" and number in self.tool_ids:
            self.tool_ids.remove(number)
        elif sort == "part":
            self.parts.pop(number, None)


# --- who and where -------------------------------------------------------------------------------


def receivers(unit_id: int, mode: Mode) -> list[tuple[str, str]]:
    """Return who may receive in a mode, as (value of the form, name)."""
    if mode.takes_back:
        return _people(unit_id) + _parties(unit_id, (values.DEPARTMENT, values.REPAIRER))
    people = _people(unit_id) if values.PERSON in mode.receivers else []
    return people + _parties(unit_id, tuple(kind for kind in mode.receivers if kind != values.PERSON))


def _people(unit_id: int) -> list[tuple[str, str]]:
    return [(f"user:{user_id}", name) for user_id, name in accounts.staff_names(unit_id)]


def _parties(unit_id: int, kinds: Sequence[str]) -> list[tuple[str, str]]:
    if not kinds:
        return []
    wanted = select(Party.id, Party.name).where(Party.unit_id == unit_id, Party.kind.in_(kinds), Party.active)
    return [(f"party:{row.id}", row.name) for row in session().execute(wanted.order_by(Party.kind, Party.name))]


def receiver_of(unit_id: int, given: str) -> Party | None:
    """Return the party chosen in the form; a person's is made when they first receive. None: nothing chosen.

    Raises:
        InvalidData: under ``receiver`` or ``user``; NotFound: no such party.
    """
    sort, _, raw = given.partition(":")
    if not raw:
        return None
    if sort == "user" and raw.isdecimal():
        return parties.person(unit_id, int(raw))
    found = fetch(Party, raw)
    if found.unit_id != unit_id:
        raise NotFound()
    return found


def known_receiver(unit_id: int, given: str) -> Party | None:
    """Return the party chosen in the form without making one: None for somebody who never held anything."""
    sort, _, raw = given.partition(":")
    if not raw.isdecimal():
        return None
    if sort == "user":
        return parties.held_as(unit_id, int(raw))
    return session().scalars(select(Party).where(Party.unit_id == unit_id, Party.id == int(raw))).first()


def as_choice(party: Party) -> str:
    """Return how a party stands in the form."""
    return f"user:{party.user_id}" if party.kind == values.PERSON else f"party:{party.id}"


# --- looking at a basket -------------------------------------------------------------------------


def lines_of(basket: Basket) -> list[Line]:
    """Return the tools of a basket in the order they were scanned, each with what is wrong with it now."""
    wanted = select(Tool).where(Tool.unit_id == basket.unit_id, Tool.id.in_(basket.tool_ids))
    found = {one.id: one for one in session().scalars(wanted.options(joinedload(Tool.kind)))}
    held, reserved = custody.spells(found), handovers.open_lines(list(found))
    return [_line(basket, found[one], held.get(one), reserved.get(one)) for one in basket.tool_ids if one in found]


def _line(basket: Basket, tool: Tool, held: Custody | None, reserved: HandoverLine | None) -> Line:
    condition = basket.conditions.get(tool.id, tool.condition)
    return Line(tool, held, condition, problem_of(basket, tool, held, reserved), reserved)


def parts_of(basket: Basket) -> list[Part]:
    """Return the small parts of a basket with what the giver has of them."""
    wanted = select(Kind).where(Kind.unit_id == basket.unit_id, Kind.id.in_(basket.parts))
    giver = known_receiver(basket.unit_id, basket.receiver) if basket.mode.takes_back else None
    party_id = giver.id if giver else (None if basket.mode.takes_back else basket.store_id)
    there = _there(party_id, basket.parts)
    return [
        Part(kind, basket.parts[kind.id], there.get(kind.id, _NOTHING))
        for kind in session().scalars(wanted.order_by(Kind.name))
    ]


def _there(party_id: int | None, kind_ids: Iterable[int]) -> Mapping[int, Decimal]:
    wanted = select(Stock.kind_id, Stock.quantity).where(Stock.party_id == party_id, Stock.kind_id.in_(kind_ids))
    rows = session().execute(wanted.execution_options(**custody.NARROW)) if party_id else ()
    return {row.kind_id: row.quantity for row in rows}


def problem_of(basket: Basket, tool: Tool, held: Custody | None, reserved: HandoverLine | None) -> Any:
    """Say why a tool cannot go along, or ''. What clauses say comes with the offer; this one sees at once."""
    if reserved is not None:
        number = reserved.handover.record.number
        return _l("Already on hand-over %(number)s, which is not finished", number=number)
    if held is None:
        return _l("Nobody holds %(tool)s", tool=tool.code)
    if basket.mode.takes_back:
        return _problem_back(basket, tool, held)
    if held.party.kind != values.STORE:
        return _l("Not in a store: it is with %(holder)s", holder=party_name(held.party))
    if basket.store_id is not None and held.party_id != basket.store_id:
        return _l("In another store: %(store)s", store=held.party.name)
    return _problem_state(basket.mode, tool)


def _problem_state(mode: Mode, tool: Tool) -> Any:
    state = tool.record.state
    if state in mode.states:
        return ""
    if state == values.NEW:
        return _l("Not accepted by inspection yet")
    if state == values.DEFECTIVE:
        return _l("Reported defective: it is not given out")
    if mode.kind == values.DISPOSE:
        return _l("Not retired yet: only retired tools are disposed of")
    return _l("Not possible while it is “%(state)s”", state=dict(values.TOOL_STATES).get(state, state))


def _problem_back(basket: Basket, tool: Tool, held: Custody) -> Any:
    if held.party.kind == values.STORE:
        return _l("Already in a store: %(store)s", store=held.party.name)
    if tool.record.state not in basket.mode.states:
        return _problem_state(basket.mode, tool)
    if basket.receiver and as_choice(held.party) != basket.receiver:
        return _l(
            "With somebody else: %(holder)s. One hand-over is from one holder.", holder=party_name(held.party)
        )
    return ""


# --- filling a basket ----------------------------------------------------------------------------


def add(basket: Basket, text: str) -> Tool:
    """Put a tool into the basket by its number, serial number or label.

    The first one scanned chooses the store, or who brings it back, where that was left open.

    Raises:
        InvalidData: under ``scan``: unknown, on the list already, or cannot go along, and why.
    """
    if len(basket.tool_ids) >= MOST:
        raise InvalidData({"scan": _l("At most %(count)d lines at once", count=MOST)})
    try:
        tool = file.find_tool(basket.unit_id, text)
    except InvalidData as bad:
        raise InvalidData({"scan": bad.texts()}) from bad
    if tool.id in basket.tool_ids:
        raise InvalidData({"scan": _l("%(tool)s is on the list already", tool=tool.code)})
    held = custody.spell(tool.id)
    _choose_by(basket, tool, held)
    problem = problem_of(basket, tool, held, handovers.open_of_tool(tool.id))
    if problem:
        raise InvalidData({"scan": _l("%(tool)s: %(problem)s", tool=f"{tool.code} {tool.name}", problem=problem)})
    basket.tool_ids.append(tool.id)
    return tool


def _choose_by(basket: Basket, tool: Tool, held: Custody | None) -> None:
    if held is None or basket.tool_ids:
        return
    if basket.mode.takes_back and held.party.kind != values.STORE:
        basket.receiver = basket.receiver or as_choice(held.party)
        basket.store_id = file.home_of(tool).id
    elif not basket.mode.takes_back and held.party.kind == values.STORE and not basket.parts:
        basket.store_id = held.party_id


def add_part(basket: Basket, kind_id: int | None, quantity: Decimal | None) -> None:
    """Put a quantity of small parts into the basket, beside what is there of the kind.

    Raises:
        InvalidData: under ``part`` or ``quantity``.
    """
    kinds = {kind.id for kind in small_parts(basket.unit_id)}
    if kind_id not in kinds:
        raise InvalidData({"part": _l("Please choose one of the list")})
    if quantity is None or quantity <= 0:
        raise InvalidData({"quantity": _l("Please enter a quantity above 0, such as 2 or 1.5")})
    basket.parts[kind_id] = basket.parts.get(kind_id, _NOTHING) + quantity


def small_parts(unit_id: int) -> Sequence[Kind]:
    """Return the kinds kept by quantity, by name."""
    wanted = select(Kind).where(Kind.unit_id == unit_id, Kind.category == values.CONSUMABLE, Kind.active)
    return session().scalars(wanted.order_by(Kind.name)).all()


def kits(unit_id: int) -> Sequence[Kit]:
    """Return the tool sets in use, the standard one first."""
    wanted = select(Kit).where(Kit.unit_id == unit_id, Kit.active)
    return session().scalars(wanted.order_by(Kit.standard.desc(), Kit.name)).all()


def fill(basket: Basket, kit_id: object) -> list[str]:
    """Put into the basket what the person still needs of a set; return the names of what the store has not.

    Raises:
        InvalidData: under ``receiver``: nobody chosen, or ``kit``.
    """
    if not basket.receiver:
        raise InvalidData({"receiver": _l("Choose the person first")})
    if kit_id not in {kit.id for kit in kits(basket.unit_id)}:
        raise InvalidData({"kit": _l("Please choose one of the list")})
    taker = known_receiver(basket.unit_id, basket.receiver)
    held = custody.kinds_held(taker.id) if taker else {}
    has = {row.kind_id: row.quantity for row in stock.of_party(taker.id)} if taker else {}
    wanted = select(KitLine).where(KitLine.kit_id == kit_id).options(joinedload(KitLine.kind)).order_by(KitLine.id)
    short: list[str] = []
    for line in session().scalars(wanted):
        if line.kind.category == values.CONSUMABLE:
            _fill_part(basket, line, has.get(line.kind_id, _NOTHING), short)
        else:
            _fill_tools(basket, line, held.get(line.kind_id, 0), short)
    return short


def _fill_part(basket: Basket, line: KitLine, has: Decimal, short: list[str]) -> None:
    needed = Decimal(line.quantity) - has - basket.parts.get(line.kind_id, _NOTHING)
    if needed <= 0:
        return
    there = stock.quantity_of(basket.store_id, line.kind_id) if basket.store_id else _NOTHING
    if there < needed:
        short.append(line.kind.name)
        return
    basket.parts[line.kind_id] = basket.parts.get(line.kind_id, _NOTHING) + needed


def _fill_tools(basket: Basket, line: KitLine, held: int, short: list[str]) -> None:
    listed = select(Tool.id).where(Tool.id.in_(basket.tool_ids), Tool.kind_id == line.kind_id)
    needed = line.quantity - held - len(session().scalars(listed).all())
    if needed <= 0:
        return
    found = custody.of_kind_in(basket.store_id, line.kind_id, MOST) if basket.store_id else ()
    reserved = handovers.open_lines([tool.id for tool in found])
    free = [tool.id for tool in found if tool.id not in basket.tool_ids and tool.id not in reserved]
    basket.tool_ids += free[:needed]
    if len(free) < needed:
        short.append(line.kind.name)


# --- handing over --------------------------------------------------------------------------------


def ends(basket: Basket) -> tuple[str, Party, Party]:
    """Return (kind of hand-over, giver, receiver) of a basket.

    Raises:
        InvalidData: under ``receiver`` or ``store``: not chosen.
    """
    store = _store(basket)
    if basket.mode.kind == values.DISPOSE:
        return values.DISPOSE, store, parties.scrap_heap(basket.unit_id)
    other = receiver_of(basket.unit_id, basket.receiver)
    if other is None:
        label = _l("Choose who brings it back") if basket.mode.takes_back else _l("Choose who receives")
        raise InvalidData({"receiver": label})
    if not basket.mode.takes_back:
        return basket.mode.kind, store, other
    return (values.REPAIRED if other.kind == values.REPAIRER else values.RETURN), other, store


def _store(basket: Basket) -> Party:
    found = {store.id: store for store in parties.stores(basket.unit_id)}
    if basket.store_id not in found:
        raise InvalidData({"store": _l("Choose the tool store")})
    return found[basket.store_id]


def waiting(unit_id: int, limit: int) -> Sequence[Handover]:
    """Return hand-overs that somebody has yet to accept, the latest first."""
    mine = Record.unit_id == unit_id, Record.type == handovers.CODE, Record.state == values.OFFERED
    wanted = select(Handover).join(Handover.record).where(*mine).options(contains_eager(Handover.record))
    wanted = wanted.options(joinedload(Handover.giver), joinedload(Handover.taker))
    return session().scalars(wanted.order_by(Handover.id.desc()).limit(limit)).all()
