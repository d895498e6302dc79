"""Custody of tools: a person's balance and card, the ledger's first and deep pages, beside raw SQL over the same rows.

A hundred thousand tools have changed hands ten times each; half of them lie in the store, half are with people. The
same is measured at a hundredth of the size first: what is flat stays flat.
"""
# SQL composed from constants only; it reads best unbroken.
# ruff: noqa: E501

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import insert, text

from core.kernel.database import db, system_scope, transaction
from core.kernel.ids import uuid7
from core.records.models import Record
from core.units.models import Unit
from core.units.switches import enable
from core.users.models import User
from plugins.tools import custody, values
from plugins.tools.models import Custody, Kind, Party, Tool

from .lists import Row
from .scene import Scene, signed_in

SPELLS, SOME = 10, 5000
EACH = 10  # tools that every person holds now
BEGUN = datetime(2024, 1, 1, 2, tzinfo=UTC)
LEDGER, TOOLS, CARD = "/admin/tools/ledger/", "/admin/tools/tools/", "/p/tools/person/{}"
DEEP = 100
FIRST_USER, FIRST_PARTY, STORE = 1_000_000, 1_000_000, 2_000_000


def measure(place: Scene, tools: int) -> Iterator[Row]:
    """Fill the unit and measure; rows are (what, ours, raw SQL, unit)."""
    fill(place, tools)
    client = signed_in(place)
    name = f"{tools * SPELLS:,} spells"
    raw_balance = best(
        place, lambda: _raw(place, "SELECT count(*) FROM tools_custody WHERE party_id = :party AND ends_at IS NULL")
    )
    yield f"a person's balance, {name}", best(place, lambda: _balance(place)), raw_balance, "ms"
    raw_card = best(place, lambda: _raw(place, _CARD))
    yield f"a person's card, {name}", best(place, lambda: page(client, CARD.format(FIRST_USER))), raw_card, "ms"
    raw_first = best(place, lambda: _raw(place, _LEDGER))
    yield f"first page of the ledger, {name}", best(place, lambda: page(client, LEDGER)), raw_first, "ms"
    raw_tools = best(place, lambda: _raw(place, _TOOLS))
    yield f"first page of tools, {name}", best(place, lambda: page(client, TOOLS)), raw_tools, "ms"
    held = f"{TOOLS}?f_holder=师傅{tools // 2 // EACH - 1}"
    yield f"tools of one person, {name}", best(place, lambda: page(client, held)), raw_card, "ms"
    deep, pages = _deep(client)
    yield f"page {pages} of the ledger, {name}", best(place, lambda: page(client, deep)), raw_first, "ms"


_CARD = (
    "SELECT t.code, t.name, k.name, r.state, t.due_at FROM tools_custody c JOIN tools_tool t ON t.id = c.tool_id JOIN tools_kind k ON k.id = t.kind_id "
    "JOIN core_record r ON r.id = t.id WHERE c.party_id = :party AND c.ends_at IS NULL ORDER BY c.tool_id"
)
_TOOLS = (
    "SELECT t.code, t.name, k.name, r.state, p.name, t.due_at FROM tools_tool t JOIN tools_kind k ON k.id = t.kind_id JOIN core_record r ON r.id = t.id "
    "JOIN tools_custody c ON c.tool_id = t.id AND c.ends_at IS NULL JOIN tools_party p ON p.id = c.party_id WHERE t.unit_id = :unit ORDER BY t.id DESC LIMIT 51"
)
_LEDGER = (
    "SELECT c.id, t.code, t.name, p.name, c.starts_at, c.ends_at FROM tools_custody c JOIN tools_tool t ON t.id = c.tool_id JOIN tools_party p ON p.id = c.party_id "
    "WHERE c.unit_id = :unit ORDER BY c.id DESC LIMIT 51"
)


def best(place: Scene, call: Callable[[], object], rounds: int = 9) -> float:
    """Return the least of some rounds in milliseconds: processor time on SQLite, which works in this process."""
    now = time.process_time if place.kind == "sqlite" else time.perf_counter
    call()
    call()
    times = []
    for _ in range(rounds):
        start = now()
        call()
        times.append(now() - start)
    return min(times) * 1000


def _raw(place: Scene, statement: str) -> None:
    with place.app.app_context(), db.engine.connect() as conn:
        found = text(statement)
        given = {
            name: value
            for name, value in (("party", FIRST_PARTY), ("unit", place.unit_id))
            if f":{name}" in statement
        }
        conn.execute(found, given).all()


