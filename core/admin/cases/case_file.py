"""What a case file says, in the words of the screens: plain JSON in the language of the print.

Everything is read in a fixed number of statements, however long the case was. Contact data are masked, identity
numbers anywhere; what is said of staff (penalty proposals, charges to employees) stays out, since the paper becomes
a file of the case.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from core.admin import money_words
from core.admin.clauses import said
from core.admin.format import money
from core.cases.models import Case
from core.customers.identity import mask_address, mask_name, mask_phone
from core.documents import case_file
from core.documents.services import KIND, PERSONAL
from core.documents.typeset import missing_characters
from core.kernel.access import may
from core.kernel.database import session
from core.kernel.extensions import PrintForm
from core.kernel.i18n import current_locale, speaking
from core.records.attachments import attachments_of
from core.records.engine import detail_of, unit_zone
from core.records.models import Attachment, Fact, Record, RefusalLog
from core.records.workflow import FactKind
from core.rules import approvals, charges
from core.rules.approval_models import STATE_WORDS, Approval, ApprovalStep
from core.rules.approvers import ALL
from core.rules.charge_models import EMPLOYEE
from core.rules.obligation_models import Obligation
from core.rules.rulebook import current_rulebook
from core.users.models import User
from core.users.positions import POSITIONS

from . import words
from .deadlines import MOST as MOST_DEADLINES
from .deadlines import Line, deadlines_of
from .details import pairs_of
from .page import LATE, flow_words, timeline

MOST_FACTS = 3000
MOST_REFUSALS = 300
COMMENT = "comment"
Rows = list[dict[str, Any]]


def tell(record: Record) -> dict[str, Any]:
    """Return what the case file of a case says (``PrintForm.data``)."""
    # The rulebook's words and the names of units and positions follow this, not gettext's language alone.
    with speaking("en" if str(get_locale()).startswith("en") else "zh"):
        return _told(record)


def _told(record: Record) -> dict[str, Any]:
    teller = _Teller(record)
    own = case_file.own_papers(record.id)
    files = [one for one in attachments_of(record.id) if one.id not in own]
    # Issued papers show in full what is masked here: they are added by, and then kept for, those who may see that.
    in_full = may(PERSONAL, record.unit_id)
    appendix = case_file.appendix([one for one in files if in_full or one.kind != KIND])
    added = {one["attachment"] for one in appendix}
    told = {
        "record_id": record.id,
        "number": record.number,
        "cover": teller.pairs(teller.cover()),
        "details": teller.pairs(pairs_of(record, teller.detail)),
        **teller.facts(files, own),
        **teller.deadlines(),
        "refusals": teller.refusals(),
        "approvals": teller.approvals(),
        **teller.charges(),
        "papers": teller.papers(files, appendix),
        "appendix": appendix,
        "in_full": any(one.kind == KIND and one.id in added for one in files),
    }
    told["clauses"] = teller.clauses()
    return _printable(told)


class _Teller:
    """Puts one case into words; remembers which clauses it met."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.detail = detail_of(record)
        self.zone = ZoneInfo(unit_zone(record))
        self.met: set[str] = set()
        self.names: dict[int, str] = {}

    # --- words

    def shown(self, value: Any) -> str:
        if value is None or value == "":
            return ""
        if isinstance(value, bool):
            return _("Yes") if value else _("No")
        if isinstance(value, datetime):
            return value.astimezone(self.zone).strftime("%Y-%m-%d %H:%M")
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, Decimal):
            return f"{value:f}"
        return str(value)

    def pairs(self, pairs: Iterable[tuple[Any, Any]]) -> list[list[str]]:
        return [[str(label), self.shown(value)] for label, value in pairs]

    def clause(self, clause_id: str) -> str:
        """Name a clause by its id and title, and remember it for the list of clauses."""
        if not clause_id:
            return ""
        self.met.add(clause_id)
        return f"{clause_id} {self.clause_title(clause_id)}".rstrip()

    def clause_title(self, clause_id: str) -> str:
        found = current_rulebook().clauses.get(clause_id)
        return said(found.title) if found else ""

    def read_names(self, ids: Iterable[int | None]) -> None:
        wanted = {key for key in ids if key} - set(self.names)
        if wanted:
            found = session().execute(select(User.id, User.name).where(User.id.in_(wanted)))
            self.names |= {row.id: row.name for row in found}

    # --- parts

    def cover(self) -> list[tuple[Any, Any]]:
        one, case = self.record, self.detail
        pairs: list[tuple[Any, Any]] = [
            (_("Number"), one.number),
            (_("Problem"), one.title),
            (_("Kind of record"), words.type_label(one)),
            (_("State"), words.state_label(one)),
            (_("Unit"), words.unit_name(one.unit)),
            (_("Customer"), one.customer.name if one.customer else ""),
        ]
        if isinstance(case, Case):
            pairs += [
                (_("Contact"), mask_name(case.contact_name)),
                (_("Telephone"), mask_phone(case.contact_phone)),
                (_("Address"), mask_address(case.address_text)),
            ]
        return [
            *pairs,
            (_("Assignee"), one.assignee.name if one.assignee else ""),
            (_("Received at"), one.received_at),
            (_("Archived at"), one.closed_at),
        ]

    def facts(self, files: Sequence[Attachment], own: set[int]) -> dict[str, Any]:
        found = select(Fact).where(Fact.record_id == self.record.id).options(joinedload(Fact.actor))
        rows = [
            fact
            for fact in session().scalars(found.order_by(Fact.at, Fact.seq).limit(MOST_FACTS))
            if fact.data.get("attachment") not in own
        ]
        counted = session().scalar(select(func.count(Fact.id)).where(Fact.record_id == self.record.id)) or 0
        flow = flow_words(self.record)
        kinds: Mapping[str, FactKind] = flow.fact_kinds if flow else {}
        told = [
            {
                "at": self.shown(one.fact.at),
                "entered": self.shown(one.fact.entered_at) if one.fact.entered_at - one.fact.at > LATE else "",
                "who": one.actor,
                "what": str(one.label),
                "internal": _is_internal(one.fact, kinds.get(one.fact.kind)),
                "note": one.fact.note,
                "details": self.pairs(one.details),
                "file": one.file.name if one.file else "",
            }
            for one in timeline(self.record, rows, files)
        ]
        return {"facts": told, "facts_left_out": max(0, counted - MOST_FACTS)}

    def deadlines(self) -> dict[str, Any]:
        lines = sorted(deadlines_of(self.record), key=lambda one: one.row.id)
        counted = 0
        if len(lines) == MOST_DEADLINES:
            own = select(func.count(Obligation.id)).where(Obligation.record_id == self.record.id)
            counted = session().scalar(own) or 0
        return {
            "obligations": [self._deadline(one) for one in lines],
            "obligations_left_out": max(0, counted - len(lines)),
        }

    def _deadline(self, one: Line) -> dict[str, str]:
        notes = [one.problem]
        if one.excuse is not None:
            notes.append(_("Excused: %(reason)s", reason=one.excuse.note))
        # How long is left changes by the minute and is nothing for paper; by how much it was late is.
        if one.row.ended_at is not None:
            notes.append(one.left)
        return {
            "clause": self.clause(one.row.clause),
            "limit": one.limit,
            "start": self.shown(one.row.start_at),
            "due": self.shown(one.row.due_at),
            "ended": self.shown(one.row.ended_at),
            # "Due soon" is nothing for paper either.
            "state": _("Running") if one.badge[1] == "warn" else str(one.badge[0]),
            "tone": one.badge[1] if one.badge[1] in ("good", "bad") else "",
            "who": one.row.responsible.name if one.row.responsible else "",
            "note": _("; ").join(note for note in notes if note),
        }

    def refusals(self) -> Rows:
        found = select(RefusalLog).where(RefusalLog.record_id == self.record.id).order_by(RefusalLog.id)
        rows = list(session().scalars(found.limit(MOST_REFUSALS)))
        self.read_names(row.actor_id for row in rows)
        flow = flow_words(self.record)
        steps = {step.name: str(step.label) for step in flow.transitions.values()} if flow else {}
        return [
            {
                "at": self.shown(row.at),
                "who": self.names.get(row.actor_id or 0, ""),
                "step": steps.get(row.transition, row.transition),
                "clause": self.clause(row.clause),
                "text": row.text,
            }
            for row in rows
        ]

    def approvals(self) -> Rows:
        """Tell of the approvals asked for the case, their steps with reasons where the maker may read all."""
        found = select(Approval).where(Approval.record_id == self.record.id, ~Approval.subject.like("penalty:%"))
        rows = list(session().scalars(found.options(joinedload(Approval.asker)).order_by(Approval.id)))
        steps = self._approval_steps(rows) if may(ALL, self.record.unit_id) else {}
        return [
            {
                "title": row.title,
                "clause": self.clause(row.clause),
                "position": _position(row.position),
                "state": str(STATE_WORDS[row.state]),
                "amount": money(row.amount),
                "asked": self.shown(row.asked_at),
                "asker": row.asker.name if row.asker else "",
                "steps": steps.get(row.id, []),
            }
            for row in rows
        ]

    def _approval_steps(self, rows: Sequence[Approval]) -> Mapping[int, Rows]:
        found = select(ApprovalStep).where(ApprovalStep.approval_id.in_([row.id for row in rows]))
        found = found.options(joinedload(ApprovalStep.actor)).order_by(ApprovalStep.id)
        told: dict[int, Rows] = defaultdict(list)
        for one in session().scalars(found) if rows else ():
            told[one.approval_id].append(
                {
                    "at": self.shown(one.at),
                    "who": one.actor.name if one.actor else _("System"),
                    "what": str(approvals.STEP_WORDS.get(one.name, one.name)),
                    "reason": one.reason,
                }
            )
        return told

    def charges(self) -> dict[str, Any]:
        if not may(charges.VIEW, self.record.unit_id):
            return {"charges": [], "totals": [], "charges_hidden": True}
        rows = [row for row in charges.lines_of(self.record.id) if row.payer != EMPLOYEE]
        lines = [
            {
                "what": money_words.line_label(row),
                "clause": self.clause(row.clause),
                "payer": str(money_words.payer_label(row.payer)),
                "quantity": f"{row.quantity.normalize():f}",
                "amount": money(row.amount),
                "state": str(money_words.charge_badge(row)[0]),
                "reason": row.reason,
            }
            for row in rows
        ]
        totals = [
            {
                "payer": str(money_words.payer_label(one.payer)),
                "charged": money(one.charged),
                "waived": money(one.waived),
                "payable": money(one.payable),
                "settled": money(one.settled),
            }
            for one in charges.totals_of(rows)
        ]
        return {"charges": lines, "totals": totals, "charges_hidden": False}

    def papers(self, files: Sequence[Attachment], appendix: Sequence[Mapping[str, Any]]) -> Rows:
        placed = {one["attachment"]: one["no"] for one in appendix}
        return [
            {
                "name": one.name,
                "kind": str(_KINDS.get(one.kind, _KINDS["file"])),
                "size": _size(one.size),
                "at": self.shown(one.at),
                "who": one.actor.name if one.actor else "",
                "appendix": placed.get(one.id, 0),
                "sha256": one.sha256[:16],
            }
            for one in files
        ]

    def clauses(self) -> list[list[str]]:
        """Return the clauses met in the case: id, title, regulation."""
        book = current_rulebook()
        told = []
        for one in sorted(self.met):
            clause = book.clauses.get(one)
            regulation = book.regulations.get(clause.regulation) if clause else None
            told.append([one, self.clause_title(one), said(regulation.title) if regulation else ""])
        return told


