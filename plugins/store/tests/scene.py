"""What the tests of the store set up: a shop with its people, products on file, suppliers, released goods.

Everything happens at ``shop.now``, which a test moves as it likes. What people do goes through the services; the
file (models, suppliers, releases, prices, lots) is put straight into the tables.
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

from core.kernel import clock
from core.rules.setting_models import ClauseSetting
from core.sdk import Fact, Record, Refused, Unit, User, perform, uuid7
from core.users.models import Position, UserPosition
from plugins.products.models import Model
from plugins.store import rights, values
from plugins.store.models import Price, PriceChange, Product, Release, Supplier
from tests import casework
from tests.helpers import as_system, in_scope, switch_on

MONDAY = datetime(2026, 3, 2, 2, tzinfo=UTC)  # ten in the morning in China
OWN_RIGHTS = frozenset(value for name, value in vars(rights).items() if name.isupper())
ALL = casework.ALL | OWN_RIGHTS | {"products.view", "products.edit", "products.quality"}
OPENED = datetime(2025, 1, 1, tzinfo=UTC)
# Bar codes with a right check digit.
BARCODES = ("6901234567892", "6923450657713", "6902083881405", "4006381333931")
_numbers = itertools.count(1)


@dataclass
class Shop:
    """A unit with the store on. ``desk`` may do everything."""

    office: casework.Office
    now: datetime = MONDAY
    rights: dict[int, frozenset[str]] = field(default_factory=dict)

    @property
    def unit(self) -> Unit:
        return self.office.unit

    @property
    def desk(self) -> User:
        return self.office.desk

    @property
    def today(self) -> date:
        """The day of the shop (in China)."""
        return (self.now + timedelta(hours=8)).date()

    def later(self, **more: float) -> datetime:
        """Let time pass (as ``timedelta``); return the new moment."""
        self.now += timedelta(**more)
        return self.now

    @contextmanager
    def acting(self, user: User | None = None, permissions: Any = None) -> Iterator[Any]:
        """Work as somebody with what they may do (default: the desk, everything), at ``shop.now``."""
        if permissions is None:
            permissions = ALL if user is None or user.id == self.desk.id else self.allowed(user)
        with clock.frozen(self.now), in_scope(self.unit, permissions, user or self.desk) as work:
            yield work

    def allowed(self, user: User) -> frozenset[str]:
        """Return what somebody's positions allow."""
        if user.id not in self.rights:
            with as_system() as work:
                held = select(Position).join(UserPosition).where(UserPosition.user_id == user.id)
                self.rights[user.id] = frozenset(one for row in work.scalars(held) for one in row.permissions)
        return self.rights[user.id]

    def staff(self, position: str) -> User:
        """Add somebody who holds a position as it is shipped."""
        return self.office.staff(position)

    def clause(self, name: str, holds: bool = True, **given: Any) -> None:
        """Set a clause of the unit, in force since long ago."""
        with as_system() as work:
            held = select(ClauseSetting).where(ClauseSetting.unit_id == self.unit.id, ClauseSetting.clause == name)
            for row in work.scalars(held):
                work.delete(row)
        self.office.clause(name, on=holds, **given)

    # --- the file, straight into the tables -------------------------------------------------------

    def model(self, name: str = "", *, barcode: str = "", sheet: bool = True, **columns: Any) -> int:
        """Put a model on file with its product sheet (``columns`` of ``Product``); return the model's id."""
        number = next(_numbers)
        with as_system() as work:
            row = Model(unit_id=self.unit.id, code=f"SP{number:04d}", name=name or f"商品{number}")
            work.add(row)
            work.flush()
            if sheet:
                given = {"barcode": barcode, **columns}
                work.add(Product(unit_id=self.unit.id, model_id=row.id, **given))
            return row.id

    def supplier(
        self,
        name: str = "",
        *,
        state: str = values.QUALIFIED,
        until: date | None = date(2027, 1, 1),
        **columns: Any,
    ) -> int:
        """Put a supplier on file, qualified unless said otherwise; return its id."""
        detail = Supplier(name=name or f"供应商{next(_numbers)}", qualified_until=until, **columns)
        return self.record("store_supplier", detail, state, detail.name)

    def release(self, model_id: int) -> int:
        """Let a product be released for sale; return the id of the release."""
        detail = Release(model_id=model_id, released_at=self.now, released_by=self.desk.id)
        return self.record("store_release", detail, values.RELEASED, "放行")

    def price(self, model_id: int, price: str = "10.00", starts_on: date = date(2020, 1, 1)) -> int:
        """Publish a price; return its id."""
        change = PriceChange(starts_on=starts_on, reason="test", approved_at=self.now)
        key = self.record("store_price_change", change, values.APPROVED, "价格", "closed")
        row = Price(unit_id=self.unit.id, model_id=model_id, price=Decimal(price), starts_on=starts_on)
        row.change_id, row.published_at = key, self.now
        return self.add(row)

    def goods(self, name: str = "", *, price: str = "10.00", **columns: Any) -> int:
        """Put a product on file that may be sold: released, with a public price; return the model's id."""
        model_id = self.model(name, **columns)
        self.release(model_id)
        self.price(model_id, price)
        return model_id

    def record(self, type_: str, detail: Any, state: str, title: str, category: str = "open") -> int:
        """Put a record with its details straight into the tables; return its id."""
        with clock.frozen(self.now), as_system() as work:
            record = Record(
                unit_id=self.unit.id,
                uid=uuid7(),
                type=type_,
                number=f"{type_[:12]}-{next(_numbers):05d}",
                title=title,
                state=state,
                category=category,
                received_at=self.now,
                entered_at=self.now,
                fact_seq=1,
            )
            work.add(record)
            work.flush()
            detail.id, detail.unit_id = record.id, self.unit.id
            first = {"seq": 1, "kind": "registered", "at": self.now, "entered_at": self.now}
            work.add_all([detail, Fact(record_id=record.id, unit_id=self.unit.id, **first, note="", data={})])
            return int(record.id)

    def add(self, row: Any) -> int:
        """Put a row into the tables; return its id."""
        with as_system() as work:
            work.add(row)
            work.flush()
            return int(row.id)

    # --- what people do, what there is --------------------------------------------------------------

    def do(self, key: int, step: str, user: User | None = None, **given: Any) -> None:
        """Take a step of a record as somebody (default: the desk)."""
        with self.acting(user):
            perform(key, step, given)

    def state(self, key: int) -> str:
        with as_system() as work:
            return str(work.get_one(Record, key).state)

    def facts(self, key: int) -> list[str]:
        """Return the kinds of a record's facts, in order."""
        return self.all(select(Fact.kind).where(Fact.record_id == key).order_by(Fact.seq))

    def all(self, statement: Any) -> list[Any]:
        """Return what a select finds, detached."""
        with as_system() as work:
            rows = list(work.scalars(statement))
            work.expunge_all()
            return rows


def codes(refused: Refused) -> set[str]:
    """Return the codes of what was refused."""
    return {one.code for one in refused.refusals}


def clauses(refused: Refused) -> set[str]:
    """Return the clauses that refused."""
    return {one.clause for one in refused.refusals if one.clause}


def make_shop(
    code: str = "", *, on: tuple[str, ...] = (), off: tuple[str, ...] = (), **set_to: Mapping[str, Any]
) -> Shop:
    """A unit with the store on; clauses hold as shipped but for those named ``on`` and ``off``."""
    office = casework.make_office(code)
    with clock.frozen(OPENED):
        switch_on(office.unit, "store")
    shop = Shop(office)
    for one in on:
        shop.clause(one, **set_to.get(one, {}))
    for one in off:
        shop.clause(one, holds=False)
    return shop
