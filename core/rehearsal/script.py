"""What a scenario file says, checked against the words and names that this deployment knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext as _l

from core.customers.services import ADDRESS_FIELDS, CUSTOMER_FIELDS
from core.kernel.fields import Field
from core.kernel.i18n import current_locale
from core.rules.coverage import known_ids
from core.rules.profiles import current_profiles
from core.rules.rulebook import current_rulebook
from core.rules.unit_calendars import USES
from core.units.services import KINDS, TIMEZONES
from core.units.settings import specs
from core.units.switches import installed
from core.users.positions import POSITIONS

from . import vocabulary as words
from .reading import Node, Reader, near, read_yaml

Read = Mapping[str, Node]
BEFORE_ALL = datetime(2000, 1, 1, tzinfo=UTC)  # stands for a time that cannot be read
# Long enough for requests that are entered some days late.
SET_UP_BEFORE = timedelta(days=31)


@dataclass(frozen=True)
class ClausePart:
    """What a unit sets for a clause from a day on (None: from the first day there is)."""

    at: Node
    clause: str
    holds: bool | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    starts_on: date | None = None
    open_records: str = "keep"
    reason: str = ""


@dataclass(frozen=True)
class UnitPart:
    """A unit of the scene."""

    at: Node
    code: str = "HQ"
    name: str = "Rehearsal"
    kind: str = "company"
    zone: str = "Asia/Shanghai"
    parent: str = ""
    profile: str = ""
    plugins: tuple[str, ...] = ()
    clauses: tuple[ClausePart, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    hours: Mapping[str, str] = field(default_factory=dict)
    holidays: str = ""
    days: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class ActorPart:
    """Somebody who acts, with the positions held in a unit."""

    at: Node
    name: str
    positions: tuple[str, ...]
    unit: str = ""
    called: str = ""


@dataclass(frozen=True)
class CustomerPart:
    """A customer on file before the first step."""

    at: Node
    name: str
    unit: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Expected:
    """One thing expected after a step; ``wants`` holds its pieces by word."""

    at: Node
    word: str
    on: str
    wants: Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """One step: at ``at`` somebody does ``verb`` with ``what`` (a type, transition, kind of fact or clause)."""

    place: Node
    at: datetime
    verb: str
    what: str
    by: str
    unit: str
    on: str = ""
    alias: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    expect: tuple[Expected, ...] = ()
    zone: str = "UTC"
    kind: str = ""


@dataclass(frozen=True)
class Scenario:
    """One run: the scene and its steps, in the order of time."""

    file: str
    folder: Path
    title: str
    variant: str
    shows: tuple[str, ...]
    begins: datetime
    units: tuple[UnitPart, ...]
    actors: Mapping[str, ActorPart]
    customers: tuple[CustomerPart, ...]
    steps: tuple[Step, ...]


def read_file(path: Path) -> list[Scenario]:
    """Read a scenario file; a file with variants gives one scenario for each.

    Raises:
        BadScenario: with everything that is wrong in it.
    """
    reader = Reader(str(path))
    try:
        source = path.read_bytes()
    except OSError as error:
        reader.wrong(Node(None, 1, 1), _l("The file cannot be read: %(why)s", why=error.strerror or ""))
        reader.raise_problems()
        raise
    return read_source(source, str(path), path.parent)


def read_source(source: bytes, file: str, folder: Path) -> list[Scenario]:
    """Read a scenario from the bytes of a file called ``file``; what it imports lies in ``folder``.

    Raises:
        BadScenario: with everything that is wrong in it.
    """
    reader = Reader(file)
    made = _Author(reader, file, folder).write(read_yaml(reader, source))
    reader.raise_problems()
    return made


class _Author:
    """Turns one file's pieces into scenarios."""

    def __init__(self, reader: Reader, file: str, folder: Path) -> None:
        self.r, self.file, self.folder = reader, file, folder

    def write(self, root: Node) -> list[Scenario]:
        found: Read = {}
        with self.r.going_on():
            found = self.r.words(root, words.TOP, ("title",))
        if "steps" not in found and "variants" not in found and found:
            self.r.wrong(root, _l("The word “%(name)s” is missing here", name="steps"))
        variants: dict[str, Node] = {}
        if "variants" in found:
            with self.r.going_on():
                variants = self.r.words(found["variants"], None)
            if not variants:
                self.r.wrong(found["variants"], _l("There is no variant here"))
        if not variants:
            return [self._scenario(found, {}, "")]
        made = []
        for name, node in variants.items():
            with self.r.going_on():
                own = {"steps": node} if isinstance(node.value, list) else self.r.words(node, words.VARIANT)
                made.append(self._scenario(found, own, name))
        self._tell_once()
        return made

    def _tell_once(self) -> None:
        """The common beginning is read for every variant; its mistakes are told once."""
        self.r.problems[:] = list({(p.line, p.column, str(p.text)): p for p in self.r.problems}.values())

    def _scenario(self, found: Read, own: Read, variant: str) -> Scenario:
        scene = _Scene(self.r, self._units({**found, **own} if "units" in own else found, own))
        scene.read_actors(found, own)
        scene.read_customers(found, own)
        shows = [*self._shown(found), *self._shown(own)]
        steps = [*self.r.items(found["steps"])] if "steps" in found else []
        steps += self.r.items(own["steps"]) if "steps" in own else []
        if found and not steps:
            self.r.wrong(found.get("title", Node(None, 1, 1)), _l("There are no steps"))
        read = _Steps(scene, self.folder).read(steps)
        titles = [self._said(one["title"]) for one in (found, own) if "title" in one]
        return Scenario(
            self.file,
            self.folder,
            ": ".join(one for one in titles if one),
            variant,
            tuple(dict.fromkeys(shows)),
            self._begin(found, scene, read),
            tuple(scene.units.values()),
            scene.actors,
            tuple(scene.customers.values()),
            tuple(read),
        )

    def _begin(self, found: Read, scene: _Scene, steps: list[Step]) -> datetime:
        """The scene is set at midnight of the day ``begins`` names, or a month before the first step."""
        zone = ZoneInfo(scene.first.zone)
        first = steps[0].at if steps else datetime(2025, 1, 1, tzinfo=zone)
        day: date | None = self.r.maybe(found, "begins", self.r.day)
        begins = first - SET_UP_BEFORE if day is None else datetime.combine(day, time(), zone)
        if begins > first:
            self.r.wrong(found["begins"], _l("The first step lies before this day"))
        return begins

    def _said(self, node: Node) -> str:
        """A title is a text, or ``zh`` and ``en`` texts."""
        with self.r.going_on():
            if isinstance(node.value, dict):
                both = self.r.words(node, ("zh", "en"), ("zh", "en"))
                return self.r.string(both[current_locale()]) if current_locale() in both else ""
            return self.r.string(node)
        return ""

    def _shown(self, found: Read) -> list[str]:
        book = current_rulebook()
        known = {*book.clauses, *book.regulations, *(one[0] for one in known_ids())}
        read = self.r.maybe(
            found,
            "shows",
            lambda node: self.r.each(node, lambda one: self.r.one_of(one, known, _l("The clause"))),
            [],
        )
        return list(read)

    # --- units -----------------------------------------------------------------------------------

    def _units(self, found: Read, own: Read) -> dict[str, UnitPart]:
        if "unit" in found and "units" in found:
            self.r.wrong(found["unit"], _l("Give either “unit” or “units”"))
        made: dict[str, UnitPart] = {}
        listed = self.r.items(found["units"]) if "units" in found else []
        if "units" not in found:
            listed = [self._with_own(found.get("unit"), own.get("unit"))]
        for node in listed:
            with self.r.going_on():
                unit = self._unit(node, made)
                if unit.code in made:
                    self.r.wrong(node, _l("The unit %(code)s stands here twice", code=unit.code))
                made[unit.code] = unit
        return made or {"HQ": UnitPart(Node(None, 1, 1))}

    def _with_own(self, common: Node | None, own: Node | None) -> Node:
        """A variant's ``unit`` replaces the words it names; its clauses and settings are added."""
        if own is None or common is None:
            return own or common or Node({}, 1, 1)
        merged = dict(self.r.words(common, None)) if isinstance(common.value, dict) else {}
        for name, piece in self.r.words(own, None).items():
            before = merged.get(name)
            both = before and isinstance(before.value, dict) and isinstance(piece.value, dict)
            merged[name] = replace(piece, value={**before.value, **piece.value}) if before and both else piece
        return replace(own, value=merged)

    def _unit(self, node: Node, others: Mapping[str, UnitPart]) -> UnitPart:
        r, found = self.r, self.r.words(node, words.UNIT)
        plugins = [one.name for one in installed().plugins]
        unit = UnitPart(
            node,
            code=r.maybe(found, "code", r.string, "HQ").upper(),
            kind=r.maybe(found, "kind", lambda n: r.one_of(n, [c for c, _ in KINDS], _l("The kind")), "company"),
            zone=r.maybe(
                found,
                "timezone",
                lambda n: r.one_of(n, [c for c, _ in TIMEZONES], _l("The time zone")),
                "Asia/Shanghai",
            ),
            parent=r.maybe(found, "parent", lambda n: r.one_of(n, others, _l("The unit")), ""),
            profile=r.maybe(found, "profile", lambda n: r.one_of(n, known_profiles(), _l("The profile")), ""),
            plugins=tuple(
                r.maybe(
                    found, "plugins", lambda n: r.each(n, lambda one: r.one_of(one, plugins, _l("The plugin"))), []
                )
            ),
            clauses=tuple(r.maybe(found, "clauses", self._clauses, [])),
            settings=r.maybe(found, "settings", self._settings, {}),
            hours=r.maybe(found, "hours", self._hours, {}),
            holidays=r.maybe(
                found, "holidays", lambda n: r.one_of(n, [c for c, _ in USES], _l("The use of holidays")), ""
            ),
            days=tuple(r.maybe(found, "days", lambda n: r.each(n, self._own_days), [])),
        )
        return replace(unit, name=r.maybe(found, "name", r.string, unit.code))

    def _settings(self, node: Node) -> dict[str, Any]:
        found = self.r.words(node, [one.name for one in specs()])
        return {name: piece.plain for name, piece in found.items()}

    def _hours(self, node: Node) -> dict[str, str]:
        found = self.r.words(node, words.HOURS)
        return {name: self.r.string(piece) if piece.value is not None else "" for name, piece in found.items()}

    def _own_days(self, node: Node) -> dict[str, Any]:
        found = self.r.words(node, words.OWN_DAYS, ("from",))
        first = self.r.maybe(found, "from", self.r.day)
        return {
            "first_day": first,
            "last_day": self.r.maybe(found, "to", self.r.day, first),
            "hours": self.r.maybe(found, "hours", self.r.string, ""),
            "reason": self.r.maybe(found, "reason", self.r.string, "-"),
        }

    def _clauses(self, node: Node) -> list[ClausePart]:
        book = current_rulebook()
        made: list[ClausePart] = []
        for name, piece in self.r.words(node, {*book.clauses, *book.regulations}).items():
            for one in self.r.items(piece) if isinstance(piece.value, list) else [piece]:
                with self.r.going_on():
                    made += clause_parts(self.r, name, one)
        return made


