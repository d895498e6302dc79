"""Items of a checklist and the answers to them: read, checked, judged. Nothing here touches the database."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.kernel.errors import InvalidData
from core.kernel.fields import REQUIRED, Field, clean
from core.kernel.i18n import current_locale

from .models import (
    CHECK,
    CHOICE,
    FAIL,
    ITEM_KINDS,
    MINOR,
    NOT_APPLICABLE,
    NUMBER,
    PASS,
    PHOTO,
    SEVERITIES,
    SIGNATURE,
    VERDICTS,
)

MOST_ITEMS = 100
MOST_ANSWERS = 20
MOST_WEIGHT = 1000
NO_PHOTO, ON_FAIL, ALWAYS = "", "on_fail", "always"
PHOTOS = ((ON_FAIL, _l("When it fails")), (ALWAYS, _l("Always")))
# Kinds whose answers are judged, and so may fail.
JUDGED = frozenset({CHECK, NUMBER, CHOICE})
NOTE, FILE = "note", "file"
_KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_BOUND: dict[str, Any] = {"minimum": Decimal(-(10**12)), "maximum": Decimal(10**12)}

ITEM_FIELDS = (
    Field("kind", "choice", _l("Kind"), True, ITEM_KINDS, default=CHECK),
    Field("label", "text", _l("What is looked at"), True, max_length=200),
    Field("label_en", "text", _l("The same in English"), max_length=200),
    Field("help", "text", _l("Hint for whoever fills it in"), max_length=500),
    Field("required", "bool", _l("Must be answered"), default=True),
    Field("least", "decimal", _l("At least"), **_BOUND),
    Field("most", "decimal", _l("At most"), **_BOUND),
    Field("measure", "text", _l("Unit of measure"), max_length=20),
    Field("photo", "choice", _l("Photo wanted"), choices=PHOTOS),
    Field("severity", "choice", _l("How serious"), choices=SEVERITIES, default=MINOR),
    Field("weight", "int", _l("Weight"), minimum=Decimal(0), maximum=Decimal(MOST_WEIGHT), default=1),
    Field("clause", "text", _l("Clause"), max_length=40),
    Field("opens", "bool", _l("A failure opens a record"), default=False),
)
ANSWER_FIELDS = (
    Field("code", "text", _l("Code"), max_length=40),
    Field("label", "text", _l("Answer"), True, max_length=80),
    Field("label_en", "text", _l("The same in English"), max_length=80),
    Field("fails", "bool", _l("Counts as a failure")),
)


# --- items ---------------------------------------------------------------------------------------


def clean_items(raw: object) -> list[dict[str, Any]]:
    """Check the items of a checklist and return them complete; what is left out takes its default.

    A missing key is made up from the place in the list; keys that are there stay, so versions can be compared.

    Raises:
        InvalidData: with a message per wrong part, named ``items.PLACE.PART`` (places count from 0).
    """
    if not isinstance(raw, list | tuple):
        raise InvalidData({"items": _l("Please give a list of items")})
    if len(raw) > MOST_ITEMS:
        raise InvalidData({"items": _l("At most %(count)d items in a checklist", count=MOST_ITEMS)})
    errors: dict[str, Any] = {}
    taken = {str(one.get("key") or "") for one in raw if isinstance(one, Mapping)}
    items: list[dict[str, Any]] = []
    for place, one in enumerate(raw):
        try:
            items.append(_item(one, taken, {item["key"] for item in items}))
        except InvalidData as bad:
            errors |= {f"items.{place}.{name}": texts for name, texts in bad.errors.items()}
    if errors:
        raise InvalidData(errors)
    return items


def _item(raw: object, given: set[str], used: set[str]) -> dict[str, Any]:
    if not isinstance(raw, Mapping):
        raise InvalidData({"label": _l("Please give a list of items")})
    errors: dict[str, Any] = {}
    values: dict[str, Any] = {}
    try:
        values = clean(ITEM_FIELDS, _with_defaults(raw))
    except InvalidData as bad:
        errors |= bad.errors
    key = str(raw.get("key") or "").strip() or _free_key(given | used)
    if not _KEY.fullmatch(key):
        errors["key"] = _l("Small letters, digits and - only, at most 40 characters")
    elif key in used:
        errors["key"] = _l("This key stands twice")
    if values and values["least"] is not None and values["most"] is not None and values["least"] > values["most"]:
        errors["most"] = _l("The upper bound lies below the lower one")
    answers: list[dict[str, Any]] = []
    if raw.get("kind") == CHOICE:
        try:
            answers = _answers(raw.get("answers"))
        except InvalidData as bad:
            errors |= bad.errors
    if errors:
        raise InvalidData(errors)
    return _complete(key, values, answers)


def _with_defaults(raw: Mapping[str, Any]) -> dict[str, Any]:
    defaults = {one.name: one.default for one in ITEM_FIELDS if one.default is not None}
    return {**defaults, **{name: value for name, value in raw.items() if value is not None and value != ""}}


def _free_key(taken: set[str]) -> str:
    """Return the first of i1, i2 ... that no item has."""
    return next(key for key in (f"i{number}" for number in range(1, 10_000)) if key not in taken)


def _complete(key: str, values: Mapping[str, Any], answers: list[dict[str, Any]]) -> dict[str, Any]:
    kind = values["kind"]
    measured = kind == NUMBER
    judged = kind in JUDGED
    return {
        "key": key,
        "kind": kind,
        "label": values["label"],
        "label_en": values["label_en"] or "",
        "help": values["help"] or "",
        "required": values["required"],
        "least": _written(values["least"]) if measured else "",
        "most": _written(values["most"]) if measured else "",
        "measure": (values["measure"] or "") if measured else "",
        "answers": answers,
        "photo": (values["photo"] or "") if judged else "",
        "severity": values["severity"] or MINOR,
        "weight": (values["weight"] or 0) if judged else 0,
        "clause": values["clause"] or "",
        "opens": bool(values["opens"]) and judged,
    }


def _written(number: Decimal | None) -> str:
    return "" if number is None else f"{number:f}"


def _answers(raw: object) -> list[dict[str, Any]]:
    """Read the answers of a choice.

    Raises:
        InvalidData: beside ``answers``.
    """
    rows = [one for one in raw if isinstance(one, Mapping)] if isinstance(raw, list | tuple) else []
    if not 2 <= len(rows) <= MOST_ANSWERS:
        raise InvalidData({"answers": _l("Two to %(count)d answers are needed", count=MOST_ANSWERS)})
    made: list[dict[str, Any]] = []
    for place, row in enumerate(rows, start=1):
        try:
            values = clean(ANSWER_FIELDS, row)
        except InvalidData as bad:
            raise InvalidData({"answers": bad.texts()}) from None
        code = values["code"] or f"a{place}"
        if not _KEY.fullmatch(code) or code in {one["code"] for one in made}:
            raise InvalidData({"answers": _l("Each answer needs a code of its own")})
        made.append(
            {
                "code": code,
                "label": values["label"],
                "label_en": values["label_en"] or "",
                "fails": bool(values["fails"]),
            }
        )
    return made


def in_words(one: Mapping[str, Any], name: str = "label") -> str:
    """Return the words of an item or answer in the reader's language."""
    other = str(one.get(f"{name}_en") or "")
    return other if other and current_locale() == "en" else str(one[name])


