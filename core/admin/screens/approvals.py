"""Approvals: what waits for me, what I asked for, all of the unit; one approval; who stands in for whom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from flask import flash, g, redirect, request
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.admin import approvals as shown
from core.admin.cases.forms import new_key
from core.admin.categories import WORK
from core.admin.forms import FieldsForm, form_from_fields
from core.admin.listing import ListColumn, ListSpec, Ordering, QuickFilter
from core.admin.urls import back_to, local_path
from core.admin.views import Answer, ListScreen, Screen, may_here
from core.kernel.access import require
from core.kernel.database import fetch
from core.kernel.errors import InvalidData, NotFound
from core.kernel.extensions import AdminEntry
from core.kernel.fields import Field
from core.kernel.ids import read_id
from core.records.attachments import attachments_of
from core.records.engine import fetch_visible, sees_inside
from core.rules import approval_gate, approvals, approvers, excuses
from core.rules.approval_models import WAITING, Approval
from core.rules.approvals import OPEN_STATES
from core.rules.approvers import ALL, VIEW
from core.rules.obligation_models import Obligation
from core.users.permissions import units_where
from core.users.positions import choices as position_choices
from core.users.services import staff_names

from .records import Trouble, attempt

REASON = Field(
    "reason",
    "long",
    _l("Reason or remark"),
    max_length=approvals.LONGEST_REASON,
    help=_l("Needed to reject or send back."),
)
NEEDED = Field("reason", "long", _l("Reason"), True, max_length=approvals.LONGEST_REASON)
# What the buttons of a waiting approval do: the last part of the address.
DECISIONS = ("agree", "reject", "send-back")


class ApprovalScreen(Screen):
    """What waits for the signed-in person's decision, in every unit of theirs, and what they asked for."""

    permission = VIEW
    icon = "check"

    def waiting_count(self) -> int:
        """Count what waits for the actor; shown in the menu."""
        return shown.waiting_count()

    @property
    def on_bottom_bar(self) -> bool:  # type: ignore[override]
        """On a phone's bottom bar as long as something waits."""
        return bool(shown.waiting_count())

    # --- lists

    @expose("/")
    def index(self) -> Answer:
        """Show what waits for me, the oldest first."""
        found = approvals.inbox(g.actor.id, g.actor.positions)
        return self._list("inbox", shown.cards([one for one, _place in found], dict(_places(found))))

    @expose("/asked")
    def asked(self) -> Answer:
        """Show what I asked for, the open ones first."""
        return self._list("asked", shown.cards(approvals.asked_by(g.actor.id)))

    @expose("/nobody")
    def nobody(self) -> Answer:
        """Show what waits in my units for somebody who is not there, to be passed on."""
        require(ALL, g.unit.id)
        return self._list("nobody", shown.cards(approvals.nobody_decides(units_where(ALL))))

    def _list(self, tab: str, found: Sequence[shown.Card]) -> Answer:
        return self.render("admin/approvals.html", tab=tab, tabs=tabs(), cards=found, back=request.full_path)

    # --- one approval

    @expose("/<approval_id>")
    def page(self, approval_id: str) -> Answer:
        """Show one approval with every step taken."""
        approval = approvals.fetch_approval(approval_id)
        return self._page(approval, _decide_form(approval))

    def _page(self, approval: Approval, form: FieldsForm, trouble: Trouble | None = None) -> Answer:
        trouble = trouble or Trouble()
        (card,) = shown.cards([approval], may=True)
        page = self.render(
            "admin/approval.html",
            card=card,
            form=form,
            trouble=trouble,
            steps=shown.steps(approval),
            tabs=tabs(),
            back=back_to(self.get_url(".index")),
        )
        return (page, trouble.status) if trouble.status != 200 else page

    @expose("/<approval_id>/<decision>", methods=("POST",))
    def decide(self, approval_id: str, decision: str) -> Answer:
        """Agree, reject or send back."""
        if decision not in DECISIONS:
            raise NotFound()
        approval = fetch(Approval, approval_id)
        form = _decide_form(approval)
        trouble: Trouble | None = Trouble(422)
        if form.validate_on_submit():
            trouble = attempt(form, lambda: _decide(approval.id, decision, form))
        if trouble is None:
            flash(
                _("%(title)s: %(done)s", title=shown.title_of(approval), done=shown.state_words(approval)), "good"
            )
            return redirect(back_to(self.get_url(".index")))
        return self._page(approvals.fetch_approval(approval_id), form, trouble)

    @expose("/<approval_id>/pass-on", methods=("GET", "POST"))
    def pass_on(self, approval_id: str) -> Answer:
        """Hand an approval to another position or to one person."""
        approval = approvals.fetch_approval(approval_id)
        fields = (
            Field("position", "choice", _l("To the position"), choices=_with_none(position_choices())),
            Field("user_id", "choice", _l("Or to one person"), choices=_with_none(_people(approval.unit_id))),
            NEEDED,
        )

        def save(form: FieldsForm) -> object:
            values = form.cleaned
            return approvals.pass_on(
                approval.id,
                position=values["position"] or "",
                user_id=read_id(values["user_id"] or ""),
                reason=values["reason"],
                version=_version(),
            )

        return self._form(approval, fields, _("Pass on"), save, _("Passed on."))

    @expose("/<approval_id>/complete", methods=("GET", "POST"))
    def complete(self, approval_id: str) -> Answer:
        """Complete a request that was sent back, and ask again."""
        approval = approvals.fetch_approval(approval_id)
        return self._form(
            approval,
            (NEEDED,),
            _("Complete and ask again"),
            lambda form: approvals.ask_again(approval.id, form.cleaned["reason"], version=_version()),
            _("Asked again."),
            values={"reason": approval.reason},
        )

    @expose("/<approval_id>/withdraw", methods=("POST",))
    def withdraw(self, approval_id: str) -> Answer:
        """Take one's own request back."""
        approval = approvals.fetch_approval(approval_id)
        form = _decide_form(approval, REASON)
        trouble: Trouble | None = Trouble(422)
        if form.validate_on_submit():
            trouble = attempt(form, lambda: approvals.withdraw(approval.id, form.cleaned["reason"] or ""))
        if trouble is None:
            flash(_("Withdrawn."), "good")
            return redirect(back_to(self.get_url(".asked")))
        return self._page(approval, form, trouble)

    def _form(
        self,
        approval: Approval,
        fields: Sequence[Field],
        title: str,
        save: Callable[[FieldsForm], object],
        done: str,
        values: dict[str, Any] | None = None,
    ) -> Answer:
        form = form_from_fields(fields, values, timezone=g.unit.timezone)
        trouble: Trouble | None = Trouble(422) if request.method == "POST" else Trouble()
        if request.method == "POST" and form.validate_on_submit():
            trouble = attempt(form, lambda: save(form))
        if trouble is None:
            flash(done, "good")
            return redirect(self.get_url(".page", approval_id=approval.id))
        (card,) = shown.cards([approval])
        url = self.get_url(".page", approval_id=approval.id)
        return self._asking(form, title, trouble, url, card=card, version=approval.version)

    def _asking(self, form: FieldsForm, title: str, trouble: Trouble, back: str, **more: Any) -> Answer:
        page = self.render(
            "admin/approval_form.html",
            form=form,
            title=title,
            trouble=trouble,
            back=back,
            key=request.form.get("key") or new_key(),
            **more,
        )
        return (page, trouble.status) if trouble.status != 200 else page

    # --- asking

    @expose("/ask", methods=("GET", "POST"))
    def ask(self) -> Answer:
        """Ask for the agreement that a step of a record needs (``record_id``, ``step``, ``clause``, ``reason``)."""
        given = request.values
        record = fetch_visible(given.get("record_id"))
        if not sees_inside(record):
            raise NotFound()
        step, clause = given.get("step", ""), given.get("clause", "")
        wanted = next((o for o in approval_gate.wanted_for(record) if (o.step, o.clause) == (step, clause)), None)
        if wanted is None:
            raise NotFound(_("This step needs no agreement now"))
        key = request.form.get("key", "")[:80]
        return self._ask(
            record.id,
            _("Ask for approval"),
            (NEEDED,),
            lambda form: approval_gate.ask_for(record.id, step, clause, form.cleaned["reason"], key=key),
            hidden={"record_id": record.id, "step": step, "clause": clause},
            facts=[
                (_("Record"), f"{record.number} {record.title}"),
                (_("Step"), wanted.label),
                (_("Decided by"), approvers.position_title(wanted.position)),
                (_("Amount (yuan)"), shown.money_words(wanted.amount)),
            ],
            clause=clause,
        )

    @expose("/excuse/<obligation_id>", methods=("GET", "POST"))
    def excuse(self, obligation_id: str) -> Answer:
        """Ask that the lateness of an obligation be excused."""
        obligation = _obligation(obligation_id)
        files = [(str(one.id), one.name) for one in attachments_of(obligation.record_id)]
        evidence = Field("evidence", "choice", _l("Evidence, a file of the record"), choices=_with_none(files))
        key = request.form.get("key", "")[:80]
        return self._ask(
            obligation.record_id,
            _("Ask for the lateness to be excused"),
            (NEEDED, evidence),
            lambda form: excuses.ask_excuse(
                obligation.id, form.cleaned["reason"], form.cleaned["evidence"], key=key
            ),
            facts=_of_obligation(obligation, approvers.position_title(excuses.approver(obligation))),
            clause=obligation.clause,
            send=_("Ask for approval"),
        )

    @expose("/excuse/<obligation_id>/lift", methods=("GET", "POST"))
    def lift(self, obligation_id: str) -> Answer:
        """Take an excuse back."""
        obligation = _obligation(obligation_id)
        return self._ask(
            obligation.record_id,
            _("Take the excuse back"),
            (NEEDED,),
            lambda form: excuses.lift(obligation.id, form.cleaned["reason"]),
            facts=_of_obligation(obligation),
            clause=obligation.clause,
        )

    def _ask(
        self,
        record_id: int,
        title: str,
        fields: Sequence[Field],
        save: Callable[[FieldsForm], object],
        **more: Any,
    ) -> Answer:
        form = form_from_fields(fields, timezone=g.unit.timezone)
        trouble: Trouble | None = Trouble(422) if request.method == "POST" else Trouble()
        if request.method == "POST" and form.validate_on_submit():
            trouble = attempt(form, lambda: save(form))
        back = local_path(request.values.get("back"), self.get_url("record.page", record_id=record_id))
        if trouble is None:
            flash(_("%(step)s: done.", step=title), "good")
            return redirect(back)
        return self._asking(form, title, trouble, back, **more)

    # --- standing in

    @expose("/stand-ins", methods=("GET", "POST"))
    def stand_ins(self) -> Answer:
        """Show who stands in for whom in the unit, and let somebody stand in for me."""
        form = form_from_fields(_stand_in_fields(), timezone=g.unit.timezone)
        trouble: Trouble | None = Trouble(422) if request.method == "POST" else Trouble()
        if request.method == "POST" and form.validate_on_submit():
            trouble = attempt(form, lambda: _delegate(form))
        if trouble is None:
            flash(_("Saved."), "good")
            return redirect(self.get_url(".stand_ins"))
        page = self.render(
            "admin/delegations.html",
            form=form,
            trouble=trouble,
            tabs=tabs(),
            rows=shown.delegations(everybody=may_here(ALL)),
            titles=shown.position_titles(),
        )
        return (page, trouble.status) if trouble.status != 200 else page

    @expose("/stand-ins/<delegation_id>/end", methods=("POST",))
    def end_stand_in(self, delegation_id: str) -> Answer:
        """End a delegation at once."""
        approvers.end_delegation(delegation_id)
        flash(_("It ends now."), "good")
        return redirect(self.get_url(".stand_ins"))


