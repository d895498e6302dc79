"""The clauses about prices, displays, the showroom and stock counts."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from core.sdk import ApprovalRule, GateRule, RecordRule, Rule, ScheduleRule, inspections

from . import count_flow, price_flow, prices, showroom, showroom_flow

FINISH = f"{showroom_flow.CODE}.finish"
RULES: list[Rule] = [
    ApprovalRule(
        clause=price_flow.AUTHORITY, step=price_flow.APPROVE, title=_l("New prices"), position_from="position"
    ),
    GateRule(clause=price_flow.NOT_PAST, step=prices.STARTS, check=prices.not_past, code="past"),
    GateRule(clause=price_flow.NOT_PAST, step=price_flow.APPROVE, check=price_flow.begins_in_the_past, code="past"),
    ApprovalRule(
        clause=count_flow.DIFFERENCES,
        step=count_flow.CLOSE,
        title=_l("Differences of a stock count"),
        position_from="position",
        wanted=count_flow.has_differences,
    ),
    GateRule(
        clause=count_flow.DIFFERENCES, step=count_flow.CLOSE, check=count_flow.counted_himself, code="counted"
    ),
    GateRule(clause=count_flow.DIFFERENCES, step=count_flow.CLOSE, check=count_flow.no_reason, code="reason"),
    ScheduleRule(clause=count_flow.RECURRING, title=_l("Count the stock")),
    # The change of season before the upkeep: periods of one clause go on from the latest of all its subjects.
    ScheduleRule(
        clause=showroom.UPKEEP,
        title=_l("Change the displays for the season"),
        interval="season",
        subjects=showroom.season,
        makes=showroom_flow.CODE,
        make=showroom.make_season,
    ),
    ScheduleRule(
        clause=showroom.UPKEEP,
        title=_l("Keep up the displays"),
        subjects=showroom.displays,
        makes="inspection",
        make=inspections.maker(showroom.DISPLAY_LIST),
    ),
    ScheduleRule(
        clause=showroom.CONDUCT,
        title=_l("Go through the checklist of conduct"),
        subjects=showroom.whole_store,
        makes="inspection",
        make=inspections.maker(showroom.CONDUCT_LIST),
    ),
    *(RecordRule(clause=one, step=FINISH, fields=("result",)) for one in ("R24-1.4", "R24-1.6", showroom.UPKEEP)),
]
