"""Which rules there are: the core's own and those of the installed plugins, checked once at start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeVar, cast

from flask import current_app
from flask_babel import lazy_gettext as _l

from core.kernel.manifest import PluginError
from core.records.types import record_types, words_of

from .clauses import Clause, Rulebook
from .clocks import DAYS, MONTH, WEEK, YEAR
from .kinds import ApprovalRule, DeadlineRule, GateRule, PenaltyRule, RecordRule, RoutingRule, Rule, ScheduleRule

EXTENSION = "rules"
# Units of an interval at which work may recur.
RECURRING = (DAYS, WEEK, MONTH, YEAR)
# Recurring work about more subjects at a time would hold up everything else that time brings about.
MOST_SUBJECTS = 5000
R = TypeVar("R", bound=Rule)


@dataclass(frozen=True)
class Registry:
    """All rules of this deployment, in the order they were declared."""

    rules: tuple[Rule, ...]

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    @lru_cache(maxsize=512)  # noqa: B019 - one registry lives as long as its application
    def of(self, kind: type[R], enabled: frozenset[str]) -> tuple[R, ...]:
        """Return the rules of one class where these plugins are on; the core's always are."""
        return tuple(
            one for one in self.rules if isinstance(one, kind) and (not one.plugin or one.plugin in enabled)
        )

    @lru_cache(maxsize=512)  # noqa: B019
    def deadlines(self, record_type: str, enabled: frozenset[str]) -> tuple[DeadlineRule, ...]:
        """Return the deadline rules of a record type where these plugins are on."""
        return tuple(one for one in self.of(DeadlineRule, enabled) if one.record_type == record_type)

    def for_clause(self, clause: str) -> tuple[Rule, ...]:
        """Return the rules bound to a clause."""
        return tuple(one for one in self.rules if one.clause == clause)


def current_rules() -> Registry:
    """Return the rules of the running application."""
    return cast(Registry, current_app.extensions[EXTENSION])


def build(declared: Iterable[tuple[str, Rule]], book: Rulebook) -> Registry:
    """Bind rules to their plugins and check them against the rulebook and the workflows.

    Raises:
        PluginError: with every mistake, each naming plugin and clause.
    """
    rules = tuple(replace(one, plugin=plugin) for plugin, one in declared)
    problems = [
        _l("%(file)s: %(why)s", file=f"{one.plugin or 'core'} {one.clause}", why=why)
        for one in rules
        for why in _problems(one, book)
    ]
    if problems:
        raise PluginError(problems)
    return Registry(rules)


def _problems(rule: Rule, book: Rulebook) -> list[Any]:
    clause = book.clauses.get(rule.clause)
    if clause is None:
        return [_l("the rulebook has no such clause")]
    wrong: list[Any] = []
    if clause.plugin != rule.plugin:
        wrong.append(_l("the clause belongs to another plugin"))
    names = {one.name for one in clause.parameters}
    wrong += [
        _l("the clause has no parameter %(name)s", name=name) for name in _parameters(rule) if name not in names
    ]
    if isinstance(rule, ApprovalRule) and not (rule.position or rule.position_from):
        wrong.append(_l("the rule does not say which position decides"))
    wrong += _endless(rule, clause)
    wrong += _odd_work(rule)
    wrong += _unknown_facts(rule)
    wrong += _unknown_steps(rule)
    return wrong


def _parameters(rule: Rule) -> list[str]:
    if isinstance(rule, DeadlineRule):
        return [*([] if rule.term else [rule.limit]), *([rule.target] if rule.target else [])]
    if isinstance(rule, PenaltyRule):
        return [name for name in (rule.amount, rule.least, rule.most, rule.per_day, rule.cap) if name]
    if isinstance(rule, ScheduleRule):
        return [rule.interval]
    if isinstance(rule, ApprovalRule):
        return [rule.position_from] if rule.position_from else []
    return []


def _endless(rule: Rule, clause: Clause) -> list[Any]:
    """Work recurs by whole days at least, and after some time."""
    found = {one.name: one for one in clause.parameters}.get(getattr(rule, "interval", ""))
    if found is None or (found.unit in RECURRING and (found.minimum or 0) >= 1):
        return []
    return [_l("the parameter %(name)s must be one day or more", name=found.name)]


def _odd_work(rule: Rule) -> list[Any]:
    """Recurring work that makes another record than a task says of which type, and that type has what it takes."""
    if not isinstance(rule, ScheduleRule):
        return []
    if bool(rule.makes) != (rule.make is not None):
        return [_l("“makes” and “make” go together")]
    wrong: list[Any] = []
    if not 1 <= rule.most <= MOST_SUBJECTS:
        wrong.append(_l("“most” must be from 1 to %(count)d", count=MOST_SUBJECTS))
    if not rule.makes:
        return wrong
    kind = {one.code: one for one in record_types()}.get(rule.makes)
    if kind is None:
        return [*wrong, _l("there is no record type %(name)s", name=rule.makes)]
    missing = [name for name in ("clause", "starts_on", "due_on") if not hasattr(kind.detail, name)]
    return wrong + [_l("the record type has no field %(name)s", name=name) for name in missing]


def _unknown_facts(rule: Rule) -> list[Any]:
    if not isinstance(rule, DeadlineRule):
        return []
    if rule.record_type not in {one.code for one in record_types()}:
        return [_l("there is no record type %(name)s", name=rule.record_type)]
    known = words_of(rule.record_type).fact_kinds
    return [_l("there is no kind of fact %(name)s", name=name) for name in sorted(rule.fact_kinds - known.keys())]


def _unknown_steps(rule: Rule) -> list[Any]:
    """A gate may also guard what a service names; record and routing rules name a step of a workflow."""
    if not isinstance(rule, RecordRule | RoutingRule | GateRule | ApprovalRule):
        return []
    type_code, _, step = rule.step.partition(".")
    types: Mapping[str, Any] = {one.code: one for one in record_types()}
    if type_code not in types:
        return [] if isinstance(rule, GateRule) else [_l("there is no record type %(name)s", name=type_code)]
    if step != "register" and step not in words_of(type_code).transitions:
        return [_l("there is no step %(name)s", name=rule.step)]
    return []
