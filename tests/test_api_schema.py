"""The API holds what its OpenAPI document says: schemathesis asks every operation, with sense and with nonsense."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode, openapi
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from sqlalchemy import select

from core.kernel.database import transaction
from core.records.attachments import attach
from core.records.models import Record
from core.rules import approvals
from core.users.permissions import all_permissions
from tests.api_scene import API, Asker, token_of
from tests.casework import INTAKE, make_office
from tests.helpers import as_system, in_scope, make_user, switch_on
from tests.test_api_walk import COLLECTIONS, one_of

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]
# ``API_EXAMPLES=100`` looks longer than an ordinary run has time for.
EXAMPLES = int(os.environ.get("API_EXAMPLES", "3"))
USUAL = settings(
    max_examples=EXAMPLES,
    database=None,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class Known:
    """A unit with one of everything, and the ids by which the paths name them."""

    def __init__(self, app: Flask) -> None:
        office = make_office("HQ")
        switch_on(office.unit, *[one.name for one in app.extensions["plugins"].plugins])
        boss = make_user(office.unit, [one.code for one in all_permissions()])
        self.secret = token_of(boss)
        asker = Asker(app, self.secret)
        self.record = asker.post("/cases", INTAKE).json["uid"]
        self.customer = asker.get("/customers").json["items"][0]["uid"]
        model = asker.post("/products/models", {"code": "LN-24", "name": "壁挂炉"}).json["id"]
        item = asker.post("/products/items", {"serial": "LN-0001", "model_id": model}).json["id"]
        with in_scope(office.unit, [one.code for one in all_permissions()], boss) as work:
            key = work.scalar(select(Record.id))
            file = attach(key, "单据.txt", io.BytesIO("保修卡\n".encode())).id
            with transaction():
                asked = approvals.ask(
                    office.unit.id, clause="R01-4.4", subject="thing:1", title="减免", position="gm", reason="试"
                ).id
        with as_system() as work:
            plugged = {name: one_of(work, model, office.unit) for name, model in COLLECTIONS.items()}
        self.ids = plugged | {
            "attachments": file,
            "approvals": asked,
            "models": model,
            "items": item,
            "clauses": "R01-4.2",
        }

    def parts(self, path: str) -> dict[str, Any]:
        """Return values for the parts of a path that lead to something."""
        if "{uid}" in path:
            return {"uid": self.customer if path.startswith("/customers") else self.record}
        if "{code}" in path:
            return {"code": "HQ"}
        found = next((value for name, value in self.ids.items() if f"/{name}/" in path), None)
        return {} if found is None else {"id": str(found)}


@pytest.fixture
def known(sqlite_app: Flask) -> Iterator[Known]:
    yield Known(sqlite_app)


# schemathesis leaves what it downloads to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_every_operation_answers_what_the_document_says(sqlite_app: Flask, known: Known) -> None:
    headers = {"Authorization": f"Bearer {known.secret}"}
    schema = openapi.from_wsgi(f"{API}/openapi.json", sqlite_app, headers=headers)
    failures: list[str] = []
    reached: set[str] = set()
    for result in schema.get_all_operations():
        operation = result.ok()
        for mode in GenerationMode.POSITIVE, GenerationMode.NEGATIVE:
            ask = _asking(operation, mode, known.parts(operation.path), headers, reached)
            try:
                ask()
            except Exception as wrong:
                failures.append(f"{operation.label} {mode}: {wrong!r}\n{getattr(wrong, 'exceptions', '')}")
    assert failures == []
    names = {f"{method.upper()} {path}" for path, ways in schema.raw_schema["paths"].items() for method in ways}
    assert len(reached) > len(names) * 0.7, sorted(names - reached)


def _asking(operation: Any, mode: Any, parts: dict[str, Any], headers: dict[str, str], reached: set[str]) -> Any:
    """Return a function that asks one operation some questions; the path leads to something where it can."""
    chosen = {"path_parameters": parts} if parts and mode is GenerationMode.POSITIVE else {}

    @USUAL
    @given(case=operation.as_strategy(generation_mode=mode, **chosen))
    def ask(case: Any) -> None:
        # Of a unit that is not there nothing but 404 comes.
        case.headers = {name: value for name, value in dict(case.headers or {}).items() if name != "X-Unit"}
        case.query = {name: value for name, value in dict(case.query or {}).items() if name != "unit"}
        answer = case.call(headers=headers)
        case.validate_response(answer, checks=CHECKS)
        if answer.status_code < 300:
            reached.add(operation.label)

    return ask
