"""Requests to addresses that people typed in: inner ones are refused in every spelling, and time is bounded."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from core.kernel import outgoing
from core.kernel.errors import InvalidData
from core.kernel.outgoing import Unreachable, check_address, check_host, post
from tests.receivers import Saying, Serve, listening, whole_request

INNER = """\
http://127.0.0.1/ http://127.1/ http://2130706433/ http://0x7f000001/ http://0177.0.0.1/ http://0x7f.0.0.1/
http://127.0.0.01/ http://0/ http://0.0.0.0/ http://①②⑦.⓪.⓪.①/ http://127。0。0。1/ http://127.0.0.1./
http://10.0.0.1/ http://172.16.0.1/ http://192.168.1.1/ http://169.254.169.254/latest/meta-data http://100.64.0.1/
http://192.0.0.1/ http://198.18.0.1/ http://203.0.113.1/ http://224.0.0.1/ http://239.255.255.250/ http://240.0.0.1/
http://255.255.255.255/ http://192.88.99.1/ http://[::]/ http://[::1]/ http://[0:0:0:0:0:0:0:1]/
http://[::ffff:127.0.0.1]/ http://[::ffff:7f00:1]/ http://[::127.0.0.1]/ http://[fe80::1]/ http://[fe80::1%25eth0]/
http://[fc00::1]/ http://[fd12:3456::1]/ http://[fec0::1]/ http://[ff02::1]/ http://[2001:db8::1]/
http://[64:ff9b::7f00:1]/ http://[64:ff9b:1::1]/ http://[2002:7f00:1::]/ http://[2001:0:7f00:1::1]/
http://localhost/ http://LOCALHOST./ http://ⓛocalhost/
"""
ODD = [
    "",
    "example.com/hook",
    "//example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "javascript:alert(1)",
    "http://",
    "http:///hook",
    "http://user@example.com/",
    "http://user:word@example.com/",
    "http://example.com@127.0.0.1/",
    "http://127.0.0.1\\@example.com/",
    "http://example.com /",
    "http://example.com/\nHost: inner",
    "http://example.com\t/",
    "http://exa\u0000mple.com/",
    "http://example.com:0/",
    "http://example.com:99999/",
    "http://example.com:8a/",
    "http://[::1/",
    "http://1.2.3.4.5/",
    "http://exa_mple..com/",
    "http://-example.com/",
    "http://" + "a" * 300 + ".com/",
    "http://example.com/" + "a" * 500,
]


@pytest.fixture
def house(whole_app: Flask) -> Iterator[Flask]:
    """The application as it is shipped: nothing inner may be reached."""
    with whole_app.app_context():
        yield whole_app


@pytest.fixture
def allow(house: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def let(*entries: str) -> None:
        settings = replace(house.extensions["settings"], outgoing_allow=entries)
        monkeypatch.setitem(house.extensions, "settings", settings)

    return let


def names(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Let every name stand for the next of ``answers`` (the last one ever after); return what was asked."""
    asked: list[str] = []

    def look_up(name: str, _port: int) -> list[Any]:
        asked.append(name)
        return [outgoing.ip_address(one) for one in answers[min(len(asked), len(answers)) - 1]]

    monkeypatch.setattr(outgoing, "_look_up", look_up)
    return asked


@pytest.mark.parametrize("url", INNER.split())
def test_inner_addresses_are_refused_in_every_spelling(house: Flask, url: str) -> None:
    with pytest.raises(InvalidData) as refused:
        check_address(url, "where")
    assert list(refused.value.errors) == ["where"]
    with pytest.raises(InvalidData):
        post(url, b"{}", {}, 5)


@pytest.mark.parametrize("url", ODD)
def test_what_can_be_read_in_two_ways_is_refused(house: Flask, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, ["1.1.1.1"])
    with pytest.raises(InvalidData):
        check_address(url)


