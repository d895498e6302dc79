"""Applications (领用、增领、以旧换新、易损件、借用、转借、外带申请): asked for, decided, carried out.

The position that the clause names decides; nobody decides on what they applied for or what they get. Where no
clause asks for a decision (it is switched off), the application is granted when it is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    Choices,
    Field,
    InvalidData,
    Record,
    RecordType,
    Refusal,
    Refused,
    accounts,
    answered_before,
    approvals,
    clean,
    clock,
    create_record,
    current_scope,
    detail_of,
    effective,
    fetch,
    holds,
    label_of,
    lock,
    notify,
    perform,
    publish,
    remember_answer,
    require,
    session,
    transaction,
    unit_facts,
)

from . import application_flow, application_rows, custody, file, kinds, notices, parties, values
from .models import Application, Kind, Party, Tool
from .rights import KEEP, OWN
from .values import A_ADDITIONAL, A_BORROW, A_LEND, A_NEW, A_REPLACE, A_TAKE_OUT, A_WEAR_PART

SUBJECT = "tools.application"
MOST = 100
# The clauses that ask for a decision, by kind; the first that holds in the unit names who decides.
CLAUSES: Mapping[str, tuple[str, ...]] = {
    A_NEW: ("R35-5.1",),
    A_ADDITIONAL: ("R35-4.4",),
    A_REPLACE: ("R35-5.2", "R35-4.3"),
    A_WEAR_PART: ("R33-3.2",),
    A_BORROW: ("R33-6.1",),
    A_LEND: ("R35-4.6", "R33-2.2"),
    A_TAKE_OUT: ("R33-9.2",),
}
LENDING_CLAUSES = ("R33-2.2", "R35-4.6")
MANAGER = "dept_manager"  # decides where a clause asks for a decision, but has no parameter for who gives it
ONE_TOOL = (A_REPLACE, A_LEND, A_TAKE_OUT)  # about a tool in the person's hands
WITH_DUE = (A_BORROW, A_LEND, A_TAKE_OUT)
IN_ENGLISH: Mapping[str, str] = {
    A_NEW: "New tool",
    A_ADDITIONAL: "Additional tool",
    A_REPLACE: "Old for new",
    A_WEAR_PART: "Wear part",
    A_BORROW: "Loan of a tool",
    A_LEND: "Lending on",
    A_TAKE_OUT: "Taking a tool out",
}
IN_CHINESE: Mapping[str, str] = {
    A_NEW: "领用申请",
    A_ADDITIONAL: "增领申请",
    A_REPLACE: "以旧换新申请",
    A_WEAR_PART: "易损件更换申请",
    A_BORROW: "借用申请",
    A_LEND: "转借申请",
    A_TAKE_OUT: "外带申请",
}


def _is(*kinds: str) -> Any:
    return lambda raw: raw.get("kind") in kinds


FIELDS = (
    Field("kind", "choice", _l("Kind of application"), True, values.APPLICATION_KINDS),
    Field("user_id", "user", _l("Person it is for"), help=_l("Leave empty for yourself")),
    Field("kind_id", "text", _l("Kind of tool"), _is(A_NEW, A_ADDITIONAL, A_WEAR_PART, A_BORROW), max_length=80),
    Field(
        "tool",
        "text",
        _l("Tool"),
        _is(*ONE_TOOL),
        max_length=200,
        help=_l("Its number: the old one to come back, the one to be lent on or taken out"),
    ),
    Field("quantity", "int", _l("Quantity"), minimum=Decimal(1), maximum=Decimal(MOST)),
    Field("due_at", "moment", _l("Back by"), _is(*WITH_DUE)),
    Field("to_user_id", "user", _l("Lent on to"), _is(A_LEND)),
    Field(
        "department",
        "text",
        _l("For another department"),
        max_length=120,
        help=_l("Its name; leave empty for a person"),
    ),
    Field("reason", "long", _l("Reason"), True, max_length=1000),
)


# --- applying ------------------------------------------------------------------------------------


def clause_of(unit_id: int, kind: str) -> str:
    """Return the clause under which a kind of application is decided in a unit, '' where none asks for it."""
    return next((clause for clause in CLAUSES[kind] if holds(unit_id, clause)), "")


def register(unit_id: int, raw: Mapping[str, Any], *, key: str = "") -> Record:
    """Apply for a tool (``FIELDS``), for oneself (``OWN``) or for somebody else (``KEEP``).

    The position of the clause is asked at once (R35-5.1, R35-4.4, R35-5.2, R35-4.3, R33-3.2, R33-6.1, R35-4.6,
    R33-9.2). ``tool`` is a number or what was scanned; ``key`` keeps a retry from asking twice.

    Raises:
        NotAllowed: for somebody else without ``KEEP``.
        InvalidData: beside the field: not theirs, unknown, out of use, a time in the past.
        Refused: the same is asked for already; lending on is not allowed here at all (R33-2.2, R35-4.6).
    """
    given = clean(FIELDS, raw, timezone=unit_facts(unit_id).timezone)
    actor = current_scope().actor_id
    user_id = given["user_id"] or actor
    department = _department(unit_id, given["department"])
    mine = user_id == actor or (department is not None and department.user_id == actor)
    permission = OWN if mine else KEEP
    require(permission, unit_id)
    if user_id is None:
        raise InvalidData({"user_id": _l("Please say for whom")})
    with transaction():
        before = answered_before(unit_id, key, "tools.apply", dict(raw))
        if before is not None:
            return fetch(Record, before["record"])
        record = _register(unit_id, given, user_id, department, permission)
        remember_answer(unit_id, key, {"record": record.id})
        return record


def _register(
    unit_id: int, given: Mapping[str, Any], user_id: int, department: Party | None, permission: str
) -> Record:
    kind = given["kind"]
    name = _staff_name(unit_id, user_id, "user_id")
    _check_lending(unit_id, kind)
    tool = _tool(unit_id, given["tool"])
    wanted = _kind(unit_id, given["kind_id"], tool)
    if kind in ONE_TOOL and tool is not None:
        _check_held(unit_id, user_id, tool)
        _check_new(kind, tool)
    _check_due(given, kind)
    detail = Application(
        kind=kind,
        clause=clause_of(unit_id, kind),
        user_id=user_id,
        department_id=department.id if department is not None else None,
        kind_id=wanted.id,
        tool_id=tool.id if tool is not None else None,
        quantity=1 if kind in ONE_TOOL else given["quantity"] or 1,
        due_at=given["due_at"] if kind in WITH_DUE else None,
        to_user_id=_lent_to(unit_id, given, kind, user_id),
        reason=given["reason"],
    )
    record = create_record(
        TYPE,
        unit_id,
        detail,
        title=f"{wanted.name} · {name}",
        customer_id=None,
        received_at=clock.now(),
        permission=permission,
        facts=[("registered", {"what": kind})],
    )
    publish("record.registered", unit_id, {"record_id": record.id, "type": application_rows.CODE})
    if detail.clause:
        _ask(record, detail, wanted, tool, name)
    else:
        perform(record.id, "grant", {}, permitted=True)
    return record


def _department(unit_id: int, name: str | None) -> Party | None:
    if not name:
        return None
    mine = Party.unit_id == unit_id, Party.name == name, Party.kind == values.DEPARTMENT, Party.active
    found = session().scalars(select(Party).where(*mine)).first()
    if found is None:
        raise InvalidData({"department": _l("There is no such department")})
    return found


def _staff_name(unit_id: int, user_id: int, field: str) -> str:
    found = next((name for key, name in accounts.staff_names(unit_id) if key == user_id), None)
    if found is None:
        raise InvalidData({field: _l("This person does not work in the unit")})
    return found


def _check_lending(unit_id: int, kind: str) -> None:
    if kind != A_LEND:
        return
    against = [one for one in LENDING_CLAUSES if holds(unit_id, one) and _lending(unit_id, one) == "never"]
    if against:
        text = _l("Here nobody lends on what they hold; bring the tool back to the store instead")
        raise Refused([Refusal("never_lent", text, one) for one in against])


def _lending(unit_id: int, clause: str) -> str:
    return str(effective(unit_id, clause).values["lending"])


def _tool(unit_id: int, given: object) -> Tool | None:
    """Return the tool that was typed or scanned."""
    if given is None:
        return None
    try:
        return file.find_tool(unit_id, given)
    except InvalidData as bad:
        raise InvalidData({"tool": next(iter(bad.errors.values()))}) from None


def _kind(unit_id: int, text: str | None, tool: Tool | None) -> Kind:
    if tool is not None:
        return tool.kind
    found = kinds.find_kind(unit_id, text)
    if found is None:
        raise InvalidData({"kind_id": _l("There is no such kind of tool")})
    if not found.active:
        raise InvalidData({"kind_id": _l("This kind is out of use")})
    return found


def _check_held(unit_id: int, user_id: int, tool: Tool) -> None:
    """What is brought back, lent on or taken out is in the person's own hands."""
    party, held = parties.held_as(unit_id, user_id), custody.spell(tool.id)
    if party is None or held is None or held.party_id != party.id:
        raise InvalidData({"tool": _l("%(tool)s is not in this person's hands", tool=tool.code)})


