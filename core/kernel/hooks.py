"""Hooks: who is asked what. pluggy registers and checks the implementations; the calls are ours.

pluggy's own call loses the owner of each result and stops at the first error. We walk the implementations it holds:
results carry their plugin's name, soft hooks are caught one by one, and a call with 20 plugins takes a few
microseconds.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

import pluggy
from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from .database import access_mode, session
from .extensions import Unavailable
from .manifest import PluginError

PROJECT = "shouhou"
hookimpl = pluggy.HookimplMarker(PROJECT)
_hookspec = pluggy.HookspecMarker(PROJECT)
Kind = Literal["declared", "hard", "soft"]
F = TypeVar("F", bound=Callable[..., Any])
Results = list[tuple[str, Any]]
log = logging.getLogger(__name__)


def _marker(kind: Kind) -> Callable[[F], F]:
    def mark(spec: F) -> F:
        spec.hook_kind = kind  # type: ignore[attr-defined]
        return _hookspec(spec)

    return mark


# declared: asked once at start. hard: an error stops the action. soft: an error leaves one thing out of a page.
declared, hard, soft = _marker("declared"), _marker("hard"), _marker("soft")


class Hooks:
    """The hooks of one set of enabled plugins. ``hooks.record_panels(record=r)`` -> [(plugin, result), ...]."""

    def __init__(self, callers: dict[str, Callable[..., Results]]) -> None:
        self.__dict__.update(callers)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Callable[..., Results]: ...


class Registry:
    """All registered plugins, in dependency order, and the cached bindings for sets of them."""

    def __init__(self, specs: ModuleType) -> None:
        self.manager = pluggy.PluginManager(PROJECT)
        self.manager.add_hookspecs(specs)
        self.order: list[str] = []
        self.calls: Counter[str] = Counter()
        self._bound: dict[frozenset[str], Hooks] = {}

    def register(self, name: str, module: object) -> None:
        """Register a plugin's hook implementations.

        Raises:
            ValueError: it uses ``specname`` or a wrapper, which we forbid: both escape the unit's switches.
        """
        for attribute in dir(module):
            options = self.manager.parse_hookimpl_opts(module, attribute)
            if options and (options["specname"] or options["wrapper"] or options["hookwrapper"]):
                raise ValueError(f"{attribute}: specname and wrappers are not allowed")
        self.manager.register(module, name)
        self.order.append(name)
        self._bound.clear()

    def specs(self) -> dict[str, tuple[Kind, tuple[str, ...]]]:
        """Return every hook with its kind and exact argument names."""
        found = {}
        for name, caller in sorted(vars(self.manager.hook).items()):
            if isinstance(caller, pluggy.HookCaller) and caller.spec:
                found[name] = (cast(Any, caller.spec.function).hook_kind, tuple(caller.spec.argnames))
        return found

    def ask_once(self, name: str) -> Results:
        """Ask every installed plugin a ``declared`` hook; results are flattened to (plugin, item).

        Raises:
            PluginError: naming every plugin that failed, with the cause.
        """
        self.calls[name] += 1
        found: Results = []
        problems = []
        for plugin, call, _ in self._implementations(name):
            try:
                found += [(plugin, item) for item in call() or ()]
            except Exception as error:  # whatever it is, the start stops with the plugin's name
                problems.append(f"{plugin}: {name}(): {type(error).__name__}: {error}")
        if problems:
            raise PluginError(problems)
        return found

    def bind(self, enabled: frozenset[str]) -> Hooks:
        """Return the hooks of these plugins; equal sets share one binding."""
        known = self._bound.get(enabled)
        if known is None:
            asked = {name: spec for name, spec in self.specs().items() if spec[0] != "declared"}
            known = Hooks({name: self._caller(name, *spec, enabled) for name, spec in asked.items()})
            self._bound[enabled] = known
        return known

    def _implementations(self, name: str) -> list[tuple[str, Callable[..., Any], tuple[str, ...]]]:
        found = getattr(self.manager.hook, name).get_hookimpls()
        return sorted(
            ((impl.plugin_name, impl.function, impl.argnames) for impl in found),
            key=lambda i: self.order.index(i[0]),
        )

    def _caller(
        self, name: str, kind: Kind, argnames: Sequence[str], enabled: frozenset[str]
    ) -> Callable[..., Results]:
        chosen = tuple(one for one in self._implementations(name) if one[0] in enabled)
        expected = set(argnames)
        calls = self.calls
        run = _run_hard if kind == "hard" else _run_soft

        def call(**given: Any) -> Results:
            if given.keys() != expected:
                raise TypeError(f"hook {name} takes exactly {', '.join(argnames)}")
            calls[name] += 1
            return run(name, chosen, given) if chosen else []

        return call


_Chosen = Sequence[tuple[str, Callable[..., Any], tuple[str, ...]]]


def _run_hard(_name: str, chosen: _Chosen, given: dict[str, Any]) -> Results:
    results = []
    for plugin, function, wanted in chosen:
        result = function(*[given[w] for w in wanted])
        if result is not None:
            results.append((plugin, result))
    return results


def _run_soft(name: str, chosen: _Chosen, given: dict[str, Any]) -> Results:
    results: Results = []
    for plugin, function, wanted in chosen:
        try:
            result = function(*[given[w] for w in wanted])
        except Exception as error:  # whatever a panel does wrong must not take the page away
            log.exception("hook %s of plugin %s failed", name, plugin)
            _recover(error)
            result = Unavailable(plugin, name)
        if result is not None:
            results.append((plugin, result))
    return results


def _recover(error: Exception) -> None:
    """After a failed statement PostgreSQL refuses all others: a GET can roll back, a half-done write must stop."""
    if not isinstance(error, SQLAlchemyError):
        return
    if access_mode.get() != "read":
        raise error
    session().rollback()


def hooks_for(enabled: frozenset[str]) -> Hooks:
    """Return the hooks of a set of enabled plugins of this application; the set is read anew in each request."""
    return cast(Registry, current_app.extensions["plugins"].registry).bind(enabled)
