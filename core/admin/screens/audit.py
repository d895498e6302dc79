"""The audit trail (操作日志): search, verify, export.

Auditors of a unit read its entries; those of the whole deployment also the entries that belong to no unit.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from flask import g, jsonify, request, url_for
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, or_, select

from core.admin.audit_words import (
    ACTIONS,
    SUBJECTS,
    action_label,
    column_cell,
    column_label,
    subject_label,
    value_text,
)
from core.admin.categories import SYSTEM
from core.admin.listing import (
    Filter,
    ListColumn,
    ListContext,
    ListSpec,
    Ordering,
    Page,
    QuickFilter,
    between,
    count_text,
    load_page,
)
from core.admin.views import Answer, ListScreen
from core.kernel import audit
from core.kernel.audit import Audit, record_audit
from core.kernel.database import Base, current_scope, fetch, release, session, system_scope, transaction
from core.kernel.errors import NotAllowed, NotFound
from core.kernel.extensions import AdminEntry
from core.users.models import User
from core.users.services import holds_everywhere


def _actor(row: Audit) -> Any:
    if row.actor_id is None:
        return _("System")
    if "audit_names" not in g:
        found = session().execute(select(User.id, User.name, User.username))
        g.audit_names = {one.id: f"{one.name}（{one.username}）" for one in found}
    return g.audit_names.get(row.actor_id, row.actor_id)


def _subject(row: Audit) -> str:
    return f"{subject_label(row.subject_type)} {row.label or row.subject_id}".strip()


def _fields(row: Audit) -> str:
    return _(", ").join(str(column_label(name, row.subject_type)) for name in row.after or row.detail or ())


def _entry_url(row: Audit) -> str:
    return url_for("audit.details_view", id=row.id)


def _by_actor(statement: Select[Any], text: str, _context: ListContext) -> Select[Any]:
    people = select(User.id).where(or_(User.username == text.casefold(), User.name.contains(text, autoescape=True)))
    return statement.where(Audit.actor_id.in_(people))


def _by_subject(statement: Select[Any], text: str, _context: ListContext) -> Select[Any]:
    return statement.where(or_(Audit.label == text, Audit.subject_id == text))


def _actions(*codes: str) -> Any:
    return lambda statement, _context: statement.where(Audit.action.in_(codes))


_PARTS: dict[str, Any] = {
    "model": Audit,
    "columns": (
        ListColumn("at", _l("Time"), lambda a: a.at, "moment", link=_entry_url),
        ListColumn("actor", _l("Who"), _actor, card="title"),
        ListColumn("action", _l("What"), lambda a: action_label(a.action)),
        ListColumn("subject", _l("Subject"), _subject),
        ListColumn(
            "fields",
            _l("Fields"),
            _fields,
        ),
        ListColumn("address", _l("From where"), lambda a: a.address, "code"),
        ListColumn("sealed", _l("Sealed"), lambda a: a.seal_id is not None, "bool", card="hide"),
        ListColumn("before", _l("Before"), lambda a: _pairs(a, a.before), visible=False),
        ListColumn("after", _l("After"), lambda a: _pairs(a, a.after or a.detail), visible=False),
    ),
    "orderings": (Ordering("newest", _l("Newest first"), (Audit.id,)),),
    "filters": (
        Filter("at", _l("Time"), "dates", between(Audit.at)),
        Filter("actor", _l("Who"), "text", _by_actor),
        Filter(
            "action", _l("What"), "choice", lambda s, v, _c: s.where(Audit.action.in_(v)), tuple(ACTIONS.items())
        ),
        Filter(
            "type",
            _l("Kind of subject"),
            "choice",
            lambda s, v, _c: s.where(Audit.subject_type.in_(v)),
            tuple(SUBJECTS.items()),
        ),
        Filter("subject", _l("Number or name"), "text", _by_subject),
    ),
    "quick": (
        QuickFilter("changes", _l("Changes"), _actions("create", "change", "delete")),
        QuickFilter("refused", _l("Sign-in refused"), _actions("sign_in.refused", "sign_in.code_refused")),
        QuickFilter("exports", _l("Exported"), _actions("export", "import.done")),
    ),
    "empty": _l("No entries match."),
}


def _pairs(row: Audit, values: dict[str, Any] | None) -> str:
    kind, colon = row.subject_type, _(": ")
    pairs = ((column_label(name, kind), value_text(value, name, kind)) for name, value in (values or {}).items())
    return _("; ").join(f"{label}{colon}{value}" for label, value in pairs)


def _value(kind: str, name: str, values: dict[str, Any] | None) -> str:
    """Say one value; the key of another row comes with that row's number or code, where the reader may see it."""
    value = (values or {}).get(name)
    shown = value_text(value, name, kind)
    label = _label_behind(kind, name, value) if isinstance(value, int) else ""
    return f"{label}（{shown}）" if label else shown


