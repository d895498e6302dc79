"""What docs/tools.md says: its calls of the API are answered, its clauses are those that there are."""

from __future__ import annotations

import re

from flask import Flask

from core.kernel.settings import ROOT
from core.users.permissions import all_permissions
from tests.api_scene import token_of
from tests.helpers import make_user
from tests.test_api_docs import _run

from .scene import make_place

TEXT = (ROOT / "docs" / "tools.md").read_text("utf-8")
COMMANDS = re.findall(r"^curl .+?(?=^curl |\Z)", re.findall(r"```sh\n(curl.+?)```", TEXT, re.S)[0], re.S | re.M)


def test_the_calls_of_the_api_are_answered(sqlite_app: Flask) -> None:
    place = make_place(code="HQ")
    boss = make_user(place.unit, [one.code for one in all_permissions()], username="programs")
    place.kind("测线仪")
    for number in (1, 2):
        place.tool(code=f"GJ0000{number}")
    place.with_clauses()
    variables = {"API": "/api/v1", "TOKEN": token_of(boss)}
    assert len(COMMANDS) == 4
    for command in COMMANDS:
        command = command.replace(
            '"giver_id": 1, "taker_user_id": 12', f'"giver_id": {place.store}, "taker_user_id": {place.ann.id}'
        )
        answer = _run(sqlite_app, command, variables)
        assert "status" not in answer, (command, answer)


def test_every_clause_of_the_plugin_is_named() -> None:
    ids = set(
        re.findall(
            r'^id = "((?:R\d+|GJ)-[^"]+)"', (ROOT / "plugins" / "tools" / "rulebook.toml").read_text("utf-8"), re.M
        )
    )
    assert len(ids) > 50
    assert {one for one in ids if one not in TEXT} == set()
