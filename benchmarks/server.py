"""Serves our app or the floor with the same server, for measurements over HTTP: ``python -m benchmarks.server``."""

from __future__ import annotations

import gc
import logging
import sys

from waitress import serve


def main(which: str, url: str, port: str, folder: str) -> None:
    if which == "floor":
        from benchmarks.floor import create_floor

        app = create_floor(url)
    else:
        from core.app import create_app

        app = create_app({"environment": "development", "database": url, "data_dir": folder})
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    # As wsgi.py does.
    gc.collect()
    gc.freeze()
    serve(app, host="127.0.0.1", port=int(port), threads=8, _quiet=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
