"""Pages beside the file."""

from __future__ import annotations

from flask import Blueprint


def add_routes(blueprint: Blueprint) -> None:
    """Add the pages to the plugin's blueprint (mounted at ``/p/tools/``)."""
