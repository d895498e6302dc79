"""The warranty look-up by serial number or QR, marks beside items, an item's lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.sdk import (
    AppError,
    Badge,
    Column,
    Panel,
    current_scope,
    effective,
    enabled_plugins,
    fetch,
    holds,
    label_of,
    local_day,
    require,
    setting,
    transaction,
)
from core.sdk_web import page_url
from plugins.products import services as products

from . import cover, events, rights, settings, terms, values
from .models import ItemEvent
from .terms import Entitlement
from .values import EventFacts, WarrantyLine

ITEMS = "products:item"
ITEM_LIST = "products.items"
LONGEST = 200  # of a serial number as somebody types it
_MISSING = {
    values.PURCHASE: _l("Date of purchase not known"),
    values.HANDOVER: _l("Date of hand-over not known"),
    values.DELIVERY: _l("Date of delivery not known"),
}


def add_routes(blueprint: Blueprint) -> None:
    """Add the pages to the plugin's blueprint (mounted at ``/p/warranty/``)."""
    blueprint.add_url_rule("/lookup", view_func=lookup)
    blueprint.add_url_rule("/events/withdraw", view_func=withdraw, methods=["POST"])
    blueprint.add_url_rule("/events/extend", view_func=extend, methods=["POST"])


# --- pages -----------------------------------------------------------------------------------


def lookup() -> ResponseReturnValue:
    """Show what is owed for a serial number of the current unit; one that is not known here is told plainly."""
    require(rights.VIEW, g.unit.id)
    serial = request.args.get("serial", "").strip()[:LONGEST]
    item = products.find_item(g.unit.id, serial) if serial else None
    shown = {"context": context_of(item), "records": _records_of(item)} if item is not None else {}
    return render_template("warranty/lookup.html", serial=serial, item=item, **shown)


def withdraw() -> ResponseReturnValue:
    """Take back an event that was entered by mistake."""
    row = fetch(ItemEvent, request.form.get("id"))
    item = products.get_item(row.item_id)
    return _done(item, lambda: events.withdraw_event(row.id, request.form.get("reason", "")))


def extend() -> ResponseReturnValue:
    """Enter that a last service failed: the term of the set is extended (R22-1.W6b)."""
    item = products.get_item(request.form.get("id"))
    require(rights.TERMS, item.unit_id)
    today, reason = local_day(item.unit_id), request.form.get("reason", "").strip()
    if not reason:
        flash(_("Please give the reason"), "bad")
        return redirect(lookup_url(item))
    # Pressed twice on a day it is the same extension.
    return _done(item, lambda: events.extend(item, today, source=f"hand:{today}", reason=reason[:500]))


def _done(item: Any, action: Any) -> ResponseReturnValue:
    try:
        with transaction():
            action()
    except AppError as problem:
        if problem.status in (403, 404):
            raise
        flash(" ".join(str(text) for text in problem.texts()), "bad")
    else:
        flash(_("Saved."), "good")
    return redirect(lookup_url(item))


def lookup_url(item: Any) -> str:
    """Return the address of an item's look-up page."""
    return url_for("warranty.lookup", serial=item.serial)


def _records_of(item: Any) -> list[tuple[Any, str]]:
    found = products.records_of_item(item)
    return [(record, page_url("record.page", record_id=record.id)) for record in found]


# --- marks and boxes ---------------------------------------------------------------------------


def badges(subject: str, rows: Sequence[Any]) -> Mapping[int, Badge]:
    """Return "covered until" for items of the product file (``products:item``), a whole page at once."""
    if subject != ITEMS:
        return {}
    seen = [row for row in rows if _shows(row.unit_id)]
    found = {row.id: badge_of(row, lines) for row, lines in _with_lines(seen)}
    return {key: badge for key, badge in found.items() if badge is not None}


def _shows(unit_id: int) -> bool:
    """Lists may go over several units: the plugin must be on there, too."""
    return current_scope().may(rights.VIEW, unit_id) and cover.PLUGIN in enabled_plugins(unit_id)


def _with_lines(rows: Sequence[Any]) -> list[tuple[Any, list[WarrantyLine]]]:
    lines = cover.cover_of_many(rows)
    return [(row, lines[row.id]) for row in rows]


def columns(list_name: str) -> list[Column]:
    """Return the same words as a column of the list of items."""
    return [Column("cover", _l("Warranty"), _texts)] if list_name == ITEM_LIST else []


def _texts(rows: Sequence[Any]) -> Mapping[int, Any]:
    return {key: badge.label for key, badge in badges(ITEMS, rows).items()}


