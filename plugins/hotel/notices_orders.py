"""The kinds of notices about orders and complaints, and how they reach people unless told."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from core.sdk import NoticeKind, declare_notices

_GROUP = _l("Hotel")
AGAIN, COMPENSATION = "hotel.again", "hotel.compensation"

declare_notices(
    NoticeKind(AGAIN, _l("Your repair was not accepted"), _GROUP, urgent=True),
    NoticeKind(COMPENSATION, _l("A compensation was decided"), _GROUP),
)
