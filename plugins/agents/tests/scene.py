"""What the tests of agents set up: a unit with a profile, agents, contracts, items they sold, cases decided.

Everything happens at ``place.now``, which a test moves as it likes. What staff do goes through the services; the
file (agents, contracts, rates) is put straight into the tables.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from core.cases.services import EDIT_FIELDS, edit_case, register_case
from core.kernel import clock
from core.records.models import RefusalLog
from core.rules import effective, profiles
from core.rules.setting_models import IN_FORCE, ClauseSetting
from core.sdk import (
    Case,
    Charge,
    Fact,
    Record,
    Unit,
    User,
    charges,
    detail_of,
    perform,
    session,
    transaction,
    uuid7,
)
from core.units.settings import set_setting
from plugins.agents import rights, values
from plugins.agents.models import Agent, CaseAgent, Contact, Contract, Rate, Seller
from plugins.products import services as products
from plugins.products.models import Category, Model
from plugins.warranty import rights as warranty_rights
from plugins.warranty.models import PartPrice
from tests import casework
from tests.helpers import as_system, in_scope, make_user, switch_on

MONDAY = datetime(2025, 11, 3, 2, tzinfo=UTC)  # ten in the morning in China
LONG_AGO = date(2020, 1, 1)
OWN_RIGHTS = frozenset(value for name, value in vars(rights).items() if name.isupper())
ALL = (
    casework.ALL
    | (OWN_RIGHTS - {rights.OWN})
    | frozenset(value for name, value in vars(warranty_rights).items() if name.isupper())
    | {products.VIEW, products.EDIT, products.IMPORT}
)
EQUIP, PLAT_K, HEAT = "BU-EQUIP", "BU-PLAT-K", "BU-HEAT"
SERIAL, MODEL, CATEGORY = "GTZZ16-0001", "GTZZ-16", "高空作业平台"
# S24: one person, two days, one night, travel 330, a part of 300: 330 + 150 + 100 + 400 + 300.
JOB = {"means": "on_site", "people": "1", "days": "2", "nights": "1", "travel": "330", "parts": "P-1, 1"}
JOB_TOTAL = Decimal("1280.00")
PART = ("P-1", "300.00")
_numbers = itertools.count(1)


@dataclass
class Place:
    """A unit with the plugin on, and its people."""

    office: casework.Office
    now: datetime = MONDAY
    models: dict[str, int] = field(default_factory=dict)

    @property
    def unit(self) -> Unit:
        return self.office.unit

    @property
    def desk(self) -> User:
        return self.office.desk

    def later(self, **more: float) -> datetime:
        """Let time pass (as ``timedelta``); return the new moment."""
        self.now += timedelta(**more)
        return self.now

    @contextmanager
    def acting(self, user: User | None = None, permissions: Any = ALL) -> Iterator[Any]:
        """Work as somebody at the present moment of the place."""
        with clock.frozen(self.now), in_scope(self.unit, permissions, user or self.desk) as work:
            yield work

    # --- the file ------------------------------------------------------------------------------

    def agent(self, kind: str = values.AGENT, name: str = "", **columns: Any) -> int:
        """Put an agent on file; return its id."""
        number = next(_numbers)
        given = {"code": f"DL{number:04d}", "name": name or f"华东设备有限公司{number}", **columns}
        return self._add(Agent(unit_id=self.unit.id, kind=kind, **given))

    def code_of(self, agent_id: int) -> str:
        with as_system() as work:
            return work.get_one(Agent, agent_id).code

    def contract(
        self, agent_id: int, *rates: tuple[str, str, str] | tuple[str, str, str, str], **columns: Any
    ) -> int:
        """Put a contract in force with rates (direction, basis, amount[, nature]); return its id."""
        state = columns.pop("state", "in_force")
        with clock.frozen(self.now), as_system() as work:
            number = next(_numbers)
            record = Record(
                unit_id=self.unit.id,
                uid=uuid7(),
                type="agents_contract",
                number=f"DLHT-{number:04d}",
                title="代理合同",
                state=state,
                category="open",
                received_at=self.now,
                entered_at=self.now,
            )
            work.add(record)
            work.flush()
            given = {"name": f"代理合同{number}", "starts_on": LONG_AGO, "ends_on": date(2029, 12, 31), **columns}
            work.add(Contract(id=record.id, unit_id=self.unit.id, agent_id=agent_id, **given))
            work.flush()
            for direction, basis, amount, *nature in rates:
                row = Rate(unit_id=self.unit.id, contract_id=record.id, direction=direction, basis=basis)
                row.amount, row.nature = Decimal(amount), nature[0] if nature else ""
                work.add(row)
            return record.id

    def contact(self, agent_id: int, role: str = values.TECHNICIAN, name: str = "代理师傅") -> tuple[int, User]:
        """Put a person of an agent on file, with a sign-in; return contact id and user."""
        user = make_user(self.unit, (rights.OWN,), name=name)
        row = Contact(unit_id=self.unit.id, agent_id=agent_id, name=name, role=role, user_id=user.id)
        return self._add(row), user

    def part(self, number: str = PART[0], price: str = PART[1], **columns: Any) -> None:
        """Give a part finance's price."""
        given = {"name": "油缸", "starts_on": LONG_AGO, "active": True, "created_at": self.now, **columns}
        self._add(PartPrice(unit_id=self.unit.id, number=number, price=Decimal(price), **given))

    def item(
        self, serial: str = SERIAL, sold_class: str = "agent", agent: int | None = None, **columns: Any
    ) -> int:
        """Register an item, in warranty unless bought otherwise; with ``agent`` it is known as its seller."""
        with self.acting(), transaction():
            given = {"serial": serial, "model_id": str(self._model()), "active": "1", "sold_class": sold_class}
            key = products.save_item(self.unit.id, {**given, "purchased_on": "2025-06-03", **columns}).id
        if agent is not None:
            self.sold_by(key, agent)
        return key

    def sold_by(self, item_id: int, agent_id: int) -> int:
        """Say who sold an item, straight in the table."""
        with as_system() as work:
            for row in work.scalars(select(Seller).where(Seller.item_id == item_id, Seller.current)):
                row.current = False
            work.flush()
            made = Seller(unit_id=self.unit.id, item_id=item_id, agent_id=agent_id, entered_at=self.now)
            work.add(made)
            work.flush()
            return made.id

    def _model(self) -> int:
        held = session().scalars(select(Model.id).where(Model.unit_id == self.unit.id, Model.code == MODEL)).first()
        if held is not None:
            return held
        category = Category(unit_id=self.unit.id, name=CATEGORY, sort=10)
        session().add(category)
        session().flush()
        given = {"code": MODEL, "name": "剪叉式平台", "category_id": str(category.id), "active": "1"}
        given["warranty_months"] = "12"
        return products.save_model(self.unit.id, given).id

    def _add(self, row: Any) -> int:
        with clock.frozen(self.now), as_system() as work:
            work.add(row)
            work.flush()
            return int(row.id)

    # --- cases ---------------------------------------------------------------------------------

    def case(self, serial: str = SERIAL, cause: str = "quality", nature: str = "repair", **changes: Any) -> int:
        """Register a case about an item, classified, its coverage decided as the clauses say ('' for not yet)."""
        with self.acting():
            phone = f"139{next(_numbers):08}"
            given = {**casework.INTAKE, "contact_phone": phone, "serial_text": serial}
            number = changes.pop("product_class", "")
            key = register_case(self.unit.id, {**given, **changes}).id
        self.do(key, "classify", {"nature": nature, "urgency": "normal", "product_class": number})
        if cause:
            self.do(key, "warranty:decide", {"cause": cause})
        return key

    def edit(self, key: int, **changes: Any) -> None:
        """Correct details of a case."""
        with self.acting():
            held = detail_of(session().get_one(Record, key))
            edit_case(key, {one.name: getattr(held, one.name) for one in EDIT_FIELDS} | changes)

    def decide(self, key: int, result: str, reason: str = "复核") -> None:
        """Decide coverage anew, otherwise than the clauses say if need be."""
        self.do(key, "warranty:decide", {"cause": "quality", "result": result, "reason": reason})

    def do(self, key: int, step: str, given: Mapping[str, Any] | None = None, user: User | None = None) -> None:
        """Take a step of a case; without input with what makes it go through."""
        with self.acting(user):
            perform(key, step, self.office.usual(step) if given is None else given)

    def notify(self, key: int) -> None:
        """Tell the agent before service, as staff enter it."""
        self.do(key, "agents:notify", {"means": "phone", "to": "李经理", "evidence": "通话13800000000"})

    def bill(self, key: int, **changes: Any) -> None:
        """Bill the case to whoever bears it (``JOB`` unless said otherwise)."""
        self.do(key, "agents:bill", {**JOB, "visits": "1", **changes})

    def solve(self, key: int) -> None:
        """Do the work of a case."""
        for step in ("assign", "depart", "arrive", "solve"):
            self.do(key, step)

    def close(self, key: int) -> None:
        """Have the customer confirm by signature (or seal), and close."""
        self.do(key, "confirm", {"means": "seal", "rating": "5"})
        self.do(key, "close")

    # --- looking -------------------------------------------------------------------------------

    def charges(self, key: int, payer: str = "") -> list[Charge]:
        """Return the charges of a case that are not void, oldest first."""
        found = select(Charge).where(Charge.record_id == key, Charge.state != "void").order_by(Charge.id)
        return self._all(found.where(Charge.payer == payer) if payer else found)

    def lines(self, key: int, payer: str = "agent") -> list[tuple[str, str, Decimal]]:
        """Return (code, clause, amount) of what a payer owes for a case."""
        return [(one.code, one.clause, one.amount) for one in self.charges(key, payer)]

    def owes(self, key: int, payer: str = "agent") -> Decimal:
        """Return what a payer owes for a case, all corrections together."""
        return sum((one.amount for one in self.charges(key, payer)), Decimal("0.00"))

    def total(self, key: int, payer: str) -> charges.Total:
        with self.acting():
            return next((one for one in charges.totals(key) if one.payer == payer), charges.Total(payer))

    def kinds(self, key: int) -> list[str]:
        return list(self._all(select(Fact.kind).where(Fact.record_id == key).order_by(Fact.seq)))

    def data_of(self, key: int, kind: str) -> dict[str, Any]:
        """What the latest fact of a kind keeps."""
        wanted = select(Fact).where(Fact.record_id == key, Fact.kind == kind).order_by(Fact.seq.desc()).limit(1)
        return dict(self._all(wanted)[0].data)

    def state(self, key: int) -> str:
        return str(self._all(select(Record.state).where(Record.id == key))[0])

    def bill_of(self, key: int) -> CaseAgent | None:
        return next(iter(self._all(select(CaseAgent).where(CaseAgent.record_id == key))), None)

    def against(self, key: int, step: str) -> set[str]:
        """Return the clauses that refused a step, as kept in evidence."""
        found = select(RefusalLog).where(RefusalLog.record_id == key, RefusalLog.transition == step)
        return {one.clause for one in self._all(found) if one.clause}

    def clause(self, name: str, holds: bool = True, **given: Any) -> None:
        """Set a clause of the unit, in force since long ago."""
        with as_system() as work:
            from core.rules.setting_models import ClauseSetting

            held = select(ClauseSetting).where(ClauseSetting.unit_id == self.unit.id, ClauseSetting.clause == name)
            for row in work.scalars(held):
                work.delete(row)
        self.office.clause(name, on=holds, **given)

    def set_class(self, key: int, number: str) -> None:
        """Choose the product class of a case, as staff do when classifying."""
        with as_system() as work:
            work.get_one(Case, key).product_class = number

    def _all(self, statement: Any) -> list[Any]:
        with self.acting() as work:
            rows = list(work.scalars(statement))
            work.expunge_all()
            return rows


