"""Where a record stands with warranty and money: read once per state of the record, asked by many gates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from sqlalchemy import event, select
from sqlalchemy.orm import Session

from core.sdk import Record, enabled_plugins, session

from . import values
from .models import Claim, Coverage, Quote

KEPT = "warranty_standing"
# By plugin: whether somebody else than the customer and us pays for a record.
others_bear: dict[str, Callable[[Record], bool]] = {}


@dataclass(frozen=True)
class Standing:
    """The current decision, application and quote of a record; None where there is none."""

    coverage: Coverage | None
    claim: Claim | None
    quote: Quote | None

    @property
    def is_decided(self) -> bool:
        return self.coverage is not None

    @property
    def is_free(self) -> bool:
        """The customer owes nothing by what was decided."""
        return self.coverage is not None and self.coverage.result in values.FREE_RESULTS

    @property
    def may_work(self) -> bool:
        """Nothing is left that the customer or the general manager must agree to."""
        return self.quote is None or self.quote.total == 0 or self.quote.state in values.SETTLED_QUOTES


def standing_of(record: Record) -> Standing:
    """Return where a record stands; kept in the session until the record's next fact."""
    kept = session().info.setdefault(KEPT, {})
    key = (record.id, record.fact_seq)
    if key not in kept:
        kept[key] = _read([record.id])[record.id]
    found: Standing = kept[key]
    return found


def is_borne_by_others(record: Record) -> bool:
    """Tell whether a plugin that is on says that somebody else than the customer and us pays for a record."""
    if not others_bear:
        return False
    enabled = enabled_plugins(record.unit_id)
    return any(asked(record) for plugin, asked in others_bear.items() if plugin in enabled)


def standing_of_many(record_ids: Sequence[int]) -> dict[int, Standing]:
    """The same for a page of records, in three statements."""
    return _read(list(record_ids))


class Decided(NamedTuple):
    """What was decided of a record: free for the customer or not, and until when its item was covered then."""

    is_free: bool
    covered_until: date | None


def decisions_of(record_ids: Sequence[int]) -> dict[int, Decided]:
    """Return the current coverage decisions of records, by record id. One select, of columns only."""
    if not record_ids:
        return {}
    wanted = select(Coverage.record_id, Coverage.result, Coverage.covered_until)
    rows = session().execute(wanted.where(Coverage.record_id.in_(record_ids), Coverage.current))
    return {key: Decided(result in values.FREE_RESULTS, until) for key, result, until in rows}


def forget(record: Record) -> None:
    """Drop what was kept: something was written without a fact."""
    session().info.get(KEPT, {}).pop((record.id, record.fact_seq), None)


@event.listens_for(Session, "after_soft_rollback")
def _forget_all(work: Session, _before: object) -> None:
    """What was undone never was: the record's next fact gets the same number again."""
    work.info.pop(KEPT, None)


def _read(ids: list[int]) -> dict[int, Standing]:
    work = session()
    coverage = {
        one.record_id: one
        for one in work.scalars(select(Coverage).where(Coverage.record_id.in_(ids), Coverage.current))
    }
    claims = {one.record_id: one for one in work.scalars(select(Claim).where(Claim.record_id.in_(ids)))}
    quotes = {
        one.record_id: one for one in work.scalars(select(Quote).where(Quote.record_id.in_(ids), Quote.current))
    }
    return {key: Standing(coverage.get(key), claims.get(key), quotes.get(key)) for key in ids}
