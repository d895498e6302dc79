"""Every address of the application, walked by people who have no business there.

The walk is made from the URL map, so a new page is covered as soon as it is registered. A page whose address has
a part that ``Scene.parts`` does not know fails the test: give it a value there.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, event, select
from werkzeug.routing import Rule

from core.customers.models import Customer
from core.documents.labels import code_of
from core.documents.seals import uses_of
from core.documents.services import issue
from core.inspections.models import Inspection
from core.kernel import clock, importing
from core.kernel.audit import Audit
from core.kernel.database import Base, ScopedSession, UnitScoped, UtcDateTime, transaction
from core.kernel.ids import uuid7
from core.kernel.jobs import JobRun
from core.places.models import Place
from core.records.attachments import attach
from core.records.models import Notice, Record
from core.records.services import notify, remind
from core.records.types import RecordType, record_types
from core.reports.models import ReportSchedule
from core.rules import approvals, settings
from core.rules.approval_models import Delegation
from core.rules.obligation_models import Obligation
from core.units.models import Stage, Unit
from core.users.models import Position, SavedView, User, UserPosition
from core.users.permissions import all_permissions
from plugins.agents.models import Agent, Contact, Order, Payment, Statement, StatementLine
from plugins.hotel import guest
from plugins.hotel.models import Cleaning, Complaint, Food, FoodLine, HotelPlace, Shift, Stay
from plugins.products.models import Batch, Model
from plugins.store.models import (
    Issue,
    Lot,
    Paper,
    Receiving,
    ReceivingLine,
    Release,
    StockCount,
    StockCountLine,
)
from plugins.store.models import Plan as PurchasePlan
from plugins.tools.models import (
    Application,
    Clearance,
    Count,
    Deduction,
    Handover,
    Incident,
    Permit,
    Purchase,
    PurchaseLine,
    Stock,
    Tool,
)
from tests.casework import INTAKE, make_office
from tests.helpers import as_system, in_scope, login, make_unit, make_user, switch_on

MARK = "机密甲乙丙"  # stands in everything the other unit owns
MARKUP = """<i id=x>"'{{7*7}}甲"""  # breaks out of text, of both kinds of quotes, of a template
# Files, and the API: it takes no cookies and is walked by tokens, in test_api_walk.py.
OTHERS = re.compile(r"(^|\.)static$|^api\.")
# Pages for everybody: they must not show anything of anybody.
PUBLIC = {
    "auth.sign_in_page",
    "auth.code",
    "auth.sign_out",
    "web.set_locale",
    "health.alive",
    "health.ready",
    "hotel.guest",
}
# Pages of every signed-in person, whatever their position: they show one's own things only.
OWN = {
    "admin.index",
    "imports.index",
    "mail_reply.index",
    "inbox.index",
    "inbox.read",
    "inbox.sent",
    "jobs.count_view",
    "jobs.index_view",
    "my.index",
    "my_notices.index",
    "penalty.count_view",
    "penalty.index_view",
    "record.index",
    "reminders.index",
    "search.index",
    "search.suggest",
    "scan.index",
    "scan.photo",
    "q.index",
    "tokens.index",
    "tokens.make",
    "tokens.revoke",
    "web.root",
    "web.switch_unit",
}
# One list for the whole deployment: positions, for whoever administers them anywhere, and regulations. Also
# pages of one's own unit whose address names a choice, not a row: the desk for tools.
OF_ALL = {
    "positions.details_view",
    "positions.edit_view",
    "regulations.regulation",
    "regulations.clause",
    "clause_settings.history",
    "clause_settings.set_view",
    "tools.desk",
    "tools.desk_mode",
}
# The parts of addresses that name a row of a plugin's.
ROWS = {
    "agent_id": Agent,
    "application_id": Application,
    "batch_id": Batch,
    "cleaning_id": Cleaning,
    "clearance_id": Clearance,
    "contact_id": Contact,
    "count_id": StockCount,
    "deduction_id": Deduction,
    "delivery_id": Receiving,
    "delivery_line_id": ReceivingLine,
    "food_id": Food,
    "food_line_id": FoodLine,
    "issue_id": Issue,
    "line_id": StatementLine,
    "lot_id": Lot,
    "model_id": Model,
    "order_id": Order,
    "paper_id": Paper,
    "payment_id": Payment,
    "permit_id": Permit,
    "place_id": Place,
    "plan_id": PurchasePlan,
    "purchase_id": Purchase,
    "release_id": Release,
    "room_id": HotelPlace,
    "shift_id": Shift,
    "statement_id": Statement,
    "stay_id": Stay,
    "stock_id": Stock,
    "tool_id": Tool,
}
# Where the same word in an address means another row: the beginning of the endpoint, the part, its model.
MEANS = (
    ("hotel.complaint_order", "record_id", Complaint),
    ("inspections.", "record_id", Inspection),
    ("store.count_reason", "line_id", StockCountLine),
    ("tools.purchase_", "line_id", PurchaseLine),
    ("tools.accept", "record_id", Handover),
    ("tools.count", "record_id", Count),
    ("tools.incident", "record_id", Incident),
)
BOOKKEEPING = ("core_user_session", "core_sign_in_try")
BAD_IDS = ["1" + "0" * 30, "%00", "²", "abc", "-1", "0", "%ff", "..%2f..%2fetc", "9" * 5000]
WORST = 3  # the first of them are tried on both databases
Request = tuple[Rule, str, dict[str, str]]
_BREAKS_OUT = re.compile(r"id=x(&gt;|>)\"|id=x(&gt;|>)&#34;'")
_WRITES = re.compile(r"\s*(?:INSERT INTO|UPDATE|DELETE FROM)\s+\"?(\w+)", re.I)


