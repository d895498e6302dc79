"""Ports that rooms above fill at assembly, so that nothing imports upwards.

``gates`` add refusals to a step; ``effects`` run after its facts are written, inside the transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from core.kernel.errors import Refusal

if TYPE_CHECKING:
    from .engine import Step

Gate = Callable[["Step"], Iterable[Refusal]]
Effect = Callable[["Step"], None]

gates: list[Gate] = []
effects: list[Effect] = []
