"""Pages of incidents: the report, the page of the person concerned, deductions from pay; disposal of a tool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    Attachment,
    Field,
    NotAllowed,
    NotFound,
    Record,
    approvals,
    ask,
    current_scope,
    fetch,
    keep_file,
    label_of,
    lock,
    may,
    perform,
    put_file,
    session,
    uuid7,
)
from core.sdk_web import FieldsForm, form_from_fields, page_url, state_badge, went_through

from . import custody, deductions, disposal, forms, incident_flow, incidents, judging, settling, values
from .models import Deduction, Incident, Tool
from .rights import KEEP, MONEY, OWN, VIEW

MOST_FILES = 10
PHOTOS = Field("photos", "photos", _l("Photos"), options={"accept": "image/*,video/mp4,.heic"})
# Who holds a tool reports what happens to it; breaches and the person are for those who keep tools.
_KEEPERS_ONLY = ("breach", "user")


def add_routes(blueprint: Blueprint) -> None:
    """Add the pages to the plugin's blueprint (mounted at ``/p/tools/``)."""
    both, post = ("GET", "POST"), ("POST",)
    for rule, name, view, methods in (
        ("/incident/new", "incident_new", incident_new, both),
        ("/incident/<record_id>", "incident", incident, ("GET",)),
        ("/incident/<record_id>/agree", "incident_agree", incident_agree, post),
        ("/incident/<record_id>/object", "incident_object", incident_object, post),
        ("/incident/<record_id>/deduct", "incident_deduct", incident_deduct, both),
        ("/deduction/<deduction_id>/undo", "deduction_undo", deduction_undo, both),
        ("/tool/<tool_id>/disposal", "disposal_ask", disposal_ask, both),
        ("/tool/<tool_id>/dispose", "disposal_do", disposal_do, both),
    ):
        blueprint.add_url_rule(rule, name, view, methods=methods)


def _form_page(title: Any, form: FieldsForm, back: str, note: Any = "") -> ResponseReturnValue:
    key = request.form.get("key") or str(uuid7())
    page = render_template("tools/incident_form.html", title=title, form=form, back=back, note=note, key=key)
    return page, 422 if request.method == "POST" else 200


def _key() -> str:
    return request.form.get("key", "")[:60]


# --- reporting -----------------------------------------------------------------------------------


def incident_new() -> ResponseReturnValue:
    """Report what happened to a tool, with photos; made for a phone."""
    unit_id = g.unit.id
    anything = any(may(one, unit_id) for one in incidents.ANYTHING)
    if not (anything or may(OWN, unit_id)):
        raise NotAllowed(OWN)
    tool = _tool_of(request.args.get("tool", ""))
    form = form_from_fields(_report_fields(anything), _start(tool), timezone=g.unit.timezone)
    made: list[Record] = []

    def send() -> None:
        raw = {name: one for name, one in form.cleaned.items() if name != PHOTOS.name}
        kept = [keep_file(one.filename or "", one.stream) for one in (form.cleaned["photos"] or [])[:MOST_FILES]]
        record = incidents.report(unit_id, raw, key=_key())
        if not _has_files(record):
            for one in kept:
                put_file(lock(record.id), one, kind="photo")
        made.append(record)

    if went_through(form, send):
        flash(_("%(number)s was reported.", number=made[0].number), "good")
        return redirect(_url_of(made[0]))
    back = page_url("tools.own") if not anything else page_url("tools_incidents.index_view")
    note = _("After an accident: stop using it, secure the place, help whoever is hurt, then report.")
    return _form_page(_l("Report an incident"), form, back, note)


def _report_fields(anything: bool) -> Sequence[Field]:
    """Return the form, with the unit's people to choose from; holders report on nobody but what happened."""
    fields = []
    for one in incidents.FORM:
        if one.name in _KEEPERS_ONLY and not anything:
            continue
        if one.name == "kind" and not anything:
            kinds = tuple(kind for kind in values.INCIDENT_KINDS if kind[0] != values.BREACH)
            one = replace(one, choices=kinds)
        if one.kind == "user":
            one = replace(one, choices=forms.staff_choices(g.unit.id))
        fields.append(one)
    return [*fields, PHOTOS]


