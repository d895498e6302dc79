"""Charges (费用): the unit's list, a record's lines with what each payer owes, steps, waivers, closing a month."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from flask import flash, g, redirect, render_template, request, url_for
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from markupsafe import Markup
from sqlalchemy import Select, select
from sqlalchemy.orm import joinedload

from core.admin import money_words
from core.admin.categories import SERVICE
from core.admin.forms import FieldsForm, form_from_fields, reason_text
from core.admin.listing import Filter, ListColumn, ListContext, ListSpec, Ordering, QuickFilter, among, between
from core.admin.views import Answer, ListScreen
from core.kernel.access import may
from core.kernel.database import fetch, session, transaction
from core.kernel.errors import AppError, InvalidData, NotAllowed, NotFound, Refused
from core.kernel.extensions import AdminEntry
from core.kernel.fields import Field
from core.kernel.ids import read_id
from core.records.models import Record
from core.rules import charges
from core.rules.charge_models import CHARGE_WORDS, CONSENTED, PAYERS, POSTED, QUOTED, Charge, ClosedMonth
from core.units.facts import local_day

CLOSED_SHOWN = 12
AMOUNT = Field(
    "amount", "decimal", _l("Amount (yuan)"), True, minimum=Decimal(0), maximum=Decimal("999999999999.99")
)
REASON = Field("reason", "long", _l("Reason"), True, max_length=500)
MONTH = Field(
    "month",
    "text",
    _l("Month to close"),
    True,
    max_length=7,
    help=_l("Such as 2026-01"),
    options={"attributes": {"type": "month"}},
)


def record_url(row: Charge) -> str:
    """Return the address of a line among its record's charges."""
    return url_for("charges.record", record_id=row.record_id, _anchor=f"charge-{row.adjusts_id or row.id}")


def _record_page(row: Charge) -> str:
    return url_for("record.page", record_id=row.record_id)


def _equals(column: Any) -> Callable[[Select[Any], Any, ListContext], Select[Any]]:
    return lambda statement, text, _context: statement.where(column == text)


def _of_record(statement: Select[Any], text: str, _context: ListContext) -> Select[Any]:
    return statement.where(Charge.record_id.in_(select(Record.id).where(Record.number == text.upper())))


SPEC = ListSpec(
    name="charges",
    title=_l("Charges"),
    model=Charge,
    base=lambda: select(Charge).options(joinedload(Charge.record)),
    columns=(
        ListColumn("label", _l("What for"), money_words.line_label, link=record_url, card="title"),
        ListColumn("state", _l("State"), money_words.charge_badge, "badge", card="badge"),
        ListColumn("amount", _l("Amount"), lambda c: c.amount, "money"),
        ListColumn("payer", _l("Payer"), lambda c: money_words.payer_label(c.payer)),
        ListColumn("record", _l("Record"), lambda c: c.record.number, "code", link=_record_page),
        ListColumn("clause", _l("Clause"), lambda c: c.clause, "code"),
        ListColumn("month", _l("Posting month"), lambda c: c.month, "code"),
        ListColumn("created", _l("Entered at"), lambda c: c.created_at, "moment", order="newest", card="hide"),
        ListColumn("payer_ref", _l("Payer's key"), lambda c: c.payer_ref, "code", visible=False),
        ListColumn("quantity", _l("Quantity"), lambda c: c.quantity, "number", visible=False),
        ListColumn("price", _l("Price"), lambda c: c.price, "money", visible=False),
        ListColumn("reason", _l("Reason"), lambda c: c.reason, visible=False),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Charge.id,)),),
    filters=(
        Filter("state", _l("State"), "choice", among(Charge.state), CHARGE_WORDS),
        Filter("payer", _l("Payer"), "choice", among(Charge.payer), PAYERS),
        Filter("month", _l("Posting month (such as 2026-01)"), "text", _equals(Charge.month)),
        Filter("clause", _l("Clause"), "text", _equals(Charge.clause)),
        Filter("created", _l("Entered at"), "dates", between(Charge.created_at)),
    ),
    quick=(
        QuickFilter("quoted", _l("Waiting for consent"), lambda s, _c: s.where(Charge.state == QUOTED)),
        QuickFilter("consented", _l("To be posted"), lambda s, _c: s.where(Charge.state == CONSENTED)),
        QuickFilter("posted", _l("To be paid"), lambda s, _c: s.where(Charge.state == POSTED)),
    ),
    search=_of_record,
    search_hint=_l("Number of the record"),
    empty=_l("No charges yet. Steps and plugins that bring charges put them here."),
)


