"""The JSON API over HTTP against the floor: a case made with one client and with eight, fifty cases listed."""

from __future__ import annotations

import http.client
import json
import os
import uuid

from core.kernel.database import db, transaction
from core.users import tokens
from core.users.models import User
from tests import helpers

from . import seed
from .floor import create_floor
from .lists import best
from .over_http import Send, _rate, floor_sender, served
from .scene import Scene

Row = tuple[str, float, float, str]


def _secret(place: Scene) -> str:
    from sqlalchemy import select

    with helpers.as_system() as work:
        user = work.scalars(select(User).where(User.username == place.username)).one()
    with helpers.in_scope(place.unit_id, (), user), transaction():
        return tokens.make_token({"name": "bench", "scopes": ["*"]})[1]


def api_sender(port: int, secret: str, customer: str) -> Send:
    """Return a function that registers one case for a customer on file, each under its own key."""
    conn = http.client.HTTPConnection("127.0.0.1", port)
    body = {
        "customer": customer,
        "contact_phone": "13812345678",
        "channel": "phone",
        "nature": "repair",
        "urgency": "normal",
        "product_text": "BG20X",
        "description": "循环水泵噪音大",
    }

    def send() -> None:
        headers = {
            "Authorization": f"Bearer {secret}",
            "Content-Type": "application/json",
            "Idempotency-Key": uuid.uuid4().hex,
        }
        conn.request("POST", "/api/v1/cases", json.dumps(body), headers)
        answer = conn.getresponse()
        text = answer.read()
        if answer.status != 201:
            raise RuntimeError(f"{answer.status}: {text[:500]!r}")

    return send


def getter(port: int, path: str, secret: str = "") -> Send:
    """Return a function that reads one address."""
    conn = http.client.HTTPConnection("127.0.0.1", port)

    def get() -> None:
        conn.request("GET", path, headers={"Authorization": f"Bearer {secret}"} if secret else {})
        answer = conn.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {text[:500]!r}")

    return get


def measure(place: Scene, count: int, cases: int) -> list[Row]:
    """Fill both schemas with ``cases``; return rows (what, ours, floor, unit)."""
    os.environ["SHOUHOU_API_LIMIT"] = "1000000 per minute"
    with place.app.app_context():
        create_floor(place.url)
        seed.fill_ours(place.app, place.unit_id, cases)
        with db.engine.begin() as conn:
            seed.fill_floor(conn, cases)
    secret = _secret(place)
    name = f"{cases:,} cases"
    found: dict[tuple[str, str], float] = {}
    for which in ("floor", "ours"):
        with served(place, which) as port:
            newest, deep, senders = _asked(which, port, secret, cases)
            found["list", which], found["deep", which] = best(newest), best(deep)
            found["one", which] = max(_rate(senders[:1], count) for _ in range(2))
            found["eight", which] = max(_rate(senders, count // 4) for _ in range(2))
    return [
        (f"API: 50 open cases, {name}", found["list", "ours"], found["list", "floor"], "ms"),
        (f"API: a page deep in them, {name}", found["deep", "ours"], found["deep", "floor"], "ms"),
        (f"API: create, one client, {name}", 1000 / found["one", "ours"], 1000 / found["one", "floor"], "ms"),
        (f"API: create, eight clients, {name}", found["eight", "ours"], found["eight", "floor"], "a second"),
    ]


def _asked(which: str, port: int, secret: str, cases: int) -> tuple[Send, Send, list[Send]]:
    """Return what to measure: the newest page, one deep in the list, eight senders of new cases."""
    if which == "floor":
        page = getter(port, "/cases")
        return page, page, [floor_sender(port, "") for _ in range(8)]
    customer, deep = _looked_up(port, secret, cases)
    newest = getter(port, "/api/v1/cases?category=open", secret)
    return newest, getter(port, deep, secret), [api_sender(port, secret, customer) for _ in range(8)]


def _looked_up(port: int, secret: str, cases: int) -> tuple[str, str]:
    """Return the uid of a customer, and the address of a page some way into the list."""
    conn = http.client.HTTPConnection("127.0.0.1", port)

    def read(path: str) -> dict[str, object]:
        conn.request("GET", path, headers={"Authorization": f"Bearer {secret}"})
        found: dict[str, object] = json.loads(conn.getresponse().read())
        return found

    items = read("/api/v1/customers?limit=1")["items"]
    path = "/api/v1/cases?category=open"
    for _ in range(min(50, cases // 10 // 50 - 1)):
        path = str(read(path)["next"])
    return items[0]["uid"], path  # type: ignore[index]
