"""What the verbs of a scenario do: each calls the service that the screens call."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.kernel import clock, importing
from core.kernel.database import session, transaction
from core.kernel.errors import AppError, InvalidData, NotAllowed, NotFound, Refusal, Refused
from core.records import attachments
from core.records.engine import link_records, lock, perform, record_fact
from core.records.models import Link, Record
from core.records.types import record_type
from core.rules import approval_gate, approvals, charges, excuses, ticks
from core.rules.approval_models import Approval
from core.rules.charge_models import Charge
from core.rules.obligation_models import Obligation
from core.tasks.models import Task

from . import vocabulary as words
from .scene import Scene, set_part
from .script import Step

# What a step leaves behind for its expectations: counts of an import, say.
Left = Mapping[str, Any]
_PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360000002000001000500"
    "01e221bc330000000049454e44ae426082"
)


class NotThere(AppError):
    """What a step is about does not exist: no such approval waits, no such record was made."""

    code = "not_there"


def do(step: Step, scene: Scene) -> Left:
    """Carry a step out at its time and as its actor.

    Raises:
        AppError: as the service raises it; nothing is changed then.
    """
    with clock.frozen(step.at):
        if step.verb == "tick":
            return _tick()
        with scene.acting(step.by):
            return _VERBS[step.verb](step, scene) or {}


def _input(step: Step, scene: Scene) -> dict[str, Any]:
    """Return form input with ids in the place of names, and what the form is filled with beforehand."""
    fields = words.fields_of(step.verb, step.kind, step.what) or {}
    given = {
        name: scene.id_of(value) if isinstance(value, words.Named) else value for name, value in step.values.items()
    }
    return {name: one.default for name, one in fields.items() if one.default is not None} | given


def _create(step: Step, scene: Scene) -> None:
    kind = record_type(step.what)
    if kind is None or kind.register is None:
        raise NotThere(_l("Records of the type %(name)s cannot be created by a form", name=step.what))
    with transaction():
        made = kind.register(scene.units[step.unit], _input(step, scene))
    scene.records[step.alias] = made.id


def _perform(step: Step, scene: Scene) -> None:
    perform(scene.records[step.on], step.what, _input(step, scene), at=step.options.get("happened"))


def _fact(step: Step, scene: Scene) -> None:
    record_fact(
        scene.records[step.on],
        step.what,
        at=step.options.get("happened"),
        data=_input(step, scene),
        note=step.options.get("note", ""),
    )


def _attach(step: Step, scene: Scene) -> None:
    is_picture = step.what.lower().endswith((".png", ".jpg", ".jpeg"))
    content = _PICTURE if is_picture else f"rehearsal: {step.what}\n".encode()
    name = step.what.rpartition(".")[0] + ".png" if is_picture else step.what
    kind = step.options.get("kind", "file")
    attachments.attach(scene.records[step.on], name, io.BytesIO(content), kind=kind)


def _link(step: Step, scene: Scene) -> None:
    with transaction():
        link_records(scene.records[step.on], scene.records[step.options["to"]], step.what)


def _find(step: Step, scene: Scene) -> None:
    """Name a record that a step, a plugin or the clock has made: the latest that fits."""
    wanted = select(Record.id).where(Record.type == step.what, Record.unit_id == scene.units[step.unit])
    if "of" in step.options:
        other = scene.records[step.options["of"]]
        linked = (
            select(Link.to_id).where(Link.from_id == other).union(select(Link.from_id).where(Link.to_id == other))
        )
        wanted = wanted.where(Record.id.in_(linked))
    if "clause" in step.options:
        wanted = wanted.where(Record.id.in_(select(Task.id).where(Task.clause == step.options["clause"])))
    found = session().scalar(
        wanted.where(Record.id.not_in(scene.records.values())).order_by(Record.id.desc()).limit(1)
    )
    if found is None:
        raise NotThere(_l("There is no further record of the type %(name)s", name=step.what))
    scene.records[step.alias] = found


# --- approvals and excuses -------------------------------------------------------------------------


def _approval(step: Step, scene: Scene) -> int:
    wanted = select(Approval.id).where(Approval.clause == step.what, Approval.state.in_(approvals.OPEN_STATES))
    if step.on:
        wanted = wanted.where(Approval.record_id == scene.records[step.on])
    found = session().scalar(wanted.order_by(Approval.id.desc()).limit(1))
    if found is None:
        raise NotThere(_l("No approval under %(clause)s is waiting", clause=step.what))
    return found


def _ask(step: Step, scene: Scene) -> None:
    record = session().get_one(Record, scene.records[step.on])
    wanted = [one for one in approval_gate.wanted_for(record) if one.clause == step.what]
    named = step.options.get("step") or (wanted[0].step if wanted else "")
    approval_gate.ask_for(record.id, named, step.what, step.options.get("reason", ""))


def _approve(step: Step, scene: Scene) -> None:
    approvals.agree(_approval(step, scene), step.options.get("reason", ""), step.options.get("amount"))


def _reject(step: Step, scene: Scene) -> None:
    approvals.reject(_approval(step, scene), step.options.get("reason", ""))


def _send_back(step: Step, scene: Scene) -> None:
    approvals.send_back(_approval(step, scene), step.options.get("reason", ""))


def _excuse(step: Step, scene: Scene) -> None:
    mine = (Obligation.record_id == scene.records[step.on], Obligation.clause == step.what)
    found = session().scalar(select(Obligation.id).where(*mine).order_by(Obligation.start_at.desc()).limit(1))
    if found is None:
        raise NotThere(_l("The record owes nothing under %(clause)s", clause=step.what))
    excuses.ask_excuse(found, step.options.get("reason", ""))


# --- money, settings, files, time ------------------------------------------------------------------


def _charge(step: Step, scene: Scene) -> None:
    record_id, clause = scene.records[step.on], step.options.get("clause")
    with transaction():
        lock(record_id)
        own = select(Charge).where(Charge.record_id == record_id, Charge.adjusts_id.is_(None)).order_by(Charge.id)
        rows = session().scalars(own.where(Charge.clause == clause) if clause else own).all()
        if not rows:
            raise NotThere(_l("The record has no such charge"))
        for row in rows:
            if step.what == "waive":
                charges.waive(row.id, step.options.get("reason", ""), step.options.get("amount"))
            else:
                charges.move(row.id, step.what, step.options.get("reason", ""))


def _set(step: Step, scene: Scene) -> None:
    with transaction():
        unit_id = scene.units[step.unit]
        set_part(unit_id, step.options["part"], clock.day_in(step.zone))


def _import(step: Step, scene: Scene) -> Left:
    name, source = _source(step)
    with transaction():
        run = importing.stage(step.what, scene.units[step.unit], source, name)
        if "duplicates" in step.options:
            importing.set_choices(run, default=step.options["duplicates"])
    importing.check(run)
    done = importing.confirm(run.id)
    return {"imported": dict(done.counts)}


def _source(step: Step) -> tuple[str, io.BytesIO]:
    if "file" in step.options:
        return step.options["file"].name, io.BytesIO(step.options["file"].read_bytes())
    titles = list(dict.fromkeys(name for row in step.options["rows"] for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, titles, restval="")
    writer.writeheader()
    writer.writerows(step.options["rows"])
    return "rows.csv", io.BytesIO(text.getvalue().encode("utf-8-sig"))


def _tick() -> Left:
    ticked = ticks.tick()
    if ticked.failed:
        raise NotThere(_l("Background work failed: %(names)s", names=", ".join(ticked.failed)))
    return {}


_VERBS: Mapping[str, Callable[[Step, Scene], Left | None]] = {
    "create": _create,
    "perform": _perform,
    "fact": _fact,
    "attach": _attach,
    "link": _link,
    "find": _find,
    "ask": _ask,
    "approve": _approve,
    "reject": _reject,
    "send_back": _send_back,
    "excuse": _excuse,
    "charge": _charge,
    "set": _set,
    "import": _import,
}


def refusals_of(error: AppError) -> list[Refusal]:
    """Return the reasons of a refusal; a missing permission is one of them. Empty: it was something else."""
    if isinstance(error, Refused):
        return error.refusals
    if isinstance(error, NotAllowed):
        return [Refusal("permission", error.message)]
    return [Refusal("not_found", error.message)] if isinstance(error, NotFound) else []


def invalid_fields(error: AppError) -> Mapping[str, list[Any]]:
    """Return the messages of a form that did not fit, by field."""
    return error.errors if isinstance(error, InvalidData) else {}
