"""What the tests of tools set up: a unit with a keeper, a manager, two technicians, a store, tools in it.

Everything happens at ``place.now``, which a test moves as it likes. What people do goes through the services; the
file (kinds, parties, tools) is put straight into the tables.
"""

from __future__ import annotations

import base64
import itertools
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from core.kernel import clock
from core.rules import effective, profiles
from core.rules.setting_models import IN_FORCE, ClauseSetting
from core.sdk import Fact, Record, Refused, Unit, User, pins, session, transaction, uuid7
from core.units.settings import set_setting
from core.users.models import Position, UserPosition
from plugins.tools import custody, flow, handovers, parties, values
from plugins.tools.models import Application, Custody, HandoverLine, Kind, Party, Stock, StockMove, Tool
from plugins.tools.models import Place as Shelf
from tests import casework
from tests.helpers import as_system, in_scope, switch_on

MONDAY = datetime(2026, 3, 2, 1, tzinfo=UTC)  # nine in the morning in China
LONG_AGO = date(2020, 1, 1)
PIN = "4826"
_numbers = itertools.count(1)


def drawn() -> str:
    """Return a signature as a browser sends it: a small PNG as a data URL."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    png = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(png).decode()


@dataclass
class Place:
    """A unit with the plugin on, and its people. ``store`` and ``other_store`` are ids of parties."""

    office: casework.Office
    keeper: User
    manager: User
    finance: User
    ann: User
    bob: User
    store: int = 0
    other_store: int = 0
    now: datetime = MONDAY
    kinds: dict[str, int] = field(default_factory=dict)
    rights: dict[int, frozenset[str]] = field(default_factory=dict)

    @property
    def unit(self) -> Unit:
        return self.office.unit

    def later(self, **more: float) -> datetime:
        """Let time pass (as ``timedelta``); return the new moment."""
        self.now += timedelta(**more)
        return self.now

    @contextmanager
    def acting(self, user: User | None = None, *more: str) -> Iterator[Any]:
        """Work as somebody (default: the keeper) with what they may do and ``more``, at ``place.now``."""
        who = user or self.keeper
        with clock.frozen(self.now), in_scope(self.unit, self.allowed(who) | set(more), who) as work:
            yield work

    def allowed(self, user: User) -> frozenset[str]:
        """Return what somebody's positions allow."""
        if user.id not in self.rights:
            with as_system() as work:
                held = select(Position).join(UserPosition).where(UserPosition.user_id == user.id)
                self.rights[user.id] = frozenset(one for row in work.scalars(held) for one in row.permissions)
        return self.rights[user.id]

    def staff(self, position: str, name: str = "") -> User:
        """Add somebody who holds a position as it is shipped."""
        made = self.office.staff(position)
        if name:
            with as_system() as work:
                work.get_one(User, made.id).name = name
            made.name = name
        return made

    # --- the file ------------------------------------------------------------------------------

    def kind(self, name: str = "测线器", **columns: Any) -> int:
        """Return the id of a kind, put on file when it is new; ``columns`` are set on one that is there, too."""
        if name not in self.kinds or columns:
            with as_system() as work:
                mine = select(Kind).where(Kind.unit_id == self.unit.id, Kind.name == name)
                row = work.scalars(mine).first()
                if row is None:
                    row = Kind(unit_id=self.unit.id, name=name, code=f"T{next(_numbers):03d}", price=Decimal(120))
                    work.add(row)
                for column, value in columns.items():
                    setattr(row, column, value)
                work.flush()
                self.kinds[name] = row.id
        return self.kinds[name]

    def party(self, kind: str, name: str = "", user: User | None = None) -> int:
        """Put a store, department or repairer on file; return its id."""
        row = Party(unit_id=self.unit.id, kind=kind, name=name or f"{kind}{next(_numbers)}")
        row.user_id = user.id if user else None
        return self._add(row)

    def person(self, user: User) -> int:
        """Return the id of a person's party."""
        with self.acting(), transaction():
            return parties.person(self.unit.id, user.id).id

    def shelf(self, name: str = "A1") -> int:
        return self._add(Shelf(unit_id=self.unit.id, store_id=self.store, name=name))

    def tool(self, kind: str = "测线器", *, holder: int = 0, state: str = values.IN_STORE, **columns: Any) -> int:
        """Register a tool straight in the tables, in the store (or with another party); return its id."""
        number, kind_id = next(_numbers), self.kind(kind)
        with clock.frozen(self.now), as_system() as work:
            record = Record(
                unit_id=self.unit.id,
                uid=uuid7(),
                type=flow.CODE,
                number=f"GJ{number:05d}",
                title=kind,
                state=state,
                category="open",
                received_at=self.now,
                entered_at=self.now,
                fact_seq=1,
            )
            work.add(record)
            work.flush()
            given = {"code": f"GJ{number:05d}", "name": kind, "price": Decimal("120.00")}
            given |= {"bought_on": date(2026, 1, 5), **columns}
            tool = Tool(id=record.id, unit_id=self.unit.id, kind_id=kind_id, **given)
            first = {"seq": 1, "kind": "registered", "at": self.now, "entered_at": self.now}
            work.add_all([tool, Fact(record_id=record.id, unit_id=self.unit.id, **first, note="", data={})])
            work.flush()
            custody.begin(tool, work.get_one(Party, holder or self.store), self.now)
            return record.id

    def tools(self, count: int, kind: str = "测线器") -> list[int]:
        """Register so many tools in the store; return their ids."""
        return [self.tool(kind) for _ in range(count)]

    def parts(self, name: str = "胶布", quantity: str = "10", holder: int = 0) -> int:
        """Put small parts into the store; return the kind's id."""
        kind_id = self.kind(name, category=values.CONSUMABLE)
        where, amount = holder or self.store, Decimal(quantity)
        self._add(Stock(unit_id=self.unit.id, party_id=where, kind_id=kind_id, quantity=amount))
        row = StockMove(unit_id=self.unit.id, kind_id=kind_id, taker_id=where, quantity=amount, at=self.now)
        row.why = "start"
        self._add(row)
        return kind_id

    def pin(self, user: User, pin: str = PIN) -> None:
        """Give somebody a PIN, unless they have one."""
        with self.acting(user):
            if not pins.with_pin([user.id]):
                pins.set_pin(user.id, pin, pin)

    def proof(self, user: User) -> pins.Proof:
        """Return the proof that somebody typed their PIN just now (unchecked: for what is not about PINs)."""
        return pins.Proof(user.id)

    def clause(self, name: str, holds: bool = True, **given: Any) -> None:
        """Set a clause of the unit, in force since long ago."""
        with as_system() as work:
            held = select(ClauseSetting).where(ClauseSetting.unit_id == self.unit.id, ClauseSetting.clause == name)
            for row in work.scalars(held):
                work.delete(row)
        self.office.clause(name, on=holds, **given)

    def with_clauses(self, *clauses: str) -> None:
        """Let clauses hold, as shipped."""
        for one in clauses:
            self.clause(one)

    def without(self, *clauses: str) -> None:
        """Switch clauses off."""
        with as_system() as work:
            mine = ClauseSetting.unit_id == self.unit.id, ClauseSetting.clause.in_(clauses)
            for row in work.scalars(select(ClauseSetting).where(*mine)):
                work.delete(row)
        self.office.clause(*clauses, on=False)

    def _add(self, row: Any) -> int:
        with clock.frozen(self.now), as_system() as work:
            work.add(row)
            work.flush()
            return int(row.id)

    # --- hand-overs ----------------------------------------------------------------------------

    def offer(
        self,
        kind: str,
        giver: int,
        taker: int,
        tools: Sequence[int | str] = (),
        user: User | None = None,
        **more: Any,
    ) -> int:
        """Offer a hand-over as somebody (default: the keeper); return its id. Loans are for a day unless said."""
        raw = {"kind": kind, "giver_id": giver, "taker_id": taker, "tools": list(tools), **more}
        if kind in values.WITH_DUE:
            raw.setdefault("due_at", (self.now + timedelta(days=1)).isoformat())
        with self.acting(user):
            return handovers.offer(self.unit.id, raw).id

    def accept(self, handover: int, user: User | None = None, *, pin_of: User | None = None, **more: Any) -> None:
        """Say yes as somebody, everything ticked; with ``pin_of`` by that person's PIN and signature instead."""
        with self.acting(user):
            if pin_of is not None:
                more = {"proof": pins.Proof(pin_of.id), "signature": drawn(), **more}
            more.setdefault("ticks", self.ticks(handover))
            handovers.accept(handover, **more)

    def ticks(self, key: int) -> dict[str, list[str]]:
        """Return everything that is to be ticked by the receiver of a hand-over (in a session of the unit)."""
        from plugins.tools.models import Handover

        kind = session().scalars(select(Handover.kind).where(Handover.id == key)).one()
        found: dict[str, list[str]] = {}
        for name, code, _words in handovers.ticks_wanted(self.unit.id, kind):
            found.setdefault(name, []).append(code)
        return found

    def hand(self, kind: str, giver: int, taker: int, tools: Sequence[int | str], **more: Any) -> int:
        """Hand tools over with everybody's yes; return the hand-over's id. All sound unless ``conditions``."""
        conditions = more.pop("conditions", {one: values.SOUND for one in tools if isinstance(one, int)})
        raw: dict[str, Any] = {"kind": kind, "giver_id": giver, "taker_id": taker, "tools": list(tools), **more}
        if kind in values.WITH_DUE:
            raw.setdefault("due_at", (self.now + timedelta(days=1)).isoformat())
        with self.acting():
            return handovers.give_at_once(self.unit.id, {**raw, "conditions": conditions}).id

    def issue(self, user: User, *tools: int) -> int:
        """Issue tools of the store to somebody, for good; return the hand-over's id."""
        return self.hand(values.ISSUE, self.store, self.person(user), tools)

    def bring_back(self, user: User, *tools: int, condition: str = values.SOUND) -> int:
        """Take tools back from somebody; return the hand-over's id."""
        conditions = dict.fromkeys(tools, condition)
        return self.hand(values.RETURN, self.person(user), self.store, tools, conditions=conditions)

    def step(self, key: int, name: str, user: User | None = None, **given: Any) -> None:
        """Take any step of any record of tools, also those that services take."""
        from core.sdk import perform

        with self.acting(user):
            perform(key, name, given, permitted=True)

    def granted(self, user: User, kind: str, quantity: int = 1, what: str = values.A_ADDITIONAL) -> int:
        """Put a granted application straight into the tables; return its id."""
        kind_id = self.kind(kind)
        with clock.frozen(self.now), as_system() as work:
            head = {"received_at": self.now, "entered_at": self.now, "category": "open", "state": values.GRANTED}
            number = f"SQ-{user.id}-{what}-{quantity}-{kind}"
            record = Record(
                unit_id=self.unit.id, uid=uuid7(), type="tools_application", number=number, title="x", **head
            )
            work.add(record)
            work.flush()
            row = Application(id=record.id, unit_id=self.unit.id, kind=what, user_id=user.id, quantity=quantity)
            row.kind_id = kind_id
            work.add(row)
            work.flush()
            return int(record.id)

    # --- looking -------------------------------------------------------------------------------

    def holder(self, tool: int) -> int:
        """Return the id of the party that holds a tool."""
        return int(self.all(select(Custody.party_id).where(Custody.tool_id == tool, Custody.ends_at.is_(None)))[0])

    def state(self, key: int) -> str:
        return str(self.all(select(Record.state).where(Record.id == key))[0])

    def facts(self, key: int) -> list[str]:
        return list(self.all(select(Fact.kind).where(Fact.record_id == key).order_by(Fact.seq)))

    def lines(self, key: int) -> list[HandoverLine]:
        """Return the lines of a hand-over, in order."""
        return self.all(select(HandoverLine).where(HandoverLine.handover_id == key).order_by(HandoverLine.id))

    def has(self, party: int, kind_id: int) -> Decimal:
        """Return how much of a kind of small parts a party has."""
        found = self.all(select(Stock.quantity).where(Stock.party_id == party, Stock.kind_id == kind_id))
        return found[0] if found else Decimal(0)

    def all(self, statement: Any) -> list[Any]:
        """Return what a select finds, detached."""
        with self.acting(self.manager) as work:
            rows = list(work.scalars(statement))
            work.expunge_all()
            return rows


