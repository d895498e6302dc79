"""What the page of one record shows. Read in a fixed number of statements, however long the timeline is."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from flask import g, render_template, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from markupsafe import Markup
from sqlalchemy import or_, select
from sqlalchemy.orm import joinedload

from core.admin.inspections import panels as inspection_panels
from core.cases import vocabulary
from core.cases.rules import who
from core.cases.services import INTAKE_FIELDS
from core.cases.workflow import fields_now, position_choices
from core.documents.services import offered as printable_forms
from core.inspections.models import Inspection
from core.kernel.access import may
from core.kernel.database import session
from core.kernel.extensions import Unavailable
from core.kernel.fields import Field, label_of
from core.kernel.hooks import hooks_for
from core.records.attachments import INLINE, attachments_of
from core.records.engine import Answer, ask, detail_of, fetch_visible, may_act, sees_inside
from core.records.models import Attachment, Fact, Link, Record, RefusalLog, Reminder, Watcher
from core.records.types import words_of
from core.records.workflow import NOT_CONCERNED, RESUME, FactKind, Transition, Workflow
from core.units.models import Stage
from core.units.switches import enabled_plugins
from core.users.models import User
from core.users.services import staff_of

from . import words

log = logging.getLogger(__name__)

LATE = timedelta(minutes=10)  # entered this much after it happened: marked 补录
FACTS_SHOWN = 100
# Steps whose weight is above this go to the menu, not among the buttons.
MENU_WEIGHT = 60
BUTTONS = 5
# Words of a fact's data that the page shows elsewhere or that only machines read.
_HIDDEN = frozenset({"attachment", "kind", "from_record", "refusals", "planned", "entered_later", "mail"})


@dataclass(frozen=True)
class Button:
    """A step that is allowed now. ``direct``: it has no form, so the button itself posts."""

    transition: Transition
    url: str
    direct: bool
    tone: str


@dataclass(frozen=True)
class Closed:
    """A step that is not allowed now, and why."""

    transition: Transition
    refusals: Sequence[Any]
    near: bool

    @property
    def reasons(self) -> list[tuple[str, list[str]]]:
        """Each reason once, with the clauses that give it."""
        found: dict[str, list[str]] = {}
        for one in self.refusals:
            found.setdefault(str(one.text), []).extend([one.clause] if one.clause else [])
        return list(found.items())


@dataclass(frozen=True)
class Entry:
    """One line of the timeline."""

    fact: Fact
    label: Any
    actor: str
    late: bool
    details: Sequence[tuple[Any, Any]]
    file: Attachment | None = None


@dataclass(frozen=True)
class Box:
    """A panel of a plugin or of the charges, rendered; ``html`` None where it failed."""

    code: str
    title: Any
    html: Markup | None


def steps(record: Record) -> tuple[list[Button], list[Button], list[Closed]]:
    """Split the record's steps into buttons, menu entries and those refused now, with the reasons."""
    buttons: list[Button] = []
    menu: list[Button] = []
    closed: list[Closed] = []
    flow = flow_words(record)
    for answer in sorted(ask(record), key=lambda one: _rank(record, flow, one.transition)):
        if not answer.allowed:
            closed.append(Closed(answer.transition, answer.refusals, not _not_for_now(answer)))
            continue
        target = menu if answer.transition.weight >= MENU_WEIGHT or len(buttons) >= BUTTONS else buttons
        target.append(_button(record, answer.transition, first=not buttons))
    # A menu beside nothing only costs a click.
    return (buttons, menu, closed) if buttons else (menu[:BUTTONS], menu[BUTTONS:], closed)


def _rank(record: Record, flow: Workflow | None, step: Transition) -> tuple[bool, int, int]:
    """Order steps: the marked ones, those that lead on, those that stay, those that lead back."""
    order = list(flow.states) if flow else []
    here = order.index(record.state) if record.state in order else 0
    there = order.index(step.target) if step.target in order else here + (step.target == RESUME)
    return step.tone != "primary", (there <= here) + (there < here), step.weight


def _not_for_now(answer: Answer) -> bool:
    """Wrong state, somebody else's work, or nothing to do with this record: told in the folded list.

    So what one can mend stands out.
    """
    return any(refusal.code in ("state", "permission", NOT_CONCERNED) for refusal in answer.refusals)


