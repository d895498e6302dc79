"""What a regulation says, as data: regulations, clauses and their typed parameters."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l

# Words in both languages: {"zh": ..., "en": ...}. Shown without gettext, as they are data of the rulebook.
Words = Mapping[str, str]
LANGUAGES = ("zh", "en")
NO_WORDS: Words = {}

INFORMATION = "information"
KINDS: Mapping[str, Any] = {
    "deadline": _l("Deadline"),
    "gate": _l("Condition"),
    "fee": _l("Fee"),
    "penalty": _l("Penalty proposal"),
    "schedule": _l("Recurring work"),
    "approval": _l("Approval"),
    "record": _l("Record to keep"),
    "routing": _l("Who gets it"),
    "checklist": _l("Checklist"),
    INFORMATION: _l("Information"),
    "report": _l("Report"),
}
# What a value looks like, and the units and clocks that durations run in (C0-T1, T2).
TYPES = ("int", "decimal", "duration", "choice", "bool", "text", "position")
NUMBERS = ("int", "decimal", "duration")
UNITS = ("minute", "hour", "day", "month", "year")
CLOCKS = ("calendar", "working")


@dataclass(frozen=True)
class Parameter:
    """A number or choice that a unit may set. ``minimum`` and ``maximum`` are inclusive (C0-T8).

    A duration counts ``default`` pieces of ``unit`` by ``clock``; ``calendar`` runs day and night,
    ``working`` in the unit's working hours or days only. No day (0) is the end of the same day.
    """

    name: str
    type: str
    title: Words = field(hash=False)
    default: Any = None
    unit: str = ""
    clock: str = ""
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    choices: Mapping[str, Words] = field(default_factory=dict, hash=False)
    help: Words = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Clause:
    """One rule of a regulation, told in our own words.

    ``responsible`` is a position code, '' where the text names nobody in particular. ``plugin`` is '' for
    the core's clauses. ``on`` tells whether it holds without anybody setting so; ``schema`` is the
    number of the parameters' shape, raised when it changes.
    """

    id: str
    regulation: str
    kind: str
    title: Words = field(hash=False)
    text: Words = field(hash=False)
    priority: int = 3
    responsible: str = ""
    trigger: Words = field(default_factory=dict, hash=False)
    record: Words = field(default_factory=dict, hash=False)
    parameters: tuple[Parameter, ...] = field(default=(), hash=False)
    on: bool = True
    profiles: tuple[str, ...] = ()
    schema: int = 1
    plugin: str = ""

    @property
    def article(self) -> str:
        """The place inside the regulation: ``4.1.3`` of ``R34-4.1.3``."""
        return self.id.partition("-")[2]

    def parameter(self, name: str) -> Parameter:
        """Return the parameter of this name.

        Raises:
            LookupError: the clause has none.
        """
        found = next((one for one in self.parameters if one.name == name), None)
        if found is None:
            raise LookupError(f"clause {self.id} has no parameter {name}")
        return found


@dataclass(frozen=True)
class Regulation:
    """A regulation some company works by: the kind of company, and what it is for, in our own words."""

    id: str
    title: Words = field(hash=False)
    company: Words = field(hash=False)
    purpose: Words = field(hash=False)
    profiles: tuple[str, ...] = ()
    on: bool = True
    plugin: str = ""


@dataclass(frozen=True)
class Rulebook:
    """Every regulation and clause of this deployment, in the order of their ids."""

    regulations: Mapping[str, Regulation]
    clauses: Mapping[str, Clause]

    def in_force(self, enabled: Collection[str]) -> list[Clause]:
        """Return the clauses a unit with these plugins knows; those of plugins that are off are left out."""
        return [one for one in self.clauses.values() if not one.plugin or one.plugin in enabled]

    def clause(self, clause_id: str, enabled: Collection[str]) -> Clause | None:
        """Return a clause a unit with these plugins knows, or None."""
        one = self.clauses.get(clause_id)
        return one if one and (not one.plugin or one.plugin in enabled) else None

    def search(
        self, enabled: Collection[str], words: str = "", kind: str = "", plugin: str | None = None
    ) -> list[Clause]:
        """Return the clauses that contain every word (number, regulation or text, either language).

        ``kind`` '' is any; ``plugin`` None is any and '' the core.
        """
        wanted = _folded(words).split()
        return [
            one
            for one in self.in_force(enabled)
            if (not kind or one.kind == kind)
            and (plugin is None or one.plugin == plugin)
            and all(word in self._searched(one) for word in wanted)
        ]

    def _searched(self, one: Clause) -> str:
        regulation = self.regulations[one.regulation]
        texts = (one.title, one.text, one.trigger, one.record, regulation.title)
        return _folded("\n".join([one.id, *(said for words in texts for said in words.values())]))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def sort_key(clause_id: str) -> tuple[Any, ...]:
    """Sort ``R01-5.2a`` before ``R01-10``: numbers by value, letters by letter."""
    regulation, _, article = clause_id.partition("-")
    pieces = []
    for part in article.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        pieces.append((int(digits) if digits else 10**6, part[len(digits) :]))
    return regulation, pieces
