"""``flask units``: the first units of a deployment and their switches."""

from __future__ import annotations

from flask import Flask

from core.units import switches


def run(app: Flask, *words: str) -> tuple[int, str]:
    done = app.test_cli_runner().invoke(args=["units", *words])
    return done.exit_code, done.output


def names(app: Flask) -> list[str]:
    """The installed plugins, dependencies first."""
    with app.app_context():
        return [one.name for one in switches.installed().plugins]


def test_a_deployment_starts_with_a_root_and_its_children(app: Flask) -> None:
    assert run(app, "create", "HQ", "总部")[0] == 0
    assert run(app, "create", "S1", "城西店", "--kind", "store", "--parent", "HQ")[0] == 0
    code, listed = run(app, "list")
    assert code == 0
    assert [line.split()[0] for line in listed.splitlines()] == ["HQ", "S1"]
    assert listed.splitlines()[1].startswith("  S1")


def test_bad_input_is_told_and_changes_nothing(app: Flask) -> None:
    run(app, "create", "HQ", "总部")
    for words in (
        ("create", "HQ", "again"),
        ("create", "a b", "x"),
        ("create", "X", "x", "--parent", "NONE"),
        ("create", "X", "x", "--kind", "castle"),
        ("switch-on", "HQ", "nothing"),
    ):
        code, said = run(app, *words)
        assert code != 0, words
        assert said.strip(), words
    assert len(run(app, "list")[1].splitlines()) == 1


def test_switching_a_plugin(app: Flask) -> None:
    run(app, "create", "HQ", "总部")
    for name in names(app):
        assert run(app, "switch-on", "HQ", name, "--with-dependencies")[0] == 0
        assert name in run(app, "list")[1]
    for name in reversed(names(app)):
        assert run(app, "switch-off", "HQ", name, "--yes")[0] == 0
        assert name not in run(app, "list")[1].splitlines()[0].split("  ")[-1]