def test_public_addresses_pass_and_every_address_of_a_name_counts(
    house: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check_address("https://8.8.8.8/x").addresses == ("8.8.8.8",)
    assert check_address("http://[2606:4700::1111]:8080/").port == 8080
    names(monkeypatch, ["1.1.1.1", "2606:4700::1111"])
    found = check_address("HTTPS://Hooks.Example.COM./a?b=c")
    assert (found.host, found.port, found.addresses) == ("hooks.example.com", 443, ("1.1.1.1", "2606:4700::1111"))
    assert check_address("https://售后.example/").host == "xn--fqrzz.example"
    names(monkeypatch, ["1.1.1.1", "192.168.0.9"])
    with pytest.raises(InvalidData):
        check_host("mail.example.com", 993)
    for port in (0, -1, 65536):
        with pytest.raises(InvalidData):
            check_host("mail.example.com", port)


def test_a_name_nobody_knows_is_said_so_at_once(house: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_name: str, _port: int) -> list[Any]:
        threading.Event().wait(5)
        raise OSError

    monkeypatch.setattr(outgoing, "_look_up", never)
    began = time.monotonic()
    with pytest.raises(InvalidData) as unknown:
        post("https://slow.example.com/", b"", {}, 0.2)
    assert "slow.example.com" in str(unknown.value.texts()[0])
    assert time.monotonic() - began < 3


def test_the_deployment_allows_hosts_and_networks(
    allow: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    names(monkeypatch, ["10.1.2.3"])
    allow("10.1.0.0/16", "fd00::/8")
    assert check_host("anything.example", 993).addresses == ("10.1.2.3",)
    assert check_address("http://[::ffff:10.1.2.3]/")
    assert check_address("http://[fd00::1]/")
    with pytest.raises(InvalidData):
        check_address("http://10.2.0.1/")
    allow("Mail.lan")
    assert check_host("mail.LAN.", 25)
    with pytest.raises(InvalidData):
        check_host("other.lan", 25)


def test_a_post_arrives_whole_and_a_redirect_is_not_followed(
    allow: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    allow("127.0.0.1")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    inner = Saying(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret")
    with listening(inner) as secret_port:
        place = f"Location: http://127.0.0.1:{secret_port}/\r\n".encode()
        moved = Saying(b"HTTP/1.1 307 Moved\r\n" + place + b"Content-Length: 5\r\n\r\nmoved")
        with listening(moved) as port:
            body = "工单".encode()
            answer = post(f"http://127.0.0.1:{port}/路?a=中 ".strip(), body, {"X-Mark": "1"}, 5)
    assert (answer.status, answer.text, answer.good) == (307, "moved", False)
    assert inner.heard == []
    head, _, sent = moved.heard[0].partition(b"\r\n\r\n")
    assert sent == body
    assert head.startswith(b"POST /%E8%B7%AF?a=%E4%B8%AD HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{port}".encode() in head and b"X-Mark: 1" in head


def test_the_connection_goes_to_the_address_that_was_checked(
    allow: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server of an attacker answers a public address first and an inner one to the next question."""
    good = Saying(b"HTTP/1.1 204 No Content\r\n\r\n")
    inner = Saying(b"HTTP/1.1 200 OK\r\n\r\n")
    allow("127.0.0.2")
    with listening(good, "127.0.0.2") as port:
        asked = names(monkeypatch, ["127.0.0.2"], ["127.0.0.1"])
        assert post(f"http://rebind.example:{port}/", b"x", {}, 5).status == 204
        assert asked == ["rebind.example"]
        assert f"Host: rebind.example:{port}".encode() in good.heard[0]
    with listening(inner) as port:
        names(monkeypatch, ["127.0.0.1"])
        with pytest.raises(InvalidData):
            post(f"http://rebind.example:{port}/", b"x", {}, 5)
    assert inner.heard == []


def _drip(head: bytes) -> Serve:
    def serve(line: socket.socket) -> None:
        whole_request(line)
        line.sendall(head)
        stop = threading.Event()
        for _turn in range(100):
            line.sendall(b"x")
            stop.wait(0.05)

    return serve


def test_a_slow_server_cannot_hold_us_up(allow: Callable[..., None]) -> None:
    allow("127.0.0.1")
    began = time.monotonic()
    with listening(_drip(b"")) as port, pytest.raises(Unreachable):
        post(f"http://127.0.0.1:{port}/", b"x", {}, 0.4)
    with listening(_drip(b"HTTP/1.1 200 OK\r\nX-Slow: ")) as port, pytest.raises(Unreachable):
        post(f"http://127.0.0.1:{port}/", b"x", {}, 0.4)
    # What it says first counts: it has taken the message.
    with listening(_drip(b"HTTP/1.1 200 OK\r\n\r\nThanks ")) as port:
        answer = post(f"http://127.0.0.1:{port}/", b"x", {}, 0.4)
    assert answer.status == 200 and answer.text.startswith("Thanks x")
    assert time.monotonic() - began < 4


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"220 mail.example ESMTP\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n",
    ],
)
def test_what_is_no_http_is_an_error_people_can_read(allow: Callable[..., None], said: bytes) -> None:
    allow("127.0.0.1")
    with listening(Saying(said)) as port, pytest.raises(Unreachable):
        post(f"http://127.0.0.1:{port}/", b"x", {}, 5)


def test_nobody_listening_and_headers_of_tricksters(allow: Callable[..., None]) -> None:
    allow("127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Unreachable):
        post(f"http://127.0.0.1:{port}/", b"x", {}, 5)
    said = Saying(b"HTTP/1.1 200 OK\r\n\r\n")
    with listening(said) as port, pytest.raises(Unreachable):
        post(f"http://127.0.0.1:{port}/", b"x", {"X-Mark": "1\r\nHost: inner"}, 5)


def test_only_the_beginning_of_an_answer_is_kept(allow: Callable[..., None]) -> None:
    allow("127.0.0.1")
    said = Saying(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + "好\x00".encode() * 5000)
    with listening(said) as port:
        answer = post(f"http://127.0.0.1:{port}/", b"x", {}, 5)
    assert answer.text.startswith("好好") and "\x00" not in answer.text
    assert len(answer.text.encode()) <= outgoing.KEPT


def test_tls_is_verified_against_the_name(
    allow: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    allow("127.0.0.1")
    names(monkeypatch, ["127.0.0.1"])
    authority = _certificate(tmp_path, "hooks.example")
    inner = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    inner.load_cert_chain(authority)
    said = Saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    def serve(line: socket.socket) -> None:
        with inner.wrap_socket(line, server_side=True) as secure:
            said(secure)

    with listening(serve) as port:
        with pytest.raises(Unreachable, match="certificate"):
            post(f"https://hooks.example:{port}/", b"x", {}, 5)
        monkeypatch.setattr(outgoing, "_tls", lambda: ssl.create_default_context(cafile=authority))
        assert post(f"https://hooks.example:{port}/", b"x", {}, 5).text == "ok"
        with pytest.raises(Unreachable, match="certificate"):
            post(f"https://other.example:{port}/", b"x", {}, 5)
    assert len(said.heard) == 1


def _certificate(folder: Path, name: str) -> Path:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return file
