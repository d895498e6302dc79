"""Lists and search at growing sizes: through our pages, through the floor's page, and as raw SQL."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from flask.testing import FlaskClient
from sqlalchemy import select, text

from core.customers.models import Customer
from core.kernel import search
from core.kernel.database import db, system_scope

from . import seed
from .floor import create_floor
from .scene import Scene, signed_in

Row = tuple[str, float, float, str]
OPEN = "/admin/cases/?quick=open"


def best(call: Callable[[], object], rounds: int = 9) -> float:
    """Return the fastest of some rounds, in milliseconds; the first two warm up."""
    call()
    call()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times) * 1000


def measure(place: Scene, cases: int) -> list[Row]:
    """Fill both schemas with ``cases`` and measure; rows are (what, ours, floor, unit)."""
    floor = create_floor(place.url).test_client()
    seed.fill_ours(place.app, place.unit_id, cases)
    with place.app.app_context(), db.engine.begin() as conn:
        seed.fill_floor(conn, cases)
    ours = signed_in(place)
    name = f"{cases:,} cases"
    first = best(_page(floor, "/cases"))
    deep, pages = _deep(ours, min(100, cases // 10 // 50 - 1))
    rows = [
        (f"newest 50 open, {name}", best(_page(ours, OPEN)), first, "ms"),
        (f"page {pages} of open, {name}", best(_page(ours, deep)), first, "ms"),
    ]
    for what, query in (
        ("name", seed.customer_name(cases // 20)),
        ("two characters", seed.customer_name(cases // 20)[:2]),
        ("part of a phone", seed.customer_phone(cases // 20)[3:8]),
    ):
        page = best(_page(ours, f"/admin/customers/?search={query}"))
        rows.append((f"page for {what}, {name}", page, best(_page(floor, f"/customers?q={query}")), "ms"))
        rows.append((f"look-up of {what}, {name}", best(_look_up(place, query)), best(_raw(place, query)), "ms"))
    return rows


def _page(client: FlaskClient, path: str) -> Callable[[], object]:
    def get() -> None:
        answer = client.get(path)
        if answer.status_code != 200:
            raise RuntimeError(f"{path}: {answer.status_code}")

    return get


def _deep(client: FlaskClient, pages: int) -> tuple[str, int]:
    """Walk on by the page's own next link, as a reader would; return the last address and its number."""
    path = OPEN
    for number in range(2, pages + 1):
        page = client.get(path).get_data(as_text=True)
        found = re.search(r'rel="next" href="([^"]+)"', page)
        if not found:
            return path, number - 1
        path = "/admin/cases/" + found.group(1).replace("&amp;", "&")
    return path, pages


def _look_up(place: Scene, query: str) -> Callable[[], object]:
    """Our look-up without HTTP: the index and the rows it found."""

    def run() -> None:
        with place.app.app_context(), system_scope("benchmark", read_only=True) as work:
            found = search.search(frozenset({place.unit_id}), "customer", query, 50)
            ids = [one.entity_id for one in found]
            work.execute(select(Customer.id, Customer.number, Customer.name).where(Customer.id.in_(ids))).all()

    return run


def _raw(place: Scene, query: str) -> Callable[[], object]:
    """The floor of a look-up: raw SQL over the least table, names and phones by plain LIKE."""

    def run() -> None:
        with place.app.app_context(), db.engine.connect() as conn:
            conn.execute(
                text(
                    "SELECT id, number, name, phone FROM floor_customer WHERE name LIKE :q OR phone LIKE :q "
                    "ORDER BY id DESC LIMIT 50"
                ),
                {"q": f"%{query}%"},
            ).all()

    return run
