"""The kinds of notices there are: what they are called, where they lead, and how they reach people unless told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _l

INBOX, EMAIL = "inbox", "email"
CHANNELS: Mapping[str, Any] = {INBOX: _l("In the inbox"), EMAIL: _l("By e-mail")}
NOW, DIGEST, OFF, ALWAYS = "now", "digest", "off", "always"
MODES: Mapping[str, Any] = {
    NOW: _l("At once"),
    ALWAYS: _l("At once, in quiet hours too"),
    DIGEST: _l("In the daily digest"),
    OFF: _l("Not at all"),
}
TEST = "test"

_MINE = _l("My work")
_FOLLOWED = _l("What I follow")
_TIME = _l("Time limits and lateness")
_APPROVALS = _l("Approvals")
_RULES = _l("Regulations")
_SYSTEM = _l("System")


@dataclass(frozen=True)
class Kind:
    """One kind of notice.

    ``email``: how it comes by e-mail unless the person or their position says otherwise. ``urgent``: a person may
    let it through their quiet hours. ``robot``: its words in a group's chat; '' where groups are not told.
    ``page``: the end point it leads to instead of its record.
    """

    code: str
    title: Any
    group: Any
    email: str = NOW
    urgent: bool = False
    robot: Any = ""
    page: str = ""

    def modes(self, channel: str) -> tuple[str, ...]:
        """Return how it may reach people by a channel."""
        if channel == INBOX:
            return (NOW, OFF)
        return (NOW, ALWAYS, DIGEST, OFF) if self.urgent else (NOW, DIGEST, OFF)

    def usual(self, channel: str) -> str:
        """Return how it reaches people by a channel where nobody said otherwise."""
        return self.email if channel == EMAIL else NOW


_KINDS: dict[str, Kind] = {}


def declare(*some: Kind) -> None:
    """Make kinds known; a plugin's code begins with its name. Declaring the same code again changes nothing."""
    for one in some:
        _KINDS.setdefault(one.code, one)


declare(
    Kind("assigned", _l("Assigned to you"), _MINE, robot=_l("Assigned")),
    Kind("routed", _l("Passed to your position by a clause"), _MINE, robot=_l("Passed on by a clause")),
    Kind("chased", _l("Customer chased"), _MINE, robot=_l("Customer chased")),
    Kind("customer_reply", _l("The customer has replied"), _MINE, robot=_l("The customer has replied")),
    Kind("mention", _l("You were mentioned"), _MINE),
    Kind("comment", _l("New comment"), _FOLLOWED, DIGEST),
    Kind("changed", _l("A record you follow moved on"), _FOLLOWED, DIGEST),
    Kind("due_soon", _l("A time limit is running out"), _TIME, robot=_l("A time limit is running out")),
    Kind("broken", _l("A time limit was missed"), _TIME, urgent=True, robot=_l("A time limit was missed")),
    Kind(
        "approval.asked",
        _l("Waiting for your approval"),
        _APPROVALS,
        urgent=True,
        robot=_l("Waiting for approval"),
        page="approvals.index",
    ),
    Kind(
        "approval.reminder",
        _l("Still waiting for your approval"),
        _APPROVALS,
        robot=_l("Still waiting for approval"),
        page="approvals.index",
    ),
    Kind(
        "approval.nobody",
        _l("Nobody can decide this; pass it on"),
        _APPROVALS,
        robot=_l("Nobody can decide this; pass it on"),
        page="approvals.nobody",
    ),
    Kind("approval.agreed", _l("Your request was agreed"), _APPROVALS, page="approvals.asked"),
    Kind("approval.rejected", _l("Your request was rejected"), _APPROVALS, page="approvals.asked"),
    Kind("approval.returned", _l("Your request was sent back for more"), _APPROVALS, page="approvals.asked"),
    Kind("approval.withdrawn", _l("A request was withdrawn"), _APPROVALS, DIGEST, page="approvals.index"),
    Kind("penalty.proposed", _l("A penalty proposal names you: you may state your view"), _RULES),
    Kind("penalty.agreed", _l("The penalty proposal about you was agreed to"), _RULES),
    Kind("penalty.dropped", _l("The penalty proposal about you was dropped"), _RULES),
    Kind("penalty.withdrawn", _l("The penalty proposal about you was withdrawn"), _RULES),
    Kind(
        "webhook.off",
        _l("A webhook was switched off because nothing reached it"),
        _SYSTEM,
        page="webhooks.index_view",
    ),
    Kind("clause", _l("Clauses that concern you have changed"), _RULES, DIGEST, page="clause_changes.index"),
)


def kind(code: str) -> Kind:
    """Return a kind; one that nobody declared goes by its code."""
    return _KINDS.get(code) or Kind(code, code, _l("Other notices"))


def kinds() -> list[Kind]:
    """Return every declared kind, in the order of declaration."""
    return list(_KINDS.values())


def title(code: str) -> Any:
    """Name a kind of notice."""
    return _l("Test message") if code == TEST else kind(code).title


def grouped() -> list[tuple[Any, list[Kind]]]:
    """Return the kinds under the headings people know them by."""
    found: dict[Any, list[Kind]] = {}
    for one in kinds():
        found.setdefault(one.group, []).append(one)
    return list(found.items())


def for_robots() -> list[tuple[str, Any]]:
    """Return (code, words) of the kinds that groups may be told."""
    return [(one.code, one.robot) for one in kinds() if one.robot]
