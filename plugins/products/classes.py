"""Which class of the regulations (4.1, 4.2 ...) a product belongs to in a unit.

The clauses in force and their parameters say so, no company is known here (R13-4.1, R13-4.2, R17-4.1, R18-4.1,
R19-4.1, R19-4.4). That items sold by agents are 4.2, the partner's 4.2 or 4.3, is how the family of these
regulations counts, unless a clause of another plugin (``counted_by``) gives them a number.
"""

from __future__ import annotations

from collections.abc import Mapping

from core.sdk import effective, holds

from . import fields

OWN_CLAUSES = ("R13-4.1", "R17-4.1", "R18-4.1", "R19-4.1")
# The later one is the more exact one: where both are in force, its number is the competitors' (E19).
COMPETITOR_CLAUSES = ("R19-4.4", "R13-4.2")
FAMILY = (*OWN_CLAUSES, *COMPETITOR_CLAUSES)
_COUNTED: Mapping[str, str] = {fields.AGENT: "4.2", fields.PARTNER: "4.2", fields.PARTNER_SOLD: "4.3"}
# Clauses of other plugins whose parameter ``class`` numbers a sold class, the more exact one first.
counted_by: dict[str, tuple[str, ...]] = {}
# Which clauses give 4.2 and 4.3 a meaning of their own, so that 4.2 is not the competitors' alone.
_WITH_OTHERS = ("R17-4.1", "R18-4.1", "R19-4.1", "R19-4.4")


def class_number(unit_id: int, sold_class: str) -> str:
    """Return the number of a sold class (``fields.SOLD_CLASSES``) in a unit: 4.1 ... ; '' where it has none.

    R13-4.1, R17-4.1, R18-4.1, R19-4.1: our own; R13-4.2, R19-4.4: competitors.
    """
    if sold_class == fields.OWN:
        return _number_of(unit_id, OWN_CLAUSES)
    if is_competitor(sold_class):
        return _number_of(unit_id, COMPETITOR_CLAUSES)
    number = _number_of(unit_id, counted_by.get(sold_class, ())) or _COUNTED.get(sold_class, "")
    if not number or not any(holds(unit_id, one) for one in FAMILY):
        return ""
    # Where competitors are all that 4.2 means, nothing of ours may fall under it.
    theirs = number in competitor_numbers(unit_id) and not any(holds(unit_id, one) for one in _WITH_OTHERS)
    return "" if theirs else number


def is_competitor(sold_class: str) -> bool:
    """Tell whether an item is a competitor's product (R13-4.2, R19-4.4)."""
    return sold_class == fields.COMPETITOR


def competitor_numbers(unit_id: int) -> frozenset[str]:
    """Return the class numbers that mean competitors' products in a unit (R13-4.2, R19-4.4; E19)."""
    found = (effective(unit_id, one) for one in COMPETITOR_CLAUSES if holds(unit_id, one))
    return frozenset(str(one.values["class"]) for one in found if one.values["competitor"])


def sold_class_of(unit_id: int, number: str) -> str:
    """Return the sold class a class number of a unit stands for, '' where none or more than one.

    4.2 is the agents' where R18-4.1 is on and the partner's where R19-4.1 is.
    """
    found = [code for code, _ in fields.SOLD_CLASSES if number and class_number(unit_id, code) == number]
    if found == [fields.AGENT, fields.PARTNER]:
        agents, partner = holds(unit_id, "R18-4.1"), holds(unit_id, "R19-4.1")
        found = [fields.AGENT] if agents and not partner else [fields.PARTNER] if partner and not agents else []
    return found[0] if len(found) == 1 else ""


def _number_of(unit_id: int, clauses: tuple[str, ...]) -> str:
    for one in clauses:
        found = effective(unit_id, one) if holds(unit_id, one) else None
        if found is not None:
            return str(found.values["class"])
    return ""
