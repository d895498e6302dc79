"""Switching plugins per unit: at the next request, in that unit only, in every process, and in the audit trail."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from flask import Blueprint
from sqlalchemy import select

from core import hookspecs
from core.kernel.audit import Audit
from core.kernel.database import transaction
from core.kernel.errors import NotAllowed, NotFound, Refused
from core.kernel.extensions import Blocker
from core.kernel.hooks import Registry, hookimpl
from core.kernel.loader import Installed
from core.kernel.manifest import Manifest
from core.units import switches
from core.units.switches import disable, enable, enabled_plugins, plugin_matrix
from tests.helpers import as_system, in_scope, make_unit, make_user

SWITCH = {"plugin.switch"}


class Stand:
    """Stand-ins: ``base``, ``middle`` (needs base), ``top`` (needs middle). Notes which hooks ran."""

    def __init__(self):
        self.seeded: list[tuple[str, str]] = []
        self.blockers: list[Blocker] = []
        self.registry = Registry(hookspecs)
        needs = {"base": (), "middle": ("base",), "top": ("middle",)}
        for name in needs:
            self.registry.register(name, self._module(name))
        manifests = tuple(
            Manifest(name, "1.0", ">=1", {"zh": f"{name}插件", "en": f"The {name}"}, depends=depends)
            for name, depends in needs.items()
        )
        self.installed = Installed(manifests, {m.name: m for m in manifests}, self.registry)

    def _module(self, name):
        def unit_enabled(unit, actor_id):
            self.seeded.append((name, unit.code))

        def unit_disabling(unit, actor_id):
            return self.blockers if name == "base" else []

        return SimpleNamespace(unit_enabled=hookimpl(unit_enabled), unit_disabling=hookimpl(unit_disabling))


@pytest.fixture
def stand(app, monkeypatch):
    made = Stand()
    monkeypatch.setitem(app.extensions, "plugins", made.installed)
    return made


def on(unit):
    with as_system():
        return enabled_plugins(unit.id)


def test_a_plugin_is_on_in_its_unit_only(stand):
    one, two = make_unit("A"), make_unit("B")
    with in_scope(one, SWITCH), transaction():
        assert enable(one, "base") == ["base"]
    assert on(one) == {"base"}
    assert on(two) == frozenset()
    assert stand.seeded == [("base", "A")]


def test_dependencies_are_asked_for_and_then_switched_on_first(stand):
    unit = make_unit("A")
    with in_scope(unit, SWITCH), transaction():
        with pytest.raises(Refused) as caught:
            enable(unit, "top")
        assert "The base, The middle" in str(caught.value)
        assert enabled_plugins(unit.id) == frozenset()
        assert enable(unit, "top", with_dependencies=True) == ["base", "middle", "top"]
    assert [name for name, _ in stand.seeded] == ["base", "middle", "top"]


def test_switching_on_twice_changes_nothing(stand):
    unit = make_unit("A")
    for _ in range(2):
        with in_scope(unit, SWITCH), transaction():
            enable(unit, "base")
    assert stand.seeded == [("base", "A")]
    with as_system() as work:
        entries = work.scalars(select(Audit).where(Audit.subject_type == "core_unit_plugin")).all()
        assert len(entries) == 1


def test_a_plugin_others_need_cannot_be_switched_off(stand):
    unit = make_unit("A")
    with in_scope(unit, SWITCH), transaction():
        enable(unit, "middle", with_dependencies=True)
        with pytest.raises(Refused, match="The middle"):
            disable(unit, "base", confirmed=True)
        disable(unit, "middle")
        disable(unit, "base")
    assert on(unit) == frozenset()


def test_a_warning_asks_for_confirmation_and_a_fatal_reason_forbids(stand):
    unit = make_unit("A")
    with in_scope(unit, SWITCH), transaction():
        enable(unit, "base")
        stand.blockers = [Blocker("3 open records")]
        with pytest.raises(Refused, match="3 open records"):
            disable(unit, "base")
        assert enabled_plugins(unit.id) == {"base"}
        stand.blockers = [Blocker("3 open records"), Blocker("money is open", fatal=True)]
        with pytest.raises(Refused, match="money is open"):
            disable(unit, "base", confirmed=True)
        stand.blockers = [Blocker("3 open records")]
        disable(unit, "base", confirmed=True)
    assert on(unit) == frozenset()


def test_every_switch_is_in_the_audit_trail(stand):
    unit = make_unit("A")
    user = make_user(unit)
    with in_scope(unit, SWITCH, actor=user), transaction():
        enable(unit, "base")
    with in_scope(unit, SWITCH, actor=user), transaction():
        disable(unit, "base")
    with as_system() as work:
        entries = work.scalars(
            select(Audit).where(Audit.subject_type == "core_unit_plugin").order_by(Audit.id)
        ).all()
    assert [(e.actor_id, e.unit_id, e.after["enabled"]) for e in entries] == [
        (user.id, unit.id, True),
        (user.id, unit.id, False),
    ]


def test_switching_needs_the_permission_in_that_unit(stand):
    mine, other = make_unit("A"), make_unit("B")
    with in_scope(mine, SWITCH), transaction():
        for call in (enable, disable):
            with pytest.raises(NotAllowed):
                call(other, "base")
    with in_scope(mine), pytest.raises(NotAllowed):
        enable(mine, "base")


def test_an_unknown_plugin_is_not_found(stand):
    unit = make_unit("A")
    with in_scope(unit, SWITCH):
        for call in (enable, disable):
            with pytest.raises(NotFound):
                call(unit, "nowhere")


def test_a_failing_enable_hook_leaves_the_plugin_off(stand):
    def unit_enabled(unit):
        raise RuntimeError("no default data")

    stand.registry.register("broken", SimpleNamespace(unit_enabled=hookimpl(unit_enabled)))
    extra = Manifest("broken", "1.0", ">=1", {"zh": "坏", "en": "Broken"})
    object.__setattr__(stand.installed, "plugins", (*stand.installed.plugins, extra))
    unit = make_unit("A")
    with pytest.raises(RuntimeError), in_scope(unit, SWITCH), transaction():
        enable(unit, "broken")
    assert on(unit) == frozenset()


def test_the_matrix_shows_units_by_plugins_in_two_statements(stand, count_queries):
    root = make_unit("A")
    child = make_unit("B", parent=root)
    others = [make_unit(parent=root) for _ in range(5)]
    with in_scope(child, SWITCH), transaction():
        enable(child, "middle", with_dependencies=True)
    with in_scope([root, child, *others]), count_queries() as seen:
        matrix = plugin_matrix([root.id, child.id])
    assert len(seen) == 2
    assert [one.name for one in matrix.plugins] == ["base", "middle", "top"]
    assert matrix.plugins[0].dependents == ("middle",)
    assert [(row.unit.code, row.depth) for row in matrix.rows] == [("A", 0), ("B", 1)]
    base, middle, top = matrix.rows[1].cells
    assert (base.enabled, base.needed_by) == (True, ("The middle",))
    assert (middle.enabled, middle.missing) == (True, ())
    assert (top.enabled, top.missing) == (False, ())
    assert matrix.rows[0].cells[2].missing == ("The middle",)


def test_a_blueprint_must_carry_its_plugins_name(app):
    from core.kernel.switches import mount

    one = Manifest("base", "1.0", ">=1", {"zh": "x", "en": "x"})
    with pytest.raises(ValueError, match="must be named base"):
        mount(app, one, [Blueprint("other", __name__)])


def add_record(unit, **values):
    from core.kernel import clock
    from core.kernel.ids import uuid7
    from core.records.models import Record

    moment = clock.now()
    common = {"title": "x", "number": str(uuid7()), "received_at": moment, "entered_at": moment, "uid": uuid7()}
    with as_system() as work:
        work.add(Record(unit_id=unit.id, **common, **values))


def test_records_left_in_a_plugins_state_forbid_switching_it_off(stand):
    unit, other = make_unit("A"), make_unit("B")
    for one in (unit, other):
        with in_scope(one, SWITCH), transaction():
            enable(one, "base")
    add_record(unit, type="case", state="base:waiting", category="paused")
    add_record(other, type="case", state="base:waiting", category="closed")
    with in_scope(unit, SWITCH), transaction(), pytest.raises(Refused, match="1 records stand"):
        disable(unit, "base", confirmed=True)
    with in_scope(other, SWITCH), transaction():
        disable(other, "base")
    assert (on(unit), on(other)) == ({"base"}, frozenset())


def test_rooms_above_may_warn_too(stand, monkeypatch):
    unit = make_unit("A")
    monkeypatch.setattr(switches, "blocker_sources", [lambda unit_id, plugin: [Blocker("2 records")]])
    with in_scope(unit, SWITCH), transaction():
        enable(unit, "base")
        with pytest.raises(Refused) as caught:
            disable(unit, "base")
        assert "2 records" in str(caught.value)
        disable(unit, "base", confirmed=True)
