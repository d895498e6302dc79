"""The clauses about leavers and changes of post: the sheet is settled when nothing is open, or a manager signs."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from core.sdk import GateRule, Rule, ServiceRule

from . import clearance, clearance_flow

RULES: list[Rule] = [
    *(
        GateRule(
            clause=clause, step=f"{clearance.CODE}.settle", check=clearance_flow.still_open(kind), code="still_open"
        )
        for kind, clause in clearance.CLAUSES.items()
    ),
    ServiceRule(
        clause=clearance_flow.SIGNED_CLAUSE,
        does="approval",
        place=f"{clearance.CODE}.leave_open",
        words=(_l("Clearance"), _l("Sign: leaves with open items")),
    ),
]
