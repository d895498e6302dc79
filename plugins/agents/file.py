"""The file of agents and partners, their people, and what these may see. Services flush, never commit."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import func, or_, select
from sqlalchemy.orm import joinedload

from core.sdk import (
    BAD_EMAIL,
    OPEN_CATEGORIES,
    Choices,
    Field,
    InvalidData,
    NotAllowed,
    NotFound,
    Position,
    Record,
    Refusal,
    Refused,
    User,
    accounts,
    clean,
    current_scope,
    draw,
    fetch,
    local_day,
    may,
    normalise,
    read_id,
    read_phone,
    require,
    session,
    valid_email,
)
from plugins.warranty.services import read_tax_number

from . import values
from .models import Agent, Contact, Order, Seller, Statement
from .rights import KEEP, OWN, VIEW

POSITION = "agent"  # the core's position of other companies' people
USER_ADMIN = "user.admin"
MOST_REGIONS, MOST_PEOPLE = 60, 200
_PARTS = re.compile(r"[\s,，;；、/]+")
_FOREIGN_TAX = re.compile(r"[0-9A-Z-]{5,30}")
_KEPT = "agents_of_actor"

FIELDS = (
    Field("name", "text", _l("Name"), True, max_length=120),
    Field("kind", "choice", _l("Kind"), True, values.KINDS, default=values.AGENT),
    Field("level", "choice", _l("Level"), choices=values.LEVELS),
    Field(
        "regions",
        "text",
        _l("Regions"),
        max_length=600,
        help=_l("Provinces, cities or counties as they stand in addresses, separated by commas"),
    ),
    Field("phone", "text", _l("Phone"), max_length=30),
    Field(
        "email",
        "text",
        _l("E-mail address"),
        max_length=120,
        help=_l("Notices before service go here"),
    ),
    Field("address", "text", _l("Address"), max_length=200),
    Field("tax_number", "text", _l("Tax number"), max_length=30),
    Field("bank", "text", _l("Bank and account"), max_length=160),
    Field("note", "long", _l("Note"), max_length=2000),
)
ACTIVE = Field("active", "bool", _l("In use"), default=True)
CONTACT_FIELDS = (
    Field("name", "text", _l("Name"), True, max_length=60),
    Field("role", "choice", _l("Role"), True, values.ROLES, default=values.BUSINESS),
    Field("phone", "text", _l("Phone"), max_length=30),
    Field("email", "text", _l("E-mail address"), max_length=120),
)
SIGN_IN_FIELDS = (
    Field("username", "text", _l("User name"), True, max_length=60),
    Field(
        "existing",
        "bool",
        _l("This person has an account here already"),
        help=_l("Such as a contact of an agent in another unit"),
    ),
)


# --- agents --------------------------------------------------------------------------------------


def save_agent(unit_id: int, raw: Mapping[str, Any], agent: Agent | None = None) -> Agent:
    """Add or change an agent; a new one draws its number (``DL0001``), which never changes (``KEEP``).

    Taken out of use (``active`` false), the sign-ins of its people end.

    Raises:
        NotAllowed, InvalidData: beside the field; a name that is taken.
        Refused: out of use while orders, statements or payments are open.
    """
    require(KEEP, unit_id)
    given = _read_agent(unit_id, raw, agent)
    if agent is None:
        agent = Agent(unit_id=unit_id, code=f"DL{draw(unit_id, 'agents_agent'):04d}", **given)
        session().add(agent)
    else:
        for name, value in given.items():
            setattr(agent, name, value)
    if "active" in raw:
        _use_agent(agent, clean((ACTIVE,), raw)["active"])
    session().flush()
    session().info.pop(_KEPT, None)
    return agent


def _read_agent(unit_id: int, raw: Mapping[str, Any], agent: Agent | None) -> dict[str, Any]:
    errors: dict[str, Any] = {}
    given = read_agent(raw, errors)
    holder = find_by_name(unit_id, given["name"])
    if holder is not None and (agent is None or holder.id != agent.id):
        errors.setdefault("name", _l("%(number)s has this name already", number=holder.code))
    if agent is not None and (problem := kind_problem(agent, given["kind"])):
        errors.setdefault("kind", problem)
    if errors:
        raise InvalidData(errors)
    return given


def kind_problem(agent: Agent, kind: str) -> Any:
    """Return why an agent cannot become another kind, None where it can: by the class of an item one of a certain
    kind sold it."""
    if kind == agent.kind:
        return None
    sold = select(Seller.id).where(Seller.agent_id == agent.id, Seller.current).limit(1)
    if session().scalars(sold).first() is None:
        return None
    return _l("It is known as the seller of items; give those another seller first, or enter it a second time")


def read_agent(raw: Mapping[str, Any], errors: dict[str, Any]) -> dict[str, Any]:
    """Check ``FIELDS`` as far as they can be judged by themselves; what is wrong is added to ``errors``."""
    if isinstance(raw.get("regions"), list | tuple):  # as a row holds them
        raw = {**raw, "regions": ", ".join(raw["regions"])}
    try:
        given = clean(FIELDS, raw)
    except InvalidData as bad:
        errors |= bad.errors
        # What is right so far is looked at as well, so that all that is wrong is said at once.
        given = clean(FIELDS, _FILLED | {name: value for name, value in raw.items() if name not in errors})
    given = {name: value if value is not None else "" for name, value in given.items()}
    given["name"] = " ".join(given["name"].split())
    for name, read in (("regions", read_regions), ("phone", _phone), ("email", _email)):
        _check(errors, given, name, read)
    _check(errors, given, "tax_number", lambda text: _tax_number(text, given["kind"]))
    return given


# Stands in for required fields while the others of a bad form are looked at.
_FILLED = {"name": "-", "kind": values.AGENT}


def _check(errors: dict[str, Any], given: dict[str, Any], name: str, read: Any) -> None:
    try:
        given[name] = read(given[name])
    except InvalidData as bad:
        errors.setdefault(name, bad.texts())


def read_regions(text: object) -> list[str]:
    """Return the names in a list of regions, each once.

    Raises:
        InvalidData: under ``regions``: too many, or a name of one character, which too many addresses contain.
    """
    found = list(dict.fromkeys(one for one in _PARTS.split(normalise(str(text or ""))) if one))
    if len(found) > MOST_REGIONS:
        raise InvalidData({"regions": _l("At most %(count)d regions", count=MOST_REGIONS)})
    short = next((one for one in found if len(one) < 2), None)
    if short is not None:
        raise InvalidData({"regions": _l("%(name)s is too short for a region", name=short)})
    return found


def _phone(text: str) -> str:
    return read_phone(text).display if text else ""


def _email(text: str) -> str:
    if text and not valid_email(text):
        raise InvalidData({"email": BAD_EMAIL})
    return text


def _tax_number(text: str, kind: str) -> str:
    """A partner abroad has a number of another country, of which only the characters can be checked."""
    if not text:
        return ""
    try:
        return str(read_tax_number(text))
    except InvalidData:
        plain = re.sub(r"\s", "", normalise(text)).upper()
        if kind != values.PARTNER or len(plain) in (15, 18, 20) or not _FOREIGN_TAX.fullmatch(plain):
            raise
        return plain


def _use_agent(agent: Agent, active: bool) -> None:
    if agent.active and not active:
        refusals = _open_business(agent)
        if refusals:
            raise Refused(refusals)
        for contact in contacts_of(agent.id):
            _use_contact(contact, False)
    agent.active = active


def _open_business(agent: Agent) -> list[Refusal]:
    """Why an agent may not be taken out of use: what is open would be left without an owner."""
    order = select(Order.id).where(Order.agent_id == agent.id, Order.current, Order.state.in_(_IN_HANDS)).limit(1)
    statement = (
        select(Statement.id)
        .join(Record, Record.id == Statement.id)
        .where(Statement.agent_id == agent.id, Record.category.in_(OPEN_CATEGORIES))
        .limit(1)
    )
    found = []
    if session().scalars(order).first() is not None:
        found.append(Refusal("agents.orders_open", _l("Orders are in their hands; pass them to others first")))
    if session().scalars(statement).first() is not None:
        found.append(Refusal("agents.statements_open", _l("Statements are not closed yet")))
    return found


_IN_HANDS = (values.PASSED, values.ACCEPTED)


def get_agent(raw_id: object) -> Agent:
    """Return an agent by an id from a request (raises NotFound)."""
    return fetch(Agent, raw_id)


def find_agent(unit_id: int, text: object) -> Agent | None:
    """Return the unit's agent of this number or exact name (any spelling of case and blanks), or None.

    Agents out of use are found as well: what they sold and owe stays theirs.
    """
    wanted = fold(text)
    if not wanted:
        return None
    known = or_(func.lower(Agent.code) == wanted, _folded_name() == wanted)
    found = session().scalars(select(Agent).where(Agent.unit_id == unit_id, known).limit(2)).all()
    return next((one for one in found if one.code.lower() == wanted), found[0] if found else None)


def find_by_name(unit_id: int, name: str) -> Agent | None:
    """Return the unit's agent of this name, whatever the case and blanks, or None."""
    found = select(Agent).where(Agent.unit_id == unit_id, _folded_name() == fold(name))
    return session().scalars(found.limit(1)).first()


