"""Whose eyes the mailboxes have: those of one unit, whoever asks."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from contextlib import contextmanager

from flask import current_app
from flask_babel import force_locale

from core.kernel.database import ScopedSession, opened_scope
from core.kernel.i18n import LOCALES
from core.kernel.scope import Scope
from core.users.permissions import all_permissions


@contextmanager
def in_unit(unit_id: int, actor_id: int | None = None, *, read_only: bool = False) -> Iterator[ScopedSession]:
    """Open a session that reaches one unit and may do everything there, speaking the deployment's language."""
    own = frozenset({unit_id})
    allowed = {unit_id: frozenset(one.code for one in all_permissions())}
    scope = Scope(actor_id=actor_id, read=own, write=own, reason="mail", permissions=allowed)
    settings = current_app.extensions["settings"]
    with (
        opened_scope(scope, mode="read" if read_only else "write") as work,
        force_locale(LOCALES.get(settings.default_locale, LOCALES["zh"])),
    ):
        yield work


def own_mark() -> str:
    """Return what mails of this deployment carry in X-Shouhou: nobody else can know it."""
    key = str(current_app.extensions["settings"].secret_key).encode()
    return hmac.new(key, b"mails of this deployment", hashlib.sha256).hexdigest()[:24]
