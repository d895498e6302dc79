"""Is this process alive, and is its database ready? Until it is, every page answers 503 and says what to do."""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

from flask import Blueprint, Flask, current_app, jsonify, request
from flask_babel import lazy_gettext as _l
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from . import migrations
from .database import db
from .errors import AppError

health = Blueprint("health", __name__)
# Databases found ready; asked again only while they are not, so an upgrade takes effect without a restart.
_ready: WeakSet[Engine] = WeakSet()


class NotReady(AppError):
    """The database is behind the code; ``rooms`` names what must be upgraded."""

    status = 503
    code = "upgrade_needed"
    title = _l("The database must be upgraded first")

    def __init__(self, rooms: list[str]) -> None:
        names = ", ".join(rooms)
        text = _l(
            "Nothing was changed. The administrator runs “flask db upgrade”; then reload this page. (%(names)s)",
            names=names,
        )
        super().__init__(text)
        self.rooms = rooms


def init_app(app: Flask) -> None:
    """Guard every page, and add ``/healthz`` and ``/readyz``. Call it before the other doors."""
    app.before_request(_guard)
    app.register_blueprint(health)


def rooms_behind() -> list[str]:
    """Return the rooms whose tables are not at the newest revision; [] once ready."""
    engine = db.engine
    if engine in _ready:
        return []
    behind = migrations.behind(engine, current_app.extensions["rooms"])
    if not behind:
        _ready.add(engine)
    return behind


def _guard() -> None:
    if request.blueprint == "health" or (request.endpoint or "").endswith("static"):
        return
    if behind := rooms_behind():
        raise NotReady(behind)


@health.get("/healthz")
def alive() -> Any:
    """Answer while the process lives; touch nothing else."""
    return jsonify(status="ok")


@health.get("/readyz")
def ready() -> Any:
    """Answer 200 when the database answers and every room is at its newest revision, else 503 and why."""
    try:
        with db.engine.connect():
            behind = migrations.behind(db.engine, current_app.extensions["rooms"])
    except SQLAlchemyError:
        return jsonify(status="no database"), 503
    if behind:
        return jsonify(status="upgrade needed", rooms=behind), 503
    return jsonify(status="ready")


for view in (alive, ready):
    view.skip_context = view.is_public = True  # type: ignore[attr-defined]
