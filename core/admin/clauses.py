"""How screens speak of clauses: links to them, and values with their units."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from flask import current_app, g
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from markupsafe import Markup, escape

from core.kernel.i18n import current_locale
from core.rules.clauses import Clause, Parameter, Words
from core.rules.rulebook import current_rulebook

from .urls import page_url
from .views import enabled_plugins, may_here

VIEW = "rules.view"
HOWS: Mapping[str, Any] = {
    "gate": _l("Checked before the step"),
    "field": _l("Asked for in the form"),
    "setting": _l("Set for the unit"),
}
_COUNTED: Mapping[tuple[str, str], Callable[[int], str]] = {
    ("minute", "calendar"): lambda n: str(ngettext("%(num)d minute", "%(num)d minutes", n)),
    ("minute", "working"): lambda n: str(ngettext("%(num)d working minute", "%(num)d working minutes", n)),
    ("hour", "calendar"): lambda n: str(ngettext("%(num)d hour", "%(num)d hours", n)),
    ("hour", "working"): lambda n: str(ngettext("%(num)d working hour", "%(num)d working hours", n)),
    ("day", "calendar"): lambda n: str(ngettext("%(num)d calendar day", "%(num)d calendar days", n)),
    ("day", "working"): lambda n: str(ngettext("%(num)d working day", "%(num)d working days", n)),
    ("week", "calendar"): lambda n: str(ngettext("%(num)d week", "%(num)d weeks", n)),
    ("week", "working"): lambda n: str(ngettext("%(num)d working week", "%(num)d working weeks", n)),
    ("month", "calendar"): lambda n: str(ngettext("%(num)d month", "%(num)d months", n)),
    ("year", "calendar"): lambda n: str(ngettext("%(num)d year", "%(num)d years", n)),
}


def said(words: Words) -> str:
    """Return the rulebook's words in the reader's language, '' where there are none."""
    return words.get(current_locale()) or words.get("zh", "")


def known_clause(clause_id: str) -> Clause | None:
    """Return the clause if its regulation is installed and its plugin is on in the current unit."""
    return current_rulebook().clause(clause_id, enabled_plugins())


def clause_title(clause_id: str) -> str:
    """Return the short title of a clause, '' where it is not known here."""
    clause = known_clause(clause_id)
    return said(clause.title) if clause else ""


def draw_clause(clause_id: str, named: bool = False, apart: bool = False) -> Markup:
    """Draw the number of a clause as a link to its page; plain where there is none for this reader.

    ``named`` writes the short title after the number, else it is the tooltip. ``apart`` opens the page
    beside the present one, where a half-filled form would be lost.
    """
    if not clause_id:
        return Markup("")
    if getattr(g, "unit", None) is None:
        return Markup('<span class="clause">{}</span>').format(clause_id)
    title = clause_title(clause_id)
    url = page_url("regulations.clause", clause_id=clause_id) if title and may_here(VIEW) else ""
    inner = Markup("{} {}").format(clause_id, title) if named and title else escape(clause_id)
    if not url:
        return Markup('<span class="clause" title="{}">{}</span>').format(title, inner)
    beside = Markup(' target="_blank" rel="noopener"') if apart else ""
    return Markup('<a class="clause" href="{}" title="{}"{}>{}</a>').format(url, title, beside, inner)


def plugin_title(name: str) -> str:
    """Return a plugin's name for people; the core's clauses belong to the basic functions."""
    if not name:
        return _("Basic functions")
    found = current_app.extensions["plugins"].get(name)
    return found.title(current_locale()) if found else name


def value_words(one: Parameter, positions: Mapping[str, str]) -> str:
    """Say a parameter's default with its unit, as people would; ``positions`` gives their titles by code."""
    if one.type == "duration":
        return duration_words(one.default, one.unit, one.clock)
    if one.type == "bool":
        return _("Yes") if one.default else _("No")
    if one.type == "choice":
        return said(one.choices[one.default])
    if one.type == "position":
        return positions.get(one.default, "—")
    if one.default == "":
        return "—"
    return f"{one.default} {one.unit}".rstrip()


def duration_words(number: int, unit: str, clock: str) -> str:
    """Say a length of time: ``4 working hours``; no day is the same day."""
    if unit == "day" and number == 0:
        return _("the same day")
    return _COUNTED[unit, clock](number)


def frozen_words(one: Parameter, value: Any, positions: Mapping[str, str]) -> str:
    """Say a value that an obligation froze (JSON) as ``value_words`` says a default."""
    if value is None:
        return "—"
    number = Decimal(str(value)) if one.type == "duration" else value
    return value_words(replace(one, default=int(number) if one.type == "duration" else value), positions)


def bounds_words(one: Parameter) -> str:
    """Say between what a parameter may be set, or which choices there are."""
    if one.type == "choice":
        return "、".join(said(words) for words in one.choices.values())
    if one.minimum is not None and one.maximum is not None:
        return f"{one.minimum}–{one.maximum}"
    if one.minimum is not None:
        return _("at least %(number)s", number=one.minimum)
    return _("at most %(number)s", number=one.maximum) if one.maximum is not None else ""
