"""The hotel of the demonstration, alone and beside the group: every state is there, whatever the hour."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from core.demo import fill as demo
from core.demo import people
from core.kernel import clock
from core.records.models import Record
from core.sdk import Inspection
from core.units.models import Unit
from core.users import passwords
from plugins.hotel.models import Cleaning, Facility, HotelPlace, RoomEvent, Sample, Stay
from tests.casework import reading

MOMENTS = {
    "noon": datetime(2026, 11, 16, 4, tzinfo=UTC),
    "night": datetime(2026, 11, 21, 18, tzinfo=UTC),
}


@pytest.fixture(params=sorted(MOMENTS))
def alone(sqlite_app: Flask, monkeypatch: Any, request: Any) -> Iterator[None]:
    """Let the hotel alone play."""
    settings = sqlite_app.extensions["settings"]
    monkeypatch.setitem(sqlite_app.extensions, "settings", replace(settings, demo="hotel"))
    cheap = passwords.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", cheap)
    with clock.frozen(MOMENTS[request.param]), sqlite_app.app_context():
        demo.fill()
        yield


def counted(work: Any, column: Any) -> dict[str, int]:
    """Return how many rows have each value of a column."""
    return {row[0]: row[1] for row in work.execute(select(column, func.count()).group_by(column))}


def test_the_house_is_alive(alone: None) -> None:
    assert {one.username.partition(".")[0] for one in people.demo_sign_ins()} == {"hotel"}
    with reading() as work:
        states = counted(work, HotelPlace.state)
        assert sum(states.values()) == 28 + 5 and {"VC", "OOO"} <= set(states) and {"OC", "OD"} & set(states)
        kinds = counted(work, Record.type)
        assert kinds["hotel_order"] >= 7 and kinds["hotel_complaint"] >= 5 and kinds["hotel_meeting"] == 3
        assert kinds["hotel_food"] >= 6 and kinds["hotel_shift"] >= 6 and kinds["inspection"] >= 2
        assert set(work.scalars(select(Stay.state))) >= {"in_house", "departed", "expected"}
        for model in (Cleaning, Facility, Inspection, RoomEvent, Sample):
            assert work.scalar(select(func.count()).select_from(model)) > 0
        moments = work.scalars(select(RoomEvent.at)).all()
        assert all(one <= clock.now() for one in moments)
        assert work.scalars(select(Unit.code)).all() == ["HOTEL"]
