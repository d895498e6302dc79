"""How screens show approvals: one card each, with amount, clause, reason and papers, without opening the record."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from flask import g, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, or_, select
from sqlalchemy.orm import joinedload

from core.kernel.access import may
from core.kernel.database import session
from core.kernel.i18n import current_locale
from core.records.models import Attachment
from core.rules import approvals, approvers
from core.rules.approval_models import (
    AGREED,
    REJECTED,
    RETURNED,
    STATE_WORDS,
    WAITING,
    Approval,
    ApprovalStep,
    Delegation,
)
from core.rules.effective import effective
from core.users.models import Position, User
from core.users.positions import title_of as position_title

from .clause_words import said_value
from .clauses import known_clause, said
from .format import localtime, money

MOST_COUNTED = 100
TONES: Mapping[str, str] = {WAITING: "warn", RETURNED: "info", AGREED: "good", REJECTED: "bad"}
STEP_TONES: Mapping[str, str] = {RETURNED: "info", AGREED: "good", REJECTED: "bad"}


@dataclass(frozen=True)
class Card:
    """One approval as people see it. ``place``: the person in whose place the actor would decide, ''."""

    row: Approval
    title: str
    wanted: str
    badge: tuple[Any, str]
    place: str = ""
    facts: Sequence[tuple[Any, Any]] = ()
    files: Sequence[Attachment] = ()
    record_url: str = ""
    bounds: tuple[Decimal | None, Decimal | None] = (None, None)
    decides: bool = False
    passes: bool = False
    mine: bool = False
    unit: str = ""
    evidence_id: int | None = None


@dataclass(frozen=True)
class StepLine:
    """One step taken with an approval, in words."""

    row: ApprovalStep
    label: Any
    tone: str
    who: str
    to: str = ""
    place: str = ""
    # What was asked for stands in the card already.
    reason: str = field(default="")


def cards(rows: Sequence[Approval], places: Mapping[int, int] | None = None, *, may: bool = False) -> list[Card]:
    """Return cards of approvals. ``places``: in whose place each of an inbox is decided, by approval id.

    With ``places`` they are the actor's to decide; with ``may`` that is worked out for each.
    """
    names = _names(rows, places or {})
    files = _files(rows)
    titles = position_titles()
    return [_card(row, names, files, titles, places, may) for row in rows]


def _card(
    row: Approval,
    names: Mapping[int, str],
    files: Mapping[int, list[Attachment]],
    titles: Mapping[str, str],
    places: Mapping[int, int] | None,
    ask: bool,
) -> Card:
    decides, place, passes = places is not None, (places or {}).get(row.id), True
    if ask:
        decides, place, passes = _rights(row)
    unit = g.actor.unit(row.unit_id) if g.actor else None
    sees = row.record is not None and (may("case.view", row.unit_id) or row.record.assignee_id == g.actor.id)
    papers = files.get(row.record_id or 0, []) if may("attachment.view", row.unit_id) else []
    return Card(
        row,
        title_of(row),
        names.get(row.user_id, "—") if row.user_id else titles.get(row.position, row.position),
        state_badge(row),
        (names.get(place) or _name(place)) if place else "",
        facts_of(row),
        papers,
        url_for("record.page", record_id=row.record_id) if sees else "",
        approvals.bounds_of(row),
        decides and row.state == WAITING,
        passes and row.state == WAITING,
        row.asked_by == g.actor.id and row.state in approvals.OPEN_STATES,
        _unit_name(unit) if unit is not None and unit.id != g.unit.id else "",
        (row.data.get("evidence") or {}).get("id"),
    )


def _rights(row: Approval) -> tuple[bool, int | None, bool]:
    powers = approvers.powers_of(g.actor.id, g.actor.positions)
    allowed, place = approvers.right(row, powers)
    return allowed, place, allowed or approvals.may_pass_on(row, powers)


def _unit_name(unit: Any) -> str:
    return str(unit.name_en if current_locale() == "en" and unit.name_en else unit.name)


def _names(rows: Sequence[Approval], places: Mapping[int, int]) -> dict[int, str]:
    ids = {row.user_id for row in rows if row.user_id} | set(places.values())
    if not ids:
        return {}
    found = session().execute(select(User.id, User.name).where(User.id.in_(ids)))
    return {row.id: row.name for row in found}


def _name(user_id: int) -> str:
    return session().scalar(select(User.name).where(User.id == user_id)) or "—"


def _files(rows: Sequence[Approval]) -> dict[int, list[Attachment]]:
    ids = {row.record_id for row in rows if row.record_id}
    found: dict[int, list[Attachment]] = defaultdict(list)
    if ids:
        papers = select(Attachment).where(Attachment.record_id.in_(ids)).order_by(Attachment.id)
        for one in session().scalars(papers):
            found[one.record_id].append(one)
    return found


def position_titles() -> dict[str, str]:
    """Return the titles of all positions in the reader's language, by code; read once in a request."""
    if "position_titles" not in g:
        g.position_titles = {one.code: position_title(one) for one in session().scalars(select(Position))}
    titles: dict[str, str] = g.position_titles
    return titles


