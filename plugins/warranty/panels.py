"""What warranty adds to the core's pages: the box of a case, list columns, tiles."""

from __future__ import annotations

from typing import Any

from core.sdk import Column, Customer, Panel, Record, Tile


def of_record(record: Record) -> list[Panel]:
    """Coverage, application, quote and consent of a case, and what is to be done next."""
    return []


def of_customer(customer: Customer) -> list[Panel]:
    """What a customer owes, and their contracts."""
    return []


def columns(list_name: str) -> list[Column]:
    """Coverage of each case."""
    return []


def tiles(unit: Any, actor_id: int) -> list[Tile]:
    """Money collected and not handed in, quotes without an answer."""
    return []
