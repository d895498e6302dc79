"""Counting on a phone: one scan box for gun and camera, how far one is, what is left, what was not expected.

The page works without scripts; with the desk's script a scan does not load it anew.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    current_scope,
    fetch,
    keep_file,
    lock,
    perform,
    put_file,
    scan,
    transaction,
    uuid7,
)
from core.sdk_web import form_from_fields, page_url

from . import care, count_rows, counts, desk, parties, stock, values
from .models import Count, CountLine, Tool
from .panels_counts import line_rows
from .rights import KEEP, MAINTAIN

# What the page's buttons say (``do``): the first one of the form answers Enter, which a scan gun sends.
MOST_FILES = 10
FILES = Field("files", "photos", _l("Photos and files"), True, options={"accept": "image/*,application/pdf"})
ADD, PHOTO, PART, SIGN = "add", "photo", "part", "sign"
Notes = list[tuple[str, Any]]


def add_routes(blueprint: Blueprint) -> None:
    """Add the pages to the plugin's blueprint (mounted at ``/p/tools/``)."""
    both = ("GET", "POST")
    blueprint.add_url_rule("/count/new", "count_new", count_new, methods=both)
    blueprint.add_url_rule("/count/<record_id>", "count", count, methods=both)
    blueprint.add_url_rule("/tool/<tool_id>/certificate", "care_file", care_file, methods=both)


def _require() -> None:
    if not current_scope().may(KEEP, g.unit.id):
        raise NotAllowed(KEEP)


def count_new() -> ResponseReturnValue:
    """Begin a count, or go on with the one that is under way."""
    _require()
    note = next(one for one in counts.FIELDS if one.name == "note")
    choices = count_rows.party_choices(g.unit.id)
    fields = (Field("party", "choice", _l("What is counted"), True, choices), note)
    start = {"party": request.args.get("party", "")}
    form = form_from_fields(fields, start, timezone=g.unit.timezone)
    if request.method == "POST" and form.validate_on_submit():
        try:
            with transaction():
                made = counts.begin(g.unit.id, form.cleaned).id
        except (NotFound, NotAllowed):
            raise
        except AppError as bad:
            form.show(bad)
        else:
            return redirect(url_for("tools.count", record_id=made))
    page = render_template(
        "tools/incident_form.html",
        title=_("Begin a count"),
        form=form,
        back=url_for("tools_counts.index_view"),
        note=_("Everything the ledger has there is to be found; what moves meanwhile is seen to."),
        key=str(uuid7()),
    )
    return page, 422 if request.method == "POST" else 200


def count(record_id: str) -> ResponseReturnValue:
    """Show a count under way, and take one scan or one press of a button; once signed, its record shows it."""
    _require()
    found = count_rows.get(record_id)
    if found.record.state != values.COUNTING:
        return redirect(page_url("record.page", record_id=found.id))
    if request.method != "POST":
        return _page(found)
    if request.form.get("do") == SIGN:
        return _sign(found)
    notes: Notes = []
    errors: dict[str, list[Any]] = {}
    try:
        with transaction():
            notes = _change(found, request.form.get("do", ADD))
    except InvalidData as bad:
        errors = {"scan" if name == "code" else name: texts for name, texts in bad.errors.items()}
    except (NotFound, NotAllowed):
        raise
    except AppError as bad:
        errors = {"scan": list(bad.texts())}
    return _page(found, errors, notes)


def _change(found: Count, what: str) -> Notes:
    """Do what a button says; return what there is to tell, as (tone, text)."""
    name, _space, line_id = what.partition(" ")
    if name == "missing":
        return [_told(counts.mark_missing(found.id, line_id))]
    if name == "undo":
        counts.take_back(found.id, line_id)
        return [("info", _l("Taken back."))]
    if name == "say":
        return [_told(_said_of(found, line_id))]
    if name == PART:
        raw = {"kind": request.form.get("part"), "counted": request.form.get("quantity")}
        return [_told(counts.count_parts(found.id, raw))]
    if name == PHOTO:
        return [_told(counts.count_one(found.id, text)) for text in _codes_of_photo()]
    text = request.form.get("scan", "").strip()
    return [_told(counts.count_one(found.id, text))] if text else []


