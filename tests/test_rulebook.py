"""The rulebook: its data against the list of all clauses, its format, what breaks the start, and the coverage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_babel import force_locale

from core.kernel.manifest import PluginError
from core.rules import coverage
from core.rules.clauses import KINDS, Rulebook, sort_key
from core.rules.coverage import Binding, bindings, clauses_in_tests, known_ids
from core.rules.rulebook import CORE_FILE, EXTENSION, read
from tests.plugin_folders import write_plugin

ROOT = Path(__file__).resolve().parents[1]
REGULATION = """
[[regulation]]
id = "X01"
title = { zh = "试验制度", en = "Trial rules" }
company = { zh = "公司", en = "Company" }
purpose = { zh = "试验", en = "A trial" }
profiles = ["BU-GEN"]
on = false
"""
CLAUSE = """
[[clause]]
id = "X01-1.2a"
kind = "deadline"
priority = 1
responsible = "reception"
title = { zh = "限时回电", en = "Call back in time" }
text = { zh = "在时限内回电。", en = "Call back within the limit." }
"""
LIMIT = """
[[clause.parameter]]
name = "limit"
type = "duration"
unit = "hour"
clock = "working"
title = { zh = "时限", en = "Limit" }
default = 4
minimum = 1
maximum = 8
"""


@pytest.fixture
def book(whole_app: Flask) -> Rulebook:
    return whole_app.extensions[EXTENSION]


def written(folder: Path, *texts: str, name: str = "rulebook.toml") -> Path:
    path = folder / name
    path.write_text("\n".join(texts), "utf-8")
    return path


def mistakes(*files: tuple[str, Path]) -> list[str]:
    with pytest.raises(PluginError) as caught:
        read(files)
    return [str(one) for one in caught.value.problems]


# --- the data ----------------------------------------------------------------------------------


def test_every_clause_of_the_list_is_told_once_with_its_kind_and_importance(book: Rulebook) -> None:
    plugins = {one.plugin for one in book.clauses.values()}
    listed = {key: (plugin, kind, most) for key, plugin, kind, most in known_ids() if plugin in plugins}
    # Regulations a plugin declares itself aren't on the list.
    shipped = [one for one in book.clauses.values() if not book.regulations[one.regulation].plugin]
    assert {one.id: (one.plugin, one.kind, one.priority) for one in shipped} == listed
    counts = Counter(one.kind for one in book.clauses.values() if not one.plugin)
    assert counts == {
        "checklist": 1,
        "deadline": 23,
        "gate": 8,
        "information": 23,
        "record": 28,
        "report": 2,
        "routing": 30,
    }


def test_the_list_of_all_clauses_is_whole() -> None:
    ids = known_ids()
    assert len(ids) == 947 and len({key for key, *_ in ids}) == 947
    assert {kind for _, _, kind, _ in ids} == set(KINDS)


def test_the_regulations_are_all_there_and_told_in_both_languages(book: Rulebook) -> None:
    assert [key for key in book.regulations if key.startswith("R")] == [f"R{n:02}" for n in range(1, 36)]
    for one in [*book.regulations.values(), *book.clauses.values()]:
        # The two languages are not each other's copy, and English holds no Chinese.
        assert one.title["zh"] != one.title["en"] and one.title["en"].isascii(), one.id
    assert all(one.text["en"].isascii() for one in book.clauses.values())


NUMBERS = {
    "R01-4.1": (30, "minute", "calendar"),
    "R01-4.3a": (4, "hour", "working"),
    "R01-4.4": (5, "day", "working"),
    "R01-4.5": (2, "day", "working"),
    "R01-5.2a": (2, "hour", "calendar"),
    "R01-5.2b": (24, "hour", "calendar"),
    "R03-3.4": (2, "day", "working"),
    "R03-4.1": (24, "hour", "calendar"),
    "R03-4.2": (8, "hour", "working"),
    "R03-5.1": (1, "month", "calendar"),
    "R04-2.3c": (5, "day", "working"),
    "R04-2.4a": (0, "day", "calendar"),
    "R04-2.5a": (3, "month", "calendar"),
    "R04-4.1c": (1, "month", "calendar"),
    **{f"R{n}-{c}": (4, "hour", "working") for n in (17, 18, 19) for c in ("7.1.3a", "7.1.3b")},
    **{f"R{n}-{c}": (8, "hour", "working") for n in (17, 18, 19) for c in ("7.2.1", "7.2.2b")},
    "R20-1.D": (12, "month", "calendar"),
    "R21-4.b": (8, "hour", "working"),
    "R22-1.R1": (3, "minute", "calendar"),
    "R22-2.9b": (3, "minute", "calendar"),
    "R25-2.3.A2": (30, "minute", "calendar"),
    "R25-2.3.B2": (5, "minute", "calendar"),
    "R27-2.2.2": (4, "hour", "working"),
    "R28-4.5": (1, "month", "calendar"),
}


def test_the_numbers_are_those_of_the_regulations(book: Rulebook) -> None:
    found = {}
    for one in book.clauses.values():
        times = [p for p in one.parameters if p.type == "duration"]
        if times and not one.plugin:
            found[one.id] = (times[0].default, times[0].unit, times[0].clock)
    assert found == NUMBERS


@pytest.mark.parametrize(
    ("clause", "name", "value"),
    [
        ("R01-3.1", "holders", 1),
        ("R01-5.1", "hours", 24),
        ("R07-3.3", "opens", "09:00"),
        ("R07-3.3", "closes", "18:00"),
        ("R15-6", "items", 7),
        ("R17-7.1.3b", "position", "after_sales"),
        ("R21-4.b", "complaint_limit", 3),
        ("R23-1", "items", 5),
        ("R25-2.3.A1", "items", 6),
        ("R27-2.2.1", "items", 4),
        ("R34-4.1.3", "items", 4),
    ],
)
def test_further_values(book: Rulebook, clause: str, name: str, value: Any) -> None:
    assert book.clauses[clause].parameter(name).default == value


def test_each_deadline_has_a_time_and_somebody_answers_for_it(book: Rulebook) -> None:
    deadlines = [one for one in book.clauses.values() if one.kind == "deadline"]
    assert [one.id for one in deadlines if not any(p.type == "duration" for p in one.parameters)] == []
    # Whoever receives the information forwards it: no single position.
    nobody = {one.id for one in deadlines if not one.responsible}
    assert nobody == {"R17-7.1.3a", "R18-7.1.3a", "R19-7.1.3a"}


def test_clauses_stand_in_the_order_of_their_numbers(book: Rulebook) -> None:
    ids = list(book.clauses)
    assert ids.index("R01-4.3a") < ids.index("R01-4.3b") < ids.index("R01-4.4") < ids.index("R01-5.1")
    assert sort_key("R25-2.3.A1") < sort_key("R25-2.10") and sort_key("R01-9") < sort_key("R01-10")


# --- the format --------------------------------------------------------------------------------


def test_a_small_rulebook_is_read_with_what_its_regulation_sets(tmp_path: Path) -> None:
    book = read([("", written(tmp_path, REGULATION, CLAUSE, LIMIT))])
    clause = book.clauses["X01-1.2a"]
    assert (clause.regulation, clause.article, clause.on, clause.profiles) == ("X01", "1.2a", False, ("BU-GEN",))
    assert clause.parameter("limit").clock == "working"
    with pytest.raises(LookupError):
        clause.parameter("nothing")


def test_a_plugin_adds_clauses_to_a_regulation_of_the_core_and_they_hold_only_where_it_is_on(
    tmp_path: Path,
) -> None:
    core, plugin = written(tmp_path, REGULATION), written(tmp_path, CLAUSE, name="plugin.toml")
    book = read([("thing", plugin), ("", core)])
    assert book.in_force(()) == [] and [one.id for one in book.in_force({"thing"})] == ["X01-1.2a"]
    assert book.clause("X01-1.2a", ()) is None
    assert book.search({"other"}, "回电") == []


def test_a_plugin_may_name_its_own_regulation_by_letters_alone(tmp_path: Path) -> None:
    book = read([("thing", written(tmp_path, *(text.replace("X01", "XY") for text in (REGULATION, CLAUSE))))])
    assert list(book.regulations) == ["XY"] and list(book.clauses) == ["XY-1.2a"]
    said = mistakes(("", written(tmp_path, REGULATION.replace("X01", "X"))))
    assert any("X is not a number of a regulation, like R01" in one for one in said)


BROKEN = [
    ('kind = "deadline"', 'kind = "promise"', "the kind promise is not known"),
    ('title = { zh = "限时回电", en', "title = { en", "title.zh is missing"),
    ('zh = "在时限内回电。"', 'zh = " "', "text.zh is missing"),
    ('"reception"', '"astronaut"', "the position astronaut is not known"),
    ("priority = 1", "priority = 4", "priority must lie between 1 and 3"),
    ("priority = 1", 'priority = "high"', "priority must be a int"),
    ("priority = 1", "", "priority is missing"),
    ("priority = 1", "priority = 1\ncolour = 3", "colour is not known"),
    ('"X01-1.2a"', '"X02-1.2a"', "there is no regulation X02"),
    ('"X01-1.2a"', '"first"', "first is not a number of a clause, like R01-4.2"),
    ("default = 4", "default = 9", "parameter limit: the default 9 is out of bounds"),
    ("default = 4", 'default = "four"', "parameter limit: the default four is not of the type duration"),
    ("default = 4", "", "parameter limit: default is missing"),
    ("minimum = 1", "minimum = 99", "parameter limit: the minimum is greater than the maximum"),
    ("minimum = 1", 'minimum = "x"', "parameter limit: minimum must be a number"),
    ('unit = "hour"', 'unit = "moon"', "parameter limit: the unit must be one of minute, hour, day, month, year"),
    ('unit = "hour"', 'unit = "year"', "parameter limit: months and years run by the calendar"),
    ('"working"', '"sand"', "parameter limit: the clock must be one of calendar, working"),
    ('type = "duration"', 'type = "time"', "parameter limit: the type time is not known"),
    ('type = "duration"', 'type = "int"', "parameter limit: clock does not go with the type int"),
    ('name = "limit"', 'name = "Limit!"', "parameter Limit!: the name must be small letters, digits and _"),
    ('title = { zh = "时限", en', "title = { en", "parameter limit: title.zh is missing"),
]


@pytest.mark.parametrize(("old", "new", "told"), BROKEN)
def test_a_mistake_is_told_with_file_and_clause(tmp_path: Path, old: str, new: str, told: str) -> None:
    text = REGULATION + CLAUSE + LIMIT
    assert old in text
    path = written(tmp_path, text.replace(old, new))
    said = mistakes(("", path))
    clause = new.strip('"') if "X01" in old else "X01-1.2a"
    assert f"{path} {clause}: {told}" in said


@pytest.mark.parametrize(
    ("type_", "default", "more", "told"),
    [
        ("choice", '"c"', 'choices = { a = { zh = "甲", en = "A" } }', "the default c is not among the choices"),
        ("choice", '"a"', "", "choices is missing"),
        ("choice", '"a"', 'choices = { a = { zh = "甲" } }', "choices.a.en is missing"),
        ("bool", "1", "", "the default 1 is not of the type bool"),
        ("int", "true", "", "the default True is not of the type int"),
        ("decimal", '"ten"', "", "the default ten is not of the type decimal"),
        ("decimal", "nan", "", "the default nan is not of the type decimal"),
        ("decimal", '"0.30"', 'maximum = "0.29"', "the default 0.30 is out of bounds"),
        ("position", '"astronaut"', "", "the position astronaut is not known"),
        ("duration", "-1", 'unit = "day"', "the default -1 is out of bounds"),
    ],
)
def test_a_parameter_holds_what_its_type_says(
    tmp_path: Path, type_: str, default: str, more: str, told: str
) -> None:
    parameter = f"""
