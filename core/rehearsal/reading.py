"""Reads the YAML of a scenario into values that know their line, and collects everything that is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Any, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

import yaml
from flask_babel import lazy_gettext as _l

from core.kernel.errors import AppError

MOST_BYTES = 1_000_000
MOST_DEEP = 30
END_OF_DAY = "23:59:59"  # where limits in days end
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+)\s*([dhms])")
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,17})\.[0-9]{1,10}")
_PLAIN_TAGS = {
    f"tag:yaml.org,2002:{name}"
    for name in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge", "value")
}


class Problem(NamedTuple):
    """One thing wrong with a file: where, and what to do about it."""

    file: str
    line: int
    column: int
    text: Any

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.text}"


class BadScenario(AppError):
    """A scenario file cannot be used; every mistake in it is told at once."""

    status = 422
    code = "bad_scenario"
    title = _l("The scenario file cannot be used")

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__()
        self.problems = sorted(problems, key=lambda one: (one.file, one.line, one.column))

    def texts(self) -> list[Any]:
        """Return every mistake with its place."""
        return [str(one) for one in self.problems]

    def __str__(self) -> str:
        return "\n".join(self.texts())


@dataclass(frozen=True)
class Node:
    """A piece of the file. ``value``: text, whole number, Decimal, bool, None, a list or a mapping of nodes."""

    value: Any
    line: int
    column: int

    @property
    def plain(self) -> Any:
        """The value without places, as services take it."""
        if isinstance(self.value, dict):
            return {name: node.plain for name, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain for node in self.value]
        return self.value


class Duration(NamedTuple):
    """A length of time: days as they were written, and the rest in seconds."""

    days: int
    seconds: int

    @property
    def all_seconds(self) -> int:
        return self.days * 86400 + self.seconds

    @property
    def delta(self) -> timedelta:
        return timedelta(seconds=self.all_seconds)

    def __str__(self) -> str:
        return spoken_duration(self.all_seconds)


def spoken_duration(seconds: int) -> str:
    """Return seconds as the file writes them: ``1d 2h 5m``."""
    parts = []
    for letter in "dhms":
        count, seconds = divmod(seconds, _SECONDS[letter])
        if count:
            parts.append(f"{count}{letter}")
    return " ".join(parts) or "0m"


class _Stop(Exception):
    """The piece being read is wrong and has been noted."""


class _GoingOn:
    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, *_: object) -> bool:
        return kind is _Stop


def _kind(node: Node) -> Any:
    if isinstance(node.value, dict):
        return _l("a list of words with values")
    if isinstance(node.value, list):
        return _l("a list")
    return _l("“%(value)s”", value="" if node.value is None else node.value)


class Reader:
    """Takes pieces of a file apart; what is wrong is collected in ``problems``."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []

    # --- telling ---------------------------------------------------------------------------------

    def wrong(self, node: Node, text: Any) -> None:
        """Note something wrong at a piece."""
        self.problems.append(Problem(self.file, node.line, node.column, text))

    def stop(self, node: Node, text: Any) -> _Stop:
        """Note something wrong and give up this piece."""
        self.wrong(node, text)
        return _Stop()

    def going_on(self) -> _GoingOn:
        """Go on behind the block when a piece in it was wrong."""
        return _GoingOn()

    def raise_problems(self) -> None:
        """Pass if nothing was wrong.

        Raises:
            BadScenario: with everything that was.
        """
        if self.problems:
            raise BadScenario(self.problems)

    def unknown(self, node: Node, given: str, known: Collection[str], what: Any) -> None:
        """Note a word that is not known, with the nearest ones that are."""
        near = get_close_matches(given, list(known), n=3, cutoff=0.6)
        if near:
            text = _l(
                "%(what)s “%(given)s” is not known; did you mean %(near)s?",
                what=what,
                given=given,
                near=" / ".join(near),
            )
        elif known:
            listed = sorted(known)
            shown = ", ".join(listed[:40]) + (" …" if len(listed) > 40 else "")
            text = _l("%(what)s “%(given)s” is not known; known: %(known)s", what=what, given=given, known=shown)
        else:
            text = _l("%(what)s “%(given)s” is not known; there are none", what=what, given=given)
        self.wrong(node, text)

    # --- pieces ----------------------------------------------------------------------------------

    def words(self, node: Node, known: Collection[str] | None, needed: Collection[str] = ()) -> dict[str, Node]:
        """Return a mapping's pieces by word; unknown words and missing ones are noted."""
        if not isinstance(node.value, dict):
            raise self.stop(node, _l("Words with values are expected here, not %(kind)s", kind=_kind(node)))
        for name, piece in node.value.items():
            if known is not None and name not in known:
                self.unknown(_key_of(piece), name, known, _l("The word"))
        for name in needed:
            if name not in node.value:
                self.wrong(node, _l("The word “%(name)s” is missing here", name=name))
        return {name: piece for name, piece in node.value.items() if known is None or name in known}

    def items(self, node: Node) -> list[Node]:
        """Return the pieces of a list; a single piece counts as a list of one."""
        if isinstance(node.value, list):
            return list(node.value)
        return [] if node.value is None else [node]

    def string(self, node: Node) -> str:
        """Return a piece as text; numbers are taken as they are written."""
        if isinstance(node.value, dict | list | bool) or node.value is None:
            raise self.stop(node, _l("A text is expected here, not %(kind)s", kind=_kind(node)))
        return str(node.value)

    def yes_no(self, node: Node) -> bool:
        if node.value in (True, "on", "yes"):
            return True
        if node.value in (False, "off", "no"):
            return False
        raise self.stop(node, _l("true or false is expected here, not %(kind)s", kind=_kind(node)))

    def whole(self, node: Node) -> int:
        if isinstance(node.value, int) and not isinstance(node.value, bool):
            return node.value
        raise self.stop(node, _l("A whole number is expected here, not %(kind)s", kind=_kind(node)))

    def money(self, node: Node) -> Decimal:
        """Return an amount in yuan, with at most two decimals."""
        try:
            amount = (
                Decimal(str(node.value).replace(",", "")) if not isinstance(node.value, bool) else Decimal("NaN")
            )
            whole_cents = amount.quantize(Decimal("0.01"))
        except InvalidOperation:  # no number, or one that no account holds
            amount = whole_cents = Decimal("NaN")
        if not amount.is_finite() or amount != whole_cents:
            raise self.stop(node, _l("An amount such as 50.00 is expected here, not %(kind)s", kind=_kind(node)))
        return whole_cents

    def one_of(self, node: Node, known: Collection[str], what: Any) -> str:
        """Return one of the known words."""
        given = self.string(node)
        if given not in known:
            self.unknown(node, given, known, what)
            raise _Stop
        return given

    def duration(self, node: Node) -> Duration:
        """Return a length of time such as ``2d``, ``1h 30m`` or ``45s``."""
        given = self.string(node).strip()
        found = _DURATION.findall(given)
        rest = _DURATION.sub("", given).strip()
        if not found or rest or max(len(count) for count, _ in found) > 9:
            raise self.stop(
                node,
                _l("A length of time such as 2d, 1h 30m or 45s is expected here, not “%(given)s”", given=given),
            )
        days = sum(int(count) for count, letter in found if letter == "d")
        return Duration(days, sum(int(count) * _SECONDS[letter] for count, letter in found if letter != "d"))

    def day(self, node: Node) -> date:
        """Return a day such as ``2025-09-26``."""
        try:
            return near(date.fromisoformat(self.string(node).strip()))
        except ValueError:
            raise self.stop(
                node, _l("A day such as 2025-09-26 is expected here, not “%(given)s”", given=node.value)
            ) from None

    def moment(self, node: Node, zone: str) -> datetime:
        """Return a moment such as ``2025-09-26 16:00`` of a time zone; ``24:00`` is the day's last second."""
        given = self.string(node).strip()
        day, gap, time = given.replace("T", " ", 1).partition(" ")
        try:
            if not gap:
                raise ValueError
            clock_time = time.strip().replace("24:00", END_OF_DAY)
            read = datetime.fromisoformat(f"{day} {clock_time}")
            near(read)
        except ValueError:
            raise self.stop(
                node, _l("A moment such as 2025-09-26 16:00 is expected here, not “%(given)s”", given=given)
            ) from None
        return read if read.tzinfo else read.replace(tzinfo=ZoneInfo(zone))

    def each(self, node: Node, read: Callable[[Node], Any]) -> list[Any]:
        """Read every piece of a list; one that is wrong does not hide the next."""
        found = []
        for one in self.items(node):
            with self.going_on():
                found.append(read(one))
        return found

    def maybe(self, found: Mapping[str, Node], name: str, read: Callable[[Node], Any], default: Any = None) -> Any:
        """Read the piece called ``name``; ``default`` where it is left out or wrong."""
        with self.going_on():
            return read(found[name]) if name in found else default
        return default


