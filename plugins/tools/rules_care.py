"""The clauses about use, counts, maintenance and retirement.

What a form of a hand-over asks people to tick stands here as data: which field, which items, by which clause.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import ChecklistRule, Rule

Items = tuple[tuple[str, Any], ...]

# What a receiver confirms to have read and to keep to, by field of the form.
USE_CLAUSES: Mapping[str, str] = {
    "use_manual": "R32-4.1",
    "use_rules": "R33-5",
    "use_correct": "R35-4.2",
    "use_care": "R35-3.2",
    "use_private": "R15-18a",
}
USE_ITEMS: Mapping[str, Items] = {
    "use_manual": (
        ("manual", _l("Used by its manual")),
        ("checked", _l("Checked for safety before use")),
        ("unaltered", _l("Not altered, fit for the work")),
    ),
    "use_rules": (
        ("safety", _l("By the operating and safety rules")),
        ("work_only", _l("For work only, no play")),
        ("gear", _l("Protective gear with power tools")),
        ("quiet", _l("Quiet and tidy")),
    ),
    "use_correct": (
        ("correct", _l("Used correctly, above all power tools")),
        ("stop", _l("At any trouble I stop at once")),
        ("rules", _l("Safety rules are kept")),
    ),
    "use_care": (
        ("proper", _l("Used properly")),
        ("daily", _l("Cared for every day")),
    ),
    "use_private": (("no_private", _l("Not for private ends")),),
}
# What is confirmed when a tool comes back.
BACK_CLAUSES: Mapping[str, str] = {"back_clean": "R33-3.1", "back_tidy": "R35-4.5", "back_place": "R33-4.1"}
BACK_ITEMS: Mapping[str, Items] = {
    "back_clean": (("clean", _l("Cleaned and cared for")),),
    "back_tidy": (("tidy", _l("Put in order")),),
    "back_place": (("place", _l("In its prescribed place")),),
}
# The parts of maintenance (R32-5.2), what a check of the equipment looks at (R28-4.4).
MAINTENANCE_ITEMS: Items = (
    ("cleaned", _l("Cleaned")),
    ("lubricated", _l("Lubricated")),
    ("tested", _l("Tested")),
)
EQUIPMENT_ITEMS: Items = (
    ("sound", _l("Facilities and equipment are sound")),
    ("enough", _l("There are enough of them")),
)

# The steps of a hand-over by which somebody takes a tool into use, or the store takes one back.
_INTO_USE, _BACK = "tools_handover.accept_issue", "tools_handover.accept_return"
RULES: list[Rule] = [
    *(
        ChecklistRule(clause=clause, step=_INTO_USE, items=USE_ITEMS[name], field=name)
        for name, clause in USE_CLAUSES.items()
    ),
    *(
        ChecklistRule(clause=clause, step=_BACK, items=BACK_ITEMS[name], field=name)
        for name, clause in BACK_CLAUSES.items()
    ),
]