def clause_parts(r: Reader, name: str, node: Node) -> list[ClausePart]:
    """Read what is set for a clause, or for every clause of a regulation (only on or off)."""
    book = current_rulebook()
    if name in book.regulations:
        on = r.yes_no(node)
        return [ClausePart(node, c.id, on) for c in book.clauses.values() if c.regulation == name]
    if not isinstance(node.value, dict):
        return [ClausePart(node, name, r.yes_no(node))]
    parameters = [one.name for one in book.clauses[name].parameters]
    found = r.words(node, {*words.CLAUSE, *parameters})
    return [
        ClausePart(
            node,
            name,
            r.maybe(found, "on", r.yes_no),
            {n: _plain_value(found[n].plain) for n in parameters if n in found},
            r.maybe(found, "from", r.day),
            r.maybe(found, "open_records", lambda n: r.one_of(n, words.OPEN_RECORDS, _l("The choice")), "keep"),
            r.maybe(found, "reason", r.string, ""),
        )
    ]


def _plain_value(value: Any) -> Any:
    """Yes and no are words of YAML that the file keeps as text."""
    return (
        {"on": True, "off": False, "yes": True, "no": False}.get(value, value) if isinstance(value, str) else value
    )


# --- people and customers --------------------------------------------------------------------------


class _Scene:
    """Units, actors, customers and the records named so far."""

    def __init__(self, reader: Reader, units: dict[str, UnitPart]) -> None:
        self.r, self.units = reader, units
        self.first = next(iter(units.values()))
        self.actors: dict[str, ActorPart] = {}
        self.customers: dict[str, CustomerPart] = {}
        self.records: dict[str, tuple[str, str]] = {}  # alias -> (record type, unit code)
        self.usual_actor = ""

    def read_actors(self, *parts: Read) -> None:
        for found in parts:
            listed: Read = self.r.maybe(found, "actors", lambda n: self.r.words(n, None), {})
            for name, node in listed.items():
                with self.r.going_on():
                    self.actors[name] = self._actor(name, node)
            if "by" in found:
                with self.r.going_on():
                    self.usual_actor = self.actor(found["by"], self.first.code)
        if not self.usual_actor:
            at = Node(None, 1, 1)
            self.usual_actor = next(iter(self.actors), "") or self._of_position(
                "service_leader", at, self.first.code
            )

    def _actor(self, name: str, node: Node) -> ActorPart:
        r = self.r
        if not isinstance(node.value, dict):
            return ActorPart(node, name, tuple(r.each(node, self._position)), self.first.code, name)
        found = r.words(node, words.ACTOR, ("position",))
        positions = tuple(r.maybe(found, "position", lambda n: r.each(n, self._position), []))
        unit = r.maybe(found, "unit", self.unit_code, self.first.code)
        return ActorPart(node, name, positions, unit, r.maybe(found, "name", r.string, name))

    def _position(self, node: Node) -> str:
        return self.r.one_of(node, [one.code for one in POSITIONS], _l("The position"))

    def unit_code(self, node: Node) -> str:
        return self.r.one_of(node, self.units, _l("The unit"))

    def actor(self, node: Node, unit: str) -> str:
        """Return who is named: somebody of the file, or whoever holds a position (made where nobody does)."""
        given = self.r.string(node)
        if given in self.actors:
            return given
        positions = [one.code for one in POSITIONS]
        self.r.one_of(node, {*self.actors, *positions}, _l("The actor"))
        return self._of_position(given, node, unit)

    def _of_position(self, code: str, node: Node, unit: str) -> str:
        held = [one.name for one in self.actors.values() if code in one.positions and one.unit == unit]
        if held:
            return held[0]
        name = code if code not in self.actors else f"{code}@{unit}"
        self.actors[name] = ActorPart(node, name, (code,), unit, name)
        return name

    def read_customers(self, *parts: Read) -> None:
        known = [one.name for one in (*CUSTOMER_FIELDS, *ADDRESS_FIELDS)]
        for found in parts:
            listed: Read = self.r.maybe(found, "customers", lambda n: self.r.words(n, None), {})
            for name, node in listed.items():
                with self.r.going_on():
                    read = self.r.words(node, {*known, "contact_name", "unit"}, ("name",))
                    unit = self.r.maybe(read, "unit", self.unit_code, self.first.code)
                    values = {key: piece.plain for key, piece in read.items() if key != "unit"}
                    self.customers[name] = CustomerPart(node, name, unit, values)


