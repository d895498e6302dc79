"""The OpenAPI 3.1 document, written from the operations themselves: it says neither more nor less than they do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flask_babel import gettext as _

from core.users import tokens

from .door import PREFIX, TOKEN_LIMIT
from .operations import Operation
from .reading import MOST_KEY, Param
from .serving import params_of
from .shapes import Schema, shape_schema

VERSION = "1.0"
PROBLEM = "application/problem+json"
_PART = re.compile(r"\{(\w+)\}")
_ERRORS = (400, 401, 403, 404, 406, 409, 412, 413, 415, 416, 422, 429, 503)


def document(operations: Sequence[Operation]) -> Schema:
    """Return the document in the language of the request."""
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {"title": _("After-sales"), "version": VERSION, "description": _about()},
        "servers": [{"url": PREFIX}],
        "security": [{"token": []}],
        "tags": [{"name": name} for name in dict.fromkeys(str(one.tag) for one in operations)],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": _scopes_said()}},
            "schemas": _schemas(),
            "responses": {str(status): _problem(status) for status in _ERRORS},
            "headers": _HEADERS,
        },
    }


def _about() -> str:
    return _(
        "Lists come in pages: follow next until it is null. Errors are problem+json; refusals name their clause. "
        "At most %(limit)s for each token.",
        limit=TOKEN_LIMIT,
    )


def _scopes_said() -> str:
    return "\n".join(f"- `{code}`: {label}" for code, label in tokens.scope_choices())


def _schemas() -> Schema:
    from .resources import customers, files, money, records, units

    named = {
        name: shape for room in (records, customers, money, files, units) for name, shape in room.SHAPES.items()
    }
    named["record_ref"] = {"uid": "uid", "type": "string", "number": "string"}
    found = {name: shape_schema(shape) for name, shape in sorted(named.items())}
    # People, customers and records that are not there, or not for this caller, are null wherever they are named.
    for name in ("person", "customer_ref", "record_ref", "contact"):
        found[name] = {**found[name], "type": ["object", "null"]}
    return {**found, "problem": _PROBLEM_SCHEMA}


_PROBLEM_SCHEMA: Schema = {
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "object",
            "description": "Messages by field",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
        "refusals": {"type": "array", "items": {"$ref": "#/components/schemas/refusal"}},
    },
    "additionalProperties": False,
    "examples": [
        {
            "type": "urn:shouhou:problem:refused",
            "title": "This is not possible now",
            "status": 409,
            "refusals": [{"code": "state", "text": "…", "clause": "R34-4.2.1"}],
        }
    ],
}
_HEADERS: Schema = {
    "ETag": {"schema": {"type": "string"}, "description": "For If-Match and If-None-Match"},
    "Location": {"schema": {"type": "string"}, "description": "Where the new one is"},
    "Link": {"schema": {"type": "string"}, "description": 'The next page (rel="next")'},
    "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"},
    "WWW-Authenticate": {"schema": {"type": "string"}},
    "Idempotency-Replayed": {"schema": {"type": "string"}, "description": "The first answer, once more"},
}


def _problem(status: int) -> Schema:
    said = {
        400: _("This request could not be understood"),
        401: _("A valid API token is needed"),
        403: _("You do not have permission for this"),
        404: _("Not found"),
        406: _("Only JSON is answered here"),
        409: _("This is not possible now"),
        412: _("This was changed meanwhile"),
        413: _("The file is too large"),
        415: _("This kind of content is not accepted"),
        416: _("The file is not that long"),
        422: _("Please check the marked fields"),
        429: _("Too many requests"),
        503: _("The database cannot be used just now"),
    }[status]
    headers = {401: ["WWW-Authenticate"], 403: ["WWW-Authenticate"], 429: ["Retry-After"]}.get(status, [])
    return {
        "description": said,
        "headers": _named(headers),
        "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/problem"}}},
    }


def _named(headers: Iterable[str]) -> Schema:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in headers}


# --- one operation ---------------------------------------------------------------------------------


def _operation(one: Operation) -> Schema:
    said = [str(one.help)] if one.help else []
    if one.scope:
        said.append(_("Scope: %(scope)s", scope=one.scope))
    if one.plugin:
        said.append(_("Answers 404 where the plugin is off."))
    found: Schema = {
        "operationId": one.name,
        "summary": str(one.title),
        "description": " ".join(said),
        "tags": [str(one.tag)],
        "parameters": [*_path_parts(one), *_query(one), *_header_params(one)],
        "responses": {**_success(one), **_failures(one)},
    }
    if one.body is not None:
        content: Schema = {"schema": one.body.schema()}
        if one.body.example:
            content["example"] = dict(one.body.example)
        found["requestBody"] = {"required": one.body.needed, "content": {"application/json": content}}
    if one.upload:
        from .resources.files import UPLOAD_SCHEMA

        found["requestBody"] = {"required": True, "content": {"multipart/form-data": {"schema": UPLOAD_SCHEMA}}}
    return found


_PARTS: Mapping[str, Schema] = {
    "uid": {"type": "string", "format": "uuid"},
    "id": {"type": "string", "minLength": 1, "maxLength": 40},
    "code": {"type": "string", "minLength": 1, "maxLength": 40},
}


def _path_parts(one: Operation) -> list[Schema]:
    found = []
    for name in _PART.findall(one.path):
        schema = {"type": "string", "enum": list(one.parts[name])} if name in one.parts else _PARTS[name]
        found.append({"name": name, "in": "path", "required": True, "schema": schema})
    return found


def _query(one: Operation) -> list[Schema]:
    return [_param(param) for param in params_of(one)]


def _param(param: Param) -> Schema:
    return {"name": param.name, "in": "query", "description": str(param.help), "schema": param.schema()}


def _header_params(one: Operation) -> list[Schema]:
    text = {"type": "string", "maxLength": 200}
    found = [
        ("X-Unit", _("Code of a unit: only what is its own; what is new belongs to it"), {**text, "maxLength": 40})
    ]
    if one.keyed:
        key = {"type": "string", "minLength": 1, "maxLength": MOST_KEY, "pattern": "^[!-~]+$"}
        found.append(("Idempotency-Key", _("The same key again gets the first answer again"), key))
    if one.guarded:
        found.append(("If-Match", _("The ETag that was read; another version is refused with 412"), text))
    if one.versioned and one.method == "GET":
        found.append(("If-None-Match", _("The ETag that was read; unchanged is answered with 304"), text))
    return [{"name": n, "in": "header", "description": said, "schema": schema} for n, said, schema in found]


def _success(one: Operation) -> Schema:
    if one.download:
        files = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
        return {
            "200": {"description": _("The file"), "content": files},
            "206": {"description": _("Part of the file"), "content": files},
            "304": {"description": _("Unchanged")},
        }
    headers = [
        *(["ETag"] if one.versioned else []),
        *(["Location"] if one.made else []),
        *(["Link"] if one.listed else []),
        *(["Idempotency-Replayed"] if one.keyed else []),
    ]
    schema = _page_schema(one) if one.listed else shape_schema(one.answer)
    answer = {
        "description": _("Done") if one.writes else _("Found"),
        "headers": _named(headers),
        "content": {"application/json": {"schema": schema}},
    }
    found = {"201" if one.made else "200": answer}
    if one.versioned and not one.writes:
        found["304"] = {"description": _("Unchanged")}
    return found


def _page_schema(one: Operation) -> Schema:
    return {
        "type": "object",
        "required": ["items", "next"],
        "properties": {
            "items": {"type": "array", "items": shape_schema(one.answer)},
            "next": {"type": ["string", "null"], "description": _("Address of the next page")},
            "count": {"type": "integer"},
            "count_capped": {"type": "boolean"},
        },
        "additionalProperties": False,
    }


def _failures(one: Operation) -> Schema:
    statuses = {401, 403, 404, 422, 429, 503}
    if not one.download:
        statuses.add(406)
    else:
        statuses.add(416)
    if one.writes:
        statuses.add(409)
    if one.body is not None or one.upload:
        statuses |= {400, 413, 415}
    if one.guarded:
        statuses.add(412)
    return {str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(statuses)}
