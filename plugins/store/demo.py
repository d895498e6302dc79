"""What this plugin adds to the demonstration: two months of a store, from its first delivery to today.

Shelves and displays, suppliers good and bad, products with papers and public prices, deliveries inspected and one
expected, sales day by day, goods near and past their date, an objection, counts and showroom tasks.
Everything goes through the services, with the clock set back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select

from core.sdk import (
    AppError,
    Customer,
    Record,
    Unit,
    approvals,
    clock,
    effective,
    holds,
    inspections,
    local_day,
    may,
    perform,
    places,
    session,
)
from plugins.products import services as products

from . import (
    goods,
    inspecting,
    issues,
    objections,
    orders,
    plans,
    price_flow,
    prices,
    receiving,
    releases,
    removals,
    showroom,
    stock_counts,
    suppliers,
    values,
)
from .models import Lot, Objection, Product, ReceivingLine, Removal

BEGINS = 62  # days before today
DISPLAYS = (("A", "净水饮水区", 4), ("B", "滤芯耗材区", 4), ("C", "清洁护理区", 3))
# Name, contact, phone, what it supplies, points for quality to reputation, verdict.
SUPPLIERS = (
    ("杭州清源净水科技有限公司", "骆工", "0571-88210011", "净水器、滤芯", (92, 88, 80, 90, 91), values.QUALIFIED),
    ("宁波佳洁日化有限公司", "麻经理", "0574-87650022", "清洁剂、除垢剂", (84, 79, 88, 80, 82), values.QUALIFIED),
    (
        "苏州恒润食品原料有限公司",
        "桑小姐",
        "0512-66880033",
        "软水盐、饮用浓浆",
        (75, 70, 82, 71, 74),
        "conditional",
    ),
    ("临安旺旺杂货经营部", "", "", "杂货", (45, 52, 90, 40, 38), "refused"),
)
# Code, name, bar code, shelf life in days, order at, order up to, supplier, price, pieces of a delivery.
GOODS = (
    ("JS-600G", "厨下净水器 600G", "6901234567892", None, 3, 10, 0, "2399.00", 8),
    ("LX-PP10", "PP棉滤芯 10寸", "6902083881405", 730, 20, 80, 0, "29.90", 60),
    ("LX-RO75", "RO反渗透滤芯 75G", "6923450657713", 1095, 8, 30, 0, "268.00", 20),
    ("QJ-CG500", "水垢清除剂 500毫升", "6907992500010", 365, 15, 60, 1, "35.00", 40),
    ("QJ-XD5L", "除菌洗涤液 5升", "6907992500027", 180, 10, 40, 1, "59.00", 30),
    ("SP-RS10", "软水盐 10公斤", "6921168509256", 1095, 10, 40, 2, "48.00", 30),
    ("SP-NJ1L", "柠檬饮用浓浆 1升", "6921168511280", 45, 12, 36, 2, "22.00", 24),
    ("SP-QP300", "气泡水机 食品级糖浆 300毫升", "6922255451427", 28, 10, 30, 2, "18.50", 20),
)
# Days that are left today of what came with the second delivery: near its last day, and one past it.
LEFT = {"SP-NJ1L": 15, "SP-QP300": -1}
_PAPERS = (("licence", "生产许可证"), ("test", "检验报告"))


def fill(unit_id: int, play: Any, rng: Random) -> None:
    """Tell the story of a store; where the plugin is on and nothing is there yet."""
    if session().scalar(select(Product.id).where(Product.unit_id == unit_id).limit(1)) is None:
        _Story(unit_id, play, rng).tell()


class _Story:
    """One store: what it sells, from whom it buys, and what happened."""

    def __init__(self, unit_id: int, play: Any, rng: Random) -> None:
        self.unit_id, self.play, self.rng = unit_id, play, rng
        self.zone = ZoneInfo(session().get_one(Unit, unit_id).timezone)
        self.suppliers: list[int] = []
        self.shelves: list[int] = []

    @contextmanager
    def on(self, days: float, position: str = "store_head") -> Iterator[date]:
        """Let somebody of a position act so many days before the story ends, while the store is open."""
        with clock.frozen(self._moment(days)), self.play.acting(position):
            yield local_day(self.unit_id)

    def _moment(self, days: float) -> datetime:
        """Return the moment so many days ago: on a former day from half past eight on; what is left of a day is
        how far its twelve hours have gone.
        """
        if days < 1:
            return self.play.now - timedelta(days=days)
        opened = self.play.now.astimezone(self.zone).replace(hour=8, minute=30) - timedelta(days=int(days))
        return (opened + (days % 1) * timedelta(hours=12)).astimezone(UTC)

    def tell(self) -> None:
        """Tell it from the first day on."""
        self.furnish()
        self.find_suppliers()
        self.list_goods()
        self.set_prices(BEGINS - 4, "开业定价", [(one[2], one[7]) for one in GOODS])
        self.deliver(BEGINS - 5)
        for days in range(BEGINS - 6, 20, -2):
            self.sell(days)
        self.deliver(20)
        for days in range(19, 0, -1):
            self.sell(days)
            self.watch(days)
        self.watch(0.1)
        self.object_to()
        self.stop_a_batch()
        self.plan_and_order()
        self.show()
        self.count()
        self.propose_prices()

    # --- what there is -----------------------------------------------------------------------------

    def furnish(self) -> None:
        """Lay out halls and displays."""
        with self.on(BEGINS):
            for code, name, number in DISPLAYS:
                places.create_place(self.unit_id, {"kind": "area", "code": code, "name": name})
                for place in range(1, number + 1):
                    raw = {"kind": "shelf", "parent": code, "code": f"{code}{place:02d}", "name": f"{place}号展架"}
                    self.shelves.append(places.create_place(self.unit_id, raw).id)

    def find_suppliers(self) -> None:
        """Register suppliers and assess them; one is not good enough."""
        for name, contact, phone, supplies, points, verdict in SUPPLIERS:
            with self.on(BEGINS, "procurement") as today:
                raw = {"name": name, "contact": contact, "phone": phone, "supplies": supplies}
                licence = {
                    "licence": f"浙杭{self.rng.randint(10_000, 99_999)}号",
                    "licence_until": f"{today.year + 2}-06-30",
                }
                key = suppliers.register(self.unit_id, {**raw, **licence}).id
                scores = dict(zip((code for code, _label in values.CRITERIA), points, strict=True))
                perform(key, "assess", {**scores, "verdict": verdict, "note": "实地查看并比较样品"})
                self.suppliers.append(key)

    def list_goods(self) -> None:
        """Put products on file with their sheets and papers, and release them."""
        for code, name, barcode, shelf, at, to, supplier, _price, _pieces in GOODS:
            with self.on(BEGINS, "product_management"):
                model = self._model(code, name)
            with self.on(BEGINS, "procurement"):
                raw: dict[str, Any] = {
                    "model_id": str(model),
                    "barcode": barcode,
                    "shelf_days": str(shelf or ""),
                    "reorder_at": str(at),
                }
                more = {
                    "reorder_to": str(to),
                    "supplier_id": str(self.suppliers[supplier]),
                    "measure": "件",
                    "active": "1",
                }
                goods.save(self.unit_id, {**raw, **more})
            with self.on(BEGINS - 1, "product_management") as today:
                release = releases.register(self.unit_id, {"model": barcode}).id
                for kind, word in _PAPERS:
                    until = today + timedelta(days=80 if code == "QJ-CG500" and kind == "test" else 700)
                    paper = {"kind": kind, "number": f"{word[:2]}{code}-{today.year}", "issuer": "省质检院"}
                    releases.add_paper(release, {**paper, "valid_until": until.isoformat()})
                perform(release, "release", {"note": "文件齐全"})

    def _model(self, code: str, name: str) -> int:
        return int(products.save_model(self.unit_id, {"code": code, "name": name, "active": "1"}).id)

    # --- prices ------------------------------------------------------------------------------------

    def set_prices(self, days: float, reason: str, rows: Any) -> int:
        """Propose prices and let the store's head agree."""
        lines = [{"product": code, "price": price} for code, price in rows]
        with self.on(days, "sales"):
            record = prices.register(self.unit_id, {"reason": reason, "lines": lines})
        self.agree(record, price_flow.AUTHORITY, "approve", days)
        with self.on(days, "sales"):
            perform(record.id, "approve", {})
        return record.id

    def ask(self, record: Record, clause: str, step: str, days: float, position: str) -> int:
        """Ask for what a clause wants agreed; 0 where it does not hold."""
        with self.on(days, position):
            if not holds(self.unit_id, clause):
                return 0
            asked = approvals.ask(
                self.unit_id,
                clause=clause,
                subject=f"{record.type}.{step}:{record.id}:{clause}",
                title={"zh": f"请批准 {record.number} {record.title}", "en": f"Please agree: {record.number}"},
                position=str(effective(self.unit_id, clause).values["position"]),
                record=record,
            )
            return asked.id

    def agree(self, record: Record, clause: str, step: str, days: float, position: str = "sales") -> None:
        """Ask, and let whoever is asked agree."""
        key = self.ask(record, clause, step, days, position)
        if key:
            with self.on(days):
                approvals.agree(key, "同意")

    def propose_prices(self) -> None:
        """A reduction that is public, another one that waits for the store's head."""
        self.set_prices(9, "临期促销", [("6921168511280", "17.60")])
        with self.on(0.1, "sales") as today:
            raw = {"reason": "厂家调价", "starts_on": (today + timedelta(days=7)).isoformat()}
            lines = [
                {"product": "6901234567892", "price": "2299.00"},
                {"product": "6923450657713", "price": "279.00"},
            ]
            record = prices.register(self.unit_id, {**raw, "lines": lines})
        self.ask(record, price_flow.AUTHORITY, "approve", 0.1, "sales")

    # --- goods come in -------------------------------------------------------------------------------

    def deliver(self, days: int) -> None:
        """Let each supplier deliver; the goods are inspected and put on sale, what was refused goes back."""
        for place, supplier in enumerate(self.suppliers[:3]):
            mine = [one for one in GOODS if one[6] == place]
            with self.on(days, "warehouse") as today:
                lines = [self._line(one, today, days) for one in mine]
                raw = {"supplier": str(supplier), "delivery_note": f"SH{today:%y%m%d}-{place + 1}", "arrived": "1"}
                record = receiving.register(self.unit_id, {**raw, "lines": lines})
                if place == 1:
                    self._refuse_some(record.id)
                perform(record.id, "check", {"as_expected": True})
                perform(record.id, "shelve", {})
        self._send_back(days - 1)
        self._lay_out()

    def _line(self, one: tuple[Any, ...], today: date, days: int) -> dict[str, Any]:
        code, _name, barcode, shelf, *_rest, pieces = one
        left = LEFT.get(code) if days < BEGINS / 2 else None
        old = 3 if shelf is None or left is None else shelf - left - days
        made = today - timedelta(days=old)
        line = {"product": barcode, "expected": str(pieces), "batch": f"{code[3:5]}{made:%y%m%d}"}
        return {**line, "made_on": made.isoformat(), "shelf_days": str(shelf or "")} if shelf else line

    def _refuse_some(self, record_id: int) -> None:
        line = session().scalars(select(ReceivingLine).where(ReceivingLine.receiving_id == record_id)).first()
        if line is not None:
            raw = {"id": line.id, "counted": line.expected, "refused": 2, "fault": "瓶盖渗漏"}
            inspecting.inspect(record_id, [raw])

    def _send_back(self, days: int) -> None:
        """Decide on what was refused: the supplier takes it back."""
        wanted = select(Objection.id).join(Record, Record.id == Objection.id)
        mine = wanted.where(Objection.unit_id == self.unit_id, Record.state == values.RAISED)
        for key in session().scalars(mine).all():
            with self.on(days, "quality_inspection"):
                perform(key, "decide", {"decision": "return", "reason": "瓶盖密封不良，整批抽检其余正常"})
            with self.on(days - 0.5, "warehouse"):
                perform(key, "settle", {"outcome": "随供应商送货车退回，退货单已签收"})

    def _lay_out(self) -> None:
        """Put every batch on a display."""
        from . import lots

        with self.on(1, "warehouse"):
            mine = select(Lot.id).where(Lot.unit_id == self.unit_id, Lot.place_id.is_(None)).order_by(Lot.id)
            for place, key in enumerate(session().scalars(mine).all()):
                lots.place_at(key, self.shelves[place % len(self.shelves)])

    # --- day by day ----------------------------------------------------------------------------------

    def sell(self, days: int) -> None:
        """Sell a few things, to buyers on file where there are any."""
        buyers = list(session().scalars(select(Customer.id).where(Customer.unit_id == self.unit_id).limit(40)))
        with self.on(days + self.rng.random(), "sales"):
            for _ in range(self.rng.randint(1, 3)):
                one = self.rng.choice(GOODS)
                raw: dict[str, Any] = {
                    "kind": "sale",
                    "lines": [{"code": one[2], "pieces": self.rng.randint(1, 2 if one[3] else 1)}],
                }
                raw["receipt"] = f"{days:03d}{self.rng.randint(100, 999)}"
                if buyers and self.rng.random() < 0.7:
                    raw["customer_id"] = self.rng.choice(buyers)
                try:
                    with session().begin_nested():  # a refusal leaves nothing of it behind
                        issues.register(self.unit_id, raw)
                except AppError:
                    continue  # sold out, or past its date: it stays unsold

    def watch(self, days: float) -> None:
        """Let the shelf-life watch of a morning find what is near and past its date; most of it is removed."""
        with self.on(days):
            removals.watch(self.unit_id)
        with self.on(days, "warehouse") as today:
            open_ones = select(Removal.id).join(Lot, Lot.id == Removal.lot_id)
            # What ran out these days still waits for somebody.
            mine = open_ones.where(Removal.unit_id == self.unit_id, Removal.ended_at.is_(None))
            for key in session().scalars(mine.where(Lot.last_day < today + timedelta(days=days - 2))).all():
                self._remove(key)

    def _remove(self, key: int) -> None:
        try:
            with session().begin_nested():
                perform(key, "remove", {"removed_to": "scrap"})
        except AppError:
            return

    def object_to(self) -> None:
        """A customer brings faulty filters back: set apart, to be decided."""
        with self.on(2, "sales"):
            mine = select(Lot.id).join(Product, Product.model_id == Lot.model_id)
            lot = session().scalar(mine.where(Product.barcode == "6923450657713", Lot.stock > 3).limit(1))
            if lot is not None:
                raw = {"lot": lot, "quantity": 2, "found_at": "customer", "problem": "密封圈变形，装上后渗水"}
                objections.register(self.unit_id, raw)

    def stop_a_batch(self) -> None:
        """The maker warns of a batch: it is stopped, what is here is to be sealed, who bought some is known."""
        with self.on(0.3, "quality_inspection"):
            mine = select(Lot).join(Product, Product.model_id == Lot.model_id)
            wanted = mine.where(Lot.unit_id == self.unit_id, Product.barcode == "6907992500027", Lot.stock > 0)
            lot = session().scalars(wanted.order_by(Lot.id).limit(1)).first()
            if lot is not None and lot.batch_id is not None:
                batch = products.lock_batches([lot.batch_id])[lot.batch_id]
                products.hold_batch(batch, "厂家通知：本批次浓度检测不合格，停止销售")

    def plan_and_order(self) -> None:
        """Plan the coming month from sales and stock, order from a supplier, expect the delivery."""
        with self.on(4, "procurement"):
            plans.register(self.unit_id, {"month": plans.next_month(self.unit_id)})
        with self.on(3, "procurement") as today:
            lines = [{"product": "6902083881405", "quantity": 40, "price": "17.50"}]
            raw = {"supplier": str(self.suppliers[0]), "standard_met": "1", "lines": lines}
            order = orders.register(self.unit_id, {**raw, "expected_on": (today + timedelta(days=5)).isoformat()})
            perform(order.id, "order", {})
            receiving.register(
                self.unit_id, {"order": order.number, "expected_on": (today + timedelta(days=5)).isoformat()}
            )

    # --- displays, counts ------------------------------------------------------------------------------

    def show(self) -> None:
        """Showroom tasks done and open, a display inspected with a fault."""
        with self.on(12, "store_head"):
            done = showroom.register(
                self.unit_id, {"kind": "install", "text": "安装厨下净水器样机", "place_id": self.shelves[0]}
            ).id
            perform(done, "finish", {"result": "已安装通水，运行正常"})
        with self.on(0.5, "store_head") as today:
            raw = {"kind": "dismantle", "text": "拆下旧款展板", "place_id": self.shelves[4]}
            showroom.register(self.unit_id, {**raw, "due_on": (today + timedelta(days=2)).isoformat()})
            checklist = inspections.checklist_of(self.unit_id, showroom.DISPLAY_LIST)
            if checklist is None or not may(inspections.FILL, self.unit_id):
                return
            key = inspections.open_inspection(self.unit_id, checklist, place_id=self.shelves[1]).id
            self._inspect(key)

    def _inspect(self, key: int) -> None:
        from .checklists import DISPLAY_ITEMS

        inspections.begin(key)
        answers: Mapping[str, str] = {
            one["key"]: "fail" if one["key"] == "labels" else "pass"
            for one in DISPLAY_ITEMS
            if one["kind"] == "check"
        }
        inspections.save(key, {**answers, "labels.note": "新到滤芯没有价签"})
        inspections.finish(key)

    def count(self) -> None:
        """A shelf counted with a difference that waits for the store's head; another one under way."""
        with self.on(1, "warehouse"):
            record = stock_counts.begin(self.unit_id, {"place_id": self.shelves[1]})
            for place, (line, lot, _name) in enumerate(stock_counts.lines_of(record.id)):
                stock_counts.count_line(
                    record.id, line.id, max(0, lot.stock - (1 if place == 0 else 0)), "外包装破损，未登记"
                )
            perform(record.id, "sign", {})
        self.ask(record, "MD-4", "close", 1, "warehouse")
        with self.on(0.2, "warehouse"):
            stock_counts.begin(self.unit_id, {"place_id": self.shelves[5]})
