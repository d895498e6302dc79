"""Shouhou core: users, customers, cases, and the machinery plugins stand on."""

__version__ = "1.0.0"