def _button(record: Record, step: Transition, first: bool) -> Button:
    url = url_for("record.do", record_id=record.id, step=step.name)
    asks = fields_now(record, step) if record.type == "case" else step.fields
    return Button(step, url, not asks, step.tone or ("primary" if first else ""))


# --- timeline --------------------------------------------------------------------------------


def facts_of(record_id: int, before: int | None = None, *, only_for: int | None = None) -> tuple[list[Fact], bool]:
    """Return the newest facts, latest business time first, and whether there are more.

    ``before`` continues below the fact of that sequence number. ``only_for``: what the customer may see and
    what this user did, for a reader who is none of the staff.
    """
    found = select(Fact).where(Fact.record_id == record_id).options(joinedload(Fact.actor))
    if only_for is not None:
        found = found.where(or_(Fact.visible_to_customer, Fact.actor_id == only_for))
    if before is not None:
        edge = session().scalars(select(Fact).where(Fact.record_id == record_id, Fact.seq == before)).first()
        if edge is not None:
            found = found.where(or_(Fact.at < edge.at, (Fact.at == edge.at) & (Fact.seq < edge.seq)))
    rows = list(session().scalars(found.order_by(Fact.at.desc(), Fact.seq.desc()).limit(FACTS_SHOWN + 1)))
    return rows[:FACTS_SHOWN], len(rows) > FACTS_SHOWN


def timeline(record: Record, facts: Sequence[Fact], files: Sequence[Attachment]) -> list[Entry]:
    """Put facts into words: labels of kinds, of values, names of people."""
    flow = flow_words(record)
    fields = _fields_of(record.type) if flow else {}
    names = _names(_people(facts, fields))
    by_id = {file.id: file for file in files}
    return [_entry(record, fact, flow, fields, names, by_id) for fact in facts]


def _entry(
    record: Record,
    fact: Fact,
    flow: Workflow | None,
    fields: Mapping[str, Field],
    names: Mapping[int, str],
    files: Mapping[int, Attachment],
) -> Entry:
    kind: FactKind | None = flow.fact_kinds.get(fact.kind) if flow else None
    details = [
        (label, text)
        for key, value in fact.data.items()
        if (
            pair := _own_word(kind, key, value)
            or (None if key in _HIDDEN else _worded(record, fact, key, value, fields, names, files))
        )
        and pair[0]
        for label, text in [pair]
    ]
    return Entry(
        fact=fact,
        label=kind.label if kind else fact.kind,
        actor=fact.actor.name if fact.actor else _("System"),
        late=fact.entered_at - fact.at > LATE,
        details=details,
        file=files.get(fact.data.get("attachment", 0)),
    )


def _own_word(kind: FactKind | None, key: str, value: Any) -> tuple[Any, Any] | None:
    """Return how a kind of fact itself names a word of its data."""
    for code, label, choices in kind.words if kind else ():
        if code == key and value not in (None, "", []):
            return label, label_of(choices, value)
    return None


_WORDED: dict[str, tuple[Any, Any]] = {
    "channel": (_l("Channel"), vocabulary.CHANNELS),
    "result": (_l("What happened"), vocabulary.CALL_RESULTS),
    "rating": (_l("Rating"), vocabulary.RATINGS),
    "source": (_l("Taken from"), (("service_log", _l("Service log")),)),
    "taken_by": (
        _l("Taken in by"),
        ((who.BY_OWNER, _l("Owner department")), (who.BY_SHOP, _l("Shop or sales")), (who.BY_OTHERS, _l("Others"))),
    ),
}