def _start(tool: Tool | None) -> dict[str, Any]:
    return {"tool": tool.code if tool is not None else "", "kind": request.args.get("kind", "")}


def _tool_of(raw: str) -> Tool | None:
    """Return the tool that a link names, if the actor may know of it."""
    if not raw:
        return None
    tool = fetch(Tool, raw)
    held = custody.spell(tool.id)
    mine = held is not None and held.party.user_id == current_scope().actor_id
    if not (mine or may(VIEW, tool.unit_id)):
        raise NotFound()
    return tool


def _has_files(record: Record) -> bool:
    """A retry brings the same files again; those of the first time are there."""
    mine = select(Attachment.id).where(Attachment.record_id == record.id).limit(1)
    return session().scalar(mine) is not None


def _url_of(record: Record) -> str:
    if may(VIEW, record.unit_id):
        return page_url("record.page", record_id=record.id)
    return url_for("tools.incident", record_id=record.id)


# --- the person concerned ------------------------------------------------------------------------


def _own(record_id: str) -> Incident:
    """Return an incident for whoever it concerns, or who may see tools.

    Raises:
        NotFound: none, or of others.
    """
    detail = fetch(Incident, record_id)
    concerned = incidents.concerns(detail, current_scope().actor_id) and may(OWN, detail.unit_id)
    if not (concerned or may(VIEW, detail.unit_id)):
        raise NotFound()
    return detail


def incident(record_id: str) -> ResponseReturnValue:
    """Show an incident to the person concerned: what was judged, what it costs and why, and what they may say."""
    return _own_page(_own(record_id))


def _own_page(detail: Incident, form: FieldsForm | None = None) -> ResponseReturnValue:
    record = detail.record
    steps = {one.transition.name: one for one in ask(record) if one.allowed}
    page = render_template(
        "tools/incident_own.html",
        detail=detail,
        record=record,
        state=state_badge(record),
        kind=label_of(values.INCIDENT_KINDS, detail.kind),
        cause=label_of(values.CAUSES, detail.cause) if detail.cause else "",
        settlement=label_of(values.SETTLEMENTS, detail.settlement) if detail.settlement else "",
        reckoning=reckoning_of(record.id),
        left=settling.left(record.id) if record.state == values.CHARGED else None,
        refund=settling.to_refund(record.id) if record.state == values.REFUND else None,
        deductions=deductions.of_incident(record.id),
        waits=_waits(detail),
        agree=_step_form("agree_to_pay", detail, form) if "agree_to_pay" in steps else None,
        object=_step_form("object", detail, form) if "object" in steps else None,
        key=str(uuid7()),
    )
    return page, 200 if form is None else 422


def _waits(detail: Incident) -> bool:
    """Tell whether the clause's position has still to decide."""
    if detail.approval_id is None or detail.record.state != values.JUDGED:
        return False
    asked = session().get(approvals.Approval, detail.approval_id)
    return asked is not None and asked.state in approvals.OPEN_STATES


def _step_form(name: str, detail: Incident, sent: FieldsForm | None) -> FieldsForm:
    if sent is not None and sent.fields_ == tuple(_step_fields(name, detail)):
        return sent
    return form_from_fields(_step_fields(name, detail), timezone=g.unit.timezone, fresh=True)


def _step_fields(name: str, detail: Incident) -> Sequence[Field]:
    fields = incident_flow.WORKFLOW.transitions[name].fields
    if name != "agree_to_pay" or judging.may_be_in_kind(detail.record, detail):
        return fields
    ways = tuple(one for one in values.SETTLEMENTS if one[0] != values.IN_KIND)
    return [replace(fields[0], choices=ways)]


def incident_agree(record_id: str) -> ResponseReturnValue:
    """The person agrees to pay, and says how."""
    return _say(record_id, "agree_to_pay")


def incident_object(record_id: str) -> ResponseReturnValue:
    """The person objects, with the reason; whoever judges looks at it again."""
    return _say(record_id, "object")


def _say(record_id: str, name: str) -> ResponseReturnValue:
    detail = _own(record_id)
    form = form_from_fields(_step_fields(name, detail), timezone=g.unit.timezone)
    if went_through(form, lambda: perform(detail.id, name, form.cleaned, key=_key())):
        flash(_("Saved."), "good")
        return redirect(url_for("tools.incident", record_id=detail.id))
    session().refresh(detail)
    return _own_page(detail, form)


