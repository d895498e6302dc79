"""Records of every type, and cases: lists, single ones, cases made and corrected, steps, facts, comments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from flask import g
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload, lazyload, load_only

from core.admin.cases.contact import contact_of
from core.cases.contact import reveal_contact
from core.cases.models import Case
from core.cases.services import CASE, EDIT_FIELDS, INTAKE_FIELDS, edit_case, register_case
from core.kernel import search
from core.kernel.database import current_scope, session
from core.kernel.errors import InvalidData
from core.kernel.fields import Field, clean
from core.records.engine import Answer, ask, detail_of, perform, record_fact, unit_zone
from core.records.models import CATEGORIES, Fact, Record
from core.records.services import comment
from core.records.types import known_states, record_types, words_of
from core.records.workflow import Transition

from ..common import (
    CUSTOMER_REF,
    HEAD,
    PERSON,
    REASON,
    customer_of,
    customer_ref,
    person,
    seen_records,
    unit_code,
    visible,
    with_ids,
)
from ..door import unit_to_write
from ..operations import Body, Operation
from ..paging import Order
from ..reading import Param
from ..serving import Reply, body, matched, narrowed, once, page, read_on, service_key
from ..shapes import Shape, form_schema, out, sendable, typed, with_defaults

CASES, RECORDS = "cases", "records"
READ, WRITE = "case.read", "case.write"
SEARCHED = 500
CASE_OF: Any = cast(Any, Record).case

RECORD: Shape = {
    "uid": "uid",
    "type": "string",
    "number": "string",
    "title": "string",
    "unit": "string",
    "state": "string",
    "state_label": "string",
    "category": "string",
    "priority": "integer",
    "customer": "#customer_ref",
    "assignee": "#person",
    "received_at": "moment",
    "entered_at": "moment",
    "closed_at": "moment?",
    "next_due_at": "moment?",
    "chase_count": "integer",
    "escalated": "string",
    "version": "integer",
}
_OWN = ("channel", "nature", "urgency", "severity", "product_text", "serial_text", "product_class")
_LONG = (
    "description",
    "fault_cause",
    "fault_type",
    "impact",
    "plan",
    "answer",
    "cause",
    "process",
    "parts_used",
    "test_result",
)
CONTACT: Shape = {"name": "string", "phone": "string", "address": "string", "masked": "boolean"}
CASE_ROW: Shape = {**RECORD, **dict.fromkeys(_OWN, "string")}
CASE_SHAPE: Shape = {
    **CASE_ROW,
    **dict.fromkeys(_LONG, "string"),
    "purchase_date": "date?",
    "rating": "integer?",
    "confirmed_by": "string",
    "contact": "#contact",
}
FACT: Shape = {
    "seq": "integer",
    "kind": "string",
    "label": "string",
    "at": "moment",
    "entered_at": "moment",
    "actor": "#person",
    "note": "string",
    "visible_to_customer": "boolean",
    "data": "object",
}
TRANSITION: Shape = {
    "name": "string",
    "label": "string",
    "target": "string?",
    "allowed": "boolean",
    "refusals": ["#refusal"],
    "fields": ["object"],
}
SHAPES: Mapping[str, Shape] = {
    "person": PERSON,
    "customer_ref": CUSTOMER_REF,
    "refusal": REASON,
    "contact": CONTACT,
    "record": RECORD,
    "case": CASE_SHAPE,
    "case_row": CASE_ROW,
    "fact": FACT,
    "transition": TRANSITION,
}
NEWEST = Order("records", (Record.received_at, Record.id))
# The customer of a case is named by uid, as everywhere.
_CUSTOMER = Field("customer", "customer", _l("Customer"), help=_l("The uid of one on file; else customer_name"))
NEW_CASE = (_CUSTOMER, *(one for one in sendable(INTAKE_FIELDS) if one.name != "customer_id"))
CHANGES = tuple(sendable(EDIT_FIELDS))
AT = Field("at", "moment", _l("When it happened"), help=_l("Leave empty for the present time"))
NEW_FACT = (
    Field("kind", "text", _l("Kind of fact"), True, max_length=60),
    AT,
    Field("note", "long", _l("Note"), max_length=2000),
)
MOST_DATA, MOST_TEXT = 30, 500
COMMENT = (
    Field("text", "long", _l("Comment"), True, max_length=4000),
    Field("visible_to_customer", "bool", _l("The customer may read it")),
)


# --- lists -----------------------------------------------------------------------------------------


def _of_customer(statement: Any, uid: Any) -> Any:
    found = customer_of(str(uid))
    return statement.where(Record.customer_id == (found.id if found else -1))


def _found(statement: Any, text: str) -> Any:
    hits = search.search(current_scope().read, CASE.code, text, SEARCHED)
    return statement.where(Record.id.in_([hit.entity_id for hit in hits]))


FILTERS = (
    Param("state", "string", _l("State"), narrow=lambda s, v: s.where(Record.state == v)),
    Param(
        "category", "choice", _l("Category of the state"), CATEGORIES, lambda s, v: s.where(Record.category == v)
    ),
    Param("number", "string", _l("Number"), narrow=lambda s, v: s.where(Record.number == v.upper())),
    Param("customer", "uid", _l("Customer"), narrow=_of_customer),
    Param("assignee", "integer", _l("Id of the assignee"), narrow=lambda s, v: s.where(Record.assignee_id == v)),
    Param(
        "received_from",
        "moment",
        _l("Received then or later"),
        narrow=lambda s, v: s.where(Record.received_at >= v),
    ),
    Param("received_to", "moment", _l("Received before"), narrow=lambda s, v: s.where(Record.received_at < v)),
    Param("due_to", "moment", _l("Due before"), narrow=lambda s, v: s.where(Record.next_due_at < v)),
)
CASE_FILTERS = (
    *FILTERS,
    Param("q", "string", _l("Words, number or part of a phone number"), most=60, narrow=_found),
)
TYPE = Param("type", "string", _l("Type of record"), narrow=lambda s, v: s.where(Record.type == v))


def _seen(statement: Any) -> Any:
    condition = seen_records()
    return statement if condition is None else statement.where(condition)


def list_cases() -> dict[str, Any]:
    """Return a page of cases, the newest first."""
    shown = load_only(*(getattr(Case, name) for name in _OWN))
    of_case = joinedload(CASE_OF, innerjoin=True).options(shown, lazyload(Case.record))
    statement = _seen(select(Record).where(Record.type == CASE.code).options(*HEAD, of_case))
    return page(CASES, narrowed(statement, CASE_FILTERS), NEWEST, _case_rows, CASE_ROW, Record.id)


def list_records() -> dict[str, Any]:
    """Return a page of records of every type, the newest first."""
    statement = _seen(select(Record).options(*HEAD))
    return page(
        RECORDS,
        narrowed(statement, (TYPE, *FILTERS)),
        NEWEST,
        lambda rows: [head_of(one) for one in rows],
        RECORD,
        Record.id,
    )


def _case_rows(rows: Sequence[Any]) -> list[dict[str, Any]]:
    return [{**head_of(row), **_texts(row.case, _OWN)} for row in rows]


def head_of(row: Record) -> dict[str, Any]:
    """Return the head of a record as JSON."""
    return {
        "uid": str(row.uid),
        "type": row.type,
        "number": row.number,
        "title": row.title,
        "unit": unit_code(row.unit_id),
        "state": row.state,
        "state_label": _state_label(row),
        "category": row.category,
        "priority": row.priority,
        "customer": customer_ref(row.customer),
        "assignee": person(row.assignee),
        "received_at": out(row.received_at),
        "entered_at": out(row.entered_at),
        "closed_at": out(row.closed_at),
        "next_due_at": out(row.next_due_at),
        "chase_count": row.chase_count,
        "escalated": row.escalated,
        "version": row.version,
    }


def _state_label(row: Record) -> str:
    """Put a state into words; a page of rows has few different ones, so they are looked up once a request."""
    if "api_states" not in g:
        g.api_states = {}
    known: dict[tuple[str, str], str] = g.api_states
    if (row.type, row.state) not in known:
        state = known_states(row.type).get(row.state)
        known[row.type, row.state] = str(state.label) if state else row.state
    return known[row.type, row.state]


def _texts(case: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: out(getattr(case, name)) if case is not None else None for name in names}


# --- one -------------------------------------------------------------------------------------------


def get_record(uid: str) -> Reply:
    """Return one record of any type."""
    row = visible(uid)
    return Reply(head_of(row), version=row.version)


def get_case(uid: str) -> Reply:
    """Return one case with its details."""
    return _case_reply(visible(uid, CASE.code))


def _case_reply(row: Record, case: Case | None = None, *, revealed: bool = False, **more: Any) -> Reply:
    case = case or detail_of(row)
    contact = contact_of(row, case, revealed=revealed)
    shown = {
        **head_of(row),
        **_texts(case, (*_OWN, *_LONG, "purchase_date", "rating", "confirmed_by")),
        "contact": None
        if contact is None
        else {"name": contact.name, "phone": contact.phone, "address": contact.address, "masked": contact.masked},
    }
    return Reply(shown, version=row.version, **more)


def create_case() -> Reply:
    """Register a case in the unit of the request."""
    unit = unit_to_write()
    given = with_ids(NEW_CASE, with_defaults(NEW_CASE, typed(NEW_CASE, body())))
    if "customer" in given:
        given["customer_id"] = given.pop("customer")
    fresh: list[Record] = []
    # The service keeps its answer with the key, in one statement less than ``once``.
    row = register_case(unit.id, given, key=service_key(), after=fresh.append)
    read_on()
    case = session().get(Case, row.id)  # still in hand: not asked of the database again
    return _case_reply(row, case, status=201, location=f"/api/v1/cases/{row.uid}", replayed=not fresh)


def change_case(uid: str) -> Reply:
    """Correct the details of a case; what is not named stays."""
    row = visible(uid, CASE.code)
    given = typed(CHANGES, body())
    emptied = {name: "" for name, value in body().items() if value is None}
    case = detail_of(row)
    present = {one.name: getattr(case, one.name) for one in CHANGES}
    with matched(row.version) as version:
        edit_case(row.id, {**present, **given, **emptied}, version=version)
    read_on()
    return _case_reply(row)


def reveal_case(uid: str) -> Reply:
    """Return a case with its contact in full, which is logged."""
    row = visible(uid, CASE.code)
    reveal_contact(row.id)
    read_on()
    return _case_reply(row, revealed=True)


# --- steps -----------------------------------------------------------------------------------------


def list_transitions(uid: str) -> dict[str, Any]:
    """Say of every step whether it is possible now, and if not why."""
    return {"items": [_transition(one) for one in ask(visible(uid))]}


def _transition(answer: Answer) -> dict[str, Any]:
    one = answer.transition
    return {
        "name": one.name,
        "label": str(one.label),
        "target": one.target,
        "allowed": answer.allowed,
        "refusals": [{"code": r.code, "text": str(r.text), "clause": r.clause} for r in answer.refusals],
        "fields": [_field(field) for field in sendable(one.fields)],
    }


def _field(one: Field) -> dict[str, Any]:
    return {
        "name": one.name,
        "kind": one.kind,
        "label": str(one.label),
        "required": one.required is True,
        "choices": [{"code": str(code), "label": str(label)} for code, label in one.choice_list()],
        "clause": one.clause,
    }


def do_transition(uid: str, name: str) -> Reply:
    """Take a step. The body is the step's form; ``at`` is the business time where the form has none of its own."""
    row = visible(uid)
    transition = next((one.transition for one in ask(row) if one.transition.name == name), None)
    form, at = _form_of(row, transition)
    given = with_ids(form, typed(form, body()))

    def act() -> Record:
        with matched(row.version) as version:
            moment = _read_at(row, given.pop("at", None)) if at else None
            return perform(row.id, name, given, at=moment, version=version)

    _row, replayed = once(row.unit_id, body(), act, lambda _ref: row, lambda made: str(made.uid))
    session().refresh(row)
    return Reply(head_of(row), version=row.version, replayed=replayed)


