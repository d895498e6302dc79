"""What hostile or careless people send: each is answered in words, loses nothing and never crashes."""

from __future__ import annotations

import errno
import io
import itertools
import re
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from html.parser import HTMLParser
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, event, select

from core.cases.field_work import read_signature
from core.customers.models import Customer
from core.kernel.database import db, session
from core.kernel.errors import InvalidData
from core.kernel.exporting import CSV, write
from core.kernel.fields import Field, clean
from core.records.models import Attachment, Fact, Record
from core.units.models import Unit
from core.users.models import User, UserPosition
from core.users.permissions import all_permissions
from tests.casework import INTAKE, make_office
from tests.helpers import as_system, login, make_position, make_unit, make_user


def everything() -> list[str]:
    return [permission.code for permission in all_permissions()]


@pytest.fixture
def unit(app: Flask) -> Unit:
    return make_office().unit


@pytest.fixture
def desk(app: Flask, unit: Unit) -> FlaskClient:
    return login(app.test_client(), make_user(unit, everything()))


# --- values ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["int", "decimal"])
@pytest.mark.parametrize("typed", ["1e999999999", "1e-999999999", "NaN", "Infinity", "9" * 30, "1_0", "٣"])
def test_numbers_that_only_look_short_are_refused_at_once(kind: str, typed: str) -> None:
    started = time.monotonic()
    try:
        clean([Field("n", kind, "n")], {"n": typed})
    except InvalidData as bad:
        assert "n" in bad.errors
    else:
        assert typed in ("1_0", "٣")
    assert time.monotonic() - started < 1


def test_a_signature_that_is_none_is_told() -> None:
    for drawn in ("data:image/png;base64,签名", "data:image/png;base64,!", "x"):
        with pytest.raises(InvalidData):
            read_signature(drawn)


def test_titles_of_a_file_start_no_formula_when_they_are_written_back() -> None:
    target = io.BytesIO()
    write(["=cmd|' /C calc'!A0", "名称"], [["@SUM(1)", "x"]], CSV, target)
    assert target.getvalue().decode("utf-8-sig").splitlines()[:2] == ["'=cmd|' /C calc'!A0,名称", "'@SUM(1),x"]


def test_nul_never_reaches_the_database(desk: FlaskClient, app: Flask, unit: Unit) -> None:
    case = _register(desk, description="坏\0了", key="a\0b")
    customer = _customer_of(case)
    sent: list[tuple[str, dict[str, str]]] = [
        ("/admin/customers/reveal/", {"id": str(customer), "purpose": "a\0b"}),
        ("/admin/customers/erase/", {"id": str(customer), "reason": "a\0b"}),
        ("/admin/cases/saved/", {"name": "a\0b"}),
        ("/admin/cases/split", {"text": "张三\0 13800001111"}),
        ("/admin/customers/paste/", {"paste": "张三\0 13800001111"}),
        (f"/admin/record/{case}/comment", {"text": "a\0b", "key": "\0"}),
        (f"/admin/record/{case}/do/classify", {"nature": "repair\0", "urgency": "normal", "key": "c\0"}),
        ("/admin/plugins/switch/", {"unit": str(unit.id), "plugin": "a\0b", "on": "1"}),
        ("/admin/imports/upload/", {"key": "customers\0"}),
        ("/language", {"locale": "zh\0"}),
        ("/unit", {"unit_id": "1\0"}),
    ]
    crashed = [address for address, form in sent if desk.post(address, data=form).status_code >= 500]
    for page in ("customers/ajax/lookup", "search", "search/suggest", "cases", "records", "customers", "users"):
        for word in ("q", "search", "cursor", "f_customer"):
            if desk.get(f"/admin/{page}/?{word}=a%00b").status_code >= 500:
                crashed.append(f"{page}?{word}")
    for typed in ({"username": "a\0b", "password": "x"}, {"username": "a", "password": "x\0"}):
        if app.test_client().post("/sign-in?next=/%00", data=typed).status_code != 401:
            crashed.append(f"sign-in {typed}")
    assert crashed == []


def _register(client: FlaskClient, **changes: str) -> int:
    answer = client.post("/admin/cases/new", data={**INTAKE, **changes})
    assert answer.status_code == 302, answer.text[-3000:]
    return int(answer.headers["Location"].partition("?")[0].rpartition("/")[2])


