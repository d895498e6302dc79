"""Charges: who owes what for a record, under which clause, worked out from what. Plugins compute, the core keeps.

A line is worked out once however often it is tried (record, source, line). Until it is posted it may be amended;
a posted line never changes again: what turns out different goes as an adjusting line, which names the one it
corrects, into the month that is open. The lines that are not void always add up to what is payable.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from flask_babel import force_locale
from flask_babel import lazy_gettext as _l
from sqlalchemy import BigInteger, cast, event, func, inspect, select

from core.kernel import clock
from core.kernel.access import require
from core.kernel.audit import plain
from core.kernel.database import current_scope, fetch, session, transaction
from core.kernel.errors import Conflict, InvalidData, Refusal, Refused
from core.kernel.hooks import hooks_for
from core.kernel.i18n import LOCALES, current_locale
from core.records.engine import Step, lock
from core.records.models import Record
from core.units.facts import local_day
from core.units.models import Unit
from core.units.switches import enabled_plugins

from . import approvals
from .approval_models import AGREED, Approval
from .charge_models import (
    CHARGE_WORDS,
    CONSENTED,
    CUSTOMER,
    EMPLOYEE,
    PAYERS,
    POSTED,
    PROPOSED,
    QUOTED,
    SETTLED,
    VOID,
    WAIVED,
    Charge,
    ClosedMonth,
)
from .effective import Effective, effective
from .kinds import FeeRule, Line
from .money import MOST_PRICE, MOST_QUANTITY, ZERO, exact, number, times
from .registry import current_rules
from .rulebook import current_rulebook

VIEW, HANDLE = "charge.view", "charge.handle"
SUBJECT = "charge"
WAIVER_POSITION = "waiver_position"
ADJUSTMENT, WAIVER = "adjusts:", "waiver:"  # how the source of a line begins that corrects or waives another
MONTH = re.compile(r"^[0-9]{4}-(0[1-9]|1[0-2])$")
# Whoever pays out of their own pocket agrees first.
ASKED_FIRST = (CUSTOMER, EMPLOYEE)
FIXED = (POSTED, SETTLED)
# Of a line in one of these, nothing that makes up its sum may change any more.
_FROZEN_COLUMNS = ("amount", "payer", "payer_ref", "quantity", "price", "month", "record_id", "clause", "code")


@dataclass(frozen=True)
class Move:
    """One step in the life of a charge."""

    name: str
    label: Any
    sources: tuple[str, ...]
    target: str
    needs_reason: bool = False


MOVES: Mapping[str, Move] = {
    one.name: one
    for one in (
        Move("quote", _l("Quote"), (PROPOSED,), QUOTED),
        Move("consent", _l("Record consent"), (QUOTED,), CONSENTED),
        Move("post", _l("Post"), (PROPOSED, QUOTED, CONSENTED), POSTED),
        Move("settle", _l("Settle"), (POSTED,), SETTLED),
        Move("void", _l("Void"), (PROPOSED, QUOTED, CONSENTED, WAIVED), VOID, needs_reason=True),
    )
}
WAIVABLE = (PROPOSED, QUOTED, CONSENTED, POSTED)


@dataclass(frozen=True)
class Total:
    """What one payer owes: charged less waived is payable; of that, settled."""

    payer: str
    charged: Decimal = ZERO
    waived: Decimal = ZERO
    settled: Decimal = ZERO

    @property
    def payable(self) -> Decimal:
        return self.charged - self.waived

    @property
    def left(self) -> Decimal:
        """What is still to be settled."""
        return self.payable - self.settled


# --- working out ---------------------------------------------------------------------------------


def carry_out(step: Step) -> None:
    """Propose what the fee rules of a step work out (a port of the records room, inside the transaction)."""
    name = f"{step.record.type}.{step.transition.name}"
    rules = [r for r in current_rules().of(FeeRule, enabled_plugins(step.record.unit_id)) if r.step == name]
    gone = set()
    for rule in rules:
        found = effective(step.record.unit_id, rule.clause, step.at)
        source = source_of(name, rule.clause)
        if not found.holds:
            gone.add(source)
            continue
        if rule.each:
            source = f"{source}:{step.facts[0].id}"
        kept = {"rule": rule.version, "fact": step.facts[0].id}
        _propose(step.record, found, source, rule.lines(step, found.values), kept)
    if gone:
        _take_back_all(step.record, gone)


def source_of(step: str, clause: str) -> str:
    """Name what a clause's fee rule works out at a step: several clauses may bring money at the same one."""
    return f"{step}#{clause}"


