"""A mail becomes a case or a reply, is ignored, or is put aside for somebody to look at; it is never lost.

The mail is on the disk before it is judged, and its row is written with everything it brings about in one
transaction: whatever dies meanwhile, it is taken again, and taken once.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import func, or_, select
from sqlalchemy.exc import DataError, DBAPIError

from core.cases.services import register_case
from core.customers.models import Customer, CustomerContact
from core.customers.phones import read_phone
from core.customers.services import create_customer, winner
from core.kernel import clock
from core.kernel.access import require
from core.kernel.database import fetch, insert_once, session, transaction
from core.kernel.errors import AppError, InvalidData, NotFound, Refusal, Refused
from core.records.attachments import attach
from core.records.engine import append_fact, flow_of, lock, tell_of_fact
from core.records.models import CANCELLED, CLOSED, Record
from core.records.services import notify, watchers_of
from core.rules.responsible import head_of
from core.units.facts import local_day
from core.units.settings import setting
from core.users.services import who_may

from . import judge as judging
from . import outgoing, store
from .judge import Judged
from .models import Mail, Mailbox
from .scope import in_unit, own_mark

CASE_MADE, REPLY, IGNORED, QUARANTINED = "case", "reply", "ignored", "quarantined"
DUPLICATE = "duplicate"
AN_HOUR = timedelta(hours=1)
MOST_FROM_ONE = 20  # mails of one sender in an hour
MOST_IN_ALL = 300  # mails of one mailbox in an hour
LONGEST_NOTE = 4000
HANDLE = "mail.handle"
NUMBER = re.compile(r"[A-Z]{1,6}-[A-Z0-9_.]{1,30}-\d{6}-\d{4,8}")
# What a conversation consists of; an automatic reply makes nobody a part of it.
_TALK = (CASE_MADE, REPLY, "sent", "pending", "failed")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Box:
    """What the intake needs to know of a mailbox, beside any session."""

    id: int
    unit_id: int
    addresses: tuple[str, ...]


def box_of(mailbox: Mailbox) -> Box:
    """Return a mailbox as the intake takes it, with the addresses of all mailboxes of its unit."""
    found = session().scalars(select(Mailbox.address).where(Mailbox.unit_id == mailbox.unit_id))
    return Box(mailbox.id, mailbox.unit_id, tuple(one.lower() for one in found))


def take(box: Box, raw: bytes, arrived: datetime | None = None, *, head_only: bool = False) -> str:
    """Take one mail in; answer what became of it: case, reply, ignored, quarantined or duplicate.

    ``arrived`` is when the mail server got it (else the mail's own date counts, as far as it can be true).
    ``head_only``: the mail was too large to be fetched whole. Call it outside ``transaction()``.

    Raises:
        DBAPIError, OSError: the database or the disk does not answer; nothing is kept, it may come again.
    """
    sha256 = store.keep(raw)
    judged = judging.judge(raw, own_mark(), box.addresses)
    if head_only:
        judged = replace(judged, verdict=judging.QUARANTINED, reason="head_only")
    at = _arrival(judged, arrived)
    try:
        with in_unit(box.unit_id), transaction():
            return _take(box, raw, sha256, judged, at)
    except DataError as fault:  # the database can never take what the mail says of itself: nothing of it is kept
        log.exception("mail %s holds what the database refuses", sha256)
        reason = f"failed: {type(fault).__name__}"
        judged = Judged(judging.QUARANTINED, reason, message_id=judging.name_of(raw))
    except (DBAPIError, OSError):
        raise
    except AppError as refused:
        reason = f"refused: {'; '.join(str(one) for one in refused.texts())}"
    except Exception as fault:  # whatever a mail sets off, the mails behind it must get through
        log.exception("mail %s could not be taken over", sha256)
        reason = f"failed: {type(fault).__name__}"
    aside = replace(judged, verdict=judging.QUARANTINED, reason=reason)
    with in_unit(box.unit_id), transaction():
        return _take(box, raw, sha256, aside, at)


def _arrival(judged: Judged, arrived: datetime | None) -> datetime:
    """Return when a mail came in: as the mail server says; a sender's word counts neither ahead nor far back."""
    now = clock.now()
    told = arrived or judged.sent_at or now
    return min(now, max(clock.as_utc(told), now - timedelta(days=3650)))


def _take(box: Box, raw: bytes, sha256: str, judged: Judged, at: datetime) -> str:
    _one_at_a_time(box.unit_id)
    mail = _row(box, raw, sha256, judged, at)
    if mail is None:
        return DUPLICATE
    mail.state, mail.reason = _decide(mail, judged)
    session().flush()
    return mail.state


def _one_at_a_time(unit_id: int) -> None:
    """Take the mails of a unit one after the other: two of a new customer at once would make two customers."""
    first = select(Mailbox.id).where(Mailbox.unit_id == unit_id).order_by(Mailbox.id).limit(1)
    session().execute(first.with_for_update(key_share=True))


def _row(box: Box, raw: bytes, sha256: str, judged: Judged, at: datetime) -> Mail | None:
    """Write the row of a mail, or answer None where it was taken before.

    Two mails under one id (programs that count badly, or somebody's trick) are two mails.
    """
    row: dict[str, Any] = {
        "unit_id": box.unit_id,
        "mailbox_id": box.id,
        "message_id": judged.message_id,
        "direction": "in",
        "references": list(judged.references),
        "sender": judged.sender,
        "recipients": list(judged.recipients),
        "subject": judged.subject,
        "sent_at": judged.sent_at,
        "at": at,
        "record_id": None,
        "state": QUARANTINED,
        "reason": judged.reason[:300],
        "sha256": sha256,
        "size": len(raw),
        "author_id": None,
    }
    found = select(Mail).where(Mail.mailbox_id == box.id)
    if not insert_once(Mail, row):
        held = session().scalars(found.where(Mail.message_id == row["message_id"])).one()
        if held.direction == "out" or held.sha256 == sha256 or _same(held, raw):
            return None
        row["message_id"] = judging.name_of(raw)
        if not insert_once(Mail, row):
            return None
    return session().scalars(found.where(Mail.message_id == row["message_id"])).one()


def _same(held: Mail, raw: bytes) -> bool:
    kept = store.read(held.sha256)
    return not kept or judging.fingerprint(kept) == judging.fingerprint(raw)


def _decide(mail: Mail, judged: Judged) -> tuple[str, str]:
    """Do with a mail what is to be done; answer its state and the reason."""
    if judged.verdict == judging.IGNORED:
        if judged.reason == "bounce":
            _came_back(mail, judged)
        known = _thread(mail, judged)
        mail.record_id = mail.record_id or (known.id if isinstance(known, Record) else None)
        return IGNORED, judged.reason
    if judged.verdict == judging.QUARANTINED:
        return QUARANTINED, judged.reason[:300]
    crowd = _crowd(mail)
    if crowd:
        return QUARANTINED, crowd
    found = _thread(mail, judged)
    if isinstance(found, str):
        return QUARANTINED, found
    if found is not None:
        add_reply(found.id, mail, judged)
        return REPLY, ""
    make_case(mail, judged)
    return CASE_MADE, ""


def _crowd(mail: Mail) -> str:
    """Say whether too much comes in: a loop between machines, or somebody who floods us."""
    recent = select(func.count()).select_from(Mail).where(Mail.mailbox_id == mail.mailbox_id)
    recent = recent.where(Mail.direction == "in", Mail.id != mail.id, Mail.at > mail.at - AN_HOUR)
    recent = recent.where(Mail.at <= mail.at)
    if (session().scalar(recent.where(Mail.sender == mail.sender)) or 0) >= MOST_FROM_ONE:
        return "too_many"
    return "flood" if (session().scalar(recent) or 0) >= MOST_IN_ALL else ""


# --- which conversation ---------------------------------------------------------------------------


def _thread(mail: Mail, judged: Judged) -> Record | str | None:
    """Return the record a mail belongs to, None for a new matter, or the reason why somebody must look.

    Who answers one of our mails has it: its id cannot be guessed. Ids of other mails and record numbers can, so
    they count from people who are part of the conversation only.
    """
    known = _referred(mail, judged)
    ours = next((one for one in known if one.direction == "out"), None)
    if ours is not None:
        return ours.record
    for one in known:
        if one.record is not None and takes_part(one.record, mail):
            return one.record
    named = _named(mail.unit_id, judged.subject)
    if named is not None:
        return named if takes_part(named, mail) else f"stranger: {named.number}"
    return f"stranger_thread: {known[0].record.number}" if known and known[0].record else None


def _referred(mail: Mail, judged: Judged) -> list[Mail]:
    """Return the mails that one refers to and that belong to a record, the nearest first."""
    if not judged.references:
        return []
    found = select(Mail).where(
        Mail.unit_id == mail.unit_id,
        Mail.message_id.in_(judged.references),
        Mail.record_id.is_not(None),
        Mail.state.in_(_TALK),
        Mail.id != mail.id,
    )
    order = {one: place for place, one in enumerate(judged.references)}
    return sorted(session().scalars(found), key=lambda one: -order.get(one.message_id, -1))


def _named(unit_id: int, subject: str) -> Record | None:
    numbers = NUMBER.findall(subject.upper())[:3]
    if not numbers:
        return None
    return (
        session()
        .scalars(select(Record).where(Record.unit_id == unit_id, Record.number.in_(numbers)).order_by(Record.id))
        .first()
    )


def takes_part(record: Record, mail: Mail) -> bool:
    """Tell whether a mail's sender is the record's customer or was in its conversation before."""
    if not mail.sender:
        return False
    if mail.sender in addresses_of_customer(record):
        return True
    talk = select(Mail.sender, Mail.recipients).where(
        Mail.record_id == record.id, Mail.state.in_(_TALK), Mail.id != mail.id
    )
    rows = session().execute(talk.order_by(Mail.id.desc()).limit(200)).all()
    return any(mail.sender == sender or mail.sender in (others or ()) for sender, others in rows)


def addresses_of_customer(record: Record) -> list[str]:
    """Return the e-mail addresses on file of a record's customer, the customer's own first."""
    if record.customer_id is None:
        return []
    own = session().scalars(select(Customer.email).where(Customer.id == record.customer_id))
    contacts = select(CustomerContact.email).where(CustomerContact.customer_id == record.customer_id)
    found = [*own, *session().scalars(contacts.order_by(CustomerContact.id))]
    return list(dict.fromkeys(one.strip().lower() for one in found if one and one.strip()))


# --- what it becomes ------------------------------------------------------------------------------


def make_case(mail: Mail, judged: Judged) -> Record:
    """Register the case a mail asks for, with its files, and acknowledge it where the mailbox does so."""
    unit_id = mail.unit_id
    customer, phone = _customer_for(unit_id, judged)
    refused: list[str] = []

    def more(record: Record) -> None:
        refused.extend(_attach_files(record, judged))
        _note_refused(record, refused)

    raw: Mapping[str, Any] = {
        "customer_id": customer.id,
        "contact_name": judged.sender_name[:60],
        "contact_phone": phone[:30],
        "channel": "email",
        "description": _description(judged),
        "received_at": _received(unit_id, mail.at).isoformat(),
    }
    record = register_case(unit_id, raw, after=more, in_writing=True)
    mail.record_id, mail.state = record.id, CASE_MADE
    if not judged.no_answer:
        outgoing.acknowledge(record, mail)
    return record


def _received(unit_id: int, at: datetime) -> datetime:
    """A mail that lay in its box longer than requests may be entered late counts from that limit."""
    oldest = clock.now() - timedelta(days=setting(unit_id, "case.backdate_days"))
    return max(at, oldest + timedelta(minutes=1)) if at < oldest else at


def _description(judged: Judged) -> str:
    """The subject, which becomes the title, and under it what the customer says."""
    subject = judging.bare_subject(judged.subject)
    said = judged.said if judged.said.strip() else ""
    parts = [one for one in (subject, said) if one and not (one is subject and said.startswith(subject))]
    text = "\n".join(parts) or judged.subject or str(_("(The mail has no text)"))
    return _short(text, LONGEST_NOTE)


def _short(text: str, most: int) -> str:
    rest = _("(The rest is in the mail.)")
    return text if len(text) <= most else f"{text[: most - 60].rstrip()}\n{rest}"


def _customer_for(unit_id: int, judged: Judged) -> tuple[Customer, str]:
    """Find the customer by the address, or put the sender on file; with a phone to call."""
    phone = _phone_in(f"{judged.said}\n{judged.quoted[:500]}" if not judged.is_reply else judged.said)
    known = customer_by_address(unit_id, judged.sender)
    if known is not None:
        return known, phone or (known.phones[0].display if known.phones else "")
    name = judged.sender_name or judged.sender.partition("@")[0]
    values = {"name": name[:120], "email": judged.sender, "phone": phone}
    return create_customer(unit_id, values), phone


def customer_by_address(unit_id: int, sender: str) -> Customer | None:
    """Return the unit's customer with this e-mail address, own or of a contact; of several the first on file."""
    by_contact = select(CustomerContact.customer_id).where(
        CustomerContact.unit_id == unit_id, func.lower(CustomerContact.email) == sender
    )
    found = select(Customer).where(
        Customer.unit_id == unit_id, or_(func.lower(Customer.email) == sender, Customer.id.in_(by_contact))
    )
    return winner(session().scalars(found.order_by(Customer.merged_into_id.is_not(None), Customer.id)).first())


_MAYBE_PHONE = re.compile(
    r"(?<![\d-])(?:\+?86[- ]?)?(?:1[3-9]\d[- ]?\d{4}[- ]?\d{4}|0\d{2,3}[- ]\d{7,8}|400-?\d{3}-?\d{4})(?!\d)"
)


def _phone_in(text: str) -> str:
    for found in _MAYBE_PHONE.findall(text[:20_000])[:5]:
        try:
            return read_phone(found).display
        except InvalidData:
            continue
    return ""


def add_reply(record_id: int, mail: Mail, judged: Judged) -> Record:
    """Put what a customer writes on a record's timeline, with the files, and tell whoever works on it.

    What somebody else writes to whom we wrote (an agent) is a comment, and not for the customer to see.
    """
    record = lock(record_id)
    flow = flow_of(record)
    stranger = not takes_part(record, mail)
    mail.other_party = _is_other_party(record, mail)
    refused = _attach_files(record, judged)
    kind = flow.fact_kinds["comment"]
    if not mail.other_party:
        kind = flow.fact_kinds.get("customer_reply", kind)
    data: dict[str, Any] = {"mail": mail.id}
    if stranger:
        data["unknown_sender"] = True
    at = min(clock.now(), max(mail.at, record.received_at))
    note = _short(judged.said or str(_("(The mail has no text)")), LONGEST_NOTE)
    fact = append_fact(record, kind, at=at, data=data, note=note, visible=not mail.other_party)
    session().flush()
    tell_of_fact(record, fact)
    _note_refused(record, refused)
    mail.record_id = record.id
    _tell(record, judged.said, "comment" if mail.other_party else "customer_reply")
    return record


def _is_other_party(record: Record, mail: Mail) -> bool:
    """Tell whether a mail comes from somebody whom we wrote to about a record in place of its customer."""
    if mail.sender in addresses_of_customer(record):
        return False
    wrote = select(Mail.recipients, Mail.message_id).where(
        Mail.record_id == record.id, Mail.direction == "out", Mail.other_party
    )
    rows = session().execute(wrote.order_by(Mail.id.desc()).limit(200)).all()
    return any(mail.sender in (to or ()) or message in (mail.references or ()) for to, message in rows)


def _tell(record: Record, text: str, what: str) -> None:
    """Tell the assignee and followers; of what is over, or nobody's, the head of the unit too.

    A comment is for those only who see cases here, not for an assignee of another company.
    """
    people = watchers_of(record.id)
    if record.assignee_id:
        people.add(record.assignee_id)
    if what == "comment":
        people = who_may("case.view", record.unit_id, people)
    if not record.assignee_id or record.category in (CLOSED, CANCELLED):
        head = head_of(record.unit_id, local_day(record.unit_id))
        people |= {head} if head is not None else set()
    notify(record, what, people, " ".join(text.split())[:100])


def _attach_files(record: Record, judged: Judged) -> list[str]:
    """Put the files on the record; answer the names of those the house does not take (the mail keeps them)."""
    refused = []
    for one in judged.files:
        try:
            attach(record.id, one.name, io.BytesIO(one.content))
        except InvalidData:
            refused.append(one.name)
    return refused


def _note_refused(record: Record, refused: list[str]) -> None:
    if not refused:
        return
    names = _(", ").join(refused)[:1000]
    note = _("Files of the mail that were not taken over: %(names)s", names=names)
    kind = flow_of(record).fact_kinds["comment"]
    append_fact(record, kind, at=clock.now(), note=str(note), visible=False)
    session().flush()


def _came_back(mail: Mail, judged: Judged) -> None:
    """A mail of ours could not be delivered: it says so, and its writer learns of it."""
    wanted = [*judged.returned, *judged.references]
    if not wanted:
        return
    ours = select(Mail).where(
        Mail.unit_id == mail.unit_id, Mail.direction == "out", Mail.message_id.in_(wanted), Mail.state == "sent"
    )
    for one in session().scalars(ours):
        one.state, one.reason = "failed", "returned"
        mail.record_id = one.record_id
        if one.record is not None:
            people = {one.author_id or one.record.assignee_id or head_of(mail.unit_id, local_day(mail.unit_id))}
            notify(one.record, "mail_failed", [who for who in people if who], one.subject)


# --- by hand --------------------------------------------------------------------------------------

_OVER = _l("Somebody has dealt with this mail already")


def _aside(mail_id: object) -> tuple[Mail, Judged]:
    """Lock a mail that nothing has become of yet, and judge it anew.

    Raises:
        NotFound, NotAllowed.
        Refused: it was dealt with meanwhile.
    """
    row = fetch(Mail, mail_id, query=outgoing.LOCKED)
    require(HANDLE, row.unit_id)
    if row.direction != "in" or row.state not in (QUARANTINED, IGNORED):
        raise Refused([Refusal("mail.done", _OVER)])
    judged = judging.judge(store.read(row.sha256))
    if row.reason.startswith("head_only"):
        judged = replace(judged, said="", files=())
    return row, replace(judged, message_id=row.message_id)


def take_as_case(mail_id: object) -> Record:
    """Register a case from a mail that was put aside. What the actor may do decides, as for any case."""
    with transaction():
        mail, judged = _aside(mail_id)
        if not judged.sender:
            why = _l("The mail does not say who sent it; register the case by hand")
            raise Refused([Refusal("mail.sender", why)])
        record = make_case(mail, replace(judged, no_answer=True))
        mail.state, mail.reason = CASE_MADE, ""
        return record


def attach_to(mail_id: object, number: str) -> Record:
    """Put a mail that was put aside on a record of its unit, as a reply.

    Raises:
        InvalidData: there is no such record in the unit.
    """
    with transaction():
        mail, judged = _aside(mail_id)
        wanted = select(Record).where(Record.unit_id == mail.unit_id, Record.number == number.strip().upper())
        found = session().scalars(wanted).first()
        if found is None:
            raise InvalidData({"number": _l("There is no record of this number in the unit")})
        try:
            record = add_reply(found.id, mail, judged)
        except NotFound as gone:
            raise InvalidData({"number": gone.message}) from None
        mail.state, mail.reason = REPLY, ""
        return record


def put_aside(mail_id: object) -> Mail:
    """Say that nothing is to become of a mail; it stays on file."""
    with transaction():
        mail, _judged = _aside(mail_id)
        mail.state, mail.reason = IGNORED, mail.reason if mail.state == IGNORED else "by_hand"
        return mail
