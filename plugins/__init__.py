"""Plugins live here, one folder each; how to write one: README.md."""
