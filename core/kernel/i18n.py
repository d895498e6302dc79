"""Languages: which one a request speaks, and the catalogues of core and plugins."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import flask_babel
from flask import Flask, g, has_request_context, session
from flask_babel import Babel, Domain
from flask_babel.speaklater import LazyString
from markupsafe import escape

LOCALES = {"zh": "zh_Hans_CN", "en": "en"}
_spoken: ContextVar[str] = ContextVar("shouhou_spoken", default="")


def _escaped(text: LazyString) -> str:
    """A lazy string is text like any other: flask-babel would let what it was filled with into a page as it is."""
    return str(escape(str(text)))


LazyString.__html__ = _escaped


class _Domain(Domain):
    """Finds the catalogue of a request once, not again for each of its hundreds of strings."""

    def get_translations(self) -> Any:
        context = g.get("_flask_babel") if g else None
        held = getattr(context, "catalogue", None)
        # The language may change within a context (force_locale), so it is compared.
        if held is not None and held[0] is getattr(context, "babel_locale", None):
            return held[1]
        found = super().get_translations()
        if g:
            g._flask_babel.catalogue = (g._flask_babel.babel_locale, found)
        return found


class _Babel(Babel):
    """flask-babel makes a new Domain, and so reads every catalogue again, in each request; ours is kept."""

    _kept: Domain = _Domain(domain="messages")

    @property
    def domain_instance(self) -> Domain:
        return self._kept


def init_app(app: Flask, folder: Path, default: str = "zh") -> None:
    """Attach flask-babel with the core's ``translations`` folder; ``add_folders`` brings the plugins'."""
    app.config["BABEL_DEFAULT_LOCALE"] = LOCALES[default]
    app.config["BABEL_TRANSLATION_DIRECTORIES"] = str(folder)
    _Babel._kept = _Domain(domain="messages")
    _Babel(app, locale_selector=lambda: LOCALES[current_locale(default)], timezone_selector=_timezone)
    # flask-babel looks its domain up anew, in three steps, for every one of a page's hundreds of strings.
    flask_babel.get_domain = lambda: _Babel._kept
    add_folders(app, [folder])


def add_folders(app: Flask, folders: Iterable[Path]) -> None:
    """Add the ``translations`` folders that exist; missing and stale .mo files are compiled first."""
    directories = app.extensions["babel"].translation_directories
    for folder in folders:
        if folder.is_dir():
            compile_stale(folder)
        if folder.is_dir() and str(folder) not in directories:
            directories.append(str(folder))
    _Babel._kept.cache.clear()


def current_locale(default: str = "zh") -> str:
    """Return ``zh`` or ``en``: the user's own choice, else the session's, else the deployment's default.

    A door that lets each request choose puts its choice into ``g.locale``. The browser's wish is not asked: Chinese
    comes first, and English is one click away on every page.
    """
    if _spoken.get():
        return _spoken.get()
    own = (g.get("locale") or getattr(g.get("actor"), "locale", "")) if g else ""
    if own in LOCALES:
        return str(own)
    if not has_request_context():
        return _of_terminal(default)
    if session.get("locale") in LOCALES:
        return str(session["locale"])
    return default


@contextmanager
def speaking(locale: str) -> Iterator[None]:
    """Speak ``zh`` or ``en`` inside the block, in every session opened in it too, whoever acts."""
    token = _spoken.set(locale if locale in LOCALES else "zh")
    try:
        with flask_babel.force_locale(LOCALES[_spoken.get()]):
            yield
    finally:
        _spoken.reset(token)


def _of_terminal(default: str) -> str:
    """Commands speak SHOUHOU_LOCALE; the language of the machine says little about its operator."""
    named = os.environ.get("SHOUHOU_LOCALE", "")
    return named if named in LOCALES else default


def _timezone() -> str | None:
    return getattr(getattr(g, "unit", None), "timezone", None) if g else None


def compile_stale(folder: Path) -> None:
    """Compile every .po whose .mo is missing or older. A read-only installation is left as it is."""
    for source in folder.glob("*/LC_MESSAGES/messages.po"):
        target = source.with_suffix(".mo")
        if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
            continue
        if os.access(source.parent, os.W_OK):
            _compile(source, target)


def _compile(source: Path, target: Path) -> None:
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    with source.open("rb") as text:
        catalogue = read_po(text, locale=source.parent.parent.name)
    # Several processes may start at once: each writes its own file and renames it into place.
    scratch = target.with_suffix(f".mo.{os.getpid()}")
    with scratch.open("wb") as out:
        write_mo(out, catalogue)
    scratch.replace(target)
