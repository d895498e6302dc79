"""Saved views (常用筛选): a list's query string under a name, one's own or shared with a unit."""

from __future__ import annotations

from collections.abc import Sequence

from flask_babel import lazy_gettext as _l
from sqlalchemy import or_, select

from core.kernel.database import fetch, session
from core.kernel.errors import InvalidData, NotFound
from core.kernel.fields import normalise
from core.users.models import SavedView

MOST = 30


def views_for(list_name: str, actor_id: int | None, unit_id: int) -> Sequence[SavedView]:
    """Return the actor's own views of a list and those shared with the unit, pinned ones first."""
    return (
        session()
        .scalars(
            select(SavedView)
            .where(SavedView.list_name == list_name)
            .where(or_(SavedView.user_id == actor_id, SavedView.shared_unit_id == unit_id))
            .order_by(SavedView.pinned.desc(), SavedView.name)
            .limit(MOST)
        )
        .all()
    )


def save(list_name: str, name: str, query: str, actor_id: int, shared_unit_id: int | None = None) -> SavedView:
    """Save a query string under a name; the same name again replaces it.

    Raises:
        InvalidData: no name, or name or filters are too long.
    """
    name = normalise(name)
    if not name or len(name) > 40:
        raise InvalidData({"name": _l("Please give a name of at most 40 characters")})
    if len(query) > 1000:
        raise InvalidData({"name": _l("These filters are too long to be saved")})
    found = session().scalar(
        select(SavedView)
        .where(SavedView.list_name == list_name)
        .where(SavedView.user_id == actor_id, SavedView.name == name)
    )
    view = found or SavedView(list_name=list_name, name=name, user_id=actor_id)
    view.query, view.shared_unit_id = query, shared_unit_id
    session().add(view)
    session().flush()
    return view


def toggle_pin(raw_id: object, actor_id: int) -> None:
    """Pin or unpin one's own view."""
    view = _own(raw_id, actor_id)
    view.pinned = not view.pinned
    session().flush()


def drop(raw_id: object, actor_id: int) -> None:
    """Forget one's own view.

    Raises:
        NotFound: no such view, or somebody else's.
    """
    session().delete(_own(raw_id, actor_id))
    session().flush()


def _own(raw_id: object, actor_id: int) -> SavedView:
    view = fetch(SavedView, raw_id)
    if view.user_id != actor_id:
        raise NotFound()
    return view
