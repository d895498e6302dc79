"""How screens speak of money: states as badges, payers, and what an amount was worked out from."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.kernel.fields import label_of
from core.rules import charges, penalties
from core.rules.charge_models import (
    AGREED,
    CHARGE_WORDS,
    CONSENTED,
    DROPPED,
    PAYERS,
    PENALTY_WORDS,
    POSTED,
    PROPOSED,
    QUOTED,
    SETTLED,
    VOID,
    WAIVED,
    WITHDRAWN,
    Charge,
    Penalty,
)
from core.rules.rulebook import current_rulebook

from .clauses import said
from .format import money

CHARGE_TONES = {
    PROPOSED: "neutral",
    QUOTED: "info",
    CONSENTED: "warn",
    WAIVED: "paused",
    POSTED: "good",
    SETTLED: "good",
    VOID: "neutral",
}
PENALTY_TONES = {PROPOSED: "warn", AGREED: "bad", DROPPED: "neutral", WITHDRAWN: "paused"}
# What proposals rest on, beside the clause's parameters.
GIVEN = {
    "late_days": _l("Days late"),
    "cost": _l("Extra cost"),
    "hours": _l("Hours"),
    "distance_km": _l("Distance (km)"),
    "quantity": _l("Quantity"),
}


def charge_badge(row: Charge) -> tuple[Any, str]:
    """Return (label, tone) of a charge's state."""
    return label_of(CHARGE_WORDS, row.state), CHARGE_TONES.get(row.state, "neutral")


def penalty_badge(row: Penalty) -> tuple[Any, str]:
    """Return (label, tone) of a proposal's state."""
    return label_of(PENALTY_WORDS, row.state), PENALTY_TONES.get(row.state, "neutral")


def payer_label(code: str) -> Any:
    """Name a payer."""
    return label_of(PAYERS, code)


def amount_words(row: Penalty) -> str:
    """Say what a proposal comes to: an amount, a span to choose from, or that it is open."""
    amount = penalties.amount_now(row)
    if amount is not None:
        return money(amount)
    if row.least is None and row.most is None:
        return _("to be decided")
    least = money(row.least if row.least is not None else Decimal(0))
    return _("%(least)s to %(most)s", least=least, most=money(row.most)) if row.most is not None else least


def origin(row: Charge | Penalty) -> list[tuple[Any, str]]:
    """Return what an amount was worked out from as (label, value): the clause's parameters and what they met."""
    clause = current_rulebook().clauses.get(row.clause)
    titles = {one.name: f"{said(one.title)}" for one in clause.parameters} if clause else {}
    values: Mapping[str, Any] = row.inputs.get("values", {})
    given: Mapping[str, Any] = row.inputs.get("given", {})
    pairs = [(titles.get(name, name), _plain(value)) for name, value in values.items()]
    pairs += [(GIVEN[name], _plain(value)) for name, value in given.items() if name in GIVEN and value is not None]
    if isinstance(row, Charge) and row.quantity != 1:
        pairs.append((_l("Quantity × price"), f"{_plain(row.quantity.normalize())} × {money(row.price)}"))
    versions = row.inputs.get("settings") or ()
    if versions:
        pairs.append((_l("Versions of the clause's settings"), ", ".join(str(one) for one in versions)))
    return pairs


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return _("Yes") if value else _("No")
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value) if value not in (None, "") else "—"


def line_label(row: Charge) -> str:
    """Name a charge line; a correction says so."""
    name = charges.label_of(row)
    if row.source.startswith(charges.ADJUSTMENT):
        return _("Correction: %(name)s", name=name)
    return name