def badge_of(item: Any, lines: Sequence[WarrantyLine]) -> Badge | None:
    """Return the mark of an item: until when it is covered, ending soon, over, or the missing day."""
    if item.replaced_by_id:
        return Badge(_("Exchanged"))
    today, until = local_day(item.unit_id), terms.covered_until(lines)
    if until is None:
        return Badge(_("Starting day not known"), "warn") if terms.missing_start(lines) else None
    running, later = terms.running_until(lines, today), terms.begins_later(lines, today)
    if running is not None:
        until = running
        soon = today + timedelta(days=setting(item.unit_id, settings.ENDING_DAYS))
        if until <= soon:
            return Badge(_("Ending soon, in warranty until %(day)s", day=until.isoformat()), "warn")
        return Badge(_("In warranty until %(day)s", day=until.isoformat()), "good")
    if later is not None:
        return Badge(_("In warranty from %(day)s on", day=later.isoformat()), "info")
    exchange = [line for line in lines if line.action == values.EXCHANGE and not line.part and line.covers(today)]
    if exchange:
        last = max(line.ends_on or today for line in exchange)
        return Badge(_("Exchange until %(day)s", day=last.isoformat()), "info")
    return Badge(_("Warranty ended on %(day)s", day=until.isoformat()), "bad")


def detail_panels(subject: str, row: Any) -> list[Panel]:
    """Return the warranty lines and their history for an item's page."""
    if subject != ITEMS or not current_scope().may(rights.VIEW, row.unit_id):
        return []
    return [Panel("warranty", _l("Warranty"), "warranty/cover_panel.html", context_of(row), 20)]


def context_of(item: Any) -> dict[str, Any]:
    """Return what the box of an item's cover shows."""
    today, lines = local_day(item.unit_id), cover.cover_of(item)
    history = cover.history_of(item)
    names = cover.term_names([item.unit_id])
    owed = owed_today(item, lines)
    may_change = current_scope().may(rights.TERMS, item.unit_id)
    return {
        "item": item,
        "badge": badge_of(item, lines),
        "given": _given(item),
        "lines": [{"line": one, "basis": _basis(one, names), "state": _state(one, today)} for one in lines],
        "owed": [{"one": one, "basis": _basis(one.line, names) if one.line else ""} for one in owed],
        "history": [(row, _record_url(row)) for row in history],
        "label": label_of,
        "values": values,
        "missing": _MISSING,
        "url": lookup_url(item),
        "may_change": may_change,
        "may_extend": may_change and holds(item.unit_id, "R22-1.W6b") and _runs(lines, today),
    }


def owed_today(
    item: Any, lines: Sequence[WarrantyLine] | None = None, happened: Sequence[EventFacts] | None = None
) -> list[Entitlement]:
    """Return what the customer may ask for today; nothing of an item that was exchanged for another one."""
    if item.replaced_by_id:
        return []
    held = cover.cover_of(item) if lines is None else lines
    known = cover.events_of([item.id])[item.id] if happened is None else happened
    return terms.entitlements(held, known, local_day(item.unit_id), repairs=_repairs(item.unit_id))


def _repairs(unit_id: int) -> int:
    """SB-5: after how many repairs of the same fault an exchange is due; 0 where the clause is off."""
    found = effective(unit_id, "SB-5")
    return int(found.values["repairs"]) if found.holds else 0


def _given(item: Any) -> dict[str, Any]:
    """The item that was given for this one, and how to look at it."""
    if not item.replaced_by_id:
        return {}
    other = products.items_in_full([item.replaced_by_id]).get(item.replaced_by_id)
    return {"serial": other.serial, "url": lookup_url(other)} if other is not None else {}


def _basis(line: WarrantyLine, names: Mapping[str, str]) -> str:
    """What a line rests on where it is no clause."""
    if line.clause:
        return ""
    if line.source == cover.FROM_MODEL:
        return _("Product file")
    return names.get(line.source, "")


def _state(line: WarrantyLine, today: date) -> tuple[str, str]:
    if line.starts_on is None or line.ends_on is None:
        return _("Starting day not known"), "warn"
    if line.starts_on > today:
        return _("Not begun yet"), "info"
    return (_("Covered"), "good") if today <= line.ends_on else (_("Run out"), "")


def _runs(lines: Sequence[WarrantyLine], today: date) -> bool:
    return any(one.scope == values.SET and one.action == values.REPAIR and one.covers(today) for one in lines)


def _record_url(row: ItemEvent) -> str:
    return page_url("record.page", record_id=row.record_id) if row.record_id else ""
