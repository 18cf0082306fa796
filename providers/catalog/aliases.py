"""Model ids of yesterday, misspelt or never real, and what they mean today. Facts; who may use them is routing's."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, Literal

from ..types import Effort
from .snapshot import document


@dataclass(frozen=True, slots=True)
class Alias:
    """What an id of old stands for.

    `now` is the id to offer instead (None: nothing takes its place), `id` the true one of a misspelt name, `nearest` a
    real one close to an invented name, `effort` what the successor needs to behave the same, `shutdown` an ISO date.
    """

    name: str
    kind: Literal["real", "misspelt", "invented"]
    status: Literal["active", "deprecated", "retired"]
    id: str = ""
    now: str | None = None
    nearest: str = ""
    shutdown: str | None = None
    effort: Effort | None = None
    hint: str = ""

    def dead(self, today: date) -> bool:
        """Whether nobody serves this id (any more) on this day."""
        ended = self.shutdown is not None and date.fromisoformat(self.shutdown) <= today
        return self.status == "retired" or ended

    def obsolete(self, today: date) -> bool:
        """Whether `now` is what is meant: dead, or no id of this spelling ever was."""
        return self.status != "active" and (self.kind != "real" or self.dead(today))

    def fate(self, today: date) -> str:
        """What became of it, in words: one sentence without its full stop."""
        if self.kind == "invented":
            said = f"{self.name} never existed"
        elif self.dead(today):
            said = f"{self.name} is retired" + (f" since {self.shutdown}" if self.shutdown else "")
        elif self.shutdown:
            said = f"{self.name} ends on {self.shutdown}"
        else:
            said = f"{self.name} is current"
        if self.kind == "misspelt":
            said += f" (its true id was {self.id})"
        return f"{said} ({self.hint})" if self.hint else said


def alias(name: str) -> Alias | None:
    """The entry for this id, None where the table is silent. Patterns such as `qwen2.5-coder:*` count last."""
    found = _table().get(name.lower())
    return found or next((entry for shape, entry in _patterns() if fnmatchcase(name.lower(), shape)), None)


def aliases() -> Mapping[str, Alias]:
    """The whole table by id."""
    return _table()


@cache
def _table() -> Mapping[str, Alias]:
    return {name: _alias(name, fields) for name, fields in document("aliases.json").items()}


def _alias(name: str, fields: Mapping[str, Any]) -> Alias:
    return Alias(name=name, **fields)


@cache
def _patterns() -> tuple[tuple[str, Alias], ...]:
    return tuple((name, entry) for name, entry in _table().items() if "*" in name)
