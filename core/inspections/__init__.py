"""Checklists with versions, and the inspections filled in by them: planned, recurring or on demand."""
