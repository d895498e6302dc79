"""The request as the application reads it: bounded, and without what no database takes."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from flask import Request
from werkzeug.datastructures import ImmutableMultiDict, MultiDict

# Bytes of a form without files. The parser reads such a body whole, so the limit for uploads does not fit it.
MOST_TEXT = 2 * 1024 * 1024


class BoundedRequest(Request):
    """Drops NUL characters from addresses and forms (PostgreSQL refuses them) and bounds forms without files."""

    @property
    def max_content_length(self) -> int | None:
        """The most bytes of this request's body; more is answered with 413."""
        most = super().max_content_length
        if self.mimetype != "application/x-www-form-urlencoded":
            return most
        return min(most or MOST_TEXT, MOST_TEXT)

    @max_content_length.setter
    def max_content_length(self, value: int | None) -> None:
        self._max_content_length = value

    @cached_property
    def args(self) -> MultiDict[str, str]:  # type: ignore[override]
        return _without_nul(super().args)

    def _load_form_data(self) -> None:
        super()._load_form_data()
        self.__dict__["form"] = _without_nul(self.form)


def _without_nul(given: MultiDict[str, str]) -> Any:
    pairs = list(given.items(multi=True))
    if not any("\0" in name or "\0" in value for name, value in pairs):
        return given
    return ImmutableMultiDict((name.replace("\0", ""), value.replace("\0", "")) for name, value in pairs)
