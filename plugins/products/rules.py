"""The clauses about products, bound to what carries them out."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from core.sdk import GateRule, Rule, ServiceRule

from . import classes, product_file, shipping

_FILE = _l("Product file")

RULES: list[Rule] = [
    GateRule(clause="R05-1.2", step=shipping.SHIP, check=shipping.not_tested, code="not_tested"),
    GateRule(clause="R05-3.2", step=shipping.SHIP, check=shipping.not_passed, code="not_passed"),
    GateRule(clause="R05-3.2", step=shipping.ACCEPT, check=shipping.not_passed, code="not_passed"),
    GateRule(clause="R09-5.2.4c", step=shipping.SHIP, check=shipping.is_held, code="stopped"),
    *(
        ServiceRule(
            clause=one,
            does="routing",
            place="products.class_number",
            words=(_FILE, _l("Product class of an item and its cases")),
        )
        for one in classes.FAMILY
    ),
    *(
        ServiceRule(
            clause=one,
            does="record",
            place="products.deliver_item",
            words=(_FILE, _l("Delivery of an item, and what its file still lacks")),
        )
        for one in product_file.FILE_CLAUSES
    ),
]