def _form_of(row: Record, transition: Transition | None) -> tuple[list[Field], bool]:
    """Return the form of a step, and whether it takes the time beside it."""
    if transition is None:
        return [AT], True  # performing says what is wrong: no such step, or no such record type here
    fields = sendable(transition.fields)
    own = any(one.name == AT.name for one in fields)
    return (fields, False) if own else ([*fields, AT], True)


def _read_at(row: Record, raw: Any) -> datetime | None:
    found: datetime | None = clean((AT,), {"at": raw}, timezone=unit_zone(row))["at"]
    return found


# --- facts -----------------------------------------------------------------------------------------

_KIND = Param("kind", "string", _l("Kind of fact"), narrow=lambda s, v: s.where(Fact.kind == v))
_AFTER = Param(
    "after", "integer", _l("Only those behind this place (seq)"), narrow=lambda s, v: s.where(Fact.seq > v)
)
IN_ORDER = Order("facts", (Fact.seq,), descending=False)


def list_facts(uid: str) -> dict[str, Any]:
    """Return the timeline of a record in the order of entry."""
    row = visible(uid)
    statement = select(Fact).where(Fact.record_id == row.id).options(joinedload(Fact.actor))
    return page("facts", narrowed(statement, (_KIND, _AFTER)), IN_ORDER, lambda r: facts_out(row, r), FACT, Fact.id)


