"""One-time codes (动态口令) from a phone app, RFC 6238. A code is accepted once."""

from __future__ import annotations

import base64
import hashlib
import io
from typing import TYPE_CHECKING

import pyotp
from flask import current_app

# Imported only where used: cryptography costs each worker seven megabytes.
if TYPE_CHECKING:
    from cryptography.fernet import Fernet

STEP = 30
ISSUER = "Shouhou"


def new_secret() -> str:
    """Return a fresh secret in base 32."""
    return pyotp.random_base32()


def seal(secret: str) -> str:
    """Encrypt a secret for the database."""
    return _box().encrypt(secret.encode()).decode()


def matching_step(sealed: str, code: str, moment: float) -> int | None:
    """Return the time step (seconds // 30) whose code this is, one step of drift allowed, or None.

    The caller refuses a step that is not later than the last one used.
    """
    from cryptography.fernet import InvalidToken

    try:
        secret = _box().decrypt(sealed.encode()).decode()
    except InvalidToken:
        return None
    return step_of(secret, code, moment)


def step_of(secret: str, code: str, moment: float) -> int | None:
    """The same for a secret in clear, as during enrolment."""
    digits = code.strip().replace(" ", "")
    if not (digits.isascii() and digits.isdigit() and len(digits) == 6):
        return None
    generator = pyotp.TOTP(secret)
    now = int(moment) // STEP
    found = [
        step for step in (now - 1, now, now + 1) if pyotp.utils.strings_equal(generator.generate_otp(step), digits)
    ]
    return max(found) if found else None


def qr_svg(secret: str, username: str) -> bytes:
    """Draw the enrolment code for an authenticator app."""
    import segno  # a tenth of a second that every start would pay

    address = pyotp.TOTP(secret).provisioning_uri(name=username, issuer_name=ISSUER)
    out = io.BytesIO()
    segno.make(address, error="m").save(out, kind="svg", scale=5, border=2, dark="#111", light="#fff")
    return out.getvalue()


def _box() -> Fernet:
    from cryptography.fernet import Fernet

    key = current_app.extensions["settings"].data_key.encode()
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"one-time codes:" + key).digest()))