def _take_back_all(record: Record, sources: set[str]) -> None:
    """A clause that no longer holds asks for nothing more."""
    held = select(Charge).where(Charge.record_id == record.id, Charge.state != VOID, Charge.adjusts_id.is_(None))
    for row in session().scalars(held.where(Charge.source.in_(sources))):
        _take_back(row)


def propose(
    record: Record,
    clause: str,
    source: str,
    lines: Iterable[Line],
    inputs: Mapping[str, Any] | None = None,
    *,
    at: datetime | None = None,
) -> list[Charge]:
    """Keep the lines of money that ``source`` works out for a record under a clause; return them, void ones too.

    ``lines`` are all of that source, in a fixed order; ``inputs`` is what they were worked out from; ``at`` the
    moment whose clause settings count (default: now). Again with the same, nothing happens. With other amounts, an
    open line is amended (one already consented to is asked about anew) and a posted one gets an adjusting line. A
    line that is not among them any more is taken back. A line that a person voided stays void. Where the clause
    does not hold, nothing is proposed. It asks no permission: the step that brings the money about did.

    Raises:
        InvalidData: an amount no account holds, an unknown payer.
        LookupError: no such clause.
    """
    with transaction():
        lock(record.id)
        found = effective(record.unit_id, clause, at)
        return _propose(record, found, source, lines, inputs or {}) if found.holds else []


def take_back(record: Record, source: str) -> None:
    """Take back what ``source`` asked for of a record, whether its clause holds (still) or not.

    Open lines become void, posted ones get an adjusting line. For services that asked for their own permission.
    """
    with transaction():
        lock(record.id)
        _take_back_all(record, {source})
        session().flush()


def _propose(
    record: Record, found: Effective, source: str, lines: Iterable[Line], inputs: Mapping[str, Any]
) -> list[Charge]:
    work = session()
    mine = select(Charge).where(Charge.record_id == record.id, Charge.source == source).order_by(Charge.line)
    held = {row.line: row for row in work.scalars(mine)}
    rows = []
    for place, one in enumerate(lines, 1):
        wanted = _columns(one)
        kept = {**_kept(found, inputs), **wanted.pop("words")}
        row = held.pop(place, None)
        if row is None:
            row = _new(record, found.clause.id, source, place, {**wanted, "inputs": kept})
        else:
            _bring_to(row, wanted, kept)
        rows.append(row)
    for row in held.values():
        _take_back(row)
        rows.append(row)
    work.flush()
    return rows


