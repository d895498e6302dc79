"""Where a notice of somebody's inbox leads: to its record, unless its kind has a page of its own."""

from __future__ import annotations

from flask import url_for

from core.records.models import Notice

# End points by kind of notice.
PAGES = {
    "approval.asked": "approvals.index",
    "approval.reminder": "approvals.index",
    "approval.nobody": "approvals.nobody",
    "approval.agreed": "approvals.asked",
    "approval.rejected": "approvals.asked",
    "approval.returned": "approvals.asked",
    "approval.withdrawn": "approvals.index",
    "clause": "clause_changes.index",
    "webhook.off": "webhooks.index_view",
}


def notice_url(notice: Notice) -> str:
    """Return the address a notice leads to."""
    if notice.kind in PAGES:
        return url_for(PAGES[notice.kind])
    return url_for("record.page", record_id=notice.record_id) if notice.record_id else url_for("inbox.index")
