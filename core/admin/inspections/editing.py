"""The editor of a checklist's items: rows added, moved and taken away by plain buttons, without a script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from flask import request
from flask_babel import lazy_gettext as _l

from core.admin.forms import FieldsForm, form_from_fields
from core.inspections.items import ITEM_FIELDS, MOST_ITEMS
from core.inspections.models import CHOICE, ITEM_KINDS
from core.kernel.fields import Field, label_of

PREFIX = "items"
FAILS = "!"
BETWEEN = "|"
ANSWERS = Field(
    "answers",
    "long",
    _l("Answers to choose from"),
    max_length=4000,
    help=_l("One a line; ! in front: it counts as a failure; after | the same in English"),
)
FIELDS = (*ITEM_FIELDS, ANSWERS)
# What most items need stands first; the rest is folded.
FIRST = ("kind", "label", "label_en", "required", "opens", "severity", "photo")

Item = Mapping[str, Any]


def rows_sent() -> list[dict[str, Any]]:
    """Return the rows of the editor as they were sent, as ``clean_items`` takes them."""
    places = sorted({int(place) for name in request.form if (place := _place(name)) is not None})
    return [_row(place) for place in places[: MOST_ITEMS + 1]]


def _place(name: str) -> str | None:
    parts = name.split(".")
    if len(parts) == 3 and parts[0] == PREFIX and parts[1].isascii() and parts[1].isdigit() and len(parts[1]) < 5:
        return parts[1]
    return None


def _row(place: int) -> dict[str, Any]:
    def given(name: str) -> str:
        return request.form.get(f"{PREFIX}.{place}.{name}", "")

    row: dict[str, Any] = {"key": given("key")}
    for one in ITEM_FIELDS:
        row[one.name] = bool(given(one.name)) if one.kind == "bool" else given(one.name)
    row["answers"] = read_answers(given("answers"))
    return row


def read_answers(text: str) -> list[dict[str, Any]]:
    """Read answers, one a line: ``! 浑浊 | Muddy``."""
    found = []
    for line in text.splitlines():
        fails = line.lstrip().startswith(FAILS)
        label, _bar, english = line.strip().removeprefix(FAILS).partition(BETWEEN)
        if label.strip():
            found.append({"label": label.strip(), "label_en": english.strip(), "fails": fails})
    return found


def answers_text(answers: Sequence[Item]) -> str:
    """Return answers as ``read_answers`` reads them."""
    return "\n".join(
        f"{FAILS + ' ' if one.get('fails') else ''}{one['label']}"
        + (f" {BETWEEN} {one['label_en']}" if one.get("label_en") else "")
        for one in answers
    )


def changed(rows: list[dict[str, Any]], action: str) -> list[dict[str, Any]]:
    """Return rows after a button: ``add``, ``remove.3``, ``up.3``, ``down.3`` (places count from 0)."""
    name, _dot, text = action.partition(".")
    place = int(text) if text.isascii() and text.isdigit() and len(text) < 5 else -1
    if name == "add":
        return [*rows, {}]
    if not 0 <= place < len(rows):
        return rows
    if name == "remove":
        return rows[:place] + rows[place + 1 :]
    other = place + (1 if name == "down" else -1)
    if 0 <= other < len(rows):
        rows[place], rows[other] = rows[other], rows[place]
    return rows


def form_of(rows: Sequence[Item]) -> FieldsForm:
    """Return the form over all rows; its inputs are named ``items.PLACE.PART`` as the messages are."""
    fields = [_named(one, place) for place, _row in enumerate(rows) for one in FIELDS]
    values = {f"{PREFIX}.{place}.{one.name}": _shown(row, one) for place, row in enumerate(rows) for one in FIELDS}
    return form_from_fields(fields, values, fresh=True)


def _named(one: Field, place: int) -> Field:
    name = f"{PREFIX}.{place}.{one.name}"
    return replace(one, name=name, required=False, default=None, options={"needed": one.required is True})


def _shown(row: Item, one: Field) -> Any:
    if one.name == "answers":
        return answers_text(row.get("answers") or [])
    value = row.get(one.name)
    return one.default if value is None else value


def drawn(rows: Sequence[Item], form: FieldsForm) -> list[dict[str, Any]]:
    """Return what the template draws of each row: its key, title, and the fields in two groups."""
    pairs = {one.name: (one, widget) for one, widget in form.visible()}
    found = []
    for place, row in enumerate(rows):
        named = {one.name: pairs[f"{PREFIX}.{place}.{one.name}"] for one in FIELDS}
        wrong = any(widget.errors for _one, widget in named.values())
        found.append(
            {
                "place": place,
                "key": row.get("key", ""),
                "kind": label_of(ITEM_KINDS, row.get("kind", "")),
                "first": [named[name] for name in FIRST],
                "more": [pair for name, pair in named.items() if name not in FIRST],
                "open": wrong or row.get("kind") in (CHOICE, "number"),
            }
        )
    return found
