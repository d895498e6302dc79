"""Pages of agents' own people: one case, one statement with its lines, answering them, and the sheet both ways."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.sdk import (
    AppError,
    Field,
    NotAllowed,
    NotFound,
    charges,
    current_locale,
    current_scope,
    documents,
    label_of,
    read_id,
    transaction,
)
from core.sdk_web import FieldsForm, form_from_fields, page_url, state_badge, went_through

from . import own, prints_statement, sheets_lines, statements, values
from .models import Statement, StatementLine
from .panels_statement import Check
from .rights import OWN
from .screens_own import order_badge

PAGE = 100
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
LINE_TONES = {
    values.OPEN: "warn",
    values.CONFIRMED: "good",
    values.DISPUTED: "bad",
    values.ALLOWED: "good",
    values.REJECTED: "bad",
    values.CARRIED: "neutral",
}
RESULT_TONES = {values.GOOD: "good", values.BAD: "bad", values.UNCHECKED: "neutral"}
FILE = Field("file", "photos", _l("Filled-in sheet"), True, options={"accept": ".xlsx,.csv", "multiple": False})
# The answer to a line, as asked of the agent itself.
_YOURS = {"claimed": _l("Amount by your account"), "dispute": _l("Why you dispute it")}
ANSWER_FIELDS = tuple(replace(one, label=_YOURS.get(one.name, one.label)) for one in statements.ANSWER_FIELDS)
DATES = {
    "departed": _l("Left for the customer"),
    "arrived": _l("Arrived on site"),
    "started": _l("Work started"),
    "solved": _l("Solved"),
    "confirmed": _l("Confirmed by the customer"),
}


def add_routes(blueprint: Blueprint) -> None:
    """Add the pages to the plugin's blueprint (mounted at ``/p/agents/``)."""
    both = ("GET", "POST")
    blueprint.add_url_rule("/own/case/<record_id>", "own_case", own_case)
    blueprint.add_url_rule("/own/statement/<statement_id>", "own_statement", own_statement)
    blueprint.add_url_rule("/own/statement/<statement_id>/confirm", "own_confirm", own_confirm, methods=("POST",))
    blueprint.add_url_rule("/own/statement/<statement_id>/sheet", "own_sheet", own_sheet)
    blueprint.add_url_rule("/own/statement/<statement_id>/pdf", "own_pdf", own_pdf, methods=("POST",))
    blueprint.add_url_rule("/own/statement/<statement_id>/upload", "own_upload", own_upload, methods=both)
    blueprint.add_url_rule("/own/line/<line_id>", "own_line", own_line, methods=both)


def _require_own() -> None:
    if not current_scope().may(OWN, g.unit.id):
        raise NotAllowed(OWN)


# --- a case --------------------------------------------------------------------------------------


def own_case(record_id: str) -> ResponseReturnValue:
    """Show one of their cases. Whoever it is assigned to finds the steps of the work there."""
    _require_own()
    found = own.case_page(record_id)
    return render_template(
        "agents/own_case.html",
        found=found,
        record=found.record,
        case=found.case,
        state=state_badge(found.record),
        order_badge=order_badge,
        dates=[(DATES[kind], at) for kind, at in found.dates],
        means=lambda one: label_of(values.NOTICE_MEANS, one.means),
        label=charges.label_of,
        owes=lambda one: _("We owe you") if one.payer == "company" else _("You owe us"),
        steps=[(one, page_url("my.do", record_id=found.record.id, step=one.name)) for one in found.steps],
        job_url=page_url("my.job", record_id=found.record.id) if found.steps else "",
    )


# --- a statement ---------------------------------------------------------------------------------


def own_statement(statement_id: str) -> ResponseReturnValue:
    """Show a statement that was sent to them, a page of its lines, and the payments made on it."""
    _require_own()
    statement = own.find_statement(statement_id)
    after = read_id(request.args.get("after", "")) or 0
    lines = statements.lines_of(statement.id, after, PAGE + 1)
    more = len(lines) > PAGE
    lines = lines[:PAGE]
    return render_template(
        "agents/own_statement.html",
        statement=statement,
        record=statement.record,
        state=state_badge(statement.record),
        lines=[one for one in lines if not one.released],
        theirs=own.among([one.record_id for one in lines]),
        next_after=lines[-1].id if more else None,
        label=sheets_lines.label_text,
        line_badge=lambda one: (
            YOUR_LINE_STATES.get(one.state) or label_of(values.LINE_STATES, one.state),
            LINE_TONES.get(one.state, "neutral"),
        ),
        checks=checks_of,
        owes=lambda one: label_of(sheets_lines.YOUR_SIDE, one.direction),
        may_answer=statement.record.state == statements.SENT,
        answerable=lambda one: one.state in (values.OPEN, values.CONFIRMED, values.DISPUTED, values.REJECTED),
        payments=own.payments_of(statement),
        kind=lambda one: PAYMENT_WORDS[one.kind],
    )


