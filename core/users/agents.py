"""What a browser calls itself, in the words its owner knows it by."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l

# The first that fits wins: most browsers also claim to be Chrome and Safari.
_BROWSERS: tuple[tuple[str, Any], ...] = (
    ("wxwork", _l("WeCom")),
    ("MicroMessenger", _l("WeChat")),
    ("DingTalk", _l("DingTalk")),
    ("Edg", "Edge"),
    ("HuaweiBrowser", _l("Huawei Browser")),
    ("MiuiBrowser", _l("Mi Browser")),
    ("UCBrowser", "UC"),
    ("QQBrowser", _l("QQ Browser")),
    ("OPR/", "Opera"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("Chrome", "Chrome"),
    ("CriOS", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    ("HarmonyOS", "HarmonyOS"),
    ("OpenHarmony", "HarmonyOS"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


def device_name(agent: str) -> str:
    """Return "Chrome · Windows" for a User-Agent; its own first word if nothing is known, '' for ''."""
    found = [_first(_BROWSERS, agent), _first(_SYSTEMS, agent)]
    return " · ".join(str(part) for part in found if part) or agent.partition(" ")[0][:40]


def _first(known: tuple[tuple[str, Any], ...], agent: str) -> Any:
    return next((name for mark, name in known if mark in agent), "")
