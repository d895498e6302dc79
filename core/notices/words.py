"""What the messages say, in the receiver's language; with links under the deployment's address.

To a group nothing of the customer is said: kind, number, state, time limit, unit and link, never a title or text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import current_app
from flask_babel import force_locale
from flask_babel import gettext as _
from werkzeug.routing import BuildError

from core.kernel.i18n import LOCALES
from core.records.models import Notice, Record
from core.records.types import known_states
from core.units.models import Unit

from . import kinds
from .models import Robot

MOST_BYTES = 1800  # a WeCom robot takes 2,048


@dataclass(frozen=True)
class Message:
    """A mail's subject and its two bodies."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True)
class Line:
    """One notice as a template shows it."""

    kind: str
    title: str
    number: str
    record: str
    text: str
    unit: str
    at: str
    url: str


def address_of(kind: str, record_id: int | None) -> str:
    """Return the full address a notice leads to; '' where the deployment does not know its own (``base_url``)."""
    base = current_app.extensions["settings"].base_url.rstrip("/")
    if not base:
        return ""
    page = kinds.kind(kind).page
    if not page:
        page, values = ("record.page", {"record_id": record_id}) if record_id else ("inbox.index", {})
    else:
        values = {}
    try:
        return base + current_app.url_map.bind("").build(page, values)
    except BuildError:  # an application without screens
        return base


def line_of(notice: Notice, unit: Unit, locale: str, zone: str) -> Line:
    """Return what a mail says of a notice. Call it under the receiver's ``force_locale``."""
    # What happened to a followed record was written in the words of who did it.
    text = _state(notice.record) if notice.kind == "changed" and notice.record else notice.text
    return Line(
        notice.kind,
        str(kinds.title(notice.kind)),
        notice.record.number if notice.record else "",
        notice.record.title if notice.record else "",
        text,
        _name(unit, locale),
        _local(notice.at, zone),
        address_of(notice.kind, notice.record_id),
    )


def mail_of(notice: Notice, unit: Unit, locale: str, zone: str) -> Message:
    """Write the mail about one notice."""
    with force_locale(LOCALES[locale]):
        line = line_of(notice, unit, locale, zone)
        subject = f"[{line.number}] {line.title}" if line.number else line.title
        return Message(subject, *_rendered("mail", locale, line=line, subject=subject))


def digest_of(found: Sequence[tuple[Notice, Unit]], locale: str, zone: str) -> Message:
    """Write the digest of several notices, grouped by kind."""
    with force_locale(LOCALES[locale]):
        groups: dict[str, list[Line]] = {}
        for notice, unit in found:
            groups.setdefault(str(kinds.title(notice.kind)), []).append(line_of(notice, unit, locale, zone))
        subject = _("Your digest: %(count)d notices", count=len(found))
        return Message(subject, *_rendered("digest", locale, groups=groups, subject=subject))


def _rendered(name: str, locale: str, **values: Any) -> tuple[str, str]:
    # Straight from the environment: the context processors of screens want a request.
    templates = current_app.jinja_env
    values["lang"] = "en" if locale == "en" else "zh-CN"
    text = templates.get_template(f"notices/{name}.txt").render(values)
    return text, templates.get_template(f"notices/{name}.html").render(values)


@dataclass(frozen=True)
class Item:
    """What a group is told of one event. All there is; nothing of the customer may come in here."""

    kind: str
    title: str
    number: str
    state: str
    due: str
    url: str


def item_of(kind: str, record: Record | None, zone: str) -> Item:
    """Return what a group is told of an event. Call it under the robot's ``force_locale``."""
    title = str(kinds.kind(kind).robot or kinds.title(kind))
    if record is None:
        return Item(kind, title, "", "", "", address_of(kind, None))
    due = _local(record.next_due_at, zone) if record.next_due_at else ""
    url = address_of(kind, record.id)
    return Item(kind, title, record.number, _state(record), due, url)


def group_text(robot: Robot, unit: Unit, items: Sequence[Item]) -> str:
    """Write one message to a group; what does not fit is counted. Call it under the robot's ``force_locale``."""
    head = _("After-sales notices · %(unit)s", unit=_name(unit, robot.locale))
    lines = [head]
    size = len(head.encode())
    for place, item in enumerate(items):
        text = _item_text(item)
        size += len(text.encode()) + 1
        if size > MOST_BYTES:
            lines.append(_("… and %(count)d more", count=len(items) - place))
            break
        lines.append(text)
    return "\n".join(lines)


def _item_text(item: Item) -> str:
    parts = [item.title, item.number, item.state]
    if item.due:
        parts.append(_("due %(at)s", at=item.due))
    return " · ".join(one for one in parts if one) + (f"\n{item.url}" if item.url else "")


def _state(record: Record) -> str:
    state = known_states(record.type).get(record.state)
    return str(state.label) if state else record.state


def _name(unit: Unit, locale: str) -> str:
    return unit.name_en if locale == "en" and unit.name_en else unit.name


def _local(moment: datetime, zone: str) -> str:
    return moment.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")
