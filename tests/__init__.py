"""Tests of the core, and what plugins' tests share: fixtures, helpers, the plugin contract."""
