"""What every plugin keeps to. A plugin subclasses ``PluginContract`` in a few lines in its own tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, inspect, select
from werkzeug.routing import Rule

from core.cli.catalogues import catalogue_path, extract, read, untranslated
from core.kernel import manifest, migrations
from core.kernel.database import Base
from core.kernel.loader import room_of
from core.kernel.manifest import Manifest
from core.units.models import Unit
from core.units.switches import enabled_plugins
from core.users.permissions import EVERYBODY, all_permissions
from core.users.positions import POSITIONS
from tests.helpers import as_system, login, make_unit, make_user, switch_off, switch_on

ALONE = ("details", "edit", "delete", "page")


class PluginContract:
    """Subclass it as ``class TestContract(PluginContract)``; set ``name`` and, if it has rows, ``make_rows``."""

    name: str

    def make_rows(self, unit: Unit, count: int) -> list[Any]:
        """Add ``count`` rows of the plugin's main table to ``unit``, inside a system scope; return them."""
        return []

    # --- what it says of itself ------------------------------------------------------------------

    @pytest.fixture
    def plugin(self, whole_app: Flask) -> Manifest:
        found = whole_app.extensions["plugins"].get(self.name)
        assert found is not None, f"{self.name} is not listed in the configuration the tests run with"
        return found

    def test_manifest_is_valid(self, plugin: Manifest) -> None:
        problems: list[Any] = []
        assert manifest.read(plugin.folder, plugin.package, problems) == plugin, [str(p) for p in problems]
        assert plugin.summary("zh") and plugin.summary("en")
        assert (plugin.folder / "README.md").is_file()

    def test_no_hook_escapes_the_switches(self, plugin: Manifest, whole_app: Flask) -> None:
        registry = whole_app.extensions["plugins"].registry
        module = registry.manager.get_plugin(self.name)
        for attribute in dir(module):
            options = registry.manager.parse_hookimpl_opts(module, attribute)
            assert not options or not (options["specname"] or options["wrapper"] or options["hookwrapper"])

    def test_somebody_may_use_it_from_the_start(self, plugin: Manifest, whole_app: Flask) -> None:
        """A plugin that nobody may see looks broken to whoever switches it on."""
        positions = {one.code for one in POSITIONS}
        for owner, permission in whole_app.extensions["plugins"].registry.ask_once("permissions"):
            if owner == self.name and permission.positions != EVERYBODY:
                assert permission.positions and positions.issuperset(permission.positions), permission.code

    def test_permissions_carry_its_name(self, plugin: Manifest, whole_app: Flask) -> None:
        declared = whole_app.extensions["plugins"].registry.ask_once("permissions")
        for owner, permission in declared:
            assert owner != self.name or permission.code.startswith(f"{self.name}.")

    def test_tables_carry_its_name_and_belong_to_units(self, plugin: Manifest) -> None:
        for mapper in Base.registry.mappers:
            model: Any = mapper.class_
            if model.__module__.startswith(f"{plugin.package}."):
                assert model.__tablename__.startswith(f"{self.name}_"), model
                assert "unit_id" in model.__table__.columns or model.__global__, model

    def test_catalogue_is_complete(self, plugin: Manifest) -> None:
        catalogue = read(catalogue_path(plugin.folder))
        assert untranslated(catalogue) == []
        known = {message.id for message in catalogue} | {m.id for m in read(catalogue_path(_core()))}
        assert sorted(str(m.id) for m in extract([plugin.folder]) if m.id not in known) == []

    # --- its tables --------------------------------------------------------------------------------

    def test_tables_go_up_down_and_up_again(self, plugin: Manifest, whole_app: Flask, empty_engine: Any) -> None:
        rooms = whole_app.extensions["rooms"]
        room = room_of(plugin)
        migrations.upgrade(empty_engine, rooms)
        assert migrations.check(empty_engine, room, Base.metadata) == []
        before = sorted(inspect(empty_engine).get_table_names())
        for dependent in reversed([r for r in rooms if self.name in (r.name, *r.depends)]):
            migrations.downgrade(empty_engine, dependent)
        left = inspect(empty_engine).get_table_names()
        assert [name for name in left if name.startswith(room.prefix)] == []
        migrations.upgrade(empty_engine, rooms)
        assert sorted(inspect(empty_engine).get_table_names()) == before

    def test_switching_off_and_on_keeps_the_data(self, app: Flask, plugin: Manifest) -> None:
        unit = make_unit()
        switch_on(unit, self.name)
        self._fill(unit, 3)
        counts = self._counts()
        switch_off(unit, self.name)
        assert self._counts() == counts
        switch_on(unit, self.name)
        assert self._counts() == counts
        with as_system():
            assert self.name in enabled_plugins(unit.id)

    # --- its addresses -------------------------------------------------------------------------------

    def test_every_address_is_404_where_it_is_off(self, app: Flask, plugin: Manifest) -> None:
        unit = make_unit()
        switch_on(unit, self.name)
        rows = self._fill(unit, 1)
        switch_off(unit, self.name)
        client = login(app.test_client(), self._everything(unit))
        for method, address in self._addresses(app, rows):
            answer = client.open(address, method=method, data=_form(method, rows))
            assert answer.status_code == 404, (method, address, answer.status)

    def test_no_address_shows_rows_of_other_units(self, app: Flask, plugin: Manifest) -> None:
        mine, other = make_unit(), make_unit()
        switch_on(mine, self.name)
        switch_on(other, self.name)
        rows = self._fill(other, 1)
        texts = [str(row) for row in rows if len(str(row)) > 5]
        client = login(app.test_client(), self._everything(mine))
        for method, address in self._addresses(app, rows):
            answer = client.open(address, method=method, data=_form(method, rows))
            assert answer.status_code < 500, (method, address, answer.status)
            body = answer.get_data().decode(errors="replace")  # an export is no text
            answer.close()
            assert not [text for text in texts if text in body], (method, address)
            if rows and _names_a_row(address):
                assert answer.status_code in (404, 405), (method, address, answer.status)

    def test_lists_ask_as_much_for_fifty_rows_as_for_five(
        self, app: Flask, plugin: Manifest, count_queries: Any
    ) -> None:
        unit = make_unit()
        switch_on(unit, self.name)
        if not self._fill(unit, 5):
            pytest.skip("make_rows gives no rows")
        client = login(app.test_client(), self._everything(unit))
        few = self._list_queries(app, client, count_queries)
        self._fill(unit, 45)
        assert self._list_queries(app, client, count_queries) == few

    # --- inside --------------------------------------------------------------------------------------

    def _fill(self, unit: Unit, count: int) -> list[Any]:
        with as_system():
            return self.make_rows(unit, count)

    def _everything(self, unit: Unit) -> Any:
        return make_user(unit, [permission.code for permission in all_permissions()])

    def _counts(self) -> dict[str, int]:
        tables = [t for name, t in Base.metadata.tables.items() if name.startswith(f"{self.name}_")]
        with as_system() as work:
            return {t.name: work.connection().scalar(select(func.count()).select_from(t)) or 0 for t in tables}

    def _rules(self, app: Flask) -> Iterator[Rule]:
        for rule in app.url_map.iter_rules():
            blueprint = rule.endpoint.partition(".")[0]
            owned = blueprint.partition("_")[0] == self.name
            if owned and not rule.endpoint.endswith("static"):
                yield rule

    def _addresses(self, app: Flask, rows: list[Any]) -> Iterator[tuple[str, str]]:
        """Yield every address of the plugin, filled with the id of a row, for GET and POST as it takes them."""
        key = str(rows[0].id) if rows else "1"
        for rule in self._rules(app):
            address = re.sub(r"<[^>]+>", key, rule.rule) + f"?id={key}&q=e"
            for method in sorted({"GET", "POST"} & set(rule.methods or ())):
                yield method, address

    def _list_queries(self, app: Flask, client: Any, count_queries: Any) -> dict[str, int]:
        found = {}
        for rule in self._rules(app):
            if rule.endpoint.endswith(".index_view"):
                client.get(rule.rule)  # warm
                with count_queries() as seen:
                    answer = client.get(rule.rule)
                assert answer.status_code == 200, (rule.rule, answer.status)
                found[rule.rule] = len(seen)
        return found


def _core() -> Path:
    return Path(migrations.__file__).parents[1]


def _form(method: str, rows: list[Any]) -> dict[str, str]:
    return {"id": str(rows[0].id) if rows else "1", "confirmed": "1"} if method == "POST" else {}


def _names_a_row(address: str) -> bool:
    path = address.partition("?")[0].rstrip("/")
    return path.rsplit("/", 1)[-1] in ALONE
