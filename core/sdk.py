"""The public face of the core for plugins: tables, services and words. Screens are in ``core.sdk_web``."""

from core.cases.field_work import read_signature
from core.cases.models import Case
from core.customers.identity import read_company_code
from core.customers.models import Customer, CustomerAddress, CustomerContact, CustomerPhone
from core.customers.phones import read_phone
from core.customers.services import BAD_EMAIL, valid_email
from core.customers.services import on_erase as on_customer_erased
from core.customers.services import summary as customer_summary
from core.documents import scan
from core.documents import services as documents
from core.documents.labels import full_address, label_uid
from core.documents.typeset import qr_svg
from core.inspections import services as inspections
from core.inspections.models import Checklist, Finding, Inspection
from core.inspections.uses import InspectionUse
from core.kernel import clock, exporting, jobs, search, sheets
from core.kernel.access import may, require
from core.kernel.audit import record_audit
from core.kernel.database import (
    Base,
    BigId,
    Json,
    UnitScoped,
    UtcDateTime,
    after_commit,
    current_scope,
    fetch,
    on_refusal,
    release,
    session,
    system_scope,
    transaction,
)
from core.kernel.errors import AppError, Conflict, InvalidData, NotAllowed, NotFound, Refusal, Refused
from core.kernel.extensions import (
    AdminEntry,
    ApiResource,
    Badge,
    Blocker,
    Column,
    Event,
    FormSection,
    Hit,
    OpenItem,
    Panel,
    Part,
    PrintForm,
    Report,
    ReportColumn,
    SearchSource,
    Tile,
)
from core.kernel.fields import Choices, Field, clean, label_of, normalise
from core.kernel.i18n import current_locale, speaking
from core.kernel.ids import read_id, uuid7
from core.kernel.importing import Importer, Plan, Row
from core.kernel.jobs import Job, Periodic, Work
from core.kernel.money_words import rmb
from core.kernel.numbering import draw
from core.kernel.outbox import publish
from core.kernel.sheets import Column as SheetColumn
from core.mail import outgoing as mails
from core.notices.kinds import Kind as NoticeKind
from core.notices.kinds import declare as declare_notices
from core.places import services as places
from core.places.models import Place
from core.records.attachments import attach
from core.records.attachments import keep as keep_file
from core.records.attachments import path_of as file_path
from core.records.attachments import put as put_file
from core.records.engine import (
    Step,
    answered_before,
    append_fact,
    ask,
    create_record,
    detail_of,
    fetch_visible,
    link_records,
    lock,
    perform,
    record_fact,
    remember_answer,
    sees_inside,
    tell_of_fact,
)
from core.records.models import OPEN_CATEGORIES, Attachment, Fact, Link, Record
from core.records.services import notify, tell_people
from core.records.types import RecordType
from core.records.workflow import (
    NOT_CONCERNED,
    RESUME,
    FactKind,
    Guard,
    State,
    Transition,
    Workflow,
    WorkflowExtension,
    make_workflow,
)
from core.reports import periods as report_periods
from core.rules import approvals, charges, excuses, penalties
from core.rules import money as money_math
from core.rules.charge_models import Charge
from core.rules.clocks import Term, add_months, deadline
from core.rules.effective import effective, holds
from core.rules.gates import require_clause
from core.rules.kinds import (
    ApprovalRule,
    ChecklistRule,
    DeadlineRule,
    FeeRule,
    GateRule,
    Happened,
    Line,
    PenaltyRule,
    RecordRule,
    ReportRule,
    RoutingRule,
    Rule,
    ScheduleRule,
    ServiceRule,
)
from core.rules.obligation_models import Obligation
from core.rules.schedules import Wanted, period_of
from core.rules.unit_calendars import calendar_for
from core.tasks.leaving import open_items as open_items_of_leaver
from core.tasks.services import open_task
from core.units.facts import local_day, unit_facts
from core.units.models import Setting, Stage, Unit
from core.units.settings import SettingSpec, setting
from core.units.switches import enabled_plugins, enabled_since
from core.users import pins
from core.users import services as accounts
from core.users.models import Position, User
from core.users.permissions import Permission

__all__ = [
    "BAD_EMAIL",
    "NOT_CONCERNED",
    "OPEN_CATEGORIES",
    "RESUME",
    "AdminEntry",
    "ApiResource",
    "AppError",
    "ApprovalRule",
    "Attachment",
    "Badge",
    "Base",
    "BigId",
    "Blocker",
    "Case",
    "Charge",
    "Checklist",
    "ChecklistRule",
    "Choices",
    "Column",
    "Conflict",
    "Customer",
    "CustomerAddress",
    "CustomerContact",
    "CustomerPhone",
    "DeadlineRule",
    "Event",
    "Fact",
    "FactKind",
    "FeeRule",
    "Field",
    "Finding",
    "FormSection",
    "GateRule",
    "Guard",
    "Happened",
    "Hit",
    "Importer",
    "Inspection",
    "InspectionUse",
    "InvalidData",
    "Job",
    "Json",
    "Line",
    "Link",
    "NotAllowed",
    "NotFound",
    "NoticeKind",
    "Obligation",
    "OpenItem",
    "Panel",
    "Part",
    "PenaltyRule",
    "Periodic",
    "Permission",
    "Place",
    "Plan",
    "Position",
    "PrintForm",
    "Record",
    "RecordRule",
    "RecordType",
    "Refusal",
    "Refused",
    "Report",
    "ReportColumn",
    "ReportRule",
    "RoutingRule",
    "Row",
    "Rule",
    "ScheduleRule",
    "SearchSource",
    "ServiceRule",
    "Setting",
    "SettingSpec",
    "SheetColumn",
    "Stage",
    "State",
    "Step",
    "Term",
    "Tile",
    "Transition",
    "Unit",
    "UnitScoped",
    "User",
    "UtcDateTime",
    "Wanted",
    "Work",
    "Workflow",
    "WorkflowExtension",
    "accounts",
    "add_months",
    "after_commit",
    "answered_before",
    "append_fact",
    "approvals",
    "ask",
    "attach",
    "calendar_for",
    "charges",
    "clean",
    "clock",
    "create_record",
    "current_locale",
    "current_scope",
    "customer_summary",
    "deadline",
    "declare_notices",
    "detail_of",
    "documents",
    "draw",
    "effective",
    "enabled_plugins",
    "enabled_since",
    "excuses",
    "exporting",
    "fetch",
    "fetch_visible",
    "file_path",
    "full_address",
    "holds",
    "inspections",
    "jobs",
    "keep_file",
    "label_of",
    "label_uid",
    "link_records",
    "local_day",
    "lock",
    "mails",
    "make_workflow",
    "may",
    "money_math",
    "normalise",
    "notify",
    "on_customer_erased",
    "on_refusal",
    "open_items_of_leaver",
    "open_task",
    "penalties",
    "perform",
    "period_of",
    "pins",
    "places",
    "publish",
    "put_file",
    "qr_svg",
    "read_company_code",
    "read_id",
    "read_phone",
    "read_signature",
    "record_audit",
    "record_fact",
    "release",
    "remember_answer",
    "report_periods",
    "require",
    "require_clause",
    "rmb",
    "scan",
    "search",
    "sees_inside",
    "session",
    "setting",
    "sheets",
    "speaking",
    "system_scope",
    "tell_of_fact",
    "tell_people",
    "transaction",
    "unit_facts",
    "uuid7",
    "valid_email",
]
