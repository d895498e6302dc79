"""How a case of the demonstration goes: the steps of its life with who does them and how long each takes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from core.cases.vocabulary import FAULT_TYPES, IMPACTS

CHANNELS = ("phone", "phone", "phone", "wechat", "wechat", "online", "visit", "email")
WAITS = (
    ("parts", "等待配件到货，供应商承诺三天内发出"),
    ("customer", "客户出差，约定回来后再上门"),
    ("approval", "费用待客户书面确认"),
    ("weather", "连日暴雨，室外作业暂停"),
)
CHASES = ("客户再次来电，问什么时候能修好", "客户催促，表示今天必须有人上门", "客户来电询问进度")
COMMENTS = (
    "已与客户电话沟通，情绪稳定。",
    "配件库存已确认，可以出库。",
    "请现场多拍几张照片留档。",
    "客户希望周末上门，注意安排。",
)
FAULTS = tuple(code for code, _ in FAULT_TYPES)
EXTENTS = tuple(code for code, _ in IMPACTS)
PROGRESS = ("配件已发出，预计后天到货", "师傅已约好明天上午再次上门", "正在等厂家技术答复，今天内再联系")
RATINGS = ("5", "5", "5", "4", "4", "4", "3", "3", "2", "1")


@dataclass(frozen=True)
class Act:
    """One thing that happens: a transition or a special deed, by a role, some hours after the one before."""

    name: str
    role: str
    data: dict[str, Any] = field(default_factory=dict)
    hours: tuple[float, float] = (0.2, 3.0)


def life_of(story: dict[str, Any], rng: random.Random) -> list[Act]:
    """Return the whole life of a case, from the first step after registering to the archive."""
    urgency = "urgent" if story.get("urgent") else "normal"
    severity = "serious" if story["nature"] == "complaint" else "general"
    judged = {"nature": story["nature"], "urgency": urgency, "severity": severity}
    if story["nature"] != "inquiry" and rng.random() < 0.9:
        judged |= {"fault_type": rng.choice(FAULTS), "impact": rng.choice(EXTENTS)}
    classify = Act("classify", "desk", judged, (0.1, 2))
    if story["nature"] == "inquiry":
        middle = [classify, Act("answer", "desk", {"answer": story["answer"]}, (0.3, 6))]
    else:
        middle = [*_reception(classify, rng), *_work(story, rng)]
    return [*middle, *_ending(story, rng)]


def _reception(classify: Act, rng: random.Random) -> Iterator[Act]:
    if rng.random() < 0.7:
        yield Act("forward", "desk", {"position": "after_sales", "reason": "请尽快安排处理"}, (0.05, 1.2))
    if rng.random() < 0.15:
        yield Act("call_attempt", "desk", {"result": "no_answer", "reason": "响铃无人接听，稍后再拨"})
    yield Act("contact", "desk", {"reason": "已电话联系客户，确认故障现象和上门时间"}, (0.05, 1.2))
    yield classify


def _work(story: dict[str, Any], rng: random.Random) -> Iterator[Act]:
    if rng.random() < 0.8:
        yield Act("plan", "lead", {"plan": story["plan"], "agreed": "1"}, (0.2, 4))
    yield Act("assign", "lead", {"distance_km": rng.choice((3, 8, 12, 26, 41, 80, 152, 301, 640))}, (0.3, 6))
    if rng.random() < 0.06:
        yield Act("decline", "field", {"reason": "当天已有两单，路程冲突"})
        yield Act("assign", "lead", {"reason": "改派"})
    yield Act("accept", "field", {}, (0.1, 2))
    if rng.random() < 0.12:
        yield Act("chase", "desk", {"reason": rng.choice(CHASES)}, (2, 20))
    if rng.random() < 0.8:
        yield Act("depart", "field", {}, (0.5, 20))
        yield Act("arrive", "field", {}, (0.4, 4))
    else:
        yield Act("start", "field", {"plan": story["plan"], "agreed": "1"}, (0.5, 8))
    if rng.random() < 0.2:
        why, reason = rng.choice(WAITS)
        yield Act("wait", "field", {"why": why, "reason": reason}, (0.3, 2))
        yield Act("progress", "desk", {"note": rng.choice(PROGRESS)}, (1, 16))
        yield Act("resume", "field", {"reason": "条件具备，继续处理"}, (20, 70))
    if rng.random() < 0.3:
        yield Act("photo", "field", {}, (0.1, 0.5))
    yield Act("solve", "field", _result(story), (0.5, 5))


def _result(story: dict[str, Any]) -> dict[str, Any]:
    return {
        "cause": story["cause"],
        "process": story["process"],
        "parts_used": story["parts"],
        "test_result": story["test"],
        "plan": story["plan"],
        "agreed": "1",
    }


def _ending(story: dict[str, Any], rng: random.Random) -> Iterator[Act]:
    inquiry = story["nature"] == "inquiry"
    if not inquiry and rng.random() < 0.05:
        yield Act("rework", "desk", {"reason": "客户反映问题又出现，要求再次处理"}, (10, 40))
        yield Act("solve", "field", _result(story), (2, 20))
    yield Act("send_result", "desk", {"message": "您反映的问题已处理完毕，如有疑问请随时联系我们。"}, (0.2, 6))
    rating = rng.choice(RATINGS)
    words = "师傅很专业，速度快。" if int(rating) > 3 else "处理时间偏长。"
    comment = words if rng.random() < 0.4 else ""
    means = "phone" if inquiry else rng.choice(("phone", "signature", "online"))
    yield Act("confirm", "desk", {"means": means, "rating": rating, "comment": comment}, (2, 40))
    yield Act("close", "lead", {"reason": "资料齐全，归档"}, (1, 40))


# States a recent case may be left in; "" lets it go on until now.
STOPS = (
    "wait", "forward", "contact", "classify", "plan", "assign", "accept", "arrive", "wait", "solve",
    "answer", "send_result", "arrive", "confirm", "cancel", "escalate", "reopen", "none", "wait", "arrive", "",
)  # fmt: skip


def shorten(life: list[Act], stop: str) -> list[Act]:
    """Cut a life after the act called ``stop``, or add the odd ending that ``stop`` names."""
    if not stop:
        return life
    if stop == "none":
        return []
    if stop == "cancel":
        return [*life[:2], Act("cancel", "lead", {"reason": "客户来电取消，问题已自行解决"}, (1, 10))]
    if stop == "escalate":
        cut = next((n for n, act in enumerate(life) if act.name == "assign"), 1)
        why = {"level": "superior", "reason": "客户情绪激动，超过约定时间未上门"}
        return [*life[: cut + 1], Act("escalate", "lead", why, (1, 8))]
    if stop == "reopen":
        return [*life, Act("reopen", "lead", {"reason": "客户反映同一问题再次出现"}, (20, 60))]
    if stop in ("arrive", "wait"):
        return _under_way(life, stop)
    names = [act.name for act in life]
    return life[: names.index(stop) + 1] if stop in names else life[:3]


def _under_way(life: list[Act], stop: str) -> list[Act]:
    """Cut a life when the work has begun; ``wait``: it then stands still."""
    begun = next((n for n, act in enumerate(life) if act.name in ("arrive", "start")), 2)
    if stop == "wait" and begun > 2:
        why, reason = WAITS[len(life) % len(WAITS)]
        return [*life[: begun + 1], Act("wait", "field", {"why": why, "reason": reason}, (0.3, 2))]
    return life[: begun + 1]


def timed(
    life: list[Act], start: datetime, hours: tuple[int, int], zone: str, rng: random.Random
) -> Iterator[tuple[datetime, Act]]:
    """Give every act its moment (UTC), within the unit's opening hours."""
    moment = start
    for act in life:
        moment = within(moment + timedelta(hours=rng.uniform(*act.hours)), hours, zone, rng)
        yield moment, act


def within(moment: datetime, hours: tuple[int, int], zone: str, rng: random.Random) -> datetime:
    """Move a moment into opening hours: to the first hour of the day, or of the next one."""
    local = moment.astimezone(ZoneInfo(zone))
    if hours[0] <= local.hour < hours[1]:
        return moment
    day = local.date() if local.hour < hours[0] else local.date() + timedelta(days=1)
    opening = datetime(day.year, day.month, day.day, hours[0], rng.randint(0, 59), tzinfo=ZoneInfo(zone))
    return opening.astimezone(UTC)
