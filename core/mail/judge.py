"""What a mail is, worked out from its bytes alone: who writes what, in answer to what, and whether a person does.

Whatever the bytes are, the answer is one of three: taken, ignored (a machine wrote it) or quarantined (somebody
should look). Nothing here reads or writes anything.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from email.utils import parsedate_to_datetime
from typing import Any

from core.customers.services import valid_email

from . import text as words

TAKEN, IGNORED, QUARANTINED = "taken", "ignored", "quarantined"
OWN_HEADER = "X-Shouhou"

MOST_BYTES = 30 * 1024 * 1024
MOST_PARTS = 500
MOST_DEPTH = 40
MOST_FILES = 30
MOST_LINES_OF_PARTS = 5000  # lines that may begin a part, looked for before anything is parsed
MOST_REFERENCES = 30
SMALL_PICTURE = 4096  # bytes; below that a picture inside the text is decoration
LONGEST_ID = 200
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class File:
    """A file that came with a mail, under the name the sender gave it."""

    name: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Judged:
    """A mail as the intake sees it. ``reason`` is a code of ``core.mail.reasons`` where it was not taken."""

    verdict: str
    reason: str = ""
    message_id: str = ""
    references: tuple[str, ...] = ()
    sender: str = ""
    sender_name: str = ""
    recipients: tuple[str, ...] = ()
    subject: str = ""
    sent_at: datetime | None = None
    said: str = ""
    quoted: str = ""
    files: tuple[File, ...] = ()
    # Names of parts that are no files for people: calendars, signatures, decoration.
    left_out: tuple[str, ...] = ()
    is_reply: bool = False
    # Whether an answer by machine would be wrong: lists, machines, whoever asks not to get one.
    no_answer: bool = False
    # Of a bounce: the ids of the mails that came back.
    returned: tuple[str, ...] = ()


def judge(raw: bytes, own: str = "", own_addresses: Sequence[str] = ()) -> Judged:
    """Judge a mail. ``own`` is what our own mails carry in X-Shouhou, ``own_addresses`` those of our mailboxes.

    Never fails: what cannot be read is quarantined, with as much of it as could be.
    """
    found = Judged(QUARANTINED, "unreadable", message_id=name_of(raw))
    try:
        if len(raw) > MOST_BYTES:
            return replace(_head(raw, found), verdict=QUARANTINED, reason="too_large")
        if raw.count(b"\n--") > MOST_LINES_OF_PARTS:
            return replace(_head(raw, found), verdict=QUARANTINED, reason="too_many_parts")
        message = BytesParser(policy=compat32).parsebytes(raw)
        found = _heads(message, found)
        found = _content(message, found)
        return _verdict(message, found, own, {one.lower() for one in own_addresses})
    except RecursionError:
        return replace(_head(raw, found), verdict=QUARANTINED, reason="too_deep")
    except Exception:  # bytes from outside: whatever a library stumbles over, the mail is kept and looked at
        log.exception("a mail cannot be read")
        return replace(found, verdict=QUARANTINED, reason="unreadable")


def name_of(raw: bytes) -> str:
    """Return the name of a mail that has no usable Message-ID: a hash of it."""
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def fingerprint(raw: bytes) -> str:
    """Return a hash of what a mail says, without the lines that every server on the way adds."""
    head, _blank, body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
    kept = re.findall(rb"^(?:from|to|subject|date):.*(?:\n[ \t].*)*", head[:100_000], re.I | re.M)
    return hashlib.sha256(b"\n".join(sorted(kept)) + b"\n\n" + body.rstrip()).hexdigest()


# --- heads ----------------------------------------------------------------------------------------


def _head(raw: bytes, found: Judged) -> Judged:
    head = re.split(rb"\r?\n\r?\n", raw[:200_000], maxsplit=1)[0]
    return _heads(BytesParser(policy=compat32).parsebytes(head + b"\n\n", headersonly=True), found)


def _heads(message: Message, found: Judged) -> Judged:
    sender_name, sender = address(_one(message, "From"))
    if not sender:
        sender = address(_one(message, "Sender"))[1] or address(_one(message, "Reply-To"))[1]
    references = [*_ids(_one(message, "References", 20_000)), *_ids(_one(message, "In-Reply-To"))]
    subject = words.one_line(words.header(_one(message, "Subject")), 400)
    own_id = _ids(_one(message, "Message-ID"))
    return replace(
        found,
        message_id=own_id[0] if own_id else found.message_id,
        references=tuple(dict.fromkeys(references))[-MOST_REFERENCES:],
        sender=sender,
        sender_name=sender_name,
        recipients=tuple(dict.fromkeys(_addresses(message, "To") + _addresses(message, "Cc")))[:50],
        subject=subject,
        sent_at=_moment(_one(message, "Date")),
        is_reply=bool(references) or _REPLY.match(subject) is not None,
    )


_REPLY = re.compile(r"^\s*(?:re|回复|回覆|答复|答覆)\s*(?:\[\d+\])?\s*[:：]", re.I)
_FORWARD = re.compile(r"^\s*(?:fwd?|转发|轉寄)\s*[:：]", re.I)
_ANY_PREFIX = re.compile(
    r"^\s*(?:(?:re|fwd?|回复|回覆|答复|答覆|转发|轉寄|aw|wg)\s*(?:\[\d+\])?\s*[:：]\s*)+", re.I
)


def bare_subject(subject: str) -> str:
    """Return a subject without the marks of replies and forwards in front."""
    return _ANY_PREFIX.sub("", subject).strip()


def _one(message: Message, name: str, most: int = words.LONGEST_HEADER) -> str:
    """Return a header as the parser kept it, first one of that name, at most so long."""
    for key, value in message.raw_items():
        if key.lower() == name.lower():
            return str(value)[:most]
    return ""


def _ids(value: str) -> list[str]:
    found = re.findall(r"<([^<>\s]{1,900})>", value) or re.findall(r"[^<>\s,]{1,300}@[^<>\s,]{1,300}", value)
    return [_short(words.plain(_ascii(one))) for one in found if one]


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode("ascii")


def _short(message_id: str) -> str:
    """Keep an id that is too long for its column by a hash, the same each time."""
    if len(message_id) <= LONGEST_ID:
        return message_id
    return f"{message_id[:100]}#{hashlib.sha256(message_id.encode()).hexdigest()}"


_ANGLED = re.compile(r"<\s*([^<>\s]{3,320})\s*>")
_BARE = re.compile(r"[^\s<>,;:\"'()\[\]]{1,200}@[^\s<>,;:\"'()\[\]]{1,200}")


def address(value: str) -> tuple[str, str]:
    """Return (name, address in small letters) of the first address in a header; '' for what is not there."""
    value = value[: words.LONGEST_HEADER]
    angled = _ANGLED.search(value)
    found = angled or _BARE.search(value)
    if found is None:
        return words.one_line(words.header(value), 120).strip("\"'<>@ "), ""
    plain = _ascii(found.group(1) if angled else found.group(0)).lower()
    name = words.one_line(words.header(value[: found.start()]).strip("\"'“” ,"), 120) if angled else ""
    return name.replace('\\"', '"').strip("\"' "), plain if _usable(plain) else ""


def _usable(plain: str) -> bool:
    return (
        len(plain) <= 200
        and plain.isprintable()
        and "?" not in plain
        and valid_email(plain)
        and plain.count("@") == 1
    )


def _addresses(message: Message, name: str) -> tuple[str, ...]:
    value = words.header(_one(message, name, 20_000))
    found = (_ascii(one).lower().rstrip(".") for one in _BARE.findall(value[:20_000]))
    return tuple(one for one in found if _usable(one))


def _moment(value: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(value[:100])
        aware = found if found.tzinfo else found.replace(tzinfo=UTC)
        aware = aware.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return aware if 1990 <= aware.year <= 2200 else None


# --- content --------------------------------------------------------------------------------------


def _parts(message: Message) -> Iterator[tuple[Message, str]]:
    """Yield the leaves of a mail with the kind of box each lies in. Mails inside a mail are leaves."""
    stack: list[tuple[Message, str, int]] = [(message, "", 0)]
    count = 0
    while stack:
        part, inside, depth = stack.pop()
        count += 1
        if count > MOST_PARTS:
            raise _TooMuch("too_many_parts")
        if depth > MOST_DEPTH:
            raise _TooMuch("too_deep")
        if part.get_content_maintype() == "multipart" and part.is_multipart():
            below = part.get_payload()
            stack.extend((one, part.get_content_subtype(), depth + 1) for one in reversed(below))  # type: ignore[arg-type]
        else:
            yield part, inside


class _TooMuch(Exception):
    """More than a mail may hold; the code of the reason."""


def _content(message: Message, found: Judged) -> Judged:
    plain: list[str] = []
    marked: list[str] = []
    files: list[File] = []
    left: list[str] = []
    returned: list[str] = []
    try:
        for part, inside in _parts(message):
            kind = part.get_content_type()
            name = _file_name(part)
            is_file = bool(name) or _disposition(part) == "attachment"
            if kind in ("message/rfc822", "text/rfc822-headers", "message/delivery-status"):
                if message.get_content_type() == "multipart/report" or not is_file:
                    returned += _ids_inside(part)
                left.append(name or kind)
            elif kind in ("text/plain", "text/html") and not is_file:
                shown = words.decode(_payload(part)[: 4 * words.LONGEST_TEXT], _charset(part))[: words.LONGEST_TEXT]
                (plain if kind == "text/plain" else marked).append(shown)
            elif _no_file(part, kind, name, inside):
                left.append(name or kind)
            else:
                files.append(File(name or _made_name(kind, len(files) + 1), _payload(part)))
                if len(files) > MOST_FILES:
                    raise _TooMuch("too_many_files")
    except _TooMuch as more:
        return replace(found, verdict=QUARANTINED, reason=str(more))
    words_of_it = words.plain("\n".join(plain))
    if not words_of_it.strip():
        words_of_it = "\n".join(words.from_html(one) for one in marked)
    said, quoted = words.cut(words_of_it, is_reply=found.is_reply and not _FORWARD.match(found.subject))
    return replace(
        found,
        verdict=TAKEN,
        reason="",
        said=said.strip(),
        quoted=quoted,
        files=tuple(files),
        left_out=tuple(left[:20]),
        returned=tuple(returned[:10]),
    )


_LEFT_OUT = frozenset(
    {
        "application/ms-tnef",
        "application/vnd.ms-tnef",
        "text/calendar",
        "application/ics",
        "application/pgp-signature",
        "application/pkcs7-signature",
        "application/x-pkcs7-signature",
        "text/x-amp-html",
        "text/vcard",
        "text/x-vcard",
    }
)


def _no_file(part: Message, kind: str, name: str, inside: str) -> bool:
    if kind in _LEFT_OUT or name.lower() == "winmail.dat" or name.lower().endswith((".ics", ".vcf")):
        return True
    if not name and not kind.startswith(("image/", "application/", "audio/", "video/")):
        return True
    within_text = inside == "related" or (_one(part, "Content-ID") and _disposition(part) != "attachment")
    return bool(within_text and kind.startswith("image/") and len(_payload(part)) < SMALL_PICTURE)


_ENDINGS = {"image/jpeg": "jpg", "image/png": "png", "image/gif": "gif", "application/pdf": "pdf"}


def _made_name(kind: str, number: int) -> str:
    ending = {"image/jpeg": "jpg", "image/png": "png", "image/gif": "gif", "application/pdf": "pdf"}.get(
        kind, "bin"
    )
    return f"{number}.{ending}"


def _payload(part: Message) -> bytes:
    """Return the bytes of a leaf; base64 that is broken as far as it goes."""
    if part.is_multipart():
        return b""
    if _one(part, "Content-Transfer-Encoding").strip().lower() == "base64":
        given: Any = part.get_payload()
        return words.base64_bytes(str(given).encode("ascii", "ignore"))
    decoded: Any = part.get_payload(decode=True)
    return decoded if isinstance(decoded, bytes) else b""


def _charset(part: Message) -> str:
    found = re.search(r"charset\s*\*?\s*=\s*[\"']?([^\s\"';]{1,40})", _one(part, "Content-Type"), re.I)
    return found.group(1) if found else ""


def _disposition(part: Message) -> str:
    return _one(part, "Content-Disposition").partition(";")[0].strip().lower()


def _file_name(part: Message) -> str:
    """Return the name of a part; programs write it in four ways, and some put bare bytes."""
    for head, key in (("Content-Disposition", "filename"), ("Content-Type", "name")):
        value = _one(part, head)
        if not value:
            continue
        bare = Message()
        bare[head] = words.decode(value.encode("utf-8", "surrogateescape")).replace("\r", "").replace("\n", " ")
        try:
            given = bare.get_param(key, header=head, unquote=True)
        except Exception:  # noqa: S112 - the parameters of a header of any bytes; then there is no name
            continue
        if isinstance(given, tuple):
            raw = given[2].encode("latin-1", "ignore")
            name = words.decode(raw, given[0] or "")
        else:
            name = words.header(str(given)) if given else ""
        name = words.one_line(name, 200)
        if name:
            return name
    return ""


def _ids_inside(part: Message) -> list[str]:
    """Return the id of the mail that a bounce brings back, whole or by its head alone."""
    payload = part.get_payload()
    inner = payload[0] if isinstance(payload, list) and payload and isinstance(payload[0], Message) else None
    if inner is not None:
        return _ids(_one(inner, "Message-ID"))
    if isinstance(payload, str):
        found = re.search(r"^message-id:\s*(<[^<>\s]{1,900}>)", payload[:50_000], re.I | re.M)
        return _ids(found.group(1)) if found else []
    return []


# --- who writes -----------------------------------------------------------------------------------

_MACHINE = re.compile(
    r"^(?:mailer-daemon|postmaster|mail-?daemon|no-?reply|noreply|do-?not-?reply|bounces?|autoreply)(?:[+\-=].*)?@"
)
_AWAY = re.compile(
    r"^\s*(?:自动回复|自动答复|自動回覆|自動回復|automatic reply|auto[- ]?reply|auto(?:matic)? response"
    r"|out of (?:the )?office|abwesenheits\w*|不在办公室|休假自动回复)\s*(?:[:：]|$)"
    r"|[(（\[【]\s*(?:自动回复|自动答复|auto[- ]?reply)\s*[)）\]】]",
    re.I,
)
_RETURNED = re.compile(
    r"^\s*(?:undeliver|delivery status notification|delivery (?:has )?fail|mail delivery|returned mail"
    r"|failure notice|系统退信|退信|投递失败|邮件未能送达|未送达)",
    re.I,
)


def _verdict(message: Message, found: Judged, own: str, own_addresses: set[str]) -> Judged:
    quiet = _wants_no_answer(message)
    found = replace(found, no_answer=quiet)
    if (own and _one(message, OWN_HEADER).strip() == own) or found.sender in own_addresses:
        return replace(found, verdict=IGNORED, reason="own")
    by_machine = _machine(message, found)
    if by_machine:
        return replace(found, verdict=IGNORED, reason=by_machine, no_answer=True)
    if found.verdict != TAKEN:
        return found
    if message.get_content_type() == "multipart/encrypted" or "pkcs7-mime" in message.get_content_type():
        return replace(found, verdict=QUARANTINED, reason="encrypted")
    if not found.sender:
        return replace(found, verdict=QUARANTINED, reason="no_sender")
    if _is_forged(message):
        return replace(found, verdict=QUARANTINED, reason="forged")
    if not (found.said or found.files or found.subject):
        return replace(found, verdict=QUARANTINED, reason="empty")
    return found


def _wants_no_answer(message: Message) -> bool:
    return bool(
        _one(message, "List-Id")
        or _one(message, "List-Unsubscribe")
        or _one(message, "X-Auto-Response-Suppress")
        or _one(message, "Precedence").strip().lower() in ("bulk", "list", "junk")
    )


def _machine(message: Message, found: Judged) -> str:
    """Return the reason why no person wrote a mail, or ''."""
    if message.get_content_type() == "multipart/report" or found.sender.startswith(
        ("mailer-daemon@", "postmaster@")
    ):
        return "bounce"
    if _one(message, "Return-Path").strip() == "<>":
        return "bounce" if _RETURNED.match(found.subject) or found.returned else "auto_reply"
    auto = _one(message, "Auto-Submitted").partition(";")[0].strip().lower()
    if auto and auto != "no":
        return "auto_reply"
    if any(_one(message, name) for name in ("X-Autoreply", "X-Autorespond", "X-Auto-Reply", "X-Autoresponder")):
        return "auto_reply"
    if _one(message, "X-Failed-Recipients") or (_RETURNED.match(found.subject) and _MACHINE.match(found.sender)):
        return "bounce"
    if _AWAY.search(found.subject):
        return "auto_reply"
    precedence = _one(message, "Precedence").strip().lower()
    if precedence in ("auto_reply", "auto-reply"):
        return "auto_reply"
    if precedence in ("bulk", "junk", "list"):
        return "bulk"
    return "machine" if _MACHINE.match(found.sender) else ""


def _is_forged(message: Message) -> bool:
    """Tell whether the mailbox's own server found that the sender is not who it says (its line stands on top)."""
    return bool(re.search(r"\bdmarc\s*=\s*fail", _one(message, "Authentication-Results"), re.I))
