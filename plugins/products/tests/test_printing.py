"""The product file sheet (设备档案): declared through ``print_forms``, previewed and issued by the core."""

from __future__ import annotations

from typing import Any

from plugins.products import services
from plugins.products.tests.scene import add_case, add_item
from tests import helpers


def test_the_sheet_is_printed_where_the_plugin_is_on(sqlite_app: Any) -> None:
    unit = helpers.make_unit()
    helpers.switch_on(unit, "products")
    item_id = add_item(unit)
    add_case(unit, "GD-1", serial="RB18A-2302-00001")
    user = helpers.make_user(unit, (services.VIEW, "case.view"))
    client = helpers.login(sqlite_app.test_client(), user, unit=unit)
    address = f"/admin/printing/?subject=products:item&id={item_id}"
    assert 'value="products.file"' in client.get(address).text
    given = {"form": "products.file", "id": item_id, "subject": "products:item", "locale": "zh"}
    assert client.post("/admin/printing/preview", data=given).data.startswith(b"%PDF")
    document = client.post("/admin/printing/issue", data=given).headers["Location"]
    with client.get(f"{document}/pdf") as pdf:
        assert pdf.data.startswith(b"%PDF")
    assert client.post("/admin/printing/issue", data=given).headers["Location"] == document
    helpers.switch_off(unit, "products")
    assert client.get(address).status_code == 404
    assert client.post("/admin/printing/issue", data=given).status_code == 404
    other = helpers.make_unit()
    stranger = helpers.login(sqlite_app.test_client(), helpers.make_user(other, (services.VIEW,)), unit=other)
    assert stranger.get(address).status_code == 404
