"""``make bench``: prints what was measured, as ratios against the floor of the same run.

``python -m benchmarks --sizes 10000,100000,1000000`` for the long run; ``--databases sqlite`` for one database.
"""

from __future__ import annotations

import argparse

from core.kernel import exporting

from . import (
    agents,
    api,
    clocks,
    compliance,
    documents,
    hotel,
    lists,
    notices,
    obligations,
    others,
    outbox,
    over_http,
    quoting,
    replay,
    tools,
    warranty,
)
from .scene import postgres_answers, scene


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="10000,100000")
    parser.add_argument("--databases", default="sqlite,postgresql")
    parser.add_argument("--creates", type=int, default=400)
    parser.add_argument("--import-rows", type=int, default=100_000)
    parser.add_argument("--export-rows", type=int, default=1_000_000, help="rows of ten columns in a file")
    parser.add_argument("--recomputed", type=int, default=100_000, help="cases whose obligations are recomputed")
    parser.add_argument("--obligations", type=int, default=1_000_000, help="obligations under the compliance page")
    parser.add_argument("--replayed", type=int, default=100_000, help="cases of the year that is replayed")
    parser.add_argument("--notices", type=int, default=10_000, help="notices taken up and mailed")
    parser.add_argument("--documents", type=int, default=1000, help="service records that are printed")
    parser.add_argument("--messages", type=int, default=2000, help="messages of the outbox")
    parser.add_argument("--settled", type=int, default=100_000, help="lines of a month that is settled")
    parser.add_argument("--tools", type=int, default=100_000, help="tools, each of which changed hands ten times")
    parser.add_argument("--inspections", type=int, default=200_000, help="inspections of a hotel's year")
    parser.add_argument("--small", action="store_true", help="tools, hotel: a hundredth of that only")
    parser.add_argument(
        "--only",
        default="create,api,lists,import,export,start,hooks,clocks,steps,obligations,compliance,replay,notices,documents,outbox,warranty,quoting,agents,tools,hotel",
    )
    args = parser.parse_args()
    parts = set(args.only.split(","))
    if "clocks" in parts:
        for what, rate in clocks.measure():
            print(f"{what:<46}{rate:>10,.0f} a second", flush=True)
        parts.discard("clocks")
    if "warranty" in parts:
        for what, rate in warranty.coverage_lines():
            print(f"{what:<46}{rate:>10,.0f} a second", flush=True)
    if "quoting" in parts:
        show([quoting.worked_out()])
    if "export" in parts:
        for file_type in exporting.FILE_TYPES:
            rate, grown = others.exported(args.export_rows, file_type)
            what = f"export of {args.export_rows:,} rows, {file_type}"
            print(f"{what:<46}{rate:>10,.0f} rows a second, +{grown:.0f} MB", flush=True)
        parts.discard("export")
    if not parts:
        return
    for kind in args.databases.split(","):
        if kind == "postgresql" and not postgres_answers():
            print("postgresql: skipped, no server answers")
            continue
        print(f"\n== {kind}", flush=True)
        run(kind, args, parts)
    if "hooks" in parts:
        print(f"\nhook dispatch, 20 plugins{others.dispatch():>36.1f} µs")


def run(kind: str, args: argparse.Namespace, parts: set[str]) -> None:
    if "create" in parts:
        with scene(kind) as place:
            show(over_http.measure(place, args.creates))
    if "lists" in parts:
        for size in args.sizes.split(","):
            with scene(kind) as place:
                show(lists.measure(place, int(size)))
    if "api" in parts:
        for size in args.sizes.split(","):
            with scene(kind) as place:
                show(api.measure(place, args.creates, int(size)))
    if "steps" in parts:
        with scene(kind) as place:
            for line in obligations.performed(place):
                print(line, flush=True)
    if "obligations" in parts:
        with scene(kind) as place:
            for line in obligations.recomputed(place, args.recomputed):
                print(line, flush=True)
    if "import" in parts:
        with scene(kind) as place:
            rate, grown = others.imported(place, args.import_rows)
            what = f"import of {args.import_rows:,} customers"
            print(f"{what:<46}{rate:>10,.0f} rows a second, memory +{grown:.0f} MB")
    if "start" in parts:
        with scene(kind) as place:
            seconds, memory = others.started(place)
            print(f"{'cold start to the first page':<46}{seconds:>10.2f} s, {memory:.0f} MB")
    if "compliance" in parts:
        with scene(kind) as place:
            show(compliance.measure(place, args.obligations))
    if "notices" in parts:
        with scene(kind) as place:
            show(notices.measure(place, args.notices))
    if "documents" in parts:
        with scene(kind) as place:
            for line in documents.measure(place, args.documents):
                print(line, flush=True)
    if "outbox" in parts:
        with scene(kind) as place:
            show(outbox.measure(place, args.messages))
    if "warranty" in parts:
        with scene(kind) as place:
            show(warranty.measure(place))
    if "quoting" in parts:
        with scene(kind) as place:
            show(quoting.measure(place))
    if "agents" in parts:
        with scene(kind) as place:
            for line in agents.measure(place, args.settled, agents=500):
                print(line, flush=True)
    if "tools" in parts:
        for size in (args.tools // 100,) if args.small else (args.tools // 100, args.tools):
            with scene(kind) as place:
                show(list(tools.measure(place, size)))
    if "hotel" in parts:
        for size in (args.inspections // 100,) if args.small else (args.inspections // 100, args.inspections):
            with scene(kind) as place:
                show(list(hotel.measure(place, size)))
    if "replay" in parts:
        with scene(kind) as place:
            seconds, raw, grown = replay.measure(place, args.replayed)
            what = f"replay of a year of {args.replayed:,} cases"
            print(f"{what:<46}{seconds:>10.1f}{raw:>10.1f} s, memory +{grown:.0f} MB")


def show(rows: list[tuple[str, float, float, str]]) -> None:
    """Print rows; a rate counts the other way round than a time."""
    for what, ours, floor, unit in rows:
        ratio = f"{ours / floor:>8.2f} x floor" + ("'s rate" if unit == "a second" else "")
        print(f"{what:<46}{ours:>10.1f}{floor:>10.1f} {unit:<9}{ratio}", flush=True)


if __name__ == "__main__":
    main()
