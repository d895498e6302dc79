"""The hotel of the demonstration: a house of four floors, a week of guests, and what came of it.

Rooms stand in every state, orders and complaints at every stage; the kitchen, meetings, shifts and facilities have
their records. Everything goes through the services, with the clock set back. Two people have a PIN (``PIN``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select

from core.sdk import Record, accounts, clock, current_scope, inspections, perform, pins, places, session, unit_facts

from . import (
    cleaning,
    cleaning_list,
    complaints,
    days,
    facilities,
    food,
    guest,
    meetings,
    orders,
    processing,
    room_file,
    samples,
    shifts,
    stays,
    values,
)
from .models import HotelPlace, Stay

PIN = "2580"
DAYS = 7
TRIES = 50  # who is on duty at the desk is drawn; the taker is somebody else
DESK, MANAGER, ENGINEER = "hotel_front_desk", "dept_manager", "hotel_engineering"
CLEANER, COOK = "hotel_housekeeping", "hotel_catering"
# Floors with their rooms: first number, how many, type, beds.
_FLOORS = (
    ("2", "2层", 201, 8, "标准双床房", 2),
    ("3", "3层", 301, 8, "大床房", 1),
    ("5", "5层", 501, 8, "湖景大床房", 1),
    ("6", "6层", 601, 4, "湖景套房", 2),
)
# Other places: code, kind, category, name.
_OTHERS = (
    ("CT1", "area", values.CATERING, "湖畔餐厅"),
    ("CF1", "area", values.CATERING, "中厨房"),
    ("LT", "area", values.MEETING, "兰亭厅"),
    ("ZY", "area", values.MEETING, "竹影厅"),
    ("KTV", "area", values.ENTERTAINMENT, "歌舞厅"),
)
# Orders: days ago, hour, room, text, severity, item, how far it came.
_ORDERS = (
    (6, 10, "0203", "卫生间地漏反味", values.MINOR, "checked"),
    (5, 9, "0305", "空调不制冷", values.FUNCTION, "checked"),
    (4, 21, "0502", "床头灯不亮", values.MINOR, "checked"),
    (3, 8, "0208", "门锁打不开", values.FUNCTION, "checked"),
    (2, 15, "0306", "淋浴花洒漏水", values.MINOR, "done"),
    (1, 9, "0305", "空调又不制冷，外机有异响", values.FUNCTION, "taken"),
    (1, 11, "0604", "吊顶渗水，灯具进水", values.SAFETY, "taken"),
    (0, 8, "0507", "电视没有信号", values.MINOR, "open"),
    (0, 9, "0207", "马桶堵塞", values.FUNCTION, "open"),
)
# What a defect is about, by a word of it: the same at the same room again is one that comes back.
_ABOUT = {
    "空调": "aircon",
    "门锁": "door",
    "灯": "light",
    "淋浴": "water",
    "地漏": "toilet",
    "马桶": "toilet",
    "电视": "tv",
}
# Complaints: days ago, hour, place, category, text, cause, compensation and yuan, how far it came.
_COMPLAINTS = (
    (6, 22, "0304", values.ROOMS, "隔壁房间深夜吵闹，无法休息", "noise", ("gift", ""), "closed"),
    (5, 19, "CT1", values.CATERING, "上菜等了一个小时，汤是凉的", "food", ("discount", "120"), "closed"),
    (4, 8, "0206", values.ROOMS, "床单上有污渍", "clean", ("none", ""), "closed"),
    (3, 20, "0503", values.ROOMS, "空调整晚不制冷，要求退一晚房费", "facility", ("refund", "680"), "solved"),
    (1, 12, "CT1", values.CATERING, "凉菜里有异物", "food", ("refund", "1500"), "answered"),
    (0, 8, "0505", values.ROOMS, "热水要放十分钟才热", "facility", ("", ""), "answered"),
    (0, 9, "LT", values.MEETING, "会议话筒没有声音", "facility", ("", ""), "open"),
)
_FACILITIES = (
    ("DT-1", "一号客梯", "主楼", "12", 330, "通力电梯杭州分公司"),
    ("DT-2", "二号客梯", "主楼", "12", 375, "通力电梯杭州分公司"),
    ("GL-1", "热水锅炉", "主楼", "6", 100, "杭锅特种设备服务部"),
    ("KT-1", "中央空调主机", "主楼", "3", 95, "江南制冷工程"),
    ("XF-1", "消防水泵", "主楼", "1", 20, "安宁消防维保"),
)
_DISHES = ("西湖醋鱼", "东坡肉", "龙井虾仁", "宋嫂鱼羹", "片儿川", "叫花鸡", "蟹黄豆腐")
_SUPPLIERS = (
    ("城南乳业", ({"item": "鲜牛奶", "quantity": "30", "measure": "升", "storage": "chilled", "degrees": "4.2"},)),
    (
        "勾庄农产品批发",
        (
            {"item": "西红柿", "quantity": "25", "measure": "公斤"},
            {"item": "上海青", "quantity": "18", "measure": "公斤"},
        ),
    ),
    (
        "舟山海鲜行",
        ({"item": "冻虾仁", "quantity": "12", "measure": "公斤", "storage": "frozen", "degrees": "-18"},),
    ),
)


def begin(unit_id: int, rng: Random) -> None:
    """Build the house on the unit's first day: floors, rooms, restaurants, halls, facilities."""
    places.create_place(unit_id, {"kind": "building", "code": "主楼", "name": "主楼", "name_en": "Main building"})
    for code, name, first, count, room_type, beds in _FLOORS:
        places.create_place(unit_id, {"parent": "主楼", "kind": "floor", "code": f"{code}F", "name": name})
        row = {"parent": f"{code}F", "kind": "room", "prefix": "0", "first": first, "last": first + count - 1}
        places.create_row(unit_id, {**row, "digits": 3})
        below = {"place": f"{code}F", "category": values.ROOMS, "room_type": room_type, "beds": beds}
        room_file.add_below(unit_id, below)
    places.create_place(unit_id, {"parent": "主楼", "kind": "floor", "code": "1F", "name": "1层"})
    for code, kind, category, name in _OTHERS:
        places.create_place(unit_id, {"parent": "1F", "kind": kind, "code": code, "name": name})
        room_file.add(unit_id, {"place": code, "category": category, "beds": 0})


