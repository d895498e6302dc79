"""What runs beside the requests: the outbox, the audit seals, tidying up."""
