"""The parts that plugins take in the demonstration: functions of their ``demo`` modules, each of them optional.

``begin(unit_id, rng)``: the unit's first day, before any case: clauses, settings, prices.
``received(record, rng)``: a case has just been registered.
``before(record, step, play, rng)``: before a step of a case. False leaves it as it stands, its story ends here.
``fill(unit_id, play, rng)``: when all cases are played.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from core.records.models import Record
from core.units.switches import enabled_plugins, installed

from .people import Team

As = Callable[[int], AbstractContextManager[None]]


@dataclass(frozen=True)
class Play:
    """What a plugin may ask while a case is played: the day the story ends, and people of other positions."""

    now: datetime
    # In this context somebody of the position acts: of the unit, else of the headquarters, else who leads the unit.
    acting: Callable[[str], AbstractContextManager[None]]


class Guests:
    """The demo modules of the plugins that are on in each unit, with chances of their own."""

    def __init__(self, teams: list[Team], now: datetime, act_as: As, seed: int) -> None:
        self.teams = {team.unit.id: team for team in teams}
        self.head = teams[0]
        self.now = now
        self.act_as = act_as
        # Its own, so that a plugin changes nothing of the rest.
        self.rng = random.Random(seed)  # noqa: S311 - a story, not a secret
        modules = {plugin.name: f"{plugin.package}.demo" for plugin in installed().plugins}
        found = {name: import_module(path) for name, path in modules.items() if find_spec(path)}
        self.modules = {
            team.unit.id: [module for name, module in found.items() if name in enabled_plugins(team.unit.id)]
            for team in teams
        }

    def begin(self) -> None:
        """Let every unit with plugins have its first day."""
        for unit_id, team in self.teams.items():
            for part in self._parts(unit_id, "begin"):
                with self.act_as(team.pick(self.rng, "lead").id):
                    part(unit_id, self.rng)

    def fill(self) -> None:
        """Let plugins add what stands beside the cases."""
        for unit_id, team in self.teams.items():
            for part in self._parts(unit_id, "fill"):
                with self.act_as(team.pick(self.rng, "lead").id):
                    part(unit_id, self._play(unit_id), self.rng)

    def received(self, record: Record) -> None:
        """Tell that a case was registered."""
        for part in self._parts(record.unit_id, "received"):
            part(record, self.rng)

    def before(self, record: Record, step: str) -> bool:
        """Tell that a step comes next; answer whether the story of the case goes on."""
        play, parts = self._play(record.unit_id), self._parts(record.unit_id, "before")
        return all(part(record, step, play, self.rng) is not False for part in parts)

    def _play(self, unit_id: int) -> Play:
        return Play(self.now, lambda position: self._someone(unit_id, position))

    def _parts(self, unit_id: int, name: str) -> list[Any]:
        return [getattr(module, name) for module in self.modules[unit_id] if hasattr(module, name)]

    def _someone(self, unit_id: int, position: str) -> AbstractContextManager[None]:
        team = self.teams[unit_id]
        people = team.people.get(position) or self.head.people.get(position)
        return self.act_as(self.rng.choice(people).id if people else team.pick(self.rng, "lead").id)