_previews: dict[str, Any] = {}


def _wanted_by(unit: Unit, profile: str) -> Any:
    """Return what a profile changes in a new unit with the plugin on: the same for every unit."""
    if profile not in _previews:
        switch_on(unit, "agents")
        with as_system() as work:
            _previews[profile] = profiles.preview(work.merge(unit), profiles.find_profile(profile), LONG_AGO)
    return _previews[profile]


def make_place(profile: str = EQUIP, code: str = "") -> Place:
    """A unit with a profile in force since long ago and the plugin on; the part ``P-1`` costs 300."""
    with clock.frozen(MONDAY):
        office = casework.make_office(code)
        wanted = _wanted_by(office.unit, profile)
        switch_on(office.unit, "agents", *wanted.plugins)
        with as_system() as work:
            unit = work.merge(office.unit)
            for change in wanted.settings:
                set_setting(unit, change.spec.name, wanted.profile.settings[change.spec.name])
            # As ``profiles.apply`` would set them; one by one they take most of the time of a test.
            work.add_all(
                ClauseSetting(
                    unit_id=unit.id,
                    clause=one.clause.id,
                    starts_on=LONG_AGO,
                    holds=one.holds,
                    values=dict(one.values),
                    schema=one.clause.schema,
                    reason="test",
                    state=IN_FORCE,
                    created_at=clock.now(),
                    released_at=clock.now(),
                )
                for one in wanted.clauses
            )
            work.flush()
            effective.forget()
    place = Place(office)
    place.part()
    return place