def value_in_words(item: Mapping[str, Any], value: str) -> str:
    """Return an answer in the reader's words; that of a check is its verdict, told by itself."""
    if not value or item["kind"] == CHECK:
        return ""
    if item["kind"] == CHOICE:
        return next((in_words(one) for one in item["answers"] if one["code"] == value), value)
    return f"{value} {item['measure']}".strip() if item["kind"] == NUMBER else value


def bounds_in_words(item: Mapping[str, Any]) -> str:
    """Say between which numbers an item passes; '' where there are no bounds."""
    least, most, measure = item["least"], item["most"], item["measure"]
    if least and most:
        return _("%(least)s to %(most)s %(measure)s", least=least, most=most, measure=measure).strip()
    if least:
        return _("at least %(number)s %(measure)s", number=least, measure=measure).strip()
    if most:
        return _("at most %(number)s %(measure)s", number=most, measure=measure).strip()
    return ""


def bounds_of(item: Mapping[str, Any]) -> tuple[Decimal | None, Decimal | None]:
    """Return the lower and upper bound of a number, both included; None is no bound."""
    least, most = (Decimal(item[name]) if item.get(name) else None for name in ("least", "most"))
    return least, most


class Difference(NamedTuple):
    """How an item differs between two versions: ``was`` is None where it is new, ``now`` where it is gone."""

    key: str
    was: Mapping[str, Any] | None
    now: Mapping[str, Any] | None
    parts: tuple[str, ...] = ()
    moved: bool = False


