"""Telling an agent before service begins, with proof (R18-5.1.2, R19-5.1.2).

A notice counts from its own time, whenever it was entered, and for the agent who bears the case: where another one
turns out to have sold the item, that one is told, too. An e-mail that did not arrive told nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from core.sdk import (
    Attachment,
    Fact,
    InvalidData,
    Record,
    Refusal,
    Refused,
    Step,
    clock,
    current_scope,
    documents,
    mails,
    session,
    speaking,
)

from . import bearing, sellers, values
from .models import Agent, Contact, Notice

FORM, PAPER_LANGUAGE = "agents.notice", "zh"
A_MOMENT = timedelta(minutes=5)  # between the form and its step
# Facts of a case with which service begins.
BEGUN = ("departed", "arrived", "started", "solved")
UNKNOWN = _l("Say who sold the item first")


def nobody_to_tell(record: Record) -> Any:
    """Return why a case has nobody to be told, or None: we sold the item, and no agent was named."""
    if bearing.agent_of(record) is not None or bearing.sold_class_of(record) in sellers.KIND_OF:
        return None
    return _l("This case has no agent or partner to be told")


def not_known(record: Record) -> Any:
    """Return why the agent who sold the item cannot be told yet, or None."""
    return UNKNOWN if nobody_to_tell(record) is None and bearing.agent_of(record) is None else None


def notify_step(step: Step) -> None:
    """Keep that the agent of a case was told; by e-mail it is sent from here with the notice as PDF.

    Raises:
        Refused: nobody knows who sold the item.
        InvalidData: beside ``to``: it is to be mailed and cannot be; beside ``at``: an e-mail goes out now; beside
            ``evidence``: nothing shows that they were told.
    """
    agent = bearing.agent_of(step.record)
    if agent is None:
        raise Refused([Refusal("agent_unknown", UNKNOWN)])
    notice = Notice(
        unit_id=step.record.unit_id,
        record_id=step.record.id,
        agent_id=agent.id,
        agent=agent,
        means=step.values["means"],
        to=step.values.get("to") or "",
        evidence=step.values.get("evidence") or "",
        told_at=step.at,
        entered_by=current_scope().actor_id,
    )
    if notice.means == values.EMAIL:
        _mail(step, agent, notice)
    elif not notice.evidence and not _has_files(step.record):
        raise InvalidData({"evidence": _l("Say what shows it, or put the file on the case first")})
    session().add(notice)
    session().flush()
    step.values["agent"] = f"{agent.code} {agent.name}"
    bearing.forget(step.record)


def _mail(step: Step, agent: Agent, notice: Notice) -> None:
    if clock.now() - step.at > A_MOMENT:
        raise InvalidData({"at": _l("An e-mail that is sent from here goes out now; leave the time empty")})
    record = step.record
    paper = documents.issue(FORM, record.id, PAPER_LANGUAGE)
    sent = mails.mail_document(record, paper, _letter(record), notice.to, others=addresses_of(agent))
    notice.document_id, notice.mail_id, notice.to = paper.id, sent.id, sent.recipients[0][:120]


def _letter(record: Record) -> str:
    """Word the e-mail that brings the notice, in the language of the paper."""
    with speaking(PAPER_LANGUAGE):
        return _(
            "We are about to serve a product that was sold by you, case %(case)s. The notice is attached.\n"
            "Please answer this e-mail if you have questions or want to arrange the service yourselves.",
            case=record.number,
        )


def addresses_of(agent: Agent) -> list[str]:
    """Return the e-mail addresses on file of an agent: its own first, then those of its people in use."""
    people = select(Contact.email).where(Contact.agent_id == agent.id, Contact.active, Contact.email != "")
    return [agent.email, *session().scalars(people.order_by(Contact.id))]


def _has_files(record: Record) -> bool:
    """What we printed ourselves shows nothing."""
    held = select(Attachment.id).where(Attachment.record_id == record.id, Attachment.kind != documents.KIND)
    return session().scalars(held.limit(1)).first() is not None


# --- reading -------------------------------------------------------------------------------------


def notices_of(record: Record) -> list[Notice]:
    """Return all notices of a case, newest first, with the agents they went to."""
    found = select(Notice).where(Notice.record_id == record.id).options(joinedload(Notice.agent))
    return list(session().scalars(found.order_by(Notice.id.desc())))


def notice_of(record: Record) -> Notice | None:
    """Return the latest notice to the agent who bears the case now, None where they have not been told."""
    agent = bearing.agent_of(record)
    theirs = [one for one in notices_of(record) if agent is not None and one.agent_id == agent.id]
    return next(iter(arrived(theirs)), None)


def arrived(notices: Sequence[Notice]) -> list[Notice]:
    """Return the notices that reached the agent as far as we know: an e-mail may have been returned."""
    lost = mails.undelivered([one.mail_id for one in notices if one.mail_id is not None])
    return [one for one in notices if one.mail_id not in lost]


def told_by(notice: Notice, at: datetime) -> bool:
    """Tell whether an agent was told by then."""
    return to_the_minute(notice.told_at) <= at


def to_the_minute(at: datetime) -> datetime:
    """Forms know minutes only: what was told and begun in the same one was told first."""
    return at.replace(second=0, microsecond=0)


def why_not_told(record: Record, agent: Agent, at: datetime) -> Any:
    """Return why an agent counts as not told by a moment, None where they were (R18-5.1.2, R19-5.1.2)."""
    written = notices_of(record)
    theirs = [one for one in written if one.agent_id == agent.id]
    reached = arrived(theirs)
    if any(told_by(one, at) for one in reached):
        return None
    if reached:
        return _l("%(agent)s was told later than that", agent=agent.name)
    if theirs:
        return _l("The e-mail to %(agent)s could not be delivered; tell them in another way", agent=agent.name)
    if written:
        return _l(
            "%(other)s was told, but this is %(agent)s's case: tell them too",
            other=written[0].agent.name,
            agent=agent.name,
        )
    return _l("%(agent)s has not been told yet; tell them before somebody is sent", agent=agent.name)


# --- for many cases at once ----------------------------------------------------------------------


def begun(record_ids: Collection[int]) -> dict[int, datetime]:
    """Return when the service of cases began, of those where it did. One select."""
    if not record_ids:
        return {}
    found = select(Fact.record_id, func.min(Fact.at)).where(Fact.record_id.in_(record_ids), Fact.kind.in_(BEGUN))
    return {row[0]: row[1] for row in session().execute(found.group_by(Fact.record_id))}


def told(record_ids: Collection[int], agent_id: int) -> dict[int, datetime]:
    """Return since when an agent knows of cases, as ``why_not_told`` sees it. Two selects."""
    if not record_ids:
        return {}
    written = select(Notice.record_id, Notice.told_at, Notice.mail_id)
    theirs = written.where(Notice.record_id.in_(record_ids), Notice.agent_id == agent_id)
    rows = session().execute(theirs).all()
    lost = mails.undelivered([one.mail_id for one in rows if one.mail_id is not None])
    found: dict[int, datetime] = {}
    for one in rows:
        if one.mail_id in lost:
            continue
        at = to_the_minute(one.told_at)
        found[one.record_id] = min(at, found.get(one.record_id, at))
    return found
