"""What is open with a person who leaves: the core's own records, and what plugins add."""

from __future__ import annotations

from typing import Any

from core.tasks.leaving import open_items
from tests.casework import make_office
from tests.helpers import in_scope, make_unit


def test_open_records_in_the_person_s_name_are_told_by_type(app: Any) -> None:
    office = make_office()
    for _ in range(2):
        office.do(office.new_case(), ("classify", office.usual("classify")), "plan", "assign")
    with office.at_desk():
        ((plugin, item),) = open_items(office.unit.id, office.technician.id)
        assert (plugin, str(item.text)) == ("", "2 open in their name: Case")
        assert open_items(office.unit.id, office.desk.id) == []


def test_nothing_is_told_of_another_unit(app: Any) -> None:
    office, other = make_office(), make_unit()
    office.do(office.new_case(), "classify", "plan", "assign")
    with office.at_desk():
        assert [item for _, item in open_items(office.unit.id, office.technician.id)]
    with in_scope(other, (), office.desk):
        assert open_items(other.id, office.technician.id) == []
