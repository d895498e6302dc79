"""A small receiver on this machine, for what goes out of the house."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Serve = Callable[[socket.socket], None]


@contextmanager
def listening(answer: Serve, address: str = "127.0.0.1") -> Iterator[int]:
    """Answer every connection with ``answer`` in a thread; yield the port."""
    server = socket.create_server((address, 0))

    def run() -> None:
        while True:
            try:
                line, _from = server.accept()
            except OSError:
                return
            with line:
                try:
                    answer(line)
                except OSError:
                    continue

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)


class Saying:
    """Reads one request, keeps it, answers with fixed bytes."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.heard: list[bytes] = []

    def __call__(self, line: socket.socket) -> None:
        self.heard.append(whole_request(line))
        line.sendall(self.answer)


def whole_request(line: Any) -> bytes:
    found = b""
    while b"\r\n\r\n" not in found:
        found += line.recv(4096)
    head, _, body = found.partition(b"\r\n\r\n")
    length = int(next(h for h in head.split(b"\r\n") if h.lower().startswith(b"content-length")).split(b":")[1])
    while len(body) < length:
        body += line.recv(4096)
    return head + b"\r\n\r\n" + body
