"""The Chinese of the core: complete, well-formed, in the words staff use, and on every page of a running site."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from babel.messages.catalog import Catalog
from flask import Flask
from flask.testing import FlaskClient
from flask_babel import force_locale
from sqlalchemy import select
from werkzeug.exceptions import HTTPException

from core.admin.audit_words import ACTIONS, COLUMNS, SUBJECTS
from core.admin.cases.words import CATEGORIES
from core.cases import vocabulary
from core.cli import catalogues
from core.customers.services import CUSTOMER_KINDS
from core.inspections.models import Checklist
from core.kernel.settings import ROOT
from core.notices import kinds
from core.records.models import Record
from core.records.types import known_states, record_types
from core.units.services import KINDS
from core.units.settings import specs
from core.users.permissions import all_permissions
from core.users.positions import POSITIONS
from plugins.tools.models import Kind
from tests import helpers
from tests.casework import Office, make_office

HAN = re.compile(r"[\u4e00-\u9fff]")
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]")
# What a developer would say and nobody at a counter does (docs/glossary.md has the words for screens).
NOT_ON_SCREENS = ("插件", "业务单元", "角色", "视图", "罚款", "合规率", "流转", "用户组", "记录集", "点击这里")
# Latin words that stand on Chinese screens: file kinds, keys, the other language's own name, commands.
LATIN = frozenset(
    """excel xlsx xls ods csv utf pdf heic ctrl enter alt esc pin
    english flask upgrade shouhou asia shanghai imap example com api json""".split()  # noqa: SIM905 - a list of words reads better
)
WORD = re.compile(r"[A-Za-z]{3,}")
# Keys of one-time codes, and names of profiles such as BU-GEN.
CODE = re.compile(r"[A-Z2-7]{32}|[A-Z]{2}-[A-Z]{2,}")
HOUR = re.compile(r"[0-9]{2}:[0-9]{2}")  # such as when a day of the hotel ends
PAGES_PER_ROUTE = 3


@pytest.fixture(scope="module")
def chinese() -> Catalog:
    path = catalogues.catalogue_path(ROOT / "core")
    assert path.exists(), "flask-babel reads zh_Hans_CN only; a folder of another name is silently ignored"
    return catalogues.read(path)


@pytest.fixture(scope="module")
def sources() -> Catalog:
    return catalogues.extract([ROOT / "core", ROOT / "templates"])


def _keys(catalogue: Catalog) -> set[tuple[Any, Any]]:
    return {(m.context, m.id) for m in catalogue if m.id}


def _texts(catalogue: Catalog) -> Iterator[tuple[str, str]]:
    for message in catalogue:
        if not message.id:
            continue
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        texts = message.string if isinstance(message.string, tuple | list) else (message.string,)
        yield from ((ids[-1], text or "") for text in texts)


def test_the_catalogue_has_every_string_of_the_sources(chinese: Catalog, sources: Catalog) -> None:
    assert not _keys(sources) - _keys(chinese), "run `make messages` and translate these"


def test_every_string_is_translated(chinese: Catalog) -> None:
    assert not catalogues.untranslated(chinese)


def test_placeholders_agree(chinese: Catalog) -> None:
    wrong = [
        (source, text)
        for source, text in _texts(chinese)
        if Counter(PLACEHOLDER.findall(source)) != Counter(PLACEHOLDER.findall(text)) or "％" in text
    ]
    assert not wrong


def test_translations_are_chinese_in_staff_words(chinese: Catalog) -> None:
    # A text may consist of placeholders and signs only, as "%(file)s: %(why)s" does.
    foreign = [text for source, text in _texts(chinese) if WORD.search(_bare(source)) and not HAN.search(text)]
    assert not [text for text in foreign if not {word.lower() for word in WORD.findall(text)} <= LATIN]
    assert not [text for _, text in _texts(chinese) if any(word in text for word in NOT_ON_SCREENS)]


def _bare(text: str) -> str:
    return PLACEHOLDER.sub("", text)


def test_plugins_say_shared_strings_as_the_core_does(whole_app: Flask, chinese: Catalog) -> None:
    # All catalogues are merged into one, so a plugin's word would replace the core's on every page.
    ours = {(m.context, m.id): m.string for m in chinese if m.id}
    for plugin in whole_app.extensions["plugins"].plugins:
        theirs = {
            (m.context, m.id): m.string for m in catalogues.read(catalogues.catalogue_path(plugin.folder)) if m.id
        }
        shared = theirs.keys() & ours.keys()
        assert {key: theirs[key] for key in shared} == {key: ours[key] for key in shared}, plugin.name


def _labels() -> Iterator[tuple[str, Any]]:
    for permission in all_permissions():
        yield f"permission {permission.code}", permission.label
        yield f"group of {permission.code}", permission.group
    yield from ((f"position {one.code}", one.title) for one in POSITIONS)
    for kind in record_types():
        yield f"type {kind.code}", kind.title
        yield from ((f"state {kind.code}.{s.code}", s.label) for s in known_states(kind.code).values())
        yield from ((f"step {t.name}", t.label) for t in kind.workflow.transitions.values())
        yield from ((f"fact {f.code}", f.label) for f in kind.workflow.fact_kinds.values())
        fields = [field for t in kind.workflow.transitions.values() for field in t.fields]
        yield from ((f"field {field.name}", field.label) for field in fields)
    for spec in specs():
        yield f"setting {spec.field.name}", spec.field.label
        if not callable(spec.field.choices):  # else they are rows, such as positions
            yield from ((f"{spec.field.name}={code}", label) for code, label in spec.field.choice_list())
    lists = {name: value for name, value in vars(vocabulary).items() if name.isupper() and isinstance(value, tuple)}
    lists |= {"categories": CATEGORIES, "customer kinds": CUSTOMER_KINDS, "unit kinds": KINDS}
    for name, pairs in lists.items():
        yield from ((f"{name} {code}", label) for code, label in pairs)
    notices = {one.code: one.title for one in kinds.kinds()}
    groups = dict(kinds.for_robots())
    for name, words in {"flags": vocabulary.HISTORY_FLAGS, "notices": notices, "groups": groups}.items():
        yield from ((f"{name} {code}", label) for code, label in words.items())
    yield from ((f"audit {code}", label) for code, label in (ACTIONS | SUBJECTS | COLUMNS).items())


def test_every_code_has_a_chinese_label(whole_app: Flask) -> None:
    with whole_app.test_request_context(), force_locale("zh_Hans_CN"):
        labels = {name: str(label) for name, label in _labels()}
    assert len(labels) > 200
    assert not {name: text for name, text in labels.items() if not HAN.search(text) and not HOUR.fullmatch(text)}


class _Page(HTMLParser):
    """The words a reader sees or hears on a page, and where its links lead."""

    SPOKEN = ("placeholder", "title", "aria-label", "alt", "data-confirm", "data-confirm-label")
    # What is marked as code or time is data, not words.
    SILENT = ("script", "style", "svg", "code", "kbd", "time", "pre")
    VOID = ("input", "br", "img", "meta", "link", "hr", "wbr", "source")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.links: list[str] = []
        self._open: list[tuple[str, bool]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in self.VOID:
            silent = tag in self.SILENT or "code" in (given.get("class") or "")
            self._open.append((tag, silent or self._is_silent()))
        if not self._is_silent():
            self.texts += [given[name] or "" for name in self.SPOKEN if name in given]
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass  # an element closed by its parent's end

    def handle_data(self, data: str) -> None:
        if data.strip() and not self._is_silent():
            self.texts.append(data.strip())

    def _is_silent(self) -> bool:
        return bool(self._open) and self._open[-1][1]

    def english(self, known: frozenset[str]) -> list[str]:
        """Return the texts with Latin words that nobody put on the list; keys and secrets in capitals are data."""
        return [
            text for text in self.texts if {w.lower() for w in WORD.findall(CODE.sub("", text))} - LATIN - known
        ]


def _walk(app: Flask, client: FlaskClient, start: tuple[str, ...]) -> Iterator[tuple[str, _Page]]:
    """Follow the links from ``start``, a few addresses of each route."""
    routes, waiting, seen = app.url_map.bind("localhost"), list(start), set(start)
    visits: Counter[str] = Counter()
    while waiting:
        url = waiting.pop(0)
        try:
            endpoint, _values = routes.match(urlsplit(url).path)
        except HTTPException:
            continue
        if visits[endpoint] >= PAGES_PER_ROUTE:
            continue
        visits[endpoint] += 1
        answer = client.get(url, follow_redirects=True)
        if answer.mimetype != "text/html":
            continue
        page = _Page(answer.get_data(as_text=True))
        yield f"{url} ({answer.status_code})", page
        for link in page.links:
            target = urljoin(url, link).split("#")[0]
            if target.startswith("/") and target not in seen:
                seen.add(target)
                waiting.append(target)


def _busy_office() -> Office:
    """An office with a case in most states, so that pages have something to show."""
    office = make_office("HQ")
    steps = (
        "forward",
        "contact",
        "classify",
        "plan",
        "assign",
        "accept",
        "depart",
        "solve",
        "send_result",
        "confirm",
    )
    for length in (0, 3, 5, 7, len(steps)):
        office.do(office.new_case(), *steps[:length])
    office.do(office.new_case(), *steps[:6], "start", "wait")
    office.do(office.new_case(), "chase", "escalate", "cancel")
    return office


def test_chinese_pages_hold_no_english(sqlite_app: Flask) -> None:
    office = _busy_office()
    plugins = [one.name for one in sqlite_app.extensions["plugins"].plugins]
    helpers.switch_on(office.unit, *plugins)
    everything = [one.code for one in all_permissions()]
    boss = helpers.make_user(office.unit, everything, username="boss2026", below=True, name="王主管", locale="zh")
    _look_in_english(sqlite_app, office, everything)
    client = sqlite_app.test_client()
    client.environ_base["HTTP_USER_AGENT"] = "浏览器"
    helpers.login(client, boss)
    with helpers.as_system() as work:
        numbers = work.scalars(select(Record.id)).all()
        checklists = work.execute(select(Checklist.code, Checklist.title_en))
        english = " ".join([*work.scalars(select(Kind.name_en)), *(word for row in checklists for word in row)])
    start = (
        "/admin/",
        "/my/",
        "/account",
        *(f"/admin/record/{number}" for number in numbers[:3]),
        "/admin/record/no",
    )
    # Names that the scene gave, the English names of kinds of tools and of checklists, which stand there as such.
    known = frozenset(plugins) | {"boss", "user", "position"} | {one.lower() for one in WORD.findall(english)}
    found: dict[str, list[str]] = {}
    pages = 0
    for url, page in _walk(sqlite_app, client, start):
        pages += 1
        if words := page.english(known):
            found[url] = words
    assert pages > 40
    assert not found, "\n".join(f"{url}: {words}" for url, words in found.items())


def _look_in_english(app: Flask, office: Office, permissions: list[str]) -> None:
    """Whatever pages keep between requests must not keep the language with it."""
    reader = helpers.make_user(office.unit, permissions, username="boss_en", below=True, name="李主管", locale="en")
    client = helpers.login(app.test_client(), reader)
    for url in ("/admin/", "/admin/cases/", "/admin/customers/", "/admin/record/1", "/my/"):
        assert "After-sales" in client.get(url).get_data(as_text=True)


def test_pages_before_signing_in_hold_no_english(sqlite_app: Flask) -> None:
    client = sqlite_app.test_client()
    for url in ("/sign-in", "/there-is-no-such-page"):
        page = _Page(client.get(url, headers={"Accept-Language": "zh-CN"}).get_data(as_text=True))
        assert HAN.search("".join(page.texts))
        assert not page.english(frozenset()), url
