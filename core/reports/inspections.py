"""How inspections went: by month, checklist and place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import BigInteger, cast, func, select

from core.inspections import services as inspections
from core.inspections.models import Checklist, Inspection
from core.kernel.database import session
from core.kernel.extensions import Report, ReportColumn
from core.kernel.fields import Field
from core.places.models import Place

from . import periods

_POINT = Decimal("0.01")


def _scores(units: Sequence[int], values: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Count what was finished in each month of the period. Months are those of the first unit's zone."""
    # Whole hundredths: SQLite would add decimals as floats.
    points = func.sum(cast(func.round(Inspection.score * 100), BigInteger))
    for month in periods.of(values, units[0]).months():
        start, end = periods.moments(month, units[0])
        found = (
            select(
                Checklist.title,
                Checklist.title_en,
                Place.code,
                Place.name,
                func.count(Inspection.id),
                func.count(Inspection.score),
                points,
                func.sum(Inspection.failed),
            )
            .join(Checklist, Checklist.id == Inspection.checklist_id)
            .outerjoin(Place, Place.id == Inspection.place_id)
            .where(Inspection.unit_id.in_(units))
            .where(Inspection.finished_at >= start, Inspection.finished_at < end)
            .group_by(Checklist.title, Checklist.title_en, Place.code, Place.name)
            .order_by(Checklist.title, Place.code)
        )
        if values.get("checklist"):
            found = found.where(Checklist.code == values["checklist"])
        for title, title_en, code, name, count, scored, total, failed in session().execute(found):
            place = " ".join(dict.fromkeys(part for part in (code, name) if part))
            yield {
                "month": f"{month.first:%Y-%m}",
                "checklist": inspections.in_words({"title": title, "title_en": title_en}, "title"),
                "place": place or _("Without a place"),
                "finished": count,
                "scored": scored,
                "points": (Decimal(int(total or 0)) / 10000).quantize(_POINT, ROUND_HALF_UP),
                "failed": int(failed or 0),
            }


SCORES = Report(
    code="inspections.scores",
    title=_l("Scores of inspections"),
    permission="report.view",
    columns=(
        ReportColumn("month", _l("Month")),
        ReportColumn("checklist", _l("Inspection checklist")),
        ReportColumn("place", _l("Place or room")),
        ReportColumn("finished", _l("Finished inspections"), "number", total=True),
        ReportColumn("scored", _l("Of these scored"), "number", total=True),
        ReportColumn("points", _l("Points (1 for each full score)"), "number", total=True),
        ReportColumn("score", _l("Average score"), "percent", share=("points", "scored")),
        ReportColumn("failed", _l("Failed items"), "number", total=True),
    ),
    rows=_scores,
    filters=(*periods.fields(), Field("checklist", "text", _l("Code of a checklist"), max_length=40)),
    group_by=("month", "checklist", "place"),
    chart=("checklist", "finished"),
    help=_l(
        "Inspections finished in the period. Scores are shares of weights passed; what does not apply is left out."
    ),
)