def tabs() -> list[tuple[str, Any, str, int]]:
    """Return (key, label, end point, count) of the pages about approvals this person may see."""
    found = [
        ("inbox", _("Waiting for me"), "approvals.index", shown.waiting_count()),
        ("asked", _("Asked by me"), "approvals.asked", 0),
    ]
    if may_here(ALL):
        found.append(("all", _("All of the unit"), "approval_list.index_view", 0))
        found.append(("nobody", _("Nobody can decide"), "approvals.nobody", 0))
    return [*found, ("stand_ins", _("Standing in"), "approvals.stand_ins", 0)]


def _places(found: Sequence[tuple[Approval, int | None]]) -> list[tuple[int, int]]:
    return [(one.id, place) for one, place in found if place is not None]


def _version() -> int | None:
    return read_id(request.form.get("version", ""))


def _decide_form(approval: Approval, *fields: Field) -> FieldsForm:
    """The remark, and the amount where it is the decider's to choose."""
    least, most = approvals.bounds_of(approval)
    if fields or least is None or most is None:
        return form_from_fields(fields or (REASON,), timezone=g.unit.timezone)
    chosen = Field(
        "amount",
        "decimal",
        _l("Amount (yuan)"),
        help=_l("From %(least)s to %(most)s yuan", least=least, most=most),
        minimum=Decimal(0),
    )
    return form_from_fields((chosen, REASON), {"amount": approval.amount}, timezone=g.unit.timezone)


