"""Mails as they came and went, kept by their hash before anybody looks into them."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from flask import current_app

from core.kernel.settings import Settings


def folder() -> Path:
    """Return the folder of kept mails."""
    settings: Settings = current_app.extensions["settings"]
    return settings.data_dir / "mails"


def path_of(sha256: str) -> Path:
    """Return where a mail lies."""
    return folder() / sha256[:2] / sha256


def keep(raw: bytes) -> str:
    """Write a mail to the disk and return its hash; the same mail lies there once."""
    digest = hashlib.sha256(raw).hexdigest()
    final = path_of(digest)
    if final.exists():
        return digest
    final.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix="in-", dir=folder())
    try:
        with os.fdopen(handle, "wb") as target:
            target.write(raw)
            target.flush()
            os.fsync(target.fileno())
        os.replace(name, final)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return digest


def read(sha256: str) -> bytes:
    """Return a kept mail; empty where it is gone (its customer was erased)."""
    try:
        return path_of(sha256).read_bytes() if sha256 else b""
    except FileNotFoundError:
        return b""


def drop(sha256: str) -> None:
    """Take a mail off the disk."""
    if sha256:
        path_of(sha256).unlink(missing_ok=True)
