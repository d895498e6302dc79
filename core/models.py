"""Imports every module of the core that declares tables or settings."""

from __future__ import annotations

from importlib import import_module

MODULES = (
    "core.kernel.outbox",
    "core.kernel.audit",
    "core.kernel.numbering",
    "core.kernel.search",
    "core.kernel.importing",
    "core.kernel.jobs",
    "core.units.models",
    "core.users.models",
    "core.customers.models",
    "core.places.models",
    "core.records.models",
    "core.rules.models",
    "core.rules.setting_models",
    "core.rules.obligation_models",
    "core.rules.approval_models",
    "core.rules.charge_models",
    "core.rules.schedule_models",
    "core.rules.settings",
    "core.tasks.models",
    "core.cases.models",
    "core.inspections.models",
    "core.cases.settings",
    "core.documents.models",
    "core.documents.settings",
    "core.notices.models",
    "core.notices.settings",
    "core.webhooks.models",
    "core.mail.models",
    "core.reports.models",
)


def load() -> None:
    """Import them all, so that the metadata is complete."""
    for name in MODULES:
        import_module(name)
