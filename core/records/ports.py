"""Ports that rooms above fill at assembly, so that nothing imports upwards.

``gates`` add refusals to a step, before (``asking``) or after its form is filled; ``effects`` run after its facts
are written, inside the transaction; ``followers`` are told of any facts of a record, also those without a step.
``clause_is_off`` tells of a guard's clause that the unit has switched off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from core.kernel.errors import Refusal

if TYPE_CHECKING:
    from .engine import Step
    from .models import Fact, Record

Gate = Callable[["Step", bool], Iterable[Refusal]]
Effect = Callable[["Step"], None]
Follower = Callable[["Record", Sequence["Fact"]], None]

gates: list[Gate] = []
effects: list[Effect] = []
followers: list[Follower] = []
clause_is_off: list[Callable[[int, str], bool]] = []
