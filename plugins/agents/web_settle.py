"""Pages of settlement for our staff: answering lines, payments, Excel."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

from flask import Blueprint, flash, g, redirect, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.sdk import (
    AppError,
    Field,
    InvalidData,
    NotAllowed,
    NotFound,
    Refused,
    exporting,
    fetch,
    label_of,
    local_day,
    may,
    money_math,
    require,
    rmb,
    transaction,
)
from core.sdk_web import FieldsForm, form_from_fields, page_url, went_through

from . import file, line_evidence, payments, settlement, sheets_lines, statements, values
from .models import Agent, Payment, Statement, StatementLine
from .panels_statement import LINE_TONES, checks_of
from .rights import FINANCE, SETTLE, VIEW
from .screens_statements import payment_badge, statement_url

PERIOD = Field(
    "period", "text", _l("Settlement month"), True, max_length=7, help=_l("A month that is over, such as 2026-01")
)
REVIEW = Field("review", "long", _l("What the look at the checks showed"), True, max_length=300)
CARRY_REASON = Field("reason", "long", _l("Why it is moved"), True, max_length=500)
AGENT = Field("agent_id", "choice", _l("Agent"), True, lambda: file.agent_choices(g.unit.id))
# What staff do with a line on its page: name -> (heading, fields, call).
_Act = tuple[Any, Sequence[Field], Callable[[int, dict[str, Any]], Any]]


def add_routes(blueprint: Blueprint) -> None:
    """Add the pages to the plugin's blueprint (mounted at ``/p/agents/``)."""
    both, post = ("GET", "POST"), ("POST",)
    for rule, name, view, methods in (
        ("/statements/make", "statements_make", statements_make, both),
        ("/statement/<statement_id>/sheet", "statement_sheet", statement_sheet, ("GET",)),
        ("/statement/<statement_id>/answers", "statement_answers", statement_answers, both),
        ("/statement/<statement_id>/confirm", "statement_confirm", statement_confirm, post),
        ("/statement/<statement_id>/check", "statement_check", statement_check, post),
        ("/line/<line_id>", "line", line, both),
        ("/payment/new", "payment_new", payment_new, both),
        ("/payment/<payment_id>", "payment", payment, both),
        ("/payments/match/<agent_id>", "payments_match", payments_match, post),
    ):
        blueprint.add_url_rule(rule, name, view, methods=methods)


def _of(model: type[Any], raw_id: str, permission: str) -> Any:
    """Return a thing of a unit where the actor holds a permission.

    Raises:
        NotFound: none here. NotAllowed.
    """
    found = fetch(model, raw_id)
    if not may(VIEW, found.unit_id):
        raise NotFound()
    require(permission, found.unit_id)
    return found


def _form_page(title: Any, form: FieldsForm, back: str, note: Any = "") -> ResponseReturnValue:
    page = render_template("agents/settle_form.html", title=title, form=form, back=back, note=note)
    return page, 422 if request.method == "POST" else 200


# --- statements ----------------------------------------------------------------------------------


def statements_make() -> ResponseReturnValue:
    """Let the statements of a month be made; the work shows its progress on a page of its own."""
    require(SETTLE, g.unit.id)
    form = form_from_fields([PERIOD], {"period": _last_month()}, timezone=g.unit.timezone)
    made: list[Any] = []
    if went_through(form, lambda: made.append(settlement.start(g.unit.id, form.cleaned["period"]))):
        return redirect(url_for("jobs.run_view", id=made[0].id))
    note = _("Lines up to that month which stand on no statement are taken up; made again, nothing doubles.")
    return _form_page(_l("Make the statements of a month"), form, page_url("agents_statements.index_view"), note)


def _last_month() -> str:
    day = local_day(g.unit.id)
    months = day.year * 12 + day.month - 2
    return f"{months // 12}-{months % 12 + 1:02d}"


def statement_sheet(statement_id: str) -> ResponseReturnValue:
    """Send the lines of a statement as .xlsx."""
    found: Statement = _of(Statement, statement_id, SETTLE)
    name = f"{found.record.number}-{found.period}.xlsx"
    content = io.BytesIO(sheets_lines.workbook(found.id))
    return send_file(content, exporting.MIME_TYPES[exporting.XLSX], as_attachment=True, download_name=name)


def statement_answers(statement_id: str) -> ResponseReturnValue:
    """Take answers in from a sheet, on the agent's word: judged row by row first, then all or none."""
    found: Statement = _of(Statement, statement_id, SETTLE)
    return answers_page(found, statement_url(found))


