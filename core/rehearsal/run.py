"""Runs scenarios, each on a throw-away database of its own, and reports step by step."""

from __future__ import annotations

import itertools
import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from flask import Flask, current_app
from flask_babel import gettext as _

from core.kernel import clock
from core.kernel.database import session, system_scope
from core.kernel.errors import AppError
from core.kernel.throwaway import Workshop, workshop

from . import acts, checks
from . import vocabulary as words
from .reading import BadScenario
from .scene import Scene, SceneError, seed, set_up
from .script import Expected, Scenario, Step, read_file, read_source

PASSED, FAILED, NOT_RUN = "passed", "failed", "not_run"
SUFFIXES = (".yaml", ".yml")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StepReport:
    """How one step went. ``problems`` are in the reader's words; a refusal that was expected is no problem."""

    line: int
    at: str
    by: str
    text: str
    state: str
    problems: tuple[str, ...] = ()
    told: str = ""


@dataclass(frozen=True)
class Report:
    """How one scenario went. One that could not be read has ``problems`` and no steps."""

    file: str
    title: str = ""
    variant: str = ""
    shows: tuple[str, ...] = ()
    steps: tuple[StepReport, ...] = ()
    problems: tuple[str, ...] = ()
    checks: int = 0
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return not self.problems and bool(self.steps) and all(one.state == PASSED for one in self.steps)

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {
            "file": self.file,
            "title": self.title,
            "variant": self.variant,
            "shows": list(self.shows),
            "passed": self.passed,
            "checks": self.checks,
            "seconds": round(self.seconds, 3),
            "problems": list(self.problems),
            "steps": [
                {
                    "line": one.line,
                    "at": one.at,
                    "by": one.by,
                    "step": one.text,
                    "state": one.state,
                    "told": one.told,
                    "problems": list(one.problems),
                }
                for one in self.steps
            ],
        }


@dataclass
class _Run:
    """One scenario on its way."""

    scene: Scene
    steps: list[StepReport] = field(default_factory=list)
    stopped: bool = False


def files_in(paths: Iterable[Path]) -> list[Path]:
    """Return the scenario files among files and folders, in order, each once."""
    found: list[Path] = []
    for path in paths:
        inside = [p for p in sorted(path.rglob("*")) if p.suffix in SUFFIXES] if path.is_dir() else [path]
        found += [one for one in inside if one not in found]
    return found


@contextmanager
def rehearsal(server: str = "", keep: Path | None = None) -> Iterator[Workshop]:
    """Open what rehearsals need: throw-away databases, in a temporary folder, in ``keep``, or on a server.

    Raises:
        NoDatabase: the server does not let us make databases.
    """
    with workshop(_app(), server, keep) as made:
        made.prepare(seed)
        yield made


def _app() -> Flask:
    return cast(Flask, cast(Any, current_app)._get_current_object())


def rehearse_file(shop: Workshop, path: Path) -> list[Report]:
    """Run every scenario of a file; a file that cannot be read gives one report that says why."""
    return _rehearse(shop, str(path), lambda: read_file(path))


def rehearse_source(shop: Workshop, source: bytes, name: str, folder: Path) -> list[Report]:
    """Run every scenario in the bytes of a file (an upload); what it imports must lie in ``folder``."""
    return _rehearse(shop, name, lambda: read_source(source, name, folder))


def _rehearse(shop: Workshop, name: str, read: Callable[[], list[Scenario]]) -> list[Report]:
    try:
        scenarios = read()
    except BadScenario as bad:
        return [Report(name, problems=tuple(map(str, bad.texts())))]
    stage = _Stage(shop)
    return [stage.play(one) for one in scenarios]