def _check_new(kind: str, tool: Tool) -> None:
    """One application at a time for the same tool and end; the tool's record is locked, so two at once wait."""
    lock(tool.id)
    asked = select(Record).join(Application, Application.id == Record.id)
    mine = Application.tool_id == tool.id, Application.kind == kind
    open_one = asked.where(*mine, Record.state.in_((values.ASKED, values.GRANTED)))
    moment = clock.now()
    for record in session().scalars(open_one):
        due = detail_of(record).due_at
        if due is not None and due <= moment:
            continue
        text = _l("Application %(number)s asks for this already", number=record.number)
        raise Refused([Refusal("asked", text)])


def _check_due(given: Mapping[str, Any], kind: str) -> None:
    if kind in WITH_DUE and given["due_at"] <= clock.now():
        raise InvalidData({"due_at": _l("This time has passed already")})


def _lent_to(unit_id: int, given: Mapping[str, Any], kind: str, user_id: int) -> int | None:
    if kind != A_LEND:
        return None
    to: int = given["to_user_id"]
    _staff_name(unit_id, to, "to_user_id")
    if to == user_id:
        raise InvalidData({"to_user_id": _l("Please choose somebody else")})
    return to


# --- deciding ------------------------------------------------------------------------------------


def _ask(record: Record, detail: Application, kind: Kind, tool: Tool | None, name: str) -> None:
    position = effective(record.unit_id, detail.clause).values.get("position", MANAGER)
    facts = [
        {"label": {"zh": "申请人", "en": "For"}, "value": name},
        {"label": {"zh": "工具", "en": "Tool"}, "value": " ".join((kind.name, tool.code if tool else "")).strip()},
        {"label": {"zh": "数量", "en": "Quantity"}, "value": str(detail.quantity)},
    ]
    approval = approvals.ask(
        record.unit_id,
        clause=detail.clause,
        subject=f"{SUBJECT}:{record.id}",
        title={
            "zh": f"{IN_CHINESE[detail.kind]}：{name}，{kind.name}",
            "en": f"{IN_ENGLISH[detail.kind]}: {name}, {kind.name_en or kind.name}",
        },
        position=str(position),
        reason=detail.reason,
        record=record,
        data={"about": detail.user_id, "facts": facts},
    )
    detail.approval_id = approval.id
    session().flush()


