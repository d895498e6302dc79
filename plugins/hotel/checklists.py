"""The hotel's checklists: what they are for, and the items a unit begins with. A unit changes them as it likes.

An item's key is that of the defect (``values.DEFECTS``), so that the same defect is known again whoever finds it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from flask_babel import lazy_gettext as _l

from core.sdk import InspectionUse, inspections

from . import cleaning_checks, meetings, orders, values

ROOM, PATROL, HYGIENE, RESTAURANT = "hotel.room", "hotel.patrol", "hotel.hygiene", "hotel.restaurant"
MEETING, CLEAN, CONDUCT = "hotel.meeting", "hotel.clean", "hotel.conduct"
MINOR, FUNCTION, SAFETY = values.MINOR, values.FUNCTION, values.SAFETY


class List(NamedTuple):
    """A checklist as a unit begins with it."""

    code: str
    title: str
    title_en: str
    clause: str
    items: Sequence[Mapping[str, Any]]


def check(
    key: str, zh: str, en: str, severity: str = MINOR, *, opens: bool = True, photo: str = ""
) -> dict[str, Any]:
    """Return an item to be passed or failed; what is dangerous weighs more and wants a photo."""
    weight = {MINOR: 1, FUNCTION: 2, SAFETY: 3}[severity]
    photo = "on_fail" if severity == SAFETY else ""
    item = {"key": key, "kind": "check", "label": zh, "label_en": en, "severity": severity}
    return {**item, "weight": weight, "opens": opens, "photo": photo, "required": True}


def number(
    key: str, zh: str, en: str, least: str, most: str, measure: str, *, severity: str = MINOR, required: bool = True
) -> dict[str, Any]:
    """Return an item that is measured, with its bounds; '' is no bound."""
    item = {"key": key, "kind": "number", "label": zh, "label_en": en, "least": least, "most": most}
    return {**item, "measure": measure, "severity": severity, "opens": True, "weight": 1, "required": required}


def remark() -> dict[str, Any]:
    """Return the last item of a list: whatever else was seen."""
    return {"key": "remark", "kind": "text", "label": "其他情况", "label_en": "Anything else", "required": False}


_FIRE = check("fire", "烟感、喷淋、疏散图完好，通道畅通", "Detector, sprinkler, plan in order, ways free", SAFETY)
_ROOM_ITEMS = (
    check("door", "房门、门锁、猫眼、防盗链完好", "Door, lock, spyhole and chain in order", FUNCTION),
    check("window", "窗户能关好，限位器、窗帘完好", "Window closes, its stop and the curtains in order", FUNCTION),
    check("light", "灯具、开关、插座完好，无裸露电线", "Lights, sockets in order, no bare wire", FUNCTION),
    check("aircon", "空调制冷制热正常，无异响", "Air conditioning cools and heats without noise", FUNCTION),
    check("water", "龙头、花洒、热水正常，无漏水", "Taps, shower and hot water in order, nothing leaks", FUNCTION),
    number("hot_water", "热水温度", "Hot water", "45", "60", "℃", required=False),
    check("toilet", "马桶、地漏通畅，无异味", "Toilet and drain run freely, no smell", FUNCTION),
    check("tv", "电视、电话正常", "Television and telephone work"),
    check("network", "网络正常", "Network works"),
    check("furniture", "床、桌椅、柜体牢固完好", "Bed, table, chairs and cupboards are sound"),
    check("appliance", "电热水壶、冰箱、保险箱、吹风机正常", "Kettle, fridge, safe and hair-dryer work"),
    _FIRE,
    check("wall", "墙面、地面、天花无破损霉点", "Wall, floor and ceiling whole, without mould"),
)
_LISTS = (
    List(ROOM, "客房设施巡检", "Room inspection", "R06-7a", (*_ROOM_ITEMS, remark())),
    List(
        PATROL,
        "客房巡查",
        "Room patrol",
        "R06-10",
        (
            check("clean", "房间整洁，无毛发污渍异味", "Room tidy, no hair, stains or smell"),
            check("linen", "布草洁净，数量齐全", "Linen clean and complete"),
            check("supplies", "易耗品按标准配齐", "Supplies complete"),
            check("water", "卫生间洁净，用水正常", "Bathroom clean, water runs", FUNCTION),
            check("light", "灯具、开关、插座完好", "Lights, switches and sockets in order", FUNCTION),
            check("aircon", "空调正常", "Air conditioning works", FUNCTION),
            check("door", "门锁完好", "Lock in order", FUNCTION),
            _FIRE,
            remark(),
        ),
    ),
    List(
        HYGIENE,
        "餐厅厨房卫生检查",
        "Hygiene of restaurant and kitchen",
        "R06-15",
        (
            check(
                "staff",
                "从业人员健康证有效，着装、洗手符合要求",
                "Health papers, clothes, hands",
                opens=False,
            ),
            check(
                "separate",
                "生熟分开，刀具砧板按色标使用",
                "Raw and cooked apart, boards by colour",
                SAFETY,
            ),
            number("fridge", "冷藏温度", "Fridge", "0", "8", "℃", severity=FUNCTION),
            number("freezer", "冷冻温度", "Freezer", "", "-12", "℃", severity=FUNCTION),
            check("date", "食材在保质期内，标签齐全", "Food within its date, with labels", SAFETY),
            check("disinfect", "餐具已清洗消毒保洁", "Dishes washed, disinfected and kept clean"),
            check("clean", "地面、台面、油烟机清洁", "Floor, tables and hood clean"),
            check("pest", "无鼠、蟑、蝇迹象，防护设施完好", "No trace of pests, guards in order", SAFETY),
            check("waste", "垃圾加盖、日产日清", "Waste covered and taken away daily"),
            remark(),
        ),
    ),
    List(
        RESTAURANT,
        "餐厅清洁巡查",
        "Restaurant patrol",
        "R06-17",
        (
            check("clean", "地面、桌椅、台布整洁", "Floor, tables, chairs and cloths clean"),
            check("dishes", "餐具无破损、无水渍", "Dishes whole and without marks"),
            check("buffet", "自助台整洁，食品加盖、标签齐全", "Buffet tidy, food covered and labelled"),
            check("light", "灯光、空调适宜", "Light and air conditioning right"),
            check("toilet", "公共卫生间清洁", "Guests' toilets clean"),
            _FIRE,
            remark(),
        ),
    ),
    List(
        MEETING,
        "会议准备检查",
        "Preparation of a meeting",
        "JD-7",
        (
            check("layout", "台型、座位数与预订一致", "Layout and seats as booked", opens=False),
            check("screen", "投影、显示屏正常", "Projector and screen work", FUNCTION),
            check("sound", "话筒、音响正常", "Microphones and sound work", FUNCTION),
            check("network", "网络正常", "Network works", FUNCTION),
            check("light", "灯光正常", "Lights work"),
            check("aircon", "空调提前开启，温度适宜", "Air conditioning on in time"),
            check("supplies", "茶水、纸笔、席卡齐全", "Tea, paper, pens and name cards there", opens=False),
            check("signs", "指引牌、欢迎屏已更新", "Signs and welcome screen up to date", opens=False),
            _FIRE,
            remark(),
        ),
    ),
    List(
        CLEAN,
        "客房清洁检查",
        "Check of a cleaned room",
        "R06-8",
        (
            check("bed", "铺床平整，布草洁净", "Bed made, linen clean", opens=False),
            check("bathroom", "卫生间洁净干燥，无毛发", "Bathroom clean and dry, no hair", opens=False),
            check("dust", "台面、灯具、地面无尘", "No dust on tables, lamps and floor", opens=False),
            check("supplies", "易耗品、杯具配齐", "Supplies and cups complete", opens=False),
            check("smell", "无异味，通风", "Aired, no smell", opens=False),
            check("light", "灯具、电器正常", "Lights and devices work", FUNCTION),
            check("water", "用水正常", "Water runs", FUNCTION),
            remark(),
        ),
    ),
    List(
        CONDUCT,
        "行为准则检查",
        "Conduct",
        "R06-CK",
        (
            check(
                "guests",
                "以宾客需求为先，改进产品组合",
                "Guests first, a better choice",
                opens=False,
            ),
            check("cost", "物料能耗有控制，无浪费", "Materials and energy in hand, no waste", opens=False),
            check("law", "守法经营，证照有效公示", "Within the law, licences valid and shown", opens=False),
            check("staff", "员工权益得到维护，形象规范", "Staff's rights kept, good appearance", opens=False),
            check("rooms", "客房整洁、舒适、安全", "Rooms tidy, comfortable, safe", opens=False),
            check("food", "餐饮新鲜、美味、卫生、优质", "Food fresh, good, hygienic", opens=False),
            check("meetings", "会议专业、灵活、周到、高效", "Professional, flexible, thoughtful", opens=False),
            remark(),
        ),
    ),
)
USES = [
    InspectionUse(ROOM, _l("Rooms: inspection of facilities"), orders.from_finding),
    InspectionUse(PATROL, _l("Rooms: patrol"), orders.from_finding),
    InspectionUse(HYGIENE, _l("Restaurants: hygiene"), orders.from_finding),
    InspectionUse(RESTAURANT, _l("Restaurants: patrol"), orders.from_finding),
    InspectionUse(MEETING, _l("Meetings: preparation"), orders.from_finding, meetings.prepared),
    InspectionUse(CLEAN, _l("Rooms: check after cleaning"), orders.from_finding, cleaning_checks.after_inspection),
    InspectionUse(CONDUCT, _l("The house: conduct"), orders.from_finding),
]


def set_up(unit_id: int) -> None:
    """Give a unit the checklists it has not yet; what it changed stays as it is."""
    for one in _LISTS:
        inspections.define(
            unit_id, one.code, one.title, one.code, one.items, title_en=one.title_en, clause=one.clause
        )


def in_use(unit_id: int, code: str) -> bool:
    """Tell whether a unit has a checklist that can be filled in."""
    found = inspections.checklist_of(unit_id, code)
    return found is not None and found.active and inspections.published_version(found.id) is not None
