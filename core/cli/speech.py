"""What commands share: errors of services as a line of text and an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from core.kernel.errors import AppError, InvalidData


@contextmanager
def spoken() -> Iterator[None]:
    """Turn an ``AppError`` into a ClickException that says what to do."""
    try:
        yield
    except InvalidData as bad:
        texts = [f"{name}: {text}" for name, found in bad.errors.items() for text in found]
        raise click.ClickException("; ".join(texts)) from bad
    except AppError as error:
        raise click.ClickException("; ".join(map(str, error.texts()))) from error
