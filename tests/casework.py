"""A small office for tests about cases: one unit, somebody who may do everything, a technician, a stranger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import insert, select

from core.cases.services import register_case
from core.kernel import clock
from core.kernel.database import ScopedSession, session, system_scope
from core.records.engine import detail_of, perform
from core.records.models import Fact, Record, RefusalLog
from core.rules.setting_models import IN_FORCE, ClauseSetting
from core.units.models import Setting, Unit
from core.users.models import Position, User, UserPosition
from core.users.permissions import CORE_PERMISSIONS
from core.users.positions import seed_positions
from tests.helpers import as_system, current, in_scope, make_unit, make_user

ALL = frozenset(p.code for p in CORE_PERMISSIONS)
INTAKE = {
    "customer_name": "盟新科技有限公司",
    "contact_name": "马林",
    "contact_phone": "13112355344",
    "address_text": "浙江省杭州市西湖区文三路1号",
    "channel": "phone",
    "product_text": "LN-24 壁挂炉",
    "description": "壁挂炉报E1故障\n点火三次都打不着",
}
SOLVED = {
    "cause": "点火针积碳",
    "process": "更换点火针",
    "parts_used": "点火针1支",
    "test_result": "点火10次成功",
    "plan": "更换点火针",
    "agreed": "1",
}
CLASSIFIED = {"nature": "repair", "urgency": "normal"}


@dataclass
class Office:
    """One unit and its people. ``with office.at_desk():`` acts as the person who may do everything."""

    unit: Unit
    desk: User
    technician: User

    @contextmanager
    def at_desk(self) -> Iterator[ScopedSession]:
        with in_scope(self.unit, ALL, self.desk) as work:
            yield work

    @contextmanager
    def on_the_road(self, *permissions: str) -> Iterator[ScopedSession]:
        with in_scope(self.unit, permissions, self.technician) as work:
            yield work

    def new_case(self, **changes: Any) -> int:
        """Register a case and return its id."""
        with self.at_desk():
            return register_case(self.unit.id, {**INTAKE, **changes}).id

    def do(self, record_id: int, *steps: str | tuple[str, Mapping[str, Any]]) -> Record:
        """Perform steps at the desk, with the form input that makes each go through unless given."""
        with self.at_desk():
            for step in steps:
                name, data = step if isinstance(step, tuple) else (step, self.usual(step))
                perform(record_id, name, data)
            return session().scalars(select(Record).where(Record.id == record_id)).one()

    def usual(self, step: str) -> dict[str, Any]:
        return {
            "forward": {"position": "after_sales"},
            "classify": dict(CLASSIFIED),
            "answer": {"answer": "每两年清洗一次即可"},
            "plan": {"plan": "上门更换"},
            "assign": {"assignee_id": self.technician.id},
            "start": {"plan": "更换点火针", "agreed": "1"},
            "decline": {"reason": "路程冲突"},
            "wait": {"why": "parts", "reason": "等配件"},
            "solve": dict(SOLVED),
            "rework": {"reason": "又坏了"},
            "send_result": {"message": "已修好"},
            "confirm": {"means": "phone", "rating": "5"},
            "reopen": {"reason": "又坏了"},
            "cancel": {"reason": "客户自行解决"},
            "set_due": {"due": (clock.now() + timedelta(days=1)).isoformat()},
            "assess": {"fault_type": "quality", "impact": "stopped"},
            "quote": {"quotation": "BJ-2026-001", "contract": "HT-2026-001"},
            "refer": {"position": "technical_office", "reason": "材料问题拿不准"},
            "escalate": {"level": "gm", "reason": "客户不满"},
        }.get(step, {})

    def clause(self, *clauses: str, on: bool = True, **values: Any) -> None:
        """Switch clauses on or off in the unit since long ago, with parameters."""
        with as_system() as work:
            work.add_all(
                ClauseSetting(
                    unit_id=self.unit.id,
                    clause=one,
                    starts_on=date(2020, 1, 1),
                    holds=on,
                    values=values,
                    reason="test",
                    open_records="keep",
                    state=IN_FORCE,
                    created_at=clock.now(),
                    schema=1,
                )
                for one in clauses
            )

    def clause_settings_gone(self) -> None:
        """Let the unit's clauses be as shipped again."""
        with as_system() as work:
            for row in work.scalars(select(ClauseSetting).where(ClauseSetting.unit_id == self.unit.id)):
                work.delete(row)

    def staff(self, position: str) -> User:
        """Add somebody who holds a position as it is shipped."""
        with as_system() as work:
            row = work.scalars(select(Position).where(Position.code == position)).one()
        return make_user(self.unit, name=position, position=row)

    @contextmanager
    def acting(self, user: User) -> Iterator[ScopedSession]:
        """Act as somebody from ``staff``, with what their position allows."""
        with as_system() as work:
            held = select(Position).join(UserPosition).where(UserPosition.user_id == user.id)
            allowed = work.scalars(held).one().permissions
        with in_scope(self.unit, allowed, user) as work:
            yield work

    def set(self, name: str, value: Any) -> None:
        """Set a unit setting such as ``case.signature_rule``."""
        room, _, key = name.partition(".")
        with as_system() as work:
            work.add(Setting(unit_id=self.unit.id, room=room, key=key, value=value))


def make_office(code: str = "") -> Office:
    unit = make_unit(code)
    _add_positions()
    return Office(unit, make_user(unit, ALL, name="前台"), make_user(unit, (), name="师傅"))


def _add_positions() -> None:
    """Add the positions of the house in one statement: audited one by one they cost as much as the rest."""
    with as_system() as work:
        if not _positions:
            seed_positions()
            made = work.scalars(select(Position).order_by(Position.id))
            _positions.extend(
                {c.key: getattr(one, c.key) for c in Position.__table__.columns if c.key != "id"} for one in made
            )
            work.rollback()
        held = set(work.scalars(select(Position.code)))
        missing = [row for row in _positions if row["code"] not in held]
        if missing:
            work.execute(insert(Position), missing)


_positions: list[dict[str, Any]] = []


@contextmanager
def reading() -> Iterator[ScopedSession]:
    """Look at everything, beside whatever session is open."""
    with current().app_context(), system_scope("test", read_only=True) as work:
        yield work


def shape(record_id: int) -> dict[str, Any]:
    """Return everything a refused step must leave alone."""
    with reading() as work:
        record = work.scalars(select(Record).where(Record.id == record_id)).one()
        case = detail_of(record)
        facts = work.scalars(select(Fact).where(Fact.record_id == record_id).order_by(Fact.seq)).all()
        return {
            "record": {c.key: getattr(record, c.key) for c in Record.__table__.columns},
            "case": {c.key: getattr(case, c.key) for c in case.__table__.columns},
            "facts": [(f.seq, f.kind, f.at, f.note, f.data) for f in facts],
        }


def refusals(record_id: int) -> list[tuple[str, str, str]]:
    """Return the evidence kept: (transition, code, clause)."""
    with reading() as work:
        rows = work.scalars(select(RefusalLog).where(RefusalLog.record_id == record_id).order_by(RefusalLog.id))
        return [(r.transition, r.code, r.clause) for r in rows]


def kinds(record_id: int) -> list[str]:
    """Return the kinds of a record's facts in the order of entry."""
    return list(session().scalars(select(Fact.kind).where(Fact.record_id == record_id).order_by(Fact.seq)))
