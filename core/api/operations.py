"""What the API offers, as data: every operation with its words, its scope, what it takes and what it answers.

Routes and the OpenAPI document are made from the same list, so neither says what the other does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .reading import Param
from .shapes import Kind, Schema


@dataclass(frozen=True)
class Body:
    """A JSON body. ``schema`` is called when the document is asked for, in the asker's language."""

    schema: Callable[[], Schema]
    needed: bool = True
    example: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Operation:
    """One method on one address under ``/api/v1``.

    ``scope`` is what a token needs ('' for any token). ``answer`` is the shape of what it answers, ``listed`` that
    it answers pages of them. ``versioned``: single resources with an ETag; ``guarded``: takes ``If-Match``.
    ``made``: it creates and answers 201. ``refusable``: may answer 409 with refusals.
    """

    name: str
    method: str
    path: str
    title: Any
    tag: str
    view: Callable[..., Any]
    scope: str = ""
    answer: Kind = None
    listed: bool = False
    params: Sequence[Param] = ()
    body: Body | None = None
    upload: bool = False
    download: bool = False
    versioned: bool = False
    guarded: bool = False
    made: bool = False
    keyed: bool = False
    help: Any = ""
    plugin: str = ""
    # Values of the parts of the path, where they are a fixed list.
    parts: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def writes(self) -> bool:
        return self.method != "GET"