def answers_page(found: Statement, back: str) -> ResponseReturnValue:
    """Show the page of taking answers in; whoever calls has seen to it that the actor may."""
    rows: list[sheets_lines.RowResult] = []
    problems: list[Any] = []
    if request.method == "POST":
        try:
            taken = _take_in(found, rows)
        except InvalidData as bad:
            problems = [text for texts in bad.errors.values() for text in texts]
        except AppError as bad:
            if isinstance(bad, NotFound | NotAllowed):
                raise
            problems = [str(one.text) for one in getattr(bad, "refusals", ())] or [bad.title]
        else:
            if taken:
                flash(_("%(count)d lines were answered.", count=taken), "good")
                return redirect(back)
    page = render_template(
        "agents/statement_answers.html",
        statement=found,
        back=back,
        rows=rows,
        bad=[one for one in rows if one.errors],
        answered=sum(1 for one in rows if one.action and not one.errors),
        words={sheets_lines.CONFIRM: _("Confirm"), sheets_lines.DISPUTE: _("Dispute")},
        problems=problems,
    )
    wrong = problems or any(one.errors for one in rows)
    return page, 422 if wrong else 200


def _take_in(found: Statement, rows: list[sheets_lines.RowResult]) -> int:
    """Judge the file into ``rows``; take it over where that is asked for and nothing is wrong."""
    sent = request.files.get("file")
    if sent is None or not sent.filename:
        raise InvalidData({"file": _l("Please choose a file")})
    content = sent.read(sheets_lines.MOST_FILE + 1)
    rows += sheets_lines.read_answers(found.id, io.BytesIO(content))
    if request.form.get("do") != "take" or any(one.errors for one in rows):
        return 0
    return sheets_lines.apply_answers(found.id, io.BytesIO(content))


def statement_confirm(statement_id: str) -> ResponseReturnValue:
    """Confirm what is not answered, on the agent's word."""
    found: Statement = _of(Statement, statement_id, SETTLE)
    with transaction():
        statements.confirm_all(found.id)
    flash(_("Saved."), "good")
    return redirect(statement_url(found))


def statement_check(statement_id: str) -> ResponseReturnValue:
    """Check the lines anew: an old part came in since, say."""
    found: Statement = _of(Statement, statement_id, SETTLE)
    try:
        checked = settlement.check_again(found.id)
    except Refused as no:
        flash(" ".join(str(text) for text in no.texts()), "bad")
        return redirect(statement_url(found))
    count = checked.failed_count
    if count:
        flash(_("Checked again: %(count)d lines with a failed check.", count=count), "warn")
    else:
        flash(_("Checked again: no check failed."), "good")
    return redirect(statement_url(found))


# --- a line --------------------------------------------------------------------------------------


def line(line_id: str) -> ResponseReturnValue:
    """Show a line with its checks, and what our staff can do with it."""
    found: StatementLine = _of(StatementLine, line_id, VIEW)
    acts = _acts(found) if may(SETTLE, found.unit_id) else {}
    given = request.form.get("act", "") if request.method == "POST" else ""
    if given and given not in acts:
        raise NotFound()
    forms = {
        name: form_from_fields(fields, _first_values(name, found), timezone=g.unit.timezone, fresh=name != given)
        for name, (_label, fields, _call) in acts.items()
    }
    if given:
        form, call = forms[given], acts[given][2]
        if went_through(form, lambda: call(found.id, form.cleaned)):
            flash(_("Saved."), "good")
            return redirect(statement_url(found.statement))
    page = render_template(
        "agents/statement_line.html",
        line=found,
        statement=found.statement,
        back=statement_url(found.statement),
        case_url=page_url("record.page", record_id=found.record_id),
        label=sheets_lines.label_text(found),
        direction=label_of(values.DIRECTIONS, found.direction),
        state=(label_of(values.LINE_STATES, found.state), LINE_TONES.get(found.state, "neutral")),
        checks=checks_of(found),
        proofs=line_evidence.proofs_of(found),
        acts=[(name, acts[name][0], form) for name, form in forms.items()],
    )
    return page, 422 if given else 200


