"""Manifests: everything wrong with the plugins is said at once, before any of their code runs."""

from __future__ import annotations

import pytest

from core.kernel.manifest import PluginError, discover, plan

GOOD = """
name = "{name}"
version = "1.0"
core = ">=1.0,<2"
depends = {depends}
[title]
zh = "插件"
en = "Plugin"
"""


def write(folder, name, text=None, depends=()):
    place = folder / name
    place.mkdir()
    listed = "[" + ", ".join(f'"{one}"' for one in depends) + "]"
    (place / "manifest.toml").write_text(text or GOOD.format(name=name, depends=listed), "utf-8")
    # Reading a manifest must not import the plugin: importing this one would fail.
    (place / "plugin.py").write_text("raise RuntimeError('imported')")


def planned(folder, *wanted, core="1.0.0"):
    found, problems = discover([folder])
    assert not problems, [str(p) for p in problems]
    return [one.name for one in plan(found, wanted, core)]


def reasons(folder, *wanted, core="1.0.0"):
    with pytest.raises(PluginError) as caught:
        planned(folder, *wanted, core=core)
    return [str(one) for one in caught.value.problems]


def test_dependencies_come_first_and_ties_go_by_name(tmp_path):
    write(tmp_path, "zoo")
    write(tmp_path, "base")
    write(tmp_path, "agents", depends=["zoo"])
    write(tmp_path, "bills", depends=["base"])
    assert planned(tmp_path, "bills", "agents", "zoo", "base") == ["base", "bills", "zoo", "agents"]


def test_a_missing_dependency_is_named(tmp_path):
    write(tmp_path, "warranty", depends=["products", "agents"])
    write(tmp_path, "agents")
    assert reasons(tmp_path, "warranty") == [
        "warranty needs products, which is not there",
        "warranty needs agents, which the configuration does not list",
    ]


def test_a_cycle_names_its_members(tmp_path):
    write(tmp_path, "a1", depends=["b1"])
    write(tmp_path, "b1", depends=["c1"])
    write(tmp_path, "c1", depends=["a1"])
    write(tmp_path, "d1", depends=["a1"])
    assert reasons(tmp_path, "a1", "b1", "c1", "d1") == [
        "these plugins depend on each other in a circle: a1 -> b1 -> c1 -> a1"
    ]


def test_all_problems_come_in_one_message(tmp_path):
    write(tmp_path, "a1", depends=["gone"])
    assert reasons(tmp_path, "a1", "a1", "nowhere", core="2.0") == [
        "the configuration names a1 twice",
        "the configuration names nowhere, which is not there",
        "a1 needs core >=1.0,<2, but this is 2.0",
        "a1 needs gone, which is not there",
    ]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a1", "name = ", "cannot be read"),
        ("a1", GOOD.format(name="a1", depends="[]").replace('zh = "插件"', ""), "title.zh is missing"),
        ("a_b", GOOD.format(name="a_b", depends="[]"), "small letters and digits, without underscore"),
        ("core", GOOD.format(name="core", depends="[]"), "small letters and digits"),
        ("a1", GOOD.format(name="b1", depends="[]"), "the folder must be called b1"),
        ("a1", GOOD.format(name="a1", depends='"b1"'), "depends must be a list"),
        ("a1", GOOD.format(name="a1", depends="[1]"), "depends must be a list of names"),
        ("a1", GOOD.format(name="a1", depends="[]").replace('"1.0"', '"new"'), "version is not a valid version"),
        ("a1", GOOD.format(name="a1", depends="[]").replace(">=1.0", "about 1"), "core is not a valid version"),
        ("a1", "surprise = 1\n" + GOOD.format(name="a1", depends="[]"), "surprise is not known"),
    ],
)
def test_a_bad_manifest_is_refused_with_its_reason(tmp_path, name, text, expected):
    write(tmp_path, name, text)
    found, problems = discover([tmp_path])
    assert not found
    assert expected in " ".join(str(one) for one in problems)


def test_the_same_plugin_in_two_folders_is_refused(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, "a1")
    _, problems = discover([tmp_path / "one", tmp_path / "two"])
    assert "a1 is there twice" in str(problems[0])
