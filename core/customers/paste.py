"""A pasted chat line such as "张三 13812345678 浙江省杭州市西湖区文三路1号" split into name, phone and address."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from core.kernel.fields import normalise

from .phones import read_phones
from .regions import Region, split_address

MAX_PASTE = 1000
_LABELS = {
    "name": "姓名|收货人|收件人|联系人|客户名称|客户|称呼|公司名称|公司|单位",
    "phone": "联系电话|手机号码|手机号|电话号码|联系方式|电话|手机|号码|tel|phone|mobile",
    "rest": "问题描述|故障描述|故障现象|报修内容|问题|故障|problem",
    "address": "收货地址|详细地址|联系地址|所在地区|地址|住址|addr(?:ess)?",
}
_LABEL = re.compile("|".join(rf"(?P<{key}>(?:{words})\s*[:：])" for key, words in _LABELS.items()), re.IGNORECASE)
_PHONE = re.compile(
    r"(?<![\dA-Za-z])(?:\+?86[\s-]?)?(?:1[3-9]\d[\s-]?\d{4}[\s-]?\d{4}|\(?0\d{2,3}\)?[\s-]?\d{7,8}|[48]00[\s-]?\d{3}[\s-]?\d{4})"
    r"(?:\s*(?:转|-|ext\.?)\s*\d{1,6})?(?!\d)",
    re.IGNORECASE,
)
_BREAKS = re.compile(r"[\n,，;；|、。]+|\s+")
_COMPANY = re.compile(r"(?:公司|集团|厂|店|酒店|医院|学校|银行|中心|事务所|合作社|商行|经营部|超市|局|所)$")
_PLACE = re.compile(
    r"[省市县区镇乡村]|路|街|道|巷|弄|号|栋|幢|单元|室|楼|座|小区|大厦|花园|广场|苑|自治|特别行政区|\d"
)
# Beside a piece that names its region, another belongs to the address only if it ends as addresses do.
_PLACE_END = re.compile(
    r"(?:[省市县区镇乡村路街道巷弄号栋幢室楼座层苑]|单元|大厦|花园|广场|[\u4e00-\u9fff]\d+|^[\d#-]+)$"
)
_PERSON = re.compile(r"(?:[\u4e00-\u9fff·]{2,10}|[A-Za-z][A-Za-z .'-]{1,40})")
_TITLE = re.compile(r"(?:先生|女士|小姐|师傅|经理|老师|老板|收|\(收\)|（收）)$")


@dataclass(frozen=True)
class Pasted:
    """What a pasted text held; '' or empty where nothing was found. ``phones`` are display texts.

    ``rest`` is what is none of these: mostly what is wrong.
    """

    name: str
    phones: tuple[str, ...]
    address: str
    region: Region
    rest: str = ""


def read_pasted(text: str) -> Pasted:
    """Split pasted text (at most 1,000 characters are read), in any order, with or without labels. Never raises."""
    text = normalise(text[:MAX_PASTE])
    labelled, loose = _take_labelled(text)
    numbers = [found.group() for found in _PHONE.finditer(f"{labelled.get('phone', '')}\n{loose}")]
    phones = tuple(dict.fromkeys(p.display for number in numbers for p in read_phones(number).phones))
    loose = _PHONE.sub("\n", loose)
    pieces = [piece for piece in _BREAKS.split(loose) if piece]
    name = labelled.get("name", "") or _pick_name(pieces)
    places = [] if "address" in labelled else _places([p for p in pieces if p != name])
    address = labelled.get("address", "") or "".join(places)
    others = [p for p in pieces if p != name and p not in places]
    if not name and "address" not in labelled:
        name, address = _split_glued(pieces, address)
    rest = labelled.get("rest", "") or _sentence(p for p in others if _bare_name(p) and not _TITLE.fullmatch(p))
    return Pasted(_bare_name(name), phones, address, split_address(address), rest)


def _places(pieces: list[str]) -> list[str]:
    """Choose the pieces of the address: where one names its region, words about the fault stay out."""
    regions = [p for p in pieces if split_address(p).code]
    if not regions:
        return [p for p in pieces if _is_place(p)]
    return [p for p in pieces if p in regions or _PLACE_END.search(p)]


def _sentence(pieces: Iterable[str]) -> str:
    found = list(pieces)
    return (" " if "".join(found).isascii() else "，").join(found)


def _take_labelled(text: str) -> tuple[dict[str, str], str]:
    """Take "姓名：…" parts out; each runs to the next label or the end of its line."""
    found: dict[str, str] = {}
    marks = list(_LABEL.finditer(text))
    loose = text[: marks[0].start()] if marks else text
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    for mark, end in zip(marks, ends, strict=False):
        value, _, rest = text[mark.end() : end].strip().partition("\n")
        key = str(mark.lastgroup)
        if key == "address" and (number := _PHONE.search(value)):
            value, rest = value[: number.start()], f"{value[number.start() :]}\n{rest}"
        found[key] = found.get(key, "") + value.strip(" ,，;；。")
        loose += "\n" + rest
    return found, loose


def _pick_name(pieces: list[str]) -> str:
    companies = [p for p in pieces if _COMPANY.search(p)]
    if companies:
        return min(companies, key=len)
    people = [p for p in pieces if _PERSON.fullmatch(_bare_name(p)) and not split_address(p).code]
    likely = [p for p in people if not _is_place(p)] or people
    return min(likely, key=len, default="")


def _is_place(piece: str) -> bool:
    return bool(_PLACE.search(piece)) or bool(split_address(piece).code)


def _split_glued(pieces: list[str], address: str) -> tuple[str, str]:
    """A name written directly before its address ("张三浙江省杭州市…"): cut where a region begins."""
    for piece in pieces:
        if split_address(piece).code:
            continue
        for cut in range(2, min(len(piece) - 2, 12)):
            if split_address(piece[cut:]).code and _PERSON.fullmatch(piece[:cut]):
                return piece[:cut], address.replace(piece, piece[cut:])
    return "", address


def _bare_name(name: str) -> str:
    """Drop 先生 or (收), unless only a family name would be left."""
    bare = _TITLE.sub("", name.strip(" :：,，")).strip(" ()（）")
    return bare if len(bare) > 1 else name.strip(" :：,，()（）")
