"""Files of agents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import Importer, InvalidData, Plan, Row, SheetColumn, session

from . import file, values
from .models import Agent, Contact
from .rights import KEEP

# Words of the files, by code; small letters.
KIND_WORDS = {
    **{code: code for code, _label in values.KINDS},
    **dict.fromkeys(("代理商", "代理", "经销商", "agent"), values.AGENT),
    **dict.fromkeys(("合作厂", "合作方", "合作单位", "韩方合作厂", "partner"), values.PARTNER),
    **dict.fromkeys(("服务商", "服务代理", "服务站", "维修商", "service agent"), values.SERVICE),
}
LEVEL_WORDS = {
    **{code: code for code, _label in values.LEVELS},
    **dict.fromkeys(("总代理", "总代", "一般代理", "general agent"), "general"),
    **dict.fromkeys(("一级", "一级代理", "1级", "1", "first level"), "first"),
    **dict.fromkeys(("二级", "二级代理", "2级", "2", "second level"), "second"),
}
_PLAIN = tuple(one.name for one in file.FIELDS)


class AgentImporter(Importer):
    """The list of agents and partners (代理商档案), each with one contact. A name on file updates that agent."""

    key = "agents-file"
    title = _l("Agents and partners")
    permission = KEEP
    along = {Agent: (Contact,)}
    columns = (
        SheetColumn("name", _l("Name"), ("名称", "代理商名称", "代理商", "单位名称", "公司名称"), required=True),
        SheetColumn("kind", _l("Kind"), ("类型", "类别", "性质"), help=_l("Empty: agent")),
        SheetColumn("level", _l("Level"), ("级别", "代理级别", "等级")),
        SheetColumn("regions", _l("Regions"), ("区域", "代理区域", "地区", "销售区域")),
        SheetColumn("phone", _l("Phone"), ("电话", "联系电话", "公司电话")),
        SheetColumn("email", _l("E-mail address"), ("邮箱", "电子邮箱", "email", "e-mail")),
        SheetColumn("tax_number", _l("Tax number"), ("税号", "纳税人识别号", "统一社会信用代码")),
        SheetColumn("address", _l("Address"), ("地址", "单位地址")),
        SheetColumn("bank", _l("Bank and account"), ("开户行及账号", "银行账号", "开户行")),
        SheetColumn("note", _l("Note"), ("备注",)),
        SheetColumn("contact", _l("Contact name"), ("联系人", "联系人姓名", "负责人")),
        SheetColumn("contact_phone", _l("Phone of the contact"), ("联系人电话", "手机", "联系人手机")),
    )

    def check_rows(self, unit_id: int, rows: Sequence[Row], memory: dict[str, Any]) -> list[Plan]:
        known = file.agents_by_text(unit_id)
        people = _people_of(
            [one.id for one in (known.get(file.fold(row.values.get("name"))) for row in rows) if one]
        )
        return [_plan(row, known.get(file.fold(row.values.get("name"))), people, memory) for row in rows]

    def apply_rows(self, unit_id: int, plans: Sequence[Plan], memory: dict[str, Any]) -> None:
        known = file.agents_by_text(unit_id)
        for plan in plans:
            if plan.action not in ("create", "update"):
                continue
            held = known.get(file.fold(plan.values["agent"]["name"]))
            agent = file.save_agent(unit_id, plan.values["agent"], held)
            if plan.values["contact"]:
                file.save_contact(agent, plan.values["contact"])


def _people_of(agent_ids: Sequence[int]) -> dict[int, set[str]]:
    """Return the folded names of the agents' people, in one statement."""
    found: dict[int, set[str]] = {}
    rows = select(Contact.agent_id, Contact.name).where(Contact.agent_id.in_(agent_ids))
    for row in session().execute(rows):
        found.setdefault(row.agent_id, set()).add(file.fold(row.name))
    return found


def _plan(row: Row, held: Agent | None, people: Mapping[int, set[str]], memory: dict[str, Any]) -> Plan:
    cells = row.values
    errors: dict[str, Any] = {}
    plan = Plan(row.line, "create" if held is None else "update", label=cells.get("name", ""))
    raw = _raw(cells, held, errors)
    given = file.read_agent(raw, errors)
    if held is not None and (problem := file.kind_problem(held, given["kind"])):
        errors.setdefault("kind", problem)
    contact = _contact(cells, held, people, errors)
    line = memory.setdefault("seen", {}).setdefault(file.fold(given["name"]), row.line)
    if line != row.line:
        errors.setdefault("name", _l("Line %(line)d is about this agent already", line=line))
    plan.errors = [
        (name, text)
        for name, texts in errors.items()
        for text in (texts if isinstance(texts, list | tuple) else [texts])
    ]
    plan.values = {"agent": raw, "contact": contact}
    if held is not None and not contact and all(getattr(held, name) == given[name] for name in _PLAIN):
        plan.action = "same"
    if held is not None and not held.active:
        plan.warnings.append(_l("This agent is out of use"))
    return plan


def _raw(cells: Mapping[str, str], held: Agent | None, errors: dict[str, Any]) -> dict[str, Any]:
    """Return the input of the service; what a cell leaves empty stays as it is on file."""
    raw: dict[str, Any] = {"kind": values.AGENT}
    if held is not None:
        raw = {name: getattr(held, name) for name in _PLAIN}
    raw |= {name: cells[name] for name in _PLAIN if cells.get(name)}
    for name, words in (("kind", KIND_WORDS), ("level", LEVEL_WORDS)):
        text = cells.get(name, "")
        if not text:
            continue
        raw[name] = words.get(text.lower(), "")
        if not raw[name]:
            errors[name] = _l("“%(text)s” is not known here", text=text)
    return raw


def _contact(
    cells: Mapping[str, str], held: Agent | None, people: Mapping[int, set[str]], errors: dict[str, Any]
) -> dict[str, str]:
    """Return the person a row adds, {} where none is named or the agent has them already."""
    name = cells.get("contact", "")
    if not name:
        return {}
    if held is not None and file.fold(name) in people.get(held.id, ()):
        return {}
    raw = {"name": name, "role": values.BUSINESS, "phone": cells.get("contact_phone", "")}
    try:
        file.read_contact(raw)
    except InvalidData as bad:
        errors |= {f"contact_{key}" if key == "phone" else "contact": texts for key, texts in bad.errors.items()}
    return raw


def importers() -> list[Importer]:
    """Return what can be taken over."""
    return [AgentImporter()]