def agents_by_text(unit_id: int) -> dict[str, Agent]:
    """Return all agents of a unit by ``fold`` of number and of name, for files with many rows."""
    rows = session().scalars(select(Agent).where(Agent.unit_id == unit_id)).all()
    return {fold(one.name): one for one in rows} | {fold(one.code): one for one in rows}


def fold(text: object) -> str:
    """Return what a number or name is compared by."""
    return "".join(normalise(str(text or "")).split()).lower()


def _folded_name() -> Any:
    return func.lower(func.replace(Agent.name, " ", ""))


def agent_choices(unit_id: int, kinds: Sequence[str] = ()) -> Choices:
    """Return the agents in use as (id, "DL0001 name"), for forms."""
    found = select(Agent.id, Agent.code, Agent.name).where(Agent.unit_id == unit_id, Agent.active)
    if kinds:
        found = found.where(Agent.kind.in_(kinds))
    return [(str(row.id), f"{row.code} {row.name}") for row in session().execute(found.order_by(Agent.code))]


# --- their people --------------------------------------------------------------------------------


def contacts_of(agent_id: int) -> Sequence[Contact]:
    """Return the people of an agent, those in use first."""
    named = joinedload(Contact.user).load_only(User.username, User.name)
    found = select(Contact).where(Contact.agent_id == agent_id).options(named)
    found = found.order_by(Contact.active.desc(), Contact.id)
    return session().scalars(found.limit(MOST_PEOPLE)).all()


