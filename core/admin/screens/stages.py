"""The unit's own labels for the states of its records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import g, url_for
from flask_babel import lazy_gettext as _l

from core.admin.categories import SETTINGS
from core.admin.listing import ListColumn, ListSpec, Ordering
from core.admin.views import UnitModelView
from core.kernel.extensions import AdminEntry
from core.kernel.fields import Choices, Field, label_of
from core.records.types import known_states, record_types
from core.units.models import Stage
from core.units.stages import save_stage


def places() -> Choices:
    """List every state of every record type, as "type:state"."""
    return [
        (f"{kind.code}:{state.code}", f"{kind.title} · {state.label}")
        for kind in record_types()
        for state in known_states(kind.code).values()
    ]


def _place(row: Stage) -> Any:
    return label_of(places(), f"{row.record_type}:{row.state}")


def _url(row: Stage) -> str:
    return url_for("stages.edit_view", id=row.id)


STAGES = ListSpec(
    name="stages",
    title=_l("Stages"),
    model=Stage,
    columns=(
        ListColumn(
            "label",
            _l("Stage"),
            lambda row: row.label,
            link=_url,
            card="title",
        ),
        ListColumn("place", _l("State"), _place),
        ListColumn("pauses", _l("Pauses the clock"), lambda row: row.pauses_clock, "bool"),
        ListColumn("active", _l("In use"), lambda row: row.active, "bool"),
    ),
    orderings=(Ordering("id", _l("Newest first"), (Stage.id,)),),
    empty=_l("No stages yet. Add labels such as “waiting for the delivery” inside a state."),
)


class StageScreen(UnitModelView):
    """Stages: added, renamed, switched off."""

    title = _l("Stages")
    permission = create_permission = edit_permission = "stage.admin"
    icon = "flag"
    create_label = _l("New stage")

    def list_spec(self) -> ListSpec:
        return STAGES

    def row_url(self, row: Any) -> str:
        return str(self.get_url(".edit_view", id=row.id))

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        return (
            Field("place", "choice", _l("State"), True, places),
            Field("label", "text", _l("Stage"), True, max_length=40),
            Field("pauses_clock", "bool", _l("Pauses the clock")),
            Field("active", "bool", _l("In use"), default=True),
        )

    def form_values(self, row: Any) -> dict[str, Any]:
        return {
            "place": f"{row.record_type}:{row.state}",
            "label": row.label,
            "pauses_clock": row.pauses_clock,
            "active": row.active,
        }

    def create(self, values: dict[str, Any]) -> Any:
        return save_stage(g.unit.id, values)

    def update(self, row: Any, values: dict[str, Any]) -> None:
        save_stage(row.unit_id, values, row)

    def after_save(self, row: Any) -> str:
        return str(self.get_url(".index_view"))


def admin_views() -> list[AdminEntry]:
    return [AdminEntry(StageScreen(Stage, endpoint="stages", url="/admin/stages"), SETTINGS, 25)]
