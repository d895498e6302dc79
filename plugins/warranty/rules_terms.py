"""The clauses about terms: services carry them out whenever the cover of an item is asked for or changed."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from core.sdk import Rule, ServiceRule

_MENU = _l("Warranty and fees")
_LOOKUP = (_MENU, _l("Warranty look-up"))
_TERMS, _EVENTS = "warranty.cover", "warranty.events"


def _term(clause: str, does: str) -> ServiceRule:
    return ServiceRule(clause=clause, does=does, place=_TERMS, words=_LOOKUP)


def _event(clause: str, words: tuple[object, ...]) -> ServiceRule:
    return ServiceRule(clause=clause, does="fee", place=_EVENTS, words=words)


RULES: list[Rule] = [
    _term("R07-3.1", "deadline"),
    _term("R22-2.8a", "deadline"),
    _term("R22-2.8b", "deadline"),
    _term("R22-2.8c", "fee"),
    _term("R22-4.3", "deadline"),
    _term("R23-3.1.1", "fee"),
    _term("R23-3.1.2", "fee"),
    _term("SB-1", "fee"),
    _term("SB-2", "fee"),
    _term("SB-3", "deadline"),
    _term("SB-4", "deadline"),
    _term("SB-5", "fee"),
    _event("R07-7.1", (_l("Case"), _l("Finish"))),
    _event("R22-1.W4", (_l("Case"), _l("Record a replaced part"))),
    _event("R22-1.W6b", (_l("Case"), _l("Extend after a failed last service"))),
    _event("SB-6", (_l("Case"), _l("Finish"))),
    _event("SB-7", (_l("Case"), _l("Record an exchange"))),
]