def reckoning_of(record_id: int) -> list[tuple[Any, Any]]:
    """Return what a compensation was worked out from, as (label, value): price, share, age."""
    rows = judging.lines_of(record_id)
    if not rows:
        return []
    given = rows[-1].inputs.get("given", {})
    shown = [(label, given.get(name)) for name, label in RECKONING if given.get(name) is not None]
    basis = given.get("basis")
    return [*([(_l("By which price"), label_of(BASES, basis))] if basis else []), *shown]


BASES = (("price", _l("Today's price of its kind")), ("original_price", _l("Original price")))
RECKONING = (
    ("price", _l("Price (yuan)")),
    ("rate", _l("Share (percent)")),
    ("bought_on", _l("Bought on")),
    ("age_months", _l("Age (months)")),
    ("life_months", _l("Service life (months)")),
    ("least", _l("At least (percent)")),
)


# --- deductions ----------------------------------------------------------------------------------


def incident_deduct(record_id: str) -> ResponseReturnValue:
    """Enter what was deducted from a month's pay; wages are looked at and forgotten."""
    detail = fetch(Incident, record_id)
    if not may(MONEY, detail.unit_id):
        raise NotFound()
    form = form_from_fields(deductions.FIELDS, timezone=g.unit.timezone)
    back = page_url("record.page", record_id=detail.id)
    if went_through(form, lambda: deductions.enter(detail.id, form.cleaned, key=_key())):
        flash(_("Saved."), "good")
        return redirect(back)
    left = settling.left(detail.id)
    note = _("%(left)s yuan are still owed. The wage only serves the month's limit and is not kept.", left=left)
    return _form_page(_l("Enter a deduction from pay"), form, back, note)


def deduction_undo(deduction_id: str) -> ResponseReturnValue:
    """Take back a deduction that was entered wrongly, saying why."""
    row = fetch(Deduction, deduction_id)
    if not may(MONEY, row.unit_id):
        raise NotFound()
    form = form_from_fields(deductions.UNDO_FIELDS, timezone=g.unit.timezone)
    back = page_url("record.page", record_id=row.incident_id)
    if went_through(form, lambda: deductions.take_back(row.id, form.cleaned, key=_key())):
        flash(_("Taken back; it is owed again."), "good")
        return redirect(back)
    note = _(
        "%(month)s: %(amount)s yuan. The entry stays to be seen and counts no more.",
        month=row.month,
        amount=row.amount,
    )
    return _form_page(_l("Take a deduction back"), form, back, note)


# --- disposal ------------------------------------------------------------------------------------


def _keepers_tool(tool_id: str) -> Tool:
    tool = fetch(Tool, tool_id)
    if not may(KEEP, tool.unit_id):
        raise NotFound()
    return tool


def disposal_ask(tool_id: str) -> ResponseReturnValue:
    """Ask for the agreement to a retired tool's disposal."""
    tool = _keepers_tool(tool_id)
    form = form_from_fields(disposal.ASK_FIELDS, timezone=g.unit.timezone)
    back = page_url("record.page", record_id=tool.id)
    if went_through(form, lambda: disposal.ask(tool.id, form.cleaned, key=_key())):
        flash(_("Asked for; whoever decides is told."), "good")
        return redirect(back)
    return _form_page(_l("Ask for the disposal"), form, back, f"{tool.code} {tool.name}")


def disposal_do(tool_id: str) -> ResponseReturnValue:
    """Enter the disposal of a retired tool with its proof."""
    tool = _keepers_tool(tool_id)
    agreed = disposal.agreed_for(tool.unit_id, tool.id)
    given = {name: agreed.data.get(name) for name in ("how", "buyer")} if agreed is not None else {}
    form = form_from_fields(disposal.FIELDS, given, timezone=g.unit.timezone)
    back = page_url("record.page", record_id=tool.id)
    if went_through(form, lambda: disposal.dispose(tool.id, form.cleaned, key=_key())):
        flash(_("Disposed of."), "good")
        return redirect(back)
    return _form_page(_l("Enter the disposal"), form, back, f"{tool.code} {tool.name}")
