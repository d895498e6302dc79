"""Scanning (扫码): a typed number, a photo of a label or bar code, and the short links that labels carry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import g, redirect, request, url_for
from flask_admin import expose
from flask_babel import lazy_gettext as _l

from core.admin.categories import WORK
from core.admin.urls import local_path
from core.admin.views import Answer, Screen, may_here
from core.documents import labels, scan
from core.kernel.database import reading
from core.kernel.errors import AppError, InvalidData
from core.kernel.extensions import AdminEntry
from core.kernel.fields import normalise
from core.records.models import OPEN, PAUSED, SOLVED, Record

from .search import LISTED, Group, find, numbered


@dataclass(frozen=True)
class Choice:
    """One of several codes in a photo: where it leads, and what it says."""

    label: Any
    detail: Any
    url: str


class ScanScreen(Screen):
    """Type a number or photograph a label; lands on what it belongs to."""

    icon = "scan"

    @property
    def on_bottom_bar(self) -> bool:  # type: ignore[override]
        """For those who go to the machines; whoever takes cases in has the list of cases there."""
        return not may_here("case.create")

    @expose("/")
    def index(self) -> Answer:
        """Ask for a number or a photo; a typed one is looked up."""
        text = normalise(request.args.get("q", ""))[:60]
        if not text:
            return self._page()
        code = scan.understand(text).ours
        if code:
            return redirect(url_for("q.open", label_id=code))
        record_id = numbered(text)
        if record_id is not None:
            return redirect(url_for("record.page", record_id=record_id))
        groups = find(text, LISTED)
        hits = [hit for group in groups for hit in group.hits]
        if len(hits) == 1 and not any(group.failed for group in groups):
            return redirect(local_path(hits[0].url, self.get_url(".index")))
        return self._page(text=text, groups=groups)

    @expose("/photo", methods=("GET", "POST"))
    def photo(self) -> Answer:
        """Read the codes of a photo."""
        sent = request.files.get("photo")
        if request.method != "POST":
            return redirect(self.get_url(".index"))
        if sent is None or not sent.filename:
            return self._page(problem=_l("Choose or take a photo first."), status=422)
        try:
            with reading():
                codes = scan.read_photo(sent.stream)
                return self._found(codes)
        except InvalidData as bad:
            return self._page(problem=bad.texts()[0], status=422)

    def _found(self, codes: Sequence[scan.Code]) -> Answer:
        if not codes:
            return self._page(nothing=True)
        if len(codes) == 1:
            return redirect(self._address(codes[0]))
        return self._page(choices=[self._choice(code) for code in codes])

    def _address(self, code: scan.Code) -> str:
        if code.ours:
            return url_for("q.open", label_id=code.ours)
        return str(self.get_url(".index", q=code.text[:60]))

    def _choice(self, code: scan.Code) -> Choice:
        """Say what a code leads to; a label of something this reader may not see tells nothing but its code."""
        if not code.ours:
            return Choice(code.text, _l("Look this up"), self._address(code))
        try:
            found = labels.target(code.ours)
        except AppError:
            return Choice(code.ours, _l("Not found"), self._address(code))
        record = found.record
        return Choice(record.number if record else code.ours, record.title if record else "", self._address(code))

    def _page(
        self,
        text: str = "",
        groups: Sequence[Group] = (),
        choices: Sequence[Choice] = (),
        problem: Any = "",
        nothing: bool = False,
        status: int = 200,
    ) -> Answer:
        shown = self.render(
            "admin/scan.html", text=text, groups=groups, choices=choices, problem=problem, nothing=nothing
        )
        return (shown, status) if status != 200 else shown


class LinkScreen(Screen):
    """The short links of labels: ``/q/<code>``."""

    def is_visible(self) -> bool:
        """Reached from labels only."""
        return False

    @expose("/")
    def index(self) -> Answer:
        return redirect(url_for("scan.index"))

    @expose("/<label_id>")
    def open(self, label_id: str) -> Answer:
        """Lead on to what a label belongs to; what one may not see looks like what is not there."""
        found = labels.target(label_id)
        if found.record is not None:
            return redirect(page_of(found.record))
        return redirect(local_path(found.url, url_for("scan.index")))


def page_of(record: Record) -> str:
    """Return the page of a record: the phone page where it is the actor's own job, else the whole one."""
    running = record.category in (OPEN, PAUSED, SOLVED) and record.state != "confirmed"
    if running and g.actor is not None and record.assignee_id == g.actor.id:
        return url_for("my.job", record_id=record.id)
    return url_for("record.page", record_id=record.id)


def admin_views() -> list[AdminEntry]:
    """Return the page of scanning and the links of labels."""
    return [
        AdminEntry(ScanScreen(name=_l("Scan"), endpoint="scan", url="/scan"), WORK, 8),
        AdminEntry(LinkScreen(name=_l("Label"), endpoint="q", url="/q"), WORK, 99),
    ]
