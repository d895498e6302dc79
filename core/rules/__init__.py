"""Regulations, their clauses, and the clocks that clauses count by."""
