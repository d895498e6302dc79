"""A newcomer's plugin: written by one command, its contract test passes, and README.md shows it as it is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from core.cli.new_plugin import render

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "plugins" / "README.md"


def run(folder, *words):
    config = folder / "deployment.toml"
    names = '["visits"]' if (folder / "made" / "visits").is_dir() else "[]"
    config.write_text(f'plugins = {names}\nplugin_folders = ["{folder}/made"]\ndata_dir = "{folder}/var"\n')
    env = {
        **os.environ,
        "SHOUHOU_CONFIG": str(config),
        "DATABASE_URL": f"sqlite:///{folder}/x.db",
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run([sys.executable, *words], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)


def test_a_new_plugin_keeps_the_contract(tmp_path):
    (tmp_path / "made").mkdir()
    made = run(tmp_path, "-m", "flask", "plugins", "new", "visits", "--title-zh", "回访", "--title-en", "Visits")
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "made" / "visits" / "migrations" / "0001_first_tables.py").is_file()
    place = str(tmp_path / "made" / "visits" / "tests")
    # A folder of its own: pytest closes the common one to others, and with it the test mail server's.
    own = f"--basetemp={tmp_path / 'inner'}"
    tested = run(tmp_path, "-m", "pytest", "-c", "setup.cfg", "--rootdir", ".", "-p", "tests.fixtures", own, place)
    assert tested.returncode == 0, tested.stdout[-4000:] + tested.stderr[-2000:]
    assert re.search(r"^1\d passed", tested.stdout, re.MULTILINE), tested.stdout
    again = run(tmp_path, "-m", "flask", "plugins", "new", "visits")
    assert again.returncode == 1
    assert "visits is there already" in again.stderr
    _take_away(tmp_path)


def _take_away(folder):
    """Purging waits until no unit works with the plugin, says what goes, and is told when nothing is left."""

    def flask(*words):
        done = run(folder, "-m", "flask", *words)
        return done.returncode, done.stdout + done.stderr

    assert flask("db", "upgrade")[0] == 0
    assert flask("units", "create", "HQ", "总部")[0] == 0
    assert flask("units", "switch-on", "HQ", "visits")[0] == 0
    code, said = flask("db", "purge", "visits", "--yes")
    assert code == 1 and "HQ" in said
    assert flask("units", "switch-off", "HQ", "visits")[0] == 0
    code, said = flask("db", "purge", "visits", "--yes")
    assert code == 0 and "visits_entry" in said
    assert flask("db", "purge", "visits", "--yes")[0] == 1
    code, said = flask("db", "purge", "core", "--yes")
    assert code == 1 and "core_" not in said


@pytest.mark.parametrize("name", ["Two", "a_b", "core", "x", "1a"])
def test_a_bad_name_is_refused(tmp_path, name):
    (tmp_path / "made").mkdir()
    from click import ClickException

    from core.cli.new_plugin import write

    with pytest.raises(ClickException, match="small letters"):
        write(tmp_path / "made", name, "x", "x")
    assert list((tmp_path / "made").iterdir()) == []


def test_the_readme_shows_the_plugin_as_it_is_written():
    shown = dict(
        re.findall(r"^`([\w/.]+)`:\n\n```\w*\n(.*?)```$", README.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    )
    written = render("visits", "回访", "Visits")
    assert set(shown) == {
        "manifest.toml",
        "models.py",
        "services.py",
        "admin.py",
        "plugin.py",
        "tests/test_contract.py",
    }
    for place, text in shown.items():
        assert text == written[place], place