[[clause.parameter]]
name = "rate"
type = "{type_}"
title = {{ zh = "比例", en = "Rate" }}
default = {default}
{more}
"""
    path = written(tmp_path, REGULATION, CLAUSE, parameter)
    assert mistakes(("", path)) == [f"{path} X01-1.2a: parameter rate: {told}"]


def test_all_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    one = written(tmp_path, REGULATION, CLAUSE.replace('"deadline"', '"x"'), CLAUSE, CLAUSE, LIMIT, LIMIT, name="a")
    two = written(tmp_path, REGULATION, CLAUSE.replace('"X01-1.2a"', '"X09-1"'), "what = 1", name="b")
    three = written(tmp_path, "[[clause]", name="c")
    four = written(tmp_path, "what = 1\nclause = 3", name="d")
    said = mistakes(("", one), ("p", two), ("q", three), ("r", four))
    assert f"{one} X01-1.2a: the kind x is not known" in said
    assert f"{one} X01-1.2a: this clause is there twice" in said
    assert f"{one} X01-1.2a: parameter limit: it is there twice" in said
    assert f"{two} X01: this regulation is there twice" in said
    assert f"{two} X09-1: there is no regulation X09" in said
    assert any(line.startswith(f"{three} cannot be read: ") for line in said)
    assert f"{four}: what is not known" in said and f"{four}: write clause as [[clause]]" in said


def test_a_broken_rulebook_stops_the_start_and_the_status_says_why(tmp_path: Path) -> None:
    name = write_plugin(tmp_path / "plugins", "from core.hookspecs import hookimpl\n", name="badrules")
    written(tmp_path / "plugins" / name, CLAUSE.replace("X01", "R01").replace("reception", "astronaut"))
    config = written(tmp_path, f'plugins = ["{name}"]\nplugin_folders = ["{tmp_path / "plugins"}"]', name="d.toml")
    env = {**os.environ, "SHOUHOU_CONFIG": str(config), "SHOUHOU_DATA_DIR": str(tmp_path), "SHOUHOU_LOCALE": "en"}
    env.pop("DATABASE_URL", None)
    command = [sys.executable, "-m", "flask", "plugins", "status"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "R01-1.2a: the position astronaut is not known" in done.stderr


# --- searching ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "expected"),
    [("R34-4.1.3", "R34-4.1.3"), ("r34-4.1", "R34-4.1.2"), ("Ｒ３４", "R34-3"), ("归口", "R18-3.1")],
)
def test_clauses_are_found_by_number_and_by_two_characters(book: Rulebook, words: str, expected: str) -> None:
    assert expected in [one.id for one in book.search((), words)]


def test_every_word_must_be_there_and_filters_narrow(book: Rulebook) -> None:
    assert [one.id for one in book.search((), "hotline 24-hour")] == ["R27-2.1.1"]
    assert book.search((), "hotline astronaut") == []
    gates = book.search((), "", "gate", "")
    assert len(gates) == 8 and {one.kind for one in gates} == {"gate"}


# --- coverage ----------------------------------------------------------------------------------


def lines(app: Flask, *options: str) -> dict[str, dict[str, Any]]:
    done = app.test_cli_runner().invoke(args=["rules", "coverage", "--json", *options])
    assert done.exit_code == 0, done.output
    return {one["clause"]: one for one in json.loads(done.output)}


def test_coverage_tells_of_every_clause_from_what_is_declared(whole_app: Flask) -> None:
    found = lines(whole_app)
    assert set(found) == {key for key, *_ in known_ids()} | set(whole_app.extensions[EXTENSION].clauses)
    classified = found["R01-4.2"]
    assert (
        classified["state"] == "tested"
        and {"how": "gate", "place": "case.assign.unclassified"} in (classified["bindings"])
    )
    assert any(test.startswith("test_cases.py::") for test in classified["tests"])
    assert {one["state"] for one in found.values() if one["plugin"] in ("", "core")} <= {"tested", "information"}
    assert found["R27-1.1"]["state"] == "information"
    # A field and a gate do not watch the hours of a deadline, whatever tests name it.
    for one in found.values():
        if one["kind"] == "deadline" and "deadline" not in {b["how"] for b in one["bindings"]}:
            assert one["state"] in ("partly", "missing"), one
    # Told in the rulebook, but nothing stands behind it: missing, whatever its text promises.
    assert all(one["state"] != "information" for one in found.values() if one["kind"] != "information")
    # Information of a plugin that is not installed is shown nowhere.
    absent = [one for one in found.values() if not one["in_rulebook"] and one["kind"] == "information"]
    assert absent and {one["state"] for one in absent} == {"missing"}


def test_coverage_adds_up_and_can_be_narrowed(whole_app: Flask) -> None:
    core = lines(whole_app, "--plugin", "core")
    assert len(core) == 115
    missing = lines(whole_app, "--plugin", "core", "--state", "missing")
    assert set(missing) == {key for key, one in core.items() if one["state"] == "missing"}
    told = whole_app.test_cli_runner().invoke(args=["rules", "coverage", "--plugin", "core"]).output
    assert f"{len(missing):>13}" in told.splitlines()[-1]
    refused = whole_app.test_cli_runner().invoke(args=["rules", "coverage", "--plugin", "nothing"])
    assert refused.exit_code == 1 and "no clause belongs to nothing" in refused.output


def test_tests_and_declarations_name_only_clauses_there_are(whole_app: Flask) -> None:
    installed = whole_app.extensions["plugins"].plugins
    known = {key for key, *_ in known_ids()} | set(whole_app.extensions[EXTENSION].clauses)
    folders = [ROOT / "tests", *(one.folder / "tests" for one in installed)]
    # The rules of time (C0-T1 ...) are no clauses of a regulation, but held by tests like them.
    named = {one for one in clauses_in_tests(folders) if not one.startswith("C0-T")}
    assert named - known == set()
    with whole_app.app_context():
        assert {one.clause for one in bindings([one.name for one in installed])} - known == set()


def test_a_test_counts_only_by_its_mark(tmp_path: Path) -> None:
    text = """
