"""Coverage decisions of records: gathers the situation, keeps the decision and its revisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select

from core.sdk import (
    Fact,
    InvalidData,
    NotAllowed,
    Record,
    Refusal,
    Refused,
    Step,
    append_fact,
    calendar_for,
    clock,
    current_scope,
    deadline,
    detail_of,
    effective,
    local_day,
    may,
    session,
    setting,
    tell_of_fact,
)
from plugins.products import services as products

from . import claims, cover, coverage, rights, settings, values
from .coverage import Situation, Verdict
from .models import Coverage
from .standing import forget, standing_of
from .values import ItemFacts, WarrantyLine

# Natures that are about goods with a warranty; others (inquiry, complaint ...) need no decision.
NATURES = frozenset({"repair", "replacement", "return"})
# Which clause says that no answer counts as admitting, by the setting ``tender.variant`` (E13).
ADMISSION = {"W": "R22-1.W1e", "R": "R22-1.R5"}
KEPT = "warranty_competitor"
SAME_DAY = "R22-4.4b"
ANSWERS, ARRIVAL = ("responded", "contacted", "answered"), "arrived"
# Steps and facts after which an answer or an arrival may have come too late, or have been in time after all.
_CLASSIFY = "classify"  # a question is no fault
_TELLING = frozenset({_CLASSIFY, "contact", "answer", "arrive", *(f"fact:{kind}" for kind in (*ANSWERS, ARRIVAL))})
_READ = (
    *coverage.CLASS_CLAUSES,
    *coverage.COMPETITOR_CLAUSES,
    *coverage.MISUSE_CLAUSES,
    *coverage.ANY_CAUSE,
    *coverage.OF_QUALITY,
    *coverage.OUT_CLAUSES,
)


# --- gathering -----------------------------------------------------------------------------------


def case_of(record: Record) -> Any:
    """Return the details of a case, None for records of other types."""
    return detail_of(record) if record.type == "case" else None


def situation_of(record: Record, values: Any, at: datetime) -> Situation:
    """Gather what a decision looks at, for a record with the form's input (cause, human_damage, part)."""
    item = products.item_of_record(record)
    bought = getattr(case_of(record), "purchase_date", None)
    day = local_day(record.unit_id, record.received_at)
    return Situation(
        day=day,
        lines=_lines(record.unit_id, item, bought),
        cause=values.get("cause") or "unknown",
        human_damage=_is_damaged(record, values),
        part=values.get("part") or "",
        same_fault=bool(values.get("same_fault")),
        given_for=_given_for(item, day),
        product_class=_class_of(record, item),
        is_competitor=_is_competitor(record, item),
        deemed_by=deemed_by(record, at),
        clauses=clauses_of(record.unit_id, at),
        is_known=item is not None or bought is not None,
    )


def _is_damaged(record: Record, given: Mapping[str, Any]) -> bool:
    """Signs of damage by people, told now or seen when it was looked at before the repair (R25-3.2.16)."""
    claim = standing_of(record).claim
    seen = claim is not None and claim.inspected_at is not None and claim.inspection.get("human_damage")
    return bool(given.get("human_damage") or seen)


def _given_for(item: Any, day: date) -> str:
    """The serial number of what was given for the item before the case came in, "" where it was not exchanged."""
    if item is None or item.replaced_by_id is None:
        return ""
    other = products.items_in_full([item.replaced_by_id]).get(item.replaced_by_id)
    if other is None or (other.delivered_on is not None and day <= other.delivered_on):
        return ""
    return str(other.serial)


def was_repaired(record: Record) -> bool:
    """Tell whether something of the item was repaired before under its warranty (R07-7.1)."""
    item = products.item_of_record(record)
    happened = cover.events_of([item.id])[item.id] if item is not None else []
    return any(one.kind == "repaired" and one.clause for one in happened)


def clauses_of(unit_id: int, at: datetime) -> Mapping[str, Mapping[str, Any]]:
    """Return the values of those clauses in force that a decision looks at."""
    found = {one: effective(unit_id, one, at) for one in dict.fromkeys(_READ)}
    return {one: said.values for one, said in found.items() if said.holds}


def _lines(unit_id: int, item: Any, bought: date | None) -> Sequence[WarrantyLine]:
    """Return the lines of cover; the day of purchase that the customer tells serves where the file has none."""
    if item is None:
        return cover.cover_for(unit_id, ItemFacts(purchased_on=bought)) if bought else ()
    if item.purchased_on is not None or bought is None:
        return cover.cover_of(item)
    facts = replace(cover.facts_of(item), purchased_on=bought)
    return cover.cover_for(unit_id, facts, cover.events_of([item.id])[item.id])


def product_class_of(record: Record) -> str:
    """Return the class number (4.1 ...) of what a record is about, "" where it is not known."""
    return _class_of(record, products.item_of_record(record))


def _class_of(record: Record, item: Any) -> str:
    chosen = getattr(case_of(record), "product_class", "")
    if chosen:
        return str(chosen)
    return products.class_number(record.unit_id, item.sold_class) if item is not None else ""


