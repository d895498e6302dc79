"""Inspections: opened once, filled in, finished, left out; what their findings open."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from threading import Barrier, Thread
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from core.inspections import services as inspections
from core.inspections import uses
from core.inspections.models import Finding, Inspection
from core.inspections.uses import InspectionUse
from core.kernel import clock
from core.kernel.database import session, transaction
from core.kernel.errors import Conflict, InvalidData, NotAllowed, NotFound, Refused
from core.places import services as places
from core.records.attachments import attach
from core.records.models import Attachment, Fact, Record
from tests.helpers import current, make_unit, make_user, switch_off, switch_on
from tests.inspection_scene import ALL, ITEMS, checklist, desk, drawn, opened, photo, png, room

GOOD = {"bed": "pass", "fridge": "4"}
PICTURES = [
    {"key": "bed", "kind": "check", "label": "床", "photo": "on_fail"},
    {"key": "view", "kind": "photo", "label": "全景"},
    {"key": "sign", "kind": "signature", "label": "签名"},
]


def wrong(*names: str) -> Any:
    return pytest.raises(InvalidData, check=lambda error: set(error.errors) == set(names))


def detail(record: Record) -> Inspection:
    return session().scalars(select(Inspection).where(Inspection.id == record.id)).one()


def kinds_of(record: Record) -> list[str]:
    return list(session().scalars(select(Fact.kind).where(Fact.record_id == record.id).order_by(Fact.seq)))


def test_a_round_from_a_checklist_to_a_case(app: Flask) -> None:
    unit, user = make_unit(), make_user()
    with desk(unit, actor=user):
        place = room(unit)
        made = opened(unit, place_id=place.id)
        assert inspections.define(unit.id, "room", "别的", "", ITEMS).title == "客房检查"
        assert opened(unit, place_id=place.id).id == made.id
        assert (made.number[:3], made.title) == ("JC-", "客房检查 · 801")
        inspections.save(made.id, {"bed": "fail", "bed.note": "坏了"})
        with wrong("fridge"):
            inspections.finish(made.id)
        inspections.finish(made.id, {"fridge": "5 °C"})
        found = inspections.get_inspection(str(made.id))
        assert (found.score, found.failed, made.state) == (Decimal("66.67"), 1, "done")
        assert kinds_of(made) == ["registered", "begun", "finished"]
        finding = session().scalars(select(Finding)).one()
        assert (finding.note, finding.place_id, finding.found_by) == ("坏了", place.id, user.id)
        case = session().get_one(Record, finding.record_id)
        assert (case.type, case.priority, case.title) == ("case", 1, "床 · 801")
        assert inspections.of_place(place.id) == [found]
        assert inspections.open_of_place(place.id) == []
        assert [one.id for one in inspections.open_findings(place.id)] == [finding.id]
        since = clock.now() - timedelta(days=1)
        assert inspections.repeats(unit.id, place.id, "bed", since) == 1
        later = clock.now() + timedelta(days=1)
        [score] = inspections.scores([unit.id], since, later)
        assert score == (place.id, 1, Decimal("66.67"), 1)
        assert inspections.scores([unit.id], since, later, "month")[0].key == f"{clock.now():%Y-%m}"
        # Another one the same day is another inspection, as the first is over.
        assert opened(unit, place_id=place.id).id != made.id


@pytest.mark.parametrize("typed", ["NaN", "Infinity", "warm", "5 °F", "1e999999", "5; 6"])
def test_what_is_no_number_is_said_beside_the_item(sqlite_app: Flask, typed: str) -> None:
    unit = make_unit()
    with desk(unit):
        made = opened(unit)
        with wrong("fridge"):
            inspections.save(made.id, {"bed": "pass", "fridge": typed})
        assert (made.state, detail(made).answers) == ("open", {})


@pytest.mark.parametrize(
    ("typed", "verdict"), [("0", "pass"), ("8.00", "pass"), ("８", "pass"), ("-0.01", "fail"), ("8.01", "fail")]
)
def test_bounds_pass_and_what_lies_outside_fails(sqlite_app: Flask, typed: str, verdict: str) -> None:
    unit = make_unit()
    with desk(unit):
        made = opened(unit)
        inspections.save(made.id, {"fridge": typed})
        assert detail(made).answers["fridge"]["verdict"] == verdict


def test_unknown_items_and_answers_are_refused(sqlite_app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        made = opened(unit)
        with wrong("window", "bed.colour"):
            inspections.save(made.id, {"window": "pass", "bed.colour": "red"})
        with wrong("bed"):
            inspections.save(made.id, {"bed": "perhaps"})


def test_the_server_stamps_answers_and_only_those_that_change(app: Flask) -> None:
    unit, first, second = make_unit(), make_user(), make_user()
    with desk(unit, actor=first):
        made = opened(unit)
        inspections.save(made.id, {"bed": "pass", "bed.at": "1999-01-01", "bed.by": "1"})
        stamp = detail(made).answers["bed"]
        assert (stamp["by"], stamp["at"][:4]) == (first.id, str(clock.now().year))
    with desk(unit, actor=second):
        inspections.save(made.id, {"bed": "pass", "fridge": "3"})
        answers = detail(made).answers
        assert (answers["bed"], answers["fridge"]["by"]) == (stamp, second.id)


def test_an_emptied_answer_is_taken_away(sqlite_app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        made = opened(unit)
        inspections.save(made.id, {"bed": "fail", "bed.note": "?"})
        inspections.save(made.id, {"bed": ""})
        assert detail(made).answers["bed"]["verdict"] == ""
        inspections.save(made.id, {"bed.note": ""})
        assert detail(made).answers == {}


# --- pictures ----------------------------------------------------------------------------------------


def test_pictures_and_signatures_are_asked_for(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        made = opened(unit, PICTURES)
        with wrong("bed.file", "view", "sign"):
            inspections.finish(made.id, {"bed": "fail"})
        inspections.finish(made.id, {"bed": "fail", "bed.file": photo(), "view": photo(), "sign": drawn()})
        kinds = session().scalars(select(Attachment.kind).where(Attachment.record_id == made.id)).all()
        assert sorted(kinds) == ["photo", "photo", "signature"]
        assert detail(made).failed == 1


def test_a_photo_is_needed_only_where_it_failed(sqlite_app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        made = opened(unit, PICTURES[:1])
        inspections.finish(made.id, {"bed": "pass"})
        assert made.state == "done"


@pytest.mark.parametrize(
    ("content", "name"),
    [(b"MZ\x90\x00 program", "photo.png"), (b"plain words", "list.txt"), (b"", "photo.png"), (b"<svg/>", "a.svg")],
)
def test_photos_that_are_no_photos(sqlite_app: Flask, content: bytes, name: str) -> None:
    unit = make_unit()
    with desk(unit):
        made = opened(unit, PICTURES)
        with wrong("view"):
            inspections.save(made.id, {"view": photo(content, name)})
        with wrong("bed.file"):
            inspections.save(made.id, {"bed.file": photo(content, name)})
        assert session().scalar(select(func.count()).select_from(Attachment)) == 0


@pytest.mark.parametrize("text", ["data:image/png;base64,!!", "data:text/html,hi", "data:image/png;base64,AAAA"])
def test_signatures_that_are_none(sqlite_app: Flask, text: str) -> None:
    unit = make_unit()
    with desk(unit):
        made = opened(unit, PICTURES)
        with wrong("sign"):
            inspections.save(made.id, {"sign": text})


def test_a_picture_of_another_record_or_unit_is_refused(app: Flask) -> None:
    unit, other = make_unit(), make_unit()
    with desk(other, {*ALL, "attachment.add"}):
        theirs = attach(opened(other, PICTURES).id, "a.png", photo(png()).stream)
    with desk(unit, {*ALL, "attachment.add"}):
        first, second = opened(unit, PICTURES), opened(unit, PICTURES, subject="two")
        neighbour = attach(second.id, "a.png", photo().stream)
        own = attach(first.id, "a.png", photo().stream)
        words = attach(first.id, "a.txt", photo(b"words").stream)
        for one in (theirs, neighbour, words):
            with wrong("view"):
                inspections.save(first.id, {"view": str(one.id)})
        inspections.save(first.id, {"view": str(own.id)})
        assert detail(first).answers["view"]["file"] == own.id


# --- versions ----------------------------------------------------------------------------------------


def test_a_checklist_changed_meanwhile_keeps_its_version_where_it_was_begun(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        first, second = opened(unit), opened(unit, subject="two")
        inspections.begin(first.id)
        held = checklist(unit)
        inspections.save_draft(held, [{"key": "lamp", "kind": "check", "label": "灯"}])
        inspections.publish(held)
        inspections.finish(first.id, GOOD)
        with wrong("bed", "fridge"):
            inspections.save(second.id, GOOD)
        inspections.finish(second.id, {"lamp": "na"})
        versions = [inspections.version_of(detail(one)) for one in (first, second)]
        assert ([one and one.number for one in versions], detail(second).score) == ([1, 2], None)


# --- two at once --------------------------------------------------------------------------------------


def test_who_saves_over_anothers_answers_is_told(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        made = opened(unit)
        inspections.begin(made.id)
        seen = made.version
    with desk(unit):
        inspections.save(made.id, {"bed": "fail"}, version=seen)
    with desk(unit):
        with pytest.raises(Conflict):
            inspections.save(made.id, {"bed": "pass"}, version=seen)
        with pytest.raises(Conflict):
            inspections.finish(made.id, GOOD, version=seen)
        assert detail(made).answers["bed"]["verdict"] == "fail"
        inspections.save(made.id, {"fridge": "3"})  # without a version: it adds what it names
        assert set(detail(made).answers) == {"bed", "fridge"}


def at_once(count: int, call: Any) -> list[Any]:
    barrier, results = Barrier(count), list[Any]()
    app = current()

    def run() -> None:
        with app.app_context():
            barrier.wait()
            try:
                results.append(call())
            except Exception as error:
                results.append(error)

    threads = [Thread(target=run) for _ in range(count)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return results


def test_two_who_finish_at_once_open_one_case(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        made = opened(unit)
        inspections.save(made.id, {**GOOD, "bed": "fail"})

    def finish() -> str:
        with desk(unit):
            return inspections.finish(made.id).state

    results = at_once(2, finish)
    assert sorted(type(one) for one in results if one != "done") == [Refused]
    with desk(unit):
        assert session().scalar(select(func.count()).where(Record.type == "case")) == 1
        assert session().scalar(select(func.count()).select_from(Finding)) == 1


def test_two_who_open_the_same_at_once_get_the_same(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        held = checklist(unit)

    def start() -> int:
        with desk(unit), transaction():
            return inspections.open_inspection(unit.id, held, subject="meal:lunch").id

    assert len(set(at_once(3, start))) == 1


def test_a_retry_under_its_key_changes_nothing(app: Flask) -> None:
    unit = make_unit()
    with desk(unit, actor=make_user()):
        checklist(unit)
        raw = {"checklist": "room", "subject_text": "大堂"}
        made = inspections.register(unit.id, raw, key="k")
        assert inspections.register(unit.id, raw, key="k").id == made.id
        inspections.finish(made.id, {**GOOD, "bed": "fail"}, key="f")
        inspections.finish(made.id, {**GOOD, "bed": "fail"}, key="f")
        assert kinds_of(made).count("finished") == 1
        with pytest.raises(Conflict):
            inspections.finish(made.id, GOOD, key="f")


# --- what is refused ------------------------------------------------------------------------------------


def test_an_inspection_that_is_over_stays_as_it_is(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        done, skipped = opened(unit), opened(unit, subject="two")
        inspections.finish(done.id, GOOD)
        inspections.skip(skipped.id, "请勿打扰")
        assert (skipped.category, kinds_of(skipped)[-1]) == ("cancelled", "skipped")
        for one in (done, skipped):
            with pytest.raises(Refused):
                inspections.save(one.id, {"bed": "fail"})
            with pytest.raises(Refused):
                inspections.finish(one.id)
            with pytest.raises(Refused):
                inspections.skip(one.id, "again")
        with wrong("reason"):
            inspections.skip(opened(unit, subject="three").id, "")


def test_what_cannot_be_opened(app: Flask) -> None:
    unit, other = make_unit(), make_unit()
    with desk(other):
        theirs, place = checklist(other), room(other)
    with desk(unit):
        held, closed = checklist(unit), room(unit, "X")
        with transaction():
            places.close_place(closed)
        for how, name in [({"place_id": place.id}, "place"), ({"place_id": closed.id}, "place")]:
            with wrong(name):
                inspections.open_inspection(unit.id, held, **how)
        day = date(2026, 5, 1)
        with wrong("due_on"):
            inspections.open_inspection(unit.id, held, starts_on=day, due_on=day - timedelta(days=1))
        with pytest.raises((InvalidData, NotFound)):
            inspections.open_inspection(unit.id, theirs)
        bare = inspections.create_checklist(unit.id, {"code": "bare", "title": "空"})
        with wrong("checklist"):
            inspections.open_inspection(unit.id, bare)
        inspections.set_active(held, False)
        with wrong("checklist"):
            inspections.open_inspection(unit.id, held)


def test_another_unit_and_the_wrong_position(app: Flask) -> None:
    unit, other = make_unit(), make_unit()
    with desk(unit):
        made = opened(unit)
    with desk(other):
        for call in (inspections.begin, inspections.finish):
            with pytest.raises(NotFound):
                call(made.id)
        with pytest.raises(NotFound):
            inspections.get_inspection(made.id)
        with pytest.raises(NotFound):
            inspections.save(made.id, {"bed": "pass"})
    with desk(unit, {inspections.VIEW, "case.view"}):
        for refused in (
            lambda: inspections.save(made.id, {"bed": "pass"}),
            lambda: inspections.skip(made.id, "no"),
            lambda: inspections.open_inspection(unit.id, checklist(unit)),
            lambda: inspections.save_draft(checklist(unit), []),
            lambda: inspections.create_plan(unit.id, {}),
        ):
            with pytest.raises(NotAllowed):
                refused()
    with desk(unit, {"case.view"}), pytest.raises(NotFound):
        inspections.get_inspection(made.id)


# --- uses of plugins ------------------------------------------------------------------------------------


def test_a_use_acts_only_where_its_plugin_is_on(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = make_unit()
    heard: list[str] = []

    def opens(_inspection: Inspection, finding: Finding) -> None:
        heard.append(finding.item_key)

    use = InspectionUse("tools.test", "Test", opens, lambda one: heard.append(str(one.score)), "tools")
    monkeypatch.setitem(app.extensions[uses.EXTENSION], use.code, use)
    switch_on(unit, "tools")
    bad = {"bed": "fail", "fridge": "9"}
    with desk(unit):
        held = inspections.define(unit.id, "use", "用途", use.code, ITEMS)
        with transaction():
            first = inspections.open_inspection(unit.id, held)
        inspections.finish(first.id, bad)
        assert heard == ["bed", "0.00"]
        assert session().scalar(select(func.count()).where(Record.type == "case")) == 0
    switch_off(unit, "tools")
    with desk(unit):
        with transaction():
            second = inspections.open_inspection(unit.id, held)
        inspections.finish(second.id, bad)
        assert heard == ["bed", "0.00"]
        assert session().scalar(select(func.count()).where(Record.type == "case")) == 1


@pytest.mark.parametrize("code", ["room", "hotel.room"])
def test_uses_begin_with_their_plugin(sqlite_app: Flask, code: str) -> None:
    with pytest.raises(ValueError, match=code):
        uses.register(Flask("x"), [InspectionUse(code, "x", plugin="tools")])


def test_newest_of_a_subject(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        held = checklist(unit)
        for day in (3, 1, 2):
            with transaction():
                made = inspections.open_inspection(
                    unit.id, held, subject="meal:lunch", starts_on=date(2026, 5, day), due_on=date(2026, 5, day)
                )
            if day != 3:
                inspections.finish(made.id, GOOD)
        newest = inspections.newest_of(unit.id, "meal:lunch")
        assert newest is not None and newest.starts_on == date(2026, 5, 2)
        assert inspections.newest_of(unit.id, "meal:dinner") is None
