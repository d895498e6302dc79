"""Rehearsals: scenario files run on both databases; mistakes are told by line, nothing else is touched."""

from __future__ import annotations

import hashlib
import json
import random
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from flask_babel import force_locale
from sqlalchemy import text

from core.cases.models import Case
from core.kernel import clock
from core.kernel.database import db
from core.kernel.fields import Field, clean
from core.kernel.throwaway import NoDatabase
from core.records import types
from core.records.engine import create_record
from core.records.models import CLOSED, OPEN
from core.records.types import RecordType
from core.records.workflow import FactKind, Guard, State, Transition, make_workflow
from core.rehearsal import vocabulary
from core.rehearsal.reading import BadScenario
from core.rehearsal.run import FAILED, NOT_RUN, PASSED, files_in, rehearsal, rehearse_file, rehearse_source
from core.rehearsal.script import read_source
from tests import databases
from tests.casework import kinds
from tests.helpers import make_unit

ROOT = Path(__file__).resolve().parents[1]
SCENARIOS = files_in([ROOT / "tests" / "scenarios"])
DOC = ROOT / "docs" / "rehearsal.md"
SERVERS = ["sqlite", "postgresql"]


@pytest.fixture(scope="module", params=SERVERS)
def shop(request, whole_app):
    """A workshop of throw-away databases, made once for this file on each kind of database."""
    server = "" if request.param == "sqlite" else databases.POSTGRES
    if server and not databases.postgres_answers():
        pytest.skip("no PostgreSQL answers (set TEST_POSTGRES_URL)")
    with whole_app.app_context(), rehearsal(server) as made:
        yield made


@pytest.fixture(scope="module")
def lite(whole_app):
    with whole_app.app_context(), rehearsal() as made:
        yield made


def play(shop, source, name="scenario.yaml", folder=Path()):
    return rehearse_source(shop, source.encode(), name, folder)


def failures(report):
    return [*report.problems, *(f"{s.line} {s.text}: {p}" for s in report.steps for p in s.problems)]


def mistakes(whole_app, source):
    """Return the (line, text) of what is wrong with a file."""
    with whole_app.app_context(), pytest.raises(BadScenario) as caught:
        read_source(source if isinstance(source, bytes) else source.encode(), "bad.yaml", Path())
    return [(one.line, str(one.text)) for one in caught.value.problems]


BASE = """
title: A case
unit: {{clauses: {{R27: off, R31: off, R28: off, R34: off, R03: off, R04: off, R29: off}}}}
actors: {{desk: after_sales}}
customers:
  home: {{name: 王芳, phone: 13900001111}}
steps:
  - at: 2025-11-03 09:00
    create: case
    with: {{customer_id: home, contact_phone: 13900001111, description: 漏水, product_text: RS-8}}
{steps}
"""


def scenario(steps):
    lines = steps.strip("\n").splitlines()
    return BASE.format(steps="\n".join(f"  {line}" for line in lines))


# --- the scenarios themselves ----------------------------------------------------------------------


@pytest.mark.clause("R01-4.2")
@pytest.mark.clause("R01-4.4")
@pytest.mark.clause("R01-4.6")
@pytest.mark.clause("R01-5.2a")
@pytest.mark.clause("R01-5.2b")
@pytest.mark.clause("R03-7.1")
@pytest.mark.clause("R07-3.1")
@pytest.mark.clause("R07-3.2")
@pytest.mark.clause("R07-3.5")
@pytest.mark.clause("R07-4.2")
@pytest.mark.clause("R07-6.2")
@pytest.mark.clause("R13-5.2.1.3a")
@pytest.mark.clause("R13-5.2.1.3b")
@pytest.mark.clause("R13-5.2.1.3c")
@pytest.mark.clause("R13-5.2.1.3d")
@pytest.mark.clause("R13-5.2.1.4")
@pytest.mark.clause("R17-5.2.5a")
@pytest.mark.clause("R17-5.2.7")
@pytest.mark.clause("R17-7.1.3a")
@pytest.mark.clause("R17-7.1.3b")
@pytest.mark.clause("R17-7.2.4a")
@pytest.mark.clause("R17-7.2.4b")
@pytest.mark.clause("R19-5.2.3.1")
@pytest.mark.clause("R19-5.2.3.2")
@pytest.mark.clause("R22-1.R5")
@pytest.mark.clause("R22-1.W4")
@pytest.mark.clause("R22-1.W6b")
@pytest.mark.clause("R22-4.7")
@pytest.mark.clause("R28-4.5")
@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_the_scenarios_pass(shop, path):
    reports = rehearse_file(shop, path)
    assert reports
    for report in reports:
        assert report.passed, "\n".join(failures(report))
        assert report.checks > 0


