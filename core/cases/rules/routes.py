"""Who gets a case: the owner department by regulation, technicians or customer service by nature; who is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.cases import vocabulary as words
from core.rules.kinds import RoutingRule, Rule, Snapshot, Values
from core.rules.routing import ACTOR

from .who import OWNER, OWNERS

SERVICE = frozenset({"repair", "replacement", "return"})
CUSTOMER_SERVICE, TECHNICIANS = "reception", "field_staff"
Position = Callable[[Snapshot, Values], str]


def _to(position: str, *natures: str) -> Position:
    """Send cases of these natures to a position; without natures all of them."""
    return lambda case, _values: position if not natures or case.get("nature") in natures else ""


def _is_inquiry(case: Snapshot, values: Values) -> bool:
    return case.get("nature") == "inquiry" and bool(values["any_may_answer"])


def _tell_owner(case: Snapshot, _values: Values) -> Sequence[str]:
    """The owner department hears of an inquiry that somebody else has answered."""
    if case.get("nature") != "inquiry" or not OWNERS.isdisjoint(case[ACTOR]):
        return ()
    return (OWNER,)


def _pass_on(case: Snapshot, _values: Values) -> Sequence[str]:
    """A quality problem that somebody else takes in is told to the owner department."""
    quality = case.get("nature") in (*words.REPAIRS, "complaint")
    return (OWNER,) if quality and OWNERS.isdisjoint(case[ACTOR]) else ()


def _solved_by_development(case: Snapshot, values: Values) -> Sequence[str]:
    return (OWNER,) if values["direct_position"] in case[ACTOR] else ()


def _class_order(case: Snapshot, values: Values) -> int | None:
    """The class served first has priority 1, the next ones 2, 3 ... in the order of the section; then the rest."""
    codes = [code for code, _ in words.PRODUCT_CLASSES]
    if case.get("product_class") not in codes:
        return None
    first = values["first_class"]
    start = codes.index(first) if first in codes else 0
    return codes[start:].index(case["product_class"]) + 1 if case["product_class"] in codes[start:] else len(codes)


def _superior(case: Snapshot, _values: Values) -> Sequence[str]:
    return ("gm",) if case.get("escalated") == "gm" else ("service_leader",)


def _of_family(regulation: str) -> tuple[Rule, ...]:
    """R17, R18 and R19 have the same clauses for their owner department."""
    return (
        RoutingRule(clause=f"{regulation}-3.1", step="case.register", position=_to(OWNER)),
        # Sales help to talk with the user where a case goes up.
        RoutingRule(clause=f"{regulation}-3.4", step="case.escalate", tells=lambda _case, _values: ("sales",)),
        RoutingRule(clause=f"{regulation}-7.1.2a", step="case.register", reads=("nature", ACTOR), tells=_pass_on),
        RoutingRule(clause=f"{regulation}-7.1.2b", step="case.solve", reads=(ACTOR,), tells=_solved_by_development),
    )


RULES: tuple[Rule, ...] = (
    *(rule for regulation in ("R17", "R18", "R19") for rule in _of_family(regulation)),
    *(
        rule
        for regulation in ("R13", "R17", "R18", "R19")
        for rule in (
            *(
                RoutingRule(clause=f"{regulation}-6.1", step=step, reads=("product_class",), priority=_class_order)
                for step in ("case.register", "case.classify")
            ),
            RoutingRule(
                clause=f"{regulation}-7.1.1",
                step="case.answer",
                reads=("nature", ACTOR),
                lets=_is_inquiry,
                tells=_tell_owner,
            ),
        )
    ),
    RoutingRule(clause="R13-3.2", step="case.register", position=_to(OWNER)),
    RoutingRule(clause="R09-4.1", step="case.register", position=_to(OWNER)),
    # BU-GEN: what needs hands goes to after-sales, what needs words stays with customer service.
    *(
        RoutingRule(clause=clause, step=step, reads=("nature",), position=_to(position, *natures))
        for clause, position, natures in (
            ("R01-2.1", OWNER, ("repair", "replacement")),
            ("R03-2.1", OWNER, tuple(SERVICE)),
            ("R01-2.2", CUSTOMER_SERVICE, ("inquiry",)),
            ("R03-2.2", CUSTOMER_SERVICE, ("inquiry",)),
        )
        for step in ("case.register",)
    ),
    RoutingRule(
        clause="R01-4.3a", step="case.classify", reads=("nature",), position=_to(TECHNICIANS, *sorted(SERVICE))
    ),
    RoutingRule(
        clause="R01-4.3b",
        step="case.classify",
        reads=("nature",),
        position=_to(CUSTOMER_SERVICE, *sorted(words.TALK)),
    ),
    RoutingRule(clause="R03-7.2", step="case.escalate", reads=("escalated",), tells=_superior),
    # Who is not sure of an answer refers it; the form offers the technical office first.
    RoutingRule(clause="R24-4.9", step="case.refer", position=_to("technical_office")),
)