@dataclass
class Scene:
    """Unit A with one of everything, and three people: who may do all there, who may do nothing, a stranger."""

    app: Flask
    unit: Unit
    boss: User
    nobody: User
    stranger: User
    parts: dict[str, str] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    meant: dict[str, dict[str, str]] = field(default_factory=dict)  # parts that one endpoint reads otherwise

    def on_sqlite(self) -> bool:
        with as_system() as work:
            return work.get_bind().dialect.name == "sqlite"

    def rules(self, method: str) -> list[Rule]:
        return [
            rule
            for rule in sorted(self.app.url_map.iter_rules(), key=lambda r: (r.endpoint, r.rule))
            if method in (rule.methods or ()) and not OTHERS.search(rule.endpoint)
        ]

    def address(self, rule: Rule, bad: str = "") -> str:
        """Fill the parts of an address with ids of A's rows, or every id with ``bad``."""
        for name in rule.arguments - set(self.parts):
            pytest.fail(f"{rule.rule}: add a value for <{name}> to Scene.parts in {__file__}")
        parts = self.parts | self.meant.get(rule.endpoint, {})
        given = {n: bad if bad and n.endswith(("_id", "serial")) else v for n, v in parts.items()}
        return re.sub(r"<(?:\w+:)?(\w+)>", lambda m: given[m.group(1)], rule.rule)

    def given(self, rule: Rule, bad: str = "") -> dict[str, str]:
        """What is sent beside: every id that pages ask for, of A's rows."""
        words = {**self.words, "id": self.row_of(rule)}
        ids = {"id", "customer", "other", "part", "position", "pin", "drop", "unit", "unit_id", "stage", "version"}
        return {name: bad if bad and name in ids else value for name, value in words.items()}

    def row_of(self, rule: Rule) -> str:
        """Return the id of A's row that the screen is about; its model is found by the screen's own."""
        screen = rule.endpoint.partition(".")[0]
        known = {"units": self.unit.id, "users": self.boss.id, "inbox": self.words["notice"]}
        known |= dict.fromkeys(("clause_settings", "clause_changes"), self.parts["setting_id"])
        if screen in known:
            return str(known[screen])
        model = self.models().get(screen)
        if model is None:
            return self.parts["record_id"]
        with as_system() as work:
            return str(work.scalars(_rows_of(model, self.unit)).one().id)

    def models(self) -> dict[str, Any]:
        views = self.app.extensions["admin"][0]._views
        found = {view.endpoint: view.model for view in views if getattr(view, "model", None) is not None}
        found["report_list"] = ReportSchedule
        return {**found, "imports": importing.ImportRun, "audit": Audit, "audit_deployment": Audit}

    def requests(self, method: str, bad: str = "", typed: bool = True) -> Iterator[Request]:
        """Yield (rule, address with query, form) for everything that takes ``method``."""
        for rule in self.rules(method):
            words = self.given(rule, bad)
            if not typed:  # so that an answer cannot hold MARK only because it was sent
                words = {name: value for name, value in words.items() if MARK not in value}
            query = "&".join(f"{name}={quote(value, safe='%')}" for name, value in words.items())
            address = f"{self.address(rule, bad)}?{query}"
            for more in self.variants(rule, words):
                yield rule, address, {**words, **more} if method == "POST" else {}

    def variants(self, rule: Rule, words: dict[str, str]) -> list[dict[str, str]]:
        """What one address may be asked to do, one thing at a time."""
        if rule.endpoint.endswith(".saved_view"):
            return [{"pin": ""}, {"drop": "", "pin": words["pin"]}]
        if rule.endpoint.endswith(".action_view"):
            return [{"action": key} for key in self.actions(rule)] or [{"action": "none"}]
        return [{}]

    def actions(self, rule: Rule) -> list[str]:
        screen = rule.endpoint.partition(".")[0]
        view = next(v for v in self.app.extensions["admin"][0]._views if v.endpoint == screen)
        with self.app.test_request_context():
            return [action.key for action in view.list_spec().actions]

    def belongings(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return every row that is A's, and the rows of tables that belong to nobody."""
        found: dict[str, list[tuple[Any, ...]]] = {}
        people = {self.boss.id, self.nobody.id}
        with as_system() as work:
            for mapper in Base.registry.mappers:
                model: Any = mapper.class_
                table = model.__table__
                rows = select(*table.columns)
                if issubclass(model, UnitScoped) or model in (UserPosition,):
                    rows = rows.where(table.c.unit_id == self.unit.id)
                elif model is User:
                    rows = rows.where(table.c.id.in_(people))
                elif model is Unit:
                    rows = rows.where(table.c.id == self.unit.id)
                elif model not in (Position, SavedView):
                    continue
                found[table.name] = sorted(map(_texts, work.connection().execute(rows)))
        return found


def _texts(row: Any) -> tuple[str, ...]:
    return tuple(map(str, row))


@pytest.fixture
def scene(app: Flask) -> Scene:
    return _set(app)


@pytest.fixture
def hostile_scene(sqlite_app: Flask, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """The same, where everything is named with markup."""
    monkeypatch.setattr("tests.test_every_route.MARK", MARKUP)
    return _set(sqlite_app)


def _set(app: Flask) -> Scene:
    """Make one of everything in unit A by the services; all of it carries MARK."""
    plugins = [one.name for one in app.extensions["plugins"].plugins]
    everything = [permission.code for permission in all_permissions()]
    office = make_office("AAA")
    other = make_unit("BBB")
    switch_on(office.unit, *plugins)
    switch_on(other, *plugins)
    boss = make_user(office.unit, everything, name=f"{MARK}主任", username="boss")
    nobody = make_user(office.unit, (), name=f"{MARK}新人", username="nobody")
    made = Scene(app, office.unit, boss, nobody, make_user(other, everything, username="stranger"))
    _fill(made, everything)
    return made


def _fill(scene: Scene, everything: list[str]) -> None:
    _by_screens(login(scene.app.test_client(), scene.boss))
    with in_scope(scene.unit, everything, scene.boss) as work:
        record = work.scalars(select(Record)).one()
        record_id, label = record.id, code_of(record.uid)
        attached = attach(record_id, f"{MARK}.txt", io.BytesIO(f"{MARK}\n".encode())).id
        reminder = remind(record_id, f"{MARK}回电", clock.now() + timedelta(days=1)).id
        with transaction():
            notify(record, "mention", [scene.nobody.id], MARK)
        _import_run(scene.unit.id)
        document = issue("case_record", record_id, "zh").id
        sealed = uses_of([document])[0].id
        customers = [str(key) for key in work.scalars(select(Customer.id).order_by(Customer.id))]
        late = work.scalars(select(Obligation.id).where(Obligation.record_id == record_id)).first()
        day = clock.now().date() + timedelta(days=40)
        setting = settings.set_clause(scene.unit.id, "R01-4.4", {"limit": 4}, starts_on=day, reason=MARK).id
        with transaction():
            asked = approvals.ask(
                scene.unit.id,
                clause="R01-4.4",
                subject="thing:1",
                title=f"{MARK}减免",
                position="gm",
                reason=MARK,
                record=record,
            ).id
    with as_system() as work:
        view = SavedView(list_name="cases", name=f"{MARK}视图", query="quick=open", user_id=scene.boss.id)
        work.add(view)
        work.add(_background_work(scene))
        work.flush()
        for model in scene.models().values():
            if work.scalars(_rows_of(model, scene.unit)).first() is None:
                _make_row(work, model, scene.unit)
        for name, model in ROWS.items():
            row = work.scalars(_rows_of(model, scene.unit)).first() or _make_row(work, model, scene.unit)
            scene.parts[name] = str(row.id)
        scene.meant = _meant(work, scene)
        held = work.scalars(select(UserPosition.id).where(UserPosition.user_id == scene.boss.id)).one()
        stage = work.scalars(select(Stage.id).where(Stage.unit_id == scene.unit.id)).one()
        notice = work.scalars(select(Notice.id)).first()
        away = Delegation(
            unit_id=scene.unit.id,
            from_user_id=scene.boss.id,
            to_user_id=scene.nobody.id,
            first_day=date(2020, 1, 1),
            last_day=date(2099, 1, 1),
            reason=MARK,
            created_at=clock.now(),
        )
        work.add(away)
        work.flush()
    scene.parts |= {
        "user_id": str(make_user(scene.unit, (), name=f"{MARK}系统", username="program", integration=True).id),
        "record_id": str(record_id),
        "label_id": label,
        "attachment_id": str(attached),
        "document_id": str(document),
        "use_id": str(sealed),
        "reminder_id": str(reminder),
        "step": "classify",
        "room_step": "extra",
        "stay_step": "extend",
        "do": "start",
        "mode": "issue",
        "export_type": "csv",
        "serial": MARK,
        "clause_id": "R01-4.2",
        "regulation_id": "R01",
        "approval_id": str(asked),
        "decision": "agree",
        "delegation_id": str(away.id),
        "obligation_id": str(late),
        "setting_id": str(setting),
        "code": "hotel",
        "size": "wide",
        "customer_id": customers[0],
    }
    scene.words |= {
        "notice": str(notice),
        "customer": customers[0],
        "other": customers[1],
        "keep": customers[0],
        "customer_id": customers[0],
        "kind": "address",
        "position": str(held),
        "pin": str(view.id),
        "drop": str(view.id),
        "unit": str(scene.unit.id),
        "unit_id": str(scene.unit.id),
        "stage": str(stage),
        "plugin": scene.app.extensions["plugins"].plugins[0].name,
        "report": "cases.sources",
        "subject": "case",
        "text": MARK,
        "reason": "试一试",
        "purpose": "试一试",
        "confirmed": "1",
        "insist": "1",
        "go": "1",
    }


def _meant(work: ScopedSession, scene: Scene) -> dict[str, dict[str, str]]:
    """Return the parts of addresses that name another row than elsewhere, by endpoint."""
    found: dict[str, dict[str, str]] = {}
    for endpoint in {rule.endpoint for rule in scene.app.url_map.iter_rules()}:
        for start, name, model in MEANS:
            if endpoint.startswith(start):
                row = work.scalars(_rows_of(model, scene.unit)).first() or _make_row(work, model, scene.unit)
                found[endpoint] = {name: str(row.id)}
    return found


def _by_screens(client: FlaskClient) -> None:
    sent = {
        "/admin/cases/new": {**INTAKE, "description": f"{MARK}不热", "customer_name": f"{MARK}公司"},
        "/admin/customers/new/": {"name": f"{MARK}张三", "kind": "person", "phone": "13900001111"},
        "/admin/places/new/": {"code": "R-1", "kind": "room", "name": f"{MARK}间"},
        "/admin/stages/new/": {"place": "case:registered", "label": f"{MARK}等货", "active": "y"},
    }
    for address, form in sent.items():
        answer = client.post(address, data=form)
        assert answer.status_code == 302, (address, answer.text[-2000:])


def _background_work(scene: Scene) -> JobRun:
    return JobRun(
        unit_id=scene.unit.id,
        key=MARK,
        job="import.check",
        title=f"{MARK}.csv",
        actor_id=scene.boss.id,
        state="failed",
        error=MARK,
        created_at=clock.now(),
    )


def _import_run(unit_id: int) -> None:
    content = f"客户名称,电话\n{MARK}厂,13900002222\n,坏\n".encode()
    with transaction():
        run = importing.stage("customers", unit_id, io.BytesIO(content), f"{MARK}.csv")
    importing.check(run)


def _rows_of(model: Any, unit: Unit) -> Any:
    rows = select(model).order_by(model.id).limit(1)
    return rows.where(model.unit_id == unit.id) if hasattr(model, "unit_id") else rows


def _make_row(work: ScopedSession, model: Any, unit: Unit) -> Any:
    """Add a row to a plugin's table, whatever its columns are; rows it refers to are made as well."""
    values: dict[str, Any] = {}
    kind = next((one for one in record_types() if one.detail is model), None)
    if kind is not None:
        values["id"] = _head(work, kind, unit)
    for column in model.__table__.columns:
        if column.name in values:
            continue
        if column.name == "unit_id":
            values[column.name] = unit.id
        elif column.foreign_keys:
            values[column.name] = _referred(work, column, unit)
        elif not (column.primary_key or column.nullable or column.default or column.server_default):
            # A code is one of those that the model has words for.
            codes = model.__audit_words__.get(column.name)
            values[column.name] = codes[1][0][0] if isinstance(codes, tuple) else _some(column)
    row = model(**values)
    work.add(row)
    work.flush()
    return row


def _head(work: ScopedSession, kind: RecordType, unit: Unit) -> int:
    """Add the record whose details a row is; return its id."""
    state, now = kind.workflow.initial, clock.now()
    record = Record(
        unit_id=unit.id,
        uid=uuid7(),
        type=kind.code,
        number=f"{kind.prefix}-{MARK}"[:30],
        title=MARK,
        state=state,
        category=kind.workflow.states[state].category,
        received_at=now,
        entered_at=now,
    )
    work.add(record)
    work.flush()
    return int(record.id)


def _referred(work: ScopedSession, column: Any, unit: Unit) -> Any:
    table = next(iter(column.foreign_keys)).column.table
    model = next(m.class_ for m in Base.registry.mappers if m.local_table is table)
    found = work.scalars(_rows_of(model, unit)).first()
    if found is None and not column.nullable:
        found = _make_row(work, model, unit)
    return found and found.id


def _some(column: Any) -> Any:
    kind = datetime if isinstance(column.type, UtcDateTime) else column.type.python_type
    if kind is str:
        return MARK[: getattr(column.type, "length", None)]
    usual = {datetime: clock.now(), date: clock.now().date(), UUID: uuid7(), Decimal: Decimal(1), int: 1}
    return usual.get(kind) or kind()


@contextmanager
def writes() -> Iterator[list[str]]:
    """Collect the tables written to inside the block, sessions' bookkeeping left out."""
    seen: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        found = _WRITES.match(statement)
        if found and found.group(1) not in BOOKKEEPING:
            seen.append(statement[:200])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def ask(client: FlaskClient, method: str, address: str, form: dict[str, str]) -> tuple[int, str]:
    """Send a request; return status and text (files are read too)."""
    answer = client.open(address, method=method, data=form or None)
    body = answer.get_data()
    answer.close()
    if body[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(body)) as book:
            body = b"".join(book.read(name) for name in book.namelist())
    return answer.status_code, body.decode(errors="replace")


def names_a_row(rule: Rule) -> bool:
    """Tell whether a page is about the one row that ``id`` names."""
    return rule.endpoint.endswith((".details_view", ".edit_view", ".delete_view", ".run_view", ".erase_view"))


def changed(before: dict[str, Any], scene: Scene) -> set[str]:
    """Return the tables in which something of A's is not as before."""
    after = scene.belongings()
    return {name for name in before if before[name] != after[name]}


def test_nobody_gets_in_without_signing_in(scene: Scene) -> None:
    client = scene.app.test_client()
    before, wrong = scene.belongings(), []
    for method in ("GET", "POST"):
        for rule, address, form in scene.requests(method, typed=False):
            status, body = ask(client, method, address, form)
            if MARK in body or (rule.endpoint not in PUBLIC and status != 302):
                wrong.append((method, rule.rule, status))
    assert wrong == []
    assert changed(before, scene) == set()


def test_a_stranger_finds_nothing_and_changes_nothing(scene: Scene) -> None:
    before, wrong = scene.belongings(), []
    for method in ("GET", "POST"):
        client = login(scene.app.test_client(), scene.stranger)
        for rule, address, form in scene.requests(method, typed=False):
            if rule.endpoint.startswith("auth."):
                continue
            status, body = ask(client, method, address, form)
            refused = status in (403, 404) or not (names_a_row(rule) or rule.arguments - {"export_type"})
            refused = refused or rule.endpoint in OF_ALL
            if status >= 500 or MARK in body or "AAA" in body or not refused:
                wrong.append((method, rule.rule, status))
    assert wrong == []
    assert changed(before, scene) == set()


def test_without_a_permission_nothing_is_seen_or_done(scene: Scene) -> None:
    before, wrong = scene.belongings(), []
    for method in ("GET", "POST"):
        client = login(scene.app.test_client(), scene.nobody)
        for rule, address, form in scene.requests(method, typed=False):
            if rule.endpoint.startswith("auth.") or rule.endpoint in PUBLIC | OWN:
                continue
            status, body = ask(client, method, address, form)
            if status not in (403, 404) or MARK in body.replace(scene.nobody.name, ""):
                wrong.append((method, rule.rule, status))
    assert wrong == []
    assert changed(before, scene) == set()


def test_reading_writes_nothing_and_the_walk_reaches_what_it_is_about(scene: Scene) -> None:
    client = login(scene.app.test_client(), scene.boss)
    reached, wrong = set(), []
    for rule, address, form in scene.requests("GET", typed=False):
        if rule.endpoint.startswith("auth."):
            continue
        with writes() as written:
            status, body = ask(client, "GET", address, form)
        if status >= 500 or written:
            wrong.append((rule.rule, status, written))
        if status == 200 and MARK in body.replace(scene.boss.name, ""):
            reached.add(rule.endpoint)
    assert wrong == []
    assert len(reached) > 30, sorted(reached)


def test_malformed_ids_are_not_found_anywhere(scene: Scene) -> None:
    before, wrong = scene.belongings(), []
    tried = BAD_IDS if scene.on_sqlite() else BAD_IDS[:WORST]
    for method, (turn, bad) in product(("GET", "POST"), enumerate(tried)):
        client = login(scene.app.test_client(), scene.boss)
        for place, (rule, address, form) in enumerate(scene.requests(method, bad)):
            # Every address gets the worst of them and, in turn with the others, a third of the rest.
            if rule.endpoint.startswith("auth.") or (turn and (place + turn) % 3):
                continue
            status, _body = ask(client, method, address, form)
            named = names_a_row(rule) or any(name.endswith("_id") for name in rule.arguments)
            if status >= 500 or (named and status not in (403, 404, 405)):
                wrong.append((method, bad[:20], rule.rule, status))
    assert wrong == []
    assert changed(before, scene) <= {"core_setting", "core_audit", "core_notice"}


def test_every_post_needs_the_token(scene: Scene) -> None:
    client = login(scene.app.test_client(), scene.boss)
    wrong = []
    before = scene.app.config["WTF_CSRF_ENABLED"]
    scene.app.config["WTF_CSRF_ENABLED"] = True
    try:
        for rule, address, form in scene.requests("POST"):
            with writes() as written:
                status, _body = ask(client, "POST", address, form)
            if status != 400 or written:
                wrong.append((rule.rule, status, written))
    finally:
        scene.app.config["WTF_CSRF_ENABLED"] = before
    assert wrong == []


def test_markup_in_anything_is_shown_as_text(hostile_scene: Scene) -> None:
    client = login(hostile_scene.app.test_client(), hostile_scene.boss)
    wrong, reached = [], 0
    with as_system() as work:
        work.merge(hostile_scene.unit).name = f"{MARKUP}店"
    for rule, address, _form in hostile_scene.requests("GET", typed=False):
        if rule.endpoint.startswith("auth.sign"):
            continue
        for search in (
            "",
            f"&q={quote(MARKUP)}&search={quote(MARKUP)}&f_actor={quote(MARKUP)}&back={quote(MARKUP)}",
        ):
            answer = client.get(address + search)
            body = answer.get_data().decode(errors="replace")
            reached += "id=x&gt;" in body
            if "html" in answer.content_type and ("<i id=x>" in body or "49甲" in body or _BREAKS_OUT.search(body)):
                wrong.append((rule.rule, bool(search)))
            answer.close()
    assert wrong == []
    assert reached > 40
    inbox = login(hostile_scene.app.test_client(), hostile_scene.nobody).get("/admin/inbox/").text
    assert "id=x&gt;" in inbox and "<i id=x>" not in inbox


def test_open_pages_show_their_place_only_and_take_nothing_without_their_token(scene: Scene) -> None:
    open_to_all = {name for name, view in scene.app.view_functions.items() if hasattr(view, "opens")}
    assert open_to_all == {"hotel.guest"} and open_to_all <= PUBLIC
    code, page = guest.LETTERS[: guest.LENGTH], "/p/hotel/guest/"
    with as_system() as work:
        work.get_one(HotelPlace, int(scene.parts["room_id"])).guest_code = code
    before, people = scene.belongings(), (None, scene.stranger, scene.nobody, scene.boss)
    clients = [scene.app.test_client() if one is None else login(scene.app.test_client(), one) for one in people]
    scene.app.config["WTF_CSRF_ENABLED"] = True
    try:
        for person, client in zip(people, clients, strict=True):
            for method, wanted in (("GET", 200), ("POST", 400)):
                with writes() as written:
                    status, body = ask(client, method, page + code, {"about": "repair", "text": "灯坏"})
                assert (status, written) == (wanted, []), (person and person.username, method)
                assert not any(one.name in body for one in (scene.boss, scene.nobody, scene.stranger))
            for bad in (code + "x", code.upper(), code[:-1], *BAD_IDS):
                assert ask(client, "GET", page + bad, {})[0] == 404, bad[:20]
    finally:
        scene.app.config["WTF_CSRF_ENABLED"] = False
    assert changed(before, scene) == set()
