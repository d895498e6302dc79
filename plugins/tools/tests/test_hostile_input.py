"""Whatever is typed into a form of tools is answered in words: nothing crashes, nothing is done by mistake."""

from __future__ import annotations

import itertools
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from core.users.permissions import all_permissions
from plugins.tools import clearance, counts, incidents, purchase, values
from tests.helpers import login, make_user
from tests.test_bad_input import HOSTILE, _Forms

from .scene import Place, make_place

# What these pages link to is tried as well.
_OURS = re.compile(r'href="(/(?:admin/tools/|p/tools/|admin/record/\d+)[^"#]*)"')
# Of a list's addresses one query is as good as another; files are no pages.
_SKIPPED = re.compile(r"/(export|static|attachments?|print|label)\b|[?&](f_|sort|q=|quick|page|cols)")
NEW = ("tools", "kinds", "kits", "stores", "departments", "repairers", "places", "permits", "purchases")


def _filled(place: Place) -> list[int]:
    """Make one of every record; return their ids."""
    tool, lent, broken = place.tools(3)
    place.issue(place.ann, lent, broken)
    found = [tool, lent, broken, place.offer(values.USE, place.store, place.person(place.bob), [tool])]
    with place.acting():
        found.append(counts.begin(place.unit.id, {"party": place.store}).id)
        said = {"kind": values.DEFECT, "tool": broken, "what": "不亮"}
        found.append(incidents.report(place.unit.id, said).id)
    with place.acting(place.manager):
        given = {"kind": values.LEAVER, "user_id": place.ann.id, "last_day": "2026-03-31"}
        found.append(clearance.begin(place.unit.id, given).id)
        plan = {"kind": values.BY_NEED, "reason": "不够用", "lines": "测线器, 2, 120"}
        found.append(purchase.register(place.unit.id, plan).id)
    return found


def _pages(client: FlaskClient, records: list[int]) -> set[str]:
    seen: set[str] = set()
    waiting = ["/admin/", *(f"/admin/record/{key}" for key in records)]
    waiting += [f"/admin/tools/{name}/new/" for name in NEW]
    shapes: dict[str, int] = {}
    while waiting:
        url = waiting.pop()
        shape = re.sub(r"\d+", "N", url.partition("?")[0])
        if url in seen or shapes.get(shape, 0) >= 3 or _SKIPPED.search(url):
            continue
        seen.add(url)
        shapes[shape] = shapes.get(shape, 0) + 1
        answer = client.get(url)
        assert answer.status_code < 500, url
        if answer.mimetype == "text/html":
            waiting += [one.replace("&amp;", "&") for one in _OURS.findall(answer.text)]
    return seen


def test_no_form_of_tools_crashes_whatever_is_typed(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    place = make_place()
    records = _filled(place)
    everything = [one.code for one in all_permissions()]
    client = login(app.test_client(), make_user(place.unit, everything, username="anybody"))
    forms: dict[str, list[str]] = {}
    for page in sorted(_pages(client, records)):
        answer = client.get(page)
        if answer.mimetype != "text/html":
            continue
        for action, names in _Forms(answer.text).found:
            if "sign-out" not in action and ("tools" in (action or page) or "/record/" in (action or page)):
                forms[action or page] = sorted({*forms.get(action or page, ()), *names})
    assert len(forms) > 60, sorted(forms)
    crashed = []
    for typed, (action, names) in itertools.product(HOSTILE, forms.items()):
        answer = client.post(action, data=dict.fromkeys(names, typed))
        answer.close()
        if answer.status_code >= 500:
            crashed.append((action, typed[:12], answer.status_code))
    assert crashed == []
    assert [one.getMessage() for one in caplog.records if one.levelname == "ERROR"] == []
