"""Puts the rules room into the ports of the rooms below it, once per process."""

from __future__ import annotations

from core.records import ports

from . import gates, obligations


def attach() -> None:
    """Let records ask the clauses and let obligations follow their facts; attaching twice changes nothing."""
    if gates.refusals not in ports.gates:
        ports.gates.append(gates.refusals)
        ports.followers.append(obligations.follow)
        ports.clause_is_off.append(gates.is_switched_off)