# --- steps -----------------------------------------------------------------------------------------


class _Steps:
    """Reads the steps of one scenario, in order."""

    def __init__(self, scene: _Scene, folder: Path) -> None:
        self.scene, self.r, self.folder = scene, scene.r, folder
        self.last: datetime | None = None
        self.last_record = ""

    def read(self, nodes: list[Node]) -> list[Step]:
        made = []
        for node in nodes:
            with self.r.going_on():
                made.append(self._step(node))
        return made

    def _step(self, node: Node) -> Step:
        r, scene = self.r, self.scene
        found = r.words(node, words.STEP_WORDS)
        verbs = [name for name in found if name in words.VERBS]
        if len(verbs) > 1:
            raise r.stop(node, _l("One step does one thing, not several: %(verbs)s", verbs=", ".join(verbs)))
        verb = verbs[0] if verbs else words.LOOK
        self._refuse_strange(node, verb, found)
        if not verbs and "expect" not in found:
            r.wrong(node, _l("This step does nothing; known: %(known)s", known=", ".join(words.VERBS)))
        on = r.maybe(found, "on", self._record, "")
        if not on and "on" not in found and verb in words.ON_RECORD:
            on = self._usual_record(node)
        unit = scene.records[on][1] if on else scene.first.code
        unit = r.maybe(found, "in", scene.unit_code, unit)
        zone = scene.units[unit].zone
        at = self.last or BEFORE_ALL
        with r.going_on():
            at = self._time(node, found, zone)
        by = r.maybe(found, "by", lambda n: scene.actor(n, unit), scene.usual_actor)
        step = Step(node, at, verb, "", by, unit, on, zone=zone, kind=scene.records[on][0] if on else "")
        if verbs:
            with r.going_on():
                step = self._done(step, found[verb], found)
        if step.alias:
            self._name_record(found.get("as", node), step)
        self.last_record = step.alias or step.on or self.last_record
        expect = r.maybe(found, "expect", lambda n: self._expected(n, step), ())
        return replace(step, expect=tuple(expect))

    def _refuse_strange(self, node: Node, verb: str, found: Read) -> None:
        allowed = {verb, *words.COMMON, *words.beside(verb)}
        for name, piece in found.items():
            if name not in allowed:
                fits = ", ".join(sorted(allowed - {verb}))
                self.r.wrong(
                    piece,
                    _l(
                        "“%(name)s” has no meaning for “%(verb)s”; known: %(fits)s", name=name, verb=verb, fits=fits
                    ),
                )
        for name in words.NEEDED.get(verb, ()):
            if name not in found:
                self.r.wrong(node, _l("The word “%(name)s” is missing here", name=name))

    def _time(self, node: Node, found: Read, zone: str) -> datetime:
        """A step without a time happens at that of the step before; ``+2h`` counts from there."""
        if "at" not in found:
            if self.last is None:
                raise self.r.stop(node, _l("The first step needs a time: at: 2025-09-26 16:00"))
            return self.last
        piece = found["at"]
        given = self.r.string(piece).strip()
        if given.startswith("+"):
            if self.last is None:
                raise self.r.stop(piece, _l("The first step needs a time: at: 2025-09-26 16:00"))
            at = self._later(self.last, piece, given[1:])
        else:
            at = self.r.moment(piece, zone)
        if self.last is not None and at < self.last:
            self.r.wrong(
                piece, _l("This lies before the step above; what happened earlier is told with “happened”")
            )
            return self.last
        self.last = at
        return at

    def _later(self, since: datetime, piece: Node, given: str) -> datetime:
        length = self.r.duration(replace(piece, value=given))
        try:
            return near(since + length.delta)
        except (OverflowError, ValueError):
            raise self.r.stop(piece, _l("This date is too far away")) from None

    def _record(self, node: Node) -> str:
        return self.r.one_of(node, self.scene.records, _l("The record"))

    def _usual_record(self, node: Node) -> str:
        """A step that names no record goes on with that of the step before."""
        if not self.last_record:
            raise self.r.stop(node, _l("Say which record with “on”; none was created before"))
        return self.last_record

    def _name_record(self, node: Node, step: Step) -> None:
        self.scene.records[step.alias] = (step.kind, step.unit)

    # --- what is done ------------------------------------------------------------------------------

    def _done(self, step: Step, node: Node, found: Read) -> Step:
        r = self.r
        known = words.known_after(step.verb, step.kind)
        what = ""
        if known is not None:
            what = r.one_of(node, known, words.WHAT[step.verb])
        elif words.WHAT.get(step.verb) is not None:
            what = r.string(node)
        step = replace(step, what=what)
        options = {name: self._option(name, piece, step) for name, piece in found.items() if name in words.OPTIONS}
        if step.verb in ("create", "find"):
            alias = r.maybe(found, "as", r.string, "") or what
            step = replace(step, alias=alias, kind=what)
        if step.verb == "set":
            options["part"] = self._setting(what, node, found)
        elif "with" in found:
            step = replace(step, values=self._values(step, found["with"]))
        if step.verb == "import":
            options |= self._source(node, found)
        return replace(step, options={name: value for name, value in options.items() if value is not None})

    def _option(self, name: str, node: Node, step: Step) -> Any:
        reading = words.OPTIONS[name]
        with self.r.going_on():
            if reading == "record":
                return self._record(node)
            return self._want(reading, node, step, "")
        return None

    def _setting(self, clause: str, node: Node, found: Read) -> ClausePart | None:
        """``set`` reads its words beside the verb, as ``clauses`` of a unit reads them below the clause's id."""
        given = {name: found[name] for name in words.CLAUSE_HERE if name in found}
        inner = dict(self.r.words(found["with"], None)) if "with" in found else {}
        if "turn" in given:
            inner["on"] = given.pop("turn")
        parts = clause_parts(self.r, clause, replace(node, value={**given, **inner}))
        return parts[0] if parts else None

    def _source(self, node: Node, found: Read) -> dict[str, Any]:
        if ("file" in found) == ("rows" in found):
            raise self.r.stop(node, _l("Give either “file” or “rows”"))
        if "file" in found:
            return {"file": self._file(found["file"])}
        rows = [self.r.words(one, None) for one in self.r.items(found["rows"])]
        return {
            "rows": [{name: "" if n.value is None else str(n.plain) for name, n in row.items()} for row in rows]
        }

    def _file(self, node: Node) -> Path:
        """Return a file of the scenario's folder; whoever writes a scenario reads nothing else of this machine."""
        given = self.r.string(node)
        try:
            path = (self.folder / given).resolve()
            if path.is_relative_to(self.folder.resolve()) and path.is_file():
                return path
        except (OSError, ValueError):  # no name of a file at all
            pass
        raise self.r.stop(node, _l("There is no file %(name)s", name=Path(given).name))

    def _values(self, step: Step, node: Node) -> dict[str, Any]:
        """Return form input; names of people, customers, units and records stay names until the run."""
        fields = words.fields_of(step.verb, step.kind, step.what)
        found = self.r.words(node, None if fields is None else list(fields))
        values: dict[str, Any] = {}
        for name, piece in found.items():
            with self.r.going_on():
                values[name] = self._value((fields or {}).get(name), piece, step)
        return values

    def _value(self, one: Field | None, node: Node, step: Step) -> Any:
        kind = one.kind if one else ""
        if kind == "user":
            return words.Named("actor", self.scene.actor(node, step.unit))
        if kind == "customer":
            return words.Named("customer", self.r.one_of(node, self.scene.customers, _l("The customer")))
        if kind == "unit":
            return words.Named("unit", self.scene.unit_code(node))
        if kind == "moment" and isinstance(node.value, str):
            return self.r.moment(node, step.zone)
        return node.plain

    # --- what is expected --------------------------------------------------------------------------

    def _expected(self, node: Node, step: Step) -> list[Expected]:
        made: list[Expected] = []
        for block in self.r.items(node):
            with self.r.going_on():
                made += self._block(block, step)
        return made

    def _block(self, node: Node, step: Step) -> list[Expected]:
        found = self.r.words(node, {"on", *words.EXPECTED})
        on = self.r.maybe(found, "on", self._record, step.alias or step.on)
        made = []
        for word, piece in found.items():
            if word == "on":
                continue
            if word in words.OF_RECORD and not on:
                on = self._usual_record(piece)
            if word in words.OF_STEP and step.verb == words.LOOK:
                self.r.wrong(piece, _l("This step does nothing that could be “%(word)s”", word=word))
            for one in self.r.items(piece):
                with self.r.going_on():
                    made.append(Expected(one, word, on, self._wants(word, one, step, on)))
        return made

    def _wants(self, word: str, node: Node, step: Step, on: str) -> dict[str, Any]:
        spec = words.EXPECTED[word]
        kind = self.scene.records[on][0] if on in self.scene.records else ""
        if not isinstance(node.value, dict):
            if node.value == words.NONE and spec.may_be_none:
                return {words.NONE: True}
            if word == "refused" and node.value is True:
                return {}
            if not spec.short:
                known = ", ".join(spec.words)
                raise self.r.stop(node, _l("Words with values are expected here: %(known)s", known=known))
            return {spec.short: self._want(spec.words[spec.short], node, step, kind)}
        if spec.free:
            free = words.free_words(word, kind)
            return {name: piece.plain for name, piece in self.r.words(node, free).items()}
        wants: dict[str, Any] = {}
        for name, piece in self.r.words(node, list(spec.words), spec.needed).items():
            with self.r.going_on():
                wants[name] = self._want(spec.words[name], piece, step, kind)
        return wants

    def _want(self, reading: str, node: Node, step: Step, kind: str) -> Any:
        r = self.r
        plain = {
            "day": r.day,
            "duration": r.duration,
            "money": r.money,
            "text": r.string,
            "whole": r.whole,
            "yes_no": r.yes_no,
        }
        if reading in plain:
            return plain[reading](node)
        if reading == "moment":
            return r.moment(node, step.zone)
        if reading == "actor":
            return self.scene.actor(node, step.unit)
        if reading == "clause_or_code" and (given := r.string(node)) in words.refusal_codes():
            return given
        known, what = words.listed(reading, kind)
        return r.one_of(node, known, what)


def known_profiles() -> list[str]:
    """Return what a starter profile may be called: its code, or the name people type."""
    return [name for one in current_profiles().values() for name in (one.code, one.name)]