def codes(refused: Refused) -> set[str]:
    """Return the codes of what was refused."""
    return {one.code for one in refused.refusals}


def clauses(refused: Refused) -> set[str]:
    """Return the clauses that refused."""
    return {one.clause for one in refused.refusals if one.clause}


_previews: dict[str, Any] = {}


def _use_profile(unit: Unit, name: str) -> None:
    """Apply a profile since long ago, as ``profiles.apply`` would; its changes are the same for every unit."""
    with as_system() as work:
        row = work.merge(unit)
        if name not in _previews:
            _previews[name] = profiles.preview(row, profiles.find_profile(name), LONG_AGO)
        wanted = _previews[name]
    switch_on(unit, *wanted.plugins)
    with as_system() as work:
        row = work.merge(unit)
        for change in wanted.settings:
            set_setting(row, change.spec.name, wanted.profile.settings[change.spec.name])
        for one in wanted.clauses:
            given: Mapping[str, Any] = {"holds": one.holds, "values": dict(one.values), "schema": one.clause.schema}
            made = ClauseSetting(unit_id=row.id, clause=one.clause.id, starts_on=LONG_AGO, reason="test", **given)
            made.state, made.created_at, made.released_at = IN_FORCE, clock.now(), clock.now()
            work.add(made)
        work.flush()
        effective.forget()


