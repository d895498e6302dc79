"""Where a notice of somebody's inbox leads: to its record, unless its kind has a page of its own."""

from __future__ import annotations

from flask import url_for

from core.notices import kinds
from core.records.models import Notice


def notice_url(notice: Notice) -> str:
    """Return the address a notice leads to."""
    page = kinds.kind(notice.kind).page
    if page:
        return url_for(page)
    return url_for("record.page", record_id=notice.record_id) if notice.record_id else url_for("inbox.index")
