"""The kinds of notices that tool custody puts into people's inboxes, and how they reach people unless told."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from core.sdk import NoticeKind, declare_notices

DUE, CLEARANCE, MISSING, APPLIED = "tools.due", "tools.clearance", "tools.missing", "tools.applied"
_GROUP = _l("Tools")
_OWN = "tools.own"  # where people confirm and see what they hold
_DIGEST = "digest"

declare_notices(
    NoticeKind("tools.offered", _l("Please confirm a hand-over of tools"), _GROUP, urgent=True, page=_OWN),
    NoticeKind("tools.refused", _l("A hand-over was refused"), _GROUP),
    NoticeKind("tools.withdrawn", _l("A hand-over was withdrawn"), _GROUP, _DIGEST),
    NoticeKind(DUE, _l("Please bring a tool back"), _GROUP, urgent=True, page=_OWN),
    NoticeKind(APPLIED, _l("The application for a tool was decided"), _GROUP),
    NoticeKind("tools.reported", _l("Something happened to a tool"), _GROUP),
    NoticeKind("tools.judged", _l("An incident with your tool was judged"), _GROUP),
    NoticeKind("tools.judge_again", _l("An incident is to be judged again"), _GROUP),
    NoticeKind("tools.to_pay", _l("You are to compensate for a tool"), _GROUP),
    NoticeKind("tools.charge_changed", _l("A compensation for a tool has changed"), _GROUP),
    NoticeKind("tools.deducted", _l("A part of a compensation is deducted from your pay"), _GROUP),
    NoticeKind("tools.deduction_undone", _l("A deduction from your pay was taken back"), _GROUP),
    NoticeKind("tools.counted", _l("A count waits to be checked"), _GROUP),
    NoticeKind("tools.found", _l("A lost tool was found"), _GROUP),
    NoticeKind(CLEARANCE, _l("Your tools are being cleared"), _GROUP),
    NoticeKind(MISSING, _l("Tools are missing at a clearance"), _GROUP, urgent=True),
)
