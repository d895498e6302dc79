"""Part of the plugin: batches in stock, outgoing goods, objections, removals: what it contributes to each hook."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from core.sdk import Job, Part, Periodic

from . import issues, objections, removals, rules_stock, stopping

stopping.connect()


def _jobs() -> list[Job | Periodic]:
    forget = Periodic(
        "store.forget_phones", _l("Forget phones of buyers who are not on file"), issues.forget_phones, hour=3
    )
    return [*removals.jobs(), forget]


PART = Part(
    record_types=(issues.TYPE, objections.TYPE, removals.TYPE),
    rules=rules_stock.RULES,
    jobs=_jobs,
)
