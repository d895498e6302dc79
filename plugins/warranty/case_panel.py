"""The box of a case: coverage and why, papers, earlier decisions, quote and consent, who pays, what is next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from flask import url_for
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import Panel, Record, User, charges, clock, current_scope, label_of, local_day, may, session

from . import claims, coverage, decisions, rights, values
from .models import Claim, Coverage, Quote
from .standing import Standing, is_borne_by_others, standing_of
from .workflow import QUOTED, TRANSITIONS

TEMPLATE = "warranty/case_panel.html"
SHOWN_NATURES = ("", "complaint", *decisions.NATURES)
EARLIER_SHOWN = 10
QUOTE_TONES = {
    values.DRAFT: "info",
    values.SENT: "info",
    values.CONSENTED: "good",
    values.WAIVED: "good",
    values.REFUSED: "bad",
    values.LAPSED: "warn",
    values.REPLACED: "paused",
}
_STEPS = {one.name.partition(":")[2]: one for one in TRANSITIONS}


class Decision(NamedTuple):
    """A coverage decision in words."""

    row: Coverage
    label: Any
    tone: str
    why: Any
    cause: Any
    who: str


def of_case(record: Record) -> list[Panel]:
    """Return the box of a case, nothing for cases that are about no goods."""
    if record.type != "case" or not _may_see(record):
        return []
    now = standing_of(record)
    case = decisions.case_of(record)
    if case is None or (case.nature not in SHOWN_NATURES and not (now.coverage or now.quote)):
        return []
    history = _history(record)
    names = _names(row.decided_by for row in history)
    context = {
        "record": record,
        "decision": next((_words(row, names) for row in history if row.current), None),
        "earlier": [_words(row, names) for row in history if not row.current],
        "ahead": _ahead(record, now),
        "papers": _papers(record, now.claim),
        "inspection": now.claim.inspection if now.claim is not None and now.claim.inspected_at else None,
        "quote": _quote(now.quote),
        "totals": _totals(record),
        "steps": _next(record, now),
        "payers": dict(charges.PAYERS),
    }
    return [Panel("coverage", _l("Warranty and fees"), TEMPLATE, context, 15)]


def _may_see(record: Record) -> bool:
    return may(rights.VIEW, record.unit_id) or record.assignee_id == current_scope().actor_id


def _history(record: Record) -> Sequence[Coverage]:
    rows = select(Coverage).where(Coverage.record_id == record.id).order_by(Coverage.id.desc())
    return session().scalars(rows.limit(EARLIER_SHOWN)).all()


def _names(ids: Iterable[int | None]) -> Mapping[int, str]:
    wanted = {one for one in ids if one}
    if not wanted:
        return {}
    found = session().execute(select(User.id, User.name).where(User.id.in_(wanted)))
    return {row.id: row.name for row in found}


def _words(row: Coverage, names: Mapping[int, str]) -> Decision:
    return Decision(
        row,
        label_of(values.RESULTS, row.result),
        values.TONES.get(row.result, "neutral"),
        coverage.why_text(row.line.get("why", ""), row.line.get("given")),
        label_of(values.CAUSES, row.cause) if row.cause else "",
        names.get(row.decided_by or 0, ""),
    )


def _ahead(record: Record, now: Standing) -> Any:
    """Return what the days alone say while nothing is decided: what staff will most likely decide."""
    if now.coverage is not None or not record.is_open:
        return None
    return coverage.judge(decisions.situation_of(record, {"cause": "unknown"}, clock.now()))


def _papers(record: Record, claim: Claim | None) -> Mapping[str, Any] | None:
    wanted = claims.wanted_papers(record.unit_id)
    if not wanted and not (claim is not None and claim.papers):
        return None
    shown = claim.papers if claim is not None else []
    return {
        "shown": [label_of(values.PAPERS, one) for one in shown],
        "missing": [label_of(values.PAPERS, one) for one in claims.missing_papers(record, claim)],
        "complete_at": claim.complete_at if claim is not None else None,
        "lost": claim.lost_reason if claim is not None and claim.lost else "",
        "approval": claim.approval_id if claim is not None else None,
    }


def _quote(quote: Quote | None) -> Mapping[str, Any] | None:
    if quote is None:
        return None
    return {
        "row": quote,
        "label": label_of(values.QUOTE_STATES, quote.state),
        "tone": QUOTE_TONES.get(quote.state, "neutral"),
        "means": label_of(values.CONSENT_MEANS, quote.means) if quote.means else "",
        "is_over": quote.valid_until is not None and _is_past(quote),
    }


def _is_past(quote: Quote) -> bool:
    last: date | None = quote.valid_until
    return last is not None and quote.state in (values.DRAFT, values.SENT) and local_day(quote.unit_id) > last


def _totals(record: Record) -> Sequence[Any]:
    return charges.totals(record.id) if may("charge.view", record.unit_id) else ()


def _next(record: Record, now: Standing) -> list[tuple[Any, str]]:
    """Return the steps that lead on, as (label, address); the page itself says what stands against the others."""
    if not (may(rights.HANDLE, record.unit_id) or record.assignee_id == current_scope().actor_id):
        return []
    wanted = [_STEPS[name] for name in _wanted(record, now)]
    return [
        (one.label, url_for("record.do", record_id=record.id, step=one.name))
        for one in wanted
        if record.state in one.sources
    ]


def _wanted(record: Record, now: Standing) -> list[str]:
    if record.state == QUOTED:
        return _answers(now.quote)
    found = []
    if claims.missing_papers(record, now.claim) and (now.coverage is None or now.is_free):
        found.append("claim")
    if now.coverage is None:
        return [*found, "decide"]
    if is_borne_by_others(record):
        return found
    if now.is_free:
        return [*found, "cost"]
    if now.quote is None:
        found.append("quote")
    elif not now.may_work:
        found += ["quote", "ask_waiver"] if now.quote.state == values.REFUSED else ["quote"]
    return found


def _answers(quote: Quote | None) -> list[str]:
    if quote is None or _is_past(quote):
        return ["quote"]
    return ["consent", "refuse"] if quote.state == values.SENT else ["send", "quote"]


# --- the list of cases ---------------------------------------------------------------------------


def of_rows(rows: Sequence[Any]) -> Mapping[int, Any]:
    """Return the coverage of cases by id, in one statement for a page."""
    ids = [row.id for row in rows]
    if not ids:
        return {}
    held = select(Coverage.record_id, Coverage.result).where(Coverage.record_id.in_(ids), Coverage.current)
    return {key: label_of(values.RESULTS, result) for key, result in session().execute(held)}
