"""Customers (客户): list, page, form with a paste box, merging, look-up. Services decide everything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Response, flash, g, jsonify, redirect, request, url_for
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, select
from sqlalchemy.orm import joinedload, selectinload

from core.admin.cases.words import state_badge
from core.admin.categories import CUSTOMERS
from core.admin.forms import form_from_fields
from core.admin.listing import Filter, ListColumn, ListContext, ListSpec, Ordering, QuickFilter, among, between
from core.admin.views import Answer, UnitModelView, check_version, reason_text
from core.customers import identity, services
from core.customers.models import Customer, CustomerAddress, CustomerContact
from core.customers.paste import read_pasted
from core.documents.services import CUSTOMER, offered
from core.kernel import search
from core.kernel.database import current_scope, fetch, session, transaction
from core.kernel.errors import AppError, InvalidData, NotFound
from core.kernel.extensions import AdminEntry
from core.kernel.fields import Field, label_of
from core.records.models import Record

from .documents import print_action

FOUND = 500
RECENT = 20
PARTS: dict[str, Any] = {
    "address": (CustomerAddress, services.ADDRESS_FIELDS, services.add_address, services.update_address),
    "contact": (CustomerContact, services.CONTACT_FIELDS, services.add_contact, services.update_contact),
}
PERSONAL = frozenset({"phone", "service_number", "identity", "email", "wechat"})
NEW_FIELDS: tuple[Field, ...] = (
    *services.CUSTOMER_FIELDS[:3],
    services.ADDRESS_FIELDS[0],
    services.ADDRESS_FIELDS[3],
    Field("contact_name", "text", _l("Contact name"), max_length=60),
    *services.CUSTOMER_FIELDS[3:],
)


def customer_url(row: Customer) -> str:
    """Return the address of a customer's page."""
    return url_for("customers.details_view", id=row.id)


def kind_badge(row: Customer) -> tuple[Any, str]:
    """Return (label, tone) of a customer's kind."""
    return label_of(services.CUSTOMER_KINDS, row.kind), "info" if row.kind == "company" else "neutral"


def _find(statement: Select[Any], text: str, context: ListContext) -> Select[Any]:
    # The list narrows to the unit by itself; the index answers for all the actor's units.
    found = search.search(context.units or frozenset({context.unit_id}), services.SEARCH_KIND, text, FOUND)
    return statement.where(Customer.id.in_([hit.entity_id for hit in found]))


SPEC = ListSpec(
    name="customers",
    title=_l("Customers"),
    model=Customer,
    base=lambda: (
        select(Customer)
        .where(Customer.merged_into_id.is_(None))
        .options(selectinload(Customer.phones), selectinload(Customer.addresses))
    ),
    columns=(
        ListColumn("name", _l("Name"), lambda c: c.name, order="name", link=customer_url, card="title"),
        ListColumn("kind", _l("Kind"), kind_badge, "badge", card="badge"),
        ListColumn("number", _l("Customer number"), lambda c: c.number, "code"),
        ListColumn("phone", _l("Phone"), lambda c: services.summary(c)["phone"], "code"),
        ListColumn("address", _l("Address"), lambda c: services.summary(c)["address"]),
        ListColumn("warnings", _l("To check"), lambda c: _("; ").join(map(str, services.warning_texts(c)))),
        ListColumn("created", _l("Added at"), lambda c: c.created_at, "moment", order="newest", card="hide"),
    ),
    orderings=(
        Ordering("newest", _l("Newest first"), (Customer.id,)),
        Ordering("name", _l("By name"), (Customer.name, Customer.id), descending=False),
    ),
    filters=(
        Filter("kind", _l("Kind"), "choice", among(Customer.kind), services.CUSTOMER_KINDS),
        Filter("created", _l("Added at"), "dates", between(Customer.created_at)),
    ),
    quick=(
        QuickFilter("companies", _l("Companies"), lambda s, _c: s.where(Customer.kind == services.COMPANY)),
        QuickFilter("check", _l("To check"), lambda s, _c: s.where(Customer.warnings != "")),
    ),
    actions=(print_action(CUSTOMER, "customer.pii"),),
    search=_find,
    search_hint=_l("Name, number or any part of the phone"),
    empty=_l("No customers yet. Add the first one, or import your customer file."),
)


