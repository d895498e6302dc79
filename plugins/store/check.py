"""Scan to check: may this be sold? The answer with every reason and its clause; nothing is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import Refusal, label_of, local_day, require

from . import finding, goods, lots, standing, values
from .models import Lot
from .rights import VIEW

SELLABLE, STOPPED, UNKNOWN = "sellable", "stopped", "unknown"
VERDICTS = (
    (SELLABLE, _l("May be sold")),
    (STOPPED, _l("May not be sold")),
    (UNKNOWN, _l("Not known here")),
)


@dataclass(frozen=True)
class LotAnswer:
    """One batch: whether a piece of it may be sold now, and every reason why not."""

    lot: Lot
    free: int
    refusals: tuple[Refusal, ...] = ()

    @property
    def sellable(self) -> bool:
        return not self.refusals


@dataclass(frozen=True)
class Answer:
    """What a code stands for and whether it may be sold. ``price`` is the public one of the day (yuan)."""

    code: str
    verdict: str
    day: date
    model_id: int | None = None
    name: str = ""
    barcode: str = ""
    price: Decimal | None = None
    lots: tuple[LotAnswer, ...] = ()
    refusals: tuple[Refusal, ...] = field(default=())

    @property
    def label(self) -> Any:
        return label_of(VERDICTS, self.verdict)


def look(unit_id: int, code: object) -> Answer:
    """Tell of a bar code, a model, a batch number or our label whether it may be sold today (permission ``VIEW``).

    A bar code stands for all batches in stock: it may be sold as long as one of them may.

    Raises:
        NotAllowed.
    """
    require(VIEW, unit_id)
    plain, day = str(code or "").strip()[: finding.LONGEST], local_day(unit_id)
    model_id, rows = finding.lots_for(unit_id, plain)
    if model_id is None:
        return Answer(plain, UNKNOWN, day, refusals=(Refusal("unknown", _l("Nothing is known by this code")),))
    seen = standing.of(unit_id, rows, day=day)
    answers = tuple(LotAnswer(one, max(seen[one.id].free, 0), tuple(lots.reasons(seen[one.id]))) for one in rows)
    found = any(one.sellable for one in answers)
    sheet = goods.sheets_of(unit_id, [model_id]).get(model_id)
    return Answer(
        code=plain,
        verdict=SELLABLE if found else STOPPED,
        day=day,
        model_id=model_id,
        name=goods.names_of([model_id]).get(model_id, ""),
        barcode=sheet.barcode if sheet is not None else "",
        price=standing.prices_on(unit_id, [model_id], day).get(model_id),
        lots=answers,
        refusals=() if found else _reasons(answers),
    )


def _reasons(answers: tuple[LotAnswer, ...]) -> tuple[Refusal, ...]:
    if not answers:
        return (Refusal("stock", _l("Nothing of it is in stock")),)
    # Several batches often have the same to say.
    return tuple({(one.clause, str(one.text)): one for each in answers for one in each.refusals}.values())


def state_label(lot: Lot) -> Any:
    """Return the words for a lot's state."""
    return label_of(values.LOT_STATES, lot.state)