def list_comments(uid: str) -> dict[str, Any]:
    """Return what was said about a record."""
    row = visible(uid)
    said = select(Fact).where(Fact.record_id == row.id, Fact.kind == "comment").options(joinedload(Fact.actor))
    return page("facts", said, IN_ORDER, lambda r: facts_out(row, r), FACT, Fact.id)


def facts_out(row: Record, facts: Sequence[Fact]) -> list[dict[str, Any]]:
    """Return facts of a record as JSON."""
    known = words_of(row.type).fact_kinds if row.type in {kind.code for kind in record_types()} else {}
    return [
        {
            "seq": one.seq,
            "kind": one.kind,
            "label": str(known[one.kind].label) if one.kind in known else one.kind,
            "at": out(one.at),
            "entered_at": out(one.entered_at),
            "actor": person(one.actor),
            "note": one.note,
            "visible_to_customer": one.visible_to_customer,
            "data": out(one.data),
        }
        for one in facts
    ]


def create_fact(uid: str) -> Reply:
    """Enter something that happened, without a change of state."""
    row = visible(uid)
    given = typed(NEW_FACT, body(), more=("data",))
    data = _plain_data(body().get("data"))
    values = clean(NEW_FACT, given, timezone=unit_zone(row))

    def act() -> Fact:
        return record_fact(row.id, values["kind"], at=values["at"], data=data, note=values["note"] or "")

    return _new_fact(row, act)


