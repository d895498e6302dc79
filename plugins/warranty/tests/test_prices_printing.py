"""The notice of fees (收费标准告知): what a customer is told of a tariff, in both languages."""

from __future__ import annotations

from typing import Any

import pytest
from flask_babel import force_locale

from core.sdk import NotFound
from plugins.warranty import prints_prices, rights
from plugins.warranty.tests.scene_prices import R13_TABLE, add_tariff, finance, make_shop, set_clause, the_tariff
from tests import helpers


def test_the_notice_says_what_is_charged_and_under_which_clause(sqlite_app: Any) -> None:
    unit = make_shop(*R13_TABLE, "R17-5.2.7")
    set_clause(unit, "R13-5.2.1.2", holds=True)
    more = {"handling_amount": "10", "handling_per": "percent", "meals_amount": "0"}
    key = add_tariff(unit, "2026-07-01", lodging_amount="1150", ends_on="2026-12-31", **more)
    with finance(unit), force_locale("en"):
        said = prints_prices.fee_notice(the_tariff(key))
    assert (said["first"], said["last"]) == ("2026-07-01", "2026-12-31")
    assert said["rows"] == [
        ["Travel", "What it costs", "Actual cost", "R13-5.2.1.3a"],
        ["Lodging", "1,150.00 yuan", "Per person and night", "R13-5.2.1.3b"],
        ["Meals", "Free of charge", "Per person and day", "R13-5.2.1.3c"],
        ["Staff allowance", "200.00 yuan", "Per person and day", "R13-5.2.1.3d"],
        ["Handling fee", "10 percent", "Percent", "R17-5.2.7"],
    ]
    assert said["remote_free"] is True


def test_customers_are_told_of_released_tariffs_only(sqlite_app: Any) -> None:
    unit, other = make_shop(), make_shop()
    draft, foreign = add_tariff(unit, released=False), add_tariff(other)
    for key in (draft, foreign, "abc"):
        with finance(unit), pytest.raises(NotFound):
            prints_prices.released_tariff(key)


@pytest.mark.parametrize("locale", ["zh", "en"])
def test_the_notice_is_previewed_and_issued(sqlite_app: Any, locale: str) -> None:
    unit = make_shop(*R13_TABLE)
    key = add_tariff(unit, name="收费标准 <b>*_#")
    user = helpers.make_user(unit, (rights.VIEW,))
    client = helpers.login(sqlite_app.test_client(), user, unit=unit)
    assert 'value="warranty.fee_notice"' in client.get(f"/admin/printing/?subject=warranty:tariff&id={key}").text
    given = {"form": "warranty.fee_notice", "id": key, "subject": "warranty:tariff", "locale": locale}
    assert client.post("/admin/printing/preview", data=given).data.startswith(b"%PDF")
    document = client.post("/admin/printing/issue", data=given).headers["Location"]
    with client.get(f"{document}/pdf") as pdf:
        assert pdf.data.startswith(b"%PDF")
    draft = add_tariff(unit, "2027-01-01", released=False)
    assert client.get(f"/admin/printing/?subject=warranty:tariff&id={draft}").status_code == 404
