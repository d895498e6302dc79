"""The forms of hand-overs: what they say, and that they become a PDF in both languages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.documents import services as documents
from core.records.models import Record
from core.sdk import NotFound, fetch
from plugins.tools import prints_handover, values
from plugins.tools.models import Party

from .scene import Place, make_place


@pytest.fixture
def place(sqlite_app: Flask) -> Place:
    return make_place()


def pdf_of(place: Place, code: str, thing: Any, locale: str) -> bytes:
    form = replace(next(one for one in prints_handover.forms() if one.code == code), plugin="tools")
    head = documents.head_of(place.unit.id, form.title, seal="", address="", locale=locale)
    return documents.typeset(form, locale, [{"head": head, "data": form.data(thing)}])


def test_the_paper_of_a_hand_over_with_both_sides(place: Place) -> None:
    tools, tape = place.tools(2), place.parts()
    key = place.offer(
        values.ISSUE, place.store, place.person(place.ann), tools, parts=[(tape, "2")], purpose='#panic("x") *粗*'
    )
    place.accept(key, pin_of=place.ann, refused={place.lines(key)[1].id: "裂了"})
    with place.acting():
        data = prints_handover.handover_paper(fetch(Record, key))
        assert data["purpose"] == '#panic("x") *粗*'
        giver, taker = data["sides"]
        assert (giver["party"], giver["by"], giver["picture"]) == ("总工具房", "库管", "")
        assert (taker["party"], taker["by"]) == ("安师傅", "安师傅") and taker["picture"]
        assert taker["at"] == "2026-03-02 09:00"
        assert len(data["lines"]) == 3 and data["lines"][1][-1].endswith("裂了")
        assert prints_handover.signatures(data)[taker["picture"]].startswith(b"\x89PNG")
        tool = fetch(Record, tools[0])
        with pytest.raises(NotFound):
            prints_handover.handover_paper(tool)


@pytest.mark.parametrize("locale", ["zh", "en"])
def test_every_form_becomes_a_pdf(place: Place, locale: str) -> None:
    tool, ann = place.tool(), place.person(place.ann)
    place.parts(holder=ann)
    key = place.offer(values.LOAN, place.store, ann, [tool], purpose="装电梯")
    place.accept(key, pin_of=place.ann)
    with place.acting():
        for code, thing in (
            (prints_handover.HANDOVER, fetch(Record, key)),
            (prints_handover.PERSON, fetch(Party, ann)),
            (prints_handover.LOANS, fetch(Party, ann)),
        ):
            assert pdf_of(place, code, thing, locale)[:4] == b"%PDF", code


@pytest.mark.clause("R35-4.1")
def test_the_list_of_a_person(place: Place) -> None:
    tools = place.tools(2)
    place.issue(place.ann, *tools)
    with place.acting():
        data = prints_handover.person_paper(fetch(Party, place.person(place.ann)))
    assert (data["person"], data["count"], data["worth"], data["day"]) == ("安师傅", "2", "240.00", "2026-03-02")
    assert data["lines"][0][4] == "2026-03-02"


@pytest.mark.clause("R35-4.8a")
def test_the_record_of_loans_says_when_it_was_back(place: Place) -> None:
    tool, bob = place.tool(), place.person(place.bob)
    place.hand(values.LOAN, place.store, bob, [tool], purpose="试机")
    place.later(hours=3)
    place.bring_back(place.bob, tool)
    place.issue(place.bob, tool)  # no loan: not on this paper
    with place.acting():
        data = prints_handover.loans_paper(fetch(Party, bob))
    (line,) = data["lines"]
    assert line[3:6] == ["2026-03-02 09:00", "2026-03-03 09:00", "2026-03-02 12:00"]
    assert line[6].endswith("试机")


def test_a_list_is_for_whom_it_is_about_and_who_sees_tools(place: Place) -> None:
    party = place.person(place.ann)
    for user in (place.ann, place.keeper):
        with place.acting(user):
            assert prints_handover.find_party(party).id == party
    stranger = make_place()
    for user, where in ((place.bob, place), (stranger.keeper, stranger)):
        with where.acting(user), pytest.raises(NotFound):
            prints_handover.find_party(party)
    assert place.all(select(Party.id).where(Party.id == party)) == [party]
