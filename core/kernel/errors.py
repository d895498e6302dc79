"""Errors that users may see. Each carries a translated message and an HTTP status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _l


class AppError(Exception):
    """Base of every error whose text is meant for the user."""

    status = 400
    code = "error"
    title: Any = _l("This cannot be done")

    def __init__(self, message: Any = "") -> None:
        super().__init__(message)
        self.message = message or self.title

    def texts(self) -> list[Any]:
        """Return every single thing there is to say, for one line or a list."""
        return [self.message]


class InvalidData(AppError):
    """Input that does not fit. ``errors`` maps a field name to its messages."""

    status = 422
    code = "invalid"
    title = _l("Please check the marked fields")

    def __init__(self, errors: Mapping[str, Any], message: Any = "") -> None:
        super().__init__(message)
        self.errors: dict[str, list[Any]] = {
            name: list(texts) if isinstance(texts, list | tuple) else [texts] for name, texts in errors.items()
        }

    def texts(self) -> list[Any]:
        """Return the messages of all fields."""
        return [text for texts in self.errors.values() for text in texts]


@dataclass(frozen=True)
class Refusal:
    """Why one action is not allowed now: the reason, and the clause it comes from (or '').

    ``inside``: the reason is the unit's own affair, and not told to people of other companies.
    """

    code: str
    text: Any
    clause: str = ""
    inside: bool = False


class Refused(AppError):
    """An action was refused; every reason is collected, never only the first."""

    status = 409
    code = "refused"
    title = _l("This is not possible now")

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        super().__init__()
        self.refusals = list(refusals)

    def texts(self) -> list[Any]:
        """Return every reason, its clause in front."""
        return [f"{r.clause} {r.text}".strip() for r in self.refusals]

    def __str__(self) -> str:
        return "; ".join(self.texts())


class NotAllowed(AppError):
    """The actor lacks a permission (its code in ``permission``)."""

    status = 403
    code = "not_allowed"
    title = _l("You do not have permission for this")

    def __init__(self, permission: str = "", message: Any = "") -> None:
        super().__init__(message)
        self.permission = permission


class NotFound(AppError):
    """Nothing there, or nothing this actor may know of: the two look alike on purpose."""

    status = 404
    code = "not_found"
    title = _l("Not found")


class Conflict(AppError):
    """Somebody else changed the thing meanwhile; nothing was overwritten."""

    status = 409
    code = "conflict"
    title = _l("Somebody else has changed this meanwhile. Reload and try again; nothing was overwritten.")


class ScopeError(RuntimeError):
    """A query ran without a unit scope, or reached outside it. Always a programming mistake."""


class ClosedUnit(NotAllowed, ScopeError):
    """A write to a unit the actor may read only: it was closed. The one scope error that users can meet."""

    def __init__(self) -> None:
        super().__init__(message=_l("This unit is closed; its records can only be read"))
