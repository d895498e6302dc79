"""Screens of tariffs and part prices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from flask import flash, g, redirect, request, url_for
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, exists, select
from sqlalchemy.orm import aliased
from sqlalchemy.orm.exc import StaleDataError

from core.sdk import (
    AppError,
    Conflict,
    Field,
    InvalidData,
    User,
    current_locale,
    label_of,
    local_day,
    money_math,
    session,
    transaction,
)
from core.sdk_web import (
    Filter,
    ListColumn,
    ListContext,
    ListSpec,
    Ordering,
    QuickFilter,
    UnitModelView,
    among,
    check_version,
    form_from_fields,
    may_here,
)

from . import plans, prices, pricing, rights, tariffs, values
from .models import PartPrice, Tariff
from .values import PricedLine

STANDINGS = {
    "draft": (_l("Draft"), "warn"),
    "coming": (_l("Coming"), "info"),
    "current": (_l("In force"), "good"),
    "past": (_l("Over"), "neutral"),
    "withdrawn": (_l("Withdrawn"), "neutral"),
}
# The visit of the worked example.
SAMPLE = values.Plan(people=2, days=Decimal(3), nights=Decimal(2), travel=Decimal(860))
EVERY = "all"  # the code of "all other classes" in a filter: an empty one would be no filter


class PricesView(UnitModelView):
    """What both screens share: everybody may look, finance sets prices."""

    plugin = "warranty"
    permission = rights.VIEW
    create_permission = rights.PRICE
    edit_permission = rights.PRICE
    export_permission = rights.VIEW

    def need(self, permission: str, row: Any | None = None) -> None:
        """Refuse by the clause where one says that prices come from finance (R17-3.5)."""
        if permission == rights.PRICE:
            tariffs.need_finance(g.unit.id if row is None else row.unit_id)
        super().need(permission, row)


# --- tariffs -----------------------------------------------------------------------------------------


def tariff_url(tariff: Tariff) -> str:
    """Return the address of a tariff's page."""
    return url_for("warranty_tariff.details_view", id=tariff.id)


def standing_badge(tariff: Tariff) -> tuple[Any, str]:
    """Return (label, tone) of where a tariff stands today."""
    return STANDINGS[tariffs.standing(tariff, local_day(tariff.unit_id))]


def _released(statement: Select[Any]) -> Select[Any]:
    return statement.where(Tariff.state == prices.RELEASED)


def _current(statement: Select[Any], context: ListContext) -> Select[Any]:
    today = context.today()
    held = Tariff.ends_on.is_(None) | (Tariff.ends_on >= today)
    return _released(statement).where(Tariff.starts_on <= today, held)


def _by_class(statement: Select[Any], codes: Sequence[str], _context: ListContext) -> Select[Any]:
    return statement.where(Tariff.product_class.in_(["" if code == EVERY else code for code in codes]))


TARIFFS = ListSpec(
    name="warranty.tariffs",
    title=_l("Tariffs"),
    model=Tariff,
    columns=(
        ListColumn("name", _l("Name"), lambda t: t.name, link=tariff_url, card="title"),
        ListColumn("standing", _l("State"), standing_badge, "badge", card="badge"),
        ListColumn("product_class", _l("Product class"), lambda t: tariffs.class_text(t.product_class)),
        ListColumn("starts_on", _l("Valid from"), lambda t: t.starts_on, "date", "starts"),
        ListColumn("ends_on", _l("Valid until"), lambda t: t.ends_on, "date"),
        ListColumn("released_at", _l("Released at"), lambda t: t.released_at, "moment", visible=False),
        ListColumn("note", _l("Note"), lambda t: t.note, visible=False, card="hide"),
    ),
    orderings=(
        Ordering("newest", _l("Newest first"), (Tariff.id,)),
        Ordering("starts", _l("Valid from"), (Tariff.starts_on, Tariff.id)),
    ),
    filters=(
        Filter("state", _l("State"), "choice", among(Tariff.state), tariffs.STATES),
        Filter("class", _l("Product class"), "choice", _by_class, ((EVERY, tariffs.ALL_CLASSES), *tariffs.CLASSES)),
    ),
    quick=(
        QuickFilter("current", _l("In force"), _current),
        QuickFilter("coming", _l("Coming"), lambda s, c: _released(s).where(Tariff.starts_on > c.today())),
        QuickFilter("past", _l("Over"), lambda s, c: _released(s).where(Tariff.ends_on < c.today())),
        QuickFilter("drafts", _l("Drafts"), lambda s, _c: s.where(Tariff.state == prices.DRAFT)),
    ),
    search=lambda s, text, _c: s.where(Tariff.name.contains(text, autoescape=True)),
    search_hint=_l("Name"),
    empty=_l("No tariffs yet: the numbers of the clauses in force are charged."),
)


