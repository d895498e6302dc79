"""A selection printed in one go: each thing gets its own document, and all of them come as one PDF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.kernel import jobs
from core.kernel.database import current_scope, transaction
from core.kernel.errors import AppError, InvalidData, NotFound
from core.kernel.jobs import Job, JobRun, Work

from .services import form_of, issue, typeset

MOST = 1000
NAMED = 20  # so many of those left out are named in the result


def start_many(form_code: str, ids: Sequence[object], locale: str, unit_id: int, base: str = "") -> JobRun:
    """Begin to issue a form for many things and to set them in one PDF, in the order given.

    Raises:
        NotFound: no such form, or not one of this unit. InvalidData: nothing chosen, or more than a thousand.
    """
    form = form_of(form_code)
    if unit_id not in current_scope().write:
        raise NotFound()
    wanted = list(dict.fromkeys(str(one) for one in ids))
    if not wanted:
        raise InvalidData({"id": _l("Choose at least one row first.")})
    if len(wanted) > MOST:
        raise InvalidData({"id": _l("At most %(count)d at once", count=MOST)})
    payload = {"form": form.code, "ids": wanted, "locale": locale, "base": base}
    return jobs.start(PRINT_MANY.name, unit_id, payload, _("Print: %(form)s", form=form.title))


def _print_many(work: Work) -> Mapping[str, Any]:
    """Issue one by one, then set all. Unchanged data answers the same document: a second run doubles nothing."""
    given = work.payload
    form, locale, ids = form_of(given["form"]), given["locale"], given["ids"]
    prints: list[dict[str, Any]] = []
    left_out: list[str] = []
    for place, one in enumerate(ids, 1):
        try:
            with transaction():
                prints.append(dict(issue(form.code, one, locale, given["base"]).data))
        except AppError as bad:
            left_out.append(f"{one}: " + "; ".join(str(text) for text in bad.texts()))
        work.progress(place, len(ids), _("Issued"))
    if not prints:
        raise InvalidData({"id": left_out[:NAMED]})
    made = jobs.keep_result(typeset(form, locale, prints), f"{form.title}.pdf")
    return {**made, "count": len(prints), "left_out": left_out[:NAMED], "left_out_count": len(left_out)}


PRINT_MANY = Job("documents.print_many", _l("Print a selection"), _print_many)
