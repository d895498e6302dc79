"""Tests of the product file."""
