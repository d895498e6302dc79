"""Labels: choose the paper and the first free place, then the PDF opens in the browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from flask import Response, g, render_template, request
from flask_admin import expose
from flask_babel import lazy_gettext as _l

from core.admin.categories import WORK
from core.admin.forms import FieldsForm, form_from_fields
from core.admin.listing import BulkAction
from core.admin.urls import back_to
from core.admin.views import Answer, Screen, enabled_plugins
from core.documents import labels
from core.documents.typeset import NotPrintable
from core.kernel.database import reading
from core.kernel.errors import InvalidData
from core.kernel.extensions import AdminEntry, PrintForm
from core.kernel.fields import Field

_PAPER = Field("size", "choice", _l("Paper"), True, choices=labels.size_choices, default=labels.SIZES[0].code)
_START = Field(
    "start",
    "int",
    _l("First free place"),
    minimum=Decimal(1),
    maximum=Decimal(max(one.places for one in labels.SIZES)),
    default=1,
    help=_l("On a sheet that was used before: places are counted row by row, from the upper left. A roll has one."),
)
_COPIES = Field(
    "copies", "int", _l("Copies of each"), minimum=Decimal(1), maximum=Decimal(labels.MOST_COPIES), default=1
)


class LabelScreen(Screen):
    """Labels for one thing or a selection. What may be printed is decided thing by thing."""

    icon = "scan"

    def is_visible(self) -> bool:
        """Reached from pages and lists."""
        return False

    @expose("/")
    def index(self) -> Answer:
        """Ask for the paper. ``form``: which label; ``id``: for what, once or more."""
        return ask(request.args.get("form") or labels.RECORD, request.args.getlist("id"))

    @expose("/print", methods=("POST",))
    def print(self) -> Answer:
        """Answer the labels as a PDF, shown in the browser."""
        given = _fields_form()
        if not given.validate_on_submit():
            return _page(*_wanted(), given), 422
        try:
            with reading():
                pdf = _pdf(given.cleaned)
        except (InvalidData, NotPrintable) as bad:
            given.show(bad)
            return _page(*_wanted(), given), bad.status
        answer = Response(pdf, mimetype="application/pdf")
        answer.headers["Content-Disposition"] = "inline; filename=labels.pdf"
        return answer


def ask(code: str, ids: Sequence[str]) -> str:
    """Draw the page that asks for the paper of labels for one thing or more.

    Raises:
        NotFound: no such label, or one of the things is not there for this actor.
        InvalidData: nothing chosen, or too much at once.
    """
    return _page(*labels.things(code, ids), _fields_form())


def label_action(code: str = labels.RECORD, permission: str = "case.view") -> BulkAction:
    """Return the bulk action of a list that prints a label (by the code of its form) for the chosen rows."""
    return BulkAction("labels", _l("Print labels"), permission=permission, page=lambda ids: ask(code, ids))


def _wanted() -> tuple[PrintForm, list[Any]]:
    return labels.things(request.form.get("form", ""), request.form.getlist("id"))


def _pdf(given: Mapping[str, Any]) -> bytes:
    paper = labels.size_of(given["size"])
    start, copies = given["start"] or 1, given["copies"] or 1
    return labels.sheet(*_wanted(), paper, request.url_root, start=start, copies=copies)


def _page(form: PrintForm, found: Sequence[Any], fields: FieldsForm) -> str:
    subject = getattr(found[0], "type", form.subject)
    others = labels.forms_for(subject, enabled_plugins()) if len(found) == 1 else []
    return render_template(
        "admin/labels.html", label=form, others=others, found=found, form=fields, back=back_to("")
    )


def _fields_form() -> FieldsForm:
    fields = (_PAPER, _START, _COPIES)
    return form_from_fields(fields, {one.name: one.default for one in fields}, timezone=g.unit.timezone)


def admin_views() -> list[AdminEntry]:
    """Return the page that prints labels."""
    return [AdminEntry(LabelScreen(name=_l("Labels"), endpoint="labels", url="/admin/labels"), WORK, 99)]