class TariffView(PricesView):
    """Tariffs (收费标准): drafted, released, followed by the next."""

    title = _l("Tariffs")
    icon = "chart"
    create_label = _l("New tariff")
    list_template = "warranty/tariffs.html"
    form_template = "warranty/tariff_form.html"
    details_template = "warranty/tariff.html"

    def list_spec(self) -> ListSpec:
        return TARIFFS

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        return tariffs.FIELDS

    def form_values(self, row: Any) -> dict[str, Any]:
        return tariffs.form_values(row)

    def new_values(self) -> dict[str, Any]:
        return {"starts_on": local_day(g.unit.id), f"{values.TRANSPORT}_per": values.ACTUAL}

    def create(self, values: dict[str, Any]) -> Tariff:
        return tariffs.save_tariff(g.unit.id, values)

    def update(self, row: Any, values: dict[str, Any]) -> None:
        tariffs.save_tariff(row.unit_id, values, row)

    def after_save(self, row: Any) -> str:
        """Stay in the editor: the example beside the prices is worked out anew."""
        return str(self.get_url(".edit_view", id=row.id))

    def form_context(self, row: Any | None) -> dict[str, Any]:
        names = [(item, label) for item, label in values.TARIFF_ITEMS]
        return {"items": names, "head": [one.name for one in tariffs.HEAD_FIELDS], **_example(row)}

    def details(self, row: Any) -> dict[str, Any]:
        may_set = self.allowed(rights.PRICE, row)
        return {
            "badge": standing_badge(row),
            "class_text": tariffs.class_text(row.product_class),
            "rows": price_rows(row),
            "people": _people(row),
            "source": session().scalars(select(Tariff).where(Tariff.id == row.copied_from)).first(),
            "versions": [(one, tariff_url(one), standing_badge(one)) for one in tariffs.of_class(row)],
            "is_draft": row.state == prices.DRAFT,
            "is_released": row.state == prices.RELEASED,
            "may_set": may_set,
            "may_withdraw": may_set and tariffs.standing(row, local_day(row.unit_id)) in ("draft", "coming"),
            **_example(row),
        }

    @expose("/edit/", methods=("GET", "POST"))
    def edit_view(self) -> Any:
        """Show the editor of a draft; what is released or withdrawn leads to its page."""
        row = self.get_one(request.args.get("id"))
        self.need(rights.PRICE, row)
        if row.state != prices.DRAFT:
            flash(_("Only a draft can be changed or released; copy it forward instead"), "warn")
            return redirect(tariff_url(row))
        return super().edit_view()

    @expose("/release/", methods=("POST",))
    def release_view(self) -> Any:
        """Put a draft in force."""
        return self._act(tariffs.release, _("Released."))

    @expose("/withdraw/", methods=("POST",))
    def withdraw_view(self) -> Any:
        """Take a draft back, or a tariff that has not begun."""
        return self._act(tariffs.withdraw, _("Withdrawn."))

    @expose("/copy/", methods=("GET", "POST"))
    def copy_view(self) -> Any:
        """Ask for name, day and percentage, and make the next draft."""
        row = self.get_one(request.args.get("id"))
        self.need(rights.PRICE, row)
        return self._ask(
            _("Copy “%(name)s” forward", name=row.name),
            tariffs.COPY_FIELDS,
            tariffs.copy_values(row),
            lambda given: tariffs.copy_forward(row, given),
            tariff_url(row),
        )

    @expose("/from-clauses/", methods=("GET", "POST"))
    def from_clauses_view(self) -> Any:
        """Ask for the first day, and make drafts of the numbers of the clauses in force."""
        self.need(rights.PRICE)
        return self._ask(
            _("Tariff from the clauses in force"),
            tariffs.START_FIELDS,
            {"starts_on": local_day(g.unit.id)},
            lambda given: tariffs.from_clauses(g.unit.id, given)[0],
            str(self.get_url(".index_view")),
        )

    def _act(self, act: Callable[[Tariff], object], done: str) -> Any:
        row = self.get_one(request.form.get("id"))
        self.need(rights.PRICE, row)
        back = tariff_url(row)
        try:
            with transaction():
                check_version(row, request.form.get("version"))
                act(row)
        except (AppError, StaleDataError) as bad:
            flash(_why(bad), "bad")
        else:
            flash(done, "good")
        return redirect(back)

    def _ask(
        self,
        title: str,
        fields: Sequence[Field],
        start: dict[str, Any],
        make: Callable[[dict[str, Any]], Tariff],
        back: str,
    ) -> Any:
        form = form_from_fields(fields, start, timezone=g.unit.timezone)
        if request.method == "POST" and form.validate_on_submit():
            try:
                with transaction():
                    made = make(form.cleaned)
            except InvalidData as bad:
                form.show(bad)
            except AppError as bad:
                form.problems.append(_why(bad))
            else:
                flash(_("A draft was made. Look it over and release it."), "good")
                return redirect(self.after_save(made))
        page = self.render("warranty/tariff_ask.html", form=form, title=title, back=back)
        return (page, 422) if request.method == "POST" else page


