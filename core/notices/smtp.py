"""Sending e-mail by the deployment's mail server (setting ``smtp``).

What comes from outside never makes a header: addresses are checked strictly, line breaks in a subject become
blanks, and header names and values with anything odd are refused.
"""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime, make_msgid
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from flask import current_app
from flask_babel import lazy_gettext as _l

from core.kernel import clock
from core.kernel.errors import AppError, InvalidData

TIMEOUT = 20.0  # seconds for each answer of the mail server
PORTS = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}
# (file name, content) or (file name, content, media type)
Attached = tuple[str, bytes] | tuple[str, bytes, str]

_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_DOMAIN = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
_ADDRESS = re.compile(f"{_LOCAL}@{_DOMAIN}")
_NAMED = re.compile(r"([^<>@]{0,100})<([^<>]+)>")
_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,60}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]+")
_MEDIA_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]+")


class NotSent(AppError):
    """A mail was not taken by the mail server.

    ``permanent``: trying again is of no use. ``broken``: so would the next mail fare, the connection is of no use.
    """

    status = 502
    code = "mail_not_sent"
    title = _l("The e-mail could not be sent")

    def __init__(self, message: Any = "", *, permanent: bool = False, broken: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.broken = broken


@dataclass(frozen=True)
class Server:
    """The mail server as the setting ``smtp`` names it."""

    security: str
    host: str
    port: int
    user: str
    password: str
    sender: str


class _Policy(EmailPolicy):
    """As the standard one, but message ids stay whole: it would encode those longer than a line."""

    def fold(self, name: str, value: Any) -> str:
        """Fold a header."""
        if name.lower() in ("message-id", "in-reply-to", "references"):
            return f"{name}: " + f"{self.linesep} ".join(str(value).split()) + self.linesep
        return super().fold(name, value)

    def fold_binary(self, name: str, value: Any) -> bytes:
        """Fold a header for the wire."""
        if name.lower() in ("message-id", "in-reply-to", "references"):
            return self.fold(name, value).encode("ascii", "replace")
        return super().fold_binary(name, value)


_POLICY = _Policy(linesep="\r\n")


def is_address(text: str) -> bool:
    """Tell whether ``text`` is one plain e-mail address (no display name)."""
    return len(text) <= 200 and _ADDRESS.fullmatch(text) is not None


def is_set_up() -> bool:
    """Tell whether the deployment names a mail server."""
    return bool(current_app.extensions["settings"].smtp)


def server() -> Server:
    """Return the deployment's mail server.

    Raises:
        NotSent: none is set, or the setting cannot be read.
    """
    given = current_app.extensions["settings"].smtp
    if not given:
        raise NotSent(_l("No mail server is set up"), permanent=True, broken=True)
    return _read(given)


@lru_cache(maxsize=8)
def _read(url: str) -> Server:
    try:
        parts = urlsplit(url)
        security, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError:
        security, host, port = "", None, None
    if security not in PORTS or not host:
        raise NotSent(_l("The setting of the mail server cannot be read"), permanent=True, broken=True)
    user = unquote(parts.username or "")
    sender = parse_qs(parts.query).get("from", [""])[0] or (user if "@" in user else f"shouhou@{host}")
    return Server(security, host, port or PORTS[security], user, unquote(parts.password or ""), sender)


class Post:
    """An open connection to the mail server; sends any number of mails."""

    def __init__(self, wire: smtplib.SMTP, sender: str) -> None:
        self._wire = wire
        self._sender = sender

    def send(
        self,
        to: str | Sequence[str],
        subject: str,
        text: str,
        html: str | None = None,
        attachments: Sequence[Attached] = (),
        headers: Mapping[str, str] | None = None,
        sender: str = "",
    ) -> str:
        """Send one mail as ``send`` does; return its Message-ID."""
        message = compose(to, subject, text, html, attachments, headers, sender or self._sender)
        self._hand_over(lambda: self._wire.send_message(message))
        return str(message["Message-ID"])

    def pass_on(self, raw: bytes, sender: str, to: Sequence[str]) -> None:
        """Send a mail that ``compose`` built earlier and somebody kept as bytes.

        Raises:
            NotSent: the mail server did not take it.
        """
        self._hand_over(lambda: self._wire.sendmail(sender, list(to), raw))

    def _hand_over(self, call: Callable[[], object]) -> None:
        try:
            call()
        except smtplib.SMTPRecipientsRefused as error:
            code, answer = next(iter(error.recipients.values()))
            raise NotSent(_answer(code, answer), permanent=code >= 500, broken=code == 421) from error
        except smtplib.SMTPResponseException as error:
            code = error.smtp_code
            raise NotSent(_answer(code, error.smtp_error), permanent=code >= 500, broken=code == 421) from error
        except (smtplib.SMTPException, OSError) as error:
            raise NotSent(_away(error), broken=True) from error


@contextmanager
def opened() -> Iterator[Post]:
    """Open a connection to the mail server, for many mails.

    Raises:
        NotSent: no server is set, it cannot be reached, or it refuses the sign-in.
    """
    given = server()
    try:
        wire = _connect(given)
    except smtplib.SMTPResponseException as error:
        raise NotSent(_answer(error.smtp_code, error.smtp_error), broken=True) from error
    except (smtplib.SMTPException, OSError) as error:
        raise NotSent(_away(error), broken=True) from error
    try:
        yield Post(wire, given.sender)
    finally:
        try:
            wire.quit()
        except (smtplib.SMTPException, OSError):
            wire.close()


def _connect(given: Server) -> smtplib.SMTP:
    if given.security == "smtps":
        tls = ssl.create_default_context()
        wire: smtplib.SMTP = smtplib.SMTP_SSL(given.host, given.port, timeout=TIMEOUT, context=tls)
    else:
        wire = smtplib.SMTP(given.host, given.port, timeout=TIMEOUT)
    try:
        if given.security == "smtp+starttls":
            wire.starttls(context=ssl.create_default_context())
        if given.user:
            wire.login(given.user, given.password)
    except BaseException:
        wire.close()
        raise
    return wire


def send(
    to: str | Sequence[str],
    subject: str,
    text: str,
    html: str | None = None,
    attachments: Sequence[Attached] = (),
    headers: Mapping[str, str] | None = None,
    sender: str = "",
) -> str:
    """Send one mail now; return its Message-ID (made up unless ``headers`` gives one).

    Call it from a job, never in a request or inside ``transaction()``: it waits for the mail server.
    ``headers`` may carry Message-ID, In-Reply-To, References, Reply-To, Auto-Submitted and the like. ``sender``
    replaces the deployment's own (``name@host`` or ``Name <name@host>``).

    Raises:
        InvalidData: an address or header that cannot be used.
        NotSent: the mail server did not take it; ``permanent`` tells whether to try again.
    """
    with opened() as post:
        return post.send(to, subject, text, html, attachments, headers, sender)


def compose(
    to: str | Sequence[str],
    subject: str,
    text: str,
    html: str | None = None,
    attachments: Sequence[Attached] = (),
    headers: Mapping[str, str] | None = None,
    sender: str = "",
) -> EmailMessage:
    """Build the mail that ``send`` sends.

    Raises:
        InvalidData: an address or header that cannot be used.
    """
    message = EmailMessage(policy=_POLICY)
    origin = _mailbox(sender)
    message["From"] = origin
    message["To"] = [_mailbox(one) for one in ([to] if isinstance(to, str) else to)]
    message["Subject"] = _CONTROL.sub(" ", subject).strip()[:300]
    message["Date"] = format_datetime(clock.now())
    for name, value in (headers or {}).items():
        _add_header(message, name, value)
    if "Message-ID" not in message:
        message["Message-ID"] = make_msgid(domain=origin.domain)
    message.set_content(text.replace("\x00", ""), cte="base64")
    if html is not None:
        message.add_alternative(html.replace("\x00", ""), subtype="html", cte="base64")
    for one in attachments:
        _attach(message, one)
    return message


def _mailbox(given: str) -> Address:
    named = _NAMED.fullmatch(given)
    name, address = named.groups() if named else ("", given)
    if _CONTROL.search(given) or not is_address(address):
        raise InvalidData({"to": _l("This is not an e-mail address")})
    return Address(display_name=name.strip(' "'), addr_spec=address)


_OURS = frozenset(("from", "to", "cc", "bcc", "subject", "date", "mime-version"))


def _add_header(message: EmailMessage, name: str, value: str) -> None:
    plain = name.lower()
    taken = plain in _OURS or plain.startswith("content-") or name in message
    if taken or not _HEADER_NAME.fullmatch(name) or _CONTROL.search(value) or len(value) > 4000:
        raise InvalidData({"headers": _l("This header cannot be used")})
    message[name] = value


def _attach(message: EmailMessage, one: Attached) -> None:
    media = one[2].lower() if len(one) == 3 else ""
    if not _MEDIA_TYPE.fullmatch(media) or media.startswith(("message/", "multipart/")):
        media = "application/octet-stream"
    main, _slash, sub = media.partition("/")
    name = _CONTROL.sub(" ", one[0]).replace("/", "_").replace("\\", "_").strip()[:150] or "file"
    message.add_attachment(one[1], maintype=main, subtype=sub, filename=name)


def _away(error: Exception) -> Any:
    why = getattr(error, "strerror", "") or str(error) or type(error).__name__
    return _l("The mail server does not answer: %(why)s", why=_CONTROL.sub(" ", why)[:200])


def _answer(code: int, answer: bytes | str) -> str:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    return f"{code} {_CONTROL.sub(' ', text)}"[:300]
