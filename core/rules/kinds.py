"""The few kinds of rules that give a clause its behaviour. A rule is a value: which facts it reads, what it asks
for.

Plugins return them from the hook ``rules``; the core's own stand beside the record type they concern. Functions
given to a rule are pure: they see values, never the database or the time of day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from .clocks import Term

if TYPE_CHECKING:
    from core.records.engine import Step
    from core.records.models import Record

    from .schedules import Wanted

Values = Mapping[str, Any]  # a clause's parameters by name, as they hold at the start of what is judged
Snapshot = Mapping[str, Any]  # the fields of the record's head and details that a rule names in ``reads``


class Happened(NamedTuple):
    """A fact as rules see it. ``order`` is the rank of its kind: the order of facts of one moment."""

    id: int
    seq: int
    kind: str
    at: datetime
    order: int
    data: Mapping[str, Any]
    actor_id: int | None = None

    @property
    def key(self) -> tuple[datetime, int, int]:
        return (self.at, self.order, self.seq)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What every rule has: the clause it carries out. ``version`` is raised when its behaviour changes."""

    clause: str
    version: int = 1
    plugin: str = field(default="", compare=False)

    # The clause's kind that a rule of this class carries out (``coverage.Binding.how``).
    kind = ""


def always(_: Snapshot) -> bool:
    """Let a rule apply to every record of its type."""
    return True


@dataclass(frozen=True, kw_only=True)
class DeadlineRule(Rule):
    """Something must happen within a time. Gives obligations, derived from a record's facts.

    The first fact of a kind in ``start`` begins an episode; one in ``meet`` meets it, one in ``stop`` ends it
    without (void if in time, late if not); facts of ``pause`` stand it still until one of ``resume``. ``restart``
    begins a further episode later. ``moves``: a further start before it was met moves the beginning. ``chain``: as
    soon as it is met the next episode begins (an update every two days). ``applies`` looks at the record's
    ``reads``. ``term`` answers how long; where it is None, the parameter ``limit`` says so. ``target``, a
    parameter's name, is aimed at before the limit (C0-T10). ``warn`` is the share of the time left when the
    responsible person is warned.
    """

    kind = "deadline"
    record_type: str = "case"
    start: tuple[str, ...] = ()
    meet: tuple[str, ...] = ()
    stop: tuple[str, ...] = ("cancelled",)
    restart: tuple[str, ...] = ()
    pause: tuple[str, ...] = ("paused",)
    resume: tuple[str, ...] = ("resumed",)
    moves: bool = False
    chain: bool = False
    reads: tuple[str, ...] = ()
    applies: Callable[[Snapshot], bool] = always
    # Looks at the fact itself (its data) where the kind alone does not tell.
    meets: Callable[[Happened], bool] | None = None
    starts: Callable[[Happened], bool] | None = None
    term: Callable[[Values, Snapshot], Term] | None = None
    limit: str = "limit"
    target: str = ""
    calendar: str = ""
    warn: Decimal = Decimal("0.2")

    @property
    def fact_kinds(self) -> frozenset[str]:
        """Return every kind of fact the rule looks at."""
        return frozenset((*self.start, *self.meet, *self.stop, *self.restart, *self.pause, *self.resume))


@dataclass(frozen=True, kw_only=True)
class GateRule(Rule):
    """A step is refused until something is so. ``check`` answers the reason for refusing, or None.

    ``step`` is ``type.transition`` (``case.assign``) or a name that a service passes to ``gates.require_clause``.
    ``needs_form``: it looks at ``step.values`` and is asked only when the form has been filled.
    ``inside``: the reason is the unit's own affair; an assignee of another company is not told it.
    """

    kind = "gate"
    step: str
    check: Callable[[Step, Values], Any]
    code: str = "clause"
    needs_form: bool = False
    inside: bool = False


@dataclass(frozen=True, kw_only=True)
class RecordRule(Rule):
    """Fields of a form that must be filled at a step. ``when`` looks at the form's values where not always.

    ``step`` is ``type.transition``, or ``type.register`` for the form that creates the record.
    """

    kind = "record"
    step: str
    fields: tuple[str, ...]
    when: Callable[[Values], bool] = always


