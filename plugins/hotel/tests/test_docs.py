"""What docs/hotel.md says: its clauses and collections of the API are those that there are."""

from __future__ import annotations

import re

from flask import Flask

from core.kernel.settings import ROOT

TEXT = (ROOT / "docs" / "hotel.md").read_text("utf-8")


def test_every_clause_of_the_plugin_is_named() -> None:
    book = (ROOT / "plugins" / "hotel" / "rulebook.toml").read_text("utf-8")
    ids = set(re.findall(r'^id = "((?:R06|JD)-[^"]+)"', book, re.M))
    assert len(ids) == 29
    assert {one for one in ids if one not in TEXT} == set()


def test_every_collection_of_the_api_is_named(sqlite_app: Flask) -> None:
    rules = (one.rule for one in sqlite_app.url_map.iter_rules())
    found = {rule.split("/")[4] for rule in rules if rule.startswith("/api/v1/hotel/")}
    assert {one for one in found if f"`{one}`" not in TEXT} == set()
