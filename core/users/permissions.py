"""Permissions: what there is to allow (``may`` and ``require`` ask for it)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _l

from core.kernel.access import may, require
from core.kernel.database import current_scope

__all__ = [
    "CORE_PERMISSIONS",
    "Permission",
    "all_permissions",
    "is_known",
    "may",
    "register",
    "require",
    "units_where",
]


@dataclass(frozen=True)
class Permission:
    """One thing that may be allowed. ``code`` starts with its room or plugin (``case.close``).

    ``positions`` names the position codes that get it by default when it is new to a deployment.
    """

    code: str
    label: Any
    group: Any
    positions: tuple[str, ...] = ()


# Instead of position codes: every position of our own staff.
EVERYBODY = ("*",)

_CASES = _l("Cases")
_CUSTOMERS = _l("Customers")
_UNITS = _l("Units and settings")
_RULES = _l("Regulations")
_MONEY = _l("Approvals and money")
_SECURITY = _l("Users and security")
_AUDIT = _l("Audit trail")
_INSPECTIONS = _l("Inspection rounds")
_CALENDAR_KEEPERS = ("gm", "deputy_gm", "service_leader", "branch_head", "system_admin")
_LEADERS = ("gm", "deputy_gm", "service_leader", "responsible_leader", "branch_head")
_HEADS = (*_LEADERS, "quality_leader", "dept_manager", "after_sales", "dispatcher", "store_head", "bank_supervisor")
_MAIL_READERS = (*_HEADS, "after_sales_admin", "reception")
_PLACE_KEEPERS = (*_HEADS, "system_admin", "hotel_engineering", "hotel_front_desk", "warehouse")
_INSPECTORS = (
    *_HEADS,
    "after_sales_admin",
    "field_staff",
    "quality_inspection",
    "quality_dept",
    "warehouse",
    "sales",
    "engineering",
    "hotel_front_desk",
    "hotel_housekeeping",
    "hotel_engineering",
    "hotel_catering",
    "project_manager",
    "safety_supervisor",
)
_INSPECTION_KEEPERS = (*_HEADS, "system_admin", "hotel_front_desk", "quality_dept")
_CALENDAR_READERS = (
    *_CALENDAR_KEEPERS,
    "quality_leader",
    "responsible_leader",
    "dept_manager",
    "after_sales",
    "after_sales_admin",
    "reception",
    "dispatcher",
    "store_head",
    "bank_supervisor",
    "project_manager",
)

CORE_PERMISSIONS: tuple[Permission, ...] = (
    Permission("case.view", _l("See cases"), _CASES),
    Permission("case.create", _l("Register cases"), _CASES),
    Permission("case.edit", _l("Edit case details"), _CASES),
    Permission("case.classify", _l("Classify cases"), _CASES),
    Permission("case.forward", _l("Forward cases"), _CASES),
    Permission("case.assign", _l("Assign cases"), _CASES),
    Permission("case.handle", _l("Work on cases"), _CASES),
    Permission("case.answer", _l("Answer inquiries"), _CASES),
    Permission("case.confirm", _l("Record the customer's confirmation"), _CASES),
    Permission("case.close", _l("Close and archive cases"), _CASES),
    Permission("case.reopen", _l("Reopen cases"), _CASES),
    Permission("case.cancel", _l("Cancel cases"), _CASES),
    Permission("case.escalate", _l("Escalate cases"), _CASES),
    Permission("case.comment", _l("Comment on cases"), _CASES),
    Permission("case.chase", _l("Record chasing calls"), _CASES),
    Permission("case.backdate", _l("Enter what happened earlier"), _CASES),
    Permission("case.export", _l("Export cases"), _CASES),
    Permission("case.import", _l("Import case history"), _CASES),
    Permission("task.handle", _l("Do recurring tasks of others"), _CASES, (*_HEADS, "after_sales_admin")),
    Permission("task.lead", _l("Hand out and cancel recurring tasks"), _CASES, _LEADERS),
    Permission("mail.view", _l("See the unit's e-mails"), _CASES, _MAIL_READERS),
    Permission("mail.handle", _l("Deal with e-mails that were put aside"), _CASES, _MAIL_READERS),
    Permission("attachment.view", _l("Open attachments"), _CASES),
    Permission("attachment.add", _l("Add attachments"), _CASES),
    Permission(
        "document.print",
        _l("Print and issue forms of cases (personal data stands in full)"),
        _CASES,
        (*_HEADS, "after_sales_admin", "reception"),
    ),
    Permission(
        "document.view", _l("See the list of issued documents"), _CASES, (*_HEADS, "after_sales_admin", "auditor")
    ),
    Permission(
        "seal.handle", _l("Keep seals and their register"), _CASES, (*_LEADERS, "after_sales_admin", "finance")
    ),
    Permission("view.share", _l("Share saved views with the unit"), _CASES),
    Permission("customer.view", _l("See customers"), _CUSTOMERS),
    Permission("customer.create", _l("Add customers"), _CUSTOMERS),
    Permission("customer.edit", _l("Edit customers"), _CUSTOMERS),
    Permission("customer.merge", _l("Merge customers"), _CUSTOMERS),
    Permission("customer.import", _l("Import customers"), _CUSTOMERS),
    Permission("customer.export", _l("Export customers"), _CUSTOMERS),
    Permission("customer.pii", _l("See personal data in full"), _CUSTOMERS),
    Permission("customer.erase", _l("Erase personal data"), _CUSTOMERS),
    Permission("place.view", _l("See places"), _UNITS, EVERYBODY),
    Permission("place.edit", _l("Add and change places"), _UNITS, _PLACE_KEEPERS),
    Permission("inspection.view", _l("See inspections"), _INSPECTIONS, EVERYBODY),
    Permission("inspection.fill", _l("Fill in inspections"), _INSPECTIONS, _INSPECTORS),
    Permission("inspection.manage", _l("Keep checklists and inspection plans"), _INSPECTIONS, _INSPECTION_KEEPERS),
    Permission("unit.admin", _l("Manage units"), _UNITS),
    Permission("unit.settings", _l("Change settings of a unit"), _UNITS),
    Permission("mail.admin", _l("Set up mailboxes"), _UNITS, (*_LEADERS, "system_admin")),
    Permission("stage.admin", _l("Manage stages"), _UNITS),
    Permission("calendar.view", _l("See working calendars"), _UNITS, _CALENDAR_READERS),
    Permission("calendar.admin", _l("Change working calendars and official days"), _UNITS, _CALENDAR_KEEPERS),
    Permission("plugin.switch", _l("Switch plugins on and off"), _UNITS),
    Permission(
        "robot.admin", _l("Manage group robots"), _UNITS, ("gm", "service_leader", "branch_head", "system_admin")
    ),
    Permission(
        "notice.log", _l("See what was sent to whom"), _UNITS, ("service_leader", "branch_head", "system_admin")
    ),
    Permission("notice.admin", _l("Set how positions are told"), _UNITS, ("system_admin",)),
    Permission("job.view", _l("See background work"), _UNITS),
    Permission("webhook.admin", _l("Manage webhooks"), _UNITS, ("system_admin",)),
    Permission("rules.view", _l("Read regulations and clauses"), _RULES, EVERYBODY),
    Permission("rules.settings", _l("Set clauses of a unit"), _RULES, (*_LEADERS, "system_admin")),
    Permission("rules.replay", _l("Replay the past under other parameters"), _RULES, (*_LEADERS, "system_admin")),
    Permission("rules.excuse", _l("Ask for a lateness to be excused"), _RULES, (*_HEADS, "after_sales_admin")),
    Permission("compliance.view", _l("See how well clauses are kept"), _RULES, (*_HEADS, "auditor")),
    Permission("report.view", _l("See reports"), _RULES, (*_HEADS, "after_sales_admin", "auditor")),
    Permission("report.schedule", _l("Have reports sent regularly"), _RULES, _LEADERS),
    Permission("approval.view", _l("See and decide what waits for one's position"), _MONEY, EVERYBODY),
    Permission("approval.all", _l("See every approval of the unit"), _MONEY, (*_LEADERS, "auditor")),
    Permission("charge.view", _l("See charges"), _MONEY, (*_HEADS, "after_sales_admin", "finance", "auditor")),
    Permission("charge.handle", _l("Work on charges"), _MONEY, (*_LEADERS, "after_sales_admin", "finance")),
    Permission("penalty.view", _l("See all penalty proposals"), _MONEY, (*_LEADERS, "auditor")),
    Permission("penalty.handle", _l("Work on penalty proposals"), _MONEY, _LEADERS),
    Permission("device.share", _l("Let colleagues work by PIN on this account's device"), _SECURITY),
    Permission("user.admin", _l("Manage users"), _SECURITY),
    Permission("position.admin", _l("Manage positions"), _SECURITY),
    Permission("security.admin", _l("Unlock, recover and end sessions"), _SECURITY),
    Permission("audit.view", _l("Read and verify the audit trail"), _AUDIT),
    Permission("audit.export", _l("Export the audit trail"), _AUDIT),
)

_known: dict[str, Permission] = {p.code: p for p in CORE_PERMISSIONS}


def register(permissions: Iterable[Permission]) -> None:
    """Add declared permissions (called once at start with what the plugins declare).

    Raises:
        ValueError: a code is declared twice with different meanings.
    """
    for one in permissions:
        held = _known.setdefault(one.code, one)
        if (held.code, held.positions) != (one.code, one.positions) or str(held.label) != str(one.label):
            raise ValueError(f"permission {one.code} is declared twice")


def all_permissions() -> list[Permission]:
    """Return every declared permission, in the order of declaration."""
    return list(_known.values())


def is_known(code: str) -> bool:
    """Tell whether a permission of this code has been declared."""
    return code in _known


def units_where(code: str) -> frozenset[int]:
    """Return the units in which the present actor holds ``code`` (of a system scope: those it lists, none)."""
    return frozenset(unit for unit, codes in current_scope().permissions.items() if code in codes)
