"""The examples of docs/api.md are asked for and answered as they say."""

from __future__ import annotations

import io
import json
import re
import shlex
from pathlib import Path
from typing import Any

from flask import Flask

from core.users.permissions import all_permissions
from tests.api_scene import token_of
from tests.casework import make_office
from tests.helpers import make_user, switch_on

DOC = Path(__file__).resolve().parents[1] / "docs" / "api.md"
EXAMPLE = re.compile(r"```sh\n(.+?)```\n```json\n(.+?)```", re.S)
KEPT = re.compile(r"(\w+)=\$\((.+) \| jq -r \.(\w+)\)\s*", re.S)


def test_the_examples_hold(sqlite_app: Flask) -> None:
    office = make_office("HQ")
    switch_on(office.unit, "products")
    boss = make_user(office.unit, [one.code for one in all_permissions()], name="前台")
    variables = {"API": "/api/v1", "TOKEN": token_of(boss)}
    examples = EXAMPLE.findall(DOC.read_text("utf-8"))
    assert len(examples) >= 12
    for command, expected in examples:
        kept = KEPT.fullmatch(command)
        answer = _run(sqlite_app, kept.group(2) if kept else command, variables)
        _compare(answer, json.loads(expected), command)
        if kept:
            variables[kept.group(1)] = str(answer[kept.group(3)])


def _run(app: Flask, command: str, variables: dict[str, str]) -> Any:
    """Do what a curl command would do."""
    filled = re.sub(r"\$(\w+)", lambda found: variables[found.group(1)], command.replace("\\\n", " "))
    words = shlex.split(filled)
    assert words.pop(0) == "curl"
    method, path, headers, sent = "GET", "", {}, {}
    form: dict[str, Any] = {}
    while words:
        word = words.pop(0)
        if word == "-X":
            method = words.pop(0)
        elif word == "-H":
            name, _, value = words.pop(0).partition(": ")
            headers[name] = value
        elif word == "-d":
            sent["data"] = words.pop(0)
        elif word == "-F":
            name, _, value = words.pop(0).partition("=")
            form[name] = (io.BytesIO("保修卡\n".encode()), value[1:]) if value.startswith("@") else value
        else:
            path = word
    if form:
        sent["data"] = form
    return app.test_client(use_cookies=False).open(path, method=method, headers=headers, **sent).json


def _compare(got: Any, expected: Any, command: str) -> None:
    """Hold an answer against the example, which may leave out fields and say … for anything."""
    if expected == "…":
        return
    if isinstance(expected, dict):
        assert isinstance(got, dict), (command, got)
        for name, value in expected.items():
            assert name in got, (command, name, got)
            _compare(got[name], value, command)
    elif isinstance(expected, list):
        assert len(got) >= len(expected), (command, got)
        for one, other in zip(got, expected, strict=False):
            _compare(one, other, command)
    else:
        assert got == expected, (command, got)
