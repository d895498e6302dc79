"""A company for tests about approvals: head office and branch, people in real positions, and how to act as one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import select

from core.kernel.database import ScopedSession, opened_scope
from core.records.models import Notice
from core.rules.approval_models import Approval, ApprovalStep
from core.units.models import Setting, Unit
from core.users.actor import load_by_id
from core.users.models import Position, User, UserPosition
from core.users.positions import seed_positions
from tests.casework import reading
from tests.helpers import as_system, current, make_unit, make_user

CLAUSE = "R01-4.4"


@dataclass
class Company:
    """``gm`` sits in head office and reaches the branch; all others work in the branch."""

    hq: Unit
    branch: Unit
    people: dict[str, User] = field(default_factory=dict)

    def __getattr__(self, name: str) -> User:
        try:
            return self.people[name]
        except KeyError:
            raise AttributeError(name) from None

    def add(self, name: str, position: str, unit: Unit | None = None) -> User:
        with as_system() as work:
            row = work.scalars(select(Position).where(Position.code == position)).one()
        self.people[name] = make_user(
            unit or self.branch, position=row, name=name, username=f"{name}.{self.hq.id}", locale="en"
        )
        return self.people[name]

    def leaves(self, name: str, last_day: date) -> None:
        """End everything a person holds."""
        with as_system() as work:
            for row in work.scalars(select(UserPosition).where(UserPosition.user_id == self.people[name].id)):
                row.valid_to = last_day

    def set(self, name: str, value: Any, unit: Unit | None = None) -> None:
        room, _, key = name.partition(".")
        with as_system() as work:
            work.add(Setting(unit_id=(unit or self.branch).id, room=room, key=key, value=value))


def make_company() -> Company:
    hq = make_unit()
    found = Company(hq, make_unit(parent=hq))
    with as_system():
        seed_positions()
    found.add("gm", "gm", hq)
    found.add("leader", "service_leader")
    found.add("clerk", "after_sales_admin")
    found.add("worker", "field_staff")
    return found


@contextmanager
def acting(user: User) -> Iterator[ScopedSession]:
    """Open a session as this person, with what they hold today."""
    with current().app_context():
        actor = load_by_id(user.id)
    assert actor is not None
    with current().app_context(), opened_scope(actor.scope("test")) as work:
        yield work


def held(approval_id: int) -> Approval:
    with reading() as work:
        return work.scalars(select(Approval).where(Approval.id == approval_id)).one()


def steps(approval_id: int) -> list[tuple[str, int | None, str]]:
    """Return (name, actor, reason) of every step."""
    with reading() as work:
        own = select(ApprovalStep).where(ApprovalStep.approval_id == approval_id).order_by(ApprovalStep.id)
        return [(one.name, one.actor_id, one.reason) for one in work.scalars(own)]


def told(user: User, kind: str = "") -> list[str]:
    """Return the kinds of notices somebody got about approvals."""
    with reading() as work:
        own = select(Notice.kind).where(Notice.user_id == user.id, Notice.kind.startswith("approval."))
        return [one for one in work.scalars(own.order_by(Notice.id)) if not kind or one == kind]
