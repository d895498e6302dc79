"""Typesetting: a typst template and data make a PDF. The data is passed in, never written into the source."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import current_app

from core.kernel.errors import AppError
from core.kernel.settings import ROOT, Settings

SHARED = ROOT / "templates" / "print"


class NotPrintable(AppError):
    """The document cannot be printed as it is; the text says which character or part is at fault."""

    status = 422
    code = "not_printable"


def compile_pdf(template: Path, data: Mapping[str, Any]) -> bytes:
    """Make a PDF of ``template`` (a typst file) with ``data`` as ``sys.inputs.data`` (JSON text).

    ``template`` may import ``/print/frame.typ`` (the house's frame: head, foot, seal, QR, language).
    """
    return bytes(
        _compiler(template).compile(format="pdf", sys_inputs={"data": json.dumps(data, ensure_ascii=False)})
    )


@lru_cache(maxsize=64)
def _compiler(template: Path) -> Any:
    import typst

    return typst.Compiler(
        str(template), root=str(ROOT), font_paths=[str(p) for p in _fonts()], ignore_system_fonts=True
    )


def _fonts() -> list[Path]:
    settings: Settings = current_app.extensions["settings"]
    if settings.print_fonts:
        return [Path(settings.print_fonts)]
    import importlib.resources

    return [Path(str(importlib.resources.files("pylopdf_fonts_zh_cn")))]
