"""What must be on record: fields of forms, asked for only where the clause is on in the unit."""

from __future__ import annotations

from core.cases import vocabulary as words
from core.rules.kinds import RecordRule, Rule, Values

from .who import BY_OWNER, BY_SHOP, TAKEN_BY

REGISTER = "case.register"


def is_about_product(values: Values) -> bool:
    """Everything but talk is about a product."""
    return values.get("nature") not in words.TALK


def _for_repair(values: Values) -> bool:
    return values.get("nature") in (*words.REPAIRS, None, "")


def _before_sale(values: Values) -> bool:
    return values.get("nature") == "presale"


def _in_shop(values: Values) -> bool:
    return values.get(TAKEN_BY) == BY_SHOP and is_about_product(values)


def _by_after_sales(values: Values) -> bool:
    return values.get(TAKEN_BY) == BY_OWNER and is_about_product(values)


_SIX = ("contact_name", "contact_phone", "address_text", "product_text", "description")

RULES: tuple[Rule, ...] = (
    RecordRule(clause="R34-4.1.3", step=REGISTER, fields=("contact_phone", "description")),
    RecordRule(clause="R34-4.1.3", step=REGISTER, fields=("product_text",), when=is_about_product),
    RecordRule(clause="R27-2.2.1", step=REGISTER, fields=("contact_phone", "description")),
    RecordRule(clause="R27-2.2.1", step=REGISTER, fields=("product_text",), when=is_about_product),
    RecordRule(clause="R01-4.1", step=REGISTER, fields=("channel", "contact_phone", "description")),
    RecordRule(clause="R03-3.2", step=REGISTER, fields=("contact_phone", "description")),
    RecordRule(clause="R20-1.A", step=REGISTER, fields=("channel", "description")),
    RecordRule(clause="R31-3.2", step=REGISTER, fields=("description",)),
    RecordRule(clause="R31-3.2", step="case.solve", fields=("process",)),
    RecordRule(
        clause="R15-6",
        step=REGISTER,
        fields=(
            "contact_name",
            "address_text",
            "contact_phone",
            "product_text",
            "purchase_date",
            "fault_cause",
            "description",
        ),
        when=_for_repair,
    ),
    # Problem and symptom are told in one field.
    RecordRule(clause="R25-2.3.A1", step=REGISTER, fields=_SIX, when=_in_shop),
    RecordRule(clause="R25-2.3.B1", step=REGISTER, fields=_SIX, when=_by_after_sales),
    RecordRule(clause="R04-4.1a", step=REGISTER, fields=("description",), when=_before_sale),
    RecordRule(clause="R04-4.1a", step="case.plan", fields=("plan",)),
    RecordRule(clause="R04-2.1a", step="case.plan", fields=("plan",)),
    RecordRule(clause="R04-2.1c", step="case.quote", fields=("quotation",)),
    RecordRule(clause="R04-2.3b", step="case.answer", fields=("answer",)),
    RecordRule(clause="R22-1.2", step="case.answer", fields=("answer",)),
    RecordRule(clause="R03-3.3", step="case.solve", fields=("cause", "process")),
    RecordRule(clause="R27-2.3.1", step="case.solve", fields=("cause",)),
    RecordRule(clause="R29-2.2b", step="case.assign", fields=("assignee_id",)),
    RecordRule(clause="R29-2.2b", step="case.solve", fields=("process",)),
)
