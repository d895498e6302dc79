"""E-mails as screens show them: on a record's page, in lists, with as much of an address as the reader may see."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from flask import current_app, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.kernel.access import may
from core.kernel.fields import Choices, Field, label_of
from core.mail import outgoing
from core.mail.models import Mail
from core.mail.reasons import reason_words
from core.records.engine import may_read, sees_inside
from core.records.models import Record

VIEW = "mail.view"
STATES: Choices = (
    ("case", _l("Became a case")),
    ("reply", _l("Taken as a reply")),
    ("quarantined", _l("Put aside")),
    ("ignored", _l("Ignored")),
    ("pending", _l("On its way")),
    ("sent", _l("Sent")),
    ("failed", _l("Not delivered")),
)
TONES = {"case": "good", "reply": "good", "quarantined": "warn", "pending": "info", "sent": "good", "failed": "bad"}
DIRECTIONS: Choices = (("in", _l("Came in")), ("out", _l("Sent by us")))


def shown_address(address: str, unit_id: int) -> str:
    """Return an address in full to who may see personal data, else its beginning and its host."""
    if may("customer.pii", unit_id) or "@" not in address:
        return address
    name, _at, host = address.rpartition("@")
    return f"{name[:1]}***@{host}"


def address_key(address: str) -> str:
    """Return what stands for an address in the form of a reply: the same later on, and telling nothing of it.

    A place in the list would not do: a mail that arrives meanwhile moves its sender to the front.
    """
    secret = str(current_app.extensions["settings"].secret_key).encode()
    return hmac.new(secret, f"reply to {address}".encode(), hashlib.sha256).hexdigest()[:24]


def state_badge(row: Mail) -> tuple[Any, str]:
    """Return a mail's state and its tone."""
    return label_of(STATES, row.state), TONES.get(row.state, "neutral")


def other_side(row: Mail) -> str:
    """Return whom a mail is from, or to."""
    if row.direction == "out":
        return _(", ").join(shown_address(one, row.unit_id) for one in row.recipients)
    return shown_address(row.sender, row.unit_id)


def reply_fields(record: Record) -> tuple[Field, ...]:
    """Return the form of a reply: to an address on file, which is shown as far as the actor may see it."""
    found = outgoing.addresses_for(record)
    choices = [(address_key(one), shown_address(one, record.unit_id)) for one in found]
    return (
        Field("to", "choice", _l("Receiver"), True, choices, default=choices[0][0] if choices else None),
        Field("text", "long", _l("Text"), True, max_length=outgoing.LONGEST, options={"rows": 8}),
        Field("files", "photos", _l("Files"), options={"accept": "image/*,application/pdf,.docx,.xlsx,.zip"}),
    )


def mails_of(record: Record) -> list[dict[str, Any]]:
    """Return what the record page says of its mails, newest first."""
    return [
        {
            "row": row,
            "badge": state_badge(row),
            "other": other_side(row),
            "reason": reason_words(row.reason) if row.state in ("failed", "ignored") and row.reason else "",
            "url": url_for("mails.details_view", id=row.id) if may(VIEW, row.unit_id) else "",
        }
        for row in (outgoing.mails_of(record) if sees_inside(record) else ())
    ]


def may_write(record: Record) -> bool:
    """Tell whether the record page offers to write to the customer."""
    return record.type == "case" and may_read(record, "case.handle") and outgoing.mailbox_of(record) is not None
