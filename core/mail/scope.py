"""Whose eyes the mailboxes have: those of one unit, whoever asks."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from contextlib import contextmanager

from flask import current_app

from core.kernel.database import ScopedSession, unit_scope
from core.kernel.i18n import speaking


@contextmanager
def in_unit(unit_id: int, *, read_only: bool = False) -> Iterator[ScopedSession]:
    """Open a session that may do everything in one unit, speaking the deployment's language."""
    locale = current_app.extensions["settings"].default_locale
    with speaking(locale), unit_scope(unit_id, "mail", read_only=read_only) as work:
        yield work


def own_mark() -> str:
    """Return what mails of this deployment carry in X-Shouhou: nobody else can know it."""
    key = str(current_app.extensions["settings"].secret_key).encode()
    return hmac.new(key, b"mails of this deployment", hashlib.sha256).hexdigest()[:24]
