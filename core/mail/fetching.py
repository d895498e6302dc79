"""Fetching mails: by IMAP, beyond the last one taken, from hosts that may be asked. Nothing is deleted there."""

from __future__ import annotations

import imaplib
import logging
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from flask_babel import lazy_gettext as _l
from sqlalchemy import CursorResult, or_, select, update

from core.kernel import clock
from core.kernel.database import fetch, transaction
from core.kernel.errors import AppError, InvalidData
from core.kernel.jobs import Periodic
from core.kernel.outgoing import Target, check_host
from core.kernel.secrets import unseal

from . import judge as judging
from .intake import Box, box_of, take
from .models import Mailbox
from .scope import in_unit

SSL, STARTTLS, NONE = "ssl", "starttls", "none"
TIMEOUT = 20.0  # seconds for each answer of the mail server
MOST_AT_ONCE = 50  # mails of a mailbox in one round; the rest comes with the next
LONGEST_ROUND = 45.0  # seconds
LEASE = timedelta(minutes=5)
log = logging.getLogger(__name__)


class Failed(AppError):
    """A mailbox cannot be read; the text says why."""

    status = 502
    code = "mailbox"
    title = _l("The mailbox cannot be read")


@dataclass(frozen=True)
class Access:
    """How to get into a mailbox, beside any session."""

    host: str
    port: int
    security: str
    username: str
    password: str
    folder: str


@dataclass(frozen=True)
class State:
    """How far a mailbox was read."""

    since: datetime
    uid_validity: int
    last_uid: int


@dataclass
class Checked:
    """What one round over a mailbox brought: how many mails became what, and what went wrong."""

    counts: dict[str, int]
    error: str = ""


# --- the wire -------------------------------------------------------------------------------------


@contextmanager
def opened(access: Access) -> Iterator[Any]:
    """Sign in to a mailbox, its folder chosen for reading.

    Raises:
        Failed: with the reason.
    """
    from imap_tools import BaseMailBox
    from imap_tools.errors import ImapToolsError

    try:
        target = check_host(access.host, access.port)
    except InvalidData as bad:
        raise Failed("; ".join(str(one) for one in bad.texts())) from None

    class Box(BaseMailBox):  # type: ignore[misc]
        def _get_mailbox_client(self) -> imaplib.IMAP4:
            return _client(target, access.security)

    box = None
    try:
        box = Box()
        box.login(access.username, access.password, initial_folder=None)
        box.folder.set(access.folder)
    except (ImapToolsError, imaplib.IMAP4.error, OSError, ValueError) as error:
        if box is not None:
            _leave(box)
        raise Failed(_reason(error, access)) from error
    try:
        yield box
    except (ImapToolsError, imaplib.IMAP4.error, ConnectionError, TimeoutError, ssl.SSLError) as error:
        raise Failed(_reason(error, access)) from error
    finally:
        _leave(box)


def _leave(box: Any) -> None:
    try:
        box.client.logout()
    except (imaplib.IMAP4.error, OSError):
        box.client.shutdown()


def _client(target: Target, security: str) -> imaplib.IMAP4:
    """Connect to an address that was checked, whatever the name may lead to by now."""
    tls = ssl.create_default_context()

    def connected() -> socket.socket:
        last: OSError = TimeoutError()
        for address in target.addresses:
            try:
                return socket.create_connection((address, target.port), timeout=TIMEOUT)
            except OSError as error:
                last = error
        raise last

    class Plain(imaplib.IMAP4):
        def _create_socket(self, timeout: float | None) -> socket.socket:
            line = connected()
            if security != SSL:
                return line
            try:
                return tls.wrap_socket(line, server_hostname=target.host)
            except BaseException:
                line.close()
                raise

    client = Plain(target.host, target.port, timeout=TIMEOUT)
    try:
        if security == STARTTLS:
            client.starttls(tls)
    except BaseException:
        client.shutdown()
        raise
    return client


