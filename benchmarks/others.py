"""Import, hook dispatch, cold start and memory."""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

from core import hookspecs
from core.kernel import exporting, importing
from core.kernel.database import system_scope, transaction
from core.kernel.hooks import Registry, hookimpl

from . import seed
from .scene import Scene

# The peak comes from /proc: what getrusage says of a child includes the parent it was forked from.
START = """
import time
start = time.perf_counter()
from core.app import create_app
app = create_app({overrides!r})
page = app.test_client().get("/sign-in")
assert page.status_code == 200
seconds = time.perf_counter() - start
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(seconds, int(peak.split()[1]) / 1024)
"""


def imported(place: Scene, count: int) -> tuple[float, float]:
    """Import ``count`` customers from a CSV file; return rows a second and how much the memory grew (MB)."""
    path = place.folder / "customers.csv"
    _write_customers(path, count)
    with place.app.app_context(), system_scope("benchmark"):
        with transaction(), path.open("rb") as source:
            run = importing.stage("customers", place.unit_id, source, path.name)
        before = peak_memory(anew=True)
        start = time.perf_counter()
        importing.check(run)
        importing.set_choices(run, default=importing.CREATE)
        done = importing.confirm(run.id)
        seconds = time.perf_counter() - start
    if done.counts.get("created", count) < count * 0.99:
        raise RuntimeError(f"only {done.counts} of {count} were written")
    return count / seconds, peak_memory() - before


def exported(count: int, file_type: str) -> tuple[float, float]:
    """Write ``count`` rows of ten columns to a file; return rows a second and how much the memory grew (MB)."""
    rows = (
        [f"C{n:07d}", f"客户{n}", "个人", "13812345678", "浙江省杭州市", n, n, n, "", "x"] for n in range(count)
    )
    with tempfile.TemporaryDirectory() as folder:
        before = peak_memory(anew=True)
        start = time.perf_counter()
        exporting.write([f"列{n}" for n in range(10)], rows, file_type, Path(folder) / "rows")
        return count / (time.perf_counter() - start), peak_memory() - before


def peak_memory(anew: bool = False) -> float:
    """Return the most memory this process has held (MB), ``anew``: from now on (Linux)."""
    if anew:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1024


def _write_customers(path: Path, count: int) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        out = csv.writer(file)
        out.writerow(["客户编号", "客户名称", "类型", "联系人", "电话", "地址"])
        for i in range(1, count + 1):
            address = f"浙江省杭州市西湖区文三路{i}号"
            name = seed.customer_name(i)
            out.writerow([f"C{i:06d}", f"{name}{i}", "个人", name, seed.customer_phone(i), address])


def dispatch(plugins: int = 20, rounds: int = 20_000) -> float:
    """Return the microseconds of one hook call with ``plugins`` enabled implementations."""
    registry = Registry(hookspecs)
    for n in range(plugins):
        plugin = ModuleType(f"p{n}")
        plugin.record_panels = hookimpl(lambda record: [])  # type: ignore[attr-defined]
        registry.register(f"p{n}", plugin)
    hooks = registry.bind(frozenset(f"p{n}" for n in range(plugins)))
    record = SimpleNamespace()
    start = time.perf_counter()
    for _ in range(rounds):
        hooks.record_panels(record=record)
    return (time.perf_counter() - start) / rounds * 1e6


def started(place: Scene) -> tuple[float, float]:
    """Return seconds from a bare interpreter to the first page, and the memory of that process (MB)."""
    overrides = {"database": place.url, "data_dir": str(place.folder), "secret_key": "bench"}
    code = START.format(overrides=overrides)
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        for _ in range(3)
    ]
    return min(float(r[0]) for r in runs), min(float(r[1]) for r in runs)
