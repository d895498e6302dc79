"""Error pages in our layout and the user's language; problem+json for programs."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Any

from flask import Flask, Response, current_app, json, render_template, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.exceptions import HTTPException, UnprocessableEntity

from core.kernel.errors import AppError, Conflict, InvalidData, Refusal, Refused

_TEXTS: dict[int, tuple[Any, Any]] = {
    400: (_l("This request could not be understood"), _l("Go back, reload the page and try again.")),
    401: (_l("Please sign in"), _l("This page is for signed-in staff only.")),
    403: (
        _l("You do not have permission for this"),
        _l("If you need it for your work, ask the security administrator for the right position."),
    ),
    404: (_l("Not found"), _l("It does not exist, or it is not yours to see. Check the number or the link.")),
    405: (_l("This address cannot be used like that"), _l("Go back and use the buttons of the page.")),
    412: (_l("This was changed meanwhile"), _l("Nothing was changed. Read it again, then try again.")),
    409: (_l("This is not possible now"), _l("Nothing was changed.")),
    413: (_l("The file is too large"), _l("Nothing was saved. Make the file smaller or split it.")),
    415: (_l("This kind of content is not accepted"), _l("Nothing was saved.")),
    422: (_l("Please check the marked fields"), _l("Nothing was changed.")),
    429: (_l("Too many requests"), _l("Please wait a moment, then try again.")),
    500: (
        _l("Something went wrong on our side"),
        _l("Nothing was saved. Please try again; if it happens again, tell the administrator the time."),
    ),
    503: (
        _l("The database cannot be used just now"),
        _l("Nothing was saved. It is busy, full or being changed. Please try again in a minute."),
    ),
}
_CODES = {
    400: "bad_request",
    401: "sign_in_needed",
    403: "not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    412: "stale",
    413: "too_large",
    415: "media_type",
    422: "invalid",
    429: "too_many_requests",
}


def init_app(app: Flask) -> None:
    """Register the handlers."""
    app.register_error_handler(AppError, _app_error)
    app.register_error_handler(CSRFError, _csrf_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(StaleDataError, lambda _error: _app_error(Conflict()))
    app.register_error_handler(OperationalError, _database_error)
    app.register_error_handler(IntegrityError, _collision)
    app.register_error_handler(DataError, _unfit)
    app.register_error_handler(OSError, _storage_error)
    app.register_error_handler(500, _crash)


def wants_json() -> bool:
    """Tell whether the asker is a program: an address under /api/, or one that accepts JSON but no page."""
    accepted = request.accept_mimetypes
    takes_json = accepted.accept_json or accepted["application/problem+json"] > 0
    return request.path.startswith("/api/") or (takes_json and not accepted.accept_html)


def problem(status: int, code: str, title: Any, detail: Any = "", **more: Any) -> Response:
    """Build an ``application/problem+json`` answer (RFC 9457)."""
    body = {"type": f"urn:shouhou:problem:{code}", "title": str(title), "status": status}
    if detail:
        body["detail"] = str(detail)
    return Response(json.dumps(body | more), status, content_type="application/problem+json")


def error_page(
    status: int, title: Any = "", detail: Any = "", items: Any = (), refusals: Sequence[Refusal] = ()
) -> tuple[str, int]:
    """Render an error in our layout; refusals lead to their clauses."""
    own_title, own_detail = _TEXTS.get(status, _TEXTS[400 if status < 500 else 500])
    page = render_template(
        "errors/error.html",
        status=status,
        title=title or own_title,
        detail=detail or own_detail,
        items=items,
        refusals=refusals,
    )
    return page, status


def _app_error(error: AppError) -> Any:
    items: list[Any] = []
    refusals: Sequence[Refusal] = ()
    more: dict[str, Any] = {}
    if isinstance(error, InvalidData):
        more["errors"] = {name: [str(t) for t in texts] for name, texts in error.errors.items()}
        items = error.texts()
    if isinstance(error, Refused):
        more["refusals"] = [{"code": r.code, "text": str(r.text), "clause": r.clause} for r in error.refusals]
        refusals = error.refusals
    if wants_json():
        answer = problem(error.status, error.code, error.title, error.message, **more)
        answer.headers.update(getattr(error, "headers", {}))
        return answer
    own_words = error.message if str(error.message) != str(error.title) else ""
    return error_page(error.status, error.title, own_words, items, refusals)


def _csrf_error(_error: CSRFError) -> Any:
    title = _("This page was open for too long")
    detail = _("For your safety nothing was changed. Go back, reload the page and send it again.")
    return problem(400, "csrf", title, detail) if wants_json() else error_page(400, title, detail)


def _http_error(error: HTTPException) -> Any:
    status = error.code or 500
    if status < 400 or error.response is not None:
        return error
    title, detail = _TEXTS.get(status, _TEXTS[400 if status < 500 else 500])
    if wants_json():
        answer: Any = problem(status, _CODES.get(status, "error"), title, detail)
    else:
        page, _status = error_page(status)
        answer = Response(page, status, content_type="text/html; charset=utf-8")
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            answer.headers[name] = value
    return answer


def _database_error(error: OperationalError) -> Any:
    current_app.logger.error("database: %s", error.orig)
    answer = problem(503, "database", _TEXTS[503][0], _TEXTS[503][1]) if wants_json() else error_page(503)
    return answer


def _collision(error: IntegrityError) -> Any:
    """Two people added the same thing at the same moment; who came second is told like any other second."""
    current_app.logger.error("database: %s", error.orig)
    return _app_error(Conflict())


def _unfit(error: DataError) -> Any:
    """A value that no column takes got past the forms: ours not to have said it better, but no crash."""
    current_app.logger.error("database: %s", error.orig)
    return _http_error(UnprocessableEntity())


def _storage_error(error: OSError) -> Any:
    """The disk is full or may not be written; anything else of the system is a crash."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        raise error
    current_app.logger.error("storage: %s", error)
    return problem(503, "storage", *_TEXTS[503]) if wants_json() else error_page(503)


def _crash(_error: Exception) -> Any:
    title, detail = _TEXTS[500]
    return problem(500, "crash", title, detail) if wants_json() else error_page(500)