def _customer_of(record_id: int) -> int:
    with as_system() as work:
        return work.scalars(select(Record.customer_id).where(Record.id == record_id)).one() or 0


def test_broken_utf8_in_a_form_is_told_beside_the_field(desk: FlaskClient) -> None:
    body = "&".join(f"{name}=1" for name in INTAKE).encode() + b"&description=\xff\xfe%FF%FE"
    answer = desk.post("/admin/cases/new", data=body, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 422
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n'.encode() for n, v in INTAKE.items()
    ]
    parts += [b'--x\r\nContent-Disposition: form-data; name="serial_text"\r\n\r\nA\xff\xfe\r\n--x--\r\n']
    answer = desk.post("/admin/cases/new", data=b"".join(parts), content_type="multipart/form-data; boundary=x")
    assert answer.status_code == 422 and "无法" in answer.text
    with as_system() as work:
        assert work.scalars(select(Record.id)).all() == []


def test_other_content_than_a_form_is_a_form_without_fields(desk: FlaskClient) -> None:
    for kind, body in (("application/json", b'{"description": "x"}'), ("text/xml", b"<a/>"), ("", b"\x00\xff")):
        answer = desk.post("/admin/cases/new", data=body, content_type=kind)
        assert answer.status_code == 422, kind
    broken = desk.post("/admin/cases/new", data=b"--x\r\nbroken", content_type="multipart/form-data; boundary=x")
    assert broken.status_code in (400, 422)
    with as_system() as work:
        assert work.scalars(select(Record.id)).all() == []


def test_endless_text_is_refused_in_our_layout(desk: FlaskClient) -> None:
    for data in ({**INTAKE, "description": "字" * 4_000_000}, {f"f{n}": "1" for n in range(5000)}):
        answer = desk.post("/admin/cases/new", data=data)
        assert answer.status_code in (413, 422), answer.status
    big = desk.post("/admin/cases/new", data={**INTAKE, "description": "字" * 4_000_000})
    assert big.status_code == 413 and "<html" in big.text and "Traceback" not in big.text


def test_an_oversized_upload_is_refused_in_our_layout(desk: FlaskClient, app: Flask) -> None:
    case = _register(desk)
    most = app.config["MAX_CONTENT_LENGTH"]
    app.config["MAX_CONTENT_LENGTH"] = 200_000
    try:
        for page in (f"record/{case}/files", f"record/{case}/paste", "imports/upload/"):
            sent = {"file": (io.BytesIO(b"x" * 300_000), "a.txt"), "key": "customers"}
            answer = desk.post(f"/admin/{page}", data=sent, content_type="multipart/form-data")
            assert answer.status_code == 413, page
            assert "文件" in answer.text, answer.text[-500:]
    finally:
        app.config["MAX_CONTENT_LENGTH"] = most


# --- what belongs to others ------------------------------------------------------------------


def test_ids_of_another_unit_in_hidden_fields_are_refused(desk: FlaskClient, app: Flask, unit: Unit) -> None:
    other = make_unit()
    stranger = make_user(other, everything())
    foreign = _customer_of(_register(login(app.test_client(), stranger)))
    case = _register(desk)
    taken = desk.post("/admin/cases/new", data={**INTAKE, "customer_id": str(foreign)})
    assert taken.status_code == 422
    desk.post(f"/admin/record/{case}/do/classify", data={"nature": "repair", "urgency": "normal"})
    given = desk.post(f"/admin/record/{case}/do/assign", data={"assignee_id": str(stranger.id)})
    assert given.status_code == 409 or given.status_code == 422
    told = desk.post(
        f"/admin/record/{case}/remind",
        data={"text": "x", "due_at": "2099-01-01T10:00", "user_id": str(stranger.id)},
    )
    assert told.status_code == 422
    bulk = desk.post(
        "/admin/cases/action/", data={"action": "assign", "id": str(case), "go": "1", "assignee_id": stranger.id}
    )
    assert bulk.status_code == 200
    with as_system() as work:
        record = work.scalars(select(Record).where(Record.id == case)).one()
        assert record.assignee_id is None
        assert work.scalars(select(Record.id).where(Record.customer_id == foreign)).all() != [case]