# --- words -----------------------------------------------------------------------------------------


def title_of(row: Approval) -> str:
    """Return what is asked for, in the reader's language where it was told in both."""
    words = row.data.get("title")
    return said(words) if isinstance(words, dict) and words else row.title


def state_words(row: Approval) -> Any:
    """Name an approval's state."""
    return STATE_WORDS[row.state]


def state_badge(row: Approval) -> tuple[Any, str]:
    """Return (label, tone) of an approval's state."""
    return state_words(row), TONES.get(row.state, "neutral")


def wanted_of(row: Approval) -> str:
    """Name the position an approval waits for."""
    return position_titles().get(row.position, row.position)


def page_of(row: Approval) -> str:
    """Return the address of an approval's page."""
    return url_for("approvals.page", approval_id=row.id)


def money_words(amount: Decimal | None) -> str:
    """Say an amount in yuan, '' for none."""
    return money(amount)


def moment_words(moment: datetime | None) -> Any:
    """Say a moment in the unit's zone, '' for none."""
    return localtime(moment) if moment else ""


_LABELS: Mapping[str, Any] = {
    "due": _l("Deadline"),
    "late_days": _l("Days late"),
    "starts_on": _l("Holds from"),
    "holds": _l("The clause"),
}


def facts_of(row: Approval) -> list[tuple[Any, Any]]:
    """Return what else the decider should know, as (label, value): known words of ``data``, and parameters."""
    data = row.data
    found: list[tuple[Any, Any]] = []
    for name, label in _LABELS.items():
        if data.get(name) is not None:
            found.append((label, _value(name, data[name])))
    found += [(_label(one), one.get("value")) for one in data.get("facts", ()) if isinstance(one, dict)]
    return found + _parameters(row)


def _label(one: Mapping[str, Any]) -> str:
    label = one.get("label", "")
    return said(label) if isinstance(label, dict) else str(label)


def _value(name: str, value: Any) -> Any:
    if name == "due":
        return moment_words(datetime.fromisoformat(value))
    if name == "holds":
        return _("On") if value else _("Off")
    return value


def _parameters(row: Approval) -> list[tuple[Any, Any]]:
    """Say the parameters a clause setting would change: "old → new"."""
    values = row.data.get("values")
    clause = known_clause(row.clause)
    if not isinstance(values, dict) or clause is None:
        return []
    now = effective(row.unit_id, clause).values
    found: list[tuple[Any, Any]] = []
    for one in clause.parameters:
        if one.name in values:
            words = [said_value(one, value, position_titles()) for value in (now[one.name], values[one.name])]
            found.append((said(one.title), " → ".join(words)))
    return found


def steps(row: Approval) -> list[StepLine]:
    """Return every step taken with an approval, in words."""
    titles = position_titles()
    return [
        StepLine(
            one,
            approvals.STEP_WORDS.get(one.name, one.name),
            STEP_TONES.get(one.name, ""),
            one.actor.name if one.actor else _("System"),
            _to(one, titles),
            one.to_user.name if one.to_user and one.name in (AGREED, REJECTED) else "",
            one.reason,
        )
        for one in approvals.steps_of(row)
    ]


def _to(one: ApprovalStep, titles: Mapping[str, str]) -> str:
    if one.name not in (approvals.ASKED, approvals.PASSED):
        return ""
    return one.to_user.name if one.to_user else titles.get(one.to_position, one.to_position)


# --- counting and lists ----------------------------------------------------------------------------


def waiting_count() -> int:
    """Count what waits for the signed-in person, for menu and first page; worked out once in a request."""
    if g.get("actor") is None or g.get("unit") is None:
        return 0
    if "approvals_waiting" not in g:
        g.approvals_waiting = approvals.count_inbox(g.actor.id, g.actor.positions, MOST_COUNTED)
    count: int = g.approvals_waiting
    return count


def with_people() -> Select[Any]:
    """Return the select of the list of all approvals, with the people it names."""
    return select(Approval).options(joinedload(Approval.asker), joinedload(Approval.decider))


def delegations(*, everybody: bool) -> list[tuple[Delegation, bool, bool]]:
    """Return the delegations of the unit that have not passed, as (row, holds today, may be ended by the actor)."""
    today = approvers.local_day(g.unit.id)
    me = g.actor.id
    found = (
        select(Delegation)
        .where(Delegation.unit_id == g.unit.id, Delegation.last_day >= today, Delegation.ended_at.is_(None))
        .options(joinedload(Delegation.from_user), joinedload(Delegation.to_user))
        .order_by(Delegation.first_day, Delegation.id)
    )
    if not everybody:
        found = found.where(or_(Delegation.from_user_id == me, Delegation.to_user_id == me))
    return [(row, approvers.holds_today(row), True) for row in session().scalars(found)]