def test_every_scenario_is_tried():
    assert {path.stem[:3] for path in SCENARIOS} >= {"s11", "s27"}


# --- what fails is told ----------------------------------------------------------------------------


def test_a_wrong_expectation_is_told_with_both_values_and_the_rest_goes_on(lite):
    (report,) = play(
        lite,
        scenario("""
- at: 2025-11-04 10:00
  fact: contacted
  expect:
    obligation: {clause: R01-5.2b, state: met, late_by: 2h}
    state: closed
- at: 2025-11-04 11:00
  perform: classify
  with: {nature: repair, urgency: normal}
  expect: {state: classified}
"""),
    )
    assert not report.passed
    assert [one.state for one in report.steps] == [PASSED, FAILED, PASSED]
    told = report.steps[1].problems
    assert [re.sub(r"^line \d+, ", "", one) for one in told] == [
        "obligation R01-5.2b (case): state: expected met, but it is late",
        "obligation R01-5.2b (case): late_by: expected 2h, but it is 1h",
        "state (case): is: expected closed, but it is registered",
    ]
    assert all(
        one.startswith(f"line {report.steps[1].line + offset}") for one, offset in zip(told, (3, 3, 4), strict=True)
    )


def test_a_step_that_fails_unexpectedly_stops_the_scenario(lite):
    (report,) = play(
        lite,
        scenario("""
- at: 2025-11-04 10:00
  perform: assign
  with: {assignee_id: field_staff}
- at: 2025-11-04 11:00
  expect: {state: registered}
"""),
    )
    assert not report.passed
    assert [one.state for one in report.steps] == [PASSED, FAILED, NOT_RUN]
    assert (
        "expected to go through, but: R01-4.2: Nature and urgency must be set first" in report.steps[1].problems[0]
    )


def test_an_expected_refusal_that_does_not_come_is_a_failure(lite):
    (report,) = play(lite, scenario("- {at: 2025-11-04 08:00, perform: contact, expect: {refused: R01-4.6}}"))
    assert "a refusal is expected, but the step went through" in failures(report)[0]


def test_a_refusal_by_another_clause_is_a_failure(lite):
    steps = (
        "- {at: 2025-11-04 08:00, perform: assign, with: {assignee_id: field_staff}, expect: {refused: R01-4.6}}"
    )
    (report,) = play(lite, scenario(steps))
    assert "a refusal by R01-4.6 is expected, but: R01-4.2" in failures(report)[0]


def test_a_refused_step_changes_nothing_and_an_invalid_one_neither(lite):
    (report,) = play(
        lite,
        scenario("""
- at: 2025-11-04 08:00
  perform: classify
  with: {nature: repair}
  expect: {invalid: urgency, state: registered, fact: {kind: classified, count: 0}}
"""),
    )
    assert report.passed, failures(report)


def test_a_crash_inside_a_step_never_passes(lite, monkeypatch):
    from core.rehearsal import acts

    def broken(*_):
        raise RuntimeError("boom")

    monkeypatch.setitem(acts._VERBS, "perform", broken)
    (report,) = play(lite, scenario("- {at: 2025-11-04 08:00, perform: contact, expect: {refused: true}}"))
    assert not report.passed
    assert "RuntimeError: boom" in failures(report)[0]


def test_a_scene_that_cannot_be_set_says_where(lite):
    source = scenario("- {at: +1h, expect: {state: registered}}").replace(
        "phone: 13900001111}\n", "phone: 12}\n", 1
    )
    (report,) = play(lite, source)
    assert not report.passed
    assert report.problems[0].startswith("scenario.yaml:6: this cannot be set up")


# --- files that are wrong --------------------------------------------------------------------------

