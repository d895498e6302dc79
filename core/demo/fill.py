"""Fills an empty database with the demonstration, through the same services staff use, with the clock set back."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from flask_babel import force_locale
from sqlalchemy import func, select, update

from core.cases.models import Case
from core.cases.services import CASE, call_attempt, register_case
from core.customers.models import Customer
from core.customers.services import COUNTER, create_customer
from core.kernel import clock
from core.kernel.database import session, system_scope, transaction
from core.kernel.errors import AppError
from core.kernel.i18n import LOCALES
from core.kernel.numbering import raise_to
from core.kernel.outbox import DONE, Outbox
from core.records.attachments import attach
from core.records.engine import index, perform, record_fact
from core.records.models import OPEN_CATEGORIES, Record
from core.records.services import comment, remind, set_stage, watch
from core.rules import official_table
from core.units.models import Stage, Unit
from core.units.switches import enable, installed

from . import lives, rules
from .guests import Guests
from .lives import Act
from .people import Team, brings_cast, cast_units, load, make_teams, whole_group

DAYS = 90
RECENT = 12  # days whose cases are left in every state there is
SEED = 20260101
Progress = Callable[[str, int, int], object]


class NotEmpty(AppError):
    """The database holds units of its own: the demonstration is not mixed with real data."""


def is_filled() -> bool:
    """Tell whether the demonstration is there already.

    Raises:
        NotEmpty: the database holds other units.
    """
    codes = {data["code"] for data in cast_units()}
    with system_scope("demo", read_only=True) as work:
        held = set(work.scalars(select(Unit.code)))
    if held and not codes <= held:
        raise NotEmpty
    return bool(held)


def fill(progress: Progress = lambda *_: None) -> int:
    """Write the demonstration in one transaction (all of it or nothing); return the number of cases.

    ``progress`` is told (what, done, total). The same data come out each time, relative to today.
    """
    now = clock.now()
    rng = random.Random(SEED)  # noqa: S311 - a story, not a secret
    with system_scope("demo"), transaction() as work, force_locale(LOCALES["zh"]):
        with clock.frozen(now - timedelta(days=DAYS + 10)):
            official_table.seed()
            teams = make_teams()
            _switch_on(teams)
            _make_stages(teams)
            rules.take_up(teams)
            if whole_group():
                rules.set_clauses(teams, now, _as)
            guests = Guests(teams, now, _as, SEED)
            guests.begin()
        customers = {team.unit.id: _make_customers(team, rng, now, progress) for team in teams}
        plots = sorted((plot for team in teams for plot in _plots(team, now, rng)), key=lambda plot: plot[0])
        for done, (received, team, story, stop) in enumerate(plots, start=1):
            _play(team, rng.choice(customers[team.unit.id]), story, stop, received, now, rng, guests)
            if done % 20 == 0 or done == len(plots):
                progress("cases", done, len(plots))
                work.flush()
                work.expunge_all()
        guests.fill()
        _find_again()
        _promise(teams, now, rng)
        if whole_group():
            rules.ask_for_excuses(teams, rng, _as)
        _remind_people(teams, now, rng)
        # What happened in the demonstration's past need not be announced to anybody.
        work.execute(update(Outbox).values(state=DONE))
    return len(plots)


# --- the stage ---------------------------------------------------------------------------------


def _switch_on(teams: list[Team]) -> None:
    """Switch on what each unit has: every plugin for everybody, or none, and those whose own unit it is."""
    everywhere = [one.name for one in installed().plugins if not brings_cast(one)]
    for team in teams:
        for name in (*(everywhere if team.data["plugins"] else ()), *team.data["own"]):
            enable(team.unit, name, with_dependencies=True)


def _find_again() -> None:
    """Let cases be found by what plugins wrote into them."""
    for record, case in session().execute(select(Record, Case).join(Case, Case.id == Record.id)).all():
        index(record, case)


def _make_stages(teams: list[Team]) -> None:
    labels = (("waiting", "待配件", True), ("waiting", "待客户", True), ("in_progress", "现场检测", False))
    for team in teams:
        session().add_all(
            Stage(unit_id=team.unit.id, record_type="case", state=state, label=label, pauses_clock=pauses)
            for state, label, pauses in labels
        )
    session().flush()


def _make_customers(team: Team, rng: random.Random, now: datetime, progress: Progress) -> list[Customer]:
    total = team.data["customers"]
    if not total:
        return []
    # Numbers from C50001 on: a customer file brought in later keeps its own low ones.
    raise_to(team.unit.id, COUNTER, 50000)
    with clock.frozen(now - timedelta(days=DAYS + 5)), _as(team.pick(rng, "desk").id):
        made = [create_customer(team.unit.id, _customer(team, rng)) for _ in range(total)]
    progress(f"customers {team.unit.code}", total, total)
    return made


def _customer(team: Team, rng: random.Random) -> dict[str, Any]:
    cast = load("cast")
    person = rng.choice(cast["family"]) + rng.choice(cast["given"])
    place = rng.choice(team.data["places"])
    address = f"{place}{rng.choice(cast['streets'])}{rng.randint(1, 998)}号"
    phone = f"{rng.choice(('138', '139', '136', '150', '158', '186', '189', '177'))}{rng.randint(0, 99999999):08d}"
    if rng.random() >= team.data["company_share"]:
        return {"name": person, "kind": "person", "phone": phone, "address": address}
    brand = "".join(rng.sample("华东恒信瑞安盛达宏远新科鼎泰", 2))
    name = f"{place[:5].removesuffix('市').split('省')[-1]}{brand}{rng.choice(team.data['companies'])}"
    return {"name": name, "kind": "company", "contact_name": person, "phone": phone, "address": address}


def _plots(team: Team, now: datetime, rng: random.Random) -> Iterator[tuple[datetime, Team, dict[str, Any], str]]:
    """Choose when each case comes in, what it is about and where it stops."""
    if not team.data["cases"]:
        return
    stories = load("stories")[team.unit.code]
    hours, zone = tuple(team.data["hours"]), team.unit.timezone
    for number in range(team.data["cases"]):
        days = rng.uniform(0.1, RECENT) if number % 3 == 0 else rng.uniform(RECENT, DAYS)
        received = lives.within(now - timedelta(days=days), hours, zone, rng)
        stop = lives.STOPS[number // 3 % len(lives.STOPS)] if number % 3 == 0 else ""
        if number % 3 and rng.random() < 0.05:
            stop = rng.choice(("assign", "contact", "cancel", "wait"))
        wanted = [s for s in stories if (s["nature"] == "inquiry") == (stop == "answer")] if stop else stories
        if received < now:
            yield received, team, rng.choice(wanted), stop


# --- the play ----------------------------------------------------------------------------------


@contextmanager
def _as(user_id: int) -> Iterator[None]:
    """Let a person of the demonstration be the actor: the scope stays that of the system, only the name changes."""
    info = session().info
    before = info["scope"]
    info["scope"] = replace(before, actor_id=user_id)
    try:
        yield
    finally:
        info["scope"] = before


def _play(
    team: Team,
    customer: Customer,
    story: dict[str, Any],
    stop: str,
    received: datetime,
    now: datetime,
    rng: random.Random,
    guests: Guests,
) -> None:
    desk, lead, field = (team.pick(rng, role) for role in ("desk", "lead", "field"))
    people = {"desk": desk.id, "lead": lead.id, "field": field.id}
    with clock.frozen(received), _as(desk.id):
        record = register_case(team.unit.id, _intake(customer, story, rng))
        guests.received(record)
    hours = tuple(team.data["hours"])
    life = lives.shorten(lives.life_of(story, rng), stop)
    for moment, act in lives.timed(life, received, hours, team.unit.timezone, rng):
        if moment >= now:
            break
        with clock.frozen(moment), _as(people[act.role]):
            if not guests.before(record, act.name):
                break
            _do(record, _at_home(team, act), people)
    if rng.random() < 0.15:
        with clock.frozen(min(now, received + timedelta(hours=rng.uniform(1, 30)))), _as(lead.id):
            comment(record.id, f"@{field.name} {rng.choice(lives.COMMENTS)}")
            watch(record.id)


def _at_home(team: Team, act: Act) -> Act:
    """In a hotel or a bank the matter stays in the house: nobody travels, and a position of the house takes it."""
    if team.data["kind"] not in ("hotel", "bank"):
        return act
    data = {name: value for name, value in act.data.items() if name != "distance_km"}
    if "position" in data:
        data["position"] = team.data["field"][0]
    return replace(act, data=data)


def _intake(customer: Customer, story: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    text = story["what"] % rng.choice(story["where"]) if "where" in story else story["what"]
    contact = customer.contacts[0].name if customer.contacts else customer.name
    return {
        "customer_id": customer.id,
        "contact_name": contact,
        "contact_phone": customer.phones[0].display,
        "address_text": str(customer.addresses[0]),
        "channel": rng.choice(lives.CHANNELS),
        "product_text": story["product"],
        "description": text,
    }


def _do(record: Record, act: Act, people: dict[str, int]) -> None:
    if act.name == "photo":
        attach(record.id, "现场照片.png", io.BytesIO(picture(record.id)), kind="photo")
        return
    if act.name == "call_attempt":
        call_attempt(record.id, act.data, timezone="UTC")
        return
    if act.name == "progress":
        record_fact(record.id, "progress", note=act.data["note"])
        return
    data = {**act.data, "assignee_id": people["field"]} if act.name == "assign" else act.data
    perform(record.id, act.name, data)
    if act.name == "wait":
        label = {"parts": "待配件", "customer": "待客户"}.get(act.data["why"])
        stage = session().scalar(select(Stage.id).where(Stage.unit_id == record.unit_id, Stage.label == label))
        if stage:
            set_stage(record.id, stage)


def picture(seed: int) -> bytes:
    """Return a small PNG (48 x 36, one colour per seed), as a stand-in for a photo."""
    colour = bytes((60 + seed * 37 % 160, 60 + seed * 61 % 160, 60 + seed * 97 % 160))
    rows = b"".join(b"\0" + colour * 48 for _ in range(36))

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 48, 36, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


# --- after the play ----------------------------------------------------------------------------


def _half_hour(moment: datetime) -> datetime:
    """Nobody plans for 10:13."""
    return moment.replace(minute=moment.minute // 30 * 30, second=0, microsecond=0)


def _promise(teams: list[Team], now: datetime, rng: random.Random) -> None:
    """Let somebody promise a time for some of the open cases; what clauses ask for stands beside it."""
    for team in teams:
        open_ones = select(Record.id).where(
            Record.unit_id == team.unit.id, Record.type == CASE.code, Record.category.in_(OPEN_CATEGORIES)
        )
        for key in session().scalars(open_ones.order_by(Record.id)).all():
            if rng.random() < 0.3:
                due = _half_hour(now + timedelta(hours=rng.choice((2, 5, 9, 26, 50))))
                with _as(team.pick(rng, "lead").id):
                    perform(key, "set_due", {"due": due.isoformat()})


def _remind_people(teams: list[Team], now: datetime, rng: random.Random) -> None:
    texts = ("回访客户是否恢复正常", "催仓库发配件", "确认上门时间", "把检测报告发给客户")
    for team in teams:
        open_ones = select(Record.id).where(
            Record.unit_id == team.unit.id, Record.type == CASE.code, Record.category.in_(OPEN_CATEGORIES)
        )
        keys = session().scalars(open_ones.order_by(func.length(Record.title), Record.id).limit(12)).all()
        for key in keys:
            who = team.pick(rng, rng.choice(("desk", "lead", "field")))
            with clock.frozen(now - timedelta(days=2)), _as(who.id):
                remind(key, rng.choice(texts), _half_hour(now + timedelta(hours=rng.choice((-20, -2, 3, 7, 30)))))
