"""The clauses of charging, in the order in which they count where several of a kind are in force."""

from __future__ import annotations

ALL_FREE = ("R03-7.1",)
STAFF_FREE = ("R22-1.W1d", "R22-1.R4")
OTHER_COST_FREE = "R22-1.W5"
FREE_REPAIR = (
    "R22-1.W1a",
    "R13-5.1.1.1",
    "R17-5.1.1.1",
    "R18-5.1.1.1",
    "R19-5.1.1.1",
    "R09-5.3.4.1",
    "R07-6.1",
    OTHER_COST_FREE,
)
# Free only where the decision itself rests on them.
PROMISES = (
    "R23-3.1.2",
    "R23-3.1.1",
    "R22-2.8c",
    "R22-1.W4",
    "R22-1.W6b",
    "R07-7.1",
    "R22-1.W1e",
    "R22-1.R5",
    "SB-1",
    "SB-2",
    "SB-5",
)
MISUSE = ("R13-5.1.2", "R17-5.1.1.2", "R18-5.1.1.2", "R19-5.1.1.2", "R10-2.4c")
REMOTE_FREE = ("R13-5.2.1.2", "R17-5.2.2", "R18-5.2.1.2", "R19-5.2.1.2")
PARTS = ("R13-5.2.1.4", "R17-5.2.4", "R18-5.2.1.4", "R19-5.2.1.4")
FOREIGN_PARTS = ("R13-5.2.2.3a", "R19-5.2.2.3a")
HANDLING_FEE = "R17-5.2.7"
NEGOTIATED = ("R07-6.2", "R09-5.3.3.3")
MATERIAL_ONLY, PARTIAL = "R22-4.7", "R23-3.2"
PRICE_KEPT, BID_PRICE = "R14-5.4.3", "R14-5.4.5"
SHEETS = ("R13-5.2.3.2", "R19-5.2.3.2")
VISITS = (
    *(f"R13-5.2.1.3{letter}" for letter in "abcd"),
    *(f"R13-5.2.2.2{letter}" for letter in "abcd"),
    "R17-5.2.3",
    "R18-5.2.1.3",
    "R19-5.2.1.3",
    "R17-5.2.6",
    "R19-5.2.2.2",
)
# Every clause under which a line may stand.
CLAUSES = (
    *ALL_FREE,
    *NEGOTIATED,
    *FREE_REPAIR,
    *STAFF_FREE,
    *PROMISES,
    *MISUSE,
    *REMOTE_FREE,
    *VISITS,
    *PARTS,
    *FOREIGN_PARTS,
    HANDLING_FEE,
    MATERIAL_ONLY,
    PARTIAL,
    PRICE_KEPT,
    BID_PRICE,
    *SHEETS,
)
