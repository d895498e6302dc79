"""``flask up``: a fresh directory becomes a running suite, and stops gracefully."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from core.cli.serve import lan_address, qr_text

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(folder):
    config = folder / "deployment.toml"
    config.write_text(f'plugins = []\ndata_dir = "{folder}/var"\n')
    return {**os.environ, "SHOUHOU_CONFIG": str(config), "DATABASE_URL": f"sqlite:///{folder}/x.db"}


def start(folder, port, *words):
    command = [sys.executable, "-m", "flask", *words, "--port", str(port)]
    with (folder / "log").open("w") as log:
        return subprocess.Popen(command, cwd=ROOT, env=environment(folder), stdout=log, stderr=subprocess.STDOUT)


def wait_until_ready(running, port, folder):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if running.poll() is not None:
            pytest.fail((folder / "log").read_text())
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2).status
        except OSError:
            time.sleep(0.1)
    running.kill()
    return pytest.fail("not ready after a minute: " + (folder / "log").read_text())


def test_serving_and_stopping_gracefully(tmp_path, free_port):
    upgrade = [sys.executable, "-m", "flask", "db", "upgrade"]
    subprocess.run(upgrade, cwd=ROOT, env=environment(tmp_path), check=True, timeout=60)
    running = start(tmp_path, free_port, "serve")
    try:
        assert wait_until_ready(running, free_port, tmp_path) == 200
        running.send_signal(signal.SIGTERM)
        assert running.wait(20) == 0
    finally:
        running.kill()
    assert "stopped" in (tmp_path / "log").read_text()


def test_a_taken_port_is_said_in_one_line(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        running = start(tmp_path, taken.getsockname()[1], "serve")
        assert running.wait(60) == 1
    log = (tmp_path / "log").read_text()
    assert "cannot listen on 127.0.0.1" in log
    assert "Traceback" not in log


def test_the_local_address_comes_as_text_and_qr():
    assert re.fullmatch(r"\d+(\.\d+){3}", lan_address())
    assert len(qr_text("http://192.0.2.7:8000").splitlines()) > 10
