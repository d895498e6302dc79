"""What a holder says of a tool in their hands: use ended, taken out, brought in again, more time."""

from __future__ import annotations

from core.sdk import Transition

# Steps of a tool (and their facts): ``end_use`` (use_ended), ``take_out`` (taken_out), ``bring_in`` (brought_in),
# ``extend`` (extended).
TRANSITIONS: tuple[Transition, ...] = ()
