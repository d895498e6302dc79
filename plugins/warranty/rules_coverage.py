"""The clauses about coverage: papers, review, decision, who is covered."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import DeadlineRule, GateRule, Rule, ServiceRule, Step, Term

from . import claims, coverage, decisions, values
from .standing import standing_of

FAMILY = ("R13", "R17", "R18", "R19")
OVER = ("archived", "cancelled")
DECIDED = ("coverage_decided", "deemed_admission")
_PLACE = _l("Warranty and fees")


# --- papers ----------------------------------------------------------------------------------


def _papers_before_assigning(step: Step, _values: Any) -> Any:
    """R07-3.2, R07-4.2: goods in warranty, or not decided yet, are taken on with their papers."""
    if step.detail.nature not in decisions.NATURES:
        return None
    now = standing_of(step.record)
    if now.coverage is not None and now.coverage.result != values.IN_WARRANTY:
        return None
    missing = claims.missing_papers(step.record, now.claim, step.at)
    if not missing:
        return None
    return _l("Papers of the warranty application are missing: %(papers)s", papers=claims.names_of(missing))


def _papers_before_deciding(step: Step, _values: Any) -> Any:
    if decisions.wanted_result(step) != values.IN_WARRANTY:
        return None
    missing = claims.missing_papers(step.record, standing_of(step.record).claim, step.at)
    if not missing:
        return None
    return _l("In warranty only on these papers: %(papers)s", papers=claims.names_of(missing))


_PAPERS: tuple[Rule, ...] = tuple(
    rule
    for clause in (claims.WARRANTY, claims.APPLICANT)
    for rule in (
        GateRule(clause=clause, step="case.assign", check=_papers_before_assigning, code="papers"),
        GateRule(
            clause=clause,
            step="case.warranty:decide",
            check=_papers_before_deciding,
            code="papers",
            needs_form=True,
        ),
    )
)
_REVIEW: tuple[Rule, ...] = (
    DeadlineRule(clause="R07-3.5", start=(claims.COMPLETE,), meet=DECIDED, stop=OVER),
    DeadlineRule(clause="R07-5.1", start=(claims.COMPLETE,), meet=DECIDED, stop=OVER, target="target"),
)


# --- the decision comes first --------------------------------------------------------------------


def _decided_first(step: Step, _values: Any) -> Any:
    """R13-5, R17-5, R18-5, R19-5: in or out of warranty is decided before anything is done."""
    if step.detail.nature not in decisions.NATURES or standing_of(step.record).is_decided:
        return None
    return _l("Decide first whether it is in or out of warranty")


def _checked_first(step: Step, _values: Any) -> Any:
    """R17-7.2.2a, R18-7.2.2a, R19-7.2.2a: the first look is at the warranty, then the kind of service is fixed."""
    if step.detail.nature not in decisions.NATURES or standing_of(step.record).is_decided:
        return None
    return _l("See first whether the item is past its warranty; then plan the service")


def _class_is_served(step: Step, given: Any) -> Any:
    """R13-5.1, R17-5.1, R18-5.1, R19-5.1: nobody decides a class into the warranty that it is not for."""
    if decisions.wanted_result(step) != values.IN_WARRANTY:
        return None
    number = decisions.product_class_of(step.record)
    if not number or coverage.admits(given, number):
        return None
    return _l("Service in warranty is for these classes: %(classes)s", classes=given["classes"])


_SPLIT: tuple[Rule, ...] = (
    *(
        GateRule(clause=f"{one}-5", step=step, check=_decided_first, code="undecided")
        for one in FAMILY
        for step in ("case.plan", "case.assign", "case.warranty:quote")
    ),
    *(
        GateRule(
            clause=f"{one}-5.1", step="case.warranty:decide", check=_class_is_served, code="class", needs_form=True
        )
        for one in FAMILY
    ),
    *(
        GateRule(clause=f"{one}-7.2.2a", step="case.plan", check=_checked_first, code="undecided")
        for one in ("R17", "R18", "R19")
    ),
    # prices.tariff_of lets both classes share a tariff where one of these holds.
    *(
        ServiceRule(clause=clause, does="routing", place="warranty.prices.tariff_of", words=(_PLACE, _l("Tariffs")))
        for clause in ("R13-5.2.1", "R18-5.2.1", "R19-5.2.1")
    ),
)
_ADMISSION: tuple[Rule, ...] = tuple(
    ServiceRule(
        clause=clause,
        does="penalty",
        place="warranty.decisions.deemed_by",
        words=(_PLACE, _l("Coverage decision"), _l("Deemed admission")),
    )
    for clause in decisions.ADMISSION.values()
)


# --- before the repair, and until when -------------------------------------------------------------


def _looked_at(step: Step, _values: Any) -> Any:
    """R25-3.2.16: inner parts and signs of damage are looked at before the repair begins."""
    claim = standing_of(step.record).claim
    if step.detail.nature not in ("repair", "replacement") or (claim is not None and claim.inspected_at):
        return None
    return _l("Look at it before the repair: are the inner parts complete, are there signs of damage by people?")


def _is_repair(case: Any) -> bool:
    return case.get("nature") in ("repair", "replacement")


def _time_to_repair(given: Any, case: Any) -> Term:
    """R01-5.3: by class and region. A class not known counts as 4.1, an address not known as near."""
    place = "in" if _is_near(given, case.get("address_text") or "") else "away"
    name = f"{place}_{str(case.get('product_class') or '').replace('.', '')}"
    name = name if name in given else f"{place}_41"
    return Term(Decimal(given[name]), "day", given.get(f"{name}_clock", "working"))


def _is_near(given: Any, address: str) -> bool:
    """The region is told by what its addresses contain (parameter ``region``); without any, all is the region."""
    named = str(given.get("region") or "").replace("、", " ").replace("，", " ").replace(",", " ").split()
    return not named or not address or any(one in address for one in named)


_REPAIR: tuple[Rule, ...] = (
    *(
        GateRule(clause="R25-3.2.16", step=f"case.{step}", check=_looked_at, code="not_inspected")
        for step in ("start", "solve")
    ),
    DeadlineRule(
        clause="R01-5.3",
        start=("classified",),
        meet=("solved",),
        stop=("answered", *OVER),
        restart=("reworked", "reopened"),
        reads=("nature", "product_class", "address_text"),
        applies=_is_repair,
        term=_time_to_repair,
    ),
    # ``covered`` and ``not_covered`` stand at the time of the report, whenever it was decided: the day of the
    # report is what counts, and a decision taken back leaves nothing behind.
    DeadlineRule(
        clause="R22-4.4b",
        start=("covered",),
        restart=("covered",),
        meet=("solved",),
        stop=("not_covered", *OVER),
    ),
)

RULES: list[Rule] = [*_PAPERS, *_REVIEW, *_SPLIT, *_ADMISSION, *_REPAIR]