Day = TypeVar("Day", bound=date)


def near(day: Day) -> Day:
    """Return a day or moment of the years that calendars know.

    Raises:
        ValueError: it lies too far away.
    """
    if not 1950 <= day.year <= 2200:
        raise ValueError
    return day


# --- the file ------------------------------------------------------------------------------------


def _key_of(piece: Node) -> Node:
    return piece.key if isinstance(piece, _Piece) and piece.key else piece


@dataclass(frozen=True)
class _Piece(Node):
    """A piece that stands behind a word."""

    key: Node | None = None


def read_yaml(reader: Reader, source: bytes) -> Node:
    """Read a file into nodes. Only plain values are known: no tags, no anchors, and on/yes stay words.

    Raises:
        BadScenario: it is no such file.
    """
    top = Node(None, 1, 1)
    try:
        if len(source) > MOST_BYTES:
            raise reader.stop(top, _l("The file is larger than 1 MB"))
        text = source.decode("utf-8-sig")
        _refuse_tricks(reader, text)
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
        if root is None:
            raise reader.stop(top, _l("The file is empty"))
        return _node(reader, root)
    except UnicodeDecodeError:
        reader.wrong(top, _l("The file is not UTF-8 text"))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Node(None, mark.line + 1, mark.column + 1) if mark else top
        reader.wrong(where, _l("This is not well-formed YAML: %(why)s", why=error.problem or error.context or ""))
    except yaml.YAMLError as error:
        reader.wrong(top, _l("This is not well-formed YAML: %(why)s", why=str(error).splitlines()[0]))
    except _Stop:
        pass
    raise BadScenario(reader.problems)


