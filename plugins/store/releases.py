"""Compliance papers of products (合规文件) and their release for sale (R02-4). One release a product at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    Field,
    InvalidData,
    NotFound,
    Record,
    RecordType,
    Refusal,
    Refused,
    Unit,
    answered_before,
    append_fact,
    clean,
    clock,
    create_record,
    detail_of,
    fetch,
    local_day,
    lock,
    publish,
    put_file,
    remember_answer,
    require,
    session,
    tell_of_fact,
    transaction,
)
from plugins.products import services as products

from . import goods, values
from .models import Paper, Release
from .release_flow import CODE, WORKFLOW
from .rights import QUALITY

CLAUSE = "R02-4"
FIELDS = (Field("model", "text", _l("Product"), True, max_length=80, help=_l("Bar code or model")),)
PAPER_FIELDS = (
    Field("kind", "choice", _l("Kind of paper"), True, values.PAPERS),
    Field("number", "text", _l("Number"), True, max_length=60),
    Field("issuer", "text", _l("Issued by"), max_length=120),
    Field("valid_from", "date", _l("Valid from")),
    Field("valid_until", "date", _l("Valid until"), help=_l("Leave empty where it has no end")),
)


def register(unit_id: int, raw: Mapping[str, Any], *, key: str = "") -> Record:
    """Begin the release of a product (``FIELDS``, permission ``QUALITY``).

    Raises:
        NotAllowed. InvalidData: beside the field: no such product, or it has a release already.
    """
    require(QUALITY, unit_id)
    given = clean(FIELDS, raw)
    model_id = goods.find_models(unit_id, [given["model"]]).get(given["model"])
    if model_id is None:
        raise InvalidData({"model": _l("There is no product “%(code)s”", code=given["model"])})
    with transaction():
        held = answered_before(unit_id, key, "store.release", raw)
        if held:
            return session().get_one(Record, held["record"])
        session().execute(select(Unit.id).where(Unit.id == unit_id).with_for_update(key_share=True))
        other = open_release(unit_id, model_id)
        if other is not None:
            text = _l("This product has a release already: %(number)s", number=other.record.number)
            raise InvalidData({"model": text})
        record = create_record(
            TYPE,
            unit_id,
            Release(model_id=model_id),
            title=goods.names_of([model_id])[model_id],
            customer_id=None,
            received_at=clock.now(),
            permission=QUALITY,
            facts=[("registered", {})],
        )
        publish("record.registered", unit_id, {"record_id": record.id, "type": CODE})
        remember_answer(unit_id, key, {"record": record.id})
        return record


def open_release(unit_id: int, model_id: int) -> Release | None:
    """Return the release of a product that was not withdrawn or cancelled, or None."""
    wanted = select(Release).where(
        Release.unit_id == unit_id, Release.model_id == model_id, Release.ended_at.is_(None)
    )
    return session().scalars(wanted).first()


# --- papers ----------------------------------------------------------------------------------------


def add_paper(record_id: object, raw: Mapping[str, Any], *, file: Any = None, key: str = "") -> Paper:
    """Enter a paper of a product (``PAPER_FIELDS``, permission ``QUALITY``); ``file``: as kept by ``keep_file``.

    Raises:
        NotFound, NotAllowed. InvalidData: beside the field: dates the wrong way round, a paper that ran out.
        Refused: the release ended.
    """
    with transaction():
        record = _open(record_id)
        held = answered_before(record.unit_id, key, f"store.paper:{record.id}", raw)
        if held:
            return session().get_one(Paper, held["paper"])
        given = clean(PAPER_FIELDS, raw)
        _check_dates(given, local_day(record.unit_id))
        given["issuer"] = given["issuer"] or ""
        row = Paper(unit_id=record.unit_id, release_id=record.id, **given)
        if file is not None:
            row.file_id = put_file(record, file, kind="paper").id
        session().add(row)
        session().flush()
        _told(record, "paper", row)
        remember_answer(record.unit_id, key, {"paper": row.id})
        return row


def strike_paper(record_id: object, paper_id: object) -> Paper:
    """Strike a paper out that was entered by mistake or counts no more; it stays to be seen.

    Raises:
        NotFound, NotAllowed. Refused: the release ended.
    """
    with transaction():
        record = _open(record_id)
        mine: Any = select(Paper).where(Paper.release_id == record.id)
        row = fetch(Paper, paper_id, query=mine)
        if row.struck_at is None:
            row.struck_at = clock.now()
            session().flush()
            _told(record, "struck", row)
        return row


def _check_dates(given: Mapping[str, Any], today: date) -> None:
    errors: dict[str, Any] = {}
    since, until = given["valid_from"], given["valid_until"]
    if since and until and until < since:
        errors["valid_until"] = _l("It ends before it begins")
    elif until and until < today:
        errors["valid_until"] = _l("This paper has run out")
    if errors:
        raise InvalidData(errors)


def _open(record_id: object) -> Record:
    record = lock(record_id)
    if record.type != CODE:
        raise NotFound()
    require(QUALITY, record.unit_id)
    if detail_of(record).ended_at is not None:
        raise Refused([Refusal("ended", _l("This release has ended"))])
    return record


def _told(record: Record, kind: str, paper: Paper) -> None:
    data = {"paper": paper.id, "kind": paper.kind}
    fact = append_fact(record, WORKFLOW.fact_kinds[kind], at=clock.now(), data=data, note=paper.number)
    session().flush()
    tell_of_fact(record, fact)


def papers(release_id: int) -> list[Paper]:
    """Return the papers of a release as entered, struck ones too."""
    return list(session().scalars(select(Paper).where(Paper.release_id == release_id).order_by(Paper.id)))


def is_valid(paper: Paper, day: date) -> bool:
    """Tell whether a paper counts on a day."""
    begun = paper.valid_from is None or paper.valid_from <= day
    return paper.struck_at is None and begun and (paper.valid_until is None or day <= paper.valid_until)


# --- asked before anything is sold -------------------------------------------------------------------


def no_papers(release: Release, day: date, kinds: Iterable[str] = ()) -> Any:
    """Return what is missing before a product may be released on a day, or None; ``kinds`` are wanted of papers."""
    valid = {one.kind for one in papers(release.id) if is_valid(one, day)}
    if not valid:
        return _l("There is no valid paper that shows that the product complies")
    missing = [str(label) for code, label in values.PAPERS if code in set(kinds) - valid]
    return _l("Papers are missing: %(kinds)s", kinds="、".join(missing)) if missing else None


def not_released(unit_id: int, model_ids: Iterable[int], day: date) -> dict[int, Any]:
    """Return why products may not be sold on a day, by model: not released, or all papers of a kind ran out.

    Released ones are left out. Two selects for any number of products.
    """
    keys = set(model_ids)
    wanted = select(Release).where(
        Release.unit_id == unit_id, Release.model_id.in_(keys), Release.ended_at.is_(None)
    )
    found = {one.model_id: one for one in session().scalars(wanted)}
    listed = select(Paper).where(
        Paper.release_id.in_([one.id for one in found.values()]), Paper.struck_at.is_(None)
    )
    held: dict[int, list[Paper]] = {}
    for paper in session().scalars(listed):
        held.setdefault(paper.release_id, []).append(paper)
    reasons: dict[int, Any] = {}
    for key in keys:
        release = found.get(key)
        if release is None or release.released_at is None:
            reasons[key] = _l("The product has not been released for sale")
            continue
        mine = held.get(release.id, [])
        out = {one.kind for one in mine} - {one.kind for one in mine if is_valid(one, day)}
        if out:
            names = "、".join(str(label) for code, label in values.PAPERS if code in out)
            reasons[key] = _l("Papers of the product ran out: %(kinds)s", kinds=names)
    return reasons


def search_text(record: Record, detail: Release) -> str:
    """Return the words a release is found by."""
    model = session().get(products.Model, detail.model_id)
    words = (record.number, record.title, model.code if model else "", *(one.number for one in papers(detail.id)))
    return "\n".join(one for one in words if one)


TYPE = RecordType(
    CODE, _l("Release for sale"), "SS", Release, WORKFLOW, search_text, intake=FIELDS, register=register
)
