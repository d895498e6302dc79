"""Mails that go out: replies of staff and acknowledgements. Written in a transaction, sent by a job after it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import IO, Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, select

from core.customers.models import Customer, CustomerContact
from core.documents.models import Document
from core.documents.services import file_name
from core.kernel import clock
from core.kernel.access import require
from core.kernel.database import current_scope, fetch, session, transaction
from core.kernel.errors import InvalidData, NotAllowed, Refusal, Refused
from core.kernel.ids import uuid7
from core.kernel.jobs import Job, Work, enqueue
from core.notices import kinds, smtp
from core.notices.kinds import Kind
from core.records.attachments import attach, path_of, path_of_hash
from core.records.engine import (
    answered_before,
    append_fact,
    fetch_visible,
    flow_of,
    lock,
    may_read,
    remember_answer,
    tell_of_fact,
)
from core.records.models import Fact, Record
from core.records.services import notify
from core.units.models import Unit

from . import store
from .judge import OWN_HEADER, bare_subject, judge
from .models import Mail, Mailbox
from .scope import in_unit, own_mark

PENDING, SENT, FAILED = "pending", "sent", "failed"
JOB = "mail.send"
MOST_BYTES = 20 * 1024 * 1024
LONGEST = 4000
LOCKED: Select[Any] = select(Mail).with_for_update().execution_options(populate_existing=True)
NOT_ON_FILE = _l("This address is not on file for the customer")
_NO_ADDRESS = _l("No e-mail address of the customer is on file")
_FIRST = ("responded", "contacted", "answered")


def mailbox_of(record: Record) -> Mailbox | None:
    """Return the mailbox a record is answered from: the one its mails came to, else the unit's first."""
    came = (
        select(Mailbox)
        .join(Mail, Mail.mailbox_id == Mailbox.id)
        .where(Mail.record_id == record.id, Mailbox.active)
        .order_by(Mail.id.desc())
    )
    first = select(Mailbox).where(Mailbox.unit_id == record.unit_id, Mailbox.active).order_by(Mailbox.id)
    return session().scalars(came.limit(1)).first() or session().scalars(first.limit(1)).first()


def mails_of(record: Record, limit: int = 50) -> list[Mail]:
    """Return the mails of a record, newest first."""
    found = select(Mail).where(Mail.record_id == record.id).order_by(Mail.id.desc()).limit(limit)
    return list(session().scalars(found))


def undelivered(mail_ids: Collection[int]) -> frozenset[int]:
    """Return which of these mails did not reach anybody: refused by a mail server, or returned."""
    if not mail_ids:
        return frozenset()
    return frozenset(session().scalars(select(Mail.id).where(Mail.id.in_(mail_ids), Mail.state == FAILED)))


def addresses_for(record: Record) -> list[str]:
    """Return the addresses a record's customer may be written to: whoever wrote last, then those on file."""
    wrote = select(Mail.sender).where(
        Mail.record_id == record.id,
        Mail.direction == "in",
        Mail.state.in_(("case", "reply")),
        Mail.other_party.is_(False),
    )
    found = list(session().scalars(wrote.order_by(Mail.id.desc()).limit(20)))
    if record.customer_id is not None:
        own = select(Customer.email).where(Customer.id == record.customer_id)
        contacts = select(CustomerContact.email).where(CustomerContact.customer_id == record.customer_id)
        found += [*session().scalars(own), *session().scalars(contacts)]
    return _usable(found)


def _usable(addresses: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(one.strip().lower() for one in addresses if one and smtp.is_address(one.strip())))


def reply(
    record_id: object, to: str, text: str, files: Sequence[tuple[str, IO[bytes]]] = (), *, key: str = ""
) -> Mail:
    """Write to a record's customer. The mail goes out after the transaction; then the timeline shows it.

    ``key`` makes a double click harmless.

    Raises:
        NotFound, NotAllowed: the actor may not work on the record.
        InvalidData: no text, an address not on file, files too large, or no mail can be sent from here.
    """
    with transaction():
        record = lock(fetch_visible(record_id).id)
        _require(record)
        before = answered_before(record.unit_id, key, f"mail.reply:{record.id}", {"to": to, "text": text})
        if before:
            return fetch(Mail, before["mail"])
        text = text.strip()
        errors: dict[str, Any] = {}
        if not text:
            errors["text"] = _l("Please write something")
        if len(text) > LONGEST:
            errors["text"] = _l("At most %(count)d characters", count=LONGEST)
        if to not in addresses_for(record):
            errors["to"] = NOT_ON_FILE
        mailbox = mailbox_of(record)
        if against := _against_writing(mailbox):
            errors["text"] = against
        if errors or mailbox is None:
            raise InvalidData(errors)
        row = _queue(record, mailbox, to, text, _attached(record, files))
        remember_answer(record.unit_id, key, {"mail": row.id})
        return row