def create_comment(uid: str) -> Reply:
    """Write a comment; people named with @ are told."""
    row = visible(uid)
    values = clean(COMMENT, typed(COMMENT, body()))

    def act() -> Fact:
        return comment(row.id, values["text"], visible_to_customer=values["visible_to_customer"])

    return _new_fact(row, act)


def _new_fact(row: Record, act: Any) -> Reply:
    def find(seq: Any) -> Fact:
        return session().scalars(select(Fact).where(Fact.record_id == row.id, Fact.seq == seq)).one()

    fact, replayed = once(row.unit_id, body(), act, find, lambda made: made.seq)
    location = f"/api/v1/records/{row.uid}/facts?after={fact.seq - 1}" if fact.seq > 1 else ""
    return Reply(facts_out(row, [fact])[0], 201, location=location, replayed=replayed)


def _plain_data(raw: Any) -> dict[str, Any]:
    """Check the free data of a fact: flat, short, and of names and plain values only.

    Raises:
        InvalidData
    """
    if raw is None:
        return {}
    fits = isinstance(raw, dict) and len(raw) <= MOST_DATA
    fits = fits and all(len(name) <= 60 for name in raw)
    fits = fits and all(
        one is None or isinstance(one, bool | int) or (isinstance(one, str) and len(one) <= MOST_TEXT)
        for one in raw.values()
    )
    if not fits:
        raise InvalidData({"data": _l("Plain values under names only: texts, whole numbers, true, false, null")})
    return cast(dict[str, Any], raw)


# --- what there is ---------------------------------------------------------------------------------

EXAMPLE_CASE = {
    "customer_name": "盟新科技有限公司",
    "contact_phone": "13112355344",
    "channel": "phone",
    "product_text": "LN-24 壁挂炉",
    "description": "壁挂炉报E1故障，点火三次都打不着",
}
_DATA_SCHEMA = {
    "type": ["object", "null"],
    "maxProperties": MOST_DATA,
    "additionalProperties": {"type": ["string", "integer", "boolean", "null"], "maxLength": MOST_TEXT},
}