def test_a_person_cannot_set_what_the_form_does_not_offer(desk: FlaskClient) -> None:
    more = {
        "state": "closed",
        "category": "closed",
        "number": "X-1",
        "unit_id": "99",
        "priority": "1",
        "version": "9",
    }
    case = _register(desk, **more)
    with as_system() as work:
        record = work.scalars(select(Record).where(Record.id == case)).one()
        assert (record.state, record.category, record.priority) == ("registered", "open", 3)
        assert record.number != "X-1" and record.unit_id != 99


def test_a_closed_unit_can_be_read_but_not_written(desk: FlaskClient, app: Flask, unit: Unit) -> None:
    case = _register(desk)
    with as_system() as work:
        work.merge(unit).active = False
    both = make_user(unit, everything())
    elsewhere = make_unit()
    _also(both, elsewhere)
    client = login(app.test_client(), both)
    assert client.get(f"/admin/record/{case}").status_code == 200
    customer = _customer_of(case)
    sent: list[tuple[str, dict[str, str]]] = [
        (f"/admin/record/{case}/watch", {"on": "1"}),
        (f"/admin/record/{case}/comment", {"text": "x"}),
        (f"/admin/record/{case}/remind", {"text": "x", "due_at": "2099-01-01T10:00"}),
        (f"/admin/record/{case}/reveal", {}),
        (f"/admin/record/{case}/stage", {}),
        (f"/admin/record/{case}/do/cancel", {"reason": "x"}),
        (f"/admin/cases/{case}/edit", {"description": "x"}),
        (f"/admin/customers/edit/?id={customer}", {"name": "x", "kind": "person"}),
        (f"/admin/customers/part/?customer={customer}&kind=contact", {"name": "x"}),
        ("/admin/customers/reveal/", {"id": str(customer), "purpose": "x"}),
        ("/admin/customers/erase/", {"id": str(customer), "reason": "x"}),
    ]
    answers = {address: client.post(address, data=form).status_code for address, form in sent}
    assert {a: s for a, s in answers.items() if s >= 500} == {}


def test_an_export_holds_only_units_where_exporting_is_allowed(desk: FlaskClient, app: Flask, unit: Unit) -> None:
    other = make_unit()
    far = login(app.test_client(), make_user(other, everything()))
    _register(desk, description="本店的事")
    _register(far, description="别店的事")
    reader = make_user(unit, ["case.view", "case.export"])
    with as_system() as work:
        sees = make_position(permissions=["case.view"])
        work.add(
            UserPosition(user_id=reader.id, unit_id=other.id, position_id=sees.id, valid_from=date(2020, 1, 1))
        )
    client = login(app.test_client(), reader, unit=unit)
    assert "别店的事" in client.get("/admin/cases/?units=all").text
    answer = client.post("/admin/cases/export/?units=all")
    with zipfile.ZipFile(io.BytesIO(answer.data)) as book:
        text = book.read("xl/worksheets/sheet1.xml").decode()
    answer.close()
    assert "本店的事" in text and "别店的事" not in text


def _also(user: Any, unit: Unit) -> None:
    with as_system() as work:
        held = work.scalars(select(UserPosition).where(UserPosition.user_id == user.id)).one()
        work.add(
            UserPosition(
                user_id=user.id, unit_id=unit.id, position_id=held.position_id, valid_from=date(2020, 1, 1)
            )
        )


# --- searching -------------------------------------------------------------------------------

WILD = [
    "%",
    "_",
    "%%",
    "*",
    '"',
    "'",
    "\\",
    "(",
    ")",
    "AND",
    "NEAR(a b)",
    "a OR b",
    "^a",
    "a:b",
    "-a",
    "[a-z]+",
    ".*",
]