# Lines and payments in words as seen from their side.
YOUR_LINE_STATES = {values.CONFIRMED: _l("Confirmed by you"), values.DISPUTED: _l("Disputed by you")}
PAYMENT_WORDS = {
    values.RECEIVED_FROM: _l("Paid by you"),
    values.PAID_TO: _l("Paid to you"),
    values.OFFSET: _l("Offset by agreement"),
}


def checks_of(line: StatementLine) -> list[Check]:
    """Return what the checks found. The numbers behind it may be of others: left out."""
    return [
        Check(
            label,
            label_of(values.RESULTS, line.checks[code][0]),
            RESULT_TONES.get(line.checks[code][0], "neutral"),
            "",
        )
        for code, label in values.CHECKS
        if line.checks.get(code)
    ]


def own_confirm(statement_id: str) -> ResponseReturnValue:
    """Confirm every line that is not answered yet."""
    _require_own()
    statement = own.find_statement(statement_id)
    try:
        with transaction():
            statements.confirm_all(statement.id)
    except (NotFound, NotAllowed):
        raise
    except AppError as bad:
        flash(_("; ").join(str(one) for one in bad.texts()), "bad")
    else:
        flash(_("Saved."), "good")
    return redirect(_statement_url(statement))


def own_line(line_id: str) -> ResponseReturnValue:
    """Confirm a line, or dispute it with the reason and the amount by their own account."""
    _require_own()
    line, statement = own.find_line(line_id)
    given = {
        "answer": request.args.get("answer") or (statements.DISPUTE if line.state == values.DISPUTED else ""),
        "claimed": line.claimed,
        "dispute": line.dispute,
    }
    form = form_from_fields(ANSWER_FIELDS, given, timezone=g.unit.timezone)
    if went_through(form, lambda: statements.answer_line(line.id, form.cleaned)):
        return redirect(_statement_url(statement, f"line-{line.id}"))
    return _form(
        _("Answer to a line"),
        form,
        statement,
        about=f"{line.record.number} · {sheets_lines.label_text(line)}",
        amount=line.amount,
    )


def own_sheet(statement_id: str) -> ResponseReturnValue:
    """Send the lines of a statement as a sheet to answer in."""
    _require_own()
    statement = own.find_statement(statement_id)
    answer = Response(sheets_lines.workbook(statement.id), mimetype=XLSX)
    answer.headers["Content-Disposition"] = f'attachment; filename="{statement.record.number}.xlsx"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


def own_pdf(statement_id: str) -> ResponseReturnValue:
    """Send the statement as PDF, as it stands today. The look-up is logged, hence a POST."""
    _require_own()
    statement = own.find_statement(statement_id)
    try:
        content = documents.hand_out(prints_statement.FORM, statement.record, current_locale())
    except (NotFound, NotAllowed):
        raise
    except AppError as bad:
        flash(_("; ").join(str(one) for one in bad.texts()), "bad")
        return redirect(_statement_url(statement))
    answer = Response(content, mimetype="application/pdf")
    answer.headers["Content-Disposition"] = f'inline; filename="{statement.record.number}.pdf"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


def own_upload(statement_id: str) -> ResponseReturnValue:
    """Look at a filled-in sheet row by row (``try``), or take its answers over, all or none."""
    _require_own()
    statement = own.find_statement(statement_id)
    form = form_from_fields((FILE,), timezone=g.unit.timezone)
    rows: list[sheets_lines.RowResult] = []

    def take() -> None:
        content = form.cleaned["file"][0].stream.read(sheets_lines.MOST_FILE + 1)
        rows.extend(sheets_lines.read_answers(statement.id, io.BytesIO(content)))
        if request.form.get("go") == "1":
            count = sheets_lines.apply_answers(statement.id, io.BytesIO(content))
            flash(_("%(count)d lines answered.", count=count), "good")

    if went_through(form, take) and request.form.get("go") == "1":
        return redirect(_statement_url(statement))
    actions = dict(statements.ANSWERS)
    return _form(
        _("Upload the answers"),
        form,
        statement,
        rows=[(one, actions.get(one.action, "")) for one in rows],
        is_sheet=True,
    )


def _statement_url(statement: Statement, anchor: str = "") -> str:
    return url_for("agents.own_statement", statement_id=statement.id, _anchor=anchor or None)


def _form(title: str, form: FieldsForm, statement: Statement, **more: Any) -> ResponseReturnValue:
    page = render_template(
        "agents/own_form.html",
        title=title,
        form=form,
        statement=statement,
        record=statement.record,
        back=_statement_url(statement),
        **more,
    )
    failed = request.method == "POST" and (form.problems or form.errors)
    return page, 422 if failed else 200
