"""What warranty adds to the core's pages: the box of a case, list columns, tiles."""

from __future__ import annotations

from typing import Any

from flask import url_for
from flask_babel import lazy_gettext as _l

from core.sdk import Column, Customer, Panel, Record, Tile, may

from . import case_panel, decisions, panel_contract, panels_money
from .rights import DECIDE_OTHERWISE

CASE_LIST = "cases"


def of_record(record: Record) -> list[Panel]:
    """Coverage, application, quote and consent of a case, what is to be done next; what a contract says."""
    return [*panel_contract.of_contract(record), *case_panel.of_case(record)]


def of_customer(customer: Customer) -> list[Panel]:
    """What a customer owes, and their contracts."""
    return [*panels_money.of_customer(customer), *panel_contract.of_customer(customer)]


def columns(list_name: str) -> list[Column]:
    """Coverage of each case."""
    return [Column("coverage", _l("Coverage"), case_panel.of_rows)] if list_name == CASE_LIST else []


def tiles(unit: Any, actor_id: int) -> list[Tile]:
    """Money collected and not handed in, quotes without an answer, admissions to be reviewed."""
    return [*panels_money.tiles(unit, actor_id), *_to_review(unit)]


def _to_review(unit: Any) -> list[Tile]:
    """E67: admissions that somebody is to look at again."""
    count = decisions.to_review(unit.id) if may(DECIDE_OTHERWISE, unit.id) else 0
    if not count:
        return []
    url = url_for("warranty_decision.index_view", quick="to_review")
    return [Tile("to_review", _l("Deemed admissions to be reviewed"), count, url, "warn")]