def _worded(
    record: Record,
    fact: Fact,
    key: str,
    value: Any,
    fields: Mapping[str, Field],
    names: Mapping[int, str],
    files: Mapping[int, Attachment],
) -> tuple[Any, Any] | None:
    if value in (None, "", []):
        return None
    if key == "state":
        state = words.known_states(record.type).get(value)
        return _("State"), state.label if state else value
    if key == "unknown_sender":
        return _("Sender"), _("an address not on file")
    if key == "to_ask":
        return _("Still to ask"), _(", ").join(str(_field_labels().get(name, name)) for name in value)
    if key == "fields":
        return _("Changed"), _(", ").join(str(_field_labels().get(name, name)) for name in value)
    if key == "name" and "attachment" in fact.data:
        # The line links the file itself, unless it is gone.
        return None if fact.data["attachment"] in files else (_("File"), value)
    if key == "owner":
        return _("Responsible position"), label_of(position_choices(), value)
    if key == "clauses":
        return _("By clause"), _(", ").join(value)
    if key in _WORDED:
        label, choices = _WORDED[key]
        return label, label_of(choices, str(value))
    one = fields.get(key)
    if one is None:
        return (_("Call back at"), _moment(value)) if key == "call_back_at" else (key, value)
    if one.kind == "user":
        return one.label, names.get(int(value), value)
    if one.kind == "choice":
        return one.label, label_of(one.choice_list(), value)
    if one.kind == "many":
        return one.label, _(", ").join(str(label_of(one.choice_list(), code)) for code in value)
    if one.kind == "bool":
        return one.label, _("Yes") if value else _("No")
    return one.label, _moment(value) if one.kind == "moment" else value


def _moment(value: str) -> Any:
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return value


def _people(facts: Iterable[Fact], fields: Mapping[str, Field]) -> set[int]:
    keys = [name for name, one in fields.items() if one.kind == "user"]
    return {int(fact.data[key]) for fact in facts for key in keys if fact.data.get(key)}


def _names(ids: set[int]) -> dict[int, str]:
    if not ids:
        return {}
    return dict(session().execute(select(User.id, User.name).where(User.id.in_(ids))).all())  # type: ignore[arg-type]


def flow_words(record: Record) -> Workflow | None:
    """The words of a record's type, also of plugins that are off by now; None where its own is not installed."""
    return words_of(record.type) if words.record_type(record.type) else None


def _fields_of(type_code: str) -> Mapping[str, Field]:
    flow = words_of(type_code)
    return {one.name: one for step in flow.transitions.values() for one in step.fields}


@lru_cache(maxsize=1)
def _field_labels() -> Mapping[str, Any]:
    return {one.name: one.label for one in INTAKE_FIELDS}


# --- the rest of the page --------------------------------------------------------------------


def panels(record: Record, enabled: frozenset[str]) -> list[Box]:
    """Render the panels of the enabled plugins; one that fails is shown as unavailable, the page stays."""
    boxes: list[tuple[int, Box]] = []
    for plugin, offered in hooks_for(enabled).record_panels(record=record):
        if isinstance(offered, Unavailable):
            boxes.append((99, Box(plugin, _("Plugin %(name)s", name=plugin), None)))
            continue
        boxes += [(panel.weight, _box(plugin, panel)) for panel in offered or ()]
    return [box for _weight, box in sorted(boxes, key=lambda pair: pair[0])]


def own_boxes(record: Record, detail: Any) -> list[Box]:
    """Return the boxes that the core itself has for records of its own types."""
    if not isinstance(detail, Inspection):
        return []
    return [Box("core-answers", _("Answers"), inspection_panels.answers_box(record, detail))]


def _box(plugin: str, panel: Any) -> Box:
    code = f"{plugin}-{panel.code}"
    try:
        html = render_template(panel.template, panel=panel, context=panel.context)
    except Exception:
        # A panel is decoration: a broken one must not take the record away from staff.
        log.exception("panel %s failed", code)
        return Box(code, panel.title, None)
    return Box(code, panel.title, Markup(html))  # noqa: S704 - a template's own, escaped output


def files_of(record: Record) -> list[Attachment]:
    """Return the files of a record that the actor sees: all, or for an outsider those they put there."""
    return [one for one in attachments_of(record.id) if sees_inside(record) or one.actor_id == g.actor.id]


def links_of(record: Record) -> list[tuple[str, Record]]:
    """Return the records linked with this one that the actor may see, as (role, record), in both directions."""
    record_id = record.id
    found = select(Link).where(or_(Link.from_id == record_id, Link.to_id == record_id)).limit(50)
    links = list(session().scalars(found))
    ids = {link.to_id if link.from_id == record_id else link.from_id for link in links}
    if not ids:
        return []
    others = {row.id: row for row in session().scalars(select(Record).where(Record.id.in_(ids)))}
    pairs = ((link.role, others.get(link.to_id if link.from_id == record_id else link.from_id)) for link in links)
    return [(role, other) for role, other in pairs if other is not None and may_act(other, "case.view")]