def _said_of(found: Count, line_id: str) -> CountLine:
    line = count_rows.line(found.id, line_id)
    if line.tool is None:
        raise NotFound()
    raw = {name: request.form.get(f"{name}-{line.id}", "") for name in ("condition", "place", "note")}
    return counts.count_one(found.id, line.tool, raw)


def _told(line: CountLine) -> tuple[str, Any]:
    """Say in a sentence what was entered, so that whoever scans need not look for it."""
    if line.kind is not None:
        amount = stock.plain_number(line.counted or line.expected * 0)
        return "good", _l("%(kind)s: %(count)s counted.", kind=line.kind.name, count=amount)
    tool = line.tool
    name = f"{tool.code} {tool.name}" if tool is not None else ""
    if line.result == values.EXTRA:
        return "warn", _l("%(tool)s is not expected here; it is on the list of its own.", tool=name)
    if line.result == values.MISSING:
        return "warn", _l("%(tool)s is entered as missing.", tool=name)
    return "good", _l("%(tool)s found.", tool=name)


def _codes_of_photo() -> Sequence[str]:
    sent = request.files.get("photo")
    if sent is None or not sent.filename:
        raise InvalidData({"photo": _l("Choose or take a photo first.")})
    codes = scan.read_photo(sent.stream)
    if not codes:
        raise InvalidData({"photo": _l("No code was found in the photo.")})
    return [one.text for one in codes]


def _sign(found: Count) -> ResponseReturnValue:
    raw = {"rest_missing": bool(request.form.get("rest_missing")), "note": request.form.get("sign_note", "")}
    try:
        perform(found.id, "sign", raw, key=request.form.get("key", "")[:60])
    except (NotFound, NotAllowed):
        raise
    except AppError as bad:
        return _page(found, {"sign": list(bad.texts())}, status=bad.status)
    flash(_("Signed. Somebody else looks at it and signs, too."), "good")
    return redirect(page_url("record.page", record_id=found.id))


def _page(
    found: Count, errors: dict[str, list[Any]] | None = None, notes: Notes | None = None, status: int = 200
) -> ResponseReturnValue:
    by_result = count_rows.progress(found.id)
    whole = sum(number for code, number in by_result.items() if code != values.EXTRA)
    left = by_result.get(values.EXPECTED, 0)
    page = render_template(
        "tools/count.html",
        count=found,
        party=parties.party_name(found.party),
        errors=errors or {},
        notes=notes or [],
        whole=whole,
        done=whole - left,
        left=left,
        progress=[(label, by_result[code]) for code, label in values.COUNT_RESULTS if by_result.get(code)],
        latest=line_rows(count_rows.latest_lines(found.id)),
        rest=count_rows.still_to_find(found.id),
        differing=line_rows(count_rows.different(found.id)),
        small_parts=desk.small_parts(g.unit.id),
        conditions=values.CONDITIONS,
        places=count_rows.places_of(found.party_id),
        plain=stock.plain_number,
        most=count_rows.MOST_SHOWN,
        key=str(uuid7()),
    )
    return page, status


def care_file(tool_id: str) -> ResponseReturnValue:
    """Put certificates and photos of care on the tool's record, for whoever enters its care."""
    tool = fetch(Tool, tool_id)
    if not care.may_care(tool):
        raise NotAllowed(MAINTAIN)
    form = form_from_fields((FILES,), timezone=g.unit.timezone)
    back = page_url("record.page", record_id=tool.id)
    if request.method == "POST" and form.validate_on_submit():
        try:
            kept = [keep_file(one.filename or "", one.stream) for one in form.cleaned["files"][:MOST_FILES]]
            with transaction():
                record = lock(tool.id)
                for one in kept:
                    put_file(record, one)
        except (NotFound, NotAllowed):
            raise
        except AppError as bad:
            form.show(bad)
        else:
            flash(_("Saved."), "good")
            return redirect(back)
    page = render_template(
        "tools/incident_form.html",
        title=_("Add a certificate"),
        form=form,
        back=back,
        note=f"{tool.code} {tool.name}",
        key=str(uuid7()),
    )
    return page, 422 if request.method == "POST" else 200
