"""Pages beside the file: another place for a tool, a permit taken back."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.sdk import NotFound, may
from core.sdk_web import FieldsForm, check_version, form_from_fields, went_through

from . import file, holders, kinds, permits
from .rights import DECIDE, KEEP
from .screens_file import chosen
from .screens_tools import tool_url


def add_routes(blueprint: Blueprint) -> None:
    """Add the pages to the plugin's blueprint (mounted at ``/p/tools/``)."""
    both = ("GET", "POST")
    blueprint.add_url_rule("/tool/<tool_id>/place", "tool_place", tool_place, methods=both)
    blueprint.add_url_rule("/permit/<permit_id>/end", "permit_end", permit_end, methods=both)


def tool_place(tool_id: str) -> ResponseReturnValue:
    """Give a tool another place in its store."""
    tool = file.get_tool(tool_id)
    if not may(KEEP, tool.unit_id):
        raise NotFound()
    store = file.home_of(tool)
    field = chosen(file.PLACE, holders.place_choices(tool.unit_id, store.id), help=store.name)
    form = form_from_fields(
        (field,), {"place": str(tool.place_id) if tool.place_id else ""}, timezone=g.unit.timezone
    )

    def save() -> None:
        check_version(tool, request.form.get("version"))
        file.relocate(tool.record, form.cleaned)

    if went_through(form, save):
        flash(_("Saved."), "good")
        return redirect(tool_url(tool))
    return _page(_l("Change the place"), f"{tool.code} {tool.name}", form, tool.version, tool_url(tool))


def permit_end(permit_id: str) -> ResponseReturnValue:
    """Take a permit back."""
    permit = permits.get(permit_id)
    if not (may(KEEP, permit.unit_id) or may(DECIDE, permit.unit_id)):
        raise NotFound()
    back = url_for("tools_permit.details_view", id=permit.id)
    form = form_from_fields(permits.END_FIELDS, timezone=g.unit.timezone)

    def save() -> None:
        check_version(permit, request.form.get("version"))
        permits.end(permit, form.cleaned)

    if went_through(form, save):
        flash(_("Saved."), "good")
        return redirect(back)
    about = f"{permit.user.name} · {kinds.kind_label(permit.kind)}"
    return _page(_l("Take the permit back"), about, form, permit.version, back)


def _page(title: Any, about: str, form: FieldsForm, version: int, back: str) -> ResponseReturnValue:
    page = render_template(
        "tools/file_form.html",
        title=title,
        about=about,
        form=form,
        version=request.form.get("version") or version,
        label=_("Save"),
        back=back,
    )
    return page, 422 if request.method == "POST" else 200
