"""Papers: quote (报价单) and repair sheet (售后服务维修单). Both are printed from the case they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.sdk import (
    PrintForm,
    Record,
    Refusal,
    Refused,
    current_locale,
    detail_of,
    documents,
    effective,
    label_of,
    local_day,
    rmb,
)

from . import pricing, quotes, rights, values
from .models import Coverage, Quote
from .standing import standing_of


def forms() -> list[PrintForm]:
    """Return them for the hook."""
    return [
        PrintForm(
            code=quotes.FORM,
            title=_l("Quote sheet"),
            subject="case",
            template="warranty/quote.typ",
            data=quote_sheet,
            permission=rights.HANDLE,
        ),
        PrintForm(
            code="warranty.repair_sheet",
            title=_l("After-sales repair sheet"),
            subject="case",
            template="warranty/repair_sheet.typ",
            data=repair_sheet,
            permission=documents.PRINT,
            seal="business",
        ),
    ]


def quote_sheet(record: Record) -> dict[str, Any]:
    """Return what the quote says: every line with its clause and why, and what there is to pay.

    Raises:
        Refused: the fees of this case have not been worked out.
    """
    quote = standing_of(record).quote
    if quote is None:
        raise Refused([Refusal("no_quote", _l("The fees have not been worked out yet"))])
    return {
        "number": quote.number,
        "day": local_day(record.unit_id, quote.quoted_at).isoformat(),
        "valid_until": quote.valid_until.isoformat() if quote.valid_until else "",
        **_head(record),
        "coverage": _coverage(standing_of(record).coverage),
        "plan": _plan(quote.plan),
        **_money(quote.unit_id, quotes.lines_now(quote)),
    }


def repair_sheet(record: Record) -> dict[str, Any]:
    """Return what the repair sheet says: item, coverage, plan, parts, fees and consent, and where both sign."""
    standing = standing_of(record)
    case = detail_of(record)
    quote = standing.quote
    return {
        **_head(record),
        "description": case.description,
        "assignee": record.assignee.name if record.assignee else "",
        "coverage": _coverage(standing.coverage),
        "until": _day(standing.coverage.covered_until) if standing.coverage else "",
        "solution": case.plan,
        "plan": _plan(quote.plan) if quote is not None else [],
        "process": case.process,
        "parts": case.parts_used,
        "test": case.test_result,
        "quote": quote.number if quote is not None else "",
        "consent": _consent(quote),
        **_money(record.unit_id, quotes.lines_of(record.id, quote)),
    }


def _head(record: Record) -> dict[str, str]:
    case, customer = detail_of(record), record.customer
    return {
        "case": record.number,
        "received": _day(local_day(record.unit_id, record.received_at)),
        "customer": customer.name if customer else "",
        "customer_number": customer.number if customer else "",
        "contact": case.contact_name,
        "phone": case.contact_phone,
        "address": case.address_text,
        "product": case.product_text,
        "serial": case.serial_text,
    }


def _day(day: Any) -> str:
    return day.isoformat() if day is not None else ""


def _coverage(coverage: Coverage | None) -> str:
    if coverage is None:
        return ""
    word = str(label_of(values.RESULTS, coverage.result))
    return _("%(what)s (clause %(clause)s)", what=word, clause=coverage.clause) if coverage.clause else word


def _plan(given: Mapping[str, Any]) -> list[list[str]]:
    """Return what is to be done, as (what, how much)."""
    pairs: list[tuple[Any, Any]] = [
        (_("How it is served"), label_of(values.MEANS_OF_SERVICE, given.get("means", ""))),
        (_("People"), given.get("people")),
        (_("Days of work"), given.get("days")),
        (_("Nights"), given.get("nights")),
        (_("Hours of labour"), given.get("hours")),
    ]
    provided = "、".join(str(label_of(values.PROVIDED, one)) for one in given.get("provided") or ())
    pairs.append((_("The customer provides"), provided))
    return [[str(what), str(much)] for what, much in pairs if much not in (None, "", "0", 0)]


def _consent(quote: Quote | None) -> str:
    """Say how the customer answered, and when."""
    if quote is None:
        return ""
    state = str(label_of(values.QUOTE_STATES, quote.state))
    if quote.state != values.CONSENTED or quote.answered_at is None:
        return state
    means = str(label_of(values.CONSENT_MEANS, quote.means))
    day = local_day(quote.unit_id, quote.answered_at).isoformat()
    who = quote.answered_by
    return _("%(state)s: %(who)s, %(means)s, %(day)s", state=state, who=who, means=means, day=day)


def _money(unit_id: int, lines: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the lines as they are printed, and their sum in figures and capitals."""
    rows = list(lines)
    total = sum((Decimal(one["amount"]) for one in rows), Decimal("0.00"))
    titles = {one["clause"]: _title(unit_id, one["clause"]) for one in rows}
    return {
        "lines": [_row(one, titles[one["clause"]]) for one in rows],
        "total": f"{total:,.2f}",
        "words": rmb(total),
    }


def _row(one: Mapping[str, Any], title: str) -> dict[str, str]:
    plain = not one["waiver"]
    why = str(label_of(pricing.WHYS, one["why"])) if one["why"] else ""
    return {
        "what": one["label"].get(current_locale()) or one["label"]["zh"],
        "clause": one["clause"],
        "why": "\n".join(part for part in (title, why) if part),
        "quantity": one["quantity"] if plain else "",
        "price": f"{Decimal(one['price']):,.2f}" if plain else "",
        "amount": f"{Decimal(one['amount']):,.2f}",
    }


def _title(unit_id: int, clause: str) -> str:
    """Name a clause in the language of the print; '' where its plugin is gone."""
    try:
        title = effective(unit_id, clause).clause.title
    except LookupError:
        return ""
    return title.get(current_locale()) or title["zh"]
