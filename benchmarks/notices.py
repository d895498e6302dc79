"""10,000 notices taken up, and 1,000 of them mailed to a mail server of this machine that keeps nothing."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import insert, text

from core.kernel import clock
from core.kernel.database import db, session, system_scope, transaction
from core.notices import sending, smtp, take_up
from core.notices.models import Delivery
from core.records.models import Notice
from tests.helpers import make_user

from .scene import Scene

PEOPLE = 50
MAILED = 1000


class _Sink(socketserver.StreamRequestHandler):
    """Just enough of SMTP to be told mails."""

    def handle(self) -> None:
        self._say(b"220 sink")
        while line := self.rfile.readline():
            verb = line[:4].upper().strip()
            if verb == b"DATA":
                self._say(b"354 go on")
                while self.rfile.readline() not in (b".\r\n", b""):
                    pass
            self._say(b"221 bye" if verb == b"QUIT" else b"250 ok")

    def _say(self, words: bytes) -> None:
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.wfile.write(words + b"\r\n")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextmanager
def _mail_server() -> Iterator[int]:
    with _Server(("127.0.0.1", 0), _Sink) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def measure(place: Scene, count: int) -> list[tuple[str, float, float, str]]:
    """Return (what, ours, floor, unit): seconds against raw inserts of as many rows, and against mails alone."""
    people = [make_user(None, (), email=f"p{n}@example.com").id for n in range(PEOPLE)]
    with place.app.app_context(), _mail_server() as port:
        place.app.extensions["settings"] = replace(
            place.app.extensions["settings"],
            smtp=f"smtp://127.0.0.1:{port}?from=a@example.com",
            base_url="http://x",
        )
        _join(place, people)
        raw = _raw(place, count)
        _write(place, people, count)
        begun = time.perf_counter()
        took = take_up.take_up()
        taken = time.perf_counter() - begun
        mails = _leave(min(count, MAILED))
        begun = time.perf_counter()
        sent = sending.send_due()
        mailed = time.perf_counter() - begun
        assert (took, sent) == (count, mails), (took, sent)
        bare = _bare(mails)
    return [
        (f"{count:,} notices taken up / raw inserts", taken, raw, "s"),
        (f"{mails:,} of them mailed / as many bare mails", mailed, bare, "s"),
    ]


def _join(place: Scene, people: list[int]) -> None:
    from core.users.models import Position, UserPosition

    with system_scope("bench") as work, transaction():
        held = Position(code="bench_reader", title="x", permissions=[])
        work.add(held)
        work.flush()
        since = datetime(2020, 1, 1, tzinfo=UTC).date()
        work.add_all(
            UserPosition(user_id=one, unit_id=place.unit_id, position_id=held.id, valid_from=since)
            for one in people
        )


def _row(place: Scene, user: int) -> dict[str, object]:
    return {"user_id": user, "unit_id": place.unit_id, "kind": "assigned", "text": "x" * 40, "at": clock.now()}


def _write(place: Scene, people: list[int], count: int) -> None:
    with system_scope("bench") as work, transaction():
        work.execute(insert(Notice), [_row(place, people[n % PEOPLE]) for n in range(count)])


def _raw(place: Scene, count: int) -> float:
    """Insert as many deliveries by the driver, one transaction for each 500, then drop them."""
    table = Delivery.__table__
    now = clock.now().replace(tzinfo=None) if place.kind == "sqlite" else clock.now()
    names = [c.name for c in table.columns if c.name not in ("id", "notice_id", "user_id", "robot_id", "sent_at")]
    words = {"unit_id": place.unit_id, "tries": 0, "created_at": now, "next_try_at": now}
    statement = text(f"INSERT INTO core_delivery ({', '.join(names)}) VALUES ({', '.join(':' + n for n in names)})")
    begun = time.perf_counter()
    for start in range(0, count, 500):
        rows = [
            dict.fromkeys(names, "x") | words | {"key": f"raw{n}"} for n in range(start, min(count, start + 500))
        ]
        if place.kind == "sqlite":
            rows = [row | {"created_at": str(now), "next_try_at": str(now)} for row in rows]
        with db.engine.begin() as line:
            line.execute(statement, rows)
    took = time.perf_counter() - begun
    with db.engine.begin() as line:
        line.execute(text("DELETE FROM core_delivery"))
    session().rollback()
    return took


def _leave(mails: int) -> int:
    """Drop all deliveries but the first so many."""
    with db.engine.begin() as line:
        line.execute(
            text("DELETE FROM core_delivery WHERE id NOT IN (SELECT id FROM core_delivery ORDER BY id LIMIT :n)"),
            {"n": mails},
        )
    return mails


def _bare(count: int) -> float:
    """Send as many mails of that size without looking at anything."""
    begun = time.perf_counter()
    with smtp.connection() as post:
        for _turn in range(count):
            post.send("a@example.com", "Assigned to you", "x" * 300, "x" * 900)
    return time.perf_counter() - begun