# What asks for an application before a tool is given: in the way of tests that are about something else.
ASKING = ("R35-4.3", "R35-4.4", "R35-5.1", "R33-3.2", "R33-6.1", "R33-2.2", "R35-4.6")


def make_place(profile: str = "", code: str = "", *, strict: bool = False) -> Place:
    """A unit with the plugin on (and a profile in force, if named), its people, and two stores under the keeper.

    Without a profile clauses hold as shipped (most do not); with one those that want an application before an
    issue or a loan are off, unless ``strict``.
    """
    with clock.frozen(MONDAY):
        office = casework.make_office(code)
        switch_on(office.unit, "tools")
        if profile:
            _use_profile(office.unit, profile)
    people = [("warehouse", "库管"), ("dept_manager", "经理"), ("finance", "财务"), ("field_staff", "安师傅")]
    keeper, manager, finance, ann = (_named(office, *one) for one in people)
    place = Place(office, keeper, manager, finance, ann, _named(office, "field_staff", "鲍师傅"))
    place.store = place.party(values.STORE, "总工具房", keeper)
    place.other_store = place.party(values.STORE, "分库", keeper)
    if profile and not strict:
        place.without(*ASKING)
    return place


def _named(office: casework.Office, position: str, name: str) -> User:
    made = office.staff(position)
    with as_system() as work:
        work.get_one(User, made.id).name = name
    made.name = name
    return made


def code_of(place: Place, tool: int) -> str:
    """Return the number on a tool, as a scan gun reads it."""
    return str(place.all(select(Tool.code).where(Tool.id == tool))[0])
