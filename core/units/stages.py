"""A unit's own labels inside the states of its records (stages)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.kernel.access import require
from core.kernel.database import session, transaction
from core.kernel.errors import InvalidData

from .models import Stage


def save_stage(unit_id: int, values: Mapping[str, Any], stage: Stage | None = None) -> Stage:
    """Add a stage (``place`` is "type:state", with ``label``, ``pauses_clock``, ``active``), or change one.

    A stage in use is switched off, never deleted: facts name it.

    Raises:
        NotAllowed: without ``stage.admin``. InvalidData: the label is there already.
    """
    require("stage.admin", unit_id)
    record_type, _colon, state = str(values["place"]).partition(":")
    with transaction() as work:
        row = stage or Stage(unit_id=unit_id)
        same = select(Stage.id).where(
            Stage.unit_id == unit_id,
            Stage.record_type == record_type,
            Stage.state == state,
            Stage.label == values["label"],
        )
        if session().scalars(same).first() not in (None, row.id):
            raise InvalidData({"label": _l("This state has a stage of that name already")})
        row.record_type, row.state, row.label = record_type, state, values["label"]
        row.pauses_clock, row.active = values["pauses_clock"], values["active"]
        work.add(row)
        work.flush()
        return row
