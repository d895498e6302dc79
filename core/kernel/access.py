"""The one way to ask for a permission. Which permissions there are is the business of the users room."""

from __future__ import annotations

from .database import current_scope
from .errors import NotAllowed


def may(permission: str, unit_id: int | None) -> bool:
    """Tell whether the present actor holds ``permission`` in the unit. No unit: no."""
    return unit_id is not None and current_scope().may(permission, unit_id)


def require(permission: str, unit_id: int | None) -> None:
    """Pass if the present actor holds ``permission`` in the unit.

    Raises:
        NotAllowed: they do not.
    """
    if not may(permission, unit_id):
        raise NotAllowed(permission)