def get_contact(raw_id: object) -> Contact:
    """Return a person of an agent by an id from a request (raises NotFound)."""
    return fetch(Contact, raw_id)


def save_contact(agent: Agent, raw: Mapping[str, Any], contact: Contact | None = None) -> Contact:
    """Add or change a person of an agent (``KEEP``). Taken out of use, their sign-in here ends.

    Raises:
        NotAllowed, InvalidData: beside the field.
    """
    require(KEEP, agent.unit_id)
    given = read_contact(raw)
    if contact is None:
        contact = Contact(unit_id=agent.unit_id, agent_id=agent.id, active=True, **given)
        session().add(contact)
    else:
        for name, value in given.items():
            setattr(contact, name, value)
    if "active" in raw:
        _use_contact(contact, clean((ACTIVE,), raw)["active"])
    session().flush()
    session().info.pop(_KEPT, None)
    return contact


def read_contact(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Check ``CONTACT_FIELDS``.

    Raises:
        InvalidData: beside the field.
    """
    errors: dict[str, Any] = {}
    given = {name: value or "" for name, value in clean(CONTACT_FIELDS, raw).items()}
    for name, read in (("phone", _phone), ("email", _email)):
        _check(errors, given, name, read)
    if errors:
        raise InvalidData(errors)
    return given


def _use_contact(contact: Contact, active: bool) -> None:
    """A person who is taken out of use is locked out at once, whatever is still in their hands.

    Whose account it was stays in the audit trail. Back in use, they are given their sign-in anew.
    """
    if not active and contact.user_id is not None:
        accounts.take_back_position(contact.user_id, contact.unit_id, POSITION)
        contact.user_id = None
    contact.active = active


def orders_in_hands(contact_id: int) -> int:
    """Return how many orders a person has accepted or is to answer (counted up to 100)."""
    found = select(Order.id).where(Order.contact_id == contact_id, Order.current, Order.state.in_(_IN_HANDS))
    return len(session().scalars(found.limit(100)).all())


# --- their sign-ins ------------------------------------------------------------------------------


def give_sign_in(contact_id: object, raw: Mapping[str, Any]) -> tuple[User, str]:
    """Give a contact a sign-in of their own (position ``agent`` in the unit); return it with the first password.

    The password is '' for an account that is there already: its owner knows it. Whoever gives rights in the unit
    (``user.admin``) gives this one, too; who keeps the file says whose contact somebody is.

    Raises:
        NotFound, NotAllowed. InvalidData: a user name that is taken, or unknown where there should be one.
        Refused: they have one, are out of use, or are our own staff here.
    """
    contact = get_contact(contact_id)
    require(USER_ADMIN, contact.unit_id)
    if not (contact.active and contact.agent.active):
        raise Refused([Refusal("agents.contact_ended", _l("This contact is out of use"))])
    if contact.user_id is not None:
        raise Refused([Refusal("agents.has_sign_in", _l("This contact has a sign-in already"))])
    given = clean(SIGN_IN_FIELDS, raw)
    user, password = _existing(contact, given["username"]) if given["existing"] else _new_user(contact, given)
    contact.user_id = user.id
    _grant(contact)
    return user, password


def _new_user(contact: Contact, given: Mapping[str, Any]) -> tuple[User, str]:
    about = {"name": contact.name, "email": contact.email, "phone": contact.phone, "active": True}
    return accounts.create_user({"username": given["username"], **about})


def _existing(contact: Contact, username: str) -> tuple[User, str]:
    found = select(User).where(User.username == username.casefold(), User.active, ~User.integration)
    user = session().scalars(found).first()
    if user is None:
        raise InvalidData({"username": _l("There is no account of this name")})
    try:
        accounts.administered(user.id, USER_ADMIN)
    except (NotFound, NotAllowed):
        # Nothing is told of people whom the actor does not administer.
        raise InvalidData({"username": _l("There is no account of this name")}) from None
    other = select(Contact.id).where(Contact.unit_id == contact.unit_id, Contact.user_id == user.id)
    if session().scalars(other).first() is not None:
        raise InvalidData({"username": _l("This account belongs to another contact here")})
    _refuse_staff(user.id, contact.unit_id)
    return user, ""


def _refuse_staff(user_id: int, unit_id: int) -> None:
    """Nobody sits on both sides of a statement."""
    if accounts.position_codes(user_id, unit_id) - {POSITION}:
        text = _l("This account belongs to our own staff in this unit")
        raise Refused([Refusal("agents.own_staff", text)])


def _grant(contact: Contact) -> None:
    today = local_day(contact.unit_id)
    accounts.grant_position(contact.user_id or 0, contact.unit_id, position_id(), today)
    session().flush()
    session().info.pop(_KEPT, None)


def position_id() -> int:
    """Return the id of the position of other companies' people."""
    return session().scalars(select(Position.id).where(Position.code == POSITION)).one()


# --- what they see -------------------------------------------------------------------------------


def agents_of_actor() -> dict[int, tuple[int, ...]]:
    """Return the agents whose contact the present user is, by unit; none for our own staff. Kept per session."""
    kept: dict[int, tuple[int, ...]] | None = session().info.get(_KEPT)
    if kept is not None:
        return kept
    actor = current_scope().actor_id
    found: dict[int, tuple[int, ...]] = {}
    if actor is not None:
        mine = (
            select(Contact.unit_id, Contact.agent_id)
            .join(Agent, Agent.id == Contact.agent_id)
            .where(Contact.user_id == actor, Contact.active, Agent.active)
            .order_by(Contact.agent_id)
        )
        for row in session().execute(mine):
            if may(OWN, row.unit_id) and not may(VIEW, row.unit_id):
                found[row.unit_id] = (*found.get(row.unit_id, ()), row.agent_id)
    session().info[_KEPT] = found
    return found


def is_party(agent_id: int) -> bool:
    """Tell whether the present user is one of an agent's people, whatever else they may do here."""
    actor = current_scope().actor_id
    mine = select(Contact.id).where(Contact.agent_id == agent_id, Contact.user_id == actor, Contact.active)
    return actor is not None and session().scalars(mine.limit(1)).first() is not None


def require_own(agent_id: int | None) -> Agent:
    """Return an agent the present user belongs to (permission ``OWN`` in its unit).

    Raises:
        NotFound: it is not theirs, or there is none; nothing tells the two apart.
    """
    if read_id(agent_id) is None or not any(agent_id in mine for mine in agents_of_actor().values()):
        raise NotFound()
    return get_agent(agent_id)
