"""Several people at the same moment, over the network, on the server that ``make run`` starts."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from sqlalchemy import select
from waitress.server import create_server

from core.kernel.database import db
from core.records.models import Attachment, Fact, Record
from core.units.models import Unit
from core.users.models import User
from tests.casework import ALL, INTAKE, Office, make_office, shape
from tests.helpers import PASSWORD, as_system, make_user, switch_off, switch_on

ROOT = Path(__file__).resolve().parents[1]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Browser:
    """A signed-in browser with a connection of its own for every request."""

    def __init__(self, port: int, user: User) -> None:
        self.port = port
        self.cookie = ""
        assert self.send("/sign-in", {"username": user.username, "password": PASSWORD})[0] == 303

    def send(self, path: str, form: dict[str, Any] | None = None) -> tuple[int, str]:
        """Return status and place or text of the answer."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as line:
            body = None if form is None else urlencode(form)
            headers = {"Cookie": self.cookie, **(FORM if body else {})}
            line.request("GET" if body is None else "POST", path, body, headers)
            answer = line.getresponse()
            text = answer.read().decode()
            if given := answer.getheader("Set-Cookie"):
                self.cookie = given.partition(";")[0]
            return answer.status, answer.getheader("Location") or text


@pytest.fixture
def port(app: Flask) -> Iterator[int]:
    server: Any = create_server(app, host="127.0.0.1", port=0, threads=6)
    running = threading.Thread(target=server.run, daemon=True)
    running.start()
    yield server.effective_port
    server.task_dispatcher.shutdown(timeout=10)
    server.trigger.pull_trigger(server.close)
    running.join(10)


@pytest.fixture
def office(app: Flask) -> Office:
    return make_office()


def together(*calls: Callable[[], Any]) -> list[Any]:
    """Run all calls at the same moment, each in a thread; return their results in order."""
    gate = threading.Barrier(len(calls))
    results: list[Any] = [None] * len(calls)

    def run(place: int, call: Callable[[], Any]) -> None:
        gate.wait()
        results[place] = call()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    return results


def test_a_double_click_registers_one_case_and_two_calls_two(port: int, office: Office) -> None:
    desk = Browser(port, office.desk)
    same = together(*[lambda: desk.send("/admin/cases/new", {**INTAKE, "key": "k1"})] * 4)
    assert {status for status, _ in same} == {302}
    assert len({place for _, place in same}) == 1
    keys = [f"other{n}" for n in range(4)]
    different = together(*[lambda key=key: desk.send("/admin/cases/new", {**INTAKE, "key": key}) for key in keys])
    assert [status for status, _ in different] == [302] * 4
    with as_system() as work:
        numbers = work.scalars(select(Record.number).where(Record.type == "case")).all()
    assert len(numbers) == len(set(numbers)) == 5
    assert sorted(int(number[-4:]) for number in numbers) == [1, 2, 3, 4, 5]


def test_of_two_different_steps_one_is_done_and_the_other_told(port: int, office: Office) -> None:
    other = make_user(office.unit, ALL)
    one, two = Browser(port, office.desk), Browser(port, other)
    for _ in range(3):
        case = office.new_case()
        version = shape(case)["record"]["version"]
        form = {"reason": "不要了", "position": "after_sales", "version": version}
        answers = together(
            partial(one.send, f"/admin/record/{case}/do/cancel", form),
            partial(two.send, f"/admin/record/{case}/do/forward", form),
        )
        assert Counter(status for status, _ in answers) == {302: 1, 409: 1}
        held = shape(case)
        assert held["record"]["state"] in ("cancelled", "forwarded")
        assert [kind for _, kind, *_ in held["facts"]] == ["registered", held["record"]["state"]]


def test_many_comments_at_once_are_all_kept_in_order(port: int, office: Office) -> None:
    case = office.new_case()
    desk = Browser(port, office.desk)
    path = f"/admin/record/{case}/comment"
    answers = together(*[lambda n=n: desk.send(path, {"text": f"第{n}条"}) for n in range(6)])
    assert [status for status, _ in answers] == [302] * 6
    with as_system() as work:
        facts = work.execute(select(Fact.seq, Fact.note).where(Fact.record_id == case).order_by(Fact.seq)).all()
    assert [seq for seq, _ in facts] == list(range(1, 8))
    assert {note for _, note in facts[1:]} == {f"第{n}条" for n in range(6)}


def test_an_upload_over_the_limit_gets_our_page(port: int, app: Flask, office: Office) -> None:
    desk = Browser(port, office.desk)
    status, text = desk.send("/admin/cases/new", {**INTAKE, "description": "字" * 400_000})
    assert status == 413 and "<html" in text and "文件" in text
    with as_system() as work:
        assert work.scalars(select(Record.id)).all() == work.scalars(select(Attachment.id)).all() == []


# --- another process -------------------------------------------------------------------------

# Reads a line with an address, answers with the status; one line, one request of a signed-in browser.
CHILD = """
import sys
from core.app import create_app
app = create_app()
client = app.test_client()
print(client.post("/sign-in", data={"username": sys.argv[1], "password": sys.argv[2]}).status_code, flush=True)
for line in sys.stdin:
    print(client.get(line.strip()).status_code, flush=True)
"""


@pytest.fixture
def another(app: Flask, office: Office, tmp_path: Path) -> Iterator[Callable[[str], int]]:
    """Another server process on the same database; call it with an address to get the status."""
    with app.app_context():
        url = db.engine.url.render_as_string(hide_password=False)
    settings = {
        "SHOUHOU_ENV": "testing",
        "SECRET_KEY": "another-secret",
        "SHOUHOU_DATA_DIR": str(tmp_path),
        "DATABASE_URL": url,
    }
    command = [sys.executable, "-c", CHILD, office.desk.username, PASSWORD]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **settings},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin and child.stdout
        assert child.stdout.readline().strip() == "303"

        def ask(path: str) -> int:
            child.stdin.write(path + "\n")  # type: ignore[union-attr]
            child.stdin.flush()  # type: ignore[union-attr]
            return int(child.stdout.readline())  # type: ignore[union-attr]

        yield ask
        child.stdin.close()


def test_a_switch_is_seen_by_another_process_at_its_next_request(
    app: Flask, office: Office, another: Callable[[str], int]
) -> None:
    plugin, page = _page_of_a_plugin(app)
    assert another(page) == 404
    for _ in range(2):
        switch_on(office.unit, plugin)
        assert another(page) != 404
        switch_off(office.unit, plugin)
        assert another(page) == 404


def _page_of_a_plugin(app: Flask) -> tuple[str, str]:
    pages = {rule.endpoint: rule.rule for rule in app.url_map.iter_rules()}
    for plugin, entry in app.extensions["plugins"].registry.ask_once("admin_views"):
        page = pages.get(f"{entry.view.endpoint}.index_view")
        if page:
            return plugin, page
    return pytest.skip("no installed plugin has screens")


def test_leaving_takes_effect_in_another_process(office: Office, another: Callable[[str], int]) -> None:
    assert another("/admin/cases/") == 200
    with as_system() as work:
        work.merge(office.desk).active = False
    assert another("/admin/cases/") == 302


def test_a_closed_unit_is_closed_in_another_process(office: Office, another: Callable[[str], int]) -> None:
    with as_system() as work:
        work.merge(office.unit, load=True).active = False
        assert work.scalars(select(Unit.active)).all() == [False]
    assert another("/admin/cases/") == 403
