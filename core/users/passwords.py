"""Passwords: hashing, and the few rules that help."""

from __future__ import annotations

from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask_babel import lazy_gettext as _l

MIN_LENGTH = 10
MAX_LENGTH = 200
# 19 MB, two passes, one lane: the smallest setting OWASP recommends. The default takes 64 MB for each sign-in.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# The hash of a forgotten random text, verified when the user is unknown, so that both cases take the same time.
_NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$crFq7V3GYmY9iTPgaVFGsg$xZ9EAIuaD9JNqi9+gF6mnwAZBpv+T3L6ao9I9pacqq0"
_COMMON_WORDS = """
    1234567890 12345678910 0123456789 0987654321 1111111111 0000000000 8888888888 6666666666 1122334455 1234554321
    password12 password123 password1234 passw0rd123 qwertyuiop qwerty1234 qwerty12345 1q2w3e4r5t 1qaz2wsx3edc
    asdfghjkl1 abc1234567 abcd123456 abc123456789 a123456789 aa123456789 woaini1314 woaini520520 woaini5201314
    5201314520 administrator admin12345 admin123456 admin1234567 iloveyou12 letmein1234 welcome123 welcome1234
    shouhou123 shouhou1234 shouhou2026 changeme123 zxcvbnm123 q123456789 qq123456789 147258369a 1472583690
"""
_COMMON = frozenset(_COMMON_WORDS.split())


def hash_password(password: str) -> str:
    """Return an argon2id hash."""
    return _hasher.hash(password)


def matches(stored: str, password: str) -> bool:
    """Compare in constant time; an empty or broken hash takes as long and matches nothing."""
    try:
        return _hasher.verify(stored or _NOBODY, password) and bool(stored)
    except (VerificationError, InvalidHashError):
        return False


def problem(password: str, username: str) -> Any | None:
    """Return why ``password`` is not good enough for this user, or None."""
    if len(password) < MIN_LENGTH:
        return _l("At least %(count)d characters", count=MIN_LENGTH)
    if len(password) > MAX_LENGTH:
        return _l("At most %(count)d characters", count=MAX_LENGTH)
    folded = password.casefold()
    name = username.casefold()
    if folded == name or (len(name) >= 4 and folded.replace(name, "").isdigit()):
        return _l("The password must not be the user name")
    if folded in _COMMON or len(set(folded)) < 4:
        return _l("This password is too easy to guess")
    return None
