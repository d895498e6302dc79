"""``flask products check``."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from plugins.products import services
from plugins.products.models import Model
from plugins.products.tests.scene import add_item, staff
from tests import helpers


def test_check_lists_what_nobody_has_settled(app: Any) -> None:
    here, there = helpers.make_unit("HERE"), helpers.make_unit("THERE")
    for unit, serial in ((here, "RB18A-1"), (there, "RB18A-2")):
        item = add_item(unit, serial)
        with staff(unit):
            services.flag_items(unit.id, [(item, "class_conflict", "4.1 / agent")])
    runner = app.test_cli_runner()
    both = runner.invoke(args=["products", "check"])
    assert both.exit_code == 0, both.output
    assert "RB18A-1" in both.output and "RB18A-2" in both.output and "4.1" in both.output
    one = runner.invoke(args=["products", "check", "--unit", "HERE"])
    assert "RB18A-1" in one.output and "RB18A-2" not in one.output
    wrong = runner.invoke(args=["products", "check", "--unit", "NOWHERE"])
    assert wrong.exit_code != 0 and "NOWHERE" in wrong.output


def test_importing_by_command_needs_the_plugin_to_be_on(app: Any, tmp_path: Any) -> None:
    unit = helpers.make_unit("OFF")
    helpers.make_unit("ELSE")
    path = tmp_path / "models.csv"
    path.write_text("型号,品名\nRB18A,空气能热泵\n", encoding="utf-8")
    command = ["import", "products-models", str(path), "--unit", "OFF", "--yes"]
    refused = app.test_cli_runner().invoke(args=command)
    assert refused.exit_code != 0 and "products" in refused.output
    helpers.switch_on(unit, "products")
    done = app.test_cli_runner().invoke(args=command)
    assert done.exit_code == 0, done.output
    with staff(unit) as work:
        assert work.scalars(select(Model.code)).all() == ["RB18A"]