def _why(bad: Exception) -> str:
    texts = bad.texts() if isinstance(bad, AppError) else [Conflict.title]
    return "; ".join(str(one) for one in texts)


def price_rows(tariff: Tariff) -> list[dict[str, Any]]:
    """Return what a tariff charges, item by item, with the clause; what only a clause prices is marked."""
    own, found = {one.item for one in tariff.prices}, prices.prices_of(tariff)
    return [
        {
            "item": label,
            "price": one if one.per != values.ACTUAL else None,
            "per": label_of(values.PRICE_PER, one.per),
            "is_percent": one.per == values.PERCENT,
            "least": one.least or None,
            "clause": one.clause,
            "from_clause": item not in own,
        }
        for item, label in values.TARIFF_ITEMS
        if (one := found.get(item)) is not None
    ]


def example(tariff: Tariff) -> list[PricedLine]:
    """Return what the sample visit out of warranty would cost the customer by a tariff, released or not."""
    at = prices.moment_of(tariff.unit_id, tariff.starts_on)
    basis = plans.basis_for(tariff.unit_id, at, result=values.OUT, product_class=tariff.product_class or prices.OWN)
    lines = pricing.work_out(SAMPLE, replace(basis, prices=prices.prices_of(tariff)))
    return [one for one in lines if one.payer == pricing.CUSTOMER]


def _example(row: Tariff | None) -> dict[str, Any]:
    """Return the worked example beside the prices; nothing for a tariff that is not there yet."""
    if row is None or row.id is None:
        return {"sample": None, "lines": [], "total": None}
    found, language = example(row), current_locale()
    lines = [
        (one.label[language], one.quantity, one.price, money_math.times(one.quantity, one.price)) for one in found
    ]
    return {"sample": SAMPLE, "lines": lines, "total": pricing.total(found, pricing.CUSTOMER)}


def _people(row: Tariff) -> dict[int, str]:
    wanted = [key for key in (row.created_by, row.released_by) if key is not None]
    found = session().execute(select(User.id, User.name).where(User.id.in_(wanted)))
    return {one.id: one.name for one in found}


