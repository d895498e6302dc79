"""Penalty proposals (考核建议): the unit's list for its leaders, and for everybody those about themselves."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from flask import flash, g, redirect, request, url_for
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, select
from sqlalchemy.orm import joinedload

from core.admin import money_words
from core.admin.categories import RULES, WORK
from core.admin.clauses import clause_title
from core.admin.forms import FieldsForm, form_from_fields
from core.admin.listing import Filter, ListColumn, ListContext, ListSpec, Ordering, QuickFilter, among, between
from core.admin.views import Answer, ListScreen
from core.kernel.database import session, transaction
from core.kernel.errors import AppError, NotAllowed, NotFound
from core.kernel.extensions import AdminEntry
from core.kernel.fields import Field
from core.records.models import Record
from core.rules import approvers, penalties
from core.rules.approval_models import Approval
from core.rules.charge_models import PENALTY_WORDS, PROPOSED, Penalty
from core.users.models import User

STATEMENT = Field(
    "statement", "long", _l("Your statement"), True, max_length=penalties.LONGEST, options={"rows": 5}
)
AGREE, DROP = "agree", "drop"


def penalty_url(row: Penalty) -> str:
    """Return the address of a proposal's page."""
    return url_for("penalty.details_view", id=row.id)


def _record_page(row: Penalty) -> str:
    return url_for("record.page", record_id=row.record_id)


def _base() -> Select[Any]:
    return select(Penalty).options(
        joinedload(Penalty.record), joinedload(Penalty.user), joinedload(Penalty.obligation)
    )


def _mine() -> Select[Any]:
    return _base().where(Penalty.user_id == g.actor.id)


def _by_clause(statement: Select[Any], text: str, _context: ListContext) -> Select[Any]:
    return statement.where((Penalty.clause == text) | (Penalty.broken == text))


def _by_name(statement: Select[Any], text: str, _context: ListContext) -> Select[Any]:
    named = select(User.id).where(User.name.startswith(text, autoescape=True))
    numbered = select(Record.id).where(Record.number == text.upper())
    return statement.where(Penalty.user_id.in_(named) | Penalty.record_id.in_(numbered))


def clause_words(clause_id: str) -> str:
    """Return the number of a clause and its short title."""
    return f"{clause_id} {clause_title(clause_id)}".strip()


def _name(row: Penalty) -> str:
    return row.user.name if row.user else _("Nobody")


_AMOUNT = ListColumn(
    "amount", _l("Amount"), money_words.amount_words, "number", export=lambda p: penalties.amount_now(p)
)
_SHARED = (
    ListColumn("state", _l("State"), money_words.penalty_badge, "badge", card="badge"),
    _AMOUNT,
    ListColumn("clause", _l("Clause"), lambda p: clause_words(p.clause)),
    ListColumn("broken", _l("Broken clause"), lambda p: clause_words(p.broken)),
    ListColumn("record", _l("Record"), lambda p: p.record.number, "code", link=_record_page),
    ListColumn("statement", _l("Statement"), lambda p: bool(p.statement), "bool"),
    ListColumn("created", _l("Proposed at"), lambda p: p.created_at, "moment", order="newest"),
    ListColumn("reason", _l("Reason"), lambda p: p.reason, visible=False),
)
_ORDERINGS = (Ordering("newest", _l("Newest first"), (Penalty.created_at, Penalty.id)),)
_STATE = Filter("state", _l("State"), "choice", among(Penalty.state), PENALTY_WORDS)
_CREATED = Filter("created", _l("Proposed at"), "dates", between(Penalty.created_at))
_WAITING = QuickFilter("waiting", _l("Waiting for a decision"), lambda s, _c: s.where(Penalty.state == PROPOSED))

SPEC = ListSpec(
    name="penalties",
    title=_l("Penalty proposals"),
    model=Penalty,
    base=_base,
    columns=(ListColumn("user", _l("Person concerned"), _name, link=penalty_url, card="title"), *_SHARED),
    orderings=_ORDERINGS,
    filters=(_STATE, Filter("clause", _l("Clause"), "text", _by_clause), _CREATED),
    quick=(_WAITING, QuickFilter("stated", _l("With a statement"), lambda s, _c: s.where(Penalty.statement != ""))),
    search=_by_name,
    search_hint=_l("Name of the person or number of the record"),
    empty=_l("No penalty proposals. Breached deadlines bring them where a penalty clause holds."),
)
MINE = ListSpec(
    name="my_penalties",
    title=_l("Penalty proposals about me"),
    model=Penalty,
    base=_mine,
    columns=(
        ListColumn("clause", _l("Clause"), lambda p: clause_words(p.clause), link=penalty_url, card="title"),
        *(one for one in _SHARED if one.key != "clause"),
    ),
    orderings=_ORDERINGS,
    filters=(_STATE, _CREATED),
    quick=(_WAITING,),
    empty=_l("There is no penalty proposal about you."),
)


