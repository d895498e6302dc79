"""From an operation to an answer: the query read, the view called, fields picked, ETags and retries minded."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from flask import Response, g, request
from flask import json as flask_json
from flask_babel import lazy_gettext as _l

from core.kernel.database import access_mode, transaction
from core.kernel.errors import AppError, Conflict
from core.records.engine import answered_before, remember_answer

from . import paging
from .door import enter, finish, known
from .operations import Operation
from .reading import Param, json_body, read_query, request_key

T = TypeVar("T")
UNIT_PARAM = Param("unit", "string", _l("Code of a unit: only what is its own (like the header X-Unit)"), most=40)
_TAG = re.compile(r'"(\d{1,10})\.[0-9a-f]{16}"')


class Stale(AppError):
    """``If-Match`` names another version than there is now."""

    status = 412
    code = "stale"
    title = _l("This was changed meanwhile")


@dataclass
class Reply:
    """What a view answers when it is more than a body. ``version`` makes an ETag."""

    body: Mapping[str, Any] | None
    status: int = 200
    version: int | None = None
    location: str = ""
    replayed: bool = False


def params_of(operation: Operation) -> tuple[Param, ...]:
    """Return every parameter of the query that an operation takes."""
    if operation.listed:
        return (*operation.params, *paging.PAGE_PARAMS, UNIT_PARAM)
    picks = (paging.FIELDS_PARAM,) if operation.method == "GET" and not operation.download else ()
    return (*operation.params, *picks, UNIT_PARAM)


def view_of(operation: Operation) -> Callable[..., Response]:
    """Return the Flask view of an operation."""
    params = params_of(operation)

    def view(**parts: str) -> Response:
        enter(operation)
        g.api_query = known(read_query(params))
        if operation.body is not None:
            g.api_body = json_body(needed=operation.body.needed)
        result = operation.view(**parts)
        return finish(result if isinstance(result, Response) else _answer(operation, result))

    cast(Any, view).skip_context = True
    return view


def query() -> dict[str, Any]:
    """Return the checked query of this request."""
    return cast(dict[str, Any], g.api_query)


def body() -> dict[str, Any]:
    """Return the JSON object of this request."""
    return cast(dict[str, Any], g.api_body)


def _answer(operation: Operation, result: Any) -> Response:
    reply = result if isinstance(result, Reply) else Reply(result)
    if reply.body is None:
        return Response(status=204)
    shown = reply.body
    if operation.method == "GET" and not operation.listed:
        shown = pick(shown, paging.wanted_fields(query(), list(operation.answer)))
    response = Response(flask_json.dumps(shown, ensure_ascii=False), reply.status, mimetype="application/json")
    if operation.listed and shown.get("next"):
        response.headers["Link"] = f'<{shown["next"]}>; rel="next"'
    if reply.location:
        response.headers["Location"] = reply.location
    if reply.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    if reply.version is not None:
        response.set_etag(f"{reply.version}.{hashlib.sha256(response.get_data()).hexdigest()[:16]}")
        if operation.method == "GET":
            response.make_conditional(request.environ)
    return response


def pick(row: Mapping[str, Any], names: Sequence[str] | None) -> Mapping[str, Any]:
    """Return only the named fields of a row."""
    return row if names is None else {name: row[name] for name in names if name in row}


def page(
    operation_name: str,
    statement: Any,
    order: paging.Order,
    show: Callable[[Sequence[Any]], Sequence[Mapping[str, Any]]],
    shape: Mapping[str, Any],
    counted: Any,
) -> dict[str, Any]:
    """Answer one page of a list: load, show, pick. ``counted`` is the column that ``count=1`` counts."""
    asked = query()
    names = paging.wanted_fields(asked, list(shape))
    rows, cursor = paging.load(statement, order, asked)
    items = [dict(pick(one, names)) for one in show(rows)]
    return paging.envelope(items, cursor, asked, lambda: paging.counted(statement, counted))


def narrowed(statement: Any, params: Sequence[Param]) -> Any:
    """Narrow a list's statement by the filters of the query."""
    asked = query()
    for one in params:
        if one.narrow is not None and one.name in asked:
            statement = one.narrow(statement, asked[one.name])
    return statement


# --- writing ---------------------------------------------------------------------------------------


def once(
    unit_id: int,
    raw: Mapping[str, Any],
    act: Callable[[], T],
    find: Callable[[Any], T],
    ref: Callable[[T], Any],
) -> tuple[T, bool]:
    """Do something in one transaction, once for each ``Idempotency-Key``; tell whether it had been done before.

    ``ref`` names the result as JSON, ``find`` finds it by that name for a retry.

    Raises:
        Conflict: the key was used for something else. Whatever ``act`` raises: then the key is free again.
    """
    key = request_key()
    action = f"api:{hashlib.sha256(f'{request.method} {request.path}'.encode()).hexdigest()[:60]}"
    with transaction():
        before = answered_before(unit_id, f"api:{key}", action, raw) if key else None
        if before is not None:
            result, replayed = find(before["ref"]), True
        else:
            result, replayed = act(), False
            if key:
                remember_answer(unit_id, f"api:{key}", {"ref": ref(result)})
    read_on()
    return result, replayed


def service_key() -> str:
    """Return the key for a service that minds retries itself; '' without the header."""
    key = request_key()
    return f"api:{key}" if key else ""


def read_on() -> None:
    """What follows only reads: on SQLite it need not wait for the write lock again."""
    access_mode.set("read")


@contextmanager
def matched(version: int) -> Iterator[int | None]:
    """Hold a change against ``If-Match``; yield the version for the service to check again, None without one.

    Raises:
        Stale: the header names another version.
    """
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        yield None
        return
    if str(version) not in _TAG.findall(header):
        raise Stale()
    try:
        yield version
    except Conflict as error:
        # Somebody was faster between our look and the lock.
        raise (Stale() if error.message is Conflict.title else error) from None