BAD = """\
titel: A title
unit: {code: GEN, profil: general, clauses: {R01-5.2c: {limit: 3}, R01-5.2b: {limt: 3, from: soon}}}
actors:
  desk: after_sale
customers:
  home: {phone: 139}
steps:
  - at: 2025-11-03 9 Uhr
    create: cas
  - at: 2025-11-03 09:00
    create: case
    as: one
    with: {customer_id: hom, descripton: x}
    expect:
      obligaton: {clause: R01-5.2b}
      obligation: {clause: R01-5.2b, state: opn, due: tomorrow, late_by: 3 hours, provisional: maybe}
      charge: {amount: 1.234}
  - at: 2025-11-02 09:00
    perform: asign
    on: two
  - at: 2025-11-05 09:00
    perform: assign
    create: case
  - at: 2025-11-05 09:00
    perform: assign
    note: x
    happened: 2025-11-05
  - at: 2025-11-05 09:00
  - [1, 2]
  - {at: 2025-11-06 09:00, import: customers, file: nofile.csv}
  - {at: 2025-11-06 09:00, on: one, expect: {state: don, field: {ratting: 4}}}
  - {at: 2025-11-06 09:00, by: bos, tick: }
"""


def test_every_mistake_of_a_file_is_told_at_once_with_its_line(whole_app):
    found = mistakes(whole_app, BAD)
    wanted = [
        (1, "“titel” is not known; did you mean title"),
        (1, "The word “title” is missing"),
        (2, "“profil” is not known; did you mean profile"),
        (2, "“R01-5.2c” is not known; did you mean R01-5.2b / R01-5.2a"),
        (2, "“limt” is not known; did you mean limit"),
        (2, "A day such as 2025-09-26 is expected here, not “soon”"),
        (4, "The position “after_sale” is not known; did you mean after_sales"),
        (6, "The word “name” is missing"),
        (8, "A moment such as 2025-09-26 16:00 is expected here, not “2025-11-03 9 Uhr”"),
        (13, "The customer “hom” is not known; did you mean home"),
        (13, "“descripton” is not known; did you mean description"),
        (15, "“obligaton” is not known; did you mean obligation"),
        (16, "“opn” is not known; did you mean open"),
        (16, "A moment such as 2025-09-26 16:00 is expected here, not “tomorrow”"),
        (16, "A length of time such as 2d, 1h 30m or 45s is expected here, not “3 hours”"),
        (16, "true or false is expected here, not “maybe”"),
        (17, "An amount such as 50.00 is expected here, not “1.234”"),
        (20, "The record “two” is not known"),
        (18, "This lies before the step above"),
        (21, "One step does one thing, not several: perform, create"),
        (26, "“note” has no meaning for “perform”"),
        (27, "A moment such as 2025-09-26 16:00 is expected here, not “2025-11-05”"),
        (28, "This step does nothing"),
        (29, "Words with values are expected here, not a list"),
        (30, "There is no file nofile.csv"),
        (31, "The state “don” is not known"),
        (31, "“ratting” is not known; did you mean rating"),
        (32, "The actor “bos” is not known"),
    ]
    missed = [(line, part) for line, part in wanted if not any(line == n and part in told for n, told in found)]
    assert missed == [], "\n".join(map(str, found))


