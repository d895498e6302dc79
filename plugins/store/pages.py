"""What the pages of the store share: a form on a page of its own."""

from __future__ import annotations

from typing import Any

from flask import render_template, request
from flask.typing import ResponseReturnValue

from core.sdk import uuid7
from core.sdk_web import FieldsForm, form_key, page_url


def record_url(key: int) -> str:
    """Return the address of a record's page."""
    return page_url("record.page", record_id=key)


def form_page(title: Any, form: FieldsForm, back: str, note: Any = "") -> ResponseReturnValue:
    """Show a form: 200 when it is asked for, 422 when what was sent did not go through (its key is kept)."""
    key = form_key() or uuid7().hex
    page = render_template("store/supply_form.html", title=title, form=form, back=back, note=note, key=key)
    return page, 422 if request.method == "POST" else 200
