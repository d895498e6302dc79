"""The organisation tree and its settings."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from core.kernel.database import session, transaction
from core.kernel.errors import Conflict, InvalidData, NotAllowed, Refused
from core.kernel.fields import Field
from core.units import services, settings
from core.units.models import Setting, Unit
from tests.helpers import as_system, in_scope, login, make_unit, make_user

DAY = date(2026, 3, 1)


@pytest.fixture
def declared(monkeypatch):
    """One setting of our own."""
    monkeypatch.setattr(settings, "_declared", dict(settings._declared))
    number = Field("test.days", "int", "Days", minimum=Decimal(1), maximum=Decimal(9), default=3)
    amount = Field("test.amount", "decimal", "Amount", default=Decimal("1.50"))
    settings.declare([settings.SettingSpec(number), settings.SettingSpec(amount)])


def grow(work):
    """HQ > EAST > SHOP, and WEST beside EAST."""
    hq = services.create_unit({"code": "HQ", "name": "总部"}, since=date(2020, 1, 1))
    east = services.create_unit({"code": "EAST", "name": "华东", "kind": "branch"}, hq, since=date(2020, 1, 1))
    west = services.create_unit({"code": "WEST", "name": "西部", "kind": "branch"}, hq, since=date(2020, 1, 1))
    shop = services.create_unit({"code": "shop-1", "name": "门店", "kind": "store"}, east, since=date(2020, 1, 1))
    return hq, east, west, shop


def test_a_moved_branch_takes_everything_below_with_it_and_the_old_tree_is_remembered(app):
    with as_system() as work:
        hq, east, west, shop = grow(work)
        services.move_unit(east, west, since=DAY)
        assert [u.code for u in services.tree()] == ["HQ", "WEST", "EAST", "SHOP-1"]
        assert services.ancestors(shop) == [east.id, west.id, hq.id]
        assert services.ancestors(shop, DAY - timedelta(days=1)) == [east.id, hq.id]
        assert services.ancestors(shop, DAY) == [east.id, west.id, hq.id]
        assert [u.code for u in services.below(west, itself=False)] == ["EAST", "SHOP-1"]


def test_a_path_is_not_mistaken_for_one_that_begins_alike(app):
    """Moving unit 1 must not touch unit 11: paths end with a slash."""
    with as_system():
        roots = [services.create_unit({"code": f"R{n}", "name": "x"}) for n in range(11)]
        child = services.create_unit({"code": "C", "name": "x"}, roots[10])
        services.move_unit(roots[0], roots[1])
        assert services.ancestors(child) == [roots[10].id]


def test_two_moves_on_one_day_leave_the_last(app):
    with as_system():
        hq, _, west, shop = grow(None)
        services.move_unit(shop, west, since=DAY)
        services.move_unit(shop, hq, since=DAY)
        assert services.ancestors(shop, DAY) == [hq.id]


def test_no_cycles(app):
    with as_system():
        hq, _, _, shop = grow(None)
        for target in (shop, hq):
            with pytest.raises(Refused, match="under itself"):
                services.move_unit(hq, target)


def test_a_unit_is_closed_from_below_and_opened_from_above(app):
    with as_system():
        _, east, _, shop = grow(None)
        with pytest.raises(Refused):
            services.set_active(east, False)
        services.set_active(shop, False)
        services.set_active(east, False)
        with pytest.raises(Refused):
            services.set_active(shop, True)
        assert "EAST" not in [u.code for u in services.tree()]
        assert "EAST" in [u.code for u in services.tree(with_closed=True)]


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"code": "HQ", "name": "again"}, "code"),
        ({"code": "a b", "name": "x"}, "code"),
        ({"code": "X", "name": ""}, "name"),
        ({"code": "X", "name": "x", "kind": "castle"}, "kind"),
        ({"code": "X", "name": "x", "timezone": "Mars/One"}, "timezone"),
        ({"code": "X", "name": "x", "latitude": "123"}, "latitude"),
        ({"code": "X", "name": "x", "latitude": "30.2"}, "longitude"),
        ({"code": "X", "name": "x", "region_code": "浙江"}, "region_code"),
        ({"code": "X", "name": "x", "region_code": "3301"}, "region_code"),
    ],
)
def test_bad_input_is_refused_beside_the_field(app, raw, field):
    with as_system():
        grow(None)
        with pytest.raises(InvalidData) as caught:
            services.create_unit(raw)
        assert list(caught.value.errors) == [field]
        assert session().scalars(select(Unit.code).order_by(Unit.id)).all() == ["HQ", "EAST", "WEST", "SHOP-1"]


def test_the_second_of_two_editors_is_told(app):
    with as_system():
        hq, *_ = grow(None)
        seen = hq.version
        services.change_unit(hq, {"code": "HQ", "name": "总部一"}, version=seen)
        with pytest.raises(Conflict):
            services.change_unit(hq, {"code": "HQ", "name": "总部二"}, version=seen)
        assert hq.name == "总部一"


def test_only_who_manages_a_unit_may_change_it(app):
    mine, other = make_unit("A"), make_unit("B")
    with in_scope(mine, {"unit.admin"}), transaction():
        services.create_unit({"code": "A1", "name": "x"}, mine)
        with pytest.raises(NotAllowed):
            services.create_unit({"code": "B1", "name": "x"}, other)
        with pytest.raises(NotAllowed):
            services.move_unit(session().merge(mine, load=True), other)


def test_settings_are_inherited_until_a_unit_sets_its_own(app, declared):
    with as_system():
        hq, east, west, shop = grow(None)
        assert settings.setting(shop.id, "test.days") == 3
        settings.set_setting(hq, "test.days", "5")
        settings.set_setting(east, "test.days", "7")
        found = [settings.setting(u.id, "test.days") for u in (hq, west, east, shop)]
        assert found == [5, 5, 7, 7]
        settings.set_setting(east, "test.days", None)
        assert settings.setting(shop.id, "test.days") == 5
        view = next(v for v in settings.settings_of(shop.id) if v.spec.name == "test.days")
        assert (view.value, view.source_id) == (5, hq.id)


def test_settings_keep_their_type(app, declared):
    with as_system():
        hq, *_ = grow(None)
        settings.set_setting(hq, "test.amount", "2.30")
    with as_system():
        assert settings.setting(hq.id, "test.amount") == Decimal("2.30")


def test_an_inherited_setting_is_read_by_people_who_cannot_see_the_ancestor(app, declared):
    with as_system():
        hq, _, _, shop = grow(None)
        settings.set_setting(hq, "test.days", "5")
    with in_scope(shop):
        assert settings.setting(shop.id, "test.days") == 5
        assert session().scalars(select(Setting)).all() == []


def test_settings_are_strict(app, declared):
    with as_system():
        hq, *_ = grow(None)
        with pytest.raises(InvalidData):
            settings.set_setting(hq, "test.days", "10")
        with pytest.raises(LookupError):
            settings.set_setting(hq, "test.typo", "1")
        with pytest.raises(LookupError):
            settings.setting(hq.id, "test.typo")
        assert settings.setting(hq.id, "test.days") == 3


def test_settings_are_changed_by_who_may(app, declared):
    unit = make_unit()
    with in_scope(unit), pytest.raises(NotAllowed):
        settings.set_setting(unit, "test.days", "4")
    with in_scope(unit, {"unit.settings"}), transaction():
        settings.set_setting(unit, "test.days", "4")
        assert settings.setting(unit.id, "test.days") == 4


def test_english_readers_get_english_names_of_units_and_zones(app):
    unit = make_unit("HQ", name="总部", name_en="Head office")
    client = login(app.test_client(), make_user(unit, {"unit.admin", "plugin.switch"}, locale="en"))
    listed = client.get("/admin/units/").get_data(as_text=True)
    assert "Head office" in listed and "Beijing time" in listed and "Asia/Shanghai" not in listed
    assert "Head office" in client.get(f"/admin/units/edit/?id={unit.id}").get_data(as_text=True)
    assert "总部" not in client.get("/admin/plugins/").get_data(as_text=True)
