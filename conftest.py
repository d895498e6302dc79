"""Shares the fixtures of ``tests/fixtures.py`` with core tests and every plugin's own tests."""

pytest_plugins = ("tests.fixtures",)