class _Stage:
    """Runs the scenarios of one file; those with the same scene start from copies of it."""

    def __init__(self, shop: Workshop) -> None:
        self.shop = shop
        self.sets: list[tuple[Any, str, Scene]] = []

    def play(self, scenario: Scenario) -> Report:
        """Run one scenario on a fresh database. Whatever happens in it becomes part of the report."""
        begun = time.perf_counter()
        head = (scenario.file, scenario.title, scenario.variant, scenario.shows)
        try:
            base, scene = self._set(scenario)
        except SceneError as error:
            told = checks.told(error.cause)
            why = f"{scenario.file}:{error.line}: " + _("this cannot be set up: %(told)s", told=told)
            return Report(*head, problems=(why,))
        except Exception as crash:  # as with a step: told, never hidden, and the other scenarios go on
            log.exception("the scene of a rehearsal failed")
            return Report(*head, problems=(_("The program failed: %(what)s", what=_named(crash)),))
        run = _Run(scene)
        with self.shop.fresh(_database_name(scenario), base) as app, app.app_context():
            for step in scenario.steps:
                run.steps.append(_not_run(step) if run.stopped else _played(run, step))
        count = sum(len(step.expect) for step in scenario.steps)
        return Report(*head, tuple(run.steps), checks=count, seconds=time.perf_counter() - begun)

    def _set(self, scenario: Scenario) -> tuple[str, Scene]:
        key = (scenario.begins, scenario.units, scenario.actors, scenario.customers)
        for known, base, scene in self.sets:
            if known == key:
                return base, scene.copy()
        base = f"{_database_name(scenario)}_scene"
        with self.shop.fresh(base, stays=True) as app, app.app_context():
            scene = set_up(scenario)
        self.sets.append((key, base, scene))
        return base, scene.copy()


_used_names = itertools.count(1)


def _database_name(scenario: Scenario) -> str:
    """Name a database after its scenario; PostgreSQL takes 63 characters, the mark of the run among them."""
    words_of_name = re.sub("[^a-z0-9]+", "_", f"{Path(scenario.file).stem}_{scenario.variant}".lower()).strip("_")
    return f"{words_of_name[:20]}_{next(_used_names)}"


def _named(crash: Exception) -> str:
    return f"{type(crash).__name__}: {crash}"


def _not_run(step: Step) -> StepReport:
    return StepReport(step.place.line, _at(step), _by(step), text_of(step), NOT_RUN)


def _played(run: _Run, step: Step) -> StepReport:
    error: AppError | None = None
    left: acts.Left = {}
    problems: list[str] = []
    try:
        left = acts.do(step, run.scene) if step.verb != words.LOOK else {}
    except AppError as refused:
        error = refused
    except Exception as crash:  # a defect of the suite or a plugin: reported with the step, never as passed
        log.exception("step of a rehearsal failed")
        problems.append(_("The program failed: %(what)s", what=_named(crash)))
    answered = any(one.word in ("refused", "invalid") for one in step.expect)
    if error is not None and not answered:
        problems.append(_("expected to go through, but: %(told)s", told=checks.told(error)))
    run.stopped = bool(problems)
    if not run.stopped:
        problems += _looked(run, step, error, left)
    told = checks.told(error) if error is not None else ""
    state = FAILED if problems else PASSED
    return StepReport(step.place.line, _at(step), _by(step), text_of(step), state, tuple(problems), told)


def _looked(run: _Run, step: Step, error: AppError | None, left: acts.Left) -> list[str]:
    look = checks.Look(step, run.scene, error, left)
    found: list[str] = []
    with clock.frozen(step.at), system_scope("rehearsal", read_only=True):
        for one in step.expect:
            found += [
                _("line %(line)d, %(what)s: %(told)s", line=one.at.line, what=_about(one), told=str(text))
                for text in look.problems(one)
            ]
            session().expire_all()
    return found


def _about(one: Expected) -> str:
    """Name an expectation: its word, its clause and its record."""
    clause = one.wants.get("clause", "")
    return " ".join(part for part in (one.word, str(clause), f"({one.on})" if one.on else "") if part)


def _by(step: Step) -> str:
    return "" if step.verb in (words.LOOK, "tick") else step.by


def _at(step: Step) -> str:
    return checks.said_moment(step.at, step.zone)


def text_of(step: Step) -> str:
    """Return what a step does, in the words of the file."""
    if step.verb == words.LOOK:
        return f"expect ({step.on})" if step.on else "expect"
    about = step.alias if step.verb in ("create", "find") else step.on
    return " ".join(part for part in (step.verb, step.what, f"({about})" if about else "") if part)


def summary(reports: Sequence[Report]) -> tuple[int, int]:
    """Return how many scenarios passed, and how many did not."""
    passed = sum(one.passed for one in reports)
    return passed, len(reports) - passed
