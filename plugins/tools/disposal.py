"""Retired tools leave the books with a proof of disposal (R33-8.2)."""