def _decide(approval_id: int, decision: str, form: FieldsForm) -> object:
    reason, version = form.cleaned["reason"] or "", _version()
    if decision == "agree":
        return approvals.agree(approval_id, reason, form.cleaned.get("amount"), version=version)
    if decision == "reject":
        return approvals.reject(approval_id, reason, version=version)
    return approvals.send_back(approval_id, reason, version=version)


def _with_none(choices: Sequence[tuple[Any, Any]]) -> list[tuple[str, Any]]:
    return [("", "—"), *((str(code), label) for code, label in choices)]


def _people(unit_id: int) -> list[tuple[int, str]]:
    return [one for one in staff_names(unit_id) if one[0] != g.actor.id]


def _obligation(obligation_id: str) -> Obligation:
    obligation = fetch(Obligation, obligation_id)
    fetch_visible(obligation.record_id)
    excuses.require_ask(obligation.unit_id)
    return obligation


def _of_obligation(obligation: Obligation, decider: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = [
        (_("Record"), f"{obligation.record.number} {obligation.record.title}"),
        (_("Deadline"), shown.moment_words(obligation.due_at)),
        (_("Done at"), shown.moment_words(obligation.ended_at)),
    ]
    return [*found, (_("Decided by"), decider)] if decider else found


def _stand_in_fields() -> tuple[Field, ...]:
    mine = g.actor.positions.get(g.unit.id, frozenset())
    own = [(code, title) for code, title in position_choices() if code in mine]
    today = approvers.local_day(g.unit.id)
    return (
        Field("to_user_id", "choice", _l("Who stands in for me"), True, _with_none(_people(g.unit.id))),
        Field("position", "choice", _l("In which position"), choices=[("", _l("All my positions")), *own]),
        Field("first_day", "date", _l("First day"), True, default=today),
        Field("last_day", "date", _l("Last day"), True, default=today),
        Field("reason", "text", _l("Reason"), max_length=200),
    )


def _delegate(form: FieldsForm) -> object:
    values = form.cleaned
    to = read_id(values["to_user_id"])
    if to is None:
        raise InvalidData({"to_user_id": _l("Please choose one of the list")})
    days: tuple[date, date] = (values["first_day"], values["last_day"])
    return approvers.delegate(
        g.unit.id, to, *days, position=values["position"] or "", reason=values["reason"] or ""
    )


# --- all of the unit -------------------------------------------------------------------------------

APPROVALS = ListSpec(
    name="approvals",
    title=_l("Approvals"),
    model=Approval,
    columns=(
        ListColumn("title", _l("What is asked"), shown.title_of, link=shown.page_of, card="title"),
        ListColumn("state", _l("State"), shown.state_badge, "badge", card="badge"),
        ListColumn("clause", _l("Clause"), lambda row: row.clause, "code"),
        ListColumn("amount", _l("Amount (yuan)"), lambda row: row.amount, "money"),
        ListColumn("position", _l("Decided by"), shown.wanted_of),
        ListColumn("asker", _l("Asked by"), lambda row: row.asker.name if row.asker else ""),
        ListColumn("asked_at", _l("Asked at"), lambda row: row.asked_at, "moment", order="newest"),
        ListColumn("decider", _l("Decided"), lambda row: row.decider.name if row.decider else ""),
        ListColumn("decided_at", _l("Decided at"), lambda row: row.decided_at, "moment", card="hide"),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Approval.id,)),),
    quick=(
        QuickFilter("open", _l("Open"), lambda statement, _: statement.where(Approval.state.in_(OPEN_STATES))),
        QuickFilter("waiting", _l("Waiting"), lambda statement, _: statement.where(Approval.state == WAITING)),
    ),
    base=shown.with_people,
    empty=_l("Nobody has asked for anything yet."),
)


class ApprovalList(ListScreen):
    """All approvals of the unit, for those who lead it."""

    permission = export_permission = ALL
    icon = "check"
    list_template = "admin/approval_list.html"

    def is_visible(self) -> bool:
        return False

    def list_spec(self) -> ListSpec:
        return APPROVALS

    def row_url(self, row: Any) -> str:
        return shown.page_of(row)

    def render(self, template: str, **kwargs: Any) -> str:
        return str(super().render(template, tabs=tabs(), tab="all", **kwargs))


def admin_views() -> list[AdminEntry]:
    return [
        AdminEntry(ApprovalScreen(name=_l("Approvals"), endpoint="approvals", url="/admin/approvals"), WORK, 8),
        AdminEntry(
            ApprovalList(name=_l("All approvals"), endpoint="approval_list", url="/admin/approval-list"), WORK, 9
        ),
    ]
