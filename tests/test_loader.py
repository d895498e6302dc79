"""Loading: a deployment starts with all its plugins or not at all, and says why not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core import hookspecs
from core.kernel.loader import load
from core.kernel.manifest import PluginError
from tests.plugin_folders import write_plugin

HOOK = "from core.hookspecs import hookimpl\n"
ROOT = Path(__file__).resolve().parents[1]


def problems(folder, *wanted):
    with pytest.raises(PluginError) as caught:
        load([folder], wanted, hookspecs)
    return [str(one) for one in caught.value.problems]


def test_plugins_are_loaded_in_the_order_of_their_dependencies(tmp_path):
    second = write_plugin(tmp_path, HOOK + "@hookimpl\ndef list_columns(list_name): return [2]\n")
    first = write_plugin(
        tmp_path, HOOK + "@hookimpl\ndef list_columns(list_name): return [1]\n", name="alast", depends=(second,)
    )
    installed = load([tmp_path], (first, second), hookspecs)
    assert [one.name for one in installed.plugins] == [second, first]
    answers = installed.registry.bind(frozenset({first, second})).list_columns(list_name="x")
    assert answers == [(second, [2]), (first, [1])]


def test_a_failing_import_is_reported_with_plugin_cause_and_place(tmp_path):
    one = write_plugin(tmp_path, "\nimport nowhere_at_all\n")
    two = write_plugin(tmp_path, "1 / 0\n")
    assert problems(tmp_path, one, two) == [
        f"plugin {one} cannot be loaded: ModuleNotFoundError: No module named 'nowhere_at_all' (plugin.py:2)",
        f"plugin {two} cannot be loaded: ZeroDivisionError: division by zero (plugin.py:1)",
    ]


def test_a_broken_models_module_is_reported_too(tmp_path):
    name = write_plugin(tmp_path, "", models="raise ValueError('no table')\n")
    assert problems(tmp_path, name) == [f"plugin {name} cannot be loaded: ValueError: no table (models.py:1)"]


def test_a_hook_that_does_not_exist_is_refused(tmp_path):
    name = write_plugin(tmp_path, HOOK + "@hookimpl\ndef record_panel(record): return []\n")
    assert "record_panel" in problems(tmp_path, name)[0]


def test_an_argument_that_does_not_exist_is_refused(tmp_path):
    name = write_plugin(tmp_path, HOOK + "@hookimpl\ndef record_panels(case): return []\n")
    assert name in problems(tmp_path, name)[0]


@pytest.mark.parametrize("marker", ["specname='record_panels'", "wrapper=True", "hookwrapper=True"])
def test_what_escapes_the_switches_is_refused(tmp_path, marker):
    name = write_plugin(tmp_path, HOOK + f"@hookimpl({marker})\ndef list_columns(): yield\n")
    assert "specname and wrappers are not allowed" in problems(tmp_path, name)[0]


def run_flask(tmp_path, plugins, *words):
    config = tmp_path / "deployment.toml"
    names = ", ".join(f'"{one}"' for one in plugins)
    config.write_text(f'plugins = [{names}]\nplugin_folders = ["{tmp_path}"]\ndata_dir = "{tmp_path}/var"\n')
    env = {
        **os.environ,
        "SHOUHOU_CONFIG": str(config),
        "DATABASE_URL": f"sqlite:///{tmp_path}/x.db",
        "SHOUHOU_LOCALE": "en",
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.run(
        [sys.executable, "-m", "flask", *words], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )


def test_status_works_when_the_application_cannot_start(tmp_path):
    broken = write_plugin(tmp_path, "import nowhere_at_all\n")
    lonely = write_plugin(tmp_path, "", depends=("missing",))
    ran = run_flask(tmp_path, [broken, lonely], "plugins", "status")
    assert ran.returncode == 1
    assert broken in ran.stdout and lonely in ran.stdout
    assert f"{lonely} needs missing, which is not there" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_other_commands_say_why_without_a_traceback(tmp_path):
    broken = write_plugin(tmp_path, "import nowhere_at_all\n")
    ran = run_flask(tmp_path, [broken], "db", "status")
    assert ran.returncode == 1
    assert f"plugin {broken} cannot be loaded" in ran.stderr
    assert "Traceback" not in ran.stderr