def _reason(error: Exception, access: Access) -> str:
    from imap_tools.errors import MailboxFolderSelectError, MailboxLoginError

    if isinstance(error, MailboxLoginError):
        return str(_l("The mail server refuses the user name or password: %(why)s", why=_said(error)))
    if isinstance(error, MailboxFolderSelectError):
        return str(_l("There is no folder %(name)s in the mailbox", name=access.folder))
    if isinstance(error, ssl.SSLCertVerificationError):
        return str(_l("The certificate of the mail server is not valid: %(why)s", why=error.verify_message))
    if isinstance(error, ssl.SSLError):
        return str(
            _l("No secure connection: port or kind of security may be wrong (%(why)s)", why=error.reason or "")
        )
    if isinstance(error, TimeoutError):
        return str(_l("The mail server does not answer"))
    if isinstance(error, OSError):
        return str(_l("The mail server cannot be reached: %(why)s", why=error.strerror or type(error).__name__))
    return str(_l("The mail server answers something odd: %(why)s", why=_said(error)))


def _said(error: Exception) -> str:
    result = getattr(error, "command_result", None)
    text = str(result[1]) if isinstance(result, tuple) and len(result) > 1 else str(error)
    return "".join(c for c in text if c.isprintable())[:200]


def access_of(mailbox: Mailbox) -> Access:
    """Return how to get into a mailbox."""
    password = unseal(mailbox.password)
    return Access(mailbox.host, mailbox.port, mailbox.security, mailbox.username, password, mailbox.folder)


def try_out(access: Access) -> int:
    """Sign in and look; return how many mails the folder holds. Not inside ``transaction()``: it waits.

    Raises:
        Failed: with the reason.
    """
    with opened(access) as box:
        status = box.folder.status(access.folder)
        return int(status.get("MESSAGES", 0))


# --- a round --------------------------------------------------------------------------------------


def check_unit(unit_id: int) -> None:
    """Fetch from every mailbox of a unit; one that fails says so on its page and the others go on."""
    with in_unit(unit_id, read_only=True) as work:
        found = work.scalars(
            select(Mailbox.id).where(Mailbox.unit_id == unit_id, Mailbox.active).order_by(Mailbox.id)
        )
        ids = list(found)
    for key in ids:
        check(unit_id, key)


def check(unit_id: int, mailbox_id: int) -> Checked | None:
    """Fetch what is new in one mailbox; None where somebody else is at it."""
    if not _claim(unit_id, mailbox_id):
        return None
    done = Checked({})
    try:
        with in_unit(unit_id, read_only=True):
            row = fetch(Mailbox, mailbox_id)
            access, box = access_of(row), box_of(row)
            state = State(row.since, row.uid_validity, row.last_uid)
        _fetch(access, box, state, done)
    except AppError as error:
        done.error = str(error.message)
    except Exception as error:  # the database, the disk, or a fault of ours: the next round begins where this ended
        log.exception("mailbox %d", mailbox_id)
        done.error = f"{type(error).__name__}: {error}"
    _free(unit_id, mailbox_id, done.error)
    return done


def _claim(unit_id: int, mailbox_id: int) -> bool:
    now = clock.now()
    free = or_(Mailbox.busy_until.is_(None), Mailbox.busy_until < now)
    return _note(unit_id, mailbox_id, free, busy_until=now + LEASE)


def _free(unit_id: int, mailbox_id: int, error: str) -> None:
    _note(unit_id, mailbox_id, None, busy_until=None, checked_at=clock.now(), error=error[:500])


def _note(unit_id: int, mailbox_id: int, only: Any, **values: Any) -> bool:
    """Keep how a mailbox stands: beside its version, since nobody's open form is out of date by that."""
    with in_unit(unit_id), transaction() as work:
        change = update(Mailbox).where(Mailbox.id == mailbox_id)
        change = change.where(only) if only is not None else change
        options = {"audited": "bookkeeping of every minute", "synchronize_session": False}
        done = cast("CursorResult[Any]", work.execute(change.values(**values), execution_options=options))
        return done.rowcount > 0


