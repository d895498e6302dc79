"""The importer of customer files (客户台账): new ones, updates by number, duplicates offered for merging."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

from flask_babel import lazy_gettext as _l
from sqlalchemy import Table, select
from sqlalchemy.orm import selectinload
from sqlalchemy.orm.attributes import flag_modified

from core.kernel import clock, search
from core.kernel.bulk import bulk_insert
from core.kernel.database import session
from core.kernel.errors import InvalidData
from core.kernel.ids import uuid7
from core.kernel.importing import CREATE, DUPLICATE, SAME, UPDATE, Importer, Match, Plan, Row
from core.kernel.numbering import draw, raise_to, reserve_ids
from core.kernel.sheets import Column
from core.units.models import Unit

from . import services
from .identity import read_company_code
from .models import Customer, CustomerAddress, CustomerContact, CustomerPhone
from .phones import read_phones
from .regions import WARNINGS
from .services import BAD_EMAIL, COMPANY, COUNTER, PERSON, REASONS, SEARCH_KIND, format_number, likely_kind

KIND_WORDS = {
    "单位": COMPANY,
    "公司": COMPANY,
    "企业": COMPANY,
    "企业客户": COMPANY,
    "单位客户": COMPANY,
    "company": COMPANY,
    "个人": PERSON,
    "个人客户": PERSON,
    "自然人": PERSON,
    "person": PERSON,
}
_NUMBER = re.compile(r"C(\d{1,9})")
_LIMITS = {"number": 40, "name": 120, "contact": 60, "email": 200, "wechat": 60, "note": 2000, "address": 300}

NO_NAME = _l("The name is missing")
NO_PHONE = _l("There is no phone number")
BAD_KIND = _l("The customer kind must be 个人 or 单位")
BAD_POSTCODE = _l("The postcode does not have 6 digits")


class CustomerImporter(Importer):
    """Customers from a spreadsheet.

    A number that exists updates that customer (empty cells change nothing, phones are added); one that does not is
    kept for the new customer; without one a number is drawn.
    """

    key = "customers"
    title = _l("Customers")
    permission = "customer.import"
    columns = (
        Column("number", _l("Customer number"), ("客户编号", "编号", "客户号", "客户代码", "customer no")),
        Column(
            "name", _l("Customer name"), ("客户名称", "名称", "客户姓名", "姓名", "客户", "单位名称", "name"), True
        ),
        Column("kind", _l("Customer kind"), ("类型", "客户类型", "客户类别", "性质", "type")),
        Column("contact", _l("Contact"), ("联系人", "联系人姓名", "contact")),
        Column(
            "phone", _l("Phone"), ("电话", "联系电话", "手机", "手机号", "手机号码", "电话号码", "联系方式", "tel")
        ),
        Column("address", _l("Address"), ("地址", "联系地址", "详细地址", "通讯地址", "住址")),
        Column("postcode", _l("Postcode"), ("邮编", "邮政编码", "zip")),
        Column("company_code", _l("Unified social credit code"), ("统一社会信用代码", "信用代码", "税号")),
        Column("email", _l("E-mail"), ("邮箱", "电子邮箱", "电子邮件", "邮件", "email")),
        Column("wechat", _l("WeChat"), ("微信", "微信号")),
        Column("note", _l("Note"), ("备注", "说明", "remark")),
    )

    def check_rows(self, unit_id: int, rows: Sequence[Row], memory: dict[str, Any]) -> list[Plan]:
        """See ``Importer``. Four statements per batch at most."""
        if "start" not in memory:
            _begin(unit_id, memory)
        plans = [_read(row, memory) for row in rows]
        known = _by_number(unit_id, {p.values["number"] for p in plans if p.values["number"]}, memory)
        for plan in plans:
            _place(plan, known.get(plan.values["number"]), memory)
        _find_duplicates(unit_id, [p for p in plans if p.action == CREATE and not p.errors], memory)
        return plans

    def apply_rows(self, unit_id: int, plans: Sequence[Plan], memory: dict[str, Any]) -> None:
        """See ``Importer``."""
        if not memory.get("raised"):
            memory["raised"] = True
            raise_to(unit_id, COUNTER, memory.get("highest", 0))
        _create(unit_id, [p for p in plans if p.action == CREATE], memory)
        _change(unit_id, [p for p in plans if p.action != CREATE], memory)

    def undone(
        self, unit_id: int, removed: Mapping[str, Sequence[int]], restored: Mapping[str, Sequence[int]]
    ) -> None:
        """See ``Importer``: the search index follows."""
        search.remove(SEARCH_KIND, removed.get(Customer.__tablename__, ()))
        ids = restored.get(Customer.__tablename__, ())
        for start in range(0, len(ids), _AT_ONCE):
            some = select(Customer).where(Customer.id.in_(ids[start : start + _AT_ONCE])).options(*_PARTS)
            services.reindex_many(list(session().scalars(some)))


# --- reading a row ---------------------------------------------------------------------------


def _begin(unit_id: int, memory: dict[str, Any]) -> None:
    unit = session().scalars(select(Unit).where(Unit.id == unit_id)).one()
    anybody = session().scalars(select(Customer.id).where(Customer.unit_id == unit_id).limit(1)).first()
    memory |= {
        "start": services.service_point(unit),
        "empty": anybody is None,
        "highest": 0,
        # Hash of a phone, code, name and region or number -> first line of the file with it.
        "seen": {},
        "numbers": {},
        # Lines that others may be merged into, and then the ids made for them.
        "wanted": set(),
        "ids": {},
    }


def _read(row: Row, memory: dict[str, Any]) -> Plan:
    """Check what one row says by itself."""
    given = row.values
    plan = Plan(row.line, CREATE, label=" ".join(p for p in (given.get("number"), given.get("name")) if p))
    text = {name: given.get(name, "") for name in ("number", "name", "contact", "email", "wechat", "note")}
    for name, most in _LIMITS.items():
        if len(given.get(name, "")) > most:
            plan.errors.append((name, _l("At most %(count)d characters", count=most)))
    if not text["name"]:
        plan.errors.append(("name", NO_NAME))
    if text["email"] and not services.valid_email(text["email"]):
        plan.errors.append(("email", BAD_EMAIL))
    plan.values = {
        **text,
        "number": text["number"].upper(),
        "kind": _read_kind(given.get("kind", ""), text["name"], plan),
        "phones": _read_phones(given.get("phone", ""), plan),
        "company_code": _read_code(given.get("company_code", ""), plan),
        "address": _read_address(given.get("address", ""), given.get("postcode", ""), plan, memory),
    }
    return plan


def _read_kind(word: str, name: str, plan: Plan) -> str:
    if not word:
        return likely_kind(name)
    if word.lower() not in KIND_WORDS:
        plan.errors.append(("kind", BAD_KIND))
    return KIND_WORDS.get(word.lower(), "")


def _read_phones(text: str, plan: Plan) -> list[list[str]]:
    reading = read_phones(text)
    plan.errors.extend(("phone", reason) for _text, reason in reading.errors)
    if not reading.phones and not reading.errors:
        plan.warnings.append(NO_PHONE)
    return [[phone.digits, phone.display[:30]] for phone in reading.phones]


def _read_code(text: str, plan: Plan) -> str:
    if not text:
        return ""
    try:
        return read_company_code(text)
    except InvalidData as bad:
        plan.errors.extend(("company_code", reason) for reason in bad.errors["company_code"])
        return ""


def _read_address(text: str, postcode: str, plan: Plan, memory: dict[str, Any]) -> dict[str, Any] | None:
    """Split the address; Decimals as text, since plans are kept as JSON. ``warnings`` holds codes."""
    if not text:
        return None
    columns, warnings = services.address_columns(text, memory["start"])
    plan.warnings.extend(WARNINGS[code] for code in warnings)
    if postcode and not (postcode.isascii() and postcode.isdigit() and len(postcode) == 6):
        plan.warnings.append(BAD_POSTCODE)
    plain = {name: str(value) if isinstance(value, Decimal) else value for name, value in columns.items()}
    return {**plain, "postcode": postcode[:10], "warnings": ",".join(warnings)}


# --- new, update or duplicate ----------------------------------------------------------------


def _by_number(unit_id: int, numbers: set[str], memory: dict[str, Any]) -> dict[str, Customer]:
    """Load the customers with these numbers; a merged one stands for its winner."""
    if memory["empty"] or not numbers:
        return {}
    found = session().scalars(
        select(Customer)
        .where(Customer.unit_id == unit_id, Customer.number.in_(numbers))
        .options(*_PARTS)
        .execution_options(populate_existing=True)
    )
    known = {customer.number: customer for customer in found}
    return {number: services.winner(c) or c for number, c in known.items()}


_AT_ONCE = 500
_PARTS = (selectinload(Customer.phones), selectinload(Customer.addresses), selectinload(Customer.contacts))


def _place(plan: Plan, held: Customer | None, memory: dict[str, Any]) -> None:
    number = plan.values["number"]
    if not number:
        return
    first = memory["numbers"].setdefault(hash(number), plan.line)
    if first != plan.line:
        plan.errors.append(("number", _l("The number is on line %(line)d already", line=first)))
        return
    if plan.errors:
        return
    if held is None:
        if counted := _NUMBER.fullmatch(number):
            memory["highest"] = max(memory["highest"], int(counted.group(1)))
        return
    plan.target = held.id
    plan.action = UPDATE if _would_change(held, plan.values) else SAME


def _would_change(held: Customer, values: Mapping[str, Any]) -> bool:
    plain = ("name", "kind", "email", "wechat", "note", "company_code")
    if any(values[name] and values[name] != getattr(held, name) for name in plain):
        return True
    have = {phone.digits for phone in held.phones}
    if any(digits not in have for digits, _display in values["phones"]):
        return True
    if values["contact"] and values["contact"] not in {c.name for c in held.contacts}:
        return True
    return bool(values["address"]) and (
        not held.addresses or _address_differs(held.addresses[0], values["address"])
    )


def _address_differs(held: CustomerAddress, given: Mapping[str, Any]) -> bool:
    return any(getattr(held, name) != given[name] for name in ("province", "city", "county", "detail"))


def _find_duplicates(unit_id: int, plans: Sequence[Plan], memory: dict[str, Any]) -> None:
    """Mark rows that look like an existing customer, or like an earlier row of the file."""
    stored = {} if memory["empty"] else _stored_like(unit_id, plans)
    for plan in plans:
        for reason, key in _traits(plan.values):
            for customer_id, label in stored.get((reason, key), ()):
                _add_match(plan, reason, Match(label, REASONS[reason], id=customer_id))
            first = memory["seen"].setdefault(hash((reason, key)), plan.line)
            if first != plan.line:
                label = str(_l("Line %(line)d", line=first))
                _add_match(plan, reason, Match(label, REASONS[reason], line=first))
        if plan.matches:
            plan.action = DUPLICATE
            memory["wanted"].update(m.line for m in plan.matches if m.line)


def _add_match(plan: Plan, reason: str, match: Match) -> None:
    """Note a match. Two customers whom the file numbers apart may share name and city: that is only a warning."""
    if reason == "name_region" and plan.values["number"]:
        plan.warnings.append(_l("Same name and region as %(what)s", what=match.label))
    elif (match.id, match.line) not in {(m.id, m.line) for m in plan.matches}:
        plan.matches.append(match)


def _traits(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """What makes two rows look the same: (reason, key)."""
    traits: list[tuple[str, Any]] = [("phone", digits) for digits, _display in values["phones"]]
    if values["company_code"]:
        traits.append(("company_code", values["company_code"]))
    region = (values["address"] or {}).get("region_code", "")
    if services.is_narrow(region):
        traits.append(("name_region", (values["name"], region)))
    return traits


def _stored_like(unit_id: int, plans: Sequence[Plan]) -> dict[tuple[str, Any], list[tuple[int, str]]]:
    """Look the traits of a batch up: (reason, key) -> [(id, label)]."""
    traits = [trait for plan in plans for trait in _traits(plan.values)]
    phones = {key for reason, key in traits if reason == "phone"}
    codes = {key for reason, key in traits if reason == "company_code"}
    names = {key[0] for reason, key in traits if reason == "name_region"}
    base = select(Customer.id, Customer.number, Customer.name).where(
        Customer.unit_id == unit_id, Customer.merged_into_id.is_(None)
    )
    found: dict[tuple[str, Any], list[tuple[int, str]]] = {}
    if phones:
        by_phone = base.add_columns(CustomerPhone.digits).join(
            CustomerPhone, CustomerPhone.customer_id == Customer.id
        )
        by_phone = by_phone.where(CustomerPhone.unit_id == unit_id, CustomerPhone.digits.in_(phones))
        for key, number, name, digits in session().execute(by_phone):
            found.setdefault(("phone", digits), []).append((key, f"{number} {name}"))
    if codes:
        by_code = base.add_columns(Customer.company_code).where(Customer.company_code.in_(codes))
        for key, number, name, code in session().execute(by_code):
            found.setdefault(("company_code", code), []).append((key, f"{number} {name}"))
    if names:
        by_name = base.add_columns(CustomerAddress.region_code).join(
            CustomerAddress, CustomerAddress.customer_id == Customer.id
        )
        for key, number, name, region in session().execute(by_name.where(Customer.name.in_(names))):
            found.setdefault(("name_region", (name, region)), []).append((key, f"{number} {name}"))
    return found


# --- writing ---------------------------------------------------------------------------------


def _create(unit_id: int, plans: Sequence[Plan], memory: dict[str, Any]) -> None:
    """Write new customers with a fixed number of bulk statements."""
    if not plans:
        return
    unnumbered = sum(1 for plan in plans if not plan.values["number"])
    following = draw(unit_id, COUNTER, count=unnumbered) if unnumbered else 0
    moment, rows = clock.now(), []
    ids = reserve_ids(cast(Table, Customer.__table__), len(plans))
    for key, plan in zip(ids, plans, strict=True):
        values = plan.values
        if not values["number"]:
            values["number"] = format_number(following)
            following += 1
        rows.append(
            {
                "id": key,
                "uid": uuid7(),
                "unit_id": unit_id,
                "created_at": moment,
                "warnings": (values["address"] or {}).get("warnings", ""),
                "version": 1,
                **{name: values[name] for name in _PLAIN},
            }
        )
    bulk_insert(Customer, rows)
    _create_parts(unit_id, list(zip(ids, plans, strict=True)))
    memory["ids"] |= {p.line: key for key, p in zip(ids, plans, strict=True) if p.line in memory["wanted"]}
    texts = ((key, unit_id, _search_text(plan.values)) for key, plan in zip(ids, plans, strict=True))
    search.put_many(SEARCH_KIND, texts, fresh=True)


_PLAIN = ("number", "name", "kind", "company_code", "email", "wechat", "note")


def _create_parts(unit_id: int, made: Iterable[tuple[int, Plan]]) -> None:
    phones: list[dict[str, Any]] = []
    addresses: list[dict[str, Any]] = []
    contacts: list[dict[str, Any]] = []
    for key, plan in made:
        owner = {"unit_id": unit_id, "customer_id": key}
        phones += [{**owner, "digits": d, "display": shown, "label": ""} for d, shown in plan.values["phones"]]
        if plan.values["address"]:
            addresses.append({**owner, "label": "", **_address_columns(plan.values["address"])})
        if plan.values["contact"]:
            contacts.append({**owner, "name": plan.values["contact"], "role": "", "phone": "", "email": ""})
    for model, rows in ((CustomerPhone, phones), (CustomerAddress, addresses), (CustomerContact, contacts)):
        bulk_insert(model, rows)


def _address_columns(given: Mapping[str, Any]) -> dict[str, Any]:
    columns = {name: value for name, value in given.items() if name != "warnings"}
    for name in ("latitude", "longitude", "distance_km"):
        columns[name] = Decimal(columns[name]) if columns[name] is not None else None
    return columns


def _search_text(values: Mapping[str, Any]) -> str:
    digits = " ".join(d for d, _display in values["phones"])
    parts = (values["number"], values["name"], digits, values["contact"], values["company_code"])
    return " ".join(part for part in parts if part)


def _change(unit_id: int, plans: Sequence[Plan], memory: dict[str, Any]) -> None:
    """Update or merge into existing customers; ``update`` overwrites, ``merge`` only fills and adds."""
    pairs = []
    for plan in plans:
        key = plan.target or memory["ids"].get(plan.target_line)
        pairs.append((plan, key))
        if plan.line in memory["wanted"]:
            memory["ids"][plan.line] = key
    statement = select(Customer).where(Customer.unit_id == unit_id, Customer.id.in_([key for _plan, key in pairs]))
    held = {c.id: c for c in session().scalars(statement.options(*_PARTS))}
    for plan, key in pairs:
        customer = held.get(key or 0)
        if customer is not None:
            _take_in(customer, plan.values, overwrite=plan.action == UPDATE)
    session().flush()
    services.reindex_many(list(held.values()))


def _take_in(customer: Customer, values: Mapping[str, Any], *, overwrite: bool) -> None:
    # Phones and addresses belong to the customer: adding some makes an open form stale too.
    flag_modified(customer, "warnings")
    for name in ("name", "kind", "email", "wechat", "note", "company_code"):
        if values[name] and (overwrite or not getattr(customer, name)):
            setattr(customer, name, values[name])
    have = {phone.digits for phone in customer.phones}
    for digits, display in values["phones"]:
        if digits not in have:
            customer.phones.append(CustomerPhone(unit_id=customer.unit_id, digits=digits, display=display))
    if values["contact"] and values["contact"] not in {c.name for c in customer.contacts}:
        customer.contacts.append(CustomerContact(unit_id=customer.unit_id, name=values["contact"]))
    if values["address"]:
        _take_address(customer, values["address"], overwrite=overwrite)


def _take_address(customer: Customer, given: Mapping[str, Any], *, overwrite: bool) -> None:
    columns = _address_columns(given)
    if customer.addresses and not overwrite:
        return
    if not customer.addresses:
        customer.addresses.append(CustomerAddress(unit_id=customer.unit_id, **columns))
    else:
        for name, value in columns.items():
            setattr(customer.addresses[0], name, value)
    customer.warnings = given["warnings"]