def _against_writing(mailbox: Mailbox | None) -> Any:
    """Say why nothing can be mailed from here, None where it can."""
    if mailbox is None:
        return _l("The unit has no mailbox to write from")
    return None if smtp.is_set_up() else _l("No mail server is set up")


def mail_document(
    record: Record, paper: Document, text: str, to: str = "", *, others: Sequence[str] | None = None
) -> Mail:
    """Mail an issued paper to a record's customer: to an address on file, the first of them where none is named.

    ``others``: the addresses on file of somebody else whom it goes to instead, an agent say. Such a mail is no word
    to the customer: it does not go on in their conversation and is no response to them.
    For steps of plugins, which have asked for their own permission; the mail goes out after the transaction.

    Raises:
        InvalidData: beside ``to``: no address on file, or another than those; or no mail can be sent from here.
    """
    known = addresses_for(record) if others is None else _usable(others)
    to = to.strip().lower() or next(iter(known), "")
    if not to:
        raise InvalidData({"to": _NO_ADDRESS if others is None else _l("No e-mail address of theirs is on file")})
    if to not in known:
        raise InvalidData({"to": NOT_ON_FILE if others is None else _l("This address is not on file for them")})
    mailbox = mailbox_of(record)
    against = _against_writing(mailbox)
    if against or mailbox is None:
        raise InvalidData({"to": against})
    content = path_of_hash(paper.sha256).read_bytes()
    files = [(file_name(paper), content, "application/pdf")]
    return _queue(record, mailbox, to, text, files, other_party=others is not None)


def _attached(record: Record, files: Sequence[tuple[str, IO[bytes]]]) -> list[smtp.Attached]:
    """Keep the files on the record, as any other; what the house does not take is not sent either."""
    found: list[smtp.Attached] = []
    size = 0
    for name, stream in files:
        try:
            kept = attach(record.id, name, stream)
        except InvalidData as bad:
            raise InvalidData({"files": bad.texts()}) from None
        size += kept.size
        if size > MOST_BYTES:
            raise InvalidData({"files": _l("The files are larger than %(size)d MB", size=MOST_BYTES >> 20)})
        found.append((kept.name, path_of(kept).read_bytes(), kept.media_type))
    return found


def acknowledge(record: Record, mail: Mail) -> Mail | None:
    """Tell the sender of a new case its number, where the mailbox does so."""
    mailbox = fetch(Mailbox, mail.mailbox_id)
    if not (mailbox.acknowledge and smtp.is_set_up() and smtp.is_address(mail.sender)):
        return None
    text = _(
        "We have received your e-mail and registered it under number %(number)s.\n"
        "Please keep the number in the subject when you write to us about it.\n\n%(unit)s",
        number=record.number,
        unit=unit_name(record.unit_id),
    )
    return _queue(record, mailbox, mail.sender, str(text), (), automatic=True)


def _queue(
    record: Record,
    mailbox: Mailbox,
    to: str,
    text: str,
    files: Sequence[smtp.Attached],
    *,
    automatic: bool = False,
    other_party: bool = False,
) -> Mail:
    last = _last_in(record, to, other_party=other_party)
    chain = [*(last.references if last else ()), *([last.message_id] if last else [])]
    chain = [one for one in chain if "@" in one and one.isascii() and one.isprintable()][-10:]
    message_id = f"{uuid7().hex}@{mailbox.address.rpartition('@')[2]}"
    headers: dict[str, str] = {"Message-ID": f"<{message_id}>", OWN_HEADER: own_mark()}
    if automatic:
        headers |= {"Auto-Submitted": "auto-replied", "X-Auto-Response-Suppress": "All"}
    if chain:
        headers |= {"In-Reply-To": f"<{chain[-1]}>", "References": " ".join(f"<{one}>" for one in chain)}
    subject = _subject(record, last)
    name = "".join(c for c in unit_name(record.unit_id) if c not in '<>@"\\')[:80]
    message = smtp.compose(
        to, subject, text, attachments=files, headers=headers, sender=f"{name} <{mailbox.address}>"
    )
    raw = message.as_bytes()
    row = Mail(
        unit_id=record.unit_id,
        mailbox_id=mailbox.id,
        message_id=message_id,
        direction="out",
        references=chain,
        sender=mailbox.address.lower(),
        recipients=[to],
        subject=subject[:400],
        sent_at=None,
        at=clock.now(),
        record_id=record.id,
        state=PENDING,
        reason="automatic" if automatic else "",
        sha256=store.keep(raw),
        size=len(raw),
        author_id=None if automatic else current_scope().actor_id,
        other_party=other_party,
    )
    session().add(row)
    session().flush()
    enqueue(JOB, record.unit_id, {"mail": row.id}, key=f"mail:{row.id}", in_own_name=False)
    return row


def unit_name(unit_id: int) -> str:
    """Return the name a unit writes under."""
    return session().scalars(select(Unit.name).where(Unit.id == unit_id)).one()