_DECIDED = {approvals.AGREED: "grant", approvals.REJECTED: "reject", approvals.WITHDRAWN: "lapse"}


def decided(approval: approvals.Approval) -> None:
    """Grant or reject an application as its approval was decided (a handler of approvals)."""
    step = _DECIDED.get(approval.state)
    if approval.record_id is None or step is None:
        return
    record = lock(approval.record_id)
    detail = detail_of(record)
    if detail.approval_id == approval.id and record.state == values.ASKED:
        perform(record.id, step, {"approval": approval.id}, permitted=True)
        if approval.asked_by != detail.user_id:  # who asked is told by the approval
            notify(record, notices.APPLIED, [detail.user_id], record.title)


approvals.handlers[SUBJECT] = decided


def withdraw(record_id: object, reason: str = "", *, version: int | None = None) -> Record:
    """Take an application back before it is carried out: who gets the tool, or a keeper.

    Raises:
        NotFound, NotAllowed, Conflict. Refused: it was decided against or carried out; somebody else's.
    """
    record = application_rows.fetch_application(record_id)
    return perform(record.id, "withdraw", {"reason": reason}, version=version)


# --- carrying out --------------------------------------------------------------------------------


def use(application: Application, quantity: int, record: Record | None = None) -> Record:
    """Count what was carried out of a granted application; when all of it was, it is done.

    ``record`` is the hand-over (or the tool taken out) by which. The caller asked for its own permission.

    Raises:
        Refused: it is not granted (any more), or less is left of it.
    """
    with transaction():
        asked = lock(application.id)
        session().refresh(application)  # somebody else may have used it while this one waited
        left = application.quantity - application.fulfilled
        if asked.state != values.GRANTED:
            text = _l("Application %(number)s is not granted", number=asked.number)
            raise Refused([Refusal("not_granted", text, application.clause)])
        if quantity > left:
            text = _l("Application %(number)s is for %(left)d more only", number=asked.number, left=left)
            raise Refused([Refusal("used_up", text, application.clause)])
        application.fulfilled += quantity
        session().flush()
        step = "fulfil" if quantity == left else "use_part"
        given = {"quantity": quantity, "handover": record.number if record is not None else ""}
        return perform(asked.id, step, given, permitted=True)


# --- words -----------------------------------------------------------------------------------------


def kind_words(kind: str) -> Any:
    """Return what a kind of application is called."""
    return label_of(values.APPLICATION_KINDS, kind)


def kinds_offered(unit_id: int) -> Choices:
    """Return the kinds of application one can make in a unit: no lending on where it is never allowed."""
    never = any(holds(unit_id, one) and _lending(unit_id, one) == "never" for one in LENDING_CLAUSES)
    return [one for one in values.APPLICATION_KINDS if not (never and one[0] == A_LEND)]


def _search_text(record: Record, detail: Application) -> str:
    return "\n".join(part for part in (record.number, record.title) if part)


TYPE = RecordType(
    application_rows.CODE,
    _l("Application"),
    "SQ",
    Application,
    application_flow.WORKFLOW,
    _search_text,
    intake=FIELDS,
    register=register,
)
