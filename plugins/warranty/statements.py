"""What customers owe: statements and ageing."""

from __future__ import annotations
