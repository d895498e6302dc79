"""The automatic checks of a statement's line: pure. What is not known is "not checked", never "passed"."""

from __future__ import annotations

from collections.abc import Callable

from .values import (
    BAD,
    CONTRACT,
    EXEMPT,
    GOOD,
    NOTICE,
    OLD_PART,
    OUTSIDE_TERM,
    OWED_TO_US,
    RECEIVED,
    REGION,
    REPEATED,
    SERIAL_TWICE,
    UNCHECKED,
    LineFacts,
)

# {check: (result, detail)}: of ``values.CHECKS`` and ``RESULTS``; ``detail`` is data (a number, a place), no words.
Found = dict[str, tuple[str, str]]
Result = tuple[str, str]


def judge(facts: LineFacts) -> Found:
    """Return what the checks that concern a line found.

    A line that corrects another is not checked itself: what there is to check belongs to the one it corrects.
    """
    if facts.adjusts:
        return {}
    found = {name: check(facts) for name, check in _CHECKS.items()}
    return {name: one for name, one in found.items() if one is not None}


def has_failed(found: Found) -> bool:
    """Tell whether any check failed."""
    return any(result == BAD for result, _detail in found.values())


def _twice(facts: LineFacts) -> Result | None:
    """The same work on the same item was billed for another case not long before."""
    if facts.direction != OWED_TO_US:
        return None
    if facts.item_id is None:
        return UNCHECKED, ""
    return (BAD, facts.billed_before) if facts.billed_before else (GOOD, "")


def _inside_term(facts: LineFacts) -> Result | None:
    if not facts.needs_cover:
        return None
    if facts.covered is None:
        return UNCHECKED, ""
    return (GOOD if facts.covered else BAD), ""


def _old_part(facts: LineFacts) -> Result | None:
    """Every part that was taken out was handed in, or need not be. Where none is registered nobody knows."""
    if not facts.parts:
        return None
    if not facts.old_parts:
        return UNCHECKED, ""
    left = [one for one in facts.old_parts if one not in (RECEIVED, EXEMPT)]
    return (BAD, left[0]) if left else (GOOD, "")


def _notice(facts: LineFacts) -> Result | None:
    if not facts.needs_notice:
        return None
    return (GOOD if facts.notified else BAD), ""


def _contract(facts: LineFacts) -> Result | None:
    if not facts.needs_contract:
        return None
    return (GOOD if facts.has_contract else BAD), ""


def _region(facts: LineFacts) -> Result | None:
    """Where the item is used lies in a region of the agent; one without regions works everywhere."""
    if not facts.regions:
        return None
    if not facts.region:
        return UNCHECKED, ""
    return (GOOD if any(name in facts.region for name in facts.regions) else BAD), "、".join(facts.regions)[:120]


def _repeated(facts: LineFacts) -> Result | None:
    """What we pay for did not fail again. Before the days are over nobody can say that it did not."""
    if not facts.needs_rest:
        return None
    if facts.repeated_by:
        return BAD, facts.repeated_by
    return (UNCHECKED if facts.item_id is None or facts.may_still_fail else GOOD), ""


_CHECKS: dict[str, Callable[[LineFacts], Result | None]] = {
    SERIAL_TWICE: _twice,
    OUTSIDE_TERM: _inside_term,
    OLD_PART: _old_part,
    NOTICE: _notice,
    CONTRACT: _contract,
    REGION: _region,
    REPEATED: _repeated,
}