def test_signs_of_query_languages_are_plain_text(desk: FlaskClient) -> None:
    _register(desk, customer_name="普通客户")
    switched = ("cases", "records", "customers", "users", "positions", "audit", "search")
    for text in WILD:
        for page in switched:
            answer = desk.get(f"/admin/{page}/", query_string={"search": text, "q": text, "f_actor": text})
            assert answer.status_code == 200, (page, text)
        for page in ("customers/ajax/lookup/", "search/suggest/", "cases/caller"):
            assert desk.get(f"/admin/{page}", query_string={"q": text}).status_code == 200, (page, text)
    for text in ("%", "_", ".*", "*"):
        assert "普通客户" not in desk.get("/admin/customers/", query_string={"search": text}).text
        assert desk.get("/admin/customers/ajax/lookup/", query_string={"q": text}).json == []


# --- personal data ---------------------------------------------------------------------------


RIGHTS = (
    "customer.view",
    "customer.create",
    "customer.edit",
    "customer.merge",
    "customer.export",
    "case.view",
    "case.create",
    "case.edit",
    "case.export",
)
SECRETS = ("13712345678", "13612349999", "998号", "mail@secret.cn", "wxsecret", "other@secret.cn")


def test_who_may_edit_but_not_see_personal_data_sees_none(app: Flask, desk: FlaskClient, unit: Unit) -> None:
    case = _register(desk, contact_phone="13712345678", address_text="浙江省杭州市西湖区文三路998号")
    key = _customer_of(case)
    contact = {"name": "王五", "phone": "13612349999", "email": "other@secret.cn"}
    desk.post(f"/admin/customers/part/?customer={key}&kind=contact", data=contact)
    reach = {"phone": "13712345678", "email": "mail@secret.cn", "wechat": "wxsecret"}
    desk.post(f"/admin/customers/edit/?id={key}", data={"name": "某公司", "kind": "company", **reach})
    other = _customer_of(_register(desk, customer_name="另一家", contact_phone="13712345678"))
    blind = login(app.test_client(), make_user(unit, RIGHTS))
    parts = [f"part/?customer={key}&kind={kind}&id={part}" for kind, part in _parts(key)]
    pages = [
        *(
            f"customers/{page}"
            for page in ("", f"details/?id={key}", f"edit/?id={key}", f"merge/?id={key}", *parts)
        ),
        *(f"customers/merge/?id={key}&other={other}", "customers/ajax/lookup/?q=3712345"),
        *("cases/", f"cases/{case}/edit", f"cases/new?customer={key}", "cases/caller?q=137+1234+567+8"),
        *(f"record/{case}", f"record/{case}/fact", "records/", "search/?q=3712345", "search/suggest/?q=3712345"),
    ]
    seen = {}
    for page in pages:
        text = blind.get(f"/admin/{page}").text.replace(" ", "")
        if found := [secret for secret in SECRETS if secret in text]:
            seen[page] = found
    assert seen == {}
    kept = blind.post(
        f"/admin/customers/edit/?id={key}",
        data={
            "name": "某公司",
            "kind": "company",
            "phone": "",
        },
    )
    assert kept.status_code == 302
    page = desk.get(f"/admin/customers/details/?id={key}").text.replace(" ", "")
    assert [secret for secret in SECRETS if secret not in page] == []


def _parts(customer: int) -> list[tuple[str, int]]:
    with as_system() as work:
        row = work.scalars(select(Customer).where(Customer.id == customer)).one()
        return [("address", row.addresses[0].id), ("contact", row.contacts[0].id)]


# --- what fails below ------------------------------------------------------------------------


@pytest.mark.parametrize("code, status", [(errno.ENOSPC, 503), (errno.EROFS, 503), (errno.EIO, 500)])
def test_a_full_disk_is_said_and_the_upload_leaves_nothing(
    desk: FlaskClient, monkeypatch: pytest.MonkeyPatch, code: int, status: int
) -> None:
    case = _register(desk)

    def full(*_: Any) -> None:
        raise OSError(code, "No space left on device: /var/secret")

    monkeypatch.setattr("core.records.attachments.os.replace", full)
    monkeypatch.setitem(desk.application.config, "PROPAGATE_EXCEPTIONS", False)
    sent = {"file": (io.BytesIO(f"内容{code}{status}".encode()), "a.txt")}
    answer = desk.post(f"/admin/record/{case}/files", data=sent, content_type="multipart/form-data")
    assert answer.status_code == status and "/var/secret" not in answer.text
    with as_system() as work:
        assert work.scalars(select(Attachment.id)).all() == []


