"""Screens of the kitchen: food that arrived, the processing log, food samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, select
from sqlalchemy.orm import contains_eager

from core.sdk import Field, InvalidData, Record, Refused, Tile, clock, current_scope, label_of
from core.sdk_web import (
    BulkAction,
    Filter,
    ListColumn,
    ListContext,
    ListScreen,
    ListSpec,
    Ordering,
    QuickFilter,
    UnitModelView,
    among,
    between,
    form_key,
)

from . import days, food, processing, samples, values
from .models import Food, Processing, Sample
from .rights import CATERING, VIEW
from .screens_service import (
    PLUGIN,
    capped,
    chosen_place,
    found_by_words,
    in_state,
    record_url,
    state_column,
)

KITCHENS = (values.CATERING,)


def _foods() -> Select[Any]:
    return select(Food).join(Food.record).options(contains_eager(Food.record))


FOODS = ListSpec(
    name="hotel.foods",
    title=_l("Receipts of food"),
    model=Food,
    base=_foods,
    columns=(
        ListColumn("number", _l("Number"), lambda f: f.record.number, "code", link=record_url),
        ListColumn("title", _l("What arrived"), lambda f: f.record.title, link=record_url, card="title"),
        ListColumn("supplier", _l("Supplier"), lambda f: f.supplier, card="hide"),
        ListColumn("note", _l("Delivery note"), lambda f: f.delivery_note),
        ListColumn("arrived", _l("Arrived at"), lambda f: f.arrived_at, "moment"),
        state_column(values.FOOD_STATES),
    ),
    orderings=(
        Ordering("newest", _l("Newest first"), (Food.arrived_at, Food.id)),
        Ordering("oldest", _l("Oldest first"), (Food.arrived_at, Food.id), descending=False),
    ),
    filters=(
        Filter("state", _l("State"), "choice", among(Record.state), values.FOOD_STATES),
        Filter("arrived", _l("Arrived at"), "dates", between(Food.arrived_at)),
    ),
    quick=(QuickFilter("open", _l("Waiting for acceptance"), in_state(values.RECEIVED)),),
    search=found_by_words(Food, food.CODE),
    search_hint=_l("Number, supplier or delivery note"),
    empty=_l("No food was received yet."),
)


class FoodScreen(ListScreen):
    """Receipts of food (食材验收)."""

    plugin = PLUGIN
    permission = VIEW
    export_permission = VIEW
    create_label = _l("Receive food")
    icon = "box"

    def list_spec(self) -> ListSpec:
        return FOODS

    def row_url(self, row: Any) -> str:
        return record_url(row)

    def create_url(self) -> str:
        return url_for("hotel.food_new") if current_scope().may(CATERING, g.unit.id) else ""


# --- the processing log ------------------------------------------------------------------------------


def _judged(row: Processing) -> tuple[Any, str]:
    if row.struck_at is not None:
        return _l("Struck out"), "neutral"
    return (_l("As it should be"), "good") if row.fine else (_l("Not as it should be"), "bad")


LOG = ListSpec(
    name="hotel.processing",
    title=_l("Processing log"),
    model=Processing,
    columns=(
        ListColumn("at", _l("When"), lambda p: p.at, "moment"),
        ListColumn("meal", _l("Meal"), lambda p: label_of(values.MEALS, p.meal)),
        ListColumn("step", _l("Step"), lambda p: label_of(values.PROCESSING, p.step)),
        ListColumn("dish", _l("Dish"), lambda p: p.dish, card="title"),
        ListColumn("degrees", _l("Temperature (℃)"), lambda p: p.degrees, "number"),
        ListColumn("fine", _l("State"), _judged, "badge", card="badge"),
        ListColumn("note", _l("Note"), lambda p: " · ".join(one for one in (p.note, p.struck_reason) if one)),
    ),
    orderings=(
        Ordering("newest", _l("Newest first"), (Processing.at, Processing.id)),
        Ordering("oldest", _l("Oldest first"), (Processing.at, Processing.id), descending=False),
    ),
    filters=(
        Filter("meal", _l("Meal"), "choice", among(Processing.meal), values.MEALS),
        Filter("step", _l("Step"), "choice", among(Processing.step), values.PROCESSING),
        Filter("at", _l("When"), "dates", between(Processing.at)),
    ),
    quick=(
        QuickFilter(
            "wrong",
            _l("Not as it should be"),
            lambda s, _c: s.where(~Processing.fine, Processing.struck_at.is_(None)),
        ),
    ),
    actions=(
        BulkAction(
            "strike",
            _l("Strike out"),
            lambda row, raw: processing.strike(row.id, str(raw.get("reason") or "")),
            fields=lambda: (Field("reason", "text", _l("Reason"), True, max_length=200),),
            permission=CATERING,
        ),
    ),
    empty=_l("Nothing was logged yet."),
)


class ProcessingView(UnitModelView):
    """The processing log (加工记录): entries are made and struck out, never changed."""

    plugin = PLUGIN
    title = _l("Processing log")
    icon = "edit"
    create_label = _l("Enter a step")
    permission = VIEW
    create_permission = CATERING
    export_permission = VIEW

    def list_spec(self) -> ListSpec:
        return LOG

    def row_url(self, row: Any) -> str:
        return ""

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        return chosen_place(processing.FIELDS, g.unit.id, KITCHENS)

    def create(self, values: dict[str, Any]) -> Any:
        return processing.log(g.unit.id, values, key=form_key())

    def after_save(self, row: Any) -> str:
        return str(self.get_url(".index_view"))

    @expose("/details/")
    def details_view(self) -> ResponseReturnValue:
        """An entry has no page of its own: lead to the log."""
        self.get_one(request.args.get("id"))
        return redirect(self.get_url(".index_view"))


# --- samples -----------------------------------------------------------------------------------------


def _sample_badge(row: Sample) -> tuple[Any, str]:
    if row.disposed_at is not None:
        return _l("Thrown away"), "neutral"
    return (_l("May be thrown away"), "warn") if row.keep_until <= clock.now() else (_l("Kept"), "good")


def _may_go(statement: Select[Any], _context: ListContext) -> Select[Any]:
    return statement.where(Sample.disposed_at.is_(None), Sample.keep_until <= clock.now())


SAMPLES = ListSpec(
    name="hotel.samples",
    title=_l("Food samples"),
    model=Sample,
    columns=(
        ListColumn("dish", _l("Dish"), lambda s: s.dish, card="title"),
        ListColumn("meal", _l("Meal"), lambda s: label_of(values.MEALS, s.meal)),
        ListColumn("day", _l("Hotel day"), lambda s: s.hotel_day, "date", card="hide"),
        ListColumn("grams", _l("Grams"), lambda s: s.grams, "number"),
        ListColumn("kept", _l("Kept since"), lambda s: s.kept_at, "moment"),
        ListColumn("until", _l("Kept until"), lambda s: s.keep_until, "moment"),
        ListColumn("gone", _l("Thrown away at"), lambda s: s.disposed_at, "moment", card="hide"),
        ListColumn("state", _l("State"), _sample_badge, "badge", card="badge"),
        ListColumn("note", _l("Note"), lambda s: s.note, card="hide"),
    ),
    orderings=(
        Ordering("newest", _l("Newest first"), (Sample.kept_at, Sample.id)),
        Ordering("oldest", _l("Oldest first"), (Sample.kept_at, Sample.id), descending=False),
    ),
    filters=(
        Filter("meal", _l("Meal"), "choice", among(Sample.meal), values.MEALS),
        Filter("kept", _l("Kept since"), "dates", between(Sample.kept_at)),
    ),
    quick=(
        QuickFilter("due", _l("May be thrown away"), _may_go),
        QuickFilter("kept", _l("Kept"), lambda s, _c: s.where(Sample.disposed_at.is_(None))),
    ),
    actions=(
        BulkAction("dispose", _l("Throw away"), lambda row, raw: samples.dispose(row.id), permission=CATERING),
    ),
    empty=_l("No samples yet."),
)


class SampleView(UnitModelView):
    """Food samples (食品留样)."""

    plugin = PLUGIN
    title = _l("Food samples")
    icon = "box"
    create_label = _l("Keep a sample")
    permission = VIEW
    create_permission = CATERING
    export_permission = VIEW

    def list_spec(self) -> ListSpec:
        return SAMPLES

    def row_url(self, row: Any) -> str:
        return ""

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        return chosen_place(samples.FIELDS, g.unit.id, KITCHENS)

    def create(self, values: dict[str, Any]) -> Any:
        try:
            return samples.keep(g.unit.id, values, key=form_key())
        except Refused as bad:
            raise InvalidData({"grams": bad.texts()}) from None

    def after_save(self, row: Any) -> str:
        return str(self.get_url(".index_view"))

    @expose("/details/")
    def details_view(self) -> ResponseReturnValue:
        """A sample has no page of its own: lead to the list."""
        self.get_one(request.args.get("id"))
        return redirect(self.get_url(".index_view"))


def views() -> list[Any]:
    """Return the screens."""
    return [
        FoodScreen(name=_l("Receipts of food"), endpoint="hotel_foods", url="/admin/hotel/foods"),
        ProcessingView(Processing, endpoint="hotel_processing", url="hotel/processing"),
        SampleView(Sample, endpoint="hotel_samples", url="hotel/samples"),
    ]


def tiles(unit: Any, _actor_id: int) -> list[Tile]:
    """Return the kitchen's numbers for one person's dashboard: food to judge, samples to keep and to throw away."""
    if not current_scope().may(CATERING, unit.id):
        return []
    waiting = select(Record.id).where(Record.unit_id == unit.id, Record.type == food.CODE)
    since = days.begins(unit.id, days.hotel_day(unit.id))
    today = select(Sample.id).where(Sample.unit_id == unit.id, Sample.kept_at >= since)
    found = [
        Tile(
            "hotel_foods",
            _l("Food to be judged"),
            capped(waiting.where(Record.state == values.RECEIVED)),
            url_for("hotel_foods.index_view", quick="open"),
            "warn",
        ),
        Tile(
            "hotel_samples_due",
            _l("Samples to throw away"),
            capped(samples.due(unit.id).with_only_columns(Sample.id)),
            url_for("hotel_samples.index_view", quick="due"),
            "warn",
        ),
        Tile(
            "hotel_samples_today",
            _l("Samples kept today"),
            capped(today),
            url_for("hotel_samples.index_view"),
        ),
    ]
    return [one for one in found if one.value]
