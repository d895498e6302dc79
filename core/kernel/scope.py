"""Who is acting, and whose records they may touch. No scope, no data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final


class _Everything:
    """A set that holds every unit. Only system scopes have it."""

    def __contains__(self, item: object) -> bool:
        return True

    def __repr__(self) -> str:
        return "EVERY_UNIT"


class _EveryPermission(frozenset[str]):
    """A set that holds every permission: of work that nobody started, in the one unit it is for."""

    def __contains__(self, item: object) -> bool:
        return True


EVERY_UNIT: Final = _Everything()
EVERY_PERMISSION: Final = _EveryPermission()
Units = frozenset[int] | _Everything


@dataclass(frozen=True)
class Scope:
    """What one session may see for its whole life.

    ``read`` and ``write`` are sets of unit ids; ``permissions`` maps a unit id to the codes held
    there (a system scope holds every permission). ``via`` names the shared device somebody works on.
    """

    actor_id: int | None
    read: Units
    write: Units
    reason: str
    permissions: dict[int, frozenset[str]] = field(default_factory=dict, hash=False)
    address: str = ""
    via: str = ""

    @property
    def is_system(self) -> bool:
        return isinstance(self.write, _Everything)

    def may(self, permission: str, unit_id: int) -> bool:
        """Tell whether the actor holds ``permission`` in the unit. Deny by default."""
        return self.is_system or permission in self.permissions.get(unit_id, ())
