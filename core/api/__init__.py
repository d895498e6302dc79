"""The JSON API under ``/api/v1``: assembled once, from what the core and the installed plugins declare."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Flask, Response, json
from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from core.kernel.i18n import current_locale
from core.kernel.manifest import Manifest
from core.users import tokens

from .operations import Operation

EXTENSION = "api_operations"


def init_app(app: Flask) -> None:
    """Mount every operation; call it after the plugins have declared theirs (``api_resources``)."""
    from core.web.security import csrf

    from . import door, serving

    operations = _operations(app)
    app.extensions[EXTENSION] = operations
    tokens.offer(_scopes(app, operations))
    door_of = Blueprint("api", __name__, url_prefix=door.PREFIX)
    # Cookies are not looked at under this address, so nobody can be tricked into sending one along.
    csrf.exempt(door_of)
    for one in operations:
        rule = one.path.replace("{", "<").replace("}", ">")
        door_of.add_url_rule(
            rule, one.name, serving.view_of(one), methods=[one.method], provide_automatic_options=False
        )
    door_of.add_url_rule(
        "/openapi.json",
        "openapi",
        serving.view_of(Operation("openapi", "GET", "/openapi.json", "", "", _document, download=True)),
        provide_automatic_options=False,
    )
    app.register_blueprint(door_of)
    app.before_request_funcs.setdefault(None, []).insert(0, door.speak)


def _operations(app: Flask) -> list[Operation]:
    from . import plugged
    from .resources import customers, files, inspections, money, places, records, units

    found = [
        one for room in (units, records, customers, money, files, places, inspections) for one in room.operations()
    ]
    for resource in app.extensions["api_resources"]:
        found += plugged.operations(resource)
    return found


def _document() -> Response:
    """Describe the API of this deployment, in the language of the request."""
    from flask import current_app

    from . import openapi

    kept: dict[str, str] = current_app.extensions.setdefault("api_document", {})
    locale = current_locale()
    if locale not in kept:
        kept[locale] = json.dumps(openapi.document(current_app.extensions[EXTENSION]), ensure_ascii=False)
    return Response(kept[locale], mimetype="application/json")


_AREAS: dict[str, Any] = {
    "case": _l("Cases and other records"),
    "customer": _l("Customers"),
    "attachment": _l("Attachments"),
    "charge": _l("Charges"),
    "approval": _l("Approvals"),
    "rules": _l("Regulations"),
    "place": _l("Places"),
    "inspection": _l("Inspection rounds"),
}


def _title(plugin: Manifest) -> Any:
    return LazyString(lambda: plugin.title(current_locale()))


def _scopes(app: Flask, operations: list[Operation]) -> list[tuple[str, Any]]:
    """Return every scope that an operation asks for, with words, the widest last."""
    areas = {one.permission.partition(".")[0]: one.plugin for one in app.extensions["api_resources"]}
    plugins = {area: _title(app.extensions["plugins"].get(plugin)) for area, plugin in areas.items()}
    wanted = dict.fromkeys(one.scope for one in operations if one.scope and one.scope not in tokens.APART)
    found = []
    for scope in sorted(wanted, key=lambda code: (code.partition(".")[0] not in _AREAS, code)):
        area, _, what = scope.partition(".")
        label = _AREAS.get(area, plugins.get(area, area))
        said = _l("%(what)s: read", what=label) if what == "read" else _l("%(what)s: read and write", what=label)
        found.append((scope, said))
    return [
        *found,
        ("customer.pii", _l("See personal data in full")),
        (tokens.ALL_READ, _l("Read everything its person may")),
        (tokens.ALL, _l("Everything its person may")),
    ]
