"""Files of who sold what (销售归属): a row for each item, by serial number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import Importer, InvalidData, Plan, Row, SheetColumn, clean, session
from plugins.products import services as products

from . import file, rebilling, rights, sellers, values
from .models import Agent, Seller
from .sellers import Given, Sale


class SellerImporter(Importer):
    """Who sold which item. What is known already is left alone; another seller needs a reason."""

    key = "agents-sellers"
    title = _l("Sellers of items")
    permission = rights.KEEP
    replaces = (Seller,)
    columns = (
        SheetColumn("serial", _l("Serial number"), ("序列号", "出厂编号", "设备编号", "serial"), required=True),
        SheetColumn(
            "agent",
            _l("Agent or partner"),
            ("代理商", "代理商编号", "代理商名称", "合作厂", "销售方", "agent"),
            required=True,
            help=_l("Number or name in the file"),
        ),
        SheetColumn("sold_on", _l("Sold on"), ("销售日期", "售出日期", "sold on")),
        SheetColumn("document", _l("Sales record"), ("销售单号", "销售记录", "出库单号", "sales record")),
        SheetColumn(
            "reason", _l("Reason"), ("原因", "更正原因", "reason"), help=_l("Needed where another agent is known")
        ),
    )

    def check_rows(self, unit_id: int, rows: Sequence[Row], memory: dict[str, Any]) -> list[Plan]:
        items = products.items_by_serial(unit_id, [row.values.get("serial", "") for row in rows])
        held = sellers.sellers_of([item.id for item in items.values()])
        agents = file.agents_by_text(unit_id)
        return [_plan(row, items, held, agents, memory.setdefault("seen", {})) for row in rows]

    def apply_rows(self, unit_id: int, plans: Sequence[Plan], memory: dict[str, Any]) -> None:
        rows = [plan.values for plan in plans if plan.action in ("create", "update")]
        items = products.items_in_full([row["item"] for row in rows])
        sellers.lock_items(items)
        held = sellers.sellers_of(list(items), fresh=True)
        wanted = select(Agent).where(Agent.unit_id == unit_id, Agent.id.in_({row["agent"] for row in rows}))
        agents = {agent.id: agent for agent in session().scalars(wanted)}
        sales = [Sale(items[row["item"]], held.get(row["item"]), _given(row, agents)) for row in rows]
        sellers.put(sales, values.BY_IMPORT)
        # By themselves: what follows from the rows is not taken back as if it were rows of the file.
        rebilling.follow_later(unit_id, sellers.moved(sales))

    def undone(
        self, unit_id: int, removed: Mapping[str, Sequence[int]], restored: Mapping[str, Sequence[int]]
    ) -> None:
        """Cases are billed anew by who counts as the seller again, or taken back where nobody does."""
        again = list(restored.get(Seller.__tablename__, ()))
        for start in range(0, len(again), sellers.CHUNK):
            some = select(Seller.item_id).where(Seller.id.in_(again[start : start + sellers.CHUNK]))
            rebilling.follow_later(unit_id, list(session().scalars(some)))
        if removed.get(Seller.__tablename__):
            rebilling.follow_unknown(unit_id)


def _plan(
    row: Row,
    items: Mapping[str, Any],
    known: Mapping[int, Seller],
    agents: Mapping[str, Agent],
    seen: dict[str, int],
) -> Plan:
    serial = products.tidy_serial(row.values.get("serial", ""))
    plan = Plan(row.line, "create", label=serial)
    item, errors = items.get(serial), {}
    if item is None:
        errors["serial"] = _l("No item with this serial number")
    given = _read(row.values, agents, errors)
    line = seen.setdefault(serial, row.line)
    if serial and line != row.line:
        errors["serial"] = _l("Line %(line)d has this serial number already", line=line)
    held = known.get(item.id) if item is not None else None
    if item is not None and given is not None:
        errors |= sellers.why_not(item, held, given)
    plan.errors = [(name, text) for name, text in errors.items()]
    if errors or item is None or given is None:
        return plan
    plan.values = _plain(item, given)
    if held is not None:
        plan.action, plan.target = "same" if sellers.is_known(held, given) else "update", held.id
    return plan


def _read(cells: Mapping[str, str], agents: Mapping[str, Agent], errors: dict[str, Any]) -> Given | None:
    """Read a row; what is wrong with it goes into ``errors`` by column."""
    raw = {one.name: cells.get(one.name, "") for one in sellers.FIELDS}
    try:
        day = products.fields.read_date(raw["sold_on"])
        raw["sold_on"] = day.isoformat() if day else ""
    except ValueError:
        errors["sold_on"] = _l("This is not a date")
        raw["sold_on"] = ""
    try:
        typed = clean(sellers.FIELDS, raw)
    except InvalidData as bad:
        errors |= {name: texts[0] for name, texts in bad.errors.items()}
        return None
    agent = agents.get(file.fold(typed["agent"]))
    if agent is None:
        errors["agent"] = sellers.NO_AGENT
        return None
    return Given(agent, typed["sold_on"], typed["document"] or "", typed["reason"] or "")


def _plain(item: Any, given: Given) -> dict[str, Any]:
    return {
        "item": item.id,
        "agent": given.agent.id,
        "sold_on": given.sold_on.isoformat() if given.sold_on else "",
        "document": given.document,
        "reason": given.reason,
    }


def _given(row: Mapping[str, Any], agents: Mapping[int, Agent]) -> Given:
    sold_on = date.fromisoformat(row["sold_on"]) if row["sold_on"] else None
    return Given(agents[row["agent"]], sold_on, row["document"], row["reason"])


def importers() -> list[Importer]:
    """Return what can be taken over."""
    return [SellerImporter()]