def _kept(found: Effective, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what explains a line later: the clause's values, the versions that set them, and its own inputs."""
    return {
        "values": {name: plain(value) for name, value in found.values.items()},
        "settings": list(found.versions),
        "schema": found.clause.schema,
        "given": plain(dict(inputs)),
    }


def _columns(one: Line) -> dict[str, Any]:
    """Check a line and return it as columns; ``words`` is its label in both languages."""
    if one.payer not in dict(PAYERS):
        raise InvalidData({"payer": _l("Please choose one of the list")})
    quantity = number(one.quantity, "quantity", most=MOST_QUANTITY, places=3)
    price = number(one.price, "price", most=MOST_PRICE, places=4)
    if quantity < 0 or price < 0:
        raise InvalidData({"price": _l("A charge is never negative; correct or waive it instead")})
    words = both_languages(one.label)
    return {
        "code": one.code[:40],
        "label": words["zh"][:200],
        "payer": one.payer,
        "payer_ref": one.payer_ref[:60],
        "quantity": quantity,
        "price": price,
        "amount": times(quantity, price),
        "words": {"label": words},
    }


def both_languages(label: Any) -> dict[str, str]:
    """Return a label, given as words by language or as text still to be translated, in every language."""
    if isinstance(label, Mapping):
        return {code: str(label.get(code) or label["zh"]) for code in LOCALES}
    found = {}
    for code, locale in LOCALES.items():
        with force_locale(locale):
            found[code] = str(label)
    return found


def label_of(charge: Charge) -> str:
    """Name a charge in the reader's language."""
    words: Mapping[str, str] = charge.inputs.get("label", {})
    return words.get(current_locale()) or charge.label


def _new(record: Record, clause: str, source: str, place: int, columns: Mapping[str, Any]) -> Charge:
    row = Charge(
        unit_id=record.unit_id,
        record_id=record.id,
        clause=clause,
        source=source,
        line=place,
        created_at=clock.now(),
        created_by=current_scope().actor_id,
        **{"state": PROPOSED, **columns},
    )
    session().add(row)
    return row


def _bring_to(row: Charge, wanted: Mapping[str, Any], kept: Mapping[str, Any]) -> None:
    """Let a line say what is worked out now."""
    if row.state == VOID:
        if row.reason:  # a person's decision, which stands
            return
        row.state = PROPOSED
    if row.state in FIXED:
        _adjust(row, {(wanted["payer"], wanted["payer_ref"]): wanted["amount"]}, wanted, kept)
        return
    if not _set(row, wanted):
        return
    row.inputs = dict(kept)
    if row.state == CONSENTED:
        _state(row, QUOTED)
    _trim_waiver(row)


def _set(row: Charge, wanted: Mapping[str, Any]) -> bool:
    changed = [name for name, value in wanted.items() if getattr(row, name) != value]
    for name in changed:
        setattr(row, name, wanted[name])
    return bool(changed)


def _take_back(row: Charge) -> None:
    """The rule does not ask for this line any more: void without a reason, so that it may come back."""
    if row.state == VOID:
        return
    if row.state in FIXED:
        _adjust(row, {}, {}, row.inputs)
    else:
        _state(row, VOID)


# --- what belongs to a line ------------------------------------------------------------------------


def parts_of(row: Charge) -> list[Charge]:
    """Return the lines that correct or waive a line, oldest first."""
    session().flush()
    return list(session().scalars(select(Charge).where(Charge.adjusts_id == row.id).order_by(Charge.id)))


def is_waiver(row: Charge) -> bool:
    """Tell whether a line waives another."""
    return row.source.startswith(WAIVER)


def _standing(row: Charge) -> list[Charge]:
    return [one for one in (row, *parts_of(row)) if one.state != VOID]


def payable_of(row: Charge) -> Decimal:
    """Return what a line comes to with everything that corrects or waives it."""
    return sum((one.amount for one in _standing(row)), ZERO)


def _state(row: Charge, state: str) -> None:
    """Bring a line into a state, and with it those parts of it that stand where it stands."""
    before, month = row.state, _posting_month(row.unit_id) if state == POSTED else row.month
    for one in (row, *parts_of(row)):
        if one is row or one.state == before:
            one.state = state
            if state == POSTED:
                one.month, one.posted_at = month, clock.now()


def _add_part(row: Charge, mark: str, columns: Mapping[str, Any]) -> Charge:
    source = f"{mark}{row.id}"
    place = sum(one.source == source for one in parts_of(row)) + 1
    record = session().get_one(Record, row.record_id)
    made = {
        "code": row.code,
        "label": row.label,
        "payer": row.payer,
        "payer_ref": row.payer_ref,
        "state": row.state,
        "inputs": dict(row.inputs),
        "adjusts_id": row.id,
        **columns,
    }
    made["price"] = made["amount"]  # a sum, counted once
    made["posted_at"] = clock.now() if made["state"] in FIXED else None
    return _new(record, row.clause, source, place, made)


def _adjust(
    row: Charge,
    wanted: Mapping[tuple[str, str], Decimal],
    columns: Mapping[str, Any],
    kept: Mapping[str, Any],
    reason: str = "",
) -> None:
    """Bring a posted line to other amounts (by payer and their key) by adjusting lines in the open month."""
    now: dict[tuple[str, str], Decimal] = {}
    for one in _standing(row):
        if not is_waiver(one):
            key = (one.payer, one.payer_ref)
            now[key] = now.get(key, ZERO) + one.amount
    for key in {**now, **wanted}:
        missing = wanted.get(key, ZERO) - now.get(key, ZERO)
        if missing < 0:
            _ask_lowering(row, -missing)
        if missing:
            named = {name: columns[name] for name in ("code", "label") if name in columns}
            part = {"payer": key[0], "payer_ref": key[1], "amount": missing, "reason": reason, "inputs": dict(kept)}
            _add_part(row, ADJUSTMENT, {**named, **part, "state": POSTED, "month": _posting_month(row.unit_id)})
    session().flush()
    _trim_waiver(row)


def _ask_lowering(row: Charge, amount: Decimal, *, waived: bool = False) -> None:
    """Let the unit's plugins speak before a posted line comes to less, or any is waived (it was invoiced, say).

    Raises:
        Refused: with every reason.
    """
    asked = hooks_for(enabled_plugins(row.unit_id)).charge_lowering(charge=row, amount=amount, waived=waived)
    against = [Refusal("charge", blocker.reason, row.clause) for _plugin, found in asked for blocker in found]
    if against:
        raise Refused(against)


def _tell_changed(row: Charge) -> None:
    """Let the unit's plugins follow what became of a line."""
    hooks_for(enabled_plugins(row.unit_id)).charge_changed(charge=row)


def _trim_waiver(row: Charge) -> None:
    """Waived is never more than charged; nobody is owed money because of a waiver."""
    waivers = [one for one in _standing(row) if is_waiver(one)]
    if not waivers:
        return
    too_much = -payable_of(row)
    if too_much > 0 and row.state in FIXED:
        last = waivers[-1]
        extra = {"payer": last.payer, "payer_ref": last.payer_ref, "amount": too_much, "inputs": last.inputs}
        _add_part(
            row, WAIVER, {**extra, "label": last.label, "state": POSTED, "month": _posting_month(row.unit_id)}
        )
        return
    for one in reversed(waivers):
        if too_much > 0 and row.state not in FIXED:
            less = min(too_much, -one.amount)
            one.amount += less
            one.price = one.amount
            too_much -= less
    if row.state not in FIXED:
        session().flush()
        waived = payable_of(row) == 0
        if waived != (row.state == WAIVED):
            _state(row, WAIVED if waived else PROPOSED)


# --- steps ---------------------------------------------------------------------------------------


def moves_of(row: Charge) -> list[Move]:
    """Return the steps a person may take with a line now; writes nothing."""
    return [one for one in MOVES.values() if not _against(row, one) and not _moving_against(row, one)]


def _moving_against(row: Charge, step: Move) -> list[Refusal]:
    """Return what the unit's plugins have against a step with this line alone."""
    asked = hooks_for(enabled_plugins(row.unit_id)).charge_moving(charge=row, step=step.name)
    return [Refusal(step.name, blocker.reason, row.clause) for _plugin, found in asked for blocker in found]


def may_waive(row: Charge) -> bool:
    """Tell whether something of a line can be waived."""
    return row.adjusts_id is None and row.state in WAIVABLE and row.amount > 0


def move(charge_id: object, name: str, reason: str = "", *, version: int | None = None) -> Charge:
    """Take a step with one line; its waivers and corrections go with it.

    Raises:
        NotFound, NotAllowed: no such line here, or not for this actor.
        InvalidData: no such step, or it needs a reason.
        Refused: not possible in its state, naming the line's clause.
        Conflict: somebody changed it since ``version``.
    """
    with transaction():
        row = _locked(charge_id, version)
        step = MOVES.get(name)
        if step is None:
            raise InvalidData({"step": _l("Please choose one of the list")})
        if step.needs_reason and not reason.strip():
            raise InvalidData({"reason": _l("Please fill this in")})
        if not _against(row, step) and (against := _moving_against(row, step)):
            raise Refused(against)
        _take(row, step, reason.strip())
        session().flush()
        _tell_changed(row)
        return row


def advance(record: Record, name: str, source: str = "") -> list[Charge]:
    """Take a step with every line of a record (of one ``source``) that can take it; return those that did.

    For services and steps of plugins, which have asked for their own permission.
    """
    with transaction():
        lock(record.id)
        mine = select(Charge).where(Charge.record_id == record.id).order_by(Charge.id)
        rows = session().scalars(mine.where(Charge.source == source) if source else mine).all()
        moved = [row for row in rows if row.adjusts_id is None and not _against(row, MOVES[name])]
        for row in moved:
            _take(row, MOVES[name])
        session().flush()
        return moved


def settle(row: Charge, *, alone: bool = False) -> None:
    """Settle a posted line with its waivers and corrections. For services that have locked its record.

    ``alone``: not what corrects it, which somebody settles by itself.
    """
    _open_or_settle(row, POSTED, SETTLED, alone)


def unsettle(row: Charge, *, alone: bool = False) -> None:
    """Open a settled line again: what paid it was taken back. For services that have locked its record."""
    _open_or_settle(row, SETTLED, POSTED, alone)


def ask_anew(rows: Iterable[Charge]) -> None:
    """Take back the consent to lines, parts and all. For services that have locked their record."""
    for row in list(rows):
        if row.state == CONSENTED and row.adjusts_id is None:
            _state(row, QUOTED)
    session().flush()


def _open_or_settle(row: Charge, before: str, after: str, alone: bool) -> None:
    for one in (row, *(() if alone else parts_of(row))):
        if one.state == before:
            one.state = after
    session().flush()


def _locked(charge_id: object, version: int | None = None) -> Charge:
    """Read a line for changing it, its record locked, so that nobody else works on it meanwhile."""
    row = fetch(Charge, charge_id)
    require(HANDLE, row.unit_id)
    lock(row.record_id)
    session().refresh(row)
    if version is not None and version != row.version:
        raise Conflict()
    return row


def _take(row: Charge, step: Move, reason: str = "") -> None:
    against = _against(row, step)
    if against:
        raise Refused([Refusal("charge", against, row.clause)])
    if step.needs_reason:
        row.reason = reason
    _state(row, step.target)


def _against(row: Charge, step: Move) -> Any:
    """Return why a line cannot take a step now, or ''."""
    if row.state not in step.sources:
        return _l("Not possible while the state is “%(state)s”", state=state_label(row.state))
    if row.adjusts_id is not None and step.target != SETTLED:
        return _l("This line goes with the one it adjusts")
    if step.target == POSTED and row.payer in ASKED_FIRST and row.state != CONSENTED and row.amount:
        return _l("Whoever pays has not consented yet")
    return ""


def state_label(state: str) -> Any:
    """Name a state of charges."""
    return dict(CHARGE_WORDS).get(state, state)


# --- waiving and correcting ------------------------------------------------------------------------


def waive(
    charge_id: object,
    reason: str,
    amount: Any = None,
    *,
    approval_id: int | None = None,
    version: int | None = None,
) -> Charge:
    """Waive a line, or ``amount`` of it, by a line of the negative amount: the charge stays visible.

    ``approval_id``: the approval that allows it, where the clause asks for one (``waiver_position``).

    Raises:
        InvalidData: no reason, or an amount that is not inside what is payable.
        Refused: not possible in its state, or the clause's position has not agreed.
    """
    with transaction():
        row = _locked(charge_id, version)
        _check_approval(row, check_waiver(row, reason, amount)[1], approval_id)
        return waived(row, reason, amount, approval_id=approval_id)


def _check_approval(row: Charge, wanted: Decimal, approval_id: int | None) -> None:
    """Whoever's agreement the clause wants, has given it for this record, for as much, and it is unused."""
    if not waiver_position(row):
        return
    found = session().get(Approval, approval_id) if approval_id else None
    if (
        found is None
        or (found.state, found.record_id, found.clause) != (AGREED, row.record_id, row.clause)
        or (found.amount is not None and found.amount < wanted)
        or session().scalar(select(Charge.id).where(Charge.approval_id == found.id).limit(1)) is not None
    ):
        raise Refused([Refusal("approval", _l("A waiver needs an approval first"), row.clause)])


def waived(row: Charge, reason: str, amount: Any = None, *, approval_id: int | None = None) -> Charge:
    """As ``waive``, for services and approvals that have asked for their own permission; the record is locked."""
    most, given = check_waiver(row, reason, amount)
    payer = next(one for one in reversed(_standing(row)) if not is_waiver(one) and one.amount > 0)
    words = {"zh": f"减免：{row.label}", "en": f"Waived: {_english(row)}"}
    posted = row.state in FIXED
    _ask_lowering(row, given, waived=True)
    line = _add_part(
        row,
        WAIVER,
        {
            "amount": -given,
            "label": words["zh"][:200],
            "payer": payer.payer,
            "payer_ref": payer.payer_ref,
            "reason": reason.strip(),
            "approval_id": approval_id,
            "inputs": {**row.inputs, "label": words},
            "month": _posting_month(row.unit_id) if posted else "",
        },
    )
    session().flush()
    if not posted and given == most:
        _state(row, WAIVED)
        session().flush()
    _tell_changed(row)
    return line


def waiver_position(row: Charge) -> str:
    """Return the position that must agree to a waiver, '' where the clause (``waiver_position``) names none."""
    if row.clause not in current_rulebook().clauses:  # its plugin is gone; the line outlives it
        return ""
    return str(effective(row.unit_id, row.clause).values.get(WAIVER_POSITION) or "")


def ask_waiver(
    charge_id: object, reason: str, amount: Any = None, *, version: int | None = None
) -> Approval | None:
    """Waive a line, or ask the position that its clause names for it; return what was asked, None when done.

    Raises: as ``waive``.
    """
    with transaction():
        row = _locked(charge_id, version)
        _most, given = check_waiver(row, reason, amount)
        position = waiver_position(row)
        if not position:
            waived(row, reason, given)
            return None
        _ask_lowering(row, given, waived=True)  # nobody is asked for what cannot be done
        words = row.inputs.get("label", {})
        return approvals.ask(
            row.unit_id,
            clause=row.clause,
            subject=f"{SUBJECT}:{row.id}",
            title={"zh": f"费用减免：{row.label}", "en": f"Waiver: {words.get('en', row.label)}"},
            position=position,
            reason=reason,
            amount=given,
            record=session().get_one(Record, row.record_id),
        )


def waiver_decided(approval: Approval) -> None:
    """Waive what was agreed to (a handler of approvals)."""
    if approval.state != AGREED:
        return
    row = fetch(Charge, approval.subject.partition(":")[2])
    lock(row.record_id)
    session().refresh(row)
    waived(row, approval.reason, approval.amount, approval_id=approval.id)


def check_waiver(row: Charge, reason: str, amount: Any = None) -> tuple[Decimal, Decimal]:
    """Pass if this may be waived; return (payable, what is to be waived).

    Raises:
        InvalidData: no reason, or an amount that is not inside what is payable.
        Refused: not possible in its state.
    """
    if not reason.strip():
        raise InvalidData({"reason": _l("Please fill this in")})
    if row.adjusts_id is not None:
        raise Refused([Refusal("charge", _l("This line goes with the one it adjusts"), row.clause)])
    if row.state not in WAIVABLE:
        text = _l("Not possible while the state is “%(state)s”", state=state_label(row.state))
        raise Refused([Refusal("charge", text, row.clause)])
    most = payable_of(row)
    given = most if amount is None else exact(amount)
    if most <= 0:
        raise Refused([Refusal("charge", _l("Nothing of this is payable"), row.clause)])
    if not 0 < given <= most:
        raise InvalidData({"amount": _l("Between 0.01 and %(most)s", most=most)})
    return most, given


def _english(row: Charge) -> str:
    words: Mapping[str, str] = row.inputs.get("label", {})
    return words.get("en") or row.label


def adjust(charge_id: object, amount: Any, reason: str, *, version: int | None = None) -> Charge:
    """Correct a posted line to what it should have come to, by an adjusting line in the open month.

    Raises:
        InvalidData: no reason, or no amount from zero up.
        Refused: the line is not posted; it can be amended or voided instead.
    """
    with transaction():
        row = _locked(charge_id, version)
        right = exact(amount)
        if not reason.strip():
            raise InvalidData({"reason": _l("Please fill this in")})
        if right < 0:
            raise InvalidData({"amount": _l("At least %(number)s", number=0)})
        if row.adjusts_id is not None or row.state not in FIXED:
            raise Refused([Refusal("charge", _l("Only a posted line is corrected by another line"), row.clause)])
        _adjust(row, {(row.payer, row.payer_ref): right}, {}, row.inputs, reason.strip())
        session().flush()
        _tell_changed(row)
        return row


def correct(row: Charge, change: Decimal, reason: str) -> Charge | None:
    """Change by ``change`` (yuan) what the payer of a posted line owes, by an adjusting line in the open month.

    Unlike ``adjust`` it takes an adjusting line too, and leaves alone what other payers owe for the same thing. For
    services that have asked for their own permission and locked the record. None: nothing changes.

    Raises:
        InvalidData: no reason, more taken off than is owed, or an amount that no account holds.
        Refused: the line is not posted, or a plugin has something against it.
    """
    if not reason.strip():
        raise InvalidData({"reason": _l("Please fill this in")})
    base = row if row.adjusts_id is None else session().get_one(Charge, row.adjusts_id)
    if base.state not in FIXED:
        raise Refused([Refusal("charge", _l("Only a posted line is corrected by another line"), row.clause)])
    wanted: dict[tuple[str, str], Decimal] = {(row.payer, row.payer_ref): exact(change)}
    for one in _standing(base):
        if not is_waiver(one):
            key = (one.payer, one.payer_ref)
            wanted[key] = wanted.get(key, ZERO) + one.amount
    if wanted[(row.payer, row.payer_ref)] < 0:
        raise InvalidData({"amount": _l("At least %(number)s", number=0)})
    if not change:
        return None
    _adjust(base, wanted, {}, base.inputs, reason.strip())
    session().flush()
    _tell_changed(base)
    return next(one for one in reversed(parts_of(base)) if not is_waiver(one))


# --- months --------------------------------------------------------------------------------------


def closed_until(unit_id: int) -> str:
    """Return the last month that is closed, '' where none is; all before it are closed with it."""
    return session().scalar(select(func.max(ClosedMonth.month)).where(ClosedMonth.unit_id == unit_id)) or ""


def open_month(unit_id: int) -> str:
    """Return the month that lines are posted in now: the present one, or the first after those closed."""
    present = local_day(unit_id).strftime("%Y-%m")
    last = closed_until(unit_id)
    return present if last < present else _next(last)


def _posting_month(unit_id: int) -> str:
    """As ``open_month``; until the transaction ends nobody can close it."""
    session().execute(select(Unit.id).where(Unit.id == unit_id).with_for_update(read=True))
    return open_month(unit_id)


def _next(month: str) -> str:
    year, number_ = int(month[:4]), int(month[5:])
    return f"{year + number_ // 12:04d}-{number_ % 12 + 1:02d}"


def close_month(unit_id: int, month: str) -> ClosedMonth:
    """Close a month of a unit's charges, and with it every one before; there is no way back.

    Raises:
        NotAllowed: the actor does not work on charges here.
        InvalidData: no month, one still to come, or one closed already.
    """
    require(HANDLE, unit_id)
    if not MONTH.match(month):
        raise InvalidData({"month": _l("Please enter a month such as 2026-01")})
    with transaction() as work:
        work.execute(select(Unit.id).where(Unit.id == unit_id).with_for_update())
        if month > local_day(unit_id).strftime("%Y-%m"):
            raise InvalidData({"month": _l("This month has not begun yet")})
        if month <= closed_until(unit_id):
            raise InvalidData({"month": _l("This month is closed already")})
        row = ClosedMonth(unit_id=unit_id, month=month, closed_at=clock.now(), closed_by=current_scope().actor_id)
        work.add(row)
        work.flush()
        return row


# --- sums ----------------------------------------------------------------------------------------


def totals(record_id: int) -> list[Total]:
    """Return what each payer owes for a record, in the order of ``PAYERS``."""
    rows = session().scalars(select(Charge).where(Charge.record_id == record_id))
    return totals_of(rows)


def totals_of(rows: Iterable[Charge]) -> list[Total]:
    """Add up lines by payer; void ones count nothing."""
    found: dict[str, Total] = {}
    for one in rows:
        if one.state == VOID:
            continue
        held = found.get(one.payer, Total(one.payer))
        found[one.payer] = Total(
            one.payer,
            held.charged + (ZERO if is_waiver(one) else one.amount),
            held.waived - (one.amount if is_waiver(one) else ZERO),
            held.settled + (one.amount if one.state == SETTLED else ZERO),
        )
    return [found[code] for code, _ in PAYERS if code in found]


def month_totals(unit_id: int, month: str) -> dict[str, Decimal]:
    """Return what was posted in a month, by payer: charges, adjustments and waivers together."""
    # Whole cents, since one of the databases would add fractions as floating point.
    cents = func.sum(cast(func.round(Charge.amount * 100), BigInteger))
    rows = session().execute(
        select(Charge.payer, cents)
        .where(Charge.unit_id == unit_id, Charge.month == month, Charge.state.in_(FIXED))
        .group_by(Charge.payer)
    )
    return {payer: Decimal(int(total)).scaleb(-2) for payer, total in rows}


def lines_of(record_id: int) -> Sequence[Charge]:
    """Return the lines of a record, each followed by those that correct or waive it."""
    rows = session().scalars(select(Charge).where(Charge.record_id == record_id).order_by(Charge.id)).all()
    return sorted(rows, key=lambda one: (one.adjusts_id or one.id, one.id))


# --- what never changes ----------------------------------------------------------------------------


@event.listens_for(Charge, "before_update")
def _keep_posted(_mapper: object, _connection: object, row: Charge) -> None:
    """A posted line is evidence: whoever would change it makes a mistake in the program.

    Raises:
        RuntimeError: a column that makes up its sum has changed.
    """
    state: Any = inspect(row)
    before = state.attrs.state.history.deleted or [row.state]
    if before[0] not in FIXED:
        return
    wrong = [name for name in _FROZEN_COLUMNS if state.attrs[name].history.has_changes()]
    if wrong or row.state not in FIXED:
        raise RuntimeError(f"charge {row.id} is posted and never changes ({', '.join(wrong) or row.state})")
