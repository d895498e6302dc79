"""Template filters: moments in the unit's zone, money, telephone links."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from flask import current_app, g, request
from flask_babel import gettext as _
from flask_babel import ngettext
from markupsafe import Markup, escape

from core.kernel import clock
from core.kernel.i18n import current_locale

_STEPS = ((86400 * 365, "y"), (86400 * 30, "mon"), (86400, "d"), (3600, "h"), (60, "min"))


def _zone() -> ZoneInfo:
    return ZoneInfo(getattr(getattr(g, "unit", None), "timezone", None) or "Asia/Shanghai")


def localtime(value: datetime | None, seconds: bool = False) -> Markup | str:
    """Show a moment in the unit's zone as ``2026-11-21 09:30``; hovering tells how long ago."""
    if value is None:
        return ""
    here = value.astimezone(_zone())
    shown = here.strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")
    title = escape(relative(value))
    return Markup(f'<time datetime="{here.isoformat()}" title="{title}">{shown}</time>')  # noqa: S704 - escaped


def moment_text(value: datetime) -> str:
    """Say a moment in the unit's zone, to the second, where there is no page around it."""
    return value.astimezone(_zone()).strftime("%Y-%m-%d %H:%M:%S")


def relative(value: datetime) -> str:
    """Say how far a moment is from now: "3 hours ago", "in 2 days"."""
    gap = int((value - clock.now()).total_seconds())
    text = duration(abs(gap))
    return _("in %(time)s", time=text) if gap > 0 else _("%(time)s ago", time=text)


def span(seconds: int) -> str:
    """Say a length of time in its two largest units: "2 hours 5 minutes"."""
    places = [place for place, (size, _word) in enumerate(_STEPS) if seconds >= size]
    if not places:
        return duration(seconds)
    first = places[0]
    rest = seconds % _STEPS[first][0]
    below = first + 1 < len(_STEPS) and rest >= _STEPS[first + 1][0]
    whole = duration(seconds)
    return f"{whole} {_said(rest, _STEPS[first + 1])}" if below else whole


def duration(seconds: int) -> str:
    """Say a length of time in its largest unit: "3 hours"."""
    for step in _STEPS:
        if seconds >= step[0]:
            return _said(seconds, step)
    return _("less than a minute")


def _said(seconds: int, step: tuple[int, str]) -> str:
    words: dict[str, Callable[[int], str]] = {
        "y": lambda n: ngettext("%(num)d year", "%(num)d years", n),
        "mon": lambda n: ngettext("%(num)d month", "%(num)d months", n),
        "d": lambda n: ngettext("%(num)d day", "%(num)d days", n),
        "h": lambda n: ngettext("%(num)d hour", "%(num)d hours", n),
        "min": lambda n: ngettext("%(num)d minute", "%(num)d minutes", n),
    }
    size, word = step
    return words[word](seconds // size)


def money(value: Decimal | int | None) -> str:
    """Show an amount in yuan: ``¥1,234.50``, ``-¥80.00``; '' for None."""
    if value is None:
        return ""
    return f"{'-' if value < 0 else ''}¥{abs(Decimal(value)):,.2f}"


def cell(value: Any, kind: str = "text") -> Any:
    """Show a list cell's plain value by its kind (badges are drawn by the template)."""
    if value is None or value == "":
        return ""
    if kind == "money":
        return money(value)
    if kind == "bool":
        return _("Yes") if value else _("No")
    if isinstance(value, datetime):
        return localtime(value)
    if isinstance(value, date):
        return value.isoformat()
    return escape(value)


def draw_rows(page: Any, pick: bool = False) -> Markup:
    """Draw the rows of a list's ``Page``, with a box to choose each where ``pick``.

    Python, not a template: a page has hundreds of cells.
    """
    starts = [(_cell_start(one), one) for one in page.columns]
    box = _("Choose %(name)s") if pick else ""
    tone = page.spec.row_tone or (lambda _row: "")
    rows = (f'<tr data-row class="row-{escape(tone(row))}">{_draw_row(starts, row, box)}</tr>' for row in page.rows)
    return Markup("\n".join(rows))  # noqa: S704 - every part is escaped


def _cell_start(one: Any) -> str:
    kinds = f"kind-{escape(one.kind)} card-{escape(one.card)} column-{escape(one.key)}"
    return f'<td class="{kinds}" data-label="{escape(one.label)}">'


def _draw_row(starts: Sequence[tuple[str, Any]], row: Any, box: str) -> str:
    cells = [f"{start}{_draw_cell(column, row, n == 0)}</td>" for n, (start, column) in enumerate(starts)]
    return _draw_box(row, box) + "".join(cells) if box else "".join(cells)


def _draw_box(row: Any, words: str) -> str:
    label = escape(words % {"name": row})
    return (
        f'<td class="pick"><input type="checkbox" name="id" value="{escape(row.id)}" data-pick '
        f'aria-label="{label}"></td>'
    )


def _draw_cell(column: Any, row: Any, first: bool) -> str:
    """Draw one cell of a list (a ``ListColumn``); '' when empty, so that a phone card leaves the line out."""
    value = column.value(row)
    if column.kind == "badge":
        return draw_badge(*value) if value else ""
    shown = escape(cell(value, column.kind))
    url = column.link(row) if column.link else ""
    if not url:
        return shown
    mark = " data-row-link" if first else ""
    return f'<a href="{escape(url)}"{mark}>{shown or "—"}</a>'


def draw_badge(label: Any, tone: str = "neutral", icon: str = "") -> Markup:
    """Draw a status badge: words, with a colour and perhaps a sign beside them."""
    sign = draw_icon(icon) if icon else ""
    return Markup(f'<span class="badge tone-{escape(tone)}">{sign}{escape(label)}</span>')  # noqa: S704 - escaped


def draw_icon(name: str) -> Markup:
    """Draw a decorative icon of the sprite."""
    target = escape(f"{ui_url('icons.svg')}#{name}")
    return Markup(f'<svg class="icon" aria-hidden="true"><use href="{target}"></use></svg>')  # noqa: S704 - escaped


_STATIC = Path(__file__).parent / "static"
_stamps: dict[str, str] = {}


def ui_url(filename: str) -> str:
    """Return the address of a static file with a stamp, so that a new release is fetched at once."""
    if filename not in _stamps:
        _stamps[filename] = format(int((_STATIC / filename).stat().st_mtime), "x")
    return f"{request.script_root}/ui/{filename}?v={_stamps[filename]}"


MOST_DRAWN = 500


def kept(name: str, *key: Any, caller: Callable[[], Markup]) -> Markup:
    """Draw a piece of a page once for each key: ``{% call kept("help") %}...{% endcall %}``.

    ``key`` says all the piece depends on beside language and mount point. Nothing secret or of one request only
    (tokens, names of customers) stands in such a piece.
    """
    whole = (name, current_locale(), request.script_root, *key)
    drawn: dict[tuple[Any, ...], Markup] = current_app.extensions.setdefault("drawn", {})
    found = drawn.get(whole)
    if found is None:
        if len(drawn) >= MOST_DRAWN:
            drawn.clear()
        found = drawn[whole] = caller()
    return found


FILTERS: dict[str, Callable[..., Any]] = {
    "localtime": localtime,
    "relative": relative,
    "duration": duration,
    "span": span,
    "money": money,
    "cell": cell,
}
