"""Background work on many things: one that fails is logged and keeps none of the others waiting."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from core.kernel.database import session, transaction

log = logging.getLogger(__name__)


def one_by_one(name: str, keys: Iterable[int], call: Callable[[int], int]) -> int:
    """Do something with each, every time in a transaction; return the sum of the answers.

    One that fails is rolled back and left to the next round. Inside a transaction of the caller it raises, since
    there nothing could be rolled back by itself.
    """
    inside, count = bool(session().info.get("in_transaction")), 0
    for key in keys:
        try:
            with transaction():
                count += call(key)
        except Exception:  # whatever it is: the others must go on
            if inside:
                raise
            log.exception("%s failed for %d", name, key)
    return count