# --- part prices ---------------------------------------------------------------------------------------


def part_price_url(row: PartPrice) -> str:
    """Return the address of a part price."""
    return url_for("warranty_part_price.details_view", id=row.id)


def _holding(statement: Select[Any], context: ListContext) -> Select[Any]:
    """Keep the prices in force today: begun, in use, and no later one has begun."""
    later, today = aliased(PartPrice), context.today()
    newer = exists().where(
        later.unit_id == PartPrice.unit_id,
        later.number == PartPrice.number,
        later.starts_on > PartPrice.starts_on,
        later.starts_on <= today,
        later.active,
    )
    return statement.where(PartPrice.active, PartPrice.starts_on <= today, ~newer)


PARTS = ListSpec(
    name="warranty.part_prices",
    title=_l("Part prices"),
    model=PartPrice,
    columns=(
        ListColumn("number", _l("Part number"), lambda p: p.number, "code", link=part_price_url, card="title"),
        ListColumn("name", _l("Part"), lambda p: p.name),
        ListColumn("price", _l("Price (yuan)"), lambda p: p.price, "money"),
        ListColumn("starts_on", _l("Valid from"), lambda p: p.starts_on, "date"),
        ListColumn("small", _l("Small fitting"), lambda p: p.small, "bool"),
        ListColumn("active", _l("In use"), lambda p: p.active, "bool", card="hide"),
    ),
    orderings=(
        Ordering("newest", _l("Newest first"), (PartPrice.id,)),
        Ordering(
            "number",
            _l("Part number"),
            (PartPrice.number, PartPrice.starts_on, PartPrice.id),
            descending=False,
        ),
    ),
    filters=(
        Filter("small", _l("Small fitting"), "bool", lambda s, value, _c: s.where(PartPrice.small.is_(value))),
        Filter("active", _l("In use"), "bool", lambda s, value, _c: s.where(PartPrice.active.is_(value))),
    ),
    quick=(
        QuickFilter("current", _l("In force"), _holding),
        QuickFilter(
            "coming",
            _l("Coming"),
            lambda s, c: s.where(PartPrice.active, PartPrice.starts_on > c.today()),
        ),
    ),
    search=lambda s, text, _c: s.where(
        PartPrice.number.startswith(text, autoescape=True) | PartPrice.name.contains(text, autoescape=True)
    ),
    search_hint=_l("Part number or name"),
    empty=_l("No part prices yet. Import finance's list or enter the first price."),
)


class PartPriceView(PricesView):
    """Finance's prices of parts (配件价格)."""

    title = _l("Part prices")
    icon = "box"
    create_label = _l("New part price")
    details_template = "warranty/part_price.html"
    lookup_columns = (PartPrice.number, PartPrice.name)

    def list_spec(self) -> ListSpec:
        return PARTS

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        return tariffs.PART_FIELDS

    def new_values(self) -> dict[str, Any]:
        """Start with what a later price of the same part keeps."""
        asked = {name: request.args.get(name, "")[:120] for name in ("number", "name")}
        return {"starts_on": local_day(g.unit.id), "small": request.args.get("small") == "1", **asked}

    def create(self, values: dict[str, Any]) -> PartPrice:
        return tariffs.save_part_price(g.unit.id, values)

    def update(self, row: Any, values: dict[str, Any]) -> None:
        tariffs.save_part_price(row.unit_id, values, row)

    def details(self, row: Any) -> dict[str, Any]:
        later = {"number": row.number, "name": row.name, "small": "1" if row.small else ""}
        return {
            **super().details(row),
            "prices": [(one, part_price_url(one)) for one in tariffs.prices_of_part(row)],
            "new_url": self.get_url(".create_view", **later) if may_here(rights.PRICE) else "",
        }


def views() -> list[Any]:
    """Return the screens, in the order of the menu."""
    return [
        TariffView(Tariff, endpoint="warranty_tariff", url="warranty/tariffs"),
        PartPriceView(PartPrice, endpoint="warranty_part_price", url="warranty/part-prices"),
    ]
