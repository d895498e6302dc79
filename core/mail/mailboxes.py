"""The mailboxes of units: who may set them up, and what a mailbox needs."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l

from core.customers.services import BAD_EMAIL
from core.kernel import clock
from core.kernel.access import require
from core.kernel.database import session
from core.kernel.errors import InvalidData
from core.kernel.fields import REQUIRED, Field
from core.kernel.outgoing import check_host
from core.kernel.secrets import seal
from core.notices.smtp import is_address

from .fetching import NONE, SSL, STARTTLS
from .models import Mailbox

ADMIN = "mail.admin"
SECURITIES = (
    (SSL, _l("TLS from the beginning (usually port 993)")),
    (STARTTLS, _l("TLS after the greeting (usually port 143)")),
    (NONE, _l("None (only inside one's own network)")),
)
_SECRET = {"type": "password", "autocomplete": "new-password"}
_QUICK = 3.0  # seconds for looking a host up while a form is saved


def mailbox_fields(row: Mailbox | None) -> tuple[Field, ...]:
    """Return the form of a mailbox; the password is never shown, an empty one stays as it was."""
    kept = _l("Leave empty to keep it. It is asked for again when the server or user name changes.")
    return (
        Field("name", "text", _l("Name of the mailbox"), True, max_length=80),
        Field("address", "text", _l("E-mail address"), True, max_length=200, help=_l("Customers write to it")),
        Field("host", "text", _l("Mail server (IMAP)"), True, max_length=200, help=_l("Such as imap.example.com")),
        Field("port", "int", _l("Port"), True, minimum=Decimal(1), maximum=Decimal(65535), default=993),
        Field("security", "choice", _l("Security"), True, SECURITIES, default=SSL),
        Field("username", "text", _l("User name"), True, max_length=200),
        Field(
            "password",
            "text",
            _l("Password or authorisation code"),
            row is None,
            max_length=200,
            help=kept if row is not None else _l("Many providers give out a code of its own for IMAP"),
            options={"attributes": _SECRET},
        ),
        Field("folder", "text", _l("Folder"), True, max_length=100, default="INBOX"),
        Field(
            "since",
            "moment",
            _l("Take mails that arrived since"),
            help=_l("Leave empty for the present time; what is older stays in the mailbox"),
        ),
        Field(
            "acknowledge",
            "bool",
            _l("Tell the sender the number of the new case"),
            help=_l("By an automatic e-mail; never to automatic mails"),
        ),
        Field("active", "bool", _l("In use"), default=True),
    )


def save_mailbox(unit_id: int, values: Mapping[str, Any], row: Mailbox | None = None) -> Mailbox:
    """Set a mailbox up, or change it, from cleaned ``mailbox_fields``.

    Raises:
        NotAllowed: without ``mail.admin``.
        InvalidData: an address, host or password that cannot be used.
    """
    require(ADMIN, unit_id)
    errors: dict[str, Any] = {}
    if not is_address(values["address"]):
        errors["address"] = BAD_EMAIL
    for name in ("username", "folder"):
        if not values[name].isprintable():
            errors[name] = _l("This holds characters that cannot be used")
    try:
        check_host(values["host"], values["port"], timeout=_QUICK)
    except InvalidData as bad:
        errors |= bad.errors
    moved = row is None or any(
        getattr(row, name) != values[name] for name in ("host", "port", "security", "username")
    )
    if moved and not values["password"]:
        # A password kept for one server must not be sent to another by whoever may change the form.
        errors["password"] = REQUIRED
    if errors:
        raise InvalidData(errors)
    if row is None:
        row = Mailbox(unit_id=unit_id, since=clock.now(), password="")
        session().add(row)
    if row.id is not None and (row.folder, row.host) != (values["folder"], values["host"]):
        row.uid_validity = row.last_uid = 0
    for name in ("name", "address", "host", "port", "security", "username", "folder", "acknowledge", "active"):
        setattr(row, name, values[name])
    if values["since"]:
        row.since = min(values["since"], clock.now())
    if values["password"]:
        row.password = seal(values["password"])
    session().flush()
    return row
