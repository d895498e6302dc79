"""Screens of the file: permits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from flask import g, url_for
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, or_, select
from sqlalchemy.orm import aliased, joinedload

from core.sdk import (
    Field,
    User,
    clock,
    label_of,
)
from core.sdk_web import (
    Filter,
    ListColumn,
    ListContext,
    ListSpec,
    Ordering,
    QuickFilter,
    UnitModelView,
    among,
)

from . import forms, kinds, permits, screens_file, values
from .models import Kind, Permit
from .rights import DECIDE, KEEP, VIEW


def _today() -> date:
    return clock.day_in(g.unit.timezone)


def permit_badge(row: Permit, today: date) -> tuple[Any, str]:
    """Return (label, tone) of whether a permit holds."""
    if permits.holds_on(row, today):
        return _l("Valid"), "good"
    if row.ended_on is not None and row.ended_on <= today:
        return _l("Permit taken back"), "bad"
    return (_l("Not yet valid"), "info") if row.starts_on > today else (_l("Run out"), "warn")


def _permits() -> Select[Any]:
    named = joinedload(Permit.user).load_only(User.name, User.username)
    return select(Permit).options(named, joinedload(Permit.kind))


def _permits_of(statement: Select[Any], text: str, _context: ListContext) -> Select[Any]:
    user, kind = aliased(User), aliased(Kind)
    people = select(user.id).where(
        or_(user.name.contains(text, autoescape=True), user.username.contains(text, autoescape=True))
    )
    kinds = select(kind.id).where(kind.name.contains(text, autoescape=True))
    return statement.where(or_(Permit.user_id.in_(people), Permit.kind_id.in_(kinds)))


def _valid(statement: Select[Any], context: ListContext) -> Select[Any]:
    today = context.today()
    return statement.where(
        Permit.starts_on <= today,
        or_(Permit.ends_on.is_(None), Permit.ends_on >= today),
        or_(Permit.ended_on.is_(None), Permit.ended_on > today),
    )


PERMITS = ListSpec(
    name="tools.permits",
    title=_l("Permits"),
    model=Permit,
    base=_permits,
    columns=(
        ListColumn(
            "user",
            _l("Employee"),
            lambda p: p.user.name,
            link=lambda p: screens_file.details_url("tools_permit", p),
            card="title",
        ),
        ListColumn("kind", _l("Kind of tool"), lambda p: kinds.kind_label(p.kind)),
        ListColumn("what", _l("What it allows"), lambda p: label_of(values.PERMITS, p.what)),
        ListColumn("starts_on", _l("Valid from"), lambda p: p.starts_on, "date"),
        ListColumn("ends_on", _l("Valid until"), lambda p: p.ends_on, "date"),
        ListColumn("state", _l("State"), lambda p: permit_badge(p, _today()), "badge", card="badge"),
        ListColumn("basis", _l("Training or paper"), lambda p: p.basis, card="hide"),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Permit.id,)),),
    filters=(Filter("what", _l("What it allows"), "choice", among(Permit.what), values.PERMITS),),
    quick=(QuickFilter("valid", _l("Valid"), _valid),),
    search=_permits_of,
    search_hint=_l("Person or kind"),
    empty=_l("No permits yet. They say who was trained on which tool."),
)


class PermitView(UnitModelView):
    """Permits: who was trained on which kind of tool, and who keeps special ones."""

    plugin = screens_file.PLUGIN
    title = _l("Permits")
    icon = "key"
    create_label = _l("New permit")
    permission = VIEW
    create_permission = KEEP
    export_permission = VIEW
    details_template = "tools/file_permit.html"

    def allowed(self, permission: str, row: Any | None = None) -> bool:
        """A supervisor grants permits as well as a keeper."""
        return super().allowed(permission, row) or (permission == KEEP and super().allowed(DECIDE, row))

    def list_spec(self) -> ListSpec:
        return PERMITS

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        offered = {"user_id": forms.staff_choices(g.unit.id), "kind_id": kinds.kind_choices(g.unit.id)}
        return screens_file.with_chosen(permits.FIELDS, offered)

    def create(self, values: dict[str, Any]) -> Any:
        return permits.grant(g.unit.id, values)

    def details(self, row: Any) -> dict[str, Any]:
        facts = [
            (_l("Employee"), row.user.name),
            (_l("Kind of tool"), kinds.kind_label(row.kind)),
            (_l("What it allows"), label_of(values.PERMITS, row.what)),
            (_l("Valid from"), row.starts_on),
            (_l("Valid until"), row.ends_on),
            (_l("Training or paper"), row.basis),
            (_l("Taken back on"), row.ended_on),
            (_l("Reason"), row.reason),
        ]
        may_end = row.ended_on is None and self.allowed(KEEP, row)
        return {
            "facts": facts,
            "badge": permit_badge(row, _today()),
            "end_url": url_for("tools.permit_end", permit_id=row.id) if may_end else "",
        }


def views() -> list[Any]:
    """Return the screens, in the order of the menu."""
    return [
        PermitView(Permit, endpoint="tools_permit", url="tools/permits"),
    ]
