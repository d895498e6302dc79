"""Secrets the deployment must be able to use again: mailbox passwords, robot addresses, signing keys."""

from __future__ import annotations

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken
from flask import current_app


def seal(text: str) -> str:
    """Encrypt a secret under the deployment's key; '' stays ''."""
    return _cipher().encrypt(text.encode()).decode() if text else ""


def unseal(sealed: str) -> str:
    """Return what ``seal`` was given; '' where the key of the deployment is another by now."""
    if not sealed:
        return ""
    try:
        return _cipher().decrypt(sealed.encode()).decode()
    except InvalidToken:
        return ""


def _cipher() -> Fernet:
    # A key of its own, derived: the deployment's key itself wraps the customers' keys.
    given = current_app.extensions["settings"].data_key.encode()
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"shouhou secrets:" + given).digest()))
