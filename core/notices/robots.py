"""A unit's group robots: set up, tried out, and told what happens, with nothing of the customer in it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, cast
from urllib.parse import urlsplit

from flask_babel import force_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import CursorResult, or_, update

from core.kernel import clock
from core.kernel.access import require
from core.kernel.database import release, session, transaction
from core.kernel.errors import AppError, InvalidData
from core.kernel.i18n import LOCALES
from core.kernel.ids import uuid7
from core.kernel.secrets import seal, unseal
from core.units.models import Unit

from . import kinds, transport, words
from .models import FAILED, SENT, Delivery, Robot

ADMIN = "robot.admin"
# WeCom and DingTalk take 20 messages a minute.
GAP = timedelta(seconds=4)


def save_robot(unit_id: int, values: Mapping[str, Any], row: Robot | None = None) -> Robot:
    """Add a robot to a unit, or change one; an empty address leaves the one it has, and its secret.

    Raises:
        NotAllowed: without the permission.
        InvalidData: an address that does not fit, or kinds that groups are not told of.
    """
    require(ADMIN, unit_id)
    kind = str(values["kind"])
    told = sorted(set(values.get("kinds") or ()))
    if set(told) - {code for code, _words in kinds.for_robots()}:
        raise InvalidData({"kinds": _l("Please choose from the list")})
    url = (values.get("url") or "").strip()
    if not url and (row is None or row.kind != kind):
        raise InvalidData({"url": _l("Please fill this in")})
    if not url and values.get("secret"):
        raise InvalidData({"url": _l("Please enter the address together with its secret")})
    if row is None:
        row = Robot(unit_id=unit_id)
        session().add(row)
    if url:
        address = transport.read_address(kind, url, values.get("secret") or "")
        row.address = seal(json.dumps({"url": address.url, "token": address.token, "secret": address.secret}))
    row.name, row.kind, row.kinds = values["name"], kind, told
    row.locale, row.active = values.get("locale") or "zh", bool(values.get("active"))
    session().flush()
    return row


def address_of(row: Robot) -> transport.Address:
    """Return where a robot is, in clear: for sending only.

    Raises:
        NotTaken: it was sealed under another key of the deployment.
    """
    kept = unseal(row.address)
    if not kept:
        raise transport.NotTaken(_l("The robot's address cannot be read any more; please enter it again"))
    return transport.Address(**json.loads(kept))


def masked(row: Robot) -> str:
    """Return enough of a robot's address to tell it from others, and too little to use it."""
    kept = unseal(row.address)
    if not kept:
        return ""
    known = json.loads(kept)
    host = urlsplit(known["url"]).hostname or ""
    return f"{host} …{known['token'][-4:]}" if known["token"] else f"{host}/…"


def claim(robot_id: int) -> bool:
    """Tell whether a message may be sent to a robot now, and keep others from it for a few seconds."""
    moment = clock.now()
    free = update(Robot).where(Robot.id == robot_id, or_(Robot.next_at.is_(None), Robot.next_at <= moment))
    options = {"audited": "bookkeeping, not worth an entry", "synchronize_session": False}
    with transaction() as work:
        done = work.execute(free.values(next_at=moment + GAP), execution_options=options)
    return cast("CursorResult[Any]", done).rowcount > 0


def tell(row: Robot, unit: Unit, items: Sequence[words.Item], text: str) -> None:
    """Send one message to a robot; nothing is written.

    Raises:
        AppError: it was not taken.
    """
    data = {
        "text": text,
        "unit": unit.code,
        "notices": [
            {"kind": one.kind, "number": one.number, "state": one.state, "due": one.due, "url": one.url}
            for one in items
        ],
    }
    transport.send(row.kind, address_of(row), text, data)


def test(row: Robot) -> Delivery:
    """Send a test message to a robot now, and keep how it went. Opens transactions of its own.

    Raises:
        NotAllowed: without the permission.
        InvalidData: a message went there a moment ago.
    """
    require(ADMIN, row.unit_id)
    if not claim(row.id):
        raise InvalidData({"": _l("A message was sent there a moment ago; please wait a few seconds")})
    unit = session().get_one(Unit, row.unit_id)
    with force_locale(LOCALES[row.locale]):
        item = words.Item(kinds.TEST, _("This is a test message; nothing has happened."), "", "", "", "")
        text = words.group_text(row, unit, [item])
    release()
    problem = ""
    try:
        tell(row, unit, [item], text)
    except AppError as error:
        problem = "; ".join(str(one) for one in error.texts())[:500]
    moment = clock.now()
    with transaction() as work:
        made = Delivery(
            unit_id=row.unit_id,
            key=f"test:{uuid7().hex}",
            robot_id=row.id,
            kind=kinds.TEST,
            channel="robot",
            address=masked(row),
            subject=row.name,
            body=text,
            state=FAILED if problem else SENT,
            tries=1,
            next_try_at=moment,
            error=problem,
            created_at=moment,
            sent_at=None if problem else moment,
        )
        work.add(made)
        work.flush()
        return made
