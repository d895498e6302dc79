"""What lists of the store's records have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import g, redirect, request
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, select
from sqlalchemy.orm import contains_eager

from core.sdk import AppError, Choices, Field, InvalidData, Record, label_of, search, session
from core.sdk_web import ListColumn, ListContext, ListSpec, Ordering, UnitModelView, page_url

from . import values
from .rights import VIEW

PLUGIN = "store"
SEARCH_LIMIT = 500
_TONES = {values.DRAFT: "neutral", values.CANCELLED: "bad", values.APPROVED: "good", values.DONE: "good"}


def record_url(row: Any) -> str:
    """Return the address of a record's page."""
    return page_url("record.page", record_id=row.id)


def badge_of(states: Choices, **tones: str) -> Callable[[Any], tuple[Any, str]]:
    """Return what tells (label, tone) of the state of a row's record."""

    def badge(row: Any) -> tuple[Any, str]:
        code = row.record.state
        return label_of(states, code), tones.get(code) or _TONES.get(code, "neutral")

    return badge


def heads(model: Any) -> Callable[[], Select[Any]]:
    """Return what reads details together with their records."""
    return lambda: select(model).join(model.record).options(contains_eager(model.record))


def search_of(model: Any, code: str) -> Any:
    """Return what narrows a list to the records of a type that words find."""

    def find(statement: Select[Any], text: str, context: ListContext) -> Select[Any]:
        units = context.units or frozenset({context.unit_id})
        found = search.search(units, code, text, SEARCH_LIMIT)
        return statement.where(model.id.in_([one.entity_id for one in found]))

    return find


def in_state(*states: str) -> Any:
    """Return what narrows a list to records in these states."""
    return lambda statement, _context: statement.where(Record.state.in_(states))


def number() -> ListColumn:
    """Return the column of a record's number, which leads to its page."""
    return ListColumn("number", _l("Number"), lambda row: row.record.number, "code", link=record_url, card="title")


def state(badge: Any) -> ListColumn:
    """Return the column of a record's state."""
    return ListColumn("state", _l("State"), badge, "badge", card="badge", export=lambda row: str(badge(row)[0]))


def newest(model: Any) -> tuple[Ordering, ...]:
    """Return the orderings by age."""
    return (
        Ordering("newest", _l("Newest first"), (model.id,)),
        Ordering("oldest", _l("Oldest first"), (model.id,), descending=False),
    )


class RecordView(UnitModelView):
    """A list of records with a form to begin one; the page of each is its record's."""

    plugin = PLUGIN
    permission = VIEW
    export_permission = VIEW
    spec: ListSpec
    fields: Sequence[Field] = ()

    def list_spec(self) -> ListSpec:
        return self.spec

    def row_url(self, row: Any) -> str:
        return record_url(row)

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        return self.fields

    @expose("/details/")
    def details_view(self) -> ResponseReturnValue:
        """Lead to the record."""
        return redirect(record_url(self.get_one(request.args.get("id"))))


def said_on_form(call: Any) -> Any:
    """Let what a service refuses stand over the form, each with its clause."""
    try:
        return call()
    except AppError as bad:
        if not hasattr(bad, "refusals"):
            raise
        raise InvalidData({"": list(bad.texts())}) from None


def made(model: Any, call: Callable[[int, Mapping[str, Any]], Record], given: Mapping[str, Any]) -> Any:
    """Begin a record from a form in the present unit; return its details."""
    return session().get(model, said_on_form(lambda: call(g.unit.id, given)).id)
