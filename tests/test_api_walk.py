"""Every operation of the API, asked by tokens that have no business there. The walk is made from the operations."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.api import EXTENSION
from core.api.operations import Operation
from core.customers.models import Customer
from core.inspections.models import Checklist, Finding, Inspection
from core.kernel.clock import now
from core.places.models import Place
from core.records.models import Record
from core.rules.charge_models import Charge
from core.users.models import ApiToken
from plugins.agents.models import Agent, Contract, OldPart, Payment, Seller, Statement, StatementLine
from plugins.hotel.models import (
    Cleaning,
    Complaint,
    Facility,
    Food,
    HotelPlace,
    Meeting,
    Order,
    Processing,
    RoomEvent,
    Sample,
    Shift,
    Stay,
)
from plugins.products.models import Item, Model
from plugins.store import models as store
from plugins.tools import models as tools
from plugins.warranty.models import Invoice, PartPrice, Quote, Receipt, Tariff, Term
from tests.api_scene import API, Asker, token_of
from tests.helpers import as_system
from tests.test_every_route import MARK, Scene, _make_row, _rows_of, _set, changed, writes

BAD = ["1" + "0" * 30, "abc", "-1", "%00", "..%2f..", "0", "9" * 4000, "01a20164-dd7a-7069-8b70-afb14172b13"]
# These are about the token itself, whatever its unit.
OWN = {"get_me", "list_units"}
USUAL = {"code": "X", "name": "X"}
# The collections of plugins whose rows no screen of a model brings into the scene.
COLLECTIONS = {
    "terms": Term,
    "cover": Item,
    "tariffs": Tariff,
    "part-prices": PartPrice,
    "places": Place,
    "checklists": Checklist,
    "inspections": Inspection,
    "findings": Finding,
    "quotes": Quote,
    "receipts": Receipt,
    "invoices": Invoice,
    "contracts": Contract,
    "payments": Payment,
    "sellers": Seller,
    "statement-lines": StatementLine,
    "statements": Statement,
    "old-parts": OldPart,
    "agents/agents": Agent,
    "hotel/complaints": Complaint,
    "hotel/orders": Order,
    "hotel/rooms": HotelPlace,
    "hotel/room-events": RoomEvent,
    "hotel/stays": Stay,
    "hotel/cleanings": Cleaning,
    "hotel/facilities": Facility,
    "hotel/foods": Food,
    "hotel/meetings": Meeting,
    "hotel/processing": Processing,
    "hotel/samples": Sample,
    "hotel/shifts": Shift,
    "store/assessments": store.Assessment,
    "store/count-lines": store.StockCountLine,
    "store/counts": store.StockCount,
    "store/deliveries": store.Receiving,
    "store/check": store.Lot,
    "store/issues": store.Issue,
    "store/lots": store.Lot,
    "store/movements": store.Movement,
    "store/objections": store.Objection,
    "store/orders": store.PurchaseOrder,
    "store/plans": store.Plan,
    "store/price-changes": store.PriceChange,
    "store/prices": store.Price,
    "store/products": store.Product,
    "store/releases": store.Release,
    "store/removals": store.Removal,
    "store/showroom": store.Showroom,
    "store/suppliers": store.Supplier,
    "tools/applications": tools.Application,
    "tools/care": tools.Service,
    "tools/clearances": tools.Clearance,
    "tools/count-lines": tools.CountLine,
    "tools/counts": tools.Count,
    "tools/deductions": tools.Deduction,
    "tools/handovers": tools.Handover,
    "tools/handover-answers": tools.Handover,
    "tools/holders": tools.Party,
    "tools/incidents": tools.Incident,
    "tools/kinds": tools.Kind,
    "tools/ledger": tools.Custody,
    "tools/purchases": tools.Purchase,
    "tools/reminders": tools.Reminder,
    "tools/stock": tools.Stock,
    "tools/stock-moves": tools.StockMove,
    "tools/tools": tools.Tool,
}


def one_of(work: Any, model: Any, unit: Any) -> int:
    found = work.scalars(_rows_of(model, unit)).first()
    return int((found or _make_row(work, model, unit)).id)


@pytest.fixture
def scene(app: Flask) -> Scene:
    return _set(app)


class Walk:
    """Addresses of one unit's things, for every operation."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        with as_system() as work:
            self.record = str(work.scalars(select(Record.uid).where(Record.type == "case")).one())
            self.customer = str(work.scalars(select(Customer.uid).order_by(Customer.id)).first())
            charge = Charge(
                unit_id=scene.unit.id,
                record_id=work.scalars(select(Record.id).where(Record.type == "case")).one(),
                clause="R01-4.2",
                source="test",
                code="test",
                label=MARK,
                payer="customer",
                amount=1,
                created_at=now(),
            )
            work.add(charge)
            work.flush()
            ids = {
                name: work.scalars(select(model.id)).first() for name, model in (("models", Model), ("items", Item))
            }
            more = {name: one_of(work, model, scene.unit) for name, model in COLLECTIONS.items()}
            self.ids = {**ids, **more, "charges": charge.id}
        self.ids |= {"attachments": scene.parts["attachment_id"], "approvals": scene.parts["approval_id"]}

    def operations(self) -> list[Operation]:
        return list(self.scene.app.extensions[EXTENSION])

    def address(self, one: Operation, bad: str = "") -> str:
        def part(found: re.Match[str]) -> str:
            name = found.group(1)
            if name in one.parts:
                return one.parts[name][0]
            if bad:
                return bad
            if name == "uid":
                return self.customer if one.path.startswith("/customers") else self.record
            if name == "code":
                return self.scene.unit.code
            return str(next((v for k, v in self.ids.items() if f"/{k}/" in one.path), "R01-4.2"))

        return re.sub(r"\{(\w+)\}", part, one.path)

    def ask(self, asker: Asker, one: Operation, bad: str = "") -> tuple[int, str]:
        path = self.address(one, bad)
        if one.upload:
            sent: dict[str, Any] = {"data": {"file": (io.BytesIO("纸\n".encode()), "纸.txt")}}
        else:
            sent = {"json": dict(one.body.example or USUAL)} if one.body else {}
        with asker.client.open(API + path, method=one.method, headers=asker.headers, **sent) as answer:
            return answer.status_code, answer.get_data(as_text=True)


