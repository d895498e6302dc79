"""Charts as SVG pictures of our own, shown as <img>: no page needs a script for them.

A page puts the numbers it has counted into the picture's signed address, so that drawing costs no second count.
Beside every chart stands a table with the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Response, current_app
from itsdangerous import BadData, URLSafeSerializer

from core.kernel.errors import NotFound

LINE, BARS, NUMBERS = "line", "bars", "numbers"
SIZES = {"wide": (620, 300), "narrow": (340, 260)}
FONT = '"PingFang SC", "Noto Sans SC", "Noto Sans CJK SC", "Microsoft YaHei", system-ui, sans-serif'
INK, MUTED, GRID = "#1b2434", "#566176", "#e2e7ef"
# Dark enough beside white, light enough to write on.
COLOURS = ("#8ca4f7", "#f0b765", "#7cc79d", "#b79be6")
MOST_BARS = 10
# The picture carries its own style element and nothing else; as an <img> it runs no script anyway.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def address(kind: str, labels: Sequence[str], series: Sequence[tuple[str, Sequence[float | None]]]) -> str:
    """Return the signed word under which ``picture`` draws one or more series of values by label.

    They are percentages, but for ``NUMBERS``: bars as long as they need be.
    """
    return str(_signer().dumps([kind, list(labels), [[str(name), list(values)] for name, values in series]]))


def picture(word: str, size: str) -> Response:
    """Draw a chart.

    Raises:
        NotFound: the word is not one of ours, or there is no such size.
    """
    try:
        kind, labels, series = _signer().loads(word)
    except BadData:
        raise NotFound() from None
    if size not in SIZES:
        raise NotFound()
    answer = Response(_draw(kind, labels, series, size), mimetype="image/svg+xml")
    answer.headers["Content-Security-Policy"] = POLICY
    return answer


def _signer() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.secret_key or "", salt="chart")


def _draw(kind: str, labels: list[str], series: list[Any], size: str) -> str:
    import pygal  # slow to load, and few requests draw

    make = pygal.Line if kind == LINE else pygal.HorizontalBar
    width, height = SIZES[size]
    many = len(labels) > 6
    if kind != LINE:
        if kind == BARS and size == "narrow":
            labels = [one.partition(" ")[0] for one in labels]
        height = 70 + 30 * len(labels) * len(series)
    chart = make(
        width=width,
        height=height,
        style=_style(size),
        js=[],
        show_legend=len(series) > 1,
        legend_at_bottom=True,
        legend_box_size=10,
        **({} if kind == NUMBERS else {"range": (0, 100), "y_labels": (0, 50, 100)}),
        # A year of numbers has no room on a phone: they stand in the table.
        print_values=not (kind == LINE and many and size == "narrow"),
        value_formatter=lambda value: _said(value, kind, many),
        margin=8,
        margin_left=8 + (0 if kind == LINE else _wide(labels)),
        margin_right=44,
        spacing=12,
        dots_size=4,
        truncate_label=-1 if kind == LINE else 26,
        x_label_rotation=35 if kind == LINE and len(labels) > (6 if size == "wide" else 3) else 0,
        no_data_text="—",
        disable_xml_declaration=True,
    )
    chart.add_xml_filter(_without_scripts)
    # Bars are drawn from below: the first label is to stand on top.
    step = 1 if kind == LINE else -1
    chart.x_labels = labels[::step]
    for name, values in series:
        chart.add(name, values[::step])
    drawn: str = chart.render()
    return drawn


def _said(value: float | None, kind: str, many: bool) -> str:
    if value is None:
        return ""
    if kind == NUMBERS:
        return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"
    return f"{value:.0f}%" if many else f"{value:g}%"


def _wide(labels: Sequence[str]) -> int:
    """Return what the longest label needs beyond pygal's guess, which knows Latin letters only."""
    return max((4 * sum(not letter.isascii() for letter in one[:26]) for one in labels), default=0)


def _style(size: str) -> Any:
    from pygal.style import Style

    letters = 13 if size == "wide" else 12
    return Style(
        background="transparent",
        plot_background="transparent",
        foreground=INK,
        foreground_strong=INK,
        foreground_subtle=MUTED,
        guide_stroke_color=GRID,
        major_guide_stroke_color=GRID,
        guide_stroke_dasharray="none",
        major_guide_stroke_dasharray="none",
        opacity="1",
        opacity_hover="1",
        transition="none",
        colors=COLOURS,
        font_family=FONT,
        value_font_family=FONT,
        label_font_family=FONT,
        major_label_font_family=FONT,
        legend_font_family=FONT,
        label_font_size=letters,
        major_label_font_size=letters,
        value_font_size=letters,
        legend_font_size=letters,
        no_data_font_size=24,
        stroke_width=2.5,
        value_colors=(INK,) * len(COLOURS),
    )


def _without_scripts(root: Any) -> Any:
    for parent in list(root.iter()):
        for child in list(parent):
            if str(child.tag).endswith("script"):
                parent.remove(child)
    return root
