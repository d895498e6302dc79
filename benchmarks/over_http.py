"""Creating a case over HTTP: one client, then eight, ours against the floor, on the same server."""

from __future__ import annotations

import http.client
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from core.kernel.database import db
from tests import helpers

from . import seed
from .floor import create_floor
from .scene import Scene

TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')
Send = Callable[[], None]


@contextmanager
def served(place: Scene, which: str) -> Iterator[int]:
    """Run a server in a process of its own; yield its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "benchmarks.server", which, place.url, str(port), str(place.folder)]
    process = subprocess.Popen(command)
    try:
        _wait(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def _wait(port: int) -> None:
    for _ in range(1200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("the server did not start")


class Browser:
    """The least of a browser: one kept connection, cookies, forms."""

    def __init__(self, port: int) -> None:
        self.conn = http.client.HTTPConnection("127.0.0.1", port)
        self.cookies: dict[str, str] = {}

    def send(self, method: str, path: str, form: dict[str, object] | None = None) -> tuple[int, str]:
        body = urllib.parse.urlencode(form) if form else None
        headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())}
        if form:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self.conn.request(method, path, body, headers)
        answer = self.conn.getresponse()
        text = answer.read().decode()
        for cookie in answer.headers.get_all("Set-Cookie", []):
            name, _, value = cookie.split(";")[0].partition("=")
            self.cookies[name] = value
        return answer.status, text


def our_sender(port: int, username: str) -> Send:
    """Sign in and return a function that registers one case through the intake form."""
    browser = Browser(port)
    _, page = browser.send("GET", "/sign-in")
    browser.send(
        "POST", "/sign-in", {"username": username, "password": helpers.PASSWORD, "csrf_token": _token(page)}
    )
    _, page = browser.send("GET", "/admin/cases/new")
    token = _token(page)
    cookies = dict(browser.cookies)

    def send() -> None:
        # A person sees the page that follows, which takes its message out of the cookie again; here nobody looks.
        browser.cookies = dict(cookies)
        form = {
            "csrf_token": token,
            "key": uuid.uuid4().hex,
            "customer_id": 1,
            "contact_phone": "13812345678",
            "channel": "phone",
            "nature": "repair",
            "urgency": "normal",
            "product_text": "BG20X",
            "description": "循环水泵噪音大",
        }
        status, text = browser.send("POST", "/admin/cases/new", form)
        if status not in (302, 303):
            raise RuntimeError(f"{status}: {text[:500]}")

    return send


def floor_sender(port: int, _username: str) -> Send:
    browser = Browser(port)

    def send() -> None:
        form: dict[str, object] = {"number": uuid.uuid4().hex, "customer_id": 1, "description": "循环水泵噪音大"}
        status, text = browser.send("POST", "/cases", form)
        if status != 303:
            raise RuntimeError(f"{status}: {text[:500]}")

    return send


def _token(page: str) -> str:
    found = TOKEN.search(page)
    if found is None:
        raise RuntimeError("no form on the page")
    return found.group(1)


def _rate(senders: list[Send], count: int) -> float:
    """Send ``count`` requests from each sender at once; return requests per second."""
    for send in senders:
        send()

    def run(send: Send) -> None:
        for _ in range(count):
            send()

    threads = [threading.Thread(target=run, args=(send,)) for send in senders]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(senders) * count / (time.perf_counter() - start)


def measure(place: Scene, count: int) -> list[tuple[str, float, float, str]]:
    """Return rows (what, ours, floor, unit)."""
    with place.app.app_context():
        create_floor(place.url)
        seed.fill_ours(place.app, place.unit_id, 1000)
        with db.engine.begin() as conn:
            seed.fill_floor(conn, 1000)
    rates: dict[tuple[str, int], float] = {}
    for which, make in (("floor", floor_sender), ("ours", our_sender)):
        with served(place, which) as port:
            rates[which, 1] = max(_rate([make(port, place.username)], count) for _ in range(2))
            rates[which, 8] = max(
                _rate([make(port, place.username) for _ in range(8)], count // 4) for _ in range(2)
            )
    return [
        ("create over HTTP, one client", 1000 / rates["ours", 1], 1000 / rates["floor", 1], "ms"),
        ("create over HTTP, eight clients", rates["ours", 8], rates["floor", 8], "a second"),
    ]