def _acts(found: StatementLine) -> dict[str, _Act]:
    """Return what can be done with a line as its statement stands."""
    state = found.statement.record.state
    if found.released:
        return {}
    acts: dict[str, _Act] = {}
    if state in (statements.SENT, statements.DISPUTED) and found.state == values.DISPUTED:
        acts["decide"] = (_l("Decide the dispute"), statements.DECISION_FIELDS, statements.decide_dispute)
    if state == statements.SENT and found.state != values.ALLOWED:
        acts["answer"] = (_l("Answer on their word"), statements.ANSWER_FIELDS, statements.answer_line)
    if state in statements.BEFORE_APPROVAL:
        if found.failed:
            acts["note"] = (
                _l("Note on the checks"),
                [REVIEW],
                lambda key, v: statements.note_check(key, v["review"]),
            )
        acts["carry"] = (
            _l("Move to a later statement"),
            [CARRY_REASON],
            lambda key, v: statements.carry(key, v["reason"]),
        )
    return acts


def _first_values(name: str, found: StatementLine) -> dict[str, Any]:
    if name == "decide":
        return {"amount": found.claimed}
    return {"review": found.review} if name == "note" else {}


# --- payments ------------------------------------------------------------------------------------


def payment_new() -> ResponseReturnValue:
    """Enter a payment of a statement (``statement``), or of an agent, which goes to what is open longest."""
    require(FINANCE, g.unit.id)
    chosen: Statement | None = None
    if request.args.get("statement"):
        chosen = _of(Statement, request.args["statement"], FINANCE)
        if chosen.unit_id != g.unit.id:
            raise NotFound()
    fields = payments.FIELDS if chosen else (AGENT, *payments.FIELDS)
    form = form_from_fields(fields, _proposed(chosen), timezone=g.unit.timezone)
    made: list[Payment] = []

    def enter() -> None:
        about = {"agent_id": chosen.agent_id, "statement_id": chosen.id} if chosen else {}
        made.append(payments.register(g.unit.id, {**form.cleaned, **about}))

    if went_through(form, enter):
        flash(_("Saved."), "good")
        rest = payments.rest_of([made[0].id])[made[0].id]
        if rest:
            flash(_("%(amount)s yuan are on account", amount=f"{rest:,.2f}"), "warn")
        return redirect(statement_url(chosen) if chosen else url_for("agents.payment", payment_id=made[0].id))
    back = statement_url(chosen) if chosen else page_url("agents_payments.index_view")
    note = _("For %(number)s, %(agent)s", number=chosen.record.number, agent=chosen.agent.name) if chosen else ""
    return _form_page(_l("Enter a payment"), form, back, note)


def _proposed(chosen: Statement | None) -> dict[str, Any]:
    """Fill in what is open of a statement: what they owe first."""
    first: dict[str, Any] = {"paid_on": local_day(g.unit.id)}
    if chosen is None:
        return first
    for kind, rest in zip((values.RECEIVED_FROM, values.PAID_TO), statements.open_of(chosen), strict=True):
        if rest > 0:
            return {**first, "kind": kind, "amount": rest}
    return first


def payment(payment_id: str) -> ResponseReturnValue:
    """Show a payment, what it paid and what is on account; finance may take it back."""
    found: Payment = _of(Payment, payment_id, VIEW)
    may_void = may(FINANCE, found.unit_id) and not found.void
    if request.method == "POST":
        require(FINANCE, found.unit_id)
    form = form_from_fields([payments.REASON], timezone=g.unit.timezone)
    if went_through(form, lambda: payments.void(found.id, form.cleaned["reason"])):
        flash(_("Saved."), "good")
        return redirect(url_for("agents.payment", payment_id=found.id))
    page = render_template(
        "agents/payment.html",
        payment=found,
        agent=fetch(Agent, found.agent_id),
        kind=label_of(values.PAYMENT_KINDS, found.kind),
        badge=payment_badge(found),
        words=rmb(found.amount),
        rest=payments.rest_of([found.id])[found.id],
        lines=payments.matched_by(found.id),
        statement_url=statement_url,
        direction=lambda one: label_of(values.DIRECTIONS, one.direction),
        form=form if may_void else None,
        back=page_url("agents_payments.index_view"),
    )
    return page, 422 if request.method == "POST" else 200


def payments_match(agent_id: str) -> ResponseReturnValue:
    """Let open statements of an agent take what is on account."""
    found: Agent = _of(Agent, agent_id, FINANCE)
    with transaction():
        taken = payments.match_rest(found)
    amount = f"{taken:,.2f}"
    flash(
        _("%(amount)s yuan were matched", amount=amount) if taken > money_math.ZERO else _("Nothing fits"), "good"
    )
    return redirect(page_url("agents_ageing.index_view"))
