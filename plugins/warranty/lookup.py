"""The warranty look-up by serial number or QR, marks beside items, an item's lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint

from core.sdk import Badge, Panel


def add_routes(blueprint: Blueprint) -> None:
    """Add the pages to the plugin's blueprint (mounted at ``/p/warranty/``)."""


def badges(subject: str, rows: Sequence[Any]) -> Mapping[int, Badge]:
    """Return "covered until" for items of the product file (``products:item``), a whole page at once."""
    return {}


def detail_panels(subject: str, row: Any) -> list[Panel]:
    """Return the warranty lines and their history for an item's page."""
    return []
