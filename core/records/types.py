"""The registry of record types, and the workflow each has for a set of enabled plugins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from core.kernel.fields import Field

from .models import Record
from .workflow import SHARED_KINDS, State, Workflow, WorkflowExtension, extend


@dataclass(frozen=True)
class RecordType:
    """A kind of record. ``prefix`` begins its numbers; ``detail`` is the model with its own fields.

    ``search_text`` answers the words the record is found by; ``plugin`` is '' for the core's own. ``register`` is
    the service that creates one from the form ``intake`` (unit id, input): rehearsals use it. ``files`` is the
    permission to open its files, where seeing the record is not enough. ``readers`` are permissions of which the
    unit's staff need one to read such a record, where seeing cases is not enough; without one a person reads
    those that ``concerns`` (record, user id) says are their own business.
    """

    code: str
    title: Any
    prefix: str
    detail: type[Any]
    workflow: Workflow
    search_text: Callable[[Record, Any], str] | None = None
    plugin: str = ""
    intake: tuple[Field, ...] = ()
    register: Callable[[int, Mapping[str, Any]], Record] | None = None
    files: str = ""
    readers: tuple[str, ...] = ()
    concerns: Callable[[Record, int], bool] | None = None


_types: dict[str, RecordType] = {}
_extensions: list[tuple[str, WorkflowExtension]] = []


def register_type(kind: RecordType) -> None:
    """Register a record type; the same code twice is an error unless it is the same object.

    Raises:
        ValueError: the code is taken, or a plugin's code does not begin with its name.
    """
    if _types.get(kind.code, kind) is not kind:
        raise ValueError(f"record type {kind.code} is registered twice")
    if kind.plugin and not kind.code.startswith(kind.plugin):
        raise ValueError(f"record type {kind.code} must begin with {kind.plugin}")
    _types[kind.code] = kind
    workflow_of.cache_clear()
    mirrored_roles.cache_clear()


def register_extensions(extensions: Iterable[tuple[str, WorkflowExtension]]) -> None:
    """Set the plugins' workflow extensions, as (plugin, extension); checked at once."""
    _extensions[:] = extensions
    workflow_of.cache_clear()
    mirrored_roles.cache_clear()
    everyone = frozenset(plugin for plugin, _ in _extensions)
    for code in _types:
        workflow_of(code, everyone)


def record_type(code: str) -> RecordType | None:
    """Return the type, or None when its plugin is not installed (its records stay readable)."""
    return _types.get(code)


def record_types() -> list[RecordType]:
    """Return all registered types, the core's first."""
    return list(_types.values())


@lru_cache(maxsize=256)
def workflow_of(code: str, enabled: frozenset[str]) -> Workflow:
    """Return the workflow of a type as a unit with these plugins has it.

    States of disabled plugins stay known (a record may still stand in one); their edges do not.
    """
    flow = _with_shared_kinds(_types[code].workflow)
    for plugin, extension in _extensions:
        if extension.record_type != code:
            continue
        if plugin in enabled:
            flow = extend(flow, plugin, extension)
        else:
            known = WorkflowExtension(code, states=extension.states, fact_kinds=extension.fact_kinds)
            flow = extend(flow, plugin, known)
    return flow


def _with_shared_kinds(flow: Workflow) -> Workflow:
    """Add the kinds that comments, stages and files need, where a type does not bring its own."""
    return replace(flow, fact_kinds={**{kind.code: kind for kind in SHARED_KINDS}, **flow.fact_kinds})


@lru_cache(maxsize=1)
def mirrored_roles() -> frozenset[str]:
    """Return the link roles along which any kind of fact is mirrored."""
    kinds = [kind for one in _types.values() for kind in one.workflow.fact_kinds.values()]
    kinds += [kind for _, extension in _extensions for kind in extension.fact_kinds]
    return frozenset(role for kind in kinds for role in kind.propagates)


def words_of(code: str) -> Workflow:
    """Return a type's workflow with what every installed plugin adds: for putting old records into words."""
    return workflow_of(code, frozenset(plugin for plugin, _ in _extensions))


def known_states(code: str) -> Mapping[str, State]:
    """Return every state of a type, those of disabled plugins too; none for a type that is not installed."""
    return workflow_of(code, frozenset()).states if code in _types else {}
