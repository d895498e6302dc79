"""Quotes, consent, refusal and waiver. The lines are the record's charges; here is what was told and answered."""

from __future__ import annotations

from collections.abc import Sequence

from core.sdk import Fact, Record, Step

from .models import Quote

WAIVER_SUBJECT, COMPENSATION_SUBJECT = "warranty.waiver", "warranty.compensation"


def get_quote(raw_id: object) -> Quote:
    """Return a quote by an id from a request.

    Raises:
        NotFound: no such quote in the scope.
    """
    raise NotImplementedError


def quote_step(step: Step) -> None:
    """Work the fees out and keep a new quote; the one before is replaced. The clocks wait for the customer.

    Raises:
        InvalidData: nothing is payable, a price is missing, an amount is impossible.
    """
    raise NotImplementedError


def after_quote(record: Record, facts: Sequence[Fact]) -> None:
    """The step's charges are written: they are quoted now, and the quote's total is what they come to."""
    raise NotImplementedError


def send_step(step: Step) -> None:
    """Keep that the customer was told, and how (R15-11a)."""
    raise NotImplementedError


def consent_step(step: Step) -> None:
    """Keep the customer's consent and lock the prices (R13-5.2.1.5a).

    Raises:
        Refused: not told yet, lapsed, or a price has changed since the quote.
    """
    raise NotImplementedError


def refuse_step(step: Step) -> None:
    """Keep that the customer refused; from here only a waiver, a new quote or cancelling leads on (R17-7.2.4b)."""
    raise NotImplementedError


def ask_waiver_step(step: Step) -> None:
    """Ask the position of the clause to serve without payment (R17-7.2.4b)."""
    raise NotImplementedError


def cost_step(step: Step) -> None:
    """Check the plan of our own cost; the fee rules book what the company bears."""
    raise NotImplementedError


def compensate_step(step: Step) -> None:
    """Ask for the agreement to compensate a faulty repair (R07-7.3)."""
    raise NotImplementedError


def post_charges(record: Record) -> None:
    """The work is done: post what was consented to and what we bear ourselves."""
    raise NotImplementedError


def waiting(unit_id: int) -> int:
    """Count the quotes of a unit that wait for an answer."""
    return 0
