"""Pages of applications and clearances: applying, for oneself or others; the sheet of a leaver or mover."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.sdk import (
    AppError,
    Field,
    InvalidData,
    NotAllowed,
    NotFound,
    Record,
    detail_of,
    label_of,
    may,
    read_id,
    require,
    transaction,
    uuid7,
)
from core.sdk_web import FieldsForm, form_from_fields, page_url, state_badge

from . import application_rows, applications, clearance, forms, kinds, parties, stock, values
from .clearance_sheet import handed, sheet
from .rights import CLEAR, KEEP, OWN, VIEW

MOST = 500


def add_routes(blueprint: Blueprint) -> None:
    """Add the pages to the plugin's blueprint (mounted at ``/p/tools/``)."""
    both, post = ("GET", "POST"), ("POST",)
    for rule, name, view, methods in (
        ("/application/new", "application_new", application_new, both),
        ("/application/<application_id>/withdraw", "application_withdraw", application_withdraw, post),
        ("/clearance/new", "clearance_new", clearance_new, both),
        ("/clearance/<clearance_id>", "clearance", clearance_sheet, ("GET",)),
        ("/clearance/<clearance_id>/hand", "clearance_hand", clearance_hand, post),
        ("/clearance/<clearance_id>/missing", "clearance_missing", clearance_missing, post),
        ("/clearance/<clearance_id>/successor", "clearance_successor", clearance_successor, post),
        ("/clearance/<clearance_id>/close", "clearance_close", clearance_close, post),
    ):
        blueprint.add_url_rule(rule, name, view, methods=methods)


def _key() -> str:
    return request.form.get("key", "")[:60]


def _form_page(title: Any, form: FieldsForm, back: str, note: Any = "") -> ResponseReturnValue:
    page = render_template(
        "tools/application_form.html",
        title=title,
        form=form,
        back=back,
        note=note,
        key=request.form.get("key") or uuid7().hex,
    )
    return page, 422 if request.method == "POST" else 200


def _went_through(form: FieldsForm, call: Callable[[], Record]) -> Record | None:
    """Run a service in one transaction when the form was sent and fits; what it refuses stands on the form."""
    if request.method != "POST" or not form.validate_on_submit():
        return None
    try:
        with transaction():
            return call()
    except (NotFound, NotAllowed):
        raise
    except AppError as bad:
        form.show(bad)
        return None


# --- applications --------------------------------------------------------------------------------


def application_new() -> ResponseReturnValue:
    """Apply for a tool: for oneself, or as a keeper for somebody else."""
    keeps = may(KEEP, g.unit.id)
    if not keeps:
        require(OWN, g.unit.id)
    first = {name: request.args.get(name, "")[:80] for name in ("kind", "kind_id", "tool")}
    form = form_from_fields(_application_fields(keeps), first, timezone=g.unit.timezone)
    made = _went_through(form, lambda: applications.register(g.unit.id, form.cleaned, key=_key()))
    if made is None:
        note = _l("Fill in what the kind of application asks for; what is missing is said beside the field.")
        return _form_page(_l("Apply for a tool"), form, _applications_url(), note)
    flash(_said(made), "good")
    return redirect(page_url("record.page", record_id=made.id) if may("case.view", g.unit.id) else _own_url())


def _said(made: Record) -> str:
    if made.state == values.GRANTED:
        return _("%(number)s is granted: no clause asks for a decision here.", number=made.number)
    return _("%(number)s waits for the decision.", number=made.number)


def _application_fields(keeps: bool) -> list[Field]:
    """Let people choose from lists; for whom and for which department only keepers say."""
    unit_id, staff = g.unit.id, forms.staff_choices(g.unit.id)
    given: Mapping[str, Mapping[str, Any]] = {
        "kind": {"choices": applications.kinds_offered(unit_id)},
        "kind_id": {"kind": "choice", "choices": kinds.kind_choices(unit_id)},
        "user_id": {"kind": "choice", "choices": staff},
        "to_user_id": {"kind": "choice", "choices": staff},
    }
    hidden = () if keeps else ("user_id",)
    return [replace(one, **given.get(one.name, {})) for one in applications.FIELDS if one.name not in hidden]


def _applications_url() -> str:
    return url_for("tools_applications.index_view") if may(VIEW, g.unit.id) else _own_url()


def _own_url() -> str:
    return url_for("tools.own")


def application_withdraw(application_id: str) -> ResponseReturnValue:
    """Take one's own application back."""
    record = application_rows.fetch_application(application_id)
    try:
        with transaction():
            applications.withdraw(record.id, request.form.get("reason", "")[:500])
    except (NotFound, NotAllowed):
        raise
    except AppError as bad:
        flash(_("; ").join(str(one) for one in bad.texts()), "bad")
    else:
        flash(_("%(number)s is taken back.", number=record.number), "good")
    back = page_url("record.page", record_id=record.id) if may("case.view", record.unit_id) else _own_url()
    return redirect(back)


# --- clearances ----------------------------------------------------------------------------------