class PenaltyList(ListScreen):
    """All proposals of the unit."""

    model = Penalty
    permission = penalties.VIEW
    export_permission = penalties.VIEW
    icon = "warn"
    list_template = "admin/penalties.html"

    def list_spec(self) -> ListSpec:
        return SPEC

    def is_active(self) -> bool:
        return super().is_active() or bool(g.get("penalty_of_another"))

    def row_url(self, row: Penalty) -> str:
        return penalty_url(row)


class PenaltyScreen(ListScreen):
    """One's own proposals, and the page of one: for the person, who decides, and who may see all."""

    model = Penalty
    icon = "user"
    list_template = "admin/penalties.html"

    def list_spec(self) -> ListSpec:
        return MINE

    def is_active(self) -> bool:
        return super().is_active() and not g.get("penalty_of_another")

    def row_url(self, row: Penalty) -> str:
        return penalty_url(row)

    @expose("/details/")
    def details_view(self) -> Answer:
        """Show one proposal with the forms that its reader may use."""
        return self._page(penalties.fetch_visible(request.args.get("id")))

    @expose("/state/", methods=("POST",))
    def state_view(self) -> Answer:
        """Keep the statement of the person concerned."""
        row = penalties.fetch_visible(request.form.get("id"))
        form = form_from_fields((STATEMENT,))
        if form.validate_on_submit() and _tried(form, lambda: penalties.state(row.id, form.cleaned["statement"])):
            flash(_("Your statement is kept."), "good")
            return redirect(penalty_url(row))
        return self._page(row, statement=form)

    @expose("/decide/", methods=("POST",))
    def decide_view(self) -> Answer:
        """Agree to a proposal or drop it."""
        row = penalties.fetch_visible(request.form.get("id"))
        form = form_from_fields(_decision_fields(row))
        choice = request.form.get("choice")
        if choice not in (AGREE, DROP):
            raise NotFound()
        if form.validate_on_submit() and _tried(form, lambda: _decide(row, choice, form.cleaned)):
            flash(_("The proposal is agreed.") if choice == AGREE else _("The proposal is dropped."), "good")
            return redirect(penalty_url(row))
        return self._page(row, decision=form)

    def _page(
        self, row: Penalty, *, statement: FieldsForm | None = None, decision: FieldsForm | None = None
    ) -> Answer:
        failed = statement is not None or decision is not None
        own = row.user_id is not None and row.user_id == g.actor.id
        g.penalty_of_another = not own  # which of the two menu entries the page belongs to
        decides = penalties.may_decide(row)
        if own and row.state == PROPOSED and statement is None:
            statement = form_from_fields((STATEMENT,), {"statement": row.statement}, fresh=failed)
        if decides and decision is None:
            decision = form_from_fields(_decision_fields(row), {"amount": row.amount}, fresh=failed)
        approval = session().get(Approval, row.approval_id) if row.approval_id else None
        page = self.render(
            "admin/penalty.html",
            row=row,
            record=row.record,
            name=_name(row),
            badge=money_words.penalty_badge(row),
            amount=money_words.amount_words(row),
            origin=money_words.origin(row),
            waits_for=approvers.wanted_words(approval) if approval and row.state == PROPOSED else "",
            decider=row.decider.name if row.decider else "",
            own=own,
            statement=statement if own and row.state == PROPOSED else None,
            decision=decision if decides else None,
            back=_list_url(own),
        )
        return (page, 422) if failed else page


def _list_url(own: bool) -> str:
    return url_for("penalty.index_view" if own else "penalties.index_view")


def _decision_fields(row: Penalty) -> list[Field]:
    bounds = penalties.bounds_of(row)
    reason = Field("reason", "long", _l("Reason"), False, max_length=1000, help=_l("Needed to drop the proposal"))
    if bounds is None:
        return [reason]
    least, most = bounds
    said = _l("Needed to agree")
    if row.most is not None:
        said = _l("Needed to agree; from %(least)s to %(most)s yuan", least=least, most=most)
    amount = Field("amount", "decimal", _l("Amount (yuan)"), False, minimum=Decimal(0), help=said)
    return [amount, Field("reason", "long", _l("Reason"), True, max_length=1000)]


def _decide(row: Penalty, choice: str, given: dict[str, Any]) -> None:
    reason = given["reason"] or ""
    if choice == AGREE:
        penalties.agree(row.id, reason, given.get("amount"))
    else:
        penalties.drop(row.id, reason)


def _tried(form: FieldsForm, call: Callable[[], object]) -> bool:
    """Run one service in one transaction; what goes wrong lands in the form."""
    try:
        with transaction():
            call()
    except (NotFound, NotAllowed):
        raise
    except AppError as bad:
        form.show(bad)
        return False
    return True


def admin_views() -> list[AdminEntry]:
    """The unit's proposals, and one's own."""
    return [
        AdminEntry(
            PenaltyList(name=_l("Penalty proposals"), endpoint="penalties", url="/admin/penalties"), RULES, 50
        ),
        AdminEntry(PenaltyScreen(name=_l("My proposals"), endpoint="penalty", url="/admin/penalty"), WORK, 60),
    ]
