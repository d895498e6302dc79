"""The menu's groups, in order. A plugin's own category stands between customers and settings."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l

WORK = _l("Workbench")
SERVICE = _l("Service")
CUSTOMERS = _l("Customers")
RULES = _l("Regulations")
SETTINGS = _l("Settings")
CONNECTIONS = _l("Messages and connections")
SYSTEM = _l("System")

_ORDER: dict[int, int] = {
    id(WORK): 0,
    id(SERVICE): 10,
    id(CUSTOMERS): 20,
    id(RULES): 70,
    id(SETTINGS): 80,
    id(CONNECTIONS): 85,
    id(SYSTEM): 90,
}


# From here on the groups hold what is set up once or looked up now and then: folded until wanted.
_FOLDED_FROM = 70


def weight_of(category: Any) -> int:
    """Return where a group stands in the menu."""
    return _ORDER.get(id(category), 50)


def is_folded(category: Any) -> bool:
    """Tell whether a group starts folded, for a menu that shows the daily work without scrolling."""
    return weight_of(category) >= _FOLDED_FROM
