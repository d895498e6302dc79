"""Clauses that a place of the product carries out by what it is, without a rule of its own."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from core.rules.coverage import Binding

PLACES = (
    # The ledger is the list of cases with its export; every case belongs to a customer on file.
    Binding("R09-5.2.6b", "record", "cases.index_view", (_l("Cases"),)),
    Binding("R09-5.2.6b", "record", "customers.index_view", (_l("Customers"),)),
    Binding("R04-2.4a", "record", "customers.index_view", (_l("Customers"),)),
    # Worked out when a case is solved, from the first move to the end of the work.
    Binding("R28-3.4", "record", "case.solve.service_minutes", (_l("Case"), _l("Duration of service"))),
    Binding("R28-4.1", "record", "authority.index", (_l("Table of authority"),)),
)