import pytest
# @pytest.mark.clause("R01-1")
@pytest.mark.clause("R01-2", "R01-3")
def test_one(): "R01-4"
"""
    written(tmp_path, text, name="test_marks.py")
    assert clauses_in_tests([tmp_path]) == {
        "R01-2": ["test_marks.py::test_one"],
        "R01-3": ["test_marks.py::test_one"],
    }


def test_further_sources_of_bindings_are_asked(monkeypatch: pytest.MonkeyPatch, whole_app: Flask) -> None:
    clock = Binding("R01-4.4", "deadline", "case", ("Case",), "thing")
    given = [*coverage.sources, lambda enabled: [clock, clock] if "thing" in enabled else []]
    monkeypatch.setattr(coverage, "sources", given)
    with whole_app.app_context():
        assert clock not in bindings([]) and bindings(["thing"]).count(clock) == 1
    assert coverage.standing("deadline", {"field"}) == "partly"
    assert coverage.standing("deadline", {"field", clock.how}) == "implemented"


def test_one_clause_is_shown_on_the_command_line(whole_app: Flask) -> None:
    runner = whole_app.test_cli_runner()
    told = runner.invoke(args=["rules", "show", "R17-7.1.3a"]).output
    assert "Forward in time" in told and "limit = 4 hour (working)  [1..720]" in told and "deadline case" in told
    assert "nowhere yet" in runner.invoke(args=["rules", "show", "R27-1.1"]).output
    assert "gate case.assign.unclassified" in runner.invoke(args=["rules", "show", "R01-4.2"]).output
    data = json.loads(runner.invoke(args=["rules", "show", "R01-5.2a", "--json"]).output)
    assert data["title"]["zh"] and data["parameters"][0]["default"] == 2
    refused = runner.invoke(args=["rules", "show", "R99-1"])
    assert refused.exit_code == 1 and "R99-1" in refused.output


def test_the_kinds_have_chinese_names(whole_app: Flask) -> None:
    with whole_app.app_context(), force_locale("zh_Hans_CN"):
        assert str(KINDS["deadline"]) == "时限" and len({str(one) for one in KINDS.values()}) == len(KINDS)


def test_the_core_file_reads_alone() -> None:
    assert len(read([("", CORE_FILE)]).clauses) == 115