def fill(unit_id: int, play: Any, rng: Random) -> None:
    """Tell the last week of the house, day by day."""
    story = _Story(unit_id, play, rng)
    story.set_up()
    for back in range(DAYS - 1, -1, -1):
        story.day(back)
    story.to_come()


class _Story:
    """A week of the house."""

    def __init__(self, unit_id: int, play: Any, rng: Random) -> None:
        self.unit_id, self.play, self.rng = unit_id, play, rng
        self.zone = ZoneInfo(unit_facts(unit_id).timezone)
        self.number = 0

    def moment(self, back: int, hour: float) -> datetime:
        """Return a time of day so many days before the story ends."""
        day = (self.play.now.astimezone(self.zone) - timedelta(days=back)).date()
        start = datetime.combine(day, datetime.min.time(), self.zone)
        return clock.as_utc(start + timedelta(hours=hour))

    @contextmanager
    def at(self, back: int, hour: float, position: str) -> Iterator[bool]:
        """Let somebody act at a time of day; False where that lies after the story's end: nothing is to be done."""
        moment = self.moment(back, hour)
        with clock.frozen(min(moment, self.play.now)), self.play.acting(position):
            yield moment <= self.play.now

    def set_up(self) -> None:
        """Put facilities on file, hang codes for guests into the rooms and give two people their PIN."""
        with self.at(DAYS, 9, MANAGER):
            for row in session().scalars(select(HotelPlace).where(HotelPlace.unit_id == self.unit_id)).all():
                guest.make_code(row.id)
            for code, name, place, every, ago, contractor in _FACILITIES:
                last = (self.moment(ago, 9)).date().isoformat()
                raw = {"code": code, "name": name, "place": place, "every_months": every, "last_on": last}
                facilities.create(self.unit_id, {**raw, "contractor": contractor})
        for position in (DESK, CLEANER):
            for user_id, _name in accounts.holders(position, self.unit_id)[:2]:
                pins.set_pin(user_id, PIN, PIN)

    def day(self, back: int) -> None:
        """Tell one day from morning to night."""
        self._morning(back)
        self._kitchen(back)
        self._departures(back)
        self._orders(back)
        self._cleaning(back)
        self._arrivals(back)
        self._complaints(back)
        self._shift(back)

    # --- rooms -------------------------------------------------------------------------------------

    def _morning(self, back: int) -> None:
        with self.at(back, 7, MANAGER) as goes:
            if not goes:
                return
            cleaning_list.make(self.unit_id)
            people = [one for one, _name in accounts.holders(CLEANER, self.unit_id)]
            if people and cleaning_list.of_day(self.unit_id, days.hotel_day(self.unit_id)):
                cleaning_list.hand_out(self.unit_id, people)

    def _departures(self, back: int) -> None:
        with self.at(back, 8.5, DESK) as goes:
            if not goes:
                return
            today = days.hotel_day(self.unit_id)
            leaving = select(Stay).where(Stay.unit_id == self.unit_id, Stay.state == values.IN_HOUSE)
            for stay in session().scalars(leaving.where(Stay.departs_on <= today).order_by(Stay.id)).all():
                stays.depart(stay)

    def _cleaning(self, back: int) -> None:
        with self.at(back, 9.5, CLEANER) as goes:
            rows = cleaning_list.of_day(self.unit_id, days.hotel_day(self.unit_id)) if goes else []
            done = [one for one in rows if one.state in (values.TODO, values.DOING)]
            # Today half of the work is still to be done.
            done = done if back else done[: len(done) // 2]
            for one in done:
                cleaning.finish(one)
        with self.at(back, 9.8, MANAGER) as goes:
            for one in done[: len(done) if back else len(done) // 2] if goes else ():
                cleaning.check(one)

    def _arrivals(self, back: int) -> None:
        """Some guests arrive every day, for one to three nights, in rooms that are clean and free."""
        with self.at(back, 9.9 if not back else 15, DESK) as goes:
            if not goes:
                return
            free = select(HotelPlace).where(HotelPlace.unit_id == self.unit_id, HotelPlace.state == values.VC)
            rooms = session().scalars(free.where(HotelPlace.category == values.ROOMS).order_by(HotelPlace.id)).all()
            today = days.hotel_day(self.unit_id)
            for room in self.rng.sample(list(rooms), min(len(rooms), 7)):
                last = today + timedelta(days=self.rng.randint(1, 3))
                raw = {"room": room.place.code, "departs_on": last.isoformat(), "guests": self.rng.randint(1, 2)}
                stays.walk_in(self.unit_id, {**raw, "reference": self._reference()})

    def _reference(self) -> str:
        self.number += 1
        return f"YD{self.play.now:%y%m}{self.number:04d}"

    # --- orders and complaints ---------------------------------------------------------------------

    def _orders(self, back: int) -> None:
        for ago, hour, code, text, severity, until in _ORDERS:
            if ago != back:
                continue
            with self.at(back, hour, DESK) as goes:
                if not goes:
                    continue
                raw = {"place": code, "text": text, "severity": severity, "source": values.STAFF}
                raw |= {"item_key": next((key for word, key in _ABOUT.items() if word in text), "other")}
                record = orders.register(self.unit_id, raw)
            self._carry_out(record, back, hour, until)

    def _carry_out(self, record: Record, back: int, hour: float, until: str) -> None:
        steps: tuple[tuple[float, str, str, Mapping[str, Any]], ...] = (
            (0.2, ENGINEER, "take", {}),
            (0.4, ENGINEER, "respond", {"note": "已到现场"}),
            (1.5, ENGINEER, "finish", {"result": "已修复，试用正常", "cost": "35"}),
            (2.5, MANAGER, "check", {}),
        )
        count = {"open": 0, "taken": 2, "done": 3, "checked": 4}[until]
        self._steps(record, back, hour, steps[:count])

    def _steps(self, record: Record, back: int, hour: float, steps: Any) -> None:
        for later, position, name, data in steps:
            with self.at(back, hour + later, position) as goes:
                if goes:
                    perform(record.id, name, data)

    def _complaints(self, back: int) -> None:
        for ago, hour, code, category, text, cause, (kind, amount), until in _COMPLAINTS:
            if ago != back:
                continue
            with self.at(back, hour, DESK) as goes:
                if not goes:
                    continue
                raw = {"place": code, "category": category, "channel": "desk", "text": text}
                record = complaints.register(self.unit_id, raw)
            given = {"compensation": kind, "amount": amount, "reason": "安抚客人"}
            steps: list[tuple[float, str, str, Mapping[str, Any]]] = [
                (0.2, DESK, "answer", {"note": "已向客人致歉并说明处理办法"}),
                (0.5, DESK, "compensate", given),
                (1.0, DESK, "solve", {"solution": "已处理，客人接受", "cause": cause}),
                (1.2, DESK, "close", {"satisfied": "yes"}),
            ]
            count = {"open": 0, "answered": 2, "solved": 3, "closed": 4}[until]
            self._steps(record, back, hour, [one for one in steps[:count] if kind or one[2] != "compensate"])

    # --- kitchen, meetings, shifts -----------------------------------------------------------------

    def _kitchen(self, back: int) -> None:
        supplier, lines = _SUPPLIERS[back % len(_SUPPLIERS)]
        with self.at(back, 7.2, COOK) as goes:
            if goes:
                expires = (self.moment(back, 9) + timedelta(days=6)).date().isoformat()
                listed = [{**one, "expires_on": expires, "papers": "1", "looks_good": "1"} for one in lines]
                if back == 2:
                    listed.append(
                        {"item": "草莓", "quantity": "5", "measure": "公斤", "papers": "1", "note": "发霉"}
                    )
                raw = {"supplier": supplier, "delivery_note": f"PS{back:03d}", "place": "CF1", "lines": listed}
                record = food.register(self.unit_id, raw)
                if back == 2:
                    food.judge(food.lines_of(record.id)[-1].id, values.REFUSED, "发霉，退回")
                if back:
                    perform(record.id, "accept", {})
        for hour, meal in ((11.2, values.LUNCH), (17.2, values.DINNER)):
            with self.at(back, hour, COOK) as goes:
                if goes:
                    dish = _DISHES[(back + int(hour)) % len(_DISHES)]
                    entry = {"meal": meal, "step": "cook", "dish": dish, "degrees": "82", "place": "CF1"}
                    processing.log(self.unit_id, entry)
                    samples.keep(self.unit_id, {"meal": meal, "dish": dish, "grams": "135", "place": "CF1"})
        with self.at(back, 20.5, COOK) as goes:
            for one in session().scalars(samples.due(self.unit_id)).all() if goes and back > 1 else ():
                samples.dispose(one.id)

    def _shift(self, back: int) -> None:
        with self.at(back, 7.5, DESK) as goes:
            if not goes:
                return
            record = shifts.register(self.unit_id, {"department": "front_desk", "shift": "early"})
            shifts.add_entry(record.id, {"text": "502 客人寄存行李一件，下午取", "open": "1" if back < 2 else ""})
            shifts.add_entry(record.id, {"text": "早餐券已清点，交接无误", "open": ""})
        if not back:
            return
        with self.at(back, 15.5, DESK):
            perform(record.id, "hand", {})
            giver = current_scope().actor_id
        for _try in range(TRIES):
            with self.at(back, 15.6, DESK):
                if current_scope().actor_id != giver:
                    shifts.take(record.id)
                    return

    def to_come(self) -> None:
        """Book meetings and expect guests for the next days; today's inspections are begun."""
        with clock.frozen(self.play.now), self.play.acting(DESK):
            for hours, length, hall, title, people in (
                (20, 3, "LT", "江浙经销商年会", "80"),
                (26, 2, "ZY", "新品培训", "25"),
                (50, 8, "LT", "行业论坛", "120"),
            ):
                starts = self.play.now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=hours)
                when = {"starts_at": starts.isoformat(), "ends_at": (starts + timedelta(hours=length)).isoformat()}
                raw = {"title": title, "place": hall, "people": people, "wishes": "投影、两支话筒、茶歇"}
                meetings.register(self.unit_id, {**raw, **when})
            today = days.hotel_day(self.unit_id)
            for number in range(5):
                first = today + timedelta(days=number % 3)
                raw = {"arrives_on": first.isoformat(), "departs_on": (first + timedelta(days=2)).isoformat()}
                stays.expect(self.unit_id, {**raw, "reference": self._reference(), "guests": "2"})
        self._inspections()

    def _inspections(self) -> None:
        """Two rooms are being inspected."""
        checklist = inspections.checklist_of(self.unit_id, "hotel.room")
        if checklist is None:
            return
        with clock.frozen(self.play.now), self.play.acting(ENGINEER):
            for code in ("0201", "0302"):
                place = places.by_code(self.unit_id, code)
                if place is not None:
                    record = inspections.open_inspection(
                        self.unit_id, checklist, place_id=place.id, subject=f"place:{place.id}", clause="R06-7a"
                    )
                    inspections.begin(record.id)
