"""What a record's page says of agreements its steps need, and of penalties proposed over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from flask import g

from core.admin import approvals, money_words
from core.admin.clauses import said
from core.kernel.access import may
from core.records.engine import sees_inside
from core.records.models import Record
from core.rules import approval_gate, penalties
from core.rules.approval_gate import Wanted
from core.rules.approval_models import STATE_WORDS


@dataclass(frozen=True)
class Agreement:
    """An agreement that a step needs, in words; ``state`` is None where nobody has asked yet."""

    wanted: Wanted
    title: str
    position: str
    state: Any


def agreements_of(record: Record) -> list[Agreement]:
    """Return the agreements that the steps possible now need."""
    found = approval_gate.wanted_for(record) if sees_inside(record) else []
    titles = approvals.position_titles() if found else {}
    return [
        Agreement(
            one,
            said(one.title) if isinstance(one.title, dict) else one.title,
            titles.get(one.position, one.position),
            (STATE_WORDS[one.state], approvals.TONES.get(one.state, "neutral")) if one.state else None,
        )
        for one in found
    ]


@dataclass(frozen=True)
class Proposal:
    """A penalty proposed over this record, as far as this reader may see it."""

    id: int
    name: str
    clause: str
    badge: tuple[Any, str]
    amount: Decimal | None


def penalties_of(record: Record) -> Sequence[Proposal]:
    """Return the proposals over a record: all for who may see them, else one's own."""
    every = may(penalties.VIEW, record.unit_id)
    return [
        Proposal(
            one.id,
            one.user.name if one.user else "",
            one.clause,
            money_words.penalty_badge(one),
            penalties.amount_now(one, one.obligation),
        )
        for one in penalties.of_record(record.id)
        if every or one.user_id == g.actor.id
    ]
