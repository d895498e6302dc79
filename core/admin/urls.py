"""Addresses that came from a request and may be followed: only paths of this site."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import request, url_for
from werkzeug.routing import BuildError


def local_path(given: str | None, otherwise: str) -> str:
    """Return ``given`` if it is a plain path of this site, else ``otherwise``."""
    if not given or not given.startswith("/") or given.startswith("//") or "\\" in given:
        return otherwise
    # Browsers drop control characters, which would turn "/<tab>/host" into another site.
    if not given.isprintable():
        return otherwise
    parts = urlsplit(given)
    return given if not parts.scheme and not parts.netloc else otherwise


def back_to(otherwise: str) -> str:
    """Return the page the user came from (``back`` in the request), else ``otherwise``."""
    return local_path(request.values.get("back"), otherwise)


def page_url(endpoint: str, **values: object) -> str:
    """Return the address of a page, or '' where this deployment has no such page."""
    try:
        return url_for(endpoint, **values)  # type: ignore[arg-type]
    except BuildError:
        return ""
