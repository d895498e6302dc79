"""Sending again what the queue has lost, and helping out where all its threads are busy with long work."""

from __future__ import annotations

import time
from datetime import timedelta

from core.kernel import jobs, outbox

from .queue import Queue

ENOUGH = 50  # with so much in the queue its threads have work; more would only be sent twice
AT_ONCE = 200
UNSEEN = timedelta(seconds=1)  # what is younger was sent by whoever published it
SEND_AGAIN = 30.0  # seconds after which an id that is still due was lost on its way


class Sweeper:
    """One per process. It remembers what it has sent, so that it does not fill the queue with the same ids."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self._sent: dict[int, float] = {}

    def sweep(self) -> bool:
        """Send what is due and perhaps lost; return False where the queue does not answer."""
        waiting = self.queue.waiting()
        if waiting is None:
            return False
        now = time.monotonic()
        self._sent = {one: at for one, at in self._sent.items() if now - at < SEND_AGAIN}
        if waiting >= ENOUGH:
            return True
        lost = [one for one in outbox.due(AT_ONCE, UNSEEN) if one not in self._sent]
        if lost and not self.queue.send(lost):
            return False
        self._sent.update(dict.fromkeys(lost, now))
        return True


def held_up(since: timedelta, limit: int) -> list[int]:
    """Return short work that has waited for ``since``: long work may have all the threads."""
    return outbox.due(limit, since, apart_from=(jobs.WATCHED,))