def is_competitor(record: Record) -> bool:
    """Tell whether a record is about a competitor's product (R13-4.2, R19-4.4).

    Many fields of one form ask: the answer is kept in the session until the record changes.
    """
    kept = session().info.setdefault(KEPT, {})
    key = (record.id, record.version)
    if key not in kept:
        kept[key] = _is_competitor(record, products.item_of_record(record))
    return bool(kept[key])


def _is_competitor(record: Record, item: Any) -> bool:
    return competitor_of(record.unit_id, str(getattr(case_of(record), "product_class", "")), item)


def competitor_of(unit_id: int, chosen: str, item: Any) -> bool:
    """Tell whether an item, or none, of the class number staff chose ("" for none) is a competitor's product.

    A number may stand for several classes (4.2 of R13 and R18): where the item has that number, its own class says.
    """
    if item is not None and item.sold_class:
        known = products.class_number(unit_id, item.sold_class)
        if not chosen or known == chosen:
            return products.is_competitor(item.sold_class)
    return bool(chosen) and chosen in products.competitor_numbers(unit_id)


def deemed_by(record: Record, at: datetime) -> str:
    """Return the clause under which a fault counts as admitted for want of an answer (R22-1.W1e), or "".

    A call that reports a fault must be answered within the clause's ``answer``; whoever comes arrives within its
    ``arrive`` (R22-1.R5). Without any answer on record it is worked out as of ``at``.
    """
    clause = _admission(record)
    if not clause or not _reports_fault(record):
        return ""
    said = effective(record.unit_id, clause, record.received_at)
    if not said.holds:
        return ""
    answered, arrived = _first_moments(record)
    late = (answered or at) > _limit(record, said.term("answer"))
    late = late or (arrived is not None and arrived > _limit(record, said.term("arrive")))
    return clause if late else ""


def _admission(record: Record) -> str:
    if record.type != "case":
        return ""
    clause = ADMISSION.get(setting(record.unit_id, settings.VARIANT), "")
    return clause if clause and effective(record.unit_id, clause, record.received_at).holds else ""


def _reports_fault(record: Record) -> bool:
    """What comes in writing has nobody on the line; a question is no fault."""
    case = case_of(record)
    return case is not None and case.channel == "phone" and case.nature in ("", "complaint", *NATURES)


def _limit(record: Record, term: Any) -> datetime:
    due = deadline(term, clock.as_utc(record.received_at), calendar_for(record.unit_id))
    return due.at or clock.as_utc(record.received_at)


def _first_moments(record: Record) -> tuple[datetime | None, datetime | None]:
    """Return when the customer was first answered and when somebody first arrived."""
    asked = select(Fact.kind, Fact.at).where(Fact.record_id == record.id, Fact.kind.in_((*ANSWERS, ARRIVAL)))
    rows = [(kind, clock.as_utc(at)) for kind, at in session().execute(asked)]
    answered = min((at for kind, at in rows if kind != ARRIVAL), default=None)
    return answered, min((at for kind, at in rows if kind == ARRIVAL), default=None)


# --- deciding ------------------------------------------------------------------------------------


def verdict_of(step: Step) -> Verdict:
    """Return what the clauses say of a step's input; worked out once for gates and step."""
    if "verdict" not in step.__dict__:
        found = coverage.judge(situation_of(step.record, step.values, step.at))
        step.__dict__["verdict"] = found
    kept: Verdict = step.__dict__["verdict"]
    return kept


def wanted_result(step: Step) -> str:
    """Return what is to be decided: what a person chose, else what the clauses say ("" where they cannot)."""
    return step.values.get("result") or verdict_of(step).result


def decide_step(step: Step) -> None:
    """Keep the decision; the earlier one stays as a row. Everything downstream follows the latest.

    Raises:
        InvalidData: revised or decided otherwise without a reason.
        NotAllowed: decided otherwise without ``warranty.overrule``.
        Refused: nobody can tell yet; says what must be known.
    """
    verdict, result = verdict_of(step), wanted_result(step)
    before = standing_of(step.record).coverage
    if not result:
        raise Refused([Refusal("warranty.unknown", verdict.why, verdict.clause)])
    overruled = result != verdict.result
    if overruled and not may(rights.DECIDE_OTHERWISE, step.record.unit_id):
        raise NotAllowed(rights.DECIDE_OTHERWISE)
    by_person = before is not None and before.decided_by is not None
    if (overruled or by_person) and not step.values.get("reason"):
        text = _l("Say why it is decided otherwise") if overruled else _l("Say why the decision is revised")
        raise InvalidData({"reason": text})
    row = _keep(step.record, verdict, result, step.at, overruled=overruled, given=step.values)
    step.values |= {"result": row.result, "clause": row.clause, "covered_until": row.covered_until}
    kind = _same_day_fact(step.record, row.result, before)
    if kind:
        step.add_fact(kind, at=step.record.received_at)
    if row.result in values.FREE_RESULTS:
        _drop_quote(step.record, _l("Decided as free for the customer"))


