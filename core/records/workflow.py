"""Workflows are data: states with a category, named transitions, and guards that name their clause."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from flask_babel import lazy_gettext as _l

from core.kernel.fields import Choices, Field

if TYPE_CHECKING:
    from .engine import Step

RESUME = "@resume"  # target: the state that the pause interrupted


@dataclass(frozen=True)
class State:
    """A state of a workflow. ``fallback``: where a record goes when the plugin that added it is off."""

    code: str
    label: Any
    category: str
    fallback: str = ""


@dataclass(frozen=True)
class FactKind:
    """A kind of fact. ``rank`` orders facts of the same moment.

    ``enterable``: staff may enter it by itself, without a transition. ``backdatable``: its time
    may lie before the time of entry. ``propagates``: link roles along which it is mirrored. ``words`` names
    what its data says beside the fields of forms, as (key, label, choices); without a label only machines read it.
    """

    code: str
    label: Any
    rank: int = 50
    enterable: bool = False
    backdatable: bool = True
    visible_to_customer: bool = False
    propagates: tuple[str, ...] = ()
    words: tuple[tuple[str, Any, Choices], ...] = ()


# What staff may do with a record of any type.
SHARED_KINDS = (
    FactKind("comment", _l("Comment"), 95),
    FactKind("stage", _l("Stage set"), 95),
    FactKind("attachment", _l("File added"), 96),
    FactKind("excused", _l("Lateness excused"), 97),
    FactKind("excuse_lifted", _l("Excuse taken back"), 97),
    FactKind("terms_released", _l("New terms of a clause applied"), 97),
)


NOT_CONCERNED = "not_concerned"


@dataclass(frozen=True)
class Guard:
    """A condition of a transition. ``check`` answers the reason for refusing, or None.

    ``code`` NOT_CONCERNED: the step has nothing to do with such a record; pages fold it away.

    It is asked both before the form is filled (``step.values`` is empty) and when performing;
    a guard that looks at the form sets ``needs_form``.
    """

    code: str
    check: Callable[[Step], Any]
    clause: str = ""
    needs_form: bool = False


@dataclass(frozen=True)
class Transition:
    """A named step. ``target`` None keeps the state; ``RESUME`` goes back to the interrupted one.

    ``kept`` names the form values written into the fact (never personal data); ``note`` the one
    that becomes the fact's note. ``apply`` writes to the record's details.
    """

    name: str
    label: Any
    sources: frozenset[str]
    target: str | None
    permission: str
    fact: str
    fields: tuple[Field, ...] = ()
    guards: tuple[Guard, ...] = ()
    apply: Callable[[Step], None] | None = None
    kept: tuple[str, ...] = ()
    note: str = ""
    tone: str = ""
    help: Any = ""
    assignee_may: bool = False
    # Not for an assignee who may not see cases (``sees_inside``): somebody of another company.
    inside: bool = False
    weight: int = 50


@dataclass(frozen=True)
class Workflow:
    """All states, transitions and fact kinds of a record type."""

    initial: str
    states: Mapping[str, State]
    transitions: Mapping[str, Transition]
    fact_kinds: Mapping[str, FactKind]


@dataclass(frozen=True)
class WorkflowExtension:
    """What a plugin adds to a record type: states, edges and guards. It never removes edges.

    Codes of added states and transitions are qualified by the plugin's name (``PLUGIN:state``). ``sources`` names
    steps there are already that may be taken from an added state too.
    """

    record_type: str
    states: Sequence[State] = ()
    transitions: Sequence[Transition] = ()
    fact_kinds: Sequence[FactKind] = ()
    guards: Mapping[str, Sequence[Guard]] = field(default_factory=dict)
    sources: Mapping[str, frozenset[str]] = field(default_factory=dict)


def make_workflow(
    initial: str, states: Sequence[State], transitions: Sequence[Transition], fact_kinds: Sequence[FactKind]
) -> Workflow:
    """Build a workflow and check that every name it uses exists.

    Raises:
        ValueError: listing every dangling state or fact kind.
    """
    flow = Workflow(
        initial,
        {s.code: s for s in states},
        {t.name: t for t in transitions},
        {k.code: k for k in fact_kinds},
    )
    problems = _dangling(flow)
    if problems:
        raise ValueError("workflow: " + "; ".join(problems))
    return flow


def _dangling(flow: Workflow) -> list[str]:
    problems = [] if flow.initial in flow.states else [f"unknown initial state {flow.initial}"]
    for t in flow.transitions.values():
        named = [*t.sources, *([t.target] if t.target and t.target != RESUME else [])]
        problems += [f"{t.name}: unknown state {code}" for code in named if code not in flow.states]
        if t.fact not in flow.fact_kinds:
            problems.append(f"{t.name}: unknown fact kind {t.fact}")
    return problems


def extend(flow: Workflow, plugin: str, extension: WorkflowExtension) -> Workflow:
    """Return ``flow`` with a plugin's additions.

    Raises:
        ValueError: a code that is not qualified, replaces one there is, or lacks a fallback.
    """
    prefix = f"{plugin}:"
    added = [*(s.code for s in extension.states), *(t.name for t in extension.transitions)]
    problems = [f"{code} must begin with {prefix}" for code in added if not code.startswith(prefix)]
    problems += [f"{s.code} needs a fallback state" for s in extension.states if s.fallback not in flow.states]
    problems += [
        f"guard for unknown transition {name}" for name in extension.guards if name not in flow.transitions
    ]
    own = {s.code for s in extension.states}
    problems += [
        f"{name} cannot begin in {', '.join(sorted(states))}"
        for name, states in extension.sources.items()
        if name not in flow.transitions or not states <= own
    ]
    if problems:
        raise ValueError(f"plugin {plugin}: " + "; ".join(problems))
    transitions = {t.name: t for t in [*flow.transitions.values(), *extension.transitions]}
    for name, states in extension.sources.items():
        transitions[name] = replace(transitions[name], sources=transitions[name].sources | states)
    for name, guards in extension.guards.items():
        transitions[name] = replace(transitions[name], guards=(*transitions[name].guards, *guards))
    return make_workflow(
        flow.initial,
        [*flow.states.values(), *extension.states],
        list(transitions.values()),
        [*flow.fact_kinds.values(), *extension.fact_kinds],
    )