class ChargeScreen(ListScreen):
    """What is owed to the unit or by it, line by line."""

    model = Charge
    permission = charges.VIEW
    export_permission = charges.VIEW
    icon = "list"
    list_template = "admin/charges.html"

    def list_spec(self) -> ListSpec:
        return SPEC

    def row_url(self, row: Charge) -> str:
        return record_url(row)

    @expose("/record/<record_id>")
    def record(self, record_id: str) -> Answer:
        """Show the lines of one record and what each payer owes."""
        found = fetch(Record, record_id)
        if not may(charges.VIEW, found.unit_id):
            raise NotFound()
        return self.render("admin/charges_record.html", **context_of(found))

    # steps

    @expose("/move/", methods=("POST",))
    def move_view(self) -> Answer:
        """Take a step that needs nothing more than a click."""
        row = self._one(request.form.get("id"))
        try:
            with transaction():
                charges.move(row.id, request.form.get("step", ""), version=read_id(request.form.get("version", "")))
        except (InvalidData, Refused) as bad:
            flash(reason_text(bad), "bad")
        else:
            flash(_("Saved."), "good")
        return redirect(record_url(row))

    @expose("/void/", methods=("GET", "POST"))
    def void_view(self) -> Answer:
        """Void a line that is not posted."""
        about = _l("A void line counts nothing. It stays visible with the reason.")
        return self._form(
            _l("Void"),
            (REASON,),
            about,
            lambda row, given, version: charges.move(row.id, "void", **given, version=version),
        )

    @expose("/waive/", methods=("GET", "POST"))
    def waive_view(self) -> Answer:
        """Waive a line or a part of it; where its clause names a position, that is asked."""
        about = _l("The charge stays visible; a line of the negative amount stands beside it.")
        return self._form(_l("Waive"), (AMOUNT, REASON), about, self._waive)

    def _waive(self, row: Charge, given: dict[str, Any], version: int | None) -> None:
        asked = charges.ask_waiver(row.id, given["reason"], given["amount"], version=version)
        if asked is not None:
            flash(_("An approval was asked for; the waiver follows when it is agreed."), "info")

    @expose("/adjust/", methods=("GET", "POST"))
    def adjust_view(self) -> Answer:
        """Correct a posted line by another one."""
        about = _l(
            "A posted line never changes. Say what it should have come to: the difference goes into the open month."
        )
        return self._form(
            _l("Correct this line"),
            (AMOUNT, REASON),
            about,
            lambda row, given, version: charges.adjust(row.id, **given, version=version),
        )

    def _one(self, raw_id: object) -> Charge:
        row = fetch(Charge, raw_id)
        if not may(charges.VIEW, row.unit_id):
            raise NotFound()
        if not may(charges.HANDLE, row.unit_id):
            raise NotAllowed(charges.HANDLE)
        return row

    def _form(
        self,
        title: Any,
        fields: Sequence[Field],
        about: Any,
        call: Callable[[Charge, dict[str, Any], int | None], object],
    ) -> Answer:
        row = self._one(request.values.get("id"))
        form = form_from_fields(fields, {"amount": charges.payable_of(row)}, timezone=g.unit.timezone)
        status = 200
        if request.method == "POST":
            status = 422
            if form.validate_on_submit():
                problem = _tried(
                    form, lambda: call(row, dict(form.cleaned), read_id(request.form.get("version", "")))
                )
                if problem is None:
                    flash(_("Saved."), "good")
                    return redirect(record_url(row))
                status = problem
        page = self.render(
            "admin/charge_form.html",
            title=title,
            about=about,
            form=form,
            row=row,
            record=session().get_one(Record, row.record_id),
            label=money_words.line_label(row),
            badge=money_words.charge_badge(row),
            version=row.version if status == 409 else request.form.get("version") or row.version,
            back=record_url(row),
        )
        return (page, status) if status != 200 else page

    # months

    @expose("/close/", methods=("GET", "POST"))
    def close_view(self) -> Answer:
        """Close a month of the unit's charges."""
        if not may(charges.HANDLE, g.unit.id):
            raise NotAllowed(charges.HANDLE)
        before = (local_day(g.unit.id).replace(day=1) - timedelta(days=1)).strftime("%Y-%m")
        form = form_from_fields((MONTH,), {"month": before})
        status = 200
        if request.method == "POST":
            status = 422
            if form.validate_on_submit():
                problem = _tried(form, lambda: charges.close_month(g.unit.id, form.cleaned["month"]))
                if problem is None:
                    flash(_("%(month)s is closed.", month=form.cleaned["month"]), "good")
                    return redirect(self.get_url(".close_view"))
                status = problem
        asked = request.args.get("month", "")
        shown = asked if charges.MONTH.match(asked) else charges.open_month(g.unit.id)
        rows = select(ClosedMonth).where(ClosedMonth.unit_id == g.unit.id).order_by(ClosedMonth.month.desc())
        page = self.render(
            "admin/charges_close.html",
            form=form,
            shown=shown,
            sums=[(money_words.payer_label(k), v) for k, v in charges.month_totals(g.unit.id, shown).items()],
            list_url=self.get_url(".index_view", f_month=shown),
            open_month=charges.open_month(g.unit.id),
            closed=session().scalars(rows.limit(CLOSED_SHOWN)).all(),
            back=self.get_url(".index_view"),
        )
        return (page, status) if status != 200 else page


def _tried(form: FieldsForm, call: Callable[[], object]) -> int | None:
    """Run one service in one transaction; return the status to answer with where it did not go through."""
    try:
        with transaction():
            call()
    except (NotFound, NotAllowed):
        raise
    except AppError as bad:
        form.show(bad)
        return bad.status
    return None


# --- on the page of a record -----------------------------------------------------------------------


def context_of(record: Record) -> dict[str, Any]:
    """Return what ``admin/_charges.html`` shows of a record: its lines, what each payer owes, the steps."""
    lines = charges.lines_of(record.id)
    may_handle = may(charges.HANDLE, record.unit_id)
    return {
        "record": record,
        "lines": lines,
        "totals": charges.totals_of(lines),
        "words": money_words,
        "moves": {row.id: charges.moves_of(row) for row in lines} if may_handle else {},
        "waivable": {row.id for row in lines if may_handle and charges.may_waive(row)},
        "correctable": {
            row.id for row in lines if may_handle and row.state in charges.FIXED and not row.adjusts_id
        },
    }


def charges_of(record: Record) -> Markup | None:
    """Draw the charges of a record for its page; None where there are none or the reader may not see them."""
    if not may(charges.VIEW, record.unit_id):
        return None
    shown = context_of(record)
    return Markup(render_template("admin/_charges.html", **shown)) if shown["lines"] else None  # noqa: S704


def admin_views() -> list[AdminEntry]:
    """The unit's charges."""
    screen = ChargeScreen(name=_l("Charges"), endpoint="charges", url="/admin/charges")
    return [AdminEntry(screen, SERVICE, 60)]