def _balance(place: Scene) -> None:
    with place.app.app_context(), system_scope("benchmark", read_only=True):
        if not custody.balance(FIRST_PARTY):
            raise RuntimeError("nobody holds anything")


def page(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    if answer.status_code != 200:
        raise RuntimeError(f"{path}: {answer.status_code}")


def _deep(client: FlaskClient) -> tuple[str, int]:
    """Walk on by the page's own next link; return the last address and its number."""
    path = LEDGER
    for number in range(2, DEEP + 1):
        found = re.search(r'rel="next" href="([^"]+)"', client.get(path).get_data(as_text=True))
        if not found:
            return path, number - 1
        path = LEDGER + found.group(1).replace("&amp;", "&")
    return path, DEEP


def fill(place: Scene, tools: int) -> None:
    """Put people, a store, tools and their spells of custody into the unit."""
    crew = tools // 2 // EACH
    with place.app.app_context(), system_scope("benchmark") as work, transaction():
        enable(work.get_one(Unit, place.unit_id), "tools", with_dependencies=True)
        work.flush()
        mine = {"unit_id": place.unit_id}
        users = [
            {"id": FIRST_USER + n, "username": f"holder{n}", "name": f"师傅{n}", "password_hash": "x"}
            for n in range(crew)
        ]
        work.execute(insert(User), users)
        person = {**mine, "kind": values.PERSON}
        people = [
            {**person, "id": FIRST_PARTY + n, "user_id": FIRST_USER + n, "name": f"师傅{n} #{FIRST_USER + n}"}
            for n in range(crew)
        ]
        work.execute(
            insert(Party), [*people, {**mine, "kind": values.STORE, "id": STORE, "user_id": None, "name": "总库"}]
        )
        work.add(Kind(id=1_000_000, unit_id=place.unit_id, code="BENCH", name="测试工具", price=Decimal(100)))
        work.flush()
        for first in range(1, tools + 1, SOME):
            _fill_tools(work, place.unit_id, range(first, min(first + SOME, tools + 1)), crew)
    if place.kind == "postgresql":
        with (
            place.app.app_context(),
            db.engine.connect() as conn,
            conn.execution_options(isolation_level="AUTOCOMMIT"),
        ):
            conn.execute(text("VACUUM ANALYZE"))


def _fill_tools(work: Any, unit_id: int, numbers: range, crew: int) -> None:
    mine = {"unit_id": unit_id}
    head = {**mine, "type": "tools_tool", "title": "测试工具", "category": "open", "fact_seq": 1, "priority": 3}
    head |= {"received_at": BEGUN, "entered_at": BEGUN, "owner_position": "", "resume_state": ""}
    tool = {**mine, "kind_id": 1_000_000, "name": "测试工具", "price": Decimal(100), "custody_seq": SPELLS}
    work.execute(
        insert(Record),
        [
            {
                **head,
                "id": n,
                "uid": uuid7(),
                "number": f"GJ{n:06}",
                "state": values.ISSUED if _last(n) else values.IN_STORE,
            }
            for n in numbers
        ],
    )
    work.execute(insert(Tool), [{**tool, "id": n, "code": f"GJ{n:06}"} for n in numbers])
    work.execute(insert(Custody), [{**mine, **one} for n in numbers for one in _spells(n, crew)])


def _last(number: int) -> bool:
    """Tell whether a tool is with a person now."""
    return number % 2 == 0


def _spells(number: int, crew: int) -> Iterator[dict[str, Any]]:
    """Yield a tool's spells: the store and people in turn, the last one open."""
    for seq in range(1, SPELLS + 1):
        here = (SPELLS - seq) % 2 == (0 if _last(number) else 1)
        holder = FIRST_PARTY + (number * 7 + seq // 2) % crew if here else STORE
        if seq == SPELLS and _last(number):
            holder = FIRST_PARTY + number // 2 % crew
        starts = BEGUN + timedelta(days=30 * seq, minutes=number % 1000)
        yield {
            "tool_id": number,
            "seq": seq,
            "party_id": holder,
            "starts_at": starts,
            "ends_at": starts + timedelta(days=30) if seq < SPELLS else None,
            "how": values.ISSUE if here else values.RETURN,
        }
