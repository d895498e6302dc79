"""What other plugins may use of warranty and fees."""

from .cover import cover_of, cover_of_many
from .decisions import product_class_of
from .plans import lines_for
from .standing import Standing, standing_of

__all__ = ["Standing", "cover_of", "cover_of_many", "lines_for", "product_class_of", "standing_of"]