def compare(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> list[Difference]:
    """Return what changed from one version's items to another's, in the order of the new one, then what is gone."""
    before = {one["key"]: one for one in old}
    after = {one["key"]: one for one in new}
    kept_before = [key for key in before if key in after]
    kept_after = [key for key in after if key in before]
    found = []
    for key, now in after.items():
        was = before.get(key)
        parts = tuple(name for name in now if was is not None and now[name] != was.get(name))
        moved = was is not None and kept_before.index(key) != kept_after.index(key)
        if was is None or parts or moved:
            found.append(Difference(key, was, now, parts, moved))
    return found + [Difference(key, was, None) for key, was in before.items() if key not in after]


# --- answers -------------------------------------------------------------------------------------


class Given(NamedTuple):
    """What was typed for one item: ``parts`` are those of value, note and file that the input names at all."""

    item: Mapping[str, Any]
    parts: Mapping[str, Any]


def sort_input(items: Sequence[Mapping[str, Any]], raw: Mapping[str, Any]) -> list[Given]:
    """Sort flat input (``KEY``, ``KEY.note``, ``KEY.file``) by items; what a client says of times is left out.

    Raises:
        InvalidData: input for items the checklist does not have.
    """
    known = {one["key"]: one for one in items}
    parts: dict[str, dict[str, Any]] = {}
    errors: dict[str, Any] = {}
    for name, value in raw.items():
        key, __, part = str(name).partition(".")
        if key not in known or part not in ("", NOTE, FILE, "at", "by"):
            errors[str(name)] = _l("This checklist has no such item")
        elif part not in ("at", "by"):
            parts.setdefault(key, {})[part or "value"] = value
    if errors:
        raise InvalidData(errors)
    return [Given(item, parts[key]) for key, item in known.items() if key in parts]


def clean_value(item: Mapping[str, Any], given: Any) -> str:
    """Read the answer to a check, number, choice or text item as it is kept: a code, a plain number, a text.

    Raises:
        InvalidData: beside the item's key.
    """
    field = _field_of(item)
    text = str(given if given is not None else "").strip()
    measure = item.get("measure") or ""
    if item["kind"] == NUMBER and measure and text.endswith(measure):
        text = text.removesuffix(measure)  # "5 °C" says the same as 5 where °C is asked for
    value = clean([field], {field.name: text})[field.name]
    if value is None:
        return ""
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _field_of(item: Mapping[str, Any]) -> Field:
    key, label, kind = item["key"], item["label"], item["kind"]
    if kind == CHECK:
        return Field(key, "choice", label, choices=VERDICTS)
    if kind == NUMBER:
        return Field(key, "decimal", label, **_BOUND)
    if kind == CHOICE:
        return Field(key, "choice", label, choices=[(one["code"], one["label"]) for one in item["answers"]])
    return Field(key, "long", label, max_length=2000)


NOTE_FIELD = Field(NOTE, "long", _l("Remark"), max_length=500)


def clean_note(item: Mapping[str, Any], given: Any) -> str:
    """Read the remark beside an answer.

    Raises:
        InvalidData: beside ``KEY.note``.
    """
    try:
        return clean([NOTE_FIELD], {NOTE: given})[NOTE] or ""
    except InvalidData as bad:
        raise InvalidData({f"{item['key']}.{NOTE}": bad.texts()}) from None


def judge(item: Mapping[str, Any], value: str) -> str:
    """Return the verdict on an answer: pass, fail, na; '' where there is nothing to judge.

    A number outside its bounds fails; bounds themselves still pass.
    """
    kind = item["kind"]
    if not value or kind not in JUDGED:
        return ""
    if kind == CHECK:
        return value
    if kind == CHOICE:
        failing = {one["code"] for one in item["answers"] if one["fails"]}
        return (FAIL if value in failing else PASS) if failing else ""
    least, most = bounds_of(item)
    if least is None and most is None:
        return ""
    number = Decimal(value)
    low = least is not None and number < least
    high = most is not None and number > most
    return FAIL if low or high else PASS


def is_answered(item: Mapping[str, Any], answer: Mapping[str, Any]) -> bool:
    """Tell whether an item has its answer; that of a photo or signature is the file."""
    if item["kind"] in (PHOTO, SIGNATURE):
        return bool(answer.get(FILE))
    return bool(answer.get("value"))


def missing(items: Iterable[Mapping[str, Any]], answers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return what still stands against finishing, as messages by input name."""
    found: dict[str, Any] = {}
    for item in items:
        key = item["key"]
        answer = answers.get(key, {})
        answered = is_answered(item, answer)
        if item["required"] and not answered:
            found[key] = REQUIRED
        if answered and wants_photo(item, answer.get("verdict", "")) and not answer.get(FILE):
            found[f"{key}.{FILE}"] = _l("A photo is needed here")
    return found


def wants_photo(item: Mapping[str, Any], verdict: str) -> bool:
    """Tell whether an answer of this verdict needs a photo."""
    if item["photo"] == ALWAYS:
        return verdict != NOT_APPLICABLE
    return item["photo"] == ON_FAIL and verdict == FAIL


def failed(items: Iterable[Mapping[str, Any]], answers: Mapping[str, Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the items that failed."""
    return [one for one in items if answers.get(one["key"], {}).get("verdict") == FAIL]


def score(items: Iterable[Mapping[str, Any]], answers: Mapping[str, Mapping[str, Any]]) -> Decimal | None:
    """Return the share of weights passed in per cent (two places, half up); None where nothing was scored.

    What does not apply or was not answered does not count.
    """
    passed = total = 0
    for item in items:
        verdict = answers.get(item["key"], {}).get("verdict")
        if verdict not in (PASS, FAIL):
            continue
        total += item["weight"]
        passed += item["weight"] if verdict == PASS else 0
    if not total:
        return None
    return (Decimal(passed) * 100 / total).quantize(Decimal("0.01"), ROUND_HALF_UP)
