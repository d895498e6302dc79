"""1,000 service records: typeset alone, and issued (number, PDF in the store, timeline, register of seals)."""

from __future__ import annotations

import time
from collections.abc import Iterator

from core.cases.services import register_case
from core.documents.services import form_of, issue, typeset
from core.users.permissions import all_permissions
from tests.casework import INTAKE
from tests.helpers import in_scope

from .scene import Scene


def measure(place: Scene, count: int) -> Iterator[str]:
    """Yield a line each for the print, the second print of a selection as one PDF, and the issue."""
    codes = [one.code for one in all_permissions()]
    with in_scope(place.unit_id, codes) as work:
        ids = [register_case(place.unit_id, {**INTAKE, "description": f"第{n}台报E1故障"}).id for n in range(count)]
        first = issue("case_record", ids[0], "zh", "https://service.example.cn")
        form, data = form_of("case_record"), dict(first.data)
        start = time.perf_counter()
        for number in range(count):
            head = {**data["head"], "number": f"WD-{number}"}
            typeset(form, "zh", [{"head": head, "data": {**data["data"], "serial": f"SN-{number}"}}])
        yield _line(f"{count:,} PDFs set", time.perf_counter() - start, count)
        start = time.perf_counter()
        for one in ids:
            issue("case_record", one, "zh", "https://service.example.cn")
        yield _line(f"{count:,} documents issued", time.perf_counter() - start, count)
        start = time.perf_counter()
        content = typeset(form, "zh", [data] * count)
        line = _line(f"{count:,} prints as one PDF", time.perf_counter() - start, count)
        yield f"{line}, {len(content) / 1e6:.1f} MB"
        work.rollback()


def _line(what: str, seconds: float, count: int) -> str:
    return f"{what:<46}{seconds / count * 1000:>10.1f} ms each"