def holds(text: str) -> bool:
    """Tell whether an answer has something of the other unit's."""
    return MARK in text or MARK.encode("unicode_escape").decode() in text or '"AAA"' in text


def test_a_token_of_another_unit_finds_nothing(scene: Scene) -> None:
    walk, secret = Walk(scene), token_of(scene.stranger)
    before, wrong = scene.belongings(), []
    for asker in Asker(scene.app, secret), Asker(scene.app, secret, **{"X-Unit": "AAA"}):
        for one in walk.operations():
            status, text = walk.ask(asker, one)
            allowed = (200, 201, 409, 422) if "{" not in one.path or one.name == "get_clause" else (403, 404)
            if "X-Unit" in asker.headers:
                allowed = (404,)
            if status not in allowed or holds(text):
                wrong.append((one.name, status, text[:200]))
    assert wrong == []
    assert changed(before, scene) == set()


def test_a_token_does_no_more_than_its_scopes(scene: Scene) -> None:
    walk = Walk(scene)
    before, wrong = scene.belongings(), []
    nothing = Asker(scene.app, token_of(scene.boss, "rules.read", scopes=[]))
    for one in walk.operations():
        status, text = walk.ask(nothing, one)
        if one.scope and (status != 403 or holds(text)):
            wrong.append((one.name, status))
    reading = Asker(scene.app, token_of(scene.boss, "*.read"))
    reached = set()
    for one in walk.operations():
        status, text = walk.ask(reading, one)
        if (one.writes and status != 403) or (not one.writes and status != 200):
            wrong.append((one.name, status, text[:200]))
        if holds(text):
            reached.add(one.name)
    assert wrong == []
    assert changed(before, scene) == set()
    assert len(reached) > 12, reached


def test_without_a_permission_a_wide_token_sees_nothing(scene: Scene) -> None:
    walk, asker = Walk(scene), Asker(scene.app, token_of(scene.nobody))
    before, wrong = scene.belongings(), []
    for one in walk.operations():
        status, text = walk.ask(asker, one)
        empty = one.listed and status == 200 and '"items": []' in text
        if one.name not in OWN | {"get_unit"} and not (empty or status in (403, 404)):
            wrong.append((one.name, status, text[:200]))
    assert wrong == []
    assert changed(before, scene) == set()


def _spoiled(scene: Scene) -> Iterator[tuple[str, str]]:
    yield "unknown", "sh_" + "x" * 43
    yield "no token of ours", "Bearer"
    yield "expired", token_of(scene.boss, expires_at=now())
    yield "revoked", token_of(scene.boss, revoked_at=now())
    yield "of somebody who left", token_of(scene.nobody)


def test_tokens_that_do_not_hold_open_nothing(scene: Scene) -> None:
    walk = Walk(scene)
    spoiled = list(_spoiled(scene))
    with as_system() as work:
        work.merge(scene.nobody).active = False
    wrong = []
    for said, secret in spoiled:
        for one in walk.operations() if said == "unknown" else walk.operations()[:4]:
            with writes() as written:
                status, text = walk.ask(Asker(scene.app, secret), one)
            if status != 401 or written or holds(text):
                wrong.append((said, one.name, status, written))
    assert wrong == []
    with as_system() as work:
        assert not [row for row in work.scalars(select(ApiToken)) if row.token_hash.startswith("sh_")]


def test_malformed_ids_are_not_found(scene: Scene) -> None:
    walk, asker, wrong = Walk(scene), Asker(scene.app, token_of(scene.boss)), []
    for bad in BAD if scene.on_sqlite() else BAD[:3]:
        for one in walk.operations():
            if "{" in one.path:
                status, _text = walk.ask(asker, one, bad)
                if status not in (404, 405):
                    wrong.append((one.name, bad[:20], status))
    assert wrong == []
