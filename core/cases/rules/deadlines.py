"""Limits on cases: what begins one, what meets it, and for which cases it is meant."""

from __future__ import annotations

from core.cases import vocabulary as words
from core.rules.clocks import Term
from core.rules.effective import term_of
from core.rules.kinds import DeadlineRule, Happened, Rule, Snapshot, Values
from core.rules.rulebook import current_rulebook

from .who import BY_OWNER, BY_SHOP, TAKEN_BY, came_straight

OVER = ("archived", "cancelled")
FAMILY = ("R17", "R18", "R19")


def _urgent(case: Snapshot) -> bool:
    return case.get("urgency") == "urgent"


def _not_urgent(case: Snapshot) -> bool:
    return not _urgent(case)


def _inquiry(case: Snapshot) -> bool:
    return case.get("nature") == "inquiry"


def _service(case: Snapshot) -> bool:
    """Everything that is not merely talked about; a case without a nature yet counts as a request for service."""
    return case.get("nature") not in words.TALK


def _fault(case: Snapshot) -> bool:
    return case.get("nature") in ("repair", "replacement", "complaint", "")


def _planned(fact: Happened) -> bool:
    """A plan is fixed by the step of that name, or entered when the work begins or ends."""
    return fact.kind in ("planned", "answered") or bool(fact.data.get("planned"))


def _lived_here(fact: Happened) -> bool:
    """Cases taken over from elsewhere lack the facts of some steps; nobody is late with what nobody could enter."""
    return "source" not in fact.data


# --- R17, R18 and R19: the owner department ---------------------------------------------------


def _must_be_forwarded(fact: Happened) -> bool:
    """What the owner department took in itself needs no forwarding."""
    return not came_straight(fact)


def _reaches_owner(fact: Happened) -> bool:
    """It reaches the owner when forwarded, or at once where the owner took it in.

    Of cases taken over from elsewhere nobody knows who took them in: their clock runs from receipt until a
    forwarding moves it.
    """
    return fact.kind == "forwarded" or came_straight(fact) or TAKEN_BY not in fact.data


def _of_family(regulation: str) -> tuple[Rule, ...]:
    return (
        DeadlineRule(
            clause=f"{regulation}-7.1.3a",
            start=("registered",),
            starts=_must_be_forwarded,
            meet=("forwarded",),
            # The owner department acts already: then it has the information.
            stop=("contacted", "answered", "planned", "assigned", *OVER),
        ),
        DeadlineRule(
            clause=f"{regulation}-7.1.3b",
            start=("registered", "forwarded"),
            starts=_reaches_owner,
            moves=True,
            meet=("contacted", "answered"),
            stop=OVER,
        ),
        DeadlineRule(
            clause=f"{regulation}-7.2.1",
            start=("registered",),
            meet=("answered", "solved"),
            stop=OVER,
            reads=("nature",),
            applies=_inquiry,
        ),
        DeadlineRule(
            clause=f"{regulation}-7.2.2b",
            start=("registered",),
            starts=_lived_here,
            meet=("planned", "started", "solved"),
            meets=_planned,
            # Solved without any plan on record: void within the limit, late after it.
            stop=("solved", "answered", *OVER),
            reads=("nature",),
            applies=_service,
        ),
    )


# --- R21-4.b: two limits in one clause ---------------------------------------------------------


def _by_nature(values: Values, case: Snapshot) -> Term:
    clause = current_rulebook().clauses["R21-4.b"]
    return term_of(clause.parameter("inquiry_limit" if _inquiry(case) else "complaint_limit"), values)


# --- R25: the shop's register ------------------------------------------------------------------


def _from_shop(fact: Happened) -> bool:
    return fact.data.get(TAKEN_BY) == BY_SHOP


def _to_after_sales(fact: Happened) -> bool:
    """After-sales was told by the shop, or took the problem in itself."""
    return fact.kind == "forwarded" or fact.data.get(TAKEN_BY) == BY_OWNER


RULES: tuple[Rule, ...] = (
    DeadlineRule(
        clause="R01-5.2a",
        start=("registered",),
        meet=("responded", "contacted", "answered"),
        stop=OVER,
        reads=("urgency",),
        applies=_urgent,
    ),
    DeadlineRule(
        clause="R01-5.2b",
        start=("registered",),
        meet=("responded", "contacted", "answered"),
        stop=OVER,
        reads=("urgency",),
        applies=_not_urgent,
    ),
    # Written down during the contact: nothing to watch. What came in earlier must have been entered soon.
    DeadlineRule(
        clause="R01-4.1",
        start=("registered",),
        starts=lambda fact: bool(fact.data.get("entered_later")),
        meet=("logged",),
        pause=(),
    ),
    DeadlineRule(
        clause="R01-4.4",
        start=("assigned",),
        meet=("solved", "answered"),
        restart=("reworked", "reopened"),
    ),
    # Every so often the customer hears of the progress, from assigning until the matter is done.
    *(
        DeadlineRule(
            clause=clause,
            start=("assigned",),
            meet=("progress",),
            chain=True,
            stop=("solved", "answered", *OVER),
            restart=("reworked", "reopened"),
            limit="interval",
        )
        for clause in ("R01-4.5", "R03-3.4")
    ),
    DeadlineRule(
        clause="R03-4.1",
        start=("registered",),
        # Whoever sets out or arrives has been arranged for, also where nobody noted it.
        meet=("assigned", "departed", "arrived", "solved"),
        stop=("answered", *OVER),
        reads=("nature",),
        applies=_service,
    ),
    DeadlineRule(
        clause="R03-4.2",
        start=("assigned",),
        starts=lambda fact: not fact.data.get("planned"),
        meet=("planned", "started", "solved", "answered"),
        meets=lambda fact: fact.kind == "solved" or _planned(fact),
    ),
    DeadlineRule(
        clause="R04-2.3c",
        start=("registered",),
        meet=("solved", "answered"),
        restart=("reworked", "reopened"),
        reads=("nature",),
        applies=lambda case: case.get("nature") != "presale",
    ),
    *(one for regulation in FAMILY for one in _of_family(regulation)),
    DeadlineRule(
        clause="R21-4.b",
        start=("registered",),
        meet=("answered", "solved"),
        reads=("nature",),
        applies=lambda case: case.get("nature") in ("inquiry", "complaint"),
        term=_by_nature,
    ),
    # A call that reports a fault; what comes in writing has nobody on the line.
    *(
        DeadlineRule(
            clause=clause,
            start=("registered",),
            meet=("responded", "contacted", "answered"),
            stop=OVER,
            reads=("nature", "channel"),
            applies=lambda case: case.get("channel") == "phone" and _fault(case),
        )
        for clause in ("R22-1.R1", "R22-2.9b")
    ),
    DeadlineRule(
        clause="R25-2.3.A2",
        start=("registered",),
        starts=_from_shop,
        meet=("forwarded",),
        stop=("contacted", "answered", "assigned", *OVER),
    ),
    DeadlineRule(
        clause="R25-2.3.B2",
        start=("registered", "forwarded"),
        starts=_to_after_sales,
        meet=("contacted", "answered"),
        stop=OVER,
        reads=("nature",),
        applies=_service,
    ),
    DeadlineRule(
        clause="R27-2.2.2",
        start=("registered",),
        starts=_lived_here,
        meet=("assessed",),
        stop=("solved", "answered", *OVER),
        reads=("nature",),
        applies=_fault,
    ),
)