def _refuse_tricks(reader: Reader, text: str) -> None:
    """What could blow a small file up: names that stand for a copy of other lines, and endless brackets."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        where = Node(None, event.start_mark.line + 1, event.start_mark.column + 1)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MOST_DEEP:
            raise reader.stop(where, _l("The file is nested too deeply"))
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise reader.stop(where, _l("Anchors (& and *) are not used in scenario files; write the lines out"))


def _node(reader: Reader, raw: Any, key: Node | None = None) -> Node:
    line, column = raw.start_mark.line + 1, raw.start_mark.column + 1
    here = _Piece(None, line, column, key)
    if raw.tag not in _PLAIN_TAGS:
        raise reader.stop(here, _l("Tags such as %(tag)s are not used in scenario files", tag=raw.tag))
    if isinstance(raw, yaml.MappingNode):
        return _Piece(_mapping(reader, raw), line, column, key)
    if isinstance(raw, yaml.SequenceNode):
        return _Piece([_node(reader, one) for one in raw.value], line, column, key)
    return _Piece(raw.value if raw.style else _scalar(raw.value), line, column, key)


def _mapping(reader: Reader, raw: Any) -> dict[str, Node]:
    found: dict[str, Node] = {}
    for name, value in raw.value:
        at = Node(name.value, name.start_mark.line + 1, name.start_mark.column + 1)
        if not isinstance(name, yaml.ScalarNode):
            raise reader.stop(at, _l("A word is expected before the colon"))
        if name.value in found:
            reader.wrong(at, _l("The word “%(name)s” stands here twice", name=name.value))
        found[name.value] = _node(reader, value, at)
    return found


def _scalar(text: str) -> Any:
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    if _WHOLE.fullmatch(text):
        return int(text)
    return Decimal(text) if _DECIMAL.fullmatch(text) else text
