"""Gates for plugins that are switched off: their addresses answer 404."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Blueprint, Flask, g, request

from .errors import NotFound
from .manifest import Manifest


def is_enabled(plugin: str) -> bool:
    """Tell whether ``plugin`` is on in the unit of this request (never outside one)."""
    return plugin in getattr(g.get("unit"), "enabled", ())


def mount(app: Flask, one: Manifest, blueprints: list[Blueprint]) -> None:
    """Register a plugin's blueprints under ``/p/<plugin>/``, gated, and its ``static`` folder.

    Raises:
        ValueError: a blueprint's name does not begin with the plugin's.
    """
    for blueprint in blueprints:
        if blueprint.name.partition("_")[0] != one.name:
            raise ValueError(
                f"plugin {one.name}: the blueprint {blueprint.name} must be named {one.name} or {one.name}_..."
            )
        if not blueprint._got_registered_once:  # a second application of the same process finds the gate in place
            blueprint.before_request(partial(_gate, one.name))
        inner = blueprint.url_prefix or ""
        app.register_blueprint(blueprint, url_prefix=f"/p/{one.name}{inner}")
    if (one.folder / "static").is_dir():
        files = Blueprint(f"{one.name}_static", one.package, static_folder=str(one.folder / "static"))
        app.register_blueprint(files, url_prefix=f"/p/{one.name}")


def _gate(plugin: str) -> Any:
    if request.endpoint and request.endpoint.endswith(".static"):
        return
    if not is_enabled(plugin):
        raise NotFound()
