"""What other plugins may use of warranty and fees."""

from .cover import cover_of, cover_of_many
from .decisions import NATURES, product_class_of
from .invoices import read_tax_number
from .plans import lines_for, lines_of_step, partner_terms, priced_as_paid
from .quotes import take_back
from .standing import Decided, Standing, decisions_of, others_bear, standing_of
from .values import EXCLUDED, MATERIAL, OUT, RESULTS, PartnerTerms, PricedLine
from .workflow import PLAN_FIELDS

# Decisions that mean: out of warranty, with nobody to blame for the fault.
OUT_RESULTS = (OUT, EXCLUDED)

__all__ = [
    "MATERIAL",
    "NATURES",
    "OUT_RESULTS",
    "PLAN_FIELDS",
    "RESULTS",
    "Decided",
    "PartnerTerms",
    "PricedLine",
    "Standing",
    "cover_of",
    "cover_of_many",
    "decisions_of",
    "lines_for",
    "lines_of_step",
    "others_bear",
    "partner_terms",
    "priced_as_paid",
    "product_class_of",
    "read_tax_number",
    "standing_of",
    "take_back",
]
