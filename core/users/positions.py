"""The positions (岗位) a new deployment starts with: rulebook parameters C6, as data."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from core.kernel.database import session
from core.kernel.i18n import current_locale

from .models import Position
from .permissions import EVERYBODY, all_permissions

# Whoever runs the system, whoever grants rights, and whoever checks both: three people.
SEPARATED = "administration"
SYSTEM_ADMIN, SECURITY_ADMIN, AUDITOR = "system_admin", "security_admin", "auditor"


@dataclass(frozen=True)
class PositionData:
    """A position as shipped; a deployment may change the row afterwards."""

    code: str
    title: str
    title_en: str
    permissions: tuple[str, ...]
    below: bool = False
    exclusion_group: str = ""


_SEE = ("case.view", "case.comment", "customer.view", "attachment.view")
_INTAKE = (
    *_SEE,
    "case.create",
    "case.edit",
    "case.classify",
    "case.forward",
    "case.answer",
    "case.chase",
    "case.escalate",
    "case.confirm",
    "attachment.add",
    "customer.create",
    "customer.edit",
    "customer.pii",
)
_FIELD = (
    *_SEE,
    "case.handle",
    "case.chase",
    "case.escalate",
    "case.confirm",
    "case.backdate",
    "attachment.add",
    "customer.pii",
)
_DESK = (*_INTAKE, "case.assign", "case.handle", "case.backdate")
_HEAD = (
    *_DESK,
    "case.close",
    "case.reopen",
    "case.cancel",
    "case.export",
    "view.share",
    "stage.admin",
    "customer.merge",
    "customer.export",
)
_LEADER = (*_HEAD, "case.import", "customer.import")
_IMPORT = ("case.view", "case.import", "customer.view", "customer.create", "customer.edit", "customer.import")
_OFFICE = (*_SEE, "case.handle", "case.escalate", "attachment.add")

POSITIONS: tuple[PositionData, ...] = (
    PositionData("gm", "总经理", "General manager", _LEADER, below=True),
    PositionData("deputy_gm", "常务副总经理", "Executive deputy general manager", _LEADER, below=True),
    PositionData("quality_leader", "质量主管领导", "Quality leader", (*_OFFICE, "case.export"), below=True),
    PositionData("service_leader", "售后主管", "Service leader", _LEADER, below=True),
    PositionData("responsible_leader", "主管领导", "Responsible leader", (*_OFFICE, "case.export"), below=True),
    PositionData("dept_manager", "部门经理", "Department manager", _HEAD),
    PositionData("after_sales", "售后服务部", "After-sales department", _HEAD),
    PositionData(
        "after_sales_admin",
        "售后内勤",
        "After-sales administrator",
        (
            *_DESK,
            "case.close",
            "case.export",
            "case.import",
            "customer.import",
            "customer.merge",
            "customer.export",
        ),
    ),
    PositionData("reception", "客服", "Customer service", _INTAKE),
    PositionData("dispatcher", "服务中心主管", "Service centre supervisor", _HEAD),
    PositionData("field_staff", "维修人员", "Field staff", _FIELD),
    PositionData("quality_inspection", "质检部", "Quality inspection", _OFFICE),
    PositionData("quality_dept", "质量部", "Quality department", (*_OFFICE, "case.export")),
    PositionData("development", "开发部", "Development", _OFFICE),
    PositionData("production", "生产部", "Production", _OFFICE),
    PositionData("technical_office", "技术服务处", "Technical service office", _OFFICE),
    PositionData("repair_centre", "维修中心", "Repair centre", _FIELD),
    PositionData("warehouse", "仓库管理员", "Warehouse", (*_SEE, "attachment.add")),
    PositionData("procurement", "采购部", "Procurement", _SEE),
    PositionData("finance", "财务", "Finance", (*_SEE, "case.export")),
    PositionData("information_office", "信息部", "Information office", (*_SEE, "job.view")),
    PositionData(
        "sales", "销售", "Sales", (*_SEE, "case.create", "case.chase", "customer.create", "customer.edit")
    ),
    PositionData("logistics", "物流配送部", "Logistics", _OFFICE),
    PositionData("store_head", "店长", "Store head", _HEAD),
    PositionData("product_management", "产品管理部", "Product management", _SEE),
    PositionData("web_operation", "网络运营", "Web operation", _SEE),
    PositionData("engineering", "工程部", "Engineering department", _FIELD),
    PositionData("branch_head", "分公司负责人", "Branch head", (*_LEADER, "unit.settings"), below=True),
    # People of another company: they see what is assigned to them, and what a plugin shows them of their own.
    PositionData("agent", "代理商人员", "Agent's staff", ()),
    PositionData("bank_clerk", "柜员", "Bank clerk", _INTAKE),
    PositionData("bank_supervisor", "网点主管", "Bank outlet supervisor", _HEAD),
    PositionData("hotel_front_desk", "前厅", "Hotel front desk", _INTAKE),
    PositionData("hotel_housekeeping", "客房部", "Housekeeping", (*_OFFICE, "case.create")),
    PositionData("hotel_engineering", "酒店工程部", "Hotel engineering", _FIELD),
    PositionData("hotel_catering", "餐饮部", "Catering", (*_OFFICE, "case.create")),
    PositionData("project_manager", "项目经理", "Project manager", _HEAD),
    PositionData("safety_supervisor", "安全生产督察员", "Safety supervisor", _SEE),
    PositionData(
        SYSTEM_ADMIN,
        "系统管理员",
        "System administrator",
        ("unit.admin", "unit.settings", "plugin.switch", "stage.admin", "job.view", *_IMPORT),
        below=True,
        exclusion_group=SEPARATED,
    ),
    PositionData(
        SECURITY_ADMIN,
        "安全管理员",
        "Security administrator",
        ("user.admin", "position.admin", "security.admin"),
        below=True,
        exclusion_group=SEPARATED,
    ),
    PositionData(
        AUDITOR,
        "审计员",
        "Read-only auditor",
        ("audit.view", "audit.export", "case.view", "customer.view", "attachment.view"),
        below=True,
        exclusion_group=SEPARATED,
    ),
    # A phone or counter that several colleagues use: each works there by PIN, in their own name.
    PositionData("shared_device", "共用设备", "Shared device", ("device.share",)),
)

# Service partners hold a position, and so do devices, but neither are our staff.
STAFF = tuple(data.code for data in POSITIONS if data.code not in ("agent", "shared_device"))


def seed_positions() -> int:
    """Add missing positions and grant permissions new to this deployment; return how many rows changed.

    May run again at every upgrade. What administrators changed stays: a permission counts as new only
    while no position holds it. Flushes, never commits.
    """
    held = {p.code: p for p in session().scalars(select(Position))}
    granted = {code for p in held.values() for code in p.permissions}
    changed: set[str] = set()
    for order, data in enumerate(POSITIONS, start=1):
        if data.code not in held:
            held[data.code] = _row(data, order)
            session().add(held[data.code])
            changed.add(data.code)
    for permission in all_permissions():
        if permission.code in granted:
            continue
        for position_code in STAFF if permission.positions == EVERYBODY else permission.positions:
            row = held.get(position_code)
            if row is not None and permission.code not in row.permissions:
                row.permissions = [*row.permissions, permission.code]
                changed.add(position_code)
    session().flush()
    return len(changed)


def _row(data: PositionData, order: int) -> Position:
    return Position(
        code=data.code,
        title=data.title,
        title_en=data.title_en,
        permissions=list(dict.fromkeys(data.permissions)),
        below=data.below,
        exclusion_group=data.exclusion_group,
        sort=order * 10,
    )


def title_of(position: Position) -> str:
    """Return a position's title in the reader's language."""
    return position.title_en if current_locale() == "en" and position.title_en else position.title


def choices() -> list[tuple[str, str]]:
    """Return (code, title) of the positions that do the work, in the reader's language."""
    found = select(Position).where(Position.exclusion_group == "").order_by(Position.sort, Position.id)
    return [(p.code, title_of(p)) for p in session().scalars(found)]
