"""Every hook there is.

Those marked ``declared`` are asked once at start, without a unit; ``hard`` and ``soft`` ones are asked per unit, of
the plugins enabled there. An error in a hard hook stops the action; in a soft one that part is left out.

The exact arguments stand in docs/hooks.md too (a test compares). An implementation may take fewer of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from core.kernel.hooks import declared, hard, hookimpl, soft

if TYPE_CHECKING:
    import click
    from flask import Blueprint

    from core.customers.models import Customer
    from core.inspections.uses import InspectionUse
    from core.kernel.extensions import (
        AdminEntry,
        ApiResource,
        Badge,
        Blocker,
        Column,
        Event,
        FormSection,
        OpenItem,
        Panel,
        PrintForm,
        Report,
        SearchSource,
        Tile,
    )
    from core.kernel.jobs import Job, Periodic
    from core.records.models import Fact, Record
    from core.records.types import RecordType
    from core.records.workflow import WorkflowExtension
    from core.rules.charge_models import Charge
    from core.rules.kinds import Rule
    from core.units.models import Unit
    from core.units.settings import SettingSpec
    from core.users.permissions import Permission

__all__ = ["hookimpl"]


@declared
def permissions() -> list[Permission]:  # type: ignore[empty-body]
    """Return the permissions the plugin knows; codes begin with its name and a dot."""


@declared
def settings() -> list[SettingSpec]:  # type: ignore[empty-body]
    """Return settings of a unit; their names are ``room.key``, shown where the plugin is on."""


@declared
def record_types() -> list[RecordType]:  # type: ignore[empty-body]
    """Return new record types; codes begin with the plugin's name."""


@declared
def workflow_extensions() -> list[WorkflowExtension]:  # type: ignore[empty-body]
    """Return states, transitions and guards added to other record types' workflows."""


@declared
def rules() -> list[Rule]:  # type: ignore[empty-body]
    """Return what the plugin's clauses do: deadlines, gates, fees ... (``core.sdk`` has the kinds)."""


@declared
def inspection_uses() -> list[InspectionUse]:  # type: ignore[empty-body]
    """Return what checklists of the plugin are for; codes begin with the plugin's name and a dot."""


@declared
def admin_views() -> list[AdminEntry]:  # type: ignore[empty-body]
    """Return screens for the side bar; endpoints begin with the plugin's name."""


@declared
def blueprints() -> list[Blueprint]:  # type: ignore[empty-body]
    """Return blueprints; the core mounts them under ``/p/<plugin>/`` and answers 404 where the plugin is off."""


@declared
def cli_commands() -> list[click.Command]:  # type: ignore[empty-body]
    """Return commands, offered as ``flask <plugin> <command>``."""


@declared
def importers() -> list[Any]:  # type: ignore[empty-body]
    """Return ``Importer`` objects: what can be taken over from spreadsheets."""


@declared
def search_sources() -> list[SearchSource]:  # type: ignore[empty-body]
    """Return what the search box should look in beyond customers and records."""


@declared
def jobs() -> list[Job | Periodic]:  # type: ignore[empty-body]
    """Return work done outside requests, once or recurring; names begin with the plugin's name and a dot."""


@declared
def print_forms() -> list[PrintForm]:  # type: ignore[empty-body]
    """Return forms and labels that can be printed; codes begin with the plugin's name."""


@declared
def reports() -> list[Report]:  # type: ignore[empty-body]
    """Return reports for screen, Excel, PDF and e-mail; codes begin with the plugin's name."""


@declared
def api_resources() -> list[ApiResource]:  # type: ignore[empty-body]
    """Return collections of the JSON API, mounted under ``/api/v1/<plugin>/``."""


@hard
def unit_enabled(unit: Unit, actor_id: int | None) -> None:
    """The plugin was switched on in a unit: create default data. May run again; must then change nothing."""


@hard
def unit_disabling(unit: Unit, actor_id: int | None) -> list[Blocker]:  # type: ignore[empty-body]
    """The plugin is about to be switched off: say what stands against it."""


@hard
def record_transitioned(record: Record, transition: str, facts: Sequence[Fact]) -> None:
    """A record moved; state and facts are written, the transaction is open. May perform on linked records."""


@hard
def leaving(unit: Unit, user_id: int) -> list[OpenItem]:  # type: ignore[empty-body]
    """A person leaves the unit or changes post: say what they still hold or owe. Read only."""


@soft
def record_panels(record: Record) -> list[Panel]:  # type: ignore[empty-body]
    """Return boxes for a record's page."""


@hard
def charge_lowering(charge: Charge, amount: Decimal, waived: bool) -> list[Blocker]:  # type: ignore[empty-body]
    """A line is about to be waived, or a posted one to be put right, by ``amount``: say what stands against it."""


@hard
def charge_moving(charge: Charge, step: str) -> list[Blocker]:  # type: ignore[empty-body]
    """A person may want to take a step with a single line (``consent``, ``settle`` ...): what stands against it."""


@hard
def charge_changed(charge: Charge) -> None:
    """A line was waived, moved on or put right by a person or a decision: keep what you say of it in step."""


@soft
def badges(subject: str, rows: Sequence[Any]) -> Mapping[int, Badge]:  # type: ignore[empty-body]
    """Return short marks by row id for things of another room, a whole page at once; ``subject`` is its word."""


@soft
def detail_panels(subject: str, row: Any) -> list[Panel]:  # type: ignore[empty-body]
    """Return boxes for the page of a thing that is no record; ``subject`` is its room's word (``PLUGIN:item``)."""


@soft
def customer_panels(customer: Customer) -> list[Panel]:  # type: ignore[empty-body]
    """Return boxes for a customer's page."""


@soft
def case_form_sections(unit: Any) -> list[FormSection]:  # type: ignore[empty-body]
    """Return fields for the form that registers a case. ``unit`` has ``id``, ``code``, ``name``, ``timezone``."""


@soft
def list_columns(list_name: str) -> list[Column]:  # type: ignore[empty-body]
    """Return columns for a list; each loads its texts for a whole page at once."""


@soft
def dashboard_tiles(unit: Any, actor_id: int) -> list[Tile]:  # type: ignore[empty-body]
    """Return numbers for the dashboard of one person in one unit."""


@soft
def event_committed(event: Event) -> None:
    """Something was committed. Comes from the outbox, at least once, perhaps late."""
