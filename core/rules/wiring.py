"""Puts the rules room into the ports of the rooms below it, once per process."""

from __future__ import annotations

from core.records import ports

from . import approval_gate, approvals, charges, excuses, gates, obligations, penalties, routing


def attach() -> None:
    """Let records ask the clauses and let obligations follow their facts; attaching twice changes nothing."""
    if gates.refusals not in ports.gates:
        ports.gates += [gates.refusals, approval_gate.refusals]
        ports.effects += [approval_gate.spend, charges.carry_out]
        excuses.attach()
        obligations.on_breach.append(penalties.follow_breach)
        obligations.on_withdrawn.append(penalties.follow_withdrawal)
        approvals.handlers |= {penalties.SUBJECT: penalties.decided, charges.SUBJECT: charges.waiver_decided}
        ports.followers.append(obligations.follow)
        ports.clause_is_off.append(gates.is_switched_off)
        ports.new_routers.append(routing.new_record)
        ports.routers.append(routing.step_taken)
        ports.allowances.append(routing.lets)