def _fetch(access: Access, box: Box, state: State, done: Checked) -> None:
    until = time.monotonic() + LONGEST_ROUND
    with opened(access) as line:
        validity = int(line.folder.status(access.folder, ["UIDVALIDITY"]).get("UIDVALIDITY", 0))
        last = state.last_uid if validity == state.uid_validity else 0
        if validity != state.uid_validity:
            # The server has numbered its mails anew: look at all of them; those taken before are known.
            _note(box.unit_id, box.id, None, uid_validity=validity, last_uid=0)
        for uid in _new_uids(line, last, state.since)[:MOST_AT_ONCE]:
            if time.monotonic() > until:
                break
            became = _take_one(line, box, uid, state.since)
            if became:
                done.counts[became] = done.counts.get(became, 0) + 1
            here = Mailbox.uid_validity == validity
            _note(box.unit_id, box.id, here & (Mailbox.last_uid < uid), last_uid=uid)


def _new_uids(line: Any, last: int, since: datetime) -> list[int]:
    """Return the numbers of mails beyond the last one, in order. A day is left for servers' ideas of a day."""
    day = (since - timedelta(days=1)).strftime("%d-%b-%Y")
    answer, data = line.client.uid("SEARCH", None, f"UID {last + 1}:* SINCE {day}")
    if answer != "OK":
        raise Failed(_l("The mail server answers something odd: %(why)s", why=str(data)[:100]))
    numbers = b" ".join(one for one in data if one).split()
    # "n:*" names the last mail whatever its number.
    return sorted({int(one) for one in numbers if one.isdigit() and int(one) > last})


def _take_one(line: Any, box: Box, uid: int, since: datetime) -> str:
    """Fetch one mail and take it in; '' for one that is gone by now or arrived too early."""
    head = _ask(line, uid, "(RFC822.SIZE INTERNALDATE)")
    if head is None:
        return ""
    arrived, size = _date_of(head), _size_of(head)
    if arrived is not None and arrived < since:
        return ""
    whole = size <= judging.MOST_BYTES
    raw = _body(_ask(line, uid, "(BODY.PEEK[])" if whole else "(BODY.PEEK[HEADER])"))
    if not raw:
        return ""
    became = take(box, raw, arrived, head_only=not whole)
    _mark_seen(line, uid)
    return became


def _ask(line: Any, uid: int, what: str) -> list[Any] | None:
    answer, data = line.client.uid("FETCH", str(uid), what)
    if answer != "OK":
        raise Failed(_l("The mail server answers something odd: %(why)s", why=str(data)[:100]))
    found = [one for one in data if one]
    return found or None


def _text_of(found: list[Any]) -> bytes:
    return b" ".join(one if isinstance(one, bytes) else b" ".join(p for p in one if p) for one in found)


def _date_of(found: list[Any]) -> datetime | None:
    from email.utils import parsedate_to_datetime

    text = _text_of(found).decode("ascii", "replace")
    given = text.partition('INTERNALDATE "')[2].partition('"')[0].strip()
    day, _blank, rest = given.partition(" ")
    try:
        moment = parsedate_to_datetime(f"{day.replace('-', ' ')} {rest}")
    except (ValueError, TypeError, IndexError):
        return None
    return moment if moment.tzinfo else None


def _size_of(found: list[Any]) -> int:
    words = _text_of(found).partition(b"RFC822.SIZE ")[2].split(b" ")
    digits = words[0].strip(b")") if words else b""
    return int(digits) if digits.isdigit() else 0


def _body(found: list[Any] | None) -> bytes:
    return next((bytes(one[1]) for one in found or () if isinstance(one, tuple) and len(one) > 1), b"")


def _mark_seen(line: Any, uid: int) -> None:
    """Show people in the mailbox what was taken; where the server does not let us, nothing is lost."""
    try:
        line.client.uid("STORE", str(uid), "+FLAGS.SILENT", "(\\Seen)")
    except imaplib.IMAP4.error:
        log.info("mail %d could not be marked as seen", uid)


JOBS = (Periodic("mail.fetch", _l("Fetch e-mails"), check_unit, every=timedelta(minutes=1)),)