class CustomerScreen(UnitModelView):
    """The customer file of a unit."""

    title = _l("Customers")
    icon = "customers"
    permission = "customer.view"
    create_permission = "customer.create"
    edit_permission = "customer.edit"
    export_permission = "customer.export"
    create_label = _l("New customer")
    on_bottom_bar = True
    form_template = "admin/customer_form.html"
    details_template = "admin/customer.html"

    def list_spec(self) -> ListSpec:
        return SPEC

    # the form

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        if row is None:
            return NEW_FIELDS
        # What one may not see one cannot correct: it stays as it is.
        full = self.allowed("customer.pii", row)
        return [one for one in services.CUSTOMER_FIELDS if full or one.name not in PERSONAL]

    def form_values(self, row: Customer) -> dict[str, Any]:
        plain = {name: getattr(row, name) for name in ("name", "kind", "company_code", "note", "service_plan")}
        if not self.allowed("customer.pii", row):
            return plain
        reach = {"email": row.email, "wechat": row.wechat, "phone": "、".join(p.display for p in row.phones)}
        return {**plain, **reach}

    def create(self, values: dict[str, Any]) -> Customer:
        g.duplicates = services.find_duplicates(g.unit.id, values)
        if g.duplicates and not request.form.get("anyway"):
            raise InvalidData(
                {"": [_("There are customers who may be the same. Open one of them, or add anyway.")]}
            )
        return services.create_customer(g.unit.id, values)

    def update(self, row: Customer, values: dict[str, Any]) -> None:
        services.update_customer(row, values)

    def form_context(self, row: Any | None) -> dict[str, Any]:
        return {"duplicates": g.get("duplicates", ()), "reasons": services.REASONS, "summary": services.summary}

    @expose("/paste/", methods=("POST",))
    def paste_view(self) -> Answer:
        """Fill the form of a new customer from a pasted line (name, phone and address in any order)."""
        self.need(self.create_permission)
        found = read_pasted(request.form.get("paste", ""))
        values = {"name": found.name, "phone": "、".join(found.phones), "address": found.address}
        return self._form_page(form_from_fields(NEW_FIELDS, values, fresh=True), None, 200)

    # the page

    def get_one(self, id: Any) -> Customer:
        row: Customer = super().get_one(id)
        return row

    @expose("/details/")
    def details_view(self) -> Answer:
        """Show a customer; one that was merged leads to the one that took it over."""
        row = self.get_one(request.args.get("id"))
        winner = services.winner(row)
        if winner is not None and winner.id != row.id:
            flash(_("%(number)s was merged into this customer.", number=row.number), "info")
            return redirect(customer_url(winner))
        return super().details_view()

    def details(self, row: Customer) -> dict[str, Any]:
        full = current_scope().may("customer.pii", row.unit_id)
        records = (
            select(Record)
            .where(Record.customer_id == row.id)
            .options(joinedload(Record.assignee))
            .order_by(Record.received_at.desc(), Record.id.desc())
            .limit(RECENT)
        )
        return {
            "full": full,
            "mask_phone": identity.mask_phone,
            "mask_address": identity.mask_address,
            "mask_name": identity.mask_name,
            "warnings": services.warning_texts(row),
            "merged": services.merged_into(row),
            "kind": kind_badge(row),
            "state_badge": state_badge,
            "records": session().scalars(records).all() if self.allowed("case.view", row) else [],
            "may_print": bool(offered(row, CUSTOMER)),
            "may_merge": self.allowed("customer.merge", row),
            "may_edit": self.allowed("customer.edit", row),
            "may_erase": self.allowed("customer.erase", row),
            "panels": g.unit.hooks.customer_panels(customer=row) if row.unit_id == g.unit.id else [],
        }

    # addresses and contacts

    @expose("/part/", methods=("GET", "POST"))
    def part_view(self) -> Answer:
        """Add or change an address or a contact."""
        customer = self.get_one(request.args.get("customer"))
        self.need(self.edit_permission, customer)
        model, fields, add, change = PARTS.get(request.args.get("kind", "")) or _missing()
        part = fetch(model, request.args["id"]) if request.args.get("id") else None
        if part is not None and part.customer_id != customer.id:
            raise NotFound()
        if part is not None:
            self.need("customer.pii", customer)
        form = form_from_fields(fields, _part_values(part, fields), timezone=g.unit.timezone)
        if request.method == "POST" and form.validate_on_submit():
            try:
                with transaction():
                    check_version(customer, request.form.get("version"))
                    if part is None:
                        add(customer, form.cleaned)
                    else:
                        change(part, form.cleaned)
            except AppError as bad:
                form.show(bad)
            else:
                flash(_("Saved."), "good")
                return redirect(customer_url(customer))
        return self.render(
            "admin/customer_part.html",
            form=form,
            row=customer,
            part=part,
            kind=request.args["kind"],
            version=request.form.get("version") or customer.version,
            back=customer_url(customer),
        )

    @expose("/part/remove/", methods=("POST",))
    def remove_part_view(self) -> Answer:
        """Remove an address or a contact."""
        customer = self.get_one(request.form.get("customer"))
        self.need(self.edit_permission, customer)
        model = (PARTS.get(request.form.get("kind", "")) or _missing())[0]
        with transaction():
            part = fetch(model, request.form.get("id"))
            if part.customer_id != customer.id:
                raise NotFound()
            services.remove_part(part)
        flash(_("Removed."), "good")
        return redirect(customer_url(customer))

    # personal data

    @expose("/reveal/", methods=("POST",))
    def reveal_view(self) -> Answer:
        """Show the identity number in full, once; who looked and why is written to the audit trail."""
        row = self.get_one(request.form.get("id"))
        try:
            with transaction():
                number = services.reveal_identity(row, request.form.get("purpose", ""))
        except InvalidData as bad:
            flash(reason_text(bad), "bad")
            return redirect(customer_url(row))
        shown = self.render("admin/reveal.html", row=row, number=number, back=customer_url(row))
        answer = Response(shown)
        answer.headers["Cache-Control"] = "no-store"
        return answer

    @expose("/erase/", methods=("POST",))
    def erase_view(self) -> Answer:
        """Erase the person, keeping number and records."""
        row = self.get_one(request.form.get("id"))
        try:
            with transaction():
                services.erase_customer(row, request.form.get("reason", ""))
        except InvalidData as bad:
            flash(reason_text(bad), "bad")
            return redirect(customer_url(row))
        flash(_("The personal data was erased."), "good")
        return redirect(customer_url(row))

    # merging

    @expose("/merge/", methods=("GET", "POST"))
    def merge_view(self) -> Answer:
        """Show who may be the same, compare two, and merge them."""
        row = self.get_one(request.values.get("id"))
        self.need("customer.merge", row)
        other = self.get_one(request.values["other"]) if request.values.get("other") else None
        if request.method == "POST" and other is not None:
            keep, drop = (row, other) if request.form.get("keep") == str(row.id) else (other, row)
            try:
                with transaction():
                    services.merge_customers(keep, drop)
            except AppError as bad:
                flash(reason_text(bad), "bad")
                return redirect(self.get_url(".merge_view", id=row.id))
            flash(_("Merged. The number %(number)s still finds this customer.", number=drop.number), "good")
            return redirect(customer_url(keep))
        typed = {
            "name": row.name,
            "phone": "、".join(p.display for p in row.phones),
            "company_code": row.company_code,
            "address": str(row.addresses[0]) if row.addresses else "",
        }
        return self.render(
            "admin/customer_merge.html",
            row=row,
            other=other,
            duplicates=services.find_duplicates(row.unit_id, typed, exclude_id=row.id),
            reasons=services.REASONS,
            summary=services.summary,
            back=customer_url(row),
        )

    @expose("/ajax/lookup/")
    def ajax_lookup(self) -> Response:
        """Answer up to ten customers of this unit by name, number or any part of the phone."""
        typed = request.args.get("q", "").strip()[:60]
        found = services.lookup(frozenset({g.unit.id}), typed, 10) if typed else []
        return jsonify(
            [
                {"id": c["id"], "text": c["name"], "detail": f"{c['number']}  {c['phone']}  {c['address']}"}
                for c in found
            ]
        )


def _missing() -> Any:
    raise NotFound()


def _part_values(part: Any, fields: Sequence[Field]) -> dict[str, Any]:
    if part is None:
        return {}
    return {f.name: str(part) if f.name == "address" else getattr(part, f.name) for f in fields}


def admin_views() -> list[AdminEntry]:
    """Return the customer screens for the menu."""
    return [AdminEntry(CustomerScreen(Customer, endpoint="customers", url="customers"), CUSTOMERS, 10)]
