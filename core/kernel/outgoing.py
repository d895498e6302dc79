"""Requests to addresses that people typed in: webhooks, robots, mailboxes. Inner addresses are out of reach.

An address is hostile until checked: it may name a machine of the house that trusts its neighbours. Every spelling
is reduced to a name or an IP address first, a name is looked up once, all that it stands for is checked, and the
connection goes to an address that was checked, so that a second look-up cannot answer another one.
"""

from __future__ import annotations

import io
import re
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

from flask import current_app
from flask_babel import lazy_gettext as _l

from .errors import AppError, InvalidData

LONGEST = 500  # of an address
KEPT = 4096  # bytes of an answer
TIMEOUT = 10.0
AGENT = "Shouhou"
_PORTS = {"http": 80, "https": 443}
_NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
# Global by the registry, yet they lead to whatever address of version 4 is written inside, or nowhere public.
_NAT64 = ip_network("64:ff9b::/96")
_NEVER = (ip_network("64:ff9b:1::/48"), ip_network("192.88.99.0/24"), ip_network("fec0::/10"), ip_network("::/96"))
Address = IPv4Address | IPv6Address


class Unreachable(AppError):
    """The other side could not be reached, did not answer in time, or not as it should."""

    status = 502
    code = "unreachable"
    title = _l("The address cannot be reached")


@dataclass(frozen=True)
class Target:
    """A host that was checked: connect to one of ``addresses`` and to nothing else."""

    host: str
    port: int
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What the other side said: status, and the beginning of its text. A redirect is an answer like any other."""

    status: int
    text: str

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300


def check_address(url: str, field: str = "url") -> Target:
    """Check a web address (http or https) that this server is to call.

    Raises:
        InvalidData: under ``field``: malformed, with user info, unknown name, or not a public host
            (unless ``outgoing_allow`` names it).
    """
    parts = _split(url, field)
    return check_host(parts.hostname or "", parts.port or _PORTS[parts.scheme], field)


def check_host(host: str, port: int, field: str = "host", timeout: float = TIMEOUT) -> Target:
    """Check a host that this server is to connect to; look its name up once.

    Raises:
        InvalidData: under ``field``: malformed, unknown, or not public (unless ``outgoing_allow`` names it).
    """
    if not 0 < port < 65536:
        raise InvalidData({field: _l("The port must lie between 1 and 65535")})
    name = _plain_host(host, field)
    literal = _literal(name)
    found = [literal] if literal else _look_up_in_time(name, port, field, timeout)
    if not _named_in(name, current_app.extensions["settings"].outgoing_allow):
        refused = [one for one in found if not _allowed(one)]
        if refused:
            raise InvalidData({field: _l("This address leads to an inner network; only public hosts are called")})
    return Target(name, port, tuple(str(one) for one in found))


def post(url: str, body: bytes, headers: Mapping[str, str] | None = None, timeout: float = TIMEOUT) -> Answer:
    """Send ``body`` to a web address and return the answer, whatever its status.

    No redirect is followed, no proxy of the environment used, TLS always verified; ``timeout`` bounds all of it.

    Raises:
        InvalidData: the address is not to be called (as ``check_address``).
        Unreachable: no connection, no valid TLS, no answer in time, or none that is HTTP.
    """
    until = time.monotonic() + timeout
    parts = _split(url, "url")
    target = check_host(parts.hostname or "", parts.port or _PORTS[parts.scheme], "url", timeout)
    wanted: dict[str, str] = {"User-Agent": AGENT, "Accept-Encoding": "identity", "Connection": "close"}
    try:
        with _connected(target, parts.scheme, until) as line:
            wanted.update(headers or {})
            return _exchange(_http(target, parts.scheme, line), _path(parts), body, wanted)
    except TimeoutError as error:
        raise Unreachable(_l("No answer within %(seconds)d seconds", seconds=round(timeout))) from error
    except ssl.SSLCertVerificationError as error:
        raise Unreachable(_l("The certificate of the other side is not valid: %(why)s", why=_why(error))) from error
    except (OSError, HTTPException, ValueError) as error:
        raise Unreachable(_l("The address cannot be reached: %(why)s", why=_why(error))) from error


def _why(error: Exception) -> str:
    reason = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or str(error)
    return str(reason or type(error).__name__)[:120]


# --- spelling -------------------------------------------------------------------------------------


def _split(url: str, field: str) -> SplitResult:
    """Split an address that can be read in one way only."""
    bad = InvalidData({field: _l("Please enter an address such as https://example.com/hook")})
    if len(url) > LONGEST:
        raise InvalidData({field: _l("At most %(count)d characters", count=LONGEST)})
    # Browsers, libraries and servers differ over these, which is what tricks are made of.
    if not url.isprintable() or any(c in url for c in " \\"):
        raise bad
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise bad from None
    if parts.scheme not in _PORTS or not parts.hostname or port == 0:
        raise bad
    if "@" in parts.netloc:
        raise InvalidData({field: _l("The address may not hold a user name or password")})
    return parts


def _plain_host(host: str, field: str) -> str:
    """Return the host in its one plain spelling: a lower-case ASCII name, or an IP address."""
    bad = InvalidData({field: _l("Please enter a host such as mail.example.com")})
    if ":" in host:
        literal = _literal(host)
        if literal is None:
            raise bad
        return str(literal)
    try:
        name = host.rstrip(".").encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise bad from None
    if not _NAME.fullmatch(name) or len(name) > 253:
        raise bad
    # 2130706433, 0x7f.1, 0177.0.0.1: numbers that old functions take for addresses, each in its own way.
    if _NUMERIC.fullmatch(name.rpartition(".")[2]) and _literal(name) is None:
        raise InvalidData({field: _l("Please write the IP address as four plain numbers")})
    return name


def _literal(host: str) -> Address | None:
    try:
        found = ip_address(host)
    except ValueError:
        return None
    return None if getattr(found, "scope_id", None) else found


def _path(parts: SplitResult) -> str:
    path = quote(parts.path or "/", safe="/%:;=@&+$,!~*'()")
    query = quote(parts.query, safe="/%:;=@&+$,!~*'()?")
    return f"{path}?{query}" if query else path


# --- what is public -------------------------------------------------------------------------------


def _look_up_in_time(name: str, port: int, field: str, timeout: float) -> list[Address]:
    """Look a name up; the system's function knows no time limit of ours, so it runs beside."""
    found: list[Address] = []

    def ask() -> None:
        try:
            found.extend(_look_up(name, port))
        except OSError:
            return

    beside = threading.Thread(target=ask, name="look-up", daemon=True)
    beside.start()
    beside.join(timeout)
    if not found:
        raise InvalidData({field: _l("The name %(host)s is not known", host=name)})
    return list(dict.fromkeys(found))


