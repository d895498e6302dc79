"""Rules of the code base that no linter knows."""

from __future__ import annotations

import ast
import configparser
import tomllib
from pathlib import Path

import pytest

from core import models
from core.kernel.database import Base, UnitScoped
from core.units.services import KINDS

ROOT = Path(__file__).resolve().parents[1]
CORE = sorted((ROOT / "core").rglob("*.py"))
PLUGINS = [p for p in sorted((ROOT / "plugins").rglob("*.py")) if "tests" not in p.parts]


def calls(path, name):
    tree = ast.parse(path.read_text("utf-8"))
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name
    ]


def imports(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def test_only_transaction_commits():
    """A commit elsewhere would end somebody's transaction in the middle of their action."""
    found = {path.relative_to(ROOT).as_posix() for path in [*CORE, *PLUGINS] if calls(path, "commit")}
    assert found == {"core/kernel/database.py"}
    outside = [
        line for line in calls(ROOT / "core/kernel/database.py", "commit") if line not in lines_of("transaction")
    ]
    assert outside == []


def lines_of(function):
    """The lines of a function of the database module."""
    tree = ast.parse((ROOT / "core/kernel/database.py").read_text("utf-8"))
    found = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == function)
    return range(found.lineno, found.end_lineno + 1)


def test_every_table_is_scoped_or_says_why_not():
    """No scope, no data: a table reached without a unit is a decision, written down beside it."""
    models.load()
    silent = [
        mapper.class_.__name__
        for mapper in Base.registry.mappers
        if not issubclass(mapper.class_, UnitScoped) and len(mapper.class_.__global__.split()) < 3
    ]
    both = [
        m.class_.__name__ for m in Base.registry.mappers if m.class_.__global__ and issubclass(m.class_, UnitScoped)
    ]
    mapped = {m.local_table.name for m in Base.registry.mappers}
    assert (silent, both) == ([], [])
    assert set(Base.metadata.tables) <= mapped, "a table without a class passes the scope by"


def test_hooks_are_declared_without_specname_or_history():
    """Both would call implementations outside the unit's switches (the loader refuses them in plugins, too)."""
    found = []
    for path in [*CORE, *PLUGINS]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.keyword) and node.arg in ("specname", "historic", "hookwrapper", "wrapper"):
                found.append(f"{path.relative_to(ROOT)}:{node.value.lineno} {node.arg}")
    assert found == []


def test_raw_sql_stays_in_the_kernel():
    """Everything else is filtered by unit on its way to the database."""
    found = []
    for path in [*CORE, *PLUGINS]:
        if "kernel" in path.parts or "migrations" in path.parts:
            continue
        found += [
            f"{path.relative_to(ROOT)}:{line} {name}" for name, line in imports(path) if name == "sqlalchemy.text"
        ]
    # Partial indexes are the one use of text() outside: a condition, not a statement.
    assert [one for one in found if not one.split(":")[0].endswith("models.py")] == []


def test_services_know_no_screen():
    banned = ("flask_admin", "wtforms", "flask_wtf", "flask.request", "flask.g", "core.web", "core.admin")
    rooms = ("units", "users", "customers", "records", "rules", "cases")
    found = []
    for path in [*CORE, *PLUGINS]:
        parts = path.relative_to(ROOT).parts
        inner = parts[0] == "core" and len(parts) > 2 and parts[1] in rooms
        if inner or (
            parts[0] == "plugins" and path.name in ("services.py", "models.py", "rules.py", "workflow.py")
        ):
            found += [f"{'/'.join(parts)}:{line} {name}" for name, line in imports(path) if name.startswith(banned)]
    assert found == []


def test_what_others_call_says_what_it_does():
    """Units, shapes, errors and clauses stand in the docstrings of services; screens are read on the screen."""
    rooms = ("kernel", "units", "users", "customers", "records", "rules", "cases", "jobs")
    services = [p for p in CORE if p.relative_to(ROOT).parts[1] in rooms]
    services += [p for p in PLUGINS if p.name in ("services.py", "rules.py")]
    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in services
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert silent == []


def test_the_core_names_no_plugin():
    # A hotel and a store are kinds of units as well; that word means no plugin.
    kinds = {code for code, _label in KINDS}
    plugins = [tomllib.loads(p.read_text("utf-8"))["name"] for p in (ROOT / "plugins").glob("*/manifest.toml")]
    names = [name for name in plugins if name not in kinds]
    found = []
    for path in CORE:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in names:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.value}")
    assert names and found == []


def test_import_rules_allow_exactly_the_declared_dependencies():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    allowed = set(config["importlinter:contract:plugins-apart"]["ignore_imports"].split("\n")) - {""}
    declared = set()
    for path in sorted((ROOT / "plugins").glob("*/manifest.toml")):
        data = tomllib.loads(path.read_text("utf-8"))
        for need in [*data.get("depends", []), *data.get("uses", [])]:
            declared.add(f"plugins.{data['name']}.** -> plugins.{need}.services")
            # Tests set their scene up with those of the plugin below.
            declared.add(f"plugins.{data['name']}.tests.** -> plugins.{need}.**")
    assert allowed == declared


@pytest.mark.parametrize("path", sorted((ROOT / "deployments").glob("*.toml")), ids=lambda p: p.name)
def test_deployments_list_plugins_that_are_there(path):
    data = tomllib.loads(path.read_text("utf-8"))
    present = {p.parent.name for p in (ROOT / "plugins").glob("*/manifest.toml")}
    assert set(data.get("plugins", ())) <= present


def test_words_for_people_stand_outside_f_strings():
    """What collects the strings for translation does not look into f-strings."""
    words = {"_", "_l", "gettext", "lazy_gettext", "ngettext", "pgettext"}
    found = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in [*CORE, *PLUGINS]
        for text in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(text, ast.JoinedStr)
        for call in ast.walk(text)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in words
    ]
    assert not found