@pytest.mark.parametrize(
    ("source", "line", "part"),
    [
        (b"title: x\n  bad: [\n", 2, "not well-formed YAML"),
        (b"\xff\xfe\x00", 1, "not UTF-8"),
        (b"", 1, "The file is empty"),
        (b"- a\n- b\n", 1, "Words with values are expected here"),
        (b"title: x\ntitle: y\nsteps: []\n", 2, "stands here twice"),
        (b"title: &a x\nby: *a\n", 1, "Anchors (& and *) are not used"),
        (b"title: !!python/object/apply:os.system [ls]\n", 1, "Tags such as"),
        (b"title: " + b"[" * 50_000, 1, "nested too deeply"),
        (b"title: " + b"x" * 1_000_001, 1, "larger than 1 MB"),
        (b"title: x\nsteps:\n", 1, "There are no steps"),
        (b"title: x\nvariants: {}\n", 2, "There is no variant"),
        (b"title: x\nsteps: [{tick: }]\n", 2, "The first step needs a time"),
        (b"title: x\nsteps: [{at: 2025-11-03 09:00, perform: assign}]\n", 2, "Say which record with"),
        (b"title: {zh: x}\nsteps: [{at: 2025-11-03 09:00, tick: }]\n", 1, "“en” is missing"),
        (b"title: x\nbegins: 2025-12-01\nsteps: [{at: 2025-11-03 09:00, tick: }]\n", 2, "lies before this day"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_scenario(whole_app, source, line, part):
    assert any(line == n and part in told for n, told in mistakes(whole_app, source))


ODD = (
    None,
    5,
    True,
    "x",
    "on",
    [],
    {},
    [1, [2]],
    {"a": {"b": 1}},
    "R01-5.2b",
    "none",
    "+2h",
    "2025-99-99",
    "24:00",
)
WORDS = sorted(
    {*vocabulary.TOP, *vocabulary.UNIT, *vocabulary.STEP_WORDS, *vocabulary.EXPECTED, *vocabulary.CLAUSE}
)


def _spoilt(node, rng):
    """Return a file's content with words left out, added, or with odd values."""
    if isinstance(node, dict):
        node = {name: _spoilt(value, rng) for name, value in node.items() if rng.random() > 0.03}
        if rng.random() < 0.05:
            node[rng.choice(WORDS)] = rng.choice(ODD)
    elif isinstance(node, list):
        node = [_spoilt(value, rng) for value in node]
    return rng.choice(ODD) if rng.random() < 0.02 else node


@pytest.mark.parametrize("seed", range(6))
def test_whatever_stands_in_a_file_is_read_or_told(whole_app, seed):
    rng = random.Random(seed)
    told = 0
    with whole_app.app_context():
        for path in SCENARIOS:
            source = yaml.safe_dump(_spoilt(yaml.safe_load(path.read_text("utf-8")), rng), allow_unicode=True)
            try:
                read_source(source.encode(), path.name, path.parent)
            except BadScenario as bad:
                told += bool(str(bad))
    assert told > 0


def test_mistakes_are_told_in_the_readers_language(whole_app):
    with whole_app.app_context(), force_locale("zh_Hans_CN"):
        with pytest.raises(BadScenario) as caught:
            read_source(BAD.encode(), "bad.yaml", Path())
        english = [str(one) for one in caught.value.problems if not re.search("[\u4e00-\u9fff]", str(one.text))]
    assert english == []


def test_words_that_yaml_would_turn_into_something_else_stay_words(whole_app):
    """``on`` is a word here, 16:00 is no number of minutes, and 007 keeps its zeros."""
    source = scenario(
        "- {at: 2025-11-03 16:00, on: case, perform: classify, with: {nature: repair, urgency: normal}}"
    )
    source = source.replace("product_text: RS-8", "product_text: 007")
    with whole_app.app_context():
        (found,) = read_source(source.encode(), "x.yaml", Path())
    assert found.steps[0].values["product_text"] == "007"
    assert found.steps[1].on == "case"
    assert found.steps[1].at.astimezone(UTC) == datetime(2025, 11, 3, 8, tzinfo=UTC)


# --- apart from everything else --------------------------------------------------------------------


def _fingerprint(engine):
    with engine.connect() as conn:
        names = [row[0] for row in conn.execute(text(_TABLES[engine.dialect.name])) if "_fts" not in row[0]]
        counts = {name: conn.scalar(text(f'SELECT count(*) FROM "{name}"')) for name in sorted(names)}
    return hashlib.sha256(json.dumps(counts).encode()).hexdigest()


_TABLES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
    "postgresql": "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
}


def test_the_configured_database_is_not_touched(app, tmp_path):
    make_unit("HQ")
    with app.app_context():
        before = _fingerprint(db.engine)
        opened = db.engine
        with rehearsal() as made:
            (report,) = play(made, scenario("- {at: +1h, perform: contact, expect: {state: contacted}}"))
        assert report.passed, failures(report)
        assert db.engine is opened
        assert _fingerprint(db.engine) == before


def test_nothing_is_left_behind(whole_app):
    with whole_app.app_context(), rehearsal() as made:
        play(made, scenario("- {at: +1h, perform: contact}"))
        folder = made.folder
        assert folder.exists()
    assert not folder.exists()


def test_nothing_is_left_behind_on_a_server(whole_app):
    if not databases.postgres_answers():
        pytest.skip("no PostgreSQL answers (set TEST_POSTGRES_URL)")
    with whole_app.app_context(), rehearsal(databases.POSTGRES) as made:
        play(made, scenario("- {at: +1h, perform: contact}"))
        mark = made._mark
    left = databases._admin("SELECT datname FROM pg_database")
    assert [name for name in left if name.startswith(mark)] == []


def test_only_a_postgresql_server_is_taken(whole_app):
    with whole_app.app_context(), pytest.raises(NoDatabase), rehearsal("mysql://localhost/x"):
        pass


def test_two_rehearsals_of_one_file_say_the_same(lite):
    path = next(one for one in SCENARIOS if one.stem.startswith("s27"))
    first, second = ([r.as_json() | {"seconds": 0} for r in rehearse_file(lite, path)] for _ in range(2))
    assert first == second


def test_the_time_of_day_does_not_matter(lite):
    path = next(one for one in SCENARIOS if one.stem.startswith("s27"))
    with clock.frozen(datetime(2031, 2, 3, 4, 5, tzinfo=UTC)):
        assert all(one.passed for one in rehearse_file(lite, path))


# --- plugins ---------------------------------------------------------------------------------------

PLUGIN = """
from core.hookspecs import hookimpl
from core.sdk import FactKind, RecordType, Workflow
"""


@pytest.fixture
def thrown_type():
    """A record type as a plugin would declare one: a form, a service behind it, a workflow of its own."""
    flow = make_workflow(
        "new",
        [State("new", "New", OPEN), State("done", "Done", CLOSED)],
        [
            Transition(
                "finish",
                "Finish",
                frozenset({"new"}),
                "done",
                "case.handle",
                "finished",
                (Field("answer", "text", "Answer", True), Field("helper_id", "user", "Helper")),
                guards=(Guard("unseen", lambda step: None if len(kinds(step.record.id)) > 1 else "Look first"),),
                apply=lambda step: setattr(step.detail, "answer", step.values["answer"]),
            )
        ],
        [
            FactKind("registered", "Registered", 0),
            FactKind("seen", "Seen", 5, enterable=True),
            FactKind("finished", "Finished"),
        ],
    )
    intake = (Field("description", "text", "What", True),)

    def register(unit_id, raw):
        values = clean(intake, raw)
        return create_record(
            kind,
            unit_id,
            Case(channel="phone", **values),
            title=values["description"],
            customer_id=None,
            received_at=clock.now(),
            permission="case.create",
            facts=[("registered", {})],
        )

    kind = RecordType("thrown", "Thrown", "TH", Case, flow, intake=intake, register=register)
    types.register_type(kind)
    yield
    del types._types["thrown"]
    types.workflow_of.cache_clear()
    types.mirrored_roles.cache_clear()


def test_a_record_type_declared_elsewhere_is_played_without_a_change_here(thrown_type, lite):
    (report,) = play(
        lite,
        """
title: Another type
actors: {desk: after_sales}
steps:
  - {at: 2025-11-03 09:00, create: thrown, with: {description: x}, expect: {state: new}}
  - {at: +1h, perform: finish, with: {answer: y}, expect: {refused: unseen}}
  - {at: +1h, fact: seen, with: {by: phone}}
  - {at: +1h, perform: finish, with: {helper_id: desk}, expect: {invalid: answer}}
  - {at: +1h, perform: finish, with: {answer: y, helper_id: desk}, expect: {state: done, field: {answer: y}}}
""",
    )
    assert report.passed, failures(report)


def test_names_of_such_a_type_are_checked(thrown_type, whole_app):
    source = (
        "title: x\nsteps:\n- {at: 2025-11-03 09:00, create: thrown, with: {descripton: x}}\n- {perform: finsh}\n"
    )
    assert mistakes(whole_app, source) == [
        (3, "The word “descripton” is not known; did you mean description?"),
        (4, "The step “finsh” is not known; did you mean finish?"),
    ]


def test_a_record_type_without_an_intake_form_cannot_be_created(whole_app):
    found = mistakes(whole_app, "title: x\nsteps: [{at: 2025-11-03 09:00, create: task}]\n")
    assert [line for line, _said in found] == [2]
    said = found[0][1]
    assert said.startswith("The record type “task” is not known; known: ") and "case" in said


# --- the command -----------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path):
    good = tmp_path / "files" / "good.yaml"
    good.parent.mkdir()
    good.write_text(scenario("- {at: +1h, perform: contact, expect: {state: contacted}}"), "utf-8")
    (good.parent / "bad.yml").write_text("titel: x\n", "utf-8")
    (good.parent / "notes.txt").write_text("no scenario", "utf-8")
    return good.parent


def test_the_command_runs_files_and_folders_and_exits_with_1_on_failure(sqlite_app, files):
    run = sqlite_app.test_cli_runner()
    good = run.invoke(args=["rehearse", str(files / "good.yaml")])
    assert good.exit_code == 0, good.output
    assert "1 passed, 0 failed" in good.output
    both = run.invoke(args=["rehearse", str(files)])
    assert both.exit_code == 1
    assert "bad.yml:1:1: The word “titel” is not known; did you mean title?" in both.output
    assert "1 passed, 1 failed" in both.output


def test_the_command_answers_json(sqlite_app, files):
    run = sqlite_app.test_cli_runner().invoke(args=["rehearse", str(files), "--json"])
    data = json.loads(run.output)
    assert (run.exit_code, data["passed"], data["failed"]) == (1, 1, 1)
    by_file = {Path(one["file"]).name: one for one in data["scenarios"]}
    assert by_file["good.yaml"]["passed"] is True
    assert [one["step"] for one in by_file["good.yaml"]["steps"]] == [
        "create case (case)",
        "perform contact (case)",
    ]
    assert by_file["bad.yml"]["problems"]


def test_the_command_keeps_the_databases_where_asked(sqlite_app, files, tmp_path):
    kept = tmp_path / "kept"
    run = sqlite_app.test_cli_runner()
    assert run.invoke(args=["rehearse", str(files / "good.yaml"), "--keep", str(kept)]).exit_code == 0
    assert [one.name for one in kept.glob("good*.db")]
    again = run.invoke(args=["rehearse", str(files / "good.yaml"), "--keep", str(kept)])
    assert (again.exit_code, "is not empty" in again.output) == (2, True)


def test_the_command_without_any_scenario_says_so(sqlite_app, tmp_path):
    run = sqlite_app.test_cli_runner().invoke(args=["rehearse", str(tmp_path)])
    assert run.exit_code == 1
    assert "There are no scenario files" in run.output


# --- the documentation -----------------------------------------------------------------------------


def _examples():
    found = re.findall(r"^```yaml\n(.*?)^```", DOC.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [one for one in found if one.startswith("title:")]


def test_the_examples_of_the_documentation_run(lite):
    examples = _examples()
    assert len(examples) >= 2
    for number, source in enumerate(examples):
        for report in play(lite, source, f"example {number}", ROOT / "tests" / "scenarios"):
            assert report.passed, "\n".join(failures(report))


def test_the_documentation_names_every_word():
    said = set(re.findall(r"`([a-z_]+)`", DOC.read_text("utf-8")))
    steps = {*vocabulary.VERBS, *(word for listed in vocabulary.VERBS.values() for word in listed)}
    expected = {name for spec in vocabulary.EXPECTED.values() for name in spec.words} - {"because"}
    every = {
        *vocabulary.TOP,
        *vocabulary.UNIT,
        *vocabulary.ACTOR,
        *vocabulary.CLAUSE,
        *vocabulary.HOURS,
        *vocabulary.OWN_DAYS,
        *vocabulary.COMMON,
        *steps,
        *vocabulary.EXPECTED,
        *expected,
        *(word for listed in vocabulary.CHOICES.values() for word in listed),
    }
    assert every - said == set()


def test_the_mistakes_in_the_documentation_are_told_so(whole_app):
    """The page shows a wrong file and what is said about it."""
    page = DOC.read_text("utf-8")
    (source,) = re.findall(r"^```yaml wrong\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (shown,) = re.findall(r"^```text mistakes\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    with whole_app.app_context(), pytest.raises(BadScenario) as caught:
        read_source(source.encode(), "wrong.yaml", Path())
    assert [str(one) for one in caught.value.problems] == shown.strip().splitlines()
