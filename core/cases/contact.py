"""Look-ups of a case's personal data in full. They are logged, so they are for POST requests only."""

from __future__ import annotations

from core.cases.models import Case
from core.kernel.access import require
from core.kernel.audit import record_audit
from core.kernel.database import transaction
from core.kernel.errors import NotFound
from core.records.engine import detail_of, fetch_visible
from core.records.models import Record


def reveal_contact(record_id: object) -> Record:
    """Log that the actor asked to see a case's contact in full, and return the record.

    Raises:
        NotFound: no such case in the scope. NotAllowed: without ``customer.pii``.
    """
    with transaction():
        record = fetch_visible(record_id)
        if not isinstance(detail_of(record), Case):
            raise NotFound()
        require("customer.pii", record.unit_id)
        record_audit("case.contact_revealed", ("case", record.id), unit_id=record.unit_id)
        return record
