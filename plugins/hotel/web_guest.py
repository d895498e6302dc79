"""The page behind the code in a room: anybody who stands there may tell the house something."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask import redirect as _redirect
from flask.typing import ResponseReturnValue

from core.sdk import Field, Place, places, uuid7
from core.sdk_web import FieldsForm, form_from_fields, open_page, went_through

from . import guest
from .rights import REPORT

# No person sees this field; whoever fills it in is a program.
TRAP = "website"
SENT = "sent"


def add_routes(blueprint: Blueprint) -> None:
    """Add the page to the plugin's blueprint (mounted at ``/p/hotel/``)."""
    blueprint.add_url_rule("/guest/<code>", "guest", page, methods=("GET", "POST"))


@open_page(guest.unit_of, (REPORT,))
def page(code: str) -> ResponseReturnValue:
    """Ask what is the matter, take it down once, say thank you."""
    place = guest.place_of(code)
    thanks = url_for("hotel.guest", code=code, done=1)
    if request.method == "GET" and request.args.get("done"):
        return _draw(place, None)
    if request.form.get(TRAP):
        return _redirect(thanks, 303)
    form = form_from_fields(_fields())
    if went_through(form, lambda: guest.report(place, form.cleaned, key=_key(place))):
        return _redirect(thanks, 303)
    return _draw(place, form)


def _key(place: Place) -> str:
    """Return the key of what is sent: the same words of a form once; who goes back and writes others is heard."""
    said = "\n".join((str(place.id), *(request.form.get(one.name, "") for one in guest.FIELDS)))
    return f"guest:{request.form.get('key', '')[:36]}:{sha256(said.encode()).hexdigest()[:32]}"


def _fields() -> tuple[Field, ...]:
    return guest.FIELDS


def _draw(place: Place, form: FieldsForm | None) -> tuple[str, int]:
    shown: dict[str, Any] = {"form": form, "place": places.name_of(place), "trap": TRAP}
    shown["key"] = request.form.get("key") or str(uuid7())
    page_ = render_template("hotel/guest.html", **shown)
    return page_, 422 if request.method == "POST" else 200
