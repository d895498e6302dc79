"""Which positions the clauses mean by the departments they name (rulebook parameters C6)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

# 售后服务部, 服务部, 供销部, 质量室: the department that owns cases, its head and its office.
OWNER = "after_sales"
OWNERS = frozenset({OWNER, "after_sales_admin", "service_leader", "dispatcher"})
# 门店、导购、销售: who meets customers in a shop.
SHOP = frozenset({"sales", "store_head"})
# Clauses that ask who took a request in; where one of them is on, the fact of registering says so.
ASKING = (
    "R17-7.1.3a",
    "R18-7.1.3a",
    "R19-7.1.3a",
    "R17-7.1.3b",
    "R18-7.1.3b",
    "R19-7.1.3b",
    "R25-2.3.A1",
    "R25-2.3.A2",
    "R25-2.3.B1",
    "R25-2.3.B2",
)
TAKEN_BY = "taken_by"
BY_OWNER, BY_SHOP, BY_OTHERS = "owner", "shop", "others"


def taken_by(positions: Collection[str]) -> str:
    """Say for the fact of registering who took the request in: the owner department, a shop, or somebody else."""
    if not OWNERS.isdisjoint(positions):
        return BY_OWNER
    return BY_OTHERS if SHOP.isdisjoint(positions) else BY_SHOP


def came_straight(fact: Any) -> bool:
    """Tell of the fact of registering whether the owner department took the request in itself."""
    return bool(fact.data.get(TAKEN_BY) == BY_OWNER)
