"""What tests of the API share: a client that speaks with a token, and tokens for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from core.kernel.database import transaction
from core.units.models import Unit
from core.users import tokens
from core.users.models import User
from tests.helpers import in_scope

API = "/api/v1"


def token_of(user: User, *scopes: str, units: Iterable[Unit] = (), **changes: Any) -> str:
    """Make a token of a user's own and return its secret; ``changes`` are put into its row afterwards."""
    chosen = list(units)
    with in_scope(chosen or [0], (), user), transaction():
        choices = [(str(unit.id), unit.name) for unit in chosen]
        raw = {"name": "test", "scopes": list(scopes or ("*",)), "units": [code for code, _name in choices]}
        row, secret = tokens.make_token(raw, choices)
        for name, value in changes.items():
            setattr(row, name, value)
    return secret


class Asker:
    """A program that asks the API with one token."""

    def __init__(self, app: Flask, secret: str, **headers: str) -> None:
        self.client = app.test_client(use_cookies=False)
        self.headers = {"Authorization": f"Bearer {secret}", "Accept-Language": "en", **headers}

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        """Send a request; underscores of ``headers`` stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent: dict[str, Any] = {} if body is None else {"json": body}
        return self.client.open(API + path, method=method, headers={**self.headers, **named}, **sent)

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> TestResponse:
        return self.ask("POST", path, body, **headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> TestResponse:
        return self.ask("PATCH", path, body, **headers)