_KINDS: Mapping[str, Any] = {
    "file": _l("File"),
    "photo": _l("Photo"),
    "photos": _l("Photo"),
    "signature": _l("Customer's signature"),
    "document": _l("Printed document"),
}


def _is_internal(fact: Fact, kind: FactKind | None) -> bool:
    """What staff wrote for each other: comments that the customer is not to read."""
    return not fact.visible_to_customer and (fact.kind == COMMENT or (kind is None and bool(fact.note)))


def _position(code: str) -> str:
    english = current_locale() == "en"
    return next((str(one.title_en if english else one.title) for one in POSITIONS if one.code == code), code)


def _size(size: int) -> str:
    return f"{size / 1048576:.1f} MB" if size >= 1048576 else f"{max(1, round(size / 1024))} kB"


def _printable(value: Any) -> Any:
    """Mask identity numbers; name the characters that the font lacks instead of leaving the file unprinted."""
    missing = {ord(c): f"[U+{ord(c):04X}]" for c in missing_characters(value)}

    def walk(one: Any) -> Any:
        if isinstance(one, str):
            return case_file.masked(one.translate(missing) if missing else one)
        if isinstance(one, Mapping):
            return {key: walk(held) for key, held in one.items()}
        return [walk(held) for held in one] if isinstance(one, list) else one

    return walk(value)


FORM = PrintForm(
    code=case_file.FORM,
    title=_l("Case file"),
    subject="case",
    template="case_file.typ",
    data=tell,
    permission=case_file.PERMISSION,
    files=case_file.files_of,
)