def _last_in(record: Record, sender: str, *, other_party: bool) -> Mail | None:
    """Return the mail that is answered: the last of the one written to, else the last of the customer's side."""
    found = select(Mail).where(
        Mail.record_id == record.id,
        Mail.direction == "in",
        Mail.state.in_(("case", "reply")),
        Mail.other_party.is_(other_party),
    )
    newest = found.order_by(Mail.id.desc()).limit(1)
    own: Mail | None = session().scalars(newest.where(Mail.sender == sender)).first()
    return own if own or other_party else session().scalars(newest).first()


def _subject(record: Record, last: Mail | None) -> str:
    """The record's number stands in the subject, so that answers find their way whatever a program leaves out."""
    words = bare_subject(last.subject if last else record.title).replace(f"[{record.number}]", "").strip()
    return f"{'Re: ' if last else ''}[{record.number}] {words}".strip()[:300]


class TryAgain(Exception):
    """The mail server did not take a mail for now."""


def send(work: Work) -> dict[str, Any]:
    """Send one mail that waits, unless it has gone by now; then its record's timeline says so (a job).

    Raises:
        TryAgain: the mail server did not take it; the job comes again.
    """
    unit_id = int(work.unit_id or 0)
    with in_unit(unit_id, read_only=True):
        row = fetch(Mail, work.payload["mail"])
        if row.state == SENT or not row.sha256:  # gone, or erased with its customer
            return {}
        key, sender, to, raw = row.id, row.sender, list(row.recipients), store.read(row.sha256)
    try:
        with smtp.opened() as post:
            post.pass_on(raw, sender, to)
    except smtp.NotSent as error:
        _failed(unit_id, key, error)
        if error.permanent:
            return {}
        raise TryAgain(str(error.message)) from error
    _sent(unit_id, key)
    return {}


def _failed(unit_id: int, mail_id: int, error: smtp.NotSent) -> None:
    with in_unit(unit_id), transaction():
        row = _locked(mail_id)
        told = row.state == FAILED
        row.state, row.reason = FAILED, f"not_sent: {error.message}"[:300]
        if row.record is not None and row.author_id and not told:
            notify(row.record, "mail_failed", [row.author_id], row.subject)


def _sent(unit_id: int, mail_id: int) -> None:
    with in_unit(unit_id), transaction():
        row = _locked(mail_id)
        if row.state == SENT:
            return
        row.state, row.sent_at, row.reason = SENT, clock.now(), row.reason if row.author_id is None else ""
        if row.author_id is not None and row.record_id is not None and not row.other_party:
            _tell_timeline(lock(row.record_id), row)


def _locked(mail_id: int) -> Mail:
    return fetch(Mail, mail_id, query=LOCKED)


def _tell_timeline(record: Record, row: Mail) -> None:
    """What went to the customer stands on the timeline: as progress told, and the first time as our response."""
    flow = flow_of(record)
    known = flow.fact_kinds
    moment = clock.now()
    facts = []
    if "responded" in known and not _has_responded(record):
        facts.append(
            append_fact(record, known["responded"], at=moment, data={"mail": row.id}, actor_id=row.author_id)
        )
    told = known.get("progress") or known["comment"]
    note = _said(row)
    facts.append(
        append_fact(record, told, at=moment, data={"mail": row.id}, note=note, visible=True, actor_id=row.author_id)
    )
    session().flush()
    for fact in facts:
        tell_of_fact(record, fact)


def _has_responded(record: Record) -> bool:
    found = select(Fact.id).where(Fact.record_id == record.id, Fact.kind.in_(_FIRST)).limit(1)
    return session().scalar(found) is not None


def _said(row: Mail) -> str:
    return judge(store.read(row.sha256)).said[:LONGEST]


def send_again(mail_id: object) -> Mail:
    """Try a mail once more that could not be sent.

    Raises:
        Refused: it is on its way, or has gone.
    """
    with transaction():
        row = _locked_for(mail_id)
        if row.state != FAILED or row.reason == "returned":
            raise Refused(
                [Refusal("mail.state", _l("Only a mail that the mail server did not take is sent again"))]
            )
        row.state, row.reason = PENDING, ""
        enqueue(JOB, row.unit_id, {"mail": row.id}, key=f"mail:{row.id}:{uuid7().hex}", in_own_name=False)
        return row


def _require(record: Record) -> None:
    if not may_read(record, "case.handle"):
        raise NotAllowed("case.handle")


def _locked_for(mail_id: object) -> Mail:
    row = fetch(Mail, mail_id, query=LOCKED)
    if row.record_id is not None:
        _require(fetch_visible(row.record_id))
    else:
        require("mail.handle", row.unit_id)
    return row


kinds.declare(Kind("mail_failed", _l("Your e-mail could not be delivered"), _l("My work")))
JOBS = (Job(JOB, _l("Send an e-mail"), send),)
