"""The clauses about rooms: what is not sold, what is cleaned and how often, do not disturb."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import GateRule, Rule, ScheduleRule, ServiceRule

from . import cleaning, cleaning_list, days, room_file, rooms

REPAIR, OUT_OF_SERVICE = "R06-7b", "JD-9"


def _blocked(room: Any, said: Mapping[str, Any]) -> Any:
    """R06-7b: a room with a defect that matters is not sold before a supervisor has checked the repair."""
    if not room.blocks or not said["blocks"]:
        return None
    return _l("%(place)s is blocked by a defect that is not repaired and checked", place=room.place.code)


def _closed(room: Any, _said: Mapping[str, Any]) -> Any:
    """JD-9: what was taken out of service is not sold."""
    if not room.closed:
        return None
    return _l("%(place)s is out of service: %(reason)s", place=room.place.code, reason=room.closed_reason or "—")


def _knocked(asked: Any, said: Mapping[str, Any]) -> Any:
    """JD-6: who wants to skip a room for "do not disturb" has been there often enough."""
    if not asked.dnd or asked.tries >= int(said["tries"]):
        return None
    return _l(
        "Only %(tries)d of %(wanted)d tries so far; come back later", tries=asked.tries, wanted=int(said["tries"])
    )


def _rooms(unit_id: int) -> list[tuple[str, str, int | None]]:
    return [(cleaning.subject_of(one.place_id), one.place.code, None) for one in room_file.guest_rooms(unit_id)]


RULES: list[Rule] = [
    GateRule(clause=REPAIR, step=rooms.SELL, check=_blocked, code="blocked"),
    GateRule(clause=OUT_OF_SERVICE, step=rooms.SELL, check=_closed, code="out_of_service"),
    GateRule(clause=cleaning.DND_CLAUSE, step=cleaning.SKIP, check=_knocked, code="tries"),
    ServiceRule(
        clause=cleaning.DND_DAYS_CLAUSE,
        does="record",
        place="hotel.cleaning.skip",
        words=(_l("Cleaning"), _l("Skip a room")),
    ),
    ScheduleRule(clause=cleaning_list.DAILY, title=_l("Clean the rooms of the day"), today=days.hotel_day),
    ScheduleRule(
        clause=cleaning_list.DEEP_CLEAN,
        title=_l("Deep cleaning of a room"),
        subjects=_rooms,
        today=days.hotel_day,
        most=2000,
    ),
]
