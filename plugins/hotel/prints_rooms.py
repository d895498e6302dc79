"""The label of a room: its code, its type, and a QR that leads staff to its page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import url_for
from flask_babel import lazy_gettext as _l

from core.sdk import PrintForm, label_of, places

from . import room_file, values
from .models import HotelPlace
from .rights import VIEW

SUBJECT = "hotel:room"


def room_label(room: HotelPlace) -> Mapping[str, Any]:
    """Return what stands on the label."""
    kind = room.room_type or str(label_of(values.CATEGORIES, room.category))
    url = url_for("hotel.room", room_id=room.id)
    return {"number": room.place.code, "kind": kind, "lines": [places.full_name(room.place)], "url": url}


def forms() -> list[PrintForm]:
    """Return the labels."""
    return [
        PrintForm(
            code="hotel.room",
            title=_l("Label of a room: number, type, QR for staff"),
            subject=SUBJECT,
            template="",
            data=room_label,
            permission=VIEW,
            label=True,
            find=room_file.get,
        )
    ]