@dataclass(frozen=True, kw_only=True)
class RoutingRule(Rule):
    """Who gets a record at a step. ``position`` answers a position code, '' for "not by this rule".

    It becomes the record's owner position unless somebody chose one; ``priority`` answers its priority where the
    clause is about the order of work. ``tells`` answers the positions whose holders get a notice. ``lets`` allows
    the step to anybody who sees the record, whatever their position may do. ``reads`` names fields of the record;
    ``actor_positions`` are the codes of the positions the acting person holds.
    """

    kind = "routing"
    step: str
    reads: tuple[str, ...] = ()
    position: Callable[[Snapshot, Values], str] | None = None
    priority: Callable[[Snapshot, Values], int | None] | None = None
    tells: Callable[[Snapshot, Values], Sequence[str]] | None = None
    lets: Callable[[Snapshot, Values], bool] | None = None


@dataclass(frozen=True, kw_only=True)
class PenaltyRule(Rule):
    """A breach of ``broken`` (clause ids) is answered by a penalty proposal.

    The amount in yuan: the parameter ``amount`` (fixed), or ``least`` to ``most`` (chosen when deciding), or
    ``per_day`` for each day late, at most ``cap``; which of them, the clause's parameters of these names say.
    """

    kind = "penalty"
    broken: tuple[str, ...]
    amount: str = ""
    least: str = ""
    most: str = ""
    per_day: str = ""
    cap: str = ""


class Line(NamedTuple):
    """A charge as a rule works it out; ``quantity`` times ``price`` (yuan) is rounded half up to 0.01."""

    code: str
    label: Any
    payer: str
    quantity: Decimal
    price: Decimal
    payer_ref: str = ""


@dataclass(frozen=True, kw_only=True)
class FeeRule(Rule):
    """Lines of money that a step brings: ``lines`` works them out, the core keeps them (``charges.py``).

    The step taken again works the same lines out anew; with ``each`` it brings further lines every time.
    """

    kind = "fee"
    step: str
    lines: Callable[[Step, Values], list[Line]]
    each: bool = False


@dataclass(frozen=True, kw_only=True)
class ApprovalRule(Rule):
    """A step needs a position's agreement. ``position`` is a code, or ``position_from`` the parameter that names
    it.

    ``wanted`` tells whether this record needs it at all; ``amount`` what the inbox shows. ``needs_form``:
    ``wanted`` looks at ``step.values``; it can be asked for before, but only the filled form is refused.
    """

    kind = "approval"
    step: str
    title: Any
    position: str = ""
    position_from: str = ""
    needs_form: bool = False
    wanted: Callable[[Step, Values], bool] | None = None
    amount: Callable[[Step, Values], Decimal | None] | None = None


@dataclass(frozen=True, kw_only=True)
class ScheduleRule(Rule):
    """Recurring work: a task for every ``subject`` and period. The parameter ``interval`` says how often.

    ``subjects`` answers (key, title, customer id) of each, ``most`` of them at most; None is the unit itself.
    ``report``: an entry of the reports screen that shows what the task is about. Instead of a task, ``make`` makes
    a record of the type ``makes`` (committed with the run), whose detail has ``clause``, ``starts_on`` and
    ``due_on`` and whose facts are ``registered``, ``finished``, ``cancelled`` and, if known, ``skipped``.
    ``today`` answers by which day the periods run in a unit: a hotel's day begins in the morning.
    """

    kind = "schedule"
    title: Any
    interval: str = "interval"
    subjects: Callable[[int], list[tuple[str, str, int | None]]] | None = None
    report: str = ""
    # A clause of kind record or report may be carried out by recurring work as well.
    carries: str = ""
    makes: str = ""
    make: Callable[[Wanted], Record] | None = None
    today: Callable[[int], date] | None = None
    most: int = 500


@dataclass(frozen=True, kw_only=True)
class ChecklistRule(Rule):
    """Items to be ticked at a step: its form has a field (kind ``many``) with ``items`` as (code, label) to choose.

    The parameter ``least`` says how many of them are needed; all of them where it is ''. ``when`` tells whether the
    record needs the list at all.
    """

    kind = "checklist"
    step: str
    items: tuple[tuple[str, Any], ...]
    field: str = "checklist"
    least: str = ""
    when: Callable[[Step], bool] | None = None


@dataclass(frozen=True, kw_only=True)
class ServiceRule(Rule):
    """A clause that a service carries out whenever it is asked, not a step alone: a term that begins, say.

    ``does`` is the kind of the clause (``deadline``, ``fee`` ...), ``place`` names the service for developers,
    ``words`` say for people, outermost first, where they meet it.
    """

    does: str
    place: str
    words: tuple[Any, ...]

    @property
    def kind(self) -> str:  # type: ignore[override]
        return self.does


@dataclass(frozen=True, kw_only=True)
class ReportRule(Rule):
    """A report that carries out a clause: ``endpoint`` is where it is shown."""

    kind = "report"
    endpoint: str
