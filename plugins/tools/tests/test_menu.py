"""The side bar of tools: short for the day, everything else folded behind one line."""

from __future__ import annotations

from plugins.tools import menu, plugin


def test_every_screen_is_in_the_menu_once_the_daily_ones_in_their_order() -> None:
    made = plugin.admin_views()
    daily = sorted((one for one in made if not one.seldom), key=lambda one: one.weight)
    assert tuple(one.view.endpoint for one in daily) == menu.DAILY
    assert {str(one.category) for one in made if one.seldom} == {str(menu.MORE)}
    assert len({one.weight for one in daily}) == len(daily)