def clearance_new() -> ResponseReturnValue:
    """Begin the clearance of somebody."""
    require(CLEAR, g.unit.id)
    staff = forms.staff_choices(g.unit.id)
    fields = [replace(one, kind="choice", choices=staff) if one.kind == "user" else one for one in clearance.FIELDS]
    first = {"user_id": request.args.get("user", "")[:20]}
    form = form_from_fields(fields, first, timezone=g.unit.timezone)
    made = _went_through(form, lambda: clearance.begin(g.unit.id, form.cleaned, key=_key()))
    if made is None:
        note = clearance.NEVER_BLOCKED
        return _form_page(_l("Begin a clearance"), form, url_for("tools_clearances.index_view"), note)
    return redirect(_sheet_url(made))


def _sheet_url(record: Record) -> str:
    return url_for("tools.clearance", clearance_id=record.id)


def clearance_sheet(clearance_id: str) -> ResponseReturnValue:
    """Show what is open with a person, and what can be done about each."""
    return _sheet(clearance.fetch_clearance(clearance_id))


def _sheet(record: Record, errors: Sequence[Any] = (), status: int = 200) -> ResponseReturnValue:
    detail = detail_of(record)
    works = may(CLEAR, record.unit_id) and record.state == values.OPEN and detail.user_id != g.actor.id
    page = render_template(
        "tools/clearance.html",
        record=record,
        detail=detail,
        found=sheet(record),
        handed=handed(record),
        works=works,
        closed=record.state != values.OPEN,
        state=state_badge,
        kind=label_of(values.CLEARANCE_KINDS, detail.kind),
        kind_label=dict(values.HANDOVER_KINDS),
        party_name=parties.party_name,
        plain=stock.plain_number,
        stores=parties.stores(record.unit_id) if works else (),
        staff=[one for one in forms.staff_choices(record.unit_id) if one[0] != str(detail.user_id)]
        if works
        else (),
        never_blocked=clearance.NEVER_BLOCKED,
        print_url=page_url("printing.index", subject=clearance.CODE, id=record.id),
        list_url=url_for("tools_clearances.index_view") if may(CLEAR, record.unit_id) else "",
        errors=errors,
        key=uuid7().hex,
    )
    return page, status


def _on_sheet(clearance_id: str, call: Callable[[Record], ResponseReturnValue]) -> ResponseReturnValue:
    """Do something on a sheet in one transaction; what is refused is said at its top."""
    record = clearance.fetch_clearance(clearance_id)
    try:
        with transaction():
            return call(record)
    except (NotFound, NotAllowed):
        raise
    except AppError as bad:
        refusals = getattr(bad, "refusals", ())
        errors = [(one.text, one.clause) for one in refusals] or [(text, "") for text in bad.texts()]
    return _sheet(clearance.fetch_clearance(clearance_id), errors, 422)


def _ticked() -> list[int]:
    found = [read_id(raw) for raw in request.form.getlist("tool")[:MOST]]
    return [one for one in found if one is not None]


def clearance_hand(clearance_id: str) -> ResponseReturnValue:
    """Offer what is ticked, one tool (``only``), or everything to the successor or a store."""

    def call(record: Record) -> ResponseReturnValue:
        to, tools = _wanted()
        made = clearance.hand_all(record, to, tool_ids=tools, key=_key())
        flash(_("%(number)s is offered; both sides say yes to it.", number=made.number), "good")
        return redirect(_sheet_url(record))

    return _on_sheet(clearance_id, call)


def _wanted() -> tuple[str, list[int] | None]:
    """Read to whom and which tools: ``do`` is ``successor`` or ``store``, ``one:ID`` to the chosen, or ``all``."""
    to = request.form.get("to", "")[:30]
    what = request.form.get("do", "all")
    if what == "all":
        return to, None
    only = read_id(what.removeprefix("one:"))
    return to, [only] if only is not None else _ticked()


def clearance_missing(clearance_id: str) -> ResponseReturnValue:
    """Report tools that cannot be given back; the manager and finance are told (R35-7.3)."""

    def call(record: Record) -> ResponseReturnValue:
        made = clearance.report_missing(record, _ticked(), request.form.get("what", ""), key=_key())
        flash(_("%(count)d reported as missing; the manager and finance were told.", count=len(made)), "good")
        return redirect(_sheet_url(record))

    return _on_sheet(clearance_id, call)


def clearance_successor(clearance_id: str) -> ResponseReturnValue:
    """Name another successor."""

    def call(record: Record) -> ResponseReturnValue:
        clearance.set_successor(record, read_id(request.form.get("successor", "")))
        flash(_("Saved."), "good")
        return redirect(_sheet_url(record))

    return _on_sheet(clearance_id, call)


def clearance_close(clearance_id: str) -> ResponseReturnValue:
    """Clear somebody, or sign that they go with open items (GJ-5)."""

    def call(record: Record) -> ResponseReturnValue:
        text = request.form.get("reason", "")[:500]
        if request.form.get("do") == "leave_open":
            if not text.strip():
                raise InvalidData({"reason": _l("Please say why")})
            clearance.leave_open(record.id, text)
        else:
            clearance.settle(record.id, text)
        flash(_("Saved."), "good")
        return redirect(_sheet_url(record))

    return _on_sheet(clearance_id, call)