def _step_schema() -> dict[str, Any]:
    forms = {
        f"{kind.code}.{one.name}": one
        for kind in record_types()
        for one in words_of(kind.code).transitions.values()
    }
    more = {"at": {"type": ["string", "null"], "format": "date-time", "title": str(AT.label)}}
    return {"anyOf": [{**form_schema(one.fields, more=more), "title": name} for name, one in sorted(forms.items())]}


def _step_names() -> list[str]:
    return sorted({one for kind in record_types() for one in words_of(kind.code).transitions})


def operations() -> list[Operation]:
    """Return the operations on records."""
    case, record = _l("Cases"), _l("Records")
    return [
        Operation(
            "list_cases", "GET", "/cases", _l("List cases"), case, list_cases, READ, CASE_ROW, True, CASE_FILTERS
        ),
        Operation(
            "create_case",
            "POST",
            "/cases",
            _l("Register a case"),
            case,
            create_case,
            WRITE,
            CASE_SHAPE,
            body=Body(lambda: form_schema(NEW_CASE), example=EXAMPLE_CASE),
            versioned=True,
            made=True,
            keyed=True,
            help=_l("With the uid of a customer on file, or customer_name for a new one (scope customer.write)."),
        ),
        Operation(
            "get_case", "GET", "/cases/{uid}", _l("Read a case"), case, get_case, READ, CASE_SHAPE, versioned=True
        ),
        Operation(
            "change_case",
            "PATCH",
            "/cases/{uid}",
            _l("Edit case details"),
            case,
            change_case,
            WRITE,
            CASE_SHAPE,
            body=Body(lambda: form_schema(CHANGES, partial=True), example={"serial_text": "BG20X-0001"}),
            versioned=True,
            guarded=True,
        ),
        Operation(
            "reveal_case",
            "POST",
            "/cases/{uid}/reveal",
            _l("Read a case with its contact in full"),
            case,
            reveal_case,
            "customer.pii",
            CASE_SHAPE,
            versioned=True,
            help=_l("Who looked is kept in the audit trail."),
        ),
        Operation(
            "list_records",
            "GET",
            "/records",
            _l("List records"),
            record,
            list_records,
            READ,
            RECORD,
            True,
            (TYPE, *FILTERS),
        ),
        Operation(
            "get_record",
            "GET",
            "/records/{uid}",
            _l("Read a record"),
            record,
            get_record,
            READ,
            RECORD,
            versioned=True,
        ),
        Operation(
            "list_transitions",
            "GET",
            "/records/{uid}/transitions",
            _l("Ask which steps are possible"),
            record,
            list_transitions,
            READ,
            {"items": ["#transition"]},
            help=_l("Refusals name their clause. The fields are the step's form."),
        ),
        Operation(
            "do_transition",
            "POST",
            "/records/{uid}/transitions/{name}",
            _l("Take a step"),
            record,
            do_transition,
            WRITE,
            RECORD,
            body=Body(_step_schema, needed=False, example={"nature": "repair", "urgency": "normal"}),
            versioned=True,
            guarded=True,
            keyed=True,
            parts={"name": _step_names()},
        ),
        Operation(
            "list_facts",
            "GET",
            "/records/{uid}/facts",
            _l("Read the timeline"),
            record,
            list_facts,
            READ,
            FACT,
            True,
            (_KIND, _AFTER),
        ),
        Operation(
            "create_fact",
            "POST",
            "/records/{uid}/facts",
            _l("Enter a fact"),
            record,
            create_fact,
            WRITE,
            FACT,
            body=Body(lambda: form_schema(NEW_FACT, more={"data": _DATA_SCHEMA}), example={"kind": "contacted"}),
            made=True,
            keyed=True,
        ),
        Operation(
            "list_comments",
            "GET",
            "/records/{uid}/comments",
            _l("Read comments"),
            record,
            list_comments,
            READ,
            FACT,
            True,
        ),
        Operation(
            "create_comment",
            "POST",
            "/records/{uid}/comments",
            _l("Write a comment"),
            record,
            create_comment,
            WRITE,
            FACT,
            body=Body(lambda: form_schema(COMMENT), example={"text": "已联系厂家"}),
            made=True,
            keyed=True,
        ),
    ]