def test_a_lock_held_by_somebody_else_is_told_and_nothing_is_lost(app: Flask, desk: FlaskClient) -> None:
    case = _register(desk)
    with _impatient(app) as engine, engine.connect() as other:
        lock = " FOR UPDATE" if engine.dialect.name == "postgresql" else ""
        other.exec_driver_sql(f"SELECT id FROM core_record WHERE id = {case}{lock}")
        busy = desk.post(f"/admin/record/{case}/comment", data={"text": "挤"})
        assert busy.status_code == 503 and "数据库" in busy.text
    assert desk.post(f"/admin/record/{case}/comment", data={"text": "到了"}).status_code == 302
    with as_system() as work:
        notes = work.scalars(select(Fact.note).where(Fact.record_id == case, Fact.kind == "comment")).all()
    assert notes == ["到了"]


@contextmanager
def _impatient(app: Flask) -> Iterator[Engine]:
    """Let connections opened inside the block give up after a tenth of a second, not after fifteen."""
    with app.app_context():
        engine = db.engine
    hurry = "SET lock_timeout = 100" if engine.dialect.name == "postgresql" else "PRAGMA busy_timeout = 100"

    def hasten(connection: Any, _record: Any) -> None:
        connection.execute(hurry)
        connection.commit()

    engine.dispose()
    event.listen(engine, "connect", hasten)
    try:
        yield engine
    finally:
        event.remove(engine, "connect", hasten)
        engine.dispose()


def test_two_who_add_the_same_at_the_same_moment(
    desk: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check before the insert saw nothing; the database has the last word, and the second is told."""
    user = {"username": "double", "name": "双"}
    assert desk.post("/admin/users/new/", data=user).status_code == 200
    real = session

    class Blind:
        def __getattr__(self, name: str) -> Any:
            return getattr(real(), name)

        def execute(self, *_: Any, **__: Any) -> Any:
            return real().execute(select(User.id).where(User.id < 0))

    monkeypatch.setattr("core.users.services.session", Blind)
    answer = desk.post("/admin/users/new/", data=user)
    assert answer.status_code == 409 and "IntegrityError" not in answer.text


# --- every form ------------------------------------------------------------------------------

HOSTILE = ("a\0b", "😀" * 40, "x" * 6000, "1e999999", "9" * 30, "9999-12-31", "²", "<b>", "\u202e\u200f", "C:\\x")


class _Forms(HTMLParser):
    """Collects the forms of a page: address and names of fields."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, list[str]]] = []
        self.open = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self.open = given.get("method") == "post"
            if self.open:
                self.found.append((given.get("action") or "", []))
        elif self.open and given.get("name"):
            self.found[-1][1].append(given["name"] or "")

    def handle_endtag(self, tag: str) -> None:
        self.open = self.open and tag != "form"


def test_no_form_crashes_whatever_is_typed(desk: FlaskClient, unit: Unit, caplog: pytest.LogCaptureFixture) -> None:
    case = _register(desk)
    customer = _customer_of(case)
    menu = re.findall(r'href="(/(?:admin|my|account)[^"#]*)"', desk.get("/admin/").text)
    pages = {*menu, f"/admin/record/{case}", f"/admin/customers/details/?id={customer}", "/admin/settings/"}
    pages |= {f"/admin/customers/{page}/?id={customer}" for page in ("edit", "merge")}
    pages |= {f"/admin/record/{case}/{page}" for page in ("call", "comment", "fact", "remind", "do/classify")}
    pages |= {f"/admin/{page}/new/" for page in ("customers", "units", "users", "stages")} | {"/admin/cases/new"}
    forms = {}
    for page in sorted(pages):
        for action, names in _Forms(desk.get(page).text).found:
            if "sign-out" not in action and "/account" not in action:
                forms[action or page] = names
    assert len(forms) > 30, sorted(forms)
    crashed = []
    for (action, names), typed in itertools.product(forms.items(), HOSTILE):
        answer = desk.post(action, data=dict.fromkeys(names, typed))
        answer.close()  # some are files
        if answer.status_code >= 500:
            crashed.append((action, typed[:12]))
    assert crashed == []
    assert [one.getMessage() for one in caplog.records if one.levelname == "ERROR"] == []