def _label_behind(kind: str, name: str, key: int) -> str:
    table = Base.metadata.tables.get(kind)
    if table is None or name not in table.c:
        return ""
    targets = {one.column.table.name for one in table.c[name].foreign_keys}
    for mapper in Base.registry.mappers:
        model = mapper.class_
        if getattr(model, "__tablename__", "") in targets and model.__audit_label__:
            label = session().scalar(select(getattr(model, model.__audit_label__)).where(model.id == key))
            return str(label or "")
    return ""


class _DeploymentSpec(ListSpec):
    def by_unit(self) -> bool:
        return False


UNIT_SPEC = ListSpec(name="audit", title=_l("Audit trail"), **_PARTS)
DEPLOYMENT_SPEC = _DeploymentSpec(
    name="audit_deployment",
    title=_l("Audit trail of the deployment"),
    base=lambda: select(Audit).where(Audit.unit_id.is_(None)),
    **_PARTS,
)


class AuditScreen(ListScreen):
    """Entries of the units the auditor is responsible for."""

    permission = "audit.view"
    export_permission = "audit.export"
    list_template = "admin/audit.html"
    icon = "audit"

    def list_spec(self) -> ListSpec:
        return UNIT_SPEC

    @expose("/details/")
    def details_view(self) -> Answer:
        """Show one entry with before and after."""
        row = _find(request.args.get("id"))
        names = sorted({*(row.before or {}), *(row.after or {})})
        kind = row.subject_type
        changes = [
            (column_cell(n, kind), *(_value(kind, n, side) for side in (row.before, row.after))) for n in names
        ]
        return self.render(
            "admin/audit_entry.html",
            row=row,
            changes=changes,
            detail=[(column_cell(name, kind), _value(kind, name, row.detail)) for name in row.detail or ()],
            actor=_actor(row),
            subject=_subject(row),
            action=action_label(row.action),
            back=self.get_url(".index_view"),
        )

    @expose("/verify/", methods=("POST",))
    def verify_view(self) -> Answer:
        """Check all seals now. Reads everything, so it may take a while on a long trail."""
        verdict = audit.verify()
        with transaction():
            detail = {"ok": verdict.ok, "seals": verdict.seals, "head": verdict.head}
            record_audit("audit.verify", unit_id=g.unit.id, detail=detail)
        return self.render("admin/audit_verify.html", verdict=verdict, back=self.get_url(".index_view"))


class DeploymentAuditScreen(AuditScreen):
    """Entries that belong to no unit: sign-ins, users, positions. For auditors of the whole deployment."""

    def is_accessible(self) -> bool:
        return super().is_accessible() and _reads_all()

    def _handle_view(self, name: str, **kwargs: Any) -> None:
        super()._handle_view(name, **kwargs)
        if not _reads_all():
            raise NotAllowed(self.permission)

    def list_spec(self) -> ListSpec:
        return DEPLOYMENT_SPEC

    def load(self, spec: ListSpec, context: ListContext) -> Page:
        with system_scope("audit reading", g.actor.id, read_only=True):
            return load_page(spec, self.list_args(), context)

    @expose("/count/")
    def count_view(self) -> Answer:
        """Answer the capped number of rows."""
        context = self.list_context()
        with system_scope("audit reading", g.actor.id, read_only=True):
            count = count_text(DEPLOYMENT_SPEC, self.list_args(), context)
        return jsonify(count=count)

    def export_scope(self) -> AbstractContextManager[Any]:
        address = current_scope().address
        release()
        return system_scope("audit export", g.actor.id, address=address)


def _reads_all() -> bool:
    if "audits_all" not in g:
        g.audits_all = holds_everywhere("audit.view")
    return bool(g.audits_all)


def _find(raw_id: object) -> Audit:
    """Find an entry the actor may read.

    Raises:
        NotFound
    """
    try:
        row = fetch(Audit, raw_id)
    except NotFound:
        if not _reads_all():
            raise
        with system_scope("audit reading", g.actor.id, read_only=True):
            row = fetch(Audit, raw_id)
    if row.unit_id is not None and not current_scope().may("audit.view", row.unit_id):
        raise NotFound()
    return row


def admin_views() -> list[AdminEntry]:
    """Return the screens of this module."""
    return [
        AdminEntry(AuditScreen(name=_l("Audit trail"), endpoint="audit"), SYSTEM, 60),
        AdminEntry(DeploymentAuditScreen(name=_l("Deployment audit"), endpoint="audit_deployment"), SYSTEM, 61),
    ]