def _look_up(name: str, port: int) -> list[Address]:
    answers = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [ip_address(str(one[4][0]).partition("%")[0]) for one in answers]


def _allowed(address: Address) -> bool:
    seen = {address, *_inside(address)}
    if _within(address):
        return True
    return all(_public(one) for one in seen)


def _inside(address: Address) -> list[IPv4Address]:
    """Return the addresses of version 4 that an address of version 6 stands for."""
    if isinstance(address, IPv4Address):
        return []
    teredo = address.teredo or ()
    nat64 = IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None
    return [one for one in (address.ipv4_mapped, address.sixtofour, nat64, *teredo) if one is not None]


def _public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return True  # judged by what it stands for
    if any(address.version == net.version and address in net for net in _NEVER):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _within(address: Address) -> bool:
    for entry in current_app.extensions["settings"].outgoing_allow:
        net = _network(entry)
        if net is not None and any(one.version == net.version and one in net for one in _faces(address)):
            return True
    return False


def _faces(address: Address) -> tuple[Address, ...]:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped,) if mapped else (address,)


@lru_cache(maxsize=256)
def _network(entry: str) -> Any:
    try:
        return ip_network(entry, strict=False)
    except ValueError:
        return None


def _named_in(name: str, entries: tuple[str, ...]) -> bool:
    return _literal(name) is None and name in {one.rstrip(".").lower() for one in entries}


# --- the exchange ---------------------------------------------------------------------------------


class _Line(io.RawIOBase):
    """A socket under one deadline: every single read and write gets what is left of the time.

    A time limit of the socket alone begins anew with every byte that a slow server lets drop.
    """

    def __init__(self, sock: socket.socket, until: float) -> None:
        self._sock = sock
        self._until = until

    def _hurry(self) -> socket.socket:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._hurry().recv_into(buffer)

    def sendall(self, data: bytes) -> None:
        for start in range(0, len(data), 16_384):
            self._hurry().sendall(data[start : start + 16_384])

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        return io.BufferedReader(_Line(self._sock, self._until))

    def close(self) -> None:
        """Leave the socket alone: it is closed by whoever opened it."""

    def over(self) -> None:
        self._sock.close()

    def __exit__(self, *_: object) -> None:
        self.over()


def _connected(target: Target, scheme: str, until: float) -> _Line:
    """Connect to the first of the checked addresses that answers."""
    last: OSError = TimeoutError()
    for address in target.addresses:
        left = until - time.monotonic()
        if left <= 0:
            break
        try:
            plain = socket.create_connection((address, target.port), timeout=left)
        except OSError as error:
            last = error
            continue
        return _Line(_secured(plain, target, until) if scheme == "https" else plain, until)
    raise last


def _secured(plain: socket.socket, target: Target, until: float) -> socket.socket:
    try:
        plain.settimeout(max(0.001, until - time.monotonic()))
        return _tls().wrap_socket(plain, server_hostname=target.host)
    except BaseException:
        plain.close()
        raise


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _http(target: Target, scheme: str, line: _Line) -> HTTPConnection:
    kind = HTTPSConnection if scheme == "https" else HTTPConnection
    connection = kind(target.host, target.port)
    connection.sock = line  # so it never connects by itself
    return connection


def _exchange(connection: HTTPConnection, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    connection.request("POST", path, body=body, headers=dict(headers))
    with connection.getresponse() as response:
        return Answer(response.status, _beginning(response))


def _beginning(response: HTTPResponse) -> str:
    """Read the first bytes of an answer; whoever has sent the status may take too long over the rest."""
    found = b""
    try:
        while len(found) < KEPT and (piece := response.read1(KEPT - len(found))):
            found += piece
    except (OSError, HTTPException):
        pass
    text = found.decode("utf-8", "replace")
    return "".join(c for c in text if c.isprintable() or c in "\n\t").strip()
