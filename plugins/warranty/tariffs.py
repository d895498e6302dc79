"""Tariffs and part prices: made, copied forward, released, withdrawn. Flushes, never commits."""

from __future__ import annotations
