"""Ports that rooms above fill at assembly, so that nothing imports upwards.

``gates`` add refusals to a step, before (``asking``) or after its form is filled; ``effects`` run after its facts
are written, inside the transaction; ``followers`` are told of any facts of a record, also those without a step.
``told`` are called when notices were put into inboxes (to wake whoever sends them on).
``clause_is_off`` tells of a guard's clause that the unit has switched off. ``new_routers`` and ``routers`` say who
gets a record; ``allowances`` let somebody take a step whose position alone would not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from core.kernel.errors import Refusal

if TYPE_CHECKING:
    from .engine import Step
    from .models import Fact, Record

Gate = Callable[["Step", bool], Iterable[Refusal]]
Effect = Callable[["Step"], None]
Follower = Callable[["Record", Sequence["Fact"]], None]


@dataclass(frozen=True)
class Routed:
    """Who gets a new record: position and priority (None: as asked for), words for its first fact, whom to tell."""

    position: str = ""
    priority: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    tell: Callable[[Record], None] | None = None


gates: list[Gate] = []
effects: list[Effect] = []
followers: list[Follower] = []
clause_is_off: list[Callable[[int, str], bool]] = []
# (type code, unit, details) of a record about to be written.
new_routers: list[Callable[[str, int, Any], Routed]] = []
# A step that has been applied; answers further words for its fact.
routers: list[Callable[[Step], Mapping[str, Any]]] = []
allowances: list[Callable[[Step], bool]] = []
told: list[Callable[[], object]] = []