def refusals_of(record: Record) -> list[tuple[RefusalLog, Any, str]]:
    """Return the latest refusals kept as evidence, as (row, label of the step, who)."""
    found = select(RefusalLog).where(RefusalLog.record_id == record.id).order_by(RefusalLog.id.desc()).limit(30)
    rows = list(session().scalars(found))
    flow = flow_words(record)
    labels = {step.name: step.label for step in flow.transitions.values()} if flow else {}
    names = _names({row.actor_id for row in rows if row.actor_id})
    return [(row, labels.get(row.transition, row.transition), names.get(row.actor_id or 0, "")) for row in rows]


def reminders_of(record_id: int) -> list[tuple[Reminder, str]]:
    """Return the open next actions of a record with the name of whose they are, soonest first."""
    found = (
        select(Reminder, User.name)
        .join(User, User.id == Reminder.user_id)
        .where(Reminder.record_id == record_id, Reminder.done_at.is_(None))
        .order_by(Reminder.due_at)
        .limit(20)
    )
    return [(row, name) for row, name in session().execute(found)]


def watchers_of(record_id: int) -> list[User]:
    found = select(User).join(Watcher, Watcher.user_id == User.id).where(Watcher.record_id == record_id)
    return list(session().scalars(found.order_by(User.name).limit(50)))


def stages_of(record: Record) -> list[Stage]:
    """Return the unit's own labels for the record's present state."""
    found = select(Stage).where(
        Stage.unit_id == record.unit_id,
        Stage.record_type == record.type,
        Stage.state == record.state,
        Stage.active | (Stage.id == record.stage_id),
    )
    return list(session().scalars(found.order_by(Stage.id)))


def load(record_id: object) -> Record:
    """Fetch a record the actor may view, with customer, assignee and unit, in one statement."""
    record = fetch_visible(record_id)
    related = select(Record).where(Record.id == record.id)
    related = related.options(
        joinedload(Record.customer), joinedload(Record.assignee), joinedload(Record.unit)
    ).execution_options(populate_existing=True)
    return session().scalars(related).one()


def context(record: Record, *, before: int | None = None, revealed: bool = False) -> dict[str, Any]:
    """Return all that the template of the record page needs."""
    from .contact import contact_of, customer_name
    from .details import pairs_of

    enabled = enabled_plugins(record.unit_id)
    buttons, menu, closed = steps(record)
    inside = sees_inside(record)
    facts, more = facts_of(record.id, before, only_for=None if inside else g.actor.id)
    files = files_of(record)
    detail = detail_of(record)
    watching = watchers_of(record.id) if inside else []
    return {
        "record": record,
        "state": words.state_badge(record),
        "due": words.due_badge(record),
        "type_label": words.type_label(record),
        "buttons": buttons,
        "menu": menu,
        "near": [one for one in closed if one.near],
        "far": [one for one in closed if not one.near] if inside else [],
        "inside": inside,
        "customer_name": customer_name(record),
        "pairs": pairs_of(record, detail),
        "contact": contact_of(record, detail, revealed=revealed),
        "entries": timeline(record, facts, files),
        "more_before": facts[-1].seq if more else None,
        "files": files,
        "inline": INLINE,
        "boxes": own_boxes(record, detail) + (panels(record, enabled) if inside else []),
        "links": [(role, words.state_badge(other), other) for role, other in links_of(record)],
        "refused": refusals_of(record) if inside else [],
        "reminders": [one for one in reminders_of(record.id) if inside or one[0].user_id == g.actor.id],
        "watchers": watching,
        "is_watching": any(user.id == g.actor.id for user in watching),
        "stages": stages_of(record),
        "staff": staff_of(record.unit_id) if inside else [],
        "may": {
            "edit": may("case.edit", record.unit_id) and record.type == "case",
            "comment": may_act(record, "case.comment"),
            "handle": may_act(record, "case.handle"),
            "attach": may_act(record, "attachment.add"),
            "print": bool(printable_forms(record, record.type)),
            "files": may_act(record, "attachment.view"),
            "chase": may("case.chase", record.unit_id),
        },
        "other_unit": words.unit_name(record.unit) if record.unit_id != g.unit.id else "",
    }