def _keep(
    record: Record,
    verdict: Verdict,
    result: str,
    at: datetime,
    *,
    overruled: bool = False,
    given: Mapping[str, Any] | None = None,
) -> Coverage:
    """Write the decision as the current one; the one before stays as a row."""
    told = given or {}
    _retire(record)
    item = products.item_of_record(record)
    line = verdict.line
    row = Coverage(
        unit_id=record.unit_id,
        record_id=record.id,
        item_id=item.id if item is not None else None,
        result=result,
        cause=told.get("cause") or "",
        part=told.get("part") or "",
        product_class=_class_of(record, item),
        sold_class=item.sold_class if item is not None else "",
        human_damage=_is_damaged(record, told),
        line={**_line_of(line), "why": verdict.code, "given": _plain(verdict.given)},
        covered_until=line.ends_on if line is not None else None,
        clause="" if overruled else verdict.clause,
        evidence=told.get("evidence") or "",
        reason=told.get("reason") or "",
        overruled=overruled,
        to_review=result == values.DEEMED and not _is_reviewed(record, told),
        decided_at=at,
        decided_by=current_scope().actor_id if given is not None else None,
    )
    session().add(row)
    session().flush()
    forget(record)
    return row


def _is_reviewed(record: Record, told: Mapping[str, Any]) -> bool:
    """E67: who may decide otherwise has chosen the admission itself, and says why."""
    chosen = told.get("result") == values.DEEMED and told.get("reason")
    return bool(chosen) and may(rights.DECIDE_OTHERWISE, record.unit_id)


def to_review(unit_id: int) -> int:
    """Count the admissions of a unit that are to be looked at again (R22-1.W1e, R22-1.R5)."""
    found = select(func.count()).where(Coverage.unit_id == unit_id, Coverage.current, Coverage.to_review)
    return session().scalar(found) or 0


def _retire(record: Record) -> None:
    held = select(Coverage).where(Coverage.record_id == record.id, Coverage.current)
    for row in session().scalars(held):
        row.current = False
    session().flush()  # before the new row: only one is current
    forget(record)


def _line_of(line: WarrantyLine | None) -> dict[str, Any]:
    if line is None:
        return {}
    kept = {name: getattr(line, name) for name in ("scope", "clause", "source", "action", "part", "fault")}
    return _plain({**kept, "starts_on": line.starts_on, "ends_on": line.ends_on})


def _plain(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: one.isoformat() if isinstance(one, date) else one for name, one in given.items()}


# --- what follows from it ------------------------------------------------------------------------


def _same_day_fact(record: Record, result: str, before: Coverage | None) -> str:
    """Return the fact that starts or ends R22-4.4b, "" where the decision changes nothing for it."""
    free = result in values.FREE_RESULTS
    was_free = before is not None and before.result in values.FREE_RESULTS
    if free == was_free or not effective(record.unit_id, SAME_DAY, record.received_at).holds:
        return ""
    return "covered" if free else "not_covered"


def _drop_quote(record: Record, why: Any) -> None:
    """What was asked of the customer is asked no more: the quote is replaced and its lines are taken back."""
    from . import quotes  # it prices by the class of the record, which is worked out here

    if standing_of(record).quote is not None or quotes.has_lines(record):
        quotes.drop(record, str(why))


# --- admission for want of an answer -------------------------------------------------------------


def after_fact(record: Record, transition: str) -> None:
    """Something happened to a case: keep a deemed admission where an answer or arrival came too late."""
    if transition not in _TELLING or not _admission(record):
        return
    now = standing_of(record).coverage
    clause = deemed_by(record, clock.now())
    if transition == _CLASSIFY and clause:
        return  # nobody answers by classifying
    if clause and (now is None or not (now.overruled or now.result in values.FREE_RESULTS)):
        _admit(record, clause, now)
    elif not clause and now is not None and now.result == values.DEEMED and now.decided_by is None:
        _take_admission_back(record)


def _admit(record: Record, clause: str, before: Coverage | None) -> None:
    """R22-1.W1e, R22-1.R5: the flag, marked to be looked at again (E67)."""
    verdict = coverage.judge(Situation(local_day(record.unit_id, record.received_at), deemed_by=clause))
    row = _keep(record, verdict, verdict.result, clock.now())
    kind = _same_day_fact(record, row.result, before)
    _enter(record, "deemed_admission", row.decided_at, {"clause": clause, "result": row.result})
    if kind:
        _enter(record, kind, record.received_at, {})
    _drop_quote(record, verdict.why)


def _take_admission_back(record: Record) -> None:
    """An answer in time was entered later: nothing was admitted, and nothing is decided."""
    kind = _same_day_fact(record, "", standing_of(record).coverage)
    _retire(record)
    if kind:
        _enter(record, kind, record.received_at, {})


def _enter(record: Record, kind: str, at: datetime, data: Mapping[str, Any]) -> None:
    """Write a fact that no step brings."""
    fact = append_fact(record, claims.kind_of(kind), at=at, data=data)
    session().flush()
    tell_of_fact(record, fact)
